//! Keys and ciphertexts of small parameters, and a model that answers encrypted questions.

use std::sync::{Arc, LazyLock, Mutex};

use nexus_he::circuit::Limits as PlanLimits;
use nexus_he::seal::tenseal::{Private, Shared, Vector};
use nexus_he::seal::{self, Encoding, Limits, Mode, Version};
use nexus_he::{Context, Encoder, Parameters, Scheme, SecretKey, bfv};
use nexus_inference::{Client, Compiled, Description, Server, Task};
use nexus_learning::encrypted;
use nexus_models::{ModelSpec, Network};
use nexus_types::{Canonical, Digest, ModelHash, Seed};

use super::{Corpus, Made, rng};
use crate::frames::framed;

/// The most bytes of words that readers may take here.
pub(crate) const WORD_BYTES: u64 = 4 << 20;

/// One set of parameters, and objects of them.
pub(crate) struct World {
    pub(crate) tables: Arc<Context>,
    pub(crate) wire: seal::Context,
    pub(crate) secret: SecretKey,
    pub(crate) keys: Keys,
    pub(crate) objects: Vec<(&'static str, Vec<u8>)>,
}

/// Keys that evaluate.
pub(crate) struct Keys {
    pub(crate) relinearise: nexus_he::RelinearisationKey,
    pub(crate) rotate: nexus_he::GaloisKeys,
}

/// CKKS and BFV.
pub(crate) fn worlds() -> Made<&'static [World; 2]> {
    static WORLDS: LazyLock<Made<[World; 2]>> = LazyLock::new(|| {
        let ckks = Parameters::ckks(2048, &[27, 27])?;
        Ok([World::new(ckks)?, World::new(Parameters::bfv(2048, &[27, 27], 17)?)?])
    });
    WORLDS.as_ref().map_err(|error| error.to_string().into())
}

impl World {
    fn new(parameters: Parameters) -> Made<Self> {
        let rng = &mut rng(1);
        let tables = Context::new(parameters)?;
        let wire = seal::Context::of(&tables).with_limits(Limits { bytes: WORD_BYTES });
        let secret = SecretKey::generate(&tables, rng);
        let relinearise = secret.relinearisation(rng)?;
        let rotate = secret.galois(&[3, tables.conjugation()], rng)?;
        let keys = Keys { relinearise, rotate };
        let mut world = Self { tables, wire, secret, keys, objects: Vec::new() };
        for mode in [Mode::None, Mode::Zlib, Mode::Zstd] {
            let how = Encoding { mode, ..Encoding::default() };
            world.objects.extend(world.written(how)?);
        }
        let newest = Encoding { version: Version { major: 4, minor: 4 }, mode: Mode::None };
        world.objects.extend(world.written(newest)?);
        world.objects.extend(world.messages()?);
        Ok(world)
    }

    /// A seeded ciphertext, the same without its seed, and the plaintext.
    fn sealed(&self) -> Made<([seal::Ciphertext; 2], seal::Plaintext)> {
        let (tables, wire, rng) = (&self.tables, &self.wire, &mut rng(2));
        if tables.parameters().scheme() == Scheme::Bfv {
            let plain = bfv::Encoder::new(tables)?.encode(&[1, -2, 3])?;
            let seeded = self.secret.encrypt_integers_seeded(&plain, rng)?;
            let both = [seeded.to_seal(wire)?, seeded.ciphertext().to_seal(wire)?];
            return Ok((both, plain.to_seal()));
        }
        let plain = Encoder::new(tables)?.encode(&[1.0, -2.0, 3.0], 2_f64.powi(20))?;
        let seeded = self.secret.encrypt_seeded(&plain, rng)?;
        let both = [seeded.to_seal(wire)?, seeded.ciphertext().to_seal(wire)?];
        let parms_id = Some(wire.first_level().id);
        let words = plain.words().to_vec();
        Ok((both, seal::Plaintext { parms_id, scale: plain.scale(), words }))
    }

