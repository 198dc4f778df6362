//! A coordinator that is a program with bad intentions drives the real owners.

use std::collections::BTreeMap;
use std::sync::Arc;

use curve25519_dalek::Scalar;
use nexus_field::mask::{self, Sign};
use nexus_types::{Canonical, OwnerId};

use super::stage::{Stage, decoded_to, identity, index, message_to, peer, rng, session};
use crate::aggregation::secagg_plus::check::Weakness;
use crate::aggregation::secagg_plus::message::{
    Advert, Certificate, Delivery, Directory, Masked, Proposal, Reveal, Share, Shares, Signed, Vote,
};
use crate::aggregation::secagg_plus::secret::{Point, Secret, Way, own_mask};
use crate::aggregation::secagg_plus::{Collector, Owner, Terms};
use crate::aggregation::{
    Collector as _, Contributor, Outgoing, Progress, Refusal, Session, SumError,
};
use crate::identity::Signature;
use crate::sharing::lagrange_at_zero;

fn secret_of(
    shares: &Shares,
    revealed: &BTreeMap<OwnerId, Secret>,
    threshold: u16,
) -> Option<Secret> {
    let place = |holder: &OwnerId| shares.packets.iter().position(|packet| packet.peer == *holder);
    let given = revealed.iter().filter_map(|(holder, share)| Some((place(holder)?, share.0)));
    let mut given: Vec<_> = given.collect();
    given.sort_unstable_by_key(|share| share.0);
    given.truncate(usize::from(threshold));
    if given.len() < usize::from(threshold) {
        return None;
    }
    let places: Vec<u16> = given.iter().map(|(at, _)| u16::try_from(at + 1).unwrap()).collect();
    let lambdas: Vec<Scalar> = lagrange_at_zero(&places).unwrap();
    Some(Secret(lambdas.iter().zip(&given).map(|(lambda, share)| lambda * share.1).sum()))
}

/// A bad coordinator's notes.
struct Evil {
    stage: Stage,
    directory: Directory,
    shares: BTreeMap<OwnerId, Shares>,
    revealed: BTreeMap<OwnerId, BTreeMap<OwnerId, Share>>,
}

impl Evil {
    /// Plays honestly until everybody has shared.
    fn new(owners: u32, terms: Terms, seed: u64) -> (Self, Vec<Outgoing>) {
        let mut stage = Stage::new(owners, 3, terms, seed).unwrap();
        stage.contribute(&[].into());
        let directories = stage.close();
        let mut shares = BTreeMap::new();
        for Outgoing { to, message } in &directories {
            let at = index(*to);
            let answer = stage.answer(at, message).unwrap();
            stage.coordinator.receive(*to, &answer).unwrap();
            let sent = Shares::decode(&answer).unwrap();
            shares.insert(sent.owner, sent);
        }
        let directory = decoded_to(&directories, 0);
        let deliveries = stage.close();
        (Self { stage, directory, shares, revealed: BTreeMap::new() }, deliveries)
    }

    fn threshold(&self) -> u16 {
        let owners = u32::try_from(self.stage.owners.len()).unwrap();
        self.stage.terms.neighbourhood(owners, owners).unwrap().threshold
    }

    fn neighbours(&self, owner: OwnerId) -> Vec<OwnerId> {
        self.shares[&owner].packets.iter().map(|packet| packet.peer).collect()
    }

    /// Asks the owners for their votes on `survivors`, then shows them as a certificate.
    fn open(
        &mut self,
        asked: &[OwnerId],
        survivors: &[OwnerId],
        views: &[(OwnerId, Signature)],
    ) -> Vec<Refusal> {
        let session = self.stage.session.manifest;
        let proposal = Proposal { session, survivors: survivors.to_vec() }.encode().unwrap();
        let mut votes = Vec::new();
        for voter in asked {
            let vote = self.stage.answer(voter.index(), &proposal).unwrap();
            votes.push((*voter, Vote::decode(&vote).unwrap().signature));
        }
        let certificate = Certificate { session, votes, views: views.to_vec() }.encode().unwrap();
        let mut refusals = Vec::new();
        for voter in asked {
            match self.stage.answer(voter.index(), &certificate) {
                Err(refusal) => refusals.push(refusal),
                Ok(answer) => {
                    for (of, share) in Reveal::decode(&answer).unwrap().shares {
                        self.revealed.entry(of).or_default().insert(*voter, share);
                    }
                }
            }
        }
        refusals
    }

