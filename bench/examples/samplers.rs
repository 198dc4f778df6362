//! `samplers KIND WIDTH COUNT SEED`: draws of integer noise and what they cost in processor time, as
//! JSON. KIND is `gaussian` (the exact reference), `fast` (the convolution) or `laplace`, WIDTH the
//! deviation or the scale. `bench/peers/samplers.py` compares them with others'.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::env;
use std::error::Error;

use bench::CpuTime;
use criterion::measurement::Measurement;
use nexus_privacy::mechanisms::exact::{self, Variance};
use nexus_privacy::mechanisms::gaussian::Gaussian;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

/// The draws, and the width that they really have.
fn draw(
    kind: &str,
    width: f64,
    count: usize,
    rng: &mut ChaCha12Rng,
) -> Result<(Vec<i64>, f64), Box<dyn Error>> {
    match kind {
        "gaussian" => {
            let variance = Variance::at_least(width)?;
            Ok(((0..count).map(|_| exact::gaussian(variance, rng)).collect(), variance.sigma()))
        }
        "fast" => {
            let (noise, mut values) = (Gaussian::at_least(width)?, vec![0; count]);
            noise.add(rng, &mut values);
            Ok((values, noise.sigma()))
        }
        "laplace" => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates"
            )]
            let scale = width as u64;
            let values =
                (0..count).map(|_| exact::laplace(scale, 1, rng)).collect::<Result<_, _>>()?;
            Ok((values, scale as f64))
        }
        _ => Err("KIND is gaussian, fast or laplace".into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [kind, width, count, seed] = arguments.as_slice() else {
        return Err("usage: samplers KIND WIDTH COUNT SEED".into());
    };
    let mut rng = ChaCha12Rng::seed_from_u64(seed.parse()?);
    let start = CpuTime.start();
    let (values, width) = draw(kind, width.parse()?, count.parse()?, &mut rng)?;
    let seconds = CpuTime.to_f64(&CpuTime.end(start)) * 1e-9;
    println!("{{\"width\": {width}, \"seconds\": {seconds}, \"values\": {values:?}}}");
    Ok(())
}
