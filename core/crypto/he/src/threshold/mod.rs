//! A key that nobody holds, under which [sums](crate::additive) are opened by any t of n members and
//! read by fewer never (Urban & Rambaud 2024, ePrint 2024/1285, for sums of ring-LWE).
//!
//! # How
//!
//! 1. **Key.** a comes from a hash of the session. Each member i draws sᵢ and eᵢ, commits to bᵢ = −(a sᵢ + eᵢ),
//!    and shows it once everybody has committed, so nobody chooses its part by the others'. The key
//!    is (Σ bᵢ, a), the secret Σ sᵢ.
//! 2. **Shares.** Each member shares sᵢ by Shamir, coefficient by coefficient and prime by prime, and sends
//!    each other member its share: member k has the share of the sum at k + 1.
//! 3. **Noise in advance.** For each opening every member draws noise that floods what a decryption would
//!    tell of the key, and shares it the same way.
//! 4. **Opening.** Member k releases dₖ = c₁·sₖ + its share of the noise. With any t of them, c₀ + Σ λₖ dₖ is
//!    the sum and flooded noise. The coefficients λ multiply shares of noise, not noise: it does not grow.
//!
//! The noise of an opening is erased as its share is released, and its number is kept with the name of
//! the sum: [`ThresholdError::Spent`]. Two shares with the same noise would show the member's share of the key.
//!
//! # Bounds
//!
//! With B the bound on the noise of an honest sum ([`Layout::noise`](crate::additive::Layout::noise), fails
//! with 2^−128), each member's noise is uniform in [−2^f, 2^f), f = λ + ⌈log₂ B⌉ + ⌈log₂ coefficients⌉. One
//! honest member's noise alone makes the opening of a sum statistically close, within 2^−λ for all coefficients
//! together, to one that is computed from the sum in the clear; λ ≥ 50. All noise is at most n·2^f + B, always,
//! and the modulus holds that below the values.
//!
//! # Who learns what
//!
//! Fewer than t members together learn nothing but opened sums: shares are uniform, for any choice of the
//! sum. Members follow the protocol (passive security): one who shares something else than it showed spoils
//! openings, which fail with [`AdditiveError::Noise`](crate::additive::AdditiveError::Noise), and nothing says who it was. Channels
//! between members are the caller's: authenticated, and secret where [`Effect::Send`] says so. That all
//! members mean the same sum by the same number is the caller's too: members take
//! [`Event::Open`] from one ordered log, or noise may serve two sums. A state that was put back to an older one
//! repeats noise; the caller must not do that.
//!
//! CKKS cannot be opened this way, for its noise is part of its numbers (Li & Micciancio 2021): what is opened
//! is a [`Sum`](crate::additive::Sum), and nothing makes one of another ciphertext.
//!
//! ```compile_fail
//! fn open(ciphertext: &nexus_he::Ciphertext) {
//!     let _ = nexus_he::threshold::Event::Open { opening: 1, sum: ciphertext };
//! }
//! ```

mod error;
mod group;
mod member;
mod message;
mod share;
#[cfg(test)]
mod tests;

pub use error::ThresholdError;
pub use group::{Group, MAX_FLOODING, MAX_MEMBERS, MIN_FLOODING, Terms};
pub use member::{Effect, Event, MAX_OPENINGS, Member};
pub use message::Partial;
