//! From real vectors to the integers that a secure sum adds, and back.
//!
//! An owner's contribution w·x is clipped to an L2 norm, scaled by a power of two and rounded
//! **once**; then it is shrunk until the norm *of the integers* is at most Δ = ⌈sC⌉. So replacing
//! an owner's whole vector by zero moves the sum by at most Δ, exactly: no allowance for rounding
//! and no probability of failure (conditional rounding, Kairouz, Liu & Steinke 2021,
//! arXiv:2102.06387, made deterministic). [`wide`] carries single numbers of large range.
//!
//! [`Rotation`] and [`dither`] are options for narrow moduli, where few bits are left per value.
//!
//! ```
//! use nexus_mpc::quantise::Quantiser;
//!
//! let quantiser = Quantiser::new(2.0, 1_000_000)?;
//! assert_eq!((quantiser.scale(), quantiser.sensitivity()), (262_144.0, 524_288));
//! let owner = quantiser.quantise(&[0.5, -0.25], 2.0)?;
//! assert_eq!(quantiser.dequantise(&owner.values), [1.0, -0.5]);
//! # Ok::<(), nexus_mpc::quantise::QuantiseError>(())
//! ```

mod dither;
mod rotation;
pub mod wide;

pub use dither::dither;
pub use rotation::{MAX_LOG_BLOCK, Rotation};

/// Largest limit of a value: one bit less than rounding by `MAGIC` allows.
pub const MAX_LIMIT: i64 = 1 << 50;

/// 1.5·2^52: added to a number below 2^51 it leaves the number, rounded to the nearest integer and
/// to the even one of two, in the low bits of the sum's mantissa.
const MAGIC: f64 = (3u64 << 51) as f64;
/// Numbers whose exponents stay far from the ends of f64's.
const RANGE: f64 = (1u128 << 100) as f64;
/// Partial sums of a norm: a fixed order of summation that vectorises.
const LANES: usize = 8;
/// Values whose norm is taken while they are near the processor.
const CHUNK: usize = 1024;

/// Why numbers have no integers.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// The clipping norm is not between 2^-100 and 2^100.
    #[error("a clipping norm of {got}, it is positive and neither tiny nor huge")]
    Clip {
        /// The norm.
        got: f64,
    },
    /// The limit of a value is out of range.
    #[error("a limit of {got} per value, from 1 to {MAX_LIMIT} is possible")]
    Limit {
        /// The limit.
        got: i64,
    },
    /// The weight is not between 0 and 2^100.
    #[error("a weight of {got}, it is at least 0 and not huge")]
    Weight {
        /// The weight.
        got: f64,
    },
    /// A value is not a number, or not a finite one.
    #[error("value {index} is {got}")]
    NotFinite {
        /// Its place.
        index: usize,
        /// The value.
        got: f64,
    },
    /// A value is larger than its encoding allows.
    #[error("value {index} is {got}, magnitudes are below {limit}")]
    TooLarge {
        /// Its place.
        index: usize,
        /// The value.
        got: f64,
        /// The first magnitude that is too large.
        limit: f64,
    },
    /// Sums of digits that no encodings have.
    #[error("the sums of the digits are out of range")]
    Digits,
    /// There are more or fewer numbers than agreed.
    #[error("{got} numbers where {expected} were expected")]
    Length {
        /// How many there are.
        got: usize,
        /// How many were expected.
        expected: usize,
    },
}

/// An owner's vector in units of the grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantised {
    /// The integers; their L2 norm is at most [`Quantiser::sensitivity`].
    pub values: Vec<i64>,
    /// Whether the contribution was longer than the clipping norm.
    pub clipped: bool,
}

/// The grid that all owners of a sum share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiser {
    clip: f64,
    scale: f64,
    sensitivity: i64,
}

