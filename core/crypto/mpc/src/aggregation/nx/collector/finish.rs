//! The last phase: the sum is opened, and everybody told what was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexus_field::Cubic;
use nexus_types::{Canonical, Digest, MemberId, OwnerId};

use super::Collector;
use crate::aggregation::nx::challenge::{Fingerprint, fingerprints, sums_digest};
use crate::aggregation::nx::checks::forbidden;
use crate::aggregation::nx::list::List;
use crate::aggregation::nx::masked::Masked;
use crate::aggregation::nx::message::{Certificate, Entry, Opening, SumShares, Transcript};
use crate::aggregation::nx::opening::open;
use crate::aggregation::nx::owner::too_large;
use crate::aggregation::{Opened, Outgoing, Peer, SumError};

impl Collector {
    /// Opens every leaf; garbled ones are left out, unless all are.
    pub(super) fn finish(
        &mut self,
        certificate: Certificate,
        digest: Digest,
        answers: BTreeMap<MemberId, SumShares>,
    ) -> Result<Opened, SumError> {
        let leaves = self.setup.leaves(&digest, &certificate.proposal.entries);
        let sums = self.leaf_sums(&leaves);
        let mut opened = Opened { dropped: self.state.dropped.clone(), ..Opened::default() };
        let mut disputed = BTreeSet::new();
        for (index, (leaf, sum)) in leaves.iter().zip(&sums).enumerate() {
            let rows = leaf_rows(&answers, leaves.len(), index);
            let owners = u32::try_from(leaf.len()).unwrap_or(u32::MAX);
            match open(&self.setup, owners, sum, &rows) {
                Ok(part) => {
                    disputed.extend(part.disputed);
                    opened.survivors.extend(leaf.iter().map(|entry| entry.owner));
                    add(&mut opened.sum, part.values);
                }
                Err(SumError::Garbled) => {
                    let refusal = forbidden("the sum of an owner's leaf is not garbled");
                    let dropped = leaf.iter().map(|entry| (entry.owner, refusal.clone()));
                    opened.dropped.extend(dropped);
                }
                Err(error) => return Err(error),
            }
        }
        if opened.survivors.is_empty() {
            return Err(SumError::Garbled);
        }
        opened.survivors.sort_unstable();
        opened.disputed = disputed.into_iter().collect();
        let silent = |member: &MemberId| !answers.contains_key(member);
        opened.silent = self.setup.members().filter(silent).collect();
        self.publish(&mut opened, certificate, digest, answers, sums)?;
        Ok(opened)
    }

    /// The sum of each leaf. With one leaf and no kept vectors it is the running sum.
    fn leaf_sums(&mut self, leaves: &[Vec<Entry>]) -> Vec<Masked> {
        if let Some(sum) = self.state.gathered.sum.take() {
            return vec![sum];
        }
        let held = &self.state.gathered.held;
        let sum = |leaf: &Vec<Entry>| {
            let mut sum = Masked::zero(self.setup.words());
            let vectors: Vec<_> = leaf.iter().filter_map(|entry| held.get(&entry.owner)).collect();
            sum.add(&vectors);
            sum
        };
        leaves.iter().map(sum).collect()
    }

    /// Writes transcript and notices.
    fn publish(
        &self,
        opened: &mut Opened,
        certificate: Certificate,
        digest: Digest,
        answers: BTreeMap<MemberId, SumShares>,
        sums: Vec<Masked>,
    ) -> Result<(), SumError> {
        let (gathered, session) = (&self.state.gathered, &self.setup.session);
        let sums_digest = sums_digest(&sums);
        let fingerprints = self.fingerprints(digest, sums_digest);
        if let Some(fingerprints) = &fingerprints {
            let entries = fingerprints.iter().map(|(owner, fingerprint)| (*owner, *fingerprint));
            let list = List::new(&digest, &sums_digest, entries);
            let notice = |(place, (&owner, &fingerprint)): (usize, (&OwnerId, &Cubic))| {
                let (certificate, path) = (certificate.clone(), list.path(place));
                let (sums, root) = (sums_digest, list.root);
                let opening = Opening { certificate, sums, root, fingerprint, path };
                let message = Arc::from(opening.encode().map_err(too_large)?);
                Ok(Outgoing { to: Peer::Owner(owner), message })
            };
            let notices = fingerprints.iter().enumerate().map(notice);
            opened.notices = notices.collect::<Result<_, SumError>>()?;
        }
        let entries = certificate.proposal.entries.iter();
        let candidates = entries.filter_map(|entry| gathered.candidates.get(&entry.owner));
        let transcript = Transcript {
            manifest: session.manifest,
            n_min: session.n_min,
            values: session.values,
            terms: (*self.setup.terms).clone(),
            owners: session.owners.iter().map(|(owner, key)| (*owner, *key)).collect(),
            headers: candidates.map(|c| (c.header.clone(), c.signature)).collect(),
            votes: certificate.votes,
            answers: answers.into_values().collect(),
            sums,
            fingerprints: fingerprints.map(|all| all.into_values().collect()),
            complaints: gathered.complaints().cloned().collect(),
        };
        // One above the limit of a message, with many leaves of a huge vector, is left out.
        opened.transcript = transcript.encode().ok();
        Ok(())
    }

    /// The fingerprints of the vectors in the sum, if they were kept.
    fn fingerprints(&self, proposal: Digest, sums: Digest) -> Option<BTreeMap<OwnerId, Cubic>> {
        let gathered = &self.state.gathered;
        self.setup.terms.keep_messages.then(|| {
            let fingerprint =
                Fingerprint::new(fingerprints(&self.setup.manifest(), &proposal, &sums));
            {
                let held = gathered.held.iter();
                held.map(|(owner, held)| (*owner, fingerprint.of(&held.masked()))).collect()
            }
        })
    }
}

/// What the members say about one leaf. A member with another number of leaves says nothing.
pub(in crate::aggregation::nx) fn leaf_rows(
    answers: &BTreeMap<MemberId, SumShares>,
    leaves: usize,
    index: usize,
) -> BTreeMap<MemberId, Vec<nexus_field::Fp>> {
    let answers = answers.iter().filter(|(_, answer)| answer.rows.len() == leaves);
    answers
        .filter_map(|(member, answer)| Some((*member, answer.rows.get(index)?.clone())))
        .collect()
}

/// Adds the values of one more leaf.
pub(in crate::aggregation::nx) fn add(sum: &mut Vec<i64>, values: Vec<i64>) {
    if sum.is_empty() {
        *sum = values;
    } else {
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.wrapping_add(value));
    }
}
