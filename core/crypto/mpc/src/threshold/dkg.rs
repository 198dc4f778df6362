//! Key generation without a dealer, whose key nobody can bias: New-DKG of Gennaro, Jarecki,
//! Krawczyk and Rabin ("Secure Distributed Key Generation for Discrete-Log Based Cryptosystems",
//! J. Cryptology 20, 2007, figure 2), with Schnorr proofs of the constant terms and shares sealed
//! so that a complaint is settled by opening one of them.
//!
//! | phase | everyone posts | closes with |
//! |---|---|---|
//! | Deal | Pedersen commitment to a random polynomial, sealed shares | |
//! | Complain | dealers whose share is wrong | |
//! | Answer | the shares complained about, opened | the dealers whose sum is the key: fixed before anybody sees a part of it |
//! | Extract | `a_k` G for its coefficients, proof of knowledge of `a_0` | |
//! | Accuse | its shares of dealers whose part is missing, unproven or another polynomial | |
//! | Pool | the rest of those shares | the key: parts not shown are reconstructed, never left out |
//!
//! The board shows all members the same posts in the same order within a phase (the chain, or an
//! embedded coordinator); a [`super::Certificate`] is the proof that it did. A member that
//! restarts in between sits out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nexus_types::{Canonical, CryptoRng, Digest, MemberId};

use super::committee::Committee;
use super::exchange::{Dealer, Exchange, Receiver, Scheme, Settlement, Share};
use super::group::{Point, Secret, Transcript};
use super::key::{GroupKey, KeyShare};
use super::polynomial::{committed_at, interpolate};
use super::post::{
    Body, Exposure, Extraction, Fault, OpenShare, Phase, Post, PostError, Posts, Statement,
    ascending,
};
use super::schnorr::Proof;
use super::session::{Outcome, Restart, SessionError, Step};
use crate::identity::Identity;
use crate::seal::PacketSecret;

/// What the members of one key generation agree on beforehand.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Who shares the key.
    pub committee: Arc<Committee>,
    /// What the key is for.
    pub purpose: Digest,
    /// Epoch of the first sharing: 0, or one more than that of the key which is rotated away.
    pub epoch: u64,
    /// How often it has been tried before.
    pub attempt: u32,
}

impl Terms {
    /// Binds every post to these terms.
    pub fn session(&self) -> Digest {
        Transcript::new("nexus/mpc/threshold/dkg v1")
            .bytes(&self.committee.digest().0)
            .bytes(&self.purpose.0)
            .number(self.epoch)
            .number(u64::from(self.attempt))
            .digest()
    }
}

/// The posts, the same at everyone.
struct Board {
    terms: Terms,
    phase: Phase,
    exchange: Exchange,
    settlement: Settlement,
    extractions: Posts<Extraction>,
    accusations: Posts<Vec<Exposure>>,
    pool: Posts<Vec<Exposure>>,
    /// Dealers whose part of the key is reconstructed.
    exposed: BTreeSet<MemberId>,
    /// Whether some of them were not known when the accusations were written.
    pools: bool,
}

/// What a proof of knowledge is bound to.
fn proof_context(session: Digest, epoch: u64, dealer: MemberId) -> Transcript {
    Transcript::new("nexus/mpc/threshold/constant term v1")
        .bytes(&session.0)
        .number(epoch)
        .number(u64::from(dealer.0))
}

impl Board {
    fn new(terms: Terms, scheme: Scheme) -> Self {
        let committee = &terms.committee;
        let exchange =
            Exchange::new(terms.session(), scheme, Arc::clone(committee), Arc::clone(committee));
        let (extractions, accusations, pool) = <_>::default();
        let (settlement, exposed) = <_>::default();
        let (phase, pools) = (Phase::Deal, false);
        Self { terms, phase, exchange, settlement, extractions, accusations, pool, exposed, pools }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), PostError> {
        let statement = self.exchange.open(self.phase, bytes)?;
        if self.phase <= Phase::Answer {
            return self.exchange.insert(statement);
        }
        let author = statement.author;
        let copy = statement.clone();
        match statement.body {
            Body::Extraction(extraction) => self.insert_extraction(author, extraction)?,
            Body::Accusations(exposures) => {
                self.check_exposures(author, &exposures)?;
                self.accusations.insert(author, exposures)?;
            }
            Body::Pool(exposures) => {
                self.check_exposures(author, &exposures)?;
                self.pool.insert(author, exposures)?;
            }
            Body::Deal(_) | Body::Complaints(_) | Body::Answers(_) => {
                return Err(PostError::Stranger { author });
            }
        }
        self.exchange.record.insert(&copy)
    }

