//! Releasing a data-set key to one grantee: every member posts its partial decryption encrypted
//! to the grantee, with a proof that anyone can check.
//!
//! For a grantee's key P = pG, member j draws rho and posts R = rho G, D = `x_j` U + rho P with a
//! proof of knowledge of (`x_j`, rho): `X_j` = `x_j` G, R = rho G, D = `x_j` U + rho P. With
//! Lagrange's weights w over t members, sum w D - p sum w R = xU = rX, which opens the record.
//! A partial of 242 bytes is bound to grant, record, grantee, epoch and member.
//!
//! The proof is the sigma protocol for linear relations (Maurer 2009, section 4): nonces k, l;
//! T = (kG, lG, kU + lP); c = H(`X_j`, G, U, P, R, D, T, context); z = k + c `x_j`,
//! y = l + c rho. All equations of a list of partials are verified by one multiscalar
//! multiplication with weights of 128 bits hashed from the list.

use std::collections::BTreeSet;
use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use curve25519_dalek::constants::{RISTRETTO_BASEPOINT_COMPRESSED, RISTRETTO_BASEPOINT_POINT};
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, MultiscalarMul, VartimeMultiscalarMul};
use nexus_types::{Canonical, CryptoRng, Digest, MemberId, borsh};
use zeroize::Zeroizing;

use super::group::{Exponent, Point, Secret, Transcript, hedged};
use super::key::{GroupKey, KeyShare};
use super::polynomial::{lagrange, weighted};
use super::schnorr::Proof;
use super::tdh2::{CheckedRecord, DataKey, ReleaseError};
use crate::twin::{Check, enforced};

/// The secret p of a grantee. Wiped when dropped.
pub struct GranteeSecret(Secret);

impl fmt::Debug for GranteeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GranteeSecret(..)")
    }
}

impl GranteeSecret {
    /// A new secret.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// P = pG.
    pub fn public(&self) -> Point {
        Point::base(&self.0.0)
    }
}

/// The right of one grantee to one data-set key. Whether it *is* one (the owner's policy, a final
/// entry of the log) is for the caller to know; here it is only well-formed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Grant {
    /// Names it; never used twice.
    pub id: Digest,
    /// Digest of the record.
    pub record: Digest,
    /// P, to which the key is released.
    pub grantee: Point,
    /// Knowledge of p, bound to the grant's id, record and P.
    pub possession: Proof,
}

impl Canonical for Grant {
    const DOMAIN: &'static str = "nexus/mpc/threshold/grant";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 192;
}

fn possession(id: Digest, record: Digest) -> Transcript {
    Transcript::new("nexus/mpc/threshold/possession v1").bytes(&id.0).bytes(&record.0)
}

impl Grant {
    /// A grantee's request under the name `id`.
    pub fn new(
        id: Digest,
        record: &CheckedRecord,
        secret: &GranteeSecret,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let (record, grantee) = (record.digest, secret.public());
        let possession = Proof::new(possession(id, record), &secret.0.0, &grantee, rng);
        Self { id, record, grantee, possession }
    }

    /// Checks it against its record.
    ///
    /// # Errors
    /// [`ReleaseError::OtherRecord`], [`ReleaseError::Neutral`], [`ReleaseError::Possession`].
    pub fn verify(self, record: &CheckedRecord) -> Result<CheckedGrant<'_>, ReleaseError> {
        if self.record != record.digest {
            return Err(ReleaseError::OtherRecord);
        }
        if self.grantee.is_identity() {
            return Err(ReleaseError::Neutral { what: "P" });
        }
        if !self.possession.verifies(possession(self.id, self.record), &self.grantee) {
            return Err(ReleaseError::Possession);
        }
        Ok(CheckedGrant { record, grant: self })
    }
}

/// A grant that has been verified, with its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedGrant<'a> {
    pub(super) record: &'a CheckedRecord,
    pub(super) grant: Grant,
}

/// A member's part of a data-set key, encrypted to the grantee.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Partial {
    pub(super) epoch: u64,
    pub(super) member: MemberId,
    pub(super) r: Point,
    pub(super) d: Point,
    pub(super) commitments: [Point; 3],
    pub(super) responses: [Exponent; 2],
}

