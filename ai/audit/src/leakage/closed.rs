//! Rows in closed form, from the gradient of a first linear layer with bias.
//!
//! Of a row x, unit i has `∂b_i = δ_i` and `∂W_i = δ_i·x`. A sum over rows keeps the quotient only
//! where `δ_i` is 0 for all rows but one, as `ReLU` makes it.

use nexus_models::data::Dataset;
use nexus_models::{LayerSpec, Network, Real};
use nexus_types::Seed;

/// Units with less of the largest bias gradient than this say nothing.
const SILENT: f64 = 1e-7;

/// The scale on which the first layer that is trained sees a value.
#[derive(Clone, Copy)]
struct Scale {
    centre: f64,
    factor: f64,
}

impl Scale {
    fn to(self, value: f64) -> f64 {
        (value - self.centre) * self.factor
    }

    fn from(self, value: f64) -> f64 {
        value / self.factor + self.centre
    }
}

/// The scale that a network begins with, and the layers above it.
fn beginning(network: &Network<f32>) -> (Scale, &[LayerSpec]) {
    match &*network.spec().layers {
        [LayerSpec::Rescale { centre, factor }, above @ ..] => {
            (Scale { centre: (*centre).into(), factor: (*factor).into() }, above)
        }
        above => (Scale { centre: 0.0, factor: 1.0 }, above),
    }
}

/// The number of units of a first linear layer with bias.
fn units(network: &Network<f32>) -> Option<usize> {
    match beginning(network).1.first() {
        Some(LayerSpec::Linear { outputs, bias: true }) if network.spec().input.len() == 1 => {
            Some(*outputs)
        }
        _ => None,
    }
}

/// Gradients of the first layer: for each unit its `∂W_i` and `∂b_i`.
fn first_layer<'a>(
    network: &Network<f32>,
    gradient: &'a [f64],
) -> Option<impl DoubleEndedIterator<Item = (&'a [f64], f64)> + Clone> {
    let (units, inputs) = (units(network)?, network.inputs());
    let (weights, rest) = gradient.split_at_checked(units * inputs)?;
    let biases = rest.get(..units)?;
    Some(weights.chunks_exact(inputs).zip(biases.iter().copied()))
}

/// A candidate for each unit; none if the network does not begin with a linear layer with bias.
pub(super) fn candidates(network: &Network<f32>, gradient: &[f64]) -> Option<Vec<Vec<f64>>> {
    Some(quotients(first_layer(network, gradient)?, beginning(network).0))
}

fn quotients<W: AsRef<[f64]>>(
    units: impl Iterator<Item = (W, f64)> + Clone,
    scale: Scale,
) -> Vec<Vec<f64>> {
    let largest = units.clone().map(|(_, bias)| bias.abs()).fold(0.0, f64::max);
    let telling = units.filter(|(_, bias)| bias.abs() > SILENT * largest);
    let row = |(weights, bias): (W, f64)| {
        weights.as_ref().iter().map(|weight| scale.from(weight / bias)).collect()
    };
    telling.map(row).collect()
}

/// A candidate for each bin of [`imprint`]: what a unit sees and the next does not.
pub(super) fn bins(network: &Network<f32>, gradient: &[f64]) -> Option<Vec<Vec<f64>>> {
    let units = first_layer(network, gradient)?;
    let silent = (vec![0.0; network.inputs()], 0.0);
    let next =
        units.clone().skip(1).map(|(weights, bias)| (weights.to_vec(), bias)).chain([silent]);
    let differences: Vec<(Vec<f64>, f64)> = units
        .zip(next)
        .map(|((weights, bias), (next_weights, next_bias))| {
            let difference = weights.iter().zip(&next_weights).map(|(a, b)| a - b).collect();
            (difference, bias - next_bias)
        })
        .collect();
    let differences = differences.iter().map(|(weights, bias)| (weights, *bias));
    Some(quotients(differences, beginning(network).0))
}

/// Parameters by which a malicious coordinator imprints rows (Fowl, Geiping et al. 2022,
/// arXiv:2110.13057): every unit measures the mean of the features, against thresholds that are the
/// quantiles of what it expects; and the layer above hears all units alike, so that a row's δ is the
/// same in all units that it activates. None unless the network begins with a linear layer with bias,
/// `ReLU` and another linear layer.
pub(super) fn imprint(network: &Network<f32>, known: &Dataset, seed: &Seed) -> Option<Vec<f32>> {
    let units = units(network)?;
    let (scale, layers) = beginning(network);
    let [_, LayerSpec::Relu, LayerSpec::Linear { outputs, .. }, ..] = layers else { return None };
    let inputs = network.inputs();
    let mut parameters = network.initial(seed);
    let (first, above) = parameters.split_at_mut_checked(units * (inputs + 1))?;
    let (weights, biases) = first.split_at_mut(units * inputs);
    weights.fill(f32::of(1.0 / inputs as f64));
    let thresholds = quantiles(known, units).into_iter().map(|mean| scale.to(mean));
    biases.iter_mut().zip(thresholds).for_each(|(bias, threshold)| *bias = f32::of(-threshold));
    let mut rng = seed.derive("above", &[]).rng();
    for row in above.get_mut(..outputs * units)?.chunks_exact_mut(units) {
        row.fill(f32::of((0.5 + rng.unit()) / units as f64));
    }
    Some(parameters)
}

/// The quantiles of the mean feature at 0, 1/count, 2/count ...; the first below all.
fn quantiles(data: &Dataset, count: usize) -> Vec<f64> {
    let mean = |row| {
        let row = data.row(row);
        row.iter().copied().map(f64::from).sum::<f64>() / row.len().max(1) as f64
    };
    let mut means: Vec<f64> = (0..data.rows()).map(mean).collect();
    means.sort_unstable_by(f64::total_cmp);
    let (rows, spread) = (means.len(), means[means.len() - 1] - means[0]);
    let at = |bin: usize| {
        let place = bin * rows / count;
        // Between two rows, so that both have room for rounding.
        let below = place.checked_sub(1).map_or(means[0] - spread - 1e-3, |before| means[before]);
        0.5 * (below + means[place])
    };
    (0..count).map(at).collect()
}
