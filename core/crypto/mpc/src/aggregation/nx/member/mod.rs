//! A member of the committee: it checks packets, votes once and answers once per slot.
//!
//! ```text
//! publish ──► key ──open──► packets ──proposal──► vote ──certificate──► answer
//!                              │                   key and rows are erased, their sum is kept
//!                              └──────certificate──────────────────────► answer
//! ```
//! What it must never do twice it writes down first: [`MemberEffect::Persist`] comes before the
//! [`MemberEffect::Send`] that it protects. Checked packets alone are no such thing: a member that
//! dies before its vote has lost those that no snapshot held, cannot vote, and is missed as a
//! silent one. Who wants to survive that takes a [`Member::snapshot`] now and then.

mod slot;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, CryptoRng, Digest, MemberId, borsh, peek_tag, tag_of};
use slot::{Desk, Slot};

use super::checks::decoded;
use super::message::{Certificate, Delivery, PacketKeyStatement, Proposal, Reminder, Vote};
use super::owner::{read_snapshot, too_large};
use super::params::setting;
use super::terms::{Setup, Terms};
use crate::aggregation::{Peer, Refusal, Session, SumError};
use crate::identity::{Identity, Signature};
use crate::seal::{PacketKey, PacketSecret};

/// Most packet keys in one statement.
pub const MAX_KEYS: u32 = 256;

/// What a member wants done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEffect {
    /// Make [`Member::snapshot`] durable, in place of the one before, before going on.
    Persist,
    /// Send this to the coordinator.
    Send(Arc<[u8]>),
}

/// Where a snapshot comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is the last one that [`MemberEffect::Persist`] asked for.
    Continued,
    /// It may be older: what was promised since is forgotten, so nothing is answered for any slot
    /// whose key had been published.
    FromBackup,
}

/// A member of the committee of a job.
#[derive(Clone)]
pub struct Member {
    id: MemberId,
    identity: Arc<Identity>,
    state: State,
    /// The sums that are open, by slot. They are opened again after a restart.
    open: BTreeMap<u32, Setup>,
}

#[derive(Clone, BorshSerialize, BorshDeserialize)]
struct State {
    id: MemberId,
    job: Digest,
    /// The first slot for which no key has been published.
    unpublished: u32,
    slots: BTreeMap<u32, Slot>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.state.slots.len();
        f.debug_struct("Member")
            .field("id", &self.id)
            .field("slots", &slots)
            .finish_non_exhaustive()
    }
}

impl Member {
    /// Member `id` of the committee of `job`.
    pub fn new(job: Digest, id: MemberId, identity: Arc<Identity>) -> Self {
        let state = State { id, job, unpublished: 0, slots: BTreeMap::new() };
        Self { id, identity, state, open: BTreeMap::new() }
    }

    /// The member as [`Member::snapshot`] left it. Its sums must be opened again.
    ///
    /// # Errors
    /// [`SumError::Snapshot`].
    pub fn restore(
        id: MemberId,
        identity: Arc<Identity>,
        snapshot: &[u8],
        restored: Restored,
    ) -> Result<Self, SumError> {
        let state: State = read_snapshot(snapshot)?;
        if state.id != id {
            return Err(SumError::Snapshot { problem: format!("it is of {}", state.id) });
        }
        let mut member = Self { id, identity, state, open: BTreeMap::new() };
        if restored == Restored::FromBackup {
            member.sit_out();
        }
        Ok(member)
    }

    /// Everything the member knows, secrets included.
    pub fn snapshot(&self) -> Vec<u8> {
        borsh::to_vec(&self.state).unwrap_or_default()
    }

    /// Makes keys for `count` slots from `first_slot` on and states their public parts. They are
    /// drawn from `rng` and from nothing else: once erased, they are gone.
    ///
    /// # Errors
    /// [`SumError::Setting`] for a slot that has had a key, or more than [`MAX_KEYS`].
    pub fn publish(
        &mut self,
        rng: &mut dyn CryptoRng,
        first_slot: u32,
        count: u32,
    ) -> Result<Vec<MemberEffect>, SumError> {
        let (first, most) = (u64::from(first_slot), u64::from(u32::MAX));
        if first_slot < self.state.unpublished {
            return Err(setting("first slot", first, self.state.unpublished.into(), most));
        }
        let end = first_slot.checked_add(count).filter(|_| (1..=MAX_KEYS).contains(&count));
        let end = end.ok_or_else(|| setting("packet keys", count.into(), 1, MAX_KEYS.into()))?;
        let secrets: Vec<_> = (0..count).map(|_| PacketSecret::generate(rng)).collect();
        let statement = PacketKeyStatement {
            job: self.state.job,
            member: self.id,
            first_slot,
            keys: secrets.iter().map(PacketSecret::public).collect(),
            signature: Signature([0; 64]),
        };
        let statement = statement.sign(&self.identity).encode().map_err(too_large)?;
        self.state.slots.extend((first_slot..end).zip(secrets.into_iter().map(Slot::new)));
        self.state.unpublished = end;
        Ok(vec![MemberEffect::Persist, MemberEffect::Send(statement.into())])
    }

