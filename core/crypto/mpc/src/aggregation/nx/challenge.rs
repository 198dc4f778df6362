//! Challenges that nobody can choose: what is checked is fixed before they are known.

use blake3::OutputReader;
use borsh::BorshSerialize;
use nexus_field::{Cubic, Fp};
use nexus_types::{Digest, OwnerId, borsh};

use super::masked::Masked;
use super::message::Header;
use crate::sharing::Extension;
use crate::twin::{Check, enforced};

/// What a twin binds challenges to that are to be bound to a sum.
const NOWHERE: Digest = Digest([0; 32]);

fn xof(domain: &str, parts: &impl BorshSerialize) -> OutputReader {
    // Writing plain values into a vector does not fail.
    let bytes = borsh::to_vec(parts).unwrap_or_default();
    blake3::Hasher::new_derive_key(domain).update(&bytes).finalize_xof()
}

/// The challenge of the check of packets: it depends on everything in the header but the answer.
pub(super) fn packets(header: &Header) -> Cubic {
    let Header { manifest, owner, masked, packets, commitment, check: _ } = header;
    let bound = enforced(Check::PacketChallenge);
    let place = if bound { (*manifest, *owner) } else { (NOWHERE, OwnerId(0)) };
    let parts = (place, masked, packets, commitment);
    Cubic::from_xof(&mut xof("nexus/mpc/nx/packet challenge v1", &parts))
}

/// The challenge of the fingerprints. It depends on the summed vectors besides the certified
/// set: were it known before them, a short vector that has no fingerprint could be added.
pub(super) fn fingerprints(manifest: &Digest, proposal: &Digest, sums: &Digest) -> Cubic {
    let parts = (manifest, proposal, sums);
    Cubic::from_xof(&mut xof("nexus/mpc/nx/fingerprint challenge v1", &parts))
}

/// Digest of the summed vectors of all leaves.
pub(super) fn sums_digest(sums: &[Masked]) -> Digest {
    let digests: Vec<_> = sums.iter().map(Masked::digest).collect();
    let bytes = borsh::to_vec(&digests).unwrap_or_default();
    Digest::of("nexus/mpc/nx/sums v1", &bytes)
}

/// A linear fingerprint of vectors: `sum of r^l c_l`, l from 1. Two vectors that differ have the
/// same one with probability at most words/p^3 over `r`.
pub(super) struct Fingerprint {
    /// r, r^2, .. r^BLOCK.
    powers: [Cubic; BLOCK],
}

/// Words that are weighed with known powers: for vectors of a few thousand words, about as many as
/// there are blocks.
const BLOCK: usize = 128;

impl Fingerprint {
    pub(super) fn new(r: Cubic) -> Self {
        let mut power = Cubic::ONE;
        let powers = std::array::from_fn(|_| {
            power *= r;
            power
        });
        Self { powers }
    }

    pub(super) fn of(&self, vector: &Masked) -> Cubic {
        let step = self.powers[BLOCK - 1];
        vector
            .words()
            .chunks(BLOCK)
            .rev()
            .fold(Cubic::ZERO, |sum, words| sum * step + self.dot(words))
    }

    fn dot(&self, words: &[u64]) -> Cubic {
        Cubic::weigh(self.powers.iter().zip(words).map(|(power, word)| (*power, Fp::new(*word))))
    }
}

/// Divides `survivors` into `leaves` parts of nearly equal size, by a shuffle that depends on
/// manifest and certified set: redrawn in every round, so that two owners share a part by chance
/// only.
pub(super) fn leaves<T: Clone>(
    manifest: &Digest,
    proposal: &Digest,
    survivors: &[T],
    leaves: usize,
) -> Vec<Vec<T>> {
    let fresh = enforced(Check::FreshLeaves);
    let set = if fresh { (manifest, proposal) } else { (&NOWHERE, &NOWHERE) };
    let mut stream = xof("nexus/mpc/nx/leaves v1", &set);
    let mut shuffled = survivors.to_vec();
    for last in (1..shuffled.len()).rev() {
        shuffled.swap(last, below(&mut stream, last as u64 + 1));
    }
    let leaves = leaves.clamp(1, shuffled.len().max(1));
    let mut parts = vec![Vec::new(); leaves];
    for (index, survivor) in shuffled.into_iter().enumerate() {
        parts[index % leaves].push(survivor);
    }
    parts
}

/// A uniform number below `bound`, up to 2^-32 for bounds below 2^32.
fn below(stream: &mut OutputReader, bound: u64) -> usize {
    let mut bytes = [0; 8];
    stream.fill(&mut bytes);
    let wide = u128::from(u64::from_le_bytes(bytes)) * u128::from(bound);
    usize::try_from(wide >> 64).unwrap_or_default()
}
