//! What can be wrong with a model, its parameters or what it is given.

use nexus_types::{CodecError, Digest, ModelHash};

/// Why a specification is no model, or a model cannot do what it was asked.
///
/// `layer` is the layer's place in the specification, from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The specification is of a version this program does not know.
    #[error("model specification version {got}, this program knows version {known}")]
    Version {
        /// Version found.
        got: u32,
        /// Version known.
        known: u32,
    },
    /// The specification has no canonical encoding.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The number of layers is outside the limits.
    #[error("{got} layers; a model has 1 to {limit}")]
    Layers {
        /// Layers found.
        got: usize,
        /// Most layers allowed.
        limit: usize,
    },
    /// The shape of an example is empty, has a zero, or is too large.
    #[error("an example cannot have shape {shape:?}: 1 to {axes} axes, none of them 0")]
    InputShape {
        /// The shape.
        shape: Vec<usize>,
        /// Most axes allowed.
        axes: usize,
    },
    /// A polynomial has no coefficients, or too many.
    #[error("layer {layer}: {got} coefficients; a polynomial has 1 to {limit}")]
    Coefficients {
        /// The layer.
        layer: usize,
        /// Coefficients found.
        got: usize,
        /// Most coefficients allowed.
        limit: usize,
    },
    /// A size is zero.
    #[error("layer {layer}: `{field}` is 0")]
    Zero {
        /// The layer.
        layer: usize,
        /// The field of its specification.
        field: &'static str,
    },
    /// A layer cannot take what the layer before it gives.
    #[error("layer {layer}: the input has shape {got:?}, expected {expected}")]
    LayerInput {
        /// The layer.
        layer: usize,
        /// Shape of one example at its input.
        got: Vec<usize>,
        /// What it takes.
        expected: &'static str,
    },
    /// A window does not fit into the image.
    #[error(
        "layer {layer}: a {kernel} x {kernel} window does not fit into {height} x {width} with a padding of {padding}"
    )]
    Window {
        /// The layer.
        layer: usize,
        /// Side of the window.
        kernel: usize,
        /// Rows and columns of zeros around the image.
        padding: usize,
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
    },
    /// The padding is as large as the window: some windows would see nothing.
    #[error("layer {layer}: a padding of {padding} is not below the kernel {kernel}")]
    Padding {
        /// The layer.
        layer: usize,
        /// The padding.
        padding: usize,
        /// Side of the window.
        kernel: usize,
    },
    /// A number is outside its range.
    #[error("layer {layer}: `{field}` is {got}, expected {expected}")]
    Number {
        /// The layer.
        layer: usize,
        /// The field of its specification.
        field: &'static str,
        /// The number.
        got: f64,
        /// The range.
        expected: &'static str,
    },
    /// A layer needs more values for one example than any model may.
    #[error("layer {layer}: {shape:?} values for each example, at most {limit} are allowed")]
    LayerSize {
        /// The layer.
        layer: usize,
        /// Their shape.
        shape: Vec<usize>,
        /// Most values allowed.
        limit: usize,
    },
    /// The model has too many parameters and frozen weights.
    #[error("layer {layer}: with it the model has {got} weights, at most {limit} are allowed")]
    TooManyParameters {
        /// The layer that goes over the limit.
        layer: usize,
        /// Weights up to it, `usize::MAX` if they cannot be counted.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// No layer can be trained.
    #[error("the model has no trainable parameter")]
    NoParameters,
    /// An embedding has layers before it, through which it cannot send a gradient.
    #[error("layer {layer}: an embedding must be the first layer")]
    EmbeddingNotFirst {
        /// The layer.
        layer: usize,
    },
    /// The last layer does not give one row of numbers.
    #[error("the last layer gives shape {shape:?}, the loss takes one axis: flatten it")]
    OutputShape {
        /// Shape of one example at the output.
        shape: Vec<usize>,
    },
    /// The loss takes another number of outputs.
    #[error("softmax cross-entropy needs 2 outputs or more, the last layer has {got}")]
    Outputs {
        /// Outputs of the last layer.
        got: usize,
    },
    /// The frozen weights given are not those the specification names.
    #[error("layer {layer}: the specification asks for frozen weights {expected}, these are {got}")]
    FrozenDigest {
        /// The layer.
        layer: usize,
        /// Digest in the specification.
        expected: Digest,
        /// Digest of what was given.
        got: Digest,
    },
    /// The number of frozen weights does not fit.
    #[error("layer {layer}: {got} frozen weights are left for it, it has {expected}")]
    FrozenLength {
        /// The layer, or the number of layers if weights are left over.
        layer: usize,
        /// Weights given.
        got: usize,
        /// Weights needed.
        expected: usize,
    },
    /// A vector of parameters (or a gradient) has the wrong length.
    #[error("{got} parameters, the model has {expected}")]
    Parameters {
        /// Length found.
        got: usize,
        /// Parameters of the model.
        expected: usize,
    },
    /// The values given are not a batch of examples.
    #[error("{got} input values for {examples} examples of {width} values each")]
    Input {
        /// Values found.
        got: usize,
        /// Examples in the batch.
        examples: usize,
        /// Values of an example.
        width: usize,
    },
    /// An input of an embedding is no token.
    #[error("example {example}, position {position}: {value} is no token from 0 to {last}")]
    Token {
        /// The example's place in the batch.
        example: usize,
        /// The token's place in the example.
        position: usize,
        /// The value.
        value: f64,
        /// The last token of the vocabulary.
        last: usize,
    },
    /// The number of targets does not fit.
    #[error("{got} targets for {expected}")]
    Targets {
        /// Targets found.
        got: usize,
        /// Targets needed.
        expected: usize,
    },
    /// The loss takes targets of the other kind.
    #[error("{loss} with {outputs} outputs cannot take {got} as targets")]
    TargetKind {
        /// The loss.
        loss: &'static str,
        /// Outputs of the model.
        outputs: usize,
        /// The kind given.
        got: &'static str,
    },
    /// A class that the model does not have.
    #[error("example {example} has class {class}, the model has {classes}")]
    Class {
        /// The example's place in the batch.
        example: usize,
        /// The class.
        class: u32,
        /// Classes of the model.
        classes: usize,
    },
    /// The number of weights, or of places for norms, is not the number of examples.
    #[error("{got} values for {expected} examples")]
    Examples {
        /// Values found.
        got: usize,
        /// Examples in the batch.
        expected: usize,
    },
    /// The workspace does not hold what this step goes on from.
    #[error("`{needed}` of the same network must come first")]
    Order {
        /// The step that is missing.
        needed: &'static str,
    },
    /// A shape and a number of values do not fit each other.
    #[error("{got} values cannot have shape {shape:?}")]
    TensorLength {
        /// The shape.
        shape: Vec<usize>,
        /// Values found.
        got: usize,
    },
    /// The bytes are not a safetensors file.
    #[error("this is not a safetensors file: {problem}")]
    NotSafetensors {
        /// What is wrong, in the words of the decoder.
        problem: String,
    },
    /// A tensor of a file is not of 32-bit floats.
    #[error("tensor `{name}` holds {got}, expected F32")]
    TensorType {
        /// The tensor.
        name: String,
        /// Its type.
        got: String,
    },
    /// A file lacks a tensor of the model.
    #[error("the file has no tensor `{name}`")]
    TensorMissing {
        /// The tensor.
        name: String,
    },
    /// A file has a tensor that the model does not have.
    #[error("the model has no tensor `{name}`")]
    TensorUnknown {
        /// The tensor.
        name: String,
    },
    /// A tensor of a file has another shape than the model's.
    #[error("tensor `{name}` has shape {got:?}, the model's has {expected:?}")]
    TensorShape {
        /// The tensor.
        name: String,
        /// Shape in the file.
        got: Vec<usize>,
        /// Shape in the model.
        expected: Vec<usize>,
    },
    /// A weight is infinite or not a number.
    #[error("tensor `{name}`: value {position} is {value}")]
    NotFinite {
        /// The tensor.
        name: String,
        /// Place of the value in it, from 0.
        position: usize,
        /// The value.
        value: f32,
    },
    /// A file belongs to another model.
    #[error("the file is for model {got}, this is model {expected}")]
    OtherModel {
        /// The model hash in the file, as it stands there.
        got: String,
        /// Hash of this model.
        expected: ModelHash,
    },
}
