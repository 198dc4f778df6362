//! An owner: five messages, each at most once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use curve25519_dalek::RistrettoPoint;
use nexus_field::mask::{self, MaskKey, Sign};
use nexus_types::{Canonical, CryptoRng, Digest, OwnerId, borsh, limits, peek_tag, tag_of};
use zeroize::Zeroizing;

use super::check::{self, contains, decoded, encoded, forbidden, malformed};
use super::message::{
    Advert, Ballot, Certificate, Delivery, Directory, Masked, Packet, Proposal, Reveal, Share,
    Shares, Signed, Statement, View, Vote,
};
use super::secret::{Held, Keys, Point, Secret, Values, Way, commitment, own_mask};
use super::terms::{Neighbourhood, Setup, Terms};
use crate::aggregation::{Contributor, Peer, Refusal, Session, SumError};
use crate::identity::Identity;
use crate::sharing::Polynomial;

/// An owner of one sum.
#[derive(Clone)]
pub struct Owner {
    setup: Setup,
    id: OwnerId,
    identity: Arc<Identity>,
    state: State,
    #[cfg(test)]
    pub(super) weakness: Option<super::check::Weakness>,
}

/// What an owner remembers.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
struct State {
    manifest: Digest,
    phase: Phase,
    /// The values, modulo 2^32, until they are masked.
    values: Values,
    /// Digest of the message that was answered last.
    answered: Option<Digest>,
    /// That answer, or the first message.
    sent: Option<Vec<u8>>,
}

/// What the last message sent was, and what its answers will need.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
enum Phase {
    Fresh,
    Advertised(Keys),
    Shared(Shared),
    Masked(Holding),
    Voted(Holding, Ballot),
    Revealed,
}

#[derive(Clone, BorshSerialize, BorshDeserialize)]
struct Shared {
    keys: Keys,
    /// Of its own mask.
    seed: Secret,
    directory: Directory,
    neighbours: Vec<OwnerId>,
}

#[derive(Clone, BorshSerialize, BorshDeserialize)]
struct Holding {
    /// How many owners advertised keys.
    advertised: u32,
    view: View,
    held: Vec<Held>,
}

impl Canonical for State {
    const DOMAIN: &'static str = "nexus/mpc/secagg-plus/owner";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = limits::MAX_MESSAGE_BYTES;
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The next phase, and the message that begins it.
type Step = (Phase, Vec<u8>);

impl Owner {
    /// The part of owner `id` in a sum.
    ///
    /// # Errors
    /// [`SumError::Setting`] if the terms do not fit the session, [`SumError::Key`] if `identity`
    /// is not the owner's.
    pub fn new(
        session: Session,
        terms: Terms,
        id: OwnerId,
        identity: Arc<Identity>,
    ) -> Result<Self, SumError> {
        let setup = Setup::new(session, terms)?;
        if setup.key(id) != Some(&identity.public()) {
            return Err(SumError::Key { peer: Peer::Owner(id) });
        }
        let state = State {
            manifest: setup.session.manifest,
            phase: Phase::Fresh,
            values: Values::default(),
            answered: None,
            sent: None,
        };
        Ok(Self {
            setup,
            id,
            identity,
            state,
            #[cfg(test)]
            weakness: None,
        })
    }

    /// Whether this owner has answered with shares of others' secrets.
    pub const fn has_revealed(&self) -> bool {
        matches!(self.state.phase, Phase::Revealed)
    }

    /// The owner as [`Contributor::snapshot`] left it.
    ///
    /// # Errors
    /// As [`Owner::new`], and [`SumError::Snapshot`].
    pub fn restore(
        session: Session,
        terms: Terms,
        id: OwnerId,
        identity: Arc<Identity>,
        snapshot: &[u8],
    ) -> Result<Self, SumError> {
        let mut owner = Self::new(session, terms, id, identity)?;
        let state = State::decode(snapshot).map_err(|error| check::snapshot(&error.to_string()))?;
        if state.manifest != owner.setup.session.manifest {
            return Err(check::snapshot("it is of another sum"));
        }
        owner.state = state;
        Ok(owner)
    }

    fn way(&self, from: OwnerId, to: OwnerId) -> Way<'_> {
        Way { session: &self.setup.session.manifest, from, to }
    }

