//! What a network's layers see on rows of its owner, and how far a circuit's answers are from its own.

use std::ops::Range;

use nexus_he::Polynomial;
use nexus_models::Network;

use crate::InferenceError;
use crate::compile::{Activation, Approximation, Piece, pieces};
use crate::task::argmax;

/// How much further than any measured number an approximation reaches.
const MARGIN: f64 = 1.2;
/// The least range of an approximation.
const LEAST_RANGE: f64 = 0.25;
/// Measured numbers that a polynomial is made for.
const POINTS: usize = 4096;
/// Rows that a polynomial is made for, if it is made for answers.
const ROWS: usize = 512;
/// Rows whose answers meet the errors of as many, to tell how many answers change.
const CROSSED: usize = 1024;

/// How a polynomial is made.
#[derive(Clone, Copy)]
pub(crate) enum Fitting {
    /// For the smallest distance in what the matrix after it gives for the rows that were measured.
    Answers,
    /// Nearest to the activation on the numbers that were measured.
    Near,
    /// With the smallest largest distance.
    Minimax,
}

/// Every other row, from the first on, and the rest.
pub(crate) fn halves(rows: &[f32], width: usize) -> [Vec<f64>; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    for (at, row) in rows.chunks_exact(width).enumerate() {
        halves[at % 2].extend(row.iter().map(|value| f64::from(*value)));
    }
    halves
}

/// Rows and what the network says of them.
pub(crate) struct Known {
    rows: Vec<f64>,
    pub(crate) count: usize,
    answers: Vec<f64>,
}

impl Known {
    pub(crate) fn new(
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
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[f64], &[f64])> {
        let count = self.count.max(1);
        let (inputs, outputs) = (self.rows.len() / count, self.answers.len() / count);
        self.rows.chunks_exact(inputs.max(1)).zip(self.answers.chunks_exact(outputs.max(1)))
    }

    /// The largest magnitude of an answer.
    pub(crate) fn largest(&self) -> f64 {
        self.answers.iter().copied().map(f64::abs).fold(0.0, f64::max)
    }

    /// Share of rows whose answer stays as it is with the error of their own; 1 if there are none.
    pub(crate) fn agreement(&self, errors: &[f64]) -> f64 {
        let outputs = self.answers.len() / self.count.max(1);
        let own = self.rows().zip(errors.chunks_exact(outputs.max(1)));
        share(own.map(|((_, answer), error)| stays(answer, error)))
    }

    /// Share of answers that stay as they are with the errors of other rows: how many of further rows
    /// would, if errors and answers have little to do with each other. That is known better than by
    /// counting, which sees no more than the few answers that change.
    pub(crate) fn expected_agreement(&self, errors: &[f64]) -> f64 {
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
pub(crate) struct Measured {
    pub(crate) layer: usize,
    function: Activation,
    pub(crate) range: f64,
    /// The numbers of some rows, divided by the range, one row after the other.
    points: Vec<f64>,
    /// The layers of the matrix that comes next, if one does.
    next: Option<Range<usize>>,
}

impl Measured {
    pub(crate) fn approximation(
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
pub(crate) fn measured(
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
            Piece::Polynomial(layer) => layer..layer + 1,
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
