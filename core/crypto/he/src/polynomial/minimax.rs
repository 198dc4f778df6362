//! Polynomials near a function.

use super::Polynomial;
use crate::HeError;

/// Points at which the error is looked at.
const POINTS: usize = 1024;
/// Rounds of new weights.
const ROUNDS: usize = 200;

impl Polynomial {
    /// The polynomial of `degree` whose largest distance to `function` on [−1, 1] is smallest, and that
    /// distance, to a few per cent: weighted least squares, with weights multiplied by the error again
    /// and again (Lawson 1961), in Chebyshev polynomials.
    ///
    /// # Errors
    /// As [`Polynomial::new`]: [`HeError::Number`] if the function has a value that is not finite, or is
    /// itself a polynomial of a smaller degree.
    pub fn minimax(degree: usize, function: impl Fn(f64) -> f64) -> Result<(Self, f64), HeError> {
        if !(1..=Self::MAX_DEGREE).contains(&degree) {
            return Err(HeError::Values { got: degree, limit: Self::MAX_DEGREE });
        }
        let points: Vec<f64> = (0..POINTS).map(point).collect();
        let wanted: Vec<f64> = points.iter().map(|x| function(*x)).collect();
        let rows: Vec<Vec<f64>> = points.iter().map(|x| chebyshev(degree, *x)).collect();
        let mut weights = vec![1.0 / POINTS as f64; POINTS];
        let mut best = (Vec::new(), f64::INFINITY);
        for _ in 0..ROUNDS {
            let Some(fit) = least_squares(&rows, &wanted, &weights) else { break };
            let value = |row: &Vec<f64>| row.iter().zip(&fit).map(|(a, b)| a * b).sum::<f64>();
            let errors = rows.iter().zip(&wanted).map(|(row, wanted)| (value(row) - wanted).abs());
            let errors: Vec<f64> = errors.collect();
            let largest = errors.iter().copied().fold(0.0, f64::max);
            if largest < best.1 {
                best = (fit, largest);
            }
            weights.iter_mut().zip(&errors).for_each(|(weight, error)| *weight *= error);
            let sum: f64 = weights.iter().sum();
            if sum.is_nan() || sum <= 0.0 {
                break;
            }
            for weight in &mut weights {
                *weight /= sum;
            }
        }
        let (fit, distance) = best;
        Ok((Self::new(powers(&fit))?, distance))
    }
}

impl Polynomial {
    /// The polynomial of `degree` whose squared distance to `function`, summed over `points` in [−1, 1],
    /// is smallest; a twentieth of the weight is on points spread over all of the interval, so that it
    /// goes nowhere astray.
    ///
    /// # Errors
    /// As [`Polynomial::minimax`].
    pub fn near(
        degree: usize,
        points: &[f64],
        function: impl Fn(f64) -> f64,
    ) -> Result<Self, HeError> {
        if !(1..=Self::MAX_DEGREE).contains(&degree) {
            return Err(HeError::Values { got: degree, limit: Self::MAX_DEGREE });
        }
        let spread = 0.05 / POINTS as f64;
        let given = 0.95 / points.len().max(1) as f64;
        let all: Vec<f64> = (0..POINTS).map(point).chain(points.iter().copied()).collect();
        let weights: Vec<f64> =
            (0..all.len()).map(|at| if at < POINTS { spread } else { given }).collect();
        let rows: Vec<Vec<f64>> = all.iter().map(|x| chebyshev(degree, *x)).collect();
        let wanted: Vec<f64> = all.iter().map(|x| function(*x)).collect();
        let problem = "it must have finite values";
        let none = HeError::Number { what: "the function", got: f64::NAN, problem };
        Self::new(powers(&least_squares(&rows, &wanted, &weights).ok_or(none)?))
    }

