//! An owner: trains when asked, and answers the same question with the same answer.

mod sum;

use std::fmt;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_mpc::Identity;
use nexus_privacy::flow::Waiver;
use nexus_types::{Canonical, Cleared, CryptoRng, JobId, OwnerId, Round};

use crate::egress;
use crate::error::TrainingError;
use crate::message::{Answer, Task, TaskId, TrainTask, Update, check_statistics};
use crate::plan::{Plan, in_range};
use crate::record::DropReason;
use crate::secure::{Ledger, ManifestRefusal, SignedManifest};
use crate::server::rounded;
use sum::Part;

/// Training to be done by the driver.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct LocalTask {
    /// Which piece of work. Seeds of local randomness should derive from it.
    pub id: TaskId,
    /// The model to start from.
    pub parameters: Vec<f32>,
    /// Weight mu of the term `mu/2 |y - x|^2` in the loss, 0 for none.
    pub proximal: f32,
    /// SCAFFOLD: `c - c_i`, to be added to every gradient.
    pub correction: Option<Vec<f32>>,
    /// The sums over all owners' statistics; empty if the plan has none.
    pub summary: Vec<f64>,
}

/// What training came to.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalResult {
    /// Parameters after training minus parameters before.
    pub delta: Vec<f32>,
    /// Rows trained on.
    pub examples: u64,
    /// Sum of the losses of those rows, for instance in the last pass over them.
    pub loss_sum: f64,
    /// Optimiser steps.
    pub steps: u64,
    /// Sum over the steps of their effective learning rates: `delta` is minus this times the
    /// mean gradient. SCAFFOLD divides by it.
    pub displacement: f64,
}

/// What a participant is told.
#[derive(Clone, Debug, PartialEq)]
pub enum ParticipantEvent<'a> {
    /// A message arrived that claims to be from the coordinator.
    Message(&'a [u8]),
    /// The sums asked for by [`ParticipantEffect::Summarise`].
    Summarised {
        /// Numbers that may be added to those of other owners.
        sums: Vec<f64>,
        /// Rows that this owner will train on: its weight in masked sums.
        examples: u64,
    },
    /// The result of [`ParticipantEffect::Train`] with this id. Ignored if the coordinator has
    /// asked for something newer since.
    Trained(TaskId, LocalResult),
    /// The work cannot be done, and why, in words the coordinator may see;
    /// [`TaskId::SUMMARY`] for the statistics.
    Failed(TaskId, String),
    /// The machine was just restored: unfinished work begins again.
    Restarted,
}

/// What a participant wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum ParticipantEffect {
    /// Compute the statistics.
    Summarise,
    /// Train. Takes the place of any training under way.
    Train(LocalTask),
    /// Send the encoded [`Answer`] to the coordinator.
    Send(Cleared),
    /// Make [`Participant::snapshot`] durable before carrying out the effects that follow.
    Persist,
    /// A message was refused; for the owner's log.
    Refused(Refusal),
}

/// Why a participant does not do what it is asked to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The message is no task.
    Malformed {
        /// What is wrong with it.
        problem: String,
    },
    /// The task is of another job.
    OtherJob {
        /// That job.
        job: JobId,
    },
    /// The owner has moved on.
    Outdated {
        /// The round asked for.
        got: Round,
        /// The newest round worked on.
        newest: Round,
    },
    /// The task does not fit the plan.
    Unfit(DropReason),
    /// The task's manifest is not acceptable.
    Manifest(ManifestRefusal),
    /// The coordinator broke the protocol of masked sums.
    Sum(nexus_mpc::aggregation::Refusal),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { problem } => write!(f, "the message is no task: {problem}"),
            Self::OtherJob { job } => write!(f, "the task is of job {}", job.0.short()),
            Self::Outdated { got, newest } => {
                write!(f, "round {got} was asked for, round {newest} has been worked on")
            }
            Self::Unfit(reason) => write!(f, "the coordinator {reason}"),
            Self::Manifest(refusal) => refusal.fmt(f),
            Self::Sum(refusal) => write!(f, "the coordinator {refusal}"),
        }
    }
}

/// What a participant remembers.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct State {
    job: JobId,
    owner: OwnerId,
    summarising: bool,
    statistics: Option<Statistics>,
    /// The newest work begun.
    newest: TaskId,
    work: Option<LocalTask>,
    /// The encoded answer to `newest`.
    answer: Option<Vec<u8>>,
    /// SCAFFOLD's `c_i`; empty until first needed.
    control: Vec<f32>,
    /// SCAFFOLD's `c_i+` of `newest`, until the coordinator says whether the update was used.
    pending: Option<Vec<f32>>,
    /// The manifests accepted.
    ledger: Ledger,
    /// The newest manifest, and the owner's part of its sum.
    part: Option<Part>,
}

