//! `private_throughput MODEL MODE SAMPLES`: steps of private training on one thread, as many to warm up
//! as are timed; prints one line of JSON. `bench/peers/private_training.py` runs it beside Opacus.
//!
//! Modes: `plain` without privacy; `float`, noise in floats; `float-padded`, of which time does not tell
//! the size of a batch; `exact-padded`, discrete Gaussian noise on the grid of a secure sum.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use bench::{BenchError, Noise, PrivateSteps, first_task, images, models, plain_sgd};
use nexus_learning::{Length, train_local};
use nexus_models::{ModelSpec, Network};
use nexus_types::Seed;
use rustix::time::{ClockId, clock_gettime};

/// Rows of a batch, on average.
const BATCH: usize = 256;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, mode, samples] = arguments.as_slice() else { return usage() };
    let model = models().into_iter().find(|(known, _)| known == name);
    let (Some((_, spec)), Ok(samples)) = (model, samples.parse()) else { return usage() };
    let timed = match mode.as_str() {
        "plain" => plain(&spec, samples),
        "float" => private(&spec, samples, Noise::Floats, false),
        "float-padded" => private(&spec, samples, Noise::Floats, true),
        "exact-padded" => private(&spec, samples, Noise::Exact, true),
        _ => return usage(),
    };
    match timed {
        Ok((wall, cpu)) => {
            println!(r#"{{"samples": {samples}, "wall_s": {wall}, "cpu_s": {cpu}}}"#);
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    println!("private_throughput mlp|cnn plain|float|float-padded|exact-padded SAMPLES");
    ExitCode::from(2)
}

/// Wall and processor seconds of the second epoch.
fn plain(spec: &ModelSpec, samples: usize) -> Result<(f64, f64), BenchError> {
    let (network, seed) = (Network::new(spec)?, Seed::from_number(1));
    let rows = images(samples, &seed)?;
    let (config, task) = (plain_sgd(Length::Epochs(1), BATCH), first_task(&network, &seed));
    train_local(&network, &rows, &config, &task, &seed)?;
    seconds_of(|| Ok(train_local(&network, &rows, &config, &task, &seed).map(|_| ())?))
}

/// The same with privacy.
fn private(
    spec: &ModelSpec,
    samples: usize,
    noise: Noise,
    padded: bool,
) -> Result<(f64, f64), BenchError> {
    let mut steps = PrivateSteps::new(spec, samples, BATCH, noise, padded)?;
    let mut epoch = || (0..samples / BATCH).try_for_each(|_| steps.step());
    epoch()?;
    seconds_of(epoch)
}

fn seconds_of(mut work: impl FnMut() -> Result<(), BenchError>) -> Result<(f64, f64), BenchError> {
    let (wall, cpu) = (seconds(ClockId::Monotonic), seconds(ClockId::ProcessCPUTime));
    work()?;
    Ok((seconds(ClockId::Monotonic) - wall, seconds(ClockId::ProcessCPUTime) - cpu))
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
