//! The T-fold self-convolution of a real sequence on a circle with a twist.
//!
//! What leaves at the end comes back at the start with its sign turned: real polynomials modulo
//! x^2n + 1 are complex ones modulo x^n - i, and with x replaced by a root of i times x, modulo
//! x^n - 1. So a real sequence takes a complex transform of half its length, and nothing has to be
//! taken apart between the two ways.
//!
//! Radix 4 in place, depth first, so that all but the upper passes stay in the cache; natural order
//! in, bit-reversed order between, natural order out. Four complex numbers lie together with their
//! real and imaginary parts apart, which is what vector units want.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined is compiled without the vector unit that was found"
)]

use std::array::from_fn;
use std::f64::consts::{SQRT_2, TAU};

use pulp::Arch;

const LANES: usize = 4;

/// The shortest sequences that are convolved.
pub(super) const SIZE_MIN: usize = 32;

/// Most groups of four of a block that is worked on pass by pass: what a first-level cache holds.
const LEAF: usize = 256;

/// Powers whose squared norm has a logarithm below this are nothing beside what is charged as
/// round-off.
const VANISHES: f64 = -150.0;

/// Machine epsilons by which one level of a transform may add to the error of a coefficient,
/// relative to the sum of its terms. In half epsilons and for two levels: the third power of a
/// root 17.2 (a root is a product of two rounded ones, 4.2), a product 2.3, two sums 2.
const ERROR_PER_LEVEL: f64 = 5.5;

/// Four complex numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Complex {
    re: [f64; LANES],
    im: [f64; LANES],
}

impl Complex {
    const ZERO: Self = Self { re: [0.0; LANES], im: [0.0; LANES] };
    const ONE: Self = Self { re: [1.0; LANES], im: [0.0; LANES] };

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self {
            re: from_fn(|i| self.re[i] * other.re[i] - self.im[i] * other.im[i]),
            im: from_fn(|i| self.re[i] * other.im[i] + self.im[i] * other.re[i]),
        }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self {
            re: from_fn(|i| self.re[i] + other.re[i]),
            im: from_fn(|i| self.im[i] + other.im[i]),
        }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self {
            re: from_fn(|i| self.re[i] - other.re[i]),
            im: from_fn(|i| self.im[i] - other.im[i]),
        }
    }

    /// i times it.
    #[inline(always)]
    fn turned(self) -> Self {
        Self { re: self.im.map(|x| -x), im: self.re }
    }

    #[inline(always)]
    fn conjugate(self) -> Self {
        Self { re: self.re, im: self.im.map(|x| -x) }
    }

    #[inline(always)]
    fn scaled(self, by: f64) -> Self {
        Self { re: self.re.map(|x| by * x), im: self.im.map(|x| by * x) }
    }

    #[inline(always)]
    fn square_norms(self) -> [f64; LANES] {
        from_fn(|i| self.re[i] * self.re[i] + self.im[i] * self.im[i])
    }

    /// Without the lanes whose squared norm is below `floor`.
    #[inline(always)]
    fn without_small(self, floor: f64) -> Self {
        let norms = self.square_norms();
        let kept = |part: [f64; LANES]| from_fn(|i| if norms[i] < floor { 0.0 } else { part[i] });
        Self { re: kept(self.re), im: kept(self.im) }
    }

    #[inline(always)]
    fn power(self, mut exponent: u64) -> Self {
        let (mut base, mut result) = (self, Self::ONE);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = result.times(base);
            }
            base = base.times(base);
            exponent >>= 1;
        }
        result
    }
}

/// exp(-2 pi i j / n), j below n / 4, for n = size, size / 4, size / 16, ..
struct Roots(Vec<Vec<Complex>>);

impl Roots {
    fn new(size: usize) -> Self {
        let mut lists = vec![first_quarter(size)];
        while let Some(finer) = lists.last().filter(|list| list.len() >= 4) {
            let next = finer.as_chunks::<LANES>().0.iter().map(|groups| Complex {
                re: groups.map(|group| group.re[0]),
                im: groups.map(|group| group.im[0]),
            });
            let next = next.collect();
            lists.push(next);
        }
        Self(lists)
    }
}

