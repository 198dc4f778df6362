//! Computing on ciphertexts. Nothing here needs a secret.

use nexus_field::rns::Modulus;

use crate::keys::{GaloisKeys, RelinearisationKey};
use crate::{Ciphertext, HeError, Plaintext, threads};

/// Whether two scales are one, up to the rounding of a double: as SEAL has it.
pub(super) fn close(ours: f64, theirs: f64) -> Result<(), HeError> {
    let same = (ours - theirs).abs() < f64::EPSILON * ours.abs().max(theirs.abs()).max(1.0);
    if same { Ok(()) } else { Err(HeError::Scale { ours, theirs }) }
}

fn level(what: &'static str, got: usize, needed: usize) -> Result<(), HeError> {
    if got == needed { Ok(()) } else { Err(HeError::Level { what, got, needed }) }
}

impl Ciphertext {
    pub(crate) fn fits(&self, other: &Self) -> Result<(), HeError> {
        self.context.same(&other.context)?;
        level("the other ciphertext", other.moduli, self.moduli)
    }

    /// Whether it has two polynomials, so many moduli, and this scale, bit for bit.
    ///
    /// # Errors
    /// [`HeError::Size`], [`HeError::Level`], [`HeError::Scale`].
    pub fn check(&self, what: &'static str, moduli: usize, scale: f64) -> Result<(), HeError> {
        self.pair(what)?;
        level(what, self.moduli, moduli)?;
        let same = self.scale.to_bits() == scale.to_bits();
        if same { Ok(()) } else { Err(HeError::Scale { ours: scale, theirs: self.scale }) }
    }

    pub(super) fn fits_plain(&self, plain: &Plaintext) -> Result<(), HeError> {
        self.context.same(&plain.context)?;
        level("the plaintext", plain.moduli, self.moduli)
    }

    /// Its two polynomials, if there are no more.
    pub(crate) fn pair(&self, what: &'static str) -> Result<[&[u64]; 2], HeError> {
        match &*self.polynomials {
            [first, second] => Ok([first, second]),
            all => Err(HeError::Size { what, got: all.len(), needed: 2 }),
        }
    }

    /// Refuses what shows its message: all but the first polynomial are zero.
    pub(crate) fn opaque(self) -> Result<Self, HeError> {
        let hidden =
            self.polynomials.iter().skip(1).any(|words| words.iter().any(|word| *word != 0));
        if hidden { Ok(self) } else { Err(HeError::Transparent) }
    }

    fn combine(
        mut self,
        other: &Self,
        to: fn(Modulus, &mut [u64], &[u64]),
    ) -> Result<Self, HeError> {
        self.fits(other)?;
        close(self.scale, other.scale)?;
        let words = self.moduli * self.context.degree();
        if self.size() < other.size() {
            self.polynomials.resize(other.size(), vec![0; words]);
        }
        for (ours, theirs) in self.polynomials.iter_mut().zip(&other.polynomials) {
            self.context.each(ours, theirs, to);
        }
        self.opaque()
    }

    /// The sum, number by number.
    ///
    /// # Errors
    /// [`HeError`] if parameters, levels or scales differ, or nothing stays hidden.
    pub fn plus(self, other: &Self) -> Result<Self, HeError> {
        self.combine(other, Modulus::add_assign)
    }

    /// The difference, number by number.
    ///
    /// # Errors
    /// As [`Ciphertext::plus`].
    pub fn minus(self, other: &Self) -> Result<Self, HeError> {
        self.combine(other, Modulus::sub_assign)
    }

    /// The same with the other sign.
    #[must_use]
    pub fn negated(mut self) -> Self {
        for words in &mut self.polynomials {
            self.context.limbs(words).for_each(|(it, limb)| it.modulus().neg_assign(limb));
        }
        self
    }

    /// The sum with known numbers.
    ///
    /// # Errors
    /// [`HeError`] if parameters, levels or scales differ.
    pub fn add_plain(mut self, plain: &Plaintext) -> Result<Self, HeError> {
        self.fits_plain(plain)?;
        close(self.scale, plain.scale)?;
        if let Some(first) = self.polynomials.first_mut() {
            self.context.each(first, &plain.words, Modulus::add_assign);
        }
        Ok(self)
    }

    /// The product with known numbers; the scale is the product of both.
    ///
    /// # Errors
    /// [`HeError`] if parameters or levels differ, the scale grows too large, or nothing stays
    /// hidden.
    pub fn multiply_plain(mut self, plain: &Plaintext) -> Result<Self, HeError> {
        self.fits_plain(plain)?;
        self.scale = self.scaled(plain.scale)?;
        for words in &mut self.polynomials {
            self.context.each(words, &plain.words, Modulus::mul_assign);
        }
        self.opaque()
    }

    /// The scale times another, if there is room for it.
    pub(crate) fn scaled(&self, by: f64) -> Result<f64, HeError> {
        let got = self.scale * by;
        let moduli = &self.context.parameters().moduli()[..self.moduli];
        let bits: u32 = moduli.iter().map(|modulus| modulus.bits()).sum();
        if got.is_normal() && got.log2() < f64::from(bits) {
            return Ok(got);
        }
        let problem = "it does not fit the moduli that are left: rescale before";
        Err(HeError::Number { what: "the scale of the product", got, problem })
    }

