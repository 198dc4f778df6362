//! Every party of a job in one process and in virtual time.
//!
//! The coordinator and the owners are the state machines of `nexus-training`, the same that run
//! on a real network. Here a seeded scheduler moves their messages, fires their timers and,
//! if asked to, breaks things. Two runs with the same seed are equal bit by bit; a run that was
//! killed goes on from its last [`Simulation::snapshot`] as if nothing had happened.
//!
//! Training happens out of order and in parallel: a result is needed only when its virtual time
//! has come, and does not depend on when it was computed.

mod agenda;
mod faults;
mod keys;
mod network;
mod snapshot;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nexus_mpc::Identity;
use nexus_privacy::budget::BudgetTicket;
use nexus_privacy::flow::Clipped;
use nexus_training::{
    Coordinator, CoordinatorEffect, CoordinatorEvent, DropReason, Dropped, LocalResult, LocalTask,
    Member, MemberEffect, Participant, ParticipantEffect, ParticipantEvent, Peer, Plan, Restored,
    RoundRecord, SumRecord, TaskId, TrainingError,
};
use nexus_types::{
    CodecError, MemberId, OwnerId, Party, Round, Seed, Timestamp, Transport, TransportError,
};

pub use faults::{
    Attack, AttackKind, CommitteeFaults, CoordinatorFaults, FaultPlan, FaultRange, Faults,
    NetworkFaults, OwnerFaults,
};

pub use keys::{Keys, ROOT_BYTES};

use crate::random::SystemRng;
use agenda::{Agenda, Appointment, Training};
use network::Network;

/// What the owners of a simulation do when they are asked to.
pub trait Workload: Sync {
    /// The sums that `owner` contributes to the statistics stage.
    ///
    /// # Errors
    /// Why the owner declines, in words.
    fn summarise(&self, owner: OwnerId) -> Result<Vec<f64>, String>;

    /// Rows that `owner` trains on.
    fn examples(&self, owner: OwnerId) -> u64;

    /// The model before the first round, given the sums over all owners.
    ///
    /// # Errors
    /// Why there is none, in words.
    fn initial(&self, summary: &[f64]) -> Result<Vec<f32>, String>;

    /// Trains on `owner`'s rows.
    ///
    /// # Errors
    /// Why the owner declines, in words.
    fn train(&self, owner: OwnerId, task: &LocalTask) -> Result<Trained, String>;

    /// What the noise of `owner` in `round` is paid with.
    ///
    /// # Errors
    /// Why the owner declines, in words.
    fn ticket(&self, owner: OwnerId, round: Round) -> Result<BudgetTicket, String> {
        Err(format!("{owner} has no budget for round {round}"))
    }

    /// How long `owner` trains, in virtual time.
    fn duration(&self, owner: OwnerId) -> Duration;
}

/// What training came to.
pub enum Trained {
    /// An update, as it is.
    Update(LocalResult),
    /// A clipped sum that needs noise.
    Clipped(Clipped),
}

impl std::fmt::Debug for Trained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Update(_) => "Update(..)",
            Self::Clipped(_) => "Clipped(..)",
        })
    }
}

/// What a simulation came to.
#[derive(Debug)]
pub enum Milestone {
    /// A round has ended. The second part names, for owners, faults injected during it.
    Round(Box<RoundRecord>, BTreeMap<OwnerId, String>),
    /// A masked sum was opened, and this is what an auditor needs to check it. Comes before its
    /// round.
    Sum(Box<SumRecord>),
    /// The job has ended.
    Finished,
}

/// Why a simulation ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// The job failed, as it may.
    #[error(transparent)]
    Job(#[from] TrainingError),
    /// The first model could not be made.
    #[error("no model to begin with: {reason}")]
    Begin {
        /// Why.
        reason: String,
    },
    /// A message could not be sent.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A snapshot could not be written or read.
    #[error(transparent)]
    Snapshot(#[from] CodecError),
    /// A snapshot is of another job.
    #[error("the snapshot has {got} owners, the job has {expected}")]
    OtherJob {
        /// Owners in the snapshot.
        got: usize,
        /// Owners in the job.
        expected: usize,
    },
    /// Nothing is left to happen, and the job has not ended.
    #[error("at {at:?} the coordinator waits, and nothing is left that could happen")]
    Stalled {
        /// The virtual time.
        at: Timestamp,
    },
    /// The simulation took more steps than any job of its size can need.
    #[error(
        "the job did not end within {limit} messages and timers: with these faults it never may"
    )]
    TooLong {
        /// The limit.
        limit: u64,
    },
}

