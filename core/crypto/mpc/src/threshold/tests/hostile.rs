//! Bytes from an enemy, for every message.

use nexus_types::{Canonical, Digest, MemberId, tag_of};
use proptest::prelude::*;

use super::board::{Keyring, Nobody, shares_of};
use super::release::Dataset;
use crate::threshold::dkg::Generation;
use crate::threshold::release::{Grant, GranteeSecret, Partial};
use crate::threshold::tdh2::{Label, Record};
use crate::threshold::{
    Body, Certificate, Confirmation, Exposure, Extraction, GroupKey, KeyShare, Opening, Phase,
    Post, Statement,
};

/// Arbitrary bytes under the right header, and a real message with some bits changed or cut.
fn attack<T: Canonical>(payload: &[u8], real: &[u8], bit: usize, cut: usize) {
    let mut bytes = vec![T::VERSION];
    bytes.extend(tag_of(T::DOMAIN));
    bytes.extend(payload);
    same_or_refused::<T>(&bytes);
    let mut damaged = real.to_vec();
    let bit = bit % (8 * damaged.len());
    damaged[bit / 8] ^= 1 << (bit % 8);
    same_or_refused::<T>(&damaged);
    assert!(T::decode(&real[..cut % real.len()]).is_err());
}

fn same_or_refused<T: Canonical>(bytes: &[u8]) {
    if let Ok(value) = T::decode(bytes) {
        assert_eq!(value.encode().unwrap(), bytes);
    }
}

/// One real encoding of each message.
struct Samples {
    posts: Vec<Vec<u8>>,
    key: GroupKey,
    share: KeyShare,
    confirmation: Confirmation,
    certificate: Certificate,
    record: Record,
    grant: Grant,
    partial: Partial,
}

fn samples() -> Samples {
    let mut keyring = Keyring::new(4, 2);
    let (shares, _) = shares_of(keyring.generate(&Nobody), 0);
    let mut dataset = Dataset::new(&keyring, &shares);
    let record = dataset.record.verify(shares[0].public()).unwrap();
    let secret = GranteeSecret::generate(&mut dataset.rng);
    let grant = Grant::new(Digest::of("test", b"grant"), &record, &secret, &mut dataset.rng);
    let checked = grant.clone().verify(&record).unwrap();
    Samples {
        posts: posts(&mut keyring),
        key: shares[0].public().clone(),
        confirmation: shares[0].confirm(&keyring.identities[0]).unwrap(),
        certificate: keyring.certify(&shares),
        partial: checked.release(&shares[0], &mut dataset.rng).unwrap(),
        record: dataset.record.clone(),
        share: shares[0].clone(),
        grant,
    }
}

/// A post of every phase.
fn posts(keyring: &mut Keyring) -> Vec<Vec<u8>> {
    let (identity, packets) = keyring.keys(MemberId(0));
    let terms = keyring.terms();
    let (session, author) = (terms.session(), MemberId(0));
    let begun = Generation::new(terms, author, identity, packets, &mut keyring.rng).unwrap();
    let Body::Deal(deal) = Post::decode(&begun.1).unwrap().statement.body else {
        panic!("a generation begins with a deal")
    };
    let share = crate::threshold::OpenShare {
        value: crate::threshold::Exponent(2u8.into()),
        blinding: crate::threshold::Exponent(3u8.into()),
    };
    let proof = crate::threshold::schnorr::Proof::new(
        crate::threshold::group::Transcript::new("test"),
        &5u8.into(),
        &deal.commitment[0],
        &mut keyring.rng,
    );
    let exposures = vec![Exposure { dealer: MemberId(1), share }];
    let bodies = [
        Body::Complaints(vec![MemberId(1), MemberId(2)]),
        Body::Answers(vec![Opening { receiver: MemberId(1), share, seed: [1; 32] }]),
        Body::Extraction(Extraction { commitment: deal.commitment.clone(), proof }),
        Body::Accusations(exposures.clone()),
        Body::Pool(exposures),
        Body::Deal(deal),
    ];
    let sign = |body| {
        let statement = Statement { session, author, body };
        Post::sign(statement, &keyring.identities[0]).unwrap().encode().unwrap()
    };
    bodies.map(sign).to_vec()
}

#[test]
fn damaged_and_arbitrary_messages_are_refused_or_other_messages() {
    let samples = samples();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(128));
    let cases = (prop::collection::vec(any::<u8>(), 0..400), any::<usize>(), any::<usize>());
    let outcome = runner.run(&cases, |(payload, bit, cut)| {
        let attack_post = |real: &Vec<u8>| attack::<Post>(&payload, real, bit, cut);
        samples.posts.iter().for_each(attack_post);
        let bytes = |encoded: Result<Vec<u8>, _>| encoded.unwrap();
        attack::<GroupKey>(&payload, &bytes(samples.key.encode()), bit, cut);
        attack::<KeyShare>(&payload, &bytes(samples.share.encode()), bit, cut);
        attack::<Confirmation>(&payload, &bytes(samples.confirmation.encode()), bit, cut);
        attack::<Certificate>(&payload, &bytes(samples.certificate.encode()), bit, cut);
        attack::<Record>(&payload, &bytes(samples.record.encode()), bit, cut);
        attack::<Label>(&payload, &bytes(samples.record.label().encode()), bit, cut);
        attack::<Grant>(&payload, &bytes(samples.grant.encode()), bit, cut);
        attack::<Partial>(&payload, &bytes(samples.partial.encode()), bit, cut);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_machine_refuses_every_damaged_post() {
    let mut keyring = Keyring::new(4, 2);
    let (identity, packets) = keyring.keys(MemberId(1));
    let terms = keyring.terms();
    let begun = Generation::new(terms, MemberId(1), identity, packets, &mut keyring.rng);
    let mut machine = begun.unwrap().0;
    let deal = posts(&mut keyring).pop().unwrap();
    for bit in (0..8 * deal.len()).step_by(97) {
        let mut damaged = deal.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(machine.receive(&damaged).is_err(), "bit {bit}");
    }
    assert_eq!(machine.receive(&deal), Ok(()));
    assert_eq!(machine.phase(), Phase::Deal);
}

#[test]
fn the_longest_posts_fit() {
    let most = usize::from(crate::threshold::MAX_MEMBERS);
    let packet = crate::seal::OVERHEAD_BYTES + 64 + 4;
    assert!(67 * 32 + most * packet + 64 < Statement::MAX_BYTES);
    assert!(most * 66 + 64 < Certificate::MAX_BYTES - GroupKey::MAX_BYTES + 64);
}
