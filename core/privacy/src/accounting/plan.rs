//! A plan that is fixed in advance, what it costs, and the noise that a target needs.

use nexus_types::borsh::{self, BorshDeserialize, BorshSerialize};

use super::{
    AccountingError, Cost, Currency, FILTER_SHARE, Filter, GaussianDp, PrivacyLoss, check_epsilon,
    planned_order, rdp,
};

/// `steps` noisy sums, of everything or of a Poisson sample with secret coins.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Plan {
    /// Sampling rate in (0, 1]; 1 claims no amplification.
    pub rate: f64,
    /// Deviation of the noise per unit of sensitivity.
    pub sigma: f64,
    /// How many sums.
    pub steps: u64,
}

/// What a plan costs at one delta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The tight figure.
    pub epsilon: f64,
    /// The figure by Renyi divergences, for comparison with programs that have no other.
    pub rdp_epsilon: f64,
    /// Which accountant computed [`Self::epsilon`]: `gdp` or `pld`.
    pub accountant: &'static str,
}

impl Plan {
    /// The tight epsilon: closed form without sampling, privacy-loss distribution with it.
    ///
    /// # Errors
    /// As [`PrivacyLoss::of`].
    pub fn epsilon(self, delta: f64) -> Result<f64, AccountingError> {
        if self.rate >= 1.0 {
            super::check_rate(self.rate)?;
            return GaussianDp::of_steps(self.sigma, self.steps)?.epsilon(delta);
        }
        PrivacyLoss::of(self.rate, self.sigma, self.steps, delta)?.epsilon(delta)
    }

    /// Both figures.
    ///
    /// # Errors
    /// As [`PrivacyLoss::of`].
    pub fn what_if(self, delta: f64) -> Result<Figure, AccountingError> {
        Ok(Figure {
            epsilon: self.epsilon(delta)?,
            rdp_epsilon: rdp::epsilon(self.rate, self.sigma, self.steps, delta)?,
            accountant: if self.rate >= 1.0 { "gdp" } else { "pld" },
        })
    }

    /// The plan with the least noise (within a relative 1e-4, rounded up) that keeps `epsilon`.
    ///
    /// # Errors
    /// As [`Self::epsilon`].
    pub fn calibrated(
        rate: f64,
        steps: u64,
        epsilon: f64,
        delta: f64,
    ) -> Result<Self, AccountingError> {
        check_epsilon(epsilon)?;
        if rate >= 1.0 {
            super::check_steps(steps)?;
            let mu = GaussianDp::for_privacy(epsilon, delta)?.mu();
            let sigma = (steps as f64).sqrt() / mu * (1.0 + 1e-12);
            super::check_sigma(sigma)?;
            return Ok(Self { rate, sigma, steps });
        }
        let with = |sigma: f64| Self { rate, sigma, steps };
        Ok(with(least(|sigma| Ok(with(sigma).epsilon(delta)? <= epsilon))?))
    }

    /// The currency that loses least by this plan: only `rdp` keeps what sampling gains.
    pub const fn currency(self) -> Currency {
        if self.rate < 1.0 { Currency::Rdp } else { Currency::Gdp }
    }

    /// A filter of `epsilon` at `delta` in that currency, made for this plan alone.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`].
    pub fn filter(self, epsilon: f64, delta: f64) -> Result<Filter, AccountingError> {
        let planned = planned_order(&Cost::of_plan(self)?, delta);
        Filter::new(self.currency(), epsilon, delta, planned)
    }

    /// The plan with the least noise (within a relative 1e-4, rounded up) that a budget of `epsilon`
    /// at `delta` of its own admits: see [`Self::filter`]. It takes milliseconds; with sampling the
    /// tight figure is some hundredths lower.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`].
    pub fn admitted(
        rate: f64,
        steps: u64,
        epsilon: f64,
        delta: f64,
    ) -> Result<Self, AccountingError> {
        if rate >= 1.0 {
            let plan = Self::calibrated(rate, steps, epsilon, FILTER_SHARE * delta)?;
            // Budgets count in steps of 2^-40, rounded up.
            return Ok(Self { sigma: plan.sigma * (1.0 + 1e-6), ..plan });
        }
        check_epsilon(epsilon)?;
        super::check_steps(steps)?;
        let with = |sigma: f64| Self { rate, sigma, steps };
        let sigma = least(|sigma| {
            let plan = with(sigma);
            Ok(plan.filter(epsilon, delta)?.admits(&Cost::of_plan(plan)?))
        })?;
        // Another machine's floats may differ in the last digit.
        Ok(with(sigma * (1.0 + 1e-6)))
    }
}

/// The least sigma that `fits`, within a relative 1e-4, rounded up.
fn least(fits: impl Fn(f64) -> Result<bool, AccountingError>) -> Result<f64, AccountingError> {
    let (mut low, mut high) = (0.25, 0.5);
    while !fits(high)? {
        (low, high) = (high, 2.0 * high);
    }
    while high / low > 1.0 + 1e-4 {
        let middle = (low * high).sqrt();
        if fits(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_if_prints_the_figures_of_the_reference() {
        let plan = Plan { rate: 0.004_266_67, sigma: 1.1, steps: 2340 };
        let figure = plan.what_if(1e-5).unwrap();
        assert!((figure.epsilon - 0.918).abs() < 1e-3, "{figure:?}");
        assert!((figure.rdp_epsilon - 1.098).abs() < 2e-3, "{figure:?}");
        assert_eq!(figure.accountant, "pld");
    }

    #[test]
    fn calibration_keeps_its_target_and_wastes_little() {
        for (steps, wanted) in [(100, 13.906), (150, 17.031), (20, 6.219)] {
            let plan = Plan::calibrated(1.0, steps, 3.0, 1e-5).unwrap();
            assert!((plan.sigma - wanted).abs() < 2e-3, "{}", plan.sigma);
            assert!(plan.epsilon(1e-5).unwrap() <= 3.0);
        }
        // What a budget admits is a little more than what the tight figure asks for.
        for rate in [0.25, 1.0] {
            let (tight, admitted) = (
                Plan::calibrated(rate, 200, 3.0, 1e-5).unwrap(),
                Plan::admitted(rate, 200, 3.0, 1e-5).unwrap(),
            );
            let more = admitted.sigma / tight.sigma;
            assert!((1.0..1.25).contains(&more), "{rate}: {more}");
            let cost = Cost::of_plan(admitted).unwrap();
            assert!(admitted.filter(3.0, 1e-5).unwrap().admits(&cost));
        }
        assert!(Plan::admitted(0.25, 200, 1e-9, 1e-300).is_err());
        let plan = Plan::calibrated(0.25, 200, 3.0, 1e-5).unwrap();
        assert!((plan.sigma - 5.045).abs() < 5e-3, "{}", plan.sigma);
        let epsilon = plan.epsilon(1e-5).unwrap();
        assert!(epsilon <= 3.0 && epsilon > 2.999, "{epsilon}");
    }
}
