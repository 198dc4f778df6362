//! The closed table of parameters. What is not in it cannot be expressed.
//!
//! The ring is fixed: dimension 4,096, modulus 2^64 - 2^32 + 1, keys and errors from a discrete
//! Gaussian of width 4.5 * sqrt(2). A row of the table chooses the modulus `t = 2^log2_t` that
//! separates the error from the message, and how many slots share a coefficient.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use nexus_types::borsh;

use crate::aggregation::SumError;

/// Square of the width of keys and errors, doubled to stay an integer: (4.5 * sqrt(2))^2 = 40.5.
const TWICE_VARIANCE: u64 = 81;
/// Tail multiple of the honest bound: 2 exp(-10^2 / 2) = 2^-71 per coefficient.
const TAIL_MULTIPLE: u64 = 10;
/// Largest magnitude that the sampler returns, and that a proof allows.
const LARGEST: u64 = 127;
/// Fewest bits per value that are chosen without being asked for.
const BITS_BY_DEFAULT: u32 = 10;
/// Fewest bits per value that can be asked for.
const BITS_BY_NAME: u32 = 6;
/// Most likely wrap of a slot that is accepted, as a logarithm to base 2.
const WRAP_LOG2: f64 = -40.0;

/// What is known about the errors of owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Acceptance {
    /// Owners sample them as agreed; one that does not garbles the sum.
    Honest,
    /// A third of the owners may choose them, within what their proofs allow.
    Proved,
}

/// A row of the table: how many owners, values per coefficient, and bits per value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packing {
    acceptance: Acceptance,
    owners: u32,
    log2_t: u32,
    values: u8,
    slot_bits: u32,
    value_bits: u32,
}

const fn row(
    acceptance: Acceptance,
    owners: u32,
    log2_t: u32,
    (values, slot_bits, value_bits): (u8, u32, u32),
) -> Packing {
    Packing { acceptance, owners, log2_t, values, slot_bits, value_bits }
}

use Acceptance::{Honest, Proved};

/// Every possible packing, by acceptance, owners and values.
pub const TABLE: [Packing; 27] = [
    row(Honest, 10, 55, (1, 55, 50)),
    row(Honest, 10, 55, (2, 27, 22)),
    row(Honest, 10, 55, (3, 18, 13)),
    row(Honest, 10, 55, (4, 13, 8)),
    row(Honest, 100, 53, (1, 53, 45)),
    row(Honest, 100, 53, (2, 26, 18)),
    row(Honest, 100, 53, (3, 17, 9)),
    row(Honest, 100, 53, (4, 13, 5)),
    row(Honest, 1_000, 52, (1, 52, 41)),
    row(Honest, 1_000, 52, (2, 26, 15)),
    row(Honest, 1_000, 52, (3, 17, 6)),
    row(Honest, 10_000, 50, (1, 50, 35)),
    row(Honest, 10_000, 50, (2, 25, 10)),
    row(Honest, 100_000, 48, (1, 48, 30)),
    row(Honest, 100_000, 48, (2, 24, 6)),
    row(Proved, 10, 53, (1, 53, 48)),
    row(Proved, 10, 53, (2, 26, 21)),
    row(Proved, 10, 53, (3, 17, 12)),
    row(Proved, 100, 50, (1, 50, 42)),
    row(Proved, 100, 50, (2, 25, 17)),
    row(Proved, 100, 50, (3, 16, 8)),
    row(Proved, 1_000, 47, (1, 47, 36)),
    row(Proved, 1_000, 47, (2, 23, 12)),
    row(Proved, 1_000, 47, (3, 15, 4)),
    row(Proved, 10_000, 44, (1, 44, 29)),
    row(Proved, 10_000, 44, (2, 22, 7)),
    row(Proved, 100_000, 40, (1, 40, 22)),
];

impl Packing {
    /// The most values per coefficient that leave ten bits to each of `owners` owners.
    ///
    /// # Errors
    /// [`SumError::Setting`] for more owners than the table has.
    pub fn choose(owners: u32, acceptance: Acceptance) -> Result<Self, SumError> {
        let rows = rows(owners, acceptance)?;
        let fit = rows.filter(|row| row.value_bits >= BITS_BY_DEFAULT);
        fit.max_by_key(|row| row.values).ok_or_else(|| setting("owners", owners.into(), 1, 100_000))
    }

