//! Randomised response: one answer out of k, private at its source.
//!
//! The truth is reported with probability e^ε/(e^ε + k − 1), every other answer with
//! 1/(e^ε + k − 1) (Warner 1965; Kairouz, Oh & Viswanath 2014): pure ε, for whoever sees it. Exactly so: a candidate is
//! drawn uniformly, the truth is taken at once, another with probability exp(−ε), by integers alone.
//!
//! ```
//! use nexus_privacy::mechanisms::response::Response;
//! use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
//!
//! let response = Response::new(2, 3, 1)?; // yes or no, ε = 3
//! let mut rng = ChaCha12Rng::seed_from_u64(1);
//! let answers = (0..1000).map(|row| response.answer(u32::from(row % 4 == 0), &mut rng));
//! let mut counts = [0.0; 2];
//! answers.for_each(|answer| counts[answer as usize] += 1.0);
//! let estimate = response.estimate(&counts)?;
//! assert!((estimate[1] - 250.0).abs() < 60.0);
//! # Ok::<(), nexus_privacy::mechanisms::MechanismError>(())
//! ```

use nexus_types::CryptoRng;

use super::exact::{Ratio, below, bernoulli_exp};
use super::{MechanismError, within};

/// Most possible answers.
pub const MAX_ANSWERS: u32 = 1 << 16;

/// Randomised response among a number of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    answers: u32,
    over: u32,
    under: u32,
}

impl Response {
    /// Among `answers` answers at ε = `over`/`under`.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] unless 2 to [`MAX_ANSWERS`] answers and 0 < ε ≤ 64.
    pub fn new(answers: u32, over: u32, under: u32) -> Result<Self, MechanismError> {
        within(
            "the number of answers",
            answers.into(),
            2.0..=MAX_ANSWERS.into(),
            "2 to 65,536 are possible",
        )?;
        let epsilon = f64::from(over) / f64::from(under);
        within(
            "epsilon of an answer",
            epsilon,
            f64::MIN_POSITIVE..=64.0,
            "above 0 and at most 64 is possible",
        )?;
        Ok(Self { answers, over, under })
    }

    /// ε.
    pub fn epsilon(&self) -> f64 {
        f64::from(self.over) / f64::from(self.under)
    }

    /// The answer to give; a truth that is no answer counts as answer 0.
    pub fn answer(&self, truth: u32, rng: &mut dyn CryptoRng) -> u32 {
        let truth = if truth < self.answers { truth } else { 0 };
        let Some(gamma) = Ratio::new(self.over.into(), self.under.into()) else { return 0 };
        loop {
            let candidate = u32::try_from(below(self.answers.into(), rng)).unwrap_or(0);
            // The coin is tossed either way.
            let taken = bernoulli_exp(gamma, rng);
            if candidate == truth || taken {
                return candidate;
            }
        }
    }

    /// How often each answer was the truth, without bias, from how often it was given.
    ///
    /// # Errors
    /// [`MechanismError::Length`].
    pub fn estimate(&self, counts: &[f64]) -> Result<Vec<f64>, MechanismError> {
        let (got, expected) = (counts.len(), self.answers as usize);
        if got != expected {
            return Err(MechanismError::Length { what: "counts of answers", got, expected });
        }
        let total: f64 = counts.iter().sum();
        // Of e^ε and 1, over e^ε + k − 1.
        let other =
            (-self.epsilon()).exp() / (1.0 + f64::from(self.answers - 1) * (-self.epsilon()).exp());
        let truth = 1.0 - f64::from(self.answers - 1) * other;
        Ok(counts.iter().map(|count| (count - total * other) / (truth - other)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret_rng;
    use super::*;

    #[test]
    fn answers_have_their_probabilities() {
        const COUNT: u32 = 60_000;
        let mut rng = secret_rng(1);
        for (answers, over, under) in [(2, 1, 1), (5, 3, 2), (3, 4, 1)] {
            let response = Response::new(answers, over, under).unwrap();
            let mut counts = vec![0.0; answers as usize];
            (0..COUNT).for_each(|_| counts[response.answer(1, &mut rng) as usize] += 1.0);
            let odds = response.epsilon().exp();
            for (answer, count) in counts.iter().enumerate() {
                let p = if answer == 1 { odds } else { 1.0 } / (odds + f64::from(answers) - 1.0);
                let deviation = (f64::from(COUNT) * p * (1.0 - p)).sqrt();
                assert!((count - f64::from(COUNT) * p).abs() < 5.0 * deviation);
            }
            let estimate = response.estimate(&counts).unwrap();
            assert!((estimate[1] / f64::from(COUNT) - 1.0).abs() < 0.05);
            assert!(response.estimate(&counts[1..]).is_err());
        }
        for (answers, over, under) in [(1, 1, 1), (2, 0, 1), (2, 1, 0), (2, 65, 1), (70_000, 1, 1)]
        {
            assert!(Response::new(answers, over, under).is_err());
        }
    }
}
