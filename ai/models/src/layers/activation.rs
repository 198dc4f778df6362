//! Functions of one value: `ReLU`, GELU, tanh, another scale, and polynomials.

use super::{Backward, Batch, Kept, Layer, Place, Scratch};
use crate::spec::MAX_COEFFICIENTS;
use crate::vector::wide;
use crate::{ModelError, Real};

/// A function applied to every value.
#[derive(Debug)]
pub(crate) struct Activation {
    function: Function,
    shape: Vec<usize>,
}

#[derive(Debug)]
pub(crate) enum Function {
    Relu,
    Gelu,
    Tanh,
    Rescale {
        centre: f64,
        factor: f64,
    },
    /// 1 / range, and coefficients, the constant first.
    Polynomial {
        scale: f64,
        coefficients: Vec<f64>,
    },
}

impl Function {
    /// (x − centre) · factor.
    pub(crate) fn rescale(place: Place<'_>, centre: f32, factor: f32) -> Result<Self, ModelError> {
        let centre = place.number("centre", centre, f32::is_finite, "a number")?;
        let positive = |factor: f32| factor.is_finite() && factor > 0.0;
        let factor = place.number("factor", factor, positive, "above 0")?;
        Ok(Self::Rescale { centre, factor })
    }

    /// Σ cₖ (x / range)^k.
    pub(crate) fn polynomial(
        place: Place<'_>,
        range: f32,
        coefficients: &[f32],
    ) -> Result<Self, ModelError> {
        let (layer, got, limit) = (place.layer, coefficients.len(), MAX_COEFFICIENTS);
        if !(1..=limit).contains(&got) {
            return Err(ModelError::Coefficients { layer, got, limit });
        }
        let positive = |range: f32| range.is_normal() && range > 0.0;
        let range = place.number("range", range, positive, "above 0")?;
        let number = |it: &f32| place.number("coefficients", *it, f32::is_finite, "numbers");
        let coefficients = coefficients.iter().map(number).collect::<Result<_, _>>()?;
        Ok(Self::Polynomial { scale: range.recip(), coefficients })
    }
}

impl Activation {
    pub(crate) fn new(place: Place<'_>, function: Function) -> Self {
        Self { function, shape: place.shape.to_vec() }
    }
}

impl<T: Real> Layer<T> for Activation {
    fn output(&self) -> &[usize] {
        &self.shape
    }

    fn forward(
        &self,
        _parameters: &[T],
        batch: Batch<'_, T>,
        output: &mut [T],
        _kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let pairs = output.iter_mut().zip(batch.input);
        match &self.function {
            // Not max(x, 0), which would turn NaN into 0.
            Function::Relu => wide!({
                for (y, &x) in pairs {
                    *y = if x < T::ZERO { T::ZERO } else { x };
                }
            }),
            Function::Gelu => pairs.for_each(|(y, &x)| *y = gelu(x)),
            Function::Tanh => pairs.for_each(|(y, &x)| *y = x.tanh()),
            Function::Rescale { centre, factor } => {
                let (centre, factor) = (T::of(*centre), T::of(*factor));
                wide!({
                    for (y, &x) in pairs {
                        *y = (x - centre) * factor;
                    }
                });
            }
            Function::Polynomial { scale, coefficients } => {
                let (scale, coefficients) = (T::of(*scale), numbers(coefficients));
                wide!({
                    for (y, &x) in pairs {
                        *y = horner(&coefficients, scale * x);
                    }
                });
            }
        }
    }

    fn backward(
        &self,
        _parameters: &[T],
        batch: Batch<'_, T>,
        pass: Backward<'_, T>,
        _kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let Some(below) = pass.below else { return };
        let pairs = below.iter_mut().zip(pass.delta);
        match &self.function {
            Function::Relu => wide!({
                for ((below, &delta), &y) in pairs.zip(pass.output) {
                    *below = if y > T::ZERO { delta } else { T::ZERO };
                }
            }),
            Function::Gelu => {
                for ((below, &delta), &x) in pairs.zip(batch.input) {
                    *below = delta * gelu_slope(x);
                }
            }
            Function::Tanh => {
                for ((below, &delta), &y) in pairs.zip(pass.output) {
                    *below = delta * (T::ONE - y * y);
                }
            }
            Function::Rescale { factor, .. } => {
                let factor = T::of(*factor);
                pairs.for_each(|(below, &delta)| *below = delta * factor);
            }
            Function::Polynomial { scale, coefficients } => {
                let powers = coefficients.iter().enumerate().skip(1);
                let slopes: Vec<f64> = powers.map(|(k, it)| it * k as f64 * scale).collect();
                let (scale, slopes) = (T::of(*scale), numbers(&slopes));
                wide!({
                    for ((below, &delta), &x) in pairs.zip(batch.input) {
                        *below = delta * horner(&slopes, scale * x);
                    }
                });
            }
        }
    }
}

fn numbers<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|value| T::of(*value)).collect()
}

/// Σ cₖ x^k.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn horner<T: Real>(coefficients: &[T], x: T) -> T {
    coefficients.iter().rev().fold(T::ZERO, |sum, coefficient| sum * x + *coefficient)
}

/// √(2/π) and the cubic coefficient of the approximation.
const GELU: (f64, f64) = (0.797_884_560_802_865_4, 0.044_715);

fn gelu<T: Real>(x: T) -> T {
    let (scale, cubic) = (T::of(GELU.0), T::of(GELU.1));
    T::of(0.5) * x * (T::ONE + (scale * (x + cubic * x * x * x)).tanh())
}

fn gelu_slope<T: Real>(x: T) -> T {
    let (half, scale, cubic) = (T::of(0.5), T::of(GELU.0), T::of(GELU.1));
    let tanh = (scale * (x + cubic * x * x * x)).tanh();
    let inner = scale * (T::ONE + T::of(3.0) * cubic * x * x);
    half * (T::ONE + tanh) + half * x * (T::ONE - tanh * tanh) * inner
}
