//! `nexus model`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use nexus_he::circuit::Limits;
use nexus_inference::Approximation;
use nexus_models::{ModelSpec, Network};
use serde::Serialize;
use serde_json::json;

use super::Context;
use crate::error::{NodeError, read_toml};
use crate::run::folder::{RunFolder, json as document};
use crate::run::trained::{Encrypted, Trained};

#[derive(Debug, Subcommand)]
pub(super) enum ModelCommand {
    /// Show a model's layers, parameters and hash
    Show {
        /// A run's name, or a `model.toml`
        model: String,
    },
    /// Make a trained model ready to be used on encrypted rows, and say what that costs
    Compile {
        /// The run that trained it
        model: String,
        /// For homomorphic encryption: the one way there is
        #[arg(long, required = true)]
        he: bool,
        /// Rows as the model sees them, to measure activations on, instead of those kept back
        #[arg(long, value_name = "TABLE")]
        rows: Option<PathBuf>,
        /// Replace activations by polynomials of this degree and max pools by mean pools, and let the model
        /// learn again, from its own answers on every other one of the rows, to answer as before
        #[arg(
            long,
            value_name = "DEGREE",
            num_args = 0..=1,
            default_missing_value = "3",
            value_parser = clap::value_parser!(u8).range(2..=15)
        )]
        fine_tune: Option<u8>,
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
    match command {
        ModelCommand::Show { model } => show(context, model),
        ModelCommand::Compile { model, he: _, rows, fine_tune } => {
            compile(context, model, rows.as_deref(), *fine_tune)
        }
    }
}

fn compile(
    context: &Context,
    model: &str,
    rows: Option<&Path>,
    fine_tune: Option<u8>,
) -> Result<(), NodeError> {
    let trained = Trained::open(RunFolder::open(&context.settings.runs.value, model)?)?;
    let measured = match (rows, trained.test()) {
        (Some(path), _) => super::infer::values(path, trained.network().inputs())?,
        (None, Some(data)) => data.features().to_vec(),
        (None, None) => Vec::new(),
    };
    let Encrypted { compiled, calibration, model } = match fine_tune {
        Some(degree) => trained.fine_tune(&measured, degree.into())?,
        None => trained.compile(&measured)?,
    };
    let plan = compiled.plan(&Limits::default())?;
    let (terms, cost) = (plan.terms(), plan.cost());
    let bits: Vec<u32> = terms.moduli.iter().map(|modulus| modulus.ilog2() + 1).collect();
    let activation = |(it, distance): (&Approximation, &f64)| {
        json!({
            "layer": it.layer, "function": it.function, "range": it.range, "degree": it.coefficients.len() - 1,
            "largest_error": distance,
        })
    };
    let activations = calibration.approximations.iter().zip(compiled.distances());
    let batch = match compiled.batched(&Limits::default()) {
        Ok(batch) => json!({
            "degree": batch.terms().degree,
            "rows_of_a_question": batch.terms().vectors(),
            "products": batch.cost().products,
            "multiplications": batch.cost().multiplications,
            "transforms": batch.cost().transforms,
            "key_bytes": batch.cost().key_bytes,
            "question_bytes": batch.cost().input_bytes,
            "answer_bytes": batch.cost().output_bytes,
        }),
        Err(refused) => json!({ "refused": refused.to_string() }),
    };
    let facts = json!({
        "model": model.to_string(),
        "fine_tuned": fine_tune,
        "degree": terms.degree,
        "moduli_bits": bits,
        "scale": terms.scale,
        "rotations": cost.rotations,
        "multiplications": cost.multiplications,
        "plain_products": cost.products,
        "transforms": cost.transforms,
        "weight_bytes": cost.weight_bytes,
        "key_bytes": cost.key_bytes,
        "question_bytes": cost.input_bytes,
        "answer_bytes": cost.output_bytes,
        "unit": calibration.unit,
        "activations": activations.map(activation).collect::<Vec<_>>(),
        "measured_rows": calibration.rows,
        "agreement": calibration.agreement,
        "other_rows": calibration.other_rows,
        "other_agreement": calibration.other_agreement,
        "batch": batch,
    });
    if context.printer.json {
        context.printer.result_bytes(&document(&facts));
    } else {
        context.facts(&facts);
    }
    Ok(())
}

fn show(context: &Context, model: &str) -> Result<(), NodeError> {
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
        printer.result_bytes(&document(&shown));
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
