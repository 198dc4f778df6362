//! Training on rows that whoever computed did not see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{bytes, plural, seconds};

/// Training on encrypted rows, over all owners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncryptedTraining {
    /// The degree of the ring that ciphertexts are of; 0 if no owner trained.
    pub degree: u32,
    /// Steps of an exchange, each over all of an owner's rows.
    pub steps: u32,
    /// The largest product of a row and the weights that the polynomial sigmoid is made for.
    pub sigmoid_range: f64,
    /// How often weights went to the worker and back.
    pub exchanges: u64,
    /// Bytes of evaluation keys, sent once.
    pub key_bytes: u64,
    /// Bytes of encrypted rows, sent once.
    pub row_bytes: u64,
    /// Bytes of encrypted weights sent to the worker.
    pub bytes_up: u64,
    /// Bytes of encrypted weights that came back.
    pub bytes_down: u64,
    /// Seconds of all exchanges, the making of keys included.
    pub seconds: f64,
    /// Who saw what, in words.
    pub note: String,
}

impl EncryptedTraining {
    /// Of a run in which owners and workers were one process.
    pub const NOTE: &str = "Rows went to a worker encrypted, under a key that it does not have. The \
        worker was this process, which had the key, too: on a network it is another machine.";

    /// The figures in a line.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} of {} each in {}, N = {}; keys {} and rows {} once, weights {} up and {} down",
            plural(self.exchanges, "exchange"),
            plural(self.steps.into(), "step"),
            seconds(self.seconds),
            self.degree,
            bytes(self.key_bytes),
            bytes(self.row_bytes),
            bytes(self.bytes_up),
            bytes(self.bytes_down),
        )
    }
}
