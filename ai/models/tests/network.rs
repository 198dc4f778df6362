//! What a network promises apart from its numbers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use nexus_models::{
    LayerSpec, Loss, Mode, ModelError, ModelSpec, Network, Targets, Weights, Workspace,
};
use nexus_types::Seed;

fn network() -> (Network, Vec<f32>) {
    let network = Network::new(&ModelSpec::mlp(3, &[4], 2)).unwrap();
    let parameters = network.initial(&Seed::from_number(1));
    (network, parameters)
}

#[test]
fn lengths_that_do_not_fit_are_named() {
    let (network, parameters) = network();
    let mut workspace = Workspace::new();
    let short = network.forward(&parameters[1..], &[0.0; 6], 2, Mode::Eval, &mut workspace);
    assert_eq!(short, Err(ModelError::Parameters { got: 25, expected: 26 }));
    for examples in [3, usize::MAX] {
        let input = network.forward(&parameters, &[0.0; 6], examples, Mode::Eval, &mut workspace);
        assert_eq!(input, Err(ModelError::Input { got: 6, examples, width: 3 }));
    }
    network.forward(&parameters, &[0.0; 6], 2, Mode::Eval, &mut workspace).unwrap();
    network.backward(&parameters, &Targets::Classes(&[0, 1]), &mut workspace).unwrap();
    let norms = network.gradient_norms_sq(&mut workspace, &mut [0.0]);
    assert_eq!(norms, Err(ModelError::Examples { got: 1, expected: 2 }));
    let weights = Weights::PerExample(&[1.0; 3]);
    let gradient = network.weighted_gradient(&mut workspace, weights, &mut [0.0; 26]);
    assert_eq!(gradient, Err(ModelError::Examples { got: 3, expected: 2 }));
    let gradient = network.weighted_gradient(&mut workspace, Weights::Uniform(1.0), &mut [0.0; 27]);
    assert_eq!(gradient, Err(ModelError::Parameters { got: 27, expected: 26 }));
}

#[test]
fn steps_out_of_order_are_refused() {
    let (network, parameters) = network();
    let other = Network::new(&ModelSpec::mlp(3, &[5], 2)).unwrap();
    let mut workspace = Workspace::new();
    let targets = Targets::Classes(&[1]);
    let needed = |needed| ModelError::Order { needed };
    let early = network.backward(&parameters, &targets, &mut workspace);
    assert_eq!(early, Err(needed("forward")));
    network.forward(&parameters, &[0.0; 3], 1, Mode::Eval, &mut workspace).unwrap();
    assert_eq!(other.losses(&targets, &mut workspace), Err(needed("forward")));
    let early = network.gradient_norms_sq(&mut workspace, &mut [0.0]);
    assert_eq!(early, Err(needed("backward")));
    assert_eq!(network.input_gradient(&parameters, &mut workspace), Err(needed("backward")));
    network.backward(&parameters, &targets, &mut workspace).unwrap();
    // A loss without its gradient, or a refused batch, must not leave an old gradient behind.
    network.losses(&targets, &mut workspace).unwrap();
    let mut gradient = vec![0.0; network.parameters()];
    let old = network.weighted_gradient(&mut workspace, Weights::Uniform(1.0), &mut gradient);
    assert_eq!(old, Err(needed("backward")));
    network.backward(&parameters, &targets, &mut workspace).unwrap();
    assert!(network.backward(&parameters, &Targets::Classes(&[2]), &mut workspace).is_err());
    let old = network.weighted_gradient(&mut workspace, Weights::Uniform(1.0), &mut gradient);
    assert_eq!(old, Err(needed("backward")));
}

#[test]
fn tokens_outside_the_vocabulary_are_named() {
    let layers = vec![LayerSpec::Embedding { vocabulary: 4, dimension: 2 }, LayerSpec::Flatten];
    let spec = ModelSpec { version: 1, input: vec![3], layers, loss: Loss::MeanSquaredError };
    let network = Network::<f32>::new(&spec).unwrap();
    let parameters = network.initial(&Seed::from_number(1));
    for value in [4.0, -1.0, 0.5, f32::NAN, f32::INFINITY] {
        let input = [0.0, 1.0, 2.0, 3.0, value, 0.0];
        let mut workspace = Workspace::new();
        let error =
            network.forward(&parameters, &input, 2, Mode::Eval, &mut workspace).unwrap_err();
        let ModelError::Token { example: 1, position: 1, last: 3, .. } = error else {
            panic!("{error}");
        };
    }
}

