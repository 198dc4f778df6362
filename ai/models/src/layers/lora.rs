//! A frozen linear layer with a trainable correction of low rank.

use nexus_types::{Digest, Seed, SeededRng};

use super::outer::{self, Rows};
use super::{Backward, Batch, Kept, Layer, Place, Scratch, Weighted, kaiming, linear, weigh};
use crate::gemm::{Matrix, MatrixMut, Old, multiply};
use crate::vector::{clear, sized};
use crate::{Base, ModelError, Real, Weights};

/// y = Wx + b + B u with u = (alpha / rank) A x (Hu et al. 2021).
///
/// Parameters: A `[rank, inputs]`, then B `[outputs, rank]`; B begins at 0, so the correction
/// does. Kept: u, then the gradient with respect to A x.
#[derive(Debug)]
pub(crate) struct LoraLinear<T> {
    positions: usize,
    inputs: usize,
    outputs: usize,
    rank: usize,
    scale: T,
    /// W, then b.
    frozen: Vec<T>,
    shape: Vec<usize>,
}

/// The digest by which a specification names the frozen weights of a layer: W row by row, then b.
pub fn frozen_digest(weights: &[f32]) -> Digest {
    let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    Digest::of("nexus/models/frozen v1", &bytes)
}

impl<T: Real> LoraLinear<T> {
    pub(crate) fn new(
        place: Place<'_>,
        outputs: usize,
        (rank, alpha): (usize, f32),
        base: Base,
        frozen: &mut &[f32],
    ) -> Result<Self, ModelError> {
        let (positions, inputs) = place.last_axis();
        place.positive("outputs", outputs)?;
        place.positive("rank", rank)?;
        let alpha = place.number("alpha", alpha, f32::is_finite, "a finite number")?;
        let weights = place.frozen_size(&[outputs, inputs])?;
        let shape = place.with_last_axis(outputs);
        let frozen = match base {
            Base::Seed(number) => fresh(number, place.layer, inputs, weights + outputs),
            Base::Weights(expected) => given(place.layer, frozen, weights + outputs, expected)?,
        };
        let scale = T::of(alpha / rank as f64);
        Ok(Self { positions, inputs, outputs, rank, scale, frozen, shape })
    }

    const fn down(&self) -> usize {
        self.rank * self.inputs
    }

    /// What is kept: u and the gradient with respect to A x.
    fn kept<'a>(&self, batch: Batch<'_, T>, kept: &'a Kept<T>) -> (Rows<'a, T>, Rows<'a, T>) {
        let (width, values) = (self.rank, batch.examples * self.positions * self.rank);
        let (hidden, rest) = kept.values.split_at(values);
        (Rows { data: hidden, width }, Rows { data: &rest[..values], width })
    }
}

/// Weights drawn from the seed of `number`, as a linear layer's are.
fn fresh<T: Real>(number: u64, layer: usize, inputs: usize, len: usize) -> Vec<T> {
    let mut frozen = vec![T::ZERO; len];
    let seed = Seed::from_number(number).derive("nexus/models/frozen", &[layer as u64]);
    kaiming(&mut frozen, inputs, &mut seed.rng());
    frozen
}

/// The next `len` of the weights that were given.
fn given<T: Real>(
    layer: usize,
    frozen: &mut &[f32],
    len: usize,
    expected: Digest,
) -> Result<Vec<T>, ModelError> {
    let Some((mine, rest)) = frozen.split_at_checked(len) else {
        return Err(ModelError::FrozenLength { layer, got: frozen.len(), expected: len });
    };
    let got = frozen_digest(mine);
    if got != expected {
        return Err(ModelError::FrozenDigest { layer, expected, got });
    }
    *frozen = rest;
    Ok(mine.iter().map(|&weight| T::of(f64::from(weight))).collect())
}

