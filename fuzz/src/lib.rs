//! Hostile bytes for every decoder, and for every state machine that reads messages.
//!
//! A [`Target`] takes any bytes and panics if they break a promise:
//!
//! * what a decoder accepts encodes to the same bytes again;
//! * what describes or audits a message copes with every message that decodes;
//! * a state machine that refuses a message is as it was before;
//! * a snapshot that is accepted is the snapshot of what it restored;
//! * a reader takes no more memory than it says, whatever the bytes claim ([`READERS`]).
//!
//! [`corpus`] has valid bytes for each target, from small sessions of the real protocols, and
//! [`Mutator`] damages them. The same targets run under libFuzzer, from `fuzz/libfuzzer`.
//!
//! ```console
//! $ cargo run --release -p fuzz -- mutate 10000
//! $ cargo run --release -p fuzz -- replay "nexus/mpc/psi/to sender" crash-1234
//! $ cargo run --release -p fuzz -- corpus corpus && cd fuzz/libfuzzer && cargo fuzz run any ../../corpus
//! ```
//!
//! ```
//! let target = fuzz::target("nexus/training/task").expect("a target of that name");
//! (target.run)(b"any bytes at all");
//! ```
//!
//! # Threat model
//!
//! The bytes come from the most capable enemy there is: one who knows all formats and all keys of
//! the session. What is looked for is a panic, an endless loop, an allocation that the bytes do not
//! pay for, or a second encoding of one value; not whether a signature can be forged.

mod corpus;
mod frames;
mod he;
mod machines;
mod mutate;
mod target;

pub use corpus::{Corpus, corpus};
pub use he::{READER_BYTES, READERS};
pub use mutate::Mutator;
pub use target::{TARGETS, Target, target};
