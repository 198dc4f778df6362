//! The ring scheme: keys, encryption, sums.

use nexus_field::rns::Modulus;
use nexus_types::borsh::{self, BorshSerialize};
use nexus_types::{Canonical, CryptoRng, Digest};
use zeroize::Zeroizing;

use super::{AdditiveError, AdditiveHe, Dealers, Layout, SeededSum, Sum, Terms};
use crate::context::Base;
use crate::sample::{MAX_ERROR, errors, seed, ternary};
use crate::seal::{SEED_BYTES, Seed};

/// Words that hold a coefficient modulo Q: 438 bits at most, and carries.
const WORDS: usize = 8;

/// Sums of vectors of certain terms, under ring-LWE.
#[derive(Debug)]
pub struct Ring {
    terms: Terms,
    layout: Layout,
    base: Base,
    digest: Digest,
    /// For each prime what a unit of each field weighs.
    weights: Vec<Vec<u64>>,
    /// For each prime: what makes all fields and the noise positive, before and after decryption.
    raised: Vec<[u64; 2]>,
    /// The inverse of prime j modulo prime i at `inverses[i][j]`, j < i.
    inverses: Vec<Vec<u64>>,
}

/// What decrypts: a ternary polynomial, or a sum of several.
#[expect(missing_debug_implementations, reason = "it must not be printed")]
pub struct SecretKey {
    pub(crate) id: Digest,
    pub(crate) words: Zeroizing<Vec<u64>>,
}

/// What encrypts: b and a with b + a·s small. The second grows from a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicKey {
    pub(crate) id: Digest,
    pub(crate) seed: Seed,
    pub(crate) a: Vec<u64>,
    pub(crate) b: Vec<u64>,
}

impl PublicKey {
    /// Its name, which every sum under it has.
    pub const fn id(&self) -> Digest {
        self.id
    }
}

/// Small signed numbers as residues.
fn lift(modulus: Modulus, small: &[i64], out: &mut [u64]) {
    let q = modulus.value();
    for (out, small) in out.iter_mut().zip(small) {
        *out = small.cast_unsigned().wrapping_add(q & (small >> 63).cast_unsigned());
    }
}

impl Ring {
    /// The scheme with the fewest bytes for these terms.
    ///
    /// # Errors
    /// [`AdditiveError::NoParameters`].
    pub fn new(terms: Terms) -> Result<Self, AdditiveError> {
        Self::with(terms, Dealers { count: 1, flooding: None })
    }

    pub(crate) fn with(terms: Terms, dealers: Dealers) -> Result<Self, AdditiveError> {
        let layout = Layout::new(&terms, dealers)?;
        let Layout { field, packed, shift, .. } = layout;
        let base = Base::new(layout.moduli(), layout.degree())?;
        let power = |modulus: &Modulus, exponent: u32| modulus.pow(2, exponent.into());
        let fields = || (0..packed).map(|at| shift + field * u32::try_from(at).unwrap_or(u32::MAX));
        let weights: Vec<Vec<u64>> = layout
            .moduli()
            .iter()
            .map(|modulus| fields().map(|at| power(modulus, at)).collect())
            .collect();
        let raise = |(modulus, weights): (&Modulus, &Vec<u64>)| {
            let all = weights.iter().fold(0, |all, weight| modulus.add(all, *weight));
            let before = modulus.mul(all, modulus.reduce(terms.bound()));
            let after = modulus.mul(all, power(modulus, field - 1));
            [
                modulus.add(before, u64::from(MAX_ERROR)),
                modulus.add(after, power(modulus, shift - 1)),
            ]
        };
        let raised = layout.moduli().iter().zip(&weights).map(raise).collect();
        let inverse = |(at, modulus): (usize, &Modulus)| {
            let earlier = layout.moduli()[..at].iter();
            earlier
                .map(|of| modulus.inverse(modulus.reduce(of.value())).unwrap_or_default())
                .collect()
        };
        let inverses = layout.moduli().iter().enumerate().map(inverse).collect();
        let digest = name(&terms, &layout)?;
        Ok(Self { terms, layout, base, digest, weights, raised, inverses })
    }

