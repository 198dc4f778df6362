//! The T-fold cyclic self-convolution of two real sequences with one complex transform.
//!
//! Radix 4 in place, depth first, so that all but the upper passes stay in the cache; natural order
//! in, bit-reversed order between, natural order out. Four complex numbers lie together with their
//! real and imaginary parts apart, which is what vector units want.

use std::array::from_fn;
use std::f64::consts::TAU;

const LANES: usize = 4;

/// The shortest sequences that are transformed.
pub(super) const SIZE_MIN: usize = 16;

/// Most groups of four of a block that is worked on pass by pass: what a first-level cache holds.
const LEAF: usize = 256;

/// Powers whose squared norm has a logarithm below this are nothing beside what is charged as
/// round-off.
const VANISHES: f64 = -150.0;

/// Machine epsilons by which one level of a transform may add to the error of a coefficient,
/// relative to the sum of its terms. In half epsilons and for two levels: the third power of a
/// rounded root 7.5, a product 2.3, two sums 2; twice that, for two sequences share the transform.
const ERROR_PER_LEVEL: f64 = 6.0;

/// Four complex numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Complex {
    re: [f64; LANES],
    im: [f64; LANES],
}

impl Complex {
    const ZERO: Self = Self { re: [0.0; LANES], im: [0.0; LANES] };
    const ONE: Self = Self { re: [1.0; LANES], im: [0.0; LANES] };

    #[inline]
    fn times(self, other: Self) -> Self {
        Self {
            re: from_fn(|i| self.re[i] * other.re[i] - self.im[i] * other.im[i]),
            im: from_fn(|i| self.re[i] * other.im[i] + self.im[i] * other.re[i]),
        }
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        Self {
            re: from_fn(|i| self.re[i] + other.re[i]),
            im: from_fn(|i| self.im[i] + other.im[i]),
        }
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        Self {
            re: from_fn(|i| self.re[i] - other.re[i]),
            im: from_fn(|i| self.im[i] - other.im[i]),
        }
    }

    /// i times it.
    #[inline]
    fn turned(self) -> Self {
        Self { re: self.im.map(|x| -x), im: self.re }
    }

    #[inline]
    fn conjugate(self) -> Self {
        Self { re: self.re, im: self.im.map(|x| -x) }
    }

    #[inline]
    fn scaled(self, by: f64) -> Self {
        Self { re: self.re.map(|x| by * x), im: self.im.map(|x| by * x) }
    }

    #[inline]
    fn shuffled(self, from: [usize; LANES]) -> Self {
        Self { re: from.map(|i| self.re[i]), im: from.map(|i| self.im[i]) }
    }

    fn square_norms(self) -> [f64; LANES] {
        from_fn(|i| self.re[i] * self.re[i] + self.im[i] * self.im[i])
    }

    /// Without the lanes whose squared norm is below `floor`.
    fn without_small(self, floor: f64) -> Self {
        let norms = self.square_norms();
        let kept = |part: [f64; LANES]| from_fn(|i| if norms[i] < floor { 0.0 } else { part[i] });
        Self { re: kept(self.re), im: kept(self.im) }
    }

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
        let quarter = size / 4;
        let step = TAU / size as f64;
        let half: Vec<(f64, f64)> =
            (0..=quarter / 2).map(|j| (j as f64 * step).sin_cos()).collect();
        let root = |j: usize| {
            if j <= quarter / 2 { half[j] } else { (half[quarter - j].1, half[quarter - j].0) }
        };
        let mut lists = Vec::new();
        let mut stride = 1;
        while quarter / stride >= LANES {
            let four = |start: usize| {
                let roots: [(f64, f64); LANES] = from_fn(|i| root((start + i) * stride));
                Complex { re: roots.map(|(_, cos)| cos), im: roots.map(|(sin, _)| -sin) }
            };
            lists.push((0..quarter / stride).step_by(LANES).map(four).collect());
            stride *= 4;
        }
        Self(lists)
    }
}

/// The eighth roots of one: for the one level of two that an odd number of levels leaves.
fn eighth_roots() -> Complex {
    let h = std::f64::consts::FRAC_1_SQRT_2;
    Complex { re: [1.0, h, 0.0, -h], im: [0.0, -h, -1.0, -h] }
}

/// The four quarters of a block.
fn quarters(block: &mut [Complex]) -> [&mut [Complex]; 4] {
    let (low, high) = block.split_at_mut(block.len() / 2);
    let ((a, b), (c, d)) = (low.split_at_mut(low.len() / 2), high.split_at_mut(high.len() / 2));
    [a, b, c, d]
}

