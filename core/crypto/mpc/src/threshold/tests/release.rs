//! Sealing and releasing data-set keys, and everything that must not open one.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use nexus_types::{Canonical, Digest, MemberId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::board::{Keyring, Nobody, secret_of, shares_of};
use crate::identity::Identity;
use crate::threshold::group::{Secret, TDH2, Transcript};
use crate::threshold::polynomial::{lagrange, weighted};
use crate::threshold::release::{CheckedGrant, Grant, GranteeSecret, Nonces, Partial};
use crate::threshold::rotate::{replaces, rewrap};
use crate::threshold::schnorr::Proof;
use crate::threshold::tdh2::{
    CheckedRecord, Ciphertext, DataKey, Label, Record, ReleaseError, encrypt,
};
use crate::threshold::{Exponent, GroupKey, KeyShare, Point};

/// A data-set key sealed under a committee's key.
pub(super) struct Dataset {
    pub(super) rng: ChaCha12Rng,
    owner: Identity,
    key: DataKey,
    pub(super) record: Record,
}

impl Dataset {
    pub(super) fn new(_: &Keyring, shares: &[KeyShare]) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(99);
        let owner = Identity::generate(&mut rng);
        let key = DataKey::generate(&mut rng);
        let label = label(&owner, b"policy");
        let record = encrypt(shares[0].public(), label, &key, &owner, &mut rng).unwrap();
        Self { rng, owner, key, record }
    }

    /// The shares' committee releases the key to a grantee.
    pub(super) fn opens_with(&mut self, shares: &[KeyShare]) {
        let public = shares[0].public();
        let record = self.record.verify(public).unwrap();
        let secret = GranteeSecret::generate(&mut self.rng);
        let grant = request(&record, &secret, &mut self.rng).verify(&record).unwrap();
        let t = usize::from(public.threshold());
        let partials: Vec<_> = shares[shares.len() - t..]
            .iter()
            .map(|share| grant.release(share, &mut self.rng).unwrap())
            .collect();
        let opened = grant.combine(public, &secret, &partials).unwrap();
        assert_eq!(opened, self.key);
    }
}

fn label(owner: &Identity, policy: &[u8]) -> Label {
    let (dataset, policy) = (Digest::of("test", b"dataset"), Digest::of("test", policy));
    Label { dataset, owner: owner.public(), policy }
}

fn request(record: &CheckedRecord, secret: &GranteeSecret, rng: &mut ChaCha12Rng) -> Grant {
    Grant::new(Digest::of("test", b"grant"), record, secret, rng)
}

struct Setting {
    shares: Vec<KeyShare>,
    dataset: Dataset,
    secret: GranteeSecret,
    checked: CheckedRecord,
}

impl Setting {
    fn new() -> Self {
        let mut keyring = Keyring::new(4, 5);
        let (shares, _) = shares_of(keyring.generate(&Nobody), 0);
        let mut dataset = Dataset::new(&keyring, &shares);
        let secret = GranteeSecret::generate(&mut dataset.rng);
        let checked = dataset.record.verify(shares[0].public()).unwrap();
        Self { shares, dataset, secret, checked }
    }

    fn public(&self) -> &GroupKey {
        self.shares[0].public()
    }

    fn rng(&self) -> ChaCha12Rng {
        self.dataset.rng.clone()
    }

    fn grant(&self) -> CheckedGrant<'_> {
        let grant = request(&self.checked, &self.secret, &mut self.rng());
        grant.verify(&self.checked).unwrap()
    }

    fn partials(&self) -> Vec<Partial> {
        let (grant, mut rng) = (self.grant(), self.rng());
        self.shares.iter().map(|share| grant.release(share, &mut rng).unwrap()).collect()
    }
}

