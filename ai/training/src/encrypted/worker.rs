//! Who computes, and has no key.

use std::num::NonZeroUsize;
use std::sync::Arc;

use nexus_he::circuit::EvaluationKeys;
use nexus_he::seal::{self, Encoding, Limits};
use nexus_he::{
    Ciphertext, Context, Encoder, GaloisKeys, HeError, Plaintext, Polynomial, RelinearisationKey,
    Threads,
};

use super::terms::{DEPTH, Layout};
use super::{EncryptedError, Terms};

/// Points of [−1, 1] that the cubic is near to the sigmoid on.
const POINTS: usize = 1001;

/// A machine that trains on encrypted rows. It can be shared between threads.
#[derive(Debug)]
pub struct Worker {
    terms: Terms,
    layout: Layout,
    encoder: Encoder,
    wire: seal::Context,
    products: RelinearisationKey,
    rotate: GaloisKeys,
    /// z/R of all rows, and c₃ z/R.
    rows: Vec<[Ciphertext; 2]>,
    /// c₀ z/R, summed over ciphertexts.
    constant: Ciphertext,
    /// c₁/c₃.
    ratio: f64,
    threads: Threads,
}

impl Worker {
    /// A worker for an owner's keys and rows.
    ///
    /// # Errors
    /// [`EncryptedError`] naming what is wrong with them.
    pub fn new(terms: Terms, keys: &[u8], rows: &[u8]) -> Result<Self, EncryptedError> {
        let context = terms.context()?;
        let (encoder, layout) = (Encoder::new(&context)?, terms.layout());
        let limits = Limits { bytes: terms.bytes().into_iter().max().unwrap_or(0) + (1 << 20) };
        let wire = seal::Context::of(&context).with_limits(limits);
        let read = (&wire, &context);
        let keys = EvaluationKeys::from_bytes(keys, read, &layout.rotations(), true)?;
        let EvaluationKeys { relinearise, rotate } = keys;
        let products = relinearise.ok_or(HeError::NoKey { element: 1 })?;
        let top = context.parameters().top();
        let check = |it: &Ciphertext| it.check("rows", top, terms.scale);
        let rows = Ciphertext::read_all(rows, layout.parts, read, check)?;
        let [c0, c1, c3] = sigmoid(terms.settings.range)?;
        let first = rows.first().cloned().ok_or(HeError::Transparent)?;
        let sum = rows.iter().skip(1).try_fold(first, Ciphertext::plus)?;
        let times = |it: Ciphertext, by: f64| times(&encoder, it, by, terms.scale);
        let pair = |it: Ciphertext| Ok([it.clone(), times(it, c3)?]);
        Ok(Self {
            rows: rows.into_iter().map(pair).collect::<Result<_, HeError>>()?,
            constant: times(sum, c0)?,
            ratio: c1 / c3,
            threads: Threads::one(),
            terms,
            layout,
            encoder,
            wire,
            products,
            rotate,
        })
    }

    /// The same worker on so many threads.
    ///
    /// # Errors
    /// [`EncryptedError::He`] if there are not so many.
    pub fn on(self, threads: NonZeroUsize) -> Result<Self, EncryptedError> {
        Ok(Self { threads: Threads::new(threads)?, ..self })
    }

    /// The owner's weights after some steps more.
    ///
    /// # Errors
    /// [`EncryptedError`] if `question` is none of these terms.
    pub fn train(&self, question: &[u8]) -> Result<Vec<u8>, EncryptedError> {
        let read = (&self.wire, self.context());
        let check = |it: &Ciphertext| it.check("weights", self.terms.top(), self.terms.scale);
        let states = Ciphertext::read_all(question, self.terms.states(), read, check)?;
        let steps = 0..self.terms.settings.steps;
        let done = self
            .threads
            .run(|| steps.into_iter().try_fold(states, |states, _| self.step(&states)))?;
        let mut bytes = Vec::new();
        for state in done {
            bytes.extend(state.to_seal(&self.wire)?.write(&self.wire, Encoding::default())?);
        }
        Ok(bytes)
    }

    const fn context(&self) -> &Arc<Context> {
        self.encoder.context()
    }

    /// Weights and, with momentum, the velocity after one step; see the module.
    fn step(&self, states: &[Ciphertext]) -> Result<Vec<Ciphertext>, HeError> {
        let Some(weights) = states.first() else { return Err(HeError::Transparent) };
        let change = self.change(weights)?;
        let settings = &self.terms.settings;
        let (mu, shrink) = (settings.momentum, self.rate() * settings.weight_decay);
        let Some(velocity) = states.get(1) else {
            return Ok(vec![self.mixed(&[(1.0 - shrink, weights)], &change)?]);
        };
        let ahead = [(1.0 - shrink, weights), (mu * mu / (1.0 + mu), velocity)];
        let mut faster = vec![(mu, velocity)];
        if shrink > 0.0 {
            faster.push((-shrink, weights));
        }
        Ok(vec![self.mixed(&ahead, &change)?, self.mixed(&faster, &change)?])
    }

