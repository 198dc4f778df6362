//! A network in memory: every party is the real state machine, and a test decides what is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexus_types::{Digest, MemberId, OwnerId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::aggregation::nx::{
    Acceptance, Collector, Member, MemberEffect, MemberKeys, Owner, Packing, Terms,
};
use crate::aggregation::{
    Collector as _, Contributor as _, Opened, Outgoing, Peer, Progress, Session, SumError,
};
use crate::identity::Identity;

/// What a world is made of.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) owners: u32,
    pub(super) members: u16,
    pub(super) values: u32,
    pub(super) packing: Packing,
    pub(super) n_min: u32,
    pub(super) keep_messages: bool,
    pub(super) leaves: u16,
    pub(super) seed: u64,
}

impl Plan {
    /// Owners with one value per coefficient and a committee of four.
    pub(super) fn of(owners: u32, values: u32) -> Self {
        Self {
            owners,
            members: 4,
            values,
            packing: Packing::choose(owners, Acceptance::Honest).unwrap(),
            n_min: 2,
            keep_messages: false,
            leaves: 1,
            seed: 1,
        }
    }
}

/// All parties of one sum.
#[derive(Debug)]
pub(super) struct World {
    pub(super) session: Session,
    pub(super) terms: Arc<Terms>,
    pub(super) identities: Vec<Arc<Identity>>,
    pub(super) members: Vec<Member>,
    pub(super) collector: Collector,
    pub(super) rng: ChaCha12Rng,
    /// Members that answer nothing.
    pub(super) silent: BTreeSet<MemberId>,
}

pub(super) const JOB: Digest = Digest([7; 32]);

fn identity(kind: u8, index: u32) -> Arc<Identity> {
    let [a, b, c, d] = index.to_le_bytes();
    let mut secret = [kind; 32];
    secret[..4].copy_from_slice(&[a, b, c, d]);
    Arc::new(Identity::from_secret(secret))
}

pub(super) fn member_identity(member: MemberId) -> Arc<Identity> {
    identity(2, member.0.into())
}

/// Members with a key each for the first `slots` slots.
pub(super) fn committee(members: u16, slots: u32, rng: &mut ChaCha12Rng) -> Vec<Member> {
    let member = |id| {
        let mut member = Member::new(JOB, id, member_identity(id));
        member.publish(&mut *rng, 0, slots).unwrap();
        member
    };
    MemberId::all(members).map(member).collect()
}

pub(super) fn terms(plan: &Plan, members: &[Member], slot: u32) -> Arc<Terms> {
    let keys = |(id, member): (MemberId, &Member)| MemberKeys {
        identity: member_identity(id).public(),
        packet: member.packet_key(slot),
    };
    Arc::new(Terms {
        packing: plan.packing,
        members: MemberId::all(plan.members).zip(members).map(keys).collect(),
        slot,
        keep_messages: plan.keep_messages,
        leaves: plan.leaves,
    })
}

impl World {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(plan.seed);
        let members = committee(plan.members, 2, &mut rng);
        Self::with(plan, members, 0, rng)
    }

    /// The sum in `slot` of a committee that has keys for it.
    pub(super) fn with(plan: &Plan, mut members: Vec<Member>, slot: u32, rng: ChaCha12Rng) -> Self {
        let identities: Vec<_> = (0..plan.owners).map(|id| identity(1, id)).collect();
        let owners = OwnerId::all(plan.owners).zip(&identities);
        let session = Session {
            manifest: Digest::of("test/manifest", &[plan.seed.to_le_bytes(), [0; 8]].concat()),
            owners: Arc::new(owners.map(|(id, identity)| (id, identity.public())).collect()),
            n_min: plan.n_min,
            values: plan.values,
        };
        let terms = terms(plan, &members, slot);
        for member in members.iter_mut().filter(|member| member.packet_key(slot).is_some()) {
            member.open(session.clone(), Arc::clone(&terms)).unwrap();
        }
        let collector = Collector::new(session.clone(), Arc::clone(&terms)).unwrap();
        let silent = BTreeSet::new();
        Self { session, terms, identities, members, collector, rng, silent }
    }

    /// The same world once more.
    pub(super) fn copy(&self) -> Self {
        Self {
            session: self.session.clone(),
            terms: Arc::clone(&self.terms),
            identities: self.identities.clone(),
            members: self.members.clone(),
            collector: self.collector.clone(),
            rng: self.rng.clone(),
            silent: self.silent.clone(),
        }
    }

    pub(super) fn owner(&self, id: u32) -> Owner {
        let (session, terms) = (self.session.clone(), Arc::clone(&self.terms));
        let identity = Arc::clone(&self.identities[id as usize]);
        Owner::new(session, terms, OwnerId(id), identity).unwrap()
    }

    /// The message of an honest owner.
    pub(super) fn message(&mut self, id: u32, values: &[i64]) -> Arc<[u8]> {
        let mut owner = self.owner(id);
        owner.contribute(&mut self.rng, values).unwrap()
    }

    /// The coordinator gets an owner's message, the members their packets.
    pub(super) fn accept(&mut self, id: u32, message: &[u8]) {
        let outgoing = self.collector.receive(Peer::Owner(OwnerId(id)), message).unwrap();
        self.pass(outgoing);
    }

    /// Messages go to the members, and what they say back to the coordinator.
    pub(super) fn pass(&mut self, messages: Vec<Outgoing>) {
        for Outgoing { to, message } in messages {
            let Peer::Member(id) = to else { panic!("to {to}") };
            if self.silent.contains(&id) {
                continue;
            }
            for effect in self.members[id.index()].receive(&message).unwrap() {
                if let MemberEffect::Send(reply) = effect {
                    self.collector.receive(to, &reply).unwrap();
                }
            }
        }
    }

    /// The members vote; what the collector then sends them: the certificate.
    pub(super) fn certified(&mut self) -> Vec<Outgoing> {
        let Progress::Continue(proposal) = self.collector.close().unwrap() else { panic!() };
        self.pass(proposal);
        let Progress::Continue(certificate) = self.collector.close().unwrap() else { panic!() };
        certificate
    }

    /// Ends phases until there is a sum.
    pub(super) fn finish(&mut self) -> Result<Opened, SumError> {
        loop {
            match self.collector.close()? {
                Progress::Continue(messages) => self.pass(messages),
                Progress::Done(opened) => return Ok(opened),
            }
        }
    }

    /// A whole sum of honest parties.
    pub(super) fn sum(&mut self, values: &BTreeMap<u32, Vec<i64>>) -> Result<Opened, SumError> {
        for (&id, values) in values {
            let message = self.message(id, values);
            self.accept(id, &message);
        }
        self.finish()
    }

    /// Random values within the limit.
    pub(super) fn values(&mut self) -> Vec<i64> {
        let limit = self.terms.packing.limit();
        let count = self.session.values;
        let modulus = 2 * limit.unsigned_abs() + 1;
        let mut value = || (self.rng.next_u64() % modulus).cast_signed() - limit;
        (0..count).map(|_| value()).collect()
    }
}

/// The sum in the clear.
pub(super) fn plain_sum<'a>(values: impl IntoIterator<Item = &'a Vec<i64>>) -> Vec<i64> {
    let mut sum = Vec::new();
    for values in values {
        sum.resize(values.len(), 0);
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    sum
}
