//! BFV: exact arithmetic on encrypted integers modulo t (Fan & Vercauteren 2012, ePrint 2012/144).
//!
//! A polynomial m modulo t is hidden as c₀ + c₁ s = ⌊(Q m + ⌊(t + 1)/2⌋)/t⌋ + e: the message above, a
//! small error below. What is computed is exact as long as the error stays below Q/2t; how many bits
//! are left of that, only the owner of the key can tell ([`noise_budget`](crate::SecretKey::noise_budget)).
//! Whoever plans a computation has [`Noise`], bounds on the error before anything is encrypted.
//!
//! Where t is a prime that is 1 modulo 2N, an [`Encoder`] puts N integers into slots: two rows of N/2
//! that rotate together.
//!
//! In memory polynomials are transformed, so that products with known ones and rotations need no
//! transforms; in SEAL's format they are coefficients. Everything but products of two
//! ciphertexts gives the words that SEAL gives.
//!
//! # Products of two ciphertexts
//!
//! Their polynomials as integers, centred, are multiplied without a remainder, in a second base of primes
//! P beside Q; the product times t/Q, rounded, is what goes on. With r = t·x mod Q centred, that is
//! (t·x − r)/Q, computed modulo P and extended to Q (Halevi, Polyakov & Shoup 2018, ePrint 2018/117).
//! An extension of x from primes qᵢ to p is Σ yᵢ·(Q/qᵢ) − v·Q with yᵢ = x·(Q/qᵢ)^−1 mod qᵢ and v the
//! integer next to Σ yᵢ/qᵢ, which 57 bits of each fraction give: wrong only where x is within 2^−50 of
//! Q/2, and then off by Q, which is still x. P is above 2·t·N·Q, so the quotient, below t·N·Q/2,
//! has no such doubt.
//!
//! # Example
//!
//! ```
//! use nexus_he::{Context, Parameters, SecretKey, bfv};
//! use rand_chacha::rand_core::SeedableRng;
//!
//! // The operating system's, outside of examples.
//! let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
//! let context = Context::new(Parameters::bfv(4096, &[36, 36, 37], 20)?)?;
//! let (encoder, secret) = (bfv::Encoder::new(&context)?, SecretKey::generate(&context, &mut rng));
//! let key = secret.relinearisation(&mut rng)?;
//!
//! let numbers = secret.encrypt_integers(&encoder.encode(&[7, -3, 100])?, &mut rng)?;
//! let squares = numbers.multiply(&numbers)?.relinearise(&key)?;
//!
//! let squares = encoder.decode(&secret.decrypt_integers(&squares)?)?;
//! assert_eq!(squares[..4], [49, 9, 10_000, 0]);
//! # Ok::<(), nexus_he::HeError>(())
//! ```

mod encoder;
mod evaluate;
mod keys;
mod noise;
mod tables;
#[cfg(test)]
mod tests;

pub use encoder::Encoder;
pub use noise::Noise;
pub(crate) use tables::Tables;

use std::fmt;
use std::sync::Arc;

use crate::context::Context;
use crate::seal::Seed;
use crate::{HeError, ckks};

/// A polynomial of N coefficients modulo t.
#[derive(Clone, PartialEq, Eq)]
pub struct Plaintext {
    coefficients: Vec<u64>,
}

/// Shows no coefficient: they are somebody's data.
impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plaintext")
            .field("degree", &self.coefficients.len())
            .finish_non_exhaustive()
    }
}

impl Plaintext {
    /// These coefficients, then zeros.
    ///
    /// # Errors
    /// [`HeError::Scheme`] unless the parameters are of BFV; [`HeError::Values`] for more than N;
    /// [`HeError::Word`] for one that is not below t.
    pub fn new(context: &Context, coefficients: &[u64]) -> Result<Self, HeError> {
        let (plain, limit) = (context.integers()?.plain(), context.degree());
        if coefficients.len() > limit {
            return Err(HeError::Values { got: coefficients.len(), limit });
        }
        if let Some(index) = coefficients.iter().position(|word| *word >= plain) {
            return Err(HeError::Word { index, got: coefficients[index], modulus: plain });
        }
        let mut coefficients = coefficients.to_vec();
        coefficients.resize(limit, 0);
        Ok(Self { coefficients })
    }

    /// All N coefficients, below t.
    pub fn coefficients(&self) -> &[u64] {
        &self.coefficients
    }
}

/// A plaintext made ready to be multiplied by: centred and transformed for the first moduli.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it is somebody's data")]
pub struct Factor(ckks::Plaintext);

/// Encrypted integers: two polynomials or more, transformed, for the first moduli. In the ring it is
/// what a ciphertext of CKKS with scale 1 is; what it hides is read in another way.
#[derive(Clone, Debug)]
pub struct Ciphertext(ckks::Ciphertext);

/// A fresh ciphertext of two polynomials, of which the second grows from a seed.
#[derive(Clone, Debug)]
pub struct SeededCiphertext {
    ciphertext: Ciphertext,
    seed: Seed,
}

impl SeededCiphertext {
    /// The ciphertext.
    pub const fn ciphertext(&self) -> &Ciphertext {
        &self.ciphertext
    }

    /// The seed.
    pub const fn seed(&self) -> Seed {
        self.seed
    }
}

impl From<SeededCiphertext> for Ciphertext {
    fn from(seeded: SeededCiphertext) -> Self {
        seeded.ciphertext
    }
}

impl Ciphertext {
    /// The ciphertext of these polynomials, which are transformed.
    pub(crate) fn new(context: &Arc<Context>, polynomials: Vec<Vec<u64>>, moduli: usize) -> Self {
        Self(ckks::Ciphertext::new(context, polynomials, moduli, 1.0))
    }

    /// The tables it belongs to.
    pub const fn context(&self) -> &Arc<Context> {
        &self.0.context
    }

    /// How many moduli it has left.
    pub const fn moduli(&self) -> usize {
        self.0.moduli()
    }

    /// How many polynomials it has: two, and three after a product.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Its polynomials, transformed, modulus by modulus.
    pub fn polynomials(&self) -> &[Vec<u64>] {
        self.0.polynomials()
    }
}
