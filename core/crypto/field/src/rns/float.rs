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
//! |y·w − c·q| ≤ (1/2 + Y/16)·q as long as |y·v| ≤ Y·q/2 ≤ 2^51: for Y ≤ 4 ([`Prime::times`]). With
//! M' it is (1 + Y/16)·q for Y ≤ 8 ([`Prime::times_far`]). With Y ≤ 8, |h| ≤ 2^102, so
//! |l| ≤ 2^49, and |h − c·q| ≤ 3/2·q + 2^49 < 2^51: an integer, as h and c·q are; it and the sum
//! with l are exact.
//!
//! **Reduction** of |x| ≤ 8·q: c = fl(x·fl(1/q) + M) − M, and x − c·q, at most
//! (1/2 + 8·u)·q < q/2 + 1, is exact in one step ([`Prime::reduce`]).
//!
//! **Forward.** A layer turns X into X + 1/2 + X/16 if every word was at most X·q. From words
//! in `[0, q)`, X = 1, a plan made with the tables ([`plan`]) follows X from pass to pass. Where it
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
//! rounding, 7/8·q. Where the rest is negative, q is added.
//!
//! For smaller primes each bound, divided by q, is smaller.

#![expect(clippy::inline_always, reason = "compiled for the kernel that uses it")]

use super::{Modulus, portable};

/// Primes below 2^50 are treated here.
pub(super) const MAX_BITS: u32 = 50;

/// Words that are transformed to the end before the next are begun: they stay in the nearest cache.
const BLOCK: usize = 2048;

/// 3·2^51 and 3·2^52.
const NEAR: f64 = 6_755_399_441_055_744.0;
const FAR: f64 = 2.0 * NEAR;
/// 2^52: its bits with a word below in the lower 52 are the double of the sum.
pub(super) const SPLIT: f64 = 4_503_599_627_370_496.0;

/// L doubles, or L words of a transform between its passes, which are the bits of doubles.
pub(super) trait Lanes<const L: usize>: Copy {
    fn load(row: &[u64; L]) -> Self;
    fn store(self, row: &mut [u64; L]);
    fn load_doubles(row: &[f64; L]) -> Self;
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

    /// What the layers within vectors multiply with, from ψ^r(k) at index k, or from what takes its
    /// place in the inverse transform.
    fn inner_factors(modulus: Modulus, powers: &[u64]) -> Vec<[f64; L]>;
    /// The last layers, and what comes out as canonical words.
    fn forward_within(q: Prime<Self>, rows: &mut [[u64; L]], factors: &[[f64; L]]);
    /// The first layers of the inverse transform, from canonical words.
    fn inverse_within(q: Prime<Self>, rows: &mut [[u64; L]], factors: &[[f64; L]]);
}

/// A constant w, |w| ≤ q/2, and w/q.
#[derive(Clone, Copy)]
pub(super) struct Factor<V> {
    pub(super) value: V,
    pub(super) quotient: V,
}

/// The representative in (−q/2, q/2], and divided by q.
pub(super) fn centred(modulus: Modulus, word: u64) -> [f64; 2] {
    let value = modulus.centred(word) as f64;
    [value, value / modulus.value() as f64]
}

/// The word `index` of a row as a constant for every lane.
#[inline(always)]
pub(super) fn splat<V: Lanes<L>, const L: usize>([value, quotient]: [f64; 2]) -> Factor<V> {
    Factor { value: V::splat(value), quotient: V::splat(quotient) }
}

/// A prime in every lane.
#[derive(Clone, Copy)]
pub(super) struct Prime<V> {
    value: V,
    inverse: V,
    near: V,
    far: V,
}

impl<V: Copy> Prime<V> {
    #[inline(always)]
    pub(super) fn new<const L: usize>(modulus: Modulus) -> Self
    where
        V: Lanes<L>,
    {
        let value = modulus.value() as f64;
        let [value, inverse, near, far] = [value, 1.0 / value, NEAR, FAR].map(V::splat);
        Self { value, inverse, near, far }
    }

