//! [`float`] on vectors of eight doubles, and products of words with AVX-512 IFMA.

#![expect(unsafe_code, reason = "code for AVX-512 is called where the machine has it")]
#![expect(clippy::inline_always, reason = "compiled for the kernel that uses it")]

use std::arch::x86_64::{
    __m512d, __m512i, _CMP_LT_OQ, _mm512_add_epi64, _mm512_add_pd, _mm512_and_si512,
    _mm512_castpd_si512, _mm512_castsi512_pd, _mm512_cmp_pd_mask, _mm512_fmadd_pd, _mm512_fmsub_pd,
    _mm512_fnmadd_pd, _mm512_loadu_pd, _mm512_loadu_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_mask_add_pd, _mm512_min_epu64, _mm512_mul_pd, _mm512_or_si512,
    _mm512_permutex2var_pd, _mm512_set1_epi64, _mm512_set1_pd, _mm512_setr_epi64,
    _mm512_setzero_pd, _mm512_setzero_si512, _mm512_shuffle_f64x2, _mm512_sllv_epi64,
    _mm512_srli_epi64, _mm512_storeu_pd, _mm512_storeu_si512, _mm512_sub_epi64, _mm512_sub_pd,
    _mm512_unpackhi_pd, _mm512_unpacklo_pd, _mm512_xor_si512,
};

mod long;
mod sums;

use super::float::{self, Lanes, Prime, SPLIT};
use super::modulus::{self, low};
use super::passes::{self, Ring};
use super::words::{Residues, Term, Weighted};
use super::{Modulus, portable};
use crate::Kernel;
use long::Long;

/// Bits of the largest primes with vectors of their own.
pub(super) const MAX_BITS: u32 = long::MAX_BITS;

/// Made only by the functions below, on machines that have the instructions.
#[derive(Clone, Copy)]
struct Vector(__m512d);

macro_rules! run {
    ($call:expr) => {
        // SAFETY: this type is made only where the machine has AVX-512F and AVX-512 IFMA.
        Self(unsafe { $call })
    };
}

