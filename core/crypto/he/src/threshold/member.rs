//! A member of a shared key, as a state machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexus_field::rns::Modulus;
use nexus_types::borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, CryptoRng, Digest, MemberId};
use zeroize::{Zeroize, Zeroizing};

use super::message::{Packet, Partial, Post, Word};
use super::share::{flood, share};
use super::{Group, ThresholdError};
use crate::additive::{PublicKey, Sum};

/// Openings that may be prepared at a time.
pub const MAX_OPENINGS: usize = 16;

/// What happens to a member.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "packets are secret")]
pub enum Event<'a> {
    /// A member published this, over an authenticated channel.
    Published {
        /// Who.
        from: MemberId,
        /// What.
        bytes: &'a [u8],
    },
    /// A member sent this, over an authenticated and secret channel.
    Received {
        /// Who.
        from: MemberId,
        /// What.
        bytes: &'a [u8],
    },
    /// The log says: all members make noise for this opening.
    Prepare {
        /// Its number.
        opening: u64,
    },
    /// The log says: this opening is for this sum.
    Open {
        /// Its number.
        opening: u64,
        /// The sum.
        sum: &'a Sum,
    },
}

/// What a member wants done, in this order.
#[expect(missing_debug_implementations, reason = "packets are secret")]
pub enum Effect {
    /// Everyone is shown this.
    Publish(Vec<u8>),
    /// This goes to one member, over an authenticated and secret channel.
    Send {
        /// To whom.
        to: MemberId,
        /// What.
        bytes: Zeroizing<Vec<u8>>,
    },
    /// The key is there.
    Ready,
    /// The noise of an opening is there.
    Prepared {
        /// Its number.
        opening: u64,
    },
    /// [`Member::state`] must be on disk, in place of every older one, before the next effect.
    Persist,
    /// A share of a sum, for whoever combines.
    Release(Partial),
}

/// Where an opening is.
enum Opening {
    /// Parts of its noise have come from these; `begun` once the own part is among them.
    Gathering { share: Zeroizing<Vec<u64>>, heard: BTreeSet<MemberId>, begun: bool },
    /// All of its noise is there.
    Ready { share: Zeroizing<Vec<u64>> },
    /// Its noise is gone.
    Spent { ciphertext: Digest },
}

/// A member of a shared key.
#[expect(missing_debug_implementations, reason = "it must not be printed")]
pub struct Member {
    group: Arc<Group>,
    id: MemberId,
    stage: Stage,
    /// The sum of the shares that have come.
    share: Zeroizing<Vec<u64>>,
    openings: BTreeMap<u64, Opening>,
    /// Noise is used again: the twin that the attack in the tests succeeds against.
    #[cfg(test)]
    pub(super) weak: bool,
}

enum Stage {
    Generating(Box<Generation>),
    Holding(Box<PublicKey>),
}

/// The key while it is made.
struct Generation {
    secret: Option<Zeroizing<Vec<u64>>>,
    half: Vec<u64>,
    salt: [u8; 32],
    commitments: BTreeMap<MemberId, Digest>,
    halves: BTreeMap<MemberId, Vec<u64>>,
    shares: BTreeSet<MemberId>,
}

fn commitment(group: &Group, member: MemberId, salt: &[u8; 32], half: &[u8]) -> Digest {
    let bytes = [&group.digest().0[..], &member.0.to_le_bytes(), salt, half].concat();
    Digest::of("nexus/he/threshold/commitment v1", &bytes)
}

impl Member {
    /// A member that begins to make a key, and what it says first.
    ///
    /// # Errors
    /// [`ThresholdError::Stranger`].
    pub fn new(
        group: &Arc<Group>,
        id: MemberId,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<Effect>), ThresholdError> {
        group.knows(id)?;
        let (secret, half) = group.ring().half(group.a(), rng);
        let mut salt = [0; 32];
        rng.fill_bytes(&mut salt);
        let own = commitment(group, id, &salt, &group.ring().packed(&half));
        let generation = Generation {
            secret: Some(secret),
            half,
            salt,
            commitments: BTreeMap::from([(id, own)]),
            halves: BTreeMap::new(),
            shares: BTreeSet::new(),
        };
        let member = Self {
            group: Arc::clone(group),
            id,
            stage: Stage::Generating(Box::new(generation)),
            share: Zeroizing::new(vec![0; group.ring().layout().words()]),
            openings: BTreeMap::new(),
            #[cfg(test)]
            weak: false,
        };
        let first = member.publish(Word::Commitment(own))?;
        Ok((member, vec![first]))
    }

    /// Who it is.
    pub const fn id(&self) -> MemberId {
        self.id
    }

    /// The key, once it is made.
    pub fn public(&self) -> Option<&PublicKey> {
        match &self.stage {
            Stage::Holding(public) => Some(public),
            Stage::Generating(_) => None,
        }
    }

