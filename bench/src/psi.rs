//! One private set intersection, with the time of each side kept apart.

use std::time::Duration;

use criterion::measurement::Measurement;
use nexus_mpc::psi::{PsiError, PsiKey, Receiver, Sender, Terms, Variant};
use nexus_types::Digest;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::CpuTime;

/// Processor time of receiver and sender when both have `items` items, half of them common, from
/// the plain items to the outcome.
///
/// # Errors
/// None from 1 to 2^24 items.
pub fn intersect(variant: Variant, items: u32) -> Result<[Duration; 2], PsiError> {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let manifest = Digest::of("bench", b"psi");
    let terms = Terms { manifest, variant, max_items: items };
    let (a, b) = (PsiKey::generate(&mut rng), PsiKey::generate(&mut rng));
    let set = |from: u32| (from..from + items).map(u32::to_le_bytes);
    let mut times = [Duration::ZERO; 2];
    let mut receiver = timed(&mut times[0], || Receiver::new(terms, &a, set(0)))?;
    let mut sender = timed(&mut times[1], || match variant {
        Variant::Intersection | Variant::Cardinality => Sender::new(terms, &b, set(items / 2)),
        Variant::Sum { .. } => {
            let amounts = vec![1; items as usize];
            Sender::with_amounts(terms, &b, set(items / 2), &amounts, &mut rng)
        }
    })?;
    while let Some(message) = timed(&mut times[0], || receiver.send(&mut rng))? {
        timed(&mut times[1], || sender.receive(&message))?;
        while let Some(answer) = timed(&mut times[1], || sender.send(&mut rng))? {
            timed(&mut times[0], || receiver.receive(&answer))?;
        }
    }
    Ok(times)
}

fn timed<T>(time: &mut Duration, run: impl FnOnce() -> T) -> T {
    let start = CpuTime.start();
    let result = run();
    *time += CpuTime.end(start);
    result
}
