//! Rules that trust the updates which have many others near them.

use std::cmp::Ordering;

use super::coordinate::{by_coordinate, mean, middle, trimmed_mean};

/// The updates and the squared Euclidean distances between all pairs.
struct Distances<'a> {
    updates: &'a [&'a [f32]],
    squares: Vec<f64>,
}

/// How central an update is: the sum of squares to its nearest neighbours, then to all others.
type Score = (f64, f64);

impl<'a> Distances<'a> {
    fn between(updates: &'a [&'a [f32]]) -> Self {
        let n = updates.len();
        let mut squares = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..i {
                let square = squared_distance(updates[i], updates[j]);
                squares[i * n + j] = square;
                squares[j * n + i] = square;
            }
        }
        Self { updates, squares }
    }

    /// Krum's score of `i` among `candidates`. Neighbours are as many as candidates less
    /// `byzantine` and two, but at least one.
    fn score(&self, i: usize, candidates: &[usize], byzantine: usize) -> Score {
        let row = &self.squares[i * self.updates.len()..];
        let others = candidates.iter().filter(|&&j| j != i);
        let mut squares: Vec<f64> = others.map(|&j| row[j]).collect();
        squares.sort_unstable_by(f64::total_cmp);
        let neighbours = candidates.len().saturating_sub(byzantine + 2).max(1);
        (squares.iter().take(neighbours).sum(), squares.iter().sum())
    }

    /// The candidates, lowest score first. Two that have only each other near tie often, so
    /// content decides: the names of owners never do.
    fn ranked(&self, candidates: &[usize], byzantine: usize) -> Vec<usize> {
        let score = |&i: &usize| (self.score(i, candidates, byzantine), i);
        let mut scored: Vec<(Score, usize)> = candidates.iter().map(score).collect();
        scored.sort_unstable_by(|(a, i), (b, j)| {
            let by_score = a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
            by_score.then_with(|| compare(self.updates[*i], self.updates[*j]))
        });
        scored.into_iter().map(|(_, i)| i).collect()
    }
}

/// Lexicographic order.
fn compare(a: &[f32], b: &[f32]) -> Ordering {
    let differences = a.iter().zip(b).map(|(x, y)| x.total_cmp(y));
    differences.fold(Ordering::Equal, Ordering::then)
}

/// The squared Euclidean distance, in eight sums so that it can be computed in vectors.
fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let square = |x: f32, y: f32| {
        let difference = f64::from(x) - f64::from(y);
        difference * difference
    };
    let mut sums = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let tail: f64 = rest.map(|(x, y)| square(*x, *y)).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += square(x[lane], y[lane]);
        }
    }
    sums.iter().sum::<f64>() + tail
}

fn chosen<'a>(updates: &[&'a [f32]], chosen: &[usize]) -> Vec<&'a [f32]> {
    chosen.iter().map(|&i| updates[i]).collect()
}

pub(super) fn multi_krum(updates: &[&[f32]], byzantine: usize, keep: usize) -> Vec<f64> {
    let all: Vec<usize> = (0..updates.len()).collect();
    let mut ranked = Distances::between(updates).ranked(&all, byzantine);
    ranked.truncate(keep);
    trimmed_mean(&chosen(updates, &ranked), 0)
}

pub(super) fn bulyan(updates: &[&[f32]], byzantine: usize) -> Vec<f64> {
    let distances = Distances::between(updates);
    let mut candidates: Vec<usize> = (0..updates.len()).collect();
    let selected = (0..updates.len() - 2 * byzantine).map(|_| {
        let best = distances.ranked(&candidates, byzantine)[0];
        candidates.retain(|&i| i != best);
        best
    });
    let selected: Vec<usize> = selected.collect();
    let kept = selected.len() - 2 * byzantine;
    by_coordinate(&chosen(updates, &selected), |sorted| mean(nearest(sorted, middle(sorted), kept)))
}

