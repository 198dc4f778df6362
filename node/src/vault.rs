//! Sealed files: a committee's threshold key, made without a dealer, under which files are sealed
//! and which no member holds. All members of the ceremony are this process; their shares are
//! separate values, to be kept in separate places.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::aead::Aead;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use getrandom::rand_core::Rng as _;
use nexus_mpc::threshold::release::{Grant, GranteeSecret};
use nexus_mpc::threshold::tdh2::{DataKey, Label, Record, ReleaseError, encrypt};
use nexus_mpc::threshold::{
    Certificate, CertificateError, Committee, CommitteeError, GroupKey, KeyShare, PostError, Seat,
    SessionError, Step, dkg, reshare,
};
use nexus_mpc::{Identity, PacketKey, PacketSecret, PublicKey};
use nexus_types::{Canonical, CodecError, CryptoRng, Digest, MemberId, borsh};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::random::SystemRng;

/// Bytes of the largest file that is sealed, which is held in memory: 1 GiB.
pub const MAX_PLAIN_BYTES: u64 = 1 << 30;

/// Why a key cannot be made or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no committee of that size.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// The ceremony cannot go on.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A member's post is refused.
    #[error(transparent)]
    Post(#[from] PostError),
    /// Key and committee do not belong together.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The sealed key does not check, or too few members are there.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// A file is not what it should be.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A share is of another key, or damaged.
    #[error("the share of {member} is not one of this key")]
    Share {
        /// Whose.
        member: MemberId,
    },
    /// The members had to start again.
    #[error("too many shares became public: the ceremony must be run again")]
    Restart,
    /// The sealed bytes were changed.
    #[error("the file was changed after it was sealed")]
    Altered,
}

impl VaultError {
    /// Whether what was asked for is impossible.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Committee(_) | Self::Codec(_))
    }

    /// Whether more members are needed.
    pub const fn is_shortage(&self) -> bool {
        matches!(
            self,
            Self::Release(ReleaseError::TooFew { .. })
                | Self::Session(SessionError::TooFew { .. })
                | Self::Restart
        )
    }
}

/// What everybody knows of a committee and its key.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Public {
    seats: Vec<(PublicKey, PacketKey)>,
    certificate: Certificate,
}

impl Canonical for Public {
    const DOMAIN: &'static str = "nexus/node/committee";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 1 << 18;
}

/// What one member keeps to itself.
#[derive(BorshSerialize, BorshDeserialize)]
pub struct Own {
    identity: SigningSecret,
    share: KeyShare,
}

#[derive(BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
struct SigningSecret([u8; 32]);

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Own({})", self.member())
    }
}

impl Canonical for Own {
    const DOMAIN: &'static str = "nexus/node/member share";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 64 + KeyShare::MAX_BYTES;
}

/// A file under a committee's key.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct SealedFile {
    record: Record,
    bytes: Vec<u8>,
}

impl Canonical for SealedFile {
    const DOMAIN: &'static str = "nexus/node/sealed file";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = (1 << 30) + (1 << 16);
}

impl Public {
    /// The committee, and its key if a quorum of it signed that.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn check(&self) -> Result<(Committee, &GroupKey), VaultError> {
        let seat = |(identity, packets): &(PublicKey, PacketKey)| Seat {
            identity: *identity,
            packets: packets.clone(),
        };
        let committee = Committee::new(self.seats.iter().map(seat).collect())?;
        let key = self.certificate.verify(&committee)?;
        Ok((committee, key))
    }
}

impl SealedFile {
    /// Bytes of the sealed content.
    pub const fn sealed_bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl Own {
    /// Whose it is.
    pub const fn member(&self) -> MemberId {
        self.share.member()
    }

    /// The encoding, wiped when dropped.
    ///
    /// # Errors
    /// [`VaultError::Codec`].
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        Ok(Zeroizing::new(self.encode()?))
    }

    fn identity(&self) -> Identity {
        Identity::from_secret(self.identity.0)
    }

    fn check(&self, key: &GroupKey) -> Result<(), VaultError> {
        let fits = self.share.public() == key && self.share.is_consistent();
        if fits { Ok(()) } else { Err(VaultError::Share { member: self.member() }) }
    }
}

/// Members about to meet: their secrets, and the committee that everybody sees.
struct Gathering {
    secrets: Vec<(SigningSecret, Arc<Identity>, PacketSecret)>,
    committee: Arc<Committee>,
}

