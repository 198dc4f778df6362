//! Jobs whose sums are masked: they make the model that jobs in the clear make, they end whatever
//! goes wrong, and nobody answers twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_mpc::aggregation::SumError;
use nexus_mpc::aggregation::secagg_plus::Terms;
use nexus_training::{
    Coordinator, CoordinatorEffect, CoordinatorEvent, DropReason, EngineTerms, JobTerms, Member,
    MemberEffect, MemberTask, Peer, Plan, Protection, Replay, Restored, Rule, Strategy,
    TrainingError, Weighting,
};
use nexus_types::{Canonical, MemberId, OwnerId, Party, Round, Seed, SeededRng, Timestamp};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::bench::{DEADLINE, plan};
use crate::simulator::{Chaos, Ending, Quadratics, Simulator, coordinator, identity, member};

pub(crate) fn nx(members: u16) -> EngineTerms {
    let key = |id| identity(Party::Member(id)).public();
    EngineTerms::Nx {
        members: MemberId::all(members).map(key).collect(),
        packing: Some(1),
        leaves: 1,
        keep_messages: true,
        corrupt_permille: 0,
    }
}

const SECAGG: EngineTerms =
    EngineTerms::SecAggPlus(Terms { corrupt_permille: 100, dropout_permille: 100 });

/// `plan` with masked sums.
pub(crate) fn masked(plan: &Plan, engine: EngineTerms) -> Plan {
    let terms = JobTerms {
        job: plan.job,
        coordinator: identity(Party::Coordinator).public(),
        owners: OwnerId::all(plan.owners).map(|id| identity(Party::Owner(id)).public()).collect(),
        n_min: plan.needed().max(engine.fewest(plan.asked())),
        attempts: 2,
        clip: 64.0,
        privacy: None,
        engine,
    };
    Plan { protection: Protection::Masked(Arc::new(terms)), ..plan.clone() }
}

fn strategies() -> [Strategy; 4] {
    let (learning_rate, beta1, beta2, tau) = (0.1, 0.9, 0.99, 1e-3);
    [
        Strategy::FedAvg,
        Strategy::FedAvgM { momentum: 0.5, learning_rate },
        Strategy::FedAdam { learning_rate, beta1, beta2, tau },
        Strategy::Scaffold { learning_rate: 1.0 },
    ]
}

fn model(plan: &Plan, world: &Quadratics, chaos: Chaos, seed: Seed) -> (Simulator, Ending) {
    let mut simulator = Simulator::new(plan.clone(), chaos, world.clone(), seed);
    let ending = simulator.run(40_000);
    (simulator, ending)
}

fn parameters(ending: Ending) -> Vec<f32> {
    match ending {
        Ending::Finished(parameters) => parameters,
        Ending::Failed(error) => panic!("{error}"),
    }
}

#[test]
fn a_masked_job_makes_the_model_of_a_clear_one_up_to_rounding() {
    let seed = Seed::from_number(5);
    for engine in [nx(4), nx(7), SECAGG] {
        for strategy in strategies() {
            for weighting in [Weighting::Examples, Weighting::Uniform] {
                let clear = Plan { strategy, weighting, statistics: 3, ..plan() };
                let world = Quadratics::random(&clear, &mut seed.rng());
                let (plain, expected) = model(&clear, &world, Chaos::default(), seed);
                let hidden = masked(&clear, engine.clone());
                let (simulator, got) = model(&hidden, &world, Chaos::default(), seed);
                let (expected, got) = (parameters(expected), parameters(got));
                for (a, b) in got.iter().zip(&expected) {
                    assert!((a - b).abs() < 1e-4, "{strategy:?}: {got:?}, not {expected:?}");
                }
                for (a, b) in simulator.records.iter().zip(&plain.records) {
                    assert_eq!((&a.participants, a.steps), (&b.participants, b.steps));
                    assert!((a.train_loss.unwrap() - b.train_loss.unwrap()).abs() < 1e-4);
                    assert!(a.clipped.is_empty() && a.dropped.is_empty());
                }
            }
        }
    }
}

