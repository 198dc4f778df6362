//! What a model says of rows, and how attacks rank them by it.

use nexus_models::data::DataTargets;
use nexus_models::{Loss, Network};

use crate::AuditError;
use crate::error::fits;
use crate::roc::moments;

/// From so many models with the row, and as many without it, each row has variances of its own.
const OWN_VARIANCE: usize = 16;
/// Added to variances: a model that is always sure is not infinitely telling.
const VARIANCE_FLOOR: f64 = 1e-12;

/// What a model says of every row of the pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    /// ln(p / (1 − p)), p the probability that the model gives the row's class; for numbers, minus
    /// the squared error.
    logits: Vec<f64>,
    /// ln p; for numbers, minus the squared error.
    ln_likelihoods: Vec<f64>,
    /// Whether the class with the highest probability is the row's.
    right: Option<Vec<bool>>,
}

impl Signals {
    /// From the outputs of a network for every row.
    ///
    /// # Errors
    /// [`AuditError::Length`] if they do not fit each other; [`AuditError::Targets`] if the loss is
    /// not for the kind of targets; [`AuditError::Score`] for outputs that are no numbers.
    pub fn of(
        network: &Network<f32>,
        outputs: &[f32],
        targets: &DataTargets,
    ) -> Result<Self, AuditError> {
        let width = network.outputs();
        fits("outputs", outputs.len(), targets.len() * width)?;
        if outputs.iter().any(|value| !value.is_finite()) {
            return Err(AuditError::Score { attack: "a membership attack" });
        }
        let rows = outputs.chunks_exact(width);
        match (network.spec().loss, targets) {
            (Loss::SoftmaxCrossEntropy, DataTargets::Classes { labels, .. }) => {
                let right =
                    rows.clone().zip(labels).map(|(row, label)| is_top(row, *label as usize));
                let right = Some(right.collect());
                let logits = rows.zip(labels).map(|(row, label)| logit(row, *label as usize));
                Ok(Self { right, ..Self::of_logits(logits.collect()) })
            }
            (Loss::BinaryCrossEntropy, DataTargets::Classes { labels, .. }) => {
                let logits = rows.zip(labels).map(|(row, label)| signed(row, *label));
                Ok(Self::of_logits(logits.collect()))
            }
            (Loss::MeanSquaredError | Loss::BinaryCrossEntropy, DataTargets::Values(values)) => {
                Ok(Self::of_numbers(outputs, values))
            }
            (Loss::SoftmaxCrossEntropy, DataTargets::Values(_))
            | (Loss::MeanSquaredError, DataTargets::Classes { .. }) => {
                Err(AuditError::Targets { attack: "the loss of this model" })
            }
        }
    }

    /// From ln(p / (1 − p)) of every row.
    pub fn of_logits(logits: Vec<f64>) -> Self {
        // ln p = −ln(1 + e^−logit).
        let ln_likelihoods = logits.iter().map(|logit| -softplus(-logit)).collect();
        let right = Some(logits.iter().map(|logit| *logit > 0.0).collect());
        Self { logits, ln_likelihoods, right }
    }

    fn of_numbers(outputs: &[f32], values: &[f32]) -> Self {
        let pairs = outputs.iter().zip(values);
        let scores: Vec<f64> =
            pairs.map(|(got, value)| -(f64::from(*got) - f64::from(*value)).powi(2)).collect();
        Self { logits: scores.clone(), ln_likelihoods: scores, right: None }
    }

    /// Whether the model would say the row's class: none for numbers.
    pub(crate) fn right(&self) -> Option<&[bool]> {
        self.right.as_deref()
    }
}

/// z of the class less the logarithm of the sum of the others' exponentials.
fn logit(outputs: &[f32], class: usize) -> f64 {
    let others = || {
        let all = outputs.iter().enumerate();
        all.filter(|(other, _)| *other != class).map(|(_, z)| f64::from(*z))
    };
    let top = others().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = others().map(|z| (z - top).exp()).sum();
    let own = outputs.get(class).map_or(f64::NAN, |z| f64::from(*z));
    own - top - sum.ln()
}

