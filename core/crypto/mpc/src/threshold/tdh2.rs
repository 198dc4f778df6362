//! Sealing a data-set key under a threshold key: TDH2 of Shoup and Gennaro ("Securing Threshold
//! Cryptosystems against Chosen Ciphertext Attack", J. Cryptology 15, 2002, section 4.2) on
//! ristretto255, with these changes:
//!
//! * the challenge also hashes X, both generators and the sealed bytes C, so that a past grantee,
//!   who knows rX, cannot put another key under the owner's label;
//! * the owner signs the record, and the record commits to the key it seals, for the cipher
//!   (ChaCha20-Poly1305, RFC 8439) does not.
//!
//! With r, s random: U = rG, U' = rG', C = AEAD(KDF(rX, L), key), W = sG, W' = sG',
//! e = H(X, G, G', U, U', W, W', C, L), f = s + re.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_COMPRESSED;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use nexus_types::{Canonical, CodecError, CryptoRng, Digest, MemberId, borsh};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::group::{Exponent, Point, TDH2, Transcript, hedged};
use super::key::GroupKey;
use crate::identity::{Identity, PublicKey, Signature};

const SEALED_BYTES: usize = 32 + 16;

/// Why a record, a grant or a partial decryption is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// A value cannot be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The record is sealed under another key.
    #[error("the record is sealed under another threshold key")]
    OtherKey,
    /// The signer is not the owner in the label, or the signature is not valid.
    #[error("the record is not signed by the owner in its label")]
    Owner,
    /// An element is the neutral one, which would give the key away.
    #[error("{what} is the neutral element")]
    Neutral {
        /// Which element.
        what: &'static str,
    },
    /// The proof of the record is not one for its sealed bytes and label.
    #[error("the proof of the record is not valid")]
    Record,
    /// The grant is for another record.
    #[error("the grant is for another record")]
    OtherRecord,
    /// Nobody has shown to know the secret of the grantee's key for this grant.
    #[error("the grantee's proof of possession is not valid")]
    Possession,
    /// A member is not in the committee.
    #[error("{member} holds no share")]
    Stranger {
        /// Who.
        member: MemberId,
    },
    /// A partial decryption belongs to another epoch.
    #[error("a partial decryption of epoch {got} for epoch {expected}")]
    Epoch {
        /// Its epoch.
        got: u64,
        /// The key's epoch.
        expected: u64,
    },
    /// A member's partial decryption is there twice.
    #[error("two partial decryptions of {member}")]
    Duplicate {
        /// Whose.
        member: MemberId,
    },
    /// A partial decryption is wrong; whoever sees it can show that its author lied.
    #[error("the partial decryption of {member} is not valid")]
    Partial {
        /// Whose.
        member: MemberId,
    },
    /// Too few partial decryptions.
    #[error("{got} partial decryptions, it takes {need}")]
    TooFew {
        /// How many there are.
        got: usize,
        /// How many are needed.
        need: u16,
    },
    /// The grant is for another grantee.
    #[error("the grant is for another grantee")]
    OtherGrantee,
    /// The sealed bytes do not open, or hold another key than the record says: its owner's fault.
    #[error("the record does not hold the key it commits to")]
    Sealed,
    /// A record is sealed again under the same key.
    #[error("the record is under this key already")]
    SameKey,
}

/// The key of a data set. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct DataKey([u8; 32]);

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl DataKey {
    /// A new key. It must be uniform: its commitment is public.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// Its bytes, for the cipher of the chunks.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn commitment(&self, label: &Label) -> Result<Digest, CodecError> {
        let commitment = Transcript::new("nexus/mpc/threshold/data key v1");
        Ok(commitment.bytes(&label.encode()?).bytes(&self.0).digest())
    }
}

/// What a data-set key is for. Part of the ciphertext: nobody can put a copy under his own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Label {
    /// The data set.
    pub dataset: Digest,
    /// Its owner, who signs the record.
    pub owner: PublicKey,
    /// Digest of the conditions of access.
    pub policy: Digest,
}

impl Canonical for Label {
    const DOMAIN: &'static str = "nexus/mpc/threshold/label";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 128;
}

/// A sealed data-set key, as it is published.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Record {
    pub(super) body: Ciphertext,
    pub(super) signature: Signature,
}

impl Canonical for Record {
    const DOMAIN: &'static str = "nexus/mpc/threshold/record";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 512;
}

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Ciphertext {
    pub(super) key: Point,
    pub(super) label: Label,
    pub(super) u: Point,
    pub(super) u_prime: Point,
    pub(super) challenge: Exponent,
    pub(super) response: Exponent,
    pub(super) sealed: [u8; SEALED_BYTES],
    pub(super) commitment: Digest,
}

impl Canonical for Ciphertext {
    const DOMAIN: &'static str = "nexus/mpc/threshold/ciphertext";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 448;
}

