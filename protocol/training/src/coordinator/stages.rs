//! How one stage leads to the next.

use nexus_mpc::aggregation::Peer;
use nexus_types::{Cleared, OwnerId, Round, Timestamp};

use super::buffer::{Buffer, size};
use super::intake::{Figures, Intake};
use super::poll::{Poll, Tally, Verdict};
use super::round::OpenRound;
use super::state::Stage;
use super::summary::OpenSummary;
use super::{Coordinator, CoordinatorEffect};
use crate::egress;
use crate::error::TrainingError;
use crate::message::{Task, TaskId};
use crate::record::{Dropped, RoundRecord};
use crate::rule::norm;
use crate::server::Server;

type Effects = Vec<CoordinatorEffect>;
type Outcome = Result<Effects, TrainingError>;

/// Effects that put the open question of `poll` to all who have not answered.
fn ask(poll: &Poll, message: &Cleared) -> Effects {
    let send = |to| CoordinatorEffect::Send { to: Peer::Owner(to), message: message.clone() };
    let mut effects: Effects = poll.waiting().into_iter().map(send).collect();
    effects.push(CoordinatorEffect::Wake { at: poll.deadline });
    effects
}

/// The same for a new question or attempt: counted, and made durable before.
fn put(poll: &mut Poll, message: &Cleared) -> Effects {
    poll.tally.sent(message, poll.waiting().len());
    let mut effects = vec![CoordinatorEffect::Persist];
    effects.extend(ask(poll, message));
    effects
}

/// Effects that carry out `sends`, counted and made durable before, and wake at `deadline`.
pub(super) fn durably(tally: &mut Tally, sends: Effects, deadline: Timestamp) -> Effects {
    count(tally, &sends);
    let mut effects = vec![CoordinatorEffect::Persist];
    effects.extend(sends);
    effects.push(CoordinatorEffect::Wake { at: deadline });
    effects
}

pub(super) fn count(tally: &mut Tally, effects: &[CoordinatorEffect]) {
    for effect in effects {
        if let CoordinatorEffect::Send { message, .. } = effect {
            tally.sent(message, 1);
        }
    }
}

impl Coordinator {
    pub(super) fn start(&mut self, now: Timestamp) -> Outcome {
        if !self.plan.summarises() {
            let figures = Figures::default();
            let record = Tally::new(now).record(Round(0), figures, Vec::new(), now, 0.0);
            return Ok(self.ready(Vec::new(), record));
        }
        if !self.plan.is_clear() {
            return self.open_sum(now, Round(0), Tally::new(now));
        }
        let mut open = OpenSummary::open(&self.plan, now);
        let effects = put(&mut open.poll, &self.summarise()?);
        self.state.stage = Stage::Summarising(open);
        Ok(effects)
    }

    fn summarise(&self) -> Result<Cleared, TrainingError> {
        Ok(egress::control(&Task::Summarise { job: self.plan.job, manifest: None })?)
    }

    pub(super) fn ready(&mut self, sums: Vec<f64>, record: RoundRecord) -> Effects {
        self.state.summary.clone_from(&sums);
        self.state.stage = Stage::Ready(record.clone());
        vec![CoordinatorEffect::Persist, CoordinatorEffect::Summary { sums, record }]
    }

    pub(super) fn begin(&mut self, now: Timestamp, parameters: Vec<f32>) -> Outcome {
        let (got, expected) = (parameters.len(), self.plan.parameters as usize);
        if got != expected {
            return Err(TrainingError::Length { what: "parameters", got, expected });
        }
        if !parameters.iter().all(|value| value.is_finite()) {
            return Err(TrainingError::NotFinite { what: "parameters" });
        }
        self.state.server = Server::new(&self.plan.strategy, parameters);
        self.state.accepted = vec![Round(0); self.plan.owners as usize];
        self.open(now, Round(1))
    }

    /// Opens `round`.
    pub(super) fn open(&mut self, now: Timestamp, round: Round) -> Outcome {
        if !self.plan.is_clear() {
            return self.open_sum(now, round, Tally::new(now));
        }
        let message = self.task(TaskId::first(round))?;
        if !self.plan.strategy.is_buffered() {
            let mut open = OpenRound::open(&self.plan, now, round);
            let effects = put(&mut open.poll, &message);
            self.state.stage = Stage::Training(open);
            return Ok(effects);
        }
        let buffer = Buffer::open(&self.plan, now, round);
        let everyone: Vec<OwnerId> = OwnerId::all(self.plan.owners).collect();
        let sends = self.hand_out(&buffer, &everyone)?;
        Ok(self.put_buffer(buffer, sends))
    }

    /// Goes on with `buffer` after `sends`.
    fn put_buffer(&mut self, mut buffer: Buffer, sends: Effects) -> Effects {
        let effects = durably(&mut buffer.tally, sends, buffer.deadline);
        self.state.stage = Stage::Buffering(buffer);
        effects
    }

