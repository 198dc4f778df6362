//! `encrypted_mlp ROWS [QUESTIONS]`: a network on encrypted rows, on one thread; prints a line of JSON for
//! each of two networks, and one for each with as many rows in a question as it has slots. `bench/peers/tenseal_mlp.py` runs the same ones in TenSEAL.
//!
//! `mlp` is 784-64(square)-10, `logistic` one output from 30 numbers. Weights and rows are drawn.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use bench::BenchError;
use nexus_he::circuit::{Affine, BatchPlan, Limits, Plan, Stage, in_the_clear};
use nexus_he::{Matrix, Polynomial};
use nexus_inference::{Client, Server, Task};
use nexus_types::{ModelHash, Seed};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};

fn main() -> ExitCode {
    let rows = std::env::args().nth(1).map_or(Ok(20), |rows| rows.parse::<usize>());
    let questions = std::env::args().nth(2).map_or(Ok(1), |questions| questions.parse::<usize>());
    let (Ok(rows), Ok(questions)) = (rows, questions) else {
        println!("encrypted_mlp ROWS [QUESTIONS]");
        return ExitCode::from(2);
    };
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let square = Polynomial::new(vec![0.0, 0.0, 1.0]).map(Stage::Polynomial);
    let done = square.map_err(BenchError::from).and_then(|square| {
        let mlp = vec![layer(&mut rng, 64, 784, 0.05)?, square, layer(&mut rng, 10, 64, 0.1)?];
        measure("mlp", &mlp, rows, &mut rng)?;
        let logistic = vec![layer(&mut rng, 1, 30, 0.2)?];
        measure("logistic", &logistic, rows, &mut rng)?;
        if questions > 0 {
            batched("mlp_batched", &mlp, questions, &mut rng)?;
            batched("logistic_batched", &logistic, questions, &mut rng)?;
        }
        Ok(())
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Uniform numbers of this deviation.
fn numbers(rng: &mut ChaCha12Rng, count: usize, deviation: f64) -> Vec<f64> {
    let unit = |rng: &mut ChaCha12Rng| f64::from(rng.next_u32()) / 2_147_483_648.0 - 1.0;
    (0..count).map(|_| deviation * 3_f64.sqrt() * unit(rng)).collect()
}

fn layer(
    rng: &mut ChaCha12Rng,
    rows: usize,
    columns: usize,
    deviation: f64,
) -> Result<Stage, BenchError> {
    let matrix = Matrix::new(columns, numbers(rng, rows * columns, deviation))?;
    Ok(Stage::Affine(Affine::new(matrix, numbers(rng, rows, 0.1))?))
}

/// Processor seconds of this process.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// The same with as many rows in a question as it has slots.
fn batched(
    name: &str,
    stages: &[Stage],
    questions: usize,
    rng: &mut ChaCha12Rng,
) -> Result<(), BenchError> {
    let plan = BatchPlan::new(stages, &Limits::default())?;
    let terms = plan.terms();
    let task = Task::Classes((0..terms.outputs.len()).map(|class| class.to_string()).collect());
    let hash = ModelHash(nexus_types::Digest::of("bench", name.as_bytes()));
    let server = Server::batched(&plan, hash, task, 1)?;
    let client = Client::new(server.description().clone(), rng)?;
    let keys = client.keys(rng)?;
    let id = server.register(&keys)?;
    let (mut times, mut bytes, mut error) = ([f64::INFINITY; 3], [0; 2], 0.0_f64);
    let mut random = Seed::from_number(2).rng();
    let width = terms.inputs as usize;
    let rows: Vec<f32> =
        (0..width * client.rows()).map(|_| (random.next_u32() >> 16) as f32 / 65_536.0).collect();
    let rows: Vec<&[f32]> = rows.chunks_exact(width).collect();
    for _ in 0..questions {
        let from = now();
        let question = client.questions(&rows, rng)?;
        let asked = now();
        let answer = server.answer(id, &question, rng)?;
        let answered = now();
        let predictions = client.predictions(&answer, rows.len())?;
        let read = now();
        let took = [asked - from, answered - asked, read - answered];
        times.iter_mut().zip(took).for_each(|(best, time)| *best = best.min(time));
        bytes = [question.len(), answer.len()];
        for (row, got) in rows.iter().zip(predictions) {
            let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
            let pairs = got.outputs.iter().zip(in_the_clear(stages, &row));
            error = pairs.map(|(got, clear)| (got - clear).abs()).fold(error, f64::max);
        }
    }
    let [question, answer, read] = times.map(|time| 1e3 * time);
    println!(
        r#"{{"network": "{name}", "degree": {}, "rows": {}, "question_ms": {question}, "answer_ms": {answer}, "read_ms": {read}, "question_bytes": {}, "answer_bytes": {}, "key_bytes": {}, "error": {error}}}"#,
        terms.degree,
        rows.len(),
        bytes[0],
        bytes[1],
        keys.len(),
    );
    Ok(())
}

fn measure(
    name: &str,
    stages: &[Stage],
    rows: usize,
    rng: &mut ChaCha12Rng,
) -> Result<(), BenchError> {
    let plan = Plan::new(stages, &Limits::default())?;
    let terms = plan.terms();
    let task = Task::Classes((0..terms.outputs.len()).map(|class| class.to_string()).collect());
    let hash = ModelHash(nexus_types::Digest::of("bench", name.as_bytes()));
    let server = Server::new(&plan, hash, task, 1)?;
    let client = Client::new(server.description().clone(), rng)?;
    let keys = client.keys(rng)?;
    let id = server.register(&keys)?;
    let (mut times, mut bytes, mut error) = ([Vec::new(), Vec::new(), Vec::new()], [0; 2], 0.0_f64);
    let mut random = Seed::from_number(2).rng();
    for _ in 0..=rows {
        let row: Vec<f32> =
            (0..terms.inputs).map(|_| (random.next_u32() >> 16) as f32 / 65_536.0).collect();
        let from = now();
        let question = client.question(&row, rng)?;
        let asked = now();
        let answer = server.answer(id, &question, rng)?;
        let answered = now();
        let outputs = client.prediction(&answer)?.outputs;
        let read = now();
        for (times, time) in times.iter_mut().zip([asked - from, answered - asked, read - answered])
        {
            times.push(time);
        }
        bytes = [question.len(), answer.len()];
        let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        let pairs = outputs.iter().zip(in_the_clear(stages, &row));
        error = pairs.map(|(got, clear)| (got - clear).abs()).fold(error, f64::max);
    }
    let [question, answer, read] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        1e3 * times[times.len() / 2]
    });
    println!(
        r#"{{"network": "{name}", "degree": {}, "question_ms": {question}, "answer_ms": {answer}, "read_ms": {read}, "question_bytes": {}, "answer_bytes": {}, "key_bytes": {}, "error": {error}}}"#,
        terms.degree,
        bytes[0],
        bytes[1],
        keys.len(),
    );
    Ok(())
}
