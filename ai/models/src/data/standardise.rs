//! Mean and deviation of numeric columns, from sums that owners can add up.

use std::collections::BTreeMap;

use nexus_types::borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::error::DataError;
use super::infer::not_a_number;
use super::schema::Schema;
use super::table::{Cell, Column, Table};

/// Sums per numeric column: count, sum, sum of squares.
const SUMS: usize = 3;
/// A variance below this share of the squared mean is rounding error: the sums of squares that
/// the variance is a difference of carry a relative error of a few units of 2⁻⁵³.
const VARIANCE_FLOOR: f64 = 64.0 * f64::EPSILON;

impl Schema {
    /// Sums over the numeric columns of a table, in the order of the schema: for each column the
    /// number of values, their sum and the sum of their squares.
    ///
    /// The sums of several tables add up, element by element, to those of all their rows: owners
    /// can add them without showing them. Compensated summation (Neumaier 1974) keeps the error
    /// independent of the number of rows.
    ///
    /// # Errors
    /// [`DataError::DifferentColumns`] if a column is not there, [`DataError::NotANumber`] if it
    /// holds text.
    pub fn moments(&self, table: &Table) -> Result<Vec<f64>, DataError> {
        let mut sums = Vec::new();
        for feature in self.numeric() {
            let column =
                table.column(&feature.name).ok_or_else(|| not_there(table, &feature.name))?;
            sums.extend(column_sums(table, column)?);
        }
        Ok(sums)
    }

    /// Length of [`Schema::moments`].
    pub fn moments_len(&self) -> usize {
        SUMS * self.numeric().count()
    }
}

pub(super) fn not_there(table: &Table, column: &str) -> DataError {
    let (file, column) = (table.name().to_owned(), column.to_owned());
    DataError::DifferentColumns { file, column, other: "the schema".into() }
}

fn column_sums(table: &Table, column: &Column) -> Result<[f64; SUMS], DataError> {
    let mut count = 0.0;
    let (mut sum, mut squares) = (Sum::default(), Sum::default());
    for (row, cell) in column.cells().enumerate() {
        match cell {
            Cell::Null => {}
            Cell::Text(text) => return Err(not_a_number(table, row, column.name(), text)),
            Cell::Number(number) => {
                count += 1.0;
                sum.add(number);
                squares.add(number * number);
            }
        }
    }
    Ok([count, sum.total(), squares.total()])
}

/// A sum and what rounding has taken from it.
#[derive(Default)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    fn total(&self) -> f64 {
        self.sum + self.lost
    }
}

/// How numeric columns are brought to a common scale: `(x - mean) / deviation`, one mean and one
/// deviation per numeric column, in the order of the schema.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Standardisation {
    /// What is subtracted.
    pub mean: Vec<f64>,
    /// What is divided by; above 0.
    pub deviation: Vec<f64>,
}

impl Standardisation {
    /// Leaves all numbers as they are.
    pub fn none(schema: &Schema) -> Self {
        let columns = schema.numeric().count();
        Self { mean: vec![0.0; columns], deviation: vec![1.0; columns] }
    }

    /// Mean and population deviation out of the sums of [`Schema::moments`], added over all
    /// owners.
    ///
    /// A column that is constant, as far as the sums can tell, gets the deviation 1. Sums need
    /// not be exact: noise that makes a variance negative makes the column count as constant.
    ///
    /// # Errors
    /// [`DataError::StatisticsLength`]; [`DataError::BadStatistic`] if a count is below 1, or a
    /// sum is not finite.
    pub fn from_moments(schema: &Schema, moments: &[f64]) -> Result<Self, DataError> {
        let (got, expected) = (moments.len(), schema.moments_len());
        if got != expected {
            return Err(DataError::StatisticsLength { got, expected });
        }
        let mut this = Self { mean: Vec::new(), deviation: Vec::new() };
        for (feature, sums) in schema.numeric().zip(moments.chunks_exact(SUMS)) {
            let [count, sum, squares] = [sums[0], sums[1], sums[2]];
            let usable = [
                ("count", count, count >= 1.0 && count.is_finite()),
                ("sum", sum, sum.is_finite()),
                ("sum of squares", squares, squares.is_finite()),
            ];
            for (what, value, usable) in usable {
                if !usable {
                    return Err(DataError::BadStatistic {
                        column: feature.name.clone(),
                        what,
                        value,
                    });
                }
            }
            let mean = sum / count;
            let variance = squares / count - mean * mean;
            let constant = variance <= VARIANCE_FLOOR * mean * mean;
            this.mean.push(mean);
            this.deviation.push(if constant { 1.0 } else { variance.sqrt() });
        }
        this.check(schema)?;
        Ok(this)
    }

