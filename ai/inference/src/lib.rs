//! Inference on encrypted inputs: whoever has the model does not see the row, and whoever has the row
//! does not see the model.
//!
//! | part | has | sees |
//! |---|---|---|
//! | [`Client`] | the row, a secret key | the answer |
//! | [`Server`] | the model, the client's evaluation keys | ciphertexts |
//!
//! They share bytes and nothing else: a [`Description`], then objects in the format of Microsoft
//! SEAL, so that a user of SEAL can be the client without this program.
//!
//! # How a model becomes a circuit
//!
//! [`Compiled`] cuts a network at its activations. What lies between becomes one matrix and one bias,
//! convolutions and mean pools included. An activation becomes a polynomial on the range that was
//! measured on rows of the model's owner: the nearest to it on the numbers that came up there, or the
//! minimax one, of the smallest degree that leaves the answers for these rows as they are
//! ([`Calibration`]). [`nexus_he::circuit::Plan`] then chooses parameters.
//!
//! [`Compiled::plan`] puts the hidden numbers of images into the slots where convolutions need the fewest
//! rotations: where the image was, with other channels in the gaps that steps of a window leave
//! (multiplexed packing: Lee et al. 2022, ePrint 2021/1688; chosen by cost, as in Orion: Ebel,
//! Garimella & Reagen 2023, arXiv:2311.03470). Rows and answers keep their order.
//!
//! # One row, or many at once
//!
//! A question of a [`Server::new`] is one row in one ciphertext. A [`Server::batched`] takes up to N/2
//! rows of one client in as many ciphertexts as a row has numbers: more bytes and time for a question,
//! fewer for a row.
//!
//! # Comparisons
//!
//! Trees ask whether a number is above another, which no circuit here does well. [`forest`] has them, in
//! the clear and, with the feature `tfhe`, on encrypted rows.
//!
//! # Threat model
//!
//! The server may be curious: it sees sizes, times and how often who asks. It may compute something
//! else than the model; nothing here would show it. A [`Server::sealed`] does not see the model either.
//! Bytes are not signed here: the program signs what it sends, and [`Server::register_for`] keeps keys
//! for who signed them. The client may be curious: it learns the shape of
//! the circuit and the answers, and whoever may ask often enough can rebuild a model from its answers
//! (Tramèr et al. 2016, arXiv:1609.02943). Slots that hold parts of sums are covered with random
//! numbers; the noise of an answer is not, and depends on the weights. A row outside of the range that
//! was measured gives a wrong answer without a warning.
//!
//! # Example
//!
//! ```
//! use nexus_he::circuit::Limits;
//! use nexus_inference::{Client, Compiled, Description, Server, Task};
//! use nexus_models::{ModelSpec, Network};
//! use nexus_types::{Canonical, Seed};
//! use rand_chacha::rand_core::SeedableRng;
//!
//! // The operating system's, outside of examples.
//! let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
//!
//! // The server has a model.
//! let network = Network::<f64>::new(&ModelSpec::softmax(4, 3))?;
//! let weights = network.initial(&Seed::from_number(1));
//! let plan = Compiled::new(&network, &weights, &[])?.plan(&Limits::default())?;
//! let task = Task::Classes(["red", "green", "blue"].map(String::from).to_vec());
//! let server = Server::new(&plan, network.hash(), task, 10)?;
//!
//! // The client has a row.
//! let description = Description::decode(&server.description().encode()?)?;
//! let client = Client::new(description, &mut rng)?;
//! let keys = server.register(&client.keys(&mut rng)?)?;
//! let question = client.question(&[0.1, -0.7, 0.3, 0.9], &mut rng)?;
//! let answer = client.prediction(&server.answer(keys, &question, &mut rng)?)?;
//!
//! let clear = network.through(0..1, &weights, &[0.1, -0.7, 0.3, 0.9], 1)?;
//! assert!((answer.outputs[0] - clear[0]).abs() < 1e-3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrange;
mod client;
mod compile;
mod error;
pub mod forest;
mod friendly;
mod measured;
mod server;
mod task;

pub use client::Client;
pub use compile::{Activation, Approximation, Calibration, Compiled};
pub use error::InferenceError;
pub use forest::{Forest, ForestError, ForestOptions};
pub use friendly::friendly;
pub use server::{Owner, Server};
pub use task::{Description, Prediction, Task};

#[cfg(test)]
mod tests;
