//! A coordinator and owners in one process, for tests to disturb.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexus_types::{Canonical, Digest, OwnerId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::aggregation::secagg_plus::{Collector, Owner, Terms, limit};
use crate::aggregation::{
    Collector as _, Contributor, Opened, Outgoing, Peer, Progress, Refusal, Session, SumError,
};
use crate::identity::Identity;

pub(super) struct Stage {
    pub(super) session: Session,
    pub(super) terms: Terms,
    pub(super) identities: Vec<Arc<Identity>>,
    pub(super) rng: ChaCha12Rng,
    pub(super) values: Vec<Vec<i64>>,
    pub(super) owners: Vec<Owner>,
    pub(super) coordinator: Collector,
}

pub(super) fn identity(number: u32) -> Arc<Identity> {
    let mut secret = [7; 32];
    secret[..4].copy_from_slice(&number.to_le_bytes());
    Arc::new(Identity::from_secret(secret))
}

pub(super) fn session(manifest: &str, owners: u32, values: u32, terms: Terms) -> Session {
    let keys = OwnerId::all(owners).map(|id| (id, identity(id.0).public())).collect();
    Session {
        manifest: Digest::of("test manifest", manifest.as_bytes()),
        owners: Arc::new(keys),
        n_min: terms.corrupt(owners) + 2,
        values,
    }
}

pub(super) fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

impl Stage {
    pub(super) fn new(owners: u32, values: u32, terms: Terms, seed: u64) -> Result<Self, SumError> {
        let session = session("round 1", owners, values, terms);
        let identities: Vec<_> = (0..owners).map(identity).collect();
        let mut rng = rng(seed);
        let mut value = || {
            let limit = limit(owners).unsigned_abs();
            i64::try_from(rng.next_u64() % (2 * limit + 1)).unwrap() - limit.cast_signed()
        };
        let values = (0..owners).map(|_| (0..values).map(|_| value()).collect()).collect();
        let coordinator = Collector::new(session.clone(), terms)?;
        let parts = OwnerId::all(owners)
            .zip(&identities)
            .map(|(id, identity)| Owner::new(session.clone(), terms, id, Arc::clone(identity)));
        let owners = parts.collect::<Result<_, _>>()?;
        Ok(Self { session, terms, identities, rng, values, owners, coordinator })
    }

    /// The sum of the values of `survivors`.
    pub(super) fn expected(&self, survivors: &[OwnerId]) -> Vec<i64> {
        let mut sum = vec![0; self.session.values as usize];
        for survivor in survivors {
            sum.iter_mut().zip(&self.values[survivor.index()]).for_each(|(s, v)| *s += v);
        }
        sum
    }

    /// The first messages of those who are not `away`.
    pub(super) fn contribute(&mut self, away: &BTreeSet<u32>) {
        for at in 0..self.owners.len() {
            if away.contains(&u32::try_from(at).unwrap()) {
                continue;
            }
            let message = self.owners[at].contribute(&mut self.rng, &self.values[at]).unwrap();
            self.coordinator.receive(peer(at), &message).unwrap();
        }
    }

    /// Delivers `messages` to those who are not `away`, and their answers.
    pub(super) fn deliver(&mut self, messages: &[Outgoing], away: &BTreeSet<u32>) {
        for Outgoing { to, message } in messages {
            let at = index(*to);
            if away.contains(&u32::try_from(at).unwrap()) {
                continue;
            }
            let answer = self.owners[at].receive(&mut self.rng, message).unwrap().unwrap();
            self.coordinator.receive(*to, &answer).unwrap();
        }
    }

    /// The whole sum; owner `id` answers in none of the phases from `gone[id]` on.
    pub(super) fn run(&mut self, gone: &BTreeMap<u32, u8>) -> Result<Opened, SumError> {
        let away = |phase: u8| -> BTreeSet<u32> {
            gone.iter().filter(|(_, from)| **from <= phase).map(|(id, _)| *id).collect()
        };
        self.contribute(&away(0));
        for phase in 1.. {
            match self.coordinator.close()? {
                Progress::Done(opened) => return Ok(opened),
                Progress::Continue(messages) => self.deliver(&messages, &away(phase)),
            }
        }
        Err(SumError::OutOfTurn)
    }

    /// Closes the phase and returns what it sends.
    pub(super) fn close(&mut self) -> Vec<Outgoing> {
        match self.coordinator.close().unwrap() {
            Progress::Continue(messages) => messages,
            Progress::Done(_) => Vec::new(),
        }
    }

    /// Plays all phases up to `phase`, and returns the messages that begin it: 1 is the
    /// directory, 2 the packets, 3 the proposal, 4 the certificate.
    pub(super) fn until(&mut self, phase: usize, gone: &BTreeMap<u32, u8>) -> Vec<Outgoing> {
        let away = |phase: usize| -> BTreeSet<u32> {
            gone.iter()
                .filter(|(_, from)| usize::from(**from) <= phase)
                .map(|(id, _)| *id)
                .collect()
        };
        self.contribute(&away(0));
        for earlier in 1..phase {
            let messages = self.close();
            self.deliver(&messages, &away(earlier));
        }
        self.close()
    }

    pub(super) fn answer(&mut self, at: usize, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        let answer = self.owners[at].receive(&mut self.rng, message)?;
        Ok(answer.map(|bytes| bytes.to_vec()).unwrap_or_default())
    }
}

pub(super) fn peer(at: usize) -> Peer {
    Peer::Owner(OwnerId(u32::try_from(at).unwrap()))
}

pub(super) fn index(peer: Peer) -> usize {
    match peer {
        Peer::Owner(owner) => owner.index(),
        Peer::Member(_) => panic!("there is no committee"),
    }
}

/// The message for `to`.
pub(super) fn message_to(messages: &[Outgoing], to: u32) -> Vec<u8> {
    let found = messages.iter().find(|message| message.to == Peer::Owner(OwnerId(to)));
    found.unwrap().message.to_vec()
}

/// The decoded message for `to`.
pub(super) fn decoded_to<T: Canonical>(messages: &[Outgoing], to: u32) -> T {
    T::decode(&message_to(messages, to)).unwrap()
}
