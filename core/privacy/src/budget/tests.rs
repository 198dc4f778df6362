use std::fs;
use std::path::PathBuf;

use nexus_types::{Canonical, Digest};
use proptest::prelude::*;

use super::*;
use crate::accounting::{Charge, Cost, Currency, Mechanism, Plan, Split, Unit};

fn terms(epsilon: f64) -> Terms {
    Terms {
        data_set: "clinic".into(),
        unit: Unit::Record,
        split: Split::Train,
        currency: Currency::Gdp,
        epsilon,
        delta: 1e-5,
        planned_order: 0,
        caps: vec![Cap { purpose: "trial".into(), millionths: 250_000 }],
    }
}

const HASH: Digest = Digest([7; 32]);

fn plan(sigma: f64, steps: u64) -> Plan {
    Plan { rate: 1.0, sigma, steps }
}

fn charge(sigma: f64, steps: u64) -> Charge {
    Charge {
        unit: Unit::Record,
        split: Split::Train,
        currency: Currency::Gdp,
        cost: Cost::of_plan(plan(sigma, steps)).unwrap(),
        mechanism: Mechanism::Gaussian,
        plan: Digest::of("test plan", &steps.to_le_bytes()),
    }
}

fn opened(rounds: u32, sigma: f64) -> [Opened; 1] {
    [Opened { rounds, sigma }]
}

/// Of so many rounds.
fn cost(rounds: u32, sigma: f64) -> Cost {
    if rounds == 0 { Cost::ZERO } else { charge(sigma, rounds.into()).cost }
}

fn reserved(purpose: &str, sigma: f64, steps: u32) -> Entry {
    let steps = steps.into();
    Entry::Reserve {
        purpose: purpose.into(),
        plan: plan(sigma, steps),
        charge: charge(sigma, steps),
    }
}

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nexus-budget-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("train.budget")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_plan_is_reserved_ticketed_and_settled() {
    let folder = Folder::new("life");
    let mut budget = BudgetFile::create(&folder.log(), terms(3.0)).unwrap();
    let mut paid = budget.reserve("study", plan(20.0, 100), 0.0, HASH).unwrap();
    let reserved = budget.ledger().spent();
    assert!(reserved > 1.5 && reserved < 3.0, "{reserved}");
    let tickets: Vec<BudgetTicket> = (0..3).filter_map(|_| paid.next_round()).collect();
    assert!(tickets.iter().all(|t| t.plan() == HASH && t.multiplier() >= 20.0));
    assert_eq!(tickets.len(), 3);
    budget.settle(paid, &opened(3, 20.0), 0).unwrap();
    assert!(budget.ledger().spent() < reserved / 2.0);
    drop(budget);
    let budget = BudgetFile::open(&folder.log()).unwrap();
    assert_eq!(budget.ledger().total(), cost(3, 20.0));
}

#[test]
fn what_does_not_fit_is_refused_and_says_by_how_much() {
    let (mut ledger, _) = Ledger::open(terms(3.0)).unwrap();
    let study = |sigma, purpose: &str| reserved(purpose, sigma, 100);
    let error = ledger.append(study(10.0, "study")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("epsilon to 4.3") && text.ends_with("too much"), "{text}");
    assert!(matches!(
        ledger.append(study(14.5, "trial")),
        Err(BudgetError::CapExceeded { millionths: 250_000, .. })
    ));
    ledger.append(study(30.0, "trial")).unwrap();
    let other = Charge { split: Split::Test, ..charge(30.0, 1) };
    assert!(matches!(ledger.check("study", &other), Err(BudgetError::OtherTerms { .. })));
    let pure = Charge { cost: Cost::pure(0.1).unwrap(), ..charge(30.0, 1) };
    let refused = ledger.check("study", &pure).unwrap_err();
    assert!(matches!(refused, BudgetError::DoesNotFit { needed, .. } if needed.is_infinite()));
    assert!(matches!(ledger.check(&"x".repeat(65), &other), Err(BudgetError::TooMuch { .. })));
}

