//! Plaintexts and secret keys.

use std::fmt;

use nexus_field::rns::{Modulus, Transform};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::frame::{Encoding, HEADER, Reader, Writer, read_first, read_object};
use super::level::{Context, Level, NO_ID};
use super::{SealError, check_scale, check_words};
use crate::{HeError, ParametersId, Scheme};

/// Bytes of the payload before the words.
const HEAD: usize = 48 + HEADER + 8;

/// A plaintext as SEAL stores it.
#[derive(Clone, PartialEq)]
pub struct Plaintext {
    /// The level that it is transformed at; none where the words are coefficients (BFV only).
    pub parms_id: Option<ParametersId>,
    /// What numbers were multiplied by; 1 in BFV.
    pub scale: f64,
    /// Canonical words by prime and place; or up to N coefficients below the plain modulus.
    pub words: Vec<u64>,
}

/// Shows no word: they are somebody's data.
impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plaintext")
            .field("parms_id", &self.parms_id)
            .field("scale", &self.scale)
            .finish_non_exhaustive()
    }
}

impl Plaintext {
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

    /// The plaintext as an object of SEAL.
    ///
    /// # Errors
    ///
    /// It does not fit the parameters.
    pub fn write(&self, context: &Context, encoding: Encoding) -> Result<Vec<u8>, SealError> {
        let form = Form::of(self.parms_id, context)?;
        form.check_count(self.words.len() as u64)?;
        form.check_scale(self.scale, context)?;
        form.check_words(&self.words, context)?;
        let id = self.parms_id.unwrap_or(NO_ID);
        let size = HEAD + 8 * self.words.len();
        let emit = |writer: &mut Writer| emit(writer, id, self.scale, &self.words);
        Writer::object(encoding, size, emit)
    }

    fn parse(reader: &mut Reader<'_>, context: &Context) -> Result<Self, SealError> {
        let id = ParametersId(reader.array()?);
        let parms_id = (id != NO_ID).then_some(id);
        let form = Form::of(parms_id, context)?;
        let count = form.check_count(reader.word()?)?;
        let scale = reader.double()?;
        form.check_scale(scale, context)?;
        let words = parse_array(reader, count)?;
        form.check_words(&words, context)?;
        Ok(Self { parms_id, scale, words })
    }
}

/// What the words of a plaintext are.
#[derive(Clone, Copy)]
enum Form {
    Coefficients { degree: usize, modulus: u64 },
    Transformed { level: Level, degree: usize },
}

impl Form {
    fn of(id: Option<ParametersId>, context: &Context) -> Result<Self, SealError> {
        let parameters = context.parameters();
        let degree = parameters.degree();
        match (id, parameters.scheme()) {
            (None, Scheme::Ckks) => Err(SealError::Form),
            (None, Scheme::Bfv) => {
                Ok(Self::Coefficients { degree, modulus: parameters.plain().unwrap_or_default() })
            }
            (Some(id), _) => Ok(Self::Transformed { level: context.data_level(id)?, degree }),
        }
    }

    fn check_count(self, got: u64) -> Result<usize, SealError> {
        let (possible, expected) = match self {
            Self::Coefficients { degree, .. } => (1..=degree as u64, degree as u64),
            Self::Transformed { level, degree } => {
                let count = (level.limbs * degree) as u64;
                (count..=count, count)
            }
        };
        let count = usize::try_from(got).ok().filter(|_| possible.contains(&got));
        count.ok_or(SealError::Count { got, expected })
    }

    fn check_scale(self, scale: f64, context: &Context) -> Result<(), SealError> {
        let level = match self {
            Self::Coefficients { .. } => context.first_level(),
            Self::Transformed { level, .. } => level,
        };
        check_scale(scale, context.parameters().scheme(), level, false)
    }

    fn check_words(self, words: &[u64], context: &Context) -> Result<(), SealError> {
        match self {
            Self::Transformed { level, degree } => {
                check_words(words, context.moduli(level), degree)
            }
            Self::Coefficients { modulus, .. } => {
                let large = words.iter().enumerate().find(|(_, word)| **word >= modulus);
                large.map_or(Ok(()), |(index, word)| {
                    Err(SealError::Word { index: index as u64, got: *word, modulus })
                })
            }
        }
    }
}

