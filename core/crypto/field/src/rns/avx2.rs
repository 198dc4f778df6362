//! [`float`] on vectors of four doubles.

#![expect(unsafe_code, reason = "code for AVX2 and FMA is called where the machine has them")]
#![expect(clippy::inline_always, reason = "compiled for the kernel that uses it")]

use std::arch::x86_64::{
    __m256d, _mm256_add_pd, _mm256_and_si256, _mm256_blendv_pd, _mm256_castpd_si256,
    _mm256_castsi256_pd, _mm256_fmadd_pd, _mm256_fmsub_pd, _mm256_fnmadd_pd, _mm256_loadu_pd,
    _mm256_mul_pd, _mm256_or_pd, _mm256_permute2f128_pd, _mm256_set1_epi64x, _mm256_set1_pd,
    _mm256_srli_epi64, _mm256_storeu_pd, _mm256_sub_pd, _mm256_unpackhi_pd, _mm256_unpacklo_pd,
    _mm256_xor_pd,
};

use super::float::{self, Factor, Lanes, Prime, SPLIT};
use super::passes::{self, Ring};
use super::{Modulus, portable};
use crate::Kernel;

/// Made only by the functions below, on machines that have the instructions.
#[derive(Clone, Copy)]
struct Vector(__m256d);

macro_rules! run {
    ($call:expr) => {
        // SAFETY: this type is made only where the machine has AVX2 and FMA.
        Self(unsafe { $call })
    };
}

impl Vector {
    /// The lower halves of both, and the upper halves.
    #[inline(always)]
    fn swap_halves(self, other: Self) -> [Self; 2] {
        let low = run!(_mm256_permute2f128_pd::<0x20>(self.0, other.0));
        [low, run!(_mm256_permute2f128_pd::<0x31>(self.0, other.0))]
    }

    /// Even lanes of both by turns, and odd lanes.
    #[inline(always)]
    fn swap_neighbours(self, other: Self) -> [Self; 2] {
        let even = run!(_mm256_unpacklo_pd(self.0, other.0));
        [even, run!(_mm256_unpackhi_pd(self.0, other.0))]
    }

    /// Four vectors as the columns of a matrix, of which they were the rows.
    #[inline(always)]
    fn transpose([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        let [even, odd] = a.swap_neighbours(b);
        let [even_below, odd_below] = c.swap_neighbours(d);
        let [a, c] = even.swap_halves(even_below);
        let [b, d] = odd.swap_halves(odd_below);
        [a, b, c, d]
    }

    #[inline(always)]
    fn factor(value: &[u64; 4], quotient: &[u64; 4]) -> Factor<Self> {
        Factor { value: Self::load(value), quotient: Self::load(quotient) }
    }

    #[inline(always)]
    fn factors([a, b, c, d, e, f]: &[[u64; 4]; 6]) -> [Factor<Self>; 3] {
        [Self::factor(a, b), Self::factor(c, d), Self::factor(e, f)]
    }

    #[inline(always)]
    fn load_four([a, b, c, d]: &[[u64; 4]; 4]) -> [Self; 4] {
        [Self::load(a), Self::load(b), Self::load(c), Self::load(d)]
    }

    #[inline(always)]
    fn store_four(x: [Self; 4], [a, b, c, d]: &mut [[u64; 4]; 4]) {
        x[0].store(a);
        x[1].store(b);
        x[2].store(c);
        x[3].store(d);
    }
}

impl Lanes<4> for Vector {
    #[inline(always)]
    fn load(row: &[u64; 4]) -> Self {
        // A reference to 32 bytes is read; no alignment is asked for.
        run!(_mm256_loadu_pd(row.as_ptr().cast()))
    }
    #[inline(always)]
    fn store(self, row: &mut [u64; 4]) {
        // SAFETY: the machine has AVX2; 32 bytes are written through a reference to them.
        unsafe { _mm256_storeu_pd(row.as_mut_ptr().cast(), self.0) }
    }
    #[inline(always)]
    fn splat(value: f64) -> Self {
        run!(_mm256_set1_pd(value))
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        run!(_mm256_add_pd(self.0, other.0))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        run!(_mm256_sub_pd(self.0, other.0))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        run!(_mm256_mul_pd(self.0, other.0))
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        run!(_mm256_fmadd_pd(self.0, factor.0, term.0))
    }
    #[inline(always)]
    fn mul_sub(self, factor: Self, term: Self) -> Self {
        run!(_mm256_fmsub_pd(self.0, factor.0, term.0))
    }
    #[inline(always)]
    fn sub_mul(self, a: Self, b: Self) -> Self {
        run!(_mm256_fnmadd_pd(a.0, b.0, self.0))
    }
    #[inline(always)]
    fn to_doubles(self) -> Self {
        let split = Self::splat(SPLIT);
        run!(_mm256_or_pd(self.0, split.0)).sub(split)
    }
    #[inline(always)]
    fn to_words(self) -> Self {
        let split = Self::splat(SPLIT);
        run!(_mm256_xor_pd(self.add(split).0, split.0))
    }
    #[inline(always)]
    fn halves(self) -> (Self, Self) {
        // SAFETY: the machine has AVX2.
        let (low, high) = unsafe {
            let words = _mm256_castpd_si256(self.0);
            let low = _mm256_and_si256(words, _mm256_set1_epi64x(0xffff_ffff));
            (_mm256_castsi256_pd(low), _mm256_castsi256_pd(_mm256_srli_epi64::<32>(words)))
        };
        (Self(low).to_doubles(), Self(high).to_doubles())
    }
    #[inline(always)]
    fn add_where_negative(self, other: Self) -> Self {
        let sum = self.add(other);
        run!(_mm256_blendv_pd(self.0, sum.0, self.0))
    }

