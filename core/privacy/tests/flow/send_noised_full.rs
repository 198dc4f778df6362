use nexus_privacy::flow::*;

fn send(_: &impl Egress) {}

fn leak(secret: Noised<Full>) {
    send(&secret);
}

fn main() {}
