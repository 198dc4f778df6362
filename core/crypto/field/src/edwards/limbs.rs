//! The field of 2^255 − 19, eight elements at a time.
//!
//! Five limbs of 51 bits. Every element here has limbs below 2^51 + 2^15, which is below 2^52, so
//! that any two can be multiplied; sums and differences are carried at once.

#![expect(clippy::inline_always, reason = "compiled for the kernel that uses it")]

use super::lanes::{Lanes, Row};

/// One element.
pub(super) type Limbs = [u64; 5];
/// Eight elements in memory: limb by limb.
pub(super) type Rows = [Row; 5];

pub(super) const ZERO: Limbs = [0; 5];
pub(super) const ONE: Limbs = [1, 0, 0, 0, 0];
pub(super) const D: Limbs = [
    0x0003_4dca_1359_78a3,
    0x0001_a828_3b15_6ebd,
    0x0005_e7a2_6001_c029,
    0x0007_39c6_63a0_3cbb,
    0x0005_2036_cee2_b6ff,
];
pub(super) const SQRT_M1: Limbs = [
    0x0006_1b27_4a0e_a0b0,
    0x0000_d5a5_fc8f_189d,
    0x0007_ef5e_9cbd_0c60,
    0x0007_8595_a680_4c9e,
    0x0002_b832_4804_fc1d,
];
pub(super) const SQRT_AD_MINUS_ONE: Limbs = [
    0x0007_f6a0_497b_2e1b,
    0x0001_836f_0a97_afd2,
    0x0007_d747_f6be_7638,
    0x0004_5607_9e7e_6498,
    0x0003_7693_1bf2_b834,
];
pub(super) const INVSQRT_A_MINUS_D: Limbs = [
    0x0000_fdaa_805d_40ea,
    0x0002_eb48_2e57_d339,
    0x0000_0761_0274_bc58,
    0x0006_510b_613d_c8ff,
    0x0007_86c8_905c_faff,
];
pub(super) const ONE_MINUS_D_SQ: Limbs = [
    0x0004_09c1_945f_c176,
    0x0007_19ab_c6a1_fc4f,
    0x0001_c37f_90b2_0684,
    0x0000_6bcc_ca55_eedf,
    0x0000_2907_2a8b_2b3e,
];
pub(super) const D_MINUS_ONE_SQ: Limbs = [
    0x0005_5aaa_44ed_4d20,
    0x0005_9603_c333_2635,
    0x0002_6d3b_af4a_7928,
    0x0001_20a6_6e69_97a9,
    0x0005_968b_37af_66c2,
];
pub(super) const D2: Limbs = [
    0x0006_9b94_26b2_f159,
    0x0003_5050_762a_dd7a,
    0x0003_cf44_c003_8052,
    0x0006_738c_c740_7977,
    0x0002_406d_9dc5_6dff,
];
const MASK: u64 = (1 << 51) - 1;

/// Eight elements.
#[derive(Clone, Copy)]
pub(super) struct Fe<L>(pub(super) [L; 5]);

impl<L: Lanes> Fe<L> {
    #[inline(always)]
    pub(super) fn splat(limbs: Limbs) -> Self {
        let mut out = [L::splat(0); 5];
        for i in 0..5 {
            out[i] = L::splat(limbs[i]);
        }
        Self(out)
    }

    #[inline(always)]
    pub(super) fn load(rows: &Rows) -> Self {
        let mut out = [L::splat(0); 5];
        for i in 0..5 {
            out[i] = L::load(&rows[i]);
        }
        Self(out)
    }

    /// Lane by lane the element of that place in a row.
    #[inline(always)]
    pub(super) fn pick(place: L, rows: &Rows) -> Self {
        let mut out = [place; 5];
        for i in 0..5 {
            out[i] = place.pick(&rows[i]);
        }
        Self(out)
    }

    #[inline(always)]
    pub(super) fn store(self, rows: &mut Rows) {
        for (limb, row) in self.0.iter().zip(rows) {
            limb.store(row);
        }
    }

    #[inline(always)]
    pub(super) fn add(self, other: Self) -> Self {
        let mut out = self.0;
        for (out, other) in out.iter_mut().zip(&other.0) {
            *out = out.add(*other);
        }
        Self(carried(out))
    }

