//! What jobs learn: every strategy against its formulas, computed here once more.

use std::sync::Arc;

use nexus_training::{
    Answer, CoordinatorEffect, DropReason, LocalResult, Participant, ParticipantEffect,
    ParticipantEvent, Plan, Rule, Strategy, Task, TaskId, TrainTask, Update,
};
use nexus_types::{Canonical, OwnerId, Round, Seed};

use crate::bench::{Bench, encoded, entropy, plan, reasons, receivers, record, sent, update};
use crate::simulator::{Chaos, Ending, Quadratics, Simulator};

fn world(plan: &Plan) -> Quadratics {
    Quadratics::random(plan, &mut Seed::from_number(11).rng())
}

fn learn(plan: &Plan, world: &Quadratics) -> Vec<f64> {
    let seed = Seed::from_number(1);
    let mut simulator = Simulator::new(plan.clone(), Chaos::default(), world.clone(), seed);
    match simulator.run(1_000_000) {
        Ending::Finished(parameters) => parameters.into_iter().map(f64::from).collect(),
        Ending::Failed(error) => panic!("{error}"),
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// `steps` steps of gradient descent of owner `i`, with a proximal and a correction term.
fn descend(world: &Quadratics, i: usize, x: &[f64], mu: f64, correction: &[f64]) -> Vec<f64> {
    let mut y = x.to_vec();
    for _ in 0..world.steps {
        for j in 0..y.len() {
            let gradient = world.curvature[i][j] * (y[j] - world.centre[i][j]);
            y[j] -= world.rate * (gradient + mu * (y[j] - x[j]) + correction[j]);
        }
    }
    y
}

#[test]
fn fedavg_and_fedprox_are_means_of_local_models() {
    for (strategy, mu) in [(Strategy::FedAvg, 0.0), (Strategy::FedProx { mu: 0.7 }, 0.7)] {
        let plan = Plan { strategy, rounds: 4, ..plan() };
        let world = world(&plan);
        let mut x = vec![0.0; 2];
        for _ in 0..plan.rounds {
            let models: Vec<Vec<f64>> =
                (0..5).map(|i| descend(&world, i, &x, mu, &[0.0; 2])).collect();
            x = (0..2).map(|j| models.iter().map(|y| y[j]).sum::<f64>() / 5.0).collect();
        }
        let got = learn(&plan, &world);
        assert!(distance(&got, &x) < 1e-6, "{strategy:?}: {got:?}, not {x:?}");
    }
}

#[test]
fn scaffold_follows_its_algorithm_also_when_owners_sit_out() {
    let strategy = Strategy::Scaffold { learning_rate: 0.8 };
    let plan = Plan { strategy, rounds: 12, fraction: 0.6, quorum: 3, ..plan() };
    let world = world(&plan);
    let displacement = world.steps as f64 * world.rate;
    let (mut x, mut c, mut own) = (vec![0.0; 2], vec![0.0; 2], vec![vec![0.0; 2]; 5]);
    for round in 1..=plan.rounds {
        let drawn = plan.participants(Round(round));
        let (mut step, mut steer) = (vec![0.0; 2], vec![0.0; 2]);
        for owner in drawn.iter().map(|owner| owner.index()) {
            let correction: Vec<f64> = c.iter().zip(&own[owner]).map(|(c, own)| c - own).collect();
            let y = descend(&world, owner, &x, 0.0, &correction);
            for j in 0..2 {
                let next = own[owner][j] - c[j] + (x[j] - y[j]) / displacement;
                steer[j] += (next - own[owner][j]) / 5.0;
                own[owner][j] = next;
                step[j] += 0.8 * (y[j] - x[j]) / drawn.len() as f64;
            }
        }
        x.iter_mut().zip(&step).for_each(|(x, step)| *x += step);
        c.iter_mut().zip(&steer).for_each(|(c, steer)| *c += steer);
    }
    let got = learn(&plan, &world);
    assert!(distance(&got, &x) < 1e-5, "{got:?}, not {x:?}");
}

#[test]
fn scaffold_forgets_a_control_variate_whose_update_was_not_used() {
    let strategy = Strategy::Scaffold { learning_rate: 1.0 };
    let plan = Plan { strategy, owners: 2, quorum: 1, parameters: 1, ..plan() };
    let mut owner = Participant::new(plan.clone(), OwnerId(1)).unwrap();
    let mut correction = |round, used, control| {
        let task = Task::Train(TrainTask {
            job: plan.job,
            id: id(round, 0),
            parameters: vec![0.0],
            control: vec![control],
            accepted: vec![Round(0), Round(used)],
            summary: vec![],
            manifest: None,
        });
        let bytes = task.encode().unwrap();
        let effects = owner.step(&mut entropy(), ParticipantEvent::Message(&bytes)).unwrap();
        let Some(ParticipantEffect::Train(work)) = effects.last() else { panic!("{effects:?}") };
        // c_i+ = c_i - c - delta / displacement = c_i - c + 4.
        let (examples, loss_sum, steps, displacement) = (1, 0.0, 1, 0.5);
        let result = LocalResult { delta: vec![-2.0], examples, loss_sum, steps, displacement };
        owner.step(&mut entropy(), ParticipantEvent::Trained(work.id, result)).unwrap();
        work.correction.as_ref().unwrap()[0]
    };
    let seen = [
        correction(1, 0, 0.5), // c_i = 0
        correction(2, 0, 0.5), // round 1 was not used: c_i = 0
        correction(4, 2, 1.0), // round 2 was: c_i = 0 - 0.5 + 4
        correction(5, 2, 1.0), // round 4 was not: c_i as before
        correction(6, 5, 0.0), // round 5 was: c_i = 3.5 - 1 + 4
    ];
    assert_eq!(seen.to_vec(), vec![0.5, 0.5, -2.5, -2.5, -6.5]);
}

#[test]
fn scaffold_finds_the_optimum_that_fedavg_drifts_away_from() {
    let fedavg = Plan { rounds: 100, ..plan() };
    let world = Quadratics { steps: 20, ..world(&fedavg) };
    let optimum = world.optimum();
    let drift = distance(&learn(&fedavg, &world), &optimum);
    let scaffold = Plan { strategy: Strategy::Scaffold { learning_rate: 1.0 }, ..fedavg };
    let error = distance(&learn(&scaffold, &world), &optimum);
    assert!(drift > 0.05 && error < drift / 100.0, "FedAvg {drift}, SCAFFOLD {error}");
}

#[test]
fn every_strategy_comes_near_the_optimum_of_equal_owners() {
    let (beta1, beta2, tau) = (0.9, 0.99, 1e-2);
    let learning_rate = 0.1;
    for strategy in [
        Strategy::FedAvg,
        Strategy::FedProx { mu: 0.1 },
        Strategy::FedAvgM { momentum: 0.5, learning_rate: 0.5 },
        Strategy::FedAdam { learning_rate, beta1, beta2, tau },
        Strategy::FedYogi { learning_rate, beta1, beta2, tau },
        Strategy::FedAdagrad { learning_rate: 0.5, beta1: 0.0, tau },
        Strategy::Scaffold { learning_rate: 1.0 },
        Strategy::FedBuff { buffer: 3, max_staleness: 5, learning_rate: 1.0 },
    ] {
        let plan = Plan { strategy, rounds: 300, ..plan() };
        let mut world = world(&plan);
        world.curvature = vec![world.curvature[0].clone(); 5];
        world.centre = vec![world.centre[0].clone(); 5];
        let error = distance(&learn(&plan, &world), &world.optimum());
        assert!(error < 0.02, "{strategy:?}: {error}");
    }
}

#[test]
fn liars_ruin_the_mean_and_not_the_robust_rules() {
    let plan = Plan { owners: 9, quorum: 9, rounds: 30, ..plan() };
    let mut world = world(&plan);
    world.curvature = vec![world.curvature[0].clone(); 9];
    for (i, centre) in world.centre.iter_mut().enumerate() {
        let offset = 0.01 * i as f64;
        *centre = if i < 2 { vec![-5000.0, 5000.0] } else { vec![1.0 + offset, 2.0 - offset] };
    }
    let honest = [1.05, 1.95];
    let error = |rule| distance(&learn(&Plan { rule, ..plan.clone() }, &world), &honest);
    assert!(error(Rule::Mean) > 100.0);
    for rule in [
        Rule::Median,
        Rule::TrimmedMean { trim: 2 },
        Rule::Krum { byzantine: 2 },
        Rule::MultiKrum { byzantine: 2, keep: None },
        Rule::Bulyan { byzantine: 2 },
        Rule::GeometricMedian { iterations: 50, smoothing: 1e-6 },
    ] {
        assert!(error(rule) < 0.1, "{rule:?}: {}", error(rule));
    }
}

/// Two owners and a buffer of two.
fn buffer() -> Bench {
    let strategy = Strategy::FedBuff { buffer: 2, max_staleness: 1, learning_rate: 0.5 };
    Bench::open(Plan { owners: 3, quorum: 1, rounds: 3, strategy, ..plan() })
}

fn given(effects: &[CoordinatorEffect]) -> Vec<(u32, TaskId, f32)> {
    let model = |(to, message): (u32, Arc<[u8]>)| match Task::decode(&message).unwrap() {
        Task::Train(TrainTask { id, parameters, .. }) => (to, id, parameters[0]),
        Task::Summarise { .. } | Task::Sum { .. } => panic!("not in this stage"),
    };
    sent(effects).into_iter().map(model).collect()
}

fn id(round: u32, repeat: u32) -> TaskId {
    TaskId { round: Round(round), repeat }
}

#[test]
fn a_buffer_weighs_updates_by_their_age() {
    let mut bench = buffer();
    let from = |round, repeat, delta: f32| {
        encoded(Update { id: id(round, repeat), ..update(&plan(), round, &[delta, 0.0]) })
    };
    // Owner 0 is fast: it gets the same model again at once, as work of its own.
    assert_eq!(given(&bench.send(0, &from(1, 0, 1.0))), [(0, id(1, 1), 0.0)]);
    assert_eq!(bench.send(0, &from(1, 0, 1.0)), [], "a duplicate");
    let effects = bench.send(0, &from(1, 1, 3.0));
    let first = record(&effects);
    assert_eq!((first.updates, first.duplicates), (2, 1));
    assert_eq!(first.participants, [OwnerId(0)]);
    // 0.5 * (1 + 3) / 2.
    assert_eq!(given(&effects), [(0, id(2, 0), 1.0)]);
    // Owner 1 worked on the first model all the time: its 4 counts 1/sqrt(2).
    assert_eq!(given(&bench.send(1, &from(1, 0, 4.0))), [(1, id(2, 0), 1.0)]);
    let effects = bench.send(0, &from(2, 0, 2.0));
    let expected = 1.0 + 0.5 * (4.0 / 2f64.sqrt() + 2.0) / 2.0;
    let [(0, task, model)] = given(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(task, id(3, 0));
    assert!((f64::from(model) - expected).abs() < 1e-6, "{model}");
    // Owner 2 is two models late: refused, but given the current one.
    let effects = bench.send(2, &from(1, 0, 9.0));
    assert_eq!(given(&effects), [(2, id(3, 0), model)]);
    bench.send(1, &from(2, 0, 0.0));
    let effects = bench.send(0, &from(3, 0, 0.0));
    assert_eq!(reasons(&record(&effects)), [(2, DropReason::Stale { by: 2 })]);
    assert!(matches!(effects.last(), Some(CoordinatorEffect::Finished { .. })));
}

#[test]
fn silent_owners_of_a_buffer_are_asked_again_until_the_job_fails() {
    let mut bench = buffer();
    bench.answer(0, &[1.0, 0.0]);
    assert_eq!(receivers(&bench.wait()), [0, 1, 2]);
    let bytes = Answer::Declined { job: plan().job, id: id(1, 0), reason: "busy".into() };
    bench.send(1, &bytes.encode().unwrap());
    let effects = bench.wait();
    let [CoordinatorEffect::Failed(error)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(
        error.to_string(),
        "round 1: got 1 of the 2 answers it needs; missing: \
         owner-1 (declined: busy), owner-2 (no answer within 1 s)"
    );
}
