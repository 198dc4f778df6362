//! Discrete Gaussians of any large width, as sums of narrow ones.
//!
//! # The sample
//!
//! With `z_0, z_1, ...` independent samples of the table of [`super`], of variance 40.5, a sample is
//! `k_0 z_0 + k_1 z_1 + ...` for the factors of a [`Width`]: its variance is `40.5 S` with
//! `S = k_0^2 + k_1^2 + ...`. Any whole `S >= 1` has factors: the largest is
//! `floor(sqrt(8 S / 9))`, the rest are those of what is left of `S`. So `k_0 = 1`, and every factor
//! is at most `sqrt(8)` times the root of the sum of the squares before it.
//!
//! Stage `j` has its own stream: that of the sampler whose key is derived from the seed and `j`
//! under the context `nexus/field/wide-gaussian v1`. The seed and the width alone determine the
//! samples, however many calls they are drawn in.
//!
//! # How close it is
//!
//! For `X ~ N_Z(0, A)` and `Z ~ N_Z(0, B)` the weight of `X + k Z = y` is
//! `exp(-y^2 / (2 (A + k^2 B)))` times a sum over the multiples of `k` of a Gaussian of variance
//! `s^2 = A k^2 B / (A + k^2 B)`, which by Poisson's summation formula is the same for every `y` up
//! to a factor `1 +- e`, `e = 2 exp(-2 pi^2 s^2 / k^2) + ...` (Peikert 2010, theorem 3.1;
//! Micciancio & Walter, *Gaussian Sampling over the Integers*, CRYPTO 2017). Here `A = 40.5 S'`,
//! `B = 40.5` and `k^2 <= 8 S'`, so `s^2 / k^2 = 40.5 S' / (S' + k^2) >= 4.5` and
//! `e < 2^-126`. With 2^-121 for each table sample and at most [`MAX_STAGES`] stages, a sample is
//! within **2^-115** (total variation) of `N_Z(0, 40.5 S)`. A test shows the step from
//! one stage to the next in exact interval arithmetic, where `k^2 = 8 S'`.
//!
//! # Constant time
//!
//! The factors are public; everything else is as constant as the table's sampler.
//!
//! ```
//! use nexus_field::gaussian::{Width, WideSampler};
//!
//! let width = Width::at_least(1e6)?;
//! assert!((1e6..1.000_001e6).contains(&width.sigma()));
//! let mut noise = [0; 4096];
//! WideSampler::new(&width, &[7; 32]).fill(&mut noise);
//! # Ok::<(), nexus_field::gaussian::WidthError>(())
//! ```

use std::fmt;

use zeroize::Zeroizing;

use super::{SIGMA, Sampler};
use crate::Kernel;

/// No width has more stages.
pub const MAX_STAGES: usize = 40;
/// The largest width, in grid steps: 2^33.
pub const MAX_WIDTH: f64 = (1_u64 << 33) as f64;

const CONTEXT: &str = "nexus/field/wide-gaussian v1";
/// Samples made at once: with their narrow samples they stay in the nearest cache.
const BATCH: usize = 2048;

/// Why there is no such width.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WidthError {
    /// It is below the table's own, above [`MAX_WIDTH`] or not a number.
    #[error("a width of {got} grid steps; from {SIGMA} to {MAX_WIDTH} are possible")]
    Range {
        /// The width.
        got: f64,
    },
}

/// The width of a wide discrete Gaussian: its variance is a whole multiple of 40.5.
#[derive(Clone, PartialEq, Eq)]
pub struct Width {
    squares: u64,
    /// From 1 upwards.
    factors: Vec<u32>,
}

impl fmt::Debug for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Width").field("squares", &self.squares).finish_non_exhaustive()
    }
}

