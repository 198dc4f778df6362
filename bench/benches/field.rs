//! The transform, the ring and long sums, by every kernel of this machine, on one thread, in
//! processor time. A vector of a million values, two to a word, is 123 blocks.

use std::hint::black_box;

use bench::CpuTime;
use criterion::{BenchmarkId, Criterion, Throughput};
use nexus_field::{Kernel, N, ntt, ring, zero_block};

const BLOCKS: usize = 123;
const SEED: [u8; 32] = [1; 32];

fn main() {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    transform(&mut criterion);
    products(&mut criterion);
    sums(&mut criterion);
    unmask(&mut criterion);
    criterion.final_summary();
}

fn transform(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("transform of 4096 words");
    let mut block = zero_block();
    ring::uniform(&SEED, 0, &mut block);
    for kernel in Kernel::available() {
        group.bench_function(BenchmarkId::new("forward", format!("{kernel:?}")), |bencher| {
            bencher.iter(|| ntt::forward_with(kernel, black_box(&mut block)));
        });
        group.bench_function(BenchmarkId::new("inverse", format!("{kernel:?}")), |bencher| {
            bencher.iter(|| ntt::inverse_with(kernel, black_box(&mut block)));
        });
    }
    group.finish();
}

fn products(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("ring of 4096 words");
    let (mut a, mut b, mut sum) = (zero_block(), zero_block(), zero_block());
    group.throughput(Throughput::Bytes(8 * N as u64));
    group.bench_function("uniform", |bencher| {
        bencher.iter(|| ring::uniform(&SEED, 1, black_box(&mut a)));
    });
    ring::uniform(&SEED, 2, &mut b);
    for kernel in Kernel::available() {
        group.bench_function(BenchmarkId::new("mul", format!("{kernel:?}")), |bencher| {
            bencher.iter(|| ring::mul_with(kernel, black_box(&mut a), &b));
        });
        group.bench_function(BenchmarkId::new("mul_add", format!("{kernel:?}")), |bencher| {
            bencher.iter(|| ring::mul_add_with(kernel, black_box(&mut sum), &a, &b));
        });
    }
    group.finish();
}

fn sums(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("123 blocks");
    let (mut sum, x) = (vec![1; BLOCKS * N], vec![2; BLOCKS * N]);
    group.throughput(Throughput::Bytes(8 * x.len() as u64));
    for kernel in Kernel::available() {
        group.bench_function(BenchmarkId::new("add", format!("{kernel:?}")), |bencher| {
            bencher.iter(|| ring::add_with(kernel, black_box(&mut sum), &x));
        });
        group.bench_function(BenchmarkId::new("check", format!("{kernel:?}")), |bencher| {
            bencher.iter(|| ring::check_canonical_with(kernel, black_box(&x)));
        });
    }
    group.finish();
}

/// What a coordinator does to a sum once it knows the sum of keys, before decoding.
fn unmask(criterion: &mut Criterion<CpuTime>) {
    let (mut key, mut mask) = (zero_block(), zero_block());
    ring::uniform(&SEED, 0, &mut key);
    let mut sum = vec![1; BLOCKS * N];
    criterion.bench_function("unmask 123 blocks", |bencher| {
        bencher.iter(|| {
            for (index, words) in sum.chunks_exact_mut(N).enumerate() {
                ring::uniform(&SEED, index as u64, &mut mask);
                ring::mul(&mut mask, &key);
                ntt::inverse(&mut mask);
                ring::sub(words, &mask[..]);
            }
        });
    });
}
