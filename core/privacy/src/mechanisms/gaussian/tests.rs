use proptest::prelude::*;

use super::super::secret_rng as rng;
use super::*;

fn noise(sigma: f64, seed: u64, count: usize) -> Vec<i64> {
    let mut values = vec![0; count];
    Gaussian::at_least(sigma).unwrap().add(&mut rng(seed), &mut values);
    values
}

/// The standard normal distribution function at the upper edges of `bins` cells of equal width,
/// from −4 to 4 deviations, by the probabilities of the discrete Gaussian themselves.
fn cells(sigma: f64, bins: usize) -> Vec<f64> {
    #[expect(clippy::cast_possible_truncation, reason = "a few million at most")]
    let edge = (8.0 * sigma) as i64;
    let weight = |x: i64| (-(x as f64).powi(2) / (2.0 * sigma * sigma)).exp();
    let mut cells = vec![0.0; bins];
    for x in -edge..=edge {
        cells[cell(x, sigma, bins)] += weight(x);
    }
    let total: f64 = cells.iter().sum();
    cells.iter().map(|cell| cell / total).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
fn cell(x: i64, sigma: f64, bins: usize) -> usize {
    let place = (x as f64 / sigma + 4.0) / 8.0 * bins as f64;
    place.clamp(0.0, bins as f64 - 1.0) as usize
}

fn chi_square(drawn: &[i64], sigma: f64, bins: usize) -> f64 {
    let mut seen = vec![0_u64; bins];
    for x in drawn {
        seen[cell(*x, sigma, bins)] += 1;
    }
    let terms = seen.iter().zip(cells(sigma, bins)).map(|(seen, p)| {
        let mean = p * drawn.len() as f64;
        (*seen as f64 - mean).powi(2) / mean
    });
    let freedom = bins as f64 - 1.0;
    (terms.sum::<f64>() - freedom) / (2.0 * freedom).sqrt()
}

fn moment(drawn: &[i64], sigma: f64, power: i32) -> f64 {
    drawn.iter().map(|x| (*x as f64 / sigma).powi(power)).sum::<f64>() / drawn.len() as f64
}

/// 10^7 draws under fixed seeds.
#[test]
fn ten_million_draws_have_the_frequencies_and_moments_of_the_distribution() {
    const COUNT: usize = 10_000_000;
    for sigma in [1000.0, 123_456.0] {
        let drawn = noise(sigma, 11, COUNT / 2);
        let sigma = Gaussian::at_least(sigma).unwrap().sigma();
        assert!(chi_square(&drawn, sigma, 200).abs() < 5.0);
        let root = (drawn.len() as f64).sqrt();
        // Variances of the estimates: 1, 2, 15, 96 and 10,170 (moments of a Gaussian).
        for (power, expected, variance) in
            [(1, 0.0, 1.0_f64), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10_170.0)]
        {
            let got = moment(&drawn, sigma, power);
            assert!((got - expected).abs() < 5.0 * variance.sqrt() / root, "{power}: {got}");
        }
        // The test sees a width that is off by 1 %, and half a grid step of bias at width 1000.
        assert!(chi_square(&drawn, sigma * 1.01, 200) > 20.0);
    }
}

#[test]
fn every_residue_is_as_likely_as_every_other() {
    // A convolution with gaps would show in the low bits.
    let drawn = noise(5000.0, 12, 1 << 20);
    for modulus in [2, 3, 7, 16, 81] {
        let size = usize::try_from(modulus).unwrap();
        let mut seen = vec![0_u64; size];
        for x in &drawn {
            seen[usize::try_from(x.rem_euclid(modulus)).unwrap()] += 1;
        }
        let mean = drawn.len() as f64 / size as f64;
        let sum: f64 = seen.iter().map(|seen| (*seen as f64 - mean).powi(2) / mean).sum();
        let freedom = size as f64 - 1.0;
        assert!((sum - freedom) / (2.0 * freedom).sqrt() < 5.0, "{modulus}: {sum}");
    }
}

#[test]
fn fast_and_reference_agree() {
    let reference = Gaussian(Sampler::Reference(Variance::at_least(400.0).unwrap()));
    let mut slow = vec![0; 200_000];
    reference.add(&mut rng(13), &mut slow);
    assert!(chi_square(&slow, 400.0, 60).abs() < 5.0);
    assert!(chi_square(&noise(400.0, 14, 200_000), 400.0, 60).abs() < 5.0);
}

proptest! {
    #[test]
    fn the_realised_width_is_at_least_what_was_asked_for(exponent in -9.9_f64..32.9) {
        let asked = exponent.exp2();
        let got = Gaussian::at_least(asked).unwrap().sigma();
        prop_assert!(got >= asked * (1.0 - 1e-15) && got <= asked * 1.001, "{} {}", asked, got);
    }
}

#[test]
fn widths_out_of_range_are_refused_and_noise_is_added() {
    for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e10] {
        assert!(Gaussian::at_least(sigma).is_err());
    }
    let gaussian = Gaussian::at_least(1e4).unwrap();
    let (mut zero, mut seven) = (vec![0; 100], vec![7; 100]);
    gaussian.add(&mut rng(1), &mut zero);
    gaussian.add(&mut rng(1), &mut seven);
    assert!(zero.iter().zip(&seven).all(|(a, b)| a + 7 == *b));
    assert!(gaussian.inexactness(1 << 40) < 1e-20);
}
