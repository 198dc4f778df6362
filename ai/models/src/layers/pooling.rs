//! The largest value or the mean of each window.

use super::window::Window;
use super::{Backward, Batch, Kept, Layer, Scratch};
use crate::Real;
use crate::vector::{add, add_scaled, sized, wide};

/// The channels of neighbouring places that lie side by side both in the result and, for every
/// offset in the window, in the image.
#[derive(Clone, Copy)]
struct Span {
    /// Begin in the result.
    to: usize,
    /// Begin in the image, under the window's first offset.
    from: usize,
}

/// The geometry shared by both poolings.
#[derive(Debug)]
struct Pool {
    window: Window,
    shape: Vec<usize>,
}

impl Pool {
    fn new(window: Window) -> Self {
        let [rows, columns] = window.places;
        Self { shape: vec![rows, columns, window.image[2]], window }
    }

    const fn outputs(&self) -> usize {
        self.window.positions() * self.window.image[2]
    }

    /// Spans of a row of places, and their length: with a step of 1 a whole row is one.
    const fn span(&self) -> (usize, usize) {
        let (columns, channels) = (self.window.places[1], self.window.image[2]);
        if self.window.stride == 1 { (1, columns * channels) } else { (columns, channels) }
    }

    #[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
    #[inline(always)]
    fn spans(&self) -> impl Iterator<Item = Span> {
        let (per_row, len) = self.span();
        let [_, width, channels] = self.window.image;
        let step = self.window.stride;
        (0..self.window.places[0] * per_row).map(
            #[inline(always)]
            move |span| {
                let (row, column) = (span / per_row, span % per_row);
                Span { to: span * len, from: step * (row * width + column) * channels }
            },
        )
    }

    /// The window's offsets in the image, numbered.
    #[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
    #[inline(always)]
    fn offsets(&self) -> impl Iterator<Item = (u32, usize)> {
        let (kernel, [_, width, channels]) = (self.window.kernel, self.window.image);
        (0u32..).zip(0..kernel * kernel).map(
            #[inline(always)]
            move |(number, at)| (number, (at / kernel * width + at % kernel) * channels),
        )
    }
}

/// The largest value of each window; the first of equals passes the gradient on.
#[derive(Debug)]
pub(crate) struct MaxPool(Pool);

impl MaxPool {
    pub(crate) fn new(window: Window) -> Self {
        Self(Pool::new(window))
    }
}

impl<T: Real> Layer<T> for MaxPool {
    fn output(&self) -> &[usize] {
        &self.0.shape
    }

    fn forward(
        &self,
        _parameters: &[T],
        batch: Batch<'_, T>,
        output: &mut [T],
        kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let (pool, (_, len)) = (&self.0, self.0.span());
        let places = sized(&mut kept.places, output.len());
        let images = batch.input.chunks_exact(pool.window.values());
        let results = output.chunks_exact_mut(pool.outputs());
        wide!({
            let results = results.zip(places.chunks_exact_mut(pool.outputs()));
            for (image, (largest, places)) in images.zip(results) {
                for Span { to, from } in pool.spans() {
                    let (largest, places) = (&mut largest[to..to + len], &mut places[to..to + len]);
                    largest.copy_from_slice(&image[from..from + len]);
                    places.fill(0);
                    for (place, offset) in pool.offsets().skip(1) {
                        let values = &image[from + offset..from + offset + len];
                        raise(largest, places, values, place);
                    }
                }
            }
        });
    }

    fn backward(
        &self,
        _parameters: &[T],
        _batch: Batch<'_, T>,
        pass: Backward<'_, T>,
        kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let Some(below) = pass.below else { return };
        let (pool, (_, len)) = (&self.0, self.0.span());
        let images = below.chunks_exact_mut(pool.window.values());
        let results = pass.delta.chunks_exact(pool.outputs());
        wide!({
            let results = results.zip(kept.places.chunks_exact(pool.outputs()));
            for (image, (delta, places)) in images.zip(results) {
                image.fill(T::ZERO);
                for Span { to, from } in pool.spans() {
                    let (delta, places) = (&delta[to..to + len], &places[to..to + len]);
                    for (place, offset) in pool.offsets() {
                        let sums = &mut image[from + offset..from + offset + len];
                        for ((sum, &delta), &chosen) in sums.iter_mut().zip(delta).zip(places) {
                            *sum += if chosen == place { delta } else { T::ZERO };
                        }
                    }
                }
            }
        });
    }
}

/// Replaces what is smaller than `values`, and notes the place. NaN stays and wins.
#[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
#[inline(always)]
fn raise<T: Real>(largest: &mut [T], places: &mut [u32], values: &[T], place: u32) {
    for ((largest, chosen), &value) in largest.iter_mut().zip(places).zip(values) {
        let stays = *largest >= value || is_nan(*largest);
        *largest = if stays { *largest } else { value };
        *chosen = if stays { *chosen } else { place };
    }
}

#[expect(clippy::eq_op, reason = "only NaN differs from itself")]
fn is_nan<T: Real>(value: T) -> bool {
    value != value
}

/// The mean of each window.
#[derive(Debug)]
pub(crate) struct AvgPool(Pool);

impl AvgPool {
    pub(crate) fn new(window: Window) -> Self {
        Self(Pool::new(window))
    }

    fn share<T: Real>(&self) -> T {
        let side = self.0.window.kernel as f64;
        T::of(1.0 / (side * side))
    }
}

impl<T: Real> Layer<T> for AvgPool {
    fn output(&self) -> &[usize] {
        &self.0.shape
    }

    fn forward(
        &self,
        _parameters: &[T],
        batch: Batch<'_, T>,
        output: &mut [T],
        _kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let (pool, (_, len), share) = (&self.0, self.0.span(), self.share());
        let images = batch.input.chunks_exact(pool.window.values());
        let results = output.chunks_exact_mut(pool.outputs());
        wide!({
            for (image, means) in images.zip(results) {
                for Span { to, from } in pool.spans() {
                    let means = &mut means[to..to + len];
                    means.fill(T::ZERO);
                    for (_, offset) in pool.offsets() {
                        add(means, &image[from + offset..from + offset + len]);
                    }
                    for mean in means {
                        *mean *= share;
                    }
                }
            }
        });
    }

    fn backward(
        &self,
        _parameters: &[T],
        _batch: Batch<'_, T>,
        pass: Backward<'_, T>,
        _kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let Some(below) = pass.below else { return };
        let (pool, (_, len), share) = (&self.0, self.0.span(), self.share());
        let images = below.chunks_exact_mut(pool.window.values());
        wide!({
            for (image, delta) in images.zip(pass.delta.chunks_exact(pool.outputs())) {
                image.fill(T::ZERO);
                for Span { to, from } in pool.spans() {
                    for (_, offset) in pool.offsets() {
                        let sums = &mut image[from + offset..from + offset + len];
                        add_scaled(sums, share, &delta[to..to + len]);
                    }
                }
            }
        });
    }
}
