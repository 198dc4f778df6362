//! x
use nexus_training::*;
use nexus_types::*;
#[test]
fn perf() {
    let p = 203_530usize;
    for rule in [Rule::Mean, Rule::Median, Rule::MultiKrum{byzantine:3,keep:None}, Rule::Bulyan{byzantine:2}, Rule::GeometricMedian{iterations:50,smoothing:1e-6}] {
    let plan = Plan { job: JobId(Digest([1;32])), model: ModelHash(Digest([2;32])), owners: 10, rounds: 10, parameters: p as u32, statistics: 0, fraction: 1.0, quorum: 5, round_deadline: std::time::Duration::from_secs(1), attempts: 1, strategy: Strategy::FedAvg, rule, weighting: Weighting::Examples, example_cap: MAX_EXAMPLE_CAP, seed: Seed::from_number(1)};
    let mut c = Coordinator::new(plan.clone()).unwrap();
    c.step(Timestamp(0), CoordinatorEvent::Start).unwrap();
    let clock = SystemClock::default();
    let t0 = clock.seconds();
    c.step(Timestamp(0), CoordinatorEvent::Begin{parameters: vec![0.1; p]}).unwrap();
    let t1 = clock.seconds();
    let mut rng = Seed::from_number(3).rng();
    let msgs: Vec<Vec<u8>> = (0..10).map(|_| { let delta = (0..p).map(|_| rng.normal() as f32 * 0.01).collect(); Answer::Update(Update{job: plan.job, id: TaskId::first(Round(1)), model: plan.model, examples: 150, loss_sum: 1.0, steps: 1, displacement: 1.0, delta}).encode().unwrap() }).collect();
    let t2 = clock.seconds();
    for (i, m) in msgs.iter().enumerate() { c.step(Timestamp(0), CoordinatorEvent::Message{from: OwnerId(i as u32), bytes: m}).unwrap(); }
    let t3 = clock.seconds();
    let s = c.snapshot().unwrap();
    let t4 = clock.seconds();
    println!("{rule:?} begin {:.1} ms, 10 answers + close {:.1} ms, snapshot {:.1} ms {}", 1e3*(t1-t0), 1e3*(t3-t2), 1e3*(t4-t3), s.len());
    }
}
