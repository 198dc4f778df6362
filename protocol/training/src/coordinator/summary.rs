//! The statistics stage: sums over all owners' rows, before there is a model.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, OwnerId, Round, Timestamp};

use super::intake::Figures;
use super::poll::Poll;
use crate::message::{Answer, TaskId, check_statistics, presentable};
use crate::plan::Plan;
use crate::record::{DropReason, Dropped, RoundRecord};

/// The open statistics stage. Vectors are kept until the end and added in the order of owners,
/// so that the sums do not depend on who was first.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct OpenSummary {
    pub(super) poll: Poll,
    taken: BTreeMap<OwnerId, Vec<f64>>,
}

impl OpenSummary {
    pub(super) fn open(plan: &Plan, now: Timestamp) -> Self {
        let everyone = OwnerId::all(plan.owners).collect();
        Self { poll: Poll::open(plan, now, everyone), taken: BTreeMap::new() }
    }

    fn has(&self, owner: OwnerId) -> bool {
        self.taken.contains_key(&owner)
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.taken.len()).unwrap_or(u32::MAX)
    }

    /// Owners that sent nothing usable, and why.
    pub(super) fn missing(&self, now: Timestamp) -> Vec<Dropped> {
        self.poll.missing(|owner| self.has(owner), now)
    }

    pub(super) fn retry(&mut self, plan: &Plan, now: Timestamp) {
        self.poll.retry(plan, now, |owner| self.taken.contains_key(&owner));
    }

    pub(super) fn receive(&mut self, plan: &Plan, from: OwnerId, bytes: &[u8]) {
        self.poll.tally.received(bytes);
        if !self.poll.asks(from) {
            return self.poll.tally.stray();
        }
        if self.has(from) {
            return self.poll.tally.duplicate();
        }
        match statistics(plan, bytes) {
            Ok(Some(sums)) => {
                self.poll.accept(from);
                self.taken.insert(from, sums);
            }
            Ok(None) => self.poll.tally.stray(),
            Err(reason) => self.poll.refuse(from, reason),
        }
    }

    /// The sums, and the record of the stage.
    pub(super) fn close(self, plan: &Plan, now: Timestamp) -> (Vec<f64>, RoundRecord) {
        let mut sums = vec![0.0; plan.statistics as usize];
        for statistics in self.taken.values() {
            sums.iter_mut().zip(statistics).for_each(|(sum, value)| *sum += value);
        }
        let figures = Figures {
            participants: self.taken.keys().copied().collect(),
            clipped: Vec::new(),
            clipped_owners: 0,
            updates: self.count(),
            train_loss: None,
            steps: 0,
        };
        let dropped = self.missing(now);
        (sums, self.poll.tally.record(Round(0), figures, dropped, now, 0.0))
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.taken.values().map(|sums| 8 * sums.len()).sum()
    }

    pub(super) fn fits(&self, plan: &Plan) -> bool {
        let usable = |sums: &Vec<f64>| check_statistics(plan, sums).is_ok();
        self.poll.fits(plan, OwnerId::all(plan.owners).collect())
            && self.taken.keys().all(|owner| self.poll.asks(*owner))
            && self.taken.values().all(usable)
    }
}

/// The statistics in `bytes`; `None` if they answer something else.
fn statistics(plan: &Plan, bytes: &[u8]) -> Result<Option<Vec<f64>>, DropReason> {
    match Answer::decode(bytes).map_err(|e| DropReason::Malformed { problem: e.to_string() })? {
        answer if answer.job() != plan.job => Err(DropReason::WrongJob),
        Answer::Summary { sums, .. } => {
            check_statistics(plan, &sums)?;
            Ok(Some(sums))
        }
        Answer::Declined { id: TaskId::SUMMARY, reason, .. } => {
            Err(DropReason::Declined { reason: presentable(&reason) })
        }
        Answer::Declined { .. } | Answer::Update(_) | Answer::Sum { .. } => Ok(None),
    }
}
