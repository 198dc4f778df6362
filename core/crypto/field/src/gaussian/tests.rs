use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

const SAMPLES: usize = 1_000_000;

fn samples(kernel: Kernel, seed: u8, count: usize) -> Vec<i8> {
    let mut out = vec![0; count];
    Sampler::with_kernel(kernel, [seed; 32]).fill(&mut out);
    out
}

/// The draw of this number.
#[expect(clippy::cast_possible_truncation, reason = "one word is meant")]
fn draw(number: u128) -> Draw {
    std::array::from_fn(|word| (number >> (32 * word)) as u32)
}

fn by_kernel(kernel: Kernel, draws: &[Draw]) -> Vec<i8> {
    let mut out = vec![0; draws.len()];
    sample(kernel, draws, &mut out);
    out
}

/// A sample as the page of this module describes it.
fn as_described(number: u128) -> i8 {
    let above = TAILS.iter().filter(|tail| **tail > number >> 1).count();
    let magnitude = i8::try_from(above).unwrap();
    if number & 1 == 1 { -magnitude } else { magnitude }
}

/// The probability of every value from -83 to 83, as the table has it.
fn probabilities() -> Vec<f64> {
    let tail = |x: usize| TAILS.get(x).map_or(0.0, |tail| *tail as f64 / 2_f64.powi(127));
    let last = TAILS.len();
    let magnitudes = (0..=last).map(|x| if x == 0 { 1.0 } else { tail(x - 1) } - tail(x));
    let half: Vec<f64> = magnitudes.collect();
    let index = |at: usize| at.abs_diff(last);
    (0..=2 * last).map(|at| half[index(at)] / if at == last { 1.0 } else { 2.0 }).collect()
}

/// Pearson's statistic over the values from -21 to 21, and the rest on either side, less its
/// mean 44 and in units of its deviation.
fn chi_square(samples: &[i8]) -> f64 {
    const EDGE: i8 = 22;
    let bin = |x: i8| (x.clamp(-EDGE, EDGE) + EDGE).unsigned_abs() as usize;
    let (mut expected, mut seen) = ([0.0; 45], [0.0; 45]);
    for (probability, x) in probabilities().into_iter().zip(-83..) {
        expected[bin(x)] += probability * samples.len() as f64;
    }
    for x in samples {
        seen[bin(*x)] += 1.0;
    }
    let terms =
        seen.iter().zip(expected).map(|(seen, mean): (&f64, f64)| (seen - mean).powi(2) / mean);
    (terms.sum::<f64>() - 44.0) / 88_f64.sqrt()
}

fn moment(samples: &[i8], power: i32) -> f64 {
    samples.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / samples.len() as f64
}

#[test]
fn the_first_samples_are_pinned() {
    let known = [
        2, 8, 5, -4, 1, -1, 7, -5, -5, -10, 2, 2, 0, 12, -11, 14, 6, -4, 0, 5, 3, 7, -5, 3, 0, 4,
        -6, -5, 6, 6, -2, 4,
    ];
    for kernel in Kernel::available() {
        assert_eq!(samples(kernel, 7, 32), known, "{kernel:?}");
    }
}

#[test]
fn samples_are_as_described() {
    let derived = blake3::derive_key("nexus/field/gaussian v1", &[7; 32]);
    let aes = Aes128::new_from_slice(&derived[..16]).unwrap();
    for (index, sample) in samples(Kernel::detect(), 7, 1000).into_iter().enumerate() {
        let mut block = aes::Block::default();
        block[..8].copy_from_slice(&(index as u64).to_le_bytes());
        block[8..].copy_from_slice(&derived[16..24]);
        aes.encrypt_block(&mut block);
        assert_eq!(sample, as_described(u128::from_le_bytes(block.into())), "{index}");
    }
}

#[test]
fn kernels_agree_at_the_edges_of_every_entry() {
    let mut numbers = vec![0, 1, 2, u128::MAX, u128::MAX - 1, 1 << 127];
    for tail in TAILS {
        for number in [tail - 1, tail, tail + 1] {
            numbers.extend([number << 1, number << 1 | 1]);
        }
        // The words of an entry up to one of them, then less or more.
        for bits in [32, 64, 96] {
            let (word, rest) = (1_u128 << bits, (1 << bits) - 1);
            let start = tail << 1 & !rest;
            numbers.extend([start, start | rest, start.saturating_sub(word) | rest, start + word]);
        }
    }
    let draws: Vec<Draw> = numbers.iter().map(|number| draw(*number)).collect();
    let expected: Vec<i8> = numbers.iter().map(|number| as_described(*number)).collect();
    assert_eq!(expected.iter().max(), Some(&83));
    for kernel in Kernel::available() {
        assert_eq!(by_kernel(kernel, &draws), expected, "{kernel:?}");
    }
}

