//! Polynomials of encrypted numbers.

use super::Polynomial;
use crate::{Ciphertext, Encoder, HeError, RelinearisationKey};

/// What an evaluation needs all along.
struct Evaluation<'a> {
    encoder: &'a Encoder,
    key: &'a RelinearisationKey,
    /// x, x², x⁴ …
    powers: Vec<Ciphertext>,
}

impl Polynomial {
    /// The polynomial of every number of `x`, at scale `scale`. It uses up [`Polynomial::depth`]
    /// moduli.
    ///
    /// p = h x^(2^k) + l, and h and l alike (Paterson & Stockmeyer 1973, with a giant step for each power
    /// of two); every part is given the scale that makes the sums fit.
    ///
    /// # Errors
    /// [`HeError::Level`] if there are not enough moduli; otherwise as products.
    pub fn evaluate(
        &self,
        x: &Ciphertext,
        scale: f64,
        encoder: &Encoder,
        key: &RelinearisationKey,
    ) -> Result<Ciphertext, HeError> {
        let left = x.moduli().checked_sub(self.depth()).filter(|left| *left > 0);
        let missing =
            HeError::Level { what: "the ciphertext", got: x.moduli(), needed: self.depth() + 1 };
        let left = left.ok_or(missing)?;
        let mut powers = vec![x.clone()];
        for _ in 1..=self.degree().ilog2() {
            let last = &powers[powers.len() - 1];
            powers.push(last.multiply(last)?.relinearise(key)?.rescale()?);
        }
        Evaluation { encoder, key, powers }.part(&self.coefficients, left, scale)
    }
}

impl Evaluation<'_> {
    /// Σ coefficients xⁱ with `left` moduli, at `scale`. There are two coefficients at least, and the
    /// last is not 0.
    fn part(&self, coefficients: &[f64], left: usize, scale: f64) -> Result<Ciphertext, HeError> {
        let step = (coefficients.len() - 1).ilog2();
        let (low, high) = coefficients.split_at(1 << step);
        let power = self.powers[step as usize].clone().drop_to(left + 1)?;
        let modulus = self.encoder.context().modulus(left).value() as f64;
        let by = scale * modulus / power.scale();
        let product = if let [constant] = high {
            power.multiply_plain(&self.encoder.constant(*constant, by, left + 1)?)?
        } else {
            let high = self.part(high, left + 1, by)?;
            high.multiply(&power)?.relinearise(self.key)?
        };
        let product = product.rescale()?.with_scale(scale)?;
        match low.iter().rposition(|coefficient| *coefficient != 0.0) {
            None => Ok(product),
            Some(0) => product.add_plain(&self.encoder.constant(low[0], scale, left)?),
            Some(last) => product.plus(&self.part(&low[..=last], left, scale)?),
        }
    }
}
