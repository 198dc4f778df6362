use nexus_he::circuit::{Limits, in_the_clear};
use nexus_models::{LayerSpec, Loss, ModelSpec, Network};
use nexus_types::{Canonical, Digest, Seed};
use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

fn rows(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    (0..count).map(|_| f32::from(u16::try_from(rng.next_u32() >> 16).unwrap()) / 65_536.0).collect()
}

fn spec(input: &[usize], layers: Vec<LayerSpec>) -> ModelSpec {
    ModelSpec { version: 1, input: input.to_vec(), layers, loss: Loss::SoftmaxCrossEntropy }
}

fn linear(outputs: usize) -> LayerSpec {
    LayerSpec::Linear { outputs, bias: true }
}

fn classes(count: usize) -> Task {
    Task::Classes((0..count).map(|class| class.to_string()).collect())
}

fn server(spec: &ModelSpec, users: usize) -> (Server, Network<f64>, Vec<f64>) {
    let network = Network::<f64>::new(spec).unwrap();
    let weights = network.initial(&Seed::from_number(3));
    let rows = rows(200 * network.inputs(), 4);
    let (compiled, _) = Compiled::calibrated(&network, &weights, &rows).unwrap();
    let plan = compiled.plan(&Limits::default()).unwrap();
    let task = classes(network.outputs());
    (Server::new(&plan, network.hash(), task, users).unwrap(), network, weights)
}

#[test]
fn models_answer_as_in_the_clear() {
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let conv = LayerSpec::Conv2d { channels: 2, kernel: 3, stride: 1, padding: 1 };
    let pool = LayerSpec::AvgPool { kernel: 2, stride: 2 };
    let specs = [
        ModelSpec::softmax(30, 2),
        spec(
            &[64],
            vec![
                LayerSpec::Rescale { centre: 0.3, factor: 3.0 },
                linear(24),
                LayerSpec::Tanh,
                linear(10),
            ],
        ),
        ModelSpec::mlp(20, &[16], 3),
        spec(&[6, 6, 1], vec![conv, LayerSpec::Relu, pool, LayerSpec::Flatten, linear(10)]),
    ];
    for spec in specs {
        let (server, network, weights) = server(&spec, 1);
        let description = Description::decode(&server.description().encode().unwrap()).unwrap();
        let client = Client::new(description, &mut rng).unwrap();
        let keys = server.register(&client.keys(&mut rng).unwrap()).unwrap();
        let layers = 0..spec.layers.len();
        for row in rows(2 * network.inputs(), 6).chunks_exact(network.inputs()) {
            let question = client.question(row, &mut rng).unwrap();
            let got =
                client.prediction(&server.answer(keys, &question, &mut rng).unwrap()).unwrap();
            let wide: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
            let clear = network.through(layers.clone(), &weights, &wide, 1).unwrap();
            for (got, clear) in got.outputs.iter().zip(clear) {
                assert!((got - clear).abs() < 0.05, "{:?}: {got} for {clear}", spec.layers);
            }
        }
    }
}