    /// The packing of `values` values per coefficient for `owners` owners, down to six bits each.
    ///
    /// # Errors
    /// [`SumError::Setting`] if the table has none.
    pub fn by_name(owners: u32, values: u8, acceptance: Acceptance) -> Result<Self, SumError> {
        let fit = rows(owners, acceptance)?.filter(|row| row.value_bits >= BITS_BY_NAME);
        let fit: Vec<_> = fit.collect();
        let most = fit.iter().map(|row| row.values).max().unwrap_or(1);
        let found = fit.into_iter().find(|row| row.values == values);
        found.ok_or_else(|| setting("values per coefficient", values.into(), 1, most.into()))
    }

    /// Most owners.
    pub const fn owners(self) -> u32 {
        self.owners
    }

    /// Values per coefficient.
    pub const fn values(self) -> u8 {
        self.values
    }

    /// Bits of a slot.
    pub const fn slot_bits(self) -> u32 {
        self.slot_bits
    }

    /// What is assumed of the owners' errors.
    pub const fn acceptance(self) -> Acceptance {
        self.acceptance
    }

    /// Logarithm to base 2 of the factor of the errors.
    pub const fn log2_t(self) -> u32 {
        self.log2_t
    }

    /// Largest magnitude of one owner's value. `owners()` of them leave half of a slot free for
    /// noise.
    pub const fn limit(self) -> i64 {
        (1 << (self.value_bits - 1)) - 1
    }

    /// Coefficients that hold `values` values.
    pub const fn coefficients(self, values: u32) -> usize {
        values.div_ceil(self.values as u32) as usize
    }

    /// Largest magnitude of the sum of `owners` errors that is accepted:
    /// ten standard deviations of the honest ones, and what a proof allows the others.
    pub fn error_bound(self, owners: u32) -> u64 {
        let n = u64::from(owners);
        let dishonest = match self.acceptance {
            Honest => 0,
            Proved => n / 3,
        };
        let square = TAIL_MULTIPLE * TAIL_MULTIPLE * TWICE_VARIANCE * (n - dishonest) / 2;
        let root = square.isqrt();
        LARGEST * dishonest + root + u64::from(root * root < square)
    }

    /// Largest magnitude of a coefficient of the sum of `owners` keys that is accepted. Keys and
    /// errors have one distribution; three coefficients of 2^20 share a field element.
    pub fn key_bound(self, owners: u32) -> u64 {
        self.error_bound(owners).min((1 << 20) - 1)
    }

    /// Upper bound on the probability that any of `values` sums over `owners` owners leaves its
    /// slot, as a logarithm to base 2, when Skellam noise of standard deviation `deviation` in
    /// all is added to values within the limit. Chernoff, with s = `deviation` and x the room
    /// left: exp(sqrt(s^4 + x^2) - s^2 - x asinh(x / s^2)) on each side.
    pub fn wrap_log2(self, owners: u32, values: u32, deviation: f64) -> f64 {
        let most = i64::from(owners).saturating_mul(self.limit());
        let room = ((1_i64 << (self.slot_bits - 1)) - 1).saturating_sub(most).saturating_add(1);
        if room <= 0 {
            return 0.0;
        }
        if deviation <= 0.0 {
            return f64::NEG_INFINITY;
        }
        let (x, s2) = (room as f64, deviation * deviation);
        // sqrt(s^4 + x^2) - s^2, without cancellation.
        let rise = x * x / (s2.hypot(x) + s2);
        let nats = rise - x * (x / s2).asinh();
        (nats / std::f64::consts::LN_2 + f64::from(values.max(1)).log2() + 1.0).min(0.0)
    }

    /// Refuses noise for which a wrap is likelier than 2^-40 for `values` values.
    ///
    /// # Errors
    /// [`SumError::Setting`] with the bits of safety that are left.
    pub fn check_wrap(self, owners: u32, values: u32, deviation: f64) -> Result<(), SumError> {
        let wrap = self.wrap_log2(owners, values, deviation);
        if wrap <= WRAP_LOG2 {
            return Ok(());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 40, NaN is 0"
        )]
        let safety = (-wrap).floor() as u64;
        Err(setting("bits of safety against a wrap", safety, 40, 1074))
    }
}

fn rows(
    owners: u32,
    acceptance: Acceptance,
) -> Result<impl Iterator<Item = Packing> + Clone, SumError> {
    let rows = TABLE.into_iter().filter(move |row| row.acceptance == acceptance);
    let smallest = rows.clone().map(|row| row.owners).filter(|most| *most >= owners).min();
    let smallest = smallest
        .filter(|_| owners > 0)
        .ok_or_else(|| setting("owners", owners.into(), 1, 100_000))?;
    Ok(rows.filter(move |row| row.owners == smallest))
}

pub(super) fn setting(name: &str, got: u64, least: u64, most: u64) -> SumError {
    SumError::Setting { setting: name.to_owned(), got, least, most }
}

