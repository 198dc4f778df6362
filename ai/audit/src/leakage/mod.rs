//! Gradient leakage: which rows can be rebuilt from what a coordinator sees of one step?
//!
//! | attack | coordinator | how |
//! |---|---|---|
//! | closed form | honest but curious | a unit of the first layer that only one row activates has that row as ∂W / ∂b (Phong et al. 2018) |
//! | imprint | sends parameters of its making | the first layer sorts rows into bins, and bins are told apart (Fowl et al. 2022) |
//! | inverting | honest but curious, up to eight rows | rows are sought whose gradient has the same direction (Geiping et al. 2020) |
//!
//! A row counts as rebuilt if a candidate of its own is within 25 dB (peak signal-to-noise ratio over
//! the range of the data), in a greedy assignment of candidates to rows. Attackers know the
//! distribution of the data, and for the third attack the rows' classes.

mod closed;
mod inverting;

pub use inverting::Inverting;

use nexus_models::data::{DataTargets, Dataset};
use nexus_models::{Network, Workspace};
use nexus_types::Seed;
use serde::Serialize;

use crate::AuditError;
use crate::error::within;
use crate::gradients::add_weighted;
use crate::mechanism::{Mechanism, Noise, SecureSum};

/// From this peak signal-to-noise ratio on, in dB, a row counts as rebuilt.
pub const REBUILT_DB: f64 = 25.0;
/// The most rows that [`Inverting`] is tried on.
pub const INVERTING_ROWS: usize = 8;
/// Most rows in a step.
const ROWS_MAX: usize = 1 << 16;

/// What the coordinator sees: the sum over the owners of their rows' gradients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct View {
    /// Owners in the sum; 1 without secure sums.
    pub owners: usize,
    /// Rows of each owner in the step.
    pub rows: usize,
    /// Clip and noise; none for bare sums. [`Noise::rounds`] has no part in it.
    pub noise: Option<Noise>,
}

impl View {
    /// Rows in the sum.
    pub const fn total(&self) -> usize {
        self.owners.saturating_mul(self.rows)
    }
}

/// How hard the attacks try.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Attempts {
    /// Steps that are attacked in closed form, each of other rows.
    pub steps: usize,
    /// Steps of them that [`Inverting`] is tried on.
    pub inverted: usize,
    /// How long it searches.
    pub inverting: Inverting,
    /// Pairs of a row and what was rebuilt of it that are kept: private rows, so 0 by default.
    pub pictures: usize,
}

impl Default for Attempts {
    /// Twenty steps in closed form, two by search, no pictures.
    fn default() -> Self {
        Self { steps: 20, inverted: 2, inverting: Inverting::default(), pictures: 0 }
    }
}

/// What could be rebuilt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leak {
    /// What was seen.
    pub view: View,
    /// Steps that were attacked.
    pub steps: usize,
    /// Share of the rows rebuilt in closed form; none if the first layer is not linear with bias.
    pub closed: Option<f64>,
    /// Share rebuilt with an imprint layer; none if the model does not begin with a linear layer with
    /// bias, `ReLU` and another linear layer.
    pub imprint: Option<f64>,
    /// Share rebuilt by search; none for larger steps, and without classes.
    pub inverting: Option<f64>,
    /// Rows and the best that was made of them, as often as [`Attempts`] asks for.
    pub pictures: Vec<Picture>,
}

impl Leak {
    /// The share that the best attack of an honest coordinator has rebuilt.
    pub fn honest(&self) -> f64 {
        self.closed.into_iter().chain(self.inverting).fold(0.0, f64::max)
    }

    /// The share that the best of all attacks has rebuilt.
    pub fn worst(&self) -> f64 {
        self.imprint.into_iter().fold(self.honest(), f64::max)
    }
}

/// A private row, and what an attack made of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Picture {
    /// The row's features.
    pub original: Vec<f32>,
    /// The nearest candidate of any attack.
    pub rebuilt: Vec<f32>,
    /// Peak signal-to-noise ratio in dB.
    pub psnr: f64,
}

/// Attacks steps of `network` on rows of `data`. `image` is the height and width of a row that is
/// an image of one channel: neighbours are taken to be alike.
///
/// # Errors
/// [`AuditError::Setting`] for more rows than there are, or for a view of none;
/// [`AuditError::Mechanism`], [`AuditError::Model`].
pub fn attack(
    network: &Network<f32>,
    data: &Dataset,
    view: View,
    image: Option<[usize; 2]>,
    attempts: Attempts,
    seed: &Seed,
) -> Result<Leak, AuditError> {
    let most = data.rows().min(ROWS_MAX) as f64;
    within("rows in a step", view.total() as f64, 1.0..=most, "from 1 to the rows of the data")?;
    within("steps that are attacked", attempts.steps as f64, 1.0..=1e6, "from 1 to a million")?;
    let attacker = Attacker { network, data, view, range: Range::of(data), seed: *seed };
    let mut found = Found::default();
    let imprint = closed::imprint(network, data, &seed.derive("imprint", &[]));
    for step in 0..attempts.steps as u64 {
        let rows = attacker.rows(step);
        let honest = network.initial(&seed.derive("parameters", &[step]));
        let seen = attacker.see(&honest, &rows, step)?;
        if let Some(candidates) = closed::candidates(network, &seen) {
            found.closed.push(attacker.count(&candidates, &rows));
            attacker.keep(&candidates, &rows, attempts.pictures, &mut found.pictures);
        }
        if let Some(parameters) = &imprint {
            let seen = attacker.see(parameters, &rows, step)?;
            let candidates = closed::bins(network, &seen).unwrap_or_default();
            found.imprint.push(attacker.count(&candidates, &rows));
        }
        if rows.len() <= INVERTING_ROWS && step < attempts.inverted as u64 {
            let candidates = attacker.invert(&honest, &seen, &rows, image, attempts.inverting)?;
            if let Some(candidates) = candidates {
                found.inverting.push(attacker.count(&candidates, &rows));
                attacker.keep(&candidates, &rows, attempts.pictures, &mut found.pictures);
            }
        }
    }
    Ok(found.leak(view, attempts.steps))
}

