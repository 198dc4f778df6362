//! Statistics over all owners' rows: what an owner adds up for them, and what the noisy sum says.
//!
//! Each is one vector per row, of a norm that is known; the vectors are added, rounded, noised and masked like
//! gradients ([`super::grid`], [`super::shares`]) and paid from the same budget.
//!
//! | statistic | vector of a row | norm | from the noisy sum |
//! |---|---|---|---|
//! | [`Histogram`] | 1 at its bin | 1 | counts, at least 0 |
//! | [`Sums`] | its values, from −1 to 1 between public bounds, clipped to R | R | sums |
//! | [`Moments`] | (x, x²), likewise | R | means, variances with a floor |
//! | [`Quantiles`] | 1 at its cell in each level of a binary tree | √levels | quantiles |
//!
//! Divisors are declared, not counted: how many rows there are is no public number, unless the owner says so.
//! The mean of a feature is known to R/(μ·√share·n) of its range ([`Moments::error`]): where that is
//! above 0.05, bounds from the schema are better.
//!
//! ```
//! use nexus_privacy::mechanisms::statistics::Histogram;
//!
//! let labels = Histogram::new(3)?;
//! let mut sums = vec![0.0; labels.dimension()];
//! [0, 2, 2, 7].iter().for_each(|label| labels.add(*label, &mut sums)); // 7 is no bin
//! assert_eq!(labels.counts(&sums), [1.0, 0.0, 2.0]);
//! # Ok::<(), nexus_privacy::mechanisms::MechanismError>(())
//! ```

use nexus_types::limits::MAX_STATISTICS;

use super::clip::Clip;
use super::{MechanismError, within};

/// The smallest deviation of a feature in units of its range: private variances are noisy near 0.
pub const DEVIATION_FLOOR: f64 = 0.05;
/// The largest error of a mean, in units of the range, at which private statistics are worth it.
pub const WORTHWHILE_ERROR: f64 = 0.05;
/// Most levels of a tree for quantiles.
pub const MAX_LEVELS: u32 = 16;

fn size(what: &'static str, got: usize) -> Result<usize, MechanismError> {
    within(what, got as f64, 1.0..=MAX_STATISTICS as f64, "1 to 2^20 are possible").map(|_| got)
}

/// How often each of a number of bins was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    bins: usize,
}

impl Histogram {
    /// The norm of a row's vector.
    pub const NORM: f64 = 1.0;

    /// A histogram of so many bins, which are public.
    ///
    /// # Errors
    /// [`MechanismError::Setting`].
    pub fn new(bins: usize) -> Result<Self, MechanismError> {
        size("the number of bins", bins).map(|bins| Self { bins })
    }

    /// Values in a vector.
    pub const fn dimension(&self) -> usize {
        self.bins
    }

    /// Adds a row that is in `bin`; one that is in none adds nothing.
    pub fn add(&self, bin: usize, sums: &mut [f64]) {
        if let Some(sum) = sums.get_mut(bin) {
            *sum += 1.0;
        }
    }

    /// The counts that a noisy sum stands for.
    pub fn counts(&self, noisy: &[f64]) -> Vec<f64> {
        noisy.iter().take(self.bins).map(|count| count.max(0.0)).collect()
    }
}

/// Public bounds of a feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    low: f64,
    high: f64,
}

impl Bounds {
    /// From `low` to `high`.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] unless both are finite and `low` < `high`.
    pub fn new(low: f64, high: f64) -> Result<Self, MechanismError> {
        let expected = "the upper bound is above the lower one, and both are finite";
        within("the range of a feature", high - low, f64::MIN_POSITIVE..=f64::MAX, expected)?;
        Ok(Self { low, high })
    }

    /// −1 at the lower bound, 1 at the upper one; what is beyond, or not a number, is put inside.
    fn unit(self, value: f64) -> f64 {
        let unit = 2.0 * (value - self.low) / (self.high - self.low) - 1.0;
        if unit.is_nan() { 0.0 } else { unit.clamp(-1.0, 1.0) }
    }

    /// Half the range.
    fn half(self) -> f64 {
        (self.high - self.low) / 2.0
    }

    fn middle(self) -> f64 {
        self.low + self.half()
    }
}

/// Sums of features between public bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    bounds: Vec<Bounds>,
    clip: Clip,
}

