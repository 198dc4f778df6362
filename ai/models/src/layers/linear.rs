//! The fully connected layer.

use nexus_types::SeededRng;

use super::outer::{self, Rows};
use super::{Backward, Batch, Kept, Layer, Place, Scratch, Weighted, kaiming};
use crate::gemm::{Matrix, MatrixMut, Old, multiply};
use crate::{ModelError, Real, Weights};

/// y = Wx + b at every position. Parameters: W `[outputs, inputs]`, then b `[outputs]`.
#[derive(Debug)]
pub(crate) struct Linear {
    positions: usize,
    inputs: usize,
    outputs: usize,
    bias: bool,
    shape: Vec<usize>,
}

impl Linear {
    pub(crate) fn new(place: Place<'_>, outputs: usize, bias: bool) -> Result<Self, ModelError> {
        let (positions, inputs) = place.last_axis();
        let outputs = place.positive("outputs", outputs)?;
        Ok(Self { positions, inputs, outputs, bias, shape: place.with_last_axis(outputs) })
    }

    const fn weights(&self) -> usize {
        self.inputs * self.outputs
    }

    const fn of_input<'a, T>(&self, data: &'a [T]) -> Rows<'a, T> {
        Rows { data, width: self.inputs }
    }

    const fn of_output<'a, T>(&self, data: &'a [T]) -> Rows<'a, T> {
        Rows { data, width: self.outputs }
    }
}

impl<T: Real> Layer<T> for Linear {
    fn output(&self) -> &[usize] {
        &self.shape
    }

    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        let mut tensors = vec![("weight", vec![self.outputs, self.inputs])];
        if self.bias {
            tensors.push(("bias", vec![self.outputs]));
        }
        tensors
    }

    fn initialise(&self, _tensor: &'static str, values: &mut [T], rng: &mut SeededRng) {
        kaiming(values, self.inputs, rng);
    }

    fn forward(
        &self,
        parameters: &[T],
        batch: Batch<'_, T>,
        output: &mut [T],
        _kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let (weight, bias) = parameters.split_at(self.weights());
        apply(weight, bias, self.of_input(batch.input), output);
    }

    fn backward(
        &self,
        parameters: &[T],
        _batch: Batch<'_, T>,
        pass: Backward<'_, T>,
        _kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let Some(below) = pass.below else { return };
        pull_back(&parameters[..self.weights()], self.of_output(pass.delta), self.inputs, below);
    }

    fn add_norms_sq(
        &self,
        batch: Batch<'_, T>,
        delta: &[T],
        norms: &mut [T],
        _kept: &Kept<T>,
        scratch: &mut Scratch<T>,
    ) {
        let (delta, input) = (self.of_output(delta), self.of_input(batch.input));
        outer::add_norms_sq(delta, input, self.positions, norms, &mut scratch.products);
        if self.bias {
            outer::add_sum_norms_sq(delta, self.positions, norms, &mut scratch.products);
        }
    }

    fn weighted_gradient(
        &self,
        batch: Batch<'_, T>,
        weighted: Weighted<'_, T>,
        gradient: &mut [T],
        _kept: &Kept<T>,
        scratch: &mut Scratch<T>,
    ) {
        let (delta, input) = (self.of_output(weighted.delta), self.of_input(batch.input));
        let (weight, bias) = gradient.split_at_mut(self.weights());
        match weighted.weights {
            Weights::Uniform(_) => outer::sum(delta, input, weighted.factor, Old::Dropped, weight),
            Weights::PerExample(_) => {
                let (positions, products) = (self.positions, &mut scratch.products);
                outer::sum_in_runs(delta, input, positions, Old::Dropped, weight, products);
            }
        }
        if self.bias {
            outer::sum_rows(delta, self.positions, weighted.factor, bias);
        }
    }
}

/// Writes Wx + b of every row x to `output`; an empty `bias` is none.
pub(super) fn apply<T: Real>(weight: &[T], bias: &[T], input: Rows<'_, T>, output: &mut [T]) {
    let outputs = weight.len() / input.width;
    let rows = output.len() / outputs;
    let old = if bias.is_empty() {
        Old::Dropped
    } else {
        output.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(bias));
        Old::Kept
    };
    let weight = Matrix::new(weight, outputs, input.width).t();
    let input = Matrix::new(input.data, rows, input.width);
    multiply(MatrixMut::new(output, rows, outputs), old, T::ONE, input, weight);
}

/// Writes δW of every row δ to `below`, rows of `inputs` values.
pub(super) fn pull_back<T: Real>(weight: &[T], delta: Rows<'_, T>, inputs: usize, below: &mut [T]) {
    let rows = below.len() / inputs;
    let weight = Matrix::new(weight, delta.width, inputs);
    let delta = Matrix::new(delta.data, rows, delta.width);
    multiply(MatrixMut::new(below, rows, inputs), Old::Dropped, T::ONE, delta, weight);
}
