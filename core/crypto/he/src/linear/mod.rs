//! Matrices on encrypted vectors.
//!
//! [`Layout`] says which number is in which slot, [`Route`] which rotations and diagonals take a vector in
//! one layout to a product in another, and [`LinearMap`] has them encoded. A product is in the order of
//! its rows unless a matrix is [arranged](Matrix::arranged): then there may be gaps, which hold 0. With
//! numbers where windows move by equal rotations, convolutions have few diagonals (multiplexed
//! packing: Lee et al. 2022, ePrint 2021/1688). [`ColumnMap`] is for a ciphertext for each number.

mod columns;
mod layout;
mod map;
mod route;

pub use columns::ColumnMap;
pub use layout::Layout;
pub use map::LinearMap;
pub(crate) use map::{Steps, scales};
pub use route::{Route, RouteCost};

use crate::HeError;

/// A matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    columns: usize,
    values: Vec<f64>,
    /// In which slots a product is, if they are not those of the rows' numbers.
    output: Option<Layout>,
}

impl Matrix {
    /// A matrix of `columns` columns.
    ///
    /// # Errors
    /// [`HeError::Width`] if the last row is not full or there is none; [`HeError::Number`] for a
    /// value that is not finite.
    pub fn new(columns: usize, values: Vec<f64>) -> Result<Self, HeError> {
        if columns == 0 || values.is_empty() || !values.len().is_multiple_of(columns) {
            return Err(HeError::Width { got: values.len(), needed: columns });
        }
        if let Some(got) = values.iter().find(|value| !value.is_finite()) {
            return Err(HeError::Number {
                what: "a weight",
                got: *got,
                problem: "it must be finite",
            });
        }
        Ok(Self { columns, values, output: None })
    }

    /// Length of the vectors that it takes.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Length of the vectors that it gives.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// One row, if it is there.
    pub fn row(&self, at: usize) -> Option<&[f64]> {
        self.values.chunks_exact(self.columns).nth(at)
    }

    /// The same with products in the slots of this layout. Numbers stay in their order for whoever
    /// computes in the clear or with a ciphertext for each.
    ///
    /// # Errors
    /// [`HeError::Width`] unless it has a coordinate for each row.
    pub fn arranged(mut self, output: Layout) -> Result<Self, HeError> {
        if output.width() != self.rows() {
            return Err(HeError::Width { got: output.width(), needed: self.rows() });
        }
        self.output = Some(output);
        Ok(self)
    }

    /// Where a product is, if that is not its order.
    pub const fn output(&self) -> Option<&Layout> {
        self.output.as_ref()
    }

    /// Slots that a product takes: as many as rows, with the gaps of an arrangement.
    pub fn slots(&self) -> usize {
        self.output.as_ref().map_or(self.rows(), Layout::period)
    }

    /// The same with every row multiplied by its factor.
    #[must_use]
    pub fn rows_scaled(mut self, factor: impl Fn(usize) -> f64) -> Self {
        for (row, values) in self.values.chunks_exact_mut(self.columns).enumerate() {
            let factor = factor(row);
            for value in values {
                *value *= factor;
            }
        }
        self
    }

    /// The product with a vector.
    pub fn times(&self, vector: &[f64]) -> Vec<f64> {
        let rows = self.values.chunks_exact(self.columns);
        rows.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
    }
}

#[cfg(test)]
mod tests;
