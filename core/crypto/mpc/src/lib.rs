//! What several parties compute together without showing each other their parts: secret sharing,
//! threshold keys, secure sums and private set intersection.
//!
//! | module | what it does |
//! |---|---|
//! | [`aggregation`] | sums of many owners' vectors, of which nobody sees a single one: with a committee and one message per owner, or without and with four |
//! | [`sharing`] | Shamir's sharing, packed, with a check against inconsistent dealers and decoding against lying holders |
//! | [`threshold`] | keys that no one holds: made without a dealer, used by two thirds, handed on to the next committee |
//! | [`quantise`] | updates as integers: clipped, scaled and rounded once, with exact sensitivity |
//! | [`psi`] | which records two parties have in common, or only how many, or the sum of their values |
//! | [`Identity`], [`PacketKey`] | signatures bound to a use, and packets sealed to keys that are erased |
//!
//! # Threat model
//!
//! Each module's page says it in full. In common: whoever carries messages is an enemy, so all that
//! matters is signed or sealed, and bound to one session; up to a third of a committee lies, and
//! the rest keeps what it promised on disk before it speaks; every byte is decoded with limits
//! before it is believed. Secrets are wiped, do not show in `Debug`, and steer neither branch nor
//! index. Randomness is an argument, and must be the operating system's. State machines have
//! neither clock nor network nor disk: who drives them must do as their effects say, in order.
//! Nothing here protects an owner against all others together, nor what a sum itself says.
//!
//! # Example
//!
//! A packet that only one key opens, and only in its place:
//!
//! ```
//! use nexus_mpc::PacketSecret;
//! use rand_chacha::rand_core::SeedableRng;
//!
//! // The operating system's, outside of examples.
//! let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
//! let secret = PacketSecret::generate(&mut rng);
//! let packet = secret.public().seal(&mut rng, b"round 7, owner 3", b"a share")?;
//! assert_eq!(**secret.open(b"round 7, owner 3", &packet)?, *b"a share");
//! assert!(secret.open(b"round 8, owner 3", &packet).is_err());
//! # Ok::<(), nexus_mpc::SealError>(())
//! ```
//!
//! # References
//!
//! * HPKE: RFC 9180; X-Wing: draft-ietf-hpke-pq; ed25519: RFC 8032; ristretto255: RFC 9496
//! * The proofs, parameters and limits of secure sums: `book/secure-aggregation.md`

pub mod aggregation;
mod identity;
pub mod psi;
pub mod quantise;
mod seal;
pub mod sharing;
pub mod threshold;
mod twin;

pub use identity::{Identity, PublicKey, Signature, SignatureError};
pub use seal::{OVERHEAD_BYTES, PACKET_KEY_BYTES, PacketKey, PacketSecret, SealError, Sealed};
