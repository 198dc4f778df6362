//! The first phase: contributions come in, members check their packets.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, Digest, MemberId, OwnerId, borsh};

use crate::aggregation::nx::checks::{self, forbidden, length};
use crate::aggregation::nx::masked::{Held, Masked};
use crate::aggregation::nx::message::{
    Contribution, Delivery, Entry, Header, Parts, Verdict, packet_digest,
};
use crate::aggregation::nx::terms::Setup;
use crate::aggregation::{Outgoing, Peer, Refusal};
use crate::identity::Signature;
use crate::seal::Sealed;
use crate::twin::{Check, enforced};

/// A member may complain about so many owners, or be silent about them, before it is set aside:
/// two, or 5 % of the candidates.
const ALLOWED: usize = 2;
const ALLOWED_SHARE: usize = 20;

/// Most vectors, and most of their bytes, that wait to be added together.
const BATCH: usize = 8;
const BATCH_BYTES: usize = 1 << 25;

/// How many vectors are added together.
fn batch(setup: &Setup) -> usize {
    (BATCH_BYTES / (8 * setup.words()).max(1)).clamp(1, BATCH)
}

/// An owner whose contribution is in.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct Candidate {
    pub(super) header: Header,
    pub(super) signature: Signature,
    pub(super) digest: Digest,
    /// Until every member has given its verdict.
    packets: Vec<Sealed>,
    pub(super) verdicts: BTreeMap<MemberId, Verdict>,
}

/// Everything that the owners sent. Vectors are added up as soon as all members have found their
/// packets good; contested ones wait. A quorum of verdicts would not do: what is in the sum stays
/// there, so a complaint that came later could not put its owner out, and its author, honest but
/// slow, would have to be set aside instead. Owners of bad packets could use up the members that may
/// be missing. So a member that is silent costs memory until the deadline.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct Gathered {
    pub(super) candidates: BTreeMap<OwnerId, Candidate>,
    /// Vectors that are not in the sum: waiting, or kept.
    pub(super) held: BTreeMap<OwnerId, Held>,
    /// Owners whose vectors are good and wait for others: several are added at once.
    ready: BTreeSet<OwnerId>,
    /// The running sum, unless all vectors are kept.
    pub(super) sum: Option<Masked>,
}

/// Whom the members' verdicts leave.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Survivors {
    pub(super) entries: Vec<Entry>,
    pub(super) aside: BTreeSet<MemberId>,
    pub(super) dropped: BTreeMap<OwnerId, Refusal>,
}

impl Gathered {
    pub(super) fn new(setup: &Setup) -> Self {
        let sum = (!setup.terms.keep_messages).then(|| Masked::zero(setup.words()));
        Self { candidates: BTreeMap::new(), held: BTreeMap::new(), ready: BTreeSet::new(), sum }
    }

    /// Takes in an owner's message; its packets go to the members.
    pub(super) fn contribute(
        &mut self,
        setup: &Setup,
        from: OwnerId,
        message: Cow<'_, [u8]>,
    ) -> Result<Vec<Outgoing>, Refusal> {
        let parts = Contribution::parts(&message);
        let parts = parts.map_err(|e| Refusal::Malformed { problem: e.to_string() })?;
        let Parts { header, signature, packets, masked } = parts;
        let owner = header.owner;
        if owner != from {
            return Err(Refusal::OtherSender { name: Peer::Owner(owner) });
        }
        let digest = checks::header(setup, &header, &signature)?;
        let known = self.candidates.get(&owner);
        if let Some(known) = known.filter(|_| enforced(Check::OneMessage)) {
            let same = known.digest == digest;
            return if same { Ok(known.deliveries(setup)) } else { Err(Refusal::Contradiction) };
        }
        length("words", masked.words, setup.words())?;
        length("packets", packets.len(), setup.layout.members().into())?;
        setup.members().zip(&packets).try_for_each(|(member, packet)| {
            length("bytes of a packet", packet.0.len(), setup.packet_bytes(member))
        })?;
        if masked.digest != header.masked
            || !packets.iter().map(packet_digest).eq(header.packets.iter().copied())
        {
            return Err(forbidden("a contribution is the one that its header names"));
        }
        let verdicts = BTreeMap::new();
        let candidate = Candidate { header, signature, digest, packets, verdicts };
        let deliveries = candidate.deliveries(setup);
        self.candidates.insert(owner, candidate);
        self.held.insert(owner, Held::end_of(message, masked.words));
        Ok(deliveries)
    }

