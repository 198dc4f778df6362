//! The rules of a budget, and its bytes, without a disk.
//!
//! ```text
//! log   ┌────────┬─────────┬───────────────────────────┐ one for each entry
//!       │ length │ payload │ hash(hash before, payload)│
//!       │ 4 bytes│         │          32 bytes         │
//!       └────────┴─────────┴───────────────────────────┘
//! head  entries (8 bytes) · log bytes (8) · last hash (32) · hash of these (32)
//! ```

use nexus_types::{Canonical, Digest};

use super::entry::{at_most, check_name};
use super::{
    BudgetError, Damage, ENTRIES_MAX, Entry, OPENED_MAX, Opened, SettlementProblem, Terms,
};
use crate::accounting::{Charge, Cost, Filter, Mechanism, Plan};

const CHAIN: &str = "cipher-nexus budget chain v1";
const HEAD: &str = "cipher-nexus budget head v1";
const HASH_BYTES: usize = 32;
const LENGTH_BYTES: usize = 4;
const HEAD_BYTES: usize = 48;

/// By how much the noise of a round, relative to the plan's, may have been rounded down: far less
/// than amounts are rounded up.
const ROUNDING: f64 = 1e-13;

/// Where a log ends: what is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub entries: u64,
    /// Length of the log.
    pub bytes: u64,
    /// Hash of the last entry and all before it.
    pub hash: Digest,
}

impl Head {
    /// Of an empty log.
    pub fn genesis() -> Self {
        Self { entries: 0, bytes: 0, hash: Digest::of(CHAIN, &[]) }
    }

    /// Its bytes on disk.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.entries.to_le_bytes().to_vec();
        bytes.extend(self.bytes.to_le_bytes());
        bytes.extend(self.hash.0);
        bytes.extend(Digest::of(HEAD, &bytes).0);
        bytes
    }

    /// Reads [`Self::encode`]'s bytes; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, check) = bytes.split_at_checked(HEAD_BYTES)?;
        if check != Digest::of(HEAD, body).0 {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(body.get(at..at + 8)?.try_into().ok()?));
        let hash = Digest(body.get(16..)?.try_into().ok()?);
        Some(Self { entries: number(0)?, bytes: number(8)?, hash })
    }
}

/// What really happened under a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Realised {
    /// Rounds whose sum was opened with this owner's noise in it.
    pub rounds: u32,
    /// Rounds that were finalised without this owner: refunded.
    pub excluded: u32,
    /// The cost of [`Self::rounds`] at the noise that was realised.
    pub cost: Cost,
}

/// One plan in the books.
#[derive(Clone, Debug, PartialEq)]
pub struct Booking {
    /// The number of the entry that reserved it.
    pub id: u64,
    /// For what.
    pub purpose: String,
    /// Rounds of the plan.
    pub rounds: u32,
    /// The plan.
    pub plan: Plan,
    /// What was reserved.
    pub charge: Charge,
    /// What it came to; `None` while it is open or after a crash: then all of it is spent.
    pub realised: Option<Realised>,
}

impl Booking {
    /// What counts.
    pub fn cost(&self) -> Cost {
        self.realised.map_or(self.charge.cost, |realised| realised.cost)
    }

    /// What rounds under this plan came to.
    fn realised(&self, opened: &[Opened], excluded: u32) -> Result<Realised, SettlementProblem> {
        if opened.len() > OPENED_MAX {
            return Err(SettlementProblem::TooManyKinds);
        }
        let rounds: u64 = opened.iter().map(|kind| u64::from(kind.rounds)).sum();
        if rounds + u64::from(excluded) > self.rounds.into() {
            return Err(SettlementProblem::TooManyRounds);
        }
        let mut cost = Cost::ZERO;
        for kind in opened.iter().filter(|kind| kind.rounds > 0) {
            if kind.sigma.is_nan() || kind.sigma < self.plan.sigma * (1.0 - ROUNDING) {
                return Err(SettlementProblem::AboveReserve);
            }
            let part = Plan { sigma: kind.sigma, steps: kind.rounds.into(), ..self.plan };
            let part = Cost::of_plan(part).map_err(|_| SettlementProblem::AboveReserve)?;
            cost = cost.and(&part);
        }
        if rounds > 0 {
            cost.delta_add = self.charge.cost.delta_add;
        }
        // Each kind was rounded up; together they cannot cost more than the plan.
        let cost = cost.at_most(&self.charge.cost);
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        Ok(Realised { rounds, excluded, cost })
    }
}

/// A budget in memory.
#[derive(Clone, Debug)]
pub struct Ledger {
    terms: Terms,
    filter: Filter,
    bookings: Vec<Booking>,
    head: Head,
}

/// A ledger read back, and how much of the log it covers.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The ledger; `None` if not even its opening is whole.
    pub ledger: Option<Ledger>,
    /// Bytes after which the log is a write that was cut short.
    pub whole: u64,
}

