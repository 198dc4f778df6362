//! Reed-Solomon decoding of answers: which of them lie on the polynomials that most lie on?

use super::field::Field;
use super::polynomial::{Basis, evaluate};

/// Answers to be decoded: `rows[i]` is the one at `nodes[i]`, and column `l` of the rows belongs
/// to polynomial `l`. All rows have the same length; no two nodes are equal.
#[derive(Clone, Debug)]
pub(crate) struct Answers<'a, F> {
    pub(crate) nodes: Vec<F>,
    pub(crate) rows: Vec<&'a [F]>,
    /// Every polynomial has a degree below this, at most the number of nodes.
    pub(crate) dimension: usize,
}

impl<F: Field> Answers<'_, F> {
    fn columns(&self) -> usize {
        self.rows.first().map_or(0, |row| row.len())
    }

    fn column(&self, column: usize, of: &[usize]) -> Vec<F> {
        of.iter().map(|&i| self.rows[i][column]).collect()
    }

    fn basis(&self, of: &[usize]) -> Option<Basis<F>> {
        Basis::new(of.iter().map(|&i| self.nodes[i]).collect())
    }

    /// The values at `points` of all polynomials through the answers `of`, `dimension` of them:
    /// first those of polynomial 1, then of polynomial 2, and so on.
    pub(crate) fn interpolate(&self, of: &[usize], points: &[F]) -> Vec<F> {
        let Some(basis) = self.basis(of) else { return Vec::new() };
        let lambdas: Vec<Vec<F>> = points.iter().map(|&x| basis.at(x)).collect();
        let mut values = Vec::with_capacity(self.columns() * points.len());
        for column in 0..self.columns() {
            let answers = self.column(column, of);
            values.extend(lambdas.iter().map(|lambdas| F::dot(lambdas, &answers)));
        }
        values
    }

    /// The answers that lie on the polynomials through the answers `of`.
    pub(crate) fn agreeing(&self, of: &[usize]) -> Vec<usize> {
        let values = self.interpolate(of, &self.nodes);
        let expected = |i: usize| values.iter().skip(i).step_by(self.nodes.len());
        (0..self.nodes.len()).filter(|&i| self.rows[i].iter().eq(expected(i))).collect()
    }

    /// The answers that are left when those in error are taken out: right if at most
    /// `(answers − dimension)/2` are in error, nothing if it turns out that more are.
    ///
    /// A liar lies in a row, so columns share their errors. One column at a time is decoded; who
    /// is found in error there is left out of the next. Each step keeps `errors ≤ (answers −
    /// dimension)/2` true for what is left, so that its decoding is unique and only answers in
    /// error are taken out. At the end all that are left agree in every column, and among them
    /// are at least `dimension` that are not in error, which fix the polynomial.
    pub(crate) fn decode(&self) -> Option<Vec<usize>> {
        let mut left: Vec<usize> = (0..self.nodes.len()).collect();
        let fewest = left.len() - (left.len() - self.dimension) / 2;
        while let Some(column) = self.first_contradiction(&left)? {
            let nodes: Vec<F> = left.iter().map(|&i| self.nodes[i]).collect();
            let values = self.column(column, &left);
            let polynomial = decode_column(nodes, &values, self.dimension)?;
            left.retain(|&i| evaluate(&polynomial, self.nodes[i]) == self.rows[i][column]);
            if left.len() < fewest {
                return None;
            }
        }
        Some(left)
    }

    /// The first column in which the answers `of` do not lie on one polynomial; `None` outside if
    /// there are too few answers.
    #[expect(clippy::option_option, reason = "no answer and no contradiction are two things")]
    fn first_contradiction(&self, of: &[usize]) -> Option<Option<usize>> {
        let (base, rest) = of.split_at_checked(self.dimension)?;
        let basis = self.basis(base)?;
        let lambdas: Vec<(usize, Vec<F>)> =
            rest.iter().map(|&i| (i, basis.at(self.nodes[i]))).collect();
        Some((0..self.columns()).find(|&column| {
            let answers = self.column(column, base);
            let fits =
                |(i, lambdas): &(usize, Vec<F>)| F::dot(lambdas, &answers) == self.rows[*i][column];
            !lambdas.iter().all(fits)
        }))
    }
}

/// The polynomial of degree below `dimension` that differs from at most
/// `(values − dimension)/2` of the values; nothing if there is none (S. Gao, "A new algorithm for
/// decoding Reed-Solomon codes", 2003, algorithm 1).
pub(crate) fn decode_column<F: Field>(
    nodes: Vec<F>,
    values: &[F],
    dimension: usize,
) -> Option<Vec<F>> {
    let bound = (nodes.len() + dimension).div_ceil(2);
    let basis = Basis::new(nodes)?;
    let (mut older, mut newer) = (basis.vanishing(), trimmed(basis.coefficients(values)));
    let (mut older_factor, mut factor) = (Vec::new(), vec![F::ONE]);
    while newer.len() > bound {
        let (quotient, remainder) = divide(&older, &newer)?;
        let next = minus_product(&older_factor, &quotient, &factor);
        (older, newer) = (newer, remainder);
        (older_factor, factor) = (factor, next);
    }
    let (polynomial, remainder) = divide(&newer, &factor)?;
    (remainder.is_empty() && polynomial.len() <= dimension).then_some(polynomial)
}

/// The coefficients without leading noughts.
fn trimmed<F: Field>(mut polynomial: Vec<F>) -> Vec<F> {
    let length = polynomial.iter().rposition(|&c| c != F::ZERO).map_or(0, |last| last + 1);
    polynomial.truncate(length);
    polynomial
}

/// Quotient and remainder; nothing if the divisor is nought.
fn divide<F: Field>(dividend: &[F], divisor: &[F]) -> Option<(Vec<F>, Vec<F>)> {
    let inverse = divisor.last()?.inverse()?;
    let mut remainder = dividend.to_vec();
    let mut quotient = vec![F::ZERO; (dividend.len() + 1).saturating_sub(divisor.len())];
    for shift in (0..quotient.len()).rev() {
        let factor = remainder[shift + divisor.len() - 1] * inverse;
        for (r, &d) in remainder[shift..].iter_mut().zip(divisor) {
            *r = *r - factor * d;
        }
        quotient[shift] = factor;
    }
    Some((quotient, trimmed(remainder)))
}

/// `a − b·c`.
fn minus_product<F: Field>(a: &[F], b: &[F], c: &[F]) -> Vec<F> {
    let mut difference = a.to_vec();
    difference.resize(a.len().max(b.len() + c.len()), F::ZERO);
    for (shift, &b) in b.iter().enumerate() {
        for (d, &c) in difference[shift..].iter_mut().zip(c) {
            *d = *d - b * c;
        }
    }
    trimmed(difference)
}
