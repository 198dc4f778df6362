//! Private set intersection of 10,000 x 10,000 items, in processor time of one side; linear in
//! the items. `cargo run --release -p bench --example psi -- 100000` does a large one once.

use std::time::Duration;

use bench::{CpuTime, intersect};
use criterion::{Criterion, Throughput};
use nexus_mpc::psi::{PsiError, Variant};

const ITEMS: u32 = 10_000;

fn main() -> Result<(), PsiError> {
    let mut criterion =
        Criterion::default().with_measurement(CpuTime).sample_size(10).configure_from_args();
    let sum = Variant::Sum { max_total: u64::from(ITEMS) };
    for variant in [Variant::Intersection, Variant::Cardinality, sum] {
        intersect(variant, 1)?;
        let mut group = criterion.benchmark_group(format!("psi {variant:?}"));
        group.throughput(Throughput::Elements(ITEMS.into()));
        for (side, name) in ["receiver", "sender"].into_iter().enumerate() {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|count| (0..count).map(|_| time(variant, side)).sum());
            });
        }
        group.finish();
    }
    criterion.final_summary();
    Ok(())
}

fn time(variant: Variant, side: usize) -> Duration {
    intersect(variant, ITEMS).map_or(Duration::ZERO, |times| times[side])
}
