//! Sharing with complaints, the first three phases of key generation and of resharing: every
//! dealer commits to a polynomial and seals a share to every receiver; a receiver complains about
//! a wrong share; the dealer opens that one share.
//!
//! An opening shows the share *and the randomness it was sealed with*, so each complaint ends
//! with one proven liar: the dealer, if the packet was not sealed from that share or the share is
//! off the committed polynomial; else the receiver. A dealer with more than f complaints is out
//! without answering: an honest one never has them, and never opens more than f shares.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use borsh::BorshDeserialize;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use nexus_types::{Canonical, CryptoRng, Digest, MemberId, borsh};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::committee::Committee;
use super::group::{Exponent, PEDERSEN, Point, Secret, Transcript};
use super::polynomial::{committed_at, place};
use super::post::{
    Body, Deal, Fault, OpenShare, Opening, Phase, Post, PostError, Posts, Record, Statement,
    ascending,
};
use crate::seal::{PacketSecret, SealError, Sealed};
use crate::sharing::Polynomial;
use crate::twin::{Check, enforced};

/// How polynomials are committed to.
#[derive(Debug)]
pub(super) enum Scheme {
    /// a G + b H: hides the polynomial (Pedersen 1991).
    Pedersen,
    /// a G: shows the polynomial's part of the public key (Feldman 1987), whose constant must be
    /// the dealer's public share of the old key.
    Feldman(Vec<Point>),
    /// The same with any constant. Key generation this way can be biased.
    #[cfg(test)]
    JointFeldman,
}

impl Scheme {
    const fn hides(&self) -> bool {
        matches!(self, Self::Pedersen)
    }

    fn allows(&self, dealer: MemberId, constant: Option<&Point>) -> bool {
        match self {
            Self::Pedersen => true,
            Self::Feldman(shares) => constant.is_some() && shares.get(dealer.index()) == constant,
            #[cfg(test)]
            Self::JointFeldman => true,
        }
    }
}

/// A share of one dealer's polynomial. Wiped when dropped.
#[derive(Clone, Debug)]
pub(super) struct Share {
    pub(super) value: Secret,
    pub(super) blinding: Secret,
}

impl Share {
    pub(super) fn open(&self) -> OpenShare {
        OpenShare { value: Exponent(self.value.0), blinding: Exponent(self.blinding.0) }
    }

    fn of(open: &OpenShare) -> Self {
        Self { value: Secret(open.value.0), blinding: Secret(open.blinding.0) }
    }
}

/// The posts of the three phases, the same at everyone.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) session: Digest,
    pub(super) scheme: Scheme,
    pub(super) dealers: Arc<Committee>,
    pub(super) receivers: Arc<Committee>,
    pub(super) record: Record,
    pub(super) deals: Posts<Deal>,
    complaints: Posts<Vec<MemberId>>,
    answers: Posts<Vec<Opening>>,
}

/// How the complaints ended.
#[derive(Debug, Default)]
pub(super) struct Settlement {
    /// Dealers whose shares are all right, ascending.
    pub(super) qualified: Vec<MemberId>,
    /// What the other dealers did.
    pub(super) dealer_faults: BTreeMap<MemberId, Fault>,
    /// Receivers that complained wrongly.
    pub(super) receiver_faults: BTreeMap<MemberId, Fault>,
    /// Shares of qualified dealers that are public now, by dealer and receiver.
    pub(super) opened: BTreeMap<(MemberId, MemberId), OpenShare>,
}

impl Settlement {
    /// Receivers a share of whom is public.
    pub(super) fn revealed(&self) -> usize {
        self.opened.keys().map(|(_, receiver)| receiver).collect::<BTreeSet<_>>().len()
    }
}

impl Exchange {
    pub(super) fn new(
        session: Digest,
        scheme: Scheme,
        dealers: Arc<Committee>,
        receivers: Arc<Committee>,
    ) -> Self {
        let record = Record::default();
        let (deals, complaints, answers) = <_>::default();
        Self { session, scheme, dealers, receivers, record, deals, complaints, answers }
    }

    /// Decodes a post, and checks that it is its author's and of this session and phase.
    pub(super) fn open(&self, now: Phase, bytes: &[u8]) -> Result<Statement, PostError> {
        let post = Post::decode(bytes)?;
        let Statement { session, author, ref body } = post.statement;
        if session != self.session {
            return Err(PostError::OtherSession);
        }
        let got = body.phase();
        if got != now {
            return Err(PostError::OutOfTurn { author, got, now });
        }
        let authors = match body {
            Body::Deal(_) | Body::Answers(_) | Body::Extraction(_) => &self.dealers,
            Body::Complaints(_) | Body::Accusations(_) | Body::Pool(_) => &self.receivers,
        };
        let seat = authors.seat(author).ok_or(PostError::Stranger { author })?;
        post.verify(&seat.identity)?;
        Ok(post.statement)
    }