    /// One step. After an error the member is as it was.
    ///
    /// # Errors
    /// [`ThresholdError`].
    pub fn step(
        &mut self,
        event: Event<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Effect>, ThresholdError> {
        match event {
            Event::Published { from, bytes } => self.published(from, bytes, rng),
            Event::Received { from, bytes } => self.received(from, bytes),
            Event::Prepare { opening } => self.prepare(opening, rng),
            Event::Open { opening, sum } => self.open(opening, sum),
        }
    }

    fn publish(&self, word: Word) -> Result<Effect, ThresholdError> {
        let post = Post { key: self.group.digest(), word };
        Ok(Effect::Publish(post.encode()?))
    }

    fn generation(&mut self) -> Option<&mut Generation> {
        match &mut self.stage {
            Stage::Generating(generation) => Some(generation),
            Stage::Holding(_) => None,
        }
    }

    fn published(
        &mut self,
        from: MemberId,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Effect>, ThresholdError> {
        let group = Arc::clone(&self.group);
        group.knows(from)?;
        let Post { key, word } = Post::decode(bytes)?;
        if key != group.digest() {
            return Err(ThresholdError::OtherTerms);
        }
        let members = usize::from(group.terms().members());
        match word {
            Word::Commitment(digest) => {
                let again = ThresholdError::Again { member: from, what: "commitment" };
                let generation = self.generation().ok_or_else(|| again.clone())?;
                if generation.commitments.contains_key(&from) {
                    return Err(again);
                }
                generation.commitments.insert(from, digest);
                if generation.commitments.len() < members { Ok(vec![]) } else { self.show(rng) }
            }
            Word::Half { salt, packed } => {
                let what = "part of the key";
                let again = ThresholdError::Again { member: from, what };
                let generation = self.generation().ok_or_else(|| again.clone())?;
                if generation.halves.contains_key(&from) {
                    return Err(again);
                }
                if generation.commitments.len() < members {
                    return Err(ThresholdError::Early { member: from, what });
                }
                let half = group.ring().unpacked("a part of a key", &packed, 1)?;
                let shown = commitment(&group, from, &salt, &packed);
                if generation.commitments.get(&from) != Some(&shown) {
                    return Err(ThresholdError::Commitment { member: from });
                }
                generation.halves.insert(from, half);
                Ok(self.finished())
            }
        }
    }

    /// Shows the own part of the key, and shares the secret.
    fn show(&mut self, rng: &mut dyn CryptoRng) -> Result<Vec<Effect>, ThresholdError> {
        let (group, id) = (Arc::clone(&self.group), self.id);
        let Some(generation) = self.generation() else { return Ok(vec![]) };
        let Some(secret) = generation.secret.take() else { return Ok(vec![]) };
        let (salt, half) = (generation.salt, generation.half.clone());
        let packed = group.ring().packed(&half);
        generation.halves.insert(id, half);
        generation.shares.insert(id);
        let mut effects = vec![self.publish(Word::Half { salt, packed })?];
        let (sends, own) = self.deal(&secret, None, rng)?;
        effects.extend(sends);
        add(&group, &mut self.share, &own);
        effects.extend(self.finished());
        Ok(effects)
    }

    /// Shares polynomials: what goes to others, and the own share.
    fn deal(
        &self,
        secret: &[u64],
        opening: Option<u64>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<Effect>, Zeroizing<Vec<u64>>), ThresholdError> {
        let (group, ring) = (&self.group, self.group.ring());
        let members = (group.terms().members(), group.terms().threshold());
        let (mut sends, mut own) = (Vec::new(), Zeroizing::default());
        let shares = share(ring, secret, members, rng);
        for (to, share) in MemberId::all(members.0).zip(shares) {
            if to == self.id {
                own = share;
                continue;
            }
            let packed = share.chunks(ring.layout().words()).flat_map(|words| ring.packed(words));
            let packet = Packet { key: group.digest(), to, opening, packed: packed.collect() };
            sends.push(Effect::Send { to, bytes: Zeroizing::new(packet.encode()?) });
        }
        Ok((sends, own))
    }

    fn received(&mut self, from: MemberId, bytes: &[u8]) -> Result<Vec<Effect>, ThresholdError> {
        let group = Arc::clone(&self.group);
        group.knows(from)?;
        let packet = Packet::decode(bytes)?;
        if packet.key != group.digest() || packet.to != self.id {
            return Err(ThresholdError::OtherTerms);
        }
        if let Some(opening) = packet.opening {
            let words = unpacked(&group, &packet, group.ring().layout().blocks())?;
            return self.noise(opening, from, &words, false);
        }
        let again = ThresholdError::Again { member: from, what: "share of the key" };
        let generation = self.generation().ok_or_else(|| again.clone())?;
        if generation.shares.contains(&from) {
            return Err(again);
        }
        let words = unpacked(&group, &packet, 1)?;
        generation.shares.insert(from);
        add(&group, &mut self.share, &words);
        Ok(self.finished())
    }

    /// The key is made once every part and every share is there.
    fn finished(&mut self) -> Vec<Effect> {
        let group = Arc::clone(&self.group);
        let members = usize::from(group.terms().members());
        let Stage::Generating(generation) = &mut self.stage else { return vec![] };
        if generation.halves.len() < members || generation.shares.len() < members {
            return vec![];
        }
        let mut b = vec![0; group.ring().layout().words()];
        for half in generation.halves.values() {
            group.ring().base().each(&mut b, half, Modulus::add_assign);
        }
        self.stage = Stage::Holding(Box::new(group.key(b)));
        vec![Effect::Persist, Effect::Ready]
    }

    fn prepare(
        &mut self,
        opening: u64,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Effect>, ThresholdError> {
        if self.public().is_none() {
            return Err(ThresholdError::NoKey);
        }
        self.can_gather(opening, self.id)?;
        let (blocks, bits) = (self.group.ring().layout().blocks(), self.group.flood());
        let noise = flood(self.group.ring(), blocks, bits, rng);
        let (mut effects, own) = self.deal(&noise, Some(opening), rng)?;
        effects.extend(self.noise(opening, self.id, &own, true)?);
        Ok(effects)
    }

    /// Refuses noise of `from` that has come already, or that there is no place for.
    fn can_gather(&self, opening: u64, from: MemberId) -> Result<(), ThresholdError> {
        let again = Err(ThresholdError::Again { member: from, what: "noise" });
        match self.openings.get(&opening) {
            Some(Opening::Spent { ciphertext }) => {
                Err(ThresholdError::Spent { opening, ciphertext: *ciphertext })
            }
            Some(Opening::Ready { .. }) => again,
            Some(Opening::Gathering { heard, .. }) if heard.contains(&from) => again,
            Some(Opening::Gathering { .. }) => Ok(()),
            None => {
                let waiting = |opening: &&Opening| !matches!(opening, Opening::Spent { .. });
                let got = self.openings.values().filter(waiting).count() + 1;
                let limit = MAX_OPENINGS;
                if got > limit { Err(ThresholdError::Openings { got, limit }) } else { Ok(()) }
            }
        }
    }

    fn noise(
        &mut self,
        opening: u64,
        from: MemberId,
        words: &[u64],
        own: bool,
    ) -> Result<Vec<Effect>, ThresholdError> {
        self.can_gather(opening, from)?;
        let group = Arc::clone(&self.group);
        let layout = group.ring().layout();
        let fresh = || Opening::Gathering {
            share: Zeroizing::new(vec![0; layout.words() * layout.blocks()]),
            heard: BTreeSet::new(),
            begun: false,
        };
        let place = self.openings.entry(opening).or_insert_with(fresh);
        let Opening::Gathering { share, heard, begun } = place else { return Ok(vec![]) };
        add(&group, share, words);
        heard.insert(from);
        *begun |= own;
        if !*begun || heard.len() < usize::from(group.terms().members()) {
            return Ok(vec![]);
        }
        *place = Opening::Ready { share: std::mem::take(share) };
        Ok(vec![Effect::Persist, Effect::Prepared { opening }])
    }

    fn open(&mut self, opening: u64, sum: &Sum) -> Result<Vec<Effect>, ThresholdError> {
        let group = Arc::clone(&self.group);
        let public = self.public().ok_or(ThresholdError::NoKey)?;
        group.ring().own(sum)?;
        if sum.key() != public.id() {
            return Err(crate::additive::AdditiveError::OtherKey.into());
        }
        let (got, least) = (sum.addends(), group.terms().least());
        if got < least {
            return Err(ThresholdError::TooFewAddends { got, least });
        }
        let noise = match self.openings.get(&opening) {
            Some(Opening::Ready { share }) => share.clone(),
            Some(Opening::Spent { ciphertext }) => {
                return Err(ThresholdError::Spent { opening, ciphertext: *ciphertext });
            }
            Some(Opening::Gathering { .. }) | None => {
                return Err(ThresholdError::Unprepared { opening });
            }
        };
        let partial = self.partial(opening, sum, noise);
        let spent = Opening::Spent { ciphertext: partial.ciphertext };
        #[cfg(test)]
        if self.weak {
            return Ok(vec![Effect::Release(partial)]);
        }
        self.openings.insert(opening, spent);
        Ok(vec![Effect::Persist, Effect::Release(partial)])
    }

    /// c₁·sₖ + the share of the noise, block by block.
    fn partial(&self, opening: u64, sum: &Sum, mut noise: Zeroizing<Vec<u64>>) -> Partial {
        let ring = self.group.ring();
        let count = ring.layout().words();
        let mut packed =
            Vec::with_capacity(ring.layout().polynomial_bytes() * ring.layout().blocks());
        for (words, block) in noise.chunks_mut(count).zip(sum.words.chunks(2 * count)) {
            ring.base().add_products(words, &block[count..], &self.share);
            packed.extend(ring.packed(words));
        }
        let (key, member, ciphertext) = (self.group.digest(), self.id, sum.digest());
        Partial { key, member, opening, ciphertext, packed }
    }

    /// What the member must have after a restart: its share of the key and noise that is not used yet.
    ///
    /// # Errors
    /// [`ThresholdError::NoKey`] while the key is made: a member that restarts then sits out;
    /// [`ThresholdError::Codec`] if it is too large.
    pub fn state(&self) -> Result<Zeroizing<Vec<u8>>, ThresholdError> {
        let public = self.public().ok_or(ThresholdError::NoKey)?;
        let ring = self.group.ring();
        let pack = |words: &[u64]| -> Vec<u8> {
            words.chunks(ring.layout().words()).flat_map(|words| ring.packed(words)).collect()
        };
        let opening = |(number, opening): (&u64, &Opening)| match opening {
            Opening::Gathering { .. } => None,
            Opening::Ready { share } => Some((*number, Kept::Ready(pack(share)))),
            Opening::Spent { ciphertext } => Some((*number, Kept::Spent(*ciphertext))),
        };
        let state = State {
            key: self.group.digest(),
            member: self.id,
            public: ring.packed(&public.b),
            share: pack(&self.share),
            openings: self.openings.iter().filter_map(opening).collect(),
        };
        Ok(Zeroizing::new(state.encode()?))
    }

    /// The member of a state. Openings whose noise was not complete are lost.
    ///
    /// # Errors
    /// [`ThresholdError::Codec`], [`ThresholdError::OtherTerms`], [`ThresholdError::Additive`],
    /// [`ThresholdError::State`], [`ThresholdError::Stranger`].
    pub fn restore(group: &Arc<Group>, bytes: &[u8]) -> Result<Self, ThresholdError> {
        let mut state = State::decode(bytes)?;
        if state.key != group.digest() {
            return Err(ThresholdError::OtherTerms);
        }
        group.knows(state.member)?;
        let (ring, what) = (group.ring(), "the state of a member");
        let read = |bytes: &[u8], count| ring.unpacked(what, bytes, count).map(Zeroizing::new);
        let mut openings = BTreeMap::new();
        for (number, kept) in &state.openings {
            let opening = match kept {
                Kept::Ready(packed) => {
                    Opening::Ready { share: read(packed, ring.layout().blocks())? }
                }
                Kept::Spent(ciphertext) => Opening::Spent { ciphertext: *ciphertext },
            };
            if openings.insert(*number, opening).is_some() {
                return Err(ThresholdError::State { problem: "an opening is in it twice" });
            }
        }
        let public = group.key(ring.unpacked(what, &std::mem::take(&mut state.public), 1)?);
        Ok(Self {
            group: Arc::clone(group),
            id: state.member,
            stage: Stage::Holding(Box::new(public)),
            share: read(&state.share, 1)?,
            openings,
            #[cfg(test)]
            weak: false,
        })
    }

    #[cfg(test)]
    pub(super) fn secret_share(&self) -> &[u64] {
        &self.share
    }
}

/// Adds polynomials to others.
fn add(group: &Group, ours: &mut [u64], theirs: &[u64]) {
    let count = group.ring().layout().words();
    for (ours, theirs) in ours.chunks_mut(count).zip(theirs.chunks(count)) {
        group.ring().base().each(ours, theirs, Modulus::add_assign);
    }
}

fn unpacked(
    group: &Group,
    packet: &Packet,
    polynomials: usize,
) -> Result<Zeroizing<Vec<u64>>, ThresholdError> {
    let words = group.ring().unpacked("a share", &packet.packed, polynomials)?;
    Ok(Zeroizing::new(words))
}

#[derive(BorshSerialize, BorshDeserialize)]
enum Kept {
    Ready(Vec<u8>),
    Spent(Digest),
}

#[derive(BorshSerialize, BorshDeserialize)]
struct State {
    key: Digest,
    member: MemberId,
    public: Vec<u8>,
    share: Vec<u8>,
    openings: Vec<(u64, Kept)>,
}

impl Drop for State {
    fn drop(&mut self) {
        self.share.zeroize();
        for (_, kept) in &mut self.openings {
            if let Kept::Ready(bytes) = kept {
                bytes.zeroize();
            }
        }
    }
}

impl Canonical for State {
    const DOMAIN: &'static str = "nexus/he/threshold state";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 1 << 31;
}
