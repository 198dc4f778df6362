//! Members, honest and lying, that drive the real state machines, and twins of the protocols
//! without one rule each, which fall.

mod bias;
mod board;
mod dkg;
mod hostile;
mod release;
mod reshare;
mod secrecy;
