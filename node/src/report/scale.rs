//! Axes whose marks are round numbers.

/// A range of values and the round numbers marked in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    /// The marked values, from the lowest.
    pub(super) marks: Vec<f64>,
}

impl Scale {
    /// The smallest range with about `marks` round marks that holds all finite `values`; 0 to 1
    /// if there are none (Heckbert 1990, "Nice numbers for graph labels", Graphics Gems).
    pub(super) fn around(values: impl IntoIterator<Item = f64>, marks: u32) -> Self {
        let (mut low, mut high) = values
            .into_iter()
            .filter(|value| value.abs() < 1e300)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // Wide enough that steps stay above the rounding of the numbers themselves.
        let size = low.abs().max(high.abs());
        let least = if size < 1e-300 { 1.0 } else { 1e-6 * size };
        high = high.max(low + least);
        let step = round_step((high - low) / f64::from(marks.max(2) - 1));
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        // Two more marks than asked for at most, because the step is at least half as wide.
        let marks = (0..=2 * marks + 2)
            .map(|mark| first + f64::from(mark))
            .take_while(|mark| *mark <= last)
            .map(|mark| mark * step)
            .collect();
        Self { low: first * step, high: last * step, marks }
    }

    /// The place of `value`, in percent from the top of a plot down.
    pub(super) fn down_to(&self, value: f64) -> f64 {
        100.0 - self.along(value)
    }

    /// The place of `value`, in percent from the low end; values outside lie at an end.
    pub(super) fn along(&self, value: f64) -> f64 {
        (100.0 * (value - self.low) / (self.high - self.low)).clamp(0.0, 100.0)
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|it| *it >= step * 0.999_999)
        .unwrap_or(10.0 * power)
}

/// At most about `marks` of the places `0..length`, evenly spaced from the first.
pub(super) fn places(length: usize, marks: usize) -> impl Iterator<Item = usize> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive step, and saturation is fine"
    )]
    let step = round_step((length as f64 / marks.max(1) as f64).max(1.0)) as usize;
    // From round 1 on, the marks lie on multiples of the step: 1, 10, 20, ...
    (0..length).filter(move |place| *place == 0 || (place + 1).is_multiple_of(step))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_are_round() {
        assert_eq!(Scale::around([0.0, 0.96], 6).marks.len(), 6);
        assert_eq!(Scale::around([0.03, 2.4], 6).marks, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        assert_eq!(Scale::around([], 3).marks, [0.0, 0.5, 1.0]);
        assert_eq!(Scale::around([0.0], 3).marks, [0.0, 0.5, 1.0]);
        assert_eq!(places(5, 6).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(places(30, 6).collect::<Vec<_>>(), [0, 4, 9, 14, 19, 24, 29]);
    }

    proptest! {
        #[test]
        fn a_scale_holds_its_values(
            values in prop::collection::vec(any::<f64>(), 0..6),
            marks in 0u32..9,
        ) {
            let scale = Scale::around(values.iter().copied(), marks);
            prop_assert!(scale.marks.len() >= 2 && scale.marks.len() <= 2 * marks as usize + 3);
            prop_assert!(scale.high > scale.low);
            for value in values {
                if value.abs() < 1e300 {
                    let slack = 1e-6 * (scale.high - scale.low);
                    prop_assert!(scale.low - slack <= value && value <= scale.high + slack);
                }
                prop_assert!(value.is_nan() || (0.0..=100.0).contains(&scale.along(value)));
            }
        }

        #[test]
        fn marks_are_few_and_apart(length in 1usize..1_000_000, marks in 1usize..12) {
            let places: Vec<usize> = places(length, marks).collect();
            prop_assert!(places[0] == 0 && places.len() <= marks + 1);
        }
    }
}