    fn seed(&self, owner: OwnerId) -> Option<Secret> {
        let own = |(holder, share): (&OwnerId, &Share)| match share {
            Share::Own(secret) => Some((*holder, secret.clone())),
            Share::Key(_) => None,
        };
        let revealed = self.revealed.get(&owner)?.iter().filter_map(own).collect();
        secret_of(&self.shares[&owner], &revealed, self.threshold())
    }

    fn key(&self, owner: OwnerId) -> Option<Secret> {
        let key = |(holder, share): (&OwnerId, &Share)| match share {
            Share::Key(secret) => Some((*holder, secret.clone())),
            Share::Own(_) => None,
        };
        let revealed = self.revealed.get(&owner)?.iter().filter_map(key).collect();
        secret_of(&self.shares[&owner], &revealed, self.threshold())
    }

    /// The victim's values, if its seed and a key of each pair it masked with are known.
    fn values(&self, victim: OwnerId, masked: &[u8], partners: &[OwnerId]) -> Option<Vec<i64>> {
        let session = &self.stage.session.manifest;
        let (words, _) = masked.as_chunks::<4>();
        let mut values: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let mut masks = vec![(own_mask(session, victim, &self.seed(victim)?), Sign::Minus)];
        let mask_point =
            |owner: OwnerId| self.directory.keys[owner.index()].mask.element().unwrap();
        for partner in partners {
            let common = match self.key(victim) {
                Some(key) => key.meet(&[mask_point(*partner)]),
                None => self.key(*partner)?.meet(&[mask_point(victim)]),
            };
            // What the partner would have applied is the opposite of what is to be removed.
            masks.push(Way { session, from: *partner, to: victim }.mask(&common[0]));
        }
        mask::apply(&masks, &mut values);
        Some(values.into_iter().map(|value| i64::from(value.cast_signed())).collect())
    }
}

const SPARSE: Terms = Terms { corrupt_permille: 10, dropout_permille: 50 };
const VICTIM: OwnerId = OwnerId(7);

/// Two sets, one with the victim and one without it, each shown to half of the owners.
fn split_view(weakness: Option<Weakness>) -> (Evil, Option<Vec<i64>>) {
    let (mut evil, deliveries) = Evil::new(60, SPARSE, 11);
    evil.stage.owners.iter_mut().for_each(|owner| owner.weakness = weakness);
    let mut masked = BTreeMap::new();
    for Outgoing { to, message } in &deliveries {
        let answer = evil.stage.answer(index(*to), message).unwrap();
        let sent = Masked::decode(&answer).unwrap();
        masked.insert(sent.owner, sent);
    }
    let views: Vec<_> = masked.values().map(|sent| (sent.owner, sent.signature)).collect();
    let all: Vec<OwnerId> = masked.keys().copied().collect();
    let but: Vec<OwnerId> = all.iter().copied().filter(|id| *id != VICTIM).collect();
    let (even, odd): (Vec<_>, Vec<_>) = but.iter().partition(|id| id.0 % 2 == 0);
    let with = evil.open(&even, &all, &views);
    let without = evil.open(&odd, &but, &views);
    if weakness.is_none() {
        assert_eq!((with.len(), without.len()), (even.len(), odd.len()));
    }
    let drew = |id: &OwnerId| {
        evil.neighbours(VICTIM).contains(id) || evil.neighbours(*id).contains(&VICTIM)
    };
    let partners: Vec<OwnerId> = but.iter().copied().filter(drew).collect();
    let values = evil.values(VICTIM, &masked[&VICTIM].values, &partners);
    (evil, values)
}

#[test]
fn two_sets_of_survivors_open_a_victim_unless_a_quorum_must_vote() {
    let (evil, values) = split_view(Some(Weakness::Quorum));
    assert_eq!(values.unwrap(), evil.stage.values[VICTIM.index()]);
    let (evil, values) = split_view(None);
    assert!(values.is_none() && evil.revealed.is_empty());
}

