//! What members post on the board during a key generation or a resharing, and what the board
//! refuses.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, CodecError, Digest, MemberId, borsh};

use super::group::{Exponent, Point, Transcript};
use super::schnorr::Proof;
use crate::identity::{Identity, PublicKey, Signature};
use crate::seal::Sealed;

/// The steps of a session, each ended by a `close` of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Phase {
    /// Dealers commit to polynomials and seal shares.
    Deal,
    /// Receivers name dealers whose share is wrong.
    Complain,
    /// Dealers open the shares complained about.
    Answer,
    /// Dealers show their part of the public key.
    Extract,
    /// Members expose their shares of dealers who showed another part, or none.
    Accuse,
    /// The rest of the members do, where an accusation was right.
    Pool,
    /// The session is over.
    Over,
}

/// A polynomial, committed and shared.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Deal {
    /// One element per coefficient, from the constant one up.
    pub commitment: Vec<Point>,
    /// One sealed share per receiver, in their order.
    pub packets: Vec<Sealed>,
}

/// A share that everyone may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OpenShare {
    /// The polynomial at the receiver's place.
    pub value: Exponent,
    /// The blinding polynomial there; 0 where there is none.
    pub blinding: Exponent,
}

/// One sealed share opened by its dealer: sealing `share` with the randomness that `seed`
/// expands to gives the packet again, so everyone sees which of the two lied.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Opening {
    /// Whose share.
    pub receiver: MemberId,
    /// The share.
    pub share: OpenShare,
    /// The randomness of this packet, independent of the others'.
    pub seed: [u8; 32],
}

/// A dealer's part of the public key: the coefficients times G, and the proof that it knows the
/// constant one.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Extraction {
    /// One element per coefficient.
    pub commitment: Vec<Point>,
    /// Knowledge of the constant coefficient, bound to session and dealer.
    pub proof: Proof,
}

/// A member's share of a dealer's polynomial, made public.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Exposure {
    /// Whose polynomial.
    pub dealer: MemberId,
    /// The author's share of it.
    pub share: OpenShare,
}

/// What a post says.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Body {
    /// In [`Phase::Deal`].
    Deal(Deal),
    /// In [`Phase::Complain`]: dealers, ascending.
    Complaints(Vec<MemberId>),
    /// In [`Phase::Answer`]: one per complaint, receivers ascending.
    Answers(Vec<Opening>),
    /// In [`Phase::Extract`].
    Extraction(Extraction),
    /// In [`Phase::Accuse`]: dealers ascending.
    Accusations(Vec<Exposure>),
    /// In [`Phase::Pool`]: dealers ascending.
    Pool(Vec<Exposure>),
}

impl Body {
    /// When it may be posted.
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Deal(_) => Phase::Deal,
            Self::Complaints(_) => Phase::Complain,
            Self::Answers(_) => Phase::Answer,
            Self::Extraction(_) => Phase::Extract,
            Self::Accusations(_) => Phase::Accuse,
            Self::Pool(_) => Phase::Pool,
        }
    }
}

/// Who says what in which session.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Statement {
    /// Digest of the session's terms.
    pub session: Digest,
    /// The author's place: among the dealers for deals, answers and extractions, among the
    /// receivers for the rest.
    pub author: MemberId,
    /// What it says.
    pub body: Body,
}

impl Canonical for Statement {
    const DOMAIN: &'static str = "nexus/mpc/threshold/statement";
    const VERSION: u8 = 1;
    // A deal among 100: 67 elements and 100 packets of 1,204 bytes.
    const MAX_BYTES: usize = 1 << 17;
}

/// A signed [`Statement`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Post {
    /// What is said.
    pub statement: Statement,
    /// The author's signature on it.
    pub signature: Signature,
}

impl Canonical for Post {
    const DOMAIN: &'static str = "nexus/mpc/threshold/post";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = Statement::MAX_BYTES + 64;
}

impl Post {
    /// Signs a statement.
    ///
    /// # Errors
    /// [`CodecError`] if it is too long.
    pub fn sign(statement: Statement, identity: &Identity) -> Result<Self, CodecError> {
        let signature = identity.sign(Self::DOMAIN, &statement.encode()?);
        Ok(Self { statement, signature })
    }

