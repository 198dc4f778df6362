//! Masked sums: the committee's keys, the manifest, the phases of the engine, the outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_mpc::aggregation::{Opened, Outgoing, Peer, Progress, SumError};
use nexus_types::{Canonical, Digest, MemberId, OwnerId, Round, Timestamp};

use super::intake::Figures;
use super::poll::Tally;
use super::stages::{count, durably};
use super::state::Stage;
use super::{Coordinator, CoordinatorEffect};
use crate::egress;
use crate::error::TrainingError;
use crate::message::{Answer, Task, TaskId, presentable};
use crate::plan::Plan;
use crate::record::{CommitteeRecord, DropReason, Dropped};
use crate::rule::norm;
use crate::secure::{
    Collector, EPOCH, EngineManifest, JobTerms, Kept, Manifest, MemberAnswer, MemberTask, Payload,
    SignedManifest, SignedPacketKey, SumRecord, Totals, decode_statistics, expected_values,
};

type Effects = Vec<CoordinatorEffect>;
type Outcome = Result<Effects, TrainingError>;

/// What masked sums remember from one to the next.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Masking {
    /// The number of the next sum.
    next: u32,
    /// The weight that counts as one.
    unit: f64,
    /// The first sum for which there are keys.
    first: u32,
    /// Keys for the sums from `first` on, of the members that gave some: a quorum at least.
    keys: BTreeMap<MemberId, Vec<SignedPacketKey>>,
}

impl Default for Masking {
    fn default() -> Self {
        Self { next: 0, unit: 1.0, first: 0, keys: BTreeMap::new() }
    }
}

impl Masking {
    /// The keys of a committee of `members` for the sum `slot`.
    fn keys(&self, slot: u32, members: u16) -> Option<Vec<Option<SignedPacketKey>>> {
        let place = usize::try_from(slot.checked_sub(self.first)?).ok()?;
        let key = |member| self.keys.get(&member)?.get(place).cloned();
        let keys: Vec<_> = MemberId::all(members).map(key).collect();
        keys.iter().any(Option::is_some).then_some(keys)
    }

    pub(super) fn fits(&self, plan: &Plan) -> bool {
        let members = plan.terms().map_or(0, |terms| terms.engine.members().len());
        self.keys.keys().all(|member| member.index() < members)
            && self.unit.is_finite()
            && self.unit > 0.0
    }
}

/// The committee is asked for its keys.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct OpenKeys {
    pub(super) round: Round,
    pub(super) tally: Tally,
    deadline: Timestamp,
    first: u32,
    count: u32,
    pub(super) keys: BTreeMap<MemberId, Vec<SignedPacketKey>>,
}

impl OpenKeys {
    pub(super) fn fits(&self, plan: &Plan) -> bool {
        let members = plan.terms().map_or(0, |terms| terms.engine.members().len());
        self.round.0 <= plan.rounds
            && self.keys.keys().all(|member| member.index() < members)
            && self.tally.fits(plan)
    }

    /// Takes the keys of a member, if they are what was asked for.
    fn take(&mut self, terms: &JobTerms, from: MemberId, answer: MemberAnswer) {
        let MemberAnswer::Keys { job, first, keys } = answer else { return self.tally.stray() };
        let slots = || (first..).zip(&keys);
        let fits = job == terms.job
            && first == self.first
            && keys.len() == self.count as usize
            && slots().all(|(slot, key)| key.check(terms, slot, from).is_ok());
        if fits && !self.keys.contains_key(&from) {
            self.keys.insert(from, keys);
        } else {
            self.tally.stray();
        }
    }
}

/// How far a masked sum is.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
enum Phase {
    /// The members take in the manifest.
    Opening(BTreeSet<MemberId>),
    /// The owners work.
    Gathering,
    /// The engine's later phases.
    Closing,
}

