//! `cargo tidy`: the house rules that neither the compiler nor clippy checks.
//!
//! Every rule is a pure function from text to [`Violation`]s, one test that the tree obeys it, and
//! one that it does catch what it forbids.

mod docs;
mod packages;
mod source;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

/// One place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: String,
    line: usize,
    problem: String,
}

impl Violation {
    fn new(file: &str, line: usize, problem: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, problem: problem.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

/// Fails the test with every place named.
fn obeyed(rule: &str, violations: &[Violation]) {
    let places: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(places.is_empty(), "tidy: {rule}\n{}\n", places.join("\n"));
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// `text` line by line, counted from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}
