//! What happens at which virtual time, apart from messages.

use std::collections::BTreeMap;

use nexus_learning::parallel;
use nexus_training::LocalTask;
use nexus_types::{MemberId, OwnerId, Party, Timestamp};

use super::Trained;

/// A training under way. Its result is computed when it is needed, or before.
#[derive(Debug)]
pub(super) struct Training {
    pub(super) owner: OwnerId,
    pub(super) task: LocalTask,
    pub(super) result: Option<Result<Trained, String>>,
}

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Appointment {
    Wake,
    Crash(Party),
    Restart(Party),
    Train(Training),
    Expire(MemberId, u32),
}

/// All appointments, soonest first; equal times in the order they were made.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    made: u64,
    entries: BTreeMap<(Timestamp, u64), Appointment>,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Timestamp, appointment: Appointment) {
        self.made += 1;
        self.entries.insert((at, self.made), appointment);
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn pop(&mut self) -> Option<Appointment> {
        self.entries.pop_first().map(|(_, appointment)| appointment)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (Timestamp, &Appointment)> {
        self.entries.iter().map(|((at, _), appointment)| (*at, appointment))
    }

    /// A crashed owner's training never ends.
    pub(super) fn forget_training(&mut self, owner: OwnerId) {
        self.entries.retain(|_, entry| !matches!(entry, Appointment::Train(t) if t.owner == owner));
    }

    /// A member watches its newest sum only.
    pub(super) fn forget_expiry(&mut self, member: MemberId) {
        self.entries.retain(|_, entry| !matches!(entry, Appointment::Expire(m, _) if *m == member));
    }

    /// If a training is due now, computes it and the next ones in parallel: enough to keep
    /// `threads` busy, few enough to bound the memory that results take.
    pub(super) fn train_due(
        &mut self,
        threads: usize,
        train: impl Fn(&Training) -> Result<Trained, String> + Sync,
    ) {
        let due = self.entries.first_key_value().map(|(_, entry)| entry);
        if !matches!(due, Some(Appointment::Train(Training { result: None, .. }))) {
            return;
        }
        let waiting = self.entries.values_mut().filter_map(|entry| match entry {
            Appointment::Train(training) => Some(training),
            Appointment::Wake
            | Appointment::Crash(_)
            | Appointment::Restart(_)
            | Appointment::Expire(..) => None,
        });
        let waiting = waiting.filter(|training| training.result.is_none());
        let mut batch: Vec<&mut Training> = waiting.take(4 * threads).collect();
        let results = parallel::map(&batch, threads, |training| train(training));
        for (training, result) in batch.iter_mut().zip(results) {
            training.result = Some(result);
        }
    }
}
