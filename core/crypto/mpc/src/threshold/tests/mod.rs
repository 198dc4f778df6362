//! Members, honest and lying, that drive the real state machines.

mod board;
mod dkg;
