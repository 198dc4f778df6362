//! Owners that are programs with bad intentions: packets that do not open, and false shares.

use std::collections::BTreeMap;

use curve25519_dalek::Scalar;
use nexus_types::{Canonical, OwnerId};

use super::stage::{Stage, index};
use crate::aggregation::secagg_plus::Terms;
use crate::aggregation::secagg_plus::check::Weakness;
use crate::aggregation::secagg_plus::message::{Masked, Reveal, Share, Shares};
use crate::aggregation::{Collector as _, Opened, Outgoing, Progress, SumError};

const DEALER: OwnerId = OwnerId(3);

/// Ten owners, the dealer among them, whose packets to `victims` do not open. Whoever refuses an
/// honest coordinator's message is out.
fn with_bad_packets(
    victims: &[u32],
    weakness: Option<Weakness>,
) -> (Stage, Result<Opened, SumError>) {
    let mut stage = Stage::new(10, 2, Terms::default(), 31).unwrap();
    stage.owners.iter_mut().for_each(|owner| owner.weakness = weakness);
    stage.contribute(&[].into());
    let result = loop {
        let messages = match stage.coordinator.close() {
            Ok(Progress::Continue(messages)) => messages,
            Ok(Progress::Done(opened)) => break Ok(opened),
            Err(error) => break Err(error),
        };
        for Outgoing { to, message } in messages {
            let Ok(answer) = stage.answer(index(to), &message) else { continue };
            let answer = match Shares::decode(&answer) {
                Ok(shares) if shares.owner == DEALER => spoilt(shares, victims),
                Ok(_) | Err(_) => answer,
            };
            stage.coordinator.receive(to, &answer).unwrap();
        }
    };
    (stage, result)
}

fn spoilt(mut shares: Shares, victims: &[u32]) -> Vec<u8> {
    let hit = |peer: OwnerId| victims.contains(&peer.0);
    let packets = shares.packets.iter_mut().filter(|packet| hit(packet.peer));
    packets.for_each(|packet| packet.sealed.0[0] ^= 1);
    shares.encode().unwrap()
}

#[test]
fn a_packet_that_does_not_open_stops_nobody() {
    // Nine others of whom five open a secret: four packets may be bad.
    let victims = [0, 1, 5, 9];
    let (stage, result) = with_bad_packets(&victims, Some(Weakness::Unopened));
    let left: Vec<OwnerId> = [2, 3, 4, 6, 7, 8].map(OwnerId).to_vec();
    assert_eq!(result.unwrap().survivors, left, "the dealer chose who is out");
    drop(stage);

    let (stage, result) = with_bad_packets(&victims, None);
    let opened = result.unwrap();
    assert_eq!(opened.survivors.len(), 10);
    assert_eq!(opened.sum, stage.expected(&opened.survivors));
    assert!(opened.false_shares.is_empty());
}

#[test]
fn an_owner_whose_packets_nobody_opens_is_named_before_anything_is_opened() {
    let victims = [0, 1, 2, 4, 5, 6, 7, 8, 9];
    let (_, result) = with_bad_packets(&victims, Some(Weakness::Unopened));
    assert_eq!(result, Err(SumError::TooFew { have: 1, need: 6 }), "all are out, nobody is named");

    let (stage, result) = with_bad_packets(&victims, None);
    let by = victims.map(OwnerId).to_vec();
    assert_eq!(result, Err(SumError::Unopened { owner: DEALER, by }));
    assert!(stage.owners.iter().all(|owner| !owner.has_revealed()));
}