impl Ledger {
    /// A new budget, and the bytes to begin its log with.
    ///
    /// # Errors
    /// [`BudgetError::TooMuch`], [`BudgetError::Accounting`].
    pub fn open(terms: Terms) -> Result<(Self, Vec<u8>), BudgetError> {
        let filter = terms.filter()?;
        let mut ledger = Self { terms, filter, bookings: Vec::new(), head: Head::genesis() };
        let bytes = ledger.frame(&Entry::Open(ledger.terms.clone()))?;
        Ok((ledger, bytes))
    }

    /// What it is for.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Every plan so far.
    pub fn bookings(&self) -> &[Booking] {
        &self.bookings
    }

    /// The end of its log.
    pub fn head(&self) -> Head {
        self.head
    }

    /// All that counts as spent.
    pub fn total(&self) -> Cost {
        self.bookings.iter().fold(Cost::ZERO, |sum, booking| sum.and(&booking.cost()))
    }

    /// Epsilon spent, for display.
    pub fn spent(&self) -> f64 {
        self.filter.spent(&self.total())
    }

    /// The charge of a plan under the terms of this budget.
    ///
    /// # Errors
    /// [`BudgetError::Accounting`].
    pub fn charge(&self, plan: Plan, delta_add: f64, hash: Digest) -> Result<Charge, BudgetError> {
        let Terms { unit, split, currency, .. } = self.terms;
        let mechanism =
            if plan.rate < 1.0 { Mechanism::SampledGaussian } else { Mechanism::Gaussian };
        let cost = Cost::of_plan(plan)?.with_delta(delta_add);
        Ok(Charge { unit, split, currency, cost, mechanism, plan: hash })
    }

    /// Whether a plan would fit, and by how much it would not.
    ///
    /// # Errors
    /// [`BudgetError::OtherTerms`], [`BudgetError::DoesNotFit`], [`BudgetError::CapExceeded`],
    /// [`BudgetError::TooMuch`].
    pub fn check(&self, purpose: &str, charge: &Charge) -> Result<(), BudgetError> {
        check_name("purpose", purpose)?;
        let budget = (self.terms.unit, self.terms.split, self.terms.currency);
        let asked = (charge.unit, charge.split, charge.currency);
        if budget != asked {
            return Err(BudgetError::OtherTerms { budget, charge: asked });
        }
        let after = self.total().and(&charge.cost);
        if !self.filter.admits(&after) {
            let (limit, delta) = (self.filter.epsilon(), self.filter.delta());
            let needed = self.filter.spent(&after);
            // The figure shows the loss of epsilon; a charge of delta can be what is too much.
            let needed = if needed > limit { needed } else { f64::INFINITY };
            return Err(BudgetError::DoesNotFit { needed, spent: self.spent(), limit, delta });
        }
        let Some(millionths) = self.terms.cap(purpose) else { return Ok(()) };
        let same = self.bookings.iter().filter(|booking| booking.purpose == purpose);
        let of_purpose = same.fold(charge.cost, |sum, booking| sum.and(&booking.cost()));
        if !self.filter.admits_part(&of_purpose, millionths) {
            return Err(BudgetError::CapExceeded { purpose: purpose.to_owned(), millionths });
        }
        Ok(())
    }

    /// Adds an entry; the bytes are to be appended to the log. On error nothing has changed.
    ///
    /// # Errors
    /// As [`Self::check`], and [`BudgetError::BadSettlement`], [`BudgetError::OutOfPlace`].
    pub fn append(&mut self, entry: Entry) -> Result<Vec<u8>, BudgetError> {
        at_most("number of entries", self.head.entries + 1, ENTRIES_MAX)?;
        let id = self.head.entries;
        let settled = match &entry {
            Entry::Open(_) => return Err(BudgetError::OutOfPlace { entry: id }),
            Entry::Reserve { purpose, plan, charge } => {
                check_plan(*plan, charge)?;
                self.check(purpose, charge)?;
                None
            }
            Entry::Settle { id, opened, excluded, cost } => {
                let settled = self.settled(*id, opened, *excluded, cost);
                Some(settled.map_err(|problem| BudgetError::BadSettlement { id: *id, problem })?)
            }
        };
        let bytes = self.frame(&entry)?;
        if let Some((at, realised)) = settled {
            self.bookings[at].realised = Some(realised);
        } else if let Entry::Reserve { purpose, plan, charge } = entry {
            let rounds = u32::try_from(plan.steps).unwrap_or(u32::MAX);
            self.bookings.push(Booking { id, purpose, rounds, plan, charge, realised: None });
        }
        Ok(bytes)
    }

