//! Attacks on the real machines and on machines that lack one check, by the same programs.

use std::collections::BTreeMap;

use nexus_field::{N, P};
use nexus_types::{Canonical, MemberId, OwnerId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::programs::{Forgery, forge};
use super::world::{JOB, Plan, World, member_identity, plain_sum};
use crate::aggregation::nx::masked::{Masked, unmask};
use crate::aggregation::nx::opening::KEY_ELEMENTS;
use crate::aggregation::nx::{
    Acceptance, Certificate, Contribution, Entry, Member, MemberEffect, Packing, Proposal,
    SumShares, Vote,
};
use crate::aggregation::{Collector as _, Opened, Peer, Refusal, SumError};
use crate::sharing::{Layout, recover, unpack3};
use crate::twin::{Check, without};

/// The owners' values, and what became of them.
type Sums = (Vec<Vec<i64>>, Result<Opened, SumError>);

/// What each member says to a message of the coordinator.
fn ask<T: Canonical>(
    world: &mut World,
    message: &impl Canonical,
) -> Result<Vec<(MemberId, T)>, Refusal> {
    let bytes = message.encode().unwrap();
    let mut said = Vec::new();
    for (id, member) in (0..).map(MemberId).zip(&mut world.members) {
        for effect in member.receive(&bytes)? {
            if let MemberEffect::Send(reply) = effect {
                said.push((id, T::decode(&reply).unwrap()));
            }
        }
    }
    Ok(said)
}

/// A coordinator that wants the sum of the keys of a set of its own: it has the set certified by
/// the members and combines their answers, as for an honest set.
fn keys_of(world: &mut World, proposal: &Proposal) -> Result<Vec<i32>, Refusal> {
    let votes = ask::<Vote>(world, proposal)?;
    let votes = votes.into_iter().map(|(member, vote)| (member, vote.signature)).collect();
    let certificate = Certificate { proposal: proposal.clone(), votes };
    let answers = ask::<SumShares>(world, &certificate)?;
    let rows: BTreeMap<_, _> =
        answers.into_iter().map(|(member, mut answer)| (member, answer.rows.remove(0))).collect();
    let layout = Layout::committee(4).unwrap();
    let found = recover(&layout, &rows, KEY_ELEMENTS, |_| true).unwrap();
    Ok(unpack3(&found.secrets, N).unwrap())
}

/// Half of every coefficient: the key of an owner that is in a sum twice.
fn half(keys: Vec<i32>) -> Vec<i32> {
    assert!(keys.iter().all(|key| key % 2 == 0));
    keys.into_iter().map(|key| key / 2).collect()
}

/// Three owners have contributed; of owner 2, the victim, the coordinator has the message.
fn gathered() -> (World, Vec<i64>, Masked) {
    let mut world = World::new(&Plan::of(3, 20));
    let (mut values, mut masked) = (Vec::new(), Masked::zero(0));
    for id in 0..3 {
        values = world.values();
        let message = world.message(id, &values);
        masked = Contribution::decode(&message).unwrap().masked;
        world.accept(id, &message);
    }
    (world, values, masked)
}

/// Asks the members for the keys of the victim's entry, `times` in one set.
fn single_out(times: usize) -> Result<(Vec<i64>, Vec<i64>), Refusal> {
    let (mut world, values, masked) = gathered();
    let mut proposal = world.collector.proposal();
    let victim: Entry = *proposal.entries.last().unwrap();
    proposal.entries = vec![victim; times];
    let keys = keys_of(&mut world, &proposal)?;
    let key = if times == 2 { half(keys) } else { keys };
    let packing = world.terms.packing;
    Ok((unmask(&world.session.manifest, packing, &key, &masked, 20).values, values))
}

/// A set that names the victim twice has `n_min` entries, and opens to twice its key.
#[test]
fn who_may_be_in_a_set_twice_is_opened() {
    let rule = "a set of survivors is in strictly rising order".to_owned();
    assert_eq!(single_out(2), Err(Refusal::Forbidden { rule }));
    let (opened, values) = without(&[Check::Order], || single_out(2)).unwrap();
    assert_eq!(opened, values);
}

#[test]
fn without_the_floor_a_set_of_one_is_opened() {
    let rule = "a set of survivors has at least n_min owners".to_owned();
    assert_eq!(single_out(1), Err(Refusal::Forbidden { rule }));
    let (opened, values) = without(&[Check::Floor], || single_out(1)).unwrap();
    assert_eq!(opened, values);
}

/// An owner whose first message has been added sends a second one.
fn send_twice() -> (Result<(), Refusal>, Result<Opened, SumError>) {
    let mut world = World::new(&Plan::of(9, 20));
    for id in 0..8 {
        let message = world.message(id, &[1; 20]);
        world.accept(id, &message);
    }
    assert_eq!(world.collector.held_bytes(), 8 * N, "all are in the running sum");
    let second = world.message(0, &[1; 20]);
    let second = world.collector.receive(Peer::Owner(OwnerId(0)), &second).map(drop);
    (second, world.finish())
}

/// The twin replaces the first message by the second, and cannot take it out of the sum again.
#[test]
fn a_second_message_that_is_taken_voids_the_sum() {
    let (second, result) = send_twice();
    assert_eq!(second, Err(Refusal::Contradiction));
    assert_eq!(result.unwrap().sum, [8; 20]);
    let (second, result) = without(&[Check::OneMessage], send_twice);
    assert_eq!((second, result), (Ok(()), Err(SumError::Garbled)));
}

/// A committee whose keys for two slots are the same, if its generators repeat themselves.
fn committee(repeat: bool) -> Vec<Member> {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let member = |id| {
        let mut member = Member::new(JOB, id, member_identity(id));
        let mut again = rng.clone();
        member.publish(&mut rng, 0, 1).unwrap();
        member.publish(if repeat { &mut again } else { &mut rng }, 1, 1).unwrap();
        member
    };
    MemberId::all(4).map(member).collect()
}

/// Two corrupt owners replay a victim's packets of slot 0 as their own in slot 1, where nobody
/// honest takes part, and a coordinator has the members add them up.
fn replay(repeat: bool) -> Result<(Vec<i64>, Vec<i64>), SumError> {
    let rng = ChaCha12Rng::seed_from_u64(2);
    let mut first = World::with(&Plan::of(3, 20), committee(repeat), 0, rng.clone());
    let values = first.values();
    let old = Contribution::decode(&first.message(0, &values)).unwrap();
    let plan = Plan { seed: 2, ..Plan::of(3, 20) };
    let mut world = World::with(&plan, first.members, 1, rng);
    for id in [1, 2] {
        let mut copy = old.clone();
        (copy.header.manifest, copy.header.owner) = (world.session.manifest, OwnerId(id));
        copy.signature = copy.header.sign(&world.identities[id as usize]).unwrap();
        world.accept(id, &copy.encode().unwrap());
    }
    let proposal = world.collector.proposal();
    if proposal.entries.is_empty() {
        return world.finish().map(|opened| (opened.sum, values));
    }
    let key = half(keys_of(&mut world, &proposal).unwrap());
    let opened = unmask(&first.session.manifest, world.terms.packing, &key, &old.masked, 20);
    Ok((opened.values, values))
}

/// Three things tie a packet to its place: the member's key of the slot, what the packet is
/// sealed with, and what the check of rows depends on. Each stops the replay, as every member
/// complains; the twin that lacks all three opens the victim.
#[test]
fn a_packet_that_fits_another_place_opens_its_owner() {
    let (context, challenge) = (Check::PacketContext, Check::PacketChallenge);
    let refused = Err(SumError::TooFew { have: 0, need: 2 });
    assert_eq!(replay(false), refused);
    assert_eq!(without(&[context, challenge], || replay(false)), refused);
    assert_eq!(without(&[context], || replay(true)), refused);
    assert_eq!(without(&[challenge], || replay(true)), refused);
    let (opened, values) = without(&[context, challenge], || replay(true)).unwrap();
    assert_eq!(opened, values);
}

/// Four owners, the first of which send a bad row to one member each.
fn bad_rows(to: &[u16]) -> Sums {
    let mut world = World::new(&Plan::of(4, 20));
    let values: Vec<_> = (0..4).map(|_| world.values()).collect();
    for (id, values) in (0..).zip(&values) {
        let forgery = to.get(id as usize).map_or(Forgery::None, |m| Forgery::BadRow(MemberId(*m)));
        let message = forge(&mut world, id, values, forgery);
        world.accept(id, &message);
    }
    (values, world.finish())
}

/// Members that do not check rows add them up, and answer off the codeword.
#[test]
fn bad_rows_that_are_not_checked_void_the_sum_or_blame_a_member() {
    let (values, real) = bad_rows(&[1, 2]);
    let real = real.unwrap();
    assert_eq!(real.sum, plain_sum(&values[2..]));
    let refusal = |member| Refusal::Packet { members: vec![MemberId(member)] };
    assert_eq!(real.dropped, [(OwnerId(0), refusal(1)), (OwnerId(1), refusal(2))].into());
    let (_, twin) = without(&[Check::Row], || bad_rows(&[1, 2]));
    assert_eq!(twin, Err(SumError::Garbled));
    // One bad row is corrected, but it is the honest member that seems to lie.
    let (values, twin) = without(&[Check::Row], || bad_rows(&[1]));
    let twin = twin.unwrap();
    assert_eq!((twin.sum, twin.disputed), (plain_sum(&values), vec![MemberId(1)]));
    assert_eq!(bad_rows(&[1]).1.unwrap().disputed, []);
}

/// Three owners, whose vectors are added in their order; the last one writes one word, which is 7,
/// in its own way.
fn written(word: u64) -> (Result<(), Refusal>, Sums) {
    let packing = Packing::by_name(3, 1, Acceptance::Honest).unwrap();
    let mut world = World::new(&Plan { packing, ..Plan::of(3, 20) });
    let values: Vec<_> = (0..3).map(|_| world.values()).collect();
    for id in [0, 1] {
        let message = world.message(id, &values[id as usize]);
        world.accept(id, &message);
    }
    let message = forge(&mut world, 2, &values[2], Forgery::Seven(word));
    let taken = world.collector.receive(Peer::Owner(OwnerId(2)), &message);
    let taken = taken.map(|packets| world.pass(packets));
    (taken, (values, world.finish()))
}

/// An owner whose update, key and errors are all as they should be has chosen its first value so
/// that one masked word is 7. Written as 7 + p it is the same vector in other bytes, and sums of
/// words from p on are wrong: who cannot be refused for anything else voids the sum.
#[test]
fn words_from_p_on_void_the_sum_unless_they_are_refused() {
    let (taken, (values, honest)) = written(7);
    let honest = honest.unwrap();
    assert_eq!((taken, honest.survivors.len()), (Ok(()), 3));
    assert_eq!(honest.sum[1..], plain_sum(&values)[1..]);
    let (taken, (values, real)) = written(P + 7);
    assert!(matches!(taken, Err(Refusal::Malformed { .. })), "{taken:?}");
    assert_eq!(real.unwrap().sum, plain_sum(&values[..2]));
    let (taken, (_, twin)) = without(&[Check::Canonical], || written(P + 7));
    assert_eq!((taken, twin.err()), (Ok(()), Some(SumError::Garbled)));
}
