//! Whatever the network and the machines do: a job ends, with a model or with a typed error.

use std::time::Duration;

use nexus_training::{Plan, RoundRecord, Rule, Strategy, TrainingError, Weighting};
use nexus_types::{Seed, SeededRng, Timestamp};

use crate::bench::{DEADLINE, plan};
use crate::simulator::{Chaos, Ending, Quadratics, Simulator};

fn pick<T: Copy>(rng: &mut SeededRng, from: &[T]) -> T {
    from[usize::try_from(rng.below(from.len() as u64)).unwrap()]
}

fn random_plan(rng: &mut SeededRng) -> Plan {
    let (learning_rate, beta1, beta2, tau) = (0.1, 0.9, 0.99, 1e-3);
    let strategies = [
        Strategy::FedAvg,
        Strategy::FedProx { mu: 0.1 },
        Strategy::FedAvgM { momentum: 0.5, learning_rate },
        Strategy::FedAdam { learning_rate, beta1, beta2, tau },
        Strategy::FedYogi { learning_rate, beta1, beta2, tau },
        Strategy::FedAdagrad { learning_rate, beta1, tau },
        Strategy::Scaffold { learning_rate: 1.0 },
        Strategy::FedBuff { buffer: 3, max_staleness: 2, learning_rate: 1.0 },
        Strategy::FedBuff { buffer: 2, max_staleness: 0, learning_rate: 0.5 },
    ];
    let rules = [
        Rule::Mean,
        Rule::NormBound { limit: 0.5 },
        Rule::Median,
        Rule::TrimmedMean { trim: 1 },
        Rule::Krum { byzantine: 1 },
        Rule::MultiKrum { byzantine: 1, keep: None },
        Rule::Bulyan { byzantine: 1 },
        Rule::GeometricMedian { iterations: 20, smoothing: 1e-6 },
    ];
    loop {
        let owners = 3 + u32::try_from(rng.below(6)).unwrap();
        let plan = Plan {
            owners,
            rounds: 1 + u32::try_from(rng.below(4)).unwrap(),
            statistics: pick(rng, &[0, 2]),
            fraction: pick(rng, &[1.0, 0.6]),
            quorum: 1 + u32::try_from(rng.below(owners.into())).unwrap(),
            attempts: 1 + u32::try_from(rng.below(3)).unwrap(),
            strategy: pick(rng, &strategies),
            rule: pick(rng, &rules),
            weighting: pick(rng, &[Weighting::Examples, Weighting::Uniform]),
            round_deadline: Duration::from_millis(DEADLINE),
            ..plan()
        };
        if plan.check().is_ok() {
            return plan;
        }
    }
}

fn random_chaos(rng: &mut SeededRng) -> Chaos {
    Chaos {
        latency: pick(rng, &[0, 50, 900]),
        training: pick(rng, &[0, 300, 1500]),
        loss: pick(rng, &[0.0, 0.05, 0.3]),
        duplicate: pick(rng, &[0.0, 0.2]),
        decline: pick(rng, &[0.0, 0.1, 0.5]),
        garbage: pick(rng, &[0.0, 0.1]),
        crash: pick(rng, &[0.0, 0.01, 0.05]),
        crashes: 20,
    }
}

fn simulate(seed: u64) -> (Plan, Chaos, Simulator, Ending) {
    let seed = Seed::from_number(seed);
    let mut rng = seed.rng();
    let (plan, chaos) = (random_plan(&mut rng), random_chaos(&mut rng));
    let world = Quadratics::random(&plan, &mut rng);
    let mut simulator = Simulator::new(plan.clone(), chaos, world, seed);
    let ending = simulator.run(20_000);
    (plan, chaos, simulator, ending)
}

fn check_record(plan: &Plan, record: &RoundRecord) {
    let buffered = plan.strategy.is_buffered();
    let asked = plan.participants(record.round);
    assert!(record.participants.iter().all(|owner| asked.contains(owner)));
    assert!(record.dropped.iter().all(|dropped| !record.participants.contains(&dropped.owner)));
    assert!(record.participants.is_sorted() && record.late.is_sorted());
    assert!((1..=plan.attempts).contains(&record.attempts));
    assert!(record.closed >= record.opened && record.train_loss.is_none_or(f64::is_finite));
    if buffered {
        assert!(record.updates as usize >= record.participants.len());
    } else {
        assert_eq!(record.participants.len() + record.dropped.len(), asked.len());
        assert!(record.updates >= plan.needed());
    }
}

#[test]
fn every_job_ends_in_a_model_or_in_a_typed_error() {
    let (mut finished, mut lost) = (0, 0);
    for seed in 0..1000 {
        let (plan, chaos, simulator, ending) = simulate(seed);
        let rounds: Vec<u32> = simulator.records.iter().map(|record| record.round.0).collect();
        assert!(rounds.iter().copied().eq((1..).take(rounds.len())), "seed {seed}: {rounds:?}");
        simulator.records.iter().for_each(|record| check_record(&plan, record));
        match ending {
            Ending::Finished(parameters) => {
                finished += 1;
                assert_eq!(rounds.len(), plan.rounds as usize, "seed {seed}");
                assert!(parameters.iter().all(|value| value.is_finite()), "seed {seed}");
            }
            Ending::Failed(TrainingError::QuorumLost { missing, have, need, .. }) => {
                lost += 1;
                assert!(have < need && !missing.is_empty(), "seed {seed}");
                let harmless = chaos.loss + chaos.decline + chaos.garbage + chaos.crash == 0.0;
                let slow = 2 * chaos.latency + chaos.training >= DEADLINE;
                assert!(!harmless || slow, "seed {seed} failed without a reason");
            }
            Ending::Failed(other) => panic!("seed {seed}: {other}"),
        }
    }
    assert!(finished > 300 && lost > 100, "{finished} finished, {lost} lost their quorum");
}

#[test]
fn the_same_seed_makes_the_same_job() {
    for seed in 0..40 {
        let (_, _, first, ending) = simulate(seed);
        let (_, _, second, again) = simulate(seed);
        assert_eq!((ending, first.records, first.events), (again, second.records, second.events));
    }
}

/// What a record says apart from times, and from answers that crossed a repeated question.
fn essence(records: &[RoundRecord]) -> Vec<RoundRecord> {
    let (opened, closed) = (Timestamp(0), Timestamp(0));
    let same = |record: &RoundRecord| RoundRecord {
        opened,
        closed,
        duplicates: 0,
        strays: 0,
        bytes_up: 0,
        ..record.clone()
    };
    records.iter().map(same).collect()
}

#[test]
fn a_power_cut_changes_neither_the_model_nor_the_records() {
    let chaos = Chaos { latency: 100, training: 300, ..Chaos::default() };
    let mut cuts = 0;
    for number in 0..400 {
        let seed = Seed::from_number(number);
        let mut rng = seed.rng();
        let plan = random_plan(&mut rng);
        if plan.strategy.is_buffered() {
            continue;
        }
        let world = Quadratics::random(&plan, &mut rng);
        let simulator = || Simulator::new(plan.clone(), chaos, world.clone(), seed);
        let mut undisturbed = simulator();
        let model = undisturbed.run(20_000);
        assert!(matches!(model, Ending::Finished(_)));
        let mut cut = simulator();
        cut.power_cut = u32::try_from(1 + rng.below(undisturbed.events.into())).ok();
        assert_eq!(cut.run(20_000), model, "seed {number}");
        assert_eq!(essence(&cut.records), essence(&undisturbed.records), "seed {number}");
        cuts += 1;
    }
    assert!(cuts > 300, "{cuts}");
}
