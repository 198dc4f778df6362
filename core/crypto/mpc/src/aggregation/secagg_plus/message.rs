//! What owners and coordinator send each other, in order.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, CodecError, Digest, OwnerId, borsh, limits};

use super::secret::{Point, Sealed, Secret};
use crate::identity::{Identity, PublicKey, Signature, SignatureError};

/// An owner's keys for this sum, under its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Signed {
    pub(super) owner: OwnerId,
    pub(super) seal: Point,
    pub(super) mask: Point,
    pub(super) signature: Signature,
}

/// Owner, first: its keys.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Advert {
    pub(super) session: Digest,
    pub(super) keys: Signed,
}

/// Coordinator: everybody's keys, by owner. All owners must have seen the same list.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Directory {
    pub(super) session: Digest,
    pub(super) keys: Vec<Signed>,
}

/// Two shares under the key of two owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Packet {
    /// To whom, from an owner; from whom, to an owner.
    pub(super) peer: OwnerId,
    pub(super) sealed: Sealed,
}

/// Owner, second: shares of its secrets for the neighbours it drew.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Shares {
    pub(super) session: Digest,
    pub(super) owner: OwnerId,
    /// To the seed of its own mask.
    pub(super) commitment: Digest,
    /// By neighbour; the place in the list, from 1, is the point of the share.
    pub(super) packets: Vec<Packet>,
}

/// Coordinator: who shared, and the packets for one owner.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Delivery {
    pub(super) session: Digest,
    pub(super) sharers: Vec<OwnerId>,
    pub(super) packets: Vec<Packet>,
}

/// What an owner saw when it masked. Signed with the masked values.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct View {
    pub(super) session: Digest,
    /// Digest of the [`Directory`].
    pub(super) directory: Digest,
    pub(super) sharers: Vec<OwnerId>,
}

/// Owner, third: its masked values.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Masked {
    pub(super) session: Digest,
    pub(super) owner: OwnerId,
    /// On the digest of the [`View`].
    pub(super) signature: Signature,
    /// Four bytes each, little-endian.
    pub(super) values: Vec<u8>,
    /// Whose packets did not open: of their secrets this owner will reveal no share.
    pub(super) unopened: Vec<OwnerId>,
}

/// Coordinator: whose values arrived.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Proposal {
    pub(super) session: Digest,
    pub(super) survivors: Vec<OwnerId>,
}

/// What owners vote on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Ballot {
    pub(super) session: Digest,
    /// Digest of the [`View`].
    pub(super) view: Digest,
    pub(super) survivors: Vec<OwnerId>,
}

/// Owner, fourth: its only vote, a signature on the digest of the [`Ballot`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Vote {
    pub(super) session: Digest,
    pub(super) owner: OwnerId,
    pub(super) signature: Signature,
}

/// Coordinator: a quorum voted, and all survivors masked under the same view.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Certificate {
    pub(super) session: Digest,
    pub(super) votes: Vec<(OwnerId, Signature)>,
    /// Signatures on the view by survivors that did not vote.
    pub(super) views: Vec<(OwnerId, Signature)>,
}

/// A share that is revealed. One kind for each owner, never both.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Share {
    /// Of the seed of a survivor's own mask.
    Own(Secret),
    /// Of the mask key of an owner that dropped out.
    Key(Secret),
}

/// Owner, last: one share for each owner of whom a packet opened.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Reveal {
    pub(super) session: Digest,
    pub(super) owner: OwnerId,
    pub(super) shares: Vec<(OwnerId, Share)>,
}

const FRAME_BYTES: usize = 1024;
const MAX_OWNERS: usize = limits::MAX_OWNERS as usize;

macro_rules! canonical {
    ($($type:ty, $name:literal, $most:expr;)*) => {$(
        impl Canonical for $type {
            const DOMAIN: &'static str = concat!("nexus/mpc/secagg-plus/", $name);
            const VERSION: u8 = 1;
            const MAX_BYTES: usize = FRAME_BYTES + $most;
        }
    )*};
}

canonical! {
    Signed, "keys", 0;
    Advert, "advert", 0;
    Directory, "directory", MAX_OWNERS * size_of::<Signed>();
    Shares, "shares", MAX_OWNERS * size_of::<Packet>();
    Delivery, "delivery", MAX_OWNERS * (size_of::<Packet>() + 4);
    View, "view", MAX_OWNERS * 4;
    Masked, "masked", limits::MAX_PARAMETERS * 4 + MAX_OWNERS * 4;
    Proposal, "proposal", MAX_OWNERS * 4;
    Ballot, "ballot", MAX_OWNERS * 4;
    Vote, "vote", 0;
    Certificate, "certificate", MAX_OWNERS * 2 * 68;
    Reveal, "reveal", MAX_OWNERS * 37;
}

/// What an owner signs for one use.
pub(super) trait Statement: Canonical {
    fn sign(&self, identity: &Identity) -> Result<Signature, CodecError> {
        Ok(identity.sign(Self::DOMAIN, &self.digest()?.0))
    }
}

impl Statement for View {}
impl Statement for Ballot {}

/// Whether `signature` is one of `key` on the statement of type `T` with this digest.
pub(super) fn verify<T: Statement>(
    key: &PublicKey,
    digest: &Digest,
    signature: &Signature,
) -> Result<(), SignatureError> {
    key.verify(T::DOMAIN, &digest.0, signature)
}

impl Signed {
    pub(super) fn new(
        session: &Digest,
        owner: OwnerId,
        [seal, mask]: [Point; 2],
        identity: &Identity,
    ) -> Self {
        let bytes = Self::signed_bytes(session, owner, seal, mask);
        let signature = identity.sign(Self::DOMAIN, &bytes);
        Self { owner, seal, mask, signature }
    }

    pub(super) fn verify(&self, session: &Digest, key: &PublicKey) -> Result<(), SignatureError> {
        let bytes = Self::signed_bytes(session, self.owner, self.seal, self.mask);
        key.verify(Self::DOMAIN, &bytes, &self.signature)
    }

    fn signed_bytes(session: &Digest, owner: OwnerId, seal: Point, mask: Point) -> Vec<u8> {
        [&session.0[..], &owner.0.to_le_bytes(), &seal.0, &mask.0].concat()
    }
}
