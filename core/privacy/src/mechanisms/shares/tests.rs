use super::super::exact::{Variance, gaussian};
use super::super::secret_rng;
use super::*;

/// Section 10, test 4: every |U| and every c.
#[test]
fn realised_noise_is_as_the_formula_says() {
    for least in 1..=12_u32 {
        for colluding in 0..least {
            let plan = NoisePlan::new(1e6, least, colluding).unwrap();
            assert!(plan.realised(least - 1).is_err());
            for survivors in least..=20 {
                let got = plan.realised(survivors).unwrap();
                let formula =
                    1e6 * (f64::from(survivors - colluding) / f64::from(least - colluding)).sqrt();
                assert!(got >= formula * (1.0 - 1e-14) && got <= formula * (1.0 + 1e-9));
                let shares = vec![plan.share().sigma(); survivors as usize];
                let unequal = realised_of(&shares, colluding as usize);
                assert!((unequal / got - 1.0).abs() < 1e-13);
            }
        }
    }
    assert!(NoisePlan::new(1e6, 0, 0).is_err() && NoisePlan::new(1e6, 3, 3).is_err());
    assert!(NoisePlan::new(4.9, 1, 0).is_err() && NoisePlan::new(f64::NAN, 1, 0).is_err());
    assert!(NoisePlan::new(1e12, 1, 0).is_err());
}

#[test]
fn the_widest_shares_are_those_of_colluders() {
    assert!((realised_of(&[3.0, 100.0, 4.0, 50.0], 2) - 5.0).abs() < 1e-12);
    assert!(realised_of(&[3.0], 2).abs() < 1e-300);
    assert!((effective(5.0) - 4.0).abs() < 1e-12 && effective(3.0) < 1e-300);
}

/// A part of the least number: what an attacker makes of it. Ten owners, four in the sum may be the
/// coordinator's; it makes four of six honest ones drop.
#[test]
fn a_share_sized_by_a_part_of_the_owners_is_too_small() {
    let (sigma, owners, colluding) = (1e6, 10_u32, 4_u32);
    let weak = sigma / (f64::from(owners) * (1.0 - 0.4)).sqrt();
    let left = realised_of(&[weak; 6], colluding as usize);
    assert!(left < 0.6 * sigma);
    let plan = NoisePlan::new(sigma, 6, colluding).unwrap();
    assert!(plan.realised(6).unwrap() >= sigma * (1.0 - 1e-12));
}

/// The probabilities of a discrete Gaussian of this variance on −edge..=edge.
fn discrete(variance: f64, edge: i64) -> Vec<f64> {
    let weights: Vec<f64> =
        (-edge..=edge).map(|x| (-(x as f64).powi(2) / (2.0 * variance)).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

fn convolve(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; a.len() + b.len() - 1];
    for (i, a) in a.iter().enumerate() {
        for (sum, b) in sum[i..].iter_mut().zip(b) {
            *sum += a * b;
        }
    }
    sum
}

/// Section 10, test 1: sums of shares, by exact enumeration, against one discrete Gaussian.
#[test]
fn a_sum_of_shares_is_one_discrete_gaussian() {
    for (variance, owners, edge) in [(25.0, 10, 60), (25.0, 2, 60), (64.0, 6, 80)] {
        let share = discrete(variance, edge);
        let sum = (1..owners).fold(share.clone(), |sum, _| convolve(&sum, &share));
        let whole = discrete(variance * f64::from(owners), edge * i64::from(owners));
        let deviation = (variance * f64::from(owners)).sqrt();
        let middle = sum.len() / 2;
        for offset in 0..whole.len() / 2 {
            if offset as f64 > 4.0 * deviation {
                break;
            }
            let ratio = (sum[middle + offset] / whole[whole.len() / 2 + offset]).ln();
            assert!(ratio.abs() < 1e-12, "{variance} x {owners}: {ratio} at {offset}");
        }
    }
    // Shares of less than a step are no discrete Gaussian together.
    let share = discrete(0.09, 10);
    let sum = (1..10).fold(share.clone(), |sum, _| convolve(&sum, &share));
    let whole = discrete(0.9, 100);
    assert!((sum[100 + 3] / whole[100 + 3]).ln().abs() > 0.01);
}

#[test]
fn drawn_shares_add_up_to_the_planned_width() {
    const DRAWS: usize = 40_000;
    let mut rng = secret_rng(8);
    let plan = NoisePlan::new(1000.0, 8, 2).unwrap();
    let mut sums = vec![0_i64; DRAWS];
    (0..9).for_each(|_| plan.share().add(&mut rng, &mut sums));
    let square: f64 = sums.iter().map(|x| (*x as f64).powi(2)).sum::<f64>() / DRAWS as f64;
    let expected = plan.share().sigma().powi(2) * 9.0;
    assert!((square / expected - 1.0).abs() < 5.0 * (2.0 / DRAWS as f64).sqrt());
    // The reference, added ten times, against the same.
    let variance = Variance::new(25, 1).unwrap();
    let square: f64 = (0..DRAWS)
        .map(|_| ((0..10).map(|_| gaussian(variance, &mut rng)).sum::<i64>() as f64).powi(2))
        .sum::<f64>()
        / DRAWS as f64;
    assert!((square / 250.0 - 1.0).abs() < 5.0 * (2.0 / DRAWS as f64).sqrt());
}