fn is_top(outputs: &[f32], class: usize) -> bool {
    outputs.get(class).is_some_and(|own| outputs.iter().all(|other| other <= own))
}

fn signed(outputs: &[f32], label: u32) -> f64 {
    let z = outputs.first().map_or(f64::NAN, |z| f64::from(*z));
    if label == 1 { z } else { -z }
}

/// ln(1 + e^x).
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Ranks rows by the target's loss alone, smallest first (Yeom et al. 2018, arXiv:1709.01604).
pub fn loss_threshold(target: &Signals) -> Vec<f64> {
    target.ln_likelihoods.clone()
}

/// Ranks rows by how much likelier the target makes them than the references do, relative to the
/// other rows of the pool: Pr over z of [p(x|θ)/p(x)] / [p(z|θ)/p(z)] ≥ 1, p(x) the mean over the
/// references, of which half have seen the row (Zarifzadeh, Liu & Shokri 2024, arXiv:2312.03262,
/// equation 4 with γ = 1; z from the pool, of which the rows are exchangeable).
pub fn rmia(target: &Signals, references: &[Signals]) -> Vec<f64> {
    let count = (references.len().max(1) as f64).ln();
    let ln_ratio = |(row, ln_p): (usize, &f64)| {
        let of_references = references.iter().map(|model| model.ln_likelihoods[row]);
        ln_p - (ln_sum(of_references) - count)
    };
    let ratios: Vec<f64> = target.ln_likelihoods.iter().enumerate().map(ln_ratio).collect();
    let mut sorted = ratios.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let below = |ratio: &f64| sorted.partition_point(|other| other <= ratio) as f64;
    ratios.iter().map(|ratio| below(ratio) / ratios.len() as f64).collect()
}

/// The logarithm of a sum of exponentials.
fn ln_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if top.is_finite() { top + logs.map(|ln| (ln - top).exp()).sum::<f64>().ln() } else { top }
}

/// A row's logit in models with it, or without it.
#[derive(Clone, Copy)]
struct Fit {
    mean: f64,
    variance: f64,
}

impl Fit {
    fn of(logits: &[f64]) -> Self {
        let (mean, variance) = moments(logits);
        Self { mean, variance }
    }

    fn ln_density(&self, logit: f64) -> f64 {
        let variance = self.variance + VARIANCE_FLOOR;
        -0.5 * ((logit - self.mean).powi(2) / variance + variance.ln())
    }
}

/// Ranks rows by the ratio of the target's logit's densities under two Gaussians, fitted to the
/// shadow models with and without the row (Carlini et al. 2022, arXiv:2112.03570, algorithm 1). With
/// fewer than 32 shadow models all rows share their variances (section VI.C there).
///
/// `inside[k][row]` says whether shadow model k was trained on the row; every row must be inside
/// one at least and outside one at least.
pub fn lira(target: &Signals, shadows: &[Signals], inside: &[Vec<bool>]) -> Vec<f64> {
    let fits = |row: usize| {
        let logits = |wanted: bool| -> Vec<f64> {
            let with = shadows.iter().zip(inside).filter(|(_, inside)| inside[row] == wanted);
            with.map(|(model, _)| model.logits[row]).collect()
        };
        let (seen, unseen) = (logits(true), logits(false));
        let own = seen.len().min(unseen.len()) >= OWN_VARIANCE;
        (Fit::of(&seen), Fit::of(&unseen), own)
    };
    let fits: Vec<_> = (0..target.logits.len()).map(fits).collect();
    let count = fits.len().max(1) as f64;
    let seen_variance = fits.iter().map(|(seen, ..)| seen.variance).sum::<f64>() / count;
    let unseen_variance = fits.iter().map(|(_, unseen, _)| unseen.variance).sum::<f64>() / count;
    let score = |((mut seen, mut unseen, own), logit): ((Fit, Fit, bool), &f64)| {
        if !own {
            (seen.variance, unseen.variance) = (seen_variance, unseen_variance);
        }
        seen.ln_density(*logit) - unseen.ln_density(*logit)
    };
    fits.into_iter().zip(&target.logits).map(score).collect()
}

