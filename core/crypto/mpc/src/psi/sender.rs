//! The party whose set is looked up.

use std::fmt;

use nexus_types::{Canonical, CryptoRng, Digest};

use super::amount::encrypt;
use super::dleq::Claim;
use super::group::{Ascending, PsiKey, Role, Session, Tag};
use super::message::{BATCH, ToReceiver, ToSender};
use super::points::{Element, Points, decode_all};
use super::receiver::check_batch;
use super::{PsiError, Terms, Variant};

/// The sender's part, a state machine: [`Sender::receive`] whatever comes, then [`Sender::send`]
/// until nothing is due.
pub struct Sender {
    session: Session,
    key: PsiKey,
    entries: Entries,
    commitment: Digest,
    asked: Option<Asked>,
    /// The points received so far.
    points: Ascending<32>,
    /// All replies, where they are sent ascending after the last point.
    replies: Vec<Element>,
    stage: Stage,
}

/// T(b·H(y)), ascending; and their encrypted numbers, in the same order, if there are any.
struct Entries {
    tags: Vec<Tag>,
    amounts: Vec<[Element; 2]>,
    key: Option<PsiKey>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    items: usize,
    commitment: Digest,
}

#[derive(Clone, Debug)]
enum Stage {
    Ask,
    Offer,
    Points,
    Reply(Vec<Element>, Points),
    Replies { sent: usize },
    Entries { sent: usize },
    Query,
    Answer(Element, Points),
    Done,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("items", &self.entries.tags.len()).finish_non_exhaustive()
    }
}

