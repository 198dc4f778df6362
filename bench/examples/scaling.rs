//! `scaling`: a round of ten owners, and answers to encrypted rows, on one thread and on two, 41 times in
//! turn; prints the medians and their ratio. In turn, because a shared machine changes its speed
//! while one looks.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use bench::{BenchError, Federation};
use nexus_he::circuit::{Affine, EvaluationKeys, Limits, Plan, Program, Stage};
use nexus_he::{Ciphertext, Encoder, Matrix, Polynomial, SecretKey};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};

const TIMES: usize = 41;

fn main() -> Result<(), BenchError> {
    let federation = Federation::new(512)?;
    federation.round(2)?;
    compare("a round of ten owners", |threads| {
        federation.round(threads)?;
        Ok(())
    })?;
    // A square needs N = 8192, degree 15 needs N = 16384.
    for (name, activation) in [
        ("784-64(square)-10 on an encrypted row", vec![0.0, 0.0, 1.0]),
        ("784-64(degree 15)-10 on an encrypted row", vec![0.01; 16]),
    ] {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let first = layer(&mut rng, 64, 784)?;
        let activation = Stage::Polynomial(Polynomial::new(activation)?);
        let stages = [first, activation, layer(&mut rng, 10, 64)?];
        let answers = [Answers::new(&stages, 1)?, Answers::new(&stages, 2)?];
        compare(name, |threads| answers[threads - 1].one())?;
    }
    Ok(())
}

/// What `job` takes on one thread and on two.
fn compare(name: &str, job: impl Fn(usize) -> Result<(), BenchError>) -> Result<(), BenchError> {
    let mut seconds = [Vec::new(), Vec::new()];
    for _ in 0..TIMES {
        for (threads, seconds) in [1, 2].into_iter().zip(&mut seconds) {
            let begun = now();
            job(threads)?;
            seconds.push(now() - begun);
        }
    }
    let [one, two] = seconds.map(median);
    println!(
        "{name}: 1 thread {:.1} ms, 2 threads {:.1} ms: {:.2}x",
        one * 1e3,
        two * 1e3,
        one / two
    );
    Ok(())
}

/// Weights by chance.
fn layer(rng: &mut ChaCha12Rng, rows: usize, columns: usize) -> Result<Stage, BenchError> {
    let mut weight = || (f64::from(rng.next_u32()) / 2_147_483_648.0 - 1.0) / columns as f64;
    let weights = (0..rows * columns).map(|_| weight()).collect();
    Ok(Stage::Affine(Affine::new(Matrix::new(columns, weights)?, vec![0.1; rows])?))
}

/// A circuit with keys and a row.
struct Answers {
    program: Program,
    keys: EvaluationKeys,
    row: Ciphertext,
}

impl Answers {
    fn new(stages: &[Stage], threads: usize) -> Result<Self, BenchError> {
        let program = Plan::new(stages, &Limits::default())?.prepare()?;
        program.use_threads(threads)?;
        let rng = &mut ChaCha12Rng::seed_from_u64(2);
        let secret = SecretKey::generate(program.context(), rng);
        let keys = program.terms().keys(&secret, rng)?;
        let row = vec![0.5; program.terms().inputs as usize];
        let row = program.terms().pack(&Encoder::new(program.context())?, &row)?;
        let row = secret.encrypt(&row, rng)?;
        Ok(Self { program, keys, row })
    }

    fn one(&self) -> Result<(), BenchError> {
        let rng = &mut ChaCha12Rng::seed_from_u64(3);
        self.program.run(&self.row, &self.keys, rng)?;
        Ok(())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn now() -> f64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
