use nexus_privacy::flow::*;

fn forge(sums: Vec<f64>) -> Clipped {
    Clipped { sums: sums.into() }
}

fn main() {}
