//! What of the promised privacy the rounds have spent.

use nexus_privacy::accounting::{
    self, AccountingError, Cost, Currency, FILTER_SHARE, Filter, GaussianDp, PrivacyLoss,
};
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
    filter: Filter,
    total: Cost,
    /// The owners in the last sum and what it cost: mostly those of the next.
    last: Option<(usize, Cost)>,
}

impl Odometer {
    /// An odometer of `plan` at 0; none where nothing is promised.
    pub(super) fn new(plan: &Plan) -> Result<Option<Self>, NodeError> {
        let Some((terms, release)) = plan.privacy().cloned().zip(plan.release()?) else {
            return Ok(None);
        };
        let filter = terms.accounted(plan.rounds).filter(terms.epsilon, terms.delta);
        let filter = filter.map_err(TrainingError::from)?;
        let (rounds, total) = (plan.rounds, Cost::ZERO);
        Ok(Some(Self { terms, release, rounds, filter, total, last: None }))
    }

    /// Adds a round with so many owners in its sum; epsilon after it.
    pub(super) fn add(&mut self, survivors: usize) -> Result<f64, NodeError> {
        let cost = match self.last {
            Some((same, cost)) if same == survivors => cost,
            _ => self.of_round(survivors)?,
        };
        self.last = Some((survivors, cost));
        self.total = self.total.and(&cost);
        Ok(self.epsilon())
    }

    fn of_round(&self, survivors: usize) -> Result<Cost, TrainingError> {
        let sigma = self.release.realised(u32::try_from(survivors).unwrap_or(u32::MAX))?;
        Ok(Cost::of_plan(accounting::Plan { sigma, ..self.terms.accounted(1) })?)
    }

    /// Epsilon so far.
    fn epsilon(&self) -> f64 {
        self.filter.spent(&self.total)
    }

    /// What the summary says.
    pub(super) fn summary(
        &self,
        plan: &Plan,
        section: &PrivacySection,
    ) -> Result<Privacy, NodeError> {
        let terms = &self.terms;
        let planned = terms.accounted(self.rounds);
        let figures = || -> Result<_, AccountingError> {
            let own = Cost::of_plan(accounting::Plan { sigma: self.release.own(), ..planned })?;
            let all = GaussianDp::of_steps(planned.sigma, planned.steps)?;
            let tight = Tight::of(planned, FILTER_SHARE * terms.delta)?;
            Ok((self.filter.spent(&own), all.epsilon(FILTER_SHARE * terms.delta)?, tight))
        };
        let (own_epsilon, staff_epsilon, tight) = figures().map_err(TrainingError::from)?;
        let currency = match planned.currency() {
            Currency::Gdp => "gdp",
            Currency::Rdp => "rdp",
        };
        let mut privacy = Privacy {
            unit: section.unit,
            epsilon: terms.epsilon,
            delta: terms.delta,
            plan_epsilon: tight.epsilon,
            spent: self.epsilon(),
            accountant: currency.into(),
            currency: currency.into(),
            sampling: terms.rate,
            staff_epsilon,
            clip: terms.clip,
            noise: terms.multiplier,
            n_min: plan.terms().map_or(0, |terms| terms.n_min),
            colluders: terms.colluding,
            local: terms.local,
            own_epsilon,
            membership: f64::midpoint(1.0, tight.distance),
            note: String::new(),
        };
        privacy.note = privacy.words();
        Ok(privacy)
    }
}

/// The tight figures of a plan.
struct Tight {
    epsilon: f64,
    /// Between the two distributions: delta at epsilon 0.
    distance: f64,
}

impl Tight {
    fn of(plan: accounting::Plan, delta: f64) -> Result<Self, AccountingError> {
        let accounting::Plan { rate, sigma, steps } = plan;
        if rate < 1.0 {
            let loss = PrivacyLoss::of(rate, sigma, steps, delta)?;
            return Ok(Self { epsilon: loss.epsilon(delta)?, distance: loss.delta(0.0) });
        }
        let all = GaussianDp::of_steps(sigma, steps)?;
        Ok(Self { epsilon: all.epsilon(delta)?, distance: all.delta(0.0) })
    }
}
