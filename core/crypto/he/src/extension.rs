//! From residues modulo some primes to residues modulo others.

use nexus_field::rns::{Modulus, nearest_sum};

/// The product of all, modulo q.
pub(crate) fn product(moduli: &[Modulus], q: Modulus) -> u64 {
    moduli.iter().fold(q.reduce(1), |product, other| q.mul(product, q.reduce(other.value())))
}

/// (Q/qᵢ)^−1 modulo qᵢ, of the product Q of all.
pub(crate) fn share(moduli: &[Modulus], at: usize) -> u64 {
    let own = moduli[at];
    let others = moduli.iter().enumerate().filter(|(other, _)| *other != at);
    let product = others
        .fold(own.reduce(1), |product, (_, other)| own.mul(product, own.reduce(other.value())));
    own.inverse(product).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, reason = "the low word")]
pub(crate) const fn low(word: u128) -> u64 {
    word as u64
}

/// ⌊a·b/2^64⌋.
pub(crate) fn high(a: u64, b: u64) -> u64 {
    low((u128::from(a) * u128::from(b)) >> 64)
}

/// From residues modulo some primes to those modulo others, of the integer of smallest magnitude.
#[derive(Debug)]
pub(crate) struct Extension {
    sources: Vec<Source>,
    /// Each prime, Q/qᵢ modulo it, and at the end −Q.
    targets: Vec<(Modulus, Vec<u64>)>,
    /// Bits of the largest source.
    bits: u32,
}

/// A prime that is extended from.
#[derive(Debug)]
struct Source {
    modulus: Modulus,
    /// (Q/qᵢ)^−1 modulo it.
    share: u64,
}

impl Extension {
    /// Of `into`·x, times `out` modulo each target.
    pub(crate) fn new(
        sources: &[Modulus],
        targets: &[Modulus],
        into: u64,
        out: impl Fn(Modulus) -> u64,
    ) -> Self {
        let source = |(at, modulus): (usize, &Modulus)| Source {
            modulus: *modulus,
            share: modulus.mul(share(sources, at), modulus.reduce(into)),
        };
        let target = |p: &Modulus| {
            let all = p.mul(product(sources, *p), out(*p));
            let part = |q: &Modulus| {
                let inverse = p.inverse(p.reduce(q.value())).unwrap_or_default();
                p.mul(all, inverse)
            };
            (*p, sources.iter().map(part).chain([p.neg(all)]).collect())
        };
        Self {
            sources: sources.iter().enumerate().map(source).collect(),
            targets: targets.iter().map(target).collect(),
            bits: sources.iter().map(|modulus| modulus.bits()).max().unwrap_or_default(),
        }
    }

    /// The limbs for the targets, of coefficients whose limbs for the sources are used up.
    pub(crate) fn apply(&self, limbs: &mut [u64], degree: usize) -> Vec<u64> {
        let limbs = &mut limbs[..self.sources.len() * degree];
        let turns = self.prepare(limbs, degree);
        let mut out = vec![0; self.targets.len() * degree];
        for (target, out) in out.chunks_exact_mut(degree).enumerate() {
            self.extend(target, (&*limbs, &turns), out);
        }
        out
    }

    /// Multiplies each limb by its share, and says how many multiples of Q their sum is above the integer
    /// of smallest magnitude.
    pub(crate) fn prepare(&self, limbs: &mut [u64], degree: usize) -> Vec<u64> {
        for (source, limb) in self.sources.iter().zip(limbs.chunks_exact_mut(degree)) {
            source.modulus.scale(limb, source.share);
        }
        let moduli = self.sources.iter().map(|source| source.modulus);
        let terms: Vec<_> = limbs.chunks_exact(degree).zip(moduli).collect();
        let mut turns = vec![0; degree];
        nearest_sum(&mut turns, &terms);
        turns
    }

    /// The limb for one target, of what was prepared.
    pub(crate) fn extend(&self, target: usize, (limbs, turns): (&[u64], &[u64]), out: &mut [u64]) {
        let (modulus, weights) = &self.targets[target];
        let vectors = limbs.chunks_exact(out.len()).chain([turns]);
        let terms: Vec<_> = vectors.zip(weights.iter().copied()).collect();
        modulus.weighted_sum(out, &terms, self.bits);
    }
}
