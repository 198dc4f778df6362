//! Who sees what in a run: from the job's `[aggregation]` to the terms of masked sums.

use std::sync::Arc;

use getrandom::SysRng;
use getrandom::rand_core::TryRng;
use nexus_mpc::aggregation::secagg_plus;
use nexus_privacy::accounting::{self, Unit};
use nexus_privacy::flow::Purpose;
use nexus_training::{EngineTerms, JobTerms, Plan, PrivacyTerms, Protection, TrainingError};

use crate::error::NodeError;
use crate::job::{AggregationSection, JobFile, PrivacySection, Suite};
use crate::simulation::{Keys, ROOT_BYTES};
use crate::summary::{Assumed, Committee, SecureSum};

use super::plan::refused;

/// A root for the keys of a run's parties, from the operating system.
pub(super) fn fresh_root() -> Result<[u8; ROOT_BYTES], NodeError> {
    let mut root = [0; ROOT_BYTES];
    SysRng.try_fill_bytes(&mut root).map_err(|_| NodeError::NoRandomness)?;
    Ok(root)
}

/// The keys that follow from `root` for the parties of `plan`.
pub(super) fn keys(job: &JobFile, plan: &Plan, root: [u8; ROOT_BYTES]) -> Keys {
    let section = &job.job.aggregation;
    let members = if section.suite == Suite::Nx { section.members() } else { 0 };
    Keys::derive(root, plan.owners, members)
}

/// Whether `plan` can be put under the terms that the job asks for, whatever the keys are.
pub(super) fn check(job: &JobFile, plan: &Plan, rows: &[u32]) -> Result<(), NodeError> {
    let plan = protect(job, plan.clone(), &keys(job, plan, [0; ROOT_BYTES]), rows)?;
    enough_owners(job, &plan).map(drop)
}

/// `plan` under the terms that the job asks for.
pub(super) fn protect(
    job: &JobFile,
    mut plan: Plan,
    keys: &Keys,
    rows: &[u32],
) -> Result<Plan, NodeError> {
    let section = &job.job.aggregation;
    let Some(mut engine) = engine(section, keys) else { return Ok(plan) };
    let n_min = n_min(job, &engine, &plan);
    let refuse = |error| refused(job, &error);
    let privacy = privacy(job, &plan, &mut engine, n_min, rows).map_err(refuse)?;
    let terms = JobTerms {
        job: plan.job,
        coordinator: keys.coordinator().public(),
        owners: Keys::public(keys.owners()),
        n_min,
        attempts: section.max_attempts(),
        clip: privacy.as_ref().map_or_else(|| section.clip(), |privacy| privacy.clip),
        engine,
        privacy,
    };
    plan.protection = Protection::Masked(Arc::new(terms));
    plan.check().map_err(|error| refused(job, &error))?;
    Ok(plan)
}

/// Fewest owners in a sum of the run. With noise it is most of them, for the noise is sized so that the
/// fewest are enough.
fn n_min(job: &JobFile, engine: &EngineTerms, plan: &Plan) -> u32 {
    let fewest = plan.needed().max(engine.fewest(plan.asked()));
    let most = job.job.privacy.as_ref().map(|_| (4 * plan.asked()).div_ceil(5));
    job.job.aggregation.n_min.unwrap_or_else(|| fewest.max(most.unwrap_or_default()))
}

/// What the job promises about rows, and the packing that its noise needs.
fn privacy(
    job: &JobFile,
    plan: &Plan,
    engine: &mut EngineTerms,
    n_min: u32,
    rows: &[u32],
) -> Result<Option<PrivacyTerms>, TrainingError> {
    let Some(section) = &job.job.privacy else { return Ok(None) };
    let PrivacySection { epsilon, delta, rate, local, .. } = *section;
    let noise = accounting::Plan::admitted(rate, plan.rounds.into(), epsilon, delta)?;
    let terms = PrivacyTerms {
        purpose: Purpose::new(&section.purpose)?,
        unit: section.unit.into(),
        epsilon,
        delta,
        clip: section.clip(),
        multiplier: noise.sigma,
        rate,
        colluding: if local { 0 } else { section.colluders(plan.asked()) },
        local,
        rows: rows.to_vec(),
        step: section.learning_rate(),
        cooldown: section.cooldown,
    };
    pack(&terms, plan, engine, n_min)?;
    Ok(Some(terms))
}