impl Canonical for Partial {
    const DOMAIN: &'static str = "nexus/mpc/threshold/partial";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 242;
}

impl Partial {
    /// Whose it is.
    pub const fn member(&self) -> MemberId {
        self.member
    }

    /// The epoch of its author's share.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// rho and the two nonces of the proof.
pub(super) struct Nonces(Zeroizing<[Scalar; 3]>);

impl Nonces {
    fn hedged(share: &KeyShare, context: Digest, rng: &mut dyn CryptoRng) -> Self {
        let mut stream = hedged(&share.secret.0, &context.0, rng);
        Self(Zeroizing::new(std::array::from_fn(|_| stream.scalar())))
    }

    /// What a machine without hedging would use.
    #[cfg(test)]
    pub(super) fn unhedged(rng: &mut dyn CryptoRng) -> Self {
        Self(Zeroizing::new(std::array::from_fn(|_| Scalar::random(rng))))
    }
}

/// a A + b B in constant time.
fn pair(a: &Scalar, first: &Point, b: &Scalar, second: &Point) -> Point {
    Point::new(RistrettoPoint::multiscalar_mul([a, b], [first.value(), second.value()]))
}

impl CheckedGrant<'_> {
    const fn u(&self) -> &Point {
        &self.record.record.body.u
    }

    pub(super) fn context(&self, epoch: u64, member: MemberId) -> Digest {
        // The record's digest covers its label and sealed bytes.
        Transcript::new("nexus/mpc/threshold/partial context v1")
            .bytes(&self.grant.id.0)
            .bytes(&self.record.digest.0)
            .point(&self.record.record.body.key)
            .points([self.u(), &self.grant.grantee])
            .number(epoch)
            .number(u64::from(member.0))
            .digest()
    }

    pub(super) fn challenge(&self, share: &Point, partial: &Partial) -> Scalar {
        Transcript::new("nexus/mpc/threshold/partial v1")
            .point(share)
            .bytes(RISTRETTO_BASEPOINT_COMPRESSED.as_bytes())
            .points([self.u(), &self.grant.grantee, &partial.r, &partial.d])
            .points(&partial.commitments)
            .bytes(&self.context(partial.epoch, partial.member).0)
            .scalar()
    }

    /// A member's partial decryption. The share must be [consistent](KeyShare::is_consistent).
    ///
    /// # Errors
    /// [`ReleaseError::OtherKey`] if the record is not under the share's key.
    pub fn release(
        &self,
        share: &KeyShare,
        rng: &mut dyn CryptoRng,
    ) -> Result<Partial, ReleaseError> {
        let context = self.context(share.public.epoch, share.member);
        self.release_with(share, &Nonces::hedged(share, context, rng))
    }

    pub(super) fn release_with(
        &self,
        share: &KeyShare,
        nonces: &Nonces,
    ) -> Result<Partial, ReleaseError> {
        let KeyShare { member, secret, public } = share;
        if public.key != self.record.record.body.key {
            return Err(ReleaseError::OtherKey);
        }
        let own = public.share(*member).ok_or(ReleaseError::Stranger { member: *member })?;
        let [rho, k, l] = &*nonces.0;
        let (u, p) = (self.u(), &self.grant.grantee);
        let mut partial = Partial {
            epoch: public.epoch,
            member: *member,
            r: Point::base(rho),
            d: pair(&secret.0, u, rho, p),
            commitments: [Point::base(k), Point::base(l), pair(k, u, l, p)],
            responses: [Exponent(Scalar::ZERO); 2],
        };
        let c = self.challenge(own, &partial);
        partial.responses = [Exponent(k + c * secret.0), Exponent(l + c * rho)];
        Ok(partial)
    }

    fn check_origin(&self, key: &GroupKey, partial: &Partial) -> Result<(), ReleaseError> {
        let Partial { epoch, member, .. } = *partial;
        if key.key != self.record.record.body.key {
            return Err(ReleaseError::OtherKey);
        }
        if epoch != key.epoch {
            return Err(ReleaseError::Epoch { got: epoch, expected: key.epoch });
        }
        key.share(member).map(drop).ok_or(ReleaseError::Stranger { member })
    }

