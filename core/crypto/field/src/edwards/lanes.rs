//! Eight words side by side: what a kernel has to offer, and the kernel in plain Rust.

use super::limbs;

/// Eight words in memory.
pub(super) type Row = [u64; 8];

/// Eight words of 64 bits, each operation lane by lane and modulo 2^64.
///
/// Whatever is generic over it is inlined into one function of a kernel, so that it is compiled
/// for the instructions of that kernel. Hence no closures in such code: they are functions too.
pub(super) trait Lanes: Copy {
    fn load(row: &Row) -> Self;
    fn store(self, row: &mut Row);
    fn splat(word: u64) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// All ones where the word is 1, and 0 where it is 0: minus the word.
    fn mask(self) -> Self;
    fn shl<const BITS: u32>(self) -> Self;
    fn shr<const BITS: u32>(self) -> Self;
    /// self + the low 52 bits of a·b, of the low 52 bits of each.
    fn mul_low(self, a: Self, b: Self) -> Self;
    /// self + the next 52 bits of a·b, of the low 52 bits of each.
    fn mul_high(self, a: Self, b: Self) -> Self;
    /// Lane by lane the word of the row that the low three bits of self name, in constant time.
    fn pick(self, row: &Row) -> Self;
    /// [`limbs::product`].
    fn product(a: [Self; 5], b: [Self; 5]) -> [Self; 5];
    /// [`limbs::square`].
    fn square(a: [Self; 5]) -> [Self; 5];
}

/// Lanes in plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Plain(Row);

const LOW: u64 = (1 << 52) - 1;

macro_rules! lane_by_lane {
    ($out:ident, $i:ident, $word:expr) => {{
        let mut $out: Row = [0; 8];
        for $i in 0..8 {
            $out[$i] = $word;
        }
        Self($out)
    }};
}

#[expect(clippy::inline_always, reason = "compiled for the kernel that uses it")]
impl Lanes for Plain {
    #[inline(always)]
    fn load(row: &Row) -> Self {
        Self(*row)
    }
    #[inline(always)]
    fn store(self, row: &mut Row) {
        *row = self.0;
    }
    #[inline(always)]
    fn splat(word: u64) -> Self {
        Self([word; 8])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        lane_by_lane!(out, i, self.0[i].wrapping_add(other.0[i]))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        lane_by_lane!(out, i, self.0[i].wrapping_sub(other.0[i]))
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        lane_by_lane!(out, i, self.0[i] & other.0[i])
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        lane_by_lane!(out, i, self.0[i] | other.0[i])
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        lane_by_lane!(out, i, self.0[i] ^ other.0[i])
    }
    #[inline(always)]
    fn mask(self) -> Self {
        Self::splat(0).sub(self)
    }
    #[inline(always)]
    fn shl<const BITS: u32>(self) -> Self {
        lane_by_lane!(out, i, self.0[i] << BITS)
    }
    #[inline(always)]
    fn shr<const BITS: u32>(self) -> Self {
        lane_by_lane!(out, i, self.0[i] >> BITS)
    }
    #[inline(always)]
    fn mul_low(self, a: Self, b: Self) -> Self {
        lane_by_lane!(out, i, self.0[i].wrapping_add(halves(a.0[i], b.0[i]).0))
    }
    #[inline(always)]
    fn mul_high(self, a: Self, b: Self) -> Self {
        lane_by_lane!(out, i, self.0[i].wrapping_add(halves(a.0[i], b.0[i]).1))
    }
    #[inline(always)]
    fn pick(self, row: &Row) -> Self {
        lane_by_lane!(out, i, picked(self.0[i], row))
    }
    // Compiled once: it is only to be right.
    #[inline(never)]
    fn product(a: [Self; 5], b: [Self; 5]) -> [Self; 5] {
        limbs::product(a, b)
    }
    #[inline(never)]
    fn square(a: [Self; 5]) -> [Self; 5] {
        limbs::square(a)
    }
}

/// The two halves, of 52 bits each, of a product of 104.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "both halves have 52 bits")]
fn halves(a: u64, b: u64) -> (u64, u64) {
    let product = u128::from(a & LOW) * u128::from(b & LOW);
    (product as u64 & LOW, (product >> 52) as u64)
}

/// The word of that place: all are read, and the others masked away.
fn picked(place: u64, row: &Row) -> u64 {
    let mut out = 0;
    for (word, number) in row.iter().zip(0..) {
        let differs = place & 7 ^ number;
        out |= word & (differs.wrapping_sub(1) >> 63).wrapping_neg();
    }
    out
}
