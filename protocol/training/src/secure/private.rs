//! Sums with differential privacy: what a job promises, and how a clipped sum becomes a message.
//!
//! ```text
//! Clipped ── round, + noise ──▶ Noised ── mask ──▶ one message ── sum ──▶ released
//! ```
//!
//! Nothing but the P coordinates of the sum leaves an owner: no loss, no weight, no number of rows.
//! What it is divided by is public: the rows that owners declared when they joined.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_privacy::accounting::{self, Cost};
use nexus_privacy::budget::{BudgetTicket, Unit};
use nexus_privacy::flow::{Clipped, Masked, Masker, Purpose, Waiver};
use nexus_privacy::mechanisms::gaussian::Gaussian;
use nexus_privacy::mechanisms::grid::{Grid, Room, Rounding, Sensitivity};
use nexus_privacy::mechanisms::sampling::Sampling;
use nexus_privacy::mechanisms::shares::{LOST, NoisePlan, effective};
use nexus_types::limits::MAX_ROUNDS;
use nexus_types::{CryptoRng, OwnerId, Round};

use super::engine::Contributor;
use super::terms::JobTerms;
use crate::error::TrainingError;
use crate::plan::{Plan, in_range};
use crate::strategy::Strategy;

/// Largest step of the server.
const MAX_STEP: f64 = 1e6;

/// Lowest rate at which rows are drawn.
const MIN_RATE: f64 = 1e-6;

/// Of delta, what samples with too few places may cost in the longest job.
const OVERFLOW_SHARE: f64 = 1e-3;

/// What a job with differential privacy promises, and how.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct PrivacyTerms {
    /// What rows are used for: owners let none take part whose label has it not. With the other terms
    /// it is in the digest that headers sign and that is associated data of what is sealed.
    pub purpose: Purpose,
    /// Whose presence is hidden.
    pub unit: Unit,
    /// The bound of all rounds together.
    pub epsilon: f64,
    /// The probability with which that bound may fail.
    pub delta: f64,
    /// The largest norm of what one unit contributes to a round.
    pub clip: f64,
    /// Width of a round's noise in sensitivities, as a continuous Gaussian, with the fewest owners
    /// in the sum.
    pub multiplier: f64,
    /// With which probability a row takes part in a round, by a coin that only its owner sees; 1 for
    /// every row in every round.
    pub rate: f64,
    /// How many owners may know their shares of the noise and subtract them.
    pub colluding: u32,
    /// Whether every owner adds all of the noise, and so needs to trust nobody.
    pub local: bool,
    /// Rows that each owner says it has: public, and what sums are divided by.
    pub rows: Vec<u32>,
    /// Unit *record*: how far a round moves the model, in clipping norms of the mean gradient.
    /// Unit *owner*: what the mean update is multiplied by.
    pub step: f64,
    /// Share of the rounds, the last ones, over which the step falls evenly to 0: it averages the noise
    /// of many rounds out. 0 for a step that stays.
    pub cooldown: f64,
}

/// The length of the step in the middle of round `round` of `rounds`, the first of which is 1:
/// `step`, which falls evenly to 0 over `cooldown`, the last share of the rounds.
pub fn cooled(step: f64, cooldown: f64, round: Round, rounds: u32) -> f64 {
    let left = 1.0 - (f64::from(round.0) - 0.5) / f64::from(rounds);
    step * if left < cooldown { left / cooldown } else { 1.0 }
}

impl PrivacyTerms {
    /// Checks the terms for a job of `plan` under `terms`.
    ///
    /// # Errors
    /// [`TrainingError`] names the first that is impossible, or a promise that the noise does not keep.
    pub(super) fn check(&self, plan: &Plan, terms: &JobTerms) -> Result<(), TrainingError> {
        self.check_combination(plan)?;
        in_range(
            "owners with declared rows",
            self.rows.len() as f64,
            f64::from(plan.owners),
            f64::from(plan.owners),
        )?;
        let fewest = self.rows.iter().copied().min().unwrap_or_default();
        in_range("declared rows", fewest.into(), 1.0, u32::MAX.into())?;
        in_range("colluders", self.colluding.into(), 0.0, f64::from(terms.n_min) - 1.0)?;
        in_range("leaves", terms.engine.leaves().into(), 1.0, 1.0)?;
        in_range("step", self.step, 1e-9, MAX_STEP)?;
        in_range("cooldown", self.cooldown, 0.0, 1.0)?;
        in_range("rate", self.rate, MIN_RATE, 1.0)?;
        self.release(plan, terms, plan.asked())?;
        in_range("epsilon", self.kept(plan.rounds)?, 0.0, self.epsilon)
    }

