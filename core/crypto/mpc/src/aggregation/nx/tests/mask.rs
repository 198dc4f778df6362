//! The mask itself: uniform, fresh, and of the one shape that its security rests on.

use std::collections::BTreeSet;

use nexus_field::gaussian::Sampler;
use nexus_field::{Fp, N, P, ntt, ring, zero_block};
use nexus_types::Digest;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::programs::other_manifest;
use crate::aggregation::nx::masked::{Held, Masked, MaskingKey, mask, public_seed, unmask};
use crate::aggregation::nx::params::TABLE;
use crate::aggregation::nx::slots::{pack, split};
use crate::aggregation::nx::{Acceptance, Packing};

const MANIFEST: Digest = Digest([5; 32]);

fn rng() -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(3)
}

fn packing(owners: u32, values: u8) -> Packing {
    Packing::by_name(owners, values, Acceptance::Honest).unwrap()
}

/// The sum of messages with the given values, and the sum of their keys.
fn summed(manifests: &[Digest], packing: Packing, values: &[i64]) -> (Masked, Vec<i32>) {
    let mut rng = rng();
    let words = packing.coefficients(values.len().try_into().unwrap()).next_multiple_of(N);
    let (mut sum, mut keys) = (Masked::zero(words), vec![0; N]);
    for manifest in manifests {
        let key = MaskingKey::generate(&mut rng);
        let masked = mask(manifest, packing, &key, &mut rng, values);
        sum.add(&[&Held::from(&masked)]);
        keys.iter_mut().zip(key.coefficients()).for_each(|(sum, k)| *sum += i32::from(*k));
    }
    (sum, keys)
}

/// What is left in the coefficients of the first block once the key is off.
fn coefficients(manifest: &Digest, key: &[i32], sum: &Masked) -> Vec<i64> {
    let (mut slots, mut public) = (zero_block(), zero_block());
    slots.iter_mut().zip(key).for_each(|(slot, k)| *slot = Fp::from_i64((*k).into()).value());
    ntt::forward(&mut slots);
    ring::uniform(&public_seed(manifest), 0, &mut public);
    ring::mul(&mut public, &slots);
    slots.copy_from_slice(&sum.words()[..N]);
    ring::sub(&mut *slots, &*public);
    ntt::inverse(&mut slots);
    slots.iter().map(|word| Fp::new(*word).centred()).collect()
}

#[test]
fn masked_words_of_one_update_are_uniform() {
    let packing = packing(10, 1);
    let key = MaskingKey::generate(&mut rng());
    let masked = mask(&MANIFEST, packing, &key, &mut rng(), &vec![0; 16 * N]);
    let mut counts = [0_f64; 256];
    for word in masked.words() {
        // p is so close to 2^64 that the top byte is uniform to 2^-32.
        counts[usize::from(word.to_be_bytes()[0])] += 1.0;
    }
    let expected = (16 * N) as f64 / 256.0;
    let chi_square: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
    // 255 degrees of freedom: mean 255, standard deviation 22.6.
    assert!((chi_square - 255.0).abs() < 5.0 * 22.6, "{chi_square}");
}

#[test]
fn every_public_polynomial_is_another_one() {
    let mut seen = BTreeSet::new();
    let mut block = zero_block();
    for manifest in [MANIFEST, other_manifest()] {
        for index in 0..256 {
            ring::uniform(&public_seed(&manifest), index, &mut block);
            assert!(seen.insert(*block.first_chunk::<4>().unwrap()));
        }
    }
    // Equal blocks of an update do not make equal blocks of a message.
    let key = MaskingKey::generate(&mut rng());
    let masked = mask(&MANIFEST, packing(10, 1), &key, &mut rng(), &vec![7; 2 * N]);
    assert_ne!(masked.words()[..N], masked.words()[N..]);
}

/// The twin masks two blocks with the same public polynomial: their difference is in the clear.
#[test]
fn one_public_polynomial_for_two_blocks_would_give_the_difference_away() {
    let packing = packing(10, 1);
    let (first, second): (Vec<i64>, Vec<i64>) = (0..4096).map(|i| (i, 3 * i)).unzip();
    let key = MaskingKey::generate(&mut rng());
    let mut rng = rng();
    let mut twin = |values: &[i64]| mask(&MANIFEST, packing, &key, &mut rng, values);
    let (mut difference, other) = (twin(&second), twin(&first));
    ring::sub(difference.words_mut(), other.words());
    let nothing = [0; N];
    let leak = unmask(&MANIFEST, packing, &nothing, &difference, N).values;
    assert_eq!(leak, (0..4096).map(|i| 2 * i).collect::<Vec<_>>());
    // The real one: block 1 minus block 0 says nothing.
    let masked = mask(&MANIFEST, packing, &key, &mut rng, &[first, second].concat());
    let mut difference = Masked::zero(N);
    difference.words_mut().copy_from_slice(&masked.words()[N..]);
    ring::sub(difference.words_mut(), &masked.words()[..N]);
    assert!(unmask(&MANIFEST, packing, &nothing, &difference, N).error > packing.error_bound(10));
}

#[test]
fn two_views_of_a_round_do_not_add_up() {
    let packing = packing(10, 2);
    let values = vec![9; 100];
    let (sum, key) = summed(&[MANIFEST, MANIFEST], packing, &values);
    let opened = unmask(&MANIFEST, packing, &key, &sum, 100);
    assert_eq!(opened.values, [18; 100], "the twin: one public polynomial for all views");
    let (sum, key) = summed(&[MANIFEST, other_manifest()], packing, &values);
    for manifest in [MANIFEST, other_manifest()] {
        assert!(unmask(&manifest, packing, &key, &sum, 100).error > packing.error_bound(2));
    }
}