    fn insert_extraction(
        &mut self,
        author: MemberId,
        extraction: Extraction,
    ) -> Result<(), PostError> {
        if !self.settlement.qualified.contains(&author) {
            return Err(PostError::Stranger { author });
        }
        let (got, expected) =
            (extraction.commitment.len(), usize::from(self.terms.committee.threshold()));
        if got != expected {
            return Err(PostError::Length { author, what: "coefficients", got, expected });
        }
        self.extractions.insert(author, extraction)
    }

    fn check_exposures(&self, author: MemberId, exposures: &[Exposure]) -> Result<(), PostError> {
        let mut dealers = exposures.iter().map(|exposure| exposure.dealer);
        let known = dealers.clone().all(|dealer| self.settlement.qualified.contains(&dealer));
        if known && ascending(&mut dealers, self.terms.committee.size()) {
            Ok(())
        } else {
            Err(PostError::Members { author })
        }
    }

    fn waiting(&self) -> Vec<MemberId> {
        let everyone = self.terms.committee.members();
        match self.phase {
            Phase::Extract => self.extractions.missing(self.settlement.qualified.iter().copied()),
            Phase::Accuse => self.accusations.missing(everyone),
            Phase::Pool if self.pools => self.pool.missing(everyone),
            Phase::Deal | Phase::Complain | Phase::Answer => self.exchange.waiting(self.phase),
            Phase::Pool | Phase::Over => Vec::new(),
        }
    }

    /// Fixes the dealers whose sum is the key.
    fn settle(&mut self) -> Result<Option<Restart>, SessionError> {
        let (faulty, threshold) = (self.terms.committee.faulty(), self.terms.committee.threshold());
        self.settlement = self.exchange.settle();
        let (qualified, need) = (self.settlement.qualified.len(), usize::from(threshold));
        if qualified < need {
            return Err(SessionError::TooFew { phase: Phase::Answer, qualified, need });
        }
        let revealed = self.settlement.revealed();
        let public = revealed + usize::from(faulty) >= usize::from(threshold);
        Ok(public.then_some(Restart::Revealed { revealed, faulty, threshold }))
    }

    /// Marks `dealers` for reconstruction.
    fn expose(&mut self, dealers: Vec<MemberId>) -> Option<Restart> {
        self.exposed.extend(dealers);
        let faulty = self.terms.committee.faulty();
        let (exposed, qualified) = (self.exposed.len(), self.settlement.qualified.len());
        let all = exposed + usize::from(faulty) >= qualified;
        all.then_some(Restart::Exposed { exposed, faulty, qualified })
    }

    /// Dealers whose part of the key is missing or unproven.
    fn unproven(&self) -> Vec<MemberId> {
        let session = self.exchange.session;
        let proven = |dealer: MemberId| {
            self.extractions.get(dealer).is_some_and(|extraction| {
                let context = proof_context(session, self.terms.epoch, dealer);
                let constant = extraction.commitment.first();
                constant.is_some_and(|point| extraction.proof.verifies(context, point))
            })
        };
        self.settlement.qualified.iter().copied().filter(|&dealer| !proven(dealer)).collect()
    }

    /// Dealers accused rightly: a share fits the first commitment and not the second.
    fn accused(&self) -> Vec<MemberId> {
        let mut accused = BTreeSet::new();
        for (author, exposures) in self.accusations.iter() {
            let right = exposures.iter().filter(|exposure| {
                self.is_share(author, exposure) && !self.fits_part(author, exposure)
            });
            accused.extend(right.map(|exposure| exposure.dealer));
        }
        accused.into_iter().collect()
    }

    fn is_share(&self, receiver: MemberId, exposure: &Exposure) -> bool {
        let deal = self.exchange.deals.get(exposure.dealer);
        deal.is_some_and(|deal| self.exchange.on_polynomial(deal, receiver, &exposure.share))
    }

    fn fits_part(&self, receiver: MemberId, exposure: &Exposure) -> bool {
        self.extractions.get(exposure.dealer).is_some_and(|extraction| {
            *Point::base(&exposure.share.value.0).value()
                == committed_at(&extraction.commitment, receiver)
        })
    }

    /// The public shares of an exposed dealer that are right, by receiver.
    fn pooled(&self, dealer: MemberId) -> BTreeMap<MemberId, OpenShare> {
        let opened = self.settlement.opened.iter();
        let mut shares: BTreeMap<_, _> = opened
            .filter(|((of, _), _)| *of == dealer)
            .map(|((_, receiver), share)| (*receiver, *share))
            .collect();
        for (author, exposures) in self.accusations.iter().chain(self.pool.iter()) {
            let of_dealer = exposures.iter().filter(|exposure| exposure.dealer == dealer);
            let right = of_dealer.filter(|exposure| self.is_share(author, exposure));
            shares.extend(right.map(|exposure| (author, exposure.share)));
        }
        shares
    }