    /// h + l − c·q, h + l being a product.
    #[inline(always)]
    fn rest<const L: usize>(self, h: V, l: V, c: V) -> V
    where
        V: Lanes<L>,
    {
        h.sub_mul(c, self.value).add(l)
    }

    /// y·w modulo q for |y| ≤ 4q, at most (1/2 + |y/q|/16)·q.
    #[inline(always)]
    pub(super) fn times<const L: usize>(self, y: V, w: Factor<V>) -> V
    where
        V: Lanes<L>,
    {
        let c = y.mul_add(w.quotient, self.near).sub(self.near);
        let h = y.mul(w.value);
        self.rest(h, y.mul_sub(w.value, h), c)
    }

    /// y·w modulo q for |y| ≤ 8q, at most (1 + |y/q|/16)·q.
    #[inline(always)]
    pub(super) fn times_far<const L: usize>(self, y: V, w: Factor<V>) -> V
    where
        V: Lanes<L>,
    {
        let c = y.mul_add(w.quotient, self.far).sub(self.far);
        let h = y.mul(w.value);
        self.rest(h, y.mul_sub(w.value, h), c)
    }

    /// x modulo q, about q/2 at most.
    #[inline(always)]
    pub(super) fn reduce<const L: usize>(self, x: V) -> V
    where
        V: Lanes<L>,
    {
        x.sub_mul(x.mul_add(self.inverse, self.near).sub(self.near), self.value)
    }

    /// Canonical words, of integers above −q and below q.
    #[inline(always)]
    pub(super) fn words<const L: usize>(self, x: V) -> V
    where
        V: Lanes<L>,
    {
        x.add_where_negative(self.value).to_words()
    }

    /// u + v·w and u − v·w.
    #[inline(always)]
    pub(super) fn spread<const L: usize>(self, u: V, v: V, w: Factor<V>) -> (V, V)
    where
        V: Lanes<L>,
    {
        let product = self.times(v, w);
        (u.add(product), u.sub(product))
    }

    /// u + v and (u − v)·w.
    #[inline(always)]
    pub(super) fn gather<const L: usize>(self, u: V, v: V, w: Factor<V>) -> (V, V)
    where
        V: Lanes<L>,
    {
        (u.add(v), self.times(u.sub(v), w))
    }

    /// Two layers of the forward transform.
    #[inline(always)]
    pub(super) fn spread_four<const L: usize>(
        self,
        [a, b, c, d]: [V; 4],
        w: [Factor<V>; 3],
    ) -> [V; 4]
    where
        V: Lanes<L>,
    {
        let (a, c) = self.spread(a, c, w[0]);
        let (b, d) = self.spread(b, d, w[0]);
        let (a, b) = self.spread(a, b, w[1]);
        let (c, d) = self.spread(c, d, w[2]);
        [a, b, c, d]
    }

    /// Two layers of the inverse transform; the first result is not reduced.
    #[inline(always)]
    pub(super) fn gather_four<const L: usize>(
        self,
        [a, b, c, d]: [V; 4],
        w: [Factor<V>; 3],
    ) -> [V; 4]
    where
        V: Lanes<L>,
    {
        let (a, b) = self.gather(a, b, w[1]);
        let (c, d) = self.gather(c, d, w[2]);
        let (b, d) = self.gather(b, d, w[0]);
        [a.add(c), b, self.times_far(a.sub(c), w[0]), d]
    }
}