    /// Degree, primes and where values are.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The name of terms and layout.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) const fn terms_of(&self) -> &Terms {
        &self.terms
    }

    pub(crate) const fn base(&self) -> &Base {
        &self.base
    }

    /// Refuses a sum of other terms.
    pub(crate) fn own(&self, sum: &Sum) -> Result<(), AdditiveError> {
        let needed = 2 * self.layout.words() * self.layout.blocks;
        let own = sum.terms == self.digest && sum.words.len() == needed;
        if own { Ok(()) } else { Err(AdditiveError::OtherTerms) }
    }

    /// A small polynomial, transformed, for all primes.
    pub(crate) fn transformed(&self, small: &[i64]) -> Zeroizing<Vec<u64>> {
        let mut words = Zeroizing::new(vec![0; self.layout.words()]);
        for (transform, limb) in self.base.limbs(&mut words) {
            lift(transform.modulus(), small, limb);
            transform.forward(limb);
        }
        words
    }

    /// The uniform polynomial of a seed.
    pub(crate) fn uniform(&self, seed: Seed) -> Vec<u64> {
        seed.expand(self.layout.moduli(), self.layout.degree)
    }

    /// A fresh ternary secret, and −(a·s + e).
    pub(crate) fn half(
        &self,
        a: &[u64],
        rng: &mut dyn CryptoRng,
    ) -> (Zeroizing<Vec<u64>>, Vec<u64>) {
        let secret = self.transformed(&ternary(self.layout.degree, rng));
        let mut b = self.transformed(&errors(self.layout.degree, rng)).to_vec();
        self.base.add_products(&mut b, a, &secret);
        self.base.limbs(&mut b).for_each(|(it, limb)| it.modulus().neg_assign(limb));
        (secret, b)
    }

    /// The key of these polynomials.
    pub(crate) fn public(&self, seed: Seed, a: Vec<u64>, b: Vec<u64>) -> PublicKey {
        let mut bytes = self.digest.0.to_vec();
        bytes.extend(seed.bytes);
        bytes.extend(b.iter().flat_map(|word| word.to_le_bytes()));
        PublicKey { id: Digest::of("nexus/he/additive/key v1", &bytes), seed, a, b }
    }

    /// The bytes of a key.
    pub fn write_key(&self, key: &PublicKey) -> Vec<u8> {
        [self.digest.0.to_vec(), key.seed.bytes.to_vec(), self.packed(&key.b)].concat()
    }

    /// The key of these bytes.
    ///
    /// # Errors
    /// [`AdditiveError::Size`], [`AdditiveError::OtherTerms`], [`AdditiveError::Residue`]; [`AdditiveError::Key`] if
    /// what is encrypted with it is in the clear.
    pub fn read_key(&self, bytes: &[u8]) -> Result<PublicKey, AdditiveError> {
        let what = "a public key of these terms";
        let needed = 32 + SEED_BYTES + self.layout.polynomial_bytes();
        let size = AdditiveError::Size { what, got: bytes.len(), needed };
        if bytes.len() != needed {
            return Err(size);
        }
        let (terms, rest) = bytes.split_first_chunk::<32>().ok_or_else(|| size.clone())?;
        let (seed, b) = rest.split_first_chunk::<SEED_BYTES>().ok_or(size)?;
        if *terms != self.digest.0 {
            return Err(AdditiveError::OtherTerms);
        }
        let (b, seed) = (self.unpacked(what, b, 1)?, Seed::new(*seed));
        if b.iter().all(|word| *word == 0) {
            return Err(AdditiveError::Key { problem: "it is 0" });
        }
        Ok(self.public(seed, self.uniform(seed), b))
    }

    /// The values of one block and an error as vectors of words that are not negative.
    fn fields(&self, values: &[i64], error: &[i64]) -> Zeroizing<Vec<u64>> {
        let (degree, bound) = (self.layout.degree, self.terms.bound());
        let mut words = Zeroizing::new(vec![bound; degree * (self.layout.packed + 1)]);
        for (word, value) in words.iter_mut().zip(values) {
            *word = bound.wrapping_add_signed(*value);
        }
        for (word, error) in words[degree * self.layout.packed..].iter_mut().zip(error) {
            *word = u64::from(MAX_ERROR).wrapping_add_signed(*error);
        }
        words
    }

    /// Message and error of a block, transformed.
    fn message(&self, values: &[i64], rng: &mut dyn CryptoRng, out: &mut [u64]) {
        let degree = self.layout.degree;
        let fields = self.fields(values, &errors(degree, rng));
        let bits = (u64::BITS - (2 * self.terms.bound()).leading_zeros()).max(6);
        let limbs = self.base.limbs(out).zip(self.weights.iter().zip(&self.raised));
        for ((transform, limb), (weights, [raised, _])) in limbs {
            let modulus = transform.modulus();
            let weights = weights.iter().copied().chain([1]);
            let terms: Vec<(&[u64], u64)> = fields.chunks(degree).zip(weights).collect();
            modulus.weighted_sum(limb, &terms, bits);
            for word in limb.iter_mut() {
                *word = modulus.sub(*word, *raised);
            }
            transform.forward(limb);
        }
    }

    /// A vector, encrypted block by block.
    fn sealed(
        &self,
        key: Digest,
        values: &[i64],
        mut block: impl FnMut(&[i64], &mut [u64], &mut [u64]),
    ) -> Result<Sum, AdditiveError> {
        self.terms.check(values)?;
        let count = self.layout.words();
        let mut words = vec![0; 2 * count * self.layout.blocks];
        let parts = values.chunks(self.layout.degree * self.layout.packed);
        for (values, out) in parts.zip(words.chunks_mut(2 * count)) {
            let (c0, c1) = out.split_at_mut(count);
            block(values, c0, c1);
        }
        Ok(Sum { terms: self.digest, key, addends: 1, words })
    }

    /// Encrypts a vector with the secret key, which clients must share for it: half of the ciphertext is
    /// random and travels as a seed, but each of them could read the others' vectors.
    ///
    /// # Errors
    /// As [`AdditiveHe::encrypt`].
    pub fn encrypt_shared(
        &self,
        key: &SecretKey,
        values: &[i64],
        rng: &mut dyn CryptoRng,
    ) -> Result<SeededSum, AdditiveError> {
        self.has(&key.words)?;
        let mut seeds = Vec::with_capacity(self.layout.blocks);
        let sum = self.sealed(key.id, values, |values, c0, c1| {
            let seed = seed(rng);
            seeds.push(seed);
            c1.copy_from_slice(&self.uniform(seed));
            self.message(values, rng, c0);
            let mut product = Zeroizing::new(c1.to_vec());
            self.base.each(&mut product, &key.words, Modulus::mul_assign);
            self.base.each(c0, &product, Modulus::sub_assign);
        })?;
        Ok(SeededSum { sum, seeds })
    }

    /// Refuses a key of other terms.
    fn has(&self, words: &[u64]) -> Result<(), AdditiveError> {
        if words.len() == self.layout.words() { Ok(()) } else { Err(AdditiveError::OtherTerms) }
    }

    /// The values of a sum from the phases of its blocks, c₀ + c₁ s, transformed; `noise` is the largest that
    /// they can have.
    pub(crate) fn read_phases(
        &self,
        mut phases: Zeroizing<Vec<u64>>,
        addends: u32,
        noise: f64,
    ) -> Result<Zeroizing<Vec<i64>>, AdditiveError> {
        let (count, all) = (self.layout.words(), self.terms.values());
        let limit = self.terms.bound() * u64::from(addends);
        let mut values = Zeroizing::new(Vec::with_capacity(all));
        for phase in phases.chunks_mut(count) {
            self.positional(phase);
            let block = values.len();
            values.resize(block + self.layout.degree * self.layout.packed, 0);
            if !self.read_block_values(phase, &mut values[block..], limit, noise) {
                return Err(AdditiveError::Noise);
            }
        }
        let rest_is_zero = values[all..].iter().all(|value| *value == 0);
        values.truncate(all);
        if rest_is_zero { Ok(values) } else { Err(AdditiveError::Noise) }
    }

    /// Residues, transformed, to digits of mixed radix (Garner 1959), raised so that none is negative:
    /// Σ dᵢ q₀ … qᵢ₋₁.
    fn positional(&self, phase: &mut [u64]) {
        let degree = self.layout.degree;
        for ((transform, limb), [_, raised]) in self.base.limbs(phase).zip(&self.raised) {
            transform.inverse(limb);
            transform.modulus().shift_assign(limb, *raised);
        }
        let mut room = Zeroizing::new(vec![0; degree]);
        for (at, (modulus, inverses)) in self.layout.moduli.iter().zip(&self.inverses).enumerate() {
            let (earlier, limb) = phase.split_at_mut(at * degree);
            let limb = &mut limb[..degree];
            let earlier = earlier.chunks(degree).zip(&self.layout.moduli);
            for ((digits, own), inverse) in earlier.zip(inverses) {
                modulus.reduce_from(&mut room, digits, 0, own.bits());
                modulus.sub_assign(limb, &room);
                modulus.scale(limb, *inverse);
            }
        }
    }

    /// The fields of a block; false if one, or the noise, is out of range.
    fn read_block_values(&self, digits: &[u64], out: &mut [i64], limit: u64, noise: f64) -> bool {
        let Layout { degree, field, packed, shift, .. } = self.layout;
        let (half, centre) = (1_i64 << (field - 1), 2_f64.powi(shift.cast_signed() - 1));
        let end = shift as usize + packed * field as usize;
        let mut fine = true;
        for at in 0..degree {
            let number = self.number(digits, at);
            for (index, from) in (0..packed).zip((shift as usize..).step_by(field as usize)) {
                let value = part(&number, from, field).cast_signed() - half;
                fine &= value.unsigned_abs() <= limit;
                out[index * degree + at] = value;
            }
            // To 53 bits: the bound has a margin of a bit or so.
            fine &= (low(&number, shift) - centre).abs() <= noise * (1.0 + 1e-9);
            fine &= part(&number, end, 63) == 0 && number[WORDS - 1] == 0;
        }
        fine
    }

    /// The coefficient with these digits.
    fn number(&self, digits: &[u64], at: usize) -> [u64; WORDS] {
        let mut number = [0; WORDS];
        let limbs = digits.chunks(self.layout.degree).zip(&self.layout.moduli).rev();
        for (used, (limb, modulus)) in limbs.enumerate() {
            let mut carry = u128::from(limb[at]);
            for word in &mut number[..=used.min(WORDS - 1)] {
                let wide = u128::from(*word) * u128::from(modulus.value()) + carry;
                #[expect(clippy::cast_possible_truncation, reason = "the low word")]
                let low = wide as u64;
                (*word, carry) = (low, wide >> 64);
            }
        }
        number
    }
}

