//! Randomness as an argument.

use std::fmt;

use rand_chacha::ChaCha12Rng;
pub use rand_core::{CryptoRng, Rng};
use rand_core::{Infallible, SeedableRng, TryRng};
use serde::{Deserialize, Serialize};

use crate::Digest;

/// A 32-byte seed from which independent streams are derived by name.
///
/// It drives simulations, initial weights and the order of examples: values that a run must be
/// able to repeat. It is not a source of secrets.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Digest", into = "Digest")]
pub struct Seed([u8; 32]);

impl From<Digest> for Seed {
    fn from(digest: Digest) -> Self {
        Self(digest.0)
    }
}

impl From<Seed> for Digest {
    fn from(seed: Seed) -> Self {
        Self(seed.0)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

impl Seed {
    /// The seed a user names by a number.
    pub fn from_number(number: u64) -> Self {
        Self(Digest::of("cipher-nexus seed v1", &number.to_le_bytes()).0)
    }

    /// An independent seed for the use `label`, one for each path of numbers, such as an owner
    /// and a round.
    #[must_use]
    pub fn derive(&self, label: &str, path: &[u64]) -> Self {
        let mut material = self.0.to_vec();
        material.extend((label.len() as u64).to_le_bytes());
        material.extend(label.as_bytes());
        material.extend(path.iter().flat_map(|number| number.to_le_bytes()));
        Self(Digest::of("cipher-nexus seed derivation v1", &material).0)
    }

    /// The stream of this seed.
    pub fn rng(&self) -> SeededRng {
        SeededRng(ChaCha12Rng::from_seed(self.0))
    }
}

/// A repeatable stream: ChaCha with 12 rounds (RFC 8439's core).
#[derive(Clone)]
pub struct SeededRng(ChaCha12Rng);

impl fmt::Debug for SeededRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededRng(..)")
    }
}

impl TryRng for SeededRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}

impl SeededRng {
    /// A number uniform in [0, 1): 53 random bits over 2^53.
    pub fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        (self.next_u64() >> 11) as f64 * STEP
    }

    /// A number uniform in `0..bound`, without bias (Lemire 2019, arXiv:1805.10941).
    ///
    /// # Panics
    /// If `bound` is 0: there is no such number.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "below(0) has no answer");
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            #[expect(clippy::cast_possible_truncation, reason = "the low and high words are meant")]
            let (low, high) = (product as u64, (product >> 64) as u64);
            if low >= threshold {
                return high;
            }
        }
    }

    /// A standard normal number by the polar method (Marsaglia & Bray 1964).
    ///
    /// For weights and simulations only: as a privacy mechanism floating-point noise leaks
    /// (Mironov 2012).
    pub fn normal(&mut self) -> f64 {
        loop {
            let (u, v) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = u * u + v * v;
            if square > 0.0 && square < 1.0 {
                return u * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    /// A random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let chosen = self.below(last as u64 + 1);
            items.swap(last, usize::try_from(chosen).unwrap_or(last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_label_and_path() {
        let seed = Seed::from_number(7);
        let draw = |seed: Seed| seed.rng().next_u64();
        assert_eq!(draw(seed), draw(Seed::from_number(7)));
        let streams = [
            seed,
            seed.derive("a", &[]),
            seed.derive("a", &[0]),
            seed.derive("a", &[0, 0]),
            seed.derive("a\0", &[]),
            Seed::from_number(8),
        ];
        let mut values: Vec<u64> = streams.into_iter().map(draw).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), streams.len());
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = Seed::from_number(1).rng();
        let n = 200_000;
        let normal: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let mean = normal.iter().sum::<f64>() / f64::from(n);
        let fourth = normal.iter().map(|x| x.powi(4)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((fourth - 3.0).abs() < 0.1, "fourth moment {fourth}");
        let counts = (0..n).fold([0u32; 6], |mut counts, _| {
            counts[usize::try_from(rng.below(6)).unwrap()] += 1;
            counts
        });
        let expected = f64::from(n) / 6.0;
        let chi: f64 = counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
        assert!(chi < 20.5, "chi-square with 5 degrees of freedom, p = 0.001: {chi}");
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Seed::from_number(3).rng().shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
