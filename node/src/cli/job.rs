//! `nexus job`.

use clap::Subcommand;
use nexus_types::Round;
use serde_json::json;

use super::Context;
use crate::error::NodeError;
use crate::run::folder::{RunFolder, json as document};
use crate::run::verify::{Verified, verify};

#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// Check the sums that a run recorded, and that they make its model
    Verify {
        /// The run's name
        run: String,
    },
}

pub(super) fn job(context: &Context, command: &JobCommand) -> Result<(), NodeError> {
    let JobCommand::Verify { run } = command;
    let folder = RunFolder::open(&context.settings.runs.value, run)?;
    let verified = verify(&folder)?;
    if verified.model == Some(false) {
        return Err(NodeError::OtherModel { id: run.clone() });
    }
    if context.printer.json {
        context.printer.result_bytes(&document(&facts(run, &verified)));
    } else {
        tell(context, &verified);
    }
    Ok(())
}

fn facts(run: &str, verified: &Verified) -> serde_json::Value {
    let sums = verified.sums.iter().map(|sum| {
        let owners: Vec<u32> = sum.survivors.iter().map(|owner| owner.0).collect();
        json!({
            "round": sum.round, "owners": owners, "sum_audited": sum.sum_audited,
            "fingerprints": sum.root.map(|root| root.to_string()),
            "attempts_before": sum.attempts_before,
        })
    });
    json!({
        "run_id": run, "suite": verified.suite, "sums": sums.collect::<Vec<_>>(),
        "model_follows": verified.model, "terms": verified.terms.to_string(),
    })
}

fn tell(context: &Context, verified: &Verified) {
    let printer = context.printer;
    for sum in &verified.sums {
        let what = if sum.round == Round(0) {
            "statistics".to_owned()
        } else {
            format!("round {}", sum.round)
        };
        let audited = sum.root.map_or_else(
            || "sum not audited: the messages were not kept".to_owned(),
            |root| format!("the listed fingerprints add up, for owners to compare: {root}"),
        );
        let owners = sum.survivors.len();
        printer.result(format_args!(
            "{what}\tsigned, certified and opened for {owners} owners; {audited}\n"
        ));
    }
    printer.result(format_args!("terms\t{}\n", verified.terms));
    let ended = verified.model.is_some();
    let model = if ended {
        "the one that these sums make, bit by bit"
    } else {
        "not there: the run has not ended"
    };
    printer.result(format_args!("model\t{model}\n"));
}
