//! The folder of a run: `runs/<name>-<number>/`.
//!
//! ```text
//! run.json             what was asked for; there as soon as the folder is
//! checkpoints/         the last two states of the whole run, each behind a checksum
//! plan.json, terms.bin what the parties of masked sums agreed on, if sums are masked
//! sums/                the record of each masked sum, for `nexus job verify`
//! rounds.jsonl         a line per round
//! model.safetensors    the model, and model.toml, its specification
//! report.html          for people
//! lock                 held by the process that works on the run
//! summary.json         for programs; the last file: a run that has one is finished
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::limits::MAX_MESSAGE_BYTES;
use nexus_types::{Canonical, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::store::{DirStore, read_bounded, sync_folder, write_atomic};
use crate::error::NodeError;
use crate::job::{JobFile, JobProblem};
use crate::simulation::{Faults, ROOT_BYTES};
use crate::summary::Summary;

/// What a run was asked for: enough to begin it anew or to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Layout of this file.
    pub schema: u32,
    /// The job file's path, absolute, so that its data is found again.
    pub job_path: PathBuf,
    /// The job file's text.
    pub job_text: String,
    /// The seed.
    pub seed: u64,
    /// Injected faults.
    pub faults: Faults,
    /// The file they came from.
    pub faults_file: Option<String>,
    /// Whether the baselines are trained too.
    pub baselines: bool,
    /// Whether what the job promises about rows holds.
    #[serde(default = "yes")]
    pub privacy: bool,
}

const fn yes() -> bool {
    true
}

impl Request {
    /// The job.
    ///
    /// # Errors
    /// [`JobProblem`] with the span of what is wrong.
    pub fn job(&self) -> Result<JobFile, JobProblem> {
        let job = JobFile::parse(&self.job_path, &self.job_text)?;
        Ok(if self.privacy { job } else { job.without_privacy() })
    }

    /// The command that asks for the same.
    pub fn command(&self) -> String {
        let job = self.job_path.display();
        let job = if self.job_path.is_absolute() { format!(" {job}") } else { String::new() };
        let faults =
            self.faults_file.as_ref().map_or(String::new(), |it| format!(" --faults {it}"));
        let exact = if self.privacy { "" } else { " --no-privacy" };
        format!("nexus run{job} --seed {}{exact}{faults}", self.seed)
    }
}

/// The whole run between two rounds.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Checkpoint {
    /// The simulation.
    pub simulation: Vec<u8>,
    /// The lines of `rounds.jsonl` so far.
    pub rounds: Vec<String>,
    /// The job, as a digest: a checkpoint of another job or other data is refused.
    pub job: [u8; 32],
    /// What the keys of the run's parties follow from.
    pub root: [u8; ROOT_BYTES],
}

impl Canonical for Checkpoint {
    const DOMAIN: &'static str = "nexus/run/checkpoint";
    const VERSION: u8 = 2;
    const MAX_BYTES: usize = 65 * MAX_MESSAGE_BYTES;
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    id: String,
}

/// Layout of [`Request`].
pub const SCHEMA: u32 = 1;
/// Bytes of a request or a summary.
const MAX_FILE_BYTES: u64 = 1 << 30;
const REQUEST: &str = "run.json";
const SUMMARY: &str = "summary.json";
/// What owners accepted for masked sums.
pub(super) const TERMS: &str = "terms.bin";
/// The folder of the records of masked sums.
pub(super) const SUMS: &str = "sums";

/// The record of the sum `slot`.
pub(super) fn sum_file(slot: u32) -> String {
    format!("{SUMS}/sum-{slot:07}.bin")
}

