//! What the parties of a job agree on before it starts.

use std::sync::Arc;
use std::time::Duration;

use nexus_types::limits::{
    MAX_MESSAGE_BYTES, MAX_OWNERS, MAX_PARAMETERS, MAX_ROUNDS, MAX_STATISTICS,
};
use nexus_types::{JobId, ModelHash, OwnerId, Round, Seed};
use serde::{Deserialize, Serialize};

use crate::error::TrainingError;
use crate::rule::Rule;
use crate::secure::{JobTerms, Payload, PrivacyTerms, Release};
use crate::strategy::Strategy;

/// The largest weight an owner can have: 2^31 - 1.
pub const MAX_EXAMPLE_CAP: u32 = u32::MAX >> 1;
/// How often a round can be tried.
pub const MAX_ATTEMPTS: u32 = 1000;
/// Numbers of the statistics stage over all owners.
const MAX_HELD_STATISTICS: f64 = (1u64 << 27) as f64;
/// Bytes of a task apart from its vectors, generously.
const TASK_FRAME_BYTES: u64 = 256;
/// Bytes of a masked contribution apart from its words: what 100 members need, generously.
const MASKED_FRAME_BYTES: u64 = 1 << 19;

/// How much an owner's update counts in a mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// By its number of examples, up to [`Plan::example_cap`].
    #[default]
    Examples,
    /// As much as any other's.
    Uniform,
}

/// A job as its coordinator and owners see it. All of them must have equal plans; [`Plan::job`]
/// is what they compare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The digest of everything the parties agree on.
    pub job: JobId,
    /// The model's shape.
    pub model: ModelHash,
    /// Number of owners.
    pub owners: u32,
    /// Number of rounds; with FedBuff how often the buffer is emptied.
    pub rounds: u32,
    /// Numbers in the model.
    pub parameters: u32,
    /// Numbers in an owner's statistics; 0 for a job without a statistics stage.
    pub statistics: u32,
    /// Share of the owners asked in each round, 1e-6 to 1; drawn anew for each round.
    pub fraction: f64,
    /// Fewest answers that close a round at its deadline.
    pub quorum: u32,
    /// How long an attempt waits for answers.
    pub round_deadline: Duration,
    /// How often a round is tried before the job fails.
    pub attempts: u32,
    /// How the aggregated update becomes the next model.
    pub strategy: Strategy,
    /// How updates become one.
    pub rule: Rule,
    /// How much an owner counts.
    pub weighting: Weighting,
    /// Most examples that an owner can claim as its weight, 1 to [`MAX_EXAMPLE_CAP`].
    pub example_cap: u32,
    /// Where the choice of owners comes from.
    pub seed: Seed,
    /// Who sees an owner's update. Terms have an encoding of their own: this is not part of a
    /// plan's text.
    #[serde(skip)]
    pub protection: Protection,
}

/// Who sees an owner's update.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Protection {
    /// The coordinator does.
    #[default]
    Clear,
    /// Nobody does: only sums are opened, under these terms.
    Masked(Arc<JobTerms>),
}

impl Plan {
    /// The terms of masked sums, if sums are masked.
    pub fn terms(&self) -> Option<&Arc<JobTerms>> {
        match &self.protection {
            Protection::Clear => None,
            Protection::Masked(terms) => Some(terms),
        }
    }

    /// What the job promises, if it has differential privacy.
    pub fn privacy(&self) -> Option<&PrivacyTerms> {
        self.terms()?.privacy.as_ref()
    }

    /// How the sums of a round are made private, if they are.
    ///
    /// # Errors
    /// [`TrainingError::Mechanism`] if there is no room for the noise.
    pub fn release(&self) -> Result<Option<Release>, TrainingError> {
        let Some((terms, privacy)) = self.terms().zip(self.privacy()) else { return Ok(None) };
        privacy.release(self, terms, self.asked()).map(Some)
    }

    /// Whether the coordinator sees updates.
    pub(crate) const fn is_clear(&self) -> bool {
        matches!(self.protection, Protection::Clear)
    }

