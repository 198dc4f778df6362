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

    /// Adds fresh noise to every value: f32, as where others train privately (Box & Muller 1958,
    /// sixteen pairs at a time, 64 bits of AES for each; no draw is beyond 7.5 deviations).
    pub fn add(&self, rng: &mut dyn CryptoRng, values: &mut [f64]) {
        let mut key = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *key);
        let key = MaskKey::new(*key);
        let mut bytes = Zeroizing::new([0; BYTES]);
        let blocks = (0..).step_by(BYTES / 16);
        for (first, values) in blocks.zip(values.chunks_mut(BYTES / 4)) {
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

/// Bytes of keystream that are used at a time, eight for each pair of values.
const BYTES: usize = 4096;
/// Pairs that are made together.
const PAIRS: usize = 16;
/// The bits of 1.
const ONE: u64 = 0x3ff0_0000_0000_0000;

/// Adds normals of deviation `sigma`, made of these bits.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn add_normals(bytes: &[u8; BYTES], sigma: f64, values: &mut [f64]) {
    let bits = bytes.as_chunks::<{ 8 * PAIRS }>().0;
    let (whole, rest) = values.as_chunks_mut::<{ 2 * PAIRS }>();
    for (bits, values) in bits.iter().zip(&mut *whole) {
        add_group(bits, sigma, values);
    }
    // There are bits left for values that are left.
    if let Some(bits) = bits.get(whole.len()) {
        let mut group = [0.0; 2 * PAIRS];
        group[..rest.len()].copy_from_slice(rest);
        add_group(bits, sigma, &mut group);
        rest.copy_from_slice(&group[..rest.len()]);
    }
}

/// Adds `PAIRS` pairs of normals. Each step is a loop of its own, which becomes vectors.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn add_group(bits: &[u8; 8 * PAIRS], sigma: f64, values: &mut [f64; 2 * PAIRS]) {
    let (mut uniforms, mut places) = ([0.0; PAIRS], [0; PAIRS]);
    for (pair, word) in bits.as_chunks::<8>().0.iter().enumerate() {
        (uniforms[pair], places[pair]) = split(u64::from_le_bytes(*word));
    }
    let (mut normals, mut others) = ([0.0; PAIRS], [0.0; PAIRS]);
    for pair in 0..PAIRS {
        let radius = radius(uniforms[pair]);
        let (x, y) = direction(places[pair]);
        (normals[pair], others[pair]) = (radius * x, radius * y);
    }
    let halves = values.as_chunks_mut::<PAIRS>().0;
    for (values, normals) in halves.iter_mut().zip([normals, others]) {
        for pair in 0..PAIRS {
            values[pair] += sigma * f64::from(normals[pair]);
        }
    }
}

/// A uniform number in (0, 1] of 40 bits, rounded, and 24 more bits.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn split(bits: u64) -> (f32, u32) {
    let uniform = 2.0 - f64::from_bits(bits >> 24 << 12 | ONE);
    #[expect(clippy::cast_possible_truncation, reason = "rounding and the low bits are meant")]
    (uniform as f32, bits as u32 & 0xff_ffff)
}

/// √(−2 ln u), u in [2^-40, 1].
#[inline(always)]
fn radius(uniform: f32) -> f32 {
    /// The bits of √(1/2).
    const ROOT: u32 = 0x3f35_04f3;
    let bits = uniform.to_bits();
    // u = 2^exponent · fraction, the fraction in [√(1/2), √2).
    let exponent = bits.wrapping_sub(ROOT).cast_signed() >> 23;
    let fraction = f32::from_bits(bits.wrapping_sub(exponent.cast_unsigned() << 23));
    // ln f = 2 artanh s, s = (f − 1) / (f + 1), |s| < 0.172.
    let s = (fraction - 1.0) / (fraction + 1.0);
    let series = polynomial(s * s, [1.0, 1.0 / 3.0, 0.2, 1.0 / 7.0, 1.0 / 9.0]);
    #[expect(clippy::cast_precision_loss, reason = "from -40 to 0")]
    let exponent = exponent as f32;
    (-2.0 * (exponent * std::f32::consts::LN_2 + 2.0 * s * series)).sqrt()
}