#[test]
fn any_t_members_release_the_key_and_fewer_do_not() {
    let setting = Setting::new();
    let (grant, partials) = (setting.grant(), setting.partials());
    let combine = |chosen: &[usize]| {
        let chosen: Vec<_> = chosen.iter().map(|&at| partials[at].clone()).collect();
        grant.combine(setting.public(), &setting.secret, &chosen)
    };
    for chosen in [&[0, 1, 2][..], &[3, 0, 2], &[1, 2, 3], &[0, 1, 2, 3]] {
        assert_eq!(combine(chosen).as_ref(), Ok(&setting.dataset.key));
    }
    assert_eq!(combine(&[0, 1]), Err(ReleaseError::TooFew { got: 2, need: 3 }));
    assert_eq!(combine(&[]), Err(ReleaseError::TooFew { got: 0, need: 3 }));
    assert_eq!(combine(&[0, 1, 0]), Err(ReleaseError::Duplicate { member: MemberId(0) }));
}

#[test]
fn only_the_grantee_can_open() {
    let setting = Setting::new();
    let other = GranteeSecret::generate(&mut setting.rng());
    let (grant, partials) = (setting.grant(), setting.partials());
    let refused = grant.combine(setting.public(), &other, &partials);
    assert_eq!(refused, Err(ReleaseError::OtherGrantee));
    // Partials for one grantee are none for another, nor for another grant of the same.
    let mut rng = setting.rng();
    let theirs = request(&setting.checked, &other, &mut rng).verify(&setting.checked).unwrap();
    let again =
        Grant::new(Digest::of("test", b"second"), &setting.checked, &setting.secret, &mut rng);
    let again = again.verify(&setting.checked).unwrap();
    for grant in [theirs, again] {
        let refused = grant.verify(setting.public(), &partials[0]);
        assert_eq!(refused, Err(ReleaseError::Partial { member: MemberId(0) }));
    }
}

#[test]
fn every_changed_field_of_a_partial_is_noticed() {
    let setting = Setting::new();
    let (grant, partials) = (setting.grant(), setting.partials());
    let public = setting.public();
    assert_eq!(grant.verify_all(public, &partials), Ok(()));
    let shift = |point: &mut Point| *point = Point::new(point.value() + public.key().value());
    let mut forged: Vec<Partial> = Vec::new();
    let mut change = |change: &dyn Fn(&mut Partial)| {
        let mut partial = partials[1].clone();
        change(&mut partial);
        forged.push(partial);
    };
    change(&|partial| shift(&mut partial.r));
    change(&|partial| shift(&mut partial.d));
    for at in 0..3 {
        change(&|partial| shift(&mut partial.commitments[at]));
    }
    for at in 0..2 {
        change(&|partial| partial.responses[at].0 += Scalar::ONE);
    }
    change(&|partial| partial.member = MemberId(2));
    for partial in forged {
        let member = partial.member;
        let expected = Err(ReleaseError::Partial { member });
        assert_eq!(grant.verify(public, &partial), expected);
        let batch = [partials[0].clone(), partial, partials[3].clone()];
        assert_eq!(grant.verify_all(public, &batch), expected);
    }
    let mut stranger = partials[1].clone();
    stranger.member = MemberId(4);
    let refused = grant.verify(public, &stranger);
    assert_eq!(refused, Err(ReleaseError::Stranger { member: MemberId(4) }));
}

