//! The two comparisons every federated user asks for.

use nexus_models::Network;
use nexus_models::data::Dataset;
use nexus_training::{LocalTask, TaskId};
use nexus_types::{Round, Seed};

use crate::parallel;
use crate::{Evaluation, LearningError, LocalConfig, evaluate, train_local};

/// Training without federation, by the same rules: the same initial parameters, the same number
/// of passes over the rows (rounds times local epochs), the same optimiser that starts anew with
/// every round, the same learning rate at every point in time.
#[derive(Clone, Copy, Debug)]
pub struct Baseline<'a> {
    /// The model.
    pub network: &'a Network<f32>,
    /// Where training starts.
    pub initial: &'a [f32],
    /// How each round is trained.
    pub config: &'a LocalConfig,
    /// Rounds of the job.
    pub rounds: u32,
    /// Where the order of rows comes from.
    pub seed: &'a Seed,
}

impl Baseline<'_> {
    /// Trained on all owners' rows in one place, which is what federation gives up: its measures
    /// on `test`. `pooled` has more rows than any owner, so the same passes are more steps.
    ///
    /// # Errors
    /// As [`train_local`] and [`evaluate`].
    pub fn central(&self, pooled: &Dataset, test: &Dataset) -> Result<Evaluation, LearningError> {
        let parameters = self.train(pooled, &self.seed.derive("central baseline", &[]))?;
        evaluate(self.network, &parameters, test)
    }

    /// Each owner on its own rows alone, which is what federation is to beat: the measures of
    /// each owner's model on the same `test`, computed by up to `threads` threads.
    ///
    /// # Errors
    /// As [`train_local`] and [`evaluate`], for the first owner that fails.
    pub fn local_only<'d>(
        &self,
        owners: impl IntoIterator<Item = &'d Dataset>,
        test: &Dataset,
        threads: usize,
    ) -> Result<Vec<Evaluation>, LearningError> {
        let alone = |(owner, data): (usize, &Dataset)| {
            let seed = self.seed.derive("local baseline", &[owner as u64]);
            evaluate(self.network, &self.train(data, &seed)?, test)
        };
        parallel::map(owners.into_iter().enumerate(), threads, alone).into_iter().collect()
    }

    /// The parameters after all rounds on `data`, as of a federation with one owner.
    ///
    /// # Errors
    /// As [`train_local`].
    pub fn train(&self, data: &Dataset, seed: &Seed) -> Result<Vec<f32>, LearningError> {
        let mut task = LocalTask {
            id: TaskId::default(),
            parameters: self.initial.to_vec(),
            proximal: 0.0,
            correction: None,
            summary: Vec::new(),
        };
        for round in 1..=self.rounds {
            task.id = TaskId::first(Round(round));
            let result = train_local(self.network, data, self.config, &task, seed)?;
            for (w, change) in task.parameters.iter_mut().zip(result.delta) {
                *w += change;
            }
        }
        Ok(task.parameters)
    }
}

#[cfg(test)]
mod tests {
    use nexus_models::ModelSpec;
    use nexus_models::data::builtin;

    use super::*;
    use crate::metrics::mean;
    use crate::split;

    #[test]
    fn digits_reach_95_percent_centrally_and_less_alone() {
        let digits = builtin::digits();
        let (train, test) = split::test_split(digits.row_hashes(), 0.2).unwrap();
        let (train, test) = (digits.select(&train), digits.select(&test));
        let seed = Seed::from_number(1);
        let network = Network::new(&ModelSpec::mlp(64, &[64], 10)).unwrap();
        let (initial, config) = (network.initial(&seed), LocalConfig::default());
        let baseline = Baseline {
            network: &network,
            initial: &initial,
            config: &config,
            rounds: 3,
            seed: &seed,
        };
        let central = baseline.central(&train, &test).unwrap().accuracy().unwrap();
        assert!(central >= 0.95, "central {central}");

        let owners: Vec<Dataset> = split::iid(train.rows(), 10, &seed)
            .unwrap()
            .iter()
            .map(|rows| train.select(rows))
            .collect();
        let alone = baseline.local_only(&owners, &test, 1).unwrap();
        assert_eq!(alone, baseline.local_only(&owners, &test, 2).unwrap());
        let alone = mean(alone.iter().filter_map(Evaluation::accuracy)).unwrap();
        assert!((0.5..central - 0.02).contains(&alone), "alone {alone}, central {central}");
    }
}
