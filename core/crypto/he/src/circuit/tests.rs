use std::num::NonZeroUsize;
use std::sync::Arc;

use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::plan::divided;
use super::*;
use crate::{Ciphertext, Encoder, HeError, SecretKey, Threads};
use nexus_types::Canonical;

fn numbers(rng: &mut ChaCha12Rng, count: usize, size: f64) -> Vec<f64> {
    (0..count).map(|_| size * (f64::from(rng.next_u32()) / 2_147_483_648.0 - 1.0)).collect()
}

fn layer(rng: &mut ChaCha12Rng, rows: usize, columns: usize) -> Stage {
    let size = (3.0 / columns as f64).sqrt();
    let matrix = Matrix::new(columns, numbers(rng, rows * columns, size)).unwrap();
    Stage::Affine(Affine::new(matrix, numbers(rng, rows, 0.5)).unwrap())
}

fn polynomial(coefficients: &[f64]) -> Stage {
    Stage::Polynomial(Polynomial::new(coefficients.to_vec()).unwrap())
}

/// The largest distance between what is computed under encryption and in the clear.
fn distance(stages: &[Stage], unit: f64, rng: &mut ChaCha12Rng) -> f64 {
    let plan = Plan::in_units(stages, unit, &Limits::default()).unwrap();
    let program = plan.prepare().unwrap();
    let terms = Terms::decode(&program.terms().encode().unwrap()).unwrap();
    let context = terms.context().unwrap();
    let (encoder, secret) = (Encoder::new(&context).unwrap(), SecretKey::generate(&context, rng));
    let keys = terms.keys(&secret, rng).unwrap();
    let input = numbers(rng, terms.inputs as usize, 1.0);
    let sealed = secret.encrypt(&terms.pack(&encoder, &input).unwrap(), rng).unwrap();
    let answer = program.run(&sealed, &keys, rng).unwrap();
    assert_eq!(answer.moduli(), usize::from(terms.left));
    let slots = encoder.decode(&secret.decrypt(&answer).unwrap()).unwrap();
    let expected = in_the_clear(stages, &input);
    let pairs = terms.unpack(&slots).into_iter().zip(expected);
    pairs.map(|(got, expected)| (got - expected).abs()).fold(0.0, f64::max)
}

#[test]
fn the_answer_is_that_in_the_clear() {
    let rng = &mut ChaCha12Rng::seed_from_u64(10);
    let square = polynomial(&[0.0, 0.0, 1.0]);
    let cubic = polynomial(&[0.1, 0.9, 0.0, -0.2]);
    let circuits = [
        vec![layer(rng, 1, 30)],
        vec![layer(rng, 64, 784), square.clone(), layer(rng, 10, 64)],
        vec![layer(rng, 64, 64), cubic.clone(), layer(rng, 10, 64)],
        vec![layer(rng, 24, 50), polynomial(&[0.3, 0.5, -0.2]), layer(rng, 3, 24)],
        vec![layer(rng, 32, 8), cubic, layer(rng, 16, 32), square, layer(rng, 2, 16)],
    ];
    for (at, stages) in circuits.iter().enumerate() {
        let got = distance(stages, 1.0, rng);
        assert!(got < 1e-3, "circuit {at}: {got}");
    }
}

#[test]
fn large_and_small_answers_are_computed_in_units_of_their_size() {
    let rng = &mut ChaCha12Rng::seed_from_u64(23);
    for unit in [4096.0, 1.0 / 4096.0] {
        let stages = [layer(rng, 16, 8), polynomial(&[0.0, 0.5, 0.0, 0.5]), layer(rng, 3, 16)];
        let stages = divided(stages.to_vec(), 1.0 / unit).unwrap();
        let got = distance(&stages, unit, rng) / unit;
        assert!(got < 1e-3, "{unit}: {got}");
    }
    let stages = [layer(rng, 2, 3)];
    for unit in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let limits = Limits::default();
        assert!(matches!(Plan::in_units(&stages, unit, &limits), Err(PlanError::He(_))), "{unit}");
        assert!(matches!(BatchPlan::in_units(&stages, unit, &limits), Err(PlanError::He(_))));
        let mut terms = Plan::new(&stages, &limits).unwrap().terms().clone();
        terms.unit = unit;
        assert!(matches!(terms.context(), Err(HeError::Number { what: "the unit", .. })), "{unit}");
    }
}

