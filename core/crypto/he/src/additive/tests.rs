use nexus_types::CryptoRng;
use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::HeError;

fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

fn draw(terms: &Terms, rng: &mut dyn CryptoRng) -> Vec<i64> {
    let width = 2 * terms.bound() + 1;
    let value = |word: u64| (word % width).cast_signed() - terms.bound().cast_signed();
    (0..terms.values()).map(|_| value(rng.next_u64())).collect()
}

/// Encrypts as many vectors as there is room for, adds them, and compares with their sum.
fn adds_up<S: AdditiveHe>(scheme: &S, rng: &mut dyn CryptoRng) {
    let terms = *scheme.terms();
    let (secret, public) = scheme.generate(rng).unwrap();
    let mut clear = vec![0; terms.values()];
    let mut total: Option<S::Sum> = None;
    for client in 0..terms.clients() {
        // Extremes too: they meet the ends of their fields.
        let values = match client % 3 {
            0 => vec![terms.bound().cast_signed(); terms.values()],
            1 => draw(&terms, rng),
            _ => vec![-terms.bound().cast_signed(); terms.values()],
        };
        clear.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
        let bytes = scheme.write(&scheme.encrypt(&public, &values, rng).unwrap()).unwrap();
        assert_eq!(bytes.len(), scheme.bytes());
        let own = scheme.read(&bytes).unwrap();
        assert_eq!(scheme.addends(&own), 1);
        match &mut total {
            Some(total) => scheme.add(total, &own).unwrap(),
            None => total = Some(own),
        }
    }
    let mut total = total.unwrap();
    assert_eq!(*scheme.decrypt(&secret, &total).unwrap(), clear);
    let more = scheme.encrypt(&public, &draw(&terms, rng), rng).unwrap();
    assert!(matches!(
        scheme.add(&mut total, &more),
        Err(AdditiveError::Addends { got, limit }) if got == u64::from(limit) + 1
    ));
    let total = scheme.read(&scheme.write(&total).unwrap()).unwrap();
    assert_eq!(*scheme.decrypt(&secret, &total).unwrap(), clear, "a refusal leaves it as it was");
}

#[test]
fn sums_are_exact_for_many_terms() {
    for (bound, clients, values) in [
        (1, 1, 1),
        (1, 3, 5000),
        (32_767, 10, 30_000),
        (MAX_BOUND, 4, 9_000),
        (MAX_BOUND, MAX_CLIENTS, 10),
        (100, 1024, 3),
    ] {
        let ring = Ring::new(Terms::new(bound, clients, values).unwrap()).unwrap();
        if clients < 2000 {
            adds_up(&ring, &mut rng(bound));
        }
        let layout = ring.layout();
        let bits: f64 = layout.moduli().iter().map(|q| (q.value() as f64).log2()).sum();
        let used = layout.shift() + layout.field() * u32::try_from(layout.packed()).unwrap();
        assert!(bits > f64::from(used) + 0.9, "{layout:?}");
        assert!(layout.noise().log2() < f64::from(layout.shift() - 1));
    }
}

#[cfg(feature = "paillier")]
#[test]
fn paillier_adds_up_and_refuses_what_the_ring_refuses() {
    let scheme = Paillier::new(Terms::new(32_767, 3, 250).unwrap()).unwrap();
    assert_eq!(scheme.packed(), 170);
    let mut rng = rng(11);
    adds_up(&scheme, &mut rng);
    let (secret, public) = scheme.generate(&mut rng).unwrap();
    let mut own = scheme.encrypt(&public, &[5; 250], &mut rng).unwrap();
    let bytes = scheme.write(&own).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        scheme.read(&bytes)
    };
    let body = bytes.len() - 2 * 768;
    assert!(matches!(with(&|bytes| bytes.push(0)), Err(AdditiveError::Size { .. })));
    assert!(matches!(with(&|bytes| bytes[8] ^= 1), Err(AdditiveError::OtherTerms)));
    assert!(matches!(with(&|bytes| bytes[28] = 4), Err(AdditiveError::Addends { got: 4, .. })));
    assert!(matches!(with(&|bytes| bytes[32] &= 0xfe), Err(AdditiveError::Key { .. })));
    assert!(matches!(
        with(&|bytes| bytes[body..].fill(255)),
        Err(AdditiveError::Range { index: 0 })
    ));
    assert!(matches!(with(&|bytes| bytes[body..].fill(0)), Err(AdditiveError::Transparent)));
    let other = with(&|bytes| bytes[40] ^= 1).unwrap();
    assert_eq!(scheme.add(&mut own, &other), Err(AdditiveError::OtherKey));
    assert_eq!(scheme.decrypt(&secret, &other).unwrap_err(), AdditiveError::OtherKey);
    let changed = with(&|bytes| bytes[body] ^= 1).unwrap();
    assert_eq!(scheme.decrypt(&secret, &changed).unwrap_err(), AdditiveError::Noise);
}

