//! Encrypted vectors and their bytes.
//!
//! ```text
//! | codec: version, tag | terms 32 | key 32 | addends 4 | seeded 1 | blocks .. |
//! block: c₀, then c₁ or the 64 bytes of the seed it grows from; polynomials limb by limb, packed
//! ```

use std::fmt;

use nexus_types::borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, Digest};

use super::bits::{pack, unpack};
use super::{AdditiveError, Ring};
use crate::seal::{SEED_BYTES, Seed};

/// An encrypted vector, or the sum of several.
#[derive(Clone, PartialEq, Eq)]
pub struct Sum {
    pub(crate) terms: Digest,
    pub(crate) key: Digest,
    pub(crate) addends: u32,
    /// Block by block c₀ and c₁, transformed, limb by limb.
    pub(crate) words: Vec<u64>,
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sum").field("addends", &self.addends).finish_non_exhaustive()
    }
}

impl Sum {
    /// How many vectors it adds up, by its own account.
    pub const fn addends(&self) -> u32 {
        self.addends
    }

    /// The name of the key it is under.
    pub const fn key(&self) -> Digest {
        self.key
    }

    /// The name of this very ciphertext.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(68 + 8 * self.words.len());
        bytes.extend([self.terms.0, self.key.0].concat());
        bytes.extend(self.addends.to_le_bytes());
        self.words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        Digest::of("nexus/he/additive/ciphertext v1", &bytes)
    }
}

/// An encrypted vector of somebody who has the secret key: half of it grows from seeds.
#[derive(Clone, Debug)]
pub struct SeededSum {
    pub(super) sum: Sum,
    pub(super) seeds: Vec<Seed>,
}

impl From<SeededSum> for Sum {
    fn from(seeded: SeededSum) -> Self {
        seeded.sum
    }
}

#[derive(Clone, Copy, BorshSerialize, BorshDeserialize)]
struct Header {
    terms: Digest,
    key: Digest,
    addends: u32,
    seeded: bool,
}

/// Bytes of an encoded [`Header`].
const HEADER_BYTES: usize = 8 + 32 + 32 + 4 + 1;

impl Canonical for Header {
    const DOMAIN: &'static str = "nexus/he/additive sum";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = HEADER_BYTES;
}

impl Ring {
    fn block_bytes(&self, seeded: bool) -> usize {
        let polynomial = self.layout().polynomial_bytes();
        polynomial + if seeded { SEED_BYTES } else { polynomial }
    }

    fn sum_bytes(&self, seeded: bool) -> usize {
        HEADER_BYTES + self.layout().blocks() * self.block_bytes(seeded)
    }

    /// Bytes of a written sum, and of one with seeds.
    pub fn sizes(&self) -> [usize; 2] {
        [false, true].map(|seeded| self.sum_bytes(seeded))
    }

    fn write_polynomial(&self, words: &[u64], out: &mut Vec<u8>) {
        for (modulus, limb) in
            self.layout().moduli().iter().zip(words.chunks(self.layout().degree()))
        {
            pack(limb, modulus.bits(), out);
        }
    }

    /// Reads a polynomial of canonical words.
    fn read_polynomial(&self, mut packed: &[u8], words: &mut [u64]) -> Result<(), AdditiveError> {
        let degree = self.layout().degree();
        for (index, (modulus, limb)) in
            self.layout().moduli().iter().zip(words.chunks_mut(degree)).enumerate()
        {
            let (own, rest) = packed.split_at(modulus.bits() as usize * degree / 8);
            packed = rest;
            if !unpack(own, *modulus, limb) {
                let at = limb.iter().position(|word| *word >= modulus.value()).unwrap_or_default();
                let index = index * degree + at;
                return Err(AdditiveError::Residue { index, modulus: modulus.value() });
            }
        }
        Ok(())
    }

