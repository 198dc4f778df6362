//! The mask: `c_j = A_j k + t e_j + m_j` in every block, one key per owner and sum, each public
//! polynomial `A_j` used once. All of it is linear, so sums open with the sum of the keys.

use std::borrow::Cow;
use std::fmt;
use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_field::gaussian::Sampler;
use nexus_field::{Block, Fp, N, P, ntt, ring};
use nexus_types::{CryptoRng, Digest, borsh};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::params::Packing;
use super::slots::{pack, split, unpack};
use crate::twin::{Check, enforced};

/// A vector of words below p: slots of whole blocks. On the wire a word is 8 bytes; a word from
/// p on does not decode.
#[derive(Clone)]
pub struct Masked {
    words: Vec<u64>,
    /// The digest, if the words were hashed as they were read and have not changed since.
    digest: Option<Digest>,
}

/// Bytes hashed and converted at once: they stay in the second cache, and are enough for BLAKE3
/// to fill its vectors up to the top of its tree.
const PIECE: usize = 1 << 17;
/// Words converted at once on their way into a sum: small enough for the nearest cache.
const TILE: usize = 1 << 10;

impl Masked {
    /// The words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// BLAKE3 of the words.
    pub fn digest(&self) -> Digest {
        self.digest.unwrap_or_else(|| {
            let mut hasher = hasher();
            self.pieces(|piece| {
                hasher.update(piece);
            });
            Digest(hasher.finalize().into())
        })
    }

    pub(super) fn zero(words: usize) -> Self {
        Self { words: vec![0; words], digest: None }
    }

    #[cfg(test)]
    pub(super) const fn words_mut(&mut self) -> &mut Vec<u64> {
        self.digest = None;
        &mut self.words
    }

    /// Adds vectors in one walk over the sum, which is what costs most.
    pub(super) fn add(&mut self, others: &[&Held]) {
        self.digest = None;
        let mut tile = [0; TILE];
        for (start, sum) in (0..).step_by(8 * TILE).zip(self.words.chunks_mut(TILE)) {
            for other in others {
                let bytes = other.bytes().get(start..).unwrap_or_default();
                ring::add(sum, read_tile(bytes, &mut tile));
            }
        }
    }

    fn pieces(&self, mut take: impl FnMut(&[u8])) {
        let mut buffer = vec![0; PIECE.min(8 * self.words.len())];
        for words in self.words.chunks(PIECE / 8) {
            let (bytes, _) = buffer.as_chunks_mut::<8>();
            for (bytes, word) in bytes.iter_mut().zip(words) {
                *bytes = word.to_le_bytes();
            }
            take(&buffer[..8 * words.len()]);
        }
    }

    /// Reads more words, each of which must be below p.
    fn extend(&mut self, bytes: &[u8]) -> io::Result<()> {
        let known = self.words.len();
        let (words, _) = bytes.as_chunks::<8>();
        self.words.extend(words.iter().map(|word| u64::from_le_bytes(*word)));
        if ring::check_canonical(&self.words[known..]) {
            return Ok(());
        }
        Err(not_canonical())
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.words.as_chunks::<N>().0.iter()
    }
}

/// Reads words from bytes of any alignment, tile by tile.
fn tiles(bytes: &[u8], mut take: impl FnMut(&[u64])) {
    let mut tile = [0; TILE];
    for bytes in bytes.chunks(8 * TILE) {
        take(read_tile(bytes, &mut tile));
    }
}

/// The first words of `bytes`.
fn read_tile<'a>(bytes: &[u8], tile: &'a mut [u64; TILE]) -> &'a [u64] {
    let (words, _) = bytes.as_chunks::<8>();
    for (word, bytes) in tile.iter_mut().zip(words) {
        *word = u64::from_le_bytes(*bytes);
    }
    &tile[..words.len().min(TILE)]
}

/// The bytes of a vector in a message: checked and hashed where they lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Checked {
    /// How many words.
    pub(super) words: usize,
    /// As [`Masked::digest`].
    pub(super) digest: Digest,
}

