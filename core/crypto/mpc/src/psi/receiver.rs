//! The party that learns the outcome.

use std::fmt;

use nexus_types::{Canonical, CryptoRng, Digest};

use super::amount::Sum;
use super::dleq::{Claim, Proof};
use super::group::{Ascending, PsiKey, Role, Session, Tag};
use super::message::{BATCH, ToReceiver, ToSender};
use super::points::{Element, Points, decode, decode_all};
use super::{Outcome, PsiError, Terms, Variant};

/// The receiver's part, a state machine: [`Receiver::send`] whatever is due, [`Receiver::receive`]
/// whatever comes, until there is an [`Receiver::outcome`].
pub struct Receiver {
    session: Session,
    inverse: PsiKey,
    /// a·H(x) and the place of x, ascending.
    points: Vec<(Element, u32)>,
    commitment: Digest,
    offer: Option<Offer>,
    /// Points sent.
    sent: usize,
    /// T(b·H(x)) for each reply, with the place of x if the reply tells.
    tags: Vec<(Tag, u32)>,
    /// Order of the replies, where they ascend.
    replies: Ascending<32>,
    matching: Matching,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
struct Offer {
    items: usize,
    commitment: Digest,
    key: Element,
    amount_key: Option<Element>,
}

#[derive(Clone, Debug)]
enum Stage {
    Ask,
    Offer,
    Points,
    Replies,
    Entries,
    Query,
    Answer,
    Done(Outcome),
}

/// Entries looked up as they come: both sequences ascend, so one pass finds all.
#[derive(Clone)]
struct Matching {
    entries: Ascending<16>,
    /// The first tag not below the last entry.
    cursor: usize,
    places: Vec<u32>,
    sum: Sum,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Receiver");
        debug.field("items", &self.points.len()).field("stage", &self.stage);
        debug.finish_non_exhaustive()
    }
}

