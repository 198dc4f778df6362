//! Correlated noise by encoding the data, not the noise.
//!
//! An owner sends the sum over k of `c[k] x[t-k]`, plus *fresh* noise; whoever adds up decodes by
//! forward substitution. With C the lower-triangular Toeplitz matrix of `c`, C X + Z decoded
//! is X + C^-1 Z, the matrix mechanism, but no message depends on noise of another round, so a
//! message that is lost costs use and never privacy. It helps only where a row takes part at most
//! once in `bands` rounds.

use std::collections::VecDeque;

use super::{AccountingError, check, check_sigma};

const BANDS_MAX: f64 = 65_536.0;

/// Coefficients `c[0] > 0`, `c[1]`, .. of an encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    coefficients: Vec<f64>,
}

/// How often and how densely a row may take part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Participation {
    /// Most rounds that one row is in.
    pub times: u32,
    /// Least distance between two of them, in rounds.
    pub separation: u32,
}

/// What one participation can change, in grid units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensitivity {
    /// Scale times clip.
    pub scaled: f64,
    /// What rounding an encoded sum adds: sqrt(dimension).
    pub rounding: f64,
}

/// binom(2k, k) / 4^k, k below `count`: the square root of the matrix of prefix sums.
pub fn square_root(count: usize) -> Vec<f64> {
    let ratios = (1..count).map(|k| (2.0 * k as f64 - 1.0) / (2.0 * k as f64));
    let products = ratios.scan(1.0, |product, ratio| {
        *product *= ratio;
        Some(*product)
    });
    std::iter::once(1.0).chain(products).take(count).collect()
}

impl Encoding {
    /// The square root cut to `bands` coefficients and scaled to sum of squares 1.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`] outside 1 to 65,536 bands.
    pub fn banded(bands: usize) -> Result<Self, AccountingError> {
        check("bands", bands as f64, (1.0, BANDS_MAX))?;
        let raw = square_root(bands);
        let norm = raw.iter().map(|c| c * c).sum::<f64>().sqrt();
        Ok(Self { coefficients: raw.iter().map(|c| c / norm).collect() })
    }

    /// A buffered linear Toeplitz encoding (Dvijotham et al., 2024): `c[0] = 1` and
    /// `c[k]` the sum of `weight decay^(k-1)`, over `rounds` rounds.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`] for a decay outside [0, 1), a negative weight, or too many
    /// rounds.
    pub fn buffered(buffers: &[(f64, f64)], rounds: usize) -> Result<Self, AccountingError> {
        check("rounds", rounds as f64, (1.0, BANDS_MAX))?;
        for (weight, decay) in buffers {
            check("weight", *weight, (0.0, 1.0))?;
            check("decay", *decay, (0.0, 1.0 - 1e-9))?;
        }
        let mut powers: Vec<f64> = buffers.iter().map(|(weight, _)| *weight).collect();
        let mut coefficients = vec![1.0];
        while coefficients.len() < rounds {
            coefficients.push(powers.iter().sum());
            for (power, (_, decay)) in powers.iter_mut().zip(buffers) {
                *power *= decay;
            }
        }
        Ok(Self { coefficients })
    }

    /// `c[0]`, `c[1]`, ..
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    /// mu squared of a row over `rounds` rounds with noise deviation `sigma` (grid units): plain
    /// adaptive composition of Gaussians, the worst case being the earliest rounds that the
    /// separation allows, since no coefficient is negative or rises.
    ///
    /// # Errors
    /// [`AccountingError::OutOfRange`].
    pub fn mu_squared(
        &self,
        sensitivity: Sensitivity,
        sigma: f64,
        rounds: u32,
        participation: Participation,
    ) -> Result<f64, AccountingError> {
        check_sigma(sigma)?;
        check("sensitivity", sensitivity.scaled, (0.0, 1e18))?;
        check("rounding", sensitivity.rounding, (0.0, 1e9))?;
        check("rounds", f64::from(rounds), (1.0, BANDS_MAX))?;
        check("participations", f64::from(participation.times), (0.0, BANDS_MAX))?;
        check("separation", f64::from(participation.separation), (1.0, BANDS_MAX))?;
        let begins = (0..participation.times).map(|k| k.saturating_mul(participation.separation));
        let begins: Vec<u32> = begins.take_while(|begin| *begin < rounds).collect();
        let change = |round: u32| {
            let ages = begins.iter().take_while(|begin| **begin <= round).map(|b| round - b);
            let weights = ages.filter_map(|age| self.coefficients.get(age as usize));
            weights.copied().reduce(|a, b| a + b)
        };
        let squares = (0..rounds).filter_map(change).map(|weight| {
            let moved = weight * sensitivity.scaled + sensitivity.rounding;
            (moved / sigma).powi(2)
        });
        Ok(squares.sum())
    }
}

/// The stream of one side: encodes what it is given, or decodes it.
#[derive(Clone, Debug)]
struct Window {
    coefficients: Vec<f64>,
    /// Newest first, clear values.
    past: VecDeque<Vec<f64>>,
}

impl Window {
    fn new(encoding: &Encoding) -> Self {
        Self { coefficients: encoding.coefficients.clone(), past: VecDeque::new() }
    }

    /// Adds `sign` times what the past contributes.
    fn add_past(&self, values: &mut [f64], sign: f64) {
        for (weight, old) in self.coefficients.iter().skip(1).zip(&self.past) {
            for (value, old) in values.iter_mut().zip(old) {
                *value += sign * weight * old;
            }
        }
    }

