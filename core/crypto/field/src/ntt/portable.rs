//! The transform in plain Rust: one butterfly after the other, words always canonical.

use super::{POWERS, SCALE};
use crate::goldilocks::word;
use crate::{Block, N};

pub(super) fn forward(block: &mut Block) {
    let mut half = N / 2;
    while half > 0 {
        let pairs = block.chunks_exact_mut(2 * half);
        for (pair, power) in pairs.zip(&POWERS[N / (2 * half)..]) {
            let (low, high) = pair.split_at_mut(half);
            for (u, v) in low.iter_mut().zip(high) {
                let product = word::mul(*v, *power);
                (*u, *v) = (word::add(*u, product), word::sub(*u, product));
            }
        }
        half /= 2;
    }
}

pub(super) fn inverse(block: &mut Block) {
    let mut half = 1;
    while half < N {
        let count = N / (2 * half);
        let pairs = block.chunks_exact_mut(2 * half);
        for (pair, power) in pairs.zip(POWERS[count..2 * count].iter().rev()) {
            let (low, high) = pair.split_at_mut(half);
            for (u, v) in low.iter_mut().zip(high) {
                (*u, *v) = (word::add(*u, *v), word::mul(word::sub(*v, *u), *power));
            }
        }
        half *= 2;
    }
    for value in block {
        *value = word::mul(*value, SCALE);
    }
}
