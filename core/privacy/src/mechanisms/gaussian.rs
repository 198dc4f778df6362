//! Discrete Gaussian noise of a width asked for, on the grid.
//!
//! From [`FAST_FROM`] steps on it is the convolution of table samples of `nexus-field`: constant
//! time, within 2^-115 (total variation) of the discrete Gaussian of the width that
//! [`Gaussian::sigma`] gives. Below, it is the reference of [`super::exact`]. Either way the width is at least
//! what was asked for, above it by a relative 1e-3 at most, and known: it is what the
//! accountant charges.
//!
//! On one core at 2 GHz (VAES, machine in use) the fast sampler draws 23 million a second at a width
//! of 10^3, 15.6 at 10^4, 10.3 at 10^5, 9.9 at 10^6 and 8.6 at 10^7; without VAES 8.9 and in plain Rust 0.9
//! at 10^6. The limit: thirteen table samples for a width of 10^6, under 8 ns each, of which 6 ns are their
//! random bits and the comparison with the table. The reference Gaussian makes 3 million, Skellam 2.7
//! million (`cargo bench -p bench --bench privacy`).

use nexus_field::gaussian::{WideSampler, Width};
use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use super::exact::{Variance, gaussian};
use super::{MechanismError, within};

/// From this width on, in grid steps, noise comes from the fast sampler.
pub const FAST_FROM: f64 = 150.0;
/// The largest width, in grid steps: 2^33.
pub const MAX_SIGMA: f64 = nexus_field::gaussian::MAX_WIDTH;

/// Discrete Gaussian noise of one width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gaussian(Sampler);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sampler {
    Fast(Width),
    Reference(Variance),
}

impl Gaussian {
    /// Noise at least `sigma` wide, in grid steps.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] below 2^-10 or above [`MAX_SIGMA`].
    pub fn at_least(sigma: f64) -> Result<Self, MechanismError> {
        const EXPECTED: &str = "from 2^-10 to 2^33 grid steps are possible";
        let sigma = within("the width of the noise", sigma, 1.0 / 1024.0..=MAX_SIGMA, EXPECTED)?;
        if sigma < FAST_FROM {
            return Ok(Self(Sampler::Reference(Variance::at_least(sigma)?)));
        }
        let refused = |_| MechanismError::Setting {
            what: "the width of the noise",
            got: sigma,
            expected: EXPECTED,
        };
        Width::at_least(sigma).map(|width| Self(Sampler::Fast(width))).map_err(refused)
    }

    /// The realised width in grid steps, never above the true one.
    pub fn sigma(&self) -> f64 {
        match &self.0 {
            Sampler::Fast(width) => width.sigma(),
            Sampler::Reference(variance) => variance.sigma(),
        }
    }

    /// A bound on the total variation distance between `draws` draws and true discrete Gaussians:
    /// added to δ. The keystream behind the fast sampler is taken for random bits.
    pub fn inexactness(&self, draws: u64) -> f64 {
        match &self.0 {
            Sampler::Fast(_) => draws as f64 * 2_f64.powi(-115),
            Sampler::Reference(_) => 0.0,
        }
    }

    /// Adds fresh noise to every value, modulo 2^64.
    pub fn add(&self, rng: &mut dyn CryptoRng, values: &mut [i64]) {
        match &self.0 {
            Sampler::Fast(width) => {
                let mut seed = Zeroizing::new([0; 32]);
                rng.fill_bytes(&mut *seed);
                WideSampler::new(width, &seed).add(values);
            }
            Sampler::Reference(variance) => {
                for value in values {
                    *value = value.wrapping_add(gaussian(*variance, rng));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
