//! A coordinator that asks for more than a job's terms allow, as a program against real owners
//! and members. Each attack works on a twin: one that forgets what it has accepted, or one that
//! believes the coordinator's terms instead of its own.

use std::sync::Arc;
use std::time::Duration;

use nexus_mpc::aggregation::{Collector as _, Contributor as _, Peer, Progress, nx};
use nexus_mpc::{Identity, PacketSecret};
use nexus_privacy::budget::Unit;
use nexus_privacy::flow::Purpose;
use nexus_types::{Canonical, Digest, JobId, MemberId, ModelHash, OwnerId, Round, Seed};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::twin::without_signatures;
use super::{
    EngineManifest, EngineTerms, JobTerms, Manifest, ManifestRefusal, Member, MemberAnswer,
    MemberEffect, MemberRefusal, MemberTask, Payload, PrivacyTerms, SignedManifest,
    SignedPacketKey, cooled, expected_values,
};
use crate::message::{Answer, Task, TaskId, TrainTask};
use crate::participant::{LocalResult, Participant, ParticipantEffect, ParticipantEvent, Refusal};
use crate::plan::{MAX_EXAMPLE_CAP, Plan, Protection, Weighting};
use crate::rule::Rule;
use crate::strategy::Strategy;

const OWNERS: u32 = 5;
const MODEL: [f32; 2] = [1.0, 2.0];
const OTHER_MODEL: [f32; 2] = [1.0, 2.5];

/// Whose keys a party has accepted: their first bytes.
#[derive(Clone, Copy)]
struct Accepted {
    coordinator: u8,
    owners: u8,
    members: u8,
    n_min: u32,
}

const JOB: Accepted = Accepted { coordinator: 1, owners: 10, members: 100, n_min: 4 };

fn identity(first: u8, index: u32) -> Arc<Identity> {
    let mut secret = [first; 32];
    secret[1..5].copy_from_slice(&index.to_le_bytes());
    Arc::new(Identity::from_secret(secret))
}

fn public(first: u8, count: u32) -> Vec<nexus_mpc::PublicKey> {
    (0..count).map(|index| identity(first, index).public()).collect()
}

fn plan(accepted: Accepted) -> Plan {
    let job = JobId(Digest::of("test", b"job"));
    let terms = JobTerms {
        job,
        coordinator: identity(accepted.coordinator, 0).public(),
        owners: public(accepted.owners, OWNERS),
        n_min: accepted.n_min,
        attempts: 2,
        clip: 8.0,
        privacy: None,
        engine: EngineTerms::Nx {
            members: public(accepted.members, 4),
            packing: Some(1),
            leaves: 1,
            keep_messages: true,
            corrupt_permille: 0,
        },
    };
    Plan {
        job,
        model: ModelHash(Digest::of("test", b"model")),
        owners: OWNERS,
        rounds: 3,
        parameters: 2,
        statistics: 0,
        fraction: 1.0,
        quorum: 2,
        round_deadline: Duration::from_secs(1),
        attempts: 9,
        strategy: Strategy::FedAvg,
        rule: Rule::Mean,
        weighting: Weighting::Uniform,
        example_cap: MAX_EXAMPLE_CAP,
        seed: Seed::from_number(1),
        protection: Protection::Masked(Arc::new(terms)),
    }
}

fn task(plan: &Plan, model: [f32; 2]) -> TrainTask {
    TrainTask {
        job: plan.job,
        id: TaskId::first(Round(1)),
        parameters: model.to_vec(),
        control: Vec::new(),
        accepted: Vec::new(),
        summary: Vec::new(),
        manifest: None,
    }
}

/// What an honest coordinator of `plan` would write for the sum `slot`, with keys of the
/// members whose keys begin with `members`.
fn manifest(plan: &Plan, members: u8, slot: u32, model: [f32; 2]) -> Manifest {
    let terms = plan.terms().unwrap();
    let task = task(plan, model);
    let mut rng = ChaCha12Rng::seed_from_u64(slot.into());
    let key = |id: MemberId| {
        let key = PacketSecret::generate(&mut rng).public();
        let signer = identity(members, id.0.into());
        Some(SignedPacketKey::sign(&signer, plan.job, slot, id, key))
    };
    Manifest {
        terms: terms.digest().unwrap(),
        slot,
        task: task.id,
        model: task.fingerprint().unwrap(),
        owners: OwnerId::all(OWNERS).collect(),
        n_min: terms.n_min,
        values: u32::try_from(expected_values(plan, terms, task.id, OWNERS).unwrap()).unwrap(),
        weight_unit: 1.0,
        deadline_ms: 1000,
        engine: EngineManifest::Nx(MemberId::all(4).map(key).collect()),
    }
}