/// Two levels of the forward transform of a block.
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
fn split_group(group: &mut Complex) {
    let Complex { re: [a, b, c, d], im: [e, f, g, h] } = *group;
    let (even, odd) = ((a + c, e + g), (b + d, f + h));
    let (across, turned) = ((a - c, e - g), (h - f, b - d));
    group.re = [even.0 + odd.0, even.0 - odd.0, across.0 - turned.0, across.0 + turned.0];
    group.im = [even.1 + odd.1, even.1 - odd.1, across.1 - turned.1, across.1 + turned.1];
}

/// What [`split_group`] did, undone, times four.
fn join_group(group: &mut Complex) {
    let Complex { re: [a, b, c, d], im: [e, f, g, h] } = *group;
    let (even, odd) = ((a + b, e + f), (a - b, e - f));
    let (across, turned) = ((c + d, g + h), (h - g, c - d));
    group.re = [even.0 + across.0, odd.0 + turned.0, even.0 - across.0, odd.0 - turned.0];
    group.im = [even.1 + across.1, odd.1 + turned.1, even.1 - across.1, odd.1 - turned.1];
}

fn split_pair(pair: &mut [Complex; 2]) {
    let [a, b] = *pair;
    *pair = [a.plus(b), a.minus(b).times(eighth_roots())];
}

fn join_pair(pair: &mut [Complex; 2]) {
    let (a, b) = (pair[0], pair[1].times(eighth_roots().conjugate()));
    *pair = [a.plus(b), a.minus(b)];
}

/// Natural order in, bit-reversed order out.
fn forward(block: &mut [Complex], roots: &[Vec<Complex>]) {
    if block.len() > LEAF
        && let Some((own, rest)) = roots.split_first()
    {
        split(block, own);
        for quarter in quarters(block) {
            forward(quarter, rest);
        }
        return;
    }
    for own in roots {
        block.chunks_exact_mut(own.len() * 4).for_each(|part| split(part, own));
    }
    if has_pairs(block.len()) {
        block.as_chunks_mut().0.iter_mut().for_each(split_pair);
    }
    block.iter_mut().for_each(split_group);
}

/// Bit-reversed order in, natural order out, not divided by the size. A block without anything is
/// left as it is: after many steps most of a spectrum has vanished.
fn backward(block: &mut [Complex], roots: &[Vec<Complex>]) -> bool {
    if block.len() > LEAF
        && let Some((own, rest)) = roots.split_first()
    {
        let any = quarters(block).into_iter().fold(false, |any, part| backward(part, rest) | any);
        if any {
            join(block, own);
        }
        return any;
    }
    if block.iter().all(|group| *group == Complex::ZERO) {
        return false;
    }
    block.iter_mut().for_each(join_group);
    if has_pairs(block.len()) {
        block.as_chunks_mut().0.iter_mut().for_each(join_pair);
    }
    for own in roots.iter().rev() {
        block.chunks_exact_mut(own.len() * 4).for_each(|part| join(part, own));
    }
    true
}

/// Whether a power of two of groups is not a power of four.
fn has_pairs(groups: usize) -> bool {
    groups.trailing_zeros() % 2 == 1
}

/// Two sequences after composition, and a bound on what any partial sum of either is off by.
pub(super) struct Composed {
    pub(super) first: Vec<f64>,
    pub(super) second: Vec<f64>,
    pub(super) round_off: f64,
}

/// `steps`-fold cyclic self-convolutions. Both slices have one length, a power of two from
/// [`SIZE_MIN`] on.
pub(super) fn self_convolve(first: &[f64], second: &[f64], steps: u64) -> Composed {
    if steps == 1 {
        return Composed { first: first.to_vec(), second: second.to_vec(), round_off: 0.0 };
    }
    let size = first.len();
    let roots = Roots::new(size);
    let groups = first.as_chunks().0.iter().zip(second.as_chunks().0);
    let mut values: Vec<Complex> = groups.map(|(re, im)| Complex { re: *re, im: *im }).collect();
    forward(&mut values, &roots.0);
    let energy = powers(&mut values, steps);
    backward(&mut values, &roots.0);
    // A coefficient c is off by some eps per level, its power by steps |c|^(steps - 1) times that,
    // and the way back is one step more. Cauchy-Schwarz over the coefficients bounds every partial
    // sum of the result.
    let levels = f64::from(size.trailing_zeros()) + 1.0;
    let rate = ERROR_PER_LEVEL * f64::EPSILON * levels;
    Composed {
        first: values.iter().flat_map(|group| group.re).collect(),
        second: values.iter().flat_map(|group| group.im).collect(),
        round_off: rate * (steps as f64 + 1.0) * energy.sqrt().max(1.0),
    }
}

