//! A round in which all answers start from the same model.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, OwnerId, Round, Timestamp};

use super::intake::Intake;
use super::poll::Poll;
use crate::message::{Answer, TaskId, presentable};
use crate::plan::Plan;
use crate::record::{DropReason, Dropped};

/// An open round.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct OpenRound {
    pub(super) round: Round,
    pub(super) poll: Poll,
    pub(super) intake: Intake,
}

impl OpenRound {
    pub(super) fn open(plan: &Plan, now: Timestamp, round: Round) -> Self {
        let poll = Poll::open(plan, now, plan.participants(round));
        Self { round, poll, intake: Intake::new(plan) }
    }

    /// Owners whose updates are not part of the round, and why.
    pub(super) fn missing(&self, now: Timestamp) -> Vec<Dropped> {
        self.poll.missing(|owner| self.intake.has(owner), now)
    }

    pub(super) fn retry(&mut self, plan: &Plan, now: Timestamp) {
        self.poll.retry(plan, now, |owner| self.intake.has(owner));
    }

    /// Takes in a message. `accepted` says, by owner, which of its updates was used last.
    pub(super) fn receive(&mut self, plan: &Plan, accepted: &[Round], from: OwnerId, bytes: &[u8]) {
        self.poll.tally.received(bytes);
        if from.0 >= plan.owners {
            return self.poll.tally.stray();
        }
        match Answer::decode(bytes) {
            Ok(answer) => self.answer(plan, accepted, from, answer),
            Err(problem) => {
                self.refuse(from, DropReason::Malformed { problem: problem.to_string() });
            }
        }
    }

    fn answer(&mut self, plan: &Plan, accepted: &[Round], from: OwnerId, answer: Answer) {
        let Some(id) = answer.task() else { return self.poll.tally.stray() };
        if answer.job() != plan.job {
            self.refuse(from, DropReason::WrongJob);
        } else if (Round(1)..self.round).contains(&id.round) {
            let used = accepted.get(from.index()) == Some(&id.round);
            if used { self.poll.tally.duplicate() } else { self.poll.tally.late(from) }
        } else if id != TaskId::first(self.round) || !self.poll.asks(from) {
            self.poll.tally.stray();
        } else if self.intake.has(from) {
            self.poll.tally.duplicate();
        } else {
            self.use_answer(plan, from, answer);
        }
    }

    /// The first usable answer of an owner that was asked.
    fn use_answer(&mut self, plan: &Plan, from: OwnerId, answer: Answer) {
        match answer {
            Answer::Update(update) => match update.check(plan) {
                Ok(()) => {
                    self.poll.accept(from);
                    self.intake.take(plan, from, update, 1.0);
                }
                Err(reason) => self.poll.refuse(from, reason),
            },
            Answer::Declined { reason, .. } => {
                let reason = presentable(&reason);
                self.poll.refuse(from, DropReason::Declined { reason });
            }
            Answer::Summary { .. } | Answer::Sum { .. } => self.poll.tally.stray(),
        }
    }

    /// Drops an owner that was asked and has sent nothing usable so far.
    fn refuse(&mut self, from: OwnerId, reason: DropReason) {
        if self.poll.asks(from) && !self.intake.has(from) {
            self.poll.refuse(from, reason);
        } else {
            self.poll.tally.stray();
        }
    }

    pub(super) fn fits(&self, plan: &Plan) -> bool {
        (1..=plan.rounds).contains(&self.round.0)
            && self.poll.fits(plan, plan.participants(self.round))
            && self.intake.fits(plan)
            && self.intake.owners().all(|owner| self.poll.asks(owner))
    }
}
