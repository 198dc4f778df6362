//! What a row contributes must not depend on which rows share its batch: else one added row moves the
//! activations of others by a bit, and the sensitivity of a private sum is not what it is said to be.
//!
//! In a batch of fixed size a row at its place gives the same bits whatever the others are. That is what private
//! training uses: slots of a fixed number of rows, filled up with empty ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::cast_possible_truncation, reason = "random values, rounded")]

use nexus_models::{
    Base, LayerSpec, Loss, Mode, ModelSpec, Network, SPEC_VERSION, Targets, Weights, Workspace,
};
use nexus_types::{Seed, SeededRng};

/// Rows of a slot.
const SLOT: usize = 32;
const BATCHES: usize = 200;
const CLASSES: u32 = 5;

/// A network of each layer, large enough for more than one block of the matrix kernels.
fn networks() -> Vec<ModelSpec> {
    let linear = |outputs| LayerSpec::Linear { outputs, bias: true };
    let spec = |input: &[usize], mut layers: Vec<LayerSpec>| {
        layers.push(linear(5));
        let (version, input) = (SPEC_VERSION, input.to_vec());
        ModelSpec { version, input, loss: Loss::SoftmaxCrossEntropy, layers }
    };
    let convolution = LayerSpec::Conv2d { channels: 7, kernel: 3, stride: 1, padding: 1 };
    let pool = LayerSpec::MaxPool { kernel: 2, stride: 2 };
    let average = LayerSpec::AvgPool { kernel: 2, stride: 2 };
    let adapter = LayerSpec::LoraLinear { outputs: 9, rank: 3, alpha: 2.0, base: Base::Seed(1) };
    let embedding = LayerSpec::Embedding { vocabulary: 11, dimension: 8 };
    vec![
        spec(&[700], vec![]),
        spec(&[65], vec![linear(67), LayerSpec::Relu]),
        spec(&[64], vec![linear(64), LayerSpec::Tanh]),
        spec(&[33], vec![linear(300), LayerSpec::Gelu]),
        spec(&[40], vec![LayerSpec::LayerNorm { epsilon: 1e-5 }]),
        spec(&[40], vec![adapter, LayerSpec::Relu]),
        spec(&[2, 9, 9], vec![convolution.clone(), LayerSpec::Relu, pool, LayerSpec::Flatten]),
        spec(&[2, 9, 9], vec![convolution, average, LayerSpec::Flatten]),
        spec(&[6], vec![embedding, LayerSpec::Flatten]),
    ]
}

struct Rows {
    input: Vec<f32>,
    classes: Vec<u32>,
}

fn rows(network: &Network<f32>, count: usize, rng: &mut SeededRng) -> Rows {
    let tokens = matches!(network.spec().layers[0], LayerSpec::Embedding { .. });
    let values = count * network.inputs();
    let draw = |_| if tokens { rng.below(11) as f32 } else { rng.normal() as f32 };
    let input = (0..values).map(draw).collect();
    let classes = (0..count).map(|_| u32::try_from(rng.below(CLASSES.into())).unwrap()).collect();
    Rows { input, classes }
}

/// The norm and the gradient of the row at `place`, as bits; −0 is 0.
fn contribution(
    network: &Network<f32>,
    parameters: &[f32],
    batch: &Rows,
    place: usize,
    workspace: &mut Workspace<f32>,
) -> Vec<u32> {
    let count = batch.classes.len();
    network.forward(parameters, &batch.input, count, Mode::Eval, workspace).unwrap();
    network.backward(parameters, &Targets::Classes(&batch.classes), workspace).unwrap();
    let (mut norms, mut weights) = (vec![0.0; count], vec![0.0; count]);
    network.gradient_norms_sq(workspace, &mut norms).unwrap();
    weights[place] = 0.75;
    let mut gradient = vec![0.0; network.parameters()];
    let weights = Weights::PerExample(&weights);
    network.weighted_gradient(workspace, weights, &mut gradient).unwrap();
    gradient.push(norms[place]);
    gradient.iter().map(|value| (value + 0.0).to_bits()).collect()
}

/// In how many of random slots, with the row at `place`, the row does not contribute the same bits.
fn changes(network: &Network<f32>, place: usize, altered: bool) -> usize {
    let mut rng = Seed::from_number(4).rng();
    let parameters: Vec<f32> =
        (0..network.parameters()).map(|_| 0.3 * rng.normal() as f32).collect();
    let (row, width) = (rows(network, 1, &mut rng), network.inputs());
    let mut seen = None;
    let changed = (0..BATCHES).filter(|number| {
        let mut batch = rows(network, SLOT, &mut rng);
        if rng.below(4) == 0 {
            // All the others are empty.
            batch.input.fill(0.0);
        }
        batch.input[place * width..][..width].copy_from_slice(&row.input);
        batch.classes[place] = row.classes[0];
        if altered && *number == 100 {
            batch.classes[place] = (row.classes[0] + 1) % CLASSES;
        }
        // A new one each time: other addresses.
        let mut workspace = Workspace::default();
        let got = contribution(network, &parameters, &batch, place, &mut workspace);
        *seen.get_or_insert_with(|| got.clone()) != got
    });
    changed.count()
}

/// The matrix kernels order their additions by the *size* of a batch (and a convolution's also by
/// the place in it), so sizes that depend on rows would not do: a third of batches of 1 to 80 rows differ.
#[test]
fn a_row_in_a_slot_contributes_the_same_whatever_the_others_are() {
    for spec in networks() {
        let network = Network::<f32>::new(&spec).unwrap();
        for place in [0, 13, SLOT - 1] {
            assert_eq!(changes(&network, place, false), 0, "{:?} at {place}", spec.layers);
        }
        assert_eq!(changes(&network, 7, true), 1, "{:?}", spec.layers);
    }
}

/// The sum of all rows but one, whose values are these.
fn without(network: &Network<f32>, parameters: &[f32], batch: &Rows, values: f32) -> Vec<u32> {
    const LEFT_OUT: usize = 5;
    let (width, mut workspace) = (network.inputs(), Workspace::default());
    let mut input = batch.input.clone();
    input[LEFT_OUT * width..][..width].fill(values);
    network.forward(parameters, &input, SLOT, Mode::Eval, &mut workspace).unwrap();
    network.backward(parameters, &Targets::Classes(&batch.classes), &mut workspace).unwrap();
    let mut weights = [0.5; SLOT];
    weights[LEFT_OUT] = 0.0;
    let mut gradient = vec![0.0; network.parameters()];
    let weights = Weights::PerExample(&weights);
    network.weighted_gradient(&mut workspace, weights, &mut gradient).unwrap();
    assert!(gradient.iter().all(|slope| slope.is_finite()));
    gradient.iter().map(|value| (value + 0.0).to_bits()).collect()
}

#[test]
fn a_row_of_weight_0_is_left_out_even_if_its_gradient_is_not_finite() {
    for spec in networks() {
        let network = Network::<f32>::new(&spec).unwrap();
        let mut rng = Seed::from_number(5).rng();
        let parameters: Vec<f32> =
            (0..network.parameters()).map(|_| 0.3 * rng.normal() as f32).collect();
        let batch = rows(&network, SLOT, &mut rng);
        let expected = without(&network, &parameters, &batch, 0.0);
        if matches!(spec.layers[0], LayerSpec::Embedding { .. }) {
            continue;
        }
        for values in [f32::NAN, f32::INFINITY, f32::MAX] {
            assert_eq!(
                without(&network, &parameters, &batch, values),
                expected,
                "{:?}",
                spec.layers
            );
        }
    }
}
