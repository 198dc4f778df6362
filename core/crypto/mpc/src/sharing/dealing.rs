//! An owner's part: secrets become rows, one per member, and one polynomial that shows that the
//! rows fit together.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_field::{Cubic, Fp};
use nexus_types::{CryptoRng, borsh};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::check::{CheckPolynomial, fingerprint};
use super::field::{Extension, Field};
use super::layout::Layout;

/// What one member gets of one dealing. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub struct MemberRow<F: Field = Fp, E: Field = Cubic> {
    /// Its share of each polynomial: [`Layout::elements`] of them.
    pub elements: Vec<F>,
    /// Its share of the blinding polynomial.
    pub blinding: E,
}

impl<F: Field, E: Field> fmt::Debug for MemberRow<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemberRow({} elements)", self.elements.len())
    }
}

/// A row of another length than the sum it is to be added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row of {got} elements, {expected} were expected")]
pub struct RowLength {
    /// Its length.
    pub got: usize,
    /// The length of the sum.
    pub expected: usize,
}

/// Adds the elements of a row to a sum: shares of sums are sums of shares.
///
/// # Errors
/// [`RowLength`] if they differ in length; the sum stays as it was.
pub fn add_rows<F: Field, E: Field>(sum: &mut [F], row: &MemberRow<F, E>) -> Result<(), RowLength> {
    let (got, expected) = (row.elements.len(), sum.len());
    if got != expected {
        return Err(RowLength { got, expected });
    }
    sum.iter_mut().zip(&row.elements).for_each(|(sum, &element)| *sum = *sum + element);
    Ok(())
}

/// Secrets shared among a committee: the rows to be sealed, and what the owner needs to answer
/// *one* challenge about them. Wiped when dropped.
///
/// The challenge must depend on the sealed rows, so the two steps are apart; the answer consumes
/// the dealing, because two answers with one blinding polynomial are an equation on the secrets:
///
/// ```compile_fail,E0382
/// # use {nexus_field::Cubic, nexus_mpc::sharing::{CheckPolynomial, Dealing}};
/// fn twice(dealing: Dealing, r: [Cubic; 2]) -> [CheckPolynomial; 2] {
///     [dealing.check(r[0]), dealing.check(r[1])]
/// }
/// ```
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Dealing<F: Field = Fp, E: Extension<F> = Cubic> {
    #[zeroize(skip)]
    layout: Layout<F>,
    /// Values of each polynomial at the basis of the layout, `t_rec` per polynomial.
    values: Vec<F>,
    /// Values of the blinding polynomial there.
    blinding: Vec<E>,
    rows: Vec<MemberRow<F, E>>,
}

impl<F: Field, E: Extension<F>> fmt::Debug for Dealing<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dealing({:?})", self.layout)
    }
}

impl Dealing {
    /// Shares `secrets`: `ρ` per polynomial, in order, the last one filled up with noughts.
    pub fn new(layout: &Layout, rng: &mut dyn CryptoRng, secrets: &[Fp]) -> Self {
        Self::deal(layout, rng, secrets)
    }
}

impl<F: Field, E: Extension<F>> Dealing<F, E> {
    /// [`Dealing::new`] over any field.
    pub(crate) fn deal(layout: &Layout<F>, rng: &mut dyn CryptoRng, secrets: &[F]) -> Self {
        let privacy = usize::from(layout.privacy());
        let count = layout.elements(secrets.len()) * privacy;
        let random: Zeroizing<Vec<F>> =
            Zeroizing::new((0..count).map(|_| F::random(rng)).collect());
        let blinding = (0..layout.recovery()).map(|_| E::random(rng)).collect();
        Self::from_parts(layout, secrets, &random, blinding)
    }

    /// The dealing with these random numbers: values of the polynomials at `1..=t_priv`, and of
    /// the blinding polynomial at the whole basis. Uniform values there and uniform coefficients
    /// are the same thing, as interpolation is a bijection.
    pub(crate) fn from_parts(
        layout: &Layout<F>,
        secrets: &[F],
        random: &[F],
        blinding: Vec<E>,
    ) -> Self {
        let (packing, privacy) = (usize::from(layout.packing()), usize::from(layout.privacy()));
        let mut values = Vec::with_capacity(layout.elements(secrets.len()) * (packing + privacy));
        for (secrets, random) in secrets.chunks(packing).zip(random.chunks(privacy)) {
            values.extend_from_slice(secrets);
            values.extend((secrets.len()..packing).map(|_| F::ZERO));
            values.extend_from_slice(random);
        }
        let rows = rows(layout, &values, &blinding);
        Self { layout: layout.clone(), values, blinding, rows }
    }

    /// The row of each member, in their order.
    pub fn rows(&self) -> &[MemberRow<F, E>] {
        &self.rows
    }

    /// Values of the blinding polynomial at `−1..=−ρ`: with the secrets, the witness of
    /// [`check_at_secret`](super::check_at_secret). As secret as they are.
    pub fn blinding_at_secrets(&self) -> Zeroizing<Vec<E>> {
        let packing = usize::from(self.layout.packing());
        Zeroizing::new(self.blinding.iter().take(packing).copied().collect())
    }

    /// The answer to the challenge `r`: `v(X) = b(X) + Σ_{l≥1} r^l·s_l(X)`, where `b` is the
    /// blinding polynomial and `s_l` the `l`-th polynomial with secrets.
    pub fn check(self, r: E) -> CheckPolynomial<E> {
        self.answer(r)
    }

    fn answer(&self, r: E) -> CheckPolynomial<E> {
        let length = self.blinding.len();
        let mut sums = Zeroizing::new(self.blinding.clone());
        for (i, sum) in sums.iter_mut().enumerate() {
            let polynomials = self.values.chunks(length);
            let values: Zeroizing<Vec<F>> = Zeroizing::new(polynomials.map(|p| p[i]).collect());
            *sum = *sum + fingerprint(r, &values);
        }
        CheckPolynomial { coefficients: self.layout.basis().coefficients(&sums) }
    }

    /// The weakened twin: answers as often as it is asked.
    #[cfg(test)]
    pub(crate) fn check_again(&self, r: E) -> CheckPolynomial<E> {
        self.answer(r)
    }
}

/// The rows of all members.
fn rows<F: Field, E: Extension<F>>(
    layout: &Layout<F>,
    values: &[F],
    blinding: &[E],
) -> Vec<MemberRow<F, E>> {
    let packing = usize::from(layout.packing());
    let chosen = (packing..blinding.len()).map(|i| MemberRow {
        elements: values.chunks(blinding.len()).map(|polynomial| polynomial[i]).collect(),
        blinding: blinding[i],
    });
    let implied = layout.extension().iter().map(|lambdas| MemberRow {
        elements: values.chunks(blinding.len()).map(|values| F::dot(lambdas, values)).collect(),
        blinding: blinding.iter().zip(lambdas).fold(E::ZERO, |sum, (b, &l)| sum + b.scale(l)),
    });
    chosen.chain(implied).collect()
}