fn owner(accepted: Accepted) -> Participant {
    let identity = identity(accepted.owners, 0);
    Participant::new(plan(accepted), OwnerId(0)).unwrap().with_identity(identity)
}

/// Sends the owner work under `manifest`, signed by `coordinator`.
fn ask(
    owner: &mut Participant,
    manifest: &Manifest,
    coordinator: u8,
    model: [f32; 2],
) -> Result<(), ManifestRefusal> {
    let signed = SignedManifest::sign(manifest.clone(), &identity(coordinator, 0)).unwrap();
    let mut task = task(&plan(JOB), model);
    task.manifest = Some(Box::new(signed));
    let bytes = Task::Train(task).encode().unwrap();
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    for effect in owner.step(&mut rng, ParticipantEvent::Message(&bytes)).unwrap() {
        if let ParticipantEffect::Refused(refusal) = effect {
            let Refusal::Manifest(refusal) = refusal else { panic!("{refusal}") };
            return Err(refusal);
        }
    }
    Ok(())
}

/// An attack by manifests that an honest coordinator would not write, one after the other; the
/// last is refused by an owner with a memory and answered by one without.
fn needs_memory(asked: &[(Manifest, [f32; 2])], refusal: &ManifestRefusal) {
    let (mut real, mut twin) = (owner(JOB), owner(JOB));
    let (last, before) = asked.split_last().unwrap();
    for (manifest, model) in before {
        assert_eq!(ask(&mut real, manifest, JOB.coordinator, *model), Ok(()));
        assert_eq!(ask(&mut twin, manifest, JOB.coordinator, *model), Ok(()));
        twin.forget();
    }
    assert_eq!(ask(&mut real, &last.0, JOB.coordinator, last.1), Err(refusal.clone()));
    assert_eq!(ask(&mut twin, &last.0, JOB.coordinator, last.1), Ok(()), "the twin answers");
}

#[test]
fn a_second_manifest_for_a_sum_is_refused() {
    let first = manifest(&plan(JOB), JOB.members, 0, MODEL);
    let second = Manifest { deadline_ms: 2000, ..first.clone() };
    needs_memory(&[(first, MODEL), (second, MODEL)], &ManifestRefusal::Second { slot: 0 });
}

#[test]
fn another_attempt_at_a_round_has_the_same_model_and_floor() {
    let honest = |slot, model| manifest(&plan(JOB), JOB.members, slot, model);
    let other = (honest(1, OTHER_MODEL), OTHER_MODEL);
    needs_memory(&[(honest(0, MODEL), MODEL), other], &ManifestRefusal::OtherContent);
    let floor = Manifest { n_min: OWNERS, ..honest(1, MODEL) };
    needs_memory(&[(honest(0, MODEL), MODEL), (floor, MODEL)], &ManifestRefusal::OtherContent);
}

#[test]
fn a_third_attempt_on_a_model_is_refused() {
    let attempts = [0, 1, 2].map(|slot| (manifest(&plan(JOB), JOB.members, slot, MODEL), MODEL));
    needs_memory(&attempts, &ManifestRefusal::Attempts { limit: 2 });
}

#[test]
fn a_sum_is_bound_to_the_model_that_was_sent() {
    let honest = manifest(&plan(JOB), JOB.members, 0, MODEL);
    let sent = ask(&mut owner(JOB), &honest, JOB.coordinator, OTHER_MODEL);
    assert_eq!(sent, Err(ManifestRefusal::Model));
}

/// A coordinator that writes terms of its own: refused by an owner of the job, answered by a twin
/// that took the terms from the coordinator.
fn needs_terms(written: Accepted, refusal: &ManifestRefusal) {
    let terms = plan(written);
    let manifest = manifest(&terms, written.members, 0, MODEL);
    let real = ask(&mut owner(JOB), &manifest, written.coordinator, MODEL);
    assert_eq!(real, Err(refusal.clone()));
    let mut twin = Participant::new(terms, OwnerId(0)).unwrap();
    twin = twin.with_identity(identity(written.owners, 0));
    assert_eq!(ask(&mut twin, &manifest, written.coordinator, MODEL), Ok(()), "the twin answers");
}