#[test]
fn many_rows_are_answered_as_one() {
    let mut rng = ChaCha12Rng::seed_from_u64(11);
    let network = Network::<f64>::new(&spec(&[12], vec![linear(6), LayerSpec::Tanh, linear(3)]));
    let network = network.unwrap();
    let weights = network.initial(&Seed::from_number(3));
    let rows = rows(100 * network.inputs(), 4);
    let (compiled, _) = Compiled::calibrated(&network, &weights, &rows).unwrap();
    let plan = compiled.batched(&Limits::default()).unwrap();
    let server = Server::batched(&plan, network.hash(), classes(3), 1).unwrap();
    let client = Client::new(server.description().clone(), &mut rng).unwrap();
    let keys = server.register(&client.keys(&mut rng).unwrap()).unwrap();
    let rows: Vec<&[f32]> = rows.chunks_exact(12).collect();
    let question = client.questions(&rows, &mut rng).unwrap();
    assert!(question.len() <= server.question_bytes());
    let answer = server.answer(keys, &question, &mut rng).unwrap();
    let got = client.predictions(&answer, rows.len()).unwrap();
    assert_eq!(got.len(), rows.len());
    for (got, row) in got.iter().zip(&rows) {
        let wide: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        let clear = network.through(0..3, &weights, &wide, 1).unwrap();
        for (got, clear) in got.outputs.iter().zip(clear) {
            assert!((got - clear).abs() < 0.05, "{got} for {clear}");
        }
    }
    let limit = client.rows();
    assert!(matches!(client.questions(&[], &mut rng), Err(InferenceError::Rows { got: 0, .. })));
    let many = vec![rows[0]; limit + 1];
    assert!(matches!(client.questions(&many, &mut rng), Err(InferenceError::Rows { .. })));
    assert!(matches!(client.predictions(&answer, limit + 1), Err(InferenceError::Rows { .. })));
    // One ciphertext less, or one more, is no question.
    assert!(server.answer(keys, &question[..question.len() / 12 * 11], &mut rng).is_err());
    let more = [&question[..], &client.question(rows[0], &mut rng).unwrap()].concat();
    assert!(server.answer(keys, &more, &mut rng).is_err());
}

#[test]
fn what_was_not_measured_on_agrees_too() {
    let layers = vec![linear(24), LayerSpec::Tanh, linear(10)];
    let network = Network::<f64>::new(&spec(&[32], layers)).unwrap();
    let weights: Vec<f64> =
        network.initial(&Seed::from_number(3)).iter().map(|weight| 2.0 * weight).collect();
    let (compiled, it) =
        Compiled::calibrated(&network, &weights, &rows(401 * network.inputs(), 4)).unwrap();
    assert_eq!((it.rows, it.other_rows), (201, 200));
    assert!(it.agreement >= 0.995 && it.other_agreement >= 0.98, "{it:?}");
    assert_eq!(compiled.distances().len(), 1);
    let one = Compiled::calibrated(&network, &weights, &rows(32, 4)).unwrap().1;
    assert_eq!((one.rows, one.other_rows), (1, 0));
}

#[test]
fn friendly_networks_are_computed_as_they_are() {
    let network = Network::<f64>::new(&ModelSpec::cnn([8, 8, 1], 10)).unwrap();
    let weights = network.initial(&Seed::from_number(2));
    let rows = rows(41 * 64, 3);
    let spec = friendly(network.spec(), &weights, &rows, 2).unwrap();
    let pools = |spec: &ModelSpec| {
        spec.layers.iter().filter(|it| matches!(it, LayerSpec::MaxPool { .. })).count()
    };
    assert_eq!((pools(network.spec()), pools(&spec)), (2, 0));
    let polynomials = spec.layers.iter().filter_map(|layer| {
        let LayerSpec::Polynomial { range, coefficients } = layer else { return None };
        Some((*range, coefficients.len()))
    });
    let polynomials: Vec<_> = polynomials.collect();
    assert!(polynomials.len() == 2 && polynomials.iter().all(|it| it.0 > 0.0 && it.1 == 3));

    let student = Network::<f64>::new(&spec).unwrap();
    assert_eq!(student.parameters(), network.parameters());
    let (compiled, it) =
        Compiled::fine_tuned(&student, &weights, (&network, &weights), &rows).unwrap();
    assert_eq!((it.rows, it.other_rows, it.friendly.as_ref()), (21, 20, Some(&spec)));
    assert!(it.approximations.is_empty() && compiled.distances().is_empty());
    let wide: Vec<f64> = rows.iter().map(|value| f64::from(*value)).collect();
    let clear = student.through(0..spec.layers.len(), &weights, &wide, 41).unwrap();
    for (row, clear) in wide.chunks_exact(64).zip(clear.chunks_exact(10)) {
        for (got, clear) in in_the_clear(compiled.stages(), row).iter().zip(clear) {
            assert!((got - clear).abs() < 1e-9, "{got} for {clear}");
        }
    }
    let none = friendly(network.spec(), &weights, &[], 3);
    assert!(matches!(none, Err(InferenceError::NoRows)));
}

