//! Hostile bytes: typed errors, one encoding per value, bounded memory.

use nexus_field::P;
use nexus_types::{Canonical, MemberId, OwnerId, tag_of};
use proptest::prelude::*;

use super::world::{Plan, World};
use crate::aggregation::nx::describe::KINDS;
use crate::aggregation::nx::{
    Contribution, MemberEffect, Owner, Reminder, Transcript, Vote, audit, describe,
};
use crate::aggregation::{Collector as _, Contributor as _, Outgoing, Peer, Progress};

/// One of each message, as a sum produces them.
fn messages() -> Vec<Vec<u8>> {
    let mut world = World::new(&Plan { keep_messages: true, ..Plan::of(2, 1) });
    let mut all = vec![world.terms.encode().unwrap()];
    let mut member = world.members[0].clone();
    let published = member.publish(&mut world.rng, 7, 2).unwrap();
    let sent = |effects: Vec<MemberEffect>| {
        effects.into_iter().filter_map(|effect| match effect {
            MemberEffect::Send(bytes) => Some(bytes.to_vec()),
            MemberEffect::Persist => None,
        })
    };
    all.extend(sent(published));
    let mut pass = |world: &mut World, messages: Vec<Outgoing>| {
        for Outgoing { to, message } in messages {
            let Peer::Member(MemberId(id)) = to else { panic!() };
            all.push(message.to_vec());
            for reply in sent(world.members[usize::from(id)].receive(&message).unwrap()) {
                world.collector.receive(to, &reply).unwrap();
                all.push(reply);
            }
        }
    };
    let mut contributions = Vec::new();
    for id in 0..2 {
        let message = world.message(id, &[1]);
        let packets = world.collector.receive(Peer::Owner(OwnerId(id)), &message).unwrap();
        pass(&mut world, packets);
        contributions.push(message.to_vec());
    }
    let opened = loop {
        match world.collector.close().unwrap() {
            Progress::Continue(messages) => pass(&mut world, messages),
            Progress::Done(opened) => break opened,
        }
    };
    let header = Contribution::decode(&contributions[0]).unwrap().header;
    all.extend(contributions);
    all.push(header.encode().unwrap());
    let vote = all.iter().find_map(|bytes| Vote::decode(bytes).ok()).unwrap();
    all.push(Reminder { vote }.encode().unwrap());
    all.push(opened.notices[0].message.to_vec());
    all.push(opened.transcript.unwrap());
    all
}

#[test]
fn every_message_is_described() {
    let all = messages();
    for (domain, _) in KINDS {
        let tag = tag_of(domain);
        assert!(all.iter().any(|bytes| bytes[1..8] == tag), "no {domain} was produced");
    }
    for bytes in &all {
        let description = describe(bytes).unwrap().unwrap();
        assert!(!description.fields.is_empty(), "{}", description.title);
        assert!(describe(&bytes[..bytes.len() - 1]).unwrap().is_err());
    }
    assert_eq!(describe(b""), None);
    assert_eq!(describe(&[0; 64]), None);
}

#[test]
fn a_word_of_the_modulus_is_refused() {
    let mut world = World::new(&Plan::of(2, 1));
    let mut message = world.message(0, &[1]).to_vec();
    assert!(Contribution::decode(&message).is_ok());
    let last = message.len() - 8;
    for word in [P, P + 1, u64::MAX] {
        message[last..].copy_from_slice(&word.to_le_bytes());
        assert!(Contribution::decode(&message).is_err(), "{word:x}");
    }
    message[last..].copy_from_slice(&(P - 1).to_le_bytes());
    assert!(Contribution::decode(&message).is_ok(), "the largest word of the field");
}

#[test]
fn a_claimed_length_allocates_nothing() {
    let mut world = World::new(&Plan::of(2, 1));
    let message = world.message(0, &[1]).to_vec();
    let words = message.len() - 8 * nexus_field::N;
    let mut huge = message[..words + 8].to_vec();
    huge[words - 4..words].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(Contribution::decode(&huge).is_err());
    let mut reader = &huge[8..];
    let streamed = <Contribution as borsh::BorshDeserialize>::deserialize_reader(&mut reader);
    assert!(streamed.is_err());
    let mut reader = &message[8..];
    let streamed = <Contribution as borsh::BorshDeserialize>::deserialize_reader(&mut reader);
    assert_eq!(streamed.unwrap(), Contribution::decode(&message).unwrap());
}

/// Every party, and bytes at each of them.
fn hear(world: &mut World, owner: &mut Owner, bytes: &[u8]) {
    let _ = describe(bytes);
    let _ = world.members[0].receive(bytes);
    let _ = world.collector.receive(Peer::Owner(OwnerId(0)), bytes);
    let _ = world.collector.receive(Peer::Member(MemberId(0)), bytes);
    let _ = owner.receive(&mut world.rng, bytes);
    if let Ok(transcript) = Transcript::decode(bytes) {
        let _ = audit(&transcript);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn damaged_messages_hurt_nobody(
        cut in any::<prop::sample::Index>(), flips in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4),
    ) {
        thread_local! {
            static ALL: (Vec<Vec<u8>>, World) = (messages(), World::new(&Plan::of(2, 1)));
        }
        ALL.with(|(all, fresh)| {
            for bytes in all {
                let mut damaged = bytes.clone();
                // Most of a vector or a packet is the same to a decoder.
                let head = damaged.len().min(600);
                for (place, flip) in &flips {
                    damaged[8 + place.index(head - 8)] ^= flip;
                }
                if let Some(Ok(_)) = describe(&damaged) {
                    // Whatever decodes is heard by everybody.
                    let mut world = fresh.copy();
                    let mut owner = world.owner(0);
                    hear(&mut world, &mut owner, &damaged);
                }
                let short = &bytes[..cut.index(bytes.len())];
                assert!(describe(short).is_none_or(|result| result.is_err()));
            }
        });
    }

    #[test]
    fn arbitrary_bytes_behind_every_tag(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        for (domain, _) in KINDS {
            let bytes = [&[1][..], &tag_of(domain), &payload].concat();
            let _ = describe(&bytes);
        }
    }
}
