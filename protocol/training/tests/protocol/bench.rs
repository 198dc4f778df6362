//! A coordinator driven by hand.

use std::sync::Arc;
use std::time::Duration;

use nexus_training::{
    Answer, Coordinator, CoordinatorEffect, CoordinatorEvent, DropReason, MAX_EXAMPLE_CAP, Peer,
    Plan, Protection, RoundRecord, Rule, Strategy, TaskId, TrainingError, Update, Weighting,
};
use nexus_types::{Canonical, Digest, JobId, ModelHash, OwnerId, Round, Seed, Timestamp};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

/// Milliseconds of an attempt.
pub(crate) const DEADLINE: u64 = 1000;

/// Five owners, two parameters, three rounds of FedAvg.
pub(crate) fn plan() -> Plan {
    Plan {
        job: JobId(Digest::of("test", b"job")),
        model: ModelHash(Digest::of("test", b"model")),
        owners: 5,
        rounds: 3,
        parameters: 2,
        statistics: 0,
        fraction: 1.0,
        quorum: 3,
        round_deadline: Duration::from_millis(DEADLINE),
        attempts: 2,
        strategy: Strategy::FedAvg,
        rule: Rule::Mean,
        weighting: Weighting::Uniform,
        example_cap: MAX_EXAMPLE_CAP,
        seed: Seed::from_number(1),
        protection: Protection::Clear,
    }
}

/// Randomness for masks that clear jobs do not draw.
pub(crate) fn entropy() -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(1)
}

/// An update for the first task of `round` on one example.
pub(crate) fn update(plan: &Plan, round: u32, delta: &[f32]) -> Update {
    Update {
        job: plan.job,
        id: TaskId::first(Round(round)),
        model: plan.model,
        examples: 1,
        loss_sum: 2.0,
        steps: 1,
        displacement: 1.0,
        delta: delta.to_vec(),
    }
}

pub(crate) fn encoded(update: Update) -> Vec<u8> {
    Answer::Update(update).encode().unwrap()
}

pub(crate) fn declined(plan: &Plan, id: TaskId, reason: &str) -> Vec<u8> {
    Answer::Declined { job: plan.job, id, reason: reason.into() }.encode().unwrap()
}

/// A coordinator driven by hand.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) machine: Coordinator,
    pub(crate) now: u64,
}

impl Bench {
    /// A job whose first round is open, from a model of zeros.
    pub(crate) fn open(plan: Plan) -> Self {
        let parameters = vec![0.0; plan.parameters as usize];
        let mut bench = Self { machine: Coordinator::new(plan).unwrap(), now: 0 };
        bench.step(CoordinatorEvent::Start);
        bench.step(CoordinatorEvent::Begin { parameters });
        bench
    }

    pub(crate) fn step(&mut self, event: CoordinatorEvent<'_>) -> Vec<CoordinatorEffect> {
        self.machine.step(Timestamp(self.now), event).unwrap()
    }

    pub(crate) fn plan(&self) -> Plan {
        self.machine.plan().clone()
    }

    pub(crate) fn send(&mut self, from: u32, bytes: &[u8]) -> Vec<CoordinatorEffect> {
        self.step(CoordinatorEvent::Message { from: Peer::Owner(OwnerId(from)), bytes })
    }

    /// `from` answers the open round.
    pub(crate) fn answer(&mut self, from: u32, delta: &[f32]) -> Vec<CoordinatorEffect> {
        let round = self.machine.round().unwrap().0;
        let bytes = encoded(update(&self.plan(), round, delta));
        self.send(from, &bytes)
    }

    /// The deadline passes.
    pub(crate) fn wait(&mut self) -> Vec<CoordinatorEffect> {
        self.now += DEADLINE;
        self.step(CoordinatorEvent::Wake)
    }
}

pub(crate) fn record(effects: &[CoordinatorEffect]) -> RoundRecord {
    for effect in effects {
        if let CoordinatorEffect::RoundClosed(record) = effect {
            return record.clone();
        }
    }
    panic!("no round was closed: {effects:?}");
}

pub(crate) fn failure(effects: &[CoordinatorEffect]) -> TrainingError {
    let [CoordinatorEffect::Failed(error)] = effects else {
        panic!("the job did not fail: {effects:?}");
    };
    error.clone()
}

/// What was sent, and to whom.
pub(crate) fn sent(effects: &[CoordinatorEffect]) -> Vec<(u32, Arc<[u8]>)> {
    let mut sent = Vec::new();
    for effect in effects {
        if let CoordinatorEffect::Send { to: Peer::Owner(to), message } = effect {
            sent.push((to.0, message.clone().into_bytes()));
        }
    }
    sent
}

/// To whom something was sent.
pub(crate) fn receivers(effects: &[CoordinatorEffect]) -> Vec<u32> {
    sent(effects).into_iter().map(|(to, _)| to).collect()
}

pub(crate) fn reasons(record: &RoundRecord) -> Vec<(u32, DropReason)> {
    record.dropped.iter().map(|dropped| (dropped.owner.0, dropped.reason.clone())).collect()
}