    pub(super) fn receive(&mut self, now: Timestamp, from: Peer, bytes: &[u8]) -> Outcome {
        match (std::mem::take(&mut self.state.stage), from) {
            (Stage::Summarising(mut open), Peer::Owner(from)) => {
                open.receive(&self.plan, from, bytes);
                self.judge_summary(now, open, false)
            }
            (Stage::Training(mut open), Peer::Owner(from)) => {
                open.receive(&self.plan, &self.state.accepted, from, bytes);
                self.judge_round(now, open, false)
            }
            (Stage::Buffering(mut buffer), Peer::Owner(from)) => {
                let idle = buffer.receive(&self.plan, from, bytes);
                self.judge_buffer(now, buffer, idle.then_some(from))
            }
            (Stage::Keys(open), from) => self.keys_received(now, open, from, bytes),
            (Stage::Summing(open), from) => self.sum_received(now, open, from, bytes),
            // The clear mode has no committee, and the other stages no questions.
            (stage, _) => Ok(self.rest(stage)),
        }
    }

    pub(super) fn wake(&mut self, now: Timestamp) -> Outcome {
        match std::mem::take(&mut self.state.stage) {
            Stage::Summarising(open) => self.judge_summary(now, open, true),
            Stage::Training(open) => self.judge_round(now, open, true),
            Stage::Buffering(buffer) if now >= buffer.deadline => self.refill(now, buffer),
            Stage::Keys(open) => self.judge_keys(now, open, true),
            Stage::Summing(open) => self.judge_sum(now, open, true),
            stage @ (Stage::New
            | Stage::Ready(_)
            | Stage::Buffering(_)
            | Stage::Finished
            | Stage::Failed(_)) => Ok(self.rest(stage)),
        }
    }

    pub(super) fn rest(&mut self, stage: Stage) -> Effects {
        self.state.stage = stage;
        Effects::new()
    }

    fn judge_summary(&mut self, now: Timestamp, mut open: OpenSummary, woken: bool) -> Outcome {
        let (have, need) = (open.count(), self.plan.quorum);
        match open.poll.verdict(&self.plan, now, woken, have, need) {
            Verdict::Wait => Ok(self.rest(Stage::Summarising(open))),
            Verdict::Close => {
                let (sums, record) = open.close(&self.plan, now);
                Ok(self.ready(sums, record))
            }
            Verdict::Retry => {
                open.retry(&self.plan, now);
                let effects = put(&mut open.poll, &self.summarise()?);
                self.state.stage = Stage::Summarising(open);
                Ok(effects)
            }
            Verdict::Lost => Ok(self.lost(Round(0), have, need, open.missing(now))),
        }
    }

    fn judge_round(&mut self, now: Timestamp, mut open: OpenRound, woken: bool) -> Outcome {
        let (have, need) = (open.intake.updates(), self.plan.needed());
        match open.poll.verdict(&self.plan, now, woken, have, need) {
            Verdict::Wait => Ok(self.rest(Stage::Training(open))),
            Verdict::Close => self.close(now, open),
            Verdict::Retry => {
                open.retry(&self.plan, now);
                let message = self.task(TaskId::first(open.round))?;
                let effects = put(&mut open.poll, &message);
                self.state.stage = Stage::Training(open);
                Ok(effects)
            }
            Verdict::Lost => Ok(self.lost(open.round, have, need, open.missing(now))),
        }
    }

    fn close(&mut self, now: Timestamp, open: OpenRound) -> Outcome {
        let missing = open.missing(now);
        let OpenRound { round, poll, intake } = open;
        let record = self.absorb(now, round, &intake, poll.tally, missing);
        self.go_on(now, record)
    }

    /// What follows a round.
    pub(super) fn go_on(&mut self, now: Timestamp, record: RoundRecord) -> Outcome {
        let round = record.round;
        let mut effects = vec![CoordinatorEffect::RoundClosed(record)];
        if round.0 >= self.plan.rounds {
            effects.extend(self.finish());
        } else {
            effects.extend(self.open(now, round.next())?);
        }
        Ok(effects)
    }

    /// Moves the model by the updates of a round.
    fn absorb(
        &mut self,
        now: Timestamp,
        round: Round,
        intake: &Intake,
        tally: Tally,
        dropped: Vec<Dropped>,
    ) -> RoundRecord {
        let update = intake.aggregate(&self.plan);
        let server = &mut self.state.server;
        if let Some(steers) = intake.steers() {
            server.steer(&steers, intake.updates(), self.plan.owners);
        }
        server.apply(&self.plan.strategy, &update);
        intake.owners().for_each(|owner| self.state.accepted[owner.index()] = round);
        let length = norm(update.iter().copied());
        tally.record(round, intake.figures(), dropped, now, length)
    }

