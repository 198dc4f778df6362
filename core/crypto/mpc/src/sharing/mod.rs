//! Secrets shared among a committee.
mod check;
pub(crate) mod commit;
mod dealing;
mod decode;
mod field;
mod layout;
mod pack;
pub(crate) mod polynomial;
mod recover;
mod reshare;
mod shamir;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod toy;

pub use check::{CheckPolynomial, check_at_secret, verify};
pub use commit::{CommitmentError, Feldman, Pedersen};
pub use dealing::{Dealing, MemberRow, RowLength, add_rows};
pub use field::{Extension, Field};
pub use layout::{Layout, LayoutError, MAX_MEMBERS};
pub use pack::{COEFFICIENT_LIMIT, COEFFICIENTS_PER_ELEMENT, PackError, pack3, unpack3};
pub use recover::{RecoverError, Recovered, recover};
pub use reshare::{ReshareError, Resharing, Sharing, contribution};
pub use shamir::{
    MAX_HOLDERS, Polynomial, SECRET_BYTES, Share, ShareError, SharedBytes, Threshold,
    lagrange_at_zero,
};