/// exp(-2 pi i j / size), j below size / 4: of few angles by the library, of the rest as those of
/// sums.
fn first_quarter(size: usize) -> Vec<Complex> {
    const TOGETHER: usize = 16;
    let step = TAU / size as f64;
    let at = |j: usize| (j as f64 * step).sin_cos();
    let fine: [Complex; TOGETHER] = from_fn(|group| {
        let roots: [_; LANES] = from_fn(|i| at(LANES * group + i));
        Complex { re: roots.map(|(_, cos)| cos), im: roots.map(|(sin, _)| -sin) }
    });
    let sums = |start: usize| {
        let (sin, cos) = at(start);
        let coarse = Complex { re: [cos; LANES], im: [-sin; LANES] };
        fine.map(|root| root.times(coarse))
    };
    let mut all: Vec<_> = (0..size / 4).step_by(LANES * TOGETHER).flat_map(sums).collect();
    all.truncate(size / 4 / LANES);
    all
}

/// The eighth roots of one: for the one level of two that an odd number of levels leaves.
#[inline(always)]
fn eighth_roots() -> Complex {
    let h = std::f64::consts::FRAC_1_SQRT_2;
    Complex { re: [1.0, h, 0.0, -h], im: [0.0, -h, -1.0, -h] }
}

/// The four quarters of a block.
#[inline(always)]
fn quarters(block: &mut [Complex]) -> [&mut [Complex]; 4] {
    let (low, high) = block.split_at_mut(block.len() / 2);
    let ((a, b), (c, d)) = (low.split_at_mut(low.len() / 2), high.split_at_mut(high.len() / 2));
    [a, b, c, d]
}

/// Two levels of the forward transform of a block.
#[inline(always)]
fn split(block: &mut [Complex], roots: &[Complex]) {
    let [a, b, c, d] = quarters(block);
    for ((((a, b), c), d), root) in a.iter_mut().zip(b).zip(c).zip(d).zip(roots) {
        let (even, odd) = (a.plus(*c), b.plus(*d));
        let (across, turned) = (a.minus(*c), b.minus(*d).turned());
        let square = root.times(*root);
        *a = even.plus(odd);
        *b = even.minus(odd).times(square);
        *c = across.minus(turned).times(*root);
        *d = across.plus(turned).times(square.times(*root));
    }
}

/// What [`split`] did, undone, times four.
#[inline(always)]
fn join(block: &mut [Complex], roots: &[Complex]) {
    let [a, b, c, d] = quarters(block);
    for ((((a, b), c), d), root) in a.iter_mut().zip(b).zip(c).zip(d).zip(roots) {
        let root = root.conjugate();
        let square = root.times(root);
        let (second, third) = (b.times(square), c.times(root));
        let fourth = d.times(square.times(root));
        let (even, odd) = (a.plus(second), a.minus(second));
        let (across, turned) = (third.plus(fourth), third.minus(fourth).turned());
        *a = even.plus(across);
        *b = odd.plus(turned);
        *c = even.minus(across);
        *d = odd.minus(turned);
    }
}

/// Both levels within a group of four.
#[inline(always)]
fn split_group(group: &mut Complex) {
    let Complex { re: [a, b, c, d], im: [e, f, g, h] } = *group;
    let (even, odd) = ((a + c, e + g), (b + d, f + h));
    let (across, turned) = ((a - c, e - g), (h - f, b - d));
    group.re = [even.0 + odd.0, even.0 - odd.0, across.0 - turned.0, across.0 + turned.0];
    group.im = [even.1 + odd.1, even.1 - odd.1, across.1 - turned.1, across.1 + turned.1];
}

/// What [`split_group`] did, undone, times four.
#[inline(always)]
fn join_group(group: &mut Complex) {
    let Complex { re: [a, b, c, d], im: [e, f, g, h] } = *group;
    let (even, odd) = ((a + b, e + f), (a - b, e - f));
    let (across, turned) = ((c + d, g + h), (h - g, c - d));
    group.re = [even.0 + across.0, odd.0 + turned.0, even.0 - across.0, odd.0 - turned.0];
    group.im = [even.1 + across.1, odd.1 + turned.1, even.1 - across.1, odd.1 - turned.1];
}

