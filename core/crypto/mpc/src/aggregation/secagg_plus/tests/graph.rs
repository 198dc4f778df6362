//! Degrees, thresholds and quorums are what the page says they are.

use std::collections::BTreeSet;
use std::f64::consts::LN_2;

use nexus_types::{Canonical, OwnerId};

use super::stage::{Stage, message_to, rng, session};
use crate::aggregation::secagg_plus::message::Shares;
use crate::aggregation::secagg_plus::{Collector, Neighbourhood, Terms};
use crate::aggregation::{Contributor, Session, SumError};

const CORRUPT: [u16; 4] = [50, 100, 200, 330];

fn terms(corrupt_permille: u16) -> Terms {
    Terms { corrupt_permille, dropout_permille: 100 }
}

#[test]
fn the_published_table_is_reproduced() {
    let table = [
        (100, [(28, 9), (32, 11), (42, 21), (58, 34)]),
        (1_000, [(36, 18), (46, 26), (68, 43), (102, 72)]),
        (10_000, [(42, 21), (54, 30), (80, 51), (122, 85)]),
    ];
    for (owners, row) in table {
        for (corrupt, (degree, threshold)) in CORRUPT.into_iter().zip(row) {
            let found = terms(corrupt).neighbourhood(owners, owners);
            assert_eq!(found, Ok(Neighbourhood { degree, threshold }), "{owners} {corrupt}");
        }
    }
}

#[test]
fn few_owners_are_all_neighbours_and_a_quorum_opens() {
    for owners in 3..40u32 {
        let terms = terms(50);
        let hood = terms.neighbourhood(owners, owners).unwrap();
        let threshold = terms.quorum(owners) - 1;
        assert_eq!((u32::from(hood.degree), u32::from(hood.threshold)), (owners - 1, threshold));
        assert!(terms.corrupt(owners) < threshold);
    }
}

