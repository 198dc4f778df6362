//! `[aggregation]`: who sees which update.

use nexus_mpc::sharing::Layout;
use nexus_training::{MAX_SUM_ATTEMPTS, Rule};
use nexus_types::limits::MAX_OWNERS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Choice, JobFile, JobProblem};

/// How to leave secure sums.
const CLEAR: &str = "set `suite = \"clear\"` under `[aggregation]`";

/// How updates are protected on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Masks, and a committee that opens only sums: nobody sees an update, and an owner sends
    /// one message a round.
    #[default]
    Nx,
    /// Pairwise masks without a committee: nobody sees an update, and an owner sends five
    /// messages a round.
    SecaggPlus,
    /// Not at all: the coordinator sees every update.
    Clear,
}

impl Suite {
    /// Its name in a job file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nx => "nx",
            Self::SecaggPlus => "secagg-plus",
            Self::Clear => "clear",
        }
    }

    /// Whether updates are masked and only sums of them are seen.
    pub const fn masks(self) -> bool {
        !matches!(self, Self::Clear)
    }

    /// Fewest owners of a job whose updates it can add up.
    pub const fn fewest_owners(self) -> u32 {
        match self {
            Self::Nx => 2,
            Self::SecaggPlus => 3,
            Self::Clear => 1,
        }
    }
}

/// `[aggregation]`
///
/// Keys that only some suites have are options; methods of the same name fill in defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AggregationSection {
    /// How updates are protected: `nx`, `secagg-plus` or `clear`.
    pub suite: Suite,
    /// How updates become one: `mean`, `norm_bound`, and with the suite `clear` also `median`,
    /// `trimmed_mean`, `krum`, `multi_krum`, `bulyan`, `geometric_median`; with parameters as a
    /// table, e.g. `{ multi_krum = { byzantine = 3 } }`.
    pub rule: Choice<Rule>,
    /// Euclidean norm that no owner's weighted update exceeds: a longer one is scaled down to
    /// it. 16 if not set. Suites `nx` and `secagg-plus`.
    pub clip: Option<f64>,
    /// Fewest owners over whom a sum is opened, at least two more than may be corrupt. Suites `nx`
    /// and `secagg-plus`.
    pub n_min: Option<u32>,
    /// How often owners answer for one model, 1 to 16; 2 if not set. Suites `nx` and
    /// `secagg-plus`.
    pub max_attempts: Option<u32>,
    /// Members of the committee: 4, 7, 16, 50 or 100; 4 if not set. Suite `nx`.
    pub members: Option<u16>,
    /// Parameters in one element of the mask's ring, 1 to 4; the most that leave each of them
    /// 10 bits if not set. Suite `nx`.
    pub packing: Option<u8>,
    /// Groups of owners whose sums are opened one by one, so that an owner that spoils its sum
    /// spoils only one of them, 1 to 64; 1 if not set. Suite `nx`.
    pub leaves: Option<u16>,
    /// Whether the coordinator keeps the masked messages, by which anyone can check the sums;
    /// `true` if not set. Suite `nx`.
    pub keep_messages: Option<bool>,
    /// Share of the owners that may be corrupt, 0 to 0.33; 0.1 if not set. Suites `nx` and
    /// `secagg-plus`.
    pub corrupt: Option<f64>,
    /// Share of the owners that may drop out of a round, 0 to 0.4; 0.1 if not set. Suite
    /// `secagg-plus`.
    pub dropout: Option<f64>,
}

impl AggregationSection {
    /// Euclidean norm that no owner's weighted update exceeds.
    pub fn clip(&self) -> f64 {
        self.clip.unwrap_or(16.0)
    }

    /// How often owners answer for one model.
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts.unwrap_or(2)
    }

    /// Members of the committee.
    pub fn members(&self) -> u16 {
        self.members.unwrap_or(4)
    }

    /// Groups of owners whose sums are opened one by one.
    pub fn leaves(&self) -> u16 {
        self.leaves.unwrap_or(1)
    }

    /// Whether the coordinator keeps the masked messages.
    pub fn keep_messages(&self) -> bool {
        self.keep_messages.unwrap_or(true)
    }

    /// Share of the owners that may be corrupt.
    pub fn corrupt(&self) -> f64 {
        self.corrupt.unwrap_or(0.1)
    }

    /// Share of the owners that may drop out of a round.
    pub fn dropout(&self) -> f64 {
        self.dropout.unwrap_or(0.1)
    }

    /// Keys that not every suite has: whether each is set, and the suites that have it.
    const fn keys(&self) -> [(&'static str, bool, &'static [Suite]); 9] {
        const MASKING: &[Suite] = &[Suite::Nx, Suite::SecaggPlus];
        const NX: &[Suite] = &[Suite::Nx];
        const SECAGG_PLUS: &[Suite] = &[Suite::SecaggPlus];
        [
            ("clip", self.clip.is_some(), MASKING),
            ("n_min", self.n_min.is_some(), MASKING),
            ("max_attempts", self.max_attempts.is_some(), MASKING),
            ("members", self.members.is_some(), NX),
            ("packing", self.packing.is_some(), NX),
            ("leaves", self.leaves.is_some(), NX),
            ("keep_messages", self.keep_messages.is_some(), NX),
            ("corrupt", self.corrupt.is_some(), MASKING),
            ("dropout", self.dropout.is_some(), SECAGG_PLUS),
        ]
    }
}

impl JobFile {
    /// Checks `[aggregation]` by itself and against the rest of the job.
    pub(super) fn check_aggregation(&self) -> Result<(), JobProblem> {
        self.check_suite_has_keys()?;
        self.check_sum_ranges()?;
        if self.job.aggregation.suite.masks() {
            self.check_only_sums_are_needed()?;
        }
        self.check_owners_suffice()
    }

