//! Secrets shared among a committee.
mod check;
mod dealing;
mod decode;
mod field;
mod layout;
mod pack;
mod polynomial;
mod recover;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toy;

pub use check::{CheckPolynomial, check_at_secret, verify};
pub use dealing::{Dealing, MemberRow, RowLength, add_rows};
pub use field::{Extension, Field};
pub use layout::{Layout, LayoutError, MAX_MEMBERS};
pub use pack::{COEFFICIENT_LIMIT, COEFFICIENTS_PER_ELEMENT, PackError, pack3, unpack3};
pub use recover::{RecoverError, Recovered, recover};
