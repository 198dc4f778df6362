//! Gaussian noise on floats, for local experiments that need speed and state that they use it.
//!
//! Its last bits give away what it was added to (Mironov 2012; Haney et al. 2022): the guarantee of
//! the accountant holds for real numbers, not for these. Nothing here passes through a budget or reaches
//! a stage of [`crate::flow`]; who wants it says so with [`FloatNoise::accepting_leaky_floats`].
//!
//! ```
//! use nexus_privacy::mechanisms::float_noise::FloatNoise;
//! use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
//!
//! let noise = FloatNoise::accepting_leaky_floats(2.0)?;
//! let mut values = [0.0; 8];
//! noise.add(&mut ChaCha12Rng::seed_from_u64(1), &mut values);
//! assert!(values.iter().all(|x: &f64| x.abs() < 20.0));
//! # Ok::<(), nexus_privacy::mechanisms::MechanismError>(())
//! ```

use nexus_types::CryptoRng;

use super::{MechanismError, within};

/// Noise that is Gaussian but for its rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatNoise {
    sigma: f64,
}

impl FloatNoise {
    /// Noise of deviation `sigma`, by someone who knows what floats leak.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] if it is negative or not finite.
    pub fn accepting_leaky_floats(sigma: f64) -> Result<Self, MechanismError> {
        let sigma = within("the width of the noise", sigma, 0.0..=1e300, "0 to 1e300 is possible")?;
        Ok(Self { sigma })
    }

    /// Adds fresh noise to every value (polar method; Marsaglia & Bray 1964).
    pub fn add(&self, rng: &mut dyn CryptoRng, values: &mut [f64]) {
        for pair in values.chunks_mut(2) {
            let noise = pair_of_normals(rng);
            for (value, noise) in pair.iter_mut().zip(noise) {
                *value += self.sigma * noise;
            }
        }
    }
}

fn pair_of_normals(rng: &mut dyn CryptoRng) -> [f64; 2] {
    const STEP: f64 = 1.0 / (1_u64 << 52) as f64;
    let mut unit = || (rng.next_u64() >> 11) as f64 * STEP - 1.0;
    loop {
        let (u, v) = (unit(), unit());
        let square = u * u + v * v;
        if square > 0.0 && square < 1.0 {
            let factor = (-2.0 * square.ln() / square).sqrt();
            return [u * factor, v * factor];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret_rng;
    use super::*;

    #[test]
    fn moments_are_those_of_a_gaussian() {
        let mut values = vec![0.0; 200_001];
        let noise = FloatNoise::accepting_leaky_floats(3.0).unwrap();
        noise.add(&mut secret_rng(1), &mut values);
        let count = values.len() as f64;
        let moment =
            |power| values.iter().map(|x: &f64| (x / 3.0).powi(power)).sum::<f64>() / count;
        assert!(moment(1).abs() < 5.0 / count.sqrt());
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / count).sqrt());
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / count).sqrt());
        assert!(FloatNoise::accepting_leaky_floats(f64::NAN).is_err());
    }

    /// The attack: noise in floats has gaps that a shift does not respect. Of a value 0 or 1, one has
    /// sums that the other cannot have.
    #[test]
    fn the_last_bits_tell_what_the_noise_was_added_to() {
        let noise = FloatNoise::accepting_leaky_floats(1.0).unwrap();
        let mut rng = secret_rng(2);
        let fine = |value: f64| (value * (1_u64 << 53) as f64).fract() == 0.0;
        let mut count = |start: f64| {
            let mut values = vec![start; 4000];
            noise.add(&mut rng, &mut values);
            let near: Vec<f64> = values.into_iter().filter(|x| x.abs() < 0.4).collect();
            near.iter().filter(|x| fine(**x)).count() as f64 / near.len() as f64
        };
        // Added to 1, everything near 0 is a multiple of 2^-53; added to 0, the less the nearer.
        let (zero, one) = (count(0.0), count(1.0));
        assert!(one > 0.999 && zero < 0.5, "{zero} {one}");
    }
}
