//! The owners of a run on this machine, with their rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nexus_learning::split::{self, Split};
use nexus_learning::{
    LearningError, Length, LocalConfig, Sampling, clipped_gradients, sampled_clipped_gradients,
    train_local,
};
use nexus_models::data::{
    DataTargets, Dataset, Encoder, LabelKind, Limits, Schema, SchemaOptions, Standardisation,
    Table, builtin, read_file,
};
use nexus_privacy::accounting::Unit;
use nexus_privacy::budget::BudgetTicket;
use nexus_privacy::flow::{self, Clipped, Label, Principal};
use nexus_privacy::mechanisms::clip::Clip;
use nexus_training::{LocalResult, LocalTask, PrivacyTerms, TrainingError};
use nexus_types::{Digest, OwnerId, Round, Seed};

use super::budgets::Budgets;
use super::encrypted::Outsourced;
use super::model::Model;
use super::plan::{local_config, small};
use crate::error::NodeError;
use crate::job::{Builtin, DataSection, JobFile, ModelKind, Target};
use crate::random::SystemRng;
use crate::simulation::{Trained, Workload};

/// Share of rows kept back for testing unless the job says otherwise.
const TEST_FRACTION: f64 = 0.2;
/// Virtual time that training on one row takes.
const PER_ROW: Duration = Duration::from_micros(100);

/// One owner's rows, ready for a model.
#[derive(Debug)]
pub(super) struct Sets {
    pub(super) train: Dataset,
    pub(super) test: Dataset,
}

/// Rows as they came: encoded already, or tables that need statistics of all owners first.
#[derive(Debug)]
enum Source {
    Encoded,
    Tables { schema: Schema, bounds: Bounds, train: Vec<Table>, test: Vec<Table> },
}

/// What is public about numeric columns; nothing where owners are asked for statistics.
type Bounds = BTreeMap<String, [f64; 2]>;

/// What owners of a job with differential privacy need besides.
#[derive(Debug)]
struct Private {
    unit: Unit,
    clip: Clip,
    /// How each owner draws its rows; `None` for all of them.
    sampling: Vec<Option<Sampling>>,
    budgets: Mutex<Option<Budgets>>,
}

/// All owners.
#[derive(Debug)]
pub(super) struct Owners {
    names: Vec<String>,
    described: String,
    source: Source,
    sets: OnceLock<Vec<Sets>>,
    pooled: OnceLock<Dataset>,
    model: Model,
    local: LocalConfig,
    labels: Vec<Arc<Label>>,
    private: OnceLock<Private>,
    /// Who takes the owners' steps for them, if somebody does.
    outsourced: Option<Outsourced>,
    fingerprint: Digest,
    seed: Seed,
}

impl Owners {
    /// Reads and checks the data of a job, and makes its model.
    pub(super) fn load(job: &JobFile, seed: &Seed) -> Result<Self, NodeError> {
        let gathered = match job.job.data.builtin {
            Some(Builtin::Digits) => Gathered::digits(job, seed)?,
            Some(Builtin::BreastCancer) => {
                Gathered::tables(job, vec![builtin::breast_cancer()], "diagnosis", seed)?
            }
            None => {
                let label = job.job.data.label.as_deref().unwrap_or_default();
                Gathered::tables(job, read_files(job)?, label, seed)?
            }
        };
        let Gathered { names, described, source, sets, width, classes, hashes } = gathered;
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        let names = own_names(job, names)?;
        let label = |name: &String| own_label(job, name).map(Arc::new);
        Ok(Self {
            labels: names.iter().map(label).collect::<Result<_, _>>()?,
            outsourced: Outsourced::of(job, names.len())?,
            names,
            described,
            source,
            sets,
            pooled: OnceLock::new(),
            model: Model::of(job, width, &classes)?,
            local: local_config(job)?,
            private: OnceLock::new(),
            fingerprint: Digest::of("cipher-nexus data v1", &bytes),
            seed: *seed,
        })
    }

