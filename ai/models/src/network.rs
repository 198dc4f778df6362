//! A model made ready to compute.

use std::ops::Range;

use nexus_types::{ModelHash, Seed};

use crate::layers::{Backward, Batch, Kept, Layer, Scratch, Weighted, weigh};
use crate::vector::{add_exactly, clear, sized, wide};
use crate::workspace::{Progress, Stage, Workspace};
use crate::{ModelError, ModelSpec, Real, Targets};

/// Whether a forward pass trains.
#[derive(Clone, Copy, Debug, Default)]
pub enum Mode {
    /// Dropout does nothing.
    #[default]
    Eval,
    /// Dropout drops by this seed: a fresh one for every step.
    Train {
        /// The seed of the step.
        seed: Seed,
    },
}

/// One weight for each example.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a, T> {
    /// The same for all: 1 / examples for the mean gradient.
    Uniform(T),
    /// One each, such as the clipping factors of private training.
    PerExample(&'a [T]),
}

/// A tensor of a network: where it lies in the vector of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Layer and name, `2.weight`, as PyTorch's `Sequential` names them.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub range: Range<usize>,
}

/// A [`ModelSpec`] with every shape checked, ready to compute.
///
/// It holds no trainable weights: those are one flat vector that is passed in, which is what
/// federated learning sends around. It can be shared between threads.
#[derive(Debug)]
pub struct Network<T: Real = f32> {
    pub(crate) spec: ModelSpec,
    pub(crate) hash: ModelHash,
    pub(crate) steps: Vec<Step<T>>,
    pub(crate) tensors: Vec<TensorInfo>,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) parameters: usize,
    /// The first step with parameters: training needs no gradient below it.
    pub(crate) first: usize,
}

/// A layer in its place.
#[derive(Debug)]
pub(crate) struct Step<T> {
    /// Place in the specification.
    pub(crate) index: usize,
    pub(crate) layer: Box<dyn Layer<T>>,
    /// Values of one example at the output.
    pub(crate) outputs: usize,
    /// The layer's parameters.
    pub(crate) range: Range<usize>,
}

/// What the backward pass has left for a layer, and room to work with it.
struct Done<'a, T> {
    batch: Batch<'a, T>,
    delta: &'a [T],
    kept: &'a Kept<T>,
    scratch: &'a mut Scratch<T>,
    weighted: &'a mut Vec<T>,
}

impl<T: Real> Network<T> {
    /// The specification.
    pub const fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// Its hash.
    pub const fn hash(&self) -> ModelHash {
        self.hash
    }

    /// Length of the vector of parameters.
    pub const fn parameters(&self) -> usize {
        self.parameters
    }

    /// Values of one example.
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Logits of one example.
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// The tensors that make up the vector of parameters, in order and without gaps.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Fresh parameters, drawn as PyTorch draws them: uniform in ±1/√(fan in) for linear and
    /// convolution layers, standard normal for embeddings.
    pub fn initial(&self, seed: &Seed) -> Vec<T> {
        let mut parameters = vec![T::ZERO; self.parameters];
        let mut tensors = self.tensors.iter();
        for step in &self.steps {
            for (number, (name, _)) in (0u64..).zip(step.layer.tensors()) {
                let seed = seed.derive("nexus/models/initial", &[step.index as u64, number]);
                if let Some(tensor) = tensors.next() {
                    let values = &mut parameters[tensor.range.clone()];
                    step.layer.initialise(name, values, &mut seed.rng());
                }
            }
        }
        parameters
    }

