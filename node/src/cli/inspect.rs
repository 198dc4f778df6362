//! `nexus inspect`: what is this file?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use nexus_models::data::{Column, Limits, Table, read_file};
use nexus_models::{ModelSpec, Network, weights};
use nexus_mpc::aggregation::{nx, secagg_plus};
use nexus_training::{Answer, JobTerms, MemberAnswer, MemberTask, SignedManifest, SumRecord, Task};
use nexus_types::limits::MAX_MESSAGE_BYTES;
use nexus_types::{Canonical, Digest, peek_tag, tag_of};
use serde_json::{Value, json};

use super::Context;
use crate::error::NodeError;
use crate::job::Job;
use crate::run::folder::{Checkpoint, Request, json as to_json};
use crate::run::store::{read_bounded, unseal};
use crate::simulation::Faults;
use crate::summary::Summary;
use crate::vault::{Own, Public, SealedFile};

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The file
    file: PathBuf,
}

/// The largest file that is looked into.
const MAX_BYTES: u64 = MAX_MESSAGE_BYTES as u64;

pub(super) fn inspect(context: &Context, args: &InspectArgs) -> Result<(), NodeError> {
    let path = &args.file;
    let bytes = read_bounded(path, MAX_BYTES).map_err(|e| NodeError::file(path, e))?;
    let (kind, mut facts) = recognise(path, &bytes)?;
    if let Some(facts) = facts.as_object_mut() {
        facts.insert("bytes".into(), bytes.len().into());
        facts.insert("blake3".into(), Digest(*blake3::hash(&bytes).as_bytes()).to_string().into());
    }
    let printer = context.printer;
    if printer.json {
        printer.result_bytes(&to_json(&json!({ "kind": kind, "facts": facts })));
        return Ok(());
    }
    printer.result(format_args!("kind\t{kind}\n"));
    context.facts(&facts);
    Ok(())
}

fn recognise(path: &Path, bytes: &[u8]) -> Result<(&'static str, Value), NodeError> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    if bytes.is_empty() {
        return Ok(("nothing", json!({})));
    }
    match ending.as_deref() {
        Some("csv" | "parquet") => {
            return Ok(("table", table(&read_file(path, &Limits::default())?)));
        }
        Some("safetensors") => return Ok(("weights", tensors(bytes)?)),
        _ => {}
    }
    let found = text(bytes).or_else(|| message(bytes)).or_else(|| sealed(bytes));
    let found = found.or_else(|| unseal(bytes).and_then(checkpoint));
    found.ok_or_else(|| {
        NodeError::usage(
            format!("{} is nothing that this program writes or reads", path.display()),
            "known: jobs, faults, models, weights, tables, summaries, requests, checkpoints, messages, \
             committees and sealed files",
        )
    })
}

fn table(table: &Table) -> Value {
    let columns: Vec<&str> = table.columns().iter().map(Column::name).collect();
    json!({ "rows": table.rows(), "columns": columns })
}

fn tensors(bytes: &[u8]) -> Result<Value, NodeError> {
    let tensors = weights::read(bytes)?;
    let numbers: usize = tensors.values().map(|tensor| tensor.data().len()).sum();
    let shapes: BTreeMap<_, _> = tensors.iter().map(|(name, it)| (name, it.shape())).collect();
    Ok(json!({ "numbers": numbers, "tensors": shapes }))
}

fn text(bytes: &[u8]) -> Option<(&'static str, Value)> {
    let text = std::str::from_utf8(bytes).ok()?;
    if let Ok(summary) = serde_json::from_str::<Summary>(text) {
        let accuracy = summary.metrics.test_accuracy;
        let facts = json!({ "run_id": summary.run_id, "rounds": summary.rounds.len(), "test_accuracy": accuracy });
        return Some(("summary", facts));
    }
    if let Ok(request) = serde_json::from_str::<Request>(text) {
        return Some(("request", json!({ "job": request.job_path, "seed": request.seed })));
    }
    if let Ok(job) = toml::from_str::<Job>(text) {
        return Some(("job", json!({ "name": job.job.name, "rounds": job.training.rounds })));
    }
    if let Ok(spec) = toml::from_str::<ModelSpec>(text) {
        let network = Network::<f32>::new(&spec).ok()?;
        let hash = spec.hash().ok()?.to_string();
        return Some(("model", json!({ "hash": hash, "parameters": network.parameters() })));
    }
    let faults = toml::from_str::<Faults>(text).ok()?;
    Some(("faults", json!({ "attackers": faults.attack.len() })))
}

fn message(bytes: &[u8]) -> Option<(&'static str, Value)> {
    let tag = peek_tag(bytes)?;
    if tag == tag_of(Task::DOMAIN) {
        return Some(("task", task(&Task::decode(bytes).ok()?)));
    }
    if tag == tag_of(Answer::DOMAIN) {
        return Some(("answer", answer(&Answer::decode(bytes).ok()?)));
    }
    secure(bytes)
}

