//! `nexus audit`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use nexus_audit::Report;
use nexus_audit::membership::Effort;
use serde_json::json;

use super::Context;
use crate::error::{NodeError, read_text};
use crate::job::JobFile;
use crate::report::audit as page;
use crate::run::audit::{Options, audit as attack};
use crate::run::folder::{RunFolder, json as document};

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// A job's file or a run's name; the job of `nexus run` without a file if there is none
    of: Option<String>,
    /// Audit the job without what it promises about rows
    #[arg(long)]
    no_privacy: bool,
    /// Models trained to learn how members look, an even number
    #[arg(long, value_name = "N", default_value_t = 64)]
    shadows: usize,
    /// Models that are attacked
    #[arg(long, value_name = "N", default_value_t = 5)]
    targets: usize,
    /// Rows that get a wrong class, so that a model must remember them to be right
    #[arg(long, value_name = "N", default_value_t = 0)]
    mislabelled: usize,
    /// Canaries of the lower bound on epsilon
    #[arg(long, value_name = "N", default_value_t = 1000)]
    canaries: usize,
    /// Rows to show beside what was rebuilt of them: they are real rows
    #[arg(long, value_name = "N", default_value_t = 0)]
    pictures: usize,
    /// Number from which all chance follows, instead of the job's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Write the report as a web page, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn audit(context: &Context, args: &AuditArgs) -> Result<(), NodeError> {
    let Context { printer, settings } = context;
    let (job, seed) = job(context, args)?;
    let AuditArgs { shadows, targets, mislabelled, canaries, pictures, .. } = *args;
    let effort = Effort { shadows, targets, mislabelled, threads: settings.threads.value };
    let options = Options { effort, canaries, pictures };
    let report = attack(&job, args.seed.unwrap_or(seed), options)?;
    if let Some(path) = &args.html {
        let html = page::html(&job.job.job.name, &report);
        std::fs::write(path, html).map_err(|error| NodeError::file(path, error))?;
    }
    if printer.json {
        printer.result_bytes(&document(&json!(report)));
    } else {
        printer.result(text(&report));
    }
    let broken: Vec<_> = report.broken().map(|verdict| verdict.figure).collect();
    if broken.is_empty() { Ok(()) } else { Err(NodeError::Audit { broken }) }
}

/// The job to attack and its seed.
fn job(context: &Context, args: &AuditArgs) -> Result<(JobFile, u64), NodeError> {
    let (job, seed) = match &args.of {
        None if args.no_privacy => (JobFile::embedded_exact()?, None),
        None => (JobFile::embedded()?, None),
        Some(of) => {
            let path = PathBuf::from(of);
            if path.is_file() {
                (JobFile::parse(&path, &read_text(&path)?)?, None)
            } else {
                let request = RunFolder::open(&context.settings.runs.value, of)?.request()?;
                (request.job()?, Some(request.seed))
            }
        }
    };
    let seed = seed.unwrap_or(job.job.job.seed);
    Ok((if args.no_privacy { job.without_privacy() } else { job }, seed))
}

fn imprint(share: Option<f64>) -> String {
    share.map_or_else(String::new, |share| {
        format!(", {:.1} % by a coordinator that plants an imprint layer", 100.0 * share)
    })
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let _ = match report.claim {
        Some(claim) => writeln!(
            text,
            "claim       epsilon {:.3} at delta {:e}: no membership test has an area above {:.3}\n",
            claim.epsilon(),
            claim.delta(),
            claim.auc()
        ),
        None => writeln!(text, "claim       none: no noise\n"),
    };
    let membership = &report.membership;
    let _ = writeln!(
        text,
        "membership  {} models of {} rows attacked with {} shadow models",
        membership.effort.targets, membership.pool, membership.effort.shadows
    );
    let _ = writeln!(text, "            {:>15}  area            found at 1 % false", "");
    for (name, roc) in page::rocs(report) {
        let _ = writeln!(
            text,
            "            {name:>15}  {:.3} ± {:.3}   {:5.1} %",
            roc.auc,
            2.0 * roc.auc_error,
            100.0 * roc.tpr_at_1_percent
        );
    }
    for (name, leak) in [("a bare step", &report.bare), ("this job", &report.leakage)] {
        let rows = leak.view.owners * leak.view.rows;
        let _ = writeln!(
            text,
            "\nleakage     of {name}, {rows} rows: {:.1} % rebuilt{}",
            100.0 * leak.honest(),
            imprint(leak.imprint)
        );
    }
    if let Some(canaries) = &report.canaries {
        let _ = writeln!(
            text,
            "\ncanaries    {}: epsilon is at least {:.3} (95 %), {:.3} (99.9 %); they can show {:.2}",
            canaries.canaries, canaries.estimate, canaries.gate, canaries.most
        );
    }
    if let Some(inversion) = &report.inversion {
        let _ = writeln!(
            text,
            "\ninversion   images of classes: {:.3} like their own class, {:.3} like others",
            inversion.own, inversion.others
        );
    }
    for verdict in &report.verdicts {
        let word = if verdict.kept { "kept" } else { "BROKEN" };
        let name = verdict.figure.name();
        let _ = writeln!(
            text,
            "\nlimit       {name}: {:.3}, at most {:.3}: {word}",
            verdict.measured, verdict.limit
        );
    }
    text
}
