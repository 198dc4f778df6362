//! What a model looks like, apart from its weights.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, Digest, ModelHash};
use serde::{Deserialize, Serialize};

use crate::ModelError;

/// The version of specifications this program writes and reads: layouts, initial weights and the
/// meaning of every layer.
pub const SPEC_VERSION: u32 = 1;

/// A model's shape: what one example looks like, what is done to it, and what is minimised.
///
/// Two parties speak of the same model exactly if their [`ModelSpec::hash`]es agree.
///
/// ```
/// use nexus_models::{LayerSpec, Loss, ModelSpec, Network};
///
/// let spec = ModelSpec {
///     version: 1,
///     input: vec![4],
///     layers: vec![
///         LayerSpec::Linear { outputs: 8, bias: true },
///         LayerSpec::Relu,
///         LayerSpec::Linear { outputs: 3, bias: true },
///     ],
///     loss: Loss::SoftmaxCrossEntropy,
/// };
/// assert_eq!(spec, ModelSpec::mlp(4, &[8], 3));
/// assert_eq!(Network::<f32>::new(&spec)?.parameters(), 4 * 8 + 8 + 8 * 3 + 3);
/// # Ok::<(), nexus_models::ModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// [`SPEC_VERSION`].
    pub version: u32,
    /// Shape of one example: `[features]`, `[tokens]`, `[positions, features]`, or
    /// `[height, width, channels]`.
    pub input: Vec<usize>,
    /// What is minimised.
    pub loss: Loss,
    /// The layers, first to last.
    pub layers: Vec<LayerSpec>,
}

/// One layer. Sizes of the input follow from the layer before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerSpec {
    /// y = Wx + b on the last axis: `[.., inputs]` to `[.., outputs]`.
    Linear {
        /// Size of the new last axis.
        outputs: usize,
        /// Whether b is there.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// max(x, 0).
    Relu,
    /// x Φ(x), by the tanh approximation (Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2).
    Gelu,
    /// tanh x.
    Tanh,
    /// Cross-correlation of an image `[height, width, channels]` with square windows.
    Conv2d {
        /// Channels of the result.
        channels: usize,
        /// Side of the window.
        kernel: usize,
        /// Step of the window.
        #[serde(default = "one")]
        stride: usize,
        /// Rows and columns of zeros around the image.
        #[serde(default)]
        padding: usize,
    },
    /// The largest value of each square window, channel by channel.
    MaxPool {
        /// Side of the window.
        kernel: usize,
        /// Step of the window.
        stride: usize,
    },
    /// The mean of each square window, channel by channel.
    AvgPool {
        /// Side of the window.
        kernel: usize,
        /// Step of the window.
        stride: usize,
    },
    /// The last axis brought to mean 0 and variance 1, then scaled and shifted value by value
    /// (Ba, Kiros & Hinton 2016, arXiv:1607.06450).
    LayerNorm {
        /// Added to the variance.
        #[serde(default = "layer_norm_epsilon")]
        epsilon: f32,
    },
    /// Tokens `[tokens]` to rows of a table, `[tokens, dimension]`. Only as the first layer.
    Embedding {
        /// Rows of the table; a token is a whole number below it.
        vocabulary: usize,
        /// Values of a row.
        dimension: usize,
    },
    /// A frozen linear layer with a trainable correction of low rank,
    /// y = Wx + b + (alpha / rank) B A x (Hu et al. 2021, arXiv:2106.09685).
    LoraLinear {
        /// Size of the new last axis.
        outputs: usize,
        /// Rank of the correction.
        rank: usize,
        /// Scale of the correction, times the rank.
        alpha: f32,
        /// Where W and b come from.
        base: Base,
    },
    /// Sets values to 0 with probability `rate` in training and scales the others up to keep the
    /// mean (Srivastava et al. 2014).
    Dropout {
        /// The probability, in [0, 1).
        rate: f32,
    },
    /// All axes as one.
    Flatten,
    /// (x − centre) · factor, with constants that are public: a first layer that brings inputs to
    /// the size that training likes.
    Rescale {
        /// What becomes 0.
        centre: f32,
        /// What a difference of 1 becomes; above 0.
        factor: f32,
    },
    /// Σ cₖ (x / range)^k, with constants: the function between layers that homomorphic encryption
    /// computes exactly. With coefficients 0, 0, 1 and range 1 it is the square of `CryptoNets`
    /// (Gilad-Bachrach et al. 2016).
    Polynomial {
        /// The largest magnitude that it is made for; above 0.
        #[serde(default = "one_float")]
        range: f32,
        /// The constant first; from 1 to [`MAX_COEFFICIENTS`].
        coefficients: Vec<f32>,
    },
}

/// The most coefficients of a polynomial.
pub const MAX_COEFFICIENTS: usize = 64;

/// Where the frozen weights of a layer come from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// Drawn like fresh weights, from the seed of this number.
    Seed(u64),
    /// Given to [`crate::Network::with_frozen`]; they must have this
    /// [digest](crate::frozen_digest).
    Weights(Digest),
}

