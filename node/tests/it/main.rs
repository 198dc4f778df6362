//! The program as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod bad_input;
mod commands;
mod faults;
mod forest;
mod infer;
mod jobs;
mod killed;
mod nexus;
mod outsourced;
mod private;
mod resume;
mod simulator;