#[test]
fn many_vectors_are_answered_at_once() {
    let rng = &mut ChaCha12Rng::seed_from_u64(15);
    let square = polynomial(&[0.0, 0.0, 1.0]);
    let dead = Affine::new(Matrix::new(3, vec![0.0; 6]).unwrap(), vec![0.25, -0.5]).unwrap();
    let circuits = [
        vec![layer(rng, 1, 30)],
        vec![layer(rng, 6, 40), square, layer(rng, 3, 6)],
        vec![layer(rng, 3, 5), polynomial(&[0.1, 0.9, 0.0, -0.2]), layer(rng, 3, 3)],
        vec![layer(rng, 3, 5), Stage::Affine(dead)],
    ];
    for (at, stages) in circuits.iter().enumerate() {
        let plan = BatchPlan::new(stages, &Limits::default()).unwrap();
        let program = plan.prepare().unwrap();
        let terms = Terms::decode(&program.terms().encode().unwrap()).unwrap();
        assert!(terms.rotations.is_empty() && terms.vectors() >= 2048);
        let context = terms.context().unwrap();
        let encoder = Encoder::new(&context).unwrap();
        let secret = SecretKey::generate(&context, rng);
        let keys = terms.keys(&secret, rng).unwrap();
        let vectors: Vec<_> =
            (0..terms.vectors()).map(|_| numbers(rng, terms.inputs as usize, 1.0)).collect();
        let plain = terms.pack_columns(&encoder, &vectors).unwrap();
        let sealed: Vec<_> = plain.iter().map(|it| secret.encrypt(it, rng).unwrap()).collect();
        let answers = program.run(sealed.clone(), &keys).unwrap();
        let read = |it| encoder.decode(&secret.decrypt(it).unwrap()).unwrap();
        let answers: Vec<Vec<f64>> = answers.iter().map(read).collect();
        for (slot, vector) in vectors.iter().enumerate() {
            for (answer, expected) in answers.iter().zip(in_the_clear(stages, vector)) {
                let got = answer[slot];
                assert!((got - expected).abs() < 1e-3, "circuit {at}, {slot}: {got}, {expected}");
            }
        }
        let fewer = program.run(sealed[1..].to_vec(), &keys);
        assert!(matches!(fewer, Err(HeError::Width { .. })));
        let low = sealed.iter().map(|it| it.clone().drop_to(1).unwrap()).collect();
        assert!(matches!(program.run(low, &keys), Err(HeError::Level { .. })));
    }
    let limits = Limits { input_bytes: 1000, ..Limits::default() };
    let small = BatchPlan::new(&circuits[0], &limits).map(|_| ());
    assert!(matches!(small, Err(PlanError::Large { what: "bytes of an input", .. })));
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_made() {
    let rng = &mut ChaCha12Rng::seed_from_u64(11);
    let plan = |stages: &[Stage]| Plan::new(stages, &Limits::default()).map(|_| ());
    assert_eq!(plan(&[]), Err(PlanError::Empty));
    let wrong = [layer(rng, 4, 5), layer(rng, 3, 5)];
    assert_eq!(plan(&wrong), Err(PlanError::Width { stage: 1, got: 4, needed: 5 }));
    let deep: Vec<Stage> = (0..40).map(|_| layer(rng, 2, 2)).collect();
    assert!(matches!(plan(&deep), Err(PlanError::Deep { depth: 40, .. })));
    let limits = Limits { key_bytes: 1000, ..Limits::default() };
    let small = Plan::new(&[layer(rng, 4, 5)], &limits).map(|_| ());
    assert!(matches!(small, Err(PlanError::Large { limit: 1000, .. })));
}

#[test]
fn an_input_that_is_none_is_refused() {
    let rng = &mut ChaCha12Rng::seed_from_u64(12);
    let plan = Plan::new(&[layer(rng, 4, 5)], &Limits::default()).unwrap();
    let program = plan.prepare().unwrap();
    let terms = program.terms();
    let secret = SecretKey::generate(program.context(), rng);
    let encoder = Encoder::new(program.context()).unwrap();
    let keys = terms.keys(&secret, rng).unwrap();
    let sealed = secret.encrypt(&terms.pack(&encoder, &[0.5; 5]).unwrap(), rng).unwrap();
    let low = sealed.clone().drop_to(1).unwrap();
    assert!(matches!(program.run(&low, &keys, rng), Err(HeError::Level { .. })));
    let large = sealed.multiply(&sealed).unwrap();
    assert!(matches!(program.run(&large, &keys, rng), Err(HeError::Size { .. })));
    let none = EvaluationKeys { relinearise: None, rotate: secret.rotations(&[], rng).unwrap() };
    assert!(matches!(program.run(&sealed, &none, rng), Err(HeError::NoKey { .. })));
    assert!(terms.pack(&encoder, &[0.5; 4]).is_err());
}

#[test]
fn slots_that_are_not_asked_for_tell_nothing_of_the_sums() {
    let rng = &mut ChaCha12Rng::seed_from_u64(13);
    let stages = [layer(rng, 8, 16), polynomial(&[0.0, 0.0, 1.0]), layer(rng, 5, 8)];
    let plan = Plan::new(&stages, &Limits::default()).unwrap();
    assert!(plan.residue);
    let mut program = plan.prepare().unwrap();
    let terms = program.terms().clone();
    let secret = SecretKey::generate(program.context(), rng);
    let encoder = Encoder::new(program.context()).unwrap();
    let keys = terms.keys(&secret, rng).unwrap();
    let sealed = secret.encrypt(&terms.pack(&encoder, &[0.5; 16]).unwrap(), rng).unwrap();
    let mut spread = |program: &Program| {
        let answers = [(); 2].map(|()| program.run(&sealed, &keys, rng).unwrap());
        let [a, b] = answers.map(|it| encoder.decode(&secret.decrypt(&it).unwrap()).unwrap());
        let hidden = |slot: &usize| !terms.outputs.iter().any(|it| *it as usize == *slot);
        let distances = (0..encoder.slots()).filter(hidden).map(|slot| (a[slot] - b[slot]).abs());
        distances.fold(f64::INFINITY, f64::min)
    };
    // Two answers to one question differ wherever nothing was asked.
    assert!(spread(&program) > 0.0);
    program.residue = false;
    assert!(spread(&program) < 1e-9);
}

proptest! {
    #[test]
    fn hostile_terms_are_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(terms) = Terms::decode(&bytes) {
            prop_assert_eq!(terms.encode().unwrap(), bytes);
            let _ = terms.context();
        }
    }

    #[test]
    fn altered_terms_are_refused_or_sound(at in 0usize..120, flip in 1u8..) {
        let rng = &mut ChaCha12Rng::seed_from_u64(14);
        let plan = Plan::new(&[layer(rng, 4, 5)], &Limits::default()).unwrap();
        let mut bytes = plan.terms().encode().unwrap();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(terms) = Terms::decode(&bytes)
            && let Ok(context) = terms.context()
        {
            prop_assert!(context.degree() <= 32_768 && terms.outputs.len() <= context.degree());
        }
    }
}

