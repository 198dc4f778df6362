//! Sums with noise: what is released has the noise that was promised, whoever is missing, and nothing
//! without noise is.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use nexus_privacy::accounting::{self, Currency, FILTER_SHARE, Split, Unit};
use nexus_privacy::budget::{BudgetFile, BudgetTicket, Terms};
use nexus_privacy::flow::{Label, Private, Purpose};
use nexus_privacy::mechanisms::clip::Clip;
use nexus_training::{
    Answer, CoordinatorEffect, CoordinatorEvent, EngineTerms, LocalResult, MemberEffect,
    Participant, ParticipantEffect, ParticipantEvent, Peer, Plan, PrivacyTerms, Protection, TaskId,
    TrainingError,
};
use nexus_types::{Canonical, Digest, MemberId, OwnerId, Timestamp};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::bench::plan;
use crate::masked::{masked, nx};
use crate::simulator::{coordinator, member, participant};

const OWNERS: u32 = 6;
const N_MIN: u32 = 4;
const PARAMETERS: u32 = 4000;
const ROUNDS: u32 = 2;

fn terms(unit: Unit) -> PrivacyTerms {
    let noise = accounting::Plan::calibrated(1.0, ROUNDS.into(), 2.0, FILTER_SHARE * 1e-5).unwrap();
    PrivacyTerms {
        purpose: Purpose::new("research").unwrap(),
        unit,
        epsilon: 2.0,
        delta: 1e-5,
        clip: 1.0,
        multiplier: noise.sigma * (1.0 + 1e-6),
        rate: 1.0,
        colluding: 1,
        local: false,
        rows: vec![10; OWNERS as usize],
        step: 1.0,
        cooldown: 0.0,
    }
}

/// A job of two rounds with these terms.
fn private(privacy: PrivacyTerms) -> Plan {
    let plain =
        Plan { owners: OWNERS, quorum: N_MIN, parameters: PARAMETERS, rounds: ROUNDS, ..plan() };
    let plan = masked(&plain, nx(4));
    let Protection::Masked(terms) = &plan.protection else { panic!("masked") };
    let mut terms = (**terms).clone();
    terms.privacy = Some(privacy);
    Plan { protection: Protection::Masked(Arc::new(terms)), ..plan }
}

