//! Bytes that are refused, each for its reason, and bytes by chance.

use std::io::Write as _;
use std::sync::OnceLock;

use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::Parameters;
use crate::seal::{
    self, Ciphertext, Context, Encoding, GaloisKeys, Limits, Mode, Plaintext, PublicKey, RelinKeys,
    SealError, SecretKey, Version,
};

const RESULT: &[u8] = include_bytes!("../../../../../../vectors/seal/seal443_ckks_result.bin");
const PARAMETERS: &[u8] = include_bytes!("../../../../../../vectors/seal/seal443_ckks_params.bin");
const RELIN: &[u8] = include_bytes!("../../../../../../vectors/seal/seal443_ckks_relin_keys.bin");
const FRESH: &[u8] = include_bytes!("../../../../../../vectors/seal/seal443_ckks_ciphertext.bin");
const PLAIN: Encoding = Encoding { version: Version { major: 4, minor: 4 }, mode: Mode::None };

/// Where the fields of an uncompressed ciphertext of SEAL 4.4 are.
const FLAG: usize = 48;
const POLYNOMIALS: usize = 49;
const DEGREE: usize = 57;
const LIMBS: usize = 65;
const SCALE: usize = 73;
const CORRECTION: usize = 81;
const ARRAY: usize = 89;
const COUNT: usize = 105;
const WORDS: usize = 113;
const ONE: usize = 4096;

fn context() -> Context {
    Context::new(seal::read_parameters(PARAMETERS).unwrap())
}

