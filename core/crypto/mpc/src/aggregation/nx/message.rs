//! The messages. Each is [`Canonical`] with a domain of its own; what is signed is always a
//! digest that names manifest and sender.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_field::{Cubic, Fp};
use nexus_types::limits::{MAX_MESSAGE_BYTES, MAX_OWNERS};
use nexus_types::{Canonical, CodecError, Digest, MemberId, OwnerId, borsh};

use super::audit::Audited;
use super::masked::{Checked, Masked};
use super::terms::Terms;
use crate::identity::{Identity, PublicKey, Signature, SignatureError};
use crate::seal::{PacketKey, Sealed};
use crate::sharing::CheckPolynomial;
use crate::twin::{Check, enforced};

/// Bytes of a header, a packet and their signature, for the largest committee.
const SMALL: usize = 1 << 15;
/// Bytes of a list of all owners with a digest each.
const LIST: usize = 36 * MAX_OWNERS as usize;

/// What an owner signs: the digests of everything it sends, and the check of its packets.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// The round manifest.
    pub manifest: Digest,
    /// The sender.
    pub owner: OwnerId,
    /// [`Masked::digest`] of the masked vector.
    pub masked: Digest,
    /// Digest of each member's sealed packet, by number.
    pub packets: Vec<Digest>,
    /// Commitment of a proof about the update; part of the check's challenge.
    pub commitment: Option<Digest>,
    /// The polynomial on which every member's row must lie.
    pub check: CheckPolynomial,
}

/// An owner's only message.
#[derive(Clone, Debug, PartialEq, BorshSerialize)]
pub struct Contribution {
    /// The signed part.
    pub header: Header,
    /// Signature over the header's digest.
    pub signature: Signature,
    /// A packet for each member, by number.
    pub packets: Vec<Sealed>,
    /// The masked vector.
    pub masked: Masked,
}

/// An owner's packet on its way to a member.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Delivery {
    /// The owner's header.
    pub header: Header,
    /// Signature over the header's digest.
    pub signature: Signature,
    /// The member's packet.
    pub packet: Sealed,
}

/// What a member found in a packet.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Verdict {
    /// The round manifest.
    pub manifest: Digest,
    /// The sender.
    pub member: MemberId,
    /// Whose packet.
    pub owner: OwnerId,
    /// Digest of the header it came with.
    pub header: Digest,
    /// Nothing, or a signed complaint: the packet does not open, or fails its check.
    pub complaint: Option<Signature>,
}

/// An owner in a set of survivors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Entry {
    /// Who.
    pub owner: OwnerId,
    /// Digest of its header, and so of its whole message.
    pub header: Digest,
}

/// The survivors that the coordinator proposes, in strictly rising order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    /// The round manifest.
    pub manifest: Digest,
    /// The slot of the sum.
    pub slot: u32,
    /// The survivors.
    pub entries: Vec<Entry>,
}

/// A member's vote for a proposal: its only one in this slot.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// The round manifest.
    pub manifest: Digest,
    /// The slot of the sum.
    pub slot: u32,
    /// The sender.
    pub member: MemberId,
    /// Digest of the proposal.
    pub proposal: Digest,
    /// The member's signature over all of this.
    pub signature: Signature,
}

/// A proposal with the votes of a quorum.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// What was voted for.
    pub proposal: Proposal,
    /// Who voted, in strictly rising order, and the signatures of the votes.
    pub votes: Vec<(MemberId, Signature)>,
}

/// A member's only answer in a slot: its shares of the certified sum of keys.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct SumShares {
    /// The round manifest.
    pub manifest: Digest,
    /// The slot of the sum.
    pub slot: u32,
    /// The sender.
    pub member: MemberId,
    /// Digest of the certified proposal.
    pub proposal: Digest,
    /// For each leaf, the sum of the rows of its owners.
    pub rows: Vec<Vec<Fp>>,
    /// The member's signature over all of this.
    pub signature: Signature,
}

/// Tells an owner what became of its message, for it to check.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Opening {
    /// The set that was opened.
    pub certificate: Certificate,
    /// Digest of the summed masked vectors, one per leaf.
    pub sums: Digest,
    /// The root over all fingerprints in the transcript; see [`Opening::agrees`].
    pub root: Digest,
    /// The fingerprint of the owner's masked vector that is part of the transcript.
    pub fingerprint: Cubic,
    /// The way from it to the root: what is beside it at each level.
    pub path: Vec<Digest>,
}

