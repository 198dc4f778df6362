//! Handing a key over to other members, with liars on both sides.

use std::collections::BTreeMap;
use std::sync::Mutex;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use nexus_types::{Canonical, Digest, MemberId};

use super::board::{Ended, Faults, First, Keyring, Nobody, secret_of, shares_of};
use super::release::Dataset;
use crate::threshold::polynomial::{committed_at, lagrange, place, weighted};
use crate::threshold::release::{Grant, GranteeSecret};
use crate::threshold::tdh2::ReleaseError;
use crate::threshold::{
    Body, CertificateError, Fault, KeyShare, Phase, Point, Post, PostError, Restart, SessionError,
    Statement, reshare,
};
use crate::twin::{Check, without};

const SIZES: [(u16, u16); 3] = [(4, 4), (7, 4), (4, 7)];

fn generated(size: u16) -> (Keyring, Vec<KeyShare>) {
    static MADE: Mutex<BTreeMap<u16, Vec<KeyShare>>> = Mutex::new(BTreeMap::new());
    let mut keyring = Keyring::new(size, u64::from(size));
    let mut made = MADE.lock().unwrap();
    let shares = made.entry(size).or_insert_with(|| shares_of(keyring.generate(&Nobody), 0).0);
    (keyring, shares.clone())
}

/// Reshares with the most liars on both sides, and opens what was sealed before.
fn handed_over(
    deal: fn(&mut Body) -> bool,
    receive: fn(&mut Body) -> bool,
    dealer: Option<Fault>,
    receiver: Option<Fault>,
) {
    for (old, new) in SIZES {
        handed_over_between(old, new, deal, receive, dealer, receiver);
    }
}

fn handed_over_between(
    old: u16,
    new: u16,
    deal: fn(&mut Body) -> bool,
    receive: fn(&mut Body) -> bool,
    dealer: Option<Fault>,
    receiver: Option<Fault>,
) {
    let (mut from, shares) = generated(old);
    let mut dataset = Dataset::new(&from, &shares);
    let mut to = Keyring::new(new, 1000 + u64::from(new));
    let (f_old, f_new) = (from.committee.faulty(), to.committee.faulty());
    let ended = to.take_over(&mut from, &shares, &First(f_old, deal), &First(f_new, receive));
    let (next, faults) = shares_of(ended, f_new);
    let expected = Faults {
        dealers: Faults::of(f_old, dealer, None).dealers,
        receivers: Faults::of(f_new, None, receiver).receivers,
    };
    assert_eq!(faults, expected, "from {old} to {new}");
    assert_eq!(next[0].public().key(), shares[0].public().key());
    assert_eq!(next[0].public().epoch(), 1);
    to.certify(&next);
    dataset.opens_with(&next);
}

#[test]
fn honest_members_hand_over() {
    handed_over(|_| true, |_| true, None, None);
}

#[test]
fn silent_members_do_not_matter() {
    handed_over(|_| false, |_| false, Some(Fault::Silent), None);
}

const WRONG_SHARE: fn(&mut Body) -> bool = |body| {
    if let Body::Deal(deal) = body {
        deal.packets.last_mut().unwrap().0[1] ^= 1;
    }
    true
};

const FALSE_COMPLAINT: fn(&mut Body) -> bool = |body| {
    if let Body::Complaints(dealers) = body {
        *dealers = vec![MemberId(2)];
    }
    true
};

#[test]
fn wrong_shares_are_found() {
    handed_over(WRONG_SHARE, |_| true, Some(Fault::Opening), None);
}

/// The twin hears no complaints: one dealer leaves too few shares of the new epoch.
#[test]
fn complaints_that_are_not_heard_lose_the_key() {
    let lie = |body: &mut Body| {
        if let Body::Deal(deal) = body {
            deal.packets[2..].iter_mut().for_each(|packet| packet.0[1] ^= 1);
        }
        true
    };
    let take_over = || {
        let (mut from, shares) = generated(4);
        Keyring::new(4, 9).take_over(&mut from, &shares, &First(1, lie), &Nobody)
    };
    let (next, faults) = shares_of(take_over(), 0);
    assert_eq!((next.len(), faults), (4, Faults::of(1, Some(Fault::Complaints), None)));
    let ended = without(&[Check::Complaints], take_over);
    let shares = ended.iter().filter(|end| matches!(end, Ok(Ended::Done(_)))).count();
    assert_eq!(shares, 2, "of the 3 that open anything");
}

