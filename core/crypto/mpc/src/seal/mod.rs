//! Sealing bytes to a key that is erased after one use: HPKE (RFC 9180) in base mode over X-Wing,
//! X25519 and ML-KEM-768 in one (draft-ietf-hpke-pq): what is recorded today stays closed when
//! either of them falls.

mod xwing;

use std::fmt;
use std::sync::{Arc, OnceLock};

use borsh::{BorshDeserialize, BorshSerialize};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::KdfTurboShake128;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use nexus_types::{CryptoRng, Digest, borsh};
use subtle::ConstantTimeEq;
use xwing::{Expanded, ExpandedXWing};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes that sealing adds: the encapsulated key and the authentication tag.
pub const OVERHEAD_BYTES: usize = 1120 + 16;
/// Bytes of a packet key.
pub const PACKET_KEY_BYTES: usize = 1216;
const ENCAPSULATED_BYTES: usize = 1120;
const SEED_BYTES: usize = 32;
const INFO: &[u8] = b"nexus/mpc/packet v1";

/// A key that packets can be sealed to, as its owner published it.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PacketKey(pub [u8; PACKET_KEY_BYTES]);

impl fmt::Debug for PacketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketKey({})", Digest::of("packet key", &self.0).short())
    }
}

/// A sealed packet: the encapsulated key and the ciphertext with its tag.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Sealed(pub Vec<u8>);

/// Why a packet cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The bytes are not a packet key.
    #[error("the packet key is not valid")]
    Key,
    /// The packet is shorter than what sealing adds.
    #[error("a sealed packet of {got} bytes, it has at least {OVERHEAD_BYTES}")]
    Short {
        /// Its length.
        got: usize,
    },
    /// The packet is damaged, of another context, or for another key.
    #[error("the packet does not open with this key in this context")]
    Closed,
}

impl PacketKey {
    /// Whether the bytes are a key.
    ///
    /// # Errors
    /// [`SealError::Key`].
    pub fn check(&self) -> Result<(), SealError> {
        <XWing as Kem>::PublicKey::from_bytes(&self.0).map(drop).map_err(|_| SealError::Key)
    }

    /// Seals `plaintext`; it opens only with the same `context`.
    ///
    /// # Errors
    /// [`SealError::Key`] if the key is no key.
    pub fn seal(
        &self,
        mut rng: &mut dyn CryptoRng,
        context: &[u8],
        plaintext: &[u8],
    ) -> Result<Sealed, SealError> {
        let key = <XWing as Kem>::PublicKey::from_bytes(&self.0).map_err(|_| SealError::Key)?;
        let mode = OpModeS::Base;
        let (encapsulated, ciphertext) =
            hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, KdfTurboShake128, XWing>(
                &mode, &key, INFO, plaintext, context, &mut rng,
            )
            .map_err(|_| SealError::Key)?;
        let mut packet = encapsulated.to_bytes().to_vec();
        packet.extend(ciphertext);
        Ok(Sealed(packet))
    }
}

/// The secret half of a [`PacketKey`]. Wiped when dropped.
#[derive(Clone, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub struct PacketSecret {
    seed: [u8; SEED_BYTES],
    /// What follows from the seed, once it was needed. Goes with the last copy of the secret.
    #[borsh(skip)]
    #[zeroize(skip)]
    expanded: OnceLock<Arc<Expanded>>,
}

impl fmt::Debug for PacketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketSecret(..)")
    }
}

impl PartialEq for PacketSecret {
    fn eq(&self, other: &Self) -> bool {
        self.seed.ct_eq(&other.seed).into()
    }
}

impl Eq for PacketSecret {}

impl PacketSecret {
    /// A new key: from `rng`, never derived from another secret, so that erasing it is final.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Self { seed: [0; SEED_BYTES], expanded: OnceLock::new() };
        rng.fill_bytes(&mut secret.seed);
        secret
    }

    fn expanded(&self) -> &Expanded {
        self.expanded.get_or_init(|| Arc::new(Expanded::new(&self.seed)))
    }

    /// What packets are sealed to.
    pub fn public(&self) -> PacketKey {
        PacketKey(*self.expanded().public())
    }

    /// Opens what was sealed to [`PacketSecret::public`] in `context`.
    ///
    /// # Errors
    /// [`SealError`] if it was not.
    pub fn open(&self, context: &[u8], packet: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let got = packet.0.len();
        if got < OVERHEAD_BYTES {
            return Err(SealError::Short { got });
        }
        let (encapsulated, ciphertext) = packet.0.split_at(ENCAPSULATED_BYTES);
        let closed = |_| SealError::Closed;
        let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(encapsulated).map_err(closed)?;
        hpke::single_shot_open::<ChaCha20Poly1305, KdfTurboShake128, ExpandedXWing>(
            &OpModeR::Base,
            self.expanded(),
            &encapsulated,
            INFO,
            ciphertext,
            context,
        )
        .map(Zeroizing::new)
        .map_err(closed)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_packet_opens_only_with_its_key_and_context() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let (secret, other) = (PacketSecret::generate(&mut rng), PacketSecret::generate(&mut rng));
        let packet = secret.public().seal(&mut rng, b"round 1", b"share").unwrap();
        assert_eq!(packet.0.len(), OVERHEAD_BYTES + 5);
        assert_eq!(**secret.open(b"round 1", &packet).unwrap(), *b"share");
        assert_eq!(secret.open(b"round 2", &packet), Err(SealError::Closed));
        assert_eq!(other.open(b"round 1", &packet), Err(SealError::Closed));
        for byte in 0..packet.0.len() {
            let mut damaged = packet.clone();
            damaged.0[byte] ^= 1;
            assert_eq!(secret.open(b"round 1", &damaged), Err(SealError::Closed), "{byte}");
        }
        for length in [0, OVERHEAD_BYTES - 1] {
            let short = Sealed(packet.0[..length].to_vec());
            assert_eq!(secret.open(b"round 1", &short), Err(SealError::Short { got: length }));
        }
    }

    #[test]
    fn a_secret_is_stored_as_its_seed() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let secret = PacketSecret::generate(&mut rng);
        let packet = secret.public().seal(&mut rng, b"round 1", b"share").unwrap();
        let bytes = borsh::to_vec(&secret).unwrap();
        assert_eq!(bytes.len(), SEED_BYTES);
        let restored = PacketSecret::try_from_slice(&bytes).unwrap();
        assert_eq!(restored, secret);
        assert_eq!(**restored.open(b"round 1", &packet).unwrap(), *b"share");
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        // A coefficient of ML-KEM's key that is not reduced.
        let key = PacketKey([0xff; PACKET_KEY_BYTES]);
        assert_eq!(key.seal(&mut rng, b"", b"share"), Err(SealError::Key));
        assert_eq!(key.check(), Err(SealError::Key));
        assert_eq!(PacketSecret::generate(&mut rng).public().check(), Ok(()));
    }
}
