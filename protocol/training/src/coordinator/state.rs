//! What a coordinator remembers, as bytes.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, JobId, Round};

use super::buffer::Buffer;
use super::round::OpenRound;
use super::sum::{Masking, OpenKeys, OpenSum};
use super::summary::OpenSummary;
use crate::error::TrainingError;
use crate::plan::Plan;
use crate::record::RoundRecord;
use crate::server::Server;

/// Where a job stands.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) enum Stage {
    /// Before the start.
    #[default]
    New,
    /// Owners send statistics.
    Summarising(OpenSummary),
    /// The statistics are known, a model is not.
    Ready(RoundRecord),
    /// A round is open.
    Training(OpenRound),
    /// A buffer is open.
    Buffering(Buffer),
    /// The committee is asked for its keys.
    Keys(OpenKeys),
    /// A masked sum is under way.
    Summing(Box<OpenSum>),
    /// All rounds are done.
    Finished,
    /// Too few answered in this round.
    Failed(Round),
}

impl Stage {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Summarising(_) => "in its statistics stage",
            Self::Ready(_) => "waiting for its first model",
            Self::Training(_) | Self::Buffering(_) => "in a round",
            Self::Keys(_) | Self::Summing(_) => "in a masked sum",
            Self::Finished => "finished",
            Self::Failed(_) => "failed",
        }
    }

    pub(super) const fn round(&self) -> Option<Round> {
        match self {
            Self::Training(open) => Some(open.round),
            Self::Buffering(buffer) => Some(buffer.round),
            Self::Failed(round) => Some(*round),
            Self::Keys(open) => Some(open.round),
            Self::Summing(open) => Some(open.round),
            Self::New | Self::Summarising(_) | Self::Ready(_) | Self::Finished => None,
        }
    }

    fn has_model(&self) -> bool {
        match self {
            Self::New | Self::Summarising(_) | Self::Ready(_) => false,
            Self::Training(_) | Self::Buffering(_) | Self::Finished => true,
            Self::Keys(OpenKeys { round, .. }) | Self::Failed(round) => *round != Round(0),
            Self::Summing(open) => open.round != Round(0),
        }
    }

    fn fits(&self, plan: &Plan) -> bool {
        match self {
            Self::New | Self::Ready(_) | Self::Finished => true,
            Self::Summarising(open) => plan.is_clear() && plan.statistics > 0 && open.fits(plan),
            Self::Training(open) => {
                plan.is_clear() && !plan.strategy.is_buffered() && open.fits(plan)
            }
            Self::Buffering(buffer) => plan.strategy.is_buffered() && buffer.fits(plan),
            Self::Failed(round) => round.0 <= plan.rounds,
            Self::Keys(open) => open.fits(plan),
            Self::Summing(open) => open.fits(plan),
        }
    }
}

/// The whole state: with a [`Plan`] it makes a coordinator.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct State {
    pub(super) job: JobId,
    pub(super) server: Server,
    /// By owner, the last round in which its update was used.
    pub(super) accepted: Vec<Round>,
    pub(super) summary: Vec<f64>,
    pub(super) masking: Masking,
    pub(super) stage: Stage,
}

impl Canonical for State {
    const DOMAIN: &'static str = "nexus/training/coordinator";
    const VERSION: u8 = 2;
    // A snapshot comes from the machine's own disk and is as large as its state: the reader of
    // the file sets the limit, and decoding allocates in proportion to the bytes.
    const MAX_BYTES: usize = isize::MAX.cast_unsigned();
}

impl State {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            job: plan.job,
            server: Server::default(),
            accepted: Vec::new(),
            summary: Vec::new(),
            masking: Masking::default(),
            stage: Stage::New,
        }
    }

    /// Checks a decoded state: whatever the bytes were, the machine must not trip over it.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), TrainingError> {
        let refuse = |problem| Err(TrainingError::Snapshot { problem });
        if self.job != plan.job {
            return refuse("it is of another job");
        }
        let has_model = self.stage.has_model();
        let summarised = has_model || matches!(self.stage, Stage::Ready(_));
        let parameters = if has_model { plan.parameters as usize } else { 0 };
        let accepted = if has_model { plan.owners as usize } else { 0 };
        let statistics = if summarised { plan.statistics as usize } else { 0 };
        if !self.server.fits(&plan.strategy, parameters) {
            return refuse("the model has another size");
        }
        if self.accepted.len() != accepted || self.summary.len() != statistics {
            return refuse("a list has the wrong length");
        }
        if !self.masking.fits(plan) {
            return refuse("the committee's keys are not those of the job");
        }
        if self.stage.fits(plan) { Ok(()) } else { refuse("the stage contradicts itself") }
    }

    /// Wakes the engine of a masked sum in a checked state.
    pub(super) fn wake(&mut self, plan: &Plan) -> Result<(), TrainingError> {
        match &mut self.stage {
            Stage::Summing(open) => open.wake(plan),
            Stage::New
            | Stage::Summarising(_)
            | Stage::Ready(_)
            | Stage::Training(_)
            | Stage::Buffering(_)
            | Stage::Keys(_)
            | Stage::Finished
            | Stage::Failed(_) => Ok(()),
        }
    }
}