    /// The epsilon that `rounds` rounds keep: the closed form where every row takes part in each, and
    /// with samples what a budget for these rounds alone says, which takes far less than the tight
    /// figure and is above it.
    fn kept(&self, rounds: u32) -> Result<f64, TrainingError> {
        let accounted = self.accounted(rounds);
        if self.rate >= 1.0 {
            return Ok(accounted.epsilon(self.delta)?);
        }
        let filter = accounted.filter(self.epsilon, self.delta)?;
        Ok(filter.spent(&Cost::of_plan(accounted)?))
    }

    /// How rows are drawn from so many declared ones, the same for every round; `None` if all take part.
    ///
    /// Places are so many that in the longest job, all samples together, a row finds none with a
    /// thousandth of delta: see [`Release::failure`].
    ///
    /// # Errors
    /// [`TrainingError::Mechanism`].
    pub fn sampling(&self, rows: u32) -> Result<Option<Sampling>, TrainingError> {
        if self.rate >= 1.0 || self.unit == Unit::Owner {
            return Ok(None);
        }
        let sampling = Sampling::new(self.rate, rows as usize)?;
        Ok(Some(sampling.with_overflow_at_most(self.overflow())?))
    }

    /// The probability with which a round's sample of one owner may have too few places.
    fn overflow(&self) -> f64 {
        if self.rate >= 1.0 {
            return 0.0;
        }
        OVERFLOW_SHARE * self.delta / ((1.0 + self.epsilon.exp()) * f64::from(MAX_ROUNDS))
    }

    /// Most rows of one owner in a round.
    fn rows_at_once(&self) -> Result<usize, TrainingError> {
        if self.unit == Unit::Owner {
            return Ok(1);
        }
        // More rows never need fewer places.
        let most = self.rows.iter().copied().max().unwrap_or(1);
        let sampling = self.sampling(most)?;
        Ok(sampling.map_or(most as usize, |sampling| sampling.places().min(most as usize)))
    }

    fn check_combination(&self, plan: &Plan) -> Result<(), TrainingError> {
        let refuse =
            |one, reason| Err(TrainingError::Combination { one, other: "privacy", reason });
        if plan.strategy.has_control() {
            let reason = "its control variates are a second release in each round";
            return refuse(plan.strategy.name(), reason);
        }
        if self.unit == Unit::Record && matches!(plan.strategy, Strategy::FedProx { .. }) {
            let reason = "owners send one gradient, at the model they were sent";
            return refuse(plan.strategy.name(), reason);
        }
        if plan.rule != crate::rule::Rule::Mean {
            return refuse(plan.rule.name(), "every contribution is clipped already");
        }
        if plan.statistics > 0 {
            return refuse("statistics", "they would leave without noise; declare bounds instead");
        }
        if self.unit == Unit::Owner && self.rate < 1.0 {
            return refuse("sampling", "it draws rows, and the unit is an owner");
        }
        Ok(())
    }

    /// The rounds as the accountant of Gaussians sees them.
    pub const fn accounted(&self, rounds: u32) -> accounting::Plan {
        accounting::Plan { rate: self.rate, sigma: self.multiplier, steps: rounds as u64 }
    }

    /// How sums of `asked` owners are rounded and noised.
    pub(crate) fn release(
        &self,
        plan: &Plan,
        terms: &JobTerms,
        asked: u32,
    ) -> Result<Release, TrainingError> {
        self.release_within(plan.parameters as usize, terms.n_min, terms.engine.limit(asked)?)
    }

    /// How a sum over at least `n_min` owners is rounded and noised, if `limit` is the largest
    /// magnitude of an owner's value.
    ///
    /// # Errors
    /// [`TrainingError::Mechanism`] if there is no room for it.
    pub fn release_within(
        &self,
        parameters: usize,
        n_min: u32,
        limit: i64,
    ) -> Result<Release, TrainingError> {
        let shares = if self.local { 1 } else { n_min.saturating_sub(self.colluding).max(1) };
        let rows = self.rows_at_once()? as f64;
        let sigma = self.multiplier / f64::from(shares).sqrt();
        let grid = Grid::new(self.clip, parameters, Room { rows, sigma, limit })?;
        let sensitivity = self.sensitivity(&grid);
        let sigma = (self.multiplier * sensitivity.l2()).hypot(LOST.sqrt()) * (1.0 + 1e-12);
        let noise = if self.local {
            Noise::Alone(Gaussian::at_least(sigma)?)
        } else {
            Noise::Shared(NoisePlan::new(sigma, n_min, self.colluding)?)
        };
        Ok(Release { grid, sensitivity, noise, overflow: self.overflow() })
    }

    fn sensitivity(&self, grid: &Grid) -> Sensitivity {
        match self.unit {
            Unit::Record => grid.sensitivity(),
            Unit::Owner => grid.whole_sensitivity(),
        }
    }

