//! Who shares a key: members with a signing key and a key for sealed shares.

use nexus_types::{Digest, MemberId};

use super::group::Transcript;
use crate::identity::PublicKey;
use crate::seal::{PacketKey, SealError};

/// Fewest members: with them one may be faulty.
pub const MIN_MEMBERS: u16 = 4;
/// Most members.
pub const MAX_MEMBERS: u16 = 100;

/// A member as the others know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Verifies what the member posts.
    pub identity: PublicKey,
    /// Seals shares to the member; of one key generation or resharing, and then erased.
    pub packets: PacketKey,
}

/// Why a list of seats is no committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitteeError {
    /// Too few or too many members.
    #[error("a committee of {got}, it has between {MIN_MEMBERS} and {MAX_MEMBERS} members")]
    Size {
        /// How many.
        got: usize,
    },
    /// Two seats have the same identity.
    #[error("{member} sits in the committee twice")]
    Duplicate {
        /// The second seat.
        member: MemberId,
    },
    /// A member's packet key is no key, so nobody could send it a share.
    #[error("the packet key of {member} is not valid")]
    PacketKey {
        /// Whose.
        member: MemberId,
    },
}

/// m members of whom f = floor((m - 1) / 3) may be faulty in any way, and t = 2f + 1 can use the
/// key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committee {
    seats: Vec<Seat>,
    size: u16,
    digest: Digest,
}

impl Committee {
    /// The committee of these seats, in this order.
    ///
    /// # Errors
    /// [`CommitteeError`].
    pub fn new(seats: Vec<Seat>) -> Result<Self, CommitteeError> {
        let got = seats.len();
        let size = u16::try_from(got).map_err(|_| CommitteeError::Size { got })?;
        if !(MIN_MEMBERS..=MAX_MEMBERS).contains(&size) {
            return Err(CommitteeError::Size { got });
        }
        for (member, seat) in MemberId::all(size).zip(&seats) {
            if seats[..member.index()].iter().any(|other| other.identity == seat.identity) {
                return Err(CommitteeError::Duplicate { member });
            }
            check(&seat.packets).map_err(|_| CommitteeError::PacketKey { member })?;
        }
        let digest =
            seats.iter().fold(Transcript::new("nexus/mpc/threshold/committee v1"), |all, seat| {
                all.bytes(&seat.identity.0).bytes(&seat.packets.0)
            });
        Ok(Self { seats, size, digest: digest.digest() })
    }

    /// m.
    pub const fn size(&self) -> u16 {
        self.size
    }

    /// f, the most members that may be faulty.
    pub const fn faulty(&self) -> u16 {
        (self.size - 1) / 3
    }

    /// t = 2f + 1, the members it takes to use the key.
    pub const fn threshold(&self) -> u16 {
        2 * self.faulty() + 1
    }

    /// Members two of whose sets of this size have an honest member in common.
    pub const fn quorum(&self) -> u16 {
        self.size.midpoint(self.faulty()) + 1
    }

    /// The digest of all seats.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// A member's seat.
    pub fn seat(&self, member: MemberId) -> Option<&Seat> {
        self.seats.get(member.index())
    }

    /// All members.
    pub fn members(&self) -> impl Iterator<Item = MemberId> + use<> {
        MemberId::all(self.size)
    }
}

/// Seals nothing with fixed randomness: only a valid key allows it.
fn check(key: &PacketKey) -> Result<(), SealError> {
    let mut fixed = Transcript::new("nexus/mpc/threshold/packet key check v1").stream();
    key.seal(&mut fixed, b"", b"").map(drop)
}