    fn remember(&mut self, values: Vec<f64>) {
        self.past.push_front(values);
        self.past.truncate(self.coefficients.len().saturating_sub(1));
    }

    fn first(&self) -> f64 {
        self.coefficients.first().copied().unwrap_or(1.0)
    }
}

/// An owner's side: keeps the clear sums of the last `bands` rounds, so it is as secret as they.
pub struct Encoder(Window);

impl std::fmt::Debug for Encoder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Encoder").field("rounds", &self.0.past.len()).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Before the first round.
    pub fn new(encoding: &Encoding) -> Self {
        Self(Window::new(encoding))
    }

    /// What to send for `values`. Every round has the same length; a shorter past counts as zeros.
    pub fn encode(&mut self, values: &[f64]) -> Vec<f64> {
        let mut encoded: Vec<f64> = values.iter().map(|value| self.0.first() * value).collect();
        self.0.add_past(&mut encoded, 1.0);
        self.0.remember(values.to_vec());
        encoded
    }
}

/// The coordinator's side.
#[derive(Clone, Debug)]
pub struct Decoder(Window);

impl Decoder {
    /// Before the first round.
    pub fn new(encoding: &Encoding) -> Self {
        Self(Window::new(encoding))
    }

    /// The sum of this round, with correlated noise, out of the encoded one.
    pub fn decode(&mut self, encoded: &[f64]) -> Vec<f64> {
        let mut values = encoded.to_vec();
        self.0.add_past(&mut values, -1.0);
        for value in &mut values {
            *value /= self.0.first();
        }
        self.0.remember(values.clone());
        values
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_square_root_has_its_closed_form() {
        for (rounds, wanted) in [(100, 2.531_352), (1000, 3.265_003), (2340, 3.535_660)] {
            let sum: f64 = square_root(rounds).iter().map(|c| c * c).sum();
            assert!((sum - wanted).abs() < 1e-6, "{rounds}: {sum}");
        }
        // Its square is the matrix of prefix sums.
        let c = square_root(20);
        for t in 0..20 {
            let product: f64 = (0..=t).map(|k| c[k] * c[t - k]).sum();
            assert!((product - 1.0).abs() < 1e-12);
        }
        assert_eq!(Encoding::banded(1).unwrap().coefficients(), [1.0]);
    }

    /// The largest whitened change over every participation pattern and every sign.
    fn brute_force(c: &[f64], rounds: u32, participation: Participation) -> f64 {
        let mut worst = 0.0_f64;
        for pattern in 0..3_u32.pow(rounds) {
            let digit = |t: u32| f64::from(pattern / 3_u32.pow(t) % 3) - 1.0;
            let moved: Vec<f64> = (0..rounds).map(digit).collect();
            let on: Vec<u32> = (0..rounds).filter(|t| moved[*t as usize].abs() > 0.5).collect();
            let apart = on.windows(2).all(|pair| pair[1] - pair[0] >= participation.separation);
            if on.len() > participation.times as usize || !apart {
                continue;
            }
            let row = |t: usize| {
                (0..=t).filter(|k| *k < c.len()).map(|k| c[k] * moved[t - k]).sum::<f64>()
            };
            worst = worst.max((0..rounds as usize).map(|t| row(t).powi(2)).sum());
        }
        worst
    }

    #[test]
    fn no_participation_pattern_moves_more_than_the_formula() {
        let plain = Sensitivity { scaled: 1.0, rounding: 0.0 };
        let banded = Encoding::banded(3).unwrap();
        let buffered = Encoding::buffered(&[(0.3, 0.8), (0.15, 0.4)], 8).unwrap();
        for (encoding, separation) in [(&banded, 3), (&banded, 4), (&buffered, 2), (&buffered, 3)] {
            for times in 1..=3 {
                let participation = Participation { times, separation };
                let formula = encoding.mu_squared(plain, 1.0, 8, participation).unwrap();
                let worst = brute_force(encoding.coefficients(), 8, participation);
                assert!(worst <= formula + 1e-12 && formula < worst + 1e-9, "{worst} {formula}");
            }
        }
        // With separation of at least the bands, every participation costs sum c^2 = 1.
        let far = Participation { times: 4, separation: 10 };
        let mu2 = banded.mu_squared(plain, 2.0, 40, far).unwrap();
        assert!((mu2 - 4.0 / 4.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_decoded_stream_is_the_data_plus_correlated_noise(
            bands in 1..6_usize, rounds in 1..20_usize, seed in any::<u32>(),
        ) {
            let encoding = Encoding::banded(bands).unwrap();
            let (mut encoder, mut decoder) = (Encoder::new(&encoding), Decoder::new(&encoding));
            let mut noise_only = Decoder::new(&encoding);
            let mut state = seed;
            let mut draw = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(state) / f64::from(u32::MAX) - 0.5
            };
            for _ in 0..rounds {
                let (x, z) = ([draw(), draw(), draw()], [draw(), draw(), draw()]);
                let sent = encoder.encode(&x);
                let noisy: Vec<f64> = sent.iter().zip(z).map(|(a, b)| a + b).collect();
                // C^-1 Z by itself.
                let correlated = noise_only.decode(&z);
                for ((got, x), z) in decoder.decode(&noisy).iter().zip(x).zip(correlated) {
                    prop_assert!((got - x - z).abs() < 1e-9);
                }
            }
        }
    }
}
