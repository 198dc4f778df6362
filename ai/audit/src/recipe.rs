//! How the models under attack are trained.

use nexus_learning::{LocalConfig, train_local};
use nexus_models::data::Dataset;
use nexus_models::{Network, Real, Workspace};
use nexus_training::{LocalTask, TaskId, cooled};
use nexus_types::{Round, Seed};

use crate::AuditError;
use crate::gradients::add_weighted;
use crate::mechanism::{Mechanism, Noise, SecureSum};

/// A way to train: what a job does, from rows to the parameters that it publishes.
///
/// Shadow models are trained by it on random halves of a pool, so an attack measures the recipe:
/// architecture, epochs, clip and noise included.
pub trait Recipe: Sync {
    /// The parameters after training on `data`. It must depend on its arguments alone.
    ///
    /// # Errors
    /// [`AuditError::Recipe`] for what a job may meet; [`AuditError::Learning`].
    fn train(&self, data: &Dataset, seed: &Seed) -> Result<Vec<f32>, AuditError>;
}

impl<F> Recipe for F
where
    F: Fn(&Dataset, &Seed) -> Result<Vec<f32>, AuditError> + Sync,
{
    fn train(&self, data: &Dataset, seed: &Seed) -> Result<Vec<f32>, AuditError> {
        self(data, seed)
    }
}

/// Training in one place, without protection.
#[derive(Clone, Debug)]
pub struct Plain<'a> {
    /// The model.
    pub network: &'a Network<f32>,
    /// Mini-batches, optimiser, epochs.
    pub config: LocalConfig,
}

impl Recipe for Plain<'_> {
    fn train(&self, data: &Dataset, seed: &Seed) -> Result<Vec<f32>, AuditError> {
        let mut parameters = self.network.initial(seed);
        let task = LocalTask {
            id: TaskId::first(Round(1)),
            parameters: parameters.clone(),
            proximal: 0.0,
            correction: None,
            summary: Vec::new(),
        };
        let result = train_local(self.network, data, &self.config, &task, seed)?;
        parameters.iter_mut().zip(result.delta).for_each(|(w, change)| *w += change);
        Ok(parameters)
    }
}

/// Gradient descent on full batches with clipped rows and noise on every sum: what jobs with
/// privacy at the level of a record do.
///
/// The shares of a secure sum add up to the noise of one place (to a factor 1 ± 1e-60), so a shadow
/// model draws it at once.
#[derive(Clone, Debug)]
pub struct Private<'a> {
    /// The model.
    pub network: &'a Network<f32>,
    /// Rounds, clip and noise.
    pub noise: Noise,
    /// The number of rows that is declared in public, the same whatever the true one is.
    pub rows: usize,
    /// The length of a step in clips of the mean gradient: the noisy sum times this, over rows times
    /// clip.
    pub step: f64,
    /// Share of the rounds, the last ones, over which the step falls evenly to 0.
    pub cooldown: f64,
}

impl Recipe for Private<'_> {
    fn train(&self, data: &Dataset, seed: &Seed) -> Result<Vec<f32>, AuditError> {
        let noise = self.noise.central();
        let secret = seed.derive("nexus/audit/noise", &[]);
        // Room for more rows than declared: whether sums fit must not follow from their number.
        let room = self.rows.saturating_mul(2);
        let mut sum = SecureSum::new(&noise, self.network.parameters(), room, &secret)?;
        let mut parameters = self.network.initial(seed);
        let mut workspace = Workspace::new();
        for round in 1..=noise.rounds {
            let step = cooled(self.step, self.cooldown, Round(round), noise.rounds)
                / (self.rows.max(1) as f64 * noise.clip);
            let mut sums = vec![0.0; parameters.len()];
            let weight = |norm_sq| sum.weight(norm_sq);
            add_weighted(self.network, &parameters, data, &mut workspace, weight, &mut sums)?;
            for (w, value) in parameters.iter_mut().zip(sum.release(&[sums])?) {
                *w -= f32::of(step * value);
            }
        }
        Ok(parameters)
    }
}
