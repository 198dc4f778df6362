//! Keys, and what two owners derive from them: packets for each other and the mask between them.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce};
use curve25519_dalek::ristretto::CompressedRistretto;
use curve25519_dalek::traits::IsIdentity;
use curve25519_dalek::{RistrettoPoint, Scalar};
use nexus_field::mask::{MaskKey, Sign};
use nexus_types::{CryptoRng, Digest, OwnerId, borsh};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const SCALAR_BYTES: usize = 32;
const PACKET_BYTES: usize = 2 * SCALAR_BYTES + 16;
const MASK_KEY: &str = "nexus/mpc/secagg-plus pair mask v1";
const OWN_MASK: &str = "nexus/mpc/secagg-plus own mask v1";
const PACKET: &str = "nexus/mpc/secagg-plus packet v1";
const COMMITMENT: &str = "nexus/mpc/secagg-plus commitment v1";

/// A scalar of ristretto255 that is a secret or a share of one. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(super) struct Secret(pub(super) Scalar);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl BorshSerialize for Secret {
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        writer.write_all(self.0.as_bytes())
    }
}

impl BorshDeserialize for Secret {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let bytes = Zeroizing::new(<[u8; SCALAR_BYTES]>::deserialize_reader(reader)?);
        let scalar: Option<Scalar> = Scalar::from_canonical_bytes(*bytes).into();
        let refused = || borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, "no scalar");
        scalar.map(Self).ok_or_else(refused)
    }
}

impl Secret {
    pub(super) fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Scalar::random(rng))
    }

    pub(super) fn public(&self) -> Point {
        Point(RistrettoPoint::mul_base(&self.0).compress().0)
    }

    /// What this key and each of the others have in common: `2·a·B`, encoded.
    ///
    /// The factor 2 is that of the batched encoding (`double_and_compress_batch`), and does no
    /// harm in a group of prime order.
    pub(super) fn meet(&self, others: &[RistrettoPoint]) -> Vec<Zeroizing<[u8; 32]>> {
        let points: Zeroizing<Vec<_>> =
            Zeroizing::new(others.iter().map(|other| other * self.0).collect());
        let encoded = RistrettoPoint::double_and_compress_batch(points.iter());
        encoded.into_iter().map(|point| Zeroizing::new(point.0)).collect()
    }
}

/// A public key as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Point(pub(super) [u8; 32]);

impl Point {
    /// The group element. The neutral one is refused: what it has in common with any key is
    /// known to all. The group has prime order, so there is no other small one.
    pub(super) fn element(&self) -> Option<RistrettoPoint> {
        CompressedRistretto(self.0).decompress().filter(|point| !point.is_identity())
    }
}

/// What is to be summed, modulo 2^32. Wiped when dropped.
#[derive(Clone, Default, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Values(pub(super) Vec<u32>);

impl Values {
    /// Four bytes each, little-endian.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size_of_val(self.0.as_slice()));
        self.0.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
        bytes
    }
}

/// The secret keys of an owner for one sum.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Keys {
    /// For packets. Never revealed, and so not the same as the other.
    pub(super) seal: Secret,
    /// For masks. Revealed if the owner drops out.
    pub(super) mask: Secret,
}

/// The shares that one owner gives another, of the secrets that hide its values.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Held {
    /// Whose secrets.
    pub(super) of: OwnerId,
    /// Share of the seed of its own mask.
    pub(super) own: Secret,
    /// Share of its key for masks.
    pub(super) key: Secret,
}

/// A [`Held`] under the key of its two owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Sealed(pub(super) [u8; PACKET_BYTES]);

/// One direction between two owners in one sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    pub(super) session: &'a Digest,
    pub(super) from: OwnerId,
    pub(super) to: OwnerId,
}

impl Way<'_> {
    fn derive(&self, purpose: &str, common: &[u8; 32], out: &mut [u8]) {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(&self.context());
        hasher.update(common);
        hasher.finalize_xof().fill(out);
    }

    fn context(&self) -> [u8; 40] {
        let mut context = [0; 40];
        context[..32].copy_from_slice(&self.session.0);
        context[32..36].copy_from_slice(&self.from.0.to_le_bytes());
        context[36..].copy_from_slice(&self.to.0.to_le_bytes());
        context
    }

    fn cipher(&self, common: &[u8; 32]) -> ChaCha20Poly1305 {
        let mut key = Zeroizing::new([0; 32]);
        self.derive(PACKET, common, &mut *key);
        ChaCha20Poly1305::new(<&Key>::from(&*key))
    }

    /// Seals two shares. The key is of this way in this session, and seals once: the nonce may
    /// be nought (RFC 8439, section 2.8).
    pub(super) fn seal(&self, common: &[u8; 32], own: &Scalar, key: &Scalar) -> Option<Sealed> {
        let plain = Zeroizing::new([own.to_bytes(), key.to_bytes()].concat());
        let payload = Payload { msg: &plain, aad: &self.context() };
        let sealed = self.cipher(common).encrypt(&Nonce::default(), payload).ok()?;
        sealed.try_into().ok().map(Sealed)
    }

    pub(super) fn open(&self, common: &[u8; 32], sealed: &Sealed) -> Option<Held> {
        let payload = Payload { msg: &sealed.0, aad: &self.context() };
        let plain = self.cipher(common).decrypt(&Nonce::default(), payload).ok()?;
        let plain = Zeroizing::new(plain);
        let [own, key] = borsh::from_slice(&plain).ok()?;
        Some(Held { of: self.from, own, key })
    }

    /// The mask that `from` applies for the pair, with its sign: the other applies the opposite.
    pub(super) fn mask(&self, common: &[u8; 32]) -> (MaskKey, Sign) {
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        let mut key = Zeroizing::new([0; 16]);
        Way { from: low, to: high, ..*self }.derive(MASK_KEY, common, &mut *key);
        let sign = if self.from == low { Sign::Plus } else { Sign::Minus };
        (MaskKey::new(*key), sign)
    }
}

/// The key of an owner's own mask.
pub(super) fn own_mask(session: &Digest, owner: OwnerId, seed: &Secret) -> MaskKey {
    let mut key = Zeroizing::new([0; 16]);
    Way { session, from: owner, to: owner }.derive(OWN_MASK, seed.0.as_bytes(), &mut *key);
    MaskKey::new(*key)
}

/// What tells a reconstructed seed from a wrong one. It hides the seed, which is uniform.
pub(super) fn commitment(session: &Digest, owner: OwnerId, seed: &Secret) -> Digest {
    let mut digest = Digest([0; 32]);
    Way { session, from: owner, to: owner }.derive(COMMITMENT, seed.0.as_bytes(), &mut digest.0);
    digest
}
