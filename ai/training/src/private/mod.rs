//! Clipped gradients: what differentially private training adds up.
//!
//! Where a row is put must not follow from which other rows there are, for the bits of its gradient may
//! depend on its place: see [`Places`].

mod places;

use std::sync::Arc;

use nexus_models::data::{DataTargets, Dataset};
use nexus_models::{LayerSpec, Mode, ModelError, Network, Targets, Weights, Workspace};
use nexus_privacy::flow::{Clipped, Examples, Label, Private};
use nexus_privacy::mechanisms::clip::Clip;
use nexus_types::CryptoRng;

use self::places::Places;
pub use self::places::Sampling;
use crate::LearningError;
use crate::local::fits;

/// Rows that go through the network at a time. Gradients of 384 rows are summed in f32, in runs of
/// 64: one row moves the rounding of the others by less than a half of the margin of clipping.
const SLOT: usize = 384;

/// The sum of the gradients of the loss of every row at `parameters`, each clipped: of a full
/// batch.
///
/// Row i has place i, in slots of 384, of which the last is filled up with empty ones to a
/// multiple of 32: a neighbour has an empty place where this data set has a row. A row whose gradient is not finite counts
/// nothing, and is no error: an error would tell of it.
///
/// # Errors
/// [`LearningError::Dropout`], [`LearningError::Length`] and [`LearningError::Model`] if network,
/// data and parameters do not fit each other.
pub fn clipped_gradients(
    network: &Network<f32>,
    data: &Dataset,
    parameters: &[f32],
    clip: Clip,
    label: Arc<Label>,
) -> Result<Clipped, LearningError> {
    clipped_at(network, data, parameters, clip, label, &Places::of_all(data.rows()))
}

/// The sum of the clipped gradients of a Poisson sample: each row by itself with the probability
/// of `sampling`, by coins of `rng`, which must be the system's generator and be kept secret.
///
/// As many rows are computed whatever the coins say: [`Sampling::places`], of which those that are not
/// taken are empty, and rows that find no place are dropped, by chance. The places are drawn too, so that
/// one more row moves no other.
///
/// # Errors
/// As [`clipped_gradients`].
pub fn sampled_clipped_gradients(
    network: &Network<f32>,
    data: &Dataset,
    parameters: &[f32],
    clip: Clip,
    label: Arc<Label>,
    sampling: &Sampling,
    rng: &mut dyn CryptoRng,
) -> Result<Clipped, LearningError> {
    let places = Places::sampled(data.rows(), sampling, rng);
    clipped_at(network, data, parameters, clip, label, &places)
}

fn clipped_at(
    network: &Network<f32>,
    data: &Dataset,
    parameters: &[f32],
    clip: Clip,
    label: Arc<Label>,
    places: &Places,
) -> Result<Clipped, LearningError> {
    fits("features of a row", data.width(), network.inputs())?;
    fits("parameters", parameters.len(), network.parameters())?;
    let dropout = |layer: &LayerSpec| matches!(layer, LayerSpec::Dropout { .. });
    if let Some(layer) = network.spec().layers.iter().position(dropout) {
        return Err(LearningError::Dropout { layer });
    }
    let mut failed = None;
    let slots = Slots::new(network, data, parameters, places, &mut failed);
    let clipped = Private::new(slots, label).clip_rows(clip);
    failed.map_or(Ok(clipped), |error| Err(error.into()))
}

/// The rows of a data set at their places, as gradients.
struct Slots<'a> {
    network: &'a Network<f32>,
    data: &'a Dataset,
    parameters: &'a [f32],
    to_come: std::slice::Chunks<'a, Option<usize>>,
    slot: &'a [Option<usize>],
    workspace: Workspace<f32>,
    failed: &'a mut Option<ModelError>,
}

impl<'a> Slots<'a> {
    fn new(
        network: &'a Network<f32>,
        data: &'a Dataset,
        parameters: &'a [f32],
        places: &'a Places,
        failed: &'a mut Option<ModelError>,
    ) -> Self {
        let (workspace, to_come) = (Workspace::new(), places.slots());
        Self { network, data, parameters, to_come, slot: &[], workspace, failed }
    }

    fn norms_sq(&mut self) -> Result<Vec<f32>, ModelError> {
        let Self { network, data, parameters, slot, workspace, .. } = self;
        let width = data.width();
        network.forward_with(parameters, slot.len(), Mode::Eval, workspace, |room| {
            for (room, place) in room.chunks_exact_mut(width).zip(*slot) {
                match place {
                    Some(row) => room.copy_from_slice(data.row(*row)),
                    None => room.fill(0.0),
                }
            }
        })?;
        match data.targets() {
            DataTargets::Classes { labels, .. } => {
                let labels = at_places(labels, slot);
                network.backward(parameters, &Targets::Classes(&labels), workspace)?;
            }
            DataTargets::Values(values) => {
                let values = at_places(values, slot);
                network.backward(parameters, &Targets::Values(&values), workspace)?;
            }
        }
        let mut norms_sq = vec![0.0; slot.len()];
        network.gradient_norms_sq(workspace, &mut norms_sq)?;
        // An empty place counts nothing.
        for (norm_sq, place) in norms_sq.iter_mut().zip(*slot) {
            *norm_sq = if place.is_some() { *norm_sq } else { f32::INFINITY };
        }
        Ok(norms_sq)
    }

    fn add(&mut self, weights: &[f32], sums: &mut [f64]) -> Result<(), ModelError> {
        let weights = Weights::PerExample(weights);
        self.network.add_weighted_gradient(&mut self.workspace, weights, sums)
    }

    fn note<T>(&mut self, result: Result<T, ModelError>) -> Option<T> {
        result.map_err(|error| *self.failed = Some(error)).ok()
    }
}

/// The values of the rows at these places, 0 at empty ones.
fn at_places<T: Copy + Default>(values: &[T], places: &[Option<usize>]) -> Vec<T> {
    places.iter().map(|place| place.map_or_else(T::default, |row| values[row])).collect()
}

impl Examples for Slots<'_> {
    fn dimension(&self) -> usize {
        self.network.parameters()
    }

    fn next_norms_sq(&mut self) -> Option<Vec<f32>> {
        self.slot = self.to_come.next()?;
        let norms_sq = self.norms_sq();
        self.note(norms_sq)
    }

    fn add_weighted(&mut self, weights: &[f32], sums: &mut [f64]) {
        let added = self.add(weights, sums);
        self.note(added);
    }
}

#[cfg(test)]
mod tests;
