//! Messages between parties.

use std::fmt;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{MemberId, OwnerId};

/// One end of a conversation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Party {
    /// The coordinator of the job.
    Coordinator,
    /// An owner.
    Owner(OwnerId),
    /// A member of the committee.
    Member(MemberId),
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("coordinator"),
            Self::Owner(owner) => owner.fmt(f),
            Self::Member(member) => member.fmt(f),
        }
    }
}

/// A message that may leave: what [`Transport`] takes, and nothing else.
///
/// Whoever clears bytes answers for them. There are few places that do, and a house rule names them:
/// what depends on rows becomes `Cleared` by way of the stages of `nexus-privacy`.
///
/// Bytes as such cannot be sent:
///
/// ```compile_fail
/// # use nexus_types::{Party, Transport};
/// fn send(transport: &mut impl Transport, row: std::sync::Arc<[u8]>) {
///     transport.send(Party::Coordinator, row);
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Cleared(Arc<[u8]>);

impl Cleared {
    /// Says that `message` may leave this party.
    pub const fn vouched_for(message: Arc<[u8]>) -> Self {
        Self(message)
    }

    /// The encoded message.
    pub fn into_bytes(self) -> Arc<[u8]> {
        self.0
    }
}

impl std::ops::Deref for Cleared {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cleared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cleared").field("bytes", &self.0.len()).finish()
    }
}

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who sent it. The transport vouches for this, not for the content.
    pub from: Party,
    /// The encoded message.
    pub message: Arc<[u8]>,
}

/// Why a message did not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// There is no such party.
    #[error("no way to reach {to}")]
    Unreachable {
        /// The party.
        to: Party,
    },
    /// The message is too long.
    #[error("a message of {got} bytes to {to}; at most {limit} are sent")]
    TooLarge {
        /// The party.
        to: Party,
        /// Length of the message.
        got: usize,
        /// The limit.
        limit: usize,
    },
}

/// One party's connection to the others.
///
/// Sending hands a message over; nothing promises that it arrives, arrives once, or in order.
/// Protocols have deadlines for that.
pub trait Transport {
    /// Hands over `message` for `to`. A message to many is encoded once and shared.
    ///
    /// # Errors
    /// [`TransportError`] if it can never arrive.
    fn send(&mut self, to: Party, message: Cleared) -> Result<(), TransportError>;

    /// The next message that has arrived, `None` if there is none now.
    fn receive(&mut self) -> Option<Received>;
}