impl Checked {
    /// Reads the vector that `payload` begins and ends with.
    pub(super) fn read(payload: &mut &[u8]) -> io::Result<Self> {
        let words = u32::deserialize(payload)? as usize;
        if payload.len() != words.saturating_mul(8) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (mut hasher, mut canonical) = (hasher(), true);
        for piece in payload.chunks(PIECE) {
            hasher.update(piece);
            tiles(piece, |words| canonical &= ring::check_canonical(words));
        }
        *payload = &[];
        if canonical || !enforced(Check::Canonical) {
            Ok(Self { words, digest: Digest(hasher.finalize().into()) })
        } else {
            Err(not_canonical())
        }
    }
}

fn not_canonical() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a word is not below the modulus")
}

/// A vector that waits to be added, in the bytes in which it came.
#[derive(Clone)]
pub(super) struct Held {
    /// It is the end of these: a message, or a part of one.
    message: Vec<u8>,
    bytes: usize,
}

impl Held {
    /// The vector of so many checked words at the end of `message`, which is not copied if it
    /// may be kept.
    pub(super) fn end_of(message: Cow<'_, [u8]>, words: usize) -> Self {
        let bytes = message.len().min(8 * words);
        let message = match message {
            Cow::Borrowed(message) => message[message.len() - bytes..].to_vec(),
            Cow::Owned(message) => message,
        };
        Self { message, bytes }
    }

    fn bytes(&self) -> &[u8] {
        &self.message[self.message.len() - self.bytes..]
    }

    /// Bytes that it takes up.
    pub(super) fn size(&self) -> usize {
        self.message.len()
    }

    /// Its words.
    pub(super) fn masked(&self) -> Masked {
        let mut words = Vec::with_capacity(self.bytes / 8);
        tiles(self.bytes(), |tile| words.extend_from_slice(tile));
        Masked { words, digest: None }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({} words)", self.bytes / 8)
    }
}

impl BorshSerialize for Held {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.bytes().serialize(writer)
    }
}

impl BorshDeserialize for Held {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let message = Vec::<u8>::deserialize_reader(reader)?;
        let mut canonical = message.len().is_multiple_of(8);
        tiles(&message, |words| canonical &= ring::check_canonical(words));
        let bytes = message.len();
        canonical.then_some(Self { message, bytes }).ok_or_else(not_canonical)
    }
}

#[cfg(test)]
impl From<&Masked> for Held {
    fn from(masked: &Masked) -> Self {
        let message: Vec<u8> = masked.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let bytes = message.len();
        Self { message, bytes }
    }
}

impl PartialEq for Masked {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for Masked {}

fn hasher() -> blake3::Hasher {
    blake3::Hasher::new_derive_key("nexus/mpc/nx/masked v1")
}

impl Masked {
    /// Its first block, or all of it.
    pub(super) fn first_block(&self) -> Self {
        let words = self.words.get(..N).unwrap_or(&self.words);
        Self { words: words.to_vec(), digest: None }
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masked({} words)", self.words.len())
    }
}

impl BorshSerialize for Masked {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
        u32::try_from(self.words.len()).map_err(too_long)?.serialize(writer)?;
        let mut result = Ok(());
        self.pieces(|piece| {
            if result.is_ok() {
                result = writer.write_all(piece);
            }
        });
        result
    }
}

impl BorshDeserialize for Masked {
    /// A slice shows how long it is: the words go through the cache once, and are hashed there.
    fn deserialize(bytes: &mut &[u8]) -> io::Result<Self> {
        let words = u32::deserialize(bytes)? as usize;
        let short = io::Error::from(io::ErrorKind::UnexpectedEof);
        let (own, rest) = bytes.split_at_checked(words.saturating_mul(8)).ok_or(short)?;
        *bytes = rest;
        let mut masked = Self { words: Vec::with_capacity(words), digest: None };
        let mut hasher = hasher();
        for piece in own.chunks(PIECE) {
            hasher.update(piece);
            masked.extend(piece)?;
        }
        masked.digest = Some(Digest(hasher.finalize().into()));
        Ok(masked)
    }

    /// A claimed length allocates no more than what has arrived.
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let mut left = u32::deserialize_reader(reader)? as usize;
        let mut masked = Self::zero(0);
        let mut buffer = vec![0; PIECE];
        while left > 0 {
            let piece = &mut buffer[..8 * left.min(PIECE / 8)];
            reader.read_exact(piece)?;
            masked.extend(piece)?;
            left -= piece.len() / 8;
        }
        Ok(masked)
    }
}

/// The seed of the public polynomials of a sum.
pub(super) fn public_seed(manifest: &Digest) -> [u8; 32] {
    Digest::of("nexus/mpc/nx/A v1", &manifest.0).0
}

