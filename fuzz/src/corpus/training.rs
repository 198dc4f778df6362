//! A round of a job in the clear.

use std::sync::LazyLock;
use std::time::Duration;

use nexus_mpc::aggregation::secagg_plus;
use nexus_mpc::{Identity, Signature};
use nexus_training::{
    Answer, Coordinator, CoordinatorEffect, CoordinatorEvent, EngineManifest, EngineTerms,
    JobTerms, LocalResult, MAX_EXAMPLE_CAP, Manifest, MemberAnswer, MemberTask, Participant,
    ParticipantEffect, ParticipantEvent, Peer, Plan, Protection, Rule, SignedManifest, Strategy,
    SumRecord, TaskId, Weighting,
};
use nexus_types::{Canonical, Digest, JobId, ModelHash, OwnerId, Round, Seed, Timestamp};

use super::{Made, rng};

const PARAMETERS: u32 = 3;

/// The parties as they were after every message, and all their messages.
pub(crate) struct World {
    pub(crate) coordinators: Vec<Coordinator>,
    /// All of them owner 0.
    pub(crate) participants: Vec<Participant>,
    pub(crate) messages: Vec<Vec<u8>>,
}

pub(crate) fn plan() -> Plan {
    Plan {
        job: JobId(Digest([1; 32])),
        model: ModelHash(Digest([2; 32])),
        owners: 2,
        rounds: 2,
        parameters: PARAMETERS,
        statistics: 0,
        fraction: 1.0,
        quorum: 1,
        round_deadline: Duration::from_secs(1),
        attempts: 2,
        strategy: Strategy::FedAvg,
        rule: Rule::Mean,
        weighting: Weighting::Uniform,
        example_cap: MAX_EXAMPLE_CAP,
        seed: Seed::from_number(1),
        protection: Protection::Clear,
    }
}

pub(crate) fn world() -> Made<&'static World> {
    static WORLD: LazyLock<Made<World>> = LazyLock::new(World::new);
    WORLD.as_ref().map_err(|error| error.to_string().into())
}

impl World {
    fn new() -> Made<Self> {
        let mut world =
            Self { coordinators: Vec::new(), participants: Vec::new(), messages: Vec::new() };
        world.run()?;
        let reason = "no rows".to_owned();
        let declined = Answer::Declined { job: plan().job, id: TaskId::first(Round(1)), reason };
        world.messages.push(declined.encode()?);
        Ok(world)
    }

    fn run(&mut self) -> Made<()> {
        let now = Timestamp(0);
        let mut coordinator = Coordinator::new(plan())?;
        let mut participant = Participant::new(plan(), OwnerId(0))?;
        coordinator.step(now, CoordinatorEvent::Start)?;
        let parameters = vec![0.5; PARAMETERS as usize];
        let mut effects = coordinator.step(now, CoordinatorEvent::Begin { parameters })?;
        while let Some(task) = effects.iter().find_map(task_of_owner_0) {
            self.coordinators.push(coordinator.clone());
            self.participants.push(participant.clone());
            let todo = participant.step(&mut rng(1), ParticipantEvent::Message(&task))?;
            self.messages.push(task);
            let Some(trained) = todo.into_iter().find_map(trained) else { break };
            self.participants.push(participant.clone());
            let done = participant.step(&mut rng(2), trained)?;
            let Some(bytes) = done.into_iter().find_map(answer) else { break };
            effects = vec![];
            for owner in OwnerId::all(2) {
                let message = CoordinatorEvent::Message { from: Peer::Owner(owner), bytes: &bytes };
                effects.extend(coordinator.step(now, message)?);
            }
            self.messages.push(bytes);
        }
        self.coordinators.push(coordinator);
        self.participants.push(participant);
        Ok(())
    }

    pub(crate) fn snapshots(&self) -> Made<Vec<Vec<u8>>> {
        let coordinators = self.coordinators.iter().map(Coordinator::snapshot);
        let participants = self.participants.iter().map(Participant::snapshot);
        Ok(coordinators.chain(participants).collect::<Result<_, _>>()?)
    }
}

fn task_of_owner_0(effect: &CoordinatorEffect) -> Option<Vec<u8>> {
    if let CoordinatorEffect::Send { to: Peer::Owner(OwnerId(0)), message } = effect {
        return Some(message.to_vec());
    }
    None
}

fn trained(effect: ParticipantEffect) -> Option<ParticipantEvent<'static>> {
    let ParticipantEffect::Train(task) = effect else { return None };
    let delta = vec![0.25; PARAMETERS as usize];
    let result = LocalResult { delta, examples: 4, loss_sum: 2.0, steps: 3, displacement: 0.3 };
    Some(ParticipantEvent::Trained(task.id, result))
}

fn answer(effect: ParticipantEffect) -> Option<Vec<u8>> {
    if let ParticipantEffect::Send(message) = effect { Some(message.to_vec()) } else { None }
}

/// An encoding of each message of masked sums.
pub(crate) fn masked() -> Made<Vec<Vec<u8>>> {
    let job = plan().job;
    let key = Identity::from_secret([1; 32]).public();
    let terms = JobTerms {
        job,
        coordinator: key,
        owners: vec![key; 2],
        n_min: 2,
        attempts: 2,
        clip: 16.0,
        privacy: None,
        engine: EngineTerms::SecAggPlus(secagg_plus::Terms::default()),
    };
    let manifest = Manifest {
        terms: terms.digest()?,
        slot: 1,
        task: TaskId::first(Round(1)),
        model: Digest([3; 32]),
        owners: OwnerId::all(2).collect(),
        n_min: 2,
        values: PARAMETERS,
        weight_unit: 1.5,
        deadline_ms: 1000,
        engine: EngineManifest::SecAggPlus,
    };
    let signed = SignedManifest { manifest: manifest.clone(), signature: Signature([4; 64]) };
    let record = SumRecord { manifest: signed.clone(), transcript: Some(vec![5; 9]) };
    let open = MemberTask::Open { job, manifest: Box::new(signed) };
    let refused = MemberAnswer::Refused { job, reason: "too late".to_owned() };
    Ok(vec![
        terms.encode()?,
        manifest.encode()?,
        record.encode()?,
        open.encode()?,
        MemberTask::Sum { job, slot: 2, message: vec![6; 5] }.encode()?,
        refused.encode()?,
        MemberAnswer::Opened { job, slot: 2 }.encode()?,
    ])
}
