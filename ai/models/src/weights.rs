//! Weights in files: the safetensors format.
//!
//! A file holds the tensors of [`Network::tensors`] under their names, and the hash of the
//! specification in its metadata. It loads in any tool that reads safetensors.

use std::borrow::Cow;
use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors, View};

use crate::{ModelError, Network, Tensor};

/// The metadata entry with the hash of the specification.
pub const MODEL_HASH: &str = "model_hash";

/// A tensor on its way into a file.
struct Entry<'a> {
    shape: &'a [usize],
    values: &'a [f32],
}

impl View for Entry<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

/// The safetensors file of `parameters`. The same parameters give the same bytes.
///
/// # Errors
/// [`ModelError::Parameters`] if the number of parameters is not the network's.
pub fn save(network: &Network, parameters: &[f32]) -> Result<Vec<u8>, ModelError> {
    let (got, expected) = (parameters.len(), network.parameters());
    if got != expected {
        return Err(ModelError::Parameters { got, expected });
    }
    let entries = network.tensors().iter().map(|tensor| {
        let values = &parameters[tensor.range.clone()];
        (tensor.name.as_str(), Entry { shape: &tensor.shape, values })
    });
    let hash = (MODEL_HASH.to_owned(), network.hash().to_string());
    safetensors::serialize(entries, Some([hash].into_iter().collect())).map_err(not_safetensors)
}

/// The parameters in a file for exactly this network.
///
/// The file may come from anywhere: PyTorch's `Sequential` uses the same names and, for linear
/// layers, layer norms and embeddings, the same shapes. Without a hash in its metadata the names
/// and shapes decide whether it fits.
///
/// # Errors
/// A [`ModelError`] naming the tensor that is missing, unknown, of another type or shape, or not
/// finite; [`ModelError::OtherModel`] if the file names another specification.
pub fn load(bytes: &[u8], network: &Network) -> Result<Vec<f32>, ModelError> {
    check_hash(bytes, network)?;
    let mut tensors = read(bytes)?;
    let mut parameters = Vec::with_capacity(network.parameters());
    for info in network.tensors() {
        let name = info.name.clone();
        let Some(tensor) = tensors.remove(&name) else {
            return Err(ModelError::TensorMissing { name });
        };
        if tensor.shape() != info.shape {
            let (got, expected) = (tensor.shape().to_vec(), info.shape.clone());
            return Err(ModelError::TensorShape { name, got, expected });
        }
        if let Some(position) = tensor.data().iter().position(|value| !value.is_finite()) {
            let value = tensor.data()[position];
            return Err(ModelError::NotFinite { name, position, value });
        }
        parameters.extend(tensor.into_data());
    }
    match tensors.into_keys().next() {
        Some(name) => Err(ModelError::TensorUnknown { name }),
        None => Ok(parameters),
    }
}

/// All tensors of a safetensors file of 32-bit floats, by name.
///
/// # Errors
/// [`ModelError::NotSafetensors`], [`ModelError::TensorType`].
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, ModelError> {
    let file = SafeTensors::deserialize(bytes).map_err(not_safetensors)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            let (name, got) = (name.to_owned(), view.dtype().to_string());
            return Err(ModelError::TensorType { name, got });
        }
        let (values, _) = view.data().as_chunks::<4>();
        let values = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        tensors.insert(name.to_owned(), Tensor::new(view.shape().to_vec(), values)?);
    }
    Ok(tensors)
}

/// Refuses a file that names another model.
fn check_hash(bytes: &[u8], network: &Network) -> Result<(), ModelError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
    let named = header.metadata().as_ref().and_then(|entries| entries.get(MODEL_HASH));
    match named {
        Some(got) if *got != network.hash().to_string() => {
            Err(ModelError::OtherModel { got: got.clone(), expected: network.hash() })
        }
        _ => Ok(()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn not_safetensors(error: safetensors::SafeTensorError) -> ModelError {
    ModelError::NotSafetensors { problem: error.to_string() }
}
