//! What the layers compute, against definitions written out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use nexus_models::{Base, LayerSpec, Loss, Mode, ModelSpec, Network, Workspace, frozen_digest};
use nexus_types::Seed;
use proptest::prelude::*;

fn draw(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = Seed::from_number(seed).rng();
    (0..len).map(|_| rng.normal()).collect()
}

fn spec(input: &[usize], layers: &[LayerSpec]) -> ModelSpec {
    let layers = [layers, &[LayerSpec::Flatten]].concat();
    ModelSpec { version: 1, input: input.to_vec(), layers, loss: Loss::MeanSquaredError }
}

fn run(spec: &ModelSpec, parameters: &[f64], input: &[f64], mode: Mode) -> Vec<f64> {
    let network = Network::new(spec).unwrap();
    let examples = input.len() / network.inputs();
    let mut workspace = Workspace::new();
    network.forward(parameters, input, examples, mode, &mut workspace).unwrap().to_vec()
}

/// The output of a layer that has no parameters, behind a linear layer that changes nothing.
fn bare(input: &[usize], layer: LayerSpec, values: &[f64], mode: Mode) -> Vec<f64> {
    let size = *input.last().unwrap();
    let identity: Vec<f64> =
        (0..size * size).map(|i| f64::from(u8::from(i / size == i % size))).collect();
    let linear = LayerSpec::Linear { outputs: size, bias: false };
    run(&spec(input, &[linear, layer]), &identity, values, mode)
}

fn check_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() < 1e-10, "{i}: {got}, expected {expected}");
    }
}

/// Where a window begins on each axis, and what lies under it: `None` is padding.
struct Windows<'a> {
    image: &'a [f64],
    size: [usize; 3],
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Windows<'_> {
    fn places(&self) -> Vec<(usize, usize)> {
        let count = |size: usize| (size + 2 * self.padding - self.kernel) / self.stride + 1;
        let (rows, columns) = (count(self.size[0]), count(self.size[1]));
        (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).collect()
    }

    fn under(
        &self,
        (row, column): (usize, usize),
        y: usize,
        x: usize,
        channel: usize,
    ) -> Option<f64> {
        let [height, width, channels] = self.size;
        let y = (row * self.stride + y).checked_sub(self.padding).filter(|&y| y < height)?;
        let x = (column * self.stride + x).checked_sub(self.padding).filter(|&x| x < width)?;
        Some(self.image[(y * width + x) * channels + channel])
    }
}

proptest! {
    #[test]
    fn linear_layers_multiply_and_add(
        inputs in 1usize..6, outputs in 1usize..6, positions in 1usize..4, seed: u64,
    ) {
        let layer = LayerSpec::Linear { outputs, bias: true };
        let (parameters, x) = (draw((inputs + 1) * outputs, seed), draw(2 * positions * inputs, !seed));
        let (weight, bias) = parameters.split_at(inputs * outputs);
        let expected: Vec<f64> = x
            .chunks(inputs)
            .flat_map(|x| {
                weight.chunks(inputs).zip(bias).map(move |(row, bias)| {
                    bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()
                })
            })
            .collect();
        let got = run(&spec(&[positions, inputs], &[layer]), &parameters, &x, Mode::Eval);
        check_close(&got, &expected);
    }

    #[test]
    fn convolution_is_a_sum_over_the_window(
        (kernel, padding) in (1usize..4).prop_flat_map(|kernel| (Just(kernel), 0..kernel)),
        (more_rows, more_columns) in (0usize..5, 0usize..5), inputs in 1usize..4,
        channels in 1usize..4, stride in 1usize..4, seed: u64,
    ) {
        let size = [kernel + more_rows, kernel + more_columns, inputs];
        let weights = channels * kernel * kernel * inputs;
        let (parameters, images) = (draw(weights + channels, seed), draw(2 * size.iter().product::<usize>(), !seed));
        let (weight, bias) = parameters.split_at(weights);
        let mut expected = Vec::new();
        for image in images.chunks(images.len() / 2) {
            let windows = Windows { image, size, kernel, stride, padding };
            for place in windows.places() {
                for (weight, bias) in weight.chunks(weights / channels).zip(bias) {
                    let mut sum = *bias;
                    for (i, weight) in weight.iter().enumerate() {
                        let (y, x, channel) = (i / inputs / kernel, i / inputs % kernel, i % inputs);
                        sum += weight * windows.under(place, y, x, channel).unwrap_or(0.0);
                    }
                    expected.push(sum);
                }
            }
        }
        let layer = LayerSpec::Conv2d { channels, kernel, stride, padding };
        check_close(&run(&spec(&size, &[layer]), &parameters, &images, Mode::Eval), &expected);
    }

    #[test]
    fn pooling_is_the_largest_or_the_mean_of_the_window(
        kernel in 1usize..4, (more_rows, more_columns) in (0usize..5, 0usize..5),
        channels in 1usize..4, stride in 1usize..4, seed: u64,
    ) {
        let size = [kernel + more_rows, kernel + more_columns, channels];
        let image = draw(size.iter().product(), seed);
        let windows = Windows { image: &image, size, kernel, stride, padding: 0 };
        let (mut largest, mut means) = (Vec::new(), Vec::new());
        for place in windows.places() {
            for channel in 0..channels {
                let all: Vec<f64> = (0..kernel * kernel)
                    .filter_map(|i| windows.under(place, i / kernel, i % kernel, channel))
                    .collect();
                largest.push(all.iter().copied().fold(f64::MIN, f64::max));
                means.push(all.iter().sum::<f64>() / all.len() as f64);
            }
        }
        check_close(&bare(&size, LayerSpec::MaxPool { kernel, stride }, &image, Mode::Eval), &largest);
        check_close(&bare(&size, LayerSpec::AvgPool { kernel, stride }, &image, Mode::Eval), &means);
    }

    #[test]
    fn layer_norm_brings_rows_to_mean_0_and_variance_1(size in 2usize..20, seed: u64) {
        let layer = LayerSpec::LayerNorm { epsilon: 1e-12 };
        let mut parameters = vec![1.0; size];
        parameters.extend(vec![0.0; size]);
        let plain = run(&spec(&[2, size], std::slice::from_ref(&layer)), &parameters, &draw(2 * size, seed), Mode::Eval);
        for row in plain.chunks(size) {
            let mean = row.iter().sum::<f64>() / size as f64;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / size as f64;
            prop_assert!(mean.abs() < 1e-9 && (variance - 1.0).abs() < 1e-6, "{mean} {variance}");
        }
        let scaled: Vec<f64> = (0..size).map(|i| i as f64).chain(vec![0.5; size]).collect();
        let got = run(&spec(&[2, size], &[layer]), &scaled, &draw(2 * size, seed), Mode::Eval);
        let expected: Vec<f64> =
            plain.iter().enumerate().map(|(i, x)| (i % size) as f64 * x + 0.5).collect();
        check_close(&got, &expected);
    }

    #[test]
    fn lora_adds_a_product_of_low_rank_to_the_frozen_weights(
        inputs in 1usize..5, outputs in 1usize..5, rank in 1usize..3, seed: u64,
    ) {
        let frozen: Vec<f32> = (0u16..).take((inputs + 1) * outputs).map(|i| f32::from(i) / 4.0 - 1.0).collect();
        let base = Base::Weights(frozen_digest(&frozen));
        let layer = LayerSpec::LoraLinear { outputs, rank, alpha: 3.0, base };
        let network = Network::<f64>::with_frozen(&spec(&[inputs], &[layer]), &frozen).unwrap();
        let (parameters, x) = (draw(rank * (inputs + outputs), seed), draw(inputs, !seed));
        let (a, b) = parameters.split_at(rank * inputs);
        let mut merged: Vec<f64> = frozen.iter().map(|&w| w.into()).collect();
        for (i, weight) in merged[..inputs * outputs].iter_mut().enumerate() {
            let (output, input) = (i / inputs, i % inputs);
            let product: f64 = (0..rank).map(|r| b[output * rank + r] * a[r * inputs + input]).sum();
            *weight += 3.0 / rank as f64 * product;
        }
        let linear = LayerSpec::Linear { outputs, bias: true };
        let expected = run(&spec(&[inputs], &[linear]), &merged, &x, Mode::Eval);
        let mut workspace = Workspace::new();
        let got = network.forward(&parameters, &x, 1, Mode::Eval, &mut workspace).unwrap();
        check_close(got, &expected);
    }
}