/// A warning, if too few owners take part to hide one of them whole and still learn something.
///
/// # Errors
/// [`NodeError::Job`] below a tenth of the owners that it takes: nothing would be learned.
pub(super) fn enough_owners(job: &JobFile, plan: &Plan) -> Result<Option<String>, NodeError> {
    let Some(release) = plan.release()? else { return Ok(None) };
    if plan.privacy().is_none_or(|privacy| privacy.unit != Unit::Owner) {
        return Ok(None);
    }
    let (asked, needed) = (plan.asked(), release.owners_needed(plan.asked())?.ceil());
    let message = format!(
        "the noise that hides a whole owner is as long as the updates of {needed} owners together, and \
         {asked} take part"
    );
    if f64::from(asked) < needed / 10.0 {
        let help =
            "more owners, a smaller model, fewer rounds, a larger epsilon, or `unit = \"record\"`";
        return Err(job.problem(&["privacy", "unit"], &message, Some(help.to_owned())).into());
    }
    Ok((f64::from(asked) < needed).then_some(message))
}

/// Packs as many values into an element of the ring as the noise leaves room for.
fn pack(
    terms: &PrivacyTerms,
    plan: &Plan,
    engine: &mut EngineTerms,
    n_min: u32,
) -> Result<(), TrainingError> {
    let fits = |engine: &EngineTerms| {
        terms.release_within(plan.parameters as usize, n_min, engine.limit(plan.asked())?)
    };
    let tight = engine.clone();
    if let EngineTerms::Nx { packing: packing @ None, .. } = engine {
        let with = |values| {
            let mut engine = tight.clone();
            if let EngineTerms::Nx { packing, .. } = &mut engine {
                *packing = Some(values);
            }
            engine
        };
        let fine = |values: &u8| fits(&with(*values)).is_ok_and(|release| release.is_fine());
        *packing = [4, 3, 2].into_iter().find(fine).or(Some(1));
    }
    fits(engine).map(drop)
}

fn engine(section: &AggregationSection, keys: &Keys) -> Option<EngineTerms> {
    match section.suite {
        Suite::Clear => None,
        Suite::Nx => Some(EngineTerms::Nx {
            members: Keys::public(keys.members()),
            packing: section.packing,
            leaves: section.leaves(),
            keep_messages: section.keep_messages(),
            corrupt_permille: permille(section.corrupt()),
        }),
        Suite::SecaggPlus => Some(EngineTerms::SecAggPlus(secagg_plus::Terms {
            corrupt_permille: permille(section.corrupt()),
            dropout_permille: permille(section.dropout()),
        })),
    }
}

/// `share` in thousandths, rounded up: to be on the safe side.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a share"
)]
fn permille(share: f64) -> u16 {
    (share * 1000.0).ceil() as u16
}

/// What the summary says about the sums of a run under `plan`.
pub(super) fn secure_sum(
    section: &AggregationSection,
    plan: &Plan,
) -> Result<Option<SecureSum>, NodeError> {
    let Some(terms) = plan.terms() else { return Ok(None) };
    let asked = plan.asked();
    let limit = terms.engine.limit(asked)?;
    let masks = section.suite == Suite::Nx;
    let layout = terms.engine.layout()?;
    let committee = layout.map(|it| Committee::new(it.members(), it.quorum(), it.privacy()));
    let assumed = Assumed { corrupt: section.corrupt(), dropout: section.dropout() };
    Ok(Some(SecureSum {
        engine: section.suite,
        committee,
        assumed: (!masks).then_some(assumed),
        n_min: terms.n_min,
        max_attempts: terms.attempts,
        clip: terms.clip,
        clipped_updates: 0,
        bits: u8::try_from(65 - limit.leading_zeros()).unwrap_or(u8::MAX),
        values_per_word: terms.engine.values_per_word(asked)?,
        leaves: section.leaves(),
        sums_audited: masks && section.keep_messages(),
        transcripts: None,
    }))
}
