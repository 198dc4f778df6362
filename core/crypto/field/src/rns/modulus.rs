//! One prime, and arithmetic with single words modulo it.

use super::{MAX_BITS, RnsError, prime};

/// A prime of 2 to 61 bits with the constants that replace division by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Modulus {
    value: u64,
    bits: u32,
    /// ⌊2^(2·bits + 1) / value⌋, below 2^63.
    ratio: u64,
    /// ⌊(2^128 − 1) / value⌋.
    wide_ratio: u128,
}

impl core::fmt::Debug for Modulus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Modulus({})", self.value)
    }
}

/// The lower word.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
pub(super) const fn low(wide: u128) -> u64 {
    wide as u64
}

/// The upper word.
pub(super) const fn high(wide: u128) -> u64 {
    low(wide >> 64)
}

/// The product, in full.
pub(super) const fn full(a: u64, b: u64) -> u128 {
    a as u128 * b as u128
}

/// The word that stands `by` bits up, for 1 to 63: cheaper than a shift of two words by any number.
#[inline]
const fn shifted(wide: u128, by: u32) -> u64 {
    high(wide).wrapping_shl(u64::BITS - by) | low(wide).wrapping_shr(by)
}

/// x modulo `bound` for x below 2·`bound`, which is below 2^64. Without a branch: below `bound` the
/// difference wraps and is the larger one.
#[inline]
pub(super) fn once(x: u64, bound: u64) -> u64 {
    x.min(x.wrapping_sub(bound))
}

/// A constant that many words are multiplied by, with its quotient (V. Shoup).
#[derive(Clone, Copy, Debug)]
pub(super) struct Factor {
    pub(super) value: u64,
    /// ⌊value·2^64 / q⌋.
    pub(super) quotient: u64,
}

impl Factor {
    /// The canonical word `value` as a factor.
    pub(super) fn new(modulus: Modulus, value: u64) -> Self {
        let (quotient, rest) = modulus.divide(u128::from(value) << 64);
        Self { value, quotient: quotient.wrapping_add(u64::from(rest >= modulus.value)) }
    }

    /// word·value modulo q, in `[0, 2q)`, for every word.
    #[inline]
    pub(super) fn times(self, word: u64, q: u64) -> u64 {
        let quotient = high(full(self.quotient, word));
        self.value.wrapping_mul(word).wrapping_sub(quotient.wrapping_mul(q))
    }
}

impl Modulus {
    /// The prime `value`.
    ///
    /// # Errors
    ///
    /// It is below 2 or above 2^61 − 1, or no prime.
    pub fn new(value: u64) -> Result<Self, RnsError> {
        if value < 2 || value >> MAX_BITS != 0 {
            return Err(RnsError::Size { got: value });
        }
        let modulus = Self::of(value);
        if prime::is_prime(modulus) { Ok(modulus) } else { Err(RnsError::Composite { got: value }) }
    }

    /// The constants of any number from 2 to 2^61 − 1.
    pub(super) fn of(value: u64) -> Self {
        let bits = u64::BITS - value.leading_zeros();
        let ratio = low((1 << (2 * bits + 1)) / u128::from(value));
        Self { value, bits, ratio, wide_ratio: u128::MAX / u128::from(value) }
    }

    /// The prime.
    pub fn value(self) -> u64 {
        self.value
    }

    /// Bits of the prime, 2 to 61.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// a + b.
    #[inline]
    pub fn add(self, a: u64, b: u64) -> u64 {
        once(a.wrapping_add(b), self.value)
    }

    /// a − b.
    #[inline]
    pub fn sub(self, a: u64, b: u64) -> u64 {
        let difference = a.wrapping_sub(b);
        difference.min(difference.wrapping_add(self.value))
    }

    /// −a.
    #[inline]
    pub fn neg(self, a: u64) -> u64 {
        self.sub(0, a)
    }

    /// a·b.
    #[inline]
    pub fn mul(self, a: u64, b: u64) -> u64 {
        self.reduce_product(full(a, b))
    }

    /// x modulo q for x below 4^bits: the quotient by Barrett is too small by at most 2, for
    /// rounding costs less than 1/2 + 1 before the last floor.
    #[inline]
    pub(super) fn reduce_product(self, x: u128) -> u64 {
        let leading = shifted(x, self.bits - 1);
        let quotient = shifted(full(leading, self.ratio), self.bits + 2);
        let rest = low(x).wrapping_sub(quotient.wrapping_mul(self.value));
        once(once(rest, 2 * self.value), self.value)
    }

    /// a^e; the time depends on e.
    pub fn pow(self, a: u64, mut e: u64) -> u64 {
        let (mut power, mut square) = (self.reduce(1), a);
        while e > 0 {
            if e & 1 == 1 {
                power = self.mul(power, square);
            }
            square = self.mul(square, square);
            e >>= 1;
        }
        power
    }

    /// 1/a; none for 0.
    pub fn inverse(self, a: u64) -> Option<u64> {
        (a != 0).then(|| self.pow(a, self.value - 2))
    }

    /// Any word modulo q.
    #[inline]
    pub fn reduce(self, a: u64) -> u64 {
        let quotient = high(full(a, high(self.wide_ratio)));
        once(a.wrapping_sub(quotient.wrapping_mul(self.value)), self.value)
    }

    /// Any double word modulo q.
    #[inline]
    pub fn reduce_wide(self, a: u128) -> u64 {
        once(self.divide(a).1, self.value)
    }

    /// ⌊a/q⌋ modulo 2^64, or one less, and what it leaves of a: less than 2q.
    #[inline]
    fn divide(self, a: u128) -> (u64, u64) {
        // ⌊a·ratio / 2^128⌋ by words; what it carries beyond 2^64 is of no use.
        let (ratio, middle) = (self.wide_ratio, full(low(a), high(self.wide_ratio)));
        let carried = u128::from(high(full(low(a), low(ratio)))) + u128::from(low(middle));
        let other = full(high(a), low(ratio)) + carried;
        let quotient =
            high(a).wrapping_mul(high(ratio)).wrapping_add(high(middle)).wrapping_add(high(other));
        (quotient, low(a).wrapping_sub(quotient.wrapping_mul(self.value)))
    }

    /// Any signed word modulo q.
    #[inline]
    pub fn reduce_signed(self, a: i64) -> u64 {
        let negative = (a >> 63).cast_unsigned();
        let rest = self.reduce(a.unsigned_abs());
        (rest & !negative) | (self.neg(rest) & negative)
    }

    /// The representative in `(−q/2, q/2]`.
    #[inline]
    pub fn centred(self, a: u64) -> i64 {
        let above = (self.value / 2).wrapping_sub(a).cast_signed() >> 63;
        a.wrapping_sub(self.value & above.cast_unsigned()).cast_signed()
    }
}
