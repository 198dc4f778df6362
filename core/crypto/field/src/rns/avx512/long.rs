//! Primes of 51 to 60 bits, by products of 64 bits that are put together from those of 32.

use std::arch::x86_64::{
    _mm512_mul_epu32, _mm512_mullo_epi64, _mm512_or_si512, _mm512_slli_epi64, _mm512_srli_epi64,
    _mm512_srlv_epi64,
};

use super::{Lanes, Modulus, Ring, Vector, Words, factors, inner_factors, inverse_within};
use super::{modulus, portable};

/// Bits of the largest primes that are taken here.
pub(super) const MAX_BITS: u32 = 60;

macro_rules! words {
    ($call:expr) => {
        // SAFETY: vectors are made only where the machine has AVX-512F, and these functions are called
        // where it has AVX-512DQ too.
        Words(unsafe { $call })
    };
}

impl Words {
    /// The product modulo 2^64.
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        words!(_mm512_mullo_epi64(self.0, other.0))
    }
    /// The product of the lower halves.
    #[inline(always)]
    fn times_halves(self, other: Self) -> Self {
        words!(_mm512_mul_epu32(self.0, other.0))
    }
    #[inline(always)]
    fn upper(self) -> Self {
        words!(_mm512_srli_epi64::<32>(self.0))
    }
    #[inline(always)]
    fn raised(self) -> Self {
        words!(_mm512_slli_epi64::<32>(self.0))
    }
    #[inline(always)]
    pub(super) fn shift_right(self, bits: Self) -> Self {
        words!(_mm512_srlv_epi64(self.0, bits.0))
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        words!(_mm512_or_si512(self.0, other.0))
    }
    /// ⌊self·other / 2^64⌋, or up to 2 less: three floors instead of one.
    #[inline(always)]
    fn quotient(self, other: Self) -> Self {
        let (a, b) = (self.upper(), other.upper());
        let middle = self.times_halves(b).upper().add(a.times_halves(other).upper());
        a.times_halves(b).add(middle)
    }
}

/// A prime below 2^60 in every lane, so that 16 times the prime is a word.
///
/// With t = y·w − c·q, c being ⌊y·⌊w·2^64/q⌋ / 2^64⌋ (V. Shoup) or up to 2 less, t is in `[0, 4q)` for
/// any word y.
///
/// **Forward.** Values are below 16q. Where they are added to, they are reduced to 8q; each of two
/// layers adds t, or 4q − t, and so less than 4q. **Inverse.** Values are below 4q: so are sums once
/// reduced, and products of any word.
#[derive(Clone, Copy)]
pub(super) struct Long {
    value: Words,
    twice: Words,
    four: Words,
    eight: Words,
}

impl Ring<8> for Long {
    type Vector = Vector;
    /// The constant and ⌊constant·2^64/q⌋.
    type Factor = (Words, Words);

