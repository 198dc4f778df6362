//! The two questions every user of federated learning asks: what would all rows in one place
//! have given, and what would each owner alone?

use nexus_learning::{Baseline, Evaluation};
use nexus_types::Seed;

use super::owners::Owners;
use crate::error::NodeError;

/// The same model, trained without federation, on the same test rows.
#[derive(Debug)]
pub(super) struct Baselines {
    pub(super) central: Evaluation,
    pub(super) alone: Vec<Evaluation>,
}

impl Baselines {
    pub(super) fn train(
        owners: &Owners,
        rounds: u32,
        seed: &Seed,
        threads: usize,
    ) -> Result<Option<Self>, NodeError> {
        let Some(test) = owners.pooled_test()? else { return Ok(None) };
        let initial = owners.model().initial(seed);
        let baseline = Baseline {
            network: owners.model().network(),
            initial: &initial,
            config: owners.local(),
            rounds,
            seed,
        };
        let rows = owners.sets().iter().map(|sets| &sets.train);
        Ok(Some(Self {
            central: baseline.central(&owners.pooled_train()?, test)?,
            alone: baseline.local_only(rows, test, threads)?,
        }))
    }
}
