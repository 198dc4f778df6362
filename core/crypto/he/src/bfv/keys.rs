//! Encrypting integers and decrypting them.

use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use super::{Ciphertext, Plaintext, SeededCiphertext};
use crate::sample::{seed, uniform};
use crate::{Context, HeError, PublicKey, SecretKey, ckks};

/// The message as ciphertexts of `moduli` moduli hide it, transformed.
pub(super) fn message(
    context: &Context,
    plain: &Plaintext,
    moduli: usize,
) -> Result<Zeroizing<Vec<u64>>, HeError> {
    let integers = plain.fits(context)?;
    let large = plain.coefficients.iter().position(|word| *word >= integers.plain());
    if let Some(index) = large {
        let got = plain.coefficients[index];
        return Err(HeError::Word { index, got, modulus: integers.plain() });
    }
    let mut words = Zeroizing::new(integers.level(moduli)?.scale_up(&plain.coefficients));
    context.base().forward(&mut words);
    Ok(words)
}

impl SecretKey {
    /// Encrypts integers: half of the ciphertext is random.
    ///
    /// # Errors
    /// [`HeError::Scheme`]; [`HeError::Width`], [`HeError::Word`] for a plaintext of other parameters.
    pub fn encrypt_integers(
        &self,
        plain: &Plaintext,
        rng: &mut dyn CryptoRng,
    ) -> Result<Ciphertext, HeError> {
        let context = self.context();
        let moduli = context.parameters().data_moduli();
        let message = message(context, plain, moduli.len())?;
        Ok(self.with_message(&message, uniform(moduli, context.degree(), rng), rng))
    }

    /// A message hidden with `a`, which is uniform and transformed.
    fn with_message(&self, message: &[u64], a: Vec<u64>, rng: &mut dyn CryptoRng) -> Ciphertext {
        let hidden = self.hide(a, rng);
        Ciphertext(ckks::Ciphertext::hiding(self.context(), message, hidden, 1.0))
    }

    /// Encrypts integers, and keeps the seed that half of the ciphertext grows from: it is sent in its place.
    ///
    /// # Errors
    /// As [`SecretKey::encrypt_integers`].
    pub fn encrypt_integers_seeded(
        &self,
        plain: &Plaintext,
        rng: &mut dyn CryptoRng,
    ) -> Result<SeededCiphertext, HeError> {
        let context = self.context();
        let (moduli, seed) = (context.parameters().data_moduli(), seed(rng));
        let message = message(context, plain, moduli.len())?;
        // SEAL's ciphertexts of BFV are coefficients, and so is what their seeds give.
        let mut a = seed.expand(moduli, context.degree());
        context.base().forward(&mut a);
        Ok(SeededCiphertext { ciphertext: self.with_message(&message, a, rng), seed })
    }

    /// Decrypts integers.
    ///
    /// Whether it fails tells of the key: do not answer strangers whose ciphertexts these are.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`]; [`HeError::Noise`] if less than a bit is left of the budget, in any
    /// coefficient: then it is not certain what was encrypted.
    pub fn decrypt_integers(&self, ciphertext: &Ciphertext) -> Result<Plaintext, HeError> {
        let context = self.context();
        let mut phase = self.coefficients(ciphertext)?;
        let level = context.integers()?.level(ciphertext.moduli())?;
        let coefficients = level.read(&mut phase, context.degree()).ok_or(HeError::Noise)?;
        Ok(Plaintext { coefficients })
    }

    /// c₀ + c₁ s + …, in coefficients.
    fn coefficients(&self, ciphertext: &Ciphertext) -> Result<Zeroizing<Vec<u64>>, HeError> {
        let context = self.context();
        ciphertext.context().same(context)?;
        let mut phase = Zeroizing::new(self.phase(&ciphertext.0));
        context.base().inverse(&mut phase);
        Ok(phase)
    }

    /// Bits that the noise of a ciphertext of BFV may still grow by; 0 if there is none left. The same
    /// as SEAL's invariant noise budget: log₂(Q/2) less that of the largest coefficient of t·x mod Q.
    ///
    /// It tells of the key: keep it from whoever made the ciphertext.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`], [`HeError::Scheme`].
    pub fn noise_budget(&self, ciphertext: &Ciphertext) -> Result<f64, HeError> {
        let (context, mut phase) = (self.context(), self.coefficients(ciphertext)?);
        let plain = context.integers()?.plain();
        for (transform, limb) in context.limbs(&mut phase) {
            transform.modulus().scale(limb, transform.modulus().reduce(plain));
        }
        let noise = context.centred(&phase).into_iter().map(f64::abs).fold(1.0, f64::max);
        let moduli = &context.parameters().moduli()[..ciphertext.moduli()];
        let bits: f64 = moduli.iter().map(|modulus| (modulus.value() as f64).log2()).sum();
        Ok((bits - noise.log2() - 1.0).max(0.0))
    }
}

impl PublicKey {
    /// Encrypts integers.
    ///
    /// # Errors
    /// As [`SecretKey::encrypt_integers`].
    pub fn encrypt_integers(
        &self,
        plain: &Plaintext,
        rng: &mut dyn CryptoRng,
    ) -> Result<Ciphertext, HeError> {
        let context = self.context();
        let moduli = context.parameters().top();
        let message = message(context, plain, moduli)?;
        let hidden = self.zero(moduli, rng);
        Ok(Ciphertext(ckks::Ciphertext::hiding(context, &message, hidden, 1.0)))
    }
}
