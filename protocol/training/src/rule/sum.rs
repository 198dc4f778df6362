//! Sums that do not depend on the order of their terms.

use borsh::{BorshDeserialize, BorshSerialize};

/// One unit of the fixed-point sum is 2^-40.
const UNIT: f64 = (1u64 << 40) as f64;

/// A sum of vectors in 128-bit fixed point: answers arrive in any order, and the model must not
/// depend on it.
///
/// A term is at most 2^40 ([`crate::MAX_MAGNITUDE`]) times a weight below 2^31
/// ([`crate::MAX_EXAMPLE_CAP`]), and there are at most 2^16
/// ([`nexus_types::limits::MAX_OWNERS`]): 127 bits with the 40 behind the point, so nothing
/// overflows. A term is rounded by less than 2^-40.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(crate) struct ExactSum(Vec<i128>);

impl ExactSum {
    /// The sum of no vectors of `length` numbers.
    pub(crate) fn zero(length: usize) -> Self {
        Self(vec![0; length])
    }

    /// Adds `factor` times `values`.
    pub(crate) fn add(&mut self, values: &[f32], factor: f64) {
        let factor = factor * UNIT;
        for (sum, value) in self.0.iter_mut().zip(values) {
            *sum = sum.wrapping_add(truncated(f64::from(*value) * factor));
        }
    }

    /// The sum over `divisor`.
    pub(crate) fn over(&self, divisor: f64) -> Vec<f64> {
        self.0.iter().map(|&sum| sum as f64 / UNIT / divisor).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn held_bytes(&self) -> usize {
        size_of::<i128>() * self.0.len()
    }
}

/// The whole part. Most terms take the way of one machine instruction.
#[expect(clippy::cast_possible_truncation, reason = "the whole part is meant")]
fn truncated(term: f64) -> i128 {
    const NARROW: f64 = (1u64 << 62) as f64;
    if term.abs() < NARROW { i128::from(term as i64) } else { term as i128 }
}

#[cfg(test)]
mod tests {
    use nexus_types::Seed;
    use proptest::prelude::*;

    use super::*;
    use crate::{MAX_EXAMPLE_CAP, MAX_MAGNITUDE};

    proptest! {
        #[test]
        fn the_order_of_terms_does_not_matter(
            terms in prop::collection::vec((-1e9f32..1e9, 1u32..MAX_EXAMPLE_CAP), 1..20),
            seed: u64,
        ) {
            let total = |terms: &[(f32, u32)]| {
                let mut sum = ExactSum::zero(1);
                for &(value, weight) in terms {
                    sum.add(&[value], weight.into());
                }
                sum
            };
            let mut shuffled = terms.clone();
            Seed::from_number(seed).rng().shuffle(&mut shuffled);
            prop_assert_eq!(total(&terms), total(&shuffled));
            let exact: f64 = terms.iter().map(|&(v, w)| f64::from(v) * f64::from(w)).sum();
            let scale: f64 = terms.iter().map(|&(v, w)| f64::from(v.abs()) * f64::from(w)).sum();
            prop_assert!((total(&terms).over(1.0)[0] - exact).abs() <= 1e-11 + 1e-12 * scale);
        }
    }

    #[test]
    fn the_largest_terms_of_the_most_owners_fit() {
        let mut sum = ExactSum::zero(1);
        let largest = crate::server::rounded(MAX_MAGNITUDE);
        for _ in 0..nexus_types::limits::MAX_OWNERS {
            sum.add(&[largest], MAX_EXAMPLE_CAP.into());
        }
        let expected = MAX_MAGNITUDE * f64::from(MAX_EXAMPLE_CAP);
        let mean = sum.over(nexus_types::limits::MAX_OWNERS.into())[0];
        assert!((mean / expected - 1.0).abs() < 1e-12, "{mean}");
    }
}