#[inline(always)]
fn split_pair(pair: &mut [Complex; 2]) {
    let [a, b] = *pair;
    *pair = [a.plus(b), a.minus(b).times(eighth_roots())];
}

#[inline(always)]
fn join_pair(pair: &mut [Complex; 2]) {
    let (a, b) = (pair[0], pair[1].times(eighth_roots().conjugate()));
    *pair = [a.plus(b), a.minus(b)];
}

/// Natural order in, bit-reversed order out.
fn forward(arch: Arch, block: &mut [Complex], roots: &[Vec<Complex>]) {
    if block.len() > LEAF
        && let Some((own, rest)) = roots.split_first()
    {
        arch.dispatch(|| split(block, own));
        for quarter in quarters(block) {
            forward(arch, quarter, rest);
        }
        return;
    }
    arch.dispatch(|| {
        for own in roots {
            block.chunks_exact_mut(own.len() * 4).for_each(|part| split(part, own));
        }
        if has_pairs(block.len()) {
            block.as_chunks_mut().0.iter_mut().for_each(split_pair);
        }
        block.iter_mut().for_each(split_group);
    });
}

/// Bit-reversed order in, natural order out, not divided by the size. A block without anything is
/// left as it is: after many steps most of a spectrum has vanished.
fn backward(arch: Arch, block: &mut [Complex], roots: &[Vec<Complex>]) -> bool {
    if block.len() > LEAF
        && let Some((own, rest)) = roots.split_first()
    {
        let parts = quarters(block).into_iter();
        let any = parts.fold(false, |any, part| backward(arch, part, rest) | any);
        if any {
            arch.dispatch(|| join(block, own));
        }
        return any;
    }
    if block.iter().all(|group| *group == Complex::ZERO) {
        return false;
    }
    arch.dispatch(|| {
        block.iter_mut().for_each(join_group);
        if has_pairs(block.len()) {
            block.as_chunks_mut().0.iter_mut().for_each(join_pair);
        }
        for own in roots.iter().rev() {
            block.chunks_exact_mut(own.len() * 4).for_each(|part| join(part, own));
        }
    });
    true
}

/// Whether a power of two of groups is not a power of four.
#[inline(always)]
fn has_pairs(groups: usize) -> bool {
    groups.trailing_zeros() % 2 == 1
}

/// A sequence after composition, and a bound on what any sum of some of it is off by.
pub(super) struct Composed {
    pub(super) masses: Vec<f64>,
    pub(super) round_off: f64,
}

/// `steps`-fold self-convolution; what leaves at the end comes back at the start with its sign
/// turned. The length is a power of two from [`SIZE_MIN`] on.
pub(super) fn self_convolve(sequence: &[f64], steps: u64) -> Composed {
    if steps == 1 {
        return Composed { masses: sequence.to_vec(), round_off: 0.0 };
    }
    let size = sequence.len();
    let roots = Roots::new(2 * size);
    let Some((twist, roots)) = roots.0.split_first() else {
        return Composed { masses: sequence.to_vec(), round_off: f64::INFINITY };
    };
    let arch = Arch::new();
    let (low, high) = sequence.split_at(size / 2);
    let groups = low.as_chunks().0.iter().zip(high.as_chunks().0).zip(twist);
    let twisted = |((re, im), root): ((&_, &_), &Complex)| {
        Complex { re: *re, im: *im }.times(root.conjugate())
    };
    let mut values: Vec<Complex> = groups.map(twisted).collect();
    forward(arch, &mut values, roots);
    let energy = arch.dispatch(|| powers(&mut values, steps));
    backward(arch, &mut values, roots);
    values.iter_mut().zip(twist).for_each(|(value, root)| *value = value.times(*root));
    // A coefficient c is off by some eps per level, its power by steps |c|^(steps - 1) times that,
    // and the way back is one step more. Cauchy-Schwarz over the coefficients, of which there are
    // half as many as masses, bounds every partial sum of the result.
    let levels = f64::from(size.trailing_zeros()) + 3.0;
    let rate = SQRT_2 * ERROR_PER_LEVEL * f64::EPSILON * levels;
    let masses = values.iter().flat_map(|group| group.re);
    Composed {
        masses: masses.chain(values.iter().flat_map(|group| group.im)).collect(),
        round_off: rate * (steps as f64 + 1.0) * energy.sqrt().max(1.0),
    }
}

