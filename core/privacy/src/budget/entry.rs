//! The entries of a budget.

use nexus_types::Canonical;
use nexus_types::borsh::{self, BorshDeserialize, BorshSerialize};

use super::{BudgetError, CAPS_MAX, NAME_MAX};
use crate::accounting::{Charge, Cost, Currency, Filter, Split, Unit};

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

/// What really happened under a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Realised {
    /// Rounds whose sum was opened with this owner's noise in it.
    pub rounds: u32,
    /// Rounds that were finalised without this owner: refunded.
    pub excluded: u32,
    /// The cost of [`Self::rounds`] at the noise that was realised.
    pub cost: Cost,
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
        /// How many rounds it has.
        rounds: u32,
        /// At most how much it costs.
        charge: Charge,
    },
    /// The end of a plan.
    Settle {
        /// The number of the entry that reserved it.
        id: u64,
        /// What it came to.
        realised: Realised,
    },
}

impl Canonical for Entry {
    const DOMAIN: &'static str = "nexus/budget/entry";
    const VERSION: u8 = 1;
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
