//! The messages of a job.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::limits::{MAX_MESSAGE_BYTES, MAX_TEXT_BYTES};
use nexus_types::{Canonical, CodecError, Digest, JobId, ModelHash, Round};

use crate::plan::Plan;
use crate::record::DropReason;
use crate::secure::SignedManifest;
use crate::server::Server;

/// Largest magnitude of a number in an update: 2^40. Sums are exact up to it.
pub const MAX_MAGNITUDE: f64 = (1u64 << 40) as f64;
/// Largest magnitude of a statistic or a sum of losses: sums over the most owners stay finite.
pub const MAX_STATISTIC: f64 = 1e300;

/// Which piece of work.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize,
)]
pub struct TaskId {
    /// The round; with FedBuff the number of the model to start from.
    pub round: Round,
    /// How often the owner has already been given work on this model; 0 except with FedBuff.
    pub repeat: u32,
}

impl TaskId {
    /// The statistics stage.
    pub const SUMMARY: Self = Self { round: Round(0), repeat: 0 };

    /// The first piece of work in `round`.
    pub const fn first(round: Round) -> Self {
        Self { round, repeat: 0 }
    }
}

/// From the coordinator to an owner.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum Task {
    /// Send the sums over your rows.
    Summarise {
        /// The job.
        job: JobId,
        /// What the masked sum is bound to; `None` in the clear.
        manifest: Option<Box<SignedManifest>>,
    },
    /// Train this model on your rows.
    Train(TrainTask),
    /// A message of the engine that masks sums.
    Sum {
        /// The job.
        job: JobId,
        /// The number of the sum.
        slot: u32,
        /// The engine's bytes.
        message: Vec<u8>,
    },
}

impl Task {
    /// The job.
    pub const fn job(&self) -> JobId {
        match self {
            Self::Summarise { job, .. }
            | Self::Train(TrainTask { job, .. })
            | Self::Sum { job, .. } => *job,
        }
    }
}

impl Canonical for Task {
    const DOMAIN: &'static str = "nexus/training/task";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = MAX_MESSAGE_BYTES;
}

/// What an owner needs to train. Every owner of a round gets the same bytes.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct TrainTask {
    /// The job.
    pub job: JobId,
    /// Which piece of work.
    pub id: TaskId,
    /// The model.
    pub parameters: Vec<f32>,
    /// SCAFFOLD: the server's control variate; else empty.
    pub control: Vec<f32>,
    /// SCAFFOLD: by owner, the last round in which its update was used, 0 if none was; else
    /// empty.
    pub accepted: Vec<Round>,
    /// The sums over all owners' statistics; empty if the plan has none.
    pub summary: Vec<f64>,
    /// What the masked sum is bound to; `None` in the clear.
    pub manifest: Option<Box<SignedManifest>>,
}

impl TrainTask {
    /// The task `id` to train the model of `server`, without a manifest.
    pub(crate) fn new(
        plan: &Plan,
        id: TaskId,
        server: &Server,
        accepted: &[Round],
        summary: &[f64],
    ) -> Self {
        let settles = plan.strategy.has_control();
        Self {
            job: plan.job,
            id,
            parameters: server.parameters.clone(),
            control: server.control.clone(),
            accepted: if settles { accepted.to_vec() } else { Vec::new() },
            summary: summary.to_vec(),
            manifest: None,
        }
    }

    /// Digest of what owners work on, by which a manifest names it.
    ///
    /// # Errors
    /// [`CodecError`] if a number has no encoding.
    pub(crate) fn fingerprint(&self) -> Result<Digest, CodecError> {
        let content = (&self.parameters, &self.control, &self.accepted, &self.summary);
        let bytes = borsh::to_vec(&(self.id, content)).map_err(|error| CodecError::Malformed {
            domain: Task::DOMAIN,
            problem: error.to_string(),
        })?;
        Ok(Digest::of("nexus/training/model v1", &bytes))
    }

