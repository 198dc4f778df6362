//! Transforms and products in double precision, for primes below 2^50, generic over the vectors.
//!
//! A floating-point unit multiplies 53 bits at once, and a fused multiply-add gives back what it
//! dropped: with h = fl(y·w), l = fl(y·w − h) is exact and h + l = y·w. So y·w − c·q is had in
//! full as (h − c·q) + l, for c near y·w/q. Words are integers in doubles from the first pass to
//! the last; they are of both signs and reduced late.
//!
//! # Bounds
//!
//! Let q < 2^50, and u = 2^−53. Everything is exact as long as integers stay at most 2^53.
//!
//! **c.** M = 3·2^51 lies in the middle of `[2^52, 2^53]`, where doubles are the integers. For
//! |z| ≤ 2^51, fl(z + M) − M is therefore the integer nearest to z. A second M' = 3·2^52 does the
//! same for |z| ≤ 2^52 and even integers.
//!
//! **Product with a constant**, |w| ≤ q/2, with its quotient v = fl(w/q). |y| ≤ Y·q.
//! c = fl(y·v + M) − M costs one rounding of v, |y·w/q − y·v| ≤ (Y·q/2)·u ≤ Y/16, so
//! |y·w − c·q| ≤ (1/2 + Y/16)·q as long as |y·v| ≤ Y·q/2 ≤ 2^51: for Y ≤ 4 ([`Ring::times`]). With
//! M' it is (1 + Y/16)·q for Y ≤ 8 ([`Ring::times_far`]). With Y ≤ 8, |h| ≤ 2^102, so
//! |l| ≤ 2^49, and |h − c·q| ≤ 3/2·q + 2^49 < 2^51: an integer, as h and c·q are; it and the sum
//! with l are exact.
//!
//! **Reduction** of |x| ≤ 8·q: c = fl(x·fl(1/q) + M) − M, and x − c·q, at most
//! (1/2 + 8·u)·q < q/2 + 1, is exact in one step (`reduce`).
//!
//! **Forward.** A layer turns X into X + 1/2 + X/16 if every word was at most X·q. From words
//! in `[0, q)`, X = 1, a plan made with the tables (`plan`) follows X from pass to pass. Where it
//! would be more than 4 at a product, the pass first reduces those words that are not multiplied:
//! then X becomes 1 + X/16. So sums stay below 6·q. For primes below 2^48 that never happens.
//!
//! **Inverse.** A pass of two layers takes words of X ≤ 4/3. Sums of two reach 8/3, the first
//! products 1/2 + (8/3)/16 = 2/3 each, and their sums 4/3 again. Sums of four reach 16/3 and are
//! reduced. The differences of sums, 16/3 too, are multiplied with M': 1 + (16/3)/16 = 4/3. A single
//! layer gives (8/3 reduced and) 2/3. Three layers, within a vector of eight, begin with X = 1: sums
//! of eight words stay at most 8·(q − 1), and the differences multiplied are of sums of four words
//! none of which is negative, at most 4·q, or of products, less than that.
//!
//! **Product of two words** in `[0, q)`: h·fl(1/q) is off by at most q·2u ≤ 1/4, so
//! |a·b − c·q| ≤ 3/4·q; with a word of `[0, q)` added before c is chosen, which costs one more
//! rounding, 7/8·q. Where the rest is negative, q is added. A factor for many words has its quotient
//! by fl(1/q), one more rounding, and words have Y = 1: at most 5/8·q.
//!
//! For smaller primes each bound, divided by q, is smaller.

#![expect(clippy::inline_always, reason = "compiled for the kernel that uses it")]

use super::passes::Ring;
use super::{Modulus, portable};

/// Primes below 2^50 are treated here.
pub(super) const MAX_BITS: u32 = 50;

/// 3·2^51 and 3·2^52.
const NEAR: f64 = 6_755_399_441_055_744.0;
const FAR: f64 = 2.0 * NEAR;
/// 2^52: its bits with a word below in the lower 52 are the double of the sum.
pub(super) const SPLIT: f64 = 4_503_599_627_370_496.0;

