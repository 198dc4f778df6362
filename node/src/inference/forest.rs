//! Forests on encrypted rows, client and server in one process.

use nexus_inference::Forest;

use crate::error::NodeError;

/// Classes of encrypted rows, and what they took.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The class of each row, by its place.
    pub classes: Vec<usize>,
    /// From a row to its class, in seconds, row by row.
    pub seconds: Vec<f64>,
    /// Making and handing over keys, in seconds.
    pub key_seconds: f64,
    /// Bytes of the keys.
    pub key_bytes: usize,
    /// Bytes of a question.
    pub question_bytes: usize,
    /// Bytes of an answer.
    pub answer_bytes: usize,
}

/// Asks a forest for each row, encrypted under a fresh key. Client and server share bytes only.
///
/// # Errors
/// [`NodeError`] if a row does not fit the forest, and in builds without the feature `tfhe`.
#[cfg(feature = "tfhe")]
pub fn ask(forest: &Forest, rows: &[Vec<u8>]) -> Result<Asked, NodeError> {
    use nexus_inference::forest::{ForestClient, ForestServer};
    use nexus_types::SystemClock;

    use crate::random::SystemRng;

    let (clock, mut rng) = (SystemClock::default(), SystemRng::default());
    let client = ForestClient::new(forest.form().clone(), &mut rng)?;
    let keys = client.keys()?;
    let server = ForestServer::new(forest.clone(), &keys)?;
    let mut asked =
        Asked { key_seconds: clock.seconds(), key_bytes: keys.len(), ..Asked::default() };
    for row in rows {
        let from = clock.seconds();
        let question = client.question(row, &mut rng)?;
        let answer = server.answer(&question)?;
        asked.classes.push(client.class(&answer)?);
        asked.seconds.push(clock.seconds() - from);
        (asked.question_bytes, asked.answer_bytes) = (question.len(), answer.len());
    }
    Ok(asked)
}

/// Asks nothing: this build cannot.
///
/// # Errors
/// [`NodeError`] that says how to build one that can.
#[cfg(not(feature = "tfhe"))]
pub fn ask(_: &Forest, _: &[Vec<u8>]) -> Result<Asked, NodeError> {
    let problem = "this build has no forests on encrypted rows: it was made without `tfhe`";
    Err(NodeError::usage(problem, "cargo build --release --features tfhe"))
}
