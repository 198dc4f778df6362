use proptest::prelude::*;

use super::*;
use crate::{Fp, N, zero_block};

fn words(length: usize) -> impl Strategy<Value = Vec<u64>> {
    let edges = [0, 1, P - 1, 0xffff_ffff, 1 << 32, P - (1 << 32), P / 2, P / 2 + 1];
    prop::collection::vec(prop_oneof![0..P, prop::sample::select(edges.to_vec())], length)
}

fn map(a: &[u64], b: &[u64], op: impl Fn(Fp, Fp) -> Fp) -> Vec<u64> {
    a.iter().zip(b).map(|(a, b)| op(Fp::new(*a), Fp::new(*b)).value()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sums_of_any_length_are_those_of_the_field(
        (a, b) in (0usize..70).prop_flat_map(|n| (words(n), words(n))),
    ) {
        for kernel in Kernel::available() {
            let (mut sum, mut difference) = (a.clone(), a.clone());
            add_with(kernel, &mut sum, &b);
            prop_assert_eq!(sum, map(&a, &b, |a, b| a + b));
            sub_with(kernel, &mut difference, &b);
            prop_assert_eq!(difference, map(&a, &b, |a, b| a - b));
        }
    }

    #[test]
    fn a_word_from_p_on_is_found_anywhere(
        (mut words, at) in (1usize..70).prop_flat_map(|n| (words(n), 0..n)), excess in 0..=u64::MAX - P,
    ) {
        for kernel in Kernel::available() {
            prop_assert!(check_canonical_with(kernel, &words));
        }
        words[at] = P + excess;
        for kernel in Kernel::available() {
            prop_assert!(!check_canonical_with(kernel, &words));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn products_are_those_of_the_field(a in words(N), b in words(N), c in words(N)) {
        let block = |words: &[u64]| Box::new(Block::try_from(words).unwrap());
        for kernel in Kernel::available() {
            let (mut product, mut sum) = (block(&a), block(&c));
            mul_with(kernel, &mut product, &block(&b));
            prop_assert_eq!(&product[..], &map(&a, &b, |a, b| a * b)[..]);
            mul_add_with(kernel, &mut sum, &block(&a), &block(&b));
            prop_assert_eq!(&sum[..], &map(&product[..], &c, |a, b| a + b)[..]);
        }
    }
}

#[test]
fn lengths_may_differ() {
    for kernel in Kernel::available() {
        let mut sum = vec![1; 9];
        add_with(kernel, &mut sum, &[P - 1; 7]);
        assert_eq!(sum, [0, 0, 0, 0, 0, 0, 0, 1, 1]);
        sub_with(kernel, &mut sum[..8], &[1; 20]);
        assert_eq!(sum, [P - 1, P - 1, P - 1, P - 1, P - 1, P - 1, P - 1, 0, 1]);
        assert!(check_canonical_with(kernel, &[]));
    }
}

#[test]
fn words_from_p_on_are_skipped() {
    let stream = [5, P, P - 1, u64::MAX, P + 1, 0, 7, 8];
    let mut bytes = stream.iter().flat_map(|word: &u64| word.to_le_bytes());
    let mut out = [0; 4];
    accept(|buffer| buffer.fill_with(|| bytes.next().unwrap()), &mut out);
    assert_eq!(out, [5, P - 1, 0, 7]);
    assert_eq!(bytes.count(), 8, "bytes of one word, which nothing needed");
}

/// A rejection anywhere, also across the reader's buffer: the same as filtering the whole stream.
#[test]
fn skipping_is_filtering() {
    let mut words = vec![0; 3 * N];
    for (i, word) in words.iter_mut().enumerate() {
        *word = if i % 5 == 3 { P + i as u64 } else { i as u64 };
    }
    let expected: Vec<u64> = words.iter().copied().filter(|word| *word < P).take(N).collect();
    let mut bytes = words.iter().flat_map(|word| word.to_le_bytes());
    let mut out = vec![0; N];
    accept(|buffer| buffer.fill_with(|| bytes.next().unwrap()), &mut out);
    assert_eq!(out, expected);
}

#[test]
fn polynomials_differ_by_seed_and_index_and_are_those_of_the_plain_stream() {
    let draw = |seed: u8, index| {
        let mut out = zero_block();
        uniform(&[seed; 32], index, &mut out);
        out
    };
    let drawn = [draw(0, 0), draw(0, 1), draw(0, 1 << 32), draw(1, 0)];
    for (i, a) in drawn.iter().enumerate() {
        assert!(check_canonical(&a[..]));
        assert!(drawn[..i].iter().all(|b| a != b));
    }
    let mut stream = vec![0; 8 * N];
    let message = [UNIFORM, &1u64.to_le_bytes()].concat();
    blake3::Hasher::new_keyed(&[0; 32]).update(&message).finalize_xof().fill(&mut stream);
    let (words, _) = stream.as_chunks::<8>();
    assert!(words.iter().map(|word| u64::from_le_bytes(*word)).eq(*drawn[1]));
}

/// Words of an implementation of BLAKE3 in forty lines, written from its paper.
#[test]
fn the_uniform_words_are_pinned() {
    let seed = std::array::from_fn(|i| i.to_le_bytes()[0]);
    let mut out = zero_block();
    uniform(&seed, 0x0102_0304_0506_0708, &mut out);
    assert_eq!(out[..2], [0x5e19_3a59_496a_f7e3, 0x837f_f1e8_9bb6_2fdc]);
    assert_eq!((out[2], out[N - 1]), (0x0310_f682_0d1f_2af7, 0x62ce_69eb_c7ed_b9c8));
}