    /// Two layers for each four rows, one of which is in each lane.
    fn inner_factors(powers: &[u64], constant: impl Fn(u64) -> [u64; 2]) -> Vec<[u64; 4]> {
        let quarter = powers.len() / 4;
        let of = |nodes: [usize; 4]| {
            let factors = nodes.map(|node| constant(powers[node]));
            [factors.map(|[value, _]| value), factors.map(|[_, quotient]| quotient)]
        };
        let unit = |first: usize| {
            let rows = [first, first + 1, first + 2, first + 3];
            let below = rows.map(|node| 2 * node);
            [of(rows), of(below), of(below.map(|node| node + 1))]
        };
        let units = (quarter..2 * quarter).step_by(4);
        units.flat_map(unit).flatten().collect()
    }

    #[inline(always)]
    fn forward_within(q: Prime<Self, 4>, rows: &mut [[u64; 4]], factors: &[[u64; 4]]) {
        let (units, _) = rows.as_chunks_mut::<4>();
        let (factors, _) = factors.as_chunks::<6>();
        for (rows, factors) in units.iter_mut().zip(factors) {
            let columns = Self::transpose(Self::load_four(rows));
            let [a, b, c, d] = q.spread_four(columns, Self::factors(factors));
            let columns = [q.end(a), q.end(b), q.end(c), q.end(d)];
            Self::store_four(Self::transpose(columns), rows);
        }
    }

    #[inline(always)]
    fn inverse_within(q: Prime<Self, 4>, rows: &mut [[u64; 4]], factors: &[[u64; 4]]) {
        let (units, _) = rows.as_chunks_mut::<4>();
        let (factors, _) = factors.as_chunks::<6>();
        for (rows, factors) in units.iter_mut().zip(factors) {
            let [a, b, c, d] = Self::load_four(rows);
            let words = [a.to_doubles(), b.to_doubles(), c.to_doubles(), d.to_doubles()];
            let columns = Self::transpose(words);
            let [a, b, c, d] = q.gather_four(columns, Self::factors(factors));
            Self::store_four(Self::transpose([q.fold(a), b, c, d]), rows);
        }
    }
}

/// The tables of a transform; made only where the machine has the instructions.
pub(super) struct Tables(passes::Tables<4>);

impl Tables {
    /// From ψ^r(k) modulo a prime below 2^50, where the machine has AVX2 and FMA.
    pub(super) fn new(modulus: Modulus, powers: &[u64]) -> Option<Self> {
        let tables = || Self(passes::Tables::new::<Prime<Vector, 4>>(modulus, powers));
        Kernel::Avx2.is_available().then(tables)
    }

    pub(super) fn forward(&self, words: &mut [u64]) {
        // SAFETY: the tables were made, so this machine has AVX2 and FMA.
        unsafe { vectors::forward(&self.0, words) }
    }

    pub(super) fn inverse(&self, words: &mut [u64]) {
        // SAFETY: the tables were made, so this machine has AVX2 and FMA.
        unsafe { vectors::inverse(&self.0, words) }
    }
}

/// Compiled for AVX2 and FMA.
mod vectors {
    use super::{Modulus, Prime, Vector, float, passes, portable};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn forward(tables: &passes::Tables<4>, words: &mut [u64]) {
        passes::forward::<Prime<Vector, 4>, 4>(tables, words);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn inverse(tables: &passes::Tables<4>, words: &mut [u64]) {
        passes::inverse::<Prime<Vector, 4>, 4>(tables, words);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn add_assign(q: Modulus, a: &mut [u64], b: &[u64]) {
        portable::add_assign(q, a, b);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn shift_assign(q: Modulus, a: &mut [u64], by: u64) {
        portable::shift_assign(q, a, by);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn sub_assign(q: Modulus, a: &mut [u64], b: &[u64]) {
        portable::sub_assign(q, a, b);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn neg_assign(q: Modulus, a: &mut [u64]) {
        portable::neg_assign(q, a);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn mul_assign(q: Modulus, a: &mut [u64], b: &[u64]) {
        float::mul_assign::<Vector, 4>(q, a, b);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn mul_add(q: Modulus, sum: &mut [u64], a: &[u64], b: &[u64]) {
        float::mul_add::<Vector, 4>(q, sum, a, b);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn scale(q: Modulus, a: &mut [u64], by: u64) {
        float::scale::<Vector, 4>(q, a, by);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn reduce_from(q: Modulus, out: &mut [u64], words: &[u64], plus: u64, bits: u32) {
        float::reduce_from::<Vector, 4>(q, out, words, (plus, bits));
    }
}

macro_rules! detected {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {$(
        /// Where AVX2 or FMA is missing, by the portable kernel.
        pub(super) fn $name($($arg: $type),*) {
            if !Kernel::Avx2.is_available() {
                return portable::$name($($arg),*);
            }
            // SAFETY: this machine has AVX2 and FMA.
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
    reduce_from(q: Modulus, out: &mut [u64], words: &[u64], plus: u64, bits: u32);
}
