//! The model of a run that has ended, ready to be used.

use nexus_inference::{Calibration, Compiled, Task, friendly};
use nexus_learning::{Distillation, distil};
use nexus_models::data::{DataTargets, Dataset};
use nexus_models::{Loss, ModelSpec, Network, weights};
use nexus_types::{ModelHash, Seed};

use super::audit::statistics;
use super::folder::{RunFolder, json};
use super::owners::Owners;
use super::store::read_bounded;
use crate::error::NodeError;

/// Where a run's folder says how its model is computed under encryption.
pub const ENCRYPTED: &str = "encrypted.json";
/// Its weights, if they are others than those that were trained.
pub const FRIENDLY: &str = "encrypted.safetensors";
/// Bytes of a file that says, and of one with weights.
const MAX_BYTES: [u64; 2] = [1 << 20, 1 << 32];

/// A trained model and the rows that its job kept back for testing.
#[derive(Debug)]
pub struct Trained {
    folder: RunFolder,
    network: Network<f64>,
    parameters: Vec<f64>,
    task: Task,
    test: Option<Dataset>,
    seed: Seed,
}

/// A model as it is computed under encryption.
#[derive(Debug)]
pub struct Encrypted {
    /// The circuit.
    pub compiled: Compiled,
    /// What was measured.
    pub calibration: Calibration,
    /// What is computed: the model that was trained, or one that was made of it.
    pub model: ModelHash,
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
        let seed = Seed::from_number(request.seed);
        let owners = Owners::load(&job, &seed)?;
        owners.prepare(&statistics(&owners)?)?;
        let bytes = read_bounded(&path, MAX_BYTES[1]).map_err(|e| NodeError::file(&path, e))?;
        let parameters = weights::load(&bytes, owners.model().network())?;
        let spec = owners.model().network().spec();
        let task = task(spec.loss, owners.model().classes());
        Ok(Self {
            folder,
            network: Network::new(spec)?,
            parameters: wide(&parameters),
            task,
            test: owners.pooled_test()?.cloned(),
            seed,
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
    pub fn compile(&self, rows: &[f32]) -> Result<Encrypted, NodeError> {
        let (compiled, calibration) = Compiled::calibrated(&self.network, &self.parameters, rows)?;
        self.folder.write(ENCRYPTED, &json(&calibration))?;
        Ok(Encrypted { compiled, calibration, model: self.network.hash() })
    }

    /// As [`Trained::compile`], of a model with polynomials of `degree` for activations and means for
    /// maxima, that has learned from this one to answer as it does. No labels are used.
    ///
    /// # Errors
    /// As [`Trained::compile`]; [`NodeError::Learning`] if it does not learn.
    pub fn fine_tune(&self, rows: &[f32], degree: usize) -> Result<Encrypted, NodeError> {
        let spec = friendly(self.network.spec(), &self.parameters, rows, degree)?;
        let teacher = Network::<f32>::new(self.network.spec())?;
        let known = narrow(&self.parameters);
        let width = self.network.inputs();
        let learned: Vec<f32> = rows.chunks_exact(width).step_by(2).flatten().copied().collect();
        let seed = self.seed.derive("fine-tuning", &[degree as u64]);
        let config = Distillation::default();
        let parameters =
            distil((&teacher, &known), (&spec, known.clone()), &learned, &config, &seed)?;
        let bytes = weights::save(&Network::new(&spec)?, &parameters)?;
        let network = Network::<f64>::new(&spec)?;
        let (compiled, calibration) = Compiled::fine_tuned(
            &network,
            &wide(&parameters),
            (&self.network, &self.parameters),
            rows,
        )?;
        self.folder.write(FRIENDLY, &bytes)?;
        self.folder.write(ENCRYPTED, &json(&calibration))?;
        Ok(Encrypted { compiled, calibration, model: network.hash() })
    }

    /// The model as a circuit, as it was compiled before; as it is compiled now, on the rows kept back,
    /// if it was not.
    ///
    /// # Errors
    /// As [`Trained::compile`]; [`NodeError::Json`] for a file that is not as it was written.
    pub fn compiled(&self) -> Result<Encrypted, NodeError> {
        let Some(calibration) = self.calibration()? else {
            return self.compile(self.test.as_ref().map_or(&[], Dataset::features));
        };
        let approximations = &calibration.approximations;
        let (compiled, model) = if let Some(spec) = &calibration.friendly {
            let (network, parameters) = self.friendly(spec)?;
            (Compiled::new(&network, &parameters, approximations)?, network.hash())
        } else {
            let compiled = Compiled::new(&self.network, &self.parameters, approximations)?;
            (compiled, self.network.hash())
        };
        let compiled = compiled.in_units(calibration.unit);
        Ok(Encrypted { compiled, calibration, model })
    }

    /// What is computed under encryption, as far as it was compiled.
    ///
    /// # Errors
    /// [`NodeError::Json`] for a file that is not as it was written.
    pub fn served(&self) -> Result<ModelHash, NodeError> {
        let friendly = self.calibration()?.and_then(|it| it.friendly);
        Ok(friendly.map_or(Ok(self.network.hash()), |spec| spec.hash())?)
    }

    fn calibration(&self) -> Result<Option<Calibration>, NodeError> {
        let path = self.folder.path().join(ENCRYPTED);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = read_bounded(&path, MAX_BYTES[0]).map_err(|e| NodeError::file(&path, e))?;
        serde_json::from_slice(&bytes).map_err(|source| NodeError::Json { path, source })
    }

    fn friendly(&self, spec: &ModelSpec) -> Result<(Network<f64>, Vec<f64>), NodeError> {
        let path = self.folder.path().join(FRIENDLY);
        let bytes = read_bounded(&path, MAX_BYTES[1]).map_err(|e| NodeError::file(&path, e))?;
        let parameters = weights::load(&bytes, &Network::<f32>::new(spec)?)?;
        Ok((Network::new(spec)?, wide(&parameters)))
    }
}

fn wide(parameters: &[f32]) -> Vec<f64> {
    parameters.iter().copied().map(f64::from).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "they were read as such")]
fn narrow(parameters: &[f64]) -> Vec<f32> {
    parameters.iter().map(|value| *value as f32).collect()
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
