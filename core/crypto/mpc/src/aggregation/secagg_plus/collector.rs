//! The coordinator: it holds no secret of an owner who is in the sum, and draws nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, Digest, OwnerId, borsh, limits, peek_tag, tag_of};

use super::check::{self, decoded, encoded, forbidden};
use super::message::{
    Advert, Ballot, Certificate, Delivery, Directory, Masked, Packet, Proposal, Reveal, Share,
    Shares, Signed, View, Vote,
};
use super::terms::{Setup, Terms};
use super::unmask;
use crate::aggregation::Collector as _;
use crate::aggregation::{self, Opened, Outgoing, Peer, Progress, Refusal, Session, SumError};
use crate::identity::Signature;

/// The coordinator of one sum.
#[derive(Clone)]
pub struct Collector {
    setup: Setup,
    state: State,
    /// Digests of the view and the ballot, from the sets that are frozen.
    view: Digest,
    ballot: Digest,
    #[cfg(test)]
    pub(super) weakness: Option<check::Weakness>,
}

/// What has arrived. The sets are frozen when their phase ends, so every message that the
/// coordinator sends can be made again from them.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct State {
    manifest: Digest,
    phase: Phase,
    adverts: BTreeMap<OwnerId, Signed>,
    shares: BTreeMap<OwnerId, Shares>,
    masked: BTreeMap<OwnerId, Signature>,
    /// Whose packets did not open, by who says so.
    unopened: BTreeMap<OwnerId, Vec<OwnerId>>,
    /// Of the masked values, modulo 2^32.
    sum: Vec<u32>,
    votes: BTreeMap<OwnerId, Signature>,
    reveals: BTreeMap<OwnerId, Vec<(OwnerId, Share)>>,
}

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
enum Phase {
    Adverts,
    Shares,
    Masked,
    Votes,
    Reveals,
    Done,
}

impl Canonical for State {
    const DOMAIN: &'static str = "nexus/mpc/secagg-plus/coordinator";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = limits::MAX_MESSAGE_BYTES;
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contributions = self.state.masked.len();
        f.debug_struct("Collector")
            .field("phase", &self.state.phase)
            .field("contributions", &contributions)
            .finish_non_exhaustive()
    }
}

impl Collector {
    /// The coordinator of a sum that begins.
    ///
    /// # Errors
    /// [`SumError::Setting`] if the terms do not fit the session.
    pub fn new(session: Session, terms: Terms) -> Result<Self, SumError> {
        let setup = Setup::new(session, terms)?;
        let state = State {
            manifest: setup.session.manifest,
            phase: Phase::Adverts,
            adverts: BTreeMap::new(),
            shares: BTreeMap::new(),
            masked: BTreeMap::new(),
            unopened: BTreeMap::new(),
            sum: vec![0; setup.session.values as usize],
            votes: BTreeMap::new(),
            reveals: BTreeMap::new(),
        };
        Ok(Self::of(setup, state))
    }

    /// The coordinator as [`aggregation::Collector::snapshot`] left it.
    ///
    /// # Errors
    /// As [`Collector::new`], and [`SumError::Snapshot`].
    pub fn restore(session: Session, terms: Terms, snapshot: &[u8]) -> Result<Self, SumError> {
        let setup = Setup::new(session, terms)?;
        let state = State::decode(snapshot).map_err(|error| check::snapshot(&error.to_string()))?;
        if state.manifest != setup.session.manifest {
            return Err(check::snapshot("it is of another sum"));
        }
        if state.sum.len() != setup.session.values as usize {
            return Err(check::snapshot("it has another number of values"));
        }
        Ok(Self::of(setup, state))
    }

    fn of(setup: Setup, state: State) -> Self {
        let (view, ballot) = (state.manifest, state.manifest);
        let mut collector = Self {
            setup,
            state,
            view,
            ballot,
            #[cfg(test)]
            weakness: None,
        };
        collector.freeze();
        collector
    }

    /// Digests what the next messages are about. Before the last set is frozen they are of no
    /// use, and nobody signs them.
    fn freeze(&mut self) {
        let session = self.setup.session.manifest;
        let directory = self.directory().digest().unwrap_or(session);
        let sharers = self.state.shares.keys().copied().collect();
        self.view = View { session, directory, sharers }.digest().unwrap_or(session);
        let survivors = self.state.masked.keys().copied().collect();
        let ballot = Ballot { session, view: self.view, survivors };
        self.ballot = ballot.digest().unwrap_or(session);
    }

    fn check(&self, session: &Digest, from: OwnerId, name: OwnerId) -> Result<(), Refusal> {
        check::session(session, &self.setup)?;
        if from != name {
            return Err(Refusal::OtherSender { name: Peer::Owner(name) });
        }
        Ok(())
    }

