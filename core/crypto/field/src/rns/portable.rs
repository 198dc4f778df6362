//! Plain Rust, for every prime and every machine: butterflies by D. Harvey, on words that are
//! reduced late.

use super::Modulus;
use super::modulus::{Factor, full, once};
use super::words::{Term, Weighted};

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