fn put(bytes: &mut [u8], at: usize, word: u64) {
    bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

fn get(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn add(bytes: &mut [u8], at: usize, more: u64) {
    put(bytes, at, get(bytes, at).wrapping_add(more));
}

/// That it is refused for the reason with this name.
#[track_caller]
fn is_refused<T>(result: Result<T, SealError>, why: &str, case: &str) {
    let got = format!("{:?}", result.err());
    let reason = got.strip_prefix("Some(").unwrap_or(&got);
    assert!(reason.starts_with(why), "{case}: {got} and not {why}");
}

type Case = (&'static str, &'static str, fn(&mut Vec<u8>));

/// As SEAL 4.4.3 does with the same changes of the same file.
const REFUSED_BY_SEAL: &[Case] = &[
    ("magic", "Magic", |it| it[0] = 0),
    ("size of the header", "HeaderSize", |it| it[2] = 8),
    ("mode", "Mode", |it| it[5] = 3),
    ("a size of 2^62", "Beyond", |it| put(it, 8, 1 << 62)),
    ("two bytes more than there are", "Beyond", |it| add(it, 8, 2)),
    ("cut off", "Beyond", |it| it.truncate(30_000)),
    ("a header alone", "Beyond", |it| it.truncate(16)),
    ("half a header", "Truncated", |it| it.truncate(9)),
    ("a size of 15", "SmallFrame", |it| put(it, 8, 15)),
    ("8 bytes too few", "Beyond", |it| add(it, 8, 8_u64.wrapping_neg())),
    ("2 bytes behind the words, counted", "LongFrame", |it| {
        it.extend([0; 2]);
        add(it, 8, 2);
    }),
    ("3.3", "Version", |it| it[3..5].copy_from_slice(&[3, 3])),
    ("4.5", "NewerVersion", |it| it[4] = 5),
    ("5.0", "Version", |it| it[3..5].copy_from_slice(&[5, 0])),
    ("3.3 within", "Version", |it| it[ARRAY + 3..ARRAY + 5].copy_from_slice(&[3, 3])),
    ("4.5 within", "NewerVersion", |it| it[ARRAY + 4] = 5),
    ("5.0 within", "Version", |it| it[ARRAY + 3] = 5),
    ("an inner size of 2^62", "Beyond", |it| put(it, ARRAY + 8, 1 << 62)),
    ("an inner size of 8 too few", "Truncated", |it| add(it, ARRAY + 8, 8_u64.wrapping_neg())),
    ("an unknown level", "Level", |it| it[20] ^= 1),
    ("the level of keys", "KeyLevel", |it| {
        it[16..48].copy_from_slice(&context().key_level().id.0);
    }),
    ("degree", "Degree", |it| put(it, DEGREE, 2048)),
    ("primes", "Limbs", |it| put(it, LIMBS, 2)),
    ("no polynomial", "Polynomials", |it| put(it, POLYNOMIALS, 0)),
    ("1 polynomial", "Polynomials", |it| put(it, POLYNOMIALS, 1)),
    ("17 polynomials", "Polynomials", |it| put(it, POLYNOMIALS, 17)),
    ("2^63 polynomials", "Polynomials", |it| put(it, POLYNOMIALS, 1 << 63)),
    ("3 polynomials, words of 2", "Count", |it| put(it, POLYNOMIALS, 3)),
    ("a word more", "Count", |it| add(it, COUNT, 1)),
    ("a word less", "Count", |it| add(it, COUNT, u64::MAX)),
    ("no words", "Count", |it| put(it, COUNT, 0)),
    ("2^61 words", "Count", |it| put(it, COUNT, 1 << 61)),
    ("words of one polynomial and no seed", "LongFrame", |it| put(it, COUNT, ONE as u64)),
    ("the same, and nothing more", "Truncated", |it| {
        put(it, COUNT, ONE as u64);
        it.truncate(WORDS + 8 * ONE);
        put(it, ARRAY + 8, 24 + 8 * ONE as u64);
        let size = it.len() as u64;
        put(it, 8, size);
    }),
    ("a word that is its prime", "Word", |it| put(it, WORDS, 68_719_230_977)),
    ("a word of 64 ones", "Word", |it| put(it, WORDS + 80, u64::MAX)),
    ("the mark of a seed", "Word", |it| put(it, WORDS + 8 * ONE, u64::MAX)),
    ("scale: no number", "Scale", |it| put(it, SCALE, f64::NAN.to_bits())),
    ("scale: infinite", "Scale", |it| put(it, SCALE, f64::INFINITY.to_bits())),
    ("scale: negative", "Scale", |it| put(it, SCALE, (-1_f64).to_bits())),
    ("scale: 0", "Scale", |it| put(it, SCALE, 0)),
    ("scale: 5e-324", "Scale", |it| put(it, SCALE, 1)),
    ("correction of 0", "Correction", |it| put(it, CORRECTION, 0)),
    ("correction of 2", "Correction", |it| put(it, CORRECTION, 2)),
];

/// What SEAL 4.4.3 loads.
const REFUSED_HERE_ONLY: &[Case] = &[
    ("bytes after it", "Trailing", |it| it.extend([1, 2])),
    ("reserved field", "Reserved", |it| it[6] = 1),
    ("reserved field within", "Reserved", |it| it[ARRAY + 7] = 1),
    ("a scale of 1e300", "LargeScale", |it| put(it, SCALE, 1e300_f64.to_bits())),
    ("a flag of 2", "Flag", |it| it[FLAG] = 2),
    ("not transformed", "Form", |it| it[FLAG] = 0),
    ("transparent", "Transparent", |it| it[WORDS + 8 * ONE..].fill(0)),
];

#[test]
fn changed_ciphertexts_are_refused_for_their_reasons() {
    let context = context();
    assert!(Ciphertext::read(RESULT, &context).is_ok());
    for (case, why, change) in REFUSED_BY_SEAL.iter().chain(REFUSED_HERE_ONLY) {
        let mut bytes = RESULT.to_vec();
        change(&mut bytes);
        is_refused(Ciphertext::read(&bytes, &context), why, case);
    }
}

#[test]
fn what_seal_accepts_otherwise_is_accepted() {
    let context = context();
    let expected = Ciphertext::read(RESULT, &context).unwrap();
    let mut bytes = RESULT.to_vec();
    bytes[ARRAY + 3..ARRAY + 5].copy_from_slice(&[3, 7]);
    assert_eq!(Ciphertext::read(&bytes, &context).unwrap(), expected);
    bytes.extend_from_slice(RESULT);
    let (first, rest) = Ciphertext::read_first(&bytes, &context).unwrap();
    assert!(first == expected && rest == RESULT);
    for version in [Version { major: 3, minor: 4 }, Version::WIDELY_READ] {
        let bytes = expected.write(&context, Encoding { version, mode: Mode::Zlib }).unwrap();
        assert_eq!(Ciphertext::read(&bytes, &context).unwrap(), expected);
    }
}

#[test]
fn seeds_are_refused_where_they_have_no_place() {
    let context = context();
    let fresh = Ciphertext::read(FRESH, &context).unwrap();
    let bytes = fresh.write(&context, PLAIN).unwrap();
    let generator = WORDS + 8 * fresh.words.len() + 16;
    for (case, why, at, value) in [
        ("generator 0", "Generator", generator, 0),
        ("generator 3", "Generator", generator, 3),
        ("a seed for 3", "Seeded", POLYNOMIALS, 3),
    ] {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        is_refused(Ciphertext::read(&bytes, &context), why, case);
    }
    let cut = |left: usize| {
        let mut bytes = bytes[..left].to_vec();
        put(&mut bytes, 8, left as u64);
        bytes
    };
    is_refused(Ciphertext::read(&cut(generator - 16), &context), "Truncated", "no seed");
    is_refused(Ciphertext::read(&cut(generator + 30), &context), "Beyond", "half a seed");
    for version in [Version { major: 3, minor: 4 }, Version { major: 3, minor: 5 }] {
        let mut bytes =
            fresh.write(&context, Encoding { version: Version::WIDELY_READ, ..PLAIN }).unwrap();
        bytes[4] = version.minor;
        is_refused(Ciphertext::read(&bytes, &context), "OldSeed", "an old seed");
    }
}

fn framed(mode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x5e, 0xa1, 16, 4, 4, mode, 0, 0];
    bytes.extend_from_slice(&(payload.len() as u64 + 16).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn zlib(payload: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(payload, 6)
}

fn zstd(payload: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(payload, 3).unwrap()
}

#[test]
fn nothing_stands_behind_a_compressed_object() {
    let context = context();
    let payload = &RESULT[16..];
    let with_zeros = [payload, &vec![0; 1 << 24]].concat();
    for (mode, pack) in [(1, zlib as fn(&[u8]) -> Vec<u8>), (2, zstd)] {
        let packed = pack(payload);
        assert!(Ciphertext::read(&framed(mode, &packed), &context).is_ok());
        let mut cases = vec![
            ("junk", [&packed[..], b"junk"].concat()),
            ("the same twice", [&packed[..], &packed].concat()),
            ("16 MiB of zeros", pack(&with_zeros)),
            ("cut off", packed[..packed.len() - 6].to_vec()),
            ("too short", pack(&payload[..payload.len() - 1])),
            ("nothing", Vec::new()),
        ];
        if mode == 2 {
            let mut wide = zstd::Encoder::new(Vec::new(), 3).unwrap();
            wide.window_log(24).unwrap();
            wide.write_all(payload).unwrap();
            cases.push(("a window of 2^24", wide.finish().unwrap()));
        }
        for (case, packed) in cases {
            is_refused(Ciphertext::read(&framed(mode, &packed), &context), "Packed", case);
        }
    }
}

#[test]
fn changed_keys_are_refused_for_their_reasons() {
    let context = context();
    let relin = RelinKeys::read(RELIN, &context).unwrap();
    let bytes = relin.write(&context, PLAIN).unwrap();
    let lower = context.levels()[1].id;
    let change = |at: usize, word: u64| {
        let mut bytes = bytes.clone();
        put(&mut bytes, at, word);
        RelinKeys::read(&bytes, &context)
    };
    for count in [15, 1 << 20, 1 << 62] {
        is_refused(change(48, count), "KeyCount", "places");
    }
    for parts in [1, 3, 1 << 62] {
        is_refused(change(56, parts), "KeyParts", "parts");
    }
    is_refused(change(48, 2), "Truncated", "an empty place that is not there");
    is_refused(change(56, 0), "LongFrame", "no parts");
    let mut low = bytes.clone();
    low[80..112].copy_from_slice(&lower.0);
    is_refused(RelinKeys::read(&low, &context), "NotKeyLevel", "a part at a lower level");
    low[16..48].copy_from_slice(&lower.0);
    is_refused(RelinKeys::read(&low, &context), "NotKeyLevel", "a lower level");
    let galois = GaloisKeys { keys: [(3, relin.keys[0].clone().unwrap())].into() };
    let bytes = galois.write(&context, PLAIN).unwrap();
    assert_eq!(GaloisKeys::read(&bytes, &context).unwrap(), galois);
    for count in [0, 4095, 4097, 1 << 61] {
        let mut bytes = bytes.clone();
        put(&mut bytes, 48, count);
        is_refused(GaloisKeys::read(&bytes, &context), "KeyCount", "places");
    }
    let even = GaloisKeys { keys: [(4, relin.keys[0].clone().unwrap())].into() };
    is_refused(even.write(&context, PLAIN), "GaloisElement", "an even element");
    let small = context.with_limits(Limits { bytes: 1 << 10 });
    is_refused(RelinKeys::read(RELIN, &small), "Memory", "over the limit");
}

#[test]
fn changed_plaintexts_are_refused_for_their_reasons() {
    let parameters = Parameters::bfv(4096, &[36, 36, 37], 20).unwrap();
    let modulus = parameters.plain().unwrap();
    let context = Context::new(parameters);
    let plain = Plaintext { parms_id: None, scale: 1.0, words: vec![1, 2, 3] };
    let bytes = plain.write(&context, PLAIN).unwrap();
    assert_eq!(Plaintext::read(&bytes, &context).unwrap(), plain);
    for (case, why, at, word) in [
        ("no coefficients", "Count", 48, 0),
        ("too many", "Count", 48, 4097),
        ("2^61", "Count", 48, 1 << 61),
        ("a scale", "Scale", 56, 2_f64.to_bits()),
        ("another count", "Array", 80, 4),
        ("none in the array", "Array", 80, 0),
        ("the plain modulus", "Word", 88, modulus),
    ] {
        let mut bytes = bytes.clone();
        put(&mut bytes, at, word);
        is_refused(Plaintext::read(&bytes, &context), why, case);
    }
}

#[test]
fn changed_parameters_are_refused_for_their_reasons() {
    for (case, why, at, word) in [
        ("degree", "Parameters", 17, 1 << 40),
        ("no primes", "Parameters", 25, 0),
        ("65 primes", "Parameters", 25, 65),
        ("2^60 primes", "Parameters", 25, 1 << 60),
        ("a composite", "Parameters", 49, 68_719_230_977 - 8192),
        ("even", "Parameters", 49, 68_719_230_976),
        ("0", "Parameters", 49, 0),
        ("63 bits", "ModulusBits", 49, u64::MAX >> 1),
        ("twice", "Parameters", 49, 68_719_403_009),
        ("a plain modulus", "Parameters", 121, 65_537),
    ] {
        let mut bytes = PARAMETERS.to_vec();
        put(&mut bytes, at, word);
        is_refused(seal::read_parameters(&bytes), why, case);
    }
    for scheme in [0, 3, 255] {
        let mut bytes = PARAMETERS.to_vec();
        bytes[16] = scheme;
        is_refused(seal::read_parameters(&bytes), "Scheme", "scheme");
    }
}

/// Small objects of every kind, in every mode.
struct Objects {
    context: Context,
    bytes: Vec<(usize, Vec<u8>)>,
}

fn objects() -> &'static Objects {
    static OBJECTS: OnceLock<Objects> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        let parameters = Parameters::ckks(2048, &[27, 27]).unwrap();
        let tables = crate::Context::new(parameters.clone()).unwrap();
        let context = Context::of(&tables);
        let rng = &mut ChaCha12Rng::seed_from_u64(3);
        let secret = crate::SecretKey::generate(&tables, rng);
        let encoder = crate::Encoder::new(&tables).unwrap();
        let plain = encoder.encode(&[1.0, 2.0], 2_f64.powi(20)).unwrap();
        let seeded = secret.encrypt_seeded(&plain, rng).unwrap();
        let text = Plaintext {
            parms_id: Some(context.first_level().id),
            scale: plain.scale(),
            words: plain.words().to_vec(),
        };
        let galois = secret.rotations(&[1], rng).unwrap().to_seal(&context);
        let relin = secret.relinearisation(rng).unwrap().to_seal(&context);
        let public = secret.public(rng).to_seal(&context);
        let mut bytes = Vec::new();
        for mode in [Mode::None, Mode::Zlib, Mode::Zstd] {
            let how = Encoding { mode, ..Encoding::default() };
            let it = &context;
            let seeded_bytes = seeded.to_seal(it).unwrap().write(it, how).unwrap();
            bytes.push((0, seal::write_parameters(&parameters, how).unwrap()));
            bytes.push((1, seeded_bytes));
            bytes.push((1, seeded.ciphertext().to_seal(it).unwrap().write(it, how).unwrap()));
            bytes.push((2, text.write(it, how).unwrap()));
            bytes.push((3, secret.to_seal(it).unwrap().write(it, how).unwrap().to_vec()));
            bytes.push((4, public.write(it, how).unwrap()));
            bytes.push((5, relin.write(it, how).unwrap()));
            bytes.push((6, galois.write(it, how).unwrap()));
        }
        Objects { context, bytes }
    })
}