/// The victim is told that most of its neighbours did not share, so it masks with few others, who
/// are then said to have dropped out; the others hold its shares all the same.
fn false_view(weakness: Option<Weakness>) -> (Evil, Option<Vec<i64>>) {
    let (mut evil, deliveries) = Evil::new(60, SPARSE, 12);
    evil.stage.owners.iter_mut().for_each(|owner| owner.weakness = weakness);
    let few: Vec<OwnerId> =
        evil.neighbours(VICTIM).into_iter().take(evil.threshold().into()).collect();
    let hidden: Vec<OwnerId> =
        evil.neighbours(VICTIM).into_iter().filter(|id| !few.contains(id)).collect();
    let mut victims = BTreeMap::new();
    for Outgoing { to, message } in &deliveries {
        let mut delivery = Delivery::decode(message).unwrap();
        if *to == peer(VICTIM.index()) {
            delivery.sharers.retain(|id| !hidden.contains(id));
            delivery.packets.clear();
        }
        let bytes = delivery.encode().unwrap();
        let answer = evil.stage.answer(index(*to), &bytes);
        if weakness.is_none() && *to == peer(VICTIM.index()) {
            // More than may drop out are said to have: the victim does not even mask.
            assert!(matches!(answer, Err(Refusal::Forbidden { .. })));
            return (evil, None);
        }
        let sent = Masked::decode(&answer.unwrap()).unwrap();
        victims.insert(sent.owner, sent);
    }
    let survivors: Vec<OwnerId> = victims.keys().copied().filter(|id| !few.contains(id)).collect();
    let voters: Vec<OwnerId> = survivors.iter().copied().filter(|id| *id != VICTIM).collect();
    let views: Vec<_> = victims.values().map(|sent| (sent.owner, sent.signature)).collect();
    evil.open(&voters, &survivors, &views);
    let values = evil.values(VICTIM, &victims[&VICTIM].values, &few);
    (evil, values)
}

#[test]
fn a_false_view_opens_a_victim_unless_it_is_signed() {
    let (evil, values) = false_view(Some(Weakness::Views));
    assert_eq!(values.unwrap(), evil.stage.values[VICTIM.index()]);
    let (_, values) = false_view(None);
    assert!(values.is_none());
}

/// All others are the coordinator, under keys of its own making.
#[test]
fn a_coordinator_in_everybodys_place_needs_the_owner_to_believe_its_list() {
    let terms = Terms::default();
    let mut sham = Stage::new(4, 3, terms, 13).unwrap();
    let mut keys = (*sham.session.owners).clone();
    for id in 1..4 {
        keys.insert(OwnerId(id), identity(100 + id).public());
    }
    let forged = Session { owners: Arc::new(keys), ..sham.session.clone() };
    sham.values[1..].iter_mut().for_each(|values| *values = vec![0; 3]);
    sham.coordinator = Collector::new(forged.clone(), terms).unwrap();
    for id in 0..4 {
        let identity = if id == 0 { identity(0) } else { identity(100 + id) };
        // The fault: whose keys count comes from the coordinator.
        sham.owners[id as usize] =
            Owner::new(forged.clone(), terms, OwnerId(id), identity).unwrap();
    }
    let mut real =
        Owner::new(session("round 1", 4, 3, terms), terms, OwnerId(0), identity(0)).unwrap();
    let (mut one, values) = (rng(1), sham.values[0].clone());
    assert!(real.contribute(&mut one, &values).is_ok());
    sham.owners[0] = Owner::new(forged, terms, OwnerId(0), identity(0)).unwrap();
    let opened = sham.run(&BTreeMap::new()).unwrap();
    assert_eq!(opened.sum, sham.values[0]);

    // The real owner has the job's list. It advertised the same keys to a second sham.
    let directory = |mut advert: Vec<Signed>| {
        let own = Advert::decode(&real.sent().unwrap()).unwrap();
        advert[0] = own.keys;
        Directory { session: own.session, keys: advert }.encode().unwrap()
    };
    let session = sham.session.manifest;
    let point = |seed| Secret::random(&mut rng(seed)).public();
    let signed =
        |id: u32| Signed::new(&session, OwnerId(id), [point(1), point(2)], &identity(100 + id));
    let listed = directory((0..4).map(signed).collect());
    assert_eq!(real.clone().receive(&mut one, &listed), Err(Refusal::Signature));
}

fn refused(owner: &Owner, message: &impl Canonical) -> Refusal {
    let mut owner = owner.clone();
    let before = owner.snapshot();
    let refusal = owner.receive(&mut rng(1), &message.encode().unwrap()).unwrap_err();
    assert_eq!(owner.snapshot(), before, "a refused message changes nothing");
    refusal
}