#[test]
fn the_statistics_are_summed_behind_masks_too() {
    for engine in [nx(4), SECAGG] {
        let hidden = masked(&Plan { statistics: 2, rounds: 1, ..plan() }, engine);
        let world = Quadratics::random(&hidden, &mut Seed::from_number(1).rng());
        let (simulator, ending) = model(&hidden, &world, Chaos::default(), Seed::from_number(1));
        parameters(ending);
        // Every owner's statistics are its number.
        assert_eq!(simulator.summary(), [10.0, 10.0]);
        assert!(simulator.sums.len() >= 2);
    }
}

/// A job of six owners of whom one garbles every sum that it is in.
fn garbled(strategy: Strategy, leaves: u16) -> (Simulator, Ending) {
    let mut engine = nx(4);
    if let EngineTerms::Nx { leaves: parts, .. } = &mut engine {
        *parts = leaves;
    }
    let plan = masked(&Plan { owners: 6, rounds: 5, strategy, ..plan() }, engine);
    let seed = Seed::from_number(3);
    let world = Quadratics::random(&plan, &mut seed.rng());
    let mut simulator = Simulator::new(plan, Chaos::default(), world, seed);
    simulator.garbler = Some(OwnerId(2));
    let ending = simulator.run(40_000);
    (simulator, ending)
}

#[test]
fn a_job_with_leaves_goes_on_without_the_one_that_is_garbled() {
    for strategy in strategies() {
        let (simulator, ending) = garbled(strategy, 2);
        let model = parameters(ending);
        let all: Vec<OwnerId> = OwnerId::all(6).collect();
        let mut replay = Replay::new(simulator.plan().clone(), vec![0.0; 2]).unwrap();
        for (record, sum) in simulator.records.iter().zip(&simulator.sums) {
            let survivors = &record.participants;
            assert_eq!(survivors.len(), 3, "the other leaf");
            assert!(!survivors.contains(&OwnerId(2)), "{survivors:?}");
            let mut named: Vec<_> = record.dropped.iter().map(|dropped| dropped.owner).collect();
            named.extend(survivors);
            named.sort_unstable();
            assert_eq!(named, all, "everybody else is named");
            for dropped in &record.dropped {
                let reason = &dropped.reason;
                let refused =
                    matches!(reason, DropReason::Refused { reason } if reason.contains("garbled"));
                assert!(refused, "{reason}");
            }
            assert_eq!(replay.take(sum).unwrap().survivors, *survivors);
        }
        assert_eq!(simulator.records.len(), 5);
        assert_eq!(replay.parameters(), model);
    }
}

#[test]
fn a_job_without_leaves_ends_when_its_sum_is_garbled() {
    let (simulator, ending) = garbled(Strategy::FedAvg, 1);
    let Ending::Failed(TrainingError::Sum { source: SumError::Garbled, .. }) = ending else {
        panic!("{ending:?}");
    };
    assert!(simulator.records.is_empty() && simulator.sums.is_empty());
}

fn random_plan(rng: &mut SeededRng, engine: &EngineTerms) -> Plan {
    let pick = |rng: &mut SeededRng, most: u64| usize::try_from(rng.below(most)).unwrap();
    loop {
        let owners = 3 + u32::try_from(rng.below(4)).unwrap();
        let plan = Plan {
            owners,
            rounds: 1 + u32::try_from(rng.below(3)).unwrap(),
            statistics: [0, 2][pick(rng, 2)],
            fraction: [1.0, 0.7][pick(rng, 2)],
            quorum: 1 + u32::try_from(rng.below(owners.into())).unwrap(),
            attempts: 1 + u32::try_from(rng.below(3)).unwrap(),
            strategy: strategies()[pick(rng, 4)],
            rule: [Rule::Mean, Rule::NormBound { limit: 0.5 }][pick(rng, 2)],
            weighting: [Weighting::Examples, Weighting::Uniform][pick(rng, 2)],
            round_deadline: Duration::from_millis(DEADLINE),
            ..plan()
        };
        if plan.check().is_err() || plan.asked() < 3 {
            continue;
        }
        let plan = masked(&plan, engine.clone());
        if plan.check().is_ok() {
            return plan;
        }
    }
}

