//! The library behind `nexus`: every role of Cipher Nexus, the command line and the reports.
//!
//! # What it is for
//!
//! One program plays every party. Today it runs a whole federated job on one machine
//! ([`run`]): ten owners, a coordinator, the messages between them, and the report.
//!
//! # How a run works
//!
//! 1. [`job`] reads the job file; every error points into it.
//! 2. [`run`] reads the data, gives each owner its rows, and makes the folder `runs/<id>/`.
//! 3. [`simulation`] drives the state machines of `nexus-training`, the ones a network would
//!    carry, in seeded virtual time; it can delay, lose and repeat messages, crash parties and
//!    play attackers.
//! 4. After each round the state goes to disk. A killed run goes on from there; one without noise ends
//!    with the same bytes.
//! 5. [`summary`] and [`report`] say what happened, to programs and to people.
//!
//! # Threat model
//!
//! All parties are this process, so nothing here protects an owner from this machine, and the
//! summary says so. With `suite = "clear"` the coordinator sees each update; on a network that
//! would show it what an update reveals of an owner's rows. Files that a user hands in (jobs,
//! data, models, checkpoints) may be hostile: they are bounded, checked, and refused with an
//! error that names the place.
//!
//! # Cost
//!
//! The digits job (10 owners, 40 private rounds) takes some 3 CPU seconds, nearly all of them for keys,
//! signatures and masks, and some 25 megabytes; without privacy (5 rounds) less than one second.
//!
//! # Example
//!
//! ```
//! use cipher_nexus::job::JobFile;
//!
//! let job = JobFile::embedded()?;
//! assert_eq!(job.job.privacy.map(|privacy| privacy.epsilon), Some(3.0));
//! # Ok::<(), cipher_nexus::job::JobProblem>(())
//! ```
//!
//! # References
//!
//! * McMahan et al. 2017, *Communication-Efficient Learning of Deep Networks from Decentralized
//!   Data*, arXiv:1602.05629

pub mod cli;
pub mod describe;
pub mod error;
pub mod inference;
pub mod job;
pub mod overlap;
pub mod printer;
mod random;
pub mod report;
pub mod run;
pub mod settings;
pub mod simulation;
pub mod summary;
pub mod total;
pub mod vault;
