//! Every layer against finite differences, and every per-example quantity against one example at
//! a time, on random shapes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use nexus_models::{
    Base, LayerSpec, Loss, Mode, ModelSpec, Network, Real, Targets, Weights, Workspace,
};
use nexus_types::{Seed, SeededRng};
use proptest::prelude::*;

/// A model and a batch for it.
struct Case<T: Real> {
    network: Network<T>,
    parameters: Vec<T>,
    input: Vec<T>,
    classes: Vec<u32>,
    values: Vec<T>,
    examples: usize,
    seed: Seed,
}

impl<T: Real> Case<T> {
    fn new(spec: &ModelSpec, examples: usize, seed: u64) -> Self {
        let network = Network::<T>::new(spec).unwrap();
        let seed = Seed::from_number(seed);
        let mut rng = seed.derive("case", &[]).rng();
        let mut draw = |len, scale: f64| (0..len).map(|_| T::of(scale * rng.normal())).collect();
        let parameters: Vec<T> = draw(network.parameters(), 0.5);
        let mut input: Vec<T> = draw(examples * network.inputs(), 1.0);
        let values = draw(examples * network.outputs(), 1.0);
        if let Some(&LayerSpec::Embedding { vocabulary, .. }) = spec.layers.first() {
            for token in &mut input {
                *token = T::of(f64::from(below(&mut rng, vocabulary)));
            }
        }
        let classes = network.outputs().max(2);
        let classes = (0..examples).map(|_| below(&mut rng, classes)).collect();
        Self { network, parameters, input, classes, values, examples, seed }
    }

    /// The examples from `begin` to `end` alone.
    fn part(&self, begin: usize, end: usize) -> (&[T], Targets<'_, T>) {
        let (inputs, outputs) = (self.network.inputs(), self.network.outputs());
        let targets = match self.network.spec().loss {
            Loss::SoftmaxCrossEntropy => Targets::Classes(&self.classes[begin..end]),
            Loss::BinaryCrossEntropy if outputs == 1 => Targets::Classes(&self.classes[begin..end]),
            Loss::BinaryCrossEntropy | Loss::MeanSquaredError => {
                Targets::Values(&self.values[begin * outputs..end * outputs])
            }
        };
        (&self.input[begin * inputs..end * inputs], targets)
    }

    /// Runs a part forward and backward and returns its losses.
    fn run(&self, begin: usize, end: usize, workspace: &mut Workspace<T>) -> Vec<T> {
        let (input, targets) = self.part(begin, end);
        let mode = Mode::Train { seed: self.seed };
        self.network.forward(&self.parameters, input, end - begin, mode, workspace).unwrap();
        self.network.backward(&self.parameters, &targets, workspace).unwrap().to_vec()
    }

    fn gradient(&self, weights: Weights<'_, T>, workspace: &mut Workspace<T>) -> Vec<T> {
        // NaN shows whether every value is overwritten.
        let mut gradient = vec![T::of(f64::NAN); self.network.parameters()];
        self.network.weighted_gradient(workspace, weights, &mut gradient).unwrap();
        gradient
    }

    /// The gradient of each example of the batch in the workspace.
    fn each(&self, workspace: &mut Workspace<T>) -> Vec<Vec<T>> {
        let alone = |example| {
            let mut weights = vec![T::ZERO; self.examples];
            weights[example] = T::ONE;
            weights
        };
        (0..self.examples)
            .map(|example| self.gradient(Weights::PerExample(&alone(example)), workspace))
            .collect()
    }
}

fn below(rng: &mut SeededRng, bound: usize) -> u32 {
    u32::try_from(rng.below(bound as u64)).unwrap()
}

impl Case<f64> {
    fn loss(&self, parameters: &[f64], input: &[f64], workspace: &mut Workspace<f64>) -> f64 {
        let mode = Mode::Train { seed: self.seed };
        self.network.forward(parameters, input, self.examples, mode, workspace).unwrap();
        let (_, targets) = self.part(0, self.examples);
        self.network.losses(&targets, workspace).unwrap().iter().sum()
    }

