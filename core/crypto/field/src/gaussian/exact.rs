//! The table against the definition of the distribution, in interval arithmetic on integers: each
//! number is known to lie between two fixed-point numbers of 448 binary places.

use std::ops::{Add, Mul, Sub};

use super::MAX;
use super::table::TAILS;

const LIMBS: usize = 8;
/// All limbs but the last are places after the point.
const PLACES: usize = LIMBS - 1;
/// `exp(-x^2 / 81)` is less than the last place from here on.
const END: usize = 160;

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn low(value: u128) -> u64 {
    value as u64
}

/// A number of at least 0; the last limb is its integer part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fixed([u64; LIMBS]);

impl Fixed {
    const ONE: Self = Self([0, 0, 0, 0, 0, 0, 0, 1]);

    /// `numerator / 2^128`.
    fn over_2_128(numerator: u128) -> Self {
        let mut limbs = [0; LIMBS];
        limbs[PLACES - 2] = low(numerator);
        limbs[PLACES - 1] = low(numerator >> 64);
        Self(limbs)
    }

    fn divided_by(self, divisor: u64) -> Self {
        let mut quotient = Self::default();
        let mut rest = 0_u128;
        for at in (0..LIMBS).rev() {
            let value = rest << 64 | u128::from(self.0[at]);
            quotient.0[at] = u64::try_from(value / u128::from(divisor)).unwrap();
            rest = value % u128::from(divisor);
        }
        quotient
    }

    /// The product rounded down.
    fn times(self, other: Self) -> Self {
        let mut product = [0_u64; 2 * LIMBS];
        for (i, a) in self.0.iter().enumerate() {
            let mut carry = 0_u128;
            for (j, b) in other.0.iter().enumerate() {
                carry += u128::from(*a) * u128::from(*b) + u128::from(product[i + j]);
                product[i + j] = low(carry);
                carry >>= 64;
            }
            product[i + LIMBS] = u64::try_from(carry).unwrap();
        }
        assert_eq!(product[PLACES + LIMBS..], [0]);
        Self(std::array::from_fn(|at| product[PLACES + at]))
    }

    /// The next number above.
    fn next(self) -> Self {
        self + Self([1, 0, 0, 0, 0, 0, 0, 0])
    }

    fn minus(self, other: Self) -> Option<Self> {
        let mut borrow = false;
        let limbs = std::array::from_fn(|at| {
            let (value, first) = self.0[at].overflowing_sub(other.0[at]);
            let (value, second) = value.overflowing_sub(u64::from(borrow));
            borrow = first || second;
            value
        });
        (!borrow).then_some(Self(limbs))
    }
}

impl PartialOrd for Fixed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

impl Add for Fixed {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let mut carry = 0_u128;
        let sum = Self(std::array::from_fn(|at| {
            carry += u128::from(self.0[at]) + u128::from(other.0[at]);
            let limb = low(carry);
            carry >>= 64;
            limb
        }));
        assert_eq!(carry, 0);
        sum
    }
}

/// A number between `low` and `high`.
#[derive(Clone, Copy, Debug)]
struct Interval {
    low: Fixed,
    high: Fixed,
}

impl Interval {
    fn exactly(value: Fixed) -> Self {
        Self { low: value, high: value }
    }

    fn divided_by(self, divisor: u64) -> Self {
        Self { low: self.low.divided_by(divisor), high: self.high.divided_by(divisor).next() }
    }

    /// The greatest distance that two numbers of the intervals can have.
    fn distance(self, other: Self) -> Fixed {
        let above = self.high.minus(other.low).unwrap_or_default();
        let below = other.high.minus(self.low).unwrap_or_default();
        if above > below { above } else { below }
    }
}

impl Add for Interval {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { low: self.low + other.low, high: self.high + other.high }
    }
}

impl Sub for Interval {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let low = self.low.minus(other.high).unwrap();
        Self { low, high: self.high.minus(other.low).unwrap() }
    }
}

impl Mul for Interval {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self { low: self.low.times(other.low), high: self.high.times(other.high).next() }
    }
}

/// `exp(-1/81)`.
fn base() -> Interval {
    exp_of_minus_one_over(81)
}

/// By the power series, of which the terms after the 60th are below the last place.
fn exp_of_minus_one_over(denominator: u64) -> Interval {
    let mut term = Interval::exactly(Fixed::ONE);
    let (mut even, mut odd) = (term, Interval::exactly(Fixed::default()));
    for k in (1..60).step_by(2) {
        term = term.divided_by(denominator * k);
        odd = odd + term;
        term = term.divided_by(denominator * (k + 1));
        even = even + term;
    }
    even.high = even.high.next();
    odd.high = odd.high.next();
    even - odd
}

/// The distribution: `weights[m]` is that of magnitude `m`, `tails[m]` the sum of those above `m`.
struct Ideal {
    weights: Vec<Interval>,
    tails: Vec<Interval>,
    total: Interval,
}

fn ideal() -> Ideal {
    let base = base();
    // exp(-(x+1)^2 / 81) = exp(-x^2 / 81) * base^(2x + 1).
    let (mut density, mut step) = (Interval::exactly(Fixed::ONE), base);
    let mut weights = vec![density];
    for _ in 0..END {
        density = density * step;
        step = step * base * base;
        weights.push(density + density);
    }
    // What is left out: each weight is less than half of the one before it.
    let mut tail = Interval { low: Fixed::default(), high: weights[END].high };
    let mut tails = Vec::new();
    for weight in weights.iter().rev() {
        tails.push(tail);
        tail = tail + *weight;
    }
    tails.reverse();
    Ideal { weights, tails, total: tail }
}

