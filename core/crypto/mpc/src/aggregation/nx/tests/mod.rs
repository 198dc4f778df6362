//! Sums in a seeded network of real state machines, and attacks on them by malicious programs.

mod certificate;
mod codec;
mod coordinator;
mod exact;
mod mask;
mod memory;
mod owners;
mod programs;
mod twins;
mod world;
