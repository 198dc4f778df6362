//! Labels: who may read something by whose word, for which purposes, and who vouches for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, CodecError, Digest};

/// Most principals that a label names: owners, readers and those who vouch, counted each time.
pub const MAX_PRINCIPALS: usize = 4096;
/// Most bytes of a purpose's name.
pub const MAX_NAME_BYTES: usize = 64;
const MAX_PURPOSES: usize = 64;

/// Someone who can own, read or vouch: the digest of a name or of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Principal(Digest);

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Digest(bytes) = self.0;
        write!(f, "Principal({:02x}{:02x}{:02x}{:02x})", bytes[0], bytes[1], bytes[2], bytes[3])
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Principal {
    /// The principal of this digest, such as a key's.
    pub const fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// The principal of this name.
    pub fn named(name: &str) -> Self {
        Self(Digest::of("nexus/privacy/principal v1", name.as_bytes()))
    }
}

/// The principals that a party knows: everyone else fails closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principals(BTreeSet<Principal>);

impl FromIterator<Principal> for Principals {
    fn from_iter<I: IntoIterator<Item = Principal>>(principals: I) -> Self {
        Self(principals.into_iter().collect())
    }
}

impl Principals {
    /// Whether this one is known.
    pub fn know(&self, principal: Principal) -> bool {
        self.0.contains(&principal)
    }
}

/// What something may be used for: 1 to 64 lower-case letters, digits, dots and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Purpose(String);

impl Purpose {
    /// The purpose of this name.
    ///
    /// # Errors
    /// [`LabelError::Purpose`].
    pub fn new(name: &str) -> Result<Self, LabelError> {
        let purpose = Self(name.to_owned());
        if purpose.is_valid() {
            Ok(purpose)
        } else {
            Err(LabelError::Purpose { length: name.len() })
        }
    }

    fn is_valid(&self) -> bool {
        let fine = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'-');
        (1..=MAX_NAME_BYTES).contains(&self.0.len()) && self.0.bytes().all(fine)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Why something must not flow, or is no label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A principal that the party does not know.
    #[error("{principal} is not known here")]
    Unknown {
        /// The principal.
        principal: Principal,
    },
    /// Someone could read it whom an owner does not let.
    #[error("{owner} does not let everyone read it who could")]
    Readers {
        /// The owner.
        owner: Principal,
    },
    /// It could be used for what it was not meant for.
    #[error("it is not meant for every purpose it could be used for")]
    Purposes,
    /// Someone does not vouch for it who has to.
    #[error("someone does not vouch for it who has to")]
    Integrity,
    /// A purpose's name is empty, too long or has other characters than allowed.
    #[error(
        "a purpose of {length} bytes; 1 to {MAX_NAME_BYTES} of a-z, 0-9, dots and hyphens are possible"
    )]
    Purpose {
        /// Its length.
        length: usize,
    },
    /// A label is too large.
    #[error("{got} {what}, at most {limit}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// Most that are allowed.
        limit: usize,
    },
    /// Bytes that are no label.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Everyone (or everything), or those listed: ordered by inclusion.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
enum Among<T: Ord> {
    All,
    Only(BTreeSet<T>),
}

impl<T: Ord + Clone> Among<T> {
    fn has(&self, item: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(items) => items.contains(item),
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::All) => true,
            (Self::All, Self::Only(_)) => false,
            (Self::Only(these), Self::Only(those)) => these.is_subset(those),
        }
    }

    fn intersection(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, items) | (items, Self::All) => items.clone(),
            (Self::Only(these), Self::Only(those)) => Self::Only(these & those),
        }
    }

    fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Only(these), Self::Only(those)) => Self::Only(these | those),
        }
    }

    fn listed(&self) -> impl Iterator<Item = &T> {
        let items = match self {
            Self::All => None,
            Self::Only(items) => Some(items),
        };
        items.into_iter().flatten()
    }
}

/// A label of the decentralised label model (Myers & Liskov 2000), with purposes.
///
/// An owner who is not named lets everyone read. Labels are a lattice: up means fewer readers, fewer
/// purposes, fewer who vouch; information flows up.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Label {
    readers: BTreeMap<Principal, BTreeSet<Principal>>,
    purposes: Among<Purpose>,
    vouchers: Among<Principal>,
}

impl Canonical for Label {
    const DOMAIN: &'static str = "nexus/privacy/label";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 64 * MAX_PRINCIPALS + MAX_PURPOSES * (MAX_NAME_BYTES + 4) + 64;
}

impl Label {
    /// The bottom: everyone may read it, for anything, and everyone vouches for it.
    pub const fn public() -> Self {
        Self { readers: BTreeMap::new(), purposes: Among::All, vouchers: Among::All }
    }

    /// What `owner` lets these and itself read, for anything; only the owner vouches for it.
    pub fn owned(owner: Principal, readers: impl IntoIterator<Item = Principal>) -> Self {
        let readers = readers.into_iter().chain([owner]).collect();
        Self {
            readers: BTreeMap::from([(owner, readers)]),
            purposes: Among::All,
            vouchers: Among::Only(BTreeSet::from([owner])),
        }
    }

