//! Bytes from anywhere, to everyone.

use std::collections::BTreeMap;

use nexus_types::{Canonical, CodecError, OwnerId, tag_of};
use proptest::prelude::*;

use super::stage::{Stage, index, message_to, peer, rng};
use crate::aggregation::secagg_plus::message::{
    Advert, Certificate, Delivery, Directory, Masked, Packet, Proposal, Reveal, Shares, Vote,
};
use crate::aggregation::secagg_plus::secret::Sealed;
use crate::aggregation::secagg_plus::{Collector, Owner, Terms, describe};
use crate::aggregation::{Collector as _, Contributor, Outgoing, Peer, Refusal};

const DOMAINS: [&str; 10] = [
    Terms::DOMAIN,
    Advert::DOMAIN,
    Directory::DOMAIN,
    Shares::DOMAIN,
    Delivery::DOMAIN,
    Masked::DOMAIN,
    Proposal::DOMAIN,
    Vote::DOMAIN,
    Certificate::DOMAIN,
    Reveal::DOMAIN,
];

/// Every message of a sum, and the parties just before each arrives.
struct Recording {
    to_owner: Vec<(Owner, Vec<u8>)>,
    to_collector: Vec<(Collector, Peer, Vec<u8>)>,
}

fn record() -> Recording {
    let mut stage = Stage::new(4, 2, Terms::default(), 21).unwrap();
    let mut recording = Recording { to_owner: Vec::new(), to_collector: Vec::new() };
    for at in 0..4 {
        let message = stage.owners[at].contribute(&mut stage.rng, &stage.values[at]).unwrap();
        recording.to_collector.push((stage.coordinator.clone(), peer(at), message.to_vec()));
        stage.coordinator.receive(peer(at), &message).unwrap();
    }
    for _ in 0..4 {
        for Outgoing { to, message } in stage.close() {
            let at = index(to);
            recording.to_owner.push((stage.owners[at].clone(), message.to_vec()));
            let answer = stage.answer(at, &message).unwrap();
            recording.to_collector.push((stage.coordinator.clone(), to, answer.clone()));
            stage.coordinator.receive(to, &answer).unwrap();
        }
    }
    recording
}

/// `receive` refuses and stays as it was, or the bytes were a message after all.
fn to_owner(owner: &Owner, bytes: &[u8]) {
    let (mut after, before) = (owner.clone(), owner.snapshot());
    if after.receive(&mut rng(1), bytes).is_err() {
        assert_eq!(after.snapshot(), before);
    }
}

fn to_collector(collector: &Collector, from: Peer, bytes: &[u8]) -> Result<(), Refusal> {
    let (mut after, before) = (collector.clone(), collector.snapshot());
    let answer = after.receive(from, bytes);
    if answer.is_err() {
        assert_eq!(after.snapshot(), before);
    }
    answer.map(|_| ())
}

#[test]
fn a_damaged_message_is_refused_by_the_collector() {
    for (collector, from, bytes) in record().to_collector {
        to_collector(&collector, from, &bytes).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            // Masked values and shares look like others; all else is bound by signatures or ids.
            let accepted = to_collector(&collector, from, &damaged).is_ok();
            let free = [Masked::DOMAIN, Shares::DOMAIN, Reveal::DOMAIN].map(tag_of);
            assert!(!accepted || free.iter().any(|tag| bytes[1..8] == tag[..]), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(to_collector(&collector, from, &bytes[..length]).is_err());
        }
    }
}

