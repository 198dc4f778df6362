//! A member of the committee: publishes keys, watches manifests, and opens one sum for each.

use std::sync::Arc;
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_mpc::Identity;
use nexus_mpc::aggregation::{Refusal, nx};
use nexus_mpc::sharing::Layout;
use nexus_types::limits::{MAX_MESSAGE_BYTES, MAX_TEXT_BYTES};
use nexus_types::{Canonical, Cleared, CryptoRng, Digest, JobId, MemberId, peek_tag, tag_of};

use super::ledger::{Ledger, ManifestRefusal, Seen};
use super::manifest::{Manifest, SignedManifest, SignedPacketKey};
use super::terms::JobTerms;
use crate::egress;
use crate::error::TrainingError;
use crate::message::presentable;
use crate::plan::Plan;

/// Most sums whose keys are published at once.
pub(crate) const EPOCH: u32 = 256;
/// Deadlines within which a sum is over: opening, contributions, votes and answers have one each,
/// and a coordinator that restarts takes another.
const PHASES: u32 = 6;

/// From the coordinator to a member.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum MemberTask {
    /// Publish your keys for `count` sums from `first` on.
    Publish {
        /// The job.
        job: JobId,
        /// The first sum.
        first: u32,
        /// How many.
        count: u32,
    },
    /// This sum begins.
    Open {
        /// The job.
        job: JobId,
        /// What it is bound to.
        manifest: Box<SignedManifest>,
    },
    /// A message of the engine that masks sums.
    Sum {
        /// The job.
        job: JobId,
        /// The number of the sum.
        slot: u32,
        /// The engine's bytes.
        message: Vec<u8>,
    },
}

/// From a member to the coordinator.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum MemberAnswer {
    /// Keys for sums, the first of which is `first`.
    Keys {
        /// The job.
        job: JobId,
        /// The first sum.
        first: u32,
        /// A key for each.
        keys: Vec<SignedPacketKey>,
    },
    /// The sum is open.
    Opened {
        /// The job.
        job: JobId,
        /// The number of the sum.
        slot: u32,
    },
    /// A message of the engine that masks sums.
    Sum {
        /// The job.
        job: JobId,
        /// The number of the sum.
        slot: u32,
        /// The engine's bytes.
        message: Vec<u8>,
    },
    /// The task was refused, and why, for people.
    Refused {
        /// The job.
        job: JobId,
        /// Why.
        reason: String,
    },
}

impl Canonical for MemberTask {
    const DOMAIN: &'static str = "nexus/training/member task";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = MAX_MESSAGE_BYTES;
}

impl Canonical for MemberAnswer {
    const DOMAIN: &'static str = "nexus/training/member answer";
    const VERSION: u8 = 1;
    // As many keys as an epoch has, or one share of a sum.
    const MAX_BYTES: usize = (1 << 21) + MAX_TEXT_BYTES;
}

/// What a member wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberEffect {
    /// Send the encoded [`MemberAnswer`] to the coordinator.
    Send(Cleared),
    /// Make [`Member::snapshot`] durable before carrying out the effects that follow. Many
    /// messages may be taken in before one snapshot, as long as what they send waits for it:
    /// packets come in bursts, one from every owner.
    Persist,
    /// Call [`Member::expire`] with this sum when so much time has passed, in which an honest
    /// coordinator is through with it. Takes the place of what was asked for before; after a
    /// restart, [`Member::timers`] asks again.
    Expire {
        /// The number of the sum.
        slot: u32,
        /// From now.
        after: Duration,
    },
    /// A message was refused; for the member's log.
    Refused(MemberRefusal),
}