    fn residues(&self, values: &[i64]) -> Result<Values, SumError> {
        let (got, expected) = (values.len() as u64, u64::from(self.setup.session.values));
        if got != expected {
            return Err(SumError::Length { got, expected });
        }
        let limit = self.setup.limit();
        let large = (0..).zip(values).find(|(_, v)| v.unsigned_abs() > limit.unsigned_abs());
        if let Some((index, &got)) = large {
            return Err(SumError::Value { index, got, limit });
        }
        #[expect(clippy::cast_possible_truncation, reason = "modulo 2^32")]
        #[expect(clippy::cast_sign_loss, reason = "modulo 2^32")]
        Ok(Values(values.iter().map(|value| *value as u32).collect()))
    }

    /// Draws neighbours among the owners of the directory and shares the secrets with them.
    fn share(
        &self,
        rng: &mut dyn CryptoRng,
        keys: &Keys,
        directory: Directory,
    ) -> Result<Step, Refusal> {
        let hood = self.check_directory(keys, &directory)?;
        let neighbours = self.draw(rng, &directory, hood.degree);
        self.check_signatures(&directory, &neighbours)?;
        let common = Self::meet(&keys.seal, &directory, &neighbours, |signed| signed.seal)?;
        let seed = Secret::random(rng);
        let [own, key] = [&seed, &keys.mask]
            .map(|secret| Polynomial::random(rng, secret.0, hood.threshold).shares(hood.degree));
        let packets = neighbours.iter().zip(&common).zip(own.iter().zip(&key)).filter_map(
            |((&peer, common), (own, key))| {
                let sealed = self.way(self.id, peer).seal(common, &own.value, &key.value)?;
                Some(Packet { peer, sealed })
            },
        );
        let session = self.setup.session.manifest;
        let shares = Shares {
            session,
            owner: self.id,
            commitment: commitment(&session, self.id, &seed),
            packets: packets.collect(),
        };
        let shared = Shared { keys: keys.clone(), seed, directory, neighbours };
        Ok((Phase::Shared(shared), encoded(&shares)?))
    }

    fn check_directory(
        &self,
        keys: &Keys,
        directory: &Directory,
    ) -> Result<Neighbourhood, Refusal> {
        check::session(&directory.session, &self.setup)?;
        check::ascending(directory.keys.iter().map(|signed| signed.owner))?;
        if directory.keys.iter().any(|signed| self.setup.key(signed.owner).is_none()) {
            return Err(forbidden("only owners of the session take part"));
        }
        let listed = find(directory, self.id).map(|signed| [signed.seal, signed.mask]);
        if listed != Some([keys.seal.public(), keys.mask.public()]) {
            return Err(forbidden("every owner is listed with its own keys"));
        }
        check::enough(directory.keys.len(), self.setup.need())?;
        let hood = self.setup.neighbourhood(directory.keys.len());
        hood.map_err(|error| Refusal::Forbidden { rule: error.to_string() })
    }

    /// `degree` different others, by this owner's own randomness: nobody can steer the draw, for
    /// it comes after all keys were fixed.
    fn draw(&self, rng: &mut dyn CryptoRng, directory: &Directory, degree: u16) -> Vec<OwnerId> {
        let ids = directory.keys.iter().map(|signed| signed.owner);
        let mut others: Vec<OwnerId> = ids.filter(|id| *id != self.id).collect();
        let degree = usize::from(degree).min(others.len());
        for place in 0..degree {
            let chosen = place + below(rng, others.len() - place);
            others.swap(place, chosen);
        }
        others.truncate(degree);
        others.sort_unstable();
        others
    }

    /// What the owner has in common with each of `others`, whose keys are checked.
    fn meet(
        secret: &Secret,
        directory: &Directory,
        others: &[OwnerId],
        point: impl Fn(&Signed) -> Point,
    ) -> Result<Vec<Zeroizing<[u8; 32]>>, Refusal> {
        let element = |other: &OwnerId| -> Result<RistrettoPoint, Refusal> {
            let signed = find(directory, *other)
                .ok_or_else(|| forbidden("packets come from owners of the directory"))?;
            point(signed).element().ok_or_else(|| forbidden("keys are points of the group"))
        };
        let elements: Vec<RistrettoPoint> = others.iter().map(element).collect::<Result<_, _>>()?;
        Ok(secret.meet(&elements))
    }

