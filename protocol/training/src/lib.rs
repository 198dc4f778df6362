//! Federated rounds as pure state machines: a coordinator that asks, waits and aggregates, and
//! participants that train and answer.
//!
//! # Why it exists
//!
//! Owners want one model from all their rows without showing each other the rows. In rounds, each
//! trains the current model on its own rows and sends what that changed; the coordinator makes
//! the next model from the changes. This crate decides who is asked, what is waited for, what is
//! believed and what is added up. It sees a model as a vector of numbers, and knows no network,
//! clock, disk, thread or learning: events go in, effects come out.
//!
//! # Threat model
//!
//! In the *clear* mode **the coordinator sees every owner's update**, and an update can reveal
//! rows. With [`Protection::Masked`] nobody sees one: owners send masked integers, and only sums
//! are opened, by a committee ([`Member`]) or by the owners together, under [`JobTerms`] that no
//! round can change. `nexus-mpc` says what that rests on.
//!
//! | who | may | is held back by |
//! |---|---|---|
//! | network | lose, repeat, delay, reorder messages | deadlines, attempts, task ids; the sender's name is the transport's promise |
//! | owner | be silent, crash, decline | quorum; the record names it and why |
//! | owner | send garbage, NaN, another job's answer | decoding with limits, [`Update::check`]: it is recorded and changes nothing |
//! | owner | claim many examples | [`Plan::example_cap`], [`Weighting::Uniform`] |
//! | owner | send a false update | a robust [`Rule`], up to the number of liars it is set for; not with the mean, SCAFFOLD or FedBuff |
//! | coordinator | send another model than the plan's | refused; but *values* of parameters are its to choose |
//! | coordinator | ask for old rounds again | refused; a repeated task gets the answer it got before |
//! | coordinator, masked | show owners different models, add its own keys, lower the floor, try a round with other owners or weights | every mask is bound to one signed [`Manifest`]; owners and members check it against the terms and against those before it |
//! | coordinator, masked | open two sums of a round and subtract them | who has helped to open one helps with no other |
//! | coordinator, private | learn of a single row from all sums together, whatever models it hands out; also with [`PrivacyTerms::colluding`] owners | noise that is as wide as [`PrivacyTerms`] promise in every sum that can be opened; every party computes the promise anew before it takes part |
//! | owner, private | leave out its share of the noise | counted among the colluding; nobody else's row is hidden less than promised |
//! | owner, masked | send false weights or figures | impossible totals end the job; possible ones are poison like any other, bounded by [`JobTerms::clip`] |
//!
//! # The protocol
//!
//! 1. **Statistics** (if [`Plan::statistics`] > 0). The coordinator sends [`Task::Summarise`] to
//!    all owners; each answers [`Answer::Summary`], numbers that may be added up. The sums leave
//!    as [`CoordinatorEffect::Summary`], and the driver answers with the first model,
//!    [`CoordinatorEvent::Begin`].
//! 2. **Round** r = 1, 2, ... The coordinator draws [`Plan::participants`] and sends each the
//!    same [`Task::Train`]: the model, the sums, and for SCAFFOLD its control variate and whose
//!    updates it used. An owner trains and answers [`Answer::Update`], or [`Answer::Declined`]
//!    with a reason.
//! 3. **Close.** When all have answered, or at the deadline if [`Plan::needed`] updates came, the
//!    [`Rule`] makes one update of them and the [`Strategy`] the next model. A late, repeated or
//!    unusable answer is recorded and ignored.
//! 4. **Retry.** With fewer updates, those who gave none are asked again, up to
//!    [`Plan::attempts`] times; then the job fails with [`TrainingError::QuorumLost`], which
//!    says who is missing and why. No wait is without end.
//!
//! With [`Strategy::FedBuff`] steps 2 and 3 differ: every owner always has work. Who delivers an
//! update gets the current model at once; as soon as the buffer is full it becomes the next
//! model, and that is recorded as a round. Owners silent for a deadline are asked again; if the
//! buffer is not full after all attempts, the job fails. Such an owner finishes what it has
//! begun: a slow one contributes old updates rather than none.
//!
//! Either machine can be put away at any time ([`Coordinator::snapshot`]) and taken up again: an
//! answered task is answered from memory, so repeating a question is free.
//!
//! # Masked sums
//!
//! Each attempt at a stage or round is a *sum* with a number of its own. The coordinator signs a
//! [`Manifest`] (what is summed, over whom, at least how many, digest of the model, the committee's
//! keys for this sum); members accept it ([`MemberTask::Open`]) before owners are asked. Keys of a
//! quorum are enough: a member that gave none in time has no part in those sums. An owner
//! trains, turns its update into integers (weight relative to the mean, clipped, scaled and rounded
//! once) and sends one [`Answer::Sum`]; loss, steps and weight travel in the same vector. What the
//! engine needs besides goes to and fro as [`Task::Sum`] and [`MemberTask::Sum`]. The exact sum
//! leaves as a [`SumRecord`], from which [`Replay`] repeats the whole job, and moves the model. Rules
//! that compare single updates, and FedBuff, do not go with it.
//!
//! **Private sums.** With [`JobTerms::privacy`] the rows that gave a model cannot be told from it.
//! The driver answers [`ParticipantEffect::Train`] with [`Participant::release`] instead of
//! [`ParticipantEvent::Trained`]: it gives a sum of clipped gradients (or a clipped update) and a
//! ticket of the owner's budget. The machine rounds, adds the owner's share of the noise, masks, and
//! sends P integers and nothing else; noise that is less than what the ticket paid for is refused, and
//! so is an update without any. Weights, losses and statistics are no part of such a job: sums are
//! divided by the rows that owners declared. [`Release`] says how wide the noise is in a sum over so
//! many owners, and in one owner's message alone. A round that is tried again draws fresh noise for a
//! new mask under the same ticket, for only one sum of a round is opened. The page for reviewers is
//! `book/privacy.md`.
//!
//! **SCAFFOLD.** An owner's new control variate follows from its update and the displacement it
//! reports, so the coordinator computes the change itself and the upload is no longer than
//! FedAvg's. The owner keeps the new variate only when a later task says that its update of that
//! round was used; else both sides go on with the old one.
//!
//! **Order.** Sums are fixed-point and lists are in the order of owners: the model depends on
//! which answers were used, never on which came first (except with FedBuff, whose very idea that
//! is).
//!
//! # Cost
//!
//! For P parameters, S statistics, N owners of whom n are asked:
//!
//! | | bytes |
//! |---|---|
//! | task, to each owner asked | 4P + 8S + 66; SCAFFOLD 8P + 4N + 8S + 66 |
//! | update | 4P + 117 |
//! | coordinator, mean or norm bound | 24P, + 4P for FedAvgM, + 8P for adaptive strategies, + 24P for SCAFFOLD |
//! | coordinator, rules that keep updates | 4Pn + 8P |
//! | participant | 4P; SCAFFOLD 12P |
//!
//! These are held from event to event; a message being decoded or sent, a task being trained and
//! an aggregate being applied come on top, each O(P). [`Coordinator::held_bytes`] measures it.
//!
//! Work per update is O(P); the median and the trimmed mean take O(P n log n) a round, Krum and
//! Bulyan O(P n^2), the geometric median O(P n) a step.
//!
//! # Example
//!
//! Two owners whose optima are 1 and 3, in a loop that stands for the network:
//!
//! ```
//! use std::{collections::VecDeque, time::Duration};
//! use nexus_training::{
//!     Coordinator, CoordinatorEffect, CoordinatorEvent, LocalResult, MAX_EXAMPLE_CAP, Participant,
//!     ParticipantEffect, ParticipantEvent, Peer, Plan, Protection, Rule, Strategy, Weighting,
//! };
//! use nexus_types::{Digest, JobId, ModelHash, OwnerId, Seed, Timestamp};
//! use rand_chacha::rand_core::SeedableRng;
//!
//! let plan = Plan {
//!     job: JobId(Digest::of("example job", b"")),
//!     model: ModelHash(Digest::of("example model", b"")),
//!     owners: 2, rounds: 20, parameters: 1, statistics: 0, fraction: 1.0, quorum: 2,
//!     round_deadline: Duration::from_secs(30), attempts: 3,
//!     strategy: Strategy::FedAvg, rule: Rule::Mean,
//!     weighting: Weighting::Uniform, example_cap: MAX_EXAMPLE_CAP,
//!     seed: Seed::from_number(1), protection: Protection::Clear,
//! };
//! let mut coordinator = Coordinator::new(plan.clone())?;
//! let mut owners: Vec<Participant> =
//!     OwnerId::all(2).map(|id| Participant::new(plan.clone(), id)).collect::<Result<_, _>>()?;
//!
//! // Masked sums draw from it; it must be the operating system's then.
//! let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
//! let now = Timestamp(0);
//! let mut effects = VecDeque::from(coordinator.step(now, CoordinatorEvent::Start)?);
//! let model = loop {
//!     match effects.pop_front().expect("the job goes on") {
//!         CoordinatorEffect::Summary { .. } => {
//!             let begin = CoordinatorEvent::Begin { parameters: vec![0.0] };
//!             effects.extend(coordinator.step(now, begin)?);
//!         }
//!         CoordinatorEffect::Send { to: Peer::Owner(to), message } => {
//!             let owner = &mut owners[to.index()];
//!             let mut todo = VecDeque::from(owner.step(&mut rng, ParticipantEvent::Message(&message))?);
//!             while let Some(effect) = todo.pop_front() {
//!                 match effect {
//!                     ParticipantEffect::Train(task) => {
//!                         let optimum = [1.0, 3.0][to.index()];
//!                         let gradient = task.parameters[0] - optimum;
//!                         let result = LocalResult {
//!                             delta: vec![-0.5 * gradient], examples: 10, loss_sum: 0.0,
//!                             steps: 1, displacement: 0.5,
//!                         };
//!                         todo.extend(owner.step(&mut rng, ParticipantEvent::Trained(task.id, result))?);
//!                     }
//!                     ParticipantEffect::Send(bytes) => {
//!                         let event = CoordinatorEvent::Message { from: Peer::Owner(to), bytes: &bytes };
//!                         effects.extend(coordinator.step(now, event)?);
//!                     }
//!                     _ => {}
//!                 }
//!             }
//!         }
//!         CoordinatorEffect::Finished { parameters } => break parameters,
//!         _ => {}
//!     }
//! };
//! assert!((model[0] - 2.0).abs() < 1e-3);
//! # Ok::<(), nexus_training::TrainingError>(())
//! ```
//!
//! # References
//!
//! * FedAvg: McMahan et al., AISTATS 2017, arXiv:1602.05629
//! * FedProx: Li et al., `MLSys` 2020, arXiv:1812.06127
//! * FedAvgM: Hsu et al. 2019, arXiv:1909.06335
//! * FedAdam, FedYogi, FedAdagrad: Reddi et al., ICLR 2021, arXiv:2003.00295
//! * SCAFFOLD: Karimireddy et al., ICML 2020, arXiv:1910.06378
//! * FedBuff: Nguyen et al., AISTATS 2022, arXiv:2106.06639
//! * Norm bound: Sun et al. 2019, arXiv:1911.07963
//! * Median, trimmed mean: Yin et al., ICML 2018, arXiv:1803.01498
//! * Krum, multi-Krum: Blanchard et al., `NeurIPS` 2017, arXiv:1703.02757
//! * Bulyan: El Mhamdi et al., ICML 2018, arXiv:1802.07927
//! * Geometric median: Pillutla et al., IEEE TSP 2022, arXiv:1912.13445

