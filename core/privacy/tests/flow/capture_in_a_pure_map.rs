use nexus_privacy::flow::*;

fn leak(secret: Private<Vec<f64>>, out: &mut Vec<f64>) {
    let _ = secret.map_pure(|value| out.extend(value));
}

fn main() {}
