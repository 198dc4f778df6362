use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nexus_models::data::Cell;
use nexus_privacy::accounting::{Currency, Split};
use nexus_privacy::budget::Terms as BudgetTerms;
use proptest::prelude::*;

use super::*;

const EPSILON: f64 = 1.0;

/// A folder of this test's own.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nexus-describe-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn table(name: &str, rows: usize) -> Table {
    // Ages 20, 21, .., 79, 20, ..: uniform; every third row is a "yes".
    let ages = (0..rows).map(|row| Cell::Number(20.0 + (row % 60) as f64));
    let answers = (0..rows).map(|row| Cell::Text(if row % 3 == 0 { "yes" } else { "no" }));
    let columns = vec![Column::from_cells("age", ages), Column::from_cells("answer", answers)];
    Table::new(name, columns).unwrap()
}

fn budget(path: &Path, unit: Unit) -> BudgetFile {
    let terms = BudgetTerms {
        data_set: "a table".to_owned(),
        unit,
        split: Split::Train,
        currency: Currency::Gdp,
        epsilon: 1.3,
        delta: 1e-6,
        planned_order: 0,
        caps: Vec::new(),
    };
    BudgetFile::create(path, terms).unwrap()
}

fn owners(folder: &Path, rows: &[usize]) -> Vec<Owner> {
    let owner = |(at, rows): (usize, &usize)| Owner {
        table: table(&format!("table {at}"), *rows),
        budget: budget(&folder.join(format!("{at}.budget")), Unit::Record),
    };
    rows.iter().enumerate().map(owner).collect()
}

fn questions() -> Vec<Question> {
    let values = ["yes", "no", "maybe"].map(str::to_owned).to_vec();
    vec![
        Question::Number { column: "age".to_owned(), bounds: [0.0, 100.0], quartiles: true },
        Question::Choice { column: "answer".to_owned(), values },
    ]
}

fn terms() -> Terms {
    Terms {
        questions: questions(),
        epsilon: EPSILON,
        delta: 1e-6,
        purpose: "statistics".to_owned(),
        rows: 100_000,
        colluding: 1,
        local: false,
    }
}

fn close(got: f64, expected: f64, error: f64) {
    assert!((got - expected).abs() <= error, "{got} is not {expected} up to {error}");
}

#[test]
fn answers_are_the_truth_up_to_the_noise_that_is_stated() {
    let rows = [1200, 2400, 3000, 5400];
    let mut noise = Vec::new();
    for local in [false, true] {
        let folder = Folder::new();
        let found = describe(owners(&folder.0, &rows), &Terms { local, ..terms() }).unwrap();
        assert_eq!(found.joint, !local);
        let [Answer::Number { count, moment, quartiles }, Answer::Choice(counts)] = &*found.answers
        else {
            panic!("{:?}", found.answers)
        };
        let error = 6.0 * found.noise;
        close(*count, 12_000.0, error);
        close(moment.mean, 49.5, 100.0 * error / 12_000.0);
        close(moment.deviation, 17.3, 200.0 * error / 12_000.0);
        for (got, expected) in quartiles.unwrap().into_iter().zip([35.0, 50.0, 65.0]) {
            close(got, expected, 1.0 + 100.0 * 4.0 * error / 12_000.0);
        }
        for ((value, got), (name, expected)) in
            counts.iter().zip([("yes", 4000.0), ("no", 8000.0), ("maybe", 0.0)])
        {
            assert_eq!(value, name);
            close(*got, expected, error);
        }
        noise.push(found.noise);
    }
    // Three shares count of four; alone each adds what the three add together.
    close(noise[1] / noise[0], 3_f64.sqrt(), 0.05);
}

#[test]
fn the_noise_is_as_wide_as_what_was_paid_for() {
    let values: Vec<String> = (0..400).map(|value| format!("v{value}")).collect();
    let question = Question::Choice { column: "answer".to_owned(), values };
    let terms = Terms { questions: vec![question], ..terms() };
    let parts = [terms.questions[0].part().unwrap()];
    let plan = Plan::calibrated(1.0, 1, EPSILON, 1e-6).unwrap();
    for (owners, local) in [(4, false), (4, true), (1, false)] {
        let noise = Noise::new(&parts, plan, owners, &Terms { local, ..terms.clone() }).unwrap();
        assert!(noise.multiplier >= plan.sigma);
        // None of the values is in it: all that is summed is noise.
        let table = table("other", 1);
        let (mut sum, mut total) = (None, vec![0; 400]);
        if noise.share.is_some() {
            sum = Some(Sum::new(Digest::of("test", b""), owners, 400).unwrap());
        }
        let folder = Folder::new();
        for id in OwnerId::all(owners) {
            let mut budget = budget(&folder.0.join(id.to_string()), Unit::Record);
            let hash = Digest::of("test", b"plan");
            let ticket = budget.reserve("a", plan, 0.0, hash).unwrap().next_round().unwrap();
            let clipped = clipped(&table, &parts, &terms, &noise).unwrap();
            match &mut sum {
                Some(sum) => noise.contribute(sum, id, clipped, ticket).unwrap(),
                None => noise.add_released(clipped, ticket, &mut total).unwrap(),
            }
        }
        if let Some(mut sum) = sum {
            total = Released::open(&mut sum, &Label::public()).unwrap().into_value();
        }
        let squares: f64 = noise.grid.to_real(&total).iter().map(|x| x * x).sum();
        let ratio = squares / 400.0 / noise.deviation(owners).powi(2);
        close(ratio, 1.0, 6.0 * (2.0_f64 / 400.0).sqrt());
    }
}

