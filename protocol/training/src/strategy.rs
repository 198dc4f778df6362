//! How the aggregated update becomes the next model.

use nexus_types::limits::MAX_ROUNDS;
use serde::{Deserialize, Serialize};

use crate::error::TrainingError;
use crate::plan::in_range;

/// A federated optimiser. Below, x is the model and d the aggregated update of a round.
///
/// In TOML a strategy is its name, `"fedavg"`, or a table with settings that differ from their
/// defaults, `{ fedadam = { learning_rate = 0.1 } }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Strategy {
    /// `x += d` (McMahan et al. 2017, algorithm 1).
    #[default]
    FedAvg,
    /// As FedAvg, while owners minimise their loss plus `mu/2 |y - x|^2` (Li et al. 2020,
    /// algorithm 2).
    FedProx {
        /// Weight of the proximal term, 0 to 1e6.
        #[serde(default = "default::mu")]
        mu: f64,
    },
    /// `v = momentum v + d`, `x += learning_rate v` (Hsu et al. 2019, section 4.3).
    FedAvgM {
        /// Share of the velocity that stays, 0 to 0.9999.
        #[serde(default = "default::momentum")]
        momentum: f64,
        /// Step size of the server.
        #[serde(default = "default::one")]
        learning_rate: f64,
    },
    /// `m = beta1 m + (1 - beta1) d`, `v = beta2 v + (1 - beta2) d^2`,
    /// `x += learning_rate m / (sqrt(v) + tau)`, from `m = 0` and `v = tau^2` (Reddi et al. 2021,
    /// algorithm 2).
    FedAdam {
        /// Step size of the server: about how far a parameter moves in a round.
        #[serde(default = "default::adaptive_rate")]
        learning_rate: f64,
        /// Memory of the first moment, 0 to 0.9999.
        #[serde(default = "default::beta1")]
        beta1: f64,
        /// Memory of the second moment, 0 to 0.9999.
        #[serde(default = "default::beta2")]
        beta2: f64,
        /// Degree of adaptivity, 1e-9 to 1.
        #[serde(default = "default::tau")]
        tau: f64,
    },
    /// As FedAdam with `v -= (1 - beta2) d^2 sign(v - d^2)`.
    FedYogi {
        /// Step size of the server.
        #[serde(default = "default::adaptive_rate")]
        learning_rate: f64,
        /// Memory of the first moment, 0 to 0.9999.
        #[serde(default = "default::beta1")]
        beta1: f64,
        /// Memory of the second moment, 0 to 0.9999.
        #[serde(default = "default::beta2")]
        beta2: f64,
        /// Degree of adaptivity, 1e-9 to 1.
        #[serde(default = "default::tau")]
        tau: f64,
    },
    /// As FedAdam with `v += d^2`.
    FedAdagrad {
        /// Step size of the server.
        #[serde(default = "default::adaptive_rate")]
        learning_rate: f64,
        /// Memory of the first moment, 0 to 0.9999.
        #[serde(default)]
        beta1: f64,
        /// Degree of adaptivity, 1e-9 to 1.
        #[serde(default = "default::tau")]
        tau: f64,
    },
    /// `x += learning_rate d`, while owners step along their gradient `+ c - c_i` (Karimireddy
    /// et al. 2020, algorithm 1, option II).
    Scaffold {
        /// Step size of the server.
        #[serde(default = "default::one")]
        learning_rate: f64,
    },
    /// Asynchronous: as soon as `buffer` updates have come, `x += learning_rate d`, where an
    /// update that starts from a model `s` versions old counts `1/sqrt(1 + s)` (Nguyen et al.
    /// 2022, algorithm 1; the factor is that of their experiments).
    FedBuff {
        /// Updates in a buffer, 1 to the number of owners.
        #[serde(default = "default::buffer")]
        buffer: u32,
        /// Largest s that is used; older updates are refused.
        #[serde(default = "default::max_staleness")]
        max_staleness: u32,
        /// Step size of the server.
        #[serde(default = "default::one")]
        learning_rate: f64,
    },
}

mod default {
    pub(super) const fn mu() -> f64 {
        0.01
    }
    pub(super) const fn momentum() -> f64 {
        0.9
    }
    pub(super) const fn one() -> f64 {
        1.0
    }
    pub(super) const fn adaptive_rate() -> f64 {
        0.03
    }
    pub(super) const fn beta1() -> f64 {
        0.9
    }
    pub(super) const fn beta2() -> f64 {
        0.99
    }
    pub(super) const fn tau() -> f64 {
        1e-3
    }
    pub(super) const fn buffer() -> u32 {
        3
    }
    pub(super) const fn max_staleness() -> u32 {
        10
    }
}