/// A vote shown to the member that signed it: a member that does not remember it has lost state.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Reminder {
    /// The vote.
    pub vote: Vote,
}

/// A member's packet keys for the coming slots.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PacketKeyStatement {
    /// The job.
    pub job: Digest,
    /// The member.
    pub member: MemberId,
    /// The slot of the first key.
    pub first_slot: u32,
    /// One key per slot.
    pub keys: Vec<PacketKey>,
    /// The member's signature over all of this.
    pub signature: Signature,
}

/// Everything an auditor needs to repeat the opening of a sum.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Transcript {
    /// The round manifest. Whether terms and keys below are those it binds is for the caller to
    /// see: the manifest's layout is not this crate's.
    pub manifest: Digest,
    /// Fewest owners in a sum.
    pub n_min: u32,
    /// Integers per owner.
    pub values: u32,
    /// The engine's terms.
    pub terms: Terms,
    /// The owners asked.
    pub owners: Vec<(OwnerId, PublicKey)>,
    /// The survivors' headers with their signatures, in order.
    pub headers: Vec<(Header, Signature)>,
    /// Who voted for them.
    pub votes: Vec<(MemberId, Signature)>,
    /// The members' answers.
    pub answers: Vec<SumShares>,
    /// The summed masked vectors, one per leaf.
    pub sums: Vec<Masked>,
    /// The fingerprints of the survivors' masked vectors, in order, if messages were kept.
    pub fingerprints: Option<Vec<Cubic>>,
    /// Signed complaints, also those that were not followed.
    pub complaints: Vec<Verdict>,
}

impl BorshDeserialize for Contribution {
    /// Field by field from the slice: [`Masked`] reads faster from one.
    fn deserialize(bytes: &mut &[u8]) -> io::Result<Self> {
        Ok(Self {
            header: Header::deserialize(bytes)?,
            signature: Signature::deserialize(bytes)?,
            packets: Vec::deserialize(bytes)?,
            masked: Masked::deserialize(bytes)?,
        })
    }

    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        Ok(Self {
            header: Header::deserialize_reader(reader)?,
            signature: Signature::deserialize_reader(reader)?,
            packets: Vec::deserialize_reader(reader)?,
            masked: Masked::deserialize_reader(reader)?,
        })
    }
}

impl Contribution {
    /// Everything but the masked vector, which is checked and stays where it is: at the end of
    /// `message`.
    pub(super) fn parts(message: &[u8]) -> Result<Parts, CodecError> {
        let mut payload = Self::payload(message)?;
        Parts::read(&mut payload).map_err(|error| {
            let problem = error.to_string();
            CodecError::Malformed { domain: Self::DOMAIN, problem }
        })
    }
}

/// A contribution without the words of its vector.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) header: Header,
    pub(super) signature: Signature,
    pub(super) packets: Vec<Sealed>,
    pub(super) masked: Checked,
}

impl Parts {
    fn read(payload: &mut &[u8]) -> io::Result<Self> {
        Ok(Self {
            header: Header::deserialize(payload)?,
            signature: Signature::deserialize(payload)?,
            packets: Vec::deserialize(payload)?,
            masked: Checked::read(payload)?,
        })
    }
}

macro_rules! canonical {
    ($($type:ty, $domain:literal, $most:expr;)*) => {$(
        impl Canonical for $type {
            const DOMAIN: &'static str = concat!("nexus/mpc/nx/", $domain);
            const VERSION: u8 = 1;
            const MAX_BYTES: usize = $most;
        }
    )*};
}

canonical! {
    Header, "header", SMALL;
    Contribution, "contribution", MAX_MESSAGE_BYTES;
    Delivery, "delivery", 2 * SMALL;
    Verdict, "verdict", 256;
    Proposal, "proposal", LIST + SMALL;
    Vote, "vote", 256;
    Certificate, "certificate", LIST + 2 * SMALL;
    SumShares, "sum shares", 2 * LIST;
    Opening, "opening", LIST + 3 * SMALL;
    Reminder, "reminder", 512;
    PacketKeyStatement, "packet keys", 1 << 19;
    Transcript, "transcript", MAX_MESSAGE_BYTES;
}

