//! One message per owner, and a committee that opens only sums: "NX-Agg".

mod audit;
mod challenge;
mod checks;
mod collector;
mod describe;
mod masked;
mod member;
mod message;
mod opening;
mod owner;
mod params;
mod slots;
mod terms;
#[cfg(test)]
mod tests;

pub use audit::{AuditError, Audited, audit, audit_entry};
pub use collector::Collector;
pub use describe::{Description, describe};
pub use masked::Masked;
pub use member::{MAX_KEYS, Member, MemberEffect, Restored};
pub use message::{
    Certificate, Contribution, Delivery, Entry, Header, Opening, PacketKeyStatement, Proposal,
    Reminder, SumShares, Transcript, Verdict, Vote,
};
pub use owner::Owner;
pub use params::{Acceptance, Packing, TABLE};
pub use terms::{MemberKeys, Terms};
