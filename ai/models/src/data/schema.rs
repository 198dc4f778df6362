//! What the columns of a table mean, agreed on by all owners.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use nexus_types::Canonical;
use nexus_types::borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use super::error::{DataError, shown};
use super::limits::{MAX_COLUMNS, MAX_LEVELS, MAX_WIDTH};
use super::table::{Cell, Column, Table};

/// What a column of features holds.
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Finite numbers.
    Numeric,
    /// One of finitely many values.
    Categorical {
        /// The values, in the order of [`Schema`]'s documentation. None: the column holds no
        /// value at this owner, so it may still turn out to be numeric.
        levels: Vec<String>,
    },
}

/// A column of features.
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct Feature {
    /// Name of the column.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// True if a value may be missing.
    pub nullable: bool,
}

impl Feature {
    /// Inputs that the column gives a model: a number is one, a category one for each level, and
    /// a column with missing values has one more that says "missing".
    pub fn width(&self) -> usize {
        let values = match &self.kind {
            Kind::Numeric => 1,
            Kind::Categorical { levels } => levels.len(),
        };
        values + usize::from(self.nullable)
    }
}

/// What the label column holds.
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// A class: text or a whole number.
    Classes {
        /// The classes, in the order of [`Schema`]'s documentation; a label is a place in it.
        names: Vec<String>,
    },
    /// A number to be estimated.
    Value,
}

/// What is to be predicted.
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct Label {
    /// Name of the column.
    pub column: String,
    /// What it holds.
    pub kind: LabelKind,
}

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
        let lists = [
            (&self.categorical, "categorical"),
            (&self.numeric, "numeric"),
            (&self.drop, "drop"),
        ];
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
    let names: Vec<_> = table.columns().iter().map(|column| format!("`{}`", column.name())).collect();
    let (file, column, columns) = (table.name().to_owned(), column.to_owned(), names.join(", "));
    if option == "label" {
        DataError::MissingLabel { file, label: column, columns }
    } else {
        DataError::UnknownColumn { file, option, column, columns }
    }
}

/// What the columns of all owners' tables mean.
///
/// Levels and class names are ordered: numbers first, by value, then texts, by their bytes.
/// Columns that the table has and the schema does not are left out.
#[derive(
    Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
pub struct Schema {
    /// The features, in the order in which a model sees them.
    pub columns: Vec<Feature>,
    /// What is to be predicted.
    pub label: Label,
}

impl Canonical for Schema {
    const DOMAIN: &'static str = "nexus/models/schema";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 1 << 24;
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

    /// Inputs that one row gives a model.
    pub fn width(&self) -> usize {
        self.columns.iter().map(Feature::width).sum()
    }

    /// The numeric columns, in order.
    pub fn numeric(&self) -> impl Iterator<Item = &Feature> {
        self.columns.iter().filter(|feature| feature.kind == Kind::Numeric)
    }

    /// Number of classes; 0 if the label is a value.
    pub fn classes(&self) -> usize {
        match &self.label.kind {
            LabelKind::Classes { names } => names.len(),
            LabelKind::Value => 0,
        }
    }

    /// Refuses a schema that no data can fit, or that is not written in the one way it should be:
    /// to be asked of every schema from outside.
    ///
    /// # Errors
    /// [`DataError::BadSchema`], [`DataError::NoValues`], [`DataError::TooLarge`],
    /// [`DataError::OneClass`].
    pub fn check(&self) -> Result<(), DataError> {
        let bad = |column: &str, problem| {
            Err(DataError::BadSchema { column: shown(column), problem })
        };
        if self.columns.is_empty() {
            return bad(&self.label.column, "there is no column to learn from");
        }
        let mut names = BTreeSet::from([&*self.label.column]);
        for Feature { name, kind, .. } in &self.columns {
            if !names.insert(name) {
                return bad(name, "the column is there twice");
            }
            if let Kind::Categorical { levels } = kind {
                if levels.is_empty() {
                    return Err(DataError::NoValues { column: shown(name) });
                }
                if !in_order(levels) {
                    return bad(name, "its levels are not in order");
                }
            }
        }
        match &self.label.kind {
            LabelKind::Classes { names } if !in_order(names) => {
                return bad(&self.label.column, "its classes are not in order");
            }
            LabelKind::Classes { names } if names.len() < 2 => {
                return Err(one_class("the schema".into(), &self.label.column, names));
            }
            LabelKind::Classes { .. } | LabelKind::Value => {}
        }
        self.check_size()
    }

