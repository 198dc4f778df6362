//! Models as circuits.

use std::ops::Range;

use nexus_he::circuit::{Affine, BatchPlan, Limits, Plan, Stage, in_the_clear};
use nexus_he::{Matrix, Polynomial};
use nexus_models::{LayerSpec, ModelSpec, Network, Real};
use serde::{Deserialize, Serialize};

use crate::InferenceError;
use crate::arrange::{self, Image};
use crate::measured::{Fitting, Known, Measured, halves, measured};

/// The most numbers of one matrix.
const MAX_CELLS: usize = 1 << 26;
/// Examples that are sent through a layer at once.
const EXAMPLES: usize = 256;
/// Degrees that are tried: the largest of each depth.
const DEGREES: [usize; 3] = [3, 7, 15];
/// How polynomials are made, in the order in which they are tried.
const FITTINGS: [Fitting; 3] = [Fitting::Answers, Fitting::Near, Fitting::Minimax];
/// Share of rows whose answer must stay the same for a degree to be enough.
const ENOUGH: f64 = 0.995;

/// A function between layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x Φ(x), by its tanh approximation.
    Gelu,
    /// tanh x.
    Tanh,
}

impl Activation {
    /// Its value.
    pub fn at(self, x: f64) -> f64 {
        match self {
            Self::Relu => x.max(0.0),
            Self::Gelu => {
                let inner =
                    (2.0 / std::f64::consts::PI).sqrt() * 0.044_715_f64.mul_add(x.powi(3), x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Self::Tanh => x.tanh(),
        }
    }
}

/// What an activation is replaced by on [−range, range].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approximation {
    /// The activation's place in the specification.
    pub layer: usize,
    /// The activation.
    pub function: Activation,
    /// The largest magnitude that it is made for.
    pub range: f64,
    /// The polynomial of x / range, the constant first.
    pub coefficients: Vec<f64>,
}

/// What was measured on rows that the model's owner has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// What replaces each activation.
    pub approximations: Vec<Approximation>,
    /// Rows that were measured: every other one of those given, from the first on.
    pub rows: usize,
    /// Share of them with the same answer as before.
    pub agreement: f64,
    /// The other rows, on which nothing was chosen.
    #[serde(default)]
    pub other_rows: usize,
    /// Share of them with the same answer as before; 1 if there are none.
    #[serde(default)]
    pub other_agreement: f64,
    /// What the answer is computed in, a power of two: so that it fits, and errors are small beside it.
    #[serde(default = "one")]
    pub unit: f64,
    /// The network that is computed in place of the one that was trained, if it was fine-tuned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub friendly: Option<ModelSpec>,
}

const fn one() -> f64 {
    1.0
}

/// A part of a network.
pub(crate) enum Piece {
    /// Layers that together are Wx + b.
    Affine(Range<usize>),
    /// An activation.
    Activation(usize, Activation),
    /// A polynomial, exactly.
    Polynomial(usize),
}

/// A model as a circuit.
#[derive(Clone, Debug)]
pub struct Compiled {
    stages: Vec<Stage>,
    /// The image that each stage gives, if it does, and that of the input.
    images: Vec<Option<Image>>,
    input: Option<Image>,
    /// The largest distance of each approximation from its activation, within its range.
    distances: Vec<f64>,
    /// What the answer is computed in.
    unit: f64,
}

