//! What the user of a circuit is told.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, CryptoRng};

use super::EvaluationKeys;
use crate::{
    Ciphertext, Context, Encoder, HeError, Layout, Parameters, Plaintext, Scheme, SecretKey,
};

/// The most rotations that a circuit may ask keys for.
pub(super) const MAX_ROTATIONS: usize = 256;

/// What numbers of an answer may be multiplied by.
pub(super) const UNITS: std::ops::RangeInclusive<f64> = UNIT.recip()..=UNIT;
const UNIT: f64 = (1_u128 << 64) as f64;

/// The most bytes that keys, a question and an answer take in memory, as [`super::Limits`] have it by
/// default: whoever makes and reads them did not choose the circuit.
const MAX_BYTES: u64 = 1 << 30;

/// All that the holder of a key must know of a circuit to use it. Nothing of it is secret, and nothing
/// in it tells of weights but their number.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Terms {
    /// N.
    pub degree: u32,
    /// The primes, those for keys last.
    pub moduli: Vec<u64>,
    /// How many of them are for keys.
    pub special: u8,
    /// Scale of the input.
    pub scale: f64,
    /// Numbers of the input.
    pub inputs: u32,
    /// Slots in a row for each of them.
    pub run: u32,
    /// Whether there is a ciphertext for each number, with a slot for each of many vectors; then
    /// `outputs` are places among the ciphertexts of an answer.
    pub batch: bool,
    /// Rotations that keys are needed for, ascending.
    pub rotations: Vec<i32>,
    /// Whether a key for products is needed.
    pub relinearise: bool,
    /// The slot of each number of the answer, or its ciphertext.
    pub outputs: Vec<u32>,
    /// Moduli of the answer.
    pub left: u8,
    /// What a number of the answer is multiplied by after it is decrypted.
    pub unit: f64,
}

impl Canonical for Terms {
    const DOMAIN: &'static str = "nexus/he/terms";
    const VERSION: u8 = 2;
    const MAX_BYTES: usize = 1 << 18;
}

impl Terms {
    /// The tables of its parameters, after a look at everything.
    ///
    /// # Errors
    /// [`HeError`] naming what is wrong.
    pub fn context(&self) -> Result<Arc<Context>, HeError> {
        let degree = self.degree as usize;
        let mut parameters = Parameters::new(Scheme::Ckks, degree, &self.moduli, None)?;
        if parameters.special() != usize::from(self.special) {
            parameters = parameters.with_special(self.special.into())?;
        }
        let (slots, top) = (degree / 2, parameters.top());
        if !(self.scale.is_normal() && self.scale >= 1.0) {
            let problem = "it must be a normal number from 1";
            return Err(HeError::Number { what: "the scale", got: self.scale, problem });
        }
        if !UNITS.contains(&self.unit) {
            let problem = "it must be from 2^-64 to 2^64";
            return Err(HeError::Number { what: "the unit", got: self.unit, problem });
        }
        if self.rotations.len() > MAX_ROTATIONS {
            return Err(HeError::Values { got: self.rotations.len(), limit: MAX_ROTATIONS });
        }
        for step in &self.rotations {
            if *step == 0 || step.unsigned_abs() as usize >= slots {
                return Err(HeError::Rotation { got: (*step).into(), limit: slots });
            }
        }
        self.check_bytes()?;
        if self.outputs.is_empty() || self.outputs.len() > slots {
            return Err(HeError::Values { got: self.outputs.len(), limit: slots });
        }
        if let Some(slot) = self.outputs.iter().find(|slot| **slot as usize >= slots) {
            return Err(HeError::Values { got: *slot as usize, limit: slots });
        }
        if !(1..=top).contains(&usize::from(self.left)) {
            let (got, needed) = (self.left.into(), top);
            return Err(HeError::Level { what: "the answer", got, needed });
        }
        if !self.batch {
            self.layout()?;
        } else if self.inputs == 0 {
            return Err(HeError::Width { got: 0, needed: 1 });
        }
        Context::new(parameters)
    }

    /// How many vectors go into one input.
    pub const fn vectors(&self) -> usize {
        if self.batch { self.degree as usize / 2 } else { 1 }
    }

