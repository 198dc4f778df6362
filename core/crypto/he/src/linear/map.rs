//! A matrix made ready for ciphertexts of one level.

use nexus_types::CryptoRng;

use super::Route;
use crate::{
    Ciphertext, Encoder, GaloisKeys, HeError, Plaintext, RelinearisationKey, SecretKey,
    SeededCiphertext,
};

/// y = Wx + b, encoded for vectors of one level and scale. It uses up one modulus. With [`Ciphertext`]
/// for `W`, whoever computes does not see the matrix.
#[derive(Clone, Debug)]
pub struct LinearMap<W = Plaintext> {
    /// By giant step: the distance to it from the one before, and weights by baby step.
    terms: Vec<(i64, Vec<(i64, W)>)>,
    babies: Vec<i64>,
    folds: Vec<i64>,
    bias: W,
}

/// Giant steps with the baby steps of each, and folds: a map without its numbers.
pub(crate) type Steps = (Vec<(i64, Vec<i64>)>, Vec<i64>);

impl<W> LinearMap<W> {
    pub(crate) fn steps(&self) -> Steps {
        let babies = |terms: &Vec<(i64, W)>| terms.iter().map(|(baby, _)| *baby).collect();
        let giants = self.terms.iter().map(|(giant, terms)| (*giant, babies(terms)));
        (giants.collect(), self.folds.clone())
    }

    /// The map with these steps, and weights in their order; none if there are too few.
    pub(crate) fn of(
        (giants, folds): &Steps,
        weights: &mut impl Iterator<Item = W>,
    ) -> Option<Self> {
        let mut terms = Vec::new();
        for (giant, babies) in giants {
            let weights = babies.iter().map(|baby| Some((*baby, weights.next()?)));
            terms.push((*giant, weights.collect::<Option<_>>()?));
        }
        let mut babies: Vec<i64> = giants.iter().flat_map(|(_, babies)| babies).copied().collect();
        babies.sort_unstable();
        babies.dedup();
        Some(Self { terms, babies, folds: folds.clone(), bias: weights.next()? })
    }

    /// Wx, where `sum` gives Σ cᵢ wᵢ.
    fn product(
        &self,
        vector: &Ciphertext,
        keys: &GaloisKeys,
        sum: impl Fn(&[(&Ciphertext, &W)]) -> Result<Ciphertext, HeError>,
    ) -> Result<Ciphertext, HeError> {
        let babies = vector.rotations(&self.babies, keys)?;
        let baby = |step: i64| &babies[self.babies.partition_point(|known| *known < step)];
        let mut whole: Option<Ciphertext> = None;
        for (distance, terms) in self.terms.iter().rev() {
            let terms: Vec<_> =
                terms.iter().map(|(step, weights)| (baby(*step), weights)).collect();
            let part = sum(&terms)?;
            let together = match whole {
                Some(later) => part.plus(&later)?,
                None => part,
            };
            whole = Some(together.rotate(*distance, keys)?);
        }
        let sum = whole.ok_or(HeError::Transparent)?.rescale()?;
        sum.folded(self.folds.iter().copied(), keys)
    }
}

/// The scale of weights for vectors of scale `from` and products of scale `to`, and that of the bias.
pub(crate) fn scales(modulus: f64, [from, to]: [f64; 2]) -> [f64; 2] {
    let unit = to * modulus / from;
    [unit, from * unit / modulus]
}

impl LinearMap {
    /// Encodes `route` and `bias` for vectors of `moduli` moduli and the first scale; the product has
    /// the scale that [`LinearMap::scale`] tells, which is the second up to the rounding of a double.
    ///
    /// # Errors
    /// [`HeError::Exhausted`] if there is no modulus to use up; as [`Encoder::encode_at`].
    pub fn new(
        encoder: &Encoder,
        route: &Route,
        bias: &[f64],
        moduli: usize,
        both: [f64; 2],
    ) -> Result<Self, HeError> {
        let left = moduli.checked_sub(1).filter(|left| *left > 0).ok_or(HeError::Exhausted)?;
        let modulus = encoder.context().modulus(left).value() as f64;
        let [unit, after] = scales(modulus, both);
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
            bias: encoder.encode_at(&bias, after, left)?,
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
        self.product(vector, keys, Ciphertext::weighted_sum)?.add_plain(&self.bias)
    }

    /// All weights and the bias, encrypted.
    pub(crate) fn sealed(
        &self,
        secret: &SecretKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<SeededCiphertext>, HeError> {
        let weights = self.terms.iter().flat_map(|(_, terms)| terms.iter().map(|(_, it)| it));
        weights.chain([&self.bias]).map(|it| secret.encrypt_seeded(it, rng)).collect()
    }
}

impl LinearMap<Ciphertext> {
    /// The product with a vector. Each sum of products is taken back to two polynomials once.
    ///
    /// # Errors
    /// As [`LinearMap::apply`].
    pub fn apply_sealed(
        &self,
        vector: &Ciphertext,
        keys: &GaloisKeys,
        products: &RelinearisationKey,
    ) -> Result<Ciphertext, HeError> {
        let sum = |terms: &[(&Ciphertext, &Ciphertext)]| {
            Ciphertext::sum_of_products(terms)?.relinearise(products)
        };
        self.product(vector, keys, sum)?.plus(&self.bias)
    }
}
