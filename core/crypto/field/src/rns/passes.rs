//! The passes of a transform over vectors, generic over what a kernel computes with.
//!
//! A pass is of two layers, so that words are loaded and stored half as often; where the number of
//! layers across vectors is odd, one pass is of one layer, the first (forward) or last (inverse). It
//! turns words into what the kernel computes with, or back. Once groups are as small as the nearest
//! cache, one after another is brought to its end.

#![expect(clippy::inline_always, reason = "compiled for the kernel that uses it")]

use super::Modulus;

/// Words that are transformed to the end before the next are begun: they stay in the nearest cache.
const BLOCK: usize = 2048;

/// Residues modulo a prime in vectors of L lanes, in whatever form is fast.
pub(super) trait Ring<const L: usize>: Copy {
    type Vector: Copy;
    /// A constant to multiply with, in every lane.
    type Factor: Copy;

    /// For transforms of so many layers.
    fn new(modulus: Modulus, layers: u32) -> Self;
    /// A canonical word as a constant, in tables.
    fn constant(modulus: Modulus, word: u64) -> [u64; 2];
    /// Which passes of the forward transform lighten, for the first pass of one layer if the number of
    /// layers across vectors is odd, and passes of two layers then.
    fn plan(modulus: Modulus, layers: u32) -> Box<[bool]>;
    fn splat(constant: [u64; 2]) -> Self::Factor;
    /// From both parts of constants, lane by lane.
    fn factor(value: Self::Vector, quotient: Self::Vector) -> Self::Factor;
    fn load(row: &[u64; L]) -> Self::Vector;
    fn store(x: Self::Vector, row: &mut [u64; L]);
    /// From canonical words, for the forward transform.
    fn begin(self, words: Self::Vector) -> Self::Vector;
    /// From canonical words, for the inverse transform.
    fn begin_inverse(self, words: Self::Vector) -> Self::Vector;
    /// To canonical words, from the last layer of the forward transform.
    fn end(self, x: Self::Vector) -> Self::Vector;
    /// To canonical words, from a product.
    fn end_product(self, x: Self::Vector) -> Self::Vector;
    /// Reduced, before sums of the forward transform.
    fn lighten(self, x: Self::Vector) -> Self::Vector;
    /// Reduced, after sums of the inverse transform.
    fn fold(self, x: Self::Vector) -> Self::Vector;
    /// u + v·w and u − v·w.
    fn spread(
        self,
        u: Self::Vector,
        v: Self::Vector,
        w: Self::Factor,
    ) -> (Self::Vector, Self::Vector);
    /// u + v, in the inverse transform.
    fn add(self, u: Self::Vector, v: Self::Vector) -> Self::Vector;
    /// u − v, in the inverse transform, to be multiplied.
    fn sub(self, u: Self::Vector, v: Self::Vector) -> Self::Vector;
    fn times(self, y: Self::Vector, w: Self::Factor) -> Self::Vector;
    /// y·w for y from sums of sums.
    fn times_far(self, y: Self::Vector, w: Self::Factor) -> Self::Vector;

    /// What the layers within vectors multiply with, from ψ^r(k) at index k, or from what takes its
    /// place in the inverse transform.
    fn inner_factors(modulus: Modulus, powers: &[u64]) -> Vec<[u64; L]>;
    /// The last layers, and what comes out as canonical words.
    fn forward_within(self, rows: &mut [[u64; L]], factors: &[[u64; L]]);
    /// The first layers of the inverse transform, from canonical words.
    fn inverse_within(self, rows: &mut [[u64; L]], factors: &[[u64; L]]);

    /// u + v and (u − v)·w.
    #[inline(always)]
    fn gather(
        self,
        u: Self::Vector,
        v: Self::Vector,
        w: Self::Factor,
    ) -> (Self::Vector, Self::Vector) {
        (self.add(u, v), self.times(self.sub(u, v), w))
    }

    /// Two layers of the forward transform.
    #[inline(always)]
    fn spread_four(
        self,
        [a, b, c, d]: [Self::Vector; 4],
        w: [Self::Factor; 3],
    ) -> [Self::Vector; 4] {
        let (a, c) = self.spread(a, c, w[0]);
        let (b, d) = self.spread(b, d, w[0]);
        let (a, b) = self.spread(a, b, w[1]);
        let (c, d) = self.spread(c, d, w[2]);
        [a, b, c, d]
    }

    /// Two layers of the inverse transform; the first result is not reduced.
    #[inline(always)]
    fn gather_four(
        self,
        [a, b, c, d]: [Self::Vector; 4],
        w: [Self::Factor; 3],
    ) -> [Self::Vector; 4] {
        let (a, b) = self.gather(a, b, w[1]);
        let (c, d) = self.gather(c, d, w[2]);
        let (b, d) = self.gather(b, d, w[0]);
        [self.add(a, c), b, self.times_far(self.sub(a, c), w[0]), d]
    }
}

