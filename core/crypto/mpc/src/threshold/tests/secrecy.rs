//! What fewer than t shares tell, counted out over a field of 5 elements.

use std::collections::BTreeMap;

use crate::sharing::Field;
use crate::sharing::polynomial::evaluate;
use crate::sharing::toy::Toy;
use crate::threshold::polynomial::{interpolate, lagrange};
use nexus_types::MemberId;

type F5 = Toy<5>;

fn at(coefficients: &[F5], member: u16) -> F5 {
    evaluate(coefficients, F5::from_u64(u64::from(member) + 1))
}

/// How often each view occurs, for each secret.
type Views = BTreeMap<F5, BTreeMap<Vec<F5>, u32>>;

fn same_for_all_secrets(views: &Views) -> bool {
    let mut all = views.values();
    let first = all.next().unwrap();
    all.all(|view| view == first)
}

/// Views of these members of all quadratic sharings whose coefficients `allowed` lets pass.
fn views(members: &[u16], allowed: fn(&[F5]) -> bool) -> Views {
    let mut views = Views::new();
    for secret in F5::all() {
        for (a, b) in F5::all().flat_map(|a| F5::all().map(move |b| (a, b))) {
            let polynomial = [secret, a, b];
            if allowed(&polynomial) {
                let view = members.iter().map(|&member| at(&polynomial, member)).collect();
                *views.entry(secret).or_default().entry(view).or_default() += 1;
            }
        }
    }
    views
}

#[test]
fn fewer_than_t_shares_tell_nothing() {
    for first in 0..4 {
        for second in 0..first {
            let members = [first, second];
            assert!(same_for_all_secrets(&views(&members, |_| true)));
            // The twin whose highest coefficient is never 0 gives something away.
            assert!(!same_for_all_secrets(&views(&members, |f| f[2] != F5::ZERO)));
        }
    }
    assert!(!same_for_all_secrets(&views(&[0, 1, 2], |_| true)));
}

/// A share of one epoch and another member's of the next, t = 2, for all polynomials.
fn across_epochs(fresh: bool) -> Views {
    let dealers = [MemberId(1), MemberId(2)];
    let weights: Vec<F5> = lagrange(&dealers).unwrap();
    let slopes = || F5::all().filter(move |&slope| fresh || slope == F5::ZERO);
    let mut views = Views::new();
    for secret in F5::all() {
        for old in F5::all().map(|slope| [secret, slope]) {
            for (a, b) in slopes().flat_map(|a| slopes().map(move |b| (a, b))) {
                let dealt = |dealer: MemberId, slope| at(&[at(&old, dealer.0), slope], 0);
                let shares = [dealt(dealers[0], a), dealt(dealers[1], b)];
                let view = vec![at(&old, 3), F5::dot(&weights, &shares)];
                *views.entry(secret).or_default().entry(view).or_default() += 1;
            }
        }
    }
    views
}

#[test]
fn shares_of_two_epochs_do_not_add_up() {
    assert!(same_for_all_secrets(&across_epochs(true)));
    // The twin that reshares without fresh randomness gives the secret itself away.
    assert!(!same_for_all_secrets(&across_epochs(false)));
}

#[test]
fn interpolation_inverts_evaluation() {
    for polynomial in
        F5::all().flat_map(|a| F5::all().flat_map(move |b| F5::all().map(move |c| [a, b, c])))
    {
        let shares: Vec<_> =
            [3, 0, 2].map(|member| (MemberId(member), at(&polynomial, member))).to_vec();
        assert_eq!(interpolate(&shares).unwrap(), polynomial);
    }
    assert_eq!(interpolate(&[(MemberId(1), F5::ONE), (MemberId(1), F5::ONE)]), None);
    assert_eq!(lagrange::<F5>(&[MemberId(1), MemberId(1)]), None);
}
