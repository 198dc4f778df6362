//! Threshold keys: a key that nobody holds, under which owners seal the keys of their data sets
//! and with which a committee releases them to whom an owner's policy grants them.
//!
//! # Definitions
//!
//! The group is ristretto255 (RFC 9496) with generator G, of prime order. A committee of m
//! members, of whom f = floor((m - 1) / 3) may be faulty, shares the secret x of the public key
//! X = xG by a polynomial of degree t - 1 with t = 2f + 1: any t members can use x, fewer know
//! nothing of it. `x_j` is a member's share, `X_j` = `x_j` G is public.
//!
//! | part | what it does | rounds on the board | source |
//! |---|---|---|---|
//! | [`dkg`] | makes x without a dealer; nobody can bias X | 5, or 6 | Gennaro et al. 2007, figure 2 |
//! | [`tdh2`] | seals a data-set key under X, a label and the owner's signature | – | Shoup & Gennaro 2002, section 4.2 |
//! | [`release`] | partial decryptions that only one grantee can use and anyone can check | 1 | below |
//! | [`reshare`] | hands x to another committee, X stays | 3 | Desmedt & Jajodia 1997 |
//! | [`rotate`] | leaves X behind | – | |
//!
//! Key generation and resharing are state machines: posts come in by `receive`, deadlines by
//! `close`, and every member that sees the same board computes the same key. A [`Certificate`]
//! with the signatures of a quorum shows that they did.
//!
//! # Example
//!
//! ```
//! # use std::sync::Arc;
//! # use nexus_mpc::threshold::{Committee, Seat, Step, dkg};
//! # use nexus_mpc::threshold::release::{Grant, GranteeSecret};
//! # use nexus_mpc::threshold::tdh2::{DataKey, Label, encrypt};
//! # use nexus_mpc::{Identity, PacketSecret};
//! # use nexus_types::{Digest, MemberId};
//! # use rand_chacha::rand_core::SeedableRng;
//! # let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
//! // Four members make a key; three can use it.
//! let keys: Vec<_> = (0..4)
//!     .map(|_| (Arc::new(Identity::generate(&mut rng)), PacketSecret::generate(&mut rng)))
//!     .collect();
//! let seats = keys.iter().map(|(identity, packets)| Seat {
//!     identity: identity.public(),
//!     packets: packets.public(),
//! });
//! let committee = Arc::new(Committee::new(seats.collect())?);
//! let purpose = Digest::of("example", b"data sets");
//! let (mut members, mut board) = (Vec::new(), Vec::new());
//! for (member, (identity, packets)) in MemberId::all(4).zip(keys) {
//!     let terms =
//!         dkg::Terms { committee: Arc::clone(&committee), purpose, epoch: 0, attempt: 0 };
//!     let (machine, post) = dkg::Generation::new(terms, member, identity, packets, &mut rng)?;
//!     members.push(machine);
//!     board.push(post);
//! }
//! let mut shares = Vec::new();
//! while shares.is_empty() {
//!     let posts = std::mem::take(&mut board);
//!     for machine in &mut members {
//!         for post in &posts {
//!             machine.receive(post)?;
//!         }
//!         match machine.close(&mut rng)? {
//!             Step::Publish(post) => board.push(post),
//!             Step::Done(outcome) => shares.push(outcome.share),
//!             _ => {}
//!         }
//!     }
//! }
//! let key = shares[0].public();
//!
//! // An owner seals the key of a data set.
//! let owner = Identity::generate(&mut rng);
//! let (dataset, policy) = (Digest::of("example", b"set"), Digest::of("example", b"policy"));
//! let label = Label { dataset, owner: owner.public(), policy };
//! let data_key = DataKey::generate(&mut rng);
//! let record = encrypt(key, label, &data_key, &owner, &mut rng)?.verify(key)?;
//!
//! // A grantee asks; three members answer; only the grantee can read the answers.
//! let secret = GranteeSecret::generate(&mut rng);
//! let request = Grant::new(Digest::of("example", b"grant 1"), &record, &secret, &mut rng);
//! let grant = request.verify(&record)?;
//! let partials = shares[1..]
//!     .iter()
//!     .map(|share| grant.release(share, &mut rng))
//!     .collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(grant.combine(key, &secret, &partials)?, data_key);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Threat model
//!
//! At most f members, the same ones throughout an epoch (static corruption), lie, collude with
//! owners and grantees, or are silent; they speak last in every phase. Channels need no secrecy:
//! shares are sealed with X-Wing. The board shows everyone the same posts and, for liveness,
//! shows those of honest members in time. Discrete logarithms and the decisional Diffie-Hellman
//! problem are hard in the group; BLAKE3 is a random oracle. Then:
//!
//! * the key is uniform and fewer than t shares tell nothing of x. A complaint ends with one
//!   proven liar, so at most f shares of an honest dealer become public, all of them liars';
//!   what a slow network may add is counted, and the generation is thrown away
//!   ([`Step::Restart`]) before public shares and f together are t;
//! * a record cannot be moved to another label, owner or key, and a past grantee, who knows rX,
//!   cannot put other bytes into it;
//! * partials of one grant are of no use to another grantee, for another grant, with another
//!   epoch's; a wrong one is noticed by anyone;
//! * repeated or predictable randomness of one machine does not give its share away: nonces are
//!   hashed from the share, the context and the randomness;
//! * shares of f members of each of many epochs tell nothing, if the rest were
//!   [erased](KeyShare::retire).
//!
//! # What is not claimed
//!
//! * **Not post-quantum.** Who records records today can open them with a quantum computer, X and
//!   U being public. For data that must stay secret for decades the owner, once online, should
//!   also wrap the key under a hybrid key of the grantee.
//! * **t old members who kept their shares can decrypt for ever**: resharing keeps X. Stakes must
//!   stay bound for longer than an epoch, and X is to be [rotated](rotate) once a year or after a
//!   suspected loss.
//! * A release cannot be taken back: a new data-set key for what is written afterwards.
//! * Whether a grant accords with the policy is for the log to decide, before members see it.
//! * A member that restarts during a key generation or resharing sits out: secrets of a session
//!   are never written to disk.
//! * Nothing is proven about adaptive corruption.
//!
//! # References
//!
//! * R. Gennaro, S. Jarecki, H. Krawczyk, T. Rabin, "Secure Distributed Key Generation for
//!   Discrete-Log Based Cryptosystems", J. Cryptology 20 (2007), sections 3-4.
//! * V. Shoup, R. Gennaro, "Securing Threshold Cryptosystems against Chosen Ciphertext Attack",
//!   J. Cryptology 15 (2002), section 4.2.
//! * P. Feldman, FOCS 1987; T. P. Pedersen, CRYPTO 1991; C. P. Schnorr, J. Cryptology 4 (1991).
//! * Y. Desmedt, S. Jajodia, "Redistributing Secret Shares to New Access Structures and Its
//!   Applications", 1997.
//! * E. Kokoris-Kogias et al., "CALYPSO: Private Data Management for Decentralized Ledgers",
//!   PVLDB 14 (2020), section 4: re-encryption to the grantee.
//! * U. Maurer, "Unifying Zero-Knowledge Proofs of Knowledge", AFRICACRYPT 2009, section 4.

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