    /// A dealer's coefficients times G, shown or reconstructed.
    fn part(&self, dealer: MemberId) -> Result<Vec<Point>, SessionError> {
        let need = usize::from(self.terms.committee.threshold());
        let shown = self.extractions.get(dealer).filter(|_| !self.exposed.contains(&dealer));
        if let Some(extraction) = shown {
            return Ok(extraction.commitment.clone());
        }
        let shares = self.pooled(dealer);
        let pairs: Vec<_> =
            shares.iter().take(need).map(|(receiver, share)| (*receiver, share.value.0)).collect();
        if pairs.len() < need {
            let qualified = pairs.len();
            return Err(SessionError::TooFew { phase: Phase::Pool, qualified, need });
        }
        let coefficients = interpolate(&pairs).ok_or(SessionError::Inconsistent)?;
        Ok(coefficients.iter().map(Point::base).collect())
    }

    fn key(&self) -> Result<GroupKey, SessionError> {
        let committee = &self.terms.committee;
        let mut sum = Vec::new();
        for &dealer in &self.settlement.qualified {
            let part = self.part(dealer)?;
            if sum.is_empty() {
                sum = part.iter().map(|point| *point.value()).collect();
            } else {
                sum.iter_mut().zip(&part).for_each(|(sum, point)| *sum += point.value());
            }
        }
        let sum: Vec<_> = sum.into_iter().map(Point::new).collect();
        let share = |member| Point::new(committed_at(&sum, member));
        Ok(GroupKey {
            epoch: self.terms.epoch,
            key: *sum.first().ok_or(SessionError::Inconsistent)?,
            shares: committee.members().map(share).collect(),
            threshold: committee.threshold(),
            committee: committee.digest(),
            transcript: self.exchange.record.digest(self.exchange.session),
        })
    }

    fn dealer_faults(&self) -> BTreeMap<MemberId, Fault> {
        let exposed = self.exposed.iter().map(|&dealer| (dealer, Fault::Extraction));
        let earlier = self.settlement.dealer_faults.iter().map(|(&dealer, &fault)| (dealer, fault));
        exposed.chain(earlier).collect()
    }
}

/// One member's part in a key generation. Its secrets are wiped when it is dropped.
pub struct Generation {
    board: Board,
    dealer: Dealer,
    receiver: Receiver,
    identity: Arc<Identity>,
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Generation({}, {:?})", self.dealer.member, self.board.phase)
    }
}

impl Generation {
    /// Begins, and returns the first post.
    ///
    /// # Errors
    /// [`SessionError::Stranger`] if the keys are not those of the member's seat.
    pub fn new(
        terms: Terms,
        member: MemberId,
        identity: Arc<Identity>,
        packets: PacketSecret,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<u8>), SessionError> {
        Self::with(Board::new(terms, Scheme::Pedersen), member, identity, packets, rng)
    }

    fn with(
        board: Board,
        member: MemberId,
        identity: Arc<Identity>,
        packets: PacketSecret,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<u8>), SessionError> {
        let seat = board.terms.committee.seat(member);
        let seated = seat.is_some_and(|seat| {
            seat.identity == identity.public() && seat.packets == packets.public()
        });
        if !seated {
            return Err(SessionError::Stranger { member });
        }
        let constant = Secret::random(rng);
        let dealer = Dealer::new(&board.exchange, member, &constant, rng);
        let receiver = Receiver::new(member, packets);
        let this = Self { board, dealer, receiver, identity };
        let deal = this.dealer.deal(&this.board.exchange)?;
        let post = this.post(Body::Deal(deal))?;
        Ok((this, post))
    }

    fn post(&self, body: Body) -> Result<Vec<u8>, SessionError> {
        let (session, author) = (self.board.exchange.session, self.dealer.member);
        let statement = Statement { session, author, body };
        Ok(Post::sign(statement, &self.identity)?.encode()?)
    }

    /// The present phase.
    pub const fn phase(&self) -> Phase {
        self.board.phase
    }