    /// Whether owners are asked for statistics, or at least for their weight, before there is a
    /// model.
    pub(crate) fn summarises(&self) -> bool {
        let weighs = self.terms().is_some_and(|terms| terms.privacy.is_none())
            && self.weighting == Weighting::Examples;
        self.statistics > 0 || weighs
    }

    /// How often a round is tried.
    pub(crate) fn tries(&self) -> u32 {
        self.terms().map_or(self.attempts, |terms| self.attempts.min(terms.attempts))
    }

    /// The owners of a masked sum: all for the statistics, a round's participants else.
    pub(crate) fn summed(&self, round: Round) -> Vec<OwnerId> {
        if round == Round(0) {
            return OwnerId::all(self.owners).collect();
        }
        self.participants(round)
    }

    /// Checks that the plan can be carried out.
    ///
    /// # Errors
    /// [`TrainingError`] names the first setting that is impossible, and its limits.
    pub fn check(&self) -> Result<(), TrainingError> {
        self.check_sizes()?;
        in_range("fraction", self.fraction, 1e-6, 1.0)?;
        in_range("quorum", self.quorum.into(), 1.0, self.asked().into())?;
        let deadline_ms = self.round_deadline.as_millis() as f64;
        in_range("round_deadline_ms", deadline_ms, 1.0, u32::MAX.into())?;
        in_range("attempts", self.attempts.into(), 1.0, MAX_ATTEMPTS.into())?;
        in_range("example_cap", self.example_cap.into(), 1.0, MAX_EXAMPLE_CAP.into())?;
        self.strategy.check(self.owners)?;
        self.rule.check(self.asked())?;
        self.check_combination()?;
        self.terms().map_or(Ok(()), |terms| self.check_masking(terms))
    }

    fn check_masking(&self, terms: &JobTerms) -> Result<(), TrainingError> {
        let refuse = |one, reason| {
            Err(TrainingError::Combination { one, other: terms.engine.name(), reason })
        };
        if self.rule.keeps_updates() {
            let reason = "it compares single updates, and a masked sum shows none; \
                          `norm_bound` is the rule for masked sums";
            return refuse(self.rule.name(), reason);
        }
        if self.strategy.is_buffered() {
            let reason = "it adds up updates to different models, and a mask is for one";
            return refuse(self.strategy.name(), reason);
        }
        terms.check(self.owners, self.asked())?;
        terms.check_privacy(self)?;
        let payload = Payload::new(self, terms, self.asked(), 1.0)?;
        // Eight bytes a word and one word a value is the worst; packets are small beside it.
        let got = 8 * payload.values() as u64 + MASKED_FRAME_BYTES;
        let limit = MAX_MESSAGE_BYTES as u64;
        if got > limit { Err(TrainingError::TaskTooLarge { got, limit }) } else { Ok(()) }
    }

    fn check_sizes(&self) -> Result<(), TrainingError> {
        in_range("owners", self.owners.into(), 1.0, MAX_OWNERS.into())?;
        in_range("rounds", self.rounds.into(), 1.0, MAX_ROUNDS.into())?;
        in_range("parameters", self.parameters.into(), 1.0, MAX_PARAMETERS as f64)?;
        let most =
            (MAX_HELD_STATISTICS / f64::from(self.owners)).floor().min(MAX_STATISTICS as f64);
        in_range("statistics", self.statistics.into(), 0.0, most)?;
        let (owners, parameters) = (u64::from(self.owners), u64::from(self.parameters));
        let model =
            if self.strategy.has_control() { 8 * parameters + 4 * owners } else { 4 * parameters };
        let got = model + 8 * u64::from(self.statistics) + TASK_FRAME_BYTES;
        let limit = MAX_MESSAGE_BYTES as u64;
        if got > limit { Err(TrainingError::TaskTooLarge { got, limit }) } else { Ok(()) }
    }

    fn check_combination(&self) -> Result<(), TrainingError> {
        let refuse = |other, reason| {
            Err(TrainingError::Combination { one: self.strategy.name(), other, reason })
        };
        if self.strategy.has_control() && self.rule != Rule::Mean {
            return refuse(
                self.rule.name(),
                "its control variates are a mean that no rule protects",
            );
        }
        if self.strategy.is_buffered() && self.rule.keeps_updates() {
            return refuse(self.rule.name(), "a fast attacker could fill the buffer alone");
        }
        if self.strategy.is_buffered() && self.asked() != self.owners {
            return refuse("fraction", "it asks every owner all the time");
        }
        Ok(())
    }

