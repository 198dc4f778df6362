//! Keys for switching: relinearisation and Galois keys.

use std::collections::BTreeMap;

use super::SealError;
use super::ciphertext::{Ciphertext, Place, key_part_limit};
use super::frame::{Encoding, HEADER, Reader, Writer, read_first, read_object};
use super::level::Context;
use crate::ParametersId;

/// Powers of the secret, from the second on, that a ciphertext of 16 polynomials can need.
const MAX_POWERS: usize = 14;

/// What switches one polynomial: a pair for each data prime, at the level of keys.
pub type SwitchingKey = Vec<Ciphertext>;

/// Relinearisation keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelinKeys {
    /// Keys for the second power of the secret and the next ones; normally one. None where a
    /// power is left out.
    pub keys: Vec<Option<SwitchingKey>>,
}

/// Galois keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GaloisKeys {
    /// Keys by Galois element: odd numbers below 2N.
    pub keys: BTreeMap<u32, SwitchingKey>,
}

impl RelinKeys {
    /// Reads the one object that `bytes` are.
    ///
    /// # Errors
    ///
    /// The bytes are no such object, or do not fit the parameters.
    pub fn read(bytes: &[u8], context: &Context) -> Result<Self, SealError> {
        read_object(bytes, context.limits(), |reader| Self::parse(reader, context))
    }

    /// Reads the object that `bytes` begin with, and gives the bytes after it.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_first<'a>(
        bytes: &'a [u8],
        context: &Context,
    ) -> Result<(Self, &'a [u8]), SealError> {
        read_first(bytes, context.limits(), |reader| Self::parse(reader, context))
    }

    /// The keys as an object of SEAL.
    ///
    /// # Errors
    ///
    /// They do not fit the parameters.
    pub fn write(&self, context: &Context, encoding: Encoding) -> Result<Vec<u8>, SealError> {
        check_places(self.keys.len() as u64, MAX_POWERS)?;
        let keys: Vec<_> = self.keys.iter().map(Option::as_ref).collect();
        write(&keys, context, encoding)
    }

    /// The same keys without seeds.
    ///
    /// # Errors
    ///
    /// They do not fit the parameters.
    pub fn expand(self, context: &Context) -> Result<Self, SealError> {
        let keys = self.keys.into_iter().map(|key| key.map(|key| expand(key, context)).transpose());
        Ok(Self { keys: keys.collect::<Result<_, _>>()? })
    }

    fn parse(reader: &mut Reader<'_>, context: &Context) -> Result<Self, SealError> {
        let parts = parse_level(reader, context)?;
        let places = check_places(reader.word()?, MAX_POWERS)?;
        let keys = (0..places).map(|_| parse_key(reader, context, parts));
        Ok(Self { keys: keys.collect::<Result<_, _>>()? })
    }
}

impl GaloisKeys {
    /// Reads the one object that `bytes` are.
    ///
    /// # Errors
    ///
    /// The bytes are no such object, or do not fit the parameters.
    pub fn read(bytes: &[u8], context: &Context) -> Result<Self, SealError> {
        read_object(bytes, context.limits(), |reader| Self::parse(reader, context))
    }

    /// Reads the object that `bytes` begin with, and gives the bytes after it.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_first<'a>(
        bytes: &'a [u8],
        context: &Context,
    ) -> Result<(Self, &'a [u8]), SealError> {
        read_first(bytes, context.limits(), |reader| Self::parse(reader, context))
    }

    /// The keys as an object of SEAL.
    ///
    /// # Errors
    ///
    /// They do not fit the parameters.
    pub fn write(&self, context: &Context, encoding: Encoding) -> Result<Vec<u8>, SealError> {
        let degree = context.parameters().degree();
        let end = 2 * degree as u64;
        let wrong = |got: &&u32| got.is_multiple_of(2) || u64::from(**got) >= end;
        if let Some(got) = self.keys.keys().find(wrong) {
            return Err(SealError::GaloisElement { got: *got, end });
        }
        let keys: Vec<_> = elements(degree).map(|element| self.keys.get(&element)).collect();
        write(&keys, context, encoding)
    }

    /// The same keys without seeds.
    ///
    /// # Errors
    ///
    /// They do not fit the parameters.
    pub fn expand(self, context: &Context) -> Result<Self, SealError> {
        let keys = self.keys.into_iter().map(|(element, key)| Ok((element, expand(key, context)?)));
        Ok(Self { keys: keys.collect::<Result<_, SealError>>()? })
    }

    fn parse(reader: &mut Reader<'_>, context: &Context) -> Result<Self, SealError> {
        let parts = parse_level(reader, context)?;
        let degree = context.parameters().degree();
        let (got, most) = (reader.word()?, degree as u64);
        if got != most {
            return Err(SealError::KeyCount { got, most });
        }
        let mut keys = BTreeMap::new();
        for element in elements(degree) {
            if let Some(key) = parse_key(reader, context, parts)? {
                keys.insert(element, key);
            }
        }
        Ok(Self { keys })
    }
}

/// The Galois elements in the order of their places.
fn elements(degree: usize) -> impl Iterator<Item = u32> {
    (1..).step_by(2).take(degree)
}

fn check_places(got: u64, most: usize) -> Result<usize, SealError> {
    let places = usize::try_from(got).ok().filter(|places| *places <= most);
    places.ok_or(SealError::KeyCount { got, most: most as u64 })
}

/// Reads the level, and says how many parts each key has.
fn parse_level(reader: &mut Reader<'_>, context: &Context) -> Result<usize, SealError> {
    context.check_key_level(ParametersId(reader.array()?))?;
    context.key_parts().ok_or(SealError::NoKeySwitching)
}

fn parse_key(
    reader: &mut Reader<'_>,
    context: &Context,
    parts: usize,
) -> Result<Option<SwitchingKey>, SealError> {
    let (got, expected) = (reader.word()?, parts as u64);
    if got == 0 {
        return Ok(None);
    }
    if got != expected {
        return Err(SealError::KeyParts { got, expected });
    }
    let limit = key_part_limit(context);
    let part = |reader: &mut Reader<'_>| {
        reader.frame(limit, |reader| Ciphertext::parse(reader, context, Place::Key))
    };
    (0..parts).map(|_| part(reader)).collect::<Result<_, _>>().map(Some)
}

fn write(
    keys: &[Option<&SwitchingKey>],
    context: &Context,
    encoding: Encoding,
) -> Result<Vec<u8>, SealError> {
    let parts = context.key_parts().ok_or(SealError::NoKeySwitching)?;
    let mut size = 40;
    for key in keys {
        size += 8;
        let Some(key) = key else { continue };
        if key.len() != parts {
            let (got, expected) = (key.len() as u64, parts as u64);
            return Err(SealError::KeyParts { got, expected });
        }
        for part in *key {
            part.check(context, Place::Key)?;
            size += HEADER + part.size();
        }
    }
    let emit = |writer: &mut Writer| {
        writer.bytes(&context.key_level().id.0);
        writer.word(keys.len() as u64);
        for key in keys {
            let parts = key.map_or(&[][..], |key| key.as_slice());
            writer.word(parts.len() as u64);
            for part in parts {
                writer.frame(|writer| part.emit(writer));
            }
        }
    };
    Writer::object(encoding, size, emit)
}

fn expand(key: SwitchingKey, context: &Context) -> Result<SwitchingKey, SealError> {
    key.into_iter().map(|part| part.expand(context)).collect()
}
