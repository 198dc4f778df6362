//! Functions under encryption, as polynomials.

mod evaluate;
mod minimax;

use crate::HeError;

/// Σ aᵢ xⁱ.
#[derive(Clone, Debug, PartialEq)]
pub struct Polynomial {
    /// a₀ first; the last is not 0, and there are two at least.
    coefficients: Vec<f64>,
}

impl Polynomial {
    /// The largest degree.
    pub const MAX_DEGREE: usize = 63;

    /// The polynomial of these coefficients, a₀ first.
    ///
    /// # Errors
    /// [`HeError::Number`] for a coefficient that is not finite, and for a leading one of 0;
    /// [`HeError::Values`] for none but a₀, or too many.
    pub fn new(coefficients: Vec<f64>) -> Result<Self, HeError> {
        if !(2..=Self::MAX_DEGREE + 1).contains(&coefficients.len()) {
            return Err(HeError::Values { got: coefficients.len(), limit: Self::MAX_DEGREE + 1 });
        }
        let problem = "it must be finite, and the last one not 0";
        let leading = coefficients.last().copied().unwrap_or_default();
        let wrong = coefficients.iter().find(|it| !it.is_finite());
        if let Some(got) = wrong.copied().or(Some(leading).filter(|it| *it == 0.0)) {
            return Err(HeError::Number { what: "a coefficient", got, problem });
        }
        Ok(Self { coefficients })
    }

    /// a₀ first.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    /// The largest power.
    pub fn degree(&self) -> usize {
        self.coefficients.len() - 1
    }

    /// Moduli that its evaluation uses up: ⌈log₂(degree + 1)⌉.
    pub fn depth(&self) -> usize {
        self.coefficients.len().next_power_of_two().ilog2() as usize
    }

    /// Products of ciphertexts in its evaluation.
    pub fn multiplications(&self) -> usize {
        self.degree().ilog2() as usize + parts(&self.coefficients)
    }

    /// Its value.
    pub fn at(&self, x: f64) -> f64 {
        self.coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
    }
}

/// Products of a power with what is not a constant.
fn parts(coefficients: &[f64]) -> usize {
    let last = coefficients.iter().rposition(|coefficient| *coefficient != 0.0);
    let Some(last) = last.filter(|last| *last > 0) else { return 0 };
    let (low, high) = coefficients[..=last].split_at(1 << last.ilog2());
    usize::from(high.len() > 1) + parts(high) + parts(low)
}

#[cfg(test)]
mod tests;
