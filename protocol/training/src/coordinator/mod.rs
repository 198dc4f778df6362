//! The coordinator: asks, waits, aggregates.

mod buffer;
mod intake;
mod poll;
mod round;
mod stages;
mod state;
mod sum;
mod summary;

use std::sync::Arc;

use nexus_mpc::Identity;
use nexus_mpc::aggregation::Peer;
use nexus_types::{Canonical, Cleared, Round, Timestamp};

use crate::egress;
use crate::error::TrainingError;
use crate::message::{Task, TaskId, TrainTask};
use crate::plan::Plan;
use crate::record::RoundRecord;
use crate::secure::SumRecord;
use state::{Stage, State};

/// What a coordinator is told.
#[derive(Clone, Debug, PartialEq)]
pub enum CoordinatorEvent<'a> {
    /// Begin the job. Once, first.
    Start,
    /// The model before the first round; once, in answer to [`CoordinatorEffect::Summary`].
    Begin {
        /// Its parameters.
        parameters: Vec<f32>,
    },
    /// A message arrived.
    Message {
        /// Its sender, for whom the transport vouches.
        from: Peer,
        /// Its content, for which nobody does.
        bytes: &'a [u8],
    },
    /// A time asked for by [`CoordinatorEffect::Wake`] has come. One that comes early is ignored.
    Wake,
    /// The machine was just restored, or created anew because nothing had been persisted: open
    /// questions are asked again, with new deadlines. A failed job gets new attempts.
    Restarted,
}

impl CoordinatorEvent<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Begin { .. } => "begin",
            Self::Message { .. } => "message",
            Self::Wake => "wake",
            Self::Restarted => "restarted",
        }
    }
}

/// What a coordinator wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum CoordinatorEffect {
    /// Send a message. All owners of a round share one allocation.
    Send {
        /// To whom.
        to: Peer,
        /// The encoded [`Task`], or [`crate::MemberTask`] for a member of the committee.
        message: Cleared,
    },
    /// Give [`CoordinatorEvent::Wake`] at this time. Each is meant once; the latest one matters.
    Wake {
        /// When.
        at: Timestamp,
    },
    /// Make [`Coordinator::snapshot`] durable before carrying out the effects that follow.
    Persist,
    /// The statistics stage is over: answer with [`CoordinatorEvent::Begin`]. Comes at once if
    /// the plan has no such stage.
    Summary {
        /// Sums over the participants; empty if the plan has no statistics.
        sums: Vec<f64>,
        /// What happened, as round 0.
        record: RoundRecord,
    },
    /// A masked sum was opened; comes before the [`CoordinatorEffect::RoundClosed`] of its
    /// round, or the [`CoordinatorEffect::Summary`].
    Summed(SumRecord),
    /// A round is over; [`Coordinator::parameters`] is its model. Comes again if the machine is
    /// restored from a snapshot before it.
    RoundClosed(RoundRecord),
    /// The job is done.
    Finished {
        /// The model.
        parameters: Vec<f32>,
    },
    /// The job failed. The last snapshot, restored and [`CoordinatorEvent::Restarted`], tries
    /// the round again.
    Failed(TrainingError),
}

/// The coordinator of a job: a state machine without clock, network or disk.
///
/// Equal plans and equal events make equal effects, bit by bit, and the model depends only on
/// *which* answers were used, not on the order in which they came.
#[derive(Clone, Debug)]
pub struct Coordinator {
    plan: Plan,
    identity: Option<Arc<Identity>>,
    state: State,
    /// The task of the open round, encoded once.
    task: Option<(TaskId, Cleared)>,
}

impl Coordinator {
    /// A coordinator that waits for [`CoordinatorEvent::Start`].
    ///
    /// # Errors
    /// [`TrainingError`] if the plan is impossible.
    pub fn new(plan: Plan) -> Result<Self, TrainingError> {
        plan.check()?;
        let state = State::new(&plan);
        Ok(Self { plan, identity: None, state, task: None })
    }