    /// Compares `gradient` with central differences of `loss`, value by value. Where the slope
    /// jumps within the step (`ReLU`, the largest of a window) there is no derivative to compare.
    fn check_differences(gradient: &[f64], at: &[f64], mut loss: impl FnMut(&[f64]) -> f64) {
        const STEP: f64 = 1e-5;
        let (here, mut at, mut kinks) = (loss(at), at.to_vec(), 0);
        for (i, &slope) in gradient.iter().enumerate() {
            let value = at[i];
            at[i] = value + STEP;
            let above = loss(&at);
            at[i] = value - STEP;
            let under = loss(&at);
            at[i] = value;
            let expected = (above - under) / (2.0 * STEP);
            let jump = (above - 2.0 * here + under) / STEP;
            let tolerance = 1e-6 * (1.0 + expected.abs() + here.abs());
            if jump.abs() > 1e-2 * (1.0 + here.abs()) {
                kinks += 1;
            } else {
                assert!((slope - expected).abs() < tolerance, "{i}: {slope}, expected {expected}");
            }
        }
        assert!(kinks <= 2 + gradient.len() / 20, "{kinks} kinks of {}", gradient.len());
    }
}

fn check_close(got: &[f64], expected: &[f64], tolerance: f64) {
    let scale = expected.iter().fold(1.0, |scale: f64, x| scale.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs() / scale;
        assert!(error < tolerance, "{i}: {got}, expected {expected}");
    }
}

fn exact<T: Real>(values: &[T]) -> Vec<f64> {
    values.iter().map(|value| value.to_f64()).collect()
}

/// Everything that can be said about the gradients of a model.
fn check(spec: &ModelSpec, examples: usize, seed: u64) {
    let case = Case::<f64>::new(spec, examples, seed);
    let (mut workspace, mut other) = (Workspace::new(), Workspace::new());
    case.run(0, examples, &mut workspace);
    let sum = case.gradient(Weights::Uniform(1.0), &mut workspace);
    Case::check_differences(&sum, &case.parameters, |p| case.loss(p, &case.input, &mut other));
    if !matches!(spec.layers[0], LayerSpec::Embedding { .. }) {
        let slope = case.network.input_gradient(&case.parameters, &mut workspace).unwrap().to_vec();
        Case::check_differences(&slope, &case.input, |x| {
            case.loss(&case.parameters, x, &mut other)
        });
    }
    check_examples(&case, &mut workspace);
    let dropout = |layer: &LayerSpec| matches!(layer, LayerSpec::Dropout { .. });
    if !spec.layers.iter().any(dropout) {
        check_parts(&case, 1e-11);
        check_parts(&Case::<f32>::new(spec, examples, seed), 1e-4);
    }
}

/// Norms and weighted sums against the gradients of the single examples.
fn check_examples(case: &Case<f64>, workspace: &mut Workspace<f64>) {
    let each = case.each(workspace);
    let mut norms = vec![f64::NAN; case.examples];
    case.network.gradient_norms_sq(workspace, &mut norms).unwrap();
    let expected: Vec<f64> = each.iter().map(|g| g.iter().map(|x| x * x).sum()).collect();
    check_close(&norms, &expected, 1e-11);
    let mut rng = case.seed.derive("weights", &[]).rng();
    let weights: Vec<f64> = (0..case.examples).map(|_| rng.normal()).collect();
    let gradient = case.gradient(Weights::PerExample(&weights), workspace);
    let mut expected = vec![0.0; gradient.len()];
    for (weight, gradient) in weights.iter().zip(&each) {
        expected.iter_mut().zip(gradient).for_each(|(sum, x)| *sum += weight * x);
    }
    check_close(&gradient, &expected, 1e-11);
    let third = case.gradient(Weights::Uniform(1.0 / 3.0), workspace);
    let mean: Vec<f64> = (0..third.len()).map(|i| each.iter().map(|g| g[i] / 3.0).sum()).collect();
    check_close(&third, &mean, 1e-11);
}

