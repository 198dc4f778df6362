//! Sums of encrypted vectors of integers, and nothing else: no slots, no products, no keys but one
//! pair, and a fraction of the bytes.
//!
//! [`Terms`] say how large values are, how many clients there are and how long vectors are. From them
//! follow degree and primes: the smallest that hold every sum above the noise, by a bound that fails with
//! probability 2^−128. Two schemes do the same behind [`AdditiveHe`]:
//!
//! | | hides under | a value costs | for |
//! |---|---|---|---|
//! | [`Ring`] | ring-LWE, 128 bits | 7 to 11 bytes, tens of nanoseconds | models |
//! | `Paillier`, with the feature `paillier` | factoring, 128 bits | 6 bytes, half a millisecond | who needs the classic one |
//!
//! # The ring
//!
//! BFV (Fan & Vercauteren 2012) without a modulus t, for no sum ever wraps: a coefficient holds 2^k times the
//! sum plus noise below 2^(k−1), modulo Q. Several values lie in one coefficient, each in a field that
//! holds its largest sum. Polynomials travel transformed, so that a sum and a share of its decryption are
//! computed word by word; residues travel in as many bits as they have. [`Layout`] says what it came to.
//!
//! # Who learns what
//!
//! Who adds sees ciphertexts. Who has the secret key learns the sum, and could read every single vector
//! that it gets hold of: keep it from who adds, or let nobody have it ([`threshold`](crate::threshold)). A
//! client that lies can add anything, within bounds or not, or spoil the sum; nothing here proves that it
//! does not. Whether a sum decrypts tells of the key: do not answer strangers whose ciphertexts these are.
//!
//! # Example
//!
//! ```
//! use nexus_he::additive::{AdditiveHe, Ring, Terms};
//! use rand_chacha::rand_core::SeedableRng;
//!
//! // The operating system's, outside of examples.
//! let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
//! let ring = Ring::new(Terms::new(1000, 2, 3)?)?;
//! let (secret, public) = ring.generate(&mut rng)?;
//!
//! let mut sum = ring.encrypt(&public, &[1, -2, 1000], &mut rng)?;
//! let other = ring.write(&ring.encrypt(&public, &[10, 20, 1000], &mut rng)?)?;
//! ring.add(&mut sum, &ring.read(&other)?)?;
//!
//! assert_eq!(*ring.decrypt(&secret, &sum)?, [11, 18, 2000]);
//! assert!(ring.add(&mut sum, &ring.read(&other)?).is_err(), "a third one has no room");
//! # Ok::<(), nexus_he::additive::AdditiveError>(())
//! ```

mod bits;
mod error;
mod layout;
#[cfg(feature = "paillier")]
mod paillier;
mod ring;
mod sum;
mod terms;
#[cfg(test)]
mod tests;

use nexus_types::CryptoRng;
use zeroize::Zeroizing;

pub use error::AdditiveError;
pub(crate) use layout::Dealers;
pub use layout::Layout;
#[cfg(feature = "paillier")]
pub use paillier::{Paillier, PaillierPublic, PaillierSecret, PaillierSum};
pub use ring::{PublicKey, Ring, SecretKey};
pub use sum::{SeededSum, Sum};
pub use terms::{MAX_BOUND, MAX_CLIENTS, MAX_VALUES, Terms};

/// A scheme that adds encrypted vectors of small integers.
pub trait AdditiveHe {
    /// What decrypts.
    type Secret;
    /// What encrypts.
    type Public;
    /// An encrypted vector, or the sum of several.
    type Sum;

    /// What everybody agreed on.
    fn terms(&self) -> &Terms;

    /// A fresh pair of keys. `rng` must be the operating system's.
    ///
    /// # Errors
    /// [`AdditiveError::Key`].
    fn generate(
        &self,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self::Secret, Self::Public), AdditiveError>;

    /// Encrypts a vector.
    ///
    /// # Errors
    /// [`AdditiveError::Length`], [`AdditiveError::Value`], [`AdditiveError::OtherTerms`].
    fn encrypt(
        &self,
        key: &Self::Public,
        values: &[i64],
        rng: &mut dyn CryptoRng,
    ) -> Result<Self::Sum, AdditiveError>;

    /// Adds another sum.
    ///
    /// # Errors
    /// [`AdditiveError::OtherTerms`], [`AdditiveError::OtherKey`]; [`AdditiveError::Addends`] if there are
    /// more of them than clients. Then the sum is as it was.
    fn add(&self, sum: &mut Self::Sum, other: &Self::Sum) -> Result<(), AdditiveError>;

    /// Adds several sums, as [`AdditiveHe::add`] does one.
    ///
    /// # Errors
    /// As there. Then the sum is as it was, if the scheme says so.
    fn add_all(&self, sum: &mut Self::Sum, others: &[Self::Sum]) -> Result<(), AdditiveError> {
        others.iter().try_for_each(|other| self.add(sum, other))
    }

    /// The sum in the clear.
    ///
    /// # Errors
    /// [`AdditiveError::OtherTerms`], [`AdditiveError::OtherKey`]; [`AdditiveError::Noise`] if it is no sum of
    /// what honest clients encrypt.
    fn decrypt(
        &self,
        key: &Self::Secret,
        sum: &Self::Sum,
    ) -> Result<Zeroizing<Vec<i64>>, AdditiveError>;

    /// How many vectors are in a sum, by its own account.
    fn addends(&self, sum: &Self::Sum) -> u32;

    /// The bytes of a sum.
    ///
    /// # Errors
    /// [`AdditiveError::OtherTerms`].
    fn write(&self, sum: &Self::Sum) -> Result<Vec<u8>, AdditiveError>;

    /// The sum of these bytes, whoever sent them.
    ///
    /// # Errors
    /// [`AdditiveError`] for whatever is none of these terms. Memory is that of one sum.
    fn read(&self, bytes: &[u8]) -> Result<Self::Sum, AdditiveError>;

    /// Bytes of a written sum.
    fn bytes(&self) -> usize;
}
