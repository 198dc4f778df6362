//! Several rotations of one ciphertext at the price of one decomposition (Halevi & Shoup 2018, ePrint
//! 2018/244).

use std::ops::Range;

use nexus_field::rns::Modulus;

use crate::context::Context;
use crate::keys::{GaloisKeys, SwitchingKey};
use crate::switch::Residues;
use crate::{Ciphertext, HeError, Plaintext, threads};

/// The parts of a polynomial for all moduli.
struct Digits {
    /// By the modulus that they are taken for, those for keys last; one part after the other.
    targets: Vec<Vec<u64>>,
}

impl Digits {
    fn of(context: &Context, words: &[u64], moduli: usize, special: Range<usize>) -> Self {
        let residues = Residues::of(context, words);
        let digits = |target| {
            let mut digits = vec![0; context.parameters().parts(moduli) * context.degree()];
            residues.all(target, &mut digits);
            digits
        };
        Self { targets: threads::map((0..moduli).chain(special), digits) }
    }

    /// What the polynomial, after X → X^element, contributes under s.
    fn switched(
        &self,
        (context, moduli): (&Context, usize),
        element: u64,
        key: &SwitchingKey,
    ) -> [Vec<u64>; 2] {
        key.products(moduli, |at, _, out| {
            context.permute(&self.targets[at], element, out);
            None
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
        let special = context.special()?;
        let worth = steps.iter().any(|step| *step != 0);
        let digits = worth.then(|| Digits::of(context, second, self.moduli, special));
        let rotated = |step: &i64| {
            let Some(digits) = digits.as_ref().filter(|_| *step != 0) else {
                return Ok(self.clone());
            };
            let element = context.rotation(*step)?;
            let [mut sum, other] =
                digits.switched((context, self.moduli), element, keys.key(element)?);
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
    pub fn weighted_sum(terms: &[(&Self, &Plaintext)]) -> Result<Self, HeError> {
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
                let pairs = terms.iter().map(|(term, by)| {
                    (&term.polynomials[at][words.clone()], &by.words[words.clone()])
                });
                let pairs: Vec<_> = pairs.collect();
                transform.modulus().inner_product(sum, &pairs);
            });
            sum
        };
        let polynomials = (0..first.size()).map(polynomial).collect();
        let sum = Self::new(&first.context, polynomials, first.moduli, scale);
        sum.opaque()
    }

    /// Σ aᵢ bᵢ, number by number, of three polynomials, with nothing reduced between.
    ///
    /// # Errors
    /// As [`Ciphertext::multiply`] and [`Ciphertext::plus`]; [`HeError::Transparent`] without terms.
    pub fn sum_of_products(terms: &[(&Self, &Self)]) -> Result<Self, HeError> {
        let Some((first, by)) = terms.first() else {
            return Err(HeError::Transparent);
        };
        let scale = first.scaled(by.scale)?;
        let mut pairs = Vec::with_capacity(terms.len());
        for (a, b) in terms {
            first.fits(a)?;
            first.fits(b)?;
            super::evaluate::close(scale, a.scale * b.scale)?;
            pairs.push((a.pair("a product")?, b.pair("a product")?));
        }
        let context = &*first.context;
        // Which polynomials of both meet in each of the product.
        let meet: [&[(usize, usize)]; 3] = [&[(0, 0)], &[(0, 1), (1, 0)], &[(1, 1)]];
        let polynomial = |meet: &[(usize, usize)]| {
            let mut sum = vec![0; first.moduli * context.degree()];
            threads::each(context.limbs(&mut sum).enumerate(), |(limb, (transform, sum))| {
                let words = limb * context.degree()..(limb + 1) * context.degree();
                let pairs = pairs.iter().flat_map(|(a, b)| {
                    meet.iter().map(|(i, j)| (&a[*i][words.clone()], &b[*j][words.clone()]))
                });
                transform.modulus().inner_product(sum, &pairs.collect::<Vec<_>>());
            });
            sum
        };
        let polynomials = meet.into_iter().map(polynomial).collect();
        Self::new(&first.context, polynomials, first.moduli, scale).opaque()
    }
}
