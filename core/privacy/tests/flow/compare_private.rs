use nexus_privacy::flow::*;

fn leak(a: Private<Vec<f64>>, b: Private<Vec<f64>>) -> bool {
    a == b
}

fn main() {}