mod coordinator;
mod egress;
mod error;
mod message;
mod participant;
mod plan;
mod record;
mod replay;
mod rule;
mod secure;
mod server;
mod strategy;

pub use coordinator::{Coordinator, CoordinatorEffect, CoordinatorEvent};
pub use error::TrainingError;
pub use message::{Answer, MAX_MAGNITUDE, MAX_STATISTIC, Task, TaskId, TrainTask, Update};
pub use nexus_mpc::Identity;
pub use nexus_mpc::aggregation::Peer;
pub use nexus_mpc::aggregation::nx::Restored;
pub use participant::{
    LocalResult, LocalTask, Participant, ParticipantEffect, ParticipantEvent, Refusal,
};
pub use plan::{MAX_ATTEMPTS, MAX_EXAMPLE_CAP, Plan, Protection, Weighting};
pub use record::{CommitteeRecord, DropReason, Dropped, RoundRecord};
pub use replay::{Replay, ReplayError, Replayed};
pub use rule::Rule;
pub use secure::{
    EngineManifest, EngineTerms, JobTerms, MAX_SUM_ATTEMPTS, MIN_SUM_OWNERS, Manifest,
    ManifestRefusal, Member, MemberAnswer, MemberEffect, MemberRefusal, MemberTask, PrivacyTerms,
    Release, SignedManifest, SignedPacketKey, SumRecord, cooled,
};
pub use strategy::Strategy;
