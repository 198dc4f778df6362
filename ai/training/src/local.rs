//! What an owner does in a round: train the model it was sent on its own rows.

use nexus_models::data::Dataset;
use nexus_models::{Mode, Network, Weights, Workspace};
use nexus_training::{LocalResult, LocalTask};
use nexus_types::Seed;
use serde::{Deserialize, Serialize};

use crate::batch::Batches;
use crate::number::{at_least_one, narrow, positive};
use crate::optimiser::OptimiserState;
use crate::{LearningError, Optimiser, Schedule};

/// How long an owner trains in each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// Passes over all of the owner's rows.
    Epochs(u32),
    /// Mini-batches, however many rows the owner has.
    Steps(u32),
}

/// How an owner trains.
///
/// Mini-batches are drawn without replacement from a fresh random order in every epoch; a smaller
/// last batch is used too. The optimiser starts anew in every round, since an owner may not take
/// part in the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalConfig {
    /// How long.
    pub length: Length,
    /// Rows in a mini-batch.
    pub batch_size: usize,
    /// The learning rate before the schedule.
    pub learning_rate: f64,
    /// What is made of a gradient.
    pub optimiser: Optimiser,
    /// How the learning rate changes over the job.
    pub schedule: Schedule,
}

impl Default for LocalConfig {
    /// Five epochs in batches of 32 rows, SGD with momentum 0.9 at a constant learning rate of
    /// 0.1.
    fn default() -> Self {
        Self {
            length: Length::Epochs(5),
            batch_size: 32,
            learning_rate: 0.1,
            optimiser: Optimiser::default(),
            schedule: Schedule::default(),
        }
    }
}

impl LocalConfig {
    /// Checks that every setting has a meaning.
    ///
    /// # Errors
    /// [`LearningError::Setting`] names the first one that has none.
    pub fn check(&self) -> Result<(), LearningError> {
        let (Length::Epochs(length) | Length::Steps(length)) = self.length;
        at_least_one("local_epochs or local_steps", length as usize)?;
        at_least_one("batch_size", self.batch_size)?;
        positive("learning_rate", self.learning_rate)?;
        self.optimiser.check()?;
        self.schedule.check()
    }
}

/// Trains the model of `task` on `data` and returns what that changed.
///
/// The gradient of each step is the mean over its mini-batch, plus FedProx's `mu (w - w_0)`
/// (Li et al. 2020, arXiv:1812.06127, equation 2) and SCAFFOLD's `c - c_i` (Karimireddy et al.
/// 2020, arXiv:1910.06378, algorithm 1) where the task asks for them.
///
/// The result depends on its arguments alone, bit for bit. Order and dropout are drawn from
/// `seed`, freshly for each task; it must differ from owner to owner. Beyond the parameters and
/// the optimiser's state it takes memory for one mini-batch, which all steps share.
///
/// # Errors
/// [`LearningError::Diverged`] once a loss or, at the end, a parameter is not finite;
/// [`LearningError::CorrectionNeedsSgd`] for SCAFFOLD with Adam; [`LearningError::Setting`],
/// [`LearningError::NoRows`], [`LearningError::Length`] and [`LearningError::Model`] if config,
/// data, task and network do not fit each other.
pub fn train_local(
    network: &Network<f32>,
    data: &Dataset,
    config: &LocalConfig,
    task: &LocalTask,
    seed: &Seed,
) -> Result<LocalResult, LearningError> {
    check(network, data, config, task)?;
    let mut run = Run::new(network, data, config, task, seed);
    for step in 1..=run.steps {
        run.step(step)?;
    }
    run.finish()
}

fn check(
    network: &Network<f32>,
    data: &Dataset,
    config: &LocalConfig,
    task: &LocalTask,
) -> Result<(), LearningError> {
    config.check()?;
    if data.rows() == 0 {
        return Err(LearningError::NoRows);
    }
    fits("features of a row", data.width(), network.inputs())?;
    fits("parameters", task.parameters.len(), network.parameters())?;
    if let Some(correction) = &task.correction {
        fits("corrections", correction.len(), network.parameters())?;
        if matches!(config.optimiser, Optimiser::Adam { .. }) {
            return Err(LearningError::CorrectionNeedsSgd);
        }
    }
    Ok(())
}

