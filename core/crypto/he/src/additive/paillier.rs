//! Paillier's scheme (1999) with N of 3072 bits, over the crate `fast-paillier` with its backend
//! `num-bigint`: several values in a plaintext, each in a field that holds its largest sum.
//!
//! It is here because it is the classic one: exact, without parameters to choose, and thousands of times
//! slower than the ring, whose sums it has nothing to set against. Its arithmetic takes time that
//! depends on keys and coins: not for machines that others share. It falls to quantum computers.

use std::fmt;

use fast_paillier::backend::Integer;
use fast_paillier::{DecryptionKey, EncryptionKey};
use nexus_types::borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::{Canonical, CryptoRng};
use zeroize::Zeroizing;

use super::{AdditiveError, AdditiveHe, Terms};

/// Bits of a prime.
const PRIME_BITS: u32 = 1536;
/// Bytes of N, and of a ciphertext.
const KEY_BYTES: usize = 384;
const CIPHERTEXT_BYTES: usize = 2 * KEY_BYTES;
/// Bits of a plaintext that is surely below N/2.
const PLAIN_BITS: u32 = 2 * PRIME_BITS - 3;

/// Sums of vectors of certain terms, under Paillier's scheme.
#[derive(Clone, Copy, Debug)]
pub struct Paillier {
    terms: Terms,
    packed: usize,
}

/// What decrypts: the primes.
#[expect(missing_debug_implementations, reason = "it must not be printed")]
pub struct PaillierSecret(DecryptionKey);

/// What encrypts: N.
#[derive(Clone, Debug)]
pub struct PaillierPublic(EncryptionKey);

/// An encrypted vector, or the sum of several.
#[derive(Clone)]
pub struct PaillierSum {
    terms: Terms,
    key: EncryptionKey,
    addends: u32,
    ciphertexts: Vec<Integer>,
}

impl fmt::Debug for PaillierSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaillierSum").field("addends", &self.addends).finish_non_exhaustive()
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Header {
    terms: Terms,
    addends: u32,
    key: [u8; KEY_BYTES],
}

const HEADER_BYTES: usize = 8 + 20 + 4 + KEY_BYTES;

impl Canonical for Header {
    const DOMAIN: &'static str = "nexus/he/additive paillier sum";
    const VERSION: u8 = 1;
    const MAX_BYTES: usize = HEADER_BYTES;
}

/// The generator as the crate wants it.
struct Old<'a>(&'a mut dyn CryptoRng);

impl rand_core_06::RngCore for Old<'_> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.0.fill_bytes(out);
        Ok(())
    }
}

impl rand_core_06::CryptoRng for Old<'_> {}

fn bytes_of<const N: usize>(number: &Integer) -> [u8; N] {
    let mut out = [0; N];
    for (out, byte) in out.iter_mut().zip(number.to_bytes_lsf()) {
        *out = byte;
    }
    out
}

fn number_of(bytes: &[u8]) -> Integer {
    let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    Integer::from_bytes_msf(&reversed)
}

/// The key of these bytes, which are an odd number of 3071 or 3072 bits.
fn key_of(bytes: &[u8; KEY_BYTES]) -> Result<EncryptionKey, AdditiveError> {
    let fits = bytes[0] & 1 == 1 && bytes[KEY_BYTES - 1] >= 0x40;
    if !fits {
        return Err(AdditiveError::Key { problem: "N is no odd number of 3072 bits" });
    }
    Ok(EncryptionKey::from_n(number_of(bytes)))
}

impl Paillier {
    /// The scheme for these terms.
    ///
    /// # Errors
    /// None today: any field fits a plaintext.
    pub fn new(terms: Terms) -> Result<Self, AdditiveError> {
        let packed = (PLAIN_BITS / terms.field()) as usize;
        Ok(Self { terms, packed })
    }

    /// Values in a plaintext.
    pub const fn packed(&self) -> usize {
        self.packed
    }

    fn ciphertexts(&self) -> usize {
        self.terms.values().div_ceil(self.packed)
    }

    /// Raised values one after the other, lowest bits first.
    fn plaintext(&self, values: &[i64]) -> Integer {
        let mut bytes = Zeroizing::new(vec![0_u8; KEY_BYTES + 16]);
        let field = self.terms.field() as usize;
        for (from, value) in (0..).step_by(field).zip(values) {
            let raised = u128::from(self.terms.bound().wrapping_add_signed(*value)) << (from % 8);
            for (out, byte) in bytes[from / 8..].iter_mut().zip(raised.to_le_bytes()) {
                *out |= byte;
            }
        }
        number_of(&bytes)
    }

    /// The values of a plaintext, and whether they are possible.
    fn values(&self, plain: &Integer, addends: u32, out: &mut Vec<i64>) -> bool {
        let field = self.terms.field() as usize;
        let bytes = Zeroizing::new(bytes_of::<{ KEY_BYTES + 16 }>(plain));
        let raised = self.terms.bound().cast_signed() * i64::from(addends);
        let mut fine = plain.significant_bits() <= (field * self.packed) as u64;
        for from in (0..).step_by(field).take(self.packed) {
            let wide = bytes[from / 8..].first_chunk().copied().map_or(0, u128::from_le_bytes);
            #[expect(clippy::cast_possible_truncation, reason = "the low bits are meant")]
            let value = ((wide >> (from % 8)) as u64 & ((1 << field) - 1)).cast_signed() - raised;
            fine &= value.abs() <= raised;
            out.push(value);
        }
        fine
    }