    /// The bytes of a polynomial.
    pub(crate) fn packed(&self, words: &[u64]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.layout().polynomial_bytes());
        self.write_polynomial(words, &mut out);
        out
    }

    /// The polynomials of these bytes.
    pub(crate) fn unpacked(
        &self,
        what: &'static str,
        bytes: &[u8],
        polynomials: usize,
    ) -> Result<Vec<u64>, AdditiveError> {
        let (size, count) = (self.layout().polynomial_bytes(), self.layout().words());
        let (got, needed) = (bytes.len(), size * polynomials);
        if got != needed {
            return Err(AdditiveError::Size { what, got, needed });
        }
        let mut words = vec![0; count * polynomials];
        for (packed, words) in bytes.chunks(size).zip(words.chunks_mut(count)) {
            self.read_polynomial(packed, words)?;
        }
        Ok(words)
    }

    fn header(&self, sum: &Sum, seeded: bool) -> Result<Vec<u8>, AdditiveError> {
        self.own(sum)?;
        let Sum { terms, key, addends, .. } = *sum;
        let mut out = Vec::with_capacity(self.sum_bytes(seeded));
        out.extend(Header { terms, key, addends, seeded }.encode()?);
        Ok(out)
    }

    pub(super) fn write_sum(&self, sum: &Sum) -> Result<Vec<u8>, AdditiveError> {
        let mut out = self.header(sum, false)?;
        for words in sum.words.chunks(self.layout().words()) {
            self.write_polynomial(words, &mut out);
        }
        Ok(out)
    }

    /// The bytes of a vector encrypted with the secret key: about half of the others.
    ///
    /// # Errors
    /// [`AdditiveError::OtherTerms`].
    pub fn write_seeded(&self, sum: &SeededSum) -> Result<Vec<u8>, AdditiveError> {
        let mut out = self.header(&sum.sum, true)?;
        let words = self.layout().words();
        for (block, seed) in sum.sum.words.chunks(2 * words).zip(&sum.seeds) {
            self.write_polynomial(&block[..words], &mut out);
            out.extend(seed.bytes);
        }
        Ok(out)
    }

    pub(super) fn read_sum(&self, bytes: &[u8]) -> Result<Sum, AdditiveError> {
        let what = "a sum of these terms";
        let short = AdditiveError::Size { what, got: bytes.len(), needed: self.sum_bytes(false) };
        let (head, body) = bytes.split_at_checked(HEADER_BYTES).ok_or(short)?;
        let Header { terms, key, addends, seeded } = Header::decode(head)?;
        if terms != self.digest() {
            return Err(AdditiveError::OtherTerms);
        }
        self.terms_of().together(addends, 0)?;
        let (got, needed) = (bytes.len(), self.sum_bytes(seeded));
        if got != needed {
            return Err(AdditiveError::Size { what, got, needed });
        }
        let count = self.layout().words();
        let mut words = vec![0; 2 * count * self.layout().blocks()];
        let blocks = body.chunks(self.block_bytes(seeded)).zip(words.chunks_mut(2 * count));
        for (packed, block) in blocks {
            self.read_block(packed, block, seeded)?;
        }
        Ok(Sum { terms, key, addends, words })
    }

    fn read_block(
        &self,
        packed: &[u8],
        block: &mut [u64],
        seeded: bool,
    ) -> Result<(), AdditiveError> {
        let (first, second) = packed.split_at(self.layout().polynomial_bytes());
        let (c0, c1) = block.split_at_mut(self.layout().words());
        self.read_polynomial(first, c0)?;
        if seeded {
            let seed = second.first_chunk().copied().unwrap_or([0; SEED_BYTES]);
            c1.copy_from_slice(
                &Seed::new(seed).expand(self.layout().moduli(), self.layout().degree()),
            );
        } else {
            self.read_polynomial(second, c1)?;
        }
        let shown = c1.iter().fold(0, |all, word| all | word) == 0;
        if shown { Err(AdditiveError::Transparent) } else { Ok(()) }
    }
}
