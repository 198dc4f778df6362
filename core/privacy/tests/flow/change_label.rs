use nexus_privacy::flow::*;

fn strip(mut secret: Private<Vec<f64>>, public: std::sync::Arc<Label>) {
    secret.label = public;
}

fn main() {}