/// A masked sum under way.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct OpenSum {
    pub(super) round: Round,
    tally: Tally,
    deadline: Timestamp,
    signed: SignedManifest,
    digest: Digest,
    phase: Phase,
    collector: Kept<Collector>,
}

impl OpenSum {
    const fn manifest(&self) -> &Manifest {
        &self.signed.manifest
    }

    /// The members with a part in it.
    fn committee(&self) -> impl Iterator<Item = MemberId> {
        let keys = match &self.manifest().engine {
            EngineManifest::Nx(keys) => keys.as_slice(),
            EngineManifest::SecAggPlus => &[],
        };
        (0..).map(MemberId).zip(keys).filter_map(|(id, key)| key.as_ref().map(|_| id))
    }

    /// Of whom a message is still expected.
    fn waiting(&mut self) -> Vec<Peer> {
        match &self.phase {
            Phase::Opening(opened) => {
                let absent = self.committee().filter(|member| !opened.contains(member));
                absent.map(Peer::Member).collect()
            }
            Phase::Gathering | Phase::Closing => {
                let tally = &self.tally;
                let mut waiting =
                    self.collector.alive().map_or_else(Vec::new, |machine| machine.waiting());
                waiting.retain(|peer| match peer {
                    Peer::Owner(owner) => !tally.has_refused(*owner),
                    Peer::Member(_) => true,
                });
                waiting
            }
        }
    }

    /// Owners that are neither silent nor refused: every silent one has been noted as such.
    fn present(&self) -> u32 {
        let owners = self.manifest().owners.iter();
        let present = owners.filter(|owner| !self.tally.has_refused(**owner)).count();
        u32::try_from(present).unwrap_or(u32::MAX)
    }

    fn asks(&self, owner: OwnerId) -> bool {
        self.manifest().owners.binary_search(&owner).is_ok()
    }

    pub(super) fn fits(&self, plan: &Plan) -> bool {
        let Some(terms) = plan.terms() else { return false };
        let opened = match &self.phase {
            Phase::Opening(opened) => opened.len(),
            Phase::Gathering | Phase::Closing => 0,
        };
        self.round.0 <= plan.rounds
            && self.manifest().task.round == self.round
            && self.manifest().owners == plan.summed(self.round)
            && self.signed.check(terms) == Ok(self.digest)
            && opened <= terms.engine.members().len()
            && self.tally.fits(plan)
    }

    /// Wakes the engine of a restored sum.
    pub(super) fn wake(&mut self, plan: &Plan) -> Result<(), TrainingError> {
        if let (Kept::Asleep(bytes), Some(terms)) = (&self.collector, plan.terms()) {
            let manifest = &self.signed.manifest;
            let machine = Collector::open(terms, manifest, self.digest, Some(bytes))?;
            self.collector = Kept::Alive(machine);
        }
        Ok(())
    }

    pub(super) fn held_bytes(&self) -> usize {
        match &self.collector {
            Kept::Alive(machine) => machine.held_bytes(),
            Kept::Asleep(bytes) => bytes.len(),
        }
    }

    /// Takes in an owner's message; the engine's answers come back.
    fn owner_message(&mut self, plan: &Plan, from: OwnerId, bytes: &[u8]) -> Vec<Outgoing> {
        let nothing = Vec::new();
        if !self.asks(from) {
            self.tally.stray();
            return nothing;
        }
        let answer = match Answer::decode(bytes) {
            Ok(answer) if answer.job() == plan.job => answer,
            Ok(_) => return self.refuse(from, DropReason::WrongJob),
            Err(problem) => {
                let problem = problem.to_string();
                return self.refuse(from, DropReason::Malformed { problem });
            }
        };
        let slot = self.manifest().slot;
        match answer {
            Answer::Sum { slot: got, message, .. } if got == slot => {
                self.engine_message(Peer::Owner(from), message)
            }
            Answer::Sum { slot: got, .. } if got < slot => {
                self.tally.late(from);
                nothing
            }
            Answer::Declined { id, reason, .. } if id == self.manifest().task => {
                let reason = presentable(&reason);
                self.refuse(from, DropReason::Declined { reason })
            }
            Answer::Sum { .. }
            | Answer::Declined { .. }
            | Answer::Summary { .. }
            | Answer::Update(_) => {
                self.tally.stray();
                nothing
            }
        }
    }

