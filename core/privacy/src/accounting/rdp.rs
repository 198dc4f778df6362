//! Renyi differential privacy, order by order.
//!
//! * Poisson-subsampled Gaussian: Mironov, Talwar and Zhang, 2019 (arXiv 1908.10530), integer and
//!   fractional orders; for that mechanism only.
//! * Anything else under Poisson sampling: Steinke, 2022 (arXiv 2210.00597).
//! * Fixed size without replacement, replace-one: Wang, Balle and Kasiviswanathan, 2019.
//! * Skellam: Agarwal, Kairouz and Liu, 2021, corollary 3.6.
//! * To (epsilon, delta): Canonne, Kamath and Steinke, 2020, proposition 12.

use std::f64::consts::SQRT_2;

use super::{AccountingError, check_delta, check_rate, check_sigma, check_steps};
use crate::special::{erfc, erfcx, log_add, log_sub};

/// The orders of a ledger; within 0.1 % of the dense list on the reference settings.
pub const ORDERS: [f64; 32] = [
    1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5, 3.75, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.0,
    10.0, 11.0, 12.0, 14.0, 16.0, 20.0, 24.0, 32.0, 40.0, 48.0, 64.0, 96.0, 128.0, 256.0,
];

/// Terms of the fractional series below e to this are left out, and their sum is added back.
const NEGLIGIBLE: f64 = -40.0;

const SERIES_TERMS: u32 = 100_000;

/// The orders that a report searches: those of the ledger and more.
pub fn dense_orders() -> impl Iterator<Item = f64> {
    let tenths = (11..110).map(|tenth| f64::from(tenth) / 10.0);
    let whole = (11..=64).chain([72, 80, 96, 112, 128, 192, 256, 384, 512, 1024]).map(f64::from);
    tenths.chain(whole)
}

/// The Gaussian mechanism of sensitivity 1 at `alpha`.
pub fn gaussian(sigma: f64, alpha: f64) -> f64 {
    alpha / (2.0 * sigma * sigma)
}

/// One step of the Poisson-subsampled Gaussian, add or remove one, at any order above 1.
///
/// # Errors
/// [`AccountingError::OutOfRange`].
pub fn subsampled_gaussian(rate: f64, sigma: f64, alpha: f64) -> Result<f64, AccountingError> {
    check_rate(rate)?;
    check_sigma(sigma)?;
    check_order(alpha)?;
    if rate >= 1.0 {
        return Ok(gaussian(sigma, alpha));
    }
    let variance = sigma * sigma;
    if is_whole(alpha) {
        return Ok(amplified(rate, alpha, |k| k * (k - 1.0) / (2.0 * variance)));
    }
    Ok(fractional(rate, sigma, alpha))
}

/// Amplification by Poisson sampling of any mechanism with Renyi curve `epsilon`, which is asked
/// for whole orders from 2 on. A fractional order is interpolated: (alpha - 1) epsilon is convex.
///
/// # Errors
/// [`AccountingError::OutOfRange`].
pub fn poisson_amplified(
    rate: f64,
    alpha: f64,
    epsilon: impl Fn(f64) -> f64,
) -> Result<f64, AccountingError> {
    check_rate(rate)?;
    check_order(alpha)?;
    Ok(interpolated(alpha, |whole| amplified(rate, whole, |k| (k - 1.0) * epsilon(k))))
}

/// The Gaussian on a sample of fixed size without replacement, rate = size / rows, neighbours by
/// replacing one row; `sigma` is in units of the sensitivity to a replacement.
///
/// # Errors
/// [`AccountingError::OutOfRange`].
pub fn fixed_size_gaussian(rate: f64, sigma: f64, alpha: f64) -> Result<f64, AccountingError> {
    check_rate(rate)?;
    check_sigma(sigma)?;
    check_order(alpha)?;
    if rate >= 1.0 {
        return Ok(gaussian(sigma, alpha));
    }
    let at = |whole| without_replacement(rate, sigma, whole).min(gaussian(sigma, whole));
    Ok(interpolated(alpha, at))
}

/// The Skellam mechanism of variance `variance` with integer sensitivities `l2` and `l1`.
///
/// # Errors
/// [`AccountingError::OutOfRange`].
pub fn skellam(variance: f64, l2: f64, l1: f64, alpha: f64) -> Result<f64, AccountingError> {
    super::check("variance", variance, (1.0, 1e18))?;
    super::check("sensitivity", l2, (0.0, 1e9))?;
    super::check("l1 sensitivity", l1, (0.0, 1e18))?;
    check_order(alpha)?;
    Ok(interpolated(alpha, |whole| {
        let first = ((2.0 * whole - 1.0) * l2 * l2 + 6.0 * l1) / (4.0 * variance * variance);
        let extra = first.min(3.0 * l1 / (2.0 * variance));
        whole * l2 * l2 / (2.0 * variance) + extra
    }))
}

