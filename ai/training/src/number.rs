//! Conversions and checks of settings.

use crate::LearningError;

/// The nearest `f32`.
#[expect(clippy::cast_possible_truncation, reason = "settings are f64, kernels compute in f32")]
pub(crate) const fn narrow(value: f64) -> f32 {
    value as f32
}

/// Checks that a setting is a finite number above 0.
pub(crate) fn positive(name: &'static str, got: f64) -> Result<(), LearningError> {
    if got > 0.0 && got.is_finite() {
        return Ok(());
    }
    Err(LearningError::Setting { name, got, allowed: "a finite number above 0" })
}

/// Checks that a count is not 0.
pub(crate) fn at_least_one(name: &'static str, got: usize) -> Result<(), LearningError> {
    if got > 0 {
        return Ok(());
    }
    Err(LearningError::Setting { name, got: 0.0, allowed: "at least 1" })
}
