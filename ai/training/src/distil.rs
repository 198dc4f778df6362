//! Distillation: a network learns to give the numbers that another one gives.

use nexus_models::{Loss, Mode, ModelSpec, Network, Targets, Weights, Workspace};
use nexus_types::{Seed, SeededRng};
use serde::{Deserialize, Serialize};

use crate::local::fits;
use crate::number::{at_least_one, narrow, positive};
use crate::{LearningError, Optimiser, Schedule};

/// How long a network learns from another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Distillation {
    /// Steps of Adam.
    pub steps: u32,
    /// Rows of a step.
    pub batch_size: usize,
    /// The learning rate of the first step; it falls to 0 along half a cosine wave.
    pub learning_rate: f64,
}

impl Default for Distillation {
    /// 4000 steps of 64 rows from 0.002 on.
    fn default() -> Self {
        Self { steps: 4000, batch_size: 64, learning_rate: 0.002 }
    }
}

/// The parameters with which `student`, from its parameters on, gives nearly what `teacher` gives:
/// the mean squared distance of their outputs falls (Ba & Caruana 2014, arXiv:1312.6184). What
/// losses the two are trained with does not matter.
///
/// `rows` are of [`Network::inputs`] numbers, one after the other, without labels. What is learned from is
/// λx + (1 − λ)y of two of them, with λ uniform in [0, 1] (mixup: Zhang et al. 2018,
/// arXiv:1710.09412), for which the teacher has numbers as well: so a few hundred rows are enough.
///
/// The result depends on the arguments alone, bit for bit on one machine.
///
/// # Errors
/// [`LearningError::Diverged`] once the distance is not finite; [`LearningError::NoRows`],
/// [`LearningError::Setting`], [`LearningError::Length`], [`LearningError::Model`].
pub fn distil(
    teacher: (&Network<f32>, &[f32]),
    student: (&ModelSpec, Vec<f32>),
    rows: &[f32],
    config: &Distillation,
    seed: &Seed,
) -> Result<Vec<f32>, LearningError> {
    config.check()?;
    let spec = ModelSpec { loss: Loss::MeanSquaredError, ..student.0.clone() };
    let (network, mut parameters) = (Network::<f32>::new(&spec)?, student.1);
    fits("inputs of the student", network.inputs(), teacher.0.inputs())?;
    fits("outputs of the student", network.outputs(), teacher.0.outputs())?;
    let mut mixes = Mixes::new(rows, network.inputs(), seed)?;
    let mut optimiser = Optimiser::adam().start(network.parameters());
    let mut gradient = vec![0.0; network.parameters()];
    let (mut known, mut own) = (Workspace::new(), Workspace::new());
    for step in 1..=config.steps {
        let (count, batch) = (config.batch_size, mixes.next(config.batch_size));
        let targets = teacher.0.forward(teacher.1, batch, count, Mode::Eval, &mut known)?;
        let mode = Mode::Train { seed: seed.derive("distillation dropout", &[step.into()]) };
        network.forward(&parameters, batch, count, mode, &mut own)?;
        let losses = network.backward(&parameters, &Targets::Values(targets), &mut own)?;
        let (rate, step) = (config.rate(step), u64::from(step));
        if !losses.iter().sum::<f32>().is_finite() {
            let what = "the distance from the teacher";
            return Err(LearningError::Diverged { round: 1, step, learning_rate: rate, what });
        }
        let mean = Weights::Uniform(narrow(1.0 / count as f64));
        network.weighted_gradient(&mut own, mean, &mut gradient)?;
        optimiser.step(&mut parameters, &gradient, rate);
    }
    Ok(parameters)
}

impl Distillation {
    fn check(&self) -> Result<(), LearningError> {
        at_least_one("steps", self.steps as usize)?;
        at_least_one("batch_size", self.batch_size)?;
        positive("learning_rate", self.learning_rate)
    }

    fn rate(&self, step: u32) -> f64 {
        let schedule = Schedule::Cosine { rounds: self.steps, floor: 0.0 };
        self.learning_rate * schedule.factor(f64::from(step) - 0.5)
    }
}

/// Rows between two rows.
struct Mixes<'a> {
    rows: Vec<&'a [f32]>,
    batch: Vec<f32>,
    rng: SeededRng,
}

impl<'a> Mixes<'a> {
    fn new(rows: &'a [f32], width: usize, seed: &Seed) -> Result<Self, LearningError> {
        fits("numbers of the last row", rows.len() % width, 0)?;
        if rows.is_empty() {
            return Err(LearningError::NoRows);
        }
        let rng = seed.derive("distillation rows", &[]).rng();
        Ok(Self { rows: rows.chunks_exact(width).collect(), batch: Vec::new(), rng })
    }

