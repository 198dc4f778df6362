//! Optimisers over one flat vector of parameters.

use serde::{Deserialize, Serialize};

use crate::LearningError;
use crate::number::narrow;

/// A rule that turns gradients into steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimiser {
    /// Stochastic gradient descent. With momentum, as in PyTorch: `v = m v + g`, `w -= rate v`,
    /// and with `nesterov` `w -= rate (g + m v)` (Sutskever et al. 2013, section 2).
    Sgd {
        /// Share `m` of the velocity that is kept, in [0, 1).
        #[serde(default)]
        momentum: f64,
        /// Look ahead along the velocity.
        #[serde(default)]
        nesterov: bool,
        /// Factor of an L2 penalty: `g` becomes `g + weight_decay w`.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1). Weight decay is decoupled from the
    /// gradient, `w -= rate weight_decay w`, which makes it `AdamW` (Loshchilov & Hutter
    /// 2019, arXiv:1711.05101, algorithm 2).
    Adam {
        /// Share of the mean gradient that is kept, in [0, 1).
        #[serde(default = "beta1")]
        beta1: f64,
        /// Share of the mean squared gradient that is kept, in [0, 1).
        #[serde(default = "beta2")]
        beta2: f64,
        /// Added to the root of the mean square.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// Share of each parameter removed per unit of learning rate.
        #[serde(default)]
        weight_decay: f64,
    },
}

// The defaults of Adam's authors.
fn beta1() -> f64 {
    0.9
}

fn beta2() -> f64 {
    0.999
}

fn epsilon() -> f64 {
    1e-8
}

impl Default for Optimiser {
    /// SGD with momentum 0.9.
    fn default() -> Self {
        Self::sgd(0.9)
    }
}

impl Optimiser {
    /// SGD with `momentum`, no weight decay.
    pub const fn sgd(momentum: f64) -> Self {
        Self::Sgd { momentum, nesterov: false, weight_decay: 0.0 }
    }

    /// Adam with its authors' settings, no weight decay.
    pub fn adam() -> Self {
        Self::Adam { beta1: beta1(), beta2: beta2(), epsilon: epsilon(), weight_decay: 0.0 }
    }

    /// Checks that every setting has a meaning.
    ///
    /// # Errors
    /// [`LearningError::Setting`] names the one that has none.
    pub fn check(&self) -> Result<(), LearningError> {
        match *self {
            Self::Sgd { momentum, weight_decay, .. } => {
                share("momentum", momentum)?;
                not_negative("weight_decay", weight_decay)
            }
            Self::Adam { beta1, beta2, epsilon, weight_decay } => {
                share("beta1", beta1)?;
                share("beta2", beta2)?;
                crate::number::positive("epsilon", epsilon)?;
                not_negative("weight_decay", weight_decay)
            }
        }
    }

    /// The state of this optimiser before its first step on `parameters` parameters.
    pub fn start(&self, parameters: usize) -> OptimiserState {
        let (first, second) = match *self {
            Self::Sgd { momentum, .. } if momentum > 0.0 => (parameters, 0),
            Self::Sgd { .. } => (0, 0),
            Self::Adam { .. } => (parameters, parameters),
        };
        OptimiserState {
            optimiser: self.clone(),
            first: vec![0.0; first],
            second: vec![0.0; second],
            decays: [1.0; 2],
            momentum_sum: 0.0,
            displacement: 0.0,
        }
    }
}

fn share(name: &'static str, got: f64) -> Result<(), LearningError> {
    let allowed = "at least 0 and below 1";
    if (0.0..1.0).contains(&got) {
        Ok(())
    } else {
        Err(LearningError::Setting { name, got, allowed })
    }
}

fn not_negative(name: &'static str, got: f64) -> Result<(), LearningError> {
    let allowed = "a finite number, at least 0";
    if got >= 0.0 && got.is_finite() {
        return Ok(());
    }
    Err(LearningError::Setting { name, got, allowed })
}

/// What an optimiser remembers between steps: nothing, one or two numbers per parameter.
#[derive(Clone, Debug)]
pub struct OptimiserState {
    optimiser: Optimiser,
    /// Velocity of SGD, mean gradient of Adam.
    first: Vec<f32>,
    /// Mean squared gradient of Adam.
    second: Vec<f32>,
    /// `beta1^t` and `beta2^t` of Adam.
    decays: [f64; 2],
    /// `1 + m + m^2 + ...` over the steps so far, of SGD.
    momentum_sum: f64,
    displacement: f64,
}

