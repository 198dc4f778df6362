//! Models.
pub mod data;

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
pub use spec::{Base, LayerSpec, Loss, ModelSpec, SPEC_VERSION};
pub use tensor::Tensor;
pub use workspace::Workspace;
