//! What both sides check of each other's messages.

use nexus_types::{Canonical, CodecError, Digest, OwnerId};

use super::message::{self, Statement};
use super::terms::Setup;
use crate::aggregation::{Refusal, SumError};
use crate::identity::Signature;

/// What a party of a test leaves out, to show what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weakness {
    /// That a quorum voted.
    Quorum,
    /// That survivors masked under the same view.
    Views,
    /// An owner that goes on although a packet does not open.
    Unopened,
    /// A coordinator that decodes shares of which some are false.
    #[cfg(test)]
    Decoding,
}

pub(super) fn forbidden(rule: &str) -> Refusal {
    Refusal::Forbidden { rule: rule.to_owned() }
}

pub(super) fn malformed(error: &CodecError) -> Refusal {
    Refusal::Malformed { problem: error.to_string() }
}

pub(super) fn snapshot(problem: &str) -> SumError {
    SumError::Snapshot { problem: problem.to_owned() }
}

pub(super) fn session(manifest: &Digest, setup: &Setup) -> Result<(), Refusal> {
    if *manifest != setup.session.manifest {
        return Err(Refusal::OtherRound);
    }
    Ok(())
}

/// Every id once, in order: a set has one encoding.
pub(super) fn ascending(ids: impl IntoIterator<Item = OwnerId>) -> Result<(), Refusal> {
    if !ids.into_iter().is_sorted_by(|a, b| a < b) {
        return Err(forbidden("lists name every owner once, in order"));
    }
    Ok(())
}

pub(super) fn enough(have: usize, need: u32) -> Result<(), Refusal> {
    if have < need as usize {
        let error = SumError::TooFew { have: u32::try_from(have).unwrap_or(u32::MAX), need };
        return Err(Refusal::Forbidden { rule: error.to_string() });
    }
    Ok(())
}

pub(super) fn signature<T: Statement>(
    setup: &Setup,
    owner: OwnerId,
    digest: &Digest,
    signature: &Signature,
) -> Result<(), Refusal> {
    let key = setup.key(owner).ok_or(Refusal::Stranger)?;
    message::verify::<T>(key, digest, signature).map_err(|_| Refusal::Signature)
}

/// Whether a list in order has `owner`.
pub(super) fn contains(list: &[OwnerId], owner: OwnerId) -> bool {
    list.binary_search(&owner).is_ok()
}

pub(super) fn encoded<T: Canonical>(message: &T) -> Result<Vec<u8>, Refusal> {
    message.encode().map_err(|error| malformed(&error))
}

pub(super) fn decoded<T: Canonical>(bytes: &[u8]) -> Result<T, Refusal> {
    T::decode(bytes).map_err(|error| malformed(&error))
}
