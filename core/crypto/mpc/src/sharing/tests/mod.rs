//! What the parts do together, and what attackers cannot do with them.

use std::collections::BTreeMap;

use borsh::BorshDeserialize;
use nexus_field::{Cubic, Fp};
use nexus_types::{MemberId, borsh};
use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

mod attacks;
mod secrecy;

const SIZES: [u16; 5] = [4, 7, 16, 50, 100];

fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

fn random_secrets(rng: &mut ChaCha12Rng, count: usize) -> Vec<Fp> {
    (0..count).map(|_| Fp::random(rng)).collect()
}

type Answers = BTreeMap<MemberId, Vec<Fp>>;

fn answers(dealing: &Dealing) -> Answers {
    (0..).map(MemberId).zip(dealing.rows().iter().map(|row| row.elements.clone())).collect()
}

/// A committee that answers with its shares of random secrets.
fn committee(members: u16, secrets: usize, seed: u64) -> (Layout, Vec<Fp>, Answers) {
    let mut rng = rng(seed);
    let layout = Layout::committee(members).unwrap();
    let secrets = random_secrets(&mut rng, secrets);
    let answers = answers(&Dealing::new(&layout, &mut rng, &secrets));
    (layout, secrets, answers)
}

#[test]
fn what_is_dealt_is_checked_and_recovered() {
    for members in SIZES {
        for count in [1, 17, 20] {
            let mut rng = rng(u64::from(members));
            let layout = Layout::committee(members).unwrap();
            let secrets = random_secrets(&mut rng, count);
            let dealing = Dealing::new(&layout, &mut rng, &secrets);
            let answers = answers(&dealing);
            let rows = dealing.rows().to_vec();
            let blinding = dealing.blinding_at_secrets();
            let r = Cubic::random(&mut rng);
            let check = dealing.check(r);
            for (member, row) in MemberId::all(members).zip(&rows) {
                assert_eq!(row.elements.len(), layout.elements(count));
                assert!(verify(&layout, member, row, r, &check));
            }
            assert!(check_at_secret(&layout, r, &check, &secrets, &blinding));
            let found = recover(&layout, &answers, count, |found| found == secrets).unwrap();
            assert_eq!(found, Recovered { secrets, liars: vec![], disputed: vec![] });
        }
    }
}

#[test]
fn a_row_fits_one_member_one_challenge_and_one_polynomial() {
    let mut rng = rng(1);
    for members in SIZES {
        let layout = Layout::committee(members).unwrap();
        let secrets = random_secrets(&mut rng, 30);
        let dealing = Dealing::new(&layout, &mut rng, &secrets);
        let row = dealing.rows()[1].clone();
        let r = Cubic::random(&mut rng);
        let check = dealing.check(r);
        let fits = |member, row: &MemberRow, r, check: &CheckPolynomial| {
            verify(&layout, MemberId(member), row, r, check)
        };
        assert!(fits(1, &row, r, &check));
        assert!(!fits(0, &row, r, &check));
        assert!(!fits(members, &row, r, &check));
        assert!(!fits(u16::MAX, &row, r, &check));
        assert!(!fits(1, &row, r + Cubic::ONE, &check));
        for element in 0..row.elements.len() {
            let mut damaged = row.clone();
            damaged.elements[element] += Fp::ONE;
            assert!(!fits(1, &damaged, r, &check));
        }
        let mut damaged = row.clone();
        damaged.blinding += Cubic::ONE;
        assert!(!fits(1, &damaged, r, &check));
        for coefficient in 0..check.coefficients.len() {
            let mut damaged = check.clone();
            damaged.coefficients[coefficient] += Cubic::ONE;
            assert!(!fits(1, &row, r, &damaged));
        }
        let mut longer = check.clone();
        longer.coefficients.push(Cubic::ZERO);
        assert!(!fits(1, &row, r, &longer));
    }
}

#[test]
fn the_equations_at_the_secrets_hold_for_the_shared_secrets_only() {
    let mut rng = rng(2);
    for members in SIZES {
        let layout = Layout::committee(members).unwrap();
        let secrets = random_secrets(&mut rng, 40);
        let dealing = Dealing::new(&layout, &mut rng, &secrets);
        let blinding = dealing.blinding_at_secrets();
        let r = Cubic::random(&mut rng);
        let check = dealing.check(r);
        // v(−a) = b(−a) + Σ r^l·k_{l,a}, written out.
        for place in 1..=layout.packing() {
            let offset = usize::from(place - 1);
            let (mut sum, mut power) = (blinding[offset], Cubic::ONE);
            for k in secrets[offset..].iter().step_by(usize::from(layout.packing())) {
                power *= r;
                sum += power.scale(*k);
            }
            assert_eq!(check.at_secret(place), sum);
        }
        for wrong in 0..secrets.len() {
            let mut other = secrets.clone();
            other[wrong] -= Fp::ONE;
            assert!(!check_at_secret(&layout, r, &check, &other, &blinding));
        }
        assert!(!check_at_secret(&layout, r, &check, &secrets, &blinding[1..]));
    }
}

