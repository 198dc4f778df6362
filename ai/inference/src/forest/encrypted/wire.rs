//! What client and server send each other.
//!
//! Keys and answers are `tfhe`'s objects, read with its limits and its checks of conformance. These
//! checks leave out seeds, and a seed that says to begin where no block of its generator is makes the
//! reader panic. So seeds of keys are looked at here, and a row is no object but a seed and words,
//! which are a ciphertext whatever they are.

use std::mem::discriminant;

use nexus_types::CryptoRng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tfhe::core_crypto::commons::math::random::CompressionSeed;
use tfhe::core_crypto::prelude::{
    LweCiphertext, PlaintextList, SeededLweCiphertextList, encrypt_seeded_lwe_ciphertext_list,
};
use tfhe::integer::{self, RadixCiphertext};
use tfhe::named::Named;
use tfhe::prelude::ParameterSetConformant;
use tfhe::safe_serialization::{safe_deserialize_conformant, safe_serialize};
use tfhe::shortint::atomic_pattern::compressed::CompressedAtomicPatternServerKey;
use tfhe::shortint::parameters::{
    CiphertextConformanceParams, ClassicPBSParameters,
    PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128,
};
use tfhe::shortint::server_key::ShortintCompressedBootstrappingKey;
use tfhe::shortint::{Ciphertext, ClientKey};
use tfhe::{CompressedServerKey, Config, ConfigBuilder, Seed, Seeder, Unversionize, Versionize};

use super::super::ForestError;
use super::super::error::within;

/// What `tfhe` takes unless told: 128 bits of security, and a wrong look-up with probability 2^-128.
const PARAMETERS: ClassicPBSParameters = PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128;
/// Bits of a number that one ciphertext holds.
pub(super) const DIGIT_BITS: u32 = 2;
/// What 1 is multiplied by: below it is noise, above it 2 bits of message, 2 of carry, one empty.
const STEP: u64 = 1 << 59;
/// Ciphertexts of a number of eight bits.
const DIGITS: usize = (u8::BITS / DIGIT_BITS) as usize;
/// Bytes of a seed.
const SEED_BYTES: usize = 16;
/// Bytes of a word.
const WORD_BYTES: usize = 8;
/// The most bytes of a server key.
pub(super) const KEY_BYTES: usize = 64 << 20;
/// The most bytes of a digit of an answer.
pub(super) const DIGIT_BYTES: usize = 32 << 10;

pub(super) fn config() -> Config {
    ConfigBuilder::with_custom_parameters(PARAMETERS).build()
}

/// What every fresh ciphertext says of itself.
pub(super) fn fresh() -> CiphertextConformanceParams {
    PARAMETERS.to_shortint_conformance_param()
}

/// How many ciphertexts a number up to `largest` takes.
pub(super) fn digits(largest: usize) -> usize {
    (largest.max(1).ilog2() / DIGIT_BITS + 1) as usize
}

/// The seeds that `tfhe` asks for, from a generator of ours.
pub(super) struct Seeds<'a>(pub(super) &'a mut dyn CryptoRng);

impl Seeder for Seeds<'_> {
    fn seed(&mut self) -> Seed {
        let mut bytes = [0; SEED_BYTES];
        self.0.fill_bytes(&mut bytes);
        Seed(u128::from_le_bytes(bytes))
    }

    fn is_available() -> bool {
        true
    }
}

/// A row, encrypted: the seed of all masks, then for each two bits of each number, lowest first, the
/// last word of a ciphertext.
pub(super) fn write_row(row: &[u8], key: &ClientKey, rng: &mut dyn CryptoRng) -> Vec<u8> {
    let places = (0..u8::BITS).step_by(DIGIT_BITS as usize);
    let digits = |number: u8| places.clone().map(move |at| u64::from((number >> at) & 3) * STEP);
    let plain = row.iter().flat_map(|number| digits(*number));
    let plain = PlaintextList::from_container(plain.collect::<Vec<u64>>());
    let mut seeds = Seeds(rng);
    let seed = seeds.seed();
    let mut list = seeded(seed, vec![0; row.len() * DIGITS]);
    let (secret, noise) = key.encryption_key_and_noise();
    encrypt_seeded_lwe_ciphertext_list(&secret, &mut list, &plain, noise, &mut seeds);
    let words = list.into_container().into_iter().flat_map(u64::to_le_bytes);
    seed.0.to_le_bytes().into_iter().chain(words).collect()
}

