//! How the updates of a round become one.

mod coordinate;
mod geometric;
mod krum;
mod sum;

use serde::{Deserialize, Serialize};

use crate::error::TrainingError;
use crate::plan::in_range;

pub(crate) use sum::ExactSum;

/// A rule of aggregation. `n` is the number of updates of a round, `f` the number of owners that
/// may lie.
///
/// In TOML a rule is its name, `"median"`, or a table, `{ multi_krum = { byzantine = 3 } }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// The weighted mean. One liar can move it anywhere.
    #[default]
    Mean,
    /// The weighted mean of the updates, those longer than `limit` scaled down to it: an owner's
    /// influence is bounded (Sun et al. 2019, section 4).
    NormBound {
        /// The longest Euclidean norm that stays as it is.
        limit: f64,
    },
    /// In each coordinate the median (Yin et al. 2018, definition 1).
    Median,
    /// In each coordinate the mean without the `trim` largest and the `trim` smallest (Yin et
    /// al. 2018, definition 2).
    TrimmedMean {
        /// Values left out at each end: at least f.
        trim: u32,
    },
    /// The update whose n - f - 2 nearest others are nearest, in squared distance (Blanchard et
    /// al. 2017, section 4).
    Krum {
        /// f.
        byzantine: u32,
    },
    /// The mean of the `keep` updates that Krum likes best (Blanchard et al. 2017, section 5).
    MultiKrum {
        /// f.
        byzantine: u32,
        /// How many; n - f - 2 if not set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<u32>,
    },
    /// Krum chooses n - 2f updates one after the other; in each coordinate the mean of the
    /// n - 4f of them nearest to their median (El Mhamdi et al. 2018, section 4).
    Bulyan {
        /// f.
        byzantine: u32,
    },
    /// The point with the smallest sum of distances to the updates, by smoothed Weiszfeld steps
    /// (Pillutla et al. 2022, algorithm 2).
    GeometricMedian {
        /// Most steps, 1 to 1000.
        #[serde(default = "default_iterations")]
        iterations: u32,
        /// Distances below this count as this.
        #[serde(default = "default_smoothing")]
        smoothing: f64,
    },
}

const fn default_iterations() -> u32 {
    50
}

const fn default_smoothing() -> f64 {
    1e-6
}