/// A uniform point of the unit circle: three bits for the octant, 21 for a place in it.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn direction(bits: u32) -> (f32, f32) {
    let angle = angle(bits);
    let square = angle * angle;
    let sine =
        angle * polynomial(square, [1.0, -1.0 / 6.0, 1.0 / 120.0, -1.0 / 5040.0, 1.0 / 362_880.0]);
    let cosine = polynomial(square, [1.0, -0.5, 1.0 / 24.0, -1.0 / 720.0, 1.0 / 40_320.0]);
    let (x, y) = if bits & 4 == 0 { (cosine, sine) } else { (sine, cosine) };
    let signed = |value: f32, sign: u32| f32::from_bits(value.to_bits() ^ sign << 31);
    (signed(x, bits & 1), signed(y, bits >> 1 & 1))
}

/// The middle of one of 2^21 parts of an eighth of a turn.
#[inline(always)]
fn angle(bits: u32) -> f32 {
    /// An eighth of a turn over 2^21.
    const PART: f32 = std::f32::consts::FRAC_PI_4 / 2_097_152.0;
    #[expect(clippy::cast_precision_loss, reason = "22 bits, exact")]
    let middle = (bits >> 3).cast_signed() as f32 + 0.5;
    middle * PART
}

/// Σ `terms[k]` `x`^k.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn polynomial<const N: usize>(x: f32, terms: [f32; N]) -> f32 {
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
            let bits = rng.next_u64();
            let ((uniform, place), exact) = (split(bits), f64::from_bits(bits >> 24 << 12 | ONE));
            let expected = (-2.0 * f64::from(uniform).ln()).sqrt();
            assert!((f64::from(uniform) + exact - 2.0).abs() < 1e-7);
            assert!((f64::from(radius(uniform)) - expected).abs() < 2e-6, "{uniform}");
            let (x, y) = direction(place);
            assert!((x.hypot(y) - 1.0).abs() < 1e-6);
            let angle = f64::from(angle(place));
            let expected = if place & 4 == 0 { angle.sin() } else { angle.cos() };
            assert!((f64::from(y.abs()) - expected).abs() < 1e-6, "{angle}");
        }
        for (bits, expected) in [(0, 0.0), (u64::MAX, (80.0 * 2_f64.ln()).sqrt())] {
            assert!((f64::from(radius(split(bits).0)) - expected).abs() < 2e-6);
        }
        assert!(angle(0) > 0.0 && angle(0xff_ffff) < std::f32::consts::FRAC_PI_4);
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
        let partners: f64 = values.windows(17).map(|pair| pair[0] * pair[16]).sum();
        assert!(neighbours.abs() < 6.0 * count.sqrt() && partners.abs() < 6.0 * count.sqrt());
    }

    /// The attack: noise in floats has gaps that a shift does not respect. Of a value 0 or 1, one has
    /// sums that the other cannot have.
    #[test]
    fn the_last_bits_tell_what_the_noise_was_added_to() {
        let noise = FloatNoise::accepting_leaky_floats(1.0).unwrap();
        let mut rng = secret_rng(2);
        let fine = |value: f64| (value * 2_f64.powi(24)).fract() == 0.0;
        let mut count = |start: f64| {
            let mut values = vec![start; 4000];
            noise.add(&mut rng, &mut values);
            let near: Vec<f64> = values.into_iter().filter(|x| x.abs() < 0.4).collect();
            near.iter().filter(|x| fine(**x)).count() as f64 / near.len() as f64
        };
        // Added to 1, everything near 0 is a multiple of 2^-24; added to 0, the less the nearer.
        let (zero, one) = (count(0.0), count(1.0));
        assert!(one > 0.999 && zero < 0.5, "{zero} {one}");
    }
}