#[test]
fn threads_change_no_bit_of_an_answer() {
    let rng = &mut ChaCha12Rng::seed_from_u64(21);
    let cubic = polynomial(&[0.1, 0.9, 0.0, -0.2]);
    let stages = vec![layer(rng, 8, 20), cubic, layer(rng, 3, 8)];
    let words = |answer: &Ciphertext| answer.polynomials().to_vec();
    let threads = |count| Arc::new(Threads::new(NonZeroUsize::new(count).unwrap()).unwrap());

    let program = Plan::new(&stages, &Limits::default()).unwrap().prepare().unwrap();
    let secret = SecretKey::generate(program.context(), rng);
    let (terms, encoder) = (program.terms().clone(), Encoder::new(program.context()).unwrap());
    let keys = terms.keys(&secret, rng).unwrap();
    let plain = terms.pack(&encoder, &numbers(rng, 20, 1.0)).unwrap();
    let question = secret.encrypt(&plain, rng).unwrap();
    let on = |program: &Program| {
        let covering = &mut ChaCha12Rng::seed_from_u64(22);
        words(&program.run(&question, &keys, covering).unwrap())
    };
    let alone = on(&program);
    for count in 2..=3 {
        assert!(on(&program.clone().on(threads(count))) == alone, "{count} threads");
    }

    let program = BatchPlan::new(&stages, &Limits::default()).unwrap().prepare().unwrap();
    let secret = SecretKey::generate(program.context(), rng);
    let (terms, encoder) = (program.terms().clone(), Encoder::new(program.context()).unwrap());
    let keys = terms.keys(&secret, rng).unwrap();
    let plains = terms.pack_columns(&encoder, &[vec![0.5; 20], vec![-0.25; 20]]).unwrap();
    let questions: Vec<_> =
        plains.iter().map(|plain| secret.encrypt(plain, rng).unwrap()).collect();
    let on = |program: &BatchProgram| -> Vec<_> {
        program.run(questions.clone(), &keys).unwrap().iter().map(words).collect()
    };
    let alone = on(&program);
    for count in 2..=3 {
        assert!(on(&program.clone().on(threads(count))) == alone, "{count} threads at once");
    }
}

