//! The protocol as a whole: jobs by hand and in a simulator.

// The attributes say to clippy that helpers, too, are tests.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod chaos;
#[cfg(test)]
mod learning;
#[cfg(test)]
mod masked;
#[cfg(test)]
mod private;
#[cfg(test)]
mod rounds;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod snapshots;