    /// The same numbers under a scale that differs by the rounding of doubles only.
    ///
    /// # Errors
    /// [`HeError::Scale`] if it differs by more than one part in 2^40.
    pub fn with_scale(mut self, scale: f64) -> Result<Self, HeError> {
        if (self.scale / scale - 1.0).abs() < 2_f64.powi(-40) {
            self.scale = scale;
            return Ok(self);
        }
        Err(HeError::Scale { ours: self.scale, theirs: scale })
    }

    /// The product, number by number: of three polynomials, which [`Ciphertext::relinearise`] takes
    /// back to two. The scale is the product of both.
    ///
    /// # Errors
    /// [`HeError`] if parameters or levels differ, one has more than two polynomials, or the scale
    /// grows too large.
    pub fn multiply(&self, other: &Self) -> Result<Self, HeError> {
        self.fits(other)?;
        let scale = self.scaled(other.scale)?;
        let pairs = (self.pair("a product")?, other.pair("a product")?);
        let polynomials = self.context.base().tensor(pairs.0, pairs.1).into();
        Self::new(&self.context, polynomials, self.moduli, scale).opaque()
    }

    /// Takes three polynomials back to two.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`]; [`HeError::Size`] unless there are three.
    pub fn relinearise(mut self, key: &RelinearisationKey) -> Result<Self, HeError> {
        key.0.context().same(&self.context)?;
        let needed = HeError::Size { what: "relinearisation", got: self.size(), needed: 3 };
        if self.size() != 3 {
            return Err(needed);
        }
        let last = self.polynomials.pop().ok_or(needed)?;
        self.add_pair(&key.0.switch(&last, self.moduli));
        Ok(self)
    }

    fn add_pair(&mut self, pair: &[Vec<u64>; 2]) {
        for (ours, theirs) in self.polynomials.iter_mut().zip(pair) {
            self.context.each(ours, theirs, Modulus::add_assign);
        }
    }

    /// Divides numbers and scale by the last modulus, and drops it.
    ///
    /// # Errors
    /// [`HeError::Exhausted`] if it is the only one.
    pub fn rescale(mut self) -> Result<Self, HeError> {
        let left = self.moduli.checked_sub(1).filter(|left| *left > 0).ok_or(HeError::Exhausted)?;
        let words = left * self.context.degree();
        threads::each(self.polynomials.iter_mut(), |polynomial| {
            let (kept, last) = polynomial.split_at_mut(words);
            self.context.divide(kept, last, left);
            polynomial.truncate(words);
        });
        self.scale /= self.context.modulus(left).value() as f64;
        self.moduli = left;
        Ok(self)
    }

    /// Drops moduli until `moduli` are left; the numbers stay.
    ///
    /// # Errors
    /// [`HeError::Level`] if there are fewer, or none are to be left.
    pub fn drop_to(mut self, moduli: usize) -> Result<Self, HeError> {
        if moduli == 0 || moduli > self.moduli {
            return Err(HeError::Level {
                what: "the ciphertext",
                got: self.moduli,
                needed: moduli,
            });
        }
        let words = moduli * self.context.degree();
        self.polynomials.iter_mut().for_each(|polynomial| polynomial.truncate(words));
        self.moduli = moduli;
        Ok(self)
    }

    /// Rotates to the left: slot i then holds what slot i + `steps` held.
    ///
    /// # Errors
    /// [`HeError::Rotation`], [`HeError::NoKey`], and as [`Ciphertext::automorphism`].
    pub fn rotate(&self, steps: i64, keys: &GaloisKeys) -> Result<Self, HeError> {
        if steps == 0 {
            return Ok(self.clone());
        }
        self.automorphism(self.context.rotation(steps)?, keys)
    }

    /// The sum with its rotations by each of `steps`, one after the other: each is of the sum so far.
    ///
    /// # Errors
    /// As [`Ciphertext::rotate`].
    pub fn folded(
        self,
        steps: impl IntoIterator<Item = i64>,
        keys: &GaloisKeys,
    ) -> Result<Self, HeError> {
        steps.into_iter().try_fold(self, |sum, step| sum.rotate(step, keys)?.plus(&sum))
    }

    /// The conjugate of every number.
    ///
    /// # Errors
    /// As [`Ciphertext::automorphism`].
    pub fn conjugate(&self, keys: &GaloisKeys) -> Result<Self, HeError> {
        self.automorphism(self.context.conjugation(), keys)
    }

    /// X → X^element.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`], [`HeError::NoKey`]; [`HeError::Size`] unless there are two
    /// polynomials.
    pub fn automorphism(&self, element: u64, keys: &GaloisKeys) -> Result<Self, HeError> {
        keys.context().same(&self.context)?;
        let key = keys.key(element)?;
        let [first, second] = self.pair("a rotation")?;
        let moved = self.context.permuted(second, element);
        let [mut sum, other] = key.switch(&moved, self.moduli);
        let first = self.context.permuted(first, element);
        self.context.each(&mut sum, &first, Modulus::add_assign);
        Ok(Self::new(&self.context, vec![sum, other], self.moduli, self.scale))
    }
}
