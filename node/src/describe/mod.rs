//! What tables hold, told under differential privacy: counts, means, deviations and quartiles over the
//! rows of one owner or of several.
//!
//! Every row has one vector, with a part for each question; an owner adds up the vectors of its rows,
//! each clipped to the norm that such vectors have at most, and adds noise. Three owners and more
//! add a share of the noise each and mask their sums, so that only the total is opened; fewer owners, or
//! those that ask for it, add all of the noise by themselves. Each owner's budget pays before noise is drawn.
//!
//! Columns, bounds and values are those of the question, never read from the rows: what a table
//! really holds would be told by them. Even how many rows there are is an answer with noise in it.

mod question;
mod sum;

use nexus_models::data::{Column, Table};
use nexus_mpc::aggregation::secagg_plus::limit;
use nexus_mpc::aggregation::{Refusal, SumError};
use nexus_privacy::accounting::{AccountingError, Plan, Unit};
use nexus_privacy::budget::{BudgetError, BudgetFile, BudgetTicket, Opened};
use nexus_privacy::flow::{
    Clipped, Examples, FlowError, Label, LabelError, Principal, Private, Released,
};
use nexus_privacy::mechanisms::MechanismError;
use nexus_privacy::mechanisms::gaussian::Gaussian;
use nexus_privacy::mechanisms::grid::{Grid, Room};
use nexus_privacy::mechanisms::shares::{LOST, NoisePlan, effective};
use nexus_types::{Digest, OwnerId};

pub use self::question::{Answer, Question};
use self::question::{Part, columns, within};
use self::sum::Sum;
use crate::random::SystemRng;

/// Fewest owners that a sum hides.
pub const JOINT: usize = 3;
/// Magnitude of a sum that nobody masks, in grid steps.
const ALONE_LIMIT: i64 = 1 << 50;

