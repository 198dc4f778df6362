//! Secrets, errors and uniform words, in bulk from AES keystreams under keys of the generator.

use nexus_field::mask::{MaskKey, keystream};
use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use crate::context::Context;

/// Bits of a coefficient of the error: 21 pairs, so a deviation of √(21/2) = 3.24.
const PAIRS: u64 = (1 << 21) - 1;

/// Fresh random words.
fn words(count: usize, rng: &mut dyn CryptoRng) -> Zeroizing<Vec<u64>> {
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
        ones(*word) - ones(word >> 21)
    };
    Zeroizing::new(words(degree, rng).iter().map(of).collect())
}

/// Uniform residues for the first `moduli` moduli. They are public: their time tells of them.
pub(crate) fn uniform(context: &Context, moduli: usize, rng: &mut dyn CryptoRng) -> Vec<u64> {
    let mut all = words(moduli * context.degree(), rng);
    let mut more = Vec::new().into_iter();
    for (at, limb) in all.chunks_exact_mut(context.degree()).enumerate() {
        let modulus = context.modulus(at);
        // The largest multiple of the modulus that is no word, less one.
        let limit = u64::MAX - u64::MAX % modulus.value() - 1;
        for word in limb.iter_mut() {
            while *word > limit {
                *word = more.next().unwrap_or_else(|| {
                    more = std::mem::take(&mut *words(64, rng)).into_iter();
                    more.next().unwrap_or(u64::MAX)
                });
            }
        }
        let drawn = limb.to_vec();
        modulus.reduce_from(limb, &drawn);
    }
    std::mem::take(&mut *all)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::Parameters;

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
        assert!(drawn.iter().all(|error| error.abs() <= 21));
    }

    #[test]
    fn uniform_words_are_residues_of_every_size() {
        let context = crate::Context::new(Parameters::ckks(8192, &[60, 20, 50]).unwrap()).unwrap();
        let mut rng = ChaCha12Rng::seed_from_u64(2);
        let words = uniform(&context, 3, &mut rng);
        for (at, limb) in words.chunks_exact(8192).enumerate() {
            let modulus = context.modulus(at).value();
            let mean = limb.iter().map(|word| *word as f64 / modulus as f64).sum::<f64>() / 8192.0;
            assert!(limb.iter().all(|word| *word < modulus) && (mean - 0.5).abs() < 0.02);
        }
    }
}
