//! What is known to go wrong in the wild, on a twin that has the fault and on the real thing.

use curve25519_dalek::Scalar;
use nexus_field::mask::{self, MaskKey, Sign};
use nexus_types::{Digest, OwnerId};

use super::stage::rng;
use crate::aggregation::secagg_plus::secret::{Point, Secret, Way, own_mask};
use crate::sharing::{Polynomial, lagrange_at_zero};

const SESSION: Digest = Digest([5; 32]);

fn words(key: &MaskKey, count: usize) -> Vec<u32> {
    let mut words = vec![0; count];
    mask::add(key, 0, &mut words);
    words
}

fn pair(a: &Secret, b: &Secret, session: &Digest) -> (MaskKey, Sign) {
    let common = a.meet(&[b.public().element().unwrap()]);
    Way { session, from: OwnerId(1), to: OwnerId(2) }.mask(&common[0])
}

/// The fault: the pair's secret is folded into a small seed of the generator; 32 bits in the
/// wild, 16 here, so that the test may try them all.
fn folded(common: &[u8; 32]) -> MaskKey {
    let seed = common.chunks(2).fold([0, 0], |[a, b], c| [a ^ c[0], b ^ c[1]]);
    let mut key = [0; 16];
    key[..2].copy_from_slice(&seed);
    MaskKey::new(key)
}

#[test]
fn a_mask_whose_seed_was_folded_is_found_by_trying() {
    let mut rng = rng(1);
    let (a, b) = (Secret::random(&mut rng), Secret::random(&mut rng));
    let search = |seen: &[u32]| {
        (0..=u16::MAX).find(|seed| {
            let mut key = [0; 16];
            key[..2].copy_from_slice(&seed.to_le_bytes());
            words(&MaskKey::new(key), 4) == seen
        })
    };
    // A vector known to begin with noughts shows the stream itself.
    let common = a.meet(&[b.public().element().unwrap()]);
    assert!(search(&words(&folded(&common[0]), 4)).is_some());
    assert!(search(&words(&pair(&a, &b, &SESSION).0, 4)).is_none());
}

#[test]
fn all_bits_of_a_mask_vary_with_the_key() {
    let mut rng = rng(2);
    let (mut ones, mut noughts) = ([0u32; 4], [0u32; 4]);
    for _ in 0..40 {
        let (a, b) = (Secret::random(&mut rng), Secret::random(&mut rng));
        assert_eq!(words(&pair(&a, &b, &SESSION).0, 4), words(&pair(&b, &a, &SESSION).0, 4));
        for (at, word) in words(&pair(&a, &b, &SESSION).0, 4).into_iter().enumerate() {
            ones[at] |= word;
            noughts[at] |= !word;
        }
    }
    assert_eq!((ones, noughts), ([u32::MAX; 4], [u32::MAX; 4]));
}

#[test]
fn masks_take_every_value_and_the_top_one_too() {
    // The fault: numbers drawn below the largest one, which then shows what was not masked.
    let bytes: Vec<u8> =
        words(&own_mask(&SESSION, OwnerId(0), &Secret::random(&mut rng(3))), 1 << 18)
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
    let count = |bytes: &mut dyn Iterator<Item = u8>| {
        let mut counts = [0u32; 256];
        bytes.for_each(|byte| counts[usize::from(byte)] += 1);
        counts
    };
    let twin = count(&mut bytes.iter().map(|byte| byte % 255));
    assert_eq!(twin[255], 0);
    let counts = count(&mut bytes.iter().copied());
    let mean = bytes.len() as f64 / 256.0;
    let chi: f64 = counts.iter().map(|c| (f64::from(*c) - mean).powi(2) / mean).sum();
    // 255 degrees of freedom: mean 255, deviation 22.6.
    assert!((150.0..370.0).contains(&chi), "{chi}");
}

#[test]
fn a_share_at_nought_is_the_secret_and_nobody_has_it() {
    let mut rng = rng(4);
    let secret = Secret::random(&mut rng);
    let polynomial = Polynomial::random(&mut rng, secret.0, 3);
    // The fault: the owner's number is the point of its share.
    assert_eq!(polynomial.at(u16::try_from(OwnerId(0).0).unwrap()), secret.0);
    assert!(
        polynomial.shares(200).iter().all(|share| share.holder != 0 && share.value != secret.0)
    );
    // Two shares of one point, in another twin, would divide by nought.
    assert!(lagrange_at_zero::<Scalar>(&[1, 2, 2]).is_err());
    assert!(lagrange_at_zero::<Scalar>(&[0, 1, 2]).is_err());
}

#[test]
fn a_threshold_from_the_coordinator_would_be_one() {
    let mut rng = rng(5);
    let secret = Secret::random(&mut rng);
    // The fault: the coordinator names the threshold. Any one holder then has the secret.
    assert_eq!(Polynomial::random(&mut rng, secret.0, 1).at(7), secret.0);
    // No message of the coordinator has a place for it: see `attacks`, where each is altered.
}

#[test]
fn the_neutral_point_is_no_key() {
    assert!(Point([0; 32]).element().is_none());
    // The fault: it is taken, and everybody knows what it has in common with any key.
    let neutral = curve25519_dalek::RistrettoPoint::default();
    let common = |seed| Secret::random(&mut rng(seed)).meet(&[neutral])[0].to_vec();
    assert_eq!(common(6), common(7));
    // An encoding that is not canonical, and one that is no point.
    assert!(Point([0xff; 32]).element().is_none());
    assert!(Point(Scalar::from(3u64).to_bytes()).element().is_none());
}

#[test]
fn masks_of_one_pair_differ_from_sum_to_sum_and_between_uses() {
    let mut rng = rng(8);
    let (a, b) = (Secret::random(&mut rng), Secret::random(&mut rng));
    let first = words(&pair(&a, &b, &SESSION).0, 4);
    assert_ne!(first, words(&pair(&a, &b, &Digest([6; 32])).0, 4));
    assert_ne!(first, words(&own_mask(&SESSION, OwnerId(1), &a), 4));
    let own = |owner| words(&own_mask(&SESSION, OwnerId(owner), &a), 4);
    assert_ne!(own(1), own(2));
}
