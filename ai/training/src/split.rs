//! Who holds which rows, and which rows are kept for testing.
//!
//! Every function returns one list of row numbers per owner; together the lists hold each row
//! exactly once. The same seed gives the same split.

use std::collections::BTreeMap;

use nexus_types::{Seed, SeededRng};
use serde::{Deserialize, Serialize};

use crate::LearningError;
use crate::number::positive;

/// Rows that [`dirichlet`] leaves every owner, where there are enough of them.
pub const FEWEST_ROWS: usize = 8;

/// How many row hashes there are: 2^64.
const HASHES: f64 = 18_446_744_073_709_551_616.0;

/// A way to deal one data set to several owners.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Split {
    /// Shuffled and dealt evenly: [`iid`].
    #[default]
    Iid,
    /// Uneven in size and classes, the more so the smaller the number: [`dirichlet`].
    Dirichlet(f64),
    /// This many shards of one class each for every owner: [`by_label`].
    ByLabel(usize),
    /// One owner for each value of the named column: [`by_column`].
    ByColumn(String),
}

/// Deals `rows` shuffled rows evenly; sizes differ by one at most.
///
/// # Errors
/// [`LearningError::TooFewRows`] unless every owner gets a row.
pub fn iid(rows: usize, owners: usize, seed: &Seed) -> Result<Vec<Vec<usize>>, LearningError> {
    enough(rows, owners)?;
    let mut order: Vec<usize> = (0..rows).collect();
    seed.derive("split iid", &[]).rng().shuffle(&mut order);
    Ok(sorted(even_pieces(&order, owners).map(<[usize]>::to_vec).collect()))
}

/// Deals each class in proportions drawn from a symmetric Dirichlet distribution (Yurochkin et
/// al. 2019, arXiv:1905.12022, section 4; the same idea by owner instead of by class is Hsu et
/// al. 2019, arXiv:1909.06335). With `alpha` 100 the owners are alike, with 0.1 most of them hold
/// few classes.
///
/// Owners who got fewer than [`FEWEST_ROWS`] rows are then given random rows of the largest owner,
/// one at a time, so that all can train.
///
/// # Errors
/// [`LearningError::Setting`] unless `alpha` is a finite number above 0,
/// [`LearningError::TooFewRows`] unless every owner can get a row.
pub fn dirichlet(
    labels: &[u32],
    owners: usize,
    alpha: f64,
    seed: &Seed,
) -> Result<Vec<Vec<usize>>, LearningError> {
    positive("split.dirichlet", alpha)?;
    enough(labels.len(), owners)?;
    let mut rng = seed.derive("split dirichlet", &[]).rng();
    let mut dealt = vec![Vec::new(); owners];
    for mut class in groups(labels).into_values() {
        rng.shuffle(&mut class);
        let (mut share, mut start) = (0.0, 0);
        for (rows, proportion) in dealt.iter_mut().zip(proportions(owners, alpha, &mut rng)) {
            share += proportion;
            let end = place(share, class.len()).max(start);
            rows.extend(&class[start..end]);
            start = end;
        }
        // Rounding of the shares may leave the last rows of the class.
        dealt[owners - 1].extend(&class[start..]);
    }
    top_up(&mut dealt, FEWEST_ROWS.min(labels.len() / owners), &mut rng);
    Ok(sorted(dealt))
}

/// Deals shards: the rows in order of their labels, shuffled within a label, are cut into
/// `owners * per_owner` even shards, of which each owner gets `per_owner` at random (as in
/// the paper that named federated averaging, arXiv:1602.05629, section 3).
///
/// # Errors
/// [`LearningError::Setting`] if `per_owner` is 0, [`LearningError::TooFewRows`] if there are
/// fewer rows than shards.
pub fn by_label(
    labels: &[u32],
    owners: usize,
    per_owner: usize,
    seed: &Seed,
) -> Result<Vec<Vec<usize>>, LearningError> {
    crate::number::at_least_one("split.by_label", per_owner)?;
    enough(labels.len(), owners.saturating_mul(per_owner))?;
    let mut rng = seed.derive("split by label", &[]).rng();
    let mut order = Vec::with_capacity(labels.len());
    for mut class in groups(labels).into_values() {
        rng.shuffle(&mut class);
        order.extend(class);
    }
    let mut shards: Vec<&[usize]> = even_pieces(&order, owners * per_owner).collect();
    rng.shuffle(&mut shards);
    Ok(sorted(shards.chunks_exact(per_owner).map(<[_]>::concat).collect()))
}

/// One owner for each distinct value, in the order of the values: `values` holds one for every
/// row.
pub fn by_column<V: Ord>(values: &[V]) -> Vec<Vec<usize>> {
    groups(values).into_values().collect()
}