#[test]
fn estimates_of_any_size_are_answered() {
    let mut rng = ChaCha12Rng::seed_from_u64(14);
    let spec = ModelSpec::linear(3);
    let network = Network::<f64>::new(&spec).unwrap();
    for size in [3e4, 1.0, 2e-5] {
        let weights = [size, -0.5 * size, 0.25 * size, 2.0 * size];
        let (compiled, it) = Compiled::calibrated(&network, &weights, &rows(90, 15)).unwrap();
        assert_eq!(it.unit > 1.0, size > 1.0);
        assert_eq!(it.unit < 1.0, size < 1.0);
        let limits = Limits::default();
        let servers = [
            Server::new(&compiled.plan(&limits).unwrap(), network.hash(), Task::Value, 1),
            Server::batched(&compiled.batched(&limits).unwrap(), network.hash(), Task::Value, 1),
        ];
        for server in servers.map(Result::unwrap) {
            let client = Client::new(server.description().clone(), &mut rng).unwrap();
            let keys = server.register(&client.keys(&mut rng).unwrap()).unwrap();
            let row = [0.5, 0.25, 1.0];
            let question = client.question(&row, &mut rng).unwrap();
            let answer = server.answer(keys, &question, &mut rng).unwrap();
            let got = client.prediction(&answer).unwrap().outputs[0] / size;
            assert!((got - 2.625).abs() < 1e-3, "{size}: {got}");
        }
    }
}

#[test]
fn keys_give_way_and_are_missed_by_name() {
    let mut rng = ChaCha12Rng::seed_from_u64(7);
    let (server, network, _) = server(&ModelSpec::softmax(5, 2), 1);
    let client =
        || Client::new(server.description().clone(), &mut ChaCha12Rng::seed_from_u64(8)).unwrap();
    let (first, second) = (client(), client());
    let old = server.register(&first.keys(&mut rng).unwrap()).unwrap();
    let question = first.question(&rows(network.inputs(), 9), &mut rng).unwrap();
    server.answer(old, &question, &mut rng).unwrap();
    server.register(&second.keys(&mut rng).unwrap()).unwrap();
    assert_eq!(server.users(), 1);
    let gone = server.answer(old, &question, &mut rng);
    assert!(matches!(gone, Err(InferenceError::UnknownKeys { id }) if id == old));
    let large = server.answer(old, &vec![0; server.question_bytes() + 1], &mut rng);
    assert!(matches!(large, Err(InferenceError::Bytes { what: "a question", .. })));
    let never = Digest::of("test", b"");
    assert!(server.answer(never, &question, &mut rng).is_err());
}

#[test]
fn what_has_no_encrypted_form_is_named() {
    let network = Network::<f64>::new(&ModelSpec::cnn([8, 8, 1], 10)).unwrap();
    let weights = network.initial(&Seed::from_number(1));
    let refused = Compiled::calibrated(&network, &weights, &rows(64, 1)).map(|_| ());
    assert!(matches!(refused, Err(InferenceError::Layer { layer: 2, name: "max_pool", .. })));
    let network = Network::<f64>::new(&ModelSpec::mlp(4, &[3], 2)).unwrap();
    let weights = network.initial(&Seed::from_number(1));
    let none = Compiled::calibrated(&network, &weights, &[]).map(|_| ());
    assert!(matches!(none, Err(InferenceError::NoRows)));
    assert!(matches!(
        Compiled::new(&network, &weights, &[]).map(|_| ()),
        Err(InferenceError::Approximations { activations: 1, got: 0 })
    ));
    let bad = Approximation {
        layer: 1,
        function: Activation::Relu,
        range: f64::NAN,
        coefficients: vec![0.0, 1.0],
    };
    assert!(Compiled::new(&network, &weights, &[bad]).is_err());
}

