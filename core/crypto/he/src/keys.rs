//! Keys. In all of them b + a s is small, or small plus what the key is made for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use nexus_field::rns::Modulus;
use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::extension::product;
use crate::sample::{errors, seed, ternary, uniform};
use crate::seal::Seed;
use crate::{Ciphertext, HeError, Plaintext, SeededCiphertext};

/// The secret s: coefficients −1, 0 and 1.
#[expect(missing_debug_implementations, reason = "it must not be printed")]
pub struct SecretKey {
    context: Arc<Context>,
    /// s for all moduli, transformed.
    words: Zeroizing<Vec<u64>>,
}

/// A key that anyone encrypts with.
#[derive(Clone, Debug)]
pub struct PublicKey {
    context: Arc<Context>,
    pair: [Vec<u64>; 2],
    /// What the second polynomial grows from, if it is known.
    seed: Option<Seed>,
}

/// A key that turns what is under another secret into what is under s: for each part that polynomials
/// are taken apart into a pair over all moduli.
#[derive(Clone, Debug)]
pub struct SwitchingKey {
    context: Arc<Context>,
    /// The places of the moduli for keys.
    special: Range<usize>,
    digits: Vec<[Vec<u64>; 2]>,
    /// What the second polynomials grow from, where it is known.
    seeds: Vec<Option<Seed>>,
}

/// A key that takes products back to two polynomials.
#[derive(Clone, Debug)]
pub struct RelinearisationKey(pub(crate) SwitchingKey);

/// Keys for rotations and the conjugation, by Galois element.
#[derive(Clone, Debug)]
pub struct GaloisKeys {
    context: Arc<Context>,
    keys: BTreeMap<u64, SwitchingKey>,
}

impl SecretKey {
    /// A fresh key. `rng` must be the operating system's.
    pub fn generate(context: &Arc<Context>, rng: &mut dyn CryptoRng) -> Self {
        let coefficients = ternary(context.degree(), rng);
        let words = context.lift_small(&coefficients, context.parameters().moduli().len());
        Self { context: Arc::clone(context), words: Zeroizing::new(words) }
    }

    /// The tables it belongs to.
    pub const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// (−(a s + e), a) for the first `moduli` moduli: an encryption of 0.
    fn zero(&self, moduli: usize, rng: &mut dyn CryptoRng) -> ([Vec<u64>; 2], Seed) {
        let (context, seed) = (&self.context, seed(rng));
        let a = seed.expand(&context.parameters().moduli()[..moduli], context.degree());
        (self.hide(a, rng), seed)
    }

