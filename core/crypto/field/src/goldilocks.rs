//! The prime field of p = 2^64 − 2^32 + 1.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use borsh::{BorshDeserialize, BorshSerialize, io};
use nexus_types::CryptoRng;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::DefaultIsZeroes;

/// The prime 2^64 − 2^32 + 1. Because 2^64 = 2^32 − 1 modulo p, products are reduced by shifts
/// and additions; 2^32 divides p − 1, so transforms of every useful length exist.
pub const P: u64 = 0xffff_ffff_0000_0001;

/// 2^64 modulo p.
pub(crate) const EPSILON: u64 = 0xffff_ffff;

/// Arithmetic on canonical words: arguments and results are below [`P`]. No branch and no index
/// depends on a value.
pub(crate) mod word {
    use super::{EPSILON, P};

    /// a − b modulo 2^64, and all ones if that borrowed, else 0. A wide subtraction, for compilers
    /// turn flags into branches.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low and high words are meant")]
    pub(crate) const fn borrowing_sub(a: u64, b: u64) -> (u64, u64) {
        let wide = (a as u128).wrapping_sub(b as u128);
        (wide as u64, (wide >> 64) as u64)
    }

    #[inline]
    pub(crate) const fn add(a: u64, b: u64) -> u64 {
        sub(a, P - b)
    }

    /// Also for b = p, and whenever a − b is below p.
    #[inline]
    pub(crate) const fn sub(a: u64, b: u64) -> u64 {
        let (difference, borrow) = borrowing_sub(a, b);
        difference.wrapping_add(P & borrow)
    }

    #[inline]
    pub(crate) const fn mul(a: u64, b: u64) -> u64 {
        reduce(a as u128 * b as u128)
    }

    /// Any word modulo p.
    #[inline]
    pub(crate) const fn canonical(a: u64) -> u64 {
        sub(a, P)
    }

    /// l + 2^64·h + 2^96·t = l + (2^32 − 1)·h − t modulo p, with h and t below 2^32.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low and high words are meant")]
    const fn reduce(product: u128) -> u64 {
        let (low, high) = (product as u64, (product >> 64) as u64);
        // The subtrahend is at least p − (2^32 − 1)^2, so even a minuend from p on ends below p.
        sub(sub(low, high >> 32), P - (high & EPSILON) * EPSILON)
    }

    /// a^exponent; the time depends on the exponent.
    pub(crate) const fn pow(mut a: u64, mut exponent: u64) -> u64 {
        let mut power = 1;
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = mul(power, a);
            }
            a = mul(a, a);
            exponent >>= 1;
        }
        power
    }
}

/// An element of the field, always held as the word in 0..p.
///
/// Every operation takes the same time for all values, but [`Fp::pow`], whose time depends on
/// the exponent. `Debug` shows the value: a type that holds secret elements hides its own.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fp(u64);

impl Fp {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self(1);

    /// `value` modulo p.
    #[inline]
    pub const fn new(value: u64) -> Self {
        Self(word::canonical(value))
    }

    /// The element `value`, or nothing if it is not below p.
    #[inline]
    pub const fn from_canonical(value: u64) -> Option<Self> {
        if value < P { Some(Self(value)) } else { None }
    }

    /// `value` modulo p.
    #[inline]
    pub const fn from_i64(value: i64) -> Self {
        // A negative value is 2^64 too large as a word.
        let wrapped = EPSILON & (value >> 63).cast_unsigned();
        Self(word::sub(word::canonical(value.cast_unsigned()), wrapped))
    }

    /// The representative in 0..p.
    #[inline]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The representative in −(p−1)/2 ..= (p−1)/2.
    #[inline]
    pub const fn centred(self) -> i64 {
        let (_, above) = word::borrowing_sub(P / 2, self.0);
        self.0.wrapping_sub(P & above).cast_signed()
    }

    /// The element whose product with this one is 1; 0 has none.
    pub fn inverse(self) -> Option<Self> {
        let inverse = self.pow(P - 2);
        (inverse != Self::ZERO).then_some(inverse)
    }

    /// The power with a public exponent.
    #[must_use]
    pub const fn pow(self, exponent: u64) -> Self {
        Self(word::pow(self.0, exponent))
    }

    /// A uniform element, zero included.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self::first_of(|| rng.next_u64())
    }

    /// A uniform element from a stream of uniform bytes: the first little-endian word below p.
    pub fn from_xof(xof: &mut blake3::OutputReader) -> Self {
        Self::first_of(|| {
            let mut bytes = [0; 8];
            xof.fill(&mut bytes);
            u64::from_le_bytes(bytes)
        })
    }

    fn first_of(mut words: impl FnMut() -> u64) -> Self {
        loop {
            if let Some(element) = Self::from_canonical(words()) {
                return element;
            }
        }
    }
}

impl fmt::Debug for Fp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl From<u32> for Fp {
    fn from(value: u32) -> Self {
        Self(u64::from(value))
    }
}

impl Add for Fp {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        Self(word::add(self.0, other.0))
    }
}

impl Sub for Fp {
    type Output = Self;
    #[inline]
    fn sub(self, other: Self) -> Self {
        Self(word::sub(self.0, other.0))
    }
}

