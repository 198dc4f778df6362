//! Messages that TenSEAL 0.3.18 wrote, and hostile ones.

use proptest::prelude::*;

use super::expected;
use crate::seal::tenseal::{ENCODING, Secrets, Shared, TensealError, Vector};
use crate::seal::{Limits, SealError};
use crate::{Encoder, SecretKey, bfv};

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("../../../../../../vectors/seal/tenseal_", $name, ".bin")).as_slice()
    };
}

fn owner(bytes: &[u8]) -> Shared {
    Shared::read(bytes, Secrets::Accept, Limits::default()).unwrap()
}

#[test]
fn a_vector_of_tenseal_is_decrypted() {
    let shared = owner(sample!("ckks_context"));
    let tables = crate::Context::new(shared.context.parameters().clone()).unwrap();
    let secret = SecretKey::from_seal(&tables, &shared.private.as_ref().unwrap().key).unwrap();
    let vector = Vector::read(sample!("ckks_vector"), &shared.context).unwrap();
    let known = &expected()["tenseal_ckks"];
    assert_eq!(Some(vector.scale), known["scale"].as_f64());
    let ciphertext = vector.ciphertexts[0].clone();
    let ciphertext = crate::Ciphertext::from_seal(&tables, ciphertext).unwrap();
    let plain = secret.decrypt(&ciphertext).unwrap();
    let got = Encoder::new(&tables).unwrap().decode(&plain).unwrap();
    let wanted = known["seal_decrypts_to"].as_array().unwrap();
    assert_eq!(vector.lengths, [wanted.len() as u64]);
    for (wanted, got) in wanted.iter().zip(got) {
        assert!((wanted.as_f64().unwrap() - got).abs() < 1e-9, "{wanted} {got}");
    }
}

#[test]
fn a_vector_of_integers_is_decrypted_and_goes_back_word_for_word() {
    let shared = owner(sample!("bfv_context"));
    let tables = crate::Context::new(shared.context.parameters().clone()).unwrap();
    let secret = SecretKey::from_seal(&tables, &shared.private.as_ref().unwrap().key).unwrap();
    let vector = Vector::read(sample!("bfv_vector"), &shared.context).unwrap();
    let values = expected()["tenseal_bfv"]["values"].clone();
    let values: Vec<i64> =
        values.as_array().unwrap().iter().map(|value| value.as_i64().unwrap()).collect();
    assert_eq!(vector.lengths, [values.len() as u64]);
    let object = vector.ciphertexts[0].clone();
    let ciphertext = bfv::Ciphertext::from_seal(&tables, object.clone()).unwrap();
    let plain = secret.decrypt_integers(&ciphertext).unwrap();
    let got = bfv::Encoder::new(&tables).unwrap().decode(&plain).unwrap();
    // TenSEAL repeats them over all slots.
    assert!(got.iter().eq(values.iter().cycle().take(4096)));
    assert!(secret.noise_budget(&ciphertext).unwrap() > 20.0);
    assert_eq!(ciphertext.to_seal(&shared.context).unwrap(), object);
    assert!(crate::Ciphertext::from_seal(&tables, object.clone()).is_err());

    let transformed = crate::seal::Ciphertext {
        ntt_form: true,
        words: ciphertext.polynomials().concat(),
        ..object
    };
    let again = bfv::Ciphertext::from_seal(&tables, transformed).unwrap();
    assert_eq!(again.polynomials(), ciphertext.polynomials());
    let object = plain.to_seal();
    assert_eq!(bfv::Plaintext::from_seal(&tables, &object).unwrap(), plain);
}

#[test]
fn seeds_of_integers_give_coefficients() {
    let shared = owner(sample!("bfv_context"));
    let tables = crate::Context::new(shared.context.parameters().clone()).unwrap();
    let mut rng =
        <rand_chacha::ChaCha12Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(5);
    let secret = SecretKey::generate(&tables, &mut rng);
    let plain = bfv::Plaintext::new(&tables, &[3, 1, 4]).unwrap();
    let fresh = secret.encrypt_integers_seeded(&plain, &mut rng).unwrap();
    let bytes = fresh.to_seal(&shared.context).unwrap();
    let bytes = bytes.write(&shared.context, ENCODING).unwrap();
    let read = crate::seal::Ciphertext::read(&bytes, &shared.context).unwrap();
    assert!(read.seed.is_some() && !read.ntt_form);
    let read = bfv::Ciphertext::from_seal(&tables, read).unwrap();
    assert_eq!(read.polynomials(), fresh.ciphertext().polynomials());
    assert_eq!(secret.decrypt_integers(&read).unwrap(), plain);
}

