//! A secret handed to other committees.

use std::collections::BTreeSet;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;

use super::*;

type Dealings = BTreeMap<u16, (Feldman, Vec<Share<Scalar>>)>;

fn deal(
    rng: &mut ChaCha12Rng,
    sharing: &Sharing,
    shares: &[Share<Scalar>],
    to: Threshold,
) -> Dealings {
    let deal = |share: &Share<Scalar>| {
        let dealt = sharing.reshare(rng, share, to).unwrap();
        (share.holder, (dealt.commitment, dealt.shares))
    };
    shares.iter().map(deal).collect()
}

fn commitments(dealings: &Dealings) -> BTreeMap<u16, Feldman> {
    dealings.iter().map(|(&dealer, (commitment, _))| (dealer, commitment.clone())).collect()
}

fn received(dealings: &Dealings, holder: u16) -> BTreeMap<u16, (Feldman, Share<Scalar>)> {
    let share = |shares: &[Share<Scalar>]| shares[usize::from(holder) - 1].clone();
    dealings.iter().map(|(&dealer, (c, shares))| (dealer, (c.clone(), share(shares)))).collect()
}

fn next(old: &Sharing, dealings: &Dealings, to: Threshold) -> (Sharing, Vec<Share<Scalar>>) {
    let new = old.next(to, &commitments(dealings)).unwrap();
    let receive = |holder| old.receive(&new, &received(dealings, holder), holder).unwrap();
    let shares = (1..=to.holders()).map(receive).collect();
    (new, shares)
}

#[test]
fn a_disjoint_committee_gets_the_same_secret() {
    let mut rng = rng(1);
    let secret = Scalar::random(&mut rng);
    let (mut sharing, mut shares) = Sharing::deal(&mut rng, Threshold::new(3, 4).unwrap(), secret);
    let public = sharing.public();
    assert_eq!(public, RistrettoPoint::mul_base(&secret));
    for (epoch, (needed, holders)) in (1..).zip([(5, 7), (2, 5), (11, 16)]) {
        let to = Threshold::new(needed, holders).unwrap();
        let from = usize::from(sharing.threshold.needed());
        let dealings = deal(&mut rng, &sharing, &shares[shares.len() - from..], to);
        (sharing, shares) = next(&sharing, &dealings, to);
        assert_eq!((sharing.epoch, sharing.threshold), (epoch, to));
        assert_eq!(sharing.public(), public);
        assert_eq!(sharing.open(&shares).unwrap(), secret);
        let few = &shares[..usize::from(needed) - 1];
        assert!(matches!(sharing.open(few), Err(ReshareError::Share(ShareError::TooFew { .. }))));
    }
}

#[test]
fn shares_of_two_epochs_do_not_mix() {
    let mut rng = rng(2);
    let threshold = Threshold::new(3, 5).unwrap();
    let secret = Scalar::random(&mut rng);
    let (old, old_shares) = Sharing::deal(&mut rng, threshold, secret);
    let dealings = deal(&mut rng, &old, &old_shares[..3], threshold);
    let (new, new_shares) = next(&old, &dealings, threshold);
    let mixed = [old_shares[0].clone(), new_shares[1].clone(), new_shares[2].clone()];
    let problem = CommitmentError::Share { holder: 1 };
    assert_eq!(new.open(&mixed), Err(ReshareError::Epoch { epoch: 1, problem }));
    let problem = CommitmentError::Share { holder: 2 };
    assert_eq!(old.open(&mixed), Err(ReshareError::Epoch { epoch: 0, problem }));
    assert_eq!(
        new.reshare(&mut rng, &old_shares[1], threshold).map(|_| ()),
        Err(ReshareError::Epoch { epoch: 1, problem })
    );
    // The weakened twin does not check: it gets a secret, but not this one.
    assert_ne!(threshold.combine(&mixed), Ok(secret));
    // A dealer that hands on its share of the old epoch is named.
    let mut dealings = commitments(&deal(&mut rng, &new, &new_shares[..2], threshold));
    let stale = old.reshare(&mut rng, &old_shares[2], threshold).unwrap();
    dealings.insert(3, stale.commitment);
    let refused = ReshareError::OtherShare { dealer: 3, epoch: 1 };
    assert_eq!(new.next(threshold, &dealings), Err(refused));
}

