//! A board in memory, its members' keys, and liars as functions that rewrite a member's posts.

use std::collections::BTreeMap;
use std::sync::Arc;

use curve25519_dalek::scalar::Scalar;
use nexus_types::{Canonical, Digest, MemberId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::identity::Identity;
use crate::seal::PacketSecret;
use crate::threshold::polynomial::lagrange;
use crate::threshold::{
    Body, Certificate, Committee, Fault, GroupKey, KeyShare, Outcome, Phase, Point, Post, Restart,
    Seat, SessionError, Statement, Step, dkg, reshare,
};

/// The keys of one committee.
pub(super) struct Keyring {
    pub(super) committee: Arc<Committee>,
    pub(super) identities: Vec<Arc<Identity>>,
    pub(super) packets: Vec<PacketSecret>,
    pub(super) rng: ChaCha12Rng,
}

impl Keyring {
    pub(super) fn new(size: u16, seed: u64) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let identities: Vec<_> =
            (0..size).map(|_| Arc::new(Identity::generate(&mut rng))).collect();
        let packets: Vec<_> = (0..size).map(|_| PacketSecret::generate(&mut rng)).collect();
        let seat = |(identity, packets): (&Arc<Identity>, &PacketSecret)| Seat {
            identity: identity.public(),
            packets: packets.public(),
        };
        let seats = identities.iter().zip(&packets).map(seat).collect();
        let committee = Arc::new(Committee::new(seats).unwrap());
        Self { committee, identities, packets, rng }
    }

    pub(super) fn terms(&self) -> dkg::Terms {
        let committee = Arc::clone(&self.committee);
        dkg::Terms { committee, purpose: Digest::of("test", b"purpose"), epoch: 0, attempt: 0 }
    }

    pub(super) fn generate(&mut self, liar: &dyn Liar) -> Vec<Result<Ended, SessionError>> {
        self.generate_with(&self.terms(), liar)
    }

    pub(super) fn generate_with(
        &mut self,
        terms: &dkg::Terms,
        liar: &dyn Liar,
    ) -> Vec<Result<Ended, SessionError>> {
        let mut first = Vec::new();
        let mut members = Vec::new();
        for member in self.committee.members() {
            let (identity, packets) = self.keys(member);
            let begun =
                dkg::Generation::new(terms.clone(), member, identity, packets, &mut self.rng);
            let (machine, post) = begun.unwrap();
            first.push((member, post));
            members.push(machine);
        }
        let mut ended: Vec<_> = members.iter().map(|_| None).collect();
        let mut posts = first;
        while ended.iter().any(Option::is_none) {
            let shown = self.show(posts, liar);
            for (machine, end) in members.iter_mut().zip(&ended) {
                if end.is_none() {
                    for post in &shown {
                        drop(machine.receive(post));
                    }
                }
            }
            posts = Vec::new();
            for ((member, machine), end) in
                self.committee.members().zip(&mut members).zip(&mut ended)
            {
                if end.is_none() {
                    *end = advance(machine.close(&mut self.rng), member, &mut posts);
                }
            }
        }
        ended.into_iter().flatten().collect()
    }

    pub(super) fn keys(&self, member: MemberId) -> (Arc<Identity>, PacketSecret) {
        let at = member.index();
        (Arc::clone(&self.identities[at]), self.packets[at].clone())
    }

    /// What the board shows when a phase ends: liars have seen the honest posts before.
    fn show(&self, posts: Vec<(MemberId, Vec<u8>)>, liar: &dyn Liar) -> Vec<Vec<u8>> {
        let (lying, honest): (Vec<_>, Vec<_>) =
            posts.into_iter().partition(|(member, _)| liar.controls(*member));
        let mut shown: Vec<_> = honest.into_iter().map(|(_, bytes)| bytes).collect();
        for (member, bytes) in lying {
            let statement = Post::decode(&bytes).unwrap().statement;
            if let Some(statement) = liar.post(statement, &shown) {
                let post = Post::sign(statement, &self.identities[member.index()]).unwrap();
                shown.push(post.encode().unwrap());
            }
        }
        shown
    }

    /// Hands `old`'s key to this committee.
    pub(super) fn take_over(
        &mut self,
        old: &mut Self,
        shares: &[KeyShare],
        dealing: &dyn Liar,
        receiving: &dyn Liar,
    ) -> Vec<Result<Ended, SessionError>> {
        let terms = reshare::Terms {
            key: shares[0].public().clone(),
            from: Arc::clone(&old.committee),
            to: Arc::clone(&self.committee),
            attempt: 0,
        };
        let (mut dealers, mut posts) = (Vec::new(), Vec::new());
        for share in shares {
            let (identity, _) = old.keys(share.member());
            let (dealer, post) =
                reshare::Dealer::new(&terms, share, identity, &mut old.rng).unwrap();
            posts.push((share.member(), post));
            dealers.push((share.member(), dealer));
        }
        let mut receivers: Vec<_> = self
            .committee
            .members()
            .map(|member| {
                let (identity, packets) = self.keys(member);
                reshare::Receiver::new(terms.clone(), member, identity, packets).unwrap()
            })
            .collect();
        loop {
            let (from_old, from_new): (Vec<_>, Vec<_>) =
                posts.into_iter().partition(|(_, post)| {
                    let body = Post::decode(post).unwrap().statement.body;
                    body.phase() != Phase::Complain
                });
            let mut shown = old.show(from_old, dealing);
            shown.extend(self.show(from_new, receiving));
            for post in &shown {
                for (_, dealer) in &mut dealers {
                    drop(dealer.receive(post));
                }
                for receiver in &mut receivers {
                    drop(receiver.receive(post));
                }
            }
            posts = Vec::new();
            for (member, dealer) in &mut dealers {
                advance(dealer.close(), *member, &mut posts);
            }
            let mut ended = Vec::new();
            for (member, receiver) in self.committee.members().zip(&mut receivers) {
                ended.extend(advance(receiver.close(), member, &mut posts));
            }
            if !ended.is_empty() {
                return ended;
            }
        }
    }

    /// The certificate of these shares' key.
    pub(super) fn certify(&self, shares: &[KeyShare]) -> Certificate {
        let votes: Vec<_> = shares
            .iter()
            .map(|share| share.confirm(&self.identities[share.member().index()]).unwrap())
            .collect();
        Certificate::new(&self.committee, shares[0].public().clone(), &votes).unwrap()
    }
}