/// The twin whose challenge leaves out the third commitment: a member "releases" garbage that
/// verifies, and keeps its stake.
#[test]
fn a_commitment_outside_the_challenge_lets_a_member_lie() {
    let setting = Setting::new();
    let (grant, public) = (setting.grant(), setting.public());
    let (u, p) = (setting.checked.record.body.u, setting.secret.public());
    let twin = |partial: &Partial| {
        let mut seen = partial.clone();
        seen.commitments[2] = seen.commitments[0];
        grant.challenge(public.share(MemberId(0)).unwrap(), &seen)
    };
    let holds = |partial: &Partial, c: Scalar| {
        let [z, y] = partial.responses.map(|response| response.0);
        let [a, b, d] = partial.commitments.map(|point| *point.value());
        let share = public.share(MemberId(0)).unwrap().value();
        RistrettoPoint::mul_base(&z) == a + c * share
            && RistrettoPoint::mul_base(&y) == b + c * partial.r.value()
            && z * u.value() + y * p.value() == d + c * partial.d.value()
    };
    // Keeps X_j's relation, replaces D, and solves for the last commitment.
    let (secret, rho) = (setting.shares[0].secret.0, Scalar::from(5u8));
    let (k, l) = (Scalar::from(6u8), Scalar::from(7u8));
    let mut forged = Partial {
        epoch: 0,
        member: MemberId(0),
        r: Point::base(&rho),
        d: Point::base(&Scalar::from(8u8)),
        commitments: [Point::base(&k), Point::base(&l), Point::base(&k)],
        responses: [Exponent(k), Exponent(l)],
    };
    let c = twin(&forged);
    let (z, y) = (k + c * secret, l + c * rho);
    forged.responses = [Exponent(z), Exponent(y)];
    forged.commitments[2] = Point::new(z * u.value() + y * p.value() - c * forged.d.value());
    assert!(holds(&forged, twin(&forged)));
    let refused = grant.verify(public, &forged);
    assert_eq!(refused, Err(ReleaseError::Partial { member: MemberId(0) }));
    // The check itself is the one of the real verifier.
    let honest = &setting.partials()[0];
    assert!(holds(honest, grant.challenge(public.share(MemberId(0)).unwrap(), honest)));
}

/// A machine restored from a snapshot repeats its randomness for a second grant.
#[test]
fn repeated_randomness_gives_a_share_away_unless_nonces_are_hedged() {
    let setting = Setting::new();
    let share = &setting.shares[0];
    let first = setting.grant();
    let other = GranteeSecret::generate(&mut setting.rng());
    let second = request(&setting.checked, &other, &mut setting.rng());
    let second = second.verify(&setting.checked).unwrap();
    let public = share.public().share(share.member()).unwrap();
    let solved = |one: &Partial, two: &Partial| {
        let (c, d) = (first.challenge(public, one), second.challenge(public, two));
        (one.responses[0].0 - two.responses[0].0) * (c - d).invert()
    };
    let snapshot = || ChaCha12Rng::seed_from_u64(3);
    let twin = |grant: &CheckedGrant<'_>| {
        grant.release_with(share, &Nonces::unhedged(&mut snapshot())).unwrap()
    };
    assert_eq!(solved(&twin(&first), &twin(&second)), share.secret.0);
    let ours = |grant: &CheckedGrant<'_>| grant.release(share, &mut snapshot()).unwrap();
    let (one, two) = (ours(&first), ours(&second));
    assert_ne!(solved(&one, &two), share.secret.0);
    assert_ne!(one.r, two.r);
    // Nor do the nonces depend on the context alone: proofs repeat only if everything does.
    let fresh = first.release(share, &mut ChaCha12Rng::seed_from_u64(4)).unwrap();
    assert_ne!(one.r, fresh.r);
    assert_eq!(one, ours(&first));
}

/// With P = 0 a partial is `x_j` U in the clear, for everyone who reads the log.
#[test]
fn the_neutral_element_is_no_grantee() {
    let setting = Setting::new();
    let mut grant = request(&setting.checked, &setting.secret, &mut setting.rng());
    let mut rng = setting.rng();
    grant.grantee = Point::base(&Scalar::ZERO);
    let refused = grant.clone().verify(&setting.checked).map(drop);
    assert_eq!(refused, Err(ReleaseError::Neutral { what: "P" }));
    let twin = CheckedGrant { record: &setting.checked, grant };
    let partials: Vec<_> =
        setting.shares[..3].iter().map(|share| twin.release(share, &mut rng).unwrap()).collect();
    let members: Vec<_> = partials.iter().map(Partial::member).collect();
    let weights: Vec<Scalar> = lagrange(&members).unwrap();
    let shared = weighted(&weights, partials.iter().map(|partial| &partial.d));
    let opened = setting.checked.record.body.unseal(&shared);
    assert_eq!(opened.as_ref(), Ok(&setting.dataset.key));
}