/// A secret key as SEAL stores it: a ternary polynomial, transformed under every prime.
///
/// It is wiped when dropped and shows itself nowhere. A compressed one leaves traces in the memory
/// of the decompressor: store it uncompressed, within something that is encrypted.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey {
    words: Vec<u64>,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl SecretKey {
    /// The key with these words: by prime, then in the order of the transform.
    ///
    /// # Errors
    ///
    /// They are not those of one ternary polynomial, or it is zero and hides nothing.
    pub fn new(words: Vec<u64>, context: &Context) -> Result<Self, SealError> {
        let key = Self { words };
        let expected = count(context) as u64;
        let got = key.words.len() as u64;
        if got != expected {
            return Err(SealError::Count { got, expected });
        }
        check_secret(&key.words, context)?;
        Ok(key)
    }

    /// The words: by prime, the special one last, then in the order of the transform.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Reads the one object that `bytes` are.
    ///
    /// # Errors
    ///
    /// The bytes are no such object, or the key is not one ternary polynomial under all primes.
    pub fn read(bytes: &[u8], context: &Context) -> Result<Self, SealError> {
        read_object(bytes, context.limits(), |reader| Self::parse(reader, context))
    }

    /// The key as an object of SEAL.
    ///
    /// # Errors
    ///
    /// It is a key of other parameters.
    pub fn write(
        &self,
        context: &Context,
        encoding: Encoding,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (got, expected) = (self.words.len() as u64, count(context) as u64);
        if got != expected {
            return Err(SealError::Count { got, expected });
        }
        check_secret(&self.words, context)?;
        let id = context.key_level().id;
        let size = HEAD + 8 * self.words.len();
        Writer::secret(encoding, size, |writer| emit(writer, id, 1.0, &self.words))
    }

    fn parse(reader: &mut Reader<'_>, context: &Context) -> Result<Self, SealError> {
        context.check_key_level(ParametersId(reader.array()?))?;
        let (got, expected) = (reader.word()?, count(context));
        if got != expected as u64 {
            return Err(SealError::Count { got, expected: expected as u64 });
        }
        let scale = reader.double()?;
        if scale.to_bits() != 1_f64.to_bits() {
            return Err(SealError::Scale { got: scale });
        }
        Self::new(parse_array(reader, expected)?, context)
    }
}

/// Words of a secret key.
fn count(context: &Context) -> usize {
    context.key_level().limbs * context.parameters().degree()
}

/// That the words are those of one ternary polynomial. There is one answer for the whole key, so
/// that time tells nothing of its coefficients.
fn check_secret(words: &[u64], context: &Context) -> Result<(), SealError> {
    let (moduli, degree) = (context.parameters().moduli(), context.parameters().degree());
    let limbs = || moduli.iter().zip(words.chunks_exact(degree));
    let large = |(modulus, words): (&Modulus, &[u64])| {
        words.iter().fold(false, |large, word| large | (*word >= modulus.value()))
    };
    if limbs().map(large).fold(false, |a, b| a | b) {
        return Err(SealError::SecretWord);
    }
    let mut first: Option<Zeroizing<Vec<i64>>> = None;
    let mut wrong = false;
    for (modulus, words) in limbs() {
        let mut words = Zeroizing::new(words.to_vec());
        let transform = Transform::new(*modulus, degree).map_err(HeError::from)?;
        transform.inverse(&mut words);
        let own = words.iter().map(|word| modulus.centred(*word));
        let own = Zeroizing::new(own.collect::<Vec<i64>>());
        // v³ = v for −1, 0 and 1 alone: words have 61 bits at most.
        let cube = |value: &i64| value.wrapping_mul(*value).wrapping_mul(*value);
        wrong |= own.iter().fold(0, |wrong, value| wrong | (cube(value) ^ value)) != 0;
        let same = first.get_or_insert_with(|| own.clone());
        wrong |= own.iter().zip(same.iter()).fold(0, |wrong, (a, b)| wrong | (a ^ b)) != 0;
    }
    let any = first.iter().flat_map(|own| own.iter()).fold(0, |any, value| any | value);
    wrong |= any == 0;
    if wrong { Err(SealError::SecretKey) } else { Ok(()) }
}

fn parse_array(reader: &mut Reader<'_>, count: usize) -> Result<Vec<u64>, SealError> {
    let expected = count as u64;
    reader.frame(8 * (expected + 1), |reader| {
        let got = reader.word()?;
        if got != expected {
            return Err(SealError::Array { got, expected });
        }
        reader.words(count)
    })
}

fn emit(writer: &mut Writer, id: ParametersId, scale: f64, words: &[u64]) {
    writer.bytes(&id.0);
    writer.word(words.len() as u64);
    writer.double(scale);
    writer.array(words);
}
