//! Which rows take part in a step, and where they are put.

use nexus_privacy::mechanisms::exact::below;
use nexus_types::CryptoRng;

use super::{SLOT, STEP};
use crate::LearningError;

/// Most rows that can be declared.
const MAX_ROWS: usize = 1 << 40;
/// Coins are taken from the generator this many at a time.
const COINS: usize = 2048;

/// How the rows of a private step are drawn. All of it is public.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    rate: f64,
    declared_rows: usize,
    padded: bool,
}

impl Sampling {
    /// Each row with probability `rate`, out of a data set of which it is *said* that it has
    /// `declared_rows`: the true number would tell of a row.
    ///
    /// # Errors
    /// [`LearningError::Setting`] for a rate outside (0, 1], no rows or too many.
    pub fn new(rate: f64, declared_rows: usize) -> Result<Self, LearningError> {
        let setting = |name, got, allowed| Err(LearningError::Setting { name, got, allowed });
        if !(rate > 0.0 && rate <= 1.0) {
            return setting("sampling rate", rate, "above 0 and at most 1");
        }
        if declared_rows == 0 || declared_rows > MAX_ROWS {
            return setting("declared_rows", declared_rows as f64, "from 1 to 2^40");
        }
        Ok(Self { rate, declared_rows, padded: true })
    }

    /// Without the places that a sample leaves empty: faster by a third for batches of 256, and time
    /// tells how many rows were drawn. For experiments of one's own.
    #[must_use]
    pub const fn unpadded(self) -> Self {
        Self { padded: false, ..self }
    }

    /// The probability of each row.
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// The rows that there are said to be.
    pub const fn declared_rows(&self) -> usize {
        self.declared_rows
    }

    /// Places for rows: q n + 6 √(q n) + 5 and what fills the last slot, but no more than n needs.
    pub fn places(&self) -> usize {
        let mean = self.rate * self.declared_rows as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^42")]
        let cap = (mean + 6.0 * mean.sqrt() + 5.0).ceil() as usize;
        cap.min(self.declared_rows).next_multiple_of(STEP)
    }

    /// The probability, rounded up, that a sample of the declared rows finds no place for a row: for
    /// T steps, T (1 + e^ε) times this belongs to δ.
    ///
    /// With k = places + 1 of n, Pr[X ≥ k] ≤ Pr[X = k] / (1 − r), r the ratio of one probability to
    /// the one before at k, and Pr[X = k] ≤ √(n / (2π k (n − k))) e^(−n D(k/n ‖ q)) (Robbins 1955).
    pub fn overflow(&self) -> f64 {
        let (n, k, q) = (self.declared_rows as f64, self.places() as f64 + 1.0, self.rate);
        if k > n {
            return 0.0;
        }
        let rest = n - k;
        // At k = n one term is left: q^n.
        let rest_terms = if rest > 0.0 { rest * (rest / (n * (1.0 - q))).ln() } else { 0.0 };
        let divergence = k * (k / (n * q)).ln() + rest_terms;
        let root = (n / (std::f64::consts::TAU * k * rest.max(1.0))).sqrt().min(1.0);
        let ratio = rest * q / ((k + 1.0) * (1.0 - q));
        if ratio >= 1.0 {
            return 1.0;
        }
        // What logarithms lose is far less than a part in a thousand.
        (1.001 * root * (-divergence).exp() / (1.0 - ratio)).min(1.0)
    }
}

/// A row, or none, for each place.
///
/// The proof that a sampled sum is a subsampled Gaussian needs that one more row moves no other.
/// Let two data sets differ in a row r that one of them has. Coins are tossed for the others, and the
/// places of those that are drawn are a uniform choice among all ways to put them; both are the same
/// for both data sets. If r is drawn it goes to a place that is free, any with the same chance. So with
/// the same coins and places the sums differ by what r contributes at its place, which changes one
/// slot. (Rows that are too many are a case of [`Sampling::overflow`].)
///
/// With fixed places this holds by the definition of neighbours.
pub(super) struct Places(pub(super) Vec<Option<usize>>);

impl Places {
    /// Every row at the place of its number.
    pub(super) fn of_all(rows: usize) -> Self {
        let places = rows.next_multiple_of(STEP);
        Self((0..places).map(|place| (place < rows).then_some(place)).collect())
    }

    /// These.
    #[cfg(test)]
    pub(super) fn at(places: Vec<Option<usize>>) -> Self {
        Self(places)
    }

    /// A sample at random places.
    pub(super) fn sampled(rows: usize, sampling: &Sampling, rng: &mut dyn CryptoRng) -> Self {
        let mut chosen = chosen(rows, sampling.rate, rng);
        let places = sampling.places();
        if chosen.len() > places {
            shuffle(&mut chosen, rng);
        }
        let mut taken: Vec<_> = chosen.into_iter().map(Some).take(places).collect();
        let size = if sampling.padded { places } else { taken.len().next_multiple_of(STEP) };
        taken.resize(size, None);
        shuffle(&mut taken, rng);
        Self(taken)
    }

    /// The places of each slot.
    pub(super) fn slots(&self) -> std::slice::Chunks<'_, Option<usize>> {
        self.0.chunks(SLOT)
    }
}

/// Each row with this probability: 16 bits of its coin at first, and the other 48 if those leave it
/// open.
pub(super) fn chosen(rows: usize, rate: f64, rng: &mut dyn CryptoRng) -> Vec<usize> {
    // A product by a power of two is exact. The bits below 2^-64 are cut off: less is drawn.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^64")]
    let threshold = (rate * 2_f64.powi(64)) as u128;
    let (high, low) = (threshold >> 48, threshold & ((1 << 48) - 1));
    let mut bytes = [0; 2 * COINS];
    let mut chosen = Vec::new();
    for first in (0..rows).step_by(COINS) {
        rng.fill_bytes(&mut bytes);
        for (row, coin) in (first..rows).zip(bytes.as_chunks::<2>().0) {
            let coin = u128::from(u16::from_le_bytes(*coin));
            if coin < high || coin == high && u128::from(rng.next_u64() >> 16) < low {
                chosen.push(row);
            }
        }
    }
    chosen
}

/// A uniform order (Fisher & Yates).
fn shuffle<T>(items: &mut [T], rng: &mut dyn CryptoRng) {
    for last in (1..items.len()).rev() {
        let other = usize::try_from(below(last as u128 + 1, rng)).unwrap_or(last);
        items.swap(last, other);
    }
}
