//! What members tell everyone, send each other, and release.

use std::fmt;

use nexus_types::borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, Digest, MemberId};
use zeroize::Zeroize;

/// The most bytes of a message: noise for a vector of the greatest length.
const MAX_BYTES: usize = 1 << 30;

/// What everyone sees.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Word {
    /// The digest of a part of the key.
    Commitment(Digest),
    /// The part, and what hid it.
    Half { salt: [u8; 32], packed: Vec<u8> },
}

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Post {
    pub(super) key: Digest,
    pub(super) word: Word,
}

impl Canonical for Post {
    const DOMAIN: &'static str = "nexus/he/threshold post";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 1 << 26;
}

/// What one member sends another: a share of its part of the key, or of the noise of an opening.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Packet {
    pub(super) key: Digest,
    pub(super) to: MemberId,
    pub(super) opening: Option<u64>,
    pub(super) packed: Vec<u8>,
}

impl Drop for Packet {
    fn drop(&mut self) {
        self.packed.zeroize();
    }
}

impl Canonical for Packet {
    const DOMAIN: &'static str = "nexus/he/threshold packet";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = MAX_BYTES;
}

/// A member's share of a decrypted sum. It is public: with enough of them the sum is.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Partial {
    pub(super) key: Digest,
    pub(super) member: MemberId,
    pub(super) opening: u64,
    pub(super) ciphertext: Digest,
    pub(super) packed: Vec<u8>,
}

impl fmt::Debug for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partial({}, opening {})", self.member, self.opening)
    }
}

impl Partial {
    /// Whose share it is.
    pub const fn member(&self) -> MemberId {
        self.member
    }

    /// The number of the opening.
    pub const fn opening(&self) -> u64 {
        self.opening
    }
}

impl Canonical for Partial {
    const DOMAIN: &'static str = "nexus/he/threshold partial";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = MAX_BYTES;
}
