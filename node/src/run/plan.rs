//! From the job to the plan that coordinator and owners share.

use std::time::Duration;

use nexus_learning::{Length, LocalConfig, Optimiser};
use nexus_training::{MAX_EXAMPLE_CAP, Plan, Protection, TrainingError};
use nexus_types::{Digest, JobId, ModelHash, Seed};

use super::folder::json;
use super::owners::Owners;
use crate::error::NodeError;
use crate::job::{JobFile, OptimiserName, TrainingSection};

/// Passes over an owner's rows per round unless the job says otherwise.
const LOCAL_EPOCHS: u32 = 5;

/// The plan of the protocol.
pub(super) fn plan(job: &JobFile, owners: &Owners, seed: &Seed) -> Result<Plan, NodeError> {
    let training = &job.job.training;
    let mut plan = Plan {
        job: job_id(job, owners.model().hash()),
        model: owners.model().hash(),
        owners: small(owners.names().len()),
        rounds: training.rounds,
        parameters: small(owners.model().network().parameters()),
        statistics: small(owners.statistics()),
        fraction: training.fraction,
        quorum: training.quorum.unwrap_or(1),
        round_deadline: Duration::from_secs_f64(training.deadline_s),
        attempts: training.attempts,
        strategy: training.strategy.0,
        rule: job.job.aggregation.rule.0,
        weighting: training.weighting,
        example_cap: MAX_EXAMPLE_CAP,
        seed: seed.derive("plan", &[]),
        protection: Protection::Clear,
    };
    if training.quorum.is_none() {
        plan.quorum = plan.asked().div_ceil(2);
    }
    plan.check().map_err(|error| refused(job, &error))?;
    Ok(plan)
}

/// `error` with the place in the job that it is about.
pub(super) fn refused(job: &JobFile, error: &TrainingError) -> NodeError {
    job.problem(key(error), &error.to_string(), help(error)).into()
}

fn help(error: &TrainingError) -> Option<String> {
    let masked = matches!(
        error,
        TrainingError::Setting { setting: "asked" | "n_min", .. } | TrainingError::Masking(_)
    );
    masked.then(|| "masked sums need several owners; `suite = \"clear\"` masks nothing".into())
}

pub(super) fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Where in the job the reason of `error` stands.
#[expect(clippy::wildcard_enum_match_arm, reason = "everything else is about the strategy")]
fn key(error: &TrainingError) -> &'static [&'static str] {
    match error {
        TrainingError::Setting { setting: "quorum", .. } => &["training", "quorum"],
        TrainingError::TooFewOwners { .. }
        | TrainingError::Setting {
            setting: "limit" | "keep" | "iterations" | "smoothing", ..
        } => &["aggregation", "rule"],
        TrainingError::Setting { setting: "n_min", .. } => &["aggregation", "n_min"],
        TrainingError::Mechanism(_)
        | TrainingError::Accounting(_)
        | TrainingError::Combination { other: "privacy", .. }
        | TrainingError::Setting {
            setting: "colluders" | "step" | "cooldown" | "epsilon" | "rate" | "declared rows",
            ..
        } => &["privacy"],
        TrainingError::Setting { setting: "leaves", .. } => &["aggregation", "leaves"],
        TrainingError::Setting { setting: "clip", .. } | TrainingError::Quantise(_) => {
            &["aggregation", "clip"]
        }
        TrainingError::Setting { setting: "max_attempts", .. } => &["aggregation", "max_attempts"],
        TrainingError::Setting { setting: "asked", .. } | TrainingError::Masking(_) => {
            &["aggregation", "suite"]
        }
        _ => &["training", "strategy"],
    }
}

/// Digest of what the parties agree on: the job, the model, and what the data look like.
pub(super) fn job_id(job: &JobFile, model: ModelHash) -> JobId {
    let parts = [json(&job.job), model.0.0.to_vec()];
    JobId(Digest::of("cipher-nexus job v1", &parts.concat()))
}

/// How every owner trains.
pub(super) fn local_config(job: &JobFile) -> Result<LocalConfig, NodeError> {
    let training = &job.job.training;
    let TrainingSection { momentum, weight_decay, .. } = *training;
    let optimiser = match training.optimiser {
        OptimiserName::Sgd => Optimiser::Sgd { momentum, nesterov: false, weight_decay },
        OptimiserName::Adam => match Optimiser::adam() {
            Optimiser::Adam { beta1, beta2, epsilon, .. } => {
                Optimiser::Adam { beta1, beta2, epsilon, weight_decay }
            }
            sgd @ Optimiser::Sgd { .. } => sgd,
        },
    };
    let config = LocalConfig {
        length: match (training.local_steps, training.local_epochs) {
            (Some(steps), _) => Length::Steps(steps),
            (None, epochs) => Length::Epochs(epochs.unwrap_or(LOCAL_EPOCHS)),
        },
        batch_size: training.batch_size as usize,
        learning_rate: training.learning_rate,
        optimiser,
        schedule: training.schedule.0.clone(),
    };
    config.check().map_err(|error| job.problem(&["training"], &error.to_string(), None))?;
    Ok(config)
}

/// What the user should know about a plan that is possible, but weak.
pub(super) fn warnings(plan: &Plan) -> Vec<String> {
    let needed = plan.rule.guaranteed_from().filter(|needed| *needed > plan.needed());
    let warning = needed.map(|needed| {
        let (rule, fewest) = (plan.rule.name(), plan.needed());
        format!(
            "the guarantee of `{rule}` holds for {needed} updates a round or more; \
             of the {} owners asked, {fewest} may suffice to close a round",
            plan.asked()
        )
    });
    warning.into_iter().collect()
}
