use super::*;
use crate::Kernel;

mod arithmetic;
mod primes;
mod transform;

/// Random words below `bound` with edge words strewn in.
fn random(seed: u64, bound: u64, count: usize) -> Vec<u64> {
    let edges = [0, 1, 2, bound / 2, bound / 2 + 1, bound - 2, bound - 1];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let word = |word: u64| match word % 8 {
        0 => edges[(word / 8) as usize % edges.len()] % bound,
        _ => word % bound,
    };
    (0..count).map(|_| word(next())).collect()
}

/// The `count` largest primes of `bits` bits for the given degree, largest first.
fn largest(degree: usize, bits: u32, count: usize) -> Vec<Modulus> {
    let mut primes = choose(degree, &vec![bits; count]).unwrap();
    primes.reverse();
    primes
}

/// The largest 61-bit prime for the given degree, which `choose` does not look for.
fn largest_of_61_bits(degree: usize) -> Modulus {
    let step = 2 * degree as u64;
    let mut candidates = (1..(1 << 61) / step).rev().map(|i| i * step + 1);
    candidates.find_map(|value| Modulus::new(value).ok()).unwrap()
}

/// Primes of every size for the given degree, the largest of each first.
fn moduli(degree: usize) -> Vec<Modulus> {
    let sizes = [31, 45, 46, 47, 48, 49, 50, 51, 60];
    let mut moduli: Vec<_> = sizes.iter().flat_map(|bits| largest(degree, *bits, 1)).collect();
    moduli.push(largest_of_61_bits(degree));
    // The smallest one there is.
    let step = 2 * degree as u64;
    moduli.extend((1..1000).find_map(|i| Modulus::new(i * step + 1).ok()));
    moduli
}
