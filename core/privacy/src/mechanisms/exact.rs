//! Samplers that are exact: integers and random bits only.
//!
//! By Canonne, Kamath & Steinke 2020 (arXiv:2004.00010), algorithms 1 to 3. Every probability is
//! a ratio of integers; nothing is rounded. What they cost depends on what they draw, about a
//! microsecond each: they are the reference that the fast samplers are tested against, and serve
//! where few numbers are drawn.
//!
//! ```
//! use nexus_privacy::mechanisms::exact::{Variance, gaussian};
//! use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
//!
//! let variance = Variance::new(81, 2).expect("a variance in range"); // 40.5
//! let x = gaussian(variance, &mut ChaCha12Rng::seed_from_u64(3));
//! assert!(x.abs() < 100);
//! ```

use nexus_types::CryptoRng;

use super::{MechanismError, within};

/// Largest numerator of a variance: products of two stay within 128 bits.
const MAX_NUMERATOR: u64 = 1 << 56;
/// Largest scale of [`laplace`], as numerator and denominator.
const MAX_SCALE: u64 = 1 << 56;

/// A ratio of two integers, the second not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    over: u128,
    under: u128,
}

impl Ratio {
    /// `over / under`; `None` if `under` is 0 or either is 2^120 or more.
    pub const fn new(over: u128, under: u128) -> Option<Self> {
        const LIMIT: u128 = 1 << 120;
        if under == 0 || over >= LIMIT || under >= LIMIT {
            None
        } else {
            Some(Self { over, under })
        }
    }
}

/// The variance of a discrete Gaussian, as a ratio of two integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variance {
    over: u64,
    under: u64,
}

impl Variance {
    /// `over / under`; `None` if one is 0, or `over` or `under` is above 2^56.
    pub const fn new(over: u64, under: u64) -> Option<Self> {
        let (fits, positive) =
            (over <= MAX_NUMERATOR && under <= MAX_NUMERATOR, over > 0 && under > 0);
        if fits && positive { Some(Self { over, under }) } else { None }
    }

    /// At least `sigma`², above it by a relative 2^-12 at most, for a width in [2^-10, 2^27].
    ///
    /// # Errors
    /// [`MechanismError::Setting`] for another width.
    pub fn at_least(sigma: f64) -> Result<Self, MechanismError> {
        const EXPECTED: &str = "from 2^-10 to 2^27 are possible";
        let sigma =
            within("the width of the noise", sigma, 1.0 / 1024.0..=134_217_728.0, EXPECTED)?;
        // The square is above the true one, if only by rounding.
        let square = (sigma * sigma).next_up();
        let places = if square < (1_u64 << 20) as f64 { 32 } else { 0 };
        let under = 1_u64 << places;
        // An exact multiple by a power of two.
        let over = (square * under as f64).ceil();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^55")]
        let over = over as u64;
        Ok(Self { over, under })
    }

    /// The width, rounded down.
    pub fn sigma(self) -> f64 {
        (self.over as f64 / self.under as f64).next_down().sqrt().next_down()
    }

    /// The whole part of the width.
    const fn floor_sigma(self) -> u64 {
        (self.over / self.under).isqrt()
    }
}

/// Uniform in `0..bound`, by rejection; 0 if `bound` is 0.
pub fn below(bound: u128, rng: &mut dyn CryptoRng) -> u128 {
    if bound < 2 {
        return 0;
    }
    let unused = (bound - 1).leading_zeros();
    loop {
        let high = if unused < 64 { u128::from(rng.next_u64()) << 64 } else { 0 };
        let number = (high | u128::from(rng.next_u64())) & (u128::MAX >> unused);
        if number < bound {
            return number;
        }
    }
}

/// True with this probability; a ratio above 1 is 1.
pub fn bernoulli(probability: Ratio, rng: &mut dyn CryptoRng) -> bool {
    below(probability.under, rng) < probability.over
}

/// True with probability exp(−γ) (algorithm 1).
pub fn bernoulli_exp(gamma: Ratio, rng: &mut dyn CryptoRng) -> bool {
    let one = Ratio { over: 1, under: 1 };
    for _ in 0..gamma.over / gamma.under {
        if !at_most_one(one, rng) {
            return false;
        }
    }
    at_most_one(Ratio { over: gamma.over % gamma.under, ..gamma }, rng)
}

/// True with probability exp(−γ), for γ of at most 1: the first k with a failure of Bernoulli(γ/k)
/// is odd (von Neumann 1951; Forsythe 1972).
fn at_most_one(gamma: Ratio, rng: &mut dyn CryptoRng) -> bool {
    let mut k = 1;
    // A denominator is below 2^120; k passes 2^8 with probability 1/256!.
    while below(gamma.under.saturating_mul(k), rng) < gamma.over {
        k += 1;
    }
    k % 2 == 1
}

/// `x` with probability proportional to exp(−|x|·`under`/`over`): the discrete Laplace
/// distribution of scale `over`/`under` (algorithm 2).
///
/// # Errors
/// [`MechanismError::Setting`] if one is 0 or above 2^56.
pub fn laplace(over: u64, under: u64, rng: &mut dyn CryptoRng) -> Result<i64, MechanismError> {
    for got in [over, under] {
        if !(1..=MAX_SCALE).contains(&got) {
            let (what, expected) = ("the scale of Laplace noise", "1 to 2^56 over 1 to 2^56");
            return Err(MechanismError::Setting { what, got: got as f64, expected });
        }
    }
    Ok(laplace_of(over, under, rng))
}

fn laplace_of(over: u64, under: u64, rng: &mut dyn CryptoRng) -> i64 {
    let one = Ratio { over: 1, under: 1 };
    loop {
        let low = below(over.into(), rng);
        if !at_most_one(Ratio { over: low, under: over.into() }, rng) {
            continue;
        }
        let mut high = 0;
        while at_most_one(one, rng) {
            high += 1;
        }
        let magnitude = (low + u128::from(over) * high) / u128::from(under);
        let negative = rng.next_u32() & 1 == 1;
        if negative && magnitude == 0 {
            continue;
        }
        // Beyond 2^62 with probability exp(-64) at the largest scale: then it is drawn again.
        let Ok(magnitude) = i64::try_from(magnitude) else { continue };
        return if negative { -magnitude } else { magnitude };
    }
}

/// `x` with probability proportional to exp(−x²/(2σ²)): the discrete Gaussian (algorithm 3), by
/// rejection from a Laplace draw of scale ⌊σ⌋ + 1.
pub fn gaussian(variance: Variance, rng: &mut dyn CryptoRng) -> i64 {
    let (over, under) = (u128::from(variance.over), u128::from(variance.under));
    let scale = variance.floor_sigma() + 1;
    let wide_scale = u128::from(scale);
    loop {
        let candidate = laplace_of(scale, 1, rng);
        // (|y| − σ²/t)² / (2σ²) = (|y|·t·under − over)² / (2·over·under·t²)
        let magnitude = u128::from(candidate.unsigned_abs());
        let distance = magnitude.checked_mul(wide_scale * under).map(|y| y.abs_diff(over));
        let square = distance.and_then(|distance| distance.checked_mul(distance));
        let divisor = (2 * over * under).checked_mul(wide_scale * wide_scale);
        // What does not fit would be accepted with probability exp(-2^20) at most.
        let Some((over, under)) = square.zip(divisor) else { continue };
        if bernoulli_exp(Ratio { over, under }, rng) {
            return candidate;
        }
    }
}

#[cfg(test)]
mod tests;
