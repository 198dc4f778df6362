//! FedBuff: updates start from whatever model was current, and are used when enough have come.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, OwnerId, Round, Timestamp};

use super::intake::Intake;
use super::poll::Tally;
use crate::message::{Answer, TaskId, Update, presentable};
use crate::plan::Plan;
use crate::record::DropReason;
use crate::strategy::Strategy;

/// The open buffer, and which model each owner works on.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Buffer {
    /// Number of the current model, counted from 1.
    pub(super) round: Round,
    pub(super) tally: Tally,
    pub(super) intake: Intake,
    pub(super) deadline: Timestamp,
    desks: Vec<Desk>,
}

/// An owner's work.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Desk {
    /// The last work given.
    asked: TaskId,
    /// The last work that came back.
    delivered: TaskId,
    /// When the last work was given.
    since: Timestamp,
}

impl Buffer {
    pub(super) fn open(plan: &Plan, now: Timestamp, round: Round) -> Self {
        let older = TaskId { round: Round(round.0.saturating_sub(1)), repeat: u32::MAX };
        let desk = Desk { asked: TaskId::first(round), delivered: older, since: now };
        Self {
            round,
            tally: Tally::new(now),
            intake: Intake::new(plan),
            deadline: now + plan.round_deadline,
            desks: vec![desk; plan.owners as usize],
        }
    }

    /// Empties the buffer for the next model and returns the old content.
    pub(super) fn turn(&mut self, plan: &Plan, now: Timestamp) -> (Tally, Intake) {
        self.round = self.round.next();
        self.deadline = now + plan.round_deadline;
        let tally = std::mem::replace(&mut self.tally, Tally::new(now));
        (tally, std::mem::replace(&mut self.intake, Intake::new(plan)))
    }

    /// Starts another attempt at filling the buffer.
    pub(super) fn retry(&mut self, plan: &Plan, now: Timestamp) {
        self.tally.attempts = self.tally.attempts.saturating_add(1);
        self.deadline = now + plan.round_deadline;
    }

    /// The work that `owner` has been given last.
    pub(super) fn asked(&self, owner: OwnerId) -> TaskId {
        self.desks[owner.index()].asked
    }

    /// Gives `owner` the current model.
    pub(super) fn hand(&mut self, owner: OwnerId, now: Timestamp) {
        let desk = &mut self.desks[owner.index()];
        let repeat =
            if desk.asked.round == self.round { desk.asked.repeat.saturating_add(1) } else { 0 };
        desk.asked = TaskId { round: self.round, repeat };
        desk.since = now;
    }

    /// Gives all owners that were silent for a deadline the current model, and names them.
    pub(super) fn hand_to_silent(&mut self, plan: &Plan, now: Timestamp) -> Vec<OwnerId> {
        let mut silent = Vec::new();
        for (owner, desk) in OwnerId::all(plan.owners).zip(&mut self.desks) {
            if desk.since + plan.round_deadline <= now {
                self.tally.silent(owner, desk.since, now);
                desk.asked = desk.asked.max(TaskId::first(self.round));
                desk.since = now;
                silent.push(owner);
            }
        }
        silent
    }

    /// Times of another clock make no sense: all work counts as given now, from this model.
    pub(super) fn restart(&mut self, plan: &Plan, now: Timestamp) {
        self.tally.opened = now;
        self.deadline = now + plan.round_deadline;
        for desk in &mut self.desks {
            desk.asked = desk.asked.max(TaskId::first(self.round));
            desk.since = now;
        }
    }

    /// Takes in a message; true if its sender is to get the current model.
    pub(super) fn receive(&mut self, plan: &Plan, from: OwnerId, bytes: &[u8]) -> bool {
        self.tally.received(bytes);
        if from.0 >= plan.owners {
            self.tally.stray();
            return false;
        }
        match Answer::decode(bytes) {
            Ok(answer) => self.answer(plan, from, answer),
            Err(problem) => {
                self.tally.refuse(from, DropReason::Malformed { problem: problem.to_string() });
                false
            }
        }
    }

    fn answer(&mut self, plan: &Plan, from: OwnerId, answer: Answer) -> bool {
        let Some(id) = answer.task() else {
            self.tally.stray();
            return false;
        };
        let desk = &self.desks[from.index()];
        if answer.job() != plan.job {
            self.tally.refuse(from, DropReason::WrongJob);
        } else if id == TaskId::SUMMARY {
            self.tally.stray();
        } else if id <= desk.delivered {
            self.tally.duplicate();
        } else if id > desk.asked {
            self.tally.stray();
        } else {
            return self.use_answer(plan, from, answer);
        }
        false
    }

    /// An answer to work that is still open.
    fn use_answer(&mut self, plan: &Plan, from: OwnerId, answer: Answer) -> bool {
        match answer {
            Answer::Update(update) => return self.update(plan, from, update),
            Answer::Declined { reason, .. } => {
                let reason = presentable(&reason);
                self.tally.refuse(from, DropReason::Declined { reason });
            }
            Answer::Summary { .. } | Answer::Sum { .. } => self.tally.stray(),
        }
        false
    }

    fn update(&mut self, plan: &Plan, from: OwnerId, update: Update) -> bool {
        if let Err(reason) = update.check(plan) {
            self.tally.refuse(from, reason);
            return false;
        }
        self.desks[from.index()].delivered = update.id;
        let by = self.round.0.saturating_sub(update.id.round.0);
        if by > max_staleness(&plan.strategy) {
            self.tally.refuse(from, DropReason::Stale { by });
        } else {
            self.tally.forgive(from);
            self.intake.take(plan, from, update, 1.0 / (1.0 + f64::from(by)).sqrt());
        }
        true
    }

    pub(super) fn fits(&self, plan: &Plan) -> bool {
        (1..=plan.rounds).contains(&self.round.0)
            && self.desks.len() == plan.owners as usize
            && self.desks.iter().all(|desk| desk.asked.round <= self.round)
            && self.tally.fits(plan)
            && self.intake.fits(plan)
            && self.intake.updates() < size(&plan.strategy)
    }
}

/// Updates in a full buffer.
pub(super) const fn size(strategy: &Strategy) -> u32 {
    if let Strategy::FedBuff { buffer, .. } = strategy { *buffer } else { 0 }
}

const fn max_staleness(strategy: &Strategy) -> u32 {
    if let Strategy::FedBuff { max_staleness, .. } = strategy { *max_staleness } else { 0 }
}