/// Seals `data_key` under `key` for the label, and signs the record.
///
/// # Errors
/// [`ReleaseError::Owner`] if `owner` is not the one in the label, [`ReleaseError::Neutral`] if
/// the threshold key is the neutral element.
pub fn encrypt(
    key: &GroupKey,
    label: Label,
    data_key: &DataKey,
    owner: &Identity,
    rng: &mut dyn CryptoRng,
) -> Result<Record, ReleaseError> {
    if label.owner != owner.public() {
        return Err(ReleaseError::Owner);
    }
    if key.key.is_identity() {
        return Err(ReleaseError::Neutral { what: "the threshold key" });
    }
    let secret = Zeroizing::new(Scalar::from_bytes_mod_order(data_key.0));
    let mut nonces = hedged(&secret, &label.encode()?, rng);
    let (r, s) = (Zeroizing::new(nonces.scalar()), Zeroizing::new(nonces.scalar()));
    let u = Point::base(&r);
    let shared = Zeroizing::new(key.key.value() * *r);
    let mut ciphertext = Ciphertext {
        key: key.key,
        label,
        u,
        u_prime: Point::new(&*TDH2 * &*r),
        challenge: Exponent(Scalar::ZERO),
        response: Exponent(Scalar::ZERO),
        sealed: [0; SEALED_BYTES],
        commitment: data_key.commitment(&label)?,
    };
    ciphertext.seal(&shared, data_key)?;
    let e = ciphertext.hash(&Point::base(&s), &Point::new(&*TDH2 * &*s))?;
    ciphertext.challenge = Exponent(e);
    ciphertext.response = Exponent(*s + *r * e);
    ciphertext.sign(owner)
}

impl Ciphertext {
    pub(super) fn sign(self, owner: &Identity) -> Result<Record, ReleaseError> {
        let signature = owner.sign(Record::DOMAIN, &self.encode()?);
        Ok(Record { body: self, signature })
    }

    /// KDF(rX, L): one use, so that the nonce may be fixed.
    fn cipher(&self, shared: &RistrettoPoint) -> Result<ChaCha20Poly1305, CodecError> {
        let shared = Zeroizing::new(shared.compress().to_bytes());
        let key = Transcript::new("nexus/mpc/threshold/record key v1")
            .bytes(&self.label.encode()?)
            .point(&self.key)
            .point(&self.u)
            .bytes(&*shared)
            .digest();
        let key = Zeroizing::new(key.0);
        Ok(ChaCha20Poly1305::new((&*key).into()))
    }

    pub(super) fn seal(
        &mut self,
        shared: &RistrettoPoint,
        key: &DataKey,
    ) -> Result<(), ReleaseError> {
        let aad = self.label.encode()?;
        let payload = Payload { msg: &key.0, aad: &aad };
        let sealed = self.cipher(shared)?.encrypt(&Nonce::default(), payload);
        let sealed = sealed.ok().and_then(|sealed| sealed.try_into().ok());
        self.sealed = sealed.ok_or(ReleaseError::Sealed)?;
        Ok(())
    }

    /// Opens it with rX.
    pub(super) fn unseal(&self, shared: &RistrettoPoint) -> Result<DataKey, ReleaseError> {
        let aad = self.label.encode()?;
        let payload = Payload { msg: &self.sealed, aad: &aad };
        let plain = self.cipher(shared)?.decrypt(&Nonce::default(), payload);
        let plain = Zeroizing::new(plain.map_err(|_| ReleaseError::Sealed)?);
        let key = <[u8; 32]>::try_from(&plain[..]).map_err(|_| ReleaseError::Sealed)?;
        let key = DataKey(key);
        if key.commitment(&self.label)? != self.commitment {
            return Err(ReleaseError::Sealed);
        }
        Ok(key)
    }

    /// e of the module page. The commitment to the key counts as a part of C.
    pub(super) fn hash(&self, w: &Point, w_prime: &Point) -> Result<Scalar, CodecError> {
        Ok(Transcript::new("nexus/mpc/threshold/tdh2 v1")
            .point(&self.key)
            .bytes(RISTRETTO_BASEPOINT_COMPRESSED.as_bytes())
            .bytes(TDH2.basepoint().compress().as_bytes())
            .points([&self.u, &self.u_prime, w, w_prime])
            .bytes(&self.sealed)
            .bytes(&self.commitment.0)
            .bytes(&self.label.encode()?)
            .scalar())
    }

    /// W = fG - eU and W' = fG' - eU'.
    pub(super) fn commitments(&self) -> (Point, Point) {
        let (e, f) = (-self.challenge.0, self.response.0);
        let w = RistrettoPoint::vartime_double_scalar_mul_basepoint(&e, self.u.value(), &f);
        let points = [TDH2.basepoint(), *self.u_prime.value()];
        let w_prime = RistrettoPoint::vartime_multiscalar_mul([f, e], points);
        (Point::new(w), Point::new(w_prime))
    }

    /// Whether whoever made it knew r, for this label and these sealed bytes.
    pub(super) fn is_proven(&self) -> Result<bool, CodecError> {
        let (w, w_prime) = self.commitments();
        Ok(self.hash(&w, &w_prime)? == self.challenge.0)
    }
}

impl Record {
    /// What the key is for.
    pub const fn label(&self) -> &Label {
        &self.body.label
    }

    /// Everything a member checks before its share touches the record.
    ///
    /// # Errors
    /// [`ReleaseError`] names what is wrong with it.
    pub fn verify(&self, key: &GroupKey) -> Result<CheckedRecord, ReleaseError> {
        let body = &self.body;
        if body.key != key.key {
            return Err(ReleaseError::OtherKey);
        }
        if body.key.is_identity() || body.u.is_identity() {
            return Err(ReleaseError::Neutral { what: "U" });
        }
        body.label
            .owner
            .verify(Self::DOMAIN, &body.encode()?, &self.signature)
            .map_err(|_| ReleaseError::Owner)?;
        if !body.is_proven()? {
            return Err(ReleaseError::Record);
        }
        Ok(CheckedRecord { record: self.clone(), digest: self.digest()? })
    }
}

/// A record that has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedRecord {
    pub(super) record: Record,
    pub(super) digest: Digest,
}

impl CheckedRecord {
    /// The record.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// What grants name it by.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn holds(&self, key: &DataKey) -> Result<bool, CodecError> {
        let body = &self.record.body;
        Ok(key.commitment(&body.label)? == body.commitment)
    }
}