    /// Takes in a member's message; the engine's answers come back.
    fn member_message(&mut self, plan: &Plan, from: MemberId, bytes: &[u8]) -> Vec<Outgoing> {
        let slot = self.manifest().slot;
        match (MemberAnswer::decode(bytes), &mut self.phase) {
            (Ok(MemberAnswer::Opened { job, slot: got }), Phase::Opening(opened))
                if job == plan.job && got == slot =>
            {
                opened.insert(from);
                Vec::new()
            }
            (Ok(MemberAnswer::Sum { job, slot: got, message }), _)
                if job == plan.job && got == slot =>
            {
                self.engine_message(Peer::Member(from), message)
            }
            _ => {
                self.tally.stray();
                Vec::new()
            }
        }
    }

    fn engine_message(&mut self, from: Peer, message: Vec<u8>) -> Vec<Outgoing> {
        let Some(machine) = self.collector.alive() else { return Vec::new() };
        match (machine.receive(from, message), from) {
            (Ok(replies), Peer::Owner(owner)) => {
                self.tally.forgive(owner);
                replies
            }
            (Ok(replies), Peer::Member(_)) => replies,
            (Err(refusal), Peer::Owner(owner)) => {
                self.refuse(owner, DropReason::Refused { reason: refusal.to_string() })
            }
            (Err(_), Peer::Member(_)) => {
                self.tally.stray();
                Vec::new()
            }
        }
    }

    /// Notes why `owner` is not in the sum, unless it is.
    fn refuse(&mut self, owner: OwnerId, reason: DropReason) -> Vec<Outgoing> {
        let awaited =
            self.collector.alive().is_some_and(|m| m.waiting().contains(&Peer::Owner(owner)));
        if awaited || matches!(self.phase, Phase::Opening(_)) {
            self.tally.refuse(owner, reason);
        } else {
            self.tally.stray();
        }
        Vec::new()
    }

    /// Owners that are not among `survivors`, and why.
    fn dropped(&self, opened: &Opened, now: Timestamp) -> Vec<Dropped> {
        let absent = |owner: &OwnerId| opened.survivors.binary_search(owner).is_err();
        let absent = self.manifest().owners.iter().copied().filter(absent);
        let mut missing = self.tally.missing(absent, now);
        for dropped in &mut missing {
            if let Some(refusal) = opened.dropped.get(&dropped.owner) {
                dropped.reason = DropReason::Refused { reason: refusal.to_string() };
            }
        }
        missing
    }
}

impl Coordinator {
    fn terms(&self) -> Result<Arc<JobTerms>, TrainingError> {
        let missing = TrainingError::NoIdentity { party: "coordinator" };
        self.plan.terms().cloned().ok_or(missing)
    }

    fn members(&self) -> u16 {
        let members = self.plan.terms().map_or(0, |terms| terms.engine.members().len());
        u16::try_from(members).unwrap_or(u16::MAX)
    }

    /// Opens the masked sum of `round`; each attempt is a sum of its own.
    pub(super) fn open_sum(&mut self, now: Timestamp, round: Round, tally: Tally) -> Outcome {
        let terms = self.terms()?;
        let slot = self.state.masking.next;
        let engine = if terms.engine.members().is_empty() {
            EngineManifest::SecAggPlus
        } else if let Some(keys) = self.state.masking.keys(slot, self.members()) {
            EngineManifest::Nx(keys)
        } else {
            return self.request_keys(now, round, tally, BTreeMap::new());
        };
        let signed = self.manifest(&terms, round, engine)?;
        let digest = signed.manifest.digest()?;
        let collector = Collector::open(&terms, &signed.manifest, digest, None)?;
        self.state.masking.next = slot.saturating_add(1);
        let deadline = now + self.plan.round_deadline;
        let phase = Phase::Opening(BTreeSet::new());
        let collector = Kept::Alive(collector);
        let open = OpenSum { round, tally, deadline, signed, digest, phase, collector };
        if self.members() == 0 {
            return self.gather(now, Box::new(open));
        }
        self.introduce(Box::new(open))
    }