/// Why there is no description.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescribeError {
    /// There is no such column.
    #[error("{table} has no column `{column}`; it has: {}", known.join(", "))]
    NoColumn {
        /// The table.
        table: String,
        /// The name.
        column: String,
        /// The columns there are.
        known: Vec<String>,
    },
    /// A table is larger than the sum has room for.
    #[error("{table} has more than {limit} rows, the number that there is said to be at most")]
    Rows {
        /// The table.
        table: String,
        /// The number.
        limit: u32,
    },
    /// A budget for something else than rows.
    #[error("the budget of {table} hides {unit:?}s, a description hides records")]
    Unit {
        /// The table.
        table: String,
        /// What the budget hides.
        unit: Unit,
    },
    /// A budget refuses.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// A setting that cannot be accounted for.
    #[error(transparent)]
    Accounting(#[from] AccountingError),
    /// A setting that cannot be.
    #[error(transparent)]
    Mechanism(#[from] MechanismError),
    /// An owner's sum may not leave.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// The purpose is no name.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// There is no sum.
    #[error(transparent)]
    Sum(#[from] SumError),
    /// A party refused a message of another.
    #[error("a party {0}")]
    Refusal(#[from] Refusal),
}

/// A table and what pays for it.
#[derive(Debug)]
pub struct Owner {
    /// The table.
    pub table: Table,
    /// Its budget.
    pub budget: BudgetFile,
}

/// How a description is made. All of it is public.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What is asked.
    pub questions: Vec<Question>,
    /// What it may cost every row, at most, with this delta.
    pub epsilon: f64,
    /// See `epsilon`.
    pub delta: f64,
    /// What it is for, as the budgets name it.
    pub purpose: String,
    /// Rows that there are at most, over all tables.
    pub rows: u32,
    /// Owners that may pool what they know with whoever adds up.
    pub colluding: u32,
    /// Whether every owner adds all of the noise, so that nothing rests on the others.
    pub local: bool,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The answers, in the order of the questions.
    pub answers: Vec<Answer>,
    /// Whether the owners' sums were opened as one.
    pub joint: bool,
    /// The deviation of the noise in every count.
    pub noise: f64,
    /// The noise that the owners paid for, in sensitivities.
    pub multiplier: f64,
}

/// Asks the owners.
///
/// # Errors
/// [`DescribeError`]. From the first budget that has paid on, what was paid stays spent.
pub fn describe(owners: Vec<Owner>, terms: &Terms) -> Result<Description, DescribeError> {
    let parts = terms.questions.iter().map(Question::part).collect::<Result<Vec<_>, _>>()?;
    let plan = Plan::calibrated(1.0, 1, terms.epsilon, terms.delta)?;
    let count = u32::try_from(owners.len()).unwrap_or(u32::MAX);
    let noise = Noise::new(&parts, plan, count, terms)?;
    let hash = Digest::of("nexus/describe/terms", format!("{terms:?}").as_bytes());
    for owner in &owners {
        owner.check(terms, plan, noise.failure(), hash)?;
    }
    let mut sum = None;
    if noise.share.is_some() {
        sum = Some(Sum::new(hash, count, noise.grid.dimension())?);
    }
    let mut total = vec![0; noise.grid.dimension()];
    for (id, owner) in OwnerId::all(count).zip(owners) {
        let Owner { table, mut budget } = owner;
        let mut paid = budget.reserve(&terms.purpose, plan, noise.failure(), hash)?;
        // A plan of one round has a ticket.
        let Some(ticket) = paid.next_round() else { continue };
        let clipped = clipped(&table, &parts, terms, &noise)?;
        match &mut sum {
            Some(sum) => noise.contribute(sum, id, clipped, ticket)?,
            None => noise.add_released(clipped, ticket, &mut total)?,
        }
        budget.settle(paid, &Opened::of(vec![noise.multiplier]), 0)?;
    }
    if let Some(mut sum) = sum {
        total = Released::open(&mut sum, &Label::public())?.into_value();
    }
    let noisy = noise.grid.to_real(&total);
    let mut rest = noisy.as_slice();
    let answer = |part: &Part| {
        let (own, others) = rest.split_at(part.dimension());
        rest = others;
        part.answer(own)
    };
    Ok(Description {
        answers: parts.iter().map(answer).collect::<Result<_, _>>()?,
        joint: noise.share.is_some(),
        noise: noise.deviation(count),
        multiplier: noise.multiplier,
    })
}

impl Owner {
    fn check(
        &self,
        terms: &Terms,
        plan: Plan,
        failure: f64,
        hash: Digest,
    ) -> Result<(), DescribeError> {
        let (table, ledger) = (&self.table, self.budget.ledger());
        columns(table, &terms.questions)?;
        if table.rows() > terms.rows as usize {
            return Err(DescribeError::Rows { table: table.name().to_owned(), limit: terms.rows });
        }
        if ledger.terms().unit != Unit::Record {
            let (table, unit) = (table.name().to_owned(), ledger.terms().unit);
            return Err(DescribeError::Unit { table, unit });
        }
        Ok(ledger.check(&terms.purpose, &ledger.charge(plan, failure, hash)?)?)
    }
}

/// How sums are rounded and noised.
#[derive(Debug)]
struct Noise {
    grid: Grid,
    /// All of the noise.
    whole: Gaussian,
    /// An owner's share, if the owners' sums are opened as one.
    share: Option<NoisePlan>,
    /// Its width in sensitivities, as it really is.
    multiplier: f64,
}

impl Noise {
    fn new(parts: &[Part], plan: Plan, owners: u32, terms: &Terms) -> Result<Self, DescribeError> {
        let joint = !terms.local && owners as usize >= JOINT;
        let norm = within(parts.iter().map(Part::norm_sq).sum())?.norm();
        let dimension = parts.iter().map(Part::dimension).sum();
        let limit = if joint { limit(owners) } else { ALONE_LIMIT };
        let room = Room { rows: f64::from(terms.rows), sigma: plan.sigma, limit };
        let grid = Grid::new(norm, dimension, room)?;
        let sensitivity = grid.sensitivity().l2();
        let sigma = (plan.sigma * sensitivity).hypot(LOST.sqrt()) * (1.0 + 1e-12);
        let whole = Gaussian::at_least(sigma)?;
        let shared = || NoisePlan::new(sigma, owners, terms.colluding);
        let share = joint.then(shared).transpose()?;
        let realised = share.as_ref().map_or(Ok(whole.sigma()), |plan| plan.realised(owners))?;
        Ok(Self { grid, whole, share, multiplier: effective(realised) / sensitivity })
    }

    fn failure(&self) -> f64 {
        self.grid.sensitivity().failure()
    }

    /// Of each value of the total, in real units.
    fn deviation(&self, owners: u32) -> f64 {
        let each = self.share.as_ref().map_or(&self.whole, NoisePlan::share).sigma();
        each * f64::from(owners).sqrt() / self.grid.scale()
    }

    fn contribute(
        &self,
        sum: &mut Sum,
        id: OwnerId,
        clipped: Clipped,
        ticket: BudgetTicket,
    ) -> Result<(), DescribeError> {
        let Some(plan) = &self.share else { return Ok(()) };
        let noised = clipped.noise(ticket, &self.grid, plan, &mut SystemRng::default())?;
        sum.contribute(id, noised)
    }

    fn add_released(
        &self,
        clipped: Clipped,
        ticket: BudgetTicket,
        total: &mut [i64],
    ) -> Result<(), DescribeError> {
        let rng = &mut SystemRng::default();
        let released = clipped.noise_alone(ticket, &self.grid, &self.whole, rng)?.release();
        total.iter_mut().zip(released.value()).for_each(|(sum, value)| *sum += value);
        Ok(())
    }
}

/// The sum of the vectors of a table's rows.
fn clipped(
    table: &Table,
    parts: &[Part],
    terms: &Terms,
    noise: &Noise,
) -> Result<Clipped, DescribeError> {
    let label = Label::owned(Principal::named(table.name()), []).for_purposes([&*terms.purpose])?;
    let columns = columns(table, &terms.questions)?;
    let (mut failed, vector) = (None, vec![0.0; noise.grid.dimension()]);
    let rows = Rows { columns, parts, left: 0..table.rows(), vector, failed: &mut failed };
    let clipped = Private::new(rows, label.into()).clip_rows(noise.grid.clip());
    failed.map_or(Ok(clipped), |error| Err(error.into()))
}

/// A table as the vectors of its rows, one after the other.
struct Rows<'a> {
    columns: Vec<&'a Column>,
    parts: &'a [Part],
    left: std::ops::Range<usize>,
    vector: Vec<f64>,
    failed: &'a mut Option<MechanismError>,
}

impl Rows<'_> {
    fn fill(&mut self, row: usize) -> Result<(), MechanismError> {
        self.vector.fill(0.0);
        let mut rest = self.vector.as_mut_slice();
        for (part, column) in self.parts.iter().zip(&self.columns) {
            let (own, others) = rest.split_at_mut(part.dimension());
            part.add(column.cell(row), own)?;
            rest = others;
        }
        Ok(())
    }
}

impl Examples for Rows<'_> {
    fn dimension(&self) -> usize {
        self.vector.len()
    }

    fn next_norms_sq(&mut self) -> Option<Vec<f32>> {
        let row = self.left.next()?;
        self.fill(row).map_err(|error| *self.failed = Some(error)).ok()?;
        #[expect(clippy::cast_possible_truncation, reason = "norms are f32")]
        let norm_sq = self.vector.iter().map(|x| x * x).sum::<f64>() as f32;
        Some(vec![norm_sq])
    }

    fn add_weighted(&mut self, weights: &[f32], sums: &mut [f64]) {
        for (sum, x) in sums.iter_mut().zip(&self.vector) {
            *sum += f64::from(weights[0]) * x;
        }
    }
}

#[cfg(test)]
mod tests;
