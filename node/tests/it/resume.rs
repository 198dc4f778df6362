//! Killed, and gone on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nexus_types::Seed;

use crate::nexus::{Scratch, text};

const JOB: &str = "
[job]
name = 'long'
[data]
builtin = 'digits'
[training]
rounds = 30
local_epochs = 2
strategy = 'STRATEGY'
[aggregation]
suite = 'SUITE'
";

const FAULTS: &str = "
network = { jitter_ms = 300, loss = 0.02, duplicate = 0.05 }
owners = { drop = 0.1, crash = 0.05 }
coordinator = { crash = 0.1 }
";

/// Kills a run with SIGKILL once it has said `rounds` times that a round was closed.
pub(crate) fn kill_after(scratch: &Scratch, arguments: &[&str], rounds: u64) {
    let mut child = scratch
        .command(&[arguments, &["-v", "--no-progress"]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let wanted = usize::try_from(rounds).unwrap();
    let closed = lines.filter(|line| line.contains("round closed")).take(wanted).count();
    assert_eq!(closed, wanted, "the run ended before it could be killed");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn job(strategy: &str, suite: &str) -> String {
    JOB.replace("STRATEGY", strategy).replace("SUITE", suite)
}

fn kill_and_resume(strategy: &str, suite: &str) {
    let scratch = Scratch::new();
    scratch.write("job.toml", job(strategy, suite));
    scratch.write("faults.toml", FAULTS);
    let run = ["run", "job.toml", "--no-baselines", "--faults", "faults.toml", "--seed", "7"];
    scratch.succeed(&run);
    let file = |run: u32, name: &str| scratch.read(&format!("runs/long-{run}/{name}"));
    let mut rng = Seed::from_number(11).rng();
    for point in 2..7 {
        let killed_at = 1 + rng.below(20);
        kill_after(&scratch, &run, killed_at);
        let id = format!("long-{point}");
        if point % 2 == 0 {
            // A second time, while it goes on.
            kill_after(&scratch, &["run", "--resume", &id], 3);
        }
        scratch.succeed(&["run", "--resume", &id]);
        assert_eq!(file(point, "model.safetensors"), file(1, "model.safetensors"), "{killed_at}");
        assert_eq!(text(&file(point, "rounds.jsonl")), text(&file(1, "rounds.jsonl")));
    }
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    kill_and_resume("scaffold", "nx");
}

#[test]
fn a_killed_asynchronous_run_goes_on_to_the_same_bytes() {
    kill_and_resume("fedbuff", "clear");
}

#[test]
fn a_run_that_another_process_works_on_is_left_alone() {
    let scratch = Scratch::new();
    scratch.write("job.toml", job("fedavg", "nx"));
    kill_after(&scratch, &["run", "job.toml", "--no-baselines"], 2);
    let lock = fs::File::open(scratch.path().join("runs/long-1/lock")).unwrap();
    lock.lock().unwrap();
    let said = scratch.fail(1, &["run", "--resume", "long-1"]);
    assert!(said.contains("another process"), "{said}");
    lock.unlock().unwrap();
    scratch.succeed(&["run", "--resume", "long-1"]);
}

#[test]
fn a_damaged_summary_is_written_again() {
    let scratch = Scratch::new();
    scratch.succeed(&["run", "--no-baselines", "--no-privacy"]);
    scratch.write("runs/digits-1/summary.json", "{");
    let again = scratch.succeed(&["run", "--json", "--resume", "digits-1"]);
    let again: cipher_nexus::summary::Summary = serde_json::from_str(&again).unwrap();
    assert_eq!(again.resumed_from, Some(5));
}

#[test]
fn a_damaged_checkpoint_is_refused_and_the_one_before_it_used() {
    let scratch = Scratch::new();
    scratch.write("job.toml", job("fedavg", "nx"));
    let run = ["run", "job.toml", "--no-baselines"];
    scratch.succeed(&run);
    kill_after(&scratch, &run, 5);
    let folder = scratch.path().join("runs/long-2/checkpoints");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none())
        .collect();
    names.sort();
    // Three if it was killed before it removed the oldest.
    assert!(names.len() >= 2, "{names:?}");
    let newest = names.last().unwrap();
    let mut bytes = fs::read(newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(newest, bytes).unwrap();
    let output = scratch.nexus(&["run", "--resume", "long-2"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("checksum"), "{said}");
    let model = |run: u32| scratch.read(&format!("runs/long-{run}/model.safetensors"));
    assert_eq!(model(1), model(2));
}

#[test]
fn a_run_whose_data_changed_is_not_resumed() {
    let scratch = Scratch::new();
    scratch.succeed(&["new", "h", "--template", "tabular"]);
    let job = text(&scratch.read("h/job.toml")).replace("rounds = 15", "rounds = 200");
    scratch.write("h/job.toml", job);
    kill_after(&scratch, &["run", "h/job.toml"], 2);
    let mut rows = text(&scratch.read("h/coast.csv"));
    let last = rows.trim_end().rfind('\n').unwrap();
    rows.truncate(last + 1);
    scratch.write("h/coast.csv", rows);
    let said = scratch.fail(2, &["run", "--resume", "h-1"]);
    assert!(said.contains("not what they were"), "{said}");
}

#[test]
fn resuming_what_is_not_there_names_what_is() {
    let scratch = Scratch::new();
    scratch.succeed(&["run", "--no-baselines", "--no-privacy"]);
    let said = scratch.fail(2, &["run", "--resume", "digits-9"]);
    assert!(said.contains("digits-1"), "{said}");
    scratch.fail(2, &["run", "--resume", "../digits-1"]);
    let first = scratch.read("runs/digits-1/summary.json");
    let again = scratch.succeed(&["run", "--json", "--resume", "digits-1"]);
    assert_eq!(again.into_bytes(), first);
}
