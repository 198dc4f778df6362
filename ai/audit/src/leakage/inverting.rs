//! Rows by search: whose gradients point where the seen one does?
//!
//! Geiping et al. 2020 (*Inverting Gradients*, arXiv:2003.14053): 1 − cos(∇L(x), seen) plus the total
//! variation of images, minimised over x by Adam, within the range of the data.
//!
//! The slope of the first term in x is a second derivative of the loss, ∂/∂x ⟨v, ∇_θ L(x)⟩ with v the
//! slope of the cosine. It is taken as a central difference in θ, in f64:
//! (∇_x L(x; θ + hv) − ∇_x L(x; θ − hv)) / 2h. So any network will do, at three backward passes a
//! step, and the kinks of `ReLU` are met as rarely as h is small.

use nexus_models::{Mode, Network, Targets, Weights, Workspace};
use nexus_types::{Seed, SeededRng};
use serde::Serialize;

use super::Range;
use crate::AuditError;
use crate::error::within;

/// Length of the step in θ.
const STEP: f64 = 1e-5;

/// How long the search is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Inverting {
    /// Steps of Adam from each start.
    pub steps: u32,
    /// Random starts; the one with the smallest cost counts.
    pub restarts: u32,
    /// The first steps' length, in parts of the range of the data; a tenth after 3/8, 5/8 and 7/8.
    pub rate: f64,
    /// The weight of the total variation, for images.
    pub smoothness: f64,
}

impl Default for Inverting {
    /// 300 steps from two starts.
    fn default() -> Self {
        Self { steps: 300, restarts: 2, rate: 0.1, smoothness: 1e-4 }
    }
}

/// What is known of the rows.
pub(super) struct Target<'a> {
    pub(super) seen: &'a [f64],
    pub(super) labels: &'a [u32],
    pub(super) range: Range,
    pub(super) image: Option<[usize; 2]>,
}

struct Search<'a> {
    network: Network<f64>,
    parameters: Vec<f64>,
    target: &'a Target<'a>,
    smoothness: f64,
    workspace: Workspace<f64>,
}

/// The rows whose gradient is nearest in direction.
///
/// # Errors
/// [`AuditError::Setting`]; [`AuditError::Model`] for networks that need frozen weights.
pub(super) fn invert(
    network: &Network<f32>,
    parameters: &[f32],
    target: &Target<'_>,
    settings: Inverting,
    seed: &Seed,
) -> Result<Vec<Vec<f64>>, AuditError> {
    within("steps of a search", settings.steps.into(), 1.0..=1e6, "from 1 to a million")?;
    within("starts of a search", settings.restarts.into(), 1.0..=1e3, "from 1 to 1000")?;
    within("rate of a search", settings.rate, 1e-6..=1e3, "from 1e-6 to 1000")?;
    within("smoothness", settings.smoothness, 0.0..=1e3, "from 0 to 1000")?;
    let mut search = Search {
        network: Network::new(network.spec())?,
        parameters: parameters.iter().copied().map(f64::from).collect(),
        target,
        smoothness: settings.smoothness,
        workspace: Workspace::new(),
    };
    let mut best = (f64::INFINITY, Vec::new());
    for start in 0..u64::from(settings.restarts) {
        let found = search.descend(settings, &mut seed.derive("start", &[start]).rng())?;
        if found.0 < best.0 {
            best = found;
        }
    }
    Ok(best.1.chunks_exact(network.inputs()).map(<[f64]>::to_vec).collect())
}

