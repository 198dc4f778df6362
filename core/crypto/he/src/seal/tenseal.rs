//! Messages of TenSEAL 0.3: contexts, and encrypted vectors.
//!
//! They are Protocol Buffers around objects of SEAL. What is read is bounded as objects are, and
//! stricter than the format asks: a field twice, or an unknown one, is refused.

use zeroize::Zeroizing;

use super::frame::{Encoding, Mode, Version};
use super::{Ciphertext, Context, GaloisKeys, Limits, PublicKey, RelinKeys, SealError, SecretKey};
use crate::{Parameters, Scheme};

/// Bytes of the tags and lengths of a message's fields, and some.
const ROOM: usize = 64;

/// As TenSEAL 0.3.18 writes, and the only label of 4 that it reads.
pub const ENCODING: Encoding =
    Encoding { version: Version { major: 4, minor: 3 }, mode: Mode::Zstd };
/// What a scale is where there is none.
const NO_SCALE: f64 = -1.0;
const MAX_FLAGS: u64 = 7;

/// Why a message of TenSEAL is not accepted, or not written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TensealError {
    /// An object of SEAL in it.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The message ends within a field.
    #[error("a field of {needed} bytes, of which {left} are left")]
    Cut {
        /// Bytes of the field.
        needed: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// A number of more than 64 bits.
    #[error("a number of more than 64 bits")]
    Number,
    /// A field that this message does not have, or has as another type.
    #[error("field {number} of type {wire} is not one of {message}")]
    Field {
        /// Its number.
        number: u64,
        /// Its type in the encoding.
        wire: u64,
        /// The message.
        message: &'static str,
    },
    /// A field that stands there twice.
    #[error("field {number} of {message} stands there twice")]
    Twice {
        /// Its number.
        number: u64,
        /// The message.
        message: &'static str,
    },
    /// A field that is not there.
    #[error("{message} without {field}")]
    Missing {
        /// The field.
        field: &'static str,
        /// The message.
        message: &'static str,
    },
    /// A value that is not possible.
    #[error("{field} is {got}; at most {most} is possible")]
    Value {
        /// The field.
        field: &'static str,
        /// The value.
        got: u64,
        /// The most.
        most: u64,
    },
    /// A scale that is none.
    #[error("scale {got}; positive and normal ones are possible")]
    Scale {
        /// The scale.
        got: f64,
    },
    /// The context carries a secret key that nobody asked for.
    #[error("a context with its secret key; a server needs none, and nobody should send it")]
    Secret,
    /// As many lengths as ciphertexts there must be.
    #[error("{lengths} lengths and {ciphertexts} ciphertexts")]
    Chunks {
        /// Lengths of chunks.
        lengths: u64,
        /// Ciphertexts.
        ciphertexts: u64,
    },
}

/// Whether a context may carry a secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// No: for whoever computes.
    Refuse,
    /// Yes: for the owner of the key.
    Accept,
}

/// The private half of a context.
#[derive(Clone, Debug)]
pub struct Private {
    /// The key.
    pub key: SecretKey,
    /// Whether the loader makes relinearisation keys: they are not sent with the key.
    pub relin: bool,
    /// Whether it makes Galois keys.
    pub galois: bool,
}

/// What `TenSEALContext.serialize` writes.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The parameters and their levels.
    pub context: Context,
    /// None where encryption is symmetric.
    pub public: Option<PublicKey>,
    /// 1: relinearise by itself; 2: rescale by itself; 4: change levels by itself.
    pub flags: u64,
    /// The scale of new vectors, if there is one.
    pub scale: Option<f64>,
    /// Keys for products; only sent without the secret key.
    pub relin: Option<RelinKeys>,
    /// Keys for rotations; only sent without the secret key.
    pub galois: Option<GaloisKeys>,
    /// Whether new vectors are encrypted with the secret key.
    pub symmetric: bool,
    /// The secret key.
    pub private: Option<Private>,
}

/// What `CKKSVector.serialize` and `BFVVector.serialize` write. Shorter vectors are repeated over all
/// slots; longer ones are cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// How many numbers each ciphertext holds.
    pub lengths: Vec<u64>,
    /// The ciphertexts.
    pub ciphertexts: Vec<Ciphertext>,
    /// The scale that the vector was encrypted with; 1 in BFV.
    pub scale: f64,
}

