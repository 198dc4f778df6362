//! Many elements of the group at once: in vectors where the machine has them ([`edwards`]), one by
//! one with curve25519-dalek elsewhere. Both give the same encodings.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use nexus_field::{Kernel, edwards};
use zeroize::Zeroizing;

use super::PsiError;

/// The encoding of a group element.
pub(super) type Element = [u8; 32];

/// How elements are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// Eight at a time.
    Vectors,
    /// One by one.
    Single,
}

/// Elements of the group.
#[derive(Clone, Debug)]
pub(super) enum Points {
    Vectors(edwards::Points),
    Single(Vec<RistrettoPoint>),
}

impl Engine {
    /// The faster one on this machine.
    pub(super) fn detect() -> Self {
        if Kernel::Ifma.is_available() { Self::Vectors } else { Self::Single }
    }

    /// Uniform bytes mapped by RFC 9496, section 4.3.4.
    pub(super) fn map(self, uniform: &[[u8; 64]]) -> Points {
        match self {
            Self::Vectors => Points::Vectors(edwards::Points::map(uniform)),
            Self::Single => {
                Points::Single(uniform.iter().map(RistrettoPoint::from_uniform_bytes).collect())
            }
        }
    }

    /// The elements with these encodings, or the place of the first that is none, or the identity.
    pub(super) fn decode(self, elements: &[Element]) -> Result<Points, usize> {
        match self {
            Self::Vectors => {
                let decoded = edwards::Points::decode(elements);
                let valid = decoded.as_ref().err().map_or(elements.len(), |index| *index);
                let identity = elements[..valid].iter().position(|element| *element == [0; 32]);
                identity.map_or(Ok(()), Err)?;
                decoded.map(Points::Vectors)
            }
            Self::Single => {
                let decoded = elements.iter().enumerate();
                let decoded = decoded.map(|(index, element)| decode(element).ok_or(index));
                decoded.collect::<Result<_, _>>().map(Points::Single)
            }
        }
    }

    /// The encodings of the generator times each secret number.
    pub(super) fn mul_base(self, scalars: &[Scalar]) -> Vec<Element> {
        match self {
            Self::Vectors => {
                let bytes: Zeroizing<Vec<_>> =
                    Zeroizing::new(scalars.iter().map(Scalar::to_bytes).collect());
                edwards::Points::mul_base(&bytes).encode()
            }
            Self::Single => {
                let half = |scalar: &Scalar| RistrettoPoint::mul_base(&scalar.div_by_2());
                encode_doubles(&scalars.iter().map(half).collect::<Vec<_>>())
            }
        }
    }
}

impl Points {
    /// The encodings of the elements times a secret number. One by one, doubles are encoded
    /// together with one inversion instead of one square root each, so half the number is taken.
    pub(super) fn raise(&self, scalar: &Scalar) -> Vec<Element> {
        match self {
            Self::Vectors(points) => points.mul(&Zeroizing::new(scalar.to_bytes())).encode(),
            Self::Single(points) => {
                let half = Zeroizing::new(scalar.div_by_2());
                let halves: Vec<RistrettoPoint> =
                    points.iter().map(|point| point * *half).collect();
                encode_doubles(&halves)
            }
        }
    }

    /// The sum of the elements.
    pub(super) fn sum(&self) -> RistrettoPoint {
        match self {
            Self::Vectors(points) => self.combine(&vec![1; points.len()]),
            Self::Single(points) => points.iter().sum(),
        }
    }

    /// The sum of the elements times a public number each; there are as many numbers.
    pub(super) fn combine(&self, weights: &[u128]) -> RistrettoPoint {
        match self {
            Self::Vectors(points) => {
                let sum = CompressedRistretto(points.combine(weights)).decompress();
                sum.unwrap_or_default()
            }
            Self::Single(points) => {
                let weights = weights.iter().copied().map(Scalar::from);
                RistrettoPoint::vartime_multiscalar_mul(weights, points)
            }
        }
    }
}

/// The elements of a message, none of which may be the identity.
pub(super) fn decode_all(elements: &[Element]) -> Result<Points, PsiError> {
    Engine::detect().decode(elements).map_err(|index| PsiError::Element { index })
}

/// The encodings of 2·P.
pub(super) fn encode_doubles(points: &[RistrettoPoint]) -> Vec<Element> {
    RistrettoPoint::double_and_compress_batch(points).into_iter().map(|point| point.0).collect()
}

/// The element with this encoding, unless it is the identity.
pub(super) fn decode(element: &Element) -> Option<RistrettoPoint> {
    let point = CompressedRistretto(*element).decompress()?;
    (!point.is_identity()).then_some(point)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENGINES: [Engine; 2] = [Engine::Vectors, Engine::Single];

    fn uniform(count: usize, seed: u64) -> Vec<[u8; 64]> {
        let mut stream = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
        let mut out = vec![[0; 64]; count];
        stream.fill(out.as_flattened_mut());
        out
    }

    fn both<T>(compute: impl Fn(Engine) -> T) -> [T; 2] {
        ENGINES.map(compute)
    }

    #[test]
    fn the_map_is_that_of_rfc_9496() {
        // Appendix A.3, first vector: SHA-512 of a sentence, and its element.
        let input = "5d1be09e3d0c82fc538112490e35701979d99e06ca3e2b5b54bffe8b4dc772c1\
                     4d98b696a1bbfb5ca32c436cc61c16563790306c79eaca7705668b47dffe5bb6";
        let expected = "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46";
        for engine in ENGINES {
            let points = engine.map(&[bytes(input)]);
            assert_eq!(points.raise(&Scalar::ONE), [bytes(expected)], "{engine:?}");
        }
    }

    #[test]
    fn what_is_no_element_is_refused_wherever_it_is() {
        // RFC 9496, appendix A.2: a negative field element; one that is not reduced; no square.
        let negative = bytes("0100000000000000000000000000000000000000000000000000000000000000");
        let large = bytes("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
        let no_square = bytes("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371");
        let sound = Engine::Single.map(&uniform(20, 1)).raise(&Scalar::ONE);
        for bad in [[0; 32], negative, large, no_square] {
            assert_eq!(decode(&bad), None, "{bad:?}");
            for index in 0..20 {
                let mut elements = sound.clone();
                elements[index] = bad;
                elements[19] = if index == 12 { no_square } else { elements[19] };
                for engine in ENGINES {
                    let refused = engine.decode(&elements).map(|_| ());
                    assert_eq!(refused, Err(index), "{engine:?}");
                }
            }
        }
    }

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn both_engines_agree(count in 0usize..40, seed: u64, secret: [u8; 32]) {
            let scalar = Scalar::from_bytes_mod_order(secret);
            let input = uniform(count, seed);
            let [raised, expected] = both(|engine| engine.map(&input).raise(&scalar));
            prop_assert_eq!(&raised, &expected);
            let inverse = scalar.invert();
            let [back, expected] =
                both(|engine| engine.decode(&raised).map(|points| points.raise(&inverse)));
            prop_assert_eq!(back, expected);
            let weights: Vec<u128> = (0..count as u128).map(|i| (i * i) << (3 * i)).collect();
            let [sum, expected] = both(|engine| engine.map(&input).combine(&weights));
            prop_assert_eq!(sum, expected);
            let scalars: Vec<Scalar> = input.iter().map(Scalar::from_bytes_mod_order_wide).collect();
            let [bases, expected] = both(|engine| engine.mul_base(&scalars));
            prop_assert_eq!(bases, expected);
        }
    }
}
