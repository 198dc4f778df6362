//! Which number of a vector is in which slot.

use crate::HeError;

/// Which coordinate of a vector is in which slot: a pattern that is repeated over all slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    width: usize,
    run: usize,
    /// The pattern; a power of two long.
    pattern: Vec<Option<usize>>,
}

impl Layout {
    /// Each of `width` coordinates `run` times in a row; then as many empty runs as make their number
    /// a power of two.
    ///
    /// Runs let a matrix work on several rows at once: see [`super::Route`].
    ///
    /// # Errors
    /// [`HeError::Values`] if it does not fit `slots`; [`HeError::Layout`] unless the length of a run
    /// is a power of two.
    pub fn runs(width: usize, run: usize, slots: usize) -> Result<Self, HeError> {
        if !run.is_power_of_two() || width == 0 {
            return Err(HeError::Layout { width, run });
        }
        let needed = width.checked_next_power_of_two().and_then(|count| count.checked_mul(run));
        let period = needed.filter(|period| *period <= slots);
        let period = period.ok_or(HeError::Values { got: width, limit: slots / run })?;
        let coordinate = |slot: usize| Some(slot / run).filter(|at| *at < width);
        Ok(Self { width, run, pattern: (0..period).map(coordinate).collect() })
    }

    /// Coordinate r in slot r of each period, a power of two.
    pub(super) fn cycle(width: usize, period: usize) -> Self {
        let pattern = (0..period).map(|slot| Some(slot).filter(|at| *at < width)).collect();
        Self { width, run: 1, pattern }
    }

    /// Coordinate r in slot `places[r]` of each period, the smallest power of two that has them all.
    ///
    /// # Errors
    /// [`HeError::Values`] if one does not fit `slots`; [`HeError::Layout`] for none, and for two in
    /// one slot.
    pub fn places(places: &[usize], slots: usize) -> Result<Self, HeError> {
        let width = places.len();
        let twice = HeError::Layout { width, run: 1 };
        let last = places.iter().max().ok_or(twice.clone())?;
        let period = last.checked_add(1).and_then(usize::checked_next_power_of_two);
        let period = period.filter(|period| *period <= slots);
        let period = period.ok_or(HeError::Values { got: last.saturating_add(1), limit: slots })?;
        let layout = Self::sparse(places, period);
        let filled = layout.pattern.iter().flatten().count();
        if filled == width { Ok(layout) } else { Err(twice) }
    }

    /// Coordinate r in slot `slots[r]` only.
    pub(super) fn sparse(slots: &[usize], period: usize) -> Self {
        let mut pattern = vec![None; period];
        for (coordinate, slot) in slots.iter().enumerate() {
            if let Some(place) = pattern.get_mut(*slot) {
                *place = Some(coordinate);
            }
        }
        Self { width: slots.len(), run: 1, pattern }
    }

    /// Length of the vector.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// How often in a row each coordinate is there.
    pub const fn run(&self) -> usize {
        self.run
    }

    /// After how many slots the pattern begins anew: a power of two.
    pub fn period(&self) -> usize {
        self.pattern.len()
    }

    /// The coordinate in a slot of the pattern.
    pub(super) fn coordinate(&self, slot: usize) -> Option<usize> {
        self.pattern.get(slot).copied().flatten()
    }

    /// The slots of a pattern that hold each coordinate.
    pub(super) fn all(&self) -> Vec<Vec<usize>> {
        let mut places = vec![Vec::new(); self.width];
        for (slot, coordinate) in self.pattern.iter().enumerate() {
            if let Some(coordinate) = coordinate {
                places[*coordinate].push(slot);
            }
        }
        places
    }

    /// The first slot of each coordinate.
    pub fn first(&self) -> Vec<usize> {
        self.all().iter().map(|places| places.first().copied().unwrap_or_default()).collect()
    }

    /// What is in each of `slots` slots if the vector is `values`; 0 where no coordinate is.
    ///
    /// # Errors
    /// [`HeError::Width`] unless there is a value for each coordinate.
    pub fn pack(&self, values: &[f64], slots: usize) -> Result<Vec<f64>, HeError> {
        if values.len() != self.width {
            return Err(HeError::Width { got: values.len(), needed: self.width });
        }
        let value = |at: &Option<usize>| at.map_or(0.0, |at| values[at]);
        Ok(self.pattern.iter().map(value).cycle().take(slots).collect())
    }
}