    /// What a gradient is multiplied by.
    const fn rate(&self) -> f64 {
        self.terms.settings.learning_rate * (1.0 + self.terms.settings.momentum)
    }

    /// The mean of σ(−t) z over all rows, times the rate, in all slots of each block.
    fn change(&self, weights: &Ciphertext) -> Result<Ciphertext, HeError> {
        let left = weights.moduli().checked_sub(DEPTH).ok_or(HeError::Exhausted)?;
        let mut sum: Option<Ciphertext> = None;
        for row in &self.rows {
            let part = self.part(weights, row)?;
            sum = Some(match sum {
                Some(sum) => sum.plus(&part)?,
                None => part,
            });
        }
        let sum = sum.ok_or(HeError::Transparent)?.relinearise(&self.products)?.rescale()?;
        let constant = self.constant.clone().drop_to(left + 2)?;
        let constant = times(&self.encoder, constant, 1.0, sum.scale())?;
        let sum = constant.plus(&sum)?.folded(self.layout.within_block(), &self.rotate)?;
        let mask = self.mask(sum.scale(), left)?;
        let sums = sum.multiply_plain(&mask)?.rescale()?.with_scale(self.terms.scale)?;
        let last = sums.rotate(self.layout.to_last(), &self.rotate)?;
        last.folded(self.layout.within_block(), &self.rotate)
    }

    /// (c₃ (t/R)³ + c₁ t/R) z/R of the rows of one ciphertext, of three polynomials.
    fn part(
        &self,
        weights: &Ciphertext,
        [row, cubed]: &[Ciphertext; 2],
    ) -> Result<Ciphertext, HeError> {
        let moduli = weights.moduli();
        let product =
            |a: &Ciphertext, b: &Ciphertext| a.multiply(b)?.relinearise(&self.products)?.rescale();
        let t = product(weights, &row.clone().drop_to(moduli)?)?;
        let t = t.folded(self.layout.over_blocks(), &self.rotate)?;
        let square = product(&t, &t)?;
        let square = square.clone().add_plain(&self.encoder.constant(
            self.ratio,
            square.scale(),
            square.moduli(),
        )?)?;
        product(&t, &cubed.clone().drop_to(moduli - 1)?)?.multiply(&square)
    }

    /// The rate and 1/n, times R because rows are divided by it, in the first slot of each block.
    fn mask(&self, scale: f64, left: usize) -> Result<Plaintext, HeError> {
        let Terms { rows, settings, scale: aim, .. } = &self.terms;
        let value = self.rate() * settings.range / f64::from(*rows);
        let mut slots = vec![0.0; self.layout.blocks * self.layout.block];
        slots.iter_mut().step_by(self.layout.block).for_each(|slot| *slot = value);
        self.encoder.encode_at(&slots, aim * self.modulus(left) / scale, left + 1)
    }

    /// `change` and multiples of other vectors, at its level.
    fn mixed(
        &self,
        terms: &[(f64, &Ciphertext)],
        change: &Ciphertext,
    ) -> Result<Ciphertext, HeError> {
        terms.iter().try_fold(change.clone(), |sum, (by, it)| {
            let it = (*it).clone().drop_to(change.moduli() + 1)?;
            sum.plus(&times(&self.encoder, it, *by, self.terms.scale)?)
        })
    }

    fn modulus(&self, at: usize) -> f64 {
        self.context().parameters().moduli()[at].value() as f64
    }
}

/// `it` times a number, at a scale of `scale`, with one modulus less.
fn times(encoder: &Encoder, it: Ciphertext, by: f64, scale: f64) -> Result<Ciphertext, HeError> {
    let left = it.moduli().checked_sub(1).ok_or(HeError::Exhausted)?;
    let modulus = encoder.context().parameters().moduli()[left].value() as f64;
    let unit = scale * modulus / it.scale();
    let by = encoder.constant(by, unit, it.moduli())?;
    it.multiply_plain(&by)?.rescale()?.with_scale(scale)
}

/// c₀, c₁ and c₃ of the cubic that is nearest to σ(−Rx) on [−1, 1]; c₂ is 0.
pub(super) fn sigmoid(range: f64) -> Result<[f64; 3], HeError> {
    let points: Vec<f64> =
        (0..POINTS).map(|at| 2.0 * at as f64 / (POINTS - 1) as f64 - 1.0).collect();
    let cubic = Polynomial::near(3, &points, |x| 1.0 / (1.0 + (range * x).exp()))?;
    let [c0, c1, _, c3] = cubic.coefficients() else {
        return Err(HeError::Values { got: cubic.degree(), limit: 3 });
    };
    Ok([*c0, *c1, *c3])
}
