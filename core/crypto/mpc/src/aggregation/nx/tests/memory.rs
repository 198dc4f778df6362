//! What a member writes down, forgets, and must not forget.

use std::collections::BTreeSet;
use std::sync::Arc;

use nexus_types::borsh::BorshDeserialize as _;
use nexus_types::{Canonical, MemberId, OwnerId};

use super::programs::{certified_by, vote_of, without};
use super::world::{Plan, World, committee, member_identity};
use crate::aggregation::nx::message::packet_context;
use crate::aggregation::nx::{
    Contribution, Delivery, Member, MemberEffect, Proposal, Reminder, Restored, SumShares, Vote,
};
use crate::aggregation::{Collector as _, Outgoing, Peer, Refusal, SumError};

const ID: MemberId = MemberId(0);

fn restored(world: &World, snapshot: &[u8], how: Restored) -> Member {
    let mut member = Member::restore(ID, member_identity(ID), snapshot, how).unwrap();
    let opened = member.open(world.session.clone(), Arc::clone(&world.terms));
    assert_eq!(opened.is_err(), how == Restored::FromBackup);
    member
}

/// A machine that dies after some number of effects, and what it sent before and after.
struct Machine {
    member: Member,
    disk: Vec<u8>,
    /// Effects that are still carried out before it dies.
    left: Option<usize>,
    /// The weakened twin answers first and writes later, that is, never.
    writes: bool,
    sent: Vec<Arc<[u8]>>,
}

impl Machine {
    fn hear(&mut self, world: &World, message: &[u8]) {
        let Ok(effects) = self.member.receive(message) else { return };
        for effect in effects {
            if self.left == Some(0) {
                self.left = None;
                self.member = restored(world, &self.disk, Restored::Continued);
                return;
            }
            match effect {
                MemberEffect::Persist if self.writes => self.disk = self.member.snapshot(),
                MemberEffect::Persist => {}
                MemberEffect::Send(bytes) => self.sent.push(bytes),
            }
            self.left = self.left.map(|left| left - 1);
        }
    }
}

/// Everything that a coordinator could want a member to do, in the order that suits it: packets,
/// a set, another set, and certificates for both (the other members are corrupt).
fn temptation(deliveries: &[Outgoing], all: &Proposal) -> Vec<Vec<u8>> {
    let fewer = without(all, 2);
    let packets = || deliveries.iter().map(|delivery| delivery.message.to_vec());
    let mut script: Vec<_> = packets().collect();
    for set in [all, &fewer, all] {
        script.push(set.encode().unwrap());
        script.extend(packets());
    }
    for set in [&fewer, all, &fewer] {
        script.push(certified_by(&[1, 2, 3], set).encode().unwrap());
        script.extend(packets());
    }
    script
}

/// How many different votes and answers a member gives that dies after `left` effects.
fn seduce(writes: bool, left: usize) -> (usize, usize) {
    let mut world = World::new(&Plan::of(3, 10));
    world.silent = [ID].into();
    let mut deliveries = Vec::new();
    for id in 0..3 {
        let message = world.message(id, &[1; 10]);
        let outgoing = world.collector.receive(Peer::Owner(OwnerId(id)), &message).unwrap();
        deliveries.extend(outgoing.iter().filter(|out| out.to == Peer::Member(ID)).cloned());
        world.pass(outgoing);
    }
    world.collector.mark_good(ID);
    let all = world.collector.proposal();
    assert_eq!(all.entries.len(), 3);
    let disk = world.members[0].snapshot();
    let member = restored(&world, &disk, Restored::Continued);
    let mut machine = Machine { member, disk, left: Some(left), writes, sent: Vec::new() };
    for message in temptation(&deliveries, &all) {
        machine.hear(&world, &message);
    }
    // Once more from the start, by a machine that has died for good and come back.
    machine.member = restored(&world, &machine.disk, Restored::Continued);
    for message in temptation(&deliveries, &without(&all, 1)) {
        machine.hear(&world, &message);
    }
    let votes: BTreeSet<_> = machine.sent.iter().filter(|m| Vote::decode(m).is_ok()).collect();
    let answers: BTreeSet<_> =
        machine.sent.iter().filter(|m| SumShares::decode(m).is_ok()).collect();
    (votes.len(), answers.len())
}

#[test]
fn a_member_killed_anywhere_never_says_two_things() {
    let mut most = (0, 0);
    for left in 0..16 {
        let (votes, answers) = seduce(true, left);
        assert!(votes <= 1 && answers <= 1, "killed after {left} effects: {votes}, {answers}");
        most = (most.0.max(votes), most.1.max(answers));
    }
    assert_eq!(most, (1, 1));
}

#[test]
fn a_member_that_does_not_write_first_says_two_things() {
    let (votes, answers) = seduce(false, 8);
    assert!(votes > 1 && answers > 1, "{votes}, {answers}");
}

/// A member that voted, and the proposal and the snapshot from before.
fn voted() -> (World, Proposal, Vec<u8>) {
    let mut world = World::new(&Plan::of(3, 10));
    for id in 0..3 {
        let message = world.message(id, &[1; 10]);
        world.accept(id, &message);
    }
    let backup = world.members[0].snapshot();
    let proposal = world.collector.proposal();
    world.members[0].receive(&proposal.encode().unwrap()).unwrap();
    (world, proposal, backup)
}