/// L doubles, or L words of a transform between its passes, which are the bits of doubles.
pub(super) trait Lanes<const L: usize>: Copy {
    fn load(row: &[u64; L]) -> Self;
    fn store(self, row: &mut [u64; L]);
    fn splat(value: f64) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// self·factor + term.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// self·factor − term.
    fn mul_sub(self, factor: Self, term: Self) -> Self;
    /// self − a·b.
    fn sub_mul(self, a: Self, b: Self) -> Self;
    /// The bits of words below 2^52 as doubles of those values.
    fn to_doubles(self) -> Self;
    /// Doubles that are integers from 0 to 2^52 − 1 as the bits of such words.
    fn to_words(self) -> Self;
    /// The lower and the upper 32 bits of words, as doubles of those values.
    fn halves(self) -> (Self, Self);
    /// self + other where self is negative.
    fn add_where_negative(self, other: Self) -> Self;

    /// [`Ring::inner_factors`].
    fn inner_factors(powers: &[u64], constant: impl Fn(u64) -> [u64; 2]) -> Vec<[u64; L]>;
    /// [`Ring::forward_within`].
    fn forward_within(q: Prime<Self, L>, rows: &mut [[u64; L]], factors: &[[u64; L]]);
    /// [`Ring::inverse_within`].
    fn inverse_within(q: Prime<Self, L>, rows: &mut [[u64; L]], factors: &[[u64; L]]);
}

/// A constant w, |w| ≤ q/2, and w/q.
#[derive(Clone, Copy)]
pub(super) struct Factor<V> {
    pub(super) value: V,
    pub(super) quotient: V,
}

/// The representative in (−q/2, q/2], and divided by q.
fn centred(modulus: Modulus, word: u64) -> [f64; 2] {
    let value = modulus.centred(word) as f64;
    [value, value / modulus.value() as f64]
}

/// A prime in every lane.
#[derive(Clone, Copy)]
pub(super) struct Prime<V, const L: usize> {
    value: V,
    inverse: V,
    near: V,
    far: V,
}

impl<V: Lanes<L>, const L: usize> Prime<V, L> {
    #[inline(always)]
    fn of(modulus: Modulus) -> Self {
        let value = modulus.value() as f64;
        let [value, inverse] = [V::splat(value), V::splat(1.0 / value)];
        Self { value, inverse, near: V::splat(NEAR), far: V::splat(FAR) }
    }

    /// h + l − c·q, h + l being a product.
    #[inline(always)]
    fn rest(self, h: V, l: V, c: V) -> V {
        h.sub_mul(c, self.value).add(l)
    }

    /// x modulo q, about q/2 at most.
    #[inline(always)]
    fn reduce(self, x: V) -> V {
        x.sub_mul(x.mul_add(self.inverse, self.near).sub(self.near), self.value)
    }

    /// Canonical words, of integers above −q and below q.
    #[inline(always)]
    fn words(self, x: V) -> V {
        x.add_where_negative(self.value).to_words()
    }
}

impl<V: Lanes<L>, const L: usize> Ring<L> for Prime<V, L> {
    type Vector = V;
    type Factor = Factor<V>;

