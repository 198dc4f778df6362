//! Constants of BFV, for every level.

use nexus_field::rns::{Modulus, choose};

use crate::context::Base;
use crate::extension::{Extension, high, low, product, share};
use crate::{HeError, Parameters};

/// Bits of the primes that products are computed modulo, besides those of the ciphertext: those that
/// transforms are fastest with.
const BITS: u32 = 46;

/// Constants of one set of parameters.
#[derive(Debug)]
pub(crate) struct Tables {
    plain: u64,
    /// The second base, for the highest level; lower ones take the first primes of it.
    base: Base,
    levels: Vec<Level>,
}

impl Tables {
    pub(super) const fn plain(&self) -> u64 {
        self.plain
    }

    /// Half of t, rounded down: the largest magnitude of an integer modulo t.
    pub(super) const fn half(&self) -> u64 {
        self.plain / 2
    }

    pub(super) const fn base(&self) -> &Base {
        &self.base
    }

    /// What the level of so many moduli computes with.
    pub(super) fn level(&self, moduli: usize) -> Result<&Level, HeError> {
        let found = moduli.checked_sub(1).and_then(|at| self.levels.get(at));
        let needed = self.levels.len();
        found.ok_or(HeError::Level { what: "the ciphertext", got: moduli, needed })
    }

    pub(crate) fn new(parameters: &Parameters, plain: u64) -> Result<Self, HeError> {
        let (all, degree) = (parameters.moduli(), parameters.degree());
        let data = parameters.data_moduli();
        let needed = |data: &[Modulus]| {
            let bits: u32 = data.iter().map(|modulus| modulus.bits()).sum();
            // 2·t·N·Q, and the primes may be a little below 2^BITS.
            (bits + (u64::BITS - plain.leading_zeros()) + degree.ilog2() + 2).div_ceil(BITS)
        };
        let most = needed(data) as usize;
        let primes = choose(degree, &vec![BITS; most + all.len()])?;
        let other = |prime: &Modulus| all.iter().all(|modulus| modulus.value() != prime.value());
        let primes: Vec<Modulus> = primes.into_iter().filter(other).take(most).collect();
        let level = |moduli| {
            let data = &data[..moduli];
            Level::new(data, &primes[..(needed(data) as usize).min(most)], plain)
        };
        let levels = (1..=data.len()).map(level).collect();
        Ok(Self { plain, base: Base::new(&primes, degree)?, levels })
    }
}

/// The constants of one level, of modulus Q.
#[derive(Debug)]
pub(super) struct Level {
    scaling: Scaling,
    reading: Reading,
    /// From Q to P, the first primes of the second base.
    pub(super) up: Extension,
    /// t·x modulo Q to P, over Q.
    pub(super) rest: Extension,
    /// t/Q modulo each prime of P.
    pub(super) ratios: Vec<u64>,
    /// From P to Q.
    pub(super) down: Extension,
}

impl Level {
    fn new(data: &[Modulus], wide: &[Modulus], plain: u64) -> Self {
        let inverse = |p: Modulus| p.inverse(product(data, p)).unwrap_or_default();
        let ratio = |p: &Modulus| p.mul(inverse(*p), p.reduce(plain));
        Self {
            scaling: Scaling::new(data, plain),
            reading: Reading::new(data, plain),
            up: Extension::new(data, wide, 1, |_| 1),
            rest: Extension::new(data, wide, plain, inverse),
            ratios: wide.iter().map(ratio).collect(),
            down: Extension::new(wide, data, 1, |_| 1),
        }
    }

    /// ⌊(Q m + ⌊(t + 1)/2⌋)/t⌋ for every coefficient m, limb after limb.
    pub(super) fn scale_up(&self, coefficients: &[u64]) -> Vec<u64> {
        self.scaling.apply(coefficients)
    }

    /// ⌊t x/Q⌉ modulo t for every coefficient x, whose limbs are used up; none if for one of them t x/Q
    /// is not within 1/4 of an integer.
    pub(super) fn read(&self, limbs: &mut [u64], degree: usize) -> Option<Vec<u64>> {
        self.reading.apply(limbs, degree)
    }
}

