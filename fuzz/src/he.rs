//! Objects of SEAL, messages of TenSEAL, and encrypted inference.
//!
//! What a reader accepts it writes, and reads again as the same; and whoever computes with it gets
//! an answer or an error.

use nexus_he::seal::tenseal::{Secrets, Shared, Vector};
use nexus_he::seal::{
    self, Ciphertext, Encoding, GaloisKeys, Limits, Mode, Plaintext, PublicKey, RelinKeys,
    SealError, SecretKey, Version,
};
use nexus_he::{Scheme, bfv};
use nexus_inference::{Client, Description, Server};
use nexus_types::Canonical;

use crate::Target;
use crate::corpus::he::{WORD_BYTES, World, sealed, services, training, worlds};
use crate::corpus::{Made, rng};

/// How everything is written here.
const PLAIN: Encoding = Encoding { version: Version { major: 4, minor: 4 }, mode: Mode::None };

/// Readers alone, with nothing done with what they give: what they take in memory is theirs.
pub const READERS: &[Target] = &[
    Target { name: "seal parameters", run: |bytes| drop(seal::read_parameters(bytes)) },
    Target { name: "seal ciphertexts", run: |bytes| each(|it| drop(Ciphertext::read(bytes, it))) },
    Target { name: "seal plaintexts", run: |bytes| each(|it| drop(Plaintext::read(bytes, it))) },
    Target { name: "seal secret keys", run: |bytes| each(|it| drop(SecretKey::read(bytes, it))) },
    Target { name: "seal public keys", run: |bytes| each(|it| drop(PublicKey::read(bytes, it))) },
    Target {
        name: "seal relinearisation keys",
        run: |bytes| each(|it| drop(RelinKeys::read(bytes, it))),
    },
    Target { name: "seal Galois keys", run: |bytes| each(|it| drop(GaloisKeys::read(bytes, it))) },
    Target { name: "tenseal contexts", run: |bytes| drop(shared(bytes)) },
    Target { name: "tenseal vectors", run: |bytes| each(|it| drop(Vector::read(bytes, it))) },
];

/// The most bytes that one of [`READERS`] may have at once: words up to the limit, twice where a
/// frame within a frame is compressed, and some for decompressors and lists.
pub const READER_BYTES: u64 = 2 * WORD_BYTES + (1 << 20);

pub(crate) fn honest<T>(made: Made<T>) -> T {
    match made {
        Ok(made) => made,
        Err(error) => panic!("honest parties failed: {error}"),
    }
}

fn each(mut read: impl FnMut(&seal::Context)) {
    for world in honest(worlds()) {
        read(&world.wire);
    }
}

fn shared(bytes: &[u8]) -> Result<Shared, seal::tenseal::TensealError> {
    Shared::read(bytes, Secrets::Accept, Limits { bytes: WORD_BYTES })
}

/// Reads for every set of parameters, with bytes behind it too; what is accepted, is written, and is
/// accepted again as the same.
fn again<T>(
    bytes: &[u8],
    read: impl Fn(&[u8], &seal::Context) -> Result<T, SealError>,
    write: impl Fn(&T, &seal::Context) -> Result<Vec<u8>, SealError>,
    mut used: impl FnMut(&World, T),
) {
    for world in honest(worlds()) {
        let Ok(value) = read(bytes, &world.wire) else { continue };
        let once = write(&value, &world.wire).expect("what was accepted is written");
        let value = read(&once, &world.wire).expect("what was written is accepted");
        let twice = write(&value, &world.wire).expect("what was accepted is written");
        assert_eq!(once, twice, "an object with two encodings");
        used(world, value);
    }
}

pub(crate) fn parameters(bytes: &[u8]) {
    let read = |bytes: &[u8], _: &_| seal::read_parameters(bytes);
    again(bytes, read, |it, _| seal::write_parameters(it, PLAIN), |_, _| ());
    if let Ok(parameters) = seal::read_parameters(bytes) {
        // Tables of few primes only: there are parameters for which they take seconds.
        if parameters.degree() * parameters.moduli().len() <= 1 << 14 {
            drop(nexus_he::Context::new(parameters));
        }
    }
}