    fn draw(&mut self) -> &'a [f32] {
        let at = self.rng.below(self.rows.len() as u64);
        self.rows[usize::try_from(at).unwrap_or_default()]
    }

    fn next(&mut self, count: usize) -> &[f32] {
        self.batch.clear();
        for _ in 0..count {
            let [one, other] = [(); 2].map(|()| self.draw());
            let share = narrow(self.rng.unit());
            let mix = one.iter().zip(other).map(|(a, b)| share * a + (1.0 - share) * b);
            self.batch.extend(mix);
        }
        &self.batch
    }
}

#[cfg(test)]
mod tests {
    use nexus_models::{LayerSpec, ModelError};

    use super::*;

    fn perceptron(layer: LayerSpec) -> ModelSpec {
        let mut spec = ModelSpec::mlp(5, &[16], 3);
        spec.layers[1] = layer;
        spec
    }

    fn rows(count: usize, seed: u64) -> Vec<f32> {
        let mut rng = Seed::from_number(seed).rng();
        (0..count * 5).map(|_| narrow(rng.unit())).collect()
    }

    /// The mean squared distance of two networks.
    fn distance(networks: [(&ModelSpec, &[f32]); 2], rows: &[f32]) -> f32 {
        let [one, other] = networks.map(|(spec, parameters)| {
            let network = Network::<f32>::new(spec).unwrap();
            let layers = 0..spec.layers.len();
            network.through(layers, parameters, rows, rows.len() / 5).unwrap()
        });
        let squares = one.iter().zip(&other).map(|(a, b)| (a - b).powi(2));
        squares.sum::<f32>() / one.len() as f32
    }

    #[test]
    fn a_student_comes_to_answer_as_its_teacher_where_neither_was_shown() {
        let (teacher, student) = (
            perceptron(LayerSpec::Tanh),
            perceptron(LayerSpec::Polynomial { range: 1.0, coefficients: vec![0.0, 1.0, 0.5] }),
        );
        let network = Network::<f32>::new(&teacher).unwrap();
        let known: Vec<f32> =
            network.initial(&Seed::from_number(1)).iter().map(|weight| 3.0 * weight).collect();
        let config = Distillation { steps: 1500, ..Distillation::default() };
        let learn = |seed| {
            let (student, seed) = ((&student, known.clone()), Seed::from_number(seed));
            distil((&network, &known), student, &rows(60, 2), &config, &seed).unwrap()
        };
        let (others, learned) = (rows(200, 3), learn(4));
        let before = distance([(&teacher, &known), (&student, &known)], &others);
        let after = distance([(&teacher, &known), (&student, &learned)], &others);
        assert!(after < 0.02 * before, "{before} became {after}");
        assert_eq!(learn(4), learned);
        assert_ne!(learn(5), learned);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let spec = perceptron(LayerSpec::Tanh);
        let network = Network::<f32>::new(&spec).unwrap();
        let known = network.initial(&Seed::from_number(1));
        let seed = Seed::from_number(2);
        let learn = |student: &ModelSpec, rows: &[f32], config: &Distillation| {
            distil((&network, &known), (student, known.clone()), rows, config, &seed).unwrap_err()
        };
        let config = Distillation { steps: 50, ..Distillation::default() };
        assert!(matches!(learn(&spec, &[], &config), LearningError::NoRows));
        assert!(matches!(learn(&spec, &[0.0; 7], &config), LearningError::Length { got: 2, .. }));
        let two = ModelSpec::mlp(5, &[16], 2);
        assert!(matches!(learn(&two, &[0.0; 5], &config), LearningError::Length { got: 2, .. }));
        let wide = ModelSpec::mlp(5, &[17], 3);
        let got = learn(&wide, &[0.0; 5], &config);
        assert!(matches!(got, LearningError::Model(ModelError::Parameters { .. })), "{got}");
        let none = Distillation { batch_size: 0, ..config };
        let got = learn(&spec, &[0.0; 5], &none);
        assert!(matches!(got, LearningError::Setting { name: "batch_size", .. }), "{got}");
        let far = LayerSpec::Polynomial { range: 1e-9, coefficients: vec![0.0, 0.0, 0.0, 1e9] };
        let got = learn(&perceptron(far), &rows(9, 5), &config);
        assert!(matches!(got, LearningError::Diverged { step: 1, .. }), "{got}");
    }
}
