//! A budget on disk: a log under an exclusive lock, and its head beside it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use nexus_types::{Canonical, Digest};

use super::{
    Booking, BudgetError, Damage, ENTRIES_MAX, Entry, Head, Ledger, Opened, Reservation,
    SettlementProblem, Terms,
};
use crate::accounting::Plan;

/// Longest log that is read.
const LOG_MAX: u64 = ENTRIES_MAX * (Entry::MAX_BYTES as u64 + 36);

/// A budget that this process alone may spend.
#[derive(Debug)]
pub struct BudgetFile {
    path: PathBuf,
    log: File,
    ledger: Ledger,
    poisoned: bool,
}

impl BudgetFile {
    /// Begins a budget where none is; `path` is the log's, the head is beside it.
    ///
    /// # Errors
    /// [`BudgetError::Disk`] if a log exists already, and as [`Ledger::open`].
    pub fn create(path: &Path, terms: Terms) -> Result<Self, BudgetError> {
        let (ledger, bytes) = Ledger::open(terms)?;
        let fresh = path.with_added_extension("new");
        let begin = || {
            refuse_existing(path)?;
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&fresh)
        };
        let log = begin().map_err(|source| disk(path, source))?;
        // Who has this lock is the only one to make the budget, and keeps it afterwards.
        lock(&log, path)?;
        let mut budget = Self { path: path.to_owned(), log, ledger, poisoned: false };
        budget.begin(&fresh, &bytes).map_err(|source| disk(path, source))?;
        Ok(budget)
    }

    /// First log and head, then the name: a head without a log is nothing.
    fn begin(&mut self, fresh: &Path, bytes: &[u8]) -> io::Result<()> {
        // Another process may have made the budget before the lock was had.
        refuse_existing(&self.path)?;
        self.log.set_len(0)?;
        self.log.write_all(bytes)?;
        self.log.sync_all()?;
        replace_head(&self.path, &self.ledger.head())?;
        fs::rename(fresh, &self.path)?;
        sync_folder(&self.path)
    }

    /// Opens a budget; a write that was cut short is cut off, anything else that is not as it was
    /// written is refused.
    ///
    /// # Errors
    /// [`BudgetError::Locked`], [`BudgetError::Tampered`], [`BudgetError::Disk`].
    pub fn open(path: &Path) -> Result<Self, BudgetError> {
        let log = OpenOptions::new().read(true).write(true).open(path);
        let mut log = log.map_err(|source| disk(path, source))?;
        lock(&log, path)?;
        let head_bytes = fs::read(head_path(path)).unwrap_or_default();
        let missing = || BudgetError::Tampered { entry: 0, problem: Damage::NoHead };
        let head = Head::decode(&head_bytes).ok_or_else(missing)?;
        let mut bytes = Vec::new();
        (&mut log).take(LOG_MAX).read_to_end(&mut bytes).map_err(|source| disk(path, source))?;
        let replayed = Ledger::replay(&bytes, &head)?;
        let unopened = || BudgetError::Tampered { entry: 0, problem: Damage::Missing };
        let ledger = replayed.ledger.ok_or_else(unopened)?;
        if replayed.whole < bytes.len() as u64 {
            log.set_len(replayed.whole).map_err(|source| disk(path, source))?;
        }
        log.sync_all().map_err(|source| disk(path, source))?;
        let mut budget = Self { path: path.to_owned(), log, ledger, poisoned: false };
        budget.seek_end()?;
        if budget.ledger.head() != head {
            write_head(path, &budget.ledger.head())?;
        }
        Ok(budget)
    }

    /// The books.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Pays for a plan and for `delta_add` more of failure. When this returns the payment is on
    /// disk, and only then is there anything that noise can be drawn with.
    ///
    /// # Errors
    /// As [`Ledger::check`], and [`BudgetError::Disk`].
    pub fn reserve(
        &mut self,
        purpose: &str,
        plan: Plan,
        delta_add: f64,
        hash: Digest,
    ) -> Result<Reservation, BudgetError> {
        let charge = self.ledger.charge(plan, delta_add, hash)?;
        let (id, unit) = (self.ledger.head().entries, charge.unit);
        self.append(Entry::Reserve { purpose: purpose.to_owned(), plan, charge })?;
        let rounds = u32::try_from(plan.steps).unwrap_or(u32::MAX);
        Ok(Reservation { id, rounds, issued: 0, plan: hash, unit, multiplier: plan.sigma })
    }

    /// Takes up the newest reservation of the same plan that is still open, after a crash, by someone
    /// who knows that `issued` rounds have had their ticket. What was drawn for a later round must
    /// not have been released.
    ///
    /// # Errors
    /// [`BudgetError::BadSettlement`] if there is none that is open, or it has fewer rounds.
    pub fn resume(
        &self,
        plan: Plan,
        delta_add: f64,
        hash: Digest,
        issued: u32,
    ) -> Result<Reservation, BudgetError> {
        let charge = self.ledger.charge(plan, delta_add, hash)?;
        let open = |booking: &&Booking| booking.realised.is_none() && booking.charge == charge;
        let refuse = |problem| BudgetError::BadSettlement { id: 0, problem };
        let booking = self.ledger.bookings().iter().rev().find(open);
        let booking = booking.ok_or_else(|| refuse(SettlementProblem::NotOpen))?;
        if issued > booking.rounds {
            return Err(refuse(SettlementProblem::TooManyRounds));
        }
        let Booking { id, rounds, .. } = *booking;
        let (unit, multiplier) = (charge.unit, plan.sigma);
        Ok(Reservation { id, rounds, issued, plan: hash, unit, multiplier })
    }

    /// Ends a plan at what its rounds cost with the noise that was realised. Rounds for which a
    /// ticket was handed out must be among those that were opened or were finalised without this
    /// owner.
    ///
    /// # Errors
    /// [`BudgetError::BadSettlement`]: then all of the plan stays spent. [`BudgetError::Disk`].
    #[expect(clippy::needless_pass_by_value, reason = "a reservation is settled once")]
    pub fn settle(
        &mut self,
        reservation: Reservation,
        opened: &[Opened],
        excluded: u32,
    ) -> Result<(), BudgetError> {
        let id = reservation.id;
        let known = opened.iter().fold(excluded, |sum, kind| sum.saturating_add(kind.rounds));
        if known < reservation.issued {
            let problem = SettlementProblem::RoundsMissing;
            return Err(BudgetError::BadSettlement { id, problem });
        }
        let settlement = self.ledger.settlement(id, opened, excluded)?;
        self.append(settlement)
    }

    fn append(&mut self, entry: Entry) -> Result<(), BudgetError> {
        if self.poisoned {
            return Err(BudgetError::Poisoned);
        }
        let bytes = self.ledger.append(entry)?;
        self.write(&bytes)
    }

    /// Log first and to the disk, then the head.
    fn write(&mut self, bytes: &[u8]) -> Result<(), BudgetError> {
        let written = self.log.write_all(bytes).and_then(|()| self.log.sync_all());
        let written = written.map_err(|source| disk(&self.path, source));
        let done = written.and_then(|()| write_head(&self.path, &self.ledger.head()));
        self.poisoned = done.is_err();
        done
    }

    fn seek_end(&mut self) -> Result<(), BudgetError> {
        self.log.seek(SeekFrom::End(0)).map_err(|source| disk(&self.path, source))?;
        Ok(())
    }
}

fn disk(path: &Path, source: io::Error) -> BudgetError {
    BudgetError::Disk { path: path.to_owned(), source }
}

fn lock(log: &File, path: &Path) -> Result<(), BudgetError> {
    match log.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(BudgetError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(disk(path, source)),
    }
}

fn head_path(log: &Path) -> PathBuf {
    log.with_added_extension("head")
}

fn write_head(log: &Path, head: &Head) -> Result<(), BudgetError> {
    replace_head(log, head).map_err(|source| disk(&head_path(log), source))
}

/// Replaces the head atomically.
fn replace_head(log: &Path, head: &Head) -> io::Result<()> {
    let (path, fresh) = (head_path(log), log.with_added_extension("head-new"));
    let mut file = File::create(&fresh)?;
    file.write_all(&head.encode())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    sync_folder(&path)
}

/// Makes new names in the folder of `path` last.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn refuse_existing(path: &Path) -> io::Result<()> {
    if fs::exists(path)? { Err(io::ErrorKind::AlreadyExists.into()) } else { Ok(()) }
}