impl Compiled {
    /// The circuit of a model with these approximations.
    ///
    /// # Errors
    /// [`InferenceError`] naming the layer that has no encrypted form, or the approximation that is none.
    pub fn new(
        network: &Network<f64>,
        parameters: &[f64],
        approximations: &[Approximation],
    ) -> Result<Self, InferenceError> {
        let pieces = pieces(network)?;
        let activations = pieces.iter().filter(|it| matches!(it, Piece::Activation(..))).count();
        if activations != approximations.len() {
            let got = approximations.len();
            return Err(InferenceError::Approximations { activations, got });
        }
        let mut approximations = approximations.iter();
        let (mut stages, mut distances) = (Vec::<Stage>::new(), Vec::new());
        let (known, mut images) = (arrange::images(network), Vec::new());
        for piece in pieces {
            let before = match piece {
                Piece::Affine(layers) => {
                    let after = layers.end;
                    stages.push(affine(network, parameters, layers)?);
                    after
                }
                Piece::Activation(layer, function) => {
                    let Some(it) = approximations.next() else { break };
                    let (polynomial, distance) = fit(layer, function, it)?;
                    shrink(&mut stages, network.width_before(layer), 1.0 / it.range)?;
                    stages.push(Stage::Polynomial(polynomial));
                    distances.push(distance);
                    layer
                }
                Piece::Polynomial(layer) => {
                    let (range, polynomial) = polynomial(network, layer)?;
                    shrink(&mut stages, network.width_before(layer), 1.0 / range)?;
                    stages.push(Stage::Polynomial(polynomial));
                    layer
                }
            };
            images.resize(stages.len(), known[before]);
        }
        Ok(Self { stages, images, input: known[0], distances, unit: 1.0 })
    }

    /// The same with an answer that is computed in other units, which its reader is told
    /// ([`Calibration::unit`]).
    #[must_use]
    pub fn in_units(self, unit: f64) -> Self {
        Self { unit, ..self }
    }

    /// The circuit with the smallest degree that leaves the answers on every other one of `rows` as they
    /// are, or else changes the fewest; how it does on the rest is measured, too. `rows` are as
    /// the model sees them, one after the other, and stay here.
    ///
    /// # Errors
    /// As [`Compiled::new`]; [`InferenceError::Plan`] if no degree fits; [`InferenceError::NoRows`].
    pub fn calibrated(
        network: &Network<f64>,
        parameters: &[f64],
        rows: &[f32],
    ) -> Result<(Self, Calibration), InferenceError> {
        let [rows, others] = halves(rows, network.inputs());
        let [rows, others] = [rows, others].map(|rows| Known::new(network, parameters, rows));
        let (rows, others) = (rows?, others?);
        if rows.count == 0 {
            return Err(InferenceError::NoRows);
        }
        let measured = measured(network, parameters, &rows)?;
        let mut best: Option<(f64, Self, Calibration)> = None;
        let mut problem = None;
        for (degree, fitting) in DEGREES.into_iter().flat_map(|it| FITTINGS.map(|how| (it, how))) {
            let with = |it: &Measured| it.approximation(network, parameters, degree, fitting);
            let approximations = measured.iter().map(with).collect::<Result<Vec<_>, _>>()?;
            let compiled = Self::new(network, parameters, &approximations)?;
            if let Err(error) = compiled.plan(&Limits::default()) {
                problem.get_or_insert(error);
                break;
            }
            let errors = compiled.errors(&rows);
            let sure = rows.agreement(&errors).min(rows.expected_agreement(&errors));
            if best.as_ref().is_none_or(|(known, ..)| *known < sure) {
                let calibration = compiled.calibration(approximations, [&rows, &others]);
                best = Some((sure, compiled.in_units(calibration.unit), calibration));
            }
            if sure >= ENOUGH || measured.is_empty() {
                break;
            }
        }
        let best = best.map(|(_, compiled, calibration)| (compiled, calibration));
        best.ok_or_else(|| problem.unwrap_or(InferenceError::NoRows))
    }

