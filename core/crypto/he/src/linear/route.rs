//! How a matrix is applied to a vector in slots: which rotations, which diagonals.

use std::collections::{BTreeMap, BTreeSet};

use super::{Layout, Matrix};
use crate::HeError;

/// Diagonals of a matrix and the rotations that bring the vector to them.
///
/// With x̂ the slots of the vector, the slots of the product are Σ over `folds` of
/// Σ rotate(g, Σ weights(g, b) ∘ rotate(b, x̂)) over g and b: the diagonal method of Halevi & Shoup 2014
/// (ePrint 2014/106) with baby steps b and giant steps g, on diagonals that are folded where the
/// matrix has more columns than rows (Juvekar, Vaikuntanathan & Chandrakasan 2018,
/// arXiv:1801.05507). Diagonals without a weight cost nothing, so that convolutions are matrices
/// like any other; how many have one depends on the layouts of vector and product.
#[derive(Clone, Debug)]
pub struct Route {
    /// Weights by giant and baby step, a pattern each, for the slots before the giant step.
    pub(super) terms: BTreeMap<i64, BTreeMap<i64, Vec<f64>>>,
    /// Rotations by which the sum is added to itself, one after the other.
    pub(super) folds: Vec<i64>,
    /// Where the product is.
    pub(super) output: Layout,
    /// Whether slots outside of the layout hold parts of the sums.
    pub(super) residue: bool,
}

/// What a route costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteCost {
    /// Rotations of one ciphertext, which share a decomposition.
    pub babies: usize,
    /// Other rotations before the level is used up.
    pub giants: usize,
    /// Rotations after it.
    pub folds: usize,
    /// Products with plaintexts.
    pub products: usize,
}

impl RouteCost {
    /// In units of about a tenth of a rotation, to which 3 are added for the bytes of its key.
    pub const fn weight(self) -> usize {
        let decomposition = if self.babies > 0 { 6 } else { 0 };
        decomposition + 7 * self.babies + 13 * self.giants + 10 * self.folds + self.products
    }
}

impl Route {
    /// The cheapest route for `matrix` on a vector in `input`. Only the `last` product of a circuit may
    /// leave parts of sums in slots that its layout does not name.
    ///
    /// # Errors
    /// [`HeError::Width`] if the vector is not as long as the matrix is wide, [`HeError::Values`] if
    /// the rows do not fit the slots.
    pub fn new(matrix: &Matrix, input: &Layout, slots: usize, last: bool) -> Result<Self, HeError> {
        Ok(Way::cheapest(matrix, matrix.output.as_ref(), input, (slots, last))?.route())
    }

    /// What the route of [`Route::new`] costs if the product is in `output`, where there is one given.
    /// Nothing is made of the weights.
    ///
    /// # Errors
    /// As [`Route::new`].
    pub fn price(
        matrix: &Matrix,
        output: Option<&Layout>,
        input: &Layout,
        slots: usize,
        last: bool,
    ) -> Result<RouteCost, HeError> {
        let way = Way::cheapest(matrix, output, input, (slots, last))?;
        Ok(way.cost(way.split()))
    }

    /// What it makes of slots in the clear: as many as a period, or a multiple of it.
    pub(crate) fn at(&self, slots: &[f64]) -> Vec<f64> {
        let turned = |slots: &[f64], by: i64| {
            let mut slots = slots.to_vec();
            let by = by.rem_euclid(signed(slots.len()));
            slots.rotate_left(usize::try_from(by).unwrap_or_default());
            slots
        };
        let add = |sum: &mut [f64], other: Vec<f64>| {
            sum.iter_mut().zip(other).for_each(|(sum, it)| *sum += it);
        };
        let mut sum = vec![0.0; slots.len()];
        for (giant, terms) in &self.terms {
            let mut part = vec![0.0; slots.len()];
            for (baby, weights) in terms {
                let moved = turned(slots, *baby);
                let products = moved.iter().zip(weights.iter().cycle()).map(|(x, w)| x * w);
                add(&mut part, products.collect());
            }
            add(&mut sum, turned(&part, *giant));
        }
        for fold in &self.folds {
            let moved = turned(&sum, *fold);
            add(&mut sum, moved);
        }
        sum
    }

    /// What it costs.
    pub fn cost(&self) -> RouteCost {
        RouteCost {
            babies: self.babies().iter().filter(|step| **step != 0).count(),
            giants: self.terms.keys().filter(|step| **step != 0).count(),
            folds: self.folds.len(),
            products: self.terms.values().map(BTreeMap::len).sum(),
        }
    }

    pub(super) fn babies(&self) -> BTreeSet<i64> {
        self.terms.values().flat_map(BTreeMap::keys).copied().collect()
    }

