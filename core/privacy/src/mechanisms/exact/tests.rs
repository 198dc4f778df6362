use nexus_types::Rng;
use proptest::prelude::*;

use super::super::secret_rng as rng;
use super::*;

/// Pearson's statistic of `drawn` against weights on −edge..=edge (and both tails with the ends),
/// less its mean and in units of its deviation.
fn score(drawn: &[i64], edge: i64, weight: impl Fn(i64) -> f64) -> f64 {
    let bins = usize::try_from(2 * edge + 1).unwrap();
    let bin = |x: i64| usize::try_from(x.clamp(-edge, edge) + edge).unwrap();
    let (mut expected, mut seen) = (vec![0.0; bins], vec![0.0; bins]);
    let far = 40 * edge;
    let total: f64 = (-far..=far).map(&weight).sum();
    for x in -far..=far {
        expected[bin(x)] += weight(x) / total * drawn.len() as f64;
    }
    for x in drawn {
        seen[bin(*x)] += 1.0;
    }
    let terms = seen.iter().zip(&expected).map(|(seen, mean): (&f64, &f64)| {
        assert!(*mean > 20.0, "too few are expected in a bin: {mean}");
        (seen - mean).powi(2) / mean
    });
    let freedom = bins as f64 - 1.0;
    (terms.sum::<f64>() - freedom) / (2.0 * freedom).sqrt()
}

#[test]
fn frequencies_are_those_of_the_distributions() {
    const COUNT: usize = 200_000;
    let mut rng = rng(1);
    for (over, under, edge) in [(81, 2, 18), (1, 1, 3), (1, 3, 2), (1000, 1, 90)] {
        let variance = Variance::new(over, under).unwrap();
        let drawn: Vec<i64> = (0..COUNT).map(|_| gaussian(variance, &mut rng)).collect();
        let square = 2.0 * over as f64 / under as f64;
        let score = score(&drawn, edge, |x| (-(x as f64).powi(2) / square).exp());
        assert!(score.abs() < 5.0, "variance {over}/{under}: {score}");
    }
    for (over, under, edge) in [(3_u64, 1_u64, 12), (5, 2, 10), (1, 2, 2)] {
        let drawn: Vec<i64> = (0..COUNT).map(|_| laplace(over, under, &mut rng).unwrap()).collect();
        let rate = under as f64 / over as f64;
        let score = score(&drawn, edge, |x| (-(x as f64).abs() * rate).exp());
        assert!(score.abs() < 5.0, "scale {over}/{under}: {score}");
    }
}

/// A draw without its rejection is Laplace, and the same score says so.
#[test]
fn a_gaussian_without_rejection_fails() {
    let mut rng = rng(2);
    let drawn: Vec<i64> = (0..200_000).map(|_| laplace_of(7, 1, &mut rng)).collect();
    assert!(score(&drawn, 18, |x| (-(x as f64).powi(2) / 81.0).exp()) > 100.0);
}

#[test]
fn coins_have_their_probabilities() {
    const COUNT: u32 = 100_000;
    let mut rng = rng(3);
    for (over, under) in [(0, 1), (1, 3), (1, 1), (5, 2), (7, 1)] {
        let gamma = Ratio::new(over, under).unwrap();
        let heads = (0..COUNT).filter(|_| bernoulli_exp(gamma, &mut rng)).count() as f64;
        let p = (-(over as f64) / under as f64).exp();
        let deviation = (f64::from(COUNT) * p * (1.0 - p)).sqrt();
        assert!((heads - f64::from(COUNT) * p).abs() <= 5.0 * deviation, "{over}/{under}");
        let heads = (0..COUNT).filter(|_| bernoulli(gamma, &mut rng)).count() as f64;
        let p = (over as f64 / under as f64).min(1.0);
        let deviation = (f64::from(COUNT) * p * (1.0 - p)).sqrt();
        assert!((heads - f64::from(COUNT) * p).abs() <= 5.0 * deviation, "{over}/{under}");
    }
}

proptest! {
    #[test]
    fn uniform_numbers_are_below_their_bound(bound: u128, shift in 0_u32..128, seed: u64) {
        let bound = (bound >> shift).max(1);
        prop_assert!(below(bound, &mut rng(seed)) < bound);
    }

    #[test]
    fn a_variance_is_at_least_what_was_asked_for(exponent in -9.9_f64..26.9) {
        let sigma = exponent.exp2();
        let variance = Variance::at_least(sigma).unwrap();
        prop_assert!(variance.sigma() >= sigma * (1.0 - 1e-15));
        prop_assert!(variance.sigma() <= sigma * (1.0 + 1e-3));
        prop_assert!(Variance::new(variance.over, variance.under).is_some());
    }

    #[test]
    fn any_width_gives_samples(over in 1_u64..=1 << 56, under in 1_u64..=1 << 56, seed: u64) {
        let x = gaussian(Variance::new(over, under).unwrap(), &mut rng(seed));
        let sigma = (over as f64 / under as f64).sqrt();
        prop_assert!((x as f64).abs() <= 12.0 * sigma + 12.0);
    }
}

#[test]
fn settings_without_a_meaning_are_refused() {
    assert!(Ratio::new(1, 0).is_none() && Ratio::new(1 << 120, 1).is_none());
    assert!(Variance::new(0, 1).is_none() && Variance::new(1, 0).is_none());
    assert!(Variance::new((1 << 56) + 1, 1).is_none());
    for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e8] {
        assert!(Variance::at_least(sigma).is_err());
    }
    let mut rng = rng(4);
    assert!(laplace(0, 1, &mut rng).is_err() && laplace(1, 1 << 57, &mut rng).is_err());
    assert_eq!(below(0, &mut rng), 0);
    assert!(rng.next_u64() != rng.next_u64());
}
