//! `nexus infer` and `nexus serve`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use nexus_he::circuit::Limits;
use nexus_inference::{Compiled, Description, Prediction, Server};
use nexus_models::data::{Cell, Limits as TableLimits, Table, read_file};
use nexus_mpc::{Identity, PublicKey};
use nexus_types::{Rng as _, SystemClock};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Context;
use crate::error::NodeError;
use crate::inference::remote::Remote;
use crate::inference::serve::{Serving, serve as listen};
use crate::inference::{Answering, Answers, ask, ask_sealed};
use crate::random::SystemRng;
use crate::run::folder::{RunFolder, json as document};
use crate::run::store::{read_bounded, write_secret};
use crate::run::trained::{Encrypted, Trained, truth};

#[derive(Debug, Args)]
pub(super) struct InferArgs {
    /// The run that trained the model; with --server, the model's hash does, too
    model: String,
    /// A table of rows as the model sees them, a number a column, and the truth in one more if it is
    /// known; or `test`, the rows that the run kept back
    input: String,
    /// Encrypt each row: whoever computes does not see it
    #[arg(long)]
    encrypted: bool,
    /// Encrypt the model's weights, too: whoever computes sees neither rows nor model
    #[arg(long, requires = "encrypted", conflicts_with = "server")]
    seal_model: bool,
    /// Ask this server instead of computing here
    #[arg(long, value_name = "URL", requires = "encrypted")]
    server: Option<String>,
    /// The key that the server must have; without it, whose answers they are is told
    #[arg(long, value_name = "KEY", requires = "server")]
    server_key: Option<PublicKey>,
    /// Stop after so many rows
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Whether many rows go into one question: if that is less work, unless told; a server decides
    /// itself
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_value = "auto",
        default_missing_value = "always",
        conflicts_with = "server"
    )]
    batch: Batch,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Batch {
    /// If that is less work for so many rows.
    Auto,
    /// Always.
    Always,
    /// Never: one row, one question.
    Never,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The run that trained the model
    model: String,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Users whose keys are kept; who was not there for longest sends them again
    #[arg(long, value_name = "N", default_value_t = 16)]
    users: usize,
    /// Take many rows of one user in a question, a ciphertext for each number of a row
    #[arg(long)]
    batch: bool,
    /// A file with the secret of the key that answers are signed with, made if there is none; a fresh key
    /// if not set
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Take messages without a signature, too: for users of SEAL alone
    #[arg(long)]
    unsigned: bool,
    /// All threads on one question at a time: answers come sooner, and fewer of them in all
    #[arg(long)]
    together: bool,
}

/// Rows and, where they are known, what they are.
struct Rows {
    width: usize,
    values: Vec<f32>,
    truth: Vec<Option<String>>,
}

