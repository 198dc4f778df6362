//! The transform four words at a time: two layers of butterflies for each pass over the block,
//! the two layers within a vector last (forward) or first (inverse).

#![expect(unsafe_code, reason = "code for AVX2 is called where the machine has it")]

use super::{POWERS, SCALE, portable};
use crate::avx2::{Factor, Flipped, Plain};
use crate::goldilocks::word;
use crate::{Block, Kernel, N};

/// 2^64 times each of [`POWERS`].
static FACTORS: Block = factors();

/// 2^64 modulo p, and 2^64 divided by the number of words.
const SHIFT: u64 = crate::goldilocks::EPSILON;
const SCALED: u64 = word::mul(SHIFT, SCALE);

const fn factors() -> Block {
    let mut factors = POWERS;
    let mut i = 0;
    while i < N {
        factors[i] = word::mul(factors[i], SHIFT);
        i += 1;
    }
    factors
}

/// Coefficients to slots; where AVX2 is missing, by the portable kernel.
pub(super) fn forward(block: &mut Block) {
    if !Kernel::Avx2.is_available() {
        return portable::forward(block);
    }
    // SAFETY: this machine has AVX2.
    unsafe { forward_passes(block) }
}

/// Slots to coefficients; where AVX2 is missing, by the portable kernel.
pub(super) fn inverse(block: &mut Block) {
    if !Kernel::Avx2.is_available() {
        return portable::inverse(block);
    }
    // SAFETY: this machine has AVX2.
    unsafe { inverse_passes(block) }
}

type Vector = [u64; 4];

/// Four quarters of a group of vectors.
fn quarters(group: &mut [Vector]) -> impl Iterator<Item = [&mut Vector; 4]> {
    let (low, high) = group.split_at_mut(group.len() / 2);
    let (a, b) = low.split_at_mut(low.len() / 2);
    let (c, d) = high.split_at_mut(high.len() / 2);
    let halves = a.iter_mut().zip(b).zip(c.iter_mut().zip(d));
    halves.map(|((a, b), (c, d))| [a, b, c, d])
}

#[target_feature(enable = "avx2")]
fn forward_passes(block: &mut Block) {
    let (vectors, _) = block.as_chunks_mut::<4>();
    let mut groups = 1;
    while groups < vectors.len() {
        let (inner, _) = FACTORS[2 * groups..4 * groups].as_chunks::<2>();
        let factors = FACTORS[groups..2 * groups].iter().zip(inner);
        for (group, (outer, inner)) in vectors.chunks_exact_mut(N / 4 / groups).zip(factors) {
            let inner = [Factor::splat(inner[0]), Factor::splat(inner[1])];
            forward_quarters(group, Factor::splat(*outer), inner);
        }
        groups *= 4;
    }
    forward_within(vectors);
}

/// u + v·f and u − v·f.
#[inline]
#[target_feature(enable = "avx2")]
fn spread(u: Flipped, v: Plain, factor: Factor) -> (Flipped, Plain) {
    let product = v.times(factor);
    (u.add(product), u.sub(product))
}

#[inline]
#[target_feature(enable = "avx2")]
fn forward_quarters(group: &mut [Vector], outer: Factor, inner: [Factor; 2]) {
    for [a, b, c, d] in quarters(group) {
        let (a1, c1) = spread(Plain::load(a).flip(), Plain::load(c), outer);
        let (b1, d1) = spread(Plain::load(b).flip(), Plain::load(d), outer);
        let (a2, b2) = spread(a1, b1.flip(), inner[0]);
        let (c2, d2) = spread(c1.flip(), d1, inner[1]);
        a2.flip().store(a);
        b2.store(b);
        c2.flip().store(c);
        d2.store(d);
    }
}

