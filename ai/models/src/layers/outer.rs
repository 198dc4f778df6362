//! Gradients of the form Σₜ aₜ ⊗ bₜ: every matrix of weights has one, with a the δ and b the
//! input at the positions t of an example.

use crate::Real;
use crate::gemm::{Matrix, MatrixMut, Old, multiply};
use crate::vector::{add, dot, sized, sum_sq, wide};

/// Rows, `width` values each: the positions of the examples, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) width: usize,
}

impl<'a, T: Real> Rows<'a, T> {
    fn matrix(self) -> Matrix<'a, T> {
        Matrix::new(self.data, self.data.len() / self.width, self.width)
    }

    /// The rows of each example.
    fn examples(self, positions: usize) -> impl Iterator<Item = Rows<'a, T>> {
        let width = self.width;
        self.data.chunks_exact(positions * width).map(move |data| Rows { data, width })
    }
}

/// Adds |Σₜ aₜ ⊗ bₜ|² of each example to `norms`, by whichever of three ways is cheapest.
///
/// * One position: |a|² |b|² (Goodfellow 2015, arXiv:1510.01799).
/// * Few positions, 2 t² < width(a) width(b): Σₜᵤ (aₜ·aᵤ)(bₜ·bᵤ), from two t x t Gram
///   matrices; the gradient itself never exists ("ghost norm", Li et al. 2021,
///   arXiv:2110.05679).
/// * Many positions: the gradient of one example at a time.
///
/// The rule between the last two is that of Bu et al. 2022 (arXiv:2205.10683, section 4).
pub(crate) fn add_norms_sq<T: Real>(
    a: Rows<'_, T>,
    b: Rows<'_, T>,
    positions: usize,
    norms: &mut [T],
    products: &mut Vec<T>,
) {
    if positions == 1 {
        wide!({
            for ((norm, a), b) in norms.iter_mut().zip(a.examples(1)).zip(b.examples(1)) {
                *norm += sum_sq(a.data) * sum_sq(b.data);
            }
        });
        return;
    }
    let gram = 2 * positions * positions < a.width * b.width;
    let len = if gram { 2 * positions * positions } else { a.width * b.width };
    let products = sized(products, len);
    for ((norm, a), b) in norms.iter_mut().zip(a.examples(positions)).zip(b.examples(positions)) {
        let (a, b) = (a.matrix(), b.matrix());
        *norm +=
            if gram { gram_product(a, b, positions, products) } else { squared(a, b, products) };
    }
}

fn gram_product<T: Real>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    positions: usize,
    products: &mut [T],
) -> T {
    let (of_a, of_b) = products.split_at_mut(positions * positions);
    for (gram, rows) in [(&mut *of_a, a), (&mut *of_b, b)] {
        multiply(MatrixMut::new(gram, positions, positions), Old::Dropped, T::ONE, rows, rows.t());
    }
    wide!(dot(of_a, of_b))
}

fn squared<T: Real>(a: Matrix<'_, T>, b: Matrix<'_, T>, product: &mut [T]) -> T {
    let out = MatrixMut::new(product, a.columns(), b.columns());
    multiply(out, Old::Dropped, T::ONE, a.t(), b);
    wide!(sum_sq(product))
}

/// Adds |Σₜ aₜ|² of each example to `norms`: the gradient of a bias.
pub(crate) fn add_sum_norms_sq<T: Real>(
    a: Rows<'_, T>,
    positions: usize,
    norms: &mut [T],
    sum: &mut Vec<T>,
) {
    let sum = sized(sum, a.width);
    wide!({
        for (norm, a) in norms.iter_mut().zip(a.examples(positions)) {
            *norm += if positions == 1 {
                sum_sq(a.data)
            } else {
                sum.fill(T::ZERO);
                for row in a.data.chunks_exact(a.width) {
                    add(sum, row);
                }
                sum_sq(sum)
            };
        }
    });
}

/// Writes Σₜ `factor` aₜ ⊗ bₜ over all examples to `gradient`, or adds it.
pub(crate) fn sum<T: Real>(
    a: Rows<'_, T>,
    b: Rows<'_, T>,
    factor: T,
    old: Old,
    gradient: &mut [T],
) {
    multiply(MatrixMut::new(gradient, a.width, b.width), old, factor, a.matrix().t(), b.matrix());
}

/// Writes Σₜ `factor` aₜ over all examples to `gradient`.
///
/// Each run of rows is summed by itself first, which keeps the rounding error of long sums small.
pub(crate) fn sum_rows<T: Real>(a: Rows<'_, T>, factor: T, gradient: &mut [T]) {
    const RUN: usize = 64;
    let mut part = vec![T::ZERO; a.width];
    wide!({
        gradient.fill(T::ZERO);
        for run in a.data.chunks(RUN * a.width) {
            part.fill(T::ZERO);
            for row in run.chunks_exact(a.width) {
                add(&mut part, row);
            }
            add(&mut *gradient, &part);
        }
        for value in gradient {
            *value *= factor;
        }
    });
}