/// What is added to a Renyi epsilon of order `alpha` to make it an epsilon at `delta`.
pub fn conversion(alpha: f64, delta: f64) -> f64 {
    (-1.0 / alpha).ln_1p() - (delta.ln() + alpha.ln()) / (alpha - 1.0)
}

/// Epsilon of `steps` steps of the Poisson-subsampled Gaussian, best of the dense orders.
///
/// # Errors
/// [`AccountingError::OutOfRange`].
pub fn epsilon(rate: f64, sigma: f64, steps: u64, delta: f64) -> Result<f64, AccountingError> {
    check_steps(steps)?;
    check_delta(delta)?;
    dense_orders().try_fold(f64::INFINITY, |best, alpha| {
        let cost = steps as f64 * subsampled_gaussian(rate, sigma, alpha)?;
        Ok(best.min((cost + conversion(alpha, delta)).max(0.0)))
    })
}

fn check_order(alpha: f64) -> Result<(), AccountingError> {
    super::check("order", alpha, (1.01, 4096.0))
}

fn is_whole(alpha: f64) -> bool {
    alpha.fract().abs() < f64::EPSILON
}

/// The chord of (alpha - 1) epsilon between the whole orders around `alpha`.
fn interpolated(alpha: f64, at: impl Fn(f64) -> f64) -> f64 {
    if is_whole(alpha) {
        return at(alpha);
    }
    let (low, high) = (alpha.floor(), alpha.ceil());
    let cumulant = |whole: f64| if whole < 2.0 { 0.0 } else { (whole - 1.0) * at(whole) };
    let share = alpha - low;
    ((1.0 - share) * cumulant(low) + share * cumulant(high)) / (alpha - 1.0)
}

/// ln(1 + sum over k of C(alpha, k) (1-q)^(alpha-k) q^k (e^cumulant(k) - 1)) / (alpha - 1): the
/// binomial weights add to 1, so the sum may begin at k = 2 and nothing cancels.
fn amplified(rate: f64, alpha: f64, cumulant: impl Fn(f64) -> f64) -> f64 {
    let (log_in, log_out) = (rate.ln(), (-rate).ln_1p());
    let mut log_binomial = 0.0;
    let mut sum = f64::NEG_INFINITY;
    let mut k = 1.0;
    while k <= alpha {
        log_binomial += ((alpha - k + 1.0) / k).ln();
        if k >= 2.0 {
            // At rate 1 the logarithm of 0 would meet a factor 0.
            let out = if alpha > k { (alpha - k) * log_out } else { 0.0 };
            sum = log_add(sum, log_binomial + out + k * log_in + log_exp_m1(cumulant(k)));
        }
        k += 1.0;
    }
    log_one_plus_exp(sum) / (alpha - 1.0)
}

fn without_replacement(rate: f64, sigma: f64, alpha: f64) -> f64 {
    let curve = |k: f64| gaussian(sigma, k);
    let two = curve(2.0);
    let second = (4.0_f64.ln() + log_exp_m1(two)).min(2.0_f64.ln() + two);
    let mut log_binomial = alpha.ln();
    let mut sum = f64::NEG_INFINITY;
    let mut k = 2.0;
    while k <= alpha {
        log_binomial += ((alpha - k + 1.0) / k).ln();
        let moment = if k < 2.5 { second } else { 2.0_f64.ln() + (k - 1.0) * curve(k) };
        sum = log_add(sum, log_binomial + k * rate.ln() + moment);
        k += 1.0;
    }
    log_one_plus_exp(sum) / (alpha - 1.0)
}

fn log_exp_m1(x: f64) -> f64 {
    if x > 40.0 { x } else { x.exp_m1().ln() }
}

fn log_one_plus_exp(x: f64) -> f64 {
    if x > 40.0 { x } else { x.exp().ln_1p() }
}

fn log_half_erfc(x: f64) -> f64 {
    if x < 1.0 { (0.5 * erfc(x)).ln() } else { (0.5 * erfcx(x)).ln() - x * x }
}

