//! Who has rows and the key.

use std::sync::Arc;

use nexus_he::circuit::EvaluationKeys;
use nexus_he::seal::{self, Encoding};
use nexus_he::{Ciphertext, Context, Encoder, SecretKey};
use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use super::{EncryptedError, Terms};
use crate::local::fits;

/// How far beyond the range of the sigmoid a row may go: there the cubic still turns weights back.
const BEYOND: f64 = 1.2;

/// The holder of rows and of a fresh key, which never leave it unencrypted.
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct Owner {
    terms: Terms,
    context: Arc<Context>,
    wire: seal::Context,
    encoder: Encoder,
    secret: SecretKey,
    /// z/R, row by row.
    rows: Zeroizing<Vec<f64>>,
    /// What the last weights and their velocity were.
    last: Zeroizing<[Vec<f64>; 2]>,
}

impl Owner {
    /// The owner of `rows`, one after the other, and of a label for each. Rows longer than the root of
    /// their width are made that short, for training. `rng` must be the operating system's.
    ///
    /// # Errors
    /// [`EncryptedError`] unless they are as many as the terms say, and finite.
    pub fn new(
        terms: Terms,
        rows: &[f32],
        labels: &[bool],
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, EncryptedError> {
        let context = terms.context()?;
        let (count, width) = (terms.rows as usize, terms.numbers as usize - 1);
        fits("labels", labels.len(), count)?;
        fits("numbers of all rows", rows.len(), count * width)?;
        let mut all = Zeroizing::new(Vec::with_capacity(count * (width + 1)));
        for (row, label) in rows.chunks_exact(width).zip(labels) {
            let sign = if *label { 1.0 } else { -1.0 } / terms.settings.range;
            let by = sign * shortened(row);
            all.extend(row.iter().map(|value| by * f64::from(*value)).chain([sign]));
        }
        if let Some(got) = all.iter().find(|value| !value.is_finite()) {
            return Err(EncryptedError::Number { what: "a row", got: *got });
        }
        let (encoder, wire) = (Encoder::new(&context)?, seal::Context::of(&context));
        let secret = SecretKey::generate(&context, rng);
        let last = Zeroizing::new([Vec::new(), Vec::new()]);
        Ok(Self { terms, context, wire, encoder, secret, rows: all, last })
    }

    /// What the worker is told.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The keys that the worker needs: SEAL's `RelinKeys` and `GaloisKeys`, seeded.
    ///
    /// # Errors
    /// [`EncryptedError`] if they cannot be made.
    pub fn keys(&self, rng: &mut dyn CryptoRng) -> Result<Vec<u8>, EncryptedError> {
        let relinearise = Some(self.secret.relinearisation(rng)?);
        let rotate = self.secret.rotations(&self.terms.layout().rotations(), rng)?;
        Ok(EvaluationKeys { relinearise, rotate }.to_bytes(&self.wire, Encoding::default())?)
    }

    /// All rows, encrypted: SEAL's `Ciphertext`, seeded, one after the other.
    ///
    /// # Errors
    /// [`EncryptedError::He`] for a number that is too large.
    pub fn rows(&self, rng: &mut dyn CryptoRng) -> Result<Vec<u8>, EncryptedError> {
        let (layout, numbers) = (self.terms.layout(), self.terms.numbers as usize);
        let mut bytes = Vec::new();
        for rows in self.rows.chunks(layout.block * numbers) {
            let mut slots = Zeroizing::new(vec![0.0; layout.blocks * layout.block]);
            for (at, row) in rows.chunks_exact(numbers).enumerate() {
                let places = slots.iter_mut().skip(at).step_by(layout.block);
                places.zip(row).for_each(|(slot, value)| *slot = *value);
            }
            bytes.extend(self.sealed(&slots, rng)?);
        }
        Ok(bytes)
    }

    /// Weights to go on from, the constant's last, encrypted. The velocity goes on, too, if they are what
    /// the worker's last answer was.
    ///
    /// # Errors
    /// [`EncryptedError`] unless there is one for each number, and each is finite.
    pub fn question(
        &mut self,
        weights: &[f64],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, EncryptedError> {
        fits("weights", weights.len(), self.terms.numbers as usize)?;
        finite(weights)?;
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
        let [last, velocity] = &mut *self.last;
        if last.len() != weights.len() || !weights.iter().zip(&*last).all(near) {
            *velocity = vec![0.0; weights.len()];
        }
        let states = [weights.to_vec(), velocity.clone()];
        let mut bytes = Vec::new();
        for state in states.iter().take(self.terms.states()) {
            bytes.extend(self.sealed(&self.copied(state), rng)?);
        }
        Ok(bytes)
    }

    /// The weights in the worker's answer, the constant's last.
    ///
    /// # Errors
    /// [`EncryptedError`] if it is none; [`EncryptedError::Range`] if they are more than the sigmoid was
    /// made for.
    pub fn weights(&mut self, answer: &[u8]) -> Result<Vec<f64>, EncryptedError> {
        let (layout, numbers) = (self.terms.layout(), self.terms.numbers as usize);
        let check = |it: &Ciphertext| it.check("weights", 1, self.terms.scale);
        let read = (&self.wire, &self.context);
        let mut states = Vec::new();
        for state in Ciphertext::read_all(answer, self.terms.states(), read, check)? {
            let slots = self.encoder.decode(&self.secret.decrypt(&state)?)?;
            let state: Vec<f64> = slots.into_iter().step_by(layout.block).take(numbers).collect();
            finite(&state)?;
            states.push(state);
        }
        let mut states = states.into_iter();
        let weights = states.next().unwrap_or_default();
        self.within_range(&weights)?;
        *self.last = [weights.clone(), states.next().unwrap_or_default()];
        Ok(weights)
    }

    /// Each number in all slots of its block.
    fn copied(&self, numbers: &[f64]) -> Zeroizing<Vec<f64>> {
        let block = self.terms.layout().block;
        Zeroizing::new(numbers.iter().flat_map(|it| std::iter::repeat_n(*it, block)).collect())
    }

    fn sealed(&self, slots: &[f64], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, EncryptedError> {
        let plain = self.encoder.encode(slots, self.terms.scale)?;
        let sealed = self.secret.encrypt_seeded(&plain, rng)?.to_seal(&self.wire)?;
        Ok(sealed.write(&self.wire, Encoding::default())?)
    }

    fn within_range(&self, weights: &[f64]) -> Result<(), EncryptedError> {
        let range = self.terms.settings.range;
        let product = |row: &[f64]| -> f64 { row.iter().zip(weights).map(|(z, v)| z * v).sum() };
        let products = self.rows.chunks_exact(weights.len().max(1)).map(product);
        let largest = range * products.map(f64::abs).fold(0.0, f64::max);
        if largest > BEYOND * range {
            return Err(EncryptedError::Range { got: largest, range });
        }
        Ok(())
    }
}

/// What a row is multiplied by: those longer than the root of their width, the length of a standardised
/// row, are made as short. Otherwise the few that are many times as long leave the sigmoid's range first.
fn shortened(row: &[f32]) -> f64 {
    let norm = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    ((row.len() as f64).sqrt() / norm).min(1.0)
}

fn finite(weights: &[f64]) -> Result<(), EncryptedError> {
    let wrong = weights.iter().find(|weight| !weight.is_finite());
    wrong.map_or(Ok(()), |got| Err(EncryptedError::Number { what: "a weight", got: *got }))
}
