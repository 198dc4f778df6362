//! What can be wrong with a key that several share.

use nexus_types::{CodecError, Digest, MemberId};

use crate::additive::AdditiveError;

/// Why a key is not made, or a sum not opened.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ThresholdError {
    /// A number of members that is not possible.
    #[error("{got} members; from 2 to {limit} are possible")]
    Members {
        /// How many.
        got: u16,
        /// The most.
        limit: u16,
    },
    /// A threshold that is not possible.
    #[error("{got} members to open a sum; from 2 to {members} are possible")]
    Threshold {
        /// The threshold.
        got: u16,
        /// Members there are.
        members: u16,
    },
    /// Too little or too much flooding.
    #[error("flooding of {got} bits; from {least} to {most} are possible")]
    Flooding {
        /// Bits.
        got: u32,
        /// The fewest.
        least: u32,
        /// The most.
        most: u32,
    },
    /// Sums of so few are never opened, or there are never so many.
    #[error("sums of {got} and more are opened; from 1 to {clients} is possible")]
    Least {
        /// The fewest addends.
        got: u32,
        /// Clients there are.
        clients: u32,
    },
    /// Somebody who is no member.
    #[error("{member} is no member of this key")]
    Stranger {
        /// Who.
        member: MemberId,
    },
    /// A member says the same thing again.
    #[error("{member} has sent its {what} already")]
    Again {
        /// Who.
        member: MemberId,
        /// What.
        what: &'static str,
    },
    /// A part of the key that is not the one its member committed to.
    #[error("{member} shows another part of the key than it committed to")]
    Commitment {
        /// Who.
        member: MemberId,
    },
    /// A message that comes before its time.
    #[error("the {what} of {member} comes before all members have committed")]
    Early {
        /// Who.
        member: MemberId,
        /// What.
        what: &'static str,
    },
    /// There is no key yet.
    #[error("there is no key yet")]
    NoKey,
    /// Too many openings are prepared.
    #[error("{got} openings are prepared and not used; {limit} are possible")]
    Openings {
        /// How many.
        got: usize,
        /// The most.
        limit: usize,
    },
    /// There is no noise for this opening, or not yet that of all members.
    #[error("opening {opening} is not prepared")]
    Unprepared {
        /// Its number.
        opening: u64,
    },
    /// The noise of this opening is used up.
    #[error("opening {opening} was used for the sum {}: the same noise is never used again", ciphertext.short())]
    Spent {
        /// Its number.
        opening: u64,
        /// The sum it was used for.
        ciphertext: Digest,
    },
    /// A sum of too few.
    #[error("a sum of {got}; only those of {least} and more are opened")]
    TooFewAddends {
        /// Addends.
        got: u32,
        /// The fewest.
        least: u32,
    },
    /// Too few members.
    #[error("{got} shares; it takes {need} to open a sum")]
    TooFew {
        /// Shares.
        got: usize,
        /// What it takes.
        need: usize,
    },
    /// A share of another sum or opening.
    #[error("the share of {member} is one of another sum or opening")]
    OtherSum {
        /// Whose.
        member: MemberId,
    },
    /// A message of another key.
    #[error("the message is of another key")]
    OtherTerms,
    /// A state that is none.
    #[error("no state of a member: {problem}")]
    State {
        /// What is wrong.
        problem: &'static str,
    },
    /// Something is wrong with a sum or a polynomial.
    #[error(transparent)]
    Additive(#[from] AdditiveError),
    /// Bytes that are no message.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
