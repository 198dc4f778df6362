//! From real sums to integers, and the sensitivity of what comes out.
//!
//! An owner's sum S is rounded **once**: rint(s·S), s a power of two. Neighbours change one owner's
//! S by v with |v| ≤ C, and
//!
//! ```text
//! |rint(s(S + v)) − rint(sS)|₂ ≤ s·C·(1 + κ) + √d        always, κ = 1e-6
//! ```
//!
//! for each coordinate moves by at most 1/2 + 1/2 more than s·v does. The scale is derived: the
//! smallest power of two that makes √d at most a thousandth of s·C, so rounding costs 0.1 % of ε.
//!
//! Where the modulus is too narrow for that, a hundredth will do with *dithered* rounding
//! ⌊s·S + u⌋, u uniform and the same for both neighbours:
//! then with probability 1 − β, β = 1e-12,
//!
//! ```text
//! Δ2² ≤ s²C² + d/4 + √(2 ln(1/β))·(s·C + √d/2)
//! ```
//!
//! (Kairouz, Liu & Steinke 2021, proposition 26), and T·β·(1 + e^ε) belongs to δ. Where that does not
//! fit either there is no grid.
//!
//! At unit *owner* the rounded vector is itself what is protected: [`Grid::round_whole`] rounds, and
//! shrinks and rounds again until the norm of the *integers*, in 128 bits, is at most ⌈s·C⌉. Then
//! Δ2 = ⌈s·C⌉ exactly.

use nexus_types::CryptoRng;
use nexus_types::limits::MAX_PARAMETERS;

use super::clip::Clip;
use super::{MechanismError, within};

/// What floats lose, relative to C: with the margin of [`super::clip`] and sums in f64.
pub const KAPPA: f64 = 1e-6;
/// The probability with which dithering exceeds its sensitivity, per owner and round.
pub const BETA: f64 = 1e-12;
/// No sum may need a larger magnitude.
pub const MAX_LIMIT: i64 = 1 << 50;

const FINE: f64 = 1e-3;
const COARSE: f64 = 1e-2;

/// What a sum must have room for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Room {
    /// Rows that a round adds up, over all owners, at most; with unit owner: owners.
    pub rows: f64,
    /// Width of the noise in units of C.
    pub sigma: f64,
    /// Largest magnitude that a sum may have: half the modulus.
    pub limit: i64,
}

/// How an owner's sum becomes integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, of two to the even one.
    Nearest,
    /// Up or down by chance: without bias.
    Dithered,
}

/// How much integers move between neighbours, in grid steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensitivity {
    l2: f64,
    dimension: f64,
    failure: f64,
}

impl Sensitivity {
    /// Δ2, rounded up.
    pub const fn l2(&self) -> f64 {
        self.l2
    }

    /// Δ1 ≤ min(√d·Δ2, Δ2²): the second because integers move by whole steps.
    pub fn l1(&self) -> f64 {
        (self.dimension.sqrt() * self.l2).min(self.l2 * self.l2).next_up().next_up()
    }

    /// The probability, per owner and round, with which it does not hold: 0 but with dithering.
    pub const fn failure(&self) -> f64 {
        self.failure
    }
}

/// The grid that all owners of a sum share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    clip: Clip,
    dimension: usize,
    scale: f64,
    rounding: Rounding,
}

impl Grid {
    /// The grid for sums of vectors of norm at most `clip` in `dimension` coordinates.
    ///
    /// # Errors
    /// [`MechanismError::Setting`]; [`MechanismError::Narrow`] if even a coarse grid overflows the
    /// limit.
    pub fn new(clip: f64, dimension: usize, room: Room) -> Result<Self, MechanismError> {
        let clip = Clip::new(clip)?;
        within(
            "the number of values",
            dimension as f64,
            1.0..=MAX_PARAMETERS as f64,
            "1 to 2^28 are possible",
        )?;
        within("the number of rows in a round", room.rows, 1.0..=1e15, "1 to 1e15 are possible")?;
        within(
            "the width of the noise",
            room.sigma,
            0.0..=1e9,
            "0 to 1e9 times the norm are possible",
        )?;
        within(
            "the limit of a sum",
            room.limit as f64,
            1.0..=MAX_LIMIT as f64,
            "1 to 2^50 are possible",
        )?;
        let root = (dimension as f64).sqrt();
        let clips = room.rows + 12.0 * room.sigma;
        let needed = |scale: f64| clips * scale * clip.norm() + root;
        let of = |part, rounding| Self {
            clip,
            dimension,
            scale: scale_of(root / (part * clip.norm())),
            rounding,
        };
        let choices = [of(FINE, Rounding::Nearest), of(COARSE, Rounding::Dithered)];
        let fits = choices.iter().find(|grid| needed(grid.scale) <= room.limit as f64);
        fits.copied().ok_or_else(|| MechanismError::Narrow {
            dimension,
            limit: room.limit,
            needed: needed(choices[1].scale),
        })
    }

    /// C.
    pub const fn clip(&self) -> Clip {
        self.clip
    }

    /// Values in a vector.
    pub const fn dimension(&self) -> usize {
        self.dimension
    }

    /// Grid steps per unit: a power of two.
    pub const fn scale(&self) -> f64 {
        self.scale
    }

    /// How sums are rounded.
    pub const fn rounding(&self) -> Rounding {
        self.rounding
    }