const REVERSED: [usize; LANES] = [3, 2, 1, 0];

/// Takes the two spectra apart, raises both, puts them together, divided by the size. Returns the
/// larger sum of squares of the powers one lower.
///
/// In bit-reversed order the mirror images of coefficients h to 2 h - 1, h a power of two, are the
/// same in reverse order.
fn powers(values: &mut [Complex], steps: u64) -> f64 {
    let raise = Raise {
        steps,
        floor: (VANISHES / steps as f64).exp(),
        scale: 1.0 / (LANES * values.len()) as f64,
    };
    let mut energy = [0.0; 2];
    let (first, rest) = values.split_at_mut(1);
    for group in first {
        *group = raise.apply(*group, group.shuffled([0, 1, 3, 2]), 1.0, &mut energy)[0];
    }
    let (second, mut rest) = rest.split_at_mut(1);
    for group in second {
        *group = raise.apply(*group, group.shuffled(REVERSED), 1.0, &mut energy)[0];
    }
    let mut length = 2;
    while !rest.is_empty() {
        let (block, after) = rest.split_at_mut(length);
        let (low, high) = block.split_at_mut(length / 2);
        for (here, there) in low.iter_mut().zip(high.iter_mut().rev()) {
            let mirrored = there.shuffled(REVERSED);
            let raised = raise.apply(*here, mirrored, 2.0, &mut energy);
            *here = raised[0];
            *there = raised[1].shuffled(REVERSED);
        }
        rest = after;
        length *= 2;
    }
    f64::max(energy[0], energy[1])
}

struct Raise {
    steps: u64,
    floor: f64,
    scale: f64,
}

impl Raise {
    /// Of coefficients and their mirror images.
    fn apply(
        &self,
        here: Complex,
        mirrored: Complex,
        weight: f64,
        energy: &mut [f64; 2],
    ) -> [Complex; 2] {
        let opposite = mirrored.conjugate();
        let first = here.plus(opposite).scaled(0.5).without_small(self.floor);
        let second = here.minus(opposite).turned().scaled(-0.5).without_small(self.floor);
        if first == Complex::ZERO && second == Complex::ZERO && self.steps > 1 {
            return [Complex::ZERO; 2];
        }
        let raised = [first, second].map(|base| (base.power(self.steps - 1), base));
        for (sum, (lower, _)) in energy.iter_mut().zip(raised) {
            *sum += weight * lower.square_norms().iter().sum::<f64>();
        }
        let [first, second] = raised.map(|(lower, base)| lower.times(base).scaled(self.scale));
        [first.plus(second.turned()), first.conjugate().plus(second.conjugate().turned())]
    }
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
                    next[(i + j) % size] += a * b;
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
            [(16, 1), (16, 2), (16, 5), (32, 5), (64, 3), (128, 2), (2048, 2), (4096, 2)]
        {
            let (first, second) = (masses(size, 3), masses(size, 5));
            let got = self_convolve(&first, &second, steps);
            for (got, base) in [(&got.first, &first), (&got.second, &second)] {
                for (got, wanted) in got.iter().zip(slowly(base, steps)) {
                    assert!((got - wanted).abs() < 5e-15, "{size} {steps}: {got} {wanted}");
                }
            }
        }
    }

    #[test]
    fn the_bound_holds_for_every_partial_sum() {
        // Two atoms: the binomial distribution.
        let (size, steps) = (4096, 3000_u64);
        let mut base = vec![0.0; size];
        (base[0], base[1]) = (0.75, 0.25);
        let got = self_convolve(&base, &base, steps);
        let mut exact = 0.75_f64.ln() * steps as f64;
        let (mut sum, mut wanted) = (0.0, 0.0);
        for (k, mass) in got.first.iter().enumerate().take(3000) {
            (sum, wanted) = (sum + mass, wanted + exact.exp());
            assert!((sum - wanted).abs() < got.round_off, "{k}: {sum} {wanted}");
            exact += ((steps as f64 - k as f64) / (k + 1) as f64 / 3.0).ln();
        }
        assert!(got.round_off < 1e-8, "{}", got.round_off);
    }

    #[test]
    fn what_has_vanished_is_nothing_and_two_real_sequences_stay_apart() {
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
        let got = self_convolve(&base, &point, 50);
        let mean = |masses: &[f64]| -> f64 {
            masses.iter().enumerate().map(|(at, mass)| at as f64 * mass).sum()
        };
        assert!((mean(&got.first) / (50.0 * mean(&base)) - 1.0).abs() < 1e-11);
        assert!((got.second[150] - 1.0).abs() < 1e-12);
        assert!((mean(&got.second) - 150.0).abs() < 1e-7);
    }
}