    fn check_signatures(&self, directory: &Directory, of: &[OwnerId]) -> Result<(), Refusal> {
        for signed in of.iter().filter_map(|other| find(directory, *other)) {
            let key = self.setup.key(signed.owner).ok_or(Refusal::Stranger)?;
            let session = &self.setup.session.manifest;
            signed.verify(session, key).map_err(|_| Refusal::Signature)?;
        }
        Ok(())
    }

    /// Opens the packets for this owner and masks the values.
    fn mask(&self, shared: &Shared, delivery: Delivery) -> Result<Step, Refusal> {
        let partners = self.check_delivery(shared, &delivery)?;
        let (held, unopened) = self.open(shared, &delivery)?;
        let masks = self.masks(shared, &partners)?;
        let mut values = self.state.values.clone();
        mask::apply(&masks, &mut values.0);
        let directory = shared.directory.digest().map_err(|error| malformed(&error))?;
        let session = self.setup.session.manifest;
        let view = View { session, directory, sharers: delivery.sharers };
        let masked = Masked {
            session,
            owner: self.id,
            signature: view.sign(&self.identity).map_err(|error| malformed(&error))?,
            values: values.bytes(),
            unopened,
        };
        let advertised = u32::try_from(shared.directory.keys.len()).unwrap_or(u32::MAX);
        Ok((Phase::Masked(Holding { advertised, view, held }), encoded(&masked)?))
    }

    /// Those with whom this owner has a mask in common: neighbours it drew, and those that drew
    /// it.
    fn check_delivery(
        &self,
        shared: &Shared,
        delivery: &Delivery,
    ) -> Result<Vec<OwnerId>, Refusal> {
        check::session(&delivery.session, &self.setup)?;
        check::ascending(delivery.sharers.iter().copied())?;
        check::ascending(delivery.packets.iter().map(|packet| packet.peer))?;
        let need = self.fewest(shared.directory.keys.len());
        check::enough(delivery.sharers.len(), need)?;
        let known = |owner: &OwnerId| find(&shared.directory, *owner).is_some();
        if !delivery.sharers.iter().all(known) || !contains(&delivery.sharers, self.id) {
            return Err(forbidden("owners of the directory share, this one among them"));
        }
        let sender =
            |packet: &Packet| packet.peer != self.id && contains(&delivery.sharers, packet.peer);
        if !delivery.packets.iter().all(sender) {
            return Err(forbidden("packets come from others that shared"));
        }
        let drawn = shared.neighbours.iter().filter(|other| contains(&delivery.sharers, **other));
        let mut partners: Vec<OwnerId> = drawn.copied().collect();
        let threshold = self.setup.neighbourhood(shared.directory.keys.len());
        let threshold = threshold.map_or(usize::MAX, |hood| usize::from(hood.threshold));
        if partners.len() < threshold {
            return Err(forbidden("enough neighbours shared to open an owner's secrets"));
        }
        partners.extend(delivery.packets.iter().map(|packet| packet.peer));
        partners.sort_unstable();
        partners.dedup();
        Ok(partners)
    }

    /// The shares in the packets, and whose packets do not open. Whoever sent one is a partner
    /// all the same: it may be the coordinator that damaged it. A share that nobody holds is one
    /// that nobody reveals, so nothing is opened that would not be if the holder were silent.
    fn open(
        &self,
        shared: &Shared,
        delivery: &Delivery,
    ) -> Result<(Vec<Held>, Vec<OwnerId>), Refusal> {
        let senders: Vec<OwnerId> = delivery.packets.iter().map(|packet| packet.peer).collect();
        let common =
            Self::meet(&shared.keys.seal, &shared.directory, &senders, |signed| signed.seal)?;
        let new: Vec<OwnerId> =
            senders.iter().copied().filter(|id| !contains(&shared.neighbours, *id)).collect();
        self.check_signatures(&shared.directory, &new)?;
        let (mut opened, mut unopened) = (Vec::new(), Vec::new());
        for (packet, common) in delivery.packets.iter().zip(&common) {
            match self.way(packet.peer, self.id).open(common, &packet.sealed) {
                Some(held) => opened.push(held),
                None if self.minds(check::Weakness::Unopened) => unopened.push(packet.peer),
                None => return Err(forbidden("packets open")),
            }
        }
        Ok((opened, unopened))
    }