/// With U = 0 the sealing key is the same for everyone.
#[test]
fn the_neutral_element_is_no_ciphertext() {
    let setting = Setting::new();
    let neutral = Point::base(&Scalar::ZERO);
    let mut body = setting.dataset.record.body.clone();
    (body.u, body.u_prime) = (neutral, neutral);
    body.seal(neutral.value(), &setting.dataset.key).unwrap();
    let body = proven(body, Scalar::ZERO);
    assert!(body.is_proven().unwrap());
    assert_eq!(body.unseal(neutral.value()).as_ref(), Ok(&setting.dataset.key));
    let record = body.sign(&setting.dataset.owner).unwrap();
    let refused = record.verify(setting.public()).map(drop);
    assert_eq!(refused, Err(ReleaseError::Neutral { what: "U" }));
}

/// A proof of the exponent r for whatever the body holds.
fn proven(mut body: Ciphertext, r: Scalar) -> Ciphertext {
    let s = Scalar::from(11u8);
    let e = body.hash(&Point::base(&s), &Point::new(&*TDH2 * &s)).unwrap();
    (body.challenge, body.response) = (Exponent(e), Exponent(s + r * e));
    body
}

#[test]
fn a_grant_needs_the_grantees_secret() {
    let setting = Setting::new();
    let mut rng = setting.rng();
    let refuse = |grant: Grant, error| {
        assert_eq!(grant.verify(&setting.checked).map(drop), Err(error));
    };
    let own = request(&setting.checked, &setting.secret, &mut rng);
    let other = request(&setting.checked, &GranteeSecret::generate(&mut rng), &mut rng);
    refuse(Grant { grantee: other.grantee, ..own }, ReleaseError::Possession);
    let id = Digest::of("test", b"replayed");
    refuse(Grant { id, ..own }, ReleaseError::Possession);
    refuse(Grant { possession: other.possession, ..own }, ReleaseError::Possession);
    refuse(Grant { record: id, ..own }, ReleaseError::OtherRecord);
}

/// The twin whose proofs are not bound to a context: a proof made once serves for ever.
#[test]
fn a_proof_holds_in_its_context_only() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let secret = Secret::random(&mut rng);
    let point = Point::base(&secret.0);
    let context = |dealer| Transcript::new("test").number(dealer);
    let proof = Proof::new(context(1), &secret.0, &point, &mut rng);
    assert!(proof.verifies(context(1), &point));
    assert!(!proof.verifies(context(2), &point));
    assert!(!proof.verifies(context(1), &Point::base(&Scalar::ONE)));
    let twin = |_dealer: u64| Transcript::new("test");
    let proof = Proof::new(twin(1), &secret.0, &point, &mut rng);
    assert!(proof.verifies(twin(2), &point));
    let neutral = Point::base(&Scalar::ZERO);
    let proof = Proof::new(context(1), &Scalar::ZERO, &neutral, &mut rng);
    assert!(!proof.verifies(context(1), &neutral));
}

/// The challenge of a twin that leaves out the sealed bytes, or the label.
fn weak_hash(body: &Ciphertext, w: &Point, w_prime: &Point, sealed: bool, label: bool) -> Scalar {
    let mut seen = body.clone();
    if !sealed {
        (seen.sealed, seen.commitment) = ([0; 48], Digest([0; 32]));
    }
    if !label {
        seen.label = Label { dataset: Digest([0; 32]), policy: Digest([0; 32]), ..seen.label };
        seen.label.owner.0 = [0; 32];
    }
    seen.hash(w, w_prime).unwrap()
}

