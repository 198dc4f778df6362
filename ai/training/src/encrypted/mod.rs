//! Logistic regression on rows that whoever computes does not see.
//!
//! | part | has | sees |
//! |---|---|---|
//! | [`Owner`] | rows, labels, a secret key | the weights, after every exchange |
//! | [`Worker`] | evaluation keys, encrypted rows | ciphertexts, and what [`Terms`] say |
//!
//! They share bytes in the format of Microsoft SEAL. Rows and keys are sent once. Then the owner
//! sends its weights, the worker takes some steps with them, the owner gets them back: it decrypts and
//! encrypts again, which makes the noise what it was. That is the owner's part of the work, and far
//! less of it than its rows.
//!
//! # A step
//!
//! With labels y of ±1, z = (x, 1) y and t = v·z, the loss Σ log(1 + e^−t) has the gradient −Σ σ(−t) z.
//! All rows are in every step (Kim, Song, Kim, Lee & Cheon 2018, *BMC Medical Genomics* 11:83, ePrint
//! 2018/254). A ciphertext has a block of slots for each number of a row, a slot in it for each row, and
//! rows are divided by the range R:
//!
//! 1. t/R of every row: one product with the weights, sums over blocks. Those are as many as slots, so
//!    rotations go round and leave the sum in each.
//! 2. σ(−t) z as c₃ (t/R)³ z + c₁ (t/R) z + c₀ z, the nearest cubic on [−R, R]: two products after each
//!    other, (c₃ z t/R)(t²/R² + c₁/c₃).
//! 3. Sums over the slots of a block, a mask with the learning rate in it, and copies to the whole block.
//! 4. Nesterov's step. With m' = (1 + μ) m, the velocity and the weights ahead change by the same G:
//!    m' ← μ m' + G and v ← v + μ²/(1 + μ) m' + G, so that G is copied once.
//!
//! Four moduli are used up by a step, and log₂ of the slots rotations for ciphertexts together, and some.
//!
//! Outside of [−R, R] the cubic is no sigmoid, and weights that lead there run away. So the owner
//! shortens rows that are longer than others ([`Owner::new`]), and looks at its own rows after every
//! exchange ([`EncryptedError::Range`]); `weight_decay` keeps weights small.
//!
//! # Threat model
//!
//! The worker may be curious. It sees numbers of rows and columns, rates, and times. It may compute
//! something else: the owner sees what the model is worth on its own rows. What is decrypted stays with the
//! owner, whose key it is; who publishes the model publishes what its noise tells of the key
//! (Li & Micciancio 2021, ePrint 2020/1533), which is used for nothing else.
//!
//! # Example
//!
//! ```
//! use nexus_learning::encrypted::{Owner, Settings, Terms, Worker};
//! use nexus_types::Canonical;
//! use rand_chacha::rand_core::SeedableRng;
//!
//! // The operating system's, outside of examples.
//! let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
//! let rows: Vec<f32> = (0..200).map(|at| (at as f32 * 0.7).sin()).collect();
//! let labels: Vec<bool> = rows.chunks(2).map(|row| row[0] > row[1]).collect();
//!
//! let terms = Terms::plan(100, 2, &Settings { learning_rate: 2.0, ..Settings::default() })?;
//! let mut owner = Owner::new(terms, &rows, &labels, &mut rng)?;
//! let terms = Terms::decode(&owner.terms().encode()?)?;
//! let worker = Worker::new(terms, &owner.keys(&mut rng)?, &owner.rows(&mut rng)?)?;
//!
//! let mut weights = vec![0.0; 3];
//! for _ in 0..10 {
//!     let question = owner.question(&weights, &mut rng)?;
//!     weights = owner.weights(&worker.train(&question)?)?;
//! }
//! let right = rows.chunks(2).zip(&labels);
//! let right = right.filter(|(row, label)| {
//!     let [a, b] = [0, 1].map(|at| weights[at] * f64::from(row[at]));
//!     (a + b + weights[2] > 0.0) == **label
//! });
//! assert!(right.count() > 90);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod owner;
mod terms;
mod worker;

pub use error::EncryptedError;
pub use owner::Owner;
pub use terms::{Settings, Terms};
pub use worker::Worker;

#[cfg(test)]
mod tests;