/// A ticket for noise of `multiplier` sensitivities.
fn ticket(name: &str, unit: Unit, multiplier: f64) -> BudgetTicket {
    let folder = std::env::temp_dir().join(format!("nexus-private-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path: PathBuf = folder.join(name);
    let terms = Terms {
        data_set: "rows".to_owned(),
        unit,
        split: Split::Train,
        currency: Currency::Gdp,
        epsilon: 1e3,
        delta: 1e-5,
        planned_order: 0,
        caps: Vec::new(),
    };
    let plan = accounting::Plan { rate: 1.0, sigma: multiplier, steps: 1 };
    let mut file = BudgetFile::create(&path, terms).unwrap();
    let ticket = file.reserve("test", plan, 0.0, Digest([0; 32])).unwrap().next_round().unwrap();
    for end in ["", ".head"] {
        std::fs::remove_file(folder.join(format!("{name}{end}"))).unwrap();
    }
    ticket
}

/// What an owner does with a task.
#[derive(Clone, Copy)]
enum Hands {
    /// Clips, pays, noises.
    Honest,
    /// The same with a ticket for less noise.
    Cheap,
    /// The same with rows that are for something else.
    Astray,
    /// Sends an update as it is.
    Bare,
    /// Nothing.
    Silent,
}

/// What became of the first round.
struct Outcome {
    model: Vec<f32>,
    failed: Option<TrainingError>,
    survivors: Vec<OwnerId>,
    answers: Vec<Vec<u8>>,
}

/// Plays a job until its first round ends. Owner i's contribution is `values[i]`.
fn play(name: &str, plan: &Plan, hands: &[Hands], value: f64) -> Outcome {
    let mut rng = ChaCha12Rng::seed_from_u64(7);
    let mut boss = coordinator(plan);
    let mut owners: Vec<Participant> =
        OwnerId::all(plan.owners).map(|id| participant(plan, id)).collect();
    let mut members: Vec<_> = MemberId::all(4).map(|id| member(plan, id)).collect();
    let mut outcome =
        Outcome { model: Vec::new(), failed: None, survivors: Vec::new(), answers: Vec::new() };
    let (mut now, mut wakes) = (Timestamp(0), BTreeSet::new());
    let mut effects = VecDeque::from(boss.step(now, CoordinatorEvent::Start).unwrap());
    loop {
        let Some(effect) = effects.pop_front() else {
            now = wakes.pop_first().expect("a job waits for a time");
            effects.extend(boss.step(now, CoordinatorEvent::Wake).unwrap());
            continue;
        };
        match effect {
            CoordinatorEffect::Wake { at } => drop(wakes.insert(at)),
            CoordinatorEffect::Summary { .. } => {
                let parameters = vec![0.0; PARAMETERS as usize];
                effects.extend(boss.step(now, CoordinatorEvent::Begin { parameters }).unwrap());
            }
            CoordinatorEffect::Send { to: Peer::Member(to), message } => {
                for effect in members[to.index()].step(&mut rng, &message).unwrap() {
                    let MemberEffect::Send(bytes) = effect else { continue };
                    let event = CoordinatorEvent::Message { from: Peer::Member(to), bytes: &bytes };
                    effects.extend(boss.step(now, event).unwrap());
                }
            }
            CoordinatorEffect::Send { to: Peer::Owner(to), message } => {
                let owner = &mut owners[to.index()];
                let mut todo = VecDeque::from(
                    owner.step(&mut rng, ParticipantEvent::Message(&message)).unwrap(),
                );
                while let Some(effect) = todo.pop_front() {
                    match effect {
                        ParticipantEffect::Train(task) => {
                            let name = format!("{name}-{to}-{}", task.id.round);
                            let hand = hands[to.index()];
                            let done = train(&name, plan, owner, &mut rng, task.id, hand, value);
                            todo.extend(done);
                        }
                        ParticipantEffect::Send(bytes) => {
                            let event =
                                CoordinatorEvent::Message { from: Peer::Owner(to), bytes: &bytes };
                            effects.extend(boss.step(now, event).unwrap());
                            outcome.answers.push(bytes.to_vec());
                        }
                        ParticipantEffect::Summarise
                        | ParticipantEffect::Persist
                        | ParticipantEffect::Refused(_) => {}
                    }
                }
            }
            CoordinatorEffect::RoundClosed(record) if record.round.0 == 1 => {
                outcome.model = boss.parameters().to_vec();
                outcome.survivors = record.participants;
                return outcome;
            }
            CoordinatorEffect::Failed(error) => {
                outcome.failed = Some(error);
                return outcome;
            }
            CoordinatorEffect::Persist
            | CoordinatorEffect::Summed(_)
            | CoordinatorEffect::RoundClosed(_)
            | CoordinatorEffect::Finished { .. } => {}
        }
    }
}

fn train(
    name: &str,
    plan: &Plan,
    owner: &mut Participant,
    rng: &mut ChaCha12Rng,
    id: TaskId,
    hands: Hands,
    value: f64,
) -> Vec<ParticipantEffect> {
    let privacy = plan.privacy().unwrap();
    let share = match hands {
        Hands::Silent => return Vec::new(),
        Hands::Bare => {
            let delta = vec![0.5; PARAMETERS as usize];
            let result =
                LocalResult { delta, examples: 1, loss_sum: 0.0, steps: 1, displacement: 1.0 };
            return owner.step(rng, ParticipantEvent::Trained(id, result)).unwrap();
        }
        Hands::Honest | Hands::Astray => 1.0,
        Hands::Cheap => 1.01,
    };
    let values = vec![value; PARAMETERS as usize];
    let clip = Clip::new(privacy.clip).unwrap();
    let purpose = if matches!(hands, Hands::Astray) { "marketing" } else { "research" };
    let label = Label::public().for_purposes([purpose]).unwrap();
    let clipped = Private::new(values, Arc::new(label)).clip_whole(clip);
    let ticket = ticket(name, privacy.unit, privacy.multiplier * share);
    owner.release(rng, id, clipped, ticket).unwrap()
}

fn hands(silent: u32) -> Vec<Hands> {
    let hand = |id: OwnerId| if id.0 < silent { Hands::Silent } else { Hands::Honest };
    OwnerId::all(OWNERS).map(hand).collect()
}

#[test]
fn the_noise_is_what_was_promised_whoever_is_missing() {
    let plan = private(terms(Unit::Owner));
    let release = plan.release().unwrap().unwrap();
    for silent in 0..=OWNERS - N_MIN {
        let outcome = play(&format!("noise{silent}"), &plan, &hands(silent), 0.0);
        let survivors = OWNERS - silent;
        assert_eq!(outcome.survivors.len(), survivors as usize);
        // The owners' shares, of which one may collude, in units of the mean.
        let shares = f64::from(survivors) / f64::from(survivors - 1);
        let expected = release.realised(survivors).unwrap() * shares.sqrt() / f64::from(survivors);
        let squares: f64 = outcome.model.iter().map(|x| f64::from(*x).powi(2)).sum();
        let ratio = (squares / f64::from(PARAMETERS)).sqrt() / expected;
        assert!((ratio - 1.0).abs() < 0.05, "{survivors}: {ratio}");
    }
}

#[test]
fn one_owner_too_few_opens_nothing() {
    let plan = private(terms(Unit::Owner));
    let outcome = play("few", &plan, &hands(OWNERS - N_MIN + 1), 0.0);
    assert!(outcome.model.is_empty());
    assert!(matches!(outcome.failed, Some(TrainingError::QuorumLost { have: 3, need: 4, .. })));
    let refused = plan.release().unwrap().unwrap().realised(N_MIN - 1);
    assert!(matches!(refused, Err(TrainingError::Mechanism(_))), "{refused:?}");
}

#[test]
fn what_has_no_noise_or_too_little_does_not_leave_an_owner() {
    let plan = private(terms(Unit::Owner));
    for (name, bad, why) in [
        ("bare", Hands::Bare, "noise"),
        ("cheap", Hands::Cheap, "budget"),
        ("astray", Hands::Astray, "not for what"),
    ] {
        let mut hands = hands(0);
        hands[2] = bad;
        let outcome = play(name, &plan, &hands, 0.0);
        assert_eq!(outcome.survivors.len(), OWNERS as usize - 1);
        let declined = outcome.answers.iter().filter_map(|bytes| match Answer::decode(bytes) {
            Ok(Answer::Declined { reason, .. }) => Some(reason),
            _ => None,
        });
        let declined: Vec<String> = declined.collect();
        assert!(declined.iter().all(|reason| reason.contains(why)), "{declined:?}");
        assert_eq!(declined.len(), 1);
    }
}

#[test]
fn the_same_bytes_leave_whatever_the_values_are() {
    let plan = private(terms(Unit::Owner));
    let lengths = |value| -> Vec<usize> {
        let name = format!("lengths{value}");
        play(&name, &plan, &hands(0), value).answers.iter().map(Vec::len).collect()
    };
    assert_eq!(lengths(0.0), lengths(1e-3));
    let outcome = play("kinds", &plan, &hands(0), 1e-3);
    let sum = |bytes: &Vec<u8>| matches!(Answer::decode(bytes), Ok(Answer::Sum { .. }));
    assert!(outcome.answers.iter().all(sum), "nothing else leaves an owner");
}

#[test]
fn promises_that_are_not_kept_are_refused() {
    let sound = terms(Unit::Record);
    assert_eq!(private(sound.clone()).check(), Ok(()));
    let refused = |privacy: PrivacyTerms| private(privacy).check().unwrap_err().to_string();
    let weak = PrivacyTerms { multiplier: sound.multiplier * 0.99, ..sound.clone() };
    assert!(refused(weak).contains("epsilon"));
    // All owners in a sum collude.
    let colluding = PrivacyTerms { colluding: N_MIN, ..sound.clone() };
    assert!(refused(colluding).contains("colluders"));
    let statistics = Plan { statistics: 1, ..private(sound.clone()) };
    assert!(statistics.check().unwrap_err().to_string().contains("without noise"));
    let rows = PrivacyTerms { rows: vec![10; 2], ..sound };
    assert!(refused(rows).contains("declared rows"));
    // Four values in an element leave no room for noise.
    let plan = private(terms(Unit::Record));
    let Protection::Masked(terms) = &plan.protection else { panic!("masked") };
    let mut terms = (**terms).clone();
    let EngineTerms::Nx { packing, .. } = &mut terms.engine else { panic!("nx") };
    *packing = Some(4);
    let narrow = Plan { protection: Protection::Masked(Arc::new(terms)), ..plan };
    assert!(matches!(narrow.check(), Err(TrainingError::Mechanism(_))));
}