/// `count` bits, at most 63, from bit `from` on; above the number there are zeros.
fn part(number: &[u64; WORDS], from: usize, count: u32) -> u64 {
    let (at, by) = (from / 64, from % 64);
    let word = |at: usize| u128::from(number.get(at).copied().unwrap_or_default());
    let wide = (word(at) | word(at + 1) << 64) >> by;
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
    let low = wide as u64;
    low & ((1 << count) - 1)
}

/// The lowest `bits` bits, rounded.
fn low(number: &[u64; WORDS], bits: u32) -> f64 {
    let parts = (0..bits).step_by(32).map(|from| {
        let part = part(number, from as usize, (bits - from).min(32));
        part as f64 * 2_f64.powi(from.cast_signed())
    });
    parts.sum()
}

/// What is bound by the name of terms and layout.
#[derive(BorshSerialize)]
struct Name<'a> {
    terms: &'a Terms,
    degree: u64,
    moduli: Vec<u64>,
    places: [u32; 4],
}

fn name(terms: &Terms, layout: &Layout) -> Result<Digest, AdditiveError> {
    let moduli = layout.moduli.iter().map(|modulus| modulus.value()).collect();
    let packed = u32::try_from(layout.packed).unwrap_or(u32::MAX);
    let places = [layout.field, packed, layout.shift, layout.flood.unwrap_or(0)];
    let name = Name { terms, degree: layout.degree as u64, moduli, places };
    let bytes = borsh::to_vec(&name).map_err(|error| nexus_types::CodecError::Malformed {
        domain: <Named as Canonical>::DOMAIN,
        problem: error.to_string(),
    })?;
    Ok(Digest::of("nexus/he/additive/terms v1", &bytes))
}

