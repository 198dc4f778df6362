//! Commitments to a polynomial over the scalars of ristretto255 (RFC 9496), with which every
//! holder checks its share alone.

use std::sync::LazyLock;

use borsh::{BorshDeserialize, BorshSerialize, io};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use nexus_types::borsh;

use super::shamir::{MAX_HOLDERS, Polynomial, Share, Threshold};

/// The second generator of [`Pedersen`]: nobody knows its logarithm, as it is hashed to the group
/// (RFC 9496, section 4.3.4).
pub(crate) static BLINDING_GENERATOR: LazyLock<RistrettoPoint> = LazyLock::new(|| {
    let mut uniform = [0; 64];
    let hasher = blake3::Hasher::new_derive_key("nexus/mpc/pedersen generator v1");
    hasher.finalize_xof().fill(&mut uniform);
    RistrettoPoint::from_uniform_bytes(&uniform)
});

/// Why a share or a commitment is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitmentError {
    /// The polynomial has the wrong degree: more coefficients than the threshold make a secret
    /// that the threshold does not open, fewer make one that less than it opens.
    #[error("a commitment to {got} coefficients, {expected} were expected")]
    Length {
        /// Coefficients committed to.
        got: usize,
        /// The threshold.
        expected: u16,
    },
    /// A share of nobody.
    #[error("a share of holder {holder}, they are 1 to {holders}")]
    Holder {
        /// Whose it claims to be.
        holder: u16,
        /// Holders.
        holders: u16,
    },
    /// The share is not the committed one.
    #[error("the share of holder {holder} is not the committed one")]
    Share {
        /// Whose.
        holder: u16,
    },
}

/// Commits to each coefficient `a_k` as `a_k·G` (P. Feldman, FOCS 1987). Shows `secret·G`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Feldman(Committed);

/// Commits to the coefficients `a_k`, `b_k` of two polynomials as `a_k·G + b_k·H` (T. P. Pedersen,
/// CRYPTO 1991). Shows nothing of the first if the second is uniform.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Pedersen(Committed);

impl Feldman {
    /// The commitment to `polynomial`.
    pub fn to(polynomial: &Polynomial<Scalar>) -> Self {
        Self(Committed(polynomial.coefficients().iter().map(RistrettoPoint::mul_base).collect()))
    }

    /// Is `share` the committed one, and the polynomial one of this threshold?
    ///
    /// # Errors
    /// [`CommitmentError`].
    pub fn verify(
        &self,
        threshold: Threshold,
        share: &Share<Scalar>,
    ) -> Result<(), CommitmentError> {
        self.0.check(threshold, share.holder, &RistrettoPoint::mul_base(&share.value))
    }

    /// Is the polynomial one of this threshold?
    ///
    /// # Errors
    /// [`CommitmentError::Length`].
    pub fn check_length(&self, threshold: Threshold) -> Result<(), CommitmentError> {
        self.0.check_length(threshold)
    }

    /// `share·G` of a holder; `secret·G` for 0.
    pub fn at(&self, holder: u16) -> RistrettoPoint {
        self.0.at(holder)
    }
}

impl Pedersen {
    /// The commitment to `polynomial` under `blinding`, which is uniform and as long.
    pub fn to(polynomial: &Polynomial<Scalar>, blinding: &Polynomial<Scalar>) -> Self {
        let both = polynomial.coefficients().iter().zip(blinding.coefficients());
        Self(Committed(both.map(|(a, b)| commit(a, b)).collect()))
    }

    /// Are these shares of one holder the committed ones, and the polynomials of this threshold?
    ///
    /// # Errors
    /// [`CommitmentError`].
    pub fn verify(
        &self,
        threshold: Threshold,
        share: &Share<Scalar>,
        blinding: &Share<Scalar>,
    ) -> Result<(), CommitmentError> {
        let holder = share.holder;
        if blinding.holder != holder {
            return Err(CommitmentError::Share { holder });
        }
        self.0.check(threshold, holder, &commit(&share.value, &blinding.value))
    }
}

