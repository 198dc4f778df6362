//! Models and data sets: what is trained, and on what.
//!
//! # Why it exists
//!
//! Federated and private training need three things that frameworks hide: all trainable weights
//! as *one vector* (what is summed, masked and proven), the gradient norm of *each example* (what
//! is clipped), and a weighted sum of the examples' gradients (what is released), without one
//! gradient per example in memory. Every layer here gives them by hand-written passes:
//!
//! | step | call | gives |
//! |---|---|---|
//! | 1 | [`Network::forward`] | logits |
//! | 2 | [`Network::backward`] | each example's loss, and δ at every layer |
//! | 3 | [`Network::gradient_norms_sq`] | \|gᵢ\|² for each example i (private training only) |
//! | 4 | [`Network::weighted_gradient`] | Σ wᵢ gᵢ |
//!
//! Plain training takes wᵢ = 1 / examples; private training wᵢ = min(1, C / |gᵢ|), from the
//! same backward pass ("book-keeping", Bu et al. 2022, arXiv:2210.00038).
//!
//! A model is a [`ModelSpec`], a few lines of TOML whose hash stands for it in every protocol; a
//! [`Network`] is a specification with every size checked; [`weights`] are safetensors files;
//! [`data`] turns tables into what a network takes.
//!
//! ```
//! use nexus_models::{Mode, ModelSpec, Network, Targets, Weights, Workspace};
//! use nexus_types::Seed;
//!
//! // Exclusive or, learned by a small perceptron.
//! let network = Network::<f32>::new(&ModelSpec::mlp(2, &[8], 2))?;
//! let mut parameters = network.initial(&Seed::from_number(1));
//! let (input, classes) = ([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0, 1, 1, 0]);
//! let mut workspace = Workspace::new();
//! let mut gradient = vec![0.0; network.parameters()];
//! for _ in 0..500 {
//!     network.forward(&parameters, &input, 4, Mode::Eval, &mut workspace)?;
//!     network.backward(&parameters, &Targets::Classes(&classes), &mut workspace)?;
//!     network.weighted_gradient(&mut workspace, Weights::Uniform(0.25), &mut gradient)?;
//!     for (parameter, slope) in parameters.iter_mut().zip(&gradient) {
//!         *parameter -= 0.5 * slope;
//!     }
//! }
//! let logits = network.forward(&parameters, &input, 4, Mode::Eval, &mut workspace)?;
//! for (logits, class) in logits.chunks(2).zip(classes) {
//!     assert_eq!(u32::from(logits[1] > logits[0]), class);
//! }
//! # Ok::<(), nexus_models::ModelError>(())
//! ```
//!
//! # Threat model
//!
//! Specifications, weights, parameters, tokens and labels may come from an enemy: each is checked
//! against named limits before memory is taken for it, and what does not fit is a [`ModelError`]
//! that names the layer and the sizes. Numbers are not judged: a NaN in the parameters comes out
//! as NaN, and is the receiver's to refuse. Nothing here keeps a secret; the running time depends
//! on the shapes and, in places, on the data.
//!
//! # Cost
//!
//! Linear layers and convolutions are products of matrices on the `gemm` crate, on one thread;
//! other loops are compiled for AVX-512, AVX2 and the baseline, and chosen when they run. A
//! [`Workspace`] takes two values for each activation and allocates nothing once it has seen the
//! largest batch. Norms of an example cost what its gradient costs, or less: |x|²|δ|² for one
//! position, two Gram matrices for a few.
//!
//! The same program gives the same bits for the same input on the same machine. Between machines
//! with different vector units or caches the last bits may differ, as products are summed in
//! blocks that fit the machine.
//!
//! # Unsafe code
//!
//! One block, around the kernels of `gemm`, behind bounds checks; a plain triple loop stands
//! beside it in the tests.

pub mod data;
pub mod weights;

mod compile;
mod error;
mod gemm;
mod layers;
mod loss;
mod network;
mod real;
mod spec;
mod tensor;
mod vector;
mod workspace;

pub use compile::{MAX_AXES, MAX_LAYERS, MAX_VALUES};
pub use error::ModelError;
pub use layers::frozen_digest;
pub use loss::Targets;
pub use network::{Mode, Network, TensorInfo, Weights};
pub use real::Real;
pub use spec::{Base, LayerSpec, Loss, MAX_COEFFICIENTS, ModelSpec, SPEC_VERSION};
pub use tensor::Tensor;
pub use workspace::Workspace;
