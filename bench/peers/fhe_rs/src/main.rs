//! BFV with as many bits of modulus and a plain modulus of 20 bits: fhe.rs 0.1.1 and ours in turn, on one
//! thread, processor time, the median of several.
//!
//! fhe.rs has no modulus for keys: all are the ciphertext's, so it computes with one more.

use std::error::Error;
use std::hint::black_box;

use fhe::bfv::{self as theirs, BfvParameters, Encoding};
use fhe_traits::{FheDecoder, FheDecrypter, FheEncoder, FheEncrypter};
use nexus_he::{Context, Parameters, SecretKey, bfv};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use rustix::time::{ClockId, clock_gettime};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 15;
const ROWS: [&str; 4] = ["encrypt, public key", "add", "multiply and relinearise", "decrypt"];

/// Microseconds of processor time.
fn time<T>(run: impl Fn() -> T) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        1e6 * time.tv_sec as f64 + 1e-3 * time.tv_nsec as f64
    };
    let start = now();
    black_box(run());
    now() - start
}

/// One run of every row, after a look at its results.
type Party = Box<dyn Fn() -> [f64; 4]>;

fn ours(degree: usize, bits: &[u32]) -> Outcome<Party> {
    let context = Context::new(Parameters::bfv(degree, bits, 20)?)?;
    let rng = &mut ChaCha12Rng::seed_from_u64(1);
    let (encoder, secret) = (bfv::Encoder::new(&context)?, SecretKey::generate(&context, rng));
    let (public, key) = (secret.public(rng), secret.relinearisation(rng)?);
    let plain = encoder.encode(&(0..100).collect::<Vec<i64>>())?;
    let (a, b) = (public.encrypt_integers(&plain, rng)?, public.encrypt_integers(&plain, rng)?);
    let product = move |a: &bfv::Ciphertext, b: &bfv::Ciphertext| a.multiply(b)?.relinearise(&key);
    let squares = encoder.decode(&secret.decrypt_integers(&product(&a, &b)?)?)?;
    assert!((0..100).all(|at| squares[at] == (at * at) as i64));
    Ok(Box::new(move || {
        let rng = &mut ChaCha12Rng::seed_from_u64(2);
        [
            {
                let rng = std::cell::RefCell::new(rng);
                time(|| public.encrypt_integers(&plain, &mut **rng.borrow_mut()))
            },
            time(|| a.clone().plus(&b)),
            time(|| product(&a, &b)),
            time(|| secret.decrypt_integers(&a)),
        ]
    }))
}

fn other(degree: usize) -> Outcome<(Party, usize)> {
    let parameters = BfvParameters::default_parameters_128(20)?
        .find(|it| it.degree() == degree)
        .ok_or("no such parameters")?;
    let bits = parameters.moduli_sizes().iter().sum();
    let rng = &mut rand::rng();
    let secret = theirs::SecretKey::random(&parameters, rng);
    let public = theirs::PublicKey::new(&secret, rng);
    let key = theirs::RelinearizationKey::new(&secret, rng)?;
    let numbers: Vec<u64> = (0..100).collect();
    let plain = theirs::Plaintext::try_encode(&numbers, Encoding::simd(), &parameters)?;
    let a: theirs::Ciphertext = public.try_encrypt(&plain, rng)?;
    let b: theirs::Ciphertext = public.try_encrypt(&plain, rng)?;
    let product = move |a: &theirs::Ciphertext, b: &theirs::Ciphertext| -> fhe::Result<_> {
        let mut product = a * b;
        key.relinearizes(&mut product)?;
        Ok(product)
    };
    let squares =
        Vec::<u64>::try_decode(&secret.try_decrypt(&product(&a, &b)?)?, Encoding::simd())?;
    assert!((0..100).all(|at| squares[at] == (at * at) as u64));
    let party = move || {
        [
            time(|| -> fhe::Result<theirs::Ciphertext> {
                public.try_encrypt(&plain, &mut rand::rng())
            }),
            time(|| &a + &b),
            time(|| product(&a, &b)),
            time(|| secret.try_decrypt(&a)),
        ]
    };
    Ok((Box::new(party), bits))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Outcome {
    for (degree, bits) in [
        (4096, &[36, 36, 37][..]),
        (8192, &[43, 43, 44, 44, 44]),
        (16_384, &[48, 48, 48, 49, 49, 49, 49, 49, 49]),
    ] {
        let (ours, (other, their_bits)) = (ours(degree, bits)?, other(degree)?);
        let rounds: Vec<_> = (0..ROUNDS).map(|_| (ours(), other())).collect();
        let own: u32 = bits.iter().sum();
        println!("N {degree}, {own} bits (fhe.rs {their_bits}), t of 20 bits; microseconds");
        for (at, row) in ROWS.into_iter().enumerate() {
            let ours = median(rounds.iter().map(|(ours, _)| ours[at]).collect());
            let other = median(rounds.iter().map(|(_, other)| other[at]).collect());
            println!("  {row:26} ours {ours:9.0}  fhe.rs {other:9.0}  {:5.1}x", other / ours);
        }
    }
    Ok(())
}
