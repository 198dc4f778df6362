//! Key generation with silent, crashing and lying members.

use nexus_types::{Canonical, Digest, MemberId};

use super::board::{Ended, Faults, First, Keyring, Liar, Nobody, shares_of};
use crate::threshold::dkg::Generation;
use crate::threshold::exchange::{Exchange, Scheme, Share};
use crate::threshold::group::Secret;
use crate::threshold::{
    Body, Certificate, CertificateError, Exponent, Fault, Phase, Point, Post, PostError, Restart,
    SessionError, Statement,
};
use crate::twin::{Check, without};

type Lie = fn(&mut Body) -> bool;

fn shift(point: &mut Point) {
    *point = Point::new(point.value() + Point::base(&1u8.into()).value());
}

const HONEST: Lie = |_| true;
const SILENT: Lie = |_| false;
const CRASHES_AFTER_DEALING: Lie = |body| matches!(body, Body::Deal(_));
const WRONG_SHARE: Lie = |body| {
    if let Body::Deal(deal) = body {
        deal.packets.last_mut().unwrap().0[1] ^= 1;
    }
    true
};
const WRONG_SHARE_UNANSWERED: Lie = |body| WRONG_SHARE(body) && !matches!(body, Body::Answers(_));
const OTHER_COMMITMENT: Lie = |body| {
    if let Body::Deal(deal) = body {
        shift(&mut deal.commitment[1]);
    }
    true
};
const LONGER: Lie = |body| {
    if let Body::Deal(deal) = body {
        deal.commitment.push(deal.commitment[0]);
    }
    true
};
const SHORTER: Lie = |body| {
    if let Body::Deal(deal) = body {
        deal.commitment.pop();
    }
    true
};
/// About a dealer that deals honestly.
const FALSE_COMPLAINT: Lie = |body| {
    if let Body::Complaints(dealers) = body {
        *dealers = vec![MemberId(3)];
    }
    true
};
const UNPROVEN: Lie = |body| {
    if let Body::Extraction(extraction) = body {
        let mut bytes = borsh::to_vec(&extraction.proof).unwrap();
        bytes[32] ^= 1;
        extraction.proof = borsh::from_slice(&bytes).unwrap();
    }
    true
};
/// The proof holds: only the shares tell.
const OTHER_PART: Lie = |body| {
    if let Body::Extraction(extraction) = body {
        shift(&mut extraction.commitment[1]);
    }
    true
};
const OTHER_PART_AND_WRONG_EXPOSURES: Lie = |body| {
    if let Body::Accusations(exposures) | Body::Pool(exposures) = body {
        for exposure in exposures {
            exposure.share.value = Exponent(exposure.share.value.0 + exposure.share.value.0);
        }
    }
    OTHER_PART(body)
};

/// Member i tells the i-th lie.
struct Lies(Vec<Lie>);

impl Liar for Lies {
    fn controls(&self, member: MemberId) -> bool {
        member.index() < self.0.len()
    }

    fn post(&self, mut honest: Statement, _: &[Vec<u8>]) -> Option<Statement> {
        self.0[honest.author.index()](&mut honest.body).then_some(honest)
    }
}

fn run(size: u16, lies: Vec<Lie>) -> (Point, Faults) {
    let mut keyring = Keyring::new(size, u64::from(size));
    let liars = u16::try_from(lies.len()).unwrap();
    let (shares, faults) = shares_of(keyring.generate(&Lies(lies)), liars);
    keyring.certify(&shares);
    (shares[0].public().key, faults)
}

/// As many members as may be faulty tell one lie, and are found out.
fn found(lie: Lie, dealer: Option<Fault>, receiver: Option<Fault>) -> [Point; 2] {
    [4, 7].map(|size| {
        let liars = (size - 1) / 3;
        let (key, faults) = run(size, vec![lie; usize::from(liars)]);
        assert_eq!(faults, Faults::of(liars, dealer, receiver), "{size} members");
        key
    })
}

/// As [`found`], for lies that come after the key is fixed: it is what it would have been.
fn found_and_harmless(lie: Lie) {
    assert_eq!(found(lie, Some(Fault::Extraction), None), found(HONEST, None, None));
}