    #[inline(always)]
    fn new(modulus: Modulus, _: u32) -> Self {
        Self::of(modulus)
    }
    fn constant(modulus: Modulus, word: u64) -> [u64; 2] {
        centred(modulus, word).map(f64::to_bits)
    }
    fn plan(modulus: Modulus, layers: u32) -> Box<[bool]> {
        plan(modulus, layers, L.ilog2())
    }
    #[inline(always)]
    fn splat([value, quotient]: [u64; 2]) -> Factor<V> {
        splat([f64::from_bits(value), f64::from_bits(quotient)])
    }
    #[inline(always)]
    fn factor(value: V, quotient: V) -> Factor<V> {
        Factor { value, quotient }
    }
    #[inline(always)]
    fn load(row: &[u64; L]) -> V {
        V::load(row)
    }
    #[inline(always)]
    fn store(x: V, row: &mut [u64; L]) {
        x.store(row);
    }
    #[inline(always)]
    fn begin(self, words: V) -> V {
        words.to_doubles()
    }
    #[inline(always)]
    fn begin_inverse(self, words: V) -> V {
        words.to_doubles()
    }
    #[inline(always)]
    fn end(self, x: V) -> V {
        self.words(self.reduce(x))
    }
    #[inline(always)]
    fn end_product(self, x: V) -> V {
        self.words(x)
    }
    #[inline(always)]
    fn lighten(self, x: V) -> V {
        self.reduce(x)
    }
    #[inline(always)]
    fn fold(self, x: V) -> V {
        self.reduce(x)
    }
    #[inline(always)]
    fn spread(self, u: V, v: V, w: Factor<V>) -> (V, V) {
        let product = self.times(v, w);
        (u.add(product), u.sub(product))
    }
    #[inline(always)]
    fn add(self, u: V, v: V) -> V {
        u.add(v)
    }
    #[inline(always)]
    fn sub(self, u: V, v: V) -> V {
        u.sub(v)
    }
    /// For |y| ≤ 4q, at most (1/2 + |y/q|/16)·q.
    #[inline(always)]
    fn times(self, y: V, w: Factor<V>) -> V {
        let c = y.mul_add(w.quotient, self.near).sub(self.near);
        let h = y.mul(w.value);
        self.rest(h, y.mul_sub(w.value, h), c)
    }
    /// For |y| ≤ 8q, at most (1 + |y/q|/16)·q.
    #[inline(always)]
    fn times_far(self, y: V, w: Factor<V>) -> V {
        let c = y.mul_add(w.quotient, self.far).sub(self.far);
        let h = y.mul(w.value);
        self.rest(h, y.mul_sub(w.value, h), c)
    }

    fn inner_factors(modulus: Modulus, powers: &[u64]) -> Vec<[u64; L]> {
        V::inner_factors(powers, |word| Self::constant(modulus, word))
    }
    #[inline(always)]
    fn forward_within(self, rows: &mut [[u64; L]], factors: &[[u64; L]]) {
        V::forward_within(self, rows, factors);
    }
    #[inline(always)]
    fn inverse_within(self, rows: &mut [[u64; L]], factors: &[[u64; L]]) {
        V::inverse_within(self, rows, factors);
    }
}

/// A constant for every lane.
#[inline(always)]
fn splat<V: Lanes<L>, const L: usize>([value, quotient]: [f64; 2]) -> Factor<V> {
    Factor { value: V::splat(value), quotient: V::splat(quotient) }
}

/// Which pass reduces, for the first pass of one layer if the number of layers across vectors is odd,
/// and passes of two layers then.
fn plan(modulus: Modulus, layers: u32, inner: u32) -> Box<[bool]> {
    let limit = 4.0;
    let loss = modulus.value() as f64 / (1_u64 << 54) as f64;
    let layer = |x: f64| x + 0.5 + x * loss;
    let after = |x: f64, reduces: bool, count: u32| {
        let first = if reduces { 1.01 + x * loss } else { layer(x) };
        (1..count).fold(first, |x, _| layer(x))
    };
    // `limit` is for 2^50; for smaller primes, in units of q, it is larger.
    let limit = limit * (1_u64 << MAX_BITS) as f64 / modulus.value() as f64;
    let mut x = 1.0;
    let mut plan = Vec::new();
    let mut left = layers;
    while left > 0 {
        let count = if left % 2 == 1 { 1 } else { 2 };
        left -= count;
        // What the next pass, or the layers within vectors, multiply must be within the limit.
        let next = if left == 0 { inner } else { 1 };
        let reach = after(x, false, count + next - 1);
        let reduces = reach > limit;
        x = after(x, reduces, count);
        plan.push(reduces);
    }
    plan.into()
}

/// a ← a·b.
#[inline(always)]
pub(super) fn mul_assign<V: Lanes<L>, const L: usize>(modulus: Modulus, a: &mut [u64], b: &[u64]) {
    let q = Prime::<V, L>::of(modulus);
    let ((rows, rest), (others, other_rest)) = (a.as_chunks_mut::<L>(), b.as_chunks::<L>());
    for (a, b) in rows.iter_mut().zip(others) {
        let (x, y) = (V::load(a).to_doubles(), V::load(b).to_doubles());
        let h = x.mul(y);
        let c = h.mul_add(q.inverse, q.near).sub(q.near);
        q.words(q.rest(h, x.mul_sub(y, h), c)).store(a);
    }
    portable::mul_assign(modulus, rest, other_rest);
}

