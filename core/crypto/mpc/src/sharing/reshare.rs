//! Handing a secret to another committee, with another threshold, without opening it
//! (Y. Desmedt and S. Jajodia, "Redistributing secret shares to new access structures", 1997).
//!
//! Each old holder shares its share among the new ones; the new share is the same combination of
//! these that would have opened the secret. The old shares must be erased afterwards: whoever has
//! enough of them still knows the secret.

use std::collections::{BTreeMap, BTreeSet};

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use nexus_types::{CryptoRng, MemberId};
use zeroize::Zeroizing;

use super::commit::{CommitmentError, Feldman};
use super::field::Field;
use super::layout::Layout;
use super::polynomial::Basis;
use super::shamir::{Polynomial, Share, ShareError, Threshold, lagrange_at_zero};

/// Why a secret cannot be handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReshareError {
    /// Too few or too many old holders take part.
    #[error("{got} dealers, {expected} are needed")]
    Dealers {
        /// Dealers given.
        got: usize,
        /// Dealers needed.
        expected: u16,
    },
    /// Somebody deals who holds no share, or is not among the dealers.
    #[error("holder {holder} is no dealer")]
    Stranger {
        /// Who.
        holder: u16,
    },
    /// A dealer shared something else than its share of this epoch.
    #[error("dealer {dealer} shares something else than its share of epoch {epoch}")]
    OtherShare {
        /// Who.
        dealer: u16,
        /// The epoch of the old sharing.
        epoch: u64,
    },
    /// A dealing does not check.
    #[error("dealer {dealer}: {problem}")]
    Dealing {
        /// Who.
        dealer: u16,
        /// What is wrong.
        problem: CommitmentError,
    },
    /// The shares do not open.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// A share is not of this epoch.
    #[error("epoch {epoch}: {problem}")]
    Epoch {
        /// The epoch.
        epoch: u64,
        /// What is wrong.
        problem: CommitmentError,
    },
}

/// What everyone knows of a shared scalar: who may open it, and commitments to all shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Counts the resharings.
    pub epoch: u64,
    /// How many of how many open it.
    pub threshold: Threshold,
    /// Commitment to the polynomial.
    pub commitment: Feldman,
}

/// One old holder's contribution: everyone gets the commitment, and each new holder its share.
#[derive(Clone, Debug)]
pub struct Resharing {
    /// Commitment to the polynomial that shares the old share.
    pub commitment: Feldman,
    /// The shares of the new holders, to be sealed.
    pub shares: Vec<Share<Scalar>>,
}

impl Sharing {
    /// Shares `secret` anew: epoch 0.
    pub fn deal(
        rng: &mut dyn CryptoRng,
        threshold: Threshold,
        secret: Scalar,
    ) -> (Self, Vec<Share<Scalar>>) {
        let polynomial = Polynomial::random(rng, secret, threshold.needed());
        let shares = polynomial.shares(threshold.holders());
        (Self { epoch: 0, threshold, commitment: Feldman::to(&polynomial) }, shares)
    }

    /// `secret·G`, the same in all epochs.
    pub fn public(&self) -> RistrettoPoint {
        self.commitment.at(0)
    }

    /// Opens the secret. Every share is checked: one of another epoch is refused, not mixed in.
    ///
    /// # Errors
    /// [`ReshareError::Epoch`] or [`ReshareError::Share`].
    pub fn open(&self, shares: &[Share<Scalar>]) -> Result<Scalar, ReshareError> {
        for share in shares {
            self.check(share)?;
        }
        Ok(self.threshold.combine(shares)?)
    }

    /// The part of the old holder of `share` in handing the secret to `to`.
    ///
    /// # Errors
    /// [`ReshareError::Epoch`] if the share is not of this epoch.
    pub fn reshare(
        &self,
        rng: &mut dyn CryptoRng,
        share: &Share<Scalar>,
        to: Threshold,
    ) -> Result<Resharing, ReshareError> {
        self.check(share)?;
        let polynomial = Polynomial::random(rng, share.value, to.needed());
        let shares = polynomial.shares(to.holders());
        Ok(Resharing { commitment: Feldman::to(&polynomial), shares })
    }