impl BorshSerialize for Packing {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        (self.acceptance, self.owners, self.values).serialize(writer)
    }
}

/// Only what can be asked for decodes.
impl BorshDeserialize for Packing {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let (acceptance, owners, values) = <(Acceptance, u32, u8)>::deserialize_reader(reader)?;
        let packing = Self::by_name(owners, values, acceptance).ok();
        packing.filter(|packing| packing.owners == owners).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "no such packing is in the table")
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_row_decodes_by_its_conditions() {
        for row in TABLE {
            // t E + t / 2 < p / 2, with E the largest accepted error.
            let (t, e) = (1_u128 << row.log2_t, u128::from(row.error_bound(row.owners)));
            assert!(t * e + t / 2 < u128::from(nexus_field::P / 2), "{row:?}");
            assert!(u32::from(row.values) * row.slot_bits <= row.log2_t, "{row:?}");
            // The largest b with n (2^(b-1) - 1) <= 2^(w-2): half of the slot is for noise.
            let most = |bits: u32| u128::from(row.owners) * ((1 << (bits - 1)) - 1);
            assert!(most(row.value_bits) < 1 << (row.slot_bits - 2), "{row:?}");
            assert!(most(row.value_bits + 1) >= 1 << (row.slot_bits - 2), "{row:?}");
        }
    }

    #[test]
    fn the_bounds_are_those_of_the_design() {
        let honest = |owners| Packing::choose(owners, Honest).unwrap().error_bound(owners);
        let expected = [(10, 202), (100, 637), (1_000, 2_013), (10_000, 6_364), (100_000, 20_125)];
        for (owners, bound) in expected {
            assert_eq!(honest(owners), bound);
        }
    }

    #[test]
    fn the_default_is_the_tightest_packing_with_ten_bits() {
        let chosen = |owners| {
            let packing = Packing::choose(owners, Honest).unwrap();
            (packing.values(), packing.limit())
        };
        assert_eq!(chosen(10), (3, 4_095));
        assert_eq!(chosen(11), (2, 131_071));
        assert_eq!(chosen(1_000), (2, 16_383));
        assert_eq!(chosen(10_000), (2, 511));
        assert_eq!(chosen(100_000), (1, (1 << 29) - 1));
        assert!(Packing::choose(0, Honest).is_err());
        assert!(Packing::choose(100_001, Honest).is_err());
        assert!(Packing::by_name(100, 4, Honest).is_err(), "five bits");
        assert!(Packing::by_name(1_000, 3, Proved).is_err(), "four bits");
        assert!(Packing::by_name(100, 0, Honest).is_err());
        assert_eq!(Packing::by_name(600, 3, Honest).unwrap().limit(), 31);
    }

    #[test]
    fn the_wrap_bound_is_the_chernoff_tail() {
        // Deviations at which the tail is 2^-70: x / s of the design, section 2.
        for (s, multiple) in [(0.5, 26.7), (1.0, 18.5), (5.0, 11.1), (100.0, 9.93)] {
            let (x, s2): (f64, f64) = (s * multiple, s * s);
            let nats = (s2 * s2 + x * x).sqrt() - s2 - x * (x / s2).asinh();
            let both_sides = nats / std::f64::consts::LN_2 + 1.0;
            assert!((both_sides + 70.0).abs() < 0.6, "{s}: {both_sides}");
        }
        let packing = Packing::by_name(1_000, 2, Honest).unwrap();
        assert!(packing.check_wrap(1_000, 1_000_000, 0.0).is_ok());
        assert!(packing.check_wrap(1_000, 1_000_000, 100_000.0).is_ok());
        assert!(packing.check_wrap(1_000, 1_000_000, 10_000_000.0).is_err());
        assert!(packing.wrap_log2(1_000, 1, 2e6) < packing.wrap_log2(1_000, 1, 4e6));
        assert!(packing.check_wrap(2_000, 1, 0.0).is_ok());
        assert!(packing.check_wrap(4_000, 1, 0.0).is_err(), "the values alone do not fit");
    }

    proptest! {
        #[test]
        fn only_rows_decode(bytes in prop::collection::vec(any::<u8>(), 6)) {
            if let Ok(packing) = Packing::try_from_slice(&bytes) {
                prop_assert!(TABLE.contains(&packing));
                prop_assert_eq!(borsh::to_vec(&packing).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn every_row_that_can_be_named_decodes() {
        for row in TABLE {
            let back = Packing::try_from_slice(&borsh::to_vec(&row).unwrap());
            assert_eq!(back.ok(), (row.value_bits >= BITS_BY_NAME).then_some(row));
        }
    }
}
