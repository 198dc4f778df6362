//! The members' part: does my row lie on the polynomials that the others' rows lie on?

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_field::Cubic;
use nexus_types::{MemberId, borsh};

use super::dealing::MemberRow;
use super::field::{Extension, Field};
use super::layout::{Layout, secret_point};
use super::polynomial::evaluate;

/// `v(X) = b(X) + Σ_{l≥1} r^l·s_l(X)`: uniform, as `b` is, and so says nothing about the secrets.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CheckPolynomial<E = Cubic> {
    /// [`Layout::recovery`] coefficients, lowest first.
    pub coefficients: Vec<E>,
}

/// Does the row of `member` fit the polynomial that answers `r`?
///
/// If the rows of the honest members do not lie on polynomials of degree below `t_rec`, then for
/// a random `r` the check fails at one of them but for a chance of `elements/p³`, 2^-181 for the
/// largest row. The challenge must be a hash of all sealed rows.
pub fn verify<F: Field, E: Extension<F>>(
    layout: &Layout<F>,
    member: MemberId,
    row: &MemberRow<F, E>,
    r: E,
    check: &CheckPolynomial<E>,
) -> bool {
    if check.coefficients.len() != usize::from(layout.recovery()) {
        return false;
    }
    let Some(point) = layout.point_of(member) else { return false };
    evaluate(&check.coefficients, point) == row.blinding + fingerprint(r, &row.elements)
}

/// The equations that tie a check polynomial to the secrets, `v(−a) = b(−a) + Σ_{l≥1} r^l·k_{l,a}`
/// for each place `a` in `1..=ρ`, where `k_{l,a} = secrets[(l − 1)·ρ + a − 1]`. They are linear
/// in the secrets and in `blinding`, the values `b(−a)`: a proof about committed secrets shows
/// with them that the shared secrets are the committed ones.
pub fn check_at_secret<F: Field, E: Extension<F>>(
    layout: &Layout<F>,
    r: E,
    check: &CheckPolynomial<E>,
    secrets: &[F],
    blinding: &[E],
) -> bool {
    let packing = usize::from(layout.packing());
    blinding.len() == packing
        && (1..=layout.packing()).zip(0..).zip(blinding).all(|((place, offset), &b)| {
            let column: Vec<F> = secrets.iter().skip(offset).step_by(packing).copied().collect();
            check.at_secret(place) == b + fingerprint(r, &column)
        })
}

impl<E: Field> CheckPolynomial<E> {
    /// `v(−place)`, the left side of [`check_at_secret`].
    pub fn at_secret(&self, place: u16) -> E {
        evaluate(&self.coefficients, secret_point::<E>(place))
    }
}

/// `Σ_{l≥1} r^l·s_l`, by Horner's rule in blocks: within a block the products are independent
/// of each other, and cheap as the `s_l` are in the subfield and sums are reduced once.
pub(crate) fn fingerprint<F: Field, E: Extension<F>>(r: E, elements: &[F]) -> E {
    const BLOCK: usize = 32;
    let mut powers = [r; BLOCK];
    for i in 1..BLOCK {
        powers[i] = powers[i - 1] * r;
    }
    elements.chunks(BLOCK).rev().fold(E::ZERO, |sum, block| {
        sum * powers[BLOCK - 1] + E::weigh(powers.into_iter().zip(block.iter().copied()))
    })
}
