//! Eight samples at once.
//!
//! The table is cut into eight buckets of eleven magnitudes. Seven comparisons find a sample's
//! bucket; ten more, with entries that a permutation inside a register picks by the bucket, its
//! place there: 17 comparisons where the plain search makes 83.
#![expect(unsafe_code, reason = "instructions that not every x86-64 has, on memory by pointer")]

use std::arch::x86_64::{
    __m256i, _mm_storel_epi64, _mm_unpacklo_epi8, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_cmpgt_epi32, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_mullo_epi32,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi32, _mm256_srai_epi32, _mm256_sub_epi32, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::Draw;
use super::table::TAILS;
use super::wide::add_scaled_portable;
use crate::Kernel;

/// Samples that one call of the kernel makes.
const LANES: usize = 8;
/// Magnitudes in a bucket.
const WIDTH: usize = 11;
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "it is small")]
const WIDTH_WORD: i32 = WIDTH as i32;

/// Added to both sides, this turns a comparison of signed words into one of unsigned words.
const BIAS: u32 = 1 << 31;

/// The table as the kernel reads it: doubled, so that a draw's sign need not be shifted out of it;
/// by words, the least significant first; with [`BIAS`].
#[repr(align(32))]
struct Table {
    /// Entry `b` is passed by the samples beyond bucket `b`.
    bounds: [[i32; 4]; LANES - 1],
    /// Entry `b` of row `i` is passed by the samples of bucket `b` beyond its place `i`.
    rows: [[[i32; LANES]; 4]; WIDTH - 1],
}

static TABLE: Table = table();

const fn table() -> Table {
    let mut table = Table { bounds: [[0; 4]; LANES - 1], rows: [[[0; LANES]; 4]; WIDTH - 1] };
    let mut x = 0;
    while x < LANES * WIDTH - 1 {
        let (bucket, place) = (x / WIDTH, x % WIDTH);
        let mut word = 0;
        while word < 4 {
            let value = word_of(x, word);
            if place == WIDTH - 1 {
                table.bounds[bucket][word] = value;
            } else {
                table.rows[place][word][bucket] = value;
            }
            word += 1;
        }
        x += 1;
    }
    table
}

#[expect(clippy::cast_possible_truncation, reason = "one word of four is meant")]
const fn word_of(x: usize, word: usize) -> i32 {
    let tail = if x < TAILS.len() { TAILS[x] << 1 } else { 0 };
    let value = (tail >> (32 * word)) as u32;
    assert!(value != u32::MAX, "a borrow would overflow the word");
    (value ^ BIAS).cast_signed()
}

/// Makes samples of as many draws as fill whole vectors, and says of how many.
pub(super) fn sample(kernel: Kernel, draws: &[Draw], out: &mut [i8]) -> usize {
    if kernel.min(Kernel::detect()) < Kernel::Avx2 {
        return 0;
    }
    let (draws, _) = draws.as_chunks();
    let (out, _) = out.as_chunks_mut();
    // SAFETY: a machine whose kernel is of this level has AVX2.
    unsafe { groups(draws, out) };
    draws.len().min(out.len()) * LANES
}

/// Adds multiples of as many samples as fill whole vectors, and says of how many.
pub(super) fn add_scaled(kernel: Kernel, factor: u32, narrow: &[i8], out: &mut [i64]) -> usize {
    if kernel.min(Kernel::detect()) < Kernel::Avx2 {
        return 0;
    }
    let done = narrow.len().min(out.len()) / LANES * LANES;
    // SAFETY: a machine whose kernel is of this level has AVX2.
    unsafe { add_scaled_wide(factor, &narrow[..done], &mut out[..done]) };
    done
}

/// The plain code, translated with wider instructions.
#[target_feature(enable = "avx2")]
fn add_scaled_wide(factor: u32, narrow: &[i8], out: &mut [i64]) {
    add_scaled_portable(factor, narrow, out);
}

#[target_feature(enable = "avx2")]
fn groups(draws: &[[Draw; LANES]], out: &mut [[i8; LANES]]) {
    for (draws, out) in draws.iter().zip(out) {
        pack(group(draws), out);
    }
}

#[target_feature(enable = "avx2")]
fn group(draws: &[Draw; LANES]) -> __m256i {
    let number = transpose(draws);
    let sign = _mm256_srai_epi32::<31>(_mm256_slli_epi32::<31>(number[0]));

    let mut bucket = _mm256_setzero_si256();
    for bound in &TABLE.bounds {
        let passed = above(bound.map(|word| _mm256_set1_epi32(word)), number);
        bucket = _mm256_sub_epi32(bucket, passed);
    }
    let mut place = _mm256_setzero_si256();
    for row in &TABLE.rows {
        let entries =
            [0, 1, 2, 3].map(|word| _mm256_permutevar8x32_epi32(load(&row[word]), bucket));
        place = _mm256_sub_epi32(place, above(entries, number));
    }
    let start = _mm256_mullo_epi32(bucket, _mm256_set1_epi32(WIDTH_WORD));
    let magnitude = _mm256_add_epi32(start, place);
    _mm256_sub_epi32(_mm256_xor_si256(magnitude, sign), sign)
}

/// All ones where the entry is above the number: where the difference borrows.
#[target_feature(enable = "avx2")]
fn above(entry: [__m256i; 4], number: [__m256i; 4]) -> __m256i {
    let mut borrow = _mm256_setzero_si256();
    for (entry, number) in entry.into_iter().zip(number) {
        borrow = _mm256_cmpgt_epi32(_mm256_sub_epi32(entry, borrow), number);
    }
    borrow
}

/// Word `i` of every draw in vector `i`, with [`BIAS`]; the even draws come before the odd ones.
#[target_feature(enable = "avx2")]
fn transpose(draws: &[Draw; LANES]) -> [__m256i; 4] {
    let pairs: [_; 4] = std::array::from_fn(|at| load(&[draws[2 * at], draws[2 * at + 1]]));
    let low =
        [_mm256_unpacklo_epi32(pairs[0], pairs[1]), _mm256_unpacklo_epi32(pairs[2], pairs[3])];
    let high =
        [_mm256_unpackhi_epi32(pairs[0], pairs[1]), _mm256_unpackhi_epi32(pairs[2], pairs[3])];
    let bias = _mm256_set1_epi32(BIAS.cast_signed());
    [
        _mm256_unpacklo_epi64(low[0], low[1]),
        _mm256_unpackhi_epi64(low[0], low[1]),
        _mm256_unpacklo_epi64(high[0], high[1]),
        _mm256_unpackhi_epi64(high[0], high[1]),
    ]
    .map(|words| _mm256_xor_si256(words, bias))
}

/// Writes the low byte of every lane, the even draws and the odd ones in turn again.
#[target_feature(enable = "avx2")]
fn pack(lanes: __m256i, out: &mut [i8; LANES]) {
    let low_bytes = _mm256_set1_epi32(0x0c08_0400);
    let bytes = _mm256_shuffle_epi8(lanes, low_bytes);
    let (even, odd) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
    // SAFETY: 8 bytes are written to an array of 8.
    unsafe { _mm_storel_epi64(out.as_mut_ptr().cast(), _mm_unpacklo_epi8(even, odd)) };
}

/// Loads 32 bytes of plain integers.
#[target_feature(enable = "avx2")]
fn load<T: Copy>(memory: &T) -> __m256i {
    const { assert!(size_of::<T>() == size_of::<__m256i>()) };
    // SAFETY: the reference is to 32 bytes.
    unsafe { _mm256_loadu_si256(std::ptr::from_ref(memory).cast()) }
}
