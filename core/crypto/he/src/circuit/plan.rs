//! Which parameters, levels, scales and layouts a circuit runs with.

use std::collections::BTreeSet;

use super::terms::UNITS;
use super::{Affine, Cost, Limits, Program, Stage, Terms};
use crate::{HeError, Layout, Parameters, Polynomial, Route};

/// Degrees that are tried, smallest first.
const DEGREES: [usize; 4] = [4096, 8192, 16_384, 32_768];
/// Bits of the scale that are tried, best first: the error of a fresh number is about 2^10 of its
/// units, and every bit more is 3 % more bytes of keys.
const SCALE_BITS: std::ops::RangeInclusive<u32> = 28..=29;
/// Bits that the last modulus has more than the scale: answers are below 2^8.
const HEADROOM: u32 = 9;
/// Bits that the product of the primes for keys has more than that of as many scales: switching keys
/// adds an error of 2^-4 of what it would be with a product as large as that of the last moduli.
const KEY_HEADROOM: u32 = 13;

/// Why a circuit cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There is nothing to compute.
    #[error("a circuit without stages")]
    Empty,
    /// Stages that do not follow each other.
    #[error("stage {stage} takes {needed} numbers, the one before gives {got}")]
    Width {
        /// The stage, from 0.
        stage: usize,
        /// What it is given.
        got: usize,
        /// What it takes.
        needed: usize,
    },
    /// No parameters allow so many multiplications after each other on so many numbers.
    #[error(
        "{depth} multiplications after each other on vectors of up to {width} numbers; degree {degree} \
         is the largest, which has moduli for {most} and room for {slots}"
    )]
    Deep {
        /// Multiplications after each other.
        depth: usize,
        /// Length of the longest vector.
        width: usize,
        /// The largest degree.
        degree: usize,
        /// The multiplications that it allows.
        most: usize,
        /// Its slots.
        slots: usize,
    },
    /// It costs too much.
    #[error("{got} {what}; {limit} are allowed")]
    Large {
        /// What.
        what: &'static str,
        /// How much of it.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// Parameters or layouts cannot be.
    #[error(transparent)]
    He(#[from] HeError),
}

/// One step, with everything known but the tables.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Linear { route: Route, bias: Vec<f64> },
    Polynomial(Polynomial),
}

/// A circuit with everything chosen.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) terms: Terms,
    pub(super) steps: Vec<Step>,
    /// Whether the answer has slots that the user must not see.
    pub(super) residue: bool,
    pub(super) cost: Cost,
}

impl Step {
    fn depth(&self) -> usize {
        match self {
            Self::Linear { .. } => 1,
            Self::Polynomial(polynomial) => depth_of_polynomial(polynomial),
        }
    }
}

impl Plan {
    /// A plan for `stages`: the smallest degree that they fit, the largest scale there.
    ///
    /// # Errors
    /// [`PlanError`] naming what does not fit, before anything of its size is allocated.
    pub fn new(stages: &[Stage], limits: &Limits) -> Result<Self, PlanError> {
        Self::in_units(stages, 1.0, limits)
    }

    /// As [`Plan::new`], with an answer that is computed as so many times `unit`: there is room for numbers
    /// of the answer below 2^8, and errors are those of numbers of about 1.
    ///
    /// # Errors
    /// As [`Plan::new`]; [`HeError::Number`] unless the unit is from 2^-64 to 2^64.
    pub fn in_units(stages: &[Stage], unit: f64, limits: &Limits) -> Result<Self, PlanError> {
        let inputs = widths(stages)?;
        let stages = divided(squared(stages.to_vec()), unit)?;
        let mut plan = Self::with(&fitting(&stages, inputs)?, inputs, stages)?;
        plan.cost.check(limits)?;
        plan.terms.unit = unit;
        Ok(plan)
    }

    /// How many slots the plan for `stages` has.
    ///
    /// # Errors
    /// [`PlanError`] if there can be none.
    pub fn slots(stages: &[Stage]) -> Result<usize, PlanError> {
        let inputs = widths(stages)?;
        Ok(fitting(&squared(stages.to_vec()), inputs)?.degree() / 2)
    }

