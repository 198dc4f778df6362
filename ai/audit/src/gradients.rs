//! Sums of rows' gradients, as an owner computes them.

use nexus_models::data::{DataTargets, Dataset};
use nexus_models::{Mode, Network, Real, Targets, Weights, Workspace};

use crate::AuditError;

/// Rows that go through the model at a time.
const ROWS: usize = 32;

/// Adds the sum over the rows of `data` of weighted gradients at `parameters` to `sums`; `weight`
/// is called with the squared norm of each row's gradient.
pub(crate) fn add_weighted(
    network: &Network<f32>,
    parameters: &[f32],
    data: &Dataset,
    workspace: &mut Workspace<f32>,
    weight: impl Fn(f64) -> f64,
    sums: &mut [f64],
) -> Result<(), AuditError> {
    let mut gradient = vec![0.0_f32; network.parameters()];
    for start in (0..data.rows()).step_by(ROWS) {
        let end = (start + ROWS).min(data.rows());
        backward(network, parameters, data, start..end, workspace)?;
        let mut norms = vec![0.0; end - start];
        network.gradient_norms_sq(workspace, &mut norms)?;
        let weights: Vec<f32> = norms.iter().map(|norm| f32::of(weight((*norm).into()))).collect();
        network.weighted_gradient(workspace, Weights::PerExample(&weights), &mut gradient)?;
        sums.iter_mut().zip(&gradient).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    Ok(())
}

/// Sends these rows forward and backward.
fn backward(
    network: &Network<f32>,
    parameters: &[f32],
    data: &Dataset,
    rows: std::ops::Range<usize>,
    workspace: &mut Workspace<f32>,
) -> Result<(), AuditError> {
    let width = data.width();
    let input = &data.features()[rows.start * width..rows.end * width];
    network.forward(parameters, input, rows.len(), Mode::Eval, workspace)?;
    let targets = match data.targets() {
        DataTargets::Classes { labels, .. } => Targets::Classes(&labels[rows]),
        DataTargets::Values(values) => Targets::Values(&values[rows]),
    };
    network.backward(parameters, &targets, workspace)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use nexus_models::ModelSpec;
    use nexus_models::data::builtin;
    use nexus_types::Seed;

    use super::*;

    #[test]
    fn the_sum_is_that_of_single_rows_with_their_weights() {
        let network = Network::new(&ModelSpec::mlp(64, &[16], 10)).unwrap();
        let parameters = network.initial(&Seed::from_number(1));
        let data = builtin::digits().select(&(0..70).collect::<Vec<_>>());
        let mut workspace = Workspace::new();
        let mut sum_of = |data: &Dataset| {
            let mut sums = vec![0.0; network.parameters()];
            let weight = |norm_sq: f64| 1.0 / norm_sq.sqrt();
            add_weighted(&network, &parameters, data, &mut workspace, weight, &mut sums).unwrap();
            sums
        };
        let whole = sum_of(&data);
        let mut parts = vec![0.0; whole.len()];
        for row in 0..70 {
            let part = sum_of(&data.select(&[row]));
            let norm: f64 = part.iter().map(|value| value * value).sum();
            assert!((norm - 1.0).abs() < 1e-5, "{norm}");
            parts.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
        let error: f64 = whole.iter().zip(&parts).map(|(a, b)| (a - b).powi(2)).sum();
        assert!(error.sqrt() < 1e-4, "{error}");
    }
}
