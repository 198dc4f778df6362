use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::{Context, Encoder, Parameters, SecretKey};

fn numbers(rng: &mut ChaCha12Rng, count: usize) -> Vec<f64> {
    (0..count).map(|_| f64::from(rng.next_u32()) / 2_147_483_648.0 - 1.0).collect()
}

#[test]
fn routes_compute_the_product() {
    let mut rng = ChaCha12Rng::seed_from_u64(7);
    for (rows, columns) in [
        (1, 30),
        (10, 64),
        (64, 64),
        (64, 784),
        (100, 3),
        (10, 100),
        (512, 1),
        (5, 512),
        (1, 1),
        (300, 300),
    ] {
        let matrix = Matrix::new(columns, numbers(&mut rng, rows * columns)).unwrap();
        let vector = numbers(&mut rng, columns);
        let expected = matrix.times(&vector);
        let slots = 1024;
        let most = slots / columns.next_power_of_two();
        for run in [1, most.min(4), most] {
            let input = Layout::runs(columns, run, slots).unwrap();
            for last in [false, true] {
                let route = Route::new(&matrix, &input, slots, last).unwrap();
                let got = route.at(&input.pack(&vector, slots).unwrap());
                for (row, slot) in route.output().first().into_iter().enumerate() {
                    assert!(
                        (got[slot] - expected[row]).abs() < 1e-9,
                        "{rows}x{columns} run {run} row {row}"
                    );
                }
                // Other copies hold the same, and the rest is 0.
                let packed = route.output().pack(&expected, slots).unwrap();
                let differ =
                    got.iter().zip(&packed).any(|(got, packed)| (got - packed).abs() > 1e-9);
                assert!(!differ || route.residue(), "{rows}x{columns} run {run}");
            }
        }
    }
}

proptest! {
    #[test]
    fn numbers_may_lie_anywhere(
        seed in any::<u64>(), rows in 1usize..40, columns in 1usize..40, few in 1u32..8, run in 0u32..3,
    ) {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let slots = 256;
        let mut some = |count: usize| -> Vec<usize> {
            let mut all: Vec<usize> = (0..slots).collect();
            (0..count).map(|_| all.swap_remove(rng.next_u32() as usize % all.len())).collect()
        };
        let (from, to) = (some(columns), some(rows));
        let mut values = numbers(&mut rng, rows * columns);
        for value in values.iter_mut().filter(|_| !rng.next_u32().is_multiple_of(few)) {
            *value = 0.0;
        }
        let (matrix, vector) =
            (Matrix::new(columns, values).unwrap(), numbers(&mut rng, columns));
        let expected = matrix.times(&vector);
        let arranged = Layout::places(&to, slots).unwrap();
        let inputs = [Layout::places(&from, slots), Layout::runs(columns, 1 << run, slots)];
        for input in inputs.map(Result::unwrap) {
            for matrix in [matrix.clone(), matrix.clone().arranged(arranged.clone()).unwrap()] {
                let route = Route::new(&matrix, &input, slots, false).unwrap();
                let price = Route::price(&matrix, matrix.output(), &input, slots, false);
                prop_assert_eq!(price.unwrap(), route.cost());
                let got = route.at(&input.pack(&vector, slots).unwrap());
                let packed = route.output().pack(&expected, slots).unwrap();
                for (slot, (got, packed)) in got.iter().zip(&packed).enumerate() {
                    prop_assert!((got - packed).abs() < 1e-9, "slot {}: {} for {}", slot, got, packed);
                }
            }
        }
    }
}

#[test]
fn a_window_that_moves_needs_its_own_rotations() {
    // A 3 x 3 window on 16 x 16 pixels, one image to four.
    let mut values = vec![0.0; 1024 * 256];
    let inside = |at: usize, offset: usize| (at + offset).checked_sub(1).filter(|at| *at < 16);
    for (row, weights) in values.chunks_exact_mut(256).enumerate() {
        let (y, x) = (row % 256 / 16, row % 16);
        for offset in 0..9 {
            if let (Some(y), Some(x)) = (inside(y, offset / 3), inside(x, offset % 3)) {
                weights[16 * y + x] = 1.0;
            }
        }
    }
    let matrix = Matrix::new(256, values).unwrap();
    let route = Route::new(&matrix, &Layout::runs(256, 1, 2048).unwrap(), 2048, false).unwrap();
    assert_eq!(route.cost(), RouteCost { babies: 3, giants: 2, folds: 0, products: 9 });
    assert_eq!(route.rotations(), [-17, -16, -15, 16].into());
}

