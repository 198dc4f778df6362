//! SEAL behind the trait that both engines share.

use std::fmt;
use std::marker::PhantomData;

use cxx::UniquePtr;
use nexus_he::seal::{Encoding, Mode};
use nexus_he::{Engine, Object, Parameters, Scheme};
use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use crate::bridge::ffi;

/// What SEAL refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// SEAL's own words.
    #[error("SEAL: {}", .0.what())]
    Seal(#[from] cxx::Exception),
    /// Parameters of another scheme than the numbers'.
    #[error("the parameters are of {got:?}, the numbers are not")]
    Scheme {
        /// The scheme of the parameters.
        got: Scheme,
    },
    /// A number that is not finite: SEAL's conversion of it is undefined.
    #[error("a value or scale is {got}, which is no finite number")]
    Number {
        /// The number.
        got: f64,
    },
    /// An integer that is none modulo t: SEAL would take it for another.
    #[error("a value is {got}: {limit} is the largest magnitude with this plain modulus")]
    Integer {
        /// The integer.
        got: i64,
        /// The largest magnitude.
        limit: u64,
    },
    /// A compression that SEAL does not know.
    #[error("SEAL has no such compression")]
    Mode,
}

/// The version of the SEAL that is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u8,
    /// The second.
    pub minor: u8,
    /// The third.
    pub patch: u8,
}

impl Version {
    /// The first whose readers of foreign bytes were hardened. Do not use earlier ones in production.
    pub const HARDENED: Self = Self { major: 4, minor: 4, patch: 0 };

    /// That of the SEAL that is linked.
    pub fn linked() -> Self {
        let [_, major, minor, patch] = ffi::version().to_be_bytes();
        Self { major, minor, patch }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// SEAL for one set of parameters: of CKKS for `f64`, of BFV for `i64`.
pub struct Seal<N = f64> {
    engine: UniquePtr<ffi::Engine>,
    degree: usize,
    plain: u64,
    numbers: PhantomData<N>,
}

/// A secret key. SEAL wipes its memory.
#[expect(missing_debug_implementations, reason = "it must not be printed")]
pub struct SecretKey(UniquePtr<ffi::Secret>);

/// A key that anyone encrypts with.
pub struct PublicKey(UniquePtr<ffi::Public>);

/// A key that takes products back to two polynomials.
pub struct RelinearisationKey(UniquePtr<ffi::RelinKeys>);

/// Keys for rotations.
pub struct RotationKeys(UniquePtr<ffi::GaloisKeys>);

/// Encoded numbers.
#[expect(missing_debug_implementations, reason = "it must not be printed")]
pub struct Plaintext(UniquePtr<ffi::Plaintext>);

/// Encrypted numbers.
pub struct Ciphertext(UniquePtr<ffi::Ciphertext>);

impl<N> fmt::Debug for Seal<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("degree", &self.degree).finish_non_exhaustive()
    }
}

impl<N> Seal<N> {
    fn of(scheme: Scheme, parameters: &Parameters) -> Result<Self, SealError> {
        let got = parameters.scheme();
        if got != scheme {
            return Err(SealError::Scheme { got });
        }
        let moduli: Vec<u64> = parameters.moduli().iter().map(|modulus| modulus.value()).collect();
        let (degree, plain) = (parameters.degree(), parameters.plain().unwrap_or_default());
        let engine = ffi::engine(degree, &moduli, plain)?;
        Ok(Self { engine, degree, plain, numbers: PhantomData })
    }

    /// A polynomial's words modulo one of the moduli, transformed: for tests and benchmarks.
    ///
    /// # Errors
    /// There is no such modulus, or there are not N words.
    pub fn forward(&self, words: &mut [u64], modulus: usize) -> Result<(), SealError> {
        Ok(self.engine.forward(words, modulus)?)
    }

    /// What [`Seal::forward`] undoes.
    ///
    /// # Errors
    /// As there.
    pub fn inverse(&self, words: &mut [u64], modulus: usize) -> Result<(), SealError> {
        Ok(self.engine.inverse(words, modulus)?)
    }
}

