//! Shamir's sharing of transformed polynomials, residue by residue.

use nexus_field::rns::Modulus;
use nexus_types::{CryptoRng, MemberId};
use zeroize::Zeroizing;

use crate::additive::Ring;
use crate::sample::{uniform, words};

/// Bits of noise drawn at a time.
const DIGIT: u32 = 40;

/// Where a member's share lies. Every prime is larger.
fn point(member: MemberId) -> u64 {
    u64::from(member.0) + 1
}

/// The limbs of some polynomials, each with the index of its prime.
fn limbs(
    words: &mut [u64],
    degree: usize,
    primes: usize,
) -> impl Iterator<Item = (usize, &mut [u64])> {
    words.chunks_mut(degree).enumerate().map(move |(at, limb)| (at % primes, limb))
}

/// The shares of polynomials, by member: any `threshold` of them make the polynomials, fewer are uniform.
pub(super) fn share(
    ring: &Ring,
    secret: &[u64],
    (members, threshold): (u16, u16),
    rng: &mut dyn CryptoRng,
) -> Vec<Zeroizing<Vec<u64>>> {
    let (degree, moduli) = (ring.layout().degree(), ring.layout().moduli());
    let mut higher = Vec::new();
    for _ in 1..threshold {
        let mut words = Zeroizing::new(Vec::with_capacity(secret.len()));
        for _ in 0..secret.len() / ring.layout().words() {
            words.extend_from_slice(&Zeroizing::new(uniform(moduli, degree, rng)));
        }
        higher.push(words);
    }
    let of = |member: MemberId| {
        let mut out = Zeroizing::new(vec![0; secret.len()]);
        for (index, (at, limb)) in limbs(&mut out, degree, moduli.len()).enumerate() {
            let (modulus, range) = (moduli[at], index * degree..(index + 1) * degree);
            let mut power = 1;
            let mut terms = vec![(&secret[range.clone()], 1)];
            for words in &higher {
                power = modulus.mul(power, point(member));
                terms.push((&words[range.clone()], power));
            }
            modulus.weighted_sum(limb, &terms, modulus.bits());
        }
        out
    };
    MemberId::all(members).map(of).collect()
}

/// λₖ for every one of these members: what their shares weigh at 0.
pub(super) fn weights(modulus: Modulus, members: &[MemberId]) -> Vec<u64> {
    let weight = |own: &MemberId| {
        let others = members.iter().filter(|other| *other != own);
        let (above, below) = others.fold((1, 1), |(above, below), other| {
            let gap = modulus.sub(point(*other), point(*own));
            (modulus.mul(above, point(*other)), modulus.mul(below, gap))
        });
        modulus.mul(above, modulus.inverse(below).unwrap_or_default())
    };
    members.iter().map(weight).collect()
}

/// Noise for so many polynomials, uniform in [−2^bits, 2^bits), transformed.
pub(super) fn flood(
    ring: &Ring,
    polynomials: usize,
    bits: u32,
    rng: &mut dyn CryptoRng,
) -> Zeroizing<Vec<u64>> {
    let (degree, count) = (ring.layout().degree(), ring.layout().words());
    let mut out = Zeroizing::new(vec![0; polynomials * count]);
    for polynomial in out.chunks_mut(count) {
        let sizes: Vec<u32> =
            (0..=bits).step_by(DIGIT as usize).map(|from| (bits + 1 - from).min(DIGIT)).collect();
        let mut drawn = words(degree * sizes.len(), rng);
        for (digits, size) in drawn.chunks_mut(degree).zip(&sizes) {
            for digit in digits {
                *digit &= (1 << size) - 1;
            }
        }
        for (transform, limb) in ring.base().limbs(polynomial) {
            let modulus = transform.modulus();
            let unit = modulus.pow(2, DIGIT.into());
            let powers = std::iter::successors(Some(1), |power| Some(modulus.mul(*power, unit)));
            let terms: Vec<(&[u64], u64)> = drawn.chunks(degree).zip(powers).collect();
            modulus.weighted_sum(limb, &terms, DIGIT);
            let middle = modulus.pow(2, bits.into());
            for word in limb.iter_mut() {
                *word = modulus.sub(*word, middle);
            }
            transform.forward(limb);
        }
    }
    out
}
