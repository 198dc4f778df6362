//! What the parties of one sum agree on, signed by the coordinator. Its digest is part of every
//! mask: two views of a round never add up.

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_mpc::aggregation::{Session, nx};
use nexus_mpc::{Identity, PacketKey, Signature};
use nexus_types::limits::MAX_OWNERS;
use nexus_types::{Canonical, Digest, JobId, MemberId, OwnerId};

use super::ledger::ManifestRefusal;
use super::terms::{EngineTerms, JobTerms, packing_for};
use super::twin::signatures_count;
use crate::error::TrainingError;
use crate::message::TaskId;

const SIGNATURE: &str = "nexus/training/manifest signature v1";
const PACKET_KEY: &str = "nexus/training/packet key signature v1";

/// The manifest of one sum: one attempt at one round.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Manifest {
    /// Digest of the [`JobTerms`].
    pub terms: Digest,
    /// The number of this sum among all of the job.
    pub slot: u32,
    /// What is summed: the statistics, or the updates of a round.
    pub task: TaskId,
    /// Digest of the task that owners work on, apart from its manifest.
    pub model: Digest,
    /// The owners asked, in order.
    pub owners: Vec<OwnerId>,
    /// Fewest of them in the sum; at least the job's.
    pub n_min: u32,
    /// Integers per owner.
    pub values: u32,
    /// The weight that counts as one: the mean number of examples of an owner.
    pub weight_unit: f64,
    /// Milliseconds that each phase waits.
    pub deadline_ms: u64,
    /// What the engine needs besides.
    pub engine: EngineManifest,
}

/// What an engine needs besides.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub enum EngineManifest {
    /// The committee's keys for this sum, by number: of a quorum at least. A member without one
    /// has no part in it.
    Nx(Vec<Option<SignedPacketKey>>),
    /// Nothing: everything follows from the terms.
    SecAggPlus,
}

/// A member's key for one sum, signed by the member.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct SignedPacketKey {
    /// The key.
    pub key: PacketKey,
    /// The member's signature over job, sum, member and key.
    pub signature: Signature,
}

impl SignedPacketKey {
    /// Signs `key` as that of `member` for the sum `slot` of `job`.
    pub(crate) fn sign(
        identity: &Identity,
        job: JobId,
        slot: u32,
        member: MemberId,
        key: PacketKey,
    ) -> Self {
        let signature = identity.sign(PACKET_KEY, &packet_statement(job, slot, member, &key));
        Self { key, signature }
    }

    /// Checks it against the terms.
    pub(crate) fn check(
        &self,
        terms: &JobTerms,
        slot: u32,
        member: MemberId,
    ) -> Result<(), ManifestRefusal> {
        let refusal = ManifestRefusal::PacketKey { member };
        let Some(identity) = terms.engine.members().get(member.index()) else {
            return Err(refusal);
        };
        self.key.check().map_err(|_| refusal.clone())?;
        let statement = packet_statement(terms.job, slot, member, &self.key);
        let signed = identity.verify(PACKET_KEY, &statement, &self.signature);
        if signed.is_err() && signatures_count() { Err(refusal) } else { Ok(()) }
    }
}

fn packet_statement(job: JobId, slot: u32, member: MemberId, key: &PacketKey) -> Vec<u8> {
    let mut statement = job.0.0.to_vec();
    statement.extend(slot.to_le_bytes());
    statement.extend(member.0.to_le_bytes());
    statement.extend(key.0);
    statement
}

/// A manifest and the coordinator's signature.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct SignedManifest {
    /// The manifest.
    pub manifest: Manifest,
    /// The signature.
    pub signature: Signature,
}

impl Canonical for Manifest {
    const DOMAIN: &'static str = "nexus/training/manifest";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 4 * MAX_OWNERS as usize + (1 << 18);
}

impl SignedManifest {
    /// Signs `manifest`.
    ///
    /// # Errors
    /// [`TrainingError::Codec`] if it is too large.
    pub(crate) fn sign(manifest: Manifest, identity: &Identity) -> Result<Self, TrainingError> {
        let signature = identity.sign(SIGNATURE, &manifest.encode()?);
        Ok(Self { manifest, signature })
    }

