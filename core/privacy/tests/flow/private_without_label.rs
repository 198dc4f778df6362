use nexus_privacy::flow::*;

fn strip(value: Vec<f64>) -> Private<Vec<f64>> {
    Private::new(value)
}

fn main() {}