#[test]
fn messages_are_written_as_they_came() {
    for (context, vector) in [
        (sample!("ckks_context"), sample!("ckks_vector")),
        (sample!("bfv_context"), sample!("bfv_vector")),
    ] {
        let shared = owner(context);
        let again = owner(&shared.write(ENCODING).unwrap());
        assert_eq!(again.public, shared.public);
        assert_eq!((again.flags, again.scale), (shared.flags, shared.scale));
        let keys = [&again, &shared].map(|it| it.private.as_ref().unwrap().key.words().to_vec());
        assert_eq!(keys[0], keys[1]);
        let read = Vector::read(vector, &shared.context).unwrap();
        let bytes = read.write(&shared.context, ENCODING).unwrap();
        assert_eq!(Vector::read(&bytes, &shared.context).unwrap(), read);
        // Without the key it is what a server gets.
        let public = Shared { private: None, ..shared };
        let bytes = public.write(ENCODING).unwrap();
        let read = Shared::read(&bytes, Secrets::Refuse, Limits::default()).unwrap();
        assert_eq!(read.public, public.public);
    }
}

#[test]
fn hostile_messages_are_refused_for_their_reasons() {
    let read = |bytes: &[u8]| Shared::read(bytes, Secrets::Accept, Limits::default()).unwrap_err();
    let good = sample!("ckks_context");
    let refused = Shared::read(good, Secrets::Refuse, Limits::default()).unwrap_err();
    assert_eq!(refused, TensealError::Secret);
    assert!(matches!(read(&[]), TensealError::Missing { field: "parameters", .. }));
    assert!(matches!(read(&good[..good.len() - 1]), TensealError::Cut { .. }));
    assert!(matches!(read(&[good, good].concat()), TensealError::Twice { number: 1, .. }));
    assert!(matches!(read(&[good, &[0x20, 2]].concat()), TensealError::Value { got: 2, .. }));
    assert!(matches!(read(&[good, &[0x28, 2]].concat()), TensealError::Field { number: 5, .. }));
    assert!(matches!(read(&[0xff; 12]), TensealError::Number));
    assert!(matches!(read(&[0x0a, 0xff, 0xff, 0xff, 0x7f]), TensealError::Cut { .. }));
    let small = Limits { bytes: 1 << 12 };
    let over = Shared::read(good, Secrets::Accept, small).unwrap_err();
    assert!(matches!(over, TensealError::Seal(SealError::Memory { .. })), "{over}");

    let context = owner(good).context;
    let vector = sample!("ckks_vector");
    let read = |bytes: &[u8]| Vector::read(bytes, &context).unwrap_err();
    assert!(matches!(read(&[]), TensealError::Missing { field: "a scale", .. }));
    assert!(matches!(read(&[vector, vector].concat()), TensealError::Twice { number: 1, .. }));
    let good = Vector::read(vector, &context).unwrap();
    for lengths in [vec![], vec![0], vec![2049], vec![1, 1]] {
        let bad = Vector { lengths, ..good.clone() };
        assert!(bad.write(&context, ENCODING).is_err());
    }
    let other = owner(sample!("bfv_context")).context;
    assert!(matches!(
        Vector::read(vector, &other).unwrap_err(),
        TensealError::Seal(SealError::Level { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn damage_never_breaks_a_reader(
        at in any::<prop::sample::Index>(),
        near in 0_usize..24,
        value in any::<u8>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let context = owner(sample!("ckks_context")).context;
        for good in [sample!("ckks_context"), sample!("ckks_vector")] {
            let mut bad = good.to_vec();
            bad[near] = value;
            let at = at.index(bad.len());
            bad[at] ^= value | 1;
            if let Some(cut) = cut {
                bad.truncate(cut.index(good.len()));
            }
            let _ = Shared::read(&bad, Secrets::Accept, Limits::default());
            if let Ok(read) = Vector::read(&bad, &context) {
                prop_assert!(read.write(&context, ENCODING).is_ok());
            }
        }
    }

    #[test]
    fn bytes_by_chance_never_break_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Shared::read(&bytes, Secrets::Accept, Limits::default());
    }
}