    /// The digest that names the sum, if the coordinator of `terms` signed the manifest and all
    /// in it is what the terms allow.
    pub(crate) fn check(&self, terms: &JobTerms) -> Result<Digest, ManifestRefusal> {
        let manifest = &self.manifest;
        let bytes = manifest.encode().map_err(|_| outside("size"))?;
        terms
            .coordinator
            .verify(SIGNATURE, &bytes, &self.signature)
            .map_err(|_| ManifestRefusal::Signature)?;
        let digest = |result: Result<Digest, _>| result.map_err(|_| outside("size"));
        if manifest.terms != digest(terms.digest())? {
            return Err(ManifestRefusal::Terms);
        }
        let (owners, count) = (&manifest.owners, manifest.asked());
        let known = owners.last().is_some_and(|last| last.index() < terms.owners.len());
        if !known || !owners.is_sorted_by(|a, b| a < b) {
            return Err(outside("list of owners"));
        }
        if !(terms.n_min..=count).contains(&manifest.n_min) {
            return Err(outside("fewest number of owners"));
        }
        if !(manifest.weight_unit.is_finite() && manifest.weight_unit > 0.0) {
            return Err(outside("unit of weights"));
        }
        if u64::from(terms.engine.leaves()) * u64::from(manifest.n_min) > u64::from(count) {
            return Err(outside("fewest number of owners in a leaf"));
        }
        manifest.check_engine(terms)?;
        digest(manifest.digest())
    }
}

fn outside(what: &str) -> ManifestRefusal {
    ManifestRefusal::Outside { what: what.to_owned() }
}

impl Manifest {
    /// Digest of what all attempts at a round have in common: all but the number of the sum and
    /// the committee's keys. With two sums over different weights or owners, their difference
    /// could show one of them.
    pub(crate) fn pinned(&self) -> Digest {
        let Self { terms, task, model, owners, n_min, values, weight_unit, deadline_ms, .. } = self;
        let numbers = (n_min, values, weight_unit.to_bits(), deadline_ms);
        let bytes = borsh::to_vec(&(terms, task, model, owners, numbers)).unwrap_or_default();
        Digest::of("nexus/training/pinned v1", &bytes)
    }

    /// How many owners are asked.
    pub(crate) fn asked(&self) -> u32 {
        u32::try_from(self.owners.len()).unwrap_or(u32::MAX)
    }

    /// Whether it is about a piece of work of a job of `rounds` rounds.
    pub(crate) const fn is_of(&self, rounds: u32) -> bool {
        self.task.repeat == 0 && self.task.round.0 <= rounds
    }

    fn check_engine(&self, terms: &JobTerms) -> Result<(), ManifestRefusal> {
        match (&self.engine, &terms.engine) {
            (EngineManifest::Nx(keys), EngineTerms::Nx { members, .. }) => {
                let quorum = terms.engine.quorum().unwrap_or(u32::MAX);
                let given = keys.iter().flatten().count();
                if keys.len() != members.len() || given < quorum as usize {
                    return Err(outside("committee"));
                }
                let mut keys = (0..).map(MemberId).zip(keys);
                keys.try_for_each(|(id, key)| match key {
                    Some(key) => key.check(terms, self.slot, id),
                    None => Ok(()),
                })
            }
            (EngineManifest::SecAggPlus, EngineTerms::SecAggPlus(_)) => Ok(()),
            _ => Err(outside("engine")),
        }
    }

    /// What the engines call a session.
    pub(crate) fn session(&self, terms: &JobTerms, digest: Digest) -> Session {
        let key = |&id: &OwnerId| Some((id, terms.owner(id)?));
        let owners: BTreeMap<_, _> = self.owners.iter().filter_map(key).collect();
        Session {
            manifest: digest,
            owners: Arc::new(owners),
            n_min: self.n_min,
            values: self.values,
        }
    }

    /// The committee's terms of this sum, if it has one.
    pub(crate) fn nx_terms(&self, terms: &JobTerms) -> Result<Option<nx::Terms>, TrainingError> {
        let (
            EngineManifest::Nx(keys),
            EngineTerms::Nx { members, packing, leaves, keep_messages, .. },
        ) = (&self.engine, &terms.engine)
        else {
            return Ok(None);
        };
        let key = |signed: &SignedPacketKey| signed.key.clone();
        let keys = members.iter().zip(keys).map(|(&identity, signed)| nx::MemberKeys {
            identity,
            packet: signed.as_ref().map(key),
        });
        Ok(Some(nx::Terms {
            packing: packing_for(self.asked(), *packing)?,
            members: keys.collect(),
            slot: self.slot,
            keep_messages: *keep_messages,
            leaves: *leaves,
        }))
    }
}
