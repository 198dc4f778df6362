//! The one document of a run: `summary.json`, and what `nexus run --json` prints.
//!
//! Scripts rely on it, so its shape is a contract: [`json_schema`] is committed as
//! `node/schema/summary.schema.json` and [`SCHEMA`] rises when a key changes its meaning or goes.
//! Every key is always written; what a run does not have is `null`. A number that is not finite
//! has no place in JSON and is `null` too, see [`finite`].

mod absence;
mod encrypted;
mod figures;
mod privacy;
mod secure;
mod text;
mod verdict;

#[cfg(test)]
pub(crate) mod example;
#[cfg(test)]
mod validator;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};

use crate::job::Suite;

pub(crate) use absence::name_list;
pub use encrypted::EncryptedTraining;
pub(crate) use figures::{bytes, clean, clip, count, number, percent, plural, seconds};
pub use privacy::Privacy;
pub(crate) use secure::member_list;
pub use secure::{Assumed, Committee, CommitteeRound, MemberRounds, SecureSum};
pub use text::Meaning;
pub use verdict::Verdict;
pub(crate) use verdict::interval;

/// The version of the document's shape.
pub const SCHEMA: u32 = 1;
/// Characters of an owner's name in a list of names.
const NAME: usize = 60;
/// Characters of a reason that are shown to a person.
pub(crate) const REASON: usize = 200;

/// What a run was, how well it did, and what it cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// The version of this document's shape: 1.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// The run's name, that of its folder and the argument of `--resume`.
    pub run_id: String,
    /// The job's name.
    pub job: String,
    /// Hash of the job, in hexadecimal: equal when two runs were asked for the same thing.
    pub job_hash: String,
    /// The seed that all randomness of the run comes from.
    pub seed: u64,
    /// Hash of the model's specification, in hexadecimal.
    pub model_hash: String,
    /// What was trained.
    pub model: Model,
    /// What it was trained and tested on.
    pub data: Data,
    /// How good the final model is.
    pub metrics: Metrics,
    /// How owners' updates become the next model, such as `fedavg`.
    pub strategy: String,
    /// How updates are combined, such as `mean` or `median`.
    pub rule: String,
    /// The rounds in order.
    pub rounds: Vec<Round>,
    /// How updates reach the coordinator: the suite of the job.
    pub aggregation: Suite,
    /// The same in words: who sees what.
    pub aggregation_note: String,
    /// How updates were added up unseen; `null` where the coordinator sees each of them.
    pub secure_sum: Option<SecureSum>,
    /// What is promised about rows; `null`: no noise protects the model or the updates.
    pub privacy: Option<Privacy>,
    /// Training on rows that whoever computed did not see; `null` where owners trained by themselves.
    #[serde(default)]
    pub encrypted_training: Option<EncryptedTraining>,
    /// Which parties were played by this machine.
    pub simulated: Simulated,
    /// The file of faults that were injected on purpose, if any.
    pub faults: Option<String>,
    /// What a reader should know before trusting the figures.
    pub warnings: Vec<String>,
    /// The last round that was already done when this process took the run up again.
    pub resumed_from: Option<u32>,
    /// What the run cost in time; of this process only when the run was resumed.
    pub time: Time,
    /// The most memory the process held, in bytes, where the system tells.
    pub peak_rss_bytes: Option<u64>,
}

/// What was trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The kind the job named, such as `mlp`.
    pub kind: String,
    /// The layers in short, such as `64-64-10`.
    pub shape: String,
    /// What the model is for.
    pub task: Task,
    /// Trainable numbers: the length of every update.
    pub parameters: u64,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// It names a class; accuracy is its measure.
    Classification,
    /// It estimates a value; mean squared error is its measure.
    Regression,
}

/// What a model was trained and tested on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Where the rows came from, in words.
    pub source: String,
    /// Numbers in one encoded row.
    pub features: u64,
    /// Rows trained on, over all owners.
    pub rows: u64,
    /// Rows held back for the test, over all owners.
    pub test_rows: u64,
    /// The owners, by number.
    pub owners: Vec<Owner>,
}

/// One party that holds rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// Its number.
    pub owner: u32,
    /// Its name, such as that of its file.
    pub name: String,
    /// Rows it trains on.
    pub rows: u64,
    /// Its rows that are held back for the test.
    pub test_rows: u64,
}

