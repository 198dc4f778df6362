//! The job file: what is trained, on whose data, how, and who sums.
//!
//! A job is TOML. Everything but `[data]` has a default, unknown keys are errors, and every error
//! points at the place in the file.

mod aggregation;
mod check;
mod choice;
mod file;
mod privacy;

use std::collections::BTreeMap;
use std::path::PathBuf;

use nexus_learning::Schedule;
use nexus_learning::split::Split;
use nexus_training::{Strategy, Weighting};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use aggregation::{AggregationSection, Suite};
pub use choice::Choice;
pub use file::{JobFile, JobProblem};
pub use privacy::{PrivacySection, Unit};

/// A whole job file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What the job is called.
    #[serde(default)]
    pub job: IdentitySection,
    /// Whose data it is trained on.
    pub data: DataSection,
    /// What is trained.
    #[serde(default)]
    pub model: ModelSection,
    /// How it is trained.
    #[serde(default)]
    pub training: TrainingSection,
    /// Who sees which update.
    #[serde(default)]
    pub aggregation: AggregationSection,
    /// What is promised about rows; nothing if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<PrivacySection>,
    /// What attacks may reach at most.
    #[serde(default, skip_serializing_if = "AuditSection::is_empty")]
    pub audit: AuditSection,
}

/// `[audit]`: limits that `nexus audit` holds its figures against, beside what the job promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSection {
    /// The area under the curve of every membership attack, less two standard errors; 0.55 for a job
    /// with `[privacy]` if not set.
    pub auc: Option<f64>,
    /// The share of rows that are rebuilt from what the coordinator sees; 0 for a job with
    /// `[privacy]` if not set.
    pub rebuilt: Option<f64>,
}

impl AuditSection {
    const fn is_empty(&self) -> bool {
        self.auc.is_none() && self.rebuilt.is_none()
    }
}

/// `[job]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySection {
    /// Name of the job; run folders start with it. 1 to 64 of `a-z 0-9 - _`.
    pub name: String,
    /// Number from which all of the run's randomness follows; `--seed` overrides it.
    pub seed: u64,
}

impl Default for IdentitySection {
    fn default() -> Self {
        Self { name: "job".into(), seed: 1 }
    }
}

/// A data set that the program carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// 1,797 handwritten digits of 8 x 8 pixels.
    Digits,
    /// 569 breast tumours, 30 measurements each.
    BreastCancer,
}

/// What the label column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One of several classes.
    Class,
    /// A number.
    Number,
}

/// `[data]`: `files` or `builtin`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// CSV or Parquet files, one per owner, relative to the job file. A single file is spread
    /// over `owners` by `split`.
    pub files: Vec<PathBuf>,
    /// A data set that the program carries.
    pub builtin: Option<Builtin>,
    /// Number of owners that a single data set is spread over.
    pub owners: Option<u32>,
    /// How a single data set is spread: `"iid"`, `{ dirichlet = 0.1 }`, `{ by_label = 2 }` or
    /// `{ by_column = "site" }`.
    pub split: Option<Choice<Split>>,
    /// The column to be predicted.
    pub label: Option<String>,
    /// Whether the label is a class or a number; `number` for a `linear` model, else `class`.
    pub target: Option<Target>,
    /// Share of every owner's rows kept back for testing, chosen by a hash of the row.
    pub test_fraction: Option<f64>,
    /// Columns to be ignored.
    pub drop: Vec<String>,
    /// Columns to be read as categories even if they look like numbers.
    pub categorical: Vec<String>,
    /// Columns to be read as numbers; a text in them is an error.
    pub numeric: Vec<String>,
    /// Public bounds of numeric columns, `{ age = [0, 120] }`: they scale the numbers, and no statistics
    /// are asked of the owners. Then every numeric column needs some. `breast_cancer` has its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bounds: BTreeMap<String, [f64; 2]>,
    /// Names of the owners, for reports; file names if there are none.
    pub names: Vec<String>,
}

impl DataSection {
    /// Owners of a built-in data set unless the job says otherwise.
    const BUILTIN_OWNERS: u32 = 10;

    /// Number of owners, unless a column of the data decides it.
    pub fn known_owners(&self) -> Option<u32> {
        let split = self.split.as_ref().map(|choice| &choice.0);
        match (self.files.len(), split) {
            (files @ 2.., _) => u32::try_from(files).ok(),
            (_, Some(Split::ByColumn(_))) => None,
            _ if self.builtin.is_some() => Some(self.owners.unwrap_or(Self::BUILTIN_OWNERS)),
            _ => Some(self.owners.unwrap_or(1)),
        }
    }
}

