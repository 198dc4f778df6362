//! Handing a key to another committee without assembling it (Desmedt and Jajodia 1997): every old
//! member shares its share, and t of these sharings, weighted by Lagrange's coefficients, are a
//! sharing of the key itself. The public key stays, so what was sealed under it still opens.
//!
//! | phase | old members post | new members post |
//! |---|---|---|
//! | Deal | Feldman commitment whose constant is their `X_j` and whose length is the new t; sealed shares | |
//! | Complain | | dealers whose share is wrong |
//! | Answer | the shares complained about, opened | |
//!
//! The new key is made from the first t qualified dealers, the same ones at everyone: a
//! [`super::Certificate`] of the new committee shows it. Only then do old members
//! [retire](super::KeyShare::retire) their shares.

use std::sync::Arc;

use curve25519_dalek::scalar::Scalar;
use nexus_types::{Canonical, CodecError, CryptoRng, Digest, MemberId};

use super::committee::Committee;
use super::exchange::{self, Exchange, Scheme, Settlement};
use super::group::{Point, Secret, Transcript};
use super::key::{GroupKey, KeyShare};
use super::polynomial::{committed_at, lagrange, weighted};
use super::post::{Body, Phase, Post, PostError, Statement};
use super::session::{Outcome, Restart, SessionError, Step};
use crate::identity::Identity;
use crate::seal::PacketSecret;

/// What both committees agree on beforehand.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The key as it is, from its certificate.
    pub key: GroupKey,
    /// Who holds it.
    pub from: Arc<Committee>,
    /// Who shall hold it; may have members in common with `from`, or none.
    pub to: Arc<Committee>,
    /// How often it has been tried before.
    pub attempt: u32,
}

impl Terms {
    /// Binds every post to these terms.
    ///
    /// # Errors
    /// [`CodecError`] if the key cannot be encoded.
    pub fn session(&self) -> Result<Digest, CodecError> {
        Ok(Transcript::new("nexus/mpc/threshold/reshare v1")
            .bytes(&self.key.signed_digest()?.0)
            .bytes(&self.from.digest().0)
            .bytes(&self.to.digest().0)
            .number(u64::from(self.attempt))
            .digest())
    }

    fn exchange(&self) -> Result<Exchange, SessionError> {
        let fits = self.key.committee == self.from.digest()
            && self.key.threshold == self.from.threshold()
            && self.key.shares.len() == usize::from(self.from.size());
        if !fits {
            return Err(SessionError::OtherKey);
        }
        let scheme = Scheme::Feldman(self.key.shares.clone());
        let (from, to) = (Arc::clone(&self.from), Arc::clone(&self.to));
        Ok(Exchange::new(self.session()?, scheme, from, to))
    }
}

fn post(
    exchange: &Exchange,
    author: MemberId,
    body: Body,
    identity: &Identity,
) -> Result<Vec<u8>, SessionError> {
    let statement = Statement { session: exchange.session, author, body };
    Ok(Post::sign(statement, identity)?.encode()?)
}

/// An old member's part. Its secrets are wiped when it is dropped.
pub struct Dealer {
    phase: Phase,
    exchange: Exchange,
    secrets: exchange::Dealer,
    identity: Arc<Identity>,
}

impl std::fmt::Debug for Dealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dealer({}, {:?})", self.secrets.member, self.phase)
    }
}

impl Dealer {
    /// Begins, and returns the first post.
    ///
    /// # Errors
    /// [`SessionError`] if share, keys and terms do not belong together.
    pub fn new(
        terms: &Terms,
        share: &KeyShare,
        identity: Arc<Identity>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, Vec<u8>), SessionError> {
        let exchange = terms.exchange()?;
        let member = share.member;
        if share.public != terms.key || !share.is_consistent() {
            return Err(SessionError::OtherKey);
        }
        let seat = terms.from.seat(member);
        if seat.is_none_or(|seat| seat.identity != identity.public()) {
            return Err(SessionError::Stranger { member });
        }
        let secrets = exchange::Dealer::new(&exchange, member, &share.secret, rng);
        let deal = secrets.deal(&exchange)?;
        let first = post(&exchange, member, Body::Deal(deal), &identity)?;
        Ok((Self { phase: Phase::Deal, exchange, secrets, identity }, first))
    }

    /// Takes in a post from the board.
    ///
    /// # Errors
    /// [`PostError`]; nothing has changed.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), PostError> {
        let statement = self.exchange.open(self.phase, bytes)?;
        self.exchange.insert(statement)
    }

    /// Of whom a post would still help in this phase.
    pub fn waiting(&self) -> Vec<MemberId> {
        self.exchange.waiting(self.phase)
    }

    /// Ends the phase. After the answers the old member is [finished](Step::Finished).
    ///
    /// # Errors
    /// [`SessionError::Over`] when it is finished already.
    pub fn close(&mut self) -> Result<Step, SessionError> {
        match self.phase {
            Phase::Deal => {
                self.phase = Phase::Complain;
                Ok(Step::Wait)
            }
            Phase::Complain => {
                self.phase = Phase::Answer;
                let Some(openings) = self.secrets.answers(&self.exchange) else {
                    return Ok(Step::Wait);
                };
                let body = Body::Answers(openings);
                post(&self.exchange, self.secrets.member, body, &self.identity).map(Step::Publish)
            }
            Phase::Answer => {
                self.phase = Phase::Over;
                Ok(Step::Finished)
            }
            Phase::Extract | Phase::Accuse | Phase::Pool | Phase::Over => Err(SessionError::Over),
        }
    }
}

