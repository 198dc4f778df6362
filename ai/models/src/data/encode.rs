//! From cells to the numbers a model sees.

use std::collections::BTreeMap;

use super::dataset::{DataTargets, Dataset};
use super::error::{DataError, shown};
use super::infer::not_a_number;
use super::limits::MAX_CELLS;
use super::schema::{Feature, Kind, LabelKind, Schema};
use super::standardise::{Standardisation, not_there};
use super::table::{Cell, Column, Table};

/// Turns tables that fit a schema into data sets.
///
/// Columns become inputs in the order of the schema, each [`Feature::width`] wide:
///
/// | column | inputs |
/// |---|---|
/// | numeric | `(x - mean) / deviation`; if nullable, a second one: 1 where the value is missing (the first is 0 then, the mean), else 0 |
/// | categorical | one for each level, 1 for the row's own and 0 for the others; if nullable, one more for "missing" |
///
/// Labels are places in the list of classes, or the number itself.
#[derive(Clone, Debug)]
pub struct Encoder {
    schema: Schema,
    standardisation: Standardisation,
}

impl Encoder {
    /// An encoder for tables of this schema.
    ///
    /// # Errors
    /// [`Schema::check`], [`Standardisation::check`].
    pub fn new(schema: Schema, standardisation: Standardisation) -> Result<Self, DataError> {
        schema.check()?;
        standardisation.check(&schema)?;
        Ok(Self { schema, standardisation })
    }

    /// What the encoder reads.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// How it scales numbers.
    pub fn standardisation(&self) -> &Standardisation {
        &self.standardisation
    }

    /// A name for every input of the model: `age`, `city = Paris`, `age is missing`.
    pub fn input_names(&self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.schema.width());
        for Feature { name, kind, nullable } in &self.schema.columns {
            match kind {
                Kind::Numeric => names.push(name.clone()),
                Kind::Categorical { levels } => {
                    names.extend(levels.iter().map(|level| format!("{name} = {level}")));
                }
            }
            if *nullable {
                names.push(format!("{name} is missing"));
            }
        }
        names
    }

    /// The rows of `table` as a model sees them, in order. Takes four bytes per row and input.
    ///
    /// # Errors
    /// With the place of the first offending cell of a column: [`DataError::NotANumber`],
    /// [`DataError::Missing`], [`DataError::UnknownLevel`], [`DataError::TooLargeForModel`],
    /// [`DataError::MissingValueOfLabel`]. [`DataError::DifferentColumns`] if a column is not
    /// there.
    pub fn encode(&self, table: &Table) -> Result<Dataset, DataError> {
        let columns: BTreeMap<&str, &Column> =
            table.columns().iter().map(|column| (column.name(), column)).collect();
        let find = |name: &str| columns.get(name).copied().ok_or_else(|| not_there(table, name));
        let targets = self.targets(table, find(&self.schema.label.column)?)?;
        let width = self.schema.width();
        let mut features = vec![0.0; inputs(table, width)?];
        let mut scales = self.standardisation.mean.iter().zip(&self.standardisation.deviation);
        let mut offset = 0;
        for feature in &self.schema.columns {
            let mut source = Source { table, column: find(&feature.name)?, feature };
            let rows = features.chunks_exact_mut(width).map(|row| &mut row[offset..]);
            match &feature.kind {
                Kind::Numeric => {
                    let (&mean, &deviation) = scales.next().unwrap_or((&0.0, &1.0));
                    source.numbers(mean, deviation, rows)?;
                }
                Kind::Categorical { levels } => source.categories(levels, rows)?,
            }
            offset += feature.width();
        }
        Ok(Dataset::trusted(width, features, targets, table.row_hashes()))
    }

    fn targets(&self, table: &Table, column: &Column) -> Result<DataTargets, DataError> {
        match &self.schema.label.kind {
            LabelKind::Classes { names } => {
                let labels = classes(table, column, names)?;
                Ok(DataTargets::Classes { labels, names: names.clone() })
            }
            LabelKind::Value => Ok(DataTargets::Values(values(table, column)?)),
        }
    }
}

/// Number of inputs that all rows have.
fn inputs(table: &Table, width: usize) -> Result<usize, DataError> {
    let inputs = table.rows().saturating_mul(width);
    if inputs > MAX_CELLS {
        let (file, what) = (table.name().to_owned(), "inputs of the model in all rows");
        return Err(DataError::TooLarge {
            file,
            what,
            got: inputs as u64,
            limit: MAX_CELLS as u64,
        });
    }
    Ok(inputs)
}

/// One column on its way into the rows of a data set.
struct Source<'a> {
    table: &'a Table,
    column: &'a Column,
    feature: &'a Feature,
}

