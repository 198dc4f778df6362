//! Poisson samples with room for a fixed number of rows: how much room, and how likely it is too little.

use nexus_field::mask::{MaskKey, keystream};
use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use super::MechanismError;

/// Places come in multiples of this.
pub const STEP: usize = 32;
/// Most rows that can be declared.
const MAX_ROWS: usize = 1 << 40;
/// Most steps by which room is made for a bound.
const STEPS_MAX: usize = 1 << 20;
/// Coins that are made at a time.
const COINS: usize = 2048;
/// Coins that are looked at together.
const RUN: usize = 32;

/// How the rows of a private step are drawn. All of it is public.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    rate: f64,
    declared_rows: usize,
    places: usize,
    padded: bool,
}

impl Sampling {
    /// Each row with probability `rate`, out of a data set of which it is *said* that it has
    /// `declared_rows`: the true number would tell of a row. Places for q n + 6 √(q n) + 5 rows and
    /// what fills the last slot, but no more than n needs.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] for a rate outside (0, 1], no rows or too many.
    pub fn new(rate: f64, declared_rows: usize) -> Result<Self, MechanismError> {
        let setting = |what, got, expected| Err(MechanismError::Setting { what, got, expected });
        if !(rate > 0.0 && rate <= 1.0) {
            return setting("the sampling rate", rate, "it must be above 0 and at most 1");
        }
        if declared_rows == 0 || declared_rows > MAX_ROWS {
            let got = declared_rows as f64;
            return setting("the number of declared rows", got, "it must be from 1 to 2^40");
        }
        let mean = rate * declared_rows as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^42")]
        let cap = (mean + 6.0 * mean.sqrt() + 5.0).ceil() as usize;
        let places = cap.min(declared_rows).next_multiple_of(STEP);
        Ok(Self { rate, declared_rows, places, padded: true })
    }

    /// With so many more places that a sample of the declared rows and one more finds too few with
    /// probability `bound` at most.
    ///
    /// # Errors
    /// [`MechanismError::Setting`] where that takes more places than anyone has.
    pub fn with_overflow_at_most(self, bound: f64) -> Result<Self, MechanismError> {
        let more = (0..STEPS_MAX).map(|step| Self { places: self.places + step * STEP, ..self });
        let mut enough = more.filter(|it| it.overflow_of(self.declared_rows + 1) <= bound);
        let expected = "no number of places is enough for it";
        let refused = MechanismError::Setting { what: "the overflow", got: bound, expected };
        enough.next().ok_or(refused)
    }

    /// Without the places that a sample leaves empty: faster by a third for batches of 256, but time
    /// tells how many rows were drawn, and their number may move the last bits of what rows
    /// contribute. For experiments of one's own.
    #[must_use]
    pub const fn unpadded(self) -> Self {
        Self { padded: false, ..self }
    }

    /// Whether places that a sample leaves empty are computed with.
    pub const fn is_padded(&self) -> bool {
        self.padded
    }

    /// The probability of each row.
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// The rows that there are said to be.
    pub const fn declared_rows(&self) -> usize {
        self.declared_rows
    }

    /// Places for rows.
    pub const fn places(&self) -> usize {
        self.places
    }

