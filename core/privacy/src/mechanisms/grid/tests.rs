use nexus_types::{Seed, SeededRng};
use proptest::prelude::*;

use super::super::secret_rng;
use super::*;

const ROOM: Room = Room { rows: 256.0, sigma: 1.0, limit: 1 << 33 };

fn rng(number: u64) -> SeededRng {
    Seed::from_number(number).rng()
}

fn distance(a: &[i64], b: &[i64]) -> f64 {
    let square: u128 = a.iter().zip(b).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).sum();
    (square as f64).sqrt()
}

/// A direction of norm 1: dense, or a few coordinates.
fn direction(dimension: usize, rng: &mut SeededRng) -> Vec<f64> {
    let dense = rng.below(2) == 0;
    let mut v: Vec<f64> = (0..dimension)
        .map(|_| if dense || rng.below(8) == 0 { rng.normal() } else { 0.0 })
        .collect();
    v[0] += 1e-3;
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    for x in &mut v {
        *x /= norm;
    }
    v
}

/// The sum and its neighbour: at random, or where a hair turns every rounding the same way.
fn pair(grid: &Grid, rng: &mut SeededRng, adversarial: bool) -> (Vec<f64>, Vec<f64>) {
    let (dimension, reach) = (grid.dimension(), grid.clip().norm() * super::super::clip::MARGIN);
    let v = direction(dimension, rng);
    let length = if rng.below(4) == 0 { rng.unit() } else { 1.0 } * reach;
    let step = 1.0 / grid.scale();
    let sum: Vec<f64> = v
        .iter()
        .map(|v| {
            if !adversarial {
                return (rng.unit() - 0.5) * 100.0 * grid.clip().norm();
            }
            // s·S is just on the near side of a half; s(S + v) may go just past the next but n-th.
            let whole = rng.below(1000) as f64;
            let edge = (whole + 0.5) * step;
            if *v >= 0.0 { edge - 1e-9 * step } else { edge + 1e-9 * step }
        })
        .collect();
    let mut neighbour: Vec<f64> = sum.iter().zip(&v).map(|(s, v)| s + length * v).collect();
    if adversarial {
        // Lengthen every coordinate to just past its next half, while the norm allows it.
        for ((n, s), v) in neighbour.iter_mut().zip(&sum).zip(&v) {
            let past = ((*s + 0.98 * length * v) * grid.scale()).round_ties_even();
            *n = (past + 0.5_f64.copysign(*v) + 2e-9_f64.copysign(*v)) * step;
        }
        let moved =
            |n: &[f64]| n.iter().zip(&sum).map(|(n, s)| (n - s).powi(2)).sum::<f64>().sqrt();
        let factor = (reach / moved(&neighbour)).min(1.0);
        for (n, s) in neighbour.iter_mut().zip(&sum) {
            *n = s + factor * (*n - s);
        }
    }
    (sum, neighbour)
}

/// Section 10, test 2: 10^5 pairs.
#[test]
fn a_row_moves_the_integers_by_the_sensitivity_at_most() {
    let (mut rng, mut secret, mut worst) = (rng(1), secret_rng(1), 0.0_f64);
    for (dimension, pairs) in [(1, 20_000), (3, 30_000), (17, 30_000), (64, 16_000), (650, 4_000)] {
        let grid = Grid::new(0.25, dimension, ROOM).unwrap();
        assert_eq!(grid.rounding(), Rounding::Nearest);
        let bound = grid.sensitivity();
        for number in 0..pairs {
            let (sum, neighbour) = pair(&grid, &mut rng, number % 2 == 0);
            let (a, b) = (
                grid.round(&sum, &mut secret).unwrap(),
                grid.round(&neighbour, &mut secret).unwrap(),
            );
            let moved = distance(&a, &b);
            assert!(moved <= bound.l2(), "{dimension}: {moved} > {}", bound.l2());
            let l1: f64 = a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b) as f64).sum();
            assert!(l1 <= bound.l1());
            worst = worst.max(moved / bound.l2());
        }
    }
    assert!(worst > 0.998, "the pairs are not adversarial: {worst}");
}

