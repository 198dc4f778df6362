//! Objects of one engine are those of the other, and what both compute from them is equal bit for bit.
#![cfg(feature = "seal")]

use nexus_he::seal::{Encoding, Mode, Version};
use nexus_he::{Context, Engine, Native, Object, Parameters, bfv};
use nexus_seal::Seal;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What SEAL 4.0 writes, byte for byte; a later SEAL has another label and is asked for it.
fn encoding(mode: Mode) -> Encoding {
    let linked = nexus_seal::Version::linked();
    Encoding { version: Version { major: linked.major, minor: linked.minor }, mode }
}

type Integers = Native<bfv::Encoder>;

/// What is encrypted in tests.
trait Number: Copy + PartialEq {
    /// Whether products of ciphertexts are those of SEAL bit for bit, and there is rescaling.
    const REAL: bool;

    fn at(index: i32) -> Self;
    fn is(self, got: Self) -> bool;
    fn squared(self) -> Self;
}

impl Number for f64 {
    const REAL: bool = true;

    fn at(index: i32) -> Self {
        (0.3 * Self::from(index)).cos()
    }

    fn is(self, got: Self) -> bool {
        (self - got).abs() < 1e-2
    }

    fn squared(self) -> Self {
        self * self
    }
}

impl Number for i64 {
    const REAL: bool = false;

    fn at(index: i32) -> Self {
        Self::from(index % 700) - 350
    }

    fn is(self, got: Self) -> bool {
        self == got
    }

    fn squared(self) -> Self {
        self * self
    }
}

/// Degree, bits of primes and of t.
const INTEGERS: [(usize, &[u32], u32); 3] =
    [(4096, &[36, 36, 37], 20), (8192, &[43, 43, 44, 44, 44], 20), (8192, &[60, 40, 40, 60], 30)];

const SETS: [(usize, &[u32], f64); 4] = [
    (4096, &[40, 20, 40], 1_048_576.0),
    (8192, &[60, 40, 40, 60], 1_099_511_627_776.0),
    (8192, &[44, 40, 40, 44], 1_099_511_627_776.0),
    (16_384, &[60, 40, 40, 40, 40, 40, 40, 40, 60], 1_099_511_627_776.0),
];
const STEPS: [i32; 2] = [1, -5];

fn moved<A: Engine, B: Engine, F: Object<A>, T: Object<B>>(
    from: &A,
    to: &B,
    object: &F,
    mode: Mode,
) -> Outcome<T> {
    let bytes = object.write(from, encoding(mode))?;
    let object = T::read(to, &bytes)?;
    let again = object.write(to, encoding(Mode::None))?;
    let plain = F::read(from, &again)?.write(from, encoding(Mode::None))?;
    assert!(plain == again, "an object changes on its way");
    Ok(object)
}

struct Keys<E: Engine> {
    relinearisation: E::Relinearisation,
    rotations: E::Rotations,
}