#[test]
fn a_wrong_key_never_passes() {
    let packing = packing(10, 2);
    let (sum, key) = summed(&[MANIFEST; 3], packing, &vec![1; 8 * N]);
    let right = unmask(&MANIFEST, packing, &key, &sum, 8 * N);
    assert!(right.error <= packing.error_bound(3));
    let mut rng = rng();
    for _ in 0..200 {
        let mut wrong = key.clone();
        wrong[rng.next_u32() as usize % N] += if rng.next_u32().is_multiple_of(2) { 1 } else { -1 };
        let error = unmask(&MANIFEST, packing, &wrong, &sum, 8 * N).error;
        // Uniform words leave errors up to p / 2t.
        assert!(error > ((P / 2) >> packing.log2_t()) * 9 / 10, "{error}");
    }
}

/// Owners at the edge, errors at the tail: many rounds of decoding without a failure. The errors
/// are those of real samples, moved out to the accepted bound.
#[test]
fn a_hundred_thousand_rounds_at_the_tail_decode() {
    let mut errors = [0_i8; 256];
    let mut sampler = Sampler::new([9; 32]);
    let mut failures = 0;
    for round in 0..100_000_u32 {
        let row = TABLE[round as usize % TABLE.len()];
        if round % 256 == 0 {
            sampler.fill(&mut errors);
        }
        let bound = i64::try_from(row.error_bound(row.owners())).unwrap();
        let jitter = i64::from(errors[round as usize % 256]).abs();
        let error = if round % 2 == 0 { bound - jitter } else { jitter - bound };
        let edge = (1 << (row.slot_bits() - 1)) - 1;
        let values: Vec<i64> = (0..row.values())
            .map(|slot| if (round >> slot) & 4 == 0 { edge - jitter } else { jitter - edge })
            .collect();
        let mut packed = [0];
        pack(row, &values, &mut packed);
        let t = Fp::new(1 << row.log2_t());
        let word = Fp::from_i64(error) * t + Fp::from_i64(packed[0]);
        let parts = split(row, word.centred());
        let decoded: Vec<_> = crate::aggregation::nx::slots::unpack(row, parts.packed).collect();
        failures += u32::from((parts.error, decoded) != (error, values));
    }
    assert_eq!(failures, 0);
}

/// The twin reduces its packed value modulo t before it masks. What wraps is added to the sum of
/// the errors, which everybody learns: here, how many owners had a negative value.
#[test]
fn a_reduction_at_the_owner_would_leak_signs() {
    let packing = packing(100, 1);
    let t = 1_i64 << packing.log2_t();
    let mean_error = |values: &[i64]| {
        let (sum, key) = summed(&[MANIFEST; 4], packing, values);
        let parts = coefficients(&MANIFEST, &key, &sum).into_iter();
        parts.map(|c| split(packing, c).error as f64).sum::<f64>() / N as f64
    };
    let negative = vec![-3_i64; N];
    let reduced: Vec<_> = negative.iter().map(|value| value.rem_euclid(t)).collect();
    // The mean of 4,096 sums of four errors has a deviation of 0.2.
    assert!(mean_error(&negative).abs() < 1.0);
    assert!((mean_error(&reduced) - 4.0).abs() < 1.0, "four owners are below nought");
}

/// The twin has ternary keys: where two of them add up to 2 or -2, both are known.
#[test]
fn ternary_keys_would_be_known_from_their_sum() {
    let mut rng = rng();
    let mut ternary =
        || MaskingKey::chosen((0..N).map(|_| (rng.next_u32() % 3) as i8 - 1).collect());
    let known = |first: &MaskingKey, second: &MaskingKey, extreme: i32| {
        let keys = first.coefficients().iter().zip(second.coefficients());
        keys.filter(|(a, b)| (i32::from(**a) + i32::from(**b)).abs() == extreme).count()
    };
    // One in nine, on each side.
    assert!(known(&ternary(), &ternary(), 2) > N / 6);
    let mut rng = self::rng();
    let gaussian = [MaskingKey::generate(&mut rng), MaskingKey::generate(&mut rng)];
    assert_eq!(known(&gaussian[0], &gaussian[1], 2 * 127), 0);
    // And none but a Gaussian one can be made: its width is that of the security argument.
    let squares: i64 = gaussian[0].coefficients().iter().map(|k| i64::from(*k).pow(2)).sum();
    assert!((38..43).contains(&(squares / 4096)));
}

#[test]
fn sums_of_many_owners_are_exact() {
    for (owners, values) in [(2, 1_u8), (150, 2), (700, 3), (2_000, 2)] {
        let packing = packing(owners, values);
        let most = packing.limit();
        let values = [most, -most, 0, 1, -1, most - 1];
        let manifests = vec![MANIFEST; owners as usize];
        let (sum, key) = summed(&manifests, packing, &values);
        let opened = unmask(&MANIFEST, packing, &key, &sum, values.len());
        assert_eq!(opened.values, values.map(|value| value * i64::from(owners)));
        assert!(opened.error <= packing.error_bound(owners));
        let largest = key.iter().map(|k| u64::from(k.unsigned_abs())).max().unwrap();
        assert!(largest <= packing.key_bound(owners));
    }
}
