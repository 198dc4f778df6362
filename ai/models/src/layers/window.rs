//! Square windows that move over an image `[height, width, channels]`.

use super::Place;
use crate::vector::{add, copy_short};
use crate::{ModelError, Real};

/// The geometry of a convolution or a pooling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Rows, columns and channels of the image, without padding.
    pub(crate) image: [usize; 3],
    /// Side of the window.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    padding: usize,
    /// Rows of windows, and windows in a row.
    pub(crate) places: [usize; 2],
}

impl Window {
    pub(crate) fn new(
        place: Place<'_>,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Result<Self, ModelError> {
        let layer = place.layer;
        let &[height, width, channels] = place.shape else {
            let (got, expected) = (place.shape.to_vec(), "[height, width, channels]");
            return Err(ModelError::LayerInput { layer, got, expected });
        };
        place.positive("kernel", kernel)?;
        place.positive("stride", stride)?;
        if padding >= kernel {
            return Err(ModelError::Padding { layer, padding, kernel });
        }
        let places = |size: usize| {
            let padded = padding.checked_mul(2).and_then(|both| both.checked_add(size));
            let room = padded.and_then(|padded| padded.checked_sub(kernel));
            room.map(|room| room / stride + 1)
        };
        let (Some(rows), Some(columns)) = (places(height), places(width)) else {
            return Err(ModelError::Window { layer, kernel, padding, height, width });
        };
        let image = [height, width, channels];
        place.size(&[height + 2 * padding, width + 2 * padding, channels])?;
        Ok(Self { image, kernel, stride, padding, places: [rows, columns] })
    }

    /// Places of the window on one image.
    pub(crate) const fn positions(&self) -> usize {
        self.places[0] * self.places[1]
    }

    /// Values of one image.
    pub(crate) const fn values(&self) -> usize {
        self.image[0] * self.image[1] * self.image[2]
    }

    /// Values of one padded image.
    pub(crate) const fn padded(&self) -> usize {
        let [height, _, _] = self.image;
        (height + 2 * self.padding) * self.padded_row()
    }

    const fn padded_row(&self) -> usize {
        (self.image[1] + 2 * self.padding) * self.image[2]
    }

    /// Values under the window.
    pub(crate) const fn area(&self) -> usize {
        self.kernel * self.kernel * self.image[2]
    }

    /// Copies what lies under the window at each place to a row of `columns`: [`Window::area`]
    /// values, row by row of the window. `image` is padded.
    #[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
    #[inline(always)]
    pub(crate) fn gather<T: Real>(&self, image: &[T], columns: &mut [T]) {
        let (run, line, [rows, places]) = (self.run(), self.padded_row(), self.places);
        let (down, right) = (self.stride * line, self.stride * self.image[2]);
        let mut runs = columns.chunks_exact_mut(run);
        for row in 0..rows {
            for place in 0..places {
                let mut from = row * down + place * right;
                for to in (&mut runs).take(self.kernel) {
                    copy_short(to, &image[from..from + run]);
                    from += line;
                }
            }
        }
    }

    /// Adds the rows of `columns` to the places that [`Window::gather`] copies them from.
    #[expect(clippy::inline_always, reason = "only inlined code is compiled for wide vectors")]
    #[inline(always)]
    pub(crate) fn scatter<T: Real>(&self, columns: &[T], image: &mut [T]) {
        let (run, line, [rows, places]) = (self.run(), self.padded_row(), self.places);
        let (down, right) = (self.stride * line, self.stride * self.image[2]);
        let mut runs = columns.chunks_exact(run);
        for row in 0..rows {
            for place in 0..places {
                let mut to = row * down + place * right;
                for from in (&mut runs).take(self.kernel) {
                    add(&mut image[to..to + run], from);
                    to += line;
                }
            }
        }
    }

    /// Values in a row of the window.
    const fn run(&self) -> usize {
        self.kernel * self.image[2]
    }

    /// Copies an image to the middle of `padded`, with zeros around it.
    pub(crate) fn pad<T: Real>(&self, image: &[T], padded: &mut [T]) {
        let row = self.image[1] * self.image[2];
        padded.fill(T::ZERO);
        for (inner, row) in self.inner_rows().zip(image.chunks_exact(row)) {
            padded[inner].copy_from_slice(row);
        }
    }

    /// Copies the middle of `padded` to `image`.
    pub(crate) fn unpad<T: Real>(&self, padded: &[T], image: &mut [T]) {
        let row = self.image[1] * self.image[2];
        for (inner, row) in self.inner_rows().zip(image.chunks_exact_mut(row)) {
            row.copy_from_slice(&padded[inner]);
        }
    }

    fn inner_rows(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (line, row) = (self.padded_row(), self.image[1] * self.image[2]);
        let first = self.padding * (line + self.image[2]);
        (0..self.image[0]).map(move |y| first + y * line..first + y * line + row)
    }

    /// Whether there is padding.
    pub(crate) const fn is_padded(&self) -> bool {
        self.padding > 0
    }
}
