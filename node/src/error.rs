//! Everything that can go wrong in the program, with an exit code each.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use nexus_audit::{AuditError, Figure};
use nexus_inference::{ForestError, InferenceError};
use nexus_learning::LearningError;
use nexus_models::ModelError;
use nexus_models::data::DataError;
use nexus_privacy::budget::BudgetError;
use nexus_training::{ReplayError, TrainingError};
use nexus_types::{CodecError, StoreError};

use crate::describe::DescribeError;
use crate::job::JobProblem;
use crate::overlap::OverlapError;
use crate::run::store::read_bounded;
use crate::simulation::SimulationError;
use crate::total::TotalError;
use crate::vault::VaultError;

/// Exit code of a job that failed, or of an answer that is no.
pub const FAILED: u8 = 1;
/// Exit code of wrong usage, configuration or input.
pub const USAGE: u8 = 2;
/// Exit code of a proof, signature or record that does not check.
pub const REJECTED: u8 = 3;
/// Exit code of something that a privacy budget does not allow.
pub const OVER_BUDGET: u8 = 4;
/// Exit code of a deadline that passed or a peer that cannot be reached.
pub const UNREACHABLE: u8 = 5;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum NodeError {
    /// The job file is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Job(#[from] JobProblem),
    /// The data are wrong.
    #[error(transparent)]
    #[diagnostic(code(nexus::data))]
    Data(#[from] DataError),
    /// The model is wrong.
    #[error(transparent)]
    #[diagnostic(code(nexus::model))]
    Model(#[from] ModelError),
    /// The numbers of training got out of hand.
    #[error(transparent)]
    #[diagnostic(code(nexus::training))]
    Learning(#[from] LearningError),
    /// The plan of the job is impossible.
    #[error(transparent)]
    #[diagnostic(code(nexus::training))]
    Plan(#[from] TrainingError),
    /// Two tables cannot be matched.
    #[error(transparent)]
    #[diagnostic(code(nexus::overlap))]
    Overlap(#[from] OverlapError),
    /// Tables cannot be added up under encryption.
    #[error(transparent)]
    #[diagnostic(code(nexus::total))]
    Total(#[from] TotalError),
    /// Tables cannot be described.
    #[error(transparent)]
    #[diagnostic(code(nexus::describe))]
    Describe(#[from] DescribeError),
    /// A privacy budget refuses, or is not as it was written.
    #[error(transparent)]
    #[diagnostic(code(nexus::budget))]
    Budget(#[from] BudgetError),
    /// A model cannot be used under encryption, or a question or answer is none.
    #[error(transparent)]
    #[diagnostic(code(nexus::inference))]
    Inference(#[from] InferenceError),
    /// A server of models refused, or could not be reached.
    #[error("{url}: {problem}")]
    #[diagnostic(code(nexus::server))]
    Server {
        /// Its address.
        url: String,
        /// What happened.
        problem: String,
    },
    /// Nobody can listen at an address.
    #[error("{address}: {source}")]
    #[diagnostic(code(nexus::listen))]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// An attack could not be made.
    #[error(transparent)]
    #[diagnostic(code(nexus::audit))]
    Attack(#[from] AuditError),
    /// An attack reached more than the job allows.
    #[error("the job does not keep its limits: {}", named(broken))]
    #[diagnostic(code(nexus::audit))]
    Audit {
        /// The figures that are too high.
        broken: Vec<Figure>,
    },
    /// A key cannot be made or used.
    #[error(transparent)]
    #[diagnostic(code(nexus::key))]
    Vault(#[from] VaultError),
    /// The job failed.
    #[error(transparent)]
    #[diagnostic(code(nexus::run))]
    Simulation(Box<SimulationError>),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    #[diagnostic(code(nexus::file))]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that the program wrote is not as it wrote it.
    #[error("{}: {source}", path.display())]
    #[diagnostic(code(nexus::file))]
    Json {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: serde_json::Error,
    },
    /// Another process works on the run.
    #[error("the run `{id}` is being worked on by another process")]
    #[diagnostic(code(nexus::run), help("wait for it, or stop it"))]
    InUse {
        /// The run.
        id: String,
    },
    /// Standard output did not take the result.
    #[error("the result could not be written to standard output: {source}")]
    #[diagnostic(code(nexus::output))]
    Output {
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is no text.
    #[error("{}: byte {at} is not UTF-8 text", path.display())]
    #[diagnostic(code(nexus::file))]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where its text ends.
        at: usize,
    },
    /// A checkpoint could not be stored.
    #[error(transparent)]
    #[diagnostic(code(nexus::store))]
    Store(#[from] StoreError),
    /// A value has no encoding.
    #[error(transparent)]
    #[diagnostic(code(nexus::codec))]
    Codec(#[from] CodecError),
    /// There is no run of that name.
    #[error("there is no run `{id}` in {}", runs.display())]
    #[diagnostic(code(nexus::run), help("runs there: {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") }))]
    NoSuchRun {
        /// The name.
        id: String,
        /// Where runs are.
        runs: PathBuf,
        /// Runs that are there.
        known: Vec<String>,
    },
    /// A record of a masked sum does not check.
    #[error("{name} does not check")]
    #[diagnostic(
        code(nexus::verify),
        help("the run's folder is damaged, or its coordinator did not do what it says")
    )]
    Record {
        /// The file, in the run's folder.
        name: String,
        /// Why.
        source: ReplayError,
    },
    /// A run's model is not the one that its sums make.
    #[error("the model of the run `{id}` is not the one that its recorded sums make")]
    #[diagnostic(
        code(nexus::verify),
        help("the run's folder is damaged, or its coordinator did not do what it says")
    )]
    OtherModel {
        /// The run.
        id: String,
    },
    /// A run's records are of another job than its request.
    #[error("the records of the run `{id}` are of another job than the one it was asked for")]
    #[diagnostic(code(nexus::verify))]
    OtherJob {
        /// The run.
        id: String,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes, and masks need them")]
    #[diagnostic(code(nexus::random))]
    NoRandomness,
    /// A run cannot go on, because it would not be the same run.
    #[error("the run `{id}` cannot go on: the job or its data are not what they were")]
    #[diagnostic(code(nexus::run), help("put the data back, or start a new run"))]
    DataChanged {
        /// The run.
        id: String,
    },
    /// A value outside the job is wrong.
    #[error("{problem}")]
    #[diagnostic(code(nexus::usage))]
    Usage {
        /// What is wrong.
        problem: String,
        /// What would be right.
        #[help]
        help: Option<String>,
    },
    /// A check of `doctor` failed.
    #[error("{failed} of {checks} checks failed")]
    #[diagnostic(code(nexus::doctor))]
    Unhealthy {
        /// Checks that failed.
        failed: usize,
        /// All checks.
        checks: usize,
    },
    /// A TOML file other than the job is wrong.
    #[error("{}: {problem}", path.display())]
    #[diagnostic(code(nexus::config))]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        problem: String,
    },
}

impl From<SimulationError> for NodeError {
    fn from(error: SimulationError) -> Self {
        Self::Simulation(Box::new(error))
    }
}

impl From<ForestError> for NodeError {
    fn from(error: ForestError) -> Self {
        Self::Inference(error.into())
    }
}

impl NodeError {
    /// An input or output error about `path`.
    pub fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    /// A usage error.
    pub fn usage(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), help: Some(help.into()) }
    }

    /// The exit code that tells scripts what kind of failure this is.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Simulation(error) if error.is_deadline() => UNREACHABLE,
            Self::Budget(error) | Self::Describe(DescribeError::Budget(error))
                if error.is_refusal() =>
            {
                OVER_BUDGET
            }
            Self::Vault(error) if error.is_usage() => USAGE,
            Self::Vault(error) if error.is_shortage() => FAILED,
            Self::Total(error) if error.is_shortage() => FAILED,
            Self::Simulation(error) if matches!(**error, SimulationError::Begin { .. }) => USAGE,
            Self::Budget(BudgetError::Locked { .. } | BudgetError::Poisoned)
            | Self::Simulation(_)
            | Self::Learning(_)
            | Self::Unhealthy { .. }
            | Self::InUse { .. }
            | Self::Output { .. }
            | Self::Store(_)
            | Self::NoRandomness
            | Self::Listen { .. }
            | Self::Codec(_) => FAILED,

            Self::Server { .. } => UNREACHABLE,

            Self::Budget(BudgetError::Tampered { .. })
            | Self::Vault(_)
            | Self::Record { .. }
            | Self::OtherModel { .. }
            | Self::Audit { .. }
            | Self::OtherJob { .. } => REJECTED,

            Self::Job(_)
            | Self::Data(_)
            | Self::Model(_)
            | Self::Budget(_)
            | Self::Overlap(_)
            | Self::Total(_)
            | Self::Describe(_)
            | Self::Attack(_)
            | Self::Inference(_)
            | Self::Plan(_)
            | Self::File { .. }
            | Self::Json { .. }
            | Self::NotText { .. }
            | Self::NoSuchRun { .. }
            | Self::DataChanged { .. }
            | Self::Usage { .. }
            | Self::Toml { .. } => USAGE,
        }
    }
}

fn named(figures: &[Figure]) -> String {
    figures.iter().map(|figure| figure.name()).collect::<Vec<_>>().join(", ")
}

/// The most bytes of a text file that are read.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Reads a small text file.
///
/// # Errors
/// [`NodeError`] if it cannot be read, is too large or is no text.
pub fn read_text(path: &Path) -> Result<String, NodeError> {
    let bytes = read_bounded(path, MAX_TEXT_BYTES).map_err(|e| NodeError::file(path, e))?;
    String::from_utf8(bytes).map_err(|error| NodeError::NotText {
        path: path.to_owned(),
        at: error.utf8_error().valid_up_to(),
    })
}

/// Reads a small TOML file.
///
/// # Errors
/// [`NodeError`] with file, line and column of what is wrong.
pub fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, NodeError> {
    let text = read_text(path)?;
    toml::from_str(&text).map_err(|error| NodeError::Toml {
        path: path.to_owned(),
        problem: error.to_string().trim_end().to_owned(),
    })
}
