//! What everybody who adds up together agrees on.

use nexus_types::borsh::{BorshDeserialize, BorshSerialize};

use super::AdditiveError;

/// The most clients of a sum.
pub const MAX_CLIENTS: u32 = 1 << 16;
/// The largest magnitude of a value.
pub const MAX_BOUND: u64 = 1 << 40;
/// The longest vector.
pub const MAX_VALUES: usize = 1 << 26;

/// How large values are, how many clients add theirs, and how many values each has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Terms {
    bound: u64,
    clients: u32,
    values: u64,
}

impl Terms {
    /// Vectors of `values` integers of magnitude up to `bound`, of which at most `clients` are added.
    ///
    /// # Errors
    /// [`AdditiveError::Bound`], [`AdditiveError::Clients`], [`AdditiveError::Values`] outside of 1 to
    /// [`MAX_BOUND`], [`MAX_CLIENTS`], [`MAX_VALUES`].
    pub fn new(bound: u64, clients: u32, values: usize) -> Result<Self, AdditiveError> {
        if !(1..=MAX_BOUND).contains(&bound) {
            return Err(AdditiveError::Bound { got: bound, limit: MAX_BOUND });
        }
        if !(1..=MAX_CLIENTS).contains(&clients) {
            return Err(AdditiveError::Clients { got: clients, limit: MAX_CLIENTS });
        }
        if !(1..=MAX_VALUES).contains(&values) {
            return Err(AdditiveError::Values { got: values, limit: MAX_VALUES });
        }
        Ok(Self { bound, clients, values: values as u64 })
    }

    /// The largest magnitude of a value.
    pub const fn bound(&self) -> u64 {
        self.bound
    }

    /// The most vectors in a sum.
    pub const fn clients(&self) -> u32 {
        self.clients
    }

    /// The length of a vector.
    pub const fn values(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "it was made from one")]
        let values = self.values as usize;
        values
    }

    /// The largest magnitude of a sum.
    pub const fn largest(&self) -> u64 {
        self.bound * self.clients as u64
    }

    /// Bits that hold every sum with its sign, and the number of one sum more.
    pub const fn field(&self) -> u32 {
        u64::BITS - (2 * self.largest()).leading_zeros()
    }

    /// Refuses a vector of another length, or with a value above the bound.
    pub(crate) fn check(&self, values: &[i64]) -> Result<(), AdditiveError> {
        let (got, needed) = (values.len(), self.values());
        if got != needed {
            return Err(AdditiveError::Length { got, needed });
        }
        match values.iter().position(|value| value.unsigned_abs() > self.bound) {
            Some(index) => {
                Err(AdditiveError::Value { index, got: values[index], limit: self.bound })
            }
            None => Ok(()),
        }
    }

    /// How many addends two sums have together.
    pub(crate) fn together(&self, ours: u32, theirs: u32) -> Result<u32, AdditiveError> {
        let (got, limit) = (u64::from(ours) + u64::from(theirs), self.clients);
        u32::try_from(got)
            .ok()
            .filter(|sum| (1..=limit).contains(sum))
            .ok_or(AdditiveError::Addends { got, limit })
    }
}