impl Rule {
    /// The rule's name in a job file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::NormBound { .. } => "norm_bound",
            Self::Median => "median",
            Self::TrimmedMean { .. } => "trimmed_mean",
            Self::Krum { .. } => "krum",
            Self::MultiKrum { .. } => "multi_krum",
            Self::Bulyan { .. } => "bulyan",
            Self::GeometricMedian { .. } => "geometric_median",
        }
    }

    /// Whether the coordinator must hold all updates of a round at once: memory O(model x
    /// owners) instead of O(model).
    pub const fn keeps_updates(&self) -> bool {
        !matches!(self, Self::Mean | Self::NormBound { .. })
    }

    /// Fewest updates that the rule can work with. A round with fewer is below quorum.
    pub fn least(&self) -> u32 {
        match *self {
            Self::Mean | Self::NormBound { .. } | Self::Median | Self::GeometricMedian { .. } => 1,
            Self::TrimmedMean { trim } => trim.saturating_mul(2).saturating_add(1),
            Self::Krum { byzantine } => byzantine.saturating_add(3),
            Self::MultiKrum { byzantine, keep } => {
                byzantine.saturating_add(3).max(keep.unwrap_or(1).saturating_add(byzantine))
            }
            Self::Bulyan { byzantine } => byzantine.saturating_mul(4).saturating_add(1),
        }
    }

    /// Fewest updates for which the published guarantee holds: n >= 2f + 3 for Krum, n >= f +
    /// keep + 2 besides for multi-Krum, n >= 4f + 3 for Bulyan; `None` if the rule assumes no
    /// number of liars. Worth a warning if a round can have fewer.
    pub fn guaranteed_from(&self) -> Option<u32> {
        let twice = |byzantine: u32| byzantine.saturating_mul(2).saturating_add(3);
        match *self {
            Self::Mean | Self::NormBound { .. } | Self::Median | Self::GeometricMedian { .. } => {
                None
            }
            Self::TrimmedMean { .. } => Some(self.least()),
            Self::Krum { byzantine } => Some(twice(byzantine)),
            Self::MultiKrum { byzantine, keep } => {
                let kept = keep.unwrap_or(1).saturating_add(byzantine).saturating_add(2);
                Some(twice(byzantine).max(kept))
            }
            Self::Bulyan { byzantine } => Some(byzantine.saturating_mul(4).saturating_add(3)),
        }
    }

    /// Checks the settings for rounds of `asked` owners.
    pub(crate) fn check(&self, asked: u32) -> Result<(), TrainingError> {
        match *self {
            Self::NormBound { limit } => in_range("limit", limit, 1e-9, 1e12)?,
            Self::MultiKrum { keep: Some(keep), .. } => {
                in_range("keep", keep.into(), 1.0, asked.into())?;
            }
            Self::GeometricMedian { iterations, smoothing } => {
                in_range("iterations", iterations.into(), 1.0, 1000.0)?;
                in_range("smoothing", smoothing, 1e-12, 1.0)?;
            }
            Self::Mean
            | Self::Median
            | Self::TrimmedMean { .. }
            | Self::Krum { .. }
            | Self::MultiKrum { keep: None, .. }
            | Self::Bulyan { .. } => {}
        }
        let needed = self.least();
        if needed > asked {
            return Err(TrainingError::TooFewOwners { rule: self.name(), needed, asked });
        }
        Ok(())
    }

    /// The factor that brings an update to what the rule lets through.
    pub(crate) fn scale(&self, update: &[f32]) -> f64 {
        let Self::NormBound { limit } = self else { return 1.0 };
        (limit / norm(update.iter().map(|&value| f64::from(value)))).min(1.0)
    }

    /// The aggregate of at least [`Rule::least`] updates of equal length, for rules that keep
    /// them; the plain mean for the others.
    pub(crate) fn aggregate(&self, updates: &[&[f32]]) -> Vec<f64> {
        match *self {
            Self::Mean | Self::NormBound { .. } => coordinate::trimmed_mean(updates, 0),
            Self::Median => coordinate::median(updates),
            Self::TrimmedMean { trim } => coordinate::trimmed_mean(updates, trim as usize),
            Self::Krum { byzantine } => krum::multi_krum(updates, byzantine as usize, 1),
            Self::MultiKrum { byzantine, keep } => {
                let most = updates.len().saturating_sub(byzantine as usize + 2).max(1);
                let keep = keep.map_or(most, |keep| keep as usize);
                krum::multi_krum(updates, byzantine as usize, keep)
            }
            Self::Bulyan { byzantine } => krum::bulyan(updates, byzantine as usize),
            Self::GeometricMedian { iterations, smoothing } => {
                geometric::median(updates, iterations, smoothing)
            }
        }
    }
}