#[test]
fn a_damaged_message_is_refused_by_the_owner() {
    for (owner, bytes) in record().to_owner.into_iter().step_by(3) {
        for at in (0..bytes.len()).step_by(3) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            to_owner(&owner, &damaged);
        }
        to_owner(&owner, &bytes[..bytes.len() - 1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_bytes_are_refused(
        kind in 0usize..12, payload in prop::collection::vec(any::<u8>(), 0..200), phase in 0usize..5,
    ) {
        let mut bytes = vec![1];
        bytes.extend(DOMAINS.get(kind).map_or([9; 7], |domain| tag_of(domain)));
        bytes.extend(payload);
        if let Some(Ok(description)) = describe(&bytes) {
            prop_assert!(!description.title.is_empty());
        }
        let mut stage = Stage::new(3, 1, Terms::default(), 1).unwrap();
        if phase > 0 {
            stage.until(phase, &BTreeMap::new());
        }
        to_owner(&stage.owners[0], &bytes);
        prop_assert!(to_collector(&stage.coordinator, peer(1), &bytes).is_err());
        let terms = stage.terms;
        prop_assert!(Collector::restore(stage.session.clone(), terms, &bytes).is_err());
        let identity = stage.identities[0].clone();
        prop_assert!(Owner::restore(stage.session, terms, OwnerId(0), identity, &bytes).is_err());
    }
}

#[test]
fn lists_longer_than_their_bytes_allocate_nothing() {
    for domain in DOMAINS {
        let mut bytes = vec![1];
        bytes.extend(tag_of(domain));
        bytes.extend([0xff; 200]);
        let described = describe(&bytes).unwrap();
        assert!(matches!(
            described,
            Err(CodecError::Malformed { .. } | CodecError::TooLarge { .. })
        ));
    }
    assert!(describe(&[]).is_none() && describe(&[0; 40]).is_none());
}

#[test]
fn every_message_says_what_it_is() {
    let recording = record();
    let all = recording.to_owner.into_iter().map(|(_, bytes)| bytes);
    let all = all.chain(recording.to_collector.into_iter().map(|(_, _, bytes)| bytes));
    for bytes in all.chain([Terms::default().encode().unwrap()]) {
        let description = describe(&bytes).unwrap().unwrap();
        assert!(description.title.contains("SecAgg+") && description.fields.len() > 1);
    }
}

#[test]
fn senders_are_who_they_say_and_speak_in_turn() {
    let mut stage = Stage::new(4, 2, Terms::default(), 22).unwrap();
    let advert = stage.owners[0].contribute(&mut stage.rng, &stage.values[0]).unwrap();
    let name = Refusal::OtherSender { name: peer(0) };
    assert_eq!(to_collector(&stage.coordinator, peer(1), &advert), Err(name));
    let stranger = to_collector(&stage.coordinator, peer(4), &advert);
    assert_eq!(stranger, Err(Refusal::Stranger));
    let member = Peer::Member(nexus_types::MemberId(0));
    assert_eq!(to_collector(&stage.coordinator, member, &advert), Err(Refusal::Stranger));
    stage.coordinator.receive(peer(0), &advert).unwrap();

    let mut twice = stage.owners[0].clone();
    let mut second = Stage::new(4, 2, Terms::default(), 23).unwrap();
    let other = second.owners[0].contribute(&mut second.rng, &second.values[0]).unwrap();
    let contradiction = to_collector(&stage.coordinator, peer(0), &other);
    assert_eq!(contradiction, Err(Refusal::Contradiction));
    assert!(twice.contribute(&mut stage.rng, &[0, 0]).is_err());

    let mut late = Stage::new(4, 2, Terms::default(), 24).unwrap();
    let directories = late.until(1, &[(3, 0)].into());
    let advert = late.owners[3].contribute(&mut late.rng, &late.values[3]).unwrap();
    assert_eq!(to_collector(&late.coordinator, peer(3), &advert), Err(Refusal::OutOfTurn));
    let shares = late.answer(0, &message_to(&directories, 0)).unwrap();
    let mut fewer = Shares::decode(&shares).unwrap();
    fewer.packets.pop();
    let refusal = to_collector(&late.coordinator, peer(0), &fewer.encode().unwrap());
    assert!(matches!(refusal, Err(Refusal::Length { .. })));
    for bad in [0, 3, 9] {
        let mut odd = Shares::decode(&shares).unwrap();
        odd.packets[1] = Packet { peer: OwnerId(bad), sealed: Sealed([0; 80]) };
        let refusal = to_collector(&late.coordinator, peer(0), &odd.encode().unwrap());
        assert!(matches!(refusal, Err(Refusal::Forbidden { .. })));
    }
    late.coordinator.receive(peer(0), &shares).unwrap();
    fewer.commitment.0[0] ^= 1;
    let refusal = to_collector(&late.coordinator, peer(0), &fewer.encode().unwrap());
    assert_eq!(refusal, Err(Refusal::Contradiction));
}
