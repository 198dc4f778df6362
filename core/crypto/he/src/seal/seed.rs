//! Uniform polynomials sent as the seed they grow from.

use std::fmt;

use nexus_field::rns::Modulus;
use shake::{ExtendableOutput, Shake256, Update, XofReader};

use super::SealError;
use crate::blake2b::Node;

/// Bytes that the generator gives at a time.
const BLOCK: usize = 4096;
/// The same as BLAKE2 is told it.
const BLOCK_BYTES: u32 = 4096;
/// Bytes of a seed.
pub const SEED_BYTES: usize = 64;

/// Which function a seed is stretched by. SEAL is built for one and reads both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Generator {
    /// `BLAKE2xb` with the seed as key: SEAL's default, and what is written here.
    Blake2xb,
    /// SHAKE256 of the seed and a counter.
    Shake256,
}

impl Generator {
    pub(super) fn from_byte(got: u8) -> Result<Self, SealError> {
        match got {
            1 => Ok(Self::Blake2xb),
            2 => Ok(Self::Shake256),
            _ => Err(SealError::Generator { got }),
        }
    }

    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Blake2xb => 1,
            Self::Shake256 => 2,
        }
    }
}

/// The seed of a uniform polynomial. It is public: what it gives is sent in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// How it is stretched.
    pub generator: Generator,
    /// Its bytes.
    pub bytes: [u8; SEED_BYTES],
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.bytes.first_chunk().map_or(0, |start| u64::from_be_bytes(*start));
        write!(f, "Seed({:?}, {start:016x}..)", self.generator)
    }
}

impl Seed {
    /// A seed in the form that is written here.
    pub fn new(bytes: [u8; SEED_BYTES]) -> Self {
        Self { generator: Generator::Blake2xb, bytes }
    }

    /// The polynomial: `degree` canonical words for each modulus, in the order of the moduli.
    ///
    /// They stand for the stored form of whatever the seed belongs to: transformed, or not.
    pub fn expand(&self, moduli: &[Modulus], degree: usize) -> Vec<u64> {
        let mut stream = Stream::new(*self);
        let mut words: Vec<u64> = (0..moduli.len() * degree).map(|_| stream.word()).collect();
        for (modulus, words) in moduli.iter().zip(words.chunks_exact_mut(degree.max(1))) {
            let limit = bound(*modulus);
            for word in words {
                while *word >= limit {
                    *word = stream.word();
                }
                *word = modulus.reduce(*word);
            }
        }
        words
    }
}

/// From where on words are drawn again: at most this many are spread evenly over the residues.
fn bound(modulus: Modulus) -> u64 {
    u64::MAX - u64::MAX % modulus.value() - 1
}

/// BLAKE2xb as SEAL computes it: from a key and a message of eight bytes.
fn blake2xb(key: &[u8; SEED_BYTES], message: [u8; 8]) -> [u8; BLOCK] {
    let root = Node { key_length: 64, xof_length: BLOCK_BYTES, ..Node::digest(64) };
    let root = root.hash(key, &message);
    let leaf = Node { fanout: 0, depth: 0, leaf_length: 64, inner_length: 64, ..Node::digest(64) };
    let leaf = Node { xof_length: BLOCK_BYTES, ..leaf };
    let mut out = [0; BLOCK];
    for (bytes, offset) in out.as_chunks_mut::<512>().0.iter_mut().zip((0..).step_by(8)) {
        *bytes.as_chunks_mut().0.as_mut_array().unwrap_or(&mut [[0; 64]; 8]) =
            leaf.eight(offset, &root);
    }
    out
}

/// What a seed is stretched to, as words.
struct Stream {
    seed: Seed,
    blocks: u64,
    block: [u8; BLOCK],
    at: usize,
}

impl Stream {
    fn new(seed: Seed) -> Self {
        Self { seed, blocks: 0, block: [0; BLOCK], at: BLOCK }
    }

    fn refill(&mut self) {
        let counter = self.blocks.to_le_bytes();
        match self.seed.generator {
            Generator::Blake2xb => self.block = blake2xb(&self.seed.bytes, counter),
            Generator::Shake256 => {
                let mut hash = Shake256::default();
                hash.update(&self.seed.bytes);
                hash.update(&counter);
                hash.finalize_xof().read(&mut self.block);
            }
        }
        self.blocks += 1;
        self.at = 0;
    }

    fn word(&mut self) -> u64 {
        if self.at == BLOCK {
            self.refill();
        }
        let bytes = self.block[self.at..].first_chunk().copied().unwrap_or_default();
        self.at += size_of::<u64>();
        u64::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::{expected, hex};

    fn seed(generator: Generator) -> Seed {
        let mut bytes = [0; SEED_BYTES];
        for (index, bytes) in bytes.as_chunks_mut().0.iter_mut().enumerate() {
            *bytes = (index as u64 + 1).to_le_bytes();
        }
        Seed { generator, bytes }
    }

    #[test]
    fn streams_are_those_of_seal_across_the_border_of_blocks() {
        let expected = expected();
        for (generator, name) in
            [(Generator::Blake2xb, "blake2xb"), (Generator::Shake256, "shake256")]
        {
            let mut stream = Stream::new(seed(generator));
            let bytes: Vec<u8> = std::iter::repeat_with(|| stream.word().to_le_bytes())
                .take(516)
                .flatten()
                .collect();
            let part = |key: &str| hex(expected["prng"][format!("{name}_{key}")].as_str().unwrap());
            assert_eq!(bytes[..32], part("first_32_bytes"));
            assert_eq!(bytes[4096..4128], part("bytes_4096_to_4128"));
        }
    }

    /// SEAL's own primes lie so near to powers of two that words are hardly ever drawn again.
    #[test]
    fn words_out_of_range_are_drawn_again_in_seals_order() {
        // The largest prime below 2^61 · 15/16 that is 1 modulo 2048.
        let wide = (0..).map(|i| (15 << 57) - 2047 - 2048 * i).find_map(|q| Modulus::new(q).ok());
        let moduli = [wide.unwrap(), Modulus::new(1_073_692_673).unwrap()];
        let seed = seed(Generator::Blake2xb);
        let words = seed.expand(&moduli, 1024);
        let mut stream = Stream::new(seed);
        let drawn: Vec<u64> = (0..2048).map(|_| stream.word()).collect();
        let (mut again, mut expected) = (0, Vec::new());
        for (index, mut word) in drawn.into_iter().enumerate() {
            let q = u128::from(moduli[index / 1024].value());
            // SEAL's bound in other words: the largest multiple of q below 2^64, less 1 or so.
            let limit = (u128::from(u64::MAX) / q) * q - 1;
            while u128::from(word) >= limit {
                word = stream.word();
                again += 1;
            }
            expected.push(u64::try_from(u128::from(word) % q).unwrap());
        }
        assert!(again > 40, "{again}");
        assert_eq!(words, expected);
    }
}
