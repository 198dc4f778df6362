//! Forests on rows that whoever has the forest does not see.

mod wire;

use std::collections::{BTreeMap, BTreeSet};

use nexus_types::CryptoRng;
use rayon::prelude::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use tfhe::integer::prelude::{IntegerRadixCiphertext, ServerKeyDefaultCMux};
use tfhe::integer::{self, BooleanBlock, RadixCiphertext};
use tfhe::shortint::{self, Ciphertext};
use tfhe::{ClientKey, CompressedServerKey, Seeder};

use super::{Forest, ForestError, Form, Node, Tree};
use wire::{DIGIT_BITS, DIGIT_BYTES, KEY_BYTES, Seeds, digits};

/// Who has the row and the secret key, which never leaves it.
///
/// # Threat model
///
/// The server sees how many numbers a row has and when it asks, and nothing of their values. It may
/// compute something else than the forest; nothing here would show it. The client sees the class, not
/// the votes; whoever may ask often enough can rebuild a forest from its answers. The last look-up
/// makes the noise of an answer anew, but nothing proves that it tells nothing of the forest.
/// Whether answers make sense must not be told to whoever made them.
///
/// `tfhe` draws the noise of the server key itself, from the processor's `RDSEED` where there is one,
/// else from the operating system, and does not wipe secrets from memory.
#[expect(missing_debug_implementations, reason = "it holds a secret")]
pub struct ForestClient {
    form: Form,
    key: ClientKey,
}

impl ForestClient {
    /// A client with a fresh key for a forest of this form. `rng` must be the operating system's.
    ///
    /// # Errors
    /// [`ForestError`] if the form is not sound: it came from a server.
    pub fn new(form: Form, rng: &mut dyn CryptoRng) -> Result<Self, ForestError> {
        form.check()?;
        let key = ClientKey::generate_with_seed(wire::config(), Seeds(rng).seed());
        Ok(Self { form, key })
    }

    /// The key that the server needs: `tfhe`'s `CompressedServerKey`.
    ///
    /// # Errors
    /// [`ForestError::Object`].
    pub fn keys(&self) -> Result<Vec<u8>, ForestError> {
        wire::write_all(&[CompressedServerKey::new(&self.key)], ("keys", KEY_BYTES))
    }

    /// A row as the forest sees it, encrypted: a seed, and a word for each two bits of each number.
    ///
    /// # Errors
    /// [`ForestError::Width`].
    pub fn question(&self, row: &[u8], rng: &mut dyn CryptoRng) -> Result<Vec<u8>, ForestError> {
        self.form.fits(row)?;
        let key: &integer::ClientKey = self.key.as_ref();
        Ok(wire::write_row(row, key.as_ref(), rng))
    }

    /// The class that the server's answer says.
    ///
    /// # Errors
    /// [`ForestError::Bytes`], [`ForestError::Object`], [`ForestError::Class`] if it is no answer.
    pub fn class(&self, answer: &[u8]) -> Result<usize, ForestError> {
        let limit = self.form.classes.len();
        let (count, each) = (digits(limit - 1), ("an answer", DIGIT_BYTES));
        let digits: Vec<Ciphertext> = wire::read_all(answer, count, each, &wire::fresh())?;
        let key: &integer::ClientKey = self.key.as_ref();
        let digits = digits.iter().rev().map(|digit| key.decrypt_one_block(digit));
        let got = digits.fold(0, |number, digit| (number << DIGIT_BITS) | digit);
        let got = usize::try_from(got).unwrap_or(usize::MAX);
        if got < limit { Ok(got) } else { Err(ForestError::Class { got, limit }) }
    }
}

/// Who has the forest and a client's server key. For the threat model see [`ForestClient`].
#[expect(missing_debug_implementations, reason = "the key has none")]
pub struct ForestServer {
    forest: Forest,
    key: integer::ServerKey,
}

impl ForestServer {
    /// A server of a forest for the client that these keys came from.
    ///
    /// # Errors
    /// [`ForestError::Bytes`], [`ForestError::Object`] if they are no keys.
    pub fn new(forest: Forest, keys: &[u8]) -> Result<Self, ForestError> {
        Ok(Self { forest, key: wire::read_keys(keys)? })
    }

