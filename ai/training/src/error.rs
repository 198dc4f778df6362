//! What can go wrong.

use nexus_models::ModelError;

/// Why training, evaluation or a split did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearningError {
    /// A setting has no meaning.
    #[error("{name} = {got}; it must be {allowed}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Its value.
        got: f64,
        /// The values allowed, in words.
        allowed: &'static str,
    },
    /// A list is not as long as the thing it belongs to.
    #[error("{what}: {got}, expected {expected}")]
    Length {
        /// The list.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length it should have.
        expected: usize,
    },
    /// There is nothing to learn from.
    #[error("the data set has no rows")]
    NoRows,
    /// The data have numbers where the task needs classes, or the other way round.
    #[error("{what} needs {needs}, the data set has other targets")]
    Targets {
        /// What was asked for.
        what: &'static str,
        /// The kind of targets it needs.
        needs: &'static str,
    },
    /// A class label that the model has no output for.
    #[error("class {label} in a data set for a model of {classes} classes")]
    Class {
        /// The label.
        label: u32,
        /// Classes of the model.
        classes: usize,
    },
    /// Too few rows to give every owner one.
    #[error("{rows} rows cannot be split among {owners} owners")]
    TooFewRows {
        /// Rows there are.
        rows: usize,
        /// Owners there are.
        owners: usize,
    },
    /// Training left the numbers: the loss or a parameter is infinite or not a number.
    #[error(
        "training diverged at local step {step} of round {round} (learning rate {learning_rate}): \
         {what} is not finite; a smaller learning rate may help"
    )]
    Diverged {
        /// The round.
        round: u32,
        /// The step within the round, from 1.
        step: u64,
        /// Learning rate of that step.
        learning_rate: f64,
        /// What is not finite.
        what: &'static str,
    },
    /// The server corrects plain gradients, and this optimiser rescales them.
    #[error("SCAFFOLD corrects the steps of SGD; with Adam its corrections have no meaning")]
    CorrectionNeedsSgd,
    /// Dropout draws for a whole batch, so that a row's gradient would follow from its place.
    #[error("layer {layer} is a dropout, which private training does not have: remove it")]
    Dropout {
        /// Place of the layer, from 0.
        layer: usize,
    },
    /// The model refused.
    #[error(transparent)]
    Model(#[from] ModelError),
}