/// Euclidean length.
pub(crate) fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use nexus_types::Seed;
    use proptest::prelude::*;

    use super::*;

    const F: u32 = 2;

    fn robust() -> [Rule; 6] {
        [
            Rule::Median,
            Rule::TrimmedMean { trim: F },
            Rule::Krum { byzantine: F },
            Rule::MultiKrum { byzantine: F, keep: None },
            Rule::Bulyan { byzantine: F },
            Rule::GeometricMedian { iterations: 100, smoothing: 1e-6 },
        ]
    }

    pub(super) fn updates(
        count: Range<usize>,
        length: usize,
    ) -> impl proptest::strategy::Strategy<Value = Vec<Vec<f32>>> {
        prop::collection::vec(prop::collection::vec(-100f32..100.0, length), count)
    }

    pub(super) fn assert_close(got: &[f64], expected: &[f32], tolerance: f64) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - f64::from(*expected)).abs() <= tolerance, "{got}, not {expected}");
        }
    }

    fn aggregate(rule: Rule, updates: &[Vec<f32>]) -> Vec<f64> {
        rule.aggregate(&updates.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn the_order_of_updates_does_not_matter(vectors in updates(11..14, 7), seed: u64) {
            let mut shuffled = vectors.clone();
            Seed::from_number(seed).rng().shuffle(&mut shuffled);
            for rule in robust() {
                for (a, b) in aggregate(rule, &vectors).iter().zip(aggregate(rule, &shuffled)) {
                    prop_assert!((a - b).abs() < 1e-6, "{:?}: {} {}", rule, a, b);
                }
            }
        }

        #[test]
        fn no_coordinate_leaves_the_range_of_the_updates(vectors in updates(11..14, 7)) {
            for rule in robust() {
                for (c, value) in aggregate(rule, &vectors).into_iter().enumerate() {
                    let column = vectors.iter().map(|v| f64::from(v[c]));
                    let low = column.clone().fold(f64::INFINITY, f64::min);
                    let high = column.fold(f64::NEG_INFINITY, f64::max);
                    prop_assert!((low - 1e-9..=high + 1e-9).contains(&value), "{:?}", rule);
                }
            }
        }

        #[test]
        fn two_liars_of_eleven_move_nothing_far(
            honest in prop::collection::vec(prop::collection::vec(-1f32..1.0, 7), 9),
            lies in prop::collection::vec(prop::collection::vec(-1e9f32..1e9, 7), 2),
        ) {
            let all = [lies, honest].concat();
            for rule in robust() {
                for value in aggregate(rule, &all) {
                    prop_assert!(value.abs() < 3.0, "{:?} was moved to {}", rule, value);
                }
            }
            // What makes the test one: the mean is moved.
            let sum = |c: usize| all.iter().map(|v| f64::from(v[c]).abs()).sum::<f64>();
            prop_assume!((0..7).any(|c| sum(c) > 1e6));
            prop_assert!(aggregate(Rule::Mean, &all).iter().any(|value| value.abs() > 1e3));
        }
    }

    #[test]
    fn every_rule_leaves_equal_updates_as_they_are() {
        let same = vec![vec![1.5, -2.0, 0.0]; 11];
        for rule in robust() {
            assert_close(&aggregate(rule, &same), &same[0], 1e-12);
        }
    }

    #[test]
    fn a_rule_says_what_it_needs() {
        let table = [
            (Rule::Mean, 1, None),
            (Rule::NormBound { limit: 1.0 }, 1, None),
            (Rule::Median, 1, None),
            (Rule::TrimmedMean { trim: 2 }, 5, Some(5)),
            (Rule::Krum { byzantine: 2 }, 5, Some(7)),
            (Rule::MultiKrum { byzantine: 2, keep: None }, 5, Some(7)),
            (Rule::MultiKrum { byzantine: 2, keep: Some(6) }, 8, Some(10)),
            (Rule::Bulyan { byzantine: 2 }, 9, Some(11)),
            (Rule::Krum { byzantine: u32::MAX }, u32::MAX, Some(u32::MAX)),
        ];
        for (rule, least, guaranteed) in table {
            assert_eq!((rule.least(), rule.guaranteed_from()), (least, guaranteed), "{rule:?}");
            assert_eq!(rule.check(least), Ok(()));
            let name = rule.name();
            let refused =
                TrainingError::TooFewOwners { rule: name, needed: least, asked: least - 1 };
            assert_eq!(rule.check(least - 1), Err(refused));
        }
    }

    #[test]
    fn a_rule_works_with_the_fewest_updates_it_admits() {
        for rule in robust() {
            for n in rule.least()..rule.least() + 4 {
                let vectors: Vec<Vec<f32>> = (0..n).map(|i| vec![i as f32, 1.0]).collect();
                let result = aggregate(rule, &vectors);
                assert!((0.0..f64::from(n)).contains(&result[0]), "{rule:?} of {n}: {result:?}");
                assert!((result[1] - 1.0).abs() < 1e-12);
            }
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Section {
        rule: Rule,
    }

    #[test]
    fn toml_reads_what_it_writes() {
        let others = [
            Rule::Mean,
            Rule::NormBound { limit: 2.5 },
            Rule::MultiKrum { byzantine: 3, keep: Some(4) },
        ];
        for rule in robust().into_iter().chain(others) {
            let text = toml::to_string(&Section { rule }).unwrap();
            assert!(text.contains(rule.name()), "{text}");
            assert_eq!(toml::from_str(&text), Ok(Section { rule }));
        }
        for wrong in ["{ krum = {} }", "{ krum = { byzantine = -1 } }", "{ median = { f = 1 } }"] {
            assert!(toml::from_str::<Section>(&format!("rule = {wrong}")).is_err(), "{wrong}");
        }
    }
}
