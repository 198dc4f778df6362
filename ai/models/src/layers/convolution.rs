//! Convolution of images as one product of matrices.

use nexus_types::SeededRng;

use super::outer::{self, Rows};
use super::window::Window;
use super::{Backward, Batch, Kept, Layer, Place, Scratch, Weighted, kaiming, linear};
use crate::gemm::Old;
use crate::vector::{add, sized, wide};
use crate::{ModelError, Real, Weights};

/// Values in the columns of one group of examples: what stays in a level-two cache.
const GROUP_VALUES: usize = 1 << 17;

/// Each window's values as a row ("im2col", Chellapilla et al. 2006), times W, plus b.
///
/// Images and results are `[height, width, channels]`, so that a row of a window is contiguous
/// and the product is the result as it stands. Examples are taken in groups whose rows fit into
/// a cache, and the rows are made anew in every pass: that costs less than keeping them.
///
/// Parameters: W `[channels, kernel, kernel, input channels]`, then b `[channels]`.
#[derive(Debug)]
pub(crate) struct Conv2d {
    window: Window,
    channels: usize,
    shape: Vec<usize>,
}

impl Conv2d {
    pub(crate) fn new(
        place: Place<'_>,
        window: Window,
        channels: usize,
    ) -> Result<Self, ModelError> {
        place.positive("channels", channels)?;
        place.size(&[
            window.places[0],
            window.places[1],
            window.kernel,
            window.kernel,
            window.image[2],
        ])?;
        let [rows, columns] = window.places;
        Ok(Self { window, channels, shape: vec![rows, columns, channels] })
    }

    const fn weights(&self) -> usize {
        self.channels * self.window.area()
    }

    /// Values of one image of the result.
    const fn outputs(&self) -> usize {
        self.channels * self.window.positions()
    }

    /// Values in the columns of one example.
    const fn columns(&self) -> usize {
        self.window.positions() * self.window.area()
    }

    /// Examples whose columns are made at once: a power of two, so that runs are made of groups, or
    /// groups of runs.
    fn group(&self) -> usize {
        1 << (GROUP_VALUES / self.columns()).max(1).ilog2()
    }

    /// Adds the gradient of W, run by run: the groups of a run first to `run`.
    fn add_in_runs<T: Real>(
        &self,
        batch: Batch<'_, T>,
        delta: &[T],
        weight: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let positions = self.window.positions();
        let mut run = vec![T::ZERO; weight.len()];
        let (per_run, last) =
            ((outer::RUN / self.group()).max(1), batch.examples.div_ceil(self.group()));
        for (number, (images, delta)) in (1..).zip(self.groups(batch.input, delta)) {
            let columns = self.unfold(images, &mut scratch.columns, &mut scratch.image);
            let products = &mut scratch.products;
            outer::sum_in_runs(delta, columns, positions, Old::Kept, &mut run, products);
            if number % per_run == 0 || number == last {
                wide!(add(weight, &run));
                run.fill(T::ZERO);
            }
        }
    }

    /// Makes the columns of a group of images.
    fn unfold<'a, T: Real>(
        &self,
        images: &[T],
        columns: &'a mut Vec<T>,
        padded: &mut Vec<T>,
    ) -> Rows<'a, T> {
        let examples = images.len() / self.window.values();
        let columns = sized(columns, examples * self.columns());
        let pairs = images.chunks_exact(self.window.values());
        let pairs = pairs.zip(columns.chunks_exact_mut(self.columns()));
        if self.window.is_padded() {
            let padded = sized(padded, self.window.padded());
            wide!({
                for (image, columns) in pairs {
                    self.window.pad(image, padded);
                    self.window.gather(padded, columns);
                }
            });
        } else {
            wide!({
                for (image, columns) in pairs {
                    self.window.gather(image, columns);
                }
            });
        }
        Rows { data: columns, width: self.window.area() }
    }

    /// Adds the columns of a group to the images that they would come from.
    fn fold<T: Real>(&self, columns: &[T], images: &mut [T], padded: &mut Vec<T>) {
        let pairs = images.chunks_exact_mut(self.window.values());
        let pairs = pairs.zip(columns.chunks_exact(self.columns()));
        if self.window.is_padded() {
            let padded = sized(padded, self.window.padded());
            wide!({
                for (image, columns) in pairs {
                    padded.fill(T::ZERO);
                    self.window.scatter(columns, padded);
                    self.window.unpad(padded, image);
                }
            });
        } else {
            wide!({
                for (image, columns) in pairs {
                    image.fill(T::ZERO);
                    self.window.scatter(columns, image);
                }
            });
        }
    }

    /// The groups of a batch: images and values of the result.
    fn groups<'a, T>(
        &self,
        images: &'a [T],
        results: &'a [T],
    ) -> impl Iterator<Item = (&'a [T], Rows<'a, T>)> {
        let width = self.channels;
        let results = results.chunks(self.group() * self.outputs());
        let images = images.chunks(self.group() * self.window.values());
        images.zip(results.map(move |data| Rows { data, width }))
    }
}

