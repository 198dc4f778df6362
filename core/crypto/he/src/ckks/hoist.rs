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
        let (degree, moduli, key_pairs) = (context.degree(), self.moduli, key.pairs());
        let special = key_pairs.len();
        let order = context.order(element);
        let mut sums = [vec![0; moduli * degree], vec![0; moduli * degree]];
        let mut last = [vec![0; degree], vec![0; degree]];
        let mut moved = vec![0; self.digits.len() * degree];
        for (limb, target) in (0..moduli).chain([special]).enumerate() {
            for (moved, digit) in moved.chunks_exact_mut(degree).zip(&self.digits) {
                let digit = &digit[limb * degree..(limb + 1) * degree];
                for (to, from) in moved.iter_mut().zip(&*order) {
                    *to = digit[*from as usize];
                }
            }
            for half in 0..2 {
                let sum = match sums[half].get_mut(limb * degree..(limb + 1) * degree) {
                    Some(sum) => sum,
                    None => &mut last[half],
                };
                let key = target * degree..(target + 1) * degree;
                let keys = key_pairs.iter().map(|pair| &pair[half][key.clone()]);
                let terms: Vec<_> = moved.chunks_exact(degree).zip(keys).collect();
                context.modulus(target).inner_product(sum, &terms);
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
    pub fn weighted_sum<'a>(terms: &[(&'a Self, &'a Plaintext)]) -> Result<Self, HeError> {
        let Some(((first, by), others)) = terms.split_first() else {
            return Err(HeError::Transparent);
        };
        let scale = first.scaled(by.scale)?;
        for (term, weight) in others.iter().chain([&(*first, *by)]) {
            first.fits(term)?;
            first.fits_plain(weight)?;
            super::evaluate::close(scale, term.scale * weight.scale)?;
            if term.size() != first.size() {
                return Err(HeError::Size {
                    what: "a sum",
                    got: term.size(),
                    needed: first.size(),
                });
            }
        }
        let context = &*first.context;
        let polynomial = |at: usize| {
            let mut sum = vec![0; first.moduli * context.degree()];
            for (limb, (transform, sum)) in context.limbs(&mut sum).enumerate() {
                let words = limb * context.degree()..(limb + 1) * context.degree();
                let pair = |(term, by): &(&'a Self, &'a Plaintext)| {
                    (&term.polynomials[at][words.clone()], &by.words[words.clone()])
                };
                let pairs: Vec<_> = terms.iter().map(pair).collect();
                transform.modulus().inner_product(sum, &pairs);
            }
            sum
        };
        let polynomials = (0..first.size()).map(polynomial).collect();
        let sum = Self::new(&first.context, polynomials, first.moduli, scale);
        sum.opaque()
    }
}
