//! Products of matrices: the one door to the `gemm` crate.

use gemm::Parallelism;

use crate::Real;

/// A matrix to read: row-major, or the transpose of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a, T> Matrix<'a, T> {
    /// The row-major `rows` x `columns` matrix in `data`.
    ///
    /// # Panics
    /// If `data` has another length.
    pub(crate) fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(columns), "{rows} x {columns} values");
        Self { data, rows, columns, transposed: false }
    }

    /// The transpose, without moving a value.
    pub(crate) fn t(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// Distance between rows and between columns.
    fn strides(&self) -> (usize, usize) {
        if self.transposed { (1, self.rows) } else { (self.columns, 1) }
    }
}

/// A row-major matrix to write.
#[derive(Debug)]
pub(crate) struct MatrixMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
}

impl<'a, T> MatrixMut<'a, T> {
    /// The row-major `rows` x `columns` matrix in `data`.
    ///
    /// # Panics
    /// If `data` has another length.
    pub(crate) fn new(data: &'a mut [T], rows: usize, columns: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(columns), "{rows} x {columns} values");
        Self { data, rows, columns }
    }
}

/// What becomes of the values a product is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Old {
    /// They are lost; they may be anything.
    Dropped,
    /// The product is added to them.
    Kept,
}

/// `out = scale * a * b`, or `out += scale * a * b`.
///
/// # Panics
/// If the sizes do not fit.
pub(crate) fn multiply<T: Real>(
    out: MatrixMut<'_, T>,
    old: Old,
    scale: T,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
) {
    let MatrixMut { data, rows, columns } = out;
    assert_eq!((a.rows, b.columns), (rows, columns), "size of the product");
    assert_eq!(a.columns, b.rows, "inner size");
    let (a_rows, a_columns) = signed(a.strides());
    let (b_rows, b_columns) = signed(b.strides());
    let (out_rows, out_columns) = signed((columns, 1));
    #[expect(unsafe_code, reason = "the kernels take pointers and strides")]
    // SAFETY: each of the three slices holds exactly rows * columns values (checked by the
    // constructors) and its strides reach rows * columns - 1 at most, so every access is in
    // bounds; the sizes agree (checked above); `out` is borrowed exclusively, so it overlaps
    // neither factor; its values are initialised. `Real` is sealed: T is f32 or f64, which gemm
    // knows.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            a.columns,
            data.as_mut_ptr(),
            out_columns,
            out_rows,
            old == Old::Kept,
            a.data.as_ptr(),
            a_columns,
            a_rows,
            b.data.as_ptr(),
            b_columns,
            b_rows,
            T::ONE,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Strides as the kernels take them. A slice has at most `isize::MAX` bytes, so a stride that is
/// used fits; one that does not belongs to a matrix without values.
fn signed((row, column): (usize, usize)) -> (isize, isize) {
    let signed = |stride| isize::try_from(stride).unwrap_or(0);
    (signed(row), signed(column))
}

#[cfg(test)]
mod tests {
    use nexus_types::Seed;
    use proptest::prelude::*;

    use super::*;

    fn naive(
        out: &mut [f64],
        old: Old,
        scale: f64,
        (m, n, k): (usize, usize, usize),
        a: impl Fn(usize, usize) -> f64,
        b: impl Fn(usize, usize) -> f64,
    ) {
        for i in 0..m {
            for j in 0..n {
                let sum: f64 = (0..k).map(|l| a(i, l) * b(l, j)).sum();
                let kept = if old == Old::Kept { out[i * n + j] } else { 0.0 };
                out[i * n + j] = kept + scale * sum;
            }
        }
    }

    fn check<T: Real>(
        (m, n, k): (usize, usize, usize),
        (turn_a, turn_b): (bool, bool),
        old: Old,
        seed: u64,
        tolerance: f64,
    ) {
        let mut rng = Seed::from_number(seed).rng();
        let mut draw = |len| (0..len).map(|_| T::of(rng.normal())).collect::<Vec<T>>();
        let (a, b, mut out) = (draw(m * k), draw(k * n), draw(m * n));
        let mut expected: Vec<f64> = out.iter().map(|x| x.to_f64()).collect();
        let at = |data: &[T], turn: bool, rows: usize, columns: usize, i: usize, j: usize| {
            data[if turn { j * rows + i } else { i * columns + j }].to_f64()
        };
        let scale = 0.75;
        let a_at = |i, l| at(&a, turn_a, m, k, i, l);
        naive(&mut expected, old, scale, (m, n, k), a_at, |l, j| at(&b, turn_b, k, n, l, j));
        let a = if turn_a { Matrix::new(&a, k, m).t() } else { Matrix::new(&a, m, k) };
        let b = if turn_b { Matrix::new(&b, n, k).t() } else { Matrix::new(&b, k, n) };
        multiply(MatrixMut::new(&mut out, m, n), old, T::of(scale), a, b);
        for (got, expected) in out.iter().zip(expected) {
            assert!((got.to_f64() - expected).abs() < tolerance, "{got:?} is not {expected}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_three_loops(
            size in (0usize..40, 0usize..40, 0usize..40), turned: (bool, bool), kept: bool, seed: u64,
        ) {
            let old = if kept { Old::Kept } else { Old::Dropped };
            check::<f64>(size, turned, old, seed, 1e-12);
            check::<f32>(size, turned, old, seed, 1e-4);
        }
    }

    #[test]
    fn it_agrees_beyond_the_blocks_of_the_kernels() {
        for turned in [(false, false), (false, true), (true, false), (true, true)] {
            check::<f32>((130, 67, 600), turned, Old::Kept, 1, 1e-3);
            check::<f32>((1, 300, 520), turned, Old::Dropped, 2, 1e-3);
            check::<f32>((300, 1, 520), turned, Old::Dropped, 3, 1e-3);
        }
    }

    #[test]
    fn what_was_there_is_not_read_when_it_is_dropped() {
        let mut out = [f32::NAN];
        let one = Matrix::new(&[1.0], 1, 1);
        multiply(MatrixMut::new(&mut out, 1, 1), Old::Dropped, 2.0, one, one);
        assert_eq!(out.map(f32::to_bits), [2f32.to_bits()]);
    }
}
