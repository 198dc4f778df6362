//! Damage, the same for the same seed.

use std::fmt;

use nexus_types::{Seed, SeededRng};

use crate::frames;

/// Bytes and lengths at which decoders err.
const BYTES: [u8; 6] = [0, 1, 2, 0x7f, 0x80, 0xff];
const WORDS: [u32; 6] = [0, 1, 0xff, 0x1_0000, 0x7fff_ffff, u32::MAX];
/// Most changes to one input, and most bytes added by one of them.
const MOST: usize = 4;
const LONGEST: usize = 64;

/// A source of damaged inputs.
pub struct Mutator(SeededRng);

impl fmt::Debug for Mutator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutator(..)")
    }
}

impl Mutator {
    /// The source of that seed.
    pub fn new(seed: u64) -> Self {
        Self(Seed::from_number(seed).derive("fuzz", &[]).rng())
    }

    /// One of `inputs` with one to four changes, some of them pieces of another input; of objects of
    /// SEAL, mostly such that lengths and compression fit again.
    pub fn next(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.pick(inputs).to_vec();
        if self.index(4) > 0
            && let Some(damaged) = frames::damaged(self, &bytes)
        {
            return damaged;
        }
        self.damage(&mut bytes, inputs);
        bytes
    }

    /// One to four changes of bytes.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        for _ in 0..=self.index(MOST) {
            self.change(bytes, inputs);
        }
    }

    fn change(&mut self, bytes: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let at = self.index(bytes.len() + 1);
        let end = bytes.len().min(at + self.index(LONGEST));
        match self.index(7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.extend_from_within(at..end),
            3 => drop(bytes.splice(at..end, self.piece(inputs))),
            4 => overwrite(bytes, at, &[BYTES[self.index(BYTES.len())]]),
            5 => overwrite(bytes, at, &WORDS[self.index(WORDS.len())].to_le_bytes()),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.index(8);
                }
            }
        }
    }

    fn piece(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let other = self.pick(inputs);
        let from = self.index(other.len() + 1);
        let to = other.len().min(from + self.index(LONGEST));
        other[from..to].to_vec()
    }

    fn pick<'a>(&mut self, inputs: &'a [Vec<u8>]) -> &'a [u8] {
        if inputs.is_empty() { &[] } else { &inputs[self.index(inputs.len())] }
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound as u64)).unwrap_or_default()
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (byte, new) in bytes[at..].iter_mut().zip(with) {
        *byte = *new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_repeatable_and_varied() {
        let inputs = [vec![7; 40], (0..200).collect()];
        let draw = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..100).map(|_| mutator.next(&inputs)).collect::<Vec<_>>()
        };
        let drawn = draw(1);
        assert_eq!(drawn, draw(1));
        assert_ne!(drawn, draw(2));
        assert!(drawn.iter().any(|bytes| bytes.len() > 200));
        assert!(drawn.iter().any(|bytes| bytes.len() < 40));
        assert!(drawn.iter().filter(|bytes| !inputs.contains(bytes)).count() > 80);
        assert_eq!(Mutator::new(1).next(&[]).len(), 0);
    }
}