#[test]
fn a_budget_pays_once_and_then_refuses() {
    let folder = Folder::new();
    let spent = |path: &Path| BudgetFile::open(path).unwrap().ledger().spent();
    describe(owners(&folder.0, &[50, 60, 70]), &terms()).unwrap();
    for at in 0..3 {
        let spent = spent(&folder.0.join(format!("{at}.budget")));
        assert!((0.99 * EPSILON..1.001 * EPSILON).contains(&spent), "{spent}");
    }
    let owner = || {
        let budget = BudgetFile::open(&folder.0.join("0.budget")).unwrap();
        vec![Owner { table: table("a", 50), budget }]
    };
    let refused = describe(owner(), &terms()).unwrap_err();
    assert!(matches!(&refused, DescribeError::Budget(error) if error.is_refusal()), "{refused}");
    assert!(spent(&folder.0.join("0.budget")) < 1.001 * EPSILON);
}

type Change<'a> = &'a dyn Fn(&mut Terms, &mut Vec<Owner>);

#[test]
fn what_cannot_be_asked_is_refused_before_anything_is_paid() {
    let refusal = |change: Change<'_>| {
        let folder = Folder::new();
        let (mut terms, mut owners) = (terms(), owners(&folder.0, &[10, 20, 30]));
        owners[2].budget = budget(&folder.0.join("other"), Unit::Record);
        change(&mut terms, &mut owners);
        let error = describe(owners, &terms).unwrap_err().to_string();
        let first = BudgetFile::open(&folder.0.join("0.budget")).unwrap();
        assert!(first.ledger().bookings().is_empty());
        error
    };
    let other = |column: &str| Question::Choice { column: column.to_owned(), values: vec![] };
    let cases: [(Change<'_>, &str); 7] = [
        (&|terms, _| terms.questions = vec![other("agee")], "bins is 0"),
        (
            &|_, owners| {
                owners[1].table =
                    Table::new("t", vec![Column::from_cells("x", [Cell::Null])]).unwrap();
            },
            "t has no column `age`; it has: x",
        ),
        (&|terms, _| terms.rows = 25, "table 2 has more than 25 rows"),
        (&|terms, _| terms.colluding = 3, "colluding owners is 3"),
        (&|terms, _| terms.epsilon = -1.0, "epsilon is -1"),
        (&|terms, _| terms.epsilon = 2.0, "epsilon"),
        (
            &|terms, _| {
                terms.questions = vec![Question::Number {
                    column: "age".to_owned(),
                    bounds: [5.0, 5.0],
                    quartiles: false,
                }];
            },
            "range of a feature",
        ),
    ];
    for (change, expected) in cases {
        let error = refusal(change);
        assert!(error.contains(expected), "{error}");
    }
    let folder = Folder::new();
    let budget = budget(&folder.0.join("owner"), Unit::Owner);
    let error = describe(vec![Owner { table: table("a", 5), budget }], &terms()).unwrap_err();
    assert!(error.to_string().contains("hides Owners"), "{error}");
}

proptest! {
    /// What a row adds is never longer than the norm, and never shortened.
    #[test]
    fn a_row_fits_the_norm(number in any::<f64>(), text in "yes|no|[a-z]{0,4}") {
        let parts: Vec<_> = questions().iter().map(|it| it.part().unwrap()).collect();
        let clip = within(parts.iter().map(Part::norm_sq).sum()).unwrap();
        let mut squares = 0.0;
        for (part, cell) in parts.iter().zip([Cell::number(number), Cell::parse(&text)]) {
            let mut vector = vec![0.0; part.dimension()];
            part.add(cell, &mut vector).unwrap();
            squares += vector.iter().map(|x| x * x).sum::<f64>();
        }
        prop_assert!(clip.keeps(squares), "{}", squares);
    }
}
