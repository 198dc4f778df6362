//! Networks that need no approximation.

use nexus_models::{LayerSpec, ModelSpec, Network};

use crate::InferenceError;
use crate::compile::Approximation;
use crate::measured::{Fitting, Known, halves, measured};

/// A network with the same parameters that is computed under encryption as it is: means for the
/// largest of windows, and for each activation the polynomial of `degree` that is nearest on
/// every other one of `rows`, from the first on. Its answers are others until it is trained a while, as by
/// `nexus_learning::distil`.
///
/// # Errors
/// [`InferenceError::NoRows`]; [`InferenceError::Layer`] for a layer that has no encrypted form even so.
pub fn friendly(
    spec: &ModelSpec,
    parameters: &[f64],
    rows: &[f32],
    degree: usize,
) -> Result<ModelSpec, InferenceError> {
    let mut spec = spec.clone();
    for layer in &mut spec.layers {
        if let LayerSpec::MaxPool { kernel, stride } = *layer {
            *layer = LayerSpec::AvgPool { kernel, stride };
        }
    }
    let network = Network::<f64>::new(&spec)?;
    let [rows, _] = halves(rows, network.inputs());
    let rows = Known::new(&network, parameters, rows)?;
    if rows.count == 0 {
        return Err(InferenceError::NoRows);
    }
    for it in measured(&network, parameters, &rows)? {
        let it = it.approximation(&network, parameters, degree, Fitting::Near)?;
        spec.layers[it.layer] = layer(&it);
    }
    Ok(spec)
}

#[expect(clippy::cast_possible_truncation, reason = "specifications have single precision")]
fn layer(it: &Approximation) -> LayerSpec {
    let coefficients = it.coefficients.iter().map(|it| *it as f32).collect();
    LayerSpec::Polynomial { range: it.range as f32, coefficients }
}
