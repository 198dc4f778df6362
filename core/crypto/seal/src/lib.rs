//! Microsoft SEAL as an [`Engine`](nexus_he::Engine): optional, and the peer of
//! [`Native`](nexus_he::Native) in tests and benchmarks.
//!
//! Without the feature `seal` this crate is empty and needs nothing. With it, it is linked with a SEAL
//! of this machine, which must be one of these:
//!
//! 1. in the folder that the environment variable `SEAL_ROOT` names: `include/SEAL-4.x` and
//!    `lib/libseal-4.x.a`;
//! 2. found by `find_package(SEAL)`, which `cmake` runs;
//! 3. found by pkg-config under the name `seal`.
//!
//! `scripts/install-seal.sh` builds SEAL 4.0, **for tests and comparison only**. In production use 4.4
//! or later, whose readers of foreign bytes were hardened.
//!
//! # Which engine
//!
//! The default is [`Native`](nexus_he::Native): the same parameters, keys, ciphertexts and results as SEAL's,
//! several times faster, and no C++ among what reads foreign bytes. This one is for those whose rules
//! ask for Microsoft's code, and it is what the other is tested against.
//!
//! # Threat model
//!
//! As that of [`nexus_he`], with SEAL trusted: its code is C++, and a fault in it is a fault of the
//! process. What comes from others is best read by [`nexus_he::seal`] first, which is stricter. SEAL
//! draws its randomness from the operating system.
//!
//! # Example
//!
//! What is written for one engine runs on the other:
//!
//! ```
//! use nexus_he::{Engine, Native, Parameters};
//! use rand_chacha::rand_core::SeedableRng;
//!
//! type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
//!
//! fn sum<E: Engine<Number = f64>>(a: &[f64], b: &[f64]) -> Outcome<f64> {
//!     let engine = E::new(&Parameters::ckks(4096, &[40, 29, 40])?)?;
//!     // The operating system's, outside of examples.
//!     let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
//!     let secret = engine.secret(&mut rng)?;
//!     let mut encrypt = |values| {
//!         let plain = engine.encode(values, 2_f64.powi(29), 2)?;
//!         engine.encrypt_secretly(&secret, &plain, &mut rng)
//!     };
//!     let sum = engine.add(&encrypt(a)?, &encrypt(b)?)?;
//!     Ok(engine.decode(&engine.decrypt(&secret, &sum)?)?[0])
//! }
//!
//! assert!((sum::<Native>(&[1.5], &[2.0])? - 3.5).abs() < 1e-3);
//! # #[cfg(feature = "seal")]
//! assert!((sum::<nexus_seal::Seal>(&[1.5], &[2.0])? - 3.5).abs() < 1e-3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "seal")]
mod bridge;
#[cfg(feature = "seal")]
mod engine;

#[cfg(feature = "seal")]
pub use engine::{
    Ciphertext, Plaintext, PublicKey, RelinearisationKey, RotationKeys, Seal, SealError, SecretKey,
    Version,
};