impl Shared {
    /// Reads a context.
    ///
    /// # Errors
    ///
    /// The bytes are no context, hold an object that does not fit its parameters, or a secret key
    /// although `secrets` refuses it.
    pub fn read(bytes: &[u8], secrets: Secrets, limits: Limits) -> Result<Self, TensealError> {
        const MESSAGE: &str = "a context";
        let mut fields = [None; 4];
        collect(bytes, MESSAGE, &[BYTES, BYTES, BYTES, VARINT], &mut fields)?;
        let [parameters, public, private, kind] = fields;
        if private.is_some() && secrets == Secrets::Refuse {
            return Err(TensealError::Secret);
        }
        let missing = |field| TensealError::Missing { field, message: MESSAGE };
        let parameters = parameters.ok_or_else(|| missing("parameters"))?.bytes;
        let context = Context::new(super::read_parameters(parameters)?).with_limits(limits);
        let symmetric = boolean(kind, "encryption type")?;
        let private = private.map(|it| Private::read(it.bytes, &context)).transpose()?;
        let public = public.ok_or_else(|| missing("a public part"))?;
        let read = Self::read_public(public.bytes, context, symmetric, private)?;
        if read.public.is_none() && !symmetric {
            return Err(missing("a public key"));
        }
        Ok(read)
    }

    fn read_public(
        bytes: &[u8],
        context: Context,
        symmetric: bool,
        private: Option<Private>,
    ) -> Result<Self, TensealError> {
        let mut fields = [None; 5];
        let types = [BYTES, VARINT, DOUBLE, BYTES, BYTES];
        collect(bytes, "a public part", &types, &mut fields)?;
        let [public, flags, scale, relin, galois] = fields;
        let mut left = Left(context.limits());
        let public = public.map(|it| PublicKey::read(it.bytes, &context)).transpose()?;
        left.take(public.iter().map(|it| &it.0))?;
        let within = context.clone().with_limits(left.0);
        let relin = relin.map(|it| RelinKeys::read(it.bytes, &within)).transpose()?;
        left.take(relin.iter().flat_map(|it| it.keys.iter().flatten().flatten()))?;
        let within = context.clone().with_limits(left.0);
        let galois = galois.map(|it| GaloisKeys::read(it.bytes, &within)).transpose()?;
        let flags = small(flags, MAX_FLAGS, "flags")?;
        let scale = match scale.map(|it| f64::from_bits(it.value)) {
            Some(NO_SCALE) | None => None,
            Some(got) => Some(check_scale(got)?),
        };
        Ok(Self { context, public, flags, scale, relin, galois, symmetric, private })
    }

    /// The context as TenSEAL reads it.
    ///
    /// # Errors
    ///
    /// An object does not fit the parameters.
    pub fn write(&self, encoding: Encoding) -> Result<Zeroizing<Vec<u8>>, TensealError> {
        let context = &self.context;
        let mut public = Vec::new();
        if let Some(key) = &self.public {
            put_bytes(&mut public, 1, &key.write(context, encoding)?);
        }
        put_number(&mut public, 2, self.flags);
        put_double(&mut public, 3, self.scale.unwrap_or(NO_SCALE));
        if let Some(keys) = &self.relin {
            put_bytes(&mut public, 4, &keys.write(context, encoding)?);
        }
        if let Some(keys) = &self.galois {
            put_bytes(&mut public, 5, &keys.write(context, encoding)?);
        }
        let parameters = super::write_parameters(context.parameters(), encoding)?;
        let private = self.private.as_ref().map(|it| it.write(context, encoding)).transpose()?;
        // Nothing with a key in it moves while it grows, which would leave a copy.
        let length = private.as_ref().map_or(0, |message| message.len());
        let room = parameters.len() + public.len() + length + ROOM;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        put_bytes(&mut bytes, 1, &parameters);
        put_bytes(&mut bytes, 2, &public);
        if let Some(message) = private {
            put_bytes(&mut bytes, 3, &message);
        }
        put_number(&mut bytes, 4, self.symmetric.into());
        Ok(bytes)
    }
}

