//! What the parties of one sum agree on beyond the session: packing, committee, slot.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_field::N;
use nexus_types::{Canonical, Digest, MemberId, OwnerId, borsh};

use super::challenge;
use super::opening::KEY_ELEMENTS;
use super::params::{Packing, setting};
use crate::aggregation::{Peer, Session, SumError};
use crate::identity::PublicKey;
use crate::seal::{OVERHEAD_BYTES, PacketKey};
use crate::sharing::Layout;

/// Most leaves: a member's answer grows with them.
const MAX_LEAVES: u32 = 256;

/// The keys of a member of the committee for one sum.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MemberKeys {
    /// Whose signatures count.
    pub identity: PublicKey,
    /// What packets for this sum are sealed to. A member that gave no key has no part in the
    /// sum: it counts among those that are silent.
    pub packet: Option<PacketKey>,
}

/// The engine's terms of one sum. The round manifest must bind them.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Terms {
    /// The row of the parameter table.
    pub packing: Packing,
    /// The committee, by number: 4, 7, 16, 50 or 100.
    pub members: Vec<MemberKeys>,
    /// The number of this sum among all of the job, attempts included. Every member has one
    /// packet key per slot, and votes and answers once.
    pub slot: u32,
    /// Whether the coordinator keeps the messages until the sum is opened, so that owners and
    /// auditors can check that it is the sum of the messages.
    pub keep_messages: bool,
    /// Into how many parts the survivors are divided, each opened by itself, so that a garbled
    /// part spoils no other; 1 for none, at most 256. More than one needs `keep_messages`.
    pub leaves: u16,
}

impl Canonical for Terms {
    const DOMAIN: &'static str = "nexus/mpc/nx/terms";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 1 << 18;
}

/// A session with terms that fit it.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) session: Session,
    pub(super) terms: Arc<Terms>,
    pub(super) layout: Layout,
}

impl Setup {
    pub(super) fn new(session: Session, terms: Arc<Terms>) -> Result<Self, SumError> {
        let owners = u32::try_from(session.owners.len()).unwrap_or(u32::MAX);
        let most = terms.packing.owners();
        if owners > most {
            return Err(setting("owners", owners.into(), 1, most.into()));
        }
        // One owner alone has no protection from the mask.
        if !(2..=owners).contains(&session.n_min) {
            return Err(setting("n_min", session.n_min.into(), 2, owners.into()));
        }
        if session.values == 0 {
            return Err(setting("values", 0, 1, u32::MAX.into()));
        }
        let most = (owners / session.n_min).min(MAX_LEAVES);
        let leaves = if terms.keep_messages { most } else { 1 };
        if !(1..=leaves).contains(&terms.leaves.into()) {
            return Err(setting("leaves", terms.leaves.into(), 1, leaves.into()));
        }
        let committee = terms.members.len();
        let layout = u16::try_from(committee).ok().and_then(|m| Layout::committee(m).ok());
        let layout = layout.ok_or_else(|| setting("members", committee as u64, 4, 100))?;
        let keyed = terms.members.iter().filter(|keys| keys.packet.is_some()).count() as u64;
        let quorum = u64::from(layout.quorum());
        if keyed < quorum {
            return Err(setting("members with a packet key", keyed, quorum, committee as u64));
        }
        Ok(Self { session, terms, layout })
    }

    pub(super) fn manifest(&self) -> Digest {
        self.session.manifest
    }

    pub(super) fn packing(&self) -> Packing {
        self.terms.packing
    }

    /// Words of a masked vector: whole blocks.
    pub(super) fn words(&self) -> usize {
        self.packing().coefficients(self.session.values).next_multiple_of(N)
    }

    /// Bytes of the sealed packet for `member`: a list of field elements and one of the cubic
    /// extension; nothing for a member without a key.
    pub(super) fn packet_bytes(&self, member: MemberId) -> usize {
        if self.packet_key(member).is_none() {
            return 0;
        }
        OVERHEAD_BYTES + 4 + 8 * self.layout.elements(KEY_ELEMENTS) + 24
    }

    pub(super) fn owner_key(&self, owner: OwnerId) -> Option<&PublicKey> {
        self.session.owners.get(&owner)
    }

    pub(super) fn member_key(&self, member: MemberId) -> Option<&PublicKey> {
        self.terms.members.get(member.index()).map(|keys| &keys.identity)
    }

    pub(super) fn packet_key(&self, member: MemberId) -> Option<&PacketKey> {
        self.terms.members.get(member.index())?.packet.as_ref()
    }

    /// The members with a part in the sum.
    pub(super) fn keyed(&self) -> impl Iterator<Item = MemberId> {
        self.members().filter(|member| self.packet_key(*member).is_some())
    }

    /// The leaves of a certified set with this digest: as many as asked for, unless that would
    /// make one of fewer than `n_min` owners.
    pub(super) fn leaves<T: Clone>(&self, proposal: &Digest, survivors: &[T]) -> Vec<Vec<T>> {
        let most = survivors.len() / self.session.n_min.max(1) as usize;
        let count = most.min(self.terms.leaves.into());
        challenge::leaves(&self.manifest(), proposal, survivors, count)
    }

    /// The committee.
    pub(super) fn members(&self) -> impl Iterator<Item = MemberId> + use<> {
        MemberId::all(self.layout.members())
    }

    pub(super) fn bad_key(member: MemberId) -> SumError {
        SumError::Key { peer: Peer::Member(member) }
    }
}
