//! CKKS and BFV on one thread, in processor time: this project's engine, and with the feature `seal` Microsoft's
//! in the same run. Results are new objects on both sides.
//!
//! Primes above 50 bits are for plain Rust, those below for vectors: hence two lists for a degree.

use std::hint::black_box;

use bench::CpuTime;
use criterion::measurement::Measurement;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion};
use nexus_field::rns::Transform;
use nexus_he::{Engine, Native, Parameters, bfv};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

const SCALE: f64 = 1_099_511_627_776.0; // 2^40

/// Degrees, and bits of primes; the last is for keys.
const SETS: [(usize, &[u32]); 4] = [
    (8192, &[60, 40, 40, 60]),
    (8192, &[46, 40, 40, 46]),
    (16_384, &[60, 40, 40, 40, 40, 40, 40, 40, 60]),
    (16_384, &[46, 40, 40, 40, 40, 40, 40, 40, 46]),
];

/// BFV: SEAL's default primes, and bits of t.
const INTEGERS: [(usize, &[u32], u32); 3] = [
    (4096, &[36, 36, 37], 20),
    (8192, &[43, 43, 44, 44, 44], 20),
    (16_384, &[48, 48, 48, 49, 49, 49, 49, 49, 49], 20),
];

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;
type Group<'a> = BenchmarkGroup<'a, CpuTime>;

/// Transforms of one polynomial modulo each of several primes.
trait Transforms {
    fn forward(&self, words: &mut [u64], modulus: usize);
    fn inverse(&self, words: &mut [u64], modulus: usize);
}

impl Transforms for Vec<Transform> {
    fn forward(&self, words: &mut [u64], modulus: usize) {
        self[modulus].forward(words);
    }

    fn inverse(&self, words: &mut [u64], modulus: usize) {
        self[modulus].inverse(words);
    }
}

#[cfg(feature = "seal")]
impl Transforms for nexus_seal::Seal {
    fn forward(&self, words: &mut [u64], modulus: usize) {
        self.forward(words, modulus).expect("the modulus exists");
    }

    fn inverse(&self, words: &mut [u64], modulus: usize) {
        self.inverse(words, modulus).expect("the modulus exists");
    }
}

fn main() -> Outcome {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    for (degree, bits) in SETS {
        let parameters = Parameters::ckks(degree, bits)?;
        let list: Vec<String> = bits.iter().map(ToString::to_string).collect();
        let mut group = criterion.benchmark_group(format!("{degree} of {}", list.join("+")));
        let transforms: Vec<Transform> = parameters
            .moduli()
            .iter()
            .map(|modulus| Transform::new(*modulus, degree))
            .collect::<Result<_, _>>()?;
        transform(&mut group, <Native>::NAME, &transforms, &parameters);
        operations::<Native>(&mut group, &parameters, sine)?;
        #[cfg(feature = "seal")]
        {
            use nexus_seal::Seal;
            let seal: Seal = Engine::new(&parameters)?;
            transform(&mut group, <Seal>::NAME, &seal, &parameters);
            operations::<Seal>(&mut group, &parameters, sine)?;
        }
        group.finish();
    }
    for (degree, bits, plain) in INTEGERS {
        let parameters = Parameters::bfv(degree, bits, plain)?;
        let mut group = criterion.benchmark_group(format!("BFV {degree}, t of {plain} bits"));
        let number = |at: usize| (at % 1009).cast_signed() as i64 - 500;
        operations::<Native<bfv::Encoder>>(&mut group, &parameters, number)?;
        #[cfg(feature = "seal")]
        operations::<nexus_seal::Seal<i64>>(&mut group, &parameters, number)?;
        group.finish();
    }
    criterion.final_summary();
    Ok(())
}

/// One prime of each size.
fn transform(group: &mut Group<'_>, engine: &str, with: &impl Transforms, of: &Parameters) {
    for at in [0, 1] {
        let modulus = of.moduli()[at];
        let word = |i: u64| modulus.reduce(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut words: Vec<u64> = (0..of.degree() as u64).map(word).collect();
        let name =
            |what| BenchmarkId::new(format!("{what} modulo {} bits", modulus.bits()), engine);
        group.bench_function(name("transform"), |bencher| {
            bencher.iter(|| with.forward(black_box(&mut words), at));
        });
        group.bench_function(name("inverse"), |bencher| {
            bencher.iter(|| with.inverse(black_box(&mut words), at));
        });
    }
}

/// A row: how long `run` takes.
fn row<T, M: Measurement>(
    group: &mut BenchmarkGroup<'_, M>,
    name: &str,
    engine: &str,
    mut run: impl FnMut() -> T,
) {
    group.bench_function(BenchmarkId::new(name, engine), |bencher| bencher.iter(&mut run));
}

fn sine(at: usize) -> f64 {
    (0.37 * at as f64).sin()
}

fn operations<E: Engine>(
    group: &mut Group<'_>,
    parameters: &Parameters,
    number: impl Fn(usize) -> E::Number,
) -> Outcome {
    let (engine, name, top) = (E::new(parameters)?, E::NAME, parameters.top());
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let secret = engine.secret(&mut rng)?;
    let public = engine.public(&secret, &mut rng)?;
    let relinearisation = engine.relinearisation(&secret, &mut rng)?;
    let rotations = engine.rotations(&secret, &[1], &mut rng)?;
    let numbers: Vec<E::Number> = (0..parameters.degree() / 2).map(number).collect();
    let plain = engine.encode(&numbers, SCALE, top)?;
    let a = engine.encrypt(&public, &plain, &mut rng)?;
    let b = engine.encrypt_secretly(&secret, &plain, &mut rng)?;
    let product = engine.multiply(&a, &b)?;

    row(group, "encode", name, || engine.encode(&numbers, SCALE, top));
    row(group, "encrypt with the public key", name, || engine.encrypt(&public, &plain, &mut rng));
    row(group, "encrypt with the secret key", name, || {
        engine.encrypt_secretly(&secret, &plain, &mut rng)
    });
    row(group, "add", name, || engine.add(&a, &b));
    row(group, "multiply by known numbers", name, || engine.multiply_plain(&a, &plain));
    row(group, "multiply", name, || engine.multiply(&a, &b));
    row(group, "multiply and relinearise", name, || {
        engine.relinearise(&engine.multiply(&a, &b)?, &relinearisation)
    });
    row(group, "relinearise", name, || engine.relinearise(&product, &relinearisation));
    if engine.rescale(&a).is_ok() {
        row(group, "rescale", name, || engine.rescale(&a));
    } else {
        row(group, "drop a modulus", name, || engine.drop_last(&a));
    }
    row(group, "rotate", name, || engine.rotate(&a, 1, &rotations));
    row(group, "decrypt", name, || engine.decrypt(&secret, &a));
    row(group, "decode", name, || engine.decode(&plain));
    Ok(())
}