impl Vector {
    /// Lanes of both by their numbers: from 8 on they are of the second.
    #[inline(always)]
    fn pick(self, other: Self, lanes: [i64; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = lanes;
        run!(_mm512_permutex2var_pd(self.0, _mm512_setr_epi64(a, b, c, d, e, f, g, h), other.0))
    }

    /// The lower halves of both, and the upper halves.
    #[inline(always)]
    fn swap_halves(self, other: Self) -> [Self; 2] {
        let low = run!(_mm512_shuffle_f64x2::<0x44>(self.0, other.0));
        [low, run!(_mm512_shuffle_f64x2::<0xee>(self.0, other.0))]
    }

    /// Even pairs of lanes of both by turns, and odd pairs.
    #[inline(always)]
    fn swap_pairs(self, other: Self) -> [Self; 2] {
        let even = self.pick(other, [0, 1, 8, 9, 4, 5, 12, 13]);
        [even, self.pick(other, [2, 3, 10, 11, 6, 7, 14, 15])]
    }

    /// Even lanes of both by turns, and odd lanes.
    #[inline(always)]
    fn swap_neighbours(self, other: Self) -> [Self; 2] {
        let even = run!(_mm512_unpacklo_pd(self.0, other.0));
        [even, run!(_mm512_unpackhi_pd(self.0, other.0))]
    }

    /// Sixteen lanes in order, of which these are the even and the odd ones.
    #[inline(always)]
    fn interleave(self, odd: Self) -> [Self; 2] {
        let low = self.pick(odd, [0, 8, 1, 9, 2, 10, 3, 11]);
        [low, self.pick(odd, [4, 12, 5, 13, 6, 14, 7, 15])]
    }

    /// Even and odd ones of sixteen lanes.
    #[inline(always)]
    fn separate(self, other: Self) -> [Self; 2] {
        let even = self.pick(other, [0, 2, 4, 6, 8, 10, 12, 14]);
        [even, self.pick(other, [1, 3, 5, 7, 9, 11, 13, 15])]
    }
}

impl Lanes<8> for Vector {
    #[inline(always)]
    fn load(row: &[u64; 8]) -> Self {
        // A reference to 64 bytes is read; no alignment is asked for.
        run!(_mm512_loadu_pd(row.as_ptr().cast()))
    }
    #[inline(always)]
    fn store(self, row: &mut [u64; 8]) {
        // SAFETY: the machine has AVX-512F; 64 bytes are written through a reference to them.
        unsafe { _mm512_storeu_pd(row.as_mut_ptr().cast(), self.0) }
    }
    #[inline(always)]
    fn splat(value: f64) -> Self {
        run!(_mm512_set1_pd(value))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        run!(_mm512_add_pd(self.0, other.0))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        run!(_mm512_sub_pd(self.0, other.0))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        run!(_mm512_mul_pd(self.0, other.0))
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        run!(_mm512_fmadd_pd(self.0, factor.0, term.0))
    }
    #[inline(always)]
    fn mul_sub(self, factor: Self, term: Self) -> Self {
        run!(_mm512_fmsub_pd(self.0, factor.0, term.0))
    }
    #[inline(always)]
    fn sub_mul(self, a: Self, b: Self) -> Self {
        run!(_mm512_fnmadd_pd(a.0, b.0, self.0))
    }
    #[inline(always)]
    fn to_doubles(self) -> Self {
        let split = Self::splat(SPLIT);
        // SAFETY: the machine has AVX-512F.
        let joined = unsafe {
            let words = _mm512_castpd_si512(self.0);
            _mm512_castsi512_pd(_mm512_or_si512(words, _mm512_castpd_si512(split.0)))
        };
        Self(joined).sub(split)
    }
    #[inline(always)]
    fn to_words(self) -> Self {
        let split = Self::splat(SPLIT);
        let sum = self.add(split);
        // SAFETY: the machine has AVX-512F.
        Self(unsafe {
            let (sum, split) = (_mm512_castpd_si512(sum.0), _mm512_castpd_si512(split.0));
            _mm512_castsi512_pd(_mm512_xor_si512(sum, split))
        })
    }
    #[inline(always)]
    fn halves(self) -> (Self, Self) {
        // SAFETY: the machine has AVX-512F.
        let (low, high) = unsafe {
            let words = _mm512_castpd_si512(self.0);
            let low = _mm512_and_si512(words, _mm512_set1_epi64(0xffff_ffff));
            (_mm512_castsi512_pd(low), _mm512_castsi512_pd(_mm512_srli_epi64::<32>(words)))
        };
        (Self(low).to_doubles(), Self(high).to_doubles())
    }
    #[inline(always)]
    fn add_where_negative(self, other: Self) -> Self {
        run!({
            let negative = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(self.0, _mm512_setzero_pd());
            _mm512_mask_add_pd(self.0, negative, self.0, other.0)
        })
    }