#[test]
fn tasks_read_numbers() {
    let got = classes(3).predict(vec![0.0, 2.0, 1.0]).unwrap();
    assert_eq!(got.class.as_deref(), Some("1"));
    assert!((got.probability.unwrap() - 0.665_240_955).abs() < 1e-6);
    let two = Task::TwoClasses(["benign".into(), "malignant".into()]);
    let got = two.predict(vec![-1.0]).unwrap();
    assert_eq!(got.class.as_deref(), Some("benign"));
    assert!((got.probability.unwrap() - 0.731_058_578).abs() < 1e-6);
    assert!(Task::Value.predict(vec![1.0, 2.0]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn hostile_messages_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), at in any::<usize>(), flip in 1u8..) {
        let mut rng = ChaCha12Rng::seed_from_u64(10);
        let (server, network, _) = server(&ModelSpec::softmax(5, 2), 2);
        let client = Client::new(server.description().clone(), &mut rng).unwrap();
        prop_assert!(server.register(&bytes).is_err());
        let mut keys = client.keys(&mut rng).unwrap();
        let id = server.register(&keys).unwrap();
        prop_assert!(server.answer(id, &bytes, &mut rng).is_err());
        prop_assert!(client.prediction(&bytes).is_err());
        // Altered objects are refused or are others, and nothing panics.
        let mut question = client.question(&rows(network.inputs(), 1), &mut rng).unwrap();
        let place = at % question.len();
        question[place] ^= flip;
        if let Ok(answer) = server.answer(id, &question, &mut rng) {
            let _ = client.prediction(&answer);
        }
        let place = at % keys.len();
        keys[place] ^= flip;
        let _ = server.register(&keys);
        if let Ok(description) = Description::decode(&bytes) {
            let _ = Client::new(description, &mut rng);
        }
    }
}

#[test]
fn a_model_is_used_that_its_server_does_not_see() {
    let mut rng = ChaCha12Rng::seed_from_u64(12);
    let limits = Limits::default();
    let spec = spec(&[10], vec![linear(6), LayerSpec::Tanh, linear(3)]);
    let network = Network::<f64>::new(&spec).unwrap();
    let weights = network.initial(&Seed::from_number(3));
    let (compiled, _) = Compiled::calibrated(&network, &weights, &rows(2000, 4)).unwrap();
    let program = compiled.plan(&limits).unwrap().sealed(&limits).unwrap().prepare().unwrap();
    let (hash, task) = (network.hash(), classes(3));
    let terms = program.terms().clone();
    let description = Description { model: hash, task: task.clone(), terms };
    let owner = Client::new(description, &mut rng).unwrap();
    let outline = program.outline().encode().unwrap();
    let sealed = owner.weights(&program, &mut rng).unwrap();
    let server = Server::sealed(&outline, &sealed, hash, task.clone(), 1).unwrap();
    assert_eq!(server.description(), owner.description());

    let keys = server.register(&owner.keys(&mut rng).unwrap()).unwrap();
    let row = rows(10, 6);
    let question = owner.question(&row, &mut rng).unwrap();
    let got = owner.prediction(&server.answer(keys, &question, &mut rng).unwrap()).unwrap();
    let wide: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
    let clear = network.through(0..3, &weights, &wide, 1).unwrap();
    for (got, clear) in got.outputs.iter().zip(clear) {
        assert!((got - clear).abs() < 0.05, "{got} for {clear}");
    }

    // What the server was given has no weight in the clear: another key's answers are noise.
    let other = Client::new(owner.description().clone(), &mut rng).unwrap();
    let keys = server.register(&other.keys(&mut rng).unwrap()).unwrap();
    let question = other.question(&row, &mut rng).unwrap();
    let noise = other.prediction(&server.answer(keys, &question, &mut rng).unwrap());
    let noise = noise.map_or(f64::INFINITY, |it| it.outputs[0].abs());
    assert!(noise > 1.0, "{noise}");

    // Parts of messages, and messages in each other's place.
    for (outline, weights) in [
        (&outline[1..], &sealed[..]),
        (&outline[..], &sealed[1..]),
        (&outline[..], &sealed[..sealed.len() - 1]),
        (&sealed[..], &outline[..]),
        (&outline[..], &question[..]),
    ] {
        assert!(Server::sealed(outline, weights, hash, task.clone(), 1).is_err());
    }
}