#[test]
fn shares_of_sums_are_sums_of_shares() {
    let mut rng = rng(3);
    let layout = Layout::committee(16).unwrap();
    let mut sums = vec![vec![Fp::ZERO; layout.elements(10)]; 16];
    let mut expected = vec![Fp::ZERO; 10];
    for _ in 0..5 {
        let secrets = random_secrets(&mut rng, 10);
        expected.iter_mut().zip(&secrets).for_each(|(sum, &secret)| *sum += secret);
        let dealing = Dealing::new(&layout, &mut rng, &secrets);
        for (sum, row) in sums.iter_mut().zip(dealing.rows()) {
            add_rows(sum, row).unwrap();
        }
    }
    let short = MemberRow { elements: vec![Fp::ONE], blinding: Cubic::ZERO };
    let before = sums[0].clone();
    assert_eq!(add_rows(&mut sums[0], &short), Err(RowLength { got: 1, expected: 4 }));
    assert_eq!(sums[0], before);
    let answers = MemberId::all(16).zip(sums).collect();
    assert_eq!(recover(&layout, &answers, 10, |_| true).unwrap().secrets, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(row) = <MemberRow>::try_from_slice(&bytes) {
            prop_assert_eq!(&borsh::to_vec(&row).unwrap(), &bytes);
        }
        if let Ok(check) = <CheckPolynomial>::try_from_slice(&bytes) {
            prop_assert_eq!(&borsh::to_vec(&check).unwrap(), &bytes);
        }
        if let Ok(share) = Share::<SharedBytes>::try_from_slice(&bytes) {
            prop_assert_eq!(&borsh::to_vec(&share).unwrap(), &bytes);
        }
    }

    #[test]
    fn rows_and_checks_decode_and_damaged_ones_are_others(seed: u64, bit: prop::sample::Index) {
        let mut rng = rng(seed);
        let layout = Layout::committee(4).unwrap();
        let dealing = Dealing::new(&layout, &mut rng, &[Fp::new(seed)]);
        let row = dealing.rows()[0].clone();
        let check = dealing.check(Cubic::random(&mut rng));
        let mut bytes = borsh::to_vec(&row).unwrap();
        prop_assert_eq!(&<MemberRow>::try_from_slice(&bytes).unwrap(), &row);
        let flipped = bit.index(8 * bytes.len());
        bytes[flipped / 8] ^= 1 << (flipped % 8);
        prop_assert_ne!(<MemberRow>::try_from_slice(&bytes).ok(), Some(row));
        let mut bytes = borsh::to_vec(&check).unwrap();
        prop_assert_eq!(&<CheckPolynomial>::try_from_slice(&bytes).unwrap(), &check);
        let flipped = bit.index(8 * bytes.len());
        bytes[flipped / 8] ^= 1 << (flipped % 8);
        prop_assert_ne!(<CheckPolynomial>::try_from_slice(&bytes).ok(), Some(check));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn up_to_the_bound_lies_do_no_harm(
        seed: u64, size in 0..SIZES.len(), silent in 0u16..=33, columns in 1usize..4,
    ) {
        let members = SIZES[size];
        let (layout, secrets, mut answers) = committee(members, 40, seed);
        let mut rng = rng(!seed);
        let spare = members - layout.recovery();
        let silent = silent.min(spare);
        let lies = (spare - silent) / 2;
        for _ in 0..silent {
            remove_one(&mut rng, &mut answers);
        }
        let liars = lie(&mut rng, &mut answers, lies, columns);
        // Within this bound the decoder is right without a judge.
        let found = recover(&layout, &answers, 40, |_| true).unwrap();
        prop_assert_eq!(&found.secrets, &secrets);
        let provable = lies + silent <= layout.packing();
        let (named, other) = (&found.liars, &found.disputed);
        let (named, other) = if provable { (named, other) } else { (other, named) };
        prop_assert_eq!(named, &liars);
        prop_assert!(other.is_empty());
    }

    #[test]
    fn beyond_the_bound_the_result_is_accepted_or_none(
        seed: u64, size in 0..SIZES.len(), lies in 1u16..100,
    ) {
        let members = SIZES[size];
        let (layout, secrets, mut answers) = committee(members, 18, seed);
        let lies = lies.min(members);
        lie(&mut rng(!seed), &mut answers, lies, 1);
        let honest = members - lies;
        match recover(&layout, &answers, 18, |candidate| candidate == secrets) {
            Ok(found) => prop_assert_eq!(found.secrets, secrets),
            Err(RecoverError::Undecodable { answers }) => {
                prop_assert_eq!(answers, members);
                prop_assert!(members > 16 || honest < layout.recovery());
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

fn remove_one(rng: &mut ChaCha12Rng, answers: &mut Answers) {
    let place = usize::try_from(rng.next_u32()).unwrap() % answers.len();
    let member = *answers.keys().nth(place).unwrap();
    answers.remove(&member);
}

/// Replaces elements in some columns of so many answers; returns whose.
fn lie(rng: &mut ChaCha12Rng, answers: &mut Answers, lies: u16, columns: usize) -> Vec<MemberId> {
    let mut honest: Vec<MemberId> = answers.keys().copied().collect();
    let mut liars = Vec::new();
    for _ in 0..lies {
        let place = usize::try_from(rng.next_u32()).unwrap() % honest.len();
        let liar = honest.swap_remove(place);
        let row = answers.get_mut(&liar).unwrap();
        for _ in 0..columns {
            let column = usize::try_from(rng.next_u32()).unwrap() % row.len();
            row[column] = Fp::random(rng);
        }
        liars.push(liar);
    }
    liars.sort_unstable();
    liars
}
