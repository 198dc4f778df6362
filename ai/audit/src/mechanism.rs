//! What rows go through before anyone sees their sum: the product's own clip, grid and noise.

use nexus_privacy::accounting::GaussianDp;
use nexus_privacy::mechanisms::clip::Clip;
use nexus_privacy::mechanisms::grid::{Grid, Room};
use nexus_privacy::mechanisms::shares::{NoisePlan, effective};
use nexus_types::{Digest, Seed};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

use crate::AuditError;
use crate::error::within;

/// Half the modulus of secure sums.
const LIMIT: i64 = 1 << 33;

/// The noise of a job: at least so many owners, of which so many collude with the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Noise {
    /// Releases.
    pub rounds: u32,
    /// Width of the noise that nobody knows, as a continuous Gaussian, in sensitivities.
    pub sigma: f64,
    /// The clipping norm C of a row.
    pub clip: f64,
    /// Fewest owners in a sum.
    pub owners: u32,
    /// Owners among them whose noise the adversary knows.
    pub colluding: u32,
}

impl Noise {
    /// The noise of one place that holds all rows: what a sum of shares is as good as.
    #[must_use]
    pub const fn central(self) -> Self {
        Self { owners: 1, colluding: 0, ..self }
    }

    /// mu of all releases together, by the claim: √rounds / sigma.
    ///
    /// # Errors
    /// [`AuditError::Accounting`].
    pub fn mu(&self) -> Result<f64, AuditError> {
        Ok(GaussianDp::of_steps(self.sigma, self.rounds.into())?.mu())
    }
}

/// A release mechanism under attack. The product's is [`SecureSum`]; tests have broken ones.
pub trait Mechanism {
    /// The weight of a row whose gradient has this squared norm.
    fn weight(&self, norm_sq: f64) -> f64;

    /// What the adversary sees of a round in which these are the owners' sums of weighted rows:
    /// the sum of all, with the noise that it does not know.
    ///
    /// # Errors
    /// [`AuditError::Mechanism`].
    fn release(&mut self, owners: &[Vec<f64>]) -> Result<Vec<f64>, AuditError>;
}

/// Clip, rounding and shares of noise as owners add them; the adversary has taken off the shares of
/// those who collude.
///
/// Its noise comes from a seed, so that an audit can be repeated: nothing that it releases may be
/// published.
#[derive(Debug)]
pub struct SecureSum {
    clip: Clip,
    grid: Grid,
    plan: NoisePlan,
    rng: ChaCha12Rng,
}

impl SecureSum {
    /// The mechanism for sums of up to `rows` rows' vectors of `dimension` values.
    ///
    /// # Errors
    /// [`AuditError::Mechanism`] and [`AuditError::Setting`] for settings that it does not have.
    pub fn new(
        noise: &Noise,
        dimension: usize,
        rows: usize,
        seed: &Seed,
    ) -> Result<Self, AuditError> {
        within("sigma", noise.sigma, 1e-6..=1e9, "from 1e-6 to 1e9")?;
        let room = Room { rows: rows.max(1) as f64, sigma: noise.sigma, limit: LIMIT };
        let grid = Grid::new(noise.clip, dimension, room)?;
        let wanted = noise.sigma * grid.sensitivity().l2();
        // What discrete noise lacks against a continuous one is made up for.
        let sigma = wanted.hypot(3.0) * (1.0 + 1e-12);
        let plan = NoisePlan::new(sigma, noise.owners, noise.colluding)?;
        debug_assert!(effective(sigma) >= wanted);
        let rng = ChaCha12Rng::from_seed(Digest::from(*seed).0);
        Ok(Self { clip: grid.clip(), grid, plan, rng })
    }

    /// The clipping norm.
    pub const fn clip(&self) -> Clip {
        self.clip
    }
}

impl Mechanism for SecureSum {
    fn weight(&self, norm_sq: f64) -> f64 {
        self.clip.weight(norm_sq).into()
    }

    fn release(&mut self, owners: &[Vec<f64>]) -> Result<Vec<f64>, AuditError> {
        let mut sum = vec![0_i64; self.grid.dimension()];
        for owner in owners {
            let integers = self.grid.round(owner, &mut self.rng)?;
            sum.iter_mut().zip(integers).for_each(|(sum, value)| *sum += value);
        }
        for _ in 0..self.plan.least() - self.plan.colluding() {
            self.plan.share().add(&mut self.rng, &mut sum);
        }
        Ok(self.grid.to_real(&sum))
    }
}

/// Builds that do not do what they claim.
#[cfg(test)]
pub(crate) mod broken {
    use super::*;

    /// What is wrong.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Fault {
        NoNoise,
        NoiseOnce,
        NoClip,
    }

    /// The mechanism with a fault.
    pub(crate) struct Broken {
        pub(crate) sound: SecureSum,
        pub(crate) fault: Fault,
        pub(crate) rounds: u32,
    }

    impl Mechanism for Broken {
        fn weight(&self, norm_sq: f64) -> f64 {
            if self.fault == Fault::NoClip { 1.0 } else { self.sound.weight(norm_sq) }
        }

        fn release(&mut self, owners: &[Vec<f64>]) -> Result<Vec<f64>, AuditError> {
            self.rounds += 1;
            let silent = match self.fault {
                Fault::NoNoise => true,
                Fault::NoiseOnce => self.rounds > 1,
                Fault::NoClip => false,
            };
            if !silent {
                return self.sound.release(owners);
            }
            let SecureSum { grid, rng, .. } = &mut self.sound;
            let mut sum = vec![0.0; grid.dimension()];
            for owner in owners {
                let rounded = grid.to_real(&grid.round(owner, rng)?);
                sum.iter_mut().zip(rounded).for_each(|(sum, value)| *sum += value);
            }
            Ok(sum)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roc::moments;

    const NOISE: Noise = Noise { rounds: 1, sigma: 5.0, clip: 0.5, owners: 8, colluding: 2 };

    #[test]
    fn noise_is_as_wide_as_claimed_and_sums_are_kept() {
        for noise in [NOISE, NOISE.central()] {
            let mut sum = SecureSum::new(&noise, 40_000, 10, &Seed::from_number(1)).unwrap();
            let owners = vec![vec![0.25; 40_000]; 4];
            let released = sum.release(&owners).unwrap();
            let (mean, variance) = moments(&released);
            assert!((mean - 1.0).abs() < 0.07, "{mean}");
            assert!((variance.sqrt() / 2.5 - 1.0).abs() < 0.02, "{}", variance.sqrt());
        }
    }

    #[test]
    fn rows_are_clipped_and_settings_checked() {
        let seed = Seed::from_number(1);
        let sum = SecureSum::new(&NOISE, 10, 10, &seed).unwrap();
        assert!((sum.weight(100.0) * 10.0 / 0.5 - 1.0).abs() < 1e-3);
        assert!(sum.weight(0.01) > 0.999 && sum.weight(f64::NAN) < 1e-9);
        assert!((sum.clip().norm() - 0.5).abs() < 1e-12);
        for bad in [
            Noise { sigma: f64::NAN, ..NOISE },
            Noise { sigma: 0.0, ..NOISE },
            Noise { clip: 0.0, ..NOISE },
            Noise { owners: 0, ..NOISE },
            Noise { colluding: 8, ..NOISE },
        ] {
            assert!(SecureSum::new(&bad, 10, 10, &seed).is_err(), "{bad:?}");
        }
        assert!((Noise { rounds: 25, ..NOISE }.mu().unwrap() - 1.0).abs() < 1e-12);
    }
}
