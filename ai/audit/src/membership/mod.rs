//! Membership: was this row trained on?
//!
//! Shadow models are trained on random halves of a pool of rows (a fair coin for each row), in
//! complementary pairs: every row is in half of them. Targets are trained on further halves, and each attack ranks all rows of the
//! pool by how much the target looks as if it had seen them.
//!
//! | attack | needs | ranks by |
//! |---|---|---|
//! | [`loss_threshold`] | nothing | the loss (Yeom et al. 2018) |
//! | [`rmia`] | two models | likelihood over that of the references, relative to other rows (Zarifzadeh et al. 2024) |
//! | [`lira`] | k models | ratio of two Gaussians, fitted to the row's logit with and without it (Carlini et al. 2022) |
//!
//! Rows that are like others are hard to tell apart by any attack. *Mislabelled canaries*, rows of
//! the pool with a wrong class, are what a model must memorise: they show what an unusual row risks.

mod scores;

pub use scores::{Signals, lira, loss_threshold, rmia};

use nexus_learning::{parallel, predict};
use nexus_models::Network;
use nexus_models::data::{DataTargets, Dataset};
use nexus_types::Seed;
use serde::Serialize;

use crate::error::{fits, within};
use crate::{AuditError, Recipe, Roc};

/// Most models that an attack trains.
pub const MODELS_MAX: usize = 4096;
/// References of [`rmia`].
const REFERENCES: usize = 2;

/// How much is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Effort {
    /// Shadow models, an even number; 64 are usual, 2 are enough for [`rmia`].
    pub shadows: usize,
    /// Models that are attacked; the figures are over all of them.
    pub targets: usize,
    /// Rows of the pool that get a wrong class.
    pub mislabelled: usize,
    /// Threads that train.
    pub threads: usize,
}

impl Default for Effort {
    /// 64 shadow models, five targets, no wrong classes, all cores.
    fn default() -> Self {
        Self { shadows: 64, targets: 5, mislabelled: 0, threads: parallel::threads() }
    }
}

/// What the attacks reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Membership {
    /// How much was trained.
    pub effort: Effort,
    /// Rows in the pool; each is a member of a model by a fair coin.
    pub pool: usize,
    /// Share of the members that targets classify as they were labelled; none without classes.
    pub accuracy_on_members: Option<f64>,
    /// The same of the rows with their right class that targets have not seen.
    pub accuracy_on_others: Option<f64>,
    /// By the loss alone.
    pub loss_threshold: Roc,
    /// With two references.
    pub rmia: Roc,
    /// With all shadow models; none if there are fewer than four.
    pub lira: Option<Roc>,
}

/// Trains models by the recipe and attacks them.
///
/// # Errors
/// [`AuditError::Setting`] for an effort that cannot be made; those of the recipe;
/// [`AuditError::Score`] if a model is broken; [`AuditError::Targets`] for wrong classes where there
/// are none.
pub fn attack(
    network: &Network<f32>,
    pool: &Dataset,
    recipe: &dyn Recipe,
    effort: Effort,
    seed: &Seed,
) -> Result<Membership, AuditError> {
    check(pool, effort)?;
    let (pool, wrong) = mislabelled(pool, effort.mislabelled, &seed.derive("mislabelled", &[]))?;
    let mut halves = complementary_halves(pool.rows(), effort.shadows, &seed.derive("shadow", &[]));
    let targets = seed.derive("target", &[]);
    halves.extend((0..effort.targets as u64).map(|at| half(pool.rows(), &targets, at)));
    let jobs = (0_u64..).zip(&halves);
    let models = parallel::map(jobs, effort.threads, |(number, inside)| {
        let rows: Vec<usize> = (0..pool.rows()).filter(|row| inside[*row]).collect();
        let seed = seed.derive("model", &[number]);
        let parameters = recipe.train(&pool.select(&rows), &seed)?;
        Signals::of(network, &predict(network, &parameters, &pool)?, pool.targets())
    });
    let models: Vec<Signals> = models.into_iter().collect::<Result<_, _>>()?;
    let (shadows, targets) = models.split_at(effort.shadows);
    let (inside, of_targets) = halves.split_at(effort.shadows);
    let attacked = Attacked { targets, inside: of_targets };
    let lira = (effort.shadows >= 4)
        .then(|| attacked.roc("LiRA", |target| Ok(lira(target, shadows, inside))));
    let (members, others) = attacked.accuracy(&wrong);
    Ok(Membership {
        effort,
        pool: pool.rows(),
        accuracy_on_members: members,
        accuracy_on_others: others,
        loss_threshold: attacked.roc("the loss threshold", |target| Ok(loss_threshold(target)))?,
        rmia: attacked.roc("RMIA", |target| Ok(rmia(target, &shadows[..REFERENCES])))?,
        lira: lira.transpose()?,
    })
}