    fn finish(&mut self) -> Effects {
        self.task = None;
        self.state.stage = Stage::Finished;
        let parameters = self.state.server.parameters.clone();
        vec![CoordinatorEffect::Persist, CoordinatorEffect::Finished { parameters }]
    }

    fn lost(&mut self, round: Round, have: u32, need: u32, missing: Vec<Dropped>) -> Effects {
        self.state.stage = Stage::Failed(round);
        vec![CoordinatorEffect::Failed(TrainingError::QuorumLost { round, have, need, missing })]
    }

    /// Uses the buffer if it is full; gives `idle` the current model.
    fn judge_buffer(
        &mut self,
        now: Timestamp,
        mut buffer: Buffer,
        idle: Option<OwnerId>,
    ) -> Outcome {
        if buffer.intake.updates() >= size(&self.plan.strategy) {
            return self.empty(now, buffer, idle);
        }
        let Some(owner) = idle else { return Ok(self.rest(Stage::Buffering(buffer))) };
        buffer.hand(owner, now);
        let sends = self.hand_out(&buffer, &[owner])?;
        count(&mut buffer.tally, &sends);
        self.state.stage = Stage::Buffering(buffer);
        Ok(sends)
    }

    /// Makes the next model from the buffer.
    fn empty(&mut self, now: Timestamp, mut buffer: Buffer, idle: Option<OwnerId>) -> Outcome {
        let round = buffer.round;
        let (tally, intake) = buffer.turn(&self.plan, now);
        let dropped = tally.dropped(|owner| intake.has(owner));
        let record = self.absorb(now, round, &intake, tally, dropped);
        let mut effects = vec![CoordinatorEffect::RoundClosed(record)];
        if round.0 >= self.plan.rounds {
            effects.extend(self.finish());
            return Ok(effects);
        }
        let mut next: Vec<OwnerId> = idle.into_iter().collect();
        if let Some(owner) = idle {
            buffer.hand(owner, now);
        }
        next.extend(buffer.hand_to_silent(&self.plan, now));
        let sends = self.hand_out(&buffer, &next)?;
        effects.extend(self.put_buffer(buffer, sends));
        Ok(effects)
    }

    /// Another attempt at filling the buffer.
    fn refill(&mut self, now: Timestamp, mut buffer: Buffer) -> Outcome {
        if buffer.tally.attempts >= self.plan.attempts {
            let (have, need) = (buffer.intake.updates(), size(&self.plan.strategy));
            let absent = OwnerId::all(self.plan.owners).filter(|&owner| !buffer.intake.has(owner));
            let missing = buffer.tally.missing(absent, now);
            return Ok(self.lost(buffer.round, have, need, missing));
        }
        buffer.retry(&self.plan, now);
        let silent = buffer.hand_to_silent(&self.plan, now);
        let sends = self.hand_out(&buffer, &silent)?;
        Ok(self.put_buffer(buffer, sends))
    }

    /// Sends `owners` the work that the buffer has for them.
    fn hand_out(&mut self, buffer: &Buffer, owners: &[OwnerId]) -> Outcome {
        let send = |&to: &OwnerId| {
            let message = self.task(buffer.asked(to))?;
            Ok(CoordinatorEffect::Send { to: Peer::Owner(to), message })
        };
        owners.iter().map(send).collect()
    }

    pub(super) fn restart(&mut self, now: Timestamp) -> Outcome {
        match std::mem::take(&mut self.state.stage) {
            Stage::New | Stage::Failed(Round(0)) => self.start(now),
            Stage::Failed(round) => self.open(now, round),
            Stage::Summarising(mut open) => {
                open.poll.restart(&self.plan, now);
                let effects = ask(&open.poll, &self.summarise()?);
                self.state.stage = Stage::Summarising(open);
                Ok(effects)
            }
            Stage::Training(mut open) => {
                open.poll.restart(&self.plan, now);
                let effects = ask(&open.poll, &self.task(TaskId::first(open.round))?);
                self.state.stage = Stage::Training(open);
                Ok(effects)
            }
            Stage::Buffering(mut buffer) => {
                buffer.restart(&self.plan, now);
                let everyone: Vec<OwnerId> = OwnerId::all(self.plan.owners).collect();
                let mut effects = self.hand_out(&buffer, &everyone)?;
                effects.push(CoordinatorEffect::Wake { at: buffer.deadline });
                self.state.stage = Stage::Buffering(buffer);
                Ok(effects)
            }
            Stage::Keys(open) => self.request_keys(now, open.round, open.tally, open.keys),
            Stage::Summing(open) => self.restart_sum(now, open),
            Stage::Ready(record) => {
                let sums = self.state.summary.clone();
                self.state.stage = Stage::Ready(record.clone());
                Ok(vec![CoordinatorEffect::Summary { sums, record }])
            }
            Stage::Finished => {
                self.state.stage = Stage::Finished;
                let parameters = self.state.server.parameters.clone();
                Ok(vec![CoordinatorEffect::Finished { parameters }])
            }
        }
    }
}
