//! The discrete Gaussian over the integers that keys and errors of the masks are drawn from:
//! `x` with probability proportional to `exp(-x^2 / (2 sigma^2)) = exp(-x^2 / 81)`.
//!
//! # The sample
//!
//! A seed gives a 128-bit AES key and a 64-bit nonce: the first 24 bytes of BLAKE3's `derive_key`
//! over the seed under the context `nexus/field/gaussian v1`. Sample number `i` is made of the
//! encryption of the block that holds `i` and the nonce, little-endian, 64 bits each: 16 bytes,
//! two 64-bit words, a little-endian number. Its lowest bit is the sign; the magnitude is how many
//! entries of the table are above the other 127 bits. Entry `x` of the table is 2^127 times the
//! probability of a magnitude above `x`, rounded to the nearest integer.
//!
//! The seed alone determines the samples, however many calls they are drawn in and whatever kernel
//! draws them.
//!
//! # How close it is
//!
//! Every entry is off by at most 2^-128, so a sample is within 2^-121 (total variation) of the
//! discrete Gaussian; values beyond 83 have less probability than a table of 127 bits can hold,
//! and are never drawn. A test recomputes the table by exact interval arithmetic and shows 2^-100,
//! the bound that the security argument uses. What is left is the keystream: a guess of 128 bits,
//! and nonces keep a guess for one seed from being one for another.
//!
//! # Constant time
//!
//! Every sample reads every entry at the same addresses in the same order; there are no branches.
//! The AVX2 kernel picks among eight entries with a permutation inside a register.
//!
//! On one thread at 2 GHz, half a million samples take 3.0 ms with AVX2 and VAES, and 40 ms in
//! plain Rust (`cargo bench -p bench --bench kernels -- gaussian`).
//!
//! Wider Gaussians, for noise, are sums of these: [`WideSampler`].
//!
//! # Why not a centred binomial or ternary
//!
//! The sum of the keys is published: that is how a sum is opened. With `k1 + k2 = K` known, the
//! two Gaussians of width `sigma` are still one Gaussian of width `sigma / sqrt(2)` around `K / 2`,
//! and what hides an owner is the learning-with-errors problem of width `sigma / 2 = 3.18` plus
//! independent noise (convolution of discrete Gaussians: Peikert, *An Efficient and Parallel
//! Gaussian Sampler for Lattices*, CRYPTO 2010, theorem 3.1). That argument needs the Gaussian's
//! shape and a width above the smoothing parameter. A ternary key fails at once: where two of them
//! add up to 2 or -2 both are known exactly, and so are they at the ends of a centred binomial's
//! range; what a known sum leaves of a binomial has no such theorem. So there is no other
//! distribution here to choose.
//!
//! ```
//! use nexus_field::gaussian::Sampler;
//!
//! let mut errors = [0; 4096];
//! Sampler::new([7; 32]).fill(&mut errors);
//! let square: i64 = errors.iter().map(|x| i64::from(*x).pow(2)).sum();
//! assert!((38..43).contains(&(square / 4096)));
//! ```

use std::fmt;

use zeroize::Zeroizing;

use crate::Kernel;
use crate::mask::{Cipher, Counter, MaskKey, Op};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(test)]
mod exact;
mod table;
#[cfg(test)]
mod tests;
mod wide;

use table::TAILS;
pub use wide::{MAX_STAGES, MAX_WIDTH, WideSampler, Width, WidthError};

/// The width of the distribution: `4.5 * sqrt(2)`, so that its square is 40.5.
pub const SIGMA: f64 = 4.5 * std::f64::consts::SQRT_2;
/// No sample has a larger magnitude.
pub const MAX: i8 = 127;

const CONTEXT: &str = "nexus/field/gaussian v1";
/// Samples drawn at once: their randomness stays in the nearest cache.
const BATCH: usize = 256;

/// The randomness of one sample: a little-endian number of four words.
type Draw = [u32; 4];

/// Draws samples from a seed. Wiped when dropped.
pub struct Sampler {
    kernel: Kernel,
    cipher: Cipher,
    next: Counter,
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").finish_non_exhaustive()
    }
}

impl Sampler {
    /// The samples of `seed`, which must be uniform and secret.
    pub fn new(seed: [u8; 32]) -> Self {
        Self::with_kernel(Kernel::detect(), seed)
    }

    /// [`Sampler::new`] by a kernel of choice, for tests and benchmarks.
    #[doc(hidden)]
    pub fn with_kernel(kernel: Kernel, seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        let mut derived = blake3::Hasher::new_derive_key(CONTEXT).update(&*seed).finalize_xof();
        let (mut key, mut nonce) = (Zeroizing::new([0; 16]), [0; 8]);
        derived.fill(&mut *key);
        derived.fill(&mut nonce);
        let key = MaskKey::new(*key);
        let next = Counter { low: 0, high: u64::from_le_bytes(nonce) };
        Self { kernel, cipher: Cipher::new(kernel, &key), next }
    }

    /// Draws the next samples.
    pub fn fill(&mut self, out: &mut [i8]) {
        let mut draws = Zeroizing::new([[0; 4]; BATCH]);
        for batch in out.chunks_mut(BATCH) {
            let draws = &mut draws[..batch.len()];
            self.cipher.run_blocks(Op::Set, self.next, draws);
            self.next = self.next.plus(batch.len());
            sample(self.kernel, draws, batch);
        }
    }
}

fn sample(kernel: Kernel, draws: &[Draw], out: &mut [i8]) {
    #[cfg(target_arch = "x86_64")]
    let done = avx2::sample(kernel, draws, out);
    #[cfg(not(target_arch = "x86_64"))]
    let (done, _) = (0, kernel);
    for (draw, out) in draws[done..].iter().zip(&mut out[done..]) {
        *out = portable(*draw);
    }
}

/// The twin of the kernel.
fn portable(draw: Draw) -> i8 {
    let number = draw.iter().rev().fold(0, |number, word| number << 32 | u128::from(*word));
    let magnitude: u8 = TAILS.iter().map(|tail| is_less(number >> 1, *tail)).sum();
    let sign = 0_u8.wrapping_sub((number & 1) as u8);
    (magnitude ^ sign).wrapping_sub(sign).cast_signed()
}

/// 1 if `a < b`, of two numbers below 2^127: then the difference has its top bit set.
fn is_less(a: u128, b: u128) -> u8 {
    (a.wrapping_sub(b) >> 127) as u8
}
