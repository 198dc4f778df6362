//! What the columns of a table mean, as far as its cells tell.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::error::{DataError, shown};
use super::limits::MAX_LEVELS;
use super::schema::{Feature, Kind, Label, LabelKind, Schema, level_order};
use super::table::{Cell, Column, Table};

/// What a user says about the columns; everything else is inferred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaOptions {
    /// The label column.
    pub label: String,
    /// True if the label is a number to be estimated, not a class.
    pub regression: bool,
    /// Columns to read as categories, numbers or not.
    pub categorical: Vec<String>,
    /// Columns to read as numbers; text in them is an error.
    pub numeric: Vec<String>,
    /// Columns to leave out.
    pub drop: Vec<String>,
}

impl SchemaOptions {
    /// Classification by `label`, everything else inferred.
    pub fn classes(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// Regression on `label`, everything else inferred.
    pub fn value(label: impl Into<String>) -> Self {
        Self { regression: true, ..Self::classes(label) }
    }

    /// Every column that an option names, with the option.
    fn named(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let lists =
            [(&self.categorical, "categorical"), (&self.numeric, "numeric"), (&self.drop, "drop")];
        let listed = lists
            .into_iter()
            .flat_map(|(names, option)| names.iter().map(move |name| (name.as_str(), option)));
        std::iter::once((self.label.as_str(), "label")).chain(listed)
    }

    /// The option of every named column.
    fn check(&self, table: &Table) -> Result<BTreeMap<&str, &'static str>, DataError> {
        let mut options = BTreeMap::new();
        for (column, option) in self.named() {
            if table.column(column).is_none() {
                return Err(missing(table, column, option));
            }
            let first = options.insert(column, option).unwrap_or(option);
            if first != option {
                let (column, second) = (column.to_owned(), option);
                return Err(DataError::Contradiction { column, first, second });
            }
        }
        Ok(options)
    }
}

fn missing(table: &Table, column: &str, option: &'static str) -> DataError {
    let names: Vec<_> =
        table.columns().iter().map(|column| format!("`{}`", column.name())).collect();
    let (file, column, columns) = (table.name().to_owned(), column.to_owned(), names.join(", "));
    if option == "label" {
        DataError::MissingLabel { file, label: column, columns }
    } else {
        DataError::UnknownColumn { file, option, column, columns }
    }
}

impl Schema {
    /// What one table says.
    ///
    /// A column is numeric if at least half of its values read as numbers (`NaN` and infinities
    /// count as such); then all others are errors. It is categorical otherwise.
    ///
    /// # Errors
    /// [`DataError::MissingLabel`], [`DataError::UnknownColumn`], [`DataError::Contradiction`],
    /// [`DataError::NoFeatures`], [`DataError::NotANumber`], [`DataError::NotAClass`],
    /// [`DataError::MissingValueOfLabel`], [`DataError::TooManyLevels`].
    pub fn infer(table: &Table, options: &SchemaOptions) -> Result<Self, DataError> {
        let named = options.check(table)?;
        let mut columns = Vec::new();
        for column in table.columns() {
            match named.get(column.name()) {
                Some(&("label" | "drop")) => {}
                option => columns.push(feature(table, column, option.copied())?),
            }
        }
        if columns.is_empty() {
            return Err(DataError::NoFeatures { file: table.name().into() });
        }
        Ok(Self { columns, label: label(table, options)? })
    }

    /// What all tables say together: [`Schema::infer`] for each, then [`Schema::merge`].
    ///
    /// # Errors
    /// As those two; where a column is text in one table and numeric in another,
    /// [`DataError::TextAmongNumbers`] names the first text.
    pub fn infer_all(tables: &[Table], options: &SchemaOptions) -> Result<Self, DataError> {
        let infer = |table: &Table| Ok((table.name().to_owned(), Self::infer(table, options)?));
        let parts = tables.iter().map(infer).collect::<Result<Vec<_>, DataError>>()?;
        Self::merge(&parts).map_err(|error| located(error, tables))
    }
}

fn feature(table: &Table, column: &Column, option: Option<&str>) -> Result<Feature, DataError> {
    let numeric = match option {
        Some("numeric") => true,
        Some("categorical") => false,
        _ => reads_as_numbers(column),
    };
    let kind = if numeric {
        check_numbers(table, column)?;
        Kind::Numeric
    } else {
        Kind::Categorical { levels: levels(table, column)? }
    };
    let nullable = column.cells().any(|cell| cell == Cell::Null);
    Ok(Feature { name: column.name().into(), kind, nullable })
}