impl Source<'_> {
    fn numbers<'r>(
        &mut self,
        mean: f64,
        deviation: f64,
        rows: impl Iterator<Item = &'r mut [f32]>,
    ) -> Result<(), DataError> {
        let name = self.column.name();
        for ((row, cell), inputs) in self.column.cells().enumerate().zip(rows) {
            match cell {
                Cell::Number(number) => {
                    inputs[0] = single((number - mean) / deviation)
                        .ok_or_else(|| too_large(self.table, row, name, number))?;
                }
                Cell::Null if self.feature.nullable => inputs[1] = 1.0,
                Cell::Null => return Err(self.missing(row)),
                Cell::Text(text) => return Err(not_a_number(self.table, row, name, text)),
            }
        }
        Ok(())
    }

    fn categories<'r>(
        &mut self,
        levels: &[String],
        rows: impl Iterator<Item = &'r mut [f32]>,
    ) -> Result<(), DataError> {
        let places = places(levels);
        for ((row, cell), inputs) in self.column.cells().enumerate().zip(rows) {
            let at = match cell {
                Cell::Null if self.feature.nullable => levels.len(),
                Cell::Null => return Err(self.missing(row)),
                Cell::Number(_) | Cell::Text(_) => {
                    level(self.table, row, self.column.name(), cell, &places)? as usize
                }
            };
            inputs[at] = 1.0;
        }
        Ok(())
    }

    fn missing(&self, row: usize) -> DataError {
        DataError::Missing { place: self.table.place(row), column: self.column.name().into() }
    }
}

type Places<'a> = BTreeMap<&'a str, u32>;

fn places(levels: &[String]) -> Places<'_> {
    levels.iter().map(String::as_str).zip(0..).collect()
}

fn level(
    table: &Table,
    row: usize,
    column: &str,
    cell: Cell<'_>,
    places: &Places<'_>,
) -> Result<u32, DataError> {
    let text = cell.text();
    places.get(&*text).copied().ok_or_else(|| DataError::UnknownLevel {
        place: table.place(row),
        column: column.into(),
        value: shown(&text),
    })
}

fn classes(table: &Table, column: &Column, names: &[String]) -> Result<Vec<u32>, DataError> {
    let places = places(names);
    let class = |(row, cell)| match cell {
        Cell::Null => Err(no_label(table, row, column)),
        Cell::Number(_) | Cell::Text(_) => level(table, row, column.name(), cell, &places),
    };
    column.cells().enumerate().map(class).collect()
}

fn values(table: &Table, column: &Column) -> Result<Vec<f32>, DataError> {
    let value = |(row, cell)| match cell {
        Cell::Number(number) => {
            single(number).ok_or_else(|| too_large(table, row, column.name(), number))
        }
        Cell::Null => Err(no_label(table, row, column)),
        Cell::Text(text) => Err(not_a_number(table, row, column.name(), text)),
    };
    column.cells().enumerate().map(value).collect()
}

fn no_label(table: &Table, row: usize, column: &Column) -> DataError {
    DataError::MissingValueOfLabel { place: table.place(row), column: column.name().into() }
}

fn too_large(table: &Table, row: usize, column: &str, value: f64) -> DataError {
    DataError::TooLargeForModel { place: table.place(row), column: column.into(), value }
}