    #[inline(always)]
    fn new(modulus: Modulus, _: u32) -> Self {
        let [value, twice, four, eight] = [1, 2, 4, 8].map(|by| Words::splat(by * modulus.value()));
        Self { value, twice, four, eight }
    }
    fn constant(modulus: Modulus, word: u64) -> [u64; 2] {
        let factor = modulus::Factor::new(modulus, word);
        [factor.value, factor.quotient]
    }
    fn plan(_: Modulus, layers: u32) -> Box<[bool]> {
        vec![true; layers.div_ceil(2) as usize].into()
    }
    #[inline(always)]
    fn splat([value, quotient]: [u64; 2]) -> (Words, Words) {
        (Words::splat(value), Words::splat(quotient))
    }
    #[inline(always)]
    fn factor(value: Vector, quotient: Vector) -> (Words, Words) {
        (Words::of(value), Words::of(quotient))
    }
    #[inline(always)]
    fn load(row: &[u64; 8]) -> Vector {
        <Vector as Lanes<8>>::load(row)
    }
    #[inline(always)]
    fn store(x: Vector, row: &mut [u64; 8]) {
        x.store(row);
    }
    #[inline(always)]
    fn begin(self, words: Vector) -> Vector {
        words
    }
    #[inline(always)]
    fn begin_inverse(self, words: Vector) -> Vector {
        words
    }
    #[inline(always)]
    fn end(self, x: Vector) -> Vector {
        self.end_product(Words::of(x).once(self.eight).once(self.four).bits())
    }
    #[inline(always)]
    fn end_product(self, x: Vector) -> Vector {
        Words::of(x).once(self.twice).once(self.value).bits()
    }
    #[inline(always)]
    fn lighten(self, x: Vector) -> Vector {
        Words::of(x).once(self.eight).bits()
    }
    #[inline(always)]
    fn fold(self, x: Vector) -> Vector {
        x
    }
    #[inline(always)]
    fn spread(self, u: Vector, v: Vector, w: (Words, Words)) -> (Vector, Vector) {
        let (u, product) = (Words::of(u), Words::of(<Self as Ring<8>>::times(self, v, w)));
        (u.add(product).bits(), u.add(self.four).sub(product).bits())
    }
    #[inline(always)]
    fn add(self, u: Vector, v: Vector) -> Vector {
        Words::of(u).add(Words::of(v)).once(self.four).bits()
    }
    #[inline(always)]
    fn sub(self, u: Vector, v: Vector) -> Vector {
        Words::of(u).add(self.four).sub(Words::of(v)).bits()
    }
    #[inline(always)]
    fn times(self, y: Vector, (value, quotient): (Words, Words)) -> Vector {
        let y = Words::of(y);
        y.times(value).sub(y.quotient(quotient).times(self.value)).bits()
    }
    #[inline(always)]
    fn times_far(self, y: Vector, w: (Words, Words)) -> Vector {
        <Self as Ring<8>>::times(self, y, w)
    }

    fn inner_factors(modulus: Modulus, powers: &[u64]) -> Vec<[u64; 8]> {
        inner_factors(powers, |word| Self::constant(modulus, word))
    }
    /// As for the other rings, but every sum is of what is reduced.
    #[inline(always)]
    fn forward_within(self, rows: &mut [[u64; 8]], table: &[[u64; 8]]) {
        let (units, _) = rows.as_chunks_mut::<2>();
        let (table, _) = table.as_chunks::<6>();
        for ([x, y], table) in units.iter_mut().zip(table) {
            let [halves, pairs, neighbours] = factors::<Self>(table);
            let [u, v] = <Vector as Lanes<8>>::load(x).swap_halves(<Vector as Lanes<8>>::load(y));
            let (u, v) = self.spread(self.lighten(u), v, halves);
            let [u, v] = u.swap_pairs(v);
            let (u, v) = self.spread(self.lighten(u), v, pairs);
            let [u, v] = u.swap_neighbours(v);
            let (u, v) = self.spread(self.lighten(u), v, neighbours);
            let [u, v] = self.end(u).interleave(self.end(v));
            u.store(x);
            v.store(y);
        }
    }
    #[inline(always)]
    fn inverse_within(self, rows: &mut [[u64; 8]], factors: &[[u64; 8]]) {
        inverse_within(self, rows, factors);
    }
}

impl Long {
    /// The sum of canonical words.
    #[inline(always)]
    pub(super) fn sum(self, a: Words, b: Words) -> Words {
        a.add(b).once(self.value)
    }
}

/// What products of canonical words are reduced by.
#[derive(Clone, Copy)]
struct Barrett {
    q: Long,
    /// ⌊2^(2·bits + 1) / q⌋, below 2^(bits + 2).
    ratio: Words,
    /// bits − 1.
    down: Words,
    /// 65 − bits.
    up: Words,
    /// 62 − bits.
    align: Words,
}

