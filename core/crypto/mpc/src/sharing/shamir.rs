//! Shamir's sharing of one secret, t of n (A. Shamir, CACM 22(11), 1979).

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_field::Fp;
use nexus_types::{CryptoRng, borsh};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::field::Field;
use super::layout::point;
use super::polynomial::{Basis, evaluate};

/// Most holders of one secret.
pub const MAX_HOLDERS: u16 = 200;

/// A threshold: any `t` of the holders `1..=n` know the secret, fewer know nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Threshold {
    needed: u16,
    holders: u16,
}

/// What one holder has of a secret: the value at `holder` of a polynomial that is the secret at
/// nought. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub struct Share<V: Zeroize> {
    /// Whose, from 1 to n.
    pub holder: u16,
    /// The value.
    pub value: V,
}

impl<V: Zeroize> fmt::Debug for Share<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share(of holder {})", self.holder)
    }
}

/// Why there is no sharing, or no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// No threshold has these numbers.
    #[error("{needed} of {holders} holders, there are 1 to {MAX_HOLDERS} and at least 1 is needed")]
    Threshold {
        /// Holders needed.
        needed: u16,
        /// Holders.
        holders: u16,
    },
    /// A share of nobody: 0 would be the secret itself.
    #[error("a share of holder {holder}, they are 1 to {holders}")]
    Holder {
        /// Whose it claims to be.
        holder: u16,
        /// Holders.
        holders: u16,
    },
    /// Two shares of one holder.
    #[error("two shares of holder {holder}")]
    Twice {
        /// Whose.
        holder: u16,
    },
    /// Not enough shares.
    #[error("{have} shares, {need} are needed")]
    TooFew {
        /// Shares given.
        have: usize,
        /// Shares needed.
        need: u16,
    },
    /// The shares do not belong to one secret.
    #[error("the share of holder {holder} contradicts others")]
    Contradiction {
        /// The first that does not fit those before it; which of them is wrong cannot be told.
        holder: u16,
    },
    /// The shares belong together, but what they share are no 32 bytes.
    #[error("the shares are not of a secret of {SECRET_BYTES} bytes")]
    NotBytes,
}

impl Threshold {
    /// Any `needed` of `holders`.
    ///
    /// # Errors
    /// [`ShareError::Threshold`] unless `1 <= needed <= holders <= 200`.
    pub const fn new(needed: u16, holders: u16) -> Result<Self, ShareError> {
        if needed == 0 || needed > holders || holders > MAX_HOLDERS {
            return Err(ShareError::Threshold { needed, holders });
        }
        Ok(Self { needed, holders })
    }

    /// Shares that tell everything, `t`.
    pub const fn needed(self) -> u16 {
        self.needed
    }

    /// Holders, `n`.
    pub const fn holders(self) -> u16 {
        self.holders
    }

    /// Shares `secret`; the share of holder `i` is at index `i − 1`.
    pub fn share<F: Field>(self, rng: &mut dyn CryptoRng, secret: F) -> Vec<Share<F>> {
        Polynomial::random(rng, secret, self.needed).shares(self.holders)
    }

    /// The secret that all of these shares are of.
    ///
    /// # Errors
    /// [`ShareError`] if there are fewer than `t`, if a holder does not exist or comes twice, or
    /// if more than `t` contradict each other. Exactly `t` shares never contradict.
    pub fn combine<F: Field>(self, shares: &[Share<F>]) -> Result<F, ShareError> {
        let values = shares.iter().map(|share| [share.value]).collect();
        let holders: Vec<u16> = shares.iter().map(|share| share.holder).collect();
        self.interpolate(&holders, &Zeroizing::new(values)).map(|[secret]| secret)
    }

    /// Shares 32 bytes as five elements of Goldilocks, seven bytes in each but the last.
    pub fn share_bytes(
        self,
        rng: &mut dyn CryptoRng,
        secret: &[u8; SECRET_BYTES],
    ) -> Vec<Share<SharedBytes>> {
        let polynomials = secret.chunks(ELEMENT_BYTES).map(|chunk| {
            let mut word = Zeroizing::new([0; 8]);
            word[..chunk.len()].copy_from_slice(chunk);
            Polynomial::random(rng, Fp::new(u64::from_le_bytes(*word)), self.needed)
        });
        let polynomials: Vec<Polynomial<Fp>> = polynomials.collect();
        let share = |holder| {
            let mut value = [Fp::ZERO; ELEMENTS];
            value.iter_mut().zip(&polynomials).for_each(|(v, p)| *v = p.at(holder));
            Share { holder, value: SharedBytes(value) }
        };
        (1..=self.holders).map(share).collect()
    }