fn weakly_proven(body: &Ciphertext, sealed: bool, label: bool) -> bool {
    let (w, w_prime) = body.commitments();
    weak_hash(body, &w, &w_prime, sealed, label) == body.challenge.0
}

/// `r` such that U = rG, which the owner of the record knows.
fn owners(body: &mut Ciphertext, key: &GroupKey, data_key: &DataKey) -> Scalar {
    let r = Scalar::from(12345u32);
    (body.u, body.u_prime) = (Point::base(&r), Point::new(&*TDH2 * &r));
    body.seal(&(r * key.key().value()), data_key).unwrap();
    r
}

/// A past grantee knows rX. Unless C is in the challenge, it seals another key into the record.
#[test]
fn the_sealed_bytes_cannot_be_swapped() {
    let mut setting = Setting::new();
    let public = setting.public().clone();
    let mut body = setting.dataset.record.body.clone();
    let r = owners(&mut body, &public, &setting.dataset.key);
    let swap = |mut body: Ciphertext| {
        // Any bytes do; these even open, with the shared secret of the former release.
        let other = DataKey::generate(&mut ChaCha12Rng::seed_from_u64(8));
        body.seal(&(secret_of(&setting.shares[..3]) * body.u.value()), &other).unwrap();
        body
    };
    // The twin.
    let s = Scalar::from(11u8);
    let (w, w_prime) = (Point::base(&s), Point::new(&*TDH2 * &s));
    let e = weak_hash(&body, &w, &w_prime, false, true);
    let mut twin = body.clone();
    (twin.challenge, twin.response) = (Exponent(e), Exponent(s + r * e));
    assert!(weakly_proven(&twin, false, true));
    assert!(weakly_proven(&swap(twin), false, true));
    // Ours: the proof fails, and so does the owner's signature.
    let ours = proven(body, r);
    assert!(ours.is_proven().unwrap());
    assert!(!swap(ours.clone()).is_proven().unwrap());
    let mut record = ours.sign(&setting.dataset.owner).unwrap();
    assert!(record.verify(&public).is_ok());
    record.body = swap(record.body);
    assert_eq!(record.verify(&public).map(drop), Err(ReleaseError::Owner));
    setting.dataset.record = record;
}

/// A copy of U under the thief's own label and policy would be released to him.
#[test]
fn a_copied_ciphertext_does_not_get_another_label() {
    let setting = Setting::new();
    let thief = Identity::from_secret([9; 32]);
    let steal = |mut body: Ciphertext| {
        body.label = label(&thief, b"everyone");
        body
    };
    let mut body = setting.dataset.record.body.clone();
    let r = owners(&mut body, setting.public(), &setting.dataset.key);
    let s = Scalar::from(11u8);
    let (w, w_prime) = (Point::base(&s), Point::new(&*TDH2 * &s));
    let e = weak_hash(&body, &w, &w_prime, true, false);
    let mut twin = body;
    (twin.challenge, twin.response) = (Exponent(e), Exponent(s + r * e));
    assert!(weakly_proven(&steal(twin), true, false));
    let stolen = steal(setting.dataset.record.body.clone()).sign(&thief).unwrap();
    assert_eq!(stolen.verify(setting.public()).map(drop), Err(ReleaseError::Record));
}

/// The twin that believes U' as it comes: without U' = rG' of the same r there is no proof that
/// whoever made the record knew r.
#[test]
fn both_halves_of_the_ciphertext_have_one_exponent() {
    let setting = Setting::new();
    let mut body = setting.dataset.record.body.clone();
    let r = owners(&mut body, setting.public(), &setting.dataset.key);
    body.u_prime = Point::new(body.u_prime.value() + body.u.value());
    assert!(!proven(body, r).is_proven().unwrap());
}

