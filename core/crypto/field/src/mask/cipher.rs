//! One key's stream, combined with memory.

use std::slice;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::{Zeroize, Zeroizing};

use super::MaskKey;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::Kernel;

/// Bytes of an AES block.
pub(super) const BLOCK_BYTES: usize = 16;
/// Blocks that the portable kernel encrypts at once.
const BATCH: usize = 64;

/// What is done with the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// The stream replaces the memory.
    Set,
    /// Each word of the stream is added, modulo 2^32.
    Add,
    /// Each word of the stream is subtracted, modulo 2^32.
    Sub,
}

impl Op {
    fn on(self, old: u32, stream: u32) -> u32 {
        match self {
            Self::Set => stream,
            Self::Add => old.wrapping_add(stream),
            Self::Sub => old.wrapping_sub(stream),
        }
    }
}

/// A counter block: `low` and `high`, 64 bits each, little-endian. Only `low` counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counter {
    pub(crate) low: u64,
    pub(crate) high: u64,
}

impl Counter {
    /// Block `low` of a key's plain stream.
    pub(crate) fn at(low: u64) -> Self {
        Self { low, high: 0 }
    }

    /// The counter `blocks` later.
    pub(crate) fn plus(self, blocks: usize) -> Self {
        Self { low: self.low.wrapping_add(blocks as u64), ..self }
    }

    #[cfg(any(test, target_arch = "x86_64"))]
    #[expect(clippy::cast_possible_truncation, reason = "each half is meant")]
    pub(super) fn from_bytes(bytes: [u8; BLOCK_BYTES]) -> Self {
        let number = u128::from_le_bytes(bytes);
        Self { low: number as u64, high: (number >> 64) as u64 }
    }

    fn bytes(self) -> [u8; BLOCK_BYTES] {
        (u128::from(self.high) << 64 | u128::from(self.low)).to_le_bytes()
    }
}

/// Sixteen bytes of memory as four little-endian words.
pub(crate) trait Block: Copy + Default + Zeroize {
    fn from_words(words: [u32; 4]) -> Self;
    fn words(self) -> [u32; 4];
}

impl Block for [u32; 4] {
    fn from_words(words: [u32; 4]) -> Self {
        words
    }

    fn words(self) -> [u32; 4] {
        self
    }
}

impl Block for [u8; BLOCK_BYTES] {
    fn from_words(words: [u32; 4]) -> Self {
        let mut bytes = [0; BLOCK_BYTES];
        for (four, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *four = word.to_le_bytes();
        }
        bytes
    }

    fn words(self) -> [u32; 4] {
        let mut words = [0; 4];
        for (word, four) in words.iter_mut().zip(self.as_chunks().0) {
            *word = u32::from_le_bytes(*four);
        }
        words
    }
}

/// What memory is an array of.
pub(crate) trait Element: Sized + Copy {
    type Block: Block + AsMut<[Self]>;

    /// The whole blocks of `memory`, and what is left of it.
    fn blocks(memory: &mut [Self]) -> (&mut [Self::Block], &mut [Self]);
}

impl Element for u32 {
    type Block = [Self; 4];

    fn blocks(memory: &mut [Self]) -> (&mut [Self::Block], &mut [Self]) {
        memory.as_chunks_mut()
    }
}

impl Element for u8 {
    type Block = [Self; BLOCK_BYTES];

    fn blocks(memory: &mut [Self]) -> (&mut [Self::Block], &mut [Self]) {
        memory.as_chunks_mut()
    }
}

/// A key ready for use by one kernel. Wiped when dropped.
pub(crate) enum Cipher {
    Portable(Aes128),
    #[cfg(target_arch = "x86_64")]
    X86(x86::Schedule),
}

impl Cipher {
    pub(crate) fn new(kernel: Kernel, key: &MaskKey) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(schedule) = x86::Schedule::new(kernel, &key.0) {
            return Self::X86(schedule);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = kernel;
        Self::Portable(Aes128::new(&key.0.into()))
    }

    /// Combines `memory` with the stream that begins at `from`.
    pub(crate) fn run<E: Element>(&self, op: Op, from: Counter, memory: &mut [E]) {
        let (blocks, rest) = E::blocks(memory);
        let after = from.plus(blocks.len());
        self.run_blocks(op, from, blocks);
        if !rest.is_empty() {
            let mut last = E::Block::default();
            last.as_mut()[..rest.len()].copy_from_slice(rest);
            self.run_blocks(op, after, slice::from_mut(&mut last));
            rest.copy_from_slice(&last.as_mut()[..rest.len()]);
            last.zeroize();
        }
    }

    /// Combines whole blocks with the stream that begins at `from`.
    pub(crate) fn run_blocks<B: Block>(&self, op: Op, from: Counter, blocks: &mut [B]) {
        match self {
            Self::Portable(aes) => portable(aes, op, from, blocks),
            #[cfg(target_arch = "x86_64")]
            Self::X86(schedule) => schedule.run(op, from, blocks),
        }
    }
}

/// The twin of the kernels. The `aes` crate uses the AES instructions of the machine if it has
/// some, and bit-sliced code otherwise.
fn portable<B: Block>(aes: &Aes128, op: Op, mut from: Counter, blocks: &mut [B]) {
    let mut stream = Zeroizing::new([[0; BLOCK_BYTES]; BATCH]);
    for batch in blocks.chunks_mut(BATCH) {
        let stream = &mut stream[..batch.len()];
        for (index, counter) in stream.iter_mut().enumerate() {
            *counter = from.plus(index).bytes();
        }
        aes.encrypt_blocks(aes::Block::cast_slice_from_core_mut(stream));
        for (block, stream) in batch.iter_mut().zip(stream) {
            let (mut words, stream) = (block.words(), stream.words());
            for (word, stream) in words.iter_mut().zip(stream) {
                *word = op.on(*word, stream);
            }
            *block = B::from_words(words);
        }
        from = from.plus(batch.len());
    }
}
