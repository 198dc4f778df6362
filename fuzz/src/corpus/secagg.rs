//! A sum of ten owners without a committee, of which one falls silent.

use std::sync::{Arc, LazyLock};

use nexus_mpc::Identity;
use nexus_mpc::aggregation::secagg_plus::{Collector, Owner, Terms};
use nexus_mpc::aggregation::{Collector as _, Contributor as _, Outgoing, Peer, Progress, Session};
use nexus_types::{Canonical, Digest, OwnerId};

use super::{Made, rng};

const OWNERS: u32 = 10;
const SILENT: OwnerId = OwnerId(3);

/// The coordinator and one owner as they were in every phase, and all messages.
pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) terms: Terms,
    pub(crate) collectors: Vec<Collector>,
    /// All of them owner 0.
    pub(crate) owners: Vec<Owner>,
    pub(crate) messages: Vec<Vec<u8>>,
}

pub(crate) fn world() -> Made<&'static World> {
    static WORLD: LazyLock<Made<World>> = LazyLock::new(World::new);
    WORLD.as_ref().map_err(|error| error.to_string().into())
}

pub(crate) fn identity(id: OwnerId) -> Arc<Identity> {
    Arc::new(Identity::from_secret([id.0.to_le_bytes()[0] + 1; 32]))
}

impl World {
    fn new() -> Made<Self> {
        let terms = Terms::default();
        let owners = OwnerId::all(OWNERS).map(|id| (id, identity(id).public())).collect();
        let n_min = terms.corrupt(OWNERS) + 2;
        let session =
            Session { manifest: Digest([8; 32]), owners: Arc::new(owners), n_min, values: 5 };
        let messages = vec![terms.encode()?];
        let (collectors, owners) = (Vec::new(), Vec::new());
        let mut world = Self { session, terms, collectors, owners, messages };
        world.run()?;
        Ok(world)
    }

    fn run(&mut self) -> Made<()> {
        let mut rng = rng(1);
        let mut collector = Collector::new(self.session.clone(), self.terms)?;
        let mut owners = Vec::new();
        for id in OwnerId::all(OWNERS) {
            let mut owner = Owner::new(self.session.clone(), self.terms, id, identity(id))?;
            let message = owner.contribute(&mut rng, &[1, -2, 3, 0, 5])?;
            collector.receive(Peer::Owner(id), &message)?;
            self.messages.push(message.to_vec());
            owners.push(owner);
        }
        for phase in 0.. {
            self.collectors.push(collector.clone());
            self.owners.extend(owners.first().cloned());
            let Progress::Continue(messages) = collector.close()? else { break };
            for Outgoing { to, message } in messages {
                self.messages.push(message.to_vec());
                let Peer::Owner(id) = to else { continue };
                let Some(owner) = owners.get_mut(id.index()) else { continue };
                if phase > 1 && id == SILENT {
                    continue;
                }
                if let Some(answer) = owner.receive(&mut rng, &message)? {
                    collector.receive(to, &answer)?;
                    self.messages.push(answer.to_vec());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn snapshots(&self) -> Vec<Vec<u8>> {
        let collectors = self.collectors.iter().map(nexus_mpc::aggregation::Collector::snapshot);
        collectors
            .chain(self.owners.iter().map(nexus_mpc::aggregation::Contributor::snapshot))
            .collect()
    }
}
