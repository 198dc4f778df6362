//! Circuits whose weights are encrypted, too: whoever computes sees neither vectors nor model.
//!
//! The owner of a model encrypts its weights under the key that its users have, and hands them to
//! whoever computes, with an [`Outline`]: which rotations and functions follow each other. Products of
//! two ciphertexts take the place of products with a plaintext.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, CryptoRng};

use super::program::Program;
use super::ready::{Activation, Builder, Linear, Ready};
use super::{Limits, Plan, PlanError, Terms};
use crate::linear::{self, LinearMap, scales};
use crate::{Ciphertext, HeError, Polynomial, SecretKey, SeededCiphertext};

/// Steps, with the folds in them, and encrypted weights that an outline may have.
const MAX_STEPS: usize = 256;
const MAX_WEIGHTS: usize = 1 << 14;

/// A circuit without the numbers of its matrices.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Outline {
    terms: Terms,
    steps: Vec<Step>,
    /// Whether the answer has slots that its user must not see.
    residue: bool,
}

#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
enum Step {
    Linear(linear::Steps),
    Polynomial(Vec<f64>),
}

impl Canonical for Outline {
    const DOMAIN: &'static str = "nexus/he/outline";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 1 << 20;
}

impl Plan {
    /// The same plan for weights that are encrypted, too.
    ///
    /// # Errors
    /// [`PlanError::Large`] if it costs more than `limits` then.
    pub fn sealed(mut self, limits: &Limits) -> Result<Self, PlanError> {
        self.terms.relinearise = true;
        self.cost.key_bytes = self.terms.key_bytes();
        self.cost.weight_bytes *= 2;
        self.cost.check(limits)?;
        Ok(self)
    }
}

impl Program {
    /// The circuit without the numbers of its matrices.
    pub fn outline(&self) -> Outline {
        let step = |step: &Ready<Linear>| match step {
            Ready::Linear(map) => Step::Linear(map.steps()),
            Ready::Activation(Activation::Square) => Step::Polynomial(vec![0.0, 0.0, 1.0]),
            Ready::Activation(Activation::Polynomial(it, _)) => {
                Step::Polynomial(it.coefficients().to_vec())
            }
        };
        let steps = self.steps.all.iter().map(step).collect();
        Outline { terms: self.steps.terms.clone(), steps, residue: self.residue }
    }

    /// All weights, encrypted, in the order of the outline. Those that are encrypted already are left
    /// out.
    ///
    /// # Errors
    /// [`HeError::OtherParameters`].
    pub fn weights(
        &self,
        secret: &SecretKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<SeededCiphertext>, HeError> {
        let mut all = Vec::new();
        for step in &self.steps.all {
            if let Ready::Linear(Linear::Known(map)) = step {
                all.extend(map.sealed(secret, rng)?);
            }
        }
        Ok(all)
    }
}

impl Outline {
    /// What users are told.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// How many ciphertexts its weights are.
    pub fn ciphertexts(&self) -> usize {
        let weights = |step: &Step| match step {
            Step::Linear((giants, _)) => {
                1 + giants.iter().map(|(_, babies)| babies.len()).sum::<usize>()
            }
            Step::Polynomial(_) => 0,
        };
        self.steps.iter().map(weights).sum()
    }

    /// That it has a size that one takes from strangers.
    ///
    /// # Errors
    /// [`HeError::Values`], [`HeError::Bytes`].
    pub fn check(&self) -> Result<(), HeError> {
        let folds = |step: &Step| match step {
            Step::Linear((_, folds)) => folds.len(),
            Step::Polynomial(_) => 0,
        };
        let steps = self.steps.len() + self.steps.iter().map(folds).sum::<usize>();
        for (got, limit) in [(steps, MAX_STEPS), (self.ciphertexts(), MAX_WEIGHTS)] {
            if got > limit {
                return Err(HeError::Values { got, limit });
            }
        }
        let pair = 16 * u64::from(self.terms.degree) * self.terms.moduli.len() as u64;
        let got = pair.saturating_mul(self.ciphertexts() as u64);
        let limit = Limits::default().weight_bytes as u64;
        if got > limit {
            return Err(HeError::Bytes { what: "encrypted weights", got, limit });
        }
        Ok(())
    }

    /// The circuit with these weights: those of [`Program::weights`].
    ///
    /// # Errors
    /// [`HeError`] if the outline is none, or weights are not as it has them.
    pub fn program(&self, weights: Vec<Ciphertext>) -> Result<Program, HeError> {
        self.check()?;
        let (got, needed) = (weights.len(), self.ciphertexts());
        let missing = HeError::Width { got, needed };
        if got != needed {
            return Err(missing);
        }
        let mut builder = Builder::new(&self.terms)?;
        let mut weights = weights.into_iter();
        for step in &self.steps {
            match step {
                Step::Linear(steps) => {
                    let (at, left) = (builder.moduli, builder.moduli.saturating_sub(1));
                    let modulus = builder.encoder.context().modulus(left).value() as f64;
                    let [unit, scale] = scales(modulus, builder.scales);
                    let count = steps.0.iter().map(|(_, babies)| babies.len()).sum::<usize>();
                    let mut own: Vec<Ciphertext> = weights.by_ref().take(count + 1).collect();
                    for (place, it) in own.iter().enumerate() {
                        let (moduli, scale) =
                            if place < count { (at, unit) } else { (left, scale) };
                        it.check("a weight", moduli, scale)?;
                        it.context.same(builder.encoder.context())?;
                    }
                    let map = LinearMap::of(steps, &mut own.drain(..));
                    builder.linear(Linear::Sealed(map.ok_or(missing.clone())?), scale)?;
                }
                Step::Polynomial(coefficients) => {
                    builder.polynomial(&Polynomial::new(coefficients.clone())?)?;
                }
            }
        }
        let (got, needed) = (builder.moduli, usize::from(self.terms.left));
        if got != needed {
            return Err(HeError::Level { what: "the answer", got, needed });
        }
        Ok(Program { steps: builder.build(&self.terms), residue: self.residue })
    }
}
