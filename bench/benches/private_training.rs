//! A training step on one thread in processor time: plain, and with privacy. Samples are drawn by coins,
//! 256 rows on average; `padded` computes the same number of rows in every step.

use bench::{BenchError, CpuTime, Noise, PrivateSteps, Step, models};
use criterion::{Criterion, Throughput};

const BATCH: usize = 256;
const SAMPLES: usize = 60 * BATCH;

fn main() -> Result<(), BenchError> {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    for (name, spec) in models() {
        let mut group = criterion.benchmark_group(format!("{name} private batch {BATCH}"));
        group.sample_size(10).throughput(Throughput::Elements(BATCH as u64));
        let mut plain = Step::new(&spec, BATCH)?;
        group.bench_function("plain", |bencher| bencher.iter(|| plain.sgd()));
        for (mode, noise, padded) in [
            ("float", Noise::Floats, false),
            ("float-padded", Noise::Floats, true),
            ("exact-padded", Noise::Exact, true),
        ] {
            let mut steps = PrivateSteps::new(&spec, SAMPLES, BATCH, noise, padded)?;
            group.bench_function(mode, |bencher| bencher.iter(|| steps.step()));
        }
        group.finish();
    }
    criterion.final_summary();
    Ok(())
}