/// What both schemes have in common.
macro_rules! common {
    () => {
        const NAME: &'static str = "Microsoft SEAL";
        type Error = SealError;
        type Secret = SecretKey;
        type Public = PublicKey;
        type Relinearisation = RelinearisationKey;
        type Rotations = RotationKeys;
        type Plain = Plaintext;
        type Ciphertext = Ciphertext;

        fn secret(&self, _: &mut dyn CryptoRng) -> Result<SecretKey, SealError> {
            Ok(SecretKey(self.engine.secret()?))
        }

        fn public(
            &self,
            secret: &SecretKey,
            _: &mut dyn CryptoRng,
        ) -> Result<PublicKey, SealError> {
            Ok(PublicKey(self.engine.public_key(&secret.0)?))
        }

        fn relinearisation(
            &self,
            secret: &SecretKey,
            _: &mut dyn CryptoRng,
        ) -> Result<RelinearisationKey, SealError> {
            Ok(RelinearisationKey(self.engine.relinearisation(&secret.0)?))
        }

        fn rotations(
            &self,
            secret: &SecretKey,
            steps: &[i32],
            _: &mut dyn CryptoRng,
        ) -> Result<RotationKeys, SealError> {
            Ok(RotationKeys(self.engine.rotations(&secret.0, steps)?))
        }

        fn encrypt(
            &self,
            key: &PublicKey,
            plain: &Plaintext,
            _: &mut dyn CryptoRng,
        ) -> Result<Ciphertext, SealError> {
            Ok(Ciphertext(self.engine.encrypt(&key.0, &plain.0)?))
        }

        fn encrypt_secretly(
            &self,
            secret: &SecretKey,
            plain: &Plaintext,
            _: &mut dyn CryptoRng,
        ) -> Result<Ciphertext, SealError> {
            Ok(Ciphertext(self.engine.encrypt_secretly(&secret.0, &plain.0)?))
        }

        fn decrypt(
            &self,
            secret: &SecretKey,
            ciphertext: &Ciphertext,
        ) -> Result<Plaintext, SealError> {
            Ok(Plaintext(self.engine.decrypt(&secret.0, &ciphertext.0)?))
        }

        fn add(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext, SealError> {
            Ok(Ciphertext(self.engine.add(&a.0, &b.0)?))
        }

        fn add_plain(&self, a: &Ciphertext, b: &Plaintext) -> Result<Ciphertext, SealError> {
            Ok(Ciphertext(self.engine.add_plain(&a.0, &b.0)?))
        }

        fn multiply_plain(&self, a: &Ciphertext, b: &Plaintext) -> Result<Ciphertext, SealError> {
            Ok(Ciphertext(self.engine.multiply_plain(&a.0, &b.0)?))
        }

        fn multiply(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext, SealError> {
            Ok(Ciphertext(self.engine.multiply(&a.0, &b.0)?))
        }

        fn relinearise(
            &self,
            a: &Ciphertext,
            key: &RelinearisationKey,
        ) -> Result<Ciphertext, SealError> {
            Ok(Ciphertext(self.engine.relinearise(&a.0, &key.0)?))
        }

        fn rescale(&self, a: &Ciphertext) -> Result<Ciphertext, SealError> {
            Ok(Ciphertext(self.engine.rescale(&a.0)?))
        }

        fn drop_last(&self, a: &Ciphertext) -> Result<Ciphertext, SealError> {
            Ok(Ciphertext(self.engine.drop_last(&a.0)?))
        }

        /// With no key for `steps`, SEAL rotates several times, by powers of two, if there are keys for them.
        fn rotate(
            &self,
            a: &Ciphertext,
            steps: i32,
            keys: &RotationKeys,
        ) -> Result<Ciphertext, SealError> {
            Ok(Ciphertext(self.engine.rotate(&a.0, steps, &keys.0)?))
        }
    };
}

impl Engine for Seal {
    type Number = f64;

    common!();

    fn new(parameters: &Parameters) -> Result<Self, SealError> {
        Self::of(Scheme::Ckks, parameters)
    }

    fn encode(&self, values: &[f64], scale: f64, moduli: usize) -> Result<Plaintext, SealError> {
        match values.iter().chain([&scale]).find(|number| !number.is_finite()) {
            Some(got) => Err(SealError::Number { got: *got }),
            None => Ok(Plaintext(self.engine.encode(values, scale, moduli)?)),
        }
    }

    fn decode(&self, plain: &Plaintext) -> Result<Vec<f64>, SealError> {
        let mut values = vec![0.0; self.degree / 2];
        self.engine.decode(&plain.0, &mut values)?;
        Ok(values)
    }
}

impl Engine for Seal<i64> {
    type Number = i64;

    common!();

    fn new(parameters: &Parameters) -> Result<Self, SealError> {
        Self::of(Scheme::Bfv, parameters)
    }

    fn encode(&self, values: &[i64], _: f64, _: usize) -> Result<Plaintext, SealError> {
        let limit = self.plain / 2;
        match values.iter().find(|value| value.unsigned_abs() > limit) {
            Some(got) => Err(SealError::Integer { got: *got, limit }),
            None => Ok(Plaintext(self.engine.encode_integers(values)?)),
        }
    }

    fn decode(&self, plain: &Plaintext) -> Result<Vec<i64>, SealError> {
        let mut values = vec![0; self.degree];
        self.engine.decode_integers(&plain.0, &mut values)?;
        Ok(values)
    }
}

fn byte(mode: Mode) -> Result<u8, SealError> {
    match mode {
        Mode::None => Ok(0),
        Mode::Zlib => Ok(1),
        Mode::Zstd => Ok(2),
        _ => Err(SealError::Mode),
    }
}

/// Bytes of one kind of object. SEAL writes its own version whatever is asked for.
macro_rules! object {
    ($type:ident, $read:ident, $most:ident, $write:ident) => {
        impl<N> Object<Seal<N>> for $type
        where
            Seal<N>: Engine<Error = SealError>,
        {
            fn read(engine: &Seal<N>, bytes: &[u8]) -> Result<Self, SealError> {
                Ok(Self(engine.engine.$read(bytes)?))
            }

            fn write(
                &self,
                _: &Seal<N>,
                encoding: Encoding,
            ) -> Result<Zeroizing<Vec<u8>>, SealError> {
                let mode = byte(encoding.mode)?;
                let mut bytes = Zeroizing::new(vec![0; ffi::$most(&self.0, mode)?]);
                let taken = ffi::$write(&self.0, mode, &mut bytes)?;
                bytes.truncate(taken);
                Ok(bytes)
            }
        }
    };
}

object!(SecretKey, read_secret, most_of_secret, write_secret);
object!(PublicKey, read_public, most_of_public, write_public);
object!(RelinearisationKey, read_relinearisation, most_of_relinearisation, write_relinearisation);
object!(RotationKeys, read_rotations, most_of_rotations, write_rotations);
object!(Ciphertext, read_ciphertext, most_of_ciphertext, write_ciphertext);

/// Contents stay unprinted.
macro_rules! named {
    ($($type:ident),*) => {
        $(impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        })*
    };
}

named!(PublicKey, RelinearisationKey, RotationKeys, Ciphertext);
