//! Four words at once, in vectors of 256 bits.
//!
//! AVX2 compares 64-bit lanes as signed numbers only. So vectors come in two forms: [`Plain`], or
//! [`Flipped`] with the top bits inverted, whose signed order is the order of the words. Every
//! operation takes and gives canonical words, each in the form that costs least.

#![expect(unsafe_code, reason = "vectors are loaded and stored by pointer")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_blend_epi32, _mm256_cmpgt_epi64,
    _mm256_loadu_si256, _mm256_mul_epu32, _mm256_or_si256, _mm256_permute2x128_si256,
    _mm256_permute4x64_epi64, _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_setzero_si256,
    _mm256_shuffle_epi32, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_storeu_si256,
    _mm256_sub_epi64, _mm256_testz_si256, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

use crate::P;
use crate::goldilocks::EPSILON;

/// Words as they lie in memory.
#[derive(Clone, Copy)]
pub(crate) struct Plain(__m256i);

/// Words with the top bits inverted.
#[derive(Clone, Copy)]
pub(crate) struct Flipped(__m256i);

/// f·2^64 modulo p in each lane: what [`Plain::times`] multiplies by f with.
#[derive(Clone, Copy)]
pub(crate) struct Factor(__m256i);

/// All ones in lanes where some word looked at was not below p.
#[derive(Clone, Copy)]
pub(crate) struct Excess(__m256i);

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u64) -> __m256i {
    _mm256_set1_epi64x(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn flip(words: __m256i) -> __m256i {
    _mm256_xor_si256(words, splat(1 << 63))
}

#[inline]
#[target_feature(enable = "avx2")]
fn low(words: __m256i) -> __m256i {
    _mm256_and_si256(words, splat(EPSILON))
}

#[inline]
#[target_feature(enable = "avx2")]
fn high(words: __m256i) -> __m256i {
    _mm256_srli_epi64::<32>(words)
}

/// x − y modulo p, flipped, for x flipped and y plain: p is added where the subtraction borrows.
#[inline]
#[target_feature(enable = "avx2")]
fn subtract(x: __m256i, y: __m256i) -> Flipped {
    let difference = _mm256_sub_epi64(x, y);
    let borrow = _mm256_cmpgt_epi64(difference, x);
    Flipped(_mm256_add_epi64(difference, _mm256_and_si256(borrow, splat(P))))
}

/// x·y = top·2^64 + (upper halves of first and second)·2^64 + (lower half of second)·2^32
/// + (lower half of bottom).
struct Wide {
    bottom: __m256i,
    first: __m256i,
    second: __m256i,
    top: __m256i,
}

#[inline]
#[target_feature(enable = "avx2")]
fn wide(x: __m256i, y: __m256i) -> Wide {
    let (x1, y1) = (_mm256_shuffle_epi32::<0xf5>(x), _mm256_shuffle_epi32::<0xf5>(y));
    let bottom = _mm256_mul_epu32(x, y);
    let first = _mm256_add_epi64(_mm256_mul_epu32(x1, y), high(bottom));
    let second = _mm256_add_epi64(_mm256_mul_epu32(x, y1), low(first));
    Wide { bottom, first, second, top: _mm256_mul_epu32(x1, y1) }
}

impl Plain {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn load(words: &[u64; 4]) -> Self {
        // SAFETY: the 32 bytes behind the reference are readable; no alignment is asked for.
        Self(unsafe { _mm256_loadu_si256(words.as_ptr().cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn store(self, words: &mut [u64; 4]) {
        // SAFETY: the 32 bytes behind the reference are writable; no alignment is asked for.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), self.0) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn flip(self) -> Flipped {
        Flipped(flip(self.0))
    }

    /// The product with f, by Montgomery's reduction (1985) for R = 2^64, where 1/p = 1 + 2^32.
    ///
    /// With x·f·R = h·R + l and m = l·(1 + 2^32) modulo R, the product is h − ⌊m·p / R⌋, and
    /// ⌊m·p / R⌋ = m − ⌊m / 2^32⌋ − e, e being the carry out of m. x need not be canonical.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn times(self, factor: Factor) -> Flipped {
        let Wide { bottom, first, second, top } = wide(self.0, factor.0);
        // The halves of l are those of `bottom` and `second`: their sum is the upper half of m,
        // with e above it.
        let sum = _mm256_add_epi64(second, low(bottom));
        let m = _mm256_blend_epi32::<0b1010_1010>(bottom, _mm256_slli_epi64::<32>(sum));
        // h + e + ⌊m / 2^32⌋ is below 2^64, for h ≤ p − 2.
        let carries = _mm256_add_epi64(high(first), high(sum));
        let kept = _mm256_add_epi64(_mm256_add_epi64(top, low(sum)), carries);
        subtract(flip(kept), m)
    }

    /// The product, reduced as [`crate::goldilocks::word::mul`] does.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn mul(self, other: Self) -> Flipped {
        let Wide { bottom, first, second, top } = wide(self.0, other.0);
        let l = _mm256_blend_epi32::<0b1010_1010>(bottom, _mm256_slli_epi64::<32>(second));
        let h = _mm256_add_epi64(top, _mm256_add_epi64(high(first), high(second)));
        let negative = _mm256_sub_epi64(splat(P), _mm256_mul_epu32(h, splat(EPSILON)));
        subtract(subtract(flip(l), high(h)).0, negative)
    }

    /// From [a b c d] and [e f g h]: [a b e f] and [c d g h]. Undoes itself.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn swap_halves(self, other: Self) -> (Self, Self) {
        (
            Self(_mm256_permute2x128_si256::<0x20>(self.0, other.0)),
            Self(_mm256_permute2x128_si256::<0x31>(self.0, other.0)),
        )
    }

    /// From [a b c d] and [e f g h]: [a e c g] and [b f d h]. Undoes itself.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn swap_neighbours(self, other: Self) -> (Self, Self) {
        (Self(_mm256_unpacklo_epi64(self.0, other.0)), Self(_mm256_unpackhi_epi64(self.0, other.0)))
    }
}

impl Flipped {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn flip(self) -> Plain {
        Plain(flip(self.0))
    }

    /// x + y = x − (p − y).
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn add(self, other: Self) -> Self {
        subtract(self.0, _mm256_sub_epi64(flip(splat(P)), other.0))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn sub(self, other: Self) -> Plain {
        let borrow = _mm256_cmpgt_epi64(other.0, self.0);
        let difference = _mm256_sub_epi64(self.0, other.0);
        Plain(_mm256_add_epi64(difference, _mm256_and_si256(borrow, splat(P))))
    }
}

impl Excess {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn none() -> Self {
        Self(_mm256_setzero_si256())
    }

    /// After a look at these words too.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn joined_by(self, words: Plain) -> Self {
        let found = _mm256_cmpgt_epi64(flip(words.0), flip(splat(P - 1)));
        Self(_mm256_or_si256(self.0, found))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn is_none(self) -> bool {
        _mm256_testz_si256(self.0, self.0) == 1
    }
}

impl Factor {
    /// The same factor in every lane.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn splat(word: u64) -> Self {
        Self(splat(word))
    }

    /// [a a b b].
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn pairs(a: u64, b: u64) -> Self {
        let (a, b) = (a.cast_signed(), b.cast_signed());
        Self(_mm256_set_epi64x(b, b, a, a))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn load(words: &[u64; 4]) -> Self {
        Self(Plain::load(words).0)
    }

    /// The lanes from last to first.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(crate) fn reversed(self) -> Self {
        Self(_mm256_permute4x64_epi64::<0b00_01_10_11>(self.0))
    }
}