#[test]
fn neither_owners_nor_floor_nor_committee_can_be_replaced() {
    needs_terms(Accepted { owners: 200, ..JOB }, &ManifestRefusal::Terms);
    needs_terms(Accepted { members: 201, ..JOB }, &ManifestRefusal::Terms);
    needs_terms(Accepted { n_min: 2, ..JOB }, &ManifestRefusal::Terms);
    needs_terms(Accepted { coordinator: 2, ..JOB }, &ManifestRefusal::Signature);
}

#[test]
fn a_round_cannot_lower_what_the_job_says() {
    let honest = manifest(&plan(JOB), JOB.members, 0, MODEL);
    let fewest = ManifestRefusal::Outside { what: "fewest number of owners".to_owned() };
    let low = Manifest { n_min: JOB.n_min - 1, ..honest.clone() };
    assert_eq!(ask(&mut owner(JOB), &low, JOB.coordinator, MODEL), Err(fewest));
    let owners = ManifestRefusal::Outside { what: "list of owners".to_owned() };
    let few = Manifest { owners: OwnerId::all(4).collect(), ..honest };
    assert_eq!(ask(&mut owner(JOB), &few, JOB.coordinator, MODEL), Err(owners));
    // The twin's job has the lower floor, and takes the same manifest.
    let lax = Accepted { n_min: 2, ..JOB };
    let low = Manifest { n_min: 3, ..manifest(&plan(lax), JOB.members, 0, MODEL) };
    assert_eq!(ask(&mut owner(lax), &low, JOB.coordinator, MODEL), Ok(()));
}

#[test]
fn a_members_packet_key_cannot_be_the_coordinators() {
    // Keys that somebody else signed, under the job's own terms.
    let forged = manifest(&plan(JOB), 201, 0, MODEL);
    let refusal = ManifestRefusal::PacketKey { member: MemberId(0) };
    assert_eq!(ask(&mut owner(JOB), &forged, JOB.coordinator, MODEL), Err(refusal));
    let fewer = match manifest(&plan(JOB), JOB.members, 0, MODEL) {
        Manifest { engine: EngineManifest::Nx(mut keys), .. } => {
            keys[2..].fill(None);
            EngineManifest::Nx(keys)
        }
        manifest => manifest.engine,
    };
    let fewer = Manifest { engine: fewer, ..manifest(&plan(JOB), JOB.members, 0, MODEL) };
    let refusal = ManifestRefusal::Outside { what: "committee".to_owned() };
    assert_eq!(ask(&mut owner(JOB), &fewer, JOB.coordinator, MODEL), Err(refusal));
}

/// A coordinator's own committee, and the manifest of the job with its packet keys.
fn puppets() -> (Vec<nx::Member>, Manifest) {
    let job = plan(JOB).job;
    let mut rng = ChaCha12Rng::seed_from_u64(77);
    let puppet = |id: MemberId| {
        let identity = identity(201, id.0.into());
        let mut member = nx::Member::new(job.0, id, Arc::clone(&identity));
        member.publish(&mut rng, 0, 1).unwrap();
        let key = member.packet_key(0).unwrap();
        (member, Some(SignedPacketKey::sign(&identity, job, 0, id, key)))
    };
    let (members, keys) = MemberId::all(4).map(puppet).unzip();
    let engine = EngineManifest::Nx(keys);
    (members, Manifest { engine, ..manifest(&plan(JOB), JOB.members, 0, MODEL) })
}

