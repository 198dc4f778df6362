//! The numbers a network computes in.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32`, in which networks train, or `f64`, in which their gradients are checked.
pub trait Real:
    sealed::Sealed
    + Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + MulAssign
    + Sum
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The largest relative error of rounding: 2^-24 or 2^-53.
    const ROUNDING: Self;

    /// The number nearest to `value`.
    fn of(value: f64) -> Self;
    /// This number, exactly.
    fn to_f64(self) -> f64;
    /// e to this power.
    #[must_use]
    fn exp(self) -> Self;
    /// The natural logarithm.
    #[must_use]
    fn ln(self) -> Self;
    /// ln(1 + this), exact near 0.
    #[must_use]
    fn ln_1p(self) -> Self;
    /// The square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// The hyperbolic tangent.
    #[must_use]
    fn tanh(self) -> Self;
    /// Without the sign.
    #[must_use]
    fn abs(self) -> Self;
}

macro_rules! real {
    ($type:ident, $of:expr, $to:expr) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const ROUNDING: Self = $type::EPSILON / 2.0;

            #[inline]
            fn of(value: f64) -> Self {
                $of(value)
            }

            #[inline]
            fn to_f64(self) -> f64 {
                $to(self)
            }

            #[inline]
            fn exp(self) -> Self {
                self.exp()
            }

            #[inline]
            fn ln(self) -> Self {
                self.ln()
            }

            #[inline]
            fn ln_1p(self) -> Self {
                self.ln_1p()
            }

            #[inline]
            fn sqrt(self) -> Self {
                self.sqrt()
            }

            #[inline]
            fn tanh(self) -> Self {
                self.tanh()
            }

            #[inline]
            fn abs(self) -> Self {
                self.abs()
            }
        }
    };
}

#[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is meant")]
const fn nearest(value: f64) -> f32 {
    value as f32
}

real!(f32, nearest, f64::from);
real!(f64, std::convert::identity, std::convert::identity);
