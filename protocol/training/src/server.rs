//! The model, and the server's step in each strategy.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::plan::Plan;
use crate::secure::Totals;
use crate::strategy::Strategy;

/// The model and what the strategy remembers about it.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Server {
    pub(crate) parameters: Vec<f32>,
    momentum: Vec<f32>,
    second: Vec<f32>,
    /// SCAFFOLD's c.
    pub(crate) control: Vec<f32>,
}

impl Server {
    pub(crate) fn new(strategy: &Strategy, parameters: Vec<f32>) -> Self {
        let zeros = |needed: bool| vec![0.0; if needed { parameters.len() } else { 0 }];
        let first = strategy.first_second();
        let has_momentum = first.is_some() || matches!(strategy, Strategy::FedAvgM { .. });
        Self {
            momentum: zeros(has_momentum),
            second: first.map_or_else(Vec::new, |first| vec![rounded(first); parameters.len()]),
            control: zeros(strategy.has_control()),
            parameters,
        }
    }

    /// Whether the vectors are those of a model of `parameters` numbers.
    pub(crate) fn fits(&self, strategy: &Strategy, parameters: usize) -> bool {
        let like = Self::new(strategy, vec![0.0; self.parameters.len().min(parameters)]);
        self.parameters.len() == parameters
            && self.momentum.len() == like.momentum.len()
            && self.second.len() == like.second.len()
            && self.control.len() == like.control.len()
            && self.all_finite()
    }

    fn all_finite(&self) -> bool {
        let vectors = [&self.parameters, &self.momentum, &self.second, &self.control];
        vectors.into_iter().flatten().all(|value| value.is_finite())
    }

    /// Moves the model by the aggregated update.
    ///
    /// A finite model stays finite: with numbers of an update below 2^40 and the limits that
    /// [`Strategy::check`] sets, no step is longer than 1e28, which vanishes beside the largest
    /// `f32` (its last digit is worth 2e31).
    pub(crate) fn apply(&mut self, strategy: &Strategy, update: &[f64]) {
        match *strategy {
            Strategy::FedAvg | Strategy::FedProx { .. } => self.step(1.0, update),
            Strategy::Scaffold { learning_rate } | Strategy::FedBuff { learning_rate, .. } => {
                self.step(learning_rate, update);
            }
            Strategy::FedAvgM { momentum, learning_rate } => {
                self.momentum_step(momentum, learning_rate, update);
            }
            Strategy::FedAdam { learning_rate, beta1, beta2, tau } => {
                self.adaptive_step(learning_rate, beta1, tau, Second::Decay(beta2), update);
            }
            Strategy::FedYogi { learning_rate, beta1, beta2, tau } => {
                self.adaptive_step(learning_rate, beta1, tau, Second::Yogi(beta2), update);
            }
            Strategy::FedAdagrad { learning_rate, beta1, tau } => {
                self.adaptive_step(learning_rate, beta1, tau, Second::Sum, update);
            }
        }
    }

    fn step(&mut self, rate: f64, update: &[f64]) {
        for (x, d) in self.parameters.iter_mut().zip(update) {
            *x = rounded(f64::from(*x) + rate * d);
        }
    }

    fn momentum_step(&mut self, momentum: f64, rate: f64, update: &[f64]) {
        for ((x, v), d) in self.parameters.iter_mut().zip(&mut self.momentum).zip(update) {
            let velocity = momentum * f64::from(*v) + d;
            *v = rounded(velocity);
            *x = rounded(f64::from(*x) + rate * velocity);
        }
    }

    fn adaptive_step(&mut self, rate: f64, beta1: f64, tau: f64, second: Second, update: &[f64]) {
        let moments = self.momentum.iter_mut().zip(&mut self.second);
        for ((x, (m, v)), d) in self.parameters.iter_mut().zip(moments).zip(update) {
            let mean = beta1 * f64::from(*m) + (1.0 - beta1) * d;
            let square = second.next(f64::from(*v), d * d);
            *m = rounded(mean);
            *v = rounded(square);
            *x = rounded(f64::from(*x) + rate * mean / (square.sqrt() + tau));
        }
    }

    /// SCAFFOLD: adds `1/N` of the sum of `c_i+ - c_i` over the accepted updates to `c`. Each of
    /// these is `-c - delta/displacement`, and `steers` is the sum of the latter part.
    pub(crate) fn steer(&mut self, steers: &[f64], accepted: u32, owners: u32) {
        for (c, steer) in self.control.iter_mut().zip(steers) {
            let change = steer - f64::from(accepted) * f64::from(*c);
            *c = rounded(f64::from(*c) + change / f64::from(owners));
        }
    }