    fn own(&self, sum: &PaillierSum) -> Result<(), AdditiveError> {
        if sum.terms == self.terms { Ok(()) } else { Err(AdditiveError::OtherTerms) }
    }
}

impl AdditiveHe for Paillier {
    type Secret = PaillierSecret;
    type Public = PaillierPublic;
    type Sum = PaillierSum;

    fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Takes seconds: two primes of 1536 bits.
    fn generate(
        &self,
        rng: &mut dyn CryptoRng,
    ) -> Result<(PaillierSecret, PaillierPublic), AdditiveError> {
        let mut rng = Old(rng);
        let [p, q] = [(); 2].map(|()| Integer::generate_prime(&mut rng, PRIME_BITS));
        let secret = DecryptionKey::from_primes(p, q)
            .map_err(|_| AdditiveError::Key { problem: "the primes are not possible" })?;
        let public = EncryptionKey::from_n(secret.n().clone());
        key_of(&bytes_of(public.n()))?;
        Ok((PaillierSecret(secret), PaillierPublic(public)))
    }

    fn encrypt(
        &self,
        key: &PaillierPublic,
        values: &[i64],
        rng: &mut dyn CryptoRng,
    ) -> Result<PaillierSum, AdditiveError> {
        self.terms.check(values)?;
        let mut rng = Old(rng);
        let seal = |values: &[i64]| {
            let mut values = Zeroizing::new(values.to_vec());
            values.resize(self.packed, 0);
            let sealed = key.0.encrypt_with_random(&mut rng, &self.plaintext(&values));
            sealed.map(|(ciphertext, _)| ciphertext).map_err(|_| AdditiveError::Noise)
        };
        let ciphertexts = values.chunks(self.packed).map(seal).collect::<Result<_, _>>()?;
        Ok(PaillierSum { terms: self.terms, key: key.0.clone(), addends: 1, ciphertexts })
    }

    fn add(&self, sum: &mut PaillierSum, other: &PaillierSum) -> Result<(), AdditiveError> {
        self.own(sum)?;
        self.own(other)?;
        if sum.key.n() != other.key.n() {
            return Err(AdditiveError::OtherKey);
        }
        let addends = self.terms.together(sum.addends, other.addends)?;
        let pairs = sum.ciphertexts.iter().zip(&other.ciphertexts);
        let added = pairs.map(|(ours, theirs)| sum.key.oadd(ours, theirs));
        sum.ciphertexts =
            added.collect::<Result<_, _>>().map_err(|_| AdditiveError::Transparent)?;
        sum.addends = addends;
        Ok(())
    }

    fn decrypt(
        &self,
        key: &PaillierSecret,
        sum: &PaillierSum,
    ) -> Result<Zeroizing<Vec<i64>>, AdditiveError> {
        self.own(sum)?;
        if key.0.n() != sum.key.n() {
            return Err(AdditiveError::OtherKey);
        }
        let mut values = Zeroizing::new(Vec::with_capacity(sum.ciphertexts.len() * self.packed));
        for ciphertext in &sum.ciphertexts {
            let plain = key.0.decrypt(ciphertext).map_err(|_| AdditiveError::Noise)?;
            let whole = plain >= Integer::zero();
            if !(whole && self.values(&plain, sum.addends, &mut values)) {
                return Err(AdditiveError::Noise);
            }
        }
        let all = self.terms.values();
        let rest_is_zero = values[all..].iter().all(|value| *value == 0);
        values.truncate(all);
        if rest_is_zero { Ok(values) } else { Err(AdditiveError::Noise) }
    }

    fn addends(&self, sum: &PaillierSum) -> u32 {
        sum.addends
    }

    fn write(&self, sum: &PaillierSum) -> Result<Vec<u8>, AdditiveError> {
        self.own(sum)?;
        let key = bytes_of(sum.key.n());
        let mut out = Header { terms: sum.terms, addends: sum.addends, key }.encode()?;
        for ciphertext in &sum.ciphertexts {
            out.extend(bytes_of::<CIPHERTEXT_BYTES>(ciphertext));
        }
        Ok(out)
    }

    fn read(&self, bytes: &[u8]) -> Result<PaillierSum, AdditiveError> {
        let (got, needed) = (bytes.len(), self.bytes());
        if got != needed {
            return Err(AdditiveError::Size { what: "a sum of these terms", got, needed });
        }
        let (head, body) = bytes.split_at(HEADER_BYTES);
        let Header { terms, addends, key } = Header::decode(head)?;
        if terms != self.terms {
            return Err(AdditiveError::OtherTerms);
        }
        self.terms.together(addends, 0)?;
        let key = key_of(&key)?;
        let ciphertexts: Vec<Integer> = body.chunks(CIPHERTEXT_BYTES).map(number_of).collect();
        let one = Integer::one();
        for (index, ciphertext) in ciphertexts.iter().enumerate() {
            if ciphertext >= key.nn() {
                return Err(AdditiveError::Range { index });
            }
            if *ciphertext <= one {
                return Err(AdditiveError::Transparent);
            }
        }
        Ok(PaillierSum { terms, key, addends, ciphertexts })
    }

    fn bytes(&self) -> usize {
        HEADER_BYTES + self.ciphertexts() * CIPHERTEXT_BYTES
    }
}
