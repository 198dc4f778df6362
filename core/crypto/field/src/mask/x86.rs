//! AES-128 in counter mode by the instructions of x86-64, with the operation on memory fused in.
//!
//! An AES round takes several cycles, and one or two can begin in each: eight registers in flight
//! keep the units busy. They hold one block each with AES-NI, two with VAES.
#![expect(unsafe_code, reason = "instructions that not every x86-64 has, on memory by pointer")]

use std::arch::x86_64::{
    __m128i, __m256i, _MM_HINT_T0, _mm_add_epi32, _mm_aesenc_si128, _mm_aesenclast_si128,
    _mm_aeskeygenassist_si128, _mm_loadu_si128, _mm_prefetch, _mm_set_epi64x, _mm_setzero_si128,
    _mm_shuffle_epi32, _mm_slli_si128, _mm_storeu_si128, _mm_sub_epi32, _mm_xor_si128,
    _mm256_add_epi32, _mm256_add_epi64, _mm256_aesenc_epi128, _mm256_aesenclast_epi128,
    _mm256_broadcastsi128_si256, _mm256_loadu_si256, _mm256_set_epi64x, _mm256_storeu_si256,
    _mm256_sub_epi32, _mm256_xor_si256,
};

use zeroize::Zeroize;

use super::cipher::{BLOCK_BYTES, Block, Counter, Op};
use crate::Kernel;

/// AES-128 has ten rounds, and a key before the first.
const KEYS: usize = 11;
/// Registers in flight.
const FLIGHT: usize = 8;
/// Bytes between the memory in use and the memory that is asked for. The machine does so itself
/// only within a page, of 4096 bytes.
const AHEAD: usize = 4096;
const LINE_BYTES: usize = 64;

/// The round keys of one key, for a kernel that this machine has. Wiped when dropped.
pub(crate) struct Schedule {
    kernel: Kernel,
    keys: [__m128i; KEYS],
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

impl Schedule {
    /// `None` if `kernel`, or this machine, has no AES instructions.
    pub(crate) fn new(kernel: Kernel, key: &[u8; BLOCK_BYTES]) -> Option<Self> {
        let kernel = kernel.min(Kernel::detect());
        // SAFETY: a machine whose kernel is of this level has AES-NI.
        (kernel >= Kernel::AesNi).then(|| Self { kernel, keys: unsafe { expand(key) } })
    }

    /// Combines `blocks` with the stream that begins at `from`.
    pub(crate) fn run<B: Block>(&self, op: Op, mut from: Counter, mut blocks: &mut [B]) {
        const { assert!(size_of::<B>() == BLOCK_BYTES) };
        if self.kernel >= Kernel::Vaes {
            let (wide, rest) = blocks.as_chunks_mut::<{ 2 * FLIGHT }>();
            // SAFETY: `new` found a machine of this level, which has AVX2 and VAES.
            unsafe { run_vaes(&self.keys, op, from, wide) };
            from = from.plus(wide.len() * 2 * FLIGHT);
            blocks = rest;
        }
        let (narrow, rest) = blocks.as_chunks_mut::<FLIGHT>();
        let after = from.plus(narrow.len() * FLIGHT);
        let (single, _) = rest.as_chunks_mut::<1>();
        // SAFETY: `new` made sure of AES-NI.
        unsafe {
            run_aes(&self.keys, op, from, narrow);
            run_aes(&self.keys, op, after, single);
        }
    }
}

/// The key schedule of FIPS 197, section 5.2.
#[target_feature(enable = "aes")]
fn expand(key: &[u8; BLOCK_BYTES]) -> [__m128i; KEYS] {
    let mut keys = [_mm_setzero_si128(); KEYS];
    keys[0] = load(Counter::from_bytes(*key));
    keys[1] = next_key::<0x01>(keys[0]);
    keys[2] = next_key::<0x02>(keys[1]);
    keys[3] = next_key::<0x04>(keys[2]);
    keys[4] = next_key::<0x08>(keys[3]);
    keys[5] = next_key::<0x10>(keys[4]);
    keys[6] = next_key::<0x20>(keys[5]);
    keys[7] = next_key::<0x40>(keys[6]);
    keys[8] = next_key::<0x80>(keys[7]);
    keys[9] = next_key::<0x1b>(keys[8]);
    keys[10] = next_key::<0x36>(keys[9]);
    keys
}

/// Word `i` of the next key is the sum of words `0..=i` of this one, and of its last word after
/// `SubWord`, `RotWord` and the round constant.
#[target_feature(enable = "aes")]
fn next_key<const ROUND: i32>(key: __m128i) -> __m128i {
    let last = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<ROUND>(key));
    let sum = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
    _mm_xor_si128(_mm_xor_si128(sum, _mm_slli_si128::<8>(sum)), last)
}

/// Asks for memory that will be needed if `here` is followed by more. Never fails.
#[target_feature(enable = "sse2")]
fn prefetch<T>(here: &T) {
    for line in (0..size_of::<T>()).step_by(LINE_BYTES) {
        let there = std::ptr::from_ref(here).cast::<i8>().wrapping_add(AHEAD + line);
        _mm_prefetch::<_MM_HINT_T0>(there);
    }
}

