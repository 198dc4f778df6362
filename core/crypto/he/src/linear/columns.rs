//! A matrix on many vectors at once: a ciphertext for each coordinate, a slot for each vector.

use std::array::from_fn;

use nexus_field::rns::Modulus;

use super::Matrix;
use crate::{Ciphertext, Encoder, HeError};

/// Words that are summed at once.
const LANES: usize = 16;
/// Bits of what words and weights are cut into where a prime has more than 32.
const WORD_BITS: u32 = 20;
const WEIGHT_BITS: u32 = 32;

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
        for limb in 0..moduli {
            let weights = Weights::new(self, context.modulus(limb));
            for half in 0..2 {
                for from in (limb * degree..(limb + 1) * degree).step_by(LANES) {
                    weights.sum(vectors, &mut sums, half, from);
                }
            }
        }
        let finished = |(sum, bias): (Ciphertext, &f64)| {
            let sum = sum.opaque()?.rescale()?;
            let bias = self.encoder.constant(*bias, sum.scale, sum.moduli)?;
            sum.add_plain(&bias)
        };
        sums.into_iter().zip(&self.bias).map(finished).collect()
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

/// Weights modulo one prime, cut into parts whose products with parts of words fit 64 bits.
struct Weights {
    modulus: Modulus,
    columns: usize,
    /// Bits of a part of a word, and how many parts a word has.
    word: (u32, u32),
    /// Part by part, row by row.
    parts: Vec<Vec<u32>>,
    /// Products that fit a sum of 64 bits.
    most: usize,
    /// What the sum of each part of weights counts, for each part of words.
    units: Vec<Vec<u64>>,
}

impl Weights {
    fn new(map: &ColumnMap, modulus: Modulus) -> Self {
        let bits = modulus.bits();
        let (word, weight) = if bits <= 32 { (bits, bits) } else { (WORD_BITS, WEIGHT_BITS) };
        let part = |shift: u32| {
            #[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
            let cut = |it: &i64| (modulus.reduce_signed(*it) >> shift) as u32;
            map.weights.iter().map(cut).collect()
        };
        let unit = |shift: u32| modulus.pow(modulus.reduce(2), shift.into());
        let shifts = |step: u32| (0..bits.div_ceil(step)).map(move |at| at * step);
        let units = shifts(weight).map(|high| shifts(word).map(|low| unit(high + low)).collect());
        Self {
            modulus,
            columns: map.columns,
            word: (word, bits.div_ceil(word)),
            parts: shifts(weight).map(part).collect(),
            most: 1 << (64 - word - weight),
            units: units.collect(),
        }
    }

    /// The sums over all rows of the words from `from` on of one half of the ciphertexts.
    fn sum(&self, vectors: &[Ciphertext], sums: &mut [Ciphertext], half: usize, from: usize) {
        let words = |shift: u32| -> Vec<[u32; LANES]> {
            let mask = (1_u64 << self.word.0) - 1;
            let cut = |vector: &Ciphertext| {
                let words = &vector.polynomials[half][from..from + LANES];
                #[expect(clippy::cast_possible_truncation, reason = "at most 32 bits are kept")]
                let part = from_fn(|at| (words[at] >> shift & mask) as u32);
                part
            };
            vectors.iter().map(cut).collect()
        };
        let words: Vec<_> = (0..self.word.1).map(|at| words(at * self.word.0)).collect();
        for (row, sum) in sums.iter_mut().enumerate() {
            let out = &mut sum.polynomials[half][from..from + LANES];
            for (weights, units) in self.parts.iter().zip(&self.units) {
                let weights = &weights[row * self.columns..(row + 1) * self.columns];
                for (words, unit) in words.iter().zip(units) {
                    for (out, sum) in out.iter_mut().zip(self.products(words, weights)) {
                        let part = self.modulus.mul(self.modulus.reduce_wide(sum), *unit);
                        *out = self.modulus.add(*out, part);
                    }
                }
            }
        }
    }

    /// Σ words · weights.
    fn products(&self, words: &[[u32; LANES]], weights: &[u32]) -> [u128; LANES] {
        let (mut high, mut low) = ([0_u64; LANES], [0_u64; LANES]);
        for (words, weights) in words.chunks(self.most).zip(weights.chunks(self.most)) {
            let mut sum = [0_u64; LANES];
            for (words, weight) in words.iter().zip(weights) {
                for (sum, word) in sum.iter_mut().zip(words) {
                    *sum += u64::from(*word) * u64::from(*weight);
                }
            }
            for ((sum, high), low) in sum.iter().zip(&mut high).zip(&mut low) {
                *high += sum >> 32;
                *low += sum & u64::from(u32::MAX);
            }
        }
        from_fn(|at| (u128::from(high[at]) << 32) + u128::from(low[at]))
    }
}
