//! Runs that promise something about rows.

use cipher_nexus::summary::Summary;

use crate::nexus::{Scratch, accuracy};
use crate::resume::kill_after;

/// A quick private job on the digits, with more lines under `[privacy]`.
fn job(rounds: u32, more: &str) -> String {
    format!(
        "[job]\nname = 'quick'\n[data]\nbuiltin = 'digits'\n[model]\nkind = 'softmax'\n\
         [training]\nrounds = {rounds}\n[privacy]\n{more}\n"
    )
}

#[test]
fn the_default_job_learns_digits_and_keeps_its_promise() {
    let scratch = Scratch::new();
    let summary = scratch.summary(&["--no-baselines"]);
    // One run in some hundreds is unlucky enough to be below 0.9.
    assert!(accuracy(&summary) >= 0.89, "{}", accuracy(&summary));
    let privacy = summary.privacy.as_ref().unwrap();
    assert_eq!((privacy.epsilon, privacy.delta), (3.0, 1e-5));
    assert!(privacy.spent < 3.0 && privacy.spent > 2.0, "{}", privacy.spent);
    assert_eq!((privacy.n_min, privacy.colluders), (8, 1));
    let spent: Vec<f64> = summary.rounds.iter().filter_map(|round| round.epsilon).collect();
    assert!(spent.len() == summary.rounds.len() && spent.is_sorted(), "{spent:?}");
    assert!(summary.rounds.iter().all(|round| round.train_loss.is_none()));
    let said = scratch.succeed(&["job", "verify", "digits-1"]);
    assert_eq!(said.matches("fingerprints add up").count(), summary.rounds.len(), "{said}");
    let told = scratch.succeed(&["budget", "history", "runs/digits-1/budgets/owner-3.budget"]);
    assert!(told.contains("training"), "{told}");
}

#[test]
fn noise_is_not_drawn_from_the_seed() {
    let scratch = Scratch::new();
    scratch.write("job.toml", job(2, ""));
    let model = |number: u32| {
        scratch.summary(&["job.toml", "--no-baselines"]);
        scratch.read(&format!("runs/quick-{number}/model.safetensors"))
    };
    assert_ne!(model(1), model(2));
}

#[test]
fn a_budget_that_does_not_allow_a_plan_ends_the_job_before_any_noise() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path().join("budgets")).unwrap();
    for owner in 0..10 {
        let file = format!("budgets/owner-{owner}.budget");
        let budget = ["budget", "set", &file, "--data-set", "digits"];
        let limits = ["--epsilon", "4.5", "--delta", "1e-5"];
        scratch.succeed(&[&budget[..], &limits[..]].concat());
    }
    scratch.write("job.toml", job(3, "budgets = 'budgets'"));
    let summary: Summary = scratch.summary(&["job.toml", "--no-baselines"]);
    assert!(summary.privacy.unwrap().spent < 3.0);
    scratch.summary(&["job.toml", "--no-baselines"]);
    let said = scratch.fail(4, &["run", "job.toml", "--no-baselines"]);
    assert!(said.contains("too much"), "{said}");
    let shown = scratch.succeed(&["budget", "show", "--json", "budgets/owner-0.budget"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert!(shown["spent"].as_f64().unwrap() < 4.5, "{shown}");
}

#[test]
fn what_cannot_be_private_is_refused_with_the_reason() {
    let scratch = Scratch::new();
    let refused = |job: String, why: &str| {
        scratch.write("job.toml", job);
        let said = scratch.fail(2, &["run", "job.toml"]);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(why), "{why}: {said}");
    };
    refused(job(2, "epsilon = 0.0"), "epsilon is 0");
    refused(job(2, "rate = 0.0"), "rate is 0");
    refused(job(2, "rate = 1.5"), "rate is 1.5");
    refused(job(2, "rate = 0.5\nunit = 'owner'"), "`rate` draws rows");
    refused(job(2, "colluders = 8"), "number of colluding owners is 8");
    refused(job(2, "[aggregation]\nsuite = 'clear'"), "does not protect it");
    refused(job(2, "[aggregation]\nleaves = 2"), "leaves");
    let epochs = job(2, "").replace("rounds = 2", "rounds = 2\nlocal_epochs = 3");
    refused(epochs, "one sum of clipped gradients");
    let scaffold = job(2, "").replace("rounds = 2", "rounds = 2\nstrategy = 'scaffold'");
    refused(scaffold, "second release");
    scratch.write("a.csv", "age,sick\n30,yes\n40,no\n50,yes\n60,no\n");
    let table = "[data]\nfiles = ['a.csv']\nlabel = 'sick'\nowners = 2\n[model]\nkind = 'logistic'\n\
                 [privacy]\n";
    refused(table.to_owned(), "`age` has no bounds");
}