    fn with(parameters: &Parameters, inputs: usize, stages: Vec<Stage>) -> Result<Self, PlanError> {
        let slots = parameters.degree() / 2;
        let mut layout = first_layout(&stages, inputs, slots)?;
        let run = layout.run();
        let (mut steps, mut residue) = (Vec::new(), false);
        let last = stages.len() - 1;
        for (at, stage) in stages.into_iter().enumerate() {
            steps.push(match stage {
                Stage::Affine(Affine { matrix, bias }) => {
                    let route = Route::new(&matrix, &layout, slots, at == last)?;
                    layout = route.output().clone();
                    residue = route.residue();
                    Step::Linear { route, bias }
                }
                Stage::Polynomial(it) => Step::Polynomial(it),
            });
        }
        let rotations: BTreeSet<i64> = steps.iter().flat_map(rotations).collect();
        let depth: usize = steps.iter().map(Step::depth).sum();
        let terms = Terms {
            inputs: small(inputs),
            run: small(run),
            batch: false,
            rotations: rotations.into_iter().filter_map(|it| i32::try_from(it).ok()).collect(),
            relinearise: steps.iter().any(|step| !matches!(step, Step::Linear { .. })),
            outputs: layout.first().into_iter().map(small).collect(),
            left: u8::try_from(parameters.top() - depth).unwrap_or(u8::MAX),
            ..terms_of(parameters)
        };
        let (terms, cost) = cheapest(parameters, terms, |it, terms| cost(it, terms, &steps));
        Ok(Self { terms, steps, residue, cost })
    }

    /// What its users are told.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What it costs.
    pub const fn cost(&self) -> &Cost {
        &self.cost
    }

    /// Encodes it.
    ///
    /// # Errors
    /// [`HeError`] if a weight is too large for its scale.
    pub fn prepare(&self) -> Result<Program, HeError> {
        Program::new(self)
    }
}

/// The parameters that stages of squares need.
fn fitting(stages: &[Stage], inputs: usize) -> Result<Parameters, PlanError> {
    let depth = stages.iter().map(depth_of).sum();
    let slots = stages.iter().filter_map(affine).map(|it| it.matrix.slots());
    first_fit(depth, slots.chain([inputs]).max().unwrap_or(inputs))
}

/// The smallest degree with so many multiplications after each other and slots, the largest scale there.
pub(super) fn first_fit(depth: usize, width: usize) -> Result<Parameters, PlanError> {
    let fits = |degree: usize| (width.next_power_of_two() <= degree / 2).then_some(degree);
    let choice = DEGREES.into_iter().filter_map(fits).find_map(|degree| {
        let bits = SCALE_BITS.rev().map(|scale| bits_of(scale, depth, 1));
        let mut parameters = bits.filter_map(|bits| Parameters::ckks(degree, &bits).ok());
        parameters.next()
    });
    choice.ok_or_else(|| too_deep(depth, width))
}

/// The terms of parameters of [`first_fit`], and of no circuit.
pub(super) fn terms_of(parameters: &Parameters) -> Terms {
    Terms {
        degree: small(parameters.degree()),
        moduli: parameters.moduli().iter().map(|modulus| modulus.value()).collect(),
        special: u8::try_from(parameters.special()).unwrap_or(u8::MAX),
        scale: 2_f64.powi(scale_bits(parameters).cast_signed()),
        inputs: 0,
        run: 1,
        batch: false,
        rotations: Vec::new(),
        relinearise: false,
        outputs: Vec::new(),
        left: 0,
        unit: 1.0,
    }
}

fn scale_bits(parameters: &Parameters) -> u32 {
    parameters.moduli()[0].bits() - HEADROOM
}

