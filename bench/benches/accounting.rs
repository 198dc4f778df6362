//! What a figure costs: the reference table by privacy-loss distribution at grid 1e-4 (both
//! directions) and by Renyi divergences, and the noise for a target. One thread, processor time.

use std::hint::black_box;

use bench::CpuTime;
use criterion::Criterion;
use nexus_privacy::accounting::{Plan, PrivacyLoss, rdp};

/// Rate, sigma, steps, delta.
const QUERIES: [(f64, f64, u64, f64); 6] = [
    (256.0 / 60_000.0, 1.1, 2340, 1e-5),
    (256.0 / 60_000.0, 0.6, 2340, 1e-5),
    (0.01, 1.0, 10_000, 1e-5),
    (0.1, 2.0, 1000, 1e-6),
    (1.0, 10.0, 100, 1e-5),
    (0.02, 0.8, 500, 1e-6),
];

fn main() {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    let mut group = criterion.benchmark_group("accounting");
    group.sample_size(10);
    for (rate, sigma, steps, delta) in QUERIES {
        let name = format!("q={rate:.4} sigma={sigma} steps={steps}");
        group.bench_function(format!("loss distribution/{name}"), |bencher| {
            bencher.iter(|| {
                let loss = PrivacyLoss::of(black_box(rate), sigma, steps, delta);
                loss.and_then(|loss| loss.epsilon(delta))
            });
        });
        group.bench_function(format!("Renyi/{name}"), |bencher| {
            bencher.iter(|| rdp::epsilon(black_box(rate), sigma, steps, delta));
        });
    }
    group.bench_function("noise for epsilon 3, q=0.25 steps=200", |bencher| {
        bencher.iter(|| Plan::calibrated(black_box(0.25), 200, 3.0, 1e-5));
    });
    group.finish();
    criterion.final_summary();
}