#[test]
fn places_are_checked() {
    assert!(matches!(Layout::places(&[], 8), Err(HeError::Layout { .. })));
    assert!(matches!(Layout::places(&[1, 5, 1], 8), Err(HeError::Layout { .. })));
    assert!(matches!(Layout::places(&[1, 8], 8), Err(HeError::Values { got: 9, limit: 8 })));
    let layout = Layout::places(&[1, 5], 8).unwrap();
    assert_eq!((layout.period(), layout.first()), (8, vec![1, 5]));
    let matrix = Matrix::new(1, vec![1.0; 3]).unwrap();
    assert!(matches!(matrix.arranged(layout), Err(HeError::Width { got: 2, needed: 3 })));
}

#[test]
fn the_reference_network_needs_few_rotations() {
    let first = Matrix::new(784, vec![1.0; 64 * 784]).unwrap();
    let input = Layout::runs(784, 4, 4096).unwrap();
    let route = Route::new(&first, &input, 4096, false).unwrap();
    let cost = route.cost();
    assert_eq!((cost.babies + cost.giants, cost.folds, cost.products), (6, 6, 16));
    let second = Matrix::new(64, vec![1.0; 640]).unwrap();
    let last = Route::new(&second, route.output(), 4096, true).unwrap();
    assert_eq!(last.cost(), RouteCost { babies: 0, giants: 0, folds: 6, products: 1 });
}

#[test]
fn a_matrix_is_applied_under_encryption() {
    let mut rng = ChaCha12Rng::seed_from_u64(8);
    let context = Context::new(Parameters::ckks(4096, &[38, 31, 38]).unwrap()).unwrap();
    let (encoder, secret) =
        (Encoder::new(&context).unwrap(), SecretKey::generate(&context, &mut rng));
    let matrix = Matrix::new(200, numbers(&mut rng, 20 * 200)).unwrap();
    let (vector, bias) = (numbers(&mut rng, 200), numbers(&mut rng, 20));
    let input = Layout::runs(200, 8, encoder.slots()).unwrap();
    let route = Route::new(&matrix, &input, encoder.slots(), false).unwrap();
    let scale = 2_f64.powi(31);
    let map = LinearMap::new(&encoder, &route, &bias, 2, [scale, scale]).unwrap();
    let steps: Vec<i64> = route.rotations().into_iter().collect();
    let keys = secret.rotations(&steps, &mut rng).unwrap();
    let packed = input.pack(&vector, encoder.slots()).unwrap();
    let sealed = secret.encrypt(&encoder.encode(&packed, scale).unwrap(), &mut rng).unwrap();
    let product = map.apply(&sealed, &keys).unwrap();
    assert_eq!(product.moduli(), 1);
    let got = encoder.decode(&secret.decrypt(&product).unwrap()).unwrap();
    let expected = matrix.times(&vector);
    for (row, slot) in route.output().first().into_iter().enumerate() {
        assert!((got[slot] - expected[row] - bias[row]).abs() < 1e-3, "row {row}: {}", got[slot]);
    }
}

#[test]
fn whole_numbers_times_ciphertexts_are_exact() {
    // Primes of either kind: words in one part, and in several.
    let mut rng = ChaCha12Rng::seed_from_u64(9);
    let context = Context::new(Parameters::ckks(4096, &[60, 20, 29]).unwrap()).unwrap();
    let (encoder, secret) =
        (Encoder::new(&context).unwrap(), SecretKey::generate(&context, &mut rng));
    let scale = 2_f64.powi(20);
    let plain = encoder.encode(&numbers(&mut rng, 2048), scale).unwrap();
    let vectors: Vec<_> = (0..40).map(|_| secret.encrypt(&plain, &mut rng).unwrap()).collect();
    let matrix = Matrix::new(40, numbers(&mut rng, 80)).unwrap();
    let map = ColumnMap::new(&encoder, &matrix, &[0.0; 2], 2, [scale, scale]).unwrap();
    let unit = context.modulus(1).value() as f64;
    let product = |row: usize| {
        let mut sum = None;
        for (vector, weight) in vectors.iter().zip(matrix.row(row).unwrap()) {
            let weight = encoder.constant(*weight, unit, 2).unwrap();
            let term = vector.clone().multiply_plain(&weight).unwrap();
            sum = Some(match sum {
                None => term,
                Some(sum) => term.plus(&sum).unwrap(),
            });
        }
        sum.unwrap().rescale().unwrap()
    };
    for (row, got) in map.apply(&vectors).unwrap().iter().enumerate() {
        assert_eq!(got.polynomials(), product(row).polynomials(), "row {row}");
    }
    let large = Matrix::new(1, vec![1e30]).unwrap();
    assert!(ColumnMap::new(&encoder, &large, &[0.0], 2, [scale, scale]).is_err());
    assert!(ColumnMap::new(&encoder, &large, &[0.0; 2], 2, [scale, scale]).is_err());
}