/// How good the final model is, on rows that nobody trained on. Ratios lie in 0 to 1; those of
/// the other kind of task are `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Share of test rows whose class is right.
    pub test_accuracy: Option<f64>,
    /// That of the same model trained on all rows in one place; `null` with `--no-baselines`.
    pub central_accuracy: Option<f64>,
    /// That of the same model trained by each owner alone, on average over the owners; `null`
    /// with `--no-baselines`.
    pub local_only_accuracy: Option<f64>,
    /// Area under the ROC curve; over several classes the mean of one against the rest.
    pub auc: Option<f64>,
    /// F1 score; over several classes the mean of theirs.
    pub f1: Option<f64>,
    /// Mean negative log likelihood of the right class, in nats.
    pub log_loss: Option<f64>,
    /// How often each class was taken for each.
    pub confusion: Option<Confusion>,
    /// Mean squared error.
    pub mse: Option<f64>,
    /// That of the same model trained on all rows in one place; `null` with `--no-baselines`.
    pub central_mse: Option<f64>,
    /// That of the same model trained by each owner alone, on average over the owners; `null`
    /// with `--no-baselines`.
    pub local_only_mse: Option<f64>,
    /// Share of the values' variance that the model explains.
    pub r2: Option<f64>,
    /// The final model on each owner's test rows.
    pub per_owner: Vec<OwnerMetrics>,
}

/// How often each class was taken for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// The classes' names.
    pub classes: Vec<String>,
    /// `counts[t][p]` test rows of class `t` were taken for class `p`.
    pub counts: Vec<Vec<u64>>,
}

/// The final model on one owner's test rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerMetrics {
    /// The owner's number.
    pub owner: u32,
    /// The owner's name.
    pub name: String,
    /// Rows it trains on.
    pub rows: u64,
    /// Its test rows.
    pub test_rows: u64,
    /// Share of them whose class is right; `null` where there are none.
    pub accuracy: Option<f64>,
    /// Accuracy on all test rows of the model this owner would have trained alone; `null` with
    /// `--no-baselines`.
    pub local_only_accuracy: Option<f64>,
    /// Mean squared error on its test rows, where values are estimated.
    pub mse: Option<f64>,
}

/// One round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// Its number, from 1.
    pub round: u32,
    /// The owners whose updates are in the model.
    pub participants: Vec<u32>,
    /// The owners that were asked and whose updates are not, each with the reason.
    pub dropped: Vec<Dropped>,
    /// The owners whose answer came after the round was closed.
    pub late: Vec<u32>,
    /// Messages that came more than once and were counted once.
    pub duplicates: u32,
    /// How often the round was asked for until enough owners answered.
    pub attempts: u32,
    /// Mean loss over the participants' training rows, each under the model it was training.
    pub train_loss: Option<f64>,
    /// Accuracy of the new model on the test rows.
    pub test_accuracy: Option<f64>,
    /// Mean loss of the new model over the test rows.
    pub test_loss: Option<f64>,
    /// Epsilon of the job up to this round; `null` where nothing is promised.
    pub epsilon: Option<f64>,
    /// How many participants' updates were longer than allowed and were scaled down.
    pub clipped: u32,
    /// What the committee did; `null` where none takes part.
    pub committee: Option<CommitteeRound>,
    /// Bytes the owners sent.
    pub bytes_up: u64,
    /// Bytes the owners were sent.
    pub bytes_down: u64,
    /// L2 norm of the change of the model.
    pub update_norm: Option<f64>,
    /// When the round was opened, in milliseconds since the run's start, as the clock of the
    /// (possibly simulated) network has it.
    pub opened_ms: u64,
    /// When it was closed, in milliseconds since the run's start.
    pub closed_ms: u64,
}

/// An owner whose update is not in a round's model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// The owner's number.
    pub owner: u32,
    /// What the coordinator saw, in words.
    pub reason: String,
    /// The injected fault behind it, which only a simulation knows.
    pub cause: Option<String>,
}

/// Which parties were played by this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// Whether messages stayed in this process instead of crossing a network.
    pub network: bool,
    /// Whether the committee was this machine; `null` where no committee takes part.
    pub committee: Option<bool>,
    /// Whether the enclave was software; `null` where no enclave takes part.
    pub enclave: Option<bool>,
    /// The same in words.
    pub note: String,
}

impl Simulated {
    /// A run in which all parties that `suite` needs are one process.
    pub fn one_process(suite: Suite) -> Self {
        let (parties, rest) = match suite {
            Suite::Nx => (
                "the coordinator, the owners and the committee",
                "No enclave takes part. The committee is this machine: whoever runs it could open \
                 any owner's update, so the masks protect nobody against its owner. On a network \
                 the members are other parties.",
            ),
            Suite::SecaggPlus => (
                "the coordinator and the owners",
                "No committee and no enclave takes part. Whoever runs this machine could open any \
                 owner's update, so the masks protect nobody against its owner.",
            ),
            Suite::Clear => {
                ("the coordinator and the owners", "No committee and no enclave takes part.")
            }
        };
        Self {
            network: true,
            committee: (suite == Suite::Nx).then_some(true),
            enclave: None,
            note: format!(
                "Every party is this process: {parties} exchange the messages a network would \
                 carry, on this machine. {rest}"
            ),
        }
    }
}

