//! Repeating a sum from its transcript.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexus_field::Cubic;
use nexus_types::{Digest, MemberId, OwnerId};

use super::challenge::{self, Fingerprint, sums_digest};
use super::checks;
use super::collector::{add, leaf_rows};
use super::list::List;
use super::masked::Masked;
use super::message::{Certificate, Entry, Header, Proposal, SumShares, Transcript};
use super::opening::open;
use super::terms::{Setup, Terms};
use crate::aggregation::{Peer, Refusal, Session, SumError};
use crate::identity::Signature;

/// What a transcript shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Audited {
    /// The owners over whom the sum is, in order.
    pub survivors: Vec<OwnerId>,
    /// The sum that the answers open.
    pub sum: Vec<i64>,
    /// Certified owners that are not in it: their leaf was garbled.
    pub garbled: Vec<OwnerId>,
    /// Members whose answers do not fit the others'. It may be the others that lied, if an owner
    /// in the sum helped them: nobody is named a liar.
    pub disputed: Vec<MemberId>,
    /// Whether the opened vectors are the sums of the fingerprinted messages. Without kept
    /// messages nothing shows that the coordinator added nothing of its own: say "sum not
    /// audited".
    pub sum_audited: bool,
    /// The root over the published fingerprints, if there are any. An owner compares it with the
    /// one it was shown ([`Opening::agrees`](super::Opening::agrees)): no auditor without its message can see that its
    /// entry is the true one.
    pub root: Option<Digest>,
}