#[derive(Default)]
struct Found {
    closed: Vec<f64>,
    imprint: Vec<f64>,
    inverting: Vec<f64>,
    pictures: Vec<Picture>,
}

impl Found {
    fn leak(self, view: View, steps: usize) -> Leak {
        let mean = |parts: &[f64]| {
            (!parts.is_empty()).then(|| parts.iter().sum::<f64>() / parts.len() as f64)
        };
        Leak {
            view,
            steps,
            closed: mean(&self.closed),
            imprint: mean(&self.imprint),
            inverting: mean(&self.inverting),
            pictures: self.pictures,
        }
    }
}

/// The smallest and the largest feature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Range {
    pub(crate) fn of(data: &Dataset) -> Self {
        let values = data.features().iter().copied().map(f64::from);
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low < high { Self { low, high } } else { Self { low: 0.0, high: 1.0 } }
    }

    pub(crate) fn width(self) -> f64 {
        self.high - self.low
    }

    /// Peak signal-to-noise ratio in dB.
    fn psnr(self, row: &[f32], candidate: &[f64]) -> f64 {
        let squares = row
            .iter()
            .zip(candidate)
            .map(|(value, guess)| (f64::from(*value) - guess.clamp(self.low, self.high)).powi(2));
        let mean = squares.sum::<f64>() / row.len().max(1) as f64;
        10.0 * (self.width() * self.width() / mean.max(1e-30)).log10()
    }
}

struct Attacker<'a> {
    network: &'a Network<f32>,
    data: &'a Dataset,
    view: View,
    range: Range,
    seed: Seed,
}

impl Attacker<'_> {
    /// The rows of a step, each at most once.
    fn rows(&self, step: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.data.rows()).collect();
        self.seed.derive("rows", &[step]).rng().shuffle(&mut order);
        order.truncate(self.view.total());
        order
    }

    fn see(&self, parameters: &[f32], rows: &[usize], step: u64) -> Result<Vec<f64>, AuditError> {
        let data = self.data.select(rows);
        let mut workspace = Workspace::new();
        let mut sums = vec![0.0; self.network.parameters()];
        let Some(noise) = self.view.noise else {
            let (network, one) = (self.network, |_| 1.0);
            add_weighted(network, parameters, &data, &mut workspace, one, &mut sums)?;
            return Ok(sums);
        };
        let seed = self.seed.derive("noise of a step", &[step]);
        let mut sum = SecureSum::new(&noise.central(), sums.len(), rows.len(), &seed)?;
        let weight = |norm_sq| sum.weight(norm_sq);
        add_weighted(self.network, parameters, &data, &mut workspace, weight, &mut sums)?;
        sum.release(&[sums])
    }

    fn invert(
        &self,
        parameters: &[f32],
        seen: &[f64],
        rows: &[usize],
        image: Option<[usize; 2]>,
        settings: Inverting,
    ) -> Result<Option<Vec<Vec<f64>>>, AuditError> {
        let DataTargets::Classes { labels, .. } = self.data.targets() else { return Ok(None) };
        let labels: Vec<u32> = rows.iter().map(|row| labels[*row]).collect();
        let target = inverting::Target { seen, labels: &labels, range: self.range, image };
        let seed = self.seed.derive("inverting", &[]);
        inverting::invert(self.network, parameters, &target, settings, &seed).map(Some)
    }

    /// The share of the rows that are rebuilt.
    fn count(&self, candidates: &[Vec<f64>], rows: &[usize]) -> f64 {
        let mut near = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            for (number, candidate) in candidates.iter().enumerate() {
                let psnr = self.range.psnr(self.data.row(*row), candidate);
                if psnr > REBUILT_DB {
                    near.push((psnr, place, number));
                }
            }
        }
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut found, mut used) = (vec![false; rows.len()], vec![false; candidates.len()]);
        for (_, place, number) in near {
            if !found[place] && !used[number] {
                (found[place], used[number]) = (true, true);
            }
        }
        found.iter().filter(|found| **found).count() as f64 / rows.len() as f64
    }

    /// Keeps the best candidate of each row, or puts it in the place of a worse one.
    fn keep(
        &self,
        candidates: &[Vec<f64>],
        rows: &[usize],
        most: usize,
        pictures: &mut Vec<Picture>,
    ) {
        for row in rows.iter().take(most) {
            let original = self.data.row(*row);
            let rated = candidates.iter().map(|guess| (self.range.psnr(original, guess), guess));
            let Some((psnr, best)) = rated.max_by(|a, b| a.0.total_cmp(&b.0)) else { return };
            let narrow = |value: &f64| {
                <f32 as nexus_models::Real>::of(value.clamp(self.range.low, self.range.high))
            };
            let rebuilt = best.iter().map(narrow).collect();
            let picture = Picture { original: original.to_vec(), rebuilt, psnr };
            match pictures.iter().position(|known| known.original == original) {
                Some(place) if pictures[place].psnr < psnr => pictures[place] = picture,
                None if pictures.len() < most => pictures.push(picture),
                Some(_) | None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
