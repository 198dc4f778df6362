//! What a run promised about rows, and what of it was spent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::percent;
use crate::job::Unit;

/// Differential privacy of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    /// Whose presence is hidden: one row added or removed, or all that one owner sends.
    pub unit: Unit,
    /// The limit: what was reserved in every owner's budget before the first round.
    pub epsilon: f64,
    /// The probability with which it may fail.
    pub delta: f64,
    /// Epsilon of all rounds as they were planned, by the tightest accountant, at 0.99 delta: what
    /// `nexus budget what-if` says of `sampling`, `noise` and the number of rounds.
    pub plan_epsilon: f64,
    /// Epsilon of the rounds as they were, at the same delta.
    pub spent: f64,
    /// How it was computed: `gdp`, the closed form for Gaussian noise, or `rdp`, Renyi divergences of
    /// Gaussian noise on a sample.
    pub accountant: String,
    /// How budgets add it up.
    pub currency: String,
    /// With which probability a row took part in a round, by coins only its owner saw; 1 claims
    /// nothing for sampling, and holds against everybody.
    pub sampling: f64,
    /// Epsilon of all rounds against who sees which rows an owner draws: its own staff. Sampling
    /// gains nothing there.
    pub staff_epsilon: f64,
    /// The largest norm of what one unit contributes to a round.
    pub clip: f64,
    /// Width of a round's noise in sensitivities, with the fewest owners in the sum.
    pub noise: f64,
    /// Fewest owners in a sum.
    pub n_min: u32,
    /// Owners whose noise does not count, as they may tell it.
    pub colluders: u32,
    /// Whether each owner adds all of the noise.
    pub local: bool,
    /// Epsilon of all rounds against who sees each owner's own contribution: the coordinator together with so
    /// many members of the committee that they can open it.
    pub own_epsilon: f64,
    /// Best odds of telling whether one unit was there, if both were as likely: 0.5 is a guess.
    pub membership: f64,
    /// What is claimed, in words.
    pub note: String,
}

impl Privacy {
    /// The promise in a line: `epsilon 3 at delta 1e-5 for each record; 2.68 spent`.
    pub(crate) fn line(&self) -> String {
        format!(
            "epsilon {} at delta {:e} for each {}; {:.2} spent",
            self.epsilon,
            self.delta,
            self.unit.name(),
            self.spent
        )
    }

    /// What is claimed for drawing rows, and against whom; nothing where all take part.
    fn sampling_words(&self) -> String {
        if self.sampling >= 1.0 {
            return String::new();
        }
        format!(
            " Each row took part in a round with probability {}, by a coin that only its owner saw: the \
             figures hold against everybody but the owner's own staff, and who sees with them which \
             rows are drawn. Against those epsilon is {:.1}.",
            self.sampling, self.staff_epsilon
        )
    }

    /// The words for [`Privacy::note`].
    pub(crate) fn words(&self) -> String {
        let unit = match self.unit {
            Unit::Record => "one row of one owner",
            Unit::Owner => "all that one owner has",
        };
        let trust = if self.local {
            "Every owner adds all of the noise itself and trusts nobody for it.".to_owned()
        } else {
            format!(
                "That needs {} honest owners in each sum and fewer dishonest members of the \
                 committee than open one; against the coordinator with that many members an owner's own \
                 share of the noise is left, epsilon {:.1}.",
                self.n_min.saturating_sub(self.colluders),
                self.own_epsilon
            )
        };
        let sampling = self.sampling_words();
        format!(
            "Who sees the model and every sum on the way, and knows all other rows, tells whether {unit} \
             was there in at most {} of cases. {trust}{sampling} Numbers of rows, column names, categories and \
             classes, the owners' names and who took part are public, and so are the test rows: \
             accuracy is measured on them without noise.",
            percent(self.membership)
        )
    }
}
