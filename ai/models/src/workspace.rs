//! The memory of a step.

use nexus_types::ModelHash;

use crate::layers::{Kept, Scratch};
use crate::{Mode, Real};

/// Room for the activations and gradients of one batch, to be used again for the next.
///
/// It grows to the largest batch it has seen and then allocates no more. Each thread has its own.
#[derive(Clone, Debug, Default)]
pub struct Workspace<T: Real = f32> {
    pub(crate) input: Vec<T>,
    /// Gradient with respect to the input.
    pub(crate) below: Vec<T>,
    pub(crate) stages: Vec<Stage<T>>,
    pub(crate) scratch: Scratch<T>,
    /// δ of a layer with its rows weighted.
    pub(crate) weighted: Vec<T>,
    /// A gradient on its way into a sum.
    pub(crate) gradient: Vec<T>,
    pub(crate) losses: Vec<T>,
    pub(crate) examples: usize,
    pub(crate) mode: Mode,
    pub(crate) progress: Progress,
}

/// What belongs to one layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage<T> {
    pub(crate) output: Vec<T>,
    pub(crate) delta: Vec<T>,
    pub(crate) kept: Kept<T>,
}

/// How far the batch in a workspace is, and through which network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Progress {
    #[default]
    Empty,
    Forward(ModelHash),
    Backward(ModelHash),
}

impl<T: Real> Workspace<T> {
    /// An empty workspace.
    pub fn new() -> Self {
        Self::default()
    }

    /// Examples in the batch that was last sent forward.
    pub const fn examples(&self) -> usize {
        self.examples
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let stages = self.stages.iter().map(|stage| {
            let kept = stage.kept.values.capacity();
            let values = stage.output.capacity() + stage.delta.capacity() + kept;
            values * size_of::<T>() + stage.kept.places.capacity() * size_of::<u32>()
        });
        let scratch = &self.scratch;
        let shared = [&self.input, &self.below, &self.weighted, &self.gradient, &self.losses];
        let shared =
            shared.into_iter().chain([&scratch.image, &scratch.columns, &scratch.products]);
        stages.sum::<usize>() + shared.map(|room| room.capacity() * size_of::<T>()).sum::<usize>()
    }
}
