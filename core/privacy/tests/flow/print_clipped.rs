use nexus_privacy::flow::*;

fn leak(secret: Clipped) -> String {
    format!("{secret:?}")
}

fn main() {}