impl Width {
    /// The least width that is at least `sigma`, in grid steps: above it by a relative
    /// `10 / sigma^2` at most.
    ///
    /// # Errors
    /// [`WidthError::Range`] below the table's own width or above [`MAX_WIDTH`].
    pub fn at_least(sigma: f64) -> Result<Self, WidthError> {
        if !(SIGMA..=MAX_WIDTH).contains(&sigma) {
            return Err(WidthError::Range { got: sigma });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive and below 2^61"
        )]
        let mut squares = (sigma * sigma / 40.5).floor() as u64;
        // The quotient was rounded; the root that the caller sees decides.
        while rounded_sigma(squares) < sigma {
            squares += 1 + (squares >> 53);
        }
        Ok(Self { squares, factors: factors(squares) })
    }

    /// `S`: the variance is `40.5 S`, exactly.
    pub const fn squares(&self) -> u64 {
        self.squares
    }

    /// The width, never above the true one, in grid steps.
    pub fn sigma(&self) -> f64 {
        rounded_sigma(self.squares)
    }

    /// How many narrow samples make one.
    pub const fn stages(&self) -> usize {
        self.factors.len()
    }
}

/// `sqrt(40.5 squares)`, rounded down by no more than three units in the last place.
fn rounded_sigma(squares: u64) -> f64 {
    // Exact up to 2^46; the conversion, the product and the root may each round up beyond.
    let root = (40.5 * squares as f64).sqrt();
    let exact = squares < 1 << 46 && {
        // The root of a whole multiple of 81/2 is exact only if its square is.
        let square = root * root;
        root.mul_add(root, -square) == 0.0 && square <= 40.5 * squares as f64
    };
    if exact { root } else { root.next_down().next_down() }
}

fn factors(squares: u64) -> Vec<u32> {
    let mut factors = Vec::new();
    let mut left = squares;
    while left > 1 {
        // 8 / 9 of it, rounded down.
        let factor = (left - left.div_ceil(9)).isqrt();
        factors.push(u32::try_from(factor).unwrap_or(u32::MAX));
        left -= factor * factor;
    }
    factors.push(1);
    factors.reverse();
    factors
}

/// Draws wide samples from a seed. Wiped when dropped.
pub struct WideSampler {
    kernel: Kernel,
    stages: Vec<(u32, Sampler)>,
}

impl fmt::Debug for WideSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WideSampler").finish_non_exhaustive()
    }
}

impl WideSampler {
    /// The samples of `seed`, which must be uniform and secret, of this width.
    pub fn new(width: &Width, seed: &[u8; 32]) -> Self {
        Self::with_kernel(Kernel::detect(), width, seed)
    }

    /// [`WideSampler::new`] by a kernel of choice, for tests and benchmarks.
    #[doc(hidden)]
    pub fn with_kernel(kernel: Kernel, width: &Width, seed: &[u8; 32]) -> Self {
        let stages = (0_u64..).zip(&width.factors).map(|(stage, factor)| {
            let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
            hasher.update(seed).update(&stage.to_le_bytes());
            let seed = Zeroizing::new(*hasher.finalize().as_bytes());
            (*factor, Sampler::with_kernel(kernel, *seed))
        });
        Self { kernel, stages: stages.collect() }
    }

    /// Draws the next samples, in grid steps; magnitudes are below 2^42.
    pub fn fill(&mut self, out: &mut [i64]) {
        out.fill(0);
        self.add(out);
    }

    /// Adds the next samples to `out`, modulo 2^64.
    pub fn add(&mut self, out: &mut [i64]) {
        let mut narrow = Zeroizing::new([0_i8; BATCH]);
        for batch in out.chunks_mut(BATCH) {
            let narrow = &mut narrow[..batch.len()];
            for (factor, sampler) in &mut self.stages {
                sampler.fill(narrow);
                add_scaled(self.kernel, *factor, narrow, batch);
            }
        }
    }
}

fn add_scaled(kernel: Kernel, factor: u32, narrow: &[i8], out: &mut [i64]) {
    #[cfg(target_arch = "x86_64")]
    let done = super::avx2::add_scaled(kernel, factor, narrow, out);
    #[cfg(not(target_arch = "x86_64"))]
    let (done, _) = (0, kernel);
    add_scaled_portable(factor, &narrow[done..], &mut out[done..]);
}

