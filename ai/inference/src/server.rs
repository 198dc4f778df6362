//! Who has the model and no key.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use nexus_he::circuit::{
    BatchPlan, BatchProgram, Cost, EvaluationKeys, Outline, Plan, Program, Terms,
};
use nexus_he::seal::{self, Encoding, Limits};
use nexus_he::{Ciphertext, Context, HeError, Threads};
use nexus_types::{Canonical, CryptoRng, Digest, ModelHash};

#[cfg(doc)]
use crate::Client;
use crate::{Description, InferenceError, Task};

/// A model that answers encrypted questions. It can be shared between threads.
#[derive(Debug)]
pub struct Server {
    description: Description,
    program: Computing,
    wire: seal::Context,
    key_bytes: usize,
    question_bytes: usize,
    keys: Mutex<Cache>,
}

/// What is computed for a question.
#[derive(Debug)]
enum Computing {
    Row(Program),
    Batch(BatchProgram),
}

impl Computing {
    fn on(self, threads: Arc<Threads>) -> Self {
        match self {
            Self::Row(program) => Self::Row(program.on(threads)),
            Self::Batch(program) => Self::Batch(program.on(threads)),
        }
    }

    const fn context(&self) -> &Arc<Context> {
        match self {
            Self::Row(program) => program.context(),
            Self::Batch(program) => program.context(),
        }
    }

    fn run(
        &self,
        mut inputs: Vec<Ciphertext>,
        keys: &EvaluationKeys,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<Ciphertext>, HeError> {
        match self {
            Self::Row(program) => {
                let input = inputs.pop().ok_or(HeError::Width { got: 0, needed: 1 })?;
                Ok(vec![program.run(&input, keys, rng)?])
            }
            Self::Batch(program) => program.run(inputs, keys),
        }
    }
}

/// The keys of users, the ones not used for longest giving way.
#[derive(Debug)]
struct Cache {
    entries: BTreeMap<Digest, Entry>,
    uses: u64,
    most: usize,
}

#[derive(Debug)]
struct Entry {
    keys: Arc<EvaluationKeys>,
    used: u64,
    owner: Owner,
}

/// Whose keys they are, where it is known: nobody else asks under them.
pub type Owner = Option<[u8; 32]>;

impl Cache {
    fn get(&mut self, id: &Digest, owner: Owner) -> Option<Arc<EvaluationKeys>> {
        self.uses += 1;
        let entry = self.entries.get_mut(id).filter(|entry| entry.owner == owner)?;
        entry.used = self.uses;
        Some(Arc::clone(&entry.keys))
    }

    /// Who is known has one place, and takes nobody else's but the one not used for longest.
    fn put(&mut self, id: Digest, keys: EvaluationKeys, owner: Owner) {
        self.uses += 1;
        self.entries.retain(|_, entry| owner.is_none() || entry.owner != owner);
        self.entries.insert(id, Entry { keys: Arc::new(keys), used: self.uses, owner });
        while self.entries.len() > self.most {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(id, _)| *id) else { break };
            self.entries.remove(&oldest);
        }
    }
}

impl Server {
    /// A server of a planned model that keeps the keys of up to `users` users, at least of one.
    ///
    /// # Errors
    /// [`InferenceError`] if the plan cannot be encoded, or does not fit the task.
    pub fn new(
        plan: &Plan,
        model: ModelHash,
        task: Task,
        users: usize,
    ) -> Result<Self, InferenceError> {
        let described = (model, task, plan.terms().clone());
        Self::with(described, plan.cost(), users, || Ok(Computing::Row(plan.prepare()?)))
    }