/// The `count` of the sorted values nearest to `centre`: neighbours of each other, the lower of
/// two equally near.
fn nearest(sorted: &[f32], centre: f64, count: usize) -> &[f32] {
    let (mut low, mut high) = (0, sorted.len());
    while high - low > count {
        let (below, above) =
            (centre - f64::from(sorted[low]), f64::from(sorted[high - 1]) - centre);
        if above >= below {
            high -= 1;
        } else {
            low += 1;
        }
    }
    &sorted[low..high]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{assert_close, updates};
    use super::*;

    fn plain_distance(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum()
    }

    /// Krum as its paper writes it: everything recomputed for every candidate.
    fn plain_krum(vectors: &[Vec<f32>], byzantine: usize) -> usize {
        let score = |i: usize| {
            let others = (0..vectors.len()).filter(|&j| j != i);
            let mut squares: Vec<f64> =
                others.map(|j| plain_distance(&vectors[i], &vectors[j])).collect();
            squares.sort_by(f64::total_cmp);
            let neighbours = vectors.len().saturating_sub(byzantine + 2).max(1);
            let near: f64 = squares.iter().take(neighbours).sum();
            (near, squares.iter().sum::<f64>(), vectors[i].clone())
        };
        let by_score = |&i: &usize, &j: &usize| score(i).partial_cmp(&score(j)).unwrap();
        (0..vectors.len()).min_by(by_score).unwrap()
    }

    fn plain_bulyan(mut vectors: Vec<Vec<f32>>, byzantine: usize) -> Vec<f64> {
        let mut selected = Vec::new();
        for _ in 0..vectors.len() - 2 * byzantine {
            let best = plain_krum(&vectors, byzantine);
            selected.push(vectors.remove(best));
        }
        let kept = selected.len() - 2 * byzantine;
        let coordinate = |c: usize| {
            let mut column: Vec<f64> = selected.iter().map(|v| f64::from(v[c])).collect();
            column.sort_by(f64::total_cmp);
            let (low, high) = (column[(column.len() - 1) / 2], column[column.len() / 2]);
            let median = f64::midpoint(low, high);
            column.sort_by(|a, b| (a - median).abs().total_cmp(&(b - median).abs()));
            column[..kept].iter().sum::<f64>() / kept as f64
        };
        (0..selected[0].len()).map(coordinate).collect()
    }

    proptest! {
        #[test]
        fn krum_is_the_one_a_plain_search_finds(vectors in updates(5..12, 20), f in 0usize..3) {
            let slices: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
            let found = &vectors[plain_krum(&vectors, f)];
            assert_close(&multi_krum(&slices, f, 1), found, 0.0);
        }

        #[test]
        fn multi_krum_is_the_mean_of_the_best(vectors in updates(6..10, 9), keep in 1usize..5) {
            let slices: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
            let score = |i: usize| {
                let mut squares: Vec<f64> =
                    vectors.iter().map(|v| plain_distance(&vectors[i], v)).collect();
                squares.sort_by(f64::total_cmp);
                squares[1..vectors.len() - 2].iter().sum::<f64>()
            };
            let mut order: Vec<usize> = (0..vectors.len()).collect();
            order.sort_by(|&i, &j| score(i).total_cmp(&score(j)));
            let mean = |c: usize| {
                order[..keep].iter().map(|&i| vectors[i][c]).sum::<f32>() / keep as f32
            };
            let expected: Vec<f32> = (0..9).map(mean).collect();
            assert_close(&multi_krum(&slices, 1, keep), &expected, 1e-4);
        }

        #[test]
        fn bulyan_agrees_with_a_plain_one(vectors in updates(9..14, 5), f in 0usize..3) {
            let slices: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
            let expected = plain_bulyan(vectors.clone(), f);
            for (got, expected) in bulyan(&slices, f).iter().zip(expected) {
                prop_assert!((got - expected).abs() < 1e-9, "{got} {expected}");
            }
        }
    }

    #[test]
    fn distances_count_the_coordinates_left_over_by_the_lanes() {
        let (a, b) = ([1.0f32; 19], [3.0f32; 19]);
        assert!((squared_distance(&a, &b) - 76.0).abs() < 1e-12);
    }
}