    /// The 32 bytes that all of these shares are of.
    ///
    /// # Errors
    /// As [`Threshold::combine`], and [`ShareError::NotBytes`], which a false share causes but for
    /// a chance of 2^-64.
    pub fn combine_bytes(
        self,
        shares: &[Share<SharedBytes>],
    ) -> Result<Zeroizing<[u8; SECRET_BYTES]>, ShareError> {
        let values = Zeroizing::new(shares.iter().map(|share| share.value.0).collect());
        let holders: Vec<u16> = shares.iter().map(|share| share.holder).collect();
        let elements = Zeroizing::new(self.interpolate(&holders, &values)?);
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        for (chunk, element) in secret.chunks_mut(ELEMENT_BYTES).zip(elements.iter()) {
            let word = Zeroizing::new(element.value().to_le_bytes());
            let (low, high) = word.split_at(chunk.len());
            chunk.copy_from_slice(low);
            if high.iter().fold(0, |bits, byte| bits | byte) != 0 {
                return Err(ShareError::NotBytes);
            }
        }
        Ok(secret)
    }

    /// The values at nought of the polynomials with these values.
    fn interpolate<F: Field, const K: usize>(
        self,
        holders: &[u16],
        values: &Zeroizing<Vec<[F; K]>>,
    ) -> Result<[F; K], ShareError> {
        self.check_holders(holders)?;
        let (base, rest) = holders.split_at(usize::from(self.needed));
        let (&first, _) = base.split_first().ok_or(ShareError::TooFew { have: 0, need: 1 })?;
        let basis = Basis::new(base.iter().map(|&x| point(x)).collect());
        let basis: Basis<F> = basis.ok_or(ShareError::Twice { holder: first })?;
        let at = |x: F| -> [F; K] {
            let lambdas = basis.at(x);
            std::array::from_fn(|k| {
                let terms = lambdas.iter().zip(values.iter());
                terms.fold(F::ZERO, |sum, (&lambda, value)| sum + lambda * value[k])
            })
        };
        for (&holder, value) in rest.iter().zip(&values[base.len()..]) {
            if at(point(holder)) != *value {
                return Err(ShareError::Contradiction { holder });
            }
        }
        Ok(at(F::ZERO))
    }

    fn check_holders(self, holders: &[u16]) -> Result<(), ShareError> {
        let mut seen = [false; MAX_HOLDERS as usize + 1];
        for &holder in holders {
            let range = ShareError::Holder { holder, holders: self.holders };
            let exists = (1..=self.holders).contains(&holder);
            let seen = seen.get_mut(usize::from(holder)).filter(|_| exists).ok_or(range)?;
            if std::mem::replace(seen, true) {
                return Err(ShareError::Twice { holder });
            }
        }
        if holders.len() < usize::from(self.needed) {
            return Err(ShareError::TooFew { have: holders.len(), need: self.needed });
        }
        Ok(())
    }
}

/// Bytes of a secret shared by [`Threshold::share_bytes`].
pub const SECRET_BYTES: usize = 32;
const ELEMENT_BYTES: usize = 7;
const ELEMENTS: usize = SECRET_BYTES.div_ceil(ELEMENT_BYTES);

/// A share of 32 bytes, 40 bytes long.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Zeroize)]
pub struct SharedBytes([Fp; ELEMENTS]);

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedBytes(..)")
    }
}

/// The polynomial of a sharing, lowest coefficient first. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Polynomial<F: Field>(Vec<F>);

impl<F: Field> fmt::Debug for Polynomial<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Polynomial({} coefficients)", self.0.len())
    }
}

impl<F: Field> Polynomial<F> {
    /// `length` coefficients, the first of them `secret` and the others uniform: the last may be
    /// nought too, or shares would tell that it is not.
    pub fn random(rng: &mut dyn CryptoRng, secret: F, length: u16) -> Self {
        let mut coefficients = Vec::with_capacity(usize::from(length));
        coefficients.push(secret);
        coefficients.extend((1..length).map(|_| F::random(rng)));
        Self(coefficients)
    }

    /// The share of `holder`.
    pub fn at(&self, holder: u16) -> F {
        evaluate(&self.0, point::<F>(holder))
    }

    /// The shares of holders `1..=holders`, in order.
    pub fn shares(&self, holders: u16) -> Vec<Share<F>> {
        (1..=holders).map(|holder| Share { holder, value: self.at(holder) }).collect()
    }

    /// Coefficients, lowest first.
    pub fn coefficients(&self) -> &[F] {
        &self.0
    }
}

