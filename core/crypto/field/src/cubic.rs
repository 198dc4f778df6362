//! The extension of degree 3, large enough for challenges.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::CryptoRng;
use subtle::{Choice, ConstantTimeEq};
use zeroize::DefaultIsZeroes;

use crate::Fp;

/// An element a₀ + a₁·x + a₂·x² of `F_p[x]/(x³ − x − 1)`, a field of p³ ≈ 2^192 elements.
///
/// The polynomial is the one Plonky3 takes for Goldilocks, so challenges mean the same to its
/// proofs. Encoded as 24 bytes, a₀ first. Every operation takes the same time for all values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Cubic([Fp; 3]);

impl Cubic {
    /// 0.
    pub const ZERO: Self = Self([Fp::ZERO; 3]);
    /// 1.
    pub const ONE: Self = Self([Fp::ONE, Fp::ZERO, Fp::ZERO]);

    /// The element with coefficients a₀, a₁, a₂.
    #[inline]
    pub const fn new(coefficients: [Fp; 3]) -> Self {
        Self(coefficients)
    }

    /// An element of the prime field as one of the extension.
    pub const fn from_base(element: Fp) -> Self {
        Self([element, Fp::ZERO, Fp::ZERO])
    }

    /// a₀, a₁, a₂.
    #[inline]
    pub const fn coefficients(self) -> [Fp; 3] {
        self.0
    }

    /// The product with an element of the prime field.
    #[must_use]
    #[inline]
    pub fn scale(self, factor: Fp) -> Self {
        Self(self.0.map(|a| a * factor))
    }

    /// A uniform element, zero included.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(std::array::from_fn(|_| Fp::random(rng)))
    }

    /// A uniform element from a stream of uniform bytes: the first three little-endian words
    /// below p.
    pub fn from_xof(xof: &mut blake3::OutputReader) -> Self {
        Self(std::array::from_fn(|_| Fp::from_xof(xof)))
    }

    /// The element whose product with this one is 1; 0 has none.
    ///
    /// Multiplication by a is a matrix whose columns are a, a·x and a·x²; the inverse is the
    /// first column of its inverse, by Cramer's rule.
    pub fn inverse(self) -> Option<Self> {
        let [a0, a1, a2] = self.0;
        let (a02, a12) = (a0 + a2, a1 + a2);
        let cofactors = [a02 * a02 - a1 * a12, a2 * a12 - a1 * a02, a1 * a1 - a2 * a02];
        let determinant = a0 * cofactors[0] + a2 * cofactors[1] + a1 * cofactors[2];
        Some(Self(cofactors).scale(determinant.inverse()?))
    }
}

impl Add for Cubic {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
}

impl Sub for Cubic {
    type Output = Self;
    #[inline]
    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

impl Mul for Cubic {
    type Output = Self;

    /// x³ = x + 1 and x⁴ = x² + x.
    #[inline]
    fn mul(self, other: Self) -> Self {
        let ([a0, a1, a2], [b0, b1, b2]) = (self.0, other.0);
        let (third, fourth) = (a1 * b2 + a2 * b1, a2 * b2);
        Self([
            a0 * b0 + third,
            a0 * b1 + a1 * b0 + third + fourth,
            a0 * b2 + a1 * b1 + a2 * b0 + fourth,
        ])
    }
}

impl Neg for Cubic {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self(self.0.map(Neg::neg))
    }
}

impl AddAssign for Cubic {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Cubic {
    #[inline]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl MulAssign for Cubic {
    #[inline]
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}

impl Sum for Cubic {
    #[inline]
    fn sum<I: Iterator<Item = Self>>(elements: I) -> Self {
        elements.fold(Self::ZERO, Add::add)
    }
}

impl From<Fp> for Cubic {
    fn from(element: Fp) -> Self {
        Self::from_base(element)
    }
}

impl DefaultIsZeroes for Cubic {}

impl ConstantTimeEq for Cubic {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::P;

    const X: Cubic = Cubic([Fp::ZERO, Fp::ONE, Fp::ZERO]);

    fn element() -> impl Strategy<Value = Cubic> {
        let word = prop_oneof![any::<u64>(), prop::sample::select(&[0, 1, P - 1][..])];
        [word.clone(), word.clone(), word].prop_map(|words| Cubic(words.map(Fp::new)))
    }

    fn pow(base: Cubic, exponent: u64) -> Cubic {
        (0..64).rev().fold(Cubic::ONE, |power, bit| {
            let square = power * power;
            if exponent >> bit & 1 == 1 { square * base } else { square }
        })
    }

    /// A cubic without a root is irreducible, and it has a root exactly if it shares a factor
    /// with x^p − x, that is, if x^p − x has no inverse in the quotient ring.
    #[test]
    fn the_polynomial_is_irreducible() {
        assert_eq!(X * X * X, X + Cubic::ONE);
        let frobenius = pow(X, P);
        assert_eq!(pow(pow(frobenius, P), P), X);
        let difference = frobenius - X;
        assert_eq!(difference.inverse().unwrap() * difference, Cubic::ONE);
    }

    /// The second and third column of Plonky3's `FROBENIUS_MATRIX` for Goldilocks.
    #[test]
    fn the_frobenius_map_is_that_of_plonky3() {
        let columns = [
            [10_615_703_402_128_488_253, 10_050_274_602_728_160_328, 11_746_561_000_929_144_102],
            [6_700_183_068_485_440_220, 14_531_223_735_771_536_287, 8_396_469_466_686_423_992],
        ];
        for (power, column) in [X, X * X].into_iter().zip(columns) {
            assert_eq!(pow(power, P), Cubic(column.map(Fp::new)));
        }
    }

    proptest! {
        #[test]
        fn it_is_a_commutative_ring(a in element(), b in element(), c in element()) {
            prop_assert_eq!((a * b) * c, a * (b * c));
            prop_assert_eq!(a * b, b * a);
            prop_assert_eq!(a * (b + c), a * b + a * c);
            prop_assert_eq!(a - b, -(b - a));
            prop_assert_eq!(a * Cubic::ONE, a);
        }

        #[test]
        fn inverses_invert(a in element()) {
            prop_assert_eq!(a.inverse().is_none(), a == Cubic::ZERO);
            prop_assert!(a.inverse().is_none_or(|inverse| a * inverse == Cubic::ONE));
        }

        #[test]
        fn the_frobenius_map_is_an_automorphism(a in element(), b in element()) {
            prop_assert_eq!(pow(a, P) * pow(b, P), pow(a * b, P));
            prop_assert_eq!(pow(a, P) + pow(b, P), pow(a + b, P));
        }

        #[test]
        fn the_prime_field_lies_inside(a: u64, b in element()) {
            let a = Fp::new(a);
            prop_assert_eq!(Cubic::from_base(a) * b, b.scale(a));
            prop_assert_eq!(pow(a.into(), P), a.into());
        }

        #[test]
        fn an_element_has_one_encoding(words: [u64; 3]) {
            let bytes = words.map(u64::to_le_bytes).concat();
            let decoded = Cubic::try_from_slice(&bytes).ok();
            let canonical = words.iter().all(|word| *word < P);
            prop_assert_eq!(decoded, canonical.then(|| Cubic(words.map(Fp::new))));
        }
    }
}
