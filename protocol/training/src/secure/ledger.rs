//! Which manifests were accepted: the memory that keeps a coordinator from asking twice.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::Digest;

use super::manifest::Manifest;
use crate::message::TaskId;

/// The newest manifest that a party accepted, and how many for the same round.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Ledger {
    newest: Option<Entry>,
    /// The unit of weights since the first round, bit by bit.
    unit: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Entry {
    task: TaskId,
    /// Digest of what all attempts at a round have in common.
    pinned: Digest,
    slot: u32,
    manifest: Digest,
    attempts: u32,
    /// Whether this party has helped to open a sum of this round.
    opened: bool,
}

/// Whether a manifest has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It opens a new sum.
    New,
    /// It is the newest one, again.
    Again,
}

/// Why a manifest is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, BorshSerialize, BorshDeserialize)]
#[non_exhaustive]
pub enum ManifestRefusal {
    /// A task has a manifest where sums are not masked, or none where they are.
    #[error("the coordinator does not protect updates as this party accepted")]
    Protection,
    /// It is not signed by the job's coordinator.
    #[error("the manifest is not signed by the coordinator of the job")]
    Signature,
    /// It names other terms than those of the job.
    #[error("the manifest is of other terms than this party accepted")]
    Terms,
    /// A number in it is not what the terms allow.
    #[error("the manifest's {what} is not what the terms of the job allow")]
    Outside {
        /// Which.
        what: String,
    },
    /// The key of a member is not signed by it.
    #[error("the packet key of {member} is not signed by it for this sum")]
    PacketKey {
        /// Whose.
        member: nexus_types::MemberId,
    },
    /// It is about another model than the one it came with.
    #[error("the manifest is about another model than the one sent")]
    Model,
    /// There was another manifest for this sum.
    #[error("there is another manifest for sum {slot}")]
    Second {
        /// The sum.
        slot: u32,
    },
    /// It is older than one that was accepted.
    #[error("sum {got} was asked for, {newest} has been worked on")]
    Outdated {
        /// The sum asked for.
        got: u32,
        /// The newest one.
        newest: u32,
    },
    /// The round was tried with other content.
    #[error("the round has been worked on with another model, other owners or other units")]
    OtherContent,
    /// A sum of the round was opened: the difference to a second one could show an owner.
    #[error("a sum of the round has been opened, and there is no second one")]
    Opened,
    /// The round was tried too often.
    #[error("the round has been tried {limit} times, which is the most the job allows")]
    Attempts {
        /// The limit.
        limit: u32,
    },
}

impl Ledger {
    /// Looks a checked manifest with digest `digest` up; [`Ledger::enter`] accepts it.
    pub(crate) fn look_up(
        &self,
        manifest: &Manifest,
        digest: Digest,
        limit: u32,
    ) -> Result<Seen, ManifestRefusal> {
        let unit = manifest.weight_unit.to_bits();
        let fits = if manifest.task == TaskId::SUMMARY {
            unit == 1.0f64.to_bits()
        } else {
            self.unit.is_none_or(|pinned| pinned == unit)
        };
        if !fits {
            return Err(ManifestRefusal::Outside { what: "unit of weights".to_owned() });
        }
        let Some(newest) = &self.newest else { return Ok(Seen::New) };
        let (got, slot) = (manifest.slot, newest.slot);
        if got == slot {
            let again = newest.manifest == digest;
            return if again { Ok(Seen::Again) } else { Err(ManifestRefusal::Second { slot }) };
        }
        if got < slot || manifest.task < newest.task {
            return Err(ManifestRefusal::Outdated { got, newest: slot });
        }
        if manifest.task == newest.task {
            newest.admits(manifest, limit)?;
        }
        Ok(Seen::New)
    }

    /// Accepts a manifest that was [`Seen::New`].
    pub(crate) fn enter(&mut self, manifest: &Manifest, digest: Digest) {
        let before = self.newest.as_ref().filter(|newest| newest.task == manifest.task);
        let attempts = before.map_or(0, |newest| newest.attempts).saturating_add(1);
        let Manifest { task, slot, .. } = *manifest;
        if task != TaskId::SUMMARY {
            self.unit = Some(manifest.weight_unit.to_bits());
        }
        let pinned = manifest.pinned();
        let opened = false;
        self.newest = Some(Entry { task, pinned, slot, manifest: digest, attempts, opened });
    }

    /// Notes that this party is about to help open the newest sum.
    pub(crate) const fn open(&mut self) {
        if let Some(newest) = &mut self.newest {
            newest.opened = true;
        }
    }

    /// The newest sum, and the digest of its manifest.
    pub(crate) fn newest(&self) -> Option<(u32, Digest)> {
        self.newest.as_ref().map(|entry| (entry.slot, entry.manifest))
    }
}

impl Entry {
    /// Whether `manifest` may be another attempt at the same round.
    fn admits(&self, manifest: &Manifest, limit: u32) -> Result<(), ManifestRefusal> {
        if manifest.pinned() != self.pinned {
            return Err(ManifestRefusal::OtherContent);
        }
        if self.opened {
            return Err(ManifestRefusal::Opened);
        }
        if self.attempts >= limit {
            return Err(ManifestRefusal::Attempts { limit });
        }
        Ok(())
    }
}