/// An owner's statistics.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Statistics {
    sums: Vec<f64>,
    examples: u64,
}

impl Canonical for State {
    const DOMAIN: &'static str = "nexus/training/participant";
    const VERSION: u8 = 2;
    // As for the coordinator's snapshot.
    const MAX_BYTES: usize = isize::MAX.cast_unsigned();
}

impl State {
    fn check(&self, plan: &Plan, owner: OwnerId) -> Result<(), TrainingError> {
        let refuse = |problem| Err(TrainingError::Snapshot { problem });
        if self.job != plan.job || self.owner != owner {
            return refuse("it is of another job or owner");
        }
        let length = plan.parameters as usize;
        let control = self.pending.iter().chain([&self.control]);
        if !control.clone().all(|c| c.len() == self.control.len())
            || ![0, length].contains(&self.control.len())
        {
            return refuse("a control variate has the wrong length");
        }
        let has_control = plan.strategy.has_control();
        let fits = |work: &LocalTask| {
            work.id == self.newest
                && work.parameters.len() == length
                && work.correction.is_some() == has_control
                && work.correction.iter().all(|correction| correction.len() == length)
                && (!has_control || self.control.len() == length)
        };
        if self.work.iter().all(fits) { Ok(()) } else { refuse("the work contradicts itself") }
    }
}

/// An owner in a job: a state machine without clock, network or disk.
///
/// It works on one task at a time, the newest; answers a repeated task with the same bytes; and
/// refuses a round older than one it has worked on. If sums are masked it accepts one manifest
/// for each, and a bounded number of them for each round.
#[derive(Clone, Debug)]
pub struct Participant {
    plan: Plan,
    identity: Option<Arc<Identity>>,
    state: State,
}

type Effects = Vec<ParticipantEffect>;
type Outcome = Result<Effects, TrainingError>;

impl Participant {
    /// The participant of `owner`.
    ///
    /// # Errors
    /// [`TrainingError`] if the plan is impossible or has no such owner.
    pub fn new(plan: Plan, owner: OwnerId) -> Result<Self, TrainingError> {
        plan.check()?;
        in_range("owner", owner.0.into(), 0.0, f64::from(plan.owners) - 1.0)?;
        let state = State {
            job: plan.job,
            owner,
            summarising: false,
            statistics: None,
            newest: TaskId::default(),
            work: None,
            answer: None,
            control: Vec::new(),
            pending: None,
            ledger: Ledger::default(),
            part: None,
        };
        Ok(Self { plan, identity: None, state })
    }

    /// The same with the owner's key, which masked sums need.
    #[must_use]
    pub fn with_identity(self, identity: Arc<Identity>) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// The participant that [`Participant::snapshot`] saw. Give it
    /// [`ParticipantEvent::Restarted`] unless its work is still under way.
    ///
    /// # Errors
    /// [`TrainingError`] if the bytes are no snapshot of this owner in this plan.
    pub fn restore(
        plan: Plan,
        owner: OwnerId,
        identity: Option<Arc<Identity>>,
        bytes: &[u8],
    ) -> Result<Self, TrainingError> {
        let mut participant = Self { identity, ..Self::new(plan, owner)? };
        participant.state = State::decode(bytes)?;
        participant.state.check(&participant.plan, owner)?;
        participant.wake_part()?;
        Ok(participant)
    }

    /// Everything the participant knows, for [`Participant::restore`].
    ///
    /// # Errors
    /// Never, for a machine that was made by this crate.
    pub fn snapshot(&self) -> Result<Vec<u8>, TrainingError> {
        Ok(self.state.encode()?)
    }

    /// Takes in an event. Randomness for masks is drawn from `rng`: the operating system's, for
    /// whoever knows it sees the update.
    ///
    /// # Errors
    /// [`TrainingError::Length`] if the driver's own vectors have the wrong length,
    /// [`TrainingError::NoIdentity`] if a mask is needed and there is no key.
    pub fn step(&mut self, rng: &mut dyn CryptoRng, event: ParticipantEvent<'_>) -> Outcome {
        match event {
            ParticipantEvent::Message(bytes) => self.receive(rng, bytes),
            ParticipantEvent::Summarised { sums, examples } => {
                self.summarised(rng, Statistics { sums, examples })
            }
            ParticipantEvent::Trained(id, result) => self.trained(rng, id, result),
            ParticipantEvent::Failed(id, reason) => self.failed(id, &reason),
            ParticipantEvent::Restarted => Ok(self.restarted()),
        }
    }