#[target_feature(enable = "avx2")]
fn forward_within(vectors: &mut [Vector]) {
    let (pairs, _) = vectors.as_chunks_mut::<2>();
    let (outer, _) = FACTORS[N / 4..N / 2].as_chunks::<2>();
    let (inner, _) = FACTORS[N / 2..].as_chunks::<4>();
    for ([x, y], (outer, inner)) in pairs.iter_mut().zip(outer.iter().zip(inner)) {
        let (u, v) = Plain::load(x).swap_halves(Plain::load(y));
        let (u, v) = spread(u.flip(), v, Factor::pairs(outer[0], outer[1]));
        let (u, v) = u.flip().swap_neighbours(v);
        let (u, v) = spread(u.flip(), v, Factor::load(inner));
        let (u, v) = u.flip().swap_neighbours(v);
        let (u, v) = u.swap_halves(v);
        u.store(x);
        v.store(y);
    }
}

#[target_feature(enable = "avx2")]
fn inverse_passes(block: &mut Block) {
    let (vectors, _) = block.as_chunks_mut::<4>();
    inverse_within(vectors);
    let mut groups = N / 16;
    while groups > 1 {
        let (inner, _) = FACTORS[2 * groups..4 * groups].as_chunks::<2>();
        let factors = FACTORS[groups..2 * groups].iter().zip(inner).rev();
        for (group, (outer, inner)) in vectors.chunks_exact_mut(N / 4 / groups).zip(factors) {
            let inner = [Factor::splat(inner[1]), Factor::splat(inner[0])];
            inverse_quarters(group, inner, Factor::splat(*outer));
        }
        groups /= 4;
    }
    inverse_last(vectors);
}

/// u + v and (v − u)·f.
#[inline]
#[target_feature(enable = "avx2")]
fn gather(u: Flipped, v: Flipped, factor: Factor) -> (Flipped, Flipped) {
    (u.add(v), v.sub(u).times(factor))
}

#[inline]
#[target_feature(enable = "avx2")]
fn inverse_quarters(group: &mut [Vector], inner: [Factor; 2], outer: Factor) {
    for [a, b, c, d] in quarters(group) {
        let (a1, b1) = gather(Plain::load(a).flip(), Plain::load(b).flip(), inner[0]);
        let (c1, d1) = gather(Plain::load(c).flip(), Plain::load(d).flip(), inner[1]);
        let (a2, c2) = gather(a1, c1, outer);
        let (b2, d2) = gather(b1, d1, outer);
        a2.flip().store(a);
        b2.flip().store(b);
        c2.flip().store(c);
        d2.flip().store(d);
    }
}

/// The last two layers, with the division by the number of words.
#[target_feature(enable = "avx2")]
fn inverse_last(vectors: &mut [Vector]) {
    let scaled = |i: usize| word::mul(FACTORS[i], SCALE);
    let inner = [Factor::splat(scaled(3)), Factor::splat(scaled(2))];
    let (outer, outer_scaled) = (Factor::splat(FACTORS[1]), Factor::splat(scaled(1)));
    let scale = Factor::splat(SCALED);
    for [a, b, c, d] in quarters(vectors) {
        let (a1, b1) = gather(Plain::load(a).flip(), Plain::load(b).flip(), inner[0]);
        let (c1, d1) = gather(Plain::load(c).flip(), Plain::load(d).flip(), inner[1]);
        let (a2, c2) = gather(a1, c1, outer_scaled);
        let (b2, d2) = gather(b1, d1, outer);
        a2.flip().times(scale).flip().store(a);
        b2.flip().store(b);
        c2.flip().store(c);
        d2.flip().store(d);
    }
}

#[target_feature(enable = "avx2")]
fn inverse_within(vectors: &mut [Vector]) {
    let (pairs, _) = vectors.as_chunks_mut::<2>();
    let (outer, _) = FACTORS[N / 4..N / 2].as_chunks::<2>();
    let (inner, _) = FACTORS[N / 2..].as_chunks::<4>();
    for ([x, y], (outer, inner)) in pairs.iter_mut().zip(outer.iter().zip(inner).rev()) {
        let (u, v) = Plain::load(x).swap_halves(Plain::load(y));
        let (u, v) = u.swap_neighbours(v);
        let (u, v) = gather(u.flip(), v.flip(), Factor::load(inner).reversed());
        let (u, v) = u.flip().swap_neighbours(v.flip());
        let (u, v) = gather(u.flip(), v.flip(), Factor::pairs(outer[1], outer[0]));
        let (u, v) = u.flip().swap_halves(v.flip());
        u.store(x);
        v.store(y);
    }
}
