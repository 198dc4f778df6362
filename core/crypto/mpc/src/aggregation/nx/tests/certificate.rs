//! One set of survivors per slot. Without the certificate, a coordinator with two sets opens one
//! owner.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_field::{Fp, N};
use nexus_types::{Canonical, Digest, MemberId, OwnerId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::programs::{certified_by, other_manifest, without};
use super::world::{JOB, Plan, World, committee, member_identity, plain_sum};
use crate::aggregation::nx::masked::{Masked, unmask};
use crate::aggregation::nx::opening::KEY_ELEMENTS;
use crate::aggregation::nx::{
    Certificate, Collector, Contribution, Entry, Member, MemberEffect, Proposal, Transcript, audit,
};
use crate::aggregation::{Collector as _, Progress, Refusal, SumError};
use crate::sharing::{Layout, recover, unpack3};

/// Three owners have contributed; the victim is owner 2, of whom also its message is known.
fn gathered(members: u16) -> (World, Vec<i64>, Masked) {
    let mut world = World::new(&Plan { members, ..Plan::of(3, 50) });
    let (mut values, mut masked) = (Vec::new(), Masked::zero(0));
    for id in 0..3 {
        values = world.values();
        let message = world.message(id, &values);
        masked = Contribution::decode(&message).unwrap().masked;
        world.accept(id, &message);
    }
    (world, values, masked)
}

fn ask(
    world: &mut World,
    member: u16,
    message: &impl Canonical,
) -> Result<Vec<MemberEffect>, Refusal> {
    world.members[usize::from(member)].receive(&message.encode().unwrap())
}

#[test]
fn without_certificates_two_sets_open_a_victim() {
    let (world, values, masked) = gathered(4);
    let all = world.collector.proposal();
    let layout = Layout::committee(4).unwrap();
    let keys = [all.clone(), without(&all, 2)].map(|set| {
        let answers = MemberId::all(4).zip(world.members.iter().map(|m| m.careless(&set)));
        let found = recover(&layout, &answers.collect(), KEY_ELEMENTS, |_| true).unwrap();
        unpack3(&found.secrets, N).unwrap()
    });
    let key: Vec<_> = keys[0].iter().zip(&keys[1]).map(|(all, rest)| all - rest).collect();
    let manifest = world.session.manifest;
    assert_eq!(unmask(&manifest, world.terms.packing, &key, &masked, 50).values, values);
}

#[test]
fn a_member_votes_once_and_answers_the_certified_set_only() {
    let (mut world, ..) = gathered(4);
    let all = world.collector.proposal();
    let fewer = without(&all, 2);
    let votes = ask(&mut world, 0, &all).unwrap();
    assert_eq!(votes[0], MemberEffect::Persist);
    assert_eq!(ask(&mut world, 0, &all).unwrap(), votes[1..], "the same vote again");
    assert_eq!(ask(&mut world, 0, &fewer), Err(Refusal::Contradiction));
    // The corrupt majority certifies another set: the member does not answer it.
    let other = certified_by(&[1, 2, 3], &fewer);
    assert_eq!(ask(&mut world, 0, &other), Err(Refusal::Contradiction));
    let answer = ask(&mut world, 0, &certified_by(&[1, 2, 3], &all)).unwrap();
    assert_eq!(answer[0], MemberEffect::Persist);
    let again = certified_by(&[0, 1, 2], &all);
    assert_eq!(ask(&mut world, 0, &again).unwrap(), answer[1..], "the stored answer");
    assert_eq!(ask(&mut world, 0, &other), Err(Refusal::Contradiction), "a second set");
    assert_eq!(ask(&mut world, 0, &fewer), Err(Refusal::Contradiction));
}

#[test]
fn a_certificate_needs_a_quorum_of_different_members_for_this_set() {
    let (mut world, ..) = gathered(4);
    let all = world.collector.proposal();
    let too_few = certified_by(&[1, 2], &all);
    let refusal = Refusal::Length { what: "votes".to_owned(), got: 2, expected: 3 };
    assert_eq!(ask(&mut world, 0, &too_few), Err(refusal));
    let twice = certified_by(&[1, 2, 2], &all);
    assert!(matches!(ask(&mut world, 0, &twice), Err(Refusal::Forbidden { .. })));
    let stranger =
        Certificate { votes: certified_by(&[1, 2, 4], &all).votes, proposal: all.clone() };
    assert_eq!(ask(&mut world, 0, &stranger), Err(Refusal::Stranger));
    let votes = certified_by(&[1, 2, 3], &without(&all, 2)).votes;
    let other_set = Certificate { proposal: all, votes };
    assert_eq!(ask(&mut world, 0, &other_set), Err(Refusal::Signature));
}

#[test]
fn sets_that_are_no_sets_are_refused() {
    let (mut world, ..) = gathered(4);
    let all = world.collector.proposal();
    let change = |change: &dyn Fn(&mut Proposal)| {
        let mut proposal = all.clone();
        change(&mut proposal);
        proposal
    };
    let forbidden = [
        change(&|p| p.entries.truncate(1)),
        change(&|p| p.entries[1] = p.entries[0]),
        change(&|p| p.entries.swap(0, 1)),
        change(&|p| p.entries[2].owner = OwnerId(3)),
        change(&|p| p.entries[2].header = Digest([0; 32])),
        change(&|p| p.entries.push(Entry { owner: OwnerId(9), header: Digest([0; 32]) })),
    ];
    for proposal in forbidden {
        let refused = |result| matches!(result, Err(Refusal::Forbidden { .. }));
        assert!(refused(ask(&mut world, 0, &proposal)), "{proposal:?}");
        let certificate = certified_by(&[1, 2, 3], &proposal);
        assert!(refused(ask(&mut world, 0, &certificate)), "{proposal:?}");
    }
    for other in [change(&|p| p.slot = 1), change(&|p| p.manifest = other_manifest())] {
        assert_eq!(ask(&mut world, 0, &other), Err(Refusal::OtherRound));
    }
}

/// With f members of 16 on its side, a coordinator that splits the honest members between two
/// sets opens one of them and has ten rows of the other: of three secrets per polynomial, two
/// follow from the third.
#[test]
fn ramp_shares_leak_between_privacy_and_recovery_unless_certified() {
    let (mut world, ..) = gathered(16);
    let all = world.collector.proposal();
    let fewer = without(&all, 2);
    let truth = {
        let answers = MemberId::all(16).zip(world.members.iter().map(|m| m.careless(&fewer)));
        let layout = Layout::committee(16).unwrap();
        recover(&layout, &answers.collect(), KEY_ELEMENTS, |_| true).unwrap().secrets
    };
    // Members 0..5 are corrupt; 5..11 would answer for all, 11..16 for fewer.
    let split: Vec<_> = [0, 1, 2, 3, 4, 11, 12, 13, 14, 15]
        .map(|m: u16| (Fp::from(u32::from(m) + 1), world.members[usize::from(m)].careless(&fewer)))
        .into();
    for polynomial in [0, 7, 100] {
        let mut points: Vec<_> = split.iter().map(|(x, row)| (*x, row[polynomial])).collect();
        let secret = |place: usize| truth[3 * polynomial + place];
        points.push((-Fp::ONE, secret(0)));
        assert_eq!(interpolate(&points, -Fp::new(2)), secret(1));
        assert_eq!(interpolate(&points, -Fp::new(3)), secret(2));
    }
    // The real members: once a set has votes, the other has no answers.
    for member in 5..11 {
        ask(&mut world, member, &all).unwrap();
    }
    for member in 11..16 {
        ask(&mut world, member, &fewer).unwrap();
    }
    let quorum = usize::from(Layout::committee(16).unwrap().quorum());
    assert!(5 + 5 < quorum, "the corrupt and the misled do not certify the second set");
    let forged = certified_by(&[0, 1, 2, 3, 4, 11, 12, 13, 14, 15], &fewer);
    assert!(ask(&mut world, 12, &forged).is_err());
}

/// The value at `x` of the polynomial through `points`.
fn interpolate(points: &[(Fp, Fp)], x: Fp) -> Fp {
    let term = |(i, &(xi, yi)): (usize, &(Fp, Fp))| {
        let others = points.iter().enumerate().filter(|(j, _)| *j != i);
        others.fold(yi, |term, (_, &(xj, _))| term * (x - xj) * (xi - xj).inverse().unwrap())
    };
    points.iter().enumerate().map(term).sum()
}

#[test]
fn without_a_quorum_there_is_no_sum() {
    let (mut world, ..) = gathered(4);
    world.silent = [MemberId(0)].into();
    let Progress::Continue(proposal) = world.collector.close().unwrap() else { panic!() };
    world.silent = [MemberId(0), MemberId(1)].into();
    world.pass(proposal);
    let missing = vec![MemberId(0), MemberId(1)];
    assert_eq!(
        world.collector.close(),
        Err(SumError::CommitteeSilent { have: 2, need: 3, missing })
    );
    assert_eq!(world.collector.close(), Err(SumError::OutOfTurn), "it is not tried again");
}

#[test]
fn fewer_answers_than_recovery_open_nothing() {
    let (mut world, ..) = gathered(4);
    for _ in 0..2 {
        let Progress::Continue(messages) = world.collector.close().unwrap() else { panic!() };
        let certificate = Certificate::decode(&messages[0].message).is_ok();
        if certificate {
            world.silent = [MemberId(1), MemberId(2)].into();
        }
        world.pass(messages);
    }
    let missing = vec![MemberId(1), MemberId(2)];
    assert_eq!(
        world.collector.close(),
        Err(SumError::CommitteeSilent { have: 2, need: 3, missing })
    );
}

#[test]
fn a_member_that_gave_no_key_is_not_missed() {
    for members in [4, 7] {
        let mut rng = ChaCha12Rng::seed_from_u64(3);
        let (mut committee, late) = (committee(members, 2, &mut rng), MemberId(members - 1));
        committee[late.index()] = Member::new(JOB, late, member_identity(late));
        let plan = Plan { members, keep_messages: true, ..Plan::of(3, 50) };
        let mut world = World::with(&plan, committee, 0, rng);
        let values: BTreeMap<_, _> = (0..3).map(|id| (id, world.values())).collect();
        for (&id, values) in &values {
            let message = world.message(id, values);
            world.accept(id, &message);
        }
        assert_eq!(world.collector.waiting(), [], "nobody waits for it");
        let opened = world.finish().unwrap();
        assert_eq!((opened.sum, opened.silent), (plain_sum(values.values()), vec![late]));
        let transcript = Transcript::decode(&opened.transcript.unwrap()).unwrap();
        assert_eq!(audit(&transcript).unwrap().survivors, OwnerId::all(3).collect::<Vec<_>>());

        let mut terms = (*world.terms).clone();
        let quorum = usize::from(Layout::committee(members).unwrap().quorum());
        terms.members[..=usize::from(members) - 1 - quorum]
            .iter_mut()
            .for_each(|m| m.packet = None);
        let few = Collector::new(world.session, Arc::new(terms)).unwrap_err();
        assert!(matches!(few, SumError::Setting { .. }), "{few}");
    }
}
