//! Attacks on a job's recipe: how much its models and sums show.

use nexus_audit::leakage::{Attempts, View};
use nexus_audit::membership::Effort;
use nexus_audit::{Claim, Limits, Noise, Plain, Private, Recipe, Report, Setup};
use nexus_learning::{Length, LocalConfig};
use nexus_models::data::Dataset;
use nexus_privacy::accounting::{FILTER_SHARE, Unit};
use nexus_training::{Plan, PrivacyTerms};
use nexus_types::{OwnerId, Seed};

use super::owners::Owners;
use super::{plan, protection};
use crate::error::NodeError;
use crate::job::{Builtin, JobFile, Suite};
use crate::simulation::{ROOT_BYTES, Workload};

/// Rows of a step that is attacked, at most: the more, the harder.
const STEP_ROWS: usize = 256;

/// How hard to attack.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Shadow models and targets.
    pub effort: Effort,
    /// Canaries in the one-run bound.
    pub canaries: usize,
    /// Pairs of a row and what was rebuilt of it that the report shows.
    pub pictures: usize,
}

/// Attacks what `job` would train and send, on the rows of its owners.
///
/// # Errors
/// [`NodeError`] if the job or its data are wrong, or there is nothing to attack.
pub fn audit(job: &JobFile, seed: u64, options: Options) -> Result<Report, NodeError> {
    let seed = Seed::from_number(seed);
    let owners = Owners::load(job, &seed)?;
    owners.prepare(&statistics(&owners)?)?;
    let pool = owners.pooled_train()?;
    let plan = plan::plan(job, &owners, &seed)?;
    let keys = protection::keys(job, &plan, [0; ROOT_BYTES]);
    let plan = protection::protect(job, plan, &keys, &owners.rows())?;
    let image = (job.job.data.builtin == Some(Builtin::Digits)).then_some([8, 8]);
    let attempts = Attempts { pictures: options.pictures, ..Attempts::default() };
    let network = owners.model().network();
    let attack = |recipe: &dyn Recipe, claim, noise| {
        let limits = limits(job);
        let view = view(job, &owners, &plan, noise);
        let Options { effort, canaries, .. } = options;
        let setup = Setup::new(network, &pool, recipe, seed.derive("audit", &[]));
        let setup =
            Setup { claim, noise, view, image, effort, attempts, canaries, limits, ..setup };
        Ok(nexus_audit::audit(&setup)?)
    };
    match plan.privacy() {
        None => attack(&plain(&owners, &plan), None, None),
        Some(privacy) if privacy.rate < 1.0 => {
            let help = "audit the same job with `rate = 1.0`, or with --no-privacy";
            let message = "attacks on sampled rounds are not there yet";
            Err(job.problem(&["privacy", "rate"], message, Some(help.to_owned())).into())
        }
        Some(privacy) if privacy.unit == Unit::Record => {
            let noise = noise(privacy, &plan);
            let recipe = private(&owners, privacy, noise, &pool);
            let claim = Claim::gaussian(noise.mu()?, FILTER_SHARE * privacy.delta);
            let claim = claim.map_err(nexus_training::TrainingError::from)?;
            attack(&recipe, Some(claim), Some(noise))
        }
        Some(_) => {
            let help = "audit the same job with `unit = \"record\"`, or with --no-privacy";
            let message = "attacks on whole owners are not there yet";
            Err(job.problem(&["privacy", "unit"], message, Some(help.to_owned())).into())
        }
    }
}

/// The sums over all owners that the encoding of their rows needs.
pub(super) fn statistics(owners: &Owners) -> Result<Vec<f64>, NodeError> {
    let mut sums = vec![0.0; owners.statistics()];
    for owner in (0..).map(OwnerId).take(owners.names().len()) {
        let own = owners.summarise(owner).map_err(|problem| NodeError::usage(problem, ""))?;
        sums.iter_mut().zip(own).for_each(|(sum, value)| *sum += value);
    }
    Ok(sums)
}

/// The job without protection, in one place: what federated averaging comes to.
fn plain<'a>(owners: &'a Owners, plan: &Plan) -> Plain<'a> {
    let local = owners.local();
    let length = match local.length {
        Length::Epochs(epochs) => Length::Epochs(epochs.saturating_mul(plan.rounds)),
        Length::Steps(steps) => Length::Steps(steps.saturating_mul(plan.rounds)),
    };
    Plain { network: owners.model().network(), config: LocalConfig { length, ..local.clone() } }
}

fn noise(privacy: &PrivacyTerms, plan: &Plan) -> Noise {
    let owners = if privacy.local { 1 } else { plan.terms().map_or(1, |terms| terms.n_min) };
    Noise {
        rounds: plan.rounds,
        sigma: privacy.multiplier,
        clip: privacy.clip,
        owners,
        colluding: privacy.colluding,
    }
}

/// The job on half of the pool, as shadow models are trained.
fn private<'a>(
    owners: &'a Owners,
    privacy: &PrivacyTerms,
    noise: Noise,
    pool: &Dataset,
) -> Private<'a> {
    let PrivacyTerms { step, cooldown, .. } = *privacy;
    let network = owners.model().network();
    Private { network, noise, rows: (pool.rows() / 2).max(1), step, cooldown }
}

/// What the coordinator sees of a step.
fn view(job: &JobFile, owners: &Owners, plan: &Plan, noise: Option<Noise>) -> View {
    let clear = job.job.aggregation.suite == Suite::Clear;
    let summed = if clear { 1 } else { plan.asked() as usize };
    let own = owners.rows().into_iter().min().unwrap_or(1) as usize;
    let rows = if noise.is_some() { own } else { own.min(owners.local().batch_size) };
    View { owners: summed, rows: rows.min(STEP_ROWS / summed).max(1), noise }
}

/// What the job says it keeps; of a private one that what attacks of today do not reach.
fn limits(job: &JobFile) -> Limits {
    let section = job.job.audit;
    let usual = if job.job.privacy.is_some() { Limits::private() } else { Limits::default() };
    Limits { auc: section.auc.or(usual.auc), rebuilt: section.rebuilt.or(usual.rebuilt) }
}
