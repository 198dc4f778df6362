//! Secrets, errors and uniform words, in bulk from AES keystreams under keys of the generator.

use nexus_field::mask::{MaskKey, keystream};
use nexus_field::rns::Modulus;
use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use crate::seal::{SEED_BYTES, Seed};

/// Bits of a coefficient of the error: 21 pairs, so a deviation of √(21/2) = 3.24.
const PAIRS: u64 = (1 << MAX_ERROR) - 1;
/// No coefficient of the error is larger.
pub(crate) const MAX_ERROR: u32 = 21;

/// Fresh random words.
pub(crate) fn words(count: usize, rng: &mut dyn CryptoRng) -> Zeroizing<Vec<u64>> {
    let mut key = Zeroizing::new([0; 16]);
    rng.fill_bytes(&mut *key);
    let mut bytes = Zeroizing::new(vec![0; 8 * count]);
    keystream(&MaskKey::new(*key), 0, &mut bytes);
    let words = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    Zeroizing::new(words.collect())
}

/// Coefficients −1, 0 and 1, each as likely up to 2^-62.
pub(crate) fn ternary(degree: usize, rng: &mut dyn CryptoRng) -> Zeroizing<Vec<i64>> {
    let of = |word: &u64| ((u128::from(*word) * 3) >> 64) as i64 - 1;
    Zeroizing::new(words(degree, rng).iter().map(of).collect())
}

/// Coefficients of the centred binomial distribution of 42 bits.
pub(crate) fn errors(degree: usize, rng: &mut dyn CryptoRng) -> Zeroizing<Vec<i64>> {
    let of = |word: &u64| {
        let ones = |bits: u64| i64::from((bits & PAIRS).count_ones());
        ones(*word) - ones(word >> MAX_ERROR)
    };
    Zeroizing::new(words(degree, rng).iter().map(of).collect())
}

/// Uniform residues, `degree` for each modulus.
pub(crate) fn uniform(moduli: &[Modulus], degree: usize, rng: &mut dyn CryptoRng) -> Vec<u64> {
    let mut drawn = words(moduli.len() * degree, rng);
    for (modulus, limb) in moduli.iter().zip(drawn.chunks_exact_mut(degree)) {
        let mask = u64::MAX >> (u64::BITS - modulus.bits());
        for word in limb {
            *word &= mask;
            // By rejection; the primes are mostly just below a power of two.
            while *word >= modulus.value() {
                *word = rng.next_u64() & mask;
            }
        }
    }
    std::mem::take(&mut *drawn)
}

/// A fresh seed of uniform residues. It is public.
pub(crate) fn seed(rng: &mut dyn CryptoRng) -> Seed {
    let mut bytes = [0; SEED_BYTES];
    rng.fill_bytes(&mut bytes);
    Seed::new(bytes)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn distributions_have_their_moments() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let count = 1 << 18;
        let moments = |values: &[i64]| {
            let mean = values.iter().sum::<i64>() as f64 / count as f64;
            (mean, values.iter().map(|x| x * x).sum::<i64>() as f64 / count as f64)
        };
        let (mean, square) = moments(&ternary(count, &mut rng));
        assert!(mean.abs() < 0.01 && (square - 2.0 / 3.0).abs() < 0.01, "{mean} {square}");
        let drawn = errors(count, &mut rng);
        let (mean, square) = moments(&drawn);
        assert!(mean.abs() < 0.04 && (square - 10.5).abs() < 0.2, "{mean} {square}");
        assert!(drawn.iter().all(|error| error.unsigned_abs() <= u64::from(MAX_ERROR)));
        // Just above a power of two and just below one.
        for value in [65_537, 65_521] {
            let modulus = Modulus::new(value).unwrap();
            let drawn = uniform(&[modulus, modulus], count, &mut rng);
            assert!(drawn.len() == 2 * count && drawn.iter().all(|word| *word < value));
            let mean = drawn.iter().sum::<u64>() as f64 / drawn.len() as f64;
            assert!((mean / value as f64 - 0.5).abs() < 0.003, "{mean}");
            assert_ne!(drawn[..count], drawn[count..]);
        }
    }
}