/// The tables of one transform.
pub(super) struct Tables<const L: usize> {
    modulus: Modulus,
    /// Of the layers across vectors: ψ^r(k) at index k, centred, and divided by q.
    forward: Box<[[f64; 2]]>,
    inverse: Box<[[f64; 2]]>,
    forward_inner: Box<[[f64; L]]>,
    inverse_inner: Box<[[f64; L]]>,
    /// 1/N, and the last factor of the inverse transform divided by N.
    scale: [f64; 2],
    scaled: [f64; 2],
    /// Which pass of the forward transform reduces.
    plan: Box<[bool]>,
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

impl<const L: usize> Tables<L> {
    /// From ψ^r(k), at least 16 of them, modulo a prime below 2^50.
    pub(super) fn new<V: Lanes<L>>(modulus: Modulus, powers: &[u64]) -> Self {
        let degree = powers.len();
        let inverse: Vec<u64> = inverse_powers(modulus, powers);
        let outer = |powers: &[u64]| -> Box<[[f64; 2]]> {
            powers[..degree / L].iter().map(|power| centred(modulus, *power)).collect()
        };
        // N divides q − 1, so 1/N is −(q − 1)/N.
        let scale = modulus.neg((modulus.value() - 1) / degree as u64);
        let scaled = modulus.mul(inverse[1], scale);
        Self {
            modulus,
            forward: outer(powers),
            inverse: outer(&inverse),
            forward_inner: V::inner_factors(modulus, powers).into(),
            inverse_inner: V::inner_factors(modulus, &inverse).into(),
            scale: centred(modulus, scale),
            scaled: centred(modulus, scaled),
            plan: plan(modulus, (degree / L).ilog2(), L.ilog2()),
        }
    }
}

/// ψ^−r(k) at index k, which is − ψ^r(3m − 1 − k) for k from m to 2m − 1.
fn inverse_powers(modulus: Modulus, powers: &[u64]) -> Vec<u64> {
    let entry = |k: usize| {
        let m = 1 << k.checked_ilog2()?;
        Some(modulus.neg(powers[3 * m - 1 - k]))
    };
    (0..powers.len()).map(|k| entry(k).unwrap_or(1)).collect()
}

/// Quarters of a group of vectors.
#[inline(always)]
fn quarters<R>(group: &mut [R]) -> impl Iterator<Item = [&mut R; 4]> {
    let (low, high) = group.split_at_mut(group.len() / 2);
    let (a, b) = low.split_at_mut(low.len() / 2);
    let (c, d) = high.split_at_mut(high.len() / 2);
    let halves = a.iter_mut().zip(b).zip(c.iter_mut().zip(d));
    halves.map(|((a, b), (c, d))| [a, b, c, d])
}

/// The factors of two layers below node k.
#[inline(always)]
fn factors<V: Lanes<L>, const L: usize>(outer: &[f64; 2], inner: &[[f64; 2]; 2]) -> [Factor<V>; 3] {
    [splat(*outer), splat(inner[0]), splat(inner[1])]
}

#[inline(always)]
fn load<V: Lanes<L>, const L: usize>(rows: &[&mut [u64; L]; 4]) -> [V; 4] {
    [V::load(rows[0]), V::load(rows[1]), V::load(rows[2]), V::load(rows[3])]
}

#[inline(always)]
fn store<V: Lanes<L>, const L: usize>([a, b, c, d]: [&mut [u64; L]; 4], x: [V; 4]) {
    x[0].store(a);
    x[1].store(b);
    x[2].store(c);
    x[3].store(d);
}

/// Vectors of a block.
#[inline(always)]
const fn most<const L: usize>() -> usize {
    BLOCK / L
}

/// The transform of as many words as the tables are for.
#[inline(always)]
pub(super) fn forward<V: Lanes<L>, const L: usize>(tables: &Tables<L>, words: &mut [u64]) {
    let q = Prime::<V>::new(tables.modulus);
    let (rows, _) = words.as_chunks_mut::<L>();
    let count = rows.len();
    let mut size = forward_first(tables, q, rows);
    let mut plan = tables.plan.iter().skip(1);
    while size > most::<L>() {
        forward_pass(q, &tables.forward, rows, (count / size, size), plan.next());
        size /= 4;
    }
    // What is left of the passes is done block by block.
    let length = if size == 1 { count } else { size };
    let inner = tables.forward_inner.chunks_exact(tables.forward_inner.len() / (count / length));
    for ((i, block), inner) in rows.chunks_exact_mut(length).enumerate().zip(inner) {
        let (mut node, mut size) = ((count + i * length) / size, size);
        let mut plan = plan.clone();
        while size > 1 {
            forward_pass(q, &tables.forward, block, (node, size), plan.next());
            (node, size) = (4 * node, size / 4);
        }
        V::forward_within(q, block, inner);
    }
}

/// The first pass, from words to doubles; how many vectors are left in each group.
#[inline(always)]
fn forward_first<V: Lanes<L>, const L: usize>(
    tables: &Tables<L>,
    q: Prime<V>,
    rows: &mut [[u64; L]],
) -> usize {
    let count = rows.len();
    if count.ilog2() % 2 == 1 {
        let w = splat(tables.forward[1]);
        let (low, high) = rows.split_at_mut(count / 2);
        for (x, y) in low.iter_mut().zip(high) {
            let (u, v) = q.spread(V::load(x).to_doubles(), V::load(y).to_doubles(), w);
            u.store(x);
            v.store(y);
        }
        return count / 2;
    }
    let w = factors(&tables.forward[1], &[tables.forward[2], tables.forward[3]]);
    for rows in quarters(rows) {
        let [a, b, c, d] = load::<V, L>(&rows);
        let x = [a.to_doubles(), b.to_doubles(), c.to_doubles(), d.to_doubles()];
        store(rows, q.spread_four(x, w));
    }
    count / 4
}

/// Two layers over groups of `size` vectors, the first of which belongs to `node`.
#[inline(always)]
fn forward_pass<V: Lanes<L>, const L: usize>(
    q: Prime<V>,
    table: &[[f64; 2]],
    rows: &mut [[u64; L]],
    (node, size): (usize, usize),
    reduces: Option<&bool>,
) {
    if reduces == Some(&true) {
        forward_groups::<V, L, true>(q, table, rows, node, size);
    } else {
        forward_groups::<V, L, false>(q, table, rows, node, size);
    }
}

#[inline(always)]
fn forward_groups<V: Lanes<L>, const L: usize, const REDUCES: bool>(
    q: Prime<V>,
    table: &[[f64; 2]],
    rows: &mut [[u64; L]],
    node: usize,
    size: usize,
) {
    let count = rows.len() / size;
    let outer = &table[node..node + count];
    let (inner, _) = table[2 * node..2 * (node + count)].as_chunks::<2>();
    if size == 4 {
        let (fours, _) = rows.as_chunks_mut::<4>();
        for ((rows, outer), inner) in fours.iter_mut().zip(outer).zip(inner) {
            let w = factors(outer, inner);
            forward_four::<V, L, REDUCES>(q, rows.each_mut(), w);
        }
        return;
    }
    for ((group, outer), inner) in rows.chunks_exact_mut(size).zip(outer).zip(inner) {
        let w = factors(outer, inner);
        for rows in quarters(group) {
            forward_four::<V, L, REDUCES>(q, rows, w);
        }
    }
}

#[inline(always)]
fn forward_four<V: Lanes<L>, const L: usize, const REDUCES: bool>(
    q: Prime<V>,
    rows: [&mut [u64; L]; 4],
    w: [Factor<V>; 3],
) {
    let [mut a, mut b, c, d] = load::<V, L>(&rows);
    if REDUCES {
        (a, b) = (q.reduce(a), q.reduce(b));
    }
    store(rows, q.spread_four([a, b, c, d], w));
}

/// The inverse transform of as many words as the tables are for.
#[inline(always)]
pub(super) fn inverse<V: Lanes<L>, const L: usize>(tables: &Tables<L>, words: &mut [u64]) {
    let q = Prime::<V>::new(tables.modulus);
    let (rows, _) = words.as_chunks_mut::<L>();
    let count = rows.len();
    // The last pass is of one layer where the number of layers is odd, and left out here.
    let last = if count.ilog2() % 2 == 1 { count / 2 } else { count / 4 };
    let mut block = last;
    while block > most::<L>() {
        block /= 4;
    }
    let length = if block == 1 { count } else { block };
    let inner = tables.inverse_inner.chunks_exact(tables.inverse_inner.len() / (count / length));
    for ((i, rows), inner) in rows.chunks_exact_mut(length).enumerate().zip(inner) {
        V::inverse_within(q, rows, inner);
        let mut size = 4;
        while size <= block {
            inverse_groups(q, &tables.inverse, rows, (count + i * block) / size, size);
            size *= 4;
        }
    }
    let mut size = 4 * block;
    while size <= last {
        inverse_groups(q, &tables.inverse, rows, count / size, size);
        size *= 4;
    }
    inverse_last(tables, q, rows);
}

#[inline(always)]
fn inverse_groups<V: Lanes<L>, const L: usize>(
    q: Prime<V>,
    table: &[[f64; 2]],
    rows: &mut [[u64; L]],
    node: usize,
    size: usize,
) {
    let count = rows.len() / size;
    let outer = &table[node..node + count];
    let (inner, _) = table[2 * node..2 * (node + count)].as_chunks::<2>();
    if size == 4 {
        let (fours, _) = rows.as_chunks_mut::<4>();
        for ((rows, outer), inner) in fours.iter_mut().zip(outer).zip(inner) {
            let w = factors(outer, inner);
            inverse_four::<V, L>(q, rows.each_mut(), w);
        }
        return;
    }
    for ((group, outer), inner) in rows.chunks_exact_mut(size).zip(outer).zip(inner) {
        let w = factors(outer, inner);
        for rows in quarters(group) {
            inverse_four::<V, L>(q, rows, w);
        }
    }
}

#[inline(always)]
fn inverse_four<V: Lanes<L>, const L: usize>(
    q: Prime<V>,
    rows: [&mut [u64; L]; 4],
    w: [Factor<V>; 3],
) {
    let [a, b, c, d] = q.gather_four(load::<V, L>(&rows), w);
    store(rows, [q.reduce(a), b, c, d]);
}

/// The last pass, with the division by N, to canonical words.
#[inline(always)]
fn inverse_last<V: Lanes<L>, const L: usize>(
    tables: &Tables<L>,
    q: Prime<V>,
    rows: &mut [[u64; L]],
) {
    let (scale, scaled) = (splat(tables.scale), splat(tables.scaled));
    if rows.len().ilog2() % 2 == 1 {
        let (low, high) = rows.split_at_mut(rows.len() / 2);
        for (x, y) in low.iter_mut().zip(high) {
            let (u, v) = (V::load(x), V::load(y));
            q.words(q.times(u.add(v), scale)).store(x);
            q.words(q.times(u.sub(v), scaled)).store(y);
        }
        return;
    }
    let (left, right) = (splat(tables.inverse[2]), splat(tables.inverse[3]));
    for rows in quarters(rows) {
        let [a, b, c, d] = load::<V, L>(&rows);
        let (a, b) = q.gather(a, b, left);
        let (c, d) = q.gather(c, d, right);
        // Sums of two are reduced, for the products to end below q.
        let (a, c) = (q.reduce(a), q.reduce(c));
        let [e, f] = [q.times(a.add(c), scale), q.times(b.add(d), scale)];
        let [g, h] = [q.times(a.sub(c), scaled), q.times(b.sub(d), scaled)];
        store(rows, [q.words(e), q.words(f), q.words(g), q.words(h)]);
    }
}

/// a ← a·b.
#[inline(always)]
pub(super) fn mul_assign<V: Lanes<L>, const L: usize>(modulus: Modulus, a: &mut [u64], b: &[u64]) {
    let q = Prime::<V>::new(modulus);
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
    let q = Prime::<V>::new(modulus);
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
    let (q, factor) = (Prime::<V>::new(modulus), splat(centred(modulus, by)));
    let (rows, rest) = a.as_chunks_mut::<L>();
    for a in rows {
        q.words(q.times(V::load(a).to_doubles(), factor)).store(a);
    }
    portable::scale(modulus, rest, by);
}

/// out ← words modulo q: upper half·2^32 + lower half.
#[inline(always)]
pub(super) fn reduce_from<V: Lanes<L>, const L: usize>(
    modulus: Modulus,
    out: &mut [u64],
    words: &[u64],
) {
    let shift = splat(centred(modulus, modulus.reduce(1 << 32)));
    let q = Prime::<V>::new(modulus);
    let ((outs, rest), (rows, word_rest)) = (out.as_chunks_mut::<L>(), words.as_chunks::<L>());
    for (out, words) in outs.iter_mut().zip(rows) {
        let (low, high) = V::load(words).halves();
        q.words(q.reduce(q.times(high, shift).add(low))).store(out);
    }
    portable::reduce_from(modulus, rest, word_rest);
}
