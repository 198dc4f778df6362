//! Canaries: a lower bound on epsilon from one run.
//!
//! Each of m canaries is included by a fair coin. The adversary sees every release and ranks the
//! canaries; it says "in" of the highest and "out" of the lowest, and how often it is right bounds
//! epsilon from below ([`Guessed`]). If the bound is above what was accounted for, the mechanism is
//! broken: noise that is missing, too narrow or not fresh, rows that are not clipped.
//!
//! The canaries are *Dirac* canaries (Nasr et al. 2023): each is a row whose gradient has all its
//! length on a padding coordinate of its own, so nothing but the noise hides it. The released sums
//! of its coordinate, added over the rounds, are its score: the best there is. Rows are longer than
//! the clip allows, so a clip that is skipped shows.

mod bound;

pub use bound::{CANARIES_MAX, Guessed, most};

use nexus_types::Seed;
use serde::Serialize;

use crate::error::{fits, within};
use crate::mechanism::{Mechanism, Noise, SecureSum};
use crate::roc::moments;
use crate::{AuditError, Claim};

/// How much longer than the clip canaries are.
const LENGTH: f64 = 20.0;
/// The p-value of the estimate.
pub const ESTIMATE_P: f64 = 0.05;
/// The p-value of the gate: a sound build fails one run in a thousand.
pub const GATE_P: f64 = 1e-3;

/// What canaries showed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Canaries {
    /// How many there were.
    pub canaries: usize,
    /// Guesses of the fifth of which the adversary is most sure.
    pub sure: Guessed,
    /// Guesses of all.
    pub all: Guessed,
    /// Lower bound from the sure guesses at p = 0.05: an estimate.
    pub estimate: f64,
    /// Lower bound from all guesses at p = 1e-3, which a mechanism without noise brings to the
    /// largest figure there is: what a gate compares.
    pub gate: f64,
    /// The largest gate that so many canaries can show.
    pub most: f64,
    /// The delta of the bounds.
    pub delta: f64,
}

impl Canaries {
    /// Whether the accounted epsilon is refuted.
    pub fn refute(&self, claim: &Claim) -> bool {
        self.gate > claim.epsilon()
    }
}

/// Canaries in the mechanism of a job, `count` of them.
///
/// # Errors
/// [`AuditError::Setting`] and [`AuditError::Mechanism`] for settings without a meaning.
pub fn simulate(
    noise: &Noise,
    count: usize,
    delta: f64,
    seed: &Seed,
) -> Result<Canaries, AuditError> {
    within("canaries", count as f64, 10.0..=CANARIES_MAX as f64, "10 to 2^20")?;
    let secret = seed.derive("nexus/audit/canary noise", &[]);
    // A sum may hold every canary unclipped and still has room.
    let mut mechanism = SecureSum::new(noise, count, count, &secret)?;
    attack(&mut mechanism, noise, count, delta, seed)
}

/// Canaries in any mechanism with sums of `count` values: `noise` says how many rounds and owners.
///
/// # Errors
/// Those of the mechanism; [`AuditError::Score`] if it releases what is not a number.
pub fn attack(
    mechanism: &mut impl Mechanism,
    noise: &Noise,
    count: usize,
    delta: f64,
    seed: &Seed,
) -> Result<Canaries, AuditError> {
    within("canaries", count as f64, 10.0..=CANARIES_MAX as f64, "10 to 2^20")?;
    let mut coins = seed.derive("nexus/audit/coins", &[]).rng();
    let included: Vec<bool> = (0..count).map(|_| coins.below(2) == 1).collect();
    let length = LENGTH * noise.clip;
    let held = length * mechanism.weight(length * length);
    // Canary k belongs to owner k modulo their number.
    let owners = (noise.owners.max(1) as usize).min(count);
    let sums: Vec<Vec<f64>> = (0..owners)
        .map(|owner| {
            let own = included.iter().enumerate();
            own.map(|(k, is_in)| if *is_in && k % owners == owner { held } else { 0.0 }).collect()
        })
        .collect();
    let mut scores = vec![0.0; count];
    for _ in 0..noise.rounds {
        let released = mechanism.release(&sums)?;
        scores.iter_mut().zip(released).for_each(|(score, value)| *score += value);
    }
    judge(&scores, &included, delta)
}

/// Guesses by scores, which are higher for canaries that are included.
///
/// # Errors
/// [`AuditError::Score`] for a score that is not a number, [`AuditError::Length`].
pub fn judge(scores: &[f64], included: &[bool], delta: f64) -> Result<Canaries, AuditError> {
    let count = included.len();
    fits("scores of canaries", scores.len(), count)?;
    if scores.iter().any(|score| score.is_nan()) {
        return Err(AuditError::Score { attack: "canaries" });
    }
    let (sure, all) = (guess_ends(scores, included, count / 10), guess_all(scores, included));
    Ok(Canaries {
        canaries: count,
        sure,
        all,
        estimate: sure.lower_bound(delta, ESTIMATE_P)?,
        gate: all.lower_bound(delta, GATE_P)?,
        most: most(count, delta, GATE_P)?,
        delta,
    })
}

/// "In" above the middle between the mean of the higher half of the scores and that of the lower.
fn guess_all(scores: &[f64], included: &[bool]) -> Guessed {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (lower, higher) = sorted.split_at(scores.len() / 2);
    let middle = 0.5 * (moments(lower).0 + moments(higher).0);
    let right = scores.iter().zip(included).filter(|(score, is_in)| (**score > middle) == **is_in);
    Guessed { canaries: scores.len(), guesses: scores.len(), right: right.count() }
}

/// "In" for the `each` highest scores, "out" for the `each` lowest; `each` is at most half.
fn guess_ends(scores: &[f64], included: &[bool], each: usize) -> Guessed {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let lowest = order.iter().take(each).filter(|k| !included[**k]).count();
    let highest = order.iter().rev().take(each).filter(|k| included[**k]).count();
    Guessed { canaries: scores.len(), guesses: 2 * each, right: lowest + highest }
}

#[cfg(test)]
mod tests;
