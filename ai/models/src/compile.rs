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
        let mut parts = Parts { steps: Vec::new(), tensors: Vec::new(), parameters: 0, frozen: 0 };
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
    frozen: usize,
}

impl<T: Real> Parts<T> {
    /// Adds the layer at place `index` and returns the shape after it.
    fn push(&mut self, index: usize, layer: Box<dyn Layer<T>>) -> Result<Vec<usize>, ModelError> {
        let (shape, begin) = (layer.output().to_vec(), self.parameters);
        let limit = MAX_VALUES;
        let Some(outputs) = values_of(&shape).filter(|&values| values <= limit) else {
            return Err(ModelError::LayerSize { layer: index, shape, limit });
        };
        self.frozen += layer.frozen();
        for (name, shape) in layer.tensors() {
            let begin = self.parameters;
            self.parameters = self.count(index, begin, &shape)?;
            let range = begin..self.parameters;
            self.tensors.push(TensorInfo { name: format!("{index}.{name}"), shape, range });
        }
        self.steps.push(Step { index, layer, outputs, range: begin..self.parameters });
        Ok(shape)
    }

    /// The parameters after a tensor of `shape`, if they and the frozen weights are not too many.
    fn count(&self, layer: usize, begin: usize, shape: &[usize]) -> Result<usize, ModelError> {
        let (end, limit) =
            (values_of(shape).and_then(|len| begin.checked_add(len)), MAX_PARAMETERS);
        let got = end.and_then(|end| end.checked_add(self.frozen)).unwrap_or(usize::MAX);
        if got > limit {
            return Err(ModelError::TooManyParameters { layer, got, limit });
        }
        Ok(got - self.frozen)
    }