impl Barrett {
    #[inline(always)]
    fn new(modulus: Modulus) -> Self {
        let bits = modulus.bits();
        let ratio = (1_u128 << (2 * bits + 1)) / u128::from(modulus.value());
        let [down, up, align] = [bits - 1, 65 - bits, 62 - bits].map(|by| Words::splat(by.into()));
        Self { q: Long::new(modulus, 0), ratio: Words::splat(modulus::low(ratio)), down, up, align }
    }

    /// sum + a·b modulo q, of canonical words.
    ///
    /// h = ⌊a·b / 2^(bits − 1)⌋ is below 2^(bits + 1), and a quotient from it is too small by at most 2
    /// (as in plain Rust) and by 2 for its floors: so a·b − c·q is below 5q, and with the sum below 6q.
    #[inline(always)]
    fn mul_add(self, sum: Words, a: Words, b: Words) -> Words {
        let (a_upper, b_upper) = (a.upper(), b.upper());
        let lowest = a.times_halves(b);
        // Upper halves are below 2^28, so nothing is carried out of this.
        let crossed = a.times_halves(b_upper).add(a_upper.times_halves(b)).add(lowest.upper());
        let high = a_upper.times_halves(b_upper).add(crossed.upper());
        let low = crossed.raised().or(lowest.sub(lowest.upper().raised()));
        let h = high.shift_left(self.up).or(low.shift_right(self.down));
        let c = h.shift_left(self.align).quotient(self.ratio);
        let rest = sum.add(low).sub(c.times(self.q.value));
        rest.once(self.q.four).once(self.q.twice).once(self.q.value)
    }
}

#[inline(always)]
pub(super) fn mul_assign(modulus: Modulus, a: &mut [u64], b: &[u64]) {
    let (q, zero) = (Barrett::new(modulus), Words::splat(0));
    let ((rows, rest), (others, other_rest)) = (a.as_chunks_mut::<8>(), b.as_chunks::<8>());
    for (a, b) in rows.iter_mut().zip(others) {
        q.mul_add(zero, Words::load(a), Words::load(b)).store(a);
    }
    portable::mul_assign(modulus, rest, other_rest);
}

#[inline(always)]
pub(super) fn mul_add(modulus: Modulus, sum: &mut [u64], a: &[u64], b: &[u64]) {
    let q = Barrett::new(modulus);
    let (sums, rest) = sum.as_chunks_mut::<8>();
    let ((rows, a_rest), (others, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (sum, (a, b)) in sums.iter_mut().zip(rows.iter().zip(others)) {
        q.mul_add(Words::load(sum), Words::load(a), Words::load(b)).store(sum);
    }
    portable::mul_add(modulus, rest, a_rest, b_rest);
}

#[inline(always)]
pub(super) fn scale(modulus: Modulus, a: &mut [u64], by: u64) {
    let (q, factor) = (Long::new(modulus, 0), Long::splat(Long::constant(modulus, by)));
    let (rows, rest) = a.as_chunks_mut::<8>();
    for row in rows {
        let product = <Long as Ring<8>>::times(q, Words::load(row).bits(), factor);
        Words::of(q.end_product(product)).store(row);
    }
    portable::scale(modulus, rest, by);
}

#[inline(always)]
pub(super) fn reduce_from(modulus: Modulus, out: &mut [u64], words: &[u64], plus: u64, bits: u32) {
    let offset = Words::splat(plus);
    let (q, one) = (Long::new(modulus, 0), Long::constant(modulus, 1));
    let ratio = Words::splat(one[1]);
    let ((rows, rest), (others, other_rest)) = (out.as_chunks_mut::<8>(), words.as_chunks::<8>());
    for (to, from) in rows.iter_mut().zip(others) {
        let word = Words::load(from).add(offset);
        let rest = word.sub(word.quotient(ratio).times(q.value));
        Words::of(q.end_product(rest.bits())).store(to);
    }
    portable::reduce_from(modulus, rest, other_rest, plus, bits);
}