#[test]
fn a_million_parameters_take_fewer_bytes_than_the_goal() {
    let per_value = |clients, seeded| {
        let terms = Terms::new(32_767, clients, 1_000_000).unwrap();
        let ring = Ring::new(terms).unwrap();
        ring.sizes()[usize::from(seeded)] as f64 / 1e6
    };
    assert!(per_value(1024, false) < 8.0, "{}", per_value(1024, false));
    assert!(per_value(64, true) < 4.0);
}

/// Worst keys and coins do not exist in a test, but the deviation that the bound is made of does.
#[test]
fn noise_has_the_deviation_that_its_bound_assumes() {
    let terms = Terms::new(1, 64, 2048).unwrap();
    let ring = Ring::new(terms).unwrap();
    let mut rng = rng(5);
    let (secret, public) = ring.generate(&mut rng).unwrap();
    let zeros = vec![0; 2048];
    let mut sum = ring.encrypt(&public, &zeros, &mut rng).unwrap();
    for _ in 1..64 {
        let other = ring.encrypt(&public, &zeros, &mut rng).unwrap();
        ring.add(&mut sum, &other).unwrap();
    }
    let count = ring.layout().words();
    let (c0, c1) = sum.words[..2 * count].split_at(count);
    let mut phase = c0.to_vec();
    ring.base().add_products(&mut phase, c1, &secret.words);
    ring.base().inverse(&mut phase);
    let modulus = ring.layout().moduli()[0];
    let degree = ring.layout().degree();
    let noise: Vec<f64> = phase[..degree].iter().map(|x| modulus.centred(*x) as f64).collect();
    let variance = noise.iter().map(|x| x * x).sum::<f64>() / degree as f64;
    let expected = 64.0 * (10.5 * 2.0 / 3.0 * 2.0 * degree as f64 + 10.5);
    assert!((0.8..1.25).contains(&(variance / expected)), "{variance} {expected}");
    let largest = noise.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    assert!(largest < ring.layout().noise() / 2.0);
}

#[test]
fn a_shared_key_halves_the_bytes_and_adds_to_the_others() {
    let ring = Ring::new(Terms::new(1000, 3, 20_000).unwrap()).unwrap();
    let mut rng = rng(2);
    let (secret, public) = ring.generate(&mut rng).unwrap();
    let (ours, theirs) = (draw(ring.terms(), &mut rng), draw(ring.terms(), &mut rng));
    let seeded = ring.encrypt_shared(&secret, &ours, &mut rng).unwrap();
    let bytes = ring.write_seeded(&seeded).unwrap();
    assert_eq!(bytes.len(), ring.sizes()[1]);
    assert!(bytes.len() * 100 < ring.bytes() * 51);
    let mut sum = ring.read(&bytes).unwrap();
    assert_eq!(sum, Sum::from(seeded));
    ring.add(&mut sum, &ring.encrypt(&public, &theirs, &mut rng).unwrap()).unwrap();
    let clear: Vec<i64> = ours.iter().zip(&theirs).map(|(a, b)| a + b).collect();
    assert_eq!(*ring.decrypt(&secret, &sum).unwrap(), clear);
}

