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
