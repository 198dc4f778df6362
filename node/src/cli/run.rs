//! `nexus run`.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::Context;
use super::style::{columns, paint};
use super::sweep::Sweep;
use crate::error::{NodeError, read_text, read_toml};
use crate::job::JobFile;
use crate::printer::Printer;
use crate::run::folder::{Request, RunFolder, SCHEMA, json as document};
use crate::run::{Observer, Run};
use crate::simulation::Faults;
use crate::summary::{Round, Summary};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The job; handwritten digits on ten owners if there is none
    job: Option<PathBuf>,
    /// Number from which all randomness follows, instead of the job's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Inject the faults and attacks of this file, in virtual time
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Do not train the same model centrally and by each owner alone
    #[arg(long)]
    no_baselines: bool,
    /// Promise nothing about rows: no noise
    #[arg(long)]
    no_privacy: bool,
    /// Run the job once for each value of one of its keys, as in privacy.epsilon=1,2,4,8
    #[arg(long, value_name = "KEY=VALUES", value_parser = Sweep::parse)]
    sweep: Option<Sweep>,
    /// Go on with a run that was cut off
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["job", "seed", "faults", "no_baselines", "no_privacy", "sweep"]
    )]
    resume: Option<String>,
}

pub(super) fn run(context: &Context, args: &RunArgs) -> Result<(), NodeError> {
    let Context { printer, settings } = context;
    let (runs, threads) = (&settings.runs.value, settings.threads.value);
    let mut screen = Screen { printer: *printer, bar: ProgressBar::hidden() };
    if let Some(sweep) = &args.sweep {
        return swept(context, args, sweep, &mut screen);
    }
    let run = match &args.resume {
        Some(id) => {
            let folder = RunFolder::open(runs, id)?;
            if let Some(summary) = folder.summary() {
                printer.note(format_args!("the run `{id}` had already ended"));
                return show(*printer, &folder, &summary);
            }
            Run::resume(folder, threads)?
        }
        None => Run::begin(request(args)?, runs, threads)?,
    };
    let (folder, summary) = run.to_end(&mut screen)?;
    screen.bar.finish_and_clear();
    show(*printer, &folder, &summary)
}

/// Runs the job with one value after the other.
fn swept(
    context: &Context,
    args: &RunArgs,
    sweep: &Sweep,
    screen: &mut Screen,
) -> Result<(), NodeError> {
    let Context { printer, settings } = context;
    let request = request(args)?;
    let mut points = Vec::new();
    for value in sweep.values() {
        let job_text = sweep.with(&request.job_text, value)?;
        let request = Request { job_text, baselines: false, ..request.clone() };
        let run = Run::begin(request, &settings.runs.value, settings.threads.value)?;
        let (folder, summary) = run.to_end(screen)?;
        screen.bar.finish_and_clear();
        points.push((value.to_owned(), read_summary(&folder, &summary)?));
    }
    if printer.json {
        printer.result_bytes(&document(&sweep.document(&points)));
    } else {
        printer.result(sweep.text(&points, columns()));
    }
    Ok(())
}

fn read_summary(folder: &RunFolder, summary: &[u8]) -> Result<Summary, NodeError> {
    let path = folder.path().join("summary.json");
    serde_json::from_slice(summary).map_err(|source| NodeError::Json { path, source })
}

fn request(args: &RunArgs) -> Result<Request, NodeError> {
    let file = match &args.job {
        Some(path) => JobFile::parse(path, &read_text(path)?)?,
        None if args.no_privacy => JobFile::embedded_exact()?,
        None => JobFile::embedded()?,
    };
    let faults: Faults = args.faults.as_deref().map(read_toml).transpose()?.unwrap_or_default();
    let absolute = std::path::absolute(&file.path).map_err(|e| NodeError::file(&file.path, e))?;
    Ok(Request {
        schema: SCHEMA,
        job_path: if args.job.is_some() { absolute } else { file.path },
        job_text: file.text,
        seed: args.seed.unwrap_or(file.job.job.seed),
        faults,
        faults_file: args.faults.as_ref().map(|path| path.display().to_string()),
        baselines: !args.no_baselines,
        privacy: !args.no_privacy,
    })
}

fn show(printer: Printer, folder: &RunFolder, summary: &[u8]) -> Result<(), NodeError> {
    if printer.json {
        printer.result_bytes(summary);
        return Ok(());
    }
    let summary = read_summary(folder, summary)?;
    let report = folder.path().join("report.html").display().to_string();
    printer.result(summary.text(columns(), Some(&report), &paint));
    Ok(())
}

struct Screen {
    printer: Printer,
    bar: ProgressBar,
}

impl Observer for Screen {
    fn begun(&mut self, folder: &RunFolder, rounds: u32, done: u32) {
        self.printer.note(format_args!("run {} in {}", folder.id(), folder.path().display()));
        if !self.printer.shows_progress() {
            return;
        }
        let template = "{bar:24.green} round {pos}/{len}  {msg}";
        let style = ProgressStyle::with_template(template);
        self.bar = ProgressBar::new(rounds.into())
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_position(done.into());
    }

    fn round(&mut self, round: &Round) {
        let accuracy = round.test_accuracy.map_or(String::new(), |a| format!("accuracy {a:.3}"));
        tracing::info!(round = round.round, dropped = round.dropped.len(), %accuracy, "round closed");
        self.bar.set_message(accuracy);
        self.bar.set_position(round.round.into());
    }

    fn warn(&mut self, text: &str) {
        self.bar.suspend(|| self.printer.warn(text));
    }
}