fn random_chaos(rng: &mut SeededRng) -> Chaos {
    let mut pick = |from: &[f64]| from[usize::try_from(rng.below(from.len() as u64)).unwrap()];
    Chaos {
        latency: if pick(&[0.0, 1.0]) > 0.5 { 100 } else { 5 },
        training: if pick(&[0.0, 1.0]) > 0.5 { 900 } else { 50 },
        loss: pick(&[0.0, 0.02, 0.1]),
        duplicate: pick(&[0.0, 0.2]),
        decline: pick(&[0.0, 0.1, 0.4]),
        garbage: pick(&[0.0, 0.05]),
        crash: pick(&[0.0, 0.005, 0.02]),
        crashes: 10,
    }
}

fn every_job_ends(engine: &EngineTerms, jobs: u64) {
    let mut endings: BTreeMap<&str, u32> = BTreeMap::new();
    for number in 0..jobs {
        let seed = Seed::from_number(number);
        let mut rng = seed.rng();
        let (plan, chaos) = (random_plan(&mut rng, engine), random_chaos(&mut rng));
        let world = Quadratics::random(&plan, &mut rng);
        let (simulator, ending) = model(&plan, &world, chaos, seed);
        let terms = plan.terms().unwrap();
        for record in &simulator.records {
            assert!(record.participants.len() >= terms.n_min as usize, "seed {number}");
            assert!(record.attempts <= terms.attempts.max(plan.attempts));
            assert!(record.clipped.is_empty());
        }
        let ending = match ending {
            Ending::Finished(parameters) => {
                assert!(parameters.iter().all(|value| value.is_finite()), "seed {number}");
                assert_eq!(simulator.records.len(), plan.rounds as usize);
                "finished"
            }
            Ending::Failed(TrainingError::QuorumLost { .. }) => "quorum lost",
            Ending::Failed(TrainingError::CommitteeLost { missing, .. }) => {
                assert!(!missing.is_empty());
                "committee lost"
            }
            Ending::Failed(TrainingError::Sum { .. }) => "no sum",
            Ending::Failed(other) => panic!("seed {number}: {other}"),
        };
        *endings.entry(ending).or_default() += 1;
    }
    assert!(endings["finished"] >= 15 && endings.len() > 1, "{endings:?}");
}

#[test]
fn every_job_with_a_committee_ends_in_a_model_or_in_a_typed_error() {
    every_job_ends(&nx(4), 150);
}

#[test]
fn every_job_with_pairwise_masks_ends_in_a_model_or_in_a_typed_error() {
    every_job_ends(&SECAGG, 150);
}

#[test]
fn a_power_cut_changes_neither_model_nor_participants() {
    let chaos = Chaos { latency: 20, training: 100, ..Chaos::default() };
    for engine in [nx(4), SECAGG] {
        for number in 0..60 {
            let seed = Seed::from_number(number);
            let mut rng = seed.rng();
            // Members that lose what they had not promised yet cost an attempt.
            let plan = Plan { attempts: 2, ..random_plan(&mut rng, &engine) };
            let world = Quadratics::random(&plan, &mut rng);
            let (undisturbed, expected) = model(&plan, &world, chaos, seed);
            let expected = parameters(expected);
            let mut cut = Simulator::new(plan, chaos, world, seed);
            cut.power_cut = u32::try_from(1 + rng.below(undisturbed.events.into())).ok();
            assert_eq!(parameters(cut.run(40_000)), expected, "seed {number}");
            let participants = |simulator: &Simulator| -> Vec<Vec<OwnerId>> {
                simulator.records.iter().map(|record| record.participants.clone()).collect()
            };
            assert_eq!(participants(&cut), participants(&undisturbed), "seed {number}");
        }
    }
}

/// What is sent to `to`.
fn sent(effects: &[CoordinatorEffect], to: MemberId) -> Vec<Arc<[u8]>> {
    let mut messages = Vec::new();
    for effect in effects {
        if let CoordinatorEffect::Send { to: peer, message } = effect
            && *peer == Peer::Member(to)
        {
            messages.push(message.clone().into_bytes());
        }
    }
    messages
}

