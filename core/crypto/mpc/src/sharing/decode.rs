//! Reed-Solomon decoding of answers: which of them lie on the polynomials that most lie on?

use super::field::Field;
use super::polynomial::{Basis, evaluate};

/// Answers to be decoded, one at each node; column `l` holds what they say of polynomial `l`.
#[derive(Clone, Debug)]
pub(crate) struct Answers<F> {
    /// No two are equal.
    nodes: Vec<F>,
    /// Column by column, one value for each node.
    values: Vec<F>,
    /// Every polynomial has a degree below this, at most the number of nodes.
    dimension: usize,
}

impl<F: Field> Answers<F> {
    /// The answers `rows`, all of the same length.
    pub(crate) fn new(nodes: Vec<F>, rows: &[&[F]], dimension: usize) -> Self {
        let columns = rows.first().map_or(0, |row| row.len());
        let values = (0..columns).flat_map(|column| rows.iter().map(move |row| row[column]));
        Self { nodes, values: values.collect(), dimension }
    }

    /// Number of answers.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Answers that fix the polynomials.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    fn columns(&self) -> impl Iterator<Item = &[F]> {
        self.values.chunks(self.nodes.len())
    }

    fn basis(&self, of: &[usize]) -> Option<Basis<F>> {
        Basis::new(of.iter().map(|&i| self.nodes[i]).collect())
    }

    /// The values at `points` of all polynomials through the answers `of`, `dimension` of them:
    /// first those of polynomial 1, then of polynomial 2, and so on.
    pub(crate) fn interpolate(&self, of: &[usize], points: &[F]) -> Vec<F> {
        let Some(basis) = self.basis(of) else { return Vec::new() };
        let lambdas: Vec<Vec<F>> = points.iter().map(|&x| basis.at(x)).collect();
        let mut values = Vec::with_capacity(self.values.len() / self.count() * points.len());
        let mut chosen = vec![F::ZERO; of.len()];
        for column in self.columns() {
            chosen.iter_mut().zip(of).for_each(|(value, &i)| *value = column[i]);
            values.extend(lambdas.iter().map(|lambdas| F::dot(lambdas, &chosen)));
        }
        values
    }

    /// The answers that lie on the polynomials through the answers `of`.
    pub(crate) fn agreeing(&self, of: &[usize]) -> Vec<usize> {
        let values = self.interpolate(of, &self.nodes);
        let expected = |i: usize| values.iter().skip(i).step_by(self.count());
        let got = |i: usize| self.values.iter().skip(i).step_by(self.count());
        (0..self.count()).filter(|&i| got(i).eq(expected(i))).collect()
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
        let mut left: Vec<usize> = (0..self.count()).collect();
        let fewest = left.len() - (left.len() - self.dimension) / 2;
        while let Some(column) = self.first_contradiction(&left)? {
            let nodes: Vec<F> = left.iter().map(|&i| self.nodes[i]).collect();
            let values: Vec<F> = left.iter().map(|&i| column[i]).collect();
            let polynomial = decode_column(nodes, &values, self.dimension)?;
            left.retain(|&i| evaluate(&polynomial, self.nodes[i]) == column[i]);
            if left.len() < fewest {
                return None;
            }
        }
        Some(left)
    }

    /// The first column in which the answers `of` do not lie on one polynomial; `None` outside if
    /// there are too few answers.
    #[expect(clippy::option_option, reason = "no answer and no contradiction are two things")]
    fn first_contradiction(&self, of: &[usize]) -> Option<Option<&[F]>> {
        let (base, rest) = of.split_at_checked(self.dimension)?;
        let basis = self.basis(base)?;
        let lambdas: Vec<Vec<F>> = rest.iter().map(|&i| basis.at(self.nodes[i])).collect();
        let mut chosen = vec![F::ZERO; base.len()];
        Some(self.columns().find(|column| {
            chosen.iter_mut().zip(base).for_each(|(value, &i)| *value = column[i]);
            let mut expected = lambdas.iter().map(|lambdas| F::dot(lambdas, &chosen));
            !rest.iter().all(|&i| expected.next() == Some(column[i]))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sharing::toy::Toy;

    type F = Toy<7>;

    /// Every word of 6 values modulo 7: the decoder finds the polynomial of degree below 2 within
    /// two differences exactly if there is one.
    #[test]
    fn every_word_over_a_tiny_field_is_decoded() {
        let nodes: Vec<F> = (0..6).map(Toy).collect();
        let lines: Vec<Vec<F>> = (0..49).map(|i| vec![Toy(i / 7), Toy(i % 7)]).collect();
        let differences = |line: &[F], word: &[F]| {
            nodes.iter().zip(word).filter(|(x, value)| evaluate(line, **x) != **value).count()
        };
        let mut decoded = 0;
        for number in 0..7u64.pow(6) {
            let word: Vec<F> = (0..6).map(|i| Toy(number / 7u64.pow(i) % 7)).collect();
            let near = lines.iter().find(|line| differences(line, &word) <= 2);
            let expected = near.map(|line| trimmed(line.clone()));
            assert_eq!(decode_column(nodes.clone(), &word, 2), expected, "{word:?}");
            decoded += u32::from(near.is_some());
        }
        // 49 lines, each with all words within 2 differences of 6 values from 7.
        assert_eq!(decoded, 49 * (1 + 6 * 6 + 15 * 36));
    }

    #[test]
    fn liars_are_found_in_different_columns() {
        let nodes: Vec<F> = (0..6).map(Toy).collect();
        let mut rows: Vec<Vec<F>> = nodes.iter().map(|&x| vec![x, x + x, Toy(3)]).collect();
        rows[1][0] = Toy(0);
        rows[4][2] = Toy(0);
        let decode = |rows: &[Vec<F>]| {
            let rows: Vec<&[F]> = rows.iter().map(Vec::as_slice).collect();
            Answers::new(nodes.clone(), &rows, 2).decode()
        };
        assert_eq!(decode(&rows), Some(vec![0, 2, 3, 5]));
        // A third one is one too many, although each column by itself can be decoded.
        rows[2][1] = Toy(0);
        assert_eq!(decode(&rows), None);
    }

    #[test]
    fn nothing_is_decoded_from_too_little() {
        let answers = Answers::new(vec![Toy::<7>(1)], &[&[Toy(1)]], 1);
        assert_eq!(answers.decode(), Some(vec![0]));
        assert_eq!(decode_column(vec![Toy::<7>(1), Toy(1)], &[Toy(1), Toy(2)], 1), None);
    }
}