#[test]
fn altered_directories_are_refused() {
    let mut stage = Stage::new(8, 1, Terms::default(), 14).unwrap();
    let messages = stage.until(1, &BTreeMap::new());
    let good: Directory = decoded_to(&messages, 0);
    let owner = stage.owners[0].clone();
    let refuse = |alter: &dyn Fn(&mut Directory)| {
        let mut bad = good.clone();
        alter(&mut bad);
        refused(&owner, &bad)
    };
    assert_eq!(refuse(&|d| d.session.0[0] ^= 1), Refusal::OtherRound);
    assert_eq!(refuse(&|d| d.keys[3].signature.0[0] ^= 1), Refusal::Signature);
    assert_eq!(refuse(&|d| d.keys[3].seal = d.keys[4].seal), Refusal::Signature);
    let forbidden: [&dyn Fn(&mut Directory); 8] = [
        &|d| d.keys.swap(1, 2),
        &|d| d.keys[2] = d.keys[1],
        &|d| d.keys[7].owner = OwnerId(8),
        &|d| d.keys.retain(|keys| keys.owner != OwnerId(0)),
        &|d| d.keys[0].seal = d.keys[1].seal,
        &|d| d.keys.truncate(4),
        &|d| d.keys.clear(),
        &|d| d.keys[5].mask = Point([0; 32]),
    ];
    for alter in forbidden {
        let refusal = refuse(alter);
        assert!(matches!(refusal, Refusal::Forbidden { .. } | Refusal::Signature), "{refusal}");
    }
    // A place for a threshold, or anything else, is no part of the message.
    let mut longer = good.encode().unwrap();
    longer.push(1);
    let refusal = stage.owners[0].receive(&mut rng(1), &longer).unwrap_err();
    assert!(matches!(refusal, Refusal::Malformed { .. }));
}

#[test]
fn altered_deliveries_are_refused() {
    let mut stage = Stage::new(8, 1, Terms::default(), 15).unwrap();
    let messages = stage.until(2, &BTreeMap::new());
    let good: Delivery = decoded_to(&messages, 0);
    let owner = stage.owners[0].clone();
    let other: Delivery = decoded_to(&messages, 1);
    let refuse = |alter: &dyn Fn(&mut Delivery)| {
        let mut bad = good.clone();
        alter(&mut bad);
        refused(&owner, &bad)
    };
    assert_eq!(refuse(&|d| d.session.0[0] ^= 1), Refusal::OtherRound);
    // Damaged, of another sender, for another receiver: not a share of it is believed.
    let complaint = |alter: &dyn Fn(&mut Delivery)| {
        let (mut bad, mut owner) = (good.clone(), owner.clone());
        alter(&mut bad);
        let answer = owner.receive(&mut rng(1), &bad.encode().unwrap()).unwrap().unwrap();
        Masked::decode(&answer).unwrap().unopened
    };
    assert_eq!(complaint(&|d| d.packets[1].sealed.0[0] ^= 1), [OwnerId(2)]);
    assert_eq!(complaint(&|d| d.packets[1].sealed = d.packets[2].sealed), [OwnerId(2)]);
    assert_eq!(complaint(&|d| d.packets[2].sealed = other.packets[2].sealed), [OwnerId(3)]);
    let forbidden: [&dyn Fn(&mut Delivery); 7] = [
        &|d| d.packets.swap(0, 1),
        &|d| d.packets[1] = d.packets[0],
        &|d| d.packets[0].peer = OwnerId(0),
        &|d| d.packets[6].peer = OwnerId(9),
        &|d| d.sharers.retain(|id| *id != OwnerId(0)),
        &|d| d.sharers.truncate(4),
        &|d| d.sharers[7] = OwnerId(70),
    ];
    for alter in forbidden {
        assert!(matches!(refuse(alter), Refusal::Forbidden { .. }));
    }
}

