//! Attacks, each on a weakened twin that falls and on the real thing that does not.

use super::*;
use crate::sharing::check::fingerprint;
use crate::sharing::field::{Extension, Field};
use crate::sharing::toy::{Toy, ToyCubic};

/// Solves `matrix · x = values`, all of whose columns are independent, by elimination.
fn solve<F: Field>(mut matrix: Vec<Vec<F>>, unknowns: usize) -> Vec<F> {
    let equations = eliminate(&mut matrix, unknowns);
    assert_eq!(equations, unknowns);
    matrix[..unknowns].iter().map(|row| row[unknowns]).collect()
}

/// Brings the first `columns` columns to reduced echelon form; returns their rank.
fn eliminate<F: Field>(matrix: &mut [Vec<F>], columns: usize) -> usize {
    let mut rank = 0;
    for column in 0..columns {
        let Some(pivot) = (rank..matrix.len()).find(|&row| matrix[row][column] != F::ZERO) else {
            continue;
        };
        matrix.swap(rank, pivot);
        let inverse = matrix[rank][column].inverse().unwrap();
        matrix[rank].iter_mut().for_each(|x| *x = *x * inverse);
        let pivot = matrix[rank].clone();
        for (_, row) in matrix.iter_mut().enumerate().filter(|&(i, _)| i != rank) {
            let factor = row[column];
            row.iter_mut().zip(&pivot).for_each(|(x, &p)| *x = *x - factor * p);
        }
        rank += 1;
    }
    rank
}

/// What the shares `seen` of one polynomial say about its secrets: equations `Σ c_a·k_a = value`
/// in which nothing random is left.
fn leak(layout: &Layout, seen: &[(MemberId, Fp)]) -> Vec<Vec<Fp>> {
    let (packing, privacy) = (usize::from(layout.packing()), usize::from(layout.privacy()));
    let equation = |&(member, value): &(MemberId, Fp)| {
        let lambdas = layout.basis().at(layout.point_of(member).unwrap());
        let (secret, random) = lambdas.split_at(packing);
        [random, secret, &[value]].concat()
    };
    let mut equations: Vec<Vec<Fp>> = seen.iter().map(equation).collect();
    let rank = eliminate(&mut equations, privacy);
    equations[rank..].iter().map(|row| row[privacy..].to_vec()).collect()
}

/// Two survivor sets are shown to two halves of the honest members. Without the certificate they
/// answer for the one they were shown, and the smaller half with the `f` faulty members gives
/// away combinations of a sum that nobody opened. With it all answer for one set, and of the
/// other there are the faulty members' shares only.
#[test]
fn a_split_view_leaks_from_packed_shares() {
    let new = |members| Layout::committee(members).unwrap();
    let old = Layout::with(50, 16, 18).unwrap();
    for (layout, leaked) in [(new(7), 0), (new(16), 2), (new(50), 7), (new(100), 16), (old, 16)] {
        let mut rng = rng(1);
        let packing = usize::from(layout.packing());
        let secrets = random_secrets(&mut rng, packing);
        let dealing = Dealing::new(&layout, &mut rng, &secrets);
        let shares = answers(&dealing);
        let shares: Vec<_> = shares.into_iter().map(|(member, row)| (member, row[0])).collect();
        let faulty = usize::from(layout.faulty());
        // The larger half opens its sum, the smaller half may not.
        let larger = usize::from(layout.recovery()) - faulty;
        let (faulty, honest) = shares.split_at(faulty);
        let split = [faulty, &honest[larger..]].concat();
        assert!(split.len() < usize::from(layout.recovery()));
        let equations = leak(&layout, &split);
        assert_eq!(equations.len(), leaked, "{layout:?}");
        for equation in &equations {
            let (coefficients, value) = equation.split_at(packing);
            assert!(coefficients.iter().any(|&c| c != Fp::ZERO));
            assert_eq!(Fp::dot(coefficients, &secrets), value[0]);
        }
        assert_eq!(leak(&layout, faulty), Vec::<Vec<Fp>>::new());
    }
}

/// An owner that seals the same dealing twice, with two challenges, gives an equation on its key
/// each time. [`Dealing::check`] consumes the dealing.
#[test]
fn blinding_used_twice_gives_the_key_away() {
    let mut rng = rng(2);
    let layout = Layout::committee(4).unwrap();
    let key = random_secrets(&mut rng, 5);
    let dealing = Dealing::new(&layout, &mut rng, &key);
    let mut answer = || {
        let r = Cubic::random(&mut rng);
        (r, dealing.check_again(r).at_secret(1))
    };
    let (first, value) = answer();
    let powers = |r: Cubic| std::iter::successors(Some(r), move |&power| Some(power * r));
    let equation = |(r, v): (Cubic, Cubic)| {
        let differences = powers(r).zip(powers(first)).take(key.len()).map(|(a, b)| a - b);
        differences.chain([v - value]).collect()
    };
    let equations = (0..key.len()).map(|_| equation(answer())).collect();
    let found = solve::<Cubic>(equations, key.len());
    assert_eq!(found, key.iter().map(|&k| Cubic::from_base(k)).collect::<Vec<_>>());
}

