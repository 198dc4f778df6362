//! Known answers, and every kernel against the plain one.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

pub(super) fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

/// The encryption of one block, as the stream that begins there.
fn encrypt(kernel: Kernel, key: &MaskKey, block: [u8; 16]) -> [u8; 16] {
    let mut out = [0_u8; 16];
    Cipher::new(kernel, key).run(Op::Set, Counter::from_bytes(block), &mut out);
    out
}

fn stream(kernel: Kernel, key: &MaskKey, first_block: u64, length: usize) -> Vec<u8> {
    let mut out = vec![0xa5; length];
    keystream_with(kernel, key, first_block, &mut out);
    out
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

/// The stream as the page of this module describes it, a block at a time by the `aes` crate.
fn as_described(key: [u8; 16], first_block: u64, blocks: u64) -> Vec<u8> {
    let aes = Aes128::new(&key.into());
    let block = |index| {
        let mut block = aes::Block::default();
        block[..8].copy_from_slice(&first_block.wrapping_add(index).to_le_bytes());
        aes.encrypt_block(&mut block);
        block
    };
    (0..blocks).flat_map(block).collect()
}

fn random_words(rng: &mut ChaCha12Rng, length: usize) -> Vec<u32> {
    (0..length).map(|_| rng.next_u32()).collect()
}

fn random_key(rng: &mut ChaCha12Rng) -> [u8; 16] {
    let mut key = [0; 16];
    rng.fill_bytes(&mut key);
    key
}

/// Pearson's statistic of the frequencies of bytes, less its mean 255 and in units of its
/// deviation.
fn chi_square(bytes: &[u8]) -> f64 {
    let mut seen = [0_u32; 256];
    for byte in bytes {
        seen[usize::from(*byte)] += 1;
    }
    let mean = bytes.len() as f64 / 256.0;
    let sum: f64 = seen.iter().map(|seen| (f64::from(*seen) - mean).powi(2) / mean).sum();
    (sum - 255.0) / 510_f64.sqrt()
}

#[test]
fn blocks_of_nist_and_fips() {
    // SP 800-38A, F.1.1, and FIPS 197, appendix C.1.
    let key = "2b7e151628aed2a6abf7158809cf4f3c";
    let known = [
        (key, "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
        (key, "ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"),
        (key, "30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"),
        (key, "f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"),
        (
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            "69c4e0d86a7b0430d8cdb78070b4c55a",
        ),
    ];
    for kernel in Kernel::available() {
        for (key, plain, cipher) in known {
            let key = MaskKey::new(hex(key));
            assert_eq!(encrypt(kernel, &key, hex(plain)), hex(cipher), "{kernel:?}");
        }
    }
}

#[test]
fn counter_mode_of_nist() {
    // SP 800-38A, F.5.1. Its counter is the big-endian one: every block begins a stream of ours.
    let key = MaskKey::new(hex("2b7e151628aed2a6abf7158809cf4f3c"));
    let start = u128::from_be_bytes(hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"));
    let known = [
        ("6bc1bee22e409f96e93d7e117393172a", "874d6191b620e3261bef6864990db6ce"),
        ("ae2d8a571e03ac9c9eb76fac45af8e51", "9806f66b7970fdff8617187bb9fffdff"),
        ("30c81c46a35ce411e5fbc1191a0a52ef", "5ae4df3edbd5d35e5b4f09020db03eab"),
        ("f69f2445df4f9b17ad2b417be66c3710", "1e031dda2fbe03d1792170a0f3009cee"),
    ];
    for kernel in Kernel::available() {
        for (block, (plain, cipher)) in (start..).zip(known) {
            let stream = u128::from_be_bytes(encrypt(kernel, &key, block.to_be_bytes()));
            let plain = u128::from_be_bytes(hex(plain));
            assert_eq!((plain ^ stream).to_be_bytes(), hex(cipher), "{kernel:?}");
        }
    }
}

#[test]
fn the_stream_is_as_described_and_block_numbers_wrap() {
    let key = [9; 16];
    for first in [0, 1, u64::from(u32::MAX) - 3, u64::MAX - 7, u64::MAX] {
        let expected = as_described(key, first, 50);
        for kernel in Kernel::available() {
            assert_eq!(stream(kernel, &MaskKey::new(key), first, 800), expected, "{kernel:?}");
        }
    }
}

#[test]
fn kernels_agree_on_every_short_length_at_odd_addresses() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    for length in 0..=300 {
        let key = random_key(&mut rng);
        let first = rng.next_u64();
        let expected = as_described(key, first, 75);
        let offset = rng.next_u32() as usize % 16;
        let before = random_words(&mut rng, offset + length);
        let sum = |sign: fn(u32, u32) -> u32| {
            let masked = before[offset..].iter().zip(words(&expected));
            masked.map(|(word, mask)| sign(*word, mask)).collect::<Vec<u32>>()
        };
        for kernel in Kernel::available() {
            let key = MaskKey::new(key);
            let mut bytes = vec![0xa5; offset + length];
            keystream_with(kernel, &key, first, &mut bytes[offset..]);
            assert_eq!(bytes[offset..], expected[..length], "{kernel:?} {length}");
            assert!(bytes[..offset].iter().all(|byte| *byte == 0xa5));

            let mut acc = before.clone();
            combine_with(kernel, Sign::Plus, &key, first, &mut acc[offset..]);
            assert_eq!(acc[offset..], sum(u32::wrapping_add), "{kernel:?} {length}");
            combine_with(kernel, Sign::Minus, &key, first, &mut acc[offset..]);
            assert_eq!(acc, before);
            combine_with(kernel, Sign::Minus, &key, first, &mut acc[offset..]);
            assert_eq!(acc[offset..], sum(u32::wrapping_sub), "{kernel:?} {length}");
            assert_eq!(acc[..offset], before[..offset]);
        }
    }
}

#[test]
fn kernels_agree_on_a_large_vector() {
    let key = MaskKey::new([3; 16]);
    let expected = as_described([3; 16], 5, 65_537);
    for kernel in Kernel::available() {
        assert!(stream(kernel, &key, 5, expected.len() - 3) == expected[..expected.len() - 3]);
        let mut acc = vec![u32::MAX; expected.len() / 4 - 1];
        combine_with(kernel, Sign::Plus, &key, 5, &mut acc);
        assert!(acc.iter().zip(words(&expected)).all(|(sum, mask)| *sum == mask.wrapping_sub(1)));
    }
}

#[test]
fn many_masks_in_tiles_are_the_masks_one_by_one() {
    let mut rng = ChaCha12Rng::seed_from_u64(2);
    let masks: Vec<(MaskKey, Sign)> = (0..7)
        .map(|index| {
            let sign = if index % 3 == 0 { Sign::Minus } else { Sign::Plus };
            (MaskKey::new(random_key(&mut rng)), sign)
        })
        .collect();
    for length in [0, 1, 5, TILE_WORDS - 1, TILE_WORDS, TILE_WORDS + 1, 5 * TILE_WORDS + 77] {
        let before = random_words(&mut rng, length);
        let mut expected = before.clone();
        for (key, sign) in &masks {
            combine_with(Kernel::Portable, *sign, key, 0, &mut expected);
        }
        for kernel in Kernel::available() {
            let mut acc = before.clone();
            apply_with(kernel, &masks, &mut acc);
            assert!(acc == expected, "{kernel:?} {length}");
        }
    }
}

#[test]
fn masks_of_both_signs_cancel() {
    let key = MaskKey::new([1; 16]);
    let mut acc = vec![7; 10_000];
    apply(&[(key.clone(), Sign::Plus)], &mut acc);
    assert!(acc.iter().filter(|word| **word == 7).count() < 10);
    add(&MaskKey::new([2; 16]), 0, &mut acc);
    apply(&[(MaskKey::new([2; 16]), Sign::Minus), (key, Sign::Minus)], &mut acc);
    assert!(acc.iter().all(|word| *word == 7));
}

#[test]
fn bytes_are_uniform_and_would_not_be_without_the_cipher() {
    for seed in 0..8 {
        let bytes = stream(Kernel::detect(), &MaskKey::new([seed; 16]), 0, 1 << 20);
        assert!(chi_square(&bytes).abs() < 5.0, "{seed}");
        // Neighbouring bytes do not depend on each other either.
        let sums: Vec<u8> = bytes.windows(2).map(|pair| pair[0].wrapping_add(pair[1])).collect();
        assert!(chi_square(&sums).abs() < 5.0, "{seed}");
    }
    let counters: Vec<u8> = (0..1_u128 << 16).flat_map(u128::to_le_bytes).collect();
    assert!(chi_square(&counters) > 1000.0);
}

#[test]
fn every_bit_of_the_key_changes_half_of_the_stream() {
    for kernel in Kernel::available() {
        let original = stream(kernel, &MaskKey::new([0x5a; 16]), 0, 1024);
        for bit in 0..128 {
            let mut key = [0x5a; 16];
            key[bit / 8] ^= 1 << (bit % 8);
            let changed = stream(kernel, &MaskKey::new(key), 0, 1024);
            let differ: u32 = original.iter().zip(changed).map(|(a, b)| (a ^ b).count_ones()).sum();
            // 8192 bits: within six deviations of half of them.
            assert!(differ.abs_diff(4096) < 272, "{bit} {differ}");
        }
    }
}

#[test]
fn keys_are_wiped_and_not_printed() {
    fn wiped_on_drop<T: ZeroizeOnDrop>() {}
    wiped_on_drop::<MaskKey>();
    let mut key = MaskKey::new([7; 16]);
    assert_eq!(format!("{key:?}"), "MaskKey(..)");
    key.zeroize();
    assert_eq!(key.0, [0; 16]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_may_be_cut_at_any_block(
        key in any::<[u8; 16]>(),
        first in any::<u64>(),
        head in 0_usize..100,
        tail in 0_usize..1000,
    ) {
        let key = MaskKey::new(key);
        let whole = stream(Kernel::detect(), &key, first, 16 * head + tail);
        let (before, after) = whole.split_at(16 * head);
        prop_assert_eq!(stream(Kernel::detect(), &key, first, 16 * head), before);
        let second = first.wrapping_add(head as u64);
        prop_assert_eq!(stream(Kernel::Portable, &key, second, tail), after);
    }
}
