//! What all keys and ciphertexts of one set of parameters share: transforms, constants, the order of
//! slots.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use nexus_field::rns::{Modulus, Transform};
use nexus_types::keep_freed_memory;

use crate::bfv::Tables;
use crate::switch::Hybrid;
use crate::{HeError, Parameters, ParametersId, Scheme, threads};

/// The generator of the rotations, modulo 2N.
const GENERATOR: u64 = 3;

/// Transforms for some moduli: polynomials over them lie limb after limb.
#[derive(Debug)]
pub(crate) struct Base(Vec<Transform>);

impl Base {
    pub(crate) fn new(moduli: &[Modulus], degree: usize) -> Result<Self, HeError> {
        let transform = |modulus: &Modulus| Ok(Transform::new(*modulus, degree)?);
        moduli.iter().map(transform).collect::<Result<_, HeError>>().map(Self)
    }

    fn degree(&self) -> usize {
        self.0.first().map_or(1, Transform::degree)
    }

    /// The limbs of a polynomial, from the first modulus on, each with its transform.
    pub(crate) fn limbs<'a>(
        &'a self,
        words: &'a mut [u64],
    ) -> impl Iterator<Item = (&'a Transform, &'a mut [u64])> {
        self.0.iter().zip(words.chunks_exact_mut(self.degree()))
    }

    pub(crate) fn forward(&self, words: &mut [u64]) {
        threads::each(self.limbs(words), |(transform, limb)| transform.forward(limb));
    }

    pub(crate) fn inverse(&self, words: &mut [u64]) {
        threads::each(self.limbs(words), |(transform, limb)| transform.inverse(limb));
    }

    /// Applies `to` to the residues of both for each modulus.
    pub(crate) fn each(
        &self,
        ours: &mut [u64],
        theirs: &[u64],
        to: fn(Modulus, &mut [u64], &[u64]),
    ) {
        let limbs = theirs.chunks_exact(self.degree());
        threads::each(self.limbs(ours).zip(limbs), |((transform, ours), theirs)| {
            to(transform.modulus(), ours, theirs);
        });
    }

    /// sum ← sum + a·b for each modulus.
    pub(crate) fn add_products(&self, sum: &mut [u64], a: &[u64], b: &[u64]) {
        let limbs = a.chunks_exact(self.degree()).zip(b.chunks_exact(self.degree()));
        threads::each(self.limbs(sum).zip(limbs), |((transform, sum), (a, b))| {
            transform.modulus().mul_add(sum, a, b);
        });
    }

    /// (a₀ + a₁ s)(b₀ + b₁ s), by powers of s.
    pub(crate) fn tensor(&self, [a0, a1]: [&[u64]; 2], [b0, b1]: [&[u64]; 2]) -> [Vec<u64>; 3] {
        let product = |a: &[u64], b: &[u64]| {
            let mut product = a.to_vec();
            self.each(&mut product, b, Modulus::mul_assign);
            product
        };
        let mut middle = product(a0, b1);
        self.add_products(&mut middle, a1, b0);
        [product(a0, b0), middle, product(a1, b1)]
    }
}

/// The tables of one set of parameters.
#[derive(Debug)]
pub struct Context {
    parameters: Parameters,
    base: Base,
    ids: Vec<ParametersId>,
    /// The inverse of modulus j modulo modulus i at `inverses[j][i]`; 0 for i = j.
    inverses: Vec<Vec<u64>>,
    orders: Mutex<BTreeMap<u64, Arc<[u32]>>>,
    /// Constants of switching, if several moduli are for keys.
    hybrid: Option<Hybrid>,
    /// Constants of BFV.
    integers: Option<Tables>,
}

impl Context {
    /// The tables of `parameters`.
    ///
    /// # Errors
    /// [`HeError::Rns`] if a modulus has no transform.
    pub fn new(parameters: Parameters) -> Result<Arc<Self>, HeError> {
        // A polynomial is up to some megabytes, and every operation makes new ones.
        keep_freed_memory();
        let degree = parameters.degree();
        let base = Base::new(parameters.moduli(), degree)?;
        let ids =
            (1..=parameters.moduli().len()).filter_map(|count| parameters.id(count)).collect();
        let inverse = |of: &Modulus| {
            let inverse = |at: &Modulus| at.inverse(at.reduce(of.value())).unwrap_or_default();
            parameters.moduli().iter().map(inverse).collect()
        };
        let inverses = parameters.moduli().iter().map(inverse).collect();
        let integers = match (parameters.scheme(), parameters.plain()) {
            (Scheme::Bfv, Some(plain)) => Some(Tables::new(&parameters, plain)?),
            _ => None,
        };
        let (orders, hybrid) = (Mutex::default(), Hybrid::new(&parameters));
        Ok(Arc::new(Self { parameters, base, ids, inverses, orders, hybrid, integers }))
    }