    /// The entry that ends a reservation. Its cost is that of the rounds at their noise.
    ///
    /// # Errors
    /// [`BudgetError::BadSettlement`].
    pub fn settlement(
        &self,
        id: u64,
        opened: &[Opened],
        excluded: u32,
    ) -> Result<Entry, BudgetError> {
        let realised = self.open_booking(id).and_then(|at| {
            let booking = &self.bookings[at];
            booking.realised(opened, excluded)
        });
        let realised = realised.map_err(|problem| BudgetError::BadSettlement { id, problem })?;
        Ok(Entry::Settle { id, opened: opened.to_vec(), excluded, cost: realised.cost })
    }

    fn open_booking(&self, id: u64) -> Result<usize, SettlementProblem> {
        let open = |booking: &Booking| booking.id == id && booking.realised.is_none();
        self.bookings.iter().position(open).ok_or(SettlementProblem::NotOpen)
    }

    /// Which booking a settlement ends, and with what.
    fn settled(
        &self,
        id: u64,
        opened: &[Opened],
        excluded: u32,
        cost: &Cost,
    ) -> Result<(usize, Realised), SettlementProblem> {
        let at = self.open_booking(id)?;
        let booking = &self.bookings[at];
        let realised = booking.realised(opened, excluded)?;
        if !cost.is_within(&booking.charge.cost) {
            return Err(SettlementProblem::AboveReserve);
        }
        if !realised.cost.nearly().is_within(cost) {
            return Err(SettlementProblem::BelowRounds);
        }
        Ok((at, Realised { cost: *cost, ..realised }))
    }

    fn frame(&mut self, entry: &Entry) -> Result<Vec<u8>, BudgetError> {
        let payload = entry.encode()?;
        let hash = chained(&self.head.hash, &payload);
        let mut bytes = (payload.len() as u64).to_le_bytes()[..LENGTH_BYTES].to_vec();
        bytes.extend(&payload);
        bytes.extend(hash.0);
        let entries = self.head.entries + 1;
        self.head = Head { entries, bytes: self.head.bytes + bytes.len() as u64, hash };
        Ok(bytes)
    }

    /// Reads a log. What `head` covers must be whole and by the rules; what comes after it is
    /// taken as far as it is both.
    ///
    /// # Errors
    /// [`BudgetError::Tampered`] with the number of the first entry that is wrong.
    pub fn replay(log: &[u8], head: &Head) -> Result<Replayed, BudgetError> {
        let mut ledger: Option<Self> = None;
        loop {
            let at = ledger.as_ref().map_or_else(Head::genesis, |ledger| ledger.head);
            if at.entries == head.entries && at != *head {
                let entry = at.entries.saturating_sub(1);
                return Err(BudgetError::Tampered { entry, problem: Damage::Changed });
            }
            let rest = usize::try_from(at.bytes).ok().and_then(|start| log.get(start..));
            let next = read(rest.unwrap_or_default(), &at.hash);
            let next = next.and_then(|entry| {
                let advanced = advance(ledger.as_mut(), entry);
                advanced.map_err(|_| Damage::AgainstTheRules)
            });
            match next {
                Ok(Some(opened)) => ledger = Some(opened),
                Ok(None) => {}
                Err(_) if at.entries >= head.entries => {
                    return Ok(Replayed { ledger, whole: at.bytes });
                }
                Err(problem) => {
                    return Err(BudgetError::Tampered { entry: at.entries, problem });
                }
            }
        }
    }
}

/// A charge is not believed either; and tickets are counted in 32 bits.
fn check_plan(plan: Plan, charge: &Charge) -> Result<(), BudgetError> {
    at_most("number of rounds", plan.steps, u32::MAX.into())?;
    let paid = Cost::of_plan(plan)?.nearly().is_within(&charge.cost);
    if paid { Ok(()) } else { Err(BudgetError::BelowPlan) }
}

/// Applies an entry that was read; an opening makes a ledger.
fn advance(ledger: Option<&mut Ledger>, entry: Entry) -> Result<Option<Ledger>, BudgetError> {
    match (ledger, entry) {
        (None, Entry::Open(terms)) => Ledger::open(terms).map(|(ledger, _)| Some(ledger)),
        (None, _) => Err(BudgetError::OutOfPlace { entry: 0 }),
        (Some(ledger), entry) => ledger.append(entry).map(|_| None),
    }
}

fn chained(before: &Digest, payload: &[u8]) -> Digest {
    Digest::of(CHAIN, &[&before.0[..], payload].concat())
}

/// The first entry of `bytes`.
fn read(bytes: &[u8], before: &Digest) -> Result<Entry, Damage> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>().ok_or(Damage::Missing)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Damage::Changed)?;
    if length > Entry::MAX_BYTES {
        return Err(Damage::Changed);
    }
    let (payload, rest) = rest.split_at_checked(length).ok_or(Damage::Missing)?;
    let hash = rest.get(..HASH_BYTES).ok_or(Damage::Missing)?;
    if hash != chained(before, payload).0 {
        return Err(Damage::Changed);
    }
    Entry::decode(payload).map_err(|_| Damage::Changed)
}
