//! How much privacy a mechanism costs, and what several of them cost together.

mod charge;
pub mod correlated;
mod fft;
mod gaussian;
mod plan;
mod pld;
pub mod rdp;

pub use charge::{
    Charge, Cost, Currency, FILTER_SHARE, Filter, Mechanism, Split, Unit, planned_order,
};
pub use gaussian::GaussianDp;
pub use plan::{Figure, Plan};
pub use pld::{GRID, PrivacyLoss};

/// Why there is no figure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountingError {
    /// A number outside what the accountants compute.
    #[error("{name} is {got}, but must be between {min} and {max}")]
    OutOfRange {
        /// Which number.
        name: &'static str,
        /// What was given.
        got: f64,
        /// The least allowed.
        min: f64,
        /// The most allowed.
        max: f64,
    },
    /// No epsilon, however large, or no noise in the range searched, reaches this delta.
    #[error("no figure reaches delta {delta:e}")]
    NotReached {
        /// The delta asked for.
        delta: f64,
    },
}

/// Bounds of what can be asked; beyond them nothing is meant and floats are not enough.
mod limits {
    pub(super) const SIGMA: (f64, f64) = (1e-2, 1e9);
    pub(super) const RATE: (f64, f64) = (1e-12, 1.0);
    pub(super) const STEPS: (f64, f64) = (1.0, 1e12);
    pub(super) const EPSILON: (f64, f64) = (0.0, 1e6);
    pub(super) const DELTA: (f64, f64) = (1e-300, 1.0 - 1e-9);
}

fn check(name: &'static str, got: f64, (min, max): (f64, f64)) -> Result<(), AccountingError> {
    if (min..=max).contains(&got) {
        return Ok(());
    }
    Err(AccountingError::OutOfRange { name, got, min, max })
}

fn check_sigma(sigma: f64) -> Result<(), AccountingError> {
    check("sigma", sigma, limits::SIGMA)
}

fn check_rate(rate: f64) -> Result<(), AccountingError> {
    check("sampling rate", rate, limits::RATE)
}

fn check_steps(steps: u64) -> Result<(), AccountingError> {
    check("steps", steps as f64, limits::STEPS)
}

fn check_epsilon(epsilon: f64) -> Result<(), AccountingError> {
    check("epsilon", epsilon, limits::EPSILON)
}

fn check_delta(delta: f64) -> Result<(), AccountingError> {
    check("delta", delta, limits::DELTA)
}
