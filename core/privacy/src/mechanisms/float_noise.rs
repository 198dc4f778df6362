//! Gaussian noise on floats, for local experiments that need speed and state that they use it.
//!
//! Its last bits give away what it was added to (Mironov 2012; Haney et al. 2022): the guarantee of
//! the accountant holds for real numbers, not for these. Nothing here passes through a budget or reaches
//! a stage of [`crate::flow`]; who wants it says so with [`FloatNoise::accepting_leaky_floats`].
//!
//! ```
//! use nexus_privacy::mechanisms::float_noise::FloatNoise;
//! use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
//!
//! let noise = FloatNoise::accepting_leaky_floats(2.0)?;
//! let mut values = [0.0; 8];
//! noise.add(&mut ChaCha12Rng::seed_from_u64(1), &mut values);
//! assert!(values.iter().all(|x: &f64| x.abs() < 20.0));
//! # Ok::<(), nexus_privacy::mechanisms::MechanismError>(())
//! ```

use nexus_field::mask::{MaskKey, keystream};
use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use super::{MechanismError, within};

/// Noise that is Gaussian but for its rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatNoise {
    sigma: f64,
}

impl FloatNoise {
    /// Noise of deviation `sigma`, by someone who knows what floats leak.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] if it is negative or not finite.
    pub fn accepting_leaky_floats(sigma: f64) -> Result<Self, MechanismError> {
        let sigma = within("the width of the noise", sigma, 0.0..=1e300, "0 to 1e300 is possible")?;
        Ok(Self { sigma })
    }

    /// Adds fresh noise to every value (Box & Muller 1958, eight pairs at a time; no draw is beyond
    /// 8.5 deviations).
    pub fn add(&self, rng: &mut dyn CryptoRng, values: &mut [f64]) {
        let mut key = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *key);
        let key = MaskKey::new(*key);
        let mut bytes = Zeroizing::new([0; BYTES]);
        let blocks = (0..).step_by(BYTES / 16);
        for (first, values) in blocks.zip(values.chunks_mut(BYTES / 8)) {
            keystream(&key, first, &mut *bytes);
            let once = Once;
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    Once::spend(once);
                    add_normals(&bytes, self.sigma, values);
                },
            );
        }
    }
}

/// What a closure moves can be called once only, so without a shim that would not be inlined.
#[derive(Debug)]
struct Once;

impl Once {
    const fn spend(_: Self) {}
}

/// Bytes of keystream that are used at a time, eight for each value.
const BYTES: usize = 4096;
/// Pairs that are made together.
const PAIRS: usize = 8;
/// The bits of 1.
const ONE: u64 = 0x3ff0_0000_0000_0000;

/// Adds normals of deviation `sigma`, made of these bits.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn add_normals(bytes: &[u8; BYTES], sigma: f64, values: &mut [f64]) {
    for (bits, values) in
        bytes.as_chunks::<{ 16 * PAIRS }>().0.iter().zip(values.chunks_mut(2 * PAIRS))
    {
        let words = bits.as_chunks::<8>().0;
        let mut normals = [0.0; 2 * PAIRS];
        for pair in 0..PAIRS {
            let radius = sigma * radius(u64::from_le_bytes(words[pair]));
            let (x, y) = direction(u64::from_le_bytes(words[PAIRS + pair]));
            normals[pair] = radius * x;
            normals[PAIRS + pair] = radius * y;
        }
        for (value, normal) in values.iter_mut().zip(normals) {
            *value += normal;
        }
    }
}

/// √(−2 ln u), u uniform in (0, 1] in steps of 2^-52.
#[inline(always)]
fn radius(bits: u64) -> f64 {
    /// The bits of √(1/2).
    const ROOT: u64 = 0x3fe6_a09e_667f_3bcd;
    /// The bits of a float beside which floats are integers.
    const FAR: u64 = 0x4338_0000_0000_0000;
    let uniform = (2.0 - f64::from_bits(bits >> 12 | ONE)).to_bits();
    // u = 2^exponent · fraction, the fraction in [√(1/2), √2).
    let exponent = (uniform.wrapping_sub(ROOT).cast_signed() >> 52).cast_unsigned();
    let fraction = f64::from_bits(uniform.wrapping_sub(exponent << 52));
    let exponent = f64::from_bits(exponent.wrapping_add(FAR)) - f64::from_bits(FAR);
    // ln f = 2 artanh s, s = (f − 1) / (f + 1), |s| < 0.172.
    let s = (fraction - 1.0) / (fraction + 1.0);
    let series = polynomial(
        s * s,
        [1.0, 1.0 / 3.0, 0.2, 1.0 / 7.0, 1.0 / 9.0, 1.0 / 11.0, 1.0 / 13.0, 1.0 / 15.0, 1.0 / 17.0],
    );
    (-2.0 * (exponent * std::f64::consts::LN_2 + 2.0 * s * series)).sqrt()
}