    /// The owner.
    pub const fn owner(&self) -> OwnerId {
        self.state.owner
    }

    fn receive(&mut self, rng: &mut dyn CryptoRng, bytes: &[u8]) -> Outcome {
        let task = match Task::decode(bytes) {
            Ok(task) => task,
            Err(problem) => {
                return Ok(refused(Refusal::Malformed { problem: problem.to_string() }));
            }
        };
        let job = task.job();
        if job != self.plan.job {
            return Ok(refused(Refusal::OtherJob { job }));
        }
        match task {
            Task::Summarise { manifest, .. } => self.summarise(rng, manifest.as_deref()),
            Task::Train(task) => self.train(task),
            Task::Sum { slot, message, .. } => self.sum_message(rng, slot, &message),
        }
    }

    fn summarise(&mut self, rng: &mut dyn CryptoRng, manifest: Option<&SignedManifest>) -> Outcome {
        match self.admit(manifest, TaskId::SUMMARY, None) {
            Err(refusal) => return self.refuse(TaskId::SUMMARY, Refusal::Manifest(refusal)),
            Ok(false) if self.state.part.is_some() && self.state.answer.is_some() => {
                return Ok(self.answer_again());
            }
            Ok(_) => {}
        }
        if let Some(statistics) = self.state.statistics.clone() {
            if self.state.part.is_some() {
                return self.contribute_statistics(rng, &statistics);
            }
            return Ok(vec![self.statistics_answer(statistics)?]);
        }
        if std::mem::replace(&mut self.state.summarising, true) {
            return Ok(Effects::new());
        }
        Ok(vec![ParticipantEffect::Persist, ParticipantEffect::Summarise])
    }

    fn summarised(&mut self, rng: &mut dyn CryptoRng, statistics: Statistics) -> Outcome {
        if !std::mem::take(&mut self.state.summarising) {
            return Ok(Effects::new());
        }
        check_driver("statistics", statistics.sums.len(), self.plan.statistics as usize)?;
        if let Err(reason) = check_statistics(&self.plan, &statistics.sums) {
            return self.decline(TaskId::SUMMARY, &reason.to_string());
        }
        self.state.statistics = Some(statistics.clone());
        if self.state.part.is_some() {
            return self.contribute_statistics(rng, &statistics);
        }
        Ok(vec![ParticipantEffect::Persist, self.statistics_answer(statistics)?])
    }

    fn statistics_answer(
        &self,
        statistics: Statistics,
    ) -> Result<ParticipantEffect, TrainingError> {
        let Statistics { sums, .. } = statistics;
        let answer = Answer::Summary { job: self.plan.job, sums };
        Ok(ParticipantEffect::Send(egress::waived(self.waiver()?, &answer)?))
    }

    fn train(&mut self, mut task: TrainTask) -> Outcome {
        if let Err(reason) = task.check(&self.plan) {
            return self.refuse(task.id, Refusal::Unfit(reason));
        }
        let newest = self.state.newest;
        if task.id.round < newest.round {
            let refusal = Refusal::Outdated { got: task.id.round, newest: newest.round };
            return self.refuse(task.id, refusal);
        }
        let manifest = task.manifest.take();
        let fingerprint = if manifest.is_some() { Some(task.fingerprint()?) } else { None };
        let anew = match self.admit(manifest.as_deref(), task.id, fingerprint) {
            Ok(anew) => anew,
            Err(refusal) => return self.refuse(task.id, Refusal::Manifest(refusal)),
        };
        if anew {
            return Ok(self.begin(task));
        }
        // Whoever works for a buffer finishes first: a model that is a little old is still used.
        let busy = self.state.work.is_some();
        if busy && (task.id == newest || self.plan.strategy.is_buffered()) {
            return Ok(Effects::new());
        }
        if self.state.answer.is_some() && task.id == newest {
            return Ok(self.answer_again());
        }
        Ok(self.begin(task))
    }

    /// The stored answer: the same question has the same bytes.
    fn answer_again(&self) -> Effects {
        let answer = self.state.answer.as_deref();
        answer.map(|answer| ParticipantEffect::Send(egress::kept(answer))).into_iter().collect()
    }

