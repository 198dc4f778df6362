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

#[cfg(test)]
mod tests {
    use nexus_types::Seed;
    use proptest::prelude::*;

    use super::*;
    use crate::ModelSpec;

    fn network() -> Network {
        Network::new(&ModelSpec::cnn([4, 4, 1], 2)).unwrap()
    }

    fn file() -> (Network, Vec<f32>, Vec<u8>) {
        let network = network();
        let parameters = network.initial(&Seed::from_number(1));
        let bytes = save(&network, &parameters).unwrap();
        (network, parameters, bytes)
    }

    /// A file with this header.
    fn with_header(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    #[test]
    fn what_is_saved_loads_bit_for_bit() {
        let (network, parameters, bytes) = file();
        assert_eq!(load(&bytes, &network).unwrap(), parameters);
        assert_eq!(save(&network, &parameters).unwrap(), bytes);
        let tensors = read(&bytes).unwrap();
        let names: Vec<&str> = tensors.keys().map(String::as_str).collect();
        assert_eq!(names, ["0.bias", "0.weight", "3.bias", "3.weight", "7.bias", "7.weight"]);
        assert_eq!(tensors["0.weight"].shape(), [16, 3, 3, 1]);
    }

    #[test]
    fn a_file_for_another_model_is_refused() {
        let (network, parameters, bytes) = file();
        let other = Network::new(&ModelSpec::cnn([4, 4, 1], 3)).unwrap();
        let (got, expected) = (network.hash().to_string(), other.hash());
        assert_eq!(load(&bytes, &other), Err(ModelError::OtherModel { got, expected }));
        let short = save(&network, &parameters[1..]);
        let (got, expected) = (parameters.len() - 1, parameters.len());
        assert_eq!(short, Err(ModelError::Parameters { got, expected }));
    }

    #[test]
    fn what_is_wrong_with_a_tensor_is_named() {
        let network = Network::new(&ModelSpec::linear(2)).unwrap();
        let entry = |name: &str, kind: &str, shape: &str, begin: usize, end: usize| {
            format!(
                r#""{name}":{{"dtype":"{kind}","shape":{shape},"data_offsets":[{begin},{end}]}}"#
            )
        };
        let weight = entry("0.weight", "F32", "[1,2]", 0, 8);
        let load = |entries: &[String], data: usize| {
            load(&with_header(&format!("{{{}}}", entries.join(",")), data), &network)
        };
        let bias = entry("0.bias", "F32", "[1]", 8, 12);
        assert_eq!(load(&[weight.clone(), bias.clone()], 12), Ok(vec![0.0; 3]));
        let name = || "0.bias".to_owned();
        let missing = load(std::slice::from_ref(&weight), 8);
        assert_eq!(missing, Err(ModelError::TensorMissing { name: name() }));
        let shape = load(&[weight.clone(), entry("0.bias", "F32", "[1,1]", 8, 12)], 12);
        let (got, expected) = (vec![1, 1], vec![1]);
        assert_eq!(shape, Err(ModelError::TensorShape { name: name(), got, expected }));
        let kind = load(&[weight.clone(), entry("0.bias", "F16", "[1]", 8, 10)], 10);
        assert_eq!(kind, Err(ModelError::TensorType { name: name(), got: "F16".into() }));
        let more = load(&[weight, bias, entry("1.bias", "F32", "[1]", 12, 16)], 16);
        assert_eq!(more, Err(ModelError::TensorUnknown { name: "1.bias".into() }));
        let mut bytes = save(&network, &[0.0; 3]).unwrap();
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        let infinite = super::load(&bytes, &network);
        let (name, position, value) = ("0.weight".to_owned(), 1, f32::INFINITY);
        assert_eq!(infinite, Err(ModelError::NotFinite { name, position, value }));
    }

    #[test]
    fn claimed_sizes_allocate_nothing() {
        for header in [
            r#"{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#,
            r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
            "{",
        ] {
            let read = read(&with_header(header, 4));
            assert!(matches!(read, Err(ModelError::NotSafetensors { .. })), "{header}");
        }
        let long = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
        assert!(matches!(read(&long), Err(ModelError::NotSafetensors { .. })));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_or_finite(
            bytes in prop::collection::vec(any::<u8>(), 0..64), at: prop::sample::Index, to: u8,
            cut: prop::sample::Index,
        ) {
            let (network, parameters, mut valid) = file();
            let check = |bytes: &[u8]| match load(bytes, &network) {
                Ok(loaded) => {
                    assert!(loaded.len() == parameters.len() && loaded.iter().all(|x| x.is_finite()));
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            };
            check(&bytes);
            let headless = [&(bytes.len() as u64).to_le_bytes()[..], &bytes].concat();
            check(&headless);
            let at = at.index(valid.len().min(800));
            valid[at] = to;
            check(&valid);
            valid.truncate(cut.index(valid.len()));
            check(&valid);
        }
    }
}
