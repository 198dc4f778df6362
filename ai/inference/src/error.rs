//! What can be wrong with models, keys and messages.

use nexus_he::HeError;
use nexus_he::circuit::PlanError;
use nexus_he::seal::SealError;
use nexus_models::ModelError;
use nexus_types::{CodecError, Digest};

use crate::forest::ForestError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InferenceError {
    /// A layer has no encrypted form.
    #[error("layer {layer}, {name}: it cannot be computed under encryption; {instead}")]
    Layer {
        /// Its place in the specification.
        layer: usize,
        /// Its name.
        name: &'static str,
        /// What to use instead.
        instead: &'static str,
    },
    /// An affine part is too large as a matrix.
    #[error("layers {first} to {last} are a matrix of {got} numbers; {limit} are possible")]
    Matrix {
        /// Its first layer.
        first: usize,
        /// Its last layer.
        last: usize,
        /// Numbers of the matrix.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// Activations and what they are approximated by do not fit.
    #[error("the model has {activations} activations; {got} are described")]
    Approximations {
        /// Activations of the model.
        activations: usize,
        /// Approximations given.
        got: usize,
    },
    /// An approximation is none.
    #[error("layer {layer}: {what} is {got}; {limit}")]
    Approximation {
        /// Its place in the specification.
        layer: usize,
        /// What is wrong.
        what: &'static str,
        /// Its value.
        got: f64,
        /// What is possible.
        limit: &'static str,
    },
    /// There are no rows to measure activations on.
    #[error("there are no rows to measure the range of the model's activations on")]
    NoRows,
    /// The model is wrong.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The circuit does not fit any parameters.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A ciphertext or key does not fit.
    #[error(transparent)]
    He(#[from] HeError),
    /// Bytes are no object.
    #[error(transparent)]
    Seal(SealError),
    /// Bytes are no description.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A forest, a table for one, or a row encrypted for one, is wrong.
    #[error(transparent)]
    Forest(#[from] ForestError),
    /// More bytes than such a message has.
    #[error("{what} of {got} bytes; {limit} are possible")]
    Bytes {
        /// What.
        what: &'static str,
        /// Bytes.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// The server has no such keys.
    #[error("there are no keys {id}: they were never sent, or gave way to others")]
    UnknownKeys {
        /// Their name.
        id: Digest,
    },
    /// More rows than go into one question, or none.
    #[error("a question of {got} rows; 1 to {limit} are possible")]
    Rows {
        /// Rows.
        got: usize,
        /// The most.
        limit: usize,
    },
    /// The answer has another form than the model's task.
    #[error("an answer of {got} numbers; the model's task has {needed}")]
    Outputs {
        /// Numbers of the answer.
        got: usize,
        /// Those of the task.
        needed: usize,
    },
    /// An answer that is none.
    #[error("an answer with {got} in it, which is no number")]
    Number {
        /// What is in it.
        got: f64,
    },
    /// A name that does more than be shown.
    #[error("the name of class {class} has control characters in it")]
    Name {
        /// The class, from 0.
        class: usize,
    },
}

/// What is wrong with the numbers of an object is no matter of bytes.
impl From<SealError> for InferenceError {
    fn from(error: SealError) -> Self {
        if let SealError::Parameters(inner) = error { Self::He(inner) } else { Self::Seal(error) }
    }
}
