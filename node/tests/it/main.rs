//! The program as a user runs it.

mod attacks;
mod bad_input;
mod commands;
mod faults;
mod jobs;
mod nexus;
mod resume;
mod simulator;
