//! What owner and worker agree on.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_he::{Context, Parameters, Scheme};
use nexus_types::Canonical;

use super::EncryptedError;
use crate::LearningError;
use crate::local::fits;

/// Moduli that a step uses up.
pub(super) const DEPTH: usize = 4;
/// Degrees that are tried, smallest first.
const DEGREES: [usize; 3] = [8192, 16_384, 32_768];
/// Bits of the scale that are tried, best first: with them no prime is above 50 bits.
const SCALE_BITS: std::ops::RangeInclusive<u32> = 30..=37;
/// Bits that the last modulus has more than the scale: weights are below 2^8.
const HEADROOM: u32 = 9;
/// Bits that the prime for keys has more than the scale.
const KEY_HEADROOM: u32 = 13;
/// The most bytes that keys take in memory, and that rows do.
const MAX_BYTES: u64 = 1 << 30;

/// How is trained.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Settings {
    /// Steps of an exchange, from 1 to 5: more need larger parameters.
    pub steps: u32,
    /// Step size, on the mean loss of all rows.
    pub learning_rate: f64,
    /// Nesterov's momentum, from 0 to below 1.
    pub momentum: f64,
    /// The weight of |v|²/2 in the loss.
    pub weight_decay: f64,
    /// The largest |v·z| that the sigmoid is made for.
    pub range: f64,
}

impl Default for Settings {
    /// One step in an exchange, of size 1 and momentum 0.9; a range of 8.
    fn default() -> Self {
        Self { steps: 1, learning_rate: 1.0, momentum: 0.9, weight_decay: 0.0, range: 8.0 }
    }
}

impl Settings {
    /// That every setting has a meaning.
    ///
    /// # Errors
    /// [`LearningError::Setting`] names the first that has none.
    pub fn check(&self) -> Result<(), LearningError> {
        let all = [
            ("steps", f64::from(self.steps), 1.0..=5.0, "from 1 to 5"),
            ("learning_rate", self.learning_rate, 1e-6..=1e3, "from 1e-6 to 1000"),
            ("momentum", self.momentum, 0.0..=0.999, "from 0 to 0.999"),
            ("weight_decay", self.weight_decay, 0.0..=1.0, "from 0 to 1"),
            ("sigmoid_range", self.range, 1.0..=64.0, "from 1 to 64"),
        ];
        for (name, got, range, allowed) in all {
            if !range.contains(&got) {
                return Err(LearningError::Setting { name, got, allowed });
            }
        }
        Ok(())
    }
}

/// All that a worker must know. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Terms {
    /// N.
    pub degree: u32,
    /// The primes, the one for keys last.
    pub moduli: Vec<u64>,
    /// Scale of all that is sent.
    pub scale: f64,
    /// Rows.
    pub rows: u32,
    /// Numbers of a row, and the constant.
    pub numbers: u32,
    /// How is trained.
    pub settings: Settings,
}

impl Canonical for Terms {
    const DOMAIN: &'static str = "nexus/learning/encrypted-terms";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 4096;
}

/// Where numbers are in slots: a block for each number of a row, a slot in it for each row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Blocks: a power of two.
    pub(super) blocks: usize,
    /// Slots of a block: a power of two.
    pub(super) block: usize,
    /// Ciphertexts for all rows.
    pub(super) parts: usize,
}

impl Layout {
    /// Rotations that add up all blocks.
    pub(super) fn over_blocks(self) -> impl Iterator<Item = i64> {
        doubling(self.block, self.block * self.blocks)
    }

    /// Rotations that add up the slots of a block, to its first.
    pub(super) fn within_block(self) -> impl Iterator<Item = i64> {
        doubling(1, self.block)
    }

    /// The rotation that takes the first slot of a block to its last.
    pub(super) const fn to_last(self) -> i64 {
        1 - self.block.cast_signed() as i64
    }

    pub(super) fn rotations(self) -> Vec<i64> {
        let last = Some(self.to_last()).filter(|step| *step != 0);
        self.over_blocks().chain(self.within_block()).chain(last).collect()
    }
}

