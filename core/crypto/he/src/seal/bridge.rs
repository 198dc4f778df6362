//! From SEAL's objects to those that compute, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::ciphertext::Place;
use super::{Context, SealError};
use crate::{bfv, seal};

impl Context {
    /// What objects of these tables are read against.
    pub fn of(context: &crate::Context) -> Self {
        Self::new(context.parameters().clone())
    }

    fn id(&self, limbs: usize) -> Result<crate::ParametersId, SealError> {
        let found = self.levels().iter().find(|level| level.limbs == limbs);
        let expected = self.first_level().limbs as u64;
        found.map(|level| level.id).ok_or(SealError::Limbs { got: limbs as u64, expected })
    }

    /// A pair of polynomials at the level of keys.
    fn part(&self, [b, a]: &[Vec<u64>; 2], seed: Option<seal::Seed>) -> seal::Ciphertext {
        let kept = if seed.is_some() { &[][..] } else { a };
        seal::Ciphertext {
            parms_id: self.key_level().id,
            ntt_form: true,
            polynomials: 2,
            degree: self.parameters().degree(),
            limbs: self.key_level().limbs,
            scale: 1.0,
            words: [b, kept].concat(),
            seed,
        }
    }

    /// One key for switching.
    fn switching(&self, key: &crate::SwitchingKey) -> seal::SwitchingKey {
        key.pairs().iter().zip(key.seeds()).map(|(pair, seed)| self.part(pair, *seed)).collect()
    }
}

/// Both polynomials of a part of a key, and the seed of the second.
fn pair(
    part: seal::Ciphertext,
    context: &Context,
) -> Result<([Vec<u64>; 2], Option<seal::Seed>), SealError> {
    part.check(context, Place::Key)?;
    let seed = part.seed;
    let mut b = part.expand(context)?.words;
    let a = b.split_off(b.len() / 2);
    Ok(([b, a], seed))
}

fn switching(
    tables: &Arc<crate::Context>,
    key: seal::SwitchingKey,
    context: &Context,
) -> Result<crate::SwitchingKey, SealError> {
    let pairs = key.into_iter().map(|part| pair(part, context));
    let (pairs, seeds) = pairs.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    Ok(crate::SwitchingKey::of(tables, pairs, seeds)?)
}

impl crate::Ciphertext {
    /// This ciphertext as an object of SEAL.
    ///
    /// # Errors
    ///
    /// It has more moduli than ciphertexts have.
    pub fn to_seal(&self, context: &Context) -> Result<seal::Ciphertext, SealError> {
        Ok(seal::Ciphertext {
            parms_id: context.id(self.moduli())?,
            ntt_form: true,
            polynomials: self.size(),
            degree: context.parameters().degree(),
            limbs: self.moduli(),
            scale: self.scale(),
            words: self.polynomials().concat(),
            seed: None,
        })
    }

    /// The ciphertext that an object of SEAL is; `object` was read against the same parameters.
    ///
    /// # Errors
    ///
    /// It does not fit them, or is not CKKS.
    pub fn from_seal(
        tables: &Arc<crate::Context>,
        object: seal::Ciphertext,
    ) -> Result<Self, SealError> {
        if tables.parameters().scheme() != crate::Scheme::Ckks {
            return Err(crate::HeError::Scheme { operation: "arithmetic of real numbers" }.into());
        }
        let (scale, (polynomials, limbs)) = (object.scale, expanded(tables, object)?);
        Ok(Self::new(tables, polynomials, limbs, scale))
    }
}

/// The polynomials of a ciphertext, in the form that it has them, and its moduli.
fn expanded(
    tables: &Arc<crate::Context>,
    object: seal::Ciphertext,
) -> Result<(Vec<Vec<u64>>, usize), SealError> {
    let context = Context::of(tables);
    object.check(&context, Place::Data)?;
    let limbs = object.limbs;
    let object = object.expand(&context)?;
    let polynomials = object.words.chunks(limbs * tables.degree()).map(<[u64]>::to_vec);
    Ok((polynomials.collect(), limbs))
}

impl bfv::Ciphertext {
    /// This ciphertext as an object of SEAL: coefficients.
    ///
    /// # Errors
    ///
    /// It has more moduli than ciphertexts have.
    pub fn to_seal(&self, context: &Context) -> Result<seal::Ciphertext, SealError> {
        let mut words = self.polynomials().to_vec();
        for words in &mut words {
            self.context().base().inverse(words);
        }
        Ok(seal::Ciphertext {
            parms_id: context.id(self.moduli())?,
            ntt_form: false,
            polynomials: self.size(),
            degree: context.parameters().degree(),
            limbs: self.moduli(),
            scale: 1.0,
            words: words.concat(),
            seed: None,
        })
    }

    /// The ciphertext that an object of SEAL is, whether of coefficients or transformed; `object` was read
    /// against the same parameters.
    ///
    /// # Errors
    ///
    /// It does not fit them, or is not BFV.
    pub fn from_seal(
        tables: &Arc<crate::Context>,
        object: seal::Ciphertext,
    ) -> Result<Self, SealError> {
        tables.integers()?;
        let transformed = object.ntt_form;
        let (mut polynomials, limbs) = expanded(tables, object)?;
        if !transformed {
            for words in &mut polynomials {
                tables.base().forward(words);
            }
        }
        Ok(Self::new(tables, polynomials, limbs))
    }
}