#[test]
fn only_rounds_without_this_owner_are_refunded() {
    let folder = Folder::new("refund");
    let mut budget = BudgetFile::create(&folder.log(), terms(3.0)).unwrap();
    let mut paid = budget.reserve("study", plan(20.0, 5), 0.0, HASH).unwrap();
    for _ in 0..5 {
        let _ticket = paid.next_round();
    }
    assert!(paid.next_round().is_none());
    // Five tickets were handed out; three rounds and one exclusion leave one unexplained.
    let refused = budget.settle(paid, &opened(3, 20.0), 1).unwrap_err();
    assert!(refused.to_string().contains("more rounds than are settled"), "{refused}");
    assert_eq!(budget.ledger().total(), charge(20.0, 5).cost);

    let mut paid = budget.reserve("study", plan(20.0, 5), 0.0, HASH).unwrap();
    let id = paid.id();
    let _ticket = paid.next_round();
    budget.settle(paid, &[], 1).unwrap();
    assert_eq!(budget.ledger().total(), charge(20.0, 5).cost);
    let again = Entry::Settle { id, opened: Vec::new(), excluded: 1, cost: Cost::ZERO };
    let mut ledger = budget.ledger().clone();
    assert_eq!(problem(&ledger.append(again)), Some(SettlementProblem::NotOpen));
}

fn problem<T>(result: &Result<T, BudgetError>) -> Option<SettlementProblem> {
    match result {
        Err(BudgetError::BadSettlement { problem, .. }) => Some(*problem),
        _ => None,
    }
}

#[test]
fn a_settlement_is_bound_to_its_rounds_and_to_the_plan() {
    let (mut ledger, _) = Ledger::open(terms(3.0)).unwrap();
    ledger.append(reserved("study", 20.0, 9)).unwrap();
    let many = vec![Opened { rounds: 0, sigma: 20.0 }; OPENED_MAX + 1];
    for (opened, excluded, wanted) in [
        (&opened(9, 19.0)[..], 0, SettlementProblem::AboveReserve),
        (&opened(9, f64::NAN), 0, SettlementProblem::AboveReserve),
        (&opened(9, 20.0), 1, SettlementProblem::TooManyRounds),
        (&opened(u32::MAX, 20.0), u32::MAX, SettlementProblem::TooManyRounds),
        (&many, 0, SettlementProblem::TooManyKinds),
    ] {
        assert_eq!(problem(&ledger.settlement(1, opened, excluded)), Some(wanted));
    }
    assert_eq!(problem(&ledger.settlement(2, &[], 0)), Some(SettlementProblem::NotOpen));
    // What a settlement says of its cost is not believed.
    for (said, wanted) in [
        (Cost::ZERO, SettlementProblem::BelowRounds),
        (cost(8, 20.0), SettlementProblem::BelowRounds),
        (cost(9, 19.0), SettlementProblem::AboveReserve),
    ] {
        let entry =
            Entry::Settle { id: 1, opened: opened(9, 20.0).into(), excluded: 0, cost: said };
        assert_eq!(problem(&ledger.append(entry)), Some(wanted));
    }
    assert_eq!(ledger.total(), cost(9, 20.0));
    // More noise than planned is cheaper, and pieces do not add up to more than the whole.
    let quieter = ledger.settlement(1, &[opened(4, 20.0)[0], opened(5, 40.0)[0]], 0).unwrap();
    let mut other = ledger.clone();
    other.append(quieter).unwrap();
    assert!(other.total().is_within(&cost(6, 20.0)), "{:?}", other.total().gdp_mu2);
    ledger.append(ledger.settlement(1, &[opened(1, 20.0)[0]; 9], 0).unwrap()).unwrap();
    assert_eq!(ledger.total(), cost(9, 20.0));
}

#[test]
fn rounds_without_room_count_as_if_they_had_less_noise() {
    let sigmas: Vec<f64> = (0..2000_u32).map(|round| 20.0 + f64::from(round % 1000)).collect();
    let kinds = Opened::of(sigmas);
    assert_eq!(kinds.len(), OPENED_MAX);
    assert_eq!(kinds[0], Opened { rounds: 2, sigma: 20.0 });
    let last = kinds.last().unwrap();
    assert_eq!((last.rounds, last.sigma), (2000 - 2 * 511, 20.0 + 511.0));
    let (mut ledger, _) = Ledger::open(terms(30.0)).unwrap();
    ledger.append(reserved("study", 20.0, 2000)).unwrap();
    let entry = ledger.settlement(1, &kinds, 0).unwrap();
    assert!(entry.encode().unwrap().len() < Entry::MAX_BYTES);
    ledger.append(entry).unwrap();
}

