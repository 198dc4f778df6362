//! The theorem that the accountant rests on, by exact enumeration: (sampled) discrete Gaussians are
//! no worse than the (sampled) continuous Gaussian of variance σ² − 9.

use super::shares::effective;

/// The probability that a standard normal number is above `x`.
fn above(x: f64) -> f64 {
    if x < 0.0 {
        return 1.0 - above(-x);
    }
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if x < 3.0 {
        // 1/2 − density·(x + x³/3 + x⁵/15 + ...)
        let (mut term, mut sum, mut k) = (x, x, 1.0);
        while term > 1e-18 {
            k += 2.0;
            term *= x * x / k;
            sum += term;
        }
        return 0.5 - density * sum;
    }
    // density / (x + 1/(x + 2/(x + ...)))
    density / (1..=200).rev().fold(x, |rest, k| x + f64::from(k) / rest)
}

/// δ(ε) of the continuous Gaussian, shift `delta`, sampled at `q`: with the row, against without.
fn gaussian_remove(epsilon: f64, sigma: f64, delta: f64, q: f64) -> f64 {
    let edge = sigma * sigma / delta * ((epsilon.exp_m1() + q) / q).ln() + delta / 2.0;
    let (out, inside) = (above(edge / sigma), above((edge - delta) / sigma));
    (1.0 - q - epsilon.exp()) * out + q * inside
}

/// The other direction.
fn gaussian_add(epsilon: f64, sigma: f64, delta: f64, q: f64) -> f64 {
    let least = (-epsilon).exp_m1() + q;
    if least <= 0.0 {
        return 0.0;
    }
    let edge = sigma * sigma / delta * (least / q).ln() + delta / 2.0;
    let (out, inside) = (above(-edge / sigma), above((delta - edge) / sigma));
    out - epsilon.exp() * ((1.0 - q) * out + q * inside)
}

fn weights(sigma: f64, low: i32, high: i32) -> Vec<f64> {
    let weight = |x: i32| (-f64::from(x).powi(2) / (2.0 * sigma * sigma)).exp();
    // Normalised over all integers: e^-72 is left out.
    #[expect(clippy::cast_possible_truncation, reason = "small")]
    let far = (12.0 * sigma) as i32;
    let total: f64 = (-far..=far).map(weight).sum();
    (low..=high).map(|x| weight(x) / total).collect()
}

/// δ(ε) in both directions for pairs of probabilities without and with the row's shift.
fn discrete(pairs: &[(f64, f64)], epsilon: f64, q: f64) -> (f64, f64) {
    let mut both = (0.0, 0.0);
    for (without, shifted) in pairs {
        let with = (1.0 - q) * without + q * shifted;
        both.0 += (with - epsilon.exp() * without).max(0.0);
        both.1 += (without - epsilon.exp() * with).max(0.0);
    }
    both
}

fn check(pairs: &[(f64, f64)], sigma: f64, delta: f64, q: f64) -> f64 {
    let mut closest = f64::INFINITY;
    for step in 0..20 {
        let epsilon = 0.02 * 1.35_f64.powi(step);
        let (remove, add) = discrete(pairs, epsilon, q);
        let bound_remove = gaussian_remove(epsilon, effective(sigma), delta, q);
        let bound_add = gaussian_add(epsilon, effective(sigma), delta, q);
        // Sums of a few thousand doubles.
        assert!(remove <= bound_remove * (1.0 + 1e-9) + 1e-14, "{sigma} {delta} {q} {epsilon}");
        assert!(add <= bound_add * (1.0 + 1e-9) + 1e-14, "{sigma} {delta} {q} {epsilon}");
        if bound_remove > 1e-9 {
            closest = closest.min(bound_remove / remove.max(1e-300));
        }
    }
    closest
}

/// Section 10, test 1: σ from 5 to 50, shifts of 1 to 3 σ, three rates, 20 ε, both directions.
#[test]
fn a_sampled_discrete_gaussian_is_dominated_in_one_dimension() {
    for sigma in [5.0, 8.0, 20.0, 50.0] {
        for times in [1.0, 2.0, 3.0] {
            #[expect(clippy::cast_possible_truncation, reason = "small")]
            let (shift, far) = ((sigma * times) as i32, (sigma * 12.0) as i32);
            let without = weights(sigma, -far, far + shift);
            let shifted = weights(sigma, -far - shift, far);
            let pairs: Vec<(f64, f64)> = without.into_iter().zip(shifted).collect();
            for q in [1.0, 0.1, 0.01] {
                let closest = check(&pairs, sigma, f64::from(shift), q);
                // The bound is tight where the 9 is small.
                assert!(sigma < 50.0 || closest < 1.05, "{closest}");
            }
        }
    }
}

#[test]
fn and_in_two_dimensions_in_any_direction() {
    for sigma in [5.0, 7.5] {
        for (a, b) in [(8_i32, 0_i32), (6, 6), (3, 9)] {
            #[expect(clippy::cast_possible_truncation, reason = "small")]
            let far = (sigma * 9.0) as i32;
            let line = |shift: i32| {
                let without = weights(sigma, -far, far + shift);
                let shifted = weights(sigma, -far - shift, far);
                without.into_iter().zip(shifted).collect::<Vec<_>>()
            };
            let (rows, columns) = (line(a), line(b));
            let pairs: Vec<(f64, f64)> = rows
                .iter()
                .flat_map(|row| columns.iter().map(|column| (row.0 * column.0, row.1 * column.1)))
                .collect();
            let delta = f64::from(a * a + b * b).sqrt();
            for q in [1.0, 0.1, 0.01] {
                check(&pairs, sigma, delta, q);
            }
        }
    }
}

/// Without the 9, and with a width below the theorem's, the bound does not hold.
#[test]
fn what_the_theorem_asks_for_is_needed() {
    let exceeds = |sigma: f64, shift: i32, sigma_claimed: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "small")]
        let far = (sigma * 12.0) as i32 + 2;
        let without = weights(sigma, -far, far + shift);
        let pairs: Vec<_> = without.into_iter().zip(weights(sigma, -far - shift, far)).collect();
        (0..60).any(|step| {
            let epsilon = 0.05 * f64::from(step);
            let (remove, _) = discrete(&pairs, epsilon, 0.1);
            remove > gaussian_remove(epsilon, sigma_claimed, f64::from(shift), 0.1) * 1.001 + 1e-12
        })
    };
    assert!(exceeds(0.4, 1, 0.4));
    assert!(!exceeds(5.0, 5, effective(5.0)));
}