    fn check_size(&self) -> Result<(), DataError> {
        let levels = self.columns.iter().map(Feature::width).chain([self.classes()]).max();
        let sizes = [
            ("columns", self.columns.len(), MAX_COLUMNS),
            ("values of one column", levels.unwrap_or(0), MAX_LEVELS + 1),
            ("inputs of the model", self.width(), MAX_WIDTH),
        ];
        for (what, got, limit) in sizes {
            if got > limit {
                let (file, got, limit) = ("the schema".into(), got as u64, limit as u64);
                return Err(DataError::TooLarge { file, what, got, limit });
            }
        }
        Ok(())
    }
}

pub(super) fn one_class(file: String, label: &str, names: &[String]) -> DataError {
    let class = names.first().map_or_else(String::new, |name| shown(name));
    DataError::OneClass { file, label: label.into(), class }
}

/// Numbers by value, then texts by their bytes: one order for all owners.
pub(super) fn level_order(a: &str, b: &str) -> Ordering {
    match (Cell::parse(a), Cell::parse(b)) {
        (Cell::Number(a), Cell::Number(b)) => a.total_cmp(&b),
        (Cell::Number(_), _) => Ordering::Less,
        (_, Cell::Number(_)) => Ordering::Greater,
        _ => a.cmp(b),
    }
}

fn in_order(levels: &[String]) -> bool {
    levels.windows(2).all(|pair| level_order(&pair[0], &pair[1]) == Ordering::Less)
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
    use proptest::prelude::*;

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
        assert_eq!(Schema::decode(&schema.encode().unwrap()).unwrap(), schema);
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
        assert_eq!(
            message("a,y\n1,u\n2,\n", &class),
            "a.csv:3: label `y`: there is no value"
        );
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
        let rows: String = (0..=MAX_LEVELS).map(|row| format!("p{row},{}\n", row % 2)).collect();
        assert_eq!(
            message(&format!("id,y\n{rows}"), &class),
            "a.csv: column `id` has 1025 different values, at most 1024 can be categories; \
             leave it out with `drop`"
        );
    }

    #[test]
    fn a_schema_from_outside_is_checked() {
        let good = infer("a,y\nu,0\nv,1\n", &SchemaOptions::classes("y")).unwrap();
        let message = |change: &dyn Fn(&mut Schema)| {
            let mut schema = good.clone();
            change(&mut schema);
            schema.check().unwrap_err().to_string()
        };
        let twice = message(&|schema| schema.columns.push(schema.columns[0].clone()));
        assert_eq!(twice, "the schema is not consistent at `a`: the column is there twice");
        let label = message(&|schema| schema.label.column = "a".into());
        assert_eq!(label, twice);
        let order = message(&|schema| {
            schema.columns[0].kind = Kind::Categorical { levels: strings(&["v", "u"]) };
        });
        assert_eq!(order, "the schema is not consistent at `a`: its levels are not in order");
        let same = message(&|schema| {
            schema.label.kind = LabelKind::Classes { names: strings(&["1", "1.0"]) };
        });
        assert_eq!(same, "the schema is not consistent at `y`: its classes are not in order");
        let none = message(&|schema| schema.columns.clear());
        assert!(none.ends_with("there is no column to learn from"));
        let many = message(&|schema| {
            let levels = (0..2 * MAX_LEVELS).map(|level| level.to_string()).collect();
            schema.columns[0].kind = Kind::Categorical { levels };
        });
        assert_eq!(many, "the schema: 2048 values of one column, at most 1025 are allowed");
    }

    proptest! {
        #[test]
        fn the_order_of_levels_is_total(mut levels in prop::collection::vec("[a1-3.-]{0,3}", 3)) {
            let [a, b, c] = [&*levels[0], &*levels[1], &*levels[2]];
            prop_assert_eq!(level_order(a, b), level_order(b, a).reverse());
            if level_order(a, b).is_le() && level_order(b, c).is_le() {
                prop_assert!(level_order(a, c).is_le());
            }
            levels.sort_by(|a, b| level_order(a, b));
        }
    }
}
