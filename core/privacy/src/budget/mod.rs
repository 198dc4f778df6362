//! Budgets: what may still be released.

mod ticket;

pub use ticket::{BudgetTicket, Unit};
