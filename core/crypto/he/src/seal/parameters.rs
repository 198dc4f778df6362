//! Encryption parameters as SEAL stores them.

use super::frame::{Encoding, HEADER, Reader, Writer, read_first, read_object};
use super::{Limits, SealError};
use crate::{HeError, MAX_MODULI, Parameters, Scheme};

/// The most bits of a modulus that SEAL allows.
pub const MAX_MODULUS_BITS: u32 = 60;

/// Reads the parameters that `bytes` are.
///
/// # Errors
///
/// The bytes are no such object, or the parameters are not valid or not on our table.
pub fn read_parameters(bytes: &[u8]) -> Result<Parameters, SealError> {
    read_object(bytes, Limits::default(), parse)
}

/// Reads the parameters that `bytes` begin with, and gives the bytes after them.
///
/// # Errors
///
/// As [`read_parameters`].
pub fn read_first_parameters(bytes: &[u8]) -> Result<(Parameters, &[u8]), SealError> {
    read_first(bytes, Limits::default(), parse)
}

/// The parameters as an object of SEAL.
///
/// # Errors
///
/// A modulus has more than 60 bits, several are for keys, or there is not enough memory.
pub fn write_parameters(parameters: &Parameters, encoding: Encoding) -> Result<Vec<u8>, SealError> {
    let mut moduli = parameters.moduli().iter().map(|modulus| modulus.value());
    moduli.try_for_each(check_bits)?;
    if parameters.special() > 1 {
        let (got, problem) = (parameters.special(), "SEAL knows of one");
        return Err(HeError::Special { got, problem }.into());
    }
    let size = 17 + (HEADER + 8) * (parameters.moduli().len() + 1);
    Writer::object(encoding, size, |writer| emit(parameters, writer))
}

/// What SEAL calls a scheme.
fn byte(scheme: Scheme) -> u8 {
    match scheme {
        Scheme::Bfv => 1,
        Scheme::Ckks => 2,
    }
}

fn check_bits(got: u64) -> Result<(), SealError> {
    if got >> MAX_MODULUS_BITS == 0 { Ok(()) } else { Err(SealError::ModulusBits { got }) }
}

fn parse(reader: &mut Reader<'_>) -> Result<Parameters, SealError> {
    let scheme = match reader.byte()? {
        1 => Scheme::Bfv,
        2 => Scheme::Ckks,
        got => return Err(SealError::Scheme { got }),
    };
    let degree = usize::try_from(reader.word()?).unwrap_or(usize::MAX);
    let count = usize::try_from(reader.word()?).unwrap_or(usize::MAX);
    if !(1..=MAX_MODULI).contains(&count) {
        return Err(HeError::Moduli { got: count, least: 1, most: MAX_MODULI }.into());
    }
    let mut moduli = Vec::with_capacity(count);
    for _ in 0..count {
        let modulus = reader.frame(8, word)?;
        check_bits(modulus)?;
        moduli.push(modulus);
    }
    let plain = reader.frame(8, word)?;
    let plain = (scheme == Scheme::Bfv || plain != 0).then_some(plain);
    Ok(Parameters::new(scheme, degree, &moduli, plain)?)
}

fn emit(parameters: &Parameters, writer: &mut Writer) {
    writer.byte(byte(parameters.scheme()));
    writer.word(parameters.degree() as u64);
    writer.word(parameters.moduli().len() as u64);
    for modulus in parameters.moduli() {
        writer.frame(|writer| writer.word(modulus.value()));
    }
    writer.frame(|writer| writer.word(parameters.plain().unwrap_or_default()));
}

/// One word; a function and not a method, which would be of one lifetime only.
fn word(reader: &mut Reader<'_>) -> Result<u64, SealError> {
    reader.word()
}
