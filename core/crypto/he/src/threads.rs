//! Sharing the limbs of a computation between threads.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::park_timeout;
use std::time::Duration;

use rayon_core::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder, Yield};

use crate::HeError;

/// Threads that compute one thing together.
///
/// Parts of a rotation or a product take some 20 µs, less than it takes to wake a thread. So none sleeps
/// until the work is done, and more of them than there are cores are slower than one.
#[derive(Debug)]
pub struct Threads(Option<Mutex<ThreadPool>>);

impl Threads {
    /// So many.
    ///
    /// # Errors
    /// [`HeError::Threads`] if the system has not so many left.
    pub fn new(count: NonZeroUsize) -> Result<Self, HeError> {
        let count = count.get();
        if count == 1 {
            return Ok(Self::one());
        }
        let failed =
            |error: ThreadPoolBuildError| HeError::Threads { count, problem: error.to_string() };
        let pool = ThreadPoolBuilder::new().num_threads(count).build().map_err(failed)?;
        Ok(Self(Some(Mutex::new(pool))))
    }

    /// The caller's, alone.
    pub const fn one() -> Self {
        Self(None)
    }

    /// Runs `work` on them; on the caller's alone while others use them.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let Some(Ok(pool)) = self.0.as_ref().map(Mutex::try_lock) else { return work() };
        let done = AtomicBool::new(false);
        pool.scope(|scope| {
            let (_end, own) = (End(&done), rayon_core::current_thread_index());
            let done = &done;
            scope.spawn_broadcast(move |_, thread| {
                if Some(thread.index()) != own {
                    stay_awake(done);
                }
            });
            work()
        })
    }
}

/// Says that there is no more to do, also where a panic is why.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Takes what others share, until there is no more.
fn stay_awake(done: &AtomicBool) {
    // When this thread was woken, the one that handed over the work was not asleep yet. Waking again, it is
    // put on the core that is idle now, where a thread that never sleeps would long stay where it is.
    park_timeout(Duration::from_micros(1));
    while !done.load(Ordering::Acquire) {
        if rayon_core::yield_now() != Some(Yield::Executed) {
            // Whoever shares the core goes first.
            std::thread::yield_now();
        }
    }
}

/// Does `work` for each item, shared with the threads that the caller runs on.
pub(crate) fn each<T: Send>(items: impl Iterator<Item = T>, work: impl Fn(T) + Sync) {
    if rayon_core::current_thread_index().is_none() {
        return items.for_each(work);
    }
    split(&mut items.map(Some).collect::<Vec<_>>(), &work);
}

/// What `work` makes of each item.
pub(crate) fn map<T: Send, R: Send>(
    items: impl Iterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    if rayon_core::current_thread_index().is_none() {
        return items.map(work).collect();
    }
    let mut items: Vec<_> = items.map(|item| (Some(item), None)).collect();
    each(items.iter_mut(), |(item, made)| *made = item.take().map(&work));
    items.into_iter().filter_map(|(_, made)| made).collect()
}

fn split<T: Send>(items: &mut [Option<T>], work: &(impl Fn(T) + Sync)) {
    if let [item] = items {
        return item.take().into_iter().for_each(work);
    }
    let (first, second) = items.split_at_mut(items.len() / 2);
    if !second.is_empty() {
        rayon_core::join(|| split(first, work), || split(second, work));
    }
}

/// How many of so many items each thread takes if all take the same number.
pub(crate) fn share(items: usize) -> usize {
    let inside = rayon_core::current_thread_index().is_some();
    items.div_ceil(if inside { rayon_core::current_num_threads() } else { 1 }).max(1)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use super::*;

    #[test]
    fn all_items_are_worked_on_once() {
        for count in 1..=4 {
            let threads = Threads::new(NonZeroUsize::new(count).unwrap()).unwrap();
            for items in [0_usize, 1, 2, 7, 64] {
                let squares = threads.run(|| map(0..items, |at| at * at));
                assert!(squares.into_iter().eq((0..items).map(|at| at * at)));
                let parts = threads.run(|| items.div_ceil(share(items)));
                assert!(parts <= count);
            }
        }
    }

    #[test]
    fn who_finds_them_busy_works_alone() {
        let threads = Threads::new(NonZeroUsize::new(2).unwrap()).unwrap();
        let inner = threads.run(|| {
            let other = thread::scope(|scope| {
                scope.spawn(|| threads.run(|| thread::current().id())).join().unwrap()
            });
            assert_ne!(other, thread::current().id());
            share(4)
        });
        assert_eq!([inner, threads.run(|| share(4)), share(4)], [2, 2, 4]);
    }

    #[test]
    fn a_panic_wakes_nobody_forever() {
        let threads = Threads::new(NonZeroUsize::new(2).unwrap()).unwrap();
        let work = || each(0..4, |at| assert!(at < 3, "on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(|| threads.run(work))).is_err());
        // Later work is as usual, on the caller's own thread at worst.
        assert_eq!(threads.run(|| map(0..3, |at| at + 1)), [1, 2, 3]);
    }
}
