//! From right guesses to a lower bound on epsilon.
//!
//! Of m canaries each was included by a fair coin. Whoever guesses r of the coins and abstains from
//! the others is, against an (epsilon, delta)-DP mechanism, right at least v times with a
//! probability of at most
//!
//! ```text
//! Pr[B ≥ v] + 2·m·delta·max over i of Pr[v > B ≥ v − i] / i,   B ~ Binomial(r, e^eps / (1 + e^eps))
//! ```
//!
//! (Steinke, Nasr & Jagielski 2023, arXiv:2305.08846, theorem 5.2 and appendix D). The largest
//! epsilon for which that is at most p is a lower bound, right with confidence 1 − p.

use crate::AuditError;
use crate::error::within;

/// Most canaries.
pub const CANARIES_MAX: usize = 1 << 20;
/// No bound is searched above this.
const EPSILON_MAX: f64 = 64.0;

/// How an adversary's guesses came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Guessed {
    /// Canaries, m.
    pub canaries: usize,
    /// Guesses, r: what is left of the canaries was abstained from.
    pub guesses: usize,
    /// Right ones, v.
    pub right: usize,
}

impl Guessed {
    /// The probability that an (epsilon, delta)-DP mechanism lets so many guesses be right, at most.
    ///
    /// # Errors
    /// [`AuditError::Setting`] for more right guesses than guesses, more guesses than canaries,
    /// more than [`CANARIES_MAX`], and figures out of range.
    pub fn p_value(&self, epsilon: f64, delta: f64) -> Result<f64, AuditError> {
        self.check(delta)?;
        within("epsilon", epsilon, 0.0..=EPSILON_MAX, "0 to 64")?;
        Ok(self.tail(epsilon, delta, &ln_factorials(self.guesses)))
    }

