//! Shares by member: Shamir's polynomials (1979) have the secret at 0 and member j's share at
//! j + 1.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use nexus_types::MemberId;

use super::group::Point;
use crate::sharing::commit::value_at;
use crate::sharing::polynomial::Basis;
use crate::sharing::{Field, lagrange_at_zero};

/// Where a member's share lies.
pub(super) const fn place(member: MemberId) -> u16 {
    member.0 + 1
}

/// The weights with f(0) = the weighted sum of the members' shares, for f of at most as many
/// coefficients as there are members. None if a member is there twice.
pub(super) fn lagrange<F: Field>(members: &[MemberId]) -> Option<Vec<F>> {
    let places: Vec<_> = members.iter().map(|&member| place(member)).collect();
    lagrange_at_zero(&places).ok()
}

/// The coefficients of the polynomial through these shares. None if a member is there twice.
pub(super) fn interpolate<F: Field>(shares: &[(MemberId, F)]) -> Option<Vec<F>> {
    let places = shares.iter().map(|&(member, _)| F::from_u64(u64::from(place(member))));
    let values: Vec<_> = shares.iter().map(|&(_, value)| value).collect();
    Some(Basis::new(places.collect())?.coefficients(&values))
}

/// A member's share of a committed polynomial, committed.
pub(super) fn committed_at(commitment: &[Point], member: MemberId) -> RistrettoPoint {
    value_at(commitment.iter().map(Point::value), place(member))
}

/// The weighted sum of public points, in variable time.
pub(super) fn weighted<'a>(
    weights: &[Scalar],
    points: impl IntoIterator<Item = &'a Point>,
) -> RistrettoPoint {
    // The multiplication wants to know beforehand how many there are.
    let points: Vec<_> = points.into_iter().map(Point::value).collect();
    RistrettoPoint::vartime_multiscalar_mul(weights, points)
}