#[target_feature(enable = "sse2")]
fn load(Counter { low, high }: Counter) -> __m128i {
    _mm_set_epi64x(high.cast_signed(), low.cast_signed())
}

#[target_feature(enable = "aes")]
fn run_aes<B: Block, const N: usize>(
    keys: &[__m128i; KEYS],
    op: Op,
    mut from: Counter,
    groups: &mut [[B; N]],
) {
    for group in groups {
        prefetch(group);
        let mut state = [keys[0]; N];
        for (index, state) in state.iter_mut().enumerate() {
            *state = _mm_xor_si128(*state, load(from.plus(index)));
        }
        for key in &keys[1..KEYS - 1] {
            for state in &mut state {
                *state = _mm_aesenc_si128(*state, *key);
            }
        }
        for (state, block) in state.iter().zip(group) {
            let stream = _mm_aesenclast_si128(*state, keys[KEYS - 1]);
            let memory = std::ptr::from_mut(block).cast::<__m128i>();
            // SAFETY: a `Block` is 16 bytes of plain integers, of which any bits are valid.
            unsafe {
                let combined = match op {
                    Op::Set => stream,
                    Op::Add => _mm_add_epi32(_mm_loadu_si128(memory), stream),
                    Op::Sub => _mm_sub_epi32(_mm_loadu_si128(memory), stream),
                };
                _mm_storeu_si128(memory, combined);
            }
        }
        from = from.plus(N);
    }
}

#[target_feature(enable = "avx2,vaes")]
fn run_vaes<B: Block>(
    keys: &[__m128i; KEYS],
    op: Op,
    from: Counter,
    groups: &mut [[B; 2 * FLIGHT]],
) {
    let keys = keys.map(|key| _mm256_broadcastsi128_si256(key));
    let (low, high) = (from.low.cast_signed(), from.high.cast_signed());
    let mut counter = _mm256_set_epi64x(high, low.wrapping_add(1), high, low);
    let two = _mm256_set_epi64x(0, 2, 0, 2);
    for group in groups {
        prefetch(group);
        let mut state = [keys[0]; FLIGHT];
        for state in &mut state {
            *state = _mm256_xor_si256(*state, counter);
            counter = _mm256_add_epi64(counter, two);
        }
        for key in &keys[1..KEYS - 1] {
            for state in &mut state {
                *state = _mm256_aesenc_epi128(*state, *key);
            }
        }
        for (state, pair) in state.iter().zip(group.as_chunks_mut::<2>().0) {
            let stream = _mm256_aesenclast_epi128(*state, keys[KEYS - 1]);
            let memory = std::ptr::from_mut(pair).cast::<__m256i>();
            // SAFETY: two `Block`s are 32 bytes of plain integers, of which any bits are valid.
            unsafe {
                let combined = match op {
                    Op::Set => stream,
                    Op::Add => _mm256_add_epi32(_mm256_loadu_si256(memory), stream),
                    Op::Sub => _mm256_sub_epi32(_mm256_loadu_si256(memory), stream),
                };
                _mm256_storeu_si256(memory, combined);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::ManuallyDrop;

    use super::super::tests::hex;
    use super::*;

    /// FIPS 197, appendix A.1: the key and the ten that follow from it.
    const EXPANDED: [&str; KEYS] = [
        "2b7e151628aed2a6abf7158809cf4f3c",
        "a0fafe1788542cb123a339392a6c7605",
        "f2c295f27a96b9435935807a7359f67f",
        "3d80477d4716fe3e1e237e446d7a883b",
        "ef44a541a8525b7fb671253bdb0bad00",
        "d4d1c6f87c839d87caf2b8bc11f915bc",
        "6d88a37a110b3efddbf98641ca0093fd",
        "4e54f70e5f5fc9f384a64fb24ea6dc4f",
        "ead27321b58dbad2312bf5607f8d292f",
        "ac7766f319fadc2128d12941575c006e",
        "d014f9a8c9ee2589e13f0cc8b6630ca6",
    ];

    fn bytes(keys: &[__m128i; KEYS]) -> [[u8; BLOCK_BYTES]; KEYS] {
        keys.map(|key| {
            let mut bytes = [0; BLOCK_BYTES];
            // SAFETY: SSE2 is part of x86-64, and 16 bytes are written to an array of 16.
            unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), key) };
            bytes
        })
    }

    #[test]
    fn the_schedule_is_that_of_fips_197_and_is_wiped() {
        assert!(Schedule::new(Kernel::Portable, &[0; BLOCK_BYTES]).is_none());
        let Some(schedule) = Schedule::new(Kernel::Vaes, &hex(EXPANDED[0])) else {
            return;
        };
        assert_eq!(bytes(&schedule.keys), EXPANDED.map(hex));

        let mut schedule = ManuallyDrop::new(schedule);
        // SAFETY: it is dropped once, and its fields are plain integers that stay readable.
        unsafe { ManuallyDrop::drop(&mut schedule) };
        assert_eq!(bytes(&schedule.keys), [[0; BLOCK_BYTES]; KEYS]);
    }
}