    /// (−(a s + e), a) for an `a` that is uniform and transformed.
    pub(crate) fn hide(&self, a: Vec<u64>, rng: &mut dyn CryptoRng) -> [Vec<u64>; 2] {
        let (context, moduli) = (&self.context, a.len() / self.context.degree());
        let mut b = context.lift_small(&errors(context.degree(), rng), moduli);
        context.add_products(&mut b, &a, &self.words);
        context.limbs(&mut b).for_each(|(it, limb)| it.modulus().neg_assign(limb));
        [b, a]
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The key of these words, which are those of one ternary polynomial.
    pub(crate) fn of(context: &Arc<Context>, words: Zeroizing<Vec<u64>>) -> Self {
        Self { context: Arc::clone(context), words }
    }

    /// A key for anyone to encrypt with.
    pub fn public(&self, rng: &mut dyn CryptoRng) -> PublicKey {
        let (pair, seed) = self.zero(self.context.parameters().moduli().len(), rng);
        PublicKey { context: Arc::clone(&self.context), pair, seed: Some(seed) }
    }

    /// A key for what is under `other`, over all moduli and transformed.
    fn switching(&self, other: &[u64], rng: &mut dyn CryptoRng) -> Result<SwitchingKey, HeError> {
        let context = &self.context;
        let (all, degree) = (context.parameters().moduli(), context.degree());
        let special = context.special()?;
        let (data, keys) = all.split_at(special.start);
        let digit = |part: Range<usize>| {
            let ([mut b, a], seed) = self.zero(all.len(), rng);
            for at in part {
                let modulus = data[at];
                let limb = at * degree..(at + 1) * degree;
                let mut scaled = Zeroizing::new(other[limb.clone()].to_vec());
                modulus.scale(&mut scaled, product(keys, modulus));
                modulus.add_assign(&mut b[limb], &scaled);
            }
            ([b, a], Some(seed))
        };
        let starts = (0..data.len()).step_by(keys.len());
        let parts = starts.map(|start| start..(start + keys.len()).min(data.len()));
        let (digits, seeds) = parts.map(digit).unzip();
        Ok(SwitchingKey { context: Arc::clone(context), special, digits, seeds })
    }

    /// A key that takes products of two ciphertexts back to two polynomials.
    ///
    /// # Errors
    /// [`HeError::Moduli`] if there is no modulus for keys.
    pub fn relinearisation(&self, rng: &mut dyn CryptoRng) -> Result<RelinearisationKey, HeError> {
        let mut square = Zeroizing::new(self.words.to_vec());
        self.context.each(&mut square, &self.words, Modulus::mul_assign);
        self.switching(&square, rng).map(RelinearisationKey)
    }

    /// Keys for rotations by these numbers of slots.
    ///
    /// # Errors
    /// [`HeError::Rotation`], [`HeError::Moduli`].
    pub fn rotations(&self, steps: &[i64], rng: &mut dyn CryptoRng) -> Result<GaloisKeys, HeError> {
        let elements = steps.iter().map(|steps| self.context.rotation(*steps));
        self.galois(&elements.collect::<Result<Vec<_>, _>>()?, rng)
    }

    /// Keys for these Galois elements.
    ///
    /// # Errors
    /// [`HeError::NoKey`] for an even element; [`HeError::Moduli`].
    pub fn galois(&self, elements: &[u64], rng: &mut dyn CryptoRng) -> Result<GaloisKeys, HeError> {
        let mut keys = BTreeMap::new();
        for element in elements {
            if element % 2 == 0 || *element >= 2 * self.context.degree() as u64 {
                return Err(HeError::NoKey { element: *element });
            }
            let moved = Zeroizing::new(self.context.permuted(&self.words, *element));
            keys.insert(*element, self.switching(&moved, rng)?);
        }
        Ok(GaloisKeys { context: Arc::clone(&self.context), keys })
    }

    /// Encrypts: half of the ciphertext is random.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`].
    pub fn encrypt(
        &self,
        plain: &Plaintext,
        rng: &mut dyn CryptoRng,
    ) -> Result<Ciphertext, HeError> {
        plain.context.same(&self.context)?;
        let moduli = &self.context.parameters().moduli()[..plain.moduli];
        let hidden = self.hide(uniform(moduli, self.context.degree(), rng), rng);
        Ok(Ciphertext::hiding(&self.context, &plain.words, hidden, plain.scale))
    }

    /// Encrypts, and keeps the seed that half of the ciphertext grows from: it is sent in its place.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`].
    pub fn encrypt_seeded(
        &self,
        plain: &Plaintext,
        rng: &mut dyn CryptoRng,
    ) -> Result<SeededCiphertext, HeError> {
        plain.context.same(&self.context)?;
        let (hidden, seed) = self.zero(plain.moduli, rng);
        let ciphertext = Ciphertext::hiding(&self.context, &plain.words, hidden, plain.scale);
        Ok(SeededCiphertext { ciphertext, seed })
    }

    /// Decrypts. What comes out of CKKS belongs to whoever has the key and to nobody else: its noise tells
    /// of the key (Li & Micciancio 2021, ePrint 2020/1533).
    ///
    /// # Errors
    /// [`HeError::OtherParameters`].
    pub fn decrypt(&self, ciphertext: &Ciphertext) -> Result<Plaintext, HeError> {
        ciphertext.context.same(&self.context)?;
        Ok(Plaintext {
            context: Arc::clone(&self.context),
            words: self.phase(ciphertext),
            moduli: ciphertext.moduli,
            scale: ciphertext.scale,
        })
    }

    /// c₀ + c₁ s + c₂ s² + …
    pub(crate) fn phase(&self, ciphertext: &Ciphertext) -> Vec<u64> {
        let mut sum = vec![0; ciphertext.moduli * self.context.degree()];
        // Horner: ((c2 s) + c1) s + c0.
        for (at, polynomial) in ciphertext.polynomials.iter().enumerate().rev() {
            self.context.each(&mut sum, polynomial, Modulus::add_assign);
            if at > 0 {
                self.context.each(&mut sum, &self.words, Modulus::mul_assign);
            }
        }
        sum
    }
}

impl PublicKey {
    pub(crate) fn of(context: &Arc<Context>, pair: [Vec<u64>; 2], seed: Option<Seed>) -> Self {
        Self { context: Arc::clone(context), pair, seed }
    }