    /// The next sharing, from the dealings that were agreed on, one each of `t` old holders.
    /// Every new holder must use the same ones.
    ///
    /// # Errors
    /// [`ReshareError`] naming the first dealer that shares something else than its share, or
    /// with another threshold.
    pub fn next(
        &self,
        to: Threshold,
        dealings: &BTreeMap<u16, Feldman>,
    ) -> Result<Self, ReshareError> {
        let weights = self.weights(dealings.keys())?;
        for (&dealer, commitment) in dealings {
            let wrong = |problem| ReshareError::Dealing { dealer, problem };
            commitment.check_length(to).map_err(wrong)?;
            if commitment.at(0) != self.commitment.at(dealer) {
                return Err(ReshareError::OtherShare { dealer, epoch: self.epoch });
            }
        }
        let commitments: Vec<&Feldman> = dealings.values().collect();
        let commitment = Feldman::weighted(&weights, &commitments);
        Ok(Self { epoch: self.epoch + 1, threshold: to, commitment })
    }

    /// A new holder's share in the sharing that [`Sharing::next`] makes of the same `dealings`,
    /// from what each dealer sent it.
    ///
    /// # Errors
    /// [`ReshareError`] naming the first dealer that sent no share or a wrong one.
    pub fn receive(
        &self,
        next: &Self,
        dealings: &BTreeMap<u16, (Feldman, Share<Scalar>)>,
        holder: u16,
    ) -> Result<Share<Scalar>, ReshareError> {
        let weights = Zeroizing::new(self.weights(dealings.keys())?);
        let mut value = Scalar::ZERO;
        for ((&dealer, (commitment, share)), &weight) in dealings.iter().zip(weights.iter()) {
            let wrong = |problem| ReshareError::Dealing { dealer, problem };
            if share.holder != holder {
                return Err(wrong(CommitmentError::Share { holder }));
            }
            commitment.verify(next.threshold, share).map_err(wrong)?;
            value += weight * share.value;
        }
        let share = Share { holder, value };
        next.check(&share)?;
        Ok(share)
    }

    fn check(&self, share: &Share<Scalar>) -> Result<(), ReshareError> {
        let wrong = |problem| ReshareError::Epoch { epoch: self.epoch, problem };
        self.commitment.verify(self.threshold, share).map_err(wrong)
    }

    fn weights<'a>(
        &self,
        dealers: impl Iterator<Item = &'a u16>,
    ) -> Result<Vec<Scalar>, ReshareError> {
        let dealers: Vec<u16> = dealers.copied().collect();
        let (got, expected) = (dealers.len(), self.threshold.needed());
        if got != usize::from(expected) {
            return Err(ReshareError::Dealers { got, expected });
        }
        let unknown = |&&holder: &&u16| !(1..=self.threshold.holders()).contains(&holder);
        if let Some(&holder) = dealers.iter().find(unknown) {
            return Err(ReshareError::Stranger { holder });
        }
        Ok(lagrange_at_zero(&dealers)?)
    }
}

/// What `member` deals to hand a packed sharing on, from its row: vectors that add up to the
/// secrets over the `dealers`, exactly `t_rec` of them. Dealt to the new committee with its
/// [`Layout`] and added there row by row, they are a sharing of the same secrets.
///
/// Nothing shows that a member dealt what this function gives: a member that does not garbles the
/// secrets. Where that must be found out, share a scalar and use [`Sharing`].
///
/// # Errors
/// [`ReshareError::Dealers`], or [`ReshareError::Stranger`] if `member` is no dealer or a dealer
/// not on the committee.
pub fn contribution<F: Field>(
    layout: &Layout<F>,
    dealers: &BTreeSet<MemberId>,
    member: MemberId,
    elements: &[F],
) -> Result<Zeroizing<Vec<F>>, ReshareError> {
    let (got, expected) = (dealers.len(), layout.recovery());
    if got != usize::from(expected) {
        return Err(ReshareError::Dealers { got, expected });
    }
    let stranger = |member: MemberId| ReshareError::Stranger { holder: member.0 };
    let node = |&dealer: &MemberId| layout.point_of(dealer).ok_or(stranger(dealer));
    let nodes = dealers.iter().map(node).collect::<Result<Vec<F>, _>>()?;
    let place = dealers.iter().position(|&dealer| dealer == member).ok_or(stranger(member))?;
    let basis = Basis::new(nodes).ok_or(stranger(member))?;
    let lambdas: Vec<F> = layout.secret_points().map(|x| basis.at(x)[place]).collect();
    let mut parts = Zeroizing::new(Vec::with_capacity(elements.len() * lambdas.len()));
    for &element in elements {
        parts.extend(lambdas.iter().map(|&lambda| lambda * element));
    }
    Ok(parts)
}
