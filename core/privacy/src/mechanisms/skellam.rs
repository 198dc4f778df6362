//! Skellam noise: the difference of two Poisson draws. An option for narrow moduli (below 20 bits).
//!
//! Sums of Skellam shares are Skellam exactly, whatever their widths; but no tight accounting in many
//! dimensions is known, only Rényi bounds, which cost 7 to 20 % of ε. So it is not the default.
//! Variance 2λ; the accountant takes it as `mu`.
//!
//! The Poisson draws come from a table of integer weights `w(k+1) = ⌊w(k)·λ/(k+1)⌋` around the
//! mode, 2^100 there, and a uniform number below their sum: every weight is off by at most the
//! number of steps from the mode, so a draw is within 2^-80 (total variation) of Poisson(λ). No
//! logarithm of a factorial in floats comes near that. The search in the table touches memory by
//! the value drawn: not for a machine that others share.
//!
//! ```
//! use nexus_privacy::mechanisms::skellam::Skellam;
//! use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
//!
//! let noise = Skellam::new(50)?;
//! let mut values = [0; 16];
//! noise.add(&mut ChaCha12Rng::seed_from_u64(1), &mut values);
//! assert!(noise.variance() == 100 && values.iter().all(|x| x.abs() < 150));
//! # Ok::<(), nexus_privacy::mechanisms::MechanismError>(())
//! ```

use nexus_types::CryptoRng;

use super::exact::below;
use super::{MechanismError, within};

/// The largest λ: the table has 12,000 entries.
pub const MAX_LAMBDA: u32 = 1 << 18;

/// The weight of the mode.
const MODE: u128 = 1 << 100;

/// Skellam noise of one width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skellam {
    lambda: u32,
    /// The value of the first weight.
    first: i64,
    /// Sums of the weights up to each value.
    sums: Vec<u128>,
}

impl Skellam {
    /// The difference of two Poisson draws of mean `lambda`.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] if it is 0 or above [`MAX_LAMBDA`].
    pub fn new(lambda: u32) -> Result<Self, MechanismError> {
        let expected = "from 1 to 2^18 are possible";
        within("the mean of the Poisson draws", lambda.into(), 1.0..=MAX_LAMBDA.into(), expected)?;
        let (mean, mode) = (u128::from(lambda), u64::from(lambda));
        let down = (1..=mode).rev().scan(MODE, |weight, k| {
            *weight = *weight * u128::from(k) / mean;
            (*weight > 0).then_some(*weight)
        });
        let mut weights: Vec<u128> = down.collect();
        let below_mode = i64::try_from(weights.len()).unwrap_or(i64::MAX);
        weights.reverse();
        weights.push(MODE);
        weights.extend((mode + 1..).scan(MODE, |weight, k| {
            *weight = *weight * mean / u128::from(k);
            (*weight > 0).then_some(*weight)
        }));
        let sums = weights.into_iter().scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Ok(Self { lambda, first: i64::from(lambda) - below_mode, sums: sums.collect() })
    }

    /// 2λ, in squares of grid steps.
    pub const fn variance(&self) -> u64 {
        2 * self.lambda as u64
    }

    fn poisson(&self, rng: &mut dyn CryptoRng) -> i64 {
        let total = self.sums.last().copied().unwrap_or(1);
        let number = below(total, rng);
        let place = self.sums.partition_point(|sum| *sum <= number);
        self.first + i64::try_from(place).unwrap_or(i64::MAX)
    }

    /// Adds fresh noise to every value, modulo 2^64.
    pub fn add(&self, rng: &mut dyn CryptoRng, values: &mut [i64]) {
        for value in values {
            let noise = self.poisson(rng) - self.poisson(rng);
            *value = value.wrapping_add(noise);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret_rng;
    use super::*;

    #[test]
    fn weights_are_those_of_poisson() {
        for lambda in [1, 2, 7, 1000, MAX_LAMBDA] {
            let skellam = Skellam::new(lambda).unwrap();
            let total = *skellam.sums.last().unwrap() as f64;
            let mean = f64::from(lambda);
            let peak = MODE as f64 / total;
            // Stirling's series for the probability of the mode.
            let stirling = (2.0 * std::f64::consts::PI * mean).sqrt().recip()
                * (-1.0 / (12.0 * mean) + 1.0 / (360.0 * mean.powi(3))).exp();
            assert!((peak / stirling - 1.0).abs() < 1e-3 / mean.powi(3), "{lambda}");
            let at = |k: i64| usize::try_from(k - skellam.first).unwrap();
            let moment = |power: i32| {
                let terms = skellam.sums.iter().enumerate().map(|(place, sum)| {
                    let weight =
                        sum - place.checked_sub(1).map_or(0, |before| skellam.sums[before]);
                    let k = skellam.first as f64 + place as f64;
                    weight as f64 / total * (k - mean).powi(power)
                });
                terms.sum::<f64>()
            };
            assert!(moment(1).abs() < 1e-9 * mean);
            assert!((moment(2) / mean - 1.0).abs() < 1e-9);
            assert!((moment(3) / mean - 1.0).abs() < 1e-6);
            assert!(skellam.sums.len() > at(i64::from(lambda)));
        }
    }

    #[test]
    fn draws_have_the_moments() {
        let skellam = Skellam::new(200).unwrap();
        let mut values = vec![0; 200_000];
        skellam.add(&mut secret_rng(5), &mut values);
        let (count, variance) = (values.len() as f64, skellam.variance() as f64);
        let moment = |power| {
            values.iter().map(|x| (*x as f64 / variance.sqrt()).powi(power)).sum::<f64>() / count
        };
        assert!(moment(1).abs() < 5.0 / count.sqrt());
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / count).sqrt());
        assert!((moment(4) - 3.0 - 1.0 / variance).abs() < 5.0 * (96.0 / count).sqrt());
        assert!(Skellam::new(0).is_err() && Skellam::new(MAX_LAMBDA + 1).is_err());
    }
}
