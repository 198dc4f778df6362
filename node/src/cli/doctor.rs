//! `nexus doctor`: is this machine fit?

use std::fs;
use std::path::Path;

use nexus_models::{Mode, ModelSpec, Network, Workspace};
use serde::Serialize;

use super::Context;
use crate::error::NodeError;
use crate::run::folder::json;
use crate::run::store::write_atomic;

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Note,
    Failed,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
}

impl Check {
    fn note(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Note, found: found.into() }
    }

    fn of(name: &'static str, found: Result<String, String>) -> Self {
        match found {
            Ok(found) => Self { name, verdict: Verdict::Ok, found },
            Err(found) => Self { name, verdict: Verdict::Failed, found },
        }
    }
}

pub(super) fn doctor(context: &Context) -> Result<(), NodeError> {
    let checks = [
        Check::of("processor", Ok(processor())),
        Check::of("memory", memory()),
        Check::of("runs folder", writable(&context.settings.runs.value)),
        Check::of("arithmetic", arithmetic()),
        Check::note("enclave", enclave()),
    ];
    let printer = context.printer;
    if printer.json {
        printer.result_bytes(&json(&checks));
    } else {
        for check in &checks {
            let verdict = match check.verdict {
                Verdict::Ok => "ok",
                Verdict::Note => "note",
                Verdict::Failed => "FAILED",
            };
            printer.result(format_args!("{}\t{verdict}\t{}\n", check.name, check.found));
        }
    }
    let failed = checks.iter().filter(|check| matches!(check.verdict, Verdict::Failed)).count();
    match failed {
        0 => Ok(()),
        failed => Err(NodeError::Unhealthy { failed, checks: checks.len() }),
    }
}

fn processor() -> String {
    let threads = nexus_learning::parallel::threads();
    format!("{threads} threads, {}", vector_units())
}

#[cfg(target_arch = "x86_64")]
fn vector_units() -> &'static str {
    if is_x86_feature_detected!("avx512f") {
        "AVX-512"
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        "AVX2 and FMA"
    } else {
        "neither AVX2 nor AVX-512: training is slow here"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn vector_units() -> &'static str {
    "portable kernels"
}

const NEEDED_MIB: u64 = 128;

fn memory() -> Result<String, String> {
    let Ok(text) = fs::read_to_string("/proc/meminfo") else {
        return Ok("this system does not tell".into());
    };
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let free = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    match free.map(|kibibytes| kibibytes / 1024) {
        Some(free) if free < NEEDED_MIB => Err(format!("{free} MiB free, {NEEDED_MIB} are needed")),
        Some(free) => Ok(format!("{free} MiB free")),
        None => Ok("this system does not tell".into()),
    }
}

fn writable(runs: &Path) -> Result<String, String> {
    let probe = runs.join(".doctor");
    let tried = fs::create_dir_all(runs).and_then(|()| write_atomic(&probe, b"ok"));
    let tried = tried.and_then(|()| fs::remove_file(&probe));
    tried.map(|()| runs.display().to_string()).map_err(|e| format!("{}: {e}", runs.display()))
}

/// The vector kernels against plain arithmetic: a linear model of ones sums its input.
fn arithmetic() -> Result<String, String> {
    let width = 67;
    let spec = ModelSpec::linear(width);
    let network = Network::<f32>::new(&spec).map_err(|e| e.to_string())?;
    let ones = vec![1.0; network.parameters()];
    let input: Vec<f32> = (0..width).map(|i| i as f32).collect();
    let mut workspace = Workspace::default();
    let output = network.forward(&ones, &input, 1, Mode::Eval, &mut workspace);
    let sum = output.map_err(|e| e.to_string())?.first().copied().unwrap_or(f32::NAN);
    let expected = 1.0 + input.iter().sum::<f32>();
    if (sum - expected).abs() < 1e-2 {
        return Ok("the matrix kernels are right".into());
    }
    Err(format!("the matrix kernels are wrong: {sum} instead of {expected}"))
}

fn enclave() -> &'static str {
    let found = ["/dev/sgx_enclave", "/dev/tdx_guest", "/dev/sev-guest"];
    match found.into_iter().find(|device| Path::new(device).exists()) {
        Some(_) => "a device is there; this version does not use it",
        None => "no device; this version uses none",
    }
}