#[test]
fn dealers_that_cheat_are_named() {
    let mut rng = rng(3);
    let (from, to) = (Threshold::new(2, 3).unwrap(), Threshold::new(3, 4).unwrap());
    let secret = Scalar::random(&mut rng);
    let (old, shares) = Sharing::deal(&mut rng, from, secret);
    let honest = deal(&mut rng, &old, &shares[..2], to);
    let new = old.next(to, &commitments(&honest)).unwrap();
    // A polynomial of higher degree.
    let mut dealings = commitments(&honest);
    let long = Polynomial::random(&mut rng, shares[1].value, 4);
    dealings.insert(2, Feldman::to(&long));
    let problem = CommitmentError::Length { got: 4, expected: 3 };
    assert_eq!(old.next(to, &dealings), Err(ReshareError::Dealing { dealer: 2, problem }));
    // A wrong share for one new holder, and one that is another's.
    let mut cheated = received(&honest, 4);
    cheated.get_mut(&1).unwrap().1.value += Scalar::ONE;
    let problem = CommitmentError::Share { holder: 4 };
    let refused = Err(ReshareError::Dealing { dealer: 1, problem });
    assert_eq!(old.receive(&new, &cheated, 4), refused);
    assert!(old.receive(&new, &received(&honest, 3), 4).is_err());
    // Too few, too many, unknown dealers.
    let mut dealings = commitments(&honest);
    let third = dealings.remove(&2).unwrap();
    assert_eq!(old.next(to, &dealings), Err(ReshareError::Dealers { got: 1, expected: 2 }));
    dealings.insert(0, third.clone());
    assert_eq!(old.next(to, &dealings), Err(ReshareError::Stranger { holder: 0 }));
    dealings.remove(&0);
    dealings.insert(4, third);
    assert_eq!(old.next(to, &dealings), Err(ReshareError::Stranger { holder: 4 }));
    // Dealings that were agreed on elsewhere.
    let other = deal(&mut rng, &old, &shares[1..], to);
    assert!(old.receive(&new, &received(&other, 1), 1).is_err());
}

#[test]
fn packed_secrets_move_to_another_committee() {
    let mut rng = rng(4);
    for (from, to) in [(4, 7), (16, 50), (50, 4)] {
        let (old, secrets, answers) = committee(from, 20, 11);
        let new = Layout::committee(to).unwrap();
        let dealers: BTreeSet<MemberId> =
            answers.keys().rev().take(old.recovery().into()).copied().collect();
        let padded = old.elements(20) * usize::from(old.packing());
        let mut sums = vec![vec![Fp::ZERO; new.elements(padded)]; to.into()];
        for &dealer in &dealers {
            let parts = contribution(&old, &dealers, dealer, &answers[&dealer]).unwrap();
            let dealing = Dealing::new(&new, &mut rng, &parts);
            for (sum, row) in sums.iter_mut().zip(dealing.rows()) {
                add_rows(sum, row).unwrap();
            }
        }
        let answers: Answers = MemberId::all(to).zip(sums).collect();
        let found = recover(&new, &answers, padded, |_| true).unwrap();
        assert_eq!(found.secrets[..20], secrets);
    }
}

#[test]
fn contributions_are_of_dealers_only() {
    let (layout, _, answers) = committee(4, 2, 12);
    let row = &answers[&MemberId(0)];
    let set = |ids: &[u16]| ids.iter().copied().map(MemberId).collect::<BTreeSet<_>>();
    let part = |ids: &[u16], member| contribution(&layout, &set(ids), MemberId(member), row);
    assert!(part(&[0, 1, 2], 0).is_ok());
    assert_eq!(part(&[0, 1], 0), Err(ReshareError::Dealers { got: 2, expected: 3 }));
    assert_eq!(part(&[0, 1, 2, 3], 0), Err(ReshareError::Dealers { got: 4, expected: 3 }));
    assert_eq!(part(&[1, 2, 3], 0), Err(ReshareError::Stranger { holder: 0 }));
    assert_eq!(part(&[0, 1, 4], 0), Err(ReshareError::Stranger { holder: 4 }));
}
