//! The functions of the normal distribution, to the last digits and far into the tail.
//!
//! `erfc` is the trapezoidal rule applied to its integral with step 1/2, where the rule's error is
//! below exp(-pi^2 / h^2) = 7e-18 once the residue at the pole is added (Chiarella and Reichel,
//! 1968). No table of fitted coefficients, and the scaled form has no cancellation.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

const STEP: f64 = 0.5;

/// (k^2 h^2, exp(-k^2 h^2)), k = 1, 2, ..: what follows is below 1e-18.
const NODES: [(f64, f64); 12] = [
    (0.25, 0.778_800_783_071_404_9),
    (1.0, 0.367_879_441_171_442_33),
    (2.25, 0.105_399_224_561_864_33),
    (4.0, 0.018_315_638_888_734_18),
    (6.25, 0.001_930_454_136_227_709_3),
    (9.0, 0.000_123_409_804_086_679_56),
    (12.25, 4.785_117_392_129_009e-6),
    (16.0, 1.125_351_747_192_591_2e-7),
    (20.25, 1.605_228_055_185_611_6e-9),
    (25.0, 1.388_794_386_496_402_1e-11),
    (30.25, 7.287_724_095_819_692e-14),
    (36.0, 2.319_522_830_243_569_4e-16),
];

const SQRT_PI: f64 = 1.772_453_850_905_516;

/// exp(-x^2), with the rounding of the square put right.
fn exp_minus_square(x: f64) -> f64 {
    let high = f64::from_bits(x.to_bits() & !0x3ff_ffff);
    (-high * high).exp() * (-(x - high) * (x + high)).exp()
}

/// Where the pole's residue no longer shows.
const POLE: f64 = PI / STEP;

/// The rule without the residue, for x >= 1/2. Four terms at a time as one fraction: divisions are
/// slow, and every term is positive.
fn trapezoid(x: f64) -> f64 {
    let square = x * x;
    let fraction = |terms: &[(f64, f64); 4]| {
        let add = |(top, bottom): (f64, f64), (node, weight): &(f64, f64)| {
            let below = square + node;
            (top * below + weight * bottom, bottom * below)
        };
        let (top, bottom) = terms.iter().fold((0.0, 1.0), add);
        top / bottom
    };
    let sum: f64 = NODES.as_chunks().0.iter().map(fraction).sum();
    2.0 * STEP * x / PI * (0.5 / square + sum)
}

/// The pole's residue, times exp(-x^2).
fn residue(x: f64) -> f64 {
    if x < POLE { 2.0 / (2.0 * PI * x / STEP).exp_m1() } else { 0.0 }
}

/// erf(x) for |x| < 1/2: a series of terms of one sign.
fn erf_lower(x: f64) -> f64 {
    let square = 2.0 * x * x;
    let mut term = 2.0 / SQRT_PI * x * exp_minus_square(x);
    let mut sum = 0.0;
    for k in 0..16_u32 {
        sum += term;
        term *= square / f64::from(2 * k + 3);
    }
    sum
}

/// 1 - erf(x), relative error a few 1e-16 until it underflows at x = 26.5.
pub(crate) fn erfc(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else if x.abs() < 0.5 {
        1.0 - erf_lower(x)
    } else if x < 0.0 {
        2.0 - erfc(-x)
    } else if x > 28.0 {
        0.0
    } else {
        trapezoid(x) * exp_minus_square(x) - residue(x)
    }
}

/// exp(x^2) erfc(x), which does not underflow.
pub(crate) fn erfcx(x: f64) -> f64 {
    if x >= POLE { trapezoid(x) } else { erfc(x) / exp_minus_square(x) }
}

/// Pr[N(0, 1) <= x].
pub(crate) fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// Pr[N(0, 1) <= x] and Pr[N(0, 1) > x], the smaller to its last digit.
pub(crate) fn normal_tails(x: f64) -> [f64; 2] {
    let tail = 0.5 * erfc(x.abs() * FRAC_1_SQRT_2);
    if x < 0.0 { [tail, 1.0 - tail] } else { [1.0 - tail, tail] }
}

/// ln Pr[N(0, 1) <= x].
pub(crate) fn log_normal_cdf(x: f64) -> f64 {
    if x > -1.0 {
        return normal_cdf(x).ln();
    }
    -0.5 * x * x + (0.5 * erfcx(-x * FRAC_1_SQRT_2)).ln()
}

