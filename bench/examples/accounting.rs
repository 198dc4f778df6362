//! `accounting RATE SIGMA STEPS DELTA REPEAT`: epsilon of that many subsampled Gaussians, by
//! privacy-loss distribution and by Renyi divergences, and what each figure costs in processor
//! time, as a line of JSON. `bench/peers/accounting.py` runs it beside dp-accounting.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::env;
use std::error::Error;
use std::hint::black_box;

use bench::CpuTime;
use criterion::measurement::Measurement;
use nexus_privacy::accounting::{AccountingError, PrivacyLoss, rdp};

/// The last value, and the seconds of each of `repeat` runs after one that warms up.
fn timed(
    repeat: usize,
    run: impl Fn() -> Result<f64, AccountingError>,
) -> Result<(f64, Vec<f64>), AccountingError> {
    let mut value = run()?;
    let mut seconds = Vec::with_capacity(repeat);
    for _ in 0..repeat {
        let start = CpuTime.start();
        value = black_box(run()?);
        seconds.push(CpuTime.to_f64(&CpuTime.end(start)) * 1e-9);
    }
    Ok((value, seconds))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [rate, sigma, steps, delta, repeat] = arguments.as_slice() else {
        return Err("usage: accounting RATE SIGMA STEPS DELTA REPEAT".into());
    };
    let (rate, sigma, delta): (f64, f64, f64) = (rate.parse()?, sigma.parse()?, delta.parse()?);
    let (steps, repeat): (u64, usize) = (steps.parse()?, repeat.parse()?);
    let pld = || PrivacyLoss::of(black_box(rate), sigma, steps, delta)?.epsilon(delta);
    let (epsilon, pld_s) = timed(repeat, pld)?;
    let (rdp_epsilon, rdp_s) =
        timed(repeat, || rdp::epsilon(black_box(rate), sigma, steps, delta))?;
    let grid = PrivacyLoss::of(rate, sigma, steps, delta)?.grid();
    println!(
        "{{\"grid\": {grid}, \"epsilon\": {epsilon}, \"pld_s\": {pld_s:?}, \
         \"rdp_epsilon\": {rdp_epsilon}, \"rdp_s\": {rdp_s:?}}}"
    );
    Ok(())
}
