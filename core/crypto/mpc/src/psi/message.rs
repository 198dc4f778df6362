//! What the two parties send.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, Digest, borsh};

use super::dleq::Proof;
use super::group::Tag;
use super::points::Element;

/// Most items of one message.
pub const BATCH: usize = 4096;

/// A message of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ToSender {
    /// The beginning.
    Ask {
        /// Digest of the terms.
        terms: Digest,
        /// Size of the receiver's set.
        items: u32,
        /// Commitment to its points.
        commitment: Digest,
    },
    /// The next points a·H(x), ascending over all batches.
    Points(Vec<Element>),
    /// The first half of the ciphertext of the sum.
    Query(Element),
}

/// A message of the sender.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ToReceiver {
    /// The answer to [`ToSender::Ask`].
    Offer {
        /// Digest of the terms.
        terms: Digest,
        /// Size of the sender's set.
        items: u32,
        /// Commitment to its entries.
        commitment: Digest,
        /// b·G.
        key: Element,
        /// e·G, the key that numbers are encrypted to, if there are any.
        amount_key: Option<Element>,
    },
    /// b·P: for the last batch of points in its order and with a proof, or the next of all of
    /// them, ascending.
    Replies {
        /// The elements.
        elements: Vec<Element>,
        /// That they were all raised to the key of the offer.
        proof: Option<Proof>,
    },
    /// The next entries, ascending over all batches.
    Entries {
        /// T(b·H(y)).
        tags: Vec<Tag>,
        /// The encrypted number of each, if there are any: r·G and t·G + r·e·G.
        amounts: Vec<[Element; 2]>,
    },
    /// The queried element times e.
    Answer {
        /// The product.
        element: Element,
        /// That it is.
        proof: Proof,
    },
}

impl Canonical for ToSender {
    const DOMAIN: &'static str = "nexus/mpc/psi/to sender";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 64 + 32 * BATCH;
}

impl Canonical for ToReceiver {
    const DOMAIN: &'static str = "nexus/mpc/psi/to receiver";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 192 + (16 + 64) * BATCH;
}
