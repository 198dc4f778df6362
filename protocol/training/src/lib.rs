//! Federated rounds.

mod coordinator;
mod error;
mod message;
mod participant;
mod plan;
mod record;
mod rule;
mod server;
mod strategy;

pub use coordinator::{Coordinator, CoordinatorEffect, CoordinatorEvent};
pub use error::TrainingError;
pub use message::{Answer, MAX_MAGNITUDE, MAX_STATISTIC, Task, TaskId, TrainTask, Update};
pub use participant::{
    LocalResult, LocalTask, Participant, ParticipantEffect, ParticipantEvent, Refusal,
};
pub use plan::{MAX_ATTEMPTS, MAX_EXAMPLE_CAP, Plan, Weighting};
pub use record::{DropReason, Dropped, RoundRecord};
pub use rule::Rule;
pub use strategy::Strategy;
