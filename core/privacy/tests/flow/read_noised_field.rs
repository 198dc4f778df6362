use nexus_privacy::flow::*;

fn leak(secret: &Noised<Share>) -> i64 {
    secret.values[0]
}

fn main() {}