impl bfv::SeededCiphertext {
    /// This ciphertext as an object of SEAL, half of it as a seed.
    ///
    /// # Errors
    ///
    /// As [`bfv::Ciphertext::to_seal`].
    pub fn to_seal(&self, context: &Context) -> Result<seal::Ciphertext, SealError> {
        Ok(seeded(self.ciphertext().to_seal(context)?, self.seed()))
    }
}

impl bfv::Plaintext {
    /// This plaintext as an object of SEAL.
    pub fn to_seal(&self) -> seal::Plaintext {
        seal::Plaintext { parms_id: None, scale: 1.0, words: self.coefficients().to_vec() }
    }

    /// The plaintext that an object of SEAL is.
    ///
    /// # Errors
    ///
    /// It is transformed, or does not fit the parameters.
    pub fn from_seal(tables: &crate::Context, object: &seal::Plaintext) -> Result<Self, SealError> {
        match object.parms_id {
            None => Ok(Self::new(tables, &object.words)?),
            Some(_) => Err(SealError::Form),
        }
    }
}

/// The same ciphertext with a seed in place of its second polynomial.
fn seeded(mut object: seal::Ciphertext, seed: seal::Seed) -> seal::Ciphertext {
    object.words.truncate(object.limbs * object.degree);
    object.seed = Some(seed);
    object
}

impl crate::SeededCiphertext {
    /// This ciphertext as an object of SEAL, half of it as a seed.
    ///
    /// # Errors
    ///
    /// As [`crate::Ciphertext::to_seal`].
    pub fn to_seal(&self, context: &Context) -> Result<seal::Ciphertext, SealError> {
        Ok(seeded(self.ciphertext().to_seal(context)?, self.seed()))
    }
}

impl crate::SecretKey {
    /// This key as an object of SEAL.
    ///
    /// # Errors
    ///
    /// The context is of other parameters.
    pub fn to_seal(&self, context: &Context) -> Result<seal::SecretKey, SealError> {
        seal::SecretKey::new(self.words().to_vec(), context)
    }

    /// The key that an object of SEAL is.
    ///
    /// # Errors
    ///
    /// It does not fit the parameters.
    pub fn from_seal(
        tables: &Arc<crate::Context>,
        object: &seal::SecretKey,
    ) -> Result<Self, SealError> {
        let checked = seal::SecretKey::new(object.words().to_vec(), &Context::of(tables))?;
        Ok(Self::of(tables, Zeroizing::new(checked.words().to_vec())))
    }
}

impl crate::PublicKey {
    /// This key as an object of SEAL.
    pub fn to_seal(&self, context: &Context) -> seal::PublicKey {
        seal::PublicKey(context.part(self.pair(), self.seed()))
    }

    /// The key that an object of SEAL is.
    ///
    /// # Errors
    ///
    /// It does not fit the parameters.
    pub fn from_seal(
        tables: &Arc<crate::Context>,
        object: seal::PublicKey,
    ) -> Result<Self, SealError> {
        let (pair, seed) = pair(object.0, &Context::of(tables))?;
        Ok(Self::of(tables, pair, seed))
    }
}

impl crate::RelinearisationKey {
    /// This key as an object of SEAL.
    pub fn to_seal(&self, context: &Context) -> seal::RelinKeys {
        seal::RelinKeys { keys: vec![Some(context.switching(&self.0))] }
    }

    /// The key for products of two ciphertexts in an object of SEAL.
    ///
    /// # Errors
    ///
    /// There is none, or it does not fit the parameters.
    pub fn from_seal(
        tables: &Arc<crate::Context>,
        object: seal::RelinKeys,
    ) -> Result<Self, SealError> {
        let first = object.keys.into_iter().next().flatten();
        let key = first.ok_or(crate::HeError::NoKey { element: 1 })?;
        Ok(Self(switching(tables, key, &Context::of(tables))?))
    }
}

impl crate::GaloisKeys {
    /// These keys as an object of SEAL.
    pub fn to_seal(&self, context: &Context) -> seal::GaloisKeys {
        let key = |(element, key): (&u64, &crate::SwitchingKey)| {
            Some((u32::try_from(*element).ok()?, context.switching(key)))
        };
        seal::GaloisKeys { keys: self.all().iter().filter_map(key).collect() }
    }

    /// The keys that an object of SEAL is.
    ///
    /// # Errors
    ///
    /// They do not fit the parameters.
    pub fn from_seal(
        tables: &Arc<crate::Context>,
        object: seal::GaloisKeys,
    ) -> Result<Self, SealError> {
        let context = Context::of(tables);
        let key = |(element, key): (u32, seal::SwitchingKey)| {
            Ok((u64::from(element), switching(tables, key, &context)?))
        };
        let keys: Result<BTreeMap<_, _>, SealError> = object.keys.into_iter().map(key).collect();
        Ok(Self::of(tables, keys?))
    }
}
