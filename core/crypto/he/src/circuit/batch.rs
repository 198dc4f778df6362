//! The same circuit on many vectors at once: a ciphertext for each number, a slot for each vector.
//!
//! No vector is ever moved from slot to slot, so there are no rotations and no keys for them, and a
//! matrix is as many products with whole numbers as it has weights, for N/2 vectors together.

use std::sync::Arc;

use super::plan::{
    affine, cheapest, depth_of, divided, first_fit, products, small, squared, terms_of, widths,
};
use super::ready::{Builder, Ready, Steps};
use super::{Affine, Cost, EvaluationKeys, Limits, PlanError, Stage, Terms};
use crate::threads::map as share;
use crate::{Ciphertext, ColumnMap, Context, HeError, Parameters, Threads};

/// A circuit on many vectors, with everything chosen.
#[derive(Clone, Debug)]
pub struct BatchPlan {
    terms: Terms,
    stages: Vec<Stage>,
    cost: Cost,
}

/// A circuit on many vectors that computes. It can be shared between threads.
#[derive(Clone, Debug)]
pub struct BatchProgram(Steps<ColumnMap>);

impl BatchPlan {
    /// A plan for `stages`: the smallest degree that has the moduli, the largest scale there.
    ///
    /// # Errors
    /// [`PlanError`] naming what does not fit, before anything of its size is allocated.
    pub fn new(stages: &[Stage], limits: &Limits) -> Result<Self, PlanError> {
        Self::in_units(stages, 1.0, limits)
    }

    /// As [`super::Plan::in_units`].
    ///
    /// # Errors
    /// As [`BatchPlan::new`]; [`HeError::Number`] unless the unit is from 2^-64 to 2^64.
    pub fn in_units(stages: &[Stage], unit: f64, limits: &Limits) -> Result<Self, PlanError> {
        let inputs = widths(stages)?;
        let stages = divided(squared(stages.to_vec()), unit)?;
        let depth = stages.iter().map(depth_of).sum();
        let parameters = first_fit(depth, 1)?;
        let outputs = stages.iter().rev().find_map(affine).map_or(inputs, |it| it.matrix.rows());
        let terms = Terms {
            inputs: small(inputs),
            batch: true,
            relinearise: stages.iter().any(|stage| affine(stage).is_none()),
            outputs: (0..small(outputs)).collect(),
            left: u8::try_from(parameters.top() - depth).unwrap_or(u8::MAX),
            unit,
            ..terms_of(&parameters)
        };
        let (terms, cost) = cheapest(&parameters, terms, |it, terms| cost(it, terms, &stages));
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
        let mut builder = Builder::new(&self.terms)?;
        for stage in &self.stages {
            match stage {
                Stage::Affine(Affine { matrix, bias }) => {
                    let Builder { encoder, moduli, scales, .. } = &builder;
                    let map = ColumnMap::new(encoder, matrix, bias, *moduli, *scales)?;
                    let scale = map.scale();
                    builder.linear(map, scale)?;
                }
                Stage::Polynomial(polynomial) => builder.polynomial(polynomial)?,
            }
        }
        Ok(BatchProgram(builder.build(&self.terms)))
    }
}

impl BatchProgram {
    /// What its users are told.
    pub const fn terms(&self) -> &Terms {
        &self.0.terms
    }

    /// The same program on these threads.
    #[must_use]
    pub fn on(mut self, threads: Arc<Threads>) -> Self {
        self.0.threads = threads;
        self
    }

    /// The tables of its parameters.
    pub const fn context(&self) -> &Arc<Context> {
        self.0.context()
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
        let Steps { encoder, terms, all, threads } = &self.0;
        inputs.iter().try_for_each(|input| terms.check(input))?;
        threads.run(|| {
            all.iter().try_fold(inputs, |values, step| match step {
                Ready::Linear(map) => map.apply(&values),
                Ready::Activation(it) => {
                    let key = keys.products()?;
                    share(values.iter(), |value| it.apply(value, encoder, key))
                        .into_iter()
                        .collect()
                }
            })
        })
    }
}

fn cost(parameters: &Parameters, terms: &Terms, stages: &[Stage]) -> Cost {
    const WORD: usize = 8;
    let top = parameters.top();
    let mut cost = Cost {
        key_bytes: terms.key_bytes(),
        input_bytes: terms.input_bytes(),
        output_bytes: terms.output_bytes(),
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
                let each = Cost::switch(moduli, parameters) + Cost::rescale(moduli);
                cost.multiplications += width * products(it);
                cost.transforms += width * products(it) * each;
            }
        }
        moduli -= depth_of(stage);
    }
    cost
}