    /// From each giant step to the next, from 0 on: sums are rotated by these, the last part first
    /// (Horner), so that equal distances need one key.
    pub(super) fn giants(&self) -> impl Iterator<Item = i64> {
        let before = std::iter::once(0).chain(self.terms.keys().copied());
        self.terms.keys().zip(before).map(|(giant, before)| giant - before)
    }

    /// The rotations that it needs keys for.
    pub fn rotations(&self) -> BTreeSet<i64> {
        let all = self.babies().into_iter().chain(self.giants());
        all.chain(self.folds.iter().copied()).filter(|step| *step != 0).collect()
    }

    /// Where the product is.
    pub const fn output(&self) -> &Layout {
        &self.output
    }

    /// Whether slots outside of the layout of the product hold parts of sums.
    pub const fn residue(&self) -> bool {
        self.residue
    }
}

/// A way to share the work: every copy of the vector, of so many, sums some of the rows.
///
/// In block b, row b R + u is summed over slots u, u + F, u + 2 F … of the block, where R are the
/// slots that the rows of a block take and F is R or the length of a run, whichever is larger.
struct Way<'a> {
    matrix: &'a Matrix,
    output: Option<&'a Layout>,
    input: &'a Layout,
    /// The slots of each coordinate in a period of the input.
    places: Vec<Vec<usize>>,
    blocks: usize,
    /// Slots of the rows of a block.
    each: usize,
}

impl<'a> Way<'a> {
    fn cheapest(
        matrix: &'a Matrix,
        output: Option<&'a Layout>,
        input: &'a Layout,
        (slots, last): (usize, bool),
    ) -> Result<Self, HeError> {
        if matrix.columns() != input.width() {
            return Err(HeError::Width { got: input.width(), needed: matrix.columns() });
        }
        let rows = output.map_or(matrix.rows(), Layout::period);
        if rows > slots {
            return Err(HeError::Values { got: rows, limit: slots });
        }
        let rows = rows.next_power_of_two();
        let copies = if last && output.is_none() { slots / input.period() } else { 1 };
        let blocks = (0..=rows.min(copies).ilog2()).map(|log| 1 << log);
        let ways = blocks.map(|blocks| {
            let way =
                Way { matrix, output, input, places: input.all(), blocks, each: rows / blocks };
            (way.cost(way.split()).weight(), way)
        });
        // There is one block at least.
        ways.min_by_key(|(weight, _)| *weight).map(|(_, way)| way).ok_or(HeError::Exhausted)
    }

    fn fold(&self) -> usize {
        self.each.max(self.input.run())
    }

    /// Slots of a block.
    fn period(&self) -> usize {
        self.input.period().max(self.fold())
    }

    /// After how many slots a rotation finds the same again, or what is added to it.
    fn circle(&self) -> usize {
        self.input.period().min(self.fold())
    }

    /// The row that a slot of a block sums.
    fn row(&self, block: usize, unit: usize) -> Option<&'a [f64]> {
        let slot = block * self.each + unit % self.each;
        let row = self.output.map_or(Some(slot), |output| output.coordinate(slot));
        row.and_then(|row| self.matrix.row(row))
    }

    /// Block, slot of the block, place of the coordinate and weight, for all that are not 0.
    fn weights(&self, mut with: impl FnMut(usize, usize, usize, f64)) {
        for block in 0..self.blocks {
            for unit in 0..self.fold() {
                let copy = unit % self.input.run();
                let Some(weights) = self.row(block, unit) else { continue };
                for (at, weight) in weights.iter().enumerate().filter(|(_, it)| **it != 0.0) {
                    with(block, unit, self.places[at][copy], *weight);
                }
            }
        }
    }

    /// The smallest rotation from a place to a slot.
    fn shift(&self, unit: usize, place: usize) -> usize {
        let circle = self.circle();
        (place + self.period() - unit) % circle
    }

    fn split(&self) -> Split {
        let mut seen = vec![false; self.circle()];
        self.weights(|_, unit, place, _| seen[self.shift(unit, place)] = true);
        Split::new(&seen)
    }

    fn folds(&self) -> Vec<i64> {
        let steps = std::iter::successors(Some(self.period() / 2), |step| Some(*step / 2));
        steps.take_while(|step| *step >= self.fold()).map(signed).collect()
    }

    fn cost(&self, split: Split) -> RouteCost {
        RouteCost { folds: self.folds().len(), ..split.cost }
    }

    fn route(&self) -> Route {
        let (split, period) = (self.split(), self.period());
        let length = self.blocks * period;
        let mut diagonals = vec![Vec::new(); self.circle()];
        self.weights(|block, unit, place, weight| {
            let shift = self.shift(unit, place);
            let slot = if self.fold() < period {
                (place + split.back(shift, period)) % period
            } else {
                unit
            };
            let weights: &mut Vec<f64> = &mut diagonals[shift];
            weights.resize(length, 0.0);
            weights[block * period + slot] += weight;
        });
        let mut terms: BTreeMap<i64, BTreeMap<i64, Vec<f64>>> = BTreeMap::new();
        let filled = diagonals.into_iter().enumerate().filter(|(_, it)| !it.is_empty());
        for (shift, mut weights) in filled {
            let [giant, baby] = split.steps(shift);
            // What is rotated by the giant step afterwards is weighed before.
            weights.rotate_right(usize::try_from(giant).unwrap_or_default() % length);
            terms.entry(giant).or_default().insert(baby, weights);
        }
        Route { terms, folds: self.folds(), output: self.product(), residue: self.blocks > 1 }
    }

    /// Where the product is.
    fn product(&self) -> Layout {
        let (rows, each) = (self.matrix.rows(), self.each);
        match self.output {
            Some(output) => output.clone(),
            None if self.blocks == 1 => Layout::cycle(rows, each),
            None => {
                let slot = |row: usize| row / each * self.period() + row % each;
                let slots: Vec<_> = (0..rows).map(slot).collect();
                Layout::sparse(&slots, self.blocks * self.period())
            }
        }
    }
}