/// How a member's part ended.
#[derive(Debug)]
pub(super) enum Ended {
    Done(Box<Outcome>),
    Restart(Restart),
    Finished,
}

fn advance(
    step: Result<Step, SessionError>,
    member: MemberId,
    posts: &mut Vec<(MemberId, Vec<u8>)>,
) -> Option<Result<Ended, SessionError>> {
    match step {
        Ok(Step::Publish(post)) => posts.push((member, post)),
        Ok(Step::Wait) => {}
        Ok(Step::Done(outcome)) => return Some(Ok(Ended::Done(outcome))),
        Ok(Step::Restart(restart)) => return Some(Ok(Ended::Restart(restart))),
        Ok(Step::Finished) => return Some(Ok(Ended::Finished)),
        Err(error) => return Some(Err(error)),
    }
    None
}

/// An adversary that controls some members and rewrites what they post.
pub(super) trait Liar {
    fn controls(&self, member: MemberId) -> bool;
    /// What the member posts instead, after seeing what the board holds.
    fn post(&self, honest: Statement, seen: &[Vec<u8>]) -> Option<Statement>;
}

pub(super) struct Nobody;

impl Liar for Nobody {
    fn controls(&self, _: MemberId) -> bool {
        false
    }

    fn post(&self, honest: Statement, _: &[Vec<u8>]) -> Option<Statement> {
        Some(honest)
    }
}

/// The first `count` members, each post rewritten by a function.
pub(super) struct First<F>(pub(super) u16, pub(super) F);

impl<F: Fn(&mut Body) -> bool> Liar for First<F> {
    fn controls(&self, member: MemberId) -> bool {
        member.0 < self.0
    }

    fn post(&self, mut honest: Statement, _: &[Vec<u8>]) -> Option<Statement> {
        self.1(&mut honest.body).then_some(honest)
    }
}

/// The shares of the members that are not lying, after checks that all of them are of one key
/// and that any t of them give its secret.
pub(super) fn shares_of(
    ended: Vec<Result<Ended, SessionError>>,
    liars: u16,
) -> (Vec<KeyShare>, Faults) {
    let honest: Vec<_> = ended
        .into_iter()
        .skip(usize::from(liars))
        .map(|end| match end {
            Ok(Ended::Done(outcome)) => *outcome,
            other => panic!("an honest member ended with {other:?}"),
        })
        .collect();
    let faults =
        Faults { dealers: honest[0].dealers.clone(), receivers: honest[0].receivers.clone() };
    let public: GroupKey = honest[0].share.public().clone();
    for outcome in &honest {
        assert_eq!(*outcome.share.public(), public);
        assert_eq!((&outcome.dealers, &outcome.receivers), (&faults.dealers, &faults.receivers));
        assert!(outcome.share.is_consistent());
    }
    let shares: Vec<_> = honest.into_iter().map(|outcome| outcome.share).collect();
    for window in shares.windows(usize::from(public.threshold())) {
        assert_eq!(Point::base(&secret_of(window)), *public.key());
    }
    (shares, faults)
}

/// The secret of a key, assembled as nobody ever may.
pub(super) fn secret_of(shares: &[KeyShare]) -> Scalar {
    let members: Vec<_> = shares.iter().map(KeyShare::member).collect();
    let weights: Vec<Scalar> = lagrange(&members).unwrap();
    shares.iter().zip(weights).map(|(share, weight)| share.secret.0 * weight).sum()
}

/// Who was found out, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) dealers: BTreeMap<MemberId, Fault>,
    pub(super) receivers: BTreeMap<MemberId, Fault>,
}

impl Faults {
    /// The first `count` members did `dealer` when dealing and `receiver` when receiving.
    pub(super) fn of(count: u16, dealer: Option<Fault>, receiver: Option<Fault>) -> Self {
        let all = |fault: Option<Fault>| {
            fault.iter().flat_map(|&fault| MemberId::all(count).map(move |m| (m, fault))).collect()
        };
        Self { dealers: all(dealer), receivers: all(receiver) }
    }
}
