//! Budgets on disk and processes that are killed, or that want the same budget.
//!
//! The spender is this program again, as a process of its own. It says what it has done on a pipe,
//! and is killed without warning at moments that it does not choose.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::{env, fs, hint};

use nexus_privacy::accounting::{Cost, Currency, Plan, Split, Unit};
use nexus_privacy::budget::{BudgetError, BudgetFile, Ledger, Opened, SettlementProblem, Terms};
use nexus_types::Digest;

const FOLDER: &str = "NEXUS_TEST_BUDGET_FOLDER";
const MANNER: &str = "NEXUS_TEST_BUDGET_MANNER";
const PLAN: Plan = Plan { rate: 1.0, sigma: 200.0, steps: 3 };
const SETTLED: [Opened; 1] = [Opened { rounds: 2, sigma: 250.0 }];
const HASH: Digest = Digest([7; 32]);

fn terms() -> Terms {
    Terms {
        data_set: "clinic".into(),
        unit: Unit::Record,
        split: Split::Train,
        currency: Currency::Gdp,
        epsilon: 1.0,
        delta: 1e-5,
        planned_order: 0,
        caps: Vec::new(),
    }
}

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("nexus-budgets-{name}-{}", std::process::id()));
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

// The process.

/// Not a test but the process that the tests below start, if they do.
#[test]
fn the_spender_in_a_process_of_its_own() {
    let (Some(folder), Ok(manner)) = (env::var_os(FOLDER), env::var(MANNER)) else { return };
    let log = PathBuf::from(folder).join("train.budget");
    match manner.as_str() {
        "create" => {
            hear();
            match BudgetFile::create(&log, terms()) {
                Ok(_) => say("made"),
                Err(_) => say("refused"),
            }
        }
        "hold" => {
            let _budget = open(&log).unwrap();
            say("open");
            hear();
        }
        "race" => {
            hear();
            let spent = spend_what_there_is(&log);
            say(&format!("spent {spent}"));
        }
        careful => spend(&log, careful == "honest"),
    }
}

/// Reserves and settles until it is killed; on a fast machine it waits for that, so that all the
/// spenders of a test together stay within the budget.
fn spend(log: &Path, honest: bool) {
    let mut budget = open(log).unwrap();
    for _ in 0..12 {
        let id = budget.ledger().head().entries;
        if !honest {
            // The weakened twin draws its noise before it has paid.
            say(&format!("reserved {id}"));
            hear();
        }
        let mut paid = budget.reserve("study", PLAN, 0.0, HASH).unwrap();
        if honest {
            say(&format!("reserved {id}"));
        }
        let _ticket = paid.next_round();
        if !id.is_multiple_of(3) {
            say(&format!("settling {id}"));
            budget.settle(paid, &SETTLED, 1).unwrap();
            say(&format!("settled {id}"));
        }
    }
    hear();
}

/// As often as the budget lets it, however often others have it open.
fn spend_what_there_is(log: &Path) -> u32 {
    let mut spent = 0;
    loop {
        match BudgetFile::open(log) {
            Err(BudgetError::Locked { .. }) => std::thread::yield_now(),
            opened => match opened.unwrap().reserve("study", large(), 0.0, HASH) {
                Ok(_) => spent += 1,
                Err(BudgetError::DoesNotFit { .. }) => return spent,
                Err(error) => panic!("{error}"),
            },
        }
    }
}

/// A plan that fits ten times or so.
fn large() -> Plan {
    Plan { rate: 1.0, sigma: 40.0, steps: 10 }
}

fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Waits for a byte, or for nobody.
fn hear() {
    let _ = std::io::stdin().read(&mut [0]);
}

// Its host, who kills it.

struct Process {
    child: Child,
    stdin: ChildStdin,
    pipe: BufReader<ChildStderr>,
}