fn commit(value: &Scalar, blinding: &Scalar) -> RistrettoPoint {
    RistrettoPoint::mul_base(value) + *BLINDING_GENERATOR * blinding
}

/// Commitments to the coefficients of a polynomial, lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Committed(Vec<RistrettoPoint>);

impl Committed {
    fn at(&self, holder: u16) -> RistrettoPoint {
        value_at(self.0.iter(), holder)
    }

    fn check_length(&self, threshold: Threshold) -> Result<(), CommitmentError> {
        let (got, expected) = (self.0.len(), threshold.needed());
        if got != usize::from(expected) {
            return Err(CommitmentError::Length { got, expected });
        }
        Ok(())
    }

    fn check(
        &self,
        threshold: Threshold,
        holder: u16,
        committed: &RistrettoPoint,
    ) -> Result<(), CommitmentError> {
        self.check_length(threshold)?;
        let holders = threshold.holders();
        if !(1..=holders).contains(&holder) {
            return Err(CommitmentError::Holder { holder, holders });
        }
        if self.at(holder) != *committed {
            return Err(CommitmentError::Share { holder });
        }
        Ok(())
    }
}

/// The polynomial with these committed coefficients, lowest first, at `holder`.
pub(crate) fn value_at<'a>(
    coefficients: impl DoubleEndedIterator<Item = &'a RistrettoPoint>,
    holder: u16,
) -> RistrettoPoint {
    let horner = |sum: RistrettoPoint, point: &RistrettoPoint| times(holder, sum) + point;
    coefficients.rev().fold(RistrettoPoint::identity(), horner)
}

/// `factor·point` in a time that depends on the factor, a holder's number.
fn times(factor: u16, point: RistrettoPoint) -> RistrettoPoint {
    let bits = u16::BITS - factor.leading_zeros();
    (0..bits).rev().fold(RistrettoPoint::identity(), |sum, bit| {
        let double = sum + sum;
        if factor >> bit & 1 == 1 { double + point } else { double }
    })
}

/// The number of points as one word of 16 bits, then 32 bytes for each.
impl BorshSerialize for Committed {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        let length = u16::try_from(self.0.len()).map_err(|_| invalid("too many points"))?;
        length.serialize(writer)?;
        self.0.iter().try_for_each(|point| writer.write_all(point.compress().as_bytes()))
    }
}

