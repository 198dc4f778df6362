//! What differential privacy allows an attack, at most.
//!
//! A mechanism that is mu-GDP keeps every test between neighbours on or under the curve
//! TPR = Φ(mu − Φ⁻¹(1 − FPR)) (Dong, Roth & Su 2019), whose area is Φ(mu / √2). (epsilon, delta)
//! alone allows TPR = min(1, delta + e^eps·FPR, 1 − e^−eps·(1 − delta − FPR)) (Kairouz, Oh &
//! Viswanath 2015). Both curves are concave, so an attack that treats rows differently stays under
//! them on average over the rows too.

use nexus_privacy::accounting::{AccountingError, GaussianDp};
use serde::Serialize;

/// The privacy that a job claims, at the level of one row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Claim {
    epsilon: f64,
    delta: f64,
    mu: Option<f64>,
}

/// The highest figures that a claim allows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ceiling {
    /// Area under the curve.
    pub auc: f64,
    /// True positive rate at a false positive rate of 1 %.
    pub tpr_at_1_percent: f64,
    /// True positive rate at a false positive rate of 0.1 %.
    pub tpr_at_01_percent: f64,
}

impl Claim {
    /// (epsilon, delta), by whatever accountant.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`].
    pub fn new(epsilon: f64, delta: f64) -> Result<Self, AccountingError> {
        // It checks both.
        GaussianDp::for_privacy(epsilon, delta)?;
        Ok(Self { epsilon, delta, mu: None })
    }

    /// mu-GDP, as unsampled Gaussian noise gives it; stated as epsilon at this `delta`.
    ///
    /// # Errors
    /// [`AccountingError`].
    pub fn gaussian(mu: f64, delta: f64) -> Result<Self, AccountingError> {
        let epsilon = GaussianDp::new(mu)?.epsilon(delta)?;
        Ok(Self { epsilon, delta, mu: Some(mu) })
    }

    /// epsilon.
    pub const fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// delta.
    pub const fn delta(&self) -> f64 {
        self.delta
    }

    /// mu, if the claim is one of Gaussian differential privacy.
    pub const fn mu(&self) -> Option<f64> {
        self.mu
    }

    /// The highest true positive rate at this false positive rate.
    pub fn tpr(&self, fpr: f64) -> f64 {
        let by_epsilon = self.tpr_by_epsilon(fpr);
        self.mu.map_or(by_epsilon, |mu| by_epsilon.min(tpr_by_mu(mu, fpr)))
    }

    /// The largest area under the curve of an attack that guesses members.
    pub fn auc(&self) -> f64 {
        let by_epsilon = self.auc_by_epsilon();
        let by_mu = self.mu.map(|mu| normal_cdf(mu * std::f64::consts::FRAC_1_SQRT_2));
        by_mu.map_or(by_epsilon, |by_mu| by_epsilon.min(by_mu))
    }

    /// The figures of a report.
    pub fn ceiling(&self) -> Ceiling {
        Ceiling {
            auc: self.auc(),
            tpr_at_1_percent: self.tpr(0.01),
            tpr_at_01_percent: self.tpr(0.001),
        }
    }

    fn tpr_by_epsilon(&self, fpr: f64) -> f64 {
        let steep = self.delta + self.epsilon.exp() * fpr;
        let flat = 1.0 - (-self.epsilon).exp() * (1.0 - self.delta - fpr);
        steep.min(flat).clamp(0.0, 1.0)
    }

    /// The area under three straight lines that meet at FPR = knee and at FPR = 1 − delta.
    fn auc_by_epsilon(&self) -> f64 {
        let (delta, fall) = (self.delta, (-self.epsilon).exp());
        let knee = (1.0 - delta) * fall / (1.0 + fall);
        // e^eps knee = (1 − delta) / (1 + e^−eps), which does not overflow.
        let steep = delta * knee + 0.5 * knee * (1.0 - delta) / (1.0 + fall);
        let length = 1.0 - delta - knee;
        steep + length - 0.5 * fall * length * length + delta
    }
}

