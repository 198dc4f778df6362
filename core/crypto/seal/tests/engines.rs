//! One suite for every engine. Without the feature `seal` there is one engine only.

use nexus_he::{Engine, Native, Parameters};
use proptest::test_runner::{Config, TestRunner};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const SCALE: f64 = 1_099_511_627_776.0; // 2^40
/// SEAL's usual primes, some for the kernels of 50 bits, some for those of 46.
const LISTS: [&[u32]; 3] = [&[60, 40, 40, 60], &[50, 40, 40, 50], &[44, 40, 40, 44]];
const STEPS: [i32; 3] = [1, -3, 1000];

fn numbers(seed: f64) -> Vec<f64> {
    (0..4096_i32).map(|at| (0.37 * f64::from(at + 1) * seed).sin()).collect()
}

/// What an engine has made for one list of primes.
struct Party<E: Engine<Number = f64>> {
    engine: E,
    secret: E::Secret,
    public: E::Public,
    relinearisation: E::Relinearisation,
    rotations: E::Rotations,
    rng: ChaCha12Rng,
}

impl<E: Engine<Number = f64>> Party<E> {
    fn new(bits: &[u32]) -> Result<Self, Box<dyn std::error::Error>> {
        let engine = E::new(&Parameters::ckks(8192, bits)?)?;
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let secret = engine.secret(&mut rng)?;
        Ok(Self {
            public: engine.public(&secret, &mut rng)?,
            relinearisation: engine.relinearisation(&secret, &mut rng)?,
            rotations: engine.rotations(&secret, &STEPS, &mut rng)?,
            secret,
            engine,
            rng,
        })
    }

    fn encrypt(&mut self, numbers: &[f64]) -> Result<E::Ciphertext, E::Error> {
        let plain = self.engine.encode(numbers, SCALE, 3)?;
        self.engine.encrypt(&self.public, &plain, &mut self.rng)
    }

    fn is(&self, ciphertext: &E::Ciphertext, expected: impl Fn(usize) -> f64) -> Outcome {
        let got = self.engine.decode(&self.engine.decrypt(&self.secret, ciphertext)?)?;
        let worst = |(at, got): (usize, &f64)| (got - expected(at)).abs();
        let worst = got.iter().enumerate().map(worst).fold(0.0, f64::max);
        assert!(worst < 1e-5, "{}: wrong by {worst}", E::NAME);
        Ok(())
    }
}

fn numbers_come_back<E: Engine<Number = f64>>() -> Outcome {
    for bits in LISTS {
        let mut party = Party::<E>::new(bits)?;
        let x = numbers(1.0);
        for moduli in 1..=3 {
            let plain = party.engine.encode(&x, SCALE / 8.0, moduli)?;
            let by_public = party.engine.encrypt(&party.public, &plain, &mut party.rng)?;
            party.is(&by_public, |at| x[at])?;
            let by_secret = party.engine.encrypt_secretly(&party.secret, &plain, &mut party.rng)?;
            party.is(&by_secret, |at| x[at])?;
        }
    }
    Ok(())
}

fn arithmetic_is_that_of_the_numbers<E: Engine<Number = f64>>() -> Outcome {
    for bits in LISTS {
        let mut party = Party::<E>::new(bits)?;
        let (x, y) = (numbers(1.0), numbers(2.0));
        let (a, b) = (party.encrypt(&x)?, party.encrypt(&y)?);
        let engine = &party.engine;
        let plain = engine.encode(&y, SCALE, 3)?;
        party.is(&engine.add(&a, &b)?, |at| x[at] + y[at])?;
        party.is(&engine.add_plain(&a, &plain)?, |at| x[at] + y[at])?;
        party.is(&engine.rescale(&engine.multiply_plain(&a, &plain)?)?, |at| x[at] * y[at])?;

        let product = engine.multiply(&a, &b)?;
        party.is(&product, |at| x[at] * y[at])?;
        let product = engine.rescale(&engine.relinearise(&product, &party.relinearisation)?)?;
        party.is(&product, |at| x[at] * y[at])?;
        party.is(&engine.drop_last(&product)?, |at| x[at] * y[at])?;
        for steps in STEPS {
            let turn = usize::try_from(steps.rem_euclid(4096))?;
            for from in [&a, &engine.drop_last(&a)?] {
                let rotated = engine.rotate(from, steps, &party.rotations)?;
                party.is(&rotated, |at| x[(at + turn) % 4096])?;
            }
        }
    }
    Ok(())
}