/// A coordinator that runs the sum of one owner's message and one of its own, which says nothing,
/// all by itself: with its own committee, under the digest of the manifest that the owner saw.
fn opened_alone(members: &mut [nx::Member], manifest: &Manifest, message: &[u8]) -> Vec<i64> {
    let plan = plan(JOB);
    let terms = plan.terms().unwrap();
    let (victim, puppet, puppets) = (OwnerId(0), OwnerId(1), identity(250, 0));
    let mut session = manifest.session(terms, manifest.digest().unwrap());
    let owners = [(victim, terms.owner(victim).unwrap()), (puppet, puppets.public())];
    (session.owners, session.n_min) = (Arc::new(owners.into()), 2);
    let mut own = manifest.nx_terms(terms).unwrap().unwrap();
    for (index, keys) in (0..).zip(&mut own.members) {
        keys.identity = identity(201, index).public();
    }
    let own = Arc::new(own);
    for member in &mut *members {
        member.open(session.clone(), Arc::clone(&own)).unwrap();
    }
    let mut rng = ChaCha12Rng::seed_from_u64(78);
    let mut collector = nx::Collector::new(session.clone(), Arc::clone(&own)).unwrap();
    let nothing = vec![0; session.values as usize];
    let mut owner = nx::Owner::new(session, own, puppet, puppets).unwrap();
    let other = owner.contribute(&mut rng, &nothing).unwrap();
    let mut pending = collector.receive(Peer::Owner(victim), message).unwrap();
    pending.extend(collector.receive(Peer::Owner(puppet), &other).unwrap());
    loop {
        for outgoing in pending {
            let Peer::Member(id) = outgoing.to else { panic!("to {}", outgoing.to) };
            for effect in members[id.index()].receive(&outgoing.message).unwrap() {
                if let nx::MemberEffect::Send(reply) = effect {
                    collector.receive(outgoing.to, &reply).unwrap();
                }
            }
        }
        match collector.close().unwrap() {
            Progress::Continue(messages) => pending = messages,
            Progress::Done(opened) => return opened.sum,
        }
    }
}

/// What the owner of `JOB` sends for an update.
fn sent(owner: &mut Participant, delta: &[f32]) -> Vec<u8> {
    let result = LocalResult {
        delta: delta.to_vec(),
        examples: 7,
        loss_sum: 1.0,
        steps: 3,
        displacement: 1.0,
    };
    let mut rng = ChaCha12Rng::seed_from_u64(79);
    let event = ParticipantEvent::Trained(TaskId::first(Round(1)), result);
    for effect in owner.step(&mut rng, event).unwrap() {
        if let ParticipantEffect::Send(bytes) = effect
            && let Ok(Answer::Sum { message, .. }) = Answer::decode(&bytes)
        {
            return message;
        }
    }
    panic!("it sends its part of the sum")
}

/// The twin of `a_members_packet_key_cannot_be_the_coordinators`: an owner that believes packet
/// keys of the coordinator's own seals its key to the coordinator, which opens its update.
#[test]
fn an_owner_that_believes_any_packet_key_is_opened() {
    let (mut members, forged) = puppets();
    let refusal = ManifestRefusal::PacketKey { member: MemberId(0) };
    assert_eq!(ask(&mut owner(JOB), &forged, JOB.coordinator, MODEL), Err(refusal));
    let mut twin = owner(JOB);
    let answers = without_signatures(|| ask(&mut twin, &forged, JOB.coordinator, MODEL));
    assert_eq!(answers, Ok(()));
    let delta = [0.5, -0.25];
    let sum = opened_alone(&mut members, &forged, &sent(&mut twin, &delta));
    let plan = plan(JOB);
    let terms = plan.terms().unwrap();
    let payload = Payload::of(&plan, terms, &forged).unwrap();
    let totals = payload.decode((&plan, terms), Round(1), &sum, &[OwnerId(0)]).unwrap();
    let figures = totals.figures.unwrap();
    assert_eq!((figures.examples, figures.steps), (7.0, 3));
    assert!(totals.update.iter().zip(delta).all(|(got, own)| (got - f64::from(own)).abs() < 1e-6));
}

/// A member of the committee, and the keys that it gave for four sums.
fn member() -> (Member, Vec<SignedPacketKey>) {
    let mut member = Member::new(plan(JOB), MemberId(0), identity(JOB.members, 0)).unwrap();
    let task = MemberTask::Publish { job: plan(JOB).job, first: 0, count: 4 };
    let mut rng = ChaCha12Rng::seed_from_u64(9);
    for effect in member.step(&mut rng, &task.encode().unwrap()).unwrap() {
        if let MemberEffect::Send(bytes) = effect
            && let Ok(MemberAnswer::Keys { keys, .. }) = MemberAnswer::decode(&bytes)
        {
            return (member, keys);
        }
    }
    panic!("it gives keys")
}

