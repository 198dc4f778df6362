//! Gaussian differential privacy: the exact trade-off of the Gaussian mechanism without sampling.
//!
//! `k` releases with sensitivity `D` and noise deviation `sigma` are together mu-GDP with
//! mu^2 = k D^2 / sigma^2 (Dong, Roth and Su, 2022), and mu-GDP is (epsilon, delta)-DP exactly for
//! delta = Phi(-eps/mu + mu/2) - e^eps Phi(-eps/mu - mu/2) (Balle and Wang, 2018).

use super::{AccountingError, check_delta, check_epsilon, check_sigma, check_steps};
use crate::special::{mills, mills_slope, normal_cdf, normal_density};

/// A guarantee as strong as telling N(0, 1) from N(mu, 1).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct GaussianDp {
    mu: f64,
}

/// Nodes and weights of the eight-point Gauss-Legendre rule on [-1, 1], positive half.
const LEGENDRE: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
];

/// Below this mu, two Mills' ratios are too close to be subtracted.
const SMALL_MU: f64 = 0.5;

/// How far the search for epsilon goes.
const EPSILON_MAX: f64 = 1e6;

impl GaussianDp {
    /// mu, at least 0.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`] for a negative, infinite or missing number.
    pub fn new(mu: f64) -> Result<Self, AccountingError> {
        if !(0.0..=1e6).contains(&mu) {
            return Err(AccountingError::OutOfRange { name: "mu", got: mu, min: 0.0, max: 1e6 });
        }
        Ok(Self { mu })
    }

    /// `steps` releases of sensitivity 1 with noise deviation `sigma`, chosen however adaptively.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`].
    pub fn of_steps(sigma: f64, steps: u64) -> Result<Self, AccountingError> {
        check_sigma(sigma)?;
        check_steps(steps)?;
        Self::new((steps as f64).sqrt() / sigma)
    }

    /// The largest mu that is still (epsilon, delta)-DP.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`].
    pub fn for_privacy(epsilon: f64, delta: f64) -> Result<Self, AccountingError> {
        check_epsilon(epsilon)?;
        check_delta(delta)?;
        let (mut low, mut high) = (0.0, 1.0);
        while (Self { mu: high }).delta(epsilon) < delta && high < 1e6 {
            high *= 2.0;
        }
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if (Self { mu: middle }).delta(epsilon) <= delta {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(Self { mu: low })
    }

    /// mu.
    pub fn mu(self) -> f64 {
        self.mu
    }

    /// Both guarantees together, also when the second was chosen after the first was seen.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { mu: self.mu.hypot(other.mu) }
    }

    /// The smallest delta for `epsilon`; accurate to about twelve digits however small it is.
    pub fn delta(self, epsilon: f64) -> f64 {
        let mu = self.mu;
        if mu <= 0.0 {
            return 0.0;
        }
        let x = epsilon / mu - 0.5 * mu;
        if mu >= SMALL_MU && x < 0.0 {
            // e^epsilon density(x + mu) is density(x), which does not overflow.
            return (normal_cdf(-x) - normal_density(x) * mills(x + mu)).clamp(0.0, 1.0);
        }
        let difference =
            if mu < SMALL_MU { mills_difference(x, mu) } else { mills(x) - mills(x + mu) };
        (normal_density(x) * difference).clamp(0.0, 1.0)
    }

    /// The smallest epsilon for `delta`, rounded up in the last digits.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`], and [`AccountingError::NotReached`] above a million.
    pub fn epsilon(self, delta: f64) -> Result<f64, AccountingError> {
        check_delta(delta)?;
        if self.delta(0.0) <= delta {
            return Ok(0.0);
        }
        let (mut low, mut high) = (0.0, 1.0);
        while self.delta(high) > delta {
            high *= 2.0;
            if high > EPSILON_MAX {
                return Err(AccountingError::NotReached { delta });
            }
        }
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if self.delta(middle) > delta {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(high)
    }
}

/// mills(x) - mills(x + mu), by integrating the slope.
fn mills_difference(x: f64, mu: f64) -> f64 {
    let (middle, half) = (x + 0.5 * mu, 0.5 * mu);
    let pair = |at: f64| mills_slope(middle - half * at) + mills_slope(middle + half * at);
    half * LEGENDRE.iter().map(|(node, weight)| weight * pair(*node)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_figures_do_not_stop_where_exponentials_do() {
        for (mu, delta) in [(40.0, 1e-5), (100.0, 1e-5), (1000.0, 1e-3)] {
            let epsilon = GaussianDp::new(mu).unwrap().epsilon(delta).unwrap();
            // Above the loss that is exceeded with probability 2 delta, below that of delta.
            let loss = |p: f64| mu * (0.5 * mu + crate::special::normal_upper_quantile(p));
            assert!(epsilon > loss(2.0 * delta) && epsilon < loss(delta), "{mu}: {epsilon}");
        }
    }

    #[test]
    fn published_values_are_met() {
        let row = GaussianDp::of_steps(10.0, 100).unwrap();
        assert!((row.epsilon(1e-5).unwrap() - 4.377_178).abs() < 1e-6);
        let row = GaussianDp::of_steps(2.0, 20).unwrap();
        assert!((row.epsilon(1e-6).unwrap() - 12.595_247).abs() < 1e-6);
        for (epsilon, mu) in [(1.0, 0.2681), (2.0, 0.5016), (3.0, 0.7191), (8.0, 1.6660)] {
            let got = GaussianDp::for_privacy(epsilon, 1e-5).unwrap().mu();
            assert!((got - mu).abs() < 5.1e-5, "{epsilon}: {got}");
        }
    }

    /// delta as the integral of (p - e^eps q)+ by Simpson's rule, nothing in common with the
    /// closed form.
    fn integrated(mu: f64, epsilon: f64) -> f64 {
        let start = epsilon / mu + 0.5 * mu;
        let (width, count) = (14.0, 20_000_u32);
        let h = width / f64::from(count);
        let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let excess = |x: f64| density(x - mu) - epsilon.exp() * density(x);
        let weight = |i: u32| if i.is_multiple_of(2) { 2.0 } else { 4.0 };
        (1..count).map(|i| weight(i) * excess(start + f64::from(i) * h)).sum::<f64>() * h / 3.0
    }

    #[test]
    fn the_closed_form_is_the_integral() {
        for mu in [0.05, 0.2, 0.49, 0.51, 1.0, 3.0] {
            for epsilon in [0.0, 0.1, 0.7, 2.0, 5.0] {
                let (got, wanted) = (GaussianDp { mu }.delta(epsilon), integrated(mu, epsilon));
                let bound = 1e-9 * wanted + 1e-18;
                assert!((got - wanted).abs() <= bound, "{mu} {epsilon}: {got:e} {wanted:e}");
            }
        }
    }

    #[test]
    fn inverses_are_inverse_and_safe() {
        for delta in [1e-3, 1e-5, 1e-9, 1e-30] {
            for epsilon in [0.01, 0.5, 3.0, 20.0] {
                let dp = GaussianDp::for_privacy(epsilon, delta).unwrap();
                assert!(dp.delta(epsilon) <= delta);
                let back = dp.epsilon(delta).unwrap();
                assert!((back - epsilon).abs() < 1e-9 * epsilon, "{epsilon} {delta}: {back}");
                assert!(dp.delta(back) <= delta);
            }
        }
    }
}