    fn written(&self, how: Encoding) -> Made<Vec<(&'static str, Vec<u8>)>> {
        let (wire, rng) = (&self.wire, &mut rng(3));
        let ([seeded, whole], plain) = self.sealed()?;
        let public = self.secret.public(rng).to_seal(wire);
        let relin = self.keys.relinearise.to_seal(wire);
        let galois = self.keys.rotate.to_seal(wire);
        Ok(vec![
            ("seal parameters", seal::write_parameters(wire.parameters(), how)?),
            ("seal ciphertexts", seeded.write(wire, how)?),
            ("seal ciphertexts", whole.write(wire, how)?),
            ("seal plaintexts", plain.write(wire, how)?),
            ("seal secret keys", self.secret.to_seal(wire)?.write(wire, how)?.to_vec()),
            ("seal public keys", public.write(wire, how)?),
            ("seal public keys", public.expand(wire)?.write(wire, how)?),
            ("seal relinearisation keys", relin.write(wire, how)?),
            ("seal relinearisation keys", relin.expand(wire)?.write(wire, how)?),
            ("seal Galois keys", galois.write(wire, how)?),
        ])
    }

    /// As TenSEAL has them: for who computes, for the owner of the key, and a vector.
    fn messages(&self) -> Made<Vec<(&'static str, Vec<u8>)>> {
        let (wire, how) = (&self.wire, seal::tenseal::ENCODING);
        let scale = (wire.parameters().scheme() == Scheme::Ckks).then_some(2_f64.powi(20));
        let public = Shared {
            context: wire.clone(),
            public: Some(self.secret.public(&mut rng(4)).to_seal(wire)),
            flags: 7,
            scale,
            relin: Some(self.keys.relinearise.to_seal(wire)),
            galois: Some(self.keys.rotate.to_seal(wire)),
            symmetric: false,
            private: None,
        };
        let key = self.secret.to_seal(wire)?;
        let private = Some(Private { key, relin: true, galois: true });
        let own = Shared { relin: None, galois: None, private, ..public.clone() };
        let (sealed, _) = self.sealed()?;
        let (lengths, scale) = (vec![3, 3], scale.unwrap_or(1.0));
        let vector = Vector { lengths, ciphertexts: sealed.to_vec(), scale };
        Ok(vec![
            ("tenseal contexts", public.write(how)?.to_vec()),
            ("tenseal contexts", own.write(how)?.to_vec()),
            ("tenseal vectors", vector.write(wire, how)?),
        ])
    }
}

/// A model with one user.
pub(crate) struct Service {
    pub(crate) server: Server,
    pub(crate) client: Client,
    /// What the user's keys go by.
    pub(crate) name: Digest,
    pub(crate) keys: Vec<u8>,
    pub(crate) question: Vec<u8>,
    pub(crate) answer: Vec<u8>,
}

/// One that answers a row at a time, and one that answers many at once.
pub(crate) fn services() -> Made<&'static [Service; 2]> {
    static SERVICES: LazyLock<Made<[Service; 2]>> =
        LazyLock::new(|| Ok([Service::new(false)?, Service::new(true)?]));
    SERVICES.as_ref().map_err(|error| error.to_string().into())
}

impl Service {
    fn new(many: bool) -> Made<Self> {
        let rng = &mut rng(5);
        let network = Network::<f64>::new(&ModelSpec::softmax(5, 2))?;
        let weights = network.initial(&Seed::from_number(1));
        let compiled = Compiled::new(&network, &weights, &[])?;
        let task = Task::Classes(vec!["no".to_owned(), "yes".to_owned()]);
        // Room for keys that are registered by chance, and this user's stay.
        let (limits, hash, users) = (PlanLimits::default(), network.hash(), 1 << 10);
        let server = if many {
            Server::batched(&compiled.batched(&limits)?, hash, task, users)?
        } else {
            Server::new(&compiled.plan(&limits)?, hash, task, users)?
        };
        let client = Client::new(server.description().clone(), rng)?;
        let keys = client.keys(rng)?;
        let name = server.register(&keys)?;
        let question = client.question(&[0.5; 5], rng)?;
        let answer = server.answer(name, &question, rng)?;
        Ok(Self { server, client, name, keys, question, answer })
    }
}

/// A model whose server does not see it, and what is sent for it.
pub(crate) struct SealedModel {
    pub(crate) hash: ModelHash,
    pub(crate) task: Task,
    pub(crate) outline: Vec<u8>,
    pub(crate) weights: Vec<u8>,
    pub(crate) keys: Vec<u8>,
    pub(crate) question: Vec<u8>,
}

