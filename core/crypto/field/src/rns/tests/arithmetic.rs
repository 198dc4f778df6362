use proptest::prelude::*;

use super::*;
use crate::rns::words::nearest_sum_with;

fn wide(q: Modulus, value: u128) -> u64 {
    u64::try_from(value % u128::from(q.value())).unwrap()
}

/// Moduli of every size, from 2 to the largest prime below 2^61.
fn every_size() -> Vec<Modulus> {
    let below = |end: u64| (2..end).rev().find_map(|value| Modulus::new(value).ok());
    (2..=61).filter_map(|bits| below(1 << bits)).chain(Modulus::new(2).ok()).collect()
}

fn edges(q: u64) -> Vec<u64> {
    let mut edges = vec![0, 1, 2, q / 2, q / 2 + 1, q - 2, q - 1];
    edges.retain(|word| *word < q);
    edges
}

#[test]
fn words_are_added_and_multiplied_as_by_division() {
    for q in every_size() {
        let value = u128::from(q.value());
        let words = [edges(q.value()), random(1, q.value(), 20)].concat();
        for a in &words {
            assert_eq!(q.add(*a, q.neg(*a)), 0);
            for b in &words {
                let (x, y) = (u128::from(*a), u128::from(*b));
                assert_eq!(q.add(*a, *b), wide(q, x + y), "{q:?}");
                assert_eq!(q.sub(*a, *b), wide(q, x + value - y), "{q:?}");
                assert_eq!(q.mul(*a, *b), wide(q, x * y), "{q:?}: {a}·{b}");
            }
        }
    }
}

#[test]
fn every_word_is_reduced_as_by_division() {
    for q in every_size() {
        let value = q.value();
        let most = u64::MAX / value * value;
        let near = [most - 1, most, value, value + 1, 2 * value - 1, 1 << 63, u64::MAX];
        for word in near.into_iter().chain(random(2, u64::MAX, 50)) {
            assert_eq!(q.reduce(word), word % value, "{q:?}: {word}");
            let signed = word.cast_signed();
            let expected = i128::from(signed).rem_euclid(i128::from(value));
            assert_eq!(i128::from(q.reduce_signed(signed)), expected, "{q:?}: {signed}");
            for other in [0, 1, value - 1, word, u64::MAX] {
                let double = (u128::from(word) << 64) | u128::from(other);
                assert_eq!(q.reduce_wide(double), wide(q, double), "{q:?}: {double}");
            }
        }
        let most = u128::MAX / u128::from(value) * u128::from(value);
        for double in [most - 1, most, u128::MAX] {
            assert_eq!(q.reduce_wide(double), wide(q, double), "{q:?}: {double}");
        }
    }
}

#[test]
fn powers_and_inverses_multiply_to_one() {
    for q in every_size() {
        assert_eq!(q.inverse(0), None);
        for word in edges(q.value()).into_iter().filter(|word| *word != 0) {
            let inverse = q.inverse(word).unwrap();
            assert_eq!(q.mul(word, inverse), 1, "{q:?}");
            assert_eq!(q.pow(word, q.value() - 1), 1);
        }
        assert_eq!(q.pow(0, 0), 1);
        assert_eq!(q.pow(1, u64::MAX), 1);
    }
}

#[test]
fn centred_words_are_at_most_half_the_modulus() {
    for q in every_size() {
        let half = q.value() / 2;
        for word in edges(q.value()) {
            let centred = q.centred(word);
            assert_eq!(q.reduce_signed(centred), word, "{q:?}");
            assert!(centred.unsigned_abs() <= half && 2 * centred != -q.value().cast_signed());
        }
        assert_eq!(q.centred(half), half.cast_signed());
    }
}

/// Inputs of one call: a, b, c and a factor, all canonical, and any words.
struct Inputs {
    a: Vec<u64>,
    b: Vec<u64>,
    c: Vec<u64>,
    by: u64,
    any: Vec<u64>,
}

fn inputs(q: Modulus, seed: u64, count: usize) -> Inputs {
    let [a, b, c] = [0, 1, 2].map(|i| random(seed + i, q.value(), count));
    let any = random(seed + 3, u64::MAX, count);
    Inputs { a, b, c, by: random(seed + 4, q.value(), 1)[0], any }
}