    fn turn(&self, phase: Phase, sender: bool) -> Result<(), Refusal> {
        if self.state.phase != phase || !sender {
            return Err(Refusal::OutOfTurn);
        }
        Ok(())
    }

    fn advert(&mut self, from: OwnerId, advert: &Advert) -> Result<(), Refusal> {
        let keys = advert.keys;
        self.check(&advert.session, from, keys.owner)?;
        if let Some(known) = self.state.adverts.get(&from) {
            return repeated(*known == keys);
        }
        self.turn(Phase::Adverts, true)?;
        let key = self.setup.key(from).ok_or(Refusal::Stranger)?;
        keys.verify(&advert.session, key).map_err(|_| Refusal::Signature)?;
        if keys.seal.element().is_none() || keys.mask.element().is_none() {
            return Err(forbidden("keys are points of the group"));
        }
        self.state.adverts.insert(from, keys);
        Ok(())
    }

    fn shares(&mut self, from: OwnerId, shares: Shares) -> Result<(), Refusal> {
        self.check(&shares.session, from, shares.owner)?;
        if let Some(known) = self.state.shares.get(&from) {
            return repeated(*known == shares);
        }
        self.turn(Phase::Shares, self.state.adverts.contains_key(&from))?;
        let peers = || shares.packets.iter().map(|packet| packet.peer);
        check::ascending(peers())?;
        if peers().any(|peer| peer == from || !self.state.adverts.contains_key(&peer)) {
            return Err(forbidden("shares are for others in the directory"));
        }
        let degree = self.setup.neighbourhood(self.state.adverts.len());
        let expected = degree.map_or(0, |hood| u64::from(hood.degree));
        length("packets", shares.packets.len(), expected)?;
        self.state.shares.insert(from, shares);
        Ok(())
    }

    /// Adds the values. Of a second message only the signature is compared: the first is in the
    /// sum, and no other will be.
    fn masked(&mut self, from: OwnerId, masked: &Masked) -> Result<(), Refusal> {
        self.check(&masked.session, from, masked.owner)?;
        if let Some(known) = self.state.masked.get(&from) {
            return repeated(*known == masked.signature);
        }
        self.turn(Phase::Masked, self.state.shares.contains_key(&from))?;
        length("bytes of values", masked.values.len(), 4 * u64::from(self.setup.session.values))?;
        check::ascending(masked.unopened.iter().copied())?;
        if !masked.unopened.iter().all(|owner| self.gave(*owner, from)) {
            return Err(forbidden("owners complain about packets that they got"));
        }
        check::signature::<View>(&self.setup, from, &self.view, &masked.signature)?;
        if !masked.unopened.is_empty() {
            self.state.unopened.insert(from, masked.unopened.clone());
        }
        let (words, _) = masked.values.as_chunks::<4>();
        for (sum, word) in self.state.sum.iter_mut().zip(words) {
            *sum = sum.wrapping_add(u32::from_le_bytes(*word));
        }
        self.state.masked.insert(from, masked.signature);
        Ok(())
    }

    /// Whether `holder` has a packet of `owner`.
    fn gave(&self, owner: OwnerId, holder: OwnerId) -> bool {
        let packets = self.state.shares.get(&owner).map(|shares| &shares.packets);
        packets.is_some_and(|packets| {
            packets.binary_search_by_key(&holder, |packet| packet.peer).is_ok()
        })
    }

    fn complains(&self, holder: OwnerId, owner: OwnerId) -> bool {
        self.state.unopened.get(&holder).is_some_and(|owners| check::contains(owners, owner))
    }

    /// Whether enough holders of everybody's shares are left. To find out before anything is
    /// revealed keeps another attempt safe.
    fn check_openable(&self) -> Result<(), SumError> {
        let hood = self.setup.neighbourhood(self.state.adverts.len())?;
        for (&owner, shares) in &self.state.shares {
            let holders = || shares.packets.iter().map(|packet| packet.peer);
            let by: Vec<OwnerId> =
                holders().filter(|holder| self.complains(*holder, owner)).collect();
            if by.len() > usize::from(hood.degree - hood.threshold) {
                return Err(SumError::Unopened { owner, by });
            }
            let left = holders().filter(|holder| self.state.masked.contains_key(holder));
            let have = left.count() - by.len();
            if have < usize::from(hood.threshold) {
                let have = u32::try_from(have).unwrap_or(u32::MAX);
                return Err(SumError::TooFew { have, need: hood.threshold.into() });
            }
        }
        Ok(())
    }

