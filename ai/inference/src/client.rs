//! Who has the input and the key.

use std::sync::Arc;

use nexus_he::circuit::Program;
use nexus_he::seal::{self, Encoding};
use nexus_he::{Ciphertext, Context, Encoder, HeError, SecretKey};
use nexus_types::CryptoRng;

#[cfg(doc)]
use crate::Server;
use crate::{Description, InferenceError, Prediction};

/// The holder of a secret key. The key never leaves it, and neither does what it decrypts: CKKS noise
/// tells of the key (Li & Micciancio 2021, ePrint 2020/1533).
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct Client {
    description: Description,
    context: Arc<Context>,
    wire: seal::Context,
    encoder: Encoder,
    secret: SecretKey,
}

impl Client {
    /// A client with a fresh key for a model. `rng` must be the operating system's.
    ///
    /// # Errors
    /// [`InferenceError`] if the description is not sound: it came from a server.
    pub fn new(description: Description, rng: &mut dyn CryptoRng) -> Result<Self, InferenceError> {
        description.check()?;
        let context = description.terms.context()?;
        let (encoder, wire) = (Encoder::new(&context)?, seal::Context::of(&context));
        let secret = SecretKey::generate(&context, rng);
        Ok(Self { description, context, wire, encoder, secret })
    }

    /// The model.
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// The keys that the server needs: SEAL's `RelinKeys`, if the model needs them, and
    /// `GaloisKeys`, seeded, one object after the other.
    ///
    /// # Errors
    /// [`InferenceError::He`], [`InferenceError::Seal`].
    pub fn keys(&self, rng: &mut dyn CryptoRng) -> Result<Vec<u8>, InferenceError> {
        let keys = self.description.terms.keys(&self.secret, rng)?;
        Ok(keys.to_bytes(&self.wire, Encoding::default())?)
    }

    /// The weights of a model that is this client's own, encrypted, for [`Server::sealed`]: SEAL's
    /// `Ciphertext`, seeded, one after the other.
    ///
    /// # Errors
    /// [`InferenceError::He`] if the program is of other parameters.
    pub fn weights(
        &self,
        program: &Program,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, InferenceError> {
        let mut bytes = Vec::new();
        for weight in program.weights(&self.secret, rng)? {
            bytes.extend(weight.to_seal(&self.wire)?.write(&self.wire, Encoding::default())?);
        }
        Ok(bytes)
    }

    /// How many rows go into one question.
    pub const fn rows(&self) -> usize {
        self.description.terms.vectors()
    }

    /// A row, as the model sees it, encrypted.
    ///
    /// # Errors
    /// As [`Client::questions`].
    pub fn question(
        &self,
        row: &[f32],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, InferenceError> {
        self.questions(&[row], rng)
    }

    /// Rows, as the model sees them, encrypted: SEAL's `Ciphertext`, seeded; for many rows at once
    /// one after the other for each of a row's numbers.
    ///
    /// # Errors
    /// [`InferenceError::Rows`] for none, and for more than [`Client::rows`]; [`InferenceError::He`]
    /// unless rows have as many numbers as the model takes, none too large.
    pub fn questions(
        &self,
        rows: &[&[f32]],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, InferenceError> {
        let (got, limit) = (rows.len(), self.rows());
        let wide = |row: &&[f32]| row.iter().map(|value| f64::from(*value)).collect();
        let wide: Vec<Vec<f64>> = rows.iter().map(wide).collect();
        let terms = &self.description.terms;
        let plains = match &*wide {
            [row] if !terms.batch => vec![terms.pack(&self.encoder, row)?],
            [_, ..] if got <= limit => terms.pack_columns(&self.encoder, &wide)?,
            _ => return Err(InferenceError::Rows { got, limit }),
        };
        let mut bytes = Vec::new();
        for plain in plains {
            let sealed = self.secret.encrypt_seeded(&plain, rng)?.to_seal(&self.wire)?;
            bytes.extend(sealed.write(&self.wire, Encoding::default())?);
        }
        Ok(bytes)
    }

    /// What the server's answer says of a row.
    ///
    /// # Errors
    /// As [`Client::predictions`].
    pub fn prediction(&self, answer: &[u8]) -> Result<Prediction, InferenceError> {
        let first = self.predictions(answer, 1)?.into_iter().next();
        first.ok_or(InferenceError::Rows { got: 0, limit: self.rows() })
    }

    /// What the server's answer to a question of so many rows says of each.
    ///
    /// # Errors
    /// [`InferenceError::Seal`], [`InferenceError::He`], [`InferenceError::Number`] if it is no answer;
    /// [`InferenceError::Rows`].
    pub fn predictions(
        &self,
        answer: &[u8],
        rows: usize,
    ) -> Result<Vec<Prediction>, InferenceError> {
        let limit = self.rows();
        if rows == 0 || rows > limit {
            return Err(InferenceError::Rows { got: rows, limit });
        }
        let (terms, task) = (&self.description.terms, &self.description.task);
        let count = if terms.batch { terms.outputs.len() } else { 1 };
        let read = (&self.wire, &self.context);
        let answers = Ciphertext::read_all(answer, count, read, |it| terms.check_answer(it))?;
        let slots = answers.iter().map(|it| self.encoder.decode(&self.secret.decrypt(it)?));
        let slots = slots.collect::<Result<Vec<_>, HeError>>()?;
        if !terms.batch {
            return slots.iter().map(|slots| task.predict(terms.unpack(slots))).collect();
        }
        (0..rows).map(|at| task.predict(terms.unpack_row(&slots, at))).collect()
    }
}