pub(crate) fn ciphertexts(bytes: &[u8]) {
    again(
        bytes,
        Ciphertext::read,
        |it, wire| it.write(wire, PLAIN),
        |world, object| {
            if world.tables.parameters().scheme() == Scheme::Bfv {
                integers(world, object);
            } else {
                numbers(world, object);
            }
        },
    );
}

/// Everything that is done with a stranger's numbers.
fn numbers(world: &World, object: Ciphertext) {
    let it = nexus_he::Ciphertext::from_seal(&world.tables, object).expect("it was read");
    let plain = world.secret.decrypt(&it).expect("parameters are the same");
    let encoder = nexus_he::Encoder::new(&world.tables).expect("the scheme is CKKS");
    drop(encoder.decode(&plain));
    drop(it.clone().plus(&it));
    drop(it.clone().minus(&it));
    drop(it.clone().rescale());
    drop(it.clone().drop_to(1));
    drop(it.clone().multiply_plain(&plain));
    drop(it.clone().add_plain(&plain));
    drop(it.multiply(&it).and_then(|it| it.relinearise(&world.keys.relinearise)));
    drop(it.clone().relinearise(&world.keys.relinearise));
    drop(it.rotations(&[0, 1, 5], &world.keys.rotate));
    drop(it.conjugate(&world.keys.rotate));
}

fn integers(world: &World, object: Ciphertext) {
    let it = bfv::Ciphertext::from_seal(&world.tables, object).expect("it was read");
    if let Ok(plain) = world.secret.decrypt_integers(&it) {
        let encoder = bfv::Encoder::new(&world.tables).expect("there are slots");
        drop(encoder.decode(&plain));
        drop(it.clone().multiply_plain(&plain));
        drop(it.clone().add_plain(&plain));
    }
    drop(world.secret.noise_budget(&it));
    drop(it.clone().plus(&it));
    drop(it.clone().minus(&it));
    drop(it.clone().drop_last());
    drop(it.multiply(&it).and_then(|it| it.relinearise(&world.keys.relinearise)));
    drop(it.rotate(1, &world.keys.rotate));
    drop(it.rotate(5, &world.keys.rotate));
    drop(it.swap_rows(&world.keys.rotate));
}

pub(crate) fn plaintexts(bytes: &[u8]) {
    again(
        bytes,
        Plaintext::read,
        |it, wire| it.write(wire, PLAIN),
        |world, object| {
            if let Ok(plain) = bfv::Plaintext::from_seal(&world.tables, &object) {
                let encoder = bfv::Encoder::new(&world.tables).expect("there are slots");
                drop(encoder.decode(&plain));
            }
        },
    );
}

pub(crate) fn secret_keys(bytes: &[u8]) {
    let write = |it: &SecretKey, wire: &_| it.write(wire, PLAIN).map(|bytes| bytes.to_vec());
    again(bytes, SecretKey::read, write, |world, object| {
        nexus_he::SecretKey::from_seal(&world.tables, &object).expect("it was read");
    });
}

pub(crate) fn public_keys(bytes: &[u8]) {
    again(
        bytes,
        PublicKey::read,
        |it, wire| it.write(wire, PLAIN),
        |world, object| {
            let key = nexus_he::PublicKey::from_seal(&world.tables, object).expect("it was read");
            if let Ok(encoder) = nexus_he::Encoder::new(&world.tables) {
                let plain = encoder.encode(&[1.0], 1024.0).expect("it fits");
                drop(key.encrypt(&plain, &mut rng(7)));
            }
        },
    );
}

pub(crate) fn relinearisation_keys(bytes: &[u8]) {
    again(
        bytes,
        RelinKeys::read,
        |it, wire| it.write(wire, PLAIN),
        |world, object| {
            // Keys for higher powers alone are possible.
            drop(nexus_he::RelinearisationKey::from_seal(&world.tables, object));
        },
    );
}

