//! Numbers in base 16 with digits from −8 to 8, as multiples are looked up by.

use zeroize::Zeroizing;

use super::group::Digits;
use super::lanes::Row;

/// The digits of a number below 2^255, the top bit of the bytes being ignored. All but the last
/// are from −8 to 7. Their size, and all ones where they are negative.
pub(super) fn each(scalar: &[u8; 32]) -> Zeroizing<Digits<u64>> {
    let mut digits = Zeroizing::new([[0; 2]; 64]);
    let mut carry = 0;
    for (i, digit) in digits.iter_mut().enumerate() {
        let (bits, last) = if i == 63 { (7, 1) } else { (15, 0) };
        let nibble = i64::from(scalar[i / 2] >> (4 * (i % 2)) & bits) + carry;
        carry = (nibble + 8) >> 4 & (1 - last);
        let signed = nibble - (carry << 4);
        let sign = signed >> 63;
        *digit = [((signed ^ sign) - sign).cast_unsigned(), sign.cast_unsigned()];
    }
    digits
}

/// The digits of up to eight numbers, each in its lane; the numbers that lack are 0.
pub(super) fn apart(scalars: &[[u8; 32]]) -> Zeroizing<Digits<Row>> {
    let mut digits = Zeroizing::new([[[0; 8]; 2]; 64]);
    for (lane, scalar) in scalars.iter().enumerate() {
        for (rows, digit) in digits.iter_mut().zip(each(scalar).iter()) {
            (rows[0][lane], rows[1][lane]) = (digit[0], digit[1]);
        }
    }
    digits
}

/// [`apart`] for public numbers.
pub(super) fn of_weights(weights: &[u128]) -> Digits<Row> {
    let mut scalars = [[0; 32]; 8];
    for (scalar, weight) in scalars.iter_mut().zip(weights) {
        scalar[..16].copy_from_slice(&weight.to_le_bytes());
    }
    *apart(&scalars)
}
