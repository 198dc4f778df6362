//! Three key coefficients in one field element.

use nexus_field::Fp;

/// Bits of a digit.
const DIGIT_BITS: u32 = 21;
/// Every coefficient, also of a sum, is below this in absolute value.
pub const COEFFICIENT_LIMIT: i64 = 1 << (DIGIT_BITS - 1);
/// Coefficients in an element.
pub const COEFFICIENTS_PER_ELEMENT: usize = 3;

/// Why coefficients do not pack, or an element does not unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A coefficient that is too large; which one is not said, it may be a secret.
    #[error("a coefficient is not below {COEFFICIENT_LIMIT} in absolute value")]
    Coefficient,
    /// An element that no three coefficients pack into.
    #[error("element {index} does not hold {COEFFICIENTS_PER_ELEMENT} coefficients")]
    Element {
        /// Its place.
        index: usize,
    },
    /// The wrong number of elements.
    #[error("{got} elements, {expected} were expected")]
    Length {
        /// Elements given.
        got: usize,
        /// Elements needed.
        expected: usize,
    },
}

/// Packs coefficients as `a + 2^21·b + 2^42·c`, the last element filled up with noughts.
///
/// Packing is linear as long as all coefficients of a sum stay below 2^20 in absolute value:
/// 521 standard deviations of the sum of 100,000 keys.
///
/// # Errors
/// [`PackError::Coefficient`] if one is not below 2^20 in absolute value.
pub fn pack3<T: Copy + Into<i64>>(coefficients: &[T]) -> Result<Vec<Fp>, PackError> {
    let mut fits = true;
    let mut pack = |three: &[T]| {
        let digits = three.iter().rev().map(|&digit| digit.into());
        let packed = digits.fold(0, |packed: i64, digit: i64| {
            fits &= digit.unsigned_abs() < COEFFICIENT_LIMIT.unsigned_abs();
            packed.wrapping_shl(DIGIT_BITS).wrapping_add(digit)
        });
        Fp::from_i64(packed)
    };
    let packed = coefficients.chunks(COEFFICIENTS_PER_ELEMENT).map(&mut pack).collect();
    if fits { Ok(packed) } else { Err(PackError::Coefficient) }
}

/// Undoes [`pack3`] for `count` coefficients; takes a time that depends on them, so it is for
/// opened sums only.
///
/// # Errors
/// [`PackError::Length`] or [`PackError::Element`].
pub fn unpack3(elements: &[Fp], count: usize) -> Result<Vec<i32>, PackError> {
    let (got, expected) = (elements.len(), count.div_ceil(COEFFICIENTS_PER_ELEMENT));
    if got != expected {
        return Err(PackError::Length { got, expected });
    }
    let mut coefficients = Vec::with_capacity(expected * COEFFICIENTS_PER_ELEMENT);
    for (index, element) in elements.iter().enumerate() {
        let mut rest = element.centred();
        for _ in 0..COEFFICIENTS_PER_ELEMENT {
            let digit = (rest << (64 - DIGIT_BITS)) >> (64 - DIGIT_BITS);
            rest = (rest >> DIGIT_BITS) + i64::from(digit < 0);
            let small = i32::try_from(digit).ok().filter(|_| digit != -COEFFICIENT_LIMIT);
            coefficients.push(small.ok_or(PackError::Element { index })?);
        }
        if rest != 0 {
            return Err(PackError::Element { index });
        }
    }
    if coefficients.split_off(count).iter().any(|&padding| padding != 0) {
        return Err(PackError::Element { index: got - 1 });
    }
    Ok(coefficients)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: i64 = COEFFICIENT_LIMIT - 1;

    proptest! {
        #[test]
        fn what_is_packed_unpacks(values in prop::collection::vec(-MOST..=MOST, 0..10)) {
            let packed = pack3(&values).unwrap();
            prop_assert_eq!(packed.len(), values.len().div_ceil(3));
            let unpacked = unpack3(&packed, values.len()).unwrap();
            prop_assert!(unpacked.iter().map(|&value| i64::from(value)).eq(values));
        }

        #[test]
        fn what_unpacks_packs_to_the_same(word: u64) {
            let element = Fp::new(word);
            if let Ok(values) = unpack3(&[element], 3) {
                prop_assert_eq!(pack3(&values), Ok(vec![element]));
            }
        }

        #[test]
        fn sums_of_packed_keys_are_packed_sums(keys in prop::collection::vec([any::<i8>(); 4], 1..50)) {
            let mut sum = [0; 4];
            let mut packed = vec![Fp::ZERO; 2];
            for key in keys {
                sum.iter_mut().zip(key).for_each(|(sum, value)| *sum += i32::from(value));
                packed.iter_mut().zip(pack3(&key).unwrap()).for_each(|(sum, value)| *sum += value);
            }
            prop_assert_eq!(unpack3(&packed, 4).unwrap(), sum);
        }
    }

    #[test]
    fn the_base_is_pinned() {
        assert_eq!(pack3(&[1, 2, 3]).unwrap(), [Fp::new(1 + (2 << 21) + (3 << 42))]);
        assert_eq!(pack3(&[-1, 0, 0, -2]).unwrap(), [Fp::from_i64(-1), Fp::from_i64(-2)]);
    }

    #[test]
    fn edges_are_exact() {
        for a in [MOST, -MOST, 0] {
            for b in [MOST, -MOST, 0] {
                let values = [a, b, -a, b, a, -b];
                let unpacked = unpack3(&pack3(&values).unwrap(), 6).unwrap();
                assert!(unpacked.iter().map(|&value| i64::from(value)).eq(values));
            }
        }
        for large in [COEFFICIENT_LIMIT, -COEFFICIENT_LIMIT, i64::MAX, i64::MIN] {
            for place in 0..3 {
                let mut values = [0; 3];
                values[place] = large;
                assert_eq!(pack3(&values), Err(PackError::Coefficient));
            }
        }
        // One more than the greatest, and a lowest, middle and highest digit that is too small.
        let greatest = pack3(&[MOST; 3]).unwrap()[0];
        let edge = Fp::from_i64(COEFFICIENT_LIMIT);
        let high = Fp::new(1 << 62);
        for element in [greatest + Fp::ONE, -edge, -edge * Fp::new(1 << 21), high, -high] {
            let found = unpack3(&[Fp::ONE, element], 6);
            assert_eq!(found, Err(PackError::Element { index: 1 }), "{element:?}");
        }
    }

    #[test]
    fn lengths_and_padding_are_checked() {
        let packed = pack3(&[1, 2, 3, 4]).unwrap();
        let length = Err(PackError::Length { got: 2, expected: 3 });
        assert_eq!(unpack3(&packed, 7), length);
        assert_eq!(unpack3(&packed, 4).unwrap(), [1, 2, 3, 4]);
        let padded = pack3(&[1, 2, 3, 4, 5]).unwrap();
        assert_eq!(unpack3(&padded, 4), Err(PackError::Element { index: 1 }));
    }
}
