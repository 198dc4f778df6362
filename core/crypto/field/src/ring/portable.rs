//! Vectors of words in plain Rust.

use crate::P;
use crate::goldilocks::word;

pub(super) fn mul(a: &mut [u64], b: &[u64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = word::mul(*a, *b);
    }
}

pub(super) fn mul_add(sum: &mut [u64], a: &[u64], b: &[u64]) {
    for (sum, (a, b)) in sum.iter_mut().zip(a.iter().zip(b)) {
        *sum = word::add(*sum, word::mul(*a, *b));
    }
}

pub(super) fn add(sum: &mut [u64], x: &[u64]) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum = word::add(*sum, *x);
    }
}

pub(super) fn sub(sum: &mut [u64], x: &[u64]) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum = word::sub(*sum, *x);
    }
}

pub(super) fn check_canonical(words: &[u64]) -> bool {
    words.iter().filter(|word| **word >= P).count() == 0
}