/// A new member's part. Its secrets are wiped when it is dropped.
pub struct Receiver {
    terms: Terms,
    phase: Phase,
    exchange: Exchange,
    secrets: exchange::Receiver,
    identity: Arc<Identity>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({}, {:?})", self.secrets.member, self.phase)
    }
}

impl Receiver {
    /// Begins; there is nothing to post yet.
    ///
    /// # Errors
    /// [`SessionError`] if keys and terms do not belong together.
    pub fn new(
        terms: Terms,
        member: MemberId,
        identity: Arc<Identity>,
        packets: PacketSecret,
    ) -> Result<Self, SessionError> {
        let exchange = terms.exchange()?;
        let seated = terms.to.seat(member).is_some_and(|seat| {
            seat.identity == identity.public() && seat.packets == packets.public()
        });
        if !seated {
            return Err(SessionError::Stranger { member });
        }
        let secrets = exchange::Receiver::new(member, packets);
        Ok(Self { terms, phase: Phase::Deal, exchange, secrets, identity })
    }

    /// Takes in a post from the board.
    ///
    /// # Errors
    /// [`PostError`]; nothing has changed.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), PostError> {
        let statement = self.exchange.open(self.phase, bytes)?;
        self.exchange.insert(statement)
    }

    /// Of whom a post would still help in this phase.
    pub fn waiting(&self) -> Vec<MemberId> {
        self.exchange.waiting(self.phase)
    }

    /// Ends the phase.
    ///
    /// # Errors
    /// [`SessionError`]: there will be no new sharing, and the old one stands.
    pub fn close(&mut self) -> Result<Step, SessionError> {
        match self.phase {
            Phase::Deal => {
                self.phase = Phase::Complain;
                let body = Body::Complaints(self.secrets.check(&self.exchange));
                post(&self.exchange, self.secrets.member, body, &self.identity).map(Step::Publish)
            }
            Phase::Complain => {
                self.phase = Phase::Answer;
                Ok(Step::Wait)
            }
            Phase::Answer => {
                self.phase = Phase::Over;
                self.finish()
            }
            Phase::Extract | Phase::Accuse | Phase::Pool | Phase::Over => Err(SessionError::Over),
        }
    }

    fn finish(&mut self) -> Result<Step, SessionError> {
        let settlement = self.exchange.settle();
        let chosen = chosen(&self.terms, &settlement)?;
        if let Some(restart) = revealed(&self.terms.to, &settlement) {
            return Ok(Step::Restart(restart));
        }
        self.secrets.adopt(&settlement);
        let weights: Vec<Scalar> = lagrange(&chosen).ok_or(SessionError::Inconsistent)?;
        let mut secret = Secret(Scalar::ZERO);
        for (&dealer, weight) in chosen.iter().zip(&weights) {
            let share =
                self.secrets.shares.get(&dealer).ok_or(SessionError::Incomplete { dealer })?;
            secret.0 += weight * share.value.0;
        }
        let public = successor(&self.terms, &self.exchange, &chosen, &weights)?;
        let share = KeyShare { member: self.secrets.member, secret, public };
        if share.public.key != self.terms.key.key || !share.is_consistent() {
            return Err(SessionError::Inconsistent);
        }
        let (dealers, receivers) = (settlement.dealer_faults, settlement.receiver_faults);
        Ok(Step::Done(Box::new(Outcome { share, dealers, receivers })))
    }
}

/// The t qualified dealers with the lowest numbers.
fn chosen(terms: &Terms, settlement: &Settlement) -> Result<Vec<MemberId>, SessionError> {
    let need = usize::from(terms.key.threshold);
    let qualified = settlement.qualified.len();
    if qualified < need {
        return Err(SessionError::TooFew { phase: Phase::Answer, qualified, need });
    }
    Ok(settlement.qualified[..need].to_vec())
}

fn revealed(to: &Committee, settlement: &Settlement) -> Option<Restart> {
    let (revealed, faulty, threshold) = (settlement.revealed(), to.faulty(), to.threshold());
    let public = revealed + usize::from(faulty) >= usize::from(threshold);
    public.then_some(Restart::Revealed { revealed, faulty, threshold })
}

/// The weighted sum of the dealers' commitments, and the public shares on it.
fn successor(
    terms: &Terms,
    exchange: &Exchange,
    chosen: &[MemberId],
    weights: &[Scalar],
) -> Result<GroupKey, SessionError> {
    let deals: Vec<_> = chosen.iter().filter_map(|&dealer| exchange.deals.get(dealer)).collect();
    let coefficient = |k: usize| {
        let points = deals.iter().filter_map(|deal| deal.commitment.get(k));
        Point::new(weighted(weights, points))
    };
    let threshold = terms.to.threshold();
    let sum: Vec<_> = (0..usize::from(threshold)).map(coefficient).collect();
    let share = |member| Point::new(committed_at(&sum, member));
    Ok(GroupKey {
        epoch: terms.key.epoch.saturating_add(1),
        key: *sum.first().ok_or(SessionError::Inconsistent)?,
        shares: terms.to.members().map(share).collect(),
        threshold,
        committee: terms.to.digest(),
        transcript: exchange.record.digest(exchange.session),
    })
}