    /// Many vectors as plaintexts, number by number; slots without a vector are 0.
    ///
    /// # Errors
    /// [`HeError::Values`] for more vectors than slots, [`HeError::Width`] unless all have as many
    /// numbers as an input, and as [`Encoder::encode`].
    pub fn pack_columns(
        &self,
        encoder: &Encoder,
        vectors: &[Vec<f64>],
    ) -> Result<Vec<Plaintext>, HeError> {
        let needed = self.inputs as usize;
        if let Some(wrong) = vectors.iter().find(|vector| vector.len() != needed) {
            return Err(HeError::Width { got: wrong.len(), needed });
        }
        let column = |at: usize| -> Vec<f64> { vectors.iter().map(|vector| vector[at]).collect() };
        (0..needed).map(|at| encoder.encode(&column(at), self.scale)).collect()
    }

    /// Bytes of two polynomials of so many moduli.
    const fn pair(&self, moduli: usize) -> usize {
        2 * moduli * self.degree as usize * 8
    }

    /// Moduli for data.
    fn top(&self) -> usize {
        self.moduli.len().saturating_sub(self.special.into()).max(1)
    }

    /// Bytes of a user's keys in memory.
    pub fn key_bytes(&self) -> usize {
        let keys = self.rotations.len() + usize::from(self.relinearise);
        let parts = self.top().div_ceil(usize::from(self.special.max(1)));
        keys * parts * self.pair(self.moduli.len())
    }

    /// Bytes of a question in memory.
    pub fn input_bytes(&self) -> usize {
        let inputs = if self.batch { self.inputs as usize } else { 1 };
        inputs * self.pair(self.top())
    }

    /// Bytes of an answer in memory.
    pub fn output_bytes(&self) -> usize {
        let outputs = if self.batch { self.outputs.len() } else { 1 };
        outputs * self.pair(self.left.into())
    }

    /// That keys, a question and an answer have a size that one takes from strangers.
    fn check_bytes(&self) -> Result<(), HeError> {
        let all = [
            ("keys", self.key_bytes()),
            ("a question", self.input_bytes()),
            ("an answer", self.output_bytes()),
        ];
        let limit = MAX_BYTES;
        let all = all.map(|(what, got)| (what, got as u64));
        let large = all.into_iter().find(|(_, got)| *got > limit);
        large.map_or(Ok(()), |(what, got)| Err(HeError::Bytes { what, got, limit }))
    }

    /// Where the numbers of the input are.
    ///
    /// # Errors
    /// As [`Layout::runs`].
    pub fn layout(&self) -> Result<Layout, HeError> {
        Layout::runs(self.inputs as usize, self.run as usize, self.degree as usize / 2)
    }

    /// The input as a plaintext.
    ///
    /// # Errors
    /// [`HeError::Width`], and as [`Encoder::encode`].
    pub fn pack(&self, encoder: &Encoder, values: &[f64]) -> Result<Plaintext, HeError> {
        encoder.encode(&self.layout()?.pack(values, encoder.slots())?, self.scale)
    }

    /// The answer, from the slots of a decrypted one.
    pub fn unpack(&self, slots: &[f64]) -> Vec<f64> {
        let number = |slot: &u32| slots.get(*slot as usize).map(|number| number * self.unit);
        self.outputs.iter().filter_map(number).collect()
    }

    /// The answer for one of many vectors, from the slots of all decrypted ciphertexts.
    pub fn unpack_row(&self, slots: &[Vec<f64>], row: usize) -> Vec<f64> {
        let numbers = slots.iter().filter_map(|slots| slots.get(row));
        numbers.map(|number| number * self.unit).collect()
    }

    /// The keys that it asks for.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`], and as [`SecretKey::rotations`].
    pub fn keys(
        &self,
        secret: &SecretKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<EvaluationKeys, HeError> {
        let steps: Vec<i64> = self.rotations.iter().map(|step| (*step).into()).collect();
        let relinearise = self.relinearise.then(|| secret.relinearisation(rng)).transpose()?;
        Ok(EvaluationKeys { relinearise, rotate: secret.rotations(&steps, rng)? })
    }

    /// Whether a ciphertext can be an answer.
    ///
    /// # Errors
    /// [`HeError::Size`], [`HeError::Level`].
    pub fn check_answer(&self, answer: &Ciphertext) -> Result<(), HeError> {
        let (got, needed) = (answer.size(), 2);
        if got != needed {
            return Err(HeError::Size { what: "an answer", got, needed });
        }
        let (got, needed) = (answer.moduli(), usize::from(self.left));
        if got == needed { Ok(()) } else { Err(HeError::Level { what: "the answer", got, needed }) }
    }

    /// Whether a ciphertext is an input.
    ///
    /// # Errors
    /// [`HeError::Size`], [`HeError::Level`], [`HeError::Scale`].
    pub fn check(&self, input: &Ciphertext) -> Result<(), HeError> {
        input.check("the input", self.top(), self.scale)
    }
}
