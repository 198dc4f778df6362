//! Settings of the program: flag, environment, project file, user file, default, in this order.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{NodeError, read_toml};

/// `nexus.toml`: settings of a project or a user. They never change what a job computes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsFile {
    /// Folder of runs, relative to the file.
    pub runs: Option<PathBuf>,
    /// Threads to train with.
    pub threads: Option<usize>,
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The command line or the environment.
    Given,
    /// A file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
}

/// A setting and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub origin: Origin,
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Folder of runs.
    pub runs: Setting<PathBuf>,
    /// Threads to train with.
    pub threads: Setting<usize>,
}

impl Settings {
    /// Joins what was given with what the files say.
    ///
    /// # Errors
    /// [`NodeError`] if a file cannot be read, or a value is out of range.
    pub fn load(
        file: Option<&Path>,
        runs: Option<PathBuf>,
        threads: Option<usize>,
    ) -> Result<Self, NodeError> {
        let mut files = Vec::new();
        for path in candidates(file) {
            let settings: SettingsFile = read_toml(&path)?;
            files.push((path, settings));
        }
        let runs_in = |(path, s): &(PathBuf, SettingsFile)| {
            let folder = path.parent().unwrap_or(Path::new("")).join(s.runs.as_ref()?);
            Some(Setting { value: folder, origin: Origin::File(path.clone()) })
        };
        let threads_in = |(path, s): &(PathBuf, SettingsFile)| {
            Some(Setting { value: s.threads?, origin: Origin::File(path.clone()) })
        };
        let settings = Self {
            runs: given(runs)
                .or_else(|| files.iter().find_map(runs_in))
                .unwrap_or_else(|| fallback("runs".into())),
            threads: given(threads)
                .or_else(|| files.iter().find_map(threads_in))
                .unwrap_or_else(|| fallback(nexus_learning::parallel::threads())),
        };
        let count = settings.threads.value;
        if !(1..=1024).contains(&count) {
            let problem = format!("{count} threads, from 1 to 1024 are possible");
            return Err(NodeError::usage(problem, "give another number with -j"));
        }
        Ok(settings)
    }
}

const fn fallback<T>(value: T) -> Setting<T> {
    Setting { value, origin: Origin::Default }
}

fn given<T>(value: Option<T>) -> Option<Setting<T>> {
    value.map(|value| Setting { value, origin: Origin::Given })
}

/// The files that are read: the named one, or the project's and the user's where they exist.
fn candidates(file: Option<&Path>) -> Vec<PathBuf> {
    if let Some(file) = file {
        return vec![file.to_owned()];
    }
    let user = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))
        .map(|folder| folder.join("nexus").join("nexus.toml"));
    let files = [Some(PathBuf::from("nexus.toml")), user];
    files.into_iter().flatten().filter(|path| path.is_file()).collect()
}
