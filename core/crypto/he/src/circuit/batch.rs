//! The same circuit on many vectors at once: a ciphertext for each number, a slot for each vector.
//!
//! No vector is ever moved from slot to slot, so there are no rotations and no keys for them, and a
//! matrix is as many products with whole numbers as it has weights, for N/2 vectors together.

use std::sync::Arc;

use super::plan::{affine, depth_of, first_fit, is_square, scale_of, small, squared, widths};
use super::{Affine, Cost, EvaluationKeys, Limits, PlanError, Stage, Terms};
use crate::{Ciphertext, ColumnMap, Context, Encoder, HeError, Parameters, Polynomial};

/// A circuit on many vectors, with everything chosen.
#[derive(Clone, Debug)]
pub struct BatchPlan {
    terms: Terms,
    stages: Vec<Stage>,
    cost: Cost,
}

#[derive(Clone, Debug)]
enum Ready {
    Columns(ColumnMap),
    Square,
    Polynomial(Polynomial, f64),
}

/// A circuit on many vectors that computes. It can be shared between threads.
#[derive(Clone, Debug)]
pub struct BatchProgram {
    encoder: Encoder,
    terms: Terms,
    steps: Vec<Ready>,
}

impl BatchPlan {
    /// A plan for `stages`: the smallest degree that has the moduli, the largest scale there.
    ///
    /// # Errors
    /// [`PlanError`] naming what does not fit, before anything of its size is allocated.
    pub fn new(stages: &[Stage], limits: &Limits) -> Result<Self, PlanError> {
        let inputs = widths(stages)?;
        let stages = squared(stages.to_vec());
        let depth = stages.iter().map(depth_of).sum();
        let parameters = first_fit(depth, 1)?;
        let outputs = stages.iter().rev().find_map(affine).map_or(inputs, |it| it.matrix.rows());
        let terms = Terms {
            degree: small(parameters.degree()),
            moduli: parameters.moduli().iter().map(|modulus| modulus.value()).collect(),
            scale: scale_of(&parameters),
            inputs: small(inputs),
            run: 1,
            batch: true,
            rotations: Vec::new(),
            relinearise: stages.iter().any(|stage| affine(stage).is_none()),
            outputs: (0..small(outputs)).collect(),
            left: u8::try_from(parameters.top() - depth).unwrap_or(u8::MAX),
        };
        let cost = cost(&parameters, &terms, &stages);
        cost.check(limits)?;
        Ok(Self { terms, stages, cost })
    }

    /// What its users are told.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What it costs, for all vectors together.
    pub const fn cost(&self) -> &Cost {
        &self.cost
    }

    /// Makes its weights whole numbers.
    ///
    /// # Errors
    /// [`HeError`] if a weight is too large for its scale.
    pub fn prepare(&self) -> Result<BatchProgram, HeError> {
        let context = self.terms.context()?;
        let encoder = Encoder::new(&context)?;
        let aim = self.terms.scale;
        let (mut moduli, mut scale) = (context.parameters().top(), aim);
        let mut steps = Vec::new();
        for stage in &self.stages {
            steps.push(match stage {
                Stage::Affine(Affine { matrix, bias }) => {
                    let map = ColumnMap::new(&encoder, matrix, bias, moduli, [scale, aim])?;
                    (moduli, scale) = (moduli - 1, map.scale());
                    Ready::Columns(map)
                }
                Stage::Polynomial(it) if is_square(it) => {
                    moduli -= 1;
                    scale = scale * scale / context.modulus(moduli).value() as f64;
                    Ready::Square
                }
                Stage::Polynomial(it) => {
                    (moduli, scale) = (moduli - it.depth(), aim);
                    Ready::Polynomial(it.clone(), aim)
                }
            });
        }
        Ok(BatchProgram { encoder, terms: self.terms.clone(), steps })
    }
}

impl BatchProgram {
    /// What its users are told.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The tables of its parameters.
    pub const fn context(&self) -> &Arc<Context> {
        self.encoder.context()
    }

    /// The answers to inputs, number by number.
    ///
    /// # Errors
    /// [`HeError`] if an input is not as [`Terms`] say, there are more or fewer, or the key for products is
    /// missing or of other parameters.
    pub fn run(
        &self,
        inputs: Vec<Ciphertext>,
        keys: &EvaluationKeys,
    ) -> Result<Vec<Ciphertext>, HeError> {
        inputs.iter().try_for_each(|input| self.terms.check(input))?;
        let relinearise = || keys.relinearise.as_ref().ok_or(HeError::NoKey { element: 1 });
        self.steps.iter().try_fold(inputs, |values, step| match step {
            Ready::Columns(map) => map.apply(&values),
            Ready::Square => {
                let key = relinearise()?;
                values.iter().map(|it| it.multiply(it)?.relinearise(key)?.rescale()).collect()
            }
            Ready::Polynomial(polynomial, scale) => {
                let key = relinearise()?;
                let at = |it| polynomial.evaluate(it, *scale, &self.encoder, key);
                values.iter().map(at).collect()
            }
        })
    }
}

fn cost(parameters: &Parameters, terms: &Terms, stages: &[Stage]) -> Cost {
    const WORD: usize = 8;
    let top = parameters.top();
    let polynomial = |moduli: usize| moduli * parameters.degree() * WORD;
    let mut cost = Cost {
        key_bytes: usize::from(terms.relinearise) * top * 2 * polynomial(top + 1),
        input_bytes: terms.inputs as usize * 2 * polynomial(top),
        output_bytes: terms.outputs.len() * 2 * polynomial(terms.left.into()),
        // Inputs are read and checked.
        transforms: terms.inputs as usize * 2 * top,
        ..Cost::default()
    };
    let (mut moduli, mut width) = (top, terms.inputs as usize);
    for stage in stages {
        match stage {
            Stage::Affine(Affine { matrix, .. }) => {
                let products = matrix.rows() * width;
                width = matrix.rows();
                cost.products += products;
                cost.weight_bytes += products * WORD;
                cost.transforms += Cost::columns(products, moduli) + width * Cost::rescale(moduli);
            }
            Stage::Polynomial(it) => {
                let each = if is_square(it) { 1 } else { it.multiplications() };
                cost.multiplications += width * each;
                cost.transforms += width * each * (Cost::switch(moduli) + Cost::rescale(moduli));
            }
        }
        moduli -= depth_of(stage);
    }
    cost
}