    fn manifest(
        &self,
        terms: &JobTerms,
        round: Round,
        engine: EngineManifest,
    ) -> Result<SignedManifest, TrainingError> {
        let missing = TrainingError::NoIdentity { party: "coordinator" };
        let identity = self.identity.as_ref().ok_or(missing)?;
        let owners = self.plan.summed(round);
        let asked = u32::try_from(owners.len()).unwrap_or(u32::MAX);
        let (task, model) = if round == Round(0) {
            (TaskId::SUMMARY, Digest([0; 32]))
        } else {
            let task = self.train_task(TaskId::first(round));
            (task.id, task.fingerprint()?)
        };
        let values = expected_values(&self.plan, terms, task, asked)?;
        let manifest = Manifest {
            terms: terms.digest()?,
            slot: self.state.masking.next,
            task,
            model,
            owners,
            n_min: terms.n_min.max(self.plan.needed()).max(terms.engine.fewest(asked)).min(asked),
            values: u32::try_from(values).unwrap_or(u32::MAX),
            weight_unit: self.state.masking.unit,
            deadline_ms: u64::try_from(self.plan.round_deadline.as_millis()).unwrap_or(u64::MAX),
            engine,
        };
        SignedManifest::sign(manifest, identity)
    }

    /// Asks the members that are not among `keys` for keys, enough for the rounds left if nothing
    /// fails.
    pub(super) fn request_keys(
        &mut self,
        now: Timestamp,
        round: Round,
        tally: Tally,
        keys: BTreeMap<MemberId, Vec<SignedPacketKey>>,
    ) -> Outcome {
        let first = self.state.masking.next;
        let left = self.plan.rounds.saturating_sub(round.0).saturating_add(1);
        let count = left.clamp(1, EPOCH);
        let deadline = now + self.plan.round_deadline;
        let mut open = OpenKeys { round, tally, deadline, first, count, keys };
        let task = MemberTask::Publish { job: self.plan.job, first, count };
        let absent = |member: &MemberId| !open.keys.contains_key(member);
        let effects = self.put_to_members(&mut open.tally, &task, absent, deadline)?;
        self.state.stage = Stage::Keys(open);
        Ok(effects)
    }

    /// Effects that send `task` to the members `to`, counted and made durable before.
    fn put_to_members(
        &self,
        tally: &mut Tally,
        task: &MemberTask,
        to: impl Fn(&MemberId) -> bool,
        deadline: Timestamp,
    ) -> Outcome {
        let message = egress::control(task)?;
        let send = |to| CoordinatorEffect::Send { to: Peer::Member(to), message: message.clone() };
        let sends = MemberId::all(self.members()).filter(to).map(send).collect();
        Ok(durably(tally, sends, deadline))
    }

    pub(super) fn keys_received(
        &mut self,
        now: Timestamp,
        mut open: OpenKeys,
        from: Peer,
        bytes: &[u8],
    ) -> Outcome {
        open.tally.received(bytes);
        let terms = self.terms()?;
        match (from, MemberAnswer::decode(bytes)) {
            (Peer::Member(from), Ok(answer)) => open.take(&terms, from, answer),
            (Peer::Member(_) | Peer::Owner(_), _) => open.tally.stray(),
        }
        self.judge_keys(now, open, false)
    }