    fn inner_factors(powers: &[u64], constant: impl Fn(u64) -> [u64; 2]) -> Vec<[u64; 8]> {
        inner_factors(powers, constant)
    }
    #[inline(always)]
    fn forward_within(q: Prime<Self, 8>, rows: &mut [[u64; 8]], factors: &[[u64; 8]]) {
        forward_within(q, rows, factors);
    }
    #[inline(always)]
    fn inverse_within(q: Prime<Self, 8>, rows: &mut [[u64; 8]], factors: &[[u64; 8]]) {
        inverse_within(q, rows, factors);
    }
}

/// Three layers for each two rows, whose lanes the layers below take apart.
fn inner_factors(powers: &[u64], constant: impl Fn(u64) -> [u64; 2]) -> Vec<[u64; 8]> {
    let of = |first: usize, lanes: [usize; 8]| {
        let factors = lanes.map(|lane| constant(powers[first + lane]));
        [factors.map(|[value, _]| value), factors.map(|[_, quotient]| quotient)]
    };
    let unit = |first: usize| {
        let halves = of(first, [0, 0, 0, 0, 1, 1, 1, 1]);
        let pairs = of(2 * first, [0, 0, 1, 1, 2, 2, 3, 3]);
        [halves, pairs, of(4 * first, [0, 1, 2, 3, 4, 5, 6, 7])]
    };
    let units = (powers.len() / 8..powers.len() / 4).step_by(2);
    units.flat_map(unit).flatten().collect()
}

#[inline(always)]
fn factors<R: Ring<8>>([a, b, c, d, e, f]: &[[u64; 8]; 6]) -> [R::Factor; 3] {
    let [halves, pairs] = [R::factor(R::load(a), R::load(b)), R::factor(R::load(c), R::load(d))];
    [halves, pairs, R::factor(R::load(e), R::load(f))]
}

#[inline(always)]
fn forward_within<R: Ring<8, Vector = Vector>>(q: R, rows: &mut [[u64; 8]], table: &[[u64; 8]]) {
    let (units, _) = rows.as_chunks_mut::<2>();
    let (table, _) = table.as_chunks::<6>();
    for ([x, y], table) in units.iter_mut().zip(table) {
        let [halves, pairs, neighbours] = factors::<R>(table);
        let [u, v] = Vector::load(x).swap_halves(Vector::load(y));
        let (u, v) = q.spread(u, v, halves);
        let [u, v] = u.swap_pairs(v);
        let (u, v) = q.spread(u, v, pairs);
        let [u, v] = u.swap_neighbours(v);
        let (u, v) = q.spread(u, v, neighbours);
        let [u, v] = q.end(u).interleave(q.end(v));
        u.store(x);
        v.store(y);
    }
}

#[inline(always)]
fn inverse_within<R: Ring<8, Vector = Vector>>(q: R, rows: &mut [[u64; 8]], table: &[[u64; 8]]) {
    let (units, _) = rows.as_chunks_mut::<2>();
    let (table, _) = table.as_chunks::<6>();
    for ([x, y], table) in units.iter_mut().zip(table) {
        let [halves, pairs, neighbours] = factors::<R>(table);
        let [u, v] = Vector::load(x).separate(Vector::load(y));
        let (u, v) = q.gather(q.begin_inverse(u), q.begin_inverse(v), neighbours);
        let [u, v] = u.swap_neighbours(v);
        let (u, v) = q.gather(u, v, pairs);
        let [u, v] = u.swap_pairs(v);
        let (u, v) = q.gather(u, v, halves);
        let [u, v] = q.fold(u).swap_halves(v);
        u.store(x);
        v.store(y);
    }
}

/// Words, for products of 52 bits; made only by the functions below, on machines that have the
/// instructions.
#[derive(Clone, Copy)]
struct Words(__m512i);

impl Words {
    #[inline(always)]
    fn load(row: &[u64; 8]) -> Self {
        // A reference to 64 bytes is read; no alignment is asked for.
        run!(_mm512_loadu_si512(row.as_ptr().cast()))
    }
    #[inline(always)]
    fn store(self, row: &mut [u64; 8]) {
        // SAFETY: the machine has AVX-512F; 64 bytes are written through a reference to them.
        unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), self.0) }
    }
    #[inline(always)]
    fn splat(word: u64) -> Self {
        run!(_mm512_set1_epi64(word.cast_signed()))
    }
    #[inline(always)]
    fn of(bits: Vector) -> Self {
        run!(_mm512_castpd_si512(bits.0))
    }
    #[inline(always)]
    fn bits(self) -> Vector {
        // SAFETY: the machine has AVX-512F.
        Vector(unsafe { _mm512_castsi512_pd(self.0) })
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        run!(_mm512_add_epi64(self.0, other.0))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        run!(_mm512_sub_epi64(self.0, other.0))
    }
    #[inline(always)]
    fn shift_left(self, bits: Self) -> Self {
        run!(_mm512_sllv_epi64(self.0, bits.0))
    }
    /// self + the low 52 bits of a·b, of the low 52 bits of each.
    #[inline(always)]
    fn mul_low(self, a: Self, b: Self) -> Self {
        run!(_mm512_madd52lo_epu64(self.0, a.0, b.0))
    }
    /// The next 52 bits of self·other.
    #[inline(always)]
    fn mul_high(self, other: Self) -> Self {
        run!(_mm512_madd52hi_epu64(_mm512_setzero_si512(), self.0, other.0))
    }
    /// self + the next 52 bits of a·b.
    #[inline(always)]
    fn add_high(self, a: Self, b: Self) -> Self {
        run!(_mm512_madd52hi_epu64(self.0, a.0, b.0))
    }
    /// What is above 52 bits.
    #[inline(always)]
    fn carry(self) -> Self {
        run!(_mm512_srli_epi64::<52>(self.0))
    }
    #[inline(always)]
    fn low_bits(self) -> Self {
        run!(_mm512_and_si512(self.0, _mm512_set1_epi64((1 << 52) - 1)))
    }
    /// Modulo `bound`, of words below twice that: below it the difference wraps.
    #[inline(always)]
    fn once(self, bound: Self) -> Self {
        run!(_mm512_min_epu64(self.0, _mm512_sub_epi64(self.0, bound.0)))
    }
}

