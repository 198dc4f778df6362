//! What a release of noise is paid with.

use nexus_types::Digest;

use crate::accounting::Unit;

/// The right to one release, reserved in a budget before: by value, once.
///
/// Rust drops what is not used, so a ticket that is dropped is *spent*: budgets reserve first and
/// settle afterwards.
#[must_use = "what was reserved for it is spent"]
#[derive(Debug)]
pub struct BudgetTicket {
    plan: Digest,
    unit: Unit,
    multiplier: f64,
}

impl BudgetTicket {
    /// A ticket of `plan` for one release with noise of at least `multiplier` sensitivities: for
    /// budgets that have reserved it.
    pub(crate) const fn issue(plan: Digest, unit: Unit, multiplier: f64) -> Self {
        Self { plan, unit, multiplier }
    }

    /// The plan it was reserved for.
    pub const fn plan(&self) -> Digest {
        self.plan
    }

    /// What it protects.
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// The width of a continuous Gaussian that was paid for, in sensitivities.
    pub const fn multiplier(&self) -> f64 {
        self.multiplier
    }
}
