//! How much memory readers of SEAL's objects ask for, whatever bytes claim.
//!
//! What the decompressor of Zstandard takes is outside of Rust and not counted; its window is bounded
//! by 8 MiB.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use fuzz::{Mutator, READER_BYTES, READERS, corpus};

/// Damaged inputs for each reader.
const INPUTS: usize = 300;

/// The system's, counting.
struct Counting;

static NOW: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);

fn grown(by: usize) {
    let now = NOW.fetch_add(by as u64, Ordering::Relaxed) + by as u64;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every request goes to the system's allocator as it is, and its answer back as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most bytes that were in use at once during `work`, beyond those before.
fn peak(work: impl FnOnce()) -> u64 {
    let before = NOW.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    work();
    PEAK.load(Ordering::Relaxed).saturating_sub(before)
}

/// One test, so that nothing else is counted.
#[test]
fn readers_ask_for_no_more_than_they_say() {
    let corpus = corpus().unwrap();
    assert!(peak(|| drop(vec![0_u8; 1 << 20])) >= 1 << 20, "nothing is counted");
    for reader in READERS {
        let inputs = &corpus[reader.name];
        let mut mutator = Mutator::new(2);
        let damaged = std::iter::repeat_with(|| mutator.next(inputs)).take(INPUTS);
        for bytes in inputs.iter().cloned().chain(damaged) {
            let got = peak(|| (reader.run)(&bytes));
            let (name, length) = (reader.name, bytes.len());
            assert!(got <= READER_BYTES, "{name}: {got} bytes for an object of {length}");
        }
    }
}