    fn finish(self, spec: &ModelSpec, outputs: usize) -> Result<Network<T>, ModelError> {
        let Self { steps, tensors, parameters, frozen: _ } = self;
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

#[cfg(test)]
mod tests {
    use nexus_types::limits::MAX_PARAMETERS;
    use nexus_types::{CodecError, Digest};

    use super::*;
    use crate::{Base, LayerSpec, frozen_digest};

    fn linear(outputs: usize) -> LayerSpec {
        LayerSpec::Linear { outputs, bias: true }
    }

    fn lora(outputs: usize, rank: usize) -> LayerSpec {
        LayerSpec::LoraLinear { outputs, rank, alpha: 1.0, base: Base::Seed(1) }
    }

    fn refused(input: &[usize], layers: &[LayerSpec]) -> ModelError {
        let (input, layers) = (input.to_vec(), layers.to_vec());
        let spec = ModelSpec { version: 1, input, layers, loss: Loss::MeanSquaredError };
        Network::<f32>::new(&spec).unwrap_err()
    }

    #[test]
    fn ready_specifications_have_the_parameters_they_should() {
        for (spec, parameters) in [
            (ModelSpec::linear(5), 6),
            (ModelSpec::logistic(30), 31),
            (ModelSpec::softmax(4, 3), 15),
            (ModelSpec::mlp(784, &[256], 10), 203_530),
            (ModelSpec::mlp(64, &[64], 10), 4810),
            (ModelSpec::cnn([8, 8, 1], 10), 160 + 4640 + 1290),
            (ModelSpec::mnist_cnn(), 26_010),
        ] {
            assert_eq!(Network::<f32>::new(&spec).unwrap().parameters(), parameters);
        }
    }

    #[test]
    fn tensors_lie_side_by_side_under_the_names_of_pytorch() {
        let network = Network::<f32>::new(&ModelSpec::mlp(4, &[3], 2)).unwrap();
        let tensors: Vec<_> = network.tensors().iter().map(|t| (&*t.name, &*t.shape)).collect();
        let expected: [(_, &[usize]); 4] =
            [("0.weight", &[3, 4]), ("0.bias", &[3]), ("2.weight", &[2, 3]), ("2.bias", &[2])];
        assert_eq!(tensors, expected);
        let mut end = 0;
        for tensor in network.tensors() {
            assert_eq!(
                (tensor.range.start, values_of(&tensor.shape)),
                (end, Some(tensor.range.len()))
            );
            end = tensor.range.end;
        }
        assert_eq!(end, network.parameters());
    }

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        let conv =
            |kernel, stride, padding| LayerSpec::Conv2d { channels: 2, kernel, stride, padding };
        let pool = LayerSpec::MaxPool { kernel: 5, stride: 1 };
        assert_eq!(
            refused(&[4, 4, 1], &[LayerSpec::Relu, conv(7, 1, 1)]),
            ModelError::Window { layer: 1, kernel: 7, padding: 1, height: 4, width: 4 }
        );
        assert_eq!(
            refused(&[4, 6, 1], &[pool]),
            ModelError::Window { layer: 0, kernel: 5, padding: 0, height: 4, width: 6 }
        );
        assert_eq!(
            refused(&[4, 4, 1], &[conv(3, 1, 3)]),
            ModelError::Padding { layer: 0, padding: 3, kernel: 3 }
        );
        assert_eq!(
            refused(&[16], &[linear(4), conv(3, 1, 0)]),
            ModelError::LayerInput {
                layer: 1,
                got: vec![4],
                expected: "[height, width, channels]"
            }
        );
        assert_eq!(
            refused(&[2, 3], &[LayerSpec::Embedding { vocabulary: 5, dimension: 2 }]),
            ModelError::LayerInput { layer: 0, got: vec![2, 3], expected: "[tokens]" }
        );
        assert_eq!(
            refused(&[3], &[LayerSpec::Relu, LayerSpec::Embedding { vocabulary: 5, dimension: 2 }]),
            ModelError::EmbeddingNotFirst { layer: 1 }
        );
        assert_eq!(refused(&[3, 4], &[linear(2)]), ModelError::OutputShape { shape: vec![3, 2] });
        assert_eq!(refused(&[3], &[LayerSpec::Relu]), ModelError::NoParameters);
        let one = Network::<f32>::new(&ModelSpec::softmax(3, 1)).unwrap_err();
        assert_eq!(one, ModelError::Outputs { got: 1 });
    }

    #[test]
    fn zeros_and_numbers_out_of_range_are_named() {
        let zero = |layer, field| ModelError::Zero { layer, field };
        let conv =
            |channels, kernel, stride| LayerSpec::Conv2d { channels, kernel, stride, padding: 0 };
        for (field, layer) in [
            ("outputs", linear(0)),
            ("channels", conv(0, 1, 1)),
            ("kernel", conv(1, 0, 1)),
            ("stride", conv(1, 1, 0)),
            ("stride", LayerSpec::AvgPool { kernel: 1, stride: 0 }),
            ("outputs", lora(0, 1)),
            ("rank", lora(1, 0)),
        ] {
            assert_eq!(refused(&[2, 2, 2], &[LayerSpec::Tanh, layer]), zero(1, field));
        }
        let vocabulary = LayerSpec::Embedding { vocabulary: 0, dimension: 1 };
        assert_eq!(refused(&[2], &[vocabulary]), zero(0, "vocabulary"));
        for (layer, wrong) in [
            (LayerSpec::Dropout { rate: 1.0 }, "rate"),
            (LayerSpec::Dropout { rate: f32::NAN }, "rate"),
            (LayerSpec::LayerNorm { epsilon: 0.0 }, "epsilon"),
            (LayerSpec::Embedding { vocabulary: 1 << 25, dimension: 1 }, "vocabulary"),
            (LayerSpec::Polynomial { range: 0.0, coefficients: vec![1.0] }, "range"),
            (LayerSpec::Polynomial { range: 1.0, coefficients: vec![f32::NAN] }, "coefficients"),
        ] {
            let error = refused(&[2], &[layer, linear(1)]);
            assert!(
                matches!(error, ModelError::Number { layer: 0, field, .. } if field == wrong),
                "{error}"
            );
        }
        for got in [0, 65] {
            let layer = LayerSpec::Polynomial { range: 1.0, coefficients: vec![0.5; got] };
            let expected = ModelError::Coefficients { layer: 0, got, limit: 64 };
            assert_eq!(refused(&[2], &[layer, linear(1)]), expected);
        }
    }

    #[test]
    fn nothing_is_too_large_to_be_refused() {
        let huge = usize::MAX / 2;
        let conv = |channels, kernel, stride, padding| {
            [LayerSpec::Conv2d { channels, kernel, stride, padding }]
        };
        for error in [
            refused(&[1000], &[linear(MAX_PARAMETERS / 1000)]),
            refused(&[1000], &[LayerSpec::Relu, linear(huge)]),
            refused(&[2], &[LayerSpec::Embedding { vocabulary: 1 << 24, dimension: huge }]),
            refused(&[4, 4, 1], &conv(huge, 1, 1, 0)),
            refused(&[4, 4, 1], &conv(1, huge, 1, 0)),
            refused(&[4, 4, 1], &conv(1, huge, 1, huge - 1)),
            refused(&[4, 4, 1], &conv(1, 1 << 20, 1 << 20, 1 << 19)),
            refused(&[8], &[lora(huge, huge)]),
            refused(&[1 << 14], &[lora(1 << 15, 1)]),
        ] {
            use ModelError::{LayerSize, TooManyParameters, Window};
            let named =
                matches!(error, LayerSize { .. } | TooManyParameters { .. } | Window { .. });
            assert!(named, "{error}");
        }
        for shape in [vec![], vec![0], vec![1; 5], vec![huge, huge], vec![MAX_VALUES + 1]] {
            let error = refused(&shape, &[linear(1)]);
            assert_eq!(error, ModelError::InputShape { shape, axes: MAX_AXES });
        }
    }

    #[test]
    fn what_is_counted_has_a_limit() {
        let (first, limit) = (linear((1 << 15) - 4), MAX_PARAMETERS);
        let parameters = ((1 << 13) + 1) * ((1 << 15) - 4);
        let more = 1 << 15;
        let error = refused(&[1 << 13], &[first.clone(), linear(1), LayerSpec::Tanh]);
        let got = parameters + more - 4;
        assert_eq!(error, ModelError::TooManyParameters { layer: 1, got, limit });
        let error = refused(&[1 << 13], &[first, lora(1, 1)]);
        let got = parameters + 2 * (more - 4) + 1;
        assert_eq!(error, ModelError::TooManyParameters { layer: 1, got, limit });
        for got in [0, MAX_LAYERS + 1] {
            let layers = vec![LayerSpec::Relu; got];
            assert_eq!(refused(&[1], &layers), ModelError::Layers { got, limit: MAX_LAYERS });
        }
        let newer = ModelSpec { version: 2, ..ModelSpec::linear(1) };
        let error = Network::<f32>::new(&newer).unwrap_err();
        assert_eq!(error, ModelError::Version { got: 2, known: 1 });
    }

    #[test]
    fn frozen_weights_are_those_of_the_digest() {
        let weights = [1.0, 2.0, 3.0, 4.0, 0.5, -0.5];
        let lora = |base| LayerSpec::LoraLinear { outputs: 2, rank: 1, alpha: 1.0, base };
        let named = lora(Base::Weights(frozen_digest(&weights)));
        let spec = ModelSpec { layers: vec![named], ..ModelSpec::linear(2) };
        assert!(Network::<f32>::with_frozen(&spec, &weights).is_ok());
        let missing = Network::<f32>::new(&spec).unwrap_err();
        assert_eq!(missing, ModelError::FrozenLength { layer: 0, got: 0, expected: 6 });
        let other = [1.0; 6];
        let error = Network::<f32>::with_frozen(&spec, &other).unwrap_err();
        let (expected, got): (Digest, _) = (frozen_digest(&weights), frozen_digest(&other));
        assert_eq!(error, ModelError::FrozenDigest { layer: 0, expected, got });
        let error =
            Network::<f32>::with_frozen(&spec, &[&weights[..], &[0.0]].concat()).unwrap_err();
        assert_eq!(error, ModelError::FrozenLength { layer: 1, got: 1, expected: 0 });
    }

    #[test]
    fn a_specification_without_a_hash_is_no_network() {
        let lora =
            LayerSpec::LoraLinear { outputs: 1, rank: 1, alpha: f32::NAN, base: Base::Seed(0) };
        let error = refused(&[1], &[lora]);
        assert!(matches!(error, ModelError::Number { layer: 0, field: "alpha", .. }), "{error}");
        let nan = LayerSpec::Dropout { rate: f32::NAN };
        let spec = ModelSpec { layers: vec![nan], ..ModelSpec::linear(1) };
        let hash = spec.hash();
        assert!(matches!(hash, Err(ModelError::Codec(CodecError::Malformed { .. }))), "{hash:?}");
    }
}