/// Every operation on words by one kernel, and what it should give.
fn check(kernel: Kernel, q: Modulus, inputs: &Inputs) {
    let Inputs { a, b, c, by, any } = inputs;
    let pairs = || a.iter().zip(b);
    let expect = |name: &str, got: &[u64], expected: Vec<u64>| {
        assert_eq!(got, expected, "{name} {kernel:?} {q:?}");
    };
    let with = |operate: &dyn Fn(&mut [u64])| {
        let mut words = a.clone();
        operate(&mut words);
        words
    };
    let got = with(&|a| q.add_assign_with(kernel, a, b));
    expect("add", &got, pairs().map(|(a, b)| q.add(*a, *b)).collect());
    let got = with(&|a| q.sub_assign_with(kernel, a, b));
    expect("sub", &got, pairs().map(|(a, b)| q.sub(*a, *b)).collect());
    let got = with(&|a| q.neg_assign_with(kernel, a));
    expect("neg", &got, a.iter().map(|a| q.neg(*a)).collect());
    let got = with(&|a| q.mul_assign_with(kernel, a, b));
    expect("mul", &got, pairs().map(|(a, b)| q.mul(*a, *b)).collect());
    let got = with(&|a| q.mul_add_with(kernel, a, b, c));
    let products = b.iter().zip(c).map(|(b, c)| q.mul(*b, *c));
    expect("mul_add", &got, products.zip(a).map(|(bc, a)| q.add(bc, *a)).collect());
    for count in [0, 1, 2, 8, 9, 40, 1025] {
        let terms: Vec<_> =
            [(&b[..], &c[..]), (a, b), (c, c)].into_iter().cycle().take(count).collect();
        let got = with(&|a| q.inner_product_with(kernel, a, &terms));
        let add = |sum, at| terms.iter().fold(sum, |sum, (x, y)| q.add(sum, q.mul(x[at], y[at])));
        expect("inner product", &got, (0..a.len()).map(|at| add(0, at)).collect());
    }
    for (count, bits) in
        [(0, 50), (1, 50), (8, 49), (9, 50), (40, 50), (3, 51), (40, 61), (1025, 61)]
    {
        let words: Vec<u64> = any.iter().map(|word| word >> (64 - bits)).collect();
        let most = vec![u64::MAX >> (64 - bits); a.len()];
        let terms = [(&words[..], *by), (&most, q.value() - 1), (&most, *by)];
        let terms: Vec<_> = terms.into_iter().cycle().take(count).collect();
        let got = with(&|a| q.weighted_sum_with(kernel, a, &terms, bits));
        let product = |(words, by): &(&[u64], u64), at: usize| q.mul(q.reduce(words[at]), *by);
        let add = |at| terms.iter().fold(0, |sum, term| q.add(sum, product(term, at)));
        expect("weighted sum", &got, (0..a.len()).map(add).collect());
    }
    let got = with(&|a| q.scale_with(kernel, a, *by));
    expect("scale", &got, a.iter().map(|a| q.mul(*a, *by)).collect());
    let got = with(&|out| nearest_sum_with(kernel, out, &[(a, q), (b, q)]));
    for (got, (a, b)) in got.into_iter().zip(pairs()) {
        let (twice, q) = (2 * (a + b), q.value());
        let from_half = (twice % (2 * q)).abs_diff(q);
        assert!(got == (twice + q) / (2 * q) || from_half <= q >> 40, "{a} + {b} modulo {q}");
    }
    let got = with(&|a| q.shift_assign_with(kernel, a, *by));
    expect("shift", &got, a.iter().map(|a| q.add(*a, *by)).collect());
    // Words of all kernels' limits, and the largest ones among them.
    for bits in [20, 50, 51, 52, 62] {
        for plus in [0, *by, q.value() - 1] {
            let mut words: Vec<u64> = any.iter().map(|word| word >> (64 - bits)).collect();
            words.iter_mut().step_by(3).for_each(|word| *word = u64::MAX >> (64 - bits));
            let got = with(&|a| q.reduce_from_with(kernel, a, &words, plus, bits));
            let sum = |word: &u64| (word + plus) % q.value();
            expect("reduce", &got, words.iter().map(sum).collect());
        }
    }
}

#[test]
fn vectors_are_words_one_after_another_in_every_kernel() {
    let moduli: Vec<_> = every_size().into_iter().chain(moduli(1024)).collect();
    for (seed, q) in moduli.into_iter().enumerate() {
        for kernel in Kernel::available() {
            for count in [0, 1, 3, 7, 8, 9, 16, 31, 200] {
                check(kernel, q, &inputs(q, seed as u64, count));
            }
        }
    }
}

#[test]
fn every_pair_of_edge_words_is_right_in_every_kernel() {
    for q in every_size() {
        let words = edges(q.value());
        let pairs = || words.iter().flat_map(|a| words.iter().map(|b| (*a, *b)));
        let (a, b): (Vec<u64>, Vec<u64>) = pairs().unzip();
        let value = q.value();
        let multiples = [1, 2, 3, 1000, u64::MAX / value].map(|k| value.wrapping_mul(k));
        let near = multiples.iter().flat_map(|x| [x.wrapping_sub(1), *x, x.wrapping_add(1)]);
        let any: Vec<u64> = near.chain([0, u64::MAX, 1 << 63, 1 << 52, 1 << 53]).collect();
        let any: Vec<u64> = any.iter().copied().cycle().take(a.len()).collect();
        for by in &words {
            for c in &words {
                let c = vec![*c; a.len()];
                let inputs = Inputs { a: c, b: a.clone(), c: b.clone(), by: *by, any: any.clone() };
                for kernel in Kernel::available() {
                    check(kernel, q, &inputs);
                }
            }
        }
    }
}

#[test]
fn of_several_lengths_the_shortest_counts() {
    let q = Modulus::new(97).unwrap();
    for kernel in Kernel::available() {
        let mut sum = vec![1; 20];
        q.mul_add_with(kernel, &mut sum, &[2; 17], &[3; 9]);
        assert_eq!(sum, [vec![7; 9], vec![1; 11]].concat());
        q.add_assign_with(kernel, &mut sum, &[1]);
        assert_eq!(sum[..2], [8, 7]);
        q.mul_assign_with(kernel, &mut sum[..1], &[2; 30]);
        assert_eq!(sum[..2], [16, 7]);
        q.inner_product_with(kernel, &mut sum, &[(&[2; 30], &[3; 1]), (&[4; 9], &[5; 20])]);
        assert_eq!(sum[..2], [26, 7]);
    }
}

proptest! {
    #[test]
    fn kernels_agree_on_every_prime(bits in 2_u32..61, start: u64, seed: u64) {
        let end = 1_u64 << bits;
        let start = end + start % end;
        let q = (2..=start.min((1 << 61) - 1)).rev().find_map(|n| Modulus::new(n).ok()).unwrap();
        for kernel in Kernel::available() {
            check(kernel, q, &inputs(q, seed, 40));
        }
    }
}
