//! What a coordinator and a participant make of each message, one by one.

use std::sync::Arc;

use nexus_training::{
    Answer, Coordinator, CoordinatorEffect, CoordinatorEvent, DropReason, LocalResult, LocalTask,
    Participant, ParticipantEffect, ParticipantEvent, Plan, Refusal, Rule, Strategy, Task, TaskId,
    TrainTask, TrainingError, Update, Weighting,
};
use nexus_types::{Canonical, Digest, JobId, ModelHash, OwnerId, Round, Seed, Timestamp};
use proptest::prelude::*;

use crate::bench::{
    Bench, DEADLINE, declined, encoded, entropy, failure, plan, reasons, receivers, record, sent,
    update,
};

#[test]
fn a_round_closes_when_all_have_answered() {
    let mut bench = Bench::open(plan());
    for owner in 0..4 {
        assert_eq!(bench.answer(owner, &[1.0, 0.0]), []);
    }
    bench.now = 400;
    let effects = bench.answer(4, &[6.0, -5.0]);
    let record = record(&effects);
    assert_eq!(record.participants, OwnerId::all(5).collect::<Vec<_>>());
    assert_eq!((record.round, record.attempts, record.updates), (Round(1), 1, 5));
    assert_eq!((record.opened, record.closed), (Timestamp(0), Timestamp(400)));
    assert!((record.train_loss.unwrap() - 2.0).abs() < 1e-12);
    assert!((record.update_norm - 5f64.sqrt()).abs() < 1e-6);
    assert_eq!(bench.machine.parameters(), [2.0, -1.0]);
    assert!(matches!(effects[1], CoordinatorEffect::Persist), "{effects:?}");
    assert_eq!(receivers(&effects), [0, 1, 2, 3, 4]);
    let wake = CoordinatorEffect::Wake { at: Timestamp(400 + DEADLINE) };
    assert_eq!(effects.last(), Some(&wake));
}

#[test]
fn the_deadline_closes_a_round_that_has_its_quorum() {
    let mut bench = Bench::open(plan());
    (0..3).for_each(|owner| drop(bench.answer(owner, &[3.0, 0.0])));
    bench.now = DEADLINE - 1;
    assert_eq!(bench.step(CoordinatorEvent::Wake), [], "an early wake is ignored");
    bench.now = DEADLINE;
    let effects = bench.step(CoordinatorEvent::Wake);
    let silent = DropReason::NoAnswer { waited_ms: DEADLINE };
    assert_eq!(reasons(&record(&effects)), [(3, silent.clone()), (4, silent)]);
    assert_eq!(bench.machine.parameters(), [3.0, 0.0]);
}

#[test]
fn below_quorum_only_the_missing_are_asked_again_and_answers_stay() {
    let mut bench = Bench::open(plan());
    bench.answer(0, &[1.0, 0.0]);
    bench.answer(2, &[2.0, 0.0]);
    let effects = bench.wait();
    assert_eq!(receivers(&effects), [1, 3, 4]);
    assert_eq!(bench.answer(1, &[3.0, 0.0]), [], "two more may still answer");
    let record = record(&bench.wait());
    assert_eq!((record.attempts, record.updates), (2, 3));
    assert_eq!(bench.machine.parameters(), [2.0, 0.0]);
}