    pub(super) fn judge_keys(&mut self, now: Timestamp, open: OpenKeys, woken: bool) -> Outcome {
        let members = self.members();
        let late = woken && now >= open.deadline;
        let have = u32::try_from(open.keys.len()).unwrap_or(u32::MAX);
        let need = self.terms()?.engine.quorum()?;
        let enough = if late { need } else { members.into() };
        if have >= enough {
            let OpenKeys { round, tally, first, keys, .. } = open;
            self.state.masking.first = first;
            self.state.masking.keys = keys;
            return self.open_sum(now, round, tally);
        }
        if !late {
            return Ok(self.rest(Stage::Keys(open)));
        }
        if open.tally.attempts < self.plan.tries() {
            let mut tally = open.tally;
            tally.attempts += 1;
            return self.request_keys(now, open.round, tally, open.keys);
        }
        let missing = MemberId::all(members).filter(|m| !open.keys.contains_key(m)).collect();
        let error = TrainingError::CommitteeLost { round: open.round, have, need, missing };
        Ok(self.fail(open.round, error))
    }

    fn fail(&mut self, round: Round, error: TrainingError) -> Effects {
        self.state.stage = Stage::Failed(round);
        vec![CoordinatorEffect::Failed(error)]
    }

    /// Shows the manifest to the members that have not taken it in.
    fn introduce(&mut self, mut open: Box<OpenSum>) -> Outcome {
        let manifest = Box::new(open.signed.clone());
        let task = MemberTask::Open { job: self.plan.job, manifest };
        let opened = match &open.phase {
            Phase::Opening(opened) => opened.clone(),
            Phase::Gathering | Phase::Closing => BTreeSet::new(),
        };
        let absent: BTreeSet<_> = open.committee().filter(|id| !opened.contains(id)).collect();
        let absent = |member: &MemberId| absent.contains(member);
        let effects = self.put_to_members(&mut open.tally, &task, absent, open.deadline)?;
        self.state.stage = Stage::Summing(open);
        Ok(effects)
    }

    /// Asks the owners.
    fn gather(&mut self, now: Timestamp, mut open: Box<OpenSum>) -> Outcome {
        open.phase = Phase::Gathering;
        open.deadline = now + self.plan.round_deadline;
        let owners = open.manifest().owners.clone();
        let sends = self.ask_owners(&open, &owners)?;
        let effects = durably(&mut open.tally, sends, open.deadline);
        self.state.stage = Stage::Summing(open);
        Ok(effects)
    }

    fn ask_owners(&self, open: &OpenSum, owners: &[OwnerId]) -> Outcome {
        let manifest = Some(Box::new(open.signed.clone()));
        let task = if open.round == Round(0) {
            Task::Summarise { job: self.plan.job, manifest }
        } else {
            let mut task = self.train_task(open.manifest().task);
            task.manifest = manifest;
            Task::Train(task)
        };
        let message = egress::control(&task)?;
        let send = |&to: &OwnerId| CoordinatorEffect::Send {
            to: Peer::Owner(to),
            message: message.clone(),
        };
        Ok(owners.iter().map(send).collect())
    }

    /// Wraps the engine's messages.
    fn wrap(&self, slot: u32, messages: Vec<Outgoing>) -> Outcome {
        let job = self.plan.job;
        let wrap = |Outgoing { to, message }| {
            let message = message.to_vec();
            let message = match to {
                Peer::Owner(_) => egress::control(&Task::Sum { job, slot, message })?,
                Peer::Member(_) => egress::control(&MemberTask::Sum { job, slot, message })?,
            };
            Ok(CoordinatorEffect::Send { to, message })
        };
        messages.into_iter().map(wrap).collect()
    }

