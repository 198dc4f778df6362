//! How well scores tell two groups apart.

use serde::Serialize;

use crate::AuditError;

/// The curve of a report is thinned to steps of this size.
const STEP: f64 = 0.004;

/// A receiver operating characteristic: members' scores against others'.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Roc {
    /// Scores of members.
    pub members: usize,
    /// Scores of others.
    pub others: usize,
    /// Area under the curve: the probability that a random member scores above a random other, a
    /// tie counting half.
    pub auc: f64,
    /// Its standard error (`DeLong` et al. 1988).
    pub auc_error: f64,
    /// True positive rate where the false positive rate is at most 1 %.
    pub tpr_at_1_percent: f64,
    /// True positive rate where the false positive rate is at most 0.1 %.
    pub tpr_at_01_percent: f64,
    /// (False positive rate, true positive rate), ascending, thinned for drawing.
    pub curve: Vec<(f64, f64)>,
}

impl Roc {
    /// The curve of these scores; members should score higher. `attack` names it in errors.
    ///
    /// # Errors
    /// [`AuditError::Setting`] if a group is empty, [`AuditError::Score`] for a score that is not a
    /// number.
    pub fn of(attack: &'static str, members: &[f64], others: &[f64]) -> Result<Self, AuditError> {
        for group in [members, others] {
            if group.is_empty() {
                let (name, allowed) = ("scores of members, or of others", "at least 1");
                return Err(AuditError::Setting { name, got: 0.0, allowed });
            }
        }
        if members.iter().chain(others).any(|score| score.is_nan()) {
            return Err(AuditError::Score { attack });
        }
        let (members, others) = (sorted(members), sorted(others));
        let (auc, auc_error) = delong(&members, &others);
        let points = points(&members, &others);
        let at = |rate: f64| {
            points.iter().filter(|(fpr, _)| *fpr <= rate).map(|(_, tpr)| *tpr).fold(0.0, f64::max)
        };
        Ok(Self {
            members: members.len(),
            others: others.len(),
            auc,
            auc_error,
            tpr_at_1_percent: at(0.01),
            tpr_at_01_percent: at(0.001),
            curve: thinned(&points),
        })
    }

    /// What is beyond chance: the area less two standard errors, which a limit is compared with.
    pub fn auc_at_least(&self) -> f64 {
        self.auc - 2.0 * self.auc_error
    }
}

fn sorted(scores: &[f64]) -> Vec<f64> {
    // One zero, for a threshold cannot tell two apart.
    let mut scores: Vec<f64> = scores.iter().map(|score| score + 0.0).collect();
    scores.sort_unstable_by(f64::total_cmp);
    scores
}

/// The part of the ascending `scores` below `value`, ties counting half.
fn part_below(scores: &[f64], value: f64) -> f64 {
    let below = scores.partition_point(|score| *score < value);
    let up_to = scores.partition_point(|score| *score <= value);
    0.5 * (below + up_to) as f64 / scores.len() as f64
}

/// The area, and its standard error by placement values (E. `DeLong` et al., *Biometrics* 44
/// (1988)).
fn delong(members: &[f64], others: &[f64]) -> (f64, f64) {
    let over: Vec<f64> = members.iter().map(|score| part_below(others, *score)).collect();
    let under: Vec<f64> = others.iter().map(|score| 1.0 - part_below(members, *score)).collect();
    let ((auc, of_members), (_, of_others)) = (moments(&over), moments(&under));
    let variance = of_members / members.len() as f64 + of_others / others.len() as f64;
    (auc, variance.sqrt())
}

/// Mean and variance (0 for a single value).
pub(crate) fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count.max(1.0);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (count - 1.0).max(1.0))
}

/// Every corner of the curve, from (0, 0) to (1, 1).
fn points(members: &[f64], others: &[f64]) -> Vec<(f64, f64)> {
    let mut thresholds: Vec<f64> = members.iter().chain(others).copied().collect();
    thresholds.sort_unstable_by(|a, b| b.total_cmp(a));
    thresholds.dedup_by(|a, b| a.total_cmp(b).is_eq());
    let part = |scores: &[f64], threshold: f64| {
        let above = scores.len() - scores.partition_point(|score| *score < threshold);
        above as f64 / scores.len() as f64
    };
    let reached = thresholds.into_iter().map(|at| (part(others, at), part(members, at)));
    std::iter::once((0.0, 0.0)).chain(reached).collect()
}