    /// The parameters.
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// N.
    pub const fn degree(&self) -> usize {
        self.parameters.degree()
    }

    /// The name of the level of so many moduli.
    pub fn id(&self, moduli: usize) -> Option<ParametersId> {
        moduli.checked_sub(1).and_then(|at| self.ids.get(at).copied())
    }

    /// How many moduli the level of this name has.
    pub fn moduli_of(&self, id: ParametersId) -> Option<usize> {
        self.ids.iter().position(|known| *known == id).map(|at| at + 1)
    }

    /// Whether another context is of the same parameters.
    pub(crate) fn same(&self, other: &Self) -> Result<(), HeError> {
        let same = std::ptr::eq(self, other) || self.ids == other.ids;
        if same { Ok(()) } else { Err(HeError::OtherParameters) }
    }

    pub(crate) fn modulus(&self, at: usize) -> Modulus {
        self.base.0[at].modulus()
    }

    pub(crate) fn transform(&self, at: usize) -> &Transform {
        &self.base.0[at]
    }

    /// The inverse of one modulus modulo another.
    pub(crate) fn inverse(&self, of: usize, at: usize) -> u64 {
        self.inverses[of][at]
    }

    /// The places of the moduli that are for keys only.
    ///
    /// # Errors
    /// [`HeError::Moduli`] if there is none.
    pub(crate) fn special(&self) -> Result<Range<usize>, HeError> {
        let all = self.base.0.len();
        match self.parameters.special() {
            0 => Err(HeError::Moduli { got: all, least: 2, most: crate::MAX_MODULI }),
            special => Ok(all - special..all),
        }
    }

    pub(crate) const fn hybrid(&self) -> Option<&Hybrid> {
        self.hybrid.as_ref()
    }

    /// The transforms of all moduli.
    pub(crate) const fn base(&self) -> &Base {
        &self.base
    }

