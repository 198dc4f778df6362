//! The entries of a budget.

use nexus_types::Canonical;
use nexus_types::borsh::{self, BorshDeserialize, BorshSerialize};

use super::{BudgetError, CAPS_MAX, NAME_MAX, OPENED_MAX};
use crate::accounting::{Charge, Cost, Currency, Filter, Plan, Split, Unit};

/// The part of a budget that one purpose may use.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Cap {
    /// The purpose, as jobs name it.
    pub purpose: String,
    /// Millionths of the budget.
    pub millionths: u32,
}

/// What a budget is for.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Terms {
    /// The data set.
    pub data_set: String,
    /// Whose presence is hidden.
    pub unit: Unit,
    /// Which rows.
    pub split: Split,
    /// How it adds up.
    pub currency: Currency,
    /// The limit.
    pub epsilon: f64,
    /// Its delta.
    pub delta: f64,
    /// Index in [`ORDERS`](crate::accounting::rdp::ORDERS) of the order that gets most of delta.
    pub planned_order: u8,
    /// Caps of purposes, in the order of their names.
    pub caps: Vec<Cap>,
}

/// Rounds whose sum was opened with this owner's noise in it, all at the same noise.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Opened {
    /// How many.
    pub rounds: u32,
    /// The deviation that was realised, per unit of sensitivity: at least the plan's, and more
    /// where more owners stayed than the plan counts on.
    pub sigma: f64,
}

impl Opened {
    /// Rounds by their noise, the least first. What has no room counts as if it had less noise.
    pub fn of(mut sigmas: Vec<f64>) -> Vec<Self> {
        sigmas.sort_by(f64::total_cmp);
        let mut kinds: Vec<Self> = Vec::new();
        for sigma in sigmas {
            let full = kinds.len() == OPENED_MAX;
            match kinds.last_mut() {
                Some(last) if full || last.sigma.total_cmp(&sigma).is_eq() => last.rounds += 1,
                _ => kinds.push(Self { rounds: 1, sigma }),
            }
        }
        kinds
    }
}

/// One line of a budget.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum Entry {
    /// The first.
    Open(Terms),
    /// A plan, paid before its first noise is drawn; its number is that of the entry.
    Reserve {
        /// For what.
        purpose: String,
        /// Its rounds and their noise.
        plan: Plan,
        /// At most how much it costs: not less than [`Cost::of_plan`].
        charge: Charge,
    },
    /// The end of a plan.
    Settle {
        /// The number of the entry that reserved it.
        id: u64,
        /// The rounds that happened, at most [`OPENED_MAX`](super::OPENED_MAX) kinds.
        opened: Vec<Opened>,
        /// Rounds that were finalised without this owner: refunded.
        excluded: u32,
        /// What the rounds came to: not less than they cost by themselves, nor more than was
        /// reserved.
        cost: Cost,
    },
}

impl Canonical for Entry {
    const DOMAIN: &'static str = "nexus/budget/entry";
    const VERSION: u8 = 2;
    const MAX_BYTES: usize = 16_384;
}

pub(super) fn check_name(name: &'static str, text: &str) -> Result<(), BudgetError> {
    at_most(name, text.len() as u64, NAME_MAX as u64)
}

pub(super) fn at_most(name: &'static str, got: u64, limit: u64) -> Result<(), BudgetError> {
    if got > limit { Err(BudgetError::TooMuch { name, got, limit }) } else { Ok(()) }
}

impl Terms {
    /// The filter of these terms.
    pub(super) fn filter(&self) -> Result<Filter, BudgetError> {
        check_name("data set name", &self.data_set)?;
        at_most("number of caps", self.caps.len() as u64, CAPS_MAX as u64)?;
        for cap in &self.caps {
            check_name("purpose", &cap.purpose)?;
            at_most("cap in millionths", cap.millionths.into(), 1_000_000)?;
        }
        let planned = usize::from(self.planned_order);
        Ok(Filter::new(self.currency, self.epsilon, self.delta, planned)?)
    }

    /// The cap of a purpose, if it has one.
    pub fn cap(&self, purpose: &str) -> Option<u32> {
        self.caps.iter().filter(|cap| cap.purpose == purpose).map(|cap| cap.millionths).min()
    }
}
