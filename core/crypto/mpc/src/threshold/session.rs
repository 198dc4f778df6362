//! What key generation and resharing have in common towards their callers.

use std::collections::BTreeMap;

use nexus_types::{CodecError, MemberId};

use super::key::KeyShare;
use super::post::{Fault, Phase};
use crate::seal::SealError;

/// What a member does when a phase is closed.
#[derive(Debug)]
pub enum Step {
    /// Posts these bytes; they count once they come back from the board.
    Publish(Vec<u8>),
    /// Has nothing to say in the new phase.
    Wait,
    /// Has no part in what follows.
    Finished,
    /// Holds a share of the key.
    Done(Box<Outcome>),
    /// Throws everything away; the session is to be run again under the next attempt number.
    Restart(Restart),
}

/// A member's result.
#[derive(Debug)]
pub struct Outcome {
    /// Its share, of use once a certificate shows that the others mean the same key.
    pub share: KeyShare,
    /// Dealers that did something wrong.
    pub dealers: BTreeMap<MemberId, Fault>,
    /// Receivers that did.
    pub receivers: BTreeMap<MemberId, Fault>,
}

/// Why a session is thrown away. At most f faulty members cannot bring it about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restart {
    /// With the f shares that an adversary may hold, those made public would be t.
    Revealed {
        /// Receivers a share of whom is public.
        revealed: usize,
        /// f.
        faulty: u16,
        /// t.
        threshold: u16,
    },
    /// With the f dealers that an adversary may hold, those reconstructed in public would be all.
    Exposed {
        /// Dealers to be reconstructed.
        exposed: usize,
        /// f.
        faulty: u16,
        /// Dealers there are.
        qualified: usize,
    },
}

/// Why a session cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The member is not in the committee, or its keys are not those of its seat.
    #[error("{member} has no seat with these keys")]
    Stranger {
        /// Who.
        member: MemberId,
    },
    /// The old key is not held by the old committee, or the share not one of that key.
    #[error("the key is not one of this committee")]
    OtherKey,
    /// Fewer dealers than t are left: more than f members are faulty or were not heard in time.
    #[error("{qualified} dealers are left in phase {phase:?}, it takes {need}")]
    TooFew {
        /// When.
        phase: Phase,
        /// How many are left.
        qualified: usize,
        /// How many are needed.
        need: usize,
    },
    /// This member has no share of that dealer: it was not heard when it complained.
    #[error("no share of {dealer}, whose sharing stands")]
    Incomplete {
        /// Whose.
        dealer: MemberId,
    },
    /// The shares do not belong to the key. It cannot happen while discrete logarithms are hard.
    #[error("the shares do not belong to the key")]
    Inconsistent,
    /// The session is over.
    #[error("the session is over")]
    Over,
    /// A post is too long.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A share cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}
