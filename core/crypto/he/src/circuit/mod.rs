//! Affine maps and polynomials, one after the other, on one encrypted vector.
//!
//! [`Plan`] chooses degree, primes, scales and layouts; [`Terms`] is what its user is told;
//! [`Program`] computes. [`BatchPlan`] and [`BatchProgram`] do the same for many vectors at once;
//! [`Outline`] is a circuit whose weights are encrypted, too.

mod batch;
mod cost;
mod plan;
mod program;
mod ready;
mod sealed;
mod terms;

pub use batch::{BatchPlan, BatchProgram};
pub use cost::{Cost, Limits};
pub use plan::{Plan, PlanError};
pub use program::{EvaluationKeys, Program};
pub use sealed::Outline;
pub use terms::Terms;

use crate::{HeError, Matrix, Polynomial};

/// One thing to compute.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// y = Wx + b.
    Affine(Affine),
    /// y = p(x), number by number.
    Polynomial(Polynomial),
}

/// y = Wx + b.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    pub(crate) matrix: Matrix,
    pub(crate) bias: Vec<f64>,
}

impl Affine {
    /// The map of this matrix and bias.
    ///
    /// # Errors
    /// [`HeError::Width`] unless there is a number for each row; [`HeError::Number`] unless all are
    /// finite.
    pub fn new(matrix: Matrix, bias: Vec<f64>) -> Result<Self, HeError> {
        if bias.len() != matrix.rows() {
            return Err(HeError::Width { got: bias.len(), needed: matrix.rows() });
        }
        if let Some(got) = bias.iter().find(|value| !value.is_finite()) {
            return Err(HeError::Number {
                what: "a bias",
                got: *got,
                problem: "it must be finite",
            });
        }
        Ok(Self { matrix, bias })
    }

    /// W.
    pub const fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// b.
    pub fn bias(&self) -> &[f64] {
        &self.bias
    }

    /// Its value.
    pub fn at(&self, x: &[f64]) -> Vec<f64> {
        self.matrix.times(x).iter().zip(&self.bias).map(|(a, b)| a + b).collect()
    }
}

/// What `stages` compute, in the clear.
pub fn in_the_clear(stages: &[Stage], input: &[f64]) -> Vec<f64> {
    stages.iter().fold(input.to_vec(), |x, stage| match stage {
        Stage::Affine(affine) => affine.at(&x),
        Stage::Polynomial(polynomial) => x.iter().map(|x| polynomial.at(*x)).collect(),
    })
}

impl Plan {
    /// What it computes, slot by slot as on ciphertexts, in the clear.
    ///
    /// # Errors
    /// [`HeError::Width`] unless the input is as long as it must be.
    pub fn at(&self, input: &[f64]) -> Result<Vec<f64>, HeError> {
        let slots = self.terms.degree as usize / 2;
        let packed = self.terms.layout()?.pack(input, slots)?;
        let step = |x: Vec<f64>, step: &plan::Step| -> Result<Vec<f64>, HeError> {
            match step {
                plan::Step::Linear { route, bias } => {
                    let bias = route.output().pack(bias, slots)?;
                    Ok(route.at(&x).iter().zip(bias).map(|(a, b)| a + b).collect())
                }
                plan::Step::Polynomial(it) => Ok(x.iter().map(|x| it.at(*x)).collect()),
            }
        };
        Ok(self.terms.unpack(&self.steps.iter().try_fold(packed, step)?))
    }
}

#[cfg(test)]
mod tests;