impl Gathering {
    fn new(members: u16, rng: &mut dyn CryptoRng) -> Result<Self, VaultError> {
        let mut secrets = Vec::new();
        for _ in 0..members {
            let mut secret = SigningSecret([0; 32]);
            rng.fill_bytes(&mut secret.0);
            let identity = Arc::new(Identity::from_secret(secret.0));
            secrets.push((secret, identity, PacketSecret::generate(rng)));
        }
        let seats = secrets.iter().map(|(_, identity, packets)| Seat {
            identity: identity.public(),
            packets: packets.public(),
        });
        let committee = Arc::new(Committee::new(seats.collect())?);
        Ok(Self { secrets, committee })
    }

    /// Certifies the key that all `shares` are of.
    fn settle(self, shares: Vec<KeyShare>) -> Result<(Public, Vec<Own>), VaultError> {
        let Some(key) = shares.first().map(|share| share.public().clone()) else {
            return Err(SessionError::Inconsistent.into());
        };
        let seats = self.secrets.iter();
        let seats = seats.map(|(_, id, packets)| (id.public(), packets.public())).collect();
        let (mut members, mut confirmations) = (Vec::new(), Vec::new());
        for ((secret, identity, _), share) in self.secrets.into_iter().zip(shares) {
            confirmations.push(share.confirm(&identity)?);
            members.push(Own { identity: secret, share });
        }
        let certificate = Certificate::new(&self.committee, key, &confirmations)?;
        Ok((Public { seats, certificate }, members))
    }
}

/// Makes a key among `members` new members.
///
/// # Errors
/// [`VaultError`].
pub fn found(members: u16) -> Result<(Public, Vec<Own>), VaultError> {
    let mut rng = SystemRng::default();
    let gathering = Gathering::new(members, &mut rng)?;
    let purpose = Digest::of("nexus/node/sealed files v1", b"");
    let (mut machines, mut board) = (Vec::new(), Vec::new());
    let committee = &gathering.committee;
    for (member, (_, identity, packets)) in committee.members().zip(&gathering.secrets) {
        let committee = Arc::clone(committee);
        let terms = dkg::Terms { committee, purpose, epoch: 0, attempt: 0 };
        let (identity, packets) = (Arc::clone(identity), packets.clone());
        let (machine, post) = dkg::Generation::new(terms, member, identity, packets, &mut rng)?;
        machines.push(machine);
        board.push(post);
    }
    let mut shares = Vec::new();
    while shares.is_empty() {
        let posts = std::mem::take(&mut board);
        for machine in &mut machines {
            posts.iter().try_for_each(|post| machine.receive(post))?;
            take(machine.close(&mut rng)?, &mut board, &mut shares)?;
        }
    }
    gathering.settle(shares)
}

/// What a step of a machine adds to the board or to the shares.
fn take(
    step: Step,
    board: &mut Vec<Vec<u8>>,
    shares: &mut Vec<KeyShare>,
) -> Result<(), VaultError> {
    match step {
        Step::Publish(post) => board.push(post),
        Step::Done(outcome) => shares.push(outcome.share),
        Step::Wait | Step::Finished => {}
        Step::Restart(_) => return Err(VaultError::Restart),
    }
    Ok(())
}

