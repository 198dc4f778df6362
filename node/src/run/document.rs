//! What a run says about itself.

use std::collections::BTreeMap;

use nexus_learning::metrics::mean;
use nexus_learning::{ClassScores, Evaluation, Scores, evaluate};
use nexus_training::RoundRecord;
use nexus_types::OwnerId;

use super::baseline::Baselines;
use super::encrypted::Outsourced;
use super::odometer::Odometer;
use super::owners::Owners;
use super::{Outcome, Run, protection, usage};
use crate::error::NodeError;
use crate::summary::{
    CommitteeRound, Confusion, Data, Dropped, Metrics, Model, Owner, OwnerMetrics, Round, SCHEMA,
    SecureSum, Simulated, Summary, Task, Time, finite,
};

/// One round for the summary. Test figures are those of the model after the round, on every
/// owner's test rows together.
pub(super) fn round(
    record: &RoundRecord,
    causes: &BTreeMap<OwnerId, String>,
    owners: &Owners,
    parameters: &[f32],
    odometer: Option<&mut Odometer>,
) -> Result<Round, NodeError> {
    let test = owners.pooled_test()?;
    let network = owners.model().network();
    let tested = test.map(|test| evaluate(network, parameters, test)).transpose()?;
    let dropped = record.dropped.iter().map(|dropped| Dropped {
        owner: dropped.owner.0,
        reason: dropped.reason.to_string(),
        cause: causes.get(&dropped.owner).cloned(),
    });
    Ok(Round {
        round: record.round.0,
        participants: numbers(&record.participants),
        dropped: dropped.collect(),
        late: numbers(&record.late),
        duplicates: record.duplicates,
        attempts: record.attempts,
        train_loss: record.train_loss.and_then(finite),
        test_accuracy: tested.as_ref().and_then(Evaluation::accuracy),
        test_loss: tested.and_then(|tested| finite(tested.loss)),
        epsilon: odometer.map(|it| it.add(record.participants.len())).transpose()?,
        clipped: record.clipped_owners,
        committee: record.committee.as_ref().map(|committee| CommitteeRound {
            disputed: committee.disputed.iter().map(|member| member.0).collect(),
            silent: committee.silent.iter().map(|member| member.0).collect(),
        }),
        bytes_up: record.bytes_up,
        bytes_down: record.bytes_down,
        update_norm: finite(record.update_norm),
        opened_ms: record.opened.0,
        closed_ms: record.closed.0,
    })
}

fn numbers(owners: &[OwnerId]) -> Vec<u32> {
    owners.iter().map(|owner| owner.0).collect()
}

/// A round as a line of `rounds.jsonl`.
pub(super) fn line(round: &Round) -> Result<String, NodeError> {
    let mut line =
        serde_json::to_string(round).map_err(|source| json_error(source, "rounds.jsonl"))?;
    line.push('\n');
    Ok(line)
}

/// The rounds of `rounds.jsonl`.
pub(super) fn rounds(lines: &[String]) -> Result<Vec<Round>, NodeError> {
    let rounds: Result<_, _> = lines.iter().map(|line| serde_json::from_str(line)).collect();
    rounds.map_err(|source| json_error(source, "rounds.jsonl"))
}

fn json_error(source: serde_json::Error, name: &str) -> NodeError {
    NodeError::Json { path: name.into(), source }
}