    /// The largest epsilon that is refuted with p-value `p`: a lower bound of the mechanism's, at
    /// this delta, with confidence 1 − p. 0 if there is none.
    ///
    /// # Errors
    /// As [`Guessed::p_value`].
    pub fn lower_bound(&self, delta: f64, p: f64) -> Result<f64, AuditError> {
        self.check(delta)?;
        within("p", p, 1e-12..=0.5, "from 1e-12 to 0.5")?;
        let table = ln_factorials(self.guesses);
        let refuted = |epsilon: f64| self.tail(epsilon, delta, &table) <= p;
        if !refuted(0.0) {
            return Ok(0.0);
        }
        let (mut low, mut high) = (0.0, EPSILON_MAX);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if refuted(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn check(&self, delta: f64) -> Result<(), AuditError> {
        let most = CANARIES_MAX as f64;
        within("canaries", self.canaries as f64, 1.0..=most, "1 to 2^20")?;
        let (guesses, right) = (self.guesses as f64, self.right as f64);
        within("guesses", guesses, 0.0..=self.canaries as f64, "at most the canaries")?;
        within("right guesses", right, 0.0..=guesses, "at most the guesses")?;
        within("delta", delta, 0.0..=1.0, "0 to 1")?;
        Ok(())
    }

    fn tail(&self, epsilon: f64, delta: f64, ln_factorials: &[f64]) -> f64 {
        let (guesses, right) = (self.guesses, self.right);
        // ln of e^eps / (1 + e^eps) and of 1 / (1 + e^eps).
        let ln_right = -(-epsilon).exp().ln_1p();
        let ln_wrong = ln_right - epsilon;
        let probability = |k: usize| {
            let choose = ln_factorials[guesses] - ln_factorials[k] - ln_factorials[guesses - k];
            (choose + k as f64 * ln_right + (guesses - k) as f64 * ln_wrong).exp()
        };
        let beyond: f64 = (right..=guesses).rev().map(probability).sum();
        let (mut below, mut steepest) = (0.0, 0.0_f64);
        for i in 1..=right {
            below += probability(right - i);
            steepest = steepest.max(below / i as f64);
        }
        (beyond + 2.0 * self.canaries as f64 * delta * steepest).min(1.0)
    }
}

/// The largest bound that `canaries` can show: every coin guessed right. About ln(m / ln(1/p))
/// without delta.
///
/// # Errors
/// As [`Guessed::lower_bound`].
pub fn most(canaries: usize, delta: f64, p: f64) -> Result<f64, AuditError> {
    Guessed { canaries, guesses: canaries, right: canaries }.lower_bound(delta, p)
}

/// ln k! for k up to `largest`.
fn ln_factorials(largest: usize) -> Vec<f64> {
    let sums = (1..=largest).scan(0.0, |sum, k| {
        *sum += (k as f64).ln();
        Some(*sum)
    });
    std::iter::once(0.0).chain(sums).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_caps_are_those_of_the_design() {
        for (canaries, cap) in [(200, 3.28), (300, 3.66), (1000, 4.28)] {
            let got = most(canaries, 1e-5, 1e-3).unwrap();
            assert!((got - cap).abs() < 0.01, "{canaries}: {got}");
            let plain = most(canaries, 0.0, 1e-3).unwrap();
            let rule = (canaries as f64 / 1000_f64.ln()).ln();
            assert!((plain - rule).abs() < 0.05, "{canaries}: {plain} {rule}");
        }
    }

    #[test]
    fn without_delta_it_is_the_binomial_tail() {
        // 3 of 4 at epsilon 0: (4 + 1) / 16; at q = 3/4: (4 · 27 + 81) / 256.
        let guessed = Guessed { canaries: 10, guesses: 4, right: 3 };
        assert!((guessed.p_value(0.0, 0.0).unwrap() - 5.0 / 16.0).abs() < 1e-12);
        assert!((guessed.p_value(3_f64.ln(), 0.0).unwrap() - 189.0 / 256.0).abs() < 1e-12);
        // With it, at q = 1/2: Pr[3 > B >= 3 - i] / i is 6/16, 10/32, 11/48.
        let with = guessed.p_value(0.0, 0.01).unwrap();
        assert!((with - (5.0 / 16.0 + 0.2 * 6.0 / 16.0)).abs() < 1e-12, "{with}");
    }

    proptest! {
        #[test]
        fn bounds_are_where_the_p_value_is_p(
            canaries in 1_usize..400, part in 0.0..=1.0_f64, right in 0.0..=1.0_f64,
            delta in prop_oneof![Just(0.0), 1e-9..1e-3_f64], p in 1e-4..0.2_f64,
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part")]
            let of = |whole: usize, part: f64| (whole as f64 * part) as usize;
            let guesses = of(canaries, part);
            let guessed = Guessed { canaries, guesses, right: of(guesses, right) };
            let bound = guessed.lower_bound(delta, p).unwrap();
            prop_assert!(bound < 10.0);
            if bound > 0.0 {
                prop_assert!(guessed.p_value(bound, delta).unwrap() <= p * (1.0 + 1e-6));
                prop_assert!(guessed.p_value(bound + 1e-6, delta).unwrap() > p * (1.0 - 1e-4));
            } else {
                prop_assert!(guessed.p_value(1e-6, delta).unwrap() > p * (1.0 - 1e-4));
            }
            prop_assert!(guessed.lower_bound(delta, p / 2.0).unwrap() <= bound);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (canaries, guesses, right) in
            [(10, 11, 0), (10, 5, 6), (0, 0, 0), (CANARIES_MAX + 1, 1, 1)]
        {
            let guessed = Guessed { canaries, guesses, right };
            assert!(guessed.lower_bound(1e-5, 0.05).is_err(), "{guessed:?}");
        }
        let fine = Guessed { canaries: 10, guesses: 10, right: 10 };
        assert!(fine.lower_bound(f64::NAN, 0.05).is_err() && fine.lower_bound(0.0, 0.0).is_err());
        assert!(fine.p_value(f64::INFINITY, 0.0).is_err());
    }
}