    /// The same, for these purposes only.
    ///
    /// # Errors
    /// [`LabelError::Purpose`].
    pub fn for_purposes<'a>(
        mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, LabelError> {
        let names: Result<BTreeSet<Purpose>, _> = names.into_iter().map(Purpose::new).collect();
        self.purposes = self.purposes.intersection(&Among::Only(names?));
        Ok(self)
    }

    /// The label of a place that demands that these vouch for what comes in.
    #[must_use]
    pub fn vouched_by(mut self, principals: impl IntoIterator<Item = Principal>) -> Self {
        self.vouchers = Among::Only(principals.into_iter().collect());
        self
    }

    /// What was released: everyone may read it; purposes and vouchers stay.
    #[must_use]
    pub fn declassified(&self) -> Self {
        Self { readers: BTreeMap::new(), ..self.clone() }
    }

    /// The lowest label above both: of what was made from both.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut readers = self.readers.clone();
        for (owner, theirs) in &other.readers {
            let ours = readers.entry(*owner).or_insert_with(|| theirs.clone());
            ours.retain(|reader| theirs.contains(reader));
        }
        Self {
            readers,
            purposes: self.purposes.intersection(&other.purposes),
            vouchers: self.vouchers.intersection(&other.vouchers),
        }
    }

    /// The highest label below both.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let both = self.readers.iter().filter_map(|(owner, ours)| {
            other.readers.get(owner).map(|theirs| (*owner, ours | theirs))
        });
        Self {
            readers: both.collect(),
            purposes: self.purposes.union(&other.purposes),
            vouchers: self.vouchers.union(&other.vouchers),
        }
    }

    /// Whether it is below `other` in the lattice, whoever is known.
    pub fn is_below(&self, other: &Self) -> bool {
        self.obstacle(other).is_none()
    }

    fn obstacle(&self, other: &Self) -> Option<LabelError> {
        let kept = |owner: &Principal, ours: &BTreeSet<Principal>| {
            other.readers.get(owner).is_some_and(|theirs| theirs.is_subset(ours))
        };
        if let Some((owner, _)) = self.readers.iter().find(|(owner, ours)| !kept(owner, ours)) {
            return Some(LabelError::Readers { owner: *owner });
        }
        if !other.purposes.is_within(&self.purposes) {
            return Some(LabelError::Purposes);
        }
        (!other.vouchers.is_within(&self.vouchers)).then_some(LabelError::Integrity)
    }

    /// Lets something of this label go where `clearance` is the label of the place: if no one can read it
    /// there who must not, for no other purpose, and everyone vouches for it who has to.
    ///
    /// # Errors
    /// [`LabelError`] says what is in the way: first of all a principal, of either label, that
    /// `known` lacks.
    pub fn flows_to(&self, clearance: &Self, known: &Principals) -> Result<(), LabelError> {
        let strange =
            self.principals().chain(clearance.principals()).find(|named| !known.know(**named));
        if let Some(principal) = strange {
            return Err(LabelError::Unknown { principal: *principal });
        }
        self.obstacle(clearance).map_or(Ok(()), Err)
    }

    /// Whether every owner lets `principal` read it.
    pub fn is_readable_by(&self, principal: Principal) -> bool {
        self.readers.values().all(|readers| readers.contains(&principal))
    }

    /// Whether it may be used for this.
    pub fn is_for(&self, purpose: &Purpose) -> bool {
        self.purposes.has(purpose)
    }

    fn principals(&self) -> impl Iterator<Item = &Principal> {
        let readers =
            self.readers.iter().flat_map(|(owner, readers)| readers.iter().chain([owner]));
        readers.chain(self.vouchers.listed())
    }

    /// The bytes that are signed and bound to what is sealed.
    ///
    /// # Errors
    /// [`LabelError::TooMany`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, LabelError> {
        self.check()?;
        Ok(self.encode()?)
    }

    /// The label of bytes from outside.
    ///
    /// # Errors
    /// [`LabelError::Codec`], [`LabelError::TooMany`], [`LabelError::Purpose`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LabelError> {
        let label = Self::decode(bytes)?;
        label.check()?;
        Ok(label)
    }

    fn check(&self) -> Result<(), LabelError> {
        let (principals, purposes) = (self.principals().count(), self.purposes.listed().count());
        let counts =
            [("principals", principals, MAX_PRINCIPALS), ("purposes", purposes, MAX_PURPOSES)];
        if let Some((what, got, limit)) = counts.into_iter().find(|(_, got, limit)| got > limit) {
            return Err(LabelError::TooMany { what, got, limit });
        }
        let bad = self.purposes.listed().find(|purpose| !purpose.is_valid());
        bad.map_or(Ok(()), |bad| Err(LabelError::Purpose { length: bad.0.len() }))
    }
}
