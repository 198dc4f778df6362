//! The protocol as a whole: jobs by hand and in a simulator.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod chaos;
#[cfg(test)]
mod learning;
#[cfg(test)]
mod rounds;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod snapshots;