/// The nearest `f32`, if that is finite.
#[expect(clippy::cast_possible_truncation, reason = "rounding is meant, overflow is refused")]
fn single(value: f64) -> Option<f32> {
    let single = value as f32;
    single.is_finite().then_some(single)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Limits, SchemaOptions, read_csv};
    use super::*;

    fn table(text: &str) -> Table {
        read_csv(text.as_bytes(), "a.csv", &Limits::default()).unwrap()
    }

    const TEXT: &str = "n,c,y\n1,u,no\n,v,yes\n5,,no\n";

    fn encoder(text: &str, options: &SchemaOptions) -> Encoder {
        let table = table(text);
        let schema = Schema::infer_all(std::slice::from_ref(&table), options).unwrap();
        let moments = schema.moments(&table).unwrap();
        let standardisation = Standardisation::from_moments(&schema, &moments).unwrap();
        Encoder::new(schema, standardisation).unwrap()
    }

    #[test]
    fn columns_become_inputs() {
        let encoder = encoder(TEXT, &SchemaOptions::classes("y"));
        let names = ["n", "n is missing", "c = u", "c = v", "c is missing"];
        assert_eq!(encoder.input_names(), names);
        let data = encoder.encode(&table(TEXT)).unwrap();
        assert_eq!(data.row(0), [-1.0, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(data.row(1), [0.0, 1.0, 0.0, 1.0, 0.0]);
        assert_eq!(data.row(2), [1.0, 0.0, 0.0, 0.0, 1.0]);
        let names = vec!["no".into(), "yes".into()];
        assert_eq!(data.targets(), &DataTargets::Classes { labels: vec![0, 1, 0], names });
        assert_eq!(data.row_hashes(), table(TEXT).row_hashes());
    }

    #[test]
    fn values_are_targets_as_they_are() {
        let text = "n,y\n1,0.5\n2,-3\n";
        let data = encoder(text, &SchemaOptions::value("y")).encode(&table(text)).unwrap();
        assert_eq!(data.targets(), &DataTargets::Values(vec![0.5, -3.0]));
        assert_eq!((data.classes(), data.width()), (0, 1));
    }

    #[test]
    fn other_columns_and_orders_do_not_matter() {
        let encoder = encoder(TEXT, &SchemaOptions::classes("y"));
        let one = encoder.encode(&table("n,c,y\n1,u,no\n")).unwrap();
        let other = encoder.encode(&table("y,id,c,n\nno,77,u,1\n")).unwrap();
        assert_eq!((one.features(), one.targets()), (other.features(), other.targets()));
    }

    #[test]
    fn cells_that_do_not_fit_are_named() {
        let encoder = encoder("n,c,y\n1,u,no\n2,v,yes\n", &SchemaOptions::classes("y"));
        let message = |text| encoder.encode(&table(text)).unwrap_err().to_string();
        assert_eq!(
            message("n,c,y\n1,u,no\n?,v,yes\n"),
            "a.csv:3: column `n`: there is no value, but the schema requires one"
        );
        assert_eq!(
            message("n,c,y\n1,u,no\n2,NA,yes\n"),
            "a.csv:3: column `c`: there is no value, but the schema requires one"
        );
        assert_eq!(
            message("n,c,y\nNaN,u,no\n"),
            "a.csv:2: column `n`: `NaN` is not a finite number"
        );
        assert_eq!(
            message("n,c,y\n1,w,no\n"),
            "a.csv:2: column `c`: the schema does not know the value `w`"
        );
        assert_eq!(
            message("n,c,y\n1,u,maybe\n"),
            "a.csv:2: column `y`: the schema does not know the value `maybe`"
        );
        assert_eq!(message("n,c,y\n1,u,\n"), "a.csv:2: label `y`: there is no value");
        assert_eq!(
            message("n,c,y\n1e300,u,no\n"),
            "a.csv:2: column `n`: 1e300 is too large for a 32-bit number"
        );
        assert_eq!(message("n,y\n1,no\n"), "a.csv: there is no column `c`, which the schema has");
    }

    #[test]
    fn statistics_must_fit_the_schema() {
        let Encoder { schema, .. } = encoder(TEXT, &SchemaOptions::classes("y"));
        let none = Standardisation { mean: vec![], deviation: vec![] };
        assert!(matches!(Encoder::new(schema, none), Err(DataError::StatisticsLength { .. })));
    }

    proptest! {
        #[test]
        fn what_is_encoded_can_be_read_back(
            rows in prop::collection::vec(
                (prop::option::of(-999i32..999), "[uvw]|", 0usize..3), 2..12,
            ),
        ) {
            let line = |(n, c, y): &(Option<i32>, String, usize)| {
                format!("{},{c},{y}\n", n.map_or_else(String::new, |n| n.to_string()))
            };
            let text = "n,c,y\n".to_owned() + &rows.iter().map(line).collect::<String>();
            let table = table(&text);
            let options = SchemaOptions {
                numeric: vec!["n".into()],
                categorical: vec!["c".into()],
                ..SchemaOptions::classes("y")
            };
            let Ok(schema) = Schema::infer_all(std::slice::from_ref(&table), &options) else {
                return Ok(());
            };
            let scale = Standardisation { mean: vec![3.0], deviation: vec![2.0] };
            let encoder = Encoder::new(schema, scale).unwrap();
            let names = encoder.input_names();
            let data = encoder.encode(&table).unwrap();
            let DataTargets::Classes { labels, names: classes } = data.targets() else { panic!() };
            for (at, (n, c, y)) in rows.iter().enumerate() {
                let input = |name: &str| {
                    names.iter().position(|one| one == name).map(|place| data.row(at)[place])
                };
                let on = |name: &str| input(name) == Some(1.0);
                prop_assert_eq!(on("n is missing"), n.is_none());
                prop_assert_eq!(input("n"), Some(n.map_or(0.0, |n| (n - 3) as f32 / 2.0)));
                prop_assert_eq!(on("c is missing"), c.is_empty());
                for level in ["u", "v", "w"] {
                    prop_assert_eq!(on(&format!("c = {level}")), c == level);
                }
                prop_assert_eq!(&classes[labels[at] as usize], &y.to_string());
            }
        }
    }
}