impl OptimiserState {
    /// One step, in one pass over the parameters.
    ///
    /// # Panics
    /// If the slices are not as long as the state was made for.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], learning_rate: f64) {
        assert_eq!(parameters.len(), gradient.len(), "one gradient entry per parameter");
        match self.optimiser {
            Optimiser::Sgd { momentum, nesterov, weight_decay } => {
                self.momentum_sum = momentum * self.momentum_sum + 1.0;
                let steps =
                    if nesterov { 1.0 + momentum * self.momentum_sum } else { self.momentum_sum };
                self.displacement += learning_rate * steps;
                let [rate, decay] = [learning_rate, weight_decay].map(narrow);
                if momentum > 0.0 {
                    let look = narrow(f64::from(u8::from(nesterov)));
                    self.momentum_pass(parameters, gradient, [rate, decay, narrow(momentum), look]);
                } else {
                    plain_pass(parameters, gradient, [rate, decay]);
                }
            }
            Optimiser::Adam { beta1, beta2, epsilon, weight_decay } => {
                self.displacement += learning_rate;
                self.decays = [self.decays[0] * beta1, self.decays[1] * beta2];
                let [correct1, correct2] = self.decays.map(|decay| 1.0 - decay);
                let keep = 1.0 - learning_rate * weight_decay;
                let settings = [
                    beta1,
                    beta2,
                    epsilon,
                    keep,
                    learning_rate / correct1,
                    correct2.sqrt().recip(),
                ];
                self.adam_pass(parameters, gradient, settings.map(narrow));
            }
        }
    }

    /// How far a constant gradient would have carried the parameters, per unit of it: the change
    /// of parameters is `-displacement * (mean gradient)`, where gradients count by how long
    /// momentum kept them going. Exact for SGD when the gradient is constant.
    ///
    /// For Adam it is the sum of the learning rates, the distance each parameter moves under a
    /// constant gradient of any size.
    pub const fn displacement(&self) -> f64 {
        self.displacement
    }

    /// Velocity and step together. `look` is 1 for Nesterov's rule and 0 else: the step is
    /// `look (g + m v) + (1 - look) v`.
    fn momentum_pass(&mut self, parameters: &mut [f32], gradient: &[f32], settings: [f32; 4]) {
        let [rate, decay, momentum, look] = settings;
        let (fresh, kept) = (rate * look, rate * (1.0 - look + look * momentum));
        assert_eq!(parameters.len(), self.first.len(), "one velocity per parameter");
        for ((w, g), v) in parameters.iter_mut().zip(gradient).zip(&mut self.first) {
            let g = g + decay * *w;
            *v = momentum * *v + g;
            *w -= fresh * g + kept * *v;
        }
    }

    fn adam_pass(&mut self, parameters: &mut [f32], gradient: &[f32], settings: [f32; 6]) {
        let [beta1, beta2, epsilon, keep, rate, root] = settings;
        assert_eq!(parameters.len(), self.first.len(), "one mean per parameter");
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((w, g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            *w = keep * *w - rate * *m / (v.sqrt() * root + epsilon);
        }
    }
}

