//! Measures of how good predictions are, computed in f64.
//!
//! Each agrees with the scikit-learn function of that name, on ties and on classes that are
//! absent too.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// How often each class was taken for each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    classes: usize,
    /// `classes x classes`, row-major: a row per true class, a column per predicted one.
    counts: Vec<u64>,
}

impl Confusion {
    /// The matrix of pairs `(true class, predicted class)`. A pair outside `0..classes` is not
    /// counted.
    pub fn of(classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut counts = vec![0; classes * classes];
        for (truth, predicted) in pairs {
            if truth < classes && predicted < classes {
                counts[truth * classes + predicted] += 1;
            }
        }
        Self { classes, counts }
    }

    /// Number of classes.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// How many examples of class `truth` were predicted as `predicted`, 0 for unknown classes.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        let known = truth < self.classes && predicted < self.classes;
        if known { self.counts[truth * self.classes + predicted] } else { 0 }
    }

    /// One slice per true class.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.classes.max(1))
    }

    /// Share of examples predicted right; 0 if there are none.
    pub fn accuracy(&self) -> f64 {
        let total: u64 = self.counts.iter().sum();
        let right: u64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        ratio(right, total).unwrap_or(0.0)
    }

    /// Harmonic mean of precision and recall of `class`, `2 tp / (2 tp + fp + fn)`; none if it
    /// is neither among the true classes nor among the predicted ones.
    pub fn f1(&self, class: usize) -> Option<f64> {
        let truth: u64 = (0..self.classes).map(|other| self.count(class, other)).sum();
        let predicted: u64 = (0..self.classes).map(|other| self.count(other, class)).sum();
        ratio(2 * self.count(class, class), truth + predicted)
    }

    /// Mean of [`Confusion::f1`] over the classes that have one; 0 without examples.
    pub fn macro_f1(&self) -> f64 {
        mean((0..self.classes).filter_map(|class| self.f1(class))).unwrap_or(0.0)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The mean, none of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.into_iter().fold((0.0, 0u32), |(sum, n), x| (sum + x, n + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Area under the receiver operating characteristic: the chance that a positive example scores
/// higher than a negative one, ties counting one half (Mann & Whitney 1947). None if all examples
/// are of one kind.
pub fn auc(examples: impl IntoIterator<Item = (f64, bool)>) -> Option<f64> {
    let mut examples: Vec<(f64, bool)> = examples.into_iter().collect();
    examples.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let tied = |a: &(f64, bool), b: &(f64, bool)| a.0.partial_cmp(&b.0) == Some(Ordering::Equal);
    let (mut area, mut negatives_below, mut positives_below) = (0.0, 0.0, 0.0);
    for tie in examples.chunk_by(tied) {
        let positives = tie.iter().filter(|(_, positive)| *positive).count() as f64;
        let negatives = tie.len() as f64 - positives;
        area += positives * (negatives_below + 0.5 * negatives);
        negatives_below += negatives;
        positives_below += positives;
    }
    let pairs = negatives_below * positives_below;
    (pairs > 0.0).then(|| area / pairs)
}

/// Mean of the [`auc`] of each class against the rest, over the classes that have one; none if
/// no class has.
///
/// `scores` holds one row of `classes` numbers per label.
pub fn macro_auc(scores: &[f64], labels: &[u32], classes: usize) -> Option<f64> {
    let one_class = |class: usize| {
        let rows = scores.chunks_exact(classes).zip(labels);
        auc(rows.map(|(row, label)| (row[class], *label as usize == class)))
    };
    mean((0..classes).filter_map(one_class))
}

/// Place of the largest number, the first of equals; 0 of nothing.
pub fn argmax(scores: &[f32]) -> usize {
    let larger =
        |best: usize, place: usize| if scores[place] > scores[best] { place } else { best };
    (0..scores.len()).fold(0, larger)
}

/// Turns logits into probabilities that sum to 1 and returns the logarithm of the sum of their
/// exponentials, safe from overflow.
pub fn softmax(logits: &[f32], probabilities: &mut Vec<f64>) -> f64 {
    let first = probabilities.len();
    let top = logits.iter().copied().map(f64::from).fold(f64::NEG_INFINITY, f64::max);
    probabilities.extend(logits.iter().map(|&logit| (f64::from(logit) - top).exp()));
    let sum: f64 = probabilities[first..].iter().sum();
    probabilities[first..].iter_mut().for_each(|p| *p /= sum);
    top + sum.ln()
}

/// Logistic loss of a logit for a truth of 0 or 1, `ln(1 + exp(-z))` with `z` turned towards the
/// truth; safe from overflow.
pub fn logistic_loss(logit: f64, truth: bool) -> f64 {
    let against = if truth { -logit } else { logit };
    against.max(0.0) + (-against.abs()).exp().ln_1p()
}

/// How far predicted numbers lie from the true ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Mean of the squared errors.
    pub mean_squared: f64,
    /// Mean of the errors' sizes.
    pub mean_absolute: f64,
    /// Share of the targets' variance that is predicted (R squared); none if the targets are all
    /// equal.
    pub r2: Option<f64>,
}

impl Errors {
    /// The errors of `predicted` against `truth`; of no examples, zero.
    pub fn of(predicted: &[f32], truth: &[f32]) -> Self {
        let count = predicted.len().min(truth.len()).max(1) as f64;
        let pairs = || predicted.iter().zip(truth).map(|(p, t)| (f64::from(*p), f64::from(*t)));
        let squares: f64 = pairs().map(|(p, t)| (p - t) * (p - t)).sum();
        let sizes: f64 = pairs().map(|(p, t)| (p - t).abs()).sum();
        let centre = pairs().map(|(_, t)| t).sum::<f64>() / count;
        let spread: f64 = pairs().map(|(_, t)| (t - centre) * (t - centre)).sum();
        Self {
            mean_squared: squares / count,
            mean_absolute: sizes / count,
            r2: (spread > 0.0).then(|| 1.0 - squares / spread),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Constants: scikit-learn 1.9.1 (f1_score, roc_auc_score, r2_score, ...) on the same lists.
    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn confusion_accuracy_and_f1_agree_with_scikit_learn() {
        let truth = [0, 1, 2, 2, 1, 0, 2, 1, 0, 2];
        let predicted = [0, 2, 2, 2, 1, 0, 1, 1, 1, 2];
        let confusion = Confusion::of(3, truth.into_iter().zip(predicted));
        let rows: Vec<&[u64]> = confusion.rows().collect();
        assert_eq!(rows, [[2, 1, 0], [0, 2, 1], [0, 1, 3]]);
        assert!(close(confusion.accuracy(), 0.7));
        assert!(close(confusion.macro_f1(), 0.707_142_857_142_857_2));
        assert!(close(confusion.f1(1).unwrap(), 4.0 / 7.0));
        let wider = Confusion::of(5, truth.into_iter().zip(predicted));
        assert_eq!(wider.f1(4), None);
        assert!(close(wider.macro_f1(), confusion.macro_f1()));
    }

    #[test]
    fn auc_with_ties_agrees_with_scikit_learn() {
        let truth = [0, 0, 1, 1, 1, 0, 1, 0].map(|t| t == 1);
        let scores = [0.1, 0.4, 0.35, 0.8, 0.4, 0.4, 0.9, 0.05];
        assert!(close(auc(scores.into_iter().zip(truth)).unwrap(), 0.8125));
        assert_eq!(auc([(0.3, true), (0.4, true)]), None);
        assert_eq!(auc([(-0.0, true), (0.0, false)]), Some(0.5));
    }

    #[test]
    fn softmax_measures_agree_with_scikit_learn() {
        let logits: [[f32; 3]; 6] = [
            [2.0, 0.5, -1.0],
            [0.25, 0.0, 0.75],
            [-1.5, 0.5, 1.0],
            [0.0, 0.0, 0.0],
            [1.0, 2.5, 0.5],
            [0.5, -0.5, 0.25],
        ];
        let labels = [0, 2, 2, 0, 1, 1];
        let mut probabilities = Vec::new();
        let losses = logits
            .iter()
            .zip(labels)
            .map(|(row, label)| softmax(row, &mut probabilities) - f64::from(row[label as usize]));
        assert!(close(mean(losses).unwrap(), 0.777_658_081_266_334_6));
        assert!(close(macro_auc(&probabilities, &labels, 3).unwrap(), 0.791_666_666_666_666_6));
    }

    #[test]
    fn logistic_loss_agrees_with_scikit_learn_and_never_overflows() {
        let logits = [-2.0, 0.5, 1.5, -0.25, 3.0, -1.0];
        let truth = [0, 1, 1, 1, 1, 0].map(|t| t == 1);
        let losses = logits.into_iter().zip(truth).map(|(z, t)| logistic_loss(z, t));
        assert!(close(mean(losses).unwrap(), 0.331_701_122_029_439_97));
        assert!(close(logistic_loss(1e6, false), 1e6));
        assert!(close(logistic_loss(1e6, true), 0.0));
    }

    #[test]
    fn errors_of_numbers_agree_with_scikit_learn() {
        let errors = Errors::of(&[2.5, 0.0, 2.0, 8.0], &[3.0, -0.5, 2.0, 7.0]);
        assert!(close(errors.r2.unwrap(), 0.948_608_137_044_967_9));
        assert!(close(errors.mean_squared, 0.375));
        assert!(close(errors.mean_absolute, 0.5));
        assert_eq!(Errors::of(&[1.0, 2.0], &[3.0, 3.0]).r2, None);
    }

    proptest! {
        #[test]
        fn auc_is_the_share_of_ordered_pairs(
            examples in prop::collection::vec((-3i32..3, any::<bool>()), 0..24),
        ) {
            let (mut won, mut pairs) = (0.0, 0.0);
            for (high, _) in examples.iter().filter(|(_, positive)| *positive) {
                for (low, _) in examples.iter().filter(|(_, positive)| !positive) {
                    pairs += 1.0;
                    won += match high.cmp(low) {
                        Ordering::Greater => 1.0,
                        Ordering::Equal => 0.5,
                        Ordering::Less => 0.0,
                    };
                }
            }
            let scored = examples.iter().map(|(score, positive)| (f64::from(*score), *positive));
            let area = auc(scored);
            prop_assert_eq!(area.is_some(), pairs > 0.0);
            prop_assert!(area.is_none_or(|area| close(area, won / pairs)));
        }

        #[test]
        fn softmax_is_a_distribution_whatever_the_scale(
            logits in prop::collection::vec(-1e30f32..1e30, 1..8),
        ) {
            let mut probabilities = Vec::new();
            let log_sum = softmax(&logits, &mut probabilities);
            prop_assert!(log_sum.is_finite());
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(close(probabilities[argmax(&logits)], probabilities.iter().copied().fold(0.0, f64::max)));
        }
    }
}
