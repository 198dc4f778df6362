//! Growing the trees of a forest.

use nexus_models::data::Table;
use nexus_types::Seed;

use super::error::count;
use super::{Forest, ForestError, Form, MAX_DEPTH, MAX_TREES, Node, Tree, VERSION};
use crate::task::argmax;

/// Values of a number of eight bits.
const VALUES: usize = 256;
/// What a split must be worth at least, in rows: rounding alone is worth less.
const LEAST_GAIN: f64 = 1e-9;

/// How a forest is grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForestOptions {
    /// Its trees.
    pub trees: usize,
    /// The most questions from the root of a tree to a leaf.
    pub depth: usize,
    /// What its random choices follow from.
    pub seed: u64,
}

impl Default for ForestOptions {
    fn default() -> Self {
        Self { trees: 5, depth: 3, seed: 1 }
    }
}

/// Rows with their classes.
struct Known {
    rows: Vec<Vec<u8>>,
    labels: Vec<usize>,
    classes: usize,
}

impl Forest {
    /// A forest for a table, a column of which is the class. Each tree is grown on as many rows as there
    /// are, drawn with replacement (Breiman 1996), by the splits that make classes purest, measured by
    /// Gini's index (Breiman et al. 1984).
    ///
    /// # Errors
    /// [`ForestError`] if the table or the options are not possible.
    pub fn fit(table: &Table, label: &str, options: &ForestOptions) -> Result<Self, ForestError> {
        count("trees", options.trees, 1, MAX_TREES)?;
        count("questions from root to leaf", options.depth, 1, MAX_DEPTH)?;
        let form = Form::of(table, label)?;
        let labels = form.truth(table).into_iter().map(Option::unwrap_or_default).collect();
        let known = Known { rows: form.rows(table)?, labels, classes: form.classes.len() };
        let seed = Seed::from_number(options.seed);
        let tree = |tree| {
            let mut rng = seed.derive("inference/forest/tree", &[tree]).rng();
            let rows = known.rows.len() as u64;
            let draw = |_| usize::try_from(rng.below(rows)).unwrap_or_default();
            let drawn: Vec<usize> = (0..rows).map(draw).collect();
            let mut nodes = Vec::new();
            known.grow(&mut nodes, &drawn, options.depth);
            Tree { nodes }
        };
        let trees = (0..options.trees as u64).map(tree).collect();
        let forest = Self { version: VERSION, form, trees };
        forest.check()?;
        Ok(forest)
    }
}

impl Known {
    /// Appends the nodes for these rows, and says where they begin.
    fn grow(&self, nodes: &mut Vec<Node>, drawn: &[usize], depth: usize) -> usize {
        let counts = self.counts(drawn);
        let (at, class) = (nodes.len(), argmax(&counts));
        nodes.push(Node::Leaf { class });
        let split = if depth > 0 { self.split(drawn, &counts) } else { None };
        let Some((feature, above)) = split else { return at };
        let (over, under): (Vec<usize>, Vec<usize>) =
            drawn.iter().partition(|row| self.rows[**row][feature] > above);
        let no = self.grow(nodes, &under, depth - 1);
        let yes = self.grow(nodes, &over, depth - 1);
        let leaf = Node::Leaf { class };
        if nodes[no] == leaf && nodes[yes] == leaf {
            // Two leaves that say the same are one.
            nodes.truncate(at + 1);
        } else {
            nodes[at] = Node::Split { feature, above, no, yes };
        }
        at
    }

    fn counts(&self, drawn: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for row in drawn {
            counts[self.labels[*row]] += 1;
        }
        counts
    }

    /// The split that leaves the purest halves, the first of equals, unless none is worth anything.
    fn split(&self, drawn: &[usize], counts: &[usize]) -> Option<(usize, u8)> {
        let features = self.rows.first().map_or(0, Vec::len);
        let mut best = (None, purity(counts) + LEAST_GAIN);
        for feature in 0..features {
            let mut by_value = vec![0; VALUES * self.classes];
            for row in drawn {
                let value = usize::from(self.rows[*row][feature]);
                by_value[value * self.classes + self.labels[*row]] += 1;
            }
            let (mut under, mut over) = (vec![0; self.classes], counts.to_vec());
            for (above, values) in (0..u8::MAX).zip(by_value.chunks_exact(self.classes)) {
                for (class, count) in values.iter().enumerate() {
                    under[class] += count;
                    over[class] -= count;
                }
                let reached = purity(&under) + purity(&over);
                if reached > best.1 {
                    best = (Some((feature, above)), reached);
                }
            }
        }
        best.0
    }
}

/// The rows less Gini's impurity of each: what a split is to make large.
fn purity(counts: &[usize]) -> f64 {
    let rows: usize = counts.iter().sum();
    let squares: f64 = counts.iter().map(|count| (*count as f64).powi(2)).sum();
    if rows == 0 { 0.0 } else { squares / rows as f64 }
}