/// True if there are values and at least half of them look like numbers.
fn reads_as_numbers(column: &Column) -> bool {
    let (mut numbers, mut texts) = (0usize, 0usize);
    for cell in column.cells() {
        match cell {
            Cell::Null => {}
            Cell::Number(_) => numbers += 1,
            Cell::Text(text) if text.parse::<f64>().is_ok() => numbers += 1,
            Cell::Text(_) => texts += 1,
        }
    }
    numbers > 0 && numbers >= texts
}

fn check_numbers(table: &Table, column: &Column) -> Result<(), DataError> {
    match first_text(column) {
        Some((row, text)) => Err(not_a_number(table, row, column.name(), text)),
        None => Ok(()),
    }
}

fn first_text(column: &Column) -> Option<(usize, &str)> {
    column.cells().enumerate().find_map(|(row, cell)| match cell {
        Cell::Text(text) => Some((row, text)),
        Cell::Null | Cell::Number(_) => None,
    })
}

pub(super) fn not_a_number(table: &Table, row: usize, column: &str, text: &str) -> DataError {
    let (place, column, value) = (table.place(row), column.to_owned(), shown(text));
    DataError::NotANumber { place, column, value }
}

/// The different values of a column, in order.
fn levels(table: &Table, column: &Column) -> Result<Vec<String>, DataError> {
    let values: BTreeSet<Cow<'_, str>> =
        column.cells().filter(|&cell| cell != Cell::Null).map(Cell::text).collect();
    if values.len() > MAX_LEVELS {
        let (file, column, got) = (table.name().into(), column.name().into(), values.len());
        return Err(DataError::TooManyLevels { file, column, got, limit: MAX_LEVELS });
    }
    let mut levels: Vec<String> = values.into_iter().map(Cow::into_owned).collect();
    levels.sort_by(|a, b| level_order(a, b));
    Ok(levels)
}

fn label(table: &Table, options: &SchemaOptions) -> Result<Label, DataError> {
    let name = &options.label;
    let column = table.column(name).ok_or_else(|| missing(table, name, "label"))?;
    if let Some(row) = column.cells().position(|cell| cell == Cell::Null) {
        let (place, column) = (table.place(row), name.clone());
        return Err(DataError::MissingValueOfLabel { place, column });
    }
    let kind = if options.regression {
        check_numbers(table, column)?;
        LabelKind::Value
    } else {
        check_classes(table, column)?;
        LabelKind::Classes { names: levels(table, column)? }
    };
    Ok(Label { column: name.clone(), kind })
}

/// A class is a whole number or a text that is not the wreck of a number.
fn check_classes(table: &Table, column: &Column) -> Result<(), DataError> {
    for (row, cell) in column.cells().enumerate() {
        let fits = match cell {
            Cell::Number(number) => number.fract().abs() <= 0.0,
            Cell::Text(text) => text.parse::<f64>().is_err(),
            Cell::Null => true,
        };
        if !fits {
            let (place, column) = (table.place(row), column.name().to_owned());
            return Err(DataError::NotAClass { place, column, value: shown(&cell.text()) });
        }
    }
    Ok(())
}