/// A message of masked sums.
fn secure(bytes: &[u8]) -> Option<(&'static str, Value)> {
    if let Ok(terms) = JobTerms::decode(bytes) {
        let facts = json!({
            "job": terms.job.to_string(), "suite": terms.engine.name(), "owners": terms.owners.len(),
            "members": terms.engine.members().len(), "n_min": terms.n_min,
            "attempts": terms.attempts, "clip": terms.clip,
        });
        return Some(("terms", facts));
    }
    if let Ok(record) = SumRecord::decode(bytes) {
        let transcript = record.transcript.as_deref().and_then(described);
        let facts = json!({ "manifest": manifest(&record.manifest), "transcript": transcript });
        return Some(("sum", facts));
    }
    if let Ok(task) = MemberTask::decode(bytes) {
        return Some(("task for a member", member_task(&task)));
    }
    if let Ok(answer) = MemberAnswer::decode(bytes) {
        return Some(("answer of a member", member_answer(&answer)));
    }
    described(bytes).map(|facts| ("part of a masked sum", facts))
}

/// A message of an engine of masked sums.
fn described(bytes: &[u8]) -> Option<Value> {
    let found = nx::describe(bytes).or_else(|| secagg_plus::describe(bytes))?.ok()?;
    let fields: serde_json::Map<_, _> =
        found.fields.into_iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    Some(json!({ "is": found.title, "says": fields }))
}

fn manifest(signed: &SignedManifest) -> Value {
    let manifest = &signed.manifest;
    json!({
        "sum": manifest.slot, "round": manifest.task.round, "model": manifest.model.to_string(),
        "owners": manifest.owners.len(), "n_min": manifest.n_min, "values": manifest.values,
        "weight_unit": manifest.weight_unit,
    })
}

fn member_task(task: &MemberTask) -> Value {
    match task {
        MemberTask::Publish { job, first, count } => {
            json!({ "asks": "keys", "job": job.to_string(), "first": first, "count": count })
        }
        MemberTask::Open { job, manifest: signed } => {
            json!({ "asks": "to open", "job": job.to_string(), "manifest": manifest(signed) })
        }
        MemberTask::Sum { job, slot, message } => {
            json!({ "job": job.to_string(), "sum": slot, "message": described(message) })
        }
    }
}

fn member_answer(answer: &MemberAnswer) -> Value {
    match answer {
        MemberAnswer::Keys { job, first, keys } => {
            json!({ "gives": "keys", "job": job.to_string(), "first": first, "count": keys.len() })
        }
        MemberAnswer::Opened { job, slot } => {
            json!({ "gives": "consent", "job": job.to_string(), "sum": slot })
        }
        MemberAnswer::Sum { job, slot, message } => {
            json!({ "job": job.to_string(), "sum": slot, "message": described(message) })
        }
        MemberAnswer::Refused { job, reason } => {
            json!({ "gives": "a refusal", "job": job.to_string(), "reason": reason })
        }
    }
}

fn task(task: &Task) -> Value {
    match task {
        Task::Summarise { job, manifest: signed } => json!({
            "asks": "sums", "job": job.to_string(), "manifest": signed.as_deref().map(manifest),
        }),
        Task::Sum { job, slot, message } => {
            json!({ "job": job.to_string(), "sum": slot, "message": described(message) })
        }
        Task::Train(task) => json!({
            "asks": "an update", "job": task.job.to_string(), "round": task.id.round,
            "repeat": task.id.repeat, "parameters": task.parameters.len(),
            "manifest": task.manifest.as_deref().map(manifest),
        }),
    }
}

fn answer(answer: &Answer) -> Value {
    match answer {
        Answer::Summary { job, sums } => {
            json!({ "gives": "sums", "job": job.to_string(), "numbers": sums.len() })
        }
        Answer::Update(update) => json!({
            "gives": "an update", "job": update.job.to_string(), "round": update.id.round,
            "parameters": update.delta.len(), "examples": update.examples,
        }),
        Answer::Sum { job, slot, message } => {
            json!({ "job": job.to_string(), "sum": slot, "message": described(message) })
        }
        Answer::Declined { job, id, reason } => {
            json!({ "gives": "a refusal", "job": job.to_string(), "round": id.round, "reason": reason })
        }
    }
}

/// A file of a committee that shares a key. Of a share, only whose it is.
fn sealed(bytes: &[u8]) -> Option<(&'static str, Value)> {
    if let Ok(public) = Public::decode(bytes) {
        let (committee, key) = public.check().ok()?;
        let facts = json!({
            "members": committee.size(), "threshold": key.threshold(), "epoch": key.epoch(),
        });
        return Some(("committee", facts));
    }
    if let Ok(own) = Own::decode(bytes) {
        return Some(("share of a key", json!({ "member": own.member().0 })));
    }
    let file = SealedFile::decode(bytes).ok()?;
    Some(("sealed file", json!({ "sealed_bytes": file.sealed_bytes() })))
}

fn checkpoint(bytes: &[u8]) -> Option<(&'static str, Value)> {
    let checkpoint = Checkpoint::decode(bytes).ok()?;
    let facts = json!({ "rounds": checkpoint.rounds.len(), "simulation_bytes": checkpoint.simulation.len() });
    Some(("checkpoint", facts))
}
