//! Tables as they were read: cells, not yet meaning.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::{DataError, Place};
use super::row_hash::RowHasher;

/// Cells that stand for "no value".
const NULLS: [&str; 5] = ["", "NA", "null", "NULL", "?"];

/// One cell. Whatever reads as a finite number *is* that number, in every source: `1`, `1.0` and
/// `1e0` are the same cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// A finite number; never a negative zero.
    Number(f64),
    /// Anything else.
    Text(&'a str),
}

impl<'a> Cell<'a> {
    /// The cell that `text` stands for, white space around it ignored. Empty text, `NA`, `null`,
    /// `NULL` and `?` are null; `NaN` and `inf` are text, because they are no numbers.
    pub fn parse(text: &'a str) -> Self {
        let text = text.trim();
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Number(number + 0.0),
            _ if NULLS.contains(&text) => Self::Null,
            _ => Self::Text(text),
        }
    }

    /// The cell of a number; `NaN` and infinities are text.
    pub fn number(value: f64) -> Self {
        if value.is_finite() {
            Self::Number(value + 0.0)
        } else if value.is_nan() {
            Self::Text("NaN")
        } else if value > 0.0 {
            Self::Text("inf")
        } else {
            Self::Text("-inf")
        }
    }

    /// How the cell is written: [`Cell::parse`] gives it back.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }
}

/// The texts of a column, each kept once.
#[derive(Clone, Debug, Default)]
struct Texts {
    /// For every row 0 (no text here) or 1 + the place in `distinct`; rows behind its end have 0.
    codes: Vec<u32>,
    distinct: Vec<Arc<str>>,
    index: BTreeMap<Arc<str>, u32>,
}

impl Texts {
    fn set(&mut self, row: usize, text: &str) {
        let code = self.index.get(text).copied().unwrap_or_else(|| self.intern(text));
        self.codes.resize(row, 0);
        self.codes.push(code);
    }

    #[expect(clippy::cast_possible_truncation, reason = "fewer texts than cells, see MAX_CELLS")]
    fn intern(&mut self, text: &str) -> u32 {
        let text: Arc<str> = text.into();
        self.distinct.push(text.clone());
        let code = self.distinct.len() as u32;
        self.index.insert(text, code);
        code
    }

    fn get(&self, row: usize) -> Option<&str> {
        let code = *self.codes.get(row)?;
        code.checked_sub(1).map(|at| &*self.distinct[at as usize])
    }
}

/// A named column. Takes eight bytes a cell, and four more where it holds text.
#[derive(Clone, Debug)]
pub struct Column {
    name: String,
    /// `NaN` where there is no number.
    numbers: Vec<f64>,
    texts: Texts,
}

impl Column {
    /// A column without cells.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), numbers: Vec::new(), texts: Texts::default() }
    }

    /// A column of these cells.
    pub fn from_cells<'a>(
        name: impl Into<String>,
        cells: impl IntoIterator<Item = Cell<'a>>,
    ) -> Self {
        let mut column = Self::new(name);
        cells.into_iter().for_each(|cell| column.push(cell));
        column
    }

    /// Appends a cell.
    pub fn push(&mut self, cell: Cell<'_>) {
        let row = self.numbers.len();
        let number = match cell {
            Cell::Number(number) => number,
            Cell::Null => f64::NAN,
            Cell::Text(text) => {
                self.texts.set(row, text);
                f64::NAN
            }
        };
        self.numbers.push(number);
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// True without cells.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The cell of a row, null behind the end.
    pub fn cell(&self, row: usize) -> Cell<'_> {
        match (self.numbers.get(row), self.texts.get(row)) {
            (_, Some(text)) => Cell::Text(text),
            (Some(&number), None) if !number.is_nan() => Cell::Number(number),
            _ => Cell::Null,
        }
    }

    /// All cells, first row first.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = Cell<'_>> {
        (0..self.len()).map(|row| self.cell(row))
    }
}

/// A table as it was read: columns of equal length, and where each row came from.
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
    columns: Vec<Column>,
    /// Line of every row; empty if the source has no lines.
    lines: Vec<u64>,
}

impl Table {
    /// A table that did not come from a file. `name` stands for it in messages.
    ///
    /// # Errors
    /// [`DataError::Unnamed`], [`DataError::DuplicateColumn`], [`DataError::ColumnLength`],
    /// [`DataError::Empty`] without columns and [`DataError::NoRows`] without rows.
    pub fn new(name: &str, columns: Vec<Column>) -> Result<Self, DataError> {
        check_names(name, columns.iter().map(Column::name))?;
        let expected = columns[0].len();
        if let Some(column) = columns.iter().find(|column| column.len() != expected) {
            let (column, got) = (column.name.clone(), column.len());
            return Err(DataError::ColumnLength { file: name.into(), column, got, expected });
        }
        if expected == 0 {
            return Err(DataError::NoRows { file: name.into() });
        }
        Ok(Self { name: name.into(), columns, lines: Vec::new() })
    }

    /// A table whose source is known to hold equally long columns with different names.
    pub(super) fn trusted(name: &str, columns: Vec<Column>) -> Self {
        Self { name: name.into(), columns, lines: Vec::new() }
    }

    /// The same table, its rows at these lines of a file.
    pub(super) fn at_lines(self, lines: Vec<u64>) -> Self {
        Self { lines, ..self }
    }

