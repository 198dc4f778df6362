use nexus_types::Canonical;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

/// Rows of some numbers and whether a random plane has them above.
fn data(rng: &mut ChaCha12Rng, rows: usize, width: usize) -> (Vec<f32>, Vec<bool>) {
    let mut number = || (rng.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0;
    let plane: Vec<f32> = (0..=width).map(|_| number()).collect();
    let values: Vec<f32> = (0..rows * width).map(|_| number()).collect();
    let above = |row: &[f32]| {
        row.iter().zip(&plane).map(|(a, b)| a * b).sum::<f32>() + 0.3 * plane[width] > 0.0
    };
    let labels = values.chunks_exact(width).map(above).collect();
    (values, labels)
}

/// The same steps in the clear, in the textbook's form: a velocity, a look ahead.
fn in_the_clear((rows, labels): (&[f32], &[bool]), settings: &Settings, steps: usize) -> Vec<f64> {
    let width = rows.len() / labels.len();
    let cubic = worker::sigmoid(settings.range).unwrap();
    let (mut weights, mut velocity) = (vec![0.0; width + 1], vec![0.0; width + 1]);
    for _ in 0..steps {
        let mut gradient = vec![0.0; width + 1];
        for (row, label) in rows.chunks_exact(width).zip(labels) {
            let sign = if *label { 1.0 } else { -1.0 };
            let z: Vec<f64> = row.iter().map(|x| sign * f64::from(*x)).chain([sign]).collect();
            let x = z.iter().zip(&weights).map(|(z, v)| z * v).sum::<f64>() / settings.range;
            let s = cubic[0] + cubic[1] * x + cubic[2] * x.powi(3);
            gradient.iter_mut().zip(&z).for_each(|(sum, z)| *sum += s * z / labels.len() as f64);
        }
        for ((v, m), g) in weights.iter_mut().zip(&mut velocity).zip(gradient) {
            let step = settings.learning_rate * (g - settings.weight_decay * *v);
            *m = settings.momentum * *m + step;
            *v += settings.momentum * *m + step;
        }
    }
    weights
}

fn trained(
    (rows, labels): (&[f32], &[bool]),
    settings: &Settings,
    exchanges: usize,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<f64>, EncryptedError> {
    let width = rows.len() / labels.len();
    let terms = Terms::plan(labels.len(), width, settings)?;
    let mut owner = Owner::new(terms, rows, labels, rng)?;
    let terms = Terms::decode(&owner.terms().encode().unwrap()).unwrap();
    let worker = Worker::new(terms, &owner.keys(rng)?, &owner.rows(rng)?)?;
    let mut weights = vec![0.0; width + 1];
    for _ in 0..exchanges {
        let question = owner.question(&weights, rng)?;
        weights = owner.weights(&worker.train(&question)?)?;
    }
    Ok(weights)
}

#[test]
fn steps_are_those_in_the_clear() {
    let rng = &mut ChaCha12Rng::seed_from_u64(1);
    let base = Settings { learning_rate: 2.0, ..Settings::default() };
    let cases = [
        // More rows than one ciphertext has places for.
        (300, 29, base, 4),
        (50, 1, Settings { momentum: 0.0, ..base }, 4),
        (40, 7, Settings { weight_decay: 0.05, range: 6.0, ..base }, 5),
        (30, 4, Settings { steps: 2, weight_decay: 0.01, ..base }, 2),
    ];
    for (rows, width, settings, exchanges) in cases {
        let (values, labels) = data(rng, rows, width);
        let got = trained((&values, &labels), &settings, exchanges, rng).unwrap();
        let steps = exchanges * settings.steps as usize;
        let expected = in_the_clear((&values, &labels), &settings, steps);
        assert!(expected.iter().any(|weight| weight.abs() > 0.1), "{settings:?}: {expected:?}");
        for (got, expected) in got.iter().zip(&expected) {
            assert!((got - expected).abs() < 2e-4, "{settings:?}: {got}, {expected}");
        }
    }
}

#[test]
fn weights_beyond_the_sigmoid_are_noticed() {
    let rng = &mut ChaCha12Rng::seed_from_u64(2);
    let (mut values, labels) = data(rng, 20, 3);
    for value in &mut values {
        *value *= 10.0;
    }
    let settings = Settings { learning_rate: 10.0, range: 2.0, ..Settings::default() };
    let outcome = trained((&values, &labels), &settings, 3, rng);
    assert!(matches!(outcome, Err(EncryptedError::Range { range: 2.0, .. })), "{outcome:?}");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let plan = |rows, width, change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        Terms::plan(rows, width, &settings).map_err(|error| error.to_string())
    };
    let wrong = [
        plan(10, 2, &|it| it.steps = 6),
        plan(10, 2, &|it| it.learning_rate = f64::NAN),
        plan(10, 2, &|it| it.momentum = 1.0),
        plan(10, 2, &|it| it.range = 0.0),
        plan(10, 20_000, &|_| ()),
        plan(100_000_000, 30, &|_| ()),
    ];
    for (outcome, name) in wrong.into_iter().zip([
        "steps = 6",
        "learning_rate = NaN",
        "momentum = 1",
        "sigmoid_range = 0",
        "rows of 20001 numbers",
        "bytes of rows; 1073741824 are possible",
    ]) {
        let said = outcome.expect_err(name);
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn hostile_messages_are_refused() {
    let rng = &mut ChaCha12Rng::seed_from_u64(3);
    let (values, labels) = data(rng, 10, 2);
    let terms = Terms::plan(10, 2, &Settings::default()).unwrap();
    let mut owner = Owner::new(terms.clone(), &values, &labels, rng).unwrap();
    let [keys, rows] = [owner.keys(rng).unwrap(), owner.rows(rng).unwrap()];
    let worker = Worker::new(terms.clone(), &keys, &rows).unwrap();
    let question = owner.question(&[0.0; 3], rng).unwrap();
    let answer = worker.train(&question).unwrap();

    // Another kind of message, a part of one, and one with something behind it.
    let behind = [&question[..], &[0]].concat();
    for wrong in [&keys[..], &rows, &question[..question.len() - 1], &behind, &answer, &[]] {
        assert!(worker.train(wrong).is_err());
    }
    for wrong in [&question[..], &rows, &answer[..answer.len() - 1], &[]] {
        assert!(owner.weights(wrong).is_err());
    }
    assert!(Worker::new(terms.clone(), &rows, &rows).is_err());
    assert!(Worker::new(terms.clone(), &keys, &question).is_err());
    // A key that is not there, and weights that are none.
    let other = Terms { numbers: 5, ..terms.clone() };
    assert!(Worker::new(other, &keys, &rows).is_err());
    assert!(owner.question(&[0.0, f64::NAN, 0.0], rng).is_err());
    assert!(owner.question(&[0.0; 2], rng).is_err());
    for wrong in [
        Terms { degree: 4096, ..terms.clone() },
        Terms { scale: f64::NAN, ..terms.clone() },
        Terms { rows: 0, ..terms.clone() },
        Terms { numbers: 1, ..terms.clone() },
        Terms { moduli: terms.moduli[1..].to_vec(), ..terms.clone() },
    ] {
        assert!(wrong.context().is_err(), "{wrong:?}");
    }
}
