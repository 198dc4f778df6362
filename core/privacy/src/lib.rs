//! Differential privacy that is enforced.
//!
//! | module | holds |
//! |---|---|
//! | [`accounting`] | what a release costs in (epsilon, delta), and what many cost together: Gaussian, Renyi, privacy-loss distributions; calibration |
//! | [`budget`] | what may be spent on a data set, the file that remembers what was, and tickets |
//! | [`flow`] | what may leave an owner: labels, and stages that a secret passes through |
//! | [`mechanisms`] | clipping, rounding, noise: exact, in whole numbers |
//!
//! ```
//! use nexus_privacy::accounting::GaussianDp;
//!
//! // 100 rounds that touch every row, noise ten times the sensitivity.
//! let epsilon = GaussianDp::of_steps(10.0, 100)?.epsilon(1e-5)?;
//! assert!((epsilon - 4.377178).abs() < 1e-6);
//! # Ok::<(), nexus_privacy::accounting::AccountingError>(())
//! ```
//!
//! # Threat model
//!
//! The adversary sees everything that leaves an owner and chooses each round's parameters after
//! having seen the rounds before, within limits that were declared in advance. Figures are upper
//! bounds: whatever is rounded, truncated or discretised is rounded against the owner of the noise.

pub mod accounting;
pub mod budget;
pub mod flow;
pub mod mechanisms;
mod special;
