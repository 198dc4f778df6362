//! Rows of a table, chosen by tokens.

use nexus_types::SeededRng;

use super::{Backward, Batch, Kept, Layer, Place, Scratch, Weighted};
use crate::vector::{add, add_scaled, sized, sum_sq, wide};
use crate::{ModelError, Real};

/// yₜ = E[xₜ] for whole numbers xₜ. Parameters: E `[vocabulary, dimension]`. Kept: for each
/// example its tokens and, beside them, the positions in the order of their tokens.
#[derive(Debug)]
pub(crate) struct Embedding {
    vocabulary: usize,
    dimension: usize,
    shape: Vec<usize>,
}

impl Embedding {
    pub(crate) fn new(
        place: Place<'_>,
        vocabulary: usize,
        dimension: usize,
    ) -> Result<Self, ModelError> {
        let (layer, got) = (place.layer, place.shape.to_vec());
        if layer != 0 {
            return Err(ModelError::EmbeddingNotFirst { layer });
        }
        let &[tokens] = place.shape else {
            return Err(ModelError::LayerInput { layer, got, expected: "[tokens]" });
        };
        // Beyond 2^24 not every token is an f32.
        if vocabulary > 1 << 24 {
            let (field, got) = ("vocabulary", vocabulary as f64);
            return Err(ModelError::Number { layer, field, got, expected: "at most 2^24" });
        }
        place.positive("vocabulary", vocabulary)?;
        place.positive("dimension", dimension)?;
        Ok(Self { vocabulary, dimension, shape: vec![tokens, dimension] })
    }
}

/// The token that `value` stands for, if it is one of `vocabulary`.
fn token<T: Real>(value: T, vocabulary: usize) -> Option<usize> {
    let value = value.to_f64();
    let whole = value >= 0.0 && value < vocabulary as f64 && value.fract() == 0.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    whole.then_some(value as usize)
}

impl Embedding {
    /// The token of a value that [`Layer::refused`] has let through.
    fn token<T: Real>(&self, value: T) -> usize {
        token(value, self.vocabulary).unwrap_or(0)
    }

    /// Where the row of the token `value` lies in the table.
    fn row<T: Real>(&self, value: T) -> std::ops::Range<usize> {
        let begin = self.token(value) * self.dimension;
        begin..begin + self.dimension
    }
}

impl<T: Real> Layer<T> for Embedding {
    fn output(&self) -> &[usize] {
        &self.shape
    }

    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        vec![("weight", vec![self.vocabulary, self.dimension])]
    }

    fn initialise(&self, _tensor: &'static str, values: &mut [T], rng: &mut SeededRng) {
        for value in values {
            *value = T::of(rng.normal());
        }
    }

    fn refused(&self, input: &[T]) -> Option<(usize, usize)> {
        let place = input.iter().position(|&value| token(value, self.vocabulary).is_none());
        place.map(|place| (place, self.vocabulary - 1))
    }

    fn forward(
        &self,
        parameters: &[T],
        batch: Batch<'_, T>,
        output: &mut [T],
        kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        let tokens = self.shape[0];
        let orders = sized(&mut kept.places, batch.input.len()).chunks_exact_mut(tokens);
        for (order, input) in orders.zip(batch.input.chunks_exact(tokens)) {
            order.iter_mut().zip(0..).for_each(|(place, position)| *place = position);
            order.sort_unstable_by_key(|&position| self.token(input[position as usize]));
        }
        for (output, &value) in output.chunks_exact_mut(self.dimension).zip(batch.input) {
            output.copy_from_slice(&parameters[self.row(value)]);
        }
    }

    /// Tokens have no gradient: it is 0.
    fn backward(
        &self,
        _parameters: &[T],
        _batch: Batch<'_, T>,
        pass: Backward<'_, T>,
        _kept: &mut Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        if let Some(below) = pass.below {
            below.fill(T::ZERO);
        }
    }

    fn add_norms_sq(
        &self,
        batch: Batch<'_, T>,
        delta: &[T],
        norms: &mut [T],
        kept: &Kept<T>,
        scratch: &mut Scratch<T>,
    ) {
        let (tokens, dimension) = (self.shape[0], self.dimension);
        let sum = sized(&mut scratch.products, dimension);
        let examples = batch.input.chunks_exact(tokens).zip(kept.places.chunks_exact(tokens));
        let deltas = delta.chunks_exact(tokens * dimension);
        for ((norm, delta), (input, order)) in norms.iter_mut().zip(deltas).zip(examples) {
            let token = |position: u32| self.token(input[position as usize]);
            for equal in order.chunk_by(|&a, &b| token(a) == token(b)) {
                sum.fill(T::ZERO);
                for &position in equal {
                    add(sum, &delta[position as usize * dimension..][..dimension]);
                }
                *norm += wide!(sum_sq(sum));
            }
        }
    }

    fn weighted_gradient(
        &self,
        batch: Batch<'_, T>,
        weighted: Weighted<'_, T>,
        gradient: &mut [T],
        _kept: &Kept<T>,
        _scratch: &mut Scratch<T>,
    ) {
        gradient.fill(T::ZERO);
        for (delta, &value) in weighted.delta.chunks_exact(self.dimension).zip(batch.input) {
            add_scaled(&mut gradient[self.row(value)], weighted.factor, delta);
        }
    }
}