pub(crate) fn fits(what: &'static str, got: usize, expected: usize) -> Result<(), LearningError> {
    if got == expected { Ok(()) } else { Err(LearningError::Length { what, got, expected }) }
}

/// One owner's training in one round.
struct Run<'a> {
    network: &'a Network<f32>,
    config: &'a LocalConfig,
    task: &'a LocalTask,
    seed: Seed,
    batches: Batches<'a>,
    steps: u64,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    optimiser: OptimiserState,
    workspace: Workspace<f32>,
    loss_sum: f64,
    examples_seen: u64,
}

impl<'a> Run<'a> {
    fn new(
        network: &'a Network<f32>,
        data: &'a Dataset,
        config: &'a LocalConfig,
        task: &'a LocalTask,
        seed: &Seed,
    ) -> Self {
        let seed = seed.derive("local training", &[task.id.round.0.into(), task.id.repeat.into()]);
        let batches = Batches::of(data, config.batch_size, seed.derive("order", &[]));
        let steps = match config.length {
            Length::Epochs(epochs) => u64::from(epochs) * batches.per_epoch(),
            Length::Steps(steps) => u64::from(steps),
        };
        Self {
            network,
            config,
            task,
            seed,
            batches,
            steps,
            parameters: task.parameters.clone(),
            gradient: vec![0.0; network.parameters()],
            optimiser: config.optimiser.start(network.parameters()),
            workspace: Workspace::default(),
            loss_sum: 0.0,
            examples_seen: 0,
        }
    }

    fn step(&mut self, step: u64) -> Result<(), LearningError> {
        let batch = self.batches.next();
        let mode = Mode::Train { seed: self.seed.derive("dropout", &[step]) };
        let (parameters, workspace) = (&mut self.parameters, &mut self.workspace);
        let examples = batch.examples();
        let fill = |room: &mut [f32]| batch.gather(room);
        self.network.forward_with(parameters, examples, mode, workspace, fill)?;
        let losses = self.network.backward(parameters, &batch.targets, workspace)?;
        let loss: f64 = losses.iter().copied().map(f64::from).sum();
        if !loss.is_finite() {
            return Err(self.diverged(step, "the loss"));
        }
        self.loss_sum += loss;
        self.examples_seen += examples as u64;
        let mean = Weights::Uniform(narrow(1.0 / examples as f64));
        self.network.weighted_gradient(workspace, mean, &mut self.gradient)?;
        add_terms(&mut self.gradient, parameters, self.task);
        let rate = self.learning_rate(step);
        self.optimiser.step(&mut self.parameters, &self.gradient, rate);
        Ok(())
    }

    /// The learning rate in the middle of a step, so that no schedule makes a step of length 0
    /// inside its rounds.
    fn learning_rate(&self, step: u64) -> f64 {
        let done = (step as f64 - 0.5) / self.steps as f64;
        let time = f64::from(self.task.id.round.0.saturating_sub(1)) + done;
        self.config.learning_rate * self.config.schedule.factor(time)
    }

    fn diverged(&self, step: u64, what: &'static str) -> LearningError {
        let (round, learning_rate) = (self.task.id.round.0, self.learning_rate(step));
        LearningError::Diverged { round, step, learning_rate, what }
    }

    fn finish(mut self) -> Result<LocalResult, LearningError> {
        if !self.parameters.iter().all(|w| w.is_finite()) {
            return Err(self.diverged(self.steps, "a parameter"));
        }
        for (w, start) in self.parameters.iter_mut().zip(&self.task.parameters) {
            *w -= start;
        }
        let examples = self.batches.rows();
        Ok(LocalResult {
            delta: self.parameters,
            examples,
            loss_sum: self.loss_sum / self.examples_seen as f64 * examples as f64,
            steps: self.steps,
            displacement: self.optimiser.displacement(),
        })
    }
}