    /// Checks one partial decryption; anyone can.
    ///
    /// # Errors
    /// [`ReleaseError::Epoch`], [`ReleaseError::Stranger`], [`ReleaseError::OtherKey`], or
    /// [`ReleaseError::Partial`]: evidence that its author lied, if it is signed or on the log.
    pub fn verify(&self, key: &GroupKey, partial: &Partial) -> Result<(), ReleaseError> {
        self.check_origin(key, partial)?;
        let right = self.hold(key, std::slice::from_ref(partial));
        if right { Ok(()) } else { Err(ReleaseError::Partial { member: partial.member }) }
    }

    /// Checks many at once, and names the first wrong one.
    ///
    /// # Errors
    /// As [`CheckedGrant::verify`].
    pub fn verify_all(&self, key: &GroupKey, partials: &[Partial]) -> Result<(), ReleaseError> {
        partials.iter().try_for_each(|partial| self.check_origin(key, partial))?;
        if self.hold(key, partials) {
            return Ok(());
        }
        partials.iter().try_for_each(|partial| self.verify(key, partial))
    }

    /// Whether zG = T0 + c `X_j`, yG = T1 + cR and zU + yP = T2 + cD for all of them.
    fn hold(&self, key: &GroupKey, partials: &[Partial]) -> bool {
        let mut weights = Transcript::new("nexus/mpc/threshold/batch v1");
        let mut challenges = Vec::with_capacity(partials.len());
        for partial in partials {
            let Some(share) = key.share(partial.member) else { return false };
            let challenge = self.challenge(share, partial);
            let [z, y] = &partial.responses;
            weights =
                weights.bytes(challenge.as_bytes()).bytes(z.0.as_bytes()).bytes(y.0.as_bytes());
            challenges.push((challenge, share));
        }
        let mut weights = weights.stream();
        let [mut g, mut u, mut p] = [Scalar::ZERO; 3];
        let mut scalars = Vec::with_capacity(6 * partials.len() + 3);
        let mut points: Vec<&RistrettoPoint> = Vec::with_capacity(scalars.capacity());
        for (partial, (c, share)) in partials.iter().zip(challenges) {
            let [z, y] = partial.responses.map(|response| response.0);
            let [a, b, d] = std::array::from_fn(|_| weights.weight());
            g += a * z + b * y;
            u += d * z;
            p += d * y;
            scalars.extend([-a, -b, -d, -(a * c), -(b * c), -(d * c)]);
            points.extend(partial.commitments.iter().map(Point::value));
            points.extend([share, &partial.r, &partial.d].map(Point::value));
        }
        scalars.extend([g, u, p]);
        points.extend([&RISTRETTO_BASEPOINT_POINT, self.u().value(), self.grant.grantee.value()]);
        RistrettoPoint::vartime_multiscalar_mul(&scalars, points).is_identity()
    }

    /// The data-set key, from t partial decryptions of one epoch. A wrong one is named, to be
    /// left out of the next try.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn combine(
        &self,
        key: &GroupKey,
        secret: &GranteeSecret,
        partials: &[Partial],
    ) -> Result<DataKey, ReleaseError> {
        if secret.public() != self.grant.grantee {
            return Err(ReleaseError::OtherGrantee);
        }
        let mut seen = BTreeSet::new();
        for &Partial { member, .. } in partials {
            if !seen.insert(member) {
                return Err(ReleaseError::Duplicate { member });
            }
        }
        if enforced(Check::Partials) {
            self.verify_all(key, partials)?;
        }
        let (got, need) = (partials.len(), key.threshold);
        if need == 0 || got < usize::from(need) {
            return Err(ReleaseError::TooFew { got, need });
        }
        let chosen = &partials[..usize::from(need)];
        let members: Vec<_> = chosen.iter().map(|partial| partial.member).collect();
        let weights = lagrange(&members).ok_or(ReleaseError::TooFew { got, need })?;
        let d = weighted(&weights, chosen.iter().map(|partial| &partial.d));
        let r = weighted(&weights, chosen.iter().map(|partial| &partial.r));
        let shared = Zeroizing::new(d - r * secret.0.0);
        self.record.record.body.unseal(&shared)
    }
}