    /// [`Base::limbs`].
    pub(crate) fn limbs<'a>(
        &'a self,
        words: &'a mut [u64],
    ) -> impl Iterator<Item = (&'a Transform, &'a mut [u64])> {
        self.base.limbs(words)
    }

    /// [`Base::each`].
    pub(crate) fn each(
        &self,
        ours: &mut [u64],
        theirs: &[u64],
        to: fn(Modulus, &mut [u64], &[u64]),
    ) {
        self.base.each(ours, theirs, to);
    }

    /// [`Base::add_products`].
    pub(crate) fn add_products(&self, sum: &mut [u64], a: &[u64], b: &[u64]) {
        self.base.add_products(sum, a, b);
    }

    /// The constants of BFV, if that is the scheme.
    pub(crate) fn integers(&self) -> Result<&Tables, HeError> {
        self.integers.as_ref().ok_or(HeError::Scheme { operation: "arithmetic of integers" })
    }

    /// Coefficients as integers of smallest magnitude, rounded to doubles.
    pub(crate) fn centred(&self, words: &[u64]) -> Vec<f64> {
        let moduli = words.len() / self.degree();
        let mut digits = vec![0; moduli];
        let coefficient = |at: usize| {
            // Digits to mixed radix (Garner 1959): Σ dᵢ q₀ … qᵢ₋₁.
            for i in 0..moduli {
                let modulus = self.modulus(i);
                let mut digit = words[i * self.degree() + at];
                for (j, earlier) in digits[..i].iter().enumerate() {
                    digit = modulus.sub(digit, modulus.reduce(*earlier));
                    digit = modulus.mul(digit, self.inverse(j, i));
                }
                digits[i] = digit;
            }
            self.smallest(&digits)
        };
        (0..self.degree()).map(coefficient).collect()
    }

    /// The number of smallest magnitude with these digits, modulo the product of their moduli.
    fn smallest(&self, digits: &[u64]) -> f64 {
        let last = digits.len().saturating_sub(1);
        let negative = digits.last().is_some_and(|digit| *digit > self.modulus(last).value() / 2);
        let (mut value, mut unit) = (0.0, 1.0);
        for (at, digit) in digits.iter().enumerate() {
            let modulus = self.modulus(at).value();
            // −1 − v has the digits q − 1 − d.
            let digit = if negative { modulus - 1 - digit } else { *digit };
            value += digit as f64 * unit;
            unit *= modulus as f64;
        }
        if negative { -1.0 - value } else { value }
    }

    /// Secrets or errors, of magnitudes below every modulus, modulo the first `moduli` moduli, transformed.
    pub(crate) fn lift_small(&self, coefficients: &[i64], moduli: usize) -> Vec<u64> {
        let mut words = vec![0; moduli * self.degree()];
        for (transform, limb) in self.limbs(&mut words) {
            let q = transform.modulus().value().cast_signed();
            for (word, coefficient) in limb.iter_mut().zip(coefficients) {
                *word = (coefficient + (q & (coefficient >> 63))).cast_unsigned();
            }
            transform.forward(limb);
        }
        words
    }

    /// Coefficients modulo the first `moduli` moduli, transformed.
    pub(crate) fn lift(&self, coefficients: &[i64], moduli: usize) -> Vec<u64> {
        let mut words = vec![0; moduli * self.degree()];
        for (transform, limb) in self.limbs(&mut words) {
            let modulus = transform.modulus();
            for (word, coefficient) in limb.iter_mut().zip(coefficients) {
                *word = modulus.reduce_signed(*coefficient);
            }
            transform.forward(limb);
        }
        words
    }

    /// Divides a transformed polynomial by the modulus at `at`, rounding: `kept` are its residues for
    /// the first moduli, `last` those for that one, which are used up.
    ///
    /// With r = (last + ⌊p/2⌋) mod p in coefficients: `kept` ← (kept − (r − ⌊p/2⌋)) p^−1.
    pub(crate) fn divide(&self, kept: &mut [u64], last: &mut [u64], at: usize) {
        let p = self.modulus(at);
        self.transform(at).inverse(last);
        let half = p.value() / 2;
        p.shift_assign(last, half);
        let last = &*last;
        self.subtract(
            kept,
            |to| self.inverses[at][to],
            |to, room| {
                let modulus = self.modulus(to);
                modulus.reduce_from(room, last, modulus.neg(modulus.reduce(half)), p.bits());
            },
        );
    }

    /// `kept` ← (kept − what `rest` writes) times a factor, both by place of the modulus.
    pub(crate) fn subtract(
        &self,
        kept: &mut [u64],
        factor: impl Fn(usize) -> u64 + Sync,
        rest: impl Fn(usize, &mut [u64]) + Sync,
    ) {
        threads::each(self.limbs(kept).enumerate(), |(to, (transform, limb))| {
            let modulus = transform.modulus();
            with_room(self.degree(), |room| {
                rest(to, room);
                transform.forward(room);
                modulus.sub_assign(limb, room);
            });
            modulus.scale(limb, factor(to));
        });
    }

    /// The Galois element of a rotation to the left by `steps` slots.
    ///
    /// # Errors
    /// [`HeError::Rotation`] unless |steps| < N/2.
    pub fn rotation(&self, steps: i64) -> Result<u64, HeError> {
        let limit = self.degree() / 2;
        if steps.unsigned_abs() >= limit as u64 {
            return Err(HeError::Rotation { got: steps, limit });
        }
        let order = limit as u64;
        let steps = if steps < 0 { order - steps.unsigned_abs() } else { steps.unsigned_abs() };
        let circle = 2 * self.degree() as u64;
        Ok((0..steps).fold(1, |element, _| element * GENERATOR % circle))
    }

    /// The Galois element of the conjugation: 2N − 1.
    pub const fn conjugation(&self) -> u64 {
        2 * self.degree() as u64 - 1
    }

    /// Where each slot of a transformed polynomial is taken from by X → X^element.
    pub(crate) fn order(&self, element: u64) -> Arc<[u32]> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(orders.entry(element).or_insert_with(|| order_of(element, self.degree())))
    }

    /// X → X^element on a transformed polynomial.
    pub(crate) fn permuted(&self, words: &[u64], element: u64) -> Vec<u64> {
        let (mut moved, order) = (vec![0; words.len()], self.order(element));
        let limbs = words.chunks_exact(self.degree()).zip(moved.chunks_exact_mut(self.degree()));
        threads::each(limbs, |(limb, moved)| permute(limb, &order, moved));
        moved
    }

    /// [`Context::permuted`] into `out`.
    pub(crate) fn permute(&self, words: &[u64], element: u64, out: &mut [u64]) {
        let order = self.order(element);
        let limbs = words.chunks_exact(self.degree()).zip(out.chunks_exact_mut(self.degree()));
        limbs.for_each(|(limb, out)| permute(limb, &order, out));
    }
}

