//! Secure sums: many owners each hold a vector of integers, and nobody learns anything but the
//! exact sum over those who took part.
//!
//! Two engines, `nx` with a committee and one message per owner, and `secagg_plus` without a
//! committee and five, stand behind one pair of traits: a [`Collector`] is the coordinator's
//! part, a [`Contributor`] an owner's. Both are state machines without clock, network or disk.

pub mod nx;
pub mod secagg_plus;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{CryptoRng, Digest, MemberId, OwnerId, borsh};

use crate::identity::PublicKey;

/// A party of a secure sum besides the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Peer {
    /// An owner.
    Owner(OwnerId),
    /// A member of the committee.
    Member(MemberId),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(owner) => owner.fmt(f),
            Self::Member(member) => member.fmt(f),
        }
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// To whom.
    pub to: Peer,
    /// Its bytes.
    pub message: Arc<[u8]>,
}

/// What the parties of one sum agreed on beforehand. Each attempt at a round has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Digest of the signed round manifest: it binds everything else here, and the terms of the
    /// engine.
    pub manifest: Digest,
    /// The owners asked, all of them on the job's list, and their keys.
    pub owners: Arc<BTreeMap<OwnerId, PublicKey>>,
    /// Fewest owners over whom a sum may be opened.
    pub n_min: u32,
    /// Integers per owner.
    pub values: u32,
}

/// Why a message was refused. It names a fault of its sender and leaves the receiver as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are no message of this engine.
    #[error("sent a malformed message: {problem}")]
    Malformed {
        /// What is wrong with them.
        problem: String,
    },
    /// The sender is no party of the sum.
    #[error("is no party of this sum")]
    Stranger,
    /// The message belongs to another round, attempt or job.
    #[error("sent a message of another round")]
    OtherRound,
    /// The message names somebody else as its sender.
    #[error("sent a message in the name of {name}")]
    OtherSender {
        /// Whose.
        name: Peer,
    },
    /// The message does not belong to the phase.
    #[error("sent a message out of turn")]
    OutOfTurn,
    /// The sender has already sent another one.
    #[error("sent two different messages where one is allowed")]
    Contradiction,
    /// A signature is not valid.
    #[error("sent a signature that is not valid")]
    Signature,
    /// A list or vector has the wrong length.
    #[error("sent {got} {what} where {expected} were expected")]
    Length {
        /// What was counted.
        what: String,
        /// How many came.
        got: u64,
        /// How many were expected.
        expected: u64,
    },
    /// A number is not in its range.
    #[error("sent a number outside the field")]
    Range,
    /// A packet did not open, or failed its check, for these members.
    #[error("sent a packet that does not check, says {}", list(members))]
    Packet {
        /// Who complains.
        members: Vec<MemberId>,
    },
    /// Anything else that the protocol forbids.
    #[error("broke the protocol: {rule}")]
    Forbidden {
        /// The rule.
        rule: String,
    },
}

/// Why there is no sum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
#[non_exhaustive]
pub enum SumError {
    /// Too few owners are left.
    #[error("{have} owners are left of the {need} that the sum needs")]
    TooFew {
        /// Owners left.
        have: u32,
        /// Owners needed.
        need: u32,
    },
    /// Too few members of the committee answered.
    #[error(
        "{have} members of the committee answered, {need} are needed; missing: {}",
        list(missing)
    )]
    CommitteeSilent {
        /// Members that answered.
        have: u32,
        /// Members needed.
        need: u32,
        /// Who did not.
        missing: Vec<MemberId>,
    },
    /// The sum is not one of honest messages: nothing is released.
    #[error(
        "the sum is garbled: an owner's key or error is not what its packets say; nothing is released"
    )]
    Garbled,
    /// So many say that an owner's packets do not open that its secrets could not be. Nothing has
    /// been opened. Either they or the owner lie.
    #[error("the packets of {owner} do not open, say {}", list(by))]
    Unopened {
        /// Whose packets.
        owner: OwnerId,
        /// Who says so.
        by: Vec<OwnerId>,
    },
    /// A value is too large for its slot.
    #[error("value {index} is {got}, at most {limit} in magnitude is allowed")]
    Value {
        /// Its place.
        index: u64,
        /// The value.
        got: i64,
        /// The largest magnitude.
        limit: i64,
    },
    /// A vector has the wrong length.
    #[error("{got} values where {expected} were expected")]
    Length {
        /// Its length.
        got: u64,
        /// The length agreed on.
        expected: u64,
    },
    /// The owner has contributed before: randomness is used once, and what was sent is sent again.
    #[error("this owner has already contributed to this round")]
    Spent,
    /// The call does not belong to the phase.
    #[error("the sum is not in a phase for that")]
    OutOfTurn,
    /// The terms are outside the closed table.
    #[error("{setting} is {got}, from {least} to {most} is possible")]
    Setting {
        /// Which.
        setting: String,
        /// Its value.
        got: u64,
        /// The smallest possible.
        least: u64,
        /// The largest possible.
        most: u64,
    },
    /// A key of the terms is not one.
    #[error("a key of {peer} is not valid")]
    Key {
        /// Whose.
        peer: Peer,
    },
    /// The bytes are no snapshot of this session.
    #[error("the snapshot does not fit: {problem}")]
    Snapshot {
        /// What is wrong.
        problem: String,
    },
}