impl BorshDeserialize for Committed {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let length = u16::deserialize_reader(reader)?;
        if length == 0 || length > MAX_HOLDERS {
            return Err(invalid("a commitment to no coefficient or to too many"));
        }
        let mut point = || {
            let bytes = CompressedRistretto(<[u8; 32]>::deserialize_reader(reader)?);
            bytes.decompress().ok_or_else(|| invalid("no element of ristretto255"))
        };
        (0..length).map(|_| point()).collect::<io::Result<_>>().map(Self)
    }
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use nexus_types::Digest;
    use proptest::prelude::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::sharing::Field;

    fn polynomial(rng: &mut ChaCha12Rng, length: u16) -> Polynomial<Scalar> {
        let secret = Scalar::random(rng);
        Polynomial::random(rng, secret, length)
    }

    #[test]
    fn every_committed_share_verifies_and_no_other() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let threshold = Threshold::new(4, 20).unwrap();
        let (secret, blinding) = (polynomial(&mut rng, 4), polynomial(&mut rng, 4));
        let (feldman, pedersen) = (Feldman::to(&secret), Pedersen::to(&secret, &blinding));
        for (share, blind) in secret.shares(20).iter().zip(&blinding.shares(20)) {
            let holder = share.holder;
            assert_eq!(feldman.at(holder), RistrettoPoint::mul_base(&share.value));
            assert_eq!(feldman.verify(threshold, share), Ok(()));
            assert_eq!(pedersen.verify(threshold, share, blind), Ok(()));
            let wrong = Err(CommitmentError::Share { holder });
            let off = Share { holder, value: share.value + Scalar::ONE };
            assert_eq!(feldman.verify(threshold, &off), wrong);
            assert_eq!(pedersen.verify(threshold, &off, blind), wrong);
            assert_eq!(pedersen.verify(threshold, share, &off), wrong);
            let other = Share { holder: 21 - holder, value: blind.value };
            assert_eq!(pedersen.verify(threshold, share, &other), wrong);
        }
    }

    #[test]
    fn the_secret_itself_and_strangers_are_no_shares() {
        let mut rng = ChaCha12Rng::seed_from_u64(2);
        let (threshold, secret) = (Threshold::new(2, 3).unwrap(), polynomial(&mut rng, 2));
        for holder in [0, 4, u16::MAX] {
            let share = Share { holder, value: secret.at(holder) };
            let refused = CommitmentError::Holder { holder, holders: 3 };
            assert_eq!(Feldman::to(&secret).verify(threshold, &share), Err(refused));
        }
    }

    /// The attack: a dealer of higher degree whose shares all verify, and that no `t` holders
    /// open, or open to different secrets. Without the length check it succeeds.
    #[test]
    fn a_polynomial_of_another_degree_is_refused() {
        let mut rng = ChaCha12Rng::seed_from_u64(3);
        let threshold = Threshold::new(3, 5).unwrap();
        for length in [1, 2, 4, 5] {
            let (secret, blinding) = (polynomial(&mut rng, length), polynomial(&mut rng, length));
            let (shares, blind) = (secret.shares(5), blinding.shares(5));
            let (feldman, pedersen) = (Feldman::to(&secret), Pedersen::to(&secret, &blinding));
            let refused = CommitmentError::Length { got: usize::from(length), expected: 3 };
            assert_eq!(feldman.verify(threshold, &shares[0]), Err(refused));
            assert_eq!(pedersen.verify(threshold, &shares[0], &blind[0]), Err(refused));
            // The weakened twin compares the share only.
            let weak = |share: &Share<Scalar>| {
                feldman.at(share.holder) == RistrettoPoint::mul_base(&share.value)
            };
            assert!(shares.iter().all(weak));
            if length > 3 {
                assert_ne!(threshold.combine(&shares[..3]), threshold.combine(&shares[2..]));
            }
        }
    }

    #[test]
    fn the_blinding_generator_is_pinned_and_no_multiple_by_accident() {
        let bytes = BLINDING_GENERATOR.compress().to_bytes();
        assert_eq!(
            Digest(bytes).to_string(),
            "329e052f0eec30d3d6e9ae34849a8ed5ceb40578ea7672836922cc14cfe6600d"
        );
        assert_ne!(*BLINDING_GENERATOR, RistrettoPoint::mul_base(&Scalar::ONE));
        assert_ne!(*BLINDING_GENERATOR, RistrettoPoint::identity());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn commitments_decode_and_damaged_ones_are_others(seed: u64, bit: prop::sample::Index) {
            let mut rng = ChaCha12Rng::seed_from_u64(seed);
            let feldman = Feldman::to(&polynomial(&mut rng, 3));
            let mut bytes = borsh::to_vec(&feldman).unwrap();
            prop_assert_eq!(&Feldman::try_from_slice(&bytes).unwrap(), &feldman);
            let bit = bit.index(8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = Feldman::try_from_slice(&bytes) {
                prop_assert_ne!(&other, &feldman);
                prop_assert_eq!(borsh::to_vec(&other).unwrap(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = Pedersen::try_from_slice(&bytes) {
                prop_assert_eq!(borsh::to_vec(&value).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_read() {
        for length in [0, MAX_HOLDERS + 1, u16::MAX] {
            assert!(Feldman::try_from_slice(&length.to_le_bytes()).is_err());
        }
    }

    #[test]
    fn scalars_are_a_field() {
        let three = <Scalar as Field>::from_u64(3);
        assert_eq!(Field::inverse(three).map(|third| third * three), Some(Scalar::ONE));
        assert_eq!(<Scalar as Field>::inverse(Scalar::ZERO), None);
    }
}