impl Search<'_> {
    /// The lowest cost on the way down from a random start, and where it was.
    fn descend(
        &mut self,
        settings: Inverting,
        rng: &mut SeededRng,
    ) -> Result<(f64, Vec<f64>), AuditError> {
        let (range, values) = (self.target.range, self.target.labels.len() * self.network.inputs());
        let mut x: Vec<f64> = (0..values).map(|_| range.low + range.width() * rng.unit()).collect();
        let mut adam = Adam::new(values);
        let mut best = (f64::INFINITY, x.clone());
        for step in 0..settings.steps {
            let (cost, slope) = self.cost(&x)?;
            if cost < best.0 {
                best = (cost, x.clone());
            }
            let part = f64::from(step) / f64::from(settings.steps);
            let falls = [0.375, 0.625, 0.875].iter().filter(|at| part >= **at).count();
            let rate = settings.rate * range.width() * [1.0, 0.1, 0.01, 0.001][falls];
            adam.step(&mut x, &slope, rate);
            for value in &mut x {
                *value = value.clamp(range.low, range.high);
            }
        }
        Ok(best)
    }

    /// 1 − cosine, plus the total variation; and its slope in x.
    fn cost(&mut self, x: &[f64]) -> Result<(f64, Vec<f64>), AuditError> {
        let gradient = self.gradient(x)?;
        let seen = self.target.seen;
        let (own, other) = (norm(&gradient), norm(seen));
        if own < 1e-30 || other < 1e-30 {
            return Ok((1.0, vec![0.0; x.len()]));
        }
        let inner: f64 = gradient.iter().zip(seen).map(|(a, b)| a * b).sum();
        let cosine = inner / (own * other);
        // d(−cos)/dg = (cos · g/|g| − seen/|seen|) / |g|, without the last factor.
        let direction: Vec<f64> =
            gradient.iter().zip(seen).map(|(g, s)| cosine * g / own - s / other).collect();
        let mut slope = self.mixed(x, &direction)?;
        for value in &mut slope {
            *value /= own;
        }
        let rough = self.total_variation(x, &mut slope);
        Ok((1.0 - cosine + rough, slope))
    }

    /// ∇_θ of the sum of the losses.
    fn gradient(&mut self, x: &[f64]) -> Result<Vec<f64>, AuditError> {
        let Self { network, parameters, target, workspace, .. } = self;
        network.forward(parameters, x, target.labels.len(), Mode::Eval, workspace)?;
        network.backward(parameters, &Targets::Classes(target.labels), workspace)?;
        let mut gradient = vec![0.0; network.parameters()];
        network.weighted_gradient(workspace, Weights::Uniform(1.0), &mut gradient)?;
        Ok(gradient)
    }

    /// ∂/∂x ⟨direction, ∇_θ L(x)⟩.
    fn mixed(&mut self, x: &[f64], direction: &[f64]) -> Result<Vec<f64>, AuditError> {
        let h = STEP * norm(&self.parameters).max(1.0) / norm(direction).max(1e-30);
        let mut sides = [Vec::new(), Vec::new()];
        for (side, h) in sides.iter_mut().zip([h, -h]) {
            let Self { network, parameters, target, workspace, .. } = self;
            let moved: Vec<f64> =
                parameters.iter().zip(direction).map(|(w, v)| w + h * v).collect();
            network.forward(&moved, x, target.labels.len(), Mode::Eval, workspace)?;
            network.backward(&moved, &Targets::Classes(target.labels), workspace)?;
            *side = network.input_gradient(&moved, workspace)?.to_vec();
        }
        let [ahead, behind] = sides;
        Ok(ahead.iter().zip(&behind).map(|(a, b)| (a - b) / (2.0 * h)).collect())
    }

    /// The mean absolute difference of neighbours, weighted; its slope is added to `slope`.
    fn total_variation(&self, x: &[f64], slope: &mut [f64]) -> f64 {
        let Some([height, width]) = self.target.image else { return 0.0 };
        let inputs = self.network.inputs();
        if self.smoothness <= 0.0 || height.checked_mul(width) != Some(inputs) {
            return 0.0;
        }
        let weight = self.smoothness / inputs as f64;
        let mut sum = 0.0;
        for start in (0..x.len()).step_by(inputs) {
            for place in 0..inputs {
                let right = (place % width + 1 < width).then_some(place + 1);
                let below = (place + width < inputs).then_some(place + width);
                for other in right.into_iter().chain(below) {
                    let difference = x[start + place] - x[start + other];
                    sum += difference.abs();
                    slope[start + place] += weight * sign(difference);
                    slope[start + other] -= weight * sign(difference);
                }
            }
        }
        weight * sum
    }
}

fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Adam without decay (Kingma & Ba 2014, arXiv:1412.6980).
struct Adam {
    mean: Vec<f64>,
    square: Vec<f64>,
    steps: i32,
}

impl Adam {
    fn new(values: usize) -> Self {
        Self { mean: vec![0.0; values], square: vec![0.0; values], steps: 0 }
    }

    fn step(&mut self, x: &mut [f64], slope: &[f64], rate: f64) {
        self.steps += 1;
        let (mean_part, square_part) =
            (1.0 - 0.9_f64.powi(self.steps), 1.0 - 0.999_f64.powi(self.steps));
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for ((x, slope), (mean, square)) in x.iter_mut().zip(slope).zip(moments) {
            *mean = 0.9 * *mean + 0.1 * slope;
            *square = 0.999 * *square + 0.001 * slope * slope;
            *x -= rate * (*mean / mean_part) / ((*square / square_part).sqrt() + 1e-12);
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_models::{LayerSpec, Loss, ModelSpec};

    use super::*;

    /// The slope of the cost against differences of the cost, on a smooth network.
    #[test]
    fn the_slope_is_that_of_the_cost() {
        let spec = ModelSpec {
            version: 1,
            input: vec![4],
            layers: vec![
                LayerSpec::Linear { outputs: 5, bias: true },
                LayerSpec::Tanh,
                LayerSpec::Linear { outputs: 3, bias: true },
            ],
            loss: Loss::SoftmaxCrossEntropy,
        };
        let network = Network::<f64>::new(&spec).unwrap();
        let mut rng = Seed::from_number(1).rng();
        let parameters: Vec<f64> = (0..network.parameters()).map(|_| rng.normal()).collect();
        let seen: Vec<f64> = (0..network.parameters()).map(|_| rng.normal()).collect();
        let x: Vec<f64> = (0..8).map(|_| rng.normal()).collect();
        let range = Range { low: -3.0, high: 3.0 };
        let target = Target { seen: &seen, labels: &[2, 0], range, image: Some([2, 2]) };
        let workspace = Workspace::new();
        let mut search =
            Search { network, parameters, target: &target, smoothness: 0.1, workspace };
        let (_, slope) = search.cost(&x).unwrap();
        for place in 0..x.len() {
            let mut at = |h: f64| {
                let mut moved = x.clone();
                moved[place] += h;
                search.cost(&moved).unwrap().0
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((slope[place] - expected).abs() < 1e-6, "{} {expected}", slope[place]);
        }
    }
}
