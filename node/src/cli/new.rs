//! `nexus new`: a folder to start from.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use nexus_models::data::{Table, builtin, write_csv};
use nexus_types::Seed;

use super::{Context, absent};
use crate::error::NodeError;
use crate::run::store::write_atomic;

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// The folder to make
    folder: PathBuf,
    /// What to start from
    #[arg(long, value_name = "TEMPLATE", default_value = "digits")]
    template: Template,
    /// Write the last hospital's file as Parquet
    #[cfg(feature = "parquet")]
    #[arg(long)]
    parquet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Template {
    /// Handwritten digits, built in, on ten owners
    Digits,
    /// Three hospitals with a file each
    Tabular,
}

/// The hospitals of the template, each with its share of the rows in percent.
const HOSPITALS: [(&str, usize); 3] = [("north", 50), ("south", 30), ("coast", 20)];

pub(super) fn new(context: &Context, args: &NewArgs) -> Result<(), NodeError> {
    let folder = &args.folder;
    absent(folder)?;
    let name = job_name(folder)?;
    fs::create_dir_all(folder).map_err(|e| NodeError::file(folder, e))?;
    let job = match args.template {
        Template::Digits => include_str!("templates/digits.toml").replace("NAME", &name),
        Template::Tabular => {
            let files = write_hospitals(folder, args)?;
            let files: Vec<String> = files.iter().map(|file| format!("\"{file}\"")).collect();
            let job = include_str!("templates/tabular.toml").replace("NAME", &name);
            job.replace("FILES", &files.join(", "))
        }
    };
    write(&folder.join("job.toml"), job.as_bytes())?;
    context.printer.note(format_args!("made {}; next:", folder.display()));
    context.printer.result(format_args!("nexus run {}\n", folder.join("job.toml").display()));
    Ok(())
}

fn job_name(folder: &Path) -> Result<String, NodeError> {
    let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = name.unwrap_or_default().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    if (1..=64).contains(&name.len()) {
        return Ok(name);
    }
    let problem = format!("`{}` gives no name for a job", folder.display());
    Err(NodeError::usage(problem, "the folder's name must have 1 to 64 characters"))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    write_atomic(path, bytes).map_err(|e| NodeError::file(path, e))
}

fn write_hospitals(folder: &Path, args: &NewArgs) -> Result<Vec<String>, NodeError> {
    let table = builtin::breast_cancer();
    let mut order: Vec<usize> = (0..table.rows()).collect();
    Seed::from_number(0).derive("hospitals", &[]).rng().shuffle(&mut order);
    let mut names = Vec::new();
    let mut rest = order.as_slice();
    for (place, (hospital, percent)) in HOSPITALS.into_iter().enumerate() {
        let last = place + 1 == HOSPITALS.len();
        let size = if last { rest.len() } else { table.rows() * percent / 100 };
        let (rows, others) = rest.split_at(size);
        rest = others;
        let (ending, bytes) = encode(&table.select(rows), last && wants_parquet(args))?;
        let name = format!("{hospital}.{ending}");
        write(&folder.join(&name), &bytes)?;
        names.push(name);
    }
    Ok(names)
}

#[cfg(feature = "parquet")]
const fn wants_parquet(args: &NewArgs) -> bool {
    args.parquet
}

#[cfg(not(feature = "parquet"))]
const fn wants_parquet(_: &NewArgs) -> bool {
    false
}

fn encode(table: &Table, parquet: bool) -> Result<(&'static str, Vec<u8>), NodeError> {
    let mut bytes = Vec::new();
    #[cfg(feature = "parquet")]
    if parquet {
        nexus_models::data::write_parquet(table, &mut bytes)?;
        return Ok(("parquet", bytes));
    }
    let _ = parquet;
    write_csv(table, &mut bytes)?;
    Ok(("csv", bytes))
}