/// `v(−1) = Σ r^l·k_l` if the blinding is nought there: three equations on the key.
#[test]
fn blinding_that_is_nought_at_the_secrets_gives_the_key_away() {
    let mut rng = rng(3);
    let layout = Layout::committee(4).unwrap();
    let key = random_secrets(&mut rng, 3);
    let attack = |dealing: Dealing, r: Cubic| {
        let value = dealing.check(r).at_secret(1).coefficients();
        let powers = [r, r * r, r * r * r].map(Cubic::coefficients);
        let row = |i: usize| powers.iter().map(|power| power[i]).chain([value[i]]).collect();
        solve::<Fp>((0..3).map(row).collect(), 3)
    };
    let random = random_secrets(&mut rng, 6);
    let mut blinding: Vec<Cubic> = (0..3).map(|_| Cubic::random(&mut rng)).collect();
    blinding[0] = Cubic::ZERO;
    let weak = Dealing::from_parts(&layout, &key, &random, blinding);
    let r = Cubic::random(&mut rng);
    assert_eq!(attack(weak, r), key);
    let real = Dealing::new(&layout, &mut rng, &key);
    let found = attack(real, r);
    assert!(found.iter().zip(&key).all(|(a, b)| a != b));
}

const TOY: u64 = 1_048_573; // the largest prime below 2^20
type Base = Toy<TOY>;
type Large = ToyCubic<TOY, 2>;

/// Grinds the challenge, which the dealer influences through what it hashes, until a row that
/// lies on no polynomial with the others passes; returns whether it found one.
fn grind<E: Extension<Base>>(challenge: impl Fn(u64) -> E, tries: u64) -> bool {
    const ELEMENTS: u16 = 256;
    let mut rng = rng(4);
    let layout = Layout::<Base>::with(4, 2, 1).unwrap();
    let secrets: Vec<Base> = (0..ELEMENTS).map(|_| Field::random(&mut rng)).collect();
    let dealing = Dealing::<Base, E>::deal(&layout, &mut rng, &secrets);
    // The difference to the true row has as many roots in the base field as it can.
    let mut difference = vec![Base::ONE];
    for root in 1..u64::from(ELEMENTS) {
        difference.insert(0, Base::ZERO);
        for i in 1..difference.len() {
            difference[i - 1] = difference[i - 1] - Toy(root * 997) * difference[i];
        }
    }
    let mut forged = dealing.rows()[2].clone();
    forged.elements.iter_mut().zip(&difference).for_each(|(x, &d)| *x = *x + d);
    let passes = |r: &E| *r != E::ZERO && fingerprint(*r, &difference) == E::ZERO;
    let Some(r) = (0..tries).map(challenge).find(passes) else { return false };
    let check = dealing.check(r);
    verify(&layout, MemberId(2), &forged, r, &check)
}

#[test]
fn a_challenge_from_the_base_field_is_ground_away() {
    assert_ne!((0..(TOY - 1) / 3).fold(Base::ONE, |power, _| power * Toy(2)), Base::ONE);
    let word = |salt: u64, part: u8| {
        let hash = blake3::hash(&[&salt.to_le_bytes()[..], &[part]].concat());
        Base::from_u64(u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap()))
    };
    assert!(grind(|salt| word(salt, 0), 1 << 15));
    assert!(!grind(|salt| ToyCubic([0, 1, 2].map(|part| word(salt, part))) as Large, 1 << 15));
}

#[test]
fn one_liar_is_named_and_the_result_is_right() {
    for members in [4, 7, 16] {
        for liar in MemberId::all(members) {
            let (layout, secrets, honest) = committee(members, 12, 5);
            for columns in [0..1, 3..4, 0..layout.elements(12)] {
                let mut answers = honest.clone();
                let row = answers.get_mut(&liar).unwrap();
                row[columns].iter_mut().for_each(|x| *x += Fp::ONE);
                let found = recover(&layout, &answers, 12, |found| found == secrets).unwrap();
                assert_eq!(found.secrets, secrets);
                assert_eq!((found.liars, found.disputed), (vec![liar], vec![]));
            }
        }
    }
}

#[test]
fn as_many_liars_as_unique_decoding_allows_are_named() {
    for (members, lies) in [(16, 2), (50, 8), (100, 16)] {
        let (layout, secrets, mut answers) = committee(members, 100, 6);
        let liars = lie(&mut rng(6), &mut answers, lies, 2);
        let found = recover(&layout, &answers, 100, |_| true).unwrap();
        assert_eq!(found.secrets, secrets);
        assert_eq!((found.liars, found.disputed), (liars, vec![]));
    }
}

