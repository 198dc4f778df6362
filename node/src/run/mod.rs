//! A run: a job executed on this machine, from its request to its report.
//!
//! After every round the whole state is written to the run's folder. A run that was killed goes
//! on from there and ends with the same bytes as one that was not; with noise, which follows from
//! no seed, it ends with the same promise.

pub mod audit;
mod baseline;
mod budgets;
mod document;
mod encrypted;
pub mod folder;
mod model;
mod odometer;
mod owners;
mod plan;
mod protection;
pub mod store;
pub mod trained;
mod usage;
pub mod verify;

use std::path::Path;

use nexus_models::weights;
use nexus_training::{Plan, SumRecord};
use nexus_types::{Canonical, Digest, OwnerId, Seed, SystemClock, keep_freed_memory};

use crate::error::NodeError;
use crate::job::JobFile;
use crate::report::{self, Extra};
use crate::simulation::{Attack, AttackKind, Keys, Milestone, ROOT_BYTES, Simulation};
use crate::summary::{Round, SecureSum, Summary};

use baseline::Baselines;
use budgets::Budgets;
use folder::{Checkpoint, Request, RunFolder, json};
use odometer::Odometer;
use owners::Owners;

/// Someone who watches a run.
pub trait Observer {
    /// The run has begun, or goes on after `done` of `rounds`.
    fn begun(&mut self, folder: &RunFolder, rounds: u32, done: u32);
    /// A round has ended.
    fn round(&mut self, round: &Round);
    /// Something deserves attention.
    fn warn(&mut self, text: &str);
}

/// A run about to begin or to go on.
#[derive(Debug)]
pub struct Run {
    clock: SystemClock,
    folder: RunFolder,
    request: Request,
    job: JobFile,
    seed: Seed,
    plan: Plan,
    owners: Owners,
    threads: usize,
}

impl Run {
    /// A new run. Nothing is written before the job and its data have been checked.
    ///
    /// # Errors
    /// [`NodeError`] if the job or its data are wrong.
    pub fn begin(request: Request, runs: &Path, threads: usize) -> Result<Self, NodeError> {
        let clock = SystemClock::default();
        let job = request.job()?;
        let prepared = Prepared::new(&job, &request)?;
        protection::check(&job, &prepared.plan, &prepared.owners.rows())?;
        let folder = RunFolder::create(runs, &job.job.job.name, &request)?;
        Ok(prepared.into_run(clock, folder, request, job, threads))
    }

    /// A run that was cut off.
    ///
    /// # Errors
    /// [`NodeError`] if its folder or its data cannot be read.
    pub fn resume(folder: RunFolder, threads: usize) -> Result<Self, NodeError> {
        let clock = SystemClock::default();
        let request = folder.request()?;
        let job = request.job()?;
        let prepared = Prepared::new(&job, &request)?;
        Ok(prepared.into_run(clock, folder, request, job, threads))
    }