/// An encrypted row of so many numbers.
pub(super) fn read_row(bytes: &[u8], count: usize) -> Result<Vec<RadixCiphertext>, ForestError> {
    let (got, limit) = (bytes.len(), SEED_BYTES + count * DIGITS * WORD_BYTES);
    let seed = bytes.first_chunk().filter(|_| got == limit);
    let seed = seed.ok_or(ForestError::Bytes { what: "a question", got, limit })?;
    let (words, _) = bytes[SEED_BYTES..].as_chunks();
    let words = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let list =
        seeded(Seed(u128::from_le_bytes(*seed)), words).decompress_into_lwe_ciphertext_list();
    let (size, modulus, it) = (list.lwe_size().0, list.ciphertext_modulus(), fresh());
    let digit = |words: &[u64]| {
        let digit = LweCiphertext::from_container(words.to_vec(), modulus);
        let (degree, noise) = (it.degree, it.noise_level);
        Ciphertext::new(
            digit,
            degree,
            noise,
            it.message_modulus,
            it.carry_modulus,
            it.atomic_pattern,
        )
    };
    let number = |words: &[u64]| {
        RadixCiphertext::from(words.chunks_exact(size).map(digit).collect::<Vec<_>>())
    };
    Ok(list.into_container().chunks_exact(size * DIGITS).map(number).collect())
}

/// Ciphertexts of these last words, all else of which follows from a seed.
fn seeded(seed: Seed, words: Vec<u64>) -> SeededLweCiphertextList<Vec<u64>> {
    let it = fresh().ct_params;
    let size = it.lwe_dim.to_lwe_size();
    SeededLweCiphertextList::from_container(words, size, seed.into(), it.ct_modulus)
}

/// A client's server key.
pub(super) fn read_keys(bytes: &[u8]) -> Result<integer::ServerKey, ForestError> {
    let read = read_all(bytes, 1, ("keys", KEY_BYTES), &config().into())?;
    let refused = || object("keys", "their seeds are not as fresh ones are");
    let key: CompressedServerKey = read.into_iter().next().ok_or_else(refused)?;
    let key = key.into_raw_parts().0.into_raw_parts();
    let CompressedAtomicPatternServerKey::Standard(parts) = &key.compressed_ap_server_key else {
        return Err(refused());
    };
    let ShortintCompressedBootstrappingKey::Classic { bsk, .. } = parts.bootstrapping_key() else {
        return Err(refused());
    };
    if [parts.key_switching_key().compression_seed(), bsk.compression_seed()].iter().all(is_usual) {
        return Ok(integer::CompressedServerKey::from_raw_parts(key).decompress());
    }
    Err(refused())
}

/// Whether a seed is the key of a block cipher that begins with its first block.
pub(super) fn is_usual(seed: &CompressionSeed) -> bool {
    let usual = CompressionSeed::from(Seed(0));
    seed.inner.first_index == usual.inner.first_index
        && discriminant(&seed.inner.seed) == discriminant(&usual.inner.seed)
}

/// Objects one after the other, each of at most `limit` bytes.
pub(super) fn write_all<T: Serialize + Versionize + Named>(
    objects: &[T],
    (what, limit): (&'static str, usize),
) -> Result<Vec<u8>, ForestError> {
    let mut bytes = Vec::new();
    for it in objects {
        safe_serialize(it, &mut bytes, limit as u64).map_err(|problem| object(what, &problem))?;
    }
    Ok(bytes)
}

/// So many objects one after the other, each of at most `limit` bytes and as expected, and nothing behind.
pub(super) fn read_all<T: DeserializeOwned + Unversionize + Named + ParameterSetConformant>(
    mut bytes: &[u8],
    count: usize,
    (what, limit): (&'static str, usize),
    expected: &T::ParameterSet,
) -> Result<Vec<T>, ForestError> {
    within(what, bytes.len(), count * limit)?;
    let read = |_| safe_deserialize_conformant(&mut bytes, limit as u64, expected);
    let objects = (0..count).map(read).collect::<Result<_, _>>();
    let objects = objects.map_err(|problem| object(what, &problem))?;
    if bytes.is_empty() { Ok(objects) } else { Err(object(what, "there are bytes behind it")) }
}

fn object(what: &'static str, problem: &(impl ToString + ?Sized)) -> ForestError {
    ForestError::Object { what, problem: problem.to_string() }
}
