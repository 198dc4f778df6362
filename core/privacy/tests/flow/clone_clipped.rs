use nexus_privacy::flow::*;

fn leak(secret: &Clipped) -> Clipped {
    Clone::clone(secret)
}

fn main() {}
