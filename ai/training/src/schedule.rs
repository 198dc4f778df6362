//! How the learning rate changes over a job.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::LearningError;

/// The learning rate as a share of its configured value.
///
/// Time is counted in rounds and runs through them: half-way through the local steps of round 3
/// it is 2.5. Owners with more rows take more steps in a round, yet all follow the same curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The configured learning rate throughout.
    #[default]
    Constant,
    /// Multiplied by `factor` after every `every` rounds.
    Step {
        /// Rounds between two changes.
        every: u32,
        /// Share that is kept at each change, in (0, 1].
        factor: f64,
    },
    /// Half a cosine wave from 1 to `floor` over `rounds`, then `floor`
    /// (Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts).
    Cosine {
        /// Rounds until the floor is reached.
        rounds: u32,
        /// Share that is left at the end, in [0, 1].
        #[serde(default)]
        floor: f64,
    },
    /// Straight from 0 to 1 over `rounds`, then 1.
    LinearWarmup {
        /// Rounds until the full rate is reached.
        rounds: u32,
    },
}

impl Schedule {
    /// Share of the configured learning rate at `time`, counted in rounds from the start of the
    /// job.
    pub fn factor(&self, time: f64) -> f64 {
        let reached = |rounds: u32| (time / f64::from(rounds)).clamp(0.0, 1.0);
        match *self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => factor.powf((time / f64::from(every)).floor()),
            Self::Cosine { rounds, floor } => {
                floor + (1.0 - floor) * 0.5 * (1.0 + (PI * reached(rounds)).cos())
            }
            Self::LinearWarmup { rounds } => reached(rounds),
        }
    }

    /// Checks that the schedule has a meaning.
    ///
    /// # Errors
    /// [`LearningError::Setting`] names the value that has none.
    pub fn check(&self) -> Result<(), LearningError> {
        let setting = |name, got, allowed| Err(LearningError::Setting { name, got, allowed });
        match *self {
            Self::Step { every: 0, .. } => setting("schedule.step.every", 0.0, "at least 1"),
            Self::Cosine { rounds: 0, .. } => setting("schedule.cosine.rounds", 0.0, "at least 1"),
            Self::LinearWarmup { rounds: 0 } => {
                setting("schedule.linear_warmup.rounds", 0.0, "at least 1")
            }
            Self::Step { factor, .. } if !(factor > 0.0 && factor <= 1.0) => {
                setting("schedule.step.factor", factor, "above 0 and at most 1")
            }
            Self::Cosine { floor, .. } if !(0.0..=1.0).contains(&floor) => {
                setting("schedule.cosine.floor", floor, "from 0 to 1")
            }
            Self::Constant
            | Self::Step { .. }
            | Self::Cosine { .. }
            | Self::LinearWarmup { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn curves_pass_through_their_known_points() {
        let step = Schedule::Step { every: 2, factor: 0.5 };
        let cosine = Schedule::Cosine { rounds: 4, floor: 0.2 };
        let warmup = Schedule::LinearWarmup { rounds: 2 };
        let points = [
            (Schedule::Constant, 9.0, 1.0),
            (step.clone(), 0.0, 1.0),
            (step.clone(), 1.99, 1.0),
            (step, 5.0, 0.25),
            (cosine.clone(), 0.0, 1.0),
            (cosine.clone(), 2.0, 0.6),
            (cosine.clone(), 4.0, 0.2),
            (cosine, 99.0, 0.2),
            (warmup.clone(), 0.0, 0.0),
            (warmup.clone(), 0.5, 0.25),
            (warmup, 3.0, 1.0),
        ];
        for (schedule, time, expected) in points {
            assert!(close(schedule.factor(time), expected), "{schedule:?} at {time}");
            schedule.check().unwrap();
        }
    }

    #[test]
    fn meaningless_schedules_are_refused_by_name() {
        let wrong = [
            (Schedule::Step { every: 0, factor: 0.5 }, "schedule.step.every"),
            (Schedule::Step { every: 1, factor: f64::NAN }, "schedule.step.factor"),
            (Schedule::Cosine { rounds: 0, floor: 0.0 }, "schedule.cosine.rounds"),
            (Schedule::Cosine { rounds: 1, floor: 2.0 }, "schedule.cosine.floor"),
            (Schedule::LinearWarmup { rounds: 0 }, "schedule.linear_warmup.rounds"),
        ];
        for (schedule, expected) in wrong {
            let Err(LearningError::Setting { name, .. }) = schedule.check() else {
                panic!("{schedule:?} passed");
            };
            assert_eq!(name, expected);
        }
    }
}
