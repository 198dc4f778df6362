//! Whole circuits on encrypted vectors, on one thread and on two, in time by the clock.

use std::num::NonZeroUsize;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion};
use nexus_he::circuit::{Affine, BatchPlan, Limits, Plan, Stage};
use nexus_he::{Ciphertext, Encoder, HeError, Matrix, Polynomial, SecretKey, Threads};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut criterion = Criterion::default().configure_from_args();
    let square = Polynomial::new(vec![0.0, 0.0, 1.0])?;
    let (tanh, _) = Polynomial::minimax(15, f64::tanh)?;
    rows(&mut criterion, "784-64(square)-10", &network([784, 64, 10], square.clone())?)?;
    rows(&mut criterion, "64-64(degree 15)-10", &network([64, 64, 10], tanh)?)?;
    batch(&mut criterion, "batch of 64-16(square)-10", &network([64, 16, 10], square)?)?;
    criterion.final_summary();
    Ok(())
}

fn network([inputs, hidden, outputs]: [usize; 3], between: Polynomial) -> Outcome<Vec<Stage>> {
    let layer = |rows: usize, columns: usize| -> Result<Stage, HeError> {
        let weights = (0..rows * columns).map(|at| 0.05 * (0.37 * at as f64).sin()).collect();
        Affine::new(Matrix::new(columns, weights)?, vec![0.1; rows]).map(Stage::Affine)
    };
    Ok(vec![layer(hidden, inputs)?, Stage::Polynomial(between), layer(outputs, hidden)?])
}

fn threads() -> Outcome<Vec<(usize, Arc<Threads>)>> {
    let counts = [NonZeroUsize::MIN, NonZeroUsize::MIN.saturating_add(1)];
    counts.into_iter().map(|count| Ok((count.get(), Arc::new(Threads::new(count)?)))).collect()
}

fn rows(criterion: &mut Criterion, name: &str, stages: &[Stage]) -> Outcome {
    let plan = Plan::new(stages, &Limits::default())?;
    let (terms, program) = (plan.terms(), plan.prepare()?);
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let secret = SecretKey::generate(program.context(), &mut rng);
    let keys = terms.keys(&secret, &mut rng)?;
    let row: Vec<f64> = (0..terms.inputs).map(|at| f64::from(at).sin()).collect();
    let plain = terms.pack(&Encoder::new(program.context())?, &row)?;
    let question = secret.encrypt(&plain, &mut rng)?;
    let mut group = criterion.benchmark_group(name);
    for (count, threads) in threads()? {
        let program = program.clone().on(threads);
        group.bench_function(BenchmarkId::new("threads", count), |bencher| {
            bencher.iter(|| program.run(&question, &keys, &mut rng));
        });
    }
    group.finish();
    Ok(())
}

fn batch(criterion: &mut Criterion, name: &str, stages: &[Stage]) -> Outcome {
    let plan = BatchPlan::new(stages, &Limits::default())?;
    let (terms, program) = (plan.terms(), plan.prepare()?);
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let secret = SecretKey::generate(program.context(), &mut rng);
    let keys = terms.keys(&secret, &mut rng)?;
    let rows = vec![vec![0.5; terms.inputs as usize]; terms.vectors()];
    let plains = terms.pack_columns(&Encoder::new(program.context())?, &rows)?;
    let questions = plains.iter().map(|plain| secret.encrypt(plain, &mut rng));
    let questions: Vec<Ciphertext> = questions.collect::<Result<_, _>>()?;
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    for (count, threads) in threads()? {
        let program = program.clone().on(threads);
        group.bench_function(BenchmarkId::new("threads", count), |bencher| {
            bencher.iter(|| program.run(questions.clone(), &keys));
        });
    }
    group.finish();
    Ok(())
}