    /// Checks the task against `plan`, apart from its job and id.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, plan: &Plan) -> Result<(), DropReason> {
        let parameters = plan.parameters as usize;
        let (control, accepted) =
            if plan.strategy.has_control() { (parameters, plan.owners as usize) } else { (0, 0) };
        check_length(self.parameters.len(), parameters)?;
        check_length(self.control.len(), control)?;
        check_length(self.accepted.len(), accepted)?;
        check_length(self.summary.len(), plan.statistics as usize)?;
        let mut vectors = self.parameters.iter().chain(&self.control);
        if vectors.all(|value| value.is_finite()) && self.summary.iter().all(|sum| sum.is_finite())
        {
            return Ok(());
        }
        Err(DropReason::NotFinite)
    }
}

/// From an owner to the coordinator.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum Answer {
    /// The sums over the owner's rows.
    Summary {
        /// The job.
        job: JobId,
        /// Numbers that may be added to those of other owners.
        sums: Vec<f64>,
    },
    /// What training changed.
    Update(Update),
    /// A message of the engine that masks sums.
    Sum {
        /// The job.
        job: JobId,
        /// The number of the sum.
        slot: u32,
        /// The engine's bytes.
        message: Vec<u8>,
    },
    /// No answer, and why.
    Declined {
        /// The job.
        job: JobId,
        /// The work that will not be done.
        id: TaskId,
        /// Why, for people.
        reason: String,
    },
}

impl Answer {
    /// The job.
    pub const fn job(&self) -> JobId {
        match self {
            Self::Summary { job, .. }
            | Self::Update(Update { job, .. })
            | Self::Sum { job, .. }
            | Self::Declined { job, .. } => *job,
        }
    }

    /// The piece of work that this answers; `None` for a part of a masked sum.
    pub const fn task(&self) -> Option<TaskId> {
        match self {
            Self::Summary { .. } => Some(TaskId::SUMMARY),
            Self::Update(Update { id, .. }) | Self::Declined { id, .. } => Some(*id),
            Self::Sum { .. } => None,
        }
    }
}

impl Canonical for Answer {
    const DOMAIN: &'static str = "nexus/training/answer";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = MAX_MESSAGE_BYTES;
}

/// What training changed.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Update {
    /// The job.
    pub job: JobId,
    /// Which piece of work.
    pub id: TaskId,
    /// The model's shape.
    pub model: ModelHash,
    /// Rows trained on.
    pub examples: u64,
    /// Sum of the losses of those rows.
    pub loss_sum: f64,
    /// Optimiser steps.
    pub steps: u64,
    /// Sum of the effective learning rates of the steps: the update is about minus this times
    /// the mean gradient.
    pub displacement: f64,
    /// Parameters after training minus parameters before.
    pub delta: Vec<f32>,
}

impl Update {
    /// Checks the update against `plan`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn check(&self, plan: &Plan) -> Result<(), DropReason> {
        if self.job != plan.job {
            return Err(DropReason::WrongJob);
        }
        if self.model != plan.model {
            return Err(DropReason::WrongModel);
        }
        check_length(self.delta.len(), plan.parameters as usize)?;
        if self.examples == 0 {
            return Err(DropReason::NoExamples);
        }
        let largest = largest_magnitude(&self.delta);
        if !largest.is_finite() || !self.loss_sum.is_finite() {
            return Err(DropReason::NotFinite);
        }
        check_magnitude(self.loss_sum.abs(), MAX_STATISTIC)?;
        let scaled = if plan.strategy.has_control() {
            if !(self.displacement.is_finite() && self.displacement > 0.0) {
                return Err(DropReason::NoDisplacement);
            }
            largest.max(largest / self.displacement)
        } else {
            largest
        };
        check_magnitude(scaled, MAX_MAGNITUDE)
    }
}

/// Checks an owner's statistics against `plan`.
pub(crate) fn check_statistics(plan: &Plan, sums: &[f64]) -> Result<(), DropReason> {
    check_length(sums.len(), plan.statistics as usize)?;
    let ceiling = |sum: &f64| if sum.is_nan() { f64::INFINITY } else { sum.abs() };
    let largest = sums.iter().map(ceiling).fold(0.0, f64::max);
    if !largest.is_finite() {
        return Err(DropReason::NotFinite);
    }
    check_magnitude(largest, MAX_STATISTIC)
}

fn check_length(got: usize, expected: usize) -> Result<(), DropReason> {
    if got == expected {
        return Ok(());
    }
    Err(DropReason::WrongLength { got: got as u64, expected: expected as u64 })
}