/// What a run cost in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Seconds on the wall.
    pub wall_s: f64,
    /// Seconds of processor time, over all threads.
    pub cpu_s: f64,
}

impl Summary {
    /// The names of the owners by number, safe to show and of a length that fits in a line.
    pub(crate) fn names(&self) -> BTreeMap<u32, String> {
        self.data.owners.iter().map(|owner| (owner.owner, clip(&owner.name, NAME))).collect()
    }

    /// Bytes the owners sent and were sent, over all rounds.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        self.rounds.iter().fold((0, 0), |(up, down), round| {
            (up.saturating_add(round.bytes_up), down.saturating_add(round.bytes_down))
        })
    }

    /// Updates that were used and updates that were asked for, over all rounds.
    pub(crate) fn answers(&self) -> (u64, u64) {
        self.rounds.iter().fold((0, 0), |(used, asked), round| {
            let (in_model, missing) = (round.participants.len() as u64, round.dropped.len() as u64);
            (used + in_model, asked + in_model + missing)
        })
    }
}

/// `value` if JSON has a place for it: infinities and NaN become `None`.
pub fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The JSON schema (draft 2020-12) of [`Summary`] as it is written.
pub fn json_schema() -> Schema {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Summary>()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/summary.schema.json");

    /// Set `NEXUS_BLESS=1` to write the file anew.
    #[test]
    fn the_committed_schema_is_the_one_of_the_types() {
        let generated = format!("{:#}\n", json_schema().to_value());
        if std::env::var_os("NEXUS_BLESS").is_some() {
            std::fs::write(Path::new(COMMITTED), &generated).unwrap();
        }
        assert_eq!(std::fs::read_to_string(COMMITTED).unwrap(), generated);
    }

    fn complaints(document: &Value) -> Option<String> {
        let schema = serde_json::from_str(&std::fs::read_to_string(COMMITTED).unwrap()).unwrap();
        validator::complaint(&schema, document)
    }

    #[test]
    fn documents_satisfy_the_committed_schema() {
        for summary in [
            example::digits(),
            example::masked(),
            example::pairwise(),
            example::regression(),
            example::diverged(),
        ] {
            assert_eq!(complaints(&json!(summary)), None);
        }
    }

    #[test]
    fn the_schema_refuses_what_the_types_refuse() {
        let mutations: [fn(&mut Value); 9] = [
            |it| it["surprise"] = json!(1),
            |it| it["schema"] = json!(2),
            |it| it["seed"] = json!(-1),
            |it| it["simulated"]["network"] = json!("perhaps"),
            |it| it["rounds"][0]["dropped"] = json!([{ "owner": 3 }]),
            |it| it["aggregation"] = json!("hidden"),
            |it| it["secure_sum"]["committee"] = json!("this machine"),
            |it| it["secure_sum"]["bits"] = json!(300),
            |it| it["rounds"][0]["committee"] = json!({ "disputed": [] }),
        ];
        for mutate in mutations {
            let mut document = json!(example::masked());
            mutate(&mut document);
            assert!(complaints(&document).is_some(), "{document:#}");
        }
    }

    #[test]
    fn every_key_is_written() {
        let document = json!(example::diverged());
        let metrics = &document["metrics"];
        for key in ["test_accuracy", "central_accuracy", "local_only_accuracy", "mse"] {
            assert_eq!(metrics.get(key), Some(&Value::Null), "{key}");
        }
        for key in ["privacy", "secure_sum", "resumed_from", "faults", "peak_rss_bytes"] {
            assert_eq!(document.get(key), Some(&Value::Null), "{key}");
        }
    }

    #[test]
    fn a_committee_on_this_machine_is_called_that() {
        let nx = Simulated::one_process(Suite::Nx);
        assert_eq!(nx.committee, Some(true));
        assert!(nx.note.contains("The committee is this machine"), "{}", nx.note);
        for suite in [Suite::SecaggPlus, Suite::Clear] {
            let simulated = Simulated::one_process(suite);
            assert_eq!(simulated.committee, None);
            assert!(simulated.note.contains("No committee"), "{}", simulated.note);
        }
    }

    #[test]
    fn a_summary_survives_json() {
        for summary in [example::digits(), example::masked(), example::regression()] {
            let text = serde_json::to_string_pretty(&summary).unwrap();
            assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let mut document = json!(example::digits());
        document["rounds"][0]["surprise"] = json!(1);
        assert!(serde_json::from_value::<Summary>(document).is_err());
    }

    #[test]
    fn what_is_not_finite_is_null() {
        assert_eq!(
            [f64::NAN, f64::INFINITY, -f64::INFINITY, 0.5].map(finite),
            [None, None, None, Some(0.5)]
        );
    }
}
