//! Which rows take part in a step, and where they are put.

use nexus_privacy::mechanisms::exact::below;
use nexus_privacy::mechanisms::sampling::STEP;
pub use nexus_privacy::mechanisms::sampling::Sampling;
use nexus_types::CryptoRng;

use super::SLOT;

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
        let mut chosen = sampling.draw(rows, rng);
        let places = sampling.places();
        if chosen.len() > places {
            shuffle(&mut chosen, rng);
        }
        let mut taken: Vec<_> = chosen.into_iter().map(Some).take(places).collect();
        if sampling.is_padded() {
            taken.resize(places, None);
        }
        shuffle(&mut taken, rng);
        Self(taken)
    }

    /// The places of each slot.
    pub(super) fn slots(&self) -> std::slice::Chunks<'_, Option<usize>> {
        self.0.chunks(SLOT)
    }
}

/// A uniform order (Fisher & Yates).
fn shuffle<T>(items: &mut [T], rng: &mut dyn CryptoRng) {
    for last in (1..items.len()).rev() {
        let other = usize::try_from(below(last as u128 + 1, rng)).unwrap_or(last);
        items.swap(last, other);
    }
}