    /// The circuit of a network that was fine-tuned ([`friendly`](crate::friendly())) to answer as the one
    /// of `trained` does, and how far it does on `rows`, of which it has seen every other one.
    ///
    /// # Errors
    /// As [`Compiled::calibrated`].
    pub fn fine_tuned(
        network: &Network<f64>,
        parameters: &[f64],
        trained: (&Network<f64>, &[f64]),
        rows: &[f32],
    ) -> Result<(Self, Calibration), InferenceError> {
        let compiled = Self::new(network, parameters, &[])?;
        let [rows, others] = halves(rows, trained.0.inputs());
        let [rows, others] = [rows, others].map(|rows| Known::new(trained.0, trained.1, rows));
        let calibration = compiled.calibration(Vec::new(), [&rows?, &others?]);
        let friendly = Some(network.spec().clone());
        let compiled = compiled.in_units(calibration.unit);
        Ok((compiled, Calibration { friendly, ..calibration }))
    }

    fn calibration(
        &self,
        approximations: Vec<Approximation>,
        [rows, others]: [&Known; 2],
    ) -> Calibration {
        Calibration {
            approximations,
            rows: rows.count,
            agreement: rows.agreement(&self.errors(rows)),
            other_rows: others.count,
            other_agreement: others.agreement(&self.errors(others)),
            unit: unit(rows.largest().max(others.largest())),
            friendly: None,
        }
    }

    /// What the circuit's answers on rows are more than the network's.
    fn errors(&self, known: &Known) -> Vec<f64> {
        let answers = known.rows().flat_map(|(row, answer)| {
            let got = in_the_clear(&self.stages, row).into_iter();
            got.zip(answer).map(|(got, answer)| got - answer)
        });
        answers.collect()
    }

    /// The stages of the circuit.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The largest distance of each approximation from its activation, within its range.
    pub fn distances(&self) -> &[f64] {
        &self.distances
    }

    /// The plan of the circuit, with the hidden numbers of images in the order that costs least.
    ///
    /// # Errors
    /// [`InferenceError::Plan`] if it does not fit in their natural order either.
    pub fn plan(&self, limits: &Limits) -> Result<Plan, InferenceError> {
        let arranged = arrange::arranged(&self.stages, &self.images, self.input)?;
        let plan = arranged.and_then(|stages| Plan::in_units(&stages, self.unit, limits).ok());
        Ok(plan.map_or_else(|| Plan::in_units(&self.stages, self.unit, limits), Ok)?)
    }

    /// The plan of the circuit for many rows at once, which have no order in slots.
    ///
    /// # Errors
    /// [`InferenceError::Plan`].
    pub fn batched(&self, limits: &Limits) -> Result<BatchPlan, InferenceError> {
        Ok(BatchPlan::in_units(&self.stages, self.unit, limits)?)
    }
}

/// What answers are computed in: 1, or what is near to the largest of them where that is much less or
/// more.
fn unit(largest: f64) -> f64 {
    let usual = 0.0625..=64.0;
    if usual.contains(&largest) || !largest.is_normal() {
        1.0
    } else {
        largest.log2().round().exp2()
    }
}

/// Cuts a network at its activations.
pub(crate) fn pieces<T: Real>(network: &Network<T>) -> Result<Vec<Piece>, InferenceError> {
    let refuse = |layer, name, instead| Err(InferenceError::Layer { layer, name, instead });
    let mut pieces = Vec::new();
    for (layer, spec) in network.spec().layers.iter().enumerate() {
        let activation = match spec {
            LayerSpec::Linear { .. }
            | LayerSpec::Conv2d { .. }
            | LayerSpec::AvgPool { .. }
            | LayerSpec::LoraLinear { .. }
            | LayerSpec::Dropout { .. }
            | LayerSpec::Flatten
            | LayerSpec::Rescale { .. } => {
                match pieces.last_mut() {
                    Some(Piece::Affine(layers)) => layers.end = layer + 1,
                    _ => pieces.push(Piece::Affine(layer..layer + 1)),
                }
                continue;
            }
            LayerSpec::Relu => Activation::Relu,
            LayerSpec::Gelu => Activation::Gelu,
            LayerSpec::Tanh => Activation::Tanh,
            LayerSpec::Polynomial { .. } => {
                pieces.push(Piece::Polynomial(layer));
                continue;
            }
            LayerSpec::MaxPool { .. } => {
                return refuse(layer, "max_pool", "use avg_pool, or fine-tune");
            }
            LayerSpec::LayerNorm { .. } => return refuse(layer, "layer_norm", "use rescale"),
            LayerSpec::Embedding { .. } => {
                return refuse(layer, "embedding", "look tokens up before");
            }
        };
        pieces.push(Piece::Activation(layer, activation));
    }
    Ok(pieces)
}

