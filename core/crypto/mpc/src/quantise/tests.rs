use proptest::prelude::*;

use super::*;

fn norm(x: &[f32], weight: f64) -> f64 {
    x.iter().map(|&value| (weight * f64::from(value)).powi(2)).sum::<f64>().sqrt()
}

fn vectors() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![-1f32..1.0, Just(0.0), -1e30f32..1e30], 0..50)
}

proptest! {
    #[test]
    fn the_scale_is_the_largest(clip in 1e-20f64..1e20, limit in 1..=MAX_LIMIT, bits in 0u32..50) {
        let limit = (limit >> bits).max(1);
        let quantiser = Quantiser::new(clip, limit).unwrap();
        let scale = quantiser.scale();
        prop_assert!(scale.to_bits() << 12 == 0, "a power of two");
        prop_assert!(clip * scale <= limit as f64 && clip * 2.0 * scale > limit as f64);
        prop_assert!(quantiser.sensitivity() as f64 >= clip * scale);
        prop_assert!((1..=limit).contains(&quantiser.sensitivity()));
    }

    #[test]
    fn the_integer_norm_is_within_the_sensitivity(
        x in vectors(), clip in 1e-3f64..1e3, bits in 0u32..=50, weight in 0.0f64..1e3,
    ) {
        let quantiser = Quantiser::new(clip, 1 << bits).unwrap();
        let quantised = quantiser.quantise(&x, weight).unwrap();
        let most = u128::from(quantiser.sensitivity().unsigned_abs()).pow(2);
        prop_assert!(integer_square(&quantised.values) <= most);
        prop_assert_eq!(quantised.clipped, norm(&x, weight) > clip * (1.0 - 1.0 / 4096.0));
    }

    #[test]
    fn short_vectors_are_rounded_once(
        x in prop::collection::vec(-1f32..1.0, 1..50), weight in 0.0f64..1.0,
    ) {
        let quantiser = Quantiser::new(8.0, 1 << 40).unwrap();
        let quantised = quantiser.quantise(&x, weight).unwrap();
        prop_assert!(!quantised.clipped);
        for (&value, &x) in quantised.values.iter().zip(&x) {
            let exact = weight * f64::from(x) * quantiser.scale();
            prop_assert_eq!((value as f64).to_bits() << 1, exact.round_ties_even().to_bits() << 1);
        }
        let back = quantiser.dequantise(&quantised.values);
        let half = 0.5 / quantiser.scale();
        prop_assert!(back.iter().zip(&x).all(|(b, &x)| (b - weight * f64::from(x)).abs() <= half));
    }

    #[test]
    fn long_vectors_keep_their_direction(x in prop::collection::vec(1f32..100.0, 1..50)) {
        let quantiser = Quantiser::new(0.5, 1 << 40).unwrap();
        let quantised = quantiser.quantise(&x, 1.0).unwrap();
        prop_assert!(quantised.clipped);
        let shrink = 0.5 * (1.0 - 1.0 / 4096.0) / norm(&x, 1.0);
        for (back, &x) in quantiser.dequantise(&quantised.values).iter().zip(&x) {
            prop_assert!((back - shrink * f64::from(x)).abs() <= 1.0 / quantiser.scale());
        }
    }
}

#[test]
fn rounding_that_would_lengthen_is_shrunk() {
    // Every coordinate is rounded up from just above a half: the norm would double.
    for (length, steps) in [(1 << 10, 0.501), (1 << 14, 0.6), (1 << 12, 1.5001)] {
        let clip = steps * f64::from(length).sqrt() / 0.999;
        let limit = 2f64.powf(clip.log2().ceil());
        #[expect(clippy::cast_possible_truncation, reason = "a small number")]
        let quantiser = Quantiser::new(clip, limit as i64).unwrap();
        let unit = steps / quantiser.scale() / 1.00001;
        #[expect(clippy::cast_possible_truncation, reason = "an input of the right size")]
        let x = vec![unit as f32; usize::try_from(length).unwrap()];
        let (_, naive) = round(&x, quantiser.scale());
        let kept = integer_square(&quantiser.quantise(&x, 1.0).unwrap().values);
        let most = u128::from(quantiser.sensitivity().unsigned_abs()).pow(2);
        assert!(kept <= most, "{length} {steps}");
        assert!(naive > most, "{length} {steps}: the naive way is as good");
    }
}

#[test]
fn ties_go_to_even() {
    let quantiser = Quantiser::new(8.0, 8).unwrap();
    let values = quantiser.quantise(&[0.5, 1.5, 2.5, -0.5, -1.5, -2.5], 1.0).unwrap().values;
    assert_eq!(values, [0, 2, 2, 0, -2, -2]);
}

#[test]
fn the_largest_value_has_its_slot() {
    let quantiser = Quantiser::new(1.0, MAX_LIMIT).unwrap();
    assert_eq!(quantiser.sensitivity(), MAX_LIMIT);
    for sign in [1, -1] {
        let quantised = quantiser.quantise(&[f32::MAX * sign as f32], 1.0).unwrap();
        assert_eq!(quantised.values, [sign * (MAX_LIMIT - (MAX_LIMIT >> 12))]);
    }
}

#[test]
fn what_cannot_be_quantised_is_named() {
    let quantiser = Quantiser::new(1.0, 100).unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = [1.0; 20];
        x[13] = bad;
        let refused = quantiser.quantise(&x, 1.0);
        assert!(matches!(refused, Err(QuantiseError::NotFinite { index: 13, .. })), "{bad}");
    }
    for weight in [-1.0, f64::NAN, f64::INFINITY, 1e200] {
        let refused = quantiser.quantise(&[1.0], weight);
        assert!(matches!(refused, Err(QuantiseError::Weight { .. })), "{weight}");
    }
    for clip in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
        assert!(matches!(Quantiser::new(clip, 1), Err(QuantiseError::Clip { .. })), "{clip}");
    }
    for limit in [0, -1, MAX_LIMIT + 1] {
        assert_eq!(Quantiser::new(1.0, limit), Err(QuantiseError::Limit { got: limit }));
    }
}