#[test]
fn sixteen_members_with_five_liars_hand_over_and_take_over() {
    let (wrong, complaint) = (Some(Fault::Opening), Some(Fault::FalseComplaint));
    handed_over_between(16, 7, WRONG_SHARE, |_| true, wrong, None);
    handed_over_between(4, 16, |_| true, FALSE_COMPLAINT, None, complaint);
}

#[test]
fn who_does_not_answer_is_left_out() {
    let lie: fn(&mut Body) -> bool = |body| WRONG_SHARE(body) && !matches!(body, Body::Answers(_));
    handed_over(lie, |_| true, Some(Fault::Unanswered), None);
}

#[test]
fn false_complaints_hurt_their_authors_only() {
    handed_over(|_| true, FALSE_COMPLAINT, None, Some(Fault::FalseComplaint));
}

#[test]
fn dealers_of_another_degree_or_secret_are_left_out() {
    let longer: fn(&mut Body) -> bool = |body| {
        if let Body::Deal(deal) = body {
            deal.commitment.push(deal.commitment[1]);
        }
        true
    };
    let other: fn(&mut Body) -> bool = |body| {
        if let Body::Deal(deal) = body {
            deal.commitment[0] = deal.commitment[1];
        }
        true
    };
    handed_over(longer, |_| true, Some(Fault::Silent), None);
    handed_over(other, |_| true, Some(Fault::Silent), None);
}

fn terms(from: &Keyring, to: &Keyring, shares: &[KeyShare]) -> reshare::Terms {
    let key = shares[0].public().clone();
    reshare::Terms { key, from: from.committee.clone(), to: to.committee.clone(), attempt: 0 }
}

#[test]
fn the_board_names_what_is_wrong_with_a_deal() {
    let (mut from, shares) = generated(4);
    let to = Keyring::new(4, 9);
    let terms = terms(&from, &to, &shares);
    let (identity, _) = from.keys(MemberId(0));
    let (mut dealer, post) =
        reshare::Dealer::new(&terms, &shares[0], identity, &mut from.rng).unwrap();
    let changed = |change: fn(&mut Statement)| {
        let mut statement = Post::decode(&post).unwrap().statement;
        change(&mut statement);
        Post::sign(statement, &from.identities[0]).unwrap().encode().unwrap()
    };
    let longer = changed(|statement| {
        if let Body::Deal(deal) = &mut statement.body {
            deal.commitment.push(deal.commitment[1]);
        }
    });
    let other = changed(|statement| {
        if let Body::Deal(deal) = &mut statement.body {
            deal.commitment[0] = deal.commitment[1];
        }
    });
    let author = MemberId(0);
    let what = "coefficients";
    let length = PostError::Length { author, what, got: 4, expected: 3 };
    assert_eq!(dealer.receive(&longer), Err(length));
    assert_eq!(dealer.receive(&other), Err(PostError::Constant { author }));
    assert_eq!(dealer.receive(&post), Ok(()));
}

#[test]
fn more_faulty_dealers_than_there_may_be_are_named() {
    let (mut from, shares) = generated(7);
    let mut to = Keyring::new(4, 9);
    let silent = First(3, |_: &mut Body| false);
    let error = SessionError::TooFew { phase: Phase::Answer, qualified: 4, need: 5 };
    for end in to.take_over(&mut from, &shares, &silent, &Nobody) {
        assert!(matches!(end, Err(got) if got == error));
    }
}

/// f + 1 receivers that complain wrongly about different dealers.
struct Complainers;

