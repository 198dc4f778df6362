//! Models as circuits.

use std::ops::Range;

use nexus_he::circuit::{Affine, BatchPlan, Limits, Plan, Stage, in_the_clear};
use nexus_he::{Matrix, Polynomial};
use nexus_models::{LayerSpec, Network, Real};
use serde::{Deserialize, Serialize};

use crate::InferenceError;
use crate::arrange::{self, Image};
use crate::task::argmax;

/// The most numbers of one matrix.
const MAX_CELLS: usize = 1 << 26;
/// Examples that are sent through a layer at once.
const EXAMPLES: usize = 256;
/// How much further than any measured number an approximation reaches.
const MARGIN: f64 = 1.2;
/// The least range of an approximation.
const LEAST_RANGE: f64 = 0.25;
/// Degrees that are tried: the largest of each depth.
const DEGREES: [usize; 3] = [3, 7, 15];
/// Measured numbers that a polynomial is made for.
const POINTS: usize = 4096;
/// Rows that a polynomial is made for, if it is made for answers.
const ROWS: usize = 512;
/// How polynomials are made, in the order in which they are tried.
const FITTINGS: [Fitting; 3] = [Fitting::Answers, Fitting::Near, Fitting::Minimax];
/// Rows whose answers meet the errors of as many, to tell how many answers change.
const CROSSED: usize = 1024;
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
}

/// How a polynomial is made.
#[derive(Clone, Copy)]
enum Fitting {
    /// For the smallest distance in what the matrix after it gives for the rows that were measured.
    Answers,
    /// Nearest to the activation on the numbers that were measured.
    Near,
    /// With the smallest largest distance.
    Minimax,
}

/// A part of a network.
enum Piece {
    /// Layers that together are Wx + b.
    Affine(Range<usize>),
    /// An activation.
    Activation(usize, Activation),
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
            };
            images.resize(stages.len(), known[before]);
        }
        Ok(Self { stages, images, input: known[0], distances })
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
            let agreement = rows.agreement(&errors);
            let sure = agreement.min(rows.expected_agreement(&errors));
            if best.as_ref().is_none_or(|(known, ..)| *known < sure) {
                let other_agreement = others.agreement(&compiled.errors(&others));
                let (rows, other_rows) = (rows.count, others.count);
                let calibration =
                    Calibration { approximations, rows, agreement, other_rows, other_agreement };
                best = Some((sure, compiled, calibration));
            }
            if sure >= ENOUGH || measured.is_empty() {
                break;
            }
        }
        let best = best.map(|(_, compiled, calibration)| (compiled, calibration));
        best.ok_or_else(|| problem.unwrap_or(InferenceError::NoRows))
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
        let plan = arranged.and_then(|stages| Plan::new(&stages, limits).ok());
        Ok(plan.map_or_else(|| Plan::new(&self.stages, limits), Ok)?)
    }

    /// The plan of the circuit for many rows at once, which have no order in slots.
    ///
    /// # Errors
    /// [`InferenceError::Plan`].
    pub fn batched(&self, limits: &Limits) -> Result<BatchPlan, InferenceError> {
        Ok(BatchPlan::new(&self.stages, limits)?)
    }
}