fn open(
    member: &mut Member,
    manifest: Manifest,
    own: &[SignedPacketKey],
) -> Result<(), MemberRefusal> {
    let slot = manifest.slot as usize;
    let engine = match manifest.engine.clone() {
        EngineManifest::Nx(mut keys) => {
            keys[0] = Some(own[slot].clone());
            EngineManifest::Nx(keys)
        }
        EngineManifest::SecAggPlus => EngineManifest::SecAggPlus,
    };
    let manifest = Manifest { engine, ..manifest };
    let signed = SignedManifest::sign(manifest, &identity(JOB.coordinator, 0)).unwrap();
    let task = MemberTask::Open { job: plan(JOB).job, manifest: Box::new(signed) };
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    for effect in member.step(&mut rng, &task.encode().unwrap()).unwrap() {
        if let MemberEffect::Refused(refusal) = effect {
            return Err(refusal);
        }
    }
    Ok(())
}

/// A host that has lost its timers would keep what opens the packets of a sum for ever.
#[test]
fn a_restored_member_asks_for_its_timers_again() {
    let (mut member, own) = member();
    assert_eq!(member.timers(), []);
    assert_eq!(open(&mut member, manifest(&plan(JOB), JOB.members, 1, MODEL), &own), Ok(()));
    let restored = |member: &Member, how| {
        let (id, bytes) = (MemberId(0), member.snapshot().unwrap());
        Member::restore(plan(JOB), id, identity(JOB.members, 0), &bytes, how).unwrap()
    };
    let after = plan(JOB).round_deadline * 6;
    let mut again = restored(&member, nx::Restored::Continued);
    assert_eq!(again.timers(), [MemberEffect::Expire { slot: 1, after }]);
    assert_eq!(again.timers(), member.timers());
    // It holds no secret of a sum that it sits out, or that is over.
    assert_eq!(restored(&member, nx::Restored::FromBackup).timers(), []);
    again.expire(1);
    assert_eq!(restored(&again, nx::Restored::Continued).timers(), []);
}

#[test]
fn members_watch_attempts_and_content_too() {
    let honest = |slot, model| manifest(&plan(JOB), JOB.members, slot, model);
    let (mut real, own) = member();
    let (mut twin, twins) = member();
    for slot in 0..2 {
        assert_eq!(open(&mut real, honest(slot, MODEL), &own), Ok(()));
        assert_eq!(open(&mut twin, honest(slot, MODEL), &twins), Ok(()));
        twin.forget();
    }
    let other = open(&mut real, honest(2, OTHER_MODEL), &own);
    assert_eq!(other, Err(MemberRefusal::Manifest(ManifestRefusal::OtherContent)));
    let third = open(&mut real, honest(2, MODEL), &own);
    assert_eq!(third, Err(MemberRefusal::Manifest(ManifestRefusal::Attempts { limit: 2 })));
    assert_eq!(open(&mut twin, honest(2, OTHER_MODEL), &twins), Ok(()), "the twin opens it");
    let low = Manifest { n_min: JOB.n_min - 1, ..honest(2, MODEL) };
    let refusal = ManifestRefusal::Outside { what: "fewest number of owners".to_owned() };
    assert_eq!(open(&mut real, low, &own), Err(MemberRefusal::Manifest(refusal)));
}

#[test]
fn steps_fall_to_nothing_over_the_last_rounds() {
    let near = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-9, "{got}");
    for (round, expected) in (1..).zip([8.0, 8.0, 6.0, 2.0]) {
        near(cooled(8.0, 0.5, Round(round), 4), expected);
        near(cooled(8.0, 0.0, Round(round), 4), 8.0);
    }
    near((1..=100).map(|round| cooled(1.0, 1.0, Round(round), 100)).sum(), 50.0);
}

/// Without it statistics, updates in the clear and integers without noise go nowhere.
#[test]
fn a_job_with_noise_waives_nothing() {
    let plain = plan(JOB);
    let mut terms = (**plain.terms().unwrap()).clone();
    terms.privacy = Some(PrivacyTerms {
        purpose: Purpose::new("research").unwrap(),
        unit: Unit::Owner,
        epsilon: 8.0,
        delta: 1e-5,
        clip: 1.0,
        multiplier: 5.0,
        rate: 1.0,
        colluding: 0,
        local: false,
        rows: vec![1; OWNERS as usize],
        step: 1.0,
        cooldown: 0.0,
    });
    let private = Plan { protection: Protection::Masked(Arc::new(terms)), ..plain };
    assert!(private.waiver().is_none());
    assert!(plain.waiver().is_some());
    assert!(Plan { protection: Protection::Clear, ..plain }.waiver().is_some());
}
