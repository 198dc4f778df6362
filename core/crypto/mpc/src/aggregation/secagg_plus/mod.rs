//! Secure sums with one server and no committee: `SecAgg+` against a server that cheats.
//!
//! Every owner masks its vector with a stream of its own and one for each of its neighbours,
//! which the neighbour subtracts; what is left of the masks in the sum is removed with secrets
//! that the neighbours hold shares of. The family is that of Bonawitz et al. (CCS 2017), the
//! sparse neighbourhoods are of Bell et al. (CCS 2020).
//!
//! # Protocol
//!
//! All is bound to the digest of the round's manifest, `h`. Five messages from each owner; the
//! coordinator sends between them and decides when a phase ends.
//!
//! | | an owner sends | the coordinator sends |
//! |---|---|---|
//! | 1 | two fresh ristretto255 keys, for packets and for masks, signed with `h` | the list of all signed keys |
//! | 2 | after *drawing `k` neighbours itself*: for each a packet with one share of its mask seed and one of its mask key, and a commitment to the seed | who shared, and everyone's packets |
//! | 3 | `x + own mask ± masks with those it drew and those that drew it`, mod 2^32; a signature on its *view*: the list of keys and of those who shared | the proposed survivors |
//! | 4 | *its only vote*: a signature on view and survivors | the votes, and the view signatures of survivors without a vote |
//! | 5 | for each owner whose shares it holds, *either* the seed's (a survivor) *or* the key's (dropped out) | |
//!
//! An owner sends the fifth only when a quorum of more than half of all owners asked and the
//! corrupt ones together voted exactly as it did, and all survivors whose shares it holds masked
//! under its view. Packets are ChaCha20-Poly1305 (RFC 8439), masks AES-128 in counter mode under
//! keys of 128 bits, derived with BLAKE3 from `h`, both names and the common point.
//!
//! # Parameters
//!
//! [`Terms`] say how many owners may be corrupt and how many may drop out. Degree `k`, threshold
//! `t` and quorum follow by computation on both sides ([`Terms::neighbourhood`],
//! [`Terms::quorum`]) and are part of no message. With a tenth dropping out, `k`/`t`:
//!
//! | owners | 5 % corrupt | 10 % | 20 % | 33 % |
//! |---|---|---|---|---|
//! | below 40 | all others / quorum − 1 | | | |
//! | 100 | 28/9 | 32/11 | 42/21 | 58/34 |
//! | 1,000 | 36/18 | 46/26 | 68/43 | 102/72 |
//! | 10,000 | 42/21 | 54/30 | 80/51 | 122/85 |
//!
//! A value has [`value_bits`] bits, `31 − ⌈log2 n⌉` with its sign: half of the 32-bit range is
//! kept for noise, which may use the rest up to [`limit`].
//!
//! # Threat model
//!
//! The coordinator is malicious, reads and writes every message, and has up to `γn` owners of
//! its choice, fixed beforehand. Then, but for a chance of about 2^-40 per sum, it learns the exact
//! integer sum over *one* set of at least the quorum (and `n_min`) of owners, or nothing:
//!
//! * **One set.** Two quorums share an honest owner, and an honest owner votes once. So all
//!   shares that honest owners ever reveal are for the same survivors under the same view, and of
//!   no owner do they reveal both kinds.
//! * **No neighbour of the coordinator's choice.** An owner draws its neighbours with its own
//!   randomness after all keys are fixed. A graph computed from the keys, by hashing say, could be
//!   searched for: whoever adds the last key tries 2^40 of them. Each owner then has a number of
//!   corrupt neighbours that is hypergeometric, and `t` of them with chance 2^-40 over all owners.
//! * **No part of the set.** A set `S` of survivors can be opened without the others only if each
//!   of its owners drew `t` neighbours in `S` and among the corrupt, and no draw joins `S` and the
//!   rest. A union bound over all `S` and over all drop-outs, chosen by an enemy who sees the
//!   draws, is below 2^-39; a test computes it for 40 to 1,000 owners.
//! * **No false picture.** An owner told that its neighbours did not share would mask with
//!   few. It signs what it was told, and nobody reveals its seed without that signature.
//!
//! An owner that lies can spoil the sum, for it may add any vector. But:
//!
//! * **A packet that does not open** stops nobody. Its receiver masks as with any other, says so
//!   with its masked values, and has no share of the sender to reveal. Where so many say it of one
//!   owner that its secrets could not be opened, the sum ends before the vote, with their names
//!   ([`SumError::Unopened`](crate::aggregation::SumError::Unopened)): it lied, or all of them did.
//!   Nothing has been revealed then, so another attempt is as good as the first. In the same attempt it
//!   cannot be left out: others have masked with it, and a second vector of theirs, without it,
//!   would show the coordinator the masks between.
//! * **False shares** are decoded as errors of a Reed-Solomon code and found out by commitments:
//!   `(answers − t)/2` of each secret do no harm wherever they are. Who is in more contradictions
//!   than there can be liars on the other side is named
//!   ([`Opened::false_shares`](crate::aggregation::Opened::false_shares)). With too many the result
//!   is [`SumError::Garbled`](crate::aggregation::SumError::Garbled).
//!
//! # Not claimed
//!
//! That inputs are well formed or short; that the round ends when an owner or the coordinator does
//! not want it to; protection of a single honest owner among the survivors; protection from what
//! the sum itself says, for which there is noise; security against corruption that follows the
//! draws; and secrecy of what was recorded against a quantum computer: the keys are of an elliptic
//! curve. The engine with a committee has none of the four round trips, and X-Wing.
//!
//! # What it costs
//!
//! `m ≈ 2k − k²/n` is the number of owners that one masks with, `d` the number of values, `δ` the
//! share that drops out.
//!
//! | | an owner | the coordinator |
//! |---|---|---|
//! | streams of `4d` bytes | `m + 1` | `n·(1 − δ)·(1 + δm)` |
//! | multiplications of a point | `2m + k` | `δ(1 − δ)·n·m` |
//! | signatures checked | `m + quorum` | `3n` |
//! | bytes sent | `4d + 84k + 33m + 400` | `n·(132n + 84k + 68n + 8n)` |
//! | state | one vector | one vector and `84kn` bytes |
//!
//! # References
//!
//! * J. Bell, K. Bonawitz, A. Gascón, T. Lepoint, M. Raykova: Secure single-server aggregation
//!   with (poly)logarithmic overhead, CCS 2020 (ePrint 2020/704): the graph (section 3), owners that
//!   draw neighbours against a malicious server (section 4).
//! * K. Bonawitz et al.: Practical secure aggregation for privacy-preserving machine learning, CCS
//!   2017 (ePrint 2017/281): double masks (section 4), the consistency round (section 6).
//! * A. Shamir: How to share a secret, CACM 22(11), 1979. ristretto255: RFC 9496.
//!
//! Faults of other implementations that have a test here, each with a twin that falls: mask seeds
//! folded to 32 bits, both shares of one owner in one answer, threshold and neighbours from the
//! server, keys without signatures, numbers that never take the top value, shares at nought, masks
//! that repeat in a second round, neutral points as keys.
//!
//! ```
//! use std::{collections::BTreeMap, sync::Arc};
//!
//! use nexus_mpc::Identity;
//! use nexus_mpc::aggregation::secagg_plus::{Collector, Owner, Terms};
//! use nexus_mpc::aggregation::{Collector as _, Contributor, Peer, Progress, Session};
//! use nexus_types::{Digest, OwnerId};
//! use rand_chacha::rand_core::SeedableRng;
//!
//! // The operating system's, outside of examples.
//! let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
//! let identities: Vec<_> = (0..4).map(|_| Arc::new(Identity::generate(&mut rng))).collect();
//! let keys = OwnerId::all(4).zip(identities.iter().map(|identity| identity.public()));
//! let session = Session {
//!     manifest: Digest::of("example", b"the round's manifest"),
//!     owners: Arc::new(keys.collect()),
//!     n_min: 3,
//!     values: 2,
//! };
//! let terms = Terms::default();
//! let mut collector = Collector::new(session.clone(), terms)?;
//! let mut owners = BTreeMap::new();
//! for (id, identity) in OwnerId::all(4).zip(identities) {
//!     let mut owner = Owner::new(session.clone(), terms, id, identity)?;
//!     let message = owner.contribute(&mut rng, &[i64::from(id.0), -1])?;
//!     collector.receive(Peer::Owner(id), &message)?;
//!     owners.insert(Peer::Owner(id), owner);
//! }
//! let opened = loop {
//!     let messages = match collector.close()? {
//!         Progress::Continue(messages) => messages,
//!         Progress::Done(opened) => break opened,
//!     };
//!     for outgoing in messages {
//!         let owner = owners.get_mut(&outgoing.to).ok_or("a stranger")?;
//!         if let Some(answer) = owner.receive(&mut rng, &outgoing.message)? {
//!             collector.receive(outgoing.to, &answer)?;
//!         }
//!     }
//! };
//! assert_eq!(opened.sum, [6, -4]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod collector;
mod describe;
mod message;
mod owner;
mod secret;
mod terms;
#[cfg(test)]
mod tests;
mod unmask;

pub use super::nx::Description;
pub use collector::Collector;
pub use describe::describe;
pub use owner::Owner;
pub use terms::{Neighbourhood, Terms, limit, value_bits};
