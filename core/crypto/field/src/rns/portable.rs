//! Plain Rust, for every prime and every machine: butterflies by D. Harvey, on words that are
//! reduced late.

use super::Modulus;
use super::modulus::{Factor, full, low, once};
use super::words::{Residues, Term, Weighted};

pub(super) struct Tables {
    modulus: Modulus,
    powers: Box<[Factor]>,
    /// 1/N, and the last factor of the inverse transform divided by N.
    scale: Factor,
    scaled: Factor,
}

impl Tables {
    /// From ψ^r(i), at least 16 of them.
    pub(super) fn new(modulus: Modulus, powers: &[u64]) -> Self {
        let factor = |value| Factor::new(modulus, value);
        // N divides q − 1, so 1/N is −(q − 1)/N.
        let scale = modulus.neg((modulus.value() - 1) / powers.len() as u64);
        let scaled = factor(modulus.mul(powers[1], scale));
        let powers = powers.iter().map(|power| factor(*power)).collect();
        Self { modulus, powers, scale: factor(scale), scaled }
    }

    /// Words stay below 4q from pass to pass.
    pub(super) fn forward(&self, words: &mut [u64]) {
        let q = self.modulus.value();
        let mut groups = 1;
        while groups < words.len() {
            let size = words.len() / groups;
            let factors = &self.powers[groups..2 * groups];
            for (group, factor) in words.chunks_exact_mut(size).zip(factors) {
                let (low, high) = group.split_at_mut(size / 2);
                for (x, y) in low.iter_mut().zip(high) {
                    let (u, v) = (once(*x, 2 * q), factor.times(*y, q));
                    (*x, *y) = (u + v, u + 2 * q - v);
                }
            }
            groups *= 2;
        }
        for word in words {
            *word = once(once(*word, 2 * q), q);
        }
    }

    /// Words stay below 2q from pass to pass.
    pub(super) fn inverse(&self, words: &mut [u64]) {
        let q = self.modulus.value();
        let mut groups = words.len() / 2;
        while groups > 1 {
            let size = words.len() / groups;
            let factors = self.powers[groups..2 * groups].iter().rev();
            for (group, factor) in words.chunks_exact_mut(size).zip(factors) {
                let (low, high) = group.split_at_mut(size / 2);
                for (x, y) in low.iter_mut().zip(high) {
                    let (u, v) = (*x, *y);
                    (*x, *y) = (once(u + v, 2 * q), factor.times(v + 2 * q - u, q));
                }
            }
            groups /= 2;
        }
        let (low, high) = words.split_at_mut(words.len() / 2);
        for (x, y) in low.iter_mut().zip(high) {
            let (u, v) = (*x, *y);
            *x = once(self.scale.times(u + v, q), q);
            *y = once(self.scaled.times(v + 2 * q - u, q), q);
        }
    }
}

#[inline]
pub(super) fn add_assign(q: Modulus, a: &mut [u64], b: &[u64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = q.add(*a, *b);
    }
}

#[inline]
pub(super) fn shift_assign(q: Modulus, a: &mut [u64], by: u64) {
    for a in a {
        *a = q.add(*a, by);
    }
}

#[inline]
pub(super) fn sub_assign(q: Modulus, a: &mut [u64], b: &[u64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = q.sub(*a, *b);
    }
}

#[inline]
pub(super) fn neg_assign(q: Modulus, a: &mut [u64]) {
    for a in a {
        *a = q.neg(*a);
    }
}

#[inline]
pub(super) fn mul_assign(q: Modulus, a: &mut [u64], b: &[u64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = q.mul(*a, *b);
    }
}

#[inline]
pub(super) fn mul_add(q: Modulus, sum: &mut [u64], a: &[u64], b: &[u64]) {
    for (sum, (a, b)) in sum.iter_mut().zip(a.iter().zip(b)) {
        *sum = q.add(*sum, q.mul(*a, *b));
    }
}

#[inline]
pub(super) fn scale(q: Modulus, a: &mut [u64], by: u64) {
    let factor = Factor::new(q, by);
    for a in a {
        *a = once(factor.times(*a, q.value()), q.value());
    }
}

#[inline]
pub(super) fn reduce_from(q: Modulus, out: &mut [u64], words: &[u64], plus: u64, _: u32) {
    for (out, word) in out.iter_mut().zip(words) {
        *out = q.reduce(word + plus);
    }
}

/// Parts of 1 that a/q is measured in, as a power of two, and what that takes: the upper half, of words
/// of `width` bits, of a shifted to fill one and the ratio is ⌊2^fraction·a/q⌋ or 2 less.
#[derive(Clone, Copy)]
pub(super) struct Fraction {
    pub(super) shift: u32,
    pub(super) ratio: u64,
}

/// For moduli whose words fill 52 bits, and for longer ones: width and fraction.
pub(super) const FRACTIONS: [(u32, u32); 2] = [(52, 51), (64, 57)];

impl Fraction {
    pub(super) fn new(q: Modulus, (width, fraction): (u32, u32)) -> Self {
        let ratio = (1_u128 << (fraction + q.bits())) / u128::from(q.value());
        Self { shift: width - q.bits(), ratio: low(ratio.min((1 << width) - 1)) }
    }
}

#[inline]
pub(super) fn nearest_sum(out: &mut [u64], terms: &[Residues<'_>]) {
    nearest_sum_from(out, terms, 0);
}

/// The words from `start` on.
#[inline]
pub(super) fn nearest_sum_from(out: &mut [u64], terms: &[Residues<'_>], start: usize) {
    let short = terms.iter().all(|(_, q)| q.bits() <= FRACTIONS[0].0);
    let (width, fraction) = FRACTIONS[usize::from(!short)];
    let out = out.get_mut(start..).unwrap_or_default();
    out.fill(1 << (fraction - 1));
    for (words, q) in terms {
        let Fraction { shift, ratio } = Fraction::new(*q, (width, fraction));
        for (out, word) in out.iter_mut().zip(words.get(start..).unwrap_or_default()) {
            *out += low(full(*word << shift, ratio) >> width);
        }
    }
    for out in out {
        *out >>= fraction;
    }
}

/// Terms whose products are added before any is reduced: of 122 bits each.
const TOGETHER: usize = 32;

#[inline]
pub(super) fn inner_product(q: Modulus, out: &mut [u64], terms: &[Term<'_>]) {
    inner_product_from(q, out, terms, 0);
}

/// The words from `start` on.
#[inline]
pub(super) fn inner_product_from(q: Modulus, out: &mut [u64], terms: &[Term<'_>], start: usize) {
    sums_from(q, out, terms, start, |(a, b), at| full(a[at], b[at]));
}

#[inline]
pub(super) fn weighted_sum(q: Modulus, out: &mut [u64], terms: &[Weighted<'_>]) {
    weighted_sum_from(q, out, terms, 0);
}

/// The words from `start` on.
#[inline]
pub(super) fn weighted_sum_from(q: Modulus, out: &mut [u64], terms: &[Weighted<'_>], start: usize) {
    sums_from(q, out, terms, start, |(words, weight), at| full(words[at], *weight));
}

#[inline]
fn sums_from<T>(
    q: Modulus,
    out: &mut [u64],
    terms: &[T],
    start: usize,
    product: impl Fn(&T, usize) -> u128,
) {
    for (at, out) in out.iter_mut().enumerate().skip(start) {
        let part = |some: &[T]| {
            let sum = some.iter().map(|term| product(term, at)).sum::<u128>();
            q.reduce_wide(sum)
        };
        *out = terms.chunks(TOGETHER).map(part).fold(0, |sum, part| q.add(sum, part));
    }
}
