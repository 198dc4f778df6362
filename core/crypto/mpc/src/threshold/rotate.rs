//! Leaving a threshold key behind: a new one from a new [key generation](super::dkg), and every
//! record sealed again under it.
//!
//! Resharing keeps X, so t *old* members who kept their shares can decrypt for ever, whatever
//! happened since. Against them only a new X helps: once a year, or after a suspected loss. What
//! is published under the old X stays readable by them; the data-set key itself must change for
//! chunks written from then on.
//!
//! Whoever seals again has to know the data-set key: its owner, from its own backup; or, if that
//! is lost, after a [release](super::release) by a threshold of the old committee to a key of the
//! owner. There is no way round the owner: a record is signed by it.

use nexus_types::CryptoRng;

use super::key::GroupKey;
use super::tdh2::{CheckedRecord, DataKey, Record, ReleaseError, encrypt};
use crate::identity::Identity;

/// Seals the same data-set key for the same label under `key`.
///
/// # Errors
/// [`ReleaseError::SameKey`] if the record is under `key` already, [`ReleaseError::Sealed`] if
/// `data_key` is not the one it holds, [`ReleaseError::Owner`] if it is not `owner`'s.
pub fn rewrap(
    old: &CheckedRecord,
    data_key: &DataKey,
    key: &GroupKey,
    owner: &Identity,
    rng: &mut dyn CryptoRng,
) -> Result<Record, ReleaseError> {
    if old.record.body.key == key.key {
        return Err(ReleaseError::SameKey);
    }
    if !old.holds(data_key)? {
        return Err(ReleaseError::Sealed);
    }
    encrypt(key, old.record.body.label, data_key, owner, rng)
}

/// Whether `new` claims to hold the same data-set key as `old` for the same label. Its owner
/// signed that claim; a grantee finds out at the latest when it opens.
pub fn replaces(new: &CheckedRecord, old: &CheckedRecord) -> bool {
    let (new, old) = (&new.record.body, &old.record.body);
    new.label == old.label && new.commitment == old.commitment && new.key != old.key
}