    fn masks(
        &self,
        shared: &Shared,
        partners: &[OwnerId],
    ) -> Result<Vec<(MaskKey, Sign)>, Refusal> {
        let common =
            Self::meet(&shared.keys.mask, &shared.directory, partners, |signed| signed.mask)?;
        let pairs = partners.iter().zip(&common);
        let mut masks: Vec<(MaskKey, Sign)> =
            pairs.map(|(other, common)| self.way(self.id, *other).mask(common)).collect();
        let own = own_mask(&self.setup.session.manifest, self.id, &shared.seed);
        masks.push((own, Sign::Plus));
        Ok(masks)
    }

    /// Fewest of `advertised` owners that may be left.
    fn fewest(&self, advertised: usize) -> u32 {
        if self.minds(check::Weakness::Views) {
            self.setup.need_of(advertised)
        } else {
            self.setup.need()
        }
    }

    /// Votes for a set of survivors, the first that it is asked about.
    fn vote(&self, holding: &Holding, proposal: Proposal) -> Result<Step, Refusal> {
        check::session(&proposal.session, &self.setup)?;
        check::ascending(proposal.survivors.iter().copied())?;
        let advertised = usize::try_from(holding.advertised).unwrap_or(usize::MAX);
        check::enough(proposal.survivors.len(), self.fewest(advertised))?;
        let shared = |owner: &OwnerId| contains(&holding.view.sharers, *owner);
        if !proposal.survivors.iter().all(shared) || !contains(&proposal.survivors, self.id) {
            return Err(forbidden("survivors have shared, and whoever votes is one"));
        }
        let view = holding.view.digest().map_err(|error| malformed(&error))?;
        let session = self.setup.session.manifest;
        let ballot = Ballot { session, view, survivors: proposal.survivors };
        let signature = ballot.sign(&self.identity).map_err(|error| malformed(&error))?;
        let vote = Vote { session, owner: self.id, signature };
        Ok((Phase::Voted(holding.clone(), ballot), encoded(&vote)?))
    }

    /// Reveals one share of each owner it holds shares of, once the set it voted for is the only
    /// one there can be.
    fn reveal(
        &self,
        holding: &Holding,
        ballot: &Ballot,
        certificate: &Certificate,
    ) -> Result<Step, Refusal> {
        self.check_certificate(holding, ballot, certificate)?;
        let share = |held: &Held| {
            let share = if contains(&ballot.survivors, held.of) {
                Share::Own(held.own.clone())
            } else {
                Share::Key(held.key.clone())
            };
            (held.of, share)
        };
        let shares = holding.held.iter().map(share).collect();
        let reveal = Reveal { session: self.setup.session.manifest, owner: self.id, shares };
        Ok((Phase::Revealed, encoded(&reveal)?))
    }

    /// A quorum voted as this owner did, and every survivor whose secrets it holds masked under
    /// the view it had itself: its vote says so, or a signature on the view.
    fn check_certificate(
        &self,
        holding: &Holding,
        ballot: &Ballot,
        certificate: &Certificate,
    ) -> Result<(), Refusal> {
        check::session(&certificate.session, &self.setup)?;
        check::ascending(certificate.votes.iter().map(|vote| vote.0))?;
        let votes: BTreeMap<_, _> = certificate.votes.iter().copied().collect();
        let views: BTreeMap<_, _> = certificate.views.iter().copied().collect();
        if !votes.keys().all(|voter| contains(&ballot.survivors, *voter)) {
            return Err(forbidden("survivors vote"));
        }
        let set = ballot.digest().map_err(|error| malformed(&error))?;
        let survivors = |held: &&Held| contains(&ballot.survivors, held.of);
        let mut seen: Vec<OwnerId> = Vec::new();
        for held in holding.held.iter().filter(survivors) {
            if let Some(vote) = votes.get(&held.of) {
                check::signature::<Ballot>(&self.setup, held.of, &set, vote)?;
                seen.push(held.of);
            } else if self.minds(check::Weakness::Views) {
                let signature = views.get(&held.of);
                let rule = || forbidden("every survivor signed the view it masked under");
                let signature = signature.ok_or_else(rule)?;
                check::signature::<View>(&self.setup, held.of, &ballot.view, signature)?;
            }
        }
        let quorum = self.quorum();
        let rest = votes.iter().filter(|(voter, _)| !contains(&seen, **voter));
        for (voter, vote) in rest.take(quorum.saturating_sub(seen.len())) {
            check::signature::<Ballot>(&self.setup, *voter, &set, vote)?;
        }
        check::enough(votes.len(), u32::try_from(quorum).unwrap_or(u32::MAX))
    }

