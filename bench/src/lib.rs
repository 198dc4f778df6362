//! What the benchmarks share: images of known size, and one training step.
//!
//! Nothing here is built into the program.

mod aggregation;
mod cpu;
mod private;
mod psi;

pub use aggregation::{SecureSum, Size, SumBenchError};
pub use cpu::CpuTime;
use nexus_learning::{
    LearningError, Length, LocalConfig, Optimiser, OptimiserState, parallel, train_local,
};
use nexus_models::data::{DataError, DataTargets, Dataset};
use nexus_models::{Mode, ModelError, ModelSpec, Network, Targets, Weights, Workspace};
use nexus_privacy::flow::FlowError;
use nexus_privacy::mechanisms::MechanismError;
use nexus_training::{LocalResult, LocalTask, TaskId};
use nexus_types::{Round, Seed};
pub use private::{Noise, PrivateSteps};
pub use psi::intersect;

const SIDE: usize = 28;
const CLASSES: u32 = 10;

/// Why a benchmark cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The model is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The data are wrong.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Training failed.
    #[error(transparent)]
    Learning(#[from] LearningError),
    /// A mechanism has no answer.
    #[error(transparent)]
    Mechanism(#[from] MechanismError),
    /// A circuit cannot be run.
    #[error(transparent)]
    He(#[from] nexus_he::HeError),
    /// Vectors cannot be added under encryption.
    #[error(transparent)]
    Additive(#[from] nexus_he::additive::AdditiveError),
    /// A sum cannot be opened.
    #[error(transparent)]
    Threshold(#[from] nexus_he::threshold::ThresholdError),
    /// A circuit does not fit.
    #[error(transparent)]
    Plan(#[from] nexus_he::circuit::PlanError),
    /// A model cannot be used under encryption.
    #[error(transparent)]
    Inference(#[from] nexus_inference::InferenceError),
    /// A stage is not reached.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

/// `rows` images of 28 x 28 pixels: one of ten prototypes each, with noise.
///
/// # Errors
/// None for any number of rows that fits in memory.
pub fn images(rows: usize, seed: &Seed) -> Result<Dataset, BenchError> {
    let mut random = seed.rng();
    let pixels = SIDE * SIDE;
    let prototypes: Vec<f64> = (0..pixels * CLASSES as usize).map(|_| random.normal()).collect();
    let mut features = Vec::with_capacity(rows * pixels);
    let mut labels = Vec::with_capacity(rows);
    for label in (0..CLASSES).cycle().take(rows) {
        let start = label as usize * pixels;
        for mean in &prototypes[start..start + pixels] {
            #[expect(clippy::cast_possible_truncation, reason = "pixels are small")]
            features.push((mean + random.normal()) as f32);
        }
        labels.push(label);
    }
    let names = (0..CLASSES).map(|class| class.to_string()).collect();
    let targets = DataTargets::Classes { labels, names };
    Ok(Dataset::new(pixels, features, targets, (0..rows as u64).collect())?)
}

/// The two models that are compared with torch: an MLP 784-256-10, and the convolutional network
/// of Opacus' MNIST example.
pub fn models() -> [(&'static str, ModelSpec); 2] {
    [
        ("mlp", ModelSpec::mlp(SIDE * SIDE, &[256], CLASSES as usize)),
        ("cnn", ModelSpec::mnist_cnn()),
    ]
}

/// The first round's task for a network.
pub fn first_task(network: &Network<f32>, seed: &Seed) -> LocalTask {
    LocalTask {
        id: TaskId::first(Round(1)),
        parameters: network.initial(seed),
        proximal: 0.0,
        correction: None,
        summary: Vec::new(),
    }
}

/// Training as every owner does it, for `length` in batches of `batch_size`.
pub fn plain_sgd(length: Length, batch_size: usize) -> LocalConfig {
    let optimiser = Optimiser::sgd(0.0);
    LocalConfig { length, batch_size, learning_rate: 0.05, optimiser, ..LocalConfig::default() }
}

/// Ten owners of equally many images, and what each is asked to do in a round.
#[derive(Debug)]
pub struct Federation {
    network: Network<f32>,
    owners: Vec<Dataset>,
    task: LocalTask,
    config: LocalConfig,
}

impl Federation {
    /// Ten owners of `rows` images each, an MLP 784-256-10, one epoch in batches of 32.
    ///
    /// # Errors
    /// None for any number of rows that fits in memory.
    pub fn new(rows: usize) -> Result<Self, BenchError> {
        let seed = Seed::from_number(1);
        let [(_, spec), _] = models();
        let network = Network::new(&spec)?;
        let owners = (0..10).map(|owner| images(rows, &seed.derive("owner", &[owner])));
        Ok(Self {
            owners: owners.collect::<Result<_, _>>()?,
            task: first_task(&network, &seed),
            config: plain_sgd(Length::Epochs(1), 32),
            network,
        })
    }

    /// Images of all owners.
    pub fn rows(&self) -> usize {
        self.owners.iter().map(Dataset::rows).sum()
    }

    /// All owners train, on `threads` threads.
    ///
    /// # Errors
    /// [`LearningError`] if training diverges.
    pub fn round(&self, threads: usize) -> Result<Vec<LocalResult>, LearningError> {
        let seed = Seed::from_number(1);
        let train = |rows| train_local(&self.network, rows, &self.config, &self.task, &seed);
        parallel::map(&self.owners, threads, train).into_iter().collect()
    }
}

/// One batch and everything a training step on it needs, with all memory taken beforehand.
#[derive(Debug)]
pub struct Step {
    network: Network<f32>,
    batch: Dataset,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    norms: Vec<f32>,
    optimiser: OptimiserState,
    workspace: Workspace<f32>,
}

impl Step {
    /// A step of `spec` on `examples` images.
    ///
    /// # Errors
    /// [`BenchError`] if the model does not take images.
    pub fn new(spec: &ModelSpec, examples: usize) -> Result<Self, BenchError> {
        let (network, seed) = (Network::new(spec)?, Seed::from_number(1));
        Ok(Self {
            batch: images(examples, &seed)?,
            parameters: network.initial(&seed),
            gradient: vec![0.0; network.parameters()],
            norms: vec![0.0; examples],
            optimiser: Optimiser::sgd(0.0).start(network.parameters()),
            workspace: Workspace::new(),
            network,
        })
    }

    /// Plain stochastic gradient descent.
    ///
    /// # Errors
    /// [`ModelError`] if batch and model do not fit, which [`Step::new`] rules out.
    pub fn sgd(&mut self) -> Result<(), ModelError> {
        self.backward()?;
        let mean = Weights::Uniform(1.0 / self.norms.len() as f32);
        self.descend(mean)
    }

    /// The same with every example's gradient clipped to length 1, found without forming it: what
    /// differentially private training adds, noise aside.
    ///
    /// # Errors
    /// As [`Step::sgd`].
    pub fn clipped(&mut self) -> Result<(), ModelError> {
        self.backward()?;
        self.network.gradient_norms_sq(&mut self.workspace, &mut self.norms)?;
        let examples = self.norms.len() as f32;
        for norm in &mut self.norms {
            *norm = norm.sqrt().max(1.0).recip() / examples;
        }
        let weights = std::mem::take(&mut self.norms);
        let done = self.descend(Weights::PerExample(&weights));
        self.norms = weights;
        done
    }

    fn backward(&mut self) -> Result<(), ModelError> {
        let Self { network, batch, parameters, workspace, .. } = self;
        let mode = Mode::Train { seed: Seed::from_number(1) };
        network.forward(parameters, batch.features(), batch.rows(), mode, workspace)?;
        let targets = match batch.targets() {
            DataTargets::Classes { labels, .. } => Targets::Classes(labels),
            DataTargets::Values(values) => Targets::Values(values),
        };
        network.backward(parameters, &targets, workspace).map(|_| ())
    }

    fn descend(&mut self, weights: Weights<'_, f32>) -> Result<(), ModelError> {
        self.network.weighted_gradient(&mut self.workspace, weights, &mut self.gradient)?;
        self.optimiser.step(&mut self.parameters, &self.gradient, 0.05);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_does_not_depend_on_threads() {
        let federation = Federation::new(40).unwrap();
        assert_eq!(federation.rows(), 400);
        assert_eq!(federation.round(1).unwrap(), federation.round(3).unwrap());
    }

    #[test]
    fn both_steps_move_every_model() {
        for (name, spec) in models() {
            let mut step = Step::new(&spec, 4).unwrap();
            let start = step.parameters.clone();
            step.sgd().unwrap();
            let after_sgd = step.parameters.clone();
            step.clipped().unwrap();
            assert!(start != after_sgd && after_sgd != step.parameters, "{name}");
            assert_eq!(step.norms.len(), 4, "{name}");
        }
    }
}