#[test]
fn activations_have_known_values() {
    let x = [-2.0, -0.5, 0.0, 1.0, f64::NAN];
    let of = |layer| bare(&[1], layer, &x, Mode::Eval);
    let relu = of(LayerSpec::Relu);
    check_close(&relu[..4], &[0.0, 0.0, 0.0, 1.0]);
    // torch.nn.functional.gelu(x, approximate="tanh") in float64.
    let gelu = of(LayerSpec::Gelu);
    check_close(&gelu[..4], &GELU);
    let tanh = of(LayerSpec::Tanh);
    check_close(&tanh[..4], &x.map(f64::tanh)[..4]);
    let polynomial = |range, coefficients| of(LayerSpec::Polynomial { range, coefficients });
    let square = polynomial(1.0, vec![0.0, 0.0, 1.0]);
    check_close(&square[..4], &[4.0, 0.25, 0.0, 1.0]);
    let cubic = polynomial(2.0, vec![1.0, 0.0, 0.5, 2.0]);
    check_close(&cubic[..4], &[-0.5, 1.0, 1.0, 1.375]);
    for values in [relu, gelu, tanh, square, cubic] {
        assert!(values[4].is_nan(), "a NaN must not be hidden");
    }
}

const GELU: [f64; 4] =
    [-0.045_402_305_912_224_94, -0.154_285_990_174_856_06, 0.0, 0.841_191_990_608_276_8];

#[test]
fn embeddings_are_rows_of_the_table() {
    let layer = LayerSpec::Embedding { vocabulary: 3, dimension: 2 };
    let table = [0.0, 0.1, 1.0, 1.1, 2.0, 2.1];
    let got = run(&spec(&[3], &[layer]), &table, &[2.0, 0.0, 2.0], Mode::Eval);
    check_close(&got, &[2.0, 2.1, 0.0, 0.1, 2.0, 2.1]);
}

#[test]
fn dropout_drops_by_its_seed_and_only_in_training() {
    let ones = vec![1.0; 20_000];
    let drop = |mode| bare(&[1], LayerSpec::Dropout { rate: 0.25 }, &ones, mode);
    let train = |seed| Mode::Train { seed: Seed::from_number(seed) };
    check_close(&drop(Mode::Eval), &ones);
    let dropped = drop(train(1));
    check_close(&drop(train(1)), &dropped);
    assert!(drop(train(2)).iter().zip(&dropped).any(|(a, b)| (a - b).abs() > 0.5));
    let kept = dropped.iter().filter(|&&x| (x - 4.0 / 3.0).abs() < 1e-12).count();
    let zero = dropped.iter().filter(|&&x| x.abs() < 1e-12).count();
    assert_eq!(kept + zero, ones.len());
    assert!((14_750..15_250).contains(&kept), "{kept} of 20 000 kept, expected 15 000");
}