impl Sums {
    /// Of features with these bounds, rows clipped to the norm `clip` where −1 to 1 is the range of each.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] if there are no features or too many.
    pub fn new(bounds: Vec<Bounds>, clip: Clip) -> Result<Self, MechanismError> {
        size("the number of features", bounds.len())?;
        Ok(Self { bounds, clip })
    }

    /// Values in a vector.
    pub const fn dimension(&self) -> usize {
        self.bounds.len()
    }

    /// The norm of a row's vector.
    pub const fn clip(&self) -> Clip {
        self.clip
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`MechanismError::Length`].
    pub fn add(&self, row: &[f64], sums: &mut [f64]) -> Result<(), MechanismError> {
        add_clipped(self.units(row)?, self.clip, sums)
    }

    /// The row with −1 to 1 for the range of each feature.
    fn units(&self, row: &[f64]) -> Result<Vec<f64>, MechanismError> {
        length("features in a row", row.len(), self.bounds.len())?;
        Ok(self.bounds.iter().zip(row).map(|(bounds, value)| bounds.unit(*value)).collect())
    }

    /// The sums over `declared` rows, in the features' own units.
    ///
    /// # Errors
    /// [`MechanismError::Length`].
    pub fn sums(&self, noisy: &[f64], declared: f64) -> Result<Vec<f64>, MechanismError> {
        length("sums", noisy.len(), self.dimension())?;
        let sum =
            |(bounds, noisy): (&Bounds, &f64)| noisy * bounds.half() + declared * bounds.middle();
        Ok(self.bounds.iter().zip(noisy).map(sum).collect())
    }
}

fn length(what: &'static str, got: usize, expected: usize) -> Result<(), MechanismError> {
    if got == expected { Ok(()) } else { Err(MechanismError::Length { what, got, expected }) }
}

fn add_clipped(mut vector: Vec<f64>, clip: Clip, sums: &mut [f64]) -> Result<(), MechanismError> {
    length("sums", sums.len(), vector.len())?;
    clip.apply(&mut vector);
    sums.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
    Ok(())
}

/// Means and variances of features between public bounds: one vector for both.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments(Sums);

/// The mean and the deviation of a feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The mean, within the bounds.
    pub mean: f64,
    /// The standard deviation, at least [`DEVIATION_FLOOR`] of the range.
    pub deviation: f64,
}

impl Moments {
    /// As [`Sums::new`]; the norm is that of (x, x²).
    ///
    /// # Errors
    /// [`MechanismError::Setting`].
    pub fn new(bounds: Vec<Bounds>, clip: Clip) -> Result<Self, MechanismError> {
        size("the number of features", bounds.len().saturating_mul(2))?;
        Sums::new(bounds, clip).map(Self)
    }

    /// Values in a vector: two for each feature.
    pub const fn dimension(&self) -> usize {
        2 * self.0.dimension()
    }

    /// The norm of a row's vector.
    pub const fn clip(&self) -> Clip {
        self.0.clip()
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`MechanismError::Length`].
    pub fn add(&self, row: &[f64], sums: &mut [f64]) -> Result<(), MechanismError> {
        let mut vector = self.0.units(row)?;
        vector.extend_from_within(..);
        let features = self.0.dimension();
        vector[features..].iter_mut().for_each(|x| *x *= *x);
        add_clipped(vector, self.clip(), sums)
    }

    /// Means and deviations from the noisy sum over `declared` rows.
    ///
    /// # Errors
    /// [`MechanismError::Length`]; [`MechanismError::Setting`] if fewer than one row was declared.
    pub fn moments(&self, noisy: &[f64], declared: f64) -> Result<Vec<Moment>, MechanismError> {
        length("sums", noisy.len(), self.dimension())?;
        within("the declared number of rows", declared, 1.0..=1e15, "1 to 1e15 are possible")?;
        let (first, second) = noisy.split_at(self.0.dimension());
        let moment = |((bounds, x), square): ((&Bounds, &f64), &f64)| {
            let mean = (x / declared).clamp(-1.0, 1.0);
            // −1 to 1 is twice the unit range.
            let floor = (2.0 * DEVIATION_FLOOR).powi(2);
            let variance = (square / declared - mean * mean).clamp(floor, 1.0);
            let deviation = variance.sqrt() * bounds.half();
            Moment { mean: mean * bounds.half() + bounds.middle(), deviation }
        };
        Ok(self.0.bounds.iter().zip(first).zip(second).map(moment).collect())
    }