    /// Takes in what a member found.
    pub(super) fn verdict(
        &mut self,
        setup: &Setup,
        from: MemberId,
        verdict: Verdict,
    ) -> Result<(), Refusal> {
        checks::verdict(setup, from, &verdict)?;
        let owner = verdict.owner;
        let candidate = self.candidates.get_mut(&owner);
        let candidate = candidate.filter(|known| known.digest == verdict.header);
        let candidate = candidate.ok_or_else(|| forbidden("a verdict is about a contribution"))?;
        if let Some(known) = candidate.verdicts.get(&from) {
            return if *known == verdict { Ok(()) } else { Err(Refusal::Contradiction) };
        }
        candidate.verdicts.insert(from, verdict);
        if candidate.verdicts.len() == setup.keyed().count() {
            candidate.packets = Vec::new();
            if candidate.complaints().next().is_none() {
                self.ready.insert(owner);
                if self.ready.len() >= batch(setup) {
                    self.add_ready();
                }
            }
        }
        Ok(())
    }

    /// Adds the vectors that are ready to the running sum, if there is one.
    fn add_ready(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        if let Some(sum) = &mut self.sum {
            let vectors: Vec<_> = ready.iter().filter_map(|id| self.held.remove(id)).collect();
            sum.add(&vectors.iter().collect::<Vec<_>>());
        }
    }

    /// Members that have not said anything about some candidate.
    pub(super) fn unheard(&self, setup: &Setup) -> BTreeSet<MemberId> {
        let silent = |candidate: &Candidate| {
            setup.keyed().filter(|m| !candidate.verdicts.contains_key(m)).collect::<Vec<_>>()
        };
        self.candidates.values().flat_map(silent).collect()
    }

    /// The packets that are still without a verdict.
    pub(super) fn deliveries(&self, setup: &Setup) -> Vec<Outgoing> {
        self.candidates.values().flat_map(|candidate| candidate.deliveries(setup)).collect()
    }

    /// Ends the phase: members that found too much bad, or said too little, are set aside; owners
    /// survive if all other members found their packets good. Everybody else's vector is
    /// forgotten.
    pub(super) fn close(&mut self, setup: &Setup) -> Survivors {
        let allowed = ALLOWED.max(self.candidates.len() / ALLOWED_SHARE);
        let good = |member: MemberId| {
            let verdicts = self.candidates.values().map(move |c| c.verdicts.get(&member));
            verdicts.flatten().filter(|verdict| verdict.complaint.is_none()).count()
        };
        let heard = |member| self.candidates.values().any(|c| c.verdicts.contains_key(&member));
        let aside =
            |member: &MemberId| self.candidates.len() - good(*member) > allowed || !heard(*member);
        let aside: BTreeSet<_> = setup
            .members()
            .filter(|member| enforced(Check::Complainers) && aside(member))
            .collect();
        let mut survivors = Survivors { aside, ..Survivors::default() };
        for (&owner, candidate) in &self.candidates {
            match candidate.refusal(setup, &survivors.aside) {
                None => survivors.entries.push(Entry { owner, header: candidate.digest }),
                Some(refusal) => {
                    survivors.dropped.insert(owner, refusal);
                }
            }
        }
        for candidate in self.candidates.values_mut() {
            candidate.packets = Vec::new();
        }
        self.ready = survivors.entries.iter().map(|entry| entry.owner).collect();
        self.add_ready();
        self.held.retain(|owner, _| !survivors.dropped.contains_key(owner));
        survivors
    }

    /// All signed complaints.
    pub(super) fn complaints(&self) -> impl Iterator<Item = &Verdict> {
        self.candidates.values().flat_map(Candidate::complaints)
    }
}

impl Candidate {
    fn complaints(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.values().filter(|verdict| verdict.complaint.is_some())
    }

    /// The packets of members that have not given their verdict.
    fn deliveries(&self, setup: &Setup) -> Vec<Outgoing> {
        let waiting = setup.members().zip(&self.packets);
        let waiting = waiting
            .filter(|(member, packet)| !packet.0.is_empty() && !self.verdicts.contains_key(member));
        let delivery = |(member, packet): (MemberId, &Sealed)| {
            let (header, signature) = (self.header.clone(), self.signature);
            let delivery = Delivery { header, signature, packet: packet.clone() };
            // A delivery is a part of a message that was within its limit.
            let message = Arc::from(delivery.encode().ok()?);
            Some(Outgoing { to: Peer::Member(member), message })
        };
        waiting.filter_map(delivery).collect()
    }

    /// Why the owner cannot be in the sum.
    fn refusal(&self, setup: &Setup, aside: &BTreeSet<MemberId>) -> Option<Refusal> {
        let counting = |member: &MemberId| !aside.contains(member);
        let members: Vec<_> =
            self.complaints().map(|verdict| verdict.member).filter(counting).collect();
        if !members.is_empty() {
            return Some(Refusal::Packet { members });
        }
        let unchecked = setup.members().filter(counting).any(|m| !self.verdicts.contains_key(&m));
        unchecked.then(|| forbidden("a contribution comes in time for its packets to be checked"))
    }
}