    /// The same with the coordinator's key, which masked sums need.
    #[must_use]
    pub fn with_identity(self, identity: Arc<Identity>) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// The coordinator that [`Coordinator::snapshot`] saw. Give it
    /// [`CoordinatorEvent::Restarted`] unless its messages and timers are still under way.
    ///
    /// # Errors
    /// [`TrainingError`] if the bytes are no snapshot of this plan. Bytes that nobody wrote are
    /// refused too, or make a machine that cannot be made to panic.
    pub fn restore(plan: Plan, bytes: &[u8]) -> Result<Self, TrainingError> {
        plan.check()?;
        let mut state = State::decode(bytes)?;
        state.check(&plan)?;
        state.wake(&plan)?;
        Ok(Self { plan, identity: None, state, task: None })
    }

    /// Everything the coordinator knows, for [`Coordinator::restore`].
    ///
    /// # Errors
    /// Never, for a machine that was made by this crate.
    pub fn snapshot(&self) -> Result<Vec<u8>, TrainingError> {
        Ok(self.state.encode()?)
    }

    /// Takes in an event.
    ///
    /// # Errors
    /// [`TrainingError`] if the driver broke the order of events; the machine is as before.
    pub fn step(
        &mut self,
        now: Timestamp,
        event: CoordinatorEvent<'_>,
    ) -> Result<Vec<CoordinatorEffect>, TrainingError> {
        match (event, &self.state.stage) {
            (CoordinatorEvent::Start, Stage::New) => self.start(now),
            (CoordinatorEvent::Begin { parameters }, Stage::Ready(_)) => {
                self.begin(now, parameters)
            }
            (event @ (CoordinatorEvent::Start | CoordinatorEvent::Begin { .. }), stage) => {
                Err(TrainingError::OutOfTurn { event: event.name(), stage: stage.name() })
            }
            (CoordinatorEvent::Message { from, bytes }, _) => self.receive(now, from, bytes),
            (CoordinatorEvent::Wake, _) => self.wake(now),
            (CoordinatorEvent::Restarted, _) => self.restart(now),
        }
    }

    /// The plan.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The model as it is now; empty before [`CoordinatorEvent::Begin`].
    pub fn parameters(&self) -> &[f32] {
        &self.state.server.parameters
    }

    /// The sums of the statistics stage; empty before it has ended.
    pub fn summary(&self) -> &[f64] {
        &self.state.summary
    }

    /// The open round, or the one in which the job failed.
    pub const fn round(&self) -> Option<Round> {
        self.state.stage.round()
    }

    /// Whether all rounds are done.
    pub const fn is_finished(&self) -> bool {
        matches!(self.state.stage, Stage::Finished)
    }

    /// Bytes of the vectors that the coordinator holds: the model, the strategy's memory, sums
    /// or updates, and the encoded task.
    pub fn held_bytes(&self) -> usize {
        let gathered = match &self.state.stage {
            Stage::Training(open) => open.intake.held_bytes(),
            Stage::Buffering(buffer) => buffer.intake.held_bytes(),
            Stage::Summarising(open) => open.held_bytes(),
            Stage::Summing(open) => open.held_bytes(),
            Stage::Keys(_) | Stage::New | Stage::Ready(_) | Stage::Finished | Stage::Failed(_) => 0,
        };
        let task = self.task.as_ref().map_or(0, |(_, message)| message.len());
        self.state.server.held_bytes() + 8 * self.state.summary.len() + gathered + task
    }

    /// The encoded task `id`. Round openers are kept: everybody gets the same.
    fn task(&mut self, id: TaskId) -> Result<Cleared, TrainingError> {
        if let Some((known, message)) = &self.task
            && *known == id
        {
            return Ok(message.clone());
        }
        let message = egress::control(&Task::Train(self.train_task(id)))?;
        if id.repeat == 0 {
            self.task = Some((id, message.clone()));
        }
        Ok(message)
    }

    /// The task `id`, without a manifest.
    fn train_task(&self, id: TaskId) -> TrainTask {
        let State { server, accepted, summary, .. } = &self.state;
        TrainTask::new(&self.plan, id, server, accepted, summary)
    }
}