#[test]
fn a_reservation_below_its_plan_is_refused_and_failure_is_paid_with_any_round() {
    let (mut ledger, _) = Ledger::open(terms(3.0)).unwrap();
    let cheap =
        Entry::Reserve { purpose: "study".into(), plan: plan(20.0, 9), charge: charge(20.0, 8) };
    assert!(matches!(ledger.append(cheap), Err(BudgetError::BelowPlan)));
    let charge = ledger.charge(plan(20.0, 9), 1e-8, HASH).unwrap();
    let entry = Entry::Reserve { purpose: "study".into(), plan: plan(20.0, 9), charge };
    ledger.append(entry).unwrap();
    let settled = |opened: &[Opened]| {
        let mut ledger = ledger.clone();
        ledger.append(ledger.settlement(1, opened, 0).unwrap()).unwrap();
        ledger.total().delta_add
    };
    assert_eq!(settled(&opened(1, 20.0)), ledger.total().delta_add);
    assert_eq!(settled(&[]), 0);
}

#[test]
fn what_a_crash_in_the_making_leaves_is_in_nobodys_way() {
    let folder = Folder::new("making");
    let beside = |extension: &str| folder.log().with_added_extension(extension);
    fs::write(beside("new"), b"half an entry that is longer than nothing".repeat(20)).unwrap();
    fs::write(beside("head"), Head::genesis().encode()).unwrap();
    fs::write(beside("head-new"), b"half").unwrap();
    assert!(matches!(BudgetFile::open(&folder.log()), Err(BudgetError::Disk { .. })));
    drop(BudgetFile::create(&folder.log(), terms(3.0)).unwrap());
    assert!(!beside("new").exists());
    assert_eq!(BudgetFile::open(&folder.log()).unwrap().ledger().terms(), &terms(3.0));
}

#[test]
fn two_cannot_spend_the_same_budget() {
    let folder = Folder::new("lock");
    let budget = BudgetFile::create(&folder.log(), terms(3.0)).unwrap();
    assert!(matches!(BudgetFile::open(&folder.log()), Err(BudgetError::Locked { .. })));
    drop(budget);
    let budget = BudgetFile::open(&folder.log()).unwrap();
    assert!(matches!(BudgetFile::create(&folder.log(), terms(9.0)), Err(BudgetError::Disk { .. })));
    drop(budget);
}

/// A log of an opening, two reservations and a settlement, and its head after every entry.
fn sample() -> (Vec<u8>, Vec<Head>) {
    let (mut ledger, mut log) = Ledger::open(terms(3.0)).unwrap();
    let mut heads = vec![Head::genesis(), ledger.head()];
    let settle =
        Entry::Settle { id: 1, opened: opened(7, 30.0).into(), excluded: 0, cost: cost(7, 30.0) };
    for entry in [reserved("study", 30.0, 40), reserved("study", 30.0, 20), settle] {
        log.extend(ledger.append(entry).unwrap());
        heads.push(ledger.head());
    }
    (log, heads)
}

