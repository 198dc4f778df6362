//! Noise on one thread, in processor time: draws a second. And what the stages cost.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;

use bench::CpuTime;
use criterion::{BatchSize, Criterion, Throughput};
use nexus_field::Kernel;
use nexus_field::gaussian::{WideSampler, Width};
use nexus_privacy::flow::{Label, Masker, Private, Waiver};
use nexus_privacy::mechanisms::clip::Clip;
use nexus_privacy::mechanisms::exact::{Variance, gaussian, laplace};
use nexus_privacy::mechanisms::gaussian::Gaussian;
use nexus_privacy::mechanisms::grid::{Grid, Room};
use nexus_privacy::mechanisms::skellam::Skellam;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use zeroize::Zeroize as _;

/// Parameters of a network of 784, 256 and 10 units.
const VALUES: usize = 203_530;
const FEW: usize = 1000;

type Bench = Criterion<CpuTime>;

fn main() {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    kernels(&mut criterion);
    widths(&mut criterion);
    references(&mut criterion);
    stages(&mut criterion);
    criterion.final_summary();
}

/// The convolution at a width of 10^6, by every kernel of this machine.
fn kernels(criterion: &mut Bench) {
    let mut group = criterion.benchmark_group("noise by kernel");
    group.sample_size(10).throughput(Throughput::Elements(VALUES as u64));
    let (mut out, width) = (vec![0; VALUES], Width::at_least(1e6).expect("a width in range"));
    for kernel in Kernel::available() {
        let mut sampler = WideSampler::with_kernel(kernel, &width, &[7; 32]);
        group.bench_function(format!("{kernel:?}"), |bencher| {
            bencher.iter(|| sampler.fill(&mut out));
        });
    }
    group.finish();
}

fn widths(criterion: &mut Bench) {
    let mut group = criterion.benchmark_group("noise by width");
    group.sample_size(10).throughput(Throughput::Elements(VALUES as u64));
    let (mut out, mut rng) = (vec![0; VALUES], ChaCha12Rng::seed_from_u64(1));
    for exponent in [3, 4, 5, 6, 7, 9] {
        let noise = Gaussian::at_least(10_f64.powi(exponent)).expect("a width in range");
        group.bench_function(format!("10^{exponent}"), |bencher| {
            bencher.iter(|| noise.add(&mut rng, &mut out));
        });
    }
    group.finish();
}

fn references(criterion: &mut Bench) {
    let mut group = criterion.benchmark_group("noise by reference");
    group.sample_size(10).throughput(Throughput::Elements(FEW as u64));
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let variance = Variance::new(1_000_000, 1).expect("a variance in range");
    group.bench_function("Gaussian", |bencher| {
        bencher.iter(|| (0..FEW).map(|_| gaussian(variance, &mut rng)).sum::<i64>());
    });
    group.bench_function("Laplace", |bencher| {
        let mut draw = || laplace(1000, 1, &mut rng).expect("a scale in range");
        bencher.iter(|| (0..FEW).map(|_| draw()).sum::<i64>());
    });
    let (skellam, mut out) = (Skellam::new(1 << 16).expect("a mean in range"), vec![0; FEW]);
    group.bench_function("Skellam", |bencher| bencher.iter(|| skellam.add(&mut rng, &mut out)));
    group.finish();
}

/// Takes the values as they are.
struct Take(Vec<i64>);

impl Masker for Take {
    type Error = Infallible;

    fn mask(&mut self, values: &[i64]) -> Result<Arc<[u8]>, Infallible> {
        self.0.copy_from_slice(values);
        Ok(Arc::new([]))
    }
}

/// The same steps with and without stages, and without but wiping both vectors, as stages do: what
/// is between `wiped` and `typed` is what the types cost.
fn stages(criterion: &mut Bench) {
    let mut group = criterion.benchmark_group("stages");
    group.sample_size(20).throughput(Throughput::Elements(VALUES as u64));
    let room = Room { rows: 256.0, sigma: 1.0, limit: 1 << 40 };
    let grid = Grid::new(1.0, VALUES, room).expect("a grid with room");
    let clip = Clip::new(1.0).expect("a norm in range");
    let (vector, label) = (vec![0.01; VALUES], Arc::new(Label::public()));
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut take = Take(vec![0; VALUES]);
    group.bench_function("bare", |bencher| {
        let run = |mut vector: Vec<f64>| {
            clip.apply(&mut vector);
            let integers = grid.round_whole(&vector).expect("a vector of this length");
            take.0.copy_from_slice(&integers);
            black_box(take.0[0])
        };
        bencher.iter_batched(|| vector.clone(), run, BatchSize::LargeInput);
    });
    group.bench_function("wiped", |bencher| {
        let run = |mut vector: Vec<f64>| {
            clip.apply(&mut vector);
            let mut integers = grid.round_whole(&vector).expect("a vector of this length");
            vector.zeroize();
            take.0.copy_from_slice(&integers);
            integers.zeroize();
            black_box(take.0[0])
        };
        bencher.iter_batched(|| vector.clone(), run, BatchSize::LargeInput);
    });
    group.bench_function("typed", |bencher| {
        let run = |vector: Vec<f64>| {
            let clipped = Private::new(vector, Arc::clone(&label)).clip_whole(clip);
            let waiver = Waiver::of_job_without_privacy();
            let noised = clipped.unprotected(waiver, &grid, &mut rng).expect("a fitting grid");
            let Ok(masked) = noised.mask(&mut take);
            black_box(masked.message().len())
        };
        bencher.iter_batched(|| vector.clone(), run, BatchSize::LargeInput);
    });
    group.finish();
}
