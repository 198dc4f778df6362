//! Random faults in virtual time: a job ends in success or in an error that says why.

use std::sync::Arc;
use std::time::Duration;

use cipher_nexus::simulation::{
    CommitteeFaults, CoordinatorFaults, Faults, Keys, Milestone, NetworkFaults, OwnerFaults,
    Simulation, SimulationError, Trained, Workload,
};
use nexus_training::{
    EngineTerms, JobTerms, LocalResult, LocalTask, Plan, Protection, Rule, Strategy, TrainingError,
    Weighting,
};
use nexus_types::{Digest, JobId, ModelHash, OwnerId, Seed, SeededRng};

/// Each owner pulls the model towards its own number.
struct Pull;

impl Workload for Pull {
    fn summarise(&self, owner: OwnerId) -> Result<Vec<f64>, String> {
        Ok(vec![1.0, f64::from(owner.0)])
    }

    fn examples(&self, _: OwnerId) -> u64 {
        10
    }

    fn initial(&self, summary: &[f64]) -> Result<Vec<f32>, String> {
        assert!(summary[0] >= 1.0);
        Ok(vec![0.0; 3])
    }

    fn train(&self, owner: OwnerId, task: &LocalTask) -> Result<Trained, String> {
        let goal = owner.0 as f32;
        Ok(Trained::Update(LocalResult {
            delta: task.parameters.iter().map(|value| 0.5 * (goal - value)).collect(),
            examples: 10,
            loss_sum: 1.0,
            steps: 1,
            displacement: 0.5,
        }))
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
        protection: Protection::Clear,
    }
}

/// Every other plan with masked sums, and the keys of all parties.
fn protected(seed: u64, plan: Plan) -> (Plan, Keys) {
    if seed.is_multiple_of(2) || plan.strategy.is_buffered() {
        return (plan, Keys::derive([1; 32], 6, 0));
    }
    let keys = Keys::derive([1; 32], 6, 4);
    let terms = JobTerms {
        job: plan.job,
        coordinator: keys.coordinator().public(),
        owners: Keys::public(keys.owners()),
        n_min: 3,
        attempts: 3,
        clip: 16.0,
        privacy: None,
        engine: EngineTerms::Nx {
            members: Keys::public(keys.members()),
            packing: Some(1),
            leaves: 1,
            keep_messages: true,
            corrupt_permille: 0,
        },
    };
    (Plan { protection: Protection::Masked(Arc::new(terms)), ..plan }, keys)
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
        committee: CommitteeFaults { crash: chance(0.1), restart_ms: 900 },
        attack: Vec::new(),
    }
}

/// Runs to the end; restarts from a snapshot after each milestone if asked to.
fn outcome(number: u64, resumed: bool) -> Result<(usize, Vec<f32>), SimulationError> {
    let seed = Seed::from_number(number);
    let mut rng = seed.derive("settings", &[]).rng();
    let ((plan, keys), faults) = (protected(number, plan(&mut rng)), faults(&mut rng));
    let mut simulation =
        Simulation::new(plan.clone(), keys.clone(), &Pull, faults.clone(), &seed, 1)?;
    let mut rounds = 0;
    loop {
        match simulation.advance()? {
            Milestone::Finished => return Ok((rounds, simulation.parameters().to_vec())),
            Milestone::Round(..) => rounds += 1,
            // It has no place in a snapshot: its round follows at once.
            Milestone::Sum(_) => continue,
        }
        if resumed {
            let bytes = simulation.snapshot()?;
            simulation = Simulation::restore(
                plan.clone(),
                keys.clone(),
                &Pull,
                faults.clone(),
                &seed,
                1,
                &bytes,
            )?;
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
            Err(SimulationError::Job(
                TrainingError::QuorumLost { .. }
                | TrainingError::CommitteeLost { .. }
                | TrainingError::Sum { .. },
            )) => lost += 1,
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
    for number in [1, 2] {
        let seed = Seed::from_number(1);
        let mut rng = seed.derive("settings", &[]).rng();
        let ((plan, keys), faults) = (protected(number, plan(&mut rng)), faults(&mut rng));
        let new = Simulation::new(plan.clone(), keys.clone(), &Pull, faults.clone(), &seed, 1);
        let mut simulation = new.unwrap();
        while let Ok(Milestone::Sum(_)) = simulation.advance() {}
        let bytes = simulation.snapshot().unwrap();
        for _ in 0..1000 {
            let mut hostile = bytes.clone();
            let at = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
            hostile[at] ^= 1 << rng.below(8);
            if rng.below(2) == 0 {
                hostile.truncate(usize::try_from(rng.below(bytes.len() as u64)).unwrap());
            }
            let (plan, keys) = (plan.clone(), keys.clone());
            let restored =
                Simulation::restore(plan, keys, &Pull, faults.clone(), &seed, 1, &hostile);
            // What still reads as a state must also run to an end.
            let Ok(mut restored) = restored else { continue };
            while let Ok(Milestone::Round(..) | Milestone::Sum(_)) = restored.advance() {}
        }
    }
}
