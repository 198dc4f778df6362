//! Mini-batches in random order.

use nexus_models::Targets;
use nexus_models::data::{DataTargets, Dataset};
use nexus_types::Seed;

/// An endless sequence of mini-batches: every epoch is a fresh random order of all rows, cut into
/// batches of which the last may be smaller.
#[derive(Debug)]
pub(crate) struct Batches<'a> {
    data: &'a Dataset,
    size: usize,
    seed: Seed,
    epoch: u64,
    order: Vec<usize>,
    /// Rows of this epoch that are used up.
    used: usize,
    labels: Vec<u32>,
    values: Vec<f32>,
}

/// One mini-batch.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    data: &'a Dataset,
    rows: &'a [usize],
    /// What the rows are to be mapped to.
    pub(crate) targets: Targets<'a, f32>,
}

impl<'a> Batches<'a> {
    /// Batches of up to `size` rows of `data`, in an order drawn from `seed`. Both have at least
    /// one row.
    pub(crate) fn of(data: &'a Dataset, size: usize, seed: Seed) -> Self {
        let size = size.min(data.rows());
        let mut batches = Self {
            data,
            size,
            seed,
            epoch: 0,
            order: (0..data.rows()).collect(),
            used: 0,
            labels: Vec::with_capacity(size),
            values: Vec::with_capacity(size),
        };
        batches.shuffle();
        batches
    }

    /// Batches in one epoch.
    pub(crate) fn per_epoch(&self) -> u64 {
        self.order.len().div_ceil(self.size) as u64
    }

    /// Rows in one epoch.
    pub(crate) fn rows(&self) -> u64 {
        self.order.len() as u64
    }

    /// The next batch, in buffers that are used again for the one after it.
    pub(crate) fn next(&mut self) -> Batch<'_> {
        if self.used == self.order.len() {
            self.epoch += 1;
            self.shuffle();
        }
        let end = (self.used + self.size).min(self.order.len());
        let rows = &self.order[self.used..end];
        self.used = end;
        let targets = match self.data.targets() {
            DataTargets::Classes { labels, .. } => {
                self.labels.clear();
                self.labels.extend(rows.iter().map(|&row| labels[row]));
                Targets::Classes(&self.labels)
            }
            DataTargets::Values(values) => {
                self.values.clear();
                self.values.extend(rows.iter().map(|&row| values[row]));
                Targets::Values(&self.values)
            }
        };
        Batch { data: self.data, rows, targets }
    }

    fn shuffle(&mut self) {
        self.used = 0;
        self.seed.derive("epoch", &[self.epoch]).rng().shuffle(&mut self.order);
    }
}

impl Batch<'_> {
    /// Rows in the batch, at least 1.
    pub(crate) const fn examples(&self) -> usize {
        self.rows.len()
    }

    /// Writes the features of the rows, one row after the other.
    pub(crate) fn gather(&self, room: &mut [f32]) {
        for (room, &row) in room.chunks_exact_mut(self.data.width()).zip(self.rows) {
            room.copy_from_slice(self.data.row(row));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_epoch_holds_every_row_once_and_each_epoch_has_its_own_order(
            rows in 1usize..60, size in 1usize..70, number: u64,
        ) {
            let features: Vec<f32> = (0..rows).map(|row| row as f32).collect();
            let targets = DataTargets::Values(features.iter().map(|x| -x).collect());
            let data = Dataset::new(1, features.clone(), targets, vec![0; rows]).unwrap();
            let mut batches = Batches::of(&data, size, Seed::from_number(number));
            let mut epochs = Vec::new();
            for _ in 0..2 {
                let mut seen = Vec::new();
                for _ in 0..batches.per_epoch() {
                    let batch = batches.next();
                    let mut room = vec![0.0; batch.examples()];
                    batch.gather(&mut room);
                    let Targets::Values(values) = batch.targets else { panic!("values") };
                    prop_assert!(batch.examples() <= size);
                    prop_assert!(room.iter().zip(values).all(|(x, y)| (x + y).abs() < 0.5));
                    seen.extend(room);
                }
                epochs.push(seen.clone());
                seen.sort_by(f32::total_cmp);
                prop_assert_eq!(&seen, &features);
            }
            // Two random orders of 21 or more rows agree with a chance below 2^-64.
            prop_assert!(rows <= 20 || epochs[0] != epochs[1]);
        }
    }
}