    fn quorum(&self) -> usize {
        let quorum = self.setup.terms.quorum(self.setup.owners()) as usize;
        if self.minds(check::Weakness::Quorum) { quorum } else { 0 }
    }

    #[cfg(test)]
    fn minds(&self, weakness: check::Weakness) -> bool {
        self.weakness != Some(weakness)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests ask the owner")]
    const fn minds(&self, _: check::Weakness) -> bool {
        true
    }

    fn step(&self, rng: &mut dyn CryptoRng, bytes: &[u8]) -> Result<Step, Refusal> {
        let tag = peek_tag(bytes);
        let is = |domain| tag == Some(tag_of(domain));
        match &self.state.phase {
            Phase::Advertised(keys) if is(Directory::DOMAIN) => {
                self.share(rng, keys, decoded(bytes)?)
            }
            Phase::Shared(shared) if is(Delivery::DOMAIN) => self.mask(shared, decoded(bytes)?),
            Phase::Masked(holding) if is(Proposal::DOMAIN) => self.vote(holding, decoded(bytes)?),
            Phase::Voted(holding, ballot) if is(Certificate::DOMAIN) => {
                self.reveal(holding, ballot, &decoded(bytes)?)
            }
            Phase::Fresh
            | Phase::Advertised(_)
            | Phase::Shared(_)
            | Phase::Masked(_)
            | Phase::Voted(..)
            | Phase::Revealed => Err(unexpected(bytes)),
        }
    }
}

/// The keys of `owner`, in a directory in order.
fn find(directory: &Directory, owner: OwnerId) -> Option<&Signed> {
    let place = directory.keys.binary_search_by_key(&owner, |signed| signed.owner).ok()?;
    directory.keys.get(place)
}

/// A uniform number below `bound`, by rejection.
fn below(rng: &mut dyn CryptoRng, bound: usize) -> usize {
    let bound = bound.max(1) as u64;
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let word = rng.next_u64();
        if word < fair {
            return usize::try_from(word % bound).unwrap_or_default();
        }
    }
}

/// Why a message is not what the phase calls for: it is of another, or of nobody's.
fn unexpected(bytes: &[u8]) -> Refusal {
    let domains =
        [Directory::DOMAIN, Delivery::DOMAIN, Proposal::DOMAIN, Certificate::DOMAIN].map(tag_of);
    if peek_tag(bytes).is_some_and(|tag| domains.contains(&tag)) {
        return Refusal::OutOfTurn;
    }
    Refusal::Malformed { problem: "no message of the coordinator".to_owned() }
}

impl Contributor for Owner {
    fn contribute(
        &mut self,
        rng: &mut dyn CryptoRng,
        values: &[i64],
    ) -> Result<Arc<[u8]>, SumError> {
        if !matches!(self.state.phase, Phase::Fresh) {
            return Err(SumError::Spent);
        }
        let values = self.residues(values)?;
        let keys = Keys { seal: Secret::random(rng), mask: Secret::random(rng) };
        let session = self.setup.session.manifest;
        let points = [keys.seal.public(), keys.mask.public()];
        let advert =
            Advert { session, keys: Signed::new(&session, self.id, points, &self.identity) };
        let message = encoded(&advert).map_err(|_| SumError::OutOfTurn)?;
        self.state.phase = Phase::Advertised(keys);
        self.state.values = values;
        self.state.sent = Some(message.clone());
        Ok(message.into())
    }

    fn receive(
        &mut self,
        rng: &mut dyn CryptoRng,
        bytes: &[u8],
    ) -> Result<Option<Arc<[u8]>>, Refusal> {
        let digest = Digest::of("nexus/mpc/secagg-plus answered v1", bytes);
        if self.state.answered == Some(digest) {
            return Ok(self.sent());
        }
        let (phase, answer) = self.step(rng, bytes)?;
        if matches!(phase, Phase::Masked(_)) {
            self.state.values = Values::default();
        }
        self.state.phase = phase;
        self.state.answered = Some(digest);
        self.state.sent = Some(answer.clone());
        Ok(Some(answer.into()))
    }

    fn sent(&self) -> Option<Arc<[u8]>> {
        self.state.sent.as_deref().map(Arc::from)
    }

    fn snapshot(&self) -> Vec<u8> {
        // The limit is that of the messages it is made of.
        self.state.encode().unwrap_or_default()
    }
}
