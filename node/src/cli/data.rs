//! `nexus data`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use nexus_models::data::{Limits, Table, read_file, write_csv};
use serde_json::json;

use super::Context;
use crate::error::NodeError;
use crate::overlap::{Learn, Overlap, Side, overlap};
use crate::run::folder::json as document;
use crate::run::store::write_atomic;

#[derive(Debug, Subcommand)]
pub(super) enum DataCommand {
    /// Find out what two tables have in common, by private set intersection
    ///
    /// The owner of the first table learns which of its rows the second has, or only how many;
    /// the owner of the second learns the number of rows of the first, and nothing else. Here
    /// both are this machine, which sees both tables.
    Overlap(OverlapArgs),
}

#[derive(Debug, Args)]
pub(super) struct OverlapArgs {
    /// The table of the party that learns the answer
    own: PathBuf,
    /// The other party's table
    other: PathBuf,
    /// The column that rows are matched by
    #[arg(long, value_name = "COLUMN")]
    on: String,
    /// Its name in the other table [default: the same]
    #[arg(long, value_name = "COLUMN")]
    other_on: Option<String>,
    /// Learn no more than how many rows match
    #[arg(long, conflicts_with_all = ["sum", "out"])]
    count: bool,
    /// Learn how many match, and the sum of this column of the other table over them
    #[arg(long, value_name = "COLUMN", conflicts_with = "out")]
    sum: Option<String>,
    /// Write the own rows that match to this file, as CSV
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn data(context: &Context, command: &DataCommand) -> Result<(), NodeError> {
    let DataCommand::Overlap(args) = command;
    let limits = Limits::default();
    let (own, other) = (read_file(&args.own, &limits)?, read_file(&args.other, &limits)?);
    let other_on = args.other_on.as_ref().unwrap_or(&args.on);
    let sides = [Side { table: &own, on: &args.on }, Side { table: &other, on: other_on }];
    let learn = match &args.sum {
        Some(column) => Learn::Sum(column),
        None if args.count => Learn::Count,
        None => Learn::Rows,
    };
    let found = overlap(sides[0], sides[1], learn)?;
    if let Some((path, rows)) = args.out.as_deref().zip(found.matching.as_deref()) {
        write_rows(path, &own, rows)?;
    }
    tell(context, &found);
    Ok(())
}

fn write_rows(path: &Path, table: &Table, rows: &[usize]) -> Result<(), NodeError> {
    let mut bytes = Vec::new();
    write_csv(&table.select(rows), &mut bytes)?;
    write_atomic(path, &bytes).map_err(|error| NodeError::file(path, error))
}

fn tell(context: &Context, found: &Overlap) {
    let printer = context.printer;
    let Overlap { rows: [own, other], count, sum, bytes: [sent, received], .. } = found;
    if printer.json {
        printer.result_bytes(&document(&json!({
            "rows": own, "other_rows": other, "matching": count, "sum": sum,
            "bytes_sent": sent, "bytes_received": received, "simulated": ["network"],
        })));
        return;
    }
    printer.note("both parties are this machine: it sees both tables");
    printer.result(format_args!("rows\t{own}\nother rows\t{other}\nmatching\t{count}\n"));
    if let Some(sum) = sum {
        printer.result(format_args!("sum\t{sum}\n"));
    }
    printer.result(format_args!("bytes sent\t{sent}\nbytes received\t{received}\n"));
}
