//! Sums of products, of words below 2^50, reduced once for eight.

use super::{Barrett, Modulus, Ring, Short, Words, portable};
use crate::rns::words::{Term, Weighted};

/// Terms whose products are added before any is reduced: below 2^100 each, the upper parts of eight
/// are below 2^51, and carries of the lower parts below 8.
const TOGETHER: usize = 8;

/// Σ aᵢ·bᵢ by lower and upper 52 bits, of `terms` pairs that `load` gives for a row.
#[inline(always)]
fn sums_of_products(
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

#[inline(always)]
pub(super) fn weighted_sum(modulus: Modulus, out: &mut [u64], terms: &[Weighted<'_>]) {
    let (rows, _) = out.as_chunks_mut::<8>();
    let count = rows.len();
    sums_of_products(modulus, rows, terms.len(), |term, at| {
        let (words, weight) = terms[term];
        [Words::load(&words.as_chunks().0[at]), Words::splat(weight)]
    });
    portable::weighted_sum_from(modulus, out, terms, 8 * count);
}
