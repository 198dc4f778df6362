use nexus_privacy::flow::*;

fn send(_: &impl Egress) {}

fn leak(secret: Clipped) {
    send(&secret);
}

fn main() {}