/// Lies in the first phases.
#[test]
fn who_deals_or_complains_wrongly_is_named_and_the_others_go_on() {
    found(SILENT, Some(Fault::Silent), None);
    found(WRONG_SHARE, Some(Fault::Opening), None);
    found(WRONG_SHARE_UNANSWERED, Some(Fault::Unanswered), None);
    found(OTHER_COMMITMENT, Some(Fault::Complaints), None);
    found(LONGER, Some(Fault::Silent), None);
    found(SHORTER, Some(Fault::Silent), None);
    found(FALSE_COMPLAINT, None, Some(Fault::FalseComplaint));
}

/// The twin hears no complaints: two of four members have no share, and the other two a key that
/// they alone believe in and cannot open.
#[test]
fn complaints_that_are_not_heard_leave_a_key_that_nobody_opens() {
    let lie: Lie = |body| {
        if let Body::Deal(deal) = body {
            deal.packets[2..].iter_mut().for_each(|packet| packet.0[1] ^= 1);
        }
        true
    };
    let (_, faults) = run(4, vec![lie]);
    assert_eq!(faults, Faults::of(1, Some(Fault::Complaints), None));
    let mut keyring = Keyring::new(4, 4);
    let ended = without(&[Check::Complaints], || keyring.generate(&Lies(vec![lie])));
    let mut votes = Vec::new();
    for (member, end) in MemberId::all(4).zip(ended) {
        match end {
            Ok(Ended::Done(outcome)) => {
                let identity = &keyring.identities[member.index()];
                let vote = outcome.share.confirm(identity).unwrap();
                votes.push((outcome.share.public().clone(), vote));
            }
            other => {
                assert!(member.0 >= 2, "{member} ended with {other:?}");
                let dealer = MemberId(0);
                assert!(
                    matches!(other, Err(SessionError::Incomplete { dealer: d }) if d == dealer)
                );
            }
        }
    }
    let (keys, votes): (Vec<_>, Vec<_>) = votes.into_iter().unzip();
    assert!(keys.len() == 2 && keys[0] == keys[1] && keys[0].threshold() == 3);
    let refused = Certificate::new(&keyring.committee, keys[0].clone(), &votes).map(drop);
    assert_eq!(refused, Err(CertificateError::TooFew { got: 2, need: 3 }));
}

/// Lies in the last.
#[test]
fn parts_of_the_key_that_are_not_shown_are_reconstructed() {
    found_and_harmless(CRASHES_AFTER_DEALING);
    found_and_harmless(UNPROVEN);
    found_and_harmless(OTHER_PART);
    found_and_harmless(OTHER_PART_AND_WRONG_EXPOSURES);
}

#[test]
fn sixteen_members_get_a_key_whatever_five_of_them_do() {
    let expect = |lies: Vec<Lie>, dealers: &[(u16, Fault)], receivers: &[(u16, Fault)]| {
        let (key, faults) = run(16, lies);
        let by_member = |faults: &[(u16, Fault)]| {
            faults.iter().map(|&(member, fault)| (MemberId(member), fault)).collect()
        };
        let expected = Faults { dealers: by_member(dealers), receivers: by_member(receivers) };
        assert_eq!(faults, expected);
        key
    };
    let honest = expect(vec![], &[], &[]);
    expect(
        vec![SILENT, CRASHES_AFTER_DEALING, WRONG_SHARE, WRONG_SHARE_UNANSWERED, OTHER_PART],
        &[
            (0, Fault::Silent),
            (1, Fault::Extraction),
            (2, Fault::Opening),
            (3, Fault::Unanswered),
            (4, Fault::Extraction),
        ],
        &[],
    );
    expect(
        vec![OTHER_COMMITMENT, LONGER, FALSE_COMPLAINT, UNPROVEN, OTHER_PART_AND_WRONG_EXPOSURES],
        &[
            (0, Fault::Complaints),
            (1, Fault::Silent),
            (3, Fault::Extraction),
            (4, Fault::Extraction),
        ],
        &[(2, Fault::FalseComplaint)],
    );
    let late = expect(
        vec![CRASHES_AFTER_DEALING, UNPROVEN, OTHER_PART, OTHER_PART_AND_WRONG_EXPOSURES, UNPROVEN],
        &[0, 1, 2, 3, 4].map(|dealer| (dealer, Fault::Extraction)),
        &[],
    );
    assert_eq!(late, honest);
}

/// Seals wrong shares properly and opens them as they are: only the commitment tells.
struct ProperlyWrong {
    exchange: Exchange,
    victim: MemberId,
}

