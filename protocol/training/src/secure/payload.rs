//! What an owner's vector of integers says: the update in fixed point, and figures of which only
//! the totals matter.
//!
//! ```text
//! ┌──────────────────────┬───────────────────────┬──────────────────────────────────────┐
//! │ update, P integers   │ SCAFFOLD: P integers  │ figures, each in several small limbs │
//! └──────────────────────┴───────────────────────┴──────────────────────────────────────┘
//! ```
//!
//! In a job with differential privacy it is P integers with noise and nothing else: [`Release`].

use nexus_mpc::aggregation::SumError;
use nexus_mpc::quantise::{Quantiser, wide};
use nexus_types::{OwnerId, Round};

use super::manifest::Manifest;
use super::private::Release;
use super::terms::JobTerms;
use crate::error::TrainingError;
use crate::message::{TaskId, Update};
use crate::plan::Plan;

/// Weight, examples, loss, steps, clipped.
const FIGURES: usize = 5;

/// What the integers of a round are. Equal at all parties of a sum.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// Updates and figures, as they are.
    Exact(Box<Layout>),
    /// Clipped sums with noise.
    Private(Box<Release>),
}

/// How exact integers are laid out.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    parameters: usize,
    control: bool,
    limit: i64,
    /// Integers of a figure.
    limbs: usize,
    quantiser: Quantiser,
    unit: f64,
    /// The largest weight of an owner.
    most: u32,
}

/// What the sum of a round says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Totals {
    /// The weighted mean of the updates.
    pub(crate) update: Vec<f64>,
    /// SCAFFOLD: the sum of what moves the control variate.
    pub(crate) steers: Option<Vec<f64>>,
    /// What else the owners said; `None` where that would have to be private.
    pub(crate) figures: Option<Figures>,
}

/// Totals that go with the updates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) examples: f64,
    pub(crate) losses: f64,
    pub(crate) steps: u64,
    pub(crate) clipped: u32,
}

/// An owner's integers.
pub(crate) struct Encoded {
    pub(crate) values: Vec<i64>,
    /// SCAFFOLD: the owner's part of what moves the control variate, as it was rounded.
    pub(crate) steer: Option<Vec<f64>>,
}

impl Payload {
    /// The layout of the sum that `manifest` describes.
    pub(crate) fn of(
        plan: &Plan,
        terms: &JobTerms,
        manifest: &Manifest,
    ) -> Result<Self, TrainingError> {
        Self::new(plan, terms, manifest.asked(), manifest.weight_unit)
    }

    /// The same for a sum over up to `owners` owners, whose weights are multiples of `unit`.
    pub(crate) fn new(
        plan: &Plan,
        terms: &JobTerms,
        owners: u32,
        unit: f64,
    ) -> Result<Self, TrainingError> {
        Ok(match &terms.privacy {
            None => Self::Exact(Box::new(Layout::new(plan, terms, owners, unit)?)),
            Some(privacy) => Self::Private(Box::new(privacy.release(plan, terms, owners)?)),
        })
    }

    /// Integers per owner.
    pub(crate) fn values(&self) -> usize {
        match self {
            Self::Exact(layout) => layout.values(),
            Self::Private(release) => release.grid.dimension(),
        }
    }

    /// What the sum of the integers of `survivors` in `round` says.
    ///
    /// # Errors
    /// As [`Layout::decode`].
    pub(crate) fn decode(
        &self,
        (plan, terms): (&Plan, &JobTerms),
        round: Round,
        sum: &[i64],
        survivors: &[OwnerId],
    ) -> Result<Totals, TrainingError> {
        match (self, &terms.privacy) {
            (Self::Private(release), Some(privacy)) => {
                let update = privacy.update(plan, round, (&release.grid, sum), survivors);
                Ok(Totals { update, steers: None, figures: None })
            }
            (Self::Exact(layout), _) => {
                layout.decode(sum, u32::try_from(survivors.len()).unwrap_or(u32::MAX))
            }
            (Self::Private(_), None) => Err(SumError::OutOfTurn.into()),
        }
    }
}

impl Layout {
    fn new(plan: &Plan, terms: &JobTerms, owners: u32, unit: f64) -> Result<Self, TrainingError> {
        let limit = terms.engine.limit(owners)?;
        Ok(Self {
            parameters: plan.parameters as usize,
            control: plan.strategy.has_control(),
            limit,
            limbs: wide::limbs(limit)?,
            quantiser: Quantiser::new(terms.clip, limit)?,
            unit,
            most: plan.weight(u64::MAX),
        })
    }

    fn values(&self) -> usize {
        let vectors = if self.control { 2 } else { 1 };
        vectors * self.parameters + FIGURES * self.limbs
    }

