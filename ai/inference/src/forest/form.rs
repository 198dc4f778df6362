//! What rows are to a forest: columns of a table as numbers of eight bits.

use std::collections::BTreeSet;

use nexus_models::data::{Cell, Column, Table};
use serde::{Deserialize, Serialize};

use super::error::{ForestError, count};
use super::{MAX_CLASSES, MAX_FEATURES};
use crate::task::is_command;

/// The largest number of eight bits.
const LARGEST: f64 = 255.0;

/// What a row is to a forest, and what an answer: all that a client knows of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// The columns that it asks for, in the order of a row.
    pub features: Vec<Feature>,
    /// The column of the truth.
    pub label: String,
    /// The names of the classes.
    pub classes: Vec<String>,
}

/// A column, and the range that becomes 0 to 255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The column's name.
    pub name: String,
    /// What becomes 0, as does all below.
    pub low: f64,
    /// What becomes 255, as does all above.
    pub high: f64,
}

impl Feature {
    /// A number, as the forest sees it.
    pub fn quantise(&self, value: f64) -> u8 {
        let share = (value - self.low) / (self.high - self.low);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and makes 0 of the 0/0 of a column with one value"
        )]
        let eight_bits = (share * LARGEST).round() as u8;
        eight_bits
    }
}

impl Form {
    /// The form of a table's rows: a column is the label, all others are features.
    ///
    /// # Errors
    /// [`ForestError::Column`], [`ForestError::Cell`], [`ForestError::Count`].
    pub fn of(table: &Table, label: &str) -> Result<Self, ForestError> {
        let classes = column(table, label)?;
        let mut names = BTreeSet::new();
        for (row, cell) in classes.cells().enumerate() {
            if cell == Cell::Null {
                return Err(refused(table, classes, row, "a class"));
            }
            names.insert(cell.text().into_owned());
        }
        let features = table.columns().iter().filter(|column| column.name() != label);
        let features = features.map(|column| {
            let values = numbers(table, column)?;
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            Ok(Feature { name: column.name().to_owned(), low, high })
        });
        let features = features.collect::<Result<_, ForestError>>()?;
        let form = Self { features, label: label.to_owned(), classes: names.into_iter().collect() };
        form.check()?;
        Ok(form)
    }

    /// The rows of a table as a forest sees them. Columns are found by name.
    ///
    /// # Errors
    /// [`ForestError::Column`], [`ForestError::Cell`].
    pub fn rows(&self, table: &Table) -> Result<Vec<Vec<u8>>, ForestError> {
        let mut rows = vec![Vec::with_capacity(self.features.len()); table.rows()];
        for feature in &self.features {
            let values = numbers(table, column(table, &feature.name)?)?;
            for (row, value) in rows.iter_mut().zip(values) {
                row.push(feature.quantise(value));
            }
        }
        Ok(rows)
    }

    /// The class of each row, where the table says one that is known.
    pub fn truth(&self, table: &Table) -> Vec<Option<usize>> {
        let class = |cell: Cell<'_>| self.classes.iter().position(|class| *class == cell.text());
        let known = table.column(&self.label).map(|column| column.cells().map(class).collect());
        known.unwrap_or_else(|| vec![None; table.rows()])
    }

    /// Whether it has a possible size, ranges are ranges, and names can be shown.
    ///
    /// # Errors
    /// [`ForestError::Count`], [`ForestError::Range`], [`ForestError::Name`].
    pub fn check(&self) -> Result<(), ForestError> {
        count("features", self.features.len(), 1, MAX_FEATURES)?;
        count("classes", self.classes.len(), 2, MAX_CLASSES)?;
        for (feature, it) in self.features.iter().enumerate() {
            let Feature { low, high, .. } = *it;
            if !(low.is_finite() && high.is_finite() && low <= high) {
                return Err(ForestError::Range { feature, low, high });
            }
        }
        let features = self.features.iter().map(|it| &it.name).enumerate();
        let classes = self.classes.iter().enumerate();
        let label = std::iter::once((0, &self.label));
        shown("feature", features)?;
        shown("class", classes)?;
        shown("label", label)
    }

    /// Refuses a row of another length.
    pub(super) const fn fits(&self, row: &[u8]) -> Result<(), ForestError> {
        let (got, needed) = (row.len(), self.features.len());
        if got == needed { Ok(()) } else { Err(ForestError::Width { got, needed }) }
    }
}

fn shown<'a>(
    what: &'static str,
    mut names: impl Iterator<Item = (usize, &'a String)>,
) -> Result<(), ForestError> {
    let strange = names.find(|(_, name)| name.chars().any(is_command));
    strange.map_or(Ok(()), |(at, _)| Err(ForestError::Name { what, at }))
}

fn column<'a>(table: &'a Table, name: &str) -> Result<&'a Column, ForestError> {
    let missing =
        || ForestError::Column { table: table.name().to_owned(), column: name.to_owned() };
    table.column(name).ok_or_else(missing)
}

fn numbers(table: &Table, column: &Column) -> Result<Vec<f64>, ForestError> {
    let number = |(row, cell)| match cell {
        Cell::Number(value) => Ok(value),
        Cell::Null | Cell::Text(_) => Err(refused(table, column, row, "a number")),
    };
    column.cells().enumerate().map(number).collect()
}

fn refused(table: &Table, column: &Column, row: usize, needed: &'static str) -> ForestError {
    let got = column.cell(row).text().into_owned();
    ForestError::Cell { place: table.place(row), column: column.name().to_owned(), got, needed }
}