impl Mul for Fp {
    type Output = Self;
    #[inline]
    fn mul(self, other: Self) -> Self {
        Self(word::mul(self.0, other.0))
    }
}

impl Neg for Fp {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl AddAssign for Fp {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Fp {
    #[inline]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl MulAssign for Fp {
    #[inline]
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}

impl Sum for Fp {
    #[inline]
    fn sum<I: Iterator<Item = Self>>(elements: I) -> Self {
        elements.fold(Self::ZERO, Add::add)
    }
}

impl DefaultIsZeroes for Fp {}

impl ConstantTimeEq for Fp {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl ConditionallySelectable for Fp {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self(u64::conditional_select(&a.0, &b.0, choice))
    }
}

/// 8 bytes, little-endian.
impl BorshSerialize for Fp {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        self.0.serialize(writer)
    }
}

/// Refuses words that are not below p: an element has one encoding.
impl BorshDeserialize for Fp {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        Self::from_canonical(u64::deserialize_reader(reader)?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a word is not below p"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const EDGES: [u64; 12] = [
        0,
        1,
        2,
        EPSILON - 1,
        EPSILON,
        EPSILON + 1,
        P / 2,
        P / 2 + 1,
        P - EPSILON,
        P - 2,
        P - 1,
        1 << 63,
    ];

    fn element() -> impl Strategy<Value = Fp> {
        prop_oneof![any::<u64>().prop_map(Fp::new), prop::sample::select(&EDGES[..]).prop_map(Fp)]
    }

    fn agrees(a: Fp, b: Fp) {
        let (p, x, y) = (u128::from(P), u128::from(a.0), u128::from(b.0));
        let wide = |fp: Fp| u128::from(fp.0);
        assert_eq!(wide(a + b), (x + y) % p, "{a:?} + {b:?}");
        assert_eq!(wide(a - b), (x + p - y) % p, "{a:?} - {b:?}");
        assert_eq!(wide(a * b), x * y % p, "{a:?} * {b:?}");
        assert_eq!(wide(-a), (p - x) % p, "-{a:?}");
    }

    #[test]
    fn edges_agree_with_wide_integers() {
        for a in EDGES {
            for b in EDGES {
                agrees(Fp(a), Fp(b));
            }
        }
    }

    proptest! {
        #[test]
        fn elements_agree_with_wide_integers(a in element(), b in element()) {
            agrees(a, b);
        }

        #[test]
        fn inverses_invert(a in element()) {
            prop_assert_eq!(a.inverse().is_none(), a == Fp::ZERO);
            prop_assert!(a.inverse().is_none_or(|inverse| a * inverse == Fp::ONE));
        }

        #[test]
        fn integers_come_back(value: i64, a in element()) {
            let expected = i128::from(value).rem_euclid(i128::from(P));
            prop_assert_eq!(i128::from(Fp::from_i64(value).0), expected);
            prop_assert_eq!(Fp::from_i64(a.centred()), a);
            prop_assert!(a.centred().unsigned_abs() <= P / 2);
        }

        #[test]
        fn an_element_has_one_encoding(word: u64) {
            let decoded = Fp::try_from_slice(&word.to_le_bytes()).ok();
            prop_assert_eq!(decoded.map(Fp::value), (word < P).then_some(word));
        }
    }

    #[test]
    fn integers_at_the_edges() {
        for (value, expected) in [(-1, P - 1), (i64::MIN, P - (1 << 63)), (i64::MAX, (1 << 63) - 1)]
        {
            assert_eq!(Fp::from_i64(value), Fp(expected));
        }
        assert_eq!(Fp(P / 2).centred(), i64::try_from(P / 2).unwrap());
        assert_eq!(Fp(P / 2 + 1).centred(), -i64::try_from(P / 2).unwrap());
        for word in [P - 1, P, P + 1, u64::MAX] {
            assert_eq!(Fp::try_from_slice(&word.to_le_bytes()).is_ok(), word < P);
            assert_eq!(Fp::new(word), Fp(word % P));
        }
    }

    /// 7 generates the multiplicative group: p − 1 = 2^32 · 3 · 5 · 17 · 257 · 65537.
    #[test]
    fn the_modulus_is_prime() {
        let seven = Fp::new(7);
        assert_eq!(seven.pow(P - 1), Fp::ONE);
        for factor in [2, 3, 5, 17, 257, 65537] {
            assert_eq!((P - 1) % factor, 0);
            assert_ne!(seven.pow((P - 1) / factor), Fp::ONE, "Lucas's test with {factor}");
        }
    }

    #[test]
    fn draws_repeat_and_reject_words_from_p_on() {
        let mut words = [P, u64::MAX, P - 1, 3].into_iter();
        assert_eq!(Fp::first_of(|| words.next().unwrap()), Fp(P - 1));
        let draw = |seed| Fp::random(&mut ChaCha12Rng::seed_from_u64(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_wiped_element_is_zero() {
        let mut element = Fp(5);
        zeroize::Zeroize::zeroize(&mut element);
        assert_eq!(element, Fp::ZERO);
        assert!(bool::from(Fp(5).ct_eq(&Fp(5))) && !bool::from(Fp(5).ct_eq(&Fp(6))));
    }
}
