//! Losses and their gradients.

use crate::{Loss, ModelError, Real};

/// What the model should have said, one example after the other.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a, T> {
    /// A class for each example. With one output: 0 for no, 1 for yes.
    Classes(&'a [u32]),
    /// A value for each output of each example.
    Values(&'a [T]),
}

impl Loss {
    /// The name in specifications.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SoftmaxCrossEntropy => "softmax_cross_entropy",
            Self::BinaryCrossEntropy => "binary_cross_entropy",
            Self::MeanSquaredError => "mean_squared_error",
        }
    }

    /// Writes each example's loss, and its gradient with respect to the `logits`
    /// (`losses.len()` rows of `outputs`) to `delta`.
    pub(crate) fn evaluate<T: Real>(
        self,
        logits: &[T],
        targets: &Targets<'_, T>,
        outputs: usize,
        losses: &mut [T],
        delta: &mut [T],
    ) -> Result<(), ModelError> {
        let examples = losses.len();
        let rows = losses.iter_mut().zip(logits.chunks(outputs)).zip(delta.chunks_mut(outputs));
        match (self, *targets) {
            (Self::SoftmaxCrossEntropy, Targets::Classes(classes)) => {
                check_classes(classes, examples, outputs)?;
                for (((loss, logits), delta), &class) in rows.zip(classes) {
                    *loss = softmax_cross_entropy(logits, class as usize, delta);
                }
            }
            (Self::BinaryCrossEntropy, Targets::Classes(classes)) if outputs == 1 => {
                check_classes(classes, examples, 2)?;
                for (((loss, logits), delta), &class) in rows.zip(classes) {
                    let target = [T::of(f64::from(class))];
                    *loss = mean(binary_cross_entropy, logits, &target, delta);
                }
            }
            (Self::BinaryCrossEntropy | Self::MeanSquaredError, Targets::Values(values)) => {
                check_length(values.len(), examples * outputs)?;
                let of_one = match self {
                    Self::MeanSquaredError => squared_error,
                    Self::BinaryCrossEntropy | Self::SoftmaxCrossEntropy => binary_cross_entropy,
                };
                for (((loss, logits), delta), values) in rows.zip(values.chunks(outputs)) {
                    *loss = mean(of_one, logits, values, delta);
                }
            }
            (Self::SoftmaxCrossEntropy, Targets::Values(_)) => {
                return Err(self.wrong_kind(outputs, "values"));
            }
            (Self::BinaryCrossEntropy | Self::MeanSquaredError, Targets::Classes(_)) => {
                return Err(self.wrong_kind(outputs, "classes"));
            }
        }
        Ok(())
    }

    const fn wrong_kind(self, outputs: usize, got: &'static str) -> ModelError {
        ModelError::TargetKind { loss: self.name(), outputs, got }
    }
}

fn check_length(got: usize, expected: usize) -> Result<(), ModelError> {
    if got == expected { Ok(()) } else { Err(ModelError::Targets { got, expected }) }
}

fn check_classes(labels: &[u32], examples: usize, classes: usize) -> Result<(), ModelError> {
    check_length(labels.len(), examples)?;
    match labels.iter().position(|&class| class as usize >= classes) {
        Some(example) => Err(ModelError::Class { example, class: labels[example], classes }),
        None => Ok(()),
    }
}

/// `-ln softmax(z)[class]`, and `softmax(z) - e(class)`.
fn softmax_cross_entropy<T: Real>(logits: &[T], class: usize, delta: &mut [T]) -> T {
    let largest = logits.iter().fold(logits[0], |a, &b| if b > a { b } else { a });
    let mut sum = T::ZERO;
    for (delta, &logit) in delta.iter_mut().zip(logits) {
        *delta = (logit - largest).exp();
        sum += *delta;
    }
    let share = T::ONE / sum;
    for delta in delta.iter_mut() {
        *delta *= share;
    }
    delta[class] = delta[class] - T::ONE;
    sum.ln() + largest - logits[class]
}

/// The mean of `of_one` over the outputs of an example.
fn mean<T: Real>(
    of_one: impl Fn(T, T) -> (T, T),
    logits: &[T],
    targets: &[T],
    delta: &mut [T],
) -> T {
    let share = T::ONE / T::of(logits.len() as f64);
    let mut loss = T::ZERO;
    for ((delta, &logit), &target) in delta.iter_mut().zip(logits).zip(targets) {
        let (value, slope) = of_one(logit, target);
        loss += share * value;
        *delta = share * slope;
    }
    loss
}

/// (z - t)² and its slope.
fn squared_error<T: Real>(logit: T, target: T) -> (T, T) {
    let error = logit - target;
    (error * error, error + error)
}

