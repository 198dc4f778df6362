use nexus_models::data::builtin::breast_cancer;
use nexus_models::data::{Cell, Column, Table};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Points in a square; the class is how many of their two numbers are above a half.
fn table(rows: u32) -> Table {
    let part = |row: u32, by: u32| f64::from((row * by) % 101) / 101.0;
    let column = |name: &str, of: &dyn Fn(u32) -> f64| {
        Column::from_cells(name, (0..rows).map(|row| Cell::number(of(row))))
    };
    let above = |row| f64::from(u8::from(part(row, 37) > 0.5) + u8::from(part(row, 59) > 0.5));
    let columns = vec![
        column("x", &|row| part(row, 37)),
        column("count", &above),
        column("y", &|row| 100.0 - 7.0 * part(row, 59)),
    ];
    Table::new("points", columns).unwrap()
}

/// A tree of one question, and one that always says the same.
fn small() -> Value {
    json!({
        "version": 1,
        "form": {
            "features": [{ "name": "x", "low": 0.0, "high": 255.0 }],
            "label": "y",
            "classes": ["a", "b", "c"],
        },
        "trees": [
            { "nodes": [
                { "split": { "feature": 0, "above": 100, "no": 1, "yes": 2 } },
                { "leaf": { "class": 2 } },
                { "leaf": { "class": 1 } },
            ] },
            { "nodes": [{ "leaf": { "class": 1 } }] },
        ],
    })
}

fn read(value: &Value) -> Result<Forest, ForestError> {
    Forest::read(&serde_json::to_vec(value).unwrap())
}

fn right(forest: &Forest, table: &Table) -> f64 {
    let (rows, truth) = (forest.form().rows(table).unwrap(), forest.form().truth(table));
    let pairs = rows.iter().zip(truth);
    let right = pairs.filter(|(row, truth)| Some(forest.predict(row).unwrap()) == *truth).count();
    right as f64 / rows.len() as f64
}

#[test]
fn what_was_fitted_is_known_again() {
    let all = table(400);
    let options = ForestOptions { trees: 3, depth: 2, seed: 7 };
    let forest = Forest::fit(&all, "count", &options).unwrap();
    assert_eq!((forest.trees(), forest.form().classes.len()), (3, 3));
    assert!(right(&forest, &all) > 0.95);
    assert_eq!(Forest::read(&forest.write().unwrap()).unwrap(), forest);
    assert_eq!(Forest::fit(&all, "count", &options).unwrap(), forest);
    let other = Forest::fit(&all, "count", &ForestOptions { seed: 8, ..options }).unwrap();
    assert_ne!(other, forest);
}

#[test]
fn tumours_are_told_apart_on_rows_that_were_held_back() {
    let all = breast_cancer();
    let (held, kept): (Vec<usize>, Vec<usize>) = (0..all.rows()).partition(|row| row % 5 == 0);
    let forest = Forest::fit(&all.select(&kept), "diagnosis", &ForestOptions::default()).unwrap();
    assert!(right(&forest, &all.select(&held)) > 0.9);
    assert!(forest.splits() <= 5 * 7);
}

#[test]
fn ties_go_to_the_first_class() {
    let forest = read(&small()).unwrap();
    // One vote for b and one for c; then two for b.
    assert_eq!(forest.predict(&[100]).unwrap(), 1);
    assert_eq!(forest.predict(&[101]).unwrap(), 1);
    let mut tied = small();
    tied["trees"][1]["nodes"][0]["leaf"]["class"] = json!(2);
    let forest = read(&tied).unwrap();
    assert_eq!(forest.predict(&[100]).unwrap(), 2);
    assert_eq!(forest.predict(&[101]).unwrap(), 1);
    let wide = forest.predict(&[1, 2]);
    assert!(matches!(wide, Err(ForestError::Width { got: 2, needed: 1 })));
}

#[test]
fn numbers_become_eight_bits() {
    let feature = |low, high| Feature { name: "x".into(), low, high };
    let got = [-9.0, -1.0, 0.0, 1.0, 9.0].map(|value| feature(-1.0, 1.0).quantise(value));
    assert_eq!(got, [0, 0, 128, 255, 255]);
    assert_eq!(feature(3.0, 3.0).quantise(3.0), 0);
    assert_eq!(feature(f64::MIN, f64::MAX).quantise(1.0), 0);
}

