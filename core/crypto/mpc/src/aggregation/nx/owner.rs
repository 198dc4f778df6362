//! An owner: one message, then a check of what became of it.

use std::fmt;
use std::sync::Arc;

use borsh::BorshDeserialize;
use nexus_types::{Canonical, CodecError, CryptoRng, Digest, OwnerId, borsh};

use super::challenge::{self, Fingerprint};
use super::checks::{self, decoded, forbidden};
use super::list::Leaf;
use super::masked::{MaskingKey, mask};
use super::message::{Contribution, Entry, Header, Opening, packet_context, packet_digest};
use super::terms::{Setup, Terms};
use crate::aggregation::{Contributor, Peer, Refusal, Session, SumError};
use crate::identity::Identity;
use crate::seal::Sealed;
use crate::sharing::{CheckPolynomial, Dealing, pack3};

/// An owner of one sum.
#[derive(Clone)]
pub struct Owner {
    setup: Setup,
    id: OwnerId,
    identity: Arc<Identity>,
    state: State,
}

/// What an owner remembers.
#[derive(Clone, Default)]
struct State {
    /// The message, once it exists: it is sent again, never made again.
    sent: Option<Arc<[u8]>>,
    /// The opening that was checked.
    opening: Option<Opening>,
}

/// A state as it is stored: manifest, message, opening.
type Stored = (Digest, Option<Vec<u8>>, Option<Opening>);

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Owner {
    /// The part of owner `id` in a sum.
    ///
    /// # Errors
    /// [`SumError::Setting`] if the terms do not fit the session, [`SumError::Key`] if `identity`
    /// is not the owner's.
    pub fn new(
        session: Session,
        terms: Arc<Terms>,
        id: OwnerId,
        identity: Arc<Identity>,
    ) -> Result<Self, SumError> {
        let setup = Setup::new(session, terms)?;
        if setup.owner_key(id) != Some(&identity.public()) {
            return Err(SumError::Key { peer: Peer::Owner(id) });
        }
        Ok(Self { setup, id, identity, state: State::default() })
    }

    /// The owner as [`Contributor::snapshot`] left it.
    ///
    /// # Errors
    /// As [`Owner::new`], and [`SumError::Snapshot`].
    pub fn restore(
        session: Session,
        terms: Arc<Terms>,
        id: OwnerId,
        identity: Arc<Identity>,
        snapshot: &[u8],
    ) -> Result<Self, SumError> {
        let mut owner = Self::new(session, terms, id, identity)?;
        let (manifest, sent, opening): Stored = read_snapshot(snapshot)?;
        if manifest != owner.setup.manifest() {
            return Err(SumError::Snapshot { problem: "it is of another sum".to_owned() });
        }
        owner.state = State { sent: sent.map(Arc::from), opening };
        Ok(owner)
    }

    /// The opening that this owner was shown and found right: its message is in the certified
    /// set, and with its true fingerprint in the list under [`Opening::root`]. Whoever audits the
    /// transcript compares that root: [`Opening::agrees`].
    pub const fn opening(&self) -> Option<&Opening> {
        self.state.opening.as_ref()
    }

    fn check_values(&self, values: &[i64]) -> Result<(), SumError> {
        let (got, expected) = (values.len() as u64, u64::from(self.setup.session.values));
        if got != expected {
            return Err(SumError::Length { got, expected });
        }
        let limit = self.setup.packing().limit();
        let large = (0..).zip(values).find(|(_, v)| v.unsigned_abs() > limit.unsigned_abs());
        large.map_or(Ok(()), |(index, got)| Err(SumError::Value { index, got: *got, limit }))
    }

    fn seal(
        &self,
        rng: &mut dyn CryptoRng,
        dealing: &Dealing,
        masked: &Digest,
    ) -> Result<Vec<Sealed>, SumError> {
        let packets = self.setup.members().zip(dealing.rows()).map(|(member, row)| {
            let Some(key) = self.setup.packet_key(member) else { return Ok(Sealed(Vec::new())) };
            let context = packet_context(&self.setup.manifest(), self.id, member, masked);
            let plain = zeroize::Zeroizing::new(borsh::to_vec(row).unwrap_or_default());
            let sealed = key.seal(&mut *rng, &context, &plain);
            sealed.map_err(|_| Setup::bad_key(member))
        });
        packets.collect()
    }

    /// The message: everything random in it is used here and nowhere else.
    fn build(&self, rng: &mut dyn CryptoRng, values: &[i64]) -> Result<Contribution, SumError> {
        let manifest = self.setup.manifest();
        let key = MaskingKey::generate(rng);
        let masked = mask(&manifest, self.setup.packing(), &key, rng, values);
        // Every sample packs: its magnitude is at most 127.
        let secrets = zeroize::Zeroizing::new(pack3(key.coefficients()).unwrap_or_default());
        let dealing = Dealing::new(&self.setup.layout, rng, &secrets);
        let digest = masked.digest();
        let packets = self.seal(rng, &dealing, &digest)?;
        let mut header = Header {
            manifest,
            owner: self.id,
            masked: digest,
            packets: packets.iter().map(packet_digest).collect(),
            commitment: None,
            check: CheckPolynomial { coefficients: Vec::new() },
        };
        header.check = dealing.check(challenge::packets(&header));
        let signature = header.sign(&self.identity).map_err(too_large)?;
        Ok(Contribution { header, signature, packets, masked })
    }

    fn contribution(&self) -> Option<Contribution> {
        Contribution::decode(self.state.sent.as_deref()?).ok()
    }

    /// Is the opened set certified, and this owner's message in it with its true fingerprint?
    fn check_opening(&self, opening: &Opening) -> Result<(), Refusal> {
        let proposal = checks::certificate(&self.setup, &opening.certificate)?;
        let contribution = self.contribution().ok_or(Refusal::OutOfTurn)?;
        let header = contribution.header.digest().map_err(|_| Refusal::OutOfTurn)?;
        let entry = Entry { owner: self.id, header };
        let entries = &opening.certificate.proposal.entries;
        let place = entries.iter().position(|known| *known == entry);
        let place =
            place.ok_or_else(|| forbidden("this owner's message is not in the opened set"))?;
        let r = challenge::fingerprints(&self.setup.manifest(), &proposal, &opening.sums);
        if Fingerprint::new(r).of(&contribution.masked) != opening.fingerprint {
            return Err(forbidden("the fingerprint of this owner's message is wrong"));
        }
        let (owner, fingerprint) = (self.id, opening.fingerprint);
        let leaf = Leaf { owner, place, among: entries.len(), fingerprint };
        if leaf.root(&proposal, &opening.sums, &opening.path) != Some(opening.root) {
            return Err(forbidden("the list of fingerprints is another than the one published"));
        }
        Ok(())
    }
}