impl<T: Real> Layer<T> for Conv2d {
    fn output(&self) -> &[usize] {
        &self.shape
    }

    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        let (kernel, inputs) = (self.window.kernel, self.window.image[2]);
        let weight = vec![self.channels, kernel, kernel, inputs];
        vec![("weight", weight), ("bias", vec![self.channels])]
    }

    fn initialise(&self, _tensor: &'static str, values: &mut [T], rng: &mut SeededRng) {
        kaiming(values, self.window.area(), rng);
    }

    fn forward(
        &self,
        parameters: &[T],
        batch: Batch<'_, T>,
        output: &mut [T],
        _kept: &mut Kept<T>,
        scratch: &mut Scratch<T>,
    ) {
        let (weight, bias) = parameters.split_at(self.weights());
        let images = batch.input.chunks(self.group() * self.window.values());
        for (images, output) in images.zip(output.chunks_mut(self.group() * self.outputs())) {
            let columns = self.unfold(images, &mut scratch.columns, &mut scratch.image);
            linear::apply(weight, bias, columns, output);
        }
    }

    fn backward(
        &self,
        parameters: &[T],
        _batch: Batch<'_, T>,
        pass: Backward<'_, T>,
        _kept: &mut Kept<T>,
        scratch: &mut Scratch<T>,
    ) {
        let Some(below) = pass.below else { return };
        let weight = &parameters[..self.weights()];
        let deltas = pass.delta.chunks(self.group() * self.outputs());
        for (delta, below) in deltas.zip(below.chunks_mut(self.group() * self.window.values())) {
            let delta = Rows { data: delta, width: self.channels };
            let examples = below.len() / self.window.values();
            let columns = sized(&mut scratch.columns, examples * self.columns());
            linear::pull_back(weight, delta, self.window.area(), columns);
            self.fold(columns, below, &mut scratch.image);
        }
    }

    fn add_norms_sq(
        &self,
        batch: Batch<'_, T>,
        delta: &[T],
        norms: &mut [T],
        _kept: &Kept<T>,
        scratch: &mut Scratch<T>,
    ) {
        let positions = self.window.positions();
        let groups = self.groups(batch.input, delta);
        for ((images, delta), norms) in groups.zip(norms.chunks_mut(self.group())) {
            let columns = self.unfold(images, &mut scratch.columns, &mut scratch.image);
            outer::add_norms_sq(delta, columns, positions, norms, &mut scratch.products);
            outer::add_sum_norms_sq(delta, positions, norms, &mut scratch.products);
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
        let (weight, bias) = gradient.split_at_mut(self.weights());
        weight.fill(T::ZERO);
        if matches!(weighted.weights, Weights::PerExample(_)) {
            self.add_in_runs(batch, weighted.delta, weight, scratch);
        } else {
            for (images, delta) in self.groups(batch.input, weighted.delta) {
                let columns = self.unfold(images, &mut scratch.columns, &mut scratch.image);
                outer::sum(delta, columns, weighted.factor, Old::Kept, weight);
            }
        }
        let delta = Rows { data: weighted.delta, width: self.channels };
        outer::sum_rows(delta, self.window.positions(), weighted.factor, bias);
    }
}