#[test]
fn a_restored_backup_sits_out_until_it_has_new_keys() {
    let (mut world, proposal, backup) = voted();
    // The twin takes an old backup for its last state, and votes a second time.
    let mut careless = restored(&world, &backup, Restored::Continued);
    let fewer = without(&proposal, 2).encode().unwrap();
    assert!(careless.receive(&fewer).is_ok());
    let mut member = restored(&world, &backup, Restored::FromBackup);
    assert_eq!(member.receive(&fewer), Err(Refusal::OtherRound));
    assert!(member.leak().is_empty(), "its keys are erased");
    assert!((0..2).all(|slot| member.packet_key(slot).is_none()));
    let used = member.publish(&mut world.rng, 1, 1);
    assert!(matches!(used, Err(SumError::Setting { .. })), "slot 1 has had a key");
    member.publish(&mut world.rng, 2, 1).unwrap();
    let mut members = committee(4, 3, &mut world.rng);
    members[0] = member;
    let mut world = World::with(&Plan { seed: 9, ..Plan::of(3, 10) }, members, 2, world.rng);
    let values = (0..3).map(|id| (id, vec![i64::from(id); 10])).collect();
    assert_eq!(world.sum(&values).unwrap().sum, [3; 10]);
}

#[test]
fn a_member_that_is_shown_a_forgotten_vote_sits_out() {
    let (world, proposal, backup) = voted();
    let reminder = Reminder { vote: vote_of(ID, &proposal) }.encode().unwrap();
    let mut remembers = world.members[0].clone();
    assert_eq!(remembers.receive(&reminder), Ok(Vec::new()));
    let mut forgot = restored(&world, &backup, Restored::Continued);
    assert_eq!(forgot.receive(&reminder), Ok(vec![MemberEffect::Persist]));
    let fewer = without(&proposal, 2).encode().unwrap();
    assert_eq!(forgot.receive(&fewer), Err(Refusal::OtherRound));
    // A vote of somebody else, or one that it never signed, says nothing.
    let mut member = restored(&world, &backup, Restored::Continued);
    let foreign = Reminder { vote: vote_of(MemberId(1), &proposal) };
    assert_eq!(member.receive(&foreign.encode().unwrap()), Err(Refusal::Signature));
    assert!(member.receive(&fewer).is_ok());
}

/// All packets of a sum, as they can be recorded on the wire.
fn recorded() -> (World, Vec<Delivery>) {
    let mut world = World::new(&Plan::of(3, 10));
    let mut packets = Vec::new();
    for id in 0..3 {
        let message = world.message(id, &[1; 10]);
        let Contribution { header, signature, packets: sealed, .. } =
            Contribution::decode(&message).unwrap();
        let delivery = |packet| Delivery { header: header.clone(), signature, packet };
        packets.extend(sealed.into_iter().map(delivery));
        world.accept(id, &message);
    }
    (world, packets)
}

/// How many of the recorded packets open with everything that the members have.
fn opened(world: &World, packets: &[Delivery]) -> usize {
    let keys: Vec<_> = world.members.iter().flat_map(Member::leak).collect();
    let opens = |packet: &&Delivery| {
        let Delivery { header, packet, .. } = packet;
        let contexts = MemberId::all(4)
            .map(|member| packet_context(&header.manifest, header.owner, member, &header.masked));
        contexts
            .into_iter()
            .any(|context| keys.iter().any(|key| key.open(&context, packet).is_ok()))
    };
    packets.iter().filter(opens).count()
}

#[test]
fn what_was_recorded_stays_closed_when_everything_leaks_later() {
    let (mut world, packets) = recorded();
    assert_eq!(opened(&world, &packets), 12, "before they are erased, the keys open everything");
    world.finish().unwrap();
    assert!(!world.members.iter().any(|member| member.leak().is_empty()), "keys of slot 1");
    assert_eq!(opened(&world, &packets), 0);
}

#[test]
fn an_expired_slot_is_forgotten_without_an_answer() {
    let (mut world, packets) = recorded();
    for member in &mut world.members {
        assert_eq!(member.expire(0), [MemberEffect::Persist]);
    }
    assert_eq!(opened(&world, &packets), 0);
    let proposal = world.collector.proposal().encode().unwrap();
    assert_eq!(world.members[0].receive(&proposal), Err(Refusal::OtherRound));
    let again = world.members[0].open(world.session.clone(), Arc::clone(&world.terms));
    assert_eq!(again, Err(SumError::OutOfTurn));
}

#[test]
fn a_slot_belongs_to_the_first_sum_opened_in_it() {
    let mut world = World::new(&Plan::of(3, 10));
    let mut other = world.session.clone();
    other.manifest = super::programs::other_manifest();
    let member = &mut world.members[0];
    assert_eq!(member.open(world.session.clone(), Arc::clone(&world.terms)), Ok(()));
    assert_eq!(member.open(other, Arc::clone(&world.terms)), Err(SumError::OutOfTurn));
    let mut terms = (*world.terms).clone();
    terms.members[0].packet = terms.members[1].packet.clone();
    let substituted = member.open(world.session, Arc::new(terms));
    assert_eq!(substituted, Err(SumError::Key { peer: Peer::Member(ID) }));
}

#[test]
fn a_message_has_one_encoding_and_a_lax_reader_takes_more() {
    /// Version and kind.
    const FRAME: usize = 8;
    let mut world = World::new(&Plan::of(3, 10));
    let bytes = world.message(0, &[1; 10]).to_vec();
    let longer = [&bytes[..], &[0]].concat();
    assert!(Contribution::decode(&bytes).is_ok());
    assert!(Contribution::decode(&longer).is_err());
    // The twin takes what it needs and does not ask for the kind or what is left: one message has as
    // many names as an owner likes, and is as long.
    let lax = |bytes: &[u8]| Contribution::deserialize(&mut &bytes[FRAME..]).ok();
    assert_eq!(lax(&longer), lax(&bytes));
    assert!(lax(&longer).is_some());
    let mut other_kind = bytes;
    other_kind[1] ^= 1;
    assert!(lax(&other_kind).is_some() && Contribution::decode(&other_kind).is_err());
}