    /// The deviation of the noise in each mean, in units of the range, at a Gaussian-DP cost `mu` over
    /// `declared` rows: R/(2·μ·n), for the range is 2 in the vector's units.
    pub fn error(&self, mu: f64, declared: f64) -> f64 {
        self.clip().norm() / (2.0 * mu * declared)
    }

    /// Whether the means would be known well enough to be worth their cost: decided by public
    /// numbers alone.
    pub fn is_worthwhile(&self, mu: f64, declared: f64) -> bool {
        self.error(mu, declared) <= WORTHWHILE_ERROR
    }
}

/// Quantiles of one feature between public bounds, by counts in a binary tree of cells: a rank is the
/// sum of one cell per level, so its noise grows with the levels and not with the cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    bounds: Bounds,
    levels: u32,
}

impl Quantiles {
    /// With 2^`levels` cells between the bounds.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] unless 1 to [`MAX_LEVELS`] levels.
    pub fn new(bounds: Bounds, levels: u32) -> Result<Self, MechanismError> {
        within(
            "the levels of the tree",
            levels.into(),
            1.0..=MAX_LEVELS.into(),
            "1 to 16 are possible",
        )?;
        Ok(Self { bounds, levels })
    }

    /// Values in a vector: the cells of all levels.
    pub const fn dimension(&self) -> usize {
        (2 << self.levels) - 2
    }

    /// The norm of a row's vector: √levels.
    pub fn norm(&self) -> f64 {
        f64::from(self.levels).sqrt().next_up()
    }

    /// Adds a row's value.
    ///
    /// # Errors
    /// [`MechanismError::Length`].
    pub fn add(&self, value: f64, sums: &mut [f64]) -> Result<(), MechanismError> {
        length("sums", sums.len(), self.dimension())?;
        let cells = 1_usize << self.levels;
        let place = self.bounds.unit(value).midpoint(1.0) * cells as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^16")]
        let leaf = (place as usize).min(cells - 1);
        for level in 1..=self.levels {
            sums[first_cell(level) + (leaf >> (self.levels - level))] += 1.0;
        }
        Ok(())
    }

    /// The value below which a part `rank` of the rows lies, from a noisy sum: down the tree, to the side
    /// where the rank is, in proportion to the two halves' counts.
    ///
    /// # Errors
    /// [`MechanismError::Length`]; [`MechanismError::Setting`] for a rank outside 0 to 1.
    pub fn quantile(&self, noisy: &[f64], rank: f64) -> Result<f64, MechanismError> {
        length("sums", noisy.len(), self.dimension())?;
        let mut rank = within("the rank of a quantile", rank, 0.0..=1.0, "0 to 1 is possible")?;
        let mut cell = 0;
        for level in 1..=self.levels {
            let at = first_cell(level) + 2 * cell;
            let (left, right) = (noisy[at].max(0.0), noisy[at + 1].max(0.0));
            let all = left + right;
            let part = if all > 0.0 { left / all } else { 0.5 };
            cell *= 2;
            if rank > part {
                cell += 1;
                rank = (rank - part) / (1.0 - part);
            } else if part > 0.0 {
                rank /= part;
            }
        }
        let unit = (cell as f64 + rank.clamp(0.0, 1.0)) / (1_u64 << self.levels) as f64;
        Ok(self.bounds.low + unit * 2.0 * self.bounds.half())
    }
}

/// Where a level's cells begin; the first level has two.
const fn first_cell(level: u32) -> usize {
    (1 << level) - 2
}

#[cfg(test)]
mod tests {
    use nexus_types::Seed;
    use proptest::prelude::*;

    use super::*;

