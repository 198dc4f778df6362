//! From a specification to a network, with every size checked.

use nexus_types::limits::MAX_PARAMETERS;

use crate::layers::{self, Layer, Place};
use crate::network::{Network, Step, TensorInfo};
use crate::tensor::values_of;
use crate::{Loss, ModelError, ModelSpec, Real, SPEC_VERSION};

/// Most layers of a model.
pub const MAX_LAYERS: usize = 256;
/// Most axes of the shape of an example.
pub const MAX_AXES: usize = 4;
/// Most values one example may take at any point of a model: 64 Mi.
pub const MAX_VALUES: usize = 1 << 26;

impl<T: Real> Network<T> {
    /// The network of `spec`.
    ///
    /// # Errors
    /// A [`ModelError`] that names the layer and the sizes that do not fit.
    pub fn new(spec: &ModelSpec) -> Result<Self, ModelError> {
        Self::with_frozen(spec, &[])
    }

    /// As [`Network::new`], for a specification that names frozen weights by their digest:
    /// `frozen` holds them, layer after layer.
    ///
    /// # Errors
    /// As [`Network::new`], and [`ModelError::FrozenLength`], [`ModelError::FrozenDigest`].
    pub fn with_frozen(spec: &ModelSpec, mut frozen: &[f32]) -> Result<Self, ModelError> {
        check_frame(spec)?;
        let mut parts = Parts { steps: Vec::new(), tensors: Vec::new(), parameters: 0 };
        let mut shape = spec.input.clone();
        for (layer, layer_spec) in spec.layers.iter().enumerate() {
            let place = Place { layer, shape: &shape };
            shape = match layers::build::<T>(layer_spec, place, &mut frozen)? {
                Some(built) => parts.push(layer, built)?,
                None => vec![shape.iter().product()],
            };
        }
        if !frozen.is_empty() {
            let (layer, got) = (spec.layers.len(), frozen.len());
            return Err(ModelError::FrozenLength { layer, got, expected: 0 });
        }
        let outputs = check_output(spec.loss, &shape)?;
        parts.finish(spec, outputs)
    }
}

/// A network in the making.
struct Parts<T> {
    steps: Vec<Step<T>>,
    tensors: Vec<TensorInfo>,
    parameters: usize,
}

impl<T: Real> Parts<T> {
    /// Adds the layer at place `index` and returns the shape after it.
    fn push(&mut self, index: usize, layer: Box<dyn Layer<T>>) -> Result<Vec<usize>, ModelError> {
        let (shape, begin) = (layer.output().to_vec(), self.parameters);
        let limit = MAX_VALUES;
        let Some(outputs) = values_of(&shape).filter(|&values| values <= limit) else {
            return Err(ModelError::LayerSize { layer: index, shape, limit });
        };
        for (name, shape) in layer.tensors() {
            let (begin, limit) = (self.parameters, MAX_PARAMETERS);
            let end = values_of(&shape).and_then(|values| begin.checked_add(values));
            let got = end.unwrap_or(usize::MAX);
            if got > limit {
                return Err(ModelError::TooManyParameters { layer: index, got, limit });
            }
            self.parameters = got;
            self.tensors.push(TensorInfo { name: format!("{index}.{name}"), shape, range: begin..got });
        }
        self.steps.push(Step { index, layer, outputs, range: begin..self.parameters });
        Ok(shape)
    }

    fn finish(self, spec: &ModelSpec, outputs: usize) -> Result<Network<T>, ModelError> {
        let Self { steps, tensors, parameters } = self;
        let first = steps.iter().position(|step| !step.range.is_empty());
        let first = first.ok_or(ModelError::NoParameters)?;
        let inputs = spec.input.iter().product();
        let (hash, spec) = (spec.hash()?, spec.clone());
        Ok(Network { spec, hash, steps, tensors, inputs, outputs, parameters, first })
    }
}

fn check_frame(spec: &ModelSpec) -> Result<(), ModelError> {
    if spec.version != SPEC_VERSION {
        return Err(ModelError::Version { got: spec.version, known: SPEC_VERSION });
    }
    if !(1..=MAX_LAYERS).contains(&spec.layers.len()) {
        return Err(ModelError::Layers { got: spec.layers.len(), limit: MAX_LAYERS });
    }
    let shape = &spec.input;
    let values = values_of(shape).filter(|values| (1..=MAX_VALUES).contains(values));
    if values.is_none() || !(1..=MAX_AXES).contains(&shape.len()) {
        return Err(ModelError::InputShape { shape: shape.clone(), axes: MAX_AXES });
    }
    Ok(())
}

/// The number of outputs, if the loss can take them.
fn check_output(loss: Loss, shape: &[usize]) -> Result<usize, ModelError> {
    let &[outputs] = shape else {
        return Err(ModelError::OutputShape { shape: shape.to_vec() });
    };
    if loss == Loss::SoftmaxCrossEntropy && outputs < 2 {
        return Err(ModelError::Outputs { got: outputs });
    }
    Ok(outputs)
}
