//! Which numbers are primes, and the primes that SEAL would take.

use std::collections::BTreeMap;

use super::transform::check_degree;
use super::{MAX_CHOSEN_BITS, MAX_PRIMES, Modulus, RnsError};

/// Miller and Rabin with these bases decide every number below 3·10^24.
const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// Whether the number behind these constants is a prime.
pub(super) fn is_prime(number: Modulus) -> bool {
    let n = number.value();
    if let Some(divisor) = BASES.into_iter().find(|base| n.is_multiple_of(*base)) {
        return n == divisor;
    }
    BASES.into_iter().all(|base| is_probable(number, base))
}

/// Whether n behaves like a prime at `base`, for n odd and not divisible by it.
fn is_probable(number: Modulus, base: u64) -> bool {
    let minus_one = number.value() - 1;
    let halvings = minus_one.trailing_zeros();
    let first = number.pow(number.reduce(base), minus_one >> halvings);
    let mut powers = std::iter::successors(Some(first), |x| Some(number.mul(*x, *x)));
    first == 1 || powers.by_ref().take(halvings as usize).any(|power| power == minus_one)
}

/// Primes of the given sizes that have a transform of `degree` words, as SEAL chooses them: of
/// each size the largest ones, in ascending order over the places that ask for it.
///
/// # Errors
///
/// The degree has no transform, a size is below 2 or above 60 bits, there are more than 256 sizes,
/// or not enough primes of a size.
///
/// # Example
///
/// ```
/// let primes = nexus_field::rns::choose(8192, &[60, 40, 40, 60])?;
/// assert_eq!(primes[1].value(), 0xff_fff4_c001);
/// # Ok::<(), nexus_field::rns::RnsError>(())
/// ```
pub fn choose(degree: usize, bits: &[u32]) -> Result<Vec<Modulus>, RnsError> {
    check_degree(degree)?;
    choose_in_steps(2 * degree as u64, bits)
}

/// [`choose`] among the primes that are 1 modulo `step`: with 2·degree·t / gcd(t, 2·degree) as
/// step, those that SEAL takes where they must be 1 modulo t too.
///
/// # Errors
///
/// As [`choose`], except for the degree.
pub fn choose_in_steps(step: u64, bits: &[u32]) -> Result<Vec<Modulus>, RnsError> {
    if bits.len() > MAX_PRIMES {
        return Err(RnsError::Count { got: bits.len() });
    }
    let mut wanted = BTreeMap::<u32, usize>::new();
    for size in bits {
        *wanted.entry(*size).or_default() += 1;
    }
    let found = wanted.into_iter().map(|(size, count)| Ok((size, largest(step, size, count)?)));
    let mut left = found.collect::<Result<BTreeMap<_, _>, RnsError>>()?;
    let next = |size: &u32| left.get_mut(size).and_then(Vec::pop);
    Ok(bits.iter().filter_map(next).collect())
}

/// The `count` largest primes of `bits` bits that are 1 modulo `step`, in descending order.
fn largest(step: u64, bits: u32, count: usize) -> Result<Vec<Modulus>, RnsError> {
    if !(2..=MAX_CHOSEN_BITS).contains(&bits) {
        return Err(RnsError::Bits { got: bits });
    }
    let scarce = RnsError::Scarce { bits, wanted: count, step };
    let (least, end) = (1_u64 << (bits - 1), 1_u64 << bits);
    let steps = (end - 2).checked_div(step).ok_or(scarce)?;
    let candidates = (1..=steps).rev().map(|i| i * step + 1).take_while(|n| *n > least);
    let primes = candidates.map(Modulus::of).filter(|n| is_prime(*n));
    let primes: Vec<Modulus> = primes.take(count).collect();
    if primes.len() == count { Ok(primes) } else { Err(scarce) }
}
