//! A matrix made ready for ciphertexts of one level.

use super::Route;
use crate::{Ciphertext, Encoder, GaloisKeys, HeError, Plaintext};

/// y = Wx + b, encoded for vectors of one level and scale. It uses up one modulus.
#[derive(Clone, Debug)]
pub struct LinearMap {
    /// By giant step: the distance to it from the one before, and weights by baby step.
    terms: Vec<(i64, Vec<(i64, Plaintext)>)>,
    babies: Vec<i64>,
    folds: Vec<i64>,
    bias: Plaintext,
}

impl LinearMap {
    /// Encodes `route` and `bias` for vectors of `moduli` moduli and scale `from`; the product has the
    /// scale that [`LinearMap::scale`] tells, which is `to` up to the rounding of a double.
    ///
    /// # Errors
    /// [`HeError::Exhausted`] if there is no modulus to use up; as [`Encoder::encode_at`].
    pub fn new(
        encoder: &Encoder,
        route: &Route,
        bias: &[f64],
        moduli: usize,
        [from, to]: [f64; 2],
    ) -> Result<Self, HeError> {
        let left = moduli.checked_sub(1).filter(|left| *left > 0).ok_or(HeError::Exhausted)?;
        let modulus = encoder.context().modulus(left).value() as f64;
        let unit = to * modulus / from;
        let repeated = |pattern: &[f64]| -> Vec<f64> {
            pattern.iter().copied().cycle().take(encoder.slots()).collect()
        };
        let encode = |(baby, pattern): (&i64, &Vec<f64>)| {
            Ok((*baby, encoder.encode_at(&repeated(pattern), unit, moduli)?))
        };
        let terms = route.giants().zip(route.terms.values()).map(|(distance, terms)| {
            Ok((distance, terms.iter().map(encode).collect::<Result<_, HeError>>()?))
        });
        let bias = route.output.pack(bias, encoder.slots())?;
        Ok(Self {
            terms: terms.collect::<Result<_, HeError>>()?,
            babies: route.babies().into_iter().collect(),
            folds: route.folds.clone(),
            bias: encoder.encode_at(&bias, from * unit / modulus, left)?,
        })
    }

    /// The scale of products.
    pub const fn scale(&self) -> f64 {
        self.bias.scale()
    }

    /// The product with a vector.
    ///
    /// # Errors
    /// [`HeError`] if level, scale or parameters are others, or a key is missing.
    pub fn apply(&self, vector: &Ciphertext, keys: &GaloisKeys) -> Result<Ciphertext, HeError> {
        let babies = vector.rotations(&self.babies, keys)?;
        let baby = |step: i64| &babies[self.babies.partition_point(|known| *known < step)];
        let mut sum: Option<Ciphertext> = None;
        for (distance, terms) in self.terms.iter().rev() {
            let terms: Vec<_> =
                terms.iter().map(|(step, weights)| (baby(*step), weights)).collect();
            let part = Ciphertext::weighted_sum(&terms)?;
            let whole = match sum {
                Some(later) => part.plus(&later)?,
                None => part,
            };
            sum = Some(whole.rotate(*distance, keys)?);
        }
        let mut sum = sum.ok_or(HeError::Transparent)?.rescale()?;
        for step in &self.folds {
            let moved = sum.rotate(*step, keys)?;
            sum = sum.plus(&moved)?;
        }
        sum.add_plain(&self.bias)
    }
}