pub(crate) fn sealed() -> Made<&'static SealedModel> {
    static MODEL: LazyLock<Made<SealedModel>> = LazyLock::new(SealedModel::new);
    MODEL.as_ref().map_err(|error| error.to_string().into())
}

impl SealedModel {
    fn new() -> Made<Self> {
        let (rng, limits) = (&mut rng(6), PlanLimits::default());
        let network = Network::<f64>::new(&ModelSpec::softmax(5, 2))?;
        let weights = network.initial(&Seed::from_number(1));
        let plan = Compiled::new(&network, &weights, &[])?.plan(&limits)?.sealed(&limits)?;
        let program = plan.prepare()?;
        let task = Task::Classes(vec!["no".to_owned(), "yes".to_owned()]);
        let (model, terms) = (network.hash(), program.terms().clone());
        let client = Client::new(Description { model, task: task.clone(), terms }, rng)?;
        Ok(Self {
            hash: model,
            task,
            outline: program.outline().encode()?,
            weights: client.weights(&program, rng)?,
            keys: client.keys(rng)?,
            question: client.question(&[0.5; 5], rng)?,
        })
    }
}

/// An owner whose model is trained for it.
pub(crate) struct Training {
    pub(crate) owner: Mutex<encrypted::Owner>,
    pub(crate) worker: encrypted::Worker,
    pub(crate) terms: Vec<u8>,
    pub(crate) question: Vec<u8>,
    pub(crate) answer: Vec<u8>,
}

pub(crate) fn training() -> Made<&'static Training> {
    static TRAINING: LazyLock<Made<Training>> = LazyLock::new(Training::new);
    TRAINING.as_ref().map_err(|error| error.to_string().into())
}

impl Training {
    fn new() -> Made<Self> {
        let rng = &mut rng(7);
        let terms = encrypted::Terms::plan(3, 2, &encrypted::Settings::default())?;
        let (rows, labels) = ([0.5, -0.5, 1.0, 0.25, -1.0, 0.0], [true, true, false]);
        let mut owner = encrypted::Owner::new(terms.clone(), &rows, &labels, rng)?;
        let (keys, rows) = (owner.keys(rng)?, owner.rows(rng)?);
        let worker = encrypted::Worker::new(terms.clone(), &keys, &rows)?;
        let question = owner.question(&[0.0; 3], rng)?;
        let answer = worker.train(&question)?;
        let owner = Mutex::new(owner);
        Ok(Self { owner, worker, terms: terms.encode()?, question, answer })
    }
}

/// Few bytes that grow to many, for every reader.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = vec![0; 1 << 24];
    let once = [1, 2].map(|mode| framed([4, 4], mode, &zeros));
    let twice = [1, 2].map(|mode| framed([4, 4], mode, &once[usize::from(mode == 1)]));
    let bombs = once.iter().chain(&twice);
    let readers = crate::he::READERS.iter().map(|reader| reader.name);
    readers.flat_map(|name| bombs.clone().map(move |bomb| (name, bomb.clone()))).collect()
}

/// Objects, messages, and what once went wrong or could.
pub(crate) fn add(corpus: &mut Corpus) -> Made<()> {
    let objects = worlds()?.iter().flat_map(|world| world.objects.clone());
    for (name, bytes) in objects.chain(bombs()) {
        corpus.entry(name).or_default().push(bytes);
    }
    for service in services()? {
        let description = service.server.description();
        let terms = description.terms.encode()?;
        corpus.entry(nexus_he::circuit::Terms::DOMAIN).or_default().push(terms);
        let described = description.encode()?;
        for (name, bytes) in [
            (nexus_inference::Description::DOMAIN, &described),
            ("inference descriptions", &described),
            ("inference keys", &service.keys),
            ("inference questions", &service.question),
            ("inference answers", &service.answer),
        ] {
            corpus.entry(name).or_default().push(bytes.clone());
        }
    }
    let (model, training) = (sealed()?, training()?);
    for (name, bytes) in [
        (nexus_he::circuit::Outline::DOMAIN, &model.outline),
        ("inference outlines", &model.outline),
        ("inference weights", &model.weights),
        (encrypted::Terms::DOMAIN, &training.terms),
        ("encrypted training questions", &training.question),
        ("encrypted training answers", &training.answer),
    ] {
        corpus.entry(name).or_default().push(bytes.clone());
    }
    Ok(())
}