    /// Encodes every owner's rows, given the sums over all owners. A second call changes nothing.
    pub(super) fn prepare(&self, summary: &[f64]) -> Result<(), NodeError> {
        if let (Source::Tables { schema, bounds, train, test }, None) =
            (&self.source, self.sets.get())
        {
            let standardisation = if bounds.is_empty() {
                Standardisation::from_moments(schema, summary)?
            } else {
                Standardisation::from_bounds(schema, bounds)?
            };
            let encoder = Encoder::new(schema.clone(), standardisation)?;
            let pairs = train.iter().zip(test);
            let encode = |(train, test): (&Table, &Table)| {
                Ok(Sets { train: encoder.encode(train)?, test: encoder.encode(test)? })
            };
            let sets = pairs.map(encode).collect::<Result<_, NodeError>>()?;
            let _ = self.sets.set(sets);
        }
        Ok(())
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Where the rows came from, in words.
    pub(super) fn described(&self) -> &str {
        &self.described
    }

    pub(super) const fn model(&self) -> &Model {
        &self.model
    }

    pub(super) const fn local(&self) -> &LocalConfig {
        &self.local
    }

    /// Every owner's rows; none before [`Owners::prepare`].
    pub(super) fn sets(&self) -> &[Sets] {
        self.sets.get().map_or(&[], Vec::as_slice)
    }

    /// All test rows together, `None` if there are none.
    pub(super) fn pooled_test(&self) -> Result<Option<&Dataset>, NodeError> {
        if self.pooled.get().is_none() {
            let tests: Vec<&Dataset> = self.sets().iter().map(|sets| &sets.test).collect();
            let _ = self.pooled.set(Dataset::concat(&tests)?);
        }
        Ok(self.pooled.get().filter(|test| test.rows() > 0))
    }

    /// All training rows together, as only a party that is trusted with them could have them.
    pub(super) fn pooled_train(&self) -> Result<Dataset, NodeError> {
        let rows: Vec<&Dataset> = self.sets().iter().map(|sets| &sets.train).collect();
        Ok(Dataset::concat(&rows)?)
    }

    /// Length of the vector of sums that the statistics stage needs, 0 if it needs none.
    pub(super) fn statistics(&self) -> usize {
        match &self.source {
            Source::Tables { schema, bounds, .. } if bounds.is_empty() => schema.moments_len(),
            Source::Encoded | Source::Tables { .. } => 0,
        }
    }

    /// A digest of all rows and who holds them.
    pub(super) const fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// Rows of every owner to train on.
    pub(super) fn rows(&self) -> Vec<u32> {
        let rows = OwnerId::all(small(self.names.len())).map(|owner| self.train_rows(owner));
        rows.map(small).collect()
    }

    /// From now on, nothing leaves an owner but what `terms` allow and `budgets` pay for.
    pub(super) fn protect(&self, terms: &PrivacyTerms, budgets: Budgets) -> Result<(), NodeError> {
        let clip = Clip::new(terms.clip).map_err(TrainingError::from)?;
        let budgets = Mutex::new(Some(budgets));
        let sampling = terms.rows.iter().map(|rows| terms.sampling(*rows));
        let sampling = sampling.collect::<Result<_, _>>()?;
        let _ = self.private.set(Private { unit: terms.unit, clip, sampling, budgets });
        Ok(())
    }

    /// Who takes their steps for them.
    pub(super) const fn outsourced(&self) -> Option<&Outsourced> {
        self.outsourced.as_ref()
    }

    /// The budgets, to be settled.
    pub(super) fn budgets(&self) -> Option<Budgets> {
        self.private.get()?.budgets.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn update(&self, owner: OwnerId, task: &LocalTask) -> Result<LocalResult, LearningError> {
        let seed = self.seed.derive("owner", &[owner.0.into()]);
        let rows = &self.sets()[owner.index()].train;
        train_local(self.model.network(), rows, &self.local, task, &seed)
    }

    fn clipped(
        &self,
        private: &Private,
        owner: OwnerId,
        task: &LocalTask,
    ) -> Result<Clipped, LearningError> {
        let label = Arc::clone(&self.labels[owner.index()]);
        match private.unit {
            Unit::Record => {
                let (network, rows) = (self.model.network(), &self.sets()[owner.index()].train);
                let Private { clip, sampling, .. } = private;
                match sampling.get(owner.index()).and_then(Option::as_ref) {
                    None => clipped_gradients(network, rows, &task.parameters, *clip, label),
                    Some(sampling) => sampled_clipped_gradients(
                        network,
                        rows,
                        &task.parameters,
                        *clip,
                        label,
                        sampling,
                        // Coins that anyone could compute would amplify nothing.
                        &mut SystemRng::default(),
                    ),
                }
            }
            Unit::Owner => {
                // Whether an owner answers must not depend on its rows.
                let delta = match self.update(owner, task) {
                    Ok(update) => update.delta.into_iter().map(f64::from).collect(),
                    Err(LearningError::Diverged { .. }) => vec![0.0; task.parameters.len()],
                    Err(error) => return Err(error),
                };
                Ok(flow::Private::<Vec<f64>>::new(delta, label).clip_whole(private.clip))
            }
        }
    }

    fn train_rows(&self, owner: OwnerId) -> usize {
        match &self.source {
            Source::Encoded => self.sets()[owner.index()].train.rows(),
            Source::Tables { train, .. } => train[owner.index()].rows(),
        }
    }
}

impl Workload for Owners {
    fn summarise(&self, owner: OwnerId) -> Result<Vec<f64>, String> {
        match &self.source {
            Source::Tables { schema, bounds, train, .. } if bounds.is_empty() => {
                schema.moments(&train[owner.index()]).map_err(|error| error.to_string())
            }
            Source::Encoded | Source::Tables { .. } => Ok(Vec::new()),
        }
    }

    fn examples(&self, owner: OwnerId) -> u64 {
        self.train_rows(owner) as u64
    }

    fn initial(&self, summary: &[f64]) -> Result<Vec<f32>, String> {
        self.prepare(summary).map_err(|error| error.to_string())?;
        Ok(self.model.initial(&self.seed))
    }

    fn train(&self, owner: OwnerId, task: &LocalTask) -> Result<Trained, String> {
        self.prepare(&task.summary).map_err(|error| error.to_string())?;
        if let Some(outsourced) = &self.outsourced {
            let (network, data) = (self.model.network(), &self.sets()[owner.index()].train);
            return outsourced.update(owner, task, network, data).map(Trained::Update);
        }
        let trained = match self.private.get() {
            Some(private) => self.clipped(private, owner, task).map(Trained::Clipped),
            None => self.update(owner, task).map(Trained::Update),
        };
        trained.map_err(|error| error.to_string())
    }

    fn ticket(&self, owner: OwnerId, round: Round) -> Result<BudgetTicket, String> {
        let ticket = || {
            let budgets = &self.private.get()?.budgets;
            budgets.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.ticket(owner, round)
        };
        ticket().ok_or_else(|| format!("the budget has nothing left for round {round}"))
    }

    fn duration(&self, owner: OwnerId) -> Duration {
        let passes = self.outsourced.as_ref().map(Outsourced::steps);
        let length = passes.map_or(self.local.length, Length::Epochs);
        let rows = match length {
            Length::Epochs(epochs) => self.train_rows(owner).saturating_mul(epochs as usize),
            Length::Steps(steps) => self.local.batch_size.saturating_mul(steps as usize),
        };
        PER_ROW.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX))
    }
}

