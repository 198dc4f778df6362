//! Eight elements of ristretto255, as points (X : Y : Z : T) with x = X/Z, y = Y/Z, xy = T/Z on
//! −x² + y² = 1 + d·x²·y².

#![expect(clippy::inline_always, reason = "compiled for the kernel that uses it")]

use super::lanes::{Lanes, Row};
use super::limbs::{
    D, D_MINUS_ONE_SQ, D2, Fe, INVSQRT_A_MINUS_D, ONE, ONE_MINUS_D_SQ, Rows, SQRT_AD_MINUS_ONE,
    SQRT_M1, ZERO, from_bytes, to_bytes,
};

/// Eight points in memory.
pub(super) type Group = [Rows; 4];
pub(super) type Encodings = [[u8; 32]; 8];
pub(super) type Uniform = [[u8; 64]; 8];
/// A number in base 16, lowest digit first: the sizes of digits from −8 to 8, and all ones where
/// one is negative.
pub(super) type Digits<W> = [[W; 2]; 64];
/// Points with Z = 1 as [`Point::add_affine`] wants them: Y − X, Y + X, 2·d·T.
pub(super) type Affine = [Rows; 3];
/// Digits of a weight of 128 bits.
const WEIGHT_DIGITS: usize = 33;

#[derive(Clone, Copy)]
struct Point<L> {
    x: Fe<L>,
    y: Fe<L>,
    z: Fe<L>,
    t: Fe<L>,
}

/// A point as [`Point::add`] wants it: Y − X, Y + X, 2·Z, 2·d·T.
#[derive(Clone, Copy)]
struct Addend<L>([Fe<L>; 4]);

impl<L: Lanes> Point<L> {
    #[inline(always)]
    fn identity() -> Self {
        let (zero, one) = (Fe::splat(ZERO), Fe::splat(ONE));
        Self { x: zero, y: one, z: one, t: zero }
    }

    #[inline(always)]
    fn load(group: &Group) -> Self {
        Self {
            x: Fe::load(&group[0]),
            y: Fe::load(&group[1]),
            z: Fe::load(&group[2]),
            t: Fe::load(&group[3]),
        }
    }

    #[inline(always)]
    fn stored(self) -> Group {
        let mut group = [[[0; 8]; 5]; 4];
        self.x.store(&mut group[0]);
        self.y.store(&mut group[1]);
        self.z.store(&mut group[2]);
        self.t.store(&mut group[3]);
        group
    }

    #[inline(always)]
    fn addend(self) -> Addend<L> {
        let sums = [self.y.sub(self.x), self.y.add(self.x)];
        Addend([sums[0], sums[1], self.z.add(self.z), self.t.mul(Fe::splat(D2))])
    }

    #[inline(always)]
    fn add(self, other: Addend<L>) -> Self {
        let [minus, plus, z, t] = other.0;
        self.add_scaled([minus, plus, t], self.z.mul(z))
    }

    #[inline(always)]
    fn add_affine(self, other: [Fe<L>; 3]) -> Self {
        self.add_scaled(other, self.z.add(self.z))
    }

    /// Hisil et al., section 3.1: complete on this curve. `d` is twice the product of both Z.
    #[inline(always)]
    fn add_scaled(self, [minus, plus, t]: [Fe<L>; 3], d: Fe<L>) -> Self {
        let a = self.y.sub(self.x).mul(minus);
        let b = self.y.add(self.x).mul(plus);
        let c = self.t.mul(t);
        Self::of(b.sub(a), d.sub(c), d.add(c), b.add(a))
    }

    /// Hisil et al., section 3.3: 4 squares, and 4 products of which 1 is for T.
    #[inline(always)]
    fn double(self) -> Self {
        let (a, b, z2) = (self.x.square(), self.y.square(), self.z.square());
        let e = self.x.add(self.y).square().minus([a, b]);
        let f = b.minus([a, z2, z2]);
        Self::of(e, f, b.sub(a), Fe::splat(ZERO).minus([a, b]))
    }

    /// 16 times the point. Only the last doubling needs a T.
    #[inline(always)]
    fn times_16(self) -> Self {
        let mut out = self;
        for _ in 0..3 {
            let t = out.t;
            out = out.double();
            out.t = t;
        }
        out.double()
    }

    #[inline(always)]
    fn of(e: Fe<L>, f: Fe<L>, g: Fe<L>, h: Fe<L>) -> Self {
        Self { x: e.mul(f), y: g.mul(h), z: f.mul(g), t: e.mul(h) }
    }

