//! The model of a run that has ended, ready to be used.

use nexus_inference::{Calibration, Compiled, Task};
use nexus_models::data::{DataTargets, Dataset};
use nexus_models::{Loss, Network, weights};
use nexus_types::Seed;

use super::audit::statistics;
use super::folder::{RunFolder, json};
use super::owners::Owners;
use super::store::read_bounded;
use crate::error::NodeError;

/// Where a run's folder says how its model is computed under encryption.
pub const ENCRYPTED: &str = "encrypted.json";
/// Bytes of that file, and of one with weights.
const MAX_BYTES: [u64; 2] = [1 << 20, 1 << 32];

/// A trained model and the rows that its job kept back for testing.
#[derive(Debug)]
pub struct Trained {
    folder: RunFolder,
    network: Network<f64>,
    parameters: Vec<f64>,
    task: Task,
    test: Option<Dataset>,
}

impl Trained {
    /// The model of a run.
    ///
    /// # Errors
    /// [`NodeError`] if the run has not ended, or its files or its data cannot be read.
    pub fn open(folder: RunFolder) -> Result<Self, NodeError> {
        let path = folder.path().join("model.safetensors");
        if folder.summary().is_none() {
            let id = folder.id();
            let help = format!("go on with it: nexus run --resume {id}");
            return Err(NodeError::usage(format!("the run `{id}` has not ended"), help));
        }
        let request = folder.request()?;
        let job = request.job()?;
        let owners = Owners::load(&job, &Seed::from_number(request.seed))?;
        owners.prepare(&statistics(&owners)?)?;
        let bytes = read_bounded(&path, MAX_BYTES[1]).map_err(|e| NodeError::file(&path, e))?;
        let parameters = weights::load(&bytes, owners.model().network())?;
        let spec = owners.model().network().spec();
        let task = task(spec.loss, owners.model().classes());
        Ok(Self {
            folder,
            network: Network::new(spec)?,
            parameters: parameters.into_iter().map(f64::from).collect(),
            task,
            test: owners.pooled_test()?.cloned(),
        })
    }

    /// The model.
    pub const fn network(&self) -> &Network<f64> {
        &self.network
    }

    /// What its numbers mean.
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// The rows that the job kept back, if any.
    pub const fn test(&self) -> Option<&Dataset> {
        self.test.as_ref()
    }

    /// The numbers that the model gives for rows, one after the other.
    ///
    /// # Errors
    /// [`NodeError::Model`] unless rows are as long as the model takes them.
    pub fn outputs(&self, rows: &[f32]) -> Result<Vec<Vec<f64>>, NodeError> {
        let rows: Vec<f64> = rows.iter().map(|value| f64::from(*value)).collect();
        let count = rows.len() / self.network.inputs();
        let layers = 0..self.network.spec().layers.len();
        let outputs = self.network.through(layers, &self.parameters, &rows, count)?;
        Ok(outputs.chunks_exact(self.network.outputs()).map(<[f64]>::to_vec).collect())
    }

    /// The model as a circuit, measured on `rows`, and what was measured, which goes into the run's
    /// folder.
    ///
    /// # Errors
    /// [`NodeError::Inference`] if a layer has no encrypted form, or there are no rows.
    pub fn compile(&self, rows: &[f32]) -> Result<(Compiled, Calibration), NodeError> {
        let done = Compiled::calibrated(&self.network, &self.parameters, rows)?;
        self.folder.write(ENCRYPTED, &json(&done.1))?;
        Ok(done)
    }

    /// The model as a circuit, as it was compiled before; as it is compiled now, on the rows kept back,
    /// if it was not.
    ///
    /// # Errors
    /// As [`Trained::compile`]; [`NodeError::Json`] for a file that is not as it was written.
    pub fn compiled(&self) -> Result<(Compiled, Calibration), NodeError> {
        let path = self.folder.path().join(ENCRYPTED);
        if !path.is_file() {
            return self.compile(self.test.as_ref().map_or(&[], Dataset::features));
        }
        let bytes = read_bounded(&path, MAX_BYTES[0]).map_err(|e| NodeError::file(&path, e))?;
        let calibration: Calibration = serde_json::from_slice(&bytes)
            .map_err(|source| NodeError::Json { path: path.clone(), source })?;
        let approximations = &calibration.approximations;
        let compiled = Compiled::new(&self.network, &self.parameters, approximations)?;
        Ok((compiled, calibration))
    }
}

/// What a model's numbers mean.
fn task(loss: Loss, classes: Option<&[String]>) -> Task {
    match (loss, classes) {
        (Loss::SoftmaxCrossEntropy, Some(names)) => Task::Classes(names.to_vec()),
        (Loss::BinaryCrossEntropy, Some([no, yes])) => Task::TwoClasses([no.clone(), yes.clone()]),
        _ => Task::Value,
    }
}

/// The class of a row, or its number.
pub fn truth(data: &Dataset, row: usize) -> Option<String> {
    match data.targets() {
        DataTargets::Classes { labels, names } => {
            let label = labels.get(row).and_then(|label| usize::try_from(*label).ok())?;
            names.get(label).cloned()
        }
        DataTargets::Values(values) => values.get(row).map(ToString::to_string),
    }
}
