//! Rounding up or down by chance, so that the mean is exact.

use nexus_types::CryptoRng;

use super::{MAX_LIMIT, QuantiseError};

/// ⌊scale·x + u⌋ with a fresh u, uniform in [0, 1) in steps of 2^-53, for each value: its mean is
/// scale·x (Kairouz, Liu & Steinke 2021, arXiv:2102.06387, section 4.2.2).
///
/// For narrow moduli: the error of few bits becomes noise instead of a bias. Its sensitivity is
/// *not* the [`super::Quantiser`]'s.
///
/// # Errors
/// [`QuantiseError`] names the first value that is not finite, or not below 2^50 when scaled.
pub fn dither(
    values: &[f64],
    scale: f64,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<i64>, QuantiseError> {
    const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
    let limit = MAX_LIMIT as f64;
    let rounded = values.iter().enumerate().map(|(index, &value)| {
        let scaled = value * scale;
        if !scaled.is_finite() {
            return Err(QuantiseError::NotFinite { index, got: scaled });
        }
        if scaled.abs() >= limit {
            return Err(QuantiseError::TooLarge { index, got: scaled, limit });
        }
        let floor = scaled.floor();
        // The fraction is exact, where the sum with u would be rounded.
        let up = scaled - floor > (rng.next_u64() >> 11) as f64 * UNIT;
        #[expect(clippy::cast_possible_truncation, reason = "below 2^50")]
        Ok(floor as i64 + i64::from(up))
    });
    rounded.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    proptest! {
        #[test]
        fn a_value_goes_to_a_neighbour(value in -1e6f64..1e6, seed: u64) {
            let mut rng = ChaCha12Rng::seed_from_u64(seed);
            let rounded = dither(&[value], 8.0, &mut rng).unwrap()[0] as f64;
            prop_assert!((rounded - 8.0 * value).abs() < 1.0);
        }

        #[test]
        fn the_mean_is_exact(value in -3.0f64..3.0, seed: u64) {
            let mut rng = ChaCha12Rng::seed_from_u64(seed);
            let rounded = dither(&vec![value; 10_000], 1.0, &mut rng).unwrap();
            let mean = rounded.iter().sum::<i64>() as f64 / 1e4;
            // Eight deviations of the mean of 10,000 coins, at most half a step each.
            prop_assert!((mean - value).abs() < 8.0 * 0.005, "{} {}", mean, value);
        }
    }

    #[test]
    fn integers_stay_and_bad_values_are_named() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        assert_eq!(dither(&[-2.0, 0.0, 3.0], 2.0, &mut rng), Ok(vec![-4, 0, 6]));
        assert!(matches!(
            dither(&[0.0, f64::NAN], 1.0, &mut rng),
            Err(QuantiseError::NotFinite { index: 1, .. })
        ));
        assert!(matches!(
            dither(&[1e300], 1.0, &mut rng),
            Err(QuantiseError::TooLarge { index: 0, .. })
        ));
    }
}