    #[inline(always)]
    pub(super) fn sub(self, other: Self) -> Self {
        self.minus([other])
    }

    /// self − Σ others + (N + 1)·p, so that no limb goes below 0. N is at most 3.
    #[inline(always)]
    pub(super) fn minus<const N: usize>(self, others: [Self; N]) -> Self {
        let mut out = self.0;
        for (i, out) in out.iter_mut().enumerate() {
            let limb_of_p = if i == 0 { MASK - 18 } else { MASK };
            *out = out.add(L::splat((N as u64 + 1) * limb_of_p));
            for other in others {
                *out = out.sub(other.0[i]);
            }
        }
        Self(carried(out))
    }

    #[inline(always)]
    pub(super) fn neg(self) -> Self {
        Self::splat(ZERO).sub(self)
    }

    #[inline(always)]
    pub(super) fn mul(self, other: Self) -> Self {
        Self(L::product(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn square(self) -> Self {
        Self(L::square(self.0))
    }

    #[inline(always)]
    fn squared(self, times: u32) -> Self {
        let mut out = self;
        for _ in 0..times {
            out = out.square();
        }
        out
    }

    /// self^((p − 5)/8) = self^(2^252 − 3).
    #[inline(always)]
    fn pow_p58(self) -> Self {
        // The names tell how many ones the exponent has.
        let two = self.squared(1).mul(self);
        let four = two.squared(2).mul(two);
        let five = four.squared(1).mul(self);
        let ten = five.squared(5).mul(five);
        let twenty = ten.squared(10).mul(ten);
        let forty = twenty.squared(20).mul(twenty);
        let fifty = forty.squared(10).mul(ten);
        let hundred = fifty.squared(50).mul(fifty);
        let two_hundred = hundred.squared(100).mul(hundred);
        two_hundred.squared(50).mul(fifty).squared(2).mul(self)
    }

    /// The one form with limbs of 51 bits and a value below p.
    #[inline(always)]
    pub(super) fn canonical(self) -> Self {
        // The value is below 2p: whether it reaches p is the carry out of value + 19.
        let (mut r, mask) = (self.0, L::splat(MASK));
        let mut carry = L::splat(19);
        for limb in r {
            carry = limb.add(carry).shr::<51>();
        }
        carry = times_19(L::splat(0), carry);
        for limb in &mut r {
            let sum = limb.add(carry);
            (*limb, carry) = (sum.and(mask), sum.shr::<51>());
        }
        Self(r)
    }

    /// All ones where the element is 0.
    #[inline(always)]
    pub(super) fn is_zero(self) -> L {
        let r = self.canonical().0;
        let any = r[0].or(r[1]).or(r[2]).or(r[3]).or(r[4]);
        any.or(any.mask()).shr::<63>().sub(L::splat(1))
    }

    #[inline(always)]
    pub(super) fn equals(self, other: Self) -> L {
        self.sub(other).is_zero()
    }

    /// All ones where the element is negative: odd.
    #[inline(always)]
    pub(super) fn is_negative(self) -> L {
        self.canonical().0[0].and(L::splat(1)).mask()
    }

    /// `other` where the mask is all ones, and self where it is 0.
    #[inline(always)]
    pub(super) fn or_if(self, mask: L, other: Self) -> Self {
        let mut out = self.0;
        for (out, other) in out.iter_mut().zip(&other.0) {
            *out = out.xor(mask.and(out.xor(*other)));
        }
        Self(out)
    }

    #[inline(always)]
    pub(super) fn neg_if(self, mask: L) -> Self {
        self.or_if(mask, self.neg())
    }

    #[inline(always)]
    pub(super) fn abs(self) -> Self {
        self.neg_if(self.is_negative())
    }

    /// RFC 9496, section 4.2: whether u/v is a square, and the root of u/v or of i·u/v.
    #[inline(always)]
    pub(super) fn sqrt_ratio(u: Self, v: Self) -> (L, Self) {
        let i = Self::splat(SQRT_M1);
        let v3 = v.square().mul(v);
        let r = u.mul(v3).mul(u.mul(v3.square().mul(v)).pow_p58());
        let check = v.mul(r.square());
        let minus = u.neg();
        let correct = check.equals(u);
        let flipped = check.equals(minus);
        let flipped_i = check.equals(minus.mul(i));
        let r = r.or_if(flipped.or(flipped_i), r.mul(i));
        (correct.or(flipped), r.abs())
    }
}

/// The product: 25 of two halves each. A column holds at most 5 low halves and 5 doubled high
/// ones, below 15·2^52; with its fold it stays below 2^61.
#[inline(always)]
pub(super) fn product<L: Lanes>(a: [L; 5], b: [L; 5]) -> [L; 5] {
    let mut low = [L::splat(0); 10];
    let mut high = [L::splat(0); 10];
    for i in 0..5 {
        for j in 0..5 {
            low[i + j] = low[i + j].mul_low(a[i], b[j]);
            high[i + j + 1] = high[i + j + 1].mul_high(a[i], b[j]);
        }
    }
    folded(low, high)
}

/// The square: 15 products. What is off the diagonal counts twice, and so does a high half.
#[inline(always)]
pub(super) fn square<L: Lanes>(a: [L; 5]) -> [L; 5] {
    let mut low = [L::splat(0); 10];
    let mut high = [L::splat(0); 10];
    for i in 0..5 {
        for j in i + 1..5 {
            low[i + j] = low[i + j].mul_low(a[i], a[j]);
            high[i + j + 1] = high[i + j + 1].mul_high(a[i], a[j]);
        }
    }
    for k in 1..9 {
        low[k] = low[k].shl::<1>();
        high[k] = high[k].shl::<1>();
    }
    for i in 0..5 {
        low[2 * i] = low[2 * i].mul_low(a[i], a[i]);
        high[2 * i + 1] = high[2 * i + 1].mul_high(a[i], a[i]);
    }
    folded(low, high)
}

/// low + 2·high, with 2^255 = 19: for columns s = low + 2·high of the upper half, 19·s is taken
/// as s + 2·(s + 8·s).
#[inline(always)]
fn folded<L: Lanes>(low: [L; 10], high: [L; 10]) -> [L; 5] {
    let mut out = [low[0]; 5];
    for k in 0..5 {
        let s = low[k + 5].add(high[k + 5].shl::<1>());
        let twice = high[k].add(s).add(s.shl::<3>()).shl::<1>();
        out[k] = low[k].add(s).add(twice);
    }
    carried(out)
}

/// Limbs of 61 bits brought below 2^51 + 2^15.
#[inline(always)]
fn carried<L: Lanes>(r: [L; 5]) -> [L; 5] {
    let mask = L::splat(MASK);
    [
        times_19(r[0].and(mask), r[4].shr::<51>()),
        r[1].and(mask).add(r[0].shr::<51>()),
        r[2].and(mask).add(r[1].shr::<51>()),
        r[3].and(mask).add(r[2].shr::<51>()),
        r[4].and(mask).add(r[3].shr::<51>()),
    ]
}

/// sum + 19·x, for an x below 2^47.
#[inline(always)]
fn times_19<L: Lanes>(sum: L, x: L) -> L {
    sum.mul_low(x, L::splat(19))
}

/// The limbs of the low 255 bits.
pub(super) fn from_bytes(bytes: &[u8; 32]) -> Limbs {
    let (words, _) = bytes.as_chunks();
    let mut w = [0; 4];
    for (w, bytes) in w.iter_mut().zip(words) {
        *w = u64::from_le_bytes(*bytes);
    }
    [
        w[0] & MASK,
        (w[0] >> 51 | w[1] << 13) & MASK,
        (w[1] >> 38 | w[2] << 26) & MASK,
        (w[2] >> 25 | w[3] << 39) & MASK,
        w[3] >> 12 & MASK,
    ]
}

/// The bytes of an element in canonical form.
pub(super) fn to_bytes(r: Limbs) -> [u8; 32] {
    let words = [
        r[0] | r[1] << 51,
        r[1] >> 13 | r[2] << 38,
        r[2] >> 26 | r[3] << 25,
        r[3] >> 39 | r[4] << 12,
    ];
    let mut out = [0; 32];
    for (bytes, word) in out.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    out
}