#[cfg(test)]
mod tests {
    use nexus_types::Seed;

    use super::*;
    use crate::Roc;

    #[test]
    fn logits_are_those_of_the_probabilities() {
        let outputs = [1.0_f32, 3.0, -2.0];
        let sum: f64 = outputs.iter().map(|z| f64::from(*z).exp()).sum();
        for (class, z) in outputs.iter().enumerate() {
            let p = f64::from(*z).exp() / sum;
            assert!((logit(&outputs, class) - (p / (1.0 - p)).ln()).abs() < 1e-9);
            let signals = Signals::of_logits(vec![logit(&outputs, class)]);
            assert!((signals.ln_likelihoods[0] - p.ln()).abs() < 1e-9);
        }
        assert!((logit(&[400.0, -400.0], 1) + 800.0).abs() < 1e-9, "no overflow");
        assert!((signed(&[2.0], 0) + 2.0).abs() < 1e-12);
    }

    /// A world in which a row's logit is its own mean, plus a bump if the model has seen it, plus
    /// noise: the best attack knows mean and bump.
    fn world(models: usize, rows: usize, seed: u64) -> (Vec<Signals>, Vec<Vec<bool>>) {
        let mut rng = Seed::from_number(seed).rng();
        let means: Vec<f64> = (0..rows).map(|_| 4.0 * rng.normal()).collect();
        let inside: Vec<Vec<bool>> = (0..models)
            .map(|model| (0..rows).map(|row| (row + model).is_multiple_of(2)).collect())
            .collect();
        let logits = inside.iter().map(|inside| {
            let logit =
                |(mean, is_in): (&f64, &bool)| mean + rng.normal() + if *is_in { 2.0 } else { 0.0 };
            Signals::of_logits(means.iter().zip(inside).map(logit).collect())
        });
        (logits.collect(), inside)
    }

    fn auc(scores: &[f64], inside: &[bool]) -> f64 {
        let of = |wanted: bool| -> Vec<f64> {
            let chosen = scores.iter().zip(inside).filter(|(_, is_in)| **is_in == wanted);
            chosen.map(|(score, _)| *score).collect()
        };
        Roc::of("test", &of(true), &of(false)).unwrap().auc
    }

    #[test]
    fn lira_comes_near_the_best_test_and_the_loss_does_not() {
        // Phi(2 / sqrt 2) = 0.921 is what is possible.
        let (models, inside) = world(65, 2000, 1);
        let ((target, shadows), (is_in, halves)) =
            (models.split_last().unwrap(), inside.split_last().unwrap());
        let by_lira = auc(&lira(target, shadows, halves), is_in);
        assert!(by_lira > 0.90 && by_lira < 0.93, "{by_lira}");
        let few = auc(&lira(target, &shadows[..8], &halves[..8]), is_in);
        assert!(few > 0.85, "{few}");
        let by_rmia = auc(&rmia(target, &shadows[..2]), is_in);
        let by_loss = auc(&loss_threshold(target), is_in);
        assert!(by_loss < 0.70 && by_rmia > by_loss + 0.1, "{by_loss} {by_rmia}");
    }

    #[test]
    fn rmia_ranks_as_the_ratio_does() {
        let target = Signals::of_logits(vec![3.0, -1.0, 0.0]);
        let references =
            [Signals::of_logits(vec![3.0, -4.0, 0.5]), Signals::of_logits(vec![2.5; 3])];
        let scores = rmia(&target, &references);
        assert!(scores[0] > scores[1] || scores[1] > scores[2]);
        assert!(scores.iter().all(|score| *score > 0.0 && *score <= 1.0), "{scores:?}");
    }
}
