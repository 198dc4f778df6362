//! Numbers encrypted so that they can be added: El Gamal in the exponent over ristretto255.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use super::group::PsiKey;
use super::points::{Element, Engine, decode, encode_doubles};
use super::{BATCH, PsiError};

/// Points encoded together.
const CHUNK: u64 = 1024;

/// Encrypts each amount t: r·G and (t + r·e)·G for a fresh r. Whoever has e needs no other base.
pub(super) fn encrypt(
    key: &PsiKey,
    amounts: impl IntoIterator<Item = u64>,
    rng: &mut dyn CryptoRng,
) -> Vec<[Element; 2]> {
    let (mut amounts, mut ciphertexts) = (amounts.into_iter(), Vec::new());
    loop {
        let chunk = amounts.by_ref().take(BATCH).flat_map(|amount| {
            let random = Zeroizing::new(Scalar::random(rng));
            [*random, Scalar::from(amount) + *random * key.scalar()]
        });
        let scalars = Zeroizing::new(chunk.collect::<Vec<_>>());
        let encoded = Engine::detect().mul_base(&scalars);
        if encoded.is_empty() {
            return ciphertexts;
        }
        ciphertexts.extend_from_slice(encoded.as_chunks().0);
    }
}

/// A sum of ciphertexts.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum([RistrettoPoint; 2]);

impl Sum {
    /// Adds ciphertexts, or says the place of one that is none.
    pub(super) fn add(&mut self, ciphertexts: &[[Element; 2]]) -> Result<(), usize> {
        let half = |half: usize| -> Vec<Element> {
            ciphertexts.iter().map(|ciphertext| ciphertext[half]).collect()
        };
        let engine = Engine::detect();
        let (first, second) = (engine.decode(&half(0))?, engine.decode(&half(1))?);
        self.0[0] += first.sum();
        self.0[1] += second.sum();
        Ok(())
    }

    /// Rerandomised, so that nobody sees what was added: the first half, which the holder of e is
    /// asked to multiply by it, is uniform whatever the sum is.
    pub(super) fn blind(&mut self, public: &Element, rng: &mut dyn CryptoRng) -> Option<Element> {
        let random = Zeroizing::new(Scalar::random(rng));
        self.0[0] += RistrettoPoint::mul_base(&random);
        self.0[1] += decode(public)? * *random;
        Some(self.query())
    }

    /// The first half.
    pub(super) fn query(&self) -> Element {
        self.0[0].compress().0
    }

    /// The sum, given e times the first half.
    pub(super) fn open(&self, product: &RistrettoPoint, limit: u64) -> Result<u64, PsiError> {
        logarithm(self.0[1] - product, limit).ok_or(PsiError::Sum)
    }
}

/// t ≤ `limit` with t·G = `point`, by Shanks' baby and giant steps: 2·√limit of them.
///
/// Not in constant time: the result is what the receiver is meant to learn.
fn logarithm(point: RistrettoPoint, limit: u64) -> Option<u64> {
    let width = limit.isqrt() + 1;
    let one = RistrettoPoint::mul_base(&Scalar::ONE);
    let mut babies: Vec<(u64, u64)> = walk(RistrettoPoint::default(), one, width).collect();
    babies.sort_unstable();
    let giant = RistrettoPoint::mul_base(&-Scalar::from(width));
    for (start, step) in walk(point, giant, width + 1) {
        let from = babies.partition_point(|(start_, _)| *start_ < start);
        for &(_, baby) in babies[from..].iter().take_while(|(start_, _)| *start_ == start) {
            let found = step * width + baby;
            if found <= limit && RistrettoPoint::mul_base(&Scalar::from(found)) == point {
                return Some(found);
            }
        }
    }
    None
}

/// `start` + i·`step` for i below `count`: eight bytes of the encoding of the double, and i.
fn walk(
    start: RistrettoPoint,
    step: RistrettoPoint,
    count: u64,
) -> impl Iterator<Item = (u64, u64)> {
    let mut at = start;
    (0..count.div_ceil(CHUNK)).flat_map(move |chunk| {
        let from = chunk * CHUNK;
        let points: Vec<RistrettoPoint> = (from..count.min(from + CHUNK))
            .map(|_| {
                let here = at;
                at += step;
                here
            })
            .collect();
        let word = |element: Element| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&element[..8]);
            u64::from_le_bytes(bytes)
        };
        encode_doubles(&points).into_iter().map(word).zip(from..)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn every_small_logarithm_is_found() {
        let point = |t: u64| RistrettoPoint::mul_base(&Scalar::from(t));
        for limit in [0u64, 1, 2, 3, 8, 9, 63, 2_000] {
            for t in [0, 1, limit / 2, limit.saturating_sub(1), limit] {
                assert_eq!(logarithm(point(t), limit), (t <= limit).then_some(t), "{t} of {limit}");
            }
            assert_eq!(logarithm(point(limit + 1), limit), None);
            assert_eq!(logarithm(-point(1), limit), None);
        }
        assert_eq!(logarithm(point(987_654_321), 1 << 30), Some(987_654_321));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn sums_open(amounts in prop::collection::vec(0u64..1000, 0..9), seed: u64) {
            let mut rng = ChaCha12Rng::seed_from_u64(seed);
            let key = PsiKey::generate(&mut rng);
            let mut sum = Sum::default();
            for ciphertexts in encrypt(&key, amounts.iter().copied(), &mut rng).chunks(5) {
                sum.add(ciphertexts).unwrap();
            }
            let query = sum.blind(&key.public(), &mut rng).unwrap();
            let product = decode(&query).unwrap() * key.scalar();
            prop_assert_eq!(sum.open(&product, 10_000), Ok(amounts.iter().sum()));
            let wrong = product + RistrettoPoint::random(&mut rng);
            prop_assert_eq!(sum.open(&wrong, 10_000), Err(PsiError::Sum));
        }
    }
}
