//! The T-fold cyclic self-convolution of two real sequences with one complex transform.

use std::f64::consts::TAU;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    fn minus(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }

    fn conjugate(self) -> Self {
        Self { re: self.re, im: -self.im }
    }

    fn square_norm(self) -> f64 {
        self.re * self.re + self.im * self.im
    }

    fn power(self, mut exponent: u64) -> Self {
        // Below this the power is zero to every digit that is charged as round-off anyway.
        if exponent > 1 && self.square_norm().ln() * (exponent as f64) < -150.0 {
            return Self::default();
        }
        let (mut base, mut result) = (self, Self { re: 1.0, im: 0.0 });
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

/// exp(-2 pi i k / size), k below half the size.
fn twiddles(size: usize) -> Vec<Complex> {
    let step = -TAU / size as f64;
    let at = |k: usize| (k as f64 * step).sin_cos();
    (0..size / 2).map(at).map(|(im, re)| Complex { re, im }).collect()
}

/// Natural order in, bit-reversed order out.
fn forward(values: &mut [Complex], twiddles: &[Complex]) {
    let mut half = values.len() / 2;
    let mut stride = 1;
    while half >= 1 {
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            let roots = twiddles.iter().step_by(stride);
            for ((a, b), root) in low.iter_mut().zip(high).zip(roots) {
                let difference = a.minus(*b);
                *a = a.plus(*b);
                *b = difference.times(*root);
            }
        }
        half /= 2;
        stride *= 2;
    }
}

/// Bit-reversed order in, natural order out, not divided by the size.
fn backward(values: &mut [Complex], twiddles: &[Complex]) {
    let mut half = 1;
    let mut stride = values.len() / 2;
    while stride >= 1 {
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            let roots = twiddles.iter().step_by(stride);
            for ((a, b), root) in low.iter_mut().zip(high).zip(roots) {
                let turned = b.times(root.conjugate());
                *b = a.minus(turned);
                *a = a.plus(turned);
            }
        }
        half *= 2;
        stride /= 2;
    }
}

/// Two sequences after composition, and a bound on what any partial sum of either is off by.
pub(super) struct Composed {
    pub(super) first: Vec<f64>,
    pub(super) second: Vec<f64>,
    pub(super) round_off: f64,
}

/// `steps`-fold cyclic self-convolutions. Both slices have one length, a power of two from 2 on.
pub(super) fn self_convolve(first: &[f64], second: &[f64], steps: u64) -> Composed {
    let size = first.len();
    let bits = size.trailing_zeros();
    let twiddles = twiddles(size);
    let pairs = first.iter().zip(second);
    let mut values: Vec<Complex> = pairs.map(|(re, im)| Complex { re: *re, im: *im }).collect();
    forward(&mut values, &twiddles);
    let energy = powers(&mut values, bits, steps);
    backward(&mut values, &twiddles);
    let scale = 1.0 / size as f64;
    // A coefficient is off by eps log2(N); its power by `steps` times that; Cauchy-Schwarz over
    // the coefficients bounds every partial sum of the result.
    let depth = f64::from(bits) + (steps as f64).log2();
    let round_off = f64::EPSILON * depth * steps as f64 * energy.sqrt().max(1.0);
    Composed {
        first: values.iter().map(|value| value.re * scale).collect(),
        second: values.iter().map(|value| value.im * scale).collect(),
        round_off,
    }
}

/// Takes the two spectra apart, raises both, puts them together; the larger sum of squares.
fn powers(values: &mut [Complex], bits: u32, steps: u64) -> f64 {
    let size = values.len();
    let place = |k: usize| k.reverse_bits() >> (usize::BITS - bits);
    let (mut energy_first, mut energy_second) = (0.0, 0.0);
    for k in 0..=size / 2 {
        let mirror = (size - k) % size;
        let (at, there) = (place(k), place(mirror));
        let (here, opposite) = (values[at], values[there].conjugate());
        let (sum, difference) = (here.plus(opposite), here.minus(opposite));
        let first = Complex { re: 0.5 * sum.re, im: 0.5 * sum.im }.power(steps);
        let second = Complex { re: 0.5 * difference.im, im: -0.5 * difference.re }.power(steps);
        let count = if mirror == k { 1.0 } else { 2.0 };
        energy_first += count * first.square_norm();
        energy_second += count * second.square_norm();
        let turned = Complex { re: -second.im, im: second.re };
        values[at] = first.plus(turned);
        let turned = Complex { re: second.im, im: second.re };
        values[there] = first.conjugate().plus(turned);
    }
    f64::max(energy_first, energy_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_a_transform_are_convolutions() {
        let first = [0.5, 0.25, 0.125, 0.125, 0.0, 0.0, 0.0, 0.0];
        let second = [0.1, 0.0, 0.0, 0.0, 0.0, 0.3, 0.4, 0.2];
        let mut wanted = [first, second];
        for (slot, base) in wanted.iter_mut().zip([first, second]) {
            for _ in 1..5 {
                let before = *slot;
                *slot = [0.0; 8];
                for (i, a) in before.iter().enumerate() {
                    for (j, b) in base.iter().enumerate() {
                        slot[(i + j) % 8] += a * b;
                    }
                }
            }
        }
        let got = self_convolve(&first, &second, 5);
        for (got, wanted) in [(&got.first, wanted[0]), (&got.second, wanted[1])] {
            for (got, wanted) in got.iter().zip(wanted) {
                assert!((got - wanted).abs() < 1e-15, "{got} {wanted}");
            }
        }
    }
}
