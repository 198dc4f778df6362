//! Shamir's polynomials (1979) with the secret at 0 and member j at j + 1, and commitments to them.

use curve25519_dalek::Scalar;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::traits::{Identity as _, VartimeMultiscalarMul};
use nexus_types::{CryptoRng, MemberId};
use zeroize::Zeroize;

use super::group::{Point, times};
use crate::sharing::Field;
use crate::sharing::polynomial::{Basis, evaluate};

/// Where a member's share lies: member 0 at 1, because the secret lies at 0.
pub(super) const fn place(member: MemberId) -> u16 {
    member.0 + 1
}

/// Coefficients from the constant one up. Wiped when dropped.
pub(super) struct Polynomial<F: Field>(Vec<F>);

impl<F: Field> Polynomial<F> {
    /// A random polynomial of `length` coefficients with this constant one. The others are
    /// uniform, zero included.
    pub(super) fn random(rng: &mut dyn CryptoRng, constant: F, length: usize) -> Self {
        let rest = (1..length).map(|_| F::random(rng));
        Self(std::iter::once(constant).chain(rest).collect())
    }

    pub(super) fn at(&self, place: u16) -> F {
        evaluate(&self.0, F::from_u64(u64::from(place)))
    }

    pub(super) fn coefficients(&self) -> &[F] {
        &self.0
    }
}

impl<F: Field> Drop for Polynomial<F> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn basis<F: Field>(places: impl Iterator<Item = u16>) -> Option<Basis<F>> {
    Basis::new(places.map(|place| F::from_u64(u64::from(place))).collect())
}

/// The weights w with f(0) = sum of w_i f(x_i), for f of at most as many coefficients as there
/// are places. None if two places are the same.
pub(super) fn lagrange<F: Field>(members: &[MemberId]) -> Option<Vec<F>> {
    Some(basis(members.iter().map(|&member| place(member)))?.at(F::ZERO))
}

/// The coefficients of the polynomial through these shares.
pub(super) fn interpolate<F: Field>(shares: &[(MemberId, F)]) -> Option<Vec<F>> {
    let values: Vec<_> = shares.iter().map(|&(_, value)| value).collect();
    Some(basis(shares.iter().map(|&(member, _)| place(member)))?.coefficients(&values))
}

/// The committed polynomial at `place`: sum of place^k C_k (Feldman 1987, section 4).
pub(super) fn committed_at(commitment: &[Point], place: u16) -> RistrettoPoint {
    commitment
        .iter()
        .rev()
        .fold(RistrettoPoint::identity(), |sum, point| times(place, sum) + point.value())
}

/// The sum of w_i P_i, in variable time.
pub(super) fn weighted<'a>(
    weights: &[Scalar],
    points: impl IntoIterator<Item = &'a Point>,
) -> RistrettoPoint {
    RistrettoPoint::vartime_multiscalar_mul(weights, points.into_iter().map(Point::value))
}