/// Cuts a network at its activations.
fn pieces<T: Real>(network: &Network<T>) -> Result<Vec<Piece>, InferenceError> {
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
            LayerSpec::MaxPool { .. } => return refuse(layer, "max_pool", "use avg_pool"),
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

/// Every other row, from the first on, and the rest.
fn halves(rows: &[f32], width: usize) -> [Vec<f64>; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    for (at, row) in rows.chunks_exact(width).enumerate() {
        halves[at % 2].extend(row.iter().map(|value| f64::from(*value)));
    }
    halves
}

/// Rows and what the network says of them.
struct Known {
    rows: Vec<f64>,
    count: usize,
    answers: Vec<f64>,
}

impl Known {
    fn new(
        network: &Network<f64>,
        parameters: &[f64],
        rows: Vec<f64>,
    ) -> Result<Self, InferenceError> {
        let count = rows.len() / network.inputs();
        let layers = 0..network.spec().layers.len();
        let answers = network.through(layers, parameters, &rows, count)?;
        Ok(Self { rows, count, answers })
    }

    /// Rows and answers.
    fn rows(&self) -> impl Iterator<Item = (&[f64], &[f64])> {
        let count = self.count.max(1);
        let (inputs, outputs) = (self.rows.len() / count, self.answers.len() / count);
        self.rows.chunks_exact(inputs.max(1)).zip(self.answers.chunks_exact(outputs.max(1)))
    }

    /// Share of rows whose answer stays as it is with the error of their own; 1 if there are none.
    fn agreement(&self, errors: &[f64]) -> f64 {
        let outputs = self.answers.len() / self.count.max(1);
        let own = self.rows().zip(errors.chunks_exact(outputs.max(1)));
        share(own.map(|((_, answer), error)| stays(answer, error)))
    }

    /// Share of answers that stay as they are with the errors of other rows: how many of further rows
    /// would, if errors and answers have little to do with each other. That is known better than by
    /// counting, which sees no more than the few answers that change.
    fn expected_agreement(&self, errors: &[f64]) -> f64 {
        let outputs = (self.answers.len() / self.count.max(1)).max(1);
        let errors: Vec<&[f64]> = errors.chunks_exact(outputs).take(CROSSED).collect();
        let pairs = self
            .rows()
            .take(CROSSED)
            .flat_map(|(_, answer)| errors.iter().map(move |error| stays(answer, error)));
        share(pairs)
    }
}

/// Whether an answer with this error is the same.
fn stays(answer: &[f64], error: &[f64]) -> bool {
    // Of one number, the sign is the answer, or a hundredth is small enough.
    if let ([answer], [error]) = (answer, error) {
        return error.abs() < 0.01 * answer.abs().max(1.0);
    }
    let got: Vec<f64> = answer.iter().zip(error).map(|(a, b)| a + b).collect();
    argmax(&got) == argmax(answer)
}

/// Share of what holds; 1 of nothing.
fn share(all: impl Iterator<Item = bool>) -> f64 {
    let (count, held) =
        all.fold((0_usize, 0_usize), |(count, held), it| (count + 1, held + usize::from(it)));
    if count == 0 { 1.0 } else { held as f64 / count as f64 }
}

/// What comes before an activation.
struct Measured {
    layer: usize,
    function: Activation,
    range: f64,
    /// The numbers of some rows, divided by the range, one row after the other.
    points: Vec<f64>,
    /// The layers of the matrix that comes next, if one does.
    next: Option<Range<usize>>,
}

impl Measured {
    fn approximation(
        &self,
        network: &Network<f64>,
        parameters: &[f64],
        degree: usize,
        fitting: Fitting,
    ) -> Result<Approximation, InferenceError> {
        let Self { layer, function, range, .. } = *self;
        let of = |x| function.at(range * x);
        let polynomial = match (fitting, &self.next) {
            (Fitting::Minimax, _) => Polynomial::minimax(degree, of)?.0,
            (Fitting::Answers, Some(next)) => {
                let sums = self.sums(network, parameters, degree, next.clone())?;
                Polynomial::of_sums(degree, &sums, of)?
            }
            (Fitting::Near | Fitting::Answers, _) => {
                let step = self.points.len().div_ceil(POINTS);
                let points: Vec<f64> = self.points.iter().step_by(step).copied().collect();
                Polynomial::near(degree, &points, of)?
            }
        };
        let coefficients = polynomial.coefficients().to_vec();
        Ok(Approximation { layer, function, range, coefficients })
    }

    /// For each number that the next matrix gives for each row: what each Chebyshev polynomial, in place
    /// of the activation, makes of it, and what the activation does. If nothing comes after the
    /// matrix, only differences between a row's numbers count.
    fn sums(
        &self,
        network: &Network<f64>,
        parameters: &[f64],
        degree: usize,
        next: Range<usize>,
    ) -> Result<Vec<(Vec<f64>, f64)>, InferenceError> {
        let width = network.width_before(self.layer);
        let rows = (self.points.len() / width).min(ROWS);
        let points = &self.points[..rows * width];
        let outputs = network.width_before(next.end);
        let last = next.end == network.spec().layers.len() && outputs > 1;
        let after = |values: Vec<f64>| network.through(next.clone(), parameters, &values, rows);
        let bias = after(vec![0.0; points.len()])?;
        let linear = |values: Vec<f64>| -> Result<Vec<f64>, InferenceError> {
            let mut sums: Vec<f64> =
                after(values)?.iter().zip(&bias).map(|(sum, bias)| sum - bias).collect();
            for row in sums.chunks_exact_mut(outputs).filter(|_| last) {
                let mean = row.iter().sum::<f64>() / outputs as f64;
                for value in row {
                    *value -= mean;
                }
            }
            Ok(sums)
        };
        let wanted = points.iter().map(|x| self.function.at(self.range * x)).collect();
        let all = linear(wanted)?.into_iter().map(|wanted| (Vec::new(), wanted));
        let mut all: Vec<(Vec<f64>, f64)> = all.collect();
        for power in 0..=degree {
            let values = points.iter().map(|x| Polynomial::chebyshev(degree, *x)[power]).collect();
            for ((terms, _), value) in all.iter_mut().zip(linear(values)?) {
                terms.push(value);
            }
        }
        Ok(all)
    }
}

/// What comes before each activation.
fn measured(
    network: &Network<f64>,
    parameters: &[f64],
    rows: &Known,
) -> Result<Vec<Measured>, InferenceError> {
    let (mut values, mut all) = (rows.rows.clone(), Vec::<Measured>::new());
    for piece in pieces(network)? {
        let layers = match piece {
            Piece::Affine(layers) => {
                if let Some(before) = all.last_mut().filter(|it| it.layer + 1 == layers.start) {
                    before.next = Some(layers.clone());
                }
                layers
            }
            Piece::Activation(layer, function) => {
                let largest = values.iter().copied().map(f64::abs).fold(0.0, f64::max);
                let range = (MARGIN * largest).max(LEAST_RANGE);
                let points = values.iter().map(|value| value / range).collect();
                all.push(Measured { layer, function, range, points, next: None });
                layer..layer + 1
            }
        };
        values = network.through(layers, parameters, &values, rows.count)?;
    }
    Ok(all)
}