/// Reads with one of the readers, and writes what it accepts.
fn again(kind: usize, bytes: &[u8], it: &Context) -> Option<Vec<u8>> {
    let written = match kind {
        0 => seal::write_parameters(&seal::read_parameters(bytes).ok()?, PLAIN),
        1 => Ciphertext::read(bytes, it).ok()?.write(it, PLAIN),
        2 => Plaintext::read(bytes, it).ok()?.write(it, PLAIN),
        3 => SecretKey::read(bytes, it).ok()?.write(it, PLAIN).map(|bytes| bytes.to_vec()),
        4 => PublicKey::read(bytes, it).ok()?.write(it, PLAIN),
        5 => RelinKeys::read(bytes, it).ok()?.write(it, PLAIN),
        _ => GaloisKeys::read(bytes, it).ok()?.write(it, PLAIN),
    };
    Some(written.unwrap())
}

#[test]
fn what_was_written_is_written_again() {
    let Objects { context, bytes } = objects();
    for (kind, bytes) in bytes {
        let once = again(*kind, bytes, context).unwrap();
        assert_eq!(again(*kind, &once, context).unwrap(), once);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Damage is refused, or gives an object that is written and read again as it is.
    #[test]
    fn damage_never_breaks_a_reader(
        which in 0_usize..24,
        near in 0_usize..160,
        far in any::<prop::sample::Index>(),
        value in any::<u64>(),
        shift in 0_u32..64,
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let Objects { context, bytes } = objects();
        let (kind, good) = &bytes[which];
        let mut bad = good.clone();
        let at = far.index(bad.len());
        bad[at] ^= 1 << (shift % 8);
        let room = bad.len().saturating_sub(8);
        put(&mut bad, near.min(room), value >> shift);
        if let Some(cut) = cut {
            bad.truncate(cut.index(good.len()));
        }
        if let Some(written) = again(*kind, &bad, context) {
            prop_assert_eq!(again(*kind, &written, context).unwrap(), written);
        }
        let _ = again((kind + 1) % 7, &bad, context);
    }

    /// So is one field alone, with a header that fits.
    #[test]
    fn payloads_by_chance_never_break_a_reader(
        kind in 0_usize..7,
        mode in 0_u8..3,
        payload in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let context = &objects().context;
        let packed = match mode {
            1 => zlib(&payload),
            2 => zstd(&payload),
            _ => payload.clone(),
        };
        for bytes in [framed(mode, &packed), framed(mode, &payload), payload] {
            let _ = again(kind, &bytes, context);
        }
    }
}
