//! A matrix on many vectors at once: a ciphertext for each coordinate, a slot for each vector.

use super::Matrix;
use crate::{Ciphertext, Encoder, HeError, threads};

/// Words of each ciphertext that all rows are summed over before the next: what a cache holds of a
/// thousand ciphertexts.
const BLOCK: usize = 256;

/// y = Wx + b with whole numbers for weights, each times a ciphertext: no rotation, no transform. It
/// uses up one modulus.
#[derive(Clone, Debug)]
pub struct ColumnMap {
    columns: usize,
    /// Row by row, multiplied by `unit`.
    weights: Vec<i64>,
    bias: Vec<f64>,
    unit: f64,
    scale: f64,
    encoder: Encoder,
}

impl ColumnMap {
    /// The map of this matrix and bias for vectors of `moduli` moduli and scale `from`; the product has
    /// scale `to` up to the rounding of a double.
    ///
    /// # Errors
    /// [`HeError::Exhausted`] if there is no modulus to use up; [`HeError::Width`]; [`HeError::Number`] for
    /// a weight that is too large.
    pub fn new(
        encoder: &Encoder,
        matrix: &Matrix,
        bias: &[f64],
        moduli: usize,
        [from, to]: [f64; 2],
    ) -> Result<Self, HeError> {
        if bias.len() != matrix.rows() {
            return Err(HeError::Width { got: bias.len(), needed: matrix.rows() });
        }
        let left = moduli.checked_sub(1).filter(|left| *left > 0).ok_or(HeError::Exhausted)?;
        let modulus = encoder.context().modulus(left).value() as f64;
        let unit = to * modulus / from;
        let mut weights = Vec::with_capacity(matrix.rows() * matrix.columns());
        for row in (0..matrix.rows()).filter_map(|row| matrix.row(row)) {
            let from = weights.len();
            for weight in row {
                weights.push(whole(*weight, unit)?);
            }
            // A sum without terms would hide nothing: the least weight there is changes no answer.
            if weights[from..].iter().all(|weight| *weight == 0) {
                weights[from] = 1;
            }
        }
        Ok(Self {
            columns: matrix.columns(),
            weights,
            bias: bias.to_vec(),
            unit,
            scale: from * unit / modulus,
            encoder: encoder.clone(),
        })
    }

    /// The scale of products.
    pub const fn scale(&self) -> f64 {
        self.scale
    }

    /// The product with vectors, given and returned coordinate by coordinate.
    ///
    /// # Errors
    /// [`HeError`] if there are not as many ciphertexts as columns, or their levels, sizes, scales or
    /// parameters differ from each other or from what the map was made for.
    pub fn apply(&self, vectors: &[Ciphertext]) -> Result<Vec<Ciphertext>, HeError> {
        let first = self.alike(vectors)?;
        let (context, moduli) = (self.encoder.context(), first.moduli);
        let scale = first.scaled(self.unit)?;
        let degree = context.degree();
        let empty = || Ciphertext::new(context, vec![vec![0; moduli * degree]; 2], moduli, scale);
        let mut sums: Vec<_> = self.bias.iter().map(|_| empty()).collect();
        let rows = threads::share(sums.len());
        let parts = sums.chunks_mut(rows).zip(self.weights.chunks(rows * self.columns));
        threads::each(parts, |(sums, weights)| self.add_up(vectors, sums, weights));
        let finished = |(sum, bias): (Ciphertext, &f64)| {
            let sum = sum.opaque()?.rescale()?;
            let bias = self.encoder.constant(*bias, sum.scale, sum.moduli)?;
            sum.add_plain(&bias)
        };
        threads::map(sums.into_iter().zip(&self.bias), finished).into_iter().collect()
    }

    /// Adds rows of the matrix times the vectors to `sums`, one ciphertext for each row.
    fn add_up(&self, vectors: &[Ciphertext], sums: &mut [Ciphertext], weights: &[i64]) {
        let (context, degree) = (self.encoder.context(), self.encoder.context().degree());
        for limb in 0..sums.first().map_or(0, |sum| sum.moduli) {
            let modulus = context.modulus(limb);
            let residues: Vec<u64> =
                weights.iter().map(|weight| modulus.reduce_signed(*weight)).collect();
            for from in (limb * degree..(limb + 1) * degree).step_by(BLOCK) {
                let block = from..(from + BLOCK).min((limb + 1) * degree);
                for half in 0..2 {
                    let polynomials = vectors.iter().map(|it| &it.polynomials[half]);
                    let mut terms: Vec<(&[u64], u64)> =
                        polynomials.map(|words| (&words[block.clone()], 0)).collect();
                    for (sum, weights) in sums.iter_mut().zip(residues.chunks_exact(self.columns)) {
                        terms.iter_mut().zip(weights).for_each(|(term, weight)| term.1 = *weight);
                        let sum = &mut sum.polynomials[half][block.clone()];
                        modulus.weighted_sum(sum, &terms, modulus.bits());
                    }
                }
            }
        }
    }

    /// The first of the vectors, which is like all others.
    fn alike<'a>(&self, vectors: &'a [Ciphertext]) -> Result<&'a Ciphertext, HeError> {
        let needed = self.columns;
        let wrong = HeError::Width { got: vectors.len(), needed };
        let first = vectors.first().filter(|_| vectors.len() == needed).ok_or(wrong)?;
        first.context.same(self.encoder.context())?;
        for vector in vectors {
            first.fits(vector)?;
            vector.pair("a product")?;
            if first.scale.to_bits() != vector.scale.to_bits() {
                return Err(HeError::Scale { ours: first.scale, theirs: vector.scale });
            }
        }
        Ok(first)
    }
}

/// A weight times the unit, rounded.
fn whole(weight: f64, unit: f64) -> Result<i64, HeError> {
    let got = (weight * unit).round();
    if got.abs() < 2_f64.powi(61) {
        #[expect(clippy::cast_possible_truncation, reason = "below 2^61")]
        return Ok(got as i64);
    }
    let problem = "it must be finite, and below 2^61 in units of the scale";
    Err(HeError::Number { what: "a weight", got: weight, problem })
}
