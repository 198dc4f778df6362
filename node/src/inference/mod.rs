//! Using models: in the clear, or on rows that whoever has the model does not see.

pub mod forest;
pub mod remote;
pub mod serve;
pub mod signed;

use std::num::NonZeroUsize;

use nexus_he::circuit::{Limits, Plan};
use nexus_inference::{Client, Description, InferenceError, Prediction, Server, Task};
use nexus_types::{Canonical, CryptoRng, Digest, ModelHash, SystemClock};

use crate::error::NodeError;
use crate::random::SystemRng;

/// Someone who has a model and answers encrypted questions.
pub trait Answering {
    /// What the model is.
    ///
    /// # Errors
    /// [`NodeError`] if it cannot be told.
    fn description(&mut self) -> Result<Description, NodeError>;

    /// Takes a user's keys and gives the name that questions go by.
    ///
    /// # Errors
    /// [`NodeError`] if they are refused.
    fn register(&mut self, keys: &[u8]) -> Result<Digest, NodeError>;

    /// Answers a question.
    ///
    /// # Errors
    /// [`NodeError`] if it is refused.
    fn answer(&mut self, keys: Digest, question: &[u8]) -> Result<Vec<u8>, NodeError>;
}

/// A server in this process: it is given bytes and gives bytes, and sees nothing else of the client.
impl Answering for &Server {
    fn description(&mut self) -> Result<Description, NodeError> {
        Ok(Server::description(self).clone())
    }

    fn register(&mut self, keys: &[u8]) -> Result<Digest, NodeError> {
        Ok(Server::register(self, keys)?)
    }

    fn answer(&mut self, keys: Digest, question: &[u8]) -> Result<Vec<u8>, NodeError> {
        Ok(Server::answer(self, keys, question, &mut SystemRng::default())?)
    }
}

/// Answers to encrypted rows, and what they took.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// What each row is said to be.
    pub predictions: Vec<Prediction>,
    /// From the rows of a question to its answer, in seconds, question by question.
    pub seconds: Vec<f64>,
    /// Rows of a full question.
    pub rows: usize,
    /// Making and handing over keys, in seconds.
    pub key_seconds: f64,
    /// Bytes of the keys.
    pub key_bytes: usize,
    /// Bytes of the model's weights, where they were encrypted.
    pub weight_bytes: Option<usize>,
    /// Bytes of the last question.
    pub question_bytes: usize,
    /// Bytes of the last answer.
    pub answer_bytes: usize,
}

impl Answers {
    /// Rows answered in a second.
    pub fn rows_per_second(&self) -> f64 {
        self.predictions.len() as f64 / self.seconds.iter().sum::<f64>().max(1e-9)
    }

    /// The time that half of the questions took at most, and 95 % of them.
    pub fn percentiles(&self) -> [f64; 2] {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
            let place = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
        };
        [at(0.5), at(0.95)]
    }
}

/// Asks for each row, or for as many at once as a question of this model takes, encrypted under a fresh
/// key.
///
/// # Errors
/// [`NodeError`] if the server's description is not sound, or it refuses keys or a row.
pub fn ask<'a>(
    server: &mut dyn Answering,
    rows: impl Iterator<Item = &'a [f32]>,
) -> Result<Answers, NodeError> {
    let clock = SystemClock::default();
    let client = Client::new(server.description()?, &mut SystemRng::default())?;
    ask_as(&client, server, &clock, rows)
}

/// The same of a server in this process that is given the weights of a model encrypted.
///
/// # Errors
/// [`NodeError`] if the plan does not fit then, or as [`ask`].
pub fn ask_sealed<'a>(
    plan: &Plan,
    (model, task): (ModelHash, &Task),
    threads: NonZeroUsize,
    rows: impl Iterator<Item = &'a [f32]>,
) -> Result<Answers, NodeError> {
    let (clock, rng) = (SystemClock::default(), &mut SystemRng::default());
    let plan = plan.clone().sealed(&Limits::default()).map_err(InferenceError::from)?;
    let program = plan.prepare().map_err(InferenceError::from)?;
    let description = Description { model, task: task.clone(), terms: plan.terms().clone() };
    let client = Client::new(description, rng)?;
    let weights = client.weights(&program, rng)?;
    let outline = program.outline().encode()?;
    let server = Server::sealed(&outline, &weights, model, task.clone(), 1)?.on(threads)?;
    let answers = ask_as(&client, &mut &server, &clock, rows)?;
    Ok(Answers { weight_bytes: Some(weights.len()), ..answers })
}

fn ask_as<'a>(
    client: &Client,
    server: &mut dyn Answering,
    clock: &SystemClock,
    rows: impl Iterator<Item = &'a [f32]>,
) -> Result<Answers, NodeError> {
    let rng: &mut dyn CryptoRng = &mut SystemRng::default();
    let keys = client.keys(rng)?;
    let id = server.register(&keys)?;
    let mut answers = Answers {
        key_seconds: clock.seconds(),
        key_bytes: keys.len(),
        rows: client.rows(),
        ..Answers::default()
    };
    let rows: Vec<&[f32]> = rows.collect();
    for rows in rows.chunks(client.rows()) {
        let from = clock.seconds();
        let question = client.questions(rows, rng)?;
        let answer = server.answer(id, &question)?;
        answers.predictions.extend(client.predictions(&answer, rows.len())?);
        answers.seconds.push(clock.seconds() - from);
        (answers.question_bytes, answers.answer_bytes) = (question.len(), answer.len());
    }
    Ok(answers)
}
