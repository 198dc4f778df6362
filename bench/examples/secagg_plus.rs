//! `secagg_plus [--json] [OWNERS VALUES DROPPED REPEAT]`: a sum without a committee, in one
//! thread; prints what each of its phases costs the coordinator and an owner, or one line of JSON
//! for each sum. `bench/peers/flower_secagg.py` runs it beside Flower.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use nexus_mpc::Identity;
use nexus_mpc::aggregation::secagg_plus::{Collector, Owner, Terms};
use nexus_mpc::aggregation::{
    Collector as _, Contributor, Outgoing, Peer, Progress, Refusal, Session, SumError,
};
use nexus_types::{Digest, OwnerId, Rng};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use rustix::time::{ClockId, clock_gettime};

/// What owners do in the phases, and what the coordinator does with it.
const PHASES: [&str; 5] = ["keys", "shares", "masked values", "votes", "reveal, unmask"];

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Sum(#[from] SumError),
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error("the sum is wrong")]
    Wrong,
}

/// Costs of one phase.
#[derive(Clone, Copy, Default)]
struct Cost {
    server_s: f64,
    owners_s: f64,
    answers: u32,
    bytes: usize,
}

impl Cost {
    fn each_ms(&self) -> f64 {
        1e3 * self.owners_s / f64::from(self.answers)
    }

    fn each_bytes(&self) -> usize {
        self.bytes / self.answers.max(1) as usize
    }
}

struct Job {
    owners: u32,
    values: u32,
    dropped: u32,
    terms: Terms,
}

fn main() -> ExitCode {
    let (flags, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word == "--json");
    let numbers: Result<Vec<u32>, _> = words.iter().map(|word| word.parse()).collect();
    let numbers = numbers.ok().filter(|numbers| numbers.is_empty() || numbers.len() == 4);
    let Some(numbers) = numbers else {
        println!("secagg_plus [--json] [OWNERS VALUES DROPPED REPEAT]");
        return ExitCode::from(2);
    };
    let [owners, values, dropped, repeat] = numbers.try_into().unwrap_or([100, 100_000, 10, 5]);
    let job = Job { owners, values, dropped, terms: Terms::default() };
    match (0..repeat).map(|seed| sum(&job, u64::from(seed))).collect::<Result<Vec<_>, _>>() {
        Ok(runs) => {
            if flags.is_empty() {
                print(&job, &runs);
            } else {
                runs.iter().for_each(print_json);
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn print_json(run: &[Cost; 5]) {
    let server_s: f64 = run.iter().map(|cost| cost.server_s).sum();
    let client_ms: f64 = run.iter().map(Cost::each_ms).sum();
    let upload: usize = run.iter().map(Cost::each_bytes).sum();
    println!(r#"{{"server_s": {server_s}, "client_ms": {client_ms}, "upload_bytes": {upload}}}"#);
}

fn print(job: &Job, runs: &[[Cost; 5]]) {
    let middle = |pick: &dyn Fn(&[Cost; 5]) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(pick).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let Job { owners, values, dropped, terms } = job;
    if let Ok(hood) = terms.neighbourhood(*owners, *owners) {
        let (degree, threshold) = (hood.degree, hood.threshold);
        println!(
            "{owners} owners, {values} values, {threshold} of {degree} shares, {dropped} drop out;"
        );
    }
    println!("median of {}\n", runs.len());
    println!(
        "| phase | server, CPU ms | an owner, CPU ms | its upload, bytes |\n|---|---|---|---|"
    );
    for (at, name) in PHASES.iter().enumerate() {
        let server = middle(&|run| 1e3 * run[at].server_s);
        let owner = middle(&|run| run[at].each_ms());
        let bytes = runs.last().map_or(0, |run| run[at].each_bytes());
        println!("| {name} | {server:.2} | {owner:.2} | {bytes} |");
    }
    let server = middle(&|run| run.iter().map(|cost| 1e3 * cost.server_s).sum());
    let owner = middle(&|run| run.iter().map(Cost::each_ms).sum());
    let bytes: usize = runs.last().map_or(0, |run| run.iter().map(Cost::each_bytes).sum());
    println!("| all | {server:.2} | {owner:.2} | {bytes} |");
}

/// One sum; the last owners send no values.
fn sum(job: &Job, seed: u64) -> Result<[Cost; 5], Failure> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let identities: Vec<Arc<Identity>> =
        (0..job.owners).map(|_| Arc::new(Identity::generate(&mut random))).collect();
    let keys = OwnerId::all(job.owners).zip(identities.iter().map(|identity| identity.public()));
    let session = Session {
        manifest: Digest::of("secagg_plus example", &seed.to_le_bytes()),
        owners: Arc::new(keys.collect()),
        n_min: job.terms.corrupt(job.owners) + 2,
        values: job.values,
    };
    let vectors: Vec<Vec<i64>> = (0..job.owners).map(|_| vector(&mut random, job.values)).collect();
    let mut collector = Collector::new(session.clone(), job.terms)?;
    let mut owners = BTreeMap::new();
    for (id, identity) in OwnerId::all(job.owners).zip(identities) {
        owners.insert(id, Owner::new(session.clone(), job.terms, id, identity)?);
    }
    let mut costs = [Cost::default(); 5];
    let mut answers = Vec::new();
    for (id, owner) in &mut owners {
        let began = cpu_s();
        answers.push((*id, owner.contribute(&mut random, &vectors[id.index()])?));
        costs[0].owners_s += cpu_s() - began;
    }
    for phase in 0..5 {
        costs[phase].answers = u32::try_from(answers.len()).unwrap_or(u32::MAX);
        costs[phase].bytes = answers.iter().map(|(_, answer)| answer.len()).sum();
        let began = cpu_s();
        for (id, answer) in answers.drain(..) {
            collector.receive(Peer::Owner(id), &answer)?;
        }
        let progress = collector.close()?;
        costs[phase].server_s += cpu_s() - began;
        let messages = match progress {
            Progress::Continue(messages) => messages,
            Progress::Done(opened) => return check(&opened.sum, &vectors, job).map(|()| costs),
        };
        for Outgoing { to, message } in messages {
            let Peer::Owner(id) = to else { continue };
            let gone = phase >= 1 && id.0 >= job.owners - job.dropped;
            if let Some(owner) = owners.get_mut(&id).filter(|_| !gone) {
                let began = cpu_s();
                answers.extend(owner.receive(&mut random, &message)?.map(|answer| (id, answer)));
                costs[phase + 1].owners_s += cpu_s() - began;
            }
        }
    }
    Err(Failure::Wrong)
}

fn check(sum: &[i64], vectors: &[Vec<i64>], job: &Job) -> Result<(), Failure> {
    let mut expected = vec![0; job.values as usize];
    for vector in &vectors[..(job.owners - job.dropped) as usize] {
        expected.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
    }
    if sum == expected { Ok(()) } else { Err(Failure::Wrong) }
}

fn vector(random: &mut ChaCha12Rng, values: u32) -> Vec<i64> {
    (0..values).map(|_| i64::from(random.next_u32() >> 16) - (1 << 15)).collect()
}

fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
