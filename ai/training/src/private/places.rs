//! Which rows take part in a step, and where they are put.

use nexus_privacy::mechanisms::exact::below;
use nexus_privacy::mechanisms::sampling::STEP;
pub use nexus_privacy::mechanisms::sampling::Sampling;
use nexus_types::CryptoRng;

use super::SLOT;

/// Coins are taken from the generator this many at a time.
const COINS: usize = 2048;

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
        let mut chosen = chosen(rows, sampling.rate(), rng);
        let places = sampling.places();
        if chosen.len() > places {
            shuffle(&mut chosen, rng);
        }
        let mut taken: Vec<_> = chosen.into_iter().map(Some).take(places).collect();
        let size = if sampling.is_padded() { places } else { taken.len().next_multiple_of(STEP) };
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