impl Contributor for Owner {
    fn contribute(
        &mut self,
        rng: &mut dyn CryptoRng,
        values: &[i64],
    ) -> Result<Arc<[u8]>, SumError> {
        if self.state.sent.is_some() {
            return Err(SumError::Spent);
        }
        self.check_values(values)?;
        let bytes: Arc<[u8]> = self.build(rng, values)?.encode().map_err(too_large)?.into();
        self.state.sent = Some(Arc::clone(&bytes));
        Ok(bytes)
    }

    fn receive(
        &mut self,
        _rng: &mut dyn CryptoRng,
        bytes: &[u8],
    ) -> Result<Option<Arc<[u8]>>, Refusal> {
        let opening: Opening = decoded(bytes)?;
        match &self.state.opening {
            Some(known) if *known == opening => Ok(None),
            Some(_) => Err(Refusal::Contradiction),
            None => {
                self.check_opening(&opening)?;
                self.state.opening = Some(opening);
                Ok(None)
            }
        }
    }

    fn sent(&self) -> Option<Arc<[u8]>> {
        self.state.sent.clone()
    }

    fn snapshot(&self) -> Vec<u8> {
        let State { sent, opening } = &self.state;
        borsh::to_vec(&(self.setup.manifest(), sent.as_deref(), opening)).unwrap_or_default()
    }
}

pub(super) fn read_snapshot<T: BorshDeserialize>(bytes: &[u8]) -> Result<T, SumError> {
    T::try_from_slice(bytes).map_err(|error| SumError::Snapshot { problem: error.to_string() })
}

/// A message above its limit: only a vector of more words than any message may have.
#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
pub(super) fn too_large(error: CodecError) -> SumError {
    let got = if let CodecError::TooLarge { got, .. } = error { got as u64 } else { 0 };
    SumError::Length { got, expected: nexus_types::limits::MAX_MESSAGE_BYTES as u64 }
}