    /// The class of an encrypted row, encrypted, and nothing else: a `Ciphertext` for each two bits of
    /// its number, the lowest first.
    ///
    /// # Errors
    /// [`ForestError::Bytes`] if it is no question; [`ForestError::Object`].
    pub fn answer(&self, question: &[u8]) -> Result<Vec<u8>, ForestError> {
        let row = wire::read_row(question, self.forest.form.features.len())?;
        let walk = Walk { forest: &self.forest, key: &self.key };
        let above = walk.compare(&row);
        let walked = |tree| {
            let mut votes = Votes::new();
            walk.below(tree, 0, None, &above, &mut votes);
            votes
        };
        let each: Vec<Votes> = self.forest.trees.par_iter().map(walked).collect();
        let mut votes = Votes::new();
        for (class, of_tree) in each.into_iter().flatten() {
            votes.entry(class).or_default().extend(of_tree);
        }
        let answer = walk.alike(walk.winner(votes), &row);
        wire::write_all(&answer, ("an answer", DIGIT_BYTES))
    }
}

/// Whether a feature is above a limit.
type Above = BTreeMap<(usize, u8), BooleanBlock>;
/// Votes for each class that a leaf has.
type Votes = BTreeMap<usize, Vec<RadixCiphertext>>;

/// What is computed for a row.
struct Walk<'a> {
    forest: &'a Forest,
    key: &'a integer::ServerKey,
}

impl Walk<'_> {
    /// The answers to all questions of all trees, each asked once.
    fn compare(&self, row: &[RadixCiphertext]) -> Above {
        let questions = self.forest.trees.iter().flat_map(|tree| &tree.nodes);
        let questions = questions.filter_map(|node| match *node {
            Node::Split { feature, above, .. } => Some((feature, above)),
            Node::Leaf { .. } => None,
        });
        let questions: BTreeSet<(usize, u8)> = questions.collect();
        let compare = |(feature, limit): (usize, u8)| {
            ((feature, limit), self.key.scalar_gt_parallelized(&row[feature], limit))
        };
        questions.into_par_iter().map(compare).collect()
    }

    /// Walks all paths below a node: at each leaf stands whether it was reached, which is a vote.
    fn below(
        &self,
        tree: &Tree,
        at: usize,
        reached: Option<BooleanBlock>,
        above: &Above,
        votes: &mut Votes,
    ) {
        match tree.nodes[at] {
            Node::Leaf { class } => {
                let sure = || self.key.create_trivial_boolean_block(true);
                let vote = reached.unwrap_or_else(sure);
                let vote = vote.into_radix(digits(self.forest.trees.len()), self.key);
                votes.entry(class).or_default().push(vote);
            }
            Node::Split { feature, above: limit, no, yes } => {
                let over = &above[&(feature, limit)];
                let under = self.key.boolean_bitnot(over);
                let [over, under] = [over, &under].map(|side| match &reached {
                    Some(reached) => self.key.boolean_bitand(reached, side),
                    None => side.clone(),
                });
                self.below(tree, no, Some(under), above, votes);
                self.below(tree, yes, Some(over), above, votes);
            }
        }
    }

    /// The class with the most votes, the first of equals.
    fn winner(&self, votes: Votes) -> RadixCiphertext {
        let width = digits(self.forest.form.classes.len() - 1);
        let number = |class: usize| self.key.create_trivial_radix(class as u64, width);
        let sums = votes.into_iter().filter_map(|(class, votes)| {
            Some((self.key.unchecked_sum_ciphertexts_vec_parallelized(votes)?, number(class)))
        });
        let better = |best: (RadixCiphertext, RadixCiphertext),
                      it: (RadixCiphertext, RadixCiphertext)| {
            let more = self.key.gt_parallelized(&it.0, &best.0);
            let choose = |it, best| self.key.if_then_else_parallelized(&more, it, best);
            (choose(&it.0, &best.0), choose(&it.1, &best.1))
        };
        sums.reduce(better).map_or_else(|| number(0), |(_, class)| class)
    }

    /// The digits of a class, all of the same form: also those which no row changes are encrypted.
    fn alike(&self, class: RadixCiphertext, row: &[RadixCiphertext]) -> Vec<Ciphertext> {
        let some = self.key.scalar_gt_parallelized(&row[0], u8::MAX / 2);
        let zero = self.key.boolean_bitand(&some, &self.key.boolean_bitnot(&some)).into_raw_parts();
        let key: &shortint::ServerKey = self.key.as_ref();
        let anew = |digit| key.message_extract(&key.unchecked_add(&digit, &zero));
        class.into_blocks().into_iter().map(anew).collect()
    }
}

#[cfg(test)]
mod tests;