/// Splits rows into those for training and those for testing: a row is for testing if its hash,
/// as a share of all hashes, lies below `fraction`.
///
/// A row's side depends on its content alone. Equal rows are never on both sides, and whatever is
/// added to or taken from a file, and at whichever owner, the other rows stay where they are. So
/// the share of test rows is `fraction` only on average.
///
/// # Errors
/// [`LearningError::Setting`] unless `fraction` is at least 0 and below 1.
pub fn test_split(
    row_hashes: &[u64],
    fraction: f64,
) -> Result<(Vec<usize>, Vec<usize>), LearningError> {
    if !(0.0..1.0).contains(&fraction) {
        let (name, allowed) = ("test_fraction", "at least 0 and below 1");
        return Err(LearningError::Setting { name, got: fraction, allowed });
    }
    let for_training = |row: &usize| row_hashes[*row] as f64 >= fraction * HASHES;
    Ok((0..row_hashes.len()).partition(for_training))
}

fn enough(rows: usize, owners: usize) -> Result<(), LearningError> {
    if (1..=rows).contains(&owners) {
        return Ok(());
    }
    Err(LearningError::TooFewRows { rows, owners })
}

/// The rows of each distinct value.
fn groups<V: Ord>(values: &[V]) -> BTreeMap<&V, Vec<usize>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for (row, value) in values.iter().enumerate() {
        groups.entry(value).or_default().push(row);
    }
    groups
}

fn even_pieces(rows: &[usize], count: usize) -> impl Iterator<Item = &[usize]> {
    let (each, larger) = (rows.len() / count, rows.len() % count);
    let cut = move |piece: usize| piece * each + piece.min(larger);
    (0..count).map(move |piece| &rows[cut(piece)..cut(piece + 1)])
}

/// `share` of `count`, rounded.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of count")]
fn place(share: f64, count: usize) -> usize {
    ((share.clamp(0.0, 1.0) * count as f64).round() as usize).min(count)
}

/// Moves rows until every owner has `fewest`, at most the mean number of rows per owner.
fn top_up(dealt: &mut [Vec<usize>], fewest: usize, rng: &mut SeededRng) {
    for poor in 0..dealt.len() {
        while dealt[poor].len() < fewest {
            // The largest owner has more than the mean while another has less.
            let largest = (0..dealt.len()).fold(0, |best, owner| {
                if dealt[owner].len() > dealt[best].len() { owner } else { best }
            });
            let count = dealt[largest].len();
            let chosen = usize::try_from(rng.below(count as u64)).unwrap_or(0);
            let row = dealt[largest].swap_remove(chosen);
            dealt[poor].push(row);
        }
    }
}

fn sorted(mut dealt: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    for rows in &mut dealt {
        rows.sort_unstable();
    }
    dealt
}

