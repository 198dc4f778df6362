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

/// Adds |Σₜ aₜ ⊗ bₜ|² of each example to `norms`, by whichever of three ways is cheapest, and a bound
/// on what rounding and underflow may have taken from it: who clips by a norm relies on it.
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
                *norm += (sum_sq(a.data) + tiny(a)) * (sum_sq(b.data) + tiny(b));
            }
        });
        return;
    }
    let gram = 2 * positions * positions < a.width * b.width;
    let len = if gram { 2 * positions * positions } else { a.width * b.width };
    let products = sized(products, len);
    for ((norm, a), b) in norms.iter_mut().zip(a.examples(positions)).zip(b.examples(positions)) {
        let sizes = wide!((sum_sq(a.data) + tiny(a), sum_sq(b.data) + tiny(b)));
        *norm += if gram {
            gram_product(a, b, positions, products) + gram_error(sizes, (a, b), positions)
        } else {
            squared(a, b, products, product_error(sizes, positions))
        };
    }
}

/// What underflow may take from the sum of the squares of these rows, or from a product of two of
/// them.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn tiny<T: Real>(rows: Rows<'_, T>) -> T {
    T::of(rows.data.len() as f64 * f64::from(f32::from_bits(1)))
}

/// A bound on the error of a product of two Gram matrices of rows whose squares sum up to `sizes`.
fn gram_error<T: Real>(sizes: (T, T), (a, b): (Rows<'_, T>, Rows<'_, T>), positions: usize) -> T {
    let terms = T::of((a.width + b.width + positions * positions) as f64);
    let lost = T::of(positions as f64) * (tiny(a) * sizes.1 + tiny(b) * sizes.0);
    terms * T::ROUNDING * sizes.0 * sizes.1 + lost
}

/// A bound on how far the gradient of one example, as it is computed, is from the true one; twice,
/// for it is computed once to be measured and once to be added.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn product_error<T: Real>(sizes: (T, T), positions: usize) -> T {
    T::of(2.0 * positions as f64) * T::ROUNDING * sizes.0.sqrt() * sizes.1.sqrt()
}

fn gram_product<T: Real>(
    a: Rows<'_, T>,
    b: Rows<'_, T>,
    positions: usize,
    products: &mut [T],
) -> T {
    let (of_a, of_b) = products.split_at_mut(positions * positions);
    for (gram, rows) in [(&mut *of_a, a.matrix()), (&mut *of_b, b.matrix())] {
        multiply(MatrixMut::new(gram, positions, positions), Old::Dropped, T::ONE, rows, rows.t());
    }
    wide!(dot(of_a, of_b))
}

fn squared<T: Real>(a: Rows<'_, T>, b: Rows<'_, T>, product: &mut [T], error: T) -> T {
    sum(a, b, T::ONE, Old::Dropped, product);
    let norm = wide!(sum_sq(product)).sqrt() + error;
    norm * norm
}

/// Adds |Σₜ aₜ|² of each example to `norms`: the gradient of a bias; with a bound on what rounding may
/// have taken from it.
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
                // |Σₜ aₜ| may be far less than what is summed: as with a product.
                sum_of_rows(a.data, sum);
                let sizes = (sum_sq(a.data), T::of(positions as f64));
                let norm = sum_sq(sum).sqrt() + product_error(sizes, positions);
                norm * norm
            };
        }
    });
}

/// Examples that are summed by themselves where each has a weight of its own: what one of them moves
/// the rounding of others by is bounded by the square of this number.
pub(crate) const RUN: usize = 64;

/// Writes Σ aₜ ⊗ bₜ of all examples to `gradient`, or adds it, run by run. With several positions each
/// example is one product, so that what cancels within it does not move the rounding of others.
pub(crate) fn sum_in_runs<T: Real>(
    a: Rows<'_, T>,
    b: Rows<'_, T>,
    positions: usize,
    mut old: Old,
    gradient: &mut [T],
    products: &mut Vec<T>,
) {
    if old == Old::Dropped && (positions > 1 || a.data.is_empty()) {
        gradient.fill(T::ZERO);
    }
    let runs = a.data.chunks(RUN * positions * a.width);
    for (of_a, of_b) in runs.zip(b.data.chunks(RUN * positions * b.width)) {
        let (a, b) = (Rows { data: of_a, ..a }, Rows { data: of_b, ..b });
        if positions == 1 {
            sum(a, b, T::ONE, old, gradient);
            old = Old::Kept;
            continue;
        }
        let run = sized(products, gradient.len());
        let mut first = Old::Dropped;
        for (a, b) in a.examples(positions).zip(b.examples(positions)) {
            sum(a, b, T::ONE, first, run);
            first = Old::Kept;
        }
        wide!(add(gradient, run));
    }
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
/// Each example is summed by itself, and each run of examples, which keeps the rounding error of long
/// sums small.
pub(crate) fn sum_rows<T: Real>(a: Rows<'_, T>, positions: usize, factor: T, gradient: &mut [T]) {
    let mut parts = vec![T::ZERO; 2 * a.width];
    let (run, own) = parts.split_at_mut(a.width);
    wide!({
        gradient.fill(T::ZERO);
        for examples in a.data.chunks(RUN * positions * a.width) {
            run.fill(T::ZERO);
            for example in examples.chunks_exact(positions * a.width) {
                sum_of_rows(example, own);
                add(run, own);
            }
            add(gradient, run);
        }
        for value in gradient {
            *value *= factor;
        }
    });
}

/// Writes the sum of rows to `sum`.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn sum_of_rows<T: Real>(rows: &[T], sum: &mut [T]) {
    sum.fill(T::ZERO);
    for row in rows.chunks_exact(sum.len()) {
        add(sum, row);
    }
}
