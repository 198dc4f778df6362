//! Loops over slices, compiled for the widest vectors of the machine they run on.
//!
//! Sums run over [`LANES`] fixed partial sums, so a result does not depend on the machine's
//! vector width.

use crate::Real;

const LANES: usize = 16;

/// Evaluates an expression compiled for this machine: for AVX-512, AVX2, or what the program was
/// built for. A macro, because only code that is inlined here is compiled so.
///
/// The closure moves a value, so that it can be called once only: one that could be called again would be
/// called through a shim, which need not be inlined.
macro_rules! wide {
    ($body:expr) => {{
        let once = $crate::vector::Once;
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let _once = once;
                $body
            },
        )
    }};
}
pub(crate) use wide;

/// Something to move.
#[derive(Debug)]
pub(crate) struct Once;

/// The sum of the products.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::ZERO; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: T = a_rest.iter().zip(b_rest).map(|(&a, &b)| a * b).sum();
    lanes.into_iter().sum::<T>() + rest
}

/// The sum of the squares.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
pub(crate) fn sum_sq<T: Real>(a: &[T]) -> T {
    dot(a, a)
}

/// `sum[i] += a[i]`.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
pub(crate) fn add<T: Real>(sum: &mut [T], a: &[T]) {
    for (sum, &a) in sum.iter_mut().zip(a) {
        *sum += a;
    }
}

/// `sum[i] += a[i]`, in f64.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
pub(crate) fn add_exactly<T: Real>(sum: &mut [f64], a: &[T]) {
    for (sum, &a) in sum.iter_mut().zip(a) {
        *sum += a.to_f64();
    }
}

/// `sum[i] += factor * a[i]`.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
pub(crate) fn add_scaled<T: Real>(sum: &mut [T], factor: T, a: &[T]) {
    for (sum, &a) in sum.iter_mut().zip(a) {
        *sum += factor * a;
    }
}

/// Makes 0 of what is not finite.
pub(crate) fn clear<T: Real>(values: &mut [T]) {
    for value in values {
        if *value * T::ZERO != T::ZERO {
            *value = T::ZERO;
        }
    }
}

/// A copy that is worth it for a handful of values, where a call of `memcpy` is not.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
pub(crate) fn copy_short<T: Real>(to: &mut [T], from: &[T]) {
    let ((to, to_rest), (from, from_rest)) = (to.as_chunks_mut::<8>(), from.as_chunks::<8>());
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    for (to, &from) in to_rest.iter_mut().zip(from_rest) {
        *to = from;
    }
}

/// The first `len` values of `buffer`, which grows if it is shorter. Their content is arbitrary.
pub(crate) fn sized<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}