/// The root of d is needed: on a coarse grid a bound without it is exceeded.
#[test]
fn the_allowance_for_rounding_is_used() {
    let grid = Grid {
        clip: Clip::new(1.0).unwrap(),
        dimension: 100,
        scale: 16.0,
        rounding: Rounding::Nearest,
    };
    // s·S = 1/2 − ε rounds to 0; s·v = 1 + 2ε per coordinate carries it to 3/2 + ε, which is 2.
    let sum = vec![(0.5 - 1e-9) / 16.0; 100];
    let neighbour: Vec<f64> = sum.iter().map(|s| s + (1.0 + 2e-9) / 16.0).collect();
    let v = (100.0_f64).sqrt() * (1.0 + 2e-9) / 16.0;
    assert!(v < 1.0);
    let round = |x: &[f64]| grid.round(x, &mut secret_rng(1)).unwrap();
    let moved = distance(&round(&sum), &round(&neighbour));
    assert!(moved > grid.scale() * grid.clip().norm(), "{moved}");
    assert!(moved <= grid.sensitivity().l2());
}

#[test]
fn dithering_is_unbiased_and_within_its_sensitivity() {
    let narrow = Room { limit: 1 << 21, ..ROOM };
    let grid = Grid::new(1.0, 650, narrow).unwrap();
    assert_eq!(grid.rounding(), Rounding::Dithered);
    let (bound, mut r) = (grid.sensitivity(), rng(2));
    assert!(bound.failure() > 0.0);
    assert!(bound.l2() < grid.scale() * 1.01 + 1.0);
    for number in 0..500 {
        let (sum, neighbour) = pair(&grid, &mut r, false);
        // The same u for both.
        let (a, b) = (
            grid.round(&sum, &mut secret_rng(number)),
            grid.round(&neighbour, &mut secret_rng(number)),
        );
        assert!(distance(&a.unwrap(), &b.unwrap()) <= bound.l2());
    }
    let mut secret = secret_rng(9);
    let mean: f64 = (0..20_000).map(|_| dithered(-2.3, &mut secret) as f64).sum::<f64>() / 20_000.0;
    assert!((mean + 2.3).abs() < 5.0 * 0.46 / 141.0);
}

#[test]
fn the_scale_is_the_smallest_that_costs_a_thousandth() {
    // Section 2's table: s·C of 2.55e4, 6.9e4, 4.5e5 and 1e6, up to the next power of two.
    for (dimension, least) in
        [(650, 2.5495e4), (4810, 6.935e4), (203_530, 4.511e5), (1_000_000, 1e6)]
    {
        let room = Room { limit: 1 << 40, ..ROOM };
        for clip in [0.25, 0.3, 1.0, 7.0] {
            let grid = Grid::new(clip, dimension, room).unwrap();
            let steps = grid.scale() * clip;
            assert!(steps >= least && steps < 2.0 * least * 1.001, "{dimension} {clip} {steps}");
            assert!(grid.scale().log2().fract() == 0.0);
        }
    }
    let narrow = Room { limit: 1 << 15, ..ROOM };
    assert!(matches!(Grid::new(1.0, 4810, narrow), Err(MechanismError::Narrow { .. })));
    assert!(Grid::new(1.0, 0, ROOM).is_err() && Grid::new(0.0, 5, ROOM).is_err());
    assert!(Grid::new(1.0, 5, Room { rows: f64::NAN, ..ROOM }).is_err());
    assert!(Grid::new(1.0, 5, Room { limit: 0, ..ROOM }).is_err());
}

proptest! {
    #[test]
    fn the_integers_of_a_whole_vector_have_a_norm_within_the_sensitivity(
        vector in prop::collection::vec(prop_oneof![any::<f64>(), -10.0_f64..10.0, Just(0.5)], 1..100),
    ) {
        let grid = Grid::new(1.5, vector.len(), ROOM).unwrap();
        let integers = grid.round_whole(&vector).unwrap();
        let square: u128 = integers.iter().map(|x| u128::from(x.unsigned_abs()).pow(2)).sum();
        prop_assert!((square as f64).sqrt() <= grid.whole_sensitivity().l2());
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm <= 1.4 {
            for (real, x) in grid.to_real(&integers).iter().zip(&vector) {
                prop_assert!((real - x).abs() <= 0.51 / grid.scale());
            }
        }
    }
}

#[test]
fn values_without_integers_are_named() {
    let grid = Grid::new(1.0, 2, ROOM).unwrap();
    let mut secret = secret_rng(3);
    assert!(matches!(
        grid.round(&[0.0, f64::NAN], &mut secret),
        Err(MechanismError::Value { index: 1, .. })
    ));
    assert!(matches!(
        grid.round(&[1e300, 0.0], &mut secret),
        Err(MechanismError::Value { index: 0, .. })
    ));
    assert!(matches!(
        grid.round(&[0.0], &mut secret),
        Err(MechanismError::Length { got: 1, expected: 2, .. })
    ));
    assert_eq!(grid.round_whole(&[f64::NAN, 1.0]), Ok(vec![0, 0]));
}
