//! A threshold key: what everyone knows of it, a member's share, and the committee's word that
//! all of its members mean the same one.

use std::collections::BTreeMap;
use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, CodecError, Digest, MemberId, borsh};
use zeroize::Zeroize;

use super::committee::{Committee, MAX_MEMBERS};
use super::group::{Point, Secret};
use crate::identity::{Identity, Signature};

/// The public part of a threshold key in one epoch. Take it from a [`Certificate`] or from one's
/// own key generation: its fields are not checked against each other.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct GroupKey {
    pub(super) epoch: u64,
    pub(super) key: Point,
    pub(super) shares: Vec<Point>,
    pub(super) threshold: u16,
    pub(super) committee: Digest,
    pub(super) transcript: Digest,
}

impl Canonical for GroupKey {
    const DOMAIN: &'static str = "nexus/mpc/threshold/group-key";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 256 + 32 * MAX_MEMBERS as usize;
}

impl GroupKey {
    /// Which sharing of the key this is. Resharing adds one.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// X, under which data-set keys are sealed; the same in every epoch.
    pub const fn key(&self) -> &Point {
        &self.key
    }

    /// `X_j` = `x_j` G of a member.
    pub fn share(&self, member: MemberId) -> Option<&Point> {
        self.shares.get(member.index())
    }

    /// t, the members it takes to use the key.
    pub const fn threshold(&self) -> u16 {
        self.threshold
    }

    /// Digest of the committee that holds the shares.
    pub const fn committee(&self) -> Digest {
        self.committee
    }

    /// Digest of every post that the key was made from.
    pub const fn transcript(&self) -> Digest {
        self.transcript
    }

    /// The digest that members sign.
    pub(super) fn signed_digest(&self) -> Result<Digest, CodecError> {
        self.digest()
    }
}

/// A member's share of a key. Wiped when dropped.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub struct KeyShare {
    pub(super) member: MemberId,
    pub(super) secret: Secret,
    pub(super) public: GroupKey,
}

impl Canonical for KeyShare {
    const DOMAIN: &'static str = "nexus/mpc/threshold/key-share";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 64 + GroupKey::MAX_BYTES;
}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyShare({}, epoch {})", self.member, self.public.epoch)
    }
}

impl KeyShare {
    /// Whose it is.
    pub const fn member(&self) -> MemberId {
        self.member
    }

    /// The key it is a share of.
    pub const fn public(&self) -> &GroupKey {
        &self.public
    }

    /// Whether `x_j` G is the public `X_j`: false after a disk fault.
    pub fn is_consistent(&self) -> bool {
        self.public.share(self.member) == Some(&Point::base(&self.secret.0))
    }

    /// The member's word that this is the key it holds a share of. An honest member signs one
    /// key for a session.
    ///
    /// # Errors
    /// [`CodecError`] if the key is too large to be encoded.
    pub fn confirm(&self, identity: &Identity) -> Result<Confirmation, CodecError> {
        let key = self.public.signed_digest()?;
        let signature = identity.sign(Confirmation::DOMAIN, &key.0);
        Ok(Confirmation { member: self.member, key, signature })
    }

    /// Wipes the share once `certificate` shows that its successor is held by the next
    /// committee: nothing is left but a share of 0.
    ///
    /// # Errors
    /// [`CertificateError`], and the share stays, if it is not the certificate of a successor.
    pub fn retire(
        &mut self,
        next: &Committee,
        certificate: &Certificate,
    ) -> Result<(), CertificateError> {
        let key = certificate.verify(next)?;
        if key.key != self.public.key || key.epoch <= self.public.epoch {
            return Err(CertificateError::OtherKey);
        }
        self.secret.zeroize();
        Ok(())
    }
}

/// A member's signature on a [`GroupKey`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Confirmation {
    /// Who signed.
    pub member: MemberId,
    /// Digest of the key.
    pub key: Digest,
    /// The signature.
    pub signature: Signature,
}

impl Canonical for Confirmation {
    const DOMAIN: &'static str = "nexus/mpc/threshold/confirmation";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 128;
}

/// Why a key is not certified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The key cannot be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The key belongs to another committee, or has not one share per member and its threshold.
    #[error("the key is not one of this committee")]
    OtherCommittee,
    /// A confirmation is on another key, or the key is not the successor of the share's.
    #[error("the key is another one")]
    OtherKey,
    /// A signature is not one of the member on the key.
    #[error("the signature of {member} on the key is not valid")]
    Signature {
        /// Whose.
        member: MemberId,
    },
    /// Fewer members than a quorum have signed.
    #[error("{got} members signed the key, it takes {need}")]
    TooFew {
        /// How many signed.
        got: usize,
        /// How many are needed.
        need: u16,
    },
}

/// A key with the signatures of a quorum. Two quorums have an honest member in common, who signs
/// once: there is one key per session, and so one set of dealers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    key: GroupKey,
    signatures: BTreeMap<MemberId, Signature>,
}

impl Canonical for Certificate {
    const DOMAIN: &'static str = "nexus/mpc/threshold/certificate";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 64 + GroupKey::MAX_BYTES + 66 * MAX_MEMBERS as usize;
}

impl Certificate {
    /// Collects confirmations of `key`. Those that are not valid are left out: a liar must not
    /// stop a quorum.
    ///
    /// # Errors
    /// [`CertificateError`] if too few are left, or the key is not one of the committee.
    pub fn new(
        committee: &Committee,
        key: GroupKey,
        confirmations: &[Confirmation],
    ) -> Result<Self, CertificateError> {
        let digest = key.signed_digest()?;
        let signatures = confirmations
            .iter()
            .filter(|vote| vote.key == digest)
            .filter(|vote| signed(committee, vote.member, digest, &vote.signature).is_ok())
            .map(|vote| (vote.member, vote.signature))
            .collect();
        let certificate = Self { key, signatures };
        certificate.verify(committee)?;
        Ok(certificate)
    }

    /// The key, if a quorum of `committee` signed it.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify(&self, committee: &Committee) -> Result<&GroupKey, CertificateError> {
        let key = &self.key;
        let fits = key.committee == committee.digest()
            && key.shares.len() == usize::from(committee.size())
            && key.threshold == committee.threshold();
        if !fits {
            return Err(CertificateError::OtherCommittee);
        }
        let digest = key.signed_digest()?;
        for (&member, signature) in &self.signatures {
            signed(committee, member, digest, signature)?;
        }
        let (got, need) = (self.signatures.len(), committee.quorum());
        if got < usize::from(need) {
            return Err(CertificateError::TooFew { got, need });
        }
        Ok(key)
    }
}

fn signed(
    committee: &Committee,
    member: MemberId,
    key: Digest,
    signature: &Signature,
) -> Result<(), CertificateError> {
    let error = CertificateError::Signature { member };
    let seat = committee.seat(member).ok_or_else(|| error.clone())?;
    seat.identity.verify(Confirmation::DOMAIN, &key.0, signature).map_err(|_| error)
}