impl Private {
    fn write(
        &self,
        context: &Context,
        encoding: Encoding,
    ) -> Result<Zeroizing<Vec<u8>>, TensealError> {
        let key = self.key.write(context, encoding)?;
        let mut message = Zeroizing::new(Vec::with_capacity(key.len() + ROOM));
        put_bytes(&mut message, 1, &key);
        put_number(&mut message, 2, self.relin.into());
        put_number(&mut message, 3, self.galois.into());
        Ok(message)
    }

    fn read(bytes: &[u8], context: &Context) -> Result<Self, TensealError> {
        const MESSAGE: &str = "a private part";
        let mut fields = [None; 3];
        collect(bytes, MESSAGE, &[BYTES, VARINT, VARINT], &mut fields)?;
        let [key, relin, galois] = fields;
        let missing = TensealError::Missing { field: "a secret key", message: MESSAGE };
        Ok(Self {
            key: SecretKey::read(key.ok_or(missing)?.bytes, context)?,
            relin: boolean(relin, "relinearisation keys")?,
            galois: boolean(galois, "Galois keys")?,
        })
    }
}

impl Vector {
    /// Reads a vector of the scheme that the parameters are of.
    ///
    /// # Errors
    ///
    /// The bytes are no vector, or hold a ciphertext that does not fit the parameters.
    pub fn read(bytes: &[u8], context: &Context) -> Result<Self, TensealError> {
        const MESSAGE: &str = "a vector";
        let mut rest = bytes;
        let mut left = Left(context.limits());
        let (mut lengths, mut scale) = (None, None);
        let mut ciphertexts = Vec::new();
        while let Some(field) = next(&mut rest)? {
            match (field.number, field.wire) {
                (1, BYTES) => once(&mut lengths, field, MESSAGE)?,
                (2, BYTES) => {
                    let it = Ciphertext::read(field.bytes, &context.clone().with_limits(left.0))?;
                    left.take([&it])?;
                    ciphertexts.push(it);
                }
                (3, DOUBLE) => once(&mut scale, field, MESSAGE)?,
                _ => return Err(field.unknown(MESSAGE)),
            }
        }
        let mut packed = lengths.map(|it| it.bytes).unwrap_or_default();
        let mut lengths = Vec::new();
        while !packed.is_empty() && lengths.len() <= ciphertexts.len() {
            lengths.push(varint(&mut packed)?);
        }
        let missing = TensealError::Missing { field: "a scale", message: MESSAGE };
        let scale = match (scale, context.parameters().scheme()) {
            (Some(scale), _) => f64::from_bits(scale.value),
            (None, Scheme::Bfv) => 1.0,
            (None, Scheme::Ckks) => return Err(missing),
        };
        let read = Self { lengths, ciphertexts, scale };
        read.check(context)?;
        Ok(read)
    }

    /// The vector as TenSEAL reads it.
    ///
    /// # Errors
    ///
    /// It does not fit the parameters.
    pub fn write(&self, context: &Context, encoding: Encoding) -> Result<Vec<u8>, TensealError> {
        self.check(context)?;
        let mut lengths = Vec::new();
        self.lengths.iter().for_each(|length| put_varint(&mut lengths, *length));
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, 1, &lengths);
        for ciphertext in &self.ciphertexts {
            put_bytes(&mut bytes, 2, &ciphertext.write(context, encoding)?);
        }
        if context.parameters().scheme() == Scheme::Ckks {
            put_double(&mut bytes, 3, self.scale);
        }
        Ok(bytes)
    }

    fn check(&self, context: &Context) -> Result<(), TensealError> {
        let (lengths, ciphertexts) = (self.lengths.len() as u64, self.ciphertexts.len() as u64);
        if lengths != ciphertexts || lengths == 0 {
            return Err(TensealError::Chunks { lengths, ciphertexts });
        }
        let most = slots(context.parameters());
        if let Some(got) = self.lengths.iter().find(|length| !(1..=most).contains(length)) {
            return Err(TensealError::Value { field: "a length", got: *got, most });
        }
        check_scale(self.scale).map(|_| ())
    }
}