/// A model that needs no specification of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Linear regression.
    Linear,
    /// Logistic regression for two classes.
    Logistic,
    /// Logistic regression for any number of classes.
    Softmax,
    /// A multi-layer perceptron with `ReLU`.
    #[default]
    Mlp,
    /// A small convolutional network for square grey images.
    Cnn,
}

/// What follows a hidden layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// The hyperbolic tangent: bounded, which suits clipped gradients.
    Tanh,
    /// x², which homomorphic encryption computes as it is; pools take means then, not maxima.
    Square,
}

/// `[model] rescale`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rescale {
    /// The input that becomes 0.
    pub centre: f32,
    /// What a difference of 1 becomes; above 0.
    pub factor: f32,
}

/// `[model]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSection {
    /// A ready model. Not together with `spec`.
    pub kind: Option<ModelKind>,
    /// Widths of the hidden layers of an `mlp`.
    pub hidden: Vec<usize>,
    /// What follows each hidden layer of an `mlp` or `cnn`; `relu` if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// How a ready model scales its inputs, `{ centre = 0.3, factor = 3.0 }`: (x − centre) · factor.
    /// These are public, and nothing that rows decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescale: Option<Rescale>,
    /// A model specification in TOML, relative to the job file.
    pub spec: Option<PathBuf>,
}

impl Default for ModelSection {
    fn default() -> Self {
        Self { kind: None, hidden: vec![64], activation: None, rescale: None, spec: None }
    }
}

impl ModelSection {
    /// The kind, unless a specification takes its place.
    pub fn kind(&self) -> ModelKind {
        self.kind.unwrap_or_default()
    }
}

/// `[training]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingSection {
    /// Whether owners train by themselves or have it done on encrypted rows.
    #[serde(skip_serializing_if = "TrainingMode::is_local")]
    pub mode: TrainingMode,
    /// With `mode = "encrypted"`: the largest product of a row and the weights that the polynomial sigmoid
    /// is made for; 8 if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigmoid_range: Option<f64>,
    /// Number of rounds.
    pub rounds: u32,
    /// How the coordinator turns updates into the next model: `fedavg`, `fedprox`, `fedavgm`,
    /// `fedadam`, `fedyogi`, `fedadagrad`, `scaffold`, `fedbuff`; with parameters as a table,
    /// e.g. `{ fedprox = { mu = 0.1 } }`.
    pub strategy: Choice<Strategy>,
    /// Passes over an owner's rows per round; 5 unless `local_steps` is set.
    pub local_epochs: Option<u32>,
    /// Steps of an owner per round, instead of `local_epochs`.
    pub local_steps: Option<u32>,
    /// Rows per step.
    pub batch_size: u32,
    /// Step size of an owner.
    pub learning_rate: f64,
    /// Momentum of stochastic gradient descent.
    pub momentum: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// `sgd` (with `momentum` and `weight_decay` above) or `adam`.
    pub optimiser: OptimiserName,
    /// How the learning rate changes: `constant`, `step`, `cosine`, `linear_warmup`; with
    /// parameters as a table.
    pub schedule: Choice<Schedule>,
    /// Share of the owners asked per round.
    pub fraction: f64,
    /// Fewest answers that close a round at its deadline; half of the owners asked if not set.
    pub quorum: Option<u32>,
    /// Seconds an attempt at a round waits for answers.
    pub deadline_s: f64,
    /// Attempts at a round before the job fails.
    pub attempts: u32,
    /// Whether an owner counts by its number of rows (`examples`) or as one (`uniform`).
    #[schemars(with = "String")]
    pub weighting: Weighting,
}

/// Who takes an owner's steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrainingMode {
    /// The owner itself.
    #[default]
    Local,
    /// A machine that sees ciphertexts: for a `logistic` model, `local_steps` steps a round over all
    /// rows, with Nesterov's `momentum`.
    Encrypted,
}

impl TrainingMode {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    const fn is_local(&self) -> bool {
        matches!(self, Self::Local)
    }
}

/// The optimiser of an owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimiserName {
    /// Stochastic gradient descent.
    #[default]
    Sgd,
    /// Adam with decoupled weight decay.
    Adam,
}

impl Default for TrainingSection {
    fn default() -> Self {
        Self {
            mode: TrainingMode::Local,
            sigmoid_range: None,
            rounds: 5,
            strategy: Choice(Strategy::FedAvg),
            local_epochs: None,
            local_steps: None,
            batch_size: 32,
            learning_rate: 0.1,
            momentum: 0.0,
            weight_decay: 0.0,
            optimiser: OptimiserName::Sgd,
            schedule: Choice(Schedule::Constant),
            fraction: 1.0,
            quorum: None,
            deadline_s: 60.0,
            attempts: 3,
            weighting: Weighting::Examples,
        }
    }
}
