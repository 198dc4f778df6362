use nexus_privacy::flow::*;

fn leak(secret: Private<Vec<f64>>) -> f64 {
    (*secret)[0]
}

fn main() {}
