//! `nexus forest`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use nexus_inference::forest::{Forest, ForestError, ForestOptions, LICENCE_NOTE};
use nexus_models::data::{Limits, read_file};
use serde_json::{Value, json};

use super::Context;
use crate::error::NodeError;
use crate::inference::forest::{Asked, ask};
use crate::run::folder::json as document;
use crate::run::store::{read_bounded, write_atomic};

#[derive(Debug, Subcommand)]
pub(super) enum ForestCommand {
    /// Fit a few small decision trees, which vote, to a table
    ///
    /// Numbers become whole numbers from 0 to 255, so that the forest can be asked under TFHE. Its file
    /// holds the smallest and the largest number of each column.
    Fit(FitArgs),
    /// Ask a forest for the class of each row, in the clear or on encrypted rows
    Infer(InferArgs),
}

#[derive(Debug, Args)]
pub(super) struct FitArgs {
    /// The table: all columns but the label are numbers
    table: PathBuf,
    /// The column that says the class
    #[arg(long, value_name = "COLUMN")]
    label: String,
    /// Trees
    #[arg(long, value_name = "N", default_value_t = ForestOptions::default().trees)]
    trees: usize,
    /// The most questions from the root of a tree to a leaf
    #[arg(long, value_name = "D", default_value_t = ForestOptions::default().depth)]
    depth: usize,
    /// What random choices follow from
    #[arg(long, default_value_t = ForestOptions::default().seed)]
    seed: u64,
    /// Write the forest to this file, as JSON
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct InferArgs {
    /// The forest's file
    forest: PathBuf,
    /// A table with the columns that the forest asks for, and the label if it is known
    table: PathBuf,
    /// Encrypt each row: whoever computes does not see it (in builds with the feature `tfhe`)
    #[arg(long)]
    encrypted: bool,
    /// Stop after so many rows
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
}

pub(super) fn forest(context: &Context, command: &ForestCommand) -> Result<(), NodeError> {
    match command {
        ForestCommand::Fit(args) => fit(context, args),
        ForestCommand::Infer(args) => infer(context, args),
    }
}

fn fit(context: &Context, args: &FitArgs) -> Result<(), NodeError> {
    let table = read_file(&args.table, &Limits::default())?;
    let options = ForestOptions { trees: args.trees, depth: args.depth, seed: args.seed };
    let forest = Forest::fit(&table, &args.label, &options)?;
    let bytes = forest.write()?;
    write_atomic(&args.out, &bytes).map_err(|error| NodeError::file(&args.out, error))?;
    let form = forest.form();
    let classes = classes(&forest, &form.rows(&table)?)?;
    let facts = json!({
        "rows": table.rows(), "features": form.features.len(), "classes": form.classes,
        "trees": forest.trees(), "questions": forest.splits(), "bytes": bytes.len(),
        "accuracy": accuracy(&classes, &form.truth(&table)),
    });
    if context.printer.json {
        context.printer.result_bytes(&document(&facts));
    } else {
        context.printer.note("the accuracy is that on the rows it was fitted to");
        context.facts(&facts);
    }
    Ok(())
}

fn infer(context: &Context, args: &InferArgs) -> Result<(), NodeError> {
    let forest = open(&args.forest)?;
    let table = read_file(&args.table, &Limits::default())?;
    let (mut rows, mut truth) = (forest.form().rows(&table)?, forest.form().truth(&table));
    let kept = args.rows.unwrap_or(rows.len());
    rows.truncate(kept);
    truth.truncate(kept);
    let clear = classes(&forest, &rows)?;
    let asked = if args.encrypted { Some(ask(&forest, &rows)?) } else { None };
    let said = asked.as_ref().map_or(&clear, |asked| &asked.classes);
    let mut figures = json!({
        "rows": said.len(),
        "encrypted": args.encrypted,
        "accuracy": accuracy(said, &truth),
    });
    if let Some(asked) = &asked {
        describe(&mut figures, asked, &clear);
    }
    print(context, &forest, said, &truth, &figures);
    Ok(())
}

fn open(path: &Path) -> Result<Forest, NodeError> {
    let bytes = read_bounded(path, Forest::MAX_BYTES as u64);
    let bytes = bytes.map_err(|error| NodeError::file(path, error))?;
    Forest::read(&bytes).map_err(|error| {
        let help = "nexus forest fit makes forests";
        NodeError::usage(format!("{}: {error}", path.display()), help)
    })
}

fn classes(forest: &Forest, rows: &[Vec<u8>]) -> Result<Vec<usize>, ForestError> {
    rows.iter().map(|row| forest.predict(row)).collect()
}

/// The share of rows that are said right, of those whose class is known.
fn accuracy(said: &[usize], truth: &[Option<usize>]) -> Option<f64> {
    let known: Vec<bool> =
        said.iter().zip(truth).filter_map(|(said, truth)| Some(truth.as_ref()? == said)).collect();
    let right = known.iter().filter(|right| **right).count();
    (!known.is_empty()).then(|| right as f64 / known.len() as f64)
}

/// What encryption took, and whether it changed anything.
fn describe(figures: &mut Value, asked: &Asked, clear: &[usize]) {
    let same = |(clear, said): (&usize, &usize)| clear == said;
    let same: Vec<bool> = clear.iter().zip(&asked.classes).map(same).collect();
    figures["same_as_in_the_clear"] = json!(same);
    figures["one_process"] = json!(true);
    figures["seconds"] = json!(asked.seconds);
    figures["key_s"] = json!(asked.key_seconds);
    figures["bytes"] = json!({
        "keys": asked.key_bytes,
        "question": asked.question_bytes,
        "answer": asked.answer_bytes,
    });
    figures["licence"] = json!(LICENCE_NOTE);
}

fn print(
    context: &Context,
    forest: &Forest,
    said: &[usize],
    truth: &[Option<usize>],
    figures: &Value,
) {
    let printer = context.printer;
    let name = |class: usize| &forest.form().classes[class];
    let lines = said.iter().zip(truth).enumerate();
    if printer.json {
        let line = |(row, (said, truth)): (usize, (&usize, &Option<usize>))| json!({ "row": row, "class": name(*said), "truth": truth.map(name) });
        let mut all = figures.clone();
        all["predictions"] = lines.map(line).collect();
        printer.result_bytes(&document(&all));
        return;
    }
    for (row, (said, truth)) in lines {
        let truth = truth.map_or_else(String::new, |truth| format!("\t(is {})", name(truth)));
        let took = figures["seconds"][row].as_f64();
        let took = took.map_or_else(String::new, |seconds| format!("\t{seconds:.2} s"));
        let differs = figures["same_as_in_the_clear"][row] == json!(false);
        let differs = if differs { "\tnot as in the clear" } else { "" };
        printer.result(format_args!("{row}\t{}{truth}{took}{differs}\n", name(*said)));
    }
    if let Some(accuracy) = figures["accuracy"].as_f64() {
        printer.note(format_args!("accuracy {accuracy:.4}"));
    }
    if figures["encrypted"] == json!(true) {
        note_encryption(context, figures);
    }
}

fn note_encryption(context: &Context, figures: &Value) {
    let printer = context.printer;
    let each = |name: &str| figures[name].as_array().map_or(&[][..], Vec::as_slice);
    let same = each("same_as_in_the_clear").iter().filter(|it| **it == json!(true)).count();
    let seconds: f64 = each("seconds").iter().filter_map(Value::as_f64).sum();
    let rows = each("seconds").len();
    printer.note(format_args!("the same class as in the clear: {same} of {rows} rows"));
    let bytes = &figures["bytes"];
    printer.note(format_args!(
        "encrypted: {:.2} s a row; question {} bytes, answer {}; keys {} bytes, once, in {:.2} s",
        seconds / rows.max(1) as f64,
        bytes["question"],
        bytes["answer"],
        bytes["keys"],
        figures["key_s"].as_f64().unwrap_or_default(),
    ));
    printer.note("simulated: client and server were one process, which knew row, key and forest");
    printer.note(format_args!("licence: {LICENCE_NOTE}"));
}
