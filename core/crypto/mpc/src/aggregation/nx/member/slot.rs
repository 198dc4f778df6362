//! One slot of a member: its key, then rows, then one vote, then one answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_field::Fp;
use nexus_types::{Digest, MemberId, OwnerId, borsh};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::MemberEffect;
use crate::aggregation::nx::challenge;
use crate::aggregation::nx::checks::{self, encoded, forbidden};
use crate::aggregation::nx::message::{
    Certificate, Delivery, Entry, Proposal, SumShares, Verdict, Vote, packet_context, packet_digest,
};
use crate::aggregation::nx::opening::KEY_ELEMENTS;
use crate::aggregation::nx::terms::Setup;
use crate::aggregation::{Refusal, SumError};
use crate::identity::{Identity, Signature};
use crate::seal::{PacketKey, PacketSecret};
use crate::sharing::{MemberRow, verify};
use crate::twin::{Check, enforced};

/// A member at work on a sum.
pub(super) struct Desk<'a> {
    pub(super) setup: &'a Setup,
    pub(super) id: MemberId,
    pub(super) identity: &'a Identity,
}

#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub(super) struct Slot {
    /// The sum that was opened in it.
    manifest: Option<Digest>,
    stage: Stage,
}

/// A share of a key, or of a sum of keys. Wiped when dropped.
#[derive(Clone, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
struct Row(Vec<Fp>);

#[derive(Clone, BorshSerialize, BorshDeserialize)]
enum Stage {
    /// Packets can be opened.
    Gathering { secret: PacketSecret, packets: BTreeMap<OwnerId, Checked> },
    /// The member has voted; it can answer for this proposal and no other.
    Voted { proposal: Digest, vote: Vec<u8>, sums: Vec<Row> },
    /// The member has answered. Nothing secret is left.
    Answered { vote: Option<(Digest, Vec<u8>)>, proposal: Digest, answer: Vec<u8> },
    /// The member sits the slot out.
    Closed,
}

/// What a member found in an owner's packet.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
struct Checked {
    header: Digest,
    verdict: Vec<u8>,
    /// Nothing if the packet was bad.
    row: Option<Row>,
}

impl Slot {
    pub(super) const fn new(secret: PacketSecret) -> Self {
        let stage = Stage::Gathering { secret, packets: BTreeMap::new() };
        Self { manifest: None, stage }
    }

    pub(super) fn packet_key(&self) -> Option<PacketKey> {
        match &self.stage {
            Stage::Gathering { secret, .. } => Some(secret.public()),
            Stage::Voted { .. } | Stage::Answered { .. } | Stage::Closed => None,
        }
    }

    /// Binds the slot to the first sum that is opened in it.
    pub(super) fn open(&mut self, manifest: Digest) -> Result<(), SumError> {
        let other = self.manifest.is_some_and(|known| known != manifest);
        if other || matches!(self.stage, Stage::Closed) {
            return Err(SumError::OutOfTurn);
        }
        self.manifest = Some(manifest);
        Ok(())
    }

    pub(super) fn close(&mut self) {
        self.stage = Stage::Closed;
    }

    /// Whether it has voted for `proposal`.
    pub(super) fn remembers(&self, vote: Digest) -> bool {
        match &self.stage {
            Stage::Voted { proposal, .. } | Stage::Answered { vote: Some((proposal, _)), .. } => {
                *proposal == vote
            }
            // It sits out whatever it may have forgotten.
            Stage::Closed => true,
            Stage::Gathering { .. } | Stage::Answered { vote: None, .. } => false,
        }
    }

    /// Checks a packet, and keeps the row in it.
    pub(super) fn deliver(
        &mut self,
        desk: &Desk<'_>,
        delivery: &Delivery,
    ) -> Result<Vec<MemberEffect>, Refusal> {
        let digest = desk.check_header(delivery)?;
        let Stage::Gathering { secret, packets } = &mut self.stage else {
            return Err(Refusal::OutOfTurn);
        };
        let owner = delivery.header.owner;
        if let Some(known) = packets.get(&owner) {
            let same = known.header == digest;
            return if same { Ok(vec![send(&known.verdict)]) } else { Err(Refusal::Contradiction) };
        }
        let row = desk.open_packet(secret, delivery);
        let verdict = desk.verdict(owner, digest, row.is_none())?;
        let effects = vec![send(&verdict)];
        packets.insert(owner, Checked { header: digest, verdict, row });
        Ok(effects)
    }

    /// Votes for a proposal, once: key and rows give way to the sums they are needed for.
    pub(super) fn vote(
        &mut self,
        desk: &Desk<'_>,
        proposal: &Proposal,
    ) -> Result<Vec<MemberEffect>, Refusal> {
        let digest = checks::proposal(desk.setup, proposal)?;
        match &self.stage {
            Stage::Gathering { packets, .. } => {
                let sums = desk.sums(proposal, digest, packets)?;
                let vote = encoded(&Vote::sign(desk.identity, proposal, digest, desk.id))?;
                let effects = vec![MemberEffect::Persist, send(&vote)];
                self.stage = Stage::Voted { proposal: digest, vote, sums };
                Ok(effects)
            }
            Stage::Voted { proposal, vote, .. }
            | Stage::Answered { vote: Some((proposal, vote)), .. } => {
                if *proposal == digest {
                    Ok(vec![send(vote)])
                } else {
                    Err(Refusal::Contradiction)
                }
            }
            Stage::Answered { vote: None, .. } | Stage::Closed => Err(Refusal::OutOfTurn),
        }
    }

