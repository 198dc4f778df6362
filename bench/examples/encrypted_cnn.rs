//! `encrypted_cnn [QUESTIONS]`: convolutional networks on encrypted images, on one thread; prints a line of
//! JSON for each network with hidden numbers in their natural order, and one for them as arranged.
//!
//! `small` is 16 x 16: 3 x 3 to 4 channels, cubic, means of 2 x 2, 3 x 3 to 8 channels, cubic, 10.
//! `tutorial` is `TenSEAL`'s on MNIST, 28 x 28: 7 x 7 with steps of 3 to 4 channels, square, 64,
//! square, 10. Weights and images are drawn.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use bench::BenchError;
use nexus_he::circuit::{Limits, Plan};
use nexus_inference::{Activation, Approximation, Client, Compiled, Server, Task};
use nexus_models::{LayerSpec, Loss, ModelSpec, Network};
use nexus_types::Seed;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};

const CUBIC: [f64; 4] = [0.1, 0.5, 0.3, -0.05];
const SQUARE: [f64; 3] = [0.0, 0.0, 1.0];

fn main() -> ExitCode {
    let Ok(questions) = std::env::args().nth(1).map_or(Ok(10), |it| it.parse::<usize>()) else {
        println!("encrypted_cnn [QUESTIONS]");
        return ExitCode::from(2);
    };
    let small = vec![
        conv(4, 3, 1),
        LayerSpec::Relu,
        LayerSpec::AvgPool { kernel: 2, stride: 2 },
        conv(8, 3, 1),
        LayerSpec::Relu,
        LayerSpec::Flatten,
        linear(10),
    ];
    let tutorial = vec![
        conv(4, 7, 3),
        LayerSpec::Relu,
        LayerSpec::Flatten,
        linear(64),
        LayerSpec::Relu,
        linear(10),
    ];
    let done = compare("small", &[16, 16, 1], small, &CUBIC, questions)
        .and_then(|()| compare("tutorial", &[28, 28, 1], tutorial, &SQUARE, questions));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

const fn conv(channels: usize, kernel: usize, stride: usize) -> LayerSpec {
    LayerSpec::Conv2d { channels, kernel, stride, padding: 0 }
}

const fn linear(outputs: usize) -> LayerSpec {
    LayerSpec::Linear { outputs, bias: true }
}

/// Processor seconds of this process.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// A network with the polynomial of `coefficients` in place of its activations, either way.
fn compare(
    name: &str,
    input: &[usize],
    layers: Vec<LayerSpec>,
    coefficients: &[f64],
    questions: usize,
) -> Result<(), BenchError> {
    let loss = Loss::SoftmaxCrossEntropy;
    let spec = ModelSpec { version: 1, input: input.to_vec(), layers, loss };
    let network = Network::<f64>::new(&spec)?;
    let weights = network.initial(&Seed::from_number(3));
    let approximation = |layer| Approximation {
        layer,
        function: Activation::Relu,
        range: 2.0,
        coefficients: coefficients.to_vec(),
    };
    let relus = spec.layers.iter().enumerate().filter(|(_, layer)| **layer == LayerSpec::Relu);
    let all: Vec<_> = relus.map(|(layer, _)| approximation(layer)).collect();
    let compiled = Compiled::new(&network, &weights, &all)?;
    let natural = Plan::new(compiled.stages(), &Limits::default())?;
    measure(&format!("{name}_natural"), &natural, &network, questions)?;
    measure(&format!("{name}_arranged"), &compiled.plan(&Limits::default())?, &network, questions)
}

fn measure(
    name: &str,
    plan: &Plan,
    network: &Network<f64>,
    questions: usize,
) -> Result<(), BenchError> {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let task = Task::Classes((0..network.outputs()).map(|class| class.to_string()).collect());
    let server = Server::new(plan, network.hash(), task, 1)?;
    let client = Client::new(server.description().clone(), &mut rng)?;
    let keys = client.keys(&mut rng)?;
    let id = server.register(&keys)?;
    let (mut times, mut error) = (Vec::new(), 0.0_f64);
    for _ in 0..=questions {
        let row: Vec<f32> =
            (0..network.inputs()).map(|_| (rng.next_u32() >> 16) as f32 / 65_536.0).collect();
        let question = client.question(&row, &mut rng)?;
        let from = now();
        let answer = server.answer(id, &question, &mut rng)?;
        times.push(1e3 * (now() - from));
        let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        let pairs = client.prediction(&answer)?.outputs.into_iter().zip(plan.at(&row)?);
        error = pairs.map(|(got, clear)| (got - clear).abs()).fold(error, f64::max);
    }
    times.sort_by(f64::total_cmp);
    let (cost, terms) = (plan.cost(), plan.terms());
    println!(
        r#"{{"network": "{name}", "degree": {}, "answer_ms": {}, "rotations": {}, "products": {}, "weight_bytes": {}, "key_bytes": {}, "error": {error}}}"#,
        terms.degree,
        times[times.len() / 2],
        cost.rotations,
        cost.products,
        cost.weight_bytes,
        keys.len(),
    );
    Ok(())
}
