//! `nexus model`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use nexus_models::{ModelSpec, Network};
use serde::Serialize;

use super::Context;
use crate::error::{NodeError, read_toml};
use crate::run::folder::{RunFolder, json};

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// Show a model's layers, parameters and hash
    Show {
        /// A run's name, or a `model.toml`
        model: String,
    },
}

#[derive(Serialize)]
struct Shown {
    hash: String,
    inputs: usize,
    outputs: usize,
    parameters: usize,
    tensors: Vec<ShownTensor>,
}

#[derive(Serialize)]
struct ShownTensor {
    name: String,
    shape: Vec<usize>,
}

pub(super) fn model(context: &Context, command: &ModelCommand) -> Result<(), NodeError> {
    let ModelCommand::Show { model } = command;
    let path = find(context, model)?;
    let spec: ModelSpec = read_toml(&path)?;
    let network = Network::<f32>::new(&spec)?;
    let tensors = network.tensors();
    let shown = Shown {
        hash: spec.hash()?.to_string(),
        inputs: network.inputs(),
        outputs: network.outputs(),
        parameters: network.parameters(),
        tensors: tensors
            .iter()
            .map(|tensor| ShownTensor { name: tensor.name.clone(), shape: tensor.shape.clone() })
            .collect(),
    };
    let printer = context.printer;
    if printer.json {
        printer.result_bytes(&json(&shown));
        return Ok(());
    }
    let Shown { hash, inputs, outputs, parameters, tensors } = shown;
    printer.result(format_args!("hash\t{hash}\ninputs\t{inputs}\noutputs\t{outputs}\n"));
    printer.result(format_args!("parameters\t{parameters}\n"));
    for ShownTensor { name, shape } in tensors {
        let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
        printer.result(format_args!("{name}\t{}\n", shape.join(" x ")));
    }
    Ok(())
}

fn find(context: &Context, model: &str) -> Result<PathBuf, NodeError> {
    if Path::new(model).is_file() {
        return Ok(model.into());
    }
    let folder = RunFolder::open(&context.settings.runs.value, model)?;
    let path = folder.path().join("model.toml");
    if !path.is_file() {
        let problem = format!("the run `{model}` has not ended");
        let help = format!("go on with it: nexus run --resume {model}");
        return Err(NodeError::usage(problem, help));
    }
    Ok(path)
}
