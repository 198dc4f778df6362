//! Layer normalisation.

use nexus_types::SeededRng;

use super::{Backward, Batch, Kept, Layer, Place, Scratch, Weighted};
use crate::vector::{clear, dot, sized, sum_sq, wide};
use crate::{ModelError, Real};

/// y = γ x̂ + β with x̂ = (x - mean) / √(variance + ε) at every position (Ba et al. 2016).
/// Parameters: γ `[size]`, then β `[size]`. Kept: x̂, then 1 / √(variance + ε) of each position.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    positions: usize,
    size: usize,
    epsilon: f64,
    shape: Vec<usize>,
}

impl LayerNorm {
    pub(crate) fn new(place: Place<'_>, epsilon: f32) -> Result<Self, ModelError> {
        let (positions, size) = place.last_axis();
        let allowed = |epsilon| epsilon > 0.0 && epsilon <= 1.0;
        let epsilon = place.number("epsilon", epsilon, allowed, "above 0, at most 1")?;
        Ok(Self { positions, size, epsilon, shape: place.shape.to_vec() })
    }

    /// Writes one example's gradient of γ and β, times `factor`, over or onto `gradient`.
    fn add_gradient<T: Real>(&self, normal: &[T], delta: &[T], factor: T, gradient: &mut [T]) {
        let (scale, shift) = gradient.split_at_mut(self.size);
        let rows = normal.chunks_exact(self.size).zip(delta.chunks_exact(self.size));
        for (normal, delta) in rows {
            let pairs = normal.iter().zip(delta);
            for ((scale, shift), (&normal, &delta)) in scale.iter_mut().zip(&mut *shift).zip(pairs)
            {
                *scale += factor * delta * normal;
                *shift += factor * delta;
            }
        }
    }
}

impl<T: Real> Layer<T> for LayerNorm {
    fn output(&self) -> &[usize] {
        &self.shape
    }

    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        vec![("weight", vec![self.size]), ("bias", vec![self.size])]
    }

    fn initialise(&self, tensor: &'static str, values: &mut [T], _rng: &mut SeededRng) {
        values.fill(if tensor == "weight" { T::ONE } else { T::ZERO });
    }

    fn forward(
        &self,
        parameters: &[T],
        batch: Batch<'_, T>,
        output: &mut [T],
        kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let (scale, shift) = parameters.split_at(self.size);
        let (values, rows) = (batch.input.len(), batch.examples * self.positions);
        let (normals, inverses) = sized(&mut kept.values, values + rows).split_at_mut(values);
        let share = T::of(1.0 / self.size as f64);
        let normals = normals.chunks_exact_mut(self.size).zip(inverses);
        let rows = batch.input.chunks_exact(self.size).zip(output.chunks_exact_mut(self.size));
        for ((input, output), (normal, inverse)) in rows.zip(normals) {
            let mean = share * input.iter().copied().sum();
            for (normal, &x) in normal.iter_mut().zip(input) {
                *normal = x - mean;
            }
            *inverse = T::ONE / (share * sum_sq(normal) + T::of(self.epsilon)).sqrt();
            let affine = scale.iter().zip(shift);
            for ((y, normal), (&scale, &shift)) in output.iter_mut().zip(normal).zip(affine) {
                *normal *= *inverse;
                *y = scale * *normal + shift;
            }
        }
    }

    fn backward(
        &self,
        parameters: &[T],
        batch: Batch<'_, T>,
        pass: Backward<'_, T>,
        kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let Some(below) = pass.below else { return };
        let scale = &parameters[..self.size];
        let (normals, inverses) = kept.values.split_at(batch.input.len());
        let share = T::of(1.0 / self.size as f64);
        let rows = pass.delta.chunks_exact(self.size).zip(normals.chunks_exact(self.size));
        let below = below.chunks_exact_mut(self.size).zip(inverses);
        for ((below, &inverse), (delta, normal)) in below.zip(rows) {
            for ((below, &delta), &scale) in below.iter_mut().zip(delta).zip(scale) {
                *below = delta * scale;
            }
            let mean = share * below.iter().copied().sum();
            let slope = share * dot(below, normal);
            for (below, &normal) in below.iter_mut().zip(normal) {
                *below = inverse * (*below - mean - normal * slope);
            }
        }
    }

    fn add_norms_sq(
        &self,
        batch: Batch<'_, T>,
        delta: &[T],
        norms: &mut [T],
        kept: &Kept<T>,
        scratch: &mut Scratch<T>,
    ) {
        let (normals, values) = (&kept.values[..batch.input.len()], self.positions * self.size);
        let gradient = sized(&mut scratch.products, 2 * self.size);
        let rows = normals.chunks_exact(values).zip(delta.chunks_exact(values));
        wide!({
            for (norm, (normal, delta)) in norms.iter_mut().zip(rows) {
                gradient.fill(T::ZERO);
                self.add_gradient(normal, delta, T::ONE, gradient);
                *norm += sum_sq(gradient);
            }
        });
    }

    fn forget(&self, example: usize, _examples: usize, kept: &mut Kept<T>) {
        let values = self.positions * self.size;
        clear(&mut kept.values[example * values..][..values]);
    }

    fn weighted_gradient(
        &self,
        batch: Batch<'_, T>,
        weighted: Weighted<'_, T>,
        gradient: &mut [T],
        kept: &Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let normals = &kept.values[..batch.input.len()];
        gradient.fill(T::ZERO);
        wide!(self.add_gradient(normals, weighted.delta, weighted.factor, gradient));
    }
}
