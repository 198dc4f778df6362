//! Masks, samples and points on one thread, by every kernel of this machine, in processor time.

use std::slice;

use bench::CpuTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use nexus_field::Kernel;
use nexus_field::edwards::Points;
use nexus_field::gaussian::Sampler;
use nexus_field::mask::{self, MaskKey, Sign};

/// Coefficients of two million parameters, two to a coefficient.
const SAMPLES: usize = 500_000;
const POINTS: usize = 4096;
const SIZES: [(&str, usize); 2] = [("32 KiB", 8 << 10), ("4 MiB", 1 << 20)];

fn main() {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    masks(&mut criterion);
    samples(&mut criterion);
    points(&mut criterion);
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

/// One number times every point, encoded; curve25519-dalek does the same one by one.
fn points(criterion: &mut Criterion<CpuTime>) {
    let mut uniform = vec![[0; 64]; POINTS];
    for (bytes, index) in uniform.iter_mut().zip(1u64..) {
        bytes[..8].copy_from_slice(&index.to_le_bytes());
    }
    let scalar = Scalar::from_bytes_mod_order([7; 32]);
    let mut group = criterion.benchmark_group("ristretto255");
    group.sample_size(20).throughput(Throughput::Elements(POINTS as u64));
    for kernel in [Kernel::Portable, Kernel::Ifma].into_iter().filter(|x| x.is_available()) {
        let points = Points::map_with(kernel, &uniform);
        group.bench_function(format!("{kernel:?}"), |bencher| {
            bencher.iter(|| points.mul(scalar.as_bytes()).encode());
        });
    }
    let points: Vec<RistrettoPoint> =
        uniform.iter().map(RistrettoPoint::from_uniform_bytes).collect();
    group.bench_function("curve25519-dalek", |bencher| {
        bencher.iter(|| {
            let products: Vec<RistrettoPoint> = points.iter().map(|x| x * scalar).collect();
            RistrettoPoint::double_and_compress_batch(&products)
        });
    });
    group.finish();
}