const HEADER_SIGNATURE: &str = "nexus/mpc/nx/header signature v1";
const COMPLAINT_SIGNATURE: &str = "nexus/mpc/nx/complaint signature v1";
const VOTE_SIGNATURE: &str = "nexus/mpc/nx/vote signature v1";
const ANSWER_SIGNATURE: &str = "nexus/mpc/nx/sum shares signature v1";
const KEYS_SIGNATURE: &str = "nexus/mpc/nx/packet keys signature v1";

/// borsh of a tuple of plain values, which cannot fail on a vector.
fn bytes_of(value: &impl BorshSerialize) -> Vec<u8> {
    borsh::to_vec(value).unwrap_or_default()
}

impl Header {
    pub(super) fn sign(&self, identity: &Identity) -> Result<Signature, CodecError> {
        Ok(identity.sign(HEADER_SIGNATURE, &self.digest()?.0))
    }

    /// Checks the owner's signature over `digest`, that of this header.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(
        digest: &Digest,
        key: &PublicKey,
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        key.verify(HEADER_SIGNATURE, &digest.0, signature)
    }
}

/// What a packet is bound to besides its key.
pub(super) fn packet_context(
    manifest: &Digest,
    owner: OwnerId,
    member: MemberId,
    masked: &Digest,
) -> Vec<u8> {
    if !enforced(Check::PacketContext) {
        return Vec::new();
    }
    bytes_of(&(manifest, owner, member, masked))
}

/// Digest of a sealed packet.
pub(super) fn packet_digest(packet: &Sealed) -> Digest {
    Digest::of("nexus/mpc/nx/packet digest v1", &packet.0)
}

impl Verdict {
    fn statement(&self) -> Vec<u8> {
        bytes_of(&(self.manifest, self.member, self.owner, self.header))
    }

    pub(super) fn complain(&mut self, identity: &Identity) {
        self.complaint = Some(identity.sign(COMPLAINT_SIGNATURE, &self.statement()));
    }

    /// Checks the signature of a complaint; a verdict without one is not signed.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), SignatureError> {
        let Some(signature) = &self.complaint else { return Ok(()) };
        key.verify(COMPLAINT_SIGNATURE, &self.statement(), signature)
    }
}

impl Opening {
    /// Whether `audited` is about the list of fingerprints that the owner was shown. An owner
    /// that accepted this opening has seen its true entry in that list. If not, the coordinator
    /// has shown it one list and published another.
    pub fn agrees(&self, audited: &Audited) -> bool {
        audited.root == Some(self.root)
    }
}

impl Vote {
    fn statement(&self) -> Vec<u8> {
        bytes_of(&(self.manifest, self.slot, self.member, self.proposal))
    }

    pub(super) fn sign(
        identity: &Identity,
        proposal: &Proposal,
        digest: Digest,
        member: MemberId,
    ) -> Self {
        let (manifest, slot, signature) = (proposal.manifest, proposal.slot, Signature([0; 64]));
        let mut vote = Self { manifest, slot, member, proposal: digest, signature };
        vote.signature = identity.sign(VOTE_SIGNATURE, &vote.statement());
        vote
    }

    /// Checks the member's signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), SignatureError> {
        key.verify(VOTE_SIGNATURE, &self.statement(), &self.signature)
    }
}

impl SumShares {
    fn statement(&self) -> Vec<u8> {
        bytes_of(&(self.manifest, self.slot, self.member, self.proposal, &self.rows))
    }

    pub(super) fn sign(mut self, identity: &Identity) -> Self {
        self.signature = identity.sign(ANSWER_SIGNATURE, &self.statement());
        self
    }

    /// Checks the member's signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), SignatureError> {
        key.verify(ANSWER_SIGNATURE, &self.statement(), &self.signature)
    }
}

impl PacketKeyStatement {
    fn statement(&self) -> Vec<u8> {
        bytes_of(&(self.job, self.member, self.first_slot, &self.keys))
    }

    pub(super) fn sign(mut self, identity: &Identity) -> Self {
        self.signature = identity.sign(KEYS_SIGNATURE, &self.statement());
        self
    }

    /// Checks the member's signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), SignatureError> {
        key.verify(KEYS_SIGNATURE, &self.statement(), &self.signature)
    }

    /// The key for `slot`, if it is among them.
    pub fn key(&self, slot: u32) -> Option<&PacketKey> {
        self.keys.get(slot.checked_sub(self.first_slot)? as usize)
    }
}
