//! One training step on one thread, plain and with per-example clipping.

use bench::{BenchError, Step, models};
use criterion::{Criterion, Throughput};

const BATCH: usize = 256;

fn main() -> Result<(), BenchError> {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, spec) in models() {
        let mut step = Step::new(&spec, BATCH)?;
        step.clipped()?;
        let mut group = criterion.benchmark_group(format!("{name} batch {BATCH}"));
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function("sgd", |bencher| bencher.iter(|| step.sgd()));
        group.bench_function("clipped", |bencher| bencher.iter(|| step.clipped()));
        group.finish();
    }
    criterion.final_summary();
    Ok(())
}