/// Only its domain is used.
#[derive(BorshSerialize, borsh::BorshDeserialize)]
struct Named;

impl Canonical for Named {
    const DOMAIN: &'static str = "nexus/he/additive terms";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = 1 << 10;
}

impl AdditiveHe for Ring {
    type Secret = SecretKey;
    type Public = PublicKey;
    type Sum = Sum;

    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn generate(&self, rng: &mut dyn CryptoRng) -> Result<(SecretKey, PublicKey), AdditiveError> {
        let seed = seed(rng);
        let a = self.uniform(seed);
        let (words, b) = self.half(&a, rng);
        let public = self.public(seed, a, b);
        Ok((SecretKey { id: public.id, words }, public))
    }

    fn encrypt(
        &self,
        key: &PublicKey,
        values: &[i64],
        rng: &mut dyn CryptoRng,
    ) -> Result<Sum, AdditiveError> {
        self.has(&key.b)?;
        let degree = self.layout.degree;
        let mut mask = Zeroizing::new(vec![0; degree]);
        self.sealed(key.id, values, |values, c0, c1| {
            let (small, error) = (ternary(degree, rng), errors(degree, rng));
            self.message(values, rng, c0);
            let keys = key.b.chunks(degree).zip(key.a.chunks(degree));
            let limbs = self.base.limbs(c0).zip(c1.chunks_mut(degree)).zip(keys);
            for (((transform, c0), c1), (b, a)) in limbs {
                let modulus = transform.modulus();
                lift(modulus, &small, &mut mask);
                transform.forward(&mut mask);
                lift(modulus, &error, c1);
                transform.forward(c1);
                modulus.mul_add(c0, &mask, b);
                modulus.mul_add(c1, &mask, a);
            }
        })
    }

