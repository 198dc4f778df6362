//! Accuracy under differential privacy, as the README states it: means over fresh random splits of
//! the built-in data, every gradient clipped, rounded, noised and paid for by the product's own types.
//!
//! ```sh
//! cargo run --release -p bench --example private_accuracy
//! ```
//!
//! A sum of owners' shares is a discrete Gaussian of the width that the shares have together. So the
//! ten owners are added up before the noise: with `n_min` = 10 and nobody colluding they have the
//! noise of one place that has all rows, with fewer √(10 / (`n_min` − c)) times as much, and if each
//! trusts nobody, √10 times as much.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexus_learning::{clipped_gradients, evaluate};
use nexus_models::data::{Dataset, Encoder, Schema, SchemaOptions, Standardisation, builtin};
use nexus_models::{LayerSpec, ModelSpec, Network};
use nexus_privacy::accounting::{Currency, FILTER_SHARE, Plan, Split, Unit};
use nexus_privacy::budget::{BudgetFile, Reservation, Terms};
use nexus_privacy::flow::Label;
use nexus_privacy::mechanisms::clip::Clip;
use nexus_privacy::mechanisms::gaussian::Gaussian;
use nexus_privacy::mechanisms::grid::{Grid, MAX_LIMIT, Room};
use nexus_privacy::mechanisms::shares::LOST;
use nexus_training::cooled;
use nexus_types::{Digest, Round, Seed};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

type Outcome<T> = Result<T, Box<dyn Error>>;

const DELTA: f64 = 1e-5;
const OWNERS: f64 = 10.0;
/// Share of the rounds over which the step falls to 0, as in jobs.
const COOLDOWN: f64 = 0.5;

/// How a model is trained.
#[derive(Clone, Copy, Debug)]
struct Recipe {
    epsilon: f64,
    rounds: u32,
    clip: f64,
    rate: f64,
}

/// Whose noise counts: its width in units of what one place with all rows needs.
const JOINT: [(&str, f64); 3] =
    [("all 10, nobody colludes", 10.0), ("8, one colludes", 7.0), ("8, two collude", 6.0)];

/// A data set, a model for it, and how many rows are for the test.
struct Problem {
    data: Dataset,
    spec: ModelSpec,
    test: usize,
    splits: u32,
}

fn digits() -> Problem {
    let mut spec = ModelSpec::mlp(64, &[64], 10);
    let relus = spec.layers.iter_mut().filter(|layer| matches!(layer, LayerSpec::Relu));
    relus.for_each(|layer| *layer = LayerSpec::Tanh);
    spec.layers.insert(0, LayerSpec::Rescale { centre: 0.3, factor: 3.0 });
    Problem { data: builtin::digits(), spec, test: 360, splits: 10 }
}

fn breast_cancer() -> Outcome<Problem> {
    let table = builtin::breast_cancer();
    let schema =
        Schema::infer_all(std::slice::from_ref(&table), &SchemaOptions::classes("diagnosis"))?;
    let scale = Standardisation::from_bounds(&schema, &builtin::breast_cancer_bounds())?;
    let data = Encoder::new(schema, scale)?.encode(&table)?;
    Ok(Problem { data, spec: ModelSpec::logistic(30), test: 114, splits: 20 })
}

/// Budgets of this program, which are gone when it ends.
struct Budgets {
    folder: PathBuf,
    count: u32,
}

impl Budgets {
    fn new() -> Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("private-accuracy-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, count: 0 })
    }

    fn reserve(&mut self, epsilon: f64, plan: Plan) -> Outcome<Reservation> {
        self.count += 1;
        let path: &Path = &self.folder.join(self.count.to_string());
        let terms = Terms {
            data_set: "accuracy".to_owned(),
            unit: Unit::Record,
            split: Split::Train,
            currency: Currency::Gdp,
            epsilon,
            delta: DELTA,
            planned_order: 0,
            caps: Vec::new(),
        };
        Ok(BudgetFile::create(path, terms)?.reserve("accuracy", plan, 0.0, Digest([0; 32]))?)
    }
}

