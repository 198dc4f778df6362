//! The layers. Each is stateless: parameters come as a slice of the model's one vector, what the
//! backward pass needs lies in a [`Kept`].
//!
//! With x the input, y the output and δ = ∂(sum of losses)/∂y, whose row i belongs to example i
//! alone, a trainable layer offers four passes:
//!
//! | pass | gives |
//! |---|---|
//! | [`Layer::forward`] | y |
//! | [`Layer::backward`] | ∂(sum of losses)/∂x |
//! | [`Layer::add_norms_sq`] | \|gᵢ\|² of each example's parameter gradient gᵢ |
//! | [`Layer::weighted_gradient`] | Σ wᵢ gᵢ |

mod activation;
mod convolution;
mod dropout;
mod embedding;
mod linear;
mod lora;
mod normalisation;
mod outer;
mod pooling;
mod window;

pub use lora::frozen_digest;

use std::fmt::Debug;

use nexus_types::SeededRng;
use nexus_types::limits::MAX_PARAMETERS;

use crate::compile::MAX_VALUES;
use crate::tensor::values_of;
use crate::vector::{sized, wide};
use crate::{LayerSpec, Mode, ModelError, Real, Weights};

/// A batch at the input of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch<'a, T> {
    /// The examples, one after the other.
    pub(crate) input: &'a [T],
    /// How many there are.
    pub(crate) examples: usize,
    /// Whether the layer trains.
    pub(crate) mode: Mode,
}

/// What a layer keeps from one pass to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept<T> {
    pub(crate) values: Vec<T>,
    pub(crate) places: Vec<u32>,
}

/// Room that every layer uses and none keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch<T> {
    pub(crate) image: Vec<T>,
    pub(crate) columns: Vec<T>,
    pub(crate) products: Vec<T>,
}

/// One step of a network, with sizes fixed.
pub(crate) trait Layer<T: Real>: Debug + Send + Sync {
    /// Shape of one example at the output.
    fn output(&self) -> &[usize];

    /// The trainable tensors, name and shape, in their order in the parameters.
    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        Vec::new()
    }

    /// Writes fresh values into the tensor of this name.
    fn initialise(&self, _tensor: &'static str, _values: &mut [T], _rng: &mut SeededRng) {}

    /// How many frozen weights it holds.
    fn frozen(&self) -> usize {
        0
    }

    /// The place of the first input value that the layer cannot take, and the largest it can.
    fn refused(&self, _input: &[T]) -> Option<(usize, usize)> {
        None
    }

    /// Writes y.
    fn forward(
        &self,
        parameters: &[T],
        batch: Batch<'_, T>,
        output: &mut [T],
        kept: &mut Kept<T>,
        scratch: &mut Scratch<T>,
    );

    /// Writes the gradient with respect to the input to `below`, if it is wanted.
    fn backward(
        &self,
        parameters: &[T],
        batch: Batch<'_, T>,
        pass: Backward<'_, T>,
        kept: &mut Kept<T>,
        scratch: &mut Scratch<T>,
    );

    /// Adds the squared norm of each example's parameter gradient.
    fn add_norms_sq(
        &self,
        _batch: Batch<'_, T>,
        _delta: &[T],
        _norms: &mut [T],
        _kept: &Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
    }

    /// Makes 0 of what is not finite and kept for one of the `examples`, if a weighted gradient
    /// multiplies it.
    fn forget(&self, _example: usize, _examples: usize, _kept: &mut Kept<T>) {}

    /// Writes the weighted sum of the examples' parameter gradients.
    fn weighted_gradient(
        &self,
        _batch: Batch<'_, T>,
        _delta: Weighted<'_, T>,
        _gradient: &mut [T],
        _kept: &Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
    }
}

/// What goes into a backward pass and where its result goes.
#[derive(Debug)]
pub(crate) struct Backward<'a, T> {
    /// y.
    pub(crate) output: &'a [T],
    /// δ.
    pub(crate) delta: &'a [T],
    /// Room for the gradient with respect to x, of arbitrary content.
    pub(crate) below: Option<&'a mut [T]>,
}

/// δ on the way into a weighted gradient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weighted<'a, T> {
    /// δ, its rows already multiplied by [`Weights::PerExample`], if such were given.
    pub(crate) delta: &'a [T],
    /// The factor that is left.
    pub(crate) factor: T,
    /// The weights.
    pub(crate) weights: Weights<'a, T>,
}

/// Writes `rows` multiplied by its example's weight to `weighted`, unless all weights are equal.
/// Returns the rows to use and the factor that is left.
pub(crate) fn weigh<'a, T: Real>(
    rows: &'a [T],
    weights: Weights<'_, T>,
    weighted: &'a mut Vec<T>,
) -> (&'a [T], T) {
    match weights {
        Weights::Uniform(weight) => (rows, weight),
        Weights::PerExample(weights) => {
            let width = rows.len() / weights.len().max(1);
            let weighted = sized(weighted, rows.len());
            wide!({
                let pairs = weighted.chunks_mut(width.max(1)).zip(rows.chunks(width.max(1)));
                for ((to, from), &weight) in pairs.zip(weights) {
                    for (to, &from) in to.iter_mut().zip(from) {
                        *to = weight * from;
                    }
                }
            });
            (weighted, T::ONE)
        }
    }
}

