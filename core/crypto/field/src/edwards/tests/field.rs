//! The field against arithmetic bit by bit, at the bounds of the limbs, and kernel against kernel.

use super::*;
use crate::edwards::limbs::Rows;

/// What a limb stays below.
const BOUND: u64 = (1 << 51) + (1 << 15);

/// A number below p = 2^255 − 19: low and high half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number([u128; 2]);

const P: [u128; 2] = [u128::MAX - 18, u128::MAX >> 1];

impl Number {
    const ZERO: Self = Self([0; 2]);

    fn add(self, other: Self) -> Self {
        let (low, carry) = self.0[0].overflowing_add(other.0[0]);
        let high = self.0[1] + other.0[1] + u128::from(carry);
        if (high, low) < (P[1], P[0]) {
            return Self([low, high]);
        }
        let (low, borrow) = low.overflowing_sub(P[0]);
        Self([low, high - P[1] - u128::from(borrow)])
    }

    fn neg(self) -> Self {
        let (low, borrow) = P[0].overflowing_sub(self.0[0]);
        Self([low, P[1] - self.0[1] - u128::from(borrow)]).add(Self::ZERO)
    }

    fn mul(self, other: Self) -> Self {
        let mut product = Self::ZERO;
        for bit in (0..255).rev() {
            product = product.add(product);
            if other.0[bit / 128] >> (bit % 128) & 1 == 1 {
                product = product.add(self);
            }
        }
        product
    }

    fn of(limbs: [u64; 5]) -> Self {
        limbs.iter().rev().fold(Self::ZERO, |number, limb| {
            let shifted = (0..51).fold(number, |number, _| number.add(number));
            shifted.add(Self([u128::from(*limb), 0]))
        })
    }
}

fn lane(rows: &Rows, lane: usize) -> [u64; 5] {
    rows.map(|row| row[lane])
}

/// Limbs at their bounds, around p, and random.
fn operands() -> Vec<Rows> {
    let top = (1 << 51) - 1;
    let special = [
        [0; 5],
        [1, 0, 0, 0, 0],
        [BOUND - 1; 5],
        [top; 5],
        [top - 18, top, top, top, top],
        [top - 19, top, top, top, top],
        [BOUND - 1, 0, BOUND - 1, 0, BOUND - 1],
        [0, BOUND - 1, 0, BOUND - 1, top],
    ];
    let mut out = vec![[[0; 8]; 5]; 12];
    let mut words =
        random::<8>(12 * 40, 7).into_iter().map(|word| u64::from_le_bytes(word) % BOUND);
    for (rows, turn) in out.iter_mut().zip(0..) {
        for i in 0..5 {
            for lane in 0..8 {
                let word = words.next().unwrap();
                rows[i][lane] = if turn < 8 { special[(lane + turn) % 8][i] } else { word };
            }
        }
    }
    out
}

#[test]
fn operations_are_those_of_the_field_and_of_every_kernel() {
    let operands = operands();
    for a in &operands {
        for b in [&operands[0], &operands[8], a] {
            let plain = arithmetic(Kernel::Portable, a, b);
            for kernel in kernels() {
                assert_eq!(arithmetic(kernel, a, b), plain, "{kernel:?}");
            }
            for i in 0..8 {
                check(lane(a, i), lane(b, i), &plain.map(|rows| lane(&rows, i)));
            }
        }
    }
}

fn check(a: [u64; 5], b: [u64; 5], results: &[[u64; 5]; 7]) {
    let (x, y) = (Number::of(a), Number::of(b));
    let minus = y.neg();
    let thrice = minus.add(minus).add(minus);
    let expected = [
        x.add(y),
        x.add(minus),
        x.add(thrice),
        x.mul(y),
        x.mul(x),
        x,
        if x.0[0] & 1 == 1 { x.neg() } else { x },
    ];
    assert_eq!(results.map(Number::of), expected, "{a:?}, {b:?}");
    for limbs in results {
        assert!(limbs.iter().all(|limb| *limb < BOUND), "{a:?}, {b:?}: {limbs:?}");
    }
    // The canonical form is what its bytes say.
    let canonical = limbs::from_bytes(&limbs::to_bytes(results[5]));
    assert_eq!(canonical, results[5]);
    let [low, high] = x.0;
    let bytes: Vec<u8> = [low.to_le_bytes(), high.to_le_bytes()].concat();
    assert_eq!(limbs::to_bytes(results[5])[..], bytes);
}

#[test]
fn constants_are_what_they_are_called() {
    let [one, d, i] = [limbs::ONE, limbs::D, limbs::SQRT_M1].map(Number::of);
    let of = Number::of;
    let numbers = [121_665, 121_666].map(|number| Number([number, 0]));
    assert_eq!(d.mul(numbers[1]), numbers[0].neg());
    assert_eq!(of(limbs::D2), d.add(d));
    assert_eq!(i.mul(i), one.neg());
    let a_d = d.add(one).neg();
    let root = of(limbs::INVSQRT_A_MINUS_D);
    assert_eq!(root.mul(root).mul(a_d), one);
    let root = of(limbs::SQRT_AD_MINUS_ONE);
    assert_eq!(root.mul(root), a_d);
    assert_eq!(of(limbs::ONE_MINUS_D_SQ), one.add(d.mul(d).neg()));
    let less = d.add(one.neg());
    assert_eq!(of(limbs::D_MINUS_ONE_SQ), less.mul(less));
}

#[test]
fn digits_make_up_their_number() {
    let order = {
        let mut bytes = (-Scalar::ONE).to_bytes();
        bytes[0] += 1;
        bytes
    };
    let mut top = [0xff; 32];
    top[31] = 0x7f;
    let mut numbers = vec![[0; 32], top, [0xff; 32], [0x88; 32], [0x77; 32], order];
    numbers.extend(random(20, 8));
    let apart = digits::apart(&numbers[..8]);
    for (number, place) in numbers.iter().zip(0..) {
        let each = digits::each(number);
        let mut sum = Number::ZERO;
        for (digit, i) in each.iter().zip(0..64).rev() {
            let [size, sign] = *digit;
            assert!(size <= 8 && (sign == 0 || sign == u64::MAX), "{digit:?}");
            let size = Number([size.into(), 0]);
            sum = (0..4).fold(sum, |sum, _| sum.add(sum));
            sum = sum.add(if sign == 0 { size } else { size.neg() });
            if place < 8 {
                let rows: [Row; 2] = apart[i];
                assert_eq!(rows.map(|row| row[place]), *digit);
            }
        }
        // The top bit is ignored, and nothing else: multiples of p have been taken off both.
        assert_eq!(sum, Number::of(limbs::from_bytes(number)));
    }
}