    fn vote(&mut self, from: OwnerId, vote: &Vote) -> Result<(), Refusal> {
        self.check(&vote.session, from, vote.owner)?;
        if let Some(known) = self.state.votes.get(&from) {
            return repeated(*known == vote.signature);
        }
        self.turn(Phase::Votes, self.state.masked.contains_key(&from))?;
        check::signature::<Ballot>(&self.setup, from, &self.ballot, &vote.signature)?;
        self.state.votes.insert(from, vote.signature);
        Ok(())
    }

    fn reveal(&mut self, from: OwnerId, reveal: Reveal) -> Result<(), Refusal> {
        self.check(&reveal.session, from, reveal.owner)?;
        if let Some(known) = self.state.reveals.get(&from) {
            return repeated(*known == reveal.shares);
        }
        self.turn(Phase::Reveals, self.state.votes.contains_key(&from))?;
        let given =
            reveal.shares.iter().map(|(owner, share)| (*owner, matches!(share, Share::Own(_))));
        let due = self.state.shares.keys().copied();
        let due = due.filter(|owner| self.gave(*owner, from) && !self.complains(from, *owner));
        let due = due.map(|owner| (owner, self.state.masked.contains_key(&owner)));
        if !given.eq(due) {
            return Err(forbidden("one share of each owner it holds shares of, of the right kind"));
        }
        self.state.reveals.insert(from, reveal.shares);
        Ok(())
    }

    fn directory(&self) -> Directory {
        let keys = self.state.adverts.values().copied().collect();
        Directory { session: self.setup.session.manifest, keys }
    }

    fn proposal(&self) -> Proposal {
        let survivors = self.state.masked.keys().copied().collect();
        Proposal { session: self.setup.session.manifest, survivors }
    }

    fn certificate(&self) -> Certificate {
        let votes: Vec<_> = self.state.votes.iter().map(|(id, vote)| (*id, *vote)).collect();
        let silent = self.state.masked.iter().filter(|(id, _)| !self.state.votes.contains_key(id));
        let views = silent.map(|(id, signature)| (*id, *signature)).collect();
        Certificate { session: self.setup.session.manifest, votes, views }
    }

    /// Packets by the owner they are for.
    fn deliveries(&self) -> BTreeMap<OwnerId, Delivery> {
        let session = self.setup.session.manifest;
        let sharers: Vec<OwnerId> = self.state.shares.keys().copied().collect();
        let empty = |id: &OwnerId| {
            (*id, Delivery { session, sharers: sharers.clone(), packets: Vec::new() })
        };
        let mut deliveries: BTreeMap<OwnerId, Delivery> = sharers.iter().map(empty).collect();
        for (from, shares) in &self.state.shares {
            for packet in &shares.packets {
                if let Some(delivery) = deliveries.get_mut(&packet.peer) {
                    delivery.packets.push(Packet { peer: *from, sealed: packet.sealed });
                }
            }
        }
        deliveries
    }

    /// The messages that begin the phase, for those who are waited for in it.
    fn messages(&self) -> Result<Vec<Outgoing>, Refusal> {
        let to_all = |message: Vec<u8>| {
            let message: Arc<[u8]> = message.into();
            let send = |to| Outgoing { to, message: Arc::clone(&message) };
            self.waiting().into_iter().map(send).collect()
        };
        match self.state.phase {
            Phase::Adverts | Phase::Done => Ok(Vec::new()),
            Phase::Shares => encoded(&self.directory()).map(to_all),
            Phase::Votes => encoded(&self.proposal()).map(to_all),
            Phase::Reveals => encoded(&self.certificate()).map(to_all),
            Phase::Masked => {
                let waiting = self.waiting();
                let mut deliveries = self.deliveries();
                deliveries.retain(|id, _| waiting.contains(&Peer::Owner(*id)));
                let message = |(id, delivery): (OwnerId, Delivery)| {
                    Ok(Outgoing { to: Peer::Owner(id), message: encoded(&delivery)?.into() })
                };
                deliveries.into_iter().map(message).collect()
            }
        }
    }

    fn proceed(&mut self, phase: Phase, have: usize, need: u32) -> Result<Progress, SumError> {
        if have < need as usize {
            return Err(SumError::TooFew { have: u32::try_from(have).unwrap_or(need), need });
        }
        if phase == Phase::Shares {
            self.setup.neighbourhood(self.state.adverts.len())?;
        }
        self.state.phase = phase;
        self.freeze();
        Ok(Progress::Continue(self.repeat()))
    }