#[test]
fn many_are_added_as_one_after_the_other_or_not_at_all() {
    let ring = Ring::new(Terms::new(1000, 5, 20_000).unwrap()).unwrap();
    let mut rng = rng(12);
    let (_, public) = ring.generate(&mut rng).unwrap();
    let mut sealed = |ring: &Ring| ring.encrypt(&public, &vec![7; 20_000], &mut rng).unwrap();
    let (first, mut others) = (sealed(&ring), vec![sealed(&ring), sealed(&ring), sealed(&ring)]);
    let (mut one, mut all) = (first.clone(), first.clone());
    others.iter().try_for_each(|other| ring.add(&mut one, other)).unwrap();
    ring.add_all(&mut all, &others).unwrap();
    assert_eq!(one, all);
    others.extend([first.clone(), first.clone()]);
    let mut more = first.clone();
    assert!(matches!(ring.add_all(&mut more, &others), Err(AdditiveError::Addends { got: 6, .. })));
    assert_eq!(more, first);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(matches!(Terms::new(0, 1, 1), Err(AdditiveError::Bound { got: 0, .. })));
    assert!(matches!(Terms::new(1, 0, 1), Err(AdditiveError::Clients { got: 0, .. })));
    assert!(matches!(
        Terms::new(1, MAX_CLIENTS + 1, 1),
        Err(AdditiveError::Clients { limit: MAX_CLIENTS, .. })
    ));
    assert!(matches!(Terms::new(1, 1, MAX_VALUES + 1), Err(AdditiveError::Values { .. })));
    let ring = Ring::new(Terms::new(10, 2, 4).unwrap()).unwrap();
    let other = Ring::new(Terms::new(10, 3, 4).unwrap()).unwrap();
    let mut rng = rng(3);
    let (secret, public) = ring.generate(&mut rng).unwrap();
    let mut encrypt = |values: &[i64]| ring.encrypt(&public, values, &mut rng);
    assert!(matches!(
        encrypt(&[1, 2, -11, 4]),
        Err(AdditiveError::Value { index: 2, got: -11, limit: 10 })
    ));
    assert!(matches!(encrypt(&[i64::MIN; 4]), Err(AdditiveError::Value { .. })));
    assert!(matches!(encrypt(&[1; 5]), Err(AdditiveError::Length { got: 5, needed: 4 })));
    let mut sum = encrypt(&[1; 4]).unwrap();
    let (stranger, strange) = ring.generate(&mut rng).unwrap();
    let foreign = ring.encrypt(&strange, &[1; 4], &mut rng).unwrap();
    assert_eq!(ring.add(&mut sum, &foreign), Err(AdditiveError::OtherKey));
    assert_eq!(ring.decrypt(&stranger, &sum).unwrap_err(), AdditiveError::OtherKey);
    let claimed = SecretKey { id: public.id, words: stranger.words };
    assert_eq!(ring.decrypt(&claimed, &sum).unwrap_err(), AdditiveError::Noise);
    assert_eq!(other.decrypt(&secret, &sum).unwrap_err(), AdditiveError::OtherTerms);
    assert_eq!(other.write(&sum).unwrap_err(), AdditiveError::OtherTerms);
    assert_eq!(other.read(&ring.write(&sum).unwrap()), Err(AdditiveError::OtherTerms));
    assert!(Ring::new(Terms::new(MAX_BOUND, 1, 1).unwrap()).is_ok());
}

#[test]
fn a_sum_that_claims_fewer_addends_than_it_has_does_not_decrypt() {
    let ring = Ring::new(Terms::new(10, 8, 4).unwrap()).unwrap();
    let mut rng = rng(4);
    let (secret, public) = ring.generate(&mut rng).unwrap();
    let mut sum = ring.encrypt(&public, &[10; 4], &mut rng).unwrap();
    let again = sum.clone();
    ring.add(&mut sum, &again).unwrap();
    sum.addends = 1;
    assert_eq!(ring.decrypt(&secret, &sum).unwrap_err(), AdditiveError::Noise);
}

