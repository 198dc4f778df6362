//! What can be wrong with data, in words a person can act on.

use std::fmt;

/// Longest part of an offending value that a message repeats.
const SHOWN_CHARACTERS: usize = 40;

/// Where in a source something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a text file, counted from 1.
    Line {
        /// The file.
        file: String,
        /// The line.
        line: u64,
    },
    /// A row of a source without lines, counted from 1.
    Row {
        /// The source.
        file: String,
        /// The row.
        row: u64,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::Row { file, row } => write!(f, "{file}, row {row}"),
        }
    }
}

/// `value` for a message: no control characters, and no more than a person wants to read.
pub(super) fn shown(value: &str) -> String {
    let mut text: String = value
        .chars()
        .take(SHOWN_CHARACTERS)
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect();
    if value.chars().nth(SHOWN_CHARACTERS).is_some() {
        text.push('…');
    }
    text
}

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be opened or read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A table cannot be written.
    #[error("{file}: cannot be written: {problem}")]
    Unwritable {
        /// The file.
        file: String,
        /// What went wrong.
        problem: String,
    },
    /// The name says nothing about the format, or names one that this build does not read.
    #[error("{file}: `{extension}` is no known format; data files end in {known}")]
    UnknownFormat {
        /// The file.
        file: String,
        /// What its name ends in.
        extension: String,
        /// The endings that are known.
        known: &'static str,
    },
    /// The file holds nothing.
    #[error("{file}: the file is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// The file holds a header only.
    #[error("{file}: there is a header, but no row")]
    NoRows {
        /// The file.
        file: String,
    },
    /// Something is larger than its limit, or claims to be.
    #[error("{file}: {got} {what}, at most {limit} are allowed")]
    TooLarge {
        /// The file.
        file: String,
        /// What is counted, e.g. `rows`.
        what: &'static str,
        /// How many there are, or are claimed to be.
        got: u64,
        /// The limit.
        limit: u64,
    },
    /// A name or a cell is longer than any value is.
    #[error("{place}: {got} bytes in one cell, at most {limit} are allowed")]
    CellTooLong {
        /// Where.
        place: Place,
        /// Bytes of the cell.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// A row has another number of fields than the header.
    #[error("{place}: the row has {got} fields, the header has {expected}")]
    Ragged {
        /// Where.
        place: Place,
        /// Fields of the row.
        got: u64,
        /// Fields of the header.
        expected: u64,
    },
    /// Bytes are not UTF-8.
    #[error("{place}: the text is not UTF-8")]
    NotUtf8 {
        /// Where.
        place: Place,
    },
    /// A column has no name.
    #[error("{file}: column {position} has no name")]
    Unnamed {
        /// The file.
        file: String,
        /// Place of the column, from 1.
        position: usize,
    },
    /// Two columns have the same name.
    #[error("{file}: there are two columns `{column}`")]
    DuplicateColumn {
        /// The file.
        file: String,
        /// The name.
        column: String,
    },
    /// Columns of one table have different lengths.
    #[error("{file}: column `{column}` has {got} cells, the others have {expected}")]
    ColumnLength {
        /// The table.
        file: String,
        /// The column.
        column: String,
        /// Cells of the column.
        got: usize,
        /// Cells of the first column.
        expected: usize,
    },
    /// The label column is not there.
    #[error("{file}: there is no label column `{label}`; the columns are {columns}")]
    MissingLabel {
        /// The file.
        file: String,
        /// The label that was asked for.
        label: String,
        /// The columns that there are.
        columns: String,
    },
    /// An option names a column that is not there.
    #[error(
        "{file}: `{option}` names the column `{column}`, which is not there; the columns are {columns}"
    )]
    UnknownColumn {
        /// The file.
        file: String,
        /// The option.
        option: &'static str,
        /// The column it names.
        column: String,
        /// The columns that there are.
        columns: String,
    },
    /// A column is asked to be two things.
    #[error("column `{column}` is named by `{first}` and by `{second}`")]
    Contradiction {
        /// The column.
        column: String,
        /// One option that names it.
        first: &'static str,
        /// Another option that names it.
        second: &'static str,
    },
    /// Nothing is left to learn from.
    #[error("{file}: there is no column besides the label and those left out")]
    NoFeatures {
        /// The file.
        file: String,
    },
    /// A column holds no value at all.
    #[error("column `{column}` holds no value in any file; leave it out with `drop`")]
    NoValues {
        /// The column.
        column: String,
    },
    /// A cell of a numeric column is not a finite number.
    #[error("{place}: column `{column}`: `{value}` is not a finite number")]
    NotANumber {
        /// Where.
        place: Place,
        /// The column.
        column: String,
        /// The cell.
        value: String,
    },
    /// A cell of a column that is numeric elsewhere is text.
    #[error(
        "{place}: column `{column}`: `{value}` is not a number, but the column is numeric in {numeric}"
    )]
    TextAmongNumbers {
        /// Where the first text is.
        place: Place,
        /// The column.
        column: String,
        /// The text.
        value: String,
        /// The file in which the column is numeric.
        numeric: String,
    },
    /// A column is numeric for one owner and text for another.
    #[error("column `{column}` is numeric in {numeric}, but text in {text}")]
    DifferentKinds {
        /// The column.
        column: String,
        /// A source in which it is numeric.
        numeric: String,
        /// A source in which it is text.
        text: String,
    },
    /// A source lacks a column that another has.
    #[error("{file}: there is no column `{column}`, which {other} has")]
    DifferentColumns {
        /// The source without the column.
        file: String,
        /// The column.
        column: String,
        /// The source with the column.
        other: String,
    },
    /// Owners disagree on what is to be predicted.
    #[error("{file} predicts {got}, but {other} predicts {expected}")]
    DifferentLabels {
        /// One source.
        file: String,
        /// What it predicts.
        got: String,
        /// Another source.
        other: String,
        /// What that predicts.
        expected: String,
    },
    /// A number is too large for the model's `f32`.
    #[error("{place}: column `{column}`: {value:e} is too large for a 32-bit number")]
    TooLargeForModel {
        /// Where.
        place: Place,
        /// The column.
        column: String,
        /// The number.
        value: f64,
    },
    /// A value is missing where the schema says that none is.
    #[error("{place}: column `{column}`: there is no value, but the schema requires one")]
    Missing {
        /// Where.
        place: Place,
        /// The column.
        column: String,
    },
    /// A label is missing.
    #[error("{place}: label `{column}`: there is no value")]
    MissingValueOfLabel {
        /// Where.
        place: Place,
        /// The label column.
        column: String,
    },
    /// A class is a fraction.
    #[error("{place}: label `{column}`: the class `{value}` is neither a whole number nor text")]
    NotAClass {
        /// Where.
        place: Place,
        /// The label column.
        column: String,
        /// The cell.
        value: String,
    },
    /// A category or class that the schema does not list.
    #[error("{place}: column `{column}`: the schema does not know the value `{value}`")]
    UnknownLevel {
        /// Where.
        place: Place,
        /// The column.
        column: String,
        /// The cell.
        value: String,
    },
    /// A column has too many different values for one-hot coding.
    #[error(
        "{file}: column `{column}` has {got} different values, at most {limit} can be categories; leave it out with `drop`"
    )]
    TooManyLevels {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Different values.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// There is nothing to tell apart.
    #[error("{file}: label `{label}` has only the class `{class}`; at least two are needed")]
    OneClass {
        /// The files.
        file: String,
        /// The label column.
        label: String,
        /// The only class.
        class: String,
    },
    /// A schema that came from outside contradicts itself.
    #[error("the schema is not consistent at `{column}`: {problem}")]
    BadSchema {
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Statistics do not fit the schema.
    #[error("{got} statistics for a schema that has {expected}")]
    StatisticsLength {
        /// Statistics given.
        got: usize,
        /// Statistics that the schema has.
        expected: usize,
    },
    /// A statistic cannot be what it claims.
    #[error("the {what} {value} of column `{column}` is not usable")]
    BadStatistic {
        /// The column.
        column: String,
        /// Which statistic.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// A numeric column has no bounds.
    #[error("the numeric column `{column}` has no bounds")]
    NoBounds {
        /// The column.
        column: String,
    },
    /// Bounds between which nothing lies.
    #[error(
        "the bounds of column `{column}` are {least} and {most}: not two finite numbers in order"
    )]
    BadBounds {
        /// The column.
        column: String,
        /// The lower one.
        least: f64,
        /// The upper one.
        most: f64,
    },
    /// The parts of a data set have lengths that do not fit.
    #[error("{got} {what}, expected {expected}")]
    Shape {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there must be.
        expected: usize,
    },
    /// A column has a type that is neither number, truth value nor text.
    #[error(
        "{file}: column `{column}` has the type {kind}; numbers, truth values and UTF-8 text are read"
    )]
    UnsupportedType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// A binary file is not what its format allows.
    #[error("{file}: not a readable {format} file: {problem}")]
    Malformed {
        /// The file.
        file: String,
        /// The format.
        format: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}