/// How the rotations that a product needs are made of giant and baby steps.
#[derive(Clone, Copy)]
struct Split {
    /// The first of them on the circle, from which the others are counted.
    first: usize,
    circle: usize,
    /// Giant steps are its multiples.
    modulus: usize,
    cost: RouteCost,
}

impl Split {
    /// The cheapest for these places of a circle.
    ///
    /// What a window of an image needs are rows, columns and channels of it, each some steps apart:
    /// counted from its first corner, which is after the widest gap, no row is cut in two.
    fn new(needed: &[bool]) -> Self {
        let circle = needed.len();
        let ways = [0, after_the_widest_gap(needed)].map(|first| {
            let all = (0..circle).filter(|from| needed[(first + from) % circle]);
            Self::from(first, circle, &all.collect::<Vec<_>>())
        });
        let [zero, gap] = ways;
        if gap.cost.weight() < zero.cost.weight() { gap } else { zero }
    }

    /// The cheapest for these distances, ascending, from the first.
    fn from(first: usize, circle: usize, all: &[usize]) -> Self {
        let last = all.last().copied().unwrap_or_default();
        let mut seen = vec![0; last + 1];
        let one = Self { first, circle, modulus: 1, cost: RouteCost::default() };
        let mut best = Self { cost: one.count(all, &mut seen), ..one };
        for modulus in 2..=last + 1 {
            // There are no fewer steps of either kind.
            let least = RouteCost {
                babies: all.len().div_ceil(last / modulus + 1).saturating_sub(1),
                giants: all.len().div_ceil(modulus).saturating_sub(1),
                ..best.cost
            };
            if least.weight() < best.cost.weight() {
                let it = Self { modulus, ..one };
                let cost = it.count(all, &mut seen);
                if cost.weight() < best.cost.weight() {
                    best = Self { cost, ..it };
                }
            }
        }
        best
    }

    /// The cost of the rotations. `seen` has a number below the modulus at each place.
    fn count(&self, all: &[usize], seen: &mut [usize]) -> RouteCost {
        let mut cost = RouteCost { products: all.len(), ..RouteCost::default() };
        let mut giant = 0;
        for from in all {
            let (next, baby) = (from / self.modulus, from % self.modulus);
            cost.giants += usize::from(next != giant);
            giant = next;
            if seen[baby] != self.modulus {
                seen[baby] = self.modulus;
                cost.babies += usize::from(!(self.first + baby).is_multiple_of(self.circle));
            }
        }
        cost
    }

    /// What undoes a rotation, where `period` slots are all that there are.
    fn back(&self, shift: usize, period: usize) -> usize {
        let rotation: i64 = self.steps(shift).iter().sum();
        usize::try_from((-rotation).rem_euclid(signed(period))).unwrap_or_default()
    }

    /// Giant and baby step of a rotation.
    fn steps(&self, shift: usize) -> [i64; 2] {
        let from = (shift + self.circle - self.first) % self.circle;
        let baby = from % self.modulus;
        let first = signed(self.first) - if self.first > 0 { signed(self.circle) } else { 0 };
        [signed(from - baby), first + signed(baby)]
    }
}

/// The place after the most that are not needed, the last one of several.
fn after_the_widest_gap(needed: &[bool]) -> usize {
    let circle = needed.len();
    let places = || (0..circle).filter(|at| needed[*at]);
    let before = places().next_back().into_iter().chain(places());
    let gaps = places().zip(before).map(|(at, before)| ((at + circle - before) % circle, at));
    gaps.max().map_or(0, |(_, at)| at)
}

#[expect(clippy::cast_possible_wrap, reason = "below the number of slots")]
const fn signed(steps: usize) -> i64 {
    steps as i64
}
