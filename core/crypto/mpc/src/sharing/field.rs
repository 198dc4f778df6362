//! What sharing asks of a field, so that the same code runs over Goldilocks, over the scalars of
//! ristretto255, and over fields small enough to try every case.

use std::fmt::Debug;
use std::ops::{Add, Mul, Neg, Sub};

use curve25519_dalek::Scalar;
use nexus_field::{Cubic, Fp};
use nexus_types::CryptoRng;
use zeroize::Zeroize;

/// A finite field. Its operations take the same time for all values.
pub trait Field:
    Copy
    + Debug
    + Eq
    + Zeroize
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
{
    /// Nought.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// The image of an integer.
    fn from_u64(value: u64) -> Self;

    /// `1/self`, nothing for nought.
    fn inverse(self) -> Option<Self>;

    /// A uniform element, nought included.
    fn random(rng: &mut dyn CryptoRng) -> Self;

    /// `Σ left_i · right_i` over the shorter of the two.
    fn dot(left: &[Self], right: &[Self]) -> Self {
        left.iter().zip(right).fold(Self::ZERO, |sum, (&a, &b)| sum + a * b)
    }
}

/// A field that contains `F`.
pub trait Extension<F>: Field {
    /// The image of an element of the subfield.
    fn embed(value: F) -> Self;

    /// `self · factor`.
    #[must_use]
    fn scale(self, factor: F) -> Self;

    /// `Σ weight_i · element_i`.
    fn weigh(terms: impl Iterator<Item = (Self, F)>) -> Self {
        terms.fold(Self::ZERO, |sum, (weight, element)| sum + weight.scale(element))
    }
}

impl<F: Field> Extension<F> for F {
    fn embed(value: F) -> Self {
        value
    }

    fn scale(self, factor: F) -> Self {
        self * factor
    }
}

impl Field for Fp {
    const ZERO: Self = Self::ZERO;
    const ONE: Self = Self::ONE;

    fn from_u64(value: u64) -> Self {
        Self::new(value)
    }

    fn inverse(self) -> Option<Self> {
        Self::inverse(self)
    }

    fn random(rng: &mut dyn CryptoRng) -> Self {
        Self::random(rng)
    }

    fn dot(left: &[Self], right: &[Self]) -> Self {
        let mut sum = Wide::default();
        for (&a, &b) in left.iter().zip(right) {
            sum.add(a, b);
        }
        sum.reduce()
    }
}

/// A sum of products that is reduced once: `low + 2^128·carries`.
#[derive(Clone, Copy, Default)]
struct Wide {
    low: u128,
    carries: u64,
}

impl Wide {
    fn add(&mut self, a: Fp, b: Fp) {
        let (low, carry) = self.low.overflowing_add(u128::from(a.value()) * u128::from(b.value()));
        self.low = low;
        self.carries += u64::from(carry);
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a word are meant")]
    fn reduce(self) -> Fp {
        const WORD: Fp = Fp::new(0xffff_ffff); // 2^64 mod p
        let (low, high) = (Fp::new(self.low as u64), Fp::new((self.low >> 64) as u64));
        low + WORD * (high + WORD * Fp::new(self.carries))
    }
}

impl Field for Cubic {
    const ZERO: Self = Self::ZERO;
    const ONE: Self = Self::ONE;

    fn from_u64(value: u64) -> Self {
        Self::from_base(Fp::new(value))
    }

    fn inverse(self) -> Option<Self> {
        Self::inverse(self)
    }

    fn random(rng: &mut dyn CryptoRng) -> Self {
        Self::random(rng)
    }
}

impl Extension<Fp> for Cubic {
    fn embed(value: Fp) -> Self {
        Self::from_base(value)
    }

    fn scale(self, factor: Fp) -> Self {
        Self::scale(self, factor)
    }

    fn weigh(terms: impl Iterator<Item = (Self, Fp)>) -> Self {
        let mut sums = [Wide::default(); 3];
        for (weight, element) in terms {
            for (sum, weight) in sums.iter_mut().zip(weight.coefficients()) {
                sum.add(weight, element);
            }
        }
        Self::new(sums.map(Wide::reduce))
    }
}

impl Field for Scalar {
    const ZERO: Self = Self::ZERO;
    const ONE: Self = Self::ONE;

    fn from_u64(value: u64) -> Self {
        Self::from(value)
    }

    fn inverse(self) -> Option<Self> {
        (self != Self::ZERO).then(|| self.invert())
    }

    fn random(rng: &mut dyn CryptoRng) -> Self {
        Self::random(rng)
    }
}

#[cfg(test)]
mod tests {
    use nexus_field::P;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_of_the_largest_products_are_exact() {
        // (−1)·(−1) = 1: carries are taken often.
        for count in [0, 1, 2, 3, 1000] {
            let ones = vec![-Fp::ONE; count];
            assert_eq!(<Fp as Field>::dot(&ones, &ones), Fp::new(count as u64));
        }
    }

    proptest! {
        #[test]
        fn one_reduction_is_as_good_as_many(
            words in prop::collection::vec((P - 3..P + 3, any::<u64>()), 0..30),
        ) {
            let pairs = words.into_iter().map(|(a, b)| (Fp::new(a), Fp::new(b)));
            let (a, b): (Vec<Fp>, Vec<Fp>) = pairs.unzip();
            let plain = a.iter().zip(&b).fold(Fp::ZERO, |sum, (&a, &b)| sum + a * b);
            prop_assert_eq!(<Fp as Field>::dot(&a, &b), plain);
            let weights = a.windows(3).map(|w| Cubic::new([w[0], w[1], w[2]]));
            let terms = weights.zip(b.iter().copied());
            let plain = terms.clone().fold(Cubic::ZERO, |sum, (w, b)| sum + w.scale(b));
            prop_assert_eq!(<Cubic as Extension<Fp>>::weigh(terms), plain);
        }
    }
}
