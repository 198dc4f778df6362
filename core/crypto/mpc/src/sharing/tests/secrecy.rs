//! Perfect secrecy, by counting every case over tiny fields.

use std::collections::BTreeMap;

use super::*;
use crate::sharing::field::Field;
use crate::sharing::toy::Toy;

/// Every vector of `length` elements.
fn vectors<const P: u64>(length: u32) -> Vec<Vec<Toy<P>>> {
    let digits = |mut number: u64| {
        (0..length).map(move |_| {
            let digit = Toy(number % P);
            number /= P;
            digit
        })
    };
    (0..P.pow(length)).map(|number| digits(number).collect()).collect()
}

/// Every set of `size` of `members`.
fn sets(members: u16, size: u16) -> Vec<Vec<usize>> {
    let all = |bits: &u32| bits.count_ones() == u32::from(size);
    let members_of = |bits: u32| (0..usize::from(members)).filter(move |i| bits >> i & 1 == 1);
    (0..1u32 << members).filter(all).map(|bits| members_of(bits).collect()).collect()
}

type Counts<const P: u64> = BTreeMap<Vec<Toy<P>>, u64>;

/// How often each view of the members `seen` occurs, over all `dealt` rows of one polynomial.
fn views<const P: u64>(dealt: &[Vec<Toy<P>>], seen: &[usize]) -> Counts<P> {
    let mut counts = Counts::new();
    for row in dealt {
        *counts.entry(seen.iter().map(|&member| row[member]).collect()).or_default() += 1;
    }
    counts
}

/// The shares of all members, for all random numbers.
fn dealt<const P: u64>(layout: &Layout<Toy<P>>, secrets: &[Toy<P>]) -> Vec<Vec<Toy<P>>> {
    let blinding = vec![Toy(0); layout.recovery().into()];
    let shares = |random: Vec<Toy<P>>| {
        let dealing = Dealing::from_parts(layout, secrets, &random, blinding.clone());
        dealing.rows().iter().map(|row: &MemberRow<_, Toy<P>>| row.elements[0]).collect()
    };
    vectors(layout.privacy().into()).into_iter().map(shares).collect()
}

fn t_priv_shares_are_uniform_whatever_the_secrets<const P: u64>(
    members: u16,
    privacy: u16,
    packing: u16,
) {
    let layout = Layout::<Toy<P>>::with(members, privacy, packing).unwrap();
    let (all, one_more) = (sets(members, privacy), sets(members, privacy + 1));
    for secrets in vectors::<P>(packing.into()) {
        let dealt = dealt(&layout, &secrets);
        for seen in &all {
            let counts = views(&dealt, seen);
            assert_eq!(counts.len() as u64, P.pow(privacy.into()), "every view occurs");
            assert!(counts.values().all(|&count| count == 1), "and all as often");
        }
        // One share more is not uniform any more: the test above can fail.
        let counts = views(&dealt, &one_more[0]);
        assert!((counts.len() as u64) < P.pow(u32::from(privacy) + 1));
    }
}

#[test]
fn too_few_shares_give_nothing() {
    t_priv_shares_are_uniform_whatever_the_secrets::<5>(3, 1, 1);
    t_priv_shares_are_uniform_whatever_the_secrets::<7>(5, 2, 1);
    t_priv_shares_are_uniform_whatever_the_secrets::<7>(4, 1, 2);
    t_priv_shares_are_uniform_whatever_the_secrets::<11>(6, 2, 2);
}

/// All that a member and everyone sees: its row, blinding included, and the check polynomial.
#[test]
fn the_check_polynomial_adds_nothing() {
    let layout = Layout::<Toy<5>>::with(3, 1, 1).unwrap();
    for (member, r) in [(0, Toy(0)), (0, Toy(1)), (1, Toy(3)), (2, Toy(2))] {
        let views_of = |secrets: &[Toy<5>], blind: bool| {
            let mut counts = Counts::<5>::new();
            for numbers in vectors::<5>(4) {
                let (random, blinding) = numbers.split_at(2);
                let mut blinding = blinding.to_vec();
                if !blind {
                    blinding[0] = Toy(0);
                }
                let dealing = Dealing::from_parts(&layout, secrets, random, blinding);
                let row = dealing.rows()[member].clone();
                let mut view = row.elements.clone();
                view.push(row.blinding);
                view.extend(dealing.check(r).coefficients);
                *counts.entry(view).or_default() += 1;
            }
            counts
        };
        let all = vectors::<5>(2);
        let first = views_of(&all[0], true);
        assert!(all.iter().all(|secrets| views_of(secrets, true) == first));
        // The weakened twin, blinding that is nought at the secrets, tells them apart.
        let first = views_of(&all[0], false);
        let same = all.iter().filter(|secrets| views_of(secrets, false) == first).count();
        assert_eq!(same, if r == Toy(0) { 25 } else { 5 });
    }
}

#[test]
fn coefficients_are_uniform_nought_included() {
    // Values at the basis are enumerated, so every polynomial with the secret occurs once.
    let layout = Layout::<Toy<7>>::with(5, 2, 1).unwrap();
    for secret in Toy::<7>::all() {
        let mut leading = BTreeMap::<_, u64>::new();
        for random in vectors::<7>(2) {
            let values: Vec<Toy<7>> = std::iter::once(secret).chain(random).collect();
            *leading.entry(layout.basis().coefficients(&values)[2]).or_default() += 1;
        }
        assert_eq!(leading, Toy::<7>::all().map(|c| (c, 7)).collect());
    }
    // And those that are drawn: 10,000 times each of 5 values, within 5 deviations of 100.
    let mut rng = rng(1);
    let mut drawn = BTreeMap::<_, i64>::new();
    for _ in 0..50_000 {
        let polynomial = Polynomial::random(&mut rng, Toy::<5>(3), 2);
        *drawn.entry(polynomial.coefficients()[1]).or_default() += 1;
    }
    assert_eq!(drawn.len(), 5);
    assert!(drawn.values().all(|count| (count - 10_000).abs() < 500), "{drawn:?}");
}

/// The fault of several published crates: a leading coefficient that is never nought. One share
/// of two then tells which value the secret does not have.
#[test]
fn a_leading_coefficient_that_is_never_nought_leaks() {
    let share = |secret: Toy<5>, coefficient| secret + coefficient * Toy(1);
    for secret in Toy::<5>::all() {
        let weak: Vec<_> = Toy::all().skip(1).map(|c| share(secret, c)).collect();
        assert!(!weak.contains(&secret));
        let real: Vec<_> = Toy::all().map(|c| share(secret, c)).collect();
        assert!(Toy::all().all(|value| real.contains(&value)));
    }
}

#[test]
fn t_minus_1_shares_of_t_give_nothing() {
    for secret in Toy::<7>::all() {
        for seen in sets(5, 2) {
            let mut counts = Counts::<7>::new();
            for rest in vectors::<7>(2) {
                let x = |member: usize| <Toy<7> as Field>::from_u64(member as u64 + 1);
                let at = |x| secret + rest[0] * x + rest[1] * x * x;
                *counts.entry(seen.iter().map(|&i| at(x(i))).collect()).or_default() += 1;
            }
            assert_eq!(counts.len(), 49);
        }
    }
}