#[test]
fn owners_can_be_hidden_whole_and_can_trust_nobody() {
    let scratch = Scratch::new();
    scratch.write("owner.toml", job(2, "unit = 'owner'\nepsilon = 8.0"));
    let summary = scratch.summary(&["owner.toml", "--no-baselines"]);
    assert_eq!(summary.rounds.len(), 2);
    assert!(
        summary.warnings.iter().any(|it| it.contains("10 take part")),
        "{:?}",
        summary.warnings
    );
    scratch.write("hopeless.toml", job(5, "unit = 'owner'\nepsilon = 0.1"));
    let said = scratch.fail(2, &["run", "hopeless.toml"]);
    assert!(said.contains("hides a whole owner"), "{said}");
    scratch.write("local.toml", job(2, "local = true"));
    let summary = scratch.summary(&["local.toml", "--no-baselines"]);
    let privacy = summary.privacy.unwrap();
    assert!((privacy.own_epsilon / privacy.spent - 1.0).abs() < 1e-3, "{privacy:?}");
}

#[test]
fn rows_can_be_drawn_by_secret_coins() {
    let scratch = Scratch::new();
    scratch.write("job.toml", job(40, "rate = 0.25"));
    let summary = scratch.summary(&["job.toml", "--no-baselines"]);
    assert!(accuracy(&summary) >= 0.85, "{}", accuracy(&summary));
    let privacy = summary.privacy.as_ref().unwrap();
    assert_eq!((privacy.sampling, privacy.currency.as_str()), (0.25, "rdp"));
    assert!(privacy.spent < 3.0 && privacy.plan_epsilon < 3.0, "{privacy:?}");
    assert!(privacy.plan_epsilon > 2.5 && privacy.staff_epsilon > 6.0, "{privacy:?}");
    assert!(privacy.note.contains("a coin that only its owner saw"), "{}", privacy.note);
    let (noise, delta) = (privacy.noise.to_string(), (0.99 * privacy.delta).to_string());
    let plan = ["--q", "0.25", "--sigma", &noise, "--steps", "40", "--delta", &delta, "--json"];
    let said = scratch.succeed(&[&["budget", "what-if"], &plan[..]].concat());
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let figure = said["epsilon"].as_f64().unwrap();
    assert!((figure / privacy.plan_epsilon - 1.0).abs() < 1e-9, "{said} {privacy:?}");
    // How many rows were drawn shows in no message. (The first round has everyone's keys besides.)
    let sent: Vec<u64> = summary.rounds.iter().skip(1).map(|round| round.bytes_up).collect();
    assert!(sent.iter().all(|bytes| *bytes == sent[0]), "{sent:?}");
    let budget = "runs/quick-1/budgets/owner-3.budget";
    let shown = scratch.succeed(&["budget", "show", "--json", budget]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert!((shown["spent"].as_f64().unwrap() / privacy.spent - 1.0).abs() < 1e-6, "{shown}");
    let said = scratch.fail(2, &["audit", "job.toml"]);
    assert!(said.contains("sampled rounds"), "{said}");
}

/// Order, batches and owners that others know or choose amplify nothing.
#[test]
fn no_sampling_is_claimed_but_by_secret_coins() {
    let scratch = Scratch::new();
    let promised = |training: &str, more: &str| {
        let rounds = format!("rounds = 3\n{training}");
        scratch.write("job.toml", job(3, more).replace("rounds = 3", &rounds));
        scratch.summary(&["job.toml", "--no-baselines"]).privacy.unwrap()
    };
    let full = promised("", "");
    assert_eq!((full.sampling, full.currency.as_str()), (1.0, "gdp"));
    // Batches in a shuffled order; owners that the coordinator chooses for a round.
    for training in ["batch_size = 8", "fraction = 0.8"] {
        let other = promised(training, "");
        assert_eq!((other.sampling, other.noise), (1.0, full.noise), "{training}");
        assert_eq!(
            (other.plan_epsilon, other.staff_epsilon),
            (full.plan_epsilon, full.staff_epsilon)
        );
        assert!(!other.note.contains("coin"), "{}", other.note);
    }
    let drawn = promised("", "rate = 0.5");
    let both = promised("fraction = 0.8", "rate = 0.5");
    assert_eq!((both.sampling, both.noise), (0.5, drawn.noise));
    let whole = promised("batch_size = 8", "unit = 'owner'\nepsilon = 8.0");
    assert!(whole.sampling >= 1.0);
}

#[test]
fn measured_tables_are_scaled_by_public_bounds() {
    let scratch = Scratch::new();
    let job = "[data]\nbuiltin = 'breast_cancer'\n[model]\nkind = 'logistic'\n[training]\n\
               rounds = 30\n[privacy]\nclip = 1.0\nlearning_rate = 4.0\n";
    scratch.write("job.toml", job);
    let summary = scratch.summary(&["job.toml", "--no-baselines"]);
    assert!(accuracy(&summary) >= 0.88, "{}", accuracy(&summary));
}

#[test]
fn a_sweep_shows_what_privacy_costs() {
    let scratch = Scratch::new();
    scratch.write("job.toml", job(3, ""));
    let sweep = ["run", "job.toml", "--sweep", "privacy.epsilon=0.2,20"];
    let said = scratch.succeed(&[&sweep[..], &["--json"]].concat());
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    let point = |place: usize, key: &str| found["points"][place][key].as_f64().unwrap();
    assert_eq!(found["points"].as_array().unwrap().len(), 2);
    assert!(point(0, "test_accuracy") < point(1, "test_accuracy"), "{found}");
    assert!(point(0, "spent") <= 0.2 && point(1, "spent") <= 20.0, "{found}");
    let said = scratch.succeed(&sweep);
    assert!(said.contains("accuracy") && said.contains('█'), "{said}");
}

#[test]
fn a_killed_run_goes_on_with_what_it_has_paid_for() {
    let scratch = Scratch::new();
    scratch.write("job.toml", job(12, ""));
    kill_after(&scratch, &["run", "job.toml", "--no-baselines"], 3);
    let said = scratch.succeed(&["run", "--json", "--resume", "quick-1"]);
    let summary: Summary = serde_json::from_str(&said).unwrap();
    // It is told of a round before the round is kept.
    assert!(summary.resumed_from.is_some_and(|round| round >= 2), "{:?}", summary.resumed_from);
    assert_eq!(summary.rounds.len(), 12);
    assert!(summary.privacy.unwrap().spent < 3.0);
    // The plan was booked once, and settled.
    let budget = "runs/quick-1/budgets/owner-0.budget";
    let shown = scratch.succeed(&["budget", "history", "--json", budget]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown.to_string().matches("\"purpose\"").count(), 1, "{shown}");
}

#[test]
fn an_audit_holds_a_job_against_its_promise() {
    let scratch = Scratch::new();
    scratch.write("job.toml", job(5, ""));
    let few = ["--shadows", "4", "--targets", "2", "--canaries", "300", "--json"];
    let said = scratch.succeed(&[&["audit", "job.toml"], &few[..]].concat());
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(report["claim"]["epsilon"].as_f64().unwrap() > 2.9, "{}", report["claim"]);
    assert_eq!(report["leakage"]["closed"], 0.0);
    // The same job without noise, held to a limit that it cannot keep.
    let limited = job(5, "") + "[audit]\nauc = 0.1\n";
    scratch.write("limited.toml", limited);
    let plain = ["audit", "limited.toml", "--no-privacy", "--html", "audit.html"];
    let said = scratch.nexus(&[&plain[..], &few[..]].concat());
    assert_eq!(said.status.code(), Some(3));
    let page = String::from_utf8(scratch.read("audit.html")).unwrap();
    assert!(page.contains("<polyline") && page.contains("broken"));
}