/// The tables of one transform.
pub(super) struct Tables<const L: usize> {
    modulus: Modulus,
    /// Of the layers across vectors: ψ^r(k) at index k, as constants.
    forward: Box<[[u64; 2]]>,
    inverse: Box<[[u64; 2]]>,
    forward_inner: Box<[[u64; L]]>,
    inverse_inner: Box<[[u64; L]]>,
    /// 1/N, and the last factor of the inverse transform divided by N.
    scale: [u64; 2],
    scaled: [u64; 2],
    /// Which pass of the forward transform reduces.
    plan: Box<[bool]>,
}

impl<const L: usize> Tables<L> {
    /// From ψ^r(k), at least 16 of them, modulo a prime that the ring is for.
    pub(super) fn new<R: Ring<L>>(modulus: Modulus, powers: &[u64]) -> Self {
        let degree = powers.len();
        let inverse: Vec<u64> = inverse_powers(modulus, powers);
        let outer = |powers: &[u64]| -> Box<[[u64; 2]]> {
            powers[..degree / L].iter().map(|power| R::constant(modulus, *power)).collect()
        };
        // N divides q − 1, so 1/N is −(q − 1)/N.
        let scale = modulus.neg((modulus.value() - 1) / degree as u64);
        let scaled = modulus.mul(inverse[1], scale);
        Self {
            modulus,
            forward: outer(powers),
            inverse: outer(&inverse),
            forward_inner: R::inner_factors(modulus, powers).into(),
            inverse_inner: R::inner_factors(modulus, &inverse).into(),
            scale: R::constant(modulus, scale),
            scaled: R::constant(modulus, scaled),
            plan: R::plan(modulus, (degree / L).ilog2()),
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
fn factors<R: Ring<L>, const L: usize>(outer: &[u64; 2], inner: &[[u64; 2]; 2]) -> [R::Factor; 3] {
    [R::splat(*outer), R::splat(inner[0]), R::splat(inner[1])]
}

#[inline(always)]
fn load<R: Ring<L>, const L: usize>(rows: &[&mut [u64; L]; 4]) -> [R::Vector; 4] {
    [R::load(rows[0]), R::load(rows[1]), R::load(rows[2]), R::load(rows[3])]
}

#[inline(always)]
fn store<R: Ring<L>, const L: usize>([a, b, c, d]: [&mut [u64; L]; 4], x: [R::Vector; 4]) {
    R::store(x[0], a);
    R::store(x[1], b);
    R::store(x[2], c);
    R::store(x[3], d);
}

/// Vectors of a block.
#[inline(always)]
const fn most<const L: usize>() -> usize {
    BLOCK / L
}

/// The transform of as many words as the tables are for.
#[inline(always)]
pub(super) fn forward<R: Ring<L>, const L: usize>(tables: &Tables<L>, words: &mut [u64]) {
    let q = R::new(tables.modulus, words.len().ilog2());
    let (rows, _) = words.as_chunks_mut::<L>();
    let count = rows.len();
    let mut size = forward_first::<R, L>(tables, q, rows);
    let mut plan = tables.plan.iter().skip(1);
    while size > most::<L>() {
        forward_pass::<R, L>(q, &tables.forward, rows, (count / size, size), plan.next());
        size /= 4;
    }
    // What is left of the passes is done block by block.
    let length = if size == 1 { count } else { size };
    let inner = tables.forward_inner.chunks_exact(tables.forward_inner.len() / (count / length));
    for ((i, block), inner) in rows.chunks_exact_mut(length).enumerate().zip(inner) {
        let (mut node, mut size) = ((count + i * length) / size, size);
        let mut plan = plan.clone();
        while size > 1 {
            forward_pass::<R, L>(q, &tables.forward, block, (node, size), plan.next());
            (node, size) = (4 * node, size / 4);
        }
        q.forward_within(block, inner);
    }
}

/// The first pass, from words to doubles; how many vectors are left in each group.
#[inline(always)]
fn forward_first<R: Ring<L>, const L: usize>(
    tables: &Tables<L>,
    q: R,
    rows: &mut [[u64; L]],
) -> usize {
    let count = rows.len();
    if count.ilog2() % 2 == 1 {
        let w = R::splat(tables.forward[1]);
        let (low, high) = rows.split_at_mut(count / 2);
        for (x, y) in low.iter_mut().zip(high) {
            let (u, v) = q.spread(q.begin(R::load(x)), q.begin(R::load(y)), w);
            R::store(u, x);
            R::store(v, y);
        }
        return count / 2;
    }
    let w = factors::<R, L>(&tables.forward[1], &[tables.forward[2], tables.forward[3]]);
    for rows in quarters(rows) {
        let [a, b, c, d] = load::<R, L>(&rows);
        let x = [q.begin(a), q.begin(b), q.begin(c), q.begin(d)];
        store::<R, L>(rows, q.spread_four(x, w));
    }
    count / 4
}

/// Two layers over groups of `size` vectors, the first of which belongs to `node`.
#[inline(always)]
fn forward_pass<R: Ring<L>, const L: usize>(
    q: R,
    table: &[[u64; 2]],
    rows: &mut [[u64; L]],
    (node, size): (usize, usize),
    reduces: Option<&bool>,
) {
    if reduces == Some(&true) {
        forward_groups::<R, L, true>(q, table, rows, node, size);
    } else {
        forward_groups::<R, L, false>(q, table, rows, node, size);
    }
}

#[inline(always)]
fn forward_groups<R: Ring<L>, const L: usize, const REDUCES: bool>(
    q: R,
    table: &[[u64; 2]],
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
            let w = factors::<R, L>(outer, inner);
            forward_four::<R, L, REDUCES>(q, rows.each_mut(), w);
        }
        return;
    }
    for ((group, outer), inner) in rows.chunks_exact_mut(size).zip(outer).zip(inner) {
        let w = factors::<R, L>(outer, inner);
        for rows in quarters(group) {
            forward_four::<R, L, REDUCES>(q, rows, w);
        }
    }
}

#[inline(always)]
fn forward_four<R: Ring<L>, const L: usize, const REDUCES: bool>(
    q: R,
    rows: [&mut [u64; L]; 4],
    w: [R::Factor; 3],
) {
    let [mut a, mut b, c, d] = load::<R, L>(&rows);
    if REDUCES {
        (a, b) = (q.lighten(a), q.lighten(b));
    }
    store::<R, L>(rows, q.spread_four([a, b, c, d], w));
}

/// The inverse transform of as many words as the tables are for.
#[inline(always)]
pub(super) fn inverse<R: Ring<L>, const L: usize>(tables: &Tables<L>, words: &mut [u64]) {
    let q = R::new(tables.modulus, words.len().ilog2());
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
        q.inverse_within(rows, inner);
        let mut size = 4;
        while size <= block {
            inverse_groups::<R, L>(q, &tables.inverse, rows, (count + i * block) / size, size);
            size *= 4;
        }
    }
    let mut size = 4 * block;
    while size <= last {
        inverse_groups::<R, L>(q, &tables.inverse, rows, count / size, size);
        size *= 4;
    }
    inverse_last::<R, L>(tables, q, rows);
}