    /// Answers a certificate, once.
    pub(super) fn answer(
        &mut self,
        desk: &Desk<'_>,
        certificate: &Certificate,
    ) -> Result<Vec<MemberEffect>, Refusal> {
        let digest = checks::certificate(desk.setup, certificate)?;
        let (vote, sums) = match &mut self.stage {
            Stage::Gathering { packets, .. } => {
                (None, desk.sums(&certificate.proposal, digest, packets)?)
            }
            Stage::Voted { proposal, vote, sums } if *proposal == digest => {
                (Some((digest, vote.clone())), sums.clone())
            }
            Stage::Answered { proposal, answer, .. } if *proposal == digest => {
                return Ok(vec![send(answer)]);
            }
            Stage::Voted { .. } | Stage::Answered { .. } => return Err(Refusal::Contradiction),
            Stage::Closed => return Err(Refusal::OutOfTurn),
        };
        let answer = encoded(&desk.shares(digest, &sums))?;
        let effects = vec![MemberEffect::Persist, send(&answer)];
        self.stage = Stage::Answered { vote, proposal: digest, answer };
        Ok(effects)
    }
}

impl Desk<'_> {
    /// The digest of a header that its owner signed and that has the right shape, with the packet
    /// that it names. Anything else is the coordinator's fault, and no complaint.
    fn check_header(&self, delivery: &Delivery) -> Result<Digest, Refusal> {
        let Delivery { header, signature, packet } = delivery;
        let digest = checks::header(self.setup, header, signature)?;
        if header.packets.get(self.id.index()) != Some(&packet_digest(packet)) {
            return Err(forbidden("a packet is the one that its header names"));
        }
        Ok(digest)
    }

    /// The row in the packet, if it opens and fits the owner's check polynomial.
    fn open_packet(&self, secret: &PacketSecret, delivery: &Delivery) -> Option<Row> {
        let header = &delivery.header;
        let context = packet_context(&header.manifest, header.owner, self.id, &header.masked);
        let plain = secret.open(&context, &delivery.packet).ok()?;
        let row = MemberRow::<Fp>::try_from_slice(&plain).ok()?;
        let layout = &self.setup.layout;
        let right_length = row.elements.len() == layout.elements(KEY_ELEMENTS);
        let r = challenge::packets(header);
        let fits = || !enforced(Check::Row) || verify(layout, self.id, &row, r, &header.check);
        (right_length && fits()).then(|| Row(row.elements.clone()))
    }

    fn verdict(&self, owner: OwnerId, header: Digest, bad: bool) -> Result<Vec<u8>, Refusal> {
        let manifest = self.setup.manifest();
        let mut verdict = Verdict { manifest, member: self.id, owner, header, complaint: None };
        if bad {
            verdict.complain(self.identity);
        }
        encoded(&verdict)
    }

    /// For each leaf, the sum of the checked rows of its owners.
    fn sums(
        &self,
        proposal: &Proposal,
        digest: Digest,
        packets: &BTreeMap<OwnerId, Checked>,
    ) -> Result<Vec<Row>, Refusal> {
        let row = |entry: &Entry| {
            let checked = packets.get(&entry.owner).filter(|known| known.header == entry.header);
            checked.and_then(|known| known.row.as_ref())
        };
        if proposal.entries.iter().any(|entry| row(entry).is_none()) {
            return Err(forbidden("every survivor's packet has passed the check of this member"));
        }
        let elements = self.setup.layout.elements(KEY_ELEMENTS);
        let leaves = self.setup.leaves(&digest, &proposal.entries);
        let sum = |leaf: &Vec<Entry>| {
            let mut sum = Row(vec![Fp::ZERO; elements]);
            for row in leaf.iter().filter_map(row) {
                sum.0.iter_mut().zip(&row.0).for_each(|(sum, element)| *sum += *element);
            }
            sum
        };
        Ok(leaves.iter().map(sum).collect())
    }

    fn shares(&self, proposal: Digest, sums: &[Row]) -> SumShares {
        let shares = SumShares {
            manifest: self.setup.manifest(),
            slot: self.setup.terms.slot,
            member: self.id,
            proposal,
            rows: sums.iter().map(|sum| sum.0.clone()).collect(),
            signature: Signature([0; 64]),
        };
        shares.sign(self.identity)
    }
}

fn send(bytes: &[u8]) -> MemberEffect {
    MemberEffect::Send(Arc::from(bytes))
}

#[cfg(test)]
impl Slot {
    pub(super) fn leak(&self) -> Option<PacketSecret> {
        match &self.stage {
            Stage::Gathering { secret, .. } => Some(secret.clone()),
            Stage::Voted { .. } | Stage::Answered { .. } | Stage::Closed => None,
        }
    }

    pub(super) fn careless(&self, desk: &Desk<'_>, proposal: &Proposal) -> Vec<Fp> {
        let Stage::Gathering { packets, .. } = &self.stage else { return Vec::new() };
        let sums = desk.sums(proposal, Digest([0; 32]), packets).unwrap();
        sums[0].0.clone()
    }
}