    pub(super) fn sum_received(
        &mut self,
        now: Timestamp,
        mut open: Box<OpenSum>,
        from: Peer,
        bytes: &[u8],
    ) -> Outcome {
        open.tally.received(bytes);
        let replies = match from {
            Peer::Owner(owner) => open.owner_message(&self.plan, owner, bytes),
            Peer::Member(member) => open.member_message(&self.plan, member, bytes),
        };
        let mut effects = self.wrap(open.manifest().slot, replies)?;
        count(&mut open.tally, &effects);
        effects.extend(self.judge_sum(now, open, false)?);
        Ok(effects)
    }

    pub(super) fn judge_sum(
        &mut self,
        now: Timestamp,
        mut open: Box<OpenSum>,
        woken: bool,
    ) -> Outcome {
        let waiting = open.waiting();
        let over = waiting.is_empty() || (woken && now >= open.deadline);
        if !over {
            return Ok(self.rest(Stage::Summing(open)));
        }
        for peer in &waiting {
            if let Peer::Owner(owner) = peer {
                let since = open.tally.opened;
                open.tally.silent(*owner, since, now);
            }
        }
        if let Phase::Opening(opened) = &open.phase {
            let have = u32::try_from(opened.len()).unwrap_or(u32::MAX);
            let need = self.terms()?.engine.quorum()?;
            if have >= need {
                return self.gather(now, open);
            }
            let missing = MemberId::all(self.members()).filter(|m| !opened.contains(m)).collect();
            let error = SumError::CommitteeSilent { have, need, missing };
            return self.try_again(now, *open, error);
        }
        let (have, need) = (open.present(), open.manifest().n_min);
        let progress = match open.collector.alive() {
            Some(_) if open.phase == Phase::Gathering && have < need => {
                Err(SumError::TooFew { have, need })
            }
            Some(machine) => machine.close(),
            None => Err(SumError::OutOfTurn),
        };
        match progress {
            Ok(Progress::Continue(messages)) => self.next_phase(now, open, messages),
            Ok(Progress::Done(opened)) => self.opened(now, *open, opened),
            Err(error) => self.try_again(now, *open, error),
        }
    }

    fn next_phase(
        &mut self,
        now: Timestamp,
        mut open: Box<OpenSum>,
        messages: Vec<Outgoing>,
    ) -> Outcome {
        open.phase = Phase::Closing;
        open.deadline = now + self.plan.round_deadline;
        let sends = self.wrap(open.manifest().slot, messages)?;
        let effects = durably(&mut open.tally, sends, open.deadline);
        self.state.stage = Stage::Summing(open);
        Ok(effects)
    }

