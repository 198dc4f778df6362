//! A coordinator that cheats, dies, or asks too much.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_field::{Cubic, Fp, N};
use nexus_types::{Canonical, MemberId, OwnerId};

use super::programs::{other_manifest, without};
use super::world::{Plan, World, plain_sum};
use crate::aggregation::nx::challenge;
use crate::aggregation::nx::list::List;
use crate::aggregation::nx::message::packet_context;
use crate::aggregation::nx::{
    AuditError, Collector, Contribution, Delivery, MemberEffect, Opening, Terms, Transcript,
    Verdict, audit,
};
use crate::aggregation::{
    Collector as _, Contributor as _, Opened, Peer, Progress, Refusal, Session, SumError,
};

/// The same word in every slot is a constant: this adds 5 to the first value.
fn add_five(words: &mut [u64]) {
    words[..N].iter_mut().for_each(|word| *word = (Fp::new(*word) + Fp::new(5)).value());
}

fn summed(keep_messages: bool) -> (World, Vec<Vec<i64>>, Opened, Transcript) {
    let mut world = World::new(&Plan { keep_messages, ..Plan::of(3, 20) });
    let values: BTreeMap<_, _> = (0..3).map(|id| (id, world.values())).collect();
    let opened = world.sum(&values).unwrap();
    let transcript = Transcript::decode(opened.transcript.as_deref().unwrap()).unwrap();
    (world, values.into_values().collect(), opened, transcript)
}

#[test]
fn a_vector_of_the_coordinators_own_shows_in_the_fingerprints() {
    // Without kept messages nobody can see it, and the audit says so.
    let mut world = World::new(&Plan::of(3, 20));
    for id in 0..3 {
        let message = world.message(id, &[1; 20]);
        world.accept(id, &message);
    }
    add_five(world.collector.running_sum().words_mut());
    let opened = world.finish().unwrap();
    let audited = audit(&Transcript::decode(&opened.transcript.unwrap()).unwrap()).unwrap();
    assert_eq!((audited.sum[0], audited.sum_audited), (3 + 5, false));

    let (_, values, opened, transcript) = summed(true);
    let audited = audit(&transcript).unwrap();
    assert_eq!((&audited.sum, audited.sum_audited), (&plain_sum(&values), true));
    assert_eq!(audited.sum, opened.sum);
    let mut added = transcript.clone();
    add_five(added.sums[0].words_mut());
    assert_eq!(audit(&added), Err(AuditError::Fingerprints));
    let mut blamed = transcript;
    blamed.fingerprints.as_mut().unwrap()[1] += Cubic::ONE;
    assert_eq!(audit(&blamed), Err(AuditError::Fingerprints));
}

/// A coordinator adds a vector of its own, and puts its fingerprint on the account of owner 1.
#[test]
fn an_entry_shifted_in_the_published_list_is_seen_by_its_owner() {
    let mut world = World::new(&Plan { keep_messages: true, ..Plan::of(3, 20) });
    let mut owners: Vec<_> = (0..3).map(|id| world.owner(id)).collect();
    let mut vectors = Vec::new();
    for (id, owner) in (0..).zip(&mut owners) {
        let message = owner.contribute(&mut world.rng, &[1; 20]).unwrap();
        vectors.push(Contribution::decode(&message).unwrap().masked);
        world.accept(id, &message);
    }
    let opened = world.finish().unwrap();
    let honest = Opening::decode(&opened.notices[1].message).unwrap();
    let mut published = Transcript::decode(&opened.transcript.unwrap()).unwrap();
    assert!(honest.agrees(&audit(&published).unwrap()));

    add_five(published.sums[0].words_mut());
    let (set, sums) =
        (honest.certificate.proposal.digest().unwrap(), challenge::sums_digest(&published.sums));
    let r = challenge::fingerprints(&world.session.manifest, &set, &sums);
    let fingerprint = challenge::Fingerprint::new(r);
    let own: Vec<_> = vectors.iter().map(|vector| fingerprint.of(vector)).collect();
    let mut shifted = own.clone();
    shifted[1] = fingerprint.of(&published.sums[0]) - own[0] - own[2];
    published.fingerprints = Some(shifted.clone());
    let audited = audit(&published).unwrap();
    assert_eq!((audited.sum[0], audited.sum_audited), (3 + 5, true), "no auditor sees it alone");

    let list =
        |entries: &[Cubic]| List::new(&set, &sums, OwnerId::all(3).zip(entries.iter().copied()));
    let (shown, listed) = (list(&own), list(&shifted));
    let notice = |list: &List, place: usize, fingerprint| Opening {
        certificate: honest.certificate.clone(),
        sums,
        root: list.root,
        fingerprint,
        path: list.path(place),
    };
    let rng = &mut world.rng;
    let mut says = |id: usize, notice: &Opening| owners[id].receive(rng, &notice.encode().unwrap());
    // Shown the published list, owner 1 does not find its fingerprint there.
    for path in [&shown, &listed] {
        let notice = Opening { path: path.path(1), ..notice(&listed, 1, own[1]) };
        assert!(matches!(says(1, &notice), Err(Refusal::Forbidden { .. })));
    }
    assert!(matches!(says(1, &notice(&listed, 1, shifted[1])), Err(Refusal::Forbidden { .. })));
    // Shown a list of true entries, it accepts, as it would in the twin that has no root; but
    // that list is not the one that was audited.
    assert_eq!(says(1, &notice(&shown, 1, own[1])), Ok(None));
    assert_eq!(says(0, &notice(&listed, 0, own[0])), Ok(None));
    assert!(!owners[1].opening().unwrap().agrees(&audited));
    assert!(owners[0].opening().unwrap().agrees(&audited));
}

