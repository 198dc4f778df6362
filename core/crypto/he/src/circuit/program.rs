//! A circuit that computes.

use std::sync::Arc;

use nexus_types::CryptoRng;

use super::Terms;
use super::plan::{Plan, Step};
use super::ready::{Builder, Linear, Ready, Steps};
use crate::{Ciphertext, Context, GaloisKeys, HeError, LinearMap, RelinearisationKey, Threads};

/// The keys that a user gives to whoever computes.
#[derive(Clone, Debug)]
pub struct EvaluationKeys {
    /// For products.
    pub relinearise: Option<RelinearisationKey>,
    /// For rotations.
    pub rotate: GaloisKeys,
}

/// A circuit with its weights encoded. It can be shared between threads.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) steps: Steps<Linear>,
    pub(super) residue: bool,
}

impl Program {
    pub(super) fn new(plan: &Plan) -> Result<Self, HeError> {
        let mut builder = Builder::new(&plan.terms)?;
        for step in &plan.steps {
            match step {
                Step::Linear { route, bias } => {
                    let Builder { encoder, moduli, scales, .. } = &builder;
                    let map = LinearMap::new(encoder, route, bias, *moduli, *scales)?;
                    let scale = map.scale();
                    builder.linear(Linear::Known(map), scale)?;
                }
                Step::Polynomial(polynomial) => builder.polynomial(polynomial)?,
            }
        }
        Ok(Self { steps: builder.build(&plan.terms), residue: plan.residue })
    }

    /// The same program on these threads.
    #[must_use]
    pub fn on(mut self, threads: Arc<Threads>) -> Self {
        self.steps.threads = threads;
        self
    }

    /// What its users are told.
    pub const fn terms(&self) -> &Terms {
        &self.steps.terms
    }

    /// The tables of its parameters.
    pub const fn context(&self) -> &Arc<Context> {
        self.steps.context()
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
        let Steps { encoder, terms, all, threads } = &self.steps;
        terms.check(input)?;
        let value = threads.run(|| {
            all.iter().try_fold(input.clone(), |value, step| match step {
                Ready::Linear(map) => map.apply(&value, keys),
                Ready::Activation(it) => it.apply(&value, encoder, keys.products()?),
            })
        })?;
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
        let mut slots: Vec<f64> =
            (0..self.steps.encoder.slots()).map(|_| size * number()).collect();
        for slot in &self.steps.terms.outputs {
            slots[*slot as usize] = 0.0;
        }
        value.clone().add_plain(&self.steps.encoder.encode_at(&slots, value.scale(), moduli)?)
    }
}