/// sum ← sum + a·b.
#[inline(always)]
pub(super) fn mul_add<V: Lanes<L>, const L: usize>(
    modulus: Modulus,
    sum: &mut [u64],
    a: &[u64],
    b: &[u64],
) {
    let q = Prime::<V, L>::of(modulus);
    let (sums, rest) = sum.as_chunks_mut::<L>();
    let ((rows, a_rest), (others, b_rest)) = (a.as_chunks::<L>(), b.as_chunks::<L>());
    for (sum, (a, b)) in sums.iter_mut().zip(rows.iter().zip(others)) {
        let (x, y) = (V::load(a).to_doubles(), V::load(b).to_doubles());
        let z = V::load(sum).to_doubles();
        let h = x.mul(y);
        let c = h.mul_add(q.inverse, z.mul(q.inverse)).add(q.near).sub(q.near);
        q.words(q.rest(h, x.mul_sub(y, h), c).add(z)).store(sum);
    }
    portable::mul_add(modulus, rest, a_rest, b_rest);
}

/// a ← a·by.
#[inline(always)]
pub(super) fn scale<V: Lanes<L>, const L: usize>(modulus: Modulus, a: &mut [u64], by: u64) {
    // Not `centred`: the time that a division takes depends on the number on some machines.
    let value = modulus.centred(by) as f64;
    let quotient = value * (1.0 / modulus.value() as f64);
    let (q, factor) = (Prime::<V, L>::of(modulus), splat([value, quotient]));
    let (rows, rest) = a.as_chunks_mut::<L>();
    for a in rows {
        q.words(q.times(V::load(a).to_doubles(), factor)).store(a);
    }
    portable::scale(modulus, rest, by);
}

/// out ← words + plus modulo q: upper half·2^32 + lower half.
#[inline(always)]
pub(super) fn reduce_from<V: Lanes<L>, const L: usize>(
    modulus: Modulus,
    out: &mut [u64],
    words: &[u64],
    (plus, bits): (u64, u32),
) {
    let offset = V::splat(modulus.centred(plus) as f64);
    let shift = splat(centred(modulus, modulus.reduce(1 << 32)));
    let q = Prime::<V, L>::of(modulus);
    let ((outs, rest), (rows, word_rest)) = (out.as_chunks_mut::<L>(), words.as_chunks::<L>());
    for (out, words) in outs.iter_mut().zip(rows) {
        let (low, high) = V::load(words).halves();
        q.words(q.reduce(q.times(high, shift).add(low.add(offset)))).store(out);
    }
    portable::reduce_from(modulus, rest, word_rest, plus, bits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rns::choose;

    /// Follows the bounds of the module's text from layer to layer, in units of 1.
    #[test]
    fn no_plan_lets_words_outgrow_doubles() {
        for prime in [50, 49, 48, 47, 40].map(|bits| choose(1 << 17, &[bits]).unwrap()[0]) {
            let q = prime.value() as f64;
            for (inner, layers) in
                [2, 3].into_iter().flat_map(|i| (1..=17 - i).map(move |n| (i, n)))
            {
                let plan = plan(prime, layers, inner);
                let lightens = plan.iter().enumerate().flat_map(|(pass, lightens)| {
                    let first = [*lightens, false];
                    first.into_iter().take(if pass == 0 && layers % 2 == 1 { 1 } else { 2 })
                });
                let mut x = q;
                for lightens in lightens.chain((0..inner).map(|_| false)) {
                    let product = q / 2.0 + x / (1_u64 << 54) as f64 * q;
                    assert!(x <= (1_u64 << 52) as f64, "{prime:?}: {layers} and {inner} layers");
                    x = product + if lightens { q / 2.0 + 1.0 } else { x };
                    assert!(x < (1_u64 << 53) as f64);
                }
                assert!(prime.bits() > 48 || plan.iter().all(|lightens| !lightens));
            }
        }
    }
}