#[test]
fn a_transcript_that_was_changed_does_not_hold() {
    let (.., transcript) = summed(true);
    let broken = |change: &dyn Fn(&mut Transcript)| {
        let mut changed = transcript.clone();
        change(&mut changed);
        audit(&changed).unwrap_err()
    };
    let certificate = |error| matches!(error, AuditError::Certificate { .. });
    assert!(certificate(broken(&|t| t.headers.truncate(2))), "another set");
    assert!(certificate(broken(&|t| t.votes.truncate(2))));
    assert!(certificate(broken(&|t| t.terms.slot = 1)));
    let message = |error| matches!(error, AuditError::Message { .. });
    assert!(message(broken(&|t| t.headers[0].0.commitment = Some(other_manifest()))));
    assert!(message(broken(&|t| t.manifest = other_manifest())));
    assert!(message(broken(&|t| t.answers[0].rows[0][0] += Fp::ONE)));
    assert!(message(broken(&|t| t.answers[0] = t.answers[1].clone())));
    assert_eq!(
        broken(&|t| t.sums.truncate(0)),
        AuditError::Count { what: "summed vectors", got: 0, expected: 1 }
    );
    assert!(matches!(
        broken(&|t| t.answers.truncate(2)),
        AuditError::Sum(SumError::CommitteeSilent { have: 2, need: 3, .. })
    ));
    assert!(matches!(broken(&|t| t.n_min = 4), AuditError::Sum(SumError::Setting { .. })));
}

#[test]
fn an_owner_checks_what_became_of_its_message() {
    let mut world = World::new(&Plan { keep_messages: true, ..Plan::of(3, 20) });
    let mut owners: Vec<_> = (0..3).map(|id| world.owner(id)).collect();
    for (id, owner) in (0..).zip(&mut owners) {
        let message = owner.contribute(&mut world.rng, &[1; 20]).unwrap();
        world.accept(id, &message);
    }
    let opened = world.finish().unwrap();
    assert_eq!(opened.notices.len(), 3);
    let notice = Opening::decode(&opened.notices[1].message).unwrap();
    let owner = &mut owners[1];
    let rng = &mut world.rng;
    let mut says = |notice: &Opening| owner.receive(rng, &notice.encode().unwrap());
    let wrong = Opening { fingerprint: notice.fingerprint + Cubic::ONE, ..notice.clone() };
    assert!(matches!(says(&wrong), Err(Refusal::Forbidden { .. })));
    let mut uncertified = notice.clone();
    uncertified.certificate.votes.truncate(2);
    assert!(matches!(says(&uncertified), Err(Refusal::Length { .. })));
    let mut without_it = notice.clone();
    without_it.certificate.proposal = without(&notice.certificate.proposal, 1);
    assert_eq!(says(&without_it), Err(Refusal::Signature));
    assert_eq!(says(&notice), Ok(None));
    assert_eq!(says(&notice), Ok(None), "again");
    assert_eq!(says(&wrong), Err(Refusal::Contradiction));
    assert!(owners[1].opening().is_some());
}

