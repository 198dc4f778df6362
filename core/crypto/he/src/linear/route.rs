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
/// like any other.
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
    pub(crate) const fn weight(self) -> usize {
        let decomposition = if self.babies > 0 { 6 } else { 0 };
        decomposition + 7 * self.babies + 13 * self.giants + 10 * self.folds + self.products
    }
}

/// The diagonals: shift to weights by slot.
type Diagonals = BTreeMap<i64, Vec<f64>>;

impl Route {
    /// The cheapest route for `matrix` on a vector in `input`. Only the `last` product of a circuit may
    /// leave parts of sums in slots that its layout does not name.
    ///
    /// # Errors
    /// [`HeError::Width`] if the vector is not as long as the matrix is wide, [`HeError::Values`] if
    /// the rows do not fit the slots.
    pub fn new(matrix: &Matrix, input: &Layout, slots: usize, last: bool) -> Result<Self, HeError> {
        if matrix.columns() != input.width() {
            return Err(HeError::Width { got: input.width(), needed: matrix.columns() });
        }
        if matrix.rows() > slots {
            return Err(HeError::Values { got: matrix.rows(), limit: slots });
        }
        let rows = matrix.rows().next_power_of_two();
        let copies = if last { slots / input.period() } else { 1 };
        let blocks = (0..=rows.min(copies).ilog2()).map(|log| 1 << log);
        let routes = blocks.map(|blocks| Self::in_blocks(matrix, input, blocks));
        // There is one block at least.
        routes.min_by_key(|route| route.cost().weight()).ok_or(HeError::Exhausted)
    }

    /// The route that gives every copy of the vector, of so many, a share of the rows.
    ///
    /// In block b, row b R + u is summed over slots u, u + F, u + 2 F … of the block, where R are the
    /// rows of a block and F is R or the length of a run, whichever is larger.
    fn in_blocks(matrix: &Matrix, input: &Layout, blocks: usize) -> Self {
        let each = matrix.rows().next_power_of_two() / blocks;
        let fold = each.max(input.run());
        let period = input.period().max(fold);
        let places: Vec<_> = input.places().iter().map(|it| copies(it, input, period)).collect();
        let mut diagonals = Diagonals::new();
        for block in 0..blocks {
            for unit in 0..fold {
                let row = block * each + unit % each;
                let Some(weights) = matrix.row(row) else { continue };
                for (weight, places) in
                    weights.iter().zip(&places).filter(|(weight, _)| **weight != 0.0)
                {
                    let (shift, place) = nearest(&places[unit % input.run()], unit, fold);
                    let slot = block * period + (place + period - shift) % period;
                    #[expect(clippy::cast_possible_wrap, reason = "below the number of slots")]
                    let diagonal = diagonals.entry(shift as i64);
                    diagonal.or_insert_with(|| vec![0.0; blocks * period])[slot] += weight;
                }
            }
        }
        let mut folds = Vec::new();
        let mut step = period / 2;
        while step >= fold {
            #[expect(clippy::cast_possible_wrap, reason = "below the number of slots")]
            folds.push(step as i64);
            step /= 2;
        }
        let output = if blocks == 1 {
            Layout::cycle(matrix.rows(), each)
        } else {
            let slot = |row: usize| row / each * period + row % each;
            Layout::sparse(&(0..matrix.rows()).map(slot).collect::<Vec<_>>(), blocks * period)
        };
        Self { terms: steps(diagonals), folds, output, residue: blocks > 1 }
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

/// The places of a coordinate within `period`, by their place in a run.
fn copies(places: &[usize], input: &Layout, period: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new(); input.run()];
    for from in (0..period).step_by(input.period()) {
        for place in places {
            all[place % input.run()].push(from + place);
        }
    }
    all
}

/// The smallest shift modulo `fold` from `unit` to one of `places`, and that place.
fn nearest(places: &[usize], unit: usize, fold: usize) -> (usize, usize) {
    let shift = |place: &usize| ((*place + fold - unit) % fold, *place);
    places.iter().map(shift).min().unwrap_or_default()
}

/// Splits shifts into giant and baby steps, by the modulus that leaves the fewest rotations.
fn steps(diagonals: Diagonals) -> BTreeMap<i64, BTreeMap<i64, Vec<f64>>> {
    let shifts: Vec<i64> = diagonals.keys().copied().collect();
    let limit = shifts.last().map_or(1, |last| last + 1);
    let weight = |modulus: &i64| {
        let distinct = |part: fn(i64, i64) -> i64| {
            let parts: BTreeSet<i64> = shifts.iter().map(|shift| part(*shift, *modulus)).collect();
            parts.iter().filter(|step| **step != 0).count()
        };
        let cost = RouteCost {
            babies: distinct(i64::rem_euclid),
            giants: distinct(i64::div_euclid),
            ..RouteCost::default()
        };
        cost.weight()
    };
    let modulus = (1..=limit).min_by_key(weight).unwrap_or(1);
    let mut terms: BTreeMap<i64, BTreeMap<i64, Vec<f64>>> = BTreeMap::new();
    for (shift, mut weights) in diagonals {
        let (giant, baby) = (shift - shift.rem_euclid(modulus), shift.rem_euclid(modulus));
        // What is rotated by the giant step afterwards is weighed before.
        let by = usize::try_from(giant).unwrap_or_default() % weights.len();
        weights.rotate_right(by);
        terms.entry(giant).or_default().insert(baby, weights);
    }
    terms
}
