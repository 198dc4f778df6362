//! Homomorphic encryption: computing with what only the owner of a key can read.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Parameters`] | a closed table of degrees and primes, with SEAL's names for their levels |
//! | [`Context`] | what all keys and ciphertexts of one set of parameters share |
//! | [`SecretKey`], [`PublicKey`] | encryption; decryption by whoever has the secret |
//! | [`RelinearisationKey`], [`GaloisKeys`] | what products and rotations need |
//! | [`Encoder`], [`Ciphertext`] | CKKS: approximate numbers, N/2 in a ciphertext |
//! | [`bfv`] | exact integers modulo t, N in a ciphertext |
//! | [`Matrix`], [`Route`], [`LinearMap`], [`Polynomial`] | linear algebra and functions under encryption |
//! | [`additive`] | sums of encrypted vectors, and nothing else, for a fraction of the bytes |
//! | [`threshold`] | keys that nobody holds, under which any t of n members open a sum |
//! | [`circuit`] | what is computed one after the other: planned, priced, run |
//! | [`seal`] | all of it as the bytes of Microsoft SEAL |
//!
//! # Threat model
//!
//! Whoever computes sees ciphertexts and evaluation keys, and learns nothing of what is in them:
//! ring-LWE with ternary secrets at 128 bits by the Homomorphic Encryption Standard. It may compute
//! something else than it was asked for. **No external audit.**
//!
//! # Example
//!
//! ```
//! use nexus_he::{Context, Encoder, Parameters, SecretKey};
//! use rand_chacha::rand_core::SeedableRng;
//!
//! // The operating system's, outside of examples.
//! let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
//! let context = Context::new(Parameters::ckks(4096, &[40, 29, 40])?)?;
//! let (encoder, secret) = (Encoder::new(&context)?, SecretKey::generate(&context, &mut rng));
//! let keys = secret.rotations(&[1], &mut rng)?;
//!
//! // Whoever computes has ciphertexts and keys for rotations, and no secret.
//! let numbers = secret.encrypt(&encoder.encode(&[1.5, -2.0, 3.0], 2_f64.powi(29))?, &mut rng)?;
//! let sums = numbers.clone().plus(&numbers.rotate(1, &keys)?)?;
//!
//! let sums = encoder.decode(&secret.decrypt(&sums)?)?;
//! assert!((sums[0] + 0.5).abs() < 1e-3 && (sums[1] - 1.0).abs() < 1e-3);
//! # Ok::<(), nexus_he::HeError>(())
//! ```
//!
//! # References
//!
//! * M. Albrecht et al., *Homomorphic Encryption Standard*, 2018 (<https://eprint.iacr.org/2019/939>)
//! * Microsoft SEAL 4.4 (<https://github.com/microsoft/SEAL>)

pub mod additive;
pub mod bfv;
mod blake2b;
pub mod circuit;
mod ckks;
mod context;
mod engine;
mod error;
mod extension;
mod keys;
mod linear;
mod parameters;
mod polynomial;
mod sample;
pub mod seal;
mod switch;
mod threads;
pub mod threshold;

pub use ckks::{Ciphertext, Complex, Encoder, Plaintext, SeededCiphertext};
pub use context::Context;
pub use engine::{Engine, Native, Object};
pub use error::HeError;
pub use keys::{GaloisKeys, PublicKey, RelinearisationKey, SecretKey, SwitchingKey};
pub use linear::{ColumnMap, Layout, LinearMap, Matrix, Route, RouteCost};
pub use parameters::{MAX_MODULI, Parameters, ParametersId, Scheme};
pub use polynomial::Polynomial;
pub use threads::Threads;
