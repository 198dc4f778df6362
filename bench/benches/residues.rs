//! Transforms and products modulo one prime, by every kernel of this machine that differs, on one
//! thread, in processor time. The throughput of a transform is in butterflies: N/2·log2 N of them.

use std::hint::black_box;

use bench::CpuTime;
use criterion::{BenchmarkId, Criterion, Throughput};
use nexus_field::Kernel;
use nexus_field::rns::{Modulus, Transform, choose};

const DEGREES: [usize; 4] = [4096, 8192, 16384, 32768];
const KERNELS: [Kernel; 3] = [Kernel::Portable, Kernel::Avx2, Kernel::Ifma];
/// A prime for every path: the vectors multiply words of up to 50 bits, some faster up to 46.
const BITS: [u32; 3] = [40, 50, 60];

fn main() {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    for bits in BITS {
        for degree in DEGREES {
            for prime in choose(degree, &[bits]).into_iter().flatten() {
                transform(&mut criterion, prime, degree);
            }
        }
        for prime in choose(8192, &[bits]).into_iter().flatten() {
            products(&mut criterion, prime, 8192);
        }
    }
    criterion.final_summary();
}

fn kernels() -> impl Iterator<Item = Kernel> {
    KERNELS.into_iter().filter(|kernel| kernel.is_available())
}

fn words(prime: Modulus, count: usize) -> Vec<u64> {
    let word = |i: u64| prime.reduce(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (0..count as u64).map(word).collect()
}

fn transform(criterion: &mut Criterion<CpuTime>, prime: Modulus, degree: usize) {
    let name = format!("{degree} words modulo {} bits", prime.bits());
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(degree as u64 / 2 * u64::from(degree.ilog2())));
    let mut words = words(prime, degree);
    for kernel in kernels() {
        let Ok(transform) = Transform::with_kernel(kernel, prime, degree) else { continue };
        group.bench_function(BenchmarkId::new("forward", format!("{kernel:?}")), |bencher| {
            bencher.iter(|| transform.forward(black_box(&mut words)));
        });
        group.bench_function(BenchmarkId::new("inverse", format!("{kernel:?}")), |bencher| {
            bencher.iter(|| transform.inverse(black_box(&mut words)));
        });
    }
    group.finish();
}

fn products(criterion: &mut Criterion<CpuTime>, prime: Modulus, count: usize) {
    let name = format!("products of {count} words modulo {} bits", prime.bits());
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(count as u64));
    let (mut sum, a, b) = (words(prime, count), words(prime, count), words(prime, count));
    for kernel in kernels() {
        group.bench_function(BenchmarkId::new("mul", format!("{kernel:?}")), |bencher| {
            bencher.iter(|| prime.mul_assign_with(kernel, black_box(&mut sum), &a));
        });
        group.bench_function(BenchmarkId::new("mul_add", format!("{kernel:?}")), |bencher| {
            bencher.iter(|| prime.mul_add_with(kernel, black_box(&mut sum), &a, &b));
        });
        group.bench_function(BenchmarkId::new("reduce", format!("{kernel:?}")), |bencher| {
            bencher
                .iter(|| prime.reduce_from_with(kernel, black_box(&mut sum), &a, 1, prime.bits()));
        });
    }
    group.finish();
}
