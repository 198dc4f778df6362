//! Every owner's part of the noise.
//!
//! A sum needs noise of variance σ². At least `n_min` owners take part, and up to `c` of them collude:
//! what those added counts for nothing. So every owner adds
//!
//! ```text
//! σ² / (n_min − c)
//! ```
//!
//! and a sum over the survivors U has at least σ²·(|U| − c)/(`n_min` − c) that nobody knows. `c` is a *number*
//! of owners: a part of `n_min` would be wrong, for a coordinator can make honest owners drop and
//! keep those it owns.
//!
//! A sum of discrete Gaussians at least 5 steps wide is, to a factor 1 ± 1e-60, a discrete
//! Gaussian; and that is no worse than a continuous one of variance σ² − 9, also under sampling
//! (9: it is a rounded N(x, σ² − η²), η = 3, to exp(−2π²·9)). [`effective`] is what an accountant
//! of Gaussians is given.
//!
//! ```
//! use nexus_privacy::mechanisms::shares::NoisePlan;
//!
//! let plan = NoisePlan::new(1e6, 8, 2)?;
//! assert!((plan.share().sigma() / (1e6 / 6_f64.sqrt()) - 1.0).abs() < 1e-9);
//! assert!((plan.realised(10)? / (1e6 * (8.0_f64 / 6.0).sqrt()) - 1.0).abs() < 1e-9);
//! assert!(plan.realised(7).is_err());
//! # Ok::<(), nexus_privacy::mechanisms::MechanismError>(())
//! ```

use nexus_types::limits::MAX_OWNERS;

use super::MechanismError;
use super::gaussian::Gaussian;

/// The narrowest share, in grid steps: above it the theorem on sums holds.
pub const MIN_SHARE: f64 = 5.0;
/// What a discrete Gaussian may lack against a continuous one: η², η = 3 grid steps.
pub const LOST: f64 = 9.0;

/// How noise is split between owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoisePlan {
    share: Gaussian,
    least: u32,
    colluding: u32,
}

impl NoisePlan {
    /// Noise of width `sigma`, in grid steps, from at least `least` owners of which
    /// `colluding` add nothing that counts.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] unless `colluding` < `least`, and if a share would be narrower
    /// than [`MIN_SHARE`] or too wide.
    pub fn new(sigma: f64, least: u32, colluding: u32) -> Result<Self, MechanismError> {
        if !(1..=MAX_OWNERS).contains(&least) || colluding >= least {
            return Err(MechanismError::Setting {
                what: "the number of colluding owners",
                got: colluding.into(),
                expected: "fewer than the least number of owners in a sum, which is 1 to 65,536",
            });
        }
        // Rounded up: a share is never narrower than asked for.
        let asked = (sigma / f64::from(least - colluding).sqrt()) * (1.0 + 2.0 * f64::EPSILON);
        if asked.is_nan() || asked < MIN_SHARE {
            return Err(MechanismError::Setting {
                what: "the width of an owner's share of the noise",
                got: asked,
                expected: "at least 5 grid steps: take a finer grid",
            });
        }
        Ok(Self { share: Gaussian::at_least(asked)?, least, colluding })
    }

    /// What every owner adds. Its width is also all that protects an owner from a committee that
    /// pools its keys with the coordinator.
    pub const fn share(&self) -> &Gaussian {
        &self.share
    }

    /// Fewest owners in a sum.
    pub const fn least(&self) -> u32 {
        self.least
    }

    /// Owners whose noise does not count.
    pub const fn colluding(&self) -> u32 {
        self.colluding
    }

    /// The width of the noise in a sum of `survivors` shares that nobody knows, in grid steps, rounded
    /// down.
    ///
    /// # Errors
    /// [`MechanismError::TooFew`] below the planned number.
    pub fn realised(&self, survivors: u32) -> Result<f64, MechanismError> {
        if survivors < self.least {
            return Err(MechanismError::TooFew { got: survivors, least: self.least });
        }
        let known = f64::from(survivors - self.colluding).sqrt();
        Ok(self.share.sigma() * known * (1.0 - 2.0 * f64::EPSILON))
    }
}

/// The width of the noise in a sum of unequal shares, less the `colluding` widest: rounded down.
pub fn realised_of(shares: &[f64], colluding: usize) -> f64 {
    let mut squares: Vec<f64> = shares.iter().map(|sigma| sigma * sigma).collect();
    squares.sort_unstable_by(f64::total_cmp);
    let kept = squares.len().saturating_sub(colluding);
    let sum: f64 = squares.iter().take(kept).sum();
    sum.sqrt() * (1.0 - f64::EPSILON * (kept as f64 + 2.0))
}

/// The width of the continuous Gaussian that discrete noise of width `sigma` is as good as:
/// √(σ² − 9), 0 if there is none.
pub fn effective(sigma: f64) -> f64 {
    ((sigma * sigma - LOST).max(0.0).sqrt() * (1.0 - 4.0 * f64::EPSILON)).max(0.0)
}

#[cfg(test)]
mod tests;
