//! The one encoding of everything hashed, signed, stored or sent.
//!
//! ```text
//! ┌─────────┬────────────────────────┬─────────┐
//! │ version │ tag: BLAKE3(domain)[..7]│  borsh  │
//! │  1 byte │         7 bytes        │ payload │
//! └─────────┴────────────────────────┴─────────┘
//! ```

use borsh::{BorshDeserialize, BorshSerialize};

use crate::Digest;

const TAG_BYTES: usize = 7;
const HEADER_BYTES: usize = 1 + TAG_BYTES;

/// Why bytes are not a value, or a value has no bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The encoding is longer than its type allows.
    #[error("{domain}: {got} bytes, at most {limit} are allowed")]
    TooLarge {
        /// The type's domain.
        domain: &'static str,
        /// Length of the encoding.
        got: usize,
        /// The type's limit.
        limit: usize,
    },
    /// The bytes end before the header does.
    #[error("{domain}: {got} bytes are too few for the {HEADER_BYTES}-byte header")]
    TooShort {
        /// The type's domain.
        domain: &'static str,
        /// Length of the input.
        got: usize,
    },
    /// The bytes are an encoding of something else.
    #[error("{domain}: the bytes carry the tag of another type")]
    WrongType {
        /// The type's domain.
        domain: &'static str,
    },
    /// The bytes have a version this program does not know.
    #[error("{domain}: version {got}, this program knows version {known}")]
    UnknownVersion {
        /// The type's domain.
        domain: &'static str,
        /// Version found.
        got: u8,
        /// Version known.
        known: u8,
    },
    /// The payload is not a canonical encoding, or the value has none (a NaN, say).
    #[error("{domain}: {problem}")]
    Malformed {
        /// The type's domain.
        domain: &'static str,
        /// What is wrong with it, in the words of the borsh decoder.
        problem: String,
    },
}

/// The tag in the encodings of `domain`.
pub fn tag_of(domain: &str) -> [u8; TAG_BYTES] {
    let digest = Digest::of("cipher-nexus codec tag v1", domain.as_bytes());
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&digest.0[..TAG_BYTES]);
    tag
}

/// The tag that `bytes` carry, if they are long enough to have one: tells types apart before
/// anything is decoded.
pub fn peek_tag(bytes: &[u8]) -> Option<[u8; TAG_BYTES]> {
    bytes.get(1..HEADER_BYTES)?.try_into().ok()
}

/// A type with exactly one encoding per value: `decode(encode(x)) == x` and
/// `encode(decode(b)) == b`.
///
/// Fields must encode canonically too: no hash maps, no floats that may be NaN.
pub trait Canonical: BorshSerialize + BorshDeserialize + Sized {
    /// What the bytes mean, e.g. `nexus/training/update`.
    const DOMAIN: &'static str;
    /// Version of the layout; a change of layout is a new number.
    const VERSION: u8;
    /// Length of the longest encoding, header included.
    const MAX_BYTES: usize;