/// From m to ⌊(Q m + ⌊(t + 1)/2⌋)/t⌋ = m·⌊Q/t⌋ + ⌊(m·r + ⌊(t + 1)/2⌋)/t⌋ with r = Q mod t.
#[derive(Debug)]
struct Scaling {
    plain: u64,
    /// Each modulus, and ⌊Q/t⌋ modulo it.
    quotients: Vec<(Modulus, u64)>,
    /// r, and ⌊2^64 r/t⌋.
    rest: u64,
    ratio: u64,
}

impl Scaling {
    fn new(data: &[Modulus], plain: u64) -> Self {
        let wide = u128::from(plain);
        let rest = data.iter().fold(1 % wide, |rest, q| rest * u128::from(q.value()) % wide);
        let rest = low(rest);
        // Q = t·⌊Q/t⌋ + r is 0 modulo each q.
        let quotient = |q: &Modulus| {
            let inverse = q.inverse(q.reduce(plain)).unwrap_or_default();
            (*q, q.neg(q.mul(q.reduce(rest), inverse)))
        };
        let ratio = low((u128::from(rest) << 64) / wide);
        Self { plain, quotients: data.iter().map(quotient).collect(), rest, ratio }
    }

    /// ⌊(m·r + ⌊(t + 1)/2⌋)/t⌋: the quotient by the ratio is too small by 1 at most, and what is left, with
    /// the half, below 3t < 2^63.
    fn fraction(&self, m: u64) -> u64 {
        let quotient = high(m, self.ratio);
        let left = m.wrapping_mul(self.rest).wrapping_sub(quotient.wrapping_mul(self.plain));
        let left = left + self.plain.div_ceil(2);
        quotient + u64::from(left >= self.plain) + u64::from(left >= 2 * self.plain)
    }

    fn apply(&self, coefficients: &[u64]) -> Vec<u64> {
        let fractions: Vec<u64> = coefficients.iter().map(|m| self.fraction(*m)).collect();
        let bits = u64::BITS - self.plain.leading_zeros();
        let mut words = vec![0; self.quotients.len() * coefficients.len()];
        let limbs = words.chunks_exact_mut(coefficients.len().max(1));
        for ((q, quotient), limb) in self.quotients.iter().zip(limbs) {
            q.weighted_sum(limb, &[(coefficients, *quotient), (&fractions, 1)], bits);
        }
        words
    }
}

/// From x to ⌊t x/Q⌉ modulo t: t x/Q is Σ yᵢ·(t/qᵢ) but for a multiple of t, with yᵢ = x·(Q/qᵢ)^−1 mod qᵢ.
#[derive(Debug)]
struct Reading {
    plain: u64,
    /// Each modulus, (Q/qᵢ)^−1 modulo it, and ⌊2^128 t/qᵢ⌋ by words, the lower one first.
    parts: Vec<(Modulus, u64, [u64; 2])>,
}

impl Reading {
    fn new(data: &[Modulus], plain: u64) -> Self {
        let part = |(at, q): (usize, &Modulus)| {
            let wide = u128::from(q.value());
            let first = u128::from(plain) << 64;
            let second = (first % wide) << 64;
            (*q, share(data, at), [low(second / wide), low(first / wide)])
        };
        Self { plain, parts: data.iter().enumerate().map(part).collect() }
    }

    /// Integers are above 64 bits of fraction. A term is below t·2^64, and t is below every modulus: their
    /// sum is below 2^128, for the bits of all moduli are at most 881.
    fn apply(&self, limbs: &mut [u64], degree: usize) -> Option<Vec<u64>> {
        let mut sums = vec![0_u128; degree];
        for ((q, share, [lower, upper]), limb) in
            self.parts.iter().zip(limbs.chunks_exact_mut(degree))
        {
            q.scale(limb, *share);
            for (sum, word) in sums.iter_mut().zip(limb) {
                *sum += u128::from(*word) * u128::from(*upper) + u128::from(high(*word, *lower));
            }
        }
        let mut certain = true;
        let mut coefficient = |sum: u128| {
            let rounded = sum + (1 << 63);
            // The fraction is now within a quarter of one half.
            certain &= low(rounded).wrapping_sub(1 << 62) <= 1 << 63;
            low((rounded >> 64) % u128::from(self.plain))
        };
        let coefficients = sums.into_iter().map(&mut coefficient).collect();
        certain.then_some(coefficients)
    }
}