    /// What the sum of a round over `survivors` moves the model by.
    pub(super) fn update(
        &self,
        plan: &Plan,
        round: Round,
        (grid, sum): (&Grid, &[i64]),
        survivors: &[OwnerId],
    ) -> Vec<f64> {
        let step = cooled(self.step, self.cooldown, round, plan.rounds);
        let rows = |owner: &OwnerId| self.rows.get(owner.index()).copied().unwrap_or_default();
        let scale = match self.unit {
            // Down the mean gradient.
            Unit::Record => {
                let rows: f64 = survivors.iter().map(|owner| f64::from(rows(owner))).sum();
                -step / (self.clip * self.rate * rows)
            }
            Unit::Owner => step / survivors.len() as f64,
        };
        let unit = scale / grid.scale();
        sum.iter().map(|value| *value as f64 * unit).collect()
    }
}

/// How the sums of a job are rounded and noised.
#[derive(Clone, Debug)]
pub struct Release {
    pub(super) grid: Grid,
    sensitivity: Sensitivity,
    noise: Noise,
    overflow: f64,
}

#[derive(Clone, Debug)]
enum Noise {
    Shared(NoisePlan),
    Alone(Gaussian),
}

impl Release {
    /// The width of the noise in a sum over `survivors` owners, in sensitivities, as a continuous
    /// Gaussian: of what nobody who colludes knows.
    ///
    /// # Errors
    /// [`TrainingError::Mechanism`] if there are fewer than the sum must have.
    pub fn realised(&self, survivors: u32) -> Result<f64, TrainingError> {
        let sigma = match &self.noise {
            Noise::Shared(plan) => plan.realised(survivors)?,
            Noise::Alone(noise) => noise.sigma(),
        };
        Ok(effective(sigma) / self.sensitivity.l2())
    }

    /// The same of an owner's own part: what is left if the committee gives up its keys.
    pub fn own(&self) -> f64 {
        let sigma = match &self.noise {
            Noise::Shared(plan) => plan.share().sigma(),
            Noise::Alone(noise) => noise.sigma(),
        };
        effective(sigma) / self.sensitivity.l2()
    }

    /// Whether integers are rounded to the nearest, on a fine grid: the sensitivity holds for certain.
    pub fn is_fine(&self) -> bool {
        self.grid.rounding() == Rounding::Nearest
    }

    /// How many of so many owners must take part for the signal to be as long as the noise, if each
    /// contributes a whole clip in the same direction: σ√d over those who colluding owners leave.
    ///
    /// # Errors
    /// As [`Release::realised`].
    pub fn owners_needed(&self, survivors: u32) -> Result<f64, TrainingError> {
        Ok(self.realised(survivors)? * (self.grid.dimension() as f64).sqrt())
    }

    /// The probability with which `rounds` sums of `owners` owners are not what the accountant takes them
    /// for: a part of delta.
    pub fn failure(&self, rounds: u32, owners: u32, epsilon: f64) -> f64 {
        let noise = match &self.noise {
            Noise::Shared(plan) => plan.share(),
            Noise::Alone(noise) => noise,
        };
        let draws = (self.grid.dimension() as u64).saturating_mul(owners.into());
        let each = noise.inexactness(draws) + self.sensitivity.failure() + self.overflow;
        each * (1.0 + epsilon.exp()) * f64::from(rounds)
    }

    /// Rounds and noises a clipped sum and masks it.
    pub(crate) fn mask(
        &self,
        clipped: Clipped,
        ticket: BudgetTicket,
        machine: &mut Contributor,
        rng: &mut dyn CryptoRng,
    ) -> Result<Masked, TrainingError> {
        match &self.noise {
            Noise::Shared(plan) => {
                clipped.noise(ticket, &self.grid, plan, rng)?.mask(&mut Mask { machine, rng })
            }
            Noise::Alone(noise) => clipped
                .noise_alone(ticket, &self.grid, noise, rng)?
                .mask(&mut Mask { machine, rng }),
        }
    }
}

/// An owner's engine as what masks.
pub(crate) struct Mask<'a> {
    pub(crate) machine: &'a mut Contributor,
    pub(crate) rng: &'a mut dyn CryptoRng,
}

impl Plan {
    /// The job's word that its sums have no noise; none of a job with differential privacy.
    pub(crate) fn waiver(&self) -> Option<Waiver> {
        let private = self.terms().is_some_and(|terms| terms.privacy.is_some());
        (!private).then(Waiver::of_job_without_privacy)
    }
}

impl Masker for Mask<'_> {
    type Error = TrainingError;

    fn mask(&mut self, values: &[i64]) -> Result<Arc<[u8]>, TrainingError> {
        Ok(self.machine.contribute(self.rng, values)?)
    }
}
