//! `nexus config`: settings and schemas.

use clap::{Subcommand, ValueEnum};
use schemars::schema_for;

use super::Context;
use crate::job::Job;
use crate::run::folder::json;
use crate::settings::{Origin, SettingsFile};
use crate::simulation::Faults;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Show every setting and where it comes from
    Show,
    /// Print the JSON schema of a file
    Schema {
        /// Which file
        #[arg(default_value = "job")]
        of: Document,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Document {
    /// The job file
    Job,
    /// A fault file
    Faults,
    /// `nexus.toml`
    Settings,
    /// `summary.json`, and what `run --json` prints
    Summary,
}

pub(super) fn config(context: &Context, command: &ConfigCommand) {
    let printer = context.printer;
    let settings = &context.settings;
    match command {
        ConfigCommand::Show if printer.json => printer.result_bytes(&json(settings)),
        ConfigCommand::Show => {
            let runs = (settings.runs.value.display().to_string(), &settings.runs.origin);
            let threads = (settings.threads.value.to_string(), &settings.threads.origin);
            for (name, (value, origin)) in [("runs", runs), ("threads", threads)] {
                let origin = match origin {
                    Origin::Given => "command line or environment".to_owned(),
                    Origin::File(path) => path.display().to_string(),
                    Origin::Default => "default".to_owned(),
                };
                printer.result(format_args!("{name}\t{value}\t{origin}\n"));
            }
        }
        ConfigCommand::Schema { of } => {
            let schema = match of {
                Document::Job => schema_for!(Job),
                Document::Faults => schema_for!(Faults),
                Document::Settings => schema_for!(SettingsFile),
                Document::Summary => crate::summary::json_schema(),
            };
            printer.result_bytes(&json(&schema));
        }
    }
}