    /// What the table is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// The columns, in the order of the source.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Where a row came from.
    pub fn place(&self, row: usize) -> Place {
        let file = self.name.clone();
        match self.lines.get(row) {
            Some(&line) => Place::Line { file, line },
            None => Place::Row { file, row: row as u64 + 1 },
        }
    }

    /// The given rows in the given order; a row may come more than once.
    ///
    /// # Panics
    /// If a row is not below [`Table::rows`].
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        assert!(rows.iter().all(|&row| row < self.rows()), "a row to select is not there");
        let take = |column: &Column| {
            Column::from_cells(column.name(), rows.iter().map(|&row| column.cell(row)))
        };
        let lines = rows.iter().filter_map(|&row| self.lines.get(row).copied()).collect();
        Self { name: self.name.clone(), columns: self.columns.iter().map(take).collect(), lines }
    }

    /// For every row a hash of its values, label included.
    ///
    /// Rows with equal cells in columns of equal names have equal hashes, whatever the order of
    /// the columns, the format of the file and the place of the row: a split by hash gives every
    /// owner the same share for testing, and never puts two copies of a row on both sides.
    pub fn row_hashes(&self) -> Vec<u64> {
        let mut columns: Vec<&Column> = self.columns.iter().collect();
        columns.sort_by_key(|column| &column.name);
        let mut hasher = RowHasher::new(columns.iter().map(|column| column.name()));
        let hash = |row| hasher.hash(columns.iter().map(|column| column.cell(row)));
        (0..self.rows()).map(hash).collect()
    }
}

/// Refuses no columns at all, unnamed ones and two of the same name.
pub(super) fn check_names<'a>(
    file: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), DataError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() {
            return Err(DataError::Unnamed { file: file.into(), position: seen.len() + 1 });
        }
        if !seen.insert(name) {
            return Err(DataError::DuplicateColumn { file: file.into(), column: name.into() });
        }
    }
    if seen.is_empty() {
        return Err(DataError::Empty { file: file.into() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(columns: &[(&str, &[&str])]) -> Table {
        let column = |(name, cells): &(&str, &[&str])| {
            Column::from_cells(*name, cells.iter().map(|cell| Cell::parse(cell)))
        };
        Table::new("t", columns.iter().map(column).collect()).unwrap()
    }

    #[test]
    fn a_number_is_the_same_cell_however_it_is_written() {
        for text in ["1000", "1e3", " 1000.0 ", "+1000"] {
            assert_eq!(Cell::parse(text), Cell::Number(1000.0));
        }
        for text in ["", " ", "NA", "null", "NULL", "?"] {
            assert_eq!(Cell::parse(text), Cell::Null);
        }
        for text in ["NaN", "inf", "-Infinity", "1e999", "1,5", "0x10", "N/A"] {
            assert_eq!(Cell::parse(text), Cell::Text(text));
        }
        assert_eq!(Cell::number(f64::NAN), Cell::parse("NaN"));
        assert_eq!(Cell::number(f64::INFINITY), Cell::parse("inf"));
        assert_eq!(Cell::number(f64::NEG_INFINITY), Cell::parse("-inf"));
    }

    #[test]
    fn tables_that_are_none_are_refused() {
        let one = || Column::from_cells("a", [Cell::Null]);
        let message = |columns| Table::new("t", columns).unwrap_err().to_string();
        assert_eq!(message(vec![]), "t: the file is empty");
        assert_eq!(message(vec![Column::new("a")]), "t: there is a header, but no row");
        assert_eq!(message(vec![one(), one()]), "t: there are two columns `a`");
        assert_eq!(message(vec![one(), Column::new("")]), "t: column 2 has no name");
        assert_eq!(
            message(vec![one(), Column::new("b")]),
            "t: column `b` has 0 cells, the others have 1"
        );
    }

    #[test]
    fn rows_are_selected_with_their_lines() {
        let all = table(&[("a", &["1", "x", "", "4"])]).at_lines(vec![2, 3, 5, 6]);
        let some = all.select(&[3, 1, 1]);
        let texts: Vec<_> = some.columns()[0].cells().map(Cell::text).collect();
        assert_eq!(texts, ["4", "x", "x"]);
        assert_eq!(some.place(0).to_string(), "t:6");
        assert_eq!(table(&[("a", &["1"])]).place(0).to_string(), "t, row 1");
    }

    proptest! {
        #[test]
        fn what_a_cell_is_written_as_is_the_cell(text in "\\PC{0,8}", number: f64) {
            for cell in [Cell::parse(&text), Cell::number(number)] {
                let written = cell.text();
                prop_assert_eq!(Cell::parse(&written), cell);
            }
        }

        #[test]
        fn a_column_holds_what_was_pushed(texts in prop::collection::vec("[a-c1-3]{0,2}", 0..20)) {
            let column = Column::from_cells("a", texts.iter().map(|text| Cell::parse(text)));
            prop_assert!(column.cells().eq(texts.iter().map(|text| Cell::parse(text))));
            prop_assert_eq!(column.cell(texts.len()), Cell::Null);
        }

        #[test]
        fn the_order_of_columns_does_not_change_a_hash(
            cells in prop::collection::vec("[a-c1-3]{0,2}", 6),
        ) {
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            let (a, b) = cells.split_at(3);
            let one = table(&[("a", a), ("b", b)]);
            let other = table(&[("b", b), ("a", a)]);
            prop_assert_eq!(one.row_hashes(), other.row_hashes());
        }
    }
}
