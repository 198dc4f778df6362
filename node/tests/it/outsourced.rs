//! Training on encrypted rows.

use std::fs;

use crate::nexus::{Scratch, accuracy, root};

#[test]
fn an_owner_is_trained_for() {
    let scratch = Scratch::new();
    let job = root().join("examples/outsourced/job.toml");
    let summary = scratch.summary(&[job.to_str().unwrap()]);
    let central = summary.metrics.central_accuracy.unwrap();
    // Two rows of the 117.
    assert!(accuracy(&summary) >= central - 0.018, "{} of {central}", accuracy(&summary));
    let encrypted = summary.encrypted_training.unwrap();
    assert_eq!((encrypted.degree, encrypted.steps, encrypted.exchanges), (8192, 1, 30));
    assert!(encrypted.key_bytes < 20_000_000 && encrypted.row_bytes < 1_000_000);
    assert!(encrypted.note.contains("this process"), "{}", encrypted.note);
    let report = text_of(&scratch, "runs/outsourced-1/report.html");
    assert!(report.contains("on encrypted rows: 30 exchanges of 1 step each"));
    // What came out is a model as any other.
    let inferred =
        scratch.succeed(&["infer", "outsourced-1", "test", "--encrypted", "--rows", "3"]);
    assert_eq!(inferred.lines().count(), 3, "{inferred}");
}

#[test]
fn what_it_cannot_do_is_refused_where_it_stands() {
    let scratch = Scratch::new();
    let job = fs::read_to_string(root().join("examples/outsourced/job.toml")).unwrap();
    let changes = [
        ("kind = \"logistic\"", "kind = \"mlp\"", "`logistic` model"),
        ("momentum = 0.9", "momentum = 0.9\nlocal_steps = 6", "steps = 6; it must be from 1 to 5"),
        ("momentum = 0.9", "local_epochs = 2", "set `local_steps`"),
        ("momentum = 0.9", "sigmoid_range = 100", "sigmoid_range = 100"),
        ("momentum = 0.9", "schedule = { cosine = { rounds = 30 } }", "one learning rate"),
        ("momentum = 0.9", "strategy = \"fedprox\"", "changes each gradient"),
        ("momentum = 0.9", "optimiser = \"adam\"", "Nesterov's momentum"),
        ("mode = \"encrypted\"", "sigmoid_range = 8", "is for `mode = \"encrypted\"`"),
        (
            "[aggregation]",
            "[privacy]\nunit = \"record\"\nepsilon = 3.0\n[aggregation]",
            "nobody sees",
        ),
    ];
    for (from, to, reason) in changes {
        scratch.write("job.toml", job.replace(from, to));
        let said = scratch.fail(2, &["run", "job.toml"]);
        let flat = said.replace("\n  │ ", " ");
        assert!(flat.contains(reason), "{to}: {said}");
    }
    // A rate with which the weights leave the sigmoid's range.
    scratch.write("job.toml", job.replace("learning_rate = 0.05", "learning_rate = 5.0"));
    let said = scratch.nexus(&["run", "job.toml"]);
    let said = String::from_utf8_lossy(&said.stderr).replace("\n  │ ", " ");
    assert!(said.contains("the sigmoid is made for 8"), "{said}");
}

fn text_of(scratch: &Scratch, name: &str) -> String {
    String::from_utf8(scratch.read(name)).unwrap()
}
