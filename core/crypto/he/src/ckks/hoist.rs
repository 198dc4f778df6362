//! Several rotations of one ciphertext at the price of one decomposition (Halevi & Shoup 2018, ePrint
//! 2018/244).

use crate::context::Context;
use crate::keys::{GaloisKeys, SwitchingKey};
use crate::{Ciphertext, HeError, Plaintext};

/// A polynomial taken apart for switching: its residues for each modulus, as integers, for all moduli
/// and the one for keys, transformed.
struct Digits {
    digits: Vec<Vec<u64>>,
    moduli: usize,
}

impl Digits {
    fn of(context: &Context, words: &[u64], moduli: usize, special: usize) -> Self {
        let degree = context.degree();
        let mut residues = words.to_vec();
        context.limbs(&mut residues).for_each(|(transform, limb)| transform.inverse(limb));
        let digit = |(at, residues): (usize, &[u64])| {
            let mut digit = vec![0; (moduli + 1) * degree];
            let targets = (0..moduli).chain([special]).zip(digit.chunks_exact_mut(degree));
            for (target, limb) in targets {
                if target == at {
                    limb.copy_from_slice(&words[at * degree..(at + 1) * degree]);
                    continue;
                }
                let transform = context.transform(target);
                transform.modulus().reduce_from(limb, residues);
                transform.forward(limb);
            }
            digit
        };
        let digits = residues.chunks_exact(degree).enumerate().map(digit).collect();
        Self { digits, moduli }
    }

    /// What the polynomial, after X → X^element, contributes under s.
    fn switched(&self, context: &Context, element: u64, key: &SwitchingKey) -> [Vec<u64>; 2] {
        let (degree, moduli, special) = (context.degree(), self.moduli, key.pairs().len());
        let order = context.order(element);
        let mut sums = [vec![0; moduli * degree], vec![0; moduli * degree]];
        let mut last = [vec![0; degree], vec![0; degree]];
        let mut moved = vec![0; degree];
        for (limb, target) in (0..moduli).chain([special]).enumerate() {
            let modulus = context.modulus(target);
            for (digit, pair) in self.digits.iter().zip(key.pairs()) {
                let digit = &digit[limb * degree..(limb + 1) * degree];
                for (to, from) in moved.iter_mut().zip(&*order) {
                    *to = digit[*from as usize];
                }
                for half in 0..2 {
                    let sum = match sums[half].get_mut(limb * degree..(limb + 1) * degree) {
                        Some(sum) => sum,
                        None => &mut last[half],
                    };
                    modulus.mul_add(
                        sum,
                        &moved,
                        &pair[half][target * degree..(target + 1) * degree],
                    );
                }
            }
        }
        for (sum, last) in sums.iter_mut().zip(&mut last) {
            context.divide(sum, last, special);
        }
        sums
    }
}

impl Ciphertext {
    /// Its rotations to the left by each of `steps`, as [`Ciphertext::rotate`] gives them but for the
    /// last bits of the error.
    ///
    /// # Errors
    /// As [`Ciphertext::rotate`].
    pub fn rotations(&self, steps: &[i64], keys: &GaloisKeys) -> Result<Vec<Self>, HeError> {
        keys.context().same(&self.context)?;
        let [first, second] = &*self.polynomials else {
            return Err(HeError::Size { what: "a rotation", got: self.size(), needed: 2 });
        };
        let context = &*self.context;
        let Some(special) = context.special() else {
            return Err(HeError::Moduli { got: 1, least: 2, most: crate::MAX_MODULI });
        };
        let worth = steps.iter().any(|step| *step != 0);
        let digits = worth.then(|| Digits::of(context, second, self.moduli, special));
        let rotated = |step: &i64| {
            let Some(digits) = digits.as_ref().filter(|_| *step != 0) else {
                return Ok(self.clone());
            };
            let element = context.rotation(*step)?;
            let [mut sum, other] = digits.switched(context, element, keys.key(element)?);
            let moved = context.permuted(first, element);
            for ((transform, sum), moved) in
                context.limbs(&mut sum).zip(moved.chunks_exact(context.degree()))
            {
                transform.modulus().add_assign(sum, moved);
            }
            Ok(Self::new(&self.context, vec![sum, other], self.moduli, self.scale))
        };
        steps.iter().map(rotated).collect()
    }

    /// Σ cᵢ pᵢ, number by number, with nothing rounded between.
    ///
    /// # Errors
    /// As [`Ciphertext::multiply_plain`] and [`Ciphertext::plus`]; [`HeError::Transparent`] without
    /// terms.
    pub fn weighted_sum(terms: &[(&Self, &Plaintext)]) -> Result<Self, HeError> {
        let Some(((first, by), others)) = terms.split_first() else {
            return Err(HeError::Transparent);
        };
        let mut sum = (*first).clone().multiply_plain(by)?;
        for (term, by) in others {
            sum.fits(term)?;
            sum.fits_plain(by)?;
            super::evaluate::close(sum.scale, term.scale * by.scale)?;
            if term.size() != sum.size() {
                return Err(HeError::Size { what: "a sum", got: term.size(), needed: sum.size() });
            }
            let context = &*first.context;
            for (sum, term) in sum.polynomials.iter_mut().zip(&term.polynomials) {
                let limbs = term
                    .chunks_exact(context.degree())
                    .zip(by.words.chunks_exact(context.degree()));
                for ((transform, sum), (term, by)) in context.limbs(sum).zip(limbs) {
                    transform.modulus().mul_add(sum, term, by);
                }
            }
        }
        sum.opaque()
    }
}
