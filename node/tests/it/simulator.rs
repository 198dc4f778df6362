//! Random faults in virtual time: a job ends in success or in an error that says why.

use std::time::Duration;

use cipher_nexus::simulation::{
    CoordinatorFaults, Faults, Milestone, NetworkFaults, OwnerFaults, Simulation, SimulationError,
    Workload,
};
use nexus_training::{LocalResult, LocalTask, Plan, Rule, Strategy, TrainingError, Weighting};
use nexus_types::{Digest, JobId, ModelHash, OwnerId, Seed, SeededRng};

/// Each owner pulls the model towards its own number.
struct Pull;

impl Workload for Pull {
    fn summarise(&self, owner: OwnerId) -> Result<Vec<f64>, String> {
        Ok(vec![1.0, f64::from(owner.0)])
    }

    fn initial(&self, summary: &[f64]) -> Result<Vec<f32>, String> {
        assert!(summary[0] >= 1.0);
        Ok(vec![0.0; 3])
    }

    fn train(&self, owner: OwnerId, task: &LocalTask) -> Result<LocalResult, String> {
        let goal = owner.0 as f32;
        Ok(LocalResult {
            delta: task.parameters.iter().map(|value| 0.5 * (goal - value)).collect(),
            examples: 10,
            loss_sum: 1.0,
            steps: 1,
            displacement: 0.5,
        })
    }

    fn duration(&self, owner: OwnerId) -> Duration {
        Duration::from_millis(50 + 10 * u64::from(owner.0))
    }
}

fn plan(rng: &mut SeededRng) -> Plan {
    let strategies = [
        Strategy::FedAvg,
        Strategy::Scaffold { learning_rate: 1.0 },
        Strategy::FedBuff { buffer: 3, max_staleness: 10, learning_rate: 1.0 },
    ];
    let choice = usize::try_from(rng.below(3)).unwrap();
    Plan {
        job: JobId(Digest::of("test job", b"")),
        model: ModelHash(Digest::of("test model", b"")),
        owners: 6,
        fraction: 1.0,
        quorum: 3,
        rounds: 8,
        parameters: 3,
        statistics: 2,
        round_deadline: Duration::from_secs(2),
        attempts: 3,
        strategy: strategies[choice],
        rule: Rule::Mean,
        weighting: Weighting::Examples,
        example_cap: 1000,
        seed: Seed::from_number(rng.below(1 << 20)),
    }
}

fn faults(rng: &mut SeededRng) -> Faults {
    let mut chance = |most: f64| most * rng.unit();
    Faults {
        seed: None,
        network: NetworkFaults {
            latency_ms: 20,
            jitter_ms: 500,
            loss: chance(0.4),
            duplicate: chance(0.3),
        },
        owners: OwnerFaults {
            drop: chance(0.4),
            crash: chance(0.3),
            restart_ms: 700,
            slow: chance(0.5),
            slow_factor: 1.0 + chance(40.0),
        },
        coordinator: CoordinatorFaults { crash: chance(0.6), restart_ms: 900 },
        attack: Vec::new(),
    }
}

/// Runs to the end; restarts from a snapshot after each milestone if asked to.
fn outcome(seed: u64, resumed: bool) -> Result<(usize, Vec<f32>), SimulationError> {
    let seed = Seed::from_number(seed);
    let mut rng = seed.derive("settings", &[]).rng();
    let (plan, faults) = (plan(&mut rng), faults(&mut rng));
    let mut simulation = Simulation::new(plan.clone(), &Pull, faults.clone(), &seed, 1)?;
    let mut rounds = 0;
    loop {
        match simulation.advance()? {
            Milestone::Finished => return Ok((rounds, simulation.parameters().to_vec())),
            Milestone::Round(..) => rounds += 1,
        }
        if resumed {
            let bytes = simulation.snapshot()?;
            simulation =
                Simulation::restore(plan.clone(), &Pull, faults.clone(), &seed, 1, &bytes)?;
        }
    }
}

#[test]
fn two_hundred_seeds_end_in_success_or_in_a_named_error() {
    let (mut finished, mut lost) = (0, 0);
    for seed in 0..200 {
        match outcome(seed, false) {
            Ok((rounds, parameters)) => {
                finished += 1;
                assert_eq!(rounds, 8, "seed {seed}");
                assert!(parameters.iter().all(|value| (0.0..=5.0).contains(value)), "seed {seed}");
            }
            Err(SimulationError::Job(TrainingError::QuorumLost { .. })) => lost += 1,
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    println!("{finished} finished, {lost} lost their quorum");
    assert!(finished >= 50 && lost >= 5, "{finished} finished, {lost} lost their quorum");
}

#[test]
fn going_on_from_snapshots_changes_nothing() {
    for seed in 0..40 {
        match (outcome(seed, false), outcome(seed, true)) {
            (Ok(straight), Ok(resumed)) => assert_eq!(straight, resumed, "seed {seed}"),
            (Err(straight), Err(resumed)) => {
                assert_eq!(straight.to_string(), resumed.to_string(), "seed {seed}");
            }
            (straight, resumed) => panic!("seed {seed}: {straight:?} {resumed:?}"),
        }
    }
}

#[test]
fn hostile_snapshots_are_refused() {
    let seed = Seed::from_number(1);
    let mut rng = seed.derive("settings", &[]).rng();
    let (plan, faults) = (plan(&mut rng), faults(&mut rng));
    let bytes =
        Simulation::new(plan.clone(), &Pull, faults.clone(), &seed, 1).unwrap().snapshot().unwrap();
    for _ in 0..2000 {
        let mut hostile = bytes.clone();
        let at = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
        hostile[at] ^= 1 << rng.below(8);
        if rng.below(2) == 0 {
            hostile.truncate(usize::try_from(rng.below(bytes.len() as u64)).unwrap());
        }
        let Ok(mut restored) =
            Simulation::restore(plan.clone(), &Pull, faults.clone(), &seed, 1, &hostile)
        else {
            continue;
        };
        // What still reads as a state must also run to an end.
        while let Ok(Milestone::Round(..)) = restored.advance() {}
    }
}