    /// Another attempt is another sum: new masks, new noise.
    fn try_again(&mut self, now: Timestamp, open: OpenSum, error: SumError) -> Outcome {
        let OpenSum { round, mut tally, .. } = open;
        // A garbled sum has been opened: there is no second attempt at it.
        if tally.attempts < self.plan.tries() && error != SumError::Garbled {
            tally.attempts += 1;
            // Members that had no keys in time may be back.
            if matches!(error, SumError::CommitteeSilent { .. })
                && self.state.masking.keys.len() < usize::from(self.members())
            {
                self.state.masking.keys.clear();
            }
            return self.open_sum(now, round, tally);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "all others are the engine's own words")]
        let error = match error {
            SumError::TooFew { have, need } => {
                let owners = open.signed.manifest.owners.iter().copied();
                let refused = owners.filter(|owner| tally.has_refused(*owner));
                let missing = tally.missing(refused, now);
                TrainingError::QuorumLost { round, have, need, missing }
            }
            SumError::CommitteeSilent { have, need, missing } => {
                TrainingError::CommitteeLost { round, have, need, missing }
            }
            source => TrainingError::Sum { round, source },
        };
        Ok(self.fail(round, error))
    }

    fn opened(&mut self, now: Timestamp, open: OpenSum, mut opened: Opened) -> Outcome {
        let notices = std::mem::take(&mut opened.notices);
        let mut effects = self.wrap(open.manifest().slot, notices)?;
        let transcript = opened.transcript.take();
        let manifest = open.signed.clone();
        effects.push(CoordinatorEffect::Summed(SumRecord { manifest, transcript }));
        let round = open.round;
        let follows = if round == Round(0) {
            self.absorb_statistics(now, open, &opened)
        } else {
            self.absorb_sum(now, open, &opened)
        };
        // The sum is out: there is no second attempt at it.
        effects.extend(follows.unwrap_or_else(|error| self.fail(round, error)));
        Ok(effects)
    }

    fn absorb_statistics(&mut self, now: Timestamp, open: OpenSum, opened: &Opened) -> Outcome {
        let limit = self.terms()?.engine.limit(open.manifest().asked())?;
        let (sums, unit) = decode_statistics(&self.plan, &opened.sum, limit, survivors(opened))?;
        self.state.masking.unit = unit;
        let dropped = open.dropped(opened, now);
        let figures = figures(opened, None);
        let mut record = open.tally.record(Round(0), figures, dropped, now, 0.0);
        record.committee = committee(&self.plan, opened);
        Ok(self.ready(sums, record))
    }

    /// Moves the model by a masked sum of updates.
    fn absorb_sum(&mut self, now: Timestamp, open: OpenSum, opened: &Opened) -> Outcome {
        let (round, terms) = (open.round, self.terms()?);
        let payload = Payload::of(&self.plan, &terms, open.manifest())?;
        let totals = payload.decode((&self.plan, &terms), round, &opened.sum, &opened.survivors)?;
        self.state.server.absorb(&self.plan, &totals, survivors(opened));
        opened.survivors.iter().for_each(|owner| self.state.accepted[owner.index()] = round);
        let dropped = open.dropped(opened, now);
        let length = norm(totals.update.iter().copied());
        let figures = figures(opened, Some(&totals));
        let mut record = open.tally.record(round, figures, dropped, now, length);
        record.committee = committee(&self.plan, opened);
        self.go_on(now, record)
    }

    pub(super) fn restart_sum(&mut self, now: Timestamp, mut open: Box<OpenSum>) -> Outcome {
        open.tally.opened = now;
        open.deadline = now + self.plan.round_deadline;
        let deadline = open.deadline;
        if matches!(open.phase, Phase::Opening(_)) {
            return self.introduce(open);
        }
        let mut effects = Effects::new();
        if open.phase == Phase::Gathering {
            let owners = open.waiting().into_iter().filter_map(|peer| match peer {
                Peer::Owner(owner) => Some(owner),
                Peer::Member(_) => None,
            });
            let owners: Vec<OwnerId> = owners.collect();
            effects.extend(self.ask_owners(&open, &owners)?);
        }
        let repeated = open.collector.alive().map_or_else(Vec::new, |machine| machine.repeat());
        effects.extend(self.wrap(open.manifest().slot, repeated)?);
        effects.push(CoordinatorEffect::Wake { at: deadline });
        self.state.stage = Stage::Summing(open);
        Ok(effects)
    }
}

fn survivors(opened: &Opened) -> u32 {
    u32::try_from(opened.survivors.len()).unwrap_or(u32::MAX)
}

fn figures(opened: &Opened, totals: Option<&Totals>) -> Figures {
    let said = totals.and_then(|totals| totals.figures);
    Figures {
        participants: opened.survivors.clone(),
        clipped: Vec::new(),
        clipped_owners: said.map_or(0, |said| said.clipped),
        updates: survivors(opened),
        train_loss: said.map(|said| said.losses / said.examples),
        steps: said.map_or(0, |said| said.steps),
    }
}

fn committee(plan: &Plan, opened: &Opened) -> Option<CommitteeRecord> {
    let members = plan.terms()?.engine.members();
    let (disputed, silent) = (opened.disputed.clone(), opened.silent.clone());
    (!members.is_empty()).then_some(CommitteeRecord { disputed, silent })
}