#[test]
fn an_empty_batch_has_a_gradient_of_zero() {
    for spec in [ModelSpec::mlp(3, &[4], 2), ModelSpec::cnn([4, 4, 1], 2)] {
        let network = Network::<f32>::new(&spec).unwrap();
        let parameters = network.initial(&Seed::from_number(1));
        let mut workspace = Workspace::new();
        network.forward(&parameters, &[], 0, Mode::Eval, &mut workspace).unwrap();
        network.backward(&parameters, &Targets::Classes(&[]), &mut workspace).unwrap();
        network.gradient_norms_sq(&mut workspace, &mut []).unwrap();
        for weights in [Weights::Uniform(1.0), Weights::PerExample(&[])] {
            let mut gradient = vec![f32::NAN; network.parameters()];
            network.weighted_gradient(&mut workspace, weights, &mut gradient).unwrap();
            assert!(gradient.iter().all(|x| x.abs() < f32::MIN_POSITIVE));
        }
    }
}

#[test]
fn a_workspace_grows_once_and_forgets_everything() {
    let network = Network::<f32>::new(&ModelSpec::cnn([8, 8, 1], 10)).unwrap();
    let parameters = network.initial(&Seed::from_number(1));
    let step = |examples: usize, workspace: &mut Workspace| {
        let input: Vec<f32> = (0u16..).take(64 * examples).map(|i| f32::from(i % 17)).collect();
        let targets = vec![3; examples];
        network.forward(&parameters, &input, examples, Mode::Eval, workspace).unwrap();
        network.backward(&parameters, &Targets::Classes(&targets), workspace).unwrap();
        let mut values = vec![0.0; examples];
        network.gradient_norms_sq(workspace, &mut values).unwrap();
        let mut gradient = vec![0.0; network.parameters()];
        let weights = Weights::PerExample(&values);
        network.weighted_gradient(workspace, weights, &mut gradient).unwrap();
        values.extend(gradient);
        values
    };
    let mut workspace = Workspace::new();
    step(20, &mut workspace);
    let bytes = workspace.bytes();
    assert!(bytes > 20 * 64 * 16 * 2 * size_of::<f32>());
    for examples in [20, 3, 20] {
        let again = step(examples, &mut workspace);
        assert_eq!(again, step(examples, &mut Workspace::new()));
        assert_eq!(workspace.bytes(), bytes);
    }
}

#[test]
fn fresh_parameters_repeat_and_have_the_spread_they_should() {
    let network = Network::<f64>::new(&ModelSpec::mlp(100, &[50], 10)).unwrap();
    let parameters = network.initial(&Seed::from_number(1));
    let bits = |parameters: &[f64]| parameters.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&parameters), bits(&network.initial(&Seed::from_number(1))));
    assert_ne!(bits(&parameters), bits(&network.initial(&Seed::from_number(2))));
    for (tensor, fan_in) in network.tensors().iter().zip([100.0, 100.0, 50.0, 50.0]) {
        let (values, bound) = (&parameters[tensor.range.clone()], 1.0 / f64::sqrt(fan_in));
        assert!(values.iter().all(|x| x.abs() <= bound));
        assert!(values.iter().any(|x| x.abs() > bound / 2.0), "{}", tensor.name);
    }
}

#[test]
fn a_network_learns() {
    let (network, mut parameters) = network();
    let input: Vec<f32> = (0u8..90).map(|i| f32::from(i * 37 % 11) / 11.0 - 0.5).collect();
    let classes: Vec<u32> = input.chunks(3).map(|x| u32::from(x[0] > x[1])).collect();
    let (mut workspace, mut gradient) = (Workspace::new(), vec![0.0; parameters.len()]);
    let mut losses = Vec::new();
    for _ in 0..300 {
        network.forward(&parameters, &input, 30, Mode::Eval, &mut workspace).unwrap();
        let each = network.backward(&parameters, &Targets::Classes(&classes), &mut workspace);
        losses.push(each.unwrap().iter().sum::<f32>() / 30.0);
        let mean = Weights::Uniform(1.0 / 30.0);
        network.weighted_gradient(&mut workspace, mean, &mut gradient).unwrap();
        parameters.iter_mut().zip(&gradient).for_each(|(p, g)| *p -= g);
    }
    assert!(losses[0] > 0.5 && losses[299] < 0.1, "{} to {}", losses[0], losses[299]);
}