impl RunFolder {
    /// Makes the folder of a new run below `runs`. It appears with its request in it, so every
    /// folder that is there can be resumed.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn create(runs: &Path, name: &str, request: &Request) -> Result<Self, NodeError> {
        fs::create_dir_all(runs).map_err(|e| NodeError::file(runs, e))?;
        let draft = runs.join(format!(".new-{name}-{}", std::process::id()));
        let made = fs::create_dir_all(&draft)
            .and_then(|()| write_atomic(&draft.join(REQUEST), &json(request)));
        made.map_err(|e| NodeError::file(&draft, e))?;
        let taken = |number: &u32| runs.join(format!("{name}-{number}")).exists();
        for number in (1u32..).skip_while(taken) {
            let id = format!("{name}-{number}");
            let path = runs.join(&id);
            match fs::rename(&draft, &path) {
                Ok(()) => {
                    sync_folder(runs).map_err(|e| NodeError::file(runs, e))?;
                    return Ok(Self { path, id });
                }
                Err(_) if path.exists() => {}
                Err(error) => return Err(NodeError::file(&path, error)),
            }
        }
        Err(NodeError::file(runs, io::Error::other("no free run number")))
    }

    /// The folder of the run `id`.
    ///
    /// # Errors
    /// [`NodeError::NoSuchRun`] if there is none.
    pub fn open(runs: &Path, id: &str) -> Result<Self, NodeError> {
        let path = runs.join(id);
        let plain = !id.is_empty() && !id.contains(['/', '\\']) && !id.starts_with('.');
        if !plain || !path.join(REQUEST).is_file() {
            return Err(NodeError::NoSuchRun {
                id: id.to_owned(),
                runs: runs.to_owned(),
                known: known(runs),
            });
        }
        Ok(Self { path, id: id.to_owned() })
    }

    /// The run's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The request it was made with.
    ///
    /// # Errors
    /// [`NodeError`] if the file cannot be read.
    pub fn request(&self) -> Result<Request, NodeError> {
        let path = self.path.join(REQUEST);
        let text = read_bounded(&path, MAX_FILE_BYTES).map_err(|e| NodeError::file(&path, e))?;
        let request: Request =
            serde_json::from_slice(&text).map_err(|source| NodeError::Json { path, source })?;
        if request.schema == SCHEMA {
            return Ok(request);
        }
        let problem =
            format!("run.json has schema {}, this program knows {SCHEMA}", request.schema);
        Err(NodeError::usage(problem, "use the program that began the run"))
    }

    /// The summary, if the run is finished. One that is damaged counts as not there: it will be
    /// written again.
    pub fn summary(&self) -> Option<Vec<u8>> {
        let bytes = read_bounded(&self.path.join(SUMMARY), MAX_FILE_BYTES).ok()?;
        serde_json::from_slice::<Summary>(&bytes).is_ok().then_some(bytes)
    }

    /// Keeps other processes away for as long as the value lives.
    ///
    /// # Errors
    /// [`NodeError::InUse`] if another process works on the run.
    pub fn lock(&self) -> Result<File, NodeError> {
        let path = self.path.join("lock");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(|e| NodeError::file(&path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(NodeError::InUse { id: self.id.clone() }),
            Err(TryLockError::Error(error)) => Err(NodeError::file(&path, error)),
        }
    }

    /// How many records of masked sums there are; `None` if none were kept.
    pub fn sums(&self) -> Option<u32> {
        let entries = fs::read_dir(self.path.join(SUMS)).ok()?;
        u32::try_from(entries.count()).ok().filter(|count| *count > 0)
    }

    /// Makes the folder of the records of masked sums.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn make_sums(&self) -> Result<(), NodeError> {
        let path = self.path.join(SUMS);
        fs::create_dir_all(&path).map_err(|e| NodeError::file(&path, e))
    }

    /// Writes one file of the run.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), NodeError> {
        let path = self.path.join(name);
        write_atomic(&path, bytes).map_err(|e| NodeError::file(&path, e))
    }

    /// Writes the summary; the run is finished then.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn finish(&self, summary: &[u8]) -> Result<(), NodeError> {
        self.write(SUMMARY, summary)
    }

    fn checkpoints(&self) -> Result<DirStore, StoreError> {
        DirStore::open(&self.path.join("checkpoints"))
    }

    /// Keeps `checkpoint` and the one before it.
    ///
    /// # Errors
    /// [`NodeError`] if it cannot be written.
    pub fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), NodeError> {
        let mut store = self.checkpoints()?;
        let number = checkpoint.rounds.len();
        store.put(&format!("round-{number:07}"), &checkpoint.encode()?)?;
        let keys = store.keys("round-")?;
        for old in &keys[..keys.len().saturating_sub(2)] {
            store.remove(old)?;
        }
        Ok(())
    }

    /// The newest checkpoint that is whole and of `job`, and a warning for each that is not.
    ///
    /// # Errors
    /// [`NodeError`] if the folder cannot be read.
    pub fn last_checkpoint(
        &self,
        job: [u8; 32],
    ) -> Result<(Option<Checkpoint>, Vec<String>), NodeError> {
        let store = self.checkpoints()?;
        let mut warnings = Vec::new();
        for key in store.keys("round-")?.iter().rev() {
            match read_checkpoint(&store, key) {
                Ok(checkpoint) if checkpoint.job == job => return Ok((Some(checkpoint), warnings)),
                Ok(_) => return Err(NodeError::DataChanged { id: self.id.clone() }),
                Err(reason) => warnings.push(format!("checkpoint {key} is refused: {reason}")),
            }
        }
        Ok((None, warnings))
    }
}

fn read_checkpoint(store: &DirStore, key: &str) -> Result<Checkpoint, String> {
    let bytes = store.get(key).map_err(|e| e.to_string())?;
    Checkpoint::decode(&bytes.unwrap_or_default()).map_err(|e| e.to_string())
}

/// `value` as indented JSON with a newline at its end.
pub fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// The names of all runs below `runs`.
pub fn known(runs: &Path) -> Vec<String> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let runs = entries.filter(|entry| entry.path().join(REQUEST).is_file());
    let mut names: Vec<_> =
        runs.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
