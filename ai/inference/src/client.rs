//! Who has the input and the key.

use std::sync::Arc;

use nexus_he::seal::{self, Encoding, Mode, Version};
use nexus_he::{Ciphertext, Context, Encoder, SecretKey};
use nexus_types::CryptoRng;

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

/// How objects are sent: as every version of SEAL from 3.7 reads them, compressed.
pub(crate) const ENCODING: Encoding = Encoding { version: Version::WIDELY_READ, mode: Mode::Zstd };

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
        let mut bytes = Vec::new();
        if let Some(key) = &keys.relinearise {
            bytes = key.to_seal(&self.wire).write(&self.wire, ENCODING)?;
        }
        bytes.extend(keys.rotate.to_seal(&self.wire).write(&self.wire, ENCODING)?);
        Ok(bytes)
    }

    /// A row, as the model sees it, encrypted: SEAL's `Ciphertext`, seeded.
    ///
    /// # Errors
    /// [`InferenceError::He`] unless the row has as many numbers as the model takes, none too large.
    pub fn question(
        &self,
        row: &[f32],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, InferenceError> {
        let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        let plain = self.description.terms.pack(&self.encoder, &row)?;
        let sealed = self.secret.encrypt_seeded(&plain, rng)?;
        Ok(sealed.to_seal(&self.wire)?.write(&self.wire, ENCODING)?)
    }

    /// What the server's answer says.
    ///
    /// # Errors
    /// [`InferenceError::Seal`], [`InferenceError::He`] if it is no answer.
    pub fn prediction(&self, answer: &[u8]) -> Result<Prediction, InferenceError> {
        let object = seal::Ciphertext::read(answer, &self.wire)?;
        let answer = Ciphertext::from_seal(&self.context, object)?;
        let slots = self.encoder.decode(&self.secret.decrypt(&answer)?)?;
        self.description.task.predict(self.description.terms.unpack(&slots))
    }
}