#[test]
fn a_lost_quorum_says_who_is_missing_and_why() {
    let mut bench = Bench::open(plan());
    let task = TaskId::first(Round(1));
    bench.answer(0, &[1.0, 0.0]);
    bench.send(1, &declined(&plan(), task, "disk full"));
    bench.send(2, b"no message");
    bench.wait();
    bench.send(1, &declined(&plan(), task, "disk still full"));
    let lost = failure(&bench.wait());
    let TrainingError::QuorumLost { round: Round(1), have: 1, need: 3, missing } = &lost else {
        panic!("{lost:?}");
    };
    assert_eq!(missing.iter().map(|dropped| dropped.owner.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(missing[0].reason, DropReason::Declined { reason: "disk still full".into() });
    assert!(matches!(missing[1].reason, DropReason::Malformed { .. }));
    assert_eq!(missing[2].reason, DropReason::NoAnswer { waited_ms: 2 * DEADLINE });
    assert_eq!(bench.answer(3, &[1.0, 1.0]), [], "a failed job is over");
    let again = bench.step(CoordinatorEvent::Restarted);
    assert_eq!(receivers(&again), [0, 1, 2, 3, 4], "until somebody resumes it");
}

#[test]
fn when_all_decline_there_is_nothing_to_wait_for() {
    let mut bench = Bench::open(plan());
    let no = declined(&plan(), TaskId::first(Round(1)), "no");
    let mut all_decline = || {
        (0..4).for_each(|owner| assert_eq!(bench.send(owner, &no), []));
        bench.send(4, &no)
    };
    assert_eq!(receivers(&all_decline()), [0, 1, 2, 3, 4]);
    assert!(matches!(failure(&all_decline()), TrainingError::QuorumLost { have: 0, .. }));
}

#[test]
fn what_cannot_be_used_is_recorded_and_changes_nothing() {
    let mut bench = Bench::open(Plan { rounds: 9, ..plan() });
    let other = Digest::of("test", b"other");
    let good = |round| update(&plan(), round, &[1.0, 1.0]);
    (0..4).for_each(|owner| drop(bench.answer(owner, &[0.0, 0.0])));
    bench.wait();
    bench.answer(0, &[4.0, 4.0]);
    // All of round 2: used before, late, twice, from strangers, for later, about something else.
    bench.send(0, &encoded(good(1)));
    bench.send(4, &encoded(good(1)));
    bench.send(0, &encoded(good(2)));
    bench.send(0, &declined(&plan(), TaskId::first(Round(2)), "never mind"));
    bench.send(9, &encoded(good(2)));
    bench.send(u32::MAX, b"");
    bench.send(1, &encoded(good(3)));
    bench.send(0, b"");
    bench.send(1, &Answer::Summary { job: plan().job, sums: vec![] }.encode().unwrap());
    bench.send(1, &encoded(Update { job: JobId(other), ..good(2) }));
    bench.send(2, &encoded(Update { model: ModelHash(other), ..good(2) }));
    bench.send(3, &encoded(Update { delta: vec![1.0; 3], ..good(2) }));
    let effects = bench.send(4, &encoded(Update { delta: vec![f32::INFINITY, 0.0], ..good(2) }));
    assert_eq!(receivers(&effects), [1, 2, 3, 4], "all have answered, too few can be used");
    let nan = {
        let mut bytes = encoded(good(2));
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    };
    bench.send(4, &nan);
    bench.answer(1, &[4.0, 4.0]);
    bench.answer(2, &[4.0, 4.0]);
    let record = record(&bench.wait());
    assert_eq!(bench.machine.parameters(), [4.0, 4.0]);
    assert_eq!(record.participants, [OwnerId(0), OwnerId(1), OwnerId(2)]);
    assert_eq!(record.late, [OwnerId(4)]);
    assert_eq!((record.duplicates, record.strays), (3, 5));
    let [(3, silent), (4, malformed)] = &reasons(&record)[..] else { panic!("{record:?}") };
    assert_eq!(*silent, DropReason::WrongLength { got: 3, expected: 2 });
    assert!(matches!(malformed, DropReason::Malformed { .. }), "NaN has no encoding: {malformed}");
}

#[test]
fn owners_that_were_not_drawn_are_strays() {
    let mut bench = Bench::open(Plan { fraction: 0.4, quorum: 2, ..plan() });
    let drawn = bench.plan().participants(Round(1));
    let outsider = OwnerId::all(5).find(|owner| !drawn.contains(owner)).unwrap();
    bench.answer(outsider.0, &[9.0, 9.0]);
    bench.answer(drawn[0].0, &[1.0, 1.0]);
    let record = record(&bench.answer(drawn[1].0, &[1.0, 1.0]));
    assert_eq!((record.strays, record.participants), (1, drawn));
    assert_eq!(bench.machine.parameters(), [1.0, 1.0]);
}

#[test]
fn traffic_is_counted_to_the_byte() {
    let mut bench = Bench::open(plan());
    let answer = encoded(update(&plan(), 1, &[1.0, 1.0])).len() as u64;
    let train = TrainTask {
        job: plan().job,
        id: TaskId::first(Round(1)),
        parameters: vec![0.0; 2],
        control: vec![],
        accepted: vec![],
        summary: vec![],
        manifest: None,
    };
    let task = Task::Train(train).encode().unwrap().len() as u64;
    bench.answer(0, &[1.0, 1.0]);
    bench.send(0, b"12345");
    bench.wait();
    bench.answer(1, &[1.0, 1.0]);
    bench.answer(2, &[1.0, 1.0]);
    let record = record(&bench.wait());
    assert_eq!((record.bytes_up, record.bytes_down), (3 * answer + 5, 9 * task));
}

#[test]
fn weights_are_examples_up_to_the_cap() {
    let weighting = Weighting::Examples;
    let mut bench = Bench::open(Plan { owners: 2, quorum: 2, weighting, example_cap: 3, ..plan() });
    let claim =
        |examples, delta: [f32; 2]| encoded(Update { examples, ..update(&plan(), 1, &delta) });
    bench.send(0, &claim(1, [4.0, 0.0]));
    let record = record(&bench.send(1, &claim(u64::MAX, [0.0, 4.0])));
    assert_eq!(bench.machine.parameters(), [1.0, 3.0]);
    assert!((record.train_loss.unwrap() - 4.0 / 2f64.powi(64)).abs() < 1e-30);
}

#[test]
fn the_norm_bound_scales_long_updates_down_and_says_so() {
    let rule = Rule::NormBound { limit: 5.0 };
    let mut bench = Bench::open(Plan { owners: 2, quorum: 2, rule, ..plan() });
    bench.answer(0, &[30.0, 40.0]);
    let record = record(&bench.answer(1, &[3.0, -4.0]));
    assert_eq!(bench.machine.parameters(), [3.0, 0.0]);
    assert_eq!(record.clipped, [OwnerId(0)]);
}

#[test]
fn a_rule_that_needs_more_than_the_quorum_gets_more() {
    let rule = Rule::Krum { byzantine: 1 };
    let mut bench = Bench::open(Plan { rule, quorum: 1, ..plan() });
    (0..3).for_each(|owner| drop(bench.answer(owner, &[1.0, 1.0])));
    assert_eq!(receivers(&bench.wait()), [3, 4], "three are too few for Krum against one");
    bench.answer(3, &[1.0, 1.0]);
    assert_eq!(record(&bench.wait()).updates, 4);
}

#[test]
fn the_driver_is_told_when_it_is_wrong() {
    let mut machine = Coordinator::new(plan()).unwrap();
    let mut step = |event| machine.step(Timestamp(0), event);
    let begin = |parameters| CoordinatorEvent::Begin { parameters };
    let out_of_turn = |event, stage| Err(TrainingError::OutOfTurn { event, stage });
    assert_eq!(step(begin(vec![0.0; 2])), out_of_turn("begin", "new"));
    step(CoordinatorEvent::Start).unwrap();
    assert_eq!(step(CoordinatorEvent::Start), out_of_turn("start", "waiting for its first model"));
    let length = TrainingError::Length { what: "parameters", got: 3, expected: 2 };
    assert_eq!(step(begin(vec![0.0; 3])), Err(length));
    let not_finite = TrainingError::NotFinite { what: "parameters" };
    assert_eq!(step(begin(vec![0.0, f32::NAN])), Err(not_finite));
    assert!(step(begin(vec![0.0; 2])).is_ok(), "a mistake leaves the machine as it was");
}

#[test]
fn statistics_are_summed_with_a_quorum_and_a_deadline() {
    let plan = Plan { statistics: 2, ..plan() };
    let sums =
        |values: &[f64]| Answer::Summary { job: plan.job, sums: values.to_vec() }.encode().unwrap();
    let mut bench = Bench { machine: Coordinator::new(plan.clone()).unwrap(), now: 0 };
    assert_eq!(receivers(&bench.step(CoordinatorEvent::Start)), [0, 1, 2, 3, 4]);
    bench.send(4, &sums(&[0.1, 1e300]));
    bench.send(4, &sums(&[0.1, 1.0]));
    bench.send(1, &sums(&[0.2, 1.0]));
    bench.send(2, &sums(&[f64::INFINITY, 1.0]));
    bench.send(3, &sums(&[1.0]));
    bench.send(0, &encoded(update(&plan, 1, &[1.0, 1.0])));
    assert_eq!(receivers(&bench.wait()), [0, 2, 3]);
    bench.send(2, &sums(&[0.3, 2e300]));
    bench.send(0, &sums(&[0.3, -1e300]));
    let effects = bench.wait();
    let [CoordinatorEffect::Persist, CoordinatorEffect::Summary { sums, record }] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    // In the order of owners: 0.3 + 0.2 + 0.1.
    assert_eq!(sums[..], [0.3 + 0.2 + 0.1, -1e300 + 1.0 + 1e300]);
    assert_eq!((record.round, record.attempts), (Round(0), 2));
    assert_eq!((record.duplicates, record.strays), (1, 1));
    let limit = nexus_training::MAX_STATISTIC;
    assert_eq!(
        reasons(record),
        [(2, DropReason::TooLarge { limit }), (3, DropReason::WrongLength { got: 1, expected: 2 })]
    );
    assert_eq!(bench.machine.summary(), sums);
    assert_eq!(bench.step(CoordinatorEvent::Restarted), effects[1..]);
}

proptest! {
    #[test]
    fn the_model_does_not_depend_on_who_answers_first(
        deltas in prop::collection::vec((-9f32..9.0, 1u64..1000), 5),
        seed: u64,
        rule in prop::sample::select(vec![
            Rule::Mean,
            Rule::NormBound { limit: 2.0 },
            Rule::Median,
            Rule::MultiKrum { byzantine: 1, keep: None },
            Rule::GeometricMedian { iterations: 9, smoothing: 1e-6 },
        ]),
    ) {
        let job = |order: &[u32]| {
            let mut bench =
                Bench::open(Plan { rule, weighting: Weighting::Examples, ..plan() });
            let effects = order.iter().map(|&owner| {
                let (delta, examples) = deltas[owner as usize];
                let update = update(&plan(), 1, &[delta, 1.0 / delta]);
                bench.send(owner, &encoded(Update { examples, loss_sum: delta.into(), ..update }))
            });
            let record = record(&effects.last().unwrap());
            (record, bench.machine.parameters().to_vec())
        };
        let mut order = [0, 1, 2, 3, 4];
        let in_order = job(&order);
        Seed::from_number(seed).rng().shuffle(&mut order);
        prop_assert_eq!(in_order, job(&order));
    }
}

#[test]
fn memory_does_not_grow_with_the_number_of_answers() {
    let parameters = 10_000;
    let held = |rule| {
        let mut bench = Bench::open(Plan { owners: 1000, parameters, quorum: 500, rule, ..plan() });
        let answer = encoded(update(&bench.plan(), 1, &vec![1.0; parameters as usize]));
        let at_first = bench.machine.held_bytes();
        (0..999).for_each(|owner| drop(bench.send(owner, &answer)));
        (at_first, bench.machine.held_bytes())
    };
    let model = 4 * parameters as usize;
    for rule in [Rule::Mean, Rule::NormBound { limit: 1.0 }] {
        let (first, last) = held(rule);
        assert_eq!(first, last);
        // The model, the task that carries it, and a sum of four times its width.
        assert!(last < 6 * model + 200, "{last} bytes for a model of {model}");
    }
    let (first, last) = held(Rule::Median);
    assert_eq!(last - first, 999 * model, "the median keeps what it is given");
}

#[test]
fn a_round_has_one_task_for_all() {
    let mut machine = Coordinator::new(plan()).unwrap();
    machine.step(Timestamp(0), CoordinatorEvent::Start).unwrap();
    let begin = CoordinatorEvent::Begin { parameters: vec![0.0; 2] };
    let first = machine.step(Timestamp(0), begin).unwrap();
    let again = machine.step(Timestamp(DEADLINE), CoordinatorEvent::Wake).unwrap();
    let messages = [sent(&first), sent(&again)].concat();
    assert_eq!(messages.len(), 10);
    assert!(messages.iter().all(|(_, message)| Arc::ptr_eq(message, &messages[0].1)));
}

fn task(round: u32, parameters: &[f32]) -> Vec<u8> {
    let train = TrainTask {
        job: plan().job,
        id: TaskId::first(Round(round)),
        parameters: parameters.to_vec(),
        control: vec![],
        accepted: vec![],
        summary: vec![],
        manifest: None,
    };
    Task::Train(train).encode().unwrap()
}

fn result(delta: &[f32]) -> LocalResult {
    let (examples, loss_sum, steps, displacement) = (3, 1.0, 2, 0.2);
    LocalResult { delta: delta.to_vec(), examples, loss_sum, steps, displacement }
}

fn participant(plan: Plan) -> Participant {
    Participant::new(plan, OwnerId(2)).unwrap()
}

fn hear(participant: &mut Participant, bytes: &[u8]) -> Vec<ParticipantEffect> {
    participant.step(&mut entropy(), ParticipantEvent::Message(bytes)).unwrap()
}

fn training(effects: &[ParticipantEffect]) -> &LocalTask {
    match effects {
        [ParticipantEffect::Persist, ParticipantEffect::Train(task)] => task,
        other => panic!("no training: {other:?}"),
    }
}

fn answer(effects: &[ParticipantEffect]) -> Answer {
    match effects.last() {
        Some(ParticipantEffect::Send(bytes)) => Answer::decode(bytes).unwrap(),
        other => panic!("no answer: {other:?}"),
    }
}

#[test]
fn a_repeated_task_gets_the_same_answer_without_training() {
    let mut owner = participant(plan());
    let first = hear(&mut owner, &task(1, &[1.0, 2.0]));
    let work = training(&first);
    assert_eq!((work.id, &work.parameters[..]), (TaskId::first(Round(1)), &[1.0, 2.0][..]));
    assert_eq!(hear(&mut owner, &task(1, &[1.0, 2.0])), [], "it is being worked on");
    let done = owner
        .step(&mut entropy(), ParticipantEvent::Trained(work.id, result(&[0.5, 0.5])))
        .unwrap();
    let Answer::Update(sent) = answer(&done) else { panic!("{done:?}") };
    assert_eq!((sent.delta, sent.examples, sent.steps), (vec![0.5, 0.5], 3, 2));
    assert_eq!(hear(&mut owner, &task(1, &[1.0, 2.0])), done[1..]);
}

#[test]
fn a_newer_round_takes_the_place_of_an_older_one() {
    let mut owner = participant(plan());
    hear(&mut owner, &task(1, &[0.0; 2]));
    training(&hear(&mut owner, &task(3, &[0.0; 2])));
    let stale = ParticipantEvent::Trained(TaskId::first(Round(1)), result(&[1.0; 2]));
    assert_eq!(owner.step(&mut entropy(), stale), Ok(vec![]));
    let refused = hear(&mut owner, &task(2, &[0.0; 2]));
    let refusal = Refusal::Outdated { got: Round(2), newest: Round(3) };
    assert_eq!(refused[0], ParticipantEffect::Refused(refusal));
    assert!(matches!(
        answer(&refused),
        Answer::Declined { id: TaskId { round: Round(2), .. }, .. }
    ));
}

#[test]
fn work_for_a_buffer_is_finished_before_the_next_begins() {
    let strategy = Strategy::FedBuff { buffer: 2, max_staleness: 3, learning_rate: 1.0 };
    let mut owner = participant(Plan { strategy, ..plan() });
    hear(&mut owner, &task(1, &[0.0; 2]));
    assert_eq!(hear(&mut owner, &task(2, &[0.0; 2])), []);
    let done = ParticipantEvent::Trained(TaskId::first(Round(1)), result(&[1.0; 2]));
    answer(&owner.step(&mut entropy(), done).unwrap());
    training(&hear(&mut owner, &task(2, &[0.0; 2])));
}

#[test]
fn a_participant_refuses_what_does_not_fit_its_plan() {
    let mut owner = participant(plan());
    let unfit = |reason| ParticipantEffect::Refused(Refusal::Unfit(reason));
    let short = hear(&mut owner, &task(1, &[0.0]));
    assert_eq!(short[0], unfit(DropReason::WrongLength { got: 1, expected: 2 }));
    assert!(matches!(answer(&short), Answer::Declined { .. }));
    let infinite = hear(&mut owner, &task(1, &[0.0, f32::INFINITY]));
    assert_eq!(infinite[0], unfit(DropReason::NotFinite));
    let job = JobId(Digest::of("test", b"other"));
    let foreign = Task::Summarise { job, manifest: None }.encode().unwrap();
    let refusal = ParticipantEffect::Refused(Refusal::OtherJob { job });
    assert_eq!(hear(&mut owner, &foreign), [refusal]);
    let noise = hear(&mut owner, b"noise");
    assert!(matches!(noise[..], [ParticipantEffect::Refused(Refusal::Malformed { .. })]));
}

#[test]
fn training_that_fails_is_declined_and_may_be_tried_again() {
    let mut owner = participant(plan());
    let id = TaskId::first(Round(1));
    hear(&mut owner, &task(1, &[0.0; 2]));
    let failed =
        owner.step(&mut entropy(), ParticipantEvent::Failed(id, "\u{7}no rows".into())).unwrap();
    let reason = "\u{fffd}no rows".to_owned();
    assert_eq!(answer(&failed), Answer::Declined { job: plan().job, id, reason });
    training(&hear(&mut owner, &task(1, &[0.0; 2])));
    let diverged = ParticipantEvent::Trained(id, result(&[f32::NAN, 0.0]));
    let Answer::Declined { reason, .. } = answer(&owner.step(&mut entropy(), diverged).unwrap())
    else {
        panic!("a model that is not finite was sent");
    };
    assert_eq!(reason, "local training diverged");
    training(&hear(&mut owner, &task(1, &[0.0; 2])));
    let wrong = owner.step(&mut entropy(), ParticipantEvent::Trained(id, result(&[0.0])));
    assert_eq!(wrong, Err(TrainingError::Length { what: "update", got: 1, expected: 2 }));
}

#[test]
fn statistics_are_computed_once() {
    let mut owner = participant(Plan { statistics: 1, ..plan() });
    let question = Task::Summarise { job: plan().job, manifest: None }.encode().unwrap();
    let persist = ParticipantEffect::Persist;
    assert_eq!(hear(&mut owner, &question), [persist, ParticipantEffect::Summarise]);
    assert_eq!(hear(&mut owner, &question), []);
    let done = owner
        .step(&mut entropy(), ParticipantEvent::Summarised { sums: vec![4.5], examples: 1 })
        .unwrap();
    assert_eq!(answer(&done), Answer::Summary { job: plan().job, sums: vec![4.5] });
    assert_eq!(hear(&mut owner, &question), done[1..]);
}

#[test]
fn a_participant_outside_the_plan_is_refused() {
    let refused = Participant::new(plan(), OwnerId(5)).unwrap_err();
    assert!(matches!(refused, TrainingError::Setting { setting: "owner", .. }));
}
