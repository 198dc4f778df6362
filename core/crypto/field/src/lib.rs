//! The field in which masks, shares and proofs live.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Fp`] | F_p for p = 2^64 − 2^32 + 1, "Goldilocks" |
//! | [`Cubic`] | its extension of degree 3, for challenges that cannot be ground |
//! | [`ntt`] | the transform that makes products modulo X^4096 + 1 cheap |
//! | [`ring`] | vectors of words: products slot by slot, sums, uniform public polynomials |
//! | [`gaussian`] | keys and errors: a sampler in constant time |
//! | [`mask`] | streams that hide vectors of words modulo 2^32 |
//! | [`Kernel`] | which instructions this machine has |
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

#[cfg(target_arch = "x86_64")]
mod avx2;
mod cubic;
pub mod gaussian;
mod goldilocks;
mod kernel;
pub mod mask;
pub mod ntt;
pub mod ring;

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