/// Adds to a conflict of kinds the line of the first text.
fn located(error: DataError, tables: &[Table]) -> DataError {
    let DataError::DifferentKinds { column, numeric, text } = error else { return error };
    let found = tables
        .iter()
        .filter(|table| table.name() == text)
        .find_map(|table| Some((table, first_text(table.column(&column)?)?)));
    match found {
        Some((table, (row, value))) => DataError::TextAmongNumbers {
            place: table.place(row),
            value: shown(value),
            column,
            numeric,
        },
        None => DataError::DifferentKinds { column, numeric, text },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, read_csv};
    use super::*;

    fn table(name: &str, text: &str) -> Table {
        read_csv(text.as_bytes(), name, &Limits::default()).unwrap()
    }

    fn infer(text: &str, options: &SchemaOptions) -> Result<Schema, DataError> {
        Schema::infer_all(&[table("a.csv", text)], options)
    }

    fn message(text: &str, options: &SchemaOptions) -> String {
        infer(text, options).unwrap_err().to_string()
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.into()).collect()
    }

    #[test]
    fn types_nulls_and_classes_are_inferred() {
        let text = "n,c,label\n1,x,10\n,2,9\n3,,-1\n4,x,9\n";
        let schema = infer(text, &SchemaOptions::classes("label")).unwrap();
        let levels = strings(&["2", "x"]);
        let expected = Schema {
            columns: vec![
                Feature { name: "n".into(), kind: Kind::Numeric, nullable: true },
                Feature { name: "c".into(), kind: Kind::Categorical { levels }, nullable: true },
            ],
            label: Label {
                column: "label".into(),
                kind: LabelKind::Classes { names: strings(&["-1", "9", "10"]) },
            },
        };
        assert_eq!(schema, expected);
        assert_eq!((schema.width(), schema.classes()), (5, 3));
    }

    #[test]
    fn options_come_before_inference() {
        let text = "id,zip,n,y\n1,00123,7,0.5\n2,123,?,1.5\n";
        let options = SchemaOptions {
            categorical: strings(&["zip"]),
            numeric: strings(&["n"]),
            drop: strings(&["id"]),
            ..SchemaOptions::value("y")
        };
        let schema = infer(text, &options).unwrap();
        assert_eq!(schema.label.kind, LabelKind::Value);
        let zip = Kind::Categorical { levels: strings(&["123"]) };
        assert_eq!((schema.columns.len(), &schema.columns[0].kind), (2, &zip));
        assert_eq!(schema.columns[1].kind, Kind::Numeric);
    }

    #[test]
    fn a_column_of_mostly_numbers_has_no_text() {
        let label = SchemaOptions::classes("y");
        for bad in ["old", "NaN", "inf", "1e999"] {
            let text = format!("n,y\n1,a\n,b\n{bad},a\n");
            let expected = format!("a.csv:4: column `n`: `{bad}` is not a finite number");
            assert_eq!(message(&text, &label), expected);
        }
        // Wrecks of numbers do not make a column text.
        let text = "n,y\nNaN,a\nNaN,b\n";
        assert_eq!(message(text, &label), "a.csv:2: column `n`: `NaN` is not a finite number");
        // A column of mostly texts is categorical, unless it is declared to be numeric.
        let text = "n,y\nold,a\nnew,b\n1,a\n";
        assert!(infer(text, &label).is_ok());
        let numeric = SchemaOptions { numeric: strings(&["n"]), ..label };
        assert_eq!(message(text, &numeric), "a.csv:2: column `n`: `old` is not a finite number");
    }

    #[test]
    fn columns_that_are_not_there_are_named() {
        let text = "a,b,y\n1,2,u\n3,4,v\n";
        assert_eq!(
            message(text, &SchemaOptions::classes("diagnosis")),
            "a.csv: there is no label column `diagnosis`; the columns are `a`, `b`, `y`"
        );
        let y = || SchemaOptions::classes("y");
        assert_eq!(
            message(text, &SchemaOptions { drop: strings(&["c"]), ..y() }),
            "a.csv: `drop` names the column `c`, which is not there; the columns are `a`, `b`, `y`"
        );
        assert_eq!(
            message(text, &SchemaOptions { drop: strings(&["y"]), ..y() }),
            "column `y` is named by `label` and by `drop`"
        );
        assert_eq!(
            message(text, &SchemaOptions { drop: strings(&["a", "b"]), ..y() }),
            "a.csv: there is no column besides the label and those left out"
        );
    }

    #[test]
    fn labels_are_whole_numbers_or_text() {
        let (class, value) = (SchemaOptions::classes("y"), SchemaOptions::value("y"));
        assert_eq!(message("a,y\n1,u\n2,\n", &class), "a.csv:3: label `y`: there is no value");
        assert_eq!(
            message("a,y\n1,0\n2,0.5\n", &class),
            "a.csv:3: label `y`: the class `0.5` is neither a whole number nor text"
        );
        assert_eq!(
            message("a,y\n1,0\n2,NaN\n", &class),
            "a.csv:3: label `y`: the class `NaN` is neither a whole number nor text"
        );
        assert_eq!(
            message("a,y\n1,0\n2,high\n", &value),
            "a.csv:3: column `y`: `high` is not a finite number"
        );
        assert_eq!(
            message("a,y\n1,benign\n2,benign\n", &class),
            "a.csv: label `y` has only the class `benign`; at least two are needed"
        );
    }

    #[test]
    fn columns_without_use_are_refused() {
        let class = SchemaOptions::classes("y");
        assert_eq!(
            message("a,b,y\n1,,u\n2,NA,v\n", &class),
            "column `b` holds no value in any file; leave it out with `drop`"
        );
        let row = |row: usize| format!("p{row},{}", row % 2);
        let rows: Vec<String> = (0..=MAX_LEVELS).map(row).collect();
        assert_eq!(
            message(&format!("id,y\n{}", rows.join("\n")), &class),
            "a.csv: column `id` has 1025 different values, at most 1024 can be categories; \
             leave it out with `drop`"
        );
    }
}
