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
use super::{BudgetError, Damage, ENTRIES_MAX, Entry, Realised, SettlementProblem, Terms};
use crate::accounting::{Charge, Cost, Filter, Mechanism, Plan};

const CHAIN: &str = "cipher-nexus budget chain v1";
const HEAD: &str = "cipher-nexus budget head v1";
const HASH_BYTES: usize = 32;
const LENGTH_BYTES: usize = 4;
const HEAD_BYTES: usize = 48;

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

/// One plan in the books.
#[derive(Clone, Debug, PartialEq)]
pub struct Booking {
    /// The number of the entry that reserved it.
    pub id: u64,
    /// For what.
    pub purpose: String,
    /// Rounds of the plan.
    pub rounds: u32,
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
        match &entry {
            Entry::Open(_) => return Err(BudgetError::OutOfPlace { entry: self.head.entries }),
            Entry::Reserve { purpose, charge, .. } => self.check(purpose, charge)?,
            Entry::Settle { id, realised } => {
                self.settled(*id, realised)
                    .map_err(|problem| BudgetError::BadSettlement { id: *id, problem })?;
            }
        }
        let id = self.head.entries;
        let bytes = self.frame(&entry)?;
        match entry {
            Entry::Reserve { purpose, rounds, charge } => {
                self.bookings.push(Booking { id, purpose, rounds, charge, realised: None });
            }
            Entry::Settle { id, realised } => {
                if let Some(booking) = self.bookings.iter_mut().find(|booking| booking.id == id) {
                    booking.realised = Some(realised);
                }
            }
            Entry::Open(_) => {}
        }
        Ok(bytes)
    }

    fn settled(&self, id: u64, realised: &Realised) -> Result<(), SettlementProblem> {
        let open = self.bookings.iter().find(|b| b.id == id && b.realised.is_none());
        let booking = open.ok_or(SettlementProblem::NotOpen)?;
        if u64::from(realised.rounds) + u64::from(realised.excluded) > booking.rounds.into() {
            return Err(SettlementProblem::TooManyRounds);
        }
        if !realised.cost.is_within(&booking.charge.cost) {
            return Err(SettlementProblem::AboveReserve);
        }
        Ok(())
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
