//! Owners that have their steps taken by a machine that sees no row.
//!
//! The machine is this process: it is given bytes and gives bytes, and holds no key.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use nexus_learning::encrypted::{EncryptedError, Owner, Settings, Terms, Worker};
use nexus_learning::{LearningError, evaluate, parallel};
use nexus_models::data::{DataTargets, Dataset};
use nexus_models::{LayerSpec, Network};
use nexus_training::{LocalResult, LocalTask};
use nexus_types::{OwnerId, SystemClock};

use crate::error::NodeError;
use crate::job::{JobFile, TrainingMode};
use crate::random::SystemRng;
use crate::summary::EncryptedTraining;

/// Steps of an exchange unless the job says otherwise.
const STEPS: u32 = 1;

/// How all owners train, and those that have begun.
#[derive(Debug)]
pub(super) struct Outsourced {
    settings: Settings,
    owners: Vec<Mutex<Option<Session>>>,
    figures: Mutex<Figures>,
}

/// An owner and its worker.
struct Session {
    owner: Owner,
    worker: Worker,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("worker", &self.worker).finish_non_exhaustive()
    }
}

/// What it came to, over all owners.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    degree: u32,
    key_bytes: u64,
    row_bytes: u64,
    up_bytes: u64,
    down_bytes: u64,
    exchanges: u64,
    seconds: f64,
}

impl Outsourced {
    /// What the job asks for, if it does.
    pub(super) fn of(job: &JobFile, owners: usize) -> Result<Option<Self>, NodeError> {
        let training = &job.job.training;
        if training.mode != TrainingMode::Encrypted {
            return Ok(None);
        }
        let settings = Settings {
            steps: training.local_steps.unwrap_or(STEPS),
            learning_rate: training.learning_rate,
            momentum: training.momentum,
            weight_decay: training.weight_decay,
            range: training.sigmoid_range.unwrap_or(Settings::default().range),
        };
        settings.check().map_err(|error| job.problem(key(&error), &error.to_string(), None))?;
        let owners = (0..owners).map(|_| Mutex::new(None)).collect();
        Ok(Some(Self { settings, owners, figures: Mutex::default() }))
    }

    /// Steps with which a round begins and ends.
    pub(super) const fn steps(&self) -> u32 {
        self.settings.steps
    }

    /// One exchange: some steps from the model of `task`.
    pub(super) fn update(
        &self,
        owner: OwnerId,
        task: &LocalTask,
        network: &Network<f32>,
        data: &Dataset,
    ) -> Result<LocalResult, String> {
        let tested = evaluate(network, &task.parameters, data).map_err(|it| it.to_string())?;
        let weights: Vec<f64> = task.parameters.iter().map(|it| f64::from(*it)).collect();
        let place = self.owners.get(owner.index()).ok_or_else(|| format!("no {owner}"))?;
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let trained = self.exchange(&mut place, &weights, network, data);
        let trained = trained.map_err(|error| error.to_string())?;
        #[expect(clippy::cast_possible_truncation, reason = "models compute with f32")]
        let delta = trained.iter().zip(&weights).map(|(to, from)| (to - from) as f32).collect();
        let Settings { steps, learning_rate, .. } = self.settings;
        Ok(LocalResult {
            delta,
            examples: tested.examples,
            loss_sum: tested.loss * tested.examples as f64,
            steps: steps.into(),
            displacement: learning_rate * f64::from(steps),
        })
    }

    fn exchange(
        &self,
        place: &mut Option<Session>,
        weights: &[f64],
        network: &Network<f32>,
        data: &Dataset,
    ) -> Result<Vec<f64>, OutsourcingError> {
        let clock = SystemClock::default();
        let rng = &mut SystemRng::default();
        let session = match place {
            Some(session) => session,
            None => place.insert(self.begun(network, data)?),
        };
        let question = session.owner.question(weights, rng)?;
        let answer = session.worker.train(&question)?;
        let trained = session.owner.weights(&answer)?;
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.exchanges += 1;
        figures.up_bytes += question.len() as u64;
        figures.down_bytes += answer.len() as u64;
        figures.seconds += clock.seconds();
        Ok(trained)
    }

    /// Keys and rows are made and handed over.
    fn begun(&self, network: &Network<f32>, data: &Dataset) -> Result<Session, OutsourcingError> {
        let rng = &mut SystemRng::default();
        let rows = before_the_weights(network, data)?;
        let labels = labels(data)?;
        let terms = Terms::plan(labels.len(), network.parameters() - 1, &self.settings)?;
        let owner = Owner::new(terms.clone(), &rows, &labels, rng)?;
        let (keys, rows) = (owner.keys(rng)?, owner.rows(rng)?);
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.degree = figures.degree.max(terms.degree);
        figures.key_bytes += keys.len() as u64;
        figures.row_bytes += rows.len() as u64;
        drop(figures);
        let threads = if self.owners.len() == 1 { parallel::threads() } else { 1 };
        let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
        Ok(Session { worker: Worker::new(terms, &keys, &rows)?.on(threads)?, owner })
    }

    /// What it came to.
    pub(super) fn summary(&self) -> EncryptedTraining {
        let figures = *self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        EncryptedTraining {
            degree: figures.degree,
            steps: self.settings.steps,
            sigmoid_range: self.settings.range,
            exchanges: figures.exchanges,
            key_bytes: figures.key_bytes,
            row_bytes: figures.row_bytes,
            bytes_up: figures.up_bytes,
            bytes_down: figures.down_bytes,
            seconds: figures.seconds,
            note: EncryptedTraining::NOTE.to_owned(),
        }
    }
}

/// Why an owner has no update.
#[derive(Debug, thiserror::Error)]
enum OutsourcingError {
    #[error(transparent)]
    Encrypted(#[from] EncryptedError),
    #[error(transparent)]
    Learning(#[from] LearningError),
    #[error(transparent)]
    Model(#[from] nexus_models::ModelError),
}

/// Rows as the weights see them: a model may scale its inputs before.
fn before_the_weights(
    network: &Network<f32>,
    data: &Dataset,
) -> Result<Vec<f32>, OutsourcingError> {
    let scales = |layer: &&LayerSpec| matches!(layer, LayerSpec::Rescale { .. });
    let layers = network.spec().layers.iter().take_while(scales).count();
    // Nothing before the weights has a parameter.
    let none = vec![0.0; network.parameters()];
    Ok(network.through(0..layers, &none, data.features(), data.rows())?)
}

/// Whether each row is of the second class.
fn labels(data: &Dataset) -> Result<Vec<bool>, LearningError> {
    match data.targets() {
        DataTargets::Classes { labels, .. } => Ok(labels.iter().map(|label| *label == 1).collect()),
        DataTargets::Values(_) => {
            Err(LearningError::Targets { what: "encrypted training", needs: "two classes" })
        }
    }
}

/// Where in the job the reason stands.
fn key(error: &LearningError) -> &'static [&'static str] {
    let LearningError::Setting { name, .. } = error else { return &["training", "mode"] };
    match *name {
        "steps" => &["training", "local_steps"],
        "learning_rate" => &["training", "learning_rate"],
        "momentum" => &["training", "momentum"],
        "weight_decay" => &["training", "weight_decay"],
        _ => &["training", "sigmoid_range"],
    }
}