    /// RFC 9496, section 4.3.4: MAP.
    #[inline(always)]
    fn elligator(t: Fe<L>) -> Self {
        let (one, d) = (Fe::splat(ONE), Fe::splat(D));
        let r = t.square().mul(Fe::splat(SQRT_M1));
        let u = r.add(one).mul(Fe::splat(ONE_MINUS_D_SQ));
        let v = one.add(r.mul(d)).neg().mul(r.add(d));
        let (was_square, root) = Fe::sqrt_ratio(u, v);
        let s = root.mul(t).abs().neg().or_if(was_square, root);
        let c = r.or_if(was_square, one.neg());
        let n = c.mul(r.sub(one)).mul(Fe::splat(D_MINUS_ONE_SQ)).sub(v);
        let sv = s.mul(v);
        let (w0, w1) = (sv.add(sv), n.mul(Fe::splat(SQRT_AD_MINUS_ONE)));
        let ss = s.square();
        let (w2, w3) = (one.sub(ss), one.add(ss));
        Self { x: w0.mul(w3), y: w2.mul(w1), z: w1.mul(w3), t: w0.mul(w2) }
    }
}

impl<L: Lanes> Addend<L> {
    /// What leaves a point as it is.
    #[inline(always)]
    fn identity() -> Self {
        let one = Fe::splat(ONE);
        Self([one, one, one.add(one), Fe::splat(ZERO)])
    }

    /// The multiple of that size, negated where the sign says so: all eight entries are read,
    /// whatever the digit.
    #[inline(always)]
    fn select(table: &[Self; 8], [size, sign]: [L; 2]) -> Self {
        let mut out = Self::identity();
        for (entry, number) in table.iter().zip(1..) {
            let mask = is(size, number);
            for i in 0..4 {
                out.0[i] = out.0[i].or_if(mask, entry.0[i]);
            }
        }
        let [minus, plus, z, t] = out.0;
        Self([minus.or_if(sign, plus), plus.or_if(sign, minus), z, t.neg_if(sign)])
    }
}

/// The multiple of that size, lane by lane, negated where the sign says so.
#[inline(always)]
fn pick<L: Lanes>(multiples: &Affine, [size, sign]: [L; 2]) -> [Fe<L>; 3] {
    let place = size.sub(L::splat(1));
    let none = is(size, 0);
    let mut out = [Fe::splat(ONE), Fe::splat(ONE), Fe::splat(ZERO)];
    for (out, rows) in out.iter_mut().zip(multiples) {
        *out = Fe::pick(place, rows).or_if(none, *out);
    }
    let [minus, plus, t] = out;
    [minus.or_if(sign, plus), plus.or_if(sign, minus), t.neg_if(sign)]
}

/// All ones where a size is that number; both are below 16.
#[inline(always)]
fn is<L: Lanes>(size: L, number: u64) -> L {
    size.xor(L::splat(number)).sub(L::splat(1)).shr::<63>().mask()
}

#[inline(always)]
fn each<L: Lanes>([size, sign]: [u64; 2]) -> [L; 2] {
    [L::splat(size), L::splat(sign)]
}

#[inline(always)]
fn apart<L: Lanes>([size, sign]: &[Row; 2]) -> [L; 2] {
    [L::load(size), L::load(sign)]
}

fn rows(limbs: &[[u64; 5]; 8]) -> Rows {
    let mut rows = [[0; 8]; 5];
    for (lane, limbs) in limbs.iter().enumerate() {
        for (row, limb) in rows.iter_mut().zip(limbs) {
            row[lane] = *limb;
        }
    }
    rows
}

/// RFC 9496, section 4.3.1: the points, and all ones where an encoding is valid. Where it is not,
/// the point is of no use.
#[inline(always)]
pub(super) fn decode<L: Lanes>(bytes: &Encodings) -> (Group, Row) {
    let mut limbs = [[0; 5]; 8];
    let mut top = [0; 8];
    for lane in 0..8 {
        limbs[lane] = from_bytes(&bytes[lane]);
        top[lane] = u64::from(bytes[lane][31] >> 7);
    }
    let s: Fe<L> = Fe::load(&rows(&limbs));
    let mut bad = L::load(&top).mask().or(s.is_negative());
    let canonical = s.canonical();
    for i in 0..5 {
        let differs = s.0[i].xor(canonical.0[i]);
        bad = bad.or(differs.or(L::splat(0).sub(differs)).shr::<63>().mask());
    }
    let one = Fe::splat(ONE);
    let ss = s.square();
    let (u1, u2) = (one.sub(ss), one.add(ss));
    let u2_sqr = u2.square();
    let v = Fe::splat(D).mul(u1.square()).add(u2_sqr).neg();
    let (was_square, root) = Fe::sqrt_ratio(one, v.mul(u2_sqr));
    let den_x = root.mul(u2);
    let den_y = root.mul(den_x).mul(v);
    let x = s.add(s).mul(den_x).abs();
    let y = u1.mul(den_y);
    let t = x.mul(y);
    bad = bad.or(t.is_negative()).or(y.is_zero());
    let valid = was_square.and(bad.xor(L::splat(u64::MAX)));
    let mut row = [0; 8];
    valid.store(&mut row);
    (Point { x, y, z: one, t }.stored(), row)
}