/// Why a transcript shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The terms are impossible, or the answers open nothing.
    #[error(transparent)]
    Sum(#[from] SumError),
    /// A signed message is not what it should be.
    #[error("{peer} {refusal}")]
    Message {
        /// Whose.
        peer: Peer,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The survivors are not certified.
    #[error("the certificate does not hold: the coordinator {refusal}")]
    Certificate {
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The number of vectors or fingerprints is not that of the survivors or their leaves.
    #[error("{got} {what} where {expected} were expected")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there should be.
        expected: usize,
    },
    /// The opened vectors are not the sums of the fingerprinted messages.
    #[error("the opened vector is not the sum of the messages")]
    Fingerprints,
    /// There are fingerprints where the terms keep no messages, or none where they do.
    #[error("the terms say keep_messages = {terms}, and the transcript does not follow them")]
    Kept {
        /// What the terms say.
        terms: bool,
    },
}

/// Repeats everything that the coordinator did: signatures, certificate, opening, fingerprints.
/// That manifest, terms and keys are those of the job is for the caller to check.
///
/// # Errors
/// [`AuditError`] names the first thing that does not hold.
pub fn audit(transcript: &Transcript) -> Result<Audited, AuditError> {
    let setup = setup(transcript)?;
    let (entries, digest) = certified(&setup, transcript)?;
    let leaves = setup.leaves(&digest, &entries);
    count("summed vectors", transcript.sums.len(), leaves.len())?;
    let answers = answers(&setup, transcript, digest)?;
    let (survivors, sum, garbled) = (Vec::new(), Vec::new(), Vec::new());
    let sum_audited = transcript.fingerprints.is_some();
    if sum_audited != transcript.terms.keep_messages {
        return Err(AuditError::Kept { terms: transcript.terms.keep_messages });
    }
    let mut audited =
        Audited { survivors, sum, garbled, disputed: Vec::new(), sum_audited, root: None };
    let mut disputed = BTreeSet::new();
    for (index, (leaf, sum)) in leaves.iter().zip(&transcript.sums).enumerate() {
        count("words", sum.words().len(), setup.words())?;
        let rows = leaf_rows(&answers, leaves.len(), index);
        let owners = leaf.iter().map(|entry| entry.owner);
        match open(&setup, u32::try_from(leaf.len()).unwrap_or(u32::MAX), sum, &rows) {
            Ok(part) => {
                audited.survivors.extend(owners);
                disputed.extend(part.disputed);
                add(&mut audited.sum, part.values);
            }
            Err(SumError::Garbled) => audited.garbled.extend(owners),
            Err(error) => return Err(error.into()),
        }
    }
    if audited.survivors.is_empty() {
        return Err(SumError::Garbled.into());
    }
    audited.survivors.sort_unstable();
    audited.garbled.sort_unstable();
    audited.disputed = disputed.into_iter().collect();
    if let Some(fingerprints) = &transcript.fingerprints {
        let named: BTreeMap<_, _> =
            entries.iter().map(|entry| entry.owner).zip(fingerprints.iter().copied()).collect();
        count("fingerprints", fingerprints.len(), entries.len())?;
        let fingerprint = fingerprint(transcript, &digest);
        add_up(&leaves, &transcript.sums, &named, &fingerprint)?;
        let list = List::new(&digest, &sums_digest(&transcript.sums), named);
        audited.root = Some(list.root);
    }
    Ok(audited)
}

fn fingerprint(transcript: &Transcript, proposal: &Digest) -> Fingerprint {
    let sums = sums_digest(&transcript.sums);
    Fingerprint::new(challenge::fingerprints(&transcript.manifest, proposal, &sums))
}

/// The fingerprint of each sum is the sum of the fingerprints in it.
fn add_up(
    leaves: &[Vec<Entry>],
    sums: &[Masked],
    fingerprints: &BTreeMap<OwnerId, Cubic>,
    fingerprint: &Fingerprint,
) -> Result<(), AuditError> {
    let holds = |(leaf, sum): (&Vec<Entry>, &Masked)| {
        let parts = leaf.iter().filter_map(|entry| fingerprints.get(&entry.owner).copied());
        parts.sum::<Cubic>() == fingerprint.of(sum)
    };
    if leaves.iter().zip(sums).all(holds) { Ok(()) } else { Err(AuditError::Fingerprints) }
}

fn setup(transcript: &Transcript) -> Result<Setup, AuditError> {
    let owners: BTreeMap<_, _> = transcript.owners.iter().copied().collect();
    count("different owners", owners.len(), transcript.owners.len())?;
    let session = Session {
        manifest: transcript.manifest,
        owners: Arc::new(owners),
        n_min: transcript.n_min,
        values: transcript.values,
    };
    let terms: Arc<Terms> = Arc::new(transcript.terms.clone());
    Ok(Setup::new(session, terms)?)
}

/// The certified set, from the headers of its owners, and the digest of its proposal.
fn certified(setup: &Setup, transcript: &Transcript) -> Result<(Vec<Entry>, Digest), AuditError> {
    let entry = |(header, signature): &(_, _)| entry(setup, header, signature);
    let entries: Vec<_> = transcript.headers.iter().map(entry).collect::<Result<_, _>>()?;
    let (manifest, slot) = (setup.manifest(), setup.terms.slot);
    let proposal = Proposal { manifest, slot, entries };
    let certificate = Certificate { proposal, votes: transcript.votes.clone() };
    let digest = checks::certificate(setup, &certificate)
        .map_err(|refusal| AuditError::Certificate { refusal })?;
    Ok((certificate.proposal.entries, digest))
}

fn entry(setup: &Setup, header: &Header, signature: &Signature) -> Result<Entry, AuditError> {
    let peer = Peer::Owner(header.owner);
    let digest = checks::header(setup, header, signature);
    let digest = digest.map_err(|refusal| AuditError::Message { peer, refusal })?;
    Ok(Entry { owner: header.owner, header: digest })
}

/// The members' answers, each signed, at most one of each.
fn answers(
    setup: &Setup,
    transcript: &Transcript,
    proposal: Digest,
) -> Result<BTreeMap<MemberId, SumShares>, AuditError> {
    let mut answers = BTreeMap::new();
    for answer in &transcript.answers {
        let member = answer.member;
        let wrong = |refusal| AuditError::Message { peer: Peer::Member(member), refusal };
        checks::answer(setup, member, proposal, answer).map_err(wrong)?;
        if answers.insert(member, answer.clone()).is_some() {
            return Err(wrong(Refusal::Contradiction));
        }
    }
    Ok(answers)
}

const fn count(what: &'static str, got: usize, expected: usize) -> Result<(), AuditError> {
    if got == expected { Ok(()) } else { Err(AuditError::Count { what, got, expected }) }
}