impl SimulationError {
    /// Whether the job failed because owners did not answer in time, and for nothing else.
    pub fn is_deadline(&self) -> bool {
        let silent = |dropped: &Dropped| matches!(dropped.reason, DropReason::NoAnswer { .. });
        let Self::Job(TrainingError::QuorumLost { missing, .. }) = self else { return false };
        missing.iter().all(silent)
    }
}

struct Host<M> {
    machine: Option<M>,
    disk: Vec<u8>,
    life: u32,
}

/// A job under way.
pub struct Simulation<'a, W> {
    plan: Plan,
    keys: Keys,
    workload: &'a W,
    faults: FaultPlan,
    threads: usize,
    now: Timestamp,
    steps: u64,
    closed: Round,
    finished: bool,
    coordinator: Host<Coordinator>,
    owners: Vec<Host<Participant>>,
    members: Vec<Host<Member>>,
    random: SystemRng,
    network: Network,
    agenda: Agenda,
    milestones: VecDeque<Milestone>,
}

impl<W> std::fmt::Debug for Simulation<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation")
            .field("now", &self.now)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl<'a, W: Workload> Simulation<'a, W> {
    /// A job that has not begun.
    ///
    /// # Errors
    /// [`TrainingError`] if the plan is impossible.
    pub fn new(
        plan: Plan,
        keys: Keys,
        workload: &'a W,
        faults: Faults,
        seed: &Seed,
        threads: usize,
    ) -> Result<Self, SimulationError> {
        let mut simulation = Self::unstarted(plan, keys, workload, faults, seed, threads)?;
        simulation.plan_coordinator_crash();
        simulation.plan_member_crashes();
        simulation.coordinate(CoordinatorEvent::Start)?;
        Ok(simulation)
    }

    fn unstarted(
        plan: Plan,
        keys: Keys,
        workload: &'a W,
        faults: Faults,
        seed: &Seed,
        threads: usize,
    ) -> Result<Self, SimulationError> {
        let faults = FaultPlan::new(faults, seed);
        let coordinator = Coordinator::new(plan.clone())?.with_identity(keys.coordinator());
        let owner = |(id, key): (OwnerId, &Arc<Identity>)| {
            let participant = Participant::new(plan.clone(), id)?;
            Ok(Host::new(participant.with_identity(Arc::clone(key))))
        };
        let owners = OwnerId::all(plan.owners).zip(keys.owners());
        let owners = owners.map(owner).collect::<Result<_, TrainingError>>()?;
        let member = |(id, key): (MemberId, &Arc<Identity>)| {
            Ok(Host::new(Member::new(plan.clone(), id, Arc::clone(key))?))
        };
        let members = (0..).map(MemberId).zip(keys.members());
        let members = members.map(member).collect::<Result<_, TrainingError>>()?;
        Ok(Self {
            network: Network::new(plan.owners, faults.clone()),
            plan,
            keys,
            workload,
            faults,
            threads,
            now: Timestamp::default(),
            steps: 0,
            closed: Round(0),
            finished: false,
            coordinator: Host::new(coordinator),
            owners,
            members,
            random: SystemRng::default(),
            agenda: Agenda::default(),
            milestones: VecDeque::new(),
        })
    }

    /// The model as it is now; empty before the first round.
    pub fn parameters(&self) -> &[f32] {
        self.coordinator.machine.as_ref().map_or(&[], Coordinator::parameters)
    }

    /// The sums of the statistics stage, once it has ended.
    pub fn summary(&self) -> &[f64] {
        self.coordinator.machine.as_ref().map_or(&[], Coordinator::summary)
    }

    /// The virtual time.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Goes on to the next milestone.
    ///
    /// # Errors
    /// [`SimulationError`]: the job failed. It never hangs.
    pub fn advance(&mut self) -> Result<Milestone, SimulationError> {
        loop {
            if let Some(milestone) = self.milestones.pop_front() {
                return Ok(milestone);
            }
            if self.finished {
                return Ok(Milestone::Finished);
            }
            self.step()?;
        }
    }

    /// The most events a job of this size may take: every owner may answer every attempt with
    /// a few messages, twice, and crash on the way.
    fn step_limit(&self) -> u64 {
        let attempts = u64::from(self.plan.attempts) + 1;
        let rounds = u64::from(self.plan.rounds) + 1;
        let parties = u64::from(self.plan.owners) + self.members.len() as u64 + 1;
        // In a masked sum every owner's packet goes to every member.
        1000 + 64 * attempts * rounds * parties * (self.members.len() as u64 + 1)
    }

    fn step(&mut self) -> Result<(), SimulationError> {
        self.steps += 1;
        let limit = self.step_limit();
        if self.steps > limit {
            return Err(SimulationError::TooLong { limit });
        }
        let arrival = self.network.next_arrival();
        let appointment = self.agenda.next_at();
        let at = match (arrival, appointment) {
            (Some(arrival), Some(appointment)) => arrival.min(appointment),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => return Err(SimulationError::Stalled { at: self.now }),
        };
        self.now = self.now.max(at);
        self.network.advance(self.now, self.closed.next());
        if arrival == Some(at) { self.deliver() } else { self.attend() }
    }

    fn deliver(&mut self) -> Result<(), SimulationError> {
        let Some(to) = self.network.deliver_next() else { return Ok(()) };
        if self.is_down(to) {
            self.network.discard(to);
            return Ok(());
        }
        while let Some(received) = self.network.endpoint(to).receive() {
            match (to, received.from) {
                (Party::Coordinator, Party::Owner(from)) => {
                    let from = Peer::Owner(from);
                    self.coordinate(CoordinatorEvent::Message { from, bytes: &received.message })?;
                }
                (Party::Coordinator, Party::Member(from)) => {
                    let from = Peer::Member(from);
                    self.coordinate(CoordinatorEvent::Message { from, bytes: &received.message })?;
                }
                (Party::Member(member), Party::Coordinator) => {
                    self.serve(member, &received.message)?;
                }
                (Party::Owner(owner), Party::Coordinator) => {
                    self.participate(owner, ParticipantEvent::Message(&received.message))?;
                }
                (to, from) => tracing::warn!(%from, %to, "a message between the wrong parties"),
            }
        }
        Ok(())
    }

    fn is_down(&self, party: Party) -> bool {
        match party {
            Party::Coordinator => self.coordinator.machine.is_none(),
            Party::Owner(owner) => self.owners[owner.index()].machine.is_none(),
            Party::Member(member) => self.members[member.index()].machine.is_none(),
        }
    }

    fn attend(&mut self) -> Result<(), SimulationError> {
        self.agenda.train_due(self.threads, |training| {
            self.workload.train(training.owner, &training.task)
        });
        match self.agenda.pop() {
            Some(Appointment::Wake) => self.coordinate(CoordinatorEvent::Wake),
            Some(Appointment::Crash(party)) => {
                self.crash(party);
                Ok(())
            }
            Some(Appointment::Restart(party)) => self.restart(party),
            Some(Appointment::Train(training)) => self.trained(training),
            Some(Appointment::Expire(member, slot)) => self.expire(member, slot),
            None => Ok(()),
        }
    }

    fn trained(&mut self, training: Training) -> Result<(), SimulationError> {
        let Training { owner, task, result } = training;
        let event = match result.unwrap_or_else(|| self.workload.train(owner, &task)) {
            Ok(Trained::Update(mut result)) => {
                self.faults.poison(owner, task.id, &mut result.delta);
                ParticipantEvent::Trained(task.id, result)
            }
            Ok(Trained::Clipped(clipped)) => match self.workload.ticket(owner, task.id.round) {
                Ok(ticket) => return self.release(owner, task.id, clipped, ticket),
                Err(reason) => ParticipantEvent::Failed(task.id, reason),
            },
            Err(reason) => ParticipantEvent::Failed(task.id, reason),
        };
        self.participate(owner, event)
    }

    /// Gives an owner's machine a clipped sum.
    fn release(
        &mut self,
        owner: OwnerId,
        id: TaskId,
        clipped: Clipped,
        ticket: BudgetTicket,
    ) -> Result<(), SimulationError> {
        let Some(machine) = &mut self.owners[owner.index()].machine else { return Ok(()) };
        let effects = machine.release(&mut self.random, id, clipped, ticket)?;
        self.act(owner, effects)
    }

    fn coordinate(&mut self, event: CoordinatorEvent<'_>) -> Result<(), SimulationError> {
        let Some(machine) = &mut self.coordinator.machine else { return Ok(()) };
        for effect in machine.step(self.now, event)? {
            match effect {
                CoordinatorEffect::Send { to, message } => {
                    let to = match to {
                        Peer::Owner(owner) => Party::Owner(owner),
                        Peer::Member(member) => Party::Member(member),
                    };
                    self.network.endpoint(Party::Coordinator).send(to, message)?;
                }
                CoordinatorEffect::Wake { at } => self.agenda.add(at, Appointment::Wake),
                CoordinatorEffect::Persist => self.persist_coordinator()?,
                CoordinatorEffect::Summary { sums, .. } => {
                    let parameters = self
                        .workload
                        .initial(&sums)
                        .map_err(|reason| SimulationError::Begin { reason })?;
                    self.coordinate(CoordinatorEvent::Begin { parameters })?;
                }
                CoordinatorEffect::Summed(record) => {
                    self.milestones.push_back(Milestone::Sum(Box::new(record)));
                }
                CoordinatorEffect::RoundClosed(record) => self.round_closed(record),
                CoordinatorEffect::Finished { .. } => self.finished = true,
                CoordinatorEffect::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn round_closed(&mut self, record: RoundRecord) {
        // A coordinator that crashed just then says so again.
        if record.round <= self.closed {
            return;
        }
        self.closed = record.round;
        self.network.advance(self.now, self.closed.next());
        self.plan_coordinator_crash();
        self.plan_member_crashes();
        let causes = self.network.take_causes();
        self.milestones.push_back(Milestone::Round(Box::new(record), causes));
    }

    fn plan_coordinator_crash(&mut self) {
        let Some(share) = self.faults.coordinator_crash(self.closed, self.coordinator.life) else {
            return;
        };
        let at = self.now + self.plan.round_deadline.mul_f64(share);
        self.agenda.add(at, Appointment::Crash(Party::Coordinator));
    }

    fn plan_member_crashes(&mut self) {
        for member in (0..).map(MemberId).take(self.members.len()) {
            if let Some(share) = self.faults.member_crash(member, self.closed) {
                // A round takes a small part of its deadline, if nothing else goes wrong.
                let at = self.now + self.plan.round_deadline.mul_f64(share * share * share);
                self.agenda.add(at, Appointment::Crash(Party::Member(member)));
            }
        }
    }

    fn persist_coordinator(&mut self) -> Result<(), SimulationError> {
        let keeps = self.faults.faults().crashes();
        Ok(self.coordinator.persist(keeps, Coordinator::snapshot)?)
    }

    fn participate(
        &mut self,
        owner: OwnerId,
        event: ParticipantEvent<'_>,
    ) -> Result<(), SimulationError> {
        let Some(machine) = &mut self.owners[owner.index()].machine else { return Ok(()) };
        let effects = machine.step(&mut self.random, event)?;
        self.act(owner, effects)
    }

    fn act(
        &mut self,
        owner: OwnerId,
        effects: Vec<ParticipantEffect>,
    ) -> Result<(), SimulationError> {
        for effect in effects {
            match effect {
                ParticipantEffect::Summarise => {
                    let event = match self.workload.summarise(owner) {
                        Ok(sums) => {
                            let examples = self.workload.examples(owner);
                            ParticipantEvent::Summarised { sums, examples }
                        }
                        Err(reason) => ParticipantEvent::Failed(TaskId::SUMMARY, reason),
                    };
                    self.participate(owner, event)?;
                }
                ParticipantEffect::Train(task) => self.begin_training(owner, task),
                ParticipantEffect::Send(message) => {
                    self.network.endpoint(Party::Owner(owner)).send(Party::Coordinator, message)?;
                }
                ParticipantEffect::Persist => self.persist_owner(owner)?,
                ParticipantEffect::Refused(refusal) => {
                    tracing::debug!(%owner, %refusal, "a task was refused");
                }
            }
        }
        Ok(())
    }

    /// Gives a member of the committee a message.
    fn serve(&mut self, member: MemberId, message: &[u8]) -> Result<(), SimulationError> {
        let Some(machine) = &mut self.members[member.index()].machine else { return Ok(()) };
        let effects = machine.step(&mut self.random, message)?;
        self.do_for(member, effects)
    }

    /// A sum is over for a member that has not answered it.
    fn expire(&mut self, member: MemberId, slot: u32) -> Result<(), SimulationError> {
        let Some(machine) = &mut self.members[member.index()].machine else {
            let later = self.now + self.plan.round_deadline;
            self.agenda.add(later, Appointment::Expire(member, slot));
            return Ok(());
        };
        let effects = machine.expire(slot);
        self.do_for(member, effects)
    }

    fn do_for(
        &mut self,
        member: MemberId,
        effects: Vec<MemberEffect>,
    ) -> Result<(), SimulationError> {
        for effect in effects {
            match effect {
                MemberEffect::Send(message) => {
                    let mut endpoint = self.network.endpoint(Party::Member(member));
                    endpoint.send(Party::Coordinator, message)?;
                }
                MemberEffect::Persist => self.persist_member(member)?,
                MemberEffect::Expire { slot, after } => {
                    self.agenda.forget_expiry(member);
                    self.agenda.add(self.now + after, Appointment::Expire(member, slot));
                }
                MemberEffect::Refused(refusal) => {
                    tracing::debug!(%member, %refusal, "a task was refused");
                }
            }
        }
        Ok(())
    }

    fn begin_training(&mut self, owner: OwnerId, task: LocalTask) {
        let party = Party::Owner(owner);
        self.agenda.forget_training(owner);
        let span = self.workload.duration(owner).mul_f64(self.faults.slowness(owner));
        if let Some(share) =
            self.faults.owner_crash(owner, task.id.round, self.owners[owner.index()].life)
        {
            self.network.blame(party, "it crashed while training");
            return self.agenda.add(self.now + span.mul_f64(share), Appointment::Crash(party));
        }
        let training = Training { owner, task, result: None };
        self.agenda.add(self.now + span, Appointment::Train(training));
    }

    fn persist_owner(&mut self, owner: OwnerId) -> Result<(), SimulationError> {
        let keeps = self.faults.faults().crashes();
        Ok(self.owners[owner.index()].persist(keeps, Participant::snapshot)?)
    }

    fn persist_member(&mut self, member: MemberId) -> Result<(), SimulationError> {
        let keeps = self.faults.faults().crashes();
        Ok(self.members[member.index()].persist(keeps, Member::snapshot)?)
    }

    fn crash(&mut self, party: Party) {
        let Faults { owners, coordinator, committee, .. } = self.faults.faults();
        let pause = match party {
            Party::Coordinator => coordinator.restart_ms,
            Party::Owner(_) => owners.restart_ms,
            Party::Member(_) => committee.restart_ms,
        };
        match party {
            Party::Coordinator => self.coordinator.crash(),
            Party::Owner(owner) => {
                self.owners[owner.index()].crash();
                self.agenda.forget_training(owner);
            }
            Party::Member(member) => self.members[member.index()].crash(),
        }
        tracing::debug!(%party, "crashed");
        let back = self.now + Duration::from_millis(pause.into());
        self.agenda.add(back, Appointment::Restart(party));
    }

    fn restart(&mut self, party: Party) -> Result<(), SimulationError> {
        match party {
            Party::Coordinator => {
                let host = &mut self.coordinator;
                let machine = match host.disk.as_slice() {
                    [] => Coordinator::new(self.plan.clone())?,
                    disk => Coordinator::restore(self.plan.clone(), disk)?,
                };
                host.machine = Some(machine.with_identity(self.keys.coordinator()));
                self.coordinate(CoordinatorEvent::Restarted)
            }
            Party::Owner(owner) => {
                let host = &mut self.owners[owner.index()];
                let key = Arc::clone(&self.keys.owners()[owner.index()]);
                let machine = match host.disk.as_slice() {
                    [] => Participant::new(self.plan.clone(), owner)?.with_identity(key),
                    disk => Participant::restore(self.plan.clone(), owner, Some(key), disk)?,
                };
                host.machine = Some(machine);
                self.participate(owner, ParticipantEvent::Restarted)
            }
            Party::Member(member) => {
                let host = &mut self.members[member.index()];
                let key = Arc::clone(&self.keys.members()[member.index()]);
                let plan = self.plan.clone();
                let machine = match host.disk.as_slice() {
                    [] => Member::new(plan, member, key)?,
                    disk => Member::restore(plan, member, key, disk, Restored::Continued)?,
                };
                host.machine = Some(machine);
                Ok(())
            }
        }
    }
}

impl<M> Host<M> {
    const fn new(machine: M) -> Self {
        Self { machine: Some(machine), disk: Vec::new(), life: 0 }
    }

    /// Keeps what the machine asked to be kept, if anything can go wrong.
    fn persist<E>(
        &mut self,
        keeps: bool,
        snapshot: impl Fn(&M) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        if let (true, Some(machine)) = (keeps, &self.machine) {
            self.disk = snapshot(machine)?;
        }
        Ok(())
    }

    fn crash(&mut self) {
        self.machine = None;
        self.life += 1;
    }
}
