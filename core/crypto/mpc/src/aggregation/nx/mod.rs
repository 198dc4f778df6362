//! "NX-Agg": one message per owner, and a committee that opens only sums.
//!
//! An owner hides its values with a mask that adds up: `c_j = A_j k + t e_j + m_j` in each block
//! `j` of 4,096 words, a fresh key `k` of 4,096 small numbers per owner and sum. Whoever knows
//! the sum of the keys can take the mask off the sum of the vectors, at a cost that depends
//! neither on the number of owners nor on who dropped out. The keys are shared among a committee,
//! which adds up shares for one certified set of survivors, once.
//!
//! # Threat model
//!
//! *Output*: the exact integer sum over the certified survivors, at least `n_min` of them, or a
//! named error. *Adversary*, fixed beforehand: a malicious coordinator, up to `f = (m - 1) / 3` of
//! `m` members acting for it, `t_priv` of them pooling what they have afterwards, and any owners,
//! as long as two in the set are honest. It learns the sum of the honest owners' values and no
//! more, if ring-LWE of dimension 4,096 is hard (below) and hashes are random.
//!
//! What is **not** promised:
//! * **A committee on one machine protects nothing from that machine's owner.** It has all shares.
//! * **One honest owner in the set has no protection from the mask**: the others subtract
//!   themselves. Noise in the values is what is left.
//! * An owner can garble a sum: the outcome is [`SumError::Garbled`](super::SumError), never a
//!   wrong model. To find it by a second set would open the difference of two sets, one owner's
//!   update. [`Terms::leaves`] isolates it without that.
//! * An owner may send any values within its slots; bounds on updates are for another layer.
//! * Owners can be left out by the coordinator, and by members that complain; both are on record.
//! * Of an owner and a member that complains about it, one is faulty, and nobody can tell which. More
//!   than `max(2, 5 %)` owners that each send a bad packet to the same honest member have it set
//!   aside; with more than `f` set aside there is no sum. This costs liveness only: who is set aside
//!   still holds its shares back, and a quorum must vote and answer as before.
//!
//! # Protocol
//!
//! Every attempt at a round is a *slot* with a manifest of its own, whose digest `h` is in every
//! hash, signature, seal and public polynomial: `A_j = XOF(h, j)`.
//!
//! | step | who | what |
//! |---|---|---|
//! | 0 | member | publishes signed [packet keys](PacketKeyStatement), fresh randomness, one per slot |
//! | 1 | owner | sends its [`Contribution`]: masked vector, a sealed packet per member with its row of shares of `k`, the digests of both signed, and a polynomial on which all rows must lie |
//! | 2 | coordinator | passes packets on as [`Delivery`] and holds the vector |
//! | 3 | member | opens its packet, checks its row, says good or complains, signed ([`Verdict`]) |
//! | 4 | coordinator | adds the vector to the running sum once all found it good; at the deadline proposes the survivors ([`Proposal`]) |
//! | 5 | member | votes for one set, if it holds a checked row of everybody in it; erases its packet key and rows but for their sum; writes that down, then sends the [`Vote`] |
//! | 6 | coordinator | a quorum of `(m + f)/2 + 1` votes is the [`Certificate`] |
//! | 7 | member | answers one certificate with its [shares of the sum](SumShares), written down first |
//! | 8 | coordinator | recovers the sum of the keys in spite of lies (but names no liar: an owner could help to frame an honest member), accepts it only if it and the errors it leaves are short, and unmasks |
//! | 9 | owner | checks in the [`Opening`] that its message, by a linear fingerprint, is in the sum |
//!
//! Two certificates for one slot would need an honest member to vote twice. It does not, not even
//! across a crash ([`MemberEffect::Persist`]); restored from a [backup](Restored::FromBackup) it
//! sits out. *Fingerprints*: with kept messages, `phi(c) = sum of r^l c_l` over the cubic extension
//! of the field, for an `r` that hashes certificate *and* summed vectors: bound to the certificate
//! alone it would be known before the sum is announced, and a short vector of fingerprint nought
//! could be added. [`audit`] repeats all of this from a [`Transcript`]. Every owner is shown the root
//! over the whole list of fingerprints and the way from its own entry to it; an owner that compares
//! it with the audit's ([`Opening::agrees`]) knows that its entry there is the true one.
//!
//! # Parameters
//!
//! [`Packing`] is a closed table: nothing else can be expressed. Keys and errors are discrete
//! Gaussians of width 4.5 * sqrt(2), because their sums become known: given the sum of two honest
//! keys, what hides one is ring-LWE of width 3.18 (convolution of Gaussians, Peikert 2010), by the
//! primal attack 2^209 classical operations for dimension 4,096 and 64 bits. Ternary or binomial
//! keys have no such argument, and fall; dimension 2,048 leaves 2^80. Decoding fails with
//! probability below 2^-41 for 2^30 coefficients at ten standard deviations.
//!
//! # Cost
//!
//! One thread of a server processor with AVX-512, committee of four, a tenth of 1,000 owners
//! missing, 1,000,000 values two to a word (`cargo run --release -p bench --example aggregation`):
//! owner 22 ms and 4.08 bytes per value; a member 0.7 ms per owner; the coordinator 2.2 ms per
//! owner, more than half of it hashing, and 21 ms to open the sum. It holds the summed vector, those
//! whose packets are not yet checked, and up to 7 (at most 32 MB) that wait to be added together.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use nexus_mpc::Identity;
//! use nexus_mpc::aggregation::nx::{
//!     Acceptance, Collector, Member, MemberEffect, MemberKeys, Owner, Packing, Terms,
//! };
//! use nexus_mpc::aggregation::{Collector as _, Contributor as _, Peer, Progress, Session};
//! use nexus_types::{Digest, MemberId, OwnerId};
//! use rand_chacha::ChaCha12Rng;
//! use rand_chacha::rand_core::SeedableRng;
//!
//! let mut rng = ChaCha12Rng::seed_from_u64(1);
//! let owners: Vec<_> = (0..3).map(|_| Arc::new(Identity::generate(&mut rng))).collect();
//! let signers: Vec<_> = (0..4).map(|_| Arc::new(Identity::generate(&mut rng))).collect();
//! let job = Digest::of("example", b"job");
//! let mut members: Vec<_> =
//!     MemberId::all(4).zip(&signers).map(|(id, own)| Member::new(job, id, Arc::clone(own))).collect();
//! let mut keys = Vec::new();
//! for (member, signer) in members.iter_mut().zip(&signers) {
//!     member.publish(&mut rng, 0, 1)?;
//!     keys.push(MemberKeys { identity: signer.public(), packet: member.packet_key(0) });
//! }
//! let packing = Packing::choose(3, Acceptance::Honest)?;
//! let terms = Terms { packing, members: keys, slot: 0, keep_messages: false, leaves: 1 };
//! let terms = Arc::new(terms);
//! let session = Session {
//!     manifest: Digest::of("example", b"manifest"),
//!     owners: Arc::new(OwnerId::all(3).zip(owners.iter().map(|own| own.public())).collect()),
//!     n_min: 2,
//!     values: 2,
//! };
//!
//! let mut collector = Collector::new(session.clone(), Arc::clone(&terms))?;
//! for member in &mut members {
//!     member.open(session.clone(), Arc::clone(&terms))?;
//! }
//! let mut pending = Vec::new();
//! for (id, identity) in OwnerId::all(3).zip(owners) {
//!     let mut owner = Owner::new(session.clone(), Arc::clone(&terms), id, identity)?;
//!     let message = owner.contribute(&mut rng, &[1, -10])?;
//!     pending.extend(collector.receive(Peer::Owner(id), &message)?);
//! }
//! let opened = loop {
//!     for outgoing in pending.drain(..) {
//!         let Peer::Member(id) = outgoing.to else { continue };
//!         for effect in members[id.index()].receive(&outgoing.message)? {
//!             match effect {
//!                 MemberEffect::Persist => {} // A real member makes its snapshot durable here.
//!                 MemberEffect::Send(reply) => {
//!                     collector.receive(outgoing.to, &reply)?;
//!                 }
//!             }
//!         }
//!     }
//!     match collector.close()? {
//!         Progress::Continue(messages) => pending = messages,
//!         Progress::Done(opened) => break opened,
//!     }
//! };
//! assert_eq!(opened.sum, [3, -30]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # References
//!
//! * One message and a committee: Karthikeyan and Polychroniadou, *OPA*, CRYPTO 2025; Bell-Clark
//!   and others, *Willow*, CRYPTO 2025.
//! * Hints on secrets: Kim and others, *Toward practical lattice-based proof of knowledge from
//!   hint-MLWE*, CRYPTO 2023; Peikert, *An efficient and parallel Gaussian sampler*, CRYPTO 2010.
//! * Packed shares: Franklin and Yung, STOC 1992. Quorums: Bracha, 1987.

mod audit;
mod challenge;
mod checks;
mod collector;
mod describe;
mod list;
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

pub use audit::{AuditError, Audited, audit};
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