    /// Owners asked in a round: the fraction of all, rounded up (but 0.1 of 30 is 3, although
    /// the product of the floats is above it).
    pub fn asked(&self) -> u32 {
        let share = self.fraction * f64::from(self.owners) * (1.0 - f64::EPSILON);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let asked = share.ceil().max(1.0) as u32;
        asked.min(self.owners)
    }

    /// Updates a round needs: the quorum, or what the rule cannot do without.
    pub fn needed(&self) -> u32 {
        self.quorum.max(self.rule.least())
    }

    /// The owners asked in `round`, in order.
    pub fn participants(&self, round: Round) -> Vec<OwnerId> {
        let mut owners: Vec<OwnerId> = OwnerId::all(self.owners).collect();
        if self.asked() < self.owners {
            self.seed.derive("participants", &[round.0.into()]).rng().shuffle(&mut owners);
            owners.truncate(self.asked() as usize);
            owners.sort_unstable();
        }
        owners
    }

    /// How much an owner with `examples` counts.
    pub(crate) fn weight(&self, examples: u64) -> u32 {
        match self.weighting {
            Weighting::Examples => {
                u32::try_from(examples).unwrap_or(u32::MAX).min(self.example_cap)
            }
            Weighting::Uniform => 1,
        }
    }
}

pub(crate) fn in_range(
    setting: &'static str,
    got: f64,
    least: f64,
    most: f64,
) -> Result<(), TrainingError> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(TrainingError::Setting { setting, got, least, most })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nexus_types::Digest;

    use super::*;

    fn plan() -> Plan {
        Plan {
            job: JobId(Digest::of("test", b"job")),
            model: ModelHash(Digest::of("test", b"model")),
            owners: 10,
            rounds: 5,
            parameters: 100,
            statistics: 0,
            fraction: 1.0,
            quorum: 5,
            round_deadline: Duration::from_secs(30),
            attempts: 3,
            strategy: Strategy::FedAvg,
            rule: Rule::Mean,
            weighting: Weighting::Examples,
            example_cap: MAX_EXAMPLE_CAP,
            seed: Seed::from_number(1),
            protection: Protection::Clear,
        }
    }

    #[test]
    fn an_impossible_setting_is_refused_by_name() {
        assert_eq!(plan().check(), Ok(()));
        let wrong = [
            ("owners", Plan { owners: 0, ..plan() }),
            ("rounds", Plan { rounds: 0, ..plan() }),
            ("rounds", Plan { rounds: MAX_ROUNDS + 1, ..plan() }),
            ("parameters", Plan { parameters: 0, ..plan() }),
            ("statistics", Plan { statistics: 1 << 21, ..plan() }),
            ("statistics", Plan { statistics: 1 << 20, owners: 1000, ..plan() }),
            ("fraction", Plan { fraction: 0.0, ..plan() }),
            ("fraction", Plan { fraction: f64::NAN, ..plan() }),
            ("quorum", Plan { quorum: 0, ..plan() }),
            ("quorum", Plan { fraction: 0.4, ..plan() }),
            ("round_deadline_ms", Plan { round_deadline: Duration::ZERO, ..plan() }),
            ("attempts", Plan { attempts: 0, ..plan() }),
            ("example_cap", Plan { example_cap: MAX_EXAMPLE_CAP + 1, ..plan() }),
            ("mu", Plan { strategy: Strategy::FedProx { mu: f64::INFINITY }, ..plan() }),
            ("limit", Plan { rule: Rule::NormBound { limit: 0.0 }, ..plan() }),
            ("keep", Plan { rule: Rule::MultiKrum { byzantine: 1, keep: Some(11) }, ..plan() }),
        ];
        for (name, plan) in wrong {
            let refused = plan.check().unwrap_err();
            assert!(
                matches!(refused, TrainingError::Setting { setting, .. } if setting == name),
                "{refused}"
            );
        }
    }

    #[test]
    fn rules_that_nobody_could_satisfy_are_refused() {
        for (rule, needed) in [
            (Rule::TrimmedMean { trim: 5 }, 11),
            (Rule::Krum { byzantine: 8 }, 11),
            (Rule::Bulyan { byzantine: 3 }, 13),
            (Rule::MultiKrum { byzantine: 4, keep: Some(7) }, 11),
        ] {
            let refused = TrainingError::TooFewOwners { rule: rule.name(), needed, asked: 10 };
            assert_eq!(Plan { rule, ..plan() }.check(), Err(refused));
        }
    }

    #[test]
    fn combinations_that_promise_too_much_are_refused() {
        let scaffold = Strategy::Scaffold { learning_rate: 1.0 };
        let fedbuff = Strategy::FedBuff { buffer: 2, max_staleness: 1, learning_rate: 1.0 };
        let norm_bound = Rule::NormBound { limit: 1.0 };
        let wrong = [
            (Plan { strategy: scaffold, rule: Rule::Median, ..plan() }, "scaffold", "median"),
            (Plan { strategy: scaffold, rule: norm_bound, ..plan() }, "scaffold", "norm_bound"),
            (Plan { strategy: fedbuff, rule: Rule::Median, ..plan() }, "fedbuff", "median"),
            (Plan { strategy: fedbuff, fraction: 0.5, ..plan() }, "fedbuff", "fraction"),
        ];
        for (plan, strategy, with) in wrong {
            let refused = plan.check().unwrap_err();
            let expected = |one, other| one == strategy && other == with;
            assert!(
                matches!(refused, TrainingError::Combination { one, other, .. } if expected(one, other)),
                "{refused}"
            );
        }
        assert_eq!(Plan { strategy: fedbuff, rule: norm_bound, ..plan() }.check(), Ok(()));
    }

    #[test]
    fn a_task_that_no_message_can_carry_is_refused() {
        let strategy = Strategy::Scaffold { learning_rate: 1.0 };
        let parameters = u32::try_from(MAX_PARAMETERS).unwrap();
        let large = Plan { parameters, owners: 60_000, quorum: 1, ..plan() };
        assert_eq!(large.check(), Ok(()));
        let larger = Plan { strategy, statistics: 2000, ..large };
        assert_eq!(larger.check(), Ok(()));
        let too_large = Plan { owners: 64, statistics: 1 << 20, ..larger };
        assert!(matches!(too_large.check(), Err(TrainingError::TaskTooLarge { .. })));
    }

    #[test]
    fn a_fraction_draws_other_owners_each_round_and_all_in_time() {
        let plan = Plan { fraction: 0.3, quorum: 1, ..plan() };
        let drawn: Vec<Vec<OwnerId>> = (1..=40).map(|r| plan.participants(Round(r))).collect();
        assert!(drawn.iter().all(|owners| owners.len() == 3 && owners.is_sorted()));
        assert!(drawn.iter().collect::<BTreeSet<_>>().len() > 20);
        assert_eq!(drawn.iter().flatten().collect::<BTreeSet<_>>().len(), 10);
        assert_eq!(drawn[6], plan.participants(Round(7)));
        let other = Plan { seed: Seed::from_number(2), ..plan };
        assert_ne!(drawn, (1..=40).map(|r| other.participants(Round(r))).collect::<Vec<_>>());
    }

    #[test]
    fn a_fraction_is_rounded_up_but_not_by_float_dust() {
        let asked = |owners, fraction| Plan { owners, fraction, ..plan() }.asked();
        assert_eq!(
            [asked(30, 0.1), asked(10, 0.31), asked(10, 1e-6), asked(10, 1.0)],
            [3, 4, 1, 10]
        );
    }

    #[test]
    fn claimed_examples_count_up_to_the_cap() {
        let plan = Plan { example_cap: 100, ..plan() };
        assert_eq!([7, 100, 101, u64::MAX].map(|n| plan.weight(n)), [7, 100, 100, 100]);
        let uniform = Plan { weighting: Weighting::Uniform, ..plan };
        assert_eq!(uniform.weight(u64::MAX), 1);
    }
}
