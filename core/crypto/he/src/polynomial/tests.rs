use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::{Context, Encoder, Parameters, SecretKey};

#[test]
fn the_best_line_and_parabola_are_the_known_ones() {
    // Of |x|: x² + 1/8, at a distance of 1/8. Of exp: slope sinh 1, distance 0.2788.
    let (parabola, distance) = Polynomial::minimax(2, f64::abs).unwrap();
    assert!((distance - 0.125).abs() < 2e-3, "{distance}");
    for (got, expected) in parabola.coefficients().iter().zip([0.125, 0.0, 1.0]) {
        assert!((got - expected).abs() < 1e-2, "{got} for {expected}");
    }
    let (line, distance) = Polynomial::minimax(1, f64::exp).unwrap();
    assert!((line.coefficients()[1] - 1_f64.sinh()).abs() < 1e-2);
    assert!((distance - 0.2788).abs() < 2e-3, "{distance}");
}

#[test]
fn distances_fall_with_the_degree() {
    let distance = |degree| Polynomial::minimax(degree, |x| (4.0 * x).tanh()).unwrap().1;
    let distances = [3, 7, 15].map(distance);
    assert!(distances[0] < 0.2 && distances[1] < 0.05 && distances[2] < 3e-3, "{distances:?}");
    let (odd, distance) = Polynomial::minimax(7, |x| (4.0 * x).tanh()).unwrap();
    assert!(odd.coefficients().iter().step_by(2).all(|even| even.abs() < 1e-6));
    let points = (-1000..=1000).map(|at| f64::from(at) / 1000.0);
    let largest = points.map(|x| (odd.at(x) - (4.0 * x).tanh()).abs()).fold(0.0, f64::max);
    assert!((largest - distance).abs() < 1e-3);
    assert!(Polynomial::minimax(3, |_| f64::NAN).is_err());
    assert!(Polynomial::minimax(64, f64::exp).is_err());
}

#[test]
fn what_is_near_where_points_are_is_nearer_there() {
    let function = |x: f64| (8.0 * x).tanh();
    let points: Vec<f64> = (-500..=500).map(|at| f64::from(at) / 2500.0).collect();
    let near = Polynomial::near(7, &points, function).unwrap();
    let (even, distance) = Polynomial::minimax(7, function).unwrap();
    assert!((even.distance(function) - distance).abs() < 1e-9);
    let sum =
        |it: &Polynomial| points.iter().map(|x| (it.at(*x) - function(*x)).powi(2)).sum::<f64>();
    assert!(sum(&near) < 0.5 * sum(&even), "{} {}", sum(&near), sum(&even));
    assert!(near.distance(function) < 1.0);
}

#[test]
fn what_is_made_for_sums_is_nearer_in_them() {
    // Differences of the function at two points, as after a matrix of 1 and −1.
    let function = |x: f64| (6.0 * x).tanh();
    let pair = |at: i32| [f64::from(at) / 300.0, f64::from(at % 37) / 90.0 - 0.2];
    let pairs: Vec<[f64; 2]> = (-200..=200).map(pair).collect();
    let terms = |[x, y]: &[f64; 2]| {
        let (x, y) = (Polynomial::chebyshev(7, *x), Polynomial::chebyshev(7, *y));
        x.iter().zip(&y).map(|(x, y)| x - y).collect::<Vec<f64>>()
    };
    let wanted = |[x, y]: &[f64; 2]| function(*x) - function(*y);
    let sums: Vec<_> = pairs.iter().map(|pair| (terms(pair), wanted(pair))).collect();
    let points: Vec<f64> = pairs.iter().flatten().copied().collect();
    let squares = |it: &Polynomial| {
        let error = |pair: &[f64; 2]| (it.at(pair[0]) - it.at(pair[1]) - wanted(pair)).powi(2);
        pairs.iter().map(error).sum::<f64>()
    };
    let made = Polynomial::of_sums(7, &sums, function).unwrap();
    let near = Polynomial::near(7, &points, function).unwrap();
    assert!(squares(&made) < squares(&near), "{} {}", squares(&made), squares(&near));
    assert!(made.distance(function) < 1.5);
    let short = Polynomial::of_sums(6, &sums, function);
    assert!(matches!(short, Err(HeError::Width { got: 8, needed: 7 })));
}

#[test]
fn polynomials_are_evaluated_under_encryption() {
    let mut rng = ChaCha12Rng::seed_from_u64(9);
    let bits = [40, 31, 31, 31, 31, 40];
    let context = Context::new(Parameters::ckks(8192, &bits).unwrap()).unwrap();
    let encoder = Encoder::new(&context).unwrap();
    let secret = SecretKey::generate(&context, &mut rng);
    let key = secret.relinearisation(&mut rng).unwrap();
    let numbers: Vec<f64> = (0..encoder.slots()).map(|at| at as f64 / 2048.0 - 1.0).collect();
    let scale = 2_f64.powi(31);
    let x = secret.encrypt(&encoder.encode(&numbers, scale).unwrap(), &mut rng).unwrap();
    let lists: [&[f64]; 9] = [
        &[0.5, 2.0],
        &[0.0, 0.0, 1.0],
        &[1.0, -1.0, 0.5],
        &[0.0, 1.5, 0.0, -0.7],
        &[0.3, 0.0, 0.0, 0.0, 1.0],
        &[0.0, 1.9, 0.0, -2.0, 0.0, 1.1],
        &[0.1, 1.9, 0.2, -2.0, 0.3, 1.1, -0.4, 0.5],
        &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    ];
    for list in lists {
        let polynomial = Polynomial::new(list.to_vec()).unwrap();
        let value = polynomial.evaluate(&x, scale, &encoder, &key).unwrap();
        assert_eq!(value.moduli(), x.moduli() - polynomial.depth());
        let got = encoder.decode(&secret.decrypt(&value).unwrap()).unwrap();
        for (got, x) in got.iter().zip(&numbers) {
            assert!((got - polynomial.at(*x)).abs() < 1e-4, "{list:?} at {x}: {got}");
        }
    }
    let deep = Polynomial::new([vec![0.0; 31], vec![1.0]].concat()).unwrap();
    assert!(matches!(deep.evaluate(&x, scale, &encoder, &key), Err(HeError::Level { .. })));
}

#[test]
fn what_is_no_polynomial_is_refused() {
    for wrong in [vec![], vec![1.0], vec![1.0, 0.0], vec![f64::NAN, 1.0], vec![1.0; 65]] {
        assert!(Polynomial::new(wrong).is_err());
    }
}
