//! What of the promised privacy the rounds have spent.

use nexus_privacy::accounting::{AccountingError, FILTER_SHARE, GaussianDp};
use nexus_training::{Plan, PrivacyTerms, Release, TrainingError};

use crate::error::NodeError;
use crate::job::PrivacySection;
use crate::summary::Privacy;

/// Adds up the rounds of a job with differential privacy.
#[derive(Debug)]
pub(super) struct Odometer {
    terms: PrivacyTerms,
    release: Release,
    rounds: u32,
    mu_squared: f64,
}

impl Odometer {
    /// An odometer of `plan` at 0; none where nothing is promised.
    pub(super) fn new(plan: &Plan) -> Result<Option<Self>, NodeError> {
        let Some((terms, release)) = plan.privacy().cloned().zip(plan.release()?) else {
            return Ok(None);
        };
        Ok(Some(Self { terms, release, rounds: plan.rounds, mu_squared: 0.0 }))
    }

    /// Adds a round with so many owners in its sum; epsilon after it.
    pub(super) fn add(&mut self, survivors: usize) -> Result<f64, NodeError> {
        let sigma = self.release.realised(u32::try_from(survivors).unwrap_or(u32::MAX))?;
        self.mu_squared += sigma.powi(-2);
        self.epsilon()
    }

    /// Epsilon so far.
    fn epsilon(&self) -> Result<f64, NodeError> {
        let dp = GaussianDp::new(self.mu_squared.sqrt());
        let epsilon = dp.and_then(|dp| dp.epsilon(FILTER_SHARE * self.terms.delta));
        Ok(epsilon.map_err(TrainingError::from)?)
    }

    /// What the summary says.
    pub(super) fn summary(
        &self,
        plan: &Plan,
        section: &PrivacySection,
    ) -> Result<Privacy, NodeError> {
        let terms = &self.terms;
        let figures = || -> Result<_, AccountingError> {
            let own = GaussianDp::of_steps(self.release.own(), self.rounds.into())?;
            let all = GaussianDp::of_steps(terms.multiplier, self.rounds.into())?;
            Ok((own.epsilon(FILTER_SHARE * terms.delta)?, all))
        };
        let (own_epsilon, all) = figures().map_err(TrainingError::from)?;
        let mut privacy = Privacy {
            unit: section.unit,
            epsilon: terms.epsilon,
            delta: terms.delta,
            spent: self.epsilon()?,
            accountant: "gdp".into(),
            currency: "gdp".into(),
            sampling: terms.rate,
            clip: terms.clip,
            noise: terms.multiplier,
            n_min: plan.terms().map_or(0, |terms| terms.n_min),
            colluders: terms.colluding,
            local: terms.local,
            own_epsilon,
            // The distance between the two is delta at epsilon 0.
            membership: f64::midpoint(1.0, all.delta(0.0)),
            note: String::new(),
        };
        privacy.note = privacy.words();
        Ok(privacy)
    }
}