/// Φ(mu − Φ⁻¹(1 − fpr)).
fn tpr_by_mu(mu: f64, fpr: f64) -> f64 {
    if fpr <= 0.0 || fpr >= 1.0 {
        return fpr.clamp(0.0, 1.0);
    }
    // Φ⁻¹(1 − fpr), by halving.
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..100 {
        let middle: f64 = 0.5 * (low + high);
        if 1.0 - normal_cdf(middle) > fpr {
            low = middle;
        } else {
            high = middle;
        }
    }
    normal_cdf(mu - 0.5 * (low + high))
}

/// Φ, by the accountant's own normal distribution: 2 Φ(mu / 2) − 1 is the delta of mu-GDP at
/// epsilon 0.
fn normal_cdf(x: f64) -> f64 {
    let spread = GaussianDp::new(2.0 * x.abs()).map_or(1.0, |dp| dp.delta(0.0));
    0.5 + 0.5 * spread.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The area under `tpr` by Simpson's rule, fine near both ends.
    fn integrated(tpr: impl Fn(f64) -> f64) -> f64 {
        let count = 20_000;
        let at = |i: i32| (std::f64::consts::PI * f64::from(i) / f64::from(count)).cos();
        let x = |i: i32| 0.5 - 0.5 * at(i);
        let piece = |i: i32| {
            let (a, b) = (x(i), x(i + 1));
            (b - a) / 6.0 * (tpr(a) + 4.0 * tpr(0.5 * (a + b)) + tpr(b))
        };
        (0..count).map(piece).sum()
    }

    #[test]
    fn the_ceilings_are_those_of_the_design() {
        for (epsilon, auc) in [(1.0, 0.575), (3.0, 0.694), (8.0, 0.881)] {
            let mu = GaussianDp::for_privacy(epsilon, 1e-5).unwrap().mu();
            let claim = Claim::gaussian(mu, 1e-5).unwrap();
            assert!((claim.epsilon() - epsilon).abs() < 1e-6);
            assert!((claim.auc() - auc).abs() < 6e-4, "{epsilon}: {}", claim.auc());
        }
    }

    #[test]
    fn areas_are_integrals_of_the_curves() {
        for (epsilon, delta) in [(0.1, 0.0_f64), (1.0, 1e-5), (3.0, 0.05), (8.0, 1e-3)] {
            let claim = Claim::new(epsilon, delta.max(1e-12)).unwrap();
            let area = integrated(|fpr| claim.tpr(fpr));
            assert!((claim.auc() - area).abs() < 1e-6, "{epsilon} {delta}: {area}");
        }
        let curve = integrated(|fpr| tpr_by_mu(0.7191, fpr));
        assert!((curve - normal_cdf(0.7191 / 2_f64.sqrt())).abs() < 1e-6, "{curve}");
    }

    #[test]
    fn no_privacy_allows_everything_and_full_privacy_nothing() {
        let (none, full) = (Claim::new(500.0, 1e-5).unwrap(), Claim::new(0.0, 1e-12).unwrap());
        assert!(none.auc() > 1.0 - 1e-9 && none.tpr(0.001) > 1.0 - 1e-9);
        assert!((full.auc() - 0.5).abs() < 1e-9 && (full.tpr(0.3) - 0.3).abs() < 1e-9);
        assert!(Claim::new(-1.0, 1e-5).is_err() && Claim::new(1.0, 2.0).is_err());
        assert!(Claim::gaussian(f64::NAN, 1e-5).is_err());
    }

    #[test]
    fn the_normal_distribution_is_right() {
        for (x, value) in [(0.0, 0.5), (1.0, 0.841_344_746), (-1.959_964, 0.025), (6.0, 1.0)] {
            assert!((normal_cdf(x) - value).abs() < 1e-8, "{x}");
        }
    }
}