/// `from`, twice that, and so on below `to`.
fn doubling(from: usize, to: usize) -> impl Iterator<Item = i64> {
    let steps = std::iter::successors(Some(from), |step| Some(2 * step));
    steps.take_while(move |step| *step < to).map(|step| step.cast_signed() as i64)
}

impl Terms {
    /// The smallest parameters for so many rows of so many numbers.
    ///
    /// # Errors
    /// [`EncryptedError`] naming what does not fit, before anything of its size is allocated.
    pub fn plan(rows: usize, numbers: usize, settings: &Settings) -> Result<Self, EncryptedError> {
        settings.check()?;
        let [rows, numbers] = [rows, numbers + 1].map(|it| u32::try_from(it).unwrap_or(u32::MAX));
        let depth = DEPTH * settings.steps as usize;
        let fits = |degree: &usize| (numbers as usize).next_power_of_two() <= degree / 2;
        let choice = DEGREES.into_iter().filter(fits).find_map(|degree| {
            SCALE_BITS.rev().find_map(|bits| {
                let all = [vec![bits + HEADROOM], vec![bits; depth], vec![bits + KEY_HEADROOM]];
                Some((Parameters::ckks(degree, &all.concat()).ok()?, bits))
            })
        });
        let none = EncryptedError::Deep { steps: settings.steps, numbers };
        let (parameters, bits) = choice.ok_or(none)?;
        let terms = Self {
            degree: u32::try_from(parameters.degree()).unwrap_or(u32::MAX),
            moduli: parameters.moduli().iter().map(|modulus| modulus.value()).collect(),
            scale: 2_f64.powi(bits.cast_signed()),
            rows,
            numbers,
            settings: *settings,
        };
        terms.check_bytes()?;
        Ok(terms)
    }

    /// The tables of its parameters, after a look at everything: it may come from a stranger.
    ///
    /// # Errors
    /// [`EncryptedError`] naming what is wrong.
    pub fn context(&self) -> Result<Arc<Context>, EncryptedError> {
        self.settings.check()?;
        let parameters = Parameters::new(Scheme::Ckks, self.degree as usize, &self.moduli, None)?;
        fits("moduli", self.moduli.len(), self.top() + 1)?;
        if !(self.scale >= 1.0 && self.scale <= 2_f64.powi(60)) {
            return Err(EncryptedError::Number { what: "the scale", got: self.scale });
        }
        let numbers = self.numbers as usize;
        if self.rows == 0 || numbers < 2 || numbers.next_power_of_two() > self.slots() {
            let (steps, numbers) = (self.settings.steps, self.numbers);
            return Err(EncryptedError::Deep { steps, numbers });
        }
        self.check_bytes()?;
        Ok(Context::new(parameters)?)
    }

    /// Bytes of keys and of rows in memory.
    pub fn bytes(&self) -> [u64; 2] {
        let (layout, top) = (self.layout(), self.top() as u64);
        let pair = |moduli: u64| 2 * moduli * u64::from(self.degree) * 8;
        let keys = 1 + layout.rotations().len() as u64;
        // Each row is there twice, once with a factor.
        [keys * top * pair(top + 1), 2 * layout.parts as u64 * pair(top)]
    }

    fn check_bytes(&self) -> Result<(), EncryptedError> {
        for (what, got) in ["keys", "rows"].into_iter().zip(self.bytes()) {
            if got > MAX_BYTES {
                return Err(EncryptedError::Large { what, got, limit: MAX_BYTES });
            }
        }
        Ok(())
    }

    /// Moduli for data.
    pub(super) const fn top(&self) -> usize {
        DEPTH * self.settings.steps as usize + 1
    }

    const fn slots(&self) -> usize {
        self.degree as usize / 2
    }

    pub(super) fn layout(&self) -> Layout {
        let blocks = (self.numbers as usize).next_power_of_two();
        let block = (self.slots() / blocks).max(1);
        Layout { blocks, block, parts: (self.rows as usize).div_ceil(block) }
    }

    /// Ciphertexts of weights: with momentum, those of the velocity are there, too.
    pub(super) fn states(&self) -> usize {
        if self.settings.momentum > 0.0 { 2 } else { 1 }
    }
}