/// Fewer points, close together where false positives are rare.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let is_end = index == 0 || index + 1 == points.len();
        let far = kept.last().is_none_or(|last| {
            let across = point.0 - last.0 >= STEP.min(0.1 * last.0 + STEP * STEP);
            across && point.0 - last.0 >= 0.1 * STEP.min(last.0) || point.1 - last.1 >= STEP
        });
        if is_end || far {
            kept.push(*point);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use nexus_types::Seed;
    use proptest::prelude::*;

    use super::*;

    fn roc(members: &[f64], others: &[f64]) -> Roc {
        Roc::of("test", members, others).unwrap()
    }

    proptest! {
        #[test]
        fn the_area_is_the_share_of_pairs_in_order(
            members in prop::collection::vec(-4_i8..4, 1..40),
            others in prop::collection::vec(-4_i8..4, 1..40),
        ) {
            let float = |scores: &[i8]| scores.iter().map(|s| f64::from(*s)).collect::<Vec<_>>();
            let (members, others) = (float(&members), float(&others));
            let pairs = members.iter().flat_map(|a| others.iter().map(move |b| a - b));
            let sum: f64 = pairs.map(|d| if d > 0.0 { 1.0 } else if d < 0.0 { 0.0 } else { 0.5 }).sum();
            let roc = roc(&members, &others);
            let expected = sum / (members.len() * others.len()) as f64;
            prop_assert!((roc.auc - expected).abs() < 1e-12);
            // The area under the corners, by trapezes, is the same.
            let corners = points(&sorted(&members), &sorted(&others));
            let area: f64 =
                corners.windows(2).map(|w| (w[1].0 - w[0].0) * (w[1].1 + w[0].1) / 2.0).sum();
            prop_assert!((area - expected).abs() < 1e-12);
            prop_assert!(roc.curve.is_sorted() && roc.curve.last() == Some(&(1.0, 1.0)));
            prop_assert!(roc.tpr_at_01_percent <= roc.tpr_at_1_percent);
        }
    }

    #[test]
    fn the_standard_error_is_that_of_repeated_draws() {
        let mut rng = Seed::from_number(1).rng();
        let draws: Vec<Roc> = (0..300)
            .map(|_| {
                let members: Vec<f64> = (0..150).map(|_| rng.normal() + 1.0).collect();
                let others: Vec<f64> = (0..100).map(|_| rng.normal()).collect();
                roc(&members, &others)
            })
            .collect();
        let (mean, variance) = moments(&draws.iter().map(|roc| roc.auc).collect::<Vec<_>>());
        let claimed = draws.iter().map(|roc| roc.auc_error).sum::<f64>() / 300.0;
        // Phi(1 / sqrt 2) is 0.7602.
        assert!((mean - 0.7602).abs() < 0.006, "{mean}");
        assert!((claimed / variance.sqrt() - 1.0).abs() < 0.15, "{claimed} {variance}");
    }

    #[test]
    fn rates_at_few_false_positives_are_not_interpolated() {
        let others: Vec<f64> = (0..1000).map(f64::from).collect();
        let members: Vec<f64> = (0..1000).map(|n| f64::from(n) * 2.0 + 0.5).collect();
        let roc = roc(&members, &others);
        assert!((roc.tpr_at_1_percent - 0.505).abs() < 1e-9, "{}", roc.tpr_at_1_percent);
        assert!((roc.tpr_at_01_percent - 0.501).abs() < 1e-9, "{}", roc.tpr_at_01_percent);
        assert!(roc.curve.len() < 700, "{}", roc.curve.len());
    }

    #[test]
    fn scores_that_are_no_numbers_and_empty_groups_are_refused() {
        let score = Roc::of("test", &[f64::NAN], &[0.0]);
        assert!(matches!(score, Err(AuditError::Score { attack: "test" })));
        assert!(matches!(Roc::of("test", &[], &[0.0]), Err(AuditError::Setting { .. })));
        assert!(Roc::of("test", &[f64::INFINITY], &[f64::NEG_INFINITY]).unwrap().auc > 0.99);
    }
}
