//! Sums of products, reduced once for many: primes below 2^50, and longer ones.

use super::long::Long;
use super::{Barrett, Modulus, Ring, Short, Words, float, portable};
use crate::rns::portable::{FRACTIONS, Fraction};
use crate::rns::words::{Residues, Term, Weighted};

/// Terms whose products are added before any is reduced: below 2^100 each, the upper parts of eight
/// are below 2^51, and carries of the lower parts below 8.
const TOGETHER: usize = 8;

/// The same for words below 2^61 in two parts, of 52 and 9 bits: the middle gains less than 3·2^52 by each.
const TOGETHER_LONG: usize = 1024;

/// Σ aᵢ·bᵢ by lower and upper 52 bits, of `terms` pairs that `load` gives for a row.
#[inline(always)]
fn sums_of_products(
    modulus: Modulus,
    rows: &mut [[u64; 8]],
    terms: usize,
    load: impl Fn(usize, usize) -> [Words; 2],
) {
    if modulus.bits() > float::MAX_BITS {
        long_sums(modulus, rows, terms, load);
    } else {
        short_sums(modulus, rows, terms, load);
    }
}

/// For primes from 2^50 to 2^60. Three parts of 52 bits are low + m 2^52 + h 2^104; with what those powers
/// are modulo q, that is below 2^52 + 4q + 4q, and so below 12q.
#[inline(always)]
fn long_sums(
    modulus: Modulus,
    rows: &mut [[u64; 8]],
    terms: usize,
    load: impl Fn(usize, usize) -> [Words; 2],
) {
    let q = Long::new(modulus, 0);
    let [middle_by, high_by] = [52, 104]
        .map(|bits| Long::splat(Long::constant(modulus, modulus.reduce_wide(1_u128 << bits))));
    for start in (0..terms.max(1)).step_by(TOGETHER_LONG) {
        for (at, row) in rows.iter_mut().enumerate() {
            let [mut low, mut middle, mut high] = [Words::splat(0); 3];
            for term in start..terms.min(start + TOGETHER_LONG) {
                let [a, b] = load(term, at);
                let [a_upper, b_upper] = [a.carry(), b.carry()];
                low = low.mul_low(a, b);
                middle = middle.add_high(a, b).mul_low(a, b_upper).mul_low(a_upper, b);
                high = high.add_high(a, b_upper).add_high(a_upper, b).mul_low(a_upper, b_upper);
            }
            let middle = middle.add(low.carry());
            let high = high.add(middle.carry());
            let middle = Words::of(q.times(middle.low_bits().bits(), middle_by));
            let high = Words::of(q.times(high.bits(), high_by));
            let sum = Words::of(q.end(low.low_bits().add(middle).add(high).bits()));
            let sum = if start > 0 { q.sum(sum, Words::load(row)) } else { sum };
            sum.store(row);
        }
    }
}

/// For primes below 2^50.
#[inline(always)]
fn short_sums(
    modulus: Modulus,
    rows: &mut [[u64; 8]],
    terms: usize,
    load: impl Fn(usize, usize) -> [Words; 2],
) {
    let (q, short) = (Barrett::new(modulus), Short::new(modulus, 0));
    let shifted = Short::splat(Short::constant(modulus, modulus.reduce(1 << 52)));
    for start in (0..terms.max(1)).step_by(TOGETHER) {
        for (at, row) in rows.iter_mut().enumerate() {
            let (mut low, mut high) = (Words::splat(0), Words::splat(0));
            for term in start..terms.min(start + TOGETHER) {
                let [a, b] = load(term, at);
                (low, high) = (low.mul_low(a, b), high.add_high(a, b));
            }
            let high = high.add(low.carry());
            let product = Words::of(short.times(high.bits(), shifted)).low_bits();
            let sum =
                product.add(short.reduce(low.low_bits()).low_bits()).once(q.twice).once(q.value);
            let sum = if start > 0 { sum.add(Words::load(row)).once(q.value) } else { sum };
            sum.store(row);
        }
    }
}

/// Of residues modulo primes of 52 bits at most.
#[inline(always)]
pub(super) fn nearest_sum(out: &mut [u64], terms: &[Residues<'_>]) {
    let (width, fraction) = FRACTIONS[0];
    let (half, down) = (Words::splat(1 << (fraction - 1)), Words::splat(fraction.into()));
    let (rows, _) = out.as_chunks_mut::<8>();
    let count = rows.len();
    for row in &mut *rows {
        half.store(row);
    }
    for (words, q) in terms {
        let Fraction { shift, ratio } = Fraction::new(*q, (width, fraction));
        let (shift, ratio) = (Words::splat(shift.into()), Words::splat(ratio));
        for (row, words) in rows.iter_mut().zip(words.as_chunks::<8>().0) {
            let word = Words::load(words).shift_left(shift);
            Words::load(row).add_high(word, ratio).store(row);
        }
    }
    for row in rows {
        Words::load(row).shift_right(down).store(row);
    }
    portable::nearest_sum_from(out, terms, 8 * count);
}

#[inline(always)]
pub(super) fn inner_product(modulus: Modulus, out: &mut [u64], terms: &[Term<'_>]) {
    let (rows, _) = out.as_chunks_mut::<8>();
    let count = rows.len();
    sums_of_products(modulus, rows, terms.len(), |term, at| {
        let (a, b) = terms[term];
        [Words::load(&a.as_chunks().0[at]), Words::load(&b.as_chunks().0[at])]
    });
    portable::inner_product_from(modulus, out, terms, 8 * count);
}

/// Terms that are cheaper reduced one by one.
const FEW: usize = 6;

/// Words, and what they are multiplied by: a weight and its quotient.
type Few<'a> = (&'a [[u64; 8]], (Words, Words));

/// A few terms, each below 2q by the quotient of its weight (V. Shoup), as long as their sum is below 2^52.
#[inline(always)]
fn few_sums(q: Short, rows: &mut [[u64; 8]], terms: &[Few<'_>]) {
    for (at, row) in rows.iter_mut().enumerate() {
        let mut sum = Words::splat(0);
        for (words, weight) in terms {
            let product = q.times(Words::load(&words[at]).bits(), *weight);
            sum = sum.add(Words::of(product).low_bits());
        }
        q.reduce(sum).low_bits().once(q.value).store(row);
    }
}

#[inline(always)]
pub(super) fn weighted_sum(modulus: Modulus, out: &mut [u64], terms: &[Weighted<'_>]) {
    let (rows, _) = out.as_chunks_mut::<8>();
    let count = rows.len();
    let few = (1..=FEW).contains(&terms.len());
    if few && modulus.value() < (1 << 51) / terms.len() as u64 {
        let weight = |weight| Short::splat(Short::constant(modulus, weight));
        let mut all = [(&[][..], weight(0)); FEW];
        for (one, (words, by)) in all.iter_mut().zip(terms) {
            *one = (words.as_chunks().0, weight(*by));
        }
        few_sums(Short::new(modulus, 0), rows, &all[..terms.len()]);
        return portable::weighted_sum_from(modulus, out, terms, 8 * count);
    }
    sums_of_products(modulus, rows, terms.len(), |term, at| {
        let (words, weight) = terms[term];
        [Words::load(&words.as_chunks().0[at]), Words::splat(weight)]
    });
    portable::weighted_sum_from(modulus, out, terms, 8 * count);
}