impl<T: Real> Layer<T> for LoraLinear<T> {
    fn output(&self) -> &[usize] {
        &self.shape
    }

    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        let (down, up) = (vec![self.rank, self.inputs], vec![self.outputs, self.rank]);
        vec![("lora_a", down), ("lora_b", up)]
    }

    fn frozen(&self) -> usize {
        self.frozen.len()
    }

    fn initialise(&self, tensor: &'static str, values: &mut [T], rng: &mut SeededRng) {
        if tensor == "lora_a" {
            kaiming(values, self.inputs, rng);
        } else {
            values.fill(T::ZERO);
        }
    }

    fn forward(
        &self,
        parameters: &[T],
        batch: Batch<'_, T>,
        output: &mut [T],
        kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let (down, up) = parameters.split_at(self.down());
        let rows = batch.examples * self.positions;
        let hidden = &mut sized(&mut kept.values, 2 * rows * self.rank)[..rows * self.rank];
        let input = Matrix::new(batch.input, rows, self.inputs);
        let down = Matrix::new(down, self.rank, self.inputs).t();
        multiply(MatrixMut::new(hidden, rows, self.rank), Old::Dropped, self.scale, input, down);
        let (weight, bias) = self.frozen.split_at(self.outputs * self.inputs);
        linear::apply(weight, bias, Rows { data: batch.input, width: self.inputs }, output);
        let hidden = Matrix::new(hidden, rows, self.rank);
        let up = Matrix::new(up, self.outputs, self.rank).t();
        multiply(MatrixMut::new(output, rows, self.outputs), Old::Kept, T::ONE, hidden, up);
    }

    fn backward(
        &self,
        parameters: &[T],
        batch: Batch<'_, T>,
        pass: Backward<'_, T>,
        kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let (down, up) = parameters.split_at(self.down());
        let rows = batch.examples * self.positions;
        let slope = &mut kept.values[rows * self.rank..2 * rows * self.rank];
        let delta = Matrix::new(pass.delta, rows, self.outputs);
        let up = Matrix::new(up, self.outputs, self.rank);
        multiply(MatrixMut::new(slope, rows, self.rank), Old::Dropped, self.scale, delta, up);
        let Some(below) = pass.below else { return };
        let weight = &self.frozen[..self.outputs * self.inputs];
        let delta = Rows { data: pass.delta, width: self.outputs };
        linear::pull_back(weight, delta, self.inputs, below);
        let (slope, down) =
            (Matrix::new(slope, rows, self.rank), Matrix::new(down, self.rank, self.inputs));
        multiply(MatrixMut::new(below, rows, self.inputs), Old::Kept, T::ONE, slope, down);
    }

    fn add_norms_sq(
        &self,
        batch: Batch<'_, T>,
        delta: &[T],
        norms: &mut [T],
        kept: &Kept<T>,
        scratch: &mut Scratch<T>,
    ) {
        let (hidden, slope) = self.kept(batch, kept);
        let input = Rows { data: batch.input, width: self.inputs };
        let delta = Rows { data: delta, width: self.outputs };
        outer::add_norms_sq(slope, input, self.positions, norms, &mut scratch.products);
        outer::add_norms_sq(delta, hidden, self.positions, norms, &mut scratch.products);
    }

    fn forget(&self, example: usize, examples: usize, kept: &mut Kept<T>) {
        let values = self.positions * self.rank;
        for first in [example * values, (examples + example) * values] {
            clear(&mut kept.values[first..][..values]);
        }
    }

    fn weighted_gradient(
        &self,
        batch: Batch<'_, T>,
        weighted: Weighted<'_, T>,
        gradient: &mut [T],
        kept: &Kept<T>,
        scratch: &mut Scratch<T>,
    ) {
        let (down, up) = gradient.split_at_mut(self.down());
        let (hidden, slope) = self.kept(batch, kept);
        let input = Rows { data: batch.input, width: self.inputs };
        let delta = Rows { data: weighted.delta, width: self.outputs };
        if matches!(weighted.weights, Weights::Uniform(_)) {
            outer::sum(delta, hidden, weighted.factor, Old::Dropped, up);
            outer::sum(slope, input, weighted.factor, Old::Dropped, down);
            return;
        }
        let (positions, products) = (self.positions, &mut scratch.products);
        outer::sum_in_runs(delta, hidden, positions, Old::Dropped, up, products);
        let (slope, _) = weigh(slope.data, weighted.weights, &mut scratch.columns);
        let slope = Rows { data: slope, width: self.rank };
        outer::sum_in_runs(slope, input, positions, Old::Dropped, down, products);
    }
}