#[test]
fn a_record_holds_the_key_it_commits_to() {
    // ChaCha20-Poly1305 opens one ciphertext with several keys; the record must not. Here the
    // owner simply seals another key than the one committed to.
    let setting = Setting::new();
    let mut body = setting.dataset.record.body.clone();
    let r = owners(&mut body, setting.public(), &DataKey::generate(&mut setting.rng()));
    let record = proven(body, r).sign(&setting.dataset.owner).unwrap();
    let checked = record.verify(setting.public()).unwrap();
    let mut rng = setting.rng();
    let grant = request(&checked, &setting.secret, &mut rng).verify(&checked).unwrap();
    let partials: Vec<_> =
        setting.shares.iter().map(|share| grant.release(share, &mut rng).unwrap()).collect();
    let refused = grant.combine(setting.public(), &setting.secret, &partials);
    assert_eq!(refused, Err(ReleaseError::Sealed));
    // The cipher alone would have said yes.
    let shared = secret_of(&setting.shares[..3]) * checked.record.body.u.value();
    let body = &checked.record.body;
    let key = Transcript::new("nexus/mpc/threshold/record key v1")
        .bytes(&body.label.encode().unwrap())
        .point(&body.key)
        .point(&body.u)
        .bytes(shared.compress().as_bytes())
        .digest();
    let cipher = ChaCha20Poly1305::new((&key.0).into());
    let aad = body.label.encode().unwrap();
    assert!(cipher.decrypt(&Nonce::default(), Payload { msg: &body.sealed, aad: &aad }).is_ok());
}

#[test]
fn a_record_is_its_owners_and_under_its_key() {
    let setting = Setting::new();
    let mut rng = setting.rng();
    let (key, other) = (&setting.dataset.key, Identity::from_secret([9; 32]));
    let theirs = label(&other, b"policy");
    let refused = encrypt(setting.public(), theirs, key, &setting.dataset.owner, &mut rng);
    assert_eq!(refused, Err(ReleaseError::Owner));
    let forged = setting.dataset.record.body.clone().sign(&other).unwrap();
    assert_eq!(forged.verify(setting.public()).map(drop), Err(ReleaseError::Owner));
    let mut second = Keyring::new(4, 6);
    let (shares, _) = shares_of(second.generate(&Nobody), 0);
    let refused = setting.dataset.record.verify(shares[0].public()).map(drop);
    assert_eq!(refused, Err(ReleaseError::OtherKey));
    let refused = setting.grant().release(&shares[0], &mut rng);
    assert_eq!(refused, Err(ReleaseError::OtherKey));
    let refused = setting.grant().verify(shares[0].public(), &setting.partials()[0]);
    assert_eq!(refused, Err(ReleaseError::OtherKey));
}

#[test]
fn rotation_seals_the_same_key_under_a_new_one() {
    let mut setting = Setting::new();
    let mut second = Keyring::new(4, 6);
    let terms = crate::threshold::dkg::Terms { epoch: 1, ..second.terms() };
    let (shares, _) = shares_of(second.generate_with(&terms, &Nobody), 0);
    let old = setting.checked.clone();
    let mut rng = setting.rng();
    let (key, owner) = (&setting.dataset.key, &setting.dataset.owner);
    let other = DataKey::generate(&mut rng);
    let new = shares[0].public();
    let refused = rewrap(&old, key, setting.public(), owner, &mut rng);
    assert_eq!(refused, Err(ReleaseError::SameKey));
    assert_eq!(rewrap(&old, &other, new, owner, &mut rng), Err(ReleaseError::Sealed));
    let thief = Identity::from_secret([9; 32]);
    assert_eq!(rewrap(&old, key, new, &thief, &mut rng), Err(ReleaseError::Owner));
    let record = rewrap(&old, key, new, owner, &mut rng).unwrap();
    assert!(replaces(&record.verify(new).unwrap(), &old));
    assert!(!replaces(&old, &old));
    setting.dataset.record = record;
    setting.dataset.opens_with(&shares);
}

