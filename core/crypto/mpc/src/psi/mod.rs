//! Private set intersection: two parties learn what their sets have in common, and nothing else.
//!
//! A [`Receiver`] holds items x, a [`Sender`] items y. The receiver learns which of its items the
//! sender has, or only how many ([`Variant::Cardinality`]), or how many and the sum of the numbers
//! the sender has for them ([`Variant::Sum`]). The sender learns the size of the receiver's set.
//!
//! # Protocol
//! H hashes an item to ristretto255 under the digest of the [`Terms`], a and b are the parties'
//! keys, T is a hash to 16 bytes.
//! ```text
//!   receiver                                             sender
//!     Ask     terms, count, commitment to the a·H(x)  ->
//!             <-  terms, count, commitment to the T(b·H(y)), b·G   Offer
//!     Points  a·H(x), ascending                       ->
//!             <-  b·a·H(x): in order and with a proof, or ascending Replies
//!             <-  T(b·H(y)), ascending, and encrypted numbers      Entries
//!     Query   sum of the matching ciphertexts, rerandomised ->
//!             <-  its decryption share, with a proof               Answer
//! ```
//! The receiver takes a off the replies and looks T(b·H(x)) up among the entries (Meadows 1986;
//! Huberman, Franklin & Hogg 1999; the sum: Ion et al. 2019, ePrint 2019/723). Encodings are
//! pseudo-random, so sending them in ascending order is a shuffle that needs no randomness, shows
//! that there are no duplicates, and makes a plain hash of the sequence a commitment to the set.
//!
//! # Threat model
//! Security is against parties that follow the protocol and then look at all they saw, under
//! decisional Diffie-Hellman and with H, T random oracles. Cheaply enforced beyond that:
//! * a set is committed to before anything of the other's is seen, and nothing that depends on the
//!   sender's set leaves before the receiver's points are found to be the committed ones;
//! * commitments are functions of terms, key and items: a repeated run with another set shows, and
//!   an auditor who is given key and items recomputes them;
//! * one key for all replies, proven, where replies are in order; the identity and bytes that are
//!   no point are refused; one query per session.
//!
//! **Not enforced**: that points are hashes of items. A malicious receiver of a count can send P
//! and 2P and recognise the pair among the replies, and one of a sum can have the number of a
//! single match opened; a malicious sender of a count can reply wrongly. Either party may lie about
//! its items. A sum over one match *is* the number: whoever publishes sums adds noise to the
//! numbers first. Sets whose size is itself secret are padded with random items by the caller.
//!
//! # Cost
//! Two multiplications in the group per own item of the receiver, and one per item of either set
//! for the sender; 32 B + 32 B per receiver's item and 16 B (sums: 80 B) per sender's item on the
//! wire. Messages hold at most [`BATCH`] items, so that both sides stream.
//!
//! Machines with AVX-512 IFMA compute with eight elements at a time ([`nexus_field::edwards`]), all
//! others one by one, with curve25519-dalek; the messages are the same. Processor time of a side,
//! in seconds, for 100,000 items each (Xeon, one core; receiver and sender):
//!
//! | | items | count | sum |
//! |---|---|---|---|
//! | eight at a time | 4.2, 3.7 | 3.2, 3.4 | 3.8, 4.0 |
//! | one by one | 14.5, 13.9 | 12.6, 12.6 | 12.3, 19.5 |
//!
//! ```
//! use nexus_mpc::psi::{Outcome, PsiKey, Receiver, Sender, Terms, Variant};
//! use nexus_types::Digest;
//! use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
//!
//! let mut rng = ChaCha12Rng::seed_from_u64(1); // the operating system's, outside of examples
//! let manifest = Digest::of("example", b"what both sides agreed on");
//! let terms = Terms { manifest, variant: Variant::Intersection, max_items: 100 };
//! let (a, b) = (PsiKey::generate(&mut rng), PsiKey::generate(&mut rng));
//! let mut receiver = Receiver::new(terms, &a, ["ada", "bob", "eve"])?;
//! let mut sender = Sender::new(terms, &b, ["eve", "ada", "mallory"])?;
//! while let Some(message) = receiver.send(&mut rng)? {
//!     sender.receive(&message)?;
//!     while let Some(answer) = sender.send(&mut rng)? {
//!         receiver.receive(&answer)?;
//!     }
//! }
//! assert_eq!(receiver.outcome(), Some(&Outcome::Intersection(vec![0, 2])));
//! # Ok::<(), nexus_mpc::psi::PsiError>(())
//! ```
//!
//! # References
//! * ristretto255 and its map from uniform bytes: RFC 9496, section 4.3.4; hashing to it: RFC 9380,
//!   appendix B, with the extendable output of keyed BLAKE3 as the expansion.
//! * Batched proofs of equal logarithms: RFC 9497, section 2.2.

