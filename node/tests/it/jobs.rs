//! Jobs that users run.

use std::fmt::Write as _;
use std::fs;

use crate::nexus::{Scratch, accuracy, root, text};

#[test]
fn the_default_job_without_noise_learns_digits() {
    let scratch = Scratch::new();
    let summary = scratch.summary(&["--no-privacy"]);
    assert!(accuracy(&summary) >= 0.955, "{}", accuracy(&summary));
    let central = summary.metrics.central_accuracy.unwrap();
    let alone = summary.metrics.local_only_accuracy.unwrap();
    assert!(central >= 0.95, "{central}");
    assert!(alone < accuracy(&summary) - 0.02, "{alone}");
    assert_eq!(summary.rounds.len(), 5);
    assert_eq!(summary.metrics.per_owner.len(), 10);
    assert!(summary.simulated.network);
    assert_eq!(summary.privacy, None);
    for file in ["summary.json", "rounds.jsonl", "model.safetensors", "model.toml", "report.html"] {
        assert!(!scratch.read(&format!("runs/digits-1/{file}")).is_empty());
    }
}

#[test]
fn the_summary_says_what_the_coordinator_sees_and_what_is_simulated() {
    let scratch = Scratch::new();
    let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = words(scratch.succeed(&["run", "--no-baselines"]));
    assert!(said.contains("Nobody sees a single owner's update"), "{said}");
    assert!(said.contains("The committee is this machine"), "{said}");
    assert!(said.contains("this process"), "{said}");
    let clear = "[data]\nbuiltin = \"digits\"\n[aggregation]\nsuite = \"clear\"\n";
    scratch.write("clear.toml", clear);
    let said = words(scratch.succeed(&["run", "clear.toml", "--no-baselines"]));
    assert!(said.contains("sees each owner's update"), "{said}");
}

#[test]
fn masked_sums_make_the_model_that_the_coordinator_would_make_in_the_clear() {
    let scratch = Scratch::new();
    let mut accuracies = Vec::new();
    for suite in ["nx", "secagg-plus", "clear"] {
        let job = format!("[data]\nbuiltin = \"digits\"\n[aggregation]\nsuite = \"{suite}\"\n");
        scratch.write(&format!("{suite}.toml"), &job);
        let summary = scratch.summary(&[&format!("{suite}.toml"), "--no-baselines"]);
        accuracies.push(accuracy(&summary));
    }
    let clear = accuracies[2];
    assert!(accuracies.iter().all(|got| (got - clear).abs() <= 0.003), "{accuracies:?}");
}

#[test]
fn a_run_with_a_committee_can_be_verified_from_its_folder_and_a_changed_one_is_rejected() {
    let scratch = Scratch::new();
    scratch.succeed(&["run", "--no-baselines", "--no-privacy"]);
    let said = scratch.succeed(&["job", "verify", "digits-1"]);
    assert_eq!(said.matches("fingerprints add up").count(), 6, "{said}");
    assert!(said.contains("the one that these sums make"), "{said}");
    let sum = "runs/digits-1/sums/sum-0000002.bin";
    let whole = scratch.read(sum);
    for at in [200, whole.len() / 2, whole.len() - 40] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        scratch.write(sum, &damaged);
        scratch.fail(3, &["job", "verify", "digits-1"]);
    }
    scratch.write(sum, &whole);
    let model = "runs/digits-1/model.safetensors";
    let mut other = scratch.read(model);
    let last = other.len() - 1;
    other[last] ^= 1;
    scratch.write(model, &other);
    let refused = scratch.fail(3, &["job", "verify", "digits-1"]);
    assert!(refused.contains("is not the one that its recorded sums make"), "{refused}");
}

#[test]
fn sums_in_leaves_make_the_same_model_and_are_verified() {
    let scratch = Scratch::new();
    let mut models = Vec::new();
    for leaves in [1, 2] {
        let job = format!("[data]\nbuiltin = \"digits\"\n[aggregation]\nleaves = {leaves}\n");
        scratch.write("job.toml", &job);
        let summary = scratch.summary(&["job.toml", "--no-baselines"]);
        let run = &summary.run_id;
        let said = scratch.succeed(&["job", "verify", run]);
        assert_eq!(said.matches("opened for 10 owners; the listed fingerprints").count(), 6);
        models.push(scratch.read(&format!("runs/{run}/model.safetensors")));
    }
    assert_eq!(models[0], models[1], "sums are exact, whatever their parts");
}

#[test]
fn equal_seeds_give_equal_bytes_on_any_number_of_threads() {
    let scratch = Scratch::new();
    scratch.succeed(&["run", "--seed", "7", "--no-baselines", "--no-privacy", "-j", "1"]);
    scratch.succeed(&["run", "--seed", "7", "--no-baselines", "--no-privacy", "-j", "2"]);
    scratch.succeed(&["run", "--seed", "8", "--no-baselines", "--no-privacy"]);
    let model = |run: u32| scratch.read(&format!("runs/digits-{run}/model.safetensors"));
    let rounds = |run: u32| text(&scratch.read(&format!("runs/digits-{run}/rounds.jsonl")));
    assert_eq!(model(1), model(2));
    assert_eq!(rounds(1), rounds(2));
    assert_ne!(model(1), model(3));
}

