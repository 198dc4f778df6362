//! Signatures around what crosses a network: the format of SEAL has none.
//!
//! The signature is on what a message is, on what it belongs to, and on the body; so an answer is good
//! for one question, a question for one set of keys, and keys for one server.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_mpc::{Identity, PublicKey, Signature};
use nexus_types::{Canonical, CodecError, Digest};

/// The most bytes of a message beside its body.
pub const HEADER_BYTES: usize = 256;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Kind {
    /// What a server has: belongs to nothing.
    Description,
    /// A user's evaluation keys: belong to the server's key.
    Keys,
    /// What they are called: belongs to the message with them.
    Name,
    /// A question: belongs to the name of its keys.
    Question,
    /// An answer: belongs to the message with the question.
    Answer,
}

impl Kind {
    const fn domain(self) -> &'static str {
        match self {
            Self::Description => "nexus/inference/signed-description",
            Self::Keys => "nexus/inference/signed-keys",
            Self::Name => "nexus/inference/signed-name",
            Self::Question => "nexus/inference/signed-question",
            Self::Answer => "nexus/inference/signed-answer",
        }
    }
}

/// A message as it is sent. What is decoded may be anybody's: [`open`] looks.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Message {
    kind: Kind,
    belongs_to: Digest,
    signer: PublicKey,
    signature: Signature,
    body: Vec<u8>,
}

impl Canonical for Message {
    const DOMAIN: &'static str = "nexus/inference/signed";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = (1 << 31) + HEADER_BYTES;
}

/// Why a message is nobody's.
#[derive(Debug, thiserror::Error)]
pub enum SignedError {
    /// It is no message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// It is something else, or belongs to something else.
    #[error("the message is {got:?}, expected {expected:?}, or belongs to something else")]
    Misplaced {
        /// What it is.
        got: Kind,
        /// What was expected.
        expected: Kind,
    },
    /// Its signature is of something else.
    #[error("the signature is not on this message")]
    Forged,
}

/// What a message belongs to, from its bytes.
pub fn context(bytes: &[u8]) -> Digest {
    Digest::of("nexus/inference/signed-context", bytes)
}

fn signed_part(belongs_to: Digest, body: &[u8]) -> [u8; 64] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(&belongs_to.0);
    both[32..].copy_from_slice(&Digest::of("nexus/inference/signed-body", body).0);
    both
}

/// `body` as a message of `signer`.
///
/// # Errors
/// [`SignedError::Codec`] if it is too large.
pub fn sign(
    signer: &Identity,
    kind: Kind,
    belongs_to: Digest,
    body: &[u8],
) -> Result<Vec<u8>, SignedError> {
    let signature = signer.sign(kind.domain(), &signed_part(belongs_to, body));
    let message =
        Message { kind, belongs_to, signer: signer.public(), signature, body: body.to_vec() };
    Ok(message.encode()?)
}

/// Who says so, and the body.
///
/// # Errors
/// [`SignedError`] unless it is a message of this kind and belongs to that.
pub fn open(
    bytes: &[u8],
    kind: Kind,
    belongs_to: Digest,
) -> Result<(PublicKey, Vec<u8>), SignedError> {
    let message = Message::decode(bytes)?;
    if message.kind != kind || message.belongs_to != belongs_to {
        return Err(SignedError::Misplaced { got: message.kind, expected: kind });
    }
    let part = signed_part(belongs_to, &message.body);
    let checked = message.signer.verify(kind.domain(), &part, &message.signature);
    checked.map(|()| (message.signer, message.body)).map_err(|_| SignedError::Forged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const KINDS: [Kind; 5] =
        [Kind::Description, Kind::Keys, Kind::Name, Kind::Question, Kind::Answer];

    fn signer(number: u64) -> Identity {
        Identity::generate(&mut ChaCha12Rng::seed_from_u64(number))
    }

    #[test]
    fn a_message_is_good_for_one_place() {
        let (ours, theirs, body) = (signer(1), signer(2), &b"an answer"[..]);
        let [first, second] = [&b"question 1"[..], b"question 2"].map(context);
        for kind in KINDS {
            let bytes = sign(&ours, kind, first, body).unwrap();
            assert!(bytes.len() <= body.len() + HEADER_BYTES);
            assert_eq!(open(&bytes, kind, first).unwrap(), (ours.public(), body.to_vec()));
            let elsewhere = open(&bytes, kind, second);
            assert!(matches!(elsewhere, Err(SignedError::Misplaced { .. })));
            for other in KINDS.into_iter().filter(|other| *other != kind) {
                let other = open(&bytes, other, first);
                assert!(matches!(other, Err(SignedError::Misplaced { .. })));
            }
            // What a thief may say of the same signature: another place, kind, signer, body.
            let honest = Message::decode(&bytes).unwrap();
            let kinds = KINDS.into_iter().filter(|other| *other != kind);
            let lies = kinds
                .map(|kind| Message { kind, ..honest.clone() })
                .chain([
                    Message { belongs_to: second, ..honest.clone() },
                    Message { signer: theirs.public(), ..honest.clone() },
                    Message { body: b"another".to_vec(), ..honest.clone() },
                ])
                .map(|lie| (lie.kind, lie.belongs_to, lie.encode().unwrap()));
            for (kind, belongs_to, bytes) in lies {
                assert!(matches!(open(&bytes, kind, belongs_to), Err(SignedError::Forged)));
            }
        }
    }

    #[test]
    fn a_changed_bit_is_noticed_anywhere() {
        let bytes = sign(&signer(1), Kind::Answer, context(b"q"), b"body").unwrap();
        for at in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(open(&changed, Kind::Answer, context(b"q")).is_err(), "bit {at}");
        }
        for length in 0..bytes.len() {
            assert!(open(&bytes[..length], Kind::Answer, context(b"q")).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open(&bytes, Kind::Keys, context(b"")).is_err());
            prop_assert!(Message::decode(&bytes).is_err());
        }
    }
}
