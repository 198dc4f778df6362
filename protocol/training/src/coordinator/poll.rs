//! Asking owners and waiting for them, with a deadline and a number of attempts.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{OwnerId, Round, Timestamp};

use super::intake::Figures;
use crate::plan::Plan;
use crate::record::{DropReason, Dropped, RoundRecord};

/// What is counted while a round is open.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Tally {
    pub(super) opened: Timestamp,
    pub(super) attempts: u32,
    bytes_up: u64,
    bytes_down: u64,
    late: BTreeSet<OwnerId>,
    duplicates: u32,
    strays: u32,
    refused: BTreeMap<OwnerId, DropReason>,
}

impl Tally {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            opened: now,
            attempts: 1,
            bytes_up: 0,
            bytes_down: 0,
            late: BTreeSet::new(),
            duplicates: 0,
            strays: 0,
            refused: BTreeMap::new(),
        }
    }

    pub(super) const fn received(&mut self, message: &[u8]) {
        self.bytes_up = self.bytes_up.saturating_add(message.len() as u64);
    }

    pub(super) const fn sent(&mut self, message: &[u8], copies: usize) {
        let bytes = (message.len() as u64).saturating_mul(copies as u64);
        self.bytes_down = self.bytes_down.saturating_add(bytes);
    }

    pub(super) fn late(&mut self, owner: OwnerId) {
        self.late.insert(owner);
    }

    pub(super) const fn duplicate(&mut self) {
        self.duplicates = self.duplicates.saturating_add(1);
    }

    pub(super) const fn stray(&mut self) {
        self.strays = self.strays.saturating_add(1);
    }

    pub(super) fn refuse(&mut self, owner: OwnerId, reason: DropReason) {
        self.refused.insert(owner, reason);
    }

    /// Notes that `owner` has been silent, unless it is known why it does not answer.
    pub(super) fn silent(&mut self, owner: OwnerId, since: Timestamp, now: Timestamp) {
        self.refused.entry(owner).or_insert_with(|| no_answer(since, now));
    }

    /// Whether `owner` sent something that cannot be used, or declined.
    pub(super) fn has_refused(&self, owner: OwnerId) -> bool {
        self.refused.contains_key(&owner)
    }

    pub(super) fn forgive(&mut self, owner: OwnerId) {
        self.refused.remove(&owner);
    }

    /// Owners that were refused and not forgiven, and of whom nothing was `taken`.
    pub(super) fn dropped(&self, taken: impl Fn(OwnerId) -> bool) -> Vec<Dropped> {
        let refused = self.refused.iter().filter(|(owner, _)| !taken(**owner));
        refused.map(|(&owner, reason)| Dropped { owner, reason: reason.clone() }).collect()
    }

    /// Why each of `owners` is missing.
    pub(super) fn missing(
        &self,
        owners: impl Iterator<Item = OwnerId>,
        now: Timestamp,
    ) -> Vec<Dropped> {
        let reason = |owner| match self.refused.get(&owner) {
            Some(reason) => reason.clone(),
            None => no_answer(self.opened, now),
        };
        owners.map(|owner| Dropped { owner, reason: reason(owner) }).collect()
    }

    pub(super) fn record(
        self,
        round: Round,
        figures: Figures,
        dropped: Vec<Dropped>,
        now: Timestamp,
        update_norm: f64,
    ) -> RoundRecord {
        let Figures { participants, clipped, clipped_owners, updates, train_loss, steps } = figures;
        RoundRecord {
            round,
            participants,
            dropped,
            late: self.late.into_iter().collect(),
            clipped_owners,
            clipped,
            committee: None,
            updates,
            duplicates: self.duplicates,
            strays: self.strays,
            train_loss,
            steps,
            bytes_up: self.bytes_up,
            bytes_down: self.bytes_down,
            attempts: self.attempts,
            opened: self.opened,
            closed: now,
            update_norm,
        }
    }

    pub(super) fn fits(&self, plan: &Plan) -> bool {
        let known = |owner: &OwnerId| owner.0 < plan.owners;
        (1..=plan.attempts).contains(&self.attempts)
            && self.late.iter().all(known)
            && self.refused.keys().all(known)
    }
}

fn no_answer(since: Timestamp, now: Timestamp) -> DropReason {
    let waited_ms = now.0.saturating_sub(since.0);
    DropReason::NoAnswer { waited_ms }
}

/// What to do about a question that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    Close,
    Retry,
    Lost,
}

/// One question to a group of owners.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Poll {
    pub(super) tally: Tally,
    asked: BTreeSet<OwnerId>,
    waiting: BTreeSet<OwnerId>,
    pub(super) deadline: Timestamp,
}

impl Poll {
    pub(super) fn open(plan: &Plan, now: Timestamp, asked: Vec<OwnerId>) -> Self {
        let asked: BTreeSet<OwnerId> = asked.into_iter().collect();
        let waiting = asked.clone();
        Self { tally: Tally::new(now), asked, waiting, deadline: now + plan.round_deadline }
    }

    pub(super) fn asks(&self, owner: OwnerId) -> bool {
        self.asked.contains(&owner)
    }

    /// The owners whose answer is still open.
    pub(super) fn waiting(&self) -> Vec<OwnerId> {
        self.waiting.iter().copied().collect()
    }

    /// The owner's answer was taken.
    pub(super) fn accept(&mut self, owner: OwnerId) {
        self.waiting.remove(&owner);
        self.tally.forgive(owner);
    }

    /// The owner's answer cannot be used; a better one still may.
    pub(super) fn refuse(&mut self, owner: OwnerId, reason: DropReason) {
        self.waiting.remove(&owner);
        self.tally.refuse(owner, reason);
    }

    /// What follows when `have` answers were taken and `need` are needed.
    pub(super) fn verdict(
        &self,
        plan: &Plan,
        now: Timestamp,
        woken: bool,
        have: u32,
        need: u32,
    ) -> Verdict {
        let over = self.waiting.is_empty() || (woken && now >= self.deadline);
        match (over, have >= need, self.tally.attempts < plan.attempts) {
            (false, ..) => Verdict::Wait,
            (true, true, _) => Verdict::Close,
            (true, false, true) => Verdict::Retry,
            (true, false, false) => Verdict::Lost,
        }
    }

    /// Starts another attempt: asks all of whom nothing was `taken`.
    pub(super) fn retry(&mut self, plan: &Plan, now: Timestamp, taken: impl Fn(OwnerId) -> bool) {
        self.tally.attempts = self.tally.attempts.saturating_add(1);
        self.waiting = self.asked.iter().copied().filter(|&owner| !taken(owner)).collect();
        self.deadline = now + plan.round_deadline;
    }

    /// Times of another clock make no sense: the question counts as asked now.
    pub(super) fn restart(&mut self, plan: &Plan, now: Timestamp) {
        self.tally.opened = now;
        self.deadline = now + plan.round_deadline;
    }

    /// Owners of whom nothing was `taken`, and why.
    pub(super) fn missing(&self, taken: impl Fn(OwnerId) -> bool, now: Timestamp) -> Vec<Dropped> {
        let absent = self.asked.iter().copied().filter(|&owner| !taken(owner));
        self.tally.missing(absent, now)
    }

    pub(super) fn fits(&self, plan: &Plan, asked: Vec<OwnerId>) -> bool {
        self.asked.iter().copied().eq(asked)
            && self.waiting.is_subset(&self.asked)
            && self.tally.fits(plan)
    }
}
