//! Values in slots of coefficients, over the integers: `m = sum of 2^(w s) v_s`. An owner never
//! reduces `m`: what wraps at an owner would show in the sum of the errors.

use super::params::Packing;

/// Packs the values of one block into its coefficients; the rest of them is nought.
pub(super) fn pack(packing: Packing, values: &[i64], out: &mut [i64]) {
    let groups = values.chunks(packing.values().into());
    for (coefficient, group) in out.iter_mut().zip(groups) {
        let digits = group.iter().rev();
        *coefficient = digits.fold(0, |m, v| (m << packing.slot_bits()).wrapping_add(*v));
    }
    let used = values.len().div_ceil(packing.values().into()).min(out.len());
    out[used..].fill(0);
}

/// What a coefficient `t e + m` of a sum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The sum of the errors.
    pub(super) error: i64,
    /// The sum of the packed values.
    pub(super) packed: i64,
}

/// Separates the error from the packed values: the nearest multiple of `t`.
pub(super) fn split(packing: Packing, coefficient: i64) -> Parts {
    let log2_t = packing.log2_t();
    let error = ((coefficient >> (log2_t - 1)) + 1) >> 1;
    Parts { error, packed: coefficient.wrapping_sub(error << log2_t) }
}

/// The sums in a packed coefficient, lowest slot first, each centred; what a slot borrows it
/// takes from the next. The last slot is the rest.
pub(super) fn unpack(packing: Packing, packed: i64) -> impl Iterator<Item = i64> {
    let (bits, last) = (packing.slot_bits(), packing.values() - 1);
    let mut rest = packed;
    (0..packing.values()).map(move |slot| {
        if slot == last {
            return rest;
        }
        let digit = (rest << (64 - bits)) >> (64 - bits);
        rest = (rest - digit) >> bits;
        digit
    })
}

#[cfg(test)]
mod tests {
    use nexus_field::{Fp, P};
    use proptest::prelude::*;

    use super::super::params::TABLE;
    use super::*;

    fn read(packing: Packing, sum: i128) -> (i64, Vec<i64>) {
        let word = u64::try_from(sum.rem_euclid(i128::from(P))).unwrap();
        let parts = split(packing, Fp::new(word).centred());
        (parts.error, unpack(packing, parts.packed).collect())
    }

    fn written(packing: Packing, error: i64, values: &[i64]) -> i128 {
        let packed =
            values.iter().rev().fold(0, |m, v| (m << packing.slot_bits()) + i128::from(*v));
        (i128::from(error) << packing.log2_t()) + packed
    }

    /// Most that a sum may be: what the owners' limit allows, and the half for noise.
    fn edge(packing: Packing) -> i64 {
        (1 << (packing.slot_bits() - 1)) - 1
    }

    #[test]
    fn the_edges_of_every_row_are_exact() {
        for row in TABLE {
            let most = i64::from(row.owners()) * row.limit();
            let e = i64::try_from(row.error_bound(row.owners())).unwrap();
            let ends = [0, 1, -1, most, -most, most - 1, 1 - most, edge(row), -edge(row)];
            for error in [e, -e, e - 1, 1 - e, 0, 1] {
                for (i, low) in ends.iter().enumerate() {
                    let values: Vec<i64> =
                        (0..row.values().into()).map(|s: usize| ends[(i + s * 4) % 9]).collect();
                    assert_eq!(read(row, written(row, error, &values)), (error, values));
                    let all = vec![*low; row.values().into()];
                    assert_eq!(read(row, written(row, error, &all)), (error, all));
                }
            }
        }
    }

    #[test]
    fn one_step_beyond_the_edge_carries_into_the_next_slot() {
        for row in TABLE.into_iter().filter(|row| row.values() > 1) {
            let mut values = vec![0; row.values().into()];
            values[0] = edge(row) + 2;
            let (_, read) = read(row, written(row, 0, &values));
            assert_eq!(read[..2], [edge(row) + 2 - (1 << row.slot_bits()), 1], "{row:?}");
        }
    }

    #[test]
    fn packing_fills_up_with_noughts() {
        let row = TABLE[1];
        let mut out = [7; 4];
        pack(row, &[1, -1, 3], &mut out);
        assert_eq!(out, [1 - (1 << 27), 3, 0, 0]);
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read(row in prop::sample::select(&TABLE[..]), seed: [i64; 4], e: i64) {
            let bound = i64::try_from(row.error_bound(row.owners())).unwrap();
            let error = e % (bound + 1);
            let values: Vec<i64> =
                seed[..row.values().into()].iter().map(|v| v % (edge(row) + 1)).collect();
            let mut out = [0];
            pack(row, &values, &mut out);
            prop_assert_eq!(read(row, written(row, error, &values)), (error, values));
            prop_assert_eq!(unpack(row, out[0]).next(), read(row, i128::from(out[0])).1.first().copied());
        }
    }
}