#[test]
fn a_packet_of_another_round_or_name_does_not_open() {
    let mut world = World::new(&Plan::of(3, 20));
    let old = Contribution::decode(&world.message(0, &[1; 20])).unwrap();
    let deliver = |message: &Contribution, member: usize| {
        let Contribution { header, signature, packets, .. } = message.clone();
        Delivery { header, signature, packet: packets[member].clone() }.encode().unwrap()
    };
    // The next slot of the same committee.
    let members = world.members.clone();
    let plan = Plan { seed: 2, ..Plan::of(3, 20) };
    let mut next = World::with(&plan, members, 1, world.rng.clone());
    let mut closed = next.members[0].clone();
    closed.expire(0);
    assert_eq!(closed.receive(&deliver(&old, 0)), Err(Refusal::OtherRound));
    // An owner that signs the old packets for the new round: they are sealed to other keys, in
    // another context.
    let mut replayed = old.clone();
    replayed.header.manifest = next.session.manifest;
    replayed.signature = replayed.header.sign(&next.identities[0]).unwrap();
    let effects = next.members[0].receive(&deliver(&replayed, 0)).unwrap();
    let [MemberEffect::Send(verdict)] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(Verdict::decode(verdict).unwrap().complaint.is_some());
    // A coordinator that mixes packets up is refused; it is no complaint about the owner.
    let mixed = deliver(&old, 1);
    assert!(matches!(world.members[0].receive(&mixed), Err(Refusal::Forbidden { .. })));
    // The seal itself is bound to everything.
    let key = world.members[0].leak().remove(0);
    let opens = |manifest, owner, member, masked| {
        let context = packet_context(manifest, OwnerId(owner), MemberId(member), masked);
        key.open(&context, &old.packets[0]).is_ok()
    };
    let (manifest, masked) = (&world.session.manifest, &old.header.masked);
    assert!(opens(manifest, 0, 0, masked));
    assert!(!opens(&next.session.manifest, 0, 0, masked), "another round");
    assert!(!opens(manifest, 1, 0, masked), "another owner");
    assert!(!opens(manifest, 0, 1, masked), "another member");
    assert!(!opens(manifest, 0, 0, &other_manifest()), "another vector");
    // The twin seals without a context: what is copied opens under any name, in any round.
    let row = key.open(&packet_context(manifest, OwnerId(0), MemberId(0), masked), &old.packets[0]);
    let loose = key.public().seal(&mut world.rng, b"", &row.unwrap()).unwrap();
    assert!(key.open(b"", &loose).is_ok(), "the twin opens");
}

#[test]
fn a_sum_of_too_few_is_refused_by_everybody() {
    let mut world = World::new(&Plan { n_min: 3, ..Plan::of(4, 20) });
    for id in 0..2 {
        let message = world.message(id, &[1; 20]);
        world.accept(id, &message);
    }
    let proposal = world.collector.proposal();
    let refused = world.members[0].receive(&proposal.encode().unwrap());
    assert!(matches!(refused, Err(Refusal::Forbidden { .. })));
    assert_eq!(world.finish(), Err(SumError::TooFew { have: 2, need: 3 }));
}

#[test]
fn terms_that_protect_nobody_are_refused() {
    let world = World::new(&Plan::of(6, 20));
    let setup = |session: &dyn Fn(&mut Session), terms: &dyn Fn(&mut Terms)| {
        let (mut own, mut their) = (world.session.clone(), (*world.terms).clone());
        session(&mut own);
        terms(&mut their);
        Collector::new(own, Arc::new(their)).err()
    };
    let setting = |error: Option<SumError>| match error {
        Some(SumError::Setting { setting, .. }) => setting,
        other => panic!("{other:?}"),
    };
    let as_it_is = |_: &mut Terms| {};
    assert!(setup(&|_| {}, &as_it_is).is_none());
    assert_eq!(setting(setup(&|s| s.n_min = 1, &as_it_is)), "n_min");
    assert_eq!(setting(setup(&|s| s.n_min = 7, &as_it_is)), "n_min");
    assert_eq!(setting(setup(&|s| s.values = 0, &as_it_is)), "values");
    assert_eq!(setting(setup(&|_| {}, &|t| t.members.truncate(3))), "members");
    assert_eq!(setting(setup(&|_| {}, &|t| t.leaves = 0)), "leaves");
    assert_eq!(setting(setup(&|_| {}, &|t| t.leaves = 2)), "leaves", "without kept messages");
    let keep = |leaves| move |t: &mut Terms| (t.keep_messages, t.leaves) = (true, leaves);
    assert!(setup(&|_| {}, &keep(3)).is_none());
    assert_eq!(setting(setup(&|_| {}, &keep(4))), "leaves", "of one owner each");
    let larger = Plan::of(11, 20);
    let mut session = World::new(&larger).session;
    session.n_min = 2;
    let error = Collector::new(session, Arc::clone(&world.terms)).err();
    assert_eq!(setting(error), "owners");
}