impl ProperlyWrong {
    const SEED: [u8; 32] = [7; 32];

    fn share() -> Share {
        Share { value: Secret(3u8.into()), blinding: Secret(4u8.into()) }
    }
}

impl Liar for ProperlyWrong {
    fn controls(&self, member: MemberId) -> bool {
        member.0 == 0
    }

    fn post(&self, mut honest: Statement, _: &[Vec<u8>]) -> Option<Statement> {
        let (dealer, victim) = (honest.author, self.victim);
        if let Body::Deal(deal) = &mut honest.body {
            let sealed = self.exchange.seal(dealer, victim, &Self::share(), &Self::SEED);
            deal.packets[victim.index()] = sealed.unwrap();
        }
        if let Body::Answers(openings) = &mut honest.body {
            (openings[0].share, openings[0].seed) = (Self::share().open(), Self::SEED);
        }
        Some(honest)
    }
}

#[test]
fn a_wrong_share_sealed_and_opened_properly_is_found() {
    let mut keyring = Keyring::new(4, 1);
    let committee = || keyring.committee.clone();
    let session = keyring.terms().session();
    let exchange = Exchange::new(session, Scheme::Pedersen, committee(), committee());
    let liar = ProperlyWrong { exchange, victim: MemberId(2) };
    let (_, faults) = shares_of(keyring.generate(&liar), 1);
    assert_eq!(faults, Faults::of(1, Some(Fault::Opening), None));
}

/// An honest dealer opens a right share under a wrong complaint; then the one who complained can
/// use what is public.
#[test]
fn a_member_that_lost_its_packets_gets_its_share_from_the_answers() {
    let lie: Lie = |body| {
        if let Body::Complaints(dealers) = body {
            *dealers = MemberId::all(4).collect();
        }
        true
    };
    let mut keyring = Keyring::new(4, 4);
    let (shares, faults) = shares_of(keyring.generate(&First(1, lie)), 0);
    assert_eq!(shares.len(), 4);
    assert_eq!(faults, Faults::of(1, None, Some(Fault::FalseComplaint)));
}

/// f + 1 false complaints, each about another dealer: 2f + 1 = t shares might be known.
struct Complainers;

impl Liar for Complainers {
    fn controls(&self, _: MemberId) -> bool {
        true
    }

    fn post(&self, mut honest: Statement, _: &[Vec<u8>]) -> Option<Statement> {
        let author = honest.author;
        if let Body::Complaints(dealers) = &mut honest.body
            && author.0 <= 2
        {
            *dealers = vec![MemberId(author.0 + 3)];
        }
        Some(honest)
    }
}

#[test]
fn too_many_shares_made_public_restart_the_generation() {
    let mut keyring = Keyring::new(7, 1);
    for end in keyring.generate(&Complainers) {
        let expected = Restart::Revealed { revealed: 3, faulty: 2, threshold: 5 };
        assert!(matches!(end, Ok(Ended::Restart(restart)) if restart == expected));
    }
}

#[test]
fn too_many_dealers_to_reconstruct_restart_the_generation() {
    let mut keyring = Keyring::new(4, 1);
    let ended = keyring.generate(&First(3, |body: &mut Body| !matches!(body, Body::Extraction(_))));
    for end in ended {
        let expected = Restart::Exposed { exposed: 3, faulty: 1, qualified: 4 };
        assert!(matches!(end, Ok(Ended::Restart(restart)) if restart == expected));
    }
}

#[test]
fn more_silent_members_than_there_may_be_are_named() {
    let mut keyring = Keyring::new(7, 1);
    let error = SessionError::TooFew { phase: Phase::Answer, qualified: 4, need: 5 };
    for end in keyring.generate(&First(3, |_: &mut Body| false)) {
        assert!(matches!(end, Err(got) if got == error));
    }
}

fn begin(keyring: &mut Keyring, member: u16) -> (Generation, Vec<u8>) {
    let (identity, packets) = keyring.keys(MemberId(member));
    let terms = keyring.terms();
    Generation::new(terms, MemberId(member), identity, packets, &mut keyring.rng).unwrap()
}

fn resign(keyring: &Keyring, post: &[u8], signer: usize, change: fn(&mut Statement)) -> Vec<u8> {
    let mut statement = Post::decode(post).unwrap().statement;
    change(&mut statement);
    Post::sign(statement, &keyring.identities[signer]).unwrap().encode().unwrap()
}