/// Adds what the server's strategy adds to every gradient.
fn add_terms(gradient: &mut [f32], parameters: &[f32], task: &LocalTask) {
    if task.proximal > 0.0 {
        for ((g, w), start) in gradient.iter_mut().zip(parameters).zip(&task.parameters) {
            *g += task.proximal * (w - start);
        }
    }
    if let Some(correction) = &task.correction {
        for (g, c) in gradient.iter_mut().zip(correction) {
            *g += c;
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_models::data::{DataTargets, builtin};
    use nexus_models::{LayerSpec, ModelSpec};
    use nexus_training::TaskId;
    use nexus_types::Round;
    use proptest::prelude::*;

    use super::*;

    fn task(parameters: Vec<f32>) -> LocalTask {
        LocalTask {
            id: TaskId::first(Round(1)),
            parameters,
            proximal: 0.0,
            correction: None,
            summary: Vec::new(),
        }
    }

    fn plain(length: Length) -> LocalConfig {
        LocalConfig { length, optimiser: Optimiser::sgd(0.0), ..LocalConfig::default() }
    }

    fn digits_mlp() -> (Network<f32>, Dataset, LocalTask) {
        let network = Network::new(&ModelSpec::mlp(64, &[16], 10)).unwrap();
        let data = builtin::digits().select(&(0..150).collect::<Vec<_>>());
        let parameters = network.initial(&Seed::from_number(1));
        (network, data, task(parameters))
    }

    fn norm(values: &[f32]) -> f64 {
        values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|x| x.to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Rows of zeros through a linear layer without bias have no gradient, so the correction
        /// is the whole gradient, and constant.
        #[test]
        fn the_update_is_minus_the_displacement_times_a_constant_gradient(
            correction in prop::collection::vec(-1.0f32..1.0, 3), momentum in 0.0..0.95f64,
            nesterov: bool, steps in 1u32..30, round in 1u32..5,
            schedule in prop_oneof![
                Just(Schedule::Constant),
                Just(Schedule::Cosine { rounds: 5, floor: 0.0 }),
                Just(Schedule::LinearWarmup { rounds: 3 }),
            ],
        ) {
            let spec = ModelSpec {
                layers: vec![LayerSpec::Linear { outputs: 1, bias: false }],
                ..ModelSpec::linear(3)
            };
            let network = Network::new(&spec).unwrap();
            let targets = DataTargets::Values(vec![1.0; 7]);
            let data = Dataset::new(3, vec![0.0; 21], targets, vec![0; 7]).unwrap();
            let config = LocalConfig {
                length: Length::Steps(steps),
                batch_size: 2,
                optimiser: Optimiser::Sgd { momentum, nesterov, weight_decay: 0.0 },
                schedule,
                ..LocalConfig::default()
            };
            let mut task = task(vec![0.0; 3]);
            task.id = TaskId::first(Round(round));
            task.correction = Some(correction.clone());
            let result = train_local(&network, &data, &config, &task, &Seed::from_number(0)).unwrap();
            prop_assert!(result.displacement > 0.0);
            prop_assert_eq!((result.steps, result.examples), (u64::from(steps), 7));
            prop_assert!((result.loss_sum - 7.0).abs() < 1e-9, "loss 1 each: {}", result.loss_sum);
            for (delta, gradient) in result.delta.iter().zip(correction) {
                let expected = -result.displacement * f64::from(gradient);
                prop_assert!((f64::from(*delta) - expected).abs() < 1e-5 * expected.abs().max(1.0));
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bits_and_another_one_does_not() {
        let (network, data, task) = digits_mlp();
        let config = LocalConfig::default();
        let delta = |seed: u64, task: &LocalTask| {
            let seed = Seed::from_number(seed);
            bits(&train_local(&network, &data, &config, task, &seed).unwrap().delta)
        };
        assert_eq!(delta(1, &task), delta(1, &task));
        assert_ne!(delta(1, &task), delta(2, &task));
        let next = LocalTask { id: TaskId::first(Round(2)), ..task.clone() };
        assert_ne!(delta(1, &task), delta(1, &next), "every round has its own order");
        let seeds = || (0..6).collect::<Vec<_>>();
        let on = |threads| crate::parallel::map(seeds(), threads, |seed| delta(seed, &task));
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn epochs_are_as_many_steps_as_they_have_batches() {
        let (network, data, task) = digits_mlp();
        let seed = Seed::from_number(1);
        let run = |length| train_local(&network, &data, &plain(length), &task, &seed).unwrap();
        let (epochs, steps) = (run(Length::Epochs(3)), run(Length::Steps(15)));
        assert_eq!(epochs.steps, 15, "150 rows are four batches of 32 and one of 22");
        assert_eq!(epochs, steps);
        assert!((epochs.displacement - 1.5).abs() < 1e-12);
    }

    #[test]
    fn fedprox_holds_the_model_near_its_start() {
        let (network, data, task) = digits_mlp();
        let moved = |proximal: f32| {
            let task = LocalTask { proximal, ..task.clone() };
            let config = plain(Length::Epochs(5));
            norm(
                &train_local(&network, &data, &config, &task, &Seed::from_number(1)).unwrap().delta,
            )
        };
        assert!(moved(1.0) < 0.8 * moved(0.0));
        // At 1 / learning rate every step starts from the first parameters again.
        assert!(moved(10.0) < 0.1 * moved(0.0), "{} of {}", moved(10.0), moved(0.0));
    }

    #[test]
    fn a_correction_of_zero_is_none() {
        let (network, data, task) = digits_mlp();
        let (config, seed) = (LocalConfig::default(), Seed::from_number(1));
        let corrected =
            LocalTask { correction: Some(vec![0.0; task.parameters.len()]), ..task.clone() };
        assert_eq!(
            train_local(&network, &data, &config, &task, &seed).unwrap(),
            train_local(&network, &data, &config, &corrected, &seed).unwrap()
        );
    }

    #[test]
    fn divergence_names_the_step_and_the_learning_rate() {
        let (network, data, task) = digits_mlp();
        let diverged = |length, learning_rate| {
            let config = LocalConfig { learning_rate, ..plain(length) };
            train_local(&network, &data, &config, &task, &Seed::from_number(1)).unwrap_err()
        };
        let error = diverged(Length::Epochs(1), 1e30);
        let LearningError::Diverged { round: 1, step: 2, what: "the loss", .. } = error else {
            panic!("{error}");
        };
        let text = diverged(Length::Steps(1), 1e300).to_string();
        assert!(text.contains("local step 1 of round 1"), "{text}");
        assert!(text.contains("a parameter is not finite"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (network, data, task) = digits_mlp();
        let refused = |data: &Dataset, config: &LocalConfig, task: &LocalTask| {
            train_local(&network, data, config, task, &Seed::from_number(1))
                .unwrap_err()
                .to_string()
        };
        let config = LocalConfig::default();
        assert_eq!(refused(&data.select(&[]), &config, &task), "the data set has no rows");
        let short = LocalTask { parameters: vec![0.0; 3], ..task.clone() };
        assert!(refused(&data, &config, &short).starts_with("parameters: 3, expected "));
        let corrected = LocalTask { correction: Some(task.parameters.clone()), ..task.clone() };
        let adam = LocalConfig { optimiser: Optimiser::adam(), ..config.clone() };
        assert!(refused(&data, &adam, &corrected).contains("SGD"));
        let settings = [
            (LocalConfig { length: Length::Epochs(0), ..config.clone() }, "local_epochs"),
            (LocalConfig { batch_size: 0, ..config.clone() }, "batch_size"),
            (LocalConfig { learning_rate: f64::NAN, ..config }, "learning_rate"),
        ];
        for (config, name) in settings {
            assert!(refused(&data, &config, &task).contains(name));
        }
    }

    #[test]
    fn configurations_are_read_from_what_people_write() {
        let text = r#"{
            "length": {"steps": 7}, "learning_rate": 0.01,
            "optimiser": {"adam": {"weight_decay": 0.01}}, "schedule": {"cosine": {"rounds": 3}}
        }"#;
        let config: LocalConfig = serde_json::from_str(text).unwrap();
        assert_eq!((config.length, config.batch_size), (Length::Steps(7), 32));
        assert_eq!(config.schedule, Schedule::Cosine { rounds: 3, floor: 0.0 });
        let Optimiser::Adam { beta2, weight_decay, .. } = config.optimiser else {
            panic!("{config:?}");
        };
        assert!((beta2 - 0.999).abs() < 1e-12 && (weight_decay - 0.01).abs() < 1e-12);
    }
}