/// A prime below 2^50 in every lane.
#[derive(Clone, Copy)]
struct Barrett {
    value: Words,
    twice: Words,
    /// 2^52 − q: products with it are those with −q modulo 2^52.
    negative: Words,
    /// ⌊2^(51 + bits) / q⌋, or one less if that is 2^52.
    ratio: Words,
    /// 52 − bits.
    shift: Words,
}

impl Barrett {
    #[inline(always)]
    fn new(modulus: Modulus) -> Self {
        let (q, bits) = (modulus.value(), modulus.bits());
        let ratio = ((1_u128 << (51 + bits)) / u128::from(q)).min((1 << 52) - 1);
        Self {
            value: Words::splat(q),
            twice: Words::splat(2 * q),
            negative: Words::splat((1 << 52) - q),
            ratio: Words::splat(low(ratio)),
            shift: Words::splat(u64::from(52 - bits)),
        }
    }

    /// sum + a·b modulo q, of canonical words.
    ///
    /// h = ⌊a·b / 2^(bits − 1)⌋ loses less than 2^(bits − 1)/q ≤ 1 of the quotient, the ratio
    /// h/2^52 ≤ 1/2, and the floor less than 1: so a·b − c·q is below 5/2·q, and with the sum
    /// below 4q < 2^52.
    #[inline(always)]
    fn mul_add(self, sum: Words, a: Words, b: Words) -> Words {
        let h = a.shift_left(self.shift).mul_high(b.add(b));
        let c = h.mul_high(self.ratio);
        let rest = sum.mul_low(a, b).mul_low(c, self.negative).low_bits();
        rest.once(self.twice).once(self.value)
    }
}

#[inline(always)]
fn mul_assign_words(modulus: Modulus, a: &mut [u64], b: &[u64]) {
    let (q, zero) = (Barrett::new(modulus), Words::splat(0));
    let ((rows, rest), (others, other_rest)) = (a.as_chunks_mut::<8>(), b.as_chunks::<8>());
    for (a, b) in rows.iter_mut().zip(others) {
        q.mul_add(zero, Words::load(a), Words::load(b)).store(a);
    }
    portable::mul_assign(modulus, rest, other_rest);
}