impl Rows {
    fn each(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    fn keep(&mut self, rows: Option<usize>) {
        let kept = rows.unwrap_or(usize::MAX).min(self.truth.len());
        self.truth.truncate(kept);
        self.values.truncate(kept * self.width);
    }
}

pub(super) fn infer(context: &Context, args: &InferArgs) -> Result<(), NodeError> {
    let trained = trained(context, args)?;
    let mut remote = args.server.as_deref().map(|url| Remote::new(url, args.server_key));
    let described = remote.as_mut().map(Answering::description).transpose()?;
    if let Some(description) = &described {
        expected(args, trained.as_ref(), description)?;
    }
    let width = described.as_ref().map(|it| it.terms.inputs as usize);
    let width = width.or(trained.as_ref().map(|it| it.network().inputs())).unwrap_or_default();
    let mut rows = rows(args, trained.as_ref(), width)?;
    rows.keep(args.rows);
    let clear = trained.as_ref().map(|it| in_the_clear(it, &rows)).transpose()?;
    let answers = match (&mut remote, &trained) {
        (Some(remote), _) => Some(ask(remote, rows.each())?),
        (None, Some(trained)) if args.seal_model => {
            let Encrypted { compiled, model, .. } = trained.compiled()?;
            let plan = compiled.plan(&Limits::default())?;
            Some(ask_sealed(&plan, (model, trained.task()), threads(context), rows.each())?)
        }
        (None, Some(trained)) if args.encrypted => {
            let encrypted = trained.compiled()?;
            let batch = match args.batch {
                Batch::Always => true,
                Batch::Never => false,
                Batch::Auto => rows_at_once(&encrypted.compiled, rows.truth.len()),
            };
            let server = server(trained, &encrypted, 1, batch)?;
            let mut server = &server.on(threads(context))?;
            Some(ask(&mut server, rows.each())?)
        }
        _ => None,
    };
    let predictions = answers.as_ref().map(|answers| &answers.predictions).or(clear.as_ref());
    let predictions = predictions.map_or(&[][..], Vec::as_slice);
    let figures = figures(args, &rows, predictions, clear.as_deref(), answers.as_ref());
    print(context, &rows, predictions, &figures);
    if let (Some(key), None) = (remote.as_ref().and_then(Remote::key), args.server_key) {
        context
            .printer
            .note(format_args!("the answers are of {key}; --server-key holds it to that"));
    }
    Ok(())
}

/// The run, unless the model is a hash and a server has it.
fn trained(context: &Context, args: &InferArgs) -> Result<Option<Trained>, NodeError> {
    match RunFolder::open(&context.settings.runs.value, &args.model) {
        Ok(folder) => Trained::open(folder).map(Some),
        Err(_) if args.server.is_some() && args.model.len() == 64 => Ok(None),
        Err(error) => Err(error),
    }
}

/// That the server has the model that was asked for.
fn expected(
    args: &InferArgs,
    trained: Option<&Trained>,
    description: &Description,
) -> Result<(), NodeError> {
    let wanted = trained.map(Trained::served).transpose()?;
    let wanted = wanted.map_or(args.model.clone(), |it| it.to_string());
    let got = description.model.to_string();
    if wanted == got {
        return Ok(());
    }
    let problem = format!("the server has the model {got}, not {wanted}");
    Err(NodeError::usage(problem, "ask another server, or for its model"))
}

fn rows(args: &InferArgs, trained: Option<&Trained>, width: usize) -> Result<Rows, NodeError> {
    if args.input == "test" && !Path::new("test").is_file() {
        let data = trained.and_then(Trained::test).ok_or_else(|| {
            NodeError::usage("there are no rows that were kept back", "name a table of rows")
        })?;
        let truth = (0..data.rows()).map(|row| truth(data, row)).collect();
        return Ok(Rows { width, values: data.features().to_vec(), truth });
    }
    from_table(&read_file(args.input.as_ref(), &TableLimits::default())?, width)
}

/// The rows of a table as a model of `width` inputs sees them, one after the other.
pub(super) fn values(path: &Path, width: usize) -> Result<Vec<f32>, NodeError> {
    Ok(from_table(&read_file(path, &TableLimits::default())?, width)?.values)
}

fn from_table(table: &Table, width: usize) -> Result<Rows, NodeError> {
    let columns = table.columns();
    if columns.len() != width && columns.len() != width + 1 {
        let (name, got) = (table.name(), columns.len());
        let problem =
            format!("{name}: {got} columns; the model takes {width}, and one for the truth");
        return Err(NodeError::usage(problem, "give the rows as the model sees them"));
    }
    let mut values = Vec::with_capacity(width * table.rows());
    for row in 0..table.rows() {
        for column in &columns[..width] {
            let value = match column.cell(row) {
                Cell::Number(value) if value.abs() <= f64::from(f32::MAX) => value,
                cell @ (Cell::Number(_) | Cell::Null | Cell::Text(_)) => {
                    let (place, name) = (table.place(row), column.name());
                    let problem = format!("{place}: `{}` in column {name}", cell.text());
                    return Err(NodeError::usage(
                        problem,
                        "a number of single precision is needed",
                    ));
                }
            };
            #[expect(clippy::cast_possible_truncation, reason = "models compute with f32")]
            values.push(value as f32);
        }
    }
    let truth = |row| columns.get(width).map(|column| column.cell(row).text().into_owned());
    Ok(Rows { width, values, truth: (0..table.rows()).map(truth).collect() })
}

fn in_the_clear(trained: &Trained, rows: &Rows) -> Result<Vec<Prediction>, NodeError> {
    let outputs = trained.outputs(&rows.values)?.into_iter();
    outputs.map(|outputs| Ok(trained.task().predict(outputs)?)).collect()
}

fn server(
    trained: &Trained,
    encrypted: &Encrypted,
    users: usize,
    batch: bool,
) -> Result<Server, NodeError> {
    let Encrypted { compiled, model, .. } = encrypted;
    let limits = Limits::default();
    let task = trained.task().clone();
    if batch {
        return Ok(Server::batched(&compiled.batched(&limits)?, *model, task, users)?);
    }
    Ok(Server::new(&compiled.plan(&limits)?, *model, task, users)?)
}

/// Whether so many rows are less work together than one by one, and fit.
fn rows_at_once(compiled: &Compiled, rows: usize) -> bool {
    let limits = Limits::default();
    let Ok(batch) = compiled.batched(&limits) else { return false };
    let Ok(single) = compiled.plan(&limits) else { return true };
    let questions = rows.div_ceil(batch.terms().vectors());
    let together = questions.saturating_mul(batch.cost().transforms);
    together < rows.saturating_mul(single.cost().transforms)
}

/// What the user lets this program have.
fn threads(context: &Context) -> NonZeroUsize {
    NonZeroUsize::new(context.settings.threads.value).unwrap_or(NonZeroUsize::MIN)
}

/// Shares, times and sizes.
fn figures(
    args: &InferArgs,
    rows: &Rows,
    predictions: &[Prediction],
    clear: Option<&[Prediction]>,
    answers: Option<&Answers>,
) -> Value {
    let share = |pairs: &mut dyn Iterator<Item = bool>| {
        let (count, good) =
            pairs.fold((0_u32, 0_u32), |(n, good), it| (n + 1, good + u32::from(it)));
        (count > 0).then(|| f64::from(good) / f64::from(count))
    };
    let known = rows
        .truth
        .iter()
        .zip(predictions)
        .filter(|(truth, it)| truth.is_some() && it.class.is_some());
    let accuracy = share(&mut known.map(|(truth, it)| *truth == it.class));
    let mut figures = json!({
        "rows": predictions.len(),
        "encrypted": args.encrypted,
        "accuracy": accuracy,
    });
    let Some(answers) = answers else { return figures };
    let agreement = clear.and_then(|clear| {
        let same = clear.iter().zip(predictions).filter(|(clear, _)| clear.class.is_some());
        share(&mut same.map(|(clear, it)| clear.class == it.class))
    });
    let distance = clear.map(|clear| {
        let outputs = clear.iter().flat_map(|it| &it.outputs);
        let pairs = outputs.zip(predictions.iter().flat_map(|it| &it.outputs));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    });
    let [p50, p95] = answers.percentiles();
    figures["agreement"] = json!(agreement);
    figures["largest_distance"] = json!(distance);
    figures["one_process"] = json!(args.server.is_none());
    figures["rows_of_a_question"] = json!(answers.rows);
    figures["rows_per_s"] = json!(answers.rows_per_second());
    figures["latency_s"] = json!({ "p50": p50, "p95": p95 });
    figures["key_s"] = json!(answers.key_seconds);
    figures["bytes"] = json!({
        "keys": answers.key_bytes,
        "question": answers.question_bytes,
        "answer": answers.answer_bytes,
        "weights": answers.weight_bytes,
    });
    figures
}

fn print(context: &Context, rows: &Rows, predictions: &[Prediction], figures: &Value) {
    let printer = context.printer;
    let lines = predictions.iter().zip(&rows.truth).enumerate();
    if printer.json {
        let line = |(row, (it, truth)): (usize, (&Prediction, &Option<String>))| {
            let mut line = json!(it);
            line["row"] = json!(row);
            line["truth"] = json!(truth);
            line
        };
        let mut all = figures.clone();
        all["predictions"] = lines.map(line).collect();
        printer.result_bytes(&document(&all));
        return;
    }
    for (row, (it, truth)) in lines {
        let said = it.class.clone().unwrap_or_else(|| it.outputs[0].to_string());
        let sure = it.probability.map_or_else(String::new, |it| format!("\t{it:.4}"));
        let truth = truth.as_ref().map_or_else(String::new, |it| format!("\t(is {it})"));
        printer.result(format_args!("{row}\t{said}{sure}{truth}\n"));
    }
    let number = |of: &Value, digits: usize| of.as_f64().map(|it| format!("{it:.digits$}"));
    if let Some(accuracy) = number(&figures["accuracy"], 4) {
        printer.note(format_args!("accuracy {accuracy}"));
    }
    let Some(p50) = figures["latency_s"]["p50"].as_f64() else { return };
    if let Some(agreement) = number(&figures["agreement"], 4) {
        let distance = number(&figures["largest_distance"], 6).unwrap_or_default();
        printer.note(format_args!(
            "the same class as in the clear: {agreement}; numbers at most {distance} apart"
        ));
    }
    let bytes = &figures["bytes"];
    printer.note(format_args!(
        "encrypted: p50 {:.1} ms a question of up to {} rows, {:.1} rows/s; question {} bytes, answer {}; \
         keys {} bytes, once",
        1e3 * p50,
        figures["rows_of_a_question"],
        figures["rows_per_s"].as_f64().unwrap_or_default(),
        bytes["question"],
        bytes["answer"],
        bytes["keys"],
    ));
    if let Some(bytes) = bytes["weights"].as_u64() {
        printer.note(format_args!("the model's weights were encrypted, too: {bytes} bytes, once"));
    }
    if figures["one_process"] == json!(true) {
        printer
            .note("simulated: client and server were one process, which knew row, key and model");
    }
}

pub(super) fn serve(context: &Context, args: &ServeArgs) -> Result<(), NodeError> {
    let clock = SystemClock::default();
    let folder = RunFolder::open(&context.settings.runs.value, &args.model)?;
    let trained = Trained::open(folder)?;
    let server = server(&trained, &trained.compiled()?, args.users, args.batch)?;
    let all = threads(context);
    let (server, at_once) = if args.together { (server.on(all)?, 1) } else { (server, all.get()) };
    let (hash, printer) = (server.description().model, context.printer);
    let identity = args
        .identity
        .as_deref()
        .map_or_else(|| Ok(Identity::generate(&mut SystemRng::default())), identity_in)?;
    let key = identity.public();
    let ready = |address| {
        let seconds = clock.seconds();
        printer.note(format_args!("model {hash}, ready after {seconds:.2} s"));
        printer.note(format_args!("answers are signed with {key}"));
        printer.result(format_args!("http://{address}\n"));
    };
    let serving = Serving { address: args.listen, threads: at_once, unsigned: args.unsigned };
    listen(server, identity, serving, ready)
}

/// The key in a file, which only its owner may read; a fresh one if there is no file.
fn identity_in(path: &Path) -> Result<Identity, NodeError> {
    let wrong = |error| NodeError::file(path, error);
    let mut secret = Zeroizing::new([0; 32]);
    if path.exists() {
        let bytes = Zeroizing::new(read_bounded(path, 32).map_err(wrong)?);
        let bad =
            || NodeError::usage(format!("{}: no secret of 32 bytes", path.display()), "remove it");
        secret.copy_from_slice(bytes.as_slice().get(..32).ok_or_else(bad)?);
    } else {
        SystemRng::default().fill_bytes(&mut *secret);
        write_secret(path, &*secret).map_err(wrong)?;
    }
    Ok(Identity::from_secret(*secret))
}
