//! Proof of knowledge of a logarithm (Schnorr 1991) by Fiat and Shamir's transform.

use borsh::{BorshDeserialize, BorshSerialize};
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use nexus_types::{CryptoRng, borsh};

use super::group::{Exponent, Point, Transcript, hedged};

/// Shows that its maker knew x with P = xG when it was made for one context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proof {
    commitment: Point,
    response: Exponent,
}

/// e = H(context, P, K).
fn challenge(context: Transcript, point: &Point, commitment: &Point) -> Scalar {
    context.point(point).point(commitment).scalar()
}

impl Proof {
    /// K = kG, z = k + ex.
    pub(super) fn new(
        context: Transcript,
        secret: &Scalar,
        point: &Point,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let nonce = hedged(secret, &context.clone().digest().0, rng).scalar();
        let commitment = Point::base(&nonce);
        let response = nonce + challenge(context, point, &commitment) * secret;
        Self { commitment, response: Exponent(response) }
    }

    /// zG - eP = K, for a P that is not the neutral element.
    pub(super) fn verifies(&self, context: Transcript, point: &Point) -> bool {
        let challenge = -challenge(context, point, &self.commitment);
        let expected = RistrettoPoint::vartime_double_scalar_mul_basepoint(
            &challenge,
            point.value(),
            &self.response.0,
        );
        !point.is_identity() && expected == *self.commitment.value()
    }
}