    /// The polynomial of `degree` for which the squares of Σ cᵢ aᵢ − b, summed over pairs of a and b, are
    /// smallest, cᵢ being its coefficients in Chebyshev polynomials; as in [`Polynomial::near`], some
    /// of the weight, a hundredth, is on its distance to `function` over all of [−1, 1].
    ///
    /// # Errors
    /// As [`Polynomial::minimax`]; [`HeError::Width`] unless there are `degree` + 1 numbers in each a.
    pub fn of_sums(
        degree: usize,
        sums: &[(Vec<f64>, f64)],
        function: impl Fn(f64) -> f64,
    ) -> Result<Self, HeError> {
        if !(1..=Self::MAX_DEGREE).contains(&degree) {
            return Err(HeError::Values { got: degree, limit: Self::MAX_DEGREE });
        }
        if let Some((wrong, _)) = sums.iter().find(|(terms, _)| terms.len() != degree + 1) {
            return Err(HeError::Width { got: wrong.len(), needed: degree + 1 });
        }
        let points: Vec<f64> = (0..POINTS).map(point).collect();
        let mut rows: Vec<Vec<f64>> = points.iter().map(|x| chebyshev(degree, *x)).collect();
        let mut wanted: Vec<f64> = points.iter().map(|x| function(*x)).collect();
        let size = |rows: &[Vec<f64>]| rows.iter().flatten().map(|it| it * it).sum::<f64>();
        let spread = 0.01 / size(&rows);
        rows.extend(sums.iter().map(|(terms, _)| terms.clone()));
        wanted.extend(sums.iter().map(|(_, wanted)| *wanted));
        let given = 0.99 / size(&rows[POINTS..]).max(f64::MIN_POSITIVE);
        let weight = |at| if at < POINTS { spread } else { given };
        let weights: Vec<f64> = (0..rows.len()).map(weight).collect();
        let problem = "it must have finite values";
        let none = HeError::Number { what: "the function", got: f64::NAN, problem };
        Self::new(powers(&least_squares(&rows, &wanted, &weights).ok_or(none)?))
    }

    /// The Chebyshev polynomials of the first kind up to `degree`, at x.
    pub fn chebyshev(degree: usize, x: f64) -> Vec<f64> {
        chebyshev(degree, x)
    }

    /// Its largest distance to a function on [−1, 1], to some parts in a thousand.
    pub fn distance(&self, function: impl Fn(f64) -> f64) -> f64 {
        let distance = |at| (self.at(point(at)) - function(point(at))).abs();
        (0..POINTS).map(distance).fold(0.0, f64::max)
    }
}

/// Chebyshev points of the second kind, ends included.
fn point(at: usize) -> f64 {
    (std::f64::consts::PI * at as f64 / (POINTS - 1) as f64).cos()
}

/// T₀(x), T₁(x) … up to `degree`.
fn chebyshev(degree: usize, x: f64) -> Vec<f64> {
    let mut values = vec![1.0, x];
    while values.len() <= degree {
        let last = values.len() - 1;
        values.push(2.0 * x * values[last] - values[last - 1]);
    }
    values.truncate(degree + 1);
    values
}

/// The coefficients of smallest Σ w (Σ c T − f)², by the normal equations and Cholesky.
fn least_squares(rows: &[Vec<f64>], wanted: &[f64], weights: &[f64]) -> Option<Vec<f64>> {
    let count = rows.first()?.len();
    let mut matrix = vec![vec![0.0; count + 1]; count];
    for ((row, wanted), weight) in rows.iter().zip(wanted).zip(weights) {
        for (a, sums) in row.iter().zip(&mut matrix) {
            let weighted = a * weight;
            for (b, sum) in row.iter().chain([wanted]).zip(sums) {
                *sum += weighted * b;
            }
        }
    }
    for at in 0..count {
        let (above, rest) = matrix.split_at_mut(at);
        let row = &mut rest[0];
        for done in above.iter() {
            let factor = done[at];
            row.iter_mut().zip(done).for_each(|(value, done)| *value -= factor * done);
        }
        let root = row[at].sqrt();
        if root.is_nan() || root <= 1e-13 {
            return None;
        }
        for value in row {
            *value /= root;
        }
    }
    let mut solution = vec![0.0; count];
    for at in (0..count).rev() {
        let row = &matrix[at];
        let known: f64 = (at + 1..count).map(|later| row[later] * solution[later]).sum();
        solution[at] = (row[count] - known) / row[at];
    }
    Some(solution)
}

/// Coefficients of Chebyshev polynomials to those of powers.
fn powers(fit: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; fit.len()];
    let (mut before, mut now) = (Vec::new(), vec![1.0]);
    for coefficient in fit {
        sum.iter_mut().zip(&now).for_each(|(sum, power)| *sum += coefficient * power);
        let mut next = vec![0.0; now.len() + 1];
        let factor = if before.is_empty() { 1.0 } else { 2.0 };
        next[1..].iter_mut().zip(&now).for_each(|(next, now)| *next = factor * now);
        next.iter_mut().zip(&before).for_each(|(next, before): (_, &f64)| *next -= before);
        (before, now) = (now, next);
    }
    // What an even or odd function leaves of the other powers is rounding.
    let largest = sum.iter().copied().map(f64::abs).fold(0.0, f64::max);
    let small = |value: &f64| value.abs() < 1e-12 * largest;
    sum.iter_mut().filter(|value| small(value)).for_each(|value| *value = 0.0);
    while sum.last().is_some_and(|last| *last == 0.0) && sum.len() > 2 {
        sum.pop();
    }
    sum
}