/// Why a member does not do what it is asked to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberRefusal {
    /// The message is no task.
    #[error("the message is no task: {problem}")]
    Malformed {
        /// What is wrong with it.
        problem: String,
    },
    /// The task is of another job.
    #[error("the task is of job {}", job.0.short())]
    OtherJob {
        /// That job.
        job: JobId,
    },
    /// The manifest is not acceptable.
    #[error(transparent)]
    Manifest(#[from] ManifestRefusal),
    /// The protocol of masked sums was broken.
    #[error("the coordinator {0}")]
    Sum(#[from] Refusal),
    /// The sum cannot be opened.
    #[error(transparent)]
    Terms(#[from] TrainingError),
}

/// What a member remembers, secrets included.
#[derive(BorshSerialize, BorshDeserialize)]
struct State {
    job: JobId,
    member: MemberId,
    ledger: Ledger,
    /// The newest manifest accepted.
    open: Option<SignedManifest>,
    engine: Vec<u8>,
}

impl Canonical for State {
    const DOMAIN: &'static str = "nexus/training/member";
    const VERSION: u8 = 1;
    // As for the coordinator's snapshot.
    const MAX_BYTES: usize = isize::MAX.cast_unsigned();
}

/// A member of the committee of a job: a state machine without clock, network or disk.
///
/// It accepts one manifest for each sum and a bounded number for each round, votes once and
/// answers once. It trusts nobody: not the coordinator that speaks to it, nor the owners.
#[derive(Clone, Debug)]
pub struct Member {
    terms: Arc<JobTerms>,
    plan: Plan,
    id: MemberId,
    identity: Arc<Identity>,
    ledger: Ledger,
    open: Option<SignedManifest>,
    engine: nx::Member,
}

type Effects = Vec<MemberEffect>;

impl Member {
    /// Member `id` of the committee of `plan`.
    ///
    /// # Errors
    /// [`TrainingError`] if the plan is impossible, or `identity` is not the key of that member.
    pub fn new(plan: Plan, id: MemberId, identity: Arc<Identity>) -> Result<Self, TrainingError> {
        plan.check()?;
        let missing = || TrainingError::NoIdentity { party: "member" };
        let terms = plan.terms().cloned().ok_or_else(missing)?;
        if terms.engine.members().get(id.index()) != Some(&identity.public()) {
            return Err(missing());
        }
        let engine = nx::Member::new(plan.job.0, id, Arc::clone(&identity));
        let ledger = Ledger::default();
        Ok(Self { terms, plan, id, identity, ledger, open: None, engine })
    }

    /// The member that [`Member::snapshot`] saw. Its host asks for its [`Member::timers`].
    ///
    /// # Errors
    /// [`TrainingError`] if the bytes are no snapshot of this member in this plan.
    pub fn restore(
        plan: Plan,
        id: MemberId,
        identity: Arc<Identity>,
        bytes: &[u8],
        restored: nx::Restored,
    ) -> Result<Self, TrainingError> {
        let mut member = Self::new(plan, id, Arc::clone(&identity))?;
        let state = State::decode(bytes)?;
        if state.job != member.plan.job || state.member != id {
            let problem = "it is of another job or member";
            return Err(TrainingError::Snapshot { problem });
        }
        member.ledger = state.ledger;
        member.engine = nx::Member::restore(id, identity, &state.engine, restored)?;
        if let (Some(signed), nx::Restored::Continued) = (state.open, restored) {
            member.open = Some(signed.clone());
            // A sum that is over, or that the engine sits out, stays closed.
            let digest = signed.manifest.digest()?;
            let _ = member.open_sum(&signed.manifest, digest);
        }
        Ok(member)
    }

    /// Everything the member knows, secrets included.
    ///
    /// # Errors
    /// Never, for a machine that was made by this crate.
    pub fn snapshot(&self) -> Result<Vec<u8>, TrainingError> {
        let state = State {
            job: self.plan.job,
            member: self.id,
            ledger: self.ledger.clone(),
            open: self.open.clone(),
            engine: self.engine.snapshot(),
        };
        Ok(state.encode()?)
    }

    /// Takes in a message that claims to be from the coordinator. Packet keys are drawn from
    /// `rng`: the operating system's, and from nothing that is kept.
    ///
    /// # Errors
    /// Only if an answer cannot be encoded.
    pub fn step(
        &mut self,
        rng: &mut dyn CryptoRng,
        message: &[u8],
    ) -> Result<Effects, TrainingError> {
        match self.receive(rng, message) {
            Ok(effects) => Ok(effects),
            Err(refusal) => {
                let reason = presentable(&refusal.to_string());
                let answer = MemberAnswer::Refused { job: self.plan.job, reason };
                let answer = MemberEffect::Send(egress::control(&answer)?);
                Ok(vec![MemberEffect::Refused(refusal), answer])
            }
        }
    }

    /// What a host that has restored the member must have scheduled: its timers are no part of a
    /// snapshot. The whole time is counted anew, for a member has no clock.
    pub fn timers(&self) -> Vec<MemberEffect> {
        let open = self.open.as_ref().map(|signed| signed.manifest.slot);
        let open = open.filter(|slot| self.engine.holds(*slot));
        open.map(|slot| self.expiry(slot)).into_iter().collect()
    }

    fn expiry(&self, slot: u32) -> MemberEffect {
        MemberEffect::Expire { slot, after: self.plan.round_deadline.saturating_mul(PHASES) }
    }

    /// Ends every sum up to `slot`, answered or not: what opens its packets is erased, so that
    /// nobody who breaks in later reads them.
    pub fn expire(&mut self, slot: u32) -> Effects {
        self.engine.expire(slot);
        vec![MemberEffect::Persist]
    }

    fn receive(&mut self, rng: &mut dyn CryptoRng, bytes: &[u8]) -> Result<Effects, MemberRefusal> {
        let task = MemberTask::decode(bytes)
            .map_err(|problem| MemberRefusal::Malformed { problem: problem.to_string() })?;
        let (MemberTask::Publish { job, .. }
        | MemberTask::Open { job, .. }
        | MemberTask::Sum { job, .. }) = &task;
        if *job != self.plan.job {
            return Err(MemberRefusal::OtherJob { job: *job });
        }
        match task {
            MemberTask::Publish { first, count, .. } => self.publish(rng, first, count),
            MemberTask::Open { manifest, .. } => self.open(*manifest),
            MemberTask::Sum { slot, message, .. } => self.sum(slot, &message),
        }
    }

    /// Publishes keys: those that were published before again, and new ones for the other sums.
    fn publish(
        &mut self,
        rng: &mut dyn CryptoRng,
        first: u32,
        count: u32,
    ) -> Result<Effects, MemberRefusal> {
        let newest = self.ledger.newest().map_or(0, |(slot, _)| slot);
        if first > newest.saturating_add(EPOCH) {
            return Err(Refusal::OutOfTurn.into());
        }
        let end = first.saturating_add(count.min(EPOCH));
        let mut effects = Effects::new();
        let fresh = first.max(self.engine.first_unpublished());
        if end > fresh {
            self.engine.publish(rng, fresh, end - fresh).map_err(TrainingError::from)?;
            effects.push(MemberEffect::Persist);
        }
        let sign = |slot| {
            let key = self.engine.packet_key(slot).ok_or(Refusal::OutOfTurn)?;
            Ok(SignedPacketKey::sign(&self.identity, self.plan.job, slot, self.id, key))
        };
        let keys = (first..end).map(sign).collect::<Result<_, Refusal>>()?;
        effects.push(Self::answer(&MemberAnswer::Keys { job: self.plan.job, first, keys })?);
        Ok(effects)
    }

    /// Takes part in the sum that `signed` describes.
    fn open(&mut self, signed: SignedManifest) -> Result<Effects, MemberRefusal> {
        let digest = signed.check(&self.terms)?;
        let manifest = &signed.manifest;
        let slot = manifest.slot;
        let owners = self.plan.summed(manifest.task.round);
        if !manifest.is_of(self.plan.rounds) || manifest.owners != owners {
            let what = "round or list of owners".to_owned();
            return Err(ManifestRefusal::Outside { what }.into());
        }
        let mut effects = Effects::new();
        if self.ledger.look_up(manifest, digest, self.terms.attempts)? == Seen::New {
            self.open_sum(manifest, digest)?;
            if let Some(before) = slot.checked_sub(1) {
                self.engine.expire(before);
            }
            self.ledger.enter(manifest, digest);
            self.open = Some(signed);
            effects.extend([MemberEffect::Persist, self.expiry(slot)]);
        }
        effects.push(Self::answer(&MemberAnswer::Opened { job: self.plan.job, slot })?);
        Ok(effects)
    }

    /// Opens the sum that `manifest`, which has been checked, describes.
    fn open_sum(&mut self, manifest: &Manifest, digest: Digest) -> Result<(), MemberRefusal> {
        let terms = manifest.nx_terms(&self.terms)?.ok_or(Refusal::OtherRound)?;
        let session = manifest.session(&self.terms, digest);
        Ok(self.engine.open(session, Arc::new(terms)).map_err(TrainingError::from)?)
    }

    /// Takes in a message of the engine.
    fn sum(&mut self, slot: u32, message: &[u8]) -> Result<Effects, MemberRefusal> {
        let newest = self.ledger.newest().map(|(newest, _)| newest);
        if newest != Some(slot) {
            return Err(Refusal::OtherRound.into());
        }
        let wrap = |effect| match effect {
            nx::MemberEffect::Persist => Ok(MemberEffect::Persist),
            nx::MemberEffect::Send(message) => {
                let message = message.to_vec();
                Self::answer(&MemberAnswer::Sum { job: self.plan.job, slot, message })
            }
        };
        let mut effects = self.engine.receive(message)?;
        let is = |domain| peek_tag(message) == Some(tag_of(domain));
        // Who has helped with one sum of a round helps with no other.
        if is(nx::Certificate::DOMAIN) || (is(nx::Proposal::DOMAIN) && self.votes_once()?) {
            self.ledger.open();
        }
        // The engine may forget a packet that nobody will send again once the verdict is out.
        if is(nx::Delivery::DOMAIN) {
            effects.insert(0, nx::MemberEffect::Persist);
        }
        effects.into_iter().map(wrap).collect()
    }

    /// Whether a vote already binds the member to its sum.
    fn votes_once(&self) -> Result<bool, MemberRefusal> {
        let terms = self.plan.terms();
        let layout = terms.map(|terms| terms.engine.layout()).transpose()?.flatten();
        Ok(layout.as_ref().is_some_and(votes_once))
    }

    fn answer(answer: &MemberAnswer) -> Result<MemberEffect, MemberRefusal> {
        Ok(MemberEffect::Send(egress::control(answer).map_err(TrainingError::from)?))
    }
}

/// Whether members must not vote for two attempts at one round.
///
/// Each gives its shares to one attempt. If d deviate and give theirs to two, the others are split between
/// the attempts, and both show something once each has more shares than privacy allows: from
/// d = 2 (privacy + 1) − members on. Where the faulty ones may be so many, as in committees that pack
/// several secrets into a share, a vote binds too: then a second attempt cannot be certified, as two
/// quorums have more than the faulty members in common.
fn votes_once(layout: &Layout) -> bool {
    2 * (layout.privacy() + 1) <= layout.members() + layout.faulty()
}

#[cfg(test)]
impl Member {
    /// The weakened twin: forgets which manifests it accepted.
    pub(super) fn forget(&mut self) {
        self.ledger = Ledger::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sums_of_a_round_are_never_opened() {
        for (members, once) in [(4, false), (7, false), (16, true), (50, true), (100, true)] {
            let layout = Layout::committee(members).unwrap();
            assert_eq!(votes_once(&layout), once, "{members}");
            // The fewest members in two quorums are more than those that deviate.
            assert!(2 * layout.quorum() > layout.members() + layout.faulty(), "{members}");
        }
    }
}
