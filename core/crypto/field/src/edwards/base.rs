//! Multiples of the generator.

use std::sync::OnceLock;

use super::group::{Affine, Group};
use super::{Element, Kernel, add, affine, combine, decode, digits, encode};

/// RFC 9496, section 4.1: the generator.
const GENERATOR: Element = [
    0xe2, 0xf2, 0xae, 0x0a, 0x6a, 0xbc, 0x4e, 0x71, 0xa8, 0x84, 0xa9, 0x61, 0xc5, 0x00, 0x51, 0x5f,
    0x58, 0xe3, 0x0b, 0x6a, 0xa5, 0x82, 0xdd, 0x8d, 0xb6, 0xa6, 0x59, 0x45, 0xe0, 0x8d, 0x2d, 0x76,
];

/// (0 : 1 : 1 : 0) in every lane.
pub(super) const IDENTITY: Group = {
    let (zero, one) = ([[0; 8]; 5], [[1; 8], [0; 8], [0; 8], [0; 8], [0; 8]]);
    [zero, one, one, zero]
};

/// 1 to 8 times 16^i times the generator in the lanes, for every i below 64: 60 KiB, computed
/// when first asked for.
pub(super) fn table() -> &'static [Affine] {
    static TABLE: OnceLock<Vec<Affine>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let kernel = Kernel::detect();
        let (generator, _) = decode(kernel, &[GENERATOR; 8]);
        let weights = digits::of_weights(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let mut multiples = combine(kernel, &[generator], &[weights]);
        let mut table = vec![[[[0; 8]; 5]; 3]; 64];
        for entry in &mut table {
            // Decoded, they have Z = 1.
            let (decoded, _) = decode(kernel, &encode(kernel, &multiples));
            *entry = affine(kernel, &decoded);
            for _ in 0..4 {
                multiples = add(kernel, &multiples, &multiples);
            }
        }
        table
    })
}
