//! What an enemy learns, and what it would learn from a sender built with less care.

use std::collections::BTreeSet;

use curve25519_dalek::scalar::Scalar;

use super::dleq::Claim;
use super::group::{Session, Tag};
use super::points::{Element, Engine, decode_all};
use super::tests::{items, key, rng, terms};
use super::*;

/// The first messages of a session: the receiver's points, as the sender got them.
fn begin(receiver: &mut Receiver, sender: &mut Sender) -> Vec<Element> {
    sender.receive(&receiver.send(&mut rng(1)).unwrap().unwrap()).unwrap();
    receiver.receive(&sender.send(&mut rng(1)).unwrap().unwrap()).unwrap();
    let message = receiver.send(&mut rng(1)).unwrap().unwrap();
    sender.receive(&message).unwrap();
    match ToSender::decode(&message).unwrap() {
        ToSender::Points(points) => points,
        other @ (ToSender::Ask { .. } | ToSender::Query(_)) => panic!("{other:?}"),
    }
}

fn answers(sender: &mut Sender) -> (Vec<Element>, Vec<Tag>) {
    let (mut replies, mut entries) = (Vec::new(), Vec::new());
    while let Some(message) = sender.send(&mut rng(1)).unwrap() {
        match ToReceiver::decode(&message).unwrap() {
            ToReceiver::Replies { elements, .. } => replies.extend(elements),
            ToReceiver::Entries { tags, .. } => entries.extend(tags),
            other @ (ToReceiver::Offer { .. } | ToReceiver::Answer { .. }) => panic!("{other:?}"),
        }
    }
    (replies, entries)
}

/// How many of its items a receiver places rightly that takes replies to be in its points' order.
fn placed_by_order(own: &[(u32, Element)], replies: &[Element], entries: &[Tag]) -> usize {
    let session = Session::new(terms(Variant::Cardinality)).unwrap();
    let raised = key(1).inverse().raise(&decode_all(replies).unwrap());
    let entries: BTreeSet<&Tag> = entries.iter().collect();
    let guesses = own.iter().zip(&raised);
    guesses
        .filter(|((item, _), element)| entries.contains(&session.tag(element)) == (item % 2 == 0))
        .count()
}

#[test]
fn replies_to_a_count_do_not_say_which() {
    let terms = terms(Variant::Cardinality);
    let numbers: Vec<u32> = (0..400).collect();
    let even: Vec<u32> = numbers.iter().copied().filter(|number| number % 2 == 0).collect();
    let mut receiver = Receiver::new(terms, &key(1), items(&numbers)).unwrap();
    let mut sender = Sender::new(terms, &key(2), items(&even)).unwrap();
    let points = begin(&mut receiver, &mut sender);
    let (replies, entries) = answers(&mut sender);

    let session = Session::new(terms).unwrap();
    let mut own = session.raise_items(&key(1), items(&numbers), |element| element).unwrap();
    own.sort_unstable();
    let own: Vec<(u32, Element)> =
        own.into_iter().map(|(element, place)| (place, element)).collect();
    let careless = key(2).raise(&decode_all(&points).unwrap());
    assert_eq!(placed_by_order(&own, &careless, &entries), 400, "in order: all are placed");
    let placed = placed_by_order(&own, &replies, &entries);
    // Coins: 200 expected, deviation 10.
    assert!((140..260).contains(&placed), "{placed}");
}

/// H.
fn hashed(session: &Session, item: &[u8]) -> Element {
    Engine::detect().map(&[session.uniform(item)]).raise(&Scalar::ONE)[0]
}

#[test]
fn entries_cannot_be_guessed_without_the_key() {
    let terms = terms(Variant::Intersection);
    let session = Session::new(terms).unwrap();
    let secret = items(&[17, 1_711]);
    // A hash under a public key looks like a tag, but anybody can hash all that an item can be.
    let careless: BTreeSet<Tag> =
        secret.iter().map(|item| session.tag(&hashed(&session, item))).collect();
    let mut receiver = Receiver::new(terms, &key(1), items(&[1])).unwrap();
    let mut sender = Sender::new(terms, &key(2), &secret).unwrap();
    begin(&mut receiver, &mut sender);
    let entries: BTreeSet<Tag> = answers(&mut sender).1.into_iter().collect();
    let guessed = |seen: &BTreeSet<Tag>| -> Vec<u32> {
        let hit = |guess: &u32| {
            let point = hashed(&session, &guess.to_le_bytes());
            let own = key(1).raise(&decode_all(&[point]).unwrap())[0];
            [point, own].iter().any(|element| seen.contains(&session.tag(element)))
        };
        (0..2_000).filter(hit).collect()
    };
    assert_eq!(guessed(&careless), [17, 1_711]);
    assert_eq!(guessed(&entries), []);
}

