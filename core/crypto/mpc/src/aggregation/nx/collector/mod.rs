//! The coordinator: it adds up masked vectors and passes messages on. It holds no secret, and
//! nothing that it decides can open more than one sum.

mod finish;
mod gather;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
pub(super) use finish::{add, leaf_rows};
use gather::{Gathered, Survivors};
use nexus_types::{Canonical, Digest, MemberId, OwnerId, borsh, peek_tag, tag_of};

use super::checks::{self, decoded};
use super::masked::Held;
#[cfg(test)]
use super::masked::Masked;
use super::message::{Certificate, Proposal, SumShares, Verdict, Vote};
use super::owner::{read_snapshot, too_large};
use super::terms::{Setup, Terms};
use crate::aggregation::{self, Outgoing, Peer, Progress, Refusal, Session, SumError};
use crate::identity::Signature;

/// The coordinator's part of one sum.
#[derive(Clone)]
pub struct Collector {
    setup: Setup,
    state: State,
}

#[derive(Clone, BorshSerialize, BorshDeserialize)]
struct State {
    manifest: Digest,
    gathered: Gathered,
    aside: BTreeSet<MemberId>,
    dropped: BTreeMap<OwnerId, Refusal>,
    phase: Phase,
}

#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
enum Phase {
    /// Contributions and verdicts.
    Gather,
    /// Votes for the proposal with this digest.
    Vote { proposal: Proposal, digest: Digest, votes: BTreeMap<MemberId, Signature> },
    /// Answers to the certificate of the proposal with this digest.
    Answer { certificate: Certificate, digest: Digest, answers: BTreeMap<MemberId, SumShares> },
    /// The sum is opened, or will never be.
    Over,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.state.phase {
            Phase::Gather => "gather",
            Phase::Vote { .. } => "vote",
            Phase::Answer { .. } => "answer",
            Phase::Over => "over",
        };
        let candidates = self.state.gathered.candidates.len();
        f.debug_struct("Collector")
            .field("phase", &phase)
            .field("candidates", &candidates)
            .finish_non_exhaustive()
    }
}

impl Collector {
    /// A collector that waits for contributions.
    ///
    /// # Errors
    /// [`SumError::Setting`] if the terms do not fit the session.
    pub fn new(session: Session, terms: Arc<Terms>) -> Result<Self, SumError> {
        let setup = Setup::new(session, terms)?;
        let state = State {
            manifest: setup.manifest(),
            gathered: Gathered::new(&setup),
            aside: BTreeSet::new(),
            dropped: BTreeMap::new(),
            phase: Phase::Gather,
        };
        Ok(Self { setup, state })
    }

    /// The collector as [`aggregation::Collector::snapshot`] left it.
    ///
    /// # Errors
    /// As [`Collector::new`], and [`SumError::Snapshot`].
    pub fn restore(session: Session, terms: Arc<Terms>, snapshot: &[u8]) -> Result<Self, SumError> {
        let setup = Setup::new(session, terms)?;
        let state: State = read_snapshot(snapshot)?;
        if state.manifest != setup.manifest() {
            return Err(SumError::Snapshot { problem: "it is of another sum".to_owned() });
        }
        Ok(Self { setup, state })
    }

    fn owner_message(
        &mut self,
        from: OwnerId,
        message: Cow<'_, [u8]>,
    ) -> Result<Vec<Outgoing>, Refusal> {
        if self.setup.owner_key(from).is_none() {
            return Err(Refusal::Stranger);
        }
        if !matches!(self.state.phase, Phase::Gather) {
            return Err(Refusal::OutOfTurn);
        }
        self.state.gathered.contribute(&self.setup, from, message)
    }

