//! Objects of Microsoft SEAL and of TenSEAL as bytes, read and written without either.
//!
//! Every object is read *against a [`Context`]*: valid parameters and their levels. What is
//! accepted fits them in every field, so that nothing needs to be checked again, and no object
//! takes more memory than its parameters, and [`Limits`], allow. What is written is checked too.
//!
//! | record | SEAL's class | level |
//! |---|---|---|
//! | [`Parameters`](crate::Parameters) | `EncryptionParameters` | |
//! | [`Plaintext`] | `Plaintext` | data, or none |
//! | [`Ciphertext`] | `Ciphertext`, with or without seed | data |
//! | [`SecretKey`], [`PublicKey`], [`RelinKeys`], [`GaloisKeys`] | as here | keys |
//! | [`tenseal`] | TenSEAL's contexts and vectors | |
//!
//! Objects of SEAL 3.4 to 4.4 are read, whether plain, zlib or zstd. Seeds of 3.4 and 3.5, which
//! stretch differently, are refused. By default the layout of 3.7 is written, which every later
//! version reads; who has seen an object of the peer writes with [`Version::answered`] instead.
//!
//! # What the format lacks
//!
//! There is no checksum: a damaged object may be a valid one. What crosses a network needs a
//! signature around it.
//!
//! # Stricter than SEAL
//!
//! Refused here and accepted by SEAL: bytes behind a compressed stream, a reserved field that is
//! used, flags other than 0 and 1, CKKS ciphertexts that are not transformed, scales that no level
//! can hold, transparent ciphertexts, secret keys that are not ternary.
//!
//! # Example
//!
//! ```
//! use nexus_he::Parameters;
//! use nexus_he::seal::{self, Ciphertext, Context, Encoding};
//!
//! let parameters = Parameters::ckks(4096, &[40, 20, 40])?;
//! let bytes = seal::write_parameters(&parameters, Encoding::default())?;
//! let context = Context::new(seal::read_parameters(&bytes)?);
//!
//! // Parameters are no ciphertext.
//! assert!(Ciphertext::read(&bytes, &context).is_err());
//! # Ok::<(), seal::SealError>(())
//! ```

mod bridge;
mod ciphertext;
mod error;
mod frame;
mod inflate;
mod keys;
mod level;
mod messages;
mod parameters;
mod plaintext;
mod seed;
pub mod tenseal;
#[cfg(test)]
mod tests;

use nexus_field::rns::Modulus;

use crate::Scheme;

pub use ciphertext::{Ciphertext, PublicKey};
pub use error::{PackedError, SealError};
pub use frame::{Encoding, Header, Mode, Version};
pub use keys::{GaloisKeys, RelinKeys, SwitchingKey};
pub use level::{Context, Level};
pub use parameters::{MAX_MODULUS_BITS, read_first_parameters, read_parameters, write_parameters};
pub use plaintext::{Plaintext, SecretKey};
pub use seed::{Generator, SEED_BYTES, Seed};

/// How much one object may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory for all words of one object, or of one message of TenSEAL. A few hundred
    /// bytes of compressed zeros can ask for as much.
    pub bytes: u64,
}

/// 1 GiB: a full set of Galois keys at degree 16384 takes half of it.
impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 30 }
    }
}

/// That every word is below its modulus; each modulus has `degree` of them, again and again.
fn check_words(words: &[u64], moduli: &[Modulus], degree: usize) -> Result<(), SealError> {
    for (index, (modulus, words)) in
        moduli.iter().cycle().zip(words.chunks(degree.max(1))).enumerate()
    {
        let modulus = modulus.value();
        if let Some(at) = words.iter().position(|word| *word >= modulus) {
            let got = words.get(at).copied().unwrap_or_default();
            return Err(SealError::Word { index: (index * degree + at) as u64, got, modulus });
        }
    }
    Ok(())
}

/// That the scale is one: exactly 1 in BFV and for keys, in CKKS what the level can hold.
fn check_scale(scale: f64, scheme: Scheme, level: Level, key: bool) -> Result<(), SealError> {
    let one = scale.to_bits() == 1_f64.to_bits();
    match scheme {
        _ if key && one => Ok(()),
        Scheme::Bfv if one => Ok(()),
        Scheme::Ckks if !key && scale.is_normal() && scale.is_sign_positive() => {
            // As SEAL: the logarithm without its fraction, so scales of (1/2, 1) count as 0.
            let large = scale.log2().trunc() >= f64::from(level.bits);
            if large { Err(SealError::LargeScale { got: scale, bits: level.bits }) } else { Ok(()) }
        }
        Scheme::Bfv | Scheme::Ckks => Err(SealError::Scale { got: scale }),
    }
}