fn what_does_not_fit_is_refused<E: Engine<Number = f64>>() -> Outcome {
    let mut party = Party::<E>::new(LISTS[0])?;
    let a = party.encrypt(&numbers(1.0))?;
    let engine = &party.engine;
    let low = engine.drop_last(&engine.drop_last(&a)?)?;
    assert!(engine.add(&a, &low).is_err() && engine.multiply(&a, &low).is_err());
    assert!(engine.rescale(&low).is_err() && engine.drop_last(&low).is_err());
    assert!(engine.add_plain(&a, &engine.encode(&[1.0], SCALE / 2.0, 3)?).is_err());
    assert!(engine.multiply(&low, &low).is_err(), "the scale of the product is too large");
    assert!(engine.rotate(&engine.multiply(&a, &a)?, 1, &party.rotations).is_err());
    assert!(engine.rotate(&a, 4, &party.rotations).is_err(), "there is no such key");
    for (values, scale) in [
        (&[f64::NAN][..], SCALE),
        (&[f64::INFINITY], SCALE),
        (&[1.0], f64::NAN),
        (&[1.0], 0.0),
        (&[1.0], -SCALE),
        (&[1e200], SCALE),
        (&vec![0.0; 4097], SCALE),
    ] {
        assert!(engine.encode(values, scale, 3).is_err(), "{} at {scale}", values[0]);
    }
    assert!(engine.encode(&[1.0], SCALE, 4).is_err() && engine.encode(&[1.0], SCALE, 0).is_err());
    let bfv = Parameters::bfv(4096, &[36, 36, 37], 20)?;
    assert!(E::new(&bfv).is_err());
    Ok(())
}

/// BFV: everything is exact modulo t.
fn integers_are_exact<E: Engine<Number = i64>>() -> Outcome {
    for (degree, bits, plain) in [(4096, &[36, 36, 37][..], 20), (8192, &[43, 43, 44, 44, 44], 20)]
    {
        let parameters = Parameters::bfv(degree, bits, plain)?;
        let (engine, mut rng) = (E::new(&parameters)?, ChaCha12Rng::seed_from_u64(1));
        let secret = engine.secret(&mut rng)?;
        let public = engine.public(&secret, &mut rng)?;
        let relinearisation = engine.relinearisation(&secret, &mut rng)?;
        let rotations = engine.rotations(&secret, &STEPS, &mut rng)?;
        let t = i64::try_from(parameters.plain().unwrap_or_default())?;
        let centred = |value: i64| (value + t / 2).rem_euclid(t) - t / 2;
        let numbers = |by: i64| (0..).map(move |at: i64| centred(at * by)).take(degree);
        let (x, y): (Vec<i64>, Vec<i64>) = (numbers(104_729).collect(), numbers(-7919).collect());
        let plain = engine.encode(&y, 1.0, parameters.top())?;
        let a = engine.encode(&x, 1.0, parameters.top())?;
        let a = engine.encrypt(&public, &a, &mut rng)?;
        let b = engine.encrypt_secretly(&secret, &plain, &mut rng)?;
        let is = |it: &E::Ciphertext, expected: &dyn Fn(usize) -> i64| -> Outcome {
            let got = engine.decode(&engine.decrypt(&secret, it)?)?;
            let expected = (0..degree).map(|at| centred(expected(at)));
            assert!(got.into_iter().eq(expected), "{}", E::NAME);
            Ok(())
        };
        is(&engine.add(&a, &b)?, &|at| x[at] + y[at])?;
        is(&engine.add_plain(&a, &plain)?, &|at| x[at] + y[at])?;
        is(&engine.multiply_plain(&a, &plain)?, &|at| x[at] * y[at])?;
        let product = engine.multiply(&a, &b)?;
        is(&product, &|at| x[at] * y[at])?;
        assert!(engine.rotate(&product, 1, &rotations).is_err());
        let product = engine.relinearise(&product, &relinearisation)?;
        is(&product, &|at| x[at] * y[at])?;
        let low = engine.drop_last(&product)?;
        is(&low, &|at| x[at] * y[at])?;
        for steps in STEPS {
            let (half, steps_left) = (degree / 2, usize::try_from(steps.rem_euclid(4096))?);
            let from = |at: usize| at / half * half + (at + steps_left) % half;
            is(&engine.rotate(&a, steps, &rotations)?, &|at| x[from(at)])?;
        }
        assert!(engine.add(&a, &low).is_err() && engine.multiply(&a, &low).is_err());
        assert!(engine.rescale(&a).is_err() && engine.rotate(&a, 4, &rotations).is_err());
        assert!(engine.encode(&[t], 1.0, 1).is_err());
        assert!(engine.encode(&vec![0; degree + 1], 1.0, 1).is_err());
    }
    assert!(E::new(&Parameters::ckks(4096, &[36, 36, 37])?).is_err());
    Ok(())
}

