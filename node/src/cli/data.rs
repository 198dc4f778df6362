//! `nexus data`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use nexus_models::data::{Limits, Table, read_file, write_csv};
use nexus_privacy::budget::BudgetFile;
use serde_json::{Map, Value, json};

use super::Context;
use crate::describe::{Answer, Description, Owner, Question, Terms, describe};
use crate::error::NodeError;
use crate::overlap::{Learn, Overlap, Side, overlap};
use crate::run::folder::json as document;
use crate::run::store::write_atomic;
use crate::total::{Plan, Total, total};

/// What the quartiles are called.
const QUARTILES: [&str; 3] = ["lower quartile", "median", "upper quartile"];

#[derive(Debug, Subcommand)]
pub(super) enum DataCommand {
    /// Find out what two tables have in common, by private set intersection
    ///
    /// The owner of the first table learns which of its rows the second has, or only how many;
    /// the owner of the second learns the number of rows of the first, and nothing else. Here
    /// both are this machine, which sees both tables.
    Overlap(OverlapArgs),
    /// Tell what tables hold, under differential privacy: counts, means, deviations, quartiles
    ///
    /// Each owner's budget pays for it. The sums of three owners and more are masked and opened as
    /// one, and each adds a share of the noise; fewer add all of it each. Here all owners are this
    /// machine, which sees all tables.
    Describe(DescribeArgs),
    /// Add up tables cell by cell, encrypted under a key that nobody holds
    ///
    /// Owners encrypt their cells, a coordinator adds ciphertexts, and some members of a committee open
    /// the total, never a single table. Here all of them are this machine, which sees all tables.
    Total(TotalArgs),
}

#[derive(Debug, Args)]
pub(super) struct TotalArgs {
    /// The owners' tables: the same columns and rows, all cells numbers
    #[arg(required = true, num_args = 2.., value_name = "TABLE")]
    tables: Vec<PathBuf>,
    /// The largest magnitude of a cell, which everyone may know
    #[arg(long)]
    bound: f64,
    /// Digits behind the point that are kept
    #[arg(long, value_name = "N", default_value_t = 0)]
    decimals: u32,
    /// Members of the committee
    #[arg(long, value_name = "N", default_value_t = 5)]
    members: u16,
    /// Members that it takes to open the total
    #[arg(long, value_name = "T", default_value_t = 3)]
    threshold: u16,
    /// Members that open it, counted from 0 [default: the first ones]
    #[arg(long, value_name = "MEMBER,..", value_delimiter = ',')]
    by: Vec<u16>,
    /// Write the total to this file, as CSV
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// The owners' tables
    #[arg(required = true, value_name = "TABLE")]
    tables: Vec<PathBuf>,
    /// The budget that pays for a table, in the order of the tables (`nexus budget set` makes one)
    #[arg(long, required = true, value_name = "FILE")]
    budget: Vec<PathBuf>,
    /// Count, mean and deviation of a column of numbers, with bounds that everyone may know
    #[arg(long, value_name = "COLUMN=LOW..HIGH", value_parser = number)]
    number: Vec<(String, [f64; 2])>,
    /// How often these values occur in a column
    #[arg(long, value_name = "COLUMN=VALUE,..", value_parser = choice)]
    count: Vec<(String, Vec<String>)>,
    /// Find the quartiles of the numbers too: about twice the noise
    #[arg(long)]
    quartiles: bool,
    /// What it may cost each row
    #[arg(long)]
    epsilon: f64,
    /// The delta of that, far below one over the number of rows
    #[arg(long, default_value_t = 1e-6)]
    delta: f64,
    /// What it is for, where the budgets limit purposes
    #[arg(long, value_name = "NAME", default_value = "statistics")]
    purpose: String,
    /// Rows that there are at most, over all tables
    #[arg(long, value_name = "ROWS", default_value_t = 100_000)]
    rows_at_most: u32,
    /// Owners that may pool what they know with whoever adds up
    #[arg(long, value_name = "OWNERS", default_value_t = 1)]
    colluding: u32,
    /// Let every owner add all of the noise, so that nothing rests on the others
    #[arg(long)]
    local: bool,
}

fn number(text: &str) -> Result<(String, [f64; 2]), String> {
    let problem = || format!("`{text}` is not of the form column=low..high");
    let (column, bounds) = text.rsplit_once('=').ok_or_else(problem)?;
    let (low, high) = bounds.split_once("..").ok_or_else(problem)?;
    let parsed = [low, high].map(|bound| bound.trim().parse().map_err(|_| problem()));
    let [low, high] = parsed;
    Ok((column.to_owned(), [low?, high?]))
}

fn choice(text: &str) -> Result<(String, Vec<String>), String> {
    let (column, values) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not of the form column=value,.."))?;
    Ok((column.to_owned(), values.split(',').map(|value| value.trim().to_owned()).collect()))
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
    match command {
        DataCommand::Overlap(args) => find_overlap(context, args),
        DataCommand::Describe(args) => tell_about(context, args),
        DataCommand::Total(args) => add_up(context, args),
    }
}

