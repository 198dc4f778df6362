//! The field in which masks, shares and proofs live, and what is computed in it by the million:
//! products in a ring of polynomials, sums of long vectors, samplers and keystreams.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Fp`] | the field of p = 2^64 − 2^32 + 1, "Goldilocks" |
//! | [`Cubic`] | its extension of degree 3, for challenges that nobody can search for |
//! | [`ntt`] | the transform that turns products modulo X^4096 + 1 into products of words |
//! | [`ring`] | vectors of words: products, sums, uniform public polynomials |
//! | [`gaussian`] | keys and errors: a sampler in constant time |
//! | [`mask`] | streams that hide vectors of words modulo 2^32 |
//! | [`rns`] | primes of up to 61 bits and their transforms, for homomorphic encryption |
//! | [`edwards`] | the group ristretto255, eight elements at a time |
//! | [`Kernel`] | which instructions this machine has |
//!
//! # Why its own
//!
//! Plonky3 has this field too, but its scalar code branches on values, which here are keys, and
//! its vectors must be chosen when the program is built. Here every operation on secrets takes the
//! same time for all values, and the kernel is chosen while the program runs: one binary for every
//! machine, with the same words as a result. Roots of unity and the extension are those of
//! Plonky3, so that its proofs speak of the same numbers.
//!
//! # Threat model
//!
//! Whoever measures time or caches learns nothing of the values that pass through: there is no
//! branch and no index that depends on one. Three things are excepted, because they are public:
//! the exponent of [`Fp::pow`], which words [`ring::uniform`] skips, and how often the draws from
//! a random source are repeated. Words from outside are decoded as [`Fp`], or checked by
//! [`ring::check_canonical`], before they are used; unchecked they give wrong sums, never faults.
//!
//! # Example
//!
//! ```
//! use nexus_field::{N, P, ntt, ring, zero_block};
//!
//! // X^4095 · X = X^4096 = −1.
//! let (mut a, mut b) = (zero_block(), zero_block());
//! (a[N - 1], b[1]) = (1, 1);
//! ntt::forward(&mut a);
//! ntt::forward(&mut b);
//! ring::mul(&mut a, &b);
//! ntt::inverse(&mut a);
//! assert_eq!(a[0], P - 1);
//! assert!(a[1..].iter().all(|word| *word == 0));
//! ```
//!
//! # References
//!
//! * The transform: P. Longa, M. Naehrig, *Speeding up the number theoretic transform for faster
//!   ideal lattice-based cryptography*, 2016 (<https://eprint.iacr.org/2016/504>)
//! * Reduction: P. L. Montgomery, *Modular multiplication without trial division*, 1985
//! * The field: Plonky3, crate `p3-goldilocks`; BLAKE3: <https://github.com/BLAKE3-team/BLAKE3-specs>

#[cfg(target_arch = "x86_64")]
mod avx2;
mod cubic;
pub mod edwards;
pub mod gaussian;
mod goldilocks;
mod kernel;
pub mod mask;
pub mod ntt;
pub mod ring;
pub mod rns;

pub use cubic::Cubic;
pub use goldilocks::{Fp, P};
pub use kernel::Kernel;

/// Words in a [`Block`]: the degree of X^4096 + 1.
pub const N: usize = 4096;

/// A polynomial modulo X^4096 + 1 by its coefficients, lowest first, or by its slots: words below
/// [`P`]. 32 KiB, so it lives on the heap.
pub type Block = [u64; N];

/// The polynomial 0.
#[expect(clippy::large_stack_arrays, reason = "the one place where a block is made")]
pub fn zero_block() -> Box<Block> {
    Box::new([0; N])
}
