//! What happens at an owner: training the common model on its own rows, and measuring it.
//!
//! # Why it exists
//!
//! `nexus-training` decides who trains when and what becomes of the updates, and sees models as
//! lists of numbers. `nexus-models` computes losses and gradients. This crate is between them: it
//! turns a [`LocalTask`](nexus_training::LocalTask) and a data set into a
//! [`LocalResult`](nexus_training::LocalResult), with whatever the server's strategy asks of an
//! owner, and says how good the outcome is.
//!
//! | | |
//! |---|---|
//! | [`train_local`] | one round of training: SGD or Adam, FedProx and SCAFFOLD terms |
//! | [`clipped_gradients`], [`sampled_clipped_gradients`] | what private training adds up |
//! | [`distil()`] | a network that learns to answer as another one does |
//! | [`evaluate()`], [`metrics`] | loss, accuracy, F1, AUC, confusion, errors of numbers |
//! | [`split`] | one data set for several owners; rows kept for testing |
//! | [`Baseline`] | the same model trained in one place, and by each owner alone |
//! | [`parallel`] | owners on all cores, with the same results as on one |
//!
//! # A round
//!
//! 1. The owner's protocol machine gets the model and hands out a task.
//! 2. [`train_local`] goes through the rows in mini-batches. Each step takes the mean gradient,
//!    adds `mu (w - w_0)` (FedProx) and `c - c_i` (SCAFFOLD), and lets the [`Optimiser`] move the
//!    parameters at the learning rate of the [`Schedule`].
//! 3. What goes back is the change of the parameters, the number of rows, their loss, and the
//!    *displacement*: the change is about minus the displacement times the mean gradient, which
//!    is all a server needs to know about an owner's optimiser.
//!
//! Order and dropout come from a seed and all sums have a fixed order, so a task has one result
//! on a machine, bit for bit, whatever the number of threads. Between machines the last bits may
//! differ, as matrix products use the widest instructions there are.
//!
//! # Private training
//!
//! With unit *record* a round is one step: every owner's [`Clipped`](nexus_privacy::flow::Clipped) sum of
//! its rows' gradients goes on through noise and mask, and the model moves by the sum of all owners.
//! With unit *owner* nothing here changes: the change that [`train_local`] returns is clipped as a
//! whole.
//!
//! A row must not move the sum by more than its clipped gradient. Three things see to it:
//!
//! * *Slots.* The matrix kernels order their additions by the size of a batch, and the bits of a row's
//!   gradient may depend on its place; they do not depend on the other rows. So batches are slots of
//!   fixed places, the empty ones computed too, and where a row is put does not follow from which
//!   others there are: in a full batch its place is its number, in a sample it is drawn with the
//!   coins. One more row takes an empty place and moves nobody.
//! * *Runs.* Gradients are added in f32 in runs of 64 and up to slots of 384, then in f64. In f32 a row
//!   moves the rounding of others by 2^-24 (64² + 2 (64 + 128 + .. + 384)) C = 4.0e-4 C at most, which
//!   with the error of norms, 1.2e-4, is below the margin of clipping, 9.8e-4. Of what has several
//!   positions (convolutions, sequences) each row's gradient is a product by itself, and norms are
//!   bounds: what cancels within a row is not lost from its norm.
//! * *Weights of 0.* A row whose gradient is not finite is left out, and nobody is told.
//!
//! Dropout is refused. [`Sampling`] says how many places a sample has and how likely that is too few;
//! a batch that is padded to them takes the same time whatever the coins said.
//!
//! # Example
//!
//! Three owners of handwritten digits, federated averaging. The state machines are those that a
//! network runs; here their messages are handed over directly.
//!
//! ```
//! use std::collections::VecDeque;
//! use std::time::Duration;
//!
//! use nexus_learning::{LocalConfig, evaluate, split, train_local};
//! use nexus_models::{ModelSpec, Network, data::builtin};
//! use nexus_training::{
//!     Coordinator, CoordinatorEffect, CoordinatorEvent, MAX_EXAMPLE_CAP, Participant,
//!     ParticipantEffect, ParticipantEvent, Peer, Plan, Protection, Rule, Strategy, Weighting,
//! };
//! use nexus_types::{Digest, JobId, OwnerId, Seed, Timestamp};
//! use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
//!
//! // Three owners, and rows that none of them trains on.
//! let digits = builtin::digits();
//! let (train, test) = split::test_split(digits.row_hashes(), 0.2)?;
//! let (train, test) = (digits.select(&train), digits.select(&test));
//! let seed = Seed::from_number(1);
//! let dealt = split::iid(train.rows(), 3, &seed)?;
//! let owners: Vec<_> = dealt.iter().map(|rows| train.select(rows)).collect();
//!
//! let network = Network::new(&ModelSpec::mlp(64, &[64], 10))?;
//! let plan = Plan {
//!     job: JobId(Digest::of("example", b"digits")),
//!     model: network.hash(),
//!     owners: 3,
//!     rounds: 3,
//!     parameters: u32::try_from(network.parameters())?,
//!     statistics: 0,
//!     fraction: 1.0,
//!     quorum: 3,
//!     round_deadline: Duration::from_secs(60),
//!     attempts: 1,
//!     strategy: Strategy::FedAvg,
//!     rule: Rule::Mean,
//!     weighting: Weighting::Examples,
//!     example_cap: MAX_EXAMPLE_CAP,
//!     seed,
//!     protection: Protection::Clear,
//! };
//! let (config, now) = (LocalConfig::default(), Timestamp::default());
//! let mut coordinator = Coordinator::new(plan.clone())?;
//! let mut participants = OwnerId::all(3)
//!     .map(|owner| Participant::new(plan.clone(), owner))
//!     .collect::<Result<Vec<_>, _>>()?;
//!
//! // Masked sums draw from it; it must be the operating system's then.
//! let mut rng = ChaCha12Rng::seed_from_u64(1);
//! let mut parameters = network.initial(&seed);
//! let mut effects = VecDeque::from(coordinator.step(now, CoordinatorEvent::Start)?);
//! while let Some(effect) = effects.pop_front() {
//!     match effect {
//!         CoordinatorEffect::Summary { .. } => {
//!             let begin = CoordinatorEvent::Begin { parameters: parameters.clone() };
//!             effects.extend(coordinator.step(now, begin)?);
//!         }
//!         CoordinatorEffect::Send { to: Peer::Owner(to), message } => {
//!             let (participant, data) = (&mut participants[to.index()], &owners[to.index()]);
//!             let received = ParticipantEvent::Message(&message);
//!             let mut work = VecDeque::from(participant.step(&mut rng, received)?);
//!             while let Some(effect) = work.pop_front() {
//!                 match effect {
//!                     ParticipantEffect::Train(task) => {
//!                         let seed = seed.derive("owner", &[to.0.into()]);
//!                         let result = train_local(&network, data, &config, &task, &seed)?;
//!                         let trained = ParticipantEvent::Trained(task.id, result);
//!                         work.extend(participant.step(&mut rng, trained)?);
//!                     }
//!                     ParticipantEffect::Send(bytes) => {
//!                         let from = Peer::Owner(to);
//!                         let answer = CoordinatorEvent::Message { from, bytes: &bytes };
//!                         effects.extend(coordinator.step(now, answer)?);
//!                     }
//!                     _ => {} // Nothing here crashes, so nothing needs to be made durable.
//!                 }
//!             }
//!         }
//!         CoordinatorEffect::Finished { parameters: trained } => parameters = trained,
//!         _ => {}
//!     }
//! }
//! let accuracy = evaluate(&network, &parameters, &test)?.accuracy();
//! assert!(accuracy > Some(0.93), "{accuracy:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Threat model
//!
//! The task comes from a coordinator that may be an enemy: vectors of a wrong length are refused
//! and numbers that lead nowhere end in [`LearningError::Diverged`], without a panic. Time and
//! memory are set by the owner's own [`LocalConfig`] and rows, never by the task.
//!
//! But for clipped sums, nothing here hides anything. The change of the parameters tells its receiver about the rows
//! (of a small batch, the rows themselves: Zhu et al. 2019, arXiv:1906.08935), and so do the loss
//! and the number of rows. Privacy and secrecy are added by other layers to what leaves this one.
//!
//! # Cost
//!
//! A step costs three matrix products per layer and one pass over the parameters; memory is twice
//! the parameters, one or two more for the optimiser, and the activations of a mini-batch.
//! Measured on one core of an AVX-512 server: a step of the network above on 32 rows, 18
//! microseconds; ten owners, five rounds of five epochs, 1,250 steps in all, 23 milliseconds.
//!
//! # References
//!
//! * Federated averaging: arXiv:1602.05629 · FedProx: arXiv:1812.06127 · SCAFFOLD:
//!   arXiv:1910.06378
//! * Adam: arXiv:1412.6980 · decoupled weight decay: arXiv:1711.05101 · cosine schedule:
//!   arXiv:1608.03983
//! * Dirichlet splits: arXiv:1905.12022, arXiv:1909.06335 · gamma numbers: Marsaglia & Tsang,
//!   *ACM Transactions on Mathematical Software* 26 (2000)

mod baseline;
mod batch;
mod distil;
pub mod encrypted;
mod error;
mod evaluate;
mod local;
pub mod metrics;
mod number;
mod optimiser;
pub mod parallel;
mod private;
mod schedule;
pub mod split;

pub use baseline::Baseline;
pub use distil::{Distillation, distil};
pub use error::LearningError;
pub use evaluate::{ClassScores, Evaluation, Scores, evaluate, predict};
pub use local::{Length, LocalConfig, train_local};
pub use optimiser::{Optimiser, OptimiserState};
pub use private::{Sampling, clipped_gradients, sampled_clipped_gradients};
pub use schedule::Schedule;
