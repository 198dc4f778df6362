//! Lanes in vectors of 512 bits, with AVX-512 IFMA. Machines without it are left to plain Rust.

#![expect(unsafe_code, reason = "AVX-512 instructions are called where the machine has them")]
#![expect(clippy::inline_always, reason = "compiled for the kernel that uses it")]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_loadu_si512, _mm512_madd52hi_epu64,
    _mm512_madd52lo_epu64, _mm512_or_si512, _mm512_permutexvar_epi64, _mm512_set1_epi64,
    _mm512_slli_epi64, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64, _mm512_xor_si512,
};

use super::group::{self, Affine, Digits, Encodings, Group, Uniform};
use super::lanes::{Lanes, Row};
use super::limbs;
#[cfg(test)]
use super::limbs::Rows;
use crate::Kernel;

/// Made only by the functions below, on machines that have the instructions.
#[derive(Clone, Copy)]
struct Vector(__m512i);

macro_rules! run {
    ($call:expr) => {
        // SAFETY: this type is made only where the machine has AVX-512F and AVX-512 IFMA.
        Self(unsafe { $call })
    };
}

impl Lanes for Vector {
    #[inline(always)]
    fn load(row: &Row) -> Self {
        // A reference to 64 bytes is read; no alignment is asked for.
        run!(_mm512_loadu_si512(row.as_ptr().cast()))
    }
    #[inline(always)]
    fn store(self, row: &mut Row) {
        // SAFETY: the machine has AVX-512F; 64 bytes are written through a reference to them.
        unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), self.0) }
    }
    #[inline(always)]
    fn splat(word: u64) -> Self {
        run!(_mm512_set1_epi64(word.cast_signed()))
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
    fn and(self, other: Self) -> Self {
        run!(_mm512_and_si512(self.0, other.0))
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        run!(_mm512_or_si512(self.0, other.0))
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        run!(_mm512_xor_si512(self.0, other.0))
    }
    #[inline(always)]
    fn mask(self) -> Self {
        Self::splat(0).sub(self)
    }
    #[inline(always)]
    fn shl<const BITS: u32>(self) -> Self {
        run!(_mm512_slli_epi64::<BITS>(self.0))
    }
    #[inline(always)]
    fn shr<const BITS: u32>(self) -> Self {
        run!(_mm512_srli_epi64::<BITS>(self.0))
    }
    #[inline(always)]
    fn mul_low(self, a: Self, b: Self) -> Self {
        run!(_mm512_madd52lo_epu64(self.0, a.0, b.0))
    }
    #[inline(always)]
    fn mul_high(self, a: Self, b: Self) -> Self {
        run!(_mm512_madd52hi_epu64(self.0, a.0, b.0))
    }
    #[inline(always)]
    fn pick(self, row: &Row) -> Self {
        let row = Self::load(row);
        run!(_mm512_permutexvar_epi64(self.0, row.0))
    }
    #[inline(always)]
    fn product(a: [Self; 5], b: [Self; 5]) -> [Self; 5] {
        limbs::product(a, b)
    }
    #[inline(always)]
    fn square(a: [Self; 5]) -> [Self; 5] {
        limbs::square(a)
    }
}

macro_rules! vectors {
    ($($(#[$test:meta])? $name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        mod vectors {
            #[cfg(test)]
            use super::limbs::Rows;
            use super::{Affine, Digits, Encodings, Group, Row, Uniform, Vector, group};

            $($(#[$test])?
            #[target_feature(enable = "avx512f,avx512ifma")]
            pub(super) fn $name($($arg: $type),*) -> $out {
                group::$name::<Vector>($($arg),*)
            })*
        }

        $($(#[$test])?
        /// None on machines without the instructions.
        pub(super) fn $name($($arg: $type),*) -> Option<$out> {
            if !Kernel::Ifma.is_available() {
                return None;
            }
            // SAFETY: this machine has AVX-512F and AVX-512 IFMA.
            Some(unsafe { vectors::$name($($arg),*) })
        })*
    };
}

each_kernel!(vectors);