#[test]
fn kernels_agree_on_random_draws_of_any_number_and_size() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    for count in (0..40).chain([4096, 100_003]) {
        let number = |rng: &mut ChaCha12Rng| {
            let wide = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
            wide >> (rng.next_u32() % 128)
        };
        let numbers: Vec<u128> = (0..count).map(|_| number(&mut rng)).collect();
        let draws: Vec<Draw> = numbers.iter().map(|number| draw(*number)).collect();
        let expected: Vec<i8> = numbers.into_iter().map(as_described).collect();
        for kernel in Kernel::available() {
            assert_eq!(by_kernel(kernel, &draws), expected, "{kernel:?} {count}");
        }
    }
}

#[test]
fn the_seed_alone_determines_the_samples() {
    let whole = samples(Kernel::detect(), 1, 3000);
    let mut sampler = Sampler::new([1; 32]);
    let mut parts = vec![0; 3000];
    let mut rest = &mut parts[..];
    for length in (0..).take_while(|length| length * (length + 1) / 2 < 3000) {
        let (part, after) = rest.split_at_mut(length);
        sampler.fill(part);
        rest = after;
    }
    sampler.fill(rest);
    assert_eq!(parts, whole);
    assert_ne!(samples(Kernel::detect(), 2, 3000), whole);
    assert_eq!(samples(Kernel::Portable, 1, 3000), whole);
}

#[test]
fn moments_are_those_of_the_distribution() {
    let samples = samples(Kernel::detect(), 3, SAMPLES);
    let variance = SIGMA * SIGMA;
    let root = (SAMPLES as f64).sqrt();
    assert!((variance - 40.5).abs() < 1e-12);
    // Each within five deviations of the estimate: those of a Gaussian's moments.
    assert!(moment(&samples, 1).abs() < 5.0 * SIGMA / root);
    assert!((moment(&samples, 2) - variance).abs() < 5.0 * variance * 2_f64.sqrt() / root);
    assert!(moment(&samples, 3).abs() < 5.0 * SIGMA.powi(3) * 15_f64.sqrt() / root);
    let fourth = 3.0 * variance.powi(2);
    assert!((moment(&samples, 4) - fourth).abs() < 5.0 * variance.powi(2) * 96_f64.sqrt() / root);
    let pairs = samples.windows(2).map(|pair| f64::from(pair[0]) * f64::from(pair[1]));
    assert!((pairs.sum::<f64>() / SAMPLES as f64).abs() < 5.0 * variance / root);
}

#[test]
fn frequencies_are_those_of_the_distribution() {
    for seed in 0..4 {
        let samples = samples(Kernel::detect(), seed, SAMPLES);
        let score = chi_square(&samples);
        assert!(score.abs() < 5.0, "{score}");
        // Samplers with a mistake fall: zero half as likely, for it has one sign only; a value
        // that is never drawn.
        let mut zeros = 0;
        let mut fewer = samples.clone();
        fewer.retain(|x| {
            zeros += i32::from(*x == 0);
            *x != 0 || zeros % 2 == 0
        });
        assert!(chi_square(&fewer) > 100.0);
        let narrow: Vec<i8> =
            samples.iter().map(|x| x - x.signum() * i8::from(*x % 16 == 15)).collect();
        assert!(chi_square(&narrow) > 100.0);
    }
}

/// How sure the likeliest key of two is once their sum is known.
fn certainty(probabilities: &[f64], sum: usize) -> f64 {
    let first = sum.saturating_sub(probabilities.len() - 1)..=sum.min(probabilities.len() - 1);
    let joint: Vec<f64> = first.map(|k| probabilities[k] * probabilities[sum - k]).collect();
    joint.iter().copied().fold(0.0, f64::max) / joint.iter().sum::<f64>()
}

#[test]
fn a_known_sum_of_two_keys_gives_away_ternary_keys_but_not_these() {
    // Of three values each, the sums 2 and -2 of nine leave one possibility.
    let ternary = [1.0 / 3.0; 3];
    let given_away = (0..5).filter(|sum| certainty(&ternary, *sum) > 0.999);
    assert_eq!(given_away.collect::<Vec<_>>(), [0, 4]);

    // Here what is left is a Gaussian of width sigma / sqrt(2), whatever the sum.
    let peak = 1.0 / (SIGMA * std::f64::consts::PI.sqrt());
    let probabilities = probabilities();
    let samples = samples(Kernel::detect(), 5, 200_000);
    for pair in samples.chunks(2) {
        let sum = pair.iter().map(|x| usize::from((i16::from(*x) + 83).unsigned_abs())).sum();
        assert!((certainty(&probabilities, sum) - peak).abs() < 0.001, "{pair:?}");
    }
}

#[test]
fn nothing_of_the_seed_is_printed() {
    assert_eq!(format!("{:?}", Sampler::new([7; 32])), "Sampler { .. }");
}
