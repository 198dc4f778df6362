//! What can go wrong, by name.

use std::fmt;

use nexus_mpc::aggregation::SumError;
use nexus_mpc::quantise::QuantiseError;
use nexus_privacy::accounting::AccountingError;
use nexus_privacy::flow::FlowError;
use nexus_privacy::mechanisms::MechanismError;
use nexus_types::{CodecError, MemberId, Round};

use crate::record::Dropped;

/// Names of absent owners that an error text lists before it counts the rest.
const LISTED: usize = 16;

/// Why a plan is impossible, a machine was misused, or a job failed.
///
/// Nothing that another party sends becomes an `Err`: it is recorded in a [`crate::RoundRecord`]
/// or, when a job cannot go on, leaves as [`crate::CoordinatorEffect::Failed`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// A setting is outside its range.
    #[error("`{setting}` is {got}, it must be from {least} to {most}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        got: f64,
        /// The smallest value allowed.
        least: f64,
        /// The largest value allowed.
        most: f64,
    },
    /// A rule is asked for more than the owners of a round can give.
    #[error(
        "`{rule}` with these settings needs {needed} updates a round, {asked} owners are asked"
    )]
    TooFewOwners {
        /// The rule.
        rule: &'static str,
        /// Updates it needs.
        needed: u32,
        /// Owners asked in a round.
        asked: u32,
    },
    /// A job with differential privacy was given something that has no noise.
    #[error("the job has differential privacy: nothing leaves an owner without noise")]
    Unprotected,
    /// What a job's rows are used for has no name that labels know.
    #[error("purpose")]
    Purpose(#[from] nexus_privacy::flow::LabelError),
    /// Two settings exclude each other.
    #[error("`{one}` does not go with `{other}`: {reason}")]
    Combination {
        /// One of them.
        one: &'static str,
        /// The other.
        other: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A task would not fit into a message.
    #[error("a task would take {got} bytes, a message has at most {limit}")]
    TaskTooLarge {
        /// Bytes of a task.
        got: u64,
        /// Bytes of the longest message.
        limit: u64,
    },
    /// The driver gave a machine an event that its stage has no use for.
    #[error("the event `{event}` came while the machine was {stage}")]
    OutOfTurn {
        /// The event.
        event: &'static str,
        /// The stage.
        stage: &'static str,
    },
    /// The driver gave a vector of the wrong length.
    #[error("the {what} have {got} numbers, the plan says {expected}")]
    Length {
        /// What the vector is.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The plan's.
        expected: usize,
    },
    /// The driver gave a number that is infinite or not a number.
    #[error("the {what} are not all finite")]
    NotFinite {
        /// What the numbers are.
        what: &'static str,
    },
    /// Too few owners answered, however often they were asked.
    #[error("{}: got {have} of the {need} answers it needs; missing: {}", Stage(*round), Missing(missing))]
    QuorumLost {
        /// The round; 0 is the statistics stage.
        round: Round,
        /// Answers that could be used.
        have: u32,
        /// Answers needed.
        need: u32,
        /// Who is missing, and why.
        missing: Vec<Dropped>,
    },
    /// Too few members of the committee answered, however often they were asked.
    #[error(
        "{}: {have} members of the committee answered, {need} are needed; missing: {}",
        Stage(*round), names(missing)
    )]
    CommitteeLost {
        /// The round; 0 is the statistics stage.
        round: Round,
        /// Members that answered.
        have: u32,
        /// Members needed.
        need: u32,
        /// Who is missing.
        missing: Vec<MemberId>,
    },
    /// A masked sum could not be opened, however often it was tried.
    #[error("{}: {source}", Stage(*round))]
    Sum {
        /// The round; 0 is the statistics stage.
        round: Round,
        /// Why, the last time.
        source: SumError,
    },
    /// A masked sum was opened, and its figures are impossible: an owner sent false ones.
    #[error(
        "the {what} in the sum are {got}, they are from {least} to {most} if owners are honest"
    )]
    Figures {
        /// Which figures.
        what: &'static str,
        /// Their sum.
        got: f64,
        /// The smallest possible.
        least: f64,
        /// The largest possible.
        most: f64,
    },
    /// The engine of masked sums refuses.
    #[error(transparent)]
    Masking(#[from] SumError),
    /// A number cannot be written as the integers of a masked sum.
    #[error(transparent)]
    Quantise(#[from] QuantiseError),
    /// A sum cannot be made private as the job asks.
    #[error(transparent)]
    Mechanism(#[from] MechanismError),
    /// A contribution cannot be made private.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A promise of privacy has no figure.
    #[error(transparent)]
    Accounting(#[from] AccountingError),
    /// The machine needs the key of its party for masked sums.
    #[error("a job with masked sums needs the key of its {party}")]
    NoIdentity {
        /// Whose.
        party: &'static str,
    },
    /// A snapshot is of another job, or contradicts its plan.
    #[error("the snapshot does not fit the plan: {problem}")]
    Snapshot {
        /// What does not fit.
        problem: &'static str,
    },
    /// Bytes are not what they should be.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

struct Stage(Round);

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Round(0) => f.write_str("statistics stage"),
            round => write!(f, "round {round}"),
        }
    }
}

fn names(members: &[MemberId]) -> String {
    members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

struct Missing<'a>(&'a [Dropped]);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, dropped) in self.0.iter().take(LISTED).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{dropped}")?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_types::OwnerId;

    use super::*;
    use crate::record::DropReason;

    #[test]
    fn a_lost_quorum_names_who_is_missing_and_why() {
        let declined = DropReason::Declined { reason: "disk full".into() };
        let missing = vec![
            Dropped { owner: OwnerId(1), reason: DropReason::NoAnswer { waited_ms: 30_500 } },
            Dropped { owner: OwnerId(4), reason: declined },
        ];
        let lost = TrainingError::QuorumLost { round: Round(3), have: 2, need: 4, missing };
        assert_eq!(
            lost.to_string(),
            "round 3: got 2 of the 4 answers it needs; missing: \
             owner-1 (no answer within 30.5 s), owner-4 (declined: disk full)"
        );
    }

    #[test]
    fn a_long_list_of_the_missing_ends_in_a_count() {
        let reason = DropReason::NotFinite;
        let missing =
            OwnerId::all(20).map(|owner| Dropped { owner, reason: reason.clone() }).collect();
        let lost = TrainingError::QuorumLost { round: Round(0), have: 0, need: 1, missing };
        let text = lost.to_string();
        assert!(text.starts_with("statistics stage: got 0 of the 1 "), "{text}");
        assert!(text.contains("owner-15") && text.ends_with(" and 4 more"), "{text}");
    }
}
