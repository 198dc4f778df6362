//! Objects that SEAL and TenSEAL made.

use std::sync::Arc;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::expected;
use crate::seal::{self, Context, Encoding, Header, Mode, Version};
use crate::{Ciphertext, Encoder, GaloisKeys, PublicKey, RelinearisationKey, SecretKey};

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("../../../../../../vectors/seal/seal443_ckks_", $name, ".bin"))
    };
}

fn tables() -> (Arc<crate::Context>, Context) {
    let parameters = seal::read_parameters(sample!("params")).unwrap();
    let tables = crate::Context::new(parameters).unwrap();
    let context = Context::of(&tables);
    (tables, context)
}

fn secret(tables: &Arc<crate::Context>, context: &Context) -> SecretKey {
    let key = seal::SecretKey::read(sample!("secret_key"), context).unwrap();
    SecretKey::from_seal(tables, &key).unwrap()
}

fn numbers(tables: &Arc<crate::Context>, secret: &SecretKey, it: &Ciphertext) -> Vec<f64> {
    Encoder::new(tables).unwrap().decode(&secret.decrypt(it).unwrap()).unwrap()
}

fn first(tables: &Arc<crate::Context>, context: &Context) -> Ciphertext {
    let object = seal::Ciphertext::read(sample!("ciphertext"), context).unwrap();
    assert!(object.seed.is_some());
    Ciphertext::from_seal(tables, object).unwrap()
}

#[test]
fn what_seal_encrypted_is_decrypted() {
    let (tables, context) = tables();
    let secret = secret(&tables, &context);
    let got = numbers(&tables, &secret, &first(&tables, &context));
    for (slot, got) in got.into_iter().enumerate() {
        assert!((got - (0.01 * slot as f64).sin()).abs() < 1e-3, "slot {slot}: {got}");
    }
}

#[test]
fn evaluation_gives_the_bytes_that_seal_gives() {
    let (tables, context) = tables();
    let relin = seal::RelinKeys::read(sample!("relin_keys"), &context).unwrap();
    let galois = seal::GaloisKeys::read(sample!("galois_keys"), &context).unwrap();
    let relin = RelinearisationKey::from_seal(&tables, relin).unwrap();
    let galois = GaloisKeys::from_seal(&tables, galois).unwrap();
    assert_eq!(galois.elements().collect::<Vec<_>>(), [3]);
    let first = first(&tables, &context);
    let square = first.multiply(&first).unwrap().relinearise(&relin).unwrap().rescale().unwrap();
    let result = square.rotate(1, &galois).unwrap();
    let scale = expected()["seal443_ckks"]["result_scale"].as_f64().unwrap();
    assert_eq!(result.scale().to_bits(), scale.to_bits());
    let encoding = Encoding { version: Version { major: 4, minor: 4 }, mode: Mode::None };
    let bytes = result.to_seal(&context).unwrap().write(&context, encoding).unwrap();
    assert!(bytes == sample!("result"));
}

#[test]
fn keys_of_seal_encrypt_and_are_written_as_they_came() {
    let (tables, context) = tables();
    let bytes = sample!("public_key");
    let object = seal::PublicKey::read(bytes, &context).unwrap();
    let public = PublicKey::from_seal(&tables, object.clone()).unwrap();
    assert_eq!(public.to_seal(&context), object);
    let encoder = Encoder::new(&tables).unwrap();
    let plain = encoder.encode(&[0.5, -3.0], 2_f64.powi(30)).unwrap();
    let rng = &mut ChaCha12Rng::seed_from_u64(1);
    let got = numbers(&tables, &secret(&tables, &context), &public.encrypt(&plain, rng).unwrap());
    assert!((got[0] - 0.5).abs() < 1e-3 && (got[1] + 3.0).abs() < 1e-3);
    // Seeds are kept; what is written is read again.
    let relin = seal::RelinKeys::read(sample!("relin_keys"), &context).unwrap();
    let key = RelinearisationKey::from_seal(&tables, relin.clone()).unwrap();
    assert_eq!(key.to_seal(&context), relin);
    assert!(relin.keys[0].as_ref().is_some_and(|parts| parts.iter().all(|it| it.seed.is_some())));
    let version = Header::read(bytes).unwrap().version.answered();
    for mode in [Mode::None, Mode::Zlib, Mode::Zstd] {
        let written = relin.write(&context, Encoding { version, mode }).unwrap();
        assert_eq!(seal::RelinKeys::read(&written, &context).unwrap(), relin);
    }
}

#[test]
fn every_object_of_ours_comes_back() {
    let parameters = crate::Parameters::ckks(4096, &[38, 30, 38]).unwrap();
    let tables = crate::Context::new(parameters.clone()).unwrap();
    let context = Context::of(&tables);
    let rng = &mut ChaCha12Rng::seed_from_u64(2);
    let secret = SecretKey::generate(&tables, rng);
    let (public, relin) = (secret.public(rng), secret.relinearisation(rng).unwrap());
    let galois = secret.rotations(&[1, -2], rng).unwrap();
    let encoder = Encoder::new(&tables).unwrap();
    let plain = encoder.encode(&[1.0, 2.0, 3.0], 2_f64.powi(30)).unwrap();
    let seeded = secret.encrypt_seeded(&plain, rng).unwrap();
    for mode in [Mode::None, Mode::Zlib, Mode::Zstd] {
        let encoding = Encoding { mode, ..Encoding::default() };
        let bytes = seal::write_parameters(&parameters, encoding).unwrap();
        assert_eq!(seal::read_parameters(&bytes).unwrap(), parameters);
        let bytes = seeded.to_seal(&context).unwrap().write(&context, encoding).unwrap();
        let full =
            seeded.ciphertext().to_seal(&context).unwrap().write(&context, encoding).unwrap();
        assert!(bytes.len() * 2 < full.len() + 2000, "{} {}", bytes.len(), full.len());
        for bytes in [&bytes, &full] {
            let read = seal::Ciphertext::read(bytes, &context).unwrap();
            let back = Ciphertext::from_seal(&tables, read).unwrap();
            assert_eq!(back.polynomials(), seeded.ciphertext().polynomials());
        }
        let bytes = secret.to_seal(&context).unwrap().write(&context, encoding).unwrap();
        let read = seal::SecretKey::read(&bytes, &context).unwrap();
        let back = SecretKey::from_seal(&tables, &read).unwrap();
        assert!((numbers(&tables, &back, seeded.ciphertext())[1] - 2.0).abs() < 1e-3);
        let bytes = public.to_seal(&context).write(&context, encoding).unwrap();
        let read = seal::PublicKey::read(&bytes, &context).unwrap();
        assert_eq!(PublicKey::from_seal(&tables, read).unwrap().pair(), public.pair());
        let bytes = relin.to_seal(&context).write(&context, encoding).unwrap();
        let read = seal::RelinKeys::read(&bytes, &context).unwrap();
        let back = RelinearisationKey::from_seal(&tables, read).unwrap();
        assert_eq!(back.0.pairs(), relin.0.pairs());
        let bytes = galois.to_seal(&context).write(&context, encoding).unwrap();
        let read = seal::GaloisKeys::read(&bytes, &context).unwrap();
        let back = GaloisKeys::from_seal(&tables, read).unwrap();
        let same = |(a, b): (&u64, &crate::SwitchingKey)| back.all()[a].pairs() == b.pairs();
        assert!(galois.all().iter().all(same) && back.all().len() == galois.all().len());
    }
}
