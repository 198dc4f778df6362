//! A random rotation that spreads a vector's norm over its coordinates.

use super::QuantiseError;

/// Largest power of two that a block may have.
pub const MAX_LOG_BLOCK: u32 = 24;

const DOMAIN: &str = "nexus/mpc/rotation v1";

/// H·D/√B on blocks of B = 2^k coordinates: random signs, then a Walsh-Hadamard transform
/// (Ailon & Chazelle 2009; Kairouz, Liu & Steinke 2021, arXiv:2102.06387, section 4.2.1).
///
/// It keeps norms and makes all coordinates of a block about equally large, so that few bits
/// serve them all. For narrow moduli.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    signs: Vec<u8>,
    length: usize,
    block: usize,
}

impl Rotation {
    /// The rotation of vectors of `length` with the public `seed`, padded by zeros to blocks of
    /// 2^`log_block`.
    ///
    /// # Errors
    /// [`QuantiseError::Limit`] if the block is larger than 2^[`MAX_LOG_BLOCK`].
    pub fn new(seed: &[u8; 32], length: usize, log_block: u32) -> Result<Self, QuantiseError> {
        if log_block > MAX_LOG_BLOCK {
            return Err(QuantiseError::Limit { got: log_block.into() });
        }
        let block = 1 << log_block;
        let mut signs = vec![0; length.next_multiple_of(block).div_ceil(8)];
        let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
        hasher.update(seed);
        hasher.finalize_xof().fill(&mut signs);
        Ok(Self { signs, length, block })
    }

    /// Coordinates of a rotated vector.
    pub fn padded(&self) -> usize {
        self.length.next_multiple_of(self.block)
    }

    /// The rotated vector, [`Rotation::padded`] coordinates.
    ///
    /// # Errors
    /// [`QuantiseError::Length`].
    pub fn forward(&self, x: &[f64]) -> Result<Vec<f64>, QuantiseError> {
        check(x, self.length)?;
        let mut rotated = x.to_vec();
        rotated.resize(self.padded(), 0.0);
        self.flip(&mut rotated);
        self.transform(&mut rotated);
        Ok(rotated)
    }

    /// The vector that was rotated.
    ///
    /// # Errors
    /// [`QuantiseError::Length`].
    pub fn inverse(&self, rotated: &[f64]) -> Result<Vec<f64>, QuantiseError> {
        check(rotated, self.padded())?;
        let mut x = rotated.to_vec();
        self.transform(&mut x);
        self.flip(&mut x);
        x.truncate(self.length);
        Ok(x)
    }

    fn flip(&self, x: &mut [f64]) {
        for (values, byte) in x.chunks_mut(8).zip(&self.signs) {
            for (bit, value) in values.iter_mut().enumerate() {
                if byte >> bit & 1 == 1 {
                    *value = -*value;
                }
            }
        }
    }

    fn transform(&self, x: &mut [f64]) {
        let unit = 1.0 / (self.block as f64).sqrt();
        for block in x.chunks_exact_mut(self.block) {
            let mut half = 1;
            while half < self.block {
                block.chunks_exact_mut(2 * half).for_each(butterflies);
                half *= 2;
            }
            for value in block {
                *value *= unit;
            }
        }
    }
}

fn butterflies(pair: &mut [f64]) {
    let (left, right) = pair.split_at_mut(pair.len() / 2);
    for (a, b) in left.iter_mut().zip(right) {
        (*a, *b) = (*a + *b, *a - *b);
    }
}

fn check(x: &[f64], expected: usize) -> Result<(), QuantiseError> {
    if x.len() != expected {
        return Err(QuantiseError::Length { got: x.len(), expected });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn norm(x: &[f64]) -> f64 {
        x.iter().map(|value| value * value).sum::<f64>().sqrt()
    }

    proptest! {
        #[test]
        fn norms_are_kept_and_the_inverse_undoes(
            x in prop::collection::vec(-1e3f64..1e3, 0..200), seed: [u8; 32], log_block in 0u32..8,
        ) {
            let rotation = Rotation::new(&seed, x.len(), log_block).unwrap();
            let rotated = rotation.forward(&x).unwrap();
            prop_assert!((norm(&rotated) - norm(&x)).abs() <= 1e-12 * norm(&x));
            let back = rotation.inverse(&rotated).unwrap();
            prop_assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }

    #[test]
    fn one_large_coordinate_is_spread() {
        let mut x = vec![0.0; 1000];
        x[17] = 32.0;
        let rotation = Rotation::new(&[1; 32], 1000, 10).unwrap();
        let rotated = rotation.forward(&x).unwrap();
        assert_eq!(rotated.len(), 1024);
        assert!(rotated.iter().all(|value| (value.abs() - 1.0).abs() < 1e-12));
        let other = Rotation::new(&[2; 32], 1000, 10).unwrap();
        x.fill(1.0);
        assert!(rotation.forward(&x) != other.forward(&x), "the seed decides");
    }

    #[test]
    fn other_lengths_are_refused() {
        let rotation = Rotation::new(&[1; 32], 3, 2).unwrap();
        let length = |got, expected| Err(QuantiseError::Length { got, expected });
        assert_eq!(rotation.forward(&[0.0; 4]), length(4, 3));
        assert_eq!(rotation.inverse(&[0.0; 3]), length(3, 4));
        assert!(Rotation::new(&[1; 32], 3, MAX_LOG_BLOCK + 1).is_err());
    }
}
