//! Owners that attack, and rules that withstand them.

use std::fmt::Write as _;
use std::fs;

use crate::nexus::{Scratch, accuracy, root};

const RULES: [(&str, &str); 5] = [
    ("FedAvg (mean)", "'mean'"),
    ("median", "'median'"),
    ("trimmed mean (3 of 10)", "{ trimmed_mean = { trim = 3 } }"),
    ("multi-Krum (3 of 10)", "{ multi_krum = { byzantine = 3, keep = 5 } }"),
    ("Bulyan (2 of 10)", "{ bulyan = { byzantine = 2 } }"),
];
const ATTACKS: [(&str, &str); 3] = [
    ("none", ""),
    ("sign flip x5", "attack = [{ owners = [0, 4, 7], kind = 'sign_flip', scale = 5.0 }]"),
    ("random x50", "attack = [{ owners = [0, 4, 7], kind = 'random', scale = 50.0 }]"),
];
const BEGIN: &str = "<!-- robust-table:begin -->\n";
const END: &str = "<!-- robust-table:end -->";

fn measure() -> Vec<[f64; 3]> {
    let scratch = Scratch::new();
    let run = |rule: &str, attack: &str| {
        let job = include_str!("../../src/job/exact.toml");
        scratch
            .write("job.toml", format!("{job}\n[aggregation]\nsuite = 'clear'\nrule = {rule}\n"));
        scratch.write("faults.toml", attack);
        accuracy(&scratch.summary(&["job.toml", "--no-baselines", "--faults", "faults.toml"]))
    };
    RULES.iter().map(|(_, rule)| ATTACKS.map(|(_, attack)| run(rule, attack))).collect()
}

fn table(rows: &[[f64; 3]]) -> String {
    let mut table = String::from("| rule |");
    for (attack, _) in ATTACKS {
        write!(table, " {attack} |").unwrap();
    }
    table += "\n|---|---|---|---|\n";
    for ((rule, _), row) in RULES.iter().zip(rows) {
        write!(table, "| {rule} |").unwrap();
        for accuracy in row {
            write!(table, " {accuracy:.2} |").unwrap();
        }
        table.push('\n');
    }
    table
}

/// `NEXUS_BLESS=1` writes the measured table into the README.
#[test]
fn robust_rules_withstand_three_attackers_in_ten_and_the_readme_says_how_well() {
    let rows = measure();
    let measured = table(&rows);
    println!("{measured}");
    assert!(rows[0][1] < 0.6 && rows[0][2] < 0.6, "averaging should collapse: {measured}");
    for row in &rows[1..] {
        assert!(row.iter().all(|accuracy| *accuracy >= 0.90), "{measured}");
    }
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("NEXUS_BLESS").is_some() {
        fs::write(&path, [before, BEGIN, &measured, END, after].concat()).unwrap();
        return;
    }
    // Other processors round differently, so figures may differ a little; names may not.
    let (written, measured) = (cells(written), cells(&measured));
    assert_eq!(written.len(), measured.len());
    for (written, measured) in written.iter().zip(&measured) {
        match (written.parse::<f64>(), measured.parse::<f64>()) {
            (Ok(written), Ok(measured)) if written > 0.7 => {
                assert!((written - measured).abs() < 0.03, "{written} {measured}");
            }
            (Ok(_), Ok(measured)) => assert!(measured < 0.7),
            _ => assert_eq!(written, measured),
        }
    }
}

fn cells(table: &str) -> Vec<String> {
    table
        .split(['|', '\n'])
        .map(|cell| cell.trim().to_owned())
        .filter(|cell| !cell.is_empty())
        .collect()
}

#[test]
fn garbage_is_dropped_and_named() {
    let scratch = Scratch::new();
    scratch.write("faults.toml", "attack = [{ owners = [2], kind = 'garbage' }]");
    let faulty = ["--no-baselines", "--no-privacy", "--faults", "faults.toml"];
    let summary = scratch.summary(&faulty);
    assert!(accuracy(&summary) >= 0.94);
    for round in &summary.rounds {
        assert_eq!(round.dropped.iter().map(|drop| drop.owner).collect::<Vec<_>>(), [2]);
    }
}

#[test]
fn a_rule_below_its_guarantee_is_used_with_a_warning_and_an_impossible_one_is_refused() {
    let scratch = Scratch::new();
    let job = |rule: &str| {
        format!("[data]\nbuiltin = 'digits'\n[aggregation]\nsuite = 'clear'\nrule = {rule}\n")
    };
    scratch.write("job.toml", job("{ bulyan = { byzantine = 2 } }"));
    let summary = scratch.summary(&["job.toml", "--no-baselines"]);
    assert!(
        summary.warnings.iter().any(|warning| warning.contains("11")),
        "{:?}",
        summary.warnings
    );
    scratch.write("job.toml", job("{ bulyan = { byzantine = 3 } }"));
    scratch.fail(2, &["run", "job.toml"]);
}