/// A draw from the symmetric Dirichlet distribution: independent gamma numbers over their sum.
/// They are kept as logarithms, since for a small `alpha` all of them may be below the smallest
/// positive number.
fn proportions(count: usize, alpha: f64, rng: &mut SeededRng) -> Vec<f64> {
    let logs: Vec<f64> = (0..count).map(|_| ln_gamma_draw(alpha, rng)).collect();
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|ln| (ln - top).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// Logarithm of a gamma-distributed number of shape `alpha` and scale 1 (Marsaglia & Tsang 2000,
/// "A simple method for generating gamma variables", section 2, without the squeeze; below 1 a
/// draw of shape `alpha + 1` times `u^(1/alpha)`, their section 6).
fn ln_gamma_draw(alpha: f64, rng: &mut SeededRng) -> f64 {
    if alpha < 1.0 {
        let boost = (1.0 - rng.unit()).ln() / alpha;
        return ln_gamma_draw(alpha + 1.0, rng) + boost;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = rng.normal();
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && (1.0 - rng.unit()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d.ln() + v.ln();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn all_rows_once(dealt: &[Vec<usize>], rows: usize) -> bool {
        let mut seen = dealt.concat();
        seen.sort_unstable();
        seen.into_iter().eq(0..rows)
    }

    proptest! {
        #[test]
        fn every_row_goes_to_exactly_one_owner(
            labels in prop::collection::vec(0u32..5, 1..120), owners in 1usize..9,
            per_owner in 1usize..3, alpha in prop_oneof![1e-4..1e-2, 0.1..10.0f64], number: u64,
        ) {
            let (rows, seed) = (labels.len(), Seed::from_number(number));
            let splits = [
                iid(rows, owners, &seed),
                dirichlet(&labels, owners, alpha, &seed),
                by_label(&labels, owners, per_owner, &seed),
            ];
            let (mean, shards) = (rows / owners, owners * per_owner);
            let promises = [
                (owners, mean),
                (owners, mean.min(FEWEST_ROWS)),
                (shards, per_owner * (rows / shards)),
            ];
            for (split, (needed, fewest)) in splits.into_iter().zip(promises) {
                prop_assert_eq!(split.is_ok(), rows >= needed);
                let Ok(dealt) = split else { continue };
                prop_assert_eq!(dealt.len(), owners);
                prop_assert!(all_rows_once(&dealt, rows));
                prop_assert!(dealt.iter().all(|rows| rows.len() >= fewest));
            }
            prop_assert!(all_rows_once(&by_column(&labels), rows));
        }

        #[test]
        fn a_row_stays_on_its_side_whatever_else_is_there(
            hashes in prop::collection::vec(any::<u64>(), 0..60), kept: u64, fraction in 0.0..0.99f64,
        ) {
            let side = |hashes: &[u64]| -> BTreeSet<u64> {
                let (_, test) = test_split(hashes, fraction).unwrap();
                test.into_iter().map(|row| hashes[row]).collect()
            };
            let fewer: Vec<u64> =
                hashes.iter().copied().filter(|hash| (hash & kept).count_ones() % 2 == 0).rev().collect();
            let present: BTreeSet<u64> = fewer.iter().copied().collect();
            let expected: BTreeSet<u64> = side(&hashes).intersection(&present).copied().collect();
            prop_assert_eq!(side(&fewer), expected);
        }
    }

    #[test]
    fn shards_hold_one_class_each() {
        let labels: Vec<u32> = (0..400).map(|row| row % 10).collect();
        let dealt = by_label(&labels, 20, 2, &Seed::from_number(1)).unwrap();
        for rows in dealt {
            assert_eq!(rows.len(), 20);
            let classes: BTreeSet<u32> = rows.into_iter().map(|row| labels[row]).collect();
            assert!(classes.len() <= 2, "{classes:?}");
        }
    }

    #[test]
    fn columns_give_owners_in_order_of_their_values() {
        assert_eq!(by_column(&["b", "a", "b", "c"]), [vec![1], vec![0, 2], vec![3]]);
    }

    #[test]
    fn test_rows_are_the_asked_share() {
        let mut rng = Seed::from_number(5).rng();
        let hashes: Vec<u64> = (0..10_000).map(|_| nexus_types::Rng::next_u64(&mut rng)).collect();
        let (train, test) = test_split(&hashes, 0.2).unwrap();
        assert_eq!(train.len() + test.len(), hashes.len());
        assert!((1800..2200).contains(&test.len()), "{} of 10000", test.len());
        assert_eq!(test_split(&[0, u64::MAX], 0.0).unwrap(), (vec![0, 1], vec![]));
        for fraction in [-0.1, 1.0, f64::NAN] {
            assert!(matches!(test_split(&hashes, fraction), Err(LearningError::Setting { .. })));
        }
    }

    #[test]
    fn gamma_draws_have_the_moments_of_the_distribution() {
        let mut rng = Seed::from_number(2).rng();
        for alpha in [0.1, 0.7, 1.0, 4.5] {
            let draws: Vec<f64> =
                (0..40_000).map(|_| ln_gamma_draw(alpha, &mut rng).exp()).collect();
            let count = draws.len() as f64;
            let mean = draws.iter().sum::<f64>() / count;
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            // Both are alpha; five standard errors of each (the fourth moment is 3a^2 + 6a).
            let (error, spread) = (5.0 * (alpha / count).sqrt(), (2.0 * alpha + 6.0) * alpha);
            assert!((mean - alpha).abs() < error, "mean {mean} of shape {alpha}");
            assert!((variance - alpha).abs() < 5.0 * (spread / count).sqrt(), "{variance} {alpha}");
        }
    }

    #[test]
    fn a_small_alpha_concentrates_classes_and_a_large_one_spreads_them() {
        let labels: Vec<u32> = (0..2000).map(|row| row % 10).collect();
        let largest_share = |alpha: f64| {
            let dealt = dirichlet(&labels, 10, alpha, &Seed::from_number(4)).unwrap();
            let of_class = |rows: &[usize], class| {
                rows.iter().filter(|&&row| labels[row] == class).count() as f64 / rows.len() as f64
            };
            let top = dealt
                .iter()
                .map(|rows| (0..10).map(|class| of_class(rows, class)).fold(0.0, f64::max));
            top.sum::<f64>() / 10.0
        };
        assert!(largest_share(0.1) > 0.45, "{}", largest_share(0.1));
        assert!(largest_share(1000.0) < 0.15, "{}", largest_share(1000.0));
        let refused = dirichlet(&labels, 10, 0.0, &Seed::from_number(4));
        assert!(matches!(refused, Err(LearningError::Setting { name: "split.dirichlet", .. })));
    }
}