#[test]
fn keys_come_back_and_foreign_bytes_are_none() {
    let ring = Ring::new(Terms::new(10, 2, 4).unwrap()).unwrap();
    let (_, public) = ring.generate(&mut rng(6)).unwrap();
    let bytes = ring.write_key(&public);
    assert_eq!(ring.read_key(&bytes).unwrap(), public);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        ring.read_key(&bytes).unwrap_err()
    };
    assert!(matches!(with(&|bytes| bytes.truncate(100)), AdditiveError::Size { .. }));
    assert!(matches!(with(&|bytes| bytes.truncate(10)), AdditiveError::Size { .. }));
    assert!(matches!(with(&|bytes| bytes.push(0)), AdditiveError::Size { .. }));
    assert!(matches!(with(&|bytes| bytes[0] ^= 1), AdditiveError::OtherTerms));
    assert!(matches!(with(&|bytes| bytes[96..].fill(0xff)), AdditiveError::Residue { .. }));
    assert!(matches!(with(&|bytes| bytes[96..].fill(0)), AdditiveError::Key { .. }));
}

#[test]
fn hostile_sums_are_refused_by_name() {
    let ring = Ring::new(Terms::new(10, 2, 4).unwrap()).unwrap();
    let mut rng = rng(7);
    let (secret, public) = ring.generate(&mut rng).unwrap();
    let bytes = ring.write(&ring.encrypt(&public, &[1; 4], &mut rng).unwrap()).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        ring.read(&bytes)
    };
    let header = bytes.len() - 2 * ring.layout().polynomial_bytes();
    let second = header + ring.layout().polynomial_bytes();
    assert!(matches!(with(&|bytes| bytes[0] = 9), Err(AdditiveError::Codec(_))));
    assert!(matches!(with(&|bytes| bytes[9] ^= 1), Err(AdditiveError::OtherTerms)));
    assert!(matches!(with(&|bytes| bytes[72] = 3), Err(AdditiveError::Addends { got: 3, .. })));
    assert!(matches!(with(&|bytes| bytes[72] = 0), Err(AdditiveError::Addends { got: 0, .. })));
    assert!(matches!(with(&|bytes| bytes[76] = 1), Err(AdditiveError::Size { .. })));
    assert!(matches!(with(&|bytes| bytes[76] = 2), Err(AdditiveError::Codec(_))));
    assert!(matches!(with(&|bytes| bytes.truncate(7)), Err(AdditiveError::Size { .. })));
    assert!(matches!(with(&|bytes| bytes.push(0)), Err(AdditiveError::Size { .. })));
    let large = with(&|bytes| bytes[second..].fill(0xff));
    assert!(matches!(large, Err(AdditiveError::Residue { .. })));
    assert!(matches!(with(&|bytes| bytes[second..].fill(0)), Err(AdditiveError::Transparent)));
    // Whoever changes a ciphertext changes what comes out, and no more is promised.
    let changed = with(&|bytes| bytes[header] ^= 1).unwrap();
    assert_eq!(ring.decrypt(&secret, &changed).unwrap_err(), AdditiveError::Noise);
}

#[test]
fn parameters_are_those_of_the_table() {
    let secure = |layout: &Layout| {
        let values: Vec<u64> = layout.moduli().iter().map(|modulus| modulus.value()).collect();
        crate::Parameters::new(crate::Scheme::Bfv, layout.degree(), &values, Some(2))
    };
    for values in [1, 5_000, 100_000, 1 << 22] {
        let ring = Ring::new(Terms::new(1 << 20, 1 << 12, values).unwrap()).unwrap();
        let checked: Result<_, HeError> = secure(ring.layout());
        assert!(checked.is_ok());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_the_readers_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        at in 0_usize..20_000,
        flip in 1_u8..,
    ) {
        let ring = Ring::new(Terms::new(10, 2, 4).unwrap()).unwrap();
        prop_assert!(ring.read(&bytes).is_err());
        prop_assert!(ring.read_key(&bytes).is_err());
        let (secret, public) = ring.generate(&mut rng(8)).unwrap();
        let mut bytes = ring.write(&ring.encrypt(&public, &[1; 4], &mut rng(9)).unwrap()).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(sum) = ring.read(&bytes) {
            let _ = ring.decrypt(&secret, &sum);
        }
    }
}
