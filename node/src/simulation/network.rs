//! A network of one process in virtual time: messages take a while, get lost, come twice.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use nexus_types::limits::MAX_MESSAGE_BYTES;
use nexus_types::{Cleared, OwnerId, Party, Received, Round, Timestamp, Transport, TransportError};

use super::faults::FaultPlan;

/// A message under way.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) from: Party,
    pub(super) to: Party,
    pub(super) message: Arc<[u8]>,
}

/// The simulated network.
#[derive(Debug)]
pub(super) struct Network {
    owners: u32,
    faults: FaultPlan,
    now: Timestamp,
    round: Round,
    sequence: u64,
    wire: BTreeMap<(Timestamp, u64), Envelope>,
    inboxes: BTreeMap<Party, VecDeque<Received>>,
    causes: BTreeMap<OwnerId, String>,
}

impl Network {
    pub(super) fn new(owners: u32, faults: FaultPlan) -> Self {
        Self {
            owners,
            faults,
            now: Timestamp::default(),
            round: Round(0),
            sequence: 0,
            wire: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            causes: BTreeMap::new(),
        }
    }

    /// Puts back what [`Network::saved`] took out.
    pub(super) fn restore(
        &mut self,
        now: Timestamp,
        round: Round,
        sequence: u64,
        wire: Vec<(u64, u64, Envelope)>,
    ) {
        (self.now, self.round, self.sequence) = (now, round, sequence);
        self.wire = wire.into_iter().map(|(at, n, mail)| ((Timestamp(at), n), mail)).collect();
    }

    pub(super) fn saved(&self) -> (u64, impl Iterator<Item = (u64, u64, &Envelope)>) {
        (self.sequence, self.wire.iter().map(|((at, n), mail)| (at.0, *n, mail)))
    }

    /// When the next message arrives.
    pub(super) fn next_arrival(&self) -> Option<Timestamp> {
        self.wire.keys().next().map(|(at, _)| *at)
    }

    /// Moves time on; the round decides who is out of reach.
    pub(super) fn advance(&mut self, now: Timestamp, round: Round) {
        (self.now, self.round) = (now, round);
    }

    /// Brings the next message to its inbox and says whose that is.
    pub(super) fn deliver_next(&mut self) -> Option<Party> {
        let (_, Envelope { from, to, message }) = self.wire.pop_first()?;
        self.inboxes.entry(to).or_default().push_back(Received { from, message });
        Some(to)
    }

    /// Throws away what waits for a party that is down.
    pub(super) fn discard(&mut self, party: Party) {
        if self.inboxes.remove(&party).is_some_and(|inbox| !inbox.is_empty()) {
            self.blame(party, "it was down when a message arrived");
        }
    }

    /// Notes the injected fault behind an owner's silence.
    pub(super) fn blame(&mut self, party: Party, cause: &str) {
        if let Party::Owner(owner) = party {
            self.causes.insert(owner, cause.to_owned());
        }
    }

    /// The faults injected since the last call, by owner.
    pub(super) fn take_causes(&mut self) -> BTreeMap<OwnerId, String> {
        std::mem::take(&mut self.causes)
    }

    /// The faults injected so far in this round.
    pub(super) fn causes(&self) -> Vec<(OwnerId, String)> {
        self.causes.iter().map(|(owner, cause)| (*owner, cause.clone())).collect()
    }

    /// The connection of `party`.
    pub(super) fn endpoint(&mut self, party: Party) -> Endpoint<'_> {
        Endpoint { network: self, party }
    }

    fn post(&mut self, mail: &Envelope) {
        let owner = match (mail.from, mail.to) {
            (Party::Owner(owner), _) | (_, Party::Owner(owner)) => Some(owner),
            (Party::Coordinator | Party::Member(_), Party::Coordinator | Party::Member(_)) => None,
        };
        self.sequence += 1;
        if let Some(owner) = owner {
            if self.faults.drops(owner, self.round) {
                return self.blame(Party::Owner(owner), "out of reach for the round");
            }
            if self.faults.loses(self.sequence) {
                return self.blame(Party::Owner(owner), "a message was lost");
            }
        }
        let copies = if self.faults.duplicates(self.sequence) { 2 } else { 1 };
        for copy in 0..copies {
            let at = self.now + self.faults.latency(2 * self.sequence + copy);
            self.wire.insert((at, 2 * self.sequence + copy), mail.clone());
        }
    }
}

/// One party's [`Transport`].
#[derive(Debug)]
pub(super) struct Endpoint<'a> {
    network: &'a mut Network,
    party: Party,
}

impl Transport for Endpoint<'_> {
    fn send(&mut self, to: Party, message: Cleared) -> Result<(), TransportError> {
        if matches!(to, Party::Owner(owner) if owner.0 >= self.network.owners) {
            return Err(TransportError::Unreachable { to });
        }
        if message.len() > MAX_MESSAGE_BYTES {
            let (got, limit) = (message.len(), MAX_MESSAGE_BYTES);
            return Err(TransportError::TooLarge { to, got, limit });
        }
        let garbage = match self.party {
            Party::Owner(owner) => {
                self.network.faults.garbage(owner, self.network.sequence, &message)
            }
            Party::Coordinator | Party::Member(_) => None,
        };
        let message = garbage.map_or_else(|| message.into_bytes(), Into::into);
        self.network.post(&Envelope { from: self.party, to, message });
        Ok(())
    }

    fn receive(&mut self) -> Option<Received> {
        self.network.inboxes.get_mut(&self.party)?.pop_front()
    }
}
