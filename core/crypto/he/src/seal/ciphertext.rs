//! Ciphertexts and public keys.

use super::frame::{Encoding, HEADER, Reader, Writer, read_first, read_object};
use super::level::{Context, Level};
use super::seed::{Generator, SEED_BYTES, Seed};
use super::{SealError, check_scale, check_words};
use crate::{ParametersId, Scheme};

/// The fewest and most polynomials of a ciphertext.
const POLYNOMIALS: [usize; 2] = [2, 16];
/// Bytes of the payload before the array, with a correction factor.
const HEAD: usize = 73;
/// Bytes of the frame of a seed.
const SEED_FRAME: usize = HEADER + 1 + SEED_BYTES;

/// What a ciphertext is used as, which decides the level that it is at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Data,
    Key,
}

/// A ciphertext, or one part of a key, as SEAL stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ciphertext {
    /// The level.
    pub parms_id: ParametersId,
    /// Whether the polynomials are transformed; always in CKKS and in keys.
    pub ntt_form: bool,
    /// How many polynomials it has: 2 to 16.
    pub polynomials: usize,
    /// The degree N.
    pub degree: usize,
    /// How many primes the level has.
    pub limbs: usize,
    /// What numbers were multiplied by; 1 in BFV and in keys.
    pub scale: f64,
    /// Canonical words: by polynomial, prime, coefficient. With a seed, of the first polynomial.
    pub words: Vec<u64>,
    /// What the second of two polynomials grows from.
    pub seed: Option<Seed>,
}

impl Ciphertext {
    /// Reads the one object that `bytes` are.
    ///
    /// # Errors
    ///
    /// The bytes are no such object, or do not fit the parameters.
    pub fn read(bytes: &[u8], context: &Context) -> Result<Self, SealError> {
        read_object(bytes, context.limits(), |reader| Self::parse(reader, context, Place::Data))
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
        read_first(bytes, context.limits(), |reader| Self::parse(reader, context, Place::Data))
    }

    /// The ciphertext as an object of SEAL.
    ///
    /// # Errors
    ///
    /// It does not fit the parameters, or anybody could read it.
    pub fn write(&self, context: &Context, encoding: Encoding) -> Result<Vec<u8>, SealError> {
        self.write_at(Place::Data, context, encoding)
    }

    /// The same ciphertext with its second polynomial in place of a seed.
    ///
    /// # Errors
    ///
    /// It does not fit the parameters.
    pub fn expand(mut self, context: &Context) -> Result<Self, SealError> {
        let Some(seed) = self.seed.take() else { return Ok(self) };
        let moduli = context.parameters().moduli();
        let limbs = self.limbs as u64;
        let over = SealError::Limbs { got: limbs, expected: moduli.len() as u64 };
        let moduli = moduli.get(..self.limbs).ok_or(over)?;
        self.words.extend(seed.expand(moduli, self.degree));
        Ok(self)
    }

    fn write_at(
        &self,
        place: Place,
        context: &Context,
        encoding: Encoding,
    ) -> Result<Vec<u8>, SealError> {
        self.check(context, place)?;
        Writer::object(encoding, self.size(), |writer| self.emit(writer))
    }

    /// Bytes of the payload, or a few more.
    pub(super) fn size(&self) -> usize {
        HEAD + HEADER + 8 + 8 * self.words.len() + SEED_FRAME
    }

    pub(super) fn parse(
        reader: &mut Reader<'_>,
        context: &Context,
        place: Place,
    ) -> Result<Self, SealError> {
        let parms_id = ParametersId(reader.array()?);
        let level = place.level(context, parms_id)?;
        let flag = reader.byte()?;
        let [got, degree, limbs] = [reader.word()?, reader.word()?, reader.word()?];
        let scale = reader.double()?;
        let correction = if reader.version().has_correction() { reader.word()? } else { 1 };
        let [least, most] = POLYNOMIALS.map(|count| count as u64);
        let polynomials = usize::try_from(got).ok().filter(|count| *count <= POLYNOMIALS[1]);
        let polynomials = polynomials.ok_or(SealError::Polynomials { got, least, most })?;
        check_equal(degree, context.parameters().degree(), Shape::Degree)?;
        check_equal(limbs, level.limbs, Shape::Limbs)?;
        if flag > 1 {
            return Err(SealError::Flag { got: flag });
        }
        if correction != 1 {
            return Err(SealError::Correction { got: correction });
        }
        let mut read = Self {
            parms_id,
            ntt_form: flag == 1,
            polynomials,
            degree: context.parameters().degree(),
            limbs: level.limbs,
            scale,
            words: Vec::new(),
            seed: None,
        };
        read.check_head(context, place, level)?;
        let (one, full) = read.counts();
        let limit = 8 * (full as u64 + 1);
        let (words, seeded) = reader.frame(limit, |reader| {
            let got = reader.word()?;
            let seeded = got == one as u64;
            if !seeded && got != full as u64 {
                return Err(SealError::Count { got, expected: full as u64 });
            }
            if seeded && polynomials != 2 {
                return Err(SealError::Seeded { got: polynomials as u64 });
            }
            Ok((reader.words(if seeded { one } else { full })?, seeded))
        })?;
        read.words = words;
        if seeded {
            read.seed = Some(parse_seed(reader)?);
        }
        read.check_body(context, level)?;
        Ok(read)
    }

