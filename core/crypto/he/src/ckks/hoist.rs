//! Several rotations of one ciphertext at the price of one decomposition (Halevi & Shoup 2018, ePrint
//! 2018/244).

use nexus_field::rns::Modulus;

use crate::context::Context;
use crate::keys::{GaloisKeys, SwitchingKey};
use crate::switch::Residues;
use crate::{Ciphertext, HeError, Plaintext, threads};

/// The digits of a polynomial for all moduli and the one for keys.
struct Digits {
    /// By the modulus that they are taken for, that for keys last; one digit after the other.
    targets: Vec<Vec<u64>>,
}

impl Digits {
    fn of(context: &Context, words: &[u64], moduli: usize, special: usize) -> Self {
        let residues = Residues::of(context, words);
        let digits = |target| {
            let mut digits = vec![0; words.len()];
            residues.digits(target, &mut digits);
            digits
        };
        Self { targets: threads::map((0..moduli).chain([special]), digits) }
    }

    /// What the polynomial, after X → X^element, contributes under s.
    fn switched(&self, context: &Context, element: u64, key: &SwitchingKey) -> [Vec<u64>; 2] {
        let moduli = self.targets.len() - 1;
        key.products(moduli, |target, out| {
            context.permute(&self.targets[target.min(moduli)], element, out);
        })
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
        let [first, second] = self.pair("a rotation")?;
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
            context.each(&mut sum, &moved, Modulus::add_assign);
            Ok(Self::new(&self.context, vec![sum, other], self.moduli, self.scale))
        };
        threads::map(steps.iter(), rotated).into_iter().collect()
    }

    /// Σ cᵢ pᵢ, number by number, with nothing rounded between.
    ///
    /// # Errors
    /// As [`Ciphertext::multiply_plain`] and [`Ciphertext::plus`]; [`HeError::Transparent`] without
    /// terms.
    pub fn weighted_sum<'a>(terms: &[(&'a Self, &'a Plaintext)]) -> Result<Self, HeError> {
        let Some((first, by)) = terms.first() else {
            return Err(HeError::Transparent);
        };
        let scale = first.scaled(by.scale)?;
        for (term, weight) in terms {
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
            threads::each(context.limbs(&mut sum).enumerate(), |(limb, (transform, sum))| {
                let words = limb * context.degree()..(limb + 1) * context.degree();
                let pair = |(term, by): &(&'a Self, &'a Plaintext)| {
                    (&term.polynomials[at][words.clone()], &by.words[words.clone()])
                };
                let pairs: Vec<_> = terms.iter().map(pair).collect();
                transform.modulus().inner_product(sum, &pairs);
            });
            sum
        };
        let polynomials = (0..first.size()).map(polynomial).collect();
        let sum = Self::new(&first.context, polynomials, first.moduli, scale);
        sum.opaque()
    }
}