    pub(super) fn verify(&self, identity: &PublicKey) -> Result<(), PostError> {
        let author = self.statement.author;
        identity
            .verify(Self::DOMAIN, &self.statement.encode()?, &self.signature)
            .map_err(|_| PostError::Signature { author })
    }
}

/// Why the board refuses a post. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// The bytes are no post.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// It belongs to another session.
    #[error("a post of another session")]
    OtherSession,
    /// Its author has no such part in the session.
    #[error("{author} has no part in this phase")]
    Stranger {
        /// The claimed author.
        author: MemberId,
    },
    /// Its signature is not the author's.
    #[error("the signature of {author} is not valid")]
    Signature {
        /// The claimed author.
        author: MemberId,
    },
    /// It does not belong to the present phase.
    #[error("{author} posted for phase {got:?} in phase {now:?}")]
    OutOfTurn {
        /// The author.
        author: MemberId,
        /// The phase it is for.
        got: Phase,
        /// The present phase.
        now: Phase,
    },
    /// Its author has posted something else in this phase. The first post counts.
    #[error("{author} posted twice, and not the same")]
    Contradiction {
        /// The author.
        author: MemberId,
    },
    /// A list has the wrong length.
    #[error("{author} posted {got} {what}, {expected} are expected")]
    Length {
        /// The author.
        author: MemberId,
        /// What was counted.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there must be.
        expected: usize,
    },
    /// A list of members is not ascending, or names one that it must not, or omits one.
    #[error("{author} posted a wrong list of members")]
    Members {
        /// The author.
        author: MemberId,
    },
    /// A resharing's constant coefficient is not the dealer's public share.
    #[error("{author} deals something else than its share of the key")]
    Constant {
        /// The author.
        author: MemberId,
    },
}

/// What a member did wrong, as everyone on the board can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[non_exhaustive]
pub enum Fault {
    /// Dealt nothing, or nothing well-formed.
    Silent,
    /// More receivers complained than may be faulty.
    Complaints,
    /// Left a complaint without an answer.
    Unanswered,
    /// Opened something else than it had sealed, or a share off its polynomial.
    Opening,
    /// Showed no part of the public key, one without a valid proof, or another one than it had
    /// committed to. The true one was reconstructed.
    Extraction,
    /// Complained about a share that was right.
    FalseComplaint,
}

/// The posts of one phase, one per author.
#[derive(Debug)]
pub(super) struct Posts<T>(BTreeMap<MemberId, T>);

impl<T> Default for Posts<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: PartialEq> Posts<T> {
    pub(super) fn insert(&mut self, author: MemberId, post: T) -> Result<(), PostError> {
        match self.0.get(&author) {
            Some(first) if *first != post => Err(PostError::Contradiction { author }),
            Some(_) => Ok(()),
            None => {
                self.0.insert(author, post);
                Ok(())
            }
        }
    }

    pub(super) fn get(&self, author: MemberId) -> Option<&T> {
        self.0.get(&author)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MemberId, &T)> {
        self.0.iter().map(|(&author, post)| (author, post))
    }

    /// Those of `expected` that have not posted.
    pub(super) fn missing(&self, expected: impl Iterator<Item = MemberId>) -> Vec<MemberId> {
        expected.filter(|author| !self.0.contains_key(author)).collect()
    }
}

/// The digests of all accepted posts: equal at two members exactly if they saw the same board.
#[derive(Debug, Default)]
pub(super) struct Record(BTreeMap<(Phase, MemberId), Digest>);

impl Record {
    pub(super) fn insert(&mut self, statement: &Statement) -> Result<(), PostError> {
        let key = (statement.body.phase(), statement.author);
        self.0.insert(key, statement.digest()?);
        Ok(())
    }

    pub(super) fn digest(&self, session: Digest) -> Digest {
        let start = Transcript::new("nexus/mpc/threshold/board v1").bytes(&session.0);
        self.0
            .iter()
            .fold(start, |all, ((phase, author), digest)| {
                all.number(*phase as u64).number(u64::from(author.0)).bytes(&digest.0)
            })
            .digest()
    }
}

/// Whether `members` ascends strictly and stays below `count`.
pub(super) fn ascending(members: impl Iterator<Item = MemberId>, count: u16) -> bool {
    let mut next = 0;
    members.into_iter().all(|member| {
        let fits = member.0 >= next && member.0 < count;
        next = member.0.saturating_add(1);
        fits
    })
}
