//! What happened in a round, for people and files.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{MemberId, OwnerId, Round, Timestamp};

/// Why an owner's answer is not part of a round.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
#[non_exhaustive]
pub enum DropReason {
    /// Nothing came before the deadline, in any attempt.
    NoAnswer {
        /// Milliseconds waited, over all attempts.
        waited_ms: u64,
    },
    /// The owner said that it cannot or will not answer.
    Declined {
        /// In its own words.
        reason: String,
    },
    /// The bytes are not an answer.
    Malformed {
        /// What is wrong with them.
        problem: String,
    },
    /// The answer is about another job.
    WrongJob,
    /// The answer is about another model.
    WrongModel,
    /// The answer has the wrong number of numbers.
    WrongLength {
        /// Numbers in it.
        got: u64,
        /// Numbers expected.
        expected: u64,
    },
    /// A number in it is infinite.
    NotFinite,
    /// A number in it is too large to be summed.
    TooLarge {
        /// The largest magnitude that is summed.
        limit: f64,
    },
    /// The update was trained on nothing.
    NoExamples,
    /// SCAFFOLD: the displacement is not a positive number.
    NoDisplacement,
    /// Its part of a masked sum was refused.
    Refused {
        /// Why.
        reason: String,
    },
    /// FedBuff: the update starts from too old a model.
    Stale {
        /// How many models have come since.
        by: u32,
    },
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer { waited_ms } => {
                write!(f, "no answer within {} s", *waited_ms as f64 / 1e3)
            }
            Self::Declined { reason } => write!(f, "declined: {reason}"),
            Self::Malformed { problem } => write!(f, "sent a malformed answer: {problem}"),
            Self::WrongJob => f.write_str("answered for another job"),
            Self::WrongModel => f.write_str("answered for another model"),
            Self::WrongLength { got, expected } => {
                write!(f, "sent {got} numbers where {expected} were expected")
            }
            Self::NotFinite => f.write_str("sent a number that is not finite"),
            Self::TooLarge { limit } => write!(f, "sent a number above {limit:e}"),
            Self::NoExamples => f.write_str("trained on no examples"),
            Self::NoDisplacement => f.write_str("sent a displacement that is not positive"),
            Self::Refused { reason } => f.write_str(reason),
            Self::Stale { by } => write!(f, "its update is {by} models too old"),
        }
    }
}

/// An owner that was asked and is not part of the result.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Dropped {
    /// The owner.
    pub owner: OwnerId,
    /// Why.
    pub reason: DropReason,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.owner, self.reason)
    }
}

/// What a committee did in a sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CommitteeRecord {
    /// Members whose shares did not fit the others': it may be the others, with an owner's help,
    /// that were wrong.
    pub disputed: Vec<MemberId>,
    /// Members that said nothing, or complained about too many owners.
    pub silent: Vec<MemberId>,
}

/// One closed round; with [`crate::Strategy::FedBuff`] one emptying of the buffer; with round 0
/// the statistics stage.
///
/// Lists are in order of owners. Questions that are repeated because a coordinator restarted are
/// not counted: an interrupted round has the record of one that was not, apart from times, and
/// from answers that crossed a repeated question.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct RoundRecord {
    /// Which round.
    pub round: Round,
    /// Owners whose answers are part of the result.
    pub participants: Vec<OwnerId>,
    /// Owners that were asked and are not, and why.
    pub dropped: Vec<Dropped>,
    /// Owners whose unused answer to an earlier round arrived during this one.
    pub late: Vec<OwnerId>,
    /// Owners whose update was scaled down by [`crate::Rule::NormBound`]; empty if sums are
    /// masked, which hides who they are.
    pub clipped: Vec<OwnerId>,
    /// How many owners' updates were scaled down.
    pub clipped_owners: u32,
    /// What the committee did; `None` without one.
    pub committee: Option<CommitteeRecord>,
    /// Updates in the result; more than participants if FedBuff took several from one.
    pub updates: u32,
    /// Messages that repeat an answer already taken.
    pub duplicates: u32,
    /// Messages from parties that were not asked, or about what is not being asked.
    pub strays: u32,
    /// Sum of the losses the participants report over the number of examples they report; `None`
    /// where they report none, as with differential privacy.
    pub train_loss: Option<f64>,
    /// Optimiser steps of the participants, as far as they report any.
    pub steps: u64,
    /// Bytes of all messages received.
    pub bytes_up: u64,
    /// Bytes of all messages sent.
    pub bytes_down: u64,
    /// How often owners were asked, at least 1.
    pub attempts: u32,
    /// When the round began.
    pub opened: Timestamp,
    /// When it ended.
    pub closed: Timestamp,
    /// Euclidean norm of the aggregated update, before the server's optimiser.
    pub update_norm: f64,
}
