//! Can a dealer that speaks last choose a bit of the key? (Gennaro et al. 2007, section 4.)

use curve25519_dalek::ristretto::RistrettoPoint;
use nexus_types::MemberId;

use super::board::{First, Keyring, Nobody, shares_of};
use crate::threshold::exchange::{Dealer, Exchange, Scheme};
use crate::threshold::group::Secret;
use crate::threshold::{Body, Point, Statement};

fn bit(key: &Point) -> u8 {
    key.as_bytes()[1] & 1
}

/// Joint-Feldman, the twin without the first, hiding commitments: member 0 complains about its
/// own deal and, having seen what the key would be, answers or keeps silent.
fn joint_feldman(seed: u64, biased: bool) -> Point {
    let mut keyring = Keyring::new(4, seed);
    let session = keyring.terms().session();
    let committee = || keyring.committee.clone();
    let mut exchange = Exchange::new(session, Scheme::JointFeldman, committee(), committee());
    let say = |exchange: &mut Exchange, author, body| {
        exchange.insert(Statement { session, author, body }).unwrap();
    };
    let mut dealers = Vec::new();
    for member in keyring.committee.members() {
        let constant = Secret::random(&mut keyring.rng);
        let dealer = Dealer::new(&exchange, member, &constant, &mut keyring.rng);
        let deal = dealer.deal(&exchange).unwrap();
        say(&mut exchange, member, Body::Deal(deal));
        dealers.push(dealer);
    }
    let everyone: RistrettoPoint =
        exchange.deals.iter().map(|(_, deal)| *deal.commitment[0].value()).sum();
    let liar = MemberId(0);
    say(&mut exchange, liar, Body::Complaints(vec![liar]));
    if !biased || bit(&Point::new(everyone)) == 0 {
        let openings = dealers[0].answers(&exchange).unwrap();
        say(&mut exchange, liar, Body::Answers(openings));
    }
    let qualified = exchange.settle().qualified;
    let parts =
        qualified.iter().map(|&dealer| *exchange.deals.get(dealer).unwrap().commitment[0].value());
    Point::new(parts.sum())
}

#[test]
fn without_hidden_commitments_the_last_dealer_chooses_a_bit() {
    let zeros = |biased| (0..100).filter(|&s| bit(&joint_feldman(s, biased)) == 0).count();
    // Expected 50 and 75 of 100.
    let (fair, chosen) = (zeros(false), zeros(true));
    assert!((36..=64).contains(&fair), "{fair}");
    assert!(chosen >= 66, "{chosen}");
}

#[test]
fn with_them_nothing_it_does_once_it_sees_the_key_changes_it() {
    for seed in 0..6 {
        let key = |shown: fn(&mut Body) -> bool| {
            let ended = Keyring::new(4, seed).generate(&First(1, shown));
            shares_of(ended, 1).0[0].public().key
        };
        let honest = shares_of(Keyring::new(4, seed).generate(&Nobody), 0).0[0].public().key;
        let silent = key(|body| !matches!(body, Body::Extraction(_)));
        let other = key(|body| {
            if let Body::Extraction(extraction) = body {
                extraction.commitment.reverse();
            }
            true
        });
        assert_eq!([silent, other], [honest, honest]);
    }
}