    /// Takes in a statement of one of the three phases.
    pub(super) fn insert(&mut self, statement: Statement) -> Result<(), PostError> {
        let author = statement.author;
        let copy = statement.clone();
        match statement.body {
            Body::Deal(deal) => {
                self.check_deal(author, &deal)?;
                self.deals.insert(author, deal)?;
            }
            Body::Complaints(dealers) => {
                if !ascending(dealers.iter().copied(), self.dealers.size()) {
                    return Err(PostError::Members { author });
                }
                self.complaints.insert(author, dealers)?;
            }
            Body::Answers(openings) => {
                let receivers: Vec<_> = openings.iter().map(|opening| opening.receiver).collect();
                if receivers != self.complainers(author) {
                    return Err(PostError::Members { author });
                }
                self.answers.insert(author, openings)?;
            }
            Body::Extraction(_) | Body::Accusations(_) | Body::Pool(_) => {
                return Err(PostError::Stranger { author });
            }
        }
        self.record.insert(&copy)
    }

    fn check_deal(&self, author: MemberId, deal: &Deal) -> Result<(), PostError> {
        let length = |what, got, expected| {
            let error = PostError::Length { author, what, got, expected };
            if got == expected { Ok(()) } else { Err(error) }
        };
        // One coefficient more would be a sharing that t receivers cannot open.
        let coefficients = usize::from(self.receivers.threshold());
        length("coefficients", deal.commitment.len(), coefficients)?;
        length("packets", deal.packets.len(), usize::from(self.receivers.size()))?;
        if !self.scheme.allows(author, deal.commitment.first()) {
            return Err(PostError::Constant { author });
        }
        Ok(())
    }

    /// Those of whom a post would still help.
    pub(super) fn waiting(&self, phase: Phase) -> Vec<MemberId> {
        match phase {
            Phase::Deal => self.deals.missing(self.dealers.members()),
            Phase::Complain => self.complaints.missing(self.receivers.members()),
            Phase::Answer => {
                let due = self.deals.iter().map(|(dealer, _)| dealer);
                self.answers.missing(due.filter(|dealer| self.must_answer(*dealer)))
            }
            Phase::Extract | Phase::Accuse | Phase::Pool | Phase::Over => Vec::new(),
        }
    }

    /// Receivers that complained about `dealer`, ascending.
    pub(super) fn complainers(&self, dealer: MemberId) -> Vec<MemberId> {
        let named = self.complaints.iter().filter(|(_, dealers)| dealers.contains(&dealer));
        named.map(|(receiver, _)| receiver).collect()
    }

    pub(super) fn must_answer(&self, dealer: MemberId) -> bool {
        (1..=usize::from(self.receivers.faulty())).contains(&self.complainers(dealer).len())
    }

    /// Judges the complaints.
    pub(super) fn settle(&self) -> Settlement {
        let mut settlement = Settlement::default();
        for dealer in self.dealers.members() {
            match self.judge(dealer) {
                Ok(openings) => {
                    settlement.qualified.push(dealer);
                    for opening in openings {
                        let Opening { receiver, share, .. } = opening;
                        settlement.opened.insert((dealer, *receiver), *share);
                        settlement.receiver_faults.insert(*receiver, Fault::FalseComplaint);
                    }
                }
                Err(fault) => {
                    settlement.dealer_faults.insert(dealer, fault);
                }
            }
        }
        settlement
    }

    fn judge(&self, dealer: MemberId) -> Result<&[Opening], Fault> {
        let deal = self.deals.get(dealer).ok_or(Fault::Silent)?;
        let complainers = self.complainers(dealer);
        if complainers.is_empty() || !enforced(Check::Complaints) {
            return Ok(&[]);
        }
        if !self.must_answer(dealer) {
            return Err(Fault::Complaints);
        }
        let openings = self.answers.get(dealer).ok_or(Fault::Unanswered)?;
        let right = openings.iter().all(|opening| self.opens(dealer, deal, opening));
        if right { Ok(openings) } else { Err(Fault::Opening) }
    }

    /// Whether this is the share that was sealed, and it is right.
    fn opens(&self, dealer: MemberId, deal: &Deal, opening: &Opening) -> bool {
        let Opening { receiver, share, seed } = opening;
        let sealed = self.seal(dealer, *receiver, &Share::of(share), seed);
        sealed.is_ok_and(|packet| deal.packets.get(receiver.index()) == Some(&packet))
            && self.on_polynomial(deal, *receiver, share)
    }

    pub(super) fn on_polynomial(&self, deal: &Deal, receiver: MemberId, share: &OpenShare) -> bool {
        let hides = self.scheme.hides();
        (hides || share.blinding.0 == Scalar::ZERO)
            && commit(hides, &share.value.0, &share.blinding.0)
                == committed_at(&deal.commitment, receiver)
    }

    fn context(&self, dealer: MemberId, receiver: MemberId) -> Digest {
        Transcript::new("nexus/mpc/threshold/packet v1")
            .bytes(&self.session.0)
            .number(u64::from(dealer.0))
            .number(u64::from(receiver.0))
            .digest()
    }