#[test]
fn one_key_in_two_sessions_does_not_link_items() {
    let seen = |manifest: u8| {
        let manifest = Digest([manifest; 32]);
        let terms = Terms { manifest, ..terms(Variant::Intersection) };
        let mut receiver = Receiver::new(terms, &key(1), items(&[1, 2, 3])).unwrap();
        let mut sender = Sender::new(terms, &key(2), items(&[1, 2, 3])).unwrap();
        let points = begin(&mut receiver, &mut sender);
        (points, answers(&mut sender).1)
    };
    // A hash that forgets the terms: the manifest is the same for every session.
    assert_eq!(seen(0), seen(0), "careless: the same items are the same points and tags");
    let ((points, tags), (later_points, later_tags)) = (seen(1), seen(2));
    assert!(points.iter().all(|point| !later_points.contains(point)));
    assert!(tags.iter().all(|tag| !later_tags.contains(tag)));
}

#[test]
fn points_chosen_late_are_refused() {
    let terms = terms(Variant::Intersection);
    let mut receiver = Receiver::new(terms, &key(1), items(&[1, 2])).unwrap();
    let mut sender = Sender::new(terms, &key(2), items(&[5])).unwrap();
    sender.receive(&receiver.send(&mut rng(1)).unwrap().unwrap()).unwrap();
    sender.send(&mut rng(1)).unwrap();
    // What a receiver would send that has another set now, well formed and ascending.
    let session = Session::new(terms).unwrap();
    let late = session.raise_items(&key(1), items(&[5, 6]), |element| element).unwrap();
    let late: Vec<Element> = late.into_iter().map(|(element, _)| element).collect();
    let message = ToSender::Points(late.clone()).encode().unwrap();
    assert_eq!(sender.receive(&message), Err(PsiError::Commitment));
    // Without the commitment the switch goes unnoticed, and the receiver finds item 5.
    let careless = key(2).raise(&decode_all(&late).unwrap());
    let tags = key(1).inverse().raise(&decode_all(&careless).unwrap());
    let entry = session
        .tag(&key(2).raise(&decode_all(&[hashed(&session, &5u32.to_le_bytes())]).unwrap())[0]);
    assert!(tags.iter().any(|element| session.tag(element) == entry));
}

#[test]
fn entries_chosen_late_are_refused() {
    let terms = terms(Variant::Intersection);
    let mut receiver = Receiver::new(terms, &key(1), items(&[1, 2])).unwrap();
    let mut sender = Sender::new(terms, &key(2), items(&[1])).unwrap();
    begin(&mut receiver, &mut sender);
    receiver.receive(&sender.send(&mut rng(1)).unwrap().unwrap()).unwrap();
    let session = Session::new(terms).unwrap();
    let late = session.raise_items(&key(2), items(&[2]), |element| session.tag(&element)).unwrap();
    let late = ToReceiver::Entries { tags: vec![late[0].0], amounts: Vec::new() };
    assert_eq!(receiver.receive(&late.encode().unwrap()), Err(PsiError::Commitment));
    assert_eq!(receiver.outcome(), None);
    receiver.receive(&sender.send(&mut rng(1)).unwrap().unwrap()).unwrap();
    assert_eq!(receiver.outcome(), Some(&Outcome::Intersection(vec![0])));
}

#[test]
fn a_sender_with_two_keys_is_caught() {
    let terms = terms(Variant::Intersection);
    let mut receiver = Receiver::new(terms, &key(1), items(&[1, 2])).unwrap();
    let mut sender = Sender::new(terms, &key(2), items(&[1, 2])).unwrap();
    let from = begin(&mut receiver, &mut sender);
    let points = decode_all(&from).unwrap();
    // The first reply is under another key, so that the receiver misses one item.
    let mut elements = key(2).raise(&points);
    elements[0] = key(3).raise(&points)[0];
    let session = Session::new(terms).unwrap();
    let claim =
        Claim { session: &session.digest, public: &key(2).public(), from: &from, to: &elements };
    let proof = claim.prove(&key(2), &points, &mut rng(1));
    let forged = ToReceiver::Replies { elements: elements.clone(), proof: Some(proof) };
    assert_eq!(receiver.receive(&forged.encode().unwrap()), Err(PsiError::Proof));
    let bare = ToReceiver::Replies { elements: elements.clone(), proof: None };
    assert_eq!(receiver.receive(&bare.encode().unwrap()), Err(PsiError::Proof));
    // A receiver that asks for no proof takes the same replies for an answer.
    let unchecked = key(1).inverse().raise(&decode_all(&elements).unwrap());
    let entries = session.raise_items(&key(2), items(&[1, 2]), |element| element).unwrap();
    let found = entries.iter().filter(|(entry, _)| unchecked.contains(entry)).count();
    assert_eq!(found, 1, "one of two common items is hidden");
}