impl Receiver {
    /// A receiver of `items`, whose points it computes.
    ///
    /// # Errors
    /// [`PsiError`] if the terms or the number of items are out of range, or an item comes twice.
    pub fn new(
        terms: Terms,
        key: &PsiKey,
        items: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Self, PsiError> {
        let session = Session::new(terms)?;
        let points = session.raise_items(key, items, |element| element)?;
        let mut sequence = Ascending::<32>::new(&session, Role::Receiver);
        sequence.pass(points.iter().map(|(point, _)| (point, &[][..])))?;
        let entries = Ascending::new(&session, Role::Sender);
        Ok(Self {
            inverse: key.inverse(),
            points,
            commitment: sequence.digest(),
            offer: None,
            sent: 0,
            tags: Vec::new(),
            replies: Ascending::new(&session, Role::Sender),
            matching: Matching { entries, cursor: 0, places: Vec::new(), sum: Sum::default() },
            stage: Stage::Ask,
            session,
        })
    }

    /// The commitment to its set: a function of terms, key and items.
    pub fn commitment(&self) -> Digest {
        self.commitment
    }

    /// The sender's commitment and public key, once known. The same two again mean the same set.
    pub fn counterpart(&self) -> Option<(Digest, [u8; 32])> {
        self.offer.map(|offer| (offer.commitment, offer.key))
    }

    /// What it learned, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.stage {
            Stage::Done(outcome) => Some(outcome),
            Stage::Ask
            | Stage::Offer
            | Stage::Points
            | Stage::Replies
            | Stage::Entries
            | Stage::Query
            | Stage::Answer => None,
        }
    }

    /// The next message for the sender, if one is due.
    ///
    /// # Errors
    /// None for a state that [`Receiver::new`] made.
    pub fn send(&mut self, rng: &mut dyn CryptoRng) -> Result<Option<Vec<u8>>, PsiError> {
        let message = match self.stage {
            Stage::Ask => {
                let items = u32::try_from(self.points.len()).unwrap_or(u32::MAX);
                let (terms, commitment) = (self.session.digest, self.commitment);
                self.stage = Stage::Offer;
                ToSender::Ask { terms, items, commitment }
            }
            Stage::Points => {
                let from = self.sent;
                self.sent = self.points.len().min(from + BATCH);
                if self.in_order() || self.sent == self.points.len() {
                    self.stage = Stage::Replies;
                }
                ToSender::Points(elements(&self.points[from..self.sent]))
            }
            Stage::Query => {
                let key = self.amount_key()?;
                let query = self.matching.sum.blind(&key, rng);
                self.stage = Stage::Answer;
                ToSender::Query(query.ok_or(PsiError::OutOfTurn)?)
            }
            Stage::Offer | Stage::Replies | Stage::Entries | Stage::Answer | Stage::Done(_) => {
                return Ok(None);
            }
        };
        Ok(Some(message.encode()?))
    }

    /// Takes in a message of the sender.
    ///
    /// # Errors
    /// [`PsiError`] says what is wrong with it; nothing has changed.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), PsiError> {
        match (&self.stage, ToReceiver::decode(bytes)?) {
            (Stage::Offer, ToReceiver::Offer { terms, items, commitment, key, amount_key }) => {
                self.accept(terms, items, Offer { items: 0, commitment, key, amount_key })
            }
            (Stage::Replies, ToReceiver::Replies { elements, proof }) => {
                self.unblind(&elements, proof.as_ref())
            }
            (Stage::Entries, ToReceiver::Entries { tags, amounts }) => {
                self.look_up(&tags, &amounts)
            }
            (Stage::Answer, ToReceiver::Answer { element, proof }) => self.open(&element, &proof),
            (
                _,
                ToReceiver::Offer { .. }
                | ToReceiver::Replies { .. }
                | ToReceiver::Entries { .. }
                | ToReceiver::Answer { .. },
            ) => Err(PsiError::OutOfTurn),
        }
    }

    /// Whether replies come in the order of the points, so that the receiver knows which is which.
    fn in_order(&self) -> bool {
        self.session.terms.variant == Variant::Intersection
    }

    fn has_amounts(&self) -> bool {
        matches!(self.session.terms.variant, Variant::Sum { .. })
    }

    fn offer(&self) -> Result<Offer, PsiError> {
        self.offer.ok_or(PsiError::OutOfTurn)
    }

    fn amount_key(&self) -> Result<Element, PsiError> {
        self.offer()?.amount_key.ok_or(PsiError::OutOfTurn)
    }

    fn accept(&mut self, terms: Digest, items: u32, offer: Offer) -> Result<(), PsiError> {
        if terms != self.session.digest || offer.amount_key.is_some() != self.has_amounts() {
            return Err(PsiError::OtherTerms);
        }
        self.session.terms.check_count(items)?;
        for (index, key) in [Some(offer.key), offer.amount_key].iter().flatten().enumerate() {
            decode(key).ok_or(PsiError::Element { index })?;
        }
        self.offer = Some(Offer { items: items as usize, ..offer });
        self.stage = Stage::Points;
        Ok(())
    }

    fn unblind(&mut self, replies: &[Element], proof: Option<&Proof>) -> Result<(), PsiError> {
        let done = self.tags.len();
        let batch = &self.points[done..self.sent.min(done + BATCH)];
        check_batch(replies.len(), batch.len())?;
        let points = decode_all(replies)?;
        if self.in_order() {
            self.check_proof(&elements(batch), replies, &points, proof)?;
        } else if proof.is_some() {
            return Err(PsiError::Proof);
        } else {
            let mut order = self.replies.clone();
            order.pass(replies.iter().map(|reply| (reply, &[][..])))?;
            self.replies = order;
        }
        let raised = self.inverse.raise(&points);
        let tags = raised.iter().map(|element| self.session.tag(element));
        self.tags.extend(tags.zip(batch.iter().map(|(_, place)| *place)));
        if self.tags.len() == self.points.len() {
            self.tags.sort_unstable();
            self.stage = Stage::Entries;
        } else if self.in_order() {
            self.stage = Stage::Points;
        }
        Ok(())
    }

    fn check_proof(
        &self,
        from: &[Element],
        to: &[Element],
        points: &Points,
        proof: Option<&Proof>,
    ) -> Result<(), PsiError> {
        let public = &self.offer()?.key;
        let claim = Claim { session: &self.session.digest, public, from, to };
        let own = decode_all(from)?;
        let holds = proof.is_some_and(|proof| claim.holds(&own, points, proof));
        holds.then_some(()).ok_or(PsiError::Proof)
    }

    fn look_up(&mut self, tags: &[Tag], amounts: &[[Element; 2]]) -> Result<(), PsiError> {
        let offer = self.offer()?;
        check_batch(tags.len(), BATCH.min(offer.items - self.matching.entries.count))?;
        let expected = if self.has_amounts() { tags.len() } else { 0 };
        if amounts.len() != expected {
            return Err(PsiError::Amounts { got: amounts.len(), expected });
        }
        let mut matching = self.matching.clone();
        matching.pass(&self.tags, tags, amounts)?;
        let complete = matching.entries.count == offer.items;
        if complete && matching.entries.digest() != offer.commitment {
            return Err(PsiError::Commitment);
        }
        self.matching = matching;
        if complete {
            self.stage = self.conclusion();
        }
        Ok(())
    }

    fn conclusion(&self) -> Stage {
        match self.session.terms.variant {
            Variant::Intersection => {
                let mut places = self.matching.places.clone();
                places.sort_unstable();
                Stage::Done(Outcome::Intersection(places))
            }
            Variant::Cardinality => Stage::Done(Outcome::Cardinality(self.cardinality())),
            Variant::Sum { .. } => Stage::Query,
        }
    }

    fn cardinality(&self) -> u32 {
        u32::try_from(self.matching.places.len()).unwrap_or(u32::MAX)
    }

    fn open(&mut self, element: &Element, proof: &Proof) -> Result<(), PsiError> {
        let Variant::Sum { max_total } = self.session.terms.variant else {
            return Err(PsiError::OutOfTurn);
        };
        let (from, to) = ([self.matching.sum.query()], [*element]);
        let product = decode(element).ok_or(PsiError::Element { index: 0 })?;
        let public = &self.amount_key()?;
        let claim = Claim { session: &self.session.digest, public, from: &from, to: &to };
        if !claim.holds(&decode_all(&from)?, &decode_all(&to)?, proof) {
            return Err(PsiError::Proof);
        }
        let total = self.matching.sum.open(&product, max_total)?;
        self.stage = Stage::Done(Outcome::Sum { cardinality: self.cardinality(), total });
        Ok(())
    }
}