    /// Takes in a post from the board, this member's own ones included.
    ///
    /// # Errors
    /// [`PostError`] names what its author did wrong; nothing has changed. The same post again is
    /// no error.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), PostError> {
        self.board.receive(bytes)
    }

    /// Of whom a post would still help in this phase: when it is nobody, the phase can be closed
    /// before its deadline.
    pub fn waiting(&self) -> Vec<MemberId> {
        self.board.waiting()
    }

    /// Ends the phase: everyone has posted, or its deadline has come.
    ///
    /// # Errors
    /// [`SessionError`]: there will be no key.
    pub fn close(&mut self, rng: &mut dyn CryptoRng) -> Result<Step, SessionError> {
        match self.board.phase {
            Phase::Deal => {
                self.board.phase = Phase::Complain;
                let complaints = self.receiver.check(&self.board.exchange);
                self.publish(Body::Complaints(complaints))
            }
            Phase::Complain => {
                self.board.phase = Phase::Answer;
                match self.dealer.answers(&self.board.exchange) {
                    Some(openings) => self.publish(Body::Answers(openings)),
                    None => Ok(Step::Wait),
                }
            }
            Phase::Answer => self.extract(rng),
            Phase::Extract => self.accuse(),
            Phase::Accuse => self.pool(),
            Phase::Pool => {
                self.board.phase = Phase::Over;
                self.finish()
            }
            Phase::Over => Err(SessionError::Over),
        }
    }

    fn publish(&self, body: Body) -> Result<Step, SessionError> {
        self.post(body).map(Step::Publish)
    }

    fn restart(&mut self, restart: Restart) -> Step {
        self.board.phase = Phase::Over;
        Step::Restart(restart)
    }

    fn extract(&mut self, rng: &mut dyn CryptoRng) -> Result<Step, SessionError> {
        self.board.phase = Phase::Over;
        if let Some(restart) = self.board.settle()? {
            return Ok(self.restart(restart));
        }
        self.receiver.adopt(&self.board.settlement);
        self.board.phase = Phase::Extract;
        let member = self.dealer.member;
        if !self.board.settlement.qualified.contains(&member) {
            return Ok(Step::Wait);
        }
        let coefficients = self.dealer.value.coefficients();
        let commitment: Vec<_> = coefficients.iter().map(Point::base).collect();
        let (Some(secret), Some(point)) = (coefficients.first(), commitment.first()) else {
            return Err(SessionError::Inconsistent);
        };
        let context = proof_context(self.board.exchange.session, self.board.terms.epoch, member);
        let proof = Proof::new(context, secret, point, rng);
        self.publish(Body::Extraction(Extraction { commitment, proof }))
    }

    fn accuse(&mut self) -> Result<Step, SessionError> {
        let unproven = self.board.unproven();
        if let Some(restart) = self.board.expose(unproven) {
            return Ok(self.restart(restart));
        }
        self.board.phase = Phase::Accuse;
        let exposures = self.exposures(|board, exposure| {
            board.exposed.contains(&exposure.dealer)
                || !board.fits_part(self.receiver.member, exposure)
        });
        self.publish(Body::Accusations(exposures))
    }

    fn pool(&mut self) -> Result<Step, SessionError> {
        let known = self.board.exposed.clone();
        let accused = self.board.accused();
        if let Some(restart) = self.board.expose(accused) {
            return Ok(self.restart(restart));
        }
        self.board.phase = Phase::Pool;
        self.board.pools = self.board.exposed.len() > known.len();
        if !self.board.pools {
            return Ok(Step::Wait);
        }
        let exposures = self.exposures(|board, exposure| {
            board.exposed.contains(&exposure.dealer) && !known.contains(&exposure.dealer)
        });
        self.publish(Body::Pool(exposures))
    }

    /// This member's shares of qualified dealers that `which` chooses.
    fn exposures(&self, which: impl Fn(&Board, &Exposure) -> bool) -> Vec<Exposure> {
        let shares = self.receiver.shares.iter();
        shares
            .filter(|(dealer, _)| self.board.settlement.qualified.contains(dealer))
            .map(|(&dealer, share)| Exposure { dealer, share: share.open() })
            .filter(|exposure| which(&self.board, exposure))
            .collect()
    }

    fn finish(&self) -> Result<Step, SessionError> {
        let public = self.board.key()?;
        let mut secret = Secret(curve25519_dalek::Scalar::ZERO);
        for &dealer in &self.board.settlement.qualified {
            let share: &Share =
                self.receiver.shares.get(&dealer).ok_or(SessionError::Incomplete { dealer })?;
            secret.0 += share.value.0;
        }
        let share = KeyShare { member: self.receiver.member, secret, public };
        if !share.is_consistent() {
            return Err(SessionError::Inconsistent);
        }
        let dealers = self.board.dealer_faults();
        let receivers = self.board.settlement.receiver_faults.clone();
        Ok(Step::Done(Box::new(Outcome { share, dealers, receivers })))
    }
}
