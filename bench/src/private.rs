//! Steps of private training.

use std::convert::Infallible;
use std::sync::Arc;

use nexus_learning::{Sampling, sampled_clipped_gradients};
use nexus_models::data::Dataset;
use nexus_models::{ModelSpec, Network};
use nexus_privacy::flow::{Clipped, Label, Masker, Waiver};
use nexus_privacy::mechanisms::clip::Clip;
use nexus_privacy::mechanisms::float_noise::FloatNoise;
use nexus_privacy::mechanisms::gaussian::Gaussian;
use nexus_privacy::mechanisms::grid::{Grid, Room};
use nexus_types::Seed;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{BenchError, images};

/// Noise over the clipping norm, which is 1.
const SIGMA: f64 = 1.1;
const RATE: f64 = 0.05;

/// The noise of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// None: what is left is the cost of clipping.
    Without,
    /// Gaussian, in floats.
    Floats,
    /// Discrete Gaussian, on the grid of a secure sum.
    Exact,
}

/// Steps of SGD on Poisson samples of images, each clipped to norm 1, with noise.
#[derive(Debug)]
pub struct PrivateSteps {
    network: Network<f32>,
    rows: Dataset,
    parameters: Vec<f32>,
    sampling: Sampling,
    grid: Grid,
    noise: Noise,
    floats: FloatNoise,
    exact: Gaussian,
    rng: ChaCha12Rng,
}

/// Adds noise to the integers, in place of the stage that needs a budget.
struct Open<'a> {
    noise: &'a Gaussian,
    rng: &'a mut ChaCha12Rng,
    values: Vec<i64>,
}

impl Masker for Open<'_> {
    type Error = Infallible;

    fn mask(&mut self, values: &[i64]) -> Result<Arc<[u8]>, Infallible> {
        self.values = values.to_vec();
        self.noise.add(self.rng, &mut self.values);
        Ok(Arc::new([]))
    }
}

impl PrivateSteps {
    /// Steps on `batch` of `samples` rows, on average.
    ///
    /// # Errors
    /// [`BenchError`] if the model does not take images.
    pub fn new(
        spec: &ModelSpec,
        samples: usize,
        batch: usize,
        noise: Noise,
        padded: bool,
    ) -> Result<Self, BenchError> {
        let (network, seed) = (Network::new(spec)?, Seed::from_number(1));
        let sampling = Sampling::new(batch as f64 / samples as f64, samples)?;
        let room = Room { rows: samples as f64, sigma: SIGMA, limit: 1 << 40 };
        let grid = Grid::new(1.0, network.parameters(), room)?;
        Ok(Self {
            rows: images(samples, &seed)?,
            parameters: network.initial(&seed),
            sampling: if padded { sampling } else { sampling.unpadded() },
            floats: FloatNoise::accepting_leaky_floats(SIGMA)?,
            exact: Gaussian::at_least(SIGMA * grid.sensitivity().l2())?,
            rng: ChaCha12Rng::seed_from_u64(1),
            grid,
            noise,
            network,
        })
    }

    /// One step.
    ///
    /// # Errors
    /// None once the network takes the rows.
    pub fn step(&mut self) -> Result<(), BenchError> {
        let (clip, label) = (Clip::new(1.0)?, Arc::new(Label::public()));
        let Self { network, rows, parameters, sampling, rng, .. } = self;
        let clipped =
            sampled_clipped_gradients(network, rows, parameters, clip, label, sampling, rng)?;
        let sums = self.noised(clipped)?;
        let rate = RATE / (self.sampling.rate() * self.sampling.declared_rows() as f64);
        for (parameter, slope) in self.parameters.iter_mut().zip(&sums) {
            #[expect(clippy::cast_possible_truncation, reason = "parameters are f32")]
            let change = (rate * slope) as f32;
            *parameter -= change;
        }
        Ok(())
    }

    fn noised(&mut self, clipped: Clipped) -> Result<Vec<f64>, BenchError> {
        let (waiver, rng) = (Waiver::of_job_without_privacy(), &mut self.rng);
        Ok(match self.noise {
            Noise::Without => {
                let none = FloatNoise::accepting_leaky_floats(0.0)?;
                clipped.noise_in_floats(waiver, &none, rng)
            }
            Noise::Floats => clipped.noise_in_floats(waiver, &self.floats, rng),
            Noise::Exact => {
                let rounded = clipped.unprotected(waiver, &self.grid, rng)?;
                let mut open = Open { noise: &self.exact, rng, values: Vec::new() };
                let Ok(_) = rounded.mask(&mut open);
                self.grid.to_real(&open.values)
            }
        })
    }
}
