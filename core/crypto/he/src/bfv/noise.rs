//! What the noise of a ciphertext is at most, whatever the secret, the messages and the coins.

use std::sync::Arc;

use nexus_field::rns::Modulus;

use crate::context::Context;
use crate::{HeError, bfv};

/// The largest coefficient of an error that is drawn.
const ERROR: f64 = 21.0;

/// A bound on the error E of a ciphertext, which hides (Q/t)·m + E modulo Q. With it no coefficient is
/// decrypted wrongly while t·E < Q/4.
///
/// It is a worst case: an error that is measured is smaller by about half the bits that N has for every product.
/// With B = 21 the largest error drawn, p the first modulus for keys and P the product of all of them, L
/// the number of parts that a polynomial is taken apart into, D the largest product of the moduli of
/// one, and R = (N + 3)/2, which exceeds all that a ciphertext, centred, wraps around Q:
///
/// | after | E |
/// |---|---|
/// | encryption with the secret key | B + 1 |
/// | with the public key | (2N + 1)B/p + R + 1, without p (2N + 1)B + 1 |
/// | a sum | E₁ + E₂ |
/// | a sum with a known polynomial | E + 1 |
/// | a product with a known m | ‖m‖₁ E, at most (N t/2) E |
/// | a product | t N (1 + R)(E₁ + E₂) + t N E₁ E₂/Q + (1 + N + N²)/2 |
/// | relinearisation, rotation | E + L N B D/P + R |
/// | a modulus q dropped | E/q + R |
#[derive(Clone, Debug)]
pub struct Noise {
    context: Arc<Context>,
    moduli: usize,
    error: f64,
}

impl Noise {
    fn new(context: &Arc<Context>, moduli: usize, error: f64) -> Result<Self, HeError> {
        context.integers()?.level(moduli)?;
        Ok(Self { context: Arc::clone(context), moduli, error })
    }

    /// After an encryption with the secret key.
    ///
    /// # Errors
    /// [`HeError::Scheme`] unless the parameters are of BFV.
    pub fn of_secret(context: &Arc<Context>) -> Result<Self, HeError> {
        Self::new(context, context.parameters().top(), ERROR + 1.0)
    }

    /// After an encryption with the public key.
    ///
    /// # Errors
    /// [`HeError::Scheme`] unless the parameters are of BFV.
    pub fn of_public(context: &Arc<Context>) -> Result<Self, HeError> {
        let drawn = (2.0 * context.degree() as f64 + 1.0) * ERROR;
        let error = match context.special() {
            Ok(special) => drawn / context.modulus(special.start).value() as f64 + wraps(context),
            Err(_) => drawn,
        };
        Self::new(context, context.parameters().top(), error + 1.0)
    }

    /// After a sum or a difference.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`], [`HeError::Level`].
    pub fn plus(&self, other: &Self) -> Result<Self, HeError> {
        self.fits(other)?;
        Ok(Self { error: self.error + other.error, ..self.clone() })
    }

    /// After a sum with a known polynomial.
    #[must_use]
    pub fn plus_plain(&self) -> Self {
        Self { error: self.error + 1.0, ..self.clone() }
    }

    /// After a product with `plain`; with any polynomial, if there is none.
    ///
    /// # Errors
    /// [`HeError::Scheme`] unless the parameters are of BFV.
    pub fn times_plain(&self, plain: Option<&bfv::Plaintext>) -> Result<Self, HeError> {
        let integers = self.context.integers()?;
        let (t, half) = (integers.plain(), integers.half());
        let magnitude = |word: &u64| (*word).min(t.saturating_sub(*word)) as f64;
        let norm = match plain {
            Some(plain) => plain.coefficients().iter().map(magnitude).sum(),
            None => self.context.degree() as f64 * half as f64,
        };
        Ok(Self { error: self.error * norm, ..self.clone() })
    }

    /// After a product, of three polynomials.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`], [`HeError::Level`].
    pub fn times(&self, other: &Self) -> Result<Self, HeError> {
        self.fits(other)?;
        let (t, n) = (self.context.integers()?.plain() as f64, self.context.degree() as f64);
        let linear = t * n * (1.0 + wraps(&self.context)) * (self.error + other.error);
        let square = t * n * self.error * (other.error / self.modulus());
        let error = linear + square + (1.0 + n + n * n) / 2.0;
        Ok(Self { error, ..self.clone() })
    }

    /// After a relinearisation or a rotation.
    ///
    /// # Errors
    /// [`HeError::Moduli`] if there is no modulus for keys.
    pub fn switched(&self) -> Result<Self, HeError> {
        let parameters = self.context.parameters();
        let special = self.context.special()?;
        let product = |of: &[Modulus]| of.iter().map(|it| it.value() as f64).product::<f64>();
        let parts = parameters.moduli()[..self.moduli].chunks(special.len());
        let drawn = parts.len() as f64 * self.context.degree() as f64 * ERROR;
        let largest = parts.map(product).fold(0.0, f64::max);
        let special = product(&parameters.moduli()[special]);
        let error = self.error + drawn * (largest / special) + wraps(&self.context);
        Ok(Self { error, ..self.clone() })
    }

    /// After the last modulus is dropped.
    ///
    /// # Errors
    /// [`HeError::Exhausted`] if it is the only one.
    pub fn dropped(&self) -> Result<Self, HeError> {
        let moduli = self.moduli.checked_sub(1).filter(|left| *left > 0);
        let moduli = moduli.ok_or(HeError::Exhausted)?;
        let error = self.error / self.context.modulus(moduli).value() as f64;
        Ok(Self { moduli, error: error + wraps(&self.context), ..self.clone() })
    }

    /// Bits of noise budget that are left at least: what is decrypted is right while there is one.
    pub fn budget(&self) -> f64 {
        let plain = self.context.parameters().plain().unwrap_or(1) as f64;
        self.modulus().log2() - plain.log2() - self.error.log2() - 1.0
    }

    /// Q.
    fn modulus(&self) -> f64 {
        let moduli = &self.context.parameters().moduli()[..self.moduli];
        moduli.iter().map(|modulus| modulus.value() as f64).product()
    }

    fn fits(&self, other: &Self) -> Result<(), HeError> {
        self.context.same(&other.context)?;
        if self.moduli == other.moduli {
            return Ok(());
        }
        let (got, needed) = (other.moduli, self.moduli);
        Err(HeError::Level { what: "the other ciphertext", got, needed })
    }
}

/// R.
fn wraps(context: &Context) -> f64 {
    f64::midpoint(context.degree() as f64, 3.0)
}
