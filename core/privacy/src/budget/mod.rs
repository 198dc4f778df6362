//! Budgets: what may be spent on a split of a data set, and what has been.
//!
//! A budget is a list of entries in which each carries the hash of the one before: it opens with
//! its terms; a plan is *reserved* before any noise is drawn; the rounds that really happened are
//! *settled* afterwards: the ledger computes their cost from their noise, which must not be below
//! the plan's, so a settlement is never above what was reserved. A reservation that is never settled (a
//! crash) stays spent. [`Ledger`] is that as a pure function of entries and bytes; [`BudgetFile`]
//! keeps it on disk under an exclusive lock.
//!
//! # What the file withstands
//!
//! A budget appears under its name when its first entry and head are on the disk: a crash before
//! that leaves files that the next attempt replaces. Beside the log lies its head: the number of entries and the hash of the last, replaced
//! atomically after the log was flushed. A write that was cut short by a crash lies beyond the
//! head and is cut off when the file is opened: it was never acknowledged, so no noise was drawn
//! for it. Whatever the head covers must be there unchanged, or the file is refused with the
//! number of the entry. Hashes are no signatures: someone who can replace log and head by older
//! copies of both is noticed only by comparing [`Ledger::head`] with a copy kept elsewhere.

mod entry;
mod file;
mod ledger;
#[cfg(test)]
mod tests;
mod ticket;

pub use entry::{Cap, Entry, Opened, Terms};
pub use file::BudgetFile;
pub use ledger::{Booking, Head, Ledger, Realised, Replayed};
pub use ticket::BudgetTicket;

pub use crate::accounting::Unit;

use std::path::PathBuf;

use nexus_types::{CodecError, Digest};

use crate::accounting::{AccountingError, Currency, Split};

/// Most entries of one budget.
pub const ENTRIES_MAX: u64 = 10_000;

/// Longest name of a data set or purpose, in bytes.
pub const NAME_MAX: usize = 64;

/// Most purposes with a cap of their own.
pub const CAPS_MAX: usize = 64;

/// Most kinds of rounds, by their noise, of one settlement.
pub const OPENED_MAX: usize = 512;

/// Why a budget refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// The plan does not fit.
    #[error(
        "the plan would bring epsilon to {needed:.4}, the budget is {limit:.4} at delta \
         {delta:e}: {:.4} too much", needed - limit
    )]
    DoesNotFit {
        /// Epsilon after the plan; infinite if it cannot be paid in this currency.
        needed: f64,
        /// Epsilon spent so far.
        spent: f64,
        /// The limit.
        limit: f64,
        /// The limit's delta.
        delta: f64,
    },
    /// The plan fits the budget, but not the part of it that its purpose may use.
    #[error("purpose {purpose}: the plan exceeds its cap of {millionths} millionths of the budget")]
    CapExceeded {
        /// The purpose.
        purpose: String,
        /// Its cap.
        millionths: u32,
    },
    /// A reservation costs less than its plan does.
    #[error("the charge is below what the plan costs")]
    BelowPlan,
    /// The charge is for another unit, split or currency.
    #[error("the budget is for {budget:?}, the charge for {charge:?}")]
    OtherTerms {
        /// Terms of the budget.
        budget: (Unit, Split, Currency),
        /// Terms of the charge.
        charge: (Unit, Split, Currency),
    },
    /// A settlement says more than was reserved, or less than was handed out.
    #[error("reservation {id}: {problem}")]
    BadSettlement {
        /// The reservation.
        id: u64,
        /// What is wrong.
        problem: SettlementProblem,
    },
    /// A text, count or share outside its limit.
    #[error("{name} is {got}, at most {limit} is allowed")]
    TooMuch {
        /// What.
        name: &'static str,
        /// What was given.
        got: u64,
        /// The limit.
        limit: u64,
    },
    /// An entry at a place where it cannot be.
    #[error("entry {entry}: a budget opens once, and first")]
    OutOfPlace {
        /// Its number, from 0.
        entry: u64,
    },
    /// The log is not what its head vouches for.
    #[error("entry {entry}: {problem}")]
    Tampered {
        /// The first entry that is wrong, from 0.
        entry: u64,
        /// What is wrong with it.
        problem: Damage,
    },
    /// Another process has the budget open.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The log.
        path: PathBuf,
    },
    /// An earlier write failed, so what is on disk is not known; open the budget anew.
    #[error("an earlier write failed; open the budget anew")]
    Poisoned,
    /// A figure could not be computed.
    #[error(transparent)]
    Accounting(#[from] AccountingError),
    /// A value has no encoding.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The disk refused.
    #[error("{}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl BudgetError {
    /// Whether a plan was refused because there is not enough left.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::DoesNotFit { .. } | Self::CapExceeded { .. })
    }
}

/// What is wrong with a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettlementProblem {
    /// It is not open: unknown, or settled before.
    #[error("it is not open")]
    NotOpen,
    /// The realised rounds cost more than the plan: their noise is below its noise.
    #[error("the realised rounds cost more than was reserved")]
    AboveReserve,
    /// The settlement says less than its rounds cost.
    #[error("the rounds cost more than is said")]
    BelowRounds,
    /// More kinds of rounds than a settlement has room for.
    #[error("more than {OPENED_MAX} kinds of rounds")]
    TooManyKinds,
    /// More rounds than the plan has.
    #[error("more rounds than were reserved")]
    TooManyRounds,
    /// A ticket was handed out for a round that is said not to have happened.
    #[error("tickets were handed out for more rounds than are settled")]
    RoundsMissing,
}

/// What is wrong with an entry on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The log ends before it.
    #[error("is missing: the log was cut off")]
    Missing,
    /// Its bytes are not those that were written.
    #[error("has been changed")]
    Changed,
    /// It is whole, but breaks the rules of a budget.
    #[error("breaks the rules of a budget")]
    AgainstTheRules,
    /// There is a log and no head, or a head that is no head.
    #[error("the head that vouches for it is missing or damaged")]
    NoHead,
}

/// A plan that has been paid for. Dropped without settlement it stays spent in full.
#[must_use = "what is not settled stays spent in full"]
#[derive(Debug)]
pub struct Reservation {
    id: u64,
    rounds: u32,
    issued: u32,
    plan: Digest,
    unit: Unit,
    multiplier: f64,
}

impl Reservation {
    /// Its number in the budget.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many rounds have had a ticket.
    pub fn issued(&self) -> u32 {
        self.issued
    }

    /// The ticket of the latest round once more: for another attempt at a sum of which the first
    /// attempt can no longer be opened. Masked sums are such: whoever helps to open one sum of a round
    /// helps with no other.
    pub fn again(&self) -> Option<BudgetTicket> {
        (self.issued > 0).then(|| BudgetTicket::issue(self.plan, self.unit, self.multiplier))
    }

    /// The ticket of the next round; none after the last.
    pub fn next_round(&mut self) -> Option<BudgetTicket> {
        (self.issued < self.rounds).then(|| {
            self.issued += 1;
            BudgetTicket::issue(self.plan, self.unit, self.multiplier)
        })
    }
}