/// What training minimises: the mean over examples of one of these.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `-ln softmax(z)[class]`: one of several classes.
    SoftmaxCrossEntropy,
    /// -t ln σ(z) - (1 - t) ln(1 - σ(z)), mean over outputs: yes or no.
    BinaryCrossEntropy,
    /// (z - t)², mean over outputs: a number.
    MeanSquaredError,
}

const fn yes() -> bool {
    true
}

const fn one() -> usize {
    1
}

const fn one_float() -> f32 {
    1.0
}

const fn layer_norm_epsilon() -> f32 {
    1e-5
}

impl Canonical for ModelSpec {
    const DOMAIN: &'static str = "nexus/models/spec";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 1 << 16;
}

impl ModelSpec {
    /// The digest that stands for this specification in protocols and proofs.
    ///
    /// # Errors
    /// [`ModelError::Codec`] if a number is NaN or there are absurdly many layers: no
    /// [`crate::Network`] has such a specification.
    pub fn hash(&self) -> Result<ModelHash, ModelError> {
        Ok(ModelHash(self.digest()?))
    }

    fn of(input: &[usize], layers: Vec<LayerSpec>, loss: Loss) -> Self {
        Self { version: SPEC_VERSION, input: input.to_vec(), layers, loss }
    }

    /// Linear regression: one number from `inputs`, least squares.
    pub fn linear(inputs: usize) -> Self {
        Self::of(&[inputs], vec![linear(1)], Loss::MeanSquaredError)
    }

    /// Logistic regression: yes or no from `inputs`.
    pub fn logistic(inputs: usize) -> Self {
        Self::of(&[inputs], vec![linear(1)], Loss::BinaryCrossEntropy)
    }

    /// Multinomial logistic regression: one of `classes` from `inputs`.
    pub fn softmax(inputs: usize, classes: usize) -> Self {
        Self::of(&[inputs], vec![linear(classes)], Loss::SoftmaxCrossEntropy)
    }

    /// A multi-layer perceptron with `ReLU` between its layers.
    pub fn mlp(inputs: usize, hidden: &[usize], classes: usize) -> Self {
        let mut layers = Vec::with_capacity(2 * hidden.len() + 1);
        for &outputs in hidden {
            layers.extend([linear(outputs), LayerSpec::Relu]);
        }
        layers.push(linear(classes));
        Self::of(&[inputs], layers, Loss::SoftmaxCrossEntropy)
    }

    /// A small convolutional network for images of `[height, width, channels]`: twice (3 x 3
    /// convolution, `ReLU`, halving), then one linear layer.
    pub fn cnn(image: [usize; 3], classes: usize) -> Self {
        let block = |channels| {
            let convolution = LayerSpec::Conv2d { channels, kernel: 3, stride: 1, padding: 1 };
            [convolution, LayerSpec::Relu, LayerSpec::MaxPool { kernel: 2, stride: 2 }]
        };
        let mut layers = [block(16), block(32)].concat();
        layers.extend([LayerSpec::Flatten, linear(classes)]);
        Self::of(&image, layers, Loss::SoftmaxCrossEntropy)
    }

    /// The network of Opacus' MNIST example, by which private training is usually compared:
    /// 28 x 28 images, 26 010 parameters.
    pub fn mnist_cnn() -> Self {
        let pool = LayerSpec::MaxPool { kernel: 2, stride: 1 };
        let layers = vec![
            LayerSpec::Conv2d { channels: 16, kernel: 8, stride: 2, padding: 3 },
            LayerSpec::Relu,
            pool.clone(),
            LayerSpec::Conv2d { channels: 32, kernel: 4, stride: 2, padding: 0 },
            LayerSpec::Relu,
            pool,
            LayerSpec::Flatten,
            linear(32),
            LayerSpec::Relu,
            linear(10),
        ];
        Self::of(&[28, 28, 1], layers, Loss::SoftmaxCrossEntropy)
    }
}

