//! Which degree and primes hold a sum: the fewest bytes that everybody has to send.
//!
//! # Noise
//!
//! With s = Σ sᵢ and e = Σ eᵢ over the d dealers of a key (one, unless it is shared), C fresh ciphertexts
//! of a public key add up to the noise −e·U + E₁ + s·E₂, where U, E₁ and E₂ are sums of C independent
//! ternary and binomial polynomials. Ternary coefficients are sub-Gaussian with proxy 1, binomial
//! ones of 42 coins with 42/4 = 21/2 (Hoeffding). So a coefficient of the noise is sub-Gaussian with
//! proxy V = C (|e|² + 21/2 + 21/2·|s|²), of which |s|² ≤ d²N always and |e|² ≤ 21 d N but with
//! probability (2/e)^(N/2) ≤ 2^−226 (the bound of Chernoff at twice the mean). Then P(|noise| > B) ≤
//! 2 exp(−B²/2V), which for B² = 2V·ln 2·(128 + 1 + 32) is 2^−128 for 2^32 coefficients together. No
//! probability is left where d·C·(42 N + 21), which holds for all keys and coins, is less.

use nexus_field::rns::{Modulus, choose};

use super::{AdditiveError, Terms};
use crate::parameters::TABLE;
use crate::sample::MAX_ERROR;
use crate::{Parameters, Scheme};

/// Bits of the largest primes: vectors of doubles multiply modulo these.
const PRIME_BITS: u32 = 50;
/// The largest degree tried: larger ones save little, and a block would be a megabyte.
const MAX_DEGREE: usize = 16_384;
/// −log₂ of the probability that an honest sum does not decrypt, and log₂ of its coefficients.
const FAILURE: f64 = 128.0 + 1.0 + 32.0;

/// Degree and primes of encrypted sums, and where the values are in a coefficient.
///
/// ```text
/// |0| value p-1 | .. | value 1 | value 0 | noise |
///       field bits              field      shift
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub(crate) degree: usize,
    pub(crate) moduli: Vec<Modulus>,
    pub(crate) field: u32,
    pub(crate) packed: usize,
    pub(crate) shift: u32,
    pub(crate) blocks: usize,
    pub(crate) noise: f64,
    pub(crate) flood: Option<u32>,
}

/// Who makes the key: `dealers` together, who flood the noise of a sum before they open it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dealers {
    pub(crate) count: u16,
    /// −log₂ of the statistical distance that one opening may cost.
    pub(crate) flooding: Option<u32>,
}

impl Layout {
    /// The layout with the fewest bytes for vectors of these terms.
    pub(crate) fn new(terms: &Terms, dealers: Dealers) -> Result<Self, AdditiveError> {
        let rows = TABLE.iter().filter(|row| row.0 <= MAX_DEGREE);
        let all = rows
            .flat_map(|row| (1..).map_while(|packed| Self::sized(terms, dealers, *row, packed)));
        let least = all.min_by_key(|shape| shape.bits * shape.blocks as u64 * shape.degree as u64);
        let shape = least.ok_or_else(|| AdditiveError::NoParameters {
            field: terms.field(),
            noise: Shape::noise(terms, dealers, MAX_DEGREE, 1).1,
        })?;
        shape.layout(terms, dealers)
    }

    /// The shape with so many values in a coefficient, if its degree holds them.
    fn sized(
        terms: &Terms,
        dealers: Dealers,
        (degree, limit): (usize, u32),
        packed: usize,
    ) -> Option<Shape> {
        let blocks = terms.values().div_ceil(degree * packed);
        let (_, shift, _) = Shape::noise(terms, dealers, degree, blocks);
        let bits =
            u32::try_from(packed).ok()?.checked_mul(terms.field())?.checked_add(shift + 1)?;
        (bits <= limit).then_some(Shape { degree, packed, blocks, bits: bits.into() })
    }

    /// N.
    pub const fn degree(&self) -> usize {
        self.degree
    }

    /// The primes, none of which is for keys only.
    pub fn moduli(&self) -> &[Modulus] {
        &self.moduli
    }

    /// Values in a coefficient.
    pub const fn packed(&self) -> usize {
        self.packed
    }

    /// Ciphertexts of a vector.
    pub const fn blocks(&self) -> usize {
        self.blocks
    }

    /// Bits of a sum with its sign.
    pub const fn field(&self) -> u32 {
        self.field
    }

    /// Bits below the values, which are for noise.
    pub const fn shift(&self) -> u32 {
        self.shift
    }

    /// The largest noise of a sum of honest clients' ciphertexts, but with probability 2^−128 for all of
    /// its coefficients together.
    pub const fn noise(&self) -> f64 {
        self.noise
    }

    /// What dealers flood it with: each up to two to this power.
    pub const fn flood(&self) -> Option<u32> {
        self.flood
    }

    /// Words of a polynomial.
    pub(crate) fn words(&self) -> usize {
        self.degree * self.moduli.len()
    }

    /// Bytes of a polynomial, its residues packed.
    pub(crate) fn polynomial_bytes(&self) -> usize {
        self.moduli.iter().map(|modulus| modulus.bits() as usize * self.degree / 8).sum()
    }
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    degree: usize,
    packed: usize,
    blocks: usize,
    bits: u64,
}

impl Shape {
    /// The bound B on the noise, the bits it takes with all that floods it, and how large that is.
    fn noise(
        terms: &Terms,
        dealers: Dealers,
        degree: usize,
        blocks: usize,
    ) -> (f64, u32, Option<u32>) {
        let (clients, degree, count) =
            (f64::from(terms.clients()), degree as f64, f64::from(dealers.count));
        let variance = f64::from(MAX_ERROR) / 2.0;
        let proxy = 2.0 * variance * count * degree + variance * (1.0 + count * count * degree);
        let likely = (2.0 * clients * proxy * std::f64::consts::LN_2 * FAILURE).sqrt();
        let certain = count * clients * f64::from(MAX_ERROR) * (2.0 * degree + 1.0);
        let noise = likely.min(certain).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of bits, below 64"
        )]
        let bits = |noise: f64| noise.log2().floor() as u32 + 1;
        let Some(distance) = dealers.flooding else {
            return (noise, bits(noise) + 1, None);
        };
        // A number below 2^f in magnitude hides one of up to B up to B/2^f; so does each coefficient.
        let flood = bits(noise) + distance + bits(blocks as f64 * degree);
        (noise, flood + bits(count) + 1, Some(flood))
    }

    fn layout(self, terms: &Terms, dealers: Dealers) -> Result<Layout, AdditiveError> {
        let Self { degree, packed, blocks, bits } = self;
        let (noise, shift, flood) = Self::noise(terms, dealers, degree, blocks);
        #[expect(clippy::cast_possible_truncation, reason = "at most 438 bits")]
        let bits = bits as u32;
        let count = bits.div_ceil(PRIME_BITS);
        let sizes: Vec<u32> =
            (0..count).map(|at| bits / count + u32::from(at < bits % count)).collect();
        let moduli = choose(degree, &sizes).map_err(crate::HeError::from)?;
        let values: Vec<u64> = moduli.iter().map(|modulus| modulus.value()).collect();
        // Degree, primes and security are checked where all others are.
        Parameters::new(Scheme::Bfv, degree, &values, Some(2))?;
        Ok(Layout { degree, moduli, field: terms.field(), packed, shift, blocks, noise, flood })
    }
}