/// An owner's key: 4,096 samples. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct MaskingKey(Vec<i8>);

impl MaskingKey {
    /// A key of the only distribution that the security argument covers.
    pub(super) fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut key = Self(vec![0; N]);
        sampler(rng).fill(&mut key.0);
        key
    }

    pub(super) fn coefficients(&self) -> &[i8] {
        &self.0
    }

    /// The weakened twin: a key of any distribution.
    #[cfg(test)]
    pub(super) const fn chosen(coefficients: Vec<i8>) -> Self {
        Self(coefficients)
    }
}

fn sampler(rng: &mut dyn CryptoRng) -> Sampler {
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *seed);
    Sampler::new(*seed)
}

/// A word for `m + t e`, in constant time: both are small against p.
fn word(m: i64, e: i8, log2_t: u32) -> u64 {
    let sum = m.wrapping_add(i64::from(e) << log2_t);
    // -1 for a negative sum, else 0.
    sum.cast_unsigned().wrapping_add(P & (sum >> 63).cast_unsigned())
}

/// Masks `values` with `key` under the public polynomials of `manifest`.
pub(super) fn mask(
    manifest: &Digest,
    packing: Packing,
    key: &MaskingKey,
    rng: &mut dyn CryptoRng,
    values: &[i64],
) -> Masked {
    let mut sampler = sampler(rng);
    let mut key_slots = small(key.coefficients());
    ntt::forward(&mut key_slots);
    let seed = public_seed(manifest);
    let per_block = N * usize::from(packing.values());
    let blocks = values.len().div_ceil(per_block);
    let mut masked = Masked::zero(blocks * N);
    let mut errors = Zeroizing::new([0_i8; N]);
    let mut packed = Zeroizing::new(vec![0_i64; N]);
    let mut public = block();
    let (outs, _) = masked.words.as_chunks_mut::<N>();
    for ((index, out), values) in (0..).zip(outs).zip(values.chunks(per_block)) {
        sampler.fill(&mut *errors);
        pack(packing, values, &mut packed);
        for ((out, m), e) in out.iter_mut().zip(&*packed).zip(&*errors) {
            *out = word(*m, *e, packing.log2_t());
        }
        ntt::forward(out);
        ring::uniform(&seed, index, &mut public);
        ring::mul_add(out, &public, &key_slots);
    }
    masked
}

/// A sum that has been unmasked.
#[derive(Debug, PartialEq)]
pub(super) struct Unmasked {
    /// The largest magnitude of an error.
    pub(super) error: u64,
    /// The sums, value by value.
    pub(super) values: Vec<i64>,
}

/// Takes the sum of the keys off the sum of the vectors and reads `count` values. The caller
/// decides whether the error is acceptable.
pub(super) fn unmask(
    manifest: &Digest,
    packing: Packing,
    key: &[i32],
    sum: &Masked,
    count: usize,
) -> Unmasked {
    let mut key_slots = small(key);
    ntt::forward(&mut key_slots);
    let seed = public_seed(manifest);
    let mut error = 0;
    let mut values = Vec::with_capacity(count + usize::from(packing.values()));
    let (mut public, mut rest) = (block(), block());
    for (index, sum) in (0..).zip(sum.blocks()) {
        ring::uniform(&seed, index, &mut public);
        ring::mul(&mut public, &key_slots);
        rest.copy_from_slice(sum);
        ring::sub(&mut **rest, &**public);
        ntt::inverse(&mut rest);
        for word in rest.iter() {
            let parts = split(packing, Fp::new(*word).centred());
            error = error.max(parts.error.unsigned_abs());
            if values.len() < count {
                values.extend(unpack(packing, parts.packed));
            }
        }
    }
    values.truncate(count);
    Unmasked { error, values }
}

#[expect(clippy::large_stack_arrays, reason = "32 KiB on their way to the heap")]
fn block() -> Box<Zeroizing<Block>> {
    Box::new(Zeroizing::new([0; N]))
}

/// A block of small coefficients, missing ones nought.
fn small<T: Copy + Into<i64>>(coefficients: &[T]) -> Box<Zeroizing<Block>> {
    let mut block = block();
    for (out, coefficient) in block.iter_mut().zip(coefficients) {
        *out = Fp::from_i64((*coefficient).into()).value();
    }
    block
}
