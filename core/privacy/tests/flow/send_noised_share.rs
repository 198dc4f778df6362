use nexus_privacy::flow::*;

fn send(_: &impl Egress) {}

fn leak(secret: Noised<Share>) {
    send(&secret);
}

fn main() {}
