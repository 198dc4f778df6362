//! CKKS: approximate arithmetic on encrypted numbers.

mod encoder;
mod evaluate;
mod hoist;

pub use encoder::{Complex, Encoder};

use std::sync::Arc;

use nexus_field::rns::Modulus;

use crate::context::Context;
use crate::seal::Seed;

/// A polynomial, transformed, for the first moduli; its numbers are multiplied by a scale.
#[derive(Clone, Debug)]
pub struct Plaintext {
    pub(crate) context: Arc<Context>,
    pub(crate) words: Vec<u64>,
    pub(crate) moduli: usize,
    pub(crate) scale: f64,
}

/// Two polynomials or more, transformed, for the first moduli: c₀ + c₁ s + c₂ s² + … is the message and
/// a small error.
#[derive(Clone, Debug)]
pub struct Ciphertext {
    pub(crate) context: Arc<Context>,
    pub(crate) polynomials: Vec<Vec<u64>>,
    pub(crate) moduli: usize,
    pub(crate) scale: f64,
}

/// A fresh ciphertext of two polynomials, of which the second grows from a seed.
#[derive(Clone, Debug)]
pub struct SeededCiphertext {
    pub(crate) ciphertext: Ciphertext,
    pub(crate) seed: Seed,
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

impl Plaintext {
    /// How many moduli it has.
    pub const fn moduli(&self) -> usize {
        self.moduli
    }

    /// What its numbers are multiplied by.
    pub const fn scale(&self) -> f64 {
        self.scale
    }

    /// Its words, modulus by modulus.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

impl Ciphertext {
    pub(crate) fn new(
        context: &Arc<Context>,
        polynomials: Vec<Vec<u64>>,
        moduli: usize,
        scale: f64,
    ) -> Self {
        Self { context: Arc::clone(context), polynomials, moduli, scale }
    }

    /// A message added to an encryption of 0.
    pub(crate) fn hiding(
        context: &Arc<Context>,
        message: &[u64],
        [mut b, a]: [Vec<u64>; 2],
        scale: f64,
    ) -> Self {
        context.each(&mut b, message, Modulus::add_assign);
        Self::new(context, vec![b, a], message.len() / context.degree(), scale)
    }

    /// How many moduli it has left.
    pub const fn moduli(&self) -> usize {
        self.moduli
    }

    /// What its numbers are multiplied by.
    pub const fn scale(&self) -> f64 {
        self.scale
    }

    /// How many polynomials it has: two, and more after products.
    pub fn size(&self) -> usize {
        self.polynomials.len()
    }

    /// Its polynomials, modulus by modulus.
    pub fn polynomials(&self) -> &[Vec<u64>] {
        &self.polynomials
    }
}

#[cfg(test)]
mod tests;
