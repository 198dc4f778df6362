//! The vocabulary every other crate speaks: ids, limits, one canonical codec, and the traits
//! through which the outside world (time, randomness, disk, network) enters a state machine.
//!
//! # Why it exists
//!
//! Protocol code in Cipher Nexus is *deterministic*: the same state machine runs in a node, in a
//! seeded simulator and in an auditor's replay. That only holds when nothing reaches around its
//! arguments, so the world comes in here:
//!
//! | trait | gives | for a node | for a test |
//! |---|---|---|---|
//! | [`Clock`] | the time | [`SystemClock`] | [`ManualClock`] |
//! | [`Rng`] | random bits | the operating system | [`SeededRng`] |
//! | [`Store`] | bytes that survive a crash | a directory | [`MemoryStore`] |
//! | [`Transport`] | messages between parties | a network | a simulated one |
//!
//! # One codec
//!
//! Whatever is hashed, signed, stored or sent goes through [`Canonical`]: a version byte, a tag
//! that binds the bytes to one meaning, and [borsh]. A value has exactly one encoding, and an
//! encoding stands for exactly one value.
//!
//! ```
//! use nexus_types::{Canonical, borsh::{BorshDeserialize, BorshSerialize}};
//!
//! #[derive(Debug, PartialEq, BorshSerialize, BorshDeserialize)]
//! struct Vote { height: u64, yes: bool }
//!
//! impl Canonical for Vote {
//!     const DOMAIN: &'static str = "nexus/example/vote";
//!     const VERSION: u8 = 1;
//!     const MAX_BYTES: usize = 64;
//! }
//!
//! let vote = Vote { height: 7, yes: true };
//! let bytes = vote.encode()?;
//! assert_eq!(Vote::decode(&bytes)?, vote);
//! assert!(Vote::decode(&bytes[1..]).is_err());
//! # Ok::<(), nexus_types::CodecError>(())
//! ```
//!
//! # Threat model
//!
//! Every byte that [`Canonical::decode`] sees may come from an enemy. It never panics, allocates
//! no more than a small multiple of the bytes received, refuses trailing bytes, unknown versions
//! and values of another type, and accepts exactly one encoding of each value.
//!
//! # References
//!
//! * borsh: <https://borsh.io> · BLAKE3: <https://github.com/BLAKE3-team/BLAKE3-specs>
//! * ChaCha: RFC 8439

mod codec;
mod id;
pub mod limits;
mod memory;
mod rng;
mod store;
mod time;
mod transport;

pub use borsh;
pub use codec::{Canonical, CodecError, peek_tag, tag_of};
pub use id::{Digest, DigestError, JobId, MemberId, ModelHash, OwnerId, Round};
pub use memory::keep_freed_memory;
pub use rng::{CryptoRng, Rng, Seed, SeededRng};
pub use store::{MemoryStore, Store, StoreError, check_key};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
pub use transport::{Cleared, Party, Received, Transport, TransportError};
