//! Dropout.

use nexus_types::Rng;

use super::{Backward, Batch, Kept, Layer, Place, Scratch};
use crate::vector::{sized, wide};
use crate::{Mode, ModelError, Real};

/// Zeroes values with probability `rate` and multiplies the others by 1 / (1 - rate); does
/// nothing outside training. Kept: the factor of each value.
#[derive(Debug)]
pub(crate) struct Dropout {
    layer: u64,
    /// A value is dropped if a uniform 32-bit number is below this.
    threshold: u32,
    factor: f64,
    shape: Vec<usize>,
}

impl Dropout {
    pub(crate) fn new(place: Place<'_>, rate: f32) -> Result<Self, ModelError> {
        let rate = place.number("rate", rate, |rate| (0.0..1.0).contains(&rate), "in [0, 1)")?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rate < 1")]
        let threshold = (rate * f64::from(u32::MAX)) as u32;
        let (layer, factor) = (place.layer as u64, 1.0 / (1.0 - rate));
        Ok(Self { layer, threshold, factor, shape: place.shape.to_vec() })
    }
}

/// `to[i] = from[i] * factors[i]`.
fn scale<T: Real>(to: &mut [T], from: &[T], factors: &[T]) {
    wide!({
        for ((to, &from), &factor) in to.iter_mut().zip(from).zip(factors) {
            *to = from * factor;
        }
    });
}

impl<T: Real> Layer<T> for Dropout {
    fn output(&self) -> &[usize] {
        &self.shape
    }

    fn forward(
        &self,
        _parameters: &[T],
        batch: Batch<'_, T>,
        output: &mut [T],
        kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let factors = sized(&mut kept.values, output.len());
        match batch.mode {
            Mode::Eval => factors.fill(T::ONE),
            Mode::Train { seed } => {
                let mut rng = seed.derive("nexus/models/dropout", &[self.layer]).rng();
                let passed = T::of(self.factor);
                for factor in &mut *factors {
                    *factor = if rng.next_u32() < self.threshold { T::ZERO } else { passed };
                }
            }
        }
        scale(output, batch.input, factors);
    }

    fn backward(
        &self,
        _parameters: &[T],
        _batch: Batch<'_, T>,
        pass: Backward<'_, T>,
        kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        if let Some(below) = pass.below {
            scale(below, pass.delta, &kept.values);
        }
    }
}
