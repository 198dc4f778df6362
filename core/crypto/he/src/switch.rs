//! Switching: what a polynomial under another secret contributes under s.

use crate::context::{Context, with_room};
use crate::keys::SwitchingKey;
use crate::threads;

/// A polynomial taken apart: its residues for each of the first moduli, as integers.
pub(crate) struct Residues<'a> {
    context: &'a Context,
    /// The polynomial, transformed.
    words: &'a [u64],
    integers: Vec<u64>,
}

impl<'a> Residues<'a> {
    pub(crate) fn of(context: &'a Context, words: &'a [u64]) -> Self {
        let mut integers = words.to_vec();
        context.base().inverse(&mut integers);
        Self { context, words, integers }
    }

    /// Writes all of them modulo the modulus at `target`, transformed.
    pub(crate) fn digits(&self, target: usize, out: &mut [u64]) {
        let degree = self.context.degree();
        let transform = self.context.transform(target);
        let rooms = out.chunks_exact_mut(degree).zip(self.integers.chunks_exact(degree));
        for (at, (room, integers)) in rooms.enumerate() {
            if at == target {
                room.copy_from_slice(&self.words[at * degree..(at + 1) * degree]);
            } else {
                transform.modulus().reduce_from(room, integers);
                transform.forward(room);
            }
        }
    }
}

impl SwitchingKey {
    /// What `words`, transformed and for the first `moduli` moduli, contributes under s.
    ///
    /// For each modulus j: the residues modulo j as integers, times the pair of digit j; the sum
    /// divided by the modulus for keys.
    pub(crate) fn switch(&self, words: &[u64], moduli: usize) -> [Vec<u64>; 2] {
        let residues = Residues::of(self.context(), words);
        self.products(moduli, |target, out| residues.digits(target, out))
    }

    /// Σ digit · pair, divided by the modulus for keys: `digits` writes a digit for each of the first
    /// `moduli` moduli, modulo the modulus at the place it is told, transformed.
    pub(crate) fn products(
        &self,
        moduli: usize,
        digits: impl Fn(usize, &mut [u64]) + Sync,
    ) -> [Vec<u64>; 2] {
        let (context, special) = (&**self.context(), self.pairs().len());
        let degree = context.degree();
        // The modulus for keys comes after all others.
        let mut sums = [0, 1].map(|_| vec![0; (moduli + 1) * degree]);
        let [first, second] = &mut sums;
        let limbs = first.chunks_exact_mut(degree).zip(second.chunks_exact_mut(degree));
        threads::each((0..moduli).chain([special]).zip(limbs), |(target, sums)| {
            let (modulus, limb) = (context.modulus(target), target * degree..(target + 1) * degree);
            with_room(moduli * degree, |room| {
                digits(target, room);
                for (half, sum) in [sums.0, sums.1].into_iter().enumerate() {
                    let keys = self.pairs().iter().map(|pair| &pair[half][limb.clone()]);
                    let terms: Vec<_> = room.chunks_exact(degree).zip(keys).collect();
                    modulus.inner_product(sum, &terms);
                }
            });
        });
        threads::each(sums.iter_mut(), |sum| {
            let (kept, last) = sum.split_at_mut(moduli * degree);
            context.divide(kept, last, special);
            sum.truncate(moduli * degree);
        });
        sums
    }
}