    fn norm(vector: &[f64]) -> f64 {
        vector.iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    fn bounds(features: usize) -> Vec<Bounds> {
        vec![Bounds::new(-2.0, 6.0).unwrap(); features]
    }

    proptest! {
        #[test]
        fn no_row_moves_a_statistic_by_more_than_its_norm(
            row in prop::collection::vec(any::<f64>(), 1..20), bin: usize, levels in 1_u32..=16,
        ) {
            let clip = Clip::new(1.5).unwrap();
            let sums = Sums::new(bounds(row.len()), clip).unwrap();
            let mut vector = vec![0.0; sums.dimension()];
            sums.add(&row, &mut vector).unwrap();
            prop_assert!(norm(&vector) <= 1.5);
            let moments = Moments::new(bounds(row.len()), clip).unwrap();
            let mut vector = vec![0.0; moments.dimension()];
            moments.add(&row, &mut vector).unwrap();
            prop_assert!(norm(&vector) <= 1.5);
            let histogram = Histogram::new(7).unwrap();
            let mut vector = vec![0.0; 7];
            histogram.add(bin % 9, &mut vector);
            prop_assert!(norm(&vector) <= Histogram::NORM);
            let quantiles = Quantiles::new(bounds(1)[0], levels).unwrap();
            let mut vector = vec![0.0; quantiles.dimension()];
            quantiles.add(row[0], &mut vector).unwrap();
            prop_assert!(norm(&vector) <= quantiles.norm());
        }
    }

    #[test]
    fn statistics_without_noise_are_those_of_the_rows() {
        let mut rng = Seed::from_number(1).rng();
        let rows: Vec<Vec<f64>> =
            (0..4000).map(|_| vec![1.0 + rng.normal(), 3.0 + 0.5 * rng.normal()]).collect();
        let clip = Clip::new(2.0).unwrap();
        let (sums, moments) =
            (Sums::new(bounds(2), clip).unwrap(), Moments::new(bounds(2), clip).unwrap());
        let quantiles = Quantiles::new(bounds(1)[0], 10).unwrap();
        let (mut s, mut m, mut q) = (vec![0.0; 2], vec![0.0; 4], vec![0.0; quantiles.dimension()]);
        for row in &rows {
            sums.add(row, &mut s).unwrap();
            moments.add(row, &mut m).unwrap();
            quantiles.add(row[0], &mut q).unwrap();
        }
        let got = sums.sums(&s, 4000.0).unwrap();
        let expected = rows.iter().map(|row| row[1]).sum::<f64>();
        assert!((got[1] / expected - 1.0).abs() < 1e-3);
        let got = moments.moments(&m, 4000.0).unwrap();
        assert!((got[0].mean - 1.0).abs() < 0.1 && (got[0].deviation - 1.0).abs() < 0.05);
        assert!((got[1].mean - 3.0).abs() < 0.05 && (got[1].deviation - 0.5).abs() < 0.05);
        for (rank, normal) in [(0.5, 0.0), (0.841_345, 1.0), (0.022_750, -2.0)] {
            let got = quantiles.quantile(&q, rank).unwrap();
            assert!((got - 1.0 - normal).abs() < 0.1, "{rank}: {got}");
        }
        assert!(moments.is_worthwhile(0.7, 4000.0) && !moments.is_worthwhile(0.1, 50.0));
    }

    #[test]
    fn noise_never_gives_an_impossible_statistic() {
        let mut rng = Seed::from_number(2).rng();
        let mut noise = |count: usize| (0..count).map(|_| 1e6 * rng.normal()).collect::<Vec<_>>();
        let moments = Moments::new(bounds(3), Clip::new(1.0).unwrap()).unwrap();
        for moment in moments.moments(&noise(6), 10.0).unwrap() {
            assert!((-2.0..=6.0).contains(&moment.mean));
            assert!((DEVIATION_FLOOR * 8.0 * 0.999..=8.0).contains(&moment.deviation));
        }
        let quantiles = Quantiles::new(bounds(1)[0], 8).unwrap();
        for rank in [0.0, 0.3, 1.0] {
            let got = quantiles.quantile(&noise(quantiles.dimension()), rank).unwrap();
            assert!((-2.0..=6.0).contains(&got), "{got}");
        }
        assert!(Histogram::new(5).unwrap().counts(&noise(5)).iter().all(|count| *count >= 0.0));
    }

    #[test]
    fn settings_without_a_meaning_are_refused() {
        assert!(Histogram::new(0).is_err() && Histogram::new(1 << 21).is_err());
        for (low, high) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
            assert!(Bounds::new(low, high).is_err());
        }
        let clip = Clip::new(1.0).unwrap();
        assert!(Sums::new(Vec::new(), clip).is_err());
        assert!(Moments::new(bounds(1 << 20), clip).is_err());
        let moments = Moments::new(bounds(2), clip).unwrap();
        assert!(
            moments.moments(&[0.0; 3], 5.0).is_err() && moments.moments(&[0.0; 4], 0.0).is_err()
        );
        assert!(moments.add(&[0.0; 3], &mut [0.0; 4]).is_err());
        let quantiles = Quantiles::new(bounds(1)[0], 3).unwrap();
        assert!(Quantiles::new(bounds(1)[0], 17).is_err());
        assert!(quantiles.quantile(&[0.0; 14], 1.5).is_err());
        assert!(quantiles.add(0.0, &mut [0.0; 3]).is_err());
    }
}
