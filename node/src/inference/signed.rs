//! Signatures around what crosses a network: the format of SEAL has none.
//!
//! A message is a public key, a signature, and the body. The signature is on what the message is, on what
//! it belongs to, and on the body; so an answer is good for one question, a question for one set of
//! keys, and keys for one server.

use nexus_mpc::{Identity, PublicKey, Signature};
use nexus_types::Digest;

/// Bytes before the body.
pub const HEADER_BYTES: usize = KEY_BYTES + 64;
const KEY_BYTES: usize = 32;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Why a message is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// It is too short to be signed.
    #[error("{got} bytes; a signed message has {HEADER_BYTES} and more")]
    Short {
        /// Its bytes.
        got: usize,
    },
    /// Its signature is of something else.
    #[error("the signature is not on this message, or the message belongs to something else")]
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
pub fn sign(signer: &Identity, kind: Kind, belongs_to: Digest, body: &[u8]) -> Vec<u8> {
    let signature = signer.sign(kind.domain(), &signed_part(belongs_to, body));
    [&signer.public().0, &signature.0[..], body].concat()
}

/// Who says so, and the body.
///
/// # Errors
/// [`SignedError`] unless the message is of this kind and belongs to that.
pub fn open(
    message: &[u8],
    kind: Kind,
    belongs_to: Digest,
) -> Result<(PublicKey, &[u8]), SignedError> {
    let short = SignedError::Short { got: message.len() };
    let (key, rest) = message.split_first_chunk::<KEY_BYTES>().ok_or(short)?;
    let (signature, body) = rest.split_first_chunk::<64>().ok_or(short)?;
    let key = PublicKey(*key);
    let part = signed_part(belongs_to, body);
    let checked = key.verify(kind.domain(), &part, &Signature(*signature));
    checked.map(|()| (key, body)).map_err(|_| SignedError::Forged)
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
            let message = sign(&ours, kind, first, body);
            assert_eq!(open(&message, kind, first), Ok((ours.public(), body)));
            assert_eq!(open(&message, kind, second), Err(SignedError::Forged));
            for other in KINDS.into_iter().filter(|other| *other != kind) {
                assert_eq!(open(&message, other, first), Err(SignedError::Forged));
            }
            // Another's key in front of the same signature.
            let stolen = [&theirs.public().0[..], &message[KEY_BYTES..]].concat();
            assert_eq!(open(&stolen, kind, first), Err(SignedError::Forged));
        }
    }

    #[test]
    fn a_changed_bit_is_noticed_anywhere() {
        let message = sign(&signer(1), Kind::Answer, context(b"q"), b"body");
        for at in 0..8 * message.len() {
            let mut changed = message.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert_eq!(open(&changed, Kind::Answer, context(b"q")), Err(SignedError::Forged));
        }
        for got in 0..HEADER_BYTES {
            let short = open(&message[..got], Kind::Answer, context(b"q"));
            assert_eq!(short, Err(SignedError::Short { got }));
        }
        assert!(open(&message[..HEADER_BYTES], Kind::Answer, context(b"q")).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open(&bytes, Kind::Keys, context(b"")).is_err());
        }
    }
}
