//! Several objects of SEAL, one after the other: what parties of a computation send each other.

use std::sync::Arc;

use super::{Context, Encoding, SealError};
use crate::circuit::EvaluationKeys;
use crate::{Ciphertext, GaloisKeys, HeError, RelinearisationKey, seal};

impl EvaluationKeys {
    /// SEAL's `RelinKeys`, if there is a key for products, then `GaloisKeys`.
    ///
    /// # Errors
    ///
    /// The context is of other parameters.
    pub fn to_bytes(&self, wire: &Context, encoding: Encoding) -> Result<Vec<u8>, SealError> {
        let mut bytes = Vec::new();
        if let Some(key) = &self.relinearise {
            bytes = key.to_seal(wire).write(wire, encoding)?;
        }
        bytes.extend(self.rotate.to_seal(wire).write(wire, encoding)?);
        Ok(bytes)
    }

    /// The keys that a computation needs, out of those that `bytes` are: for rotations by `steps`, and
    /// for products if `products`.
    ///
    /// # Errors
    ///
    /// They are no keys of these parameters, or one is missing.
    pub fn from_bytes(
        mut bytes: &[u8],
        (wire, tables): (&Context, &Arc<crate::Context>),
        steps: &[i64],
        products: bool,
    ) -> Result<Self, SealError> {
        let mut relinearise = None;
        if products {
            let (object, rest) = seal::RelinKeys::read_first(bytes, wire)?;
            relinearise = Some(RelinearisationKey::from_seal(tables, object)?);
            bytes = rest;
        }
        let mut object = seal::GaloisKeys::read(bytes, wire)?;
        // Seeds grow to twice their bytes, so what nobody asked for is left out before.
        let mut asked = seal::GaloisKeys::default();
        for step in steps {
            let element = tables.rotation(*step)?;
            let small = u32::try_from(element).unwrap_or_default();
            let key = object.keys.remove(&small).ok_or(HeError::NoKey { element })?;
            asked.keys.insert(small, key);
        }
        drop(object);
        Ok(Self { relinearise, rotate: GaloisKeys::from_seal(tables, asked)? })
    }
}

impl Ciphertext {
    /// So many ciphertexts, one after the other, and nothing behind them. Each is checked before the next
    /// is read: few bytes can be the largest that the format has.
    ///
    /// # Errors
    ///
    /// They are no ciphertexts of these parameters, or `check` refuses one.
    pub fn read_all(
        mut bytes: &[u8],
        count: usize,
        (wire, tables): (&Context, &Arc<crate::Context>),
        check: impl Fn(&Self) -> Result<(), HeError>,
    ) -> Result<Vec<Self>, SealError> {
        let mut all = Vec::new();
        for at in 1..=count {
            let object = if at == count {
                seal::Ciphertext::read(bytes, wire)?
            } else {
                let (object, rest) = seal::Ciphertext::read_first(bytes, wire)?;
                bytes = rest;
                object
            };
            let read = Self::from_seal(tables, object)?;
            check(&read)?;
            all.push(read);
        }
        Ok(all)
    }
}
