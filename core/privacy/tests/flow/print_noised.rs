use nexus_privacy::flow::*;

fn leak(secret: Noised<Share>) -> String {
    format!("{secret:?}")
}

fn main() {}
