//! Rules that look at one coordinate at a time.

/// Coordinates gathered at a time, so that each update is read in runs.
const BLOCK: usize = 64;

/// Calls `pick` with the sorted values of each coordinate and collects what it returns.
pub(super) fn by_coordinate(updates: &[&[f32]], pick: impl Fn(&[f32]) -> f64) -> Vec<f64> {
    let (n, length) = (updates.len(), updates.first().map_or(0, |first| first.len()));
    let mut columns = vec![0.0; n * BLOCK];
    let mut result = Vec::with_capacity(length);
    for start in (0..length).step_by(BLOCK) {
        let end = length.min(start + BLOCK);
        for (i, update) in updates.iter().enumerate() {
            for (column, value) in columns.chunks_exact_mut(n).zip(&update[start..end]) {
                column[i] = *value;
            }
        }
        for column in columns.chunks_exact_mut(n).take(end - start) {
            column.sort_unstable_by(f32::total_cmp);
            result.push(pick(column));
        }
    }
    result
}

/// The median of sorted values; of an even number the mean of the two in the middle.
pub(super) fn middle(sorted: &[f32]) -> f64 {
    let half = sorted.len() / 2;
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[half]);
    f64::midpoint(f64::from(low), f64::from(high))
}

pub(super) fn mean(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64
}

pub(super) fn median(updates: &[&[f32]]) -> Vec<f64> {
    by_coordinate(updates, middle)
}

pub(super) fn trimmed_mean(updates: &[&[f32]], trim: usize) -> Vec<f64> {
    by_coordinate(updates, |sorted| mean(&sorted[trim..sorted.len() - trim]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::updates;
    use super::*;

    proptest! {
        #[test]
        fn blocks_do_not_show(vectors in updates(1..6, 150), trim in 0usize..2) {
            prop_assume!(vectors.len() > 2 * trim);
            let slices: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
            let (medians, means) = (median(&slices), trimmed_mean(&slices, trim));
            prop_assert_eq!(medians.len(), 150);
            for (c, (got_median, got_mean)) in medians.into_iter().zip(means).enumerate() {
                let mut column: Vec<f64> = vectors.iter().map(|v| f64::from(v[c])).collect();
                column.sort_by(f64::total_cmp);
                let n = column.len();
                let expected = f64::midpoint(column[(n - 1) / 2], column[n / 2]);
                prop_assert!((got_median - expected).abs() < 1e-12);
                let kept = &column[trim..n - trim];
                let expected = kept.iter().sum::<f64>() / kept.len() as f64;
                prop_assert!((got_mean - expected).abs() < 1e-9);
            }
        }
    }
}
