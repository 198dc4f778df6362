//! Mechanisms: how a number becomes private, in whole numbers and without a float in the noise.
//!
//! | module | what it does |
//! |---|---|
//! | [`exact`] | reference samplers by exact rational arithmetic: uniform, Bernoulli(exp(−γ)), discrete Laplace, discrete Gaussian |
//! | [`gaussian`] | discrete Gaussian noise of any width: the fast sampler of `nexus-field`, or the reference |
//! | [`skellam`] | differences of Poisson draws, an option for narrow moduli |
//! | [`clip`] | clipping rows: flat, per layer, adaptive |
//! | [`grid`] | from real sums to integers: scale, rounding, and the sensitivity that follows |
//! | [`shares`] | every owner's part of the noise, and what is left of it when owners drop out or collude |
//! | [`statistics`] | histograms, sums, means and variances, quantiles of all owners' rows |
//! | [`response`] | randomised response |
//! | [`float_noise`] | Gaussian noise on floats, for those who ask for it by name |
//!
//! # From a row to a release
//!
//! A row's vector is clipped to the norm C(1 − 2^-10); an owner adds its rows' vectors in f64, S;
//! it sends `rint(s·S) + share` for a power of two s, under a mask. What is released is the sum
//! over the surviving owners. Neighbouring data sets differ in one row of one owner, so the sum
//! differs by at most
//!
//! ```text
//! Δ2 = s·C·(1 + 1e-6) + √d          Δ1 = min(√d·Δ2, Δ2²)
//! ```
//!
//! in d coordinates: 1e-6 for what floats lose, √d for rounding once. The noise is the sum of the
//! shares: a discrete Gaussian of variance σ², up to a factor 1 ± 1e-60. For shares at least 5
//! steps wide it is as good as a continuous Gaussian of variance σ² − 9, also when rows are
//! sampled ([`shares::effective`]): so the accountant of Gaussians applies.
//!
//! # Threat model
//!
//! * The adversary sees released sums, and chooses models and rounds. Noise comes from a generator
//!   for secrets, never from a run's seed. The fast sampler runs in constant time. The reference
//!   samplers reject and so take time that depends on what they draw: they are for small
//!   statistics and for tests.
//! * A row whose gradient is not finite has weight 0 and must not reach the sum: 0 · ∞ is not 0.
//!   [`clip::weights`] says which rows these are.
//! * Not covered: a generator that is predictable, memory that others can read, and how long an
//!   owner takes to answer.
//!
//! # Example
//!
//! ```
//! use nexus_privacy::mechanisms::{gaussian::Gaussian, grid::{Grid, Room}, shares::NoisePlan};
//! use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
//!
//! // Ten owners, of which eight must answer and two may collude; 650 parameters, clip 0.25.
//! let room = Room { rows: 1437.0, sigma: 13.9, limit: 1 << 33 };
//! let grid = Grid::new(0.25, 650, room)?;
//! assert!(grid.sensitivity().l2() < 1.001 * 0.25 * grid.scale() * 1.001);
//! let plan = NoisePlan::new(13.9 * grid.sensitivity().l2(), 8, 2)?;
//! assert!(plan.realised(8)? >= 13.9 * grid.sensitivity().l2());
//!
//! let mut rng = ChaCha12Rng::seed_from_u64(1); // an owner takes the system's generator
//! let mut sent = grid.round(&vec![0.1; 650], &mut rng)?;
//! plan.share().add(&mut rng, &mut sent);
//! # Ok::<(), nexus_privacy::mechanisms::MechanismError>(())
//! ```
//!
//! # Sources
//!
//! * C. Canonne, G. Kamath, T. Steinke, *The Discrete Gaussian for Differential Privacy*, 2020
//!   (arXiv:2004.00010)
//! * P. Kairouz, Z. Liu, T. Steinke, *The Distributed Discrete Gaussian Mechanism for Federated
//!   Learning with Secure Aggregation*, 2021 (arXiv:2102.06387)
//! * N. Agarwal, P. Kairouz, Z. Liu, *The Skellam Mechanism*, 2021 (arXiv:2110.04995)
//! * G. Andrew, O. Thakkar, H. B. McMahan, S. Ramaswamy, *Differentially Private Learning with
//!   Adaptive Clipping*, 2021 (arXiv:1905.03871)
//! * I. Mironov, *On Significance of the Least Significant Bits For Differential Privacy*, 2012

pub mod clip;
pub mod exact;
pub mod float_noise;
pub mod gaussian;
pub mod grid;
pub mod response;
pub mod sampling;
pub mod shares;
pub mod skellam;
pub mod statistics;
#[cfg(test)]
mod theorem;

/// Why a mechanism has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MechanismError {
    /// A setting has no meaning.
    #[error("{what} is {got}; {expected}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        got: f64,
        /// What is possible.
        expected: &'static str,
    },
    /// No grid is fine enough for the noise and coarse enough for the modulus.
    #[error(
        "{dimension} values with a limit of {limit} per sum: even a coarse grid needs {needed:.0}; \
         use a wider modulus, fewer rows in a round or less noise"
    )]
    Narrow {
        /// Values in the vector.
        dimension: usize,
        /// Largest magnitude that the sum may have.
        limit: i64,
        /// What the coarsest grid needs.
        needed: f64,
    },
    /// There are more or fewer values than agreed.
    #[error("{got} {what} where {expected} were expected")]
    Length {
        /// What there are.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many were expected.
        expected: usize,
    },
    /// A sum is not finite or too large for its grid.
    #[error("value {index} is {got} steps of the grid, magnitudes are below {limit}")]
    Value {
        /// Its place.
        index: usize,
        /// The value.
        got: f64,
        /// The first magnitude that is too large.
        limit: f64,
    },
    /// Too few owners survived for the noise that was planned.
    #[error("{got} owners took part; the noise was planned for at least {least}")]
    TooFew {
        /// Owners in the sum.
        got: u32,
        /// Fewest that the plan allows.
        least: u32,
    },
}

/// `got`, if it is finite and within the range.
fn within(
    what: &'static str,
    got: f64,
    range: std::ops::RangeInclusive<f64>,
    expected: &'static str,
) -> Result<f64, MechanismError> {
    if range.contains(&got) {
        Ok(got)
    } else {
        Err(MechanismError::Setting { what, got, expected })
    }
}

#[cfg(test)]
pub(crate) fn secret_rng(seed: u64) -> rand_chacha::ChaCha12Rng {
    rand_chacha::rand_core::SeedableRng::seed_from_u64(seed)
}