const fn linear(outputs: usize) -> LayerSpec {
    LayerSpec::Linear { outputs, bias: true }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layer() -> impl Strategy<Value = LayerSpec> {
        let size = any::<u32>().prop_map(|size| size as usize);
        let number = -1e9f32..1e9;
        let base = prop_oneof![
            any::<u32>().prop_map(|seed| Base::Seed(seed.into())),
            any::<[u8; 32]>().prop_map(|bytes| Base::Weights(Digest(bytes))),
        ];
        prop_oneof![
            (size.clone(), any::<bool>())
                .prop_map(|(outputs, bias)| LayerSpec::Linear { outputs, bias }),
            Just(LayerSpec::Relu),
            Just(LayerSpec::Gelu),
            Just(LayerSpec::Tanh),
            Just(LayerSpec::Flatten),
            (number.clone(), prop::collection::vec(number.clone(), 0..4))
                .prop_map(|(range, coefficients)| LayerSpec::Polynomial { range, coefficients }),
            (size.clone(), size.clone(), size.clone(), size.clone()).prop_map(
                |(channels, kernel, stride, padding)| LayerSpec::Conv2d {
                    channels,
                    kernel,
                    stride,
                    padding
                }
            ),
            (size.clone(), size.clone())
                .prop_map(|(kernel, stride)| LayerSpec::MaxPool { kernel, stride }),
            (size.clone(), size.clone())
                .prop_map(|(kernel, stride)| LayerSpec::AvgPool { kernel, stride }),
            number.clone().prop_map(|epsilon| LayerSpec::LayerNorm { epsilon }),
            number.clone().prop_map(|rate| LayerSpec::Dropout { rate }),
            (number.clone(), number.clone())
                .prop_map(|(centre, factor)| LayerSpec::Rescale { centre, factor }),
            (size.clone(), size.clone())
                .prop_map(|(vocabulary, dimension)| LayerSpec::Embedding { vocabulary, dimension }),
            (size.clone(), size, number, base).prop_map(|(outputs, rank, alpha, base)| {
                LayerSpec::LoraLinear { outputs, rank, alpha, base }
            }),
        ]
    }

    fn spec() -> impl Strategy<Value = ModelSpec> {
        let loss = prop_oneof![
            Just(Loss::SoftmaxCrossEntropy),
            Just(Loss::BinaryCrossEntropy),
            Just(Loss::MeanSquaredError),
        ];
        let input = prop::collection::vec(0usize..1 << 30, 0..4);
        (any::<u32>(), input, prop::collection::vec(layer(), 0..8), loss)
            .prop_map(|(version, input, layers, loss)| ModelSpec { version, input, loss, layers })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(spec in spec()) {
            prop_assert_eq!(&ModelSpec::decode(&spec.encode().unwrap()).unwrap(), &spec);
            let text = toml::to_string(&spec).unwrap();
            prop_assert_eq!(toml::from_str::<ModelSpec>(&text).unwrap(), spec);
        }

        #[test]
        fn hostile_bytes_are_refused_or_canonical(
            mut bytes in prop::collection::vec(any::<u8>(), 0..80), cut in 0usize..80, flip in 0usize..80,
        ) {
            let check = |bytes: &[u8]| {
                if let Ok(spec) = ModelSpec::decode(bytes) {
                    assert_eq!(spec.encode().unwrap(), bytes);
                }
            };
            let mut valid = ModelSpec::mnist_cnn().encode().unwrap();
            bytes.splice(0..0, valid[..8].iter().copied());
            check(&bytes);
            valid[8 + flip] ^= 1;
            check(&valid);
            valid.truncate(cut);
            check(&valid);
        }
    }

    #[test]
    fn a_specification_is_a_few_lines_of_toml() {
        let text = r#"
            version = 1
            input = [28, 28, 1]
            loss = "softmax_cross_entropy"
            layers = [
                { conv2d = { channels = 16, kernel = 8, stride = 2, padding = 3 } },
                "relu",
                { max_pool = { kernel = 2, stride = 1 } },
                { conv2d = { channels = 32, kernel = 4, stride = 2 } },
                "relu",
                { max_pool = { kernel = 2, stride = 1 } },
                "flatten",
                { linear = { outputs = 32 } },
                "relu",
                { linear = { outputs = 10 } },
            ]
        "#;
        assert_eq!(toml::from_str::<ModelSpec>(text).unwrap(), ModelSpec::mnist_cnn());
        for (wrong, problem) in [
            ("{ linear = { outputs = 32 } }", "{ linear = { outputs = 32, inputs = 4 } }"),
            ("\"relu\"", "\"swish\""),
            ("version = 1", "version = 1\nname = \"x\""),
        ] {
            let error = toml::from_str::<ModelSpec>(&text.replacen(wrong, problem, 1)).unwrap_err();
            assert!(error.span().is_some(), "{error}");
        }
    }

    #[test]
    fn hashes_are_pinned() {
        for (spec, hash) in [
            (
                ModelSpec::linear(3),
                "189c56f3e6d9d863a802119312686ffc1f73918d8d75a2f73368d5fb53e02975",
            ),
            (
                ModelSpec::mlp(64, &[64], 10),
                "df64b0eb6d402b4e680333c5503c7a957a129b2760876a4d86ce817c46b75e6f",
            ),
            (
                ModelSpec::mnist_cnn(),
                "4c2761f47f6f5a0866471dd20ee898b5ad271bf9c826398a0ea8f16b1e549b8e",
            ),
        ] {
            assert_eq!(spec.hash().unwrap().to_string(), hash);
        }
        let nan = LayerSpec::Dropout { rate: f32::NAN };
        let spec = ModelSpec { layers: vec![nan], ..ModelSpec::linear(1) };
        assert!(matches!(spec.hash(), Err(ModelError::Codec(_))));
    }
}