/// Sums, products and rotations in any order give the numbers that they should.
fn circuits_compute_what_they_say<E: Engine<Number = f64>>() -> Outcome {
    let mut party = Party::<E>::new(LISTS[0])?;
    let inputs: Vec<Vec<f64>> = (1..=3).map(|seed| numbers(f64::from(seed))).collect();
    let encrypted =
        inputs.iter().map(|input| party.encrypt(input)).collect::<Result<Vec<_>, _>>()?;
    let mut runner = TestRunner::new(Config::with_cases(24));
    let steps = proptest::collection::vec((0_usize..3, 0_usize..3, 0_usize..4), 2);
    let run = runner.run(&steps, |circuit| {
        check(&party, &inputs, &encrypted, &circuit).expect("an engine computes");
        Ok(())
    });
    Ok(run?)
}

/// One level a step: a rotated sum, multiplied by itself or by a known vector.
fn check<E: Engine<Number = f64>>(
    party: &Party<E>,
    inputs: &[Vec<f64>],
    encrypted: &[E::Ciphertext],
    circuit: &[(usize, usize, usize)],
) -> Outcome {
    let engine = &party.engine;
    let mut plain = inputs[circuit[0].0].clone();
    let mut cipher = engine.add_plain(&encrypted[circuit[0].0], &engine.encode(&[], SCALE, 3)?)?;
    for (moduli, (_, other, kind)) in [3, 2].into_iter().zip(circuit) {
        if let Some(steps) = STEPS.get(*kind) {
            cipher = engine.rotate(&cipher, *steps, &party.rotations)?;
            plain.rotate_left(usize::try_from(steps.rem_euclid(4096))?);
        }
        if kind % 2 == 0 {
            let product = engine.multiply(&cipher, &cipher)?;
            cipher = engine.relinearise(&product, &party.relinearisation)?;
            plain = plain.iter().map(|x| x * x).collect();
        } else {
            cipher =
                engine.multiply_plain(&cipher, &engine.encode(&inputs[*other], SCALE, moduli)?)?;
            plain.iter_mut().zip(&inputs[*other]).for_each(|(x, y)| *x *= y);
        }
        cipher = engine.rescale(&cipher)?;
    }
    party.is(&cipher, |at| plain[at])
}

macro_rules! suite {
    ($name:ident, $engine:ty, $integers:ty) => {
        mod $name {
            #[test]
            fn numbers_come_back() {
                super::numbers_come_back::<$engine>().unwrap();
            }

            #[test]
            fn arithmetic_is_that_of_the_numbers() {
                super::arithmetic_is_that_of_the_numbers::<$engine>().unwrap();
            }

            #[test]
            fn what_does_not_fit_is_refused() {
                super::what_does_not_fit_is_refused::<$engine>().unwrap();
            }

            #[test]
            fn integers_are_exact() {
                super::integers_are_exact::<$integers>().unwrap();
            }

            #[test]
            fn circuits_compute_what_they_say() {
                super::circuits_compute_what_they_say::<$engine>().unwrap();
            }
        }
    };
}

suite!(native, nexus_he::Native, nexus_he::Native<nexus_he::bfv::Encoder>);
#[cfg(feature = "seal")]
suite!(seal, nexus_seal::Seal, nexus_seal::Seal<i64>);

/// Both are exercised by name, so that neither suite is empty by mistake.
#[test]
fn engines_have_names() {
    assert_eq!(<Native>::NAME, "Cipher Nexus");
    #[cfg(feature = "seal")]
    assert_eq!(<nexus_seal::Seal>::NAME, "Microsoft SEAL");
}