/// A coordinator that has asked a committee of four for its keys, of whom `answering` have given
/// them: the committee, and what the coordinator did at last.
fn keyed(
    plan: &Plan,
    leader: &mut Coordinator,
    answering: u16,
) -> (Vec<Member>, Vec<CoordinatorEffect>) {
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let mut committee: Vec<_> = MemberId::all(4).map(|id| member(plan, id)).collect();
    let now = Timestamp::default();
    let asked = leader.step(now, CoordinatorEvent::Start).unwrap();
    let mut begun = Vec::new();
    for (id, machine) in MemberId::all(answering).zip(&mut committee) {
        for effect in machine.step(&mut random, &sent(&asked, id)[0]).unwrap() {
            if let MemberEffect::Send(bytes) = effect {
                let given = CoordinatorEvent::Message { from: Peer::Member(id), bytes: &bytes };
                begun = leader.step(now, given).unwrap();
            }
        }
    }
    (committee, begun)
}

#[test]
fn a_member_without_keys_is_not_missed_and_two_end_the_job() {
    let hidden = masked(&Plan { statistics: 2, ..plan() }, nx(4));
    let over = Timestamp::default() + hidden.round_deadline;
    for answering in [2, 3] {
        let mut leader = coordinator(&hidden);
        let (_, begun) = keyed(&hidden, &mut leader, answering);
        assert_eq!(begun, [], "it waits for all until the deadline");
        let mut effects = leader.step(over, CoordinatorEvent::Wake).unwrap();
        if answering == 3 {
            let opens = |id| !sent(&effects, id).is_empty();
            assert_eq!(MemberId::all(4).filter(|id| opens(*id)).count(), 3);
            assert!(!opens(MemberId(3)));
            // Nobody answers; everybody is asked for keys once more, the late one too.
            let again = leader.step(over + hidden.round_deadline, CoordinatorEvent::Wake).unwrap();
            let task = MemberTask::Publish { job: hidden.job, first: 1, count: hidden.rounds + 1 };
            let asked = |id| sent(&again, id) == [Arc::from(task.encode().unwrap())];
            assert!(MemberId::all(4).all(asked), "{again:?}");
            continue;
        }
        let mut at = over;
        while !effects.iter().any(|effect| matches!(effect, CoordinatorEffect::Failed(_))) {
            at = at + hidden.round_deadline;
            effects = leader.step(at, CoordinatorEvent::Wake).unwrap();
        }
        let missing = vec![MemberId(2), MemberId(3)];
        let error = TrainingError::CommitteeLost { round: Round(0), have: 2, need: 3, missing };
        assert_eq!(effects, [CoordinatorEffect::Failed(error)]);
    }
}

#[test]
fn keys_of_a_sum_that_nobody_opened_are_erased_when_its_time_is_over() {
    let hidden = masked(&Plan { statistics: 2, ..plan() }, nx(4));
    let (mut committee, begun) = keyed(&hidden, &mut coordinator(&hidden), 4);
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let first = MemberId(0);
    let opened = committee[0].step(&mut random, &sent(&begun, first)[0]).unwrap();
    let after = 6 * hidden.round_deadline;
    assert!(opened.contains(&MemberEffect::Expire { slot: 0, after }), "{opened:?}");

    let task = MemberTask::Publish { job: hidden.job, first: 0, count: 1 }.encode().unwrap();
    let keys = |machine: &mut Member| {
        let mut other = ChaCha12Rng::seed_from_u64(2);
        let effects = machine.step(&mut other, &task).unwrap();
        effects.iter().any(|effect| matches!(effect, MemberEffect::Refused(_)))
    };
    assert!(!keys(&mut committee[0]), "the same keys are shown again");
    let more = MemberTask::Publish { job: hidden.job, first: 1, count: 300 }.encode().unwrap();
    let effects = committee[0].step(&mut random, &more).unwrap();
    assert_eq!(effects[0], MemberEffect::Persist, "with new ones behind them: {effects:?}");
    assert_eq!(committee[0].expire(0), [MemberEffect::Persist]);
    assert!(keys(&mut committee[0]), "there are none any more");
    let disk = committee[0].snapshot().unwrap();
    let signer = identity(Party::Member(first));
    let mut restored = Member::restore(hidden, first, signer, &disk, Restored::Continued).unwrap();
    assert!(keys(&mut restored), "nor on the disk");
}