/// Mironov et al., section 3.3: two alternating series around the point where the densities cross.
fn fractional(rate: f64, sigma: f64, alpha: f64) -> f64 {
    let variance = sigma * sigma;
    let crossing = variance * (1.0 / rate - 1.0).ln() + 0.5;
    let (log_in, log_out) = (rate.ln(), (-rate).ln_1p());
    let (mut plus, mut minus) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    let (mut log_binomial, mut positive) = (0.0, true);
    for index in 0..SERIES_TERMS {
        let i = f64::from(index);
        let j = alpha - i;
        let below = log_binomial
            + i * log_in
            + j * log_out
            + i * (i - 1.0) / (2.0 * variance)
            + log_half_erfc((i - crossing) / (SQRT_2 * sigma));
        let above = log_binomial
            + j * log_in
            + i * log_out
            + j * (j - 1.0) / (2.0 * variance)
            + log_half_erfc((crossing - j) / (SQRT_2 * sigma));
        let term = log_add(below, above);
        let side = if positive { &mut plus } else { &mut minus };
        *side = log_add(*side, term);
        if j < 0.0 && term < NEGLIGIBLE {
            // The rest alternates and falls: it is below its first term.
            plus = log_add(plus, NEGLIGIBLE);
            break;
        }
        let factor = j / (i + 1.0);
        log_binomial += factor.abs().ln();
        positive ^= factor < 0.0;
    }
    log_sub(plus, minus).max(0.0) / (alpha - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference table: rate, sigma, steps, delta, dp-accounting's epsilon.
    const REFERENCE: [(f64, f64, u64, f64, f64); 6] = [
        (256.0 / 60_000.0, 1.1, 2340, 1e-5, 1.098_150),
        (256.0 / 60_000.0, 0.6, 2340, 1e-5, 5.923_866),
        (0.01, 1.0, 10_000, 1e-5, 6.712_757),
        (0.1, 2.0, 1000, 1e-6, 9.823_879),
        (1.0, 10.0, 100, 1e-5, 4.728_507),
        (0.02, 0.8, 500, 1e-6, 6.164_547),
    ];

    #[test]
    fn the_reference_table_is_met() {
        for (rate, sigma, steps, delta, wanted) in REFERENCE {
            let got = epsilon(rate, sigma, steps, delta).unwrap();
            assert!((got / wanted - 1.0).abs() < 1e-3, "{rate} {sigma}: {got}, wanted {wanted}");
        }
    }

    /// E over Q of (P/Q)^alpha by a fine sum, both directions; nothing in common with the series.
    fn integrated(rate: f64, sigma: f64, alpha: f64) -> f64 {
        let h = sigma / 400.0;
        let (from, to) = (-14.0 * sigma, alpha + 14.0 * sigma);
        let density = |x: f64| (-0.5 * x * x / (sigma * sigma)).exp();
        let mut sum = 0.0;
        let mut x = from;
        while x < to {
            let ratio = 1.0 - rate + rate * ((2.0 * x - 1.0) / (2.0 * sigma * sigma)).exp();
            sum += density(x) * (ratio.powf(alpha) - 1.0 - alpha * (ratio - 1.0));
            x += h;
        }
        let norm = h / (sigma * std::f64::consts::TAU.sqrt());
        (sum * norm).ln_1p() / (alpha - 1.0)
    }

    #[test]
    fn every_order_is_the_integral() {
        for (rate, sigma) in [(0.004, 1.1), (0.1, 2.0), (0.3, 0.8), (0.6, 5.0)] {
            for alpha in [1.5, 1.75, 2.0, 2.25, 3.0, 3.75, 5.5, 8.0, 16.0] {
                let got = subsampled_gaussian(rate, sigma, alpha).unwrap();
                let wanted = integrated(rate, sigma, alpha);
                let bound = 1e-6 * wanted + 1e-13;
                assert!((got - wanted).abs() < bound, "{rate} {sigma} {alpha}: {got:e} {wanted:e}");
            }
        }
    }

    #[test]
    fn amplification_by_the_general_rule_is_the_gaussian_one_at_whole_orders() {
        for alpha in [2.0, 5.0, 32.0] {
            let general = poisson_amplified(0.05, alpha, |k| gaussian(2.0, k)).unwrap();
            let own = subsampled_gaussian(0.05, 2.0, alpha).unwrap();
            assert!((general / own - 1.0).abs() < 1e-12);
            assert!(fixed_size_gaussian(0.05, 2.0, alpha).unwrap() >= own);
        }
        let between = poisson_amplified(0.05, 2.5, |k| gaussian(2.0, k)).unwrap();
        assert!(between >= subsampled_gaussian(0.05, 2.0, 2.5).unwrap());
    }

    #[test]
    fn skellam_has_its_published_value_and_numbers_out_of_range_are_named() {
        let got = skellam(1000.0, 10.0, 10.0, 32.0).unwrap();
        assert!((got - 1.6016).abs() < 1e-4, "{got}");
        let error = subsampled_gaussian(0.1, f64::NAN, 2.0).unwrap_err();
        assert!(error.to_string().starts_with("sigma is NaN"), "{error}");
        assert!(subsampled_gaussian(1.1, 1.0, 2.0).is_err());
        assert!(subsampled_gaussian(0.1, 1.0, 1.0).is_err());
    }
}