    /// Runs to the end and returns the folder and the summary, as it was written.
    ///
    /// # Errors
    /// [`NodeError`]: the job failed, or the disk did.
    pub fn to_end(
        mut self,
        observer: &mut dyn Observer,
    ) -> Result<(RunFolder, Vec<u8>), NodeError> {
        let _lock = self.folder.lock()?;
        keep_freed_memory();
        let (found, mut warnings) = self.folder.last_checkpoint(self.job_digest().0)?;
        warnings.extend(plan::warnings(&self.plan));
        let root = match &found {
            Some(checkpoint) => checkpoint.root,
            None => protection::fresh_root()?,
        };
        let keys = protection::keys(&self.job, &self.plan, root);
        self.plan = protection::protect(&self.job, self.plan, &keys, &self.owners.rows())?;
        warnings.extend(protection::enough_owners(&self.job, &self.plan)?);
        self.publish_terms()?;
        if let Some(terms) = self.plan.terms() {
            let suite = self.job.job.aggregation.suite;
            warnings.extend(SecureSum::warnings(suite, terms.n_min, self.plan.owners));
        }
        for warning in &warnings {
            observer.warn(warning);
        }
        let resumed_from = found.as_ref().map(|checkpoint| count(&checkpoint.rounds));
        self.reserve(resumed_from)?;
        let (mut simulation, mut lines) = self.simulation(keys, found.as_ref())?;
        let mut odometer = Odometer::new(&self.plan)?;
        for round in document::rounds(&lines)? {
            odometer.as_mut().map(|odometer| odometer.add(round.participants.len())).transpose()?;
        }
        observer.begun(&self.folder, self.plan.rounds, resumed_from.unwrap_or(0));
        loop {
            match simulation.advance()? {
                Milestone::Finished => break,
                Milestone::Sum(record) => self.keep(&record)?,
                Milestone::Round(record, causes) => {
                    let parameters = simulation.parameters();
                    let spent = odometer.as_mut();
                    let round = document::round(&record, &causes, &self.owners, parameters, spent)?;
                    observer.round(&round);
                    lines.push(document::line(&round)?);
                    self.save(root, &simulation, &lines)?;
                }
            }
        }
        self.settle(&lines)?;
        let parameters = simulation.parameters();
        let outcome = Outcome { parameters, lines: &lines, odometer, resumed_from, warnings };
        let summary = self.finish(&outcome)?;
        Ok((self.folder, summary))
    }

    /// Writes down what the parties of masked sums agreed on.
    fn publish_terms(&self) -> Result<(), NodeError> {
        let Some(terms) = self.plan.terms() else { return Ok(()) };
        self.folder.make_sums()?;
        self.folder.write("plan.json", &json(&self.plan))?;
        self.folder.write("model.toml", self.owners.model().toml()?.as_bytes())?;
        self.folder.write(folder::TERMS, &terms.encode()?)
    }

    /// Pays for all rounds, before the first noise is drawn.
    fn reserve(&self, done: Option<u32>) -> Result<(), NodeError> {
        // Whoever has done all rounds draws no more noise.
        let Some(privacy) = self.plan.privacy().filter(|_| done != Some(self.plan.rounds)) else {
            return Ok(());
        };
        let (names, folder) = (self.owners.names(), self.folder.path());
        let budgets = Budgets::reserve(&self.job, names, (&self.plan, privacy), folder, done)?;
        budgets.map_or(Ok(()), |budgets| self.owners.protect(privacy, budgets))
    }

    /// Tells the budgets what the rounds came to.
    fn settle(&self, lines: &[String]) -> Result<(), NodeError> {
        let (Some(budgets), Some(release)) = (self.owners.budgets(), self.plan.release()?) else {
            return Ok(());
        };
        let rounds = document::rounds(lines)?;
        let survivors = |round: &Round| round.participants.iter().copied().map(OwnerId).collect();
        let survivors: Vec<_> =
            rounds.iter().filter(|round| round.round > 0).map(survivors).collect();
        budgets.settle(&release, &survivors)
    }

    fn keep(&self, record: &SumRecord) -> Result<(), NodeError> {
        let slot = record.manifest.manifest.slot;
        self.folder.write(&folder::sum_file(slot), &record.encode()?)
    }