    pub(super) fn seal(
        &self,
        dealer: MemberId,
        receiver: MemberId,
        share: &Share,
        seed: &[u8; 32],
    ) -> Result<Sealed, SealError> {
        let seat = self.receivers.seat(receiver).ok_or(SealError::Key)?;
        let mut stream = Transcript::new("nexus/mpc/threshold/seal v1").bytes(seed).stream();
        let mut plain = Zeroizing::new([0; 64]);
        plain[..32].copy_from_slice(share.value.0.as_bytes());
        plain[32..].copy_from_slice(share.blinding.0.as_bytes());
        seat.packets.seal(&mut stream, &self.context(dealer, receiver).0, &*plain)
    }

    fn unseal(
        &self,
        secret: &PacketSecret,
        dealer: MemberId,
        receiver: MemberId,
        packet: &Sealed,
    ) -> Option<Share> {
        let plain = secret.open(&self.context(dealer, receiver).0, packet).ok()?;
        let (value, blinding) = <(Secret, Secret)>::try_from_slice(&plain).ok()?;
        Some(Share { value, blinding })
    }
}

/// value G + blinding H, in constant time.
fn commit(hides: bool, value: &Scalar, blinding: &Scalar) -> RistrettoPoint {
    let value = RistrettoPoint::mul_base(value);
    if hides { value + &*PEDERSEN * blinding } else { value }
}

/// A dealer's secrets. Wiped when dropped.
pub(super) struct Dealer {
    pub(super) member: MemberId,
    pub(super) value: Polynomial<Scalar>,
    blinding: Polynomial<Scalar>,
    seed: Seed,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Seed([u8; 32]);

impl Dealer {
    /// Draws the polynomials for sharing `constant`.
    pub(super) fn new(
        exchange: &Exchange,
        member: MemberId,
        constant: &Secret,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let length = exchange.receivers.threshold();
        let value = Polynomial::random(rng, constant.0, length);
        let hides = exchange.scheme.hides();
        let blinding = if hides { Scalar::random(rng) } else { Scalar::ZERO };
        let blinding = Polynomial::random(rng, blinding, if hides { length } else { 1 });
        let mut seed = Seed([0; 32]);
        rng.fill_bytes(&mut seed.0);
        Self { member, value, blinding, seed }
    }

    pub(super) fn deal(&self, exchange: &Exchange) -> Result<Deal, SealError> {
        let hides = exchange.scheme.hides();
        let zero = Scalar::ZERO;
        let blindings = self.blinding.coefficients().iter().chain(std::iter::repeat(&zero));
        let pairs = self.value.coefficients().iter().zip(blindings);
        let commitment = pairs.map(|(a, b)| Point::new(commit(hides, a, b))).collect();
        let seal = |to| exchange.seal(self.member, to, &self.share(to), &self.packet_seed(to));
        let packets = exchange.receivers.members().map(seal).collect::<Result<_, _>>()?;
        Ok(Deal { commitment, packets })
    }

    fn share(&self, receiver: MemberId) -> Share {
        let at = place(receiver);
        Share { value: Secret(self.value.at(at)), blinding: Secret(self.blinding.at(at)) }
    }

    fn packet_seed(&self, receiver: MemberId) -> [u8; 32] {
        let seed = Transcript::new("nexus/mpc/threshold/packet seed v1").bytes(&self.seed.0);
        seed.number(u64::from(receiver.0)).digest().0
    }

    /// Opens the shares complained about, or nothing if too many have complained.
    pub(super) fn answers(&self, exchange: &Exchange) -> Option<Vec<Opening>> {
        let open = |receiver: MemberId| Opening {
            receiver,
            share: self.share(receiver).open(),
            seed: self.packet_seed(receiver),
        };
        exchange
            .must_answer(self.member)
            .then(|| exchange.complainers(self.member).into_iter().map(open).collect())
    }
}

/// A receiver's secrets. Wiped when dropped.
pub(super) struct Receiver {
    pub(super) member: MemberId,
    packets: PacketSecret,
    pub(super) shares: BTreeMap<MemberId, Share>,
}

impl Receiver {
    pub(super) const fn new(member: MemberId, packets: PacketSecret) -> Self {
        Self { member, packets, shares: BTreeMap::new() }
    }

    /// Opens and checks the packets; returns the dealers to complain about.
    pub(super) fn check(&mut self, exchange: &Exchange) -> Vec<MemberId> {
        let mut complaints = Vec::new();
        for (dealer, deal) in exchange.deals.iter() {
            match self.share(exchange, dealer, deal) {
                Some(share) => {
                    self.shares.insert(dealer, share);
                }
                None => complaints.push(dealer),
            }
        }
        complaints
    }

    fn share(&self, exchange: &Exchange, dealer: MemberId, deal: &Deal) -> Option<Share> {
        let packet = deal.packets.get(self.member.index())?;
        let share = exchange.unseal(&self.packets, dealer, self.member, packet)?;
        exchange.on_polynomial(deal, self.member, &share.open()).then_some(share)
    }

    /// Takes the shares that were opened for it.
    pub(super) fn adopt(&mut self, settlement: &Settlement) {
        for ((dealer, receiver), share) in &settlement.opened {
            if *receiver == self.member {
                self.shares.insert(*dealer, Share::of(share));
            }
        }
    }
}
