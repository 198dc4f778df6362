//! A simulation as bytes: what a killed run goes on from.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_training::{Coordinator, LocalTask, Member, Participant, Plan, Restored, TrainingError};
use nexus_types::limits::MAX_MESSAGE_BYTES;
use nexus_types::{Canonical, MemberId, OwnerId, Party, Round, Seed, Timestamp, TransportError};

use super::agenda::{Appointment, Training};
use super::network::Envelope;
use super::{Faults, Host, Keys, Simulation, SimulationError, Workload};

#[derive(BorshSerialize, BorshDeserialize)]
struct Saved {
    now: Timestamp,
    steps: u64,
    closed: Round,
    finished: bool,
    coordinator: SavedHost,
    owners: Vec<SavedHost>,
    members: Vec<SavedHost>,
    sequence: u64,
    wire: Vec<SavedMail>,
    causes: Vec<(OwnerId, String)>,
    agenda: Vec<(Timestamp, SavedAppointment)>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct SavedHost {
    machine: Option<Vec<u8>>,
    disk: Vec<u8>,
    life: u32,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct SavedMail {
    at: u64,
    order: u64,
    from: Party,
    to: Party,
    message: Vec<u8>,
}

#[derive(BorshSerialize, BorshDeserialize)]
enum SavedAppointment {
    Wake,
    Crash(Party),
    Restart(Party),
    Train(OwnerId, LocalTask),
    Expire(MemberId, u32),
}

impl Canonical for Saved {
    const DOMAIN: &'static str = "nexus/simulation/snapshot";
    const VERSION: u8 = 3;
    const MAX_BYTES: usize = 64 * MAX_MESSAGE_BYTES;
}

impl Saved {
    /// Every party that is named must be one of the job's.
    fn check(&self, plan: &Plan, members: usize) -> Result<(), SimulationError> {
        let mail = self.wire.iter().flat_map(|mail| [mail.from, mail.to]);
        let agenda = self.agenda.iter().filter_map(|(_, entry)| match entry {
            SavedAppointment::Wake => None,
            SavedAppointment::Crash(party) | SavedAppointment::Restart(party) => Some(*party),
            SavedAppointment::Train(owner, _) => Some(Party::Owner(*owner)),
            SavedAppointment::Expire(member, _) => Some(Party::Member(*member)),
        });
        let causes = self.causes.iter().map(|(owner, _)| Party::Owner(*owner));
        let stranger = |party: &Party| match party {
            Party::Coordinator => false,
            Party::Owner(owner) => owner.0 >= plan.owners,
            Party::Member(member) => member.index() >= members,
        };
        match mail.chain(agenda).chain(causes).find(stranger) {
            Some(to) => Err(TransportError::Unreachable { to }.into()),
            None => Ok(()),
        }
    }
}

impl<'a, W: Workload> Simulation<'a, W> {
    /// The whole simulation. Results of trainings under way are not part of it: they are
    /// computed again, to the same bits.
    ///
    /// # Errors
    /// [`SimulationError::Snapshot`] if the state is too large.
    pub fn snapshot(&self) -> Result<Vec<u8>, SimulationError> {
        let (sequence, wire) = self.network.saved();
        let wire = wire.map(|(at, order, mail)| SavedMail {
            at,
            order,
            from: mail.from,
            to: mail.to,
            message: mail.message.to_vec(),
        });
        let agenda = self.agenda.entries().map(|(at, entry)| (at, save_appointment(entry)));
        let saved = Saved {
            now: self.now,
            steps: self.steps,
            closed: self.closed,
            finished: self.finished,
            coordinator: self.coordinator.save(Coordinator::snapshot)?,
            owners: self
                .owners
                .iter()
                .map(|host| host.save(Participant::snapshot))
                .collect::<Result<_, _>>()?,
            members: self
                .members
                .iter()
                .map(|host| host.save(Member::snapshot))
                .collect::<Result<_, _>>()?,
            sequence,
            wire: wire.collect(),
            causes: self.network.causes(),
            agenda: agenda.collect(),
        };
        Ok(saved.encode()?)
    }

    /// The simulation that [`Simulation::snapshot`] saw.
    ///
    /// # Errors
    /// [`SimulationError`] if the bytes are no snapshot of this job.
    pub fn restore(
        plan: Plan,
        keys: Keys,
        workload: &'a W,
        faults: Faults,
        seed: &Seed,
        threads: usize,
        bytes: &[u8],
    ) -> Result<Self, SimulationError> {
        let saved = Saved::decode(bytes)?;
        let mut simulation = Self::unstarted(plan, keys, workload, faults, seed, threads)?;
        let (got, expected) = (saved.owners.len(), simulation.owners.len());
        if got != expected || saved.members.len() != simulation.members.len() {
            return Err(SimulationError::OtherJob { got, expected });
        }
        saved.check(&simulation.plan, simulation.members.len())?;
        let (plan, keys) = (simulation.plan.clone(), simulation.keys.clone());
        simulation.coordinator = Host::load(saved.coordinator, |bytes| {
            let coordinator = Coordinator::restore(plan.clone(), bytes)?;
            Ok::<_, TrainingError>(coordinator.with_identity(keys.coordinator()))
        })?;
        let owners = (0..).map(OwnerId).zip(keys.owners());
        for ((id, key), (host, saved)) in owners.zip(simulation.owners.iter_mut().zip(saved.owners))
        {
            let key = Some(Arc::clone(key));
            *host = Host::load(saved, |bytes| Participant::restore(plan.clone(), id, key, bytes))?;
        }
        let members = (0..).map(MemberId).zip(keys.members());
        for ((id, key), (host, saved)) in
            members.zip(simulation.members.iter_mut().zip(saved.members))
        {
            let key = Arc::clone(key);
            *host = Host::load(saved, |bytes| {
                Member::restore(plan.clone(), id, key, bytes, Restored::Continued)
            })?;
        }
        let wire = saved.wire.into_iter().map(|mail| {
            let SavedMail { at, order, from, to, message } = mail;
            (at, order, Envelope { from, to, message: message.into() })
        });
        simulation.network.restore(saved.now, saved.closed.next(), saved.sequence, wire.collect());
        for (owner, cause) in saved.causes {
            simulation.network.blame(Party::Owner(owner), &cause);
        }
        for (at, entry) in saved.agenda {
            simulation.agenda.add(at, load_appointment(entry));
        }
        simulation.now = saved.now;
        simulation.steps = saved.steps;
        simulation.closed = saved.closed;
        simulation.finished = saved.finished;
        Ok(simulation)
    }
}

fn save_appointment(entry: &Appointment) -> SavedAppointment {
    match entry {
        Appointment::Wake => SavedAppointment::Wake,
        Appointment::Crash(party) => SavedAppointment::Crash(*party),
        Appointment::Restart(party) => SavedAppointment::Restart(*party),
        Appointment::Train(t) => SavedAppointment::Train(t.owner, t.task.clone()),
        Appointment::Expire(member, slot) => SavedAppointment::Expire(*member, *slot),
    }
}

fn load_appointment(saved: SavedAppointment) -> Appointment {
    match saved {
        SavedAppointment::Wake => Appointment::Wake,
        SavedAppointment::Crash(party) => Appointment::Crash(party),
        SavedAppointment::Restart(party) => Appointment::Restart(party),
        SavedAppointment::Train(owner, task) => {
            Appointment::Train(Training { owner, task, result: None })
        }
        SavedAppointment::Expire(member, slot) => Appointment::Expire(member, slot),
    }
}

impl<M> Host<M> {
    fn save<E>(&self, snapshot: impl Fn(&M) -> Result<Vec<u8>, E>) -> Result<SavedHost, E> {
        let machine = self.machine.as_ref().map(snapshot).transpose()?;
        Ok(SavedHost { machine, disk: self.disk.clone(), life: self.life })
    }

    fn load<E>(saved: SavedHost, restore: impl FnOnce(&[u8]) -> Result<M, E>) -> Result<Self, E> {
        let machine = saved.machine.as_deref().map(restore).transpose()?;
        Ok(Self { machine, disk: saved.disk, life: saved.life })
    }
}
