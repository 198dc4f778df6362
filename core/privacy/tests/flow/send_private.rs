use nexus_privacy::flow::*;

fn send(_: &impl Egress) {}

fn leak(secret: Private<Vec<f64>>) {
    send(&secret);
}

fn main() {}
