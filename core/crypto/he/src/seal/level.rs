//! The levels of parameters, and the ids that name them.

use nexus_field::rns::Modulus;

use super::{Limits, SealError};
use crate::{Parameters, ParametersId};

/// What stands in place of an id where there is none.
pub(super) const NO_ID: ParametersId = ParametersId([0; 32]);

/// A level: the first primes of the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Its id.
    pub id: ParametersId,
    /// How many primes it has.
    pub limbs: usize,
    /// Bits of their product.
    pub bits: u32,
}

/// Valid parameters with their levels, against which every other object is read.
#[derive(Clone, Debug)]
pub struct Context {
    parameters: Parameters,
    /// That of keys first, then downward.
    levels: Vec<Level>,
    limits: Limits,
}

impl Context {
    /// The context of these parameters, with default limits.
    pub fn new(parameters: Parameters) -> Self {
        let level = |limbs: usize| {
            let moduli = parameters.moduli().get(..limbs)?;
            Some(Level { id: parameters.id(limbs)?, limbs, bits: product_bits(moduli) })
        };
        let data = (1..=parameters.top()).rev();
        let keys = (parameters.special() > 0).then_some(parameters.moduli().len());
        let levels = keys.into_iter().chain(data).filter_map(level).collect();
        Self { parameters, levels, limits: Limits::default() }
    }

    /// The same context with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// How much one object may take.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// All levels: that of keys, then downward.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// The level of keys: all primes.
    pub fn key_level(&self) -> Level {
        self.levels.first().copied().unwrap_or(Level { id: NO_ID, limbs: 0, bits: 0 })
    }

    /// The first level of data: without the special prime, if there is one.
    pub fn first_level(&self) -> Level {
        self.levels.get(1).copied().unwrap_or_else(|| self.key_level())
    }

    /// The primes of a level.
    pub fn moduli(&self, level: Level) -> &[Modulus] {
        self.parameters.moduli().get(..level.limbs).unwrap_or_default()
    }

    /// Parts of a key for switching, one for each data prime if one prime is for keys; none where none is.
    pub fn key_parts(&self) -> Option<usize> {
        (self.levels.len() > 1).then(|| self.parameters.parts(self.first_level().limbs))
    }

    /// The level of data with that id.
    ///
    /// # Errors
    ///
    /// No level has it, or it is that of keys alone.
    pub fn data_level(&self, id: ParametersId) -> Result<Level, SealError> {
        let found = self.levels.iter().position(|level| level.id == id);
        match found.ok_or(SealError::Level { got: id })? {
            0 if self.levels.len() > 1 => Err(SealError::KeyLevel),
            index => self.levels.get(index).copied().ok_or(SealError::Level { got: id }),
        }
    }

    /// That `id` is that of keys.
    pub(super) fn check_key_level(&self, id: ParametersId) -> Result<Level, SealError> {
        let level = self.key_level();
        if level.id == id { Ok(level) } else { Err(SealError::NotKeyLevel { got: id }) }
    }
}

/// Bits of the product of the moduli.
fn product_bits(moduli: &[Modulus]) -> u32 {
    let mut product = vec![1_u64];
    for modulus in moduli {
        let mut carry = 0;
        for word in &mut product {
            (*word, carry) = word.carrying_mul(modulus.value(), carry);
        }
        if carry > 0 {
            product.push(carry);
        }
    }
    product.iter().rev().fold(0, |bits, word| match bits {
        0 => u64::BITS - word.leading_zeros(),
        _ => bits + u64::BITS,
    })
}
