//! Steps with everything encoded, and the levels and scales that they use up.

use std::sync::Arc;

use super::plan::is_square;
use super::{EvaluationKeys, Terms};
use crate::linear;
use crate::{
    Ciphertext, Context, Encoder, HeError, LinearMap, Polynomial, RelinearisationKey, Threads,
};

/// A step; `L` is an encoded matrix.
#[derive(Clone, Debug)]
pub(super) enum Ready<L> {
    Linear(L),
    Activation(Activation),
}

/// A matrix that whoever computes knows, or does not.
#[derive(Clone, Debug)]
pub(super) enum Linear {
    Known(LinearMap),
    Sealed(LinearMap<Ciphertext>),
}

impl Linear {
    pub(super) fn apply(
        &self,
        value: &Ciphertext,
        keys: &EvaluationKeys,
    ) -> Result<Ciphertext, HeError> {
        match self {
            Self::Known(map) => map.apply(value, &keys.rotate),
            Self::Sealed(map) => map.apply_sealed(value, &keys.rotate, keys.products()?),
        }
    }

    pub(super) fn steps(&self) -> linear::Steps {
        match self {
            Self::Known(map) => map.steps(),
            Self::Sealed(map) => map.steps(),
        }
    }
}

/// A function, number by number.
#[derive(Clone, Debug)]
pub(super) enum Activation {
    Square,
    /// At this scale.
    Polynomial(Polynomial, f64),
}

impl Activation {
    pub(super) fn apply(
        &self,
        value: &Ciphertext,
        encoder: &Encoder,
        key: &RelinearisationKey,
    ) -> Result<Ciphertext, HeError> {
        match self {
            Self::Square => value.multiply(value)?.relinearise(key)?.rescale(),
            Self::Polynomial(polynomial, scale) => polynomial.evaluate(value, *scale, encoder, key),
        }
    }
}

impl EvaluationKeys {
    pub(super) fn products(&self) -> Result<&RelinearisationKey, HeError> {
        self.relinearise.as_ref().ok_or(HeError::NoKey { element: 1 })
    }
}

/// Steps of a circuit that are encoded one after the other.
pub(super) struct Builder<L> {
    pub(super) encoder: Encoder,
    pub(super) moduli: usize,
    /// What comes in has it, and what goes out should.
    pub(super) scales: [f64; 2],
    steps: Vec<Ready<L>>,
}

impl<L> Builder<L> {
    pub(super) fn new(terms: &Terms) -> Result<Self, HeError> {
        let encoder = Encoder::new(&terms.context()?)?;
        let moduli = encoder.context().parameters().top();
        Ok(Self { encoder, moduli, scales: [terms.scale; 2], steps: Vec::new() })
    }

    /// Moduli that are left when `depth` more are used up: one at least.
    fn left(&self, depth: usize) -> Result<usize, HeError> {
        self.moduli.checked_sub(depth).filter(|left| *left > 0).ok_or(HeError::Exhausted)
    }

    pub(super) fn linear(&mut self, map: L, scale: f64) -> Result<(), HeError> {
        self.moduli = self.left(1)?;
        self.scales[0] = scale;
        self.steps.push(Ready::Linear(map));
        Ok(())
    }

    pub(super) fn polynomial(&mut self, polynomial: &Polynomial) -> Result<(), HeError> {
        let [scale, aim] = self.scales;
        let activation = if is_square(polynomial) {
            self.moduli = self.left(1)?;
            self.scales[0] =
                scale * scale / self.encoder.context().modulus(self.moduli).value() as f64;
            Activation::Square
        } else {
            self.moduli = self.left(polynomial.depth())?;
            self.scales[0] = aim;
            Activation::Polynomial(polynomial.clone(), aim)
        };
        self.steps.push(Ready::Activation(activation));
        Ok(())
    }

    pub(super) fn build(self, terms: &Terms) -> Steps<L> {
        let threads = Arc::new(Threads::one());
        Steps { encoder: self.encoder, terms: terms.clone(), all: self.steps, threads }
    }
}

/// All steps of a circuit.
#[derive(Clone, Debug)]
pub(super) struct Steps<L> {
    pub(super) encoder: Encoder,
    pub(super) terms: Terms,
    pub(super) all: Vec<Ready<L>>,
    pub(super) threads: Arc<Threads>,
}

impl<L> Steps<L> {
    pub(super) const fn context(&self) -> &Arc<Context> {
        self.encoder.context()
    }
}