#[test]
fn two_quorums_share_an_honest_owner() {
    for corrupt in 1..=333 {
        for owners in 3..300 {
            let terms = terms(corrupt);
            let (quorum, corrupt) = (terms.quorum(owners), terms.corrupt(owners));
            assert!(2 * quorum > owners + corrupt);
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_limits() {
    let refused = |terms: Terms, owners: u32, n_min: u32| {
        let session = Session { n_min, ..session("r", owners, 1, terms) };
        match Collector::new(session, terms) {
            Err(SumError::Setting { setting, got, least, most }) => (setting, got, least, most),
            other => panic!("{other:?}"),
        }
    };
    let named = |name: &str, got, least, most| (name.to_owned(), got, least, most);
    assert_eq!(refused(terms(100), 2, 2).0, "owners");
    assert_eq!(refused(terms(0), 10, 3), named("corrupt_permille", 0, 1, 333));
    assert_eq!(refused(terms(334), 10, 3), named("corrupt_permille", 334, 1, 333));
    assert_eq!(refused(terms(100), 10, 2), named("n_min", 2, 3, 10));
    assert_eq!(refused(terms(100), 10, 11), named("n_min", 11, 3, 10));
    let dropout = Terms { dropout_permille: 400, ..terms(330) };
    assert_eq!(refused(dropout, 100, 50), named("dropout_permille", 400, 0, 330));
    // Where the owners silent and corrupt leave no sparse graph, everybody would be a neighbour.
    let all = refused(Terms { dropout_permille: 330, ..terms(330) }, 1_000, 500);
    assert_eq!(all, named("owners with all as neighbours", 999, 2, 200));
    let few = terms(100).neighbourhood(100, 55);
    assert_eq!(few, Err(SumError::TooFew { have: 55, need: 56 }));
}

/// Logarithms of factorials.
struct Chances(Vec<f64>);

impl Chances {
    fn new(most: u32) -> Self {
        let mut sum = 0.0;
        let next = |i: u32| {
            sum += f64::from(i.max(1)).ln();
            sum
        };
        Self((0..=most).map(next).collect())
    }

    fn choose(&self, of: u32, some: u32) -> f64 {
        let f = |i: u32| self.0[i as usize];
        if some > of { f64::NEG_INFINITY } else { f(of) - f(some) - f(of - some) }
    }

    /// Logarithm of the chance that at least `least` of `drawn` are among the marked.
    fn at_least(&self, all: u32, marked: u32, drawn: u32, least: u32) -> f64 {
        let chance = |x: u32| {
            self.choose(marked, x) + self.choose(all - marked, drawn - x) - self.choose(all, drawn)
        };
        (least..=drawn.min(marked)).map(|x| chance(x).exp()).sum::<f64>().ln()
    }
}

/// Sum over sizes of the chance that the honest survivors fall into two parts, each with enough
/// holders among itself and the corrupt to be opened, and no draw from one part into the other.
/// The silent are chosen by the enemy, who sees all draws: the union bound is over them too.
fn split(owners: u32, terms: Terms) -> f64 {
    let hood = terms.neighbourhood(owners, owners).unwrap();
    let (k, t, others) = (u32::from(hood.degree), u32::from(hood.threshold), owners - 1);
    let (corrupt, quorum) = (terms.corrupt(owners), terms.quorum(owners));
    let (honest, chances) = (owners - corrupt, Chances::new(owners));
    let apart = |small: u32, silent: u32| {
        let large = honest - small - silent;
        if others - large < k {
            return f64::NEG_INFINITY;
        }
        let avoid = |part: u32| chances.choose(others - part, k) - chances.choose(others, k);
        let each_small = avoid(large) + chances.at_least(others - large, corrupt + small - 1, k, t);
        let sets = chances.choose(honest, small) + chances.choose(honest - small, silent);
        sets + f64::from(small) * each_small + f64::from(large) * avoid(small)
    };
    let chance = |small: u32| {
        let each = chances.at_least(others, corrupt + small - 1, k, t);
        let held = chances.choose(honest, small) + f64::from(small) * each;
        if held < -60.0 * LN_2 {
            return held.exp();
        }
        let most = (owners - quorum).min(honest - 2 * small);
        let steps = (0..=most).step_by((most as usize / 60).max(1)).chain([most]);
        steps.map(|silent| apart(small, silent)).fold(f64::NEG_INFINITY, f64::max).min(held).exp()
    };
    (1..=honest / 2).map(chance).sum()
}

#[test]
fn no_part_of_the_survivors_can_be_opened_alone() {
    for corrupt in CORRUPT {
        for owners in [40, 45, 50, 60, 75, 100, 150, 200, 350, 500, 1_000] {
            let terms = terms(corrupt);
            let hood = terms.neighbourhood(owners, owners).unwrap();
            if u32::from(hood.degree) < owners - 1 {
                let bits = -split(owners, terms).log2();
                assert!(bits > 39.0, "{owners} {corrupt} {hood:?}: 2^-{bits}");
            }
        }
    }
    // Shares for half as many others would not do.
    let few = Chances::new(100).at_least(99, 10, 16, 6);
    assert!((100.0 * few.exp()).log2() > -40.0);
}

#[test]
fn neighbours_are_drawn_evenly_and_by_the_owner_alone() {
    let terms = Terms::default();
    let mut stage = Stage::new(60, 0, terms, 9).unwrap();
    let degree = stage.terms.neighbourhood(60, 60).unwrap().degree;
    let messages = stage.until(1, &[].into());
    let directory = message_to(&messages, 0);
    let mut drawn = [0u32; 60];
    for seed in 0..120 {
        let mut owner = stage.owners[0].clone();
        let answer = owner.receive(&mut rng(seed), &directory);
        let shares = Shares::decode(&answer.unwrap().unwrap()).unwrap();
        let peers: BTreeSet<OwnerId> = shares.packets.iter().map(|packet| packet.peer).collect();
        assert_eq!(peers.len(), usize::from(degree));
        for peer in &peers {
            drawn[peer.index()] += 1;
        }
    }
    assert_eq!(drawn[0], 0);
    let mean = 120.0 * f64::from(degree) / 59.0;
    let spread = (mean * (1.0 - f64::from(degree) / 59.0)).sqrt();
    assert!(drawn[1..].iter().all(|count| (f64::from(*count) - mean).abs() < 4.5 * spread));
}
