//! What one side of encrypted inference says to the other, and must not be believed.

use nexus_he::circuit::Limits;
use nexus_he::seal::{Encoding, Mode, Version};
use nexus_inference::{Client, Compiled, Description, InferenceError, Server, Task};
use nexus_models::{ModelSpec, Network};
use nexus_types::Seed;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

const ENCODING: Encoding = Encoding { version: Version::WIDELY_READ, mode: Mode::Zstd };
const ROW: [f32; 5] = [0.1, 0.9, 0.4, 0.7, 0.2];

fn server(users: usize) -> Server {
    let network = Network::<f64>::new(&ModelSpec::softmax(5, 2)).expect("a model");
    let weights = network.initial(&Seed::from_number(3));
    let compiled = Compiled::new(&network, &weights, &[]).expect("a circuit");
    let plan = compiled.plan(&Limits::default()).expect("a plan");
    let task = Task::Classes(vec!["no".to_owned(), "yes".to_owned()]);
    Server::new(&plan, network.hash(), task, users).expect("a server")
}

#[test]
fn what_a_hostile_server_says_is_refused() {
    let mut rng = ChaCha12Rng::seed_from_u64(12);
    let server = server(1);
    let good = server.description().clone();
    let refused = |change: fn(&mut Description)| {
        let mut description = good.clone();
        change(&mut description);
        Client::new(description, &mut ChaCha12Rng::seed_from_u64(13)).map(|_| ()).unwrap_err()
    };
    // A terminal would take these for commands, or show them in another order.
    for name in ["\u{1b}[2J", "a\nb", "\u{202e}abc"] {
        let mut description = good.clone();
        description.task = Task::Classes(vec!["no".to_owned(), name.to_owned()]);
        assert!(matches!(description.check(), Err(InferenceError::Name { class: 1 })));
    }
    let none = refused(|it| it.task = Task::Classes(Vec::new()));
    assert!(matches!(none, InferenceError::Outputs { needed: 0, .. }));
    // 256 keys of degree 32768 under fifty primes would be hundreds of gigabytes.
    let large = refused(|it| {
        it.terms.degree = 32_768;
        let parameters = nexus_he::Parameters::ckks(32_768, &[28; 20]).unwrap();
        it.terms.moduli = parameters.moduli().iter().map(|modulus| modulus.value()).collect();
        it.terms.rotations = (1..=256).collect();
    });
    assert!(matches!(
        large,
        InferenceError::He(nexus_he::HeError::Bytes { what: "keys", limit: 1_073_741_824, .. })
    ));
    // Every class a ciphertext: few bytes on the way, and each as large as one can be.
    let many = refused(|it| {
        it.terms.batch = true;
        it.terms.rotations.clear();
        it.terms.degree = 32_768;
        let parameters = nexus_he::Parameters::ckks(32_768, &[28; 20]).unwrap();
        it.terms.moduli = parameters.moduli().iter().map(|modulus| modulus.value()).collect();
        it.terms.outputs = (0..16_384).collect();
        it.task = Task::Classes(vec![String::new(); 16_384]);
        it.terms.left = 2;
    });
    assert!(matches!(many, InferenceError::He(nexus_he::HeError::Bytes { what: "an answer", .. })));

    let client = Client::new(good.clone(), &mut rng).unwrap();
    let name = server.register(&client.keys(&mut rng).unwrap()).unwrap();
    let question = client.question(&ROW, &mut rng).unwrap();
    let answer = server.answer(name, &question, &mut rng).unwrap();
    assert!(client.prediction(&answer).is_ok());
    // The question again is at another level.
    let level = client.prediction(&question).unwrap_err();
    assert!(matches!(
        level,
        InferenceError::He(nexus_he::HeError::Level { got: 2, needed: 1, .. })
    ));
    // A scale so small that every number is infinite.
    let wire = nexus_he::seal::Context::of(&good.terms.context().unwrap());
    let mut object = nexus_he::seal::Ciphertext::read(&answer, &wire).unwrap();
    object.scale = f64::MIN_POSITIVE;
    let small = object.write(&wire, ENCODING).unwrap();
    let infinite = client.prediction(&small).unwrap_err();
    assert!(matches!(infinite, InferenceError::Number { .. }), "{infinite}");
    object.words.extend_from_within(..object.degree * object.limbs);
    object.polynomials = 3;
    let long = object.write(&wire, ENCODING).unwrap();
    let long = client.prediction(&long).unwrap_err();
    assert!(matches!(long, InferenceError::He(nexus_he::HeError::Size { got: 3, .. })));
}

#[test]
fn keys_that_nobody_asked_for_are_not_kept() {
    let mut rng = ChaCha12Rng::seed_from_u64(14);
    let server = server(2);
    let client = Client::new(server.description().clone(), &mut rng).unwrap();
    let other = Client::new(server.description().clone(), &mut rng).unwrap();
    let wire = nexus_he::seal::Context::of(&server.description().terms.context().unwrap());
    let keys = client.keys(&mut rng).unwrap();
    let mut object = nexus_he::seal::GaloisKeys::read(&keys, &wire).unwrap();
    let (element, key) = object.keys.pop_first().unwrap();
    let without = object.write(&wire, ENCODING).unwrap();
    let missing = server.register(&without);
    assert!(matches!(missing, Err(InferenceError::He(nexus_he::HeError::NoKey { .. }))));
    // One more, for the conjugation, is left out: the others serve.
    object.keys.insert(element, key.clone());
    object.keys.insert(8191, key);
    let more = object.write(&wire, ENCODING).unwrap();
    let name = server.register(&more).unwrap();
    let question = client.question(&ROW, &mut rng).unwrap();
    let answer = server.answer(name, &question, &mut rng).unwrap();
    let expected = client.prediction(&answer).unwrap();
    assert!(expected.outputs.iter().all(|output| output.abs() < 100.0));
    // Under the keys of another, an answer says nothing, to either of them.
    let theirs = server.register(&other.keys(&mut rng).unwrap()).unwrap();
    let answer = server.answer(theirs, &question, &mut rng).unwrap();
    for reader in [&client, &other] {
        if let Ok(got) = reader.prediction(&answer) {
            let same = got.outputs.iter().zip(&expected.outputs);
            assert!(!same.map(|(a, b)| (a - b).abs()).all(|distance| distance < 1e-2));
        }
    }
}