impl Process {
    fn start(folder: &Folder, manner: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_spender_in_a_process_of_its_own", "--nocapture"])
            .env(FOLDER, &folder.0)
            .env(MANNER, manner)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, pipe) = (child.stdin.take().unwrap(), child.stderr.take().unwrap());
        Self { child, stdin, pipe: BufReader::new(pipe) }
    }

    fn tell(&mut self) {
        self.stdin.write_all(&[1]).unwrap();
    }

    /// What it says next; nothing once it is dead.
    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        self.pipe.read_line(&mut line).unwrap();
        // A line that was cut short was not said.
        line.strip_suffix('\n').map(str::to_owned)
    }

    /// SIGKILL, where there are signals. What it had said that nobody had heard yet.
    fn kill(&mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.next()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens it when no other test stands between fork and exec, holding a copy of every lock.
fn open(log: &Path) -> Result<BudgetFile, BudgetError> {
    loop {
        match BudgetFile::open(log) {
            Err(BudgetError::Locked { .. }) => std::thread::yield_now(),
            opened => return opened,
        }
    }
}

/// Goes on for a while that no clock measures.
fn dawdle(turns: u64) {
    for _ in 0..turns {
        hint::spin_loop();
    }
}

/// Numbers that look random and are the same in every run.
fn scrambled(number: u64) -> u64 {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

/// What a spender has said of every plan.
#[derive(Default)]
struct Said(BTreeMap<u64, BTreeSet<String>>);

impl Said {
    fn note(&mut self, line: &str) {
        let (what, id) = line.split_once(' ').unwrap_or_else(|| panic!("it panicked: {line}"));
        self.0.entry(id.parse().unwrap()).or_default().insert(what.to_owned());
    }

    /// Whether the books have everything that was said, once, at what it cost.
    fn agrees(&self, ledger: &Ledger) -> Result<(), String> {
        let full = ledger.charge(PLAN, 0.0, HASH).unwrap().cost;
        let part = Plan { sigma: SETTLED[0].sigma, steps: 2, ..PLAN };
        let part = ledger.charge(part, 0.0, HASH).unwrap().cost;
        let mut total = Cost::ZERO;
        for booking in ledger.bookings() {
            let said = self.0.get(&booking.id);
            let said = |what: &str| said.is_some_and(|said| said.contains(what));
            match booking.realised {
                None if said("settled") => return Err(format!("{} lost its end", booking.id)),
                Some(_) if booking.id.is_multiple_of(3) => {
                    return Err(format!("{} was open", booking.id));
                }
                _ => {}
            }
            let counts = if booking.realised.is_some() { part } else { full };
            if booking.cost() != counts {
                return Err(format!("{} counts {:?}", booking.id, booking.cost().gdp_mu2));
            }
            total = total.and(&counts);
        }
        let booked: BTreeSet<u64> = ledger.bookings().iter().map(|booking| booking.id).collect();
        if let Some(lost) = self.0.keys().find(|id| !booked.contains(id)) {
            return Err(format!("{lost} is lost"));
        }
        if ledger.total() == total { Ok(()) } else { Err("the total is another".to_owned()) }
    }
}

#[test]
fn a_kill_at_any_moment_loses_no_reservation_and_doubles_no_settlement() {
    let folder = Folder::new("killed");
    drop(BudgetFile::create(&folder.log(), terms()).unwrap());
    let mut said = Said::default();
    let mut ended = 0;
    for attempt in 0..40 {
        let mut spender = Process::start(&folder, "honest");
        for _ in 0..=scrambled(attempt) % 9 {
            said.note(&spender.next().unwrap());
        }
        dawdle(scrambled(1000 + attempt) % 20_000);
        spender.kill().iter().for_each(|line| said.note(line));
        let budget = open(&folder.log()).unwrap();
        said.agrees(budget.ledger()).unwrap();
        let ledger = budget.ledger();
        for booking in budget.ledger().bookings().iter().filter(|it| it.realised.is_some()) {
            let again = ledger.settlement(booking.id, &SETTLED, 1);
            let problem = SettlementProblem::NotOpen;
            assert!(
                matches!(again, Err(BudgetError::BadSettlement { problem: p, .. }) if p == problem)
            );
            ended += 1;
        }
        // The books can be gone on with.
        let entry = ledger.charge(PLAN, 0.0, HASH).unwrap();
        ledger.check("study", &entry).unwrap();
        assert!(ledger.spent() < 1.0);
    }
    assert!(ended > 0 && said.0.len() > 40, "{ended} {}", said.0.len());
}

#[test]
fn the_twin_that_draws_before_it_pays_loses_a_reservation() {
    let folder = Folder::new("careless");
    drop(BudgetFile::create(&folder.log(), terms()).unwrap());
    let mut said = Said::default();
    let mut spender = Process::start(&folder, "careless");
    said.note(&spender.next().unwrap());
    spender.kill();
    let budget = open(&folder.log()).unwrap();
    assert_eq!(said.agrees(budget.ledger()), Err("1 is lost".to_owned()));
}

#[test]
fn a_kill_while_a_budget_is_made_leaves_one_or_none() {
    let folder = Folder::new("made");
    let (mut made, mut kept) = (0, 0);
    for attempt in 0..40 {
        let mut maker = Process::start(&folder, "create");
        maker.tell();
        dawdle(scrambled(attempt) % 2_000_000);
        let _ = maker.kill();
        if folder.log().exists() {
            kept += 1;
        } else {
            drop(BudgetFile::create(&folder.log(), terms()).unwrap());
            made += 1;
        }
        let budget = open(&folder.log()).unwrap();
        assert_eq!(budget.ledger().head().entries, 1);
        drop(budget);
        fs::remove_file(folder.log()).unwrap();
    }
    println!("{kept} were made, {made} were not");
}

#[test]
fn of_many_who_make_a_budget_one_does() {
    for attempt in 0..5 {
        let folder = Folder::new(&format!("makers{attempt}"));
        let mut makers: Vec<Process> = (0..4).map(|_| Process::start(&folder, "create")).collect();
        makers.iter_mut().for_each(Process::tell);
        let answers: Vec<String> = makers.iter_mut().map(|maker| maker.next().unwrap()).collect();
        assert_eq!(answers.iter().filter(|answer| *answer == "made").count(), 1, "{answers:?}");
        drop(makers);
        assert_eq!(open(&folder.log()).unwrap().ledger().head().entries, 1);
    }
}

#[test]
fn processes_cannot_spend_the_same_budget() {
    let folder = Folder::new("race");
    drop(BudgetFile::create(&folder.log(), terms()).unwrap());
    let mut holder = Process::start(&folder, "hold");
    assert_eq!(holder.next().unwrap(), "open");
    assert!(matches!(BudgetFile::open(&folder.log()), Err(BudgetError::Locked { .. })));
    // The system lets go of a lock whose holder is dead.
    holder.kill();
    drop(open(&folder.log()).unwrap());

    let mut racers: Vec<Process> = (0..3).map(|_| Process::start(&folder, "race")).collect();
    racers.iter_mut().for_each(Process::tell);
    let spent: usize = racers
        .iter_mut()
        .map(|racer| {
            racer.next().unwrap().strip_prefix("spent ").unwrap().parse::<usize>().unwrap()
        })
        .sum();
    drop(racers);
    let budget = open(&folder.log()).unwrap();
    assert_eq!(spent, budget.ledger().bookings().len());
    assert!(spent > 2 && budget.ledger().spent() <= 1.0, "{spent}");
    let more = budget.ledger().charge(large(), 0.0, HASH).unwrap();
    assert!(matches!(budget.ledger().check("study", &more), Err(BudgetError::DoesNotFit { .. })));
}

#[test]
fn a_file_that_was_tampered_with_or_truncated_is_refused() {
    let folder = Folder::new("tampered");
    let mut budget = BudgetFile::create(&folder.log(), terms()).unwrap();
    for _ in 0..3 {
        let paid = budget.reserve("study", PLAN, 0.0, HASH).unwrap();
        budget.settle(paid, &SETTLED, 0).unwrap();
    }
    drop(budget);
    let whole = fs::read(folder.log()).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(folder.log(), bytes).unwrap();
        matches!(open(&folder.log()), Err(BudgetError::Tampered { .. }))
    };
    for at in (0..whole.len()).step_by(23) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(refused(&changed), "byte {at}");
        assert!(refused(&whole[..at]), "cut at {at}");
    }
    fs::write(folder.log(), &whole).unwrap();
    assert_eq!(open(&folder.log()).unwrap().ledger().bookings().len(), 3);
}