impl Matching {
    /// Looks entries up among `own` tags.
    fn pass(
        &mut self,
        own: &[(Tag, u32)],
        tags: &[Tag],
        amounts: &[[Element; 2]],
    ) -> Result<(), PsiError> {
        let amount =
            |index| amounts.get(index).map_or(&[][..], |amount: &[Element; 2]| &amount[..]);
        let entries = tags.iter().enumerate().map(|(index, tag)| (tag, amount(index)));
        self.entries.pass(entries)?;
        let mut found = Vec::new();
        for (index, tag) in tags.iter().enumerate() {
            self.cursor += own[self.cursor..].iter().take_while(|(own, _)| own < tag).count();
            let Some((_, place)) = own.get(self.cursor).filter(|(own, _)| own == tag) else {
                continue;
            };
            self.places.push(*place);
            found.extend(amounts.get(index).map(|amount| (index, *amount)));
        }
        self.add(&found)
    }

    /// Adds the numbers of entries, each with its place in the message.
    fn add(&mut self, found: &[(usize, [Element; 2])]) -> Result<(), PsiError> {
        let ciphertexts: Vec<[Element; 2]> = found.iter().map(|(_, amount)| *amount).collect();
        let added = self.sum.add(&ciphertexts);
        added.map_err(|place| PsiError::Element { index: found[place].0 })
    }
}

fn elements(points: &[(Element, u32)]) -> Vec<Element> {
    points.iter().map(|(element, _)| *element).collect()
}

/// A batch is never empty, and full unless it is the last.
pub(super) fn check_batch(got: usize, expected: usize) -> Result<(), PsiError> {
    if got != expected {
        return Err(PsiError::Batch { got, expected });
    }
    Ok(())
}