fn check(pool: &Dataset, effort: Effort) -> Result<(), AuditError> {
    let Effort { shadows, targets, mislabelled, threads } = effort;
    let most = MODELS_MAX as f64;
    let even = if shadows.is_multiple_of(2) { shadows as f64 } else { f64::NAN };
    within("shadow models", even, 2.0..=most, "an even number from 2 to 4096")?;
    within("targets", targets as f64, 1.0..=most, "1 to 4096")?;
    within("threads", threads as f64, 1.0..=most, "1 to 4096")?;
    within("rows of the pool", pool.rows() as f64, 32.0..=1e9, "at least 32")?;
    within("mislabelled", mislabelled as f64, 0.0..=pool.rows() as f64, "at most the pool's rows")?;
    Ok(())
}

/// Which rows are in a random half: a fair coin for each, so that with and without a row are
/// neighbours by adding or removing it.
fn half(rows: usize, seed: &Seed, number: u64) -> Vec<bool> {
    let mut rng = seed.derive("half", &[number]).rng();
    (0..rows).map(|_| rng.below(2) == 1).collect()
}

/// Random halves, each followed by its complement.
fn complementary_halves(rows: usize, count: usize, seed: &Seed) -> Vec<Vec<bool>> {
    let pairs = (0..count as u64 / 2).flat_map(|number| {
        let inside = half(rows, seed, number);
        let other = inside.iter().map(|is_in| !is_in).collect();
        [inside, other]
    });
    pairs.collect()
}

/// The pool with a wrong class for `count` random rows, and which those are.
fn mislabelled(
    pool: &Dataset,
    count: usize,
    seed: &Seed,
) -> Result<(Dataset, Vec<bool>), AuditError> {
    let mut wrong = vec![false; pool.rows()];
    let DataTargets::Classes { labels, names } = pool.targets() else {
        let classless = AuditError::Targets { attack: "mislabelling" };
        return if count == 0 { Ok((pool.clone(), wrong)) } else { Err(classless) };
    };
    if count == 0 {
        return Ok((pool.clone(), wrong));
    }
    within("classes", names.len() as f64, 2.0..=1e9, "at least 2 to mislabel rows")?;
    let mut rng = seed.rng();
    wrong[..count].fill(true);
    rng.shuffle(&mut wrong);
    let mut labels = labels.clone();
    let classes = u32::try_from(names.len()).unwrap_or(u32::MAX);
    for (label, _) in labels.iter_mut().zip(&wrong).filter(|(_, wrong)| **wrong) {
        let shift = u32::try_from(rng.below(u64::from(classes) - 1)).unwrap_or(0) + 1;
        *label = (*label + shift) % classes;
    }
    let targets = DataTargets::Classes { labels, names: names.clone() };
    let (features, hashes) = (pool.features().to_vec(), pool.row_hashes().to_vec());
    let changed = Dataset::new(pool.width(), features, targets, hashes);
    // Nothing that `new` checks has changed.
    changed.map(|pool| (pool, wrong)).map_err(|error| AuditError::Recipe(Box::new(error)))
}

/// Models that are attacked, and what each was trained on.
struct Attacked<'a> {
    targets: &'a [Signals],
    inside: &'a [Vec<bool>],
}

impl Attacked<'_> {
    fn roc(
        &self,
        attack: &'static str,
        score: impl Fn(&Signals) -> Result<Vec<f64>, AuditError>,
    ) -> Result<Roc, AuditError> {
        let (mut members, mut others) = (Vec::new(), Vec::new());
        for (target, inside) in self.targets.iter().zip(self.inside) {
            let scores = score(target)?;
            fits("scores of a target", scores.len(), inside.len())?;
            for (score, is_in) in scores.into_iter().zip(inside) {
                if *is_in { members.push(score) } else { others.push(score) }
            }
        }
        Roc::of(attack, &members, &others)
    }

    /// On members, and on those with their right class among the others.
    fn accuracy(&self, wrong: &[bool]) -> (Option<f64>, Option<f64>) {
        let mut counts = [(0_usize, 0_usize); 2];
        for (target, inside) in self.targets.iter().zip(self.inside) {
            let Some(right) = target.right() else { return (None, None) };
            for ((right, is_in), wrong) in right.iter().zip(inside).zip(wrong) {
                if *is_in || !wrong {
                    let (hits, all) = &mut counts[usize::from(!is_in)];
                    *hits += usize::from(*right);
                    *all += 1;
                }
            }
        }
        let [members, others] =
            counts.map(|(hits, all)| (all > 0).then(|| hits as f64 / all as f64));
        (members, others)
    }
}

#[cfg(test)]
mod tests;