impl super::board::Liar for Complainers {
    fn controls(&self, member: MemberId) -> bool {
        member.0 <= 1
    }

    fn post(&self, mut honest: Statement, _: &[Vec<u8>]) -> Option<Statement> {
        if let Body::Complaints(dealers) = &mut honest.body {
            *dealers = vec![honest.author];
        }
        Some(honest)
    }
}

#[test]
fn too_many_shares_made_public_restart_the_resharing() {
    let (mut from, shares) = generated(4);
    let mut to = Keyring::new(4, 9);
    let expected = Restart::Revealed { revealed: 2, faulty: 1, threshold: 3 };
    for end in to.take_over(&mut from, &shares, &Nobody, &Complainers) {
        assert!(matches!(end, Ok(Ended::Restart(restart)) if restart == expected));
    }
}

#[test]
fn a_share_is_wiped_only_for_its_certified_successor() {
    let (mut from, mut shares) = generated(4);
    let mut to = Keyring::new(4, 9);
    let (next, _) = shares_of(to.take_over(&mut from, &shares, &Nobody, &Nobody), 0);
    let certificate = to.certify(&next);
    let first = from.certify(&shares);
    let share = &mut shares[0];
    let refused = share.retire(&from.committee, &certificate);
    assert_eq!(refused, Err(CertificateError::OtherCommittee));
    assert_eq!(share.retire(&from.committee, &first), Err(CertificateError::OtherKey));
    assert!(share.is_consistent());
    assert_eq!(share.retire(&to.committee, &certificate), Ok(()));
    assert_eq!(share.secret.0, Scalar::ZERO);
}

/// t old members that kept their shares decrypt for ever: resharing does not help against them.
#[test]
fn old_shares_that_were_kept_still_give_the_key() {
    let (mut from, shares) = generated(4);
    let mut to = Keyring::new(7, 9);
    let (next, _) = shares_of(to.take_over(&mut from, &shares, &Nobody, &Nobody), 0);
    assert_eq!(secret_of(&shares[..3]), secret_of(&next[..5]));
}

#[test]
fn partials_of_two_epochs_do_not_mix() {
    let (mut from, shares) = generated(4);
    let mut to = Keyring::new(4, 9);
    let (next, _) = shares_of(to.take_over(&mut from, &shares, &Nobody, &Nobody), 0);
    let mut dataset = Dataset::new(&from, &shares);
    let record = dataset.record.verify(next[0].public()).unwrap();
    let secret = GranteeSecret::generate(&mut dataset.rng);
    let id = Digest::of("test", b"grant");
    let grant = Grant::new(id, &record, &secret, &mut dataset.rng).verify(&record).unwrap();
    let mut release = |share| grant.release(share, &mut dataset.rng).unwrap();
    let mut mixed = [release(&shares[0]), release(&next[1]), release(&next[2])];
    let refused = grant.combine(next[0].public(), &secret, &mixed);
    assert_eq!(refused, Err(ReleaseError::Epoch { got: 0, expected: 1 }));
    // Nor does it help to write another epoch on it.
    mixed[0].epoch = 1;
    let refused = grant.combine(next[0].public(), &secret, &mixed);
    assert_eq!(refused, Err(ReleaseError::Partial { member: MemberId(0) }));
    // The twin combines what it gets. It has another secret, and takes the owner for the liar.
    let twin = without(&[Check::Partials], || grant.combine(next[0].public(), &secret, &mixed));
    assert_eq!(twin, Err(ReleaseError::Sealed));
    mixed[0] = release(&next[0]);
    let twin = without(&[Check::Partials], || grant.combine(next[0].public(), &secret, &mixed));
    assert_eq!(twin, grant.combine(next[0].public(), &secret, &mixed));
    assert!(twin.is_ok());
}

/// Old members' sharings as plain polynomials, for the twins: no commitment is checked.
struct Plain {
    dealers: Vec<MemberId>,
    polynomials: Vec<Vec<Scalar>>,
}

