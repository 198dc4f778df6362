//! An owner: trains when asked, and answers the same question with the same answer.

use std::fmt;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, JobId, OwnerId, Round};

use crate::error::TrainingError;
use crate::message::{Answer, Task, TaskId, TrainTask, Update, check_statistics, presentable};
use crate::plan::{Plan, in_range};
use crate::record::DropReason;
use crate::server::rounded;

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
    Summarised(Vec<f64>),
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
    Send(Arc<[u8]>),
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
        }
    }
}

/// What a participant remembers.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct State {
    job: JobId,
    owner: OwnerId,
    summarising: bool,
    statistics: Option<Vec<f64>>,
    /// The newest work begun.
    newest: TaskId,
    work: Option<LocalTask>,
    /// The encoded answer to `newest`.
    answer: Option<Vec<u8>>,
    /// SCAFFOLD's `c_i`; empty until first needed.
    control: Vec<f32>,
    /// SCAFFOLD's `c_i+` of `newest`, until the coordinator says whether the update was used.
    pending: Option<Vec<f32>>,
}

impl Canonical for State {
    const DOMAIN: &'static str = "nexus/training/participant";
    const VERSION: u8 = 1;
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
/// refuses a round older than one it has worked on.
#[derive(Clone, Debug)]
pub struct Participant {
    plan: Plan,
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
        };
        Ok(Self { plan, state })
    }

    /// The participant that [`Participant::snapshot`] saw. Give it
    /// [`ParticipantEvent::Restarted`] unless its work is still under way.
    ///
    /// # Errors
    /// [`TrainingError`] if the bytes are no snapshot of this owner in this plan.
    pub fn restore(plan: Plan, owner: OwnerId, bytes: &[u8]) -> Result<Self, TrainingError> {
        let mut participant = Self::new(plan, owner)?;
        participant.state = State::decode(bytes)?;
        participant.state.check(&participant.plan, owner)?;
        Ok(participant)
    }

    /// Everything the participant knows, for [`Participant::restore`].
    ///
    /// # Errors
    /// Never, for a machine that was made by this crate.
    pub fn snapshot(&self) -> Result<Vec<u8>, TrainingError> {
        Ok(self.state.encode()?)
    }

    /// Takes in an event.
    ///
    /// # Errors
    /// [`TrainingError::Length`] if the driver's own vectors have the wrong length.
    pub fn step(&mut self, event: ParticipantEvent<'_>) -> Outcome {
        match event {
            ParticipantEvent::Message(bytes) => self.receive(bytes),
            ParticipantEvent::Summarised(sums) => self.summarised(sums),
            ParticipantEvent::Trained(id, result) => self.trained(id, result),
            ParticipantEvent::Failed(id, reason) => self.failed(id, &reason),
            ParticipantEvent::Restarted => Ok(self.restarted()),
        }
    }

    /// The owner.
    pub const fn owner(&self) -> OwnerId {
        self.state.owner
    }

    fn receive(&mut self, bytes: &[u8]) -> Outcome {
        match Task::decode(bytes) {
            Err(problem) => Ok(refused(Refusal::Malformed { problem: problem.to_string() })),
            Ok(Task::Summarise { job } | Task::Train(TrainTask { job, .. }))
                if job != self.plan.job =>
            {
                Ok(refused(Refusal::OtherJob { job }))
            }
            Ok(Task::Summarise { .. }) => self.summarise(),
            Ok(Task::Train(task)) => self.train(task),
        }
    }

    fn summarise(&mut self) -> Outcome {
        if let Some(sums) = self.state.statistics.clone() {
            return send(&Answer::Summary { job: self.plan.job, sums }).map(|effect| vec![effect]);
        }
        if std::mem::replace(&mut self.state.summarising, true) {
            return Ok(Effects::new());
        }
        Ok(vec![ParticipantEffect::Persist, ParticipantEffect::Summarise])
    }

    fn summarised(&mut self, sums: Vec<f64>) -> Outcome {
        if !std::mem::take(&mut self.state.summarising) {
            return Ok(Effects::new());
        }
        check_driver("statistics", sums.len(), self.plan.statistics as usize)?;
        if let Err(reason) = check_statistics(&self.plan, &sums) {
            return self.decline(TaskId::SUMMARY, &reason.to_string());
        }
        self.state.statistics = Some(sums.clone());
        let answer = send(&Answer::Summary { job: self.plan.job, sums })?;
        Ok(vec![ParticipantEffect::Persist, answer])
    }

    fn train(&mut self, task: TrainTask) -> Outcome {
        if let Err(reason) = task.check(&self.plan) {
            return self.refuse(task.id, Refusal::Unfit(reason));
        }
        let newest = self.state.newest;
        if task.id.round < newest.round {
            let refusal = Refusal::Outdated { got: task.id.round, newest: newest.round };
            return self.refuse(task.id, refusal);
        }
        // Whoever works for a buffer finishes first: a model that is a little old is still used.
        let busy = self.state.work.is_some();
        if busy && (task.id == newest || self.plan.strategy.is_buffered()) {
            return Ok(Effects::new());
        }
        if let Some(answer) = self.state.answer.as_deref()
            && task.id == newest
        {
            return Ok(vec![ParticipantEffect::Send(answer.into())]);
        }
        Ok(self.begin(task))
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

    fn trained(&mut self, id: TaskId, result: LocalResult) -> Outcome {
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
        let work = self.state.work.take();
        if let Some(correction) = work.and_then(|work| work.correction) {
            self.state.pending = Some(next_control(&correction, &update));
        }
        let bytes = Answer::Update(update).encode()?;
        let message = bytes.as_slice().into();
        self.state.answer = Some(bytes);
        Ok(vec![ParticipantEffect::Persist, ParticipantEffect::Send(message)])
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
        let answer = Answer::Declined { job: self.plan.job, id, reason: presentable(reason) };
        Ok(vec![ParticipantEffect::Persist, send(&answer)?])
    }

    fn refuse(&self, id: TaskId, refusal: Refusal) -> Outcome {
        let answer = Answer::Declined { job: self.plan.job, id, reason: refusal.to_string() };
        Ok(vec![ParticipantEffect::Refused(refusal), send(&answer)?])
    }

    fn restarted(&self) -> Effects {
        let summarise = self.state.summarising.then_some(ParticipantEffect::Summarise);
        let train = self.state.work.clone().map(ParticipantEffect::Train);
        summarise.into_iter().chain(train).collect()
    }
}

/// SCAFFOLD: `c_i+ = c_i - c - delta / displacement`.
fn next_control(correction: &[f32], update: &Update) -> Vec<f32> {
    let mean_gradients = update.delta.iter().map(|&d| -f64::from(d) / update.displacement);
    // The correction that was trained with is c - c_i.
    mean_gradients.zip(correction).map(|(g, &c)| rounded(g - f64::from(c))).collect()
}

fn refused(refusal: Refusal) -> Effects {
    vec![ParticipantEffect::Refused(refusal)]
}

fn send(answer: &Answer) -> Result<ParticipantEffect, TrainingError> {
    Ok(ParticipantEffect::Send(answer.encode()?.into()))
}

fn check_driver(what: &'static str, got: usize, expected: usize) -> Result<(), TrainingError> {
    if got == expected { Ok(()) } else { Err(TrainingError::Length { what, got, expected }) }
}