    fn simulation(
        &self,
        keys: Keys,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<(Simulation<'_, Owners>, Vec<String>), NodeError> {
        let (plan, faults) = (self.plan.clone(), self.request.faults.clone());
        let Some(checkpoint) = checkpoint else {
            let simulation =
                Simulation::new(plan, keys, &self.owners, faults, &self.seed, self.threads)?;
            return Ok((simulation, Vec::new()));
        };
        let bytes = &checkpoint.simulation;
        let simulation =
            Simulation::restore(plan, keys, &self.owners, faults, &self.seed, self.threads, bytes)?;
        self.owners.prepare(simulation.summary())?;
        self.folder.write("rounds.jsonl", checkpoint.rounds.concat().as_bytes())?;
        Ok((simulation, checkpoint.rounds.clone()))
    }

    /// Everything that must not change while a run is cut off.
    fn job_digest(&self) -> Digest {
        let faults = json(&self.request.faults);
        let seed = self.request.seed.to_le_bytes();
        let parts = [&self.plan.job.0.0[..], &seed, &self.owners.fingerprint().0, &faults];
        Digest::of("cipher-nexus run v1", &parts.concat())
    }

    fn save(
        &self,
        root: [u8; ROOT_BYTES],
        simulation: &Simulation<'_, Owners>,
        lines: &[String],
    ) -> Result<(), NodeError> {
        self.folder.checkpoint(&Checkpoint {
            root,
            simulation: simulation.snapshot()?,
            rounds: lines.to_vec(),
            job: self.job_digest().0,
        })?;
        self.folder.write("rounds.jsonl", lines.concat().as_bytes())
    }

    fn finish(&self, outcome: &Outcome<'_>) -> Result<Vec<u8>, NodeError> {
        let model = self.owners.model();
        let weights = weights::save(model.network(), outcome.parameters)?;
        self.folder.write("model.safetensors", &weights)?;
        self.folder.write("model.toml", model.toml()?.as_bytes())?;
        let baselines = if self.request.baselines {
            Baselines::train(&self.owners, self.plan.rounds, &self.seed, self.threads)?
        } else {
            None
        };
        let mut summary = document::summary(self, outcome, baselines.as_ref())?;
        self.folder.write("report.html", self.report(&summary).as_bytes())?;
        summary.time.wall_s = self.clock.seconds();
        summary.time.cpu_s = usage::cpu_seconds();
        let summary = json(&summary);
        self.folder.finish(&summary)?;
        Ok(summary)
    }

    fn report(&self, summary: &Summary) -> String {
        let command = self.request.command();
        let extra = Extra { command: &command, job_file: Some(&self.job.text), ..Extra::default() };
        report::html(summary, &extra)
    }
}

/// What a run came to.
struct Outcome<'a> {
    parameters: &'a [f32],
    lines: &'a [String],
    /// What the rounds have spent, where something is promised.
    odometer: Option<Odometer>,
    resumed_from: Option<u32>,
    warnings: Vec<String>,
}

struct Prepared {
    seed: Seed,
    plan: Plan,
    owners: Owners,
}

impl Prepared {
    fn new(job: &JobFile, request: &Request) -> Result<Self, NodeError> {
        let seed = Seed::from_number(request.seed);
        let owners = Owners::load(job, &seed)?;
        let plan = plan::plan(job, &owners, &seed)?;
        check_faults(job, request, plan.owners)?;
        Ok(Self { seed, plan, owners })
    }

    fn into_run(
        self,
        clock: SystemClock,
        folder: RunFolder,
        request: Request,
        job: JobFile,
        threads: usize,
    ) -> Run {
        let Self { seed, plan, owners } = self;
        Run { clock, folder, request, job, seed, plan, owners, threads }
    }
}

/// Faults in their ranges, and none that the job has no place for.
fn check_faults(job: &JobFile, request: &Request, owners: u32) -> Result<(), NodeError> {
    let file = request.faults_file.as_deref().unwrap_or("run.json");
    request
        .faults
        .check(owners)
        .map_err(|range| NodeError::usage(format!("{file}: {range}"), "correct the value"))?;
    let poisons = |attack: &&Attack| attack.kind != AttackKind::Garbage;
    match request.faults.attack.iter().find(poisons) {
        Some(attack) if job.job.privacy.is_some() => Err(NodeError::usage(
            format!(
                "{file}: `attack.kind` is {}, and this job clips what owners send before it is theirs",
                attack.kind
            ),
            "use `garbage`, or run the job with --no-privacy",
        )),
        _ => Ok(()),
    }
}

fn count(lines: &[String]) -> u32 {
    u32::try_from(lines.len()).unwrap_or(u32::MAX)
}