fn plain_pass(parameters: &mut [f32], gradient: &[f32], [rate, decay]: [f32; 2]) {
    for (w, g) in parameters.iter_mut().zip(gradient) {
        *w -= rate * (g + decay * *w);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The textbook recurrences on one parameter, in f64.
    fn reference(optimiser: &Optimiser, start: f64, gradients: &[f64], rate: f64) -> f64 {
        let (mut w, mut m, mut v) = (start, 0.0, 0.0);
        for (t, g) in (1..).zip(gradients) {
            match *optimiser {
                Optimiser::Sgd { momentum, nesterov, weight_decay } => {
                    let g = g + weight_decay * w;
                    m = momentum * m + g;
                    w -= rate * if nesterov { g + momentum * m } else { m };
                }
                Optimiser::Adam { beta1, beta2, epsilon, weight_decay } => {
                    m = beta1 * m + (1.0 - beta1) * g;
                    v = beta2 * v + (1.0 - beta2) * g * g;
                    let (mean, square) = (m / (1.0 - beta1.powi(t)), v / (1.0 - beta2.powi(t)));
                    w -= rate * weight_decay * w;
                    w -= rate * mean / (square.sqrt() + epsilon);
                }
            }
        }
        w
    }

    fn any_optimiser() -> impl Strategy<Value = Optimiser> {
        let decay = prop_oneof![Just(0.0), 0.0..0.1];
        let momentum = prop_oneof![Just(0.0), 0.0..0.95];
        let sgd = (momentum, any::<bool>(), decay.clone()).prop_map(
            |(momentum, nesterov, weight_decay)| Optimiser::Sgd {
                momentum,
                nesterov,
                weight_decay,
            },
        );
        let adam = (0.0..0.95, 0.5..0.999, decay).prop_map(|(beta1, beta2, weight_decay)| {
            Optimiser::Adam { beta1, beta2, epsilon: 1e-8, weight_decay }
        });
        prop_oneof![sgd, adam]
    }

    proptest! {
        #[test]
        fn steps_are_those_of_the_papers(
            optimiser in any_optimiser(),
            gradients in prop::collection::vec(prop_oneof![-2.0..-0.1, 0.1..2.0], 1..12),
            start in -1.0..1.0f64,
        ) {
            let mut state = optimiser.start(3);
            let mut parameters = [narrow(start); 3];
            for &g in &gradients {
                state.step(&mut parameters, &[narrow(g); 3], 0.01);
            }
            let expected = reference(&optimiser, start, &gradients, 0.01);
            for w in parameters {
                prop_assert!((f64::from(w) - expected).abs() < 2e-5, "{w} against {expected}");
            }
        }

        #[test]
        fn a_constant_gradient_moves_by_the_displacement(
            momentum in 0.0..0.95f64, nesterov: bool, gradient in -2.0f32..2.0,
            rates in prop::collection::vec(0.001..0.1f64, 1..20),
        ) {
            let mut state = Optimiser::Sgd { momentum, nesterov, weight_decay: 0.0 }.start(1);
            let mut parameters = [0.0];
            for rate in rates {
                state.step(&mut parameters, &[gradient], rate);
            }
            let expected = -state.displacement() * f64::from(gradient);
            let error = (f64::from(parameters[0]) - expected).abs();
            prop_assert!(error < 1e-5 * expected.abs().max(1.0), "{error}");
        }
    }

    #[test]
    fn adam_moves_by_its_rate_whatever_the_size_of_the_gradient() {
        let mut state = Optimiser::adam().start(2);
        let mut parameters = [0.0; 2];
        for _ in 0..10 {
            state.step(&mut parameters, &[1e-3, -1e3], 0.1);
        }
        assert!((state.displacement() - 1.0).abs() < 1e-12);
        assert!((parameters[0] + 1.0).abs() < 1e-3, "{parameters:?}");
        assert!((parameters[1] - 1.0).abs() < 1e-3, "{parameters:?}");
    }

    #[test]
    fn meaningless_settings_are_refused_by_name() {
        let adam = |beta1, beta2, epsilon, weight_decay| Optimiser::Adam {
            beta1,
            beta2,
            epsilon,
            weight_decay,
        };
        let wrong = [
            (Optimiser::sgd(1.0), "momentum"),
            (Optimiser::sgd(f64::NAN), "momentum"),
            (Optimiser::Sgd { momentum: 0.0, nesterov: true, weight_decay: -1.0 }, "weight_decay"),
            (adam(-0.1, 0.9, 1e-8, 0.0), "beta1"),
            (adam(0.9, 1.0, 1e-8, 0.0), "beta2"),
            (adam(0.9, 0.9, 0.0, 0.0), "epsilon"),
            (adam(0.9, 0.9, 1e-8, f64::INFINITY), "weight_decay"),
        ];
        for (optimiser, expected) in wrong {
            let Err(LearningError::Setting { name, .. }) = optimiser.check() else {
                panic!("{optimiser:?} passed");
            };
            assert_eq!(name, expected);
        }
        Optimiser::default().check().unwrap();
        Optimiser::adam().check().unwrap();
    }
}
