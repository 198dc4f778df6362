//! Known answers, and every kernel against the plain one.

use super::*;

fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

/// The encryption of one block, as the stream that begins there.
fn encrypt(kernel: Kernel, key: &MaskKey, block: [u8; 16]) -> [u8; 16] {
    let mut out = [0_u8; 16];
    Cipher::new(kernel, key).run(Op::Set, Counter::from_bytes(block), &mut out);
    out
}

#[test]
fn nist_ecb_blocks() {
    // SP 800-38A, F.1.1.
    let key = MaskKey::new(hex("2b7e151628aed2a6abf7158809cf4f3c"));
    let known = [
        ("6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
        ("ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"),
        ("30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"),
        ("f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"),
    ];
    for kernel in Kernel::available() {
        for (plain, cipher) in known {
            assert_eq!(encrypt(kernel, &key, hex(plain)), hex(cipher), "{kernel:?}");
        }
    }
}
