//! A sum of three owners with a committee of four.

use std::sync::{Arc, LazyLock};

use nexus_mpc::Identity;
use nexus_mpc::aggregation::nx::{
    Acceptance, Collector, Contribution, Delivery, Member, MemberEffect, MemberKeys, Owner,
    Packing, Reminder, Terms, Verdict, Vote,
};
use nexus_mpc::aggregation::{
    Collector as _, Contributor as _, Opened, Outgoing, Peer, Progress, Session, SumError,
};
use nexus_types::{Canonical, CryptoRng, Digest, MemberId, OwnerId};

use super::{Made, rng};

const OWNERS: u32 = 3;
const MEMBERS: u16 = 4;

/// The parties as they were in every phase, and all their messages.
pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) terms: Arc<Terms>,
    pub(crate) collectors: Vec<Collector>,
    pub(crate) members: Vec<Member>,
    pub(crate) owners: Vec<Owner>,
    pub(crate) messages: Vec<Vec<u8>>,
}

pub(crate) fn world() -> Made<&'static World> {
    static WORLD: LazyLock<Made<World>> = LazyLock::new(World::new);
    WORLD.as_ref().map_err(|error| error.to_string().into())
}

pub(crate) fn owner_identity(id: OwnerId) -> Arc<Identity> {
    Arc::new(Identity::from_secret([id.0.to_le_bytes()[0] + 1; 32]))
}

pub(crate) fn member_identity(id: MemberId) -> Arc<Identity> {
    Arc::new(Identity::from_secret([id.0.to_le_bytes()[0] + 101; 32]))
}

impl World {
    fn new() -> Made<Self> {
        let mut rng = rng(1);
        let job = Digest([7; 32]);
        let mut messages = Vec::new();
        let mut members = Vec::new();
        for id in MemberId::all(MEMBERS) {
            let mut member = Member::new(job, id, member_identity(id));
            messages.extend(sent(member.publish(&mut rng, 0, 2)?));
            members.push(member);
        }
        let terms = Arc::new(terms(&members)?);
        let owners = OwnerId::all(OWNERS).map(|id| (id, owner_identity(id).public())).collect();
        let session =
            Session { manifest: Digest([8; 32]), owners: Arc::new(owners), n_min: 2, values: 5 };
        for member in &mut members {
            member.open(session.clone(), Arc::clone(&terms))?;
        }
        messages.push(terms.encode()?);
        let collector = Collector::new(session.clone(), Arc::clone(&terms))?;
        let (collectors, owners) = (Vec::new(), Vec::new());
        let mut world = Self { session, terms, collectors, members, owners, messages };
        world.run(collector, &mut rng)?;
        Ok(world)
    }

    fn run(&mut self, mut collector: Collector, rng: &mut dyn CryptoRng) -> Made<()> {
        let mut members = self.members.clone();
        for id in OwnerId::all(OWNERS) {
            let (session, terms) = (self.session.clone(), Arc::clone(&self.terms));
            let mut owner = Owner::new(session, terms, id, owner_identity(id))?;
            let message = owner.contribute(rng, &[1, -2, 3, 0, 5])?;
            self.owners.push(owner);
            self.collectors.push(collector.clone());
            let deliveries = collector.receive(Peer::Owner(id), &message)?;
            self.messages.push(message.to_vec());
            self.pass(&mut collector, &mut members, deliveries)?;
        }
        let opened = self.finish(&mut collector, &mut members)?;
        self.notify(opened, rng)?;
        self.derive()
    }

    fn finish(&mut self, collector: &mut Collector, members: &mut [Member]) -> Made<Opened> {
        loop {
            self.collectors.push(collector.clone());
            match collector.close()? {
                Progress::Continue(messages) => self.pass(collector, members, messages)?,
                Progress::Done(opened) => return Ok(opened),
            }
        }
    }

    fn pass(
        &mut self,
        collector: &mut Collector,
        members: &mut [Member],
        messages: Vec<Outgoing>,
    ) -> Made<()> {
        for Outgoing { to, message } in messages {
            self.messages.push(message.to_vec());
            let Peer::Member(id) = to else { continue };
            let Some(member) = members.get_mut(id.index()) else { continue };
            for reply in sent(member.receive(&message)?) {
                collector.receive(to, &reply)?;
                self.messages.push(reply);
            }
            if id == MemberId(0) {
                self.members.push(member.clone());
            }
        }
        self.collectors.push(collector.clone());
        Ok(())
    }

    fn notify(&mut self, opened: Opened, rng: &mut dyn CryptoRng) -> Made<()> {
        for Outgoing { to, message } in opened.notices {
            self.messages.push(message.to_vec());
            let Peer::Owner(id) = to else { continue };
            let Some(owner) = self.owners.get(id.index()) else { continue };
            let mut owner = owner.clone();
            owner.receive(rng, &message)?;
            self.owners.push(owner);
        }
        self.messages.extend(opened.transcript);
        Ok(())
    }

    /// Messages that no honest session has: a complaint, a reminder, a bare header.
    fn derive(&mut self) -> Made<()> {
        let mut more = Vec::new();
        for message in &self.messages {
            if let Ok(contribution) = Contribution::decode(message) {
                more.push(contribution.header.encode()?);
                let Contribution { header, signature, mut packets, .. } = contribution;
                let packet = packets.remove(0);
                more.push(Delivery { header, signature, packet }.encode()?);
                continue;
            }
            if let Ok(vote) = Vote::decode(message) {
                more.push(Reminder { vote }.encode()?);
            }
            if let Ok(verdict) = Verdict::decode(message) {
                let complaint = Some(nexus_mpc::Signature([9; 64]));
                more.push(Verdict { complaint, ..verdict }.encode()?);
            }
        }
        self.messages.append(&mut more);
        Ok(())
    }

    pub(crate) fn snapshots(&self) -> Vec<Vec<u8>> {
        let collectors = self.collectors.iter().map(nexus_mpc::aggregation::Collector::snapshot);
        let members = self.members.iter().map(Member::snapshot);
        let owners = self.owners.iter().map(nexus_mpc::aggregation::Contributor::snapshot);
        collectors.chain(members).chain(owners).collect()
    }
}

fn terms(members: &[Member]) -> Result<Terms, SumError> {
    let keys = MemberId::all(MEMBERS).zip(members).map(|(id, member)| MemberKeys {
        identity: member_identity(id).public(),
        packet: member.packet_key(0),
    });
    let packing = Packing::choose(OWNERS, Acceptance::Honest)?;
    Ok(Terms { packing, members: keys.collect(), slot: 0, keep_messages: true, leaves: 1 })
}

fn sent(effects: Vec<MemberEffect>) -> Vec<Vec<u8>> {
    let message = |effect| match effect {
        MemberEffect::Send(message) => Some(message.to_vec()),
        MemberEffect::Persist => None,
    };
    effects.into_iter().filter_map(message).collect()
}
