//! Machines that were put away and taken up again, and bytes that only look like them.

use nexus_training::{Coordinator, Participant, Plan, Rule, Strategy, TrainingError};
use nexus_types::{Digest, JobId, OwnerId, Seed, Timestamp};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use crate::bench::{entropy, plan};
use crate::simulator::{Chaos, Given, GivenOwner, Quadratics, Simulator};

const CHAOS: Chaos = Chaos {
    latency: 400,
    training: 500,
    loss: 0.1,
    duplicate: 0.2,
    decline: 0.1,
    garbage: 0.05,
    crash: 0.0,
    crashes: 0,
};

fn any_plan() -> impl proptest::strategy::Strategy<Value = Plan> {
    let strategies = vec![
        Strategy::FedAvg,
        Strategy::FedAdam { learning_rate: 0.1, beta1: 0.9, beta2: 0.99, tau: 1e-3 },
        Strategy::Scaffold { learning_rate: 1.0 },
        Strategy::FedBuff { buffer: 3, max_staleness: 2, learning_rate: 1.0 },
    ];
    let rules = vec![Rule::Mean, Rule::Median, Rule::NormBound { limit: 0.5 }];
    let plan = (prop::sample::select(strategies), prop::sample::select(rules), 0u32..3);
    plan.prop_map(|(strategy, rule, statistics)| Plan {
        strategy,
        rule,
        statistics,
        ..four_rounds()
    })
    .prop_filter("an impossible combination", |plan| plan.check().is_ok())
}

fn four_rounds() -> Plan {
    Plan { quorum: 2, rounds: 4, ..plan() }
}

/// A job that ran, with all its events.
fn job(plan: &Plan, seed: u64) -> Simulator {
    let seed = Seed::from_number(seed);
    let world = Quadratics::random(plan, &mut seed.rng());
    let mut simulator = Simulator::new(plan.clone(), CHAOS, world, seed);
    simulator.run(20_000);
    simulator
}

fn give(machine: &mut Coordinator, events: &[(u64, Given)]) -> Vec<String> {
    let effects = events.iter().map(|(now, given)| machine.step(Timestamp(*now), given.event()));
    effects.map(|effects| format!("{effects:?}")).collect()
}

fn give_owner(machine: &mut Participant, events: &[GivenOwner]) -> Vec<String> {
    events
        .iter()
        .map(|given| format!("{:?}", machine.step(&mut entropy(), given.event())))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_restored_coordinator_goes_on_as_if_nothing_had_happened(
        plan in any_plan(), seed: u64, at: prop::sample::Index,
    ) {
        let log = job(&plan, seed).log;
        let (before, after) = log.split_at(at.index(log.len() + 1));
        let mut machine = Coordinator::new(plan.clone()).unwrap();
        give(&mut machine, before);
        let snapshot = machine.snapshot().unwrap();
        let mut restored = Coordinator::restore(plan, &snapshot).unwrap();
        prop_assert_eq!(restored.snapshot().unwrap(), snapshot);
        prop_assert_eq!(give(&mut machine, after), give(&mut restored, after));
        prop_assert_eq!(machine.snapshot().unwrap(), restored.snapshot().unwrap());
    }

    #[test]
    fn a_restored_participant_goes_on_as_if_nothing_had_happened(
        plan in any_plan(), seed: u64, owner in 0u32..5, at: prop::sample::Index,
    ) {
        let log = job(&plan, seed).owner_logs.swap_remove(owner as usize);
        let (before, after) = log.split_at(at.index(log.len() + 1));
        let mut machine = Participant::new(plan.clone(), OwnerId(owner)).unwrap();
        give_owner(&mut machine, before);
        let snapshot = machine.snapshot().unwrap();
        let mut restored = Participant::restore(plan, OwnerId(owner), None, &snapshot).unwrap();
        prop_assert_eq!(give_owner(&mut machine, after), give_owner(&mut restored, after));
        prop_assert_eq!(machine.snapshot().unwrap(), restored.snapshot().unwrap());
    }

    #[test]
    fn damaged_snapshots_are_refused_or_make_harmless_machines(
        plan in any_plan(), seed: u64, owner in 0u32..5, at: prop::sample::Index,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut simulator = job(&plan, seed);
        let owner_log = simulator.owner_logs.swap_remove(owner as usize);
        let (before, after) = simulator.log.split_at(at.index(simulator.log.len() + 1));
        let (owner_before, owner_after) = owner_log.split_at(at.index(owner_log.len() + 1));
        let mut machine = Coordinator::new(plan.clone()).unwrap();
        give(&mut machine, before);
        let mut participant = Participant::new(plan.clone(), OwnerId(owner)).unwrap();
        give_owner(&mut participant, owner_before);
        let damaged = |mut bytes: Vec<u8>| {
            // The header is checked by the codec; behind it everything is fair game.
            for (place, byte) in &damage {
                let place = 8 + place.index(bytes.len() - 8);
                bytes[place] = *byte;
            }
            bytes
        };
        let bytes = damaged(machine.snapshot().unwrap());
        prop_assert!(Coordinator::restore(plan.clone(), &bytes[..bytes.len() - 1]).is_err());
        if let Ok(mut odd) = Coordinator::restore(plan.clone(), &bytes) {
            give(&mut odd, after);
            give(&mut odd, &[(1 << 40, Given::Restarted), (1 << 41, Given::Wake)]);
        }
        let bytes = damaged(participant.snapshot().unwrap());
        if let Ok(mut odd) = Participant::restore(plan, OwnerId(owner), None, &bytes) {
            give_owner(&mut odd, owner_after);
            give_owner(&mut odd, &[GivenOwner::Restarted]);
        }
    }
}

#[test]
fn a_snapshot_is_of_one_job_and_one_owner() {
    let other = || Plan { job: JobId(Digest::of("test", b"other")), ..four_rounds() };
    let refused = |error| matches!(error, TrainingError::Snapshot { .. });
    let coordinator = Coordinator::new(four_rounds()).unwrap().snapshot().unwrap();
    assert!(refused(Coordinator::restore(other(), &coordinator).unwrap_err()));
    let owner = Participant::new(four_rounds(), OwnerId(1)).unwrap().snapshot().unwrap();
    assert!(refused(Participant::restore(other(), OwnerId(1), None, &owner).unwrap_err()));
    assert!(refused(Participant::restore(four_rounds(), OwnerId(2), None, &owner).unwrap_err()));
    let codec = Participant::restore(four_rounds(), OwnerId(1), None, &coordinator).unwrap_err();
    assert!(matches!(codec, TrainingError::Codec(_)), "{codec}");
}