impl Strategy {
    /// The strategy's name in a job file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FedAvg => "fedavg",
            Self::FedProx { .. } => "fedprox",
            Self::FedAvgM { .. } => "fedavgm",
            Self::FedAdam { .. } => "fedadam",
            Self::FedYogi { .. } => "fedyogi",
            Self::FedAdagrad { .. } => "fedadagrad",
            Self::Scaffold { .. } => "scaffold",
            Self::FedBuff { .. } => "fedbuff",
        }
    }

    /// Whether owners keep control variates.
    pub const fn has_control(&self) -> bool {
        matches!(self, Self::Scaffold { .. })
    }

    /// Whether the coordinator empties a buffer instead of closing rounds.
    pub const fn is_buffered(&self) -> bool {
        matches!(self, Self::FedBuff { .. })
    }

    /// Weight of the proximal term in an owner's loss.
    pub const fn proximal(&self) -> f64 {
        if let Self::FedProx { mu } = self { *mu } else { 0.0 }
    }

    pub(crate) fn check(&self, owners: u32) -> Result<(), TrainingError> {
        let rate = |rate| in_range("learning_rate", rate, 1e-9, 1e6);
        let share = |name, share| in_range(name, share, 0.0, 0.9999);
        match *self {
            Self::FedAvg => Ok(()),
            Self::FedProx { mu } => in_range("mu", mu, 0.0, 1e6),
            Self::FedAvgM { momentum, learning_rate } => {
                share("momentum", momentum)?;
                rate(learning_rate)
            }
            Self::FedAdam { learning_rate, beta1, beta2, tau }
            | Self::FedYogi { learning_rate, beta1, beta2, tau } => {
                share("beta1", beta1)?;
                share("beta2", beta2)?;
                in_range("tau", tau, 1e-9, 1.0)?;
                rate(learning_rate)
            }
            Self::FedAdagrad { learning_rate, beta1, tau } => {
                share("beta1", beta1)?;
                in_range("tau", tau, 1e-9, 1.0)?;
                rate(learning_rate)
            }
            Self::Scaffold { learning_rate } => rate(learning_rate),
            Self::FedBuff { buffer, max_staleness, learning_rate } => {
                in_range("buffer", buffer.into(), 1.0, owners.into())?;
                in_range("max_staleness", max_staleness.into(), 0.0, MAX_ROUNDS.into())?;
                rate(learning_rate)
            }
        }
    }

    /// The value that second moments start from: tau^2, the least that Reddi et al. allow.
    pub(crate) const fn first_second(&self) -> Option<f64> {
        match self {
            Self::FedAdam { tau, .. }
            | Self::FedYogi { tau, .. }
            | Self::FedAdagrad { tau, .. } => Some(*tau * *tau),
            Self::FedAvg
            | Self::FedProx { .. }
            | Self::FedAvgM { .. }
            | Self::Scaffold { .. }
            | Self::FedBuff { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Section {
        strategy: Strategy,
    }

    fn parse(text: &str) -> Result<Strategy, toml::de::Error> {
        toml::from_str(text).map(|section: Section| section.strategy)
    }

    #[test]
    fn toml_reads_what_it_writes() {
        let (learning_rate, beta1, beta2, tau) = (0.5, 0.8, 0.9, 0.01);
        let all = [
            Strategy::FedAvg,
            Strategy::FedProx { mu: 0.1 },
            Strategy::FedAvgM { momentum: 0.5, learning_rate },
            Strategy::FedAdam { learning_rate, beta1, beta2, tau },
            Strategy::FedYogi { learning_rate, beta1, beta2, tau },
            Strategy::FedAdagrad { learning_rate, beta1, tau },
            Strategy::Scaffold { learning_rate },
            Strategy::FedBuff { buffer: 2, max_staleness: 3, learning_rate },
        ];
        for strategy in all {
            let text = toml::to_string(&Section { strategy }).unwrap();
            assert!(text.contains(strategy.name()), "{text}");
            assert_eq!(parse(&text).unwrap(), strategy);
        }
    }

    #[test]
    fn settings_have_defaults_that_pass_and_unknown_ones_are_refused() {
        for name in
            ["fedprox", "fedavgm", "fedadam", "fedyogi", "fedadagrad", "scaffold", "fedbuff"]
        {
            let strategy = parse(&format!("strategy = {{ {name} = {{}} }}")).unwrap();
            assert_eq!((strategy.name(), strategy.check(3)), (name, Ok(())));
        }
        assert_eq!(parse("strategy = \"fedavg\"").unwrap(), Strategy::FedAvg);
        for wrong in ["\"fedsgd\"", "{ fedprox = { nu = 0.1 } }", "{ fedprox = { mu = \"x\" } }"] {
            assert!(parse(&format!("strategy = {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let (learning_rate, beta1, beta2, tau) = (0.1, 0.9, 0.99, 1e-3);
        let wrong = [
            (Strategy::FedProx { mu: -1.0 }, "mu"),
            (Strategy::FedAvgM { momentum: 1.0, learning_rate }, "momentum"),
            (Strategy::FedAdam { learning_rate: 0.0, beta1, beta2, tau }, "learning_rate"),
            (Strategy::FedYogi { learning_rate, beta1, beta2: f64::NAN, tau }, "beta2"),
            (Strategy::FedAdagrad { learning_rate, beta1: 2.0, tau }, "beta1"),
            (Strategy::FedAdam { learning_rate, beta1, beta2, tau: 0.0 }, "tau"),
            (Strategy::Scaffold { learning_rate: f64::INFINITY }, "learning_rate"),
            (Strategy::FedBuff { buffer: 4, max_staleness: 1, learning_rate }, "buffer"),
        ];
        for (strategy, name) in wrong {
            let refused = strategy.check(3).unwrap_err();
            assert!(
                matches!(refused, TrainingError::Setting { setting, .. } if setting == name),
                "{refused}"
            );
        }
    }
}