    pub(super) fn emit(&self, writer: &mut Writer) {
        writer.bytes(&self.parms_id.0);
        writer.byte(u8::from(self.ntt_form));
        for count in [self.polynomials, self.degree, self.limbs] {
            writer.word(count as u64);
        }
        writer.double(self.scale);
        if writer.version().has_correction() {
            writer.word(1);
        }
        writer.array(&self.words);
        if let Some(seed) = self.seed {
            writer.frame(|writer| {
                writer.byte(seed.generator.byte());
                writer.bytes(&seed.bytes);
            });
        }
    }

    /// That every field fits the parameters.
    pub(super) fn check(&self, context: &Context, place: Place) -> Result<(), SealError> {
        let level = place.level(context, self.parms_id)?;
        check_equal(self.degree as u64, context.parameters().degree(), Shape::Degree)?;
        check_equal(self.limbs as u64, level.limbs, Shape::Limbs)?;
        self.check_head(context, place, level)?;
        let (one, full) = self.counts();
        if self.seed.is_some() && self.polynomials != 2 {
            return Err(SealError::Seeded { got: self.polynomials as u64 });
        }
        let expected = if self.seed.is_some() { one } else { full } as u64;
        let got = self.words.len() as u64;
        if got != expected {
            return Err(SealError::Count { got, expected });
        }
        self.check_body(context, level)
    }

    /// Words of one polynomial, and of all.
    fn counts(&self) -> (usize, usize) {
        let one = self.limbs * self.degree;
        (one, one * self.polynomials)
    }

    fn check_head(&self, context: &Context, place: Place, level: Level) -> Result<(), SealError> {
        let got = self.polynomials as u64;
        let [least, most] = match place {
            Place::Data => POLYNOMIALS,
            Place::Key => [2, 2],
        };
        if !(least..=most).contains(&self.polynomials) {
            return Err(SealError::Polynomials { got, least: least as u64, most: most as u64 });
        }
        let scheme = context.parameters().scheme();
        if !self.ntt_form && (place == Place::Key || scheme == Scheme::Ckks) {
            return Err(SealError::Form);
        }
        check_scale(self.scale, scheme, level, place == Place::Key)
    }

    fn check_body(&self, context: &Context, level: Level) -> Result<(), SealError> {
        check_words(&self.words, context.moduli(level), self.degree)?;
        let (one, _) = self.counts();
        let rest = self.words.get(one..).unwrap_or_default();
        if self.seed.is_none() && rest.iter().all(|word| *word == 0) {
            return Err(SealError::Transparent);
        }
        Ok(())
    }
}

impl Place {
    fn level(self, context: &Context, id: ParametersId) -> Result<Level, SealError> {
        match self {
            Self::Data => context.data_level(id),
            Self::Key => context.check_key_level(id),
        }
    }
}

#[derive(Clone, Copy)]
enum Shape {
    Degree,
    Limbs,
}

fn check_equal(got: u64, expected: usize, shape: Shape) -> Result<(), SealError> {
    let expected = expected as u64;
    match shape {
        _ if got == expected => Ok(()),
        Shape::Degree => Err(SealError::Degree { got, expected }),
        Shape::Limbs => Err(SealError::Limbs { got, expected }),
    }
}

fn parse_seed(reader: &mut Reader<'_>) -> Result<Seed, SealError> {
    reader.version().check_seeds()?;
    reader.frame((SEED_FRAME - HEADER) as u64, |reader| {
        reader.version().check_seeds()?;
        let generator = Generator::from_byte(reader.byte()?)?;
        Ok(Seed { generator, bytes: reader.array()? })
    })
}

/// The most bytes that the payload of one part of a key takes.
pub(super) fn key_part_limit(context: &Context) -> u64 {
    let words = 2 * context.key_level().limbs * context.parameters().degree();
    (HEAD + HEADER + 8 + SEED_FRAME + 8 * words) as u64
}

/// A public key: a pair at the level of keys.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicKey(pub Ciphertext);

impl PublicKey {
    /// Reads the one object that `bytes` are.
    ///
    /// # Errors
    ///
    /// The bytes are no such object, or do not fit the parameters.
    pub fn read(bytes: &[u8], context: &Context) -> Result<Self, SealError> {
        Ok(Self(read_object(bytes, context.limits(), |reader| {
            Ciphertext::parse(reader, context, Place::Key)
        })?))
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
        let parse = |reader: &mut Reader<'_>| Ciphertext::parse(reader, context, Place::Key);
        let (key, rest) = read_first(bytes, context.limits(), parse)?;
        Ok((Self(key), rest))
    }

    /// The key as an object of SEAL.
    ///
    /// # Errors
    ///
    /// It does not fit the parameters.
    pub fn write(&self, context: &Context, encoding: Encoding) -> Result<Vec<u8>, SealError> {
        self.0.write_at(Place::Key, context, encoding)
    }

    /// The same key with its second polynomial in place of a seed.
    ///
    /// # Errors
    ///
    /// It does not fit the parameters.
    pub fn expand(self, context: &Context) -> Result<Self, SealError> {
        Ok(Self(self.0.expand(context)?))
    }
}
