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

/// Variance of one of two keys of this distribution, of weights of -127 to 127, given their sum.
fn variance_given(sum: i32, weights: &[f64; 255]) -> f64 {
    let weight = |k: i32| usize::try_from(k + 127).ok().and_then(|at| weights.get(at).copied());
    let pairs = (-127..=127).map(|k| (f64::from(k), weight(k), weight(sum - k)));
    let pairs = pairs.filter_map(|(k, one, other)| Some((k, one? * other?)));
    let [mass, mean, square] = pairs.fold([0.0; 3], |[mass, mean, square], (k, weight)| {
        [mass + weight, mean + k * weight, square + k * k * weight]
    });
    square / mass - (mean / mass).powi(2)
}

/// The sum of two honest keys becomes known. What it leaves open about one of them has the width
/// of the security argument whatever the sum is. The twins' keys are binomial: of the same width,
/// some sums leave less; of the width of other schemes, some leave nothing.
#[test]
fn binomial_keys_would_be_narrowed_by_their_sum() {
    let gaussian = std::array::from_fn(|at| (-(at as f64 - 127.0).powi(2) / 81.0).exp());
    // The difference of two sums of 81 bits has variance 40.5 too.
    let mut binomial = [0.0; 255];
    let mut weight = 1.0;
    for bits in 0..=162_u8 {
        binomial[usize::from(bits) + 127 - 81] = weight;
        weight *= f64::from(162 - bits) / f64::from(bits + 1);
    }
    for sum in -60..=60 {
        assert!((variance_given(sum, &gaussian) - 20.25).abs() < 1e-6, "{sum}");
    }
    assert!(variance_given(0, &binomial) > 20.25);
    assert!(variance_given(60, &binomial) < 18.0);
    assert!(variance_given(160, &binomial) < 0.5);

    let mut rng = rng();
    let mut small = || {
        let ones = |word: u32| (word & 0b11).count_ones().cast_signed();
        let bits = |word: u32| ones(word) - ones(word >> 2);
        (0..N).map(|_| bits(rng.next_u32())).collect::<Vec<_>>()
    };
    let known = small().iter().zip(small()).filter(|(a, b)| (*a + b).abs() == 4).count();
    assert!(known > N / 256, "both are 2, or both are -2: {known}");
}

/// Bits of the primal attack in the measure "core-SVP", after the sum of the keys is known: as
/// `bench/lattice.py`, which says where the formulas are from.
fn attack_bits(dimension: usize, log2_modulus: f64) -> f64 {
    let (n, log_q) = (dimension as f64, log2_modulus * std::f64::consts::LN_2);
    let log_sigma = (4.5 / 2_f64.sqrt()).ln();
    let breaks = |beta: &f64| {
        let pi = std::f64::consts::PI;
        let log_delta = ((pi * beta).ln() / beta + (beta / (2.0 * pi * 1_f64.exp())).ln())
            / (2.0 * (beta - 1.0));
        let d = ((n + 1.0) * log_q / log_delta).sqrt().round().max(n + 2.0);
        beta.ln() / 2.0 + log_sigma
            <= (2.0 * beta - d - 1.0) * log_delta + (d - n - 1.0) * log_q / d
    };
    0.292 * (60..4_000).map(f64::from).find(breaks).unwrap()
}

/// The ring is no parameter. The twin's is half as large, and half as safe with this modulus.
#[test]
fn a_smaller_ring_would_be_within_reach() {
    let log2_p = (P as f64).log2();
    assert!((attack_bits(N, log2_p) - 209.0).abs() < 1.0);
    assert!((attack_bits(2_048, log2_p) - 80.0).abs() < 1.0);
}

/// The twin sums more owners than its row of the table is for: errors run into one another.
/// `terms_that_protect_nobody_are_refused` shows that no party takes part in such a sum.
#[test]
fn a_row_for_fewer_owners_would_not_decode() {
    let error = |owners| i64::try_from(packing(owners, 1).error_bound(owners)).unwrap();
    let decoded = |row: Packing, error: i64| {
        let word = Fp::from_i64(error) * Fp::new(1 << row.log2_t()) + Fp::new(5);
        let parts = split(row, word.centred());
        (parts.error, parts.packed)
    };
    let many = error(100_000);
    assert_eq!(decoded(packing(100_000, 1), many), (many, 5));
    assert_eq!(decoded(packing(10, 1), error(10)), (error(10), 5));
    assert_ne!(decoded(packing(10, 1), many), (many, 5));
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
