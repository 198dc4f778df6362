//! The protocol as a whole: jobs by hand and in a simulator.

mod bench;
mod chaos;
mod simulator;