impl Sender {
    /// A sender of `items`, whose entries it computes, for variants without numbers.
    ///
    /// # Errors
    /// [`PsiError`] if the terms ask for numbers, they or the number of items are out of range, or
    /// an item comes twice.
    pub fn new(
        terms: Terms,
        key: &PsiKey,
        items: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Self, PsiError> {
        let session = Session::new(terms)?;
        if let Variant::Sum { .. } = terms.variant {
            return Err(PsiError::Amounts { got: 0, expected: 1 });
        }
        let tags = session.raise_items(key, items, |element| session.tag(&element))?;
        let tags = tags.into_iter().map(|(tag, _)| tag).collect();
        Self::of(session, key.clone(), Entries { tags, amounts: Vec::new(), key: None })
    }

    /// A sender of `items` with a number each, for [`Variant::Sum`].
    ///
    /// # Errors
    /// As [`Sender::new`]; [`PsiError::Amounts`] unless there is a number for each item;
    /// [`PsiError::Total`] if their total is above the limit of the terms.
    pub fn with_amounts(
        terms: Terms,
        key: &PsiKey,
        items: impl IntoIterator<Item = impl AsRef<[u8]>>,
        amounts: &[u64],
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, PsiError> {
        let session = Session::new(terms)?;
        let Variant::Sum { max_total: limit } = terms.variant else {
            return Err(PsiError::Amounts { got: amounts.len(), expected: 0 });
        };
        let total = amounts.iter().try_fold(0u64, |total, amount| total.checked_add(*amount));
        if total.is_none_or(|total| total > limit) {
            return Err(PsiError::Total { limit });
        }
        let tags = session.raise_items(key, items, |element| session.tag(&element))?;
        if tags.len() != amounts.len() {
            return Err(PsiError::Amounts { got: amounts.len(), expected: tags.len() });
        }
        let amount_key = PsiKey::generate(rng);
        let ordered = tags.iter().filter_map(|(_, place)| amounts.get(*place as usize).copied());
        let amounts = encrypt(&amount_key, ordered, rng);
        let tags = tags.into_iter().map(|(tag, _)| tag).collect();
        Self::of(session, key.clone(), Entries { tags, amounts, key: Some(amount_key) })
    }

    fn of(session: Session, key: PsiKey, entries: Entries) -> Result<Self, PsiError> {
        let mut sequence = Ascending::<16>::new(&session, Role::Sender);
        sequence
            .pass(entries.tags.iter().enumerate().map(|(at, tag)| (tag, entries.amount(at))))?;
        Ok(Self {
            key,
            commitment: sequence.digest(),
            entries,
            asked: None,
            points: Ascending::new(&session, Role::Receiver),
            replies: Vec::new(),
            stage: Stage::Ask,
            session,
        })
    }

    /// The commitment to its set: a function of terms, key and items, and of the ciphertexts of
    /// its numbers.
    pub fn commitment(&self) -> Digest {
        self.commitment
    }

    /// Its public key.
    pub fn public(&self) -> [u8; 32] {
        self.key.public()
    }

    /// The receiver's commitment, once known.
    pub fn counterpart(&self) -> Option<Digest> {
        self.asked.map(|asked| asked.commitment)
    }

    /// Whether everything has been sent.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// The next message for the receiver, if one is due.
    ///
    /// # Errors
    /// None for a state that a constructor made.
    pub fn send(&mut self, rng: &mut dyn CryptoRng) -> Result<Option<Vec<u8>>, PsiError> {
        let (message, next) = match &self.stage {
            Stage::Offer => (self.offer(), Stage::Points),
            Stage::Reply(from, points) => {
                let next =
                    if self.all_asked() { Stage::Entries { sent: 0 } } else { Stage::Points };
                (self.reply(from, points, rng), next)
            }
            Stage::Replies { sent } => {
                let end = self.replies.len().min(sent + BATCH);
                let elements = self.replies[*sent..end].to_vec();
                let done = end == self.replies.len();
                let next =
                    if done { Stage::Entries { sent: 0 } } else { Stage::Replies { sent: end } };
                (ToReceiver::Replies { elements, proof: None }, next)
            }
            Stage::Entries { sent } => self.entries.batch(*sent),
            Stage::Answer(query, point) => (self.answer(*query, point, rng)?, Stage::Done),
            Stage::Ask | Stage::Points | Stage::Query | Stage::Done => return Ok(None),
        };
        self.stage = next;
        Ok(Some(message.encode()?))
    }

    /// Takes in a message of the receiver.
    ///
    /// # Errors
    /// [`PsiError`] says what is wrong with it; nothing has changed.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), PsiError> {
        match (&self.stage, ToSender::decode(bytes)?) {
            (Stage::Ask, ToSender::Ask { terms, items, commitment }) => {
                if terms != self.session.digest {
                    return Err(PsiError::OtherTerms);
                }
                self.session.terms.check_count(items)?;
                self.asked = Some(Asked { items: items as usize, commitment });
                self.stage = Stage::Offer;
                Ok(())
            }
            (Stage::Points, ToSender::Points(elements)) => self.take(elements),
            (Stage::Query, ToSender::Query(query)) => {
                self.stage = Stage::Answer(query, decode_all(&[query])?);
                Ok(())
            }
            (_, ToSender::Ask { .. } | ToSender::Points(_) | ToSender::Query(_)) => {
                Err(PsiError::OutOfTurn)
            }
        }
    }

    fn all_asked(&self) -> bool {
        self.asked.is_some_and(|asked| self.points.count == asked.items)
    }

    fn offer(&self) -> ToReceiver {
        ToReceiver::Offer {
            terms: self.session.digest,
            items: u32::try_from(self.entries.tags.len()).unwrap_or(u32::MAX),
            commitment: self.commitment,
            key: self.key.public(),
            amount_key: self.entries.key.as_ref().map(PsiKey::public),
        }
    }

    fn take(&mut self, elements: Vec<Element>) -> Result<(), PsiError> {
        let asked = self.asked.ok_or(PsiError::OutOfTurn)?;
        check_batch(elements.len(), BATCH.min(asked.items - self.points.count))?;
        let mut sequence = self.points.clone();
        sequence.pass(elements.iter().map(|element| (element, &[][..])))?;
        let complete = sequence.count == asked.items;
        if complete && sequence.digest() != asked.commitment {
            return Err(PsiError::Commitment);
        }
        let points = decode_all(&elements)?;
        self.points = sequence;
        if self.session.terms.variant == Variant::Intersection {
            self.stage = Stage::Reply(elements, points);
            return Ok(());
        }
        self.replies.extend(self.key.raise(&points));
        if complete {
            // The order of pseudo-random encodings says nothing about that of the points.
            self.replies.sort_unstable();
            self.stage = Stage::Replies { sent: 0 };
        }
        Ok(())
    }

    fn reply(&self, from: &[Element], points: &Points, rng: &mut dyn CryptoRng) -> ToReceiver {
        let elements = self.key.raise(points);
        let (session, public) = (&self.session.digest, &self.key.public());
        let proof = Claim { session, public, from, to: &elements }.prove(&self.key, points, rng);
        ToReceiver::Replies { elements, proof: Some(proof) }
    }

    fn answer(
        &self,
        query: Element,
        point: &Points,
        rng: &mut dyn CryptoRng,
    ) -> Result<ToReceiver, PsiError> {
        let key = self.entries.key.as_ref().ok_or(PsiError::OutOfTurn)?;
        let to = key.raise(point);
        let (session, public) = (&self.session.digest, &key.public());
        let proof = Claim { session, public, from: &[query], to: &to }.prove(key, point, rng);
        Ok(ToReceiver::Answer { element: to[0], proof })
    }
}

impl Entries {
    /// The ciphertext of an entry's number, or nothing.
    fn amount(&self, at: usize) -> &[Element] {
        self.amounts.get(at).map_or(&[], |amount| amount)
    }

    /// The batch that begins at `sent`, and what comes after it.
    fn batch(&self, sent: usize) -> (ToReceiver, Stage) {
        let end = self.tags.len().min(sent + BATCH);
        let tags = self.tags[sent..end].to_vec();
        let amounts = self.amounts.get(sent..end).map_or_else(Vec::new, <[_]>::to_vec);
        let next = match (end < self.tags.len(), &self.key) {
            (true, _) => Stage::Entries { sent: end },
            (false, Some(_)) => Stage::Query,
            (false, None) => Stage::Done,
        };
        (ToReceiver::Entries { tags, amounts }, next)
    }
}