#[test]
fn an_owner_votes_once_and_answers_once() {
    let mut stage = Stage::new(8, 1, Terms::default(), 16).unwrap();
    let messages = stage.until(3, &BTreeMap::new());
    let good: Proposal = decoded_to(&messages, 0);
    let owner = stage.owners[0].clone();
    let refuse = |alter: &dyn Fn(&mut Proposal)| {
        let mut bad = good.clone();
        alter(&mut bad);
        refused(&owner, &bad)
    };
    assert_eq!(refuse(&|p| p.session.0[0] ^= 1), Refusal::OtherRound);
    let forbidden: [&dyn Fn(&mut Proposal); 6] = [
        &|p| p.survivors.retain(|id| *id != OwnerId(0)),
        &|p| p.survivors.truncate(4),
        &|p| p.survivors.truncate(1),
        &|p| p.survivors[3] = OwnerId(2),
        &|p| p.survivors.swap(3, 4),
        &|p| p.survivors.push(OwnerId(8)),
    ];
    for alter in forbidden {
        assert!(matches!(refuse(alter), Refusal::Forbidden { .. }));
    }
    stage.deliver(&messages, &[].into());
    let mut second = good.clone();
    second.survivors.pop();
    assert_eq!(refused(&stage.owners[0], &second), Refusal::OutOfTurn);

    let certificates = stage.close();
    let good: Certificate = decoded_to(&certificates, 0);
    let owner = stage.owners[0].clone();
    let refuse = |alter: &dyn Fn(&mut Certificate)| {
        let mut bad = good.clone();
        alter(&mut bad);
        refused(&owner, &bad)
    };
    assert_eq!(refuse(&|c| c.session.0[0] ^= 1), Refusal::OtherRound);
    assert_eq!(refuse(&|c| c.votes[3].1.0[0] ^= 1), Refusal::Signature);
    assert_eq!(refuse(&|c| c.votes[2].1 = c.votes[3].1), Refusal::Signature);
    assert!(matches!(refuse(&|c| c.votes.truncate(3)), Refusal::Forbidden { .. }));
    assert!(matches!(refuse(&|c| c.votes[1] = c.votes[0]), Refusal::Forbidden { .. }));
    let revealed = stage.answer(0, &message_to(&certificates, 0)).unwrap();
    let kinds = Reveal::decode(&revealed).unwrap();
    assert!(kinds.shares.iter().all(|(_, share)| matches!(share, Share::Own(_))));
    assert_eq!(refused(&stage.owners[0], &second), Refusal::OutOfTurn);
    let mut other = good;
    other.votes.pop();
    assert_eq!(refused(&stage.owners[0], &other), Refusal::OutOfTurn);
}

#[test]
fn a_second_round_shows_nothing_of_the_first() {
    let terms = Terms::default();
    let masked = |name: &str, seed: u64, values: i64| {
        let mut stage = Stage::new(4, 1, terms, seed).unwrap();
        let session = session(name, 4, 1, terms);
        stage.coordinator = Collector::new(session.clone(), terms).unwrap();
        for id in 0..4 {
            stage.owners[id as usize] =
                Owner::new(session.clone(), terms, OwnerId(id), identity(id)).unwrap();
        }
        stage.values[0] = vec![values];
        let messages = stage.until(2, &BTreeMap::new());
        let answer = stage.answer(0, &message_to(&messages, 0)).unwrap();
        let sent = Masked::decode(&answer).unwrap().values;
        i64::from(u32::from_le_bytes(sent.try_into().unwrap()))
    };
    // The fault: the same randomness in two rounds of one name shows how the values differ.
    assert_eq!(masked("a", 1, 9) - masked("a", 1, 5), 4);
    // Randomness repeats, as after a restored machine, but the round does not.
    assert_ne!(masked("b", 1, 9) - masked("a", 1, 5), 4);
    assert_ne!(masked("a", 2, 9) - masked("a", 1, 5), 4);
}

#[test]
fn owners_that_lie_about_shares_do_not_change_the_sum() {
    let mut stage = Stage::new(10, 2, Terms::default(), 17).unwrap();
    let gone = [(4, 2)].into();
    let messages = stage.until(4, &gone);
    for (at, Outgoing { to, message }) in messages.iter().enumerate() {
        let answer = stage.answer(index(*to), message).unwrap();
        let mut reveal = Reveal::decode(&answer).unwrap();
        if at == 1 {
            for (_, share) in &mut reveal.shares {
                let (Share::Own(secret) | Share::Key(secret)) = share;
                secret.0 += Scalar::ONE;
            }
        }
        stage.coordinator.receive(*to, &reveal.encode().unwrap()).unwrap();
    }
    let Progress::Done(opened) = stage.coordinator.close().unwrap() else { panic!("not done") };
    assert_eq!(opened.sum, stage.expected(&opened.survivors));
    assert_eq!(stage.coordinator.close(), Err(SumError::OutOfTurn));
}

#[test]
fn shares_of_no_secret_are_named() {
    let mut stage = Stage::new(5, 2, Terms::default(), 18).unwrap();
    let messages = stage.until(4, &BTreeMap::new());
    for Outgoing { to, message } in &messages {
        let answer = stage.answer(index(*to), message).unwrap();
        let mut reveal = Reveal::decode(&answer).unwrap();
        let (Share::Own(secret) | Share::Key(secret)) = &mut reveal.shares[0].1;
        secret.0 += Scalar::ONE;
        stage.coordinator.receive(*to, &reveal.encode().unwrap()).unwrap();
    }
    assert_eq!(stage.coordinator.close(), Err(SumError::Garbled));
}
