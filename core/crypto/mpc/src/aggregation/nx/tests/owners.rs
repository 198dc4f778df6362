//! Owners and members that cheat: they are named, or nothing is released.

use std::collections::{BTreeMap, BTreeSet};

use nexus_types::{Canonical, Digest, MemberId, OwnerId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::programs::{
    Forgery, certified_by, false_complaint, forge, forge_telling, framing, lie, short_lie, without,
};
use super::world::{Plan, World, plain_sum};
use crate::aggregation::nx::opening::KEY_ELEMENTS;
use crate::aggregation::nx::{Contribution, MemberEffect, Transcript, audit, challenge};
use crate::aggregation::{
    Collector as _, Contributor as _, Opened, Outgoing, Peer, Refusal, SumError,
};
use crate::sharing::{Layout, recover};
use crate::twin::{Check, without as omitting};

/// A sum in which owner 0 is a forger.
fn with_forger(plan: &Plan, forgery: Forgery) -> (World, Vec<Vec<i64>>, Result<Opened, SumError>) {
    let mut world = World::new(plan);
    let values: Vec<_> = (0..plan.owners).map(|_| world.values()).collect();
    let message = forge(&mut world, 0, &values[0], forgery);
    world.accept(0, &message);
    for (id, values) in (0..).zip(&values).skip(1) {
        let message = world.message(id, values);
        world.accept(id, &message);
    }
    let result = world.finish();
    (world, values, result)
}

#[test]
fn an_owner_with_a_bad_packet_is_out_and_nobody_is_blamed() {
    for forgery in [Forgery::BadRow(MemberId(2)), Forgery::OtherContext(MemberId(1))] {
        let (_, values, result) = with_forger(&Plan::of(4, 20), forgery);
        let opened = result.unwrap();
        let members = match forgery {
            Forgery::BadRow(member) | Forgery::OtherContext(member) => vec![member],
            Forgery::None
            | Forgery::OtherKey
            | Forgery::LongKey
            | Forgery::LongError
            | Forgery::Seven(_) => Vec::new(),
        };
        assert_eq!(opened.dropped, [(OwnerId(0), Refusal::Packet { members })].into());
        assert_eq!(opened.survivors, [1, 2, 3].map(OwnerId));
        assert_eq!(opened.sum, plain_sum(&values[1..]));
        assert!(opened.disputed.is_empty() && opened.silent.is_empty());
        let transcript = Transcript::decode(&opened.transcript.unwrap()).unwrap();
        assert_eq!(transcript.complaints.len(), 1, "on record");
    }
    // The twin of the check: an honest message by the same program passes it.
    let (_, values, result) = with_forger(&Plan::of(4, 20), Forgery::None);
    assert_eq!(result.unwrap().sum, plain_sum(&values));
}

#[test]
fn a_garbled_sum_is_named_and_nothing_is_released() {
    for forgery in [Forgery::OtherKey, Forgery::LongKey, Forgery::LongError] {
        let (mut world, _, result) = with_forger(&Plan::of(4, 20), forgery);
        assert_eq!(result.unwrap_err(), SumError::Garbled, "{forgery:?}");
        // To find the forger by a smaller set would open the difference of two sets.
        let all = world.collector.proposal();
        let smaller = certified_by(&[1, 2, 3], &without(&all, 0)).encode().unwrap();
        assert_eq!(world.members[0].receive(&smaller), Err(Refusal::Contradiction));
        assert_eq!(world.collector.close(), Err(SumError::OutOfTurn));
    }
}

#[test]
fn leaves_save_the_sum_of_the_others() {
    let plan = Plan { keep_messages: true, leaves: 5, ..Plan::of(20, 20) };
    for forgery in [Forgery::OtherKey, Forgery::LongKey, Forgery::LongError] {
        let (_, values, result) = with_forger(&plan, forgery);
        let opened = result.unwrap();
        assert_eq!(opened.survivors.len(), 16, "one leaf of five is left out");
        assert!(opened.dropped.contains_key(&OwnerId(0)) && opened.dropped.len() == 4);
        let kept = opened.survivors.iter().map(|owner| &values[owner.index()]);
        assert_eq!(opened.sum, plain_sum(kept));
        let audited = audit(&Transcript::decode(&opened.transcript.unwrap()).unwrap()).unwrap();
        assert_eq!((audited.sum, audited.garbled.len()), (opened.sum, 4));
    }
}

/// The leaves are redrawn in every round: who is in the bad leaf three times is the forger.
#[test]
fn three_rounds_of_leaves_isolate_a_forger() {
    let owners: Vec<u32> = (0..20).collect();
    let bad_leaf = |seed: u64, round: u64| {
        let manifest = Digest::of("round", &[seed.to_le_bytes(), round.to_le_bytes()].concat());
        let leaves = challenge::leaves(&manifest, &Digest([1; 32]), &owners, 10);
        assert!(leaves.iter().all(|leaf| leaf.len() == 2));
        leaves.into_iter().find(|leaf| leaf.contains(&7)).unwrap()
    };
    let isolated = |seed: &u64| {
        let rounds: Vec<_> = (0..3).map(|round| bad_leaf(*seed, round)).collect();
        let suspects = owners.iter().filter(|owner| rounds.iter().all(|leaf| leaf.contains(owner)));
        suspects.count() == 1
    };
    assert!((0..2_000).filter(isolated).count() >= 1_980);
    // The twin draws leaves once for all: the innocent owner beside the forger is never cleared.
    omitting(&[Check::FreshLeaves], || assert!(!(0..100).any(|seed| isolated(&seed))));
}

/// The same with real sums: who was left out of all three.
#[test]
fn three_garbled_sums_leave_the_forger_alone() {
    let suspects = || {
        let rounds = (0..3).map(|round| {
            let plan =
                Plan { keep_messages: true, leaves: 10, seed: 40 + round, ..Plan::of(20, 1) };
            let (.., result) = with_forger(&plan, Forgery::OtherKey);
            result.unwrap().dropped.into_keys().collect::<BTreeSet<_>>()
        });
        rounds.reduce(|all, round| &all & &round).unwrap()
    };
    assert_eq!(suspects(), [OwnerId(0)].into());
    assert_eq!(omitting(&[Check::FreshLeaves], suspects).len(), 2);
}

/// Lets `liars` answer, and `silent` members not.
fn with_liars(members: u16, liars: &[u16], silent: &[u16]) -> (Vec<i64>, Result<Opened, SumError>) {
    with_lies(members, liars, silent, lie)
}

fn with_lies(
    members: u16,
    liars: &[u16],
    silent: &[u16],
    lie: fn(&[u8]) -> Vec<u8>,
) -> (Vec<i64>, Result<Opened, SumError>) {
    let mut world = World::new(&Plan { members, ..Plan::of(3, 20) });
    let values: BTreeMap<_, _> = (0..3).map(|id| (id, world.values())).collect();
    for (&id, values) in &values {
        let message = world.message(id, values);
        world.accept(id, &message);
    }
    for Outgoing { to, message } in world.certified() {
        let Peer::Member(member) = to else { panic!() };
        for effect in world.members[member.index()].receive(&message).unwrap() {
            let MemberEffect::Send(answer) = effect else { continue };
            if liars.contains(&member.0) {
                world.collector.receive(to, &lie(&answer)).unwrap();
                let second = world.collector.receive(to, &answer);
                assert_eq!(second, Err(Refusal::Contradiction), "an answer stands");
            } else if !silent.contains(&member.0) {
                world.collector.receive(to, &answer).unwrap();
            }
        }
    }
    (plain_sum(values.values()), world.finish())
}

#[test]
fn lying_members_change_nothing_and_are_found() {
    let cases: [(u16, &[u16], &[u16]); 5] = [
        (4, &[3], &[]),
        (7, &[2], &[]),
        (16, &[0], &[7]),
        (16, &[3, 9], &[15]),
        (50, &[1, 2, 3], &[9]),
    ];
    for (members, liars, silent) in cases {
        let (sum, result) = with_liars(members, liars, silent);
        let opened = result.unwrap();
        assert_eq!(opened.sum, sum);
        assert_eq!(opened.disputed, liars.iter().copied().map(MemberId).collect::<Vec<_>>());
        assert_eq!(opened.silent, silent.iter().copied().map(MemberId).collect::<Vec<_>>());
        let audited = audit(&Transcript::decode(&opened.transcript.unwrap()).unwrap()).unwrap();
        assert_eq!((audited.sum, audited.disputed), (opened.sum, opened.disputed));
    }
}

#[test]
fn a_lie_that_leaves_the_key_short_is_found_by_the_errors_it_leaves_behind() {
    let (sum, result) = with_lies(4, &[0], &[], short_lie);
    let opened = result.unwrap();
    assert_eq!((opened.sum, opened.disputed), (sum, vec![MemberId(0)]));
    // The twin takes what the first answers give: one liar voids the sum.
    for lie in [lie, short_lie] {
        let (_, result) = omitting(&[Check::KeySum], || with_lies(4, &[0], &[], lie));
        assert_eq!(result.unwrap_err(), SumError::Garbled);
    }
}

/// An owner masks with another key than it shares; the first member moves its answer to where the
/// sum opens with those of the next two.
#[test]
fn an_owner_and_a_member_cannot_have_an_honest_member_named() {
    let mut world = World::new(&Plan::of(3, 20));
    let values: Vec<_> = (0..3).map(|_| world.values()).collect();
    let (message, difference) = forge_telling(&mut world, 0, &values[0], Forgery::OtherKey);
    world.accept(0, &message);
    for (id, values) in (0..).zip(&values).skip(1) {
        let message = world.message(id, values);
        world.accept(id, &message);
    }
    for Outgoing { to, message } in world.certified() {
        let Peer::Member(member) = to else { panic!() };
        for effect in world.members[member.index()].receive(&message).unwrap() {
            let MemberEffect::Send(answer) = effect else { continue };
            let first = member == MemberId(0);
            let answer = if first { framing(&answer, &difference) } else { answer.to_vec() };
            world.collector.receive(to, &answer).unwrap();
        }
    }
    let opened = world.finish().unwrap();
    assert_eq!(opened.sum, plain_sum(&values));
    assert_eq!(opened.disputed, [MemberId(3)]);
    let transcript = Transcript::decode(&opened.transcript.unwrap()).unwrap();
    assert_eq!(audit(&transcript).unwrap().disputed, [MemberId(3)]);
    // The weakened twin believes owners, and names the honest member.
    let layout = Layout::committee(4).unwrap();
    let rows = transcript.answers.iter().map(|answer| (answer.member, answer.rows[0].clone()));
    let twin = recover(&layout, &rows.collect(), KEY_ELEMENTS, |_| true).unwrap();
    assert_eq!(twin.liars, [MemberId(3)]);
}

#[test]
fn more_lies_than_can_be_corrected_open_nothing() {
    for (members, liars, silent) in [(4, &[1, 2][..], &[][..]), (4, &[0], &[1])] {
        let (_, result) = with_liars(members, liars, silent);
        assert_eq!(result.unwrap_err(), SumError::Garbled);
    }
}

/// A member complains about everybody, or about two.
fn with_complaints(owners: u32, complaints: usize) -> Result<Opened, SumError> {
    let mut world = World::new(&Plan::of(owners, 3));
    let mut left = complaints;
    for id in 0..owners {
        let message = world.message(id, &[1; 3]);
        let packets = world.collector.receive(Peer::Owner(OwnerId(id)), &message).unwrap();
        for Outgoing { to, message } in packets {
            let Peer::Member(member) = to else { panic!() };
            for effect in world.members[member.index()].receive(&message).unwrap() {
                let MemberEffect::Send(verdict) = effect else { continue };
                let lies = member == MemberId(1) && left > 0;
                left -= usize::from(lies);
                let verdict = if lies { false_complaint(&verdict) } else { verdict.to_vec() };
                world.collector.receive(to, &verdict).unwrap();
            }
        }
    }
    world.finish()
}

#[test]
fn who_complains_about_too_many_is_set_aside() {
    let opened = with_complaints(10, 10).unwrap();
    assert_eq!((opened.survivors.len(), opened.silent), (10, vec![MemberId(1)]));
    assert!(opened.dropped.is_empty());
    // Within what is allowed, it costs the owners their place: one of the two is faulty.
    let opened = with_complaints(10, 2).unwrap();
    assert_eq!((opened.survivors.len(), opened.dropped.len()), (8, 2));
    let members = vec![MemberId(1)];
    assert!(opened.dropped.values().all(|r| *r == Refusal::Packet { members: members.clone() }));
    assert!(opened.silent.is_empty());
    // The twin believes every complaint: one member leaves nobody.
    let twin = omitting(&[Check::Complainers], || with_complaints(10, 10));
    assert_eq!(twin.unwrap_err(), SumError::TooFew { have: 0, need: 2 });
}

#[test]
fn an_owner_never_makes_a_second_message() {
    let mut world = World::new(&Plan::of(3, 20));
    let values = world.values();
    let mut owner = world.owner(1);
    let before = owner.snapshot();
    let sent = owner.contribute(&mut world.rng, &values).unwrap();
    assert_eq!(owner.contribute(&mut world.rng, &values), Err(SumError::Spent));
    let (session, terms) = (world.session.clone(), world.terms.clone());
    let identity = world.identities[1].clone();
    let restore = |bytes: &[u8]| {
        let (session, terms, identity) = (session.clone(), terms.clone(), identity.clone());
        crate::aggregation::nx::Owner::restore(session, terms, OwnerId(1), identity, bytes).unwrap()
    };
    let mut again = restore(&owner.snapshot());
    assert_eq!(again.sent(), Some(sent));
    assert_eq!(again.contribute(&mut world.rng, &values), Err(SumError::Spent));
    // The twin lost its state and its generator repeats itself: the difference of its two
    // messages is that of its two updates, in the clear.
    let other: Vec<_> = values.iter().map(|value| value / 2).collect();
    let twin = |values: &[i64]| {
        let mut rng = ChaCha12Rng::seed_from_u64(5);
        Contribution::decode(&restore(&before).contribute(&mut rng, values).unwrap()).unwrap()
    };
    let (first, second) = (twin(&values), twin(&other));
    let mut difference = first.masked.clone();
    nexus_field::ring::sub(difference.words_mut(), second.masked.words());
    let key = [0; nexus_field::N];
    let open = crate::aggregation::nx::masked::unmask;
    let leak = open(&session.manifest, terms.packing, &key, &difference, 20).values;
    assert_eq!(leak, values.iter().zip(&other).map(|(a, b)| a - b).collect::<Vec<_>>());
    // So is an equation on its key: the blinding cancels.
    let [r1, r2] = [&first, &second].map(|message| challenge::packets(&message.header));
    assert_ne!(r1, r2);
    let equation = first.header.check.at_secret(1) - second.header.check.at_secret(1);
    assert_ne!(equation, nexus_field::Cubic::ZERO);
}

#[test]
fn messages_that_are_not_the_owners_own_are_refused() {
    let mut world = World::new(&Plan::of(3, 20));
    let values = world.values();
    let honest = world.message(0, &values);
    let from = |id| Peer::Owner(OwnerId(id));
    let name = from(0);
    assert_eq!(world.collector.receive(from(1), &honest), Err(Refusal::OtherSender { name }));
    assert_eq!(world.collector.receive(from(3), &honest), Err(Refusal::Stranger));
    let change = |change: &dyn Fn(&mut Contribution)| {
        let mut message = Contribution::decode(&honest).unwrap();
        change(&mut message);
        message.encode().unwrap()
    };
    let wrong = [change(&|m| m.packets.swap(0, 1)), change(&|m| m.masked.words_mut()[0] ^= 1)];
    for message in wrong {
        let refused = world.collector.receive(from(0), &message);
        assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    }
    let oversize = change(&|m| m.masked.words_mut().resize(2 * nexus_field::N, 0));
    let refused = world.collector.receive(from(0), &oversize);
    assert!(matches!(refused, Err(Refusal::Length { got: 8192, expected: 4096, .. })));
    let fewer = change(&|m| m.packets.truncate(3));
    let refused = world.collector.receive(from(0), &fewer);
    assert!(matches!(refused, Err(Refusal::Length { got: 3, expected: 4, .. })));
    let longer = change(&|m| m.packets[1].0.push(0));
    let refused = world.collector.receive(from(0), &longer);
    assert!(matches!(refused, Err(Refusal::Length { .. })), "it would not reach the member");
    // A copy under another name fails at the signature, and signed anew at the packets' context.
    let copied = change(&|m| m.header.owner = OwnerId(1));
    assert_eq!(world.collector.receive(from(1), &copied), Err(Refusal::Signature));
    let resigned = change(&|m| {
        m.header.owner = OwnerId(1);
        m.signature = m.header.sign(&world.identities[1]).unwrap();
    });
    world.accept(0, &honest);
    world.accept(1, &resigned);
    world.accept(0, &honest);
    assert_eq!(world.collector.contributions(), 2, "the same message again is no second one");
    let second = world.message(0, &values);
    assert_eq!(world.collector.receive(from(0), &second), Err(Refusal::Contradiction));
    for id in [1, 2] {
        let refused = world.collector.receive(from(id), &second);
        assert!(matches!(refused, Err(Refusal::OtherSender { .. })));
    }
    let error = SumError::TooFew { have: 1, need: 2 };
    assert_eq!(world.finish(), Err(error), "all members complain about the copy");
}
