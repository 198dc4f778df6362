//! The command line.

mod audit;
mod budget;
mod config;
mod data;
mod doctor;
mod forest;
mod infer;
mod inspect;
mod job;
mod key;
mod model;
mod new;
mod run;
mod style;
mod sweep;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::FalseyValueParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde_json::Value;

use crate::error::NodeError;
use crate::printer::{Color, Printer};
use crate::settings::Settings;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default());

/// Train models together without handing over data.
#[derive(Debug, Parser)]
#[command(name = "nexus", version, styles = STYLES, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 the job failed, 2 usage, configuration or input, \
    3 a record or proof that does not check, \
    4 a privacy budget does not allow it, 5 a deadline passed.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Settings file instead of `nexus.toml` here and of the user
    #[arg(long, global = true, value_name = "FILE", env = "NEXUS_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of runs [default: runs]
    #[arg(long, global = true, value_name = "DIR", env = "NEXUS_RUNS")]
    runs: Option<PathBuf>,
    /// Threads to train with [default: one per processor]
    #[arg(short = 'j', long, global = true, value_name = "N", env = "NEXUS_THREADS")]
    threads: Option<usize>,
    /// Print the result as one JSON document
    #[arg(long, global = true, env = "NEXUS_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
    /// Say less; twice: no warnings either
    #[arg(short, long, global = true, action = ArgAction::Count)]
    quiet: u8,
    /// Say more on standard error; up to three times
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", env = "NEXUS_COLOR")]
    color: Color,
    /// Show no progress bar
    #[arg(long, global = true, env = "NEXUS_NO_PROGRESS", value_parser = FalseyValueParser::new())]
    no_progress: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model across owners, all of them on this machine
    Run(run::RunArgs),
    /// Make a folder with a job and its data to start from
    New(new::NewArgs),
    /// Check what a job did
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Attack what a job trains and sends, and hold the outcome against what it promises
    Audit(audit::AuditArgs),
    /// Keep the privacy budget of a data set, or ask what a plan would cost
    #[command(subcommand)]
    Budget(budget::BudgetCommand),
    /// Work with tables
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Seal files under a key that a committee shares
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Look at models
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Use a model, in the clear or on encrypted rows
    Infer(infer::InferArgs),
    /// Answer encrypted questions to a model over HTTP
    Serve(infer::ServeArgs),
    /// Small decision trees that vote, in the clear or on encrypted rows
    #[command(subcommand)]
    Forest(forest::ForestCommand),
    /// Say what a file is and what is in it
    Inspect(inspect::InspectArgs),
    /// Check this machine
    Doctor,
    /// Show settings, or the schemas of the files
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// What every command is given.
struct Context {
    printer: Printer,
    settings: Settings,
}

impl Context {
    /// Prints the fields of a document, a line each.
    fn facts(&self, facts: &Value) {
        for (name, value) in facts.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            self.printer.result(format_args!("{name}\t{value}\n"));
        }
    }
}

/// Refuses to make a folder that is there already.
fn absent(folder: &Path) -> Result<(), NodeError> {
    if !folder.exists() {
        return Ok(());
    }
    let problem = format!("{} is there already", folder.display());
    Err(NodeError::usage(problem, "give the name of a folder that is not"))
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    Printer::set_color(cli.global.color);
    let Global { json, quiet, no_progress, verbose, .. } = cli.global;
    let printer = Printer { json, quiet, no_progress: no_progress || verbose > 0 };
    start_log(verbose);
    let done = dispatch(cli, printer).and_then(|()| match Printer::failure() {
        Some(source) => Err(NodeError::Output { source }),
        None => Ok(()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            printer.error(render(&error));
            ExitCode::from(code)
        }
    }
}

fn dispatch(cli: Cli, printer: Printer) -> Result<(), NodeError> {
    let Global { config, runs, threads, .. } = cli.global;
    let load = || Settings::load(config.as_deref(), runs, threads);
    let context = || load().map(|settings| Context { printer, settings });
    match cli.command {
        Command::Run(args) => run::run(&context()?, &args),
        Command::New(args) => new::new(&context()?, &args),
        Command::Job(command) => job::job(&context()?, &command),
        Command::Audit(args) => audit::audit(&context()?, &args),
        Command::Budget(command) => budget::budget(&context()?, &command),
        Command::Data(command) => data::data(&context()?, &command),
        Command::Key(command) => key::key(&context()?, &command),
        Command::Model(command) => model::model(&context()?, &command),
        Command::Infer(args) => infer::infer(&context()?, &args),
        Command::Serve(args) => infer::serve(&context()?, &args),
        Command::Forest(command) => forest::forest(&context()?, &command),
        Command::Inspect(args) => inspect::inspect(&context()?, &args),
        Command::Doctor => doctor::doctor(&context()?),
        Command::Config(command) => {
            config::config(&context()?, &command);
            Ok(())
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "nexus", &mut script);
            printer.result_bytes(&script);
            Ok(())
        }
        Command::Man => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|e| NodeError::file("nexus.1".as_ref(), e))?;
            printer.result_bytes(&page);
            Ok(())
        }
    }
}

fn render(error: &NodeError) -> String {
    let theme = if Printer::colors_errors() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(100);
    match handler.render_report(&mut text, error) {
        Ok(()) => text,
        Err(_) => format!("error: {error}\n"),
    }
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(Printer::colors_errors())
        .without_time()
        .init();
}