/// An example's loss, gradient and norm do not depend on the examples beside it.
fn check_parts<T: Real>(case: &Case<T>, tolerance: f64) {
    let mut workspace = Workspace::new();
    let losses = exact(&case.run(0, case.examples, &mut workspace));
    let each = case.each(&mut workspace);
    let mut norms = vec![T::ZERO; case.examples];
    case.network.gradient_norms_sq(&mut workspace, &mut norms).unwrap();
    for (example, gradient) in each.iter().enumerate() {
        let loss = case.run(example, example + 1, &mut workspace);
        check_close(&exact(&loss), &losses[example..=example], tolerance);
        let alone = exact(&case.gradient(Weights::Uniform(T::ONE), &mut workspace));
        check_close(&exact(gradient), &alone, tolerance);
        let brute: f64 = alone.iter().map(|x| x * x).sum();
        check_close(&[norms[example].to_f64()], &[brute], tolerance);
    }
}

fn model(input: &[usize], layers: &[LayerSpec], loss: Loss) -> ModelSpec {
    ModelSpec { version: 1, input: input.to_vec(), layers: layers.to_vec(), loss }
}

/// The layers between two linear ones, so that neither end is special.
fn between(input: &[usize], layers: &[LayerSpec]) -> ModelSpec {
    let inputs = *input.last().unwrap();
    let mut all = vec![LayerSpec::Linear { outputs: inputs, bias: true }];
    all.extend_from_slice(layers);
    all.extend([LayerSpec::Flatten, LayerSpec::Linear { outputs: 2, bias: true }]);
    model(input, &all, Loss::MeanSquaredError)
}

/// One layer alone, flattened.
fn alone(input: &[usize], layer: LayerSpec) -> ModelSpec {
    model(input, &[layer, LayerSpec::Flatten], Loss::MeanSquaredError)
}

fn examples() -> impl Strategy<Value = usize> {
    1usize..5
}

