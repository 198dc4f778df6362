use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

mod field;
mod rfc9496;

fn kernels() -> impl Iterator<Item = Kernel> {
    [Kernel::Portable, Kernel::Ifma].into_iter().filter(|kernel| kernel.is_available())
}

fn random<const N: usize>(count: usize, seed: u64) -> Vec<[u8; N]> {
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let mut out = vec![[0; N]; count];
    for bytes in &mut out {
        rng.fill_bytes(bytes);
    }
    out
}

fn uniform() -> Vec<[u8; 64]> {
    let mut out = random(19, 1);
    out.extend([[0; 64], [0xff; 64], [1; 64]]);
    out
}

#[test]
fn the_map_and_encodings_are_those_of_dalek() {
    let input = uniform();
    let expected: Vec<Element> =
        input.iter().map(|x| RistrettoPoint::from_uniform_bytes(x).compress().0).collect();
    for kernel in kernels() {
        let points = Points::map_with(kernel, &input);
        assert_eq!(points.encode(), expected, "{kernel:?}");
        let decoded = Points::decode_with(kernel, &expected).unwrap();
        assert_eq!(decoded.encode(), expected, "{kernel:?}");
    }
}

#[test]
fn products_are_those_of_dalek() {
    let input = uniform();
    let points: Vec<RistrettoPoint> =
        input.iter().map(RistrettoPoint::from_uniform_bytes).collect();
    let mut scalars = vec![Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(8u8)];
    scalars.extend(random(4, 2).iter().map(Scalar::from_bytes_mod_order_wide));
    for scalar in scalars {
        let expected: Vec<Element> = points.iter().map(|x| (x * scalar).compress().0).collect();
        for kernel in kernels() {
            let got = Points::map_with(kernel, &input).mul(&scalar.to_bytes());
            assert_eq!(got.encode(), expected, "{kernel:?}");
        }
    }
}

#[test]
fn numbers_need_not_be_reduced() {
    let mut order = (-Scalar::ONE).to_bytes();
    order[0] += 1;
    let mut numbers = vec![order, [0xff; 32], [0x88; 32]];
    numbers.extend(random(5, 6));
    for number in numbers {
        // The top bit is ignored.
        let mut low = number;
        low[31] &= 0x7f;
        let scalar = Scalar::from_bytes_mod_order(low);
        let input = uniform();
        let expected: Vec<Element> = input
            .iter()
            .map(|x| (RistrettoPoint::from_uniform_bytes(x) * scalar).compress().0)
            .collect();
        let base = RistrettoPoint::mul_base(&scalar).compress().0;
        for kernel in kernels() {
            let points = Points::map_with(kernel, &input);
            assert_eq!(points.mul(&number).encode(), expected, "{kernel:?}");
            assert_eq!(Points::mul_base_with(kernel, &[number]).encode(), [base], "{kernel:?}");
        }
    }
}

#[test]
fn what_dalek_refuses_is_refused() {
    let mut input: Vec<Element> = random(200, 3);
    for (bytes, i) in input.iter_mut().zip(0u32..) {
        if i % 4 != 0 {
            // Even and below 2^255: only squares and signs are left to decide.
            bytes[0] &= 0xfe;
            bytes[31] &= 0x7f;
        }
    }
    for low in 0xe0..=0xff {
        let mut large = [0xff; 32];
        (large[0], large[31]) = (low, 0x7f);
        input.push(large);
        let mut small = [0; 32];
        small[0] = low - 0xe0;
        input.push(small);
        small[31] = 0x80;
        input.push(small);
    }
    for element in input {
        let expected = CompressedRistretto(element).decompress().map(|x| x.compress().0);
        for kernel in kernels() {
            let got = Points::decode_with(kernel, &[[0; 32], element]);
            assert_eq!(got.as_ref().err(), expected.is_none().then_some(&1), "{element:?}");
            if let Ok(points) = got {
                assert_eq!(points.encode()[1], element, "{kernel:?}");
            }
        }
    }
}

fn scalars() -> Vec<Scalar> {
    let mut scalars = vec![Scalar::ZERO, Scalar::ONE, -Scalar::ONE, Scalar::from(8u8)];
    scalars.extend(random(15, 2).iter().map(Scalar::from_bytes_mod_order_wide));
    scalars
}

#[test]
fn multiples_of_the_generator_are_those_of_dalek() {
    let scalars = scalars();
    let expected: Vec<Element> =
        scalars.iter().map(|x| RistrettoPoint::mul_base(x).compress().0).collect();
    let bytes: Vec<[u8; 32]> = scalars.iter().map(Scalar::to_bytes).collect();
    for kernel in kernels() {
        assert_eq!(Points::mul_base_with(kernel, &bytes).encode(), expected, "{kernel:?}");
    }
}

#[test]
fn combinations_are_those_of_dalek() {
    for count in [0, 1, 8, 22, 300] {
        let input = random(count, 4);
        let mut weights: Vec<u128> =
            random(count, 5).into_iter().map(u128::from_le_bytes).collect();
        weights.iter_mut().zip([u128::MAX, 0, 1, 8 << 124]).for_each(|(x, extreme)| *x = extreme);
        let points = input.iter().map(RistrettoPoint::from_uniform_bytes);
        let expected: RistrettoPoint =
            points.zip(&weights).map(|(x, weight)| x * Scalar::from(*weight)).sum();
        for kernel in kernels() {
            let got = Points::map_with(kernel, &input).combine(&weights);
            assert_eq!(got, expected.compress().0, "{kernel:?}, {count}");
        }
    }
}