impl Plain {
    fn new(shares: &[KeyShare], t: usize) -> Self {
        let mut seed = 1u64;
        let mut next = || {
            seed += 1;
            Scalar::from(seed * seed * seed)
        };
        let deal = |share: &KeyShare| {
            std::iter::once(share.secret.0).chain((1..t).map(|_| next())).collect()
        };
        Self {
            dealers: shares.iter().map(KeyShare::member).collect(),
            polynomials: shares.iter().map(deal).collect(),
        }
    }

    /// The new share of a member that uses the dealers from `first` on.
    fn share(&self, member: u16, first: usize, t: usize) -> Scalar {
        let weights: Vec<Scalar> = lagrange(&self.dealers[first..first + t]).unwrap();
        let x = Scalar::from(place(MemberId(member)));
        let values = self.polynomials[first..].iter().map(|coefficients| {
            coefficients.iter().rev().fold(Scalar::ZERO, |sum, coefficient| sum * x + coefficient)
        });
        weights.iter().zip(values).map(|(weight, value)| weight * value).sum()
    }

    fn public(&self, t: usize) -> Vec<Point> {
        let weights: Vec<Scalar> = lagrange(&self.dealers[..t]).unwrap();
        let longest = self.polynomials.iter().map(Vec::len).max().unwrap();
        let coefficient = |k: usize| {
            let points: Vec<_> = self.polynomials[..t]
                .iter()
                .map(|all| Point::base(all.get(k).unwrap_or(&Scalar::ZERO)))
                .collect();
            Point::new(weighted(&weights, &points))
        };
        (0..longest).map(coefficient).collect()
    }
}

fn opened(shares: &[(u16, Scalar)]) -> RistrettoPoint {
    let members: Vec<_> = shares.iter().map(|(member, _)| MemberId(*member)).collect();
    let weights: Vec<Scalar> = lagrange(&members).unwrap();
    let secret: Scalar = shares.iter().zip(weights).map(|((_, share), w)| share * w).sum();
    RistrettoPoint::mul_base(&secret)
}

/// The twin that does not count coefficients: one dealer's longer polynomial passes every check
/// of a share, and the key is lost to any t of the new members.
#[test]
fn without_the_check_of_the_degree_one_dealer_destroys_the_key() {
    let (_, shares) = generated(4);
    let key = *shares[0].public().key().value();
    let of_three = |plain: &Plain| {
        let shares: Vec<_> = (0..3).map(|member| (member, plain.share(member, 0, 3))).collect();
        // Everyone's share fits the commitments it sees.
        for (member, share) in &shares {
            let committed = committed_at(&plain.public(3), MemberId(*member));
            assert_eq!(RistrettoPoint::mul_base(share), committed);
        }
        opened(&shares)
    };
    let mut plain = Plain::new(&shares, 3);
    assert_eq!(of_three(&plain), key);
    plain.polynomials[0].push(Scalar::ONE);
    assert_eq!(*plain.public(3)[0].value(), key);
    assert_ne!(of_three(&plain), key);
}

/// The twin that does not compare the constant with `X_j`: one dealer replaces the key.
#[test]
fn without_the_check_of_the_constant_one_dealer_changes_the_key() {
    let (_, shares) = generated(4);
    let key = *shares[0].public().key().value();
    let mut plain = Plain::new(&shares, 3);
    plain.polynomials[0][0] += Scalar::ONE;
    assert_ne!(*plain.public(3)[0].value(), key);
}

/// The twin in which each new member chooses its own dealers.
#[test]
fn without_one_set_of_dealers_shares_do_not_fit() {
    let (_, shares) = generated(4);
    let key = *shares[0].public().key().value();
    let plain = Plain::new(&shares, 3);
    let same: Vec<_> = (0..3).map(|member| (member, plain.share(member, 1, 3))).collect();
    assert_eq!(opened(&same), key);
    let mixed: Vec<_> =
        (0..3).map(|member| (member, plain.share(member, usize::from(member == 0), 3))).collect();
    assert_ne!(opened(&mixed), key);
}
