//! What can go wrong between an owner and a worker.

use nexus_he::HeError;
use nexus_he::seal::SealError;

use crate::LearningError;

/// Why there is no step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptedError {
    /// A setting is out of its range, or rows, labels or weights are not as many as the terms say.
    #[error(transparent)]
    Learning(#[from] LearningError),
    /// No parameters fit.
    #[error("{steps} steps in an exchange on rows of {numbers} numbers: no parameters allow that")]
    Deep {
        /// Steps in an exchange.
        steps: u32,
        /// Numbers of a row, with the constant.
        numbers: u32,
    },
    /// Keys or rows are too large.
    #[error("{got} bytes of {what}; {limit} are possible")]
    Large {
        /// What.
        what: &'static str,
        /// Bytes.
        got: u64,
        /// The limit.
        limit: u64,
    },
    /// A number that is none.
    #[error("{what}: {got} is no number to train with")]
    Number {
        /// Where.
        what: &'static str,
        /// The number.
        got: f64,
    },
    /// The weights left what the sigmoid was made for.
    #[error(
        "a row's product with the weights is {got}; the sigmoid is made for {range}: make its range \
         larger, or the learning rate smaller"
    )]
    Range {
        /// The largest product.
        got: f64,
        /// The range.
        range: f64,
    },
    /// A ciphertext or key does not fit.
    #[error(transparent)]
    He(#[from] HeError),
    /// Bytes are no object.
    #[error(transparent)]
    Seal(#[from] SealError),
}