/// How a [`Collector`] goes on when a phase is over.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// With another phase, which these messages begin.
    Continue(Vec<Outgoing>),
    /// Not at all: this is the sum.
    Done(Opened),
}

/// The sum, and who is in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opened {
    /// The owners over whom it is, in order.
    pub survivors: Vec<OwnerId>,
    /// The exact integer sum, value by value.
    pub sum: Vec<i64>,
    /// Owners that sent something and are not in it, and why.
    pub dropped: BTreeMap<OwnerId, Refusal>,
    /// Owners that gave or revealed false shares, where that is certain; they may be survivors. Of
    /// the engine without a committee only.
    pub false_shares: Vec<OwnerId>,
    /// Members whose answers do not fit the others'. It may be the others that lied, if an owner
    /// in the sum helped them: nobody is named a liar.
    pub disputed: Vec<MemberId>,
    /// Members that were set aside: silent, or complaining about too many owners.
    pub silent: Vec<MemberId>,
    /// Messages that tell the owners what was opened, for them to check.
    pub notices: Vec<Outgoing>,
    /// Everything an auditor needs to check the sum, encoded; of the committee's engine only.
    pub transcript: Option<Vec<u8>>,
}

/// The coordinator's part of a sum. It holds no secret and decides nothing about privacy.
pub trait Collector: Clone + fmt::Debug {
    /// Takes in a message and answers.
    ///
    /// # Errors
    /// [`Refusal`] names what the sender did wrong; nothing has changed. The same message again
    /// is no error.
    fn receive(&mut self, from: Peer, bytes: &[u8]) -> Result<Vec<Outgoing>, Refusal>;

    /// [`Collector::receive`] for bytes that can be given away: what is kept is not copied.
    ///
    /// # Errors
    /// As there.
    fn receive_owned(&mut self, from: Peer, bytes: Vec<u8>) -> Result<Vec<Outgoing>, Refusal> {
        self.receive(from, &bytes)
    }

    /// Of whom a message is still expected in this phase.
    fn waiting(&self) -> Vec<Peer>;

    /// The messages of this phase again, for those who are still waited for: after a restart, or
    /// when messages may have been lost. Whoever has answered answers with the same bytes.
    fn repeat(&self) -> Vec<Outgoing>;

    /// How many owners' contributions are in so far.
    fn contributions(&self) -> u32;

    /// Ends the phase: nobody is waited for any more, or its deadline has come.
    ///
    /// # Errors
    /// [`SumError`]: there will be no sum.
    fn close(&mut self) -> Result<Progress, SumError>;

    /// Everything the collector knows, for its `restore`. Must be durable before the messages
    /// of [`Progress::Continue`] are sent.
    fn snapshot(&self) -> Vec<u8>;

    /// Bytes of the vectors it holds.
    fn held_bytes(&self) -> usize;
}

/// An owner's part of a sum.
pub trait Contributor: Clone + fmt::Debug {
    /// The owner's first message, hiding `values`. Once: randomness is never used twice.
    ///
    /// # Errors
    /// [`SumError`] if a value is too large, or it has been called before.
    fn contribute(
        &mut self,
        rng: &mut dyn CryptoRng,
        values: &[i64],
    ) -> Result<Arc<[u8]>, SumError>;

    /// Takes in a message of the coordinator, and answers where one is due. A repeated message
    /// gets the stored answer.
    ///
    /// # Errors
    /// [`Refusal`] names what the coordinator did wrong; nothing has changed.
    fn receive(
        &mut self,
        rng: &mut dyn CryptoRng,
        bytes: &[u8],
    ) -> Result<Option<Arc<[u8]>>, Refusal>;

    /// The last message sent, to be sent again.
    fn sent(&self) -> Option<Arc<[u8]>>;

    /// Everything the owner knows, secrets included, for `restore`. Must be durable before a
    /// message of this owner is sent.
    fn snapshot(&self) -> Vec<u8>;
}

fn list(parties: &[impl ToString]) -> String {
    parties.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
