//! Fields small enough to try every case, for tests.

use std::ops::{Add, Mul, Neg, Sub};

use nexus_types::CryptoRng;
use zeroize::{DefaultIsZeroes, Zeroize};

use super::field::{Extension, Field};

/// The field of a small prime `P`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Toy<const P: u64>(pub(crate) u64);

impl<const P: u64> DefaultIsZeroes for Toy<P> {}

impl<const P: u64> Toy<P> {
    pub(crate) fn all() -> impl Iterator<Item = Self> + Clone {
        (0..P).map(Self)
    }
}

impl<const P: u64> Add for Toy<P> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self((self.0 + other.0) % P)
    }
}

impl<const P: u64> Sub for Toy<P> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self((self.0 + P - other.0) % P)
    }
}

impl<const P: u64> Mul for Toy<P> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(self.0 * other.0 % P)
    }
}

impl<const P: u64> Neg for Toy<P> {
    type Output = Self;
    fn neg(self) -> Self {
        Self((P - self.0) % P)
    }
}

impl<const P: u64> Field for Toy<P> {
    const ZERO: Self = Self(0);
    const ONE: Self = Self(1);

    fn from_u64(value: u64) -> Self {
        Self(value % P)
    }

    fn inverse(self) -> Option<Self> {
        let square_and_multiply = |(power, base): (Self, Self), bit: u32| {
            let odd = (P - 2) >> bit & 1 == 1;
            (if odd { power * base } else { power }, base * base)
        };
        let power = (0..64).fold((Self::ONE, self), square_and_multiply).0;
        (self != Self::ZERO).then_some(power)
    }

    fn random(rng: &mut dyn CryptoRng) -> Self {
        let limit = u64::MAX - u64::MAX % P;
        loop {
            let word = rng.next_u64();
            if word < limit {
                return Self(word % P);
            }
        }
    }
}

/// `Toy<P>[x]/(x³ − W)`: a field if `W` is no cube modulo `P`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToyCubic<const P: u64, const W: u64>(pub(crate) [Toy<P>; 3]);

impl<const P: u64, const W: u64> Zeroize for ToyCubic<P, W> {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl<const P: u64, const W: u64> Add for ToyCubic<P, W> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
}

impl<const P: u64, const W: u64> Sub for ToyCubic<P, W> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

impl<const P: u64, const W: u64> Mul for ToyCubic<P, W> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let ([a, b, c], [x, y, z], w) = (self.0, other.0, Toy(W));
        Self([a * x + w * (b * z + c * y), a * y + b * x + w * c * z, a * z + b * y + c * x])
    }
}

impl<const P: u64, const W: u64> Neg for ToyCubic<P, W> {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.map(Neg::neg))
    }
}

impl<const P: u64, const W: u64> Field for ToyCubic<P, W> {
    const ZERO: Self = Self([Toy(0); 3]);
    const ONE: Self = Self([Toy(1), Toy(0), Toy(0)]);

    fn from_u64(value: u64) -> Self {
        Self::embed(Toy::from_u64(value))
    }

    /// `a^(p³ − 2)`.
    fn inverse(self) -> Option<Self> {
        let exponent = u128::from(P).pow(3) - 2;
        let step = |(power, base): (Self, Self), bit: u32| {
            (if exponent >> bit & 1 == 1 { power * base } else { power }, base * base)
        };
        let power = (0..128).fold((Self::ONE, self), step).0;
        (self != Self::ZERO).then_some(power)
    }

    fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(std::array::from_fn(|_| Toy::random(rng)))
    }
}

impl<const P: u64, const W: u64> Extension<Toy<P>> for ToyCubic<P, W> {
    fn embed(value: Toy<P>) -> Self {
        Self([value, Toy(0), Toy(0)])
    }

    fn scale(self, factor: Toy<P>) -> Self {
        Self(self.0.map(|a| a * factor))
    }
}
