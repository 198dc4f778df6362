//! X-Wing (draft-connolly-cfrg-xwing-kem) with a secret key that is expanded once. The `x-wing`
//! crate, and with it `hpke`, expands the seed each time it opens something: twice the work of
//! the opening itself. Sealing, formats and the key schedule stay those of `hpke`.

use curve25519_dalek::{EdwardsPoint, MontgomeryPoint};
use hpke::kem::{SharedSecret, XWing};
use hpke::{Deserializable, HpkeError, Kem, Serializable};
use ml_kem::kem::Decapsulate;
use ml_kem::{FromSeed, KeyExport, MlKem768, Seed, ml_kem_768};
use nexus_types::CryptoRng;
use sha3::{Digest, Sha3_256};
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{PACKET_KEY_BYTES, SEED_BYTES};

const LATTICE_KEY_BYTES: usize = 1184;
const LATTICE_CIPHERTEXT_BYTES: usize = 1088;
const LABEL: &[u8] = br"\.//^\";

/// The key encapsulation of [`XWing`], under the same number, with [`Expanded`] secret keys.
pub(super) struct ExpandedXWing;

/// A secret key and all that follows from its seed. Wiped when dropped.
#[derive(Clone)]
pub(super) struct Expanded {
    seed: Zeroizing<[u8; SEED_BYTES]>,
    lattice: ml_kem_768::DecapsulationKey,
    scalar: Zeroizing<[u8; 32]>,
    public: [u8; PACKET_KEY_BYTES],
}

// Each of the secret parts wipes itself.
impl ZeroizeOnDrop for Expanded {}

impl Expanded {
    pub(super) fn new(seed: &[u8; SEED_BYTES]) -> Self {
        let mut shake = Shake256::default();
        shake.update(seed);
        let mut stream = shake.finalize_xof();
        let (mut lattice, mut scalar) = (Zeroizing::new(Seed::default()), Zeroizing::new([0; 32]));
        stream.read(&mut lattice);
        stream.read(&mut *scalar);
        let (lattice, encapsulation) = MlKem768::from_seed(&lattice);
        let mut public = [0; PACKET_KEY_BYTES];
        let (first, last) = public.split_at_mut(LATTICE_KEY_BYTES);
        first.copy_from_slice(&encapsulation.to_bytes());
        last.copy_from_slice(&EdwardsPoint::mul_base_clamped(*scalar).to_montgomery().0);
        Self { seed: Zeroizing::new(*seed), lattice, scalar, public }
    }

    /// The public key, as others get it.
    pub(super) const fn public(&self) -> &[u8; PACKET_KEY_BYTES] {
        &self.public
    }

    /// The shared secret that an encapsulated key holds.
    fn open(&self, encapsulated: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let (lattice, point) = encapsulated.split_at_checked(LATTICE_CIPHERTEXT_BYTES)?;
        let ciphertext = ml_kem_768::Ciphertext::try_from(lattice).ok()?;
        let point = MontgomeryPoint(point.try_into().ok()?);
        let first = Zeroizing::new(self.lattice.decapsulate(&ciphertext));
        let second = Zeroizing::new(point.mul_clamped(*self.scalar).0);
        let mut hash = Sha3_256::new();
        let own = &self.public[LATTICE_KEY_BYTES..];
        for part in [first.as_slice(), &*second, &point.0, own, LABEL] {
            Digest::update(&mut hash, part);
        }
        Some(Zeroizing::new(hash.finalize().into()))
    }
}

impl Serializable for Expanded {
    type OutputSize = <<XWing as Kem>::PrivateKey as Serializable>::OutputSize;

    fn write_exact(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&*self.seed);
    }
}

impl Deserializable for Expanded {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let wrong = |_| HpkeError::IncorrectInputLength(SEED_BYTES, bytes.len());
        Ok(Self::new(bytes.try_into().map_err(wrong)?))
    }
}

impl ConstantTimeEq for Expanded {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.seed.ct_eq(&*other.seed)
    }
}

/// A public key as it is published, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Public([u8; PACKET_KEY_BYTES]);

impl Serializable for Public {
    type OutputSize = <<XWing as Kem>::PublicKey as Serializable>::OutputSize;

    fn write_exact(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.0);
    }
}

