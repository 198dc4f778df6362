//! Who says so: ed25519 keys (RFC 8032) whose signatures are bound to a use.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use nexus_types::{CryptoRng, Digest, DigestError, borsh};
use zeroize::{Zeroize, Zeroizing};

/// The key of a party, as others know it. Not every 32 bytes are one: [`PublicKey::verify`]
/// refuses the rest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", Digest(self.0).short())
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest(self.0).fmt(f)
    }
}

impl FromStr for PublicKey {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(|digits: Digest| Self(digits.0))
    }
}

/// A signature of 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Signature(pub [u8; 64]);

/// The signature is not one of this key on this message, or the key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct SignatureError;

impl PublicKey {
    /// Checks a signature of [`Identity::sign`], without cofactor and with canonical points:
    /// all verifiers agree, and nobody but the signer can make a second signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(
        &self,
        domain: &str,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureError)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&Digest::of(domain, message).0, &signature).map_err(|_| SignatureError)
    }
}

/// The secret key of a party. Wiped when dropped.
pub struct Identity(SigningKey);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.public())
    }
}

impl Identity {
    /// A new key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        Self(SigningKey::from_bytes(&secret))
    }

    /// The key whose secret is `secret`, which is wiped.
    pub fn from_secret(mut secret: [u8; 32]) -> Self {
        let key = Self(SigningKey::from_bytes(&secret));
        secret.zeroize();
        key
    }

    /// What others know it by.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` for the use `domain`: the signature is on their BLAKE3 digest and valid
    /// for no other use.
    pub fn sign(&self, domain: &str, message: &[u8]) -> Signature {
        Signature(self.0.sign(&Digest::of(domain, message).0).to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::Scalar;
    use ed25519_dalek::Verifier;

    use super::*;

    #[test]
    fn a_signature_is_bound_to_use_message_and_key() {
        let (key, other) = (Identity::from_secret([1; 32]), Identity::from_secret([2; 32]));
        let signature = key.sign("test/a", b"message");
        assert_eq!(key.public().verify("test/a", b"message", &signature), Ok(()));
        assert!(key.public().verify("test/b", b"message", &signature).is_err());
        assert!(key.public().verify("test/a", b"massage", &signature).is_err());
        assert!(other.public().verify("test/a", b"message", &signature).is_err());
    }

    #[test]
    fn the_malleated_twin_of_a_signature_is_refused() {
        // s + l is the same scalar; RFC 8032, section 5.1.7 asks for s < l.
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let key = Identity::from_secret([1; 32]);
        let mut twin = key.sign("test", b"message");
        let mut carry = 0;
        for (byte, order) in twin.0[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert!(key.public().verify("test", b"message", &twin).is_err());
        // A weakened verifier, which reduces s, has the first signature before it.
        let first = key.sign("test", b"message");
        let reduced = Scalar::from_bytes_mod_order(twin.0[32..].try_into().unwrap());
        assert_eq!(reduced.to_bytes(), first.0[32..]);
    }

    #[test]
    fn weak_keys_verify_nothing() {
        // The neutral element and a point of order 2: with s = 0 a careless verifier accepts.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = Signature([0; 64]);
        signature.0[0] = 1;
        for key in [neutral, [0; 32], [0xff; 32]] {
            assert!(PublicKey(key).verify("test", b"message", &signature).is_err());
        }
        // The weakened verifier does not look at the key.
        let careless = VerifyingKey::from_bytes(&neutral).unwrap();
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        assert!(careless.verify(&Digest::of("test", b"message").0, &signature).is_ok());
    }
}