/// Builds the layer of `spec` for inputs of `shape`; `None` if it does nothing but change the
/// shape. Takes its share from the front of the `frozen` weights.
pub(crate) fn build<T: Real>(
    spec: &LayerSpec,
    place: Place<'_>,
    frozen: &mut &[f32],
) -> Result<Option<Box<dyn Layer<T>>>, ModelError> {
    use activation::{Activation, Function};
    Ok(Some(match *spec {
        LayerSpec::Polynomial { range, ref coefficients } => {
            Box::new(Activation::new(place, Function::polynomial(place, range, coefficients)?))
        }
        LayerSpec::Linear { outputs, bias } => Box::new(linear::Linear::new(place, outputs, bias)?),
        LayerSpec::Relu => Box::new(Activation::new(place, Function::Relu)),
        LayerSpec::Gelu => Box::new(Activation::new(place, Function::Gelu)),
        LayerSpec::Tanh => Box::new(Activation::new(place, Function::Tanh)),
        LayerSpec::Conv2d { channels, kernel, stride, padding } => {
            let window = window::Window::new(place, kernel, stride, padding)?;
            Box::new(convolution::Conv2d::new(place, window, channels)?)
        }
        LayerSpec::MaxPool { kernel, stride } => {
            Box::new(pooling::MaxPool::new(window::Window::new(place, kernel, stride, 0)?))
        }
        LayerSpec::AvgPool { kernel, stride } => {
            Box::new(pooling::AvgPool::new(window::Window::new(place, kernel, stride, 0)?))
        }
        LayerSpec::LayerNorm { epsilon } => {
            Box::new(normalisation::LayerNorm::new(place, epsilon)?)
        }
        LayerSpec::Embedding { vocabulary, dimension } => {
            Box::new(embedding::Embedding::new(place, vocabulary, dimension)?)
        }
        LayerSpec::LoraLinear { outputs, rank, alpha, base } => {
            Box::new(lora::LoraLinear::new(place, outputs, (rank, alpha), base, frozen)?)
        }
        LayerSpec::Dropout { rate } => Box::new(dropout::Dropout::new(place, rate)?),
        LayerSpec::Flatten => return Ok(None),
        LayerSpec::Rescale { centre, factor } => {
            Box::new(Activation::new(place, Function::rescale(place, centre, factor)?))
        }
    }))
}

/// Where a layer stands in its network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Its place in the specification.
    pub(crate) layer: usize,
    /// Shape of one example at its input; no axis is 0.
    pub(crate) shape: &'a [usize],
}

impl Place<'_> {
    /// The input as positions of a last axis: how many, and its size.
    fn last_axis(&self) -> (usize, usize) {
        let size = self.shape.last().copied().unwrap_or(1);
        (self.shape.iter().product::<usize>() / size, size)
    }

    /// The input's shape with a last axis of another size.
    fn with_last_axis(&self, size: usize) -> Vec<usize> {
        let mut shape = self.shape.to_vec();
        shape.pop();
        shape.push(size);
        shape
    }

    /// `size`, if it is not 0.
    fn positive(&self, field: &'static str, size: usize) -> Result<usize, ModelError> {
        if size == 0 { Err(ModelError::Zero { layer: self.layer, field }) } else { Ok(size) }
    }

    /// The values in an array of `shape`, if they are not too many.
    pub(crate) fn size(&self, shape: &[usize]) -> Result<usize, ModelError> {
        let limit = MAX_VALUES;
        let values = values_of(shape).filter(|&values| values <= limit);
        values.ok_or_else(|| ModelError::LayerSize {
            layer: self.layer,
            shape: shape.into(),
            limit,
        })
    }

    /// The values in a frozen matrix of `shape`, if they are not too many.
    fn frozen_size(&self, shape: &[usize; 2]) -> Result<usize, ModelError> {
        let (layer, limit) = (self.layer, MAX_PARAMETERS);
        let got = values_of(shape).unwrap_or(usize::MAX);
        if got > limit { Err(ModelError::TooManyParameters { layer, got, limit }) } else { Ok(got) }
    }

    /// `number`, if `allowed` says so.
    fn number(
        &self,
        field: &'static str,
        number: f32,
        allowed: impl Fn(f32) -> bool,
        expected: &'static str,
    ) -> Result<f64, ModelError> {
        let got = f64::from(number);
        let error = ModelError::Number { layer: self.layer, field, got, expected };
        if allowed(number) { Ok(got) } else { Err(error) }
    }
}

/// Uniform in ±1/√`fan_in`: what PyTorch draws for linear and convolution layers (Kaiming uniform
/// with a = √5; He et al. 2015, arXiv:1502.01852).
fn kaiming<T: Real>(values: &mut [T], fan_in: usize, rng: &mut SeededRng) {
    let bound = 1.0 / (fan_in as f64).sqrt();
    for value in values {
        *value = T::of(bound * (2.0 * rng.unit() - 1.0));
    }
}