fn add_up(context: &Context, args: &TotalArgs) -> Result<(), NodeError> {
    let tables = args.tables.iter().map(|path| read_file(path, &Limits::default()));
    let tables = tables.collect::<Result<Vec<_>, _>>()?;
    let by = if args.by.is_empty() { (0..args.threshold).collect() } else { args.by.clone() };
    let TotalArgs { bound, decimals, members, threshold, .. } = *args;
    let plan = Plan { bound, decimals, members, threshold, by };
    let Total { table, upload, share } = total(&tables, &plan)?;
    let mut bytes = Vec::new();
    write_csv(&table, &mut bytes)?;
    write_atomic(&args.out, &bytes).map_err(|error| NodeError::file(&args.out, error))?;
    let facts = json!({
        "tables": tables.len(), "rows": table.rows(), "columns": table.columns().len(),
        "members": members, "threshold": threshold, "opened_by": plan.by,
        "bytes_per_owner": upload, "bytes_per_share": share,
        "simulated": ["network", "committee"],
    });
    if context.printer.json {
        context.printer.result_bytes(&document(&facts));
    } else {
        context.printer.note("owners and committee are this machine: it sees all tables");
        context.facts(&facts);
    }
    Ok(())
}

fn tell_about(context: &Context, args: &DescribeArgs) -> Result<(), NodeError> {
    let questions = args.questions();
    if questions.is_empty() {
        return Err(NodeError::usage("nothing is asked", "give a --number or a --count"));
    }
    let (tables, budgets) = (args.tables.len(), args.budget.len());
    if tables != budgets {
        let problem = format!("{tables} tables and {budgets} budgets");
        return Err(NodeError::usage(problem, "give each table a --budget, in their order"));
    }
    let open = |(table, budget): (&PathBuf, &PathBuf)| {
        let table = read_file(table, &Limits::default())?;
        Ok(Owner { table, budget: BudgetFile::open(budget)? })
    };
    let owners = args.tables.iter().zip(&args.budget).map(open);
    let owners = owners.collect::<Result<Vec<_>, NodeError>>()?;
    let terms = Terms {
        questions,
        epsilon: args.epsilon,
        delta: args.delta,
        purpose: args.purpose.clone(),
        rows: args.rows_at_most,
        colluding: args.colluding,
        local: args.local,
    };
    let found = describe(owners, &terms)?;
    if context.printer.json {
        context.printer.result_bytes(&document(&as_json(&terms, &found)));
    } else {
        context.printer.note("all owners are this machine: it sees all tables");
        print_description(context, &terms, &found);
    }
    Ok(())
}

impl DescribeArgs {
    fn questions(&self) -> Vec<Question> {
        let numbers = self.number.iter().map(|(column, bounds)| Question::Number {
            column: column.clone(),
            bounds: *bounds,
            quartiles: self.quartiles,
        });
        let counts = self.count.iter().map(|(column, values)| Question::Choice {
            column: column.clone(),
            values: values.clone(),
        });
        numbers.chain(counts).collect()
    }
}

fn as_json(terms: &Terms, found: &Description) -> Value {
    let answer = |(question, answer): (&Question, &Answer)| match answer {
        Answer::Number { count, moment, quartiles } => json!({
            "column": question.column(), "count": count, "mean": moment.mean,
            "deviation": moment.deviation, "quartiles": quartiles,
        }),
        Answer::Choice(counts) => {
            let counts: Map<_, _> =
                counts.iter().map(|(value, count)| (value.clone(), json!(count))).collect();
            json!({ "column": question.column(), "counts": counts })
        }
    };
    json!({
        "columns": terms.questions.iter().zip(&found.answers).map(answer).collect::<Vec<_>>(),
        "noise": found.noise, "joint": found.joint, "epsilon": terms.epsilon, "delta": terms.delta,
        "unit": "record", "simulated": ["network"],
    })
}

fn print_description(context: &Context, terms: &Terms, found: &Description) {
    let printer = context.printer;
    for (question, answer) in terms.questions.iter().zip(&found.answers) {
        let line = |name: &str, value: f64, digits| {
            let column = question.column();
            printer.result(format_args!("{column}\t{name}\t{value:.digits$}\n"));
        };
        match answer {
            Answer::Number { count, moment, quartiles } => {
                line("count", *count, 0);
                line("mean", moment.mean, 4);
                line("deviation", moment.deviation, 4);
                let quartiles = QUARTILES.iter().zip(quartiles.iter().flatten());
                quartiles.for_each(|(name, value)| line(name, *value, 4));
            }
            Answer::Choice(counts) => {
                for (value, count) in counts {
                    line(value, *count, 0);
                }
            }
        }
    }
    let Terms { epsilon, delta, .. } = terms;
    let how = if found.joint { "in the total of all owners" } else { "by each owner by itself" };
    let noise = found.noise;
    printer.result(format_args!("noise\t{noise:.1} in every count, added {how}\n"));
    printer.result(format_args!("charged\tepsilon {epsilon} at delta {delta:e} to each budget\n"));
}

fn find_overlap(context: &Context, args: &OverlapArgs) -> Result<(), NodeError> {
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