#[test]
fn the_board_refuses_what_does_not_belong_there() {
    let mut keyring = Keyring::new(4, 1);
    let (mut machine, own) = begin(&mut keyring, 0);
    let (_, other) = begin(&mut keyring, 1);
    let (_, second) = begin(&mut keyring, 1);
    let author = MemberId(1);
    let session = resign(&keyring, &other, 1, |s| s.session = Digest::of("test", b"other"));
    let stranger = resign(&keyring, &other, 1, |s| s.author = MemberId(4));
    let turn = resign(&keyring, &other, 1, |s| s.body = Body::Pool(Vec::new()));
    let forged = resign(&keyring, &other, 2, |_| ());
    let (got, now) = (Phase::Pool, Phase::Deal);
    for (post, error) in [
        (session, PostError::OtherSession),
        (stranger, PostError::Stranger { author: MemberId(4) }),
        (turn, PostError::OutOfTurn { author, got, now }),
        (forged, PostError::Signature { author }),
    ] {
        assert_eq!(machine.receive(&post), Err(error));
    }
    for post in [&own, &other, &other] {
        assert_eq!(machine.receive(post), Ok(()));
    }
    assert_eq!(machine.receive(&second), Err(PostError::Contradiction { author }));
    assert_eq!(machine.waiting(), [MemberId(2), MemberId(3)]);
    let _ = machine.close(&mut keyring.rng).unwrap();
    for dealers in [vec![MemberId(2), MemberId(2)], vec![MemberId(4)], vec![MemberId(1); 200]] {
        let mut statement = Post::decode(&other).unwrap().statement;
        statement.body = Body::Complaints(dealers);
        let post = Post::sign(statement, &keyring.identities[1]).unwrap().encode().unwrap();
        assert_eq!(machine.receive(&post), Err(PostError::Members { author }));
    }
}

#[test]
fn keys_of_another_seat_are_refused() {
    let mut keyring = Keyring::new(4, 1);
    let (identity, _) = keyring.keys(MemberId(0));
    let (_, packets) = keyring.keys(MemberId(1));
    let terms = keyring.terms();
    let refused =
        Generation::new(terms, MemberId(0), identity, packets, &mut keyring.rng).map(drop);
    assert_eq!(refused, Err(SessionError::Stranger { member: MemberId(0) }));
}

#[test]
fn a_key_counts_only_with_a_quorum_behind_it() {
    let mut keyring = Keyring::new(4, 1);
    let (shares, _) = shares_of(keyring.generate(&Nobody), 0);
    let mut votes: Vec<_> = shares
        .iter()
        .map(|share| share.confirm(&keyring.identities[share.member().index()]).unwrap())
        .collect();
    let key = shares[0].public().clone();
    let certify = |votes: &[_]| Certificate::new(&keyring.committee, key.clone(), votes).map(drop);
    assert_eq!(certify(&votes), Ok(()));
    assert_eq!(certify(&votes[..3]), Ok(()));
    let few = CertificateError::TooFew { got: 2, need: 3 };
    assert_eq!(certify(&votes[..2]), Err(few.clone()));
    // Votes on another key, of another member, or twice do not count.
    votes[0].key = Digest::of("test", b"other");
    votes[1].member = MemberId(3);
    assert_eq!(certify(&votes), Err(few));
    let twice = [votes[2].clone(), votes[2].clone(), votes[2].clone()];
    assert_eq!(certify(&twice), Err(CertificateError::TooFew { got: 1, need: 3 }));
}

/// Two halves of the members that saw different boards have different keys, and neither half is
/// a quorum.
#[test]
fn a_board_that_shows_two_faces_gets_no_certificate() {
    let (mut one, mut two) = (Keyring::new(4, 1), Keyring::new(4, 1));
    let (left, _) = shares_of(one.generate(&Nobody), 0);
    let (right, _) = shares_of(two.generate(&First(1, |_: &mut Body| false)), 1);
    let vote = |share: &crate::threshold::KeyShare| {
        share.confirm(&one.identities[share.member().index()]).unwrap()
    };
    let votes: Vec<_> = left[..2].iter().chain(&right[1..]).map(vote).collect();
    for shares in [left, right] {
        let key = shares[0].public().clone();
        let refused = Certificate::new(&one.committee, key, &votes);
        assert_eq!(refused.map(drop), Err(CertificateError::TooFew { got: 2, need: 3 }));
    }
}