impl Quantiser {
    /// A grid for contributions of L2 norm at most `clip`, as fine as integers of magnitude
    /// `limit` allow: the scale is the largest power of two with clip·scale ≤ limit.
    ///
    /// # Errors
    /// [`QuantiseError::Clip`], [`QuantiseError::Limit`].
    pub fn new(clip: f64, limit: i64) -> Result<Self, QuantiseError> {
        if !(1.0 / RANGE..=RANGE).contains(&clip) {
            return Err(QuantiseError::Clip { got: clip });
        }
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(QuantiseError::Limit { got: limit });
        }
        let limit = limit as f64;
        // The quotient is rounded, so its power of two may be one too high or too low.
        let mut scale = 2.0 * power_of_two_below(limit / clip);
        while clip * scale > limit {
            scale /= 2.0;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most the limit")]
        let sensitivity = (clip * scale).ceil() as i64;
        Ok(Self { clip, scale, sensitivity })
    }

    /// Grid steps per unit: a power of two.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Δ = ⌈scale·clip⌉, in grid steps: the largest L2 norm, and so the largest magnitude, of an
    /// owner's integers.
    pub fn sensitivity(&self) -> i64 {
        self.sensitivity
    }

    /// The integers of `weight`·`x`, computed in f64.
    ///
    /// Contributions are clipped to C(1 − 2^-12): that leaves room for the errors of norms computed
    /// in f32 where `x` was made of clipped parts.
    ///
    /// # Errors
    /// [`QuantiseError::Weight`]; [`QuantiseError::NotFinite`] names the first such value.
    pub fn quantise(&self, x: &[f32], weight: f64) -> Result<Quantised, QuantiseError> {
        if !(0.0..=RANGE).contains(&weight) {
            return Err(QuantiseError::Weight { got: weight });
        }
        let norm = weight * square(x).sqrt();
        if !norm.is_finite() {
            return Err(not_finite(x));
        }
        let bound = self.clip * (1.0 - 1.0 / 4096.0);
        let clipped = norm > bound;
        let shrink = if clipped { bound / norm } else { 1.0 };
        let values = self.conditional(x, weight * shrink * self.scale);
        Ok(Quantised { values, clipped })
    }

    /// The reals that integers (or sums of them, below 2^53) stand for.
    pub fn dequantise(&self, sum: &[i64]) -> Vec<f64> {
        let step = 1.0 / self.scale;
        sum.iter().map(|&value| value as f64 * step).collect()
    }

    /// Rounds, and shrinks and rounds again until the integer norm is at most Δ. The factor falls
    /// faster each time and is 0 after 21 steps at the latest.
    fn conditional(&self, x: &[f32], mut factor: f64) -> Vec<i64> {
        let most = u128::from(self.sensitivity.unsigned_abs()).pow(2);
        let mut step = 1.0 / f64::from(1 << 20);
        loop {
            let (values, square) = round(x, factor);
            if square <= most {
                return values;
            }
            factor *= (most as f64 / square as f64).sqrt() * (1.0 - step);
            step *= 2.0;
        }
    }
}

/// The largest power of two that is at most `x`, which is positive and normal.
fn power_of_two_below(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & 0x7ff0_0000_0000_0000)
}

fn square(x: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    for (sum, &value) in sums.iter_mut().zip(rest) {
        *sum += f64::from(value) * f64::from(value);
    }
    sums.iter().sum()
}

/// `x`·`factor` rounded to nearest, ties to even, exact below 2^51; and the sum of the squares.
fn round(x: &[f32], factor: f64) -> (Vec<i64>, u128) {
    let mut values = Vec::with_capacity(x.len());
    let mut square = 0;
    for chunk in x.chunks(CHUNK) {
        let start = values.len();
        values.extend(chunk.iter().map(|&x| {
            let sum = f64::from(x) * factor + MAGIC;
            sum.to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed()
        }));
        square += integer_square(&values[start..]);
    }
    (values, square)
}

fn integer_square(values: &[i64]) -> u128 {
    values.iter().map(|value| u128::from(value.unsigned_abs()).pow(2)).sum()
}

fn not_finite(x: &[f32]) -> QuantiseError {
    let found = x.iter().enumerate().find(|(_, value)| !value.is_finite());
    let (index, got) = found.map_or((0, f64::NAN), |(index, &value)| (index, value.into()));
    QuantiseError::NotFinite { index, got }
}

#[cfg(test)]
mod tests;