/// A uniform point of the unit circle: of its first octant by 52 bits, and three for the octant.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn direction(bits: u64) -> (f64, f64) {
    let angle = (f64::from_bits(bits >> 12 | ONE) - 1.0) * std::f64::consts::FRAC_PI_4;
    let square = angle * angle;
    let sine = angle
        * polynomial(
            square,
            [
                1.0,
                -1.0 / 6.0,
                1.0 / 120.0,
                -1.0 / 5040.0,
                1.0 / 362_880.0,
                -1.0 / 39_916_800.0,
                1.0 / 6_227_020_800.0,
            ],
        );
    let cosine = polynomial(
        square,
        [
            1.0,
            -0.5,
            1.0 / 24.0,
            -1.0 / 720.0,
            1.0 / 40_320.0,
            -1.0 / 3_628_800.0,
            1.0 / 479_001_600.0,
            -1.0 / 87_178_291_200.0,
        ],
    );
    let (x, y) = if bits & 4 == 0 { (cosine, sine) } else { (sine, cosine) };
    let signed = |value: f64, sign: u64| f64::from_bits(value.to_bits() ^ sign << 63);
    (signed(x, bits & 1), signed(y, bits >> 1 & 1))
}

/// Σ `terms[k]` `x`^k.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn polynomial<const N: usize>(x: f64, terms: [f64; N]) -> f64 {
    terms.into_iter().rev().fold(0.0, |sum, term| sum * x + term)
}

#[cfg(test)]
mod tests {
    use nexus_types::Rng;

    use super::super::secret_rng;
    use super::*;

    #[test]
    fn moments_are_those_of_a_gaussian() {
        let mut values = vec![0.0; 200_001];
        let noise = FloatNoise::accepting_leaky_floats(3.0).unwrap();
        noise.add(&mut secret_rng(1), &mut values);
        let count = values.len() as f64;
        let moment =
            |power| values.iter().map(|x: &f64| (x / 3.0).powi(power)).sum::<f64>() / count;
        assert!(moment(1).abs() < 5.0 / count.sqrt());
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / count).sqrt());
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / count).sqrt());
        assert!(FloatNoise::accepting_leaky_floats(f64::NAN).is_err());
    }

    #[test]
    fn series_are_as_good_as_the_functions() {
        let mut rng = secret_rng(3);
        for _ in 0..100_000 {
            let (bits, other) = (rng.next_u64(), rng.next_u64());
            let uniform = 2.0 - f64::from_bits(bits >> 12 | ONE);
            assert!((radius(bits) - (-2.0 * uniform.ln()).sqrt()).abs() < 1e-12, "{uniform}");
            let (x, y) = direction(other);
            assert!((x.hypot(y) - 1.0).abs() < 1e-12);
            let angle = (f64::from_bits(other >> 12 | ONE) - 1.0) * std::f64::consts::FRAC_PI_4;
            let expected = if other & 4 == 0 { angle.sin() } else { angle.cos() };
            assert!((y.abs() - expected).abs() < 1e-12, "{angle}");
        }
        for (bits, expected) in [(0, 0.0), (u64::MAX, (104.0 * 2_f64.ln()).sqrt())] {
            assert!((radius(bits) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn quantiles_are_those_of_a_gaussian() {
        let mut values = vec![0.0; 400_000];
        let noise = FloatNoise::accepting_leaky_floats(1.0).unwrap();
        noise.add(&mut secret_rng(4), &mut values);
        let count = values.len() as f64;
        for (bound, share) in
            [(-3.0, 0.001_349_9), (-1.0, 0.158_655_3), (0.5, 0.691_462_5), (2.0, 0.977_249_9)]
        {
            let below = values.iter().filter(|value| **value < bound).count() as f64;
            assert!((below - share * count).abs() < 6.0 * (share * (1.0 - share) * count).sqrt());
        }
        let neighbours: f64 = values.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let partners: f64 = values.windows(9).map(|pair| pair[0] * pair[8]).sum();
        assert!(neighbours.abs() < 6.0 * count.sqrt() && partners.abs() < 6.0 * count.sqrt());
    }

    /// The attack: noise in floats has gaps that a shift does not respect. Of a value 0 or 1, one has
    /// sums that the other cannot have.
    #[test]
    fn the_last_bits_tell_what_the_noise_was_added_to() {
        let noise = FloatNoise::accepting_leaky_floats(1.0).unwrap();
        let mut rng = secret_rng(2);
        let fine = |value: f64| (value * (1_u64 << 53) as f64).fract() == 0.0;
        let mut count = |start: f64| {
            let mut values = vec![start; 4000];
            noise.add(&mut rng, &mut values);
            let near: Vec<f64> = values.into_iter().filter(|x| x.abs() < 0.4).collect();
            near.iter().filter(|x| fine(**x)).count() as f64 / near.len() as f64
        };
        // Added to 1, everything near 0 is a multiple of 2^-53; added to 0, the less the nearer.
        let (zero, one) = (count(0.0), count(1.0));
        assert!(one > 0.999 && zero < 0.5, "{zero} {one}");
    }
}
