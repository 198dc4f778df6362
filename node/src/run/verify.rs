//! Checking a finished run from its folder alone: no data, no secret, no trust in the run.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nexus_models::{ModelSpec, Network, weights};
use nexus_training::{JobTerms, Plan, Protection, Replay, Replayed, SumRecord};
use nexus_types::limits::MAX_MESSAGE_BYTES;
use nexus_types::{Canonical, Digest, Seed};

use super::folder::{RunFolder, SUMS, TERMS, sum_file};
use super::model::initial;
use super::plan::job_id;
use super::store::read_bounded;
use crate::error::{NodeError, read_toml};

/// Bytes of a plan, of terms, of the record of a sum, and of a model's weights with their names.
const MAX_PLAN_BYTES: u64 = 1 << 20;
const MAX_TERMS_BYTES: u64 = 1 << 22;
const MAX_RECORD_BYTES: u64 = 5 * MAX_MESSAGE_BYTES as u64;
const MAX_WEIGHTS_BYTES: u64 = MAX_MESSAGE_BYTES as u64;

/// What the records of a run say, after every check.
#[derive(Debug)]
pub struct Verified {
    /// The sums in order.
    pub sums: Vec<Replayed>,
    /// Whether the run's model is the one that the sums make; `None` if it has not ended.
    pub model: Option<bool>,
    /// How sums were masked.
    pub suite: &'static str,
    /// Digest of the terms, for owners to compare with those that they accepted.
    pub terms: Digest,
}

/// Checks every sum that the run in `folder` has recorded, and repeats the model from them.
///
/// # Errors
/// [`NodeError`] names the record that does not check, or the file that cannot be read.
pub fn verify(folder: &RunFolder) -> Result<Verified, NodeError> {
    let read = |name: &str, limit| {
        let path = folder.path().join(name);
        read_bounded(&path, limit).map_err(|error| NodeError::file(&path, error))
    };
    let terms = folder.path().join(TERMS);
    if !terms.is_file() {
        let help =
            "runs with `suite = \"nx\"` keep records; in the clear there is nothing to check";
        return Err(NodeError::usage(
            format!("the run `{}` has no masked sums", folder.id()),
            help,
        ));
    }
    let terms = JobTerms::decode(&read(TERMS, MAX_TERMS_BYTES)?)?;
    let (suite, digest) = (terms.engine.name(), terms.digest()?);
    let path = folder.path().join("plan.json");
    let mut plan: Plan = serde_json::from_slice(&read("plan.json", MAX_PLAN_BYTES)?)
        .map_err(|source| NodeError::Json { path, source })?;
    let spec: ModelSpec = read_toml(&folder.path().join("model.toml"))?;
    let request = folder.request()?;
    let job = request.job()?;
    // The job that owners signed for is this one, and the plan is its.
    let job = job_id(&job, spec.hash()?);
    if terms.job != job || plan.job != job {
        return Err(NodeError::OtherJob { id: folder.id().to_owned() });
    }
    plan.protection = Protection::Masked(Arc::new(terms));
    let network = Network::<f32>::new(&spec)?;
    let initial = initial(&network, &Seed::from_number(request.seed));
    let mut replay = Replay::new(plan, initial)?;
    let mut sums = Vec::new();
    for name in records(folder.path())? {
        let record = SumRecord::decode(&read(&name, MAX_RECORD_BYTES)?)?;
        let sum = replay.take(&record).map_err(|source| NodeError::Record { name, source })?;
        sums.push(sum);
    }
    let model = weights_of(folder, &network)?;
    let model = model.map(|model| same(&model, replay.parameters()));
    Ok(Verified { sums, model, suite, terms: digest })
}

fn weights_of(folder: &RunFolder, network: &Network<f32>) -> Result<Option<Vec<f32>>, NodeError> {
    let path = folder.path().join("model.safetensors");
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = read_bounded(&path, MAX_WEIGHTS_BYTES);
    let bytes = bytes.map_err(|error| NodeError::file(&path, error))?;
    Ok(Some(weights::load(&bytes, network)?))
}

/// Bit by bit.
fn same(model: &[f32], replayed: &[f32]) -> bool {
    model.iter().map(|x| x.to_bits()).eq(replayed.iter().map(|x| x.to_bits()))
}

/// The names of the records, in the order of their sums.
fn records(run: &Path) -> Result<Vec<String>, NodeError> {
    let folder = run.join(SUMS);
    let entries = fs::read_dir(&folder).map_err(|error| NodeError::file(&folder, error))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| is_record(name)).collect();
    names.sort_unstable();
    Ok(names.into_iter().map(|name| format!("{SUMS}/{name}")).collect())
}

fn is_record(name: &str) -> bool {
    let number = name.strip_prefix("sum-").and_then(|rest| rest.strip_suffix(".bin"));
    let number = number.and_then(|digits| digits.parse().ok());
    number.is_some_and(|slot: u32| sum_file(slot).ends_with(name))
}