    fn member_message(&mut self, from: MemberId, bytes: &[u8]) -> Result<Vec<Outgoing>, Refusal> {
        if self.setup.member_key(from).is_none() {
            return Err(Refusal::Stranger);
        }
        if self.expected().is_none_or(|domain| is_another(domain, bytes)) {
            return Err(Refusal::OutOfTurn);
        }
        match &mut self.state.phase {
            Phase::Gather => {
                let verdict: Verdict = decoded(bytes)?;
                self.state.gathered.verdict(&self.setup, from, verdict)?;
            }
            Phase::Vote { digest, votes, .. } => {
                let vote: Vote = decoded(bytes)?;
                checks::vote(&self.setup, from, *digest, &vote)?;
                votes.insert(from, vote.signature);
            }
            Phase::Answer { digest, answers, .. } => {
                let answer: SumShares = decoded(bytes)?;
                checks::answer(&self.setup, from, *digest, &answer)?;
                if answers.get(&from).is_some_and(|known| *known != answer) {
                    return Err(Refusal::Contradiction);
                }
                answers.insert(from, answer);
            }
            Phase::Over => return Err(Refusal::OutOfTurn),
        }
        Ok(Vec::new())
    }

    /// The domain of what members send in this phase.
    const fn expected(&self) -> Option<&'static str> {
        match self.state.phase {
            Phase::Gather => Some(Verdict::DOMAIN),
            Phase::Vote { .. } => Some(Vote::DOMAIN),
            Phase::Answer { .. } => Some(SumShares::DOMAIN),
            Phase::Over => None,
        }
    }

    /// Members of whom something is expected: all but those that were set aside.
    fn active(&self) -> impl Iterator<Item = MemberId> {
        self.setup.members().filter(|member| !self.state.aside.contains(member))
    }

    fn propose(&mut self) -> Result<Progress, SumError> {
        let Survivors { entries, aside, dropped } = self.state.gathered.close(&self.setup);
        self.state.aside = aside;
        self.state.dropped = dropped;
        self.enough(|member| !self.state.aside.contains(member))?;
        let (have, need) = (count(&entries), self.setup.session.n_min);
        if have < need {
            return Err(SumError::TooFew { have, need });
        }
        let (manifest, slot) = (self.setup.manifest(), self.setup.terms.slot);
        let proposal = Proposal { manifest, slot, entries };
        let digest = proposal.digest().map_err(too_large)?;
        self.state.phase = Phase::Vote { proposal, digest, votes: BTreeMap::new() };
        Ok(Progress::Continue(self.questions()))
    }

    fn certify(
        &mut self,
        proposal: Proposal,
        digest: Digest,
        votes: &BTreeMap<MemberId, Signature>,
    ) -> Result<Progress, SumError> {
        self.enough(|member| votes.contains_key(member))?;
        // The votes of a quorum are enough; more say nothing.
        let quorum = usize::from(self.setup.layout.quorum());
        let votes = votes.iter().take(quorum).map(|(member, signature)| (*member, *signature));
        let certificate = Certificate { proposal, votes: votes.collect() };
        self.state.phase = Phase::Answer { certificate, digest, answers: BTreeMap::new() };
        Ok(Progress::Continue(self.questions()))
    }

    /// A quorum of members, those that were `heard`.
    fn enough(&self, heard: impl Fn(&MemberId) -> bool) -> Result<(), SumError> {
        let (need, committee) =
            (u32::from(self.setup.layout.quorum()), self.setup.layout.members());
        let missing: Vec<_> = self.setup.members().filter(|member| !heard(member)).collect();
        let have = u32::from(committee).saturating_sub(count(&missing));
        if have >= need { Ok(()) } else { Err(SumError::CommitteeSilent { have, need, missing }) }
    }

    /// The question of this phase, for every member that has not answered it.
    fn questions(&self) -> Vec<Outgoing> {
        let question = match &self.state.phase {
            Phase::Vote { proposal, .. } => proposal.encode(),
            Phase::Answer { certificate, .. } => certificate.encode(),
            Phase::Gather => return self.state.gathered.deliveries(&self.setup),
            Phase::Over => return Vec::new(),
        };
        // The digest of the proposal was made from its encoding.
        let message: Arc<[u8]> = question.unwrap_or_default().into();
        let to = self.waited_for().into_iter().map(Peer::Member);
        to.map(|to| Outgoing { to, message: Arc::clone(&message) }).collect()
    }

    fn waited_for(&self) -> Vec<MemberId> {
        match &self.state.phase {
            Phase::Gather => self.state.gathered.unheard(&self.setup).into_iter().collect(),
            Phase::Vote { votes, .. } => {
                self.active().filter(|member| !votes.contains_key(member)).collect()
            }
            Phase::Answer { answers, .. } => {
                self.active().filter(|member| !answers.contains_key(member)).collect()
            }
            Phase::Over => Vec::new(),
        }
    }
}

