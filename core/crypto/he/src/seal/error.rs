//! Why bytes are not accepted, or a record is not written.

use super::frame::{Mode, Version};
use super::parameters::MAX_MODULUS_BITS;
use crate::{HeError, ParametersId};

/// Why an object of SEAL is not accepted, or not written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The bytes end too early.
    #[error("{needed} bytes are needed and {left} are left")]
    Truncated {
        /// Bytes that were to be read.
        needed: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// The bytes do not begin as an object of SEAL does.
    #[error("magic number {got:#06x}; objects of SEAL begin with 0xa15e")]
    Magic {
        /// What stands there.
        got: u16,
    },
    /// The header has another size.
    #[error("a header of {got} bytes; headers have 16")]
    HeaderSize {
        /// What it says.
        got: u8,
    },
    /// A version of SEAL that is not read.
    #[error("version {got} of SEAL; 3.4 and later ones are read")]
    Version {
        /// What it says.
        got: Version,
    },
    /// A version of SEAL 4 that is newer than this program.
    #[error("version {got} of SEAL is newer than {newest}, the newest that is read")]
    NewerVersion {
        /// What it says.
        got: Version,
        /// The newest that is read.
        newest: Version,
    },
    /// An unknown kind of compression.
    #[error("compression {got}; 0 (none), 1 (zlib) and 2 (zstd) are known")]
    Mode {
        /// What it says.
        got: u8,
    },
    /// A reserved field is used.
    #[error("a reserved field is {got}; it must be 0")]
    Reserved {
        /// What stands there.
        got: u64,
    },
    /// A frame would be smaller than its header.
    #[error("a frame of {size} bytes; its header alone has 16")]
    SmallFrame {
        /// What it says.
        size: u64,
    },
    /// A frame would be larger than the bytes.
    #[error("a frame of {size} bytes, of which {available} are there")]
    Beyond {
        /// What it says.
        size: u64,
        /// Bytes that are there.
        available: u64,
    },
    /// A frame holds more than the object.
    #[error("a frame of {size} bytes, of which the object takes {used}")]
    LongFrame {
        /// What it says.
        size: u64,
        /// Bytes of the object.
        used: u64,
    },
    /// A compressed frame within another is larger than what it may hold.
    #[error("a frame of {size} bytes where the parameters allow {most}")]
    LargeFrame {
        /// What it says.
        size: u64,
        /// Bytes that the parameters allow.
        most: u64,
    },
    /// There are bytes after the object.
    #[error("{left} bytes after the object")]
    Trailing {
        /// How many.
        left: u64,
    },
    /// A compressed payload is damaged, too short or too long.
    #[error("compressed payload ({mode:?}): {why}")]
    Packed {
        /// How it is compressed.
        mode: Mode,
        /// What is wrong.
        why: PackedError,
    },
    /// The object would take more memory than it may.
    #[error("{needed} bytes of memory are needed where {left} are left of the limit")]
    Memory {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// A scheme that is not known here.
    #[error("scheme {got}; 1 (BFV) and 2 (CKKS) are known")]
    Scheme {
        /// What it says.
        got: u8,
    },
    /// A modulus that is larger than SEAL allows.
    #[error("the modulus {got}; at most {MAX_MODULUS_BITS} bits are possible")]
    ModulusBits {
        /// The modulus.
        got: u64,
    },
    /// The parameters are not valid.
    #[error(transparent)]
    Parameters(#[from] HeError),
    /// No level of the parameters has this id.
    #[error("no level of these parameters has the id {}", hex(*got))]
    Level {
        /// The id.
        got: ParametersId,
    },
    /// A key's level on an object that is no key.
    #[error("an object at the level of keys that is no key")]
    KeyLevel,
    /// Another level than that of keys on a key.
    #[error("a key at the level {}, which is not that of keys", hex(*got))]
    NotKeyLevel {
        /// The id.
        got: ParametersId,
    },
    /// The parameters have one prime, so no key can be switched.
    #[error("keys for switching where the parameters leave no special prime")]
    NoKeySwitching,
    /// A flag that is neither 0 nor 1.
    #[error("a flag of {got}; 0 and 1 are possible")]
    Flag {
        /// What stands there.
        got: u8,
    },
    /// An object that must be transformed is not.
    #[error("an object that is not transformed; in CKKS, and for keys, it must be")]
    Form,
    /// A number of polynomials that no ciphertext has.
    #[error("{got} polynomials; {least} to {most} are possible")]
    Polynomials {
        /// How many.
        got: u64,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// Another degree than that of the parameters.
    #[error("degree {got} where the parameters have {expected}")]
    Degree {
        /// What it says.
        got: u64,
        /// That of the parameters.
        expected: u64,
    },
    /// Another number of primes than the level has.
    #[error("{got} primes where the level has {expected}")]
    Limbs {
        /// What it says.
        got: u64,
        /// Those of the level.
        expected: u64,
    },
    /// Another number of words than there must be.
    #[error("{got} words where there must be {expected}")]
    Count {
        /// What it says.
        got: u64,
        /// How many there must be; in a plaintext of coefficients, the most.
        expected: u64,
    },
    /// The words counted twice, differently.
    #[error("{got} words in an array where {expected} were announced")]
    Array {
        /// What the array says.
        got: u64,
        /// What was announced.
        expected: u64,
    },
    /// A word that is not below its modulus.
    #[error("word {index} is {got}, which is not below {modulus}")]
    Word {
        /// Which one.
        index: u64,
        /// The word.
        got: u64,
        /// The modulus.
        modulus: u64,
    },
    /// A scale that is none.
    #[error("scale {got}; in CKKS it is positive and normal, elsewhere exactly 1")]
    Scale {
        /// The scale.
        got: f64,
    },
    /// A scale that the level cannot hold.
    #[error("scale {got} at a level of {bits} bits")]
    LargeScale {
        /// The scale.
        got: f64,
        /// Bits of the product of the level's primes.
        bits: u32,
    },
    /// A correction factor, which only BGV has.
    #[error("correction factor {got}; in BFV and CKKS it is 1")]
    Correction {
        /// What stands there.
        got: u64,
    },
    /// A seed for an unknown generator.
    #[error("generator {got}; 1 (BLAKE2xb) and 2 (SHAKE256) are known")]
    Generator {
        /// What it says.
        got: u8,
    },
    /// A seed in a ciphertext that is not a pair.
    #[error("a seed for one of {got} polynomials; only a pair can have one")]
    Seeded {
        /// Polynomials of the ciphertext.
        got: u64,
    },
    /// A seed that older versions stretch differently.
    #[error("a seed of version {version}, which stretches it differently from 3.6 on")]
    OldSeed {
        /// The version that wrote it.
        version: Version,
    },
    /// A ciphertext that anybody can read: all but its first polynomial are 0.
    #[error("a transparent ciphertext: it needs no key to be read")]
    Transparent,
    /// More places for keys than there can be, or another number than there must be.
    #[error("places for {got} keys; {most} are possible")]
    KeyCount {
        /// What it says.
        got: u64,
        /// The most; for Galois keys the only number.
        most: u64,
    },
    /// A key with another number of parts than there are data primes.
    #[error("a key of {got} parts where the parameters have {expected} data primes")]
    KeyParts {
        /// What it says.
        got: u64,
        /// One for each data prime.
        expected: u64,
    },
    /// A Galois element that is none.
    #[error("Galois element {got}; odd numbers below {end} are possible")]
    GaloisElement {
        /// The element.
        got: u32,
        /// Twice the degree.
        end: u64,
    },
    /// A word of a secret key is not below its prime; which one is not told.
    #[error("a secret key with a word that is not below its prime")]
    SecretWord,
    /// A secret key that is not one ternary polynomial under all primes.
    #[error("a secret key that is not the same ternary polynomial under every prime")]
    SecretKey,
}

/// What is wrong with a compressed payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackedError {
    /// It does not follow the format, fails its checksum, or needs a window above 2^23 bytes.
    #[error("damaged")]
    Broken,
    /// The compressed bytes end before the stream does.
    #[error("cut off")]
    Cut,
    /// The stream ends before the object does.
    #[error("ends before the object does")]
    Short,
    /// The stream goes on after the object.
    #[error("goes on after the object")]
    Long,
    /// There are bytes after the stream.
    #[error("{left} bytes after the stream")]
    Behind {
        /// How many.
        left: usize,
    },
    /// There is not enough memory.
    #[error("not enough memory")]
    Memory,
}

fn hex(id: ParametersId) -> String {
    nexus_types::Digest(id.0).to_string()
}
