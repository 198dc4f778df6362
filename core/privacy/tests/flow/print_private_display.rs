use nexus_privacy::flow::*;

fn leak(secret: Private<Vec<f64>>) -> String {
    format!("{secret}")
}

fn main() {}