/// Whether the bytes are a member's message of another phase than that of `domain`: late, but
/// not malformed.
fn is_another(domain: &str, bytes: &[u8]) -> bool {
    let tag = peek_tag(bytes);
    let others = [Verdict::DOMAIN, Vote::DOMAIN, SumShares::DOMAIN];
    others.iter().any(|other| *other != domain && Some(tag_of(other)) == tag)
}

/// How many there are: never more than owners or members fit into a number.
fn count<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

impl aggregation::Collector for Collector {
    fn receive(&mut self, from: Peer, bytes: &[u8]) -> Result<Vec<Outgoing>, Refusal> {
        match from {
            Peer::Owner(owner) => self.owner_message(owner, bytes.into()),
            Peer::Member(member) => self.member_message(member, bytes),
        }
    }

    fn receive_owned(&mut self, from: Peer, bytes: Vec<u8>) -> Result<Vec<Outgoing>, Refusal> {
        match from {
            Peer::Owner(owner) => self.owner_message(owner, bytes.into()),
            Peer::Member(member) => self.member_message(member, &bytes),
        }
    }

    fn waiting(&self) -> Vec<Peer> {
        let candidates = &self.state.gathered.candidates;
        let owners: Vec<_> = match self.state.phase {
            Phase::Gather => {
                self.setup.session.owners.keys().filter(|id| !candidates.contains_key(id)).collect()
            }
            Phase::Vote { .. } | Phase::Answer { .. } | Phase::Over => Vec::new(),
        };
        let owners = owners.into_iter().copied().map(Peer::Owner);
        owners.chain(self.waited_for().into_iter().map(Peer::Member)).collect()
    }

    fn repeat(&self) -> Vec<Outgoing> {
        self.questions()
    }

    fn contributions(&self) -> u32 {
        u32::try_from(self.state.gathered.candidates.len()).unwrap_or(u32::MAX)
    }

    fn close(&mut self) -> Result<Progress, SumError> {
        // Whatever goes wrong from here on, the sum is not tried again.
        match std::mem::replace(&mut self.state.phase, Phase::Over) {
            Phase::Gather => self.propose(),
            Phase::Vote { proposal, digest, votes } => self.certify(proposal, digest, &votes),
            Phase::Answer { certificate, digest, answers } => {
                self.finish(certificate, digest, answers).map(Progress::Done)
            }
            Phase::Over => Err(SumError::OutOfTurn),
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        borsh::to_vec(&self.state).unwrap_or_default()
    }

    fn held_bytes(&self) -> usize {
        let Gathered { held, sum, .. } = &self.state.gathered;
        let sum = sum.as_ref().map_or(0, |sum| 8 * sum.words().len());
        held.values().map(Held::size).sum::<usize>() + sum
    }
}

#[cfg(test)]
impl Collector {
    /// A coordinator that changes the sum.
    pub(super) fn running_sum(&mut self) -> &mut Masked {
        self.state.gathered.sum.as_mut().unwrap()
    }

    /// A coordinator that makes up what `member` says about all packets.
    pub(super) fn mark_good(&mut self, member: MemberId) {
        for (&owner, candidate) in &mut self.state.gathered.candidates {
            let (manifest, header) = (self.setup.manifest(), candidate.digest);
            let verdict = Verdict { manifest, member, owner, header, complaint: None };
            candidate.verdicts.insert(member, verdict);
        }
    }

    /// The survivors that it would propose now.
    pub(super) fn proposal(&self) -> Proposal {
        let entries = self.state.gathered.clone().close(&self.setup).entries;
        Proposal { manifest: self.setup.manifest(), slot: self.setup.terms.slot, entries }
    }
}