/// Hands the key of `public` to `members` new members; it takes as many of the old as opening a
/// file. What was sealed under the key still opens, with the new shares; the old ones are to be
/// erased.
///
/// # Errors
/// [`VaultError`].
pub fn hand_over(
    public: &Public,
    own: &[Own],
    members: u16,
) -> Result<(Public, Vec<Own>), VaultError> {
    let mut rng = SystemRng::default();
    let (from, key) = public.check()?;
    own.iter().try_for_each(|own| own.check(key))?;
    let gathering = Gathering::new(members, &mut rng)?;
    let (from, to) = (Arc::new(from), Arc::clone(&gathering.committee));
    let terms = reshare::Terms { key: key.clone(), from, to, attempt: 0 };
    let (mut dealers, mut board) = (Vec::new(), Vec::new());
    for old in own {
        let identity = Arc::new(old.identity());
        let (dealer, post) = reshare::Dealer::new(&terms, &old.share, identity, &mut rng)?;
        dealers.push(dealer);
        board.push(post);
    }
    let receivers = terms.to.members().zip(&gathering.secrets);
    let mut receivers = receivers
        .map(|(member, (_, identity, packets))| {
            let (identity, packets) = (Arc::clone(identity), packets.clone());
            reshare::Receiver::new(terms.clone(), member, identity, packets)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut shares = Vec::new();
    while shares.is_empty() {
        let posts = std::mem::take(&mut board);
        for dealer in &mut dealers {
            posts.iter().try_for_each(|post| dealer.receive(post))?;
            take(dealer.close()?, &mut board, &mut shares)?;
        }
        for receiver in &mut receivers {
            posts.iter().try_for_each(|post| receiver.receive(post))?;
            take(receiver.close()?, &mut board, &mut shares)?;
        }
    }
    gathering.settle(shares)
}

fn cipher(key: &DataKey) -> ChaCha20Poly1305 {
    let key = Zeroizing::new(blake3::derive_key("nexus/node/sealed file v1", key.as_bytes()));
    ChaCha20Poly1305::new((&*key).into())
}

/// Seals `plain` under the committee's key.
///
/// # Errors
/// [`VaultError`].
pub fn seal(public: &Public, plain: &[u8]) -> Result<SealedFile, VaultError> {
    let mut rng = SystemRng::default();
    let (_, key) = public.check()?;
    let data_key = DataKey::generate(&mut rng);
    // A key seals one file: there is no second message for the nonce.
    let sealed = cipher(&data_key).encrypt(&Nonce::default(), plain);
    let bytes = sealed.map_err(|_| VaultError::Altered)?;
    let owner = Identity::generate(&mut rng);
    let label = Label {
        dataset: Digest::of("nexus/node/sealed bytes v1", &bytes),
        owner: owner.public(),
        policy: Digest::of("nexus/node/policy v1", b"whoever has enough shares"),
    };
    let record = encrypt(key, label, &data_key, &owner, &mut rng)?;
    Ok(SealedFile { record, bytes })
}

/// Opens a file with the shares of enough members: each releases its part to a key made for this
/// one opening.
///
/// # Errors
/// [`VaultError::Release`] if there are too few shares or the record does not check,
/// [`VaultError::Altered`] if the bytes were changed.
pub fn open(
    public: &Public,
    own: &[Own],
    file: &SealedFile,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut rng = SystemRng::default();
    let (_, key) = public.check()?;
    own.iter().try_for_each(|own| own.check(key))?;
    let record = file.record.verify(key)?;
    let secret = GranteeSecret::generate(&mut rng);
    let mut id = Digest([0; 32]);
    rng.fill_bytes(&mut id.0);
    let request = Grant::new(id, &record, &secret, &mut rng);
    let grant = request.verify(&record)?;
    let partials = own.iter().take(key.threshold().into());
    let partials =
        partials.map(|own| grant.release(&own.share, &mut rng)).collect::<Result<Vec<_>, _>>()?;
    let data_key = grant.combine(key, &secret, &partials)?;
    let plain = cipher(&data_key).decrypt(&Nonce::default(), file.bytes.as_slice());
    Ok(Zeroizing::new(plain.map_err(|_| VaultError::Altered)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_members_open_a_file_and_fewer_do_not() {
        let (public, own) = found(4).unwrap();
        let public = Public::decode(&public.encode().unwrap()).unwrap();
        let file = seal(&public, b"a secret").unwrap();
        let file = SealedFile::decode(&file.encode().unwrap()).unwrap();
        assert_eq!(*open(&public, &own[1..], &file).unwrap(), b"a secret");
        let few = open(&public, &own[2..], &file).unwrap_err();
        assert_eq!(few, VaultError::Release(ReleaseError::TooFew { got: 2, need: 3 }));
        let mut changed = file;
        changed.bytes[0] ^= 1;
        assert_eq!(open(&public, &own, &changed).unwrap_err(), VaultError::Altered);
    }

    #[test]
    fn a_new_committee_opens_what_was_sealed_before_and_shares_do_not_mix() {
        let (old, own) = found(4).unwrap();
        let file = seal(&old, b"kept").unwrap();
        let (new, heirs) = hand_over(&old, &own[..3], 7).unwrap();
        assert_eq!(*open(&new, &heirs[2..], &file).unwrap(), b"kept");
        let mixed = open(&new, &own, &file).unwrap_err();
        assert_eq!(mixed, VaultError::Share { member: MemberId(0) });
        let bytes = heirs[0].to_bytes().unwrap();
        assert_eq!(Own::decode(&bytes).unwrap().member(), MemberId(0));
        assert!(hand_over(&old, &own[..2], 4).is_err(), "too few old members");
        let (other, _) = found(4).unwrap();
        let foreign = open(&other, &own, &file).unwrap_err();
        assert_eq!(foreign, VaultError::Share { member: MemberId(0) });
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let (public, own) = found(4).unwrap();
        let (public, own) = (public.encode().unwrap(), own[0].encode().unwrap());
        for at in (0..public.len()).step_by(97) {
            let mut bytes = public.clone();
            bytes[at] ^= 0x41;
            if let Ok(changed) = Public::decode(&bytes) {
                assert!(changed.check().is_err(), "byte {at}");
            }
            assert!(Public::decode(&public[..at]).is_err());
            assert!(Own::decode(&own[..at.min(own.len() - 1)]).is_err());
        }
    }
}
