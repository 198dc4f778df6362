//! The owners' budgets: paid before the first noise is drawn, settled when the run has ended.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nexus_privacy::accounting::{self, Cost, Split, Unit, planned_order};
use nexus_privacy::budget::{
    BudgetError, BudgetFile, BudgetTicket, Ledger, Opened, Reservation, Terms,
};
use nexus_training::{Plan, PrivacyTerms, Release, TrainingError};
use nexus_types::{OwnerId, Round};

use crate::error::NodeError;
use crate::job::{JobFile, PrivacySection};

/// One budget for each owner, with what this run has reserved in it.
#[derive(Debug)]
pub(super) struct Budgets {
    accounts: Vec<Mutex<Account>>,
}

#[derive(Debug)]
struct Account {
    file: BudgetFile,
    reservation: Reservation,
}

/// What a run asks each budget for.
#[derive(Debug)]
struct Request<'a> {
    purpose: &'a str,
    plan: accounting::Plan,
    failure: f64,
    hash: nexus_types::Digest,
    /// Rounds that have had their tickets, if the run goes on.
    done: Option<u32>,
    /// Whether the budget is this run's alone.
    own: bool,
}

impl Budgets {
    /// Reserves the whole plan in the budget of every owner, or takes up what was reserved before
    /// round `done` + 1.
    ///
    /// # Errors
    /// [`NodeError::Budget`] if one of them does not allow it.
    pub(super) fn reserve(
        job: &JobFile,
        names: &[String],
        (plan, privacy): (&Plan, &PrivacyTerms),
        run: &Path,
        done: Option<u32>,
    ) -> Result<Option<Self>, NodeError> {
        let (Some(section), Some(release)) = (&job.job.privacy, plan.release()?) else {
            return Ok(None);
        };
        let folder = match &section.budgets {
            Some(folder) => job.resolve(folder),
            None => made(run.join("budgets"))?,
        };
        let request = Request {
            purpose: &section.purpose,
            plan: privacy.accounted(plan.rounds),
            failure: release.failure(plan.rounds, plan.owners, privacy.epsilon),
            hash: plan.job.0,
            done,
            own: section.budgets.is_none(),
        };
        let own = own_terms(request.plan, section)?;
        let open = |(owner, name): (usize, &String)| {
            let path = folder.join(file_name(job, owner, name)?);
            Ok(if request.own && !path.exists() {
                BudgetFile::create(&path, Terms { data_set: named(name), ..own.clone() })?
            } else {
                BudgetFile::open(&path)?
            })
        };
        let files = names.iter().enumerate().map(open).collect::<Result<Vec<_>, NodeError>>()?;
        // All are asked before one pays.
        files.iter().try_for_each(|file| request.check(file.ledger(), section.unit.into()))?;
        let book = |file| Ok(Mutex::new(request.book(file)?));
        let accounts = files.into_iter().map(book).collect::<Result<_, NodeError>>()?;
        Ok(Some(Self { accounts }))
    }

    /// The ticket of `owner` for `round`; another attempt at a round gets the same again.
    pub(super) fn ticket(&self, owner: OwnerId, round: Round) -> Option<BudgetTicket> {
        let mut account =
            self.accounts.get(owner.index())?.lock().unwrap_or_else(PoisonError::into_inner);
        let reservation = &mut account.reservation;
        // An owner that missed rounds has tickets left over: they stay unused.
        while reservation.issued() + 1 < round.0 {
            drop(reservation.next_round()?);
        }
        if reservation.issued() < round.0 { reservation.next_round() } else { reservation.again() }
    }

    /// Writes down what the run came to: `survivors` of each round.
    ///
    /// # Errors
    /// [`NodeError::Budget`]: then all that was reserved stays spent.
    pub(super) fn settle(
        self,
        release: &Release,
        survivors: &[Vec<OwnerId>],
    ) -> Result<(), NodeError> {
        for (owner, account) in (0..).map(OwnerId).zip(self.accounts) {
            let Account { mut file, reservation } =
                account.into_inner().unwrap_or_else(PoisonError::into_inner);
            let mine = survivors.iter().filter(|survivors| survivors.contains(&owner));
            let sigmas: Vec<f64> = mine
                .map(|all| release.realised(u32::try_from(all.len()).unwrap_or(u32::MAX)))
                .collect::<Result<_, _>>()?;
            let excluded = u32::try_from(survivors.len() - sigmas.len()).unwrap_or(u32::MAX);
            file.settle(reservation, &Opened::of(sigmas), excluded)?;
        }
        Ok(())
    }
}

impl Request<'_> {
    /// Whether a budget is for what is asked of it, and allows it.
    fn check(&self, ledger: &Ledger, unit: Unit) -> Result<(), BudgetError> {
        let Terms { split, currency, .. } = *ledger.terms();
        let wanted = (unit, Split::Train, currency);
        let budget = (ledger.terms().unit, split, currency);
        if budget != wanted {
            return Err(BudgetError::OtherTerms { budget, charge: wanted });
        }
        if self.begun(ledger) {
            return Ok(());
        }
        ledger.check(self.purpose, &ledger.charge(self.plan, self.failure, self.hash)?)
    }

    /// Whether what this run needs was reserved before. A budget of the owner's own may hold what another
    /// run has reserved and not settled: that stays spent.
    fn begun(&self, ledger: &Ledger) -> bool {
        if self.own { !ledger.bookings().is_empty() } else { self.done.is_some() }
    }

    fn book(&self, mut file: BudgetFile) -> Result<Account, NodeError> {
        let Self { purpose, plan, failure, hash, done, .. } = *self;
        let reservation = if self.begun(file.ledger()) {
            file.resume(plan, failure, hash, done.unwrap_or_default())?
        } else {
            file.reserve(purpose, plan, failure, hash)?
        };
        Ok(Account { file, reservation })
    }
}

/// The file of an owner's budget. A name that would lead elsewhere is no name for a file.
fn file_name(job: &JobFile, owner: usize, name: &str) -> Result<String, NodeError> {
    let file = format!("{name}.budget");
    if Path::new(&file).file_name().is_some_and(|last| *last == *file) {
        return Ok(file);
    }
    let message = format!("the name of owner {owner} cannot be that of a file");
    Err(job.problem(&["data", "names"], &message, None).into())
}

fn made(folder: PathBuf) -> Result<PathBuf, NodeError> {
    std::fs::create_dir_all(&folder).map_err(|error| NodeError::file(&folder, error))?;
    Ok(folder)
}

fn named(name: &str) -> String {
    name.chars().take(nexus_privacy::budget::NAME_MAX / 4).collect()
}

/// The budget of an owner who has said nothing: for one run.
fn own_terms(plan: accounting::Plan, section: &PrivacySection) -> Result<Terms, NodeError> {
    let cost = Cost::of_plan(plan).map_err(TrainingError::from)?;
    let planned = planned_order(&cost, section.delta);
    Ok(Terms {
        data_set: String::new(),
        unit: section.unit.into(),
        split: Split::Train,
        currency: plan.currency(),
        epsilon: section.epsilon,
        delta: section.delta,
        planned_order: u8::try_from(planned).unwrap_or_default(),
        caps: Vec::new(),
    })
}