/// Density of N(0, 1).
pub(crate) fn normal_density(x: f64) -> f64 {
    exp_minus_square(x * FRAC_1_SQRT_2) / (SQRT_2 * SQRT_PI)
}

/// Mills' ratio Pr[N > x] / density(x).
pub(crate) fn mills(x: f64) -> f64 {
    SQRT_PI * FRAC_1_SQRT_2 * erfcx(x * FRAC_1_SQRT_2)
}

/// 1 - x mills(x), minus the slope of Mills' ratio: every term is positive, so the difference of
/// two ratios that are close can be had by integration without cancellation.
pub(crate) fn mills_slope(x: f64) -> f64 {
    let t = x * FRAC_1_SQRT_2;
    if t <= 0.0 {
        return 1.0 - x * mills(x);
    }
    let square = t * t;
    let sum: f64 = NODES.iter().map(|(node, weight)| node * weight / (square + node)).sum();
    let pole = if t < POLE {
        2.0 * SQRT_PI * t / (exp_minus_square(t) * (2.0 * PI * t / STEP).exp_m1())
    } else {
        0.0
    };
    2.0 * STEP / SQRT_PI * sum + pole
}

/// The x with Pr[N(0, 1) > x] = p, for 0 < p <= 1/2, by Newton's method on the logarithm.
pub(crate) fn normal_upper_quantile(p: f64) -> f64 {
    let target = p.ln();
    let mut x = (-2.0 * target).max(0.0).sqrt().max(0.1) - 0.1;
    for _ in 0..60 {
        // d/dx ln Q(x) = -1 / mills(x).
        let step = (log_normal_cdf(-x) - target) * mills(x);
        x += step;
        if step.abs() <= 1e-15 * x.abs().max(1.0) {
            break;
        }
    }
    x
}

/// ln(e^a + e^b).
pub(crate) fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// ln(e^a - e^b), minus infinity where the difference is not positive.
pub(crate) fn log_sub(a: f64, b: f64) -> f64 {
    if b >= a {
        return f64::NEG_INFINITY;
    }
    if b == f64::NEG_INFINITY { a } else { a + (-(b - a).exp()).ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, wanted: f64, relative: f64) {
        assert!((got - wanted).abs() <= relative * wanted.abs(), "{got:e}, wanted {wanted:e}");
    }

    #[test]
    fn erfc_agrees_with_published_digits() {
        // Abramowitz and Stegun's function, computed with 40 digits.
        for (x, wanted) in [
            (0.1, 0.887_537_083_981_715),
            (0.49, 0.488_331_738_811_476_9),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (2.0, 0.004_677_734_981_047_266),
            (3.0, 2.209_049_699_858_544e-5),
            (5.0, 1.537_459_794_428_035e-12),
            (10.0, 2.088_487_583_762_545e-45),
            (20.0, 5.395_865_611_607_901e-176),
            (26.0, 5.663_192_408_856_143e-296),
            (-0.3, 1.328_626_759_459_127_3),
            (-2.0, 1.995_322_265_018_952_7),
        ] {
            close(erfc(x), wanted, 1e-15);
        }
    }

    #[test]
    fn the_two_branches_meet_and_scaled_values_agree() {
        for x in [0.5_f64, 6.2, 6.4, 12.0] {
            close(erfcx(x), erfc(x) * (x * x).exp(), 1e-13);
        }
        close(erfc(0.5 - 1e-12), erfc(0.5), 3e-12);
        close(erfcx(1e6), 1.0 / (1e6 * SQRT_PI), 1e-12);
    }

    #[test]
    fn quantiles_invert_and_the_slope_is_a_slope() {
        for p in [0.5, 0.3, 1e-3, 1e-10, 1e-100, 1e-300] {
            close(log_normal_cdf(-normal_upper_quantile(p)).exp(), p, 1e-11);
        }
        for x in [-2.0, -0.1, 0.0, 0.3, 2.0, 8.0, 9.0, 30.0] {
            let h = 1e-4;
            close((mills(x - h) - mills(x + h)) / (2.0 * h), mills_slope(x), 1e-6);
        }
    }
}