/// Shapes of one to three axes: vectors, sequences, images.
fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..5, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn linear(shape in shape(), outputs in 1usize..6, bias: bool, n in examples(), seed: u64) {
        let layer = LayerSpec::Linear { outputs, bias };
        check(&alone(&shape, layer.clone()), n, seed);
        check(&between(&shape, &[layer]), n, seed);
    }

    #[test]
    fn activations(shape in shape(), which in 0usize..6, n in examples(), seed: u64) {
        let rescale = LayerSpec::Rescale { centre: 0.3, factor: 2.5 };
        let square = LayerSpec::Polynomial { range: 1.0, coefficients: vec![0.0, 0.0, 1.0] };
        let cubic = LayerSpec::Polynomial { range: 2.5, coefficients: vec![0.1, 0.5, -0.3, 0.7] };
        let layers = [LayerSpec::Relu, LayerSpec::Gelu, LayerSpec::Tanh, rescale, square, cubic];
        let layer = layers[which].clone();
        check(&between(&shape, &[layer]), n, seed);
    }

    #[test]
    fn convolution(
        (kernel, padding) in (1usize..4).prop_flat_map(|kernel| (Just(kernel), 0..kernel)),
        (more_rows, more_columns) in (0usize..4, 0usize..4), inputs in 1usize..3,
        channels in 1usize..4, stride in 1usize..4, n in examples(), seed: u64,
    ) {
        let image = [kernel + more_rows, kernel + more_columns, inputs];
        let layer = LayerSpec::Conv2d { channels, kernel, stride, padding };
        check(&alone(&image, layer.clone()), n, seed);
        check(&between(&image, &[layer]), n, seed);
    }

    #[test]
    fn pooling(
        kernel in 1usize..4, (more_rows, more_columns) in (0usize..4, 0usize..4),
        channels in 1usize..4, stride in 1usize..4, mean: bool, n in examples(), seed: u64,
    ) {
        let image = [kernel + more_rows, kernel + more_columns, channels];
        let max = LayerSpec::MaxPool { kernel, stride };
        let layer = if mean { LayerSpec::AvgPool { kernel, stride } } else { max };
        check(&between(&image, &[layer]), n, seed);
    }

    #[test]
    fn layer_norm(mut shape in shape(), n in examples(), seed: u64) {
        *shape.last_mut().unwrap() += 1;
        check(&alone(&shape, LayerSpec::LayerNorm { epsilon: 0.1 }), n, seed);
        check(&between(&shape, &[LayerSpec::LayerNorm { epsilon: 1e-2 }]), n, seed);
    }

    #[test]
    fn embedding(
        tokens in 1usize..7, vocabulary in 1usize..5, dimension in 1usize..5, n in examples(),
        seed: u64,
    ) {
        let layer = LayerSpec::Embedding { vocabulary, dimension };
        check(&alone(&[tokens], layer.clone()), n, seed);
        let head = LayerSpec::Linear { outputs: 3, bias: true };
        let layers = [layer, LayerSpec::Tanh, LayerSpec::Flatten, head];
        check(&model(&[tokens], &layers, Loss::SoftmaxCrossEntropy), n, seed);
    }

    #[test]
    fn lora(
        shape in shape(), outputs in 1usize..5, rank in 1usize..4, alpha in -2f32..2.0, n in examples(),
        seed: u64,
    ) {
        let layer = LayerSpec::LoraLinear { outputs, rank, alpha, base: Base::Seed(seed) };
        check(&alone(&shape, layer.clone()), n, seed);
        check(&between(&shape, &[layer]), n, seed);
    }

    #[test]
    fn dropout(shape in shape(), rate in 0f32..0.9, n in examples(), seed: u64) {
        check(&between(&shape, &[LayerSpec::Dropout { rate }]), n, seed);
    }

    #[test]
    fn losses(inputs in 1usize..5, outputs in 1usize..5, n in examples(), seed: u64) {
        let layers = [LayerSpec::Linear { outputs, bias: true }];
        check(&model(&[inputs], &layers, Loss::MeanSquaredError), n, seed);
        check(&model(&[inputs], &layers, Loss::BinaryCrossEntropy), n, seed);
        check(&ModelSpec::softmax(inputs, outputs + 1), n, seed);
    }

    #[test]
    fn perceptrons(
        inputs in 1usize..8, hidden in prop::collection::vec(1usize..8, 0..3), n in examples(),
        seed: u64,
    ) {
        check(&ModelSpec::mlp(inputs, &hidden, 3), n, seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// Both ways to a norm over many positions, and groups of examples in a convolution.
    #[test]
    fn deep_networks(seed: u64) {
        let small = ModelSpec {
            layers: vec![
                LayerSpec::Conv2d { channels: 3, kernel: 3, stride: 1, padding: 1 },
                LayerSpec::Relu,
                LayerSpec::MaxPool { kernel: 2, stride: 1 },
                LayerSpec::LayerNorm { epsilon: 1e-3 },
                LayerSpec::Conv2d { channels: 4, kernel: 2, stride: 2, padding: 0 },
                LayerSpec::Gelu,
                LayerSpec::Flatten,
                LayerSpec::LoraLinear { outputs: 5, rank: 2, alpha: 1.0, base: Base::Seed(1) },
                LayerSpec::Tanh,
                LayerSpec::Linear { outputs: 3, bias: true },
            ],
            ..ModelSpec::cnn([5, 6, 2], 3)
        };
        check(&small, 4, seed);
        let wide = [LayerSpec::Linear { outputs: 20, bias: true }, LayerSpec::Flatten];
        check(&model(&[3, 10], &wide, Loss::MeanSquaredError), 3, seed);
    }

    /// At full size, against single examples only: differences would take too long.
    #[test]
    fn the_convolutional_networks(seed: u64) {
        for spec in [ModelSpec::mnist_cnn(), ModelSpec::cnn([8, 8, 1], 10)] {
            let case = Case::<f64>::new(&spec, 23, seed);
            let mut workspace = Workspace::new();
            case.run(0, case.examples, &mut workspace);
            check_examples(&case, &mut workspace);
            check_parts(&case, 1e-11);
            check_parts(&Case::<f32>::new(&spec, 5, seed), 1e-3);
        }
    }
}