/// Numbers in one ciphertext.
fn slots(parameters: &Parameters) -> u64 {
    let degree = parameters.degree() as u64;
    match parameters.scheme() {
        Scheme::Bfv => degree,
        Scheme::Ckks => degree / 2,
    }
}

fn check_scale(got: f64) -> Result<f64, TensealError> {
    let possible = got.is_normal() && got.is_sign_positive();
    if possible { Ok(got) } else { Err(TensealError::Scale { got }) }
}

/// Memory that is left to the next objects of a message.
struct Left(Limits);

impl Left {
    fn take<'a>(
        &mut self,
        objects: impl IntoIterator<Item = &'a Ciphertext>,
    ) -> Result<(), SealError> {
        for object in objects {
            let needed = 8 * object.words.len() as u64;
            let left = self.0.bytes;
            let rest = left.checked_sub(needed).ok_or(SealError::Memory { needed, left })?;
            self.0 = Limits { bytes: rest };
        }
        Ok(())
    }
}

const VARINT: u64 = 0;
const DOUBLE: u64 = 1;
const BYTES: u64 = 2;

/// A field of a message.
#[derive(Clone, Copy)]
struct Field<'a> {
    number: u64,
    wire: u64,
    /// The number, or the bits of a double.
    value: u64,
    bytes: &'a [u8],
}

impl Field<'_> {
    fn unknown(self, message: &'static str) -> TensealError {
        TensealError::Field { number: self.number, wire: self.wire, message }
    }
}

/// The fields of a message with numbers from 1 on, each of one type and at most once.
fn collect<'a>(
    mut rest: &'a [u8],
    message: &'static str,
    types: &[u64],
    fields: &mut [Option<Field<'a>>],
) -> Result<(), TensealError> {
    while let Some(field) = next(&mut rest)? {
        let index = usize::try_from(field.number).unwrap_or(usize::MAX).wrapping_sub(1);
        let known = types.get(index) == Some(&field.wire);
        let place =
            fields.get_mut(index).filter(|_| known).ok_or_else(|| field.unknown(message))?;
        once(place, field, message)?;
    }
    Ok(())
}

fn once<'a>(
    place: &mut Option<Field<'a>>,
    field: Field<'a>,
    message: &'static str,
) -> Result<(), TensealError> {
    match place.replace(field) {
        None => Ok(()),
        Some(_) => Err(TensealError::Twice { number: field.number, message }),
    }
}

/// Takes the next field, if there is one.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<Field<'a>>, TensealError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let key = varint(rest)?;
    let mut field = Field { number: key >> 3, wire: key & 7, value: 0, bytes: &[] };
    match field.wire {
        VARINT => field.value = varint(rest)?,
        DOUBLE => {
            let bytes = take(rest, 8)?;
            field.value = bytes.first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
        }
        BYTES => {
            let length = varint(rest)?;
            field.bytes = take(rest, length)?;
        }
        _ => return Err(field.unknown("any message")),
    }
    Ok(Some(field))
}

fn take<'a>(rest: &mut &'a [u8], needed: u64) -> Result<&'a [u8], TensealError> {
    let cut = TensealError::Cut { needed, left: rest.len() as u64 };
    let length = usize::try_from(needed).ok();
    let (taken, after) = length.and_then(|length| rest.split_at_checked(length)).ok_or(cut)?;
    *rest = after;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Result<u64, TensealError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first().unwrap_or(&0);
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(TensealError::Number);
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(TensealError::Number)
}

fn small(field: Option<Field<'_>>, most: u64, name: &'static str) -> Result<u64, TensealError> {
    let got = field.map_or(0, |it| it.value);
    if got <= most { Ok(got) } else { Err(TensealError::Value { field: name, got, most }) }
}

fn boolean(field: Option<Field<'_>>, name: &'static str) -> Result<bool, TensealError> {
    Ok(small(field, 1, name)? == 1)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | BYTES);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A number; 0 is left out.
fn put_number(out: &mut Vec<u8>, number: u64, value: u64) {
    if value != 0 {
        put_varint(out, number << 3 | VARINT);
        put_varint(out, value);
    }
}

fn put_double(out: &mut Vec<u8>, number: u64, value: f64) {
    put_varint(out, number << 3 | DOUBLE);
    out.extend_from_slice(&value.to_le_bytes());
}
