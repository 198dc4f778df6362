//! What can be wrong with forests, tables for them, and encrypted rows.

use nexus_models::data::Place;

/// Why there is no forest, or no answer of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForestError {
    /// Bytes are no forest.
    #[error("this is no forest: {0}")]
    Json(#[from] serde_json::Error),
    /// The file is of another version of the program.
    #[error("a forest of version {got}; version {needed} is needed")]
    Version {
        /// Its version.
        got: u32,
        /// The one that is read.
        needed: u32,
    },
    /// Too few or too many of something.
    #[error("{got} {what}; {least} to {limit} are possible")]
    Count {
        /// What.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// The fewest.
        least: usize,
        /// The most.
        limit: usize,
    },
    /// A node of a tree points where nothing is.
    #[error("tree {tree}, node {node}: {what} {got}; less than {limit} is possible")]
    Node {
        /// The tree, from 0.
        tree: usize,
        /// The node, from 0.
        node: usize,
        /// What is wrong.
        what: &'static str,
        /// Its value.
        got: usize,
        /// What it must be below.
        limit: usize,
    },
    /// The nodes make no tree.
    #[error("tree {tree}, node {node}: it comes before or twice below another, or below none")]
    Shape {
        /// The tree, from 0.
        tree: usize,
        /// The node, from 0.
        node: usize,
    },
    /// The range of a feature is none.
    #[error(
        "feature {feature} is from {low} to {high}; two finite numbers, the smaller first, are needed"
    )]
    Range {
        /// The feature, from 0.
        feature: usize,
        /// Where its range begins.
        low: f64,
        /// Where it ends.
        high: f64,
    },
    /// A name that does more than be shown.
    #[error("{what} {at}: its name has control characters in it")]
    Name {
        /// Of what.
        what: &'static str,
        /// Which, from 0.
        at: usize,
    },
    /// A table lacks a column.
    #[error("{table}: there is no column `{column}`")]
    Column {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A cell has no value of the kind that its column needs.
    #[error("{place}: `{got}` in column {column}; {needed} is needed")]
    Cell {
        /// Where.
        place: Place,
        /// The column.
        column: String,
        /// What is there.
        got: String,
        /// What should be.
        needed: &'static str,
    },
    /// A row has another length than the forest's.
    #[error("a row of {got} numbers; the forest takes {needed}")]
    Width {
        /// Numbers of the row.
        got: usize,
        /// Those that are needed.
        needed: usize,
    },
    /// More bytes than such a message has.
    #[error("{what} of {got} bytes; {limit} are possible")]
    Bytes {
        /// What.
        what: &'static str,
        /// Bytes.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// Bytes are no key, question or answer under the parameters that are used.
    #[cfg(feature = "tfhe")]
    #[error("{what}: {problem}")]
    Object {
        /// What they should be.
        what: &'static str,
        /// What `tfhe` says.
        problem: String,
    },
    /// An answer that is none.
    #[cfg(feature = "tfhe")]
    #[error("an answer of class {got}; there are {limit}")]
    Class {
        /// The class, from 0.
        got: usize,
        /// How many there are.
        limit: usize,
    },
}

/// Refuses what is not from `least` to `limit`.
pub(super) fn count(
    what: &'static str,
    got: usize,
    least: usize,
    limit: usize,
) -> Result<(), ForestError> {
    if (least..=limit).contains(&got) {
        return Ok(());
    }
    Err(ForestError::Count { what, got, least, limit })
}

/// Refuses more bytes than `limit`.
pub(super) fn within(what: &'static str, got: usize, limit: usize) -> Result<(), ForestError> {
    if got > limit { Err(ForestError::Bytes { what, got, limit }) } else { Ok(()) }
}
