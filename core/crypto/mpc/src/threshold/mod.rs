//! Threshold keys.

mod committee;
pub mod dkg;
mod exchange;
mod group;
mod key;
mod polynomial;
mod post;
pub mod release;
pub mod reshare;
pub mod rotate;
mod schnorr;
mod session;
pub mod tdh2;
#[cfg(test)]
mod tests;

pub use committee::{Committee, CommitteeError, MAX_MEMBERS, MIN_MEMBERS, Seat};
pub use group::{Exponent, Point};
pub use key::{Certificate, CertificateError, Confirmation, GroupKey, KeyShare};
pub use post::{
    Body, Deal, Exposure, Extraction, Fault, OpenShare, Opening, Phase, Post, PostError, Statement,
};
pub use schnorr::Proof;
pub use session::{Outcome, Restart, SessionError, Step};
