use proptest::prelude::*;

use super::*;
use crate::{Fp, ring, zero_block};

/// A block of random words with edge words strewn in.
fn random(seed: u64) -> Box<Block> {
    let mut block = zero_block();
    ring::uniform(&[7; 32], seed, &mut block);
    let edges = [0, 1, P - 1, 0xffff_ffff, 1 << 32, P - (1 << 32), P / 2, 0xffff_fffe_ffff_ffff];
    for (i, word) in block.iter_mut().enumerate() {
        if *word % 8 == 0 {
            *word = edges[i % edges.len()];
        }
    }
    block
}

fn sparse(terms: &[(usize, u64)]) -> Box<Block> {
    let mut block = zero_block();
    for (degree, value) in terms {
        block[*degree] = *value;
    }
    block
}

/// The product modulo X^4096 + 1, term by term.
fn schoolbook(a: &Block, b: &Block) -> Box<Block> {
    let mut product = vec![Fp::ZERO; N];
    for (i, x) in a.iter().enumerate().filter(|(_, x)| **x != 0) {
        for (j, y) in b.iter().enumerate() {
            let term = Fp::new(*x) * Fp::new(*y);
            let slot = &mut product[(i + j) % N];
            *slot = if i + j < N { *slot + term } else { *slot - term };
        }
    }
    let mut words = zero_block();
    for (word, element) in words.iter_mut().zip(product) {
        *word = element.value();
    }
    words
}

fn multiply(kernel: Kernel, mut a: Box<Block>, mut b: Box<Block>) -> Box<Block> {
    forward_with(kernel, &mut a);
    forward_with(kernel, &mut b);
    ring::mul_with(kernel, &mut a, &b);
    inverse_with(kernel, &mut a);
    a
}

#[test]
fn the_root_has_order_8192_and_its_powers_stand_where_they_should() {
    let root = Fp::new(ROOT);
    assert_eq!(root.pow(4096), -Fp::ONE);
    for (i, power) in POWERS.iter().enumerate() {
        let reversed = (i as u64).reverse_bits() >> (64 - 12);
        assert_eq!(root.pow(reversed).value(), *power);
    }
}

#[test]
fn slots_are_values_at_the_odd_powers_of_the_root() {
    for kernel in Kernel::available() {
        let coefficients = random(1);
        let mut slots = coefficients.clone();
        forward_with(kernel, &mut slots);
        for i in [0, 1, 2, 3, 4, 5, 8, 1000, 2048, 2049, 4094, 4095] {
            let point = Fp::new(ROOT).pow(2 * ((i as u64).reverse_bits() >> (64 - 12)) + 1);
            let value =
                coefficients.iter().rev().fold(Fp::ZERO, |sum, word| sum * point + Fp::new(*word));
            assert_eq!(slots[i], value.value(), "{kernel:?}, slot {i}");
        }
    }
}

/// Slots of the polynomial X.
#[test]
fn the_slot_order_is_pinned() {
    let mut slots = sparse(&[(1, 1)]);
    forward(&mut slots);
    let powers = [1, 4097, 2049, 6145].map(|exponent| Fp::new(ROOT).pow(exponent).value());
    assert_eq!(slots[..4], powers);
    assert_eq!(slots[0], ROOT);
    assert_eq!(slots[N - 1], Fp::new(ROOT).pow(8191).value());
}

#[test]
fn transforms_undo_each_other_in_every_kernel() {
    for kernel in Kernel::available() {
        for seed in 0..20 {
            let block = random(seed);
            let mut turned = block.clone();
            forward_with(kernel, &mut turned);
            assert_ne!(turned, block);
            inverse_with(kernel, &mut turned);
            assert_eq!(turned, block, "{kernel:?}");
        }
    }
}

#[test]
fn kernels_agree_bit_by_bit() {
    let constant = [0, 1, P - 1, 0xffff_ffff, 1 << 32, P - (1 << 32)].map(|word| {
        let mut block = zero_block();
        block.fill(word);
        block
    });
    let units = [0, 1, 2, 3, 5, 2047, 2048, N - 1].map(|degree| sparse(&[(degree, P - 1)]));
    let blocks = (0..100).map(random).chain(constant).chain(units);
    for block in blocks {
        for transform in [forward_with, inverse_with] {
            let mut expected = block.clone();
            transform(Kernel::Portable, &mut expected);
            assert!(ring::check_canonical(&expected[..]));
            for kernel in Kernel::available() {
                let mut got = block.clone();
                transform(kernel, &mut got);
                assert_eq!(got, expected, "{kernel:?}");
            }
        }
    }
}

#[test]
fn the_product_of_dense_polynomials_is_the_schoolbook_one() {
    let (a, b) = (random(100), random(101));
    let expected = schoolbook(&a, &b);
    for kernel in Kernel::available() {
        assert_eq!(multiply(kernel, a.clone(), b.clone()), expected, "{kernel:?}");
    }
}

#[test]
fn the_highest_power_times_x_is_minus_one() {
    for kernel in Kernel::available() {
        let product = multiply(kernel, sparse(&[(N - 1, 1)]), sparse(&[(1, 1)]));
        assert_eq!(product, sparse(&[(0, P - 1)]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_product_with_a_sparse_polynomial_is_the_schoolbook_one(
        terms in prop::collection::vec((0..N, 0..P), 1..6), seed: u64,
    ) {
        let (a, b) = (sparse(&terms), random(seed));
        let expected = schoolbook(&a, &b);
        for kernel in Kernel::available() {
            prop_assert_eq!(multiply(kernel, a.clone(), b.clone()), expected.clone());
        }
    }
}
