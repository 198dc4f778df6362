//! Sums in a seeded network of real state machines.

mod exact;
mod world;