    #[cfg(test)]
    fn decodes(&self) -> bool {
        self.weakness != Some(check::Weakness::Decoding)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests ask the collector")]
    const fn decodes(&self) -> bool {
        true
    }

    fn open(&mut self) -> Result<Progress, SumError> {
        let secrets = unmask::Secrets::recover(
            &self.setup,
            &self.state.adverts,
            &self.state.shares,
            &self.state.masked,
            &self.state.reveals,
            self.decodes(),
        )?;
        let masks = secrets.masks(&self.setup, &self.state.adverts, &self.state.shares)?;
        let sum = unmask::remove(&masks, &self.state.sum);
        self.state.phase = Phase::Done;
        let late = |id: &OwnerId| (*id, forbidden("owners answer every phase before it ends"));
        let gone = self.state.adverts.keys().filter(|id| !self.state.masked.contains_key(id));
        Ok(Progress::Done(Opened {
            survivors: self.state.masked.keys().copied().collect(),
            sum,
            dropped: gone.map(late).collect(),
            false_shares: secrets.liars(self.setup.terms.corrupt(self.setup.owners())),
            ..Opened::default()
        }))
    }
}

fn repeated(same: bool) -> Result<(), Refusal> {
    if same { Ok(()) } else { Err(Refusal::Contradiction) }
}

fn length(what: &str, got: usize, expected: u64) -> Result<(), Refusal> {
    let got = got as u64;
    if got != expected {
        return Err(Refusal::Length { what: what.to_owned(), got, expected });
    }
    Ok(())
}

impl aggregation::Collector for Collector {
    fn receive(&mut self, from: Peer, bytes: &[u8]) -> Result<Vec<Outgoing>, Refusal> {
        let Peer::Owner(from) = from else { return Err(Refusal::Stranger) };
        if self.setup.key(from).is_none() {
            return Err(Refusal::Stranger);
        }
        let tag = peek_tag(bytes);
        let is = |domain| tag == Some(tag_of(domain));
        if is(Masked::DOMAIN) {
            self.masked(from, &decoded(bytes)?)?;
        } else if is(Advert::DOMAIN) {
            self.advert(from, &decoded(bytes)?)?;
        } else if is(Shares::DOMAIN) {
            self.shares(from, decoded(bytes)?)?;
        } else if is(Vote::DOMAIN) {
            self.vote(from, &decoded(bytes)?)?;
        } else if is(Reveal::DOMAIN) {
            self.reveal(from, decoded(bytes)?)?;
        } else {
            return Err(Refusal::Malformed { problem: "no message of an owner".to_owned() });
        }
        Ok(Vec::new())
    }

    fn waiting(&self) -> Vec<Peer> {
        let State { adverts, shares, masked, votes, reveals, .. } = &self.state;
        match self.state.phase {
            Phase::Adverts => missing(self.setup.session.owners.keys(), adverts),
            Phase::Shares => missing(adverts.keys(), shares),
            Phase::Masked => missing(shares.keys(), masked),
            Phase::Votes => missing(masked.keys(), votes),
            Phase::Reveals => missing(votes.keys(), reveals),
            Phase::Done => Vec::new(),
        }
    }

    fn repeat(&self) -> Vec<Outgoing> {
        self.messages().unwrap_or_default()
    }

    fn contributions(&self) -> u32 {
        u32::try_from(self.state.masked.len()).unwrap_or(u32::MAX)
    }

    fn close(&mut self) -> Result<Progress, SumError> {
        let (need, later) = (self.setup.need(), self.setup.need_of(self.state.adverts.len()));
        let quorum = self.setup.terms.quorum(self.setup.owners());
        match self.state.phase {
            Phase::Adverts => self.proceed(Phase::Shares, self.state.adverts.len(), need),
            Phase::Shares => self.proceed(Phase::Masked, self.state.shares.len(), later),
            Phase::Masked => {
                if self.state.masked.len() >= later as usize {
                    self.check_openable()?;
                }
                self.proceed(Phase::Votes, self.state.masked.len(), later)
            }
            Phase::Votes => self.proceed(Phase::Reveals, self.state.votes.len(), quorum),
            Phase::Reveals => self.open(),
            Phase::Done => Err(SumError::OutOfTurn),
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        // The limit is that of the messages it is made of.
        self.state.encode().unwrap_or_default()
    }

    fn held_bytes(&self) -> usize {
        size_of_val(self.state.sum.as_slice())
    }
}

fn missing<'a, V>(
    asked: impl Iterator<Item = &'a OwnerId>,
    answered: &BTreeMap<OwnerId, V>,
) -> Vec<Peer> {
    asked.filter(|id| !answered.contains_key(id)).map(|id| Peer::Owner(*id)).collect()
}
