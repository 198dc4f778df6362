//! The model of a job.

use nexus_models::{LayerSpec, Loss, ModelSpec, Network};
use nexus_types::{ModelHash, Seed};

use super::owners::Classes;
use crate::error::{NodeError, read_toml};
use crate::job::{Activation, JobFile, ModelKind, Rescale};

/// The weights that a run with `seed` begins from.
pub(super) fn initial(network: &Network<f32>, seed: &Seed) -> Vec<f32> {
    network.initial(&seed.derive("initial weights", &[]))
}

/// A checked model, fit for the job's data.
#[derive(Debug)]
pub(super) struct Model {
    spec: ModelSpec,
    network: Network<f32>,
    kind: String,
    classes: Classes,
    hash: ModelHash,
}

impl Model {
    /// The model that the job asks for, for rows of `width` numbers.
    pub(super) fn of(job: &JobFile, width: usize, classes: &Classes) -> Result<Self, NodeError> {
        let section = &job.job.model;
        let (spec, kind) = if let Some(path) = &section.spec {
            (read_toml(&job.resolve(path))?, "spec".to_owned())
        } else {
            (ready(job, width, classes)?, format!("{:?}", section.kind()).to_lowercase())
        };
        let network = Network::new(&spec)?;
        let model = Self { hash: spec.hash()?, spec, network, kind, classes: classes.clone() };
        model.check(job, width)?;
        Ok(model)
    }

    fn check(&self, job: &JobFile, width: usize) -> Result<(), NodeError> {
        let key = if job.job.model.spec.is_some() { "spec" } else { "kind" };
        let refuse = |message: String| Err(job.problem(&["model", key], &message, None).into());
        let (inputs, outputs) = (self.network.inputs(), self.network.outputs());
        if inputs != width {
            return refuse(format!(
                "the model takes {inputs} numbers, a row of the data has {width}"
            ));
        }
        let (loss, classes) = (self.spec.loss, self.classes.as_ref().map(Vec::len));
        match (loss, classes) {
            (Loss::SoftmaxCrossEntropy, Some(classes)) if outputs != classes => {
                refuse(format!("the model has {outputs} outputs, the label has {classes} classes"))
            }
            (Loss::BinaryCrossEntropy, Some(classes)) if classes != 2 || outputs != 1 => {
                refuse(format!(
                    "a model for two classes with {outputs} outputs, the label has {classes} classes"
                ))
            }
            (Loss::MeanSquaredError, None) if outputs != 1 => {
                refuse(format!("the model has {outputs} outputs, the label is one number"))
            }
            (Loss::MeanSquaredError, Some(_)) => {
                refuse("the model estimates a number, the label is a class".into())
            }
            (Loss::SoftmaxCrossEntropy | Loss::BinaryCrossEntropy, None) => {
                refuse("the model names a class, the label is a number".into())
            }
            _ => Ok(()),
        }
    }

    /// The widths of its layers, such as `64-64-10`.
    pub(super) fn shape(&self) -> String {
        let widths = self.spec.layers.iter().filter_map(|layer| match layer {
            LayerSpec::Linear { outputs, .. } | LayerSpec::LoraLinear { outputs, .. } => {
                Some(*outputs)
            }
            LayerSpec::Conv2d { channels, .. } => Some(*channels),
            LayerSpec::Embedding { dimension, .. } => Some(*dimension),
            LayerSpec::Relu
            | LayerSpec::Gelu
            | LayerSpec::Tanh
            | LayerSpec::Polynomial { .. }
            | LayerSpec::MaxPool { .. }
            | LayerSpec::AvgPool { .. }
            | LayerSpec::LayerNorm { .. }
            | LayerSpec::Dropout { .. }
            | LayerSpec::Flatten
            | LayerSpec::Rescale { .. } => None,
        });
        let widths: Vec<String> = [self.network.inputs()]
            .into_iter()
            .chain(widths)
            .map(|width| width.to_string())
            .collect();
        widths.join("-")
    }

    pub(super) const fn network(&self) -> &Network<f32> {
        &self.network
    }

    /// What the job called it.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    /// The names of the classes, unless the model estimates a number.
    pub(super) fn classes(&self) -> Option<&[String]> {
        self.classes.as_deref()
    }

    pub(super) const fn hash(&self) -> ModelHash {
        self.hash
    }

    /// The weights before training.
    pub(super) fn initial(&self, seed: &Seed) -> Vec<f32> {
        initial(&self.network, seed)
    }

    /// The specification as a file.
    pub(super) fn toml(&self) -> Result<String, NodeError> {
        toml::to_string(&self.spec).map_err(|error| {
            NodeError::usage(format!("the model cannot be written as TOML: {error}"), "report this")
        })
    }
}

/// `spec` with the activation and the scale that the job asks for.
fn adapted(job: &JobFile, mut spec: ModelSpec) -> ModelSpec {
    let square = LayerSpec::Polynomial { range: 1.0, coefficients: vec![0.0, 0.0, 1.0] };
    for layer in &mut spec.layers {
        match (job.job.model.activation, &layer) {
            (Some(Activation::Tanh), LayerSpec::Relu) => *layer = LayerSpec::Tanh,
            (Some(Activation::Square), LayerSpec::Relu) => *layer = square.clone(),
            (Some(Activation::Square), &&mut LayerSpec::MaxPool { kernel, stride }) => {
                *layer = LayerSpec::AvgPool { kernel, stride };
            }
            _ => {}
        }
    }
    if let Some(Rescale { centre, factor }) = job.job.model.rescale {
        spec.layers.insert(0, LayerSpec::Rescale { centre, factor });
    }
    spec
}

fn ready(job: &JobFile, width: usize, classes: &Classes) -> Result<ModelSpec, NodeError> {
    let count = classes.as_ref().map_or(1, Vec::len);
    let kind = job.job.model.kind();
    let refuse = |message: &str| Err(job.problem(&["model", "kind"], message, None).into());
    let spec = match (kind, classes) {
        (ModelKind::Linear, None) => ModelSpec::linear(width),
        (ModelKind::Linear, Some(_)) => {
            return refuse("`linear` estimates a number, the label is a class");
        }
        (ModelKind::Mlp, None) => {
            let spec = ModelSpec::mlp(width, &job.job.model.hidden, 1);
            ModelSpec { loss: Loss::MeanSquaredError, ..spec }
        }
        (_, None) => return refuse("this model names a class, the label is a number"),
        (ModelKind::Logistic, Some(_)) => ModelSpec::logistic(width),
        (ModelKind::Softmax, Some(_)) => ModelSpec::softmax(width, count),
        (ModelKind::Mlp, Some(_)) => ModelSpec::mlp(width, &job.job.model.hidden, count),
        (ModelKind::Cnn, Some(_)) => {
            let side = width.isqrt();
            if side * side != width {
                return refuse(
                    "`cnn` needs square grey images: the row's length is no square number",
                );
            }
            ModelSpec::cnn([side, side, 1], count)
        }
    };
    Ok(adapted(job, spec))
}