#[inline(always)]
fn mul_add_words(modulus: Modulus, sum: &mut [u64], a: &[u64], b: &[u64]) {
    let q = Barrett::new(modulus);
    let (sums, rest) = sum.as_chunks_mut::<8>();
    let ((rows, a_rest), (others, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (sum, (a, b)) in sums.iter_mut().zip(rows.iter().zip(others)) {
        q.mul_add(Words::load(sum), Words::load(a), Words::load(b)).store(sum);
    }
    portable::mul_add(modulus, rest, a_rest, b_rest);
}

/// By the quotient of the factor (V. Shoup), of 52 bits here.
#[inline(always)]
fn scale_words(modulus: Modulus, a: &mut [u64], by: u64) {
    let factor = modulus::Factor::new(modulus, by);
    let (value, quotient) = (Words::splat(factor.value), Words::splat(factor.quotient >> 12));
    let (q, zero) = (Barrett::new(modulus), Words::splat(0));
    let (rows, rest) = a.as_chunks_mut::<8>();
    for row in rows {
        let word = Words::load(row);
        let product = zero.mul_low(word, value).mul_low(word.mul_high(quotient), q.negative);
        product.low_bits().once(q.value).store(row);
    }
    portable::scale(modulus, rest, by);
}

/// Bits of words that stay below 2^52 with a residue modulo a prime below 2^50.
const WORD_BITS: u32 = 51;

#[inline(always)]
fn reduce_words(modulus: Modulus, out: &mut [u64], words: &[u64], plus: u64, bits: u32) {
    let (q, offset) = (Short::new(modulus, 0), Words::splat(plus));
    let ((rows, rest), (others, other_rest)) = (out.as_chunks_mut::<8>(), words.as_chunks::<8>());
    for (to, from) in rows.iter_mut().zip(others) {
        let word = Words::load(from).add(offset);
        q.reduce(word).low_bits().once(q.value).store(to);
    }
    portable::reduce_from(modulus, rest, other_rest, plus, bits);
}

/// A prime short enough for its multiples to be carried along in 52 bits, in every lane: transforms
/// by IFMA.
///
/// With t = y·w − ⌊y·⌊w·2^52/q⌋/2^52⌋·q (V. Shoup), t is in `[0, 2q)` for any y below 2^52.
/// Only the low 52 bits of lanes count, for products take no others; values are within
/// `[0, 2^52)`, so nothing is lost.
///
/// **Forward**, n layers: words are raised by 2n·q. A layer adds t or takes it off, so after j
/// layers values are from 2(n − j)·q on and below (2(n + j) + 1)·q: within (4n + 1)·q < 2^52, as
/// [`Short::fits`] demands.
///
/// **Inverse.** A pass of two layers takes values below 4q: sums of two are below 8q, of four below
/// 16q and reduced to 2q; products are below 2q and their sums below 4q. Three layers, within a
/// vector, begin with words, so that sums of eight are below 8q. Differences are raised by 8q, which
/// no term exceeds, and stay below 16q.
#[derive(Clone, Copy)]
struct Short {
    value: Words,
    /// 2^52 − q: products with it are those with −q modulo 2^52.
    negative: Words,
    /// ⌊2^52/q⌋.
    ratio: Words,
    /// 2n·q, n being the number of layers.
    raised: Words,
    /// 8·q.
    eight: Words,
}

impl Short {
    fn fits(modulus: Modulus, degree: usize) -> bool {
        let most = u128::from(4 * degree.ilog2() + 1) * u128::from(modulus.value());
        most < 1 << 52 && modulus.bits() > 2
    }

    /// x − ⌊x·⌊2^52/q⌋/2^52⌋·q, in `[0, 2q)` for any x below 2^52.
    #[inline(always)]
    fn reduce(self, x: Words) -> Words {
        x.mul_low(x.mul_high(self.ratio), self.negative)
    }
}

impl Ring<8> for Short {
    type Vector = Vector;
    /// The constant and ⌊constant·2^52/q⌋.
    type Factor = (Words, Words);

    #[inline(always)]
    fn new(modulus: Modulus, layers: u32) -> Self {
        let q = modulus.value();
        Self {
            value: Words::splat(q),
            negative: Words::splat((1 << 52) - q),
            ratio: Words::splat((1 << 52) / q),
            raised: Words::splat(2 * u64::from(layers) * q),
            eight: Words::splat(8 * q),
        }
    }
    fn constant(modulus: Modulus, word: u64) -> [u64; 2] {
        let factor = modulus::Factor::new(modulus, word);
        [factor.value, factor.quotient >> 12]
    }
    fn plan(_: Modulus, layers: u32) -> Box<[bool]> {
        vec![false; layers.div_ceil(2) as usize].into()
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
        Words::of(words).add(self.raised).bits()
    }
    #[inline(always)]
    fn begin_inverse(self, words: Vector) -> Vector {
        words
    }
    #[inline(always)]
    fn end(self, x: Vector) -> Vector {
        self.reduce(Words::of(x)).low_bits().once(self.value).bits()
    }
    #[inline(always)]
    fn end_product(self, x: Vector) -> Vector {
        Words::of(x).low_bits().once(self.value).bits()
    }
    #[inline(always)]
    fn lighten(self, x: Vector) -> Vector {
        x
    }
    #[inline(always)]
    fn fold(self, x: Vector) -> Vector {
        self.reduce(Words::of(x)).bits()
    }
    #[inline(always)]
    fn spread(self, u: Vector, v: Vector, w: (Words, Words)) -> (Vector, Vector) {
        let (u, product) = (Words::of(u), Words::of(self.times(v, w)));
        (u.add(product).bits(), u.sub(product).bits())
    }
    #[inline(always)]
    fn add(self, u: Vector, v: Vector) -> Vector {
        Words::of(u).add(Words::of(v)).bits()
    }
    #[inline(always)]
    fn sub(self, u: Vector, v: Vector) -> Vector {
        Words::of(u).sub(Words::of(v)).add(self.eight).bits()
    }
    #[inline(always)]
    fn times(self, y: Vector, (value, quotient): (Words, Words)) -> Vector {
        let y = Words::of(y);
        let product = Words::splat(0).mul_low(y, value);
        product.mul_low(y.mul_high(quotient), self.negative).bits()
    }
    #[inline(always)]
    fn times_far(self, y: Vector, w: (Words, Words)) -> Vector {
        self.times(y, w)
    }

    fn inner_factors(modulus: Modulus, powers: &[u64]) -> Vec<[u64; 8]> {
        inner_factors(powers, |word| Self::constant(modulus, word))
    }
    #[inline(always)]
    fn forward_within(self, rows: &mut [[u64; 8]], factors: &[[u64; 8]]) {
        forward_within(self, rows, factors);
    }
    #[inline(always)]
    fn inverse_within(self, rows: &mut [[u64; 8]], factors: &[[u64; 8]]) {
        inverse_within(self, rows, factors);
    }
}

/// What a transform computes with.
#[derive(Clone, Copy)]
enum Form {
    Short,
    Double,
    Long,
}

impl Form {
    fn of(modulus: Modulus, degree: usize) -> Self {
        if modulus.bits() > float::MAX_BITS {
            Self::Long
        } else if Short::fits(modulus, degree) {
            Self::Short
        } else {
            Self::Double
        }
    }
}

/// The tables of a transform; made only where the machine has the instructions.
pub(super) struct Tables {
    tables: passes::Tables<8>,
    form: Form,
}

impl Tables {
    /// From ψ^r(k) modulo a prime of up to [`MAX_BITS`], where the machine has AVX-512F, DQ and IFMA.
    pub(super) fn new(modulus: Modulus, powers: &[u64]) -> Option<Self> {
        let form = Form::of(modulus, powers.len());
        let tables = || match form {
            Form::Short => passes::Tables::new::<Short>(modulus, powers),
            Form::Double => passes::Tables::new::<Prime<Vector, 8>>(modulus, powers),
            Form::Long => passes::Tables::new::<Long>(modulus, powers),
        };
        Kernel::Ifma.is_available().then(|| Self { tables: tables(), form })
    }

    pub(super) fn forward(&self, words: &mut [u64]) {
        // SAFETY: the tables were made, so this machine has AVX-512F, DQ and IFMA.
        unsafe {
            match self.form {
                Form::Short => vectors::forward_short(&self.tables, words),
                Form::Double => vectors::forward(&self.tables, words),
                Form::Long => vectors::forward_long(&self.tables, words),
            }
        }
    }

    pub(super) fn inverse(&self, words: &mut [u64]) {
        // SAFETY: the tables were made, so this machine has AVX-512F, DQ and IFMA.
        unsafe {
            match self.form {
                Form::Short => vectors::inverse_short(&self.tables, words),
                Form::Double => vectors::inverse(&self.tables, words),
                Form::Long => vectors::inverse_long(&self.tables, words),
            }
        }
    }
}

/// Compiled for AVX-512F, DQ and IFMA.
mod vectors {
    use super::{Long, Modulus, Prime, Short, Vector, float, long, passes, portable, sums};
    use super::{Residues, Term, Weighted};

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn forward(tables: &passes::Tables<8>, words: &mut [u64]) {
        passes::forward::<Prime<Vector, 8>, 8>(tables, words);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn inverse(tables: &passes::Tables<8>, words: &mut [u64]) {
        passes::inverse::<Prime<Vector, 8>, 8>(tables, words);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn forward_short(tables: &passes::Tables<8>, words: &mut [u64]) {
        passes::forward::<Short, 8>(tables, words);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn inverse_short(tables: &passes::Tables<8>, words: &mut [u64]) {
        passes::inverse::<Short, 8>(tables, words);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn forward_long(tables: &passes::Tables<8>, words: &mut [u64]) {
        passes::forward::<Long, 8>(tables, words);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn inverse_long(tables: &passes::Tables<8>, words: &mut [u64]) {
        passes::inverse::<Long, 8>(tables, words);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn add_assign(q: Modulus, a: &mut [u64], b: &[u64]) {
        portable::add_assign(q, a, b);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn shift_assign(q: Modulus, a: &mut [u64], by: u64) {
        portable::shift_assign(q, a, by);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn sub_assign(q: Modulus, a: &mut [u64], b: &[u64]) {
        portable::sub_assign(q, a, b);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn neg_assign(q: Modulus, a: &mut [u64]) {
        portable::neg_assign(q, a);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn mul_assign(q: Modulus, a: &mut [u64], b: &[u64]) {
        if q.bits() > float::MAX_BITS {
            return long::mul_assign(q, a, b);
        }
        super::mul_assign_words(q, a, b);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn mul_add(q: Modulus, sum: &mut [u64], a: &[u64], b: &[u64]) {
        if q.bits() > float::MAX_BITS {
            return long::mul_add(q, sum, a, b);
        }
        super::mul_add_words(q, sum, a, b);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn inner_product(q: Modulus, out: &mut [u64], terms: &[Term<'_>]) {
        sums::inner_product(q, out, terms);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn weighted_sum(q: Modulus, out: &mut [u64], terms: &[Weighted<'_>]) {
        sums::weighted_sum(q, out, terms);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn nearest_sum(out: &mut [u64], terms: &[Residues<'_>]) {
        sums::nearest_sum(out, terms);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn scale(q: Modulus, a: &mut [u64], by: u64) {
        if q.bits() > float::MAX_BITS {
            return long::scale(q, a, by);
        }
        super::scale_words(q, a, by);
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    pub(super) fn reduce_from(q: Modulus, out: &mut [u64], words: &[u64], plus: u64, bits: u32) {
        if q.bits() > float::MAX_BITS {
            return long::reduce_from(q, out, words, plus, bits);
        } else if bits <= super::WORD_BITS {
            return super::reduce_words(q, out, words, plus, bits);
        }
        float::reduce_from::<Vector, 8>(q, out, words, (plus, bits));
    }
}

macro_rules! detected {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {$(
        /// Where AVX-512 IFMA is missing, by the portable kernel.
        pub(super) fn $name($($arg: $type),*) {
            if !Kernel::Ifma.is_available() {
                return portable::$name($($arg),*);
            }
            // SAFETY: this machine has AVX-512F and AVX-512 IFMA.
            unsafe { vectors::$name($($arg),*) }
        }
    )*};
}

detected! {
    add_assign(q: Modulus, a: &mut [u64], b: &[u64]);
    shift_assign(q: Modulus, a: &mut [u64], by: u64);
    sub_assign(q: Modulus, a: &mut [u64], b: &[u64]);
    neg_assign(q: Modulus, a: &mut [u64]);
    mul_assign(q: Modulus, a: &mut [u64], b: &[u64]);
    mul_add(q: Modulus, sum: &mut [u64], a: &[u64], b: &[u64]);
    scale(q: Modulus, a: &mut [u64], by: u64);
    inner_product(q: Modulus, out: &mut [u64], terms: &[Term<'_>]);
    weighted_sum(q: Modulus, out: &mut [u64], terms: &[Weighted<'_>]);
    nearest_sum(out: &mut [u64], terms: &[Residues<'_>]);
    reduce_from(q: Modulus, out: &mut [u64], words: &[u64], plus: u64, bits: u32);
}