    fn add(&self, sum: &mut Sum, other: &Sum) -> Result<(), AdditiveError> {
        self.add_all(sum, std::slice::from_ref(other))
    }

    /// A limb of the sum stays in the cache while that of every other is added: memory is read once for each
    /// of them, and once for the sum. After an error the sum is as it was.
    fn add_all(&self, sum: &mut Sum, others: &[Sum]) -> Result<(), AdditiveError> {
        self.own(sum)?;
        let mut addends = sum.addends;
        for other in others {
            self.own(other)?;
            if sum.key != other.key {
                return Err(AdditiveError::OtherKey);
            }
            addends = self.terms.together(addends, other.addends)?;
        }
        let degree = self.layout.degree;
        let moduli = self.layout.moduli.iter().cycle();
        for (at, (words, modulus)) in sum.words.chunks_mut(degree).zip(moduli).enumerate() {
            for other in others {
                modulus.add_assign(words, &other.words[at * degree..(at + 1) * degree]);
            }
        }
        sum.addends = addends;
        Ok(())
    }

    fn decrypt(&self, key: &SecretKey, sum: &Sum) -> Result<Zeroizing<Vec<i64>>, AdditiveError> {
        self.own(sum)?;
        self.has(&key.words)?;
        if sum.key != key.id {
            return Err(AdditiveError::OtherKey);
        }
        let count = self.layout.words();
        let mut phases = Zeroizing::new(vec![0; count * self.layout.blocks]);
        for (phase, block) in phases.chunks_mut(count).zip(sum.words.chunks(2 * count)) {
            let (c0, c1) = block.split_at(count);
            phase.copy_from_slice(c0);
            self.base.add_products(phase, c1, &key.words);
        }
        self.read_phases(phases, sum.addends, self.layout.noise)
    }

    fn addends(&self, sum: &Sum) -> u32 {
        sum.addends
    }

    fn write(&self, sum: &Sum) -> Result<Vec<u8>, AdditiveError> {
        self.write_sum(sum)
    }

    fn read(&self, bytes: &[u8]) -> Result<Sum, AdditiveError> {
        self.read_sum(bytes)
    }

    fn bytes(&self) -> usize {
        self.sizes()[0]
    }
}
