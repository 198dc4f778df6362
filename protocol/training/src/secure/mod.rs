//! Masked sums: what a job and a round fix, and how updates become integers.

mod engine;
mod kept;
mod ledger;
mod manifest;
mod member;
mod payload;
mod private;
mod record;
mod terms;
#[cfg(test)]
mod tests;
mod twin;

pub use ledger::ManifestRefusal;
pub use manifest::{EngineManifest, Manifest, SignedManifest, SignedPacketKey};
pub use member::{Member, MemberAnswer, MemberEffect, MemberRefusal, MemberTask};
pub use private::{PrivacyTerms, Release, cooled};
pub use record::SumRecord;
pub use terms::{EngineTerms, JobTerms, MAX_SUM_ATTEMPTS, MIN_SUM_OWNERS};

pub(crate) use engine::{Collector, Contributor};
pub(crate) use kept::Kept;
pub(crate) use ledger::{Ledger, Seen};
pub(crate) use member::EPOCH;
pub(crate) use payload::{Payload, Totals, decode_statistics, encode_statistics, expected_values};
pub(crate) use private::Mask;
