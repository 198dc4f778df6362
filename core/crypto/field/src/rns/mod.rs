//! Arithmetic modulo primes of 2 to 61 bits, for polynomials kept by their residues: the ground
//! under homomorphic encryption.
//!
//! A polynomial modulo X^N + 1 with large coefficients is kept as one vector of N words for each
//! prime of a list ("RNS"). Sums and products are then computed prime by prime: by [`Modulus`]
//! word by word, once [`Transform`] has turned products of polynomials into products of words.
//!
//! # Words
//!
//! Words in memory are canonical, in `[0, q)`, and [`Modulus::reduce_from`] makes them so. A word
//! that is not gives a wrong result, never a fault. Every kernel gives the same words.
//!
//! # Agreement with SEAL
//!
//! Primes ([`choose`]), roots of unity ([`Transform::root`]) and the order of slots are those of
//! Microsoft SEAL, so that words can be exchanged with it as they are.
//!
//! # Kernels
//!
//! Vectors of 256 or 512 bits take primes below 2^50: as doubles, whose bounds `float.rs` proves, or
//! with products of 52 bits where multiples of the prime leave room, up to 46 bits. Vectors of 512
//! bits take primes of 51 to 60 bits too, by halves of words (`avx512/long.rs`). Other primes are
//! left to plain Rust, except in sums. The benchmark `residues` compares them.
//!
//! # Time
//!
//! There is no branch and no index that depends on a value, for keys pass through here. Excepted
//! are what is public: a modulus, the exponent of [`Modulus::pow`], and whether
//! [`Modulus::inverse`] exists.
//!
//! # References
//!
//! * D. Harvey, *Faster arithmetic for number-theoretic transforms*, 2014
//!   (<https://arxiv.org/abs/1205.2926>)
//! * P. Barrett, *Implementing the Rivest Shamir and Adleman public key encryption algorithm on a
//!   standard digital signal processor*, 1986
//! * G. L. Miller, M. O. Rabin; J. Sorenson, J. Webster, *Strong pseudoprimes to twelve prime
//!   bases*, 2015 (<https://arxiv.org/abs/1509.00864>)

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod float;
mod modulus;
#[cfg(target_arch = "x86_64")]
mod passes;
mod portable;
mod prime;
mod transform;
mod words;

pub use modulus::Modulus;
pub use prime::{choose, choose_in_steps};
pub use transform::{MAX_DEGREE, MIN_DEGREE, Transform};
pub use words::nearest_sum;

/// Bits of the largest modulus.
pub const MAX_BITS: u32 = 61;
/// Bits of the largest prime that [`choose`] looks for, as in SEAL.
pub const MAX_CHOSEN_BITS: u32 = 60;
/// Primes that [`choose`] looks for at once, as in SEAL.
pub const MAX_PRIMES: usize = 256;

/// Why there is no such modulus or transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RnsError {
    /// The modulus is too small or too large.
    #[error("a modulus of {got}; from 2 to 2^{MAX_BITS} − 1 are possible")]
    Size {
        /// The modulus.
        got: u64,
    },
    /// The modulus is no prime.
    #[error("{got} is not a prime")]
    Composite {
        /// The modulus.
        got: u64,
    },
    /// The degree is no power of two within the limits.
    #[error("degree {got}; powers of two from {MIN_DEGREE} to {MAX_DEGREE} are possible")]
    Degree {
        /// The degree.
        got: usize,
    },
    /// There is no root of unity of the order that the transform needs.
    #[error("{modulus} is not 1 modulo {}", 2 * degree)]
    Root {
        /// The modulus.
        modulus: u64,
        /// The degree.
        degree: usize,
    },
    /// Primes of such a size are not looked for.
    #[error("primes of {got} bits; from 2 to {MAX_CHOSEN_BITS} are possible")]
    Bits {
        /// The size asked for, in bits.
        got: u32,
    },
    /// More primes are asked for than any list has.
    #[error("{got} primes; at most {MAX_PRIMES} are possible")]
    Count {
        /// How many are asked for.
        got: usize,
    },
    /// There are fewer primes of that size than asked for.
    #[error("there are no {wanted} primes of {bits} bits that are 1 modulo {step}")]
    Scarce {
        /// The size asked for, in bits.
        bits: u32,
        /// How many are asked for.
        wanted: usize,
        /// What the primes minus 1 are to be divisible by.
        step: u64,
    },
}

#[cfg(test)]
mod tests;