#[inline(always)]
fn inverse_groups<R: Ring<L>, const L: usize>(
    q: R,
    table: &[[u64; 2]],
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
            let w = factors::<R, L>(outer, inner);
            inverse_four::<R, L>(q, rows.each_mut(), w);
        }
        return;
    }
    for ((group, outer), inner) in rows.chunks_exact_mut(size).zip(outer).zip(inner) {
        let w = factors::<R, L>(outer, inner);
        for rows in quarters(group) {
            inverse_four::<R, L>(q, rows, w);
        }
    }
}

#[inline(always)]
fn inverse_four<R: Ring<L>, const L: usize>(q: R, rows: [&mut [u64; L]; 4], w: [R::Factor; 3]) {
    let [a, b, c, d] = q.gather_four(load::<R, L>(&rows), w);
    store::<R, L>(rows, [q.fold(a), b, c, d]);
}

/// The last pass, with the division by N, to canonical words.
#[inline(always)]
fn inverse_last<R: Ring<L>, const L: usize>(tables: &Tables<L>, q: R, rows: &mut [[u64; L]]) {
    let (scale, scaled) = (R::splat(tables.scale), R::splat(tables.scaled));
    if rows.len().ilog2() % 2 == 1 {
        let (low, high) = rows.split_at_mut(rows.len() / 2);
        for (x, y) in low.iter_mut().zip(high) {
            let (u, v) = (R::load(x), R::load(y));
            R::store(q.end_product(q.times(q.add(u, v), scale)), x);
            R::store(q.end_product(q.times(q.sub(u, v), scaled)), y);
        }
        return;
    }
    let (left, right) = (R::splat(tables.inverse[2]), R::splat(tables.inverse[3]));
    for rows in quarters(rows) {
        let [a, b, c, d] = load::<R, L>(&rows);
        let (a, b) = q.gather(a, b, left);
        let (c, d) = q.gather(c, d, right);
        // Sums of two are reduced, for the products to end below q.
        let (a, c) = (q.fold(a), q.fold(c));
        let [e, f] = [q.times(q.add(a, c), scale), q.times(q.add(b, d), scale)];
        let [g, h] = [q.times(q.sub(a, c), scaled), q.times(q.sub(b, d), scaled)];
        let words = [q.end_product(e), q.end_product(f), q.end_product(g), q.end_product(h)];
        store::<R, L>(rows, words);
    }
}
