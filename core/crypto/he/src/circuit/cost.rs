//! What a circuit costs, before it is run.

use super::PlanError;
use crate::Parameters;

/// What a circuit costs. All of it follows from the plan; nothing is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Rotations, each of which switches keys.
    pub rotations: usize,
    /// Products of ciphertexts, each of which switches keys.
    pub multiplications: usize,
    /// Products with plaintexts.
    pub products: usize,
    /// Transforms of one polynomial modulo one prime, which most of the time is spent with.
    pub transforms: usize,
    /// Bytes of the weights in memory.
    pub weight_bytes: usize,
    /// Bytes of one user's keys in memory.
    pub key_bytes: usize,
    /// Bytes of one input, of which half follow from a seed if the secret key made it.
    pub input_bytes: usize,
    /// Bytes of one answer.
    pub output_bytes: usize,
}

/// The most that a circuit may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the weights in memory.
    pub weight_bytes: usize,
    /// Bytes of one user's keys in memory.
    pub key_bytes: usize,
    /// Bytes of one input in memory.
    pub input_bytes: usize,
    /// Transforms of one evaluation.
    pub transforms: usize,
}

impl Default for Limits {
    /// 4 GiB of weights, 1 GiB of keys and of an input, and a million transforms: a minute or so.
    fn default() -> Self {
        Self {
            weight_bytes: 4 << 30,
            key_bytes: 1 << 30,
            input_bytes: 1 << 30,
            transforms: 1_000_000,
        }
    }
}

impl Cost {
    /// Transforms of one switch of keys at a level of `moduli` moduli.
    pub(super) fn switch(moduli: usize, parameters: &Parameters) -> usize {
        Self::halves(moduli, parameters).into_iter().sum()
    }

    /// The same in two: a polynomial taken apart, each part modulo all others and the moduli for keys;
    /// and two sums divided by these.
    pub(super) fn halves(moduli: usize, parameters: &Parameters) -> [usize; 2] {
        let all = moduli + parameters.special();
        [parameters.parts(moduli) * all, 2 * all]
    }

    /// Transforms of dropping the last of `moduli` moduli.
    pub(super) const fn rescale(moduli: usize) -> usize {
        2 * moduli
    }

    /// Transforms that take as long as so many products of a ciphertext of `moduli` moduli and a whole
    /// number, as measured: 16 words are multiplied in the time of one that is transformed.
    pub(super) const fn columns(products: usize, moduli: usize) -> usize {
        2 * moduli * products / 16
    }

    pub(super) fn check(&self, limits: &Limits) -> Result<(), PlanError> {
        let all = [
            ("bytes of weights", self.weight_bytes, limits.weight_bytes),
            ("bytes of a user's keys", self.key_bytes, limits.key_bytes),
            ("bytes of an input", self.input_bytes, limits.input_bytes),
            ("transforms", self.transforms, limits.transforms),
        ];
        all.into_iter().try_for_each(|(what, got, limit)| {
            if got > limit { Err(PlanError::Large { what, got, limit }) } else { Ok(()) }
        })
    }
}
