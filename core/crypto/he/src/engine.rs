//! What every engine of this project computes, whoever wrote it.

use std::sync::Arc;

use nexus_types::CryptoRng;
use zeroize::Zeroizing;

use crate::seal::{self, Encoding, SealError};
use crate::{
    Ciphertext, Context, Encoder, GaloisKeys, HeError, Parameters, Plaintext, PublicKey,
    RelinearisationKey, SecretKey, bfv,
};

/// One scheme, CKKS or BFV, with the semantics and the bytes of Microsoft SEAL.
///
/// [`Native`] is this crate's own, with an [`Encoder`] that of CKKS, with a [`bfv::Encoder`] that of
/// BFV. Engines exchange everything as bytes of SEAL ([`Object`]), and what
/// they compute from equal ciphertexts and keys is equal bit for bit, but for what is random, and for
/// products of two ciphertexts of BFV, which SEAL rounds in another way.
pub trait Engine: Sized {
    /// For messages.
    const NAME: &'static str;
    /// What can be wrong.
    type Error: std::error::Error + Send + Sync + 'static;
    /// The secret.
    type Secret: Object<Self>;
    /// A key that anyone encrypts with.
    type Public: Object<Self>;
    /// A key that takes products back to two polynomials.
    type Relinearisation: Object<Self>;
    /// Keys for rotations.
    type Rotations: Object<Self>;
    /// What is encrypted: `f64` in CKKS, `i64` in BFV.
    type Number: Copy;
    /// Encoded numbers.
    type Plain;
    /// Encrypted numbers.
    type Ciphertext: Object<Self>;

    /// For these parameters.
    ///
    /// # Errors
    /// They are of another scheme, or refused.
    fn new(parameters: &Parameters) -> Result<Self, Self::Error>;

    /// A fresh secret. This and all that is random may come from `rng` or from the operating system.
    ///
    /// # Errors
    /// The engine's own.
    fn secret(&self, rng: &mut dyn CryptoRng) -> Result<Self::Secret, Self::Error>;