pub(crate) fn galois_keys(bytes: &[u8]) {
    again(
        bytes,
        GaloisKeys::read,
        |it, wire| it.write(wire, PLAIN),
        |world, object| {
            let keys =
                nexus_he::GaloisKeys::from_seal(&world.tables, object).expect("they were read");
            let mut elements = keys.elements();
            assert!(elements.all(|it| it % 2 == 1 && it < 2 * world.tables.degree() as u64));
        },
    );
}

pub(crate) fn contexts(bytes: &[u8]) {
    let Ok(read) = shared(bytes) else { return };
    let once = read.write(PLAIN).expect("what was accepted is written");
    let twice = shared(&once).expect("what was written is accepted").write(PLAIN);
    assert_eq!(twice.ok(), Some(once), "a context with two encodings");
    if read.private.is_some() {
        let refused = Shared::read(bytes, Secrets::Refuse, Limits { bytes: WORD_BYTES });
        assert!(refused.is_err(), "a secret key that nobody asked for");
    }
}

pub(crate) fn vectors(bytes: &[u8]) {
    each(|wire| {
        let Ok(read) = Vector::read(bytes, wire) else { return };
        let once = read.write(wire, PLAIN).expect("what was accepted is written");
        let twice = Vector::read(&once, wire).expect("what was written is accepted");
        assert_eq!(twice, read, "a vector with two encodings");
    });
}

pub(crate) fn keys(bytes: &[u8]) {
    for service in honest(services()) {
        if let Ok(name) = service.server.register(bytes) {
            let answer = service.server.answer(name, &service.question, &mut rng(8));
            answer.expect("keys that were accepted serve");
        }
    }
}

pub(crate) fn questions(bytes: &[u8]) {
    for service in honest(services()) {
        if let Ok(answer) = service.server.answer(service.name, bytes, &mut rng(9)) {
            answers(&answer);
        }
    }
}

pub(crate) fn answers(bytes: &[u8]) {
    for service in honest(services()) {
        if let Ok(prediction) = service.client.prediction(bytes) {
            let numbers = prediction.outputs.iter().chain(&prediction.probability);
            assert!(numbers.copied().all(f64::is_finite), "an answer that is no number");
        }
    }
}

/// What a server tells makes a client, with keys of bounded size, or does not.
pub(crate) fn descriptions(bytes: &[u8]) {
    let Ok(description) = Description::decode(bytes) else { return };
    let small = description.terms.degree <= 4096 && description.terms.moduli.len() <= 4;
    if !small {
        drop(description.check());
        return;
    }
    if let Ok(client) = Client::new(description, &mut rng(10)) {
        // A row is never longer than the user's, whatever a server says.
        let width = client.description().terms.inputs.min(1 << 12) as usize;
        drop(client.keys(&mut rng(11)));
        drop(client.question(&vec![0.5; width], &mut rng(12)));
    }
}

/// A model that its server does not see: an outline makes a server with these weights, or does not.
pub(crate) fn outlines(bytes: &[u8]) {
    let model = honest(sealed());
    drop(Server::sealed(bytes, &model.weights, model.hash, model.task.clone(), 1));
}

pub(crate) fn weights(bytes: &[u8]) {
    let model = honest(sealed());
    let server = Server::sealed(&model.outline, bytes, model.hash, model.task.clone(), 1);
    if let Ok(server) = server {
        let name = server.register(&model.keys).expect("the user's keys are good");
        drop(server.answer(name, &model.question, &mut rng(13)));
    }
}

pub(crate) fn training_questions(bytes: &[u8]) {
    if let Ok(answer) = honest(training()).worker.train(bytes) {
        training_answers(&answer);
    }
}

pub(crate) fn training_answers(bytes: &[u8]) {
    let mut owner = honest(training()).owner.lock().expect("no target panicked before");
    if let Ok(weights) = owner.weights(bytes) {
        assert!(weights.iter().all(|weight| weight.is_finite()), "a weight that is no number");
    }
}