    /// The tables it belongs to.
    pub const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(crate) const fn pair(&self) -> &[Vec<u64>; 2] {
        &self.pair
    }

    pub(crate) const fn seed(&self) -> Option<Seed> {
        self.seed
    }

    /// Encrypts: over one more modulus, by which it is divided, so that the error is that of a fresh
    /// ciphertext of the secret key.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`].
    pub fn encrypt(
        &self,
        plain: &Plaintext,
        rng: &mut dyn CryptoRng,
    ) -> Result<Ciphertext, HeError> {
        plain.context.same(&self.context)?;
        let hidden = self.zero(plain.moduli, rng);
        Ok(Ciphertext::hiding(&self.context, &plain.words, hidden, plain.scale))
    }

    /// An encryption of 0 for the first `moduli` moduli.
    pub(crate) fn zero(&self, moduli: usize, rng: &mut dyn CryptoRng) -> [Vec<u64>; 2] {
        let (context, degree) = (&self.context, self.context.degree());
        let more = usize::from(moduli < context.parameters().moduli().len());
        let u = Zeroizing::new(context.lift_small(&ternary(degree, rng), moduli + more));
        let mut half = |key: &[u64]| {
            let mut words = context.lift_small(&errors(degree, rng), moduli + more);
            context.add_products(&mut words, key, &u);
            if more > 0 {
                let (kept, last) = words.split_at_mut(moduli * degree);
                context.divide(kept, last, moduli);
            }
            words.truncate(moduli * degree);
            words
        };
        [half(&self.pair[0]), half(&self.pair[1])]
    }
}

impl GaloisKeys {
    pub(crate) fn of(context: &Arc<Context>, keys: BTreeMap<u64, SwitchingKey>) -> Self {
        Self { context: Arc::clone(context), keys }
    }

    pub(crate) const fn all(&self) -> &BTreeMap<u64, SwitchingKey> {
        &self.keys
    }

    pub(crate) fn key(&self, element: u64) -> Result<&SwitchingKey, HeError> {
        self.keys.get(&element).ok_or(HeError::NoKey { element })
    }

    /// The Galois elements that there are keys for.
    pub fn elements(&self) -> impl Iterator<Item = u64> {
        self.keys.keys().copied()
    }

    /// The tables they belong to.
    pub const fn context(&self) -> &Arc<Context> {
        &self.context
    }
}

impl SwitchingKey {
    pub(crate) fn of(
        context: &Arc<Context>,
        digits: Vec<[Vec<u64>; 2]>,
        seeds: Vec<Option<Seed>>,
    ) -> Result<Self, HeError> {
        Ok(Self { context: Arc::clone(context), special: context.special()?, digits, seeds })
    }

    /// The places of the moduli for keys.
    pub(crate) fn special(&self) -> Range<usize> {
        self.special.clone()
    }

    pub(crate) fn seeds(&self) -> &[Option<Seed>] {
        &self.seeds
    }

    pub(crate) const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// For each part a pair over all moduli.
    pub(crate) fn pairs(&self) -> &[[Vec<u64>; 2]] {
        &self.digits
    }
}
