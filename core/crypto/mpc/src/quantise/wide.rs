//! Exact sums of single numbers of large range through slots of few bits: counts, losses,
//! statistics.
//!
//! A number v with |v| < 2^87 becomes the integer F = v·2^40, rounded to even, of 128 bits, and F
//! becomes signed digits of base 2^b, the largest base whose centred digits stay within the limit
//! of a value. Digits are summed like any other values, and the sums of digits give the sum of the
//! F, exactly, whatever carries there are.
//!
//! The sums of the digits say more than their total does: each digit's sum is opened. Numbers
//! whose total alone may be known need noise in their digits, or one wide slot.

use super::{MAX_LIMIT, QuantiseError};

/// First magnitude without an encoding: 2^87.
pub const MAX_MAGNITUDE: f64 = (1u128 << 87) as f64;
/// Steps per unit: 2^40.
pub const STEPS: f64 = (1u64 << 40) as f64;

const BITS: u32 = 128;

/// b, bits per digit: 2^(b−1) ≤ `limit`.
fn digit_bits(limit: i64) -> Result<u32, QuantiseError> {
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(QuantiseError::Limit { got: limit });
    }
    Ok(limit.ilog2() + 1)
}

/// Digits per number when values are at most `limit` in magnitude.
///
/// # Errors
/// [`QuantiseError::Limit`].
pub fn limbs(limit: i64) -> Result<usize, QuantiseError> {
    Ok(BITS.div_ceil(digit_bits(limit)?) as usize)
}

/// The digits of `value`, low ones first, each at most `limit` in magnitude.
///
/// # Errors
/// [`QuantiseError`] if the value is not finite or too large, or the limit is.
pub fn encode(value: f64, limit: i64) -> Result<Vec<i64>, QuantiseError> {
    let bits = digit_bits(limit)?;
    let mut rest = fixed(value)?;
    let mut digits = Vec::with_capacity(limbs(limit)?);
    for _ in 1..limbs(limit)? {
        #[expect(clippy::cast_possible_truncation, reason = "a digit of at most 51 bits")]
        digits.push(((rest << (BITS - bits)) >> (BITS - bits)) as i64);
        // Rounds to nearest, a half up: what is left after a centred digit.
        rest = (rest >> bits) + ((rest >> (bits - 1)) & 1);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "|F| < 2^127 leaves the last digit centred"
    )]
    digits.push(rest as i64);
    Ok(digits)
}

/// The number whose digits' sums are `sums`, rounded once to f64.
///
/// Exact for the sums of up to 2^20 encodings.
///
/// # Errors
/// [`QuantiseError::Length`] if it is not one number's digits; [`QuantiseError::Digits`] if no
/// encodings have such sums.
pub fn decode(sums: &[i64], limit: i64) -> Result<f64, QuantiseError> {
    let (bits, expected) = (digit_bits(limit)?, limbs(limit)?);
    if sums.len() != expected {
        return Err(QuantiseError::Length { got: sums.len(), expected });
    }
    let total = sums.iter().rev().try_fold(Total::default(), |total, &digit| {
        total.shifted(bits).map(|total| total.plus(digit))
    });
    total.map(|total| total.to_f64() / STEPS).ok_or(QuantiseError::Digits)
}

fn fixed(value: f64) -> Result<i128, QuantiseError> {
    if !value.is_finite() {
        return Err(QuantiseError::NotFinite { index: 0, got: value });
    }
    if value.abs() >= MAX_MAGNITUDE {
        return Err(QuantiseError::TooLarge { index: 0, got: value, limit: MAX_MAGNITUDE });
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 2^127")]
    Ok((value * STEPS).round_ties_even() as i128)
}

/// An integer of 192 bits: high·2^64 + low.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    high: i128,
    low: u64,
}

impl Total {
    /// Times 2^bits, bits in 1..64, if that stays below 2^190.
    fn shifted(self, bits: u32) -> Option<Self> {
        let high =
            self.high.checked_mul(1 << bits).filter(|high| high.unsigned_abs() < 1 << 126)?;
        Some(Self { high: high + i128::from(self.low >> (64 - bits)), low: self.low << bits })
    }

    fn plus(self, digit: i64) -> Self {
        let (low, carry) = self.low.overflowing_add(digit.cast_unsigned());
        let high = self.high + i128::from(digit >> 63) + i128::from(carry);
        Self { high, low }
    }

