//! Secrets shared among a committee, so that a few members know nothing and enough of them know
//! everything.
//!
//! | what | over | for |
//! |---|---|---|
//! | [`Dealing`], [`verify`], [`recover`] | Goldilocks, packed | the keys under which updates are summed |
//! | [`Threshold`], [`Polynomial`] | any [`Field`] | one scalar, or 32 bytes, t of n |
//! | [`Feldman`], [`Pedersen`] | ristretto255 | shares that everyone can check |
//!
//! # Packed sharing with one check
//!
//! 1. *Deal.* [`pack3`] puts three coefficients of an owner's key into a field element. `ρ`
//!    elements become the values at `−1..=−ρ` of a random polynomial of degree below
//!    `t_rec = t_priv + ρ`, and member `i` gets the value at `i + 1`. One more polynomial `b`, over
//!    the cubic extension and random everywhere, blinds the check.
//! 2. *Check.* A hash of all sealed rows gives `r`. The owner publishes
//!    `v(X) = b(X) + Σ_{l≥1} r^l·s_l(X)`, and each member compares `v` at its point with its row:
//!    no interaction, no second question.
//! 3. *Sum.* A member adds up the rows of the owners that all agreed on ([`add_rows`]).
//! 4. *Recover.* Answers that are missing or lies do no harm within the bounds of [`recover`].
//!
//! ```
//! use std::collections::BTreeMap;
//! use nexus_field::Cubic;
//! use nexus_mpc::sharing::{Dealing, Layout, pack3, recover, unpack3, verify};
//! use nexus_types::MemberId;
//! use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
//!
//! let rng = &mut ChaCha12Rng::seed_from_u64(1); // really the operating system's
//! let layout = Layout::committee(4)?;
//! let key = [3i8, -5, 0, 7];
//! let dealing = Dealing::new(&layout, rng, &pack3(&key)?);
//! let rows = dealing.rows().to_vec(); // sealed to the members
//! let r = Cubic::random(rng); // really a hash of what was sealed
//! let check = dealing.check(r); // the dealing is used up
//!
//! let mut answers = BTreeMap::new();
//! for (member, row) in MemberId::all(4).zip(&rows) {
//!     assert!(verify(&layout, member, row, r, &check));
//!     answers.insert(member, row.elements.clone());
//! }
//! answers.insert(MemberId(2), answers[&MemberId(1)].clone()); // a lie
//! let accept = |key: &[_]| unpack3(key, 4).is_ok_and(|key| key.iter().all(|k| k.abs() < 50));
//! let found = recover(&layout, &answers, 2, accept)?;
//! assert_eq!(unpack3(&found.secrets, 4)?, [3, -5, 0, 7]);
//! assert_eq!(found.liars, [MemberId(2)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Threat model
//!
//! *Secrecy* is perfect against `t_priv` members (`t − 1` holders) that pool all they have; tests
//! count it out over fields of 5, 7 and 11 elements, check polynomial included. Between `t_priv`
//! and `t_rec` shares a packed sharing leaks one combination of the secrets per share: that no two
//! sums are opened is the business of the survivor certificate, not of the threshold.
//!
//! *A dealer* that lies is caught by a member with an honest row but for a chance of 2^-181 per
//! challenge it tries. That its secrets are short, or are the ones it committed to elsewhere, the
//! check does not show; [`check_at_secret`] are the equations with which a proof shows it.
//!
//! *Members* that lie cannot make a wrong result right: [`recover`] returns what the caller's test
//! accepts, or an error. They are named only where honest members could not have been framed.
//! For Goldilocks the caller's test must be one that no wrong secret passes: a liar can shift a
//! key by a *small* amount, so that the key is short is not enough.
//!
//! *Timing*: dealing, checking and adding do not depend on secrets. Recovery depends on the
//! answers, whose sum becomes public.
//!
//! # Cost
//!
//! Of 1,366 elements (the 4,096 coefficients of a key), processor time in microseconds on one core
//! of a busy Zen 3 machine:
//!
//! | members | deal | check | verify (per member) | add | recover | with a liar |
//! |---|---|---|---|---|---|---|
//! | 4 | 150 | 95 | 26 | < 4 | 91 | 360 |
//! | 7 | 240 | 170 | 30 | < 4 | 190 | 160 |
//! | 16 | 250 | 140 | 12 | < 2 | 260 | 240 |
//! | 50 | 630 | 200 | 4 | < 1 | 660 | 740 |
//! | 100 | 1,200 | 300 | 4 | < 1 | 1,360 | 1,660 |
//!
//! The most work there is to recover, all subsets of 16 answers, takes 0.4 s. A secret of 32 bytes
//! is shared 43 of 68 in 100 µs and combined in 13 µs.
//!
//! # References
//!
//! * A. Shamir, "How to share a secret", CACM 22(11), 1979; M. Franklin and M. Yung,
//!   "Communication complexity of secure computation", STOC 1992 (packing)
//! * S. Gao, "A new algorithm for decoding Reed-Solomon codes", 2003
//! * P. Feldman, FOCS 1987; T. P. Pedersen, CRYPTO 1991

mod check;
pub(crate) mod commit;
mod dealing;
mod decode;
mod field;
mod layout;
mod pack;
pub(crate) mod polynomial;
mod recover;
mod shamir;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod toy;

pub(crate) use decode::decode_column;

pub use check::{CheckPolynomial, check_at_secret, verify};
pub use commit::{CommitmentError, Feldman, Pedersen};
pub use dealing::{Dealing, MemberRow, RowLength, add_rows};
pub use field::{Extension, Field};
pub use layout::{Layout, LayoutError, MAX_MEMBERS};
pub use pack::{COEFFICIENT_LIMIT, COEFFICIENTS_PER_ELEMENT, PackError, pack3, unpack3};
pub use recover::{RecoverError, Recovered, recover};
pub use shamir::{
    MAX_HOLDERS, Polynomial, SECRET_BYTES, Share, ShareError, SharedBytes, Threshold,
    lagrange_at_zero,
};