/// `λ` with `f(0) = Σ λ_i·f(holder_i)` for polynomials of a degree below the number of holders.
///
/// # Errors
/// [`ShareError::Twice`] and [`ShareError::Holder`].
pub fn lagrange_at_zero<F: Field>(holders: &[u16]) -> Result<Vec<F>, ShareError> {
    let needed = u16::try_from(holders.len()).unwrap_or(u16::MAX);
    Threshold { needed, holders: MAX_HOLDERS }.check_holders(holders)?;
    let basis = Basis::new(holders.iter().map(|&x| point(x)).collect());
    Ok(basis.map_or_else(Vec::new, |basis: Basis<F>| basis.at(F::ZERO)))
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::scalar::Scalar;
    use proptest::prelude::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn rng(seed: u64) -> ChaCha12Rng {
        ChaCha12Rng::seed_from_u64(seed)
    }

    #[test]
    fn a_worked_example() {
        // f(x) = 7 + 3x + 2x²: f(1) = 12, f(2) = 21, f(5) = 72.
        let threshold = Threshold::new(3, 5).unwrap();
        let share = |holder, value| Share { holder, value: Fp::new(value) };
        let shares = [share(5, 72), share(1, 12), share(2, 21)];
        assert_eq!(threshold.combine(&shares), Ok(Fp::new(7)));
        let polynomial = Polynomial([7, 3, 2].map(Fp::new).to_vec());
        assert_eq!(polynomial.shares(5)[4], shares[0]);
        let weights: Vec<Fp> = lagrange_at_zero(&[1, 2, 5]).unwrap();
        assert_eq!(Fp::dot(&weights, &[12, 21, 72].map(Fp::new)), Fp::new(7));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_t_shares_combine(
            seed: u64, secret: [u8; 32], (needed, holders) in (1u16..=200).prop_flat_map(|n| (1..=n, Just(n))),
        ) {
            let mut rng = rng(seed);
            let threshold = Threshold::new(needed, holders).unwrap();
            let mut shares = threshold.share_bytes(&mut rng, &secret);
            prop_assert_eq!(*threshold.combine_bytes(&shares).unwrap(), secret);
            let skipped = usize::from(holders - needed);
            prop_assert_eq!(*threshold.combine_bytes(&shares[skipped..]).unwrap(), secret);
            shares.reverse();
            shares.truncate(needed.into());
            prop_assert_eq!(*threshold.combine_bytes(&shares).unwrap(), secret);
            shares.pop();
            let few = ShareError::TooFew { have: usize::from(needed) - 1, need: needed };
            prop_assert_eq!(threshold.combine_bytes(&shares), Err(few));
        }

        #[test]
        fn scalars_combine(seed: u64, needed in 1u16..6) {
            let mut rng = rng(seed);
            let threshold = Threshold::new(needed, 6).unwrap();
            let secret = Scalar::random(&mut rng);
            let shares = threshold.share(&mut rng, secret);
            prop_assert_eq!(threshold.combine(&shares[1..]), Ok(secret));
        }

        #[test]
        fn a_false_share_is_noticed(seed: u64, place in 0usize..5, element in 0..ELEMENTS) {
            let threshold = Threshold::new(3, 5).unwrap();
            let mut shares = threshold.share_bytes(&mut rng(seed), &[0xff; 32]);
            shares[place].value.0[element] += Fp::ONE;
            let contradicts = matches!(
                threshold.combine_bytes(&shares),
                Err(ShareError::Contradiction { .. })
            );
            prop_assert!(contradicts);
            // Without a share to spare there is nothing to contradict, but no bytes come out.
            shares.rotate_left(place);
            prop_assert_eq!(threshold.combine_bytes(&shares[..3]), Err(ShareError::NotBytes));
        }
    }

    #[test]
    fn impossible_thresholds_and_holders_are_refused() {
        for (needed, holders) in [(0, 0), (0, 3), (4, 3), (1, 201), (u16::MAX, u16::MAX)] {
            let refused = ShareError::Threshold { needed, holders };
            assert_eq!(Threshold::new(needed, holders), Err(refused));
        }
        let threshold = Threshold::new(2, 3).unwrap();
        let shares = threshold.share(&mut rng(1), Fp::new(5));
        for holder in [0, 4, 201, u16::MAX] {
            let stranger = Share { holder, value: Fp::ONE };
            let refused = ShareError::Holder { holder, holders: 3 };
            assert_eq!(threshold.combine(&[shares[0].clone(), stranger]), Err(refused));
        }
        let twice = [shares[1].clone(), shares[1].clone()];
        assert_eq!(threshold.combine(&twice), Err(ShareError::Twice { holder: 2 }));
        let also = [shares[0].clone(), shares[1].clone(), shares[0].clone()];
        assert_eq!(threshold.combine(&also), Err(ShareError::Twice { holder: 1 }));
        let none = ShareError::TooFew { have: 0, need: 2 };
        assert_eq!(threshold.combine::<Fp>(&[]), Err(none));
        assert_eq!(
            lagrange_at_zero::<Fp>(&[1, 0]),
            Err(ShareError::Holder { holder: 0, holders: MAX_HOLDERS })
        );
        assert_eq!(lagrange_at_zero::<Fp>(&[3, 3]), Err(ShareError::Twice { holder: 3 }));
    }

    #[test]
    fn bytes_survive_at_the_edges_and_shares_are_40_bytes() {
        let threshold = Threshold::new(2, 2).unwrap();
        for secret in [[0; 32], [0xff; 32]] {
            let shares = threshold.share_bytes(&mut rng(2), &secret);
            assert_eq!(borsh::to_vec(&shares[0]).unwrap().len(), 2 + 40);
            assert_eq!(*threshold.combine_bytes(&shares).unwrap(), secret);
        }
    }
}