    /// The numbers of the rows that are taken, of `rows` there really are: each by itself with the
    /// probability of [`Self::rate`], by coins of an AES keystream under a key from `rng`, which must
    /// be the system's generator.
    ///
    /// A coin has 64 bits: 16 at first, and the other 48 if those leave it open.
    pub fn draw(&self, rows: usize, rng: &mut dyn CryptoRng) -> Vec<usize> {
        // A product by a power of two is exact. The bits below 2^-64 are cut off: less is drawn.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^64")]
        let threshold = (self.rate * 2_f64.powi(64)) as u128;
        #[expect(clippy::cast_possible_truncation, reason = "at most 2^16")]
        let (high, low) = ((threshold >> 48) as u32, threshold & ((1 << 48) - 1));
        let mut key = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *key);
        let key = MaskKey::new(*key);
        let mut bytes = Zeroizing::new([0; 2 * COINS]);
        let mut taken = Vec::new();
        for (first, block) in (0..rows).step_by(COINS).zip((0..).step_by(2 * COINS / 16)) {
            keystream(&key, block, &mut *bytes);
            let runs = bytes.as_chunks::<2>().0.as_chunks::<RUN>().0;
            for (first, coins) in (first..rows).step_by(RUN).zip(runs) {
                let coins = coins.map(|coin| u32::from(u16::from_le_bytes(coin)));
                // Most runs hold no candidate where the rate is small.
                if coins.iter().copied().fold(u32::MAX, u32::min) <= high {
                    let mut open = || u128::from(rng.next_u64() >> 16) < low;
                    let mut wins = |coin: u32| coin < high || coin == high && open();
                    let winners = (first..rows).zip(coins).filter(|(_, coin)| wins(*coin));
                    taken.extend(winners.map(|(row, _)| row));
                }
            }
        }
        taken
    }

    /// The probability, rounded up, that a sample of the declared rows finds no place for a row: for
    /// T steps, T (1 + e^ε) times this belongs to δ.
    pub fn overflow(&self) -> f64 {
        self.overflow_of(self.declared_rows)
    }

    /// With k = places + 1 of n, Pr[X ≥ k] ≤ Pr[X = k] / (1 − r), r the ratio of one probability to
    /// the one before at k, and Pr[X = k] ≤ √(n / (2π k (n − k))) e^(−n D(k/n ‖ q)) (Robbins 1955).
    fn overflow_of(&self, rows: usize) -> f64 {
        let (n, k, q) = (rows as f64, self.places as f64 + 1.0, self.rate);
        if k > n {
            return 0.0;
        }
        let rest = n - k;
        // At k = n one term is left: q^n.
        let rest_terms = if rest > 0.0 { rest * (rest / (n * (1.0 - q))).ln() } else { 0.0 };
        let divergence = k * (k / (n * q)).ln() + rest_terms;
        let root = (n / (std::f64::consts::TAU * k * rest.max(1.0))).sqrt().min(1.0);
        let ratio = rest * q / ((k + 1.0) * (1.0 - q));
        if q >= 1.0 || ratio >= 1.0 {
            return 1.0;
        }
        // What logarithms lose is far less than a part in a thousand.
        (1.001 * root * (-divergence).exp() / (1.0 - ratio)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::secret_rng;
    use super::*;

    /// Exact tails by the recurrence of binomial probabilities.
    fn tail(n: usize, q: f64, places: usize) -> f64 {
        let mut log = n as f64 * (1.0 - q).ln();
        let mut sum = 0.0;
        for k in 1..=n {
            log += ((n - k + 1) as f64 * q / (k as f64 * (1.0 - q))).ln();
            sum += if k > places { log.exp() } else { 0.0 };
        }
        sum
    }

    #[test]
    fn coins_have_64_bits() {
        let mut rng = secret_rng(6);
        // 2^-20 is below the 16 bits that are looked at first.
        let hits = Sampling::new(2_f64.powi(-20), 100).unwrap().draw(1 << 25, &mut rng);
        assert!((8..=64).contains(&hits.len()), "{}", hits.len());
        let all = Sampling::new(1.0, 100).unwrap().draw(5000, &mut rng);
        assert!(all.into_iter().eq(0..5000));
    }

    #[test]
    fn the_bound_on_too_many_rows_is_one_and_close() {
        let cases = [
            (60_000, 256.0 / 60_000.0),
            (1000, 0.1),
            (1437, 0.25),
            (100, 0.5),
            (40, 0.3),
            (33, 0.9),
        ];
        for (n, q) in cases {
            let sampling = Sampling::new(q, n).unwrap();
            let (bound, exact) = (sampling.overflow(), tail(n, q, sampling.places()));
            assert!(exact <= bound && bound <= 2.0 * exact, "{n} {q}: {exact:e} {bound:e}");
        }
        assert!(Sampling::new(1.0, 500).unwrap().overflow().abs() < f64::MIN_POSITIVE);
        for (rate, rows) in [(0.0, 5), (1.1, 5), (f64::NAN, 5), (0.5, 0), (0.5, usize::MAX)] {
            assert!(Sampling::new(rate, rows).is_err());
        }
    }

    #[test]
    fn room_is_made_for_any_bound_and_for_one_row_more() {
        for (n, q) in [(60_000, 256.0 / 60_000.0), (115, 0.25), (64, 1.0), (1 << 30, 1e-3)] {
            let usual = Sampling::new(q, n).unwrap();
            for bound in [1e-3, 1e-15, 1e-40, 0.0] {
                let sampling = usual.with_overflow_at_most(bound).unwrap();
                assert!(
                    sampling.overflow_of(n + 1) <= bound && sampling.places() >= usual.places()
                );
                let fewer = Sampling { places: sampling.places() - STEP, ..sampling };
                let spare = fewer.places() < usual.places();
                assert!(spare || fewer.overflow_of(n + 1) > bound, "{n} {q} {bound:e}");
            }
        }
        assert!(Sampling::new(0.5, 1 << 40).unwrap().with_overflow_at_most(-1.0).is_err());
    }
}
