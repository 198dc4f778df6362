//! Computing on encrypted integers. Nothing here needs a secret.

use std::sync::Arc;

use nexus_field::rns::Modulus;

use super::keys::message;
use super::tables::{Level, Tables};
use super::{Ciphertext, Factor, Plaintext};
use crate::context::{Base, Context};
use crate::keys::{GaloisKeys, RelinearisationKey};
use crate::{HeError, ckks};

impl Plaintext {
    /// The constants of a context that it has the length for.
    pub(super) fn fits<'a>(&self, context: &'a Context) -> Result<&'a Tables, HeError> {
        let (got, needed) = (self.coefficients.len(), context.degree());
        if got != needed {
            return Err(HeError::Width { got, needed });
        }
        context.integers()
    }

    /// The plaintext made ready for products with ciphertexts of `moduli` moduli.
    ///
    /// # Errors
    /// [`HeError::Level`]; [`HeError::Width`] if it is of another degree.
    pub fn factor(&self, context: &Arc<Context>, moduli: usize) -> Result<Factor, HeError> {
        let integers = self.fits(context)?;
        integers.level(moduli)?;
        // As SEAL: from (t + 1)/2 on they stand for m − t.
        let (plain, from) = (integers.plain(), integers.plain().div_ceil(2));
        let centred = |word: &u64| {
            let below = (plain & u64::from(*word >= from).wrapping_neg()).cast_signed();
            word.cast_signed() - below
        };
        let coefficients: Vec<i64> = self.coefficients.iter().map(centred).collect();
        let words = context.lift(&coefficients, moduli);
        let context = Arc::clone(context);
        Ok(Factor(ckks::Plaintext { context, words, moduli, scale: 1.0 }))
    }
}

/// Two polynomials as integers, centred, modulo the primes of the second base, transformed.
fn widened(context: &Context, level: &Level, base: &Base, pair: [&[u64]; 2]) -> [Vec<u64>; 2] {
    pair.map(|words| {
        let mut limbs = words.to_vec();
        context.base().inverse(&mut limbs);
        let mut wide = level.up.apply(&mut limbs, context.degree());
        base.forward(&mut wide);
        wide
    })
}

/// ⌊t x/Q⌉ modulo Q, transformed, of x modulo Q and P, transformed.
fn scaled_down(
    context: &Context,
    level: &Level,
    base: &Base,
    (mut narrow, mut wide): (Vec<u64>, Vec<u64>),
) -> Vec<u64> {
    context.base().inverse(&mut narrow);
    base.inverse(&mut wide);
    let rest = level.rest.apply(&mut narrow, context.degree());
    for ((transform, limb), ratio) in base.limbs(&mut wide).zip(&level.ratios) {
        transform.modulus().scale(limb, *ratio);
    }
    base.each(&mut wide, &rest, Modulus::sub_assign);
    let mut words = level.down.apply(&mut wide, context.degree());
    context.base().forward(&mut words);
    words
}

impl Ciphertext {
    /// The sum.
    ///
    /// # Errors
    /// [`HeError`] if parameters or levels differ, or nothing stays hidden.
    pub fn plus(self, other: &Self) -> Result<Self, HeError> {
        self.0.plus(&other.0).map(Self)
    }

    /// The difference.
    ///
    /// # Errors
    /// As [`Ciphertext::plus`].
    pub fn minus(self, other: &Self) -> Result<Self, HeError> {
        self.0.minus(&other.0).map(Self)
    }

    /// The same with the other sign.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(self.0.negated())
    }

    /// The sum with a known polynomial.
    ///
    /// # Errors
    /// [`HeError::Width`], [`HeError::Word`] if it is of other parameters.
    pub fn add_plain(mut self, plain: &Plaintext) -> Result<Self, HeError> {
        let words = message(self.context(), plain, self.moduli())?;
        if let Some(first) = self.0.polynomials.first_mut() {
            self.0.context.each(first, &words, Modulus::add_assign);
        }
        Ok(self)
    }

    /// The product with a known polynomial: with slots, integer by integer.
    ///
    /// # Errors
    /// [`HeError::Width`] if it is of other parameters; [`HeError::Transparent`] if it is 0.
    pub fn multiply_plain(self, plain: &Plaintext) -> Result<Self, HeError> {
        let factor = plain.factor(self.context(), self.moduli())?;
        self.multiply_by(&factor)
    }

    /// [`Ciphertext::multiply_plain`] by what was made ready.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`], [`HeError::Level`], [`HeError::Transparent`].
    pub fn multiply_by(self, factor: &Factor) -> Result<Self, HeError> {
        self.0.multiply_plain(&factor.0).map(Self)
    }

    /// The product, of three polynomials, which [`Ciphertext::relinearise`] takes back to two.
    ///
    /// # Errors
    /// [`HeError`] if parameters or levels differ, or one has more than two polynomials.
    pub fn multiply(&self, other: &Self) -> Result<Self, HeError> {
        self.0.fits(&other.0)?;
        let (a, b) = (self.0.pair("a product")?, other.0.pair("a product")?);
        let (context, integers) = (&**self.context(), self.context().integers()?);
        let (level, base) = (integers.level(self.moduli())?, integers.base());
        let wide_a = widened(context, level, base, a);
        let wide_a = [&wide_a[0][..], &wide_a[1]];
        let wide = if std::ptr::eq(self, other) {
            base.tensor(wide_a, wide_a)
        } else {
            let wide_b = widened(context, level, base, b);
            base.tensor(wide_a, [&wide_b[0], &wide_b[1]])
        };
        let narrow = context.base().tensor(a, b);
        let parts = narrow.into_iter().zip(wide);
        let polynomials = parts.map(|part| scaled_down(context, level, base, part)).collect();
        let product = Self::new(self.context(), polynomials, self.moduli());
        product.0.opaque().map(Self)
    }

    /// Takes three polynomials back to two.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`]; [`HeError::Size`] unless there are three.
    pub fn relinearise(self, key: &RelinearisationKey) -> Result<Self, HeError> {
        self.0.relinearise(key).map(Self)
    }

    /// Drops the last modulus: the message stays, the noise is divided by it.
    ///
    /// # Errors
    /// [`HeError::Exhausted`] if it is the only one.
    pub fn drop_last(self) -> Result<Self, HeError> {
        let mut below = self.0.rescale()?;
        below.scale = 1.0;
        Ok(Self(below))
    }

    /// Rotates both rows to the left by `steps`.
    ///
    /// # Errors
    /// [`HeError::Rotation`], [`HeError::NoKey`], [`HeError::OtherParameters`]; [`HeError::Size`] unless there are two
    /// polynomials.
    pub fn rotate(&self, steps: i64, keys: &GaloisKeys) -> Result<Self, HeError> {
        self.0.rotate(steps, keys).map(Self)
    }

    /// Swaps the rows.
    ///
    /// # Errors
    /// As [`Ciphertext::rotate`].
    pub fn swap_rows(&self, keys: &GaloisKeys) -> Result<Self, HeError> {
        self.0.conjugate(keys).map(Self)
    }
}