/// Every deterministic operation, as bytes.
fn run<E: Engine>(
    engine: &E,
    keys: &Keys<E>,
    [a, b, product]: [&E::Ciphertext; 3],
    (numbers, scale, top): (&[E::Number], f64, usize),
) -> Outcome<Vec<(&'static str, Vec<u8>)>>
where
    E::Number: Number,
{
    let mut found = Vec::new();
    let mut note = |name, it: &E::Ciphertext| -> Outcome {
        found.push((name, it.write(engine, encoding(Mode::None))?.to_vec()));
        Ok(())
    };
    let plain = engine.encode(numbers, scale, top)?;
    note("add", &engine.add(a, b)?)?;
    note("add plain", &engine.add_plain(a, &plain)?)?;
    note("multiply plain", &engine.multiply_plain(a, &plain)?)?;
    let product = engine.relinearise(product, &keys.relinearisation)?;
    note("relinearise", &product)?;
    if E::Number::REAL {
        note("multiply", &engine.multiply(a, b)?)?;
        note("rescale", &engine.rescale(&product)?)?;
    }
    let mut low = engine.drop_last(a)?;
    note("drop", &low)?;
    for steps in STEPS {
        note("rotate", &engine.rotate(a, steps, &keys.rotations)?)?;
        low = engine.rotate(&low, steps, &keys.rotations)?;
        note("rotate below", &low)?;
    }
    Ok(found)
}

/// With keys of `A`.
fn agree<A, B>(parameters: &Parameters, scale: f64) -> Outcome
where
    A: Engine,
    B: Engine<Number = A::Number>,
    A::Number: Number,
{
    let (ours, theirs) = (A::new(parameters)?, B::new(parameters)?);
    let mut rng = ChaCha12Rng::seed_from_u64(3);
    let secret = ours.secret(&mut rng)?;
    let public = ours.public(&secret, &mut rng)?;
    let keys = Keys::<A> {
        relinearisation: ours.relinearisation(&secret, &mut rng)?,
        rotations: ours.rotations(&secret, &STEPS, &mut rng)?,
    };
    let their_secret: B::Secret = moved(&ours, &theirs, &secret, Mode::None)?;
    let their_public: B::Public = moved(&ours, &theirs, &public, Mode::Zlib)?;
    let their_keys = Keys::<B> {
        relinearisation: moved(&ours, &theirs, &keys.relinearisation, Mode::Zstd)?,
        rotations: moved(&ours, &theirs, &keys.rotations, Mode::None)?,
    };

    let count = i32::try_from(parameters.degree() / 2)?;
    let x: Vec<A::Number> = (0..count).map(A::Number::at).collect();
    let top = parameters.top();
    let a = ours.encrypt(&public, &ours.encode(&x, scale, top)?, &mut rng)?;
    let plain = theirs.encode(&x, scale, top)?;
    // One is encrypted by each, with the same key.
    let b = theirs.encrypt(&their_public, &plain, &mut rng)?;
    let their_a: B::Ciphertext = moved(&ours, &theirs, &a, Mode::Zstd)?;
    let our_b: A::Ciphertext = moved(&theirs, &ours, &b, Mode::Zstd)?;
    let product = ours.multiply(&a, &our_b)?;
    let their_product: B::Ciphertext = moved(&ours, &theirs, &product, Mode::None)?;

    let got = run(&ours, &keys, [&a, &our_b, &product], (&x, scale, top))?;
    let inputs = [&their_a, &b, &their_product];
    let expected = run(&theirs, &their_keys, inputs, (&x, scale, top))?;
    for ((name, got), (_, expected)) in got.iter().zip(&expected) {
        assert!(got == expected, "{name} with {parameters:?}: {} and {} differ", A::NAME, B::NAME);
    }
    let opened = |got: &[A::Number]| x.iter().zip(got).all(|(x, got)| x.is(*got));
    assert!(opened(&ours.decode(&ours.decrypt(&secret, &our_b)?)?));
    assert!(opened(&theirs.decode(&theirs.decrypt(&their_secret, &their_a)?)?));
    let squares = |got: &[A::Number]| x.iter().zip(got).all(|(x, got)| x.squared().is(*got));
    let from_there = moved(&theirs, &ours, &theirs.multiply(&their_a, &b)?, Mode::None)?;
    assert!(squares(&ours.decode(&ours.decrypt(&secret, &from_there)?)?));
    assert!(squares(&theirs.decode(&theirs.decrypt(&their_secret, &their_product)?)?));
    Ok(())
}

#[test]
fn seal_computes_with_our_keys_what_we_compute() {
    for (degree, bits, scale) in SETS {
        agree::<Native, Seal>(&Parameters::ckks(degree, bits).unwrap(), scale).unwrap();
    }
    for (degree, bits, plain) in INTEGERS {
        let parameters = Parameters::bfv(degree, bits, plain).unwrap();
        agree::<Integers, Seal<i64>>(&parameters, 1.0).unwrap();
    }
}

#[test]
fn we_compute_with_keys_of_seal_what_it_computes() {
    for (degree, bits, scale) in SETS {
        agree::<Seal, Native>(&Parameters::ckks(degree, bits).unwrap(), scale).unwrap();
    }
    for (degree, bits, plain) in INTEGERS {
        let parameters = Parameters::bfv(degree, bits, plain).unwrap();
        agree::<Seal<i64>, Integers>(&parameters, 1.0).unwrap();
    }
}

#[test]
fn transforms_are_equal_word_by_word() {
    for (degree, bits, _) in SETS {
        let parameters = Parameters::ckks(degree, bits).unwrap();
        let seal: Seal = Engine::new(&parameters).unwrap();
        let tables = Context::new(parameters.clone()).unwrap();
        for (at, modulus) in tables.parameters().moduli().iter().enumerate() {
            let transform = nexus_field::rns::Transform::new(*modulus, degree).unwrap();
            let word = |i: u64| modulus.reduce(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let words: Vec<u64> = (0..degree as u64).map(word).collect();
            let (mut ours, mut theirs) = (words.clone(), words.clone());
            transform.forward(&mut ours);
            seal.forward(&mut theirs, at).unwrap();
            assert_eq!(ours, theirs);
            seal.inverse(&mut theirs, at).unwrap();
            assert_eq!(words, theirs);
        }
        let beyond = parameters.moduli().len();
        assert!(seal.forward(&mut vec![0; degree], beyond).is_err());
        assert!(seal.forward(&mut vec![0; degree / 2], 0).is_err());
    }
}

#[test]
fn bytes_that_are_no_object_are_refused() {
    type Secret = <Seal as Engine>::Secret;
    type Ciphertext = <Seal as Engine>::Ciphertext;

    let engine: Seal = Engine::new(&Parameters::ckks(4096, &[40, 20, 40]).unwrap()).unwrap();
    let mut rng = ChaCha12Rng::seed_from_u64(4);
    let secret = engine.secret(&mut rng).unwrap();
    let bytes = secret.write(&engine, encoding(Mode::None)).unwrap();
    assert!(Secret::read(&engine, &bytes).is_ok());
    assert!(Secret::read(&engine, &bytes[..bytes.len() - 1]).is_err());
    assert!(Secret::read(&engine, &[&bytes[..], &[0]].concat()).is_err());
    assert!(Ciphertext::read(&engine, &bytes).is_err() && Ciphertext::read(&engine, &[]).is_err());
}