    /// The same for a plan of many rows at once.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn batched(
        plan: &BatchPlan,
        model: ModelHash,
        task: Task,
        users: usize,
    ) -> Result<Self, InferenceError> {
        let described = (model, task, plan.terms().clone());
        Self::with(described, plan.cost(), users, || Ok(Computing::Batch(plan.prepare()?)))
    }

    /// A server of a model that it does not see: a plan's outline, encoded, and the weights that the
    /// owner's [`Client`] encrypted. It answers those who have that client's key.
    ///
    /// # Errors
    /// [`InferenceError`] if outline or weights are none, or do not fit each other or the task.
    pub fn sealed(
        outline: &[u8],
        weights: &[u8],
        model: ModelHash,
        task: Task,
        users: usize,
    ) -> Result<Self, InferenceError> {
        let outline = Outline::decode(outline)?;
        outline.check()?;
        let terms = outline.terms().clone();
        let context = terms.context()?;
        let cost = Cost {
            key_bytes: terms.key_bytes(),
            input_bytes: terms.input_bytes(),
            ..Cost::default()
        };
        Self::with((model, task, terms), &cost, users, || {
            let wire = seal::Context::of(&context);
            let count = outline.ciphertexts();
            let weights = Ciphertext::read_all(weights, count, (&wire, &context), |_| Ok(()))?;
            Ok(Computing::Row(outline.program(weights)?))
        })
    }

    fn with(
        (model, task, terms): (ModelHash, Task, Terms),
        cost: &Cost,
        users: usize,
        prepare: impl FnOnce() -> Result<Computing, InferenceError>,
    ) -> Result<Self, InferenceError> {
        let description = Description { model, task, terms };
        description.check()?;
        let program = prepare()?;
        let limits = Limits { bytes: cost.key_bytes.max(cost.input_bytes) as u64 + (1 << 20) };
        let wire = seal::Context::of(program.context()).with_limits(limits);
        let cache = Cache { entries: BTreeMap::new(), uses: 0, most: users.max(1) };
        Ok(Self {
            description,
            program,
            wire,
            key_bytes: cost.key_bytes + (1 << 20),
            question_bytes: cost.input_bytes + (1 << 16),
            keys: Mutex::new(cache),
        })
    }

    /// The same server with one question at a time on so many threads. Another that comes meanwhile is
    /// computed on its caller's alone.
    ///
    /// # Errors
    /// [`InferenceError::He`] if there are not so many.
    pub fn on(self, threads: NonZeroUsize) -> Result<Self, InferenceError> {
        let threads = Arc::new(Threads::new(threads)?);
        Ok(Self { program: self.program.on(threads), ..self })
    }

    /// What users are told.
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// The most bytes that a user's keys take.
    pub const fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    /// The most bytes that a question takes.
    pub const fn question_bytes(&self) -> usize {
        self.question_bytes
    }

    /// How many users' keys are kept.
    pub fn users(&self) -> usize {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).entries.len()
    }

    /// Keeps a user's keys, and gives the name that questions then go by: a digest of the bytes.
    ///
    /// # Errors
    /// [`InferenceError`] if they are no keys, or one is missing.
    pub fn register(&self, bytes: &[u8]) -> Result<Digest, InferenceError> {
        self.register_for(None, bytes)
    }

    /// The same of somebody who is known by a public key. New keys take the place of older ones.
    ///
    /// # Errors
    /// As [`Server::register`].
    pub fn register_for(&self, owner: Owner, bytes: &[u8]) -> Result<Digest, InferenceError> {
        within("keys", bytes, self.key_bytes)?;
        let mut id = Digest::of("nexus/inference/keys", bytes);
        if let Some(owner) = owner {
            id = Digest::of("nexus/inference/keys of", &[owner, id.0].concat());
        }
        if self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&id, owner).is_some() {
            return Ok(id);
        }
        let (tables, terms) = (self.program.context(), &self.description.terms);
        let steps: Vec<i64> = terms.rotations.iter().map(|step| (*step).into()).collect();
        let read = (&self.wire, tables);
        let keys = EvaluationKeys::from_bytes(bytes, read, &steps, terms.relinearise)?;
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).put(id, keys, owner);
        Ok(id)
    }

    /// The answer to a question under the keys of this name: SEAL's `Ciphertext`, for many rows at
    /// once one for each number of an answer. `rng` must be the operating system's.
    ///
    /// # Errors
    /// [`InferenceError::UnknownKeys`]; [`InferenceError`] if it is no question.
    pub fn answer(
        &self,
        keys: Digest,
        question: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, InferenceError> {
        self.answer_for(None, keys, question, rng)
    }

    /// The same of whom the keys belong to.
    ///
    /// # Errors
    /// As [`Server::answer`]; somebody else's keys are unknown.
    pub fn answer_for(
        &self,
        owner: Owner,
        keys: Digest,
        question: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, InferenceError> {
        within("a question", question, self.question_bytes)?;
        let found = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&keys, owner);
        let keys = found.ok_or(InferenceError::UnknownKeys { id: keys })?;
        let terms = &self.description.terms;
        let count = if terms.batch { terms.inputs as usize } else { 1 };
        let read = (&self.wire, self.program.context());
        let inputs = Ciphertext::read_all(question, count, read, |it| terms.check(it))?;
        let mut bytes = Vec::new();
        for answer in self.program.run(inputs, &keys, rng)? {
            bytes.extend(answer.to_seal(&self.wire)?.write(&self.wire, Encoding::default())?);
        }
        Ok(bytes)
    }
}

fn within(what: &'static str, bytes: &[u8], limit: usize) -> Result<(), InferenceError> {
    let got = bytes.len();
    if got > limit { Err(InferenceError::Bytes { what, got, limit }) } else { Ok(()) }
}