/// The terms with as many moduli for keys as make the circuit cheapest, and the cost then.
pub(super) fn cheapest(
    parameters: &Parameters,
    terms: Terms,
    cost: impl Fn(&Parameters, &Terms) -> Cost,
) -> (Terms, Cost) {
    let (scale, depth) = (scale_bits(parameters), parameters.top() - 1);
    let hybrid = |special: usize| {
        let parameters = Parameters::ckks(parameters.degree(), &bits_of(scale, depth, special));
        let parameters = parameters.and_then(|it| it.with_special(special)).ok()?;
        let Terms { moduli, special, .. } = terms_of(&parameters);
        let terms = Terms { moduli, special, ..terms.clone() };
        let cost = cost(&parameters, &terms);
        Some((terms, cost))
    };
    let first = cost(parameters, &terms);
    let several: Vec<_> = (2..=parameters.top()).filter_map(hybrid).collect();
    several.into_iter().fold((terms, first), |best, it| {
        let price = |(_, cost): &(Terms, Cost)| (cost.transforms, cost.key_bytes);
        if price(&it) < price(&best) { it } else { best }
    })
}

/// A position or size below 2^32: degrees are at most 2^15.
pub(super) fn small(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

pub(super) fn affine(stage: &Stage) -> Option<&Affine> {
    match stage {
        Stage::Affine(affine) => Some(affine),
        Stage::Polynomial(_) => None,
    }
}

pub(super) fn is_square(polynomial: &Polynomial) -> bool {
    polynomial.coefficients() == [0.0, 0.0, 1.0]
}

pub(super) fn depth_of(stage: &Stage) -> usize {
    match stage {
        Stage::Affine(_) => 1,
        Stage::Polynomial(polynomial) => depth_of_polynomial(polynomial),
    }
}

fn depth_of_polynomial(polynomial: &Polynomial) -> usize {
    if is_square(polynomial) { 1 } else { polynomial.depth() }
}

/// Products of two ciphertexts.
pub(super) fn products(polynomial: &Polynomial) -> usize {
    if is_square(polynomial) { 1 } else { polynomial.multiplications() }
}

/// Numbers of the input, if all stages fit each other.
pub(super) fn widths(stages: &[Stage]) -> Result<usize, PlanError> {
    let first = stages.iter().find_map(affine).ok_or(PlanError::Empty)?.matrix.columns();
    let mut width = first;
    for (stage, affine) in stages.iter().enumerate().filter_map(|(at, it)| Some((at, affine(it)?)))
    {
        let needed = affine.matrix.columns();
        if needed != width {
            return Err(PlanError::Width { stage, got: width, needed });
        }
        width = affine.matrix.rows();
    }
    Ok(first)
}

/// Bits of base, scales and the primes for keys.
fn bits_of(scale: u32, depth: usize, special: usize) -> Vec<u32> {
    let headroom = KEY_HEADROOM.div_ceil(u32::try_from(special).unwrap_or(u32::MAX));
    [vec![scale + HEADROOM], vec![scale; depth], vec![scale + headroom; special]].concat()
}

fn too_deep(depth: usize, width: usize) -> PlanError {
    let degree = DEGREES[DEGREES.len() - 1];
    let fits =
        |depth: &usize| Parameters::ckks(degree, &bits_of(*SCALE_BITS.start(), *depth, 1)).is_ok();
    let most = (1..crate::MAX_MODULI).take_while(fits).count();
    PlanError::Deep { depth, width, degree, most, slots: degree / 2 }
}

/// The same, with an answer that is so many times `unit`.
pub(super) fn divided(mut stages: Vec<Stage>, unit: f64) -> Result<Vec<Stage>, PlanError> {
    if !UNITS.contains(&unit) {
        let problem = "it must be from 2^-64 to 2^64";
        return Err(HeError::Number { what: "the unit", got: unit, problem }.into());
    }
    let Some(last) = stages.pop() else { return Ok(stages) };
    let scaled = |values: &[f64]| values.iter().map(|value| value / unit).collect::<Vec<_>>();
    stages.push(match last {
        Stage::Affine(Affine { matrix, bias }) => {
            let bias = scaled(&bias);
            Stage::Affine(Affine { matrix: matrix.rows_scaled(|_| unit.recip()), bias })
        }
        Stage::Polynomial(it) => Stage::Polynomial(Polynomial::new(scaled(it.coefficients()))?),
    });
    Ok(stages)
}

/// Replaces each polynomial of degree 2 between two affine maps by a square: with a₂ = ±s²,
/// a₂x² + a₁x + a₀ = ±(sx ± a₁/2s)² + a₀ ∓ (a₁/2s)².
pub(super) fn squared(mut stages: Vec<Stage>) -> Vec<Stage> {
    for at in 1..stages.len().saturating_sub(1) {
        let [Stage::Affine(before), Stage::Polynomial(it), Stage::Affine(after)] =
            &mut stages[at - 1..=at + 1]
        else {
            continue;
        };
        let &[a0, a1, a2] = it.coefficients() else { continue };
        let (sign, s) = (a2.signum(), a2.abs().sqrt());
        let shift = sign * a1 / (2.0 * s);
        before.matrix = before.matrix.clone().rows_scaled(|_| s);
        before.bias.iter_mut().for_each(|bias| *bias = *bias * s + shift);
        let constant = vec![a0 - sign * shift * shift; after.matrix.columns()];
        let added = after.matrix.times(&constant);
        after.bias.iter_mut().zip(added).for_each(|(bias, added)| *bias += added);
        after.matrix = after.matrix.clone().rows_scaled(|_| sign);
        if let Ok(square) = Polynomial::new(vec![0.0, 0.0, 1.0]) {
            *it = square;
        }
    }
    stages
}

/// The layout of the input that makes the first product cheapest.
fn first_layout(stages: &[Stage], inputs: usize, slots: usize) -> Result<Layout, HeError> {
    let most = slots / inputs.next_power_of_two();
    let Some(Stage::Affine(first)) = stages.first() else { return Layout::runs(inputs, 1, slots) };
    let runs = (0..=most.max(1).ilog2()).map(|log| 1 << log);
    let layouts = runs.map(|run| {
        let layout = Layout::runs(inputs, run, slots)?;
        let (matrix, last) = (&first.matrix, stages.len() == 1);
        let price = Route::price(matrix, matrix.output(), &layout, slots, last)?;
        Ok((price.weight(), layout))
    });
    let layouts = layouts.collect::<Result<Vec<_>, HeError>>()?;
    let best = layouts.into_iter().min_by_key(|(weight, _)| *weight);
    best.map(|(_, layout)| layout).ok_or(HeError::Exhausted)
}

fn rotations(step: &Step) -> BTreeSet<i64> {
    match step {
        Step::Linear { route, .. } => route.rotations(),
        Step::Polynomial(_) => BTreeSet::new(),
    }
}

fn cost(parameters: &Parameters, terms: &Terms, steps: &[Step]) -> Cost {
    const WORD: usize = 8;
    let (degree, top) = (parameters.degree(), parameters.top());
    let polynomial = |moduli: usize| moduli * degree * WORD;
    let mut cost = Cost {
        key_bytes: terms.key_bytes(),
        input_bytes: terms.input_bytes(),
        output_bytes: terms.output_bytes(),
        ..Cost::default()
    };
    let switch = |moduli| Cost::switch(moduli, parameters);
    let mut moduli = top;
    for step in steps {
        match step {
            Step::Linear { route, .. } => {
                let it = route.cost();
                cost.rotations += it.babies + it.giants + it.folds;
                cost.products += it.products;
                cost.weight_bytes += it.products * polynomial(moduli);
                // The first rotations of a vector have the parts of it in common.
                let [apart, together] = Cost::halves(moduli, parameters);
                cost.transforms += Cost::rescale(moduli)
                    + it.giants * switch(moduli)
                    + it.babies * together
                    + usize::from(it.babies > 0) * apart
                    + it.folds * switch(moduli - 1);
            }
            Step::Polynomial(polynomial) => {
                let count = products(polynomial);
                cost.multiplications += count;
                cost.transforms += count * (switch(moduli) + Cost::rescale(moduli));
            }
        }
        moduli -= step.depth();
    }
    cost
}