fn permute(limb: &[u64], order: &[u32], out: &mut [u64]) {
    for (to, from) in out.iter_mut().zip(order) {
        *to = limb[*from as usize];
    }
}

thread_local! {
    /// Room that is kept from one computation to the next.
    static ROOM: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with so many words, which hold what an earlier computation left there.
pub(crate) fn with_room(words: usize, work: impl FnOnce(&mut [u64])) {
    let mut room = ROOM.take();
    if room.len() < words {
        room.resize(words, 0);
    }
    work(&mut room[..words]);
    ROOM.set(room);
}

/// Where slot j and slot N/2 + j are in a transformed polynomial: at ψ^(3^j) and at its inverse.
pub(crate) fn places(degree: usize) -> Vec<[u32; 2]> {
    let bits = degree.ilog2();
    let reverse = |at: u32| at.reverse_bits() >> (u32::BITS - bits);
    #[expect(clippy::cast_possible_truncation, reason = "a degree is at most 2^17")]
    let count = degree as u32;
    let mut exponent = 1;
    let place = |_| {
        let own = [exponent, 2 * count - exponent].map(|odd| reverse((odd - 1) / 2));
        exponent = exponent * 3 % (2 * count);
        own
    };
    (0..count / 2).map(place).collect()
}

/// Slot i holds the value at ψ^E, E = 2 rev(i) + 1; what comes there was at ψ^(g E).
fn order_of(element: u64, degree: usize) -> Arc<[u32]> {
    let bits = degree.ilog2();
    let reverse = |at: u32| at.reverse_bits() >> (u32::BITS - bits);
    #[expect(clippy::cast_possible_truncation, reason = "a degree is at most 2^17")]
    let (degree, element) = (degree as u32, (element % (2 * degree as u64)) as u32);
    let from = |at: u32| {
        let exponent = 2 * reverse(at) + 1;
        reverse((element.wrapping_mul(exponent) >> 1) & (degree - 1))
    };
    (0..degree).map(from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_automorphism_moves_coefficients_and_slots_alike() {
        let context = Context::new(Parameters::ckks(1024, &[27]).unwrap()).unwrap();
        let modulus = context.modulus(0);
        let coefficients: Vec<i64> = (0..1024).map(|at| at * 7 - 2000).collect();
        for element in [3, 9, context.conjugation(), context.rotation(-1).unwrap()] {
            let mut moved = vec![0_i64; 1024];
            for (at, coefficient) in (0_u64..).zip(&coefficients) {
                let to = at * element % 2048;
                let sign = if to >= 1024 { -1 } else { 1 };
                moved[to as usize % 1024] = sign * coefficient;
            }
            let expected = context.lift(&moved, 1);
            assert_eq!(context.permuted(&context.lift(&coefficients, 1), element), expected);
        }
        assert_eq!(context.rotation(2).unwrap(), 9);
        assert!(context.rotation(512).is_err());
        assert_eq!(modulus.bits(), 27);
    }

    #[test]
    fn a_division_rounds_to_the_nearest() {
        let context = Context::new(Parameters::ckks(2048, &[24, 26]).unwrap()).unwrap();
        let p = context.modulus(1).value().cast_signed();
        let values: Vec<i64> = (0..2048).map(|at| (at - 1024) * 100_001 + at % 7).collect();
        let mut words = context.lift(&values, 2);
        let (kept, last) = words.split_at_mut(2048);
        context.divide(kept, last, 1);
        let nearest: Vec<i64> = values.iter().map(|value| (value + p / 2).div_euclid(p)).collect();
        assert_eq!(kept, context.lift(&nearest, 1));
    }
}