impl Deserializable for Public {
    fn from_bytes(bytes: &[u8]) -> Result<Self, HpkeError> {
        let wrong = |_| HpkeError::IncorrectInputLength(PACKET_KEY_BYTES, bytes.len());
        Ok(Self(bytes.try_into().map_err(wrong)?))
    }
}

impl Kem for ExpandedXWing {
    type PublicKey = Public;
    type PrivateKey = Expanded;
    type EncappedKey = <XWing as Kem>::EncappedKey;
    type NSecret = <XWing as Kem>::NSecret;

    const KEM_ID: u16 = XWing::KEM_ID;

    fn sk_to_pk(secret: &Expanded) -> Public {
        Public(secret.public)
    }

    fn derive_keypair(material: &[u8]) -> (Expanded, Public) {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        XWing::derive_keypair(material).0.write_exact(&mut *seed);
        let secret = Expanded::new(&seed);
        let public = Self::sk_to_pk(&secret);
        (secret, public)
    }

    fn decap(
        secret: &Expanded,
        sender: Option<&Public>,
        encapsulated: &Self::EncappedKey,
    ) -> Result<SharedSecret<Self>, HpkeError> {
        // X-Wing knows no senders.
        let opened = sender.is_none().then(|| secret.open(&encapsulated.to_bytes())).flatten();
        let opened = opened.ok_or(HpkeError::DecapError)?;
        let mut shared = SharedSecret::default();
        shared.0.copy_from_slice(&*opened);
        Ok(shared)
    }

    fn encap_with_rng(
        public: &Public,
        sender: Option<(&Expanded, &Public)>,
        rng: &mut impl CryptoRng,
    ) -> Result<(SharedSecret<Self>, Self::EncappedKey), HpkeError> {
        if sender.is_some() {
            return Err(HpkeError::EncapError);
        }
        let public = <XWing as Kem>::PublicKey::from_bytes(&public.0)?;
        let (secret, encapsulated) = XWing::encap_with_rng(&public, None, rng)?;
        let mut shared = SharedSecret::default();
        shared.0.copy_from_slice(&secret.0);
        Ok((shared, encapsulated))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    /// What the `x-wing` crate makes of the same seed and the same encapsulated key.
    fn as_upstream(seed: &[u8; SEED_BYTES], encapsulated: &[u8]) -> Vec<u8> {
        let secret = <XWing as Kem>::PrivateKey::from_bytes(seed).unwrap();
        let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(encapsulated).unwrap();
        XWing::decap(&secret, None, &encapsulated).unwrap().0.to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_is_upstreams(seed: [u8; SEED_BYTES], number: u64, bit in 0usize..8 * 1120) {
            let own = Expanded::new(&seed);
            let upstream = <XWing as Kem>::PrivateKey::from_bytes(&seed).unwrap();
            let public = XWing::sk_to_pk(&upstream);
            prop_assert_eq!(public.to_bytes().to_vec(), own.public().to_vec());
            let mut rng = ChaCha12Rng::seed_from_u64(number);
            let (shared, encapsulated) = XWing::encap_with_rng(&public, None, &mut rng).unwrap();
            let mut bytes = encapsulated.to_bytes().to_vec();
            prop_assert_eq!(own.open(&bytes).unwrap().to_vec(), shared.0.to_vec());
            // What was not made for the key opens to something else, and to the same thing.
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(own.open(&bytes).unwrap().to_vec(), as_upstream(&seed, &bytes));
            prop_assert_eq!(own.open(&bytes[1..]), None);
        }

        #[test]
        fn keys_are_derived_as_upstream(material: [u8; SEED_BYTES]) {
            let (own, public) = ExpandedXWing::derive_keypair(&material);
            let (upstream, key) = XWing::derive_keypair(&material);
            prop_assert_eq!(own.to_bytes(), upstream.to_bytes());
            prop_assert_eq!(public.to_bytes(), key.to_bytes());
        }
    }

    #[test]
    fn a_point_of_small_order_opens_as_upstream() {
        let seed = [7; SEED_BYTES];
        assert_eq!(
            Expanded::new(&seed).open(&[0; 1120]).unwrap().as_slice(),
            as_upstream(&seed, &[0; 1120])
        );
    }
}