#[test]
fn secrets_do_not_show() {
    let setting = Setting::new();
    let shown = format!("{:?} {:?} {:?}", setting.shares[0], setting.secret, setting.dataset.key);
    assert_eq!(shown, "KeyShare(member-0, epoch 0) GranteeSecret(..) DataKey(..)");
}

/// The bytes of one record and one partial: whoever changes the format changes its version.
#[test]
fn the_formats_are_pinned() {
    let setting = Setting::new();
    let record = setting.dataset.record.encode().unwrap();
    let partial = setting.partials()[0].encode().unwrap();
    let grant = request(&setting.checked, &setting.secret, &mut setting.rng()).encode().unwrap();
    assert_eq!(Record::decode(&record).unwrap(), setting.dataset.record);
    assert_eq!(partial.len(), Partial::MAX_BYTES);
    assert_eq!(
        (hex(&record), hex(&grant), hex(&partial)),
        (RECORD.into(), GRANT.into(), PARTIAL.into())
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}"))
}

const RECORD: &str = concat!(
    "01084df1275173ac26cbcd00f93e4ba3c7b2aeb06dc272fae88ac5385848f707b68f14b98f22580c464c5997",
    "a2c7e2330a18d659ba3c2d6e99b7042a296c7071fc8b985ba2bcaae1affeb073bfca840baab714d67813b21e",
    "4671444685217d02b48c10eaa8dcbbb60e48b79a335ff0a6b5c8d0faa9121f8605dc48df025896b3e1f39e22",
    "c159db610a837d32426ed1023d766e2be5b8981615039b9d13b1633d0158b83220b202048c3e2610a0868be3",
    "fe9decebc6a192f5b789224a856bcbf13f1b9526d733d018d0cc94fb893d8626101e5db1eb835733c7aa1b66",
    "33ef3d045d5e5d47406bde04ef96a6e1b85a3c68e2f36ddb222611ffa8bce9a4461f9419bd37411166d6120c",
    "c99501889654e613dc0e9ed29e80dcecf5b5ec373178a4587c047479e1976677e5d02fae16cb60ba28f4ec5d",
    "2f323747758379bb5b04fdac50bb2ddd6f4669bdff092960108b2722689722d323fc905d136b00a1825cc2ee",
    "760c7b4e8f8206e671ce9a61c21b111dc3dc14c13dfe783a7ad14749bd0f43fc6f005bcb208462eadfebeea6",
    "81b77018445944836af22102",
);
const GRANT: &str = concat!(
    "01c3e8c68c9f54aa59400938998b863a00ea913eeff72067de6c4b3f857e81a203c9dc122b9b065e0fe75ae8",
    "e73880716928a3b551d783882bf69e40466c8308cb7bebcc2372b58626339400e5a51113cedf58425c613801",
    "0a2fe8f70979a861f07a750e6c372e31da18d8f93a7da379736584d9059b8a2dcbffa59b81824a078ffa2ef6",
    "8691dc2da1e5032c7993e5912e7df7ceb656a1d4504111058c214289025cc42d8df1320d",
);
const PARTIAL: &str = concat!(
    "0146866f3ca3d7ba00000000000000000000e40b688ede35ec59e7ac49dc54bf83da856331a50bb1a47b0238",
    "3629c45f870c7ab59d7ccdef0ef7e31e08bd4e2619b2197b9528099f70153b30d94e29e6a50ce8408ee95321",
    "47f82590d69b9eaeb395eb84479ef70550a1cc72d0a978e2b03e12175aa24b57792743942e3dfd8de4656e26",
    "3e43125fed75310514bbea4f02409c0a55a2b19d08a94ce182a16c99ab482d2eef67270a48d8cddb80d4237e",
    "b55491306296d6c3aaaf27dc7efdfc41154ee1632be742c973c596479ec8da7a1d0ccf33d2c8f3838cecb9d9",
    "4ce0c059fba41916d114cf0e2fb7c2305b570a8a850a",
);
