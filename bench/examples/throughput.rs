//! `throughput MODEL SAMPLES BATCH`: one epoch to warm up, one timed, on one thread; prints one
//! line of JSON. `bench/peers/training.py` runs it beside torch.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use bench::{BenchError, first_task, images, models, plain_sgd};
use nexus_learning::{Length, train_local};
use nexus_models::Network;
use nexus_types::Seed;
use rustix::time::{ClockId, clock_gettime};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let known = models();
    let [name, samples, batch] = arguments.as_slice() else { return usage() };
    let model = known.into_iter().find(|(known, _)| known == name);
    let (Some((_, spec)), Ok(samples), Ok(batch)) = (model, samples.parse(), batch.parse()) else {
        return usage();
    };
    match epochs(&spec, samples, batch) {
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
    println!("throughput mlp|cnn SAMPLES BATCH");
    ExitCode::from(2)
}

/// Wall and processor seconds of the second epoch.
fn epochs(
    spec: &nexus_models::ModelSpec,
    samples: usize,
    batch: usize,
) -> Result<(f64, f64), BenchError> {
    let (network, seed) = (Network::new(spec)?, Seed::from_number(1));
    let rows = images(samples, &seed)?;
    let config = plain_sgd(Length::Epochs(1), batch);
    let mut task = first_task(&network, &seed);
    let warm = train_local(&network, &rows, &config, &task, &seed)?;
    for (parameter, change) in task.parameters.iter_mut().zip(&warm.delta) {
        *parameter += change;
    }
    let (wall, cpu) = (seconds(ClockId::Monotonic), seconds(ClockId::ProcessCPUTime));
    train_local(&network, &rows, &config, &task, &seed)?;
    Ok((seconds(ClockId::Monotonic) - wall, seconds(ClockId::ProcessCPUTime) - cpu))
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
