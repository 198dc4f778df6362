//! A job file on disk, and errors that point into it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use toml::de::DeTable;

use super::Job;

/// A job together with the text it was read from.
#[derive(Clone, Debug)]
pub struct JobFile {
    /// Where it was read from, as the user named it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What it says.
    pub job: Job,
}

/// A job file that cannot be used, and the place in it.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{problem}")]
#[diagnostic(code(nexus::job))]
pub struct JobProblem {
    problem: String,
    label: String,
    #[source_code]
    source_code: Arc<NamedSource<String>>,
    #[label("{label}")]
    span: Option<SourceSpan>,
    #[help]
    help: Option<String>,
}

impl JobFile {
    /// The job of `nexus run` without a file.
    ///
    /// # Errors
    /// None in a program that passed its tests.
    pub fn embedded() -> Result<Self, JobProblem> {
        Self::parse(Path::new("(built in)"), include_str!("default.toml"))
    }

    /// The job of `nexus run --no-privacy` without a file.
    ///
    /// # Errors
    /// None in a program that passed its tests.
    pub fn embedded_exact() -> Result<Self, JobProblem> {
        Self::parse(Path::new("(built in)"), include_str!("exact.toml"))
    }

    /// The same without what it promises about rows.
    #[must_use]
    pub fn without_privacy(mut self) -> Self {
        self.job.privacy = None;
        self
    }

    /// Reads `text` as the job file `path`.
    ///
    /// # Errors
    /// [`JobProblem`] with the span of what is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, JobProblem> {
        let job = toml::from_str(text)
            .map_err(|error| problem(path, text, error.message(), error.span(), "this", None))?;
        let file = Self { path: path.to_owned(), text: text.to_owned(), job };
        file.check()?;
        Ok(file)
    }

    /// A file's path in the job, seen from where the program runs.
    pub fn resolve(&self, relative: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| relative.to_owned(), |folder| folder.join(relative))
    }

    /// An error about the value at `key`, a path of table names such as `["training", "rounds"]`.
    pub fn problem(&self, key: &[&str], message: &str, help: Option<String>) -> JobProblem {
        let span = (1..=key.len()).rev().find_map(|depth| span_of(&self.text, &key[..depth]));
        let label = format!("`{}`", key.join("."));
        problem(&self.path, &self.text, message, span, &label, help)
    }
}

fn problem(
    path: &Path,
    text: &str,
    message: &str,
    span: Option<Range<usize>>,
    label: &str,
    help: Option<String>,
) -> JobProblem {
    JobProblem {
        problem: format!("the job cannot be used: {message}"),
        label: label.to_owned(),
        source_code: Arc::new(NamedSource::new(path.display().to_string(), text.to_owned())),
        span: span.map(Into::into),
        help,
    }
}

fn span_of(text: &str, key: &[&str]) -> Option<Range<usize>> {
    let table = DeTable::parse(text).ok()?;
    let (last, folders) = key.split_last()?;
    let mut table = table.get_ref();
    for folder in folders {
        table = table.get(*folder)?.get_ref().as_table()?;
    }
    Some(table.get(*last)?.span())
}