impl Drop for Budgets {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The accuracy on `test` after training on `train`, with `excess` times the noise of one place.
fn train(
    network: &Network<f32>,
    recipe: Recipe,
    excess: f64,
    (train, test): (&Dataset, &Dataset),
    budgets: &mut Budgets,
    seed: u32,
) -> Outcome<f64> {
    let mut parameters = network.initial(&Seed::from_number(seed.into()));
    let Recipe { epsilon, rounds, clip, rate } = recipe;
    let mut plan = Plan::calibrated(1.0, rounds.into(), epsilon, FILTER_SHARE * DELTA)?;
    plan.sigma *= 1.0 + 1e-6;
    let mut reservation = budgets.reserve(epsilon, plan)?;
    let rows = train.rows() as f64;
    let room = Room { rows, sigma: plan.sigma * excess, limit: MAX_LIMIT };
    let grid = Grid::new(clip, network.parameters(), room)?;
    let width = plan.sigma * excess * grid.sensitivity().l2();
    let noise = Gaussian::at_least(width.hypot(LOST.sqrt()))?;
    let clip = Clip::new(clip)?;
    let label = Arc::new(Label::public());
    let mut rng = ChaCha12Rng::seed_from_u64(seed.into());
    for round in 1..=rounds {
        let ticket = reservation.next_round().ok_or("no ticket is left")?;
        let clipped = clipped_gradients(network, train, &parameters, clip, Arc::clone(&label))?;
        let sum = clipped.noise_alone(ticket, &grid, &noise, &mut rng)?.release().into_value();
        let step =
            cooled(rate, COOLDOWN, Round(round), rounds) / (recipe.clip * rows * grid.scale());
        for (parameter, value) in parameters.iter_mut().zip(&sum) {
            *parameter = narrowed(f64::from(*parameter) - *value as f64 * step);
        }
    }
    Ok(evaluate(network, &parameters, test)?.accuracy().unwrap_or_default())
}

#[expect(clippy::cast_possible_truncation, reason = "models are 32-bit floats")]
const fn narrowed(value: f64) -> f32 {
    value as f32
}

/// The mean and the least accuracy over random splits.
fn measure(
    problem: &Problem,
    recipe: Recipe,
    excess: f64,
    budgets: &mut Budgets,
) -> Outcome<(f64, f64)> {
    let network = Network::new(&problem.spec)?;
    let (mut sum, mut least) = (0.0, 1.0_f64);
    for split in 1..=problem.splits {
        let mut order: Vec<usize> = (0..problem.data.rows()).collect();
        Seed::from_number(1000 + u64::from(split)).rng().shuffle(&mut order);
        let (test, rest) = order.split_at(problem.test);
        let parts = (&problem.data.select(rest), &problem.data.select(test));
        let accuracy = train(&network, recipe, excess, parts, budgets, split)?;
        (sum, least) = (sum + accuracy, least.min(accuracy));
    }
    Ok((sum / f64::from(problem.splits), least))
}

/// A line of the table: jointly in three ways, and each owner for itself at its best rate.
fn line(name: &str, problem: &Problem, recipe: Recipe, budgets: &mut Budgets) -> Outcome<()> {
    let Recipe { epsilon, rounds, clip, rate } = recipe;
    print!("| {name}, T {rounds}, C {clip}, rate {rate} | {epsilon} |");
    for (_, honest) in JOINT {
        let excess = (OWNERS / honest).sqrt();
        let (mean, least) = measure(problem, recipe, excess, budgets)?;
        print!(" {mean:.3} ({least:.3}) |");
    }
    let mut best = (0.0, 0.0);
    for slower in [1.0, 2.0, 4.0, 8.0] {
        let recipe = Recipe { rate: rate / slower, ..recipe };
        let local = measure(problem, recipe, OWNERS.sqrt(), budgets)?;
        best = if local.0 > best.0 { local } else { best };
    }
    println!(" {:.3} ({:.3}) |", best.0, best.1);
    Ok(())
}

fn main() -> Outcome<()> {
    let mut budgets = Budgets::new()?;
    let names = JOINT.map(|(name, _)| name).join(" | ");
    println!("| recipe | epsilon | {names} | local noise |\n|---|---|---|---|---|---|");
    let digits = digits();
    for (epsilon, rounds, rate) in [(1.0, 40, 2.0), (3.0, 40, 5.0), (3.0, 50, 4.0), (8.0, 100, 6.0)]
    {
        let recipe = Recipe { epsilon, rounds, clip: 0.5, rate };
        line("digits, 64-64-10 tanh", &digits, recipe, &mut budgets)?;
    }
    let cancer = breast_cancer()?;
    for epsilon in [1.0, 3.0] {
        let recipe = Recipe { epsilon, rounds: 30, clip: 1.0, rate: 4.0 };
        line("breast cancer, logistic", &cancer, recipe, &mut budgets)?;
    }
    Ok(())
}