/// The whole summary.
pub(super) fn summary(
    run: &Run,
    outcome: &Outcome<'_>,
    baselines: Option<&Baselines>,
) -> Result<Summary, NodeError> {
    let rounds = rounds(outcome.lines)?;
    let (model, section) = (run.owners.model(), &run.job.job.aggregation);
    let sums = protection::secure_sum(section, &run.plan)?.map(|sums| sums.counting(&rounds));
    let transcripts = run.folder.sums();
    let promised = outcome.odometer.as_ref().zip(run.job.job.privacy.as_ref());
    let privacy = promised.map(|(odometer, section)| odometer.summary(&run.plan, section));
    let sums = sums.map(|sums| SecureSum { transcripts, ..sums });
    Ok(Summary {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        run_id: run.folder.id().into(),
        job: run.job.job.job.name.clone(),
        job_hash: run.plan.job.to_string(),
        seed: run.request.seed,
        model_hash: model.hash().to_string(),
        model: Model {
            kind: model.kind().into(),
            shape: model.shape(),
            task: if model.classes().is_some() { Task::Classification } else { Task::Regression },
            parameters: model.network().parameters() as u64,
        },
        data: data(&run.owners),
        metrics: metrics(&run.owners, outcome.parameters, baselines)?,
        strategy: run.plan.strategy.name().into(),
        rule: run.plan.rule.name().into(),
        rounds,
        aggregation: section.suite,
        aggregation_note: SecureSum::note(sums.as_ref()),
        secure_sum: sums,
        privacy: privacy.transpose()?,
        encrypted_training: run.owners.outsourced().map(Outsourced::summary),
        simulated: Simulated::one_process(section.suite),
        faults: run.request.faults_file.clone(),
        warnings: outcome.warnings.clone(),
        resumed_from: outcome.resumed_from,
        time: Time { wall_s: run.clock.seconds(), cpu_s: usage::cpu_seconds() },
        peak_rss_bytes: usage::peak_rss_bytes(),
    })
}

fn data(owners: &Owners) -> Data {
    let rows = |rows: usize| rows as u64;
    let each: Vec<Owner> = (0..)
        .zip(owners.names().iter().zip(owners.sets()))
        .map(|(owner, (name, sets))| Owner {
            owner,
            name: name.clone(),
            rows: rows(sets.train.rows()),
            test_rows: rows(sets.test.rows()),
        })
        .collect();
    Data {
        source: owners.described().into(),
        features: owners.model().network().inputs() as u64,
        rows: each.iter().map(|owner| owner.rows).sum(),
        test_rows: each.iter().map(|owner| owner.test_rows).sum(),
        owners: each,
    }
}

fn metrics(
    owners: &Owners,
    parameters: &[f32],
    baselines: Option<&Baselines>,
) -> Result<Metrics, NodeError> {
    let per_owner = per_owner(owners, parameters, baselines)?;
    let Some(test) = owners.pooled_test()? else {
        return Ok(Metrics { per_owner, ..Metrics::default() });
    };
    let tested = evaluate(owners.model().network(), parameters, test)?;
    let central = baselines.map(|baselines| &baselines.central);
    let alone =
        |measure: fn(&Evaluation) -> Option<f64>| mean(baselines?.alone.iter().filter_map(measure));
    let common = Metrics {
        test_accuracy: tested.accuracy(),
        central_accuracy: central.and_then(Evaluation::accuracy),
        local_only_accuracy: alone(Evaluation::accuracy),
        mse: squared(&tested),
        central_mse: central.and_then(squared),
        local_only_mse: alone(squared),
        per_owner,
        ..Metrics::default()
    };
    Ok(match tested.scores {
        Scores::Classes(ClassScores { f1, auc, confusion, .. }) => Metrics {
            auc,
            f1: finite(f1),
            log_loss: finite(tested.loss),
            confusion: Some(Confusion {
                classes: owners.model().classes().unwrap_or_default().to_vec(),
                counts: confusion.rows().map(<[u64]>::to_vec).collect(),
            }),
            ..common
        },
        Scores::Values(errors) => Metrics { r2: errors.r2.and_then(finite), ..common },
    })
}

fn squared(evaluation: &Evaluation) -> Option<f64> {
    match &evaluation.scores {
        Scores::Values(errors) => finite(errors.mean_squared),
        Scores::Classes(_) => None,
    }
}

fn per_owner(
    owners: &Owners,
    parameters: &[f32],
    baselines: Option<&Baselines>,
) -> Result<Vec<OwnerMetrics>, NodeError> {
    let data = data(owners);
    let network = owners.model().network();
    let figures = data.owners.into_iter().zip(owners.sets()).enumerate();
    figures
        .map(|(place, (Owner { owner, name, rows, test_rows }, sets))| {
            let own = match sets.test.rows() {
                0 => None,
                _ => Some(evaluate(network, parameters, &sets.test)?),
            };
            let alone = baselines.and_then(|baselines| baselines.alone.get(place));
            Ok(OwnerMetrics {
                owner,
                name,
                rows,
                test_rows,
                accuracy: own.as_ref().and_then(Evaluation::accuracy),
                local_only_accuracy: alone.and_then(Evaluation::accuracy),
                mse: own.as_ref().and_then(squared),
            })
        })
        .collect()
}
