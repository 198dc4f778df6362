//! State machines: what they refuse leaves them as they were, and what they restore is what was
//! saved.

use std::sync::{Arc, LazyLock, Mutex};

use nexus_mpc::aggregation::nx::Restored;
use nexus_mpc::aggregation::{Collector, Contributor, Peer, nx, secagg_plus};
use nexus_mpc::psi::Outcome;
use nexus_mpc::threshold::dkg::Generation;
use nexus_training::{Coordinator, CoordinatorEvent, Participant, ParticipantEvent};
use nexus_types::{MemberId, OwnerId, Timestamp};

use crate::corpus::{Made, keys, nx as nx_corpus, psi, rng, secagg, training};

/// The session, without which a target could test nothing.
fn honest<T>(made: Made<T>) -> T {
    match made {
        Ok(made) => made,
        Err(error) => panic!("honest parties failed: {error}"),
    }
}

fn to_collector<C: Collector>(collector: &C, from: Peer, bytes: &[u8]) {
    let mut after = collector.clone();
    if after.receive(from, bytes).is_err() {
        assert_eq!(after.snapshot(), collector.snapshot(), "a refused message changed something");
    }
}

fn to_owner<C: Contributor>(owner: &C, bytes: &[u8]) {
    let mut after = owner.clone();
    if after.receive(&mut rng(9), bytes).is_err() {
        assert_eq!(after.snapshot(), owner.snapshot(), "a refused message changed something");
    }
}

pub(crate) fn nx_parties(bytes: &[u8]) {
    let world = honest(nx_corpus::world());
    for collector in &world.collectors {
        to_collector(collector, Peer::Owner(OwnerId(1)), bytes);
        to_collector(collector, Peer::Member(MemberId(1)), bytes);
    }
    for owner in &world.owners {
        to_owner(owner, bytes);
    }
    for member in &world.members {
        let mut after = member.clone();
        if after.receive(bytes).is_err() {
            assert_eq!(after.snapshot(), member.snapshot(), "a refused message changed something");
        }
    }
}

pub(crate) fn nx_snapshots(bytes: &[u8]) {
    let world = honest(nx_corpus::world());
    let (session, terms) = (world.session.clone(), Arc::clone(&world.terms));
    let restored = nx::Collector::restore(session.clone(), Arc::clone(&terms), bytes);
    assert!(restored.map_or(true, |collector| collector.snapshot() == bytes), "not what was saved");
    let (id, owner) = (OwnerId(0), nx_corpus::owner_identity(OwnerId(0)));
    let restored = nx::Owner::restore(session, terms, id, owner, bytes);
    assert!(restored.map_or(true, |owner| owner.snapshot() == bytes), "not what was saved");
    let (id, member) = (MemberId(0), nx_corpus::member_identity(MemberId(0)));
    let restored = nx::Member::restore(id, member, bytes, Restored::Continued);
    assert!(restored.map_or(true, |member| member.snapshot() == bytes), "not what was saved");
}

pub(crate) fn secagg_parties(bytes: &[u8]) {
    let world = honest(secagg::world());
    for collector in &world.collectors {
        to_collector(collector, Peer::Owner(OwnerId(1)), bytes);
    }
    for owner in &world.owners {
        to_owner(owner, bytes);
    }
}

pub(crate) fn secagg_snapshots(bytes: &[u8]) {
    let world = honest(secagg::world());
    let restored = secagg_plus::Collector::restore(world.session.clone(), world.terms, bytes);
    assert!(restored.map_or(true, |collector| collector.snapshot() == bytes), "not what was saved");
    let (id, identity) = (OwnerId(0), secagg::identity(OwnerId(0)));
    let restored =
        secagg_plus::Owner::restore(world.session.clone(), world.terms, id, identity, bytes);
    assert!(restored.map_or(true, |owner| owner.snapshot() == bytes), "not what was saved");
}

/// Offers the bytes to both parties before every message. If all were refused, the outcome is the
/// right one.
pub(crate) fn psi_parties(bytes: &[u8]) {
    for variant in psi::VARIANTS {
        let outcome = psi::run(variant, |_, receiver, sender| {
            receiver.receive(bytes).is_err() && sender.receive(bytes).is_err()
        });
        let right = match outcome {
            Ok(None) => true,
            Ok(Some(Outcome::Intersection(places))) => places == [1],
            Ok(Some(Outcome::Cardinality(count))) => count == 1,
            Ok(Some(Outcome::Sum { cardinality, total })) => (cardinality, total) == (1, 3),
            Err(_) => false,
        };
        assert!(right, "a refused message changed something");
    }
}

/// Key generations in every phase. Posts are signed, so what is made up is refused.
pub(crate) fn threshold_parties(bytes: &[u8]) {
    static MEMBERS: LazyLock<Mutex<Vec<Generation>>> = LazyLock::new(|| {
        let first = |phases| honest(keys::generate(phases)).machines.into_iter().next();
        Mutex::new((0..keys::PHASES).filter_map(first).collect())
    });
    let mut members = MEMBERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for member in members.iter_mut() {
        drop(member.receive(bytes));
    }
}

pub(crate) fn training_parties(bytes: &[u8]) {
    let world = honest(training::world());
    for coordinator in &world.coordinators {
        let event = CoordinatorEvent::Message { from: Peer::Owner(OwnerId(1)), bytes };
        drop(coordinator.clone().step(Timestamp(1), event));
    }
    for participant in &world.participants {
        drop(participant.clone().step(&mut rng(9), ParticipantEvent::Message(bytes)));
    }
}

/// What is restored is what was saved, and can go on.
pub(crate) fn training_snapshots(bytes: &[u8]) {
    if let Ok(mut coordinator) = Coordinator::restore(training::plan(), bytes) {
        assert!(coordinator.snapshot().is_ok_and(|snapshot| snapshot == bytes));
        drop(coordinator.step(Timestamp(1), CoordinatorEvent::Restarted));
    }
    if let Ok(mut participant) = Participant::restore(training::plan(), OwnerId(0), None, bytes) {
        assert!(participant.snapshot().is_ok_and(|snapshot| snapshot == bytes));
        drop(participant.step(&mut rng(9), ParticipantEvent::Restarted));
    }
}