fn check_magnitude(largest: f64, limit: f64) -> Result<(), DropReason> {
    if largest <= limit { Ok(()) } else { Err(DropReason::TooLarge { limit }) }
}

/// The largest magnitude in `values`, infinite if one is not a number.
fn largest_magnitude(values: &[f32]) -> f64 {
    let ceiling = |value: &f32| if value.is_nan() { f32::INFINITY } else { value.abs() };
    f64::from(values.iter().map(ceiling).fold(0.0, f32::max))
}

/// `text` as far as it may be sent, with control characters made visible: it will be shown on
/// somebody's terminal.
pub(crate) fn presentable(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    text[..end].chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nexus_types::{Digest, Seed, peek_tag, tag_of};
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{MAX_EXAMPLE_CAP, Protection, Weighting};
    use crate::rule::Rule;
    use crate::strategy::Strategy;

    const JOB: JobId = JobId(Digest([1; 32]));
    const MODEL: ModelHash = ModelHash(Digest([2; 32]));
    const ID: TaskId = TaskId { round: Round(3), repeat: 4 };

    fn plan(strategy: Strategy) -> Plan {
        Plan {
            job: JOB,
            model: MODEL,
            owners: 2,
            rounds: 5,
            parameters: 2,
            statistics: 1,
            fraction: 1.0,
            quorum: 1,
            round_deadline: Duration::from_secs(1),
            attempts: 1,
            strategy,
            rule: Rule::Mean,
            weighting: Weighting::Examples,
            example_cap: MAX_EXAMPLE_CAP,
            seed: Seed::from_number(1),
            protection: Protection::Clear,
        }
    }

    fn update() -> Update {
        Update {
            job: JOB,
            id: ID,
            model: MODEL,
            examples: 5,
            loss_sum: 1.5,
            steps: 6,
            displacement: 0.5,
            delta: vec![1.0, -1.0],
        }
    }

    fn train() -> TrainTask {
        TrainTask {
            job: JOB,
            id: ID,
            parameters: vec![1.0, 2.0],
            control: vec![-1.0],
            accepted: vec![Round(1), Round(0)],
            summary: vec![0.5],
            manifest: None,
        }
    }

    fn declined() -> Answer {
        Answer::Declined { job: JOB, id: ID, reason: "no".into() }
    }

    #[test]
    fn layouts_are_pinned() {
        let (job, model, id): ([u8; 32], [u8; 32], _) =
            ([1; 32], [2; 32], [3, 0, 0, 0, 4, 0, 0, 0]);
        let (one, two, minus_one) = ([0, 0, 0x80, 0x3f], [0, 0, 0, 0x40], [0, 0, 0x80, 0xbf]);
        let (half, one_and_half) = (0.5f64.to_le_bytes(), 1.5f64.to_le_bytes());
        let task_header = [&[1][..], &tag_of("nexus/training/task")].concat();
        let answer_header = [&[1][..], &tag_of("nexus/training/answer")].concat();
        let summarise = [&task_header[..], &[0], &job, &[0]].concat();
        assert_eq!(Task::Summarise { job: JOB, manifest: None }.encode().unwrap(), summarise);
        let parameters = [&[2, 0, 0, 0][..], &one, &two].concat();
        let control = [&[1, 0, 0, 0][..], &minus_one].concat();
        let accepted = [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        let summary = [&[1, 0, 0, 0][..], &half].concat();
        let train_bytes =
            [&task_header[..], &[1], &job, &id, &parameters, &control, &accepted, &summary, &[0]]
                .concat();
        assert_eq!(Task::Train(train()).encode().unwrap(), train_bytes);
        assert_eq!(train_bytes.len(), 66 + 4 * (2 + 1) + 4 * 2 + 8, "the cost table");
        let sums = [&answer_header[..], &[0], &job, &summary].concat();
        assert_eq!(Answer::Summary { job: JOB, sums: vec![0.5] }.encode().unwrap(), sums);
        let (examples, steps) = (5u64.to_le_bytes(), 6u64.to_le_bytes());
        let head = [&answer_header[..], &[1], &job, &id, &model, &examples].concat();
        let figures = [one_and_half, steps, half].concat();
        let update_bytes = [&head[..], &figures, &[2, 0, 0, 0], &one, &minus_one].concat();
        assert_eq!(Answer::Update(update()).encode().unwrap(), update_bytes);
        assert_eq!(update_bytes.len(), 117 + 4 * 2, "the cost table");
        let refusal = [&answer_header[..], &[3], &job, &id, &[2, 0, 0, 0, b'n', b'o']].concat();
        assert_eq!(declined().encode().unwrap(), refusal);
    }

    #[test]
    fn tags_are_pinned() {
        let task = Task::Summarise { job: JOB, manifest: None }.encode().unwrap();
        let answer = declined().encode().unwrap();
        assert_eq!(peek_tag(&task), Some(TASK_TAG));
        assert_eq!(peek_tag(&answer), Some(ANSWER_TAG));
    }

    const TASK_TAG: [u8; 7] = [222, 147, 159, 197, 231, 60, 3];
    const ANSWER_TAG: [u8; 7] = [143, 89, 78, 220, 242, 199, 253];

    #[test]
    fn an_update_that_cannot_be_used_says_why() {
        let fedavg = plan(Strategy::FedAvg);
        let scaffold = plan(Strategy::Scaffold { learning_rate: 1.0 });
        assert_eq!(update().check(&fedavg), Ok(()));
        assert_eq!(update().check(&scaffold), Ok(()));
        let other = Digest([9; 32]);
        let limit = MAX_MAGNITUDE;
        let wrong = [
            (Update { job: JobId(other), ..update() }, DropReason::WrongJob),
            (Update { model: ModelHash(other), ..update() }, DropReason::WrongModel),
            (
                Update { delta: vec![1.0], ..update() },
                DropReason::WrongLength { got: 1, expected: 2 },
            ),
            (Update { examples: 0, ..update() }, DropReason::NoExamples),
            (Update { delta: vec![1.0, f32::NAN], ..update() }, DropReason::NotFinite),
            (Update { delta: vec![f32::NEG_INFINITY, 1.0], ..update() }, DropReason::NotFinite),
            (Update { loss_sum: f64::INFINITY, ..update() }, DropReason::NotFinite),
            (Update { loss_sum: 1e301, ..update() }, DropReason::TooLarge { limit: MAX_STATISTIC }),
            (Update { delta: vec![0.0, -1e13], ..update() }, DropReason::TooLarge { limit }),
        ];
        for (update, reason) in wrong {
            assert_eq!(update.check(&fedavg), Err(reason.clone()));
            assert_eq!(update.check(&scaffold), Err(reason));
        }
        for (displacement, reason) in [
            (0.0, DropReason::NoDisplacement),
            (-1.0, DropReason::NoDisplacement),
            (f64::INFINITY, DropReason::NoDisplacement),
            (1e-300, DropReason::TooLarge { limit }),
        ] {
            let update = Update { displacement, ..update() };
            assert_eq!(update.check(&scaffold), Err(reason));
            assert_eq!(update.check(&fedavg), Ok(()));
        }
    }

    #[test]
    fn a_text_for_a_terminal_is_short_and_harmless() {
        assert_eq!(presentable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
        assert!(presentable(&"ü".repeat(5000)).len() <= MAX_TEXT_BYTES);
    }

    fn framed(tag: [u8; 7], payload: &[u8]) -> Vec<u8> {
        [&[1][..], &tag, payload].concat()
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_errors_or_round_trip(payload in prop::collection::vec(any::<u8>(), 0..120)) {
            let bytes = framed(tag_of(Task::DOMAIN), &payload);
            if let Ok(task) = Task::decode(&bytes) {
                prop_assert_eq!(task.encode().unwrap(), bytes);
            }
            let bytes = framed(tag_of(Answer::DOMAIN), &payload);
            if let Ok(answer) = Answer::decode(&bytes) {
                prop_assert_eq!(answer.encode().unwrap(), bytes);
            }
        }

        #[test]
        fn a_damaged_message_is_an_error_or_another_value(at: prop::sample::Index, to: u8) {
            for message in [Answer::Update(update()), declined()] {
                let mut bytes = message.encode().unwrap();
                let at = at.index(bytes.len());
                prop_assume!(bytes[at] != to);
                bytes[at] = to;
                prop_assert_ne!(Answer::decode(&bytes).ok(), Some(message.clone()));
                prop_assert!(Answer::decode(&bytes[..at]).is_err());
            }
        }
    }
}