/// Raises coefficients, divided by their number. Returns the sum of squares of the powers one lower.
#[inline(always)]
fn powers(values: &mut [Complex], steps: u64) -> f64 {
    let floor = (VANISHES / steps as f64).exp();
    let scale = 1.0 / (LANES * values.len()) as f64;
    let mut energy = 0.0;
    for value in values {
        let base = value.without_small(floor);
        if base == Complex::ZERO {
            *value = base;
            continue;
        }
        let lower = base.power(steps - 1);
        energy += lower.square_norms().iter().sum::<f64>();
        *value = lower.times(base).scaled(scale);
    }
    energy
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every product of every two, many times.
    fn slowly(base: &[f64], steps: u64) -> Vec<f64> {
        let size = base.len();
        let mut product = base.to_vec();
        for _ in 1..steps {
            let mut next = vec![0.0; size];
            for (i, a) in product.iter().enumerate() {
                for (j, b) in base.iter().enumerate() {
                    let sign = if i + j < size { 1.0 } else { -1.0 };
                    next[(i + j) % size] += sign * a * b;
                }
            }
            product = next;
        }
        product
    }

    /// Masses that sum to one, the later the rarer.
    fn masses(size: usize, salt: usize) -> Vec<f64> {
        let raw = |i: usize| ((i * i + salt) % 7) as f64 / (1 + i * i) as f64;
        let sum: f64 = (0..size).map(raw).sum();
        (0..size).map(|i| raw(i) / sum).collect()
    }

    #[test]
    fn powers_of_a_transform_are_convolutions() {
        for (size, steps) in
            [(32, 1), (32, 2), (32, 5), (64, 5), (128, 3), (256, 2), (2048, 2), (4096, 2)]
        {
            let base = masses(size, 3);
            let got = self_convolve(&base, steps);
            for (got, wanted) in got.masses.iter().zip(slowly(&base, steps)) {
                assert!((got - wanted).abs() < 5e-15, "{size} {steps}: {got} {wanted}");
            }
        }
    }

    #[test]
    fn the_bound_holds_for_every_partial_sum() {
        // Two atoms: the binomial distribution.
        let (size, steps) = (4096, 3000_u64);
        let mut base = vec![0.0; size];
        (base[0], base[1]) = (0.75, 0.25);
        let got = self_convolve(&base, steps);
        let mut exact = 0.75_f64.ln() * steps as f64;
        let (mut sum, mut wanted) = (0.0, 0.0);
        for (k, mass) in got.masses.iter().enumerate().take(3000) {
            (sum, wanted) = (sum + mass, wanted + exact.exp());
            assert!((sum - wanted).abs() < got.round_off, "{k}: {sum} {wanted}");
            exact += ((steps as f64 - k as f64) / (k + 1) as f64 / 3.0).ln();
        }
        assert!(got.round_off < 1e-8, "{}", got.round_off);
    }

    #[test]
    fn what_has_vanished_is_nothing() {
        let size = 65_536;
        let mut base = vec![0.0; size];
        for (i, slot) in base.iter_mut().take(1000).enumerate() {
            *slot = if i % 2 == 0 { 1e-3 } else { 1e-3 * (i as f64 / 500.0) };
        }
        let sum: f64 = base.iter().sum();
        for mass in &mut base {
            *mass /= sum;
        }
        let mut point = vec![0.0; size];
        point[3] = 1.0;
        let mean = |masses: &[f64]| -> f64 {
            masses.iter().enumerate().map(|(at, mass)| at as f64 * mass).sum()
        };
        let got = self_convolve(&base, 50);
        assert!((mean(&got.masses) / (50.0 * mean(&base)) - 1.0).abs() < 1e-11);
        let got = self_convolve(&point, 50);
        assert!((got.masses[150] - 1.0).abs() < 1e-12);
        assert!((mean(&got.masses) - 150.0).abs() < 1e-7);
    }
}