#[test]
fn a_crash_at_any_byte_loses_no_acknowledged_reservation() {
    let (log, heads) = sample();
    let folder = Folder::new("crash");
    for cut in 0..=log.len() {
        // The writer flushes an entry before its head: the head is of a whole entry before the cut.
        let whole = heads.iter().rposition(|head| head.bytes <= cut as u64).unwrap();
        for acknowledged in [whole, whole.saturating_sub(1)] {
            let replayed = Ledger::replay(&log[..cut], &heads[acknowledged]).unwrap();
            assert_eq!(replayed.whole, heads[whole].bytes);
            let entries = replayed.ledger.map_or(0, |ledger| ledger.head().entries);
            assert_eq!(entries, heads[whole].entries, "cut at {cut}");
        }
        // A head beyond the cut: someone cut the log.
        for head in &heads[whole + 1..] {
            let refused = Ledger::replay(&log[..cut], head).unwrap_err();
            assert!(matches!(
                refused,
                BudgetError::Tampered { entry, problem: Damage::Missing } if entry == whole as u64
            ));
        }
        if cut % 97 == 0 && whole > 0 {
            fs::write(folder.log(), &log[..cut]).unwrap();
            fs::write(folder.0.join("train.budget.head"), heads[whole].encode()).unwrap();
            let mut budget = BudgetFile::open(&folder.log()).unwrap();
            assert_eq!(budget.ledger().head(), heads[whole]);
            let _paid = budget.reserve("study", plan(100.0, 1), 0.0, HASH).unwrap();
            drop(budget);
            let budget = BudgetFile::open(&folder.log()).unwrap();
            assert_eq!(budget.ledger().head().entries, heads[whole].entries + 1);
        }
    }
}

#[test]
fn every_changed_byte_is_refused_with_the_number_of_its_entry() {
    let (log, heads) = sample();
    let head = heads.last().unwrap();
    for at in 0..log.len() {
        let mut changed = log.clone();
        changed[at] ^= 1 << (at % 8);
        let wanted = heads.iter().rposition(|head| head.bytes <= at as u64).unwrap() as u64;
        match Ledger::replay(&changed, head) {
            Err(BudgetError::Tampered { entry, .. }) => assert_eq!(entry, wanted, "byte {at}"),
            other => panic!("byte {at}: {other:?}"),
        }
    }
    let mut bytes = head.encode();
    assert_eq!(Head::decode(&bytes), Some(*head));
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        assert_eq!(Head::decode(&bytes), None);
        bytes[at] ^= 1;
    }
}

#[test]
fn a_log_without_its_head_is_refused() {
    let folder = Folder::new("head");
    drop(BudgetFile::create(&folder.log(), terms(3.0)).unwrap());
    fs::remove_file(folder.0.join("train.budget.head")).unwrap();
    let refused = BudgetFile::open(&folder.log()).unwrap_err();
    assert!(matches!(refused, BudgetError::Tampered { problem: Damage::NoHead, .. }), "{refused}");
}

#[test]
fn a_consistent_log_with_other_amounts_is_not_the_one_the_head_knows() {
    let (_, heads) = sample();
    let (mut ledger, mut forged) = Ledger::open(terms(3.0)).unwrap();
    for _ in 0..3 {
        forged.extend(ledger.append(reserved("study", 300.0, 1)).unwrap());
    }
    let refused = Ledger::replay(&forged, heads.last().unwrap()).unwrap_err();
    assert!(matches!(refused, BudgetError::Tampered { problem: Damage::Changed, .. }));
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Entry::decode(&bytes);
        let _ = Head::decode(&bytes);
        let _ = Ledger::replay(&bytes, &Head::genesis());
    }

    /// Whatever is reserved and settled in whatever order, the limit holds and a replay agrees.
    #[test]
    fn no_sequence_overspends_and_every_replay_agrees(
        steps in prop::collection::vec((5.0..60.0_f64, 1..40_u32, 0..40_u32, any::<bool>()), 1..20),
    ) {
        let (mut ledger, mut log) = Ledger::open(terms(2.0)).unwrap();
        for (sigma, rounds, done, settle) in steps {
            let id = ledger.head().entries;
            let Ok(bytes) = ledger.append(reserved("study", sigma, rounds)) else { continue };
            log.extend(bytes);
            if settle {
                let kinds = opened(done.min(rounds), sigma);
                log.extend(ledger.append(ledger.settlement(id, &kinds, 0).unwrap()).unwrap());
            }
        }
        prop_assert!(ledger.spent() <= 2.0 + 1e-9);
        let replayed = Ledger::replay(&log, &ledger.head()).unwrap().ledger.unwrap();
        prop_assert_eq!(replayed.bookings(), ledger.bookings());
        prop_assert_eq!(replayed.head(), ledger.head());
    }
}