/// RFC 9496, section 4.3.2.
#[inline(always)]
pub(super) fn encode<L: Lanes>(group: &Group) -> Encodings {
    let Point { x, y, z, t }: Point<L> = Point::load(group);
    let u1 = z.add(y).mul(z.sub(y));
    let u2 = x.mul(y);
    let (_, root) = Fe::sqrt_ratio(Fe::splat(ONE), u1.mul(u2.square()));
    let (den1, den2) = (root.mul(u1), root.mul(u2));
    let z_inv = den1.mul(den2).mul(t);
    let i = Fe::splat(SQRT_M1);
    let rotate = t.mul(z_inv).is_negative();
    let (x, y) = (x.or_if(rotate, y.mul(i)), y.or_if(rotate, x.mul(i)));
    let den = den2.or_if(rotate, den1.mul(Fe::splat(INVSQRT_A_MINUS_D)));
    let y = y.neg_if(x.mul(z_inv).is_negative());
    let mut rows = [[0; 8]; 5];
    den.mul(z.sub(y)).abs().canonical().store(&mut rows);
    let mut out = [[0; 32]; 8];
    for (lane, out) in out.iter_mut().enumerate() {
        *out = to_bytes(rows.map(|row| row[lane]));
    }
    out
}

/// RFC 9496, section 4.3.4.
#[inline(always)]
pub(super) fn map<L: Lanes>(bytes: &Uniform) -> Group {
    let mut halves = [[[0; 5]; 8]; 2];
    for (lane, bytes) in bytes.iter().enumerate() {
        for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
            half[lane] = from_bytes(bytes);
        }
    }
    let mut points = [Point::<L>::identity(); 2];
    for (point, half) in points.iter_mut().zip(halves) {
        *point = Point::elligator(Fe::load(&rows(&half)));
    }
    points[0].add(points[1].addend()).stored()
}

/// 1 to 8 times each point.
#[inline(always)]
fn multiples<L: Lanes>(group: &Group) -> [Addend<L>; 8] {
    let mut multiple = Point::<L>::load(group);
    let once = multiple.addend();
    let mut table = [once; 8];
    for entry in table.iter_mut().skip(1) {
        multiple = multiple.add(once);
        *entry = multiple.addend();
    }
    table
}

/// Every point times the number with these digits: 252 doublings, 64 additions.
#[inline(always)]
pub(super) fn mul<L: Lanes>(group: &Group, digits: &Digits<u64>) -> Group {
    let table = multiples::<L>(group);
    let mut sum = Point::identity();
    for digit in digits.iter().rev() {
        sum = sum.times_16().add(Addend::select(&table, each(*digit)));
    }
    sum.stored()
}

/// The generator times a number for each lane: 64 additions. `base` has the multiples of 16^i
/// times the generator in its lanes.
#[inline(always)]
pub(super) fn mul_base<L: Lanes>(base: &[Affine], digits: &Digits<Row>) -> Group {
    let mut sum = Point::<L>::identity();
    for (multiples, digit) in base.iter().zip(digits) {
        sum = sum.add_affine(pick(multiples, apart(digit)));
    }
    sum.stored()
}

/// The sums over all groups, lane by lane, of the points times numbers of 128 bits: 128 doublings,
/// and 33 additions for each group (Straus 1964).
#[inline(always)]
pub(super) fn combine<L: Lanes>(groups: &[Group], digits: &[Digits<Row>]) -> Group {
    let mut tables = Vec::with_capacity(groups.len());
    for group in groups {
        tables.push(multiples::<L>(group));
    }
    let mut sum = Point::identity();
    for place in (0..WEIGHT_DIGITS).rev() {
        sum = sum.times_16();
        for (table, digits) in tables.iter().zip(digits) {
            sum = sum.add(Addend::select(table, apart(&digits[place])));
        }
    }
    sum.stored()
}

#[inline(always)]
pub(super) fn add<L: Lanes>(a: &Group, b: &Group) -> Group {
    Point::<L>::load(a).add(Point::load(b).addend()).stored()
}

/// Points with Z = 1.
#[inline(always)]
pub(super) fn affine<L: Lanes>(group: &Group) -> Affine {
    let Addend([minus, plus, _, t]) = Point::<L>::load(group).addend();
    let mut out = [[[0; 8]; 5]; 3];
    for (element, rows) in [minus, plus, t].into_iter().zip(&mut out) {
        element.store(rows);
    }
    out
}

/// Sum, difference, difference of three, product, square, canonical form and absolute value.
#[cfg(test)]
#[inline(always)]
pub(super) fn arithmetic<L: Lanes>(a: &Rows, b: &Rows) -> [Rows; 7] {
    let (a, b): (Fe<L>, Fe<L>) = (Fe::load(a), Fe::load(b));
    let results =
        [a.add(b), a.sub(b), a.minus([b, b, b]), a.mul(b), a.square(), a.canonical(), a.abs()];
    let mut out = [[[0; 8]; 5]; 7];
    for (result, rows) in results.into_iter().zip(&mut out) {
        result.store(rows);
    }
    out
}
