use nexus_privacy::flow::*;

fn leak(secret: &Clipped) -> f64 {
    secret.sums[0]
}

fn main() {}
