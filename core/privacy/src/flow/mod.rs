//! Information flow: what may leave an owner, by types that cost nothing.
//!
//! ```text
//!              clip_rows, clip_whole        noise(ticket)          mask
//!  Private<T> ──────────────────────▶ Clipped ──────────▶ Noised ──────▶ Masked ┐
//!      │                                                    │ release           │ sum is opened
//!      │ seal                                               ▼ (full noise only) ▼
//!      └──────────▶ Sealed                               Released ◀─────────────┘
//! ```
//!
//! Every arrow consumes what it starts from, and there is no other way: fields are private, and the
//! secret stages can be neither printed nor copied nor serialised. [`Egress`] is implemented for
//! [`Masked`], [`Released`] and [`Sealed`] alone; senders take [`nexus_types::Cleared`], which the protocol
//! makes of these and of messages that no row decides. `noise` takes a [`BudgetTicket`] by value and refuses noise that is less than
//! what the ticket paid for.
//!
//! Every stage carries a [`Label`] of the decentralised label model: who may read it by whose word, for
//! which purposes, and who vouches for it. At a boundary [`Label::flows_to`] decides, and fails closed
//! where a principal is unknown; what it demands of a job is in the terms whose digest is signed and is
//! associated data of what is sealed.
//!
//! # What protocols provide
//!
//! Masks are made where sums are: [`Masker`] hands the noised integers to one contributor of a
//! secure sum, [`Opener`] brings its result back, [`Sealer`] encrypts. An implementation is
//! trusted with what it is given. So there are few, and a house rule can name the files that have one;
//! the same holds for [`Waiver`], by which a job without privacy says so.
//!
//! # Threat model
//!
//! Mistakes of honest programmers: a value that is logged, sent too early, noised before it is clipped, paid
//! for twice. Not a programmer who wants to leak: Rust has statics and files. Hostile code
//! belongs behind a sandbox or an enclave with [`Egress`] outside.
//!
//! # Cost
//!
//! Stages are the vector they hold and a counted pointer to a label; a transition moves them. Per
//! element nothing is added: a test compares sizes. What secret stages cost is that their memory is
//! wiped: 2.3 ns a value for both vectors, clipping 203,530 values, rounding and handing them to a masker
//! included 13.7 ns against 11.4 (`cargo bench -p bench --bench privacy`). Counted in instructions and
//! against the same steps that wipe by hand, stages cost 0.01 % (`bench/examples/flow_cost.rs`).
//!
//! # Example
//!
//! ```
//! use nexus_privacy::flow::{Egress, Label, Private, Principal};
//! use nexus_privacy::mechanisms::clip::Clip;
//! use std::sync::Arc;
//!
//! let (clinic, lab) = (Principal::named("clinic"), Principal::named("lab"));
//! let label = Arc::new(Label::owned(clinic, [lab]).for_purposes(["research"])?);
//! let sums = Private::new(vec![0.3, -0.4], label);
//! let clipped = sums.clip_whole(Clip::new(1.0)?);
//! assert!(clipped.label().is_readable_by(lab));
//!
//! fn send(_: &impl Egress) {}
//! // send(&clipped); does not compile: the trait `Egress` is not implemented for `Clipped`
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Sources
//!
//! * A. Myers, B. Liskov, *Protecting Privacy using the Decentralized Label Model*, 2000
//! * R. Strom, S. Yemini, *Typestate*, 1986

mod egress;
mod label;
mod stage;

pub use egress::{Egress, Masked, Opener, Released, Sealed, Sealer};
pub use label::{
    Label, LabelError, MAX_NAME_BYTES, MAX_PRINCIPALS, Principal, Principals, Purpose,
};
pub use stage::{
    Clipped, Examples, FlowError, Full, Masker, Noised, Private, Receipt, Share, Waiver,
};

pub use crate::budget::BudgetTicket;

#[cfg(test)]
mod tests;