    /// The key to which packets for `slot` are sealed, until it is erased.
    pub fn packet_key(&self, slot: u32) -> Option<PacketKey> {
        self.state.slots.get(&slot)?.packet_key()
    }

    /// Whether anything of `slot` is kept that [`Member::expire`] would erase.
    pub fn holds(&self, slot: u32) -> bool {
        self.state.slots.contains_key(&slot)
    }

    /// The first slot for which no key has been published.
    pub const fn first_unpublished(&self) -> u32 {
        self.state.unpublished
    }

    /// Takes part in a sum in the slot that its terms name.
    ///
    /// # Errors
    /// [`SumError::OutOfTurn`] if the slot has no key, is over, or belongs to another sum;
    /// [`SumError::Key`] if the terms have other keys of this member; or as for the other
    /// parties.
    pub fn open(&mut self, session: Session, terms: Arc<Terms>) -> Result<(), SumError> {
        let setup = Setup::new(session, terms)?;
        let slot = self.state.slots.get_mut(&setup.terms.slot).ok_or(SumError::OutOfTurn)?;
        let keys = setup.terms.members.get(self.id.index());
        let mine = keys.filter(|keys| keys.identity == self.identity.public());
        let fits =
            |packet: &PacketKey| mine.is_some_and(|keys| keys.packet.as_ref() == Some(packet));
        // The key is gone once the member has voted; the sum was checked against it before.
        if mine.is_none() || slot.packet_key().is_some_and(|packet| !fits(&packet)) {
            return Err(SumError::Key { peer: Peer::Member(self.id) });
        }
        slot.open(setup.manifest())?;
        self.open.insert(setup.terms.slot, setup);
        Ok(())
    }

    /// Ends every slot up to and including `slot`: keys, rows and answers are erased.
    pub fn expire(&mut self, slot: u32) -> Vec<MemberEffect> {
        let beyond = slot.saturating_add(1);
        self.state.unpublished = self.state.unpublished.max(beyond);
        self.state.slots = self.state.slots.split_off(&beyond);
        self.open = self.open.split_off(&beyond);
        vec![MemberEffect::Persist]
    }

    /// Takes in a message of the coordinator.
    ///
    /// # Errors
    /// [`Refusal`] names what the coordinator did wrong; nothing has changed.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Vec<MemberEffect>, Refusal> {
        match peek_tag(bytes) {
            Some(tag) if tag == tag_of(Delivery::DOMAIN) => {
                let delivery: Delivery = decoded(bytes)?;
                let (desk, slot) = self.find(&delivery.header.manifest)?;
                slot.deliver(&desk, &delivery)
            }
            Some(tag) if tag == tag_of(Proposal::DOMAIN) => {
                let proposal: Proposal = decoded(bytes)?;
                let (desk, slot) = self.find(&proposal.manifest)?;
                slot.vote(&desk, &proposal)
            }
            Some(tag) if tag == tag_of(Certificate::DOMAIN) => {
                let certificate: Certificate = decoded(bytes)?;
                let (desk, slot) = self.find(&certificate.proposal.manifest)?;
                slot.answer(&desk, &certificate)
            }
            _ => self.remember(&decoded::<Reminder>(bytes)?.vote),
        }
    }

    fn find(&mut self, manifest: &Digest) -> Result<(Desk<'_>, &mut Slot), Refusal> {
        let found = self.open.iter().find(|(_, setup)| setup.manifest() == *manifest);
        let (number, setup) = found.ok_or(Refusal::OtherRound)?;
        let slot = self.state.slots.get_mut(number).ok_or(Refusal::OtherRound)?;
        Ok((Desk { setup, id: self.id, identity: &self.identity }, slot))
    }

    /// A vote with this member's signature that it does not know of: it has lost state, and
    /// cannot know what else.
    fn remember(&mut self, vote: &Vote) -> Result<Vec<MemberEffect>, Refusal> {
        vote.verify(&self.identity.public()).map_err(|_| Refusal::Signature)?;
        if vote.member != self.id {
            return Err(Refusal::OtherSender { name: Peer::Member(vote.member) });
        }
        let expired = |slots: &BTreeMap<u32, Slot>| {
            vote.slot < self.state.unpublished && !slots.contains_key(&vote.slot)
        };
        let slot = self.state.slots.get(&vote.slot);
        let known = slot.is_some_and(|slot| slot.remembers(vote.proposal));
        if known || expired(&self.state.slots) {
            return Ok(Vec::new());
        }
        self.sit_out();
        Ok(vec![MemberEffect::Persist])
    }

    fn sit_out(&mut self) {
        self.state.slots.values_mut().for_each(Slot::close);
        self.open.clear();
    }
}

#[cfg(test)]
impl Member {
    /// Everything that opens packets or sums, as a thief of its whole state has it.
    pub(super) fn leak(&self) -> Vec<PacketSecret> {
        self.state.slots.values().filter_map(Slot::leak).collect()
    }

    /// The weakened twin: answers for any set, as often as it is asked.
    pub(super) fn careless(&self, proposal: &Proposal) -> Vec<nexus_field::Fp> {
        let setup = &self.open[&proposal.slot];
        let desk = Desk { setup, id: self.id, identity: &self.identity };
        self.state.slots[&proposal.slot].careless(&desk, proposal)
    }
}