    /// From bounds that are public, without a look at any row: the lower bound becomes −1, the upper
    /// one 3. Measures are positive more often than not and have a long upper tail, so that their
    /// mean is nearer to a quarter of the way than to the half.
    ///
    /// Numbers outside the bounds stay outside.
    ///
    /// # Errors
    /// [`DataError::NoBounds`], [`DataError::BadBounds`].
    pub fn from_bounds(
        schema: &Schema,
        bounds: &BTreeMap<String, [f64; 2]>,
    ) -> Result<Self, DataError> {
        let mut this = Self { mean: Vec::new(), deviation: Vec::new() };
        for feature in schema.numeric() {
            let column = || feature.name.clone();
            let &[least, most] = bounds
                .get(&feature.name)
                .ok_or_else(|| DataError::NoBounds { column: column() })?;
            let quarter = (most - least) / 4.0;
            if !(quarter > 0.0 && quarter.is_finite()) {
                return Err(DataError::BadBounds { column: column(), least, most });
            }
            this.mean.push(least + quarter);
            this.deviation.push(quarter);
        }
        this.check(schema)?;
        Ok(this)
    }

    /// Refuses statistics that do not fit the schema: to be asked of those from outside.
    ///
    /// # Errors
    /// [`DataError::StatisticsLength`], [`DataError::BadStatistic`].
    pub fn check(&self, schema: &Schema) -> Result<(), DataError> {
        let expected = schema.numeric().count();
        for got in [self.mean.len(), self.deviation.len()] {
            if got != expected {
                return Err(DataError::StatisticsLength { got, expected });
            }
        }
        for ((feature, &mean), &deviation) in schema.numeric().zip(&self.mean).zip(&self.deviation)
        {
            let bad =
                |what, value| DataError::BadStatistic { column: feature.name.clone(), what, value };
            if !mean.is_finite() {
                return Err(bad("mean", mean));
            }
            if !(deviation > 0.0 && deviation.is_finite()) {
                return Err(bad("deviation", deviation));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Cell, SchemaOptions};
    use super::*;

    fn table(numbers: &[f64]) -> Table {
        let labels = (0..numbers.len()).map(|row| Cell::Number((row % 2) as f64));
        let columns = vec![
            Column::from_cells("x", numbers.iter().map(|&number| Cell::number(number))),
            Column::from_cells("y", labels),
        ];
        Table::new("t", columns).unwrap()
    }

    fn schema() -> Schema {
        Schema::infer(&table(&[0.0, 1.0]), &SchemaOptions::classes("y")).unwrap()
    }

    fn standardised(numbers: &[f64]) -> (f64, f64) {
        let (schema, table) = (schema(), table(numbers));
        let moments = schema.moments(&table).unwrap();
        let found = Standardisation::from_moments(&schema, &moments).unwrap();
        (found.mean[0], found.deviation[0])
    }

    fn close(got: f64, expected: f64, relative: f64) -> bool {
        (got - expected).abs() <= relative * expected.abs().max(f64::MIN_POSITIVE)
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_population() {
        assert_eq!(standardised(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), (5.0, 2.0));
        assert_eq!(standardised(&[3.0]), (3.0, 1.0));
        assert_eq!(standardised(&[0.0, 0.0]), (0.0, 1.0));
    }

    #[test]
    fn a_constant_column_is_known_through_rounding() {
        for constant in [0.1, 1e-30, 1e9 / 3.0, -7e100] {
            let (mean, deviation) = standardised(&[constant; 1000]);
            assert!(close(mean, constant, 1e-15), "{constant}");
            assert!((deviation - 1.0).abs() <= 0.0, "{constant}");
        }
    }

    #[test]
    fn a_small_deviation_far_from_zero_is_found() {
        // Seconds since 1970 on one day in steps of an hour, as many rows as a real table has.
        let numbers: Vec<f64> =
            (0..24_000).map(|row| 1.7e9 + 3600.0 * f64::from(row % 24)).collect();
        let (mean, deviation) = standardised(&numbers);
        assert!(close(mean, 1.7e9 + 3600.0 * 11.5, 1e-15));
        assert!(close(deviation, 3600.0 * (575.0f64 / 12.0).sqrt(), 1e-5));
    }

    #[test]
    fn statistics_that_cannot_be_are_refused() {
        let schema = schema();
        let message =
            |sums: &[f64]| Standardisation::from_moments(&schema, sums).unwrap_err().to_string();
        assert_eq!(message(&[1.0]), "1 statistics for a schema that has 3");
        assert_eq!(message(&[0.0; 3]), "the count 0 of column `x` is not usable");
        assert_eq!(message(&[1.0, f64::NAN, 1.0]), "the sum NaN of column `x` is not usable");
        let infinite = [1.0, 1.0, f64::INFINITY];
        assert_eq!(message(&infinite), "the sum of squares inf of column `x` is not usable");
        let noisy = Standardisation::from_moments(&schema, &[10.0, 50.0, 249.0]).unwrap();
        assert_eq!(noisy.deviation, [1.0]);
        for deviation in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let wrong = Standardisation { mean: vec![0.0], deviation: vec![deviation] };
            assert!(matches!(wrong.check(&schema), Err(DataError::BadStatistic { .. })));
        }
        let long = Standardisation { mean: vec![0.0; 2], deviation: vec![1.0] };
        assert!(matches!(long.check(&schema), Err(DataError::StatisticsLength { .. })));
    }

    #[test]
    fn bounds_need_no_rows() {
        let schema = schema();
        let bounds = |least, most| BTreeMap::from([("x".to_owned(), [least, most])]);
        let scaled = Standardisation::from_bounds(&schema, &bounds(10.0, 18.0)).unwrap();
        assert_eq!((scaled.mean, scaled.deviation), (vec![12.0], vec![2.0]));
        let missing = Standardisation::from_bounds(&schema, &BTreeMap::new());
        assert!(matches!(missing, Err(DataError::NoBounds { column }) if column == "x"));
        for (least, most) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (f64::MIN, f64::MAX)] {
            let refused = Standardisation::from_bounds(&schema, &bounds(least, most));
            assert!(matches!(refused, Err(DataError::BadBounds { .. })), "{least} {most}");
        }
    }

    #[test]
    fn moments_need_the_column_and_its_numbers() {
        let other = Table::new("o", vec![Column::from_cells("y", [Cell::Null])]).unwrap();
        assert_eq!(
            schema().moments(&other).unwrap_err().to_string(),
            "o: there is no column `x`, which the schema has"
        );
        assert_eq!(
            schema().moments(&table(&[1.0, f64::NAN])).unwrap_err().to_string(),
            "t, row 2: column `x`: `NaN` is not a finite number"
        );
    }

    proptest! {
        #[test]
        fn moments_of_parts_add_up(
            numbers in prop::collection::vec(-1e6f64..1e6, 2..60), at in 1usize..59,
        ) {
            let schema = schema();
            let (a, b) = numbers.split_at(at.min(numbers.len() - 1));
            let whole = schema.moments(&table(&numbers)).unwrap();
            let a = schema.moments(&table(a)).unwrap();
            let b = schema.moments(&table(b)).unwrap();
            let scale = [1.0, 1e6, 1e12];
            for at in 0..SUMS {
                prop_assert!((a[at] + b[at] - whole[at]).abs() <= 1e-13 * scale[at] * whole[0]);
            }
        }

        #[test]
        fn standardised_numbers_have_mean_zero_and_deviation_one(
            numbers in prop::collection::vec(-1e3f64..1e3, 2..60), shift in -1e5f64..1e5,
        ) {
            let numbers: Vec<f64> = numbers.iter().map(|number| number + shift).collect();
            let (mean, deviation) = standardised(&numbers);
            let scaled: Vec<f64> = numbers.iter().map(|x| (x - mean) / deviation).collect();
            let count = scaled.len() as f64;
            let mean = scaled.iter().sum::<f64>() / count;
            let squares = scaled.iter().map(|x| x * x).sum::<f64>() / count;
            prop_assert!(mean.abs() < 1e-6 && (squares - 1.0).abs() < 1e-6);
        }
    }
}