    /// A key for anyone to encrypt with.
    ///
    /// # Errors
    /// The engine's own.
    fn public(
        &self,
        secret: &Self::Secret,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self::Public, Self::Error>;

    /// A key for products of two ciphertexts.
    ///
    /// # Errors
    /// There is no modulus for keys.
    fn relinearisation(
        &self,
        secret: &Self::Secret,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self::Relinearisation, Self::Error>;

    /// Keys for rotations by these numbers of slots.
    ///
    /// # Errors
    /// There is no modulus for keys, or a number is not below N/2.
    fn rotations(
        &self,
        secret: &Self::Secret,
        steps: &[i32],
        rng: &mut dyn CryptoRng,
    ) -> Result<Self::Rotations, Self::Error>;

    /// `values`, then zeros, times `scale`, for ciphertexts of so many moduli. Integers have no scale, and
    /// fit all moduli: of both nothing is taken there.
    ///
    /// # Errors
    /// There are too many, or they do not fit.
    fn encode(
        &self,
        values: &[Self::Number],
        scale: f64,
        moduli: usize,
    ) -> Result<Self::Plain, Self::Error>;

    /// The numbers in a plaintext.
    ///
    /// # Errors
    /// It is of other parameters.
    fn decode(&self, plain: &Self::Plain) -> Result<Vec<Self::Number>, Self::Error>;

    /// Encrypts with the public key.
    ///
    /// # Errors
    /// Key or plaintext are of other parameters.
    fn encrypt(
        &self,
        key: &Self::Public,
        plain: &Self::Plain,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self::Ciphertext, Self::Error>;

    /// Encrypts with the secret key.
    ///
    /// # Errors
    /// Key or plaintext are of other parameters.
    fn encrypt_secretly(
        &self,
        secret: &Self::Secret,
        plain: &Self::Plain,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self::Ciphertext, Self::Error>;

    /// Decrypts.
    ///
    /// # Errors
    /// Key or ciphertext are of other parameters.
    fn decrypt(
        &self,
        secret: &Self::Secret,
        ciphertext: &Self::Ciphertext,
    ) -> Result<Self::Plain, Self::Error>;

    /// a + b.
    ///
    /// # Errors
    /// Levels or scales differ.
    fn add(
        &self,
        a: &Self::Ciphertext,
        b: &Self::Ciphertext,
    ) -> Result<Self::Ciphertext, Self::Error>;

    /// a + b for a known b.
    ///
    /// # Errors
    /// Levels or scales differ.
    fn add_plain(
        &self,
        a: &Self::Ciphertext,
        b: &Self::Plain,
    ) -> Result<Self::Ciphertext, Self::Error>;

    /// a·b for a known b.
    ///
    /// # Errors
    /// Levels differ, or the scale grows too large.
    fn multiply_plain(
        &self,
        a: &Self::Ciphertext,
        b: &Self::Plain,
    ) -> Result<Self::Ciphertext, Self::Error>;

    /// a·b, of three polynomials.
    ///
    /// # Errors
    /// Levels differ, or the scale grows too large.
    fn multiply(
        &self,
        a: &Self::Ciphertext,
        b: &Self::Ciphertext,
    ) -> Result<Self::Ciphertext, Self::Error>;

    /// Takes three polynomials back to two.
    ///
    /// # Errors
    /// There are not three.
    fn relinearise(
        &self,
        a: &Self::Ciphertext,
        key: &Self::Relinearisation,
    ) -> Result<Self::Ciphertext, Self::Error>;

    /// Divides numbers and scale by the last modulus, and drops it.
    ///
    /// # Errors
    /// It is the only one, or the scheme is BFV.
    fn rescale(&self, a: &Self::Ciphertext) -> Result<Self::Ciphertext, Self::Error>;

    /// Drops the last modulus; the numbers stay.
    ///
    /// # Errors
    /// It is the only one.
    fn drop_last(&self, a: &Self::Ciphertext) -> Result<Self::Ciphertext, Self::Error>;

    /// Rotates to the left by `steps` slots; in BFV both rows.
    ///
    /// # Errors
    /// There is no key.
    fn rotate(
        &self,
        a: &Self::Ciphertext,
        steps: i32,
        keys: &Self::Rotations,
    ) -> Result<Self::Ciphertext, Self::Error>;
}

/// What an engine reads and writes in SEAL's format.
pub trait Object<E: Engine>: Sized {
    /// The one object that `bytes` are.
    ///
    /// # Errors
    /// They are no such object of these parameters.
    fn read(engine: &E, bytes: &[u8]) -> Result<Self, E::Error>;

    /// The object as bytes.
    ///
    /// # Errors
    /// The engine's own.
    fn write(&self, engine: &E, encoding: Encoding) -> Result<Zeroizing<Vec<u8>>, E::Error>;
}

/// The engine of this crate, the default, for the scheme that its encoder is of.
#[derive(Debug)]
pub struct Native<E = Encoder> {
    context: Arc<Context>,
    encoder: E,
    format: seal::Context,
}

impl<E> Native<E> {
    fn with(
        parameters: &Parameters,
        encoder: impl Fn(&Arc<Context>) -> Result<E, HeError>,
    ) -> Result<Self, SealError> {
        let context = Context::new(parameters.clone())?;
        let (encoder, format) = (encoder(&context)?, seal::Context::of(&context));
        Ok(Self { context, encoder, format })
    }

    /// The tables it computes with.
    pub const fn context(&self) -> &Arc<Context> {
        &self.context
    }
}

/// What both schemes have in common.
macro_rules! common {
    ($encoder:ty, $encrypt:ident, $decrypt:ident) => {
        const NAME: &'static str = "Cipher Nexus";
        type Error = SealError;
        type Secret = SecretKey;
        type Public = PublicKey;
        type Relinearisation = RelinearisationKey;
        type Rotations = GaloisKeys;

        fn new(parameters: &Parameters) -> Result<Self, SealError> {
            Self::with(parameters, <$encoder>::new)
        }

        fn secret(&self, rng: &mut dyn CryptoRng) -> Result<SecretKey, SealError> {
            Ok(SecretKey::generate(&self.context, rng))
        }

        fn public(
            &self,
            secret: &SecretKey,
            rng: &mut dyn CryptoRng,
        ) -> Result<PublicKey, SealError> {
            Ok(secret.public(rng))
        }

        fn relinearisation(
            &self,
            secret: &SecretKey,
            rng: &mut dyn CryptoRng,
        ) -> Result<RelinearisationKey, SealError> {
            Ok(secret.relinearisation(rng)?)
        }

        fn rotations(
            &self,
            secret: &SecretKey,
            steps: &[i32],
            rng: &mut dyn CryptoRng,
        ) -> Result<GaloisKeys, SealError> {
            let steps: Vec<i64> = steps.iter().copied().map(i64::from).collect();
            Ok(secret.rotations(&steps, rng)?)
        }

        fn decode(&self, plain: &Self::Plain) -> Result<Vec<Self::Number>, SealError> {
            Ok(self.encoder.decode(plain)?)
        }

        fn encrypt(
            &self,
            key: &PublicKey,
            plain: &Self::Plain,
            rng: &mut dyn CryptoRng,
        ) -> Result<Self::Ciphertext, SealError> {
            Ok(key.$encrypt(plain, rng)?)
        }

        fn encrypt_secretly(
            &self,
            secret: &SecretKey,
            plain: &Self::Plain,
            rng: &mut dyn CryptoRng,
        ) -> Result<Self::Ciphertext, SealError> {
            Ok(secret.$encrypt(plain, rng)?)
        }

        fn decrypt(
            &self,
            secret: &SecretKey,
            ciphertext: &Self::Ciphertext,
        ) -> Result<Self::Plain, SealError> {
            Ok(secret.$decrypt(ciphertext)?)
        }

        fn add(
            &self,
            a: &Self::Ciphertext,
            b: &Self::Ciphertext,
        ) -> Result<Self::Ciphertext, SealError> {
            Ok(a.clone().plus(b)?)
        }

        fn add_plain(
            &self,
            a: &Self::Ciphertext,
            b: &Self::Plain,
        ) -> Result<Self::Ciphertext, SealError> {
            Ok(a.clone().add_plain(b)?)
        }

        fn multiply_plain(
            &self,
            a: &Self::Ciphertext,
            b: &Self::Plain,
        ) -> Result<Self::Ciphertext, SealError> {
            Ok(a.clone().multiply_plain(b)?)
        }

        fn multiply(
            &self,
            a: &Self::Ciphertext,
            b: &Self::Ciphertext,
        ) -> Result<Self::Ciphertext, SealError> {
            Ok(a.multiply(b)?)
        }

        fn relinearise(
            &self,
            a: &Self::Ciphertext,
            key: &RelinearisationKey,
        ) -> Result<Self::Ciphertext, SealError> {
            Ok(a.clone().relinearise(key)?)
        }

        fn rotate(
            &self,
            a: &Self::Ciphertext,
            steps: i32,
            keys: &GaloisKeys,
        ) -> Result<Self::Ciphertext, SealError> {
            Ok(a.rotate(i64::from(steps), keys)?)
        }
    };
}

impl Engine for Native {
    type Number = f64;
    type Plain = Plaintext;
    type Ciphertext = Ciphertext;

    common!(Encoder, encrypt, decrypt);

    fn encode(&self, values: &[f64], scale: f64, moduli: usize) -> Result<Plaintext, SealError> {
        Ok(self.encoder.encode_at(values, scale, moduli)?)
    }

    fn rescale(&self, a: &Ciphertext) -> Result<Ciphertext, SealError> {
        Ok(a.clone().rescale()?)
    }

    fn drop_last(&self, a: &Ciphertext) -> Result<Ciphertext, SealError> {
        Ok(a.clone().drop_to(a.moduli() - 1)?)
    }
}

impl Engine for Native<bfv::Encoder> {
    type Number = i64;
    type Plain = bfv::Plaintext;
    type Ciphertext = bfv::Ciphertext;

    common!(bfv::Encoder, encrypt_integers, decrypt_integers);

    fn encode(&self, values: &[i64], _: f64, _: usize) -> Result<bfv::Plaintext, SealError> {
        Ok(self.encoder.encode(values)?)
    }

    fn rescale(&self, _: &bfv::Ciphertext) -> Result<bfv::Ciphertext, SealError> {
        Err(HeError::Scheme { operation: "rescaling" }.into())
    }

    fn drop_last(&self, a: &bfv::Ciphertext) -> Result<bfv::Ciphertext, SealError> {
        Ok(a.clone().drop_last()?)
    }
}

impl<E> Object<Native<E>> for SecretKey
where
    Native<E>: Engine<Error = SealError>,
{
    fn read(engine: &Native<E>, bytes: &[u8]) -> Result<Self, SealError> {
        Self::from_seal(&engine.context, &seal::SecretKey::read(bytes, &engine.format)?)
    }

    fn write(
        &self,
        engine: &Native<E>,
        encoding: Encoding,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        self.to_seal(&engine.format)?.write(&engine.format, encoding)
    }
}

/// Keys that are no secret.
macro_rules! key {
    ($type:ident, $object:ident) => {
        impl<E> Object<Native<E>> for $type
        where
            Native<E>: Engine<Error = SealError>,
        {
            fn read(engine: &Native<E>, bytes: &[u8]) -> Result<Self, SealError> {
                Self::from_seal(&engine.context, seal::$object::read(bytes, &engine.format)?)
            }

            fn write(
                &self,
                engine: &Native<E>,
                encoding: Encoding,
            ) -> Result<Zeroizing<Vec<u8>>, SealError> {
                self.to_seal(&engine.format).write(&engine.format, encoding).map(Zeroizing::new)
            }
        }
    };
}

key!(PublicKey, PublicKey);
key!(RelinearisationKey, RelinKeys);
key!(GaloisKeys, GaloisKeys);

/// Ciphertexts of either scheme.
macro_rules! ciphertext {
    ($type:ty, $engine:ty) => {
        impl Object<$engine> for $type {
            fn read(engine: &$engine, bytes: &[u8]) -> Result<Self, SealError> {
                Self::from_seal(&engine.context, seal::Ciphertext::read(bytes, &engine.format)?)
            }

            fn write(
                &self,
                engine: &$engine,
                encoding: Encoding,
            ) -> Result<Zeroizing<Vec<u8>>, SealError> {
                let object = self.to_seal(&engine.format)?;
                object.write(&engine.format, encoding).map(Zeroizing::new)
            }
        }
    };
}

ciphertext!(Ciphertext, Native);
ciphertext!(bfv::Ciphertext, Native<bfv::Encoder>);