/// The classes of a job's label, or none if it is a number.
pub(super) type Classes = Option<Vec<String>>;

struct Gathered {
    names: Vec<String>,
    described: String,
    source: Source,
    sets: OnceLock<Vec<Sets>>,
    width: usize,
    classes: Classes,
    hashes: Vec<u64>,
}

impl Gathered {
    fn digits(job: &JobFile, seed: &Seed) -> Result<Self, NodeError> {
        let all = builtin::digits();
        let data = &job.job.data;
        let DataTargets::Classes { labels, names: classes } = all.targets().clone() else {
            return Err(job
                .problem(&["data", "builtin"], "the digits have no classes", None)
                .into());
        };
        let parts = deal(job, all.rows(), &labels, seed)?;
        let mut sets = Vec::with_capacity(parts.len());
        for rows in &parts {
            let own = all.select(rows);
            let (train, test) = split::test_split(own.row_hashes(), fraction(data))?;
            sets.push(Sets { train: own.select(&train), test: own.select(&test) });
        }
        check_train_rows(job, sets.iter().map(|sets| sets.train.rows()))?;
        Ok(Self {
            names: numbered(parts.len()),
            described: "digits, built in".into(),
            source: Source::Encoded,
            sets: OnceLock::from(sets),
            width: all.width(),
            classes: Some(classes),
            hashes: parts.iter().flatten().map(|&row| all.row_hashes()[row]).collect(),
        })
    }

