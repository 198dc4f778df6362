//! What can go wrong.

use nexus_learning::LearningError;
use nexus_models::ModelError;
use nexus_privacy::accounting::AccountingError;
use nexus_privacy::mechanisms::MechanismError;

/// Why an attack has no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
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
    /// The data set has numbers where the attack needs classes.
    #[error("{attack} needs classes, the data set has other targets")]
    Targets {
        /// The attack.
        attack: &'static str,
    },
    /// A score is not a number: the model that it came from is broken.
    #[error("a score of {attack} is not a number: the training recipe diverges")]
    Score {
        /// The attack.
        attack: &'static str,
    },
    /// The training recipe under attack failed.
    #[error("the training recipe failed")]
    Recipe(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Training, prediction or a split failed.
    #[error(transparent)]
    Learning(#[from] LearningError),
    /// The model refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The mechanism refused its settings.
    #[error(transparent)]
    Mechanism(#[from] MechanismError),
    /// A claim of privacy has no figure.
    #[error(transparent)]
    Accounting(#[from] AccountingError),
}

/// `got`, if it is within the range.
pub(crate) fn within(
    name: &'static str,
    got: f64,
    range: std::ops::RangeInclusive<f64>,
    allowed: &'static str,
) -> Result<f64, AuditError> {
    if range.contains(&got) { Ok(got) } else { Err(AuditError::Setting { name, got, allowed }) }
}

/// Checks that a list is as long as it should be.
pub(crate) fn fits(what: &'static str, got: usize, expected: usize) -> Result<(), AuditError> {
    if got == expected { Ok(()) } else { Err(AuditError::Length { what, got, expected }) }
}