    /// Moves the model by a masked sum over `survivors` owners.
    pub(crate) fn absorb(&mut self, plan: &Plan, totals: &Totals, survivors: u32) {
        if let Some(steers) = &totals.steers {
            self.steer(steers, survivors, plan.owners);
        }
        self.apply(&plan.strategy, &totals.update);
    }

    /// Bytes of the vectors.
    pub(crate) fn held_bytes(&self) -> usize {
        4 * (self.parameters.len() + self.momentum.len() + self.second.len() + self.control.len())
    }
}

/// How the second moment of an adaptive strategy takes in a squared update.
#[derive(Clone, Copy)]
enum Second {
    Decay(f64),
    Yogi(f64),
    Sum,
}

impl Second {
    fn next(self, second: f64, square: f64) -> f64 {
        match self {
            Self::Decay(beta) => beta * second + (1.0 - beta) * square,
            Self::Yogi(_) if second.total_cmp(&square).is_eq() => second,
            Self::Yogi(beta) => second - (1.0 - beta) * square * (second - square).signum(),
            Self::Sum => second + square,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "models are 32-bit floats")]
pub(crate) const fn rounded(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model after each of the updates 0.5 and -0.25, from 1.
    fn walk(strategy: Strategy) -> [f32; 2] {
        let mut server = Server::new(&strategy, vec![1.0]);
        [0.5, -0.25].map(|update| {
            server.apply(&strategy, &[update]);
            server.parameters[0]
        })
    }

    fn assert_walk(strategy: Strategy, expected: [f64; 2]) {
        for (got, expected) in walk(strategy).into_iter().zip(expected) {
            assert!(
                (f64::from(got) - expected).abs() < 1e-6,
                "{strategy:?}: {got}, not {expected}"
            );
        }
    }

    #[test]
    fn each_strategy_walks_as_its_paper_says() {
        let (learning_rate, beta1, beta2, tau) = (0.1, 0.9, 0.99, 0.5);
        assert_walk(Strategy::FedAvg, [1.5, 1.25]);
        assert_walk(Strategy::FedProx { mu: 3.0 }, [1.5, 1.25]);
        assert_walk(Strategy::Scaffold { learning_rate: 0.5 }, [1.25, 1.125]);
        // v = 0.5, then 0.9 * 0.5 - 0.25 = 0.2.
        assert_walk(Strategy::FedAvgM { momentum: 0.9, learning_rate: 0.1 }, [1.05, 1.07]);
        // m = 0.05, v = 0.25: 0.005 / (0.5 + 0.5); then m = 0.02,
        // v = 0.99 * 0.25 + 0.01 * 0.0625 = 0.248125: 0.002 / (0.498121 + 0.5).
        let adam = Strategy::FedAdam { learning_rate, beta1, beta2, tau };
        assert_walk(adam, [1.005, 1.007_003_765]);
        // The same first step, as v = d^2; then v = 0.25 - 0.01 * 0.0625 = 0.249375:
        // 0.002 / (0.499375 + 0.5).
        let yogi = Strategy::FedYogi { learning_rate, beta1, beta2, tau };
        assert_walk(yogi, [1.005, 1.007_001_251]);
        // m = d; v = 0.5: 0.05 / (0.707107 + 0.5); v = 0.5625: -0.025 / (0.75 + 0.5).
        let adagrad = Strategy::FedAdagrad { learning_rate, beta1: 0.0, tau };
        assert_walk(adagrad, [1.041_421_356, 1.021_421_356]);
    }

    #[test]
    fn yogi_lets_the_second_moment_grow_towards_a_larger_square() {
        let second = Second::Yogi(0.9).next(0.25, 1.0);
        assert!((second - 0.35).abs() < 1e-12, "{second}");
    }

    #[test]
    fn the_largest_model_survives_the_largest_steps() {
        let (learning_rate, tau) = (1e6, 1e-9);
        for strategy in [
            Strategy::FedAvgM { momentum: 0.9999, learning_rate },
            Strategy::FedAdam { learning_rate, beta1: 0.0, beta2: 0.9999, tau },
            Strategy::FedYogi { learning_rate, beta1: 0.0, beta2: 0.9999, tau },
            Strategy::FedAdagrad { learning_rate, beta1: 0.9999, tau },
            Strategy::Scaffold { learning_rate },
        ] {
            assert_eq!(strategy.check(1), Ok(()));
            let mut server = Server::new(&strategy, vec![f32::MAX, f32::MIN, 0.0, 1e30]);
            for _ in 0..100_000 {
                let largest = crate::MAX_MAGNITUDE;
                server.apply(&strategy, &[largest, -largest, largest, largest]);
            }
            assert!(server.all_finite(), "{strategy:?}: {server:?}");
        }
    }
}