    fn tables(
        job: &JobFile,
        tables: Vec<Table>,
        label: &str,
        seed: &Seed,
    ) -> Result<Self, NodeError> {
        let data = &job.job.data;
        let mut options = SchemaOptions {
            label: label.to_owned(),
            regression: is_number(job),
            categorical: data.categorical.clone(),
            numeric: data.numeric.clone(),
            drop: data.drop.clone(),
        };
        if let Some(Split::ByColumn(column)) = data.split.as_ref().map(|split| &split.0) {
            if *column == options.label || tables.iter().any(|table| table.column(column).is_none())
            {
                let message = format!("there is no column `{column}` besides the label");
                return Err(job.problem(&["data", "split"], &message, None).into());
            }
            options.drop.push(column.clone());
        }
        let schema = Schema::infer_all(&tables, &options)?;
        let described = tables.iter().map(Table::name).collect::<Vec<_>>().join(", ");
        let (names, tables) = match <[Table; 1]>::try_from(tables) {
            Ok([table]) => spread(job, &schema, &table, seed)?,
            Err(tables) => (tables.iter().map(|table| stem(table.name())).collect(), tables),
        };
        let hashes: Vec<Vec<u64>> = tables.iter().map(Table::row_hashes).collect();
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for (table, hashes) in tables.iter().zip(&hashes) {
            let (for_training, for_testing) = split::test_split(hashes, fraction(data))?;
            train.push(table.select(&for_training));
            test.push(table.select(&for_testing));
        }
        check_train_rows(job, train.iter().map(Table::rows))?;
        let bounds = bounds(job, &schema)?;
        Ok(Self {
            names,
            described,
            width: schema.width(),
            classes: class_names(&schema),
            source: Source::Tables { schema, bounds, train, test },
            sets: OnceLock::new(),
            hashes: hashes.concat(),
        })
    }
}

/// What the job says about numeric columns. A job that promises something about rows needs it of all of them:
/// statistics would leave without noise.
fn bounds(job: &JobFile, schema: &Schema) -> Result<Bounds, NodeError> {
    let (data, private) = (&job.job.data, job.job.privacy.is_some());
    let mut bounds = data.bounds.clone();
    if private && data.builtin == Some(Builtin::BreastCancer) && bounds.is_empty() {
        bounds = builtin::breast_cancer_bounds();
    }
    if !bounds.is_empty() || (private && schema.moments_len() > 0) {
        Standardisation::from_bounds(schema, &bounds).map_err(|error| {
            let help = "statistics over the rows would leave without noise: say what is public, such as \
                        `bounds = { age = [0, 120] }` under [data]";
            job.problem(&["data", "bounds"], &error.to_string(), Some(help.to_owned()))
        })?;
    }
    Ok(bounds)
}

fn class_names(schema: &Schema) -> Classes {
    match &schema.label.kind {
        LabelKind::Classes { names } => Some(names.clone()),
        LabelKind::Value => None,
    }
}

fn read_files(job: &JobFile) -> Result<Vec<Table>, NodeError> {
    let files = job.job.data.files.iter();
    files.map(|file| Ok(read_file(&job.resolve(file), &Limits::default())?)).collect()
}

fn fraction(data: &DataSection) -> f64 {
    data.test_fraction.unwrap_or(TEST_FRACTION)
}

fn is_number(job: &JobFile) -> bool {
    match job.job.data.target {
        Some(target) => target == Target::Number,
        None => job.job.model.spec.is_none() && job.job.model.kind() == ModelKind::Linear,
    }
}