    /// The encoding.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`] above [`Self::MAX_BYTES`], [`CodecError::Malformed`] if a float
    /// is NaN.
    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let mut bytes = vec![Self::VERSION];
        bytes.extend(tag_of(Self::DOMAIN));
        self.serialize(&mut bytes).map_err(malformed::<Self>)?;
        check_length::<Self>(bytes.len())?;
        Ok(bytes)
    }

    /// The value whose encoding is exactly `bytes`.
    ///
    /// # Errors
    /// Any [`CodecError`]; hostile bytes never panic.
    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        Self::try_from_slice(Self::payload(bytes)?).map_err(malformed::<Self>)
    }

    /// What follows the header of an encoding of the right length, type and version: for readers
    /// that take it apart in another way than [`Canonical::decode`].
    ///
    /// # Errors
    /// Any [`CodecError`] but [`CodecError::Malformed`].
    fn payload(bytes: &[u8]) -> Result<&[u8], CodecError> {
        let domain = Self::DOMAIN;
        check_length::<Self>(bytes.len())?;
        let tag = peek_tag(bytes).ok_or(CodecError::TooShort { domain, got: bytes.len() })?;
        if tag != tag_of(domain) {
            return Err(CodecError::WrongType { domain });
        }
        if bytes[0] != Self::VERSION {
            let (got, known) = (bytes[0], Self::VERSION);
            return Err(CodecError::UnknownVersion { domain, got, known });
        }
        Ok(&bytes[HEADER_BYTES..])
    }

    /// BLAKE3 of the encoding, bound to the domain.
    ///
    /// # Errors
    /// As [`Canonical::encode`].
    fn digest(&self) -> Result<Digest, CodecError> {
        Ok(Digest::of(Self::DOMAIN, &self.encode()?))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn malformed<T: Canonical>(error: borsh::io::Error) -> CodecError {
    CodecError::Malformed { domain: T::DOMAIN, problem: error.to_string() }
}

fn check_length<T: Canonical>(got: usize) -> Result<(), CodecError> {
    if got > T::MAX_BYTES {
        return Err(CodecError::TooLarge { domain: T::DOMAIN, got, limit: T::MAX_BYTES });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
    struct Sample {
        id: u32,
        name: String,
        values: Vec<f32>,
        parent: Option<[u8; 4]>,
    }

    impl Canonical for Sample {
        const DOMAIN: &'static str = "nexus/test/sample";
        const VERSION: u8 = 3;
        const MAX_BYTES: usize = 256;
    }

    fn sample() -> Sample {
        Sample { id: 1, name: "a".into(), values: vec![1.0, -0.0], parent: Some([1; 4]) }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(
            id: u32, name in ".{0,8}", values in prop::collection::vec(-1e9f32..1e9, 0..8),
            parent: Option<[u8; 4]>,
        ) {
            let value = Sample { id, name, values, parent };
            let bytes = value.encode().unwrap();
            prop_assert_eq!(Sample::decode(&bytes).unwrap(), value);
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = vec![3];
            bytes.extend(tag_of(Sample::DOMAIN));
            bytes.extend(payload);
            if let Ok(value) = Sample::decode(&bytes) {
                prop_assert_eq!(value.encode().unwrap(), bytes);
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_refused_or_another_value() {
        let bytes = sample().encode().unwrap();
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(value) = Sample::decode(&flipped) {
                // By bytes: 0.0 and -0.0 are equal as numbers.
                assert_eq!(value.encode().unwrap(), flipped, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_claimed_length_allocates_nothing_it_does_not_have() {
        let mut bytes = vec![3];
        bytes.extend(tag_of(Sample::DOMAIN));
        bytes.extend([0; 4]);
        bytes.extend(u32::MAX.to_le_bytes());
        assert!(matches!(Sample::decode(&bytes), Err(CodecError::Malformed { .. })));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let bytes = sample().encode().unwrap();
        let domain = Sample::DOMAIN;
        let mut other = bytes.clone();
        other[0] = 9;
        let unknown = CodecError::UnknownVersion { domain, got: 9, known: 3 };
        assert_eq!(Sample::decode(&other), Err(unknown));
        other[1] ^= 1;
        assert_eq!(Sample::decode(&other), Err(CodecError::WrongType { domain }));
        assert_eq!(Sample::decode(&[]), Err(CodecError::TooShort { domain, got: 0 }));
        let large = CodecError::TooLarge { domain, got: 257, limit: 256 };
        assert_eq!(Sample::decode(&[0; 257]), Err(large));
        let mut trailing = bytes;
        trailing.push(0);
        assert!(matches!(Sample::decode(&trailing), Err(CodecError::Malformed { .. })));
        let nan = Sample { values: vec![f32::NAN], ..sample() };
        assert!(matches!(nan.encode(), Err(CodecError::Malformed { .. })));
    }

    #[test]
    fn the_layout_is_pinned() {
        let bytes = [
            &[3u8, 0x57, 0x21, 0xb0, 0x32, 0x2c, 0xd9, 0xb6][..], // version, tag
            &[1, 0, 0, 0],                                        // id
            &[1, 0, 0, 0, b'a'],                                  // name
            &[2, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x80],       // values
            &[1, 1, 1, 1, 1],                                     // parent
        ];
        assert_eq!(sample().encode().unwrap(), bytes.concat());
    }
}
