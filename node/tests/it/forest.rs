//! Forests: fitted to a table, and asked.

use nexus_models::data::builtin::breast_cancer;
use nexus_models::data::write_csv;
use serde_json::Value;

use crate::nexus::{Scratch, text};

/// A folder with tumours to fit to, others to ask for, and a forest.
fn fitted() -> Scratch {
    let scratch = Scratch::new();
    let all = breast_cancer();
    let (held, kept): (Vec<usize>, Vec<usize>) = (0..all.rows()).partition(|row| row % 5 == 0);
    for (name, rows) in [("kept.csv", &kept), ("held.csv", &held)] {
        let mut bytes = Vec::new();
        write_csv(&all.select(rows), &mut bytes).unwrap();
        scratch.write(name, bytes);
    }
    scratch.succeed(&["forest", "fit", "kept.csv", "--label", "diagnosis", "--out", "forest.json"]);
    scratch
}

fn json(output: &str) -> Value {
    serde_json::from_str(output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

#[test]
fn a_forest_is_fitted_and_asked() {
    let scratch = fitted();
    let again =
        ["forest", "fit", "kept.csv", "--label", "diagnosis", "--json", "--out", "again.json"];
    let facts = json(&scratch.succeed(&again));
    assert_eq!(scratch.read("again.json"), scratch.read("forest.json"));
    assert_eq!(
        (&facts["rows"], &facts["features"], &facts["trees"]),
        (&455.into(), &30.into(), &5.into())
    );
    assert!(facts["accuracy"].as_f64().unwrap() > 0.95, "{facts}");

    let asked = json(&scratch.succeed(&["forest", "infer", "forest.json", "held.csv", "--json"]));
    assert_eq!((&asked["rows"], &asked["encrypted"]), (&114.into(), &false.into()));
    assert!(asked["accuracy"].as_f64().unwrap() > 0.9, "{asked}");
    assert_eq!(asked["predictions"].as_array().unwrap().len(), 114);
    let two = scratch.nexus(&["forest", "infer", "forest.json", "held.csv", "--rows", "2"]);
    assert_eq!(text(&two.stdout).lines().count(), 2);
    assert!(text(&two.stderr).contains("accuracy"), "{}", text(&two.stderr));
}

#[test]
fn what_is_no_forest_or_has_other_columns_is_refused() {
    let scratch = fitted();
    scratch.write("narrow.csv", "a,b\n1,2\n");
    let said = scratch.fail(2, &["forest", "infer", "forest.json", "narrow.csv"]);
    assert!(said.contains("there is no column"), "{said}");
    scratch.fail(2, &["forest", "infer", "held.csv", "held.csv"]);
    scratch.fail(2, &["forest", "infer", "gone.json", "held.csv"]);
    let fit = ["forest", "fit", "narrow.csv", "--out", "x.json", "--label"];
    assert!(scratch.fail(2, &[&fit[..], &["c"]].concat()).contains("no column `c`"));
    assert!(scratch.fail(2, &[&fit[..], &["b"]].concat()).contains("1 classes"));
    let deep = scratch.fail(2, &[&fit[..], &["b", "--depth", "40"]].concat());
    assert!(deep.contains("1 to 8"), "{deep}");
}

#[cfg(not(feature = "tfhe"))]
#[test]
fn builds_without_the_feature_say_how_to_make_one() {
    let scratch = fitted();
    let said = scratch.fail(2, &["forest", "infer", "forest.json", "held.csv", "--encrypted"]);
    assert!(said.contains("cargo build --release --features tfhe"), "{said}");
}

#[cfg(feature = "tfhe")]
#[test]
fn encrypted_rows_have_the_classes_that_they_have_in_the_clear() {
    let scratch = fitted();
    let infer = ["forest", "infer", "forest.json", "held.csv", "--encrypted", "--rows", "2"];
    let output = scratch.nexus(&infer);
    let said = text(&output.stderr);
    for wanted in ["2 of 2 rows", "simulated", "patent licence"] {
        assert!(said.contains(wanted), "{said}");
    }
    let asked = json(&scratch.succeed(&[&infer[..], &["--json"]].concat()));
    assert_eq!(asked["same_as_in_the_clear"], serde_json::json!([true, true]));
    assert_eq!(asked["one_process"], true);
}
