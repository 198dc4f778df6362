//! What a model's numbers mean.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_he::circuit::Terms;
use nexus_types::{Canonical, ModelHash};
use serde::Serialize;

use crate::InferenceError;

/// What a model tells.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Task {
    /// One of several classes, one number each.
    Classes(Vec<String>),
    /// The second of two classes or not: one number.
    TwoClasses([String; 2]),
    /// A number.
    Value,
}

/// What one row is said to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The class, for a model of classes.
    pub class: Option<String>,
    /// How likely it is, by the model.
    pub probability: Option<f64>,
    /// The numbers that the model gave.
    pub outputs: Vec<f64>,
}

impl Task {
    /// Numbers that a model gives.
    pub const fn outputs(&self) -> usize {
        match self {
            Self::Classes(names) => names.len(),
            Self::TwoClasses(_) | Self::Value => 1,
        }
    }

    /// What the numbers of a model say.
    ///
    /// # Errors
    /// [`InferenceError::Outputs`] unless there are as many as the task has;
    /// [`InferenceError::Number`] unless all are finite.
    pub fn predict(&self, outputs: Vec<f64>) -> Result<Prediction, InferenceError> {
        if outputs.len() != self.outputs() {
            let (got, needed) = (outputs.len(), self.outputs());
            return Err(InferenceError::Outputs { got, needed });
        }
        if let Some(got) = outputs.iter().find(|output| !output.is_finite()) {
            return Err(InferenceError::Number { got: *got });
        }
        let (class, probability) = match self {
            Self::Classes(names) => {
                let at = argmax(&outputs);
                let sum: f64 = outputs.iter().map(|it| (it - outputs[at]).exp()).sum();
                (names.get(at).cloned(), Some(1.0 / sum))
            }
            Self::TwoClasses(names) => {
                let yes = outputs[0] > 0.0;
                (
                    Some(names[usize::from(yes)].clone()),
                    Some(1.0 / (1.0 + (-outputs[0].abs()).exp())),
                )
            }
            Self::Value => (None, None),
        };
        Ok(Prediction { class, probability, outputs })
    }
}

/// Whether a terminal would take it for a command, or turn the text around it.
pub(crate) fn is_command(it: char) -> bool {
    it.is_control() || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The place of the largest number, the first of equals.
pub(crate) fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    let better = |best: usize, at: usize| if values[at] > values[best] { at } else { best };
    (1..values.len()).fold(0, better)
}

/// What a server tells its users of a model.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Description {
    /// The model's specification.
    pub model: ModelHash,
    /// What its numbers mean.
    pub task: Task,
    /// Parameters, layouts and keys.
    pub terms: Terms,
}

impl Canonical for Description {
    const DOMAIN: &'static str = "nexus/inference/description";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 1 << 20;
}

impl Description {
    /// Whether its parts fit each other, and names can be shown.
    ///
    /// # Errors
    /// [`InferenceError::Outputs`], [`InferenceError::Name`].
    pub fn check(&self) -> Result<(), InferenceError> {
        let (got, needed) = (self.terms.outputs.len(), self.task.outputs());
        if got != needed {
            return Err(InferenceError::Outputs { got, needed });
        }
        let names = match &self.task {
            Task::Classes(names) => names.as_slice(),
            Task::TwoClasses(names) => names.as_slice(),
            Task::Value => &[],
        };
        let strange = names.iter().position(|name| name.chars().any(is_command));
        strange.map_or(Ok(()), |class| Err(InferenceError::Name { class }))
    }
}
