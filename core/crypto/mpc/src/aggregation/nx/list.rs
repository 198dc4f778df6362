//! The published list of fingerprints under one digest, so that every owner can see that its own
//! entry is in the very list that an auditor adds up.
//!
//! A binary tree of BLAKE3 digests; leaves, nodes and root have domains of their own, and a node
//! without a sibling goes up as it is. Certified set and summed vectors are in the root, so the
//! number of entries and an owner's place among them are not for the coordinator to choose.

use borsh::BorshSerialize;
use nexus_field::Cubic;
use nexus_types::{Digest, OwnerId, borsh};

fn digest(domain: &str, parts: &impl BorshSerialize) -> Digest {
    // Writing plain values into a vector does not fail.
    Digest::of(domain, &borsh::to_vec(parts).unwrap_or_default())
}

fn leaf(owner: OwnerId, fingerprint: Cubic) -> Digest {
    digest("nexus/mpc/nx/fingerprint leaf v1", &(owner, fingerprint))
}

fn node(left: Digest, right: Digest) -> Digest {
    digest("nexus/mpc/nx/fingerprint node v1", &(left, right))
}

fn root(proposal: &Digest, sums: &Digest, top: Digest) -> Digest {
    digest("nexus/mpc/nx/fingerprint root v1", &(proposal, sums, top))
}

/// The list of a certified set and its summed vectors.
pub(super) struct List {
    /// From the leaves to the top.
    levels: Vec<Vec<Digest>>,
    pub(super) root: Digest,
}

impl List {
    pub(super) fn new(
        proposal: &Digest,
        sums: &Digest,
        entries: impl IntoIterator<Item = (OwnerId, Cubic)>,
    ) -> Self {
        let mut level: Vec<_> = entries.into_iter().map(|(id, value)| leaf(id, value)).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let pair = |pair: &[Digest]| match *pair {
                [left, right] => Some(node(left, right)),
                _ => pair.first().copied(),
            };
            let above = level.chunks(2).filter_map(pair).collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        let top = level.first().copied().unwrap_or(Digest([0; 32]));
        Self { levels, root: root(proposal, sums, top) }
    }

    /// What is beside the way from entry `place` to the top.
    pub(super) fn path(&self, place: usize) -> Vec<Digest> {
        let beside =
            |(height, level): (usize, &Vec<Digest>)| level.get((place >> height) ^ 1).copied();
        self.levels.iter().enumerate().filter_map(beside).collect()
    }
}

/// An owner's entry: who, its place among how many, and its fingerprint.
#[derive(Clone, Copy)]
pub(super) struct Leaf {
    pub(super) owner: OwnerId,
    pub(super) place: usize,
    pub(super) among: usize,
    pub(super) fingerprint: Cubic,
}

impl Leaf {
    /// The root of the list that has this entry, if `path` leads there.
    pub(super) fn root(self, proposal: &Digest, sums: &Digest, path: &[Digest]) -> Option<Digest> {
        let Self { owner, mut place, mut among, fingerprint } = self;
        let (mut here, mut path) = (leaf(owner, fingerprint), path.iter().copied());
        while among > 1 {
            if place ^ 1 < among {
                let beside = path.next()?;
                here = if place & 1 == 0 { node(here, beside) } else { node(beside, here) };
            }
            (place, among) = (place >> 1, among.div_ceil(2));
        }
        path.next().is_none().then(|| root(proposal, sums, here))
    }
}

#[cfg(test)]
mod tests {
    use nexus_field::Fp;

    use super::*;

    #[test]
    fn every_entry_leads_to_the_root_and_nothing_else_does() {
        let (proposal, sums) = (Digest([1; 32]), Digest([2; 32]));
        for among in 1..20_u32 {
            let entry = |id: u32| Cubic::new([u64::from(id), 7, 9].map(Fp::new));
            let list = List::new(&proposal, &sums, (0..among).map(|id| (OwnerId(id), entry(id))));
            for id in 0..among {
                let (place, among) = (id as usize, among as usize);
                let path = list.path(place);
                let at = |owner, place, fingerprint| Leaf { owner, place, among, fingerprint };
                let own = at(OwnerId(id), place, entry(id));
                assert_eq!(own.root(&proposal, &sums, &path), Some(list.root));
                let others = [
                    at(OwnerId(id), place, entry(id + 1)),
                    at(OwnerId(id + 1), place, entry(id)),
                    at(OwnerId(id + 1), place, entry(id + 1)),
                ];
                let wrong = |other: Leaf| other.root(&proposal, &sums, &path) != Some(list.root);
                assert!(others.into_iter().all(wrong));
                assert_ne!(own.root(&sums, &proposal, &path), Some(list.root));
                let longer = [path.clone(), vec![proposal]].concat();
                assert_eq!(own.root(&proposal, &sums, &longer), None);
                if let Some((_, shorter)) = path.split_last() {
                    assert_eq!(own.root(&proposal, &sums, shorter), None);
                }
            }
        }
    }
}
