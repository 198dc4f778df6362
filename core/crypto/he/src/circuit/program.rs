//! A circuit that computes.

use std::sync::Arc;

use nexus_types::CryptoRng;

use super::Terms;
use super::plan::{Plan, Step};
use crate::{
    Ciphertext, Context, Encoder, GaloisKeys, HeError, LinearMap, Polynomial, RelinearisationKey,
};

/// The keys that a user gives to whoever computes.
#[derive(Clone, Debug)]
pub struct EvaluationKeys {
    /// For products.
    pub relinearise: Option<RelinearisationKey>,
    /// For rotations.
    pub rotate: GaloisKeys,
}

#[derive(Clone, Debug)]
enum Ready {
    Linear(LinearMap),
    Square,
    Polynomial(Polynomial, f64),
}

/// A circuit with its weights encoded. It can be shared between threads.
#[derive(Clone, Debug)]
pub struct Program {
    encoder: Encoder,
    terms: Terms,
    steps: Vec<Ready>,
    pub(super) residue: bool,
}

impl Program {
    pub(super) fn new(plan: &Plan) -> Result<Self, HeError> {
        let context = plan.terms.context()?;
        let encoder = Encoder::new(&context)?;
        let aim = plan.terms.scale;
        let (mut moduli, mut scale) = (context.parameters().top(), aim);
        let mut steps = Vec::new();
        for step in &plan.steps {
            match step {
                Step::Linear { route, bias } => {
                    let map = LinearMap::new(&encoder, route, bias, moduli, [scale, aim])?;
                    (moduli, scale) = (moduli - 1, map.scale());
                    steps.push(Ready::Linear(map));
                }
                Step::Square => {
                    moduli -= 1;
                    scale = scale * scale / context.modulus(moduli).value() as f64;
                    steps.push(Ready::Square);
                }
                Step::Polynomial(polynomial) => {
                    (moduli, scale) = (moduli - polynomial.depth(), aim);
                    steps.push(Ready::Polynomial(polynomial.clone(), aim));
                }
            }
        }
        Ok(Self { encoder, terms: plan.terms.clone(), steps, residue: plan.residue })
    }

    /// What its users are told.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The tables of its parameters.
    pub const fn context(&self) -> &Arc<Context> {
        self.encoder.context()
    }

    /// The answer to an input. Slots that hold parts of sums are covered with random numbers; `rng` must
    /// be the operating system's.
    ///
    /// # Errors
    /// [`HeError`] if the input is not as [`Terms`] say, or a key is missing or of other parameters.
    pub fn run(
        &self,
        input: &Ciphertext,
        keys: &EvaluationKeys,
        rng: &mut dyn CryptoRng,
    ) -> Result<Ciphertext, HeError> {
        self.terms.check(input)?;
        let relinearise = || keys.relinearise.as_ref().ok_or(HeError::NoKey { element: 1 });
        let mut value = input.clone();
        for step in &self.steps {
            value = match step {
                Ready::Linear(map) => map.apply(&value, &keys.rotate)?,
                Ready::Square => value.multiply(&value)?.relinearise(relinearise()?)?.rescale()?,
                Ready::Polynomial(polynomial, scale) => {
                    polynomial.evaluate(&value, *scale, &self.encoder, relinearise()?)?
                }
            };
        }
        if self.residue { self.covered(&value, rng) } else { Ok(value) }
    }

    /// Adds random numbers to all slots but those of the answer, as large as the modulus allows:
    /// coefficients have 1/√N of the size of numbers, and stay below 6/16 of half the modulus.
    fn covered(&self, value: &Ciphertext, rng: &mut dyn CryptoRng) -> Result<Ciphertext, HeError> {
        let moduli = value.moduli();
        let moduli_of = self.context().parameters().moduli()[..moduli].iter();
        let product: f64 = moduli_of.map(|modulus| modulus.value() as f64).product();
        // What an encoder takes as exact is below 2^61.
        let room = product.min(2_f64.powi(61)) / value.scale();
        let size = room / 2.0 * (self.context().degree() as f64).sqrt() / 16.0;
        let mut number = || (rng.next_u64() >> 11) as f64 / 2_f64.powi(52) - 1.0;
        let mut slots: Vec<f64> = (0..self.encoder.slots()).map(|_| size * number()).collect();
        for slot in &self.terms.outputs {
            slots[*slot as usize] = 0.0;
        }
        value.clone().add_plain(&self.encoder.encode_at(&slots, value.scale(), moduli)?)
    }
}