/// A bound on the total variation distance between the ideal and what `tails` gives, times twice
/// the ideal's total weight.
fn distance(tails: &[u128], ideal: &Ideal) -> Fixed {
    let tail = |x: Option<usize>| match x {
        None => 1 << 127,
        Some(x) => tails.get(x).copied().unwrap_or(0),
    };
    let of = |magnitude: usize| {
        let probability = tail(magnitude.checked_sub(1)) - tail(Some(magnitude));
        let weight = Interval::exactly(Fixed::over_2_128(2 * probability)) * ideal.total;
        weight.distance(ideal.weights[magnitude])
    };
    (0..END).map(of).fold(ideal.tails[END - 1].high, |sum, part| sum + part)
}

#[test]
fn every_entry_is_the_nearest_integer() {
    let ideal = ideal();
    for (x, above) in ideal.tails.iter().enumerate() {
        let entry = TAILS.get(x).copied().unwrap_or(0);
        let half_up = Interval::exactly(Fixed::over_2_128(2 * entry + 1)) * ideal.total;
        assert!(above.high < half_up.low, "{x}");
        if entry > 0 {
            let half_down = Interval::exactly(Fixed::over_2_128(2 * entry - 1)) * ideal.total;
            assert!(half_down.high < above.low, "{x}");
        }
    }
    assert!(TAILS.is_sorted_by(|a, b| a > b) && TAILS[TAILS.len() - 1] > 0);
    assert!(TAILS.len() <= usize::from(MAX.unsigned_abs()));
}

#[test]
fn the_distance_to_the_ideal_is_below_2_to_the_minus_121() {
    let ideal = ideal();
    let bound = |bits: u32| Fixed::over_2_128(1 << (129 - bits)).times(ideal.total.low);
    assert!(distance(&TAILS, &ideal) < bound(121));
    assert!(bound(121) < bound(100));

    // Tables that do not do: of one word, of one and a half, and cut too early.
    for lost in [64, 32] {
        let rounded = TAILS.map(|tail| tail >> lost << lost);
        assert!(distance(&rounded, &ideal) > bound(100), "{lost}");
    }
    assert!(distance(&TAILS[..70], &ideal) > bound(100));
    // Other tables fail too: an entry that is off by 2^-98.
    let mut wrong = TAILS;
    wrong[0] += 1 << 29;
    assert!(distance(&wrong, &ideal) > bound(100));
}

/// The weights `exp(-x^2 / denominator)` of `x` from 0 to `last`.
fn densities(denominator: u64, last: usize) -> Vec<Interval> {
    let base = exp_of_minus_one_over(denominator);
    let (mut density, mut step) = (Interval::exactly(Fixed::ONE), base);
    let mut densities = vec![density];
    for _ in 0..last {
        density = density * step;
        step = step * base * base;
        densities.push(density);
    }
    densities
}

/// The ratio between the weight of `X + 4 Z = y` and that of the ideal, for variances 40.5 `s`
/// and 40.5, times what does not depend on `y`: an interval for each `y`.
fn step_of_stage(s: u64, factor: usize) -> Vec<(Interval, Interval)> {
    const LAST: usize = 400;
    let before = densities(81 * s, LAST);
    let narrow = densities(81, LAST);
    let square = u64::try_from(factor * factor).unwrap();
    let after = densities(81 * (s + square), 60);
    let weight = |y: usize| {
        let signed = |z: usize, x: usize| before.get(x).map(|weight| *weight * narrow[z]);
        let terms = (0..=LAST / factor).flat_map(|z| {
            let other = (z > 0).then(|| signed(z, y + factor * z)).flatten();
            [signed(z, y.abs_diff(factor * z)), other]
        });
        terms.flatten().fold(Interval::exactly(Fixed::default()), |sum, term| sum + term)
    };
    after.iter().enumerate().map(|(y, ideal)| (weight(y), *ideal)).collect()
}

/// Whether all weights are the ideal's times that of 0, up to a relative 2^-`bits`.
fn are_in_proportion(weights: &[(Interval, Interval)], bits: u32) -> bool {
    let first = weights[0].0;
    weights.iter().all(|(weight, ideal)| {
        let expected = first * *ideal;
        weight.distance(expected) < Fixed::over_2_128(1 << (128 - bits)).times(expected.low)
    })
}

#[test]
fn a_stage_of_a_wide_sample_is_off_by_less_than_2_to_the_minus_124() {
    // The worst that factors allow: the square of the factor is eight times what came before.
    // Twice 2^-126 for the weight and for that of 0.
    assert!(are_in_proportion(&step_of_stage(2, 4), 124));
    assert!(are_in_proportion(&step_of_stage(1, 2), 127));
    // A factor that is too large for what came before leaves gaps that show.
    assert!(!are_in_proportion(&step_of_stage(1, 4), 100));
    assert!(!are_in_proportion(&step_of_stage(2, 5), 124));
}

#[test]
fn the_arithmetic_is_that_of_small_numbers() {
    let third = Interval::exactly(Fixed::ONE).divided_by(3);
    let one = third + third + third;
    assert!(one.low < Fixed::ONE && Fixed::ONE < one.high);
    let ninth = third * third;
    assert!(ninth.low < Fixed::ONE.divided_by(9).next());
    assert!(ninth.high > Fixed::ONE.divided_by(9));
    let top = |value: Fixed| value.0[PLACES - 1] as f64 / 2_f64.powi(64);
    assert!((top(base().low) - (-1.0_f64 / 81.0).exp()).abs() < 1e-15);
    assert!((top(ideal().weights[9].high) - 2.0 * (-1_f64).exp()).abs() < 1e-15);
    let total = ideal().total;
    let expected = 81_f64.sqrt() * std::f64::consts::PI.sqrt();
    assert!((total.low.0[PLACES] as f64 + top(total.low) - expected).abs() < 1e-12);
}