/// -t ln σ(z) - (1 - t) ln(1 - σ(z)) and its slope σ(z) - t, without overflow:
/// max(z, 0) - t z + ln(1 + e^-|z|).
fn binary_cross_entropy<T: Real>(logit: T, target: T) -> (T, T) {
    let small = (-logit.abs()).exp();
    let positive = if logit > T::ZERO { logit } else { T::ZERO };
    let above = T::ONE / (T::ONE + small);
    let sigmoid = if logit > T::ZERO { above } else { small * above };
    (positive - target * logit + small.ln_1p(), sigmoid - target)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evaluate(loss: Loss, logits: &[f64], targets: Targets<'_, f64>) -> (f64, Vec<f64>) {
        let (mut losses, mut delta) = ([0.0], vec![0.0; logits.len()]);
        loss.evaluate(logits, &targets, logits.len(), &mut losses, &mut delta).unwrap();
        (losses[0], delta)
    }

    fn check_gradient(loss: Loss, logits: &[f64], targets: Targets<'_, f64>) {
        let (_, delta) = evaluate(loss, logits, targets);
        for (i, slope) in delta.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = logits.to_vec();
                moved[i] += step;
                evaluate(loss, &moved, targets).0
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((slope - expected).abs() < 1e-8, "{loss:?} {i}: {slope} is not {expected}");
        }
    }

    proptest! {
        #[test]
        fn gradients_agree_with_differences(
            (logits, values, class) in (1usize..6).prop_flat_map(|n| (
                prop::collection::vec(-5.0..5.0, n),
                prop::collection::vec(0.0..1.0, n),
                0..n.max(2),
            )),
        ) {
            let class = [u32::try_from(class).unwrap()];
            check_gradient(Loss::MeanSquaredError, &logits, Targets::Values(&values));
            check_gradient(Loss::BinaryCrossEntropy, &logits, Targets::Values(&values));
            if logits.len() == 1 {
                check_gradient(Loss::BinaryCrossEntropy, &logits, Targets::Classes(&class));
            } else {
                check_gradient(Loss::SoftmaxCrossEntropy, &logits, Targets::Classes(&class));
            }
        }
    }

    #[test]
    fn known_values() {
        let (loss, delta) =
            evaluate(Loss::SoftmaxCrossEntropy, &[0.0, 3f64.ln()], Targets::Classes(&[1]));
        assert!((loss - (4.0f64 / 3.0).ln()).abs() < 1e-15);
        assert!((delta[0] - 0.25).abs() < 1e-15 && (delta[1] + 0.25).abs() < 1e-15);
        let (loss, _) = evaluate(Loss::BinaryCrossEntropy, &[0.0], Targets::Classes(&[0]));
        assert!((loss - 2f64.ln()).abs() < 1e-15);
        let (loss, _) = evaluate(Loss::MeanSquaredError, &[1.0, 2.0], Targets::Values(&[0.0, 4.0]));
        assert!((loss - 2.5).abs() < 1e-15);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        for big in [1e4, -1e4] {
            let (loss, delta) =
                evaluate(Loss::SoftmaxCrossEntropy, &[big, 0.0], Targets::Classes(&[0]));
            assert!(loss.is_finite() && delta.iter().all(|d| d.is_finite()));
            let (loss, delta) = evaluate(Loss::BinaryCrossEntropy, &[big], Targets::Classes(&[1]));
            assert!((loss - (-big).max(0.0)).abs() < 1e-12 && delta[0].is_finite());
        }
    }

    #[test]
    fn targets_that_do_not_fit_are_refused() {
        let refused = |loss: Loss, outputs: usize, targets: Targets<'_, f64>| {
            let (mut losses, mut delta) = ([0.0; 2], vec![0.0; 2 * outputs]);
            let logits = vec![0.0; 2 * outputs];
            loss.evaluate(&logits, &targets, outputs, &mut losses, &mut delta).unwrap_err()
        };
        assert_eq!(
            refused(Loss::SoftmaxCrossEntropy, 3, Targets::Classes(&[0, 3])),
            ModelError::Class { example: 1, class: 3, classes: 3 }
        );
        assert_eq!(
            refused(Loss::BinaryCrossEntropy, 1, Targets::Classes(&[2, 0])),
            ModelError::Class { example: 0, class: 2, classes: 2 }
        );
        assert_eq!(
            refused(Loss::SoftmaxCrossEntropy, 3, Targets::Classes(&[0])),
            ModelError::Targets { got: 1, expected: 2 }
        );
        assert_eq!(
            refused(Loss::MeanSquaredError, 3, Targets::Values(&[0.0; 5])),
            ModelError::Targets { got: 5, expected: 6 }
        );
        let kind =
            |loss: Loss, outputs, got| ModelError::TargetKind { loss: loss.name(), outputs, got };
        let softmax = refused(Loss::SoftmaxCrossEntropy, 3, Targets::Values(&[0.0; 6]));
        assert_eq!(softmax, kind(Loss::SoftmaxCrossEntropy, 3, "values"));
        for loss in [Loss::BinaryCrossEntropy, Loss::MeanSquaredError] {
            assert_eq!(refused(loss, 2, Targets::Classes(&[0, 1])), kind(loss, 2, "classes"));
        }
    }
}
