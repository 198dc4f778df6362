//! The keys of all parties of a job on one machine.

use std::fmt;
use std::sync::Arc;

use nexus_mpc::{Identity, PublicKey};
use nexus_types::Digest;
use zeroize::Zeroizing;

/// Bytes of the root that all keys are derived from.
pub const ROOT_BYTES: usize = 32;

/// The keys of the coordinator, the owners and the committee, derived from one root: on a
/// network each party makes its own and shows only the public half.
#[derive(Clone)]
pub struct Keys {
    coordinator: Arc<Identity>,
    owners: Vec<Arc<Identity>>,
    members: Vec<Arc<Identity>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("coordinator", &self.coordinator).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys that follow from `root`, which must come from the operating system: masks are
    /// only as secret as it is.
    pub fn derive(root: [u8; ROOT_BYTES], owners: u32, members: u16) -> Self {
        let root = Zeroizing::new(root);
        let key = |party: &str, number: u32| {
            let mut material = Zeroizing::new(root.to_vec());
            material.extend(number.to_le_bytes());
            let domain = format!("cipher-nexus embedded {party} key v1");
            Arc::new(Identity::from_secret(Digest::of(&domain, &material).0))
        };
        Self {
            coordinator: key("coordinator", 0),
            owners: (0..owners).map(|number| key("owner", number)).collect(),
            members: (0..members.into()).map(|number| key("member", number)).collect(),
        }
    }

    /// The coordinator's.
    pub fn coordinator(&self) -> Arc<Identity> {
        Arc::clone(&self.coordinator)
    }

    /// The owners', by number.
    pub fn owners(&self) -> &[Arc<Identity>] {
        &self.owners
    }

    /// The members', by number.
    pub fn members(&self) -> &[Arc<Identity>] {
        &self.members
    }

    /// The public halves of `keys`.
    pub fn public(keys: &[Arc<Identity>]) -> Vec<PublicKey> {
        keys.iter().map(|key| key.public()).collect()
    }
}