/// A sealed circuit, and all that is needed to ask it.
struct Sealed {
    outline: Outline,
    weights: Vec<Ciphertext>,
    secret: SecretKey,
    encoder: Encoder,
}

fn sealed(stages: &[Stage], rng: &mut ChaCha12Rng) -> Sealed {
    let limits = Limits::default();
    let plan = Plan::new(stages, &limits).unwrap().sealed(&limits).unwrap();
    let program = plan.prepare().unwrap();
    let secret = SecretKey::generate(program.context(), rng);
    let weights = program.weights(&secret, rng).unwrap();
    let weights: Vec<_> = weights.iter().map(|it| it.ciphertext().clone()).collect();
    let outline = Outline::decode(&program.outline().encode().unwrap()).unwrap();
    assert_eq!(weights.len(), outline.ciphertexts());
    Sealed { outline, weights, encoder: Encoder::new(program.context()).unwrap(), secret }
}

#[test]
fn weights_may_be_encrypted_too() {
    let rng = &mut ChaCha12Rng::seed_from_u64(31);
    let square = polynomial(&[0.0, 0.0, 1.0]);
    let cubic = polynomial(&[0.1, 0.9, 0.0, -0.2]);
    let circuits = [
        vec![layer(rng, 1, 30)],
        vec![layer(rng, 24, 100), square, layer(rng, 10, 24)],
        vec![layer(rng, 16, 20), cubic, layer(rng, 3, 16)],
    ];
    for (at, stages) in circuits.iter().enumerate() {
        let Sealed { outline, weights, secret, encoder } = sealed(stages, rng);
        let program = outline.program(weights).unwrap();
        let terms = program.terms();
        let keys = terms.keys(&secret, rng).unwrap();
        let input = numbers(rng, terms.inputs as usize, 1.0);
        let question = secret.encrypt(&terms.pack(&encoder, &input).unwrap(), rng).unwrap();
        let answer = program.run(&question, &keys, rng).unwrap();
        terms.check_answer(&answer).unwrap();
        let slots = encoder.decode(&secret.decrypt(&answer).unwrap()).unwrap();
        let pairs = terms.unpack(&slots).into_iter().zip(in_the_clear(stages, &input));
        let got = pairs.map(|(got, expected)| (got - expected).abs()).fold(0.0, f64::max);
        assert!(got < 2e-3, "circuit {at}: {got}");
        // Without the key for products nothing is computed.
        let keys = EvaluationKeys { relinearise: None, ..keys };
        assert!(matches!(program.run(&question, &keys, rng), Err(HeError::NoKey { .. })));
    }
}

#[test]
fn outlines_and_weights_of_strangers_are_checked() {
    let rng = &mut ChaCha12Rng::seed_from_u64(32);
    let stages = vec![layer(rng, 4, 6), polynomial(&[0.0, 0.0, 1.0]), layer(rng, 2, 4)];
    let Sealed { outline, weights, secret, .. } = sealed(&stages, rng);
    assert!(outline.program(weights.clone()).is_ok());
    assert!(outline.program(weights[1..].to_vec()).is_err());
    // A weight of another level, one of another scale, one of another key's parameters.
    let mut swapped = weights.clone();
    let last = swapped.len() - 1;
    swapped.swap(0, last);
    assert!(matches!(outline.program(swapped), Err(HeError::Level { .. })));
    let zero = Encoder::new(&outline.terms().context().unwrap()).unwrap();
    let other = zero.encode(&[0.5], weights[0].scale() * 2.0).unwrap();
    let mut scaled = weights.clone();
    scaled[0] = secret.encrypt(&other, rng).unwrap();
    assert!(matches!(outline.program(scaled), Err(HeError::Scale { .. })));
    // What the bytes of an outline may be.
    let bytes = outline.encode().unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        let Ok(other) = Outline::decode(&changed) else { continue };
        // It may be another outline, and then takes what it says or refuses it.
        let _ = other.check().and_then(|()| other.program(weights.clone()));
    }
}