#[test]
fn complaints_are_about_packets_that_there_were_and_answers_without_them() {
    let mut stage = Stage::new(10, 2, Terms::default(), 32).unwrap();
    let deliveries = stage.until(2, &BTreeMap::new());
    let mut first = true;
    for Outgoing { to, message } in &deliveries {
        let answer = stage.answer(index(*to), message).unwrap();
        let mut masked = Masked::decode(&answer).unwrap();
        if first {
            for bad in [vec![OwnerId(0)], vec![OwnerId(10)], vec![OwnerId(2), OwnerId(1)]] {
                masked.unopened = bad;
                assert!(stage.coordinator.receive(*to, &masked.encode().unwrap()).is_err());
            }
            // A false complaint is no harm, but binds whoever makes it.
            masked.unopened = vec![OwnerId(7)];
        }
        stage.coordinator.receive(*to, &masked.encode().unwrap()).unwrap();
        first = false;
    }
    let proposals = stage.close();
    stage.deliver(&proposals, &[].into());
    for Outgoing { to, message } in &stage.close() {
        let answer = stage.answer(index(*to), message).unwrap();
        let mut reveal = Reveal::decode(&answer).unwrap();
        if index(*to) == 0 {
            assert!(stage.coordinator.receive(*to, &answer).is_err());
            reveal.shares.retain(|(owner, _)| *owner != OwnerId(7));
        }
        stage.coordinator.receive(*to, &reveal.encode().unwrap()).unwrap();
    }
    let Progress::Done(opened) = stage.coordinator.close().unwrap() else { panic!("not done") };
    assert_eq!(opened.sum, stage.expected(&opened.survivors));
}

/// Twenty owners; the share of `of` that `by` reveals is false where `lies` says so.
fn with_false_shares(
    lies: impl Fn(u32, u32) -> bool,
    weakness: Option<Weakness>,
) -> (Stage, Result<Opened, SumError>) {
    let mut stage = Stage::new(20, 2, Terms::default(), 33).unwrap();
    stage.coordinator.weakness = weakness;
    for Outgoing { to, message } in stage.until(4, &[(4, 2)].into()) {
        let answer = stage.answer(index(to), &message).unwrap();
        let mut reveal = Reveal::decode(&answer).unwrap();
        let by = reveal.owner.0;
        for (_, share) in reveal.shares.iter_mut().filter(|(of, _)| lies(of.0, by)) {
            let (Share::Own(secret) | Share::Key(secret)) = share;
            secret.0 += Scalar::from(by + 1);
        }
        stage.coordinator.receive(to, &reveal.encode().unwrap()).unwrap();
    }
    let result = stage.coordinator.close().map(|progress| match progress {
        Progress::Done(opened) => opened,
        Progress::Continue(_) => panic!("not done"),
    });
    (stage, result)
}

#[test]
fn false_shares_are_decoded_and_who_revealed_them_is_named() {
    // Two liars, so placed that no eleven answers in a row are true.
    let lies = |_: u32, by: u32| by == 0 || by == 10;
    let (_, result) = with_false_shares(lies, Some(Weakness::Decoding));
    assert_eq!(result, Err(SumError::Garbled), "two of twenty voided the sum");

    let (stage, result) = with_false_shares(lies, None);
    let opened = result.unwrap();
    assert_eq!(opened.sum, stage.expected(&opened.survivors));
    assert_eq!(opened.false_shares, [OwnerId(0), OwnerId(10)]);
}

#[test]
fn a_dealer_of_false_shares_is_named_and_its_receivers_are_not() {
    let lies = |of: u32, by: u32| of == 3 && [0, 9, 17].contains(&by);
    let (stage, result) = with_false_shares(lies, None);
    let opened = result.unwrap();
    assert_eq!(opened.sum, stage.expected(&opened.survivors));
    assert_eq!(opened.false_shares, [OwnerId(3)]);
    // One contradiction each says nothing about who of the two lied.
    let (_, result) = with_false_shares(|of, by| of + 1 == by, None);
    assert!(result.unwrap().false_shares.is_empty());
    // More than can be decoded, in every window: nothing is named, and nothing released.
    let (_, result) = with_false_shares(|of, by| of == 3 && by % 3 == 0, None);
    assert_eq!(result, Err(SumError::Garbled));
}