/// Spreads one table over owners.
fn spread(
    job: &JobFile,
    schema: &Schema,
    table: &Table,
    seed: &Seed,
) -> Result<(Vec<String>, Vec<Table>), NodeError> {
    if let Some(Split::ByColumn(name)) = job.job.data.split.as_ref().map(|split| &split.0) {
        let Some(column) = table.column(name) else {
            let message = format!("the table has no column `{name}`");
            return Err(job.problem(&["data", "split"], &message, None).into());
        };
        let values: Vec<String> = column.cells().map(|cell| cell.text().into_owned()).collect();
        let parts = split::by_column(&values);
        let names = parts.iter().map(|rows| values[rows[0]].clone()).collect();
        return Ok((names, parts.iter().map(|rows| table.select(rows)).collect()));
    }
    let labels = labels(schema, table);
    let parts = deal(job, table.rows(), &labels, seed)?;
    Ok((numbered(parts.len()), parts.iter().map(|rows| table.select(rows)).collect()))
}

/// The class of every row, or nothing if the label is a number.
fn labels(schema: &Schema, table: &Table) -> Vec<u32> {
    let (Some(classes), Some(column)) = (class_names(schema), table.column(&schema.label.column))
    else {
        return Vec::new();
    };
    let place = |text: &str| (0..).zip(&classes).find(|(_, class)| *class == text);
    column.cells().filter_map(|cell| Some(place(&cell.text())?.0)).collect()
}

/// Deals rows to the job's owners. Without classes, only at random.
fn deal(
    job: &JobFile,
    rows: usize,
    labels: &[u32],
    seed: &Seed,
) -> Result<Vec<Vec<usize>>, NodeError> {
    let data = &job.job.data;
    let owners = data.owners.unwrap_or(if data.builtin.is_some() { 10 } else { 1 }) as usize;
    let refuse = |why: &str| Err(job.problem(&["data", "split"], why, None).into());
    let parts = match data.split.as_ref().map(|split| &split.0) {
        None | Some(Split::Iid) => split::iid(rows, owners, seed),
        Some(_) if labels.is_empty() => return refuse("this split needs a label with classes"),
        Some(Split::Dirichlet(alpha)) => split::dirichlet(labels, owners, *alpha, seed),
        Some(Split::ByLabel(each)) => split::by_label(labels, owners, *each, seed),
        Some(Split::ByColumn(_)) => return refuse("the digits have no such column"),
    };
    parts.map_err(|error| job.problem(&["data", "owners"], &error.to_string(), None).into())
}

fn check_train_rows(job: &JobFile, rows: impl Iterator<Item = usize>) -> Result<(), NodeError> {
    for (owner, rows) in rows.enumerate() {
        if rows == 0 {
            let message = format!("owner-{owner} has no rows left to train on");
            let help = "lower `test_fraction`, or give it more rows".to_owned();
            return Err(job.problem(&["data"], &message, Some(help)).into());
        }
    }
    Ok(())
}

/// The label of an owner's rows: nobody else reads them, and they are for what the job is for.
fn own_label(job: &JobFile, name: &str) -> Result<Label, NodeError> {
    let label = Label::owned(Principal::named(name), []);
    let Some(privacy) = &job.job.privacy else { return Ok(label) };
    label
        .for_purposes([privacy.purpose.as_str()])
        .map_err(|error| job.problem(&["privacy", "purpose"], &error.to_string(), None).into())
}

fn own_names(job: &JobFile, names: Vec<String>) -> Result<Vec<String>, NodeError> {
    let given = &job.job.data.names;
    if given.is_empty() {
        return Ok(names);
    }
    let different: BTreeSet<&String> = given.iter().collect();
    if different.len() != given.len() {
        return Err(job.problem(&["data", "names"], "a name is there twice", None).into());
    }
    if given.len() == names.len() {
        return Ok(given.clone());
    }
    let message = format!("{} names for {} owners", given.len(), names.len());
    Err(job.problem(&["data", "names"], &message, None).into())
}

fn numbered(owners: usize) -> Vec<String> {
    (0..owners).map(|owner| format!("owner-{owner}")).collect()
}

fn stem(name: &str) -> String {
    Path::new(name)
        .file_stem()
        .map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned())
}
