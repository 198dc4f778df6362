//! temp
use nexus_models::{Mode, ModelSpec, Network, Targets, Weights, Workspace};
use nexus_types::Seed;
use std::io::Write;
const EXAMPLES: usize = 2560;
const BATCH: usize = 256;
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    s.split(' ').next().unwrap().parse::<f64>().unwrap() * 1e-9
}
fn main() -> Result<(), Box<dyn std::error::Error>> {
    for s in [ModelSpec::linear(3), ModelSpec::mlp(64, &[64], 10), ModelSpec::mnist_cnn()] {
        writeln!(std::io::stdout(), "{}", s.hash()?)?;
    }
    let which = std::env::args().nth(1).unwrap_or_default();
    let epochs = std::env::args().nth(2).map_or(10, |x| x.parse().unwrap());
    for (name, spec) in [("mlp", ModelSpec::mlp(784, &[256], 10)), ("cnn", ModelSpec::mnist_cnn())]
    {
        if !which.is_empty() && which != name {
            continue;
        }
        run(name, &spec, epochs)?;
    }
    Ok(())
}
fn run(name: &str, spec: &ModelSpec, epochs: usize) -> Result<(), nexus_models::ModelError> {
    let network = Network::<f32>::new(spec)?;
    let seed = Seed::from_number(1);
    let mut parameters = network.initial(&seed);
    let mut rng = seed.derive("data", &[]).rng();
    let input: Vec<f32> = (0..EXAMPLES * network.inputs()).map(|_| rng.normal() as f32).collect();
    let classes: Vec<u32> = (0..10).cycle().take(EXAMPLES).collect();
    let mut workspace = Workspace::new();
    let mut gradient = vec![0.0; network.parameters()];
    let mut best = [f64::INFINITY; 5];
    for _ in 0..=epochs {
        let mut sum = [0.0; 5];
        for (input, classes) in input.chunks(BATCH * network.inputs()).zip(classes.chunks(BATCH)) {
            let t0 = cpu();
            network.forward(&parameters, input, classes.len(), Mode::Eval, &mut workspace)?;
            let t1 = cpu();
            network.backward(&parameters, &Targets::Classes(classes), &mut workspace)?;
            let t2 = cpu();
            let mean = Weights::Uniform(1.0 / classes.len() as f32);
            network.weighted_gradient(&mut workspace, mean, &mut gradient)?;
            let t3 = cpu();
            for (parameter, slope) in parameters.iter_mut().zip(&gradient) {
                *parameter -= 0.1 * slope;
            }
            let t4 = cpu();
            for (s, d) in sum.iter_mut().zip([t1 - t0, t2 - t1, t3 - t2, t4 - t3, t4 - t0]) {
                *s += d;
            }
        }
        for (b, s) in best.iter_mut().zip(sum) {
            *b = b.min(s);
        }
    }
    let ms = best.map(|b| format!("{:.3}", b * 1e3 * BATCH as f64 / EXAMPLES as f64));
    writeln!(
        std::io::stdout(),
        "{name}: {:.0} samples/s; ms/step forward backward weighted sgd total {ms:?}",
        EXAMPLES as f64 / best[4]
    )
    .unwrap();
    Ok(())
}
