//! The secure sum of all owners' vectors, all of them on this machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_mpc::Identity;
use nexus_mpc::aggregation::secagg_plus::{Collector, Owner, Terms};
use nexus_mpc::aggregation::{Collector as _, Contributor, Peer, Progress, Refusal, Session};
use nexus_privacy::flow::{Masker, Noised, Opener, Share};
use nexus_types::{Digest, OwnerId};

use super::DescribeError;
use crate::random::SystemRng;

/// Owners and the coordinator between them.
pub(super) struct Sum {
    collector: Collector,
    owners: BTreeMap<Peer, Owner>,
    rng: SystemRng,
}

impl Sum {
    /// Of `owners` vectors of `values` integers.
    pub(super) fn new(plan: Digest, owners: u32, values: usize) -> Result<Self, DescribeError> {
        let (mut rng, terms) = (SystemRng::default(), Terms::default());
        let identities: Vec<_> =
            (0..owners).map(|_| Arc::new(Identity::generate(&mut rng))).collect();
        let keys = OwnerId::all(owners).zip(identities.iter().map(|identity| identity.public()));
        let session = Session {
            manifest: plan,
            owners: Arc::new(keys.collect()),
            n_min: owners,
            values: u32::try_from(values).unwrap_or(u32::MAX),
        };
        let collector = Collector::new(session.clone(), terms)?;
        let owner = |(id, identity)| {
            Ok((Peer::Owner(id), Owner::new(session.clone(), terms, id, identity)?))
        };
        let owners = OwnerId::all(owners).zip(identities).map(owner);
        let owners = owners.collect::<Result<_, DescribeError>>()?;
        Ok(Self { collector, owners, rng })
    }

    /// The contribution of the owner of this number.
    pub(super) fn contribute(
        &mut self,
        id: OwnerId,
        noised: Noised<Share>,
    ) -> Result<(), DescribeError> {
        let Self { collector, owners, rng } = self;
        let owner = owners.get_mut(&Peer::Owner(id)).ok_or(Refusal::Stranger)?;
        let masked = noised.mask(&mut Mask { owner, rng })?;
        collector.receive(Peer::Owner(id), masked.message())?;
        Ok(())
    }
}

struct Mask<'a> {
    owner: &'a mut Owner,
    rng: &'a mut SystemRng,
}

impl Masker for Mask<'_> {
    type Error = DescribeError;

    fn mask(&mut self, values: &[i64]) -> Result<Arc<[u8]>, DescribeError> {
        Ok(self.owner.contribute(self.rng, values)?)
    }
}

impl Opener for Sum {
    type Error = DescribeError;

    fn open(&mut self) -> Result<Vec<i64>, DescribeError> {
        loop {
            let messages = match self.collector.close()? {
                Progress::Continue(messages) => messages,
                Progress::Done(opened) => return Ok(opened.sum),
            };
            for outgoing in messages {
                let Some(owner) = self.owners.get_mut(&outgoing.to) else { continue };
                if let Some(answer) = owner.receive(&mut self.rng, &outgoing.message)? {
                    self.collector.receive(outgoing.to, &answer)?;
                }
            }
        }
    }
}
