use nexus_privacy::flow::*;

fn leak(secret: Private<Vec<f64>>) -> Vec<f64> {
    secret.value
}

fn main() {}