#[test]
fn up_to_16_members_f_may_lie_or_be_silent() {
    for (members, faulty) in [(4, 1), (7, 2), (16, 5)] {
        for lies in 0..=faulty {
            let (layout, secrets, mut answers) = committee(members, 5, 7);
            let mut rng = rng(7);
            (lies..faulty).for_each(|_| remove_one(&mut rng, &mut answers));
            lie(&mut rng, &mut answers, lies, 2);
            let found = recover(&layout, &answers, 5, |found| found == secrets).unwrap();
            assert_eq!(found.secrets, secrets);
        }
    }
}

/// Two liars of seven move to polynomials with the same secrets through three honest members.
/// Whoever takes the first set that opens and calls the rest liars accuses two honest members.
#[test]
fn liars_cannot_have_honest_members_named() {
    let (layout, secrets, mut answers) = committee(7, 3, 8);
    let liars = [MemberId(0), MemberId(4)];
    let framed = [MemberId(5), MemberId(6)];
    for liar in liars {
        // (X + 1)(X − 2)(X − 3)(X − 4): nought at the secret and at members 1, 2 and 3.
        let x = layout.point_of(liar).unwrap();
        let factors = [-1, 2, 3, 4].map(|root| x - Fp::from_i64(root));
        let shift = factors.into_iter().fold(Fp::new(12_345), |product, factor| product * factor);
        answers.get_mut(&liar).unwrap().iter_mut().for_each(|element| *element += shift);
    }
    let found = recover(&layout, &answers, 3, |found| found == secrets).unwrap();
    assert_eq!(found.secrets, secrets);
    assert_eq!(found.liars, []);
    // The weakened twin would have named these.
    assert_eq!(found.disputed, framed);
}

/// A liar that knows which subset it is in moves the opened key by a small amount. A test that
/// the key is short does not see it, so the judge must know more than that: with the key moved,
/// the sum does not decode.
#[test]
fn a_short_wrong_key_passes_a_judge_that_only_looks_at_its_length() {
    let mut rng = rng(9);
    let layout = Layout::committee(4).unwrap();
    let keys: Vec<Fp> = [3, -4, 5].map(Fp::from_i64).to_vec();
    let mut answers = answers(&Dealing::new(&layout, &mut rng, &keys));
    let nodes = (0..3).map(|i| layout.point_of(MemberId(i)).unwrap()).collect();
    let lambda = polynomial::Basis::new(nodes).unwrap().at(Fp::from_i64(-1))[0];
    let lie = lambda.inverse().unwrap();
    answers.get_mut(&MemberId(0)).unwrap().iter_mut().for_each(|element| *element += lie);
    let short = |key: &[Fp]| key.iter().all(|k| k.centred().unsigned_abs() < 100);
    let weak = recover(&layout, &answers, 3, short).unwrap();
    assert_eq!(weak.secrets, [4, -3, 6].map(Fp::from_i64));
    let right = |key: &[Fp]| short(key) && key == keys;
    let found = recover(&layout, &answers, 3, right).unwrap();
    assert_eq!((found.secrets, found.liars), (keys, vec![MemberId(0)]));
}

#[test]
fn answers_that_cannot_be_are_refused_by_name() {
    let (layout, secrets, honest) = committee(7, 4, 10);
    let accept = |found: &[Fp]| found == secrets;
    let mut answers = honest.clone();
    answers.insert(MemberId(7), honest[&MemberId(0)].clone());
    let stranger = RecoverError::Stranger { member: MemberId(7), members: 7 };
    assert_eq!(recover(&layout, &answers, 4, accept), Err(stranger));
    let mut answers = honest.clone();
    answers.get_mut(&MemberId(2)).unwrap().pop();
    answers.get_mut(&MemberId(5)).unwrap().push(Fp::ZERO);
    let found = recover(&layout, &answers, 4, accept).unwrap();
    assert_eq!((&found.secrets, found.liars), (&secrets, vec![MemberId(2), MemberId(5)]));
    answers.remove(&MemberId(0));
    let few = RecoverError::TooFew { have: 4, need: 5 };
    assert_eq!(recover(&layout, &answers, 4, accept), Err(few));
    assert_eq!(recover(&layout, &honest, 4, |_| false), Err(RecoverError::Rejected { answers: 7 }));
    let mut answers = honest;
    answers.get_mut(&MemberId(1)).unwrap()[0] += Fp::ONE;
    assert_eq!(
        recover(&layout, &answers, 4, |_| false),
        Err(RecoverError::Undecodable { answers: 7 })
    );
}
