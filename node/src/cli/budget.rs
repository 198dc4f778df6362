//! `nexus budget`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use nexus_privacy::accounting::{self, Currency, Plan, Split, Unit, rdp};
use nexus_privacy::budget::{Booking, BudgetFile, Cap, Ledger, Terms};
use nexus_types::Digest;
use serde_json::{Value, json};

use super::Context;
use crate::error::NodeError;
use crate::run::folder::json as document;

#[derive(Debug, Subcommand)]
pub(super) enum BudgetCommand {
    /// Compute the epsilon of a plan, or the noise that a target needs
    WhatIf(WhatIfArgs),
    /// Open a budget; what it allows is never changed afterwards
    Set(SetArgs),
    /// Show what a budget allows and what is left
    Show {
        /// The budget's file
        file: PathBuf,
    },
    /// Show every plan that a budget was asked for
    History {
        /// The budget's file
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct WhatIfArgs {
    /// Share of the rows in a round, drawn by secret coins; 1 claims nothing for sampling
    #[arg(long, value_name = "RATE", default_value_t = 1.0)]
    q: f64,
    /// Deviation of the noise per unit of sensitivity
    #[arg(long, required_unless_present = "target_epsilon", conflicts_with = "target_epsilon")]
    sigma: Option<f64>,
    /// Rounds
    #[arg(long)]
    steps: u64,
    /// The delta of the guarantee
    #[arg(long)]
    delta: f64,
    /// Give the least noise for this epsilon instead
    #[arg(long, value_name = "EPSILON")]
    target_epsilon: Option<f64>,
    /// Say also whether this budget allows it
    #[arg(long, value_name = "FILE")]
    budget: Option<PathBuf>,
    /// What the plan is for, where the budget limits purposes
    #[arg(long, value_name = "NAME", default_value = "training")]
    purpose: String,
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// The file to make
    file: PathBuf,
    /// The data set
    #[arg(long, value_name = "NAME")]
    data_set: String,
    /// The limit
    #[arg(long)]
    epsilon: f64,
    /// Its delta, far below one over the number of rows
    #[arg(long)]
    delta: f64,
    /// Whose presence is hidden
    #[arg(long, value_enum, default_value = "record")]
    unit: UnitName,
    /// Which rows
    #[arg(long, value_enum, default_value = "train")]
    split: SplitName,
    /// How plans add up: `gdp` is exact where every row takes part in every round, `rdp` keeps the
    /// gain of sampling
    #[arg(long, value_enum, default_value = "gdp")]
    currency: CurrencyName,
    /// The share of the budget that a purpose may use, 0 to 1; may be given often
    #[arg(long, value_name = "PURPOSE=SHARE", value_parser = cap)]
    cap: Vec<Cap>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UnitName {
    Record,
    Owner,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SplitName {
    Train,
    Test,
    Calibration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CurrencyName {
    Gdp,
    Rdp,
}

fn cap(text: &str) -> Result<Cap, String> {
    let problem = || format!("`{text}` is not of the form purpose=share");
    let (purpose, share) = text.split_once('=').ok_or_else(problem)?;
    let share: f64 = share.parse().map_err(|_| problem())?;
    if !(0.0..=1.0).contains(&share) {
        return Err(format!("a share of {share}, it must be from 0 to 1"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
    let millionths = (share * 1e6).floor() as u32;
    Ok(Cap { purpose: purpose.to_owned(), millionths })
}

pub(super) fn budget(context: &Context, command: &BudgetCommand) -> Result<(), NodeError> {
    match command {
        BudgetCommand::WhatIf(args) => what_if(context, args),
        BudgetCommand::Set(args) => {
            let budget = BudgetFile::create(&args.file, terms(args))?;
            show(context, budget.ledger());
            Ok(())
        }
        BudgetCommand::Show { file } => {
            show(context, BudgetFile::open(file)?.ledger());
            Ok(())
        }
        BudgetCommand::History { file } => {
            history(context, BudgetFile::open(file)?.ledger());
            Ok(())
        }
    }
}

fn what_if(context: &Context, args: &WhatIfArgs) -> Result<(), NodeError> {
    let plan = match (args.target_epsilon, args.sigma) {
        (Some(epsilon), _) => Plan::calibrated(args.q, args.steps, epsilon, args.delta),
        (None, sigma) => {
            Ok(Plan { rate: args.q, sigma: sigma.unwrap_or_default(), steps: args.steps })
        }
    };
    let plan = plan.map_err(accounting_error)?;
    let figure = plan.what_if(args.delta).map_err(accounting_error)?;
    if let Some(file) = &args.budget {
        let budget = BudgetFile::open(file)?;
        let ledger = budget.ledger();
        ledger.check(&args.purpose, &ledger.charge(plan, 0.0, Digest([0; 32]))?)?;
    }
    tell(
        context,
        &json!({
            "epsilon": figure.epsilon, "rdp_epsilon": figure.rdp_epsilon, "delta": args.delta,
            "accountant": figure.accountant, "q": plan.rate, "sigma": plan.sigma, "steps": plan.steps,
        }),
    );
    Ok(())
}

fn accounting_error(error: accounting::AccountingError) -> NodeError {
    nexus_privacy::budget::BudgetError::from(error).into()
}

fn terms(args: &SetArgs) -> Terms {
    let mut caps = args.cap.clone();
    caps.sort_by(|a, b| a.purpose.cmp(&b.purpose));
    // The order that serves most plans of training.
    let planned = rdp::ORDERS.iter().position(|order| *order >= 8.0).unwrap_or_default();
    Terms {
        data_set: args.data_set.clone(),
        unit: match args.unit {
            UnitName::Record => Unit::Record,
            UnitName::Owner => Unit::Owner,
        },
        split: match args.split {
            SplitName::Train => Split::Train,
            SplitName::Test => Split::Test,
            SplitName::Calibration => Split::Calibration,
        },
        currency: match args.currency {
            CurrencyName::Gdp => Currency::Gdp,
            CurrencyName::Rdp => Currency::Rdp,
        },
        epsilon: args.epsilon,
        delta: args.delta,
        planned_order: u8::try_from(planned).unwrap_or_default(),
        caps,
    }
}

fn show(context: &Context, ledger: &Ledger) {
    let terms = ledger.terms();
    let spent = ledger.spent();
    let caps: serde_json::Map<_, _> = terms
        .caps
        .iter()
        .map(|cap| (cap.purpose.clone(), json!(f64::from(cap.millionths) / 1e6)))
        .collect();
    let open = ledger.bookings().iter().filter(|booking| booking.realised.is_none()).count();
    tell(
        context,
        &json!({
            "data_set": terms.data_set, "unit": name(&terms.unit), "split": name(&terms.split),
            "currency": name(&terms.currency), "epsilon": terms.epsilon, "delta": terms.delta,
            "spent": spent, "left": (terms.epsilon - spent).max(0.0), "caps": caps,
            "plans": ledger.bookings().len(), "unsettled": open,
        }),
    );
}

fn history(context: &Context, ledger: &Ledger) {
    let delta = ledger.terms().delta;
    let plan = |booking: &Booking| {
        json!({
            "id": booking.id, "purpose": booking.purpose, "rounds": booking.rounds,
            "plan": booking.charge.plan.to_string(), "mechanism": name(&booking.charge.mechanism),
            "settled": booking.realised.map(|it| json!({ "rounds": it.rounds, "refunded": it.excluded })),
        })
    };
    let plans: Vec<Value> = ledger.bookings().iter().map(plan).collect();
    if context.printer.json {
        let all = json!({ "plans": plans, "spent": ledger.spent(), "delta": delta });
        context.printer.result_bytes(&document(&all));
        return;
    }
    for booking in ledger.bookings() {
        let state = booking.realised.map_or_else(
            || "not settled: all of it counts".to_owned(),
            |it| format!("{} rounds, {} refunded", it.rounds, it.excluded),
        );
        let Booking { id, purpose, rounds, .. } = booking;
        context.printer.result(format_args!("{id}\t{purpose}\t{rounds} rounds planned\t{state}\n"));
    }
    context.printer.result(format_args!("spent\t{:.4} at delta {delta:e}\n", ledger.spent()));
}

fn name(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// A document, or its fields a line each.
fn tell(context: &Context, facts: &Value) {
    if context.printer.json {
        context.printer.result_bytes(&document(facts));
        return;
    }
    context.facts(facts);
}