/// The twin of the kernel.
#[inline]
pub(super) fn add_scaled_portable(factor: u32, narrow: &[i8], out: &mut [i64]) {
    for (out, &sample) in out.iter_mut().zip(narrow) {
        *out = out.wrapping_add(i64::from(sample) * i64::from(factor));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(kernel: Kernel, sigma: f64, count: usize) -> Vec<i64> {
        let mut out = vec![0; count];
        let width = Width::at_least(sigma).unwrap();
        WideSampler::with_kernel(kernel, &width, &[9; 32]).fill(&mut out);
        out
    }

    proptest! {
        #[test]
        fn factors_make_the_sum_and_stay_in_proportion(squares in 1_u64..1 << 61, shift in 0_u32..61) {
            let squares = (squares >> shift).max(1);
            let factors = factors(squares);
            prop_assert!(factors.len() <= MAX_STAGES, "{}", factors.len());
            let mut sum = 0_u128;
            for &factor in &factors {
                let square = u128::from(factor).pow(2);
                prop_assert!(sum == 0 && factor == 1 || square <= 8 * sum);
                sum += square;
            }
            prop_assert_eq!(sum, u128::from(squares));
        }

        #[test]
        fn a_width_is_at_least_what_was_asked_for(exponent in 2.0_f64..9.9) {
            let sigma = 10_f64.powf(exponent);
            let width = Width::at_least(sigma).unwrap();
            prop_assert!(width.sigma() >= sigma);
            prop_assert!(width.sigma() <= sigma * (1.0 + 1e-15 + 21.0 / (sigma * sigma)));
            // Never above the true one: sigma^2 <= 40.5 S, compared as integers.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^54")]
            let scaled = (width.sigma() * f64::from(1 << 20)).floor() as u128;
            prop_assert!(2 * scaled * scaled <= (81 * u128::from(width.squares())) << 40);
        }
    }

    #[test]
    fn widths_out_of_range_are_refused() {
        for got in [0.0, 6.36, -1.0, f64::NAN, f64::INFINITY, MAX_WIDTH * 1.001] {
            assert!(matches!(Width::at_least(got), Err(WidthError::Range { .. })), "{got}");
        }
        assert_eq!(Width::at_least(SIGMA).map(|width| width.squares() <= 2), Ok(true));
        assert!(Width::at_least(MAX_WIDTH).unwrap().stages() <= 24);
    }

    #[test]
    fn kernels_and_calls_of_any_size_agree() {
        let whole = samples(Kernel::Portable, 1e6, 5003);
        for kernel in Kernel::available() {
            assert_eq!(samples(kernel, 1e6, 5003), whole, "{kernel:?}");
        }
        let width = Width::at_least(1e6).unwrap();
        let mut sampler = WideSampler::new(&width, &[9; 32]);
        let mut parts = vec![0; 5003];
        for part in parts.chunks_mut(777) {
            sampler.fill(part);
        }
        assert_eq!(parts, whole);
        assert_eq!(
            format!("{sampler:?} {width:?}"),
            "WideSampler { .. } Width { squares: 24691358025, .. }"
        );
    }

    #[test]
    fn moments_are_those_of_the_width() {
        const COUNT: usize = 1 << 18;
        for sigma in [7.0, 150.0, 12_345.6, 1e6, 3e9] {
            let drawn = samples(Kernel::detect(), sigma, COUNT);
            let variance = Width::at_least(sigma).unwrap().sigma().powi(2);
            let moment = |power| {
                let sum: f64 =
                    drawn.iter().map(|x| (*x as f64 / variance.sqrt()).powi(power)).sum();
                sum / COUNT as f64
            };
            let root = (COUNT as f64).sqrt();
            assert!(moment(1).abs() < 5.0 / root);
            assert!((moment(2) - 1.0).abs() < 5.0 * 2_f64.sqrt() / root, "{}", moment(2));
            assert!((moment(4) - 3.0).abs() < 5.0 * 96_f64.sqrt() / root, "{}", moment(4));
        }
    }
}