mod amount;
mod dleq;
mod group;
mod message;
mod points;
mod receiver;
mod sender;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, CodecError, Digest, borsh};

pub use dleq::Proof;
pub use group::PsiKey;
pub use message::{BATCH, ToReceiver, ToSender};
pub use receiver::Receiver;
pub use sender::Sender;

/// Most items of a set.
pub const MAX_ITEMS: u32 = 1 << 24;
/// Largest possible [`Variant::Sum`] limit: finding a sum below 2^40 takes 2^21 steps and 16 MiB.
pub const MAX_TOTAL: u64 = 1 << 40;

/// What the receiver is to learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Variant {
    /// Which of its items the sender has.
    Intersection,
    /// How many of them.
    Cardinality,
    /// How many, and the sum of the sender's numbers for them.
    Sum {
        /// Largest sum of *all* the sender's numbers; at most [`MAX_TOTAL`].
        max_total: u64,
    },
}

/// What both parties agreed on beforehand. Items hash to different points under other terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Terms {
    /// Digest of whatever binds the run: the parties, their data sets, the purpose.
    pub manifest: Digest,
    /// What the receiver learns.
    pub variant: Variant,
    /// Most items either set may have; at most [`MAX_ITEMS`].
    pub max_items: u32,
}

impl Canonical for Terms {
    const DOMAIN: &'static str = "nexus/mpc/psi/terms";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 64;
}

/// What the receiver learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The places of the common items in the receiver's list, ascending.
    Intersection(Vec<u32>),
    /// The number of common items.
    Cardinality(u32),
    /// That, and the sum of the sender's numbers for them.
    Sum {
        /// The number of common items.
        cardinality: u32,
        /// The sum.
        total: u64,
    },
}

/// Why a session cannot begin, or a message was refused. A refused message changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PsiError {
    /// A set has no items, or too many.
    #[error("a set of {got} items, from 1 to {limit} are possible")]
    Items {
        /// How many, counted no further than the limit.
        got: u64,
        /// Most items.
        limit: u64,
    },
    /// An item occurs twice.
    #[error("items {first} and {second} are the same")]
    Duplicate {
        /// Its first place.
        first: u32,
        /// Another one.
        second: u32,
    },
    /// The numbers are too large for the terms, or the terms' limit is too large.
    #[error("numbers with a total above {limit}")]
    Total {
        /// Largest total.
        limit: u64,
    },
    /// Numbers are missing, or given where the terms ask for none.
    #[error("{got} numbers for {expected} items")]
    Amounts {
        /// How many there are.
        got: usize,
        /// How many the terms ask for.
        expected: usize,
    },
    /// The bytes are no message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The message belongs to a session with other terms.
    #[error("a message under other terms")]
    OtherTerms,
    /// The message does not belong to the phase.
    #[error("a message out of turn")]
    OutOfTurn,
    /// A batch is not the next one, or has the wrong size.
    #[error("a batch of {got} items where {expected} were expected")]
    Batch {
        /// Its size.
        got: usize,
        /// The size it must have.
        expected: usize,
    },
    /// Bytes that are no element of the group, or the identity.
    #[error("item {index} of the message is no element of the group, or the identity")]
    Element {
        /// Its place in the message.
        index: usize,
    },
    /// A sequence that must ascend does not.
    #[error("item {index} of the message is not above the one before")]
    Order {
        /// Its place in the message.
        index: usize,
    },
    /// The set is not the one committed to.
    #[error("the set is not the one that was committed to")]
    Commitment,
    /// A proof does not hold.
    #[error("the proof that one key was used does not hold")]
    Proof,
    /// The opened sum is no sum of honest numbers.
    #[error("the sum is not within its limit")]
    Sum,
}

impl Terms {
    fn check(&self) -> Result<(), PsiError> {
        if !(1..=MAX_ITEMS).contains(&self.max_items) {
            return Err(PsiError::Items { got: self.max_items.into(), limit: MAX_ITEMS.into() });
        }
        match self.variant {
            Variant::Sum { max_total } if max_total > MAX_TOTAL => {
                Err(PsiError::Total { limit: MAX_TOTAL })
            }
            Variant::Intersection | Variant::Cardinality | Variant::Sum { .. } => Ok(()),
        }
    }

    fn check_count(&self, count: u32) -> Result<(), PsiError> {
        if !(1..=self.max_items).contains(&count) {
            return Err(PsiError::Items { got: count.into(), limit: self.max_items.into() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod leaks;
#[cfg(test)]
mod tests;
