//! Masks and samples on one thread, by every kernel of this machine, in processor time.

use std::slice;

use bench::CpuTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use nexus_field::Kernel;
use nexus_field::gaussian::Sampler;
use nexus_field::mask::{self, MaskKey, Sign};

/// Coefficients of two million parameters, two to a coefficient.
const SAMPLES: usize = 500_000;
const SIZES: [(&str, usize); 2] = [("32 KiB", 8 << 10), ("4 MiB", 1 << 20)];

fn main() {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    masks(&mut criterion);
    samples(&mut criterion);
    criterion.final_summary();
}

fn masks(criterion: &mut Criterion<CpuTime>) {
    let masks: Vec<(MaskKey, Sign)> =
        (0..100).map(|index| (MaskKey::new([index; 16]), Sign::Plus)).collect();
    let mut group = criterion.benchmark_group("mask");
    for (name, words) in SIZES {
        for kernel in Kernel::available() {
            let mut apply = |masks: &[(MaskKey, Sign)]| {
                let name = format!("{kernel:?}, {} of {name}", masks.len());
                apply(&mut group, &name, kernel, masks, words);
            };
            apply(slice::from_ref(&masks[0]));
            apply(&masks);
        }
    }
    group.finish();
}

fn apply(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    name: &str,
    kernel: Kernel,
    masks: &[(MaskKey, Sign)],
    words: usize,
) {
    let mut vector = vec![0; words];
    let bytes = masks.len() * size_of_val(&vector[..]);
    group.sample_size(20).throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| mask::apply_with(kernel, masks, &mut vector));
    });
}

fn samples(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("gaussian");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    let mut out = vec![0; SAMPLES];
    for kernel in Kernel::available() {
        let mut sampler = Sampler::with_kernel(kernel, [7; 32]);
        group.bench_function(format!("{kernel:?}"), |bencher| {
            bencher.iter(|| sampler.fill(&mut out));
        });
    }
    group.finish();
}
