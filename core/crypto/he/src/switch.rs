//! Switching: what a polynomial under another secret contributes under s.
//!
//! A polynomial is taken apart modulo α moduli at a time, α being how many are for keys, as in
//! hybrid key switching (Han & Ki 2020, ePrint 2019/688). With α = 1 all bits are those of SEAL.

use std::ops::Range;

use crate::Parameters;
use crate::context::{Context, with_room};
use crate::extension::{Extension, product};
use crate::keys::SwitchingKey;
use crate::threads;

/// What is needed more if several moduli are for keys.
#[derive(Debug)]
pub(crate) struct Hybrid {
    /// By part, and by how many moduli of it there are, from two on: to all moduli.
    up: Vec<Vec<Extension>>,
    /// From the moduli for keys, of product P, to those for data.
    down: Extension,
    /// 1/P modulo those.
    inverses: Vec<u64>,
}

impl Hybrid {
    /// None if one modulus is for keys, or none.
    pub(crate) fn new(parameters: &Parameters) -> Option<Self> {
        let (all, special) = (parameters.moduli(), parameters.special());
        let (data, keys) = all.split_at(parameters.top());
        if special < 2 {
            return None;
        }
        let part = |part: &[_]| {
            let count = 2..=part.len();
            count.map(|count| Extension::new(&part[..count], all, 1, |_| 1)).collect()
        };
        let inverse = |q: &nexus_field::rns::Modulus| q.inverse(product(keys, *q));
        Some(Self {
            up: data.chunks(special).map(part).collect(),
            down: Extension::new(keys, data, 1, |_| 1),
            inverses: data.iter().map(|q| inverse(q).unwrap_or_default()).collect(),
        })
    }
}

/// A part of a polynomial.
struct Part {
    /// The places of its moduli.
    places: Range<usize>,
    /// What an extension needs besides the integers.
    turns: Vec<u64>,
}

/// A polynomial taken apart.
pub(crate) struct Residues<'a> {
    context: &'a Context,
    /// The polynomial, transformed.
    words: &'a [u64],
    /// Its residues as integers; those of a part of several moduli prepared for extension.
    integers: Vec<u64>,
    parts: Vec<Part>,
}

impl<'a> Residues<'a> {
    pub(crate) fn of(context: &'a Context, words: &'a [u64]) -> Self {
        let (degree, each) = (context.degree(), context.parameters().special().max(1));
        let mut integers = words.to_vec();
        context.base().inverse(&mut integers);
        let moduli = words.len() / degree;
        let part = |(at, integers): (usize, &mut [u64])| {
            let places = at * each..((at + 1) * each).min(moduli);
            let extension = context.extension(at, places.len());
            Part { places, turns: extension.map_or(Vec::new(), |it| it.prepare(integers, degree)) }
        };
        let parts = threads::map(integers.chunks_mut(each * degree).enumerate(), part);
        Self { context, words, integers, parts }
    }

    /// Writes all parts modulo the modulus at `target`, transformed, but the part that has this modulus:
    /// it is there already.
    pub(crate) fn digits(&self, target: usize, out: &mut [u64]) -> Option<(usize, &[u64])> {
        let degree = self.context.degree();
        let transform = self.context.transform(target);
        let mut own = None;
        for (at, (part, room)) in self.parts.iter().zip(out.chunks_exact_mut(degree)).enumerate() {
            let Part { places, turns } = part;
            if places.contains(&target) {
                own = Some((at, &self.words[target * degree..(target + 1) * degree]));
                continue;
            }
            let integers = &self.integers[places.start * degree..places.end * degree];
            if let Some(extension) = self.context.extension(at, places.len()) {
                extension.extend(target, (integers, turns), room);
            } else {
                let bits = self.context.modulus(places.start).bits();
                transform.modulus().reduce_from(room, integers, 0, bits);
            }
            transform.forward(room);
        }
        own
    }

    /// Writes all parts.
    pub(crate) fn all(&self, target: usize, out: &mut [u64]) {
        let degree = self.context.degree();
        if let Some((at, own)) = self.digits(target, out) {
            out[at * degree..(at + 1) * degree].copy_from_slice(own);
        }
    }
}

impl Context {
    /// What extends a part of so many moduli, if there are several.
    fn extension(&self, part: usize, moduli: usize) -> Option<&Extension> {
        self.hybrid()?.up.get(part)?.get(moduli.checked_sub(2)?)
    }

    /// Divides a transformed polynomial by the product of the moduli for keys, rounding: `kept` are its
    /// residues for the first moduli, `last` those for these, which are used up.
    fn divide_by_special(&self, kept: &mut [u64], last: &mut [u64], special: Range<usize>) {
        let Some(Hybrid { down, inverses, .. }) = self.hybrid() else {
            return self.divide(kept, last, special.start);
        };
        threads::each(special.zip(last.chunks_exact_mut(self.degree())), |(at, limb)| {
            self.transform(at).inverse(limb);
        });
        let turns = down.prepare(last, self.degree());
        let rest = |to: usize, room: &mut [u64]| down.extend(to, (last, &turns), room);
        self.subtract(kept, |to| inverses[to], rest);
    }
}

impl SwitchingKey {
    /// What `words`, transformed and for the first `moduli` moduli, contributes under s.
    pub(crate) fn switch(&self, words: &[u64], moduli: usize) -> [Vec<u64>; 2] {
        let residues = Residues::of(self.context(), words);
        self.products(moduli, |_, target, out| residues.digits(target, out))
    }

    /// Σ part · pair, divided by the moduli for keys: `digits` writes all parts modulo the modulus at a
    /// place, transformed, or says where one of them is; it is told before which of the targets that
    /// is: those of the first `moduli` moduli, then those for keys.
    pub(crate) fn products<'a>(
        &self,
        moduli: usize,
        digits: impl Fn(usize, usize, &mut [u64]) -> Option<(usize, &'a [u64])> + Sync,
    ) -> [Vec<u64>; 2] {
        let (context, special) = (&**self.context(), self.special());
        let (degree, parts) = (context.degree(), context.parameters().parts(moduli));
        let mut sums = [0, 1].map(|_| vec![0; (moduli + special.len()) * degree]);
        let [first, second] = &mut sums;
        let limbs = first.chunks_exact_mut(degree).zip(second.chunks_exact_mut(degree));
        let targets = (0..moduli).chain(special.clone()).enumerate();
        threads::each(targets.zip(limbs), |((at, target), sums)| {
            let (modulus, limb) = (context.modulus(target), target * degree..(target + 1) * degree);
            with_room(parts * degree, |room| {
                let elsewhere = digits(at, target, room);
                let mut parts: Vec<&[u64]> = room.chunks_exact(degree).collect();
                if let Some((part, words)) = elsewhere {
                    parts[part] = words;
                }
                for (half, sum) in [sums.0, sums.1].into_iter().enumerate() {
                    let keys = self.pairs().iter().map(|pair| &pair[half][limb.clone()]);
                    let terms: Vec<_> = parts.iter().copied().zip(keys).collect();
                    modulus.inner_product(sum, &terms);
                }
            });
        });
        threads::each(sums.iter_mut(), |sum| {
            let (kept, last) = sum.split_at_mut(moduli * degree);
            context.divide_by_special(kept, last, special.clone());
            sum.truncate(moduli * degree);
        });
        sums
    }
}