#[test]
fn the_hospitals_example_is_what_new_writes_and_learns() {
    let scratch = Scratch::new();
    scratch.succeed(&["new", "hospitals", "--template", "tabular"]);
    let example = root().join("examples/hospitals");
    for file in ["north.csv", "south.csv", "coast.csv", "job.toml"] {
        let committed = fs::read(example.join(file)).unwrap();
        assert_eq!(committed, scratch.read(&format!("hospitals/{file}")), "{file}");
    }
    let summary = scratch.summary(&["hospitals/job.toml"]);
    assert!(accuracy(&summary) >= 0.95, "{}", accuracy(&summary));
    let rows: Vec<u64> = summary.data.owners.iter().map(|owner| owner.rows).collect();
    assert!(rows[0] > rows[1] && rows[1] > rows[2], "{rows:?}");
}

#[cfg(feature = "parquet")]
#[test]
fn a_parquet_file_gives_the_same_model_as_csv() {
    let scratch = Scratch::new();
    scratch.succeed(&["new", "hospitals", "--template", "tabular"]);
    fs::rename(scratch.path().join("hospitals"), scratch.path().join("csv")).unwrap();
    scratch.succeed(&["new", "hospitals", "--template", "tabular", "--parquet"]);
    let csv = scratch.summary(&["csv/job.toml", "--no-baselines"]);
    let parquet = scratch.summary(&["hospitals/job.toml", "--no-baselines"]);
    assert!(accuracy(&parquet) >= 0.95, "{}", accuracy(&parquet));
    assert_eq!(accuracy(&parquet).to_bits(), accuracy(&csv).to_bits());
    let model = |run: u32| scratch.read(&format!("runs/hospitals-{run}/model.safetensors"));
    assert_eq!(model(1), model(2));
}

const UNEQUAL: &str = "
[job]
name = 'unequal'
[data]
builtin = 'digits'
owners = 10
split = { dirichlet = 0.1 }
[model]
kind = 'mlp'
hidden = [64]
[training]
rounds = 10
local_epochs = 5
learning_rate = 0.1
";

/// Equal rounds, equal local work; printed with `--nocapture`.
#[test]
fn unequal_owners_are_served_better_by_another_strategy_than_averaging() {
    let scratch = Scratch::new();
    let strategies = [
        "'fedavg'",
        "{ fedprox = { mu = 0.1 } }",
        "{ scaffold = { learning_rate = 1.0 } }",
        "{ fedadam = { learning_rate = 0.03 } }",
    ];
    let mut table = Vec::new();
    for strategy in strategies {
        let accuracies = [1u32, 2, 3].map(|seed| {
            scratch.write("job.toml", format!("{UNEQUAL}strategy = {strategy}\n"));
            let seed = seed.to_string();
            accuracy(&scratch.summary(&["job.toml", "--no-baselines", "--seed", &seed]))
        });
        table.push((strategy, accuracies.iter().sum::<f64>() / 3.0));
    }
    for (strategy, accuracy) in &table {
        println!("{strategy:44} {accuracy:.3}");
    }
    let best = table[1..].iter().map(|row| row.1).fold(0.0, f64::max);
    assert!(best >= table[0].1 + 0.02, "{table:?}");
}

#[test]
fn every_kind_of_model_trains() {
    let scratch = Scratch::new();
    scratch.succeed(&["new", "h", "--template", "tabular"]);
    let tabular = |model: &str, label: &str, extra: &str| {
        format!(
            "[data]\nfiles = ['h/north.csv', 'h/south.csv']\nlabel = '{label}'\n{extra}\n\
             [model]\nkind = '{model}'\n[training]\nrounds = 3\n"
        )
    };
    for (model, least) in [("logistic", 0.93), ("softmax", 0.93), ("mlp", 0.93)] {
        scratch.write("job.toml", tabular(model, "diagnosis", ""));
        let summary = scratch.summary(&["job.toml"]);
        assert!(accuracy(&summary) >= least, "{model} {}", accuracy(&summary));
    }
    scratch.write("job.toml", tabular("linear", "mean_radius", "drop = ['diagnosis']"));
    let job =
        text(&scratch.read("job.toml")).replace("rounds = 3", "rounds = 10\nlearning_rate = 0.01");
    scratch.write("job.toml", job);
    let summary = scratch.summary(&["job.toml"]);
    assert!(summary.metrics.r2.unwrap() > 0.9, "{:?}", summary.metrics.r2);
    assert_eq!(summary.metrics.test_accuracy, None);
    let cnn = "[data]\nbuiltin = 'digits'\nowners = 4\n[model]\nkind = 'cnn'\n\
               [training]\nrounds = 4\nmomentum = 0.9\n";
    scratch.write("job.toml", cnn);
    let summary = scratch.summary(&["job.toml", "--no-baselines"]);
    assert!(accuracy(&summary) >= 0.97, "{}", accuracy(&summary));
}

#[test]
fn one_file_is_spread_by_a_column() {
    let scratch = Scratch::new();
    let mut csv = String::from("site,x,y,ill\n");
    for (i, site) in (0..300).zip(["a", "b", "c"].into_iter().cycle()) {
        let x = f64::from(i % 17) - 8.0;
        let y = f64::from(i * 7 % 13);
        let ill = if x > 0.0 { "yes" } else { "no" };
        writeln!(csv, "{site},{x},{y},{ill}").unwrap();
    }
    scratch.write("all.csv", csv);
    let job = "[data]\nfiles = ['all.csv']\nlabel = 'ill'\nsplit = { by_column = 'site' }\n\
               [model]\nkind = 'logistic'\n";
    scratch.write("job.toml", job);
    let summary = scratch.summary(&["job.toml", "--no-baselines"]);
    let names: Vec<&str> = summary.data.owners.iter().map(|owner| owner.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(summary.data.features, 2);
    assert!(accuracy(&summary) >= 0.9, "{}", accuracy(&summary));
}