    /// The integers of `update`, which counts `weight`, after the rule's bound was applied.
    pub(crate) fn encode(&self, plan: &Plan, update: &Update) -> Result<Encoded, TrainingError> {
        let weight = f64::from(plan.weight(update.examples));
        let bound = plan.rule.scale(&update.delta);
        let own = self.quantiser.quantise(&update.delta, bound * weight / self.unit)?;
        let mut clipped = own.clipped || bound < 1.0;
        let mut values = own.values;
        let mut steer = None;
        if self.control {
            let mut part = self.quantiser.quantise(&update.delta, 1.0 / update.displacement)?;
            for value in &mut part.values {
                *value = -*value;
            }
            clipped |= part.clipped;
            steer = Some(self.quantiser.dequantise(&part.values));
            values.extend(part.values);
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of rows and steps")]
        let figures = [
            weight,
            update.examples as f64,
            update.loss_sum,
            update.steps as f64,
            f64::from(u8::from(clipped)),
        ];
        encode_wide(&figures, self.limit, &mut values)?;
        Ok(Encoded { values, steer })
    }

    /// What the sum of such integers says.
    ///
    /// # Errors
    /// [`TrainingError::Figures`] if the figures are not those of `survivors` honest owners: one
    /// of them could make the weights vanish and the step explode.
    fn decode(&self, sum: &[i64], survivors: u32) -> Result<Totals, TrainingError> {
        let (update, rest) = sum.split_at(self.parameters.min(sum.len()));
        let control = if self.control { self.parameters.min(rest.len()) } else { 0 };
        let (steers, figures) = rest.split_at(control);
        let figures = decode_wide(figures, self.limit)?;
        let figure = |place: usize| figures.get(place).copied().unwrap_or_default();
        check_weight(figure(0), survivors, self.most)?;
        check_figure("examples", figure(1), survivors.into(), f64::MAX)?;
        check_figure("steps", figure(3), 0.0, u64::MAX as f64)?;
        check_figure("clipped updates", figure(4), 0.0, survivors.into())?;
        let share = self.unit / figure(0);
        let mut update = self.quantiser.dequantise(update);
        for value in &mut update {
            *value *= share;
        }
        Ok(Totals {
            update,
            steers: self.control.then(|| self.quantiser.dequantise(steers)),
            figures: Some(Figures {
                examples: figure(1),
                losses: figure(2),
                steps: whole(figure(3)),
                clipped: u32::try_from(whole(figure(4))).unwrap_or(u32::MAX),
            }),
        })
    }
}

/// Every owner has a weight from 1 to `most`.
fn check_weight(weight: f64, survivors: u32, most: u32) -> Result<(), TrainingError> {
    let survivors = f64::from(survivors);
    check_figure("weights", weight, survivors, survivors * f64::from(most))
}

fn check_figure(what: &'static str, got: f64, least: f64, most: f64) -> Result<(), TrainingError> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(TrainingError::Figures { what, got, least, most })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
const fn whole(figure: f64) -> u64 {
    figure as u64
}

/// Integers per owner that a sum of `task` over `asked` owners must have.
pub(crate) fn expected_values(
    plan: &Plan,
    terms: &JobTerms,
    task: TaskId,
    asked: u32,
) -> Result<usize, TrainingError> {
    if task == TaskId::SUMMARY {
        return statistics_values(plan, terms.engine.limit(asked)?);
    }
    Ok(Payload::new(plan, terms, asked, 1.0)?.values())
}

/// Integers per owner of the statistics stage: its statistics and its weight.
fn statistics_values(plan: &Plan, limit: i64) -> Result<usize, TrainingError> {
    Ok((plan.statistics as usize + 1) * wide::limbs(limit)?)
}

/// The integers of an owner's statistics and weight.
pub(crate) fn encode_statistics(
    sums: &[f64],
    weight: u32,
    limit: i64,
) -> Result<Vec<i64>, TrainingError> {
    let mut values = Vec::new();
    encode_wide(sums, limit, &mut values)?;
    encode_wide(&[weight.into()], limit, &mut values)?;
    Ok(values)
}

/// The sums of the statistics, and the mean weight: what counts as one from then on.
///
/// # Errors
/// [`TrainingError::Figures`] if the weights are not those of `survivors` honest owners.
pub(crate) fn decode_statistics(
    plan: &Plan,
    sum: &[i64],
    limit: i64,
    survivors: u32,
) -> Result<(Vec<f64>, f64), TrainingError> {
    let mut sums = decode_wide(sum, limit)?;
    let weight = sums.pop().unwrap_or_default();
    check_weight(weight, survivors, plan.weight(u64::MAX))?;
    Ok((sums, weight / f64::from(survivors.max(1))))
}

fn encode_wide(numbers: &[f64], limit: i64, values: &mut Vec<i64>) -> Result<(), TrainingError> {
    for number in numbers {
        values.extend(wide::encode(*number, limit)?);
    }
    Ok(())
}

fn decode_wide(sums: &[i64], limit: i64) -> Result<Vec<f64>, TrainingError> {
    let limbs = sums.chunks(wide::limbs(limit)?);
    limbs.map(|limbs| Ok(wide::decode(limbs, limit)?)).collect()
}