#[test]
fn hostile_forests_are_refused() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 15] = [
        (|it| it["version"] = json!(2), "version 2; version 1"),
        (|it| it["more"] = json!(1), "unknown field `more`"),
        (|it| it["trees"] = json!([]), "0 trees; 1 to 32"),
        (|it| it["trees"] = json!(vec![it["trees"][1].clone(); 33]), "33 trees; 1 to 32"),
        (|it| it["trees"][0]["nodes"] = json!([]), "0 nodes of a tree; 1 to 511"),
        (|it| it["trees"][0]["nodes"][0]["split"]["feature"] = json!(1), "feature 1; less than 1"),
        (|it| it["trees"][0]["nodes"][0]["split"]["above"] = json!(256), "u8"),
        (|it| it["trees"][0]["nodes"][0]["split"]["yes"] = json!(3), "child 3; less than 3"),
        (|it| it["trees"][0]["nodes"][0]["split"]["yes"] = json!(0), "node 0: it comes before"),
        (|it| it["trees"][0]["nodes"][0]["split"]["yes"] = json!(1), "node 1: it comes before"),
        (|it| it["trees"][0]["nodes"][2]["leaf"]["class"] = json!(3), "class 3; less than 3"),
        (
            |it| it["trees"][1]["nodes"] = json!(vec![it["trees"][1]["nodes"][0].clone(); 2]),
            "node 1: it",
        ),
        (|it| it["form"]["classes"] = json!(["a"]), "1 classes; 2 to 64"),
        (|it| it["form"]["classes"][0] = json!("\u{1b}[2J"), "class 0: its name"),
        (|it| it["form"]["features"][0]["low"] = json!(256.0), "from 256 to 255"),
    ];
    for (change, wanted) in changes {
        let mut broken = small();
        change(&mut broken);
        let said = read(&broken).unwrap_err().to_string();
        assert!(said.contains(wanted), "{said}: {wanted}");
    }
    let large = Forest::read(&vec![b' '; MAX_BYTES + 1]);
    assert!(matches!(large, Err(ForestError::Bytes { what: "a forest", .. })));
    // A chain of nine questions, each with a leaf on one side.
    let leaf = json!({ "leaf": { "class": 0 } });
    let split = |at| json!({ "split": { "feature": 0, "above": 1, "no": at + 1, "yes": at + 2 } });
    let chain = (0..9).flat_map(|link| [split(2 * link), leaf.clone()]);
    let chain: Vec<Value> = chain.chain([leaf.clone()]).collect();
    let mut deep = small();
    deep["trees"][0]["nodes"] = json!(chain);
    let said = read(&deep).unwrap_err().to_string();
    assert!(said.contains("node 16: depth 8; less than 8"), "{said}");
}

#[test]
fn tables_that_do_not_fit_are_named() {
    let all = table(50);
    let options = ForestOptions::default();
    let fit = |label: &str, options| Forest::fit(&all, label, &options).unwrap_err().to_string();
    assert_eq!(fit("z", options), "points: there is no column `z`");
    assert_eq!(
        fit("count", ForestOptions { trees: 33, ..options }),
        "33 trees; 1 to 32 are possible"
    );
    assert!(fit("count", ForestOptions { depth: 9, ..options }).contains("9 questions"));
    let names = ["x", "text", "count"];
    let cells = [[Cell::Number(1.0), Cell::Text("a"), Cell::Null]; 2];
    let column = |at: usize| Column::from_cells(names[at], cells.map(|row| row[at]));
    let odd = Table::new("odd", (0..3).map(column).collect()).unwrap();
    let said = |label| Forest::fit(&odd, label, &options).unwrap_err().to_string();
    assert_eq!(said("count"), "odd, row 1: `` in column count; a class is needed");
    assert_eq!(said("text"), "odd, row 1: `` in column count; a number is needed");
    let forest = Forest::fit(&all, "count", &options).unwrap();
    let missing = forest.form().rows(&odd).unwrap_err();
    assert!(matches!(missing, ForestError::Column { column, .. } if column == "y"));
    assert_eq!(forest.form().truth(&odd), [None, None]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_read_answers_every_row(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), row in any::<[u8; 2]>(), seed in any::<u64>(),
    ) {
        let options = ForestOptions { trees: 2, depth: 3, seed };
        let forest = Forest::fit(&table(60), "count", &options).unwrap();
        prop_assert!(forest.predict(&row).unwrap() < 3);
        let mut bytes = forest.write().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(forest) = Forest::read(&bytes)
            && forest.form().features.len() == 2
        {
            prop_assert!(forest.predict(&row).unwrap() < forest.form().classes.len());
        }
    }
}