    fn begin(&mut self, task: TrainTask) -> Effects {
        let correction = self.plan.strategy.has_control().then(|| self.correction(&task));
        let work = LocalTask {
            id: task.id,
            parameters: task.parameters,
            proximal: rounded(self.plan.strategy.proximal()),
            correction,
            summary: task.summary,
        };
        self.state.newest = task.id;
        self.state.answer = None;
        self.state.work = Some(work.clone());
        vec![ParticipantEffect::Persist, ParticipantEffect::Train(work)]
    }

    /// SCAFFOLD: settles what became of the last update, and returns `c - c_i`.
    fn correction(&mut self, task: &TrainTask) -> Vec<f32> {
        let used = task.accepted.get(self.state.owner.index()) == Some(&self.state.newest.round);
        if let Some(pending) = self.state.pending.take()
            && used
        {
            self.state.control = pending;
        }
        self.state.control.resize(task.parameters.len(), 0.0);
        task.control.iter().zip(&self.state.control).map(|(c, own)| c - own).collect()
    }

    fn trained(&mut self, rng: &mut dyn CryptoRng, id: TaskId, result: LocalResult) -> Outcome {
        if self.state.work.is_none() || id != self.state.newest {
            return Ok(Effects::new());
        }
        check_driver("update", result.delta.len(), self.plan.parameters as usize)?;
        let LocalResult { delta, examples, loss_sum, steps, displacement } = result;
        let (job, model) = (self.plan.job, self.plan.model);
        let update = Update { job, id, model, examples, loss_sum, steps, displacement, delta };
        match update.check(&self.plan) {
            Ok(()) => {}
            Err(DropReason::NotFinite) => return self.failed(id, "local training diverged"),
            Err(reason) => return self.failed(id, &format!("local training {reason}")),
        }
        let correction = self.state.work.take().and_then(|work| work.correction);
        if self.state.part.is_some() {
            return self.contribute_update(rng, &update, correction.as_deref());
        }
        if let Some(correction) = correction {
            self.state.pending = Some(next_control(&correction, &mean_gradient(&update)));
        }
        let message = egress::waived(self.waiver()?, &Answer::Update(update))?;
        self.state.answer = Some(message.to_vec());
        Ok(vec![ParticipantEffect::Persist, ParticipantEffect::Send(message)])
    }

    /// What lets answers out that have no noise.
    fn waiver(&self) -> Result<Waiver, TrainingError> {
        self.plan.waiver().ok_or(TrainingError::Unprotected)
    }

    fn failed(&mut self, id: TaskId, reason: &str) -> Outcome {
        if id == TaskId::SUMMARY && self.state.summarising {
            self.state.summarising = false;
        } else if self.state.work.as_ref().is_some_and(|work| work.id == id) {
            self.state.work = None;
        } else {
            return Ok(Effects::new());
        }
        self.decline(id, reason)
    }

    fn decline(&self, id: TaskId, reason: &str) -> Outcome {
        let answer = egress::declined(self.plan.job, id, reason)?;
        Ok(vec![ParticipantEffect::Persist, ParticipantEffect::Send(answer)])
    }

    fn refuse(&self, id: TaskId, refusal: Refusal) -> Outcome {
        let answer = egress::declined(self.plan.job, id, &refusal.to_string())?;
        Ok(vec![ParticipantEffect::Refused(refusal), ParticipantEffect::Send(answer)])
    }

    fn restarted(&self) -> Effects {
        let summarise = self.state.summarising.then_some(ParticipantEffect::Summarise);
        let train = self.state.work.clone().map(ParticipantEffect::Train);
        summarise.into_iter().chain(train).collect()
    }
}

/// SCAFFOLD: `-delta / displacement`.
fn mean_gradient(update: &Update) -> Vec<f64> {
    update.delta.iter().map(|&d| -f64::from(d) / update.displacement).collect()
}

/// SCAFFOLD: `c_i+ = c_i - c - delta / displacement`.
fn next_control(correction: &[f32], mean_gradient: &[f64]) -> Vec<f32> {
    // The correction that was trained with is c - c_i.
    mean_gradient.iter().zip(correction).map(|(g, &c)| rounded(g - f64::from(c))).collect()
}

fn refused(refusal: Refusal) -> Effects {
    vec![ParticipantEffect::Refused(refusal)]
}

fn check_driver(what: &'static str, got: usize, expected: usize) -> Result<(), TrainingError> {
    if got == expected { Ok(()) } else { Err(TrainingError::Length { what, got, expected }) }
}

#[cfg(test)]
impl Participant {
    /// The weakened twin: forgets which manifests it accepted.
    pub(crate) fn forget(&mut self) {
        self.state.ledger = Ledger::default();
    }
}
