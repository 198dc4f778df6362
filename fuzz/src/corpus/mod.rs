//! Valid bytes for every target, from small sessions of the real protocols.

pub(crate) mod he;
pub(crate) mod keys;
pub(crate) mod nx;
pub(crate) mod psi;
pub(crate) mod secagg;
pub(crate) mod training;

use std::collections::BTreeMap;
use std::error::Error;

use nexus_mpc::quantise::wide;
use nexus_types::{Canonical, peek_tag, tag_of};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::target::TARGETS;

/// A session, or why it cannot be made.
pub(crate) type Made<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Valid bytes by the name of the target that they are for.
pub type Corpus = BTreeMap<&'static str, Vec<Vec<u8>>>;

/// Randomness of the sessions: the same each time.
pub(crate) fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

/// Valid bytes for every target.
///
/// # Errors
/// If a session of honest parties fails.
pub fn corpus() -> Result<Corpus, Box<dyn Error + Send + Sync>> {
    let mut corpus = Corpus::new();
    let (nx, secagg, training) = (nx::world()?, secagg::world()?, training::world()?);
    file(&mut corpus, &["nx parties", "nx describe"], &nx.messages);
    file(&mut corpus, &["secagg+ parties", "secagg+ describe"], &secagg.messages);
    file(&mut corpus, &["psi parties"], &psi::messages()?);
    file(&mut corpus, &["training parties"], &training.messages);
    file(&mut corpus, &["training parties"], &training::masked()?);
    file(&mut corpus, &["threshold parties"], &keys::messages()?);
    corpus.insert("nx snapshots", nx.snapshots());
    corpus.insert("secagg+ snapshots", secagg.snapshots());
    corpus.insert("training snapshots", training.snapshots()?);
    corpus.insert(
        "nx audit",
        corpus.get(nexus_mpc::aggregation::nx::Transcript::DOMAIN).cloned().unwrap_or_default(),
    );
    corpus.insert("wide sums", wide_sums()?);
    he::add(&mut corpus)?;
    Ok(corpus)
}

/// Files messages under `names`, and under the type that each is of.
fn file(corpus: &mut Corpus, names: &[&'static str], messages: &[Vec<u8>]) {
    for message in messages {
        let tag = peek_tag(message);
        let typed = TARGETS.iter().map(|target| target.name);
        let typed = typed.filter(|name| Some(tag_of(name)) == tag);
        for name in names.iter().copied().chain(typed) {
            corpus.entry(name).or_default().push(message.clone());
        }
    }
}

fn wide_sums() -> Made<Vec<Vec<u8>>> {
    let encode = |value, limit: i64| -> Made<Vec<u8>> {
        let digits = wide::encode(value, limit)?;
        Ok([limit].iter().chain(&digits).flat_map(|word| word.to_le_bytes()).collect())
    };
    [(1.5, 127), (-1e20, 1 << 50), (0.1, 1)]
        .map(|(value, limit)| encode(value, limit))
        .into_iter()
        .collect()
}
