//! Vectors of words four at a time. Machines without AVX2 are left to the portable kernel, and so
//! are the last words of a slice.

#![expect(unsafe_code, reason = "code for AVX2 is called where the machine has it")]

use super::portable;
use crate::avx2::{Excess, Plain};
use crate::{Block, Kernel};

pub(super) fn mul(a: &mut Block, b: &Block) {
    if !Kernel::Avx2.is_available() {
        return portable::mul(a, b);
    }
    // SAFETY: this machine has AVX2.
    unsafe { mul_vectors(a, b) }
}

pub(super) fn mul_add(sum: &mut Block, a: &Block, b: &Block) {
    if !Kernel::Avx2.is_available() {
        return portable::mul_add(sum, a, b);
    }
    // SAFETY: this machine has AVX2.
    unsafe { mul_add_vectors(sum, a, b) }
}

/// Slices of one length.
pub(super) fn add(sum: &mut [u64], x: &[u64]) {
    if !Kernel::Avx2.is_available() {
        return portable::add(sum, x);
    }
    // SAFETY: this machine has AVX2.
    unsafe { add_vectors(sum, x) }
}

/// Slices of one length.
pub(super) fn sub(sum: &mut [u64], x: &[u64]) {
    if !Kernel::Avx2.is_available() {
        return portable::sub(sum, x);
    }
    // SAFETY: this machine has AVX2.
    unsafe { sub_vectors(sum, x) }
}

pub(super) fn check_canonical(words: &[u64]) -> bool {
    if !Kernel::Avx2.is_available() {
        return portable::check_canonical(words);
    }
    // SAFETY: this machine has AVX2.
    unsafe { check_vectors(words) }
}

#[target_feature(enable = "avx2")]
fn mul_vectors(a: &mut Block, b: &Block) {
    let ((a, _), (b, _)) = (a.as_chunks_mut(), b.as_chunks());
    for (a, b) in a.iter_mut().zip(b) {
        Plain::load(a).mul(Plain::load(b)).flip().store(a);
    }
}

#[target_feature(enable = "avx2")]
fn mul_add_vectors(sum: &mut Block, a: &Block, b: &Block) {
    let ((sum, _), (a, _), (b, _)) = (sum.as_chunks_mut(), a.as_chunks(), b.as_chunks());
    for (sum, (a, b)) in sum.iter_mut().zip(a.iter().zip(b)) {
        let product = Plain::load(a).mul(Plain::load(b));
        Plain::load(sum).flip().add(product).flip().store(sum);
    }
}

#[target_feature(enable = "avx2")]
fn add_vectors(sum: &mut [u64], x: &[u64]) {
    let ((sum, sum_rest), (x, x_rest)) = (sum.as_chunks_mut(), x.as_chunks());
    for (sum, x) in sum.iter_mut().zip(x) {
        Plain::load(sum).flip().add(Plain::load(x).flip()).flip().store(sum);
    }
    portable::add(sum_rest, x_rest);
}

#[target_feature(enable = "avx2")]
fn sub_vectors(sum: &mut [u64], x: &[u64]) {
    let ((sum, sum_rest), (x, x_rest)) = (sum.as_chunks_mut(), x.as_chunks());
    for (sum, x) in sum.iter_mut().zip(x) {
        Plain::load(sum).flip().sub(Plain::load(x).flip()).store(sum);
    }
    portable::sub(sum_rest, x_rest);
}

#[target_feature(enable = "avx2")]
fn check_vectors(words: &[u64]) -> bool {
    let (vectors, rest) = words.as_chunks();
    let mut excess = Excess::none();
    for vector in vectors {
        excess = excess.joined_by(Plain::load(vector));
    }
    excess.is_none() && portable::check_canonical(rest)
}