    /// How far one row moves the integers of [`Grid::round`].
    pub fn sensitivity(&self) -> Sensitivity {
        let (length, dimension) =
            (self.scale * self.clip.norm() * (1.0 + KAPPA), self.dimension as f64);
        let (l2, failure) = match self.rounding {
            Rounding::Nearest => (length + dimension.sqrt(), 0.0),
            Rounding::Dithered => {
                let tail = (2.0 * (1.0 / BETA).ln()).sqrt() * (length + dimension.sqrt() / 2.0);
                ((length * length + dimension / 4.0 + tail).sqrt(), BETA)
            }
        };
        // Four roundings of half a unit in the last place.
        Sensitivity { l2: l2 * (1.0 + 4.0 * f64::EPSILON), dimension, failure }
    }

    /// How far one owner moves the integers of [`Grid::round_whole`]: ⌈s·C⌉, exactly.
    pub fn whole_sensitivity(&self) -> Sensitivity {
        let l2 = (self.scale * self.clip.norm()).ceil();
        Sensitivity { l2, dimension: self.dimension as f64, failure: 0.0 }
    }

    /// The integers of an owner's sum. `rng` is used where rounding is dithered.
    ///
    /// # Errors
    /// [`MechanismError::Length`]; [`MechanismError::Value`] if a value is not finite or does not
    /// stay below 2^50.
    pub fn round(&self, sums: &[f64], rng: &mut dyn CryptoRng) -> Result<Vec<i64>, MechanismError> {
        self.check(sums)?;
        let limit = MAX_LIMIT as f64;
        // One pass without a way out before the end: it is compiled for vectors.
        let out_of_range = |sum: &f64| {
            let magnitude = (sum * self.scale).abs();
            (magnitude >= limit) | magnitude.is_nan()
        };
        if sums.iter().fold(false, |found, sum| found | out_of_range(sum)) {
            let index = sums.iter().position(out_of_range).unwrap_or_default();
            return Err(MechanismError::Value { index, got: sums[index] * self.scale, limit });
        }
        Ok(match self.rounding {
            Rounding::Nearest => sums.iter().map(|sum| nearest(sum * self.scale)).collect(),
            Rounding::Dithered => sums.iter().map(|sum| dithered(sum * self.scale, rng)).collect(),
        })
    }

    /// The integers of an owner's whole vector, their norm at most [`Grid::whole_sensitivity`]. The
    /// vector is clipped first; one that is not finite becomes 0.
    ///
    /// # Errors
    /// [`MechanismError::Length`].
    pub fn round_whole(&self, vector: &[f64]) -> Result<Vec<i64>, MechanismError> {
        self.check(vector)?;
        let norm_sq: f64 = vector.iter().map(|value| value * value).sum();
        if !norm_sq.is_finite() {
            return Ok(vec![0; vector.len()]);
        }
        let bound = self.clip.norm();
        let shrink = if norm_sq > bound * bound { bound / norm_sq.sqrt() } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^50")]
        let most = (self.whole_sensitivity().l2 as u128).pow(2);
        Ok(shrunk(vector, self.scale * shrink, most))
    }

    /// The reals that integers, or sums of them, stand for.
    pub fn to_real(&self, integers: &[i64]) -> Vec<f64> {
        let step = 1.0 / self.scale;
        integers.iter().map(|value| *value as f64 * step).collect()
    }

    const fn check(&self, values: &[f64]) -> Result<(), MechanismError> {
        let (got, expected) = (values.len(), self.dimension);
        if got == expected {
            return Ok(());
        }
        Err(MechanismError::Length { what: "values in a sum", got, expected })
    }
}

/// The smallest power of two that is at least `least`, which is positive and normal.
fn scale_of(least: f64) -> f64 {
    let below = f64::from_bits(least.to_bits() & 0x7ff0_0000_0000_0000);
    if below < least { 2.0 * below } else { below }
}

/// The integer nearest to `scaled`, of two the even one; it must be below 2^51.
///
/// Beside 3·2^51, floats are integers: the addition rounds, and the low bits are the result.
const fn nearest(scaled: f64) -> i64 {
    const FAR: f64 = (3_u64 << 51) as f64;
    (scaled + FAR).to_bits().wrapping_sub(FAR.to_bits()).cast_signed()
}

/// ⌊x + u⌋, u uniform in steps of 2^-53.
fn dithered(scaled: f64, rng: &mut dyn CryptoRng) -> i64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    let floor = scaled.floor();
    // The fraction is exact, where the sum with u would be rounded.
    let up = scaled - floor > (rng.next_u64() >> 11) as f64 * STEP;
    nearest(floor) + i64::from(up)
}

/// Rounds, and shrinks and rounds again until the integer norm's square is at most `most`. The
/// factor falls faster each time and is 0 after 21 steps at the latest.
fn shrunk(vector: &[f64], mut factor: f64, most: u128) -> Vec<i64> {
    let mut step = 1.0 / f64::from(1 << 20);
    loop {
        let values: Vec<i64> = vector.iter().map(|value| nearest(value * factor)).collect();
        let square: u128 = values.iter().map(|value| u128::from(value.unsigned_abs()).pow(2)).sum();
        if square <= most {
            return values;
        }
        factor *= (most as f64 / square as f64).sqrt() * (1.0 - step);
        step *= 2.0;
    }
}

#[cfg(test)]
mod tests;