    /// Sends a batch through and returns its logits: `examples` rows of [`Network::outputs`].
    ///
    /// `input` is `examples` rows of [`Network::inputs`].
    ///
    /// # Errors
    /// [`ModelError::Parameters`], [`ModelError::Input`], [`ModelError::Token`].
    pub fn forward<'w>(
        &self,
        parameters: &[T],
        input: &[T],
        examples: usize,
        mode: Mode,
        workspace: &'w mut Workspace<T>,
    ) -> Result<&'w [T], ModelError> {
        if Some(input.len()) != examples.checked_mul(self.inputs) {
            return Err(ModelError::Input { got: input.len(), examples, width: self.inputs });
        }
        self.forward_with(parameters, examples, mode, workspace, |room| room.copy_from_slice(input))
    }

    /// As [`Network::forward`], for input that is not in one piece: `fill` writes it straight
    /// into the workspace. It must overwrite every value of the room it is given.
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn forward_with<'w>(
        &self,
        parameters: &[T],
        examples: usize,
        mode: Mode,
        workspace: &'w mut Workspace<T>,
        fill: impl FnOnce(&mut [T]),
    ) -> Result<&'w [T], ModelError> {
        self.check_parameters(parameters.len())?;
        workspace.progress = Progress::Empty;
        (workspace.examples, workspace.mode) = (examples, mode);
        let input = sized(&mut workspace.input, examples * self.inputs);
        fill(input);
        self.check_input(input)?;
        workspace.stages.resize_with(self.steps.len(), Stage::default);
        for index in 0..self.steps.len() {
            self.step_forward(index, parameters, workspace);
        }
        workspace.progress = Progress::Forward(self.hash);
        Ok(self.logits(workspace))
    }

    /// Values of one example before layer `layer` of the specification; those of the output if there are
    /// no more layers.
    pub fn width_before(&self, layer: usize) -> usize {
        let before = self.steps.iter().take_while(|step| step.index < layer).last();
        before.map_or(self.inputs, |step| step.outputs)
    }

    /// Shape of one example before layer `layer` of the specification, as the last layer before it that
    /// computes gave it.
    pub fn shape_before(&self, layer: usize) -> &[usize] {
        let before = self.steps.iter().take_while(|step| step.index < layer).last();
        before.map_or(&self.spec.input, |step| step.layer.output())
    }

    /// Sends a batch through some layers of the specification only, which do not train: `input` is
    /// `examples` rows of [`Network::width_before`] the first of them.
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn through(
        &self,
        layers: Range<usize>,
        parameters: &[T],
        input: &[T],
        examples: usize,
    ) -> Result<Vec<T>, ModelError> {
        self.check_parameters(parameters.len())?;
        let width = self.width_before(layers.start);
        if Some(input.len()) != examples.checked_mul(width) {
            return Err(ModelError::Input { got: input.len(), examples, width });
        }
        let mut values = input.to_vec();
        for step in self.steps.iter().filter(|step| layers.contains(&step.index)) {
            if step.index == 0 {
                self.check_input(&values)?;
            }
            let batch = Batch { input: &values, examples, mode: Mode::Eval };
            let mut output = vec![T::ZERO; examples * step.outputs];
            let (mut kept, mut scratch) = (Kept::default(), Scratch::default());
            let own = &parameters[step.range.clone()];
            step.layer.forward(own, batch, &mut output, &mut kept, &mut scratch);
            values = output;
        }
        Ok(values)
    }

    /// The loss of each example of the batch that was sent forward.
    ///
    /// # Errors
    /// [`ModelError::Order`] without a forward pass; the errors of [`Network::backward`].
    pub fn losses<'w>(
        &self,
        targets: &Targets<'_, T>,
        workspace: &'w mut Workspace<T>,
    ) -> Result<&'w [T], ModelError> {
        if !matches!(workspace.progress, Progress::Forward(hash) | Progress::Backward(hash) if hash == self.hash)
        {
            return Err(ModelError::Order { needed: "forward" });
        }
        workspace.progress = Progress::Forward(self.hash);
        let Workspace { stages, losses, examples, .. } = workspace;
        let losses = sized(losses, *examples);
        if let Some(Stage { output, delta, .. }) = stages.last_mut() {
            let (logits, values) = (&*output, *examples * self.outputs);
            let delta = sized(delta, values);
            self.spec.loss.evaluate(&logits[..values], targets, self.outputs, losses, delta)?;
        }
        Ok(losses)
    }

    /// Computes the loss of each example, and the gradient of their *sum* with respect to every
    /// layer's output. The losses are returned, the gradients stay in the workspace for
    /// [`Network::gradient_norms_sq`] and [`Network::weighted_gradient`].
    ///
    /// `parameters` must be those of the forward pass.
    ///
    /// # Errors
    /// [`ModelError::Order`] without a forward pass, [`ModelError::Parameters`],
    /// [`ModelError::Targets`], [`ModelError::TargetKind`], [`ModelError::Class`].
    pub fn backward<'w>(
        &self,
        parameters: &[T],
        targets: &Targets<'_, T>,
        workspace: &'w mut Workspace<T>,
    ) -> Result<&'w [T], ModelError> {
        self.check_parameters(parameters.len())?;
        self.losses(targets, workspace)?;
        for index in (self.first..self.steps.len()).rev() {
            self.step_backward(index, parameters, workspace, index > self.first);
        }
        workspace.progress = Progress::Backward(self.hash);
        Ok(&workspace.losses[..workspace.examples])
    }

    /// The gradient of the sum of losses with respect to the input, after
    /// [`Network::backward`]. For tokens it is 0.
    ///
    /// # Errors
    /// [`ModelError::Order`] without a backward pass, [`ModelError::Parameters`].
    pub fn input_gradient<'w>(
        &self,
        parameters: &[T],
        workspace: &'w mut Workspace<T>,
    ) -> Result<&'w [T], ModelError> {
        self.check_parameters(parameters.len())?;
        self.check_backward(workspace)?;
        for index in (0..=self.first).rev() {
            self.step_backward(index, parameters, workspace, true);
        }
        Ok(&workspace.below[..workspace.examples * self.inputs])
    }

    /// Writes the squared L2 norm of each example's gradient over all parameters, after
    /// [`Network::backward`]. No example's gradient exists for longer than its own norm takes.
    ///
    /// # Errors
    /// [`ModelError::Order`] without a backward pass, [`ModelError::Examples`].
    pub fn gradient_norms_sq(
        &self,
        workspace: &mut Workspace<T>,
        norms: &mut [T],
    ) -> Result<(), ModelError> {
        self.check_backward(workspace)?;
        check_examples(norms.len(), workspace.examples)?;
        norms.fill(T::ZERO);
        for (index, step) in self.trainable() {
            let Done { batch, delta, kept, scratch, .. } = self.done(index, workspace);
            step.layer.add_norms_sq(batch, delta, norms, kept, scratch);
        }
        Ok(())
    }

    /// Writes Σ wᵢ gᵢ to `gradient`, with gᵢ the gradient of example i, after
    /// [`Network::backward`].
    ///
    /// An example whose own weight is 0 is left out, whatever its gradient is: what is not finite of
    /// it becomes 0 in the workspace, for 0 · ∞ is not 0.
    ///
    /// # Errors
    /// [`ModelError::Order`] without a backward pass, [`ModelError::Examples`],
    /// [`ModelError::Parameters`].
    pub fn weighted_gradient(
        &self,
        workspace: &mut Workspace<T>,
        weights: Weights<'_, T>,
        gradient: &mut [T],
    ) -> Result<(), ModelError> {
        self.check_backward(workspace)?;
        self.check_parameters(gradient.len())?;
        if let Weights::PerExample(weights) = weights {
            check_examples(weights.len(), workspace.examples)?;
            for example in (0..weights.len()).filter(|&example| is_zero(weights[example])) {
                self.forget(example, workspace);
            }
        }
        for (index, step) in self.trainable() {
            let Done { batch, delta, kept, scratch, weighted } = self.done(index, workspace);
            let (delta, factor) = weigh(delta, weights, weighted);
            let weighted = Weighted { delta, factor, weights };
            let gradient = &mut gradient[step.range.clone()];
            step.layer.weighted_gradient(batch, weighted, gradient, kept, scratch);
        }
        Ok(())
    }

    /// Adds what [`Network::weighted_gradient`] writes to `sums`, in f64.
    ///
    /// # Errors
    /// As [`Network::weighted_gradient`].
    pub fn add_weighted_gradient(
        &self,
        workspace: &mut Workspace<T>,
        weights: Weights<'_, T>,
        sums: &mut [f64],
    ) -> Result<(), ModelError> {
        self.check_parameters(sums.len())?;
        let mut room = std::mem::take(&mut workspace.gradient);
        let gradient = sized(&mut room, self.parameters);
        let done = self.weighted_gradient(workspace, weights, gradient);
        if done.is_ok() {
            wide!(add_exactly(sums, gradient));
        }
        workspace.gradient = room;
        done
    }

    fn trainable(&self) -> impl Iterator<Item = (usize, &Step<T>)> {
        self.steps.iter().enumerate().filter(|(_, step)| !step.range.is_empty())
    }

    fn logits<'w>(&self, workspace: &'w Workspace<T>) -> &'w [T] {
        let output = workspace.stages.last().map_or(&[][..], |stage| &stage.output);
        &output[..workspace.examples * self.outputs]
    }

    /// Values of one example at the input of step `index`.
    fn width(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(self.inputs, |before| self.steps[before].outputs)
    }

    fn step_forward(&self, index: usize, parameters: &[T], workspace: &mut Workspace<T>) {
        let (step, examples) = (&self.steps[index], workspace.examples);
        let Workspace { input, stages, scratch, mode, .. } = workspace;
        let (before, stage) = stages.split_at_mut(index);
        let input = before.last().map_or(&*input, |stage| &stage.output);
        let batch = Batch { input: &input[..examples * self.width(index)], examples, mode: *mode };
        let Stage { output, kept, .. } = &mut stage[0];
        let output = sized(output, examples * step.outputs);
        step.layer.forward(&parameters[step.range.clone()], batch, output, kept, scratch);
    }

    /// What the backward pass has left for step `index`.
    fn done<'a>(&self, index: usize, workspace: &'a mut Workspace<T>) -> Done<'a, T> {
        let (step, examples) = (&self.steps[index], workspace.examples);
        let Workspace { input, stages, scratch, weighted, mode, .. } = workspace;
        let (before, stage) = stages.split_at(index);
        let input = before.last().map_or(&*input, |stage| &stage.output);
        let batch = Batch { input: &input[..examples * self.width(index)], examples, mode: *mode };
        let Stage { delta, kept, .. } = &stage[0];
        Done { batch, delta: &delta[..examples * step.outputs], kept, scratch, weighted }
    }

    /// Makes 0 of what is not finite of an example and what a weighted gradient would multiply.
    fn forget(&self, example: usize, workspace: &mut Workspace<T>) {
        let examples = workspace.examples;
        let row = |width: usize| example * width..(example + 1) * width;
        clear(&mut workspace.input[row(self.inputs)]);
        for (step, stage) in self.steps.iter().zip(&mut workspace.stages) {
            clear(&mut stage.output[row(step.outputs)]);
            if !step.range.is_empty() {
                clear(&mut stage.delta[row(step.outputs)]);
                step.layer.forget(example, examples, &mut stage.kept);
            }
        }
    }

    /// Takes the gradient from the output of step `index` to its input, if it is `wanted` there.
    fn step_backward(
        &self,
        index: usize,
        parameters: &[T],
        workspace: &mut Workspace<T>,
        wanted: bool,
    ) {
        let (examples, mode) = (workspace.examples, workspace.mode);
        let (step, values) = (&self.steps[index], examples * self.width(index));
        let Workspace { input, below, stages, scratch, .. } = workspace;
        let (before, stage) = stages.split_at_mut(index);
        let (input, below) = match before.last_mut() {
            Some(stage) => (&stage.output, &mut stage.delta),
            None => (&*input, below),
        };
        let batch = Batch { input: &input[..values], examples, mode };
        let Stage { output, delta, kept } = &mut stage[0];
        let (output, delta) =
            (&output[..examples * step.outputs], &delta[..examples * step.outputs]);
        let pass = Backward { output, delta, below: wanted.then(|| sized(below, values)) };
        step.layer.backward(&parameters[step.range.clone()], batch, pass, kept, scratch);
    }

    const fn check_parameters(&self, got: usize) -> Result<(), ModelError> {
        let expected = self.parameters;
        if got == expected { Ok(()) } else { Err(ModelError::Parameters { got, expected }) }
    }

    fn check_input(&self, input: &[T]) -> Result<(), ModelError> {
        let refused = self.steps.first().and_then(|step| step.layer.refused(input));
        refused.map_or(Ok(()), |(place, last)| {
            let (example, position) = (place / self.inputs, place % self.inputs);
            Err(ModelError::Token { example, position, value: input[place].to_f64(), last })
        })
    }

    fn check_backward(&self, workspace: &Workspace<T>) -> Result<(), ModelError> {
        let done = workspace.progress == Progress::Backward(self.hash);
        if done { Ok(()) } else { Err(ModelError::Order { needed: "backward" }) }
    }
}

fn is_zero<T: Real>(weight: T) -> bool {
    weight == T::ZERO
}

const fn check_examples(got: usize, expected: usize) -> Result<(), ModelError> {
    if got == expected { Ok(()) } else { Err(ModelError::Examples { got, expected }) }
}
