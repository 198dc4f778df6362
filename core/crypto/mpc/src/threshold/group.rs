//! The group: ristretto255 (RFC 9496), of prime order l = 2^252 + 27742317777372353535851937790883648493,
//! its canonical encodings, and hashing to scalars and elements.

use std::fmt;
use std::sync::LazyLock;

use borsh::io;
use borsh::{BorshDeserialize, BorshSerialize};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoBasepointTable, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use nexus_types::{CryptoRng, Digest, borsh};
use rand_core::{Infallible, TryCryptoRng, TryRng};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::sharing::commit::BLINDING_GENERATOR;

/// An element of the group with its one encoding of 32 bytes. It may be the neutral element:
/// whoever multiplies by a secret checks that first.
#[derive(Clone, Copy)]
pub struct Point {
    value: RistrettoPoint,
    bytes: [u8; 32],
}

impl Point {
    pub(super) fn new(value: RistrettoPoint) -> Self {
        Self { value, bytes: value.compress().to_bytes() }
    }

    /// `scalar` times the generator G.
    pub(super) fn base(scalar: &Scalar) -> Self {
        Self::new(RistrettoPoint::mul_base(scalar))
    }

    pub(super) const fn value(&self) -> &RistrettoPoint {
        &self.value
    }

    /// The encoding of RFC 9496, section 4.3.2.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Whether it is the neutral element, whose encoding is zero.
    pub fn is_identity(&self) -> bool {
        self.bytes == [0; 32]
    }

    /// The element with this encoding, if there is one.
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        let value = CompressedRistretto(bytes).decompress()?;
        Some(Self { value, bytes })
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Point {}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Point({})", Digest(self.bytes).short())
    }
}

impl BorshSerialize for Point {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(&self.bytes)
    }
}

impl BorshDeserialize for Point {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        Self::from_bytes(<[u8; 32]>::deserialize_reader(reader)?)
            .ok_or_else(|| invalid("no element of ristretto255"))
    }
}

/// A public number modulo l: a challenge, a response, or a share that was made public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exponent(pub(super) Scalar);

impl BorshSerialize for Exponent {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.0.as_bytes())
    }
}

impl BorshDeserialize for Exponent {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let bytes = <[u8; 32]>::deserialize_reader(reader)?;
        Option::from(Scalar::from_canonical_bytes(bytes))
            .map(Self)
            .ok_or_else(|| invalid("a number that is not reduced modulo the group order"))
    }
}

/// A secret number modulo l. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct Secret(pub(super) Scalar);

impl Secret {
    pub(super) fn random(rng: &mut dyn CryptoRng) -> Self {
        Self(Scalar::random(rng))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl BorshSerialize for Secret {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.0.as_bytes())
    }
}

impl BorshDeserialize for Secret {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        Exponent::deserialize_reader(reader).map(|exponent| Self(exponent.0))
    }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// H of Pedersen's commitments.
pub(super) static PEDERSEN: LazyLock<RistrettoBasepointTable> =
    LazyLock::new(|| RistrettoBasepointTable::create(&BLINDING_GENERATOR));

/// G' of TDH2, whose logarithm nobody knows: hashed to the group (RFC 9496, section 4.3.4).
pub(super) static TDH2: LazyLock<RistrettoBasepointTable> = LazyLock::new(|| {
    let mut uniform = [0; 64];
    let hasher = blake3::Hasher::new_derive_key("nexus/mpc/threshold/tdh2 generator v1");
    hasher.finalize_xof().fill(&mut uniform);
    RistrettoBasepointTable::create(&RistrettoPoint::from_uniform_bytes(&uniform))
});

/// What a challenge or nonce is hashed from: fields under their lengths, so that no two lists of
/// fields meet. BLAKE3 in key-derivation mode stands for the random oracle.
#[derive(Clone)]
pub(super) struct Transcript(blake3::Hasher);

impl Transcript {
    pub(super) fn new(domain: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(domain))
    }

    pub(super) fn bytes(mut self, field: &[u8]) -> Self {
        self.0.update(&(field.len() as u64).to_le_bytes());
        self.0.update(field);
        self
    }

    pub(super) fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    pub(super) fn point(self, point: &Point) -> Self {
        self.bytes(&point.bytes)
    }

    pub(super) fn points<'a>(self, points: impl IntoIterator<Item = &'a Point>) -> Self {
        points.into_iter().fold(self, Self::point)
    }

    pub(super) fn digest(self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }

    /// A number modulo l from 512 bits: within 2^-259 of uniform.
    pub(super) fn scalar(self) -> Scalar {
        self.stream().scalar()
    }

    /// As many bytes as one likes.
    pub(super) fn stream(self) -> Stream {
        Stream(self.0.finalize_xof())
    }
}

/// The output of a [`Transcript`] as a source of randomness.
pub(super) struct Stream(blake3::OutputReader);

impl Stream {
    pub(super) fn scalar(&mut self) -> Scalar {
        let mut wide = [0; 64];
        self.0.fill(&mut wide);
        let scalar = Scalar::from_bytes_mod_order_wide(&wide);
        wide.zeroize();
        scalar
    }

    /// 128 bits: weights that merge equations into one.
    pub(super) fn weight(&mut self) -> Scalar {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        Scalar::from(u128::from_le_bytes(bytes))
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Stream {}

/// Nonces from a secret, what they are for, and fresh randomness: they do not repeat while any
/// one of the three is new, so a machine restored from a snapshot gives nothing away.
pub(super) fn hedged(secret: &Scalar, context: &[u8], rng: &mut dyn CryptoRng) -> Stream {
    let mut fresh = [0; 32];
    rng.fill_bytes(&mut fresh);
    let stream = Transcript::new("nexus/mpc/threshold/nonce v1")
        .bytes(secret.as_bytes())
        .bytes(context)
        .bytes(&fresh)
        .stream();
    fresh.zeroize();
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_canonical() {
        // RFC 9496, appendix A.3: encodings of no element.
        for (first, rest, last) in [(0x00, 0xff, 0xff), (0xf3, 0xff, 0x7f), (0x01, 0x00, 0x00)] {
            let mut bytes = [rest; 32];
            (bytes[0], bytes[31]) = (first, last);
            assert!(Point::try_from_slice(&bytes).is_err());
        }
        let order = {
            let mut bytes = (-Scalar::ONE).to_bytes();
            bytes[0] += 1;
            bytes
        };
        assert!(Exponent::try_from_slice(&order).is_err());
        assert!(Secret::try_from_slice(&order).is_err());
        let point = Point::base(&Scalar::from(7u8));
        assert_eq!(Point::try_from_slice(&borsh::to_vec(&point).unwrap()).unwrap(), point);
        assert!(Point::from_bytes([0; 32]).unwrap().is_identity());
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let digest = |fields: &[&[u8]]| {
            fields.iter().fold(Transcript::new("test"), |all, field| all.bytes(field)).digest()
        };
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_ne!(digest(&[b"ab"]), digest(&[b"ab", b""]));
    }

    #[test]
    fn the_generators_are_pinned_and_differ() {
        let [pedersen, tdh2] = [&PEDERSEN, &TDH2].map(|table| Point::new(table.basepoint()));
        assert_ne!(pedersen, tdh2);
        assert!(!pedersen.is_identity() && !tdh2.is_identity());
    }
}