/// Layers as a matrix and a bias: what becomes of 0 and of each unit vector.
fn affine(
    network: &Network<f64>,
    parameters: &[f64],
    layers: Range<usize>,
) -> Result<Stage, InferenceError> {
    let width = network.width_before(layers.start);
    let rows = network.width_before(layers.end);
    let got = width.saturating_mul(rows);
    if got > MAX_CELLS {
        let (first, last) = (layers.start, layers.end - 1);
        return Err(InferenceError::Matrix { first, last, got, limit: MAX_CELLS });
    }
    let bias = network.through(layers.clone(), parameters, &vec![0.0; width], 1)?;
    let mut values = vec![0.0; got];
    for from in (0..width).step_by(EXAMPLES) {
        let examples = EXAMPLES.min(width - from);
        let mut units = vec![0.0; examples * width];
        for (at, unit) in units.chunks_exact_mut(width).enumerate() {
            unit[from + at] = 1.0;
        }
        let images = network.through(layers.clone(), parameters, &units, examples)?;
        for (at, image) in images.chunks_exact(rows).enumerate() {
            for (row, (value, bias)) in image.iter().zip(&bias).enumerate() {
                values[row * width + from + at] = value - bias;
            }
        }
    }
    Ok(Stage::Affine(Affine::new(Matrix::new(width, values)?, bias)?))
}

/// The polynomial on [−1, 1] that stands for a function on [−range, range], and its distance.
fn fit(
    layer: usize,
    function: Activation,
    it: &Approximation,
) -> Result<(Polynomial, f64), InferenceError> {
    let refuse = |what, got, limit| Err(InferenceError::Approximation { layer, what, got, limit });
    if it.layer != layer || it.function != function {
        return refuse("the place of its activation", it.layer as f64, "it is another one's");
    }
    if !(it.range.is_finite() && it.range > 0.0) {
        return refuse("the range", it.range, "a positive number is needed");
    }
    let polynomial = Polynomial::new(it.coefficients.clone())?;
    let distance = polynomial.distance(|x| function.at(it.range * x));
    Ok((polynomial, distance))
}

/// The range and the polynomial on [−1, 1] of a layer that is one.
fn polynomial(network: &Network<f64>, layer: usize) -> Result<(f64, Polynomial), InferenceError> {
    let Some(LayerSpec::Polynomial { range, coefficients }) = network.spec().layers.get(layer)
    else {
        return Err(InferenceError::Layer {
            layer,
            name: "another layer",
            instead: "a polynomial",
        });
    };
    let coefficients = coefficients.iter().map(|it| f64::from(*it)).collect();
    Ok((f64::from(*range), Polynomial::new(coefficients)?))
}

/// Multiplies what the stages give, `width` numbers, by `factor`.
fn shrink(stages: &mut Vec<Stage>, width: usize, factor: f64) -> Result<(), InferenceError> {
    let scaled = if let Some(Stage::Affine(last)) = stages.last() {
        let bias = last.bias().iter().map(|value| value * factor).collect();
        Affine::new(last.matrix().clone().rows_scaled(|_| factor), bias)?
    } else {
        let mut values = vec![0.0; width * width];
        values.iter_mut().step_by(width + 1).for_each(|value| *value = factor);
        Affine::new(Matrix::new(width, values)?, vec![0.0; width])?
    };
    if matches!(stages.last(), Some(Stage::Affine(_))) {
        stages.pop();
    }
    stages.push(Stage::Affine(scaled));
    Ok(())
}