    fn check_suite_has_keys(&self) -> Result<(), JobProblem> {
        let section = &self.job.aggregation;
        let foreign =
            section.keys().into_iter().find(|(_, set, of)| *set && !of.contains(&section.suite));
        let Some((key, _, suites)) = foreign else { return Ok(()) };
        let names: Vec<String> = suites.iter().map(|it| format!("`{}`", it.name())).collect();
        let ending = if names.len() == 1 { "" } else { "s" };
        let (names, suite) = (names.join(" and "), section.suite.name());
        let message =
            format!("`{key}` belongs to the suite{ending} {names}, and this is `{suite}`");
        let help = format!("leave `{key}` out, or choose another suite");
        Err(self.problem(&["aggregation", key], &message, Some(help)))
    }

    fn check_sum_ranges(&self) -> Result<(), JobProblem> {
        let section = &self.job.aggregation;
        let ranges = [
            ("clip", section.clip, 1e-9, 1e9),
            ("n_min", section.n_min.map(f64::from), 2.0, f64::from(MAX_OWNERS)),
            ("max_attempts", section.max_attempts.map(f64::from), 1.0, MAX_SUM_ATTEMPTS.into()),
            ("packing", section.packing.map(f64::from), 1.0, 4.0),
            ("leaves", section.leaves.map(f64::from), 1.0, 64.0),
            ("corrupt", section.corrupt, 0.0, 0.33),
            ("dropout", section.dropout, 0.0, 0.4),
        ];
        for (key, value, least, most) in ranges {
            let Some(value) = value.filter(|value| !(least..=most).contains(value)) else {
                continue;
            };
            let message = format!("{key} is {value}, it must be from {least} to {most}");
            return self.refuse(&["aggregation", key], message);
        }
        match section.members {
            Some(members) if Layout::committee(members).is_err() => {
                let message = format!("members is {members}, it must be 4, 7, 16, 50 or 100");
                self.refuse(&["aggregation", "members"], message)
            }
            _ => Ok(()),
        }
    }

    /// A masked sum serves only what needs no single update.
    fn check_only_sums_are_needed(&self) -> Result<(), JobProblem> {
        let (rule, strategy) = (&self.job.aggregation.rule.0, &self.job.training.strategy.0);
        if rule.keeps_updates() {
            let rule = rule.name();
            let message = format!("`{rule}` compares single updates, and a masked sum shows none");
            let help = format!("use `norm_bound`, the rule that masked sums allow, or {CLEAR}");
            return Err(self.problem(&["aggregation", "rule"], &message, Some(help)));
        }
        if strategy.is_buffered() {
            let strategy = strategy.name();
            let message = format!(
                "`{strategy}` takes updates of different models one by one, and a masked sum \
                 shows none"
            );
            let help = format!("use another strategy, or {CLEAR}");
            return Err(self.problem(&["training", "strategy"], &message, Some(help)));
        }
        Ok(())
    }

    fn check_owners_suffice(&self) -> Result<(), JobProblem> {
        let (data, section) = (&self.job.data, &self.job.aggregation);
        let Some(owners) = data.known_owners() else { return Ok(()) };
        let (suite, fewest) = (section.suite.name(), section.suite.fewest_owners());
        if owners < fewest {
            let key = if data.owners.is_some() { "owners" } else { "files" };
            let message = format!(
                "masked sums of the suite `{suite}` need {fewest} owners, and this job has {owners}"
            );
            return Err(self.problem(&["data", key], &message, Some(CLEAR.into())));
        }
        match section.n_min {
            Some(n_min) if n_min > owners => {
                let message = format!("n_min is {n_min}, and this job has {owners} owners");
                self.refuse(&["aggregation", "n_min"], message)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn section(lines: &str) -> AggregationSection {
        let text = format!("[data]\nbuiltin = 'digits'\n[aggregation]\n{lines}\n");
        JobFile::parse(Path::new("job.toml"), &text).unwrap().job.aggregation
    }

    #[test]
    fn nothing_said_means_hidden_updates() {
        let section = section("");
        assert_eq!((section.suite, section.rule.0), (Suite::Nx, Rule::Mean));
        assert_eq!((section.members(), section.leaves(), section.max_attempts()), (4, 1, 2));
        assert_eq!((section.n_min, section.packing), (None, None));
        let figures = [section.clip(), section.corrupt(), section.dropout()];
        assert_eq!(figures.map(f64::to_bits), [16.0, 0.1, 0.1].map(f64::to_bits));
        assert!(section.keep_messages());
    }

    #[test]
    fn every_suite_takes_its_own_keys() {
        let shared = "clip = 2.5\nn_min = 5\nmax_attempts = 16\n";
        let nx = "corrupt = 0.2\nmembers = 100\npacking = 4\nleaves = 64\nkeep_messages = false\n";
        let nx = section(&format!("{shared}{nx}rule = {{ norm_bound = {{ limit = 1.0 }} }}"));
        assert_eq!((nx.members(), nx.packing, nx.keep_messages()), (100, Some(4), false));
        let secagg_plus = "suite = 'secagg-plus'\ncorrupt = 0.33\ndropout = 0.4\n";
        let secagg_plus = section(&format!("{shared}{secagg_plus}"));
        assert_eq!(secagg_plus.suite, Suite::SecaggPlus);
        assert_eq!(section("suite = 'clear'\nrule = 'median'").suite, Suite::Clear);
    }

    #[test]
    fn names_are_those_of_the_file() {
        for suite in [Suite::Nx, Suite::SecaggPlus, Suite::Clear] {
            assert_eq!(section(&format!("suite = '{}'", suite.name())).suite, suite);
        }
    }
}
