//! What can be wrong with encrypted sums.

use nexus_types::CodecError;

use crate::HeError;

/// Why vectors cannot be encrypted, added or decrypted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdditiveError {
    /// A bound on values that is 0 or too large.
    #[error("values of up to {got}; from 1 to {limit} are possible")]
    Bound {
        /// The bound.
        got: u64,
        /// The largest possible.
        limit: u64,
    },
    /// A number of clients that is 0 or too large.
    #[error("{got} clients; from 1 to {limit} are possible")]
    Clients {
        /// How many.
        got: u32,
        /// The most.
        limit: u32,
    },
    /// A length of vectors that is 0 or too large.
    #[error("vectors of {got} values; from 1 to {limit} are possible")]
    Values {
        /// The length.
        got: usize,
        /// The largest possible.
        limit: usize,
    },
    /// No parameters of the table hold such sums.
    #[error(
        "sums of {field} bits under noise of {noise} bits fit no degree with 128 bits of security"
    )]
    NoParameters {
        /// Bits of a sum.
        field: u32,
        /// Bits below it.
        noise: u32,
    },
    /// A value above the bound that everyone agreed on.
    #[error("value {index} is {got}; magnitudes up to {limit} are possible")]
    Value {
        /// Its place.
        index: usize,
        /// The value.
        got: i64,
        /// The bound.
        limit: u64,
    },
    /// A vector of another length.
    #[error("a vector of {got} values; {needed} are needed")]
    Length {
        /// Its length.
        got: usize,
        /// The length needed.
        needed: usize,
    },
    /// A sum of nothing, or of more vectors than there is room for.
    #[error("a sum of {got} vectors; from 1 to {limit} are possible")]
    Addends {
        /// How many.
        got: u64,
        /// The most.
        limit: u32,
    },
    /// A sum under other terms: another bound, length or number of clients.
    #[error("the terms are others")]
    OtherTerms,
    /// A sum under another key.
    #[error("the key is another")]
    OtherKey,
    /// Bytes of another length.
    #[error("{what} of {got} bytes; it has {needed}")]
    Size {
        /// Of what.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there must be.
        needed: usize,
    },
    /// A word that is no residue.
    #[error("word {index} is not below {modulus}")]
    Residue {
        /// Its place.
        index: usize,
        /// The modulus.
        modulus: u64,
    },
    /// A number that is none modulo N².
    #[error("ciphertext {index} is not below the square of N")]
    Range {
        /// Its place.
        index: usize,
    },
    /// A ciphertext that shows what is in it.
    #[error("the ciphertext is transparent: all but its first polynomial are zero")]
    Transparent,
    /// What comes out is no sum of so many values within the bound.
    #[error(
        "the sum does not decrypt: its noise, or a value in it, is larger than honest clients make it"
    )]
    Noise,
    /// A key that is none.
    #[error("no key: {problem}")]
    Key {
        /// What is wrong.
        problem: &'static str,
    },
    /// Bytes that begin as nothing of this kind.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A degree or modulus that is not possible.
    #[error(transparent)]
    Parameters(#[from] HeError),
}
