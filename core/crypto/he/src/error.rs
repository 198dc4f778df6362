//! What can be wrong with parameters, keys and ciphertexts.

use nexus_field::rns::RnsError;

/// Why something is no parameter, key or ciphertext, or does not fit another.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeError {
    /// A modulus is not one, or has no transform of the degree.
    #[error(transparent)]
    Rns(#[from] RnsError),
    /// A degree outside the closed table.
    #[error("degree {got}; powers of two from 1024 to 32768 are possible")]
    Degree {
        /// The degree.
        got: usize,
    },
    /// Too many bits for the degree.
    #[error("the moduli have {got} bits together; {limit} are secure with degree {degree}")]
    Insecure {
        /// Bits of their product.
        got: u32,
        /// The most that 128 bits of security allow.
        limit: u32,
        /// The degree.
        degree: usize,
    },
    /// A number of moduli that is not possible.
    #[error("{got} moduli; from {least} to {most} are possible")]
    Moduli {
        /// How many.
        got: usize,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// A number of moduli for keys that is not possible.
    #[error("{got} moduli for keys only: {problem}")]
    Special {
        /// How many.
        got: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The same modulus twice.
    #[error("the modulus {got} is in the list twice")]
    Twice {
        /// The modulus.
        got: u64,
    },
    /// A plain modulus that does not go with the others.
    #[error("plain modulus {got}: {problem}")]
    Plain {
        /// The plain modulus.
        got: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// An operation of another scheme.
    #[error("{operation} is not for this scheme")]
    Scheme {
        /// The operation.
        operation: &'static str,
    },
    /// Objects of other parameters.
    #[error("the parameters are others")]
    OtherParameters,
    /// A level that does not exist, or is not the one needed.
    #[error("{what} has {got} moduli, {needed} are needed")]
    Level {
        /// Of what.
        what: &'static str,
        /// Its moduli.
        got: usize,
        /// What is needed.
        needed: usize,
    },
    /// There is no modulus left to drop.
    #[error("the last modulus cannot be dropped")]
    Exhausted,
    /// A ciphertext has too many or too few polynomials.
    #[error("{what} takes a ciphertext of {needed} polynomials, this one has {got}")]
    Size {
        /// The operation.
        what: &'static str,
        /// Polynomials.
        got: usize,
        /// What is needed.
        needed: usize,
    },
    /// Too many values for the slots.
    #[error("{got} values; there is room for {limit}")]
    Values {
        /// How many.
        got: usize,
        /// Slots.
        limit: usize,
    },
    /// A vector of another length.
    #[error("a vector of {got} numbers; {needed} are needed")]
    Width {
        /// Its length.
        got: usize,
        /// The length needed.
        needed: usize,
    },
    /// Runs that cannot be.
    #[error("{width} coordinates in runs of {run}: both must be above 0, and runs a power of two")]
    Layout {
        /// Coordinates.
        width: usize,
        /// Slots of a run.
        run: usize,
    },
    /// A value or scale that cannot be encoded.
    #[error("{what} is {got}: {problem}")]
    Number {
        /// What.
        what: &'static str,
        /// Its value.
        got: f64,
        /// Why not.
        problem: &'static str,
    },
    /// An integer that is none modulo t.
    #[error("value {index} is {got}: with this plain modulus {limit} is the largest magnitude")]
    Integer {
        /// Its place.
        index: usize,
        /// The value.
        got: i64,
        /// The largest magnitude.
        limit: u64,
    },
    /// The noise has reached the message.
    #[error("the noise of the ciphertext is as large as its message: too much was computed on it")]
    Noise,
    /// Scales that differ.
    #[error("the scales differ: {ours} and {theirs}")]
    Scale {
        /// One.
        ours: f64,
        /// The other.
        theirs: f64,
    },
    /// There is no key for a rotation.
    #[error("there is no key for the Galois element {element}")]
    NoKey {
        /// The element.
        element: u64,
    },
    /// A number of slots to rotate by.
    #[error("a rotation by {got}; fewer than {limit} slots are possible")]
    Rotation {
        /// The number.
        got: i64,
        /// Slots.
        limit: usize,
    },
    /// A word that is no residue.
    #[error("word {index} is {got}, it must be below {modulus}")]
    Word {
        /// Its place.
        index: usize,
        /// The word.
        got: u64,
        /// The modulus.
        modulus: u64,
    },
    /// More than anyone makes for a stranger, or takes from one.
    #[error("{what} of {got} bytes; {limit} are possible")]
    Bytes {
        /// What.
        what: &'static str,
        /// Bytes in memory.
        got: u64,
        /// The most.
        limit: u64,
    },
    /// A ciphertext that shows what is in it.
    #[error("the ciphertext is transparent: all but its first polynomial are zero")]
    Transparent,
    /// Threads that cannot be started.
    #[error("{count} threads cannot be started: {problem}")]
    Threads {
        /// How many.
        count: usize,
        /// Why.
        problem: String,
    },
}