#[test]
fn a_coordinator_goes_on_from_its_snapshot_in_every_phase() {
    for keep_messages in [false, true] {
        let mut world = World::new(&Plan { keep_messages, ..Plan::of(3, 20) });
        let restart = |world: &mut World| {
            let (session, terms) = (world.session.clone(), Arc::clone(&world.terms));
            let held = world.collector.held_bytes();
            world.collector =
                Collector::restore(session, terms, &world.collector.snapshot()).unwrap();
            assert_eq!(world.collector.held_bytes(), held);
            assert_eq!(world.collector.contributions(), 3);
            assert!(world.collector.waiting().iter().all(|peer| matches!(peer, Peer::Member(_))));
            let again = world.collector.repeat();
            world.pass(again);
            assert!(world.collector.waiting().is_empty());
        };
        for id in 0..3 {
            let message = world.message(id, &[i64::from(id); 20]);
            // All packets are lost; they are sent again after the restart.
            world.collector.receive(Peer::Owner(OwnerId(id)), &message).unwrap();
        }
        restart(&mut world);
        for _ in 0..2 {
            assert!(matches!(world.collector.close(), Ok(Progress::Continue(_))));
            restart(&mut world);
        }
        assert_eq!(world.finish().unwrap().sum, [3; 20]);
    }
    let world = World::new(&Plan::of(3, 20));
    let mut session = world.session.clone();
    session.manifest = other_manifest();
    let foreign = Collector::restore(session, world.terms, &world.collector.snapshot());
    assert!(matches!(foreign, Err(SumError::Snapshot { .. })));
}

#[test]
fn a_late_message_of_a_member_is_late_and_not_malformed() {
    let mut world = World::new(&Plan::of(2, 3));
    let mut late = Vec::new();
    for id in 0..2 {
        let message = world.message(id, &[1; 3]);
        let packets = world.collector.receive(Peer::Owner(OwnerId(id)), &message).unwrap();
        let MemberEffect::Send(verdict) =
            world.members[0].receive(&packets[0].message).unwrap().remove(0)
        else {
            panic!()
        };
        late.push(verdict);
        world.pass(packets);
    }
    let member = Peer::Member(MemberId(0));
    let junk = world.collector.receive(member, b"junk");
    assert!(matches!(junk, Err(Refusal::Malformed { .. })));
    while world.collector.close().is_ok_and(|progress| match progress {
        Progress::Continue(messages) => {
            assert_eq!(world.collector.receive(member, &late[0]), Err(Refusal::OutOfTurn));
            for outgoing in &messages {
                let Peer::Member(id) = outgoing.to else { panic!() };
                for effect in world.members[id.index()].receive(&outgoing.message).unwrap() {
                    let MemberEffect::Send(reply) = effect else { continue };
                    world.collector.receive(outgoing.to, &reply).unwrap();
                    if id == MemberId(0) {
                        late.push(reply);
                    }
                }
            }
            true
        }
        Progress::Done(opened) => {
            assert_eq!(opened.sum, [2; 3]);
            false
        }
    }) {}
    assert_eq!(late.len(), 4, "two verdicts, a vote and an answer");
    for message in late {
        assert_eq!(world.collector.receive(member, &message), Err(Refusal::OutOfTurn));
    }
}

#[test]
fn members_that_say_nothing_are_set_aside() {
    let mut world = World::new(&Plan::of(9, 3));
    world.silent = [MemberId(2)].into();
    let values = (0..9).map(|id| (id, vec![1; 3])).collect();
    let opened = world.sum(&values).unwrap();
    assert_eq!((opened.sum, opened.silent), (vec![9; 3], vec![MemberId(2)]));
    assert_eq!(opened.survivors.len(), 9);
}

#[test]
fn the_collector_holds_one_batch_of_vectors() {
    let mut world = World::new(&Plan::of(16, 3));
    for id in 0..16 {
        let message = world.message(id, &[1; 3]);
        world.accept(id, &message);
        // The sum, and fewer than a batch that wait to be added together.
        assert!(world.collector.held_bytes() <= 8 * 8 * N);
    }
}
