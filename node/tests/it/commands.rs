//! The other commands, and the contract of output.

use serde_json::Value;

use crate::nexus::{Scratch, text};

fn json(output: &str) -> Value {
    serde_json::from_str(output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

#[test]
fn the_result_goes_to_standard_output_and_everything_else_to_standard_error() {
    let scratch = Scratch::new();
    let run = ["run", "--json", "--no-baselines", "--no-privacy"];
    let output = scratch.nexus(&run);
    assert_eq!(json(&text(&output.stdout))["schema"], 1);
    assert!(text(&output.stderr).contains("run digits-1"));
    let quiet = scratch.nexus(&[&run[..], &["-qq"]].concat());
    assert!(quiet.stderr.is_empty(), "{}", text(&quiet.stderr));
    let (loud, quiet) = (json(&text(&output.stdout)), json(&text(&quiet.stdout)));
    assert_eq!(loud["rounds"], quiet["rounds"]);
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let scratch = Scratch::new();
    let run = ["run", "--no-baselines", "--no-privacy"];
    let plain = scratch.succeed(&run);
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let coloured = scratch.succeed(&[&run[..], &["--color", "always"]].concat());
    assert!(coloured.contains('\u{1b}'), "{coloured}");
    let refused = scratch.command(&["run", "x.toml"]).env("NO_COLOR", "1").output().unwrap();
    assert!(!text(&refused.stderr).contains('\u{1b}'));
}

#[test]
fn usage_errors_have_exit_code_two() {
    let scratch = Scratch::new();
    for arguments in [&["rnu"][..], &["run", "--rounds", "3"], &["run", "-j", "0"], &[]] {
        assert_eq!(scratch.nexus(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn every_artefact_can_be_inspected() {
    let scratch = Scratch::new();
    scratch.succeed(&["run", "--no-baselines", "--no-privacy"]);
    scratch.succeed(&["new", "h", "--template", "tabular"]);
    let files = [
        ("runs/digits-1/summary.json", "summary"),
        ("runs/digits-1/run.json", "request"),
        ("runs/digits-1/model.safetensors", "weights"),
        ("runs/digits-1/model.toml", "model"),
        ("runs/digits-1/checkpoints/round-0000005", "checkpoint"),
        ("h/job.toml", "job"),
        ("h/north.csv", "table"),
    ];
    for (file, kind) in files {
        let found = json(&scratch.succeed(&["inspect", "--json", file]));
        assert_eq!(found["kind"], kind, "{file}");
    }
    scratch.write("noise", [0xff; 100]);
    scratch.fail(2, &["inspect", "noise"]);
}

#[test]
fn a_model_is_shown_by_run_and_by_file() {
    let scratch = Scratch::new();
    let summary = scratch.summary(&["--no-baselines"]);
    let by_run = scratch.succeed(&["model", "show", "digits-1", "--json"]);
    let by_file = scratch.succeed(&["model", "show", "runs/digits-1/model.toml", "--json"]);
    assert_eq!(by_run, by_file);
    let shown = json(&by_run);
    assert_eq!(shown["parameters"], 64 * 64 + 64 + 64 * 10 + 10);
    assert_eq!(shown["hash"], summary.model_hash);
}

#[test]
fn settings_say_where_they_come_from() {
    let scratch = Scratch::new();
    let shown = scratch.succeed(&["config", "show"]);
    assert!(shown.contains("runs\truns\tdefault"), "{shown}");
    scratch.write("nexus.toml", "runs = 'elsewhere'\n");
    let shown = scratch.succeed(&["config", "show"]);
    assert!(shown.contains("elsewhere\tnexus.toml"), "{shown}");
    let shown = scratch.command(&["config", "show"]).env("NEXUS_RUNS", "third").output().unwrap();
    assert!(text(&shown.stdout).contains("third\tcommand line or environment"));
    scratch.write("nexus.toml", "run = 'elsewhere'\n");
    let said = scratch.fail(2, &["config", "show"]);
    assert!(said.contains("nexus.toml") && said.contains("line 1, column 1"), "{said}");
}

#[test]
fn schemas_completions_and_the_manual_are_printed() {
    let scratch = Scratch::new();
    for document in ["job", "faults", "settings", "summary"] {
        let schema = json(&scratch.succeed(&["config", "schema", document]));
        assert!(schema["properties"].is_object(), "{document}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(scratch.succeed(&["completions", shell]).contains("nexus"));
    }
    assert!(scratch.succeed(&["man"]).contains(".TH nexus 1"));
}

#[test]
fn the_doctor_finds_this_machine_fit() {
    let scratch = Scratch::new();
    let checks = json(&scratch.succeed(&["doctor", "--json"]));
    assert!(checks.as_array().unwrap().iter().all(|check| check["verdict"] != "failed"));
}

#[test]
fn new_refuses_to_overwrite_and_its_jobs_run() {
    let scratch = Scratch::new();
    scratch.succeed(&["new", "first"]);
    let said = scratch.fail(2, &["new", "first"]);
    assert!(said.contains("there already"), "{said}");
    scratch.succeed(&["run", "first/job.toml", "--no-baselines"]);
}

#[test]
fn two_tables_are_matched_without_showing_them() {
    let scratch = Scratch::new();
    scratch.write("own.csv", "id,age\nada,36\nbob,4\neve,5\n");
    scratch.write("other.csv", "name,cost\neve,40\nmallory,1\nada,2\n");
    let tables = ["data", "overlap", "own.csv", "other.csv", "--on", "id", "--other-on", "name"];
    let found = json(&scratch.succeed(&[&tables[..], &["--json", "--out", "both.csv"]].concat()));
    assert_eq!((&found["matching"], &found["sum"]), (&2.into(), &Value::Null));
    assert_eq!(found["simulated"][0], "network");
    assert_eq!(text(&scratch.read("both.csv")), "id,age\nada,36\neve,5\n");
    let sum = json(&scratch.succeed(&[&tables[..], &["--json", "--sum", "cost"]].concat()));
    assert_eq!((&sum["matching"], &sum["sum"]), (&2.into(), &42.into()));
    let count = scratch.succeed(&[&tables[..], &["--count"]].concat());
    assert!(count.contains("matching\t2\n"), "{count}");
    let wrong = scratch.fail(2, &["data", "overlap", "own.csv", "other.csv", "--on", "id"]);
    assert!(wrong.contains("other.csv has no column `id`"), "{wrong}");
    scratch.fail(2, &[&tables[..], &["--count", "--sum", "cost"]].concat());
}

#[test]
fn tables_are_described_for_what_their_budgets_have_left() {
    let scratch = Scratch::new();
    let row = |row| format!("{},{}\n", row % 80, if row % 2 == 0 { "f" } else { "m" });
    let rows: String = (0..3000).map(row).collect();
    let (mut tables, mut budgets) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c"] {
        let (table, budget) = (format!("{name}.csv"), format!("{name}.budget"));
        scratch.write(&table, format!("age,sex\n{rows}"));
        let set = ["budget", "set", &budget, "--data-set", name];
        scratch.succeed(&[&set[..], &["--epsilon", "1.2", "--delta", "1e-6"]].concat());
        tables.push(table);
        budgets.extend(["--budget".to_owned(), budget]);
    }
    let asked = ["--epsilon", "1", "--number", "age=0..100", "--count", "sex=f,m", "--quartiles"];
    let files: Vec<&str> = tables.iter().chain(&budgets).map(String::as_str).collect();
    let all = [&["data", "describe"], &files[..], &asked].concat();
    let found = json(&scratch.succeed(&[&all[..], &["--json"]].concat()));
    assert_eq!((&found["joint"], &found["simulated"][0]), (&true.into(), &"network".into()));
    let noise = found["noise"].as_f64().unwrap();
    let near = |got: &Value, expected: f64, error: f64| {
        assert!((got.as_f64().unwrap() - expected).abs() < error, "{got} {expected}");
    };
    near(&found["columns"][0]["count"], 9000.0, 6.0 * noise);
    near(&found["columns"][0]["mean"], 39.5, 600.0 * noise / 9000.0);
    near(&found["columns"][1]["counts"]["f"], 4500.0, 6.0 * noise);
    let shown = json(&scratch.succeed(&["budget", "show", "--json", "b.budget"]));
    near(&shown["spent"], 1.0, 0.01);
    let refused = scratch.fail(4, &all);
    assert!(refused.contains("too much"), "{refused}");
    let alone = ["data", "describe", "a.csv", "--budget", "a.budget", "--epsilon", "0.3"];
    let told = scratch.succeed(&[&alone[..], &["--count", "sex=f"]].concat());
    assert!(told.contains("sex\tf\t") && told.contains("by each owner by itself"), "{told}");
    let unknown = scratch.fail(2, &[&alone[..], &["--count", "x=f"]].concat());
    assert!(unknown.contains("no column `x`; it has: age, sex"), "{unknown}");
    assert!(scratch.fail(2, &alone).contains("nothing is asked"));
}

#[test]
fn any_three_of_five_open_a_total_and_two_do_not() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "x,y\n1.25,-7\n0,100\n");
    scratch.write("b.csv", "x,y\n2.5,3\n-0.01,100\n");
    scratch.write("c.csv", "x,y\n-10,3.333\n5,100\n");
    let add = ["data", "total", "a.csv", "b.csv", "c.csv", "--bound", "100", "--out", "t.csv"];
    for by in ["0,1,2", "4,1,3"] {
        let also = ["--decimals", "2", "--json", "--by", by];
        let told = json(&scratch.succeed(&[&add[..], &also].concat()));
        assert_eq!((&told["tables"], &told["threshold"]), (&3.into(), &3.into()));
        assert_eq!(text(&scratch.read("t.csv")), "x,y\n-6.25,-0.67\n4.99,300\n");
    }
    let few = scratch.fail(1, &[&add[..], &["--by", "0,4"]].concat());
    assert!(few.contains("2 shares; it takes 3"), "{few}");
    let twice = scratch.fail(2, &[&add[..], &["--by", "0,4,4"]].concat());
    assert!(twice.contains("the same noise is never used again"), "{twice}");
    let stranger = scratch.fail(2, &[&add[..], &["--by", "0,1,5"]].concat());
    assert!(stranger.contains("member-5"), "{stranger}");
    let large = scratch.fail(2, &[&add[..6], &["9", "--out", "t.csv"]].concat());
    assert!(large.contains("a.csv:3") && large.contains("magnitudes up to 9"), "{large}");
    scratch.write("c.csv", "x,z\n1,2\n3,4\n");
    let shape = scratch.fail(2, &add);
    assert!(shape.contains("c.csv has other columns or rows"), "{shape}");
}

#[test]
fn a_file_opens_with_enough_shares_and_after_the_key_was_handed_over() {
    let scratch = Scratch::new();
    scratch.write("plain", "a secret");
    let made = json(&scratch.succeed(&["key", "committee", "old", "--json"]));
    assert_eq!((&made["members"], &made["threshold"]), (&4.into(), &3.into()));
    scratch.succeed(&["key", "seal", "plain", "--committee", "old", "--out", "sealed"]);
    scratch.succeed(&["key", "reshare", "old", "new", "--members", "7"]);
    let open = |committee| ["key", "open", "sealed", "--out", "o", "--committee", committee];
    for committee in ["old", "new"] {
        std::fs::remove_file(scratch.path().join(committee).join("member-001.share")).unwrap();
        scratch.succeed(&open(committee));
        assert_eq!(scratch.read("o"), b"a secret");
    }
    std::fs::remove_file(scratch.path().join("old/member-000.share")).unwrap();
    let few = scratch.fail(1, &open("old"));
    assert!(few.contains("2 partial decryptions, it takes 3"), "{few}");
    for (file, kind) in [("new/committee.key", "committee"), ("sealed", "sealed file")] {
        assert_eq!(json(&scratch.succeed(&["inspect", "--json", file]))["kind"], kind);
    }
    let mut sealed = scratch.read("sealed");
    *sealed.last_mut().unwrap() ^= 1;
    scratch.write("sealed", sealed);
    let changed = scratch.fail(3, &open("new"));
    assert!(changed.contains("changed after it was sealed"), "{changed}");
    scratch.fail(2, &["key", "committee", "old"]);
    scratch.fail(2, &["key", "committee", "tiny", "--members", "3"]);
    scratch.fail(2, &["key", "open", "plain", "--out", "o", "--committee", "new"]);
}

#[test]
fn the_cost_of_a_plan_is_computed_and_held_against_a_budget() {
    let scratch = Scratch::new();
    let plan = ["--q", "0.00426667", "--sigma", "1.1", "--steps", "2340", "--delta", "1e-5"];
    let cost = json(&scratch.succeed(&[&["budget", "what-if", "--json"], &plan[..]].concat()));
    assert!((cost["epsilon"].as_f64().unwrap() - 0.918).abs() < 1e-3, "{cost}");
    assert!((cost["rdp_epsilon"].as_f64().unwrap() - 1.098).abs() < 2e-3, "{cost}");
    assert_eq!(cost["accountant"], "pld");
    let target = ["budget", "what-if", "--json", "--steps", "150", "--delta", "1e-5"];
    let noise = json(&scratch.succeed(&[&target[..], &["--target-epsilon", "3"]].concat()));
    assert!((noise["sigma"].as_f64().unwrap() - 17.031).abs() < 2e-3, "{noise}");

    let terms = ["--data-set", "clinic", "--epsilon", "3", "--delta", "1e-5", "--cap", "trial=0.5"];
    scratch.succeed(&[&["budget", "set", "b"], &terms[..]].concat());
    let shown = json(&scratch.succeed(&["budget", "show", "b", "--json"]));
    assert_eq!((&shown["spent"], &shown["plans"]), (&0.0.into(), &0.into()));
    let within = ["--sigma", "17.2", "--budget", "b"];
    scratch.succeed(&[&target[..], &within].concat());
    let capped = [&target[..], &within, &["--purpose", "trial"]].concat();
    assert!(scratch.fail(4, &capped).contains("exceeds its cap"));
    let much = scratch.fail(4, &[&target[..], &["--sigma", "10", "--budget", "b"]].concat());
    assert!(much.contains("too much"), "{much}");
    assert!(scratch.succeed(&["budget", "history", "b"]).contains("spent\t0.0000"));
    let mut log = scratch.read("b");
    log[20] ^= 1;
    scratch.write("b", log);
    scratch.fail(3, &["budget", "show", "b"]);
    scratch.fail(2, &["budget", "what-if", "--sigma", "-1", "--steps", "1", "--delta", "1e-5"]);
}
