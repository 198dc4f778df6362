//! Keystreams that hide vectors: AES-128 in counter mode, added to a vector modulo 2^32 or
//! subtracted from it, without ever being written to memory.
//!
//! # The stream
//!
//! Block number `b` of the stream of a key is the AES-128 encryption (FIPS 197) of the 16 bytes
//! `b` (little-endian, 64 bits) followed by eight zero bytes. Block numbers count modulo 2^64.
//! The stream is the blocks in order; as words it is read little-endian, four words to a block.
//! A vector that is no whole number of blocks uses the beginning of its last block.
//!
//! # What it promises
//!
//! To whoever lacks the key, the stream is as good as uniform as long as AES is a pseudo-random
//! permutation: `n` blocks of one key differ from uniform by at most `n^2 / 2^129`, which is
//! 2^-89 for the 2^20 blocks of four million words. A key that masks two vectors at the same
//! blocks gives away their difference; keys are for one use.
//!
//! Time and memory accesses depend on lengths only: the kernels use the machine's AES
//! instructions, or the bit-sliced code of the `aes` crate where there are none.
//!
//! # What it costs
//!
//! On one thread at 2 GHz (Xeon with VAES), `cargo bench -p bench --bench kernels -- mask` shows
//! 12 GB/s with VAES, 7 GB/s with AES-NI and 2.3 GB/s in plain Rust around the `aes` crate: 0.35 ms
//! to mask a million words, and 35 ms to apply a hundred masks to them.
//!
//! ```
//! use nexus_field::mask::{self, MaskKey};
//!
//! let key = MaskKey::new([7; 16]);
//! let mut vector = vec![1, 2, u32::MAX];
//! mask::add(&key, 0, &mut vector);
//! assert_ne!(vector, [1, 2, u32::MAX]);
//! mask::sub(&key, 0, &mut vector);
//! assert_eq!(vector, [1, 2, u32::MAX]);
//! ```

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Kernel;

mod cipher;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use cipher::{Cipher, Counter, Op};

/// Bytes of a vector that stay in the nearest cache while every mask is applied to them.
const TILE_BYTES: usize = 8192;
const TILE_WORDS: usize = TILE_BYTES / size_of::<u32>();
const TILE_BLOCKS: usize = TILE_BYTES / cipher::BLOCK_BYTES;

/// The key of a mask. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MaskKey([u8; 16]);

impl MaskKey {
    /// A key of these bytes, which must be uniform and secret.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(..)")
    }
}

/// Whether a mask is added or subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Added.
    Plus,
    /// Subtracted.
    Minus,
}

impl From<Sign> for Op {
    fn from(sign: Sign) -> Self {
        match sign {
            Sign::Plus => Self::Add,
            Sign::Minus => Self::Sub,
        }
    }
}

/// Writes the stream of `key` from block `first_block` on.
pub fn keystream(key: &MaskKey, first_block: u64, out: &mut [u8]) {
    keystream_with(Kernel::detect(), key, first_block, out);
}

/// Adds the stream of `key` from block `first_block` on to each word, modulo 2^32.
pub fn add(key: &MaskKey, first_block: u64, acc: &mut [u32]) {
    combine_with(Kernel::detect(), Sign::Plus, key, first_block, acc);
}

/// Subtracts what [`add`] adds.
pub fn sub(key: &MaskKey, first_block: u64, acc: &mut [u32]) {
    combine_with(Kernel::detect(), Sign::Minus, key, first_block, acc);
}

/// Adds or subtracts every mask, each from its block 0 on: the same as one call of [`add`] or
/// [`sub`] for each, in one pass over the memory of `acc`.
pub fn apply(masks: &[(MaskKey, Sign)], acc: &mut [u32]) {
    apply_with(Kernel::detect(), masks, acc);
}

/// [`keystream`] by a kernel of choice, for tests and benchmarks.
#[doc(hidden)]
pub fn keystream_with(kernel: Kernel, key: &MaskKey, first_block: u64, out: &mut [u8]) {
    Cipher::new(kernel, key).run(Op::Set, Counter::at(first_block), out);
}

/// [`add`] or [`sub`] by a kernel of choice, for tests and benchmarks.
#[doc(hidden)]
pub fn combine_with(kernel: Kernel, sign: Sign, key: &MaskKey, first_block: u64, acc: &mut [u32]) {
    Cipher::new(kernel, key).run(sign.into(), Counter::at(first_block), acc);
}

/// [`apply`] by a kernel of choice, for tests and benchmarks.
#[doc(hidden)]
pub fn apply_with(kernel: Kernel, masks: &[(MaskKey, Sign)], acc: &mut [u32]) {
    let ciphers: Vec<(Cipher, Op)> =
        masks.iter().map(|(key, sign)| (Cipher::new(kernel, key), (*sign).into())).collect();
    for (index, tile) in acc.chunks_mut(TILE_WORDS).enumerate() {
        let from = Counter::at(0).plus(index * TILE_BLOCKS);
        for (cipher, op) in &ciphers {
            cipher.run(*op, from, tile);
        }
    }
}
