//! `[privacy]`: what a job promises its owners.

use std::path::PathBuf;

use nexus_privacy::accounting;
use nexus_privacy::flow::Purpose;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{JobFile, JobProblem, Suite};

/// Whose presence in the data a job hides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// One row of one owner.
    #[default]
    Record,
    /// All that an owner sends.
    Owner,
}

impl Unit {
    /// Its name in a job file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Owner => "owner",
        }
    }
}

impl From<Unit> for accounting::Unit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Record => Self::Record,
            Unit::Owner => Self::Owner,
        }
    }
}

/// `[privacy]`: differential privacy, for all rounds together.
///
/// With the unit `record`, owners send the sum of their rows' gradients, each clipped, in every round: the
/// keys of `[training]` about local epochs, batches and optimisers mean nothing. With the unit
/// `owner`, they train as `[training]` says, and the whole update is clipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrivacySection {
    /// Whose presence is hidden: a `record` or an `owner`.
    pub unit: Unit,
    /// How much the presence of one unit may change the odds of anything, as e^epsilon.
    pub epsilon: f64,
    /// The probability with which that may fail: far below one over the number of units.
    pub delta: f64,
    /// With which probability a row takes part in a round, by a coin that only its owner sees; 1 for
    /// every row in every round. For large data; with the unit `record` only.
    pub rate: f64,
    /// The largest norm of what one unit contributes to a round; 0.5 for records, 1 for owners if not set.
    pub clip: Option<f64>,
    /// How far a round moves the model: in clips of the mean gradient for records (8 if not set), as
    /// a factor of the mean update for owners (1 if not set).
    pub learning_rate: Option<f64>,
    /// Share of the rounds, the last ones, over which the learning rate falls evenly to 0.
    pub cooldown: f64,
    /// Number of owners that may tell others their shares of the noise; a tenth of those asked, rounded down,
    /// if not set.
    pub colluders: Option<u32>,
    /// Whether every owner adds all of the noise instead of a share: it then needs to trust nobody, and
    /// the model is worse.
    pub local: bool,
    /// Folder of the owners' budgets, relative to the job file: `<owner>.budget`, as `nexus budget
    /// set` makes them. If not set, each owner has a budget of `epsilon` for this run.
    pub budgets: Option<PathBuf>,
    /// What rows are used for, which their labels must allow and budgets are charged for: 1 to 64 of
    /// a-z, 0-9, dots and hyphens.
    pub purpose: String,
}

impl Default for PrivacySection {
    fn default() -> Self {
        Self {
            unit: Unit::Record,
            epsilon: 3.0,
            delta: 1e-5,
            rate: 1.0,
            clip: None,
            learning_rate: None,
            cooldown: 0.5,
            colluders: None,
            local: false,
            budgets: None,
            purpose: "training".into(),
        }
    }
}

impl PrivacySection {
    /// The largest norm of a unit's contribution.
    pub fn clip(&self) -> f64 {
        self.clip.unwrap_or(match self.unit {
            Unit::Record => 0.5,
            Unit::Owner => 1.0,
        })
    }

    /// How far a round moves the model.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate.unwrap_or(match self.unit {
            Unit::Record => 8.0,
            Unit::Owner => 1.0,
        })
    }

    /// Owners of `asked` whose noise does not count.
    pub fn colluders(&self, asked: u32) -> u32 {
        self.colluders.unwrap_or(asked / 10)
    }
}

impl JobFile {
    pub(super) fn check_privacy(&self) -> Result<(), JobProblem> {
        let Some(section) = &self.job.privacy else { return Ok(()) };
        let ranges = [
            ("epsilon", Some(section.epsilon), 1e-6, 1e3),
            ("delta", Some(section.delta), 1e-30, 0.1),
            ("rate", Some(section.rate), 1e-6, 1.0),
            ("clip", section.clip, 1e-9, 1e9),
            ("cooldown", Some(section.cooldown), 0.0, 1.0),
            ("learning_rate", section.learning_rate, 1e-9, 1e6),
        ];
        for (key, value, least, most) in ranges {
            let Some(value) = value.filter(|value| !(least..=most).contains(value)) else {
                continue;
            };
            let message = format!("{key} is {value}, it must be from {least} to {most}");
            return self.refuse(&["privacy", key], message);
        }
        self.check_private_training(section)?;
        if self.job.aggregation.suite == Suite::Clear {
            let message = "with the suite `clear` the coordinator sees each owner's sum, and a share \
                           of the noise does not protect it";
            let help = "use the suite `nx` or `secagg-plus`".to_owned();
            return Err(self.problem(&["aggregation", "suite"], message, Some(help)));
        }
        Ok(())
    }

    fn check_private_training(&self, section: &PrivacySection) -> Result<(), JobProblem> {
        let training = &self.job.training;
        let local =
            [("local_epochs", training.local_epochs), ("local_steps", training.local_steps)];
        if section.unit == Unit::Record
            && let Some((key, _)) = local.into_iter().find(|(_, value)| value.is_some())
        {
            let message = format!(
                "`{key}` has no meaning where records are protected: owners send one sum of clipped \
                 gradients a round"
            );
            return self.refuse(&["training", key], message);
        }
        if section.unit == Unit::Owner && section.rate < 1.0 {
            let message = "`rate` draws rows, and what is hidden here is an owner";
            return self.refuse(&["privacy", "rate"], message);
        }
        match Purpose::new(&section.purpose) {
            Ok(_) => Ok(()),
            Err(error) => self.refuse(&["privacy", "purpose"], error.to_string()),
        }
    }
}
