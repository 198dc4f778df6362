//! What remains of a masked sum for auditors.

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::Canonical;
use nexus_types::limits::MAX_MESSAGE_BYTES;

use super::manifest::SignedManifest;

/// The record of one opened sum.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct SumRecord {
    /// What the sum is bound to.
    pub manifest: SignedManifest,
    /// The engine's transcript; `None` if the engine makes none.
    pub transcript: Option<Vec<u8>>,
}

impl Canonical for SumRecord {
    const DOMAIN: &'static str = "nexus/training/sum record";
    const VERSION: u8 = 1;
    // The transcript of a sum has several summed vectors if it has leaves.
    const MAX_BYTES: usize = 4 * MAX_MESSAGE_BYTES;
}