    /// The nearest f64: bits below the top 64 only say whether it is exact.
    fn to_f64(self) -> f64 {
        if self.high < 0 {
            let (low, carry) = (!self.low).overflowing_add(1);
            return -Self { high: !self.high + i128::from(carry), low }.to_f64();
        }
        let high = self.high.unsigned_abs();
        if high >> 64 == 0 {
            return ((high << 64) | u128::from(self.low)) as f64;
        }
        (high | u128::from(self.low != 0)) as f64 * (1u128 << 64) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers of every size that has an encoding.
    fn numbers() -> impl Strategy<Value = f64> {
        (-1.0f64..1.0, -45..=87i32).prop_map(|(mantissa, exponent)| mantissa * 2f64.powi(exponent))
    }

    /// The sums of the digits, and the sum of the fixed-point numbers.
    fn add(values: &[f64], copies: i64, limit: i64) -> (Vec<i64>, Total) {
        let mut sums = vec![0; limbs(limit).unwrap()];
        let mut total = Total::default();
        for &value in values {
            for (sum, digit) in sums.iter_mut().zip(encode(value, limit).unwrap()) {
                assert!(digit.abs() <= limit, "{digit} of {value}");
                *sum += copies * digit;
            }
            let exact = fixed(value).unwrap();
            for _ in 0..copies {
                total.high += exact >> 64;
                #[expect(clippy::cast_possible_truncation, reason = "the low word is meant")]
                let (low, carry) = total.low.overflowing_add(exact.cast_unsigned() as u64);
                total = Total { high: total.high + i128::from(carry), low };
            }
        }
        (sums, total)
    }

    proptest! {
        #[test]
        fn sums_of_digits_are_the_exact_sum(
            values in prop::collection::vec(numbers(), 1..20), limit in 1..=MAX_LIMIT, small: bool,
        ) {
            let limit = if small { limit % 300 + 1 } else { limit };
            let (sums, total) = add(&values, 3, limit);
            let expected = total.to_f64() / STEPS;
            prop_assert_eq!(decode(&sums, limit).unwrap().to_bits(), expected.to_bits());
        }

        #[test]
        fn any_sums_decode_or_are_refused(
            sums in prop::collection::vec(any::<i64>(), 0..130), limit: i64,
        ) {
            if let Ok(value) = decode(&sums, limit) {
                prop_assert!(value.is_finite());
            }
        }
    }

    #[test]
    fn a_million_owners_at_the_edge_are_exact() {
        let edge = MAX_MAGNITUDE.next_down();
        for limit in [1, 2, 3, 15, 127, 128, 2_097_151, MAX_LIMIT] {
            for value in [edge, -edge, -0.5 / STEPS, 1.5 / STEPS, 1.0] {
                let one = encode(value, limit).unwrap();
                let sums: Vec<i64> = one.iter().map(|digit| digit << 20).collect();
                let rounded = fixed(value).unwrap() as f64 / STEPS;
                let expected = rounded * f64::from(1 << 20);
                assert_eq!(decode(&sums, limit).unwrap().to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn a_total_is_rounded_once() {
        let total = |high, low| Total { high, low }.to_f64();
        let half = i128::from(1u64 << 53) + 1;
        assert_eq!(total(half << 20, 0).to_bits(), 2f64.powi(137).to_bits(), "ties go to even");
        assert_eq!(total(half << 20, 1).to_bits(), 2f64.powi(137).next_up().to_bits());
        assert_eq!(total(-1, u64::MAX).to_bits(), (-1f64).to_bits());
        assert_eq!(total(-1 << 126, 0).to_bits(), (-(2f64.powi(190))).to_bits());
    }

    #[test]
    fn what_has_no_encoding_is_named() {
        let refused = |value| encode(value, 100).unwrap_err();
        assert!(matches!(refused(f64::NAN), QuantiseError::NotFinite { .. }));
        assert!(matches!(refused(f64::INFINITY), QuantiseError::NotFinite { .. }));
        assert!(matches!(refused(-MAX_MAGNITUDE), QuantiseError::TooLarge { .. }));
        assert_eq!(limbs(0), Err(QuantiseError::Limit { got: 0 }));
        assert_eq!(limbs(127), Ok(19));
        assert_eq!(decode(&[0; 3], 127), Err(QuantiseError::Length { got: 3, expected: 19 }));
        assert_eq!(
            decode(&[i64::MAX; 3], MAX_LIMIT),
            Ok(decode(&[i64::MAX; 3], MAX_LIMIT).unwrap())
        );
    }
}
