//! Forests: a few small decision trees on numbers of eight bits, which vote.
//!
//! A tree asks whether a number is above another, and depending on the answer asks on, or votes for a
//! class; the class with the most votes is the answer, the first of equals. That is what CKKS cannot
//! compute well: a comparison as a polynomial is deep, and wrong near the threshold. Under TFHE it is a
//! table look-up, and each look-up makes the noise small again (*bootstrapping*), so nothing limits how
//! many follow each other.
//!
//! | part | has | sees |
//! |---|---|---|
//! | [`Form`] | names of columns and classes, ranges | it is all that a client knows of a forest |
//! | [`Forest`] | the trees | rows |
//! | `ForestClient` | a row, a secret key | the class |
//! | `ForestServer` | the trees, the client's server key | ciphertexts |
//!
//! The last two need the feature `tfhe`, which is off by default: its licence, BSD-3-Clause-Clear,
//! grants no patent rights, and its authors ask for a patent licence for commercial use
//! ([`LICENCE_NOTE`]).
//!
//! # Threat model
//!
//! A forest that is read may be anyone's: [`Forest::read`] bounds and checks it, so that each walk ends at a
//! leaf. Its ranges are the smallest and largest numbers of the rows that it was fitted to, and its
//! thresholds lie between such numbers: who fits on private rows and gives away the forest tells of them.
//! Who learns what from encrypted rows is told at `ForestClient`.
//!
//! # Cost
//!
//! In the clear, nothing worth a word. Encrypted, all paths of all trees are walked, and every step is one
//! bootstrapping or a few: 1.2 seconds a row on two cores for 17 questions in 5 trees, on as many threads
//! as there are processors. A row of 30 numbers is sent as 976 bytes, keys once as 60 MB.
//!
//! # Example
//!
//! ```
//! use nexus_inference::{Forest, ForestOptions};
//! use nexus_models::data::builtin::breast_cancer;
//!
//! let table = breast_cancer();
//! let forest = Forest::fit(&table, "diagnosis", &ForestOptions::default())?;
//! let forest = Forest::read(&forest.write()?)?;
//! let (rows, truth) = (forest.form().rows(&table)?, forest.form().truth(&table));
//! assert_eq!(Some(forest.predict(&rows[0])?), truth[0]);
//! # Ok::<(), nexus_inference::ForestError>(())
//! ```
//!
//! # References
//!
//! * I. Chillotti, N. Gama, M. Georgieva, M. Izabachene, *TFHE*, 2018 (<https://eprint.iacr.org/2018/421>)
//! * L. Breiman, *Bagging predictors*, 1996

#[cfg(feature = "tfhe")]
mod encrypted;
mod error;
mod fit;
mod form;

use serde::{Deserialize, Serialize};

#[cfg(feature = "tfhe")]
pub use encrypted::{ForestClient, ForestServer};
pub use error::ForestError;
use error::{count, within};
pub use fit::ForestOptions;
pub use form::{Feature, Form};

use crate::task::argmax;

/// What whoever builds with the feature `tfhe` must know.
pub const LICENCE_NOTE: &str = "tfhe is under BSD-3-Clause-Clear, which grants no patent rights; its \
     authors (Zama) ask for a patent licence for commercial use";

/// The most trees of a forest.
const MAX_TREES: usize = 32;
/// The most questions from the root of a tree to a leaf.
const MAX_DEPTH: usize = 8;
/// The most numbers of a row.
const MAX_FEATURES: usize = 1024;
/// The most classes.
const MAX_CLASSES: usize = 64;
/// The most nodes of a tree.
const MAX_NODES: usize = (1 << (MAX_DEPTH + 1)) - 1;
/// The most bytes of a forest's file.
const MAX_BYTES: usize = 1 << 22;
/// The version of the file.
const VERSION: u32 = 1;

/// Trees that vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forest {
    version: u32,
    form: Form,
    trees: Vec<Tree>,
}

/// A tree: its root first, and what comes after a question behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tree {
    nodes: Vec<Node>,
}

/// A question or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Node {
    /// Whether a number of the row is above another, and where to go on.
    Split { feature: usize, above: u8, no: usize, yes: usize },
    /// A vote.
    Leaf { class: usize },
}

impl Forest {
    /// The most bytes that a forest's file has.
    pub const MAX_BYTES: usize = MAX_BYTES;

    /// A forest from the bytes of its file, which may be anyone's.
    ///
    /// # Errors
    /// [`ForestError`] naming what is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, ForestError> {
        within("a forest", bytes.len(), MAX_BYTES)?;
        let forest: Self = serde_json::from_slice(bytes)?;
        forest.check()?;
        Ok(forest)
    }

    /// The bytes of its file: JSON.
    ///
    /// # Errors
    /// [`ForestError::Json`].
    pub fn write(&self) -> Result<Vec<u8>, ForestError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// What a row is to it, and what an answer: not secret.
    pub const fn form(&self) -> &Form {
        &self.form
    }

    /// How many trees it has.
    pub const fn trees(&self) -> usize {
        self.trees.len()
    }

    /// How many questions its trees have together.
    pub fn splits(&self) -> usize {
        let nodes = self.trees.iter().flat_map(|tree| &tree.nodes);
        nodes.filter(|node| matches!(node, Node::Split { .. })).count()
    }

    /// The class of a row: the one with the most votes, the first of equals.
    ///
    /// # Errors
    /// [`ForestError::Width`].
    pub fn predict(&self, row: &[u8]) -> Result<usize, ForestError> {
        self.form.fits(row)?;
        let mut votes = vec![0; self.form.classes.len()];
        for tree in &self.trees {
            votes[tree.vote(row)] += 1;
        }
        Ok(argmax(&votes))
    }

    /// Whether its sizes are possible and its nodes make trees.
    fn check(&self) -> Result<(), ForestError> {
        if self.version != VERSION {
            return Err(ForestError::Version { got: self.version, needed: VERSION });
        }
        self.form.check()?;
        count("trees", self.trees.len(), 1, MAX_TREES)?;
        self.trees.iter().enumerate().try_for_each(|(at, tree)| tree.check(at, &self.form))
    }
}

impl Tree {
    fn vote(&self, row: &[u8]) -> usize {
        let mut at = 0;
        loop {
            match self.nodes[at] {
                Node::Split { feature, above, no, yes } => {
                    at = if row[feature] > above { yes } else { no };
                }
                Node::Leaf { class } => return class,
            }
        }
    }

    /// Whether every node but the first is below one that comes before it, and below one only.
    fn check(&self, tree: usize, form: &Form) -> Result<(), ForestError> {
        let nodes = self.nodes.len();
        count("nodes of a tree", nodes, 1, MAX_NODES)?;
        let mut depths = vec![None; nodes];
        depths[0] = Some(0);
        for (node, it) in self.nodes.iter().enumerate() {
            let depth: usize = depths[node].ok_or(ForestError::Shape { tree, node })?;
            let below = |what, got, limit| {
                let problem = ForestError::Node { tree, node, what, got, limit };
                if got < limit { Ok(()) } else { Err(problem) }
            };
            match *it {
                Node::Leaf { class } => below("class", class, form.classes.len())?,
                Node::Split { feature, no, yes, .. } => {
                    below("feature", feature, form.features.len())?;
                    below("depth", depth, MAX_DEPTH)?;
                    for child in [no, yes] {
                        below("child", child, nodes)?;
                        if child <= node || depths[child].is_some() {
                            return Err(ForestError::Shape { tree, node: child });
                        }
                        depths[child] = Some(depth + 1);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
